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

#define INHERITED_MAX 128	/* numbers looked at; inetd and socket activation use the lowest */

void leash_fd_inherited(void)
{
	struct pollfd fds[INHERITED_MAX];
	const struct timespec now = {0};

	for (int fd = 0; fd < INHERITED_MAX; fd++)
		fds[fd] = (struct pollfd){.fd = fd};
	if (LEASH_SYS(SYS_ppoll, fds, INHERITED_MAX, &now, NULL, 8) < 0)
		return;
	for (int fd = 0; fd < INHERITED_MAX; fd++) {
		uint8_t flags;

		if (fds[fd].revents & POLLNVAL)
			continue;
		flags = leash_fd_probe(fd);
		if (flags)
			leash_fd_set(fd, flags | LEASH_FD_JUDGE);
	}
}
