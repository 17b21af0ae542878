/* SPDX-License-Identifier: MIT */
/* connect(): the address is copied, judged, and only then passed down (hooks.md 3.1). */
#include <fcntl.h>
#include <linux/tcp.h>	/* the whole of struct tcp_info; netinet/tcp.h stops in 2007 */
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/tasks.h"
#include "shim/conn/timing.h"
#include "shim/core/probe.h"
#include "shim/core/sys.h"

int leash_copy_addr(union leash_sockaddr *ret, const struct sockaddr *addr, socklen_t len)
{
	if (len > sizeof(*ret) || len < sizeof(sa_family_t))
		return -EINVAL;
	if (!leash_probe_known(addr, len) && !leash_probe(addr, len))
		return -EFAULT;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, addr, len);
	return 0;
}

uint8_t leash_conn_flags(int fd)
{
	uint8_t flags = leash_fd_get(fd);

	if (flags == 0) {
		flags = leash_fd_probe(fd);
		if (flags) {
			flags |= LEASH_FD_JUDGE;
			leash_fd_set(fd, flags);
		}
	}
	return flags & LEASH_FD_NONE ? 0 : flags;
}

void leash_conn_opened(struct leash_conn *conn, int fd)
{
	leash_registry_set_state(conn, LEASH_CONN_OPEN);
	leash_fd_set(fd, leash_fd_get(fd) & (uint8_t)~LEASH_FD_JUDGE);
}

#define STATE_CLOSE 7	/* TCP_CLOSE of the kernel's tcp_states.h */

