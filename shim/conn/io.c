/* SPDX-License-Identifier: MIT */
/*
 * Bytes out and in (hooks.md 3.3 to 3.5). Called only for descriptors whose flag byte is not
 * 0. A judged connection costs two table look-ups and an addition; everything else is
 * decided by the state of its slot.
 */
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/session.h"
#include "shim/conn/swift.h"
#include "shim/conn/timing.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"

static void count_sent(const struct leash_conn *conn, ssize_t bytes)
{
	if (conn && bytes > 0)
		atomic_fetch_add_explicit(&leash_session_get()->host[conn->host].bytes_sent,
					  (uint64_t)bytes, memory_order_relaxed);
}

static void count_received(const struct leash_conn *conn, ssize_t bytes)
{
	if (conn && bytes > 0)
		atomic_fetch_add_explicit(&leash_session_get()->host[conn->host].bytes_received,
					  (uint64_t)bytes, memory_order_relaxed);
}

/*
 * The short way, which nearly all calls take: a judged stream whose bytes nobody wants to see, nothing of it
 * due. One look at its slot, then the real call (costs.md); what does not fit goes the general way.
 */
static inline struct leash_conn *plain(int fd)
{
	struct leash_conn *conn;

	if ((leash_fd_get(fd) & (uint8_t)~(LEASH_FD_INBOUND | LEASH_FD_TIMED)) !=
	    (LEASH_FD_INET | LEASH_FD_STREAM))
		return NULL;
	conn = leash_registry_of(fd);
	return conn && conn->phase < LEASH_PHASE_HELLO ? conn : NULL;
}

static inline int quiet(const struct leash_conn *conn)
{
	return conn->clock == LEASH_CLOCK_NONE ? 0 : MSG_NOSIGNAL;
}

/* What a slot says of a call on its descriptor. */
enum way {
	PASS,		/* the real call */
	LOOK_HELLO,	/* through the sniffer */
	LOOK_FLIGHT,	/* a handshake that nobody answers for yet */
	LOOK_QUESTION,	/* through the DNS check */
	LOOK_PLAIN,	/* http on the LAN */
	REFUSE,		/* *ret_error */
};

#define KIND (LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_DGRAM)

/* Has the number been given to something else behind our back (fclose() closes inside libc)? Without
 * a slot: is it no socket of the kind that was noted? */
static bool stale(const struct leash_conn *conn, int fd)
{
	return conn ? !leash_registry_same(conn, fd) : leash_fd_probe(fd) != (leash_fd_get(fd) & KIND);
}

static enum way way_of(int fd, uint8_t flags, const char *call, struct leash_conn **ret_conn,
		       int *ret_error);

/* A stale number is known for what it is from here on, and asked about again. */
static enum way anew(int fd, const char *call, struct leash_conn **ret_conn, int *ret_error)
{
	const uint8_t now = leash_fd_probe(fd);

	*ret_conn = NULL;
	leash_registry_detach(fd);
	leash_fd_set(fd, now ? now | LEASH_FD_JUDGE : 0);
	return way_of(fd, leash_fd_get(fd), call, ret_conn, ret_error);
}

