/* SPDX-License-Identifier: MIT */
/*
 * exec_forms FORM ENVIRONMENT PROGRAM: every way to start a program, with every kind of
 * environment. Forms of exec run in a child of vfork() or, with "fork:" in front, of fork().
 * Forms that take environ get it edited or cleared. Says where the array given is.
 * Exit status: the child's; 200 + errno if it could not start.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;
FILE *_IO_popen(const char *, const char *);

static volatile int failed;

static int collect(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return 199;
	if (failed)
		return 200 + failed;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 198;
}

static int pour(FILE *stream)
{
	char line[65536];

	if (!stream)
		return 200 + errno;
	while (fgets(line, sizeof(line), stream))
		fputs(line, stdout);
	return WEXITSTATUS(pclose(stream));
}

int main(int argc, char **argv)
{
	char *child[] = {argv[3], (char *)"one", (char *)"two words", NULL};
	char *few[] = {(char *)"HOME=/", (char *)"NETLEASH_POLICY=/theirs", (char *)"LD_PRELOAD=",
		       (char *)"NETLEASH_UNKNOWN=1", NULL};
	char *twice[] = {(char *)"LD_PRELOAD=libm.so.6", (char *)"A=b",
			 (char *)"LD_PRELOAD=libdl.so.2 libnetleash.so:libpthread.so.0", NULL};
	char *none[] = {NULL};
	const char *form = argv[1], *file;
	int fork_it = 0, ret, fd, dir;
	char **envp = environ;
	char command[4096];
	wordexp_t words;
	pid_t pid;

	if (argc < 4)
		return 100;
	setvbuf(stdout, NULL, _IONBF, 0);
	if (!strncmp(form, "fork:", 5)) {
		form += 5;
		fork_it = 1;
	}
	file = strrchr(argv[3], '/') + 1;
	snprintf(command, sizeof(command), "%s one 'two words'", argv[3]);
	if (!strcmp(argv[2], "empty"))
		envp = none;
	else if (!strcmp(argv[2], "null"))
		envp = NULL;
	else if (!strcmp(argv[2], "few"))
		envp = few;
	else if (!strcmp(argv[2], "twice"))
		envp = twice;
	else if (!strcmp(argv[2], "unset"))
		unsetenv("LD_PRELOAD"), unsetenv("NETLEASH_POLICY"), envp = environ;
	else if (!strcmp(argv[2], "edited"))
		setenv("LD_PRELOAD", "libm.so.6", 1), setenv("NETLEASH_POLICY", "/theirs", 1),
			setenv("NETLEASH_IMAGE", "/theirs", 1), envp = environ;
	else if (!strcmp(argv[2], "cleared"))
		clearenv(), envp = NULL;
	else if (strcmp(argv[2], "normal"))
		return 100;
	/* These have no argument for it. */
	if (envp != environ && strcmp(form, "execve") && strcmp(form, "execvpe") && strcmp(form, "execle") &&
	    strcmp(form, "fexecve") && strcmp(form, "execveat") && strcmp(form, "memfd") && !strstr(form, "spawn"))
		environ = envp;
	printf("environ=%p\n", (void *)envp);

	if (!strcmp(form, "posix_spawn") || !strcmp(form, "posix_spawnp")) {
		ret = (form[11] ? posix_spawnp : posix_spawn)(
			&pid, form[11] ? file : argv[3], NULL, NULL, child, envp);
		return ret ? 200 + ret : collect(pid);
	}
	if (!strcmp(form, "system")) {
		ret = system(command);
		return ret < 0 ? 200 + errno : WEXITSTATUS(ret);
	}
	if (!strcmp(form, "popen"))
		return pour(popen(command, "r"));
	if (!strcmp(form, "_IO_popen"))
		return pour(_IO_popen(command, "re"));
	if (!strcmp(form, "wordexp")) {
		snprintf(command, sizeof(command), "\"$(%s one 'two words')\"", argv[3]);
		ret = wordexp(command, &words, 0);
		if (ret)
			return 200 + ret;
		puts(words.we_wordv[0]);
		return 0;
	}
	fd = open(argv[3], O_PATH | O_CLOEXEC);
	dir = open("/", O_PATH | O_CLOEXEC);
	if (!strcmp(form, "memfd")) {
		char block[65536];
		ssize_t len;
		int in = open(argv[3], O_RDONLY | O_CLOEXEC);

		fd = memfd_create("program", MFD_CLOEXEC);
		while ((len = read(in, block, sizeof(block))) > 0)
			if (write(fd, block, len) != len)
				return 100;
		form = "fexecve";
	}
	pid = fork_it ? fork() : vfork();
	if (pid == 0) {
		if (!strcmp(form, "execve"))
			execve(argv[3], child, envp);
		else if (!strcmp(form, "execv"))
			execv(argv[3], child);
		else if (!strcmp(form, "execvp"))
			execvp(file, child);
		else if (!strcmp(form, "execvpe"))
			execvpe(file, child, envp);
		else if (!strcmp(form, "execl"))
			execl(argv[3], argv[3], "one", "two words", NULL);
		else if (!strcmp(form, "execle"))
			execle(argv[3], argv[3], "one", "two words", NULL, envp);
		else if (!strcmp(form, "execlp"))
			execlp(file, argv[3], "one", "two words", NULL);
		else if (!strcmp(form, "fexecve"))
			fexecve(fd, child, envp);
		else if (!strcmp(form, "execveat"))
			execveat(dir, argv[3] + 1, child, envp, 0);
		else
			errno = ENOSYS;
		failed = errno;		/* in the parent's memory, after vfork() */
		_exit(fork_it ? 200 + errno : 0);
	}
	return collect(pid);
}
