/* SPDX-License-Identifier: MIT */
/* Bytes out (hooks.md 3.3, 3.4). */
#include <signal.h>
#include <string.h>

#include "shim/conn/io_inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/swift.h"
#include "shim/core/probe.h"

/*
 * A writer that is blocked when its connection is ended would get the SIGPIPE of the shutdown(): it writes
 * without, and sends it to itself where it is the peer's doing (hooks.md S3).
 */
static ssize_t loud(const struct leash_conn *conn, ssize_t ret, int flags)
{
	if (ret == -EPIPE && !(flags & MSG_NOSIGNAL) && !LEASH_CONN_ENDED(leash_registry_state(conn)))
		LEASH_SYS(SYS_tgkill, leash_sys_getpid(), LEASH_SYS(SYS_gettid), SIGPIPE);
	return ret;
}

static ssize_t send_quiet(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags)
{
	const ssize_t ret = msg->msg_iovlen == 1 && !msg->msg_control && !msg->msg_name
				    ? LEASH_REAL(send, fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len,
						 flags | MSG_NOSIGNAL)
				    : LEASH_REAL(sendmsg, fd, msg, flags | MSG_NOSIGNAL);

	return loud(conn, ret, flags);
}

/* By the short way nothing went. */
static LEASH_SLOW ssize_t unsent(struct leash_conn *conn, int fd, ssize_t ret, int flags)
{
	if (conn->clock == LEASH_CLOCK_NONE)
		return ret;
	return leash_timing_sent(conn, fd, loud(conn, ret, flags), NULL, 0);
}

static ssize_t send_stream(int fd, uint8_t known, const struct msghdr *msg, int flags,
			   const char *call, enum leash_way *ret_way, struct leash_conn **ret_conn)
{
	int error = 0;

	*ret_way = leash_io_way(fd, known, call, ret_conn, &error);
	switch (*ret_way) {
	case LEASH_WAY_PASS:
		return 0;
	case LEASH_WAY_HELLO:
		return leash_sniff_send(*ret_conn, fd, msg, flags, call);
	case LEASH_WAY_FLIGHT: {
		bool pass;
		const ssize_t ret = leash_flight_send(*ret_conn, fd, msg, flags, call, &pass);

		if (pass)
			*ret_way = LEASH_WAY_PASS;
		return ret;
	}
	case LEASH_WAY_QUESTION:
		return leash_question_send(*ret_conn, fd, msg, flags, call);
	case LEASH_WAY_HTTP:
		return loud(*ret_conn, leash_plain_send(*ret_conn, fd, msg, flags, call), flags);
	case LEASH_WAY_REFUSE:
		break;
	}
	return error;
}

/*
 * MSG_FASTOPEN connects and sends in one call: judged as the connect() it is, and done in
 * two steps, which is what the kernel does itself where it has no cookie for the peer (tcp(7)).
 */
static int fast_open(int fd, const struct sockaddr *addr, socklen_t len, int *flags)
{
	if (!(*flags & MSG_FASTOPEN))
		return 0;
	*flags &= ~MSG_FASTOPEN;
	if (!addr)
		return 0;
	return leash_conn_connect(fd, addr, len);
}

#define CONTROL_MAX (1u << 20)	/* far above what the kernel takes (net.core.optmem_max): ENOBUFS */

static struct msghdr header_of(struct iovec *iov, const void *buf, size_t len)
{
	*iov = (struct iovec){.iov_base = (void *)buf, .iov_len = len};
	return (struct msghdr){.msg_iov = iov, .msg_iovlen = 1};
}

ssize_t leash_conn_send(int fd, const void *buf, size_t len, int flags)
{
	struct leash_conn *conn = flags & MSG_FASTOPEN ? NULL : leash_io_plain(fd);
	ssize_t ret;

	if (!conn)
		return leash_conn_sendto(fd, buf, len, flags, NULL, 0);
	if (leash_unlikely(!leash_timing_free(conn, true))) {
		ret = leash_timing_out_slow(conn, fd, "send");
		if (ret < 0)
			return ret;
	}
	ret = LEASH_REAL(send, fd, buf, len, flags | leash_io_quiet(conn));
	if (leash_unlikely(ret <= 0))
		return unsent(conn, fd, ret, flags);
	leash_io_sent(conn, ret);
	return ret;
}

