/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * The policy is compiled by a child that the program must not notice (hooks.md L6): no SIGCHLD, and
 * nothing in a wait for any child, before, during and after the first question.
 *
 *	life_wait [ignore]	with SIGCHLD ignored
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "run_from.h"

static volatile sig_atomic_t children;
static pid_t own;

static void count(int number)
{
	children++;
}

/* Waits for any child from before the first question on: it gets the program's, and no other. */
static void *waiter(void *ret)
{
	int status;

	*(pid_t *)ret = waitpid(-1, &status, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = argc > 1 ? SIG_IGN : count};
	pid_t got = -2;
	pthread_t id;
	int hold[2], wrong;

	sigaction(SIGCHLD, &action, NULL);
	if (pipe(hold) < 0)
		return 2;
	own = fork();
	if (own == 0) {
		char byte;

		close(hold[1]);
		read(hold[0], &byte, 1);
		_exit(0);
	}
	pthread_create(&id, NULL, waiter, &got);
	wrong = run_from_verdict(0);
	printf("verdict %d, signals %d, waited %s\n", wrong, (int)children, got == -2 ? "none" : "some");
	close(hold[1]);
	close(hold[0]);
	pthread_join(id, NULL);
	/* With SIGCHLD ignored the kernel reaps, and the wait ends without a child. */
	printf("then %s, signals %d\n", got == own ? "own" : got == -1 && argc > 1 ? "nobody" : "another",
	       (int)children);
	errno = 0;
	got = waitpid(-1, NULL, WNOHANG | __WALL);
	printf("left %s\n", got == -1 && errno == ECHILD ? "none" : "some");
	return 0;
}
