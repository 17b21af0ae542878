/* SPDX-License-Identifier: MIT */
/*
 * Which deadline applies to a connection, and what may start or go on in the background (policy 5, 7).
 *
 * A connection has one of these clocks:
 *
 * NONE		Nobody times it: inbound, a muted UDP socket.
 * CONNECT	connect() has a limit. What is sent afterwards is pending until something comes back,
 *		without a limit: raw TCP, UDP, the program's own DNS.
 * TURNS	Nobody reads it: pending from connect() to the first byte of the answer (behind the handshake, if
 *		it is TLS), then from each send that follows a receive to the next receive.
 * SOCKET	As TURNS until the first answer; then pending as long as it is open, without a limit.
 * EXCHANGE	Somebody reads the requests in it and says when one begins and ends.
 *
 * What is pending is ended by the watcher (life/watcher.h) when it is due, or by a call that comes by
 * later than that; then each call on it answers ETIMEDOUT or ECONNABORTED.
 */
#ifndef LEASH_CONN_TIMING_H
#define LEASH_CONN_TIMING_H

#include <sys/socket.h>
#include <sys/types.h>

#include "shim/conn/inner.h"
#include "shim/core/clock.h"
#include "shim/life/background.h"
#include "shim/life/watcher.h"

enum leash_clock {
	LEASH_CLOCK_NONE,
	LEASH_CLOCK_CONNECT,
	LEASH_CLOCK_TURNS,
	LEASH_CLOCK_SOCKET,
	LEASH_CLOCK_EXCHANGE
};

extern const struct leash_watcher_rules leash_timing_rules;

/* ------------------------------------------------------------------------- connect() */

/** leash_timing_away() - May nothing start, because of the background? Said. @gate: about whom, filled in but
 *  for its verdict. Return: 0, or -ECONNABORTED */
int leash_timing_away(struct leash_gate *gate);

/** leash_timing_begin() - A connection that was admitted gets its clock. @running: connect() follows; else
 *  it was made elsewhere. Return: 0, or a negative errno, said: it must not be made */
int leash_timing_begin(struct leash_conn *conn, int fd, const struct leash_gate *gate, bool dns,
		       bool running);

/** leash_timing_class() - The server name says more about its class. Re-armed from the same start */
void leash_timing_class(struct leash_conn *conn, uint8_t lists);

/** leash_timing_connected() - What connect() said. Return: what the program gets */
int leash_timing_connected(struct leash_conn *conn, int fd, int ret);

/** leash_timing_options() - SO_RCVTIMEO, SO_SNDTIMEO or TCP_USER_TIMEOUT was set */
void leash_timing_options(struct leash_conn *conn, int fd);

/** leash_timing_error() - SO_ERROR of what was ended: the reason once, then 0. @error: the kernel's */
int leash_timing_error(struct leash_conn *conn, int fd, int error);

/* ------------------------------------------------------------ for who reads the requests */

/** leash_timing_request() - A request begins. @start_ns: when, on leash_now_ns(); 0: with the connection.
 *  From then on the clock is EXCHANGE. Return: 0, or a negative errno, said: nothing of it may leave */
int leash_timing_request(struct leash_conn *conn, int fd, uint8_t lists, int64_t start_ns,
			 const char *call);
/** leash_timing_task() - What is pending on it is a task (conn/tasks.h). Return: 0, or a negative errno, said:
 *  it is no longer pending, and nothing of it may leave */
int leash_timing_task(struct leash_conn *conn, int fd, uint8_t lists, const char *call);
/** leash_timing_next() - Another request that has begun long ago is what it waits for now: its clock, from its
 *  own start on */
void leash_timing_next(struct leash_conn *conn, uint8_t lists, int64_t start_ns);

/** leash_timing_spent() - What a connection took to be made */
struct leash_spent {
	int64_t began_ns;		/* connect() */
	int64_t connected_ns;		/* 0: not known */
	uint32_t resolve_us, connect_us;
};
void leash_timing_spent(const struct leash_conn *conn, struct leash_spent *ret);
/** leash_timing_left() - First bytes leave: so it is connected */
void leash_timing_left(struct leash_conn *conn);

/** leash_timing_answered() - No request is pending any more. @open: but it stays open and in flight (101) */
void leash_timing_answered(struct leash_conn *conn, bool open);

/* ---------------------------------------------------------------------- bytes out and in */

/** leash_timing_errno() - The errno of an ended connection. Return: positive, 0 if it is not ended */
int leash_timing_errno(const struct leash_conn *conn);

