/* SPDX-License-Identifier: MIT */
/*
 * exec_many COUNT PROGRAM: exec in a child of vfork() with COUNT variables, none of them
 * ours; then once more in this process, which must be as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int failed;

int main(int argc, char **argv)
{
	const size_t count = strtoul(argv[1], NULL, 10);
	char **envp = calloc(count + 1, sizeof(*envp));
	char *text = malloc(count * 12);
	unsigned long sum = 0;
	pid_t pid;

	for (size_t i = 0; i < count; i++) {
		envp[i] = text + i * 12;
		sprintf(envp[i], "V%zu=", i);
	}
	pid = vfork();
	if (pid == 0) {
		execle(argv[2], argv[2], NULL, envp);
		failed = errno;
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	if (failed)
		printf("%s\n", strerror(failed));
	for (size_t i = 0; i < count; i++)
		sum += strtoul(envp[i] + 1, NULL, 10);
	printf("mine %s\n", sum == count * (count - 1) / 2 && !envp[count] ? "unchanged" : "changed");
	return 0;
}
