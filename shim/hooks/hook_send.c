/* SPDX-License-Identifier: MIT */
/* Bytes out: one look at the flag byte, then the real call or the engine (hooks.md 3.4). */
#include <aio.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/conn/swift.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

static LEASH_SLOW ssize_t ask_send(int fd, const void *buf, size_t len, int flags)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.send(fd, buf, len, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_send(fd, buf, len, flags));
}

static LEASH_SLOW ssize_t swift_send(int fd, const void *buf, size_t len, int flags, uint8_t known)
{
	struct leash_conn *conn = leash_swift_conn(fd, known);
	ssize_t ret;

	if (leash_likely(conn) && (leash_likely(leash_swift_out(conn)) || leash_swift_begin(conn)))
		ret = leash_real.send(fd, buf, len, flags | MSG_NOSIGNAL);
	else if (conn && leash_swift_free(conn))
		ret = leash_real.send(fd, buf, len, flags);
	else
		return ask_send(fd, buf, len, flags);
	if (leash_unlikely(ret <= 0))
		return leash_swift_unsent(conn, fd, ret, flags);
	leash_swift_sent(conn, ret);
	return ret;
}

LEASH_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	uint8_t known;

	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX))
		return ask_send(fd, buf, len, flags);
	known = leash_fd_known(fd);
	if (leash_likely(!known))
		return leash_real.send(fd, buf, len, flags);
	return swift_send(fd, buf, len, flags, known);
}

static LEASH_SLOW ssize_t ask_sendto(int fd, const void *buf, size_t len, int flags,
			    const struct sockaddr *addr, socklen_t addr_len)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.sendto(fd, buf, len, flags, addr, addr_len);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_sendto(fd, buf, len, flags, addr, addr_len));
}

LEASH_EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags,
			    const struct sockaddr *addr, socklen_t addr_len)
{
	if (leash_fd_clear(fd))
		return leash_real.sendto(fd, buf, len, flags, addr, addr_len);
	return ask_sendto(fd, buf, len, flags, addr, addr_len);
}

static LEASH_SLOW ssize_t ask_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.sendmsg(fd, msg, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_sendmsg(fd, msg, flags));
}

LEASH_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (leash_fd_clear(fd))
		return leash_real.sendmsg(fd, msg, flags);
	return ask_sendmsg(fd, msg, flags);
}

LEASH_EXPORT int sendmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags)
{
	if (leash_likely(!leash_fd_get(fd)))
		return leash_real.sendmmsg(fd, vec, count, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, int, leash_conn_sendmmsg(fd, vec, count, flags));
}

static LEASH_SLOW ssize_t ask_write(int fd, const void *buf, size_t len)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.write(fd, buf, len);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_write(fd, buf, len));
}

static LEASH_SLOW ssize_t unwritten(struct leash_conn *conn, int fd, const void *buf, size_t len, ssize_t ret)
{
	/* Another file has this number, and nothing was written: once more, the general way. */
	if (ret < 0 && errno == ENOTSOCK)
		return ask_write(fd, buf, len);
	return leash_swift_unsent(conn, fd, ret, 0);
}

static LEASH_SLOW ssize_t swift_write(int fd, const void *buf, size_t len, uint8_t known)
{
	struct leash_conn *conn = leash_swift_conn(fd, known);
	ssize_t ret;

	if (leash_likely(conn) && (leash_likely(leash_swift_out(conn)) || leash_swift_begin(conn)))
		ret = leash_real.send(fd, buf, len, MSG_NOSIGNAL);
	else if (conn && leash_swift_free(conn))
		ret = leash_real.write(fd, buf, len);
	else
		return ask_write(fd, buf, len);
	if (leash_unlikely(ret <= 0))
		return unwritten(conn, fd, buf, len, ret);
	leash_swift_sent(conn, ret);
	return ret;
}

LEASH_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	uint8_t known;

	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX))
		return ask_write(fd, buf, len);
	known = leash_fd_known(fd);
	if (leash_likely(!known))
		return leash_real.write(fd, buf, len);
	return swift_write(fd, buf, len, known);
}

static LEASH_SLOW ssize_t ask_writev(int fd, const struct iovec *iov, int count)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.writev(fd, iov, count);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_writev(fd, iov, count));
}

LEASH_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	if (leash_fd_clear(fd))
		return leash_real.writev(fd, iov, count);
	return ask_writev(fd, iov, count);
}

LEASH_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (leash_likely(!leash_fd_get(fd)))
		return leash_real.pwritev2(fd, iov, count, offset, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_pwritev2(fd, iov, count, offset, flags));
}

LEASH_EXPORT ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t len)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, ssize_t, leash_conn_sendfile(out_fd, in_fd, offset, len));
}

LEASH_EXPORT ssize_t splice(int in_fd, off_t *in_offset, int out_fd, off_t *out_offset, size_t len,
			    unsigned int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, ssize_t,
			   leash_conn_splice(in_fd, in_offset, out_fd, out_offset, len, flags));
}

LEASH_EXPORT int aio_write(struct aiocb *cb)
{
	LEASH_SCOPE(scope);
	const int ret = leash_fd_get(cb->aio_fildes) & LEASH_FD_JUDGE
				? leash_conn_unseen(cb->aio_fildes, "aio_write")
				: 0;

	return LEASH_LEAVE(scope, int, ret < 0 ? ret : LEASH_REAL(aio_write, cb));
}

LEASH_EXPORT int lio_listio(int mode, struct aiocb *const list[restrict], int count,
			    struct sigevent *restrict event)
{
	LEASH_SCOPE(scope);
	long ret = 0;

	for (int i = 0; i < count && ret == 0; i++)
		if (list[i] && (leash_fd_get(list[i]->aio_fildes) & LEASH_FD_JUDGE))
			ret = leash_conn_unseen(list[i]->aio_fildes, "lio_listio");
	return LEASH_LEAVE(scope, int,
			   ret < 0 ? ret : LEASH_REAL(lio_listio, mode, list, count, event));
}

ssize_t __send(int fd, const void *buf, size_t len, int flags)
	__attribute__((alias("send"), visibility("default")));
int __sendmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags)
	__attribute__((alias("sendmmsg"), visibility("default")));
ssize_t __write(int fd, const void *buf, size_t len)
	__attribute__((alias("write"), visibility("default")));
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
	__attribute__((alias("pwritev2"), visibility("default")));
ssize_t sendfile64(int out_fd, int in_fd, off64_t *offset, size_t len)
	__attribute__((alias("sendfile"), visibility("default")));
int aio_write64(struct aiocb64 *cb) __attribute__((alias("aio_write"), visibility("default")));
int lio_listio64(int mode, struct aiocb64 *const list[restrict], int count,
		 struct sigevent *restrict event)
	__attribute__((alias("lio_listio"), visibility("default")));
