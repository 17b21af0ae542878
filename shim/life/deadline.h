/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: arithmetic only, time is an argument. Everything is CLOCK_MONOTONIC, ns.
 */
#ifndef LEASH_DEADLINE_H
#define LEASH_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#define LEASH_NEVER INT64_MAX
#define LEASH_TICK_NS INT64_C(1000000000)	/* how long the watcher sleeps at the most (W6) */
#define LEASH_MS_NS INT64_C(1000000)

/** leash_deadline_at() - When @limit_ms after @start_ns is; 0 ms: LEASH_NEVER. Never 0 */
int64_t leash_deadline_at(int64_t start_ns, uint32_t limit_ms);

/** leash_deadline_wake() - Until when to sleep if @next_ns is the next thing to do */
int64_t leash_deadline_wake(int64_t next_ns, int64_t now_ns);

/**
 * leash_deadline_stopped() - Was the process stopped for @grace_ns?
 * @wake_ns:	Until when the watcher meant to sleep
 *
 * Job control leaves no other trace. A stop that is less than a tick longer than the grace may be
 * missed; a shorter one is never taken for it.
 */
bool leash_deadline_stopped(int64_t wake_ns, int64_t now_ns, int64_t grace_ns);

enum leash_due {
	LEASH_DUE_NOT,
	LEASH_DUE_TIME,		/* it took too long */
	LEASH_DUE_AWAY,		/* the background has lasted longer than the grace */
};

/**
 * leash_deadline_due() - Must it end now?
 * @deadline_ns:	Of what is pending, or LEASH_NEVER
 * @away_ns:	When the grace of the background ends, LEASH_NEVER in the foreground
 * Of two that are over, the one that was over first.
 */
enum leash_due leash_deadline_due(int64_t deadline_ns, int64_t away_ns, int64_t now_ns);

#endif
