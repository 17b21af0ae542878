/* build: -shared -fPIC -fno-builtin -Wl,-soname,libssl.so.1.1 -Wl,--version-script=tests/snip/tls_stub11.map */
/* SPDX-License-Identifier: MIT */
/*
 * What is needed of OpenSSL 1.1.1 to see which library a hook calls: the names, the version node, the
 * order in which a handshake calls things, objects that hold their method where 1.1.1 holds it. Each
 * call that matters prints a line. The peer's chain and the random come from stub_set().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct method {
	int version;
};
struct ctx {
	const struct method *method;
	void *ex[16];
	void (*info)(const void *, int, int);
	int (*verify)(void *, void *);
	void *arg;
};
struct ssl {
	int version;
	const struct method *method;
	struct ctx *ctx;
	void *ex[16];
	void (*info)(const void *, int, int);
	int mode, shutdown, done;
	long result;
};
struct store {
	struct ssl *ssl;
	int error;
};
struct cert {
	const unsigned char *der;
	int len;
};

static const struct method method = {0x10000};
static unsigned char client_random[32];
static struct cert chain[10];
static int chain_len, resumed;
static unsigned char turned[4096];

void stub_set(const unsigned char *random, int count, const unsigned char *const *ders, const int *lens,
	      int skip_verify)
{
	memcpy(client_random, random, 32);
	chain_len = count;
	resumed = skip_verify;
	for (int i = 0; i < count; i++)
		chain[i] = (struct cert){ders[i], lens[i]};
}

unsigned long OpenSSL_version_num(void)
{
	return 0x1010117fL;
}

int CRYPTO_get_ex_new_index(int kind, long argl, void *argp, void *new, void *dup, void *free)
{
	static int next[16];

	return ++next[kind];
}

void *CRYPTO_zalloc(size_t size, const char *file, int line)
{
	return calloc(1, size);
}

void CRYPTO_free(void *at, const char *file, int line)
{
	free(at);
}

void ERR_put_error(int lib, int function, int reason, const char *file, int line)
{
	printf("stub error %d %d\n", lib, reason);
}

void ERR_clear_error(void)
{
}

const void *TLS_client_method(void)
{
	return &method;
}

const void *TLS_method(void)
{
	return &method;
}

void *SSL_CTX_new(const void *m)
{
	struct ctx *ctx = calloc(1, sizeof(*ctx));

	printf("stub SSL_CTX_new %d\n", m == &method);
	ctx->method = m;
	return ctx;
}

void *SSL_new(struct ctx *ctx)
{
	struct ssl *ssl = calloc(1, sizeof(*ssl));

	ssl->version = 0x303;
	ssl->method = ctx->method;
	ssl->ctx = ctx;
	ssl->info = ctx->info;
	printf("stub SSL_new\n");
	return ssl;
}

void SSL_CTX_set_info_callback(struct ctx *ctx, void (*info)(const void *, int, int))
{
	ctx->info = info;
}

void *SSL_CTX_get_info_callback(struct ctx *ctx)
{
	return ctx->info;
}

void SSL_set_info_callback(struct ssl *ssl, void (*info)(const void *, int, int))
{
	ssl->info = info;
}

void *SSL_get_info_callback(const struct ssl *ssl)
{
	return ssl->info;
}

void SSL_CTX_set_cert_verify_callback(struct ctx *ctx, int (*verify)(void *, void *), void *arg)
{
	ctx->verify = verify;
	ctx->arg = arg;
}

int X509_verify_cert(struct store *store)
{
	printf("stub X509_verify_cert\n");
	return 1;
}

static void tell(struct ssl *ssl, int where)
{
	if (ssl->info)
		ssl->info(ssl, where, 1);
}

int SSL_connect(struct ssl *ssl)
{
	struct store store = {ssl, 0};
	int ok = 1;

	printf("stub SSL_connect\n");
	tell(ssl, 0x10);
	tell(ssl, 0x1001);
	if (resumed == 2) {
		/* A program's own verification that names this handshake, with the good chain; the peer's
		 * own is another one, and nobody verifies it */
		printf("own verification %d\n", X509_verify_cert(&store));
		memcpy(turned, chain[0].der, chain[0].len);
		turned[chain[0].len - 1] ^= 1;
		chain[0].der = turned;
	} else if (!resumed) {
		ok = ssl->ctx->verify ? ssl->ctx->verify(&store, ssl->ctx->arg) : X509_verify_cert(&store);
		ssl->result = store.error;
		printf("stub verified %d %d\n", ok, store.error);
	}
	if (ssl->mode != 0 && ok <= 0)
		return -1;
	ssl->done = 1;
	tell(ssl, 0x20);
	return 1;
}

