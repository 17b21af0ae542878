/* build: -pthread */
// SPDX-License-Identifier: MIT
/*
 * time_thread WHAT ADDRESS PORT: the thread that ends requests, as a program can notice it.
 *
 * count	threads before, during and 1.5 s after a request; unshare(CLONE_NEWUSER) before and after it
 * exit		main leaves by pthread_exit() while a request is pending: the process must end ("exit" is printed by
 *		atexit())
 * signal	a storm of signals to the process, while a request is pending: on which threads did they arrive?
 * setuid	setgid() to ourselves while a request is pending: it asks all threads of libc
 * cannot	what connect() says where no thread can be made: the kernel's answer to clone() is EAGAIN. With a
 *		fourth argument it can
 * follow	give up root while a request is pending: as whom do all our threads run within three seconds? (libc asks
 *		only the threads that it knows)
 * later	a request is pending when the program makes its first thread, and main() leaves by pthread_exit(): a
 *		request of that thread must end in time all the same
 * table	how many descriptors each thread's table has while a request is pending
 * reuse	a FILE closes its number inside libc and another socket gets it, many times over, while deadlines of
 *		30 ms pass: no socket but those that wait may be ended
 * jump		siglongjmp() out of connect(), recv() and getaddrinfo(), then a request
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in to = {.sin_family = AF_INET};

static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = -2;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int ask(const char *path)
{
	char request[128];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (void *)&to, sizeof(to)) < 0) {
		printf("connect %s\n", strerrorname_np(errno));
		exit(1);
	}
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, inet_ntoa(to.sin_addr));
	if (write(fd, request, strlen(request)) < 0)
		perror("write");
	return fd;
}

static void answer(int fd)
{
	char buf[4096];
	ssize_t got = read(fd, buf, sizeof(buf));

	printf("answer %s\n", got < 0 ? strerrorname_np(errno) : got ? "ok" : "eof");
}

/* In a child of its own, because it would not come back. */
static const char *unshared(void)
{
	return unshare(CLONE_NEWUSER) == 0 ? "ok" : strerrorname_np(errno);
}

static void pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static void at_exit(void)
{
	puts("exit");
}

static pid_t main_tid;
static volatile int arrived, elsewhere;

static void on_signal(int sig)
{
	(void)sig;
	arrived++;
	if (syscall(SYS_gettid) != main_tid)
		elsewhere++;
}

static sigjmp_buf back;
static void leave(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

/* By instruction: nobody is told that the number is another socket's now. */
static long unseen_socketpair(int pair[2])
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = (long)pair;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_socketpair), "D"(AF_UNIX), "S"(SOCK_STREAM), "d"(0), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
#else
	register long x8 __asm__("x8") = SYS_socketpair;
	register long x0 __asm__("x0") = AF_UNIX;
	register long x1 __asm__("x1") = SOCK_STREAM;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = (long)pair;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#endif
}

/* As whom do the threads run? The number of different answers, and the last one */
static int identities(unsigned int *ret_uid)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int uid = ~0u, seen[16];
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(dir)) && count < 16) {
		char path[300], line[256];
		FILE *file;
		int known = 0;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "Uid: %*u %u", &uid) == 1)
				break;
		if (file)
			fclose(file);
		for (int i = 0; i < count; i++)
			known |= seen[i] == uid;
		if (!known)
			seen[count++] = uid;
	}
	closedir(dir);
	*ret_uid = uid;
	return count;
}

static void *ask_aside(void *arg)
{
	pause_ms(200);
	puts("main has left");
	answer(ask("/hang"));
	return arg;
}

static int tables(int say)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int ours = 0;

	while ((entry = readdir(dir))) {
		char path[300];
		DIR *fds;
		int count = -2;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/fdinfo", entry->d_name);
		fds = opendir(path);
		while (fds && readdir(fds))
			count++;
		if (fds)
			closedir(fds);
		ours += count <= 3;
		if (say)
			printf("%s %s\n", atoi(entry->d_name) == main_tid ? "main" : "other",
			       count > 3 ? "the program's" : "its own");
	}
	closedir(dir);
	return ours;
}

static void no_threads(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(*code), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		exit(6);
}