static enum way way_of(int fd, uint8_t flags, const char *call, struct leash_conn **ret_conn,
		       int *ret_error)
{
	struct leash_conn *conn = leash_registry_of(fd);

	*ret_conn = conn;
	if (!(flags & LEASH_FD_JUDGE))
		return PASS;
	if (!conn) {
		if (flags & LEASH_FD_NONE)
			return PASS;
		if (stale(NULL, fd))
			return anew(fd, call, ret_conn, ret_error);
		/* Inherited, received, or not connected yet. */
		*ret_error = leash_conn_adopt(fd, flags, call);
		if (*ret_error < 0)
			return REFUSE;
		conn = leash_registry_of(fd);
		*ret_conn = conn;
		if (!conn)
			return PASS;
	}
	switch (leash_registry_state(conn)) {
	case LEASH_CONN_OPEN:
		/* Judged by way of another number, or by its TLS library: from here on like any other. */
		if (stale(conn, fd))
			return anew(fd, call, ret_conn, ret_error);
		if (conn->plain)
			return LOOK_PLAIN;
		leash_fd_set(fd, flags & (uint8_t)~LEASH_FD_JUDGE);
		return PASS;
	case LEASH_CONN_FREE:
	case LEASH_CONN_CLAIMED:
	case LEASH_CONN_NUM_STATES:
		return PASS;
	case LEASH_CONN_SNIFFING:
		if (!stale(conn, fd))
			return LOOK_HELLO;
		return anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_FLIGHT:
		if (!stale(conn, fd))
			return LOOK_FLIGHT;
		return anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_DATAGRAM:
		return PASS;		/* leash_datagram() has looked at the destination */
	case LEASH_CONN_DNS:
		if (!stale(conn, fd))
			return LOOK_QUESTION;
		return anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_DENIED:
	case LEASH_CONN_EXPIRED:
	case LEASH_CONN_INTERRUPTED:
	case LEASH_CONN_LOOKUP:		/* has no number */
		break;
	}
	if (stale(conn, fd))
		return anew(fd, call, ret_conn, ret_error);
	*ret_error = leash_timing_errno(conn) ? -leash_timing_errno(conn) : -conn->error;
	return REFUSE;
}

/* ------------------------------------------------------------------------ datagrams */

/* Before a datagram without an address is judged: the flags to go by, if the number is another
 * file's by now */
static uint8_t fresh(int fd, uint8_t known)
{
	struct leash_conn *conn;
	int error = 0;

	if (!(known & LEASH_FD_DGRAM) || !stale(leash_registry_of(fd), fd))
		return known;
	anew(fd, "write", &conn, &error);
	return leash_fd_get(fd);
}

/* A slot for a datagram socket that was never connected */
static struct leash_conn *datagram_slot(int fd)
{
	struct leash_conn *conn = leash_registry_of(fd);
	const uint64_t cookie = conn ? 0 : leash_fd_cookie(fd);

	if (conn || !cookie)
		return conn;
	conn = leash_registry_claim(fd, cookie);
	if (conn) {
		leash_conn_more(conn);
		conn->clock = LEASH_CLOCK_CONNECT;
		leash_registry_set_state(conn, LEASH_CONN_DATAGRAM);
	}
	return conn;
}

/*
 * May a datagram go to @addr? Sets *ret_dns if it is a question for a configured name server. The
 * last good destination is remembered: a game sends sixty a second to the same one.
 */
static int datagram_to(int fd, const union leash_sockaddr *addr, socklen_t len, const char *call,
		       struct leash_conn **ret_conn, bool *ret_dns)
{
	struct leash_conn *conn = datagram_slot(fd);
	struct leash_conn_more *const more = conn ? leash_conn_more(conn) : NULL;
	struct leash_gate gate, away;
	struct leash_addr to, last;
	uint16_t port;
	int ret;

	*ret_dns = false;
	*ret_conn = conn;
	if (!leash_gate_addr(&addr->sa, len, &to, &port))
		return 0;			/* the kernel says EINVAL or EAFNOSUPPORT */
	if (more && more->last_good && more->last_port == port &&
	    more->last_generation == leash_names_generation()) {
		memcpy(&last, more->last_addr, sizeof(last));
		if (leash_addr_equal(&last, &to)) {
			*ret_dns = more->last_dns;
			return 0;
		}
	}
	leash_gate_peer(&gate, call, LEASH_UDP, &to, port, true);
	if (port == 53 && leash_conn_name_server(&addr->sa)) {
		*ret_dns = true;
	} else {
		ret = leash_gate_settle(&gate);
		if (ret < 0)
			return ret;
	}
	away = gate;
	ret = leash_timing_away(&away);
	if (ret < 0)
		return ret;
	if (!conn)
		return *ret_dns ? -ENOBUFS : 0;
	/* The connected state of a DNS or muted socket stays what it is. */
	memcpy(more->last_addr, &to, sizeof(to));
	more->last_port = port;
	more->last_dns = *ret_dns;
	more->last_generation = leash_names_generation();
	more->last_good = 1;
	if (!*ret_dns)
		conn->host = leash_gate_connected(&gate, false);
	return 0;
}

