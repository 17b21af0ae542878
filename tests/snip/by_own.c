/* build: -rdynamic */
/* SPDX-License-Identifier: MIT */
/*
 * A program that defines connect() itself, as node defines SSL_connect(): its calls never leave it,
 * and what is behind them is its own. The exception that only the seal covers (hooks.md 1.1).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define INLINE static inline __attribute__((always_inline))
INLINE long raw_connect(long fd, const void *addr, long len)
{
	long ret;
#ifdef __x86_64__
	__asm__ volatile("syscall" : "=a"(ret) : "a"((long)SYS_connect), "D"(fd), "S"(addr), "d"(len)
			 : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = SYS_connect;
	register long x0 __asm__("x0") = fd;
	register const void *x1 __asm__("x1") = addr;
	register long x2 __asm__("x2") = len;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	ret = x0;
#endif
	return ret;
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	long ret = raw_connect(fd, addr, len);

	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer = {.sin_family = AF_INET};

	if (argc != 3)
		return 2;
	peer.sin_port = htons((unsigned short)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &peer.sin_addr);
	if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&peer, sizeof(peer)) == 0)
		puts("own connect: connected");
	else
		printf("own connect: %s\n", strerrorname_np(errno));
	return 0;
}
