/* SPDX-License-Identifier: MIT */
/*
 * stdio on a socket writes inside libc, where no hook sees it (hooks.md 3.4). While a connection to a name that
 * wants TLS is not judged, fdopen() for writing therefore gives a stream that reads and writes by our
 * own entry points, and dprintf(), whose bytes are text, is refused. Everywhere else both are libc's.
 *
 * Limits: such a stream has no descriptor for fileno() to tell, and freopen() closes it and fails: glibc 2.36's
 * would crash on it, as on every stream of fopencookie().
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

FILE *_IO_fdopen(int fd, const char *mode) __attribute__((malloc));

/* The cookie of a stream: a place here, by its descriptor. Nobody ever writes to them. */
static char cookies[LEASH_FD_MAX];

static int fd_of(const void *cookie)
{
	return (int)((const char *)cookie - cookies);
}

static ssize_t stream_read(void *cookie, char *buf, size_t len)
{
	return LEASH_LEAVE(errno, ssize_t, leash_conn_read(fd_of(cookie), buf, len));
}

/* Return: bytes written, fewer only with errno */
static ssize_t stream_write(void *cookie, const char *buf, size_t len)
{
	const int error = errno;
	size_t done = 0;

	while (done < len) {
		const ssize_t ret = leash_conn_write(fd_of(cookie), buf + done, len - done);

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
	return LEASH_LEAVE(errno, int, leash_conn_close(fd_of(cookie)));
}

static const cookie_io_functions_t ours = {
	.read = stream_read, .write = stream_write, .seek = stream_seek, .close = stream_close,
};

static bool may_write(const char *mode)
{
	return mode[0] != 'r' || mode[1] == '+' || (mode[1] == 'b' && mode[2] == '+');
}

LEASH_EXPORT FILE *fdopen(int fd, const char *mode)
{
	/* Past the table the kernel's count of bytes has to do. */
	if (leash_likely(!(leash_fd_get(fd) & LEASH_FD_JUDGE)) || (unsigned int)fd >= LEASH_FD_MAX ||
	    !may_write(mode) || !leash_conn_wants_tls(fd))
		return leash_real.fdopen(fd, mode);
	return fopencookie(&cookies[fd], mode, ours);
}

/* What glibc lays behind a FILE, since 2.1; its own programs of then have this in them. */
struct cookie_file {
	FILE file;
	const void *jumps;
	const char *cookie;
};
#define COOKIE_FILENO (-2)	/* in _fileno of such streams, and of no smaller ones */

static bool is_ours(const FILE *file)
{
	const char *cookie;

	if (!file || file->_fileno != COOKIE_FILENO)
		return false;
	cookie = ((const struct cookie_file *)file)->cookie;
	return cookie >= cookies && cookie < cookies + LEASH_FD_MAX;
}

static FILE *reopen(const char *restrict path, const char *restrict mode, FILE *restrict file,
		    FILE *(*real)(const char *restrict, const char *restrict, FILE *restrict))
{
	if (leash_likely(!is_ours(file)))
		return real(path, mode, file);
	fclose(file);
	errno = EBADF;
	return NULL;
}

LEASH_EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict file)
{
	return reopen(path, mode, file, leash_real.freopen);
}

LEASH_EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict file)
{
	return reopen(path, mode, file, leash_real.freopen64);
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
