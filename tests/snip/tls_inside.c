/* build: -l:libssl.a -l:libcrypto.a -ldl -lpthread */
// SPDX-License-Identifier: MIT
/*
 * tls_inside NAME PORT [COUNT [MIN MAX]]: a program with a TLS library of its own inside, which no hook reaches, and
 * which verifies nothing. COUNT requests, each on a connection of its own; says what get.js of tls_opaque.bats says.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int version(const char *name)
{
	return !name ? 0 : strcmp(name, "TLSv1") == 0 ? TLS1_VERSION : strcmp(name, "TLSv1.1") == 0 ? TLS1_1_VERSION :
	       strcmp(name, "TLSv1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

static int failed(void)
{
	printf("failed %s\n", errno ? strerrorname_np(errno) : "ECONNRESET");
	return 1;
}

static int get(SSL_CTX *ctx, const char *name, const char *port)
{
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	char buf[4096], request[512];
	int fd, len, got = 0, status = 0;
	SSL *ssl = SSL_new(ctx);

	errno = 0;
	if (getaddrinfo(name, port, &hints, &list)) {
		puts("failed EAI_FAIL");
		return 1;
	}
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return failed();
	SSL_set_tlsext_host_name(ssl, name);
	SSL_set_fd(ssl, fd);
	errno = 0;
	if (SSL_connect(ssl) != 1)
		return failed();
	len = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\nReferer: mine\r\nConnection: close\r\n\r\n", name);
	errno = 0;
	if (SSL_write(ssl, request, len) != len)
		return failed();
	while (got < (int)sizeof(buf) - 1 && (len = SSL_read(ssl, buf + got, sizeof(buf) - 1 - got)) > 0)
		got += len;
	buf[got] = '\0';
	if (sscanf(buf, "HTTP/1.%*d %d", &status) != 1)
		return failed();
	printf("got %d\n%s", status, strstr(buf, "\r\n\r\n") ? strstr(buf, "\r\n\r\n") + 4 : "");
	SSL_free(ssl);
	close(fd);
	freeaddrinfo(list);
	return 0;
}

int main(int argc, char *argv[])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int bad = 0;

	if (argc < 3)
		return 2;
	SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(ctx, version(argc > 4 ? argv[4] : NULL));
	SSL_CTX_set_max_proto_version(ctx, version(argc > 5 ? argv[5] : NULL));
	if (getenv("CIPHERS") && !SSL_CTX_set_ciphersuites(ctx, getenv("CIPHERS")))
		SSL_CTX_set_cipher_list(ctx, getenv("CIPHERS"));
	for (int i = argc > 3 ? atoi(argv[3]) : 1; i > 0; i--)
		bad |= get(ctx, argv[1], argv[2]);
	return bad;
}
