/* build: -lssl -lcrypto */
/* SPDX-License-Identifier: MIT */
/*
 * What a program may try so that OpenSSL believes any server, one way a run:
 *
 *	tls_openssl WAY HOST PORT [FILE]
 *
 * Prints "got STATUS-LINE" for an answer, else "failed CALL SSL_get_error VERIFY-RESULT ERROR-TEXT"; then
 * facts about what it saw, one a line. HOST may be an address; TLS_NAME in the environment is then
 * the server name.
 */
#include <netdb.h>
#include <setjmp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *way, *host, *port, *file;
static int infos, verifies, started, finished;

static int is(const char *name)
{
	return strcmp(way, name) == 0;
}

static int dial(const char *to, const char *at)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int fd;

	if (getaddrinfo(to, at, &hints, &list) != 0)
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

static const char *name_of(void)
{
	const char *name = getenv("TLS_NAME");

	return name ? name : host;
}

static void failed(const char *call, SSL *ssl, int ret)
{
	const int error = ssl ? SSL_get_error(ssl, ret) : -1;
	const unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	printf("failed %s %d %ld %s\n", call, error, ssl ? SSL_get_verify_result(ssl) : -1L,
	       reason ? reason : "-");
}

static int yes(int ok, X509_STORE_CTX *store)
{
	verifies++;
	(void)ok, (void)store;
	return 1;
}

static int all_good(X509_STORE_CTX *store, void *arg)
{
	verifies++;
	if (strcmp(arg, "argument") != 0)
		abort();
	(void)store;
	return 1;
}


static void note(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	infos++;
	started += where == SSL_CB_HANDSHAKE_START;
	finished += where == SSL_CB_HANDSHAKE_DONE;
}

static jmp_buf out;

static int jump(X509_STORE_CTX *store, void *arg)
{
	(void)store, (void)arg;
	longjmp(out, 1);
}

static void jump_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	if (is("jump-start") ? where == SSL_CB_HANDSHAKE_START :
	    is("jump-done")  ? where == SSL_CB_HANDSHAKE_DONE :
			       where == SSL_CB_CONNECT_LOOP)
		longjmp(out, 1);
}

/* A verification of its own in the middle of the handshake, which says that it is this SSL's, with a good
 * chain from a file */
static void own_store(const SSL *ssl, int where, int ret)
{
	static int done;
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	BIO *in = BIO_new_file(file, "r");
	STACK_OF(X509) *others = sk_X509_new_null();
	X509 *leaf, *cert;

	(void)ret;
	if (where != SSL_CB_CONNECT_LOOP || SSL_get_state(ssl) != TLS_ST_CR_SRVR_HELLO || done++)
		return;
	leaf = PEM_read_bio_X509(in, NULL, NULL, NULL);
	while ((cert = PEM_read_bio_X509(in, NULL, NULL, NULL)))
		sk_X509_push(others, cert);
	ERR_clear_error();
	X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), leaf, others);
	X509_STORE_CTX_set_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx(), (void *)ssl);
	X509_verify_cert(store);
	printf("own verification %d\n", X509_STORE_CTX_get_error(store));
	ERR_clear_error();
}

static unsigned int psk(SSL *ssl, const char *hint, char *identity, unsigned int identity_size,
			unsigned char *key, unsigned int key_size)
{
	(void)ssl, (void)hint, (void)key_size;
	snprintf(identity, identity_size, "Client_identity");
	memset(key, 0x1a, 16);
	return 16;
}

static void ask(SSL *ssl)
{
	char request[256], answer[4096];
	int ret;

	snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", way,
		 name_of());
	ret = SSL_write(ssl, request, (int)strlen(request));
	if (ret <= 0) {
		failed("SSL_write", ssl, ret);
		ret = SSL_read(ssl, answer, sizeof(answer));
		printf("read %d\n", ret);
		return;
	}
	ret = SSL_read(ssl, answer, sizeof(answer) - 1);
	if (ret <= 0) {
		failed("SSL_read", ssl, ret);
		return;
	}
	answer[ret] = '\0';
	printf("got %.15s\n", answer);
}

/* A handshake and a request over @ssl; the socket goes with it. */
static int talk(SSL *ssl, int fd)
{
	int ret;

	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, name_of());
	ERR_clear_error();
	if (is("implicit")) {
		SSL_set_connect_state(ssl);
	} else {
		ret = is("handshake") ? (SSL_set_connect_state(ssl), SSL_do_handshake(ssl)) : SSL_connect(ssl);
		if (ret != 1) {
			failed(is("handshake") ? "SSL_do_handshake" : "SSL_connect", ssl, ret);
			return -1;
		}
	}
	ask(ssl);
	return 0;
}

