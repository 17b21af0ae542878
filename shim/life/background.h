/* SPDX-License-Identifier: MIT */
/*
 * Foreground and background, on the page of a session (abi.h): one word says since when it is away, a
 * futex beside it wakes the watchers of all its processes. And what of a process is pending, for whoever
 * asks from outside (`netleash status`).
 */
#ifndef LEASH_BACKGROUND_H
#define LEASH_BACKGROUND_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/abi.h"
#include "shim/core/ours.h"

struct leash_conn;

/** leash_background_page() - The page of this process's session, as soon as it is mapped */
void leash_background_page(struct leash_session *page);
LEASH_OURS extern _Atomic(struct leash_session *) leash_background_here;

static inline struct leash_session *leash_background_get(void)	/* NULL before */
{
	return atomic_load_explicit(&leash_background_here, memory_order_acquire);
}

/** leash_background_since() - 0 in the foreground, else when it went away (CLOCK_MONOTONIC) */
static inline int64_t leash_background_since(const struct leash_session *page)
{
	return atomic_load_explicit(&page->background_ns, memory_order_acquire);
}

/** leash_background_set() - Change the state of a session. Async-signal-safe: stores and a futex wake.
 *  Return: was it the other one before? */
bool leash_background_set(struct leash_session *page, bool away, int64_t now_ns);

/** leash_background_nudge() - Have the watchers of the session look again */
void leash_background_nudge(struct leash_session *page);

/** leash_background_tell_once() - Is this process the first of the session to tell of this end?
 *  @key: of the socket and of what was pending on it; several processes may hold it */
bool leash_background_tell_once(struct leash_session *page, uint64_t key);

/* A line of struct leash_session_pending for a connection: taken when something of it is pending for the
 * first time, given back with its slot (and its place, life/places.h). A full list lists no more. */
void leash_board_take(struct leash_conn *conn, pid_t pid, uint32_t kind);
void leash_board_name(const struct leash_conn *conn, uint32_t kind, uint32_t name);
void leash_board_put(const struct leash_conn *conn, int64_t start_ns, int64_t deadline_ns);
void leash_board_free(struct leash_conn *conn);

/** leash_board_leave() - The last descriptor here is being closed: whatever the line says from now on is not the end
 *  of what a forked child may still wait for */
void leash_board_leave(const struct leash_conn *conn);

/** leash_board_lent() - Of what was pending when this process was forked (conn->lent): who answers for it? The line
 *  of its process says whether that still has it, and still waits */
enum leash_lent {
	LEASH_LENT_OURS,	/* it is gone, or has closed its own */
	LEASH_LENT_THEIRS,
	LEASH_LENT_DONE,	/* it has got its answer */
};
enum leash_lent leash_board_lent(const struct leash_conn *conn);

/* ------------------------------------------------------------------ signals (hooks.md 3.10) */
/*
 * The program's own actions for the two signals. While ours stand in the kernel, its calls act on these
 * instead: asked for, they answer with the program's flags and mask; delivered, they are called after ours.
 */
/** leash_background_listen() - Put our handlers in, once in a process (and once more in a forked child,
 *  where that changes nothing). @real: sigaction() behind the hook. Return: 0 or a negative errno */
int leash_background_listen(int away, int back,
			    int (*real)(int, const struct sigaction *, struct sigaction *));

/** leash_background_ours() - Is this one of the two, and are our handlers in? */
bool leash_background_ours(int signal);

/** leash_background_action() - sigaction(2) on the program's own. Return: 0 or a negative errno */
int leash_background_action(int signal, const struct sigaction *act, struct sigaction *old);

/**
 * leash_background_hand_on(), leash_background_take_back() - Around everything that starts a program
 * An exec keeps what is ignored and resets handlers, ours among them: the next program would be killed by
 * what this one ignores. So ours steps aside for that time, where the program ignores the signal.
 * Async-signal-safe; take_back() runs only if this program goes on.
 * @brief:	It cannot be left by siglongjmp(). What can, system(), does not hold up the others
 */
void leash_background_hand_on(bool brief);
void leash_background_take_back(bool brief);

#endif
