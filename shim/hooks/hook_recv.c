/* SPDX-License-Identifier: MIT */
/* Bytes in, fortified names included (hooks.md 3.5). */
#include <aio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/conn/swift.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

static LEASH_SLOW ssize_t ask_recv(int fd, void *buf, size_t len, int flags)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.recv(fd, buf, len, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_recv(fd, buf, len, flags));
}

static LEASH_SLOW ssize_t swift_recv(int fd, void *buf, size_t len, int flags, uint8_t known)
{
	struct leash_conn *conn = leash_swift_conn(fd, known);
	ssize_t ret;

	if (leash_unlikely(!conn || (flags & (MSG_PEEK | MSG_ERRQUEUE)) ||
			   (!leash_swift_in(conn) && !leash_swift_waits(conn))))
		return ask_recv(fd, buf, len, flags);
	ret = leash_real.recv(fd, buf, len, flags);
	if (leash_unlikely(ret <= 0))
		return leash_swift_ended(conn, fd, len, ret);
	leash_swift_came(conn, ret);
	return ret;
}

LEASH_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	uint8_t known;

	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX))
		return ask_recv(fd, buf, len, flags);
	known = leash_fd_known(fd);
	if (leash_likely(!known))
		return leash_real.recv(fd, buf, len, flags);
	return swift_recv(fd, buf, len, flags, known);
}

static LEASH_SLOW ssize_t ask_recvfrom(int fd, void *buf, size_t len, int flags,
			      struct sockaddr *addr, socklen_t *addr_len)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.recvfrom(fd, buf, len, flags, addr, addr_len);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_recvfrom(fd, buf, len, flags, addr, addr_len));
}

LEASH_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			      struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	if (leash_fd_clear(fd))
		return leash_real.recvfrom(fd, buf, len, flags, addr, addr_len);
	return ask_recvfrom(fd, buf, len, flags, addr, addr_len);
}

/* Descriptors arrive on AF_UNIX sockets, whose flag byte is 0: always through the engine. */
LEASH_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, ssize_t, leash_conn_recvmsg(fd, msg, flags));
}

LEASH_EXPORT int recvmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags,
			  struct timespec *timeout)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_recvmmsg(fd, vec, count, flags, timeout));
}

static LEASH_SLOW ssize_t ask_read(int fd, void *buf, size_t len)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.read(fd, buf, len);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_read(fd, buf, len));
}

static LEASH_SLOW ssize_t swift_read(int fd, void *buf, size_t len, uint8_t known)
{
	struct leash_conn *conn = leash_swift_conn(fd, known);
	ssize_t ret;

	if (leash_unlikely(!conn || (!leash_swift_in(conn) && !leash_swift_waits(conn))))
		return ask_read(fd, buf, len);
	ret = leash_real.read(fd, buf, len);
	if (leash_unlikely(ret <= 0))
		return leash_swift_ended(conn, fd, len, ret);
	leash_swift_came(conn, ret);
	return ret;
}

LEASH_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	uint8_t known;

	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX))
		return ask_read(fd, buf, len);
	known = leash_fd_known(fd);
	if (leash_likely(!known))
		return leash_real.read(fd, buf, len);
	return swift_read(fd, buf, len, known);
}

static LEASH_SLOW ssize_t ask_readv(int fd, const struct iovec *iov, int count)
{
	if (leash_unlikely((unsigned int)fd >= LEASH_FD_MAX) && !leash_fd_get(fd))
		return leash_real.readv(fd, iov, count);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_readv(fd, iov, count));
}

LEASH_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (leash_fd_clear(fd))
		return leash_real.readv(fd, iov, count);
	return ask_readv(fd, iov, count);
}

LEASH_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (leash_likely(!leash_fd_get(fd)))
		return leash_real.preadv2(fd, iov, count, offset, flags);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, ssize_t, leash_conn_preadv2(fd, iov, count, offset, flags));
}

/* The fortified forms abort on an overflow before anything else: that stays libc's to do. */
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
LEASH_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (leash_likely(!leash_fd_get(fd)) || len > size)
		return leash_real.__recv_chk(fd, buf, len, size, flags);
	return recv(fd, buf, len, flags);
}

ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t size, int flags,
		       struct sockaddr *restrict addr, socklen_t *restrict addr_len);
LEASH_EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t size, int flags,
				    struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	if (leash_likely(!leash_fd_get(fd)) || len > size)
		return leash_real.__recvfrom_chk(fd, buf, len, size, flags, addr, addr_len);
	return recvfrom(fd, buf, len, flags, addr, addr_len);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
LEASH_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (leash_likely(!leash_fd_get(fd)) || len > size)
		return leash_real.__read_chk(fd, buf, len, size);
	return read(fd, buf, len);
}

LEASH_EXPORT int aio_read(struct aiocb *cb)
{
	LEASH_SCOPE(scope);
	const int ret = leash_fd_get(cb->aio_fildes) & LEASH_FD_JUDGE
				? leash_conn_unseen(cb->aio_fildes, "aio_read")
				: 0;

	return LEASH_LEAVE(scope, int, ret < 0 ? ret : LEASH_REAL(aio_read, cb));
}

LEASH_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned int flags);
LEASH_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, leash_conn_pidfd_getfd(pidfd, fd, flags));
}

ssize_t __recv(int fd, void *buf, size_t len, int flags)
	__attribute__((alias("recv"), visibility("default")));
ssize_t __read(int fd, void *buf, size_t len) __attribute__((alias("read"), visibility("default")));
ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
	__attribute__((alias("preadv2"), visibility("default")));
int aio_read64(struct aiocb64 *cb) __attribute__((alias("aio_read"), visibility("default")));
