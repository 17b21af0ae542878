/* SPDX-License-Identifier: MIT */
/*
 * What is measured: an ordinary program that makes one kind of call over and over. It knows nothing of
 * netleash; tests/bench/run starts it without, with, without, with.
 *
 *	client time  ROW MS        prints nanoseconds per operation
 *	client count ROW N         N operations, each between two marks (mark.h)
 *	client memory CONNECTIONS  prints private dirty KiB before and behind as many connections
 *	client idle SECONDS        with 10,000 connections pending: us of processor time a second, wake-ups
 *	client spawn N ENV=… : PROGRAM … @@ ENV=… : PROGRAM … @@ …	(below)
 *
 * Rows talk to $BENCH_HOST, $BENCH_PORT (echo), pinned to processor $BENCH_CPU.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"

#define MANY 1000
#define PENDING 10000
#define BULK (64 << 10)

static int fds[MANY], pair[2], epoll_fd;
static struct sockaddr_in server, elsewhere;
static char buf[BULK];
static struct pollfd polled[MANY];

static void die(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value) {
		fprintf(stderr, "client: %s is not set\n", name);
		exit(100);
	}
	return value;
}

static int dial(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* By name, as programs do it: an address that nobody resolved would be refused. */
static void find_server(void)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	const int ret = getaddrinfo(setting("BENCH_HOST"), setting("BENCH_PORT"), &hints, &list);

	if (ret) {
		fprintf(stderr, "client: %s: %s\n", setting("BENCH_HOST"), gai_strerror(ret));
		exit(1);
	}
	memcpy(&server, list->ai_addr, sizeof(server));
	freeaddrinfo(list);
}

/* Until the first bytes went out and came back a connection may still be looked at. */
static void exchange(int fd, size_t len)
{
	size_t got = 0;

	if (send(fd, buf, len, 0) != (ssize_t)len)
		die("send");
	while (got < len) {
		const ssize_t ret = recv(fd, buf + got, len - got, 0);

		if (ret <= 0)
			die("recv");
		got += (size_t)ret;
	}
}

static void set_connect(void)
{
	find_server();
	elsewhere = server;
	elsewhere.sin_addr.s_addr ^= htonl(0x11);	/* a neighbour that nobody resolved */
}

static void set_talk(void)
{
	find_server();
	fds[0] = dial();
	exchange(fds[0], 100);
}

static void set_sink(void)
{
	find_server();
	server.sin_port = htons((uint16_t)(ntohs(server.sin_port) + 1));
	fds[0] = dial();
}

static void set_files(void)
{
	fds[0] = open("/dev/null", O_WRONLY);
	fds[1] = open("/dev/zero", O_RDONLY);
	if (fds[0] < 0 || fds[1] < 0 || pipe(pair) < 0)
		die("files");
}

static void set_many(void)
{
	find_server();
	epoll_fd = epoll_create1(0);
	for (int i = 0; i < MANY; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = i};

		fds[i] = dial();
		exchange(fds[i], 1);
		polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			die("epoll_ctl");
	}
	/* One is always readable: only the waiting itself is measured. */
	if (send(fds[MANY / 2], buf, 1, 0) != 1)
		die("send");
	poll(polled, MANY, 10000);
}

/* As many connections that wait for an answer which never comes, and one that gets its own. */
static void set_pending(void)
{
	const struct rlimit limit = {PENDING + 100, PENDING + 100};
	const struct timeval patience = {.tv_sec = 60};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("RLIMIT_NOFILE");
	set_talk();
	server.sin_port = htons((uint16_t)(ntohs(server.sin_port) + 1));
	for (int i = 0; i < PENDING; i++) {
		const int fd = dial();

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (send(fd, buf, 1, 0) != 1)
			die("send");
	}
}

static void set_connected_udp(void)
{
	find_server();
	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(fds[0], (struct sockaddr *)&server, sizeof(server)) < 0)
		die("connect");
}

static void do_connect(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("connect");
	close(fd);
}

static void do_refused(void)
{
	if (connect(fds[0], (struct sockaddr *)&elsewhere, sizeof(elsewhere)) == 0 || errno != EACCES) {
		fprintf(stderr, "client: the connection was not refused\n");
		exit(1);
	}
}

static void set_refused(void)
{
	set_connect();
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
}

static void do_socket(void)
{
	close(socket(AF_INET, SOCK_STREAM, 0));
}

static void do_send_recv(size_t len)
{
	if (send(fds[0], buf, len, 0) != (ssize_t)len || recv(fds[0], buf, len, MSG_WAITALL) != (ssize_t)len)
		die("send, recv");
}

static void do_write_read(size_t len)
{
	if (write(fds[0], buf, len) != (ssize_t)len)
		die("write");
	for (size_t got = 0; got < len;) {
		const ssize_t ret = read(fds[0], buf, len - got);

		if (ret <= 0)
			die("read");
		got += (size_t)ret;
	}
}

static void do_send_recv_1(void) { do_send_recv(1); }
static void do_send_recv_1k(void) { do_send_recv(1024); }
static void do_write_read_1(void) { do_write_read(1); }
static void do_write_read_1k(void) { do_write_read(1024); }

