/* build: -lssl -lcrypto */
// SPDX-License-Identifier: MIT
/*
 * bg_tls WAY NAME PORT GRACE: wait for an answer over TLS that never comes, and go to the background meanwhile.
 *
 * WAY: read, read_ex (blocking), poll (non-blocking), write (until the peer's window is full)
 * Prints "WAY ERROR ERRNO late US": what SSL_get_error() and errno say, and how long after the end of the grace,
 * which is GRACE ms; then "then ERROR ERRNO" of a second call, and how many calls the wait took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#pragma weak netleash_set_background
int netleash_set_background(_Bool away);

static struct {
	volatile int waits;
	volatile long away_us;
} *shared;
static int calls;

static long us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static const char *name(SSL *ssl, int ret)
{
	switch (SSL_get_error(ssl, ret)) {
	case SSL_ERROR_SYSCALL:
		return "SYSCALL";
	case SSL_ERROR_SSL:
		return "SSL";
	case SSL_ERROR_WANT_READ:
		return "WANT_READ";
	case SSL_ERROR_WANT_WRITE:
		return "WANT_WRITE";
	case SSL_ERROR_ZERO_RETURN:
		return "ZERO_RETURN";
	case SSL_ERROR_NONE:
		return "NONE";
	}
	return "?";
}

static int once(SSL *ssl, const char *way)
{
	static char buf[65536];
	size_t len;

	calls++;
	errno = 0;
	if (strcmp(way, "read_ex") == 0)
		return SSL_read_ex(ssl, buf, sizeof(buf), &len);
	if (strcmp(way, "write") == 0)
		return SSL_write(ssl, buf, sizeof(buf));
	return SSL_read(ssl, buf, sizeof(buf));
}

int main(int argc, char *argv[])
{
	char request[512];
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	const char *way = argv[1];
	int fd, ret, error;
	const char *said;
	long late;
	SSL *ssl;

	if (argc < 5 || getaddrinfo(argv[2], argv[3], &hints, &list))
		return 2;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return 3;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_tlsext_host_name(ssl, argv[2]);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		return 4;
	snprintf(request, sizeof(request), "%s /hang HTTP/1.1\r\nHost: %s\r\n%s\r\n",
		 strcmp(way, "write") == 0 ? "POST" : "GET", argv[2],
		 strcmp(way, "write") == 0 ? "Content-Length: 1000000000\r\n" : "");
	SSL_write(ssl, request, strlen(request));
	if (fork() == 0) {
		while (!shared->waits)
			usleep(1000);
		usleep(100000);
		shared->away_us = us();
		_exit(netleash_set_background ? netleash_set_background(1) : 1);
	}
	if (strcmp(way, "poll") == 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	shared->waits = 1;
	for (;;) {
		struct pollfd one = {.fd = fd, .events = POLLIN};

		ret = once(ssl, way);
		error = errno;
		if (strcmp(way, "poll") == 0 && SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ && calls < 1000)
			poll(&one, 1, -1);
		else if (ret <= 0)
			break;
	}
	late = us() - shared->away_us - atol(argv[4]) * 1000;
	said = name(ssl, ret);
	printf("%s %s %s late %ld\n", way, said, error ? strerrorname_np(error) : "0", late);
	ret = once(ssl, way);
	error = errno;
	said = name(ssl, ret);
	printf("then %s %s\n%d calls\n", said, error ? strerrorname_np(error) : "0", calls);
	return 0;
}
