/* SPDX-License-Identifier: MIT */
/* Bytes in (hooks.md 3.5): what the real call delivered is looked at behind it. */
#include <string.h>

#include "shim/conn/io_inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/swift.h"
#include "shim/core/probe.h"

/* Before a read: may it go on? Return: 0 or a negative errno */
static int before(int fd, const char *call, enum leash_way *ret_way, struct leash_conn **ret_conn)
{
	const uint8_t known = leash_fd_get(fd);
	struct leash_conn *timed;
	int error = leash_timing_in(fd, &timed);

	*ret_conn = NULL;
	*ret_way = LEASH_WAY_PASS;
	if (error < 0)
		return error;
	if (!(known & LEASH_FD_JUDGE)) {
		*ret_conn = leash_registry_of(fd);
		return 0;
	}
	if (known & LEASH_FD_DGRAM) {
		*ret_conn = leash_registry_of(fd);
		if (*ret_conn && leash_registry_state(*ret_conn) != LEASH_CONN_FREE &&
		    (leash_conn_more(*ret_conn)->dns_next > 0))
			*ret_way = LEASH_WAY_QUESTION;
		return 0;
	}
	*ret_way = leash_io_way(fd, known, call, ret_conn, &error);
	return *ret_way == LEASH_WAY_REFUSE ? error : 0;
}

