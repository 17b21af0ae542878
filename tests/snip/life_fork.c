/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Children of a threaded program (hooks.md F5): THREADS threads are in the middle of judged calls
 * while the main thread forks; each child asks at once. A child that hangs dies of SIGALRM.
 *
 *	life_fork FORKS
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "run_from.h"

#define THREADS 8

static volatile int running = 1;
static int thread_wrong;

static void *busy(void *arg)
{
	while (running) {
		if (run_from_connect(1, 0) != EACCES || run_from_send(1, 0) != EACCES ||
		    run_from_send(0, 0) != 0)
			thread_wrong = 1;
	}
	return NULL;
}

/* Also a child of the child: what its parent had in hand is not lost either. */
static int child(int depth)
{
	int wrong = 0, status;
	pid_t pid;

	alarm(20);
	if (run_from_connect(1, 0) != EACCES)
		wrong |= 1;
	if (run_from_send(0, 0) != 0)
		wrong |= 2;
	if (depth == 0)
		return wrong;
	pid = fork();
	if (pid == 0)
		_exit(child(depth - 1));
	if (waitpid(pid, &status, 0) != pid || status != 0)
		wrong |= 4;
	return wrong;
}

int main(int argc, char **argv)
{
	int forks = argc > 1 ? atoi(argv[1]) : 100, bad = 0, killed = 0;
	pthread_t ids[THREADS];

	/* The first question of the process comes from all of them at once. */
	for (int i = 0; i < THREADS; i++)
		pthread_create(&ids[i], NULL, busy, NULL);
	for (int i = 0; i < forks; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			_exit(child(i % 10 == 0 ? 3 : 0));
		if (waitpid(pid, &status, 0) != pid)
			return 2;
		if (WIFSIGNALED(status))
			killed++;
		else if (status != 0)
			bad++;
	}
	running = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	printf("forks %d, bad %d, killed %d, threads %s\n", forks, bad, killed, thread_wrong ? "wrong" : "right");
	return 0;
}
