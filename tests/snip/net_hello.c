/* build: -pthread */
// SPDX-License-Identifier: MIT
/*
 * net_hello WAY HOST PORT SERVER-NAME [OTHER-NAME]: send a ClientHello to HOST (resolved), in pieces.
 *
 * WAY:	whole		one write()
 *	bytes		one write() for each byte
 *	iov		writev(), a vector of seven-byte pieces with empty ones between
 *	sendmsg sendmmsg pwritev2	the same vector
 *	send		send() in three pieces
 *	more		send() in three pieces, MSG_MORE on the first two
 *	records		the message in two TLS records
 *	dup		half by a duplicate of the descriptor
 *	fork		half by a child
 *	changed		a long hello into a small buffer; what is left after the partial send is sent
 *			with OTHER-NAME in it (of the same length as SERVER-NAME)
 *	flip		one write(), while a thread keeps exchanging SERVER-NAME and OTHER-NAME
 * An empty SERVER-NAME sends none. Prints "handshake" or "alert" by what the server answered,
 * "closed", or the errno name with the call that failed; ends with 0 for "handshake".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECES_MAX 1024
#define LONG 15000	/* bytes of padding, RFC 7685: more than a small buffer takes at once */

static unsigned char hello[20000];
static size_t hello_len, name_at, name_len;
static const char *names[2];
static volatile int stop, flips;

static size_t put(size_t at, const void *bytes, size_t len)
{
	memcpy(hello + at, bytes, len);
	return at + len;
}

static size_t put16(size_t at, size_t value)
{
	hello[at] = (unsigned char)(value >> 8);
	hello[at + 1] = (unsigned char)value;
	return at + 2;
}

/* RFC 8446 4.1.2: TLS 1.3 and 1.2, x25519 with a key that is any 32 bytes */
static void make(const char *name, size_t padding)
{
	static const unsigned char suites[] = {0, 8, 0x13, 1, 0x13, 2, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0};
	static const unsigned char fixed[] = {
		0, 10, 0, 6, 0, 4, 0, 29, 0, 23,				/* supported_groups */
		0, 13, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 5, 3,			/* signature_algorithms */
		0, 43, 0, 5, 4, 3, 4, 3, 3,					/* supported_versions */
		0, 11, 0, 2, 1, 0,						/* ec_point_formats */
	};
	size_t at = 9, extensions;

	at = put16(at, 0x0303);
	memset(hello + at, 0x5a, 32);
	at += 32;
	hello[at++] = 0;
	at = put(at, suites, sizeof(suites));
	extensions = at;
	at = put(at + 2, fixed, sizeof(fixed));
	at = put16(put16(put16(put16(put16(at, 51), 38), 36), 29), 32);		/* key_share */
	memset(hello + at, 9, 32);
	at += 32;
	if (padding) {
		at = put16(put16(at, 21), padding);
		memset(hello + at, 0, padding);
		at += padding;
	}
	name_len = strlen(name);
	if (name_len) {
		at = put16(put16(at, 0), name_len + 5);
		at = put16(at, name_len + 3);
		hello[at++] = 0;
		at = put16(at, name_len);
		name_at = at;
		at = put(at, name, name_len);
	}
	put16(extensions, at - extensions - 2);
	hello[0] = 22;
	put16(1, 0x0301);
	put16(3, at - 5);
	hello[5] = 1;
	hello[6] = 0;
	put16(7, at - 9);
	hello_len = at;
}

static int fail(const char *call)
{
	printf("%s: %s\n", call, strerrorname_np(errno));
	return 1;
}

static int send_rest(int fd, size_t from, size_t step, int flags)
{
	while (from < hello_len) {
		const size_t part = hello_len - from < step ? hello_len - from : step;
		const ssize_t sent = send(fd, hello + from, part, part < hello_len - from ? flags : 0);

		if (sent < 0)
			return fail("send");
		from += (size_t)sent;
	}
	return 0;
}

static int changed(int fd)
{
	const int small = 1;
	ssize_t sent;
	size_t done;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	sent = write(fd, hello, hello_len);
	if (sent < 0)
		return fail("write");
	if ((size_t)sent > name_at) {
		printf("no partial send: %zd of %zu\n", sent, hello_len);
		return 2;
	}
	memcpy(hello + name_at, names[1], name_len);
	for (done = (size_t)sent; done < hello_len; done += (size_t)sent) {
		struct pollfd ready = {.fd = fd, .events = POLLOUT};

		poll(&ready, 1, 5000);
		sent = write(fd, hello + done, hello_len - done);
		if (sent < 0 && errno != EAGAIN)
			return fail("write");
		if (sent < 0)
			sent = 0;
	}
	fcntl(fd, F_SETFL, 0);
	return 0;
}

static void *flip(void *unused)
{
	for (; !stop; flips++)
		memcpy(hello + name_at, names[flips & 1], name_len);
	return NULL;
}

