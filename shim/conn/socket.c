/* SPDX-License-Identifier: MIT */
/* Creation, naming and options of sockets (hooks.md 3.2). */
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/local.h"
#include "shim/conn/timing.h"
#include "shim/core/probe.h"
#include "shim/core/sys.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define TYPE_MASK 0xf	/* the kernel's SOCK_TYPE_MASK: above it are SOCK_CLOEXEC and SOCK_NONBLOCK */

static enum leash_sock kind_of(int domain, int type, int protocol)
{
	type &= TYPE_MASK;
	if (domain == AF_UNIX)
		return LEASH_SOCK_UNIX;
	if (domain == AF_NETLINK)
		return protocol == NETLINK_ROUTE || protocol == NETLINK_KOBJECT_UEVENT
			       ? LEASH_SOCK_NETLINK_ROUTE
			       : LEASH_SOCK_OTHER;
	if (domain == AF_ALG)
		return LEASH_SOCK_ALG;
	if (domain == AF_INET || domain == AF_INET6) {
		if (type == SOCK_STREAM &&
		    (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
			return LEASH_SOCK_TCP;
		if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
			return LEASH_SOCK_UDP;
	}
	return LEASH_SOCK_OTHER;
}

/* Arguments that no kernel takes: its own errno says it better, and nothing can come of them. */
static bool impossible(int domain, int type)
{
	return domain < 0 || domain >= 64 || (type & TYPE_MASK) == 0 || (type & TYPE_MASK) > SOCK_PACKET ||
	       (type & ~(TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0;
}

static const char *what_of(int domain, int type)
{
	switch (domain) {
	case AF_PACKET:
		return "AF_PACKET";
	case AF_NETLINK:
		return "AF_NETLINK";
	case AF_VSOCK:
		return "AF_VSOCK";
	case AF_INET:
	case AF_INET6:
		return (type & TYPE_MASK) == SOCK_RAW ? "raw socket" : "protocol that is neither TCP nor UDP";
	default:
		return "address family";
	}
}

int leash_conn_socket(int domain, int type, int protocol)
{
	const enum leash_sock kind = kind_of(domain, type, protocol);
	long fd;

	/* Kinds that are always granted ask nothing: no policy is loaded for an AF_UNIX program. */
	if (kind == LEASH_SOCK_OTHER && !impossible(domain, type)) {
		const struct leash_image *image = leash_image_get();
		const int ret = leash_gate_simple("socket", what_of(domain, type),
						  image ? leash_policy_socket(image, kind)
							: leash_policy_none());

		if (ret < 0)
			return ret;
	}
	fd = LEASH_REAL(socket, domain, type, protocol);
	if (fd >= 0) {
		leash_registry_detach((int)fd);
		leash_fd_set((int)fd, kind == LEASH_SOCK_TCP
					      ? LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_JUDGE
				      : kind == LEASH_SOCK_UDP || domain == AF_INET || domain == AF_INET6
					      ? LEASH_FD_INET | LEASH_FD_DGRAM | LEASH_FD_JUDGE
					      : 0);
	}
	return (int)fd;
}

int leash_conn_socketpair(int domain, int type, int protocol, int fds[2])
{
	long ret;

	if (domain != AF_UNIX && !impossible(domain, type)) {
		const struct leash_image *image = leash_image_get();

		ret = leash_gate_simple("socketpair", what_of(domain, type),
					image ? leash_policy_socket(image, kind_of(domain, type, protocol))
					      : leash_policy_none());
		if (ret < 0)
			return (int)ret;
	}
	ret = LEASH_REAL(socketpair, domain, type, protocol, fds);
	for (int i = 0; ret == 0 && i < 2; i++) {
		leash_registry_detach(fds[i]);
		leash_fd_set(fds[i], 0);
	}
	return (int)ret;
}

int leash_conn_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	union leash_sockaddr copy;
	struct leash_gate gate;
	struct leash_addr to;
	uint16_t port;
	int ret = leash_copy_addr(&copy, addr, len);

	if (ret == -EFAULT)
		return (int)LEASH_REAL(bind, fd, NULL, len);
	if (ret < 0)
		return (int)LEASH_REAL(bind, fd, addr, len);
	if ((leash_fd_get(fd) & LEASH_FD_DGRAM) && leash_gate_addr(&copy.sa, len, &to, &port) &&
	    port != 0) {
		leash_gate_local(&gate, "bind", LEASH_UDP, &to, port);
		if (gate.image)
			leash_gate_judge(&gate, leash_policy_bind_udp(gate.image, gate.peer.net, &to, port));
		ret = leash_gate_settle(&gate);
		if (ret < 0)
			return ret;
	}
	return (int)LEASH_REAL(bind, fd, &copy.sa, len);
}

int leash_conn_listen(int fd, int backlog)
{
	const uint8_t flags = leash_conn_flags(fd);
	union leash_sockaddr own;
	socklen_t len = sizeof(own);
	struct leash_gate gate;
	struct leash_addr addr;
	uint16_t port;
	int ret;

	if (!(flags & LEASH_FD_STREAM) || LEASH_SYS(SYS_getsockname, fd, &own, &len) < 0 ||
	    !leash_gate_addr(&own.sa, len, &addr, &port))
		return (int)LEASH_REAL(listen, fd, backlog);
	leash_gate_local(&gate, "listen", LEASH_TCP, &addr, port);
	if (gate.image)
		leash_gate_judge(&gate, leash_policy_listen(gate.image, gate.peer.net, &addr, port));
	ret = leash_gate_settle(&gate);
	if (ret < 0)
		return ret;
	return (int)LEASH_REAL(listen, fd, backlog);
}

int leash_conn_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags, bool plain)
{
	const uint8_t known = leash_fd_get(fd);
	long got = plain ? LEASH_REAL(accept, fd, addr, len) : LEASH_REAL(accept4, fd, addr, len, flags);
	union leash_sockaddr peer, own;
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);
	struct leash_gate gate;
	struct leash_addr from, to;
	uint16_t from_port, to_port = 0;

	if (got < 0)
		return (int)got;
	leash_registry_detach((int)got);
	leash_fd_set((int)got, 0);
	if (!(known & LEASH_FD_INET))
		return (int)got;
	leash_fd_set((int)got, LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_INBOUND);
	if (LEASH_SYS(SYS_getpeername, got, &peer, &peer_len) < 0 ||
	    !leash_gate_addr(&peer.sa, peer_len, &from, &from_port))
		return (int)got;	/* gone already: nothing can be sent */
	if (LEASH_SYS(SYS_getsockname, got, &own, &own_len) == 0)
		leash_gate_addr(&own.sa, own_len, &to, &to_port);
	leash_gate_local(&gate, "accept", LEASH_TCP, &from, from_port);
	if (gate.image)
		leash_gate_judge(&gate,
				 leash_policy_accept(gate.image, gate.peer.net, &from, to_port));
	if (leash_gate_settle(&gate) < 0) {
		leash_fd_set((int)got, 0);
		leash_sys_close((int)got);
		/* What accept(2) says of a connection that went away: servers go on to the next. */
		return -ECONNABORTED;
	}
	return (int)got;
}

static bool is_tls(const void *value)
{
	return leash_probe(value, 3) && memcmp(value, "tls", 3) == 0;
}

/* Options that lead past the judged address, or hide bytes from the hooks. */
static int refused_option(int level, int name, const void *value, socklen_t len)
{
	const struct leash_image *image;
	const char *what = NULL;
	bool group = false;

	if (level == IPPROTO_IP) {
		if (name == IP_OPTIONS && len > 0)
			what = "IP_OPTIONS";
		group = name == IP_ADD_MEMBERSHIP || name == IP_ADD_SOURCE_MEMBERSHIP ||
			name == MCAST_JOIN_GROUP || name == MCAST_JOIN_SOURCE_GROUP;
	} else if (level == IPPROTO_IPV6) {
		if ((name == IPV6_RTHDR || name == IPV6_HOPOPTS || name == IPV6_DSTOPTS ||
		     name == IPV6_RTHDRDSTOPTS || name == IPV6_2292RTHDR ||
		     name == IPV6_2292PKTOPTIONS) &&
		    len > 0)
			what = "IPV6_RTHDR";
		group = name == IPV6_ADD_MEMBERSHIP || name == IPV6_JOIN_ANYCAST ||
			name == MCAST_JOIN_GROUP || name == MCAST_JOIN_SOURCE_GROUP;
	} else if (level == IPPROTO_TCP && name == TCP_ULP && len == 3 && is_tls(value)) {
		/* kTLS would send plaintext through a socket that was judged as TLS; without the
		 * kernel module it is the same answer, and libraries fall back. */
		return -ENOENT;
	}
	if (!what && !group)
		return 0;
	image = leash_image_get();
	return leash_gate_simple("setsockopt", group ? "multicast group" : what,
				 !image	 ? leash_policy_none()
				 : group ? leash_policy_group(image)
					 : leash_policy_options(image));
}

/* What a program says of how long it wants to wait (policy 5), by the old and the new numbers */
static bool is_limit(int level, int name)
{
	return level == SOL_SOCKET ? name == SO_RCVTIMEO || name == SO_SNDTIMEO ||
					     name == 66 /* SO_RCVTIMEO_NEW */ || name == 67
				   : level == IPPROTO_TCP && name == TCP_USER_TIMEOUT;
}

int leash_conn_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	long ret;

