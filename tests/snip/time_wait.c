/* build: -pthread */
// SPDX-License-Identifier: MIT
/*
 * time_wait WAY ADDRESS PORT [OPTION …]: ask a server for what it never answers, and wait for it in one way.
 *
 * WAY:	read readv recv recvfrom recvmsg poll select epoll epollet stdio write peek syscall
 *	connect nbconnect connect2; resolve (ADDRESS is a name)
 * OPTION: rcvtimeo=MS sndtimeo=MS usertimeout=MS (before connect()), late=MS (SO_RCVTIMEO once connected),
 *	set=MS (netleash_set_timeout() before connect()), file (another file gets the number behind our back),
 *	fork (the child waits, the parent is gone), thread (another thread waits), lend (the child waits, the parent
 *	closes its descriptor and sleeps), away=GRACE (a child sends the session to the background when we wait)
 *
 * Prints "WAY ERRNO MS": how the wait ended, and how long after the start of connect() that was. "eof" is the end
 * of the stream. With away=GRACE, " late US" behind it: how long after the end of the grace, which is GRACE ms.
 * Further lines where further calls say something.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma weak netleash_set_timeout
int netleash_set_timeout(int fd, int ms);
#pragma weak netleash_set_background
int netleash_set_background(_Bool away);

static const char *way;
static int fd;
static struct timespec start;
static struct sockaddr_in to = {.sin_family = AF_INET};

/* Shared with the child that changes the state */
static struct {
	volatile int waits;
	volatile long away_us, grace_us;
} *shared;

static long ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}

static long us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void said(const char *what, long result)
{
	const long now_us = us();

	printf("%s %s %ld", what,
	       result < 0 ? strerrorname_np(errno) : result == 0 ? "eof" : "ok", ms());
	if (shared && strcmp(what, way) == 0)
		printf(" late %ld", shared->away_us ? now_us - shared->away_us - shared->grace_us : -1);
	putchar('\n');
	fflush(stdout);
}

/* From here on we wait. */
static void waiting(void)
{
	if (shared)
		shared->waits = 1;
}

/* A process of its own, so that this one has no second thread because of it */
static void away_later(long grace_ms)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->grace_us = grace_ms * 1000;
	if (fork() > 0)
		return;
	while (!shared->waits)
		usleep(1000);
	usleep(100000);
	shared->away_us = us();
	_exit(netleash_set_background ? netleash_set_background(1) : 1);
}

static void set(int level, int name, long value, int timeval)
{
	struct timeval tv = {value / 1000, value % 1000 * 1000};
	unsigned int number = value;

	if (setsockopt(fd, level, name, timeval ? (void *)&tv : (void *)&number,
		       timeval ? sizeof(tv) : sizeof(number)) < 0)
		perror("setsockopt");
}

/* Return: what the wait said: 1 if it was woken as it should be */
static void ready(short events)
{
	struct pollfd one = {.fd = fd, .events = events};

	poll(&one, 1, -1);
}

static void *wait_for_it(void *arg)
{
	char buf[256];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int e, count;
	ssize_t ret = -1;

	(void)arg;
	waiting();
	if (strcmp(way, "poll") == 0 || strcmp(way, "file") == 0) {
		ready(POLLIN);
	} else if (strcmp(way, "select") == 0) {
		fd_set set;

		FD_ZERO(&set);
		FD_SET(fd, &set);
		select(fd + 1, &set, NULL, NULL, NULL);
	} else if (strncmp(way, "epoll", 5) == 0) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};

		if (way[5])
			event.events |= EPOLLET;
		e = epoll_create1(0);
		epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
		count = epoll_wait(e, &event, 1, -1);
		if (count != 1)
			perror("epoll_wait");
	}
	if (strcmp(way, "recv") == 0)
		ret = recv(fd, buf, sizeof(buf), 0);
	else if (strcmp(way, "peek") == 0)
		ret = recv(fd, buf, sizeof(buf), MSG_PEEK);
	else if (strcmp(way, "recvfrom") == 0)
		ret = recvfrom(fd, buf, sizeof(buf), 0, NULL, NULL);
	else if (strcmp(way, "recvmsg") == 0)
		ret = recvmsg(fd, &msg, 0);
	else if (strcmp(way, "readv") == 0)
		ret = readv(fd, &iov, 1);
	else if (strcmp(way, "syscall") == 0)
		ret = syscall(SYS_read, fd, buf, sizeof(buf));
	else if (strcmp(way, "stdio") == 0)
		ret = fgets(buf, sizeof(buf), fdopen(fd, "r")) ? 1 : 0;
	else if (strcmp(way, "write") == 0)
		while ((ret = write(fd, buf, sizeof(buf))) > 0)
			;
	else
		ret = read(fd, buf, sizeof(buf));
	said(way, ret);
	if (strcmp(way, "stdio") == 0)
		return NULL;
	/* It stays so. */
	ret = read(fd, buf, sizeof(buf));
	said("then-read", ret);
	ret = send(fd, buf, 1, 0);
	said("then-send", ret);
	return NULL;
}

