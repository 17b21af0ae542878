/* build: -ldl -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * The fragment of run_from.h, from each place of a program (hooks.md T2).
 *
 *	run_from PLACE DIR
 *
 * $RUN_FROM=preinit: from preinit_array, before everything else. Places that say nothing of
 * their own say what the fragment said there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "run_from.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static const char *place, *directory;
static volatile sig_atomic_t wrong, entered;

static void preinit(int argc, char **argv, char **envp)
{
	for (; envp && *envp; envp++)
		if (strcmp(*envp, "RUN_FROM=preinit") == 0)
			run_from_say("preinit_array", run_from_verdict(0));
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char **, char **) = preinit;

static void p_main(void) { wrong = run_from_verdict(0); }
static void p_syscall(void) { wrong = run_from_verdict(1); }

static void at_end(void) { run_from_say("atexit", run_from_verdict(0)); }
static void p_atexit(void) { atexit(at_end); }

__attribute__((destructor)) static void finish(void)
{
	if (place && strcmp(place, "destructor") == 0)
		run_from_say("destructor's own", run_from_verdict(0));
}
static void p_destructor(void) {}

/* ---- handlers */
static void handler(int number)
{
	entered = 1;
	wrong = run_from_verdict(0);
}

static void handle(int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	wrong = 31;
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

static void p_handler(void)
{
	handle(0);
	raise(SIGALRM);
}

static void soon(void)
{
	struct itimerspec when = {.it_value.tv_nsec = 150000000};
	timer_t timer;

	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &when, NULL);
}

static void p_handler_in_recv(void)
{
	struct sockaddr_in addr = run_from_addr(0, 9000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	handle(0);
	connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	soon();
	if (recv(fd, &byte, 1, 0) != -1 || errno != EINTR)
		wrong = 30;
}

/* On a page that has no room for more than what the kernel puts there and what a call needs */
static void p_sigaltstack(void)
{
	size_t least = getauxval(AT_MINSIGSTKSZ);
	size_t size = ((least ? least : MINSIGSTKSZ) + 8192 + 4095) & ~(size_t)4095;
	char *area = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = area + 4096, .ss_size = size};

	mprotect(area, 4096, PROT_NONE);
	sigaltstack(&stack, NULL);
	handle(SA_ONSTACK);
	raise(SIGALRM);
}

/* The handler comes while malloc() holds its lock: a hook that allocates would hang. The first
 * deadline of a process starts a thread, for which libc allocates (hooks.md W4, the known limit);
 * later ones find its stack. */
static void p_handler_in_malloc(void)
{
	struct itimerspec when = {.it_value.tv_nsec = 3000000, .it_interval.tv_nsec = 3000000};
	struct sigaction action = {.sa_handler = handler};
	timer_t timer;
	int bad = run_from_verdict(0);

	sigaction(SIGALRM, &action, NULL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &when, NULL);
	for (int rounds = 0; rounds < 100;) {
		void *volatile blocks[64];

		entered = 0;
		for (int i = 0; i < 64; i++)
			blocks[i] = malloc((size_t)(i * 997) % 70000);
		for (int i = 0; i < 64; i++)
			free(blocks[i]);
		if (entered) {
			rounds++;
			bad |= wrong;
		}
	}
	timer_delete(timer);
	wrong = bad;
}

/* ---- threads */
static void *in_thread(void *arg)
{
	wrong = run_from_verdict(0);
	return NULL;
}

static void p_thread_small(void)
{
	pthread_attr_t attr;
	pthread_t id;

	wrong = 31;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
	if (pthread_create(&id, &attr, in_thread, NULL) == 0)
		pthread_join(id, NULL);
}

/* ---- children */
static void reap(pid_t pid)
{
	int status = 0;

	wrong = 31;
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		wrong = WEXITSTATUS(status);
}

static void p_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_from_verdict(0));
	reap(pid);
}

static void p__Fork(void)
{
	pid_t pid = _Fork();

	if (pid == 0)
		_exit(run_from_verdict(0));
	reap(pid);
}

