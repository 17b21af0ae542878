/* SPDX-License-Identifier: MIT */
/*
 * Two connect()s for a stack of preloads: one that every policy admits (AF_UNIX, to nobody),
 * one to 127.0.0.1:$1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};
	struct sockaddr_in peer = {.sin_family = AF_INET};

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	peer.sin_port = htons((unsigned short)atoi(argv[1]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&nobody, sizeof(nobody));
	printf("unix: %s\n", strerrorname_np(errno));
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&peer, sizeof(peer));
	printf("loopback: %s\n", strerrorname_np(errno));
	syscall(SYS_connect, socket(AF_INET, SOCK_STREAM, 0), &peer, sizeof(peer));
	printf("by number: %s\n", strerrorname_np(errno));
	return 0;
}
