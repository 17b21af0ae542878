/* build: -lssl -lcrypto */
/* SPDX-License-Identifier: MIT */
/*
 * A client that knows BIOs only: tls_bio HOST:PORT PATH [buffer|own]. It prints what it reads.
 * buffer: BIO_new_buffer_ssl_connect(); own: BIO_new(BIO_f_ssl()) around an SSL of its own
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[3] : "";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char host[256], buf[4096];
	SSL *ssl = NULL;
	BIO *bio, *under;
	int n;

	if (argc < 3 || !ctx)
		return 2;
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(argv[1], ":"), argv[1]);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (strcmp(how, "own") == 0) {
		ssl = SSL_new(ctx);
		SSL_set_connect_state(ssl);
		bio = BIO_new(BIO_f_ssl());
		BIO_set_ssl(bio, ssl, BIO_CLOSE);
		under = BIO_new_connect(argv[1]);
		BIO_push(bio, under);
	} else {
		bio = strcmp(how, "buffer") == 0 ? BIO_new_buffer_ssl_connect(ctx) : BIO_new_ssl_connect(ctx);
		BIO_set_conn_hostname(bio, argv[1]);
		BIO_get_ssl(bio, &ssl);
	}
	SSL_set_tlsext_host_name(ssl, host);
	snprintf(buf, sizeof(buf), "GET %s HTTP/1.1\r\nHost: %s\r\nReferer: mine\r\nConnection: close\r\n\r\n", argv[2], host);
	if (BIO_puts(bio, buf) <= 0 || BIO_flush(bio) <= 0) {
		ERR_print_errors_fp(stderr);
		return 1;
	}
	while ((n = BIO_read(bio, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	BIO_free_all(bio);
	SSL_CTX_free(ctx);
	return 0;
}
