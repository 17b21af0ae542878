/* SPDX-License-Identifier: MIT */
/*
 * A block can be lost: its holder left by siglongjmp(), was cancelled, or was a thread of the
 * process that forked us. They are held for microseconds, so when all are taken, one that is old,
 * or whose frame on this thread's own stack is gone, is nobody's any more. No system call.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/core/clock.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"

#define LOST_MS 2000

static _Alignas(16) char blocks[LEASH_SCRATCH_COUNT][LEASH_SCRATCH_SIZE];
/*
 * All about a holder in one word, so that there is no moment at which half of it is known: where on
 * its stack (in units of 16, 24 bits), which thread (a hash, 19 bits), since when (ms, 20 bits), and a
 * 1, because 0 is free.
 */
static _Atomic uint64_t taken[LEASH_SCRATCH_COUNT];
static _Atomic uint32_t turn[LEASH_SCRATCH_COUNT];	/* who took a block later has a higher one */
static _Atomic uint32_t turns;

static uint64_t holder_now(uintptr_t frame)
{
	const uint64_t thread = (uint64_t)(uintptr_t)__builtin_thread_pointer() *
				UINT64_C(0x9e3779b97f4a7c15) >> 45;
	const uint64_t now_ms = (uint64_t)(leash_now_ns() / 1000000) & 0xfffff;

	return (uint64_t)(frame >> 4) << 40 | thread << 21 | now_ms << 1 | 1;
}

static bool is_mine(uint64_t holder, uint64_t me)
{
	return ((holder ^ me) >> 21 & 0x7ffff) == 0;
}

/* Does @a lie as high on the stack as @b, or higher? */
static bool is_above(uint64_t a, uint64_t b)
{
	return (int64_t)((a & ~UINT64_C(0xffffffffff)) - (b & ~UINT64_C(0xffffffffff))) >= 0;
}

static bool claim(int i, uint64_t from, uint64_t me)
{
	if (!atomic_compare_exchange_strong_explicit(&taken[i], &from, me, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	atomic_store_explicit(&turn[i], atomic_fetch_add(&turns, 1), memory_order_relaxed);
	return true;
}

/*
 * A frame that still runs lies above all that were entered later, also where these are a signal
 * handler's (hooks.md N5): above this one, and above those of blocks that this thread took since.
 */
static bool left(int i, uint64_t holder, uint64_t me)
{
	const uint32_t since = atomic_load_explicit(&turn[i], memory_order_relaxed);

	if (is_above(me, holder))
		return true;
	for (int j = 0; j < LEASH_SCRATCH_COUNT; j++) {
		const uint64_t later = atomic_load(&taken[j]);

		if (j != i && later && is_mine(later, me) && is_above(later, holder) &&
		    (int32_t)(atomic_load_explicit(&turn[j], memory_order_relaxed) - since) > 0)
			return true;
	}
	return false;
}

static bool lost(int i, uint64_t holder, uint64_t me)
{
	const uint64_t age_ms = ((me >> 1) - (holder >> 1)) & 0xfffff;

	/* The upper half is the future: taken since @me was made. */
	return (is_mine(holder, me) && left(i, holder, me)) ||
	       (age_ms > LOST_MS && age_ms < 0x80000);
}

void *leash_scratch_take(void)
{
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	for (int round = 0; round < 1000; round++) {
		const uint64_t me = holder_now(frame);

		for (int i = 0; i < LEASH_SCRATCH_COUNT; i++)
			if (claim(i, 0, me))
				return blocks[i];
		for (int i = 0; i < LEASH_SCRATCH_COUNT; i++) {
			const uint64_t holder = atomic_load(&taken[i]);

			if (holder && lost(i, holder, me) && claim(i, holder, me))
				return blocks[i];
		}
		LEASH_SYS(SYS_sched_yield);
	}
	return NULL;
}

void leash_scratch_give(void *block)
{
	if (block)
		atomic_store_explicit(&taken[((char *)block - blocks[0]) / LEASH_SCRATCH_SIZE], 0,
				      memory_order_release);
}