	if (leash_fd_get(fd) & LEASH_FD_INET) {
		ret = refused_option(level, name, value, len);
		if (ret < 0)
			return (int)ret;
	}
	ret = LEASH_REAL(setsockopt, fd, level, name, value, len);
	if (ret == 0 && (leash_fd_get(fd) & LEASH_FD_INET) && is_limit(level, name)) {
		struct leash_conn *conn = leash_registry_of(fd);

		/* Asked for at the connect(); or now, if there was one. */
		leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_TIMED);
		if (conn && leash_registry_same(conn, fd))
			leash_timing_options(conn, fd);
	}
	return (int)ret;
}

#define ZEROCOPY_RECEIVE 35	/* TCP_ZEROCOPY_RECEIVE: maps pages that no hook sees */

int leash_conn_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (leash_fd_get(fd) & LEASH_FD_JUDGE) {
		struct leash_conn *conn = leash_registry_of(fd);
		const enum leash_conn_state state =
			conn ? leash_registry_state(conn) : LEASH_CONN_FREE;

		if (state == LEASH_CONN_SNIFFING && level == IPPROTO_TCP && name == ZEROCOPY_RECEIVE)
			return -ENOPROTOOPT;
		if (level == SOL_SOCKET && name == SO_ERROR && conn &&
		    (LEASH_CONN_ENDED(state) || conn->phase == LEASH_PHASE_CONNECT)) {
			const long ret = LEASH_REAL(getsockopt, fd, level, name, value, len);

			if (ret == 0 && *len == sizeof(int)) {
				int error;

				memcpy(&error, value, sizeof(error));
				error = leash_timing_error(conn, fd, error);
				memcpy(value, &error, sizeof(error));
			}
			return (int)ret;
		}
		if (state == LEASH_CONN_DENIED && level == SOL_SOCKET && name == SO_ERROR &&
		    leash_registry_same(conn, fd)) {
			const long ret = LEASH_REAL(getsockopt, fd, level, name, value, len);

			if (ret == 0 && *len == sizeof(int)) {
				memcpy(value, &conn->error, sizeof(int));
				return 0;
			}
			return (int)ret;
		}
	}
	return (int)LEASH_REAL(getsockopt, fd, level, name, value, len);
}

int leash_conn_shutdown(int fd, int how)
{
	struct leash_conn *conn = how != SHUT_RD && leash_fd_get(fd) ? leash_registry_of(fd) : NULL;

	if (conn && conn->plain)
		leash_plain_shut(conn);
	return (int)LEASH_REAL(shutdown, fd, how);
}

/* These make the socket inside libc: flag what comes out. */
int leash_conn_bindresvport(int fd, struct sockaddr_in *addr)
{
	return (int)LEASH_REAL(bindresvport, fd, addr);
}

int leash_conn_rresvport(int *port, int family)
{
	const long fd = family ? LEASH_REAL(rresvport_af, port, (sa_family_t)family)
			       : LEASH_REAL(rresvport, port);

	if (fd >= 0) {
		leash_registry_detach((int)fd);
		leash_fd_set((int)fd, LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_JUDGE);
	}
	return (int)fd;
}

int leash_conn_refuse_call(const char *call)
{
	const struct leash_image *image = leash_image_get();

	return leash_gate_simple(call, "call that connects inside libc",
				 image ? leash_policy_socket(image, LEASH_SOCK_OTHER)
				       : leash_policy_none());
}