static void reuse(void)
{
	struct timeval limit = {0, 30000};
	int bad = 0, waited = 0;
	time_t end = time(NULL) + 3;

	while (time(NULL) < end) {
		int old = socket(AF_INET, SOCK_STREAM, 0), new, pair[2];
		char c = 0;
		FILE *file;

		setsockopt(old, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		if (connect(old, (void *)&to, sizeof(to)) < 0)
			exit(3);
		file = fdopen(old, "r+");
		if (write(old, "GET /hang HTTP/1.0\r\n\r\n", 22) < 0)
			exit(4);
		/* Around its deadline the number becomes another socket's, behind the back of every hook. */
		pause_ms(26 + rand() % 8);
		fclose(file);
		if (unseen_socketpair(pair) < 0)
			exit(5);
		new = pair[0] == old ? pair[0] : pair[1];
		pause_ms(5);
		if (send(pair[0], "x", 1, MSG_NOSIGNAL) != 1 || recv(pair[1], &c, 1, 0) != 1)
			bad++;
		waited += new == old;
		close(pair[0]);
		close(pair[1]);
	}
	printf("reused %s, ended by mistake %d\n", waited > 20 ? "often" : "seldom", bad);
}

int main(int argc, char *argv[])
{
	const char *what = argv[1];
	int fd;

	if (argc < 4)
		return 2;
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	to.sin_port = htons(atoi(argv[3]));
	setvbuf(stdout, NULL, _IOLBF, 0);
	main_tid = syscall(SYS_gettid);
	if (strcmp(what, "count") == 0) {
		printf("before %d\n", threads());
		if (fork() == 0) {
			printf("unshare %s\n", unshared());
			_exit(0);
		}
		wait(NULL);
		fd = ask("/slow/0.3");
		printf("during %d\n", threads());
		answer(fd);
		pause_ms(1500);
		printf("after %d\n", threads());
		printf("unshare %s\n", unshared());
	} else if (strcmp(what, "exit") == 0) {
		atexit(at_exit);
		fd = ask("/hang");
		pthread_exit(NULL);
	} else if (strcmp(what, "signal") == 0) {
		struct sigaction act = {.sa_handler = on_signal};
		pid_t child;

		sigaction(SIGUSR1, &act, NULL);
		sigaction(SIGUSR2, &act, NULL);
		fd = ask("/hang");
		child = fork();
		if (child == 0) {
			for (int i = 0; i < 20000; i++)
				kill(getppid(), i % 2 ? SIGUSR1 : SIGUSR2);
			_exit(0);
		}
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		printf("threads %d, arrived %s, elsewhere %d\n", threads(), arrived > 100 ? "many" : "few",
		       elsewhere);
	} else if (strcmp(what, "setuid") == 0) {
		fd = ask("/hang");
		printf("threads %d\n", threads());
		printf("setgid %d\n", setgid(getgid()));
	} else if (strcmp(what, "follow") == 0) {
		unsigned int uid;
		int count;

		fd = ask("/hang");
		printf("threads %d\n", threads());
		if (setgroups(0, NULL) < 0 || setresgid(1, 1, 1) < 0 || setresuid(1, 1, 1) < 0)
			perror("setresuid");
		for (int i = 0; i < 30; i++) {
			count = identities(&uid);
			if (count == 1)
				break;
			pause_ms(100);
		}
		printf("identities %d, the last %u\n", count, uid);
		answer(fd);
	} else if (strcmp(what, "later") == 0) {
		pthread_t thread;

		fd = ask("/hang");
		printf("threads %d\n", threads());
		pthread_create(&thread, NULL, ask_aside, NULL);
		pthread_exit(NULL);
	} else if (strcmp(what, "table") == 0) {
		fd = ask("/hang");
		for (int i = 0; i < 8; i++)
			dup(fd);
		/* The thread does it first thing, when it gets the processor. */
		for (int i = 0; i < 30 && tables(0) == 0; i++)
			pause_ms(100);
		tables(1);
	} else if (strcmp(what, "cannot") == 0) {
		if (argc == 4)
			no_threads();
		fd = ask("/");
		answer(fd);
	} else if (strcmp(what, "reuse") == 0) {
		reuse();
	} else if (strcmp(what, "jump") == 0) {
		struct itimerval soon = {.it_value = {0, 20000}};
		struct addrinfo *list;
		char c;

		signal(SIGALRM, leave);
		for (volatile int i = 0; i < 60; i++) {
			if (sigsetjmp(back, 1) == 0) {
				setitimer(ITIMER_REAL, &soon, NULL);
				if (i % 2) {
					fd = ask("/hang");
					recv(fd, &c, 1, 0);
				} else {
					getaddrinfo("drop.example.com", "1", NULL, &list);
				}
				puts("not jumped");
			}
		}
		answer(ask("/"));
	}
	return 0;
}