/* A datagram without an address: where connect() pointed it. */
static int datagram_connected(int fd, uint8_t flags, const char *call, struct leash_conn **ret_conn,
			      bool *ret_dns)
{
	struct leash_conn *conn = leash_registry_of(fd);
	int ret;

	*ret_dns = false;
	if (!conn) {
		ret = leash_conn_adopt(fd, flags, call);
		if (ret < 0)
			return ret;
		conn = leash_registry_of(fd);
	}
	*ret_conn = conn;
	if (!conn)
		return 0;
	*ret_dns = leash_registry_state(conn) == LEASH_CONN_DNS;
	if (conn->mute) {
		struct leash_gate gate;

		/* connect() was let through because it sends nothing; this does. */
		leash_conn_gate(&gate, conn, call);
		return leash_gate_settle(&gate);
	}
	return 0;
}

/* Control messages that lead past the address (hooks.md 3.3) */
static bool source_route(const struct msghdr *msg)
{
	if (!msg->msg_control || msg->msg_controllen < sizeof(struct cmsghdr))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && (c->cmsg_type == IP_RETOPTS || c->cmsg_type == IP_OPTIONS))
			return true;
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    (c->cmsg_type == IPV6_RTHDR || c->cmsg_type == IPV6_HOPOPTS ||
		     c->cmsg_type == IPV6_DSTOPTS || c->cmsg_type == IPV6_RTHDRDSTOPTS ||
		     c->cmsg_type == IPV6_2292RTHDR))
			return true;
	}
	return false;
}

static int refuse_route(const char *call)
{
	const struct leash_image *image = leash_image_get();

	return leash_gate_simple(call, "routing header",
				 image ? leash_policy_options(image) : leash_policy_none());
}

/* One datagram, judged, from a copy of its question where it is one. */
static ssize_t send_datagram(int fd, uint8_t known, const struct msghdr *msg, int flags,
			     const char *call)
{
	struct msghdr out = *msg;
	union leash_sockaddr addr;
	struct leash_conn *conn = NULL;
	bool dns = false;
	ssize_t ret;

	if (source_route(msg)) {
		ret = refuse_route(call);
		if (ret < 0)
			return ret;
	}
	if (msg->msg_name && msg->msg_namelen > 0) {
		socklen_t len = msg->msg_namelen;

		/* sendmsg() takes the start of what is too long, sendto() does not. */
		if (len > sizeof(addr) && (int)len > 0 && call[4] == 'm')
			len = sizeof(addr);
		ret = leash_copy_addr(&addr, msg->msg_name, len);
		if (ret < 0)
			return ret;
		if (addr.sa.sa_family == AF_UNSPEC) {
			int domain = 0;
			socklen_t size = sizeof(domain);

			/* An IPv4 socket takes it for AF_INET and sends; an IPv6 one for no address. */
			LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
			if (domain == AF_INET)
				addr.sa.sa_family = AF_INET;
			else
				len = 0;
		}
		out.msg_name = len ? &addr : NULL;
		out.msg_namelen = len;
		ret = len ? datagram_to(fd, &addr, len, call, &conn, &dns)
			  : datagram_connected(fd, known, call, &conn, &dns);
	} else {
		ret = datagram_connected(fd, known, call, &conn, &dns);
	}
	if (ret < 0)
		return ret;
	if (dns && conn) {
		char *copy = leash_scratch_take();
		struct iovec iov = {.iov_base = copy};

		if (!copy)
			return -ENOBUFS;
		for (size_t i = 0; i < msg->msg_iovlen; i++) {
			const struct iovec *from = &msg->msg_iov[i];

			if (from->iov_len > LEASH_SCRATCH_SIZE - iov.iov_len ||
			    !leash_probe_range(from->iov_base, from->iov_len)) {
				leash_scratch_give(copy);
				return from->iov_len > LEASH_SCRATCH_SIZE ? -EMSGSIZE : -EFAULT;
			}
			memcpy(copy + iov.iov_len, from->iov_base, from->iov_len);
			iov.iov_len += from->iov_len;
		}
		ret = leash_question_ask(conn, copy, iov.iov_len, call);
		if (ret == 0) {
			out.msg_iov = &iov;
			out.msg_iovlen = 1;
			ret = LEASH_REAL(sendmsg, fd, &out, flags);
		}
		leash_scratch_give(copy);
		return ret;
	}
	ret = LEASH_REAL(sendmsg, fd, &out, flags);
	count_sent(conn, ret);
	return ret;
}

