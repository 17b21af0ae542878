/* SPDX-License-Identifier: MIT */
/*
 * What reached a child: its LD_PRELOAD and NETLEASH_*, in the order of the array, and how much
 * else. "exec_child -n" adds nothing else than the number of open descriptors.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv, char **envp)
{
	unsigned int others = 0, fds = 0;
	struct dirent *entry;
	DIR *dir;

	for (; *envp; envp++) {
		if (!strncmp(*envp, "LD_PRELOAD=", 11) || !strncmp(*envp, "NETLEASH_", 9))
			puts(*envp);
		else
			others++;
	}
	printf("others=%u\n", others);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-n")) {
			printf("argv[%d]=%s\n", i, argv[i]);
			continue;
		}
		dir = opendir("/proc/self/fd");
		while (dir && (entry = readdir(dir)))
			fds += entry->d_name[0] != '.';
		printf("fds=%u\n", fds - 1);	/* without the directory's own */
	}
	return 0;
}