/* The slow halves of those below */
bool leash_timing_passed(int64_t deadline_ns);	/* a clock in a caller's frame would cost it more */
int leash_timing_out_slow(struct leash_conn *conn, int fd, const char *call);
int leash_timing_in_slow(struct leash_conn *conn, int fd);
void leash_timing_sent_slow(struct leash_conn *conn, const struct iovec *iov, size_t count, size_t sent);
void leash_timing_answer(struct leash_conn *conn, const struct iovec *iov, size_t count, size_t got);
ssize_t leash_timing_failed(struct leash_conn *conn, int fd, ssize_t ret);

#define LEASH_PHASE_IDLE 0	/* nothing pending */
#define LEASH_PHASE_WAIT 1	/* until something comes */
#define LEASH_PHASE_HELLO 2	/* the first exchange of a connection: its bytes are looked at */
#define LEASH_PHASE_CONNECT 3	/* CONNECT: until it is connected */
#define LEASH_PHASE_OPEN 4	/* SOCKET: answered */

/* Is something pending that is not over, watched, and is the session in the foreground? */
static inline bool leash_timing_calm(const struct leash_conn *conn)
{
	const struct leash_watcher *watcher =
		atomic_load_explicit(&leash_watcher, memory_order_relaxed);
	const struct leash_session *page = leash_background_get();
	const int64_t deadline_ns = atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed);

	return (deadline_ns == LEASH_NEVER || !leash_timing_passed(deadline_ns)) && page && leash_background_since(page) == 0 && watcher &&
	       atomic_load_explicit(&watcher->state, memory_order_relaxed) != 0;
}

/** leash_timing_free() - May bytes of it come and go without a question? @out: leave */
static inline bool leash_timing_free(const struct leash_conn *conn, bool out)
{
	if (conn->clock == LEASH_CLOCK_NONE)
		return true;
	if (atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) == 0)
		return !out && !LEASH_CONN_ENDED(leash_registry_state(conn));
	return leash_timing_calm(conn);
}

/**
 * leash_timing_out() - Before bytes leave
 * @ret_conn:	The connection, if it has a clock, for leash_timing_sent(); else NULL
 * Return: 0; or a negative errno: it is over, or nothing may start now
 */
static inline int leash_timing_out(int fd, const char *call, struct leash_conn **ret_conn)
{
	struct leash_conn *conn = leash_registry_of(fd);

	*ret_conn = conn && conn->clock != LEASH_CLOCK_NONE ? conn : NULL;
	if (!*ret_conn || leash_likely(atomic_load_explicit(&conn->deadline_ns,
							    memory_order_relaxed) != 0 &&
				       leash_timing_calm(conn)))
		return 0;
	return leash_timing_out_slow(conn, fd, call);
}

/** leash_timing_sent() - What became of it. Return: what the program gets */
static inline ssize_t leash_timing_sent(struct leash_conn *conn, int fd, ssize_t ret,
					const struct iovec *iov, size_t count)
{
	if (!conn)
		return ret;
	if (leash_unlikely(ret < 0))
		return leash_timing_failed(conn, fd, ret);
	if (leash_unlikely(conn->phase >= LEASH_PHASE_HELLO) && ret > 0)
		leash_timing_sent_slow(conn, iov, count, (size_t)ret);
	return ret;
}

/** leash_timing_in() - Before a read. As leash_timing_out() */
static inline int leash_timing_in(int fd, struct leash_conn **ret_conn)
{
	struct leash_conn *conn = leash_registry_of(fd);

	*ret_conn = conn && conn->clock != LEASH_CLOCK_NONE ? conn : NULL;
	if (!*ret_conn || (atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) == 0 &&
			   !LEASH_CONN_ENDED(leash_registry_state(conn))))
		return 0;
	return leash_likely(leash_timing_calm(conn)) ? 0 : leash_timing_in_slow(conn, fd);
}

/** leash_timing_received() - What it brought; @flags of the call. Return: what the program gets */
static inline ssize_t leash_timing_received(struct leash_conn *conn, int fd, ssize_t got,
					    const struct iovec *iov, size_t count, int flags)
{
	if (!conn)
		return got;
	if (leash_unlikely(got <= 0))
		return leash_timing_failed(conn, fd, got);
	if (atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) != 0 &&
	    conn->clock != LEASH_CLOCK_EXCHANGE && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		leash_timing_answer(conn, iov, count, (size_t)got);
	return got;
}

/* ------------------------------------------------------------------------------ look-ups */

/** leash_timing_lookup() - A name is about to be looked up. Return: its slot, NULL if nothing times it;
 *  *ret_error: it must not be, said */
struct leash_conn *leash_timing_lookup(const char *name, uint8_t lists, const void *frame,
				       int *ret_error);
/** leash_timing_looked_up() - It was. Return: 0, or the negative errno of why it was ended */
int leash_timing_looked_up(struct leash_conn *conn, const char *name);

#endif
