// SPDX-License-Identifier: MIT
/*
 * time_many COUNT ADDRESS PORT IDLE_MS: so many connections that hang, all with a deadline.
 *
 * They are begun without waiting, then the process sleeps for IDLE_MS, then it waits for all of them. Prints "begun
 * COUNT", "idle CPU_US" (of the whole process, while it slept), "threads N", and "ended COUNT late MAX_MS errors N":
 * how much later than its own limit (SO_RCVTIMEO, 3000 ms) the last one was woken, and how many did not say
 * ETIMEDOUT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 3000

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static long cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

int main(int argc, char *argv[])
{
	int count = atoi(argv[1]), begun = 0, errors = 0, ended = 0, e = epoll_create1(0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
	struct timeval limit = {LIMIT_MS / 1000, LIMIT_MS % 1000 * 1000};
	double *start = calloc(1 << 17, sizeof(*start)), late = 0;
	struct timespec idle = {atoi(argv[4]) / 1000, atoi(argv[4]) % 1000 * 1000000};
	struct rlimit files;
	long before;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};

		if (fd < 0 || fd >= 1 << 17)
			break;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		start[fd] = now_ms();
		if (connect(fd, (void *)&to, sizeof(to)) == 0 || errno != EINPROGRESS) {
			perror("connect");
			break;
		}
		epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
		begun++;
	}
	printf("begun %d\nthreads %d\n", begun, threads());
	before = cpu_us();
	nanosleep(&idle, NULL);
	printf("idle %ld\n", cpu_us() - before);
	while (ended < begun) {
		struct epoll_event events[512];
		int got = epoll_wait(e, events, 512, 10000);
		double now = now_ms();

		if (got <= 0)
			break;
		for (int i = 0; i < got; i++) {
			int fd = events[i].data.fd, error = 0;
			socklen_t len = sizeof(error);

			if (now - start[fd] - LIMIT_MS > late)
				late = now - start[fd] - LIMIT_MS;
			if (now - start[fd] < LIMIT_MS - 10)
				errors++;
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
			errors += error != ETIMEDOUT;
			close(fd);
			ended++;
		}
	}
	printf("ended %d late %.0f errors %d\n", ended, late, errors);
	return 0;
}