/* A datagram: pending until something comes back. */
static ssize_t send_timed(int fd, uint8_t known, const struct msghdr *msg, int flags, const char *call)
{
	struct leash_conn *timed;
	ssize_t ret = leash_timing_out(fd, call, &timed);

	if (ret < 0)
		return ret;
	ret = send_datagram(fd, known, msg, flags, call);
	/* Never connected: its slot was made with the first one. */
	if (!timed && ret >= 0)
		leash_timing_out(fd, call, &timed);
	return leash_timing_sent(timed, fd, ret, msg->msg_iov, msg->msg_iovlen);
}

/* ---------------------------------------------------------------------------- out */

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
			   const char *call, enum way *ret_way, struct leash_conn **ret_conn)
{
	int error = 0;

	*ret_way = way_of(fd, known, call, ret_conn, &error);
	switch (*ret_way) {
	case PASS:
		return 0;
	case LOOK_HELLO:
		return leash_sniff_send(*ret_conn, fd, msg, flags, call);
	case LOOK_FLIGHT: {
		bool pass;
		const ssize_t ret = leash_flight_send(*ret_conn, fd, msg, flags, call, &pass);

		if (pass)
			*ret_way = PASS;
		return ret;
	}
	case LOOK_QUESTION:
		return leash_question_send(*ret_conn, fd, msg, flags, call);
	case LOOK_PLAIN:
		return loud(*ret_conn, leash_plain_send(*ret_conn, fd, msg, flags, call), flags);
	case REFUSE:
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
	struct leash_conn *conn = flags & MSG_FASTOPEN ? NULL : plain(fd);
	ssize_t ret;

	if (!conn)
		return leash_conn_sendto(fd, buf, len, flags, NULL, 0);
	if (leash_unlikely(!leash_timing_free(conn, true))) {
		ret = leash_timing_out_slow(conn, fd, "send");
		if (ret < 0)
			return ret;
	}
	ret = LEASH_REAL(send, fd, buf, len, flags | quiet(conn));
	if (leash_unlikely(ret <= 0))
		return unsent(conn, fd, ret, flags);
	count_sent(conn, ret);
	return ret;
}

ssize_t leash_conn_sendto(int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *addr, socklen_t addr_len)
{
	const char *call = addr ? "sendto" : "send";
	const uint8_t known = addr ? leash_fd_get(fd) : fresh(fd, leash_fd_get(fd));
	struct leash_conn *conn = NULL;
	struct iovec iov;
	struct msghdr msg = header_of(&iov, buf, len);
	struct leash_conn *timed;
	enum way way;
	ssize_t ret;

	if (!(known & LEASH_FD_JUDGE) && !(flags & MSG_FASTOPEN)) {
		ret = leash_timing_out(fd, call, &timed);
		if (ret < 0)
			return ret;
		ret = timed && !addr ? send_quiet(timed, fd, &msg, flags)
				     : LEASH_REAL(sendto, fd, buf, len, flags, addr, addr_len);
		count_sent(leash_registry_of(fd), ret);
		return leash_timing_sent(timed, fd, ret, &iov, 1);
	}
	msg.msg_name = (void *)addr;
	msg.msg_namelen = addr ? addr_len : 0;
	if (known & LEASH_FD_DGRAM)
		return send_timed(fd, known, &msg, flags, call);
	ret = fast_open(fd, addr, addr_len, &flags);
	if (ret < 0)
		return ret;
	msg.msg_name = NULL;
	msg.msg_namelen = 0;
	ret = leash_timing_out(fd, call, &timed);
	if (ret < 0)
		return ret;
	ret = send_stream(fd, leash_fd_get(fd), &msg, flags, call, &way, &conn);
	if (way == PASS)
		ret = timed && !addr ? send_quiet(timed, fd, &msg, flags)
				     : LEASH_REAL(sendto, fd, buf, len, flags, addr, addr_len);
	count_sent(conn, ret);
	return leash_timing_sent(timed, fd, ret, &iov, 1);
}

ssize_t leash_conn_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct leash_conn *conn = NULL, *timed;
	struct msghdr out;
	uint8_t known;
	enum way way;
	ssize_t ret;

	if (!leash_probe(msg, sizeof(*msg)))
		return LEASH_REAL(sendmsg, fd, NULL, flags);
	out = *msg;
	known = out.msg_name ? leash_fd_get(fd) : fresh(fd, leash_fd_get(fd));
	if (!(known & LEASH_FD_JUDGE) && !(flags & MSG_FASTOPEN)) {
		ret = leash_timing_out(fd, "sendmsg", &timed);
		if (ret < 0)
			return ret;
		ret = timed ? send_quiet(timed, fd, &out, flags) : LEASH_REAL(sendmsg, fd, msg, flags);
		count_sent(leash_registry_of(fd), ret);
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
		return send_timed(fd, known, &out, flags, "sendmsg");
	ret = fast_open(fd, out.msg_name, out.msg_namelen, &flags);
	if (ret < 0)
		return ret;
	ret = leash_timing_out(fd, "sendmsg", &timed);
	if (ret < 0)
		return ret;
	ret = send_stream(fd, leash_fd_get(fd), &out, flags, "sendmsg", &way, &conn);
	if (way == PASS)
		ret = timed ? send_quiet(timed, fd, &out, flags) : LEASH_REAL(sendmsg, fd, &out, flags);
	count_sent(conn, ret);
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
			    enum way *ret_way, struct leash_conn **ret_conn)
{
	const uint8_t known = fresh(fd, leash_fd_get(fd));
	const struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};

	*ret_way = PASS;
	*ret_conn = NULL;
	if (!(known & LEASH_FD_JUDGE)) {
		*ret_conn = leash_registry_of(fd);
		return 0;
	}
	if (known & LEASH_FD_DGRAM) {
		*ret_way = REFUSE;	/* settled either way */
		return send_timed(fd, known, &msg, 0, call);
	}
	return send_stream(fd, known, &msg, 0, call, ret_way, ret_conn);
}

