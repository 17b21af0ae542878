/* SPDX-License-Identifier: MIT */
/*
 * What was already read and already found good.
 *
 * Decoding a certificate costs libcrypto 0.1 ms, two signatures cost another 0.1: a program that
 * opens a connection for each request should pay that once a host. Slots are filled and never
 * emptied, so that a reader needs no lock; when they are full the rest is done anew each time.
 */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#define PROBES  8
#define DER_MAX 16384 /* bytes of a certificate that is kept */

struct seen_cert {
	uint64_t hash;
	X509 *cert;
	size_t len;
	uint8_t der[];
};

struct seen_verdict {
	uint8_t key[LEASH_DIGEST_SIZE];
	int64_t from_s, until_s; /* every certificate of the chain is valid from, and before */
	struct leash_verify_out out;
};

/* ---------------------------------------------------------------- certificates */

/* FNV-1a; whoever makes collisions gains nothing, the bytes are compared. */
static uint64_t hash_of(const struct leash_der *der)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < der->len; i++)
		hash = (hash ^ der->bytes[i]) * 0x100000001b3u;
	return hash;
}

static X509 *keep_cert(_Atomic(void *) *slot, uint64_t hash, const struct leash_der *der,
		       X509 *cert)
{
	struct seen_cert *seen = der->len <= DER_MAX ? malloc(sizeof(*seen) + der->len) : NULL;
	void *empty = NULL;

	if (!seen)
		return cert;
	seen->hash = hash;
	seen->cert = cert;
	seen->len = der->len;
	memcpy(seen->der, der->bytes, der->len);
	X509_check_purpose(cert, -1, 0); /* decodes the extensions now, not under contention */
	if (!X509_up_ref(cert) ||
	    !atomic_compare_exchange_strong_explicit(slot, &empty, seen, memory_order_acq_rel,
						     memory_order_acquire))
		free(seen);
	else
		return cert;
	/* Not kept: the reference for the slot goes back. */
	X509_free(cert);
	return cert;
}

X509 *leash_cache_parse(struct leash_roots *roots, const struct leash_der *der)
{
	uint64_t hash = der->bytes ? hash_of(der) : 0;
	X509 *cert;

	for (size_t i = 0; der->bytes && i < PROBES; i++) {
		_Atomic(void *) *slot = &roots->certs[(hash + i) % LEASH_CACHE_CERTS];
		const struct seen_cert *seen = atomic_load_explicit(slot, memory_order_acquire);

		if (!seen) {
			cert = leash_verifier_parse(der);
			return cert ? keep_cert(slot, hash, der, cert) : NULL;
		}
		if (seen->hash == hash && seen->len == der->len &&
		    memcmp(seen->der, der->bytes, der->len) == 0)
			return X509_up_ref(seen->cert) ? seen->cert : NULL;
	}
	return leash_verifier_parse(der);
}

/* -------------------------------------------------------------------- verdicts */

static bool add(EVP_MD_CTX *ctx, const void *bytes, size_t len)
{
	uint64_t size = len;

	return EVP_DigestUpdate(ctx, &size, sizeof(size)) && EVP_DigestUpdate(ctx, bytes, len);
}

/* Everything that a verdict depends on, but the time. */
static bool key_of(const struct leash_roots *roots, const struct leash_verify_in *in,
		   uint8_t ret[static LEASH_DIGEST_SIZE])
{
	const uint32_t rest[] = {(uint32_t)in->platform, in->tls_version, in->cipher,
				 in->name != NULL};
	EVP_MD_CTX *ctx = roots->sha256 && in->leaf.bytes ? EVP_MD_CTX_new() : NULL;
	bool good = ctx && EVP_DigestInit_ex2(ctx, roots->sha256, NULL) &&
		    add(ctx, rest, sizeof(rest)) && add(ctx, in->leaf.bytes, in->leaf.len);

	if (good && in->name)
		good = add(ctx, in->name, strlen(in->name));
	else if (good)
		good = add(ctx, in->addr, in->addr ? in->addr_len : 0);
	for (size_t i = 0; good && i < in->other_count; i++)
		good = in->others[i].bytes && add(ctx, in->others[i].bytes, in->others[i].len);
	good = good && EVP_DigestFinal_ex(ctx, ret, NULL);
	EVP_MD_CTX_free(ctx);
	return good;
}

