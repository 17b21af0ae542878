/* SPDX-License-Identifier: MIT */
/*
 * The thread that ends what takes too long, or is pending when the background has lasted longer than its
 * grace: it calls shutdown(), which wakes every kind of waiter (hooks.md 1.5, 2.4); the hooks make the right
 * errno of it.
 *
 * Started by the first thing that is pending, it looks at the table when the next of it is over, when the
 * session's state changes, and once a second; finding nothing pending it ends. It holds no lock and no
 * descriptor of the program's, and keeps every signal but glibc's own blocked. In a program of one thread it is a
 * bare one (aside.h), of which libc knows nothing and which costs that thread nothing.
 */
#ifndef LEASH_WATCHER_H
#define LEASH_WATCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/core/sys.h"
#include "shim/life/aside.h"
#include "shim/life/deadline.h"
#include "shim/life/registry.h"

/* What the engine tells the watcher, which knows no rules. Async-signal-safe, all of them. */
struct leash_watcher_rules {
	/** How long what is pending may go on after the session went to the background */
	int64_t (*grace_ns)(void);
	/** May it be ended? @fd: its descriptor, or -1. false: it stays, and is no longer pending */
	bool (*may_end)(struct leash_conn *conn, int fd, enum leash_conn_state why);
	/** It was: tell. The slot is held meanwhile */
	void (*ended)(struct leash_conn *conn, enum leash_conn_state why, int64_t now_ns);
	/** One that is pending waits for something (conn->waits): is it there? */
	void (*waits)(struct leash_conn *conn);
	/** The process was stopped for longer than the grace */
	void (*stopped)(void);
};

/* On a page that the kernel wipes in a forked child: it has no watcher, whatever its parent had. */
struct leash_watcher {
	_Atomic uint32_t state;		/* 0: none, LEASH_WATCHER_… */
	_Atomic int32_t owner;		/* pid */
	_Atomic int64_t wake_ns;	/* until when it sleeps; LEASH_NEVER: it is awake */
	_Atomic int32_t tid;		/* bare: until it has ended altogether */
	_Atomic uint32_t bare;		/* not a thread of libc's (aside.h) */
	_Atomic uint32_t leave;		/* bare: it shall end, and another one takes over */
	_Atomic uint32_t changed;	/* something became pending, or is no longer, since it looked */
};
#define LEASH_WATCHER_STARTING 1u
#define LEASH_WATCHER_RUNNING 2u

LEASH_OURS extern _Atomic(struct leash_watcher *) leash_watcher;

/** leash_watcher_at_home() - Did this process, not its parent, write what is in its tables for itself? */
static inline bool leash_watcher_at_home(void)
{
	const struct leash_watcher *watcher =
		atomic_load_explicit(&leash_watcher, memory_order_acquire);

	return watcher && atomic_load_explicit(&watcher->owner, memory_order_relaxed) != 0;
}

/** leash_watcher_pid() - Our process id. Behind leash_watcher_see() it is known, and costs no system call */
static inline int32_t leash_watcher_pid(void)
{
	const struct leash_watcher *watcher =
		atomic_load_explicit(&leash_watcher, memory_order_acquire);
	const int32_t owner =
		watcher ? atomic_load_explicit(&watcher->owner, memory_order_relaxed) : 0;

	return owner ? owner : leash_sys_getpid();
}

/** leash_watcher_end() - End something without the watcher: its descriptor is in this thread's hand.
 *  Nothing happens if @fd is another socket, or the rules keep it */
void leash_watcher_end(const struct leash_watcher_rules *rules, struct leash_conn *conn, int fd,
		       enum leash_conn_state why, int64_t now_ns);

/** leash_watcher_settle() - Before a number of it is closed: wait until the watcher has no duplicate, or epoll
 *  would go on reporting the closed number. Bounded, by seconds: the watcher may have to wait for a processor */
void leash_watcher_settle(struct leash_conn *conn);

/** leash_watcher_use() - Do something with the socket of a connection, wherever its numbers are now. Nothing
 *  happens if it is being closed. For the watcher's thread */
void leash_watcher_use(struct leash_conn *conn, void (*use)(int fd));

/* Start it, or have it look sooner */
int leash_watcher_call(const struct leash_watcher_rules *rules, int64_t deadline_ns, int64_t now_ns);

/** leash_watcher_touch() - Something became pending, or is no longer: at its next tick it looks at all of them */
static inline void leash_watcher_touch(void)
{
	struct leash_watcher *watcher = atomic_load_explicit(&leash_watcher, memory_order_relaxed);

	if (watcher)
		atomic_store_explicit(&watcher->changed, 1, memory_order_relaxed);
}

/** leash_watcher_there() - Does it run, as the one that is wanted? */
static inline bool leash_watcher_there(const struct leash_watcher *watcher)
{
	return atomic_load_explicit(&watcher->state, memory_order_relaxed) == LEASH_WATCHER_RUNNING &&
	       !(atomic_load_explicit(&watcher->bare, memory_order_relaxed) && leash_aside_threads());
}

/**
 * leash_watcher_see() - Something is pending from now on: behind the store of conn->deadline_ns
 * A store, a fence and two loads, unless it has to be started or woken.
 * Return: 0, or a negative errno if it cannot be started: then it must not be pending
 */
static inline int leash_watcher_see(const struct leash_watcher_rules *rules, int64_t deadline_ns,
				    int64_t now_ns)
{
	const struct leash_watcher *watcher;

	leash_watcher_touch();
	/* Either we see that it is gone, or it sees the deadline before it goes. */
	atomic_thread_fence(memory_order_seq_cst);
	watcher = atomic_load_explicit(&leash_watcher, memory_order_relaxed);
	if (__builtin_expect(watcher && deadline_ns - now_ns > LEASH_TICK_NS &&
				     leash_watcher_there(watcher),
			     1))
		return 0;		/* it looks once a second anyway */
	return leash_watcher_call(rules, deadline_ns, now_ns);
}

#endif
