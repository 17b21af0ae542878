/* SPDX-License-Identifier: MIT */
/*
 * stdio on a socket reads and writes inside libc, where no hook sees it (hooks.md 3.4). While a connection to a
 * name that wants TLS is not judged, fdopen() therefore gives a stream that reads and writes by our
 * own entry points, and dprintf(), whose bytes are text, is refused. Everywhere else both are libc's.
 *
 * Limit: such a stream has no descriptor for fileno() to tell.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

FILE *_IO_fdopen(int fd, const char *mode) __attribute__((malloc));

static ssize_t stream_read(void *cookie, char *buf, size_t len)
{
	return LEASH_LEAVE(errno, ssize_t, leash_conn_read((int)(intptr_t)cookie, buf, len));
}

/* Return: bytes written, fewer only with errno */
static ssize_t stream_write(void *cookie, const char *buf, size_t len)
{
	const int error = errno;
	size_t done = 0;

	while (done < len) {
		const ssize_t ret = leash_conn_write((int)(intptr_t)cookie, buf + done, len - done);

		if (ret < 0) {
			errno = (int)-ret;
			return (ssize_t)done;
		}
		done += (size_t)ret;
	}
	errno = error;
	return (ssize_t)done;
}

/* As the kernel says it of a socket: stdio takes that, and no other errno, for "a stream without a position" */
static int stream_seek(void *cookie, off_t *offset, int whence)
{
	(void)cookie, (void)offset, (void)whence;
	errno = ESPIPE;
	return -1;
}

static int stream_close(void *cookie)
{
	return LEASH_LEAVE(errno, int, leash_conn_close((int)(intptr_t)cookie));
}

LEASH_EXPORT FILE *fdopen(int fd, const char *mode)
{
	static const cookie_io_functions_t ours = {
		.read = stream_read, .write = stream_write, .seek = stream_seek, .close = stream_close,
	};

	if (leash_likely(!(leash_fd_get(fd) & LEASH_FD_JUDGE)) || !leash_conn_wants_tls(fd))
		return leash_real.fdopen(fd, mode);
	return fopencookie((void *)(intptr_t)fd, mode, ours);
}

LEASH_EXPORT FILE *_IO_fdopen(int fd, const char *mode)
{
	return fdopen(fd, mode);
}

/* Return: may libc write? errno is set if not */
static bool may_print(int fd, const char *call)
{
	LEASH_SCOPE(scope);

	if (leash_likely(!(leash_fd_get(fd) & LEASH_FD_JUDGE)))
		return true;
	return LEASH_LEAVE(scope, int, leash_conn_print(fd, call)) == 0;
}

LEASH_EXPORT int vdprintf(int fd, const char *restrict format, va_list args)
{
	return may_print(fd, __func__) ? leash_real.vdprintf(fd, format, args) : -1;
}

LEASH_EXPORT int dprintf(int fd, const char *restrict format, ...)
{
	va_list args;
	int ret;

	if (!may_print(fd, __func__))
		return -1;
	va_start(args, format);
	ret = leash_real.vdprintf(fd, format, args);
	va_end(args);
	return ret;
}

/* What programs built with _FORTIFY_SOURCE call */
int __vdprintf_chk(int fd, int flag, const char *restrict format, va_list args);
int __dprintf_chk(int fd, int flag, const char *restrict format, ...);

LEASH_EXPORT int __vdprintf_chk(int fd, int flag, const char *restrict format, va_list args)
{
	return may_print(fd, "vdprintf") ? leash_real.__vdprintf_chk(fd, flag, format, args) : -1;
}

LEASH_EXPORT int __dprintf_chk(int fd, int flag, const char *restrict format, ...)
{
	va_list args;
	int ret;

	if (!may_print(fd, "dprintf"))
		return -1;
	va_start(args, format);
	ret = leash_real.__vdprintf_chk(fd, flag, format, args);
	va_end(args);
	return ret;
}
