/* build: -fsanitize=address */
/* SPDX-License-Identifier: MIT */
/* A sanitizer's runtime aborts its program if anything stands before it in LD_PRELOAD (hooks.md
 * P3). Starts argv[1] by a shell, which must not get that runtime. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	printf("asan: LD_PRELOAD=%s\n", getenv("LD_PRELOAD"));
	fflush(stdout);
	return argc > 1 && system(argv[1]) != 0;
}
