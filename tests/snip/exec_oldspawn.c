/* SPDX-License-Identifier: MIT */
/*
 * exec_oldspawn SCRIPT: posix_spawn() as programs linked before 2012 ask for it, then
 * as later ones do. Only the former hands a script without "#!" to the shell (hooks.md R5).
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#ifdef __x86_64__
int old(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	char *const *, char *const *);
int oldp(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	 char *const *, char *const *);
__asm__(".symver old, posix_spawn@GLIBC_2.2.5");
__asm__(".symver oldp, posix_spawnp@GLIBC_2.2.5");
#else
#define old posix_spawn
#define oldp posix_spawnp
#endif

int main(int argc, char **argv)
{
	char *const args[] = {argv[1], (char *)"one", NULL};
	char *none[] = {NULL};
	int ret, status;
	pid_t pid;

	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < 4; i++) {
		ret = (i == 0 ? old : i == 1 ? oldp : i == 2 ? posix_spawn : posix_spawnp)(
			&pid, argv[1], NULL, NULL, args, none);
		if (!ret)
			waitpid(pid, &status, 0);
		printf("%s: %s\n", i < 2 ? "old" : "new", strerror(ret));
	}
	return 0;
}