/* One direction each, for counting: the other one is not between the marks. */
static void do_send(void)
{
	if (send(fds[0], buf, 1, 0) != 1)
		die("send");
}

static void do_write(void)
{
	if (write(fds[0], buf, 1) != 1)
		die("write");
}

static void do_recv(void)
{
	if (recv(fds[0], buf, 1, 0) != 1)
		die("recv");
}

static void do_read(void)
{
	if (read(fds[0], buf, 1) != 1)
		die("read");
}

static void set_arrived(void)
{
	int waiting = 0;

	set_talk();
	if (send(fds[0], buf, 4096, 0) != 4096)
		die("send");
	while (waiting < 4096) {
		struct pollfd one = {.fd = fds[0], .events = POLLIN};
		char peeked[4096];

		poll(&one, 1, 10000);
		waiting = (int)recv(fds[0], peeked, sizeof(peeked), MSG_PEEK);
		if (waiting <= 0)
			die("recv");
	}
}

static void do_sendto_udp(void)
{
	if (send(fds[0], buf, 1, 0) != 1 && errno != ECONNREFUSED)
		die("send");
}

static void do_file_write(void)
{
	if (write(fds[0], buf, 1) != 1)
		die("write");
}

static void do_file_read(void)
{
	if (read(fds[1], buf, 1) != 1)
		die("read");
}

static void do_pipe(void)
{
	if (write(pair[1], buf, 1) != 1 || read(pair[0], buf, 1) != 1)
		die("pipe");
}

static void do_bulk(void)
{
	for (size_t sent = 0; sent < BULK;) {
		const ssize_t ret = write(fds[0], buf, BULK - sent);

		if (ret <= 0)
			die("write");
		sent += (size_t)ret;
	}
}

static void do_poll(void)
{
	if (poll(polled, MANY, -1) != 1)
		die("poll");
}

static void do_epoll(void)
{
	struct epoll_event events[64];

	if (epoll_wait(epoll_fd, events, 64, -1) != 1)
		die("epoll_wait");
}

static void lookup(const char *name, bool found)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	const int ret = getaddrinfo(name, NULL, &hints, &list);

	if ((ret == 0) != found) {
		fprintf(stderr, "client: %s: %s\n", name, ret ? gai_strerror(ret) : "was found");
		exit(1);
	}
	if (list)
		freeaddrinfo(list);
}

static void do_hosts(void) { lookup(setting("BENCH_HOST"), true); }
static void do_dns(void) { lookup(setting("BENCH_DNS"), true); }
static void do_unlisted(void) { lookup("unlisted.example.com", false); }
static void set_nothing(void) { }

static const struct row {
	const char *name;
	void (*set)(void);
	void (*run)(void);
	bool apart;		/* counted as it is long after the last one */
} rows[] = {
	{"connect", set_connect, do_connect, false},
	{"refused", set_refused, do_refused, true},
	{"socket", set_nothing, do_socket, false},
	{"send_recv_1", set_talk, do_send_recv_1, false},
	{"send_recv_1k", set_talk, do_send_recv_1k, false},
	{"write_read_1", set_talk, do_write_read_1, false},
	{"write_read_1k", set_talk, do_write_read_1k, false},
	{"deadlines", set_pending, do_send_recv_1, false},
	{"send", set_talk, do_send, false},
	{"write", set_talk, do_write, false},
	{"recv", set_arrived, do_recv, false},
	{"read", set_arrived, do_read, false},
	{"udp_send", set_connected_udp, do_sendto_udp, false},
	{"file_write", set_files, do_file_write, false},
	{"file_read", set_files, do_file_read, false},
	{"pipe", set_files, do_pipe, false},
	{"bulk", set_sink, do_bulk, false},
	{"poll", set_many, do_poll, false},
	{"epoll_wait", set_many, do_epoll, false},
	{"gai_hosts", set_nothing, do_hosts, false},
	{"gai_dns", set_nothing, do_dns, false},
	{"gai_unlisted", set_nothing, do_unlisted, true},
};

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#define CHUNKS_MAX 100000
#define CHUNK_NS 500000

/* In chunks of half a millisecond, the first quartile of them: a chunk in which another process had the
 * processor says nothing about this one. */
static int time_row(const struct row *row, int64_t for_ns)
{
	static double chunks[CHUNKS_MAX];
	const int64_t start = now_ns();
	uint64_t size = 1;
	size_t count = 0;

	for (;;) {
		const int64_t from = now_ns();
		int64_t spent;

		for (uint64_t i = 0; i < size; i++)
			row->run();
		spent = now_ns() - from;
		if (from - start < for_ns / 4) {	/* warms up, and finds the size */
			if (spent < CHUNK_NS / 2)
				size *= 2;
			continue;
		}
		chunks[count++] = (double)spent / (double)size;
		if (from - start > for_ns * 5 / 4 || count == CHUNKS_MAX)
			break;
	}
	qsort(chunks, count, sizeof(*chunks), by_size);
	printf("%.2f\n", chunks[count / 4]);
	return 0;
}

