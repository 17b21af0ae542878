/* SPDX-License-Identifier: MIT */
/*
 * Initialisation, and the table of verifier.h.
 *
 * The process belongs to somebody else: no configuration file, no environment, nothing at exit.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

/*
 * The environment is the program's (OPENSSL_CONF, OPENSSL_MODULES, OPENSSL_ia32cap, SSL_CERT_*).
 * What of libcrypto asks for it is linked to these two, which no one else sees.
 */
char *getenv(const char *name)
{
	(void)name;
	return NULL;
}

char *secure_getenv(const char *name)
{
	(void)name;
	return NULL;
}

X509 *leash_verifier_parse(const struct leash_der *der)
{
	const unsigned char *at = der->bytes;
	X509 *cert;

	if (!at || der->len == 0 || der->len > LONG_MAX)
		return NULL;
	cert = d2i_X509(NULL, &at, (long)der->len);
	if (cert && at != der->bytes + der->len) {
		X509_free(cert);
		cert = NULL;
	}
	if (!cert)
		ERR_clear_error();
	return cert;
}

static void *open_store(const struct leash_verify_roots *roots, char *err, size_t err_size)
{
	return leash_roots_open(roots, err, err_size);
}

static void close_store(void *store)
{
	leash_roots_close(store);
}

static int verify(void *store, const struct leash_verify_in *in, struct leash_verify_out *out)
{
	struct leash_judged judged = {.roots = store, .in = in};
	uint8_t key[LEASH_DIGEST_SIZE];
	int saved = errno;

	if (leash_cache_find(store, in, key, out)) {
		errno = saved;
		return out->code;
	}
	memset(out, 0, sizeof(*out));
	if (in->leaf.bytes)
		SHA256(in->leaf.bytes, in->leaf.len, out->leaf_sha256);
	leash_chain_build(&judged);
	leash_profile_judge(&judged, out);
	leash_cache_keep(store, &judged, key, out);
	leash_chain_free(&judged);
	ERR_clear_error();
	errno = saved;
	return out->code;
}

static const struct leash_verifier table = {
	.abi = LEASH_VERIFIER_ABI,
	.in_size = sizeof(struct leash_verify_in),
	.out_size = sizeof(struct leash_verify_out),
	.open = open_store,
	.verify = verify,
	.probe = leash_probe,
	.release = leash_probe_release,
	.close = close_store,
	.code_text = leash_text_code,
	.describe = leash_text_describe,
};

__attribute__((visibility("default"))) const struct leash_verifier *leash_verifier_entry(void);
const struct leash_verifier *leash_verifier_entry(void)
{
	/* Both ways of initialisation once, with the same wish, or the later one would load it. */
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT |
					   OPENSSL_INIT_ADD_ALL_CIPHERS |
					   OPENSSL_INIT_ADD_ALL_DIGESTS,
				   NULL) == 1
		       ? &table
		       : NULL;
}