static LEASH_SLOW ssize_t write_general(int fd, const void *buf, size_t len)
{
	const struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	const struct msghdr msg = {.msg_iov = (struct iovec *)&iov, .msg_iovlen = 1};
	struct leash_conn *conn, *timed;
	enum way way;
	ssize_t ret = leash_timing_out(fd, "write", &timed);

	if (ret < 0)
		return ret;
	ret = write_vector(fd, &iov, 1, "write", &way, &conn);
	if (way == PASS && timed && timed->stream) {
		ret = send_quiet(timed, fd, &msg, 0);
		if (ret == -ENOTSOCK)	/* another file has this number */
			ret = LEASH_REAL(write, fd, buf, len);
	} else if (way == PASS) {
		ret = LEASH_REAL(write, fd, buf, len);
	}
	count_sent(conn, ret);
	return way == REFUSE ? ret : leash_timing_sent(timed, fd, ret, &iov, 1);
}

ssize_t leash_conn_write(int fd, const void *buf, size_t len)
{
	struct leash_conn *conn = plain(fd);
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
	count_sent(conn, ret);
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
	enum way way = PASS;
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
	if (way == PASS && timed && timed->stream) {
		ret = send_quiet(timed, fd, &msg, 0);
		if (ret == -ENOTSOCK)
			ret = LEASH_REAL(writev, fd, iov, count);
	} else if (way == PASS) {
		ret = LEASH_REAL(writev, fd, iov, count);
	}
	count_sent(conn, ret);
	return way == REFUSE ? ret
			     : leash_timing_sent(timed, fd, ret, iov, count > 0 ? (size_t)count : 0);
}

