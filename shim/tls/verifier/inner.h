/* SPDX-License-Identifier: MIT */
/*
 * What the files of the verifier share. Inside this object alone OpenSSL's types are used.
 *
 *	roots.c		the trust store: files to certificates, read when they are asked for
 *	chain.c		one verification: the path, and every fault that OpenSSL finds on it
 *	name.c		host name or address against subjectAltName
 *	profile.c	faults and the platform's additions to rules; the sentence
 *	text.c		certificates for people
 *	probe.c		own handshake
 *	cache.c		certificates and verdicts of before
 *	entry.c		initialisation and the table of verifier.h
 *
 * Nothing here takes a lock of its own: programs fork while another thread verifies, and a child
 * must be able to go on. What is shared is published with one atomic operation and never changed.
 */
#ifndef LEASH_VERIFIER_INNER_H
#define LEASH_VERIFIER_INNER_H

#include "verifier.h"

#include <stdatomic.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#define LEASH_DIGEST_SIZE    32
#define LEASH_CACHE_CERTS    512 /* certificates kept in decoded form, a few KiB each */
#define LEASH_CACHE_VERDICTS 256 /* {host, chain, platform} that were accepted, 1.5 KiB each */

/* Certificates of one subject hash, as they lie in the store. Never changed once published. */
struct leash_root_group {
	struct leash_root_group *next;
	uint64_t hash; /* UINT64_MAX: of any */
	size_t count;
	X509 *certs[];
};

struct leash_digests {
	size_t count;
	uint8_t bytes[][LEASH_DIGEST_SIZE];
};

struct leash_roots {
	char *dir;                      /* hashed directory; NULL: @bundle */
	char *bundle;                   /* one file, read at the first question; NULL: none */
	struct leash_root_group *extra; /* cert.extra_ca; NULL: none */
	struct leash_digests *distrust;
	X509_STORE *store;                        /* leash_chain_store() */
	_Atomic(struct leash_root_group *) found; /* what the directory or the bundle gave so far */
	_Atomic(struct leash_digests *) local;    /* local additions; read at the first question */
	EVP_MD *sha256;                           /* looked up once */
	_Atomic(void *) certs[LEASH_CACHE_CERTS], verdicts[LEASH_CACHE_VERDICTS]; /* cache.c */
};

/** leash_roots_open() - NULL with @err filled in if the policy names something unusable */
struct leash_roots *leash_roots_open(const struct leash_verify_roots *from, char *err,
				     size_t err_size);
void leash_roots_close(struct leash_roots *roots);

/**
 * leash_roots_find() - Every certificate of the store with this subject
 * @ret_certs:	Borrowed, valid until close; at most @max
 * Return: how many
 */
size_t leash_roots_find(struct leash_roots *roots, const X509_NAME *subject, X509 **ret_certs,
			size_t max);
bool leash_roots_distrusts(const struct leash_roots *roots, X509 *cert);
/** leash_roots_preinstalled() - Is it in the system's store and no local addition? */
bool leash_roots_preinstalled(struct leash_roots *roots, X509 *root);

#define LEASH_FAULT_MAX 256 /* of one chain; what is beyond hides behind those before */
struct leash_fault_at {
	int code; /* X509_V_ERR_* */
	int depth;
};

/* One call of verify(). */
struct leash_judged {
	struct leash_roots *roots;
	const struct leash_verify_in *in;
	X509 *leaf; /* NULL: cannot be read */
	STACK_OF(X509) * others;
	STACK_OF(X509) * chain; /* as built; NULL: none */
	X509 *hidden;           /* borrowed: in the store, not sent, so it does not help */
	struct leash_fault_at faults[LEASH_FAULT_MAX];
	size_t fault_count;
	const char *unreadable; /* why there is no chain */
};

/** leash_chain_store() - An empty X509_STORE that asks leash_roots_find() */
X509_STORE *leash_chain_store(void);
void leash_chain_build(struct leash_judged *judged);
void leash_chain_free(struct leash_judged *judged);
X509 *leash_chain_at(const struct leash_judged *judged, int depth); /* borrowed, or NULL */

/** leash_name_matches() - Is the leaf for the name or address of @in? */
bool leash_name_matches(X509 *leaf, const struct leash_verify_in *in);
/** leash_name_alternatives() - How many names (addresses where @in asks for one) the leaf has */
size_t leash_name_alternatives(X509 *leaf, const struct leash_verify_in *in);
/** leash_name_list() - "a.example, *.b.example and 3 more" in the caller's buffer */
void leash_name_list(X509 *leaf, char *buf, size_t size);

void leash_profile_judge(const struct leash_judged *judged, struct leash_verify_out *out);

/* Texts: cut at a character, without anything a terminal could take for a command. */
void leash_text_copy(char *buf, size_t size, const char *text, size_t len);
void leash_text_name(const X509_NAME *name, char *buf, size_t size);
void leash_text_brief(const X509_NAME *name, char *buf, size_t size); /* CN, or the whole name */
bool leash_text_time(const ASN1_TIME *when, char *buf, size_t size, int64_t *ret_s);
void leash_text_date(int64_t when_s, char *buf, size_t size); /* 2026-05-01 */
int leash_text_describe(const struct leash_der *cert, struct leash_cert_facts *ret);
const char *leash_text_code(int code);

/** leash_verifier_parse() - One certificate and nothing behind it, or NULL */
X509 *leash_verifier_parse(const struct leash_der *der);

/** leash_cache_parse() - leash_verifier_parse(), once a certificate. Return: a reference, or NULL
 */
X509 *leash_cache_parse(struct leash_roots *roots, const struct leash_der *der);
/** leash_cache_find() - Was just this accepted before? @ret_key is for leash_cache_keep() */
bool leash_cache_find(struct leash_roots *roots, const struct leash_verify_in *in,
		      uint8_t ret_key[static LEASH_DIGEST_SIZE], struct leash_verify_out *out);
/** leash_cache_keep() - Remember a verdict, for as long as its chain is in date; refusals are not
 */
void leash_cache_keep(struct leash_roots *roots, const struct leash_judged *judged,
		      const uint8_t key[static LEASH_DIGEST_SIZE],
		      const struct leash_verify_out *out);
void leash_cache_free(struct leash_roots *roots);

int leash_probe(const struct leash_verify_calls *calls, const struct leash_probe_in *in,
		struct leash_probe_out *out);
void leash_probe_release(struct leash_probe_out *out);

#endif
