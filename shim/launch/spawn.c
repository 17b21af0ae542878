/* SPDX-License-Identifier: MIT */
/*
 * The program runs in our process group, so that the terminal treats both alike:
 * what it sends (^C, ^Z, a hang-up) reaches the program without us. We block every
 * signal, take them one by one, and pass on those that somebody sent to us alone
 * (si_code of kill() and friends; the terminal's is SI_KERNEL). When the program
 * stops, we stop, and the shell sees a stopped job.
 *
 * We are the sub-reaper of all that it starts: a launcher that forks and leaves is
 * waited for, and a build leaves nothing behind.
 */
#include "shim/launch/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"
#include "shim/launch/launch.h"

#define LINGER_MS   1000 /* the program has ended: so long without a word about the rest */
#define KILL_ROUNDS 200  /* of 10 ms: what SIGKILL does not end by then hangs in the kernel */

extern char **environ;

/* --------------------------------------------------------- its environment */

static bool is_variable(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

__attribute__((format(printf, 1, 2))) static char *make(const char *format, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	return len < 0 ? NULL : text;
}

/* A sanitizer's runtime, ours, then what the caller had, in its order (hooks.md P3, X1). */
static char *make_preload(const struct leash_spawn *spawn)
{
	const char *runtime = spawn->program->carry.runtime, *had = getenv("LD_PRELOAD");
	size_t first;

	if (!had)
		had = "";
	had += strspn(had, " :");
	first = strcspn(had, " :");
	if (runtime[0] && strlen(runtime) == first && strncmp(had, runtime, first) == 0)
		had += first + strspn(had + first, " :"); /* it stands there already */
	return make("LD_PRELOAD=%s%s%s%s%s", runtime, runtime[0] ? "::" : "", spawn->shim,
		    had[0] ? ":" : "", had);
}

/* Those of the strings that are ours, in front of environ's; freed by free_environment() */
#define MADE_MAX 5

static void free_environment(char **env, size_t made)
{
	for (size_t i = 0; env && i < made; i++)
		free(env[i]);
	free(env);
}

static char **make_environment(const struct leash_spawn *spawn, size_t *ret_made)
{
	static const char *const replaced[] = {"LD_PRELOAD",      LEASH_ENV_POLICY,
					       LEASH_ENV_PROJECT, LEASH_ENV_IMAGE,
					       LEASH_ENV_SESSION, LEASH_ENV_EVENTS};
	size_t count = 0, at = 0;
	char **env;

	while (environ[count])
		count++;
	env = calloc(count + MADE_MAX + 1, sizeof(*env));
	if (!env)
		return NULL;
	if (!(env[at++] = make_preload(spawn)) ||
	    !(env[at++] = make("%s=%s", LEASH_ENV_IMAGE, spawn->image)) ||
	    !(env[at++] = make("%s=%s", LEASH_ENV_SESSION, spawn->session)) ||
	    (spawn->events && !(env[at++] = make("%s=%s", LEASH_ENV_EVENTS, spawn->events))) ||
	    (spawn->quiet && !(env[at++] = make("%s=quiet", LEASH_ENV_LOG)))) {
		free_environment(env, at);
		return NULL;
	}
	*ret_made = at;
	for (size_t i = 0; i < count; i++) {
		bool keep = !(spawn->quiet && is_variable(environ[i], LEASH_ENV_LOG));

		for (size_t k = 0; k < sizeof(replaced) / sizeof(replaced[0]); k++)
			keep = keep && !is_variable(environ[i], replaced[k]);
		if (keep)
			env[at++] = environ[i];
	}
	return env;
}

/* --------------------------------------------------------------- its start */

struct start {
	const char *path;
	char **argv, **sh_argv, **env;
	sigset_t mask;          /* as it was */
	struct sigaction child; /* SIGCHLD, as it was */
	pid_t parent;
	int32_t *own_pid;
	volatile int error; /* of exec; 0: it runs */
};

/* Behind vfork(): this memory is the parent's, which waits. */
static void become(struct start *start)
{
	/* Without us nothing would be counted, forwarded or cleaned up. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != start->parent ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    sigaction(SIGCHLD, &start->child, NULL) < 0 ||
	    sigprocmask(SIG_SETMASK, &start->mask, NULL) < 0) {
		start->error = errno ? errno : ESRCH;
		return;
	}
	/* Here, or a `netleash status` that is quick enough sees a session of process 0. */
	if (start->own_pid)
		*start->own_pid = (int32_t)getpid();
	execve(start->path, start->argv, start->env);
	if (errno == ENOEXEC)
		execve("/bin/sh", start->sh_argv, start->env);
	start->error = errno;
}

__attribute__((noinline)) static pid_t start_program(struct start *start)
{
	pid_t pid = vfork(); /* exec's errno comes back in memory, and no page is copied */

	if (pid == 0) {
		become(start);
		_exit(LEASH_EXIT_CANNOT);
	}
	return pid;
}

/* ---------------------------------------------------------- what it starts */

/* Parent of a process, and its name; 0 if it is gone. "PID (NAME) STATE PPID …" */
static pid_t parent_of(const char *pid, char ret_name[static 17])
{
	char path[64], stat[512], *open_at, *close_at;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	stat[len] = '\0';
	open_at = strchr(stat, '(');
	close_at = strrchr(stat, ')');
	if (!open_at || !close_at || strlen(close_at) < 5 || close_at[2] == 'Z')
		return 0;
	snprintf(ret_name, 17, "%.*s", (int)(close_at - open_at - 1), open_at + 1);
	return (pid_t)strtol(close_at + 4, NULL, 10);
}

/* Our own children: the program, and what became ours when its parents ended.
 * @signal: 0 counts only. Return: how many; the first in @ret_pid and @ret_name */
static unsigned int signal_children(int signal, pid_t *ret_pid, char ret_name[static 17])
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned int count = 0;
	char name[17];

	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    parent_of(entry->d_name, name) != getpid())
			continue;
		if (count++ == 0) {
			*ret_pid = (pid_t)strtol(entry->d_name, NULL, 10);
			strcpy(ret_name, name);
		}
		if (signal)
			kill((pid_t)strtol(entry->d_name, NULL, 10), signal);
	}
	closedir(proc);
	return count;
}

