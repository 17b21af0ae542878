/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "shim/conn/exchange.h"
#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/core/clock.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"
#include "shim/life/deadline.h"

#define PLAIN_MAX LEASH_CONN_MAX	/* connections at once */
#define TURNS_MAX 10000		/* some 10 ms of waiting for another thread that sends */
#define GONE 0x80000000u

struct plain {
	_Atomic uint64_t cookie;	/* 0: free */
	_Atomic uint32_t uses;		/* threads that are inside; GONE: the program let go of it meanwhile */
	_Atomic uint32_t writer;	/* thread that sends, 0: none */
	uint32_t slot;			/* of the connection */
	pid_t pid;			/* a forked child has a copy, and nothing to tell of it */
	struct leash_exchange *ex;
	size_t ahead;			/* bytes that were looked at and that the socket did not take */
	size_t skip;			/* of what comes out, the start that left before we were asked */
	bool raw;
};

static struct plain plains[PLAIN_MAX];
static _Atomic uint32_t hand;		/* none is free below it: the used ones stay close together */

/* ------------------------------------------------------------------------ taking, giving */

static void finish(struct plain *plain)
{
	const uint32_t index = (uint32_t)(plain - plains);
	struct leash_exchange *ex = plain->ex;
	uint32_t now = atomic_load_explicit(&hand, memory_order_relaxed);

	plain->ex = NULL;
	if (plain->pid == leash_sys_getpid())
		leash_exchange_close(ex);
	atomic_store(&plain->uses, 0);
	atomic_store(&plain->cookie, 0);
	while (now > index && !atomic_compare_exchange_weak(&hand, &now, index))
		;
}

static void let_go(struct plain *plain)
{
	/* Whoever is inside is the last one. */
	if ((atomic_fetch_or(&plain->uses, GONE) & ~GONE) == 0)
		finish(plain);
}

static struct plain *enter(const struct leash_conn *conn)
{
	struct plain *plain = conn->plain ? &plains[conn->plain - 1] : NULL;

	if (!plain || (atomic_fetch_add(&plain->uses, 1) & GONE) || !plain->ex) {
		if (plain)
			atomic_fetch_sub(&plain->uses, 1);
		return NULL;
	}
	return plain;
}

static void leave(struct plain *plain)
{
	if (atomic_fetch_sub(&plain->uses, 1) == (GONE | 1))
		finish(plain);
}

/* Connections that ended where nobody saw it */
static void sweep(void)
{
	for (uint32_t i = 0; i < PLAIN_MAX; i++) {
		const uint64_t cookie = atomic_load(&plains[i].cookie);
		const struct leash_conn *conn = leash_registry_at(plains[i].slot);

		if (cookie && plains[i].ex &&
		    (conn->cookie != cookie || conn->plain != i + 1 ||
		     leash_registry_state(conn) == LEASH_CONN_FREE))
			let_go(&plains[i]);
	}
}

static struct plain *claim(uint64_t cookie)
{
	const uint32_t start = atomic_load_explicit(&hand, memory_order_relaxed);

