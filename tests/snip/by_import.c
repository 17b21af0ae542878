/* build: */
/* SPDX-License-Identifier: MIT */
/*
 * Descriptors from elsewhere (hooks.md 1.1 "import").
 *
 *	by_import give SOCKET KIND[:ADDRESS:PORT] …	listens on the AF_UNIX path SOCKET; makes one
 *		connected socket for each argument (tcp, udp), or an unconnected one (no address), or
 *		"file"; says "ready PID FD …"; hands all of them over in one message to whoever
 *		connects, until its standard input ends. Runs outside the leash.
 *	by_import take SOCKET CALL		receives them by CALL (recvmsg, recvmmsg, syscall) and
 *		writes "CALL" into each: "FLAGS COUNT: RESULT RESULT …"
 *	by_import fetch PID FD		pidfd_getfd(), then writes
 *	by_import exec KIND:ADDRESS:PORT NUMBER PROGRAM …	connects, moves it to NUMBER, execs
 *	by_import write NUMBER		writes "inherited" to it
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int make(char *what)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char *addr = strchr(what, ':');
	char *port;
	int fd;

	if (strcmp(what, "file") == 0)
		return open("/dev/null", O_RDWR);
	fd = socket(AF_INET, strncmp(what, "tcp", 3) == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (!addr)
		return fd;
	port = strchr(++addr, ':');
	*port++ = '\0';
	to.sin_port = htons((unsigned short)atoi(port));
	if (inet_pton(AF_INET, addr, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return name;
}

static int give(const char *path, char **what, int count)
{
	struct sockaddr_un name = name_of(path);
	/* A second control message behind the descriptors: the sender's identity. */
	char control[CMSG_SPACE(253 * sizeof(int))] = {0};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	int *fds = (int *)CMSG_DATA(c);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	bind(server, (struct sockaddr *)&name, sizeof(name));
	listen(server, 5);
	printf("ready %d", getpid());
	for (int i = 0; i < count; i++)
		printf(" %d", fds[i] = make(what[i]));
	puts("");
	fflush(stdout);
	for (;;) {
		int client = accept(server, NULL, NULL);
		char byte;

		if (client < 0)
			return 1;
		sendmsg(client, &msg, 0);
		if (read(client, &byte, 1) == 1 && byte == 'q')
			return 0;
		close(client);
	}
}

static const char *result(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? strerrorname_np(errno) : "written";
}

static int open_now(void)
{
	int count = 0;

	for (int i = 0; i < 1000; i++)
		count += fcntl(i, F_GETFD) >= 0;
	return count;
}

static int take(const char *path, const char *call)
{
	struct sockaddr_un name = name_of(path);
	char control[CMSG_SPACE(253 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
					  .msg_controllen = sizeof(control)}};
	struct msghdr *head = &msg.msg_hdr;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), one = 1, ret, count, seen = 0, before = open_now();

	signal(SIGPIPE, SIG_IGN);

	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return 1;
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	if (strcmp(call, "recvmmsg") == 0)
		ret = recvmmsg(fd, &msg, 1, 0, NULL) == 1 ? 1 : -1;
	else if (strcmp(call, "syscall") == 0)
		ret = (int)syscall(SYS_recvmsg, fd, head, 0);
	else
		ret = (int)recvmsg(fd, head, 0);
	if (ret != 1)
		return 1;
	printf("%s", head->msg_flags & MSG_CTRUNC ? "truncated" : "whole");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		int *fds = (int *)CMSG_DATA(c);

		if (++seen > 8) {
			printf(" endless");
			break;
		}
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			printf(" credentials");
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		printf(" %d:", count);
		for (int i = 0; i < count; i++)
			printf(" %s", result(fds[i], call));
	}
	/* What was refused is closed, not only unmentioned. */
	printf(", %d open\n", open_now() - before);
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc > 3 && strcmp(argv[1], "give") == 0)
		return give(argv[2], argv + 3, argc - 3);
	if (argc == 4 && strcmp(argv[1], "take") == 0)
		return take(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "fetch") == 0) {
		int pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[2]), 0);
		int (*by)(int, int, unsigned int) = NULL;

		fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(argv[3]), 0);
		puts(fd < 0 ? strerrorname_np(errno) : result(fd, "fetched"));
		extern int pidfd_getfd(int, int, unsigned int) __attribute__((weak));
		if (pidfd_getfd) {
			fd = pidfd_getfd(pidfd, atoi(argv[3]), 0);
			puts(fd < 0 ? strerrorname_np(errno) : result(fd, "fetched"));
		}
		return 0;
	}
	if (argc > 4 && strcmp(argv[1], "exec") == 0) {
		int to = atoi(argv[3]);

		fd = make(argv[2]);
		if (dup2(fd, to) != to)
			return 3;
		if (fd != to)
			close(fd);
		execv(argv[4], argv + 4);
		return 127;
	}
	if (argc == 3 && strcmp(argv[1], "write") == 0) {
		fprintf(stderr, "%s\n", result(atoi(argv[2]), "inherited"));
		return 0;
	}
	return 2;
}
