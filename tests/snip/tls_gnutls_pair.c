/* build: -ldl -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * GnuTLS with itself over a local pair of sockets, with any certificate, beside a connection that stays open:
 * tls_gnutls_pair CERT KEY [HOST PORT]. Says "outer up" once that is up, then "pair TEXT" or "pair failed CODE", then
 * "memory TEXT" or "memory failed CODE" for one whose bytes this program moves.
 *
 * The library is opened, and what of it is used is declared here: no headers are needed to build this.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER 1
#define CLIENT 2

static void *lib;
static const char *cert, *key;
static int ends[2];

/* All of them return int or nothing, and take pointers and integers. */
static long call(const char *name, long a, long b, long c, long d)
{
	long (*function)(long, long, long, long) = (long (*)(long, long, long, long))dlsym(lib, name);

	if (!function) {
		printf("no %s\n", name);
		exit(2);
	}
	return (int)function(a, b, c, d);
}

static void *session(int kind, const char *host)
{
	void *ret, *credentials;

	call("gnutls_init", (long)&ret, kind, 0, 0);
	call("gnutls_set_default_priority", (long)ret, 0, 0, 0);
	call("gnutls_certificate_allocate_credentials", (long)&credentials, 0, 0, 0);
	if (kind == SERVER &&
	    call("gnutls_certificate_set_x509_key_file", (long)credentials, (long)cert, (long)key, 1) < 0)
		exit(2);
	call("gnutls_credentials_set", (long)ret, 1, (long)credentials, 0);
	if (host)
		call("gnutls_server_name_set", (long)ret, 1, (long)host, (long)strlen(host));
	return ret;
}

static long handshake(void *of)
{
	long ret;

	do {
		ret = call("gnutls_handshake", (long)of, 0, 0, 0);
	} while (ret == -28 || ret == -52);	/* GNUTLS_E_AGAIN, GNUTLS_E_INTERRUPTED */
	return ret;
}

static void *serve(void *arg)
{
	void *of = session(SERVER, NULL);
	char buf[64];
	long got;

	call("gnutls_transport_set_int2", (long)of, ends[1], ends[1], 0);
	if (handshake(of) == 0) {
		got = call("gnutls_record_recv", (long)of, (long)buf, sizeof(buf), 0);
		if (got > 0)
			call("gnutls_record_send", (long)of, (long)buf, got, 0);
	}
	close(ends[1]);
	return arg;
}

static void outer(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	void *of = session(CLIENT, host);
	struct addrinfo *list;
	int fd;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		exit(2);
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		exit(2);
	call("gnutls_transport_set_int2", (long)of, fd, fd, 0);
	puts(handshake(of) == 0 ? "outer up" : "outer failed");
}

static ssize_t pull(void *at, void *buf, size_t len)
{
	return read(*(int *)at, buf, len);
}

static ssize_t push(void *at, const void *buf, size_t len)
{
	return write(*(int *)at, buf, len);
}

static int wait_for(void *at, unsigned int ms)
{
	return 1;
}

static void inner(const char *what, int moved)
{
	void *of = session(CLIENT, "own.example.net");
	char buf[64] = "";
	pthread_t thread;
	long ret;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	pthread_create(&thread, NULL, serve, NULL);
	if (moved) {
		call("gnutls_transport_set_ptr", (long)of, (long)&ends[0], 0, 0);
		call("gnutls_transport_set_pull_function", (long)of, (long)pull, 0, 0);
		call("gnutls_transport_set_push_function", (long)of, (long)push, 0, 0);
		call("gnutls_transport_set_pull_timeout_function", (long)of, (long)wait_for, 0, 0);
	} else {
		call("gnutls_transport_set_int2", (long)of, ends[0], ends[0], 0);
	}
	ret = handshake(of);
	if (ret == 0 && call("gnutls_record_send", (long)of, (long)"TEXT", 4, 0) == 4 &&
	    call("gnutls_record_recv", (long)of, (long)buf, sizeof(buf) - 1, 0) == 4)
		printf("%s %s\n", what, buf);
	else
		printf("%s failed %ld\n", what, ret);
	close(ends[0]);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 && argc != 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	lib = dlopen("libgnutls.so.30", RTLD_NOW);
	if (!lib) {
		puts("no GnuTLS");
		return 77;
	}
	cert = argv[1];
	key = argv[2];
	if (argc == 5)
		outer(argv[3], argv[4]);
	inner("pair", 0);
	inner("memory", 1);
	return 0;
}
