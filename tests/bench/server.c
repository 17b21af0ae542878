/* SPDX-License-Identifier: MIT */
/*
 * The far side: PORT gives back what it gets, PORT + 1 reads and forgets, and UDP PORT forgets.
 *
 *	server ADDR PORT [CPU]
 *
 * Goes into a network namespace of its own first, prints its process id, and listens when a line
 * comes in: by then the caller has made the interfaces. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUF (256 << 10)

static int epoll_fd;
static char buf[BUF];

static void die(const char *what)
{
	fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
	exit(1);
}

enum kind { ECHO, SINK, DATAGRAM, LISTEN_ECHO, LISTEN_SINK, INPUT };

static void watch(int fd, enum kind kind)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u64 = (uint64_t)kind << 32 | (uint32_t)fd,
	};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void open_port(const char *addr, int port, int type, enum kind kind)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	const int fd = socket(AF_INET, type, 0), on = 1;

	if (inet_pton(AF_INET, addr, &at.sin_addr) != 1)
		die(addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		die("listen");
	watch(fd, kind);
}

static void echo(int fd, ssize_t len)
{
	for (ssize_t sent = 0; sent < len;) {
		const ssize_t ret = send(fd, buf + sent, (size_t)(len - sent), MSG_NOSIGNAL);

		if (ret <= 0)
			return;
		sent += ret;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	const int on = 1;

	if (argc < 3) {
		fprintf(stderr, "usage: server ADDR PORT [CPU]\n");
		return 100;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 3) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)atoi(argv[3]), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){20000, 20000});	/* else many connections wait for ever */
	if (unshare(CLONE_NEWNET) < 0)
		die("unshare");
	printf("%d\n", (int)getpid());
	fflush(stdout);
	if (read(0, buf, 1) != 1)
		return 0;
	epoll_fd = epoll_create1(0);
	open_port(argv[1], atoi(argv[2]), SOCK_STREAM, LISTEN_ECHO);
	open_port(argv[1], atoi(argv[2]) + 1, SOCK_STREAM, LISTEN_SINK);
	open_port(argv[1], atoi(argv[2]), SOCK_DGRAM, DATAGRAM);
	watch(0, INPUT);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		const int count = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < count; i++) {
			const enum kind kind = (enum kind)(events[i].data.u64 >> 32);
			const int fd = (int)(uint32_t)events[i].data.u64;
			ssize_t got;
			int one;

			if (kind == LISTEN_ECHO || kind == LISTEN_SINK) {
				one = accept(fd, NULL, NULL);
				if (one >= 0) {
					setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
					watch(one, kind == LISTEN_ECHO ? ECHO : SINK);
				}
				continue;
			}
			got = read(fd, buf, kind == ECHO ? 16384 : BUF);
			if (got <= 0 && kind == INPUT)
				return 0;
			if (got <= 0 && kind != DATAGRAM)
				close(fd);
			else if (kind == ECHO)
				echo(fd, got);
		}
	}
}