ssize_t leash_conn_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	/* With offset -1 it is writev(); a socket has no other (hooks.md 3.4). */
	if (offset != -1 || flags != 0 || !(leash_fd_get(fd) & LEASH_FD_JUDGE))
		return LEASH_REAL(pwritev2, fd, iov, count, offset, flags);
	return leash_conn_writev(fd, iov, count);
}

int leash_conn_unseen(int fd, const char *call)
{
	struct leash_conn *conn = NULL;
	int error = 0;

	switch (way_of(fd, leash_fd_get(fd), call, &conn, &error)) {
	case PASS:
		/* A datagram's destination would have to be judged: its callers fall back to send. */
		return leash_fd_get(fd) & LEASH_FD_DGRAM ? -EINVAL : 0;
	case LOOK_HELLO:
		/* Where it may be TLS or http, somebody must see which. */
		return !(conn->pass & LEASH_PASS_TLS) && leash_sniff_raw(conn, fd) ? 0 : -EINVAL;
	case LOOK_FLIGHT:
	case LOOK_QUESTION:
		return -EINVAL;
	case LOOK_PLAIN:
		return leash_plain_unseen(conn);
	case REFUSE:
		break;
	}
	return error;
}

/* ----------------------------------------------------------------------------- in */

/* Before a read: may it go on? Return: 0 or a negative errno */
static int before(int fd, const char *call, enum way *ret_way, struct leash_conn **ret_conn)
{
	const uint8_t known = leash_fd_get(fd);
	struct leash_conn *timed;
	int error = leash_timing_in(fd, &timed);

	*ret_conn = NULL;
	*ret_way = PASS;
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
			*ret_way = LOOK_QUESTION;
		return 0;
	}
	*ret_way = way_of(fd, known, call, ret_conn, &error);
	return *ret_way == REFUSE ? error : 0;
}