	for (uint32_t i = 0; i < 2 * PLAIN_MAX; i++) {
		const uint32_t at = (start + i) % PLAIN_MAX;
		struct plain *plain = &plains[at];
		uint32_t seen = start;
		uint64_t none = 0;

		if (i == PLAIN_MAX)
			sweep();
		if (atomic_load_explicit(&plain->cookie, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_strong(&plain->cookie, &none, cookie)) {
			atomic_compare_exchange_strong(&hand, &seen, at + 1);
			return plain;
		}
	}
	return NULL;
}

int leash_plain_start(struct leash_conn *conn, int fd, const void *prefix, size_t len, const char *call)
{
	struct leash_exchange *ex;
	struct plain *plain;
	int error = 0;

	(void)fd;
	plain = claim(conn->cookie);
	if (!plain)
		return -ENOBUFS;
	ex = leash_exchange_open(conn, conn->cookie, false, &error);
	if (!ex) {
		atomic_store(&plain->cookie, 0);
		return error;
	}
	plain->slot = leash_registry_index(conn);
	plain->pid = leash_sys_getpid();
	plain->ahead = 0;
	plain->skip = len;
	plain->raw = false;
	atomic_store(&plain->writer, 0);
	atomic_store(&plain->uses, 0);
	for (size_t at = 0; at < len && error == 0;) {
		struct leash_span span;

		error = leash_exchange_out(ex, (const char *)prefix + at, len - at, call, &span);
		if (error == 0 && span.consumed == 0 && span.len == 0)
			error = -EIO;
		if (error == 0) {
			at += span.consumed;
			plain->skip -= span.len < plain->skip ? span.len : plain->skip;
		}
	}
	plain->ex = ex;
	if (error < 0) {
		let_go(plain);
		return error;
	}
	conn->plain = (uint16_t)(plain - plains + 1);
	return 1;
}

void leash_plain_release(struct leash_conn *conn)
{
	struct plain *plain = conn->plain ? &plains[conn->plain - 1] : NULL;

	conn->plain = 0;
	if (plain && plain->ex && atomic_load(&plain->cookie) == conn->cookie)
		let_go(plain);
}

void leash_plain_shut(struct leash_conn *conn)
{
	struct plain *plain = enter(conn);

	if (!plain)
		return;
	leash_exchange_gave_up(plain->ex);
	leave(plain);
}

int leash_plain_unseen(struct leash_conn *conn)
{
	const struct plain *plain = conn->plain ? &plains[conn->plain - 1] : NULL;

	return plain && plain->raw ? 0 : -EINVAL;
}

/* ----------------------------------------------------------------------------------- out */

/* One call of the program's */
struct call {
	struct plain *plain;
	struct leash_conn *conn;
	const char *name;
	int fd, flags;
	const char *at;		/* bytes that were looked at and not sent yet, in the program's buffer */
	size_t len;
	size_t done;		/* of the program's bytes */
	bool partial;		/* the socket took a part of them: the call ends here */
};

/* Until the socket takes more, or the request's time is over. Return: 0 or a negative errno */
static int wait_for(const struct call *call, short events)
{
	const int64_t deadline_ns = atomic_load(&call->conn->deadline_ns);
	struct pollfd one = {.fd = call->fd, .events = events};
	struct timespec left, *until = NULL;
	int64_t left_ns;
	int error;

	/* The watcher shuts it down when it is due, and that wakes us; a tick more is for a child without one. */
	if (deadline_ns != 0 && deadline_ns != LEASH_NEVER) {
		left_ns = deadline_ns - leash_now_ns();
		left_ns = (left_ns > 0 ? left_ns : 0) + LEASH_TICK_NS;
		left = (struct timespec){left_ns / 1000000000, left_ns % 1000000000};
		until = &left;
	}
	error = (int)LEASH_SYS(SYS_ppoll, &one, 1, until, NULL, 0);
	if (error == 0)
		return -ETIMEDOUT;
	error = leash_exchange_error(call->plain->ex);
	return error ? -error : 0;
}

/* All of it, whatever it takes: it is ours, or something else follows that the program does not send again */
static int send_all(struct call *call, const char *at, size_t len, bool more)
{
	while (len > 0) {
		ssize_t sent = LEASH_REAL(send, call->fd, at, len,
					  (call->flags & ~MSG_ZEROCOPY) | MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (sent == -EAGAIN || sent == -EINTR)
			sent = wait_for(call, POLLOUT);
		if (sent < 0)
			return (int)sent;
		at += sent;
		len -= (size_t)sent;
	}
	return 0;
}

/* What came out, without what had left before */
static int send_ours(struct call *call, const char *at, size_t len, bool more)
{
	const size_t skip = call->plain->skip < len ? call->plain->skip : len;

	call->plain->skip -= skip;
	return send_all(call, at + skip, len - skip, more);
}

static int flush_all(struct call *call, bool more)
{
	const int ret = send_ours(call, call->at, call->len, more);

	if (ret == 0)
		call->done += call->len;
	call->len = 0;
	return ret;
}

/* What stands in the program's buffer, as far as the socket takes it: the program sends the rest again */
static int flush_some(struct call *call, bool more)
{
	struct plain *plain = call->plain;
	ssize_t sent;

	if (call->len == 0)
		return 0;
	if (plain->skip > 0)
		return flush_all(call, more);
	sent = LEASH_REAL(send, call->fd, call->at, call->len, call->flags | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	if (sent > 0) {
		call->done += (size_t)sent;
		call->len -= (size_t)sent;
	}
	plain->ahead += call->len;
	call->partial = call->len > 0;
	call->len = 0;
	return sent < 0 ? (int)sent : 0;
}

/*
 * An Upgrade is not answered yet, and what follows it may be anything: on a socket that blocks the answer is
 * read here, and waits for the program; else the program reads it, when it finds that it cannot write.
 */
static int fetch_answer(struct call *call)
{
	char *block = leash_scratch_take();
	ssize_t got;
	int ret;

	if (!block)
		return -ENOBUFS;
	got = LEASH_REAL(recv, call->fd, block, LEASH_EXCHANGE_STASH_MAX, MSG_DONTWAIT);
	if (got > 0)
		ret = leash_exchange_pending(call->plain->ex) ? -EAGAIN
							      : leash_exchange_stash(call->plain->ex, block, (size_t)got);
	else
		ret = got == 0 ? -EPIPE : (int)got;
	leash_scratch_give(block);
	if (ret != -EAGAIN || (call->flags & MSG_DONTWAIT) ||
	    (LEASH_SYS(SYS_fcntl, call->fd, F_GETFL) & O_NONBLOCK))
		return ret;
	return wait_for(call, POLLIN);
}

/* One buffer of the program's. Return: 0, or a negative errno: nothing more of it may leave */
static int send_buffer(struct call *call, const char *buf, size_t len, bool more)
{
	struct plain *plain = call->plain;
	size_t at = plain->ahead < len ? plain->ahead : len;
	int ret = 0;

	/* Looked at by the call before */
	plain->ahead -= at;
	call->at = buf;
	call->len = at;
	while (at < len && ret == 0) {
		struct leash_span span = {.at = buf + at, .len = len - at, .consumed = len - at, .raw = true};

		if (!plain->raw)
			ret = leash_exchange_out(plain->ex, buf + at, len - at, call->name, &span);
		if (ret == -EAGAIN) {
			ret = flush_some(call, false);
			if (ret < 0 || call->done > 0)
				return ret;
			ret = fetch_answer(call);
			continue;
		}
		if (ret < 0)
			break;
		if (span.len == 0 && span.consumed == 0 && !span.raw)
			return -EIO;
		plain->raw = span.raw;
		at += span.consumed;
		if (!span.own && call->len == 0)
			call->at = span.at;
		if (!span.own && call->at + call->len == (const char *)span.at && span.len == span.consumed) {
			call->len += span.len;
			continue;
		}
		/* Something was put in, or left out, or is held: what stands before it leaves first. */
		ret = flush_all(call, span.len > 0 || at < len || more);
		if (ret == 0)
			ret = send_ours(call, span.at, span.len, span.head && (at < len || more));
		if (ret == 0)
			call->done += span.consumed;
	}
	return ret < 0 ? ret : flush_some(call, more);
}

/* One thread at a time; one that left by siglongjmp() finds its own mark, and one that is gone has none. */
static int take_turn(struct plain *plain, uint32_t self)
{
	uint32_t holder = 0;

	for (int turn = 0; !atomic_compare_exchange_strong(&plain->writer, &holder, self) && holder != self;
	     holder = 0) {
		if (++turn > TURNS_MAX) {
			if (LEASH_SYS(SYS_tgkill, leash_sys_getpid(), (pid_t)holder, 0) != -ESRCH ||
			    !atomic_compare_exchange_strong(&plain->writer, &holder, self))
				return -EAGAIN;
			break;
		}
		LEASH_SYS(SYS_sched_yield);
	}
	return 0;
}

ssize_t leash_plain_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags, const char *name)
{
	struct plain *plain = enter(conn);
	struct call call = {.plain = plain, .conn = conn, .name = name, .fd = fd, .flags = flags};
	size_t left = 0;
	int ret;

	if (!plain)
		return -EBADF;		/* closed by another thread while this one was on its way here */
	if ((flags & MSG_OOB) && !plain->raw) {
		leave(plain);
		return -EINVAL;		/* urgent bytes are not part of the stream that is read */
	}
	ret = take_turn(plain, (uint32_t)LEASH_SYS(SYS_gettid));
	if (ret < 0) {
		leave(plain);
		return ret;
	}
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		left += msg->msg_iov[i].iov_len;
	for (size_t i = 0; i < msg->msg_iovlen && ret == 0 && !call.partial; i++) {
		const struct iovec *iov = &msg->msg_iov[i];

		left -= iov->iov_len;
		if (iov->iov_len == 0)
			continue;
		ret = leash_probe_range(iov->iov_base, iov->iov_len)
			      ? send_buffer(&call, iov->iov_base, iov->iov_len, left > 0)
			      : -EFAULT;
	}
	atomic_store(&plain->writer, 0);
	leave(plain);
	return call.done > 0 ? (ssize_t)call.done : ret;
}

/* ------------------------------------------------------------------------------------ in */

/* The program's bytes out of what there is without the server. Return: 0: ask the server */
static ssize_t ready(struct leash_exchange *ex, void *buf, size_t size, bool peek, bool *ret_end)
{
	const int error = leash_exchange_pending(ex) ? 0 : leash_exchange_error(ex);

	*ret_end = false;
	if (error)
		return -error;
	if (leash_exchange_pending(ex))
		return (ssize_t)(peek ? leash_exchange_peek(ex, buf, size) : leash_exchange_pull(ex, buf, size));
	*ret_end = leash_exchange_closes(ex);
	return 0;
}

/* One buffer, once: as recvmsg() without MSG_WAITALL. @msg: for what stands beside the bytes */
static ssize_t receive(struct plain *plain, int fd, void *buf, size_t size, struct msghdr *msg, int flags)
{
	struct leash_exchange *ex = plain->ex;
	struct iovec iov = {.iov_base = buf};
	struct msghdr real = *msg;
	bool end;

	for (;;) {
		ssize_t got = ready(ex, buf, size, flags & MSG_PEEK, &end);

		if (got != 0 || end) {
			msg->msg_flags = 0;
			msg->msg_controllen = 0;
			return got;
		}
		real = *msg;
		real.msg_iov = &iov;
		real.msg_iovlen = 1;
		iov.iov_len = flags & MSG_PEEK ? size : leash_exchange_ask(ex, size);
		got = LEASH_REAL(recvmsg, fd, &real, flags);
		if (got < 0)
			return got;
		msg->msg_namelen = real.msg_namelen;
		msg->msg_controllen = real.msg_controllen;
		msg->msg_flags = real.msg_flags;
		if (flags & MSG_PEEK)
			return got;
		if (got > 0) {
			got = leash_exchange_in(ex, buf, (size_t)got, size);
			if (got != 0)
				return got;
			continue;	/* held: never 0, which would be the end */
		}
		leash_exchange_end(ex, true);
		if (leash_exchange_pending(ex) == 0)
			return leash_exchange_error(ex) ? -leash_exchange_error(ex) : 0;
	}
}

/* MSG_TRUNC on a stream drops bytes: they are read all the same. */
static ssize_t drop(struct plain *plain, int fd, size_t size, struct msghdr *msg, int flags)
{
	void *block = leash_scratch_take();
	ssize_t ret;

	if (!block)
		return -ENOBUFS;
	ret = receive(plain, fd, block, size < LEASH_SCRATCH_SIZE ? size : LEASH_SCRATCH_SIZE, msg,
		      flags & ~MSG_TRUNC);
	leash_scratch_give(block);
	return ret;
}

/* What the first bytes left over, into the buffers behind them: whoever gave several expects as much as there is */
static size_t pull_rest(struct plain *plain, const struct msghdr *msg, size_t i, size_t at)
{
	size_t done = 0;

	for (; i < msg->msg_iovlen && leash_exchange_pending(plain->ex); i++, at = 0) {
		char *buf = msg->msg_iov[i].iov_base;
		const size_t size = msg->msg_iov[i].iov_len - at;

		if (size > 0 && leash_probe(buf + at, 1))
			done += leash_exchange_pull(plain->ex, buf + at, size);
	}
	return done;
}

static ssize_t receive_all(struct plain *plain, int fd, struct msghdr *msg, int flags)
{
	const bool whole = (flags & MSG_WAITALL) && !(flags & MSG_PEEK);
	size_t done = 0;

	flags &= ~MSG_WAITALL;
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		char *buf = msg->msg_iov[i].iov_base;
		const size_t size = msg->msg_iov[i].iov_len;
		ssize_t ret;

		for (size_t at = 0; at < size; at += (size_t)ret) {
			if (flags & MSG_TRUNC)
				ret = drop(plain, fd, size - at, msg, flags);
			else
				ret = leash_probe(buf + at, 1) ? receive(plain, fd, buf + at, size - at, msg, flags)
							       : -EFAULT;
			if (ret <= 0)
				return done > 0 ? (ssize_t)done : ret;
			done += (size_t)ret;
			if (!whole)
				return (ssize_t)(done + (flags & (MSG_PEEK | MSG_TRUNC)
								 ? 0
								 : pull_rest(plain, msg, i, at + (size_t)ret)));
		}
	}
	return (ssize_t)done;
}

ssize_t leash_plain_receive(struct leash_conn *conn, int fd, struct msghdr *msg, int flags)
{
	struct plain *plain;
	ssize_t ret;

	if (flags & (MSG_ERRQUEUE | MSG_OOB))
		return LEASH_REAL(recvmsg, fd, msg, flags);
	plain = enter(conn);
	if (!plain)
		return -EBADF;
	ret = receive_all(plain, fd, msg, flags);
	leave(plain);
	return ret;
}