int SSL_do_handshake(struct ssl *ssl)
{
	return SSL_connect(ssl);
}

int SSL_write(struct ssl *ssl, const void *buf, int len)
{
	printf("stub SSL_write %d\n", ssl->shutdown ? -1 : len);
	return ssl->shutdown ? -1 : len;
}

int SSL_read(struct ssl *ssl, void *buf, int len)
{
	return ssl->shutdown ? 0 : -1;
}

void *SSL_get_ex_data(const struct ssl *ssl, int i)
{
	return ssl->ex[i];
}

int SSL_set_ex_data(struct ssl *ssl, int i, void *data)
{
	ssl->ex[i] = data;
	return 1;
}

void *SSL_CTX_get_ex_data(const struct ctx *ctx, int i)
{
	return ctx->ex[i];
}

int SSL_CTX_set_ex_data(struct ctx *ctx, int i, void *data)
{
	ctx->ex[i] = data;
	return 1;
}

void *X509_STORE_CTX_get_ex_data(const struct store *store, int i)
{
	return store->ssl;
}

void *X509_STORE_CTX_get0_cert(const struct store *store)
{
	return chain_len ? &chain[0] : NULL;
}

void *X509_STORE_CTX_get0_untrusted(const struct store *store)
{
	return chain;
}

void X509_STORE_CTX_set_error(struct store *store, int code)
{
	store->error = code;
}

int i2d_X509(const struct cert *cert, unsigned char **out)
{
	if (out) {
		memcpy(*out, cert->der, cert->len);
		*out += cert->len;
	}
	return cert->len;
}

void X509_free(void *cert)
{
}

int OPENSSL_sk_num(const void *stack)
{
	return chain_len;
}

void *OPENSSL_sk_value(const void *stack, int i)
{
	return &chain[i];
}

void *SSL_get_SSL_CTX(const struct ssl *ssl)
{
	return ssl->ctx;
}

int SSL_is_init_finished(const struct ssl *ssl)
{
	return ssl->done;
}

int SSL_version(const struct ssl *ssl)
{
	return ssl->version;
}

size_t SSL_get_client_random(const struct ssl *ssl, unsigned char *out, size_t size)
{
	memcpy(out, client_random, 32);
	return 32;
}

void SSL_set_verify(struct ssl *ssl, int mode, void *callback)
{
	ssl->mode = mode;
}

void SSL_set_verify_result(struct ssl *ssl, long code)
{
	ssl->result = code;
}

long SSL_get_verify_result(const struct ssl *ssl)
{
	return ssl->result;
}

void SSL_set_shutdown(struct ssl *ssl, int mode)
{
	ssl->shutdown = mode;
}

void *SSL_get_peer_certificate(const struct ssl *ssl)
{
	return chain_len ? &chain[0] : NULL;
}

void *SSL_get_peer_cert_chain(const struct ssl *ssl)
{
	return chain;
}

/* New in 3.2; here so that there is one to be refused */
const void *OSSL_QUIC_client_method(void)
{
	return &method;
}

/* There, and nothing to say */
#define NOTHING(name) long name(void) { return 0; }
NOTHING(SSL_SESSION_get_ex_data)
NOTHING(SSL_SESSION_set_ex_data)
NOTHING(SSL_get_ex_data_X509_STORE_CTX_idx)
NOTHING(SSL_is_server)
NOTHING(SSL_is_dtls)
NOTHING(SSL_get_fd)
NOTHING(SSL_ctrl)
NOTHING(SSL_clear_options)
NOTHING(SSL_get_session)
NOTHING(SSL_get_servername)
NOTHING(SSL_get_current_cipher)
NOTHING(SSL_get_pending_cipher)
NOTHING(BIO_write)
NOTHING(BIO_read)
NOTHING(ERR_peek_error)
NOTHING(SSL_get_error)
NOTHING(SSL_get_shutdown)
NOTHING(SSL_get_rbio)
NOTHING(SSL_get_wbio)
NOTHING(BIO_clear_flags)
NOTHING(SSL_want)
NOTHING(SSL_CIPHER_get_protocol_id)
NOTHING(SSL_set_session)
NOTHING(SSL_clear)
