/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Numbers that are closed and given out again, by eight threads, through libc's calls and behind
 * their back (fclose, freopen, posix_spawn's), for SECONDS: no verdict may go to the wrong
 * socket, no call may fail that would not without netleash.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "run_from.h"

static volatile int running = 1;
static _Atomic int wrong[16];

#define EXPECT(n, condition)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			wrong[n]++;                                                                \
	} while (0)

/* A file at whatever number comes: written by every call that a socket knows */
static void file(int hidden)
{
	struct iovec iov[2] = {{"ab", 2}, {"cd", 2}};
	char back[16];
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	EXPECT(0, write(fd, "1234", 4) == 4);
	EXPECT(1, writev(fd, iov, 2) == 4);
	EXPECT(2, lseek(fd, 0, SEEK_SET) == 0 && read(fd, back, 8) == 8 && memcmp(back, "1234abcd", 8) == 0);
	EXPECT(3, send(fd, "x", 1, 0) == -1 && errno == ENOTSOCK);
	EXPECT(4, recv(fd, back, 1, MSG_DONTWAIT) == -1 && errno == ENOTSOCK);
	if (hidden)
		fclose(fdopen(fd, "w"));
	else
		EXPECT(5, close(fd) == 0);
}

static void pipes(void)
{
	char byte;
	int ends[2];

	if (pipe(ends) < 0)
		return;
	EXPECT(6, write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	close(ends[0]);
	fclose(fdopen(ends[1], "w"));
}

static void refused(int hidden)
{
	struct sockaddr_in evil = run_from_addr(1, 9000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT(7, connect(fd, (struct sockaddr *)&evil, sizeof(evil)) == -1 && errno == EACCES);
	EXPECT(8, write(fd, "x", 1) == -1);
	if (hidden)
		fclose(fdopen(fd, "r"));
	else
		close(fd);
}

static void datagrams(int hidden)
{
	struct sockaddr_in evil = run_from_addr(1, 9001), peer = run_from_addr(0, 9001);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(9, sendto(fd, "x", 1, 0, (struct sockaddr *)&evil, sizeof(evil)) == -1 && errno == EACCES);
	EXPECT(10, connect(fd, (struct sockaddr *)&peer, sizeof(peer)) == 0 && write(fd, "storm", 5) == 5);
	EXPECT(11, sendto(fd, "x", 1, 0, (struct sockaddr *)&evil, sizeof(evil)) == -1 && errno == EACCES);
	if (hidden)
		fclose(fdopen(fd, "r"));
	else
		close(fd);
}

static void duplicates(void)
{
	struct sockaddr_in evil = run_from_addr(1, 9001);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), file = open("/dev/null", O_WRONLY), over;

	over = dup(file);
	EXPECT(12, dup2(fd, over) == over &&
		   sendto(over, "x", 1, 0, (struct sockaddr *)&evil, sizeof(evil)) == -1 && errno == EACCES);
	EXPECT(13, dup2(file, over) == over && write(over, "x", 1) == 1);
	close(fd);
	close(over);
	fclose(fdopen(file, "w"));
}

static void *storm(void *arg)
{
	unsigned int seed = (unsigned int)(long)arg;

	while (running) {
		switch (rand_r(&seed) % 8) {
		case 0: file(0); break;
		case 1: file(1); break;
		case 2: pipes(); break;
		case 3: refused(0); break;
		case 4: refused(1); break;
		case 5: datagrams(0); break;
		case 6: datagrams(1); break;
		case 7: duplicates(); break;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t ids[8];
	int bad = 0;

	signal(SIGPIPE, SIG_IGN);
	for (long i = 0; i < 8; i++)
		pthread_create(&ids[i], NULL, storm, (void *)(i + 1));
	sleep(argc > 1 ? (unsigned int)atoi(argv[1]) : 1);
	running = 0;
	for (int i = 0; i < 8; i++)
		pthread_join(ids[i], NULL);
	for (int i = 0; i < 16; i++) {
		if (wrong[i])
			printf("expectation %d: %d times\n", i, wrong[i]);
		bad |= wrong[i];
	}
	puts(bad ? "bad" : "good");
	return 0;
}