static void connecting(void)
{
	int error = -1, nonblock = strcmp(way, "connect") != 0;
	socklen_t len = sizeof(error);

	waiting();
	if (nonblock)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (void *)&to, sizeof(to)) == 0 || !nonblock) {
		said(way, -1);
		return;
	}
	if (errno != EINPROGRESS) {
		said(way, -1);
		return;
	}
	ready(POLLOUT);
	if (strcmp(way, "connect2") == 0) {
		said(way, connect(fd, (void *)&to, sizeof(to)));
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	errno = error;
	said(way, error ? -1 : 0);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	printf("then-so-error %d\n", error);
	said("then-connect", connect(fd, (void *)&to, sizeof(to)));
}

static void resolving(const char *name)
{
	struct addrinfo *list;
	int ret;

	waiting();
	ret = getaddrinfo(name, "443", NULL, &list);
	if (ret && ret != EAI_SYSTEM)
		puts(gai_strerror(ret));
	said(way, ret == 0 ? 1 : -1);
}

int main(int argc, char *argv[])
{
	char request[512];
	int thread = 0, child = 0, lend = 0;
	long late = 0;

	if (argc < 4)
		return 2;
	way = argv[1];
	snprintf(request, sizeof(request), "GET /hang HTTP/1.1\r\nHost: %s\r\n\r\n", argv[2]);
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	to.sin_port = htons(atoi(argv[3]));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	for (int i = 4; i < argc; i++) {
		const char *value = strchr(argv[i], '=') ? strchr(argv[i], '=') + 1 : "";

		if (strncmp(argv[i], "rcvtimeo=", 9) == 0)
			set(SOL_SOCKET, SO_RCVTIMEO, atol(value), 1);
		else if (strncmp(argv[i], "sndtimeo=", 9) == 0)
			set(SOL_SOCKET, SO_SNDTIMEO, atol(value), 1);
		else if (strncmp(argv[i], "usertimeout=", 12) == 0)
			set(IPPROTO_TCP, TCP_USER_TIMEOUT, atol(value), 0);
		else if (strncmp(argv[i], "late=", 5) == 0)
			late = atol(value);
		else if (strncmp(argv[i], "set=", 4) == 0)
			printf("set %d\n", netleash_set_timeout ? netleash_set_timeout(fd, atoi(value)) : -2);
		else if (strcmp(argv[i], "thread") == 0)
			thread = 1;
		else if (strcmp(argv[i], "fork") == 0)
			child = 1;
		else if (strcmp(argv[i], "lend") == 0)
			lend = 1;
		else if (strncmp(argv[i], "away=", 5) == 0)
			away_later(atol(value));
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (strcmp(way, "resolve") == 0) {
		resolving(argv[2]);
		return 0;
	}
	if (strstr(way, "connect")) {
		connecting();
		return 0;
	}
	if (connect(fd, (void *)&to, sizeof(to)) < 0) {
		said("connect", -1);
		return 1;
	}
	if (late)
		set(SOL_SOCKET, SO_RCVTIMEO, late, 1);
	if (strcmp(way, "write") != 0 && write(fd, request, strlen(request)) < 0) {
		said("request", -1);
		return 1;
	}
	if (child && fork() > 0)
		_exit(0);
	if (lend && fork() > 0) {
		close(fd);
		wait(NULL);
		return 0;
	}
	if (thread) {
		pthread_t other;

		pthread_create(&other, NULL, wait_for_it, NULL);
		pthread_join(other, NULL);
	} else {
		wait_for_it(NULL);
	}
	return 0;
}
