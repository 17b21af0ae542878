/* build: -pthread */
/* SPDX-License-Identifier: MIT */
/* syscall() is no cancellation point, judged or not (hooks.md S2). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *volatile reached = "nothing";

static void *run(void *unused)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(9)};
	char byte = 'x';
	int fds[2], fd, state;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	pthread_setcancelstate(state, &state);
	pthread_cancel(pthread_self());
	syscall(SYS_write, fds[0], &byte, 1);
	syscall(SYS_read, fds[1], &byte, 1);
	reached = "data";
	syscall(SYS_connect, fd, &peer, sizeof(peer));
	reached = "connect";
	syscall(SYS_sendto, fd, &byte, 1, 0, &peer, sizeof(peer));
	reached = "sendto";
	syscall(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL, NULL);
	reached = "recvfrom";
	syscall(SYS_close, fd);
	reached = "the end";
	pthread_testcancel();
	reached = "past the cancellation";
	return unused;
}

int main(void)
{
	pthread_t thread;
	void *ret;

	pthread_create(&thread, NULL, run, NULL);
	pthread_join(thread, &ret);
	printf("reached %s, %s\n", reached, ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	return 0;
}
