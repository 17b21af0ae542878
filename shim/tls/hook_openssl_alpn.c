/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL: what is offered by ALPN. The list is set before it is known where the connection leads,
 * so it is only noted then, and what may not be offered is taken out when the handshake begins: TLS
 * that is the program's own affair (loopback, raw TCP) offers what it wants.
 */
#include <string.h>

#include "shim/core/sys.h"
#include "shim/tls/alpn.h"
#include "shim/tls/openssl_inner.h"

static void forget(const struct leash_openssl *lib, struct leash_ssl_alpn *alpn)
{
	if (alpn->list)
		lib->CRYPTO_free(alpn->list, "netleash", 0);
	*alpn = (struct leash_ssl_alpn){0};
}

void leash_openssl_alpn_free(const struct leash_openssl *lib, struct leash_ssl_alpn *alpn)
{
	forget(lib, alpn);
}

/* Return: what to set, in memory of the library's with its length in *len; NULL: as it is */
static unsigned char *filtered(const struct leash_openssl *lib, const unsigned char *list,
			       unsigned int *len)
{
	unsigned char *ret;
	size_t kept;

	if (!list || *len == 0)
		return NULL;
	ret = lib->CRYPTO_zalloc(*len + sizeof(LEASH_ALPN_INSTEAD), "netleash", 0);
	if (!ret)
		return NULL;
	kept = leash_alpn_filter(list, *len, ret);
	if (kept == 0) {
		lib->CRYPTO_free(ret, "netleash", 0);
		return NULL;
	}
	*len = (unsigned int)kept;
	return ret;
}

/* A list without anything to take out is forgotten as well: it needs no change. */
static void note(const struct leash_openssl *lib, struct leash_ssl_alpn *alpn,
		 const unsigned char *list, unsigned int len)
{
	unsigned int kept = len;
	unsigned char *instead = filtered(lib, list, &kept);

	forget(lib, alpn);
	alpn->set = true;
	if (!instead)
		return;
	lib->CRYPTO_free(instead, "netleash", 0);
	alpn->list = lib->CRYPTO_zalloc(len, "netleash", 0);
	if (alpn->list) {
		memcpy(alpn->list, list, len);
		alpn->len = len;
	}
}

void leash_openssl_alpn_begin(const struct leash_openssl *lib, struct ssl_st *ssl,
			      struct leash_ssl *record)
{
	const struct leash_ssl_ctx *ctx =
		lib->SSL_CTX_get_ex_data(lib->SSL_get_SSL_CTX(ssl), lib->ctx_index);
	const struct leash_ssl_alpn *alpn = record->alpn.set || !ctx ? &record->alpn : &ctx->alpn;
	unsigned int len = alpn->len;
	struct leash_tie tie;
	unsigned char *instead;

	if (!alpn->list || !lib->SSL_set_alpn_protos)
		return;
	if (leash_verify_tie_fd(lib->SSL_get_fd(ssl), &tie) || leash_verify_http2()) {
		if (record->alpn_cut)
			lib->SSL_set_alpn_protos(ssl, alpn->list, alpn->len);
		record->alpn_cut = false;
		return;
	}
	instead = filtered(lib, alpn->list, &len);
	if (!instead)
		return;
	lib->SSL_set_alpn_protos(ssl, instead, len);
	lib->CRYPTO_free(instead, "netleash", 0);
	record->alpn_cut = true;
}

/* 0 is success for these two, alone of them all. */
LEASH_EXPORT int SSL_set_alpn_protos(struct ssl_st *ssl, const unsigned char *list,
				     unsigned int len)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record;

	if (!lib || !lib->SSL_set_alpn_protos)
		return 1;
	record = lib->bound && ssl ? leash_openssl_record(lib, ssl) : NULL;
	if (record)
		note(lib, &record->alpn, list, len);
	return lib->SSL_set_alpn_protos(ssl, list, len);
}

LEASH_EXPORT int SSL_CTX_set_alpn_protos(struct ssl_ctx_st *ctx, const unsigned char *list,
					 unsigned int len)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct leash_ssl_ctx *record;

	if (!lib || !lib->SSL_CTX_set_alpn_protos)
		return 1;
	record = lib->bound && ctx ? leash_openssl_ctx(lib, ctx) : NULL;
	if (record)
		note(lib, &record->alpn, list, len);
	return lib->SSL_CTX_set_alpn_protos(ctx, list, len);
}
