/* build: -lssl -lcrypto -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * TLS over two pipes, with any certificate, beside a connection that stays open: tls_pipe CERT KEY HOST PORT.
 * Says "outer up" once that is up, "pipe TEXT" or "pipe failed CODE".
 */
#include <netdb.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int there[2], back[2];
static const char *cert, *key;

static void *serve(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl;
	char buf[64];
	int got;

	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		exit(2);
	ssl = SSL_new(ctx);
	SSL_set_rfd(ssl, there[0]);
	SSL_set_wfd(ssl, back[1]);
	if (SSL_accept(ssl) == 1) {
		got = SSL_read(ssl, buf, sizeof(buf));
		if (got > 0)
			SSL_write(ssl, buf, got);
	}
	close(back[1]);
	return arg;
}

static void outer(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	struct addrinfo *list;
	int fd;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		exit(2);
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		exit(2);
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, host);
	puts(SSL_connect(ssl) == 1 ? "outer up" : "outer failed");
}

int main(int argc, char **argv)
{
	char buf[64] = "";
	pthread_t thread;
	SSL *ssl;

	if (argc != 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	cert = argv[1];
	key = argv[2];
	if (pipe(there) < 0 || pipe(back) < 0)
		return 2;
	outer(argv[3], argv[4]);
	pthread_create(&thread, NULL, serve, NULL);
	ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_rfd(ssl, back[0]);
	SSL_set_wfd(ssl, there[1]);
	if (SSL_connect(ssl) == 1 && SSL_write(ssl, "TEXT", 4) == 4 && SSL_read(ssl, buf, sizeof(buf) - 1) == 4)
		printf("pipe %s\n", buf);
	else
		printf("pipe failed %ld\n", SSL_get_verify_result(ssl));
	close(there[1]);
	pthread_join(thread, NULL);
	return 0;
}
