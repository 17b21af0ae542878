/* SPDX-License-Identifier: MIT */
/*
 * BIO_f_ssl(): a program over BIO_new_ssl_connect() calls BIO_write() and BIO_read() only, and
 * libssl's own method enters the library behind SSL_write() and SSL_read(). So the method is one of
 * ours: the library's, but that its bytes come by our hooks (design: TLS 7).
 *
 * A method's functions are not told whose they are, so there are four sets of them, one for each
 * library.
 */
#include <stdatomic.h>
#include <string.h>

#include "shim/core/sys.h"
#include "shim/tls/openssl_inner.h"

#define SETS 4 /* libraries; a further one keeps its own method, and its requests are not read */

static struct set {
	const struct leash_openssl *lib;
	leash_bio_ctrl_fn *ctrl; /* the library's */
	struct bio_method_st *method;
} sets[SETS];

static struct ssl_st *ssl_of(const struct set *set, struct bio_st *bio)
{
	struct ssl_st *ssl = NULL;

	set->ctrl(bio, OSSL_BIO_GET_SSL, 0, &ssl);
	return ssl;
}

/* A call begins: what an earlier one waited for is over. Return: NULL if there is no SSL */
static struct ssl_st *start(const struct set *set, struct bio_st *bio)
{
	struct ssl_st *ssl = ssl_of(set, bio);

	if (ssl) {
		set->lib->BIO_clear_flags(bio, OSSL_BIO_WISHES);
		set->lib->BIO_set_retry_reason(bio, 0);
	}
	return ssl;
}

/* As the library's own: what the SSL waits for becomes what the BIO waits for */
static int settle(const struct set *set, struct bio_st *bio, struct ssl_st *ssl, int ret)
{
	const struct leash_openssl *lib = set->lib;
	const int error = errno;

	switch (lib->SSL_get_error(ssl, ret)) {
	case OSSL_ERROR_WANT_WRITE:
		lib->BIO_set_flags(bio, OSSL_BIO_WRITE | OSSL_BIO_RETRY);
		break;
	case OSSL_ERROR_WANT_READ:
		lib->BIO_set_flags(bio, OSSL_BIO_READ | OSSL_BIO_RETRY);
		break;
	case OSSL_ERROR_WANT_X509_LOOKUP:
		lib->BIO_set_flags(bio, OSSL_BIO_SPECIAL | OSSL_BIO_RETRY);
		lib->BIO_set_retry_reason(bio, OSSL_RR_X509_LOOKUP);
		break;
	case OSSL_ERROR_WANT_CONNECT:
		lib->BIO_set_flags(bio, OSSL_BIO_SPECIAL | OSSL_BIO_RETRY);
		lib->BIO_set_retry_reason(bio, OSSL_RR_CONNECT);
		break;
	case OSSL_ERROR_WANT_ACCEPT:
		lib->BIO_set_flags(bio, OSSL_BIO_SPECIAL | OSSL_BIO_RETRY);
		lib->BIO_set_retry_reason(bio, OSSL_RR_ACCEPT);
		break;
	default: /* an int of the library: nothing to wait for */
		break;
	}
	errno = error;
	return ret;
}

static int bio_write(const struct set *set, struct bio_st *bio, const char *buf, int len)
{
	struct ssl_st *ssl = buf ? start(set, bio) : NULL;

	if (!ssl)
		return buf ? -1 : 0;
	return settle(set, bio, ssl, leash_openssl_SSL_write(set->lib, ssl, buf, len));
}

static int bio_read(const struct set *set, struct bio_st *bio, char *buf, int len)
{
	struct ssl_st *ssl = buf ? start(set, bio) : NULL;

	if (!ssl)
		return buf ? -1 : 0;
	return settle(set, bio, ssl, leash_openssl_SSL_read(set->lib, ssl, buf, len));
}

static long bio_ctrl(const struct set *set, struct bio_st *bio, int cmd, long value, void *more)
{
	const struct leash_openssl *lib = set->lib;
	struct ssl_st *ssl =
		cmd == OSSL_BIO_RESET || cmd == OSSL_BIO_PENDING ? ssl_of(set, bio) : NULL;
	struct leash_ssl *record = ssl ? leash_openssl_find(lib, ssl) : NULL;
	long pending;

	if (!record || !record->pumped)
		return set->ctrl(bio, cmd, value, more);
	if (cmd == OSSL_BIO_PENDING) {
		pending = leash_openssl_SSL_pending(lib, ssl);
		return pending || !lib->SSL_get_rbio(ssl)
			       ? pending
			       : lib->BIO_ctrl(lib->SSL_get_rbio(ssl), OSSL_BIO_PENDING, 0, NULL);
	}
	/* It becomes another session, by a call inside the library. */
	leash_openssl_pump_close(record);
	record->good = record->accepted = false;
	return set->ctrl(bio, cmd, value, more);
}

#define SET(n)                                                                                     \
	static int write_##n(struct bio_st *bio, const char *buf, int len)                         \
	{                                                                                          \
		return bio_write(&sets[n], bio, buf, len);                                         \
	}                                                                                          \
	static int read_##n(struct bio_st *bio, char *buf, int len)                                \
	{                                                                                          \
		return bio_read(&sets[n], bio, buf, len);                                          \
	}                                                                                          \
	static long ctrl_##n(struct bio_st *bio, int cmd, long value, void *more)                  \
	{                                                                                          \
		return bio_ctrl(&sets[n], bio, cmd, value, more);                                  \
	}
SET(0)
SET(1)
SET(2)
SET(3)

