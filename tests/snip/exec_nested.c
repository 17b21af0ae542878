/* SPDX-License-Identifier: MIT */
/*
 * exec_nested COUNT PROGRAM: this program executes itself COUNT times, by a different form
 * each time, half of them with an empty environment, then PROGRAM -n.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const int left = atoi(argv[1]);
	char *none[] = {NULL}, count[16];
	char *const next[] = {argv[0], count, argv[2], NULL};

	snprintf(count, sizeof(count), "%d", left - 1);
	if (left == 0)
		execl(argv[2], argv[2], "-n", NULL);
	switch (left % 6) {
	case 0:
		execv(argv[0], next);
		break;
	case 1:
		execve(argv[0], next, none);
		break;
	case 2:
		execle(argv[0], argv[0], count, argv[2], NULL, none);
		break;
	case 3:
		fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), next, none);
		break;
	case 4:
		execlp(argv[0], argv[0], count, argv[2], NULL);
		break;
	case 5:
		execvpe(argv[0], next, NULL);
		break;
	}
	return 1;
}
