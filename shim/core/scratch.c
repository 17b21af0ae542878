/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <stddef.h>

#include "shim/core/scratch.h"
#include "shim/core/sys.h"

static _Alignas(16) char blocks[LEASH_SCRATCH_COUNT][LEASH_SCRATCH_SIZE];
static _Atomic int taken[LEASH_SCRATCH_COUNT];

void *leash_scratch_take(void)
{
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < LEASH_SCRATCH_COUNT; i++) {
			int free = 0;

			if (atomic_compare_exchange_strong_explicit(&taken[i], &free, 1,
								    memory_order_acquire,
								    memory_order_relaxed))
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
