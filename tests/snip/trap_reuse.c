/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Numbers that libc closed behind the hooks' back, and what gets them next (fclose() closes inside
 * libc): a file must be a file again, a socket must be judged again.
 *
 *	trap_reuse NAME		a listed host, where TLS is required on 443
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "run_from.h"

static const char *name;

static int listed(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (getaddrinfo(name, "443", &hints, &list) != 0 ||
	    connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		exit(3);
	freeaddrinfo(list);
	return fd;
}

static int denied(void)
{
	int fd = listed();

	if (write(fd, "plain", 5) >= 0)
		exit(4);
	return fd;
}

static int neighbour(void)
{
	struct sockaddr_in peer = run_from_addr(0, 9000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 || write(fd, "x", 1) != 1)
		exit(5);
	return fd;
}

static int fresh_stream(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int fresh_datagram(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

static int used_datagram(void)
{
	struct sockaddr_in peer = run_from_addr(0, 9001);
	int fd = fresh_datagram();

	sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
	return fd;
}

static int connected_datagram(void)
{
	struct sockaddr_in peer = run_from_addr(0, 9001);
	int fd = fresh_datagram();

	connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	return fd;
}

static const struct {
	const char *name;
	int (*make)(void);
} before[] = {
	{"fresh stream", fresh_stream}, {"fresh datagram", fresh_datagram},
	{"used datagram", used_datagram}, {"connected datagram", connected_datagram},
	{"listed host", listed}, {"refused", denied}, {"neighbour", neighbour},
};

static const char *label;
static void expect(const char *what, int condition)
{
	if (!condition)
		printf("%s, then %s: wrong (%s)\n", label, what, strerrorname_np(errno));
}

/* @fd, closed where no hook sees it */
static void hide(int fd)
{
	fclose(fdopen(fd, "r"));
}

int main(int argc, char **argv)
{
	name = argc > 1 ? argv[1] : "api.example.com";
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		struct iovec iov[2] = {{"ab", 2}, {"cd", 2}};
		struct sockaddr_in evil = run_from_addr(1, 9000), far = run_from_addr(1, 9001);
		char back[8];
		int fd, now, pair[2];

		label = before[i].name;

		/* A file, by each call that a socket knows as well */
		hide(fd = before[i].make());
		now = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		expect("the same number", now == fd);
		expect("write", write(now, "1234", 4) == 4);
		expect("writev", writev(now, iov, 2) == 4);
		expect("pwritev2", pwritev2(now, iov, 2, -1, 0) == 4);
		expect("lseek", lseek(now, 0, SEEK_SET) == 0);
		expect("read", read(now, back, 8) == 8 && memcmp(back, "1234abcd", 8) == 0);
		expect("send", send(now, "x", 1, 0) < 0 && errno == ENOTSOCK);
		expect("recv", recv(now, back, 1, 0) < 0 && errno == ENOTSOCK);
		expect("getsockopt", getsockopt(now, SOL_SOCKET, SO_TYPE, back, &(socklen_t){4}) < 0 &&
					     errno == ENOTSOCK);
		close(now);

		/* Read first: nothing has looked at it since. */
		hide(fd = before[i].make());
		now = open("/etc/hostname", O_RDONLY);
		expect("read first", now == fd && read(now, back, 1) == 1);
		close(now);

		/* A socket of this machine, with an address of its own */
		hide(fd = before[i].make());
		now = socket(AF_UNIX, SOCK_DGRAM, 0);
		expect("a local datagram", now == fd && sendto(now, "x", 1, 0, (struct sockaddr *)
				&(struct sockaddr){AF_UNIX, "/nowhere"}, 12) < 0 && errno == ENOENT);
		close(now);
		hide(fd = before[i].make());
		expect("a pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
				 write(pair[0], "x", 1) == 1 && read(pair[1], back, 1) == 1 &&
				 write(pair[1], "x", 1) == 1 && recv(pair[0], back, 1, 0) == 1);
		close(pair[0]);
		close(pair[1]);
		hide(fd = before[i].make());
		expect("a pipe", pipe(pair) == 0 && write(pair[1], "x", 1) == 1 && read(pair[0], back, 1) == 1);
		close(pair[0]);
		close(pair[1]);

		/* freopen(): the number stays, the file changes inside libc. */
		fd = before[i].make();
		{
			FILE *file = freopen("/dev/null", "w", fdopen(fd, "r"));

			expect("freopen", file && write(fileno(file), "x", 1) == 1);
			fclose(file);
		}

		/* Other sockets: judged for themselves */
		hide(fd = before[i].make());
		now = socket(AF_INET, SOCK_STREAM, 0);
		expect("a refused connection", connect(now, (struct sockaddr *)&evil, sizeof(evil)) < 0 &&
					       errno == EACCES);
		close(now);
		hide(fd = before[i].make());
		now = socket(AF_INET, SOCK_DGRAM, 0);
		expect("a refused datagram", sendto(now, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)) < 0 &&
					     errno == EACCES);
		close(now);
		hide(fd = before[i].make());
		now = listed();
		expect("plain bytes to a listed host", now == fd && write(now, "plain", 5) < 0 && errno == EACCES);
		close(now);
		hide(fd = before[i].make());
		now = neighbour();
		expect("a neighbour", now == fd);
		close(now);
	}
	puts("done");
	return 0;
}
