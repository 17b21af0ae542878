/* SPDX-License-Identifier: MIT */
/*
 * The shortest way of bytes (costs.md: 60 instructions and no system call a call): a judged stream of which only
 * the state of the session matters, raw TCP and what nobody times. It is decided in the hook itself: no frame
 * of ours stands around the real call, errno is not looked at where the call succeeds. Whatever does not fit
 * goes the general way (io.c), which comes to the same.
 */
#ifndef LEASH_SWIFT_H
#define LEASH_SWIFT_H

#include <stddef.h>
#include <sys/socket.h>

#include "shim/abi.h"
#include "shim/conn/timing.h"
#include "shim/core/fdtab.h"
#include "shim/life/background.h"
#include "shim/life/registry.h"
#include "shim/life/watcher.h"

#define LEASH_SWIFT_MODE(clock, phase) (uint16_t)((clock) | (phase) << 8)
_Static_assert(LEASH_PROC_SWIFT == (LEASH_FD_INET | LEASH_FD_STREAM), "what is compared");
_Static_assert(offsetof(struct leash_conn, phase) == offsetof(struct leash_conn, clock) + 1 &&
		       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "both are compared at once");

/* Its slot, if it is judged: whatever happens to it marks its numbers to be judged again. @flags: of @fd, which is
 * in the table */
static inline struct leash_conn *leash_swift_conn(int fd, uint8_t flags)
{
	struct leash_conn *conn;
	size_t slot;

	if ((flags & (LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_JUDGE)) !=
	    atomic_load_explicit(&leash_proc_swift, memory_order_relaxed))
		return NULL;
	slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_acquire);
	if (!slot)
		return NULL;
	/* Slots count from 1; the compiler makes one address of table and 1 where it sees them as numbers. */
	conn = (struct leash_conn *)((uintptr_t)leash_conn_table - sizeof(*conn) + slot * sizeof(*conn));
	__asm__("" : "+r"(conn));	/* one register, not an index and a base to come back to */
	if (!conn)
		__builtin_unreachable();
	return conn;
}

static inline uint16_t leash_swift_mode(const struct leash_conn *conn)
{
	uint16_t mode;

	__builtin_memcpy(&mode, (const char *)conn + offsetof(struct leash_conn, clock), sizeof(mode));
	return mode;
}

/** leash_swift_out() - May bytes leave at once? It is pending without a limit, somebody watches over it, and
 *  nothing ends it. Then the call gets MSG_NOSIGNAL: the SIGPIPE of a cut is not the program's (hooks.md S3) */
static inline bool leash_swift_out(const struct leash_conn *conn)
{
	return leash_swift_mode(conn) == LEASH_SWIFT_MODE(LEASH_CLOCK_CONNECT, LEASH_PHASE_WAIT) &&
	       atomic_load_explicit(&atomic_load_explicit(&leash_watcher, memory_order_relaxed)->state,
				    memory_order_relaxed) != 0 &&
	       leash_background_since(leash_background_get()) == 0;
}

/**
 * leash_swift_begin() - Idle; may bytes leave at once, pending from here on? If so it is, without a date: the
 * watcher notes one when it looks, within a second
 */
static __attribute__((noinline, unused)) bool leash_swift_begin(struct leash_conn *conn)
{
	const struct leash_watcher *watcher =
		atomic_load_explicit(&leash_watcher, memory_order_relaxed);

	if (leash_swift_mode(conn) != LEASH_SWIFT_MODE(LEASH_CLOCK_CONNECT, LEASH_PHASE_IDLE) ||
	    conn->undecided || conn->lent || !watcher || !leash_watcher_there(watcher) ||
	    leash_background_since(leash_background_get()) != 0)
		return false;
	conn->phase = LEASH_PHASE_WAIT;
	leash_watcher_touch();
	atomic_store_explicit(&conn->start_ns, 0, memory_order_relaxed);
	/* Either the watcher sees this before it goes, or it has gone and we see that: then the general way. */
	atomic_exchange(&conn->deadline_ns, LEASH_NEVER);
	return leash_watcher_there(watcher);
}

/** leash_swift_free() - Nobody times it: inbound */
static inline bool leash_swift_free(const struct leash_conn *conn)
{
	return leash_swift_mode(conn) == LEASH_SWIFT_MODE(LEASH_CLOCK_NONE, LEASH_PHASE_IDLE) &&
	       leash_background_get();
}

/** leash_swift_in() - May bytes come at once? It is idle. */
static inline bool leash_swift_in(const struct leash_conn *conn)
{
	const uint16_t mode = leash_swift_mode(conn);

	/* What was ended asks the engine as soon as the watcher has said so. Without a clock there may be no page
	 * yet, with one there is. */
	return (mode == LEASH_SWIFT_MODE(LEASH_CLOCK_CONNECT, LEASH_PHASE_IDLE) ||
		(mode == LEASH_SWIFT_MODE(LEASH_CLOCK_NONE, LEASH_PHASE_IDLE) && leash_background_get())) &&
	       leash_registry_state(conn) == LEASH_CONN_OPEN;
}

/** leash_swift_waits() - May bytes come at once, the answer to what is pending? leash_swift_answer() when they did */
static inline bool leash_swift_waits(const struct leash_conn *conn)
{
	return leash_swift_out(conn) &&
	       atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) == LEASH_NEVER &&
	       leash_registry_state(conn) == LEASH_CONN_OPEN;
}

static inline void leash_swift_answer(struct leash_conn *conn)
{
	if (__builtin_expect(atomic_load_explicit(&conn->start_ns, memory_order_relaxed) != 0, 0)) {
		leash_timing_answer(conn, NULL, 0, 0);	/* it has a date, and stands on the page */
		return;
	}
	conn->phase = LEASH_PHASE_IDLE;
	leash_watcher_touch();
	atomic_store_explicit(&conn->deadline_ns, 0, memory_order_relaxed);
}

static inline void leash_swift_sent(const struct leash_conn *conn, ssize_t bytes)
{
	atomic_fetch_add_explicit(&leash_background_get()->host[conn->host].bytes_sent, (uint64_t)bytes,
				  memory_order_relaxed);
}

static inline void leash_swift_came(struct leash_conn *conn, ssize_t bytes)
{
	if (conn->phase != LEASH_PHASE_IDLE)
		leash_swift_answer(conn);
	atomic_fetch_add_explicit(&leash_background_get()->host[conn->host].bytes_received,
				  (uint64_t)bytes, memory_order_relaxed);
}

/** leash_swift_unsent(), leash_swift_ended() - The real call said @ret, which is not positive, and errno. What
 *  the program gets, errno set */
ssize_t leash_swift_unsent(struct leash_conn *conn, int fd, ssize_t ret, int flags);
ssize_t leash_swift_ended(struct leash_conn *conn, int fd, size_t len, ssize_t ret);

#endif
