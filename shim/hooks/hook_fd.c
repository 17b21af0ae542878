/* SPDX-License-Identifier: MIT */
/* Descriptors: keep the flags fresh (hooks.md 3.9). */
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

static LEASH_SLOW int ask_close(int fd)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.close(fd);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, int, leash_conn_close(fd));
}

LEASH_EXPORT int close(int fd)
{
	if (leash_fd_clear(fd))
		return leash_real.close(fd);
	return ask_close(fd);
}

LEASH_EXPORT int dup(int fd)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_dup(fd));
}

LEASH_EXPORT int dup2(int fd, int to)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_dup2(fd, to));
}

LEASH_EXPORT int dup3(int fd, int to, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_dup3(fd, to, flags));
}

/* The third argument is an int, a long or a pointer, or was not given: it is passed on as it
 * lies in its register. */
LEASH_EXPORT int fcntl(int fd, int cmd, ...)
{
	LEASH_SCOPE(scope);
	va_list args;
	long arg;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	return LEASH_LEAVE(scope, int, leash_conn_fcntl(fd, cmd, arg));
}

LEASH_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_close_range(first, last, flags));
}

LEASH_EXPORT void closefrom(int first)
{
	leash_conn_closefrom(first);
}

int __close(int fd) __attribute__((alias("close"), visibility("default")));
int __dup2(int fd, int to) __THROW __attribute__((alias("dup2"), visibility("default")));
int __fcntl(int fd, int cmd, ...) __attribute__((alias("fcntl"), visibility("default")));
int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl"), visibility("default")));
