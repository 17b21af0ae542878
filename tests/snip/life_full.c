/* build: */
/* SPDX-License-Identifier: MIT */
/*
 * More connections than there are slots (hooks.md 3.1): refused with ENOBUFS, and fine again once some
 * are closed, also where libc closed them. Connected datagram sockets take a slot each, and no
 * traffic.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "run_from.h"

#define COUNT 6000
static int fds[COUNT];

static int one(void)
{
	struct sockaddr_in peer = run_from_addr(0, 9001);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int main(void)
{
	struct rlimit limit;
	int count = 0, error;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (; count < COUNT; count++) {
		fds[count] = one();
		if (fds[count] < 0)
			break;
	}
	printf("%d, then %s\n", count, count < COUNT ? strerrorname_np(errno) : "more");
	error = run_from_connect(1, 0);
	printf("refused is refused: %s\n", error == EACCES ? "yes" : strerrorname_np(error));
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	for (int i = 0; i < 10; i++)
		if ((fds[i] = one()) < 0)
			printf("after close(): %s\n", strerrorname_np(errno));
	for (int i = 10; i < 20; i++)
		fclose(fdopen(fds[i], "r"));
	for (int i = 10; i < 20; i++)
		if ((fds[i] = one()) < 0)
			printf("after fclose(): %s\n", strerrorname_np(errno));
	close_range(100, 4000, 0);
	for (int i = 0; i < 3000; i++)
		if (one() < 0) {
			printf("after close_range(): %s\n", strerrorname_np(errno));
			break;
		}
	puts("done");
	return 0;
}
