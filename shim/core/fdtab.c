/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "shim/core/fdtab.h"
#include "shim/core/sys.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

_Atomic uint8_t leash_fd_flags[LEASH_FD_MAX];
_Atomic uint16_t leash_fd_slot[LEASH_FD_MAX];

void leash_fd_add(int fd, uint8_t flags)
{
	uint8_t none = 0;

	if (flags && !atomic_compare_exchange_strong(&leash_fd_flags[fd], &none, flags | LEASH_FD_JUDGE))
		atomic_fetch_or(&leash_fd_flags[fd], LEASH_FD_JUDGE);
}

static int sock_int(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);
	const long ret = LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &len);

	return ret < 0 ? (int)ret : value;
}

uint8_t leash_fd_probe(int fd)
{
	const int domain = sock_int(fd, SO_DOMAIN);
	int type;

	if (domain != AF_INET && domain != AF_INET6)
		return 0;
	type = sock_int(fd, SO_TYPE);
	if (type == SOCK_STREAM)
		return LEASH_FD_INET | LEASH_FD_STREAM;
	return LEASH_FD_INET | LEASH_FD_DGRAM;	/* raw ones too: judged at every send */
}

uint8_t leash_fd_ask(int fd)
{
	const uint8_t flags = leash_fd_probe(fd);

	return flags ? flags | LEASH_FD_JUDGE : LEASH_FD_NONE;
}

uint64_t leash_fd_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

/* Numbers that one poll() looks at: the kernel's table of most processes has 64, and the next larger one 256 */
#define FIRST 64
#define CHUNK 192

static void take(int fd)
{
	const uint8_t flags = leash_fd_probe(fd);

	if (flags)
		leash_fd_set(fd, flags | LEASH_FD_JUDGE);
}

static void look_at(int first, int count)
{
	struct pollfd fds[CHUNK];
	const struct timespec now = {0};

	for (int i = 0; i < count; i++)
		fds[i] = (struct pollfd){.fd = first + i};
	/* More than RLIMIT_NOFILE at once is EINVAL; numbers may lie above a limit that was lowered. */
	if (LEASH_SYS(SYS_ppoll, fds, count, &now, NULL, 8) < 0) {
		for (int i = 0; i < count; i++)
			take(first + i);
		return;
	}
	for (int i = 0; i < count; i++)
		if (!(fds[i].revents & POLLNVAL))
			take(first + i);
}

/*
 * Does the kernel's table of descriptors reach up to @fd? It sizes the table of a forked child by
 * its highest open one, and select() leaves out what lies beyond the table, where it says
 * EBADF of a closed one within. So nobody walks through 65536 numbers at each start.
 */
static bool table_reaches(int fd)
{
	enum { WORD = 8 * sizeof(unsigned long) };
	unsigned long set[LEASH_FD_MAX / WORD];
	const struct timespec now = {0};

	for (int i = 0; i <= fd / WORD; i++)
		set[i] = 0;
	set[fd / WORD] = 1ul << fd % WORD;
	if (LEASH_SYS(SYS_pselect6, fd + 1, set, NULL, NULL, &now, NULL) == -EBADF)
		return true;
	return LEASH_SYS(SYS_fcntl, fd, F_GETFD) >= 0;
}

void leash_fd_inherited(void)
{
	int next = FIRST;

	look_at(0, FIRST);
	for (int first = next; first < LEASH_FD_MAX && table_reaches(first); first = next) {
		next = first + CHUNK < LEASH_FD_MAX ? first + CHUNK : LEASH_FD_MAX;
		look_at(first, next - first);
	}
}
