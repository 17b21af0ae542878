/* SPDX-License-Identifier: MIT */
/*
 * The first bytes of a connection decide whether it may be (policy 4): they are copied,
 * looked at, and sent from the copy, so that nobody changes them in between.
 *
 * Pieces of a ClientHello may leave as they come; the call that completes it
 * leaves only after the verdict. What counts is what the kernel took: after a partial send the
 * program may offer other bytes, and they are looked at again.
 */
#include <linux/tcp.h>
#include <signal.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/tasks.h"
#include "shim/conn/timing.h"
#include "shim/conn/verify.h"
#include "shim/core/sys.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"
#include "shim/wire/tls_hello.h"

#define BUFFERS 128	/* connections whose hello came in pieces, at the same time */

static char buffers[BUFFERS][LEASH_HELLO_STREAM_MAX];
static _Atomic uint32_t taken[BUFFERS];	/* by which slot + 1 */

/* One that sniffs without a buffer may be about to note this one. */
static bool is_lost(const struct leash_conn *holder, uint32_t sniff)
{
	return leash_registry_state(holder) != LEASH_CONN_SNIFFING ||
	       (holder->sniff && holder->sniff != sniff);
}

static char *buffer_of(struct leash_conn *conn)
{
	const uint32_t me = leash_registry_index(conn) + 1;

	if (conn->sniff)
		return buffers[conn->sniff - 1];
	/* A second round for those whose connection ended where nobody saw it. */
	for (uint32_t i = 0; i < 2 * BUFFERS; i++) {
		uint32_t holder = i < BUFFERS ? 0 : atomic_load(&taken[i % BUFFERS]);

		/* What this slot held for an earlier connection is lost too. */
		if (holder && holder != me && !is_lost(leash_registry_at(holder - 1), i % BUFFERS + 1))
			continue;
		if (atomic_compare_exchange_strong(&taken[i % BUFFERS], &holder, me)) {
			conn->sniff = i % BUFFERS + 1;
			conn->sniff_len = 0;
			return buffers[i % BUFFERS];
		}
	}
	return NULL;
}

void leash_sniff_release(struct leash_conn *conn)
{
	if (conn->sniff)
		atomic_store(&taken[conn->sniff - 1], 0);
	conn->sniff = 0;
	conn->sniff_len = 0;
	leash_flight_release(conn);
}

/* The first bytes say that it is raw TCP. Return: 0, or a negative errno, the connection denied */
static int raw_begins(struct leash_conn *conn, int fd, const char *call)
{
	struct leash_gate gate;

	/* What only the list of raw names admits was counted at its connect(); this machine is not counted. */
	if (conn->tls_free || conn->counted)
		return 0;
	conn->counted = 1;
	leash_conn_gate(&gate, conn, call);
	return leash_tasks_raw(conn, fd, &gate);
}

bool leash_sniff_raw(struct leash_conn *conn, int fd)
{
	if (!(conn->pass & LEASH_PASS_RAW) || leash_registry_state(conn) != LEASH_CONN_SNIFFING)
		return false;
	if (raw_begins(conn, fd, "connect") < 0)
		return true;		/* of too many; every call on it says so */
	leash_sniff_release(conn);
	leash_conn_opened(conn, fd);
	return true;
}

/* Return: bytes copied, SIZE_MAX where the kernel would say EFAULT */
static size_t gather(char *to, size_t room, const struct msghdr *msg)
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen && len < room; i++) {
		const struct iovec *iov = &msg->msg_iov[i];
		const size_t part = iov->iov_len < room - len ? iov->iov_len : room - len;

		if (!leash_probe_range(iov->iov_base, part))
			return SIZE_MAX;
		memcpy(to + len, iov->iov_base, part);
		len += part;
	}
	return len;
}

static size_t total(const struct msghdr *msg)
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	return len;
}

