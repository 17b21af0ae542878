/* SPDX-License-Identifier: MIT */
/*
 * The fragment that is run from each place (hooks.md T2): what must be refused, and beside it
 * what must be let through. Only calls that POSIX allows in a signal handler.
 */
#ifndef RUN_FROM_H
#define RUN_FROM_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVIL "203.0.113.66"	/* tests/lab/hosts.py */
#define PEER "192.0.2.20"

/* No inet_pton(): a library's constructor may run before libc's. */
static struct sockaddr_in run_from_addr(int evil, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};

	addr.sin_port = htons((unsigned short)port);
	addr.sin_addr.s_addr = htonl(evil ? 0xcb007142 : 0xc0000214);
	return addr;
}

static int run_from_connect(int evil, int by_number)
{
	struct sockaddr_in addr = run_from_addr(evil, 9000);
	int fd = by_number ? (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0)
			   : socket(AF_INET, SOCK_STREAM, 0);
	int ret = by_number ? (int)syscall(SYS_connect, fd, &addr, sizeof(addr))
			    : connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	int error = ret < 0 ? errno : 0;

	if (by_number)
		syscall(SYS_close, fd);
	else
		close(fd);
	return error;
}

static int run_from_send(int evil, int by_number)
{
	struct sockaddr_in addr = run_from_addr(evil, 9001);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long ret = by_number ? syscall(SYS_sendto, fd, "here", 4, 0, &addr, sizeof(addr))
			     : sendto(fd, "here", 4, 0, (struct sockaddr *)&addr, sizeof(addr));
	int error = ret < 0 ? errno : 0;

	close(fd);
	return error;
}

static int run_from_error;	/* of the first that went wrong */

static int run_from_expect(int bit, int got, int want)
{
	if (got == want)
		return 0;
	if (!run_from_error)
		run_from_error = got;
	return bit;
}

/* 0 if all is as it must be, else which of them is not */
static int run_from_verdict(int by_number)
{
	int wrong = 0;

	run_from_error = 0;
	wrong |= run_from_expect(1, run_from_connect(1, by_number), EACCES);
	wrong |= run_from_expect(2, run_from_connect(0, by_number), 0);
	wrong |= run_from_expect(4, run_from_send(1, by_number), EACCES);
	wrong |= run_from_expect(8, run_from_send(0, by_number), 0);
	errno = 4711;
	if (run_from_connect(0, by_number) == 0 && errno != 4711)
		wrong |= 16;	/* a success leaves errno alone */
	return wrong;
}

/* "PLACE: right" or "PLACE: wrong BITS errno NUMBER", by one write() */
static void run_from_say(const char *place, int wrong)
{
	char line[128];
	size_t len = strlen(place);
	const char *end = wrong ? ": wrong   errno    \n" : ": right\n";
	char *at;

	memcpy(line, place, len);
	memcpy(line + len, end, strlen(end) + 1);
	if (wrong) {
		at = line + len + strlen(": wrong ");
		at[0] = "0123456789abcdefghijklmnopqrstuv"[wrong & 31];
		at = line + len + strlen(": wrong   errno ");
		at[0] = (char)('0' + run_from_error / 100 % 10);
		at[1] = (char)('0' + run_from_error / 10 % 10);
		at[2] = (char)('0' + run_from_error % 10);
	}
	write(1, line, strlen(line));
}

#endif
