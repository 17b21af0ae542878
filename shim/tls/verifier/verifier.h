/* SPDX-License-Identifier: MIT */
/*
 * The border of libnetleash-verify.so: DER and plain values in, a result out.
 *
 * An object of its own, with its own hidden libcrypto and libssl, opened at the first TLS
 * handshake by conn/verify.c and used by `netleash cert`. No OpenSSL object of either side crosses
 * the border, no environment and no configuration file is read, time is an argument. Rules:
 * the platform's page "HTTPS certificates", tables of tls-http.md section 11.
 */
#ifndef LEASH_VERIFIER_H
#define LEASH_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LEASH_VERIFIER_ABI 2u
#define LEASH_VERIFIER_NAME "libnetleash-verify.so"
#define LEASH_VERIFIER_ENTRY "leash_verifier_entry"	/* the one exported symbol */

#define LEASH_CHAIN_MAX 100	/* certificates of a served chain; more is refused */

enum leash_verify_platform { LEASH_VERIFY_ANDROID, LEASH_VERIFY_IOS, LEASH_VERIFY_DEVTOOLS,
			     LEASH_VERIFY_STRICT, LEASH_VERIFY_PLATFORMS };	/* as enum leash_platform */

/* The requirements, one row each in `netleash cert`. */
enum leash_verify_rule {
	LEASH_VERIFY_OK,
	LEASH_VERIFY_VALID,		/* signature, purpose, constraints, parsable */
	LEASH_VERIFY_TRUSTED,		/* root in the system's store, not distrusted */
	LEASH_VERIFY_NAME,
	LEASH_VERIFY_PERIOD,
	LEASH_VERIFY_COMPLETE,		/* every intermediate was served */
	LEASH_VERIFY_SELF_SIGNED,
	LEASH_VERIFY_TLS_VERSION,
	LEASH_VERIFY_STRENGTH,		/* keys and signatures */
	LEASH_VERIFY_SAN,
	LEASH_VERIFY_EKU,
	LEASH_VERIFY_LIFETIME,
	LEASH_VERIFY_CIPHER,		/* forward secrecy (strict) */
	LEASH_VERIFY_SHAPE,		/* leaf no CA, v3, key type, RFC 5280 strictness (strict) */
	LEASH_VERIFY_RULES
};

struct leash_der {
	const uint8_t *bytes;
	size_t len;
};

struct leash_verify_in {
	struct leash_der leaf;
	const struct leash_der *others;	/* in served order, without the leaf */
	size_t other_count;
	const char *name;		/* normal form; NULL: check @addr */
	const uint8_t *addr;		/* 4 or 16 bytes, where there is no name */
	size_t addr_len;
	enum leash_verify_platform platform;
	uint16_t tls_version;		/* 0x0303 …; 0: not known, not judged */
	uint16_t cipher;		/* IANA number; 0: not known */
	int64_t now_s;			/* seconds since 1970 */
	enum leash_verify_rule about;	/* 0: sentence, rule and depth tell of the first failure; else of
					 * this rule's, if it failed. The code is the first's either way */
};

#define LEASH_VERIFY_TEXT 256
struct leash_verify_out {
	int code;			/* X509_V_ERR_* value, 0: accepted */
	enum leash_verify_rule rule;	/* the requirement that failed */
	int depth;			/* of the offending certificate in the chain; -1: none */
	char sentence[LEASH_VERIFY_TEXT];	/* what is wrong and the way to mend it */
	char subject[LEASH_VERIFY_TEXT], issuer[LEASH_VERIFY_TEXT];	/* of the offending one, else the leaf */
	char not_after[32];		/* of the leaf, RFC 3339 */
	int chain_len;			/* certificates in the built chain, 0: none was built */
	bool preinstalled;		/* root from the system's store and no local addition; looked
					 * at only where a rule asks: a leaf of more than 398 days */
	uint8_t leaf_sha256[32];
	/* Every rule for itself, for the table: code of its failure, 0 good, -1 not applicable/not known */
	int rules[LEASH_VERIFY_RULES];
};

/* What one certificate says of itself, for people. */
struct leash_cert_facts {
	char subject[LEASH_VERIFY_TEXT], issuer[LEASH_VERIFY_TEXT];
	char key[32];			/* "RSA 2048", "EC 256 prime256v1", "ED25519" */
	char signature[48];		/* "ecdsa-with-SHA256" */
	char not_before[32], not_after[32];	/* RFC 3339 */
	int64_t not_before_s, not_after_s;	/* seconds since 1970 */
	bool self_signed;		/* issuer and subject are one */
	uint8_t sha256[32];
};

struct leash_verify_roots {
	const char *trust_dir;		/* "" or NULL: the system's */
	const char *const *extra_ca;	/* PEM files */
	size_t extra_ca_count;
	const uint8_t (*distrust)[32];	/* SHA-256 of certificates */
	size_t distrust_count;
};

/* The calls that the probe uses; the shim hands in libc's real ones. Results as libc's: -1 and errno. */
struct leash_verify_calls {
	int (*socket)(int, int, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*recv)(int, void *, size_t, int);
	int (*close)(int);
	int (*poll_fd)(int fd, short events, int timeout_ms);
};

struct leash_probe_in {
	const struct sockaddr *addr;
	socklen_t addr_len;
	const char *sni;		/* NULL: none */
	int timeout_ms;
	int silence_ms;			/* 0, or: EBUSY if a server that has accepted says nothing for so long */
	uint16_t min_version, max_version;	/* 0: TLS 1.2 … newest; else 0x0301 … */
};

struct leash_probe_out {
	int error;			/* errno of connect or I/O; 0 */
	bool connected;			/* it took the connection, whatever came of it */
	bool handshake_reached;		/* the server sent its certificate */
	uint16_t version, cipher;
	size_t cert_count;
	struct leash_der certs[LEASH_CHAIN_MAX];	/* inside @store */
	uint8_t *store;			/* freed by release() */
	char alert[64];			/* what the server or the library said, "" */
};

struct leash_verifier {
	uint32_t abi;
	size_t in_size, out_size;	/* of the structs above, checked by the caller */
	/** open() - Roots, once per process or policy. NULL on failure with @err filled in */
	void *(*open)(const struct leash_verify_roots *roots, char *err, size_t err_size);
	/** verify() - Thread-safe. Always fills in @out; Return: out->code */
	int (*verify)(void *store, const struct leash_verify_in *in, struct leash_verify_out *out);
	/** probe() - An own handshake up to the certificate; sends no request. @out is always filled
	 *  in. Return: 0 if the server has shown its certificate and proved to hold its key, else
	 *  negative errno: out->error, or -EPROTO where TLS itself failed (out->alert) */
	int (*probe)(const struct leash_verify_calls *calls, const struct leash_probe_in *in,
		     struct leash_probe_out *out);
	void (*release)(struct leash_probe_out *out);
	void (*close)(void *store);
	const char *(*code_text)(int code);	/* "CERT_HAS_EXPIRED" … for messages */
	/** describe() - Return: 0, or -EBADMSG with @ret untouched: these bytes are no certificate */
	int (*describe)(const struct leash_der *cert, struct leash_cert_facts *ret);
};

/* leash_verifier_entry(): the table, or NULL where initialisation failed */
typedef const struct leash_verifier *leash_verifier_entry_fn(void);

#endif
