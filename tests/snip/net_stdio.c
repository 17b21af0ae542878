// SPDX-License-Identifier: MIT
/*
 * net_stdio WAY HOST PORT TEXT: stdio over a socket, as old programs have it: libc writes by itself.
 *
 * WAY: fputs (fdopen, fputs, fflush), dprintf, or freopen (of the stream, and that is all). The answer's first line is read by stdio (fgets) or,
 * with a WAY that ends in "+recv", by recv(). Prints it, or the errno name; ends with 0 for an answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	char line[256] = "";
	FILE *file;
	int fd, ret;

	if (argc < 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	ret = getaddrinfo(argv[2], argv[3], &hints, &found);
	if (ret != 0) {
		puts(gai_strerror(ret));
		return 1;
	}
	fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		printf("connect %s\n", strerrorname_np(errno));
		return 1;
	}
	file = fdopen(fd, "r+");
	setvbuf(file, NULL, _IOFBF, 4096);
	if (strncmp(argv[1], "freopen", 7) == 0) {
		file = freopen("/dev/null", "w", file);
		printf("freopen %s\n", file ? "works" : strerrorname_np(errno));
		return !file;
	}
	if (strncmp(argv[1], "dprintf", 7) == 0)
		ret = dprintf(fd, "%s\r\n\r\n", argv[4]) < 0;
	else
		ret = fputs(argv[4], file) < 0 || fputs("\r\n\r\n", file) < 0 || fflush(file) != 0;
	if (ret) {
		printf("write %s\n", strerrorname_np(errno));
		return 1;
	}
	errno = 0;
	if (strstr(argv[1], "+recv")) {
		const ssize_t got = recv(fd, line, sizeof(line) - 1, 0);

		if (got < 0) {
			printf("recv %s\n", strerrorname_np(errno));
			return 1;
		}
		line[strcspn(line, "\r\n")] = '\0';
	} else {
		if (!fgets(line, sizeof(line), file)) {
			printf("read %s\n", errno ? strerrorname_np(errno) : "end");
			return 1;
		}
		line[strcspn(line, "\r\n")] = '\0';
	}
	puts(line);
	return line[0] ? 0 : 1;
}