ssize_t leash_conn_sendto(int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *addr, socklen_t addr_len)
{
	const char *call = addr ? "sendto" : "send";
	const uint8_t known = addr ? leash_fd_get(fd) : leash_datagram_fresh(fd, leash_fd_get(fd));
	struct leash_conn *conn = NULL;
	struct iovec iov;
	struct msghdr msg = header_of(&iov, buf, len);
	struct leash_conn *timed;
	enum leash_way way;
	ssize_t ret;

	if (!(known & LEASH_FD_JUDGE) && !(flags & MSG_FASTOPEN)) {
		ret = leash_timing_out(fd, call, &timed);
		if (ret < 0)
			return ret;
		ret = timed && !addr ? send_quiet(timed, fd, &msg, flags)
				     : LEASH_REAL(sendto, fd, buf, len, flags, addr, addr_len);
		leash_io_sent(leash_registry_of(fd), ret);
		return leash_timing_sent(timed, fd, ret, &iov, 1);
	}
	msg.msg_name = (void *)addr;
	msg.msg_namelen = addr ? addr_len : 0;
	if (known & LEASH_FD_DGRAM)
		return leash_datagram_send(fd, known, &msg, flags, call);
	ret = fast_open(fd, addr, addr_len, &flags);
	if (ret < 0)
		return ret;
	msg.msg_name = NULL;
	msg.msg_namelen = 0;
	ret = leash_timing_out(fd, call, &timed);
	if (ret < 0)
		return ret;
	ret = send_stream(fd, leash_fd_get(fd), &msg, flags, call, &way, &conn);
	if (way == LEASH_WAY_PASS)
		ret = timed && !addr ? send_quiet(timed, fd, &msg, flags)
				     : LEASH_REAL(sendto, fd, buf, len, flags, addr, addr_len);
	leash_io_sent(conn, ret);
	return leash_timing_sent(timed, fd, ret, &iov, 1);
}

ssize_t leash_conn_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct leash_conn *conn = NULL, *timed;
	struct msghdr out;
	uint8_t known;
	enum leash_way way;
	ssize_t ret;

	if (!leash_probe(msg, sizeof(*msg)))
		return LEASH_REAL(sendmsg, fd, NULL, flags);
	out = *msg;
	known = out.msg_name ? leash_fd_get(fd) : leash_datagram_fresh(fd, leash_fd_get(fd));
	if (!(known & LEASH_FD_JUDGE) && !(flags & MSG_FASTOPEN)) {
		ret = leash_timing_out(fd, "sendmsg", &timed);
		if (ret < 0)
			return ret;
		ret = timed ? send_quiet(timed, fd, &out, flags) : LEASH_REAL(sendmsg, fd, msg, flags);
		leash_io_sent(leash_registry_of(fd), ret);
		return leash_timing_sent(timed, fd, ret, out.msg_iov, out.msg_iovlen);
	}
	/* The vector is read by us before the kernel would complain about it. */
	if (out.msg_iovlen > 1024)
		return -EMSGSIZE;
	if (out.msg_controllen > CONTROL_MAX)
		return -ENOBUFS;
	if (!leash_probe_range(out.msg_iov, out.msg_iovlen * sizeof(struct iovec)) ||
	    !leash_probe_range(out.msg_control, out.msg_controllen))
		return -EFAULT;
	if (known & LEASH_FD_DGRAM)
		return leash_datagram_send(fd, known, &out, flags, "sendmsg");
	ret = fast_open(fd, out.msg_name, out.msg_namelen, &flags);
	if (ret < 0)
		return ret;
	ret = leash_timing_out(fd, "sendmsg", &timed);
	if (ret < 0)
		return ret;
	ret = send_stream(fd, leash_fd_get(fd), &out, flags, "sendmsg", &way, &conn);
	if (way == LEASH_WAY_PASS)
		ret = timed ? send_quiet(timed, fd, &out, flags) : LEASH_REAL(sendmsg, fd, &out, flags);
	leash_io_sent(conn, ret);
	return leash_timing_sent(timed, fd, ret, out.msg_iov, out.msg_iovlen);
}

int leash_conn_sendmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags)
{
	unsigned int done = 0;

	if (!(leash_fd_get(fd) & LEASH_FD_JUDGE) && !(flags & MSG_FASTOPEN) && !leash_registry_of(fd))
		return (int)LEASH_REAL(sendmmsg, fd, vec, count, flags);
	if (count > 1024)
		count = 1024;		/* the kernel's own limit, UIO_MAXIOV */
	/* One by one: what stands before a refused entry is sent and counted, as the kernel does it. */
	for (; done < count; done++) {
		ssize_t ret;

		if (!leash_probe(&vec[done], sizeof(vec[done])))
			return done ? (int)done : -EFAULT;
		ret = leash_conn_sendmsg(fd, &vec[done].msg_hdr, flags);
		if (ret < 0)
			return done ? (int)done : (int)ret;
		vec[done].msg_len = (unsigned int)ret;
	}
	return (int)done;
}

