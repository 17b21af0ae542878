/* SPDX-License-Identifier: MIT */
/*
 * What is known of an SSL and of its context, as their ex_data, and what we put into the library's queue of errors.
 */
#include "shim/tls/openssl_inner.h"

/* -------------------------------------------------------------------------- records */

void *leash_openssl_take(const struct leash_openssl *lib, size_t size)
{
	return lib->CRYPTO_zalloc(size, "netleash", 0);
}

void leash_openssl_give(const struct leash_openssl *lib, void *at)
{
	if (at)
		lib->CRYPTO_free(at, "netleash", 0);
}

void leash_openssl_clear(const struct leash_openssl *lib, struct leash_ssl *record)
{
	leash_openssl_give(lib, record->leaf);
	record->leaf = NULL;
	record->leaf_len = 0;
	record->accepted = record->good = record->tied = false;
	record->killed = 0;
}

void leash_openssl_free_ssl(void *parent, void *ptr, struct crypto_ex_data_st *ad, int idx, long argl,
			    void *argp)
{
	struct leash_ssl *record = ptr;

	(void)parent, (void)ad, (void)idx, (void)argl;
	if (!record)
		return;
	leash_openssl_pump_close(record);
	leash_openssl_alpn_free(argp, &record->alpn);
	leash_openssl_clear(argp, record);
	leash_openssl_give(argp, record);
}

void leash_openssl_free_ctx(void *parent, void *ptr, struct crypto_ex_data_st *ad, int idx, long argl,
			    void *argp)
{
	struct leash_ssl_ctx *record = ptr;

	(void)parent, (void)ad, (void)idx, (void)argl;
	if (record)
		leash_openssl_alpn_free(argp, &record->alpn);
	leash_openssl_give(argp, record);
}

/* SSL_dup(): the copy has made no handshake, and a record belongs to one SSL. */
int leash_openssl_dup_ssl(struct crypto_ex_data_st *to, const struct crypto_ex_data_st *from,
			  void **data, int idx, long argl, void *argp)
{
	(void)to, (void)from, (void)idx, (void)argl, (void)argp;
	*data = NULL;
	return 1;
}

/* Also puts our callback on it. Return: NULL without memory */
struct leash_ssl *leash_openssl_record(const struct leash_openssl *lib, struct ssl_st *ssl)
{
	struct leash_ssl *record = leash_openssl_find(lib, ssl);
	leash_info_fn *now;

	if (record)
		return record;
	record = leash_openssl_take(lib, sizeof(*record));
	if (!record)
		return NULL;
	if (!lib->SSL_set_ex_data(ssl, lib->ssl_index, record)) {
		leash_openssl_give(lib, record);
		return NULL;
	}
	now = lib->SSL_get_info_callback(ssl);
	if (now != leash_openssl_info) {
		record->theirs = now;
		lib->SSL_set_info_callback(ssl, leash_openssl_info);
	}
	return record;
}

struct leash_ssl_ctx *leash_openssl_ctx(const struct leash_openssl *lib, struct ssl_ctx_st *ctx)
{
	struct leash_ssl_ctx *record = lib->SSL_CTX_get_ex_data(ctx, lib->ctx_index);
	leash_info_fn *now;

	if (record)
		return record;
	record = leash_openssl_take(lib, sizeof(*record));
	if (!record)
		return NULL;
	record->lib = lib;
	if (!lib->SSL_CTX_set_ex_data(ctx, lib->ctx_index, record)) {
		leash_openssl_give(lib, record);
		return NULL;
	}
	now = lib->SSL_CTX_get_info_callback(ctx);
	if (now != leash_openssl_info) {
		record->theirs = now;
		lib->SSL_CTX_set_info_callback(ctx, leash_openssl_info);
	}
	return record;
}

/* --------------------------------------------------------------------------- errors */

void leash_openssl_put_error(const struct leash_openssl *lib, int in, int reason, const char *text)
{
	if (lib->ERR_set_error && lib->ERR_new && lib->ERR_set_debug) {
		lib->ERR_new();
		lib->ERR_set_debug("netleash", 0, "netleash");
		lib->ERR_set_error(in, reason, "%s", text);
	} else if (lib->ERR_put_error) {
		lib->ERR_put_error(in, 0, reason, "netleash", 0);
		if (lib->ERR_add_error_data)
			lib->ERR_add_error_data(1, text);
	}
}

void leash_openssl_put_killed(const struct leash_openssl *lib)
{
	lib->ERR_clear_error();
	leash_openssl_put_error(lib, OSSL_LIB_SSL, OSSL_R_CERTIFICATE_VERIFY_FAILED, "netleash: see its line");
}

void leash_openssl_put_refused(const struct leash_openssl *lib, const char *text)
{
	lib->ERR_clear_error();
	leash_openssl_put_error(lib, OSSL_LIB_SYS, EACCES, text);
}
