/* build: -lssl -lcrypto */
/* SPDX-License-Identifier: MIT */
/*
 * Renegotiation (TLS 1.2), begun by the server, which shows another certificate the second time:
 *
 *	tls_renegotiate serve ADDRESS PORT FIRST SECOND	one connection; FIRST.pem and .key, then SECOND's
 *	tls_renegotiate get HOST PORT
 *
 * Both print a line for each request or answer, the client "failed CALL SSL_get_error CODE TEXT" too.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void use(SSL *ssl, const char *name)
{
	char file[300];

	snprintf(file, sizeof(file), "%s.pem", name);
	SSL_use_certificate_chain_file(ssl, file);
	snprintf(file, sizeof(file), "%s.key", name);
	SSL_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM);
}

static int serve(char *argv[])
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	const int on = 1;
	char buf[4096];
	SSL *ssl;
	int fd;

	inet_pton(AF_INET, argv[2], &to.sin_addr);
	to.sin_port = htons(atoi(argv[3]));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind(fd, (struct sockaddr *)&to, sizeof(to));
	listen(fd, 1);
	fd = accept(fd, NULL, NULL);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION | SSL_OP_NO_TICKET);
	ssl = SSL_new(ctx);
	use(ssl, argv[4]);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1 || SSL_read(ssl, buf, sizeof(buf)) <= 0)
		return 1;
	printf("request 1\n");
	use(ssl, argv[5]);
	SSL_renegotiate(ssl);
	SSL_do_handshake(ssl);		/* says hello; the rest comes with the reads */
	SSL_write(ssl, "one", 3);
	if (SSL_read(ssl, buf, sizeof(buf)) <= 0)
		return 1;
	printf("request 2\n");
	SSL_write(ssl, "two", 3);
	SSL_shutdown(ssl);
	return 0;
}

static int failed(const char *call, SSL *ssl, int ret)
{
	const int error = SSL_get_error(ssl, ret);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	printf("failed %s %d %ld %s\n", call, error, SSL_get_verify_result(ssl), reason ? reason : "-");
	return 1;
}

static int get(char *argv[])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char buf[256], request[256];
	int fd, ret;

	if (getaddrinfo(argv[2], argv[3], &hints, &list) != 0)
		return 2;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return 2;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, argv[2]);
	snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", argv[2]);
	ret = SSL_connect(ssl);
	if (ret != 1)
		return failed("SSL_connect", ssl, ret);
	for (int i = 0; i < 2; i++) {
		ret = SSL_write(ssl, request, (int)strlen(request));
		if (ret <= 0)
			return failed("SSL_write", ssl, ret);
		ret = SSL_read(ssl, buf, sizeof(buf) - 1);
		if (ret <= 0)
			return failed("SSL_read", ssl, ret);
		buf[ret] = '\0';
		printf("got %s\n", buf);
	}
	return 0;
}

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 6)
		return serve(argv);
	return argc == 4 ? get(argv) : 2;
}