static size_t place_of(const uint8_t key[static LEASH_DIGEST_SIZE])
{
	uint32_t place;

	memcpy(&place, key, sizeof(place));
	return place;
}

bool leash_cache_find(struct leash_roots *roots, const struct leash_verify_in *in,
		      uint8_t ret_key[static LEASH_DIGEST_SIZE], struct leash_verify_out *out)
{
	if (!key_of(roots, in, ret_key)) {
		memset(ret_key, 0, LEASH_DIGEST_SIZE);
		return false;
	}
	for (size_t i = 0; i < PROBES; i++) {
		const struct seen_verdict *seen = atomic_load_explicit(
			&roots->verdicts[(place_of(ret_key) + i) % LEASH_CACHE_VERDICTS],
			memory_order_acquire);

		if (!seen)
			return false;
		if (memcmp(seen->key, ret_key, LEASH_DIGEST_SIZE) != 0)
			continue;
		if (in->now_s < seen->from_s || in->now_s >= seen->until_s)
			return false;
		*out = seen->out;
		return true;
	}
	return false;
}

/* The time in which every certificate of the chain is valid. */
static bool period_of(const struct leash_judged *judged, struct seen_verdict *seen)
{
	char text[32];
	int64_t from_s, until_s;

	seen->from_s = INT64_MIN;
	seen->until_s = INT64_MAX;
	for (int i = 0; i < sk_X509_num(judged->chain); i++) {
		X509 *cert = sk_X509_value(judged->chain, i);

		if (!leash_text_time(X509_get0_notBefore(cert), text, sizeof(text), &from_s) ||
		    !leash_text_time(X509_get0_notAfter(cert), text, sizeof(text), &until_s))
			return false;
		if (from_s > seen->from_s)
			seen->from_s = from_s;
		if (until_s < seen->until_s)
			seen->until_s = until_s;
	}
	return true;
}

void leash_cache_keep(struct leash_roots *roots, const struct leash_judged *judged,
		      const uint8_t key[static LEASH_DIGEST_SIZE],
		      const struct leash_verify_out *out)
{
	static const uint8_t none[LEASH_DIGEST_SIZE];
	struct seen_verdict *seen;

	if (out->code || memcmp(key, none, LEASH_DIGEST_SIZE) == 0)
		return;
	seen = malloc(sizeof(*seen));
	if (!seen)
		return;
	memcpy(seen->key, key, LEASH_DIGEST_SIZE);
	seen->out = *out;
	for (size_t i = 0; i < PROBES && period_of(judged, seen); i++) {
		_Atomic(void *) *slot =
			&roots->verdicts[(place_of(key) + i) % LEASH_CACHE_VERDICTS];
		void *other = NULL;

		if (atomic_compare_exchange_strong_explicit(
			    slot, &other, seen, memory_order_acq_rel, memory_order_acquire))
			return;
		/* The same for another time: one is enough, and another thread may have been first.
		 */
		if (memcmp(((const struct seen_verdict *)other)->key, key, LEASH_DIGEST_SIZE) == 0)
			break;
	}
	free(seen);
}

void leash_cache_free(struct leash_roots *roots)
{
	for (size_t i = 0; i < LEASH_CACHE_CERTS; i++) {
		struct seen_cert *seen = atomic_load(&roots->certs[i]);

		if (seen)
			X509_free(seen->cert);
		free(seen);
	}
	for (size_t i = 0; i < LEASH_CACHE_VERDICTS; i++)
		free(atomic_load(&roots->verdicts[i]));
}
