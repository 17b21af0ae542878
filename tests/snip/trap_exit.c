/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * The end of a process beside a hundred threads that are inside hooks (hooks.md E1).
 *
 *	trap_exit exit|_exit|quick|thread	thread: main() leaves by pthread_exit(), the others too
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "run_from.h"

static volatile int leaving;

static void *busy(void *arg)
{
	while (!leaving) {
		run_from_send(1, 0);
		run_from_connect(1, 0);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer = run_from_addr(0, 9000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (int i = 0; i < 100; i++) {
		pthread_t id;

		pthread_create(&id, NULL, busy, NULL);
	}
	/* Something is pending, so somebody watches it. */
	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 || write(fd, "x", 1) != 1)
		return 3;
	usleep(20000);
	if (strcmp(argv[1], "exit") == 0)
		exit(7);
	if (strcmp(argv[1], "_exit") == 0)
		_exit(7);
	if (strcmp(argv[1], "quick") == 0)
		quick_exit(7);
	leaving = 1;
	pthread_exit(NULL);
}