static ssize_t write_vector(int fd, const struct iovec *iov, int count, const char *call,
			    enum leash_way *ret_way, struct leash_conn **ret_conn)
{
	const uint8_t known = leash_datagram_fresh(fd, leash_fd_get(fd));
	const struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};

	*ret_way = LEASH_WAY_PASS;
	*ret_conn = NULL;
	if (!(known & LEASH_FD_JUDGE)) {
		*ret_conn = leash_registry_of(fd);
		return 0;
	}
	if (known & LEASH_FD_DGRAM) {
		*ret_way = LEASH_WAY_REFUSE;	/* settled either way */
		return leash_datagram_send(fd, known, &msg, 0, call);
	}
	return send_stream(fd, known, &msg, 0, call, ret_way, ret_conn);
}

static LEASH_SLOW ssize_t write_general(int fd, const void *buf, size_t len)
{
	const struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	const struct msghdr msg = {.msg_iov = (struct iovec *)&iov, .msg_iovlen = 1};
	struct leash_conn *conn, *timed;
	enum leash_way way;
	ssize_t ret = leash_timing_out(fd, "write", &timed);

	if (ret < 0)
		return ret;
	ret = write_vector(fd, &iov, 1, "write", &way, &conn);
	if (way == LEASH_WAY_PASS && timed && timed->stream) {
		ret = send_quiet(timed, fd, &msg, 0);
		if (ret == -ENOTSOCK)	/* another file has this number */
			ret = LEASH_REAL(write, fd, buf, len);
	} else if (way == LEASH_WAY_PASS) {
		ret = LEASH_REAL(write, fd, buf, len);
	}
	leash_io_sent(conn, ret);
	return way == LEASH_WAY_REFUSE ? ret : leash_timing_sent(timed, fd, ret, &iov, 1);
}

ssize_t leash_conn_write(int fd, const void *buf, size_t len)
{
	struct leash_conn *conn = leash_io_plain(fd);
	ssize_t ret;

	if (!conn)
		return write_general(fd, buf, len);
	if (leash_unlikely(!leash_timing_free(conn, true))) {
		ret = leash_timing_out_slow(conn, fd, "write");
		if (ret < 0)
			return ret;
	}
	if (conn->clock == LEASH_CLOCK_NONE) {
		ret = LEASH_REAL(write, fd, buf, len);
	} else {
		ret = LEASH_REAL(send, fd, buf, len, MSG_NOSIGNAL);
		if (leash_unlikely(ret == -ENOTSOCK))	/* another file has this number */
			ret = LEASH_REAL(write, fd, buf, len);
	}
	if (leash_unlikely(ret <= 0))
		return unsent(conn, fd, ret, 0);
	leash_io_sent(conn, ret);
	return ret;
}

static bool is_empty(const struct iovec *iov, int count)
{
	while (count > 0 && iov->iov_len == 0) {
		iov++;
		count--;
	}
	return count == 0;
}

ssize_t leash_conn_writev(int fd, const struct iovec *iov, int count)
{
	const struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	struct leash_conn *conn = NULL, *timed = NULL;
	enum leash_way way = LEASH_WAY_PASS;
	ssize_t ret = 0;

	/* What the kernel refuses by itself goes there as it is, and so does nothing at all: a
	 * datagram of no bytes is sent by write(), and by this not. */
	if (count > 0 && count <= 1024 && leash_probe_range(iov, (size_t)count * sizeof(*iov)) &&
	    !is_empty(iov, count)) {
		ret = leash_timing_out(fd, "writev", &timed);
		if (ret < 0)
			return ret;
		ret = write_vector(fd, iov, count, "writev", &way, &conn);
	}
	if (way == LEASH_WAY_PASS && timed && timed->stream) {
		ret = send_quiet(timed, fd, &msg, 0);
		if (ret == -ENOTSOCK)
			ret = LEASH_REAL(writev, fd, iov, count);
	} else if (way == LEASH_WAY_PASS) {
		ret = LEASH_REAL(writev, fd, iov, count);
	}
	leash_io_sent(conn, ret);
	return way == LEASH_WAY_REFUSE ? ret
			     : leash_timing_sent(timed, fd, ret, iov, count > 0 ? (size_t)count : 0);
}

ssize_t leash_conn_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	/* With offset -1 it is writev(); a socket has no other (hooks.md 3.4). */
	if (offset != -1 || flags != 0 || !(leash_fd_get(fd) & LEASH_FD_JUDGE))
		return LEASH_REAL(pwritev2, fd, iov, count, offset, flags);
	return leash_conn_writev(fd, iov, count);
}

ssize_t leash_swift_unsent(struct leash_conn *conn, int fd, ssize_t ret, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, ssize_t, unsent(conn, fd, leash_neg_errno(ret), flags));
}
