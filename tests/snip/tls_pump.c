/* build: -lssl -lcrypto */
/* SPDX-License-Identifier: MIT */
/*
 * What a program may count on of OpenSSL's data calls: tls_pump WAY HOST PORT [PATH]
 *
 *	mode	what SSL_get_mode() shows before and behind the handshake, and that it is set and cleared as asked
 *	peek	an answer by SSL_peek_ex() and SSL_read_ex() alone, 7 bytes at a time; what was looked at is what is read
 *	pending	an answer by a socket that does not block: as long as SSL_pending() promises bytes, they are there
 *	retry	SSL_write() until it does not go on, then a shorter retry, none at all, another place, and more
 *	early	SSL_write() of a request and SSL_peek() without a handshake before them, not blocking
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *host, *path;
static int fd;

static void die(const char *what)
{
	printf("failed %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int dial(const char *at)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;

	if (getaddrinfo(host, at, &hints, &list) != 0)
		die("getaddrinfo");
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		die("connect");
	freeaddrinfo(list);
	return fd;
}

static void wait_for(SSL *ssl, int ret)
{
	const int error = SSL_get_error(ssl, ret);
	struct pollfd p = {.fd = fd, .events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};

	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		die("call");
	if (poll(&p, 1, 20000) != 1)
		die("poll: it stands still");
}

static void ask(SSL *ssl)
{
	char text[512];
	const int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
	int ret;

	while ((ret = SSL_write(ssl, text, len)) <= 0)
		wait_for(ssl, ret);
	if (ret != len)
		die("count");
}

static void mode(SSL *ssl)
{
	const long before = SSL_get_mode(ssl);

	if (SSL_connect(ssl) != 1)
		die("SSL_connect");
	printf("kept %d\n", SSL_get_mode(ssl) == before);
	printf("set %d\n", SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE) == (before | SSL_MODE_ENABLE_PARTIAL_WRITE));
	SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	printf("moving %d\n", (SSL_get_mode(ssl) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0);
	SSL_clear_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	printf("cleared %d\n", SSL_get_mode(ssl) == before);
	ask(ssl);
	printf("asked\n");
}

static void peek(SSL *ssl)
{
	char seen[7], got[7];
	size_t looked, n;

	ask(ssl);
	while (SSL_peek_ex(ssl, seen, sizeof(seen), &looked)) {
		if (!SSL_read_ex(ssl, got, sizeof(got), &n) || n < looked || memcmp(seen, got, looked) != 0)
			die("peek and read");
		fwrite(got, 1, n, stdout);
	}
}

static void pending(SSL *ssl)
{
	char got[100];
	int n, promised = 0;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ask(ssl);
	for (;;) {
		n = SSL_read(ssl, got, promised && promised < 100 ? (size_t)promised : sizeof(got));
		if (n > 0)
			fwrite(got, 1, (size_t)n, stdout);
		else if (promised)
			die("a promised byte");
		else if (SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN || SSL_get_error(ssl, n) == SSL_ERROR_SSL)
			return;
		else
			wait_for(ssl, n);
		promised = SSL_pending(ssl);
		if (promised > 0 && !SSL_has_pending(ssl))
			die("SSL_has_pending");
	}
}

static void complain(const char *what, SSL *ssl, int ret)
{
	const int error = SSL_get_error(ssl, ret);

	printf("%s %d %s\n", what, error, ERR_reason_error_string(ERR_get_error()));
}

static void retry(SSL *ssl)
{
	static char text[20000], moved[20001];
	const int head = snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 99000000\r\n\r\n", path, host);
	int ret, sent = 0;

	if (SSL_connect(ssl) != 1)
		die("SSL_connect");
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	memset(text + head, 'x', sizeof(text) - (size_t)head);
	while ((ret = SSL_write(ssl, text, sizeof(text))) > 0 && sent < 90000000)
		sent += ret;
	printf("stuck %d\n", SSL_get_error(ssl, ret));
	ERR_clear_error();
	ret = SSL_write(ssl, text, sizeof(text) - 1);
	complain("shorter", ssl, ret);
	ERR_clear_error();
	ret = SSL_write(ssl, text, 0);
	complain("none", ssl, ret);
	ERR_clear_error();
	memcpy(moved, text, sizeof(text));
	memset(text, 0, sizeof(text));
	moved[sizeof(text)] = 'x';
	ret = SSL_write(ssl, moved, sizeof(moved));
	printf("moved %d\n", SSL_get_error(ssl, ret));
}

static void early(SSL *ssl)
{
	char got[2000];
	int n;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ask(ssl);
	while ((n = SSL_peek(ssl, got, sizeof(got))) <= 0)
		wait_for(ssl, n);
	while ((n = SSL_read(ssl, got, sizeof(got))) > 0 || SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ)
		if (n > 0)
			fwrite(got, 1, (size_t)n, stdout);
		else
			wait_for(ssl, n);
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const struct {
		const char *name;
		void (*run)(SSL *ssl);
	} ways[] = {{"mode", mode}, {"peek", peek}, {"pending", pending}, {"retry", retry}, {"early", early}};
	SSL *ssl;

	if (argc < 4 || !ctx)
		return 2;
	host = argv[2];
	path = argc > 4 ? argv[4] : "/";
	ssl = SSL_new(ctx);
	SSL_set_tlsext_host_name(ssl, host);
	SSL_set_fd(ssl, dial(argv[3]));
	SSL_set_connect_state(ssl);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, argv[1]) == 0)
			ways[i].run(ssl);
	fflush(stdout);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return 0;
}
