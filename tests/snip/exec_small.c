/* build: -pthread */
/* SPDX-License-Identifier: MIT */
/*
 * exec_small PROGRAM: exec from where there is little stack: a thread of PTHREAD_STACK_MIN, a
 * signal handler on an alternative stack of SIGSTKSZ with a page behind it that nobody may
 * touch. Each in a child of its own, with the environment that has to be repaired.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *program, *none[] = {NULL};
static int form;

static void start(int signal)
{
	char *const args[] = {program, NULL};
	pid_t pid;

	if (form == 0)
		execve(program, args, none);
	else if (form == 1)
		execvpe(strrchr(program, '/') + 1, args, none);
	else if (form == 2)
		execle(program, program, NULL, none);
	else if (!posix_spawn(&pid, program, NULL, NULL, args, none))
		waitpid(pid, NULL, 0), _exit(0);
	_exit(errno);
}

static void *thread(void *unused)
{
	start(0);
	return unused;
}

int main(int argc, char **argv)
{
	const size_t size = 8192;	/* SIGSTKSZ as it was before it became a call */
	struct sigaction action = {.sa_handler = start, .sa_flags = SA_ONSTACK};
	pthread_attr_t attr;
	pthread_t id;
	stack_t stack = {0};
	int status;
	pid_t pid;

	program = argv[1];
	for (int i = 0; i < 8; i++) {
		form = i % 4;
		pid = fork();
		if (pid == 0 && i < 4) {
			pthread_attr_init(&attr);
			pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
			pthread_create(&id, &attr, thread, NULL);
			pthread_join(id, NULL);
		} else if (pid == 0) {
			char *block = mmap(NULL, 4096 + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			mprotect(block + 4096, size, PROT_READ | PROT_WRITE);
			stack.ss_sp = block + 4096;
			stack.ss_size = size;
			sigaltstack(&stack, NULL);
			sigaction(SIGUSR1, &action, NULL);
			raise(SIGUSR1);
			_exit(99);
		}
		waitpid(pid, &status, 0);
		if (status)
			printf("form %d, place %d: status %x\n", form, i / 4, status);
	}
	return 0;
}
