/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL at both ends.
 *
 *	tls serve ADDR PORT CERTIFICATE KEY	a process for each connection; what it says is given back,
 *						and POST asks for nothing back, GET /down for all there is
 *	tls time handshake|small|bulk|down MS	ns an operation, to $BENCH_TLS_HOST $BENCH_TLS_PORT
 *	tls first				us of the first handshake of this process
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BULK 16384

static char buf[BULK];

static void die(const char *what)
{
	fprintf(stderr, "tls: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A body without an end; the client goes when it has enough */
static void pour(SSL *ssl)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
				   "Content-Length: 1099511627776\r\n\r\n";

	if (SSL_write(ssl, head, sizeof(head) - 1) <= 0)
		return;
	while (SSL_write(ssl, buf, sizeof(buf)) > 0)
		;
}

/* Requests "GET" are answered with 1 KiB, "POST" bodies are swallowed until the connection ends. */
static void talk(SSL *ssl)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
				     "Content-Length: 1024\r\n\r\n";
	char out[sizeof(answer) - 1 + 1024] = {0};
	bool swallow = false;

	memcpy(out, answer, sizeof(answer) - 1);
	if (SSL_accept(ssl) != 1)
		return;
	for (int got; (got = SSL_read(ssl, buf, sizeof(buf))) > 0;) {
		if (memcmp(buf, "GET /down", 9) == 0)
			pour(ssl);
		else if (buf[0] == 'P' && !swallow)
			swallow = true;
		else if (!swallow && SSL_write(ssl, out, sizeof(out)) <= 0)
			return;
	}
}

static int serve(char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1)
		die("certificate");
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	if (inet_pton(AF_INET, argv[0], &at.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 512) < 0)
		die("listen");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		const int one = accept(fd, NULL, NULL);

		if (one < 0)
			continue;
		setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fork() == 0) {
			SSL *ssl = SSL_new(ctx);

			close(fd);
			SSL_set_fd(ssl, one);
			talk(ssl);
			_exit(0);
		}
		close(one);
	}
}

static SSL_CTX *context;

static SSL *dial(void)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	const char *host = getenv("BENCH_TLS_HOST");
	struct addrinfo *list;
	SSL *ssl = SSL_new(context);
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (getaddrinfo(host, getenv("BENCH_TLS_PORT"), &hints, &list) != 0 ||
	    connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		die("connect");
	freeaddrinfo(list);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, host);
	SSL_set1_host(ssl, host);
	if (SSL_connect(ssl) != 1)
		die("SSL_connect");
	return ssl;
}

static void hang_up(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

static SSL *kept;

static void do_handshake(void)
{
	hang_up(dial());
}

static void do_small(void)
{
	static const char request[] = "GET /index HTTP/1.1\r\nHost: tls.example.com\r\n"
				      "User-Agent: bench/1\r\nAccept: */*\r\n\r\n";
	int got = 0;

	if (SSL_write(kept, request, sizeof(request) - 1) <= 0)
		die("SSL_write");
	while (got < 1024) {
		const int ret = SSL_read(kept, buf, sizeof(buf));

		if (ret <= 0)
			die("SSL_read");
		got += ret;
	}
}

static void do_bulk(void)
{
	if (SSL_write(kept, buf, sizeof(buf)) != sizeof(buf))
		die("SSL_write");
}

static void do_down(void)
{
	for (int got = 0; got < (int)sizeof(buf);) {
		const int ret = SSL_read(kept, buf, (int)sizeof(buf) - got);

		if (ret <= 0)
			die("SSL_read");
		got += ret;
	}
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#define CHUNKS_MAX 100000

static int measure(const char *row, int64_t for_ns)
{
	static const char post[] = "POST /upload HTTP/1.1\r\nHost: tls.example.com\r\n"
				   "Content-Length: 1099511627776\r\n\r\n";
	static const char get[] = "GET /down HTTP/1.1\r\nHost: tls.example.com\r\n\r\n";
	void (*run)(void) = strcmp(row, "handshake") == 0 ? do_handshake
			    : strcmp(row, "small") == 0	  ? do_small
			    : strcmp(row, "down") == 0	  ? do_down
							  : do_bulk;
	static double chunks[CHUNKS_MAX];
	uint64_t size = 1;
	int64_t start;
	size_t n = 0;

	if (run != do_handshake)
		kept = dial();
	if (run == do_down && SSL_write(kept, get, sizeof(get) - 1) <= 0)
		die("SSL_write");
	if (run == do_bulk && SSL_write(kept, post, sizeof(post) - 1) <= 0)
		die("SSL_write");
	start = now_ns();
	for (;;) {
		const int64_t from = now_ns();
		int64_t spent;

		for (uint64_t i = 0; i < size; i++)
			run();
		spent = now_ns() - from;
		if (from - start < for_ns / 4) {
			if (spent < 250000)
				size *= 2;
			continue;
		}
		chunks[n++] = (double)spent / (double)size;
		if (from - start > for_ns * 5 / 4 || n == CHUNKS_MAX)
			break;
	}
	qsort(chunks, n, sizeof(*chunks), by_size);
	printf("%.2f\n", chunks[n / 4]);	/* as the other client does it, and says why */
	return 0;
}

int main(int argc, char **argv)
{
	int64_t start;

	if (getenv("BENCH_CPU")) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)atoi(getenv("BENCH_CPU")), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	if (argc == 6 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_default_verify_paths(context);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (argc == 4 && strcmp(argv[1], "time") == 0)
		return measure(argv[2], atoll(argv[3]) * 1000000);
	if (argc == 2 && strcmp(argv[1], "first") == 0) {
		start = now_ns();
		hang_up(dial());
		printf("%.2f\n", (double)(now_ns() - start) / 1000);
		return 0;
	}
	fprintf(stderr, "usage: tls serve ADDR PORT CERT KEY | time ROW MS | first\n");
	return 100;
}
