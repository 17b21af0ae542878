// SPDX-License-Identifier: MIT
/*
 * bg_exec ADDRESS PORT: what becomes of the two signals of background and foreground over fork, vfork and exec.
 * To be started with the first one ignored.
 *
 * Lines that begin with "state" are netleash's; all others are the same without it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#define AWAY (SIGRTMIN + 8)
#define BACK (SIGRTMIN + 9)

extern char **environ;
static const char *self, *address, *port;
static volatile int count;

static void simple(int sig)
{
	(void)sig;
	count++;
}

/* A new call fails with ECONNABORTED while away. */
static const char *state(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const char *said;

	inet_pton(AF_INET, address, &to.sin_addr);
	to.sin_port = htons(atoi(port));
	said = connect(fd, (void *)&to, sizeof(to)) == 0 ? "foreground"
	       : errno == ECONNABORTED		       ? "background"
						       : strerrorname_np(errno);
	close(fd);
	return said;
}

static const char *action(int sig)
{
	struct sigaction act;

	sigaction(sig, NULL, &act);
	return act.sa_handler == SIG_DFL  ? "default"
	       : act.sa_handler == SIG_IGN ? "ignored"
	       : act.sa_handler == simple  ? "simple"
					   : "?";
}

static void show(const char *what)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	printf("%s: %s, %s%s\n", what, action(AWAY), action(BACK),
	       sigismember(&now, AWAY) ? ", blocked" : "");
	fflush(stdout);
}

static void wait_for(pid_t pid)
{
	int status;

	fflush(stdout);
	waitpid(pid, &status, 0);
	if (status)
		printf("status %x\n", status);
}

#define ARGS(what) ((char *[]){(char *)self, (char *)address, (char *)port, "show", what, NULL})

static void all_forms(void)
{
	posix_spawnattr_t attr;
	sigset_t set;
	char command[4096], line[256];
	wordexp_t words;
	FILE *out;
	pid_t pid;

	fflush(stdout);
	if (fork() == 0) {
		execve(self, ARGS("fork, execve"), environ);
		_exit(1);
	}
	wait(NULL);
	if (fork() == 0) {
		execl("/nonexistent", "x", NULL);
		execl(self, self, address, port, "show", "second attempt", NULL);
		_exit(1);
	}
	wait(NULL);
	if (fork() == 0) {
		syscall(SYS_execve, self, ARGS("syscall"), environ);
		_exit(1);
	}
	wait(NULL);
	if (fork() == 0) {
		for (int sig = 1; sig < 65; sig++)
			signal(sig, SIG_DFL);
		execv(self, ARGS("all reset"));
		_exit(1);
	}
	wait(NULL);
	pid = vfork();
	if (pid == 0) {
		execve("/nonexistent", ARGS("x"), environ);
		execve(self, ARGS("vfork, second attempt"), environ);
		_exit(1);
	}
	wait_for(pid);
	pid = vfork();
	if (pid == 0) {
		for (int sig = 1; sig < 65; sig++)
			signal(sig, SIG_DFL);
		execv(self, ARGS("vfork, all reset"));
		_exit(1);
	}
	wait_for(pid);
	pid = vfork();
	if (pid == 0) {
		signal(BACK, SIG_IGN);
		execv(self, ARGS("vfork, both ignored"));
		_exit(1);
	}
	wait_for(pid);
	show("parent of all these");
	posix_spawn(&pid, self, NULL, NULL, ARGS("posix_spawn"), environ);
	wait_for(pid);
	posix_spawnp(&pid, self, NULL, NULL, ARGS("posix_spawnp"), environ);
	wait_for(pid);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	sigaddset(&set, AWAY);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setsigmask(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawn(&pid, self, NULL, &attr, ARGS("posix_spawn, set to default and blocked"), environ);
	wait_for(pid);
	snprintf(command, sizeof(command), "'%s' %s %s show system", self, address, port);
	if (system(command))
		puts("system: failed");
	snprintf(command, sizeof(command), "'%s' %s %s show popen", self, address, port);
	out = popen(command, "r");
	while (fgets(line, sizeof(line), out))
		fputs(line, stdout);
	pclose(out);
	snprintf(command, sizeof(command), "\"$('%s' %s %s show wordexp)\"", self, address, port);
	if (wordexp(command, &words, 0) == 0)
		puts(words.we_wordv[0]);
}

int main(int argc, char *argv[])
{
	pid_t pid;
	sigset_t one;

	self = argv[0];
	address = argv[1];
	port = argv[2];
	if (argc > 4) {
		show(argv[4]);
		return 0;
	}
	if (argc > 3) {			/* "blocked": the second half of it */
		printf("state, blocked and pending over exec: %s\n", state());
		show("blocked over exec");
		sigemptyset(&one);
		sigaddset(&one, AWAY);
		sigprocmask(SIG_UNBLOCK, &one, NULL);
		printf("state, unblocked: %s\n", state());
		return 0;
	}
	show("started");
	kill(getpid(), AWAY);
	printf("state at first: %s\n", state());
	show("after the first call");
	kill(getpid(), AWAY);
	printf("state, ignored: %s\n", state());
	signal(BACK, SIG_IGN);
	kill(getpid(), BACK);
	signal(BACK, SIG_DFL);
	printf("state, ignored: %s\n", state());
	all_forms();
	show("afterwards");
	kill(getpid(), AWAY);
	printf("state afterwards: %s\n", state());
	execl("/nonexistent", "x", NULL);
	signal(BACK, simple);
	raise(BACK);
	printf("state after an exec that failed: %s\n", state());
	printf("%d calls\n", count);

	/* What a vfork() child does to its actions is not its parent's affair. */
	signal(AWAY, simple);
	pid = vfork();
	if (pid == 0) {
		signal(AWAY, SIG_DFL);
		if (strcmp(action(AWAY), "default") != 0)
			_exit(1);
		signal(BACK, SIG_IGN);
		_exit(strcmp(action(BACK), "ignored") != 0);
	}
	wait_for(pid);
	show("parent of vfork()");
	raise(AWAY);
	printf("%d calls\n", count);
	printf("state: %s\n", state());
	raise(BACK);
	if (fork() == 0) {
		signal(AWAY, SIG_DFL);
		_exit(strcmp(action(AWAY), "default") != 0);
	}
	wait_for(-1);
	show("parent of fork()");

	/* Blocked and pending over exec */
	signal(AWAY, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, AWAY);
	sigprocmask(SIG_BLOCK, &one, NULL);
	kill(getpid(), AWAY);
	fflush(stdout);
	execl(self, self, address, port, "blocked", NULL);
	return 1;
}