static const struct {
	leash_bio_write_fn *write;
	leash_bio_read_fn *read;
	leash_bio_ctrl_fn *ctrl;
} functions[SETS] = {
	{write_0, read_0, ctrl_0},
	{write_1, read_1, ctrl_1},
	{write_2, read_2, ctrl_2},
	{write_3, read_3, ctrl_3},
};

static bool is_whole(const struct leash_openssl *lib)
{
	return lib->BIO_f_ssl && lib->BIO_meth_new && lib->BIO_meth_set_write &&
	       lib->BIO_meth_set_read && lib->BIO_meth_set_ctrl && lib->BIO_meth_set_puts &&
	       lib->BIO_meth_set_create && lib->BIO_meth_set_destroy &&
	       lib->BIO_meth_set_callback_ctrl && lib->BIO_meth_get_ctrl &&
	       lib->BIO_meth_get_puts && lib->BIO_meth_get_create && lib->BIO_meth_get_destroy &&
	       lib->BIO_meth_get_callback_ctrl && lib->BIO_set_flags && lib->BIO_set_retry_reason &&
	       lib->BIO_ctrl && lib->BIO_new && lib->BIO_push && lib->BIO_free &&
	       lib->BIO_s_connect && lib->BIO_f_buffer && lib->SSL_set_connect_state &&
	       lib->SSL_set_accept_state;
}

const struct bio_method_st *leash_openssl_bio_make(const struct leash_openssl *lib)
{
	static _Atomic unsigned int used;
	const struct bio_method_st *theirs;
	struct bio_method_st *ours;
	unsigned int n;

	if (!is_whole(lib) || atomic_load(&used) >= SETS)
		return NULL;
	n = atomic_fetch_add(&used, 1);
	theirs = n < SETS ? lib->BIO_f_ssl() : NULL;
	ours = theirs ? lib->BIO_meth_new(OSSL_BIO_TYPE_SSL, "ssl") : NULL;
	if (!ours)
		return NULL;
	sets[n] = (struct set){.lib = lib, .ctrl = lib->BIO_meth_get_ctrl(theirs), .method = ours};
	lib->BIO_meth_set_write(ours, functions[n].write);
	lib->BIO_meth_set_read(ours, functions[n].read);
	lib->BIO_meth_set_ctrl(ours, functions[n].ctrl);
	lib->BIO_meth_set_puts(ours, lib->BIO_meth_get_puts(theirs));
	lib->BIO_meth_set_create(ours, lib->BIO_meth_get_create(theirs));
	lib->BIO_meth_set_destroy(ours, lib->BIO_meth_get_destroy(theirs));
	lib->BIO_meth_set_callback_ctrl(ours, lib->BIO_meth_get_callback_ctrl(theirs));
	return ours;
}

/* ------------------------------------------------------------------------------ hooks */

LEASH_EXPORT const struct bio_method_st *BIO_f_ssl(void)
{
	const struct leash_openssl *lib = leash_openssl_of(NULL, CALLER(), __func__);

	if (!lib || !lib->BIO_f_ssl)
		return NULL;
	return lib->bio_ssl ? lib->bio_ssl : lib->BIO_f_ssl();
}

/* The next three as the library has them, which inside itself would take its own method */
static struct bio_st *new_ssl(const struct leash_openssl *lib, struct ssl_ctx_st *ctx, int client)
{
	struct bio_st *bio = lib->BIO_new(lib->bio_ssl);
	struct ssl_st *ssl = bio ? lib->SSL_new(ctx) : NULL;

	if (!ssl) {
		if (bio)
			lib->BIO_free(bio);
		return NULL;
	}
	leash_openssl_record(lib, ssl);
	if (client)
		lib->SSL_set_connect_state(ssl);
	else
		lib->SSL_set_accept_state(ssl);
	lib->BIO_ctrl(bio, OSSL_BIO_SET_SSL, 1, ssl);
	return bio;
}

static struct bio_st *new_connect(const struct leash_openssl *lib, struct ssl_ctx_st *ctx)
{
	struct bio_st *transport = lib->BIO_new(lib->BIO_s_connect());
	struct bio_st *bio = transport ? new_ssl(lib, ctx, 1) : NULL;

	if (bio)
		return lib->BIO_push(bio, transport);
	if (transport)
		lib->BIO_free(transport);
	return NULL;
}

LEASH_EXPORT struct bio_st *BIO_new_ssl(struct ssl_ctx_st *ctx, int client)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);

	if (!lib || !lib->BIO_new_ssl)
		return NULL;
	return lib->bio_ssl ? new_ssl(lib, ctx, client) : lib->BIO_new_ssl(ctx, client);
}

LEASH_EXPORT struct bio_st *BIO_new_ssl_connect(struct ssl_ctx_st *ctx)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);

	if (!lib || !lib->BIO_new_ssl_connect)
		return NULL;
	return lib->bio_ssl ? new_connect(lib, ctx) : lib->BIO_new_ssl_connect(ctx);
}

LEASH_EXPORT struct bio_st *BIO_new_buffer_ssl_connect(struct ssl_ctx_st *ctx)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct bio_st *buffer, *bio;

	if (!lib || !lib->BIO_new_buffer_ssl_connect)
		return NULL;
	if (!lib->bio_ssl)
		return lib->BIO_new_buffer_ssl_connect(ctx);
	buffer = lib->BIO_new(lib->BIO_f_buffer());
	bio = buffer ? new_connect(lib, ctx) : NULL;
	if (bio)
		return lib->BIO_push(buffer, bio);
	if (buffer)
		lib->BIO_free(buffer);
	return NULL;
}