static void p_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(run_from_verdict(0));
	reap(pid);
}

static int cloned(void *arg)
{
	_exit(run_from_verdict(0));
}

static void clone_with(int flags)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reap(clone(cloned, stack + 65536, flags | SIGCHLD, NULL));
}

static void p_clone(void) { clone_with(0); }
static void p_clone_vm(void) { clone_with(CLONE_VM); }
static void p_clone_vfork(void) { clone_with(CLONE_VM | CLONE_VFORK); }

static void p_posix_spawn(void)
{
	char path[4096], *argv[] = {path, "child", (char *)directory, NULL}, *envp[] = {NULL};
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%s/run_from", directory);
	posix_spawn(&pid, path, NULL, NULL, argv, envp);
	reap(pid);
}

static void p_child(void) { _exit(run_from_verdict(0)); }

/* A second first: the child is not the one that loaded the policy. */
static void p_fork_after(void)
{
	if (run_from_verdict(0) == 0)
		p_fork();
}

/* ---- a library that comes late, with names of its own scope */
static void p_dlopen(void)
{
	char path[4096];
	void *handle;
	int (*fragment)(void);

	snprintf(path, sizeof(path), "%s/run_from_lib", directory);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	fragment = handle ? (int (*)(void))dlsym(handle, "run_from_lib") : NULL;
	wrong = fragment ? fragment() : 31;
}

static void p_dlopen_deep(void)
{
	char path[4096];
	void *handle;
	int (*fragment)(void);

	snprintf(path, sizeof(path), "%s/run_from_lib", directory);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	fragment = handle ? (int (*)(void))dlsym(handle, "run_from_lib") : NULL;
	wrong = fragment ? fragment() : 31;
}

/* ---- after siglongjmp() out of a blocked call, and out of a busy one, many times over */
static sigjmp_buf back;

static void leave(int number)
{
	siglongjmp(back, 1);
}

static void jump_out(int times, long after_ns, void (*busy)(void))
{
	struct sigaction action = {.sa_handler = leave};
	struct itimerspec when = {.it_value.tv_nsec = after_ns};
	volatile int jumps = 0;
	timer_t timer;

	sigaction(SIGALRM, &action, NULL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	while (jumps < times) {
		if (sigsetjmp(back, 1) == 0) {
			/* Not always at the same place */
			when.it_value.tv_nsec = after_ns + jumps % 97 * 1000;
			timer_settime(timer, 0, &when, NULL);
			for (;;)
				busy();
		}
		jumps++;
	}
	timer_delete(timer);
	wrong = run_from_verdict(0);
}

static int waiting = -1;

static void recv_forever(void)
{
	char byte;

	recv(waiting, &byte, 1, 0);
}

static void p_jump_recv(void)
{
	struct sockaddr_in addr = run_from_addr(0, 9000);

	waiting = socket(AF_INET, SOCK_STREAM, 0);
	connect(waiting, (struct sockaddr *)&addr, sizeof(addr));
	jump_out(10000, 50000, recv_forever);
}

/* Refusals hold a block for their texts: none may be lost for good. */
static int busy_fd = -1;

static void refused(void)
{
	struct sockaddr_in addr = run_from_addr(1, 9000);

	if (busy_fd < 0)
		busy_fd = socket(AF_INET, SOCK_STREAM, 0);
	connect(busy_fd, (struct sockaddr *)&addr, sizeof(addr));
}

static void p_jump_refused(void) { jump_out(4000, 40000, refused); }

/* connect() to a host that never answers: the slot is claimed before */
static void hangs(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(9000)};
	int fd;

	addr.sin_addr.s_addr = htonl(0xc000024d);	/* 192.0.2.77, on the own network */
	close(100);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	dup2(fd, 100);
	close(fd);
	connect(100, (struct sockaddr *)&addr, sizeof(addr));
}

static void p_jump_connect(void) { jump_out(5000, 100000, hangs); }

/* ---- pthread_cancel(), deferred and asynchronous */
static int cancel_fd, cancel_kind;

