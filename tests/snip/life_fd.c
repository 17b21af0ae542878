/* build: */
/* SPDX-License-Identifier: MIT */
/*
 * Descriptors 0 to 2 (hooks.md L7, L8).
 *
 *	life_fd socket	a connection gets number 2; then a refusal: its line may not go there
 *	life_fd file	the same with a file that is not the one of the start
 *	life_fd closed	started without 0 to 2: verdicts as ever; result in ./said
 *	life_fd all	every number closed, then each again
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "run_from.h"

static int friend(void)
{
	struct sockaddr_in addr = run_from_addr(0, 9000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int fd, wrong;

	if (strcmp(how, "socket") == 0) {
		close(2);
		fd = friend();
		wrong = run_from_verdict(0);
		printf("number %d, verdict %d\n", fd, wrong);
		if (write(2, "the program's own", 17) != 17)
			puts("cannot write");
		return 0;
	}
	if (strcmp(how, "file") == 0) {
		close(2);
		fd = open("other", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		wrong = run_from_verdict(0);
		printf("number %d, verdict %d\n", fd, wrong);
		return 0;
	}
	if (strcmp(how, "closed") == 0) {
		int open_before = 0, open_after = 0, said;

		for (int i = 0; i < 64; i++)
			open_before += fcntl(i, F_GETFD) >= 0;
		wrong = run_from_verdict(0);
		for (int i = 0; i < 64; i++)
			open_after += fcntl(i, F_GETFD) >= 0;
		fd = friend();
		said = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dprintf(said, "open %d then %d, number %d, verdict %d\n", open_before, open_after, fd, wrong);
		return 0;
	}
	if (strcmp(how, "all") == 0) {
		int keep = dup(1), bad = 0;

		wrong = run_from_verdict(0);
		for (int i = 0; i < 1024; i++)
			if (i != keep && close(i) < 0 && errno != EBADF)
				bad++;
		wrong |= run_from_verdict(0);
		closefrom(keep + 1);
		wrong |= run_from_verdict(0);
		close_range(0, (unsigned int)keep - 1, 0);
		wrong |= run_from_verdict(0);
		dprintf(keep, "verdict %d, bad %d\n", wrong, bad);
		return 0;
	}
	return 2;
}