/*
 * stdio on a socket writes inside libc, where no hook sees it (hooks.md 3.4). The kernel knows
 * how much left: more than we let out means that somebody else sent.
 */
static bool unseen_bytes(const struct leash_conn *conn, int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (LEASH_SYS(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans > conn->sniff_len;
}

enum outcome { PARTIAL, GOOD, HELLO, HTTP };

/* GOOD where the verdict allows it, if only by audit or skip_domain_check */
static int settle(struct leash_conn *conn, int fd, struct leash_gate *gate,
		  struct leash_verdict verdict)
{
	int ret;

	leash_gate_judge(gate, verdict);
	ret = leash_conn_deny(conn, fd, gate);
	return ret < 0 ? ret : GOOD;
}

/* A hello in full. @server_name: normal form, "" if it has none */
static int judge_hello(struct leash_conn *conn, int fd, struct leash_gate *gate,
		       const struct leash_tls_hello *hello)
{
	char name[LEASH_NAME_SIZE];
	int ret = GOOD;

	gate->sni = hello->sni_len ? hello->sni : NULL;
	if (conn->pass & LEASH_PASS_TLS) {
		ret = settle(conn, fd, gate,
			     leash_policy_tls(gate->image, &gate->peer, gate->sni, hello->sni_len));
		if (ret < 0)
			return ret;
		leash_timing_class(conn, gate->verdict.lists);
		if (leash_registry_state(conn) == LEASH_CONN_DENIED)
			return -conn->error;	/* too many of that class */
		/* A neighbour: that it is a request is known now. */
		if (conn->undecided) {
			ret = leash_timing_task(conn, fd, gate->verdict.lists, gate->call);
			if (ret < 0)
				return ret;
			ret = GOOD;
		}
	}
	/* Bytes that leave before the server has shown anything (RFC 8446 section 2.3) */
	if (hello->early_data && !conn->tls_free) {
		ret = leash_verify_fault(conn, fd, LEASH_FAULT_EARLY_DATA, gate->call);
		if (ret < 0)
			return ret;
	}
	if (leash_name_normal(hello->sni, hello->sni_len, name) < 0)
		name[0] = '\0';
	leash_flight_hello(conn, hello->random, name);
	return HELLO;
}

static int raw(struct leash_conn *conn, int fd, const char *call)
{
	const int ret = raw_begins(conn, fd, call);

	return ret < 0 ? ret : GOOD;
}

/*
 * @len: bytes with the new ones; @ret_end: where a hello ends, set with HELLO
 * Return: enum outcome or a negative errno, the connection denied
 */
static int judge(struct leash_conn *conn, int fd, const char *buf, size_t len, const char *call,
		 size_t *ret_end)
{
	struct leash_tls_hello *hello;
	struct leash_gate gate;
	int got, ret = PARTIAL;

	leash_conn_gate(&gate, conn, call);
	if (!gate.image)
		return settle(conn, fd, &gate, leash_policy_none());
	/* A neighbour may be spoken to in http, and that is read (policy 9); a method that is not whole yet leaves
	 * as it is, in a raw protocol its answer may be waited for. */
	if (gate.verdict.rule == LEASH_RULE_LAN && buf[0] != 22 && !unseen_bytes(conn, fd)) {
		const int http = leash_http_request_start(buf, len);

		if (http == 1)
			return HTTP;
		if (http == -EAGAIN)
			return PARTIAL;
	}
	/* The name is in `tcp` as well: what is no handshake is raw TCP (policy 4). */
	if ((conn->pass & LEASH_PASS_RAW) && (buf[0] != 22 || unseen_bytes(conn, fd)))
		return raw(conn, fd, call);
	if (unseen_bytes(conn, fd)) {
		struct leash_verdict verdict = leash_policy_plaintext(gate.image, &gate.peer, conn->pass);

		verdict.reason = LEASH_WHY_UNJUDGED;
		return settle(conn, fd, &gate, verdict);
	}
	if (buf[0] != 22 && (conn->pass & LEASH_PASS_HTTP)) {
		const int http = leash_http_request_start(buf, len);

		if (http == -EAGAIN)
			return PARTIAL;
		if (http == 1)
			return GOOD;
		return settle(conn, fd, &gate,
			      leash_policy_plaintext(gate.image, &gate.peer, conn->pass));
	}
	hello = leash_scratch_take();
	if (!hello)
		return -ENOBUFS;
	got = leash_tls_hello_parse(buf, len, hello);
	if (got == -EAGAIN && len < LEASH_HELLO_STREAM_MAX) {
		ret = PARTIAL;
	} else if (got < 0 && (conn->pass & LEASH_PASS_RAW)) {
		ret = raw(conn, fd, call);
	} else if (got < 0) {
		ret = settle(conn, fd, &gate,
			     leash_policy_plaintext(gate.image, &gate.peer, conn->pass));
	} else {
		ret = judge_hello(conn, fd, &gate, hello);
		*ret_end = (size_t)got;
	}
	leash_scratch_give(hello);
	return ret;
}

/* As the kernel does it for a caller without MSG_NOSIGNAL (hooks.md S3) */
static void raise_sigpipe(void)
{
	LEASH_SYS(SYS_tgkill, leash_sys_getpid(), LEASH_SYS(SYS_gettid), SIGPIPE);
}

/* An http request to a neighbour: read from here on, from its first byte. */
static ssize_t send_http(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			 const char *call, const char *prefix)
{
	const int read = leash_plain_start(conn, fd, prefix, conn->sniff_len, call);
	ssize_t ret;

	if (read < 0)
		return read;
	leash_sniff_release(conn);
	if (read) {
		leash_registry_set_state(conn, LEASH_CONN_OPEN);
		ret = leash_plain_send(conn, fd, msg, flags, call);
	} else {
		leash_conn_opened(conn, fd);
		ret = LEASH_REAL(sendmsg, fd, msg, flags | MSG_NOSIGNAL);
	}
	if (ret == -EPIPE && !(flags & MSG_NOSIGNAL) && leash_registry_state(conn) == LEASH_CONN_OPEN)
		raise_sigpipe();
	return ret;
}

static ssize_t send_judged(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			   const char *call)
{
	const size_t all = total(msg);
	struct iovec iov;
	struct msghdr out = *msg;
	char *buf;
	size_t new_len, end = 0;
	ssize_t sent;
	int verdict;

	if (!leash_registry_same(conn, fd)) {
		/* Closed by another thread while this one was on its way here. */
		return -EBADF;
	}
	if ((flags & MSG_OOB) && leash_sniff_raw(conn, fd))
		return LEASH_REAL(sendmsg, fd, msg, flags);
	if (flags & MSG_OOB)
		return -EINVAL;		/* urgent bytes are not part of the stream that is read */
	if (all == 0)
		return LEASH_REAL(sendmsg, fd, msg, flags);
	buf = buffer_of(conn);
	if (!buf)
		return -ENOBUFS;
	new_len = gather(buf + conn->sniff_len, LEASH_HELLO_STREAM_MAX - conn->sniff_len, msg);
	if (new_len == SIZE_MAX)
		return -EFAULT;
	verdict = judge(conn, fd, buf, conn->sniff_len + new_len, call, &end);
	if (verdict < 0)
		return verdict;
	if (verdict == HTTP)
		return send_http(conn, fd, msg, flags, call, buf);
	/* What follows a hello has to wait for the server's answer, like everything after it. */
	if (verdict == HELLO && end < conn->sniff_len + new_len)
		new_len = end - conn->sniff_len;
	iov = (struct iovec){.iov_base = buf + conn->sniff_len, .iov_len = new_len};
	out.msg_iov = &iov;
	out.msg_iovlen = 1;
	out.msg_name = NULL;
	out.msg_namelen = 0;
	sent = LEASH_REAL(sendmsg, fd, &out, (flags & ~MSG_ZEROCOPY) | MSG_NOSIGNAL);
	if (sent == -EPIPE && !(flags & MSG_NOSIGNAL) &&
	    leash_registry_state(conn) == LEASH_CONN_SNIFFING)
		raise_sigpipe();
	if (sent < 0)
		return sent;
	conn->sniff_len += (uint32_t)sent;
	if (verdict == PARTIAL || (size_t)sent < new_len)
		return sent;
	leash_sniff_release(conn);
	if (verdict == HELLO) {
		leash_flight_start(conn, fd);
		return sent;
	}
	leash_conn_opened(conn, fd);
	if (new_len < all) {
		/* The rest of a call that was larger than the buffer goes as the program gave it. */
		struct iovec rest[16];
		size_t skip = new_len, count = 0;
		ssize_t more;

		for (size_t i = 0; i < msg->msg_iovlen && count < LEASH_ARRAY_SIZE(rest); i++) {
			if (skip >= msg->msg_iov[i].iov_len) {
				skip -= msg->msg_iov[i].iov_len;
				continue;
			}
			rest[count++] = (struct iovec){(char *)msg->msg_iov[i].iov_base + skip,
						       msg->msg_iov[i].iov_len - skip};
			skip = 0;
		}
		out.msg_iov = rest;
		out.msg_iovlen = count;
		out.msg_control = NULL;
		out.msg_controllen = 0;
		more = LEASH_REAL(sendmsg, fd, &out, flags | MSG_NOSIGNAL);
		if (more > 0)
			sent += more;
	}
	return sent;
}

#define TURNS_MAX 10000		/* some 10 ms of waiting for a thread that sends first bytes as well */

/*
 * One thread at a time: what one has judged the next must not overwrite before it is sent. A thread that
 * left the call by siglongjmp() finds its own mark and goes on.
 */
ssize_t leash_sniff_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			 const char *call)
{
	const uint32_t self = (uint32_t)LEASH_SYS(SYS_gettid);
	uint32_t holder = 0;
	ssize_t ret;

	for (int turn = 0; !atomic_compare_exchange_strong(&conn->sniffer, &holder, self) &&
			   holder != self;
	     holder = 0) {
		if (++turn > TURNS_MAX)
			return -EAGAIN;
		LEASH_SYS(SYS_sched_yield);
	}
	if (leash_registry_state(conn) == LEASH_CONN_SNIFFING)
		ret = send_judged(conn, fd, msg, flags, call);
	else if (leash_registry_state(conn) == LEASH_CONN_DENIED)
		ret = -conn->error;
	else
		ret = LEASH_REAL(sendmsg, fd, msg, flags);	/* judged meanwhile */
	atomic_store(&conn->sniffer, 0);
	return ret;
}

/* A compatibility change cipher spec stands before it (RFC 8446 appendix D.4). */
static size_t behind_ccs(const char *buf, size_t len)
{
	static const char ccs[] = {20, 3, 3, 0, 1, 1};

	return len >= sizeof(ccs) && memcmp(buf, ccs, sizeof(ccs)) == 0 ? sizeof(ccs) : 0;
}

static int judge_second(const char *buf, size_t len, const uint8_t random[static 32],
			const char *name, size_t *ret_end)
{
	const size_t skip = behind_ccs(buf, len);
	struct leash_tls_hello *hello;
	char again[LEASH_NAME_SIZE];
	int got;

	if (len == 0 || (buf[0] == 20 && skip == 0))
		return len < 6 ? -EAGAIN : -EBADMSG;
	if (len == skip)
		return -EAGAIN;
	hello = leash_scratch_take();
	if (!hello)
		return -ENOBUFS;
	got = leash_tls_hello_parse(buf + skip, len - skip, hello);
	if (got >= 0) {
		if (leash_name_normal(hello->sni, hello->sni_len, again) < 0)
			again[0] = '\0';
		if (memcmp(random, hello->random, sizeof(hello->random)) != 0 ||
		    strcmp(again, name) != 0 || hello->early_data)
			got = -EBADMSG;
		else
			*ret_end = skip + (size_t)got;
	}
	leash_scratch_give(hello);
	return got < 0 ? got : 0;
}

ssize_t leash_sniff_second(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			   const char *call, const uint8_t random[static 32], const char *name,
			   bool *ret_whole)
{
	struct msghdr out = *msg;
	struct iovec iov;
	char *buf = buffer_of(conn);
	size_t new_len, end = 0;
	ssize_t sent;
	int ret;

	if (!buf)
		return -ENOBUFS;
	new_len = gather(buf + conn->sniff_len, LEASH_HELLO_STREAM_MAX - conn->sniff_len, msg);
	if (new_len == SIZE_MAX)
		return -EFAULT;
	ret = judge_second(buf, conn->sniff_len + new_len, random, name, &end);
	if (ret == -EAGAIN && conn->sniff_len + new_len >= LEASH_HELLO_STREAM_MAX)
		ret = -EBADMSG;
	if (ret == -EBADMSG) {
		ret = leash_verify_fault(conn, fd, LEASH_FAULT_SECOND_HELLO, call);
		if (ret < 0)
			return ret;
		end = conn->sniff_len + new_len;	/* audit */
	} else if (ret < 0 && ret != -EAGAIN) {
		return ret;
	}
	if (ret == 0)
		new_len = end - conn->sniff_len;
	iov = (struct iovec){.iov_base = buf + conn->sniff_len, .iov_len = new_len};
	out.msg_iov = &iov;
	out.msg_iovlen = 1;
	sent = LEASH_REAL(sendmsg, fd, &out, (flags & ~MSG_ZEROCOPY) | MSG_NOSIGNAL);
	if (sent < 0)
		return sent;
	conn->sniff_len += (uint32_t)sent;
	if (ret == 0 && (size_t)sent == new_len) {
		*ret_whole = true;
		/* Not release(): the server's buffer stays. */
		atomic_store(&taken[conn->sniff - 1], 0);
		conn->sniff = 0;
		conn->sniff_len = 0;
	}
	return sent;
}

ssize_t leash_sniff_received(struct leash_conn *conn, int fd, ssize_t got, const char *call)
{
	struct leash_gate gate;
	int ret;

	if (got <= 0 || !leash_registry_same(conn, fd) ||
	    leash_registry_state(conn) != LEASH_CONN_SNIFFING)
		return got;
	if (leash_sniff_raw(conn, fd))
		return leash_registry_state(conn) == LEASH_CONN_DENIED ? -conn->error : got;
	leash_conn_gate(&gate, conn, call);
	if (gate.image) {
		struct leash_verdict verdict =
			leash_policy_plaintext(gate.image, &gate.peer, conn->pass);

		/* An answer to bytes that went out unseen, or a server that speaks first. */
		if (unseen_bytes(conn, fd))
			verdict.reason = LEASH_WHY_UNJUDGED;
		leash_gate_judge(&gate, verdict);
	}
	ret = leash_conn_deny(conn, fd, &gate);
	return ret < 0 ? ret : got;
}

void leash_sniff_look(struct leash_conn *conn, int fd, const char *call)
{
	struct leash_gate gate;

	if (!leash_registry_same(conn, fd) || !unseen_bytes(conn, fd))
		return;
	leash_conn_gate(&gate, conn, call);
	if (gate.image) {
		struct leash_verdict verdict =
			leash_policy_plaintext(gate.image, &gate.peer, conn->pass);

		verdict.reason = LEASH_WHY_UNJUDGED;
		leash_gate_judge(&gate, verdict);
	}
	leash_conn_deny(conn, fd, &gate);
}