/* Is the socket in no connection, so that connect() may start one? */
static bool is_closed(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (LEASH_SYS(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return true;
	return info.tcpi_state == STATE_CLOSE;
}

/* Put what was admitted into a slot. Return: NULL if the table is full, said */
static struct leash_conn *record(int fd, uint8_t flags, uint64_t cookie,
				 struct leash_gate *gate, bool dns)
{
	struct leash_conn *conn = leash_registry_claim(fd, cookie);
	enum leash_conn_state state = LEASH_CONN_OPEN;

	if (!conn) {
		struct leash_verdict full = leash_policy_none();

		full.reason = LEASH_WHY_RESOURCE;
		leash_gate_judge(gate, full);
		leash_gate_settle(gate);
		return NULL;
	}
	memcpy(conn->addr, &gate->peer.addr, sizeof(conn->addr));
	conn->port = gate->peer.port;
	conn->stream = (flags & LEASH_FD_STREAM) != 0;
	conn->pass = gate->verdict.pass;
	conn->mute = gate->verdict.action == LEASH_MUTE;
	/* Raw TCP, loopback: anything goes, but a TLS library in it wants to know its connection.
	 * A neighbour's certificate counts, the list does not (TLS 5). */
	if (conn->stream && !dns && gate->verdict.action == LEASH_ALLOW) {
		conn->pass = LEASH_PASS_RAW;
		conn->tls_free = gate->verdict.rule != LEASH_RULE_LAN && !gate->verdict.would;
		if (gate->verdict.rule == LEASH_RULE_LAN)
			conn->pass |= LEASH_PASS_TLS;
	}
	if (dns || !conn->stream)
		leash_conn_more(conn);
	if (dns)
		state = LEASH_CONN_DNS;
	else if (!conn->stream)
		state = LEASH_CONN_DATAGRAM;
	else if (gate->verdict.action == LEASH_SNIFF || conn->pass)
		state = LEASH_CONN_SNIFFING;
	/* Before the real call, which may block or be overtaken by another thread's send. */
	leash_registry_set_state(conn, state);
	flags &= (uint8_t)~LEASH_FD_JUDGE;
	leash_fd_set(fd, state == LEASH_CONN_OPEN ? flags : flags | LEASH_FD_JUDGE);
	return conn;
}

/* A vfork() child has no slots of its own (hooks.md F3): what would need one is refused there. */
static int unrecorded(struct leash_gate *gate, bool dns)
{
	struct leash_verdict full = leash_policy_none();

	if (!dns && gate->verdict.action == LEASH_ALLOW)
		return 0;
	full.reason = LEASH_WHY_RESOURCE;
	leash_gate_judge(gate, full);
	leash_gate_settle(gate);
	return -ENOBUFS;
}

static void forget(int fd, uint8_t flags)
{
	struct leash_conn *conn = leash_registry_of(fd);

	if (conn && atomic_load_explicit(&conn->refs, memory_order_relaxed) <= 1) {
		leash_sniff_release(conn);
		leash_plain_release(conn);
	}
	if (conn)
		leash_tasks_drop(conn, fd);
	leash_registry_detach(fd);
	leash_fd_set(fd, flags | LEASH_FD_JUDGE);
}

/* A signal ended the wait for a place: as the kernel does it, the connection goes on by itself. */
static int interrupted(int fd, const union leash_sockaddr *addr, socklen_t len)
{
	const long flags = LEASH_SYS(SYS_fcntl, fd, F_GETFL);
	long ret;

	LEASH_SYS(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
	ret = LEASH_REAL(connect, fd, &addr->sa, len);
	LEASH_SYS(SYS_fcntl, fd, F_SETFL, flags);
	return ret == -EINPROGRESS ? -EINTR : (int)ret;
}

/* Under audit nothing is looked at: a verdict that is only "would" opens the connection. */
static int judge(struct leash_gate *gate, const char *call, uint8_t flags,
		 const struct leash_addr *addr, uint16_t port, bool dns)
{
	const enum leash_transport transport = flags & LEASH_FD_STREAM ? LEASH_TCP : LEASH_UDP;

	if (dns) {
		/* A configured server is meant by its address, before the loopback rule; each question
		 * is judged instead. */
		leash_gate_local(gate, call, transport, addr, port);
		gate->verdict.action = gate->image ? LEASH_ALLOW : LEASH_DENY;
		if (gate->image)
			gate->verdict.reason = LEASH_WHY_NONE;
		gate->verdict.rule = LEASH_RULE_DNS;
	} else {
		leash_gate_peer(gate, call, transport, addr, port, false);
	}
	return leash_gate_settle(gate);
}

/* An address other than the one that the socket is connected, or connecting, to: judged by nobody, so
 * it is not passed down; another thread may end the connection meanwhile. */
static int again_elsewhere(int fd)
{
	union leash_sockaddr peer;
	socklen_t len = sizeof(peer);

	return LEASH_SYS(SYS_getpeername, fd, &peer, &len) < 0 ? -EALREADY : -EISCONN;
}

static int connect_inet(int fd, const union leash_sockaddr *addr, socklen_t len)
{
	uint8_t flags = leash_conn_flags(fd);
	struct leash_conn *conn = leash_registry_of(fd);
	struct leash_addr to;
	struct leash_gate gate;
	uint16_t port = 0;
	const bool asks = leash_gate_addr(&addr->sa, len, &to, &port);
	const bool dns = asks && port == 53 && leash_conn_name_server(&addr->sa);
	const bool fresh = asks && flags && !conn;
	uint64_t cookie;
	long ret;

	/* It has been in no connection: a refusal is the same whatever socket it may be by now, and asks the kernel
	 * nothing. (A number that was closed behind our back gets it too, and not EBADF.) */
	if (fresh) {
		ret = judge(&gate, "connect", flags, &to, port, dns);
		if (ret < 0)
			return (int)ret;
	}
	cookie = flags ? leash_fd_cookie(fd) : 0;
	if (!cookie) {
		leash_registry_detach(fd);
		leash_fd_set(fd, 0);
		return (int)LEASH_REAL(connect, fd, &addr->sa, len);
	}
	if (conn && conn->cookie != cookie)
		conn = NULL;		/* another socket had this number */
	if (addr->sa.sa_family == AF_UNSPEC) {
		/* Disconnects; what comes next is judged anew (hooks.md 1.4: the cookie stays). */
		ret = LEASH_REAL(connect, fd, &addr->sa, len);
		if (ret == 0)
			forget(fd, flags);
		return (int)ret;
	}
	if (!asks)
		return (int)LEASH_REAL(connect, fd, &addr->sa, len);	/* EINVAL, EAFNOSUPPORT */
	if (conn && LEASH_CONN_ENDED(leash_registry_state(conn))) {
		/* Programs that ask connect() how it went: the reason once; the kernel has the socket back
		 * where a connect() may start (hooks.md 1.5). Not so if it was connected. */
		if (!is_closed(fd) || !atomic_exchange(&conn->told, 1)) {
			ret = -leash_timing_errno(conn);
			if (is_closed(fd))
				forget(fd, flags);
			return (int)ret;
		}
		forget(fd, flags);
		conn = NULL;
	}
	if (conn && conn->stream && leash_registry_state(conn) != LEASH_CONN_DENIED) {
		struct leash_addr was;

		leash_conn_addr(conn, &was);
		if (!is_closed(fd)) {
			/* Asking how it went, or EISCONN; neither is a new connection. */
			if (leash_addr_equal(&was, &to) && conn->port == port) {
				ret = LEASH_REAL(connect, fd, &addr->sa, len);
				return leash_timing_connected(conn, fd, (int)ret);
			}
			return again_elsewhere(fd);
		}
	}
	if (conn && leash_registry_state(conn) == LEASH_CONN_DENIED)
		return -conn->error;
	if (!fresh) {
		ret = judge(&gate, "connect", flags, &to, port, dns);
		if (ret < 0)
			return (int)ret;
	}
	if (leash_registry_foreign()) {
		ret = unrecorded(&gate, dns);
		return ret < 0 ? (int)ret : (int)LEASH_REAL(connect, fd, &addr->sa, len);
	}
	if (gate.verdict.action != LEASH_MUTE) {
		struct leash_gate away = gate;

		ret = leash_timing_away(&away);
		if (ret < 0)
			return (int)ret;
	}
	conn = record(fd, flags, cookie, &gate, dns);
	if (!conn)
		return -ENOBUFS;
	ret = leash_timing_begin(conn, fd, &gate, dns, true);
	if (ret < 0 && ret != -EINTR) {
		forget(fd, flags);
		return (int)ret;
	}
	ret = ret == -EINTR ? interrupted(fd, addr, len) : LEASH_REAL(connect, fd, &addr->sa, len);
	ret = leash_timing_connected(conn, fd, (int)ret);
	if (ret < 0 && ret != -EINPROGRESS && ret != -EINTR && ret != -EALREADY && ret != -EISCONN) {
		forget(fd, flags);
		return (int)ret;
	}
	if (gate.verdict.action == LEASH_MUTE)
		/* No byte may follow, by stdio inside libc neither. It still answers getsockname(), which is
		 * what such a connect() is for; programs that order addresses take a new socket for each. */
		LEASH_SYS(SYS_shutdown, fd, SHUT_WR);
	else if (!dns)
		conn->host = leash_gate_connected(&gate, false);
	return (int)ret;
}

int leash_conn_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	union leash_sockaddr copy;
	const int ret = leash_copy_addr(&copy, addr, len);

	/* The kernel looks at the descriptor first, and finds the same fault in these arguments. */
	if (ret == -EFAULT)
		return (int)LEASH_REAL(connect, fd, NULL, len);
	if (ret < 0)
		return (int)LEASH_REAL(connect, fd, addr, len);
	if (copy.sa.sa_family == AF_INET || copy.sa.sa_family == AF_INET6 ||
	    copy.sa.sa_family == AF_UNSPEC)
		return connect_inet(fd, &copy, len);
	return (int)LEASH_REAL(connect, fd, &copy.sa, len);
}

int leash_conn_adopt(int fd, uint8_t flags, const char *call)
{
	union leash_sockaddr peer;
	socklen_t len = sizeof(peer);
	struct leash_gate gate;
	struct leash_addr addr;
	struct leash_conn *conn;
	struct tcp_info info;
	bool dns, spoken = false;
	uint16_t port;
	int ret;

	if (LEASH_SYS(SYS_getpeername, fd, &peer, &len) < 0 ||
	    !leash_gate_addr(&peer.sa, len, &addr, &port))
		return 0;			/* not connected: its connect() will be judged */
	dns = port == 53 && leash_conn_name_server(&peer.sa);
	ret = judge(&gate, call, flags, &addr, port, dns);
	if (ret < 0) {
		/* Said once; not shut down, because others may hold it as well. */
		conn = leash_registry_claim(fd, leash_fd_cookie(fd));
		if (conn) {
			conn->error = -ret;
			leash_registry_set_state(conn, LEASH_CONN_DENIED);
		}
		return ret;
	}
	if (leash_registry_foreign())
		return unrecorded(&gate, dns);
	/* A stream that has already spoken was judged, or not, where it was made. */
	len = sizeof(info);
	memset(&info, 0, sizeof(info));
	if ((flags & LEASH_FD_STREAM) && gate.verdict.action == LEASH_SNIFF &&
	    LEASH_SYS(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_bytes_acked > 1)
		spoken = true;
	conn = record(fd, flags, leash_fd_cookie(fd), &gate, dns);
	if (!conn)
		return -ENOBUFS;
	leash_timing_begin(conn, fd, &gate, dns, false);
	if (spoken)
		leash_conn_opened(conn, fd);
	return 0;
}

void leash_conn_gate(struct leash_gate *gate, const struct leash_conn *conn, const char *call)
{
	struct leash_addr addr;

	leash_conn_addr(conn, &addr);
	leash_gate_peer(gate, call, conn->stream ? LEASH_TCP : LEASH_UDP, &addr, conn->port, true);
}

int leash_conn_deny(struct leash_conn *conn, int fd, const struct leash_gate *gate)
{
	const int ret = leash_gate_settle(gate);

	if (ret == 0)
		return 0;
	leash_tasks_end(conn);
	conn->error = -ret;
	conn->reason = (uint8_t)gate->verdict.reason;
	conn->rule = (uint8_t)gate->verdict.rule;
	leash_sniff_release(conn);
	leash_registry_set_state(conn, LEASH_CONN_DENIED);
	/* Wakes everybody who waits on it, in every process that shares it (hooks.md 1.5). */
	if (!leash_registry_same(conn, fd))
		return ret;
	LEASH_SYS(SYS_shutdown, fd, SHUT_RDWR);
	/* What is queued would still be given to a process that shares it and knows nothing of this. */
	while (conn->stream && LEASH_SYS(SYS_recvfrom, fd, NULL, 1 << 20, MSG_DONTWAIT | MSG_TRUNC, NULL,
					 NULL) > 0)
		;
	return ret;
}
