/* SPDX-License-Identifier: MIT */
#include "shim/life/deadline.h"

int64_t leash_deadline_at(int64_t start_ns, uint32_t limit_ms)
{
	if (limit_ms == 0 || start_ns > LEASH_NEVER - (int64_t)limit_ms * LEASH_MS_NS)
		return LEASH_NEVER;
	return start_ns + (int64_t)limit_ms * LEASH_MS_NS;
}

int64_t leash_deadline_wake(int64_t next_ns, int64_t now_ns)
{
	return next_ns < now_ns + LEASH_TICK_NS ? next_ns : now_ns + LEASH_TICK_NS;
}

bool leash_deadline_stopped(int64_t wake_ns, int64_t now_ns, int64_t grace_ns)
{
	/* At the most a tick of the stop lies before @wake_ns, and that is not counted. */
	return now_ns - wake_ns >= grace_ns;
}

enum leash_due leash_deadline_due(int64_t deadline_ns, int64_t away_ns, int64_t now_ns)
{
	if (now_ns >= deadline_ns && deadline_ns <= away_ns)
		return LEASH_DUE_TIME;
	if (now_ns >= away_ns)
		return LEASH_DUE_AWAY;
	return LEASH_DUE_NOT;
}