struct watch {
	const struct leash_spawn *spawn;
	sigset_t all;
	pid_t pid; /* the program */
	int status;
	bool ended;         /* it has */
	bool alone;         /* no process of the run is left */
	unsigned int asked; /* how often we were told to end after that */
};

static bool is_pending(int signal)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, signal) == 1;
}

/*
 * Stop as the program did, so that the shell has its terminal back, and wake it when
 * we are woken. If a SIGCONT waits for us already, that stop is over.
 */
static void stop_like(struct watch *watch, int signal)
{
	const struct timespec now = {0};
	sigset_t one;
	int status;

	if (is_pending(SIGCONT))
		return;
	/* Somebody who stops the program by its pid will wake it by its pid, and would leave us
	 * stopped: only before a terminal is a shell waiting for it. */
	if (signal == SIGSTOP && tcgetpgrp(STDIN_FILENO) != getpgrp() &&
	    tcgetpgrp(STDERR_FILENO) != getpgrp())
		return;
	if (signal == SIGSTOP) {
		raise(SIGSTOP);
	} else {
		struct sigaction stop = {.sa_handler = SIG_DFL}, old;

		sigaction(signal, &stop, &old);
		sigemptyset(&one);
		sigaddset(&one, signal);
		raise(signal); /* blocked: it happens with the next line */
		sigprocmask(SIG_UNBLOCK, &one, NULL);
		sigprocmask(SIG_BLOCK, &one, NULL);
		sigaction(signal, &old, NULL);
	}
	/* Nothing ends a stop but SIGCONT, and it is blocked: without it there was no stop (an
	 * orphaned process group has none). */
	if (!is_pending(SIGCONT))
		return;
	sigemptyset(&one);
	sigaddset(&one, SIGCONT);
	sigtimedwait(&one, NULL, &now);
	/* A shell wakes the whole group: then the program needs no second SIGCONT. */
	if (waitpid(watch->pid, &status, WNOHANG | WCONTINUED) != watch->pid)
		kill(watch->pid, SIGCONT);
	else if (!WIFCONTINUED(status)) {
		watch->status = status;
		watch->ended = true;
	}
}

static void reap(struct watch *watch)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != watch->pid)
			continue;
		if (WIFSTOPPED(status)) {
			stop_like(watch, WSTOPSIG(status));
		} else {
			watch->status = status;
			watch->ended = true;
		}
	}
	watch->alone = pid < 0 && errno == ECHILD;
}

static void pass_on(struct watch *watch, const siginfo_t *info)
{
	bool sent = info->si_code <= 0; /* by a process, not by the kernel */
	bool ends = info->si_signo == SIGINT || info->si_signo == SIGQUIT ||
		    info->si_signo == SIGTERM || info->si_signo == SIGHUP;
	char name[17];
	pid_t first;

	if (!watch->ended) {
		/* "kill 0" of the program reached itself already. */
		if (!sent || info->si_pid == watch->pid)
			return;
		if (info->si_code == SI_QUEUE)
			sigqueue(watch->pid, info->si_signo, info->si_value);
		else
			kill(watch->pid, info->si_signo);
		return;
	}
	/* What is left may be in a session of its own, where no terminal reaches it. */
	if (!sent && !ends)
		return;
	if (ends)
		watch->asked++;
	signal_children(info->si_signo, &first, name);
}