static int send_hello(int fd, const char *way)
{
	static struct iovec iov[PIECES_MAX];
	struct mmsghdr many[2] = {0};
	pthread_t thread;
	size_t count = 0, half;
	ssize_t sent;
	int status;

	for (size_t at = 0; at < hello_len && count + 2 < PIECES_MAX; at += 7) {
		iov[count++] = (struct iovec){hello + at, hello_len - at < 7 ? hello_len - at : 7};
		iov[count++] = (struct iovec){NULL, 0};
	}
	half = count / 2;
	if (strcmp(way, "whole") == 0)
		return write(fd, hello, hello_len) < 0 ? fail("write") : 0;
	if (strcmp(way, "bytes") == 0) {
		for (size_t i = 0; i < hello_len; i++)
			if (write(fd, hello + i, 1) != 1)
				return fail("write");
		return 0;
	}
	if (strcmp(way, "iov") == 0)
		return writev(fd, iov, (int)count) < 0 ? fail("writev") : 0;
	if (strcmp(way, "pwritev2") == 0)
		return pwritev2(fd, iov, (int)count, -1, 0) < 0 ? fail("pwritev2") : 0;
	many[0].msg_hdr = (struct msghdr){.msg_iov = iov, .msg_iovlen = half};
	many[1].msg_hdr = (struct msghdr){.msg_iov = iov + half, .msg_iovlen = count - half};
	if (strcmp(way, "sendmsg") == 0)
		return sendmsg(fd, &many[0].msg_hdr, 0) < 0 || sendmsg(fd, &many[1].msg_hdr, 0) < 0 ?
			       fail("sendmsg") : 0;
	if (strcmp(way, "sendmmsg") == 0) {
		status = sendmmsg(fd, many, 2, 0);
		/* The first was let out, the second refused: one is what the kernel says then. */
		if (status == 1)
			status = sendmmsg(fd, many + 1, 1, 0) < 0 ? -1 : 2;
		return status < 0 ? fail("sendmmsg") : 0;
	}
	if (strcmp(way, "send") == 0)
		return send_rest(fd, 0, hello_len / 3 + 1, 0);
	if (strcmp(way, "more") == 0)
		return send_rest(fd, 0, hello_len / 3 + 1, MSG_MORE);
	if (strcmp(way, "records") == 0) {
		const size_t body = hello_len - 5, first = 40;

		memmove(hello + 5 + first + 5, hello + 5 + first, body - first);
		memcpy(hello + 5 + first, hello, 5);
		put16(3, first);
		put16(5 + first + 3, body - first);
		hello_len += 5;
		return write(fd, hello, hello_len) < 0 ? fail("write") : 0;
	}
	if (strcmp(way, "dup") == 0) {
		const int other = dup(fd);

		if (write(fd, hello, 30) != 30)
			return fail("write");
		return write(other, hello + 30, hello_len - 30) < 0 ? fail("write") : 0;
	}
	if (strcmp(way, "fork") == 0) {
		if (write(fd, hello, 30) != 30)
			return fail("write");
		fflush(stdout);
		if (fork() == 0)
			_exit(write(fd, hello + 30, hello_len - 30) < 0 ? errno : 0);
		wait(&status);
		errno = WEXITSTATUS(status);
		return errno ? fail("write") : 0;
	}
	if (strcmp(way, "changed") == 0)
		return changed(fd);
	if (strcmp(way, "flip") == 0) {
		pthread_create(&thread, NULL, flip, NULL);
		while (flips < 1000)
			;
		sent = write(fd, hello, hello_len);
		status = errno;
		stop = 1;
		pthread_join(thread, NULL);
		errno = status;
		return sent < 0 ? fail("write") : 0;
	}
	return 2;
}

int main(int argc, char *argv[])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	struct pollfd ready = {.events = POLLIN};
	unsigned char answer;
	ssize_t got;
	int fd, ret;

	if (argc < 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	names[0] = argv[4];
	names[1] = argc > 5 ? argv[5] : argv[4];
	if (strlen(names[0]) != strlen(names[1]))
		return 2;
	make(names[0], strcmp(argv[1], "changed") == 0 ? LONG : 0);
	ret = getaddrinfo(argv[2], argv[3], &hints, &found);
	if (ret != 0) {
		printf("getaddrinfo: %s\n", gai_strerror(ret));
		return 1;
	}
	fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		return fail("connect");
	ret = send_hello(fd, argv[1]);
	if (ret != 0)
		return ret;
	ready.fd = fd;
	if (poll(&ready, 1, 10000) != 1) {
		puts("no answer");
		return 1;
	}
	got = recv(fd, &answer, 1, 0);
	if (got < 0)
		return fail("recv");
	puts(got == 0 ? "closed" : answer == 22 ? "handshake" : answer == 21 ? "alert" : "something else");
	return got == 1 && answer == 22 ? 0 : 1;
}
