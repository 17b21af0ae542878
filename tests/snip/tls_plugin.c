/* build: -shared -fPIC -lssl -lcrypto -ldl */
/* SPDX-License-Identifier: MIT */
/* The plug-in of tls_scope: linked with OpenSSL, which the program is not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int dial(const char *to, const char *at)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int fd;

	if (getaddrinfo(to, at, &hints, &list) != 0)
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return -1;
	return fd;
}

/* @how: 0 as linked, 1 RTLD_DEFAULT, 2 RTLD_NEXT */
int plugin_talk(const char *host, const char *port, int how)
{
	int (*go)(SSL *) = SSL_connect;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char buf[4096];
	int ret;

	if (how)
		go = dlsym(how == 1 ? RTLD_DEFAULT : RTLD_NEXT, "SSL_connect");
	if (!go) {
		printf("no SSL_connect\n");
		return 1;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_set_fd(ssl, dial(host, port));
	SSL_set_tlsext_host_name(ssl, host);
	if (go(ssl) != 1) {
		printf("failed SSL_connect %s\n", ERR_reason_error_string(ERR_peek_error()));
		return 1;
	}
	snprintf(buf, sizeof(buf), "GET /plugin HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
	SSL_write(ssl, buf, (int)strlen(buf));
	ret = SSL_read(ssl, buf, sizeof(buf) - 1);
	buf[ret > 0 ? ret : 0] = '\0';
	printf("got %.15s\n", buf);
	return 0;
}
