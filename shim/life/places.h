/* SPDX-License-Identifier: MIT */
/*
 * The places of the tasks in flight, on the session page (struct leash_tasks of abi.h): a limit of N is the
 * first N places of its class. Taking one is a compare-and-swap, so no two processes get the same, and
 * nobody who dies on the way leaves a wrong count behind: what he held says whose it was.
 */
#ifndef LEASH_PLACES_H
#define LEASH_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/abi.h"

struct leash_conn;

/* conn->waits */
#define LEASH_WAITS_NOT 0u
#define LEASH_WAITS_THREAD 1u	/* a thread sleeps on this word */
#define LEASH_WAITS_SOCKET 2u	/* the socket is connecting, and hears no answer until there is a place */

/** leash_place_take() - One of the first @limit places of a class for this connection, which holds none
 *  Return: false: all of them are held */
bool leash_place_take(struct leash_conn *conn, uint32_t class, uint32_t limit);

/** leash_place_move() - The one it holds for one of another class. Return: false: it holds none, or none is
 *  free there; then nothing changed */
bool leash_place_move(struct leash_conn *conn, uint32_t class, uint32_t limit);

/** leash_place_give() - Give back what it holds, if it holds any, and wake whoever waits. Async-signal-safe.
 *  A forked child gives nothing back: the place is its parent's */
void leash_place_give(struct leash_conn *conn);

/** leash_place_class() - The class of the place it holds, -1: none */
int leash_place_class(const struct leash_conn *conn);

/** leash_place_count() - How many of the first @limit are held */
uint32_t leash_place_count(const struct leash_session *page, uint32_t class, uint32_t limit);

/**
 * leash_place_sweep() - Empty the places of processes that are gone
 * @now:	Whenever it was done last; else at most once a tick in the session
 * @ours:	And of our connections that were closed where no hook saw it: not for the watcher, which may
 *		have a table of descriptors of its own
 * A few system calls for each holder: done when a limit is met.
 */
void leash_place_sweep(struct leash_session *page, uint32_t class, uint32_t limit, bool now, bool ours);

/** leash_place_forget() - This process has just begun: what is held under its number was held by what it was
 *  before exec() */
void leash_place_forget(struct leash_session *page, pid_t pid);

/** leash_place_wait() - Somebody waits from here on: said before one looks for a place once more */
void leash_place_wait(struct leash_session *page);

/** leash_place_rouse() - Wake the thread that sleeps on conn->waits, which was changed */
void leash_place_rouse(struct leash_conn *conn);
/** leash_place_wake() - It need not wait any more: it has a place, or is over */
void leash_place_wake(struct leash_conn *conn);

#endif
