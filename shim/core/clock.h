/* SPDX-License-Identifier: MIT */
/* The only clocks: monotonic, coarse (a tick of 4 ms or less), for ages and deadlines; exact, for what is told. */
#ifndef LEASH_CLOCK_H
#define LEASH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t leash_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);	/* vDSO, no system call */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The same clock, exact: for durations that are told. Up to a tick ahead of the other */
static inline int64_t leash_exact_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wall clock for events, ms since 1970 */
static inline int64_t leash_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