/* The socket is the program's, OpenSSL sees memory alone. */
static void memory(SSL *ssl, int fd)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char buf[16384], request[256];
	int ret, sent = 0;
	ssize_t got;

	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_set_tlsext_host_name(ssl, name_of());
	snprintf(request, sizeof(request), "GET /memory HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name_of());
	for (;;) {
		ERR_clear_error();
		if (!SSL_is_init_finished(ssl)) {
			ret = SSL_do_handshake(ssl);
		} else if (!sent) {
			ret = SSL_write(ssl, request, (int)strlen(request));
			sent = ret > 0;
		} else {
			ret = SSL_read(ssl, buf, sizeof(buf) - 1);
			if (ret > 0) {
				buf[ret] = '\0';
				printf("got %.15s\n", buf);
				return;
			}
		}
		const int error = SSL_get_error(ssl, ret);

		if (ret <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			failed("memory", ssl, ret);
		while ((got = BIO_read(out, buf, sizeof(buf))) > 0)
			if (send(fd, buf, (size_t)got, MSG_NOSIGNAL) != got) {
				printf("send failed\n");
				return;
			}
		if (ret <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return;
		if (ret > 0)
			continue;
		got = recv(fd, buf, sizeof(buf), 0);
		if (got <= 0) {
			printf("recv failed\n");
			return;
		}
		BIO_write(in, buf, (int)got);
	}
}

/* Not one SSL_* data call is made. */
static void by_bio(SSL_CTX *ctx)
{
	BIO *bio = BIO_new_ssl_connect(ctx);
	char to[300], buf[4096];
	SSL *ssl = NULL;
	int ret;

	BIO_get_ssl(bio, &ssl);
	SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
	SSL_set_tlsext_host_name(ssl, name_of());
	snprintf(to, sizeof(to), "%s:%s", host, port);
	BIO_set_conn_hostname(bio, to);
	snprintf(buf, sizeof(buf), "GET /bio HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name_of());
	ret = BIO_puts(bio, buf);
	if (ret <= 0) {
		failed("BIO_puts", ssl, ret);
		return;
	}
	ret = BIO_read(bio, buf, sizeof(buf) - 1);
	if (ret <= 0) {
		failed("BIO_read", ssl, ret);
		return;
	}
	buf[ret] = '\0';
	printf("got %.15s\n", buf);
	BIO_free_all(bio);
}

static SSL_SESSION *kept;

static int keep(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	if (kept)
		SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

static SSL_SESSION *through_der(SSL_SESSION *session)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	const int len = i2d_SSL_SESSION(session, &der);

	at = der;
	return d2i_SSL_SESSION(NULL, &at, len);
}

static SSL_SESSION *through_pem(SSL_SESSION *session)
{
	BIO *memory = BIO_new(BIO_s_mem());

	PEM_write_bio_SSL_SESSION(memory, session);
	return PEM_read_bio_SSL_SESSION(memory, NULL, NULL, NULL);
}

/* A first handshake leaves a session; the second one is given it. FILE: where one lies already */
static void sessions(SSL_CTX *ctx)
{
	SSL *ssl;
	SSL_SESSION *session;
	BIO *in;

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep);
	if (file) {
		in = BIO_new_file(file, "r");
		session = PEM_read_bio_SSL_SESSION(in, NULL, NULL, NULL);
	} else {
		ssl = SSL_new(ctx);
		if (talk(ssl, dial(host, port)) < 0)
			return;
		if (strncmp(way, "session-take", 12) == 0)
			keep(ssl, SSL_get1_session(ssl));	/* not the one that a callback was handed */
		SSL_shutdown(ssl);
		SSL_free(ssl);
		if (!kept) {
			printf("no session\n");
			return;
		}
		session = is("session-der") || is("session-take")  ? through_der(kept)
			  : is("session-take-pem") ? through_pem(kept)
						   : kept;
	}
	ssl = SSL_new(ctx);
	if (getenv("TLS_OTHER"))
		host = getenv("TLS_OTHER");
	printf("set %d\n", SSL_set_session(ssl, session));
	if (talk(ssl, dial(host, port)) == 0)
		printf("reused %d\n", SSL_session_reused(ssl));
	SSL_free(ssl);
}

/* Out of the first handshake by a callback's longjmp(), then another with the same context */
static void jumps(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	if (is("jump-verify"))
		SSL_CTX_set_cert_verify_callback(ctx, jump, NULL);
	else
		SSL_set_info_callback(ssl, jump_info);
	if (setjmp(out) == 0) {
		talk(ssl, dial(host, port));
	} else {
		printf("jumped\n");
		ERR_clear_error();
		SSL_free(ssl);
		SSL_CTX_set_cert_verify_callback(ctx, NULL, NULL);
		ssl = SSL_new(ctx);
		talk(ssl, dial(host, port));
	}
	SSL_CTX_set_cert_verify_callback(ctx, NULL, NULL);
	host = getenv("TLS_OTHER");
	talk(SSL_new(ctx), dial(host, port));
}

/* A new SSL where a freed one was */
static void freed(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx), *again[1000];
	int i = 0;

	talk(ssl, dial(host, port));
	SSL_free(ssl);
	do {
		again[i] = SSL_new(ctx);
	} while (again[i] != ssl && ++i < 999);
	printf("same place %d\n", again[i] == ssl);
	host = getenv("TLS_OTHER");
	talk(again[i], dial(host, port));
}

int main(int argc, char *argv[])
{
	SSL_CTX *ctx;
	SSL *ssl;
	size_t size;

	if (argc < 4)
		return 2;
	way = argv[1];
	host = argv[2];
	port = argv[3];
	file = argv[4];
	setvbuf(stdout, NULL, _IOLBF, 0);
	ctx = SSL_CTX_new(is("old-method") ? TLSv1_1_client_method() : TLS_client_method());
	if (!ctx) {
		printf("no context\n");
		return 1;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (is("callback"))
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, yes);
	if (is("own-ca")) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_load_verify_locations(ctx, file, NULL) != 1)
			return 2;
	}
	if (is("verify-callback"))
		SSL_CTX_set_cert_verify_callback(ctx, all_good, (void *)"argument");
	if (is("info")) {
		SSL_CTX_set_info_callback(ctx, note);
		if (SSL_CTX_get_info_callback(ctx) != note)
			printf("another callback on the context\n");
	}
	if (is("anonymous")) {
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(ctx, "aNULL:@SECLEVEL=0");
	}
	if (is("psk")) {
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(ctx, "PSK:@SECLEVEL=0");
		SSL_CTX_set_psk_client_callback(ctx, psk);
	}
	if (is("old") || is("old-method")) {
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
		SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	}
	if (is("bio")) {
		by_bio(ctx);
		return 0;
	}
	if (strncmp(way, "jump", 4) == 0 || is("freed")) {
		(is("freed") ? freed : jumps)(ctx);
		return 0;
	}
	if (is("own-store"))
		SSL_CTX_set_info_callback(ctx, own_store);
	if (strncmp(way, "session", 7) == 0) {
		sessions(ctx);
		return 0;
	}
	ssl = SSL_new(ctx);
	if (is("memory")) {
		memory(ssl, dial(host, port));
		return 0;
	}
	if (is("info")) {
		printf("on the SSL %d\n", SSL_get_info_callback(ssl) != NULL);
		SSL_set_info_callback(ssl, note);
		if (SSL_get_info_callback(ssl) != note)
			printf("another callback on the SSL\n");
		SSL_set_info_callback(ssl, NULL);
		if (SSL_get_info_callback(ssl))
			printf("a callback where there is none\n");
		SSL_set_info_callback(ssl, note);
	}
	if (is("early")) {
		SSL_set_fd(ssl, dial(host, port));
		SSL_set_connect_state(ssl);
		SSL_set_tlsext_host_name(ssl, name_of());
		printf("early %d\n", SSL_write_early_data(ssl, "GET / HTTP/1.0\r\n\r\n", 18, &size));
		failed("SSL_write_early_data", ssl, 0);
		return 0;
	}
	if (talk(ssl, dial(host, port)) == 0 && is("sendfile")) {
		printf("sendfile %zd\n", SSL_sendfile(ssl, 0, 0, 10, 0));
		failed("SSL_sendfile", ssl, -1);
	}
	if (is("reuse")) {
		/* The same object, another server */
		host = getenv("TLS_OTHER");
		SSL_clear(ssl);
		talk(ssl, dial(host, port));
	}
	if (is("dup")) {
		SSL *copy = SSL_dup(ssl);

		host = getenv("TLS_OTHER");
		SSL_clear(copy);
		talk(copy, dial(host, port));
	}
	if (is("callback") || is("verify-callback"))
		printf("verified %d\n", verifies > 0);
	if (is("info"))
		printf("infos %d started %d finished %d\n", infos > 5, started, finished);
	return 0;
}
