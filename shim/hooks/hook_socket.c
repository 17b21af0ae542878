/* SPDX-License-Identifier: MIT */
/* Creation and naming: calling conventions only (hooks.md 3.2). */
#include <netinet/in.h>
#include <sys/socket.h>

#include "shim/conn/conn.h"
#include "shim/core/fdtab.h"
#include "shim/core/init.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

LEASH_EXPORT int socket(int domain, int type, int protocol)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_socket(domain, type, protocol));
}

LEASH_EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_socketpair(domain, type, protocol, fds));
}

LEASH_EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_connect(fd, addr, len));
}

LEASH_EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_bind(fd, addr, len));
}

LEASH_EXPORT int listen(int fd, int backlog)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_listen(fd, backlog));
}

LEASH_EXPORT int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_accept(fd, addr, len, 0, true));
}

LEASH_EXPORT int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_accept(fd, addr, len, flags, false));
}

LEASH_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_setsockopt(fd, level, name, value, len));
}

LEASH_EXPORT int getsockopt(int fd, int level, int name, void *restrict value,
			    socklen_t *restrict len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_getsockopt(fd, level, name, value, len));
}

LEASH_EXPORT int shutdown(int fd, int how)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_shutdown(fd, how));
}

LEASH_EXPORT int bindresvport(int fd, struct sockaddr_in *addr)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_bindresvport(fd, addr));
}

LEASH_EXPORT int rresvport(int *port)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_rresvport(port, 0));
}

LEASH_EXPORT int rresvport_af(int *port, sa_family_t family)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_rresvport(port, family));
}

int __socket(int domain, int type, int protocol) __THROW
	__attribute__((alias("socket"), visibility("default")));
int __connect(int fd, const struct sockaddr *addr, socklen_t len)
	__attribute__((alias("connect"), visibility("default")));