static ssize_t judged(int fd, const char *call, enum way way, struct leash_conn *conn, ssize_t got,
		      const struct iovec *iov, size_t count, int flags)
{
	if (way == LOOK_HELLO && !(flags & MSG_ERRQUEUE))
		return leash_sniff_received(conn, fd, got, call);
	if (way == LOOK_FLIGHT && got > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_flight_received(conn, iov, count, (size_t)got);
	if (way == LOOK_QUESTION && got > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_question_received(conn, iov, count, (size_t)got);
	if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		count_received(conn, got);
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

static ssize_t after(int fd, const char *call, enum way way, struct leash_conn *conn, ssize_t got,
		     const struct iovec *iov, size_t count, int flags)
{
	const ssize_t ret = judged(fd, call, way, conn, got, iov, count, flags);

	if (ret != got || !conn || conn->clock == LEASH_CLOCK_NONE || (got == 0 && asks_nothing(iov, count)))
		return ret;
	return leash_timing_received(conn, fd, got, iov, count, flags);
}

/* MSG_TRUNC on a stream drops bytes unseen; only before the connection is judged that matters. */
static bool drops_unseen(enum way way, int flags)
{
	return (way == LOOK_HELLO || way == LOOK_FLIGHT) && (flags & MSG_TRUNC);
}

/* By the short way: something came, or nothing */
static inline ssize_t came(struct leash_conn *conn, ssize_t ret)
{
	count_received(conn, ret);
	if (conn->clock != LEASH_CLOCK_NONE && conn->clock != LEASH_CLOCK_EXCHANGE &&
	    atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) != 0)
		leash_timing_answer(conn, NULL, 0, (size_t)ret);
	return ret;
}

static LEASH_SLOW ssize_t ended(struct leash_conn *conn, int fd, const char *call, void *buf, size_t len,
				ssize_t ret, int flags)
{
	const struct iovec iov = {.iov_base = buf, .iov_len = len};

	return after(fd, call, PASS, conn, ret, &iov, 1, flags);
}

static LEASH_SLOW ssize_t read_general(int fd, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct leash_conn *conn;
	enum way way;
	ssize_t ret = before(fd, "read", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LOOK_PLAIN && len > 0 ? plain_in(conn, fd, &iov, 1, 0) : LEASH_REAL(read, fd, buf, len);
	return after(fd, "read", way, conn, ret, &iov, 1, 0);
}

ssize_t leash_conn_read(int fd, void *buf, size_t len)
{
	struct leash_conn *conn = plain(fd);
	ssize_t ret;

	if (!conn || leash_unlikely(!leash_timing_free(conn, false)))
		return read_general(fd, buf, len);
	ret = LEASH_REAL(read, fd, buf, len);
	return leash_likely(ret > 0) ? came(conn, ret) : ended(conn, fd, "read", buf, len, ret, 0);
}

ssize_t leash_swift_unsent(struct leash_conn *conn, int fd, ssize_t ret, int flags)
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, ssize_t, unsent(conn, fd, leash_neg_errno(ret), flags));
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
	enum way way;
	ssize_t ret = before(fd, "readv", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LOOK_PLAIN && count > 0 ? plain_in(conn, fd, iov, (size_t)count, 0)
					     : LEASH_REAL(readv, fd, iov, count);
	return after(fd, "readv", way, conn, ret, iov, count > 0 ? (size_t)count : 0, 0);
}

ssize_t leash_conn_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct leash_conn *conn;
	enum way way;
	ssize_t ret = before(fd, "preadv2", &way, &conn);

	if (ret < 0)
		return ret;
	ret = way == LOOK_PLAIN && count > 0 && offset == -1 && (flags & ~RWF_NOWAIT) == 0
		      ? plain_in(conn, fd, iov, (size_t)count, flags ? MSG_DONTWAIT : 0)
		      : LEASH_REAL(preadv2, fd, iov, count, offset, flags);
	return after(fd, "preadv2", way, conn, ret, iov, count > 0 ? (size_t)count : 0, 0);
}

static LEASH_SLOW ssize_t recv_general(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct leash_conn *conn;
	enum way way;
	ssize_t ret = before(fd, "recv", &way, &conn);

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	ret = way == LOOK_PLAIN && len > 0 ? plain_in(conn, fd, &iov, 1, flags)
					   : LEASH_REAL(recv, fd, buf, len, flags);
	return after(fd, "recv", way, conn, ret, &iov, 1, flags);
}

ssize_t leash_conn_recv(int fd, void *buf, size_t len, int flags)
{
	struct leash_conn *conn = flags & (MSG_PEEK | MSG_ERRQUEUE) ? NULL : plain(fd);
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
	enum way way;
	ssize_t ret = before(fd, "recvfrom", &way, &conn);

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	if (way == LOOK_PLAIN && len > 0) {
		ret = plain_in(conn, fd, &iov, 1, flags);
		if (ret >= 0 && addr && leash_probe(addr_len, sizeof(*addr_len)))
			*addr_len = 0;		/* a stream names nobody */
	} else {
		ret = LEASH_REAL(recvfrom, fd, buf, len, flags, addr, addr_len);
	}
	return after(fd, "recvfrom", way, conn, ret, &iov, 1, flags);
}

/* A descriptor from elsewhere; closed if it is refused */
static bool admitted(int fd, const char *call)
{
	uint8_t flags;

	leash_registry_detach(fd);
	leash_fd_set(fd, 0);
	flags = leash_conn_flags(fd);
	if (!flags || leash_conn_adopt(fd, flags, call) == 0)
		return true;
	leash_conn_close(fd);
	return false;
}

/*
 * Descriptors that came over a socket are judged by their peer, as if connected here (hooks.md
 * 3.5). Refused ones are closed, the rest moves up, MSG_CTRUNC says that something is missing.
 */
static void import(struct msghdr *msg)
{
	char *const control = msg->msg_control;
	size_t at = 0, len = msg->msg_controllen;

	while (len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)(control + at);
		size_t old_size = CMSG_ALIGN(c->cmsg_len), new_size = old_size;
		size_t count, kept = 0;
		int *fds = (int *)(void *)CMSG_DATA(c);

		if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > len - at)
			break;
		if (old_size > len - at)
			old_size = new_size = len - at;	/* the last one is not padded */
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count; i++) {
				const int fd = fds[i];

				if (admitted(fd, "recvmsg"))
					fds[kept++] = fd;
			}
			if (kept < count) {
				msg->msg_flags |= MSG_CTRUNC;
				c->cmsg_len = CMSG_LEN(kept * sizeof(int));
				/* Without any there is no such message, as the kernel does it. */
				new_size = kept ? CMSG_SPACE(kept * sizeof(int)) : 0;
				if (new_size > old_size)
					new_size = old_size;
				memmove(control + at + new_size, control + at + old_size,
					len - at - old_size);
				len -= old_size - new_size;
			}
		}
		at += new_size;
	}
	msg->msg_controllen = len;
}

