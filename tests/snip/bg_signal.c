/* build: -pthread */
// SPDX-License-Identifier: MIT
/*
 * bg_signal ADDRESS PORT: the program's own handlers for the signals of background and foreground, beside ours.
 *
 * Every line is "WHAT: RESULT"; the results are those of the same program without netleash, but for the default
 * action, which kills there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define AWAY (SIGRTMIN + 8)
#define BACK (SIGRTMIN + 9)

static struct sockaddr_in to = {.sin_family = AF_INET};
static volatile int count, last, code, masked, on_stack;
static char stack[65536];

static void simple(int sig)
{
	sigset_t now;
	char here;

	count++;
	last = sig;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	masked = sigismember(&now, SIGUSR1);
	on_stack = &here > stack && &here < stack + sizeof(stack);
}

static void full(int sig, siginfo_t *info, void *context)
{
	count++;
	last = sig;
	code = context ? info->si_code : 99;
}

/* What is the state? A new call fails with ECONNABORTED while away. */
static const char *state(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const char *said = connect(fd, (void *)&to, sizeof(to)) == 0 ? "foreground"
			   : errno == ECONNABORTED		     ? "background"
								     : strerrorname_np(errno);

	close(fd);
	return said;
}

static const char *name(const struct sigaction *act)
{
	return act->sa_handler == SIG_DFL      ? "default"
	       : act->sa_handler == SIG_IGN    ? "ignore"
	       : act->sa_handler == simple     ? "simple"
	       : (void *)act->sa_sigaction == (void *)full ? "full"
						   : "?";
}

static void query(const char *what)
{
	struct sigaction act;

	sigaction(AWAY, NULL, &act);
	printf("%s: %s%s%s%s%s\n", what, name(&act), act.sa_flags & SA_SIGINFO ? " siginfo" : "",
	       act.sa_flags & SA_RESTART ? " restart" : "", act.sa_flags & SA_ONSTACK ? " onstack" : "",
	       sigismember(&act.sa_mask, SIGUSR1) ? " usr1" : "");
}

int main(int argc, char *argv[])
{
	struct sigaction act = {.sa_handler = simple, .sa_flags = SA_ONSTACK}, old;
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct itimerval soon = {.it_value = {0, 100000}};
	struct timespec zero = {0};
	sigset_t one, pending;
	char c;
	int pipes[2], fd;

	if (argc < 3)
		return 2;
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	to.sin_port = htons(atoi(argv[2]));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe(pipes) < 0)
		return 3;

	/* Installed before our handler, which comes with the first question about the network */
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGUSR1);
	sigaltstack(&alternate, NULL);
	sigaction(AWAY, &act, NULL);
	printf("first: %s\n", state());
	query("kept");
	raise(AWAY);
	printf("before ours: %d calls, %s, usr1 masked %d, on its stack %d\n", count, state(), masked, on_stack);
	raise(BACK);
	printf("no handler for it: %d calls, %s\n", count, state());

	/* Installed after */
	act = (struct sigaction){.sa_flags = SA_SIGINFO | SA_RESTART};
	act.sa_sigaction = full;
	sigaction(AWAY, &act, &old);
	printf("old: %s\n", name(&old));
	query("new");
	raise(AWAY);
	printf("after ours: %d calls, code %s, %s\n", count, code == SI_TKILL ? "tkill" : "?", state());
	raise(BACK);

	/* Reads are restarted, or not, as the program said. */
	act.sa_flags = 0;
	act.sa_handler = simple;
	sigaction(AWAY, &act, NULL);
	if (fork() == 0) {
		usleep(100000);
		kill(getppid(), AWAY);
		_exit(0);
	}
	printf("without restart: %s\n", read(pipes[0], &c, 1) < 0 ? strerrorname_np(errno) : "read");
	raise(BACK);
	signal(AWAY, simple);
	query("signal()");
	if (fork() == 0) {
		usleep(100000);
		kill(getppid(), AWAY);
		usleep(200000);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	printf("with restart: %s\n", read(pipes[0], &c, 1) < 0 ? strerrorname_np(errno) : "read");
	raise(BACK);
	siginterrupt(AWAY, 1);
	query("siginterrupt()");
	printf("sysv_signal(): %s\n", sysv_signal(AWAY, simple) == simple ? "simple" : "?");
	count = 0;
	raise(AWAY);
	query("one shot");
	printf("one shot: %d calls, %s\n", count, state());
	raise(AWAY);		/* the default would kill */
	raise(BACK);

	signal(AWAY, SIG_IGN);
	query("ignored");
	raise(AWAY);
	printf("ignored: %s\n", state());
	raise(BACK);
	printf("sigset(): %s\n", sigset(AWAY, simple) == SIG_IGN ? "ignore" : "?");
	printf("sigset(SIG_HOLD): %s\n", sigset(AWAY, SIG_HOLD) == simple ? "simple" : "?");

	/* Blocked now: pending, and taken by sigtimedwait() and signalfd, which is the program's right. */
	count = 0;
	kill(getpid(), AWAY);
	sigemptyset(&one);
	sigaddset(&one, AWAY);
	sigpending(&pending);
	printf("blocked: pending %d, %d calls, %s\n", sigismember(&pending, AWAY), count, state());
	printf("sigtimedwait(): %s\n", sigtimedwait(&one, NULL, &zero) == AWAY ? "it" : strerrorname_np(errno));
	kill(getpid(), AWAY);
	fd = signalfd(-1, &one, 0);
	struct signalfd_siginfo info;
	printf("signalfd: %s\n", read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == AWAY ? "it" : "?");
	kill(getpid(), AWAY);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	printf("unblocked: %d calls, %s\n", count, state());
	raise(BACK);

	/* By number, and the way programs do it before they exec */
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} raw = {0}, was = {0};
	long ret = syscall(SYS_rt_sigaction, AWAY, &raw, &was, 8);
	printf("rt_sigaction: %ld, it was %s\n", ret,
	       was.handler == (void *)simple ? "simple" : "?");
	for (int sig = 1; sig < 65; sig++)
		signal(sig, SIG_DFL);
	query("all reset");
	raise(AWAY);
	printf("all reset: alive, %s\n", state());
	raise(BACK);
	fd = sigaction(SIGKILL, &act, NULL);
	printf("other signals: %d %s\n", fd, strerrorname_np(errno));

	/* Both, many times */
	signal(AWAY, simple);
	count = 0;
	for (int i = 0; i < 10000; i++) {
		raise(AWAY);
		raise(BACK);
	}
	printf("storm: %d calls, %s\n", count, state());
	(void)soon;
	return 0;
}