static int count_row(const struct row *row, int n)
{
	for (int i = 0; i < 100; i++)
		row->run();
	for (int i = 0; i < n; i++) {
		if (row->apart)
			nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		bench_mark(BENCH_MARK_BEGIN);
		row->run();
		bench_mark(BENCH_MARK_END);
	}
	return 0;
}

static long private_dirty(void)
{
	static char text[4096];
	const int fd = open("/proc/self/smaps_rollup", O_RDONLY);
	const ssize_t len = read(fd, text, sizeof(text) - 1);
	const char *at;

	close(fd);
	if (len <= 0)
		die("smaps_rollup");
	text[len] = '\0';
	at = strstr(text, "Private_Dirty:");
	return at ? atol(at + 14) : -1;
}

static int memory(int count)
{
	long start = private_dirty(), one;

	start = private_dirty();
	if (count == 0) {
		printf("%ld\n", start);
		return 0;
	}
	find_server();
	exchange(dial(), 1);
	one = private_dirty();
	for (int i = 0; i < count; i++)
		exchange(dial(), 1);
	printf("%ld %ld %ld\n", start, one, private_dirty());
	return 0;
}

/* Processor time of a process that only waits, us in a second */
static int idle(int seconds)
{
	struct rusage before, after;

	set_pending();
	getrusage(RUSAGE_SELF, &before);
	sleep((unsigned int)seconds);
	getrusage(RUSAGE_SELF, &after);
	printf("%.1f %ld\n",
	       (double)((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
			after.ru_utime.tv_usec - before.ru_utime.tv_usec +
			(after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
			after.ru_stime.tv_usec - before.ru_stime.tv_usec) /
		       seconds,
	       after.ru_nvcsw - before.ru_nvcsw);
	return 0;
}

/* ------------------------------------------------------------------------------- starts */

#define VARIANTS 8
#define STARTS_MAX 100000

static double start_one(char *const *argv, char *const *envp)
{
	const int64_t start = now_ns();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, envp))
		die(argv[0]);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "client: %s failed\n", argv[0]);
		exit(1);
	}
	return (double)(now_ns() - start) / 1000;
}

/*
 * spawn N then variants, each "ENV=… : PROGRAM ARG …", "@@" between them. In turn, so that whatever
 * else the machine does hits all alike. A line for each: the first quartile of its us, how much more than
 * the first one's that is, and the quartiles of the differences within a round.
 */
static int spawn(int count, char **args)
{
	static char *envp[VARIANTS][32], *argv[VARIANTS][32];
	static double took[VARIANTS][STARTS_MAX], delta[STARTS_MAX], spread[VARIANTS][2];
	int variants = 0;

	for (int e = 0, a = 0, at_env = 1;; args++) {
		if (!*args || strcmp(*args, "@@") == 0) {
			variants++;
			e = a = 0;
			at_env = 1;
			if (!*args || variants == VARIANTS)
				break;
		} else if (strcmp(*args, ":") == 0) {
			at_env = 0;
		} else if (at_env) {
			envp[variants][e++] = *args;
		} else {
			argv[variants][a++] = *args;
		}
		if (e == 31 || a == 31)
			return 100;
	}
	for (int i = -count / 10 - 1; i < count; i++)
		for (int v = 0; v < variants; v++) {
			const double us = start_one(argv[v], envp[v]);

			if (i >= 0)
				took[v][i] = us;
		}
	for (int v = variants - 1; v >= 0; v--) {
		for (int i = 0; i < count; i++)
			delta[i] = took[v][i] - took[0][i];
		qsort(delta, (size_t)count, sizeof(*delta), by_size);
		qsort(took[v], (size_t)count, sizeof(double), by_size);	/* the first one last */
		spread[v][0] = delta[count / 4];
		spread[v][1] = delta[count * 3 / 4];
	}
	for (int v = 0; v < variants; v++)
		printf("%d %.2f %.2f %.2f %.2f\n", v, took[v][count / 4], took[v][count / 4] - took[0][count / 4],
		       spread[v][0], spread[v][1]);
	return 0;
}

int main(int argc, char **argv)
{
	if (getenv("BENCH_CPU")) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)atoi(getenv("BENCH_CPU")), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	if (argc >= 3 && strcmp(argv[1], "memory") == 0)
		return memory(atoi(argv[2]));
	if (argc >= 3 && strcmp(argv[1], "idle") == 0)
		return idle(atoi(argv[2]));
	if (argc >= 4 && strcmp(argv[1], "spawn") == 0 && atoi(argv[2]) <= STARTS_MAX)
		return spawn(atoi(argv[2]), argv + 3);
	for (size_t i = 0; argc == 4 && i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(rows[i].name, argv[2]) != 0)
			continue;
		rows[i].set();
		if (strcmp(argv[1], "time") == 0)
			return time_row(&rows[i], atoll(argv[3]) * 1000000);
		if (strcmp(argv[1], "count") == 0)
			return count_row(&rows[i], atoi(argv[3]));
	}
	fprintf(stderr, "usage: client time ROW MS | count ROW N | memory CONNECTIONS | spawn N …\n");
	return 100;
}