static ssize_t judged(int fd, const char *call, enum leash_way way, struct leash_conn *conn, ssize_t got,
		      const struct iovec *iov, size_t count, int flags)
{
	if (way == LEASH_WAY_HELLO && !(flags & MSG_ERRQUEUE))
		return leash_sniff_received(conn, fd, got, call);
	if (way == LEASH_WAY_FLIGHT && got > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_flight_received(conn, iov, count, (size_t)got);
	if (way == LEASH_WAY_QUESTION && got > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_question_received(conn, iov, count, (size_t)got);
	if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_io_received(conn, got);
	return got;
}

/* Http on the LAN: what the program reads passes through conn/plain. */
static ssize_t plain_in(struct leash_conn *conn, int fd, const struct iovec *iov, size_t count, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

	if (count > 1024 || !leash_probe_range(iov, count * sizeof(*iov)))
		return -EINVAL;
	return leash_plain_receive(conn, fd, &msg, flags);
}

/* Nothing was asked for: 0 is no end of the stream. */
static bool asks_nothing(const struct iovec *iov, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (iov[i].iov_len > 0)
			return false;
	return true;
}

static ssize_t after(int fd, const char *call, enum leash_way way, struct leash_conn *conn, ssize_t got,
		     const struct iovec *iov, size_t count, int flags)
{
	const ssize_t ret = judged(fd, call, way, conn, got, iov, count, flags);

	if (ret != got || !conn || conn->clock == LEASH_CLOCK_NONE || (got == 0 && asks_nothing(iov, count)))
		return ret;
	return leash_timing_received(conn, fd, got, iov, count, flags);
}

/* MSG_TRUNC on a stream drops bytes unseen; only before the connection is judged that matters. */
static bool drops_unseen(enum leash_way way, int flags)
{
	return (way == LEASH_WAY_HELLO || way == LEASH_WAY_FLIGHT) && (flags & MSG_TRUNC);
}

/* By the short way: something came, or nothing */
static inline ssize_t came(struct leash_conn *conn, ssize_t ret)
{
	leash_io_received(conn, ret);
	if (conn->clock != LEASH_CLOCK_NONE && conn->clock != LEASH_CLOCK_EXCHANGE &&
	    atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) != 0)
		leash_timing_answer(conn, NULL, 0, (size_t)ret);
	return ret;
}

static LEASH_SLOW ssize_t ended(struct leash_conn *conn, int fd, const char *call, void *buf, size_t len,
				ssize_t ret, int flags)
{
	const struct iovec iov = {.iov_base = buf, .iov_len = len};

	return after(fd, call, LEASH_WAY_PASS, conn, ret, &iov, 1, flags);
}

static LEASH_SLOW ssize_t read_general(int fd, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct leash_conn *conn;
	enum leash_way way;
	ssize_t ret = before(fd, "read", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LEASH_WAY_HTTP && len > 0 ? plain_in(conn, fd, &iov, 1, 0) : LEASH_REAL(read, fd, buf, len);
	return after(fd, "read", way, conn, ret, &iov, 1, 0);
}

ssize_t leash_conn_read(int fd, void *buf, size_t len)
{
	struct leash_conn *conn = leash_io_plain(fd);
	ssize_t ret;

	if (!conn || leash_unlikely(!leash_timing_free(conn, false)))
		return read_general(fd, buf, len);
	ret = LEASH_REAL(read, fd, buf, len);
	return leash_likely(ret > 0) ? came(conn, ret) : ended(conn, fd, "read", buf, len, ret, 0);
}

ssize_t leash_swift_ended(struct leash_conn *conn, int fd, size_t len, ssize_t ret)
{
	LEASH_SCOPE(scope);

	/* No byte came, so nothing but its length is looked at. */
	return LEASH_LEAVE(scope, ssize_t, ended(conn, fd, "recv", NULL, len, leash_neg_errno(ret), 0));
}

ssize_t leash_conn_readv(int fd, const struct iovec *iov, int count)
{
	struct leash_conn *conn;
	enum leash_way way;
	ssize_t ret = before(fd, "readv", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LEASH_WAY_HTTP && count > 0 ? plain_in(conn, fd, iov, (size_t)count, 0)
					     : LEASH_REAL(readv, fd, iov, count);
	return after(fd, "readv", way, conn, ret, iov, count > 0 ? (size_t)count : 0, 0);
}

ssize_t leash_conn_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct leash_conn *conn;
	enum leash_way way;
	ssize_t ret = before(fd, "preadv2", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LEASH_WAY_HTTP && count > 0 && offset == -1 && (flags & ~RWF_NOWAIT) == 0
		      ? plain_in(conn, fd, iov, (size_t)count, flags ? MSG_DONTWAIT : 0)
		      : LEASH_REAL(preadv2, fd, iov, count, offset, flags);
	return after(fd, "preadv2", way, conn, ret, iov, count > 0 ? (size_t)count : 0, 0);
}

static LEASH_SLOW ssize_t recv_general(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct leash_conn *conn;
	enum leash_way way;
	ssize_t ret = before(fd, "recv", &way, &conn);

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	ret = way == LEASH_WAY_HTTP && len > 0 ? plain_in(conn, fd, &iov, 1, flags)
					   : LEASH_REAL(recv, fd, buf, len, flags);
	return after(fd, "recv", way, conn, ret, &iov, 1, flags);
}

ssize_t leash_conn_recv(int fd, void *buf, size_t len, int flags)
{
	struct leash_conn *conn = flags & (MSG_PEEK | MSG_ERRQUEUE) ? NULL : leash_io_plain(fd);
	ssize_t ret;

	if (!conn || leash_unlikely(!leash_timing_free(conn, false)))
		return recv_general(fd, buf, len, flags);
	ret = LEASH_REAL(recv, fd, buf, len, flags);
	return leash_likely(ret > 0) ? came(conn, ret) : ended(conn, fd, "recv", buf, len, ret, flags);
}

ssize_t leash_conn_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
			    socklen_t *addr_len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct leash_conn *conn;
	enum leash_way way;
	ssize_t ret = before(fd, "recvfrom", &way, &conn);

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	if (way == LEASH_WAY_HTTP && len > 0) {
		ret = plain_in(conn, fd, &iov, 1, flags);
		if (ret >= 0 && addr && leash_probe(addr_len, sizeof(*addr_len)))
			*addr_len = 0;		/* a stream names nobody */
	} else {
		ret = LEASH_REAL(recvfrom, fd, buf, len, flags, addr, addr_len);
	}
	return after(fd, "recvfrom", way, conn, ret, &iov, 1, flags);
}

ssize_t leash_conn_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct leash_conn *conn = NULL;
	enum leash_way way = LEASH_WAY_PASS;
	ssize_t ret = leash_fd_get(fd) ? before(fd, "recvmsg", &way, &conn) : 0;

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	ret = way == LEASH_WAY_HTTP && leash_probe(msg, sizeof(*msg)) && msg->msg_iovlen <= 1024 &&
			      leash_probe_range(msg->msg_iov, msg->msg_iovlen * sizeof(struct iovec)) &&
			      !asks_nothing(msg->msg_iov, msg->msg_iovlen)
		      ? leash_plain_receive(conn, fd, msg, flags)
		      : LEASH_REAL(recvmsg, fd, msg, flags);
	if (ret < 0)
		return after(fd, "recvmsg", way, conn, ret, NULL, 0, flags);
	if (msg->msg_controllen > 0)
		leash_import(msg);
	return after(fd, "recvmsg", way, conn, ret, msg->msg_iov, msg->msg_iovlen, flags);
}

int leash_conn_recvmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags,
			struct timespec *timeout)
{
	struct leash_conn *conn = NULL;
	enum leash_way way = LEASH_WAY_PASS;
	long ret = leash_fd_get(fd) ? before(fd, "recvmmsg", &way, &conn) : 0;

	if (ret < 0)
		return (int)ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	if (way == LEASH_WAY_HTTP && count > 0 && leash_probe(vec, sizeof(*vec))) {
		/* One of them is as good as many: a stream has no messages. */
		ret = leash_conn_recvmsg(fd, &vec->msg_hdr, flags & ~MSG_WAITFORONE);
		if (ret < 0)
			return (int)ret;
		vec->msg_len = (unsigned int)ret;
		return 1;
	}
	ret = LEASH_REAL(recvmmsg, fd, vec, count, flags, timeout);
	if (ret < 0)
		return (int)after(fd, "recvmmsg", way, conn, ret, NULL, 0, flags);
	for (long i = 0; i < ret; i++) {
		struct msghdr *msg = &vec[i].msg_hdr;
		const ssize_t got = (ssize_t)vec[i].msg_len;
		ssize_t said;

		if (msg->msg_controllen > 0)
			leash_import(msg);
		said = after(fd, "recvmmsg", way, conn, got, msg->msg_iov, msg->msg_iovlen, flags);
		if (said < 0)
			return i ? (int)i : (int)said;
	}
	return (int)ret;
}