static void *blocked(void *how)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(9000)};
	char bytes[16];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mmsg = {.msg_hdr = msg};
	struct addrinfo *list;

	pthread_setcanceltype(cancel_kind, NULL);
	for (;;) {
		switch (*(char *)how) {
		case 'r': read(cancel_fd, bytes, 1); break;
		case 'v': readv(cancel_fd, &iov, 1); break;
		case 'c': recv(cancel_fd, bytes, 1, 0); break;
		case 'f': recvfrom(cancel_fd, bytes, 1, 0, NULL, NULL); break;
		case 'm': recvmsg(cancel_fd, &msg, 0); break;
		case 'M': recvmmsg(cancel_fd, &mmsg, 1, 0, NULL); break;
		case 'a': accept(cancel_fd, NULL, NULL); break;
		case 'A': accept4(cancel_fd, NULL, NULL, 0); break;
		case 'C':
			addr.sin_addr.s_addr = htonl(0xc000024d);
			connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&addr, sizeof(addr));
			break;
		case 'g': getaddrinfo("slow.example.com", NULL, NULL, &list); break;
		case 'w': write(cancel_fd, bytes, sizeof(bytes)); break;
		case 's': send(cancel_fd, bytes, sizeof(bytes), 0); break;
		}
	}
}

static int cancel_one(char *how, int kind)
{
	struct sockaddr_in addr = run_from_addr(0, 9000);
	struct sockaddr_un_stub { sa_family_t family; char path[108]; } name = {AF_UNIX, ""};
	struct timespec moment = {.tv_nsec = 30000000};
	void *result = NULL;
	pthread_t id;
	int small = 4096;

	cancel_kind = kind;
	if (*how == 'a' || *how == 'A') {
		/* A listener that is not the network's: listening is refused there. */
		cancel_fd = socket(AF_UNIX, SOCK_STREAM, 0);
		bind(cancel_fd, (struct sockaddr *)&name, sizeof(sa_family_t));
		listen(cancel_fd, 1);
	} else {
		cancel_fd = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(cancel_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		setsockopt(cancel_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		connect(cancel_fd, (struct sockaddr *)&addr, sizeof(addr));
	}
	pthread_create(&id, NULL, blocked, how);
	nanosleep(&moment, NULL);
	pthread_cancel(id);
	pthread_join(id, &result);
	close(cancel_fd);
	return result == PTHREAD_CANCELED ? 0 : 1;
}

static void p_cancel(void)
{
	static char ways[] = "rvcfmMaACgws";

	wrong = 0;
	for (char *how = ways; *how; how++)
		wrong |= cancel_one(how, PTHREAD_CANCEL_DEFERRED);
	wrong |= run_from_verdict(0);
}

static void p_cancel_async(void)
{
	static char ways[] = "rvcfmM";

	wrong = 0;
	for (int i = 0; i < 40; i++)
		wrong |= cancel_one(&ways[i % 6], PTHREAD_CANCEL_ASYNCHRONOUS);
	wrong |= run_from_verdict(0);
}

#define PLACE(name) {#name, p_##name}
static const struct {
	const char *name;
	void (*run)(void);
} places[] = {
	PLACE(main), PLACE(syscall), PLACE(atexit), PLACE(destructor), PLACE(handler),
	PLACE(handler_in_recv), PLACE(sigaltstack), PLACE(handler_in_malloc), PLACE(thread_small),
	PLACE(fork), PLACE(_Fork), PLACE(vfork), PLACE(clone), PLACE(clone_vm), PLACE(clone_vfork),
	PLACE(posix_spawn), PLACE(fork_after), PLACE(dlopen), PLACE(dlopen_deep), PLACE(jump_recv),
	PLACE(jump_refused), PLACE(jump_connect), PLACE(cancel), PLACE(cancel_async), PLACE(child),
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	directory = argv[2];
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (strcmp(argv[1], places[i].name) != 0)
			continue;
		place = places[i].name;
		places[i].run();
		run_from_say(place, wrong);
		return wrong != 0;
	}
	return 2;
}