/* What the program left behind, in the middle of waiting for it */
static void tell_rest(void)
{
	char name[17] = "";
	pid_t first = 0;
	unsigned int count = signal_children(0, &first, name);

	if (count == 1)
		leash_say("the program has ended, waiting for %s (process %d) that it left running",
			  name, first);
	else if (count > 1)
		leash_say("the program has ended, waiting for %s (process %d) and %u more that it "
			  "left running",
			  name, first, count - 1);
}

static void kill_rest(struct watch *watch)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	char name[17] = "";
	pid_t first = 0;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* The children of the killed become ours, and are killed in the next round. */
	for (int round = 0; round < KILL_ROUNDS; round++) {
		reap(watch);
		if (watch->alone)
			return;
		signal_children(SIGKILL, &first, name);
		sigtimedwait(&child, NULL, &pause);
	}
	leash_say("%s (process %d) of the build cannot be killed and is left behind", name, first);
}

static void wait_all(struct watch *watch)
{
	bool told = watch->spawn->quiet;
	siginfo_t info;

	for (;;) {
		bool timed = watch->ended && !told;
		long wait_ms = watch->spawn->tick ? watch->spawn->tick(watch->spawn->arg) : -1;
		bool ticks = wait_ms >= 0 && (!timed || wait_ms < LINGER_MS);
		struct timespec linger;
		int signal;

		if (!ticks)
			wait_ms = LINGER_MS;
		linger = (struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000};
		signal = timed || ticks ? sigtimedwait(&watch->all, &info, &linger)
					: sigwaitinfo(&watch->all, &info);
		if (signal == SIGCHLD) {
			reap(watch);
		} else if (signal > 0) {
			pass_on(watch, &info);
		} else if (errno == EAGAIN && !ticks) {
			tell_rest();
			told = true;
		}
		if (watch->ended && (watch->alone || watch->spawn->kill_rest || watch->asked > 1))
			break;
	}
	if (!watch->alone && watch->spawn->kill_rest)
		kill_rest(watch);
}

/* Block all signals, become the sub-reaper, start. Return: the program's pid, or -1 after a line */
static pid_t prepare_and_start(struct start *start, const sigset_t *all)
{
	const struct sigaction fresh = {.sa_handler = SIG_DFL};
	pid_t pid = -1;

	/* SIGCHLD: a caller that ignores it would have the kernel throw exit statuses away. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 &&
	    sigprocmask(SIG_BLOCK, all, &start->mask) == 0 &&
	    sigaction(SIGCHLD, &fresh, &start->child) == 0)
		pid = start_program(start);
	if (pid < 0)
		leash_say("%s: cannot be started: %s", start->path, strerror(errno));
	return pid;
}

int leash_spawn_wait(const struct leash_spawn *spawn, int *ret_status)
{
	struct watch watch = {.spawn = spawn};
	struct start start = {
		.path = spawn->program->path, .argv = spawn->argv, .parent = getpid(),
		.own_pid = spawn->own_pid};
	size_t argc = 0, made = 0;

	while (spawn->argv[argc])
		argc++;
	start.env = make_environment(spawn, &made);
	start.sh_argv = calloc(argc + 2, sizeof(*start.sh_argv));
	if (start.env && start.sh_argv) {
		start.sh_argv[0] = (char *)(uintptr_t)"/bin/sh";
		start.sh_argv[1] = (char *)(uintptr_t)start.path;
		for (size_t i = 1; i < argc; i++)
			start.sh_argv[i + 1] = spawn->argv[i];
		sigfillset(&watch.all);
		watch.pid = prepare_and_start(&start, &watch.all);
	} else {
		leash_say("%s", strerror(ENOMEM));
		watch.pid = -1;
	}
	free(start.sh_argv);
	free_environment(start.env, made);
	if (watch.pid < 0)
		return LEASH_EXIT_SYSTEM;
	if (start.error) {
		waitpid(watch.pid, NULL, 0);
		leash_say("%s: cannot be executed: %s", start.path, strerror(start.error));
		return start.error == ENOENT ? LEASH_EXIT_NOT_FOUND : LEASH_EXIT_CANNOT;
	}
	if (spawn->started)
		spawn->started(spawn->arg);
	wait_all(&watch);
	*ret_status = watch.status;
	return 0;
}

int leash_die_like(int status)
{
	const struct rlimit none = {0, 0};
	struct sigaction fresh = {.sa_handler = SIG_DFL};
	sigset_t one;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* The core, if any, is the program's: no second one of ours beside it. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	sigaction(WTERMSIG(status), &fresh, NULL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	raise(WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	return 128 + WTERMSIG(status);
}
