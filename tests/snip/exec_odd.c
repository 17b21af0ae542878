/* SPDX-License-Identifier: MIT */
/*
 * exec_odd DIRECTORY: calls that fail, and what they say. The same with and without netleash:
 * result, errno, and errno is not touched by what succeeds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

#define SAY(call)                                                                                  \
	do {                                                                                       \
		errno = 0;                                                                         \
		printf("%s: ", #call);                                                             \
		ret = (call);                                                                      \
		printf("%d %s\n", ret, strerror(errno));                                           \
	} while (0)
#define SPAWN(call)                                                                                \
	do {                                                                                       \
		printf("%s: ", #call);                                                             \
		ret = (call);                                                                      \
		printf("%s\n", strerror(ret));                                                     \
	} while (0)

int main(int argc, char **argv)
{
	char *const args[] = {(char *)"x", NULL};
	char *const *wild = (char *const *)8;
	char *volatile null = NULL;
	char *big[4] = {NULL};
	wordexp_t words;
	int ret, fd;
	pid_t pid;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (chdir(argv[1]) < 0)
		return 100;
	close(open("plain", O_CREAT | O_WRONLY, 0644));
	fd = open("empty", O_CREAT | O_WRONLY, 0755);
	close(fd);
	mkdir("dir", 0755);
	symlink("loop", "loop");
	big[0] = malloc(200000);
	memset(big[0], 'x', 199999);
	big[0][199999] = '\0';

	SAY(execve(null, args, environ));
	SAY(execve("", args, environ));
	SAY(execve("nowhere", args, environ));
	SAY(execve("plain", args, environ));
	SAY(execve("plain/x", args, environ));
	SAY(execve("dir", args, environ));
	SAY(execve("loop", args, environ));
	SAY(execve("empty", args, environ));
	SAY(execve("/bin/true", args, wild));
	SAY(execve("/bin/true", (char *const *)8, environ));
	SAY(execve((const char *)8, args, environ));
	SAY(execve("/bin/true", args, big));
	SAY(execv("nowhere", args));
	SAY(execvp("", args));
	SAY(execvp("no-such-program-anywhere", args));
	SAY(execvpe("./plain", args, environ));
	SAY(execvpe("dir", args, environ));
	SAY(execl("nowhere", "x", null));
	SAY(execl("nowhere", null, null));
	SAY(execlp("no-such-program-anywhere", "x", null));
	SAY(execle("nowhere", "x", null, environ));
	SAY(fexecve(-1, args, environ));
	SAY(fexecve(777, args, environ));
	SAY(fexecve(0, args, (char *const *)null));
	SAY(execveat(AT_FDCWD, "nowhere", args, environ, 0));
	SAY(execveat(777, "nowhere", args, environ, 0));
	SAY(execveat(AT_FDCWD, null, args, environ, 0));
	SAY(execveat(AT_FDCWD, "", args, environ, 0));
	SAY(execveat(AT_FDCWD, "/bin/true", args, environ, 1 << 30));
	SAY(execveat(AT_FDCWD, "loop", args, environ, AT_SYMLINK_NOFOLLOW));
	SPAWN(posix_spawn(&pid, "nowhere", NULL, NULL, args, environ));
	SPAWN(posix_spawn(&pid, "empty", NULL, NULL, args, environ));
	SPAWN(posix_spawn(&pid, "/bin/true", NULL, NULL, args, wild));
	SPAWN(posix_spawnp(&pid, "no-such-program-anywhere", NULL, NULL, args, environ));
	setenv("PATH", "/nowhere:", 1);
	SAY(execvp("plain", args));
	setenv("PATH", "/nowhere:plain:/bin", 1);
	SAY(execvp("plain", args));
	unsetenv("PATH");
	SAY(execvp("no-such-program-anywhere", args));

	errno = 77;
	ret = system("exit 3");
	printf("system: %d, errno %d\n", WEXITSTATUS(ret), errno);
	errno = 77;
	ret = system(NULL);
	printf("system(NULL): %d, errno %d\n", ret, errno);
	errno = 77;
	ret = posix_spawn(&pid, "/bin/true", NULL, NULL, args, environ);
	printf("posix_spawn: %d, errno %d\n", ret, errno);
	waitpid(pid, NULL, 0);
	errno = 0;
	printf("popen: %s\n", popen("true", "wrong") ? "open" : strerror(errno));
	printf("wordexp: %d\n", wordexp("$(true)", &words, WRDE_NOCMD));
	printf("wordexp: %d\n", wordexp("a | b", &words, 0));
	ret = wordexp("~ $((1+1))", &words, 0);
	printf("wordexp: %d %zu\n", ret, words.we_wordc);
	/* A list without a first argument: the kernel makes it one empty one. */
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", null, null);
		_exit(99);
	}
	waitpid(pid, &ret, 0);
	printf("no argv[0]: %d\n", ret);
	return 0;
}
