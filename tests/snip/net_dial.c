// SPDX-License-Identifier: MIT
/*
 * net_dial WAY FAMILY ADDRESS PORT [SCOPE] …: reach an address by the ways of the socket interface.
 *
 * WAY:	connect nonblock fastopen fastopenmsg fastopenmmsg fastopenopt syscall (TCP)
 *	sendto sendmsg sendmmsg udpconnect writev (UDP)
 * FAMILY: 4, 6, or 4on6: an AF_INET address given to an AF_INET6 socket
 *
 * The bytes sent are "dial\n". Prints "WAY FAMILY ADDRESS: ok", with what came back within two
 * seconds if anything, or ": ERRNO"; ends with 0 if something came back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char text[] = "dial\n";

static int fail(const char *way, const char *family, const char *address)
{
	printf("%s %s %s: %s\n", way, family, address, strerrorname_np(errno));
	return 1;
}

int main(int argc, char *argv[])
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = {0};
	const char *way, *family, *address;
	char answer[64];
	struct pollfd ready;
	struct iovec iov = {(void *)text, sizeof(text) - 1};
	struct mmsghdr many = {.msg_hdr = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1}};
	struct msghdr *msg = &many.msg_hdr;
	socklen_t len;
	int fd, stream, one = 1, done = -1;
	ssize_t got;

	if (argc < 5)
		return 2;
	way = argv[1];
	family = argv[2];
	address = argv[3];
	stream = strcmp(way, "sendto") != 0 && strcmp(way, "sendmsg") != 0 && strcmp(way, "sendmmsg") != 0 &&
		 strcmp(way, "udpconnect") != 0 && strcmp(way, "writev") != 0;
	if (family[0] == '6') {
		to.in6.sin6_family = AF_INET6;
		to.in6.sin6_port = htons(atoi(argv[4]));
		if (argc > 5)
			to.in6.sin6_scope_id = if_nametoindex(argv[5]);
		len = sizeof(to.in6);
		if (inet_pton(AF_INET6, address, &to.in6.sin6_addr) != 1)
			return 2;
	} else {
		to.in.sin_family = AF_INET;
		to.in.sin_port = htons(atoi(argv[4]));
		len = sizeof(to.in);
		if (inet_pton(AF_INET, address, &to.in.sin_addr) != 1)
			return 2;
	}
	msg->msg_namelen = len;
	fd = socket(strcmp(family, "4") == 0 ? AF_INET : AF_INET6,
		    (stream ? SOCK_STREAM : SOCK_DGRAM) | (strcmp(way, "nonblock") == 0 ? SOCK_NONBLOCK : 0),
		    0);
	if (fd < 0)
		return fail("socket", family, address);
	if (!stream)
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));

	if (strcmp(way, "fastopen") == 0) {
		done = sendto(fd, text, sizeof(text) - 1, MSG_FASTOPEN, &to.sa, len);
	} else if (strcmp(way, "fastopenmsg") == 0) {
		done = sendmsg(fd, msg, MSG_FASTOPEN);
	} else if (strcmp(way, "fastopenmmsg") == 0) {
		done = sendmmsg(fd, &many, 1, MSG_FASTOPEN);
	} else if (strcmp(way, "sendto") == 0) {
		done = sendto(fd, text, sizeof(text) - 1, 0, &to.sa, len);
	} else if (strcmp(way, "sendmsg") == 0) {
		done = sendmsg(fd, msg, 0);
	} else if (strcmp(way, "sendmmsg") == 0) {
		done = sendmmsg(fd, &many, 1, 0);
	} else {
		if (strcmp(way, "fastopenopt") == 0)
			setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
		done = strcmp(way, "syscall") == 0 ? (int)syscall(SYS_connect, fd, &to, len)
						   : connect(fd, &to.sa, len);
		if (done < 0 && errno == EINPROGRESS) {
			socklen_t size = sizeof(done);

			ready = (struct pollfd){.fd = fd, .events = POLLOUT};
			poll(&ready, 1, 2000);
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &done, &size);
			errno = done;
			done = done ? -1 : 0;
		}
		if (done == 0)
			done = strcmp(way, "writev") == 0 ? writev(fd, &iov, 1) : write(fd, text, sizeof(text) - 1);
	}
	if (done < 0)
		return fail(way, family, address);
	ready = (struct pollfd){.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, 2000) != 1) {
		printf("%s %s %s: ok\n", way, family, address);
		return 1;
	}
	got = recv(fd, answer, sizeof(answer) - 1, 0);
	if (got < 0)
		return fail(way, family, address);
	answer[got] = '\0';
	answer[strcspn(answer, "\r\n")] = '\0';
	printf("%s %s %s: ok %s\n", way, family, address, answer);
	return got > 0 ? 0 : 1;
}