ssize_t leash_conn_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct leash_conn *conn = NULL;
	enum way way = PASS;
	ssize_t ret = leash_fd_get(fd) ? before(fd, "recvmsg", &way, &conn) : 0;

	if (ret < 0)
		return ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	ret = way == LOOK_PLAIN && leash_probe(msg, sizeof(*msg)) && msg->msg_iovlen <= 1024 &&
			      leash_probe_range(msg->msg_iov, msg->msg_iovlen * sizeof(struct iovec)) &&
			      !asks_nothing(msg->msg_iov, msg->msg_iovlen)
		      ? leash_plain_receive(conn, fd, msg, flags)
		      : LEASH_REAL(recvmsg, fd, msg, flags);
	if (ret < 0)
		return after(fd, "recvmsg", way, conn, ret, NULL, 0, flags);
	if (msg->msg_controllen > 0)
		import(msg);
	return after(fd, "recvmsg", way, conn, ret, msg->msg_iov, msg->msg_iovlen, flags);
}

int leash_conn_recvmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags,
			struct timespec *timeout)
{
	struct leash_conn *conn = NULL;
	enum way way = PASS;
	long ret = leash_fd_get(fd) ? before(fd, "recvmmsg", &way, &conn) : 0;

	if (ret < 0)
		return (int)ret;
	if (drops_unseen(way, flags))
		return -EINVAL;
	if (way == LOOK_PLAIN && count > 0 && leash_probe(vec, sizeof(*vec))) {
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
			import(msg);
		said = after(fd, "recvmmsg", way, conn, got, msg->msg_iov, msg->msg_iovlen, flags);
		if (said < 0)
			return i ? (int)i : (int)said;
	}
	return (int)ret;
}

int leash_conn_pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
	const long got = LEASH_REAL(pidfd_getfd, pidfd, fd, flags);
	uint8_t known;

	if (got < 0)
		return (int)got;
	leash_registry_detach((int)got);
	leash_fd_set((int)got, 0);
	known = leash_conn_flags((int)got);
	if (known) {
		const int ret = leash_conn_adopt((int)got, known, "pidfd_getfd");

		if (ret < 0) {
			leash_conn_close((int)got);
			return ret;
		}
	}
	return (int)got;
}
