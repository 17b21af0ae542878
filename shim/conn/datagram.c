/* SPDX-License-Identifier: MIT */
/* Datagrams (hooks.md 3.3): each destination is judged, the last verdict is kept. */
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

#include "shim/conn/io_inner.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"

/* Before a datagram without an address is judged: the flags to go by, if the number is another
 * file's by now */
uint8_t leash_datagram_fresh(int fd, uint8_t known)
{
	struct leash_conn *conn;
	int error = 0;

	if (!(known & LEASH_FD_DGRAM) || !leash_io_stale(leash_registry_of(fd), fd))
		return known;
	leash_io_anew(fd, "write", &conn, &error);
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
	leash_io_sent(conn, ret);
	return ret;
}

/* A datagram: pending until something comes back. */
ssize_t leash_datagram_send(int fd, uint8_t known, const struct msghdr *msg, int flags, const char *call)
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
