/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "shim/conn/pool.h"
#include "shim/core/sys.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define COUNT_MAX 16384u
#define WORDS (COUNT_MAX / 64)
#define BIG (64u << 10)		/* from here on the pages are given back with the block */

/* Powers of two, both: a division takes as long as all the rest of a call. */
static const struct {
	uint32_t shift, count;
} shape[LEASH_POOL_KINDS] = {
	[LEASH_POOL_EXCHANGE] = {11, COUNT_MAX},
	[LEASH_POOL_REQUEST] = {10, COUNT_MAX},
	[LEASH_POOL_BODY] = {10, COUNT_MAX / 4},
	[LEASH_POOL_4K] = {12, COUNT_MAX},
	[LEASH_POOL_16K] = {14, COUNT_MAX / 16},
	[LEASH_POOL_64K] = {16, COUNT_MAX / 64},
	[LEASH_POOL_256K] = {18, COUNT_MAX / 256},
};
_Static_assert((COUNT_MAX & (COUNT_MAX - 1)) == 0 && COUNT_MAX / 256 >= 64, "whole words, a power of two");

static inline size_t size_of(enum leash_pool kind)
{
	return (size_t)1 << shape[kind].shift;
}

static struct {
	_Atomic(uint8_t *) base;
	_Atomic uint32_t first;		/* no word before it has a free bit, as far as is known */
	_Atomic uint64_t taken[WORDS];
} pools[LEASH_POOL_KINDS];

static long map(size_t size)
{
	return LEASH_SYS(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static uint8_t *base_of(enum leash_pool kind)
{
	uint8_t *base = atomic_load_explicit(&pools[kind].base, memory_order_acquire);
	const size_t size = size_of(kind) * shape[kind].count;
	uint8_t *expected = NULL;
	long mapped;

	if (base)
		return base;
	mapped = map(size);
	if (mapped < 0)
		return NULL;
	/* One block must not cost two megabytes. */
	LEASH_SYS(SYS_madvise, mapped, size, MADV_NOHUGEPAGE);
	if (atomic_compare_exchange_strong(&pools[kind].base, &expected, (uint8_t *)mapped))
		return (uint8_t *)mapped;
	LEASH_SYS(SYS_munmap, mapped, size);
	return expected;
}

void *leash_pool_take(enum leash_pool kind)
{
	const uint32_t words = shape[kind].count / 64;
	uint8_t *base = base_of(kind);
	uint32_t from;

	if (!base)
		return NULL;
	from = atomic_load_explicit(&pools[kind].first, memory_order_relaxed);
	for (uint32_t round = 0; round < words; round++) {
		const uint32_t i = (from + round) & (words - 1);
		uint64_t word = atomic_load_explicit(&pools[kind].taken[i], memory_order_relaxed);

		while (~word) {
			const uint32_t bit = (uint32_t)__builtin_ctzll(~word);

			if (!atomic_compare_exchange_weak_explicit(&pools[kind].taken[i], &word,
								   word | UINT64_C(1) << bit,
								   memory_order_acquire,
								   memory_order_relaxed))
				continue;
			if (round)
				atomic_store_explicit(&pools[kind].first, i, memory_order_relaxed);
			return base + ((size_t)(i * 64 + bit) << shape[kind].shift);
		}
	}
	return NULL;
}

void leash_pool_give(enum leash_pool kind, void *block)
{
	uint32_t index;

	if (!block)
		return;
	if (size_of(kind) >= BIG)
		LEASH_SYS(SYS_madvise, block, size_of(kind), MADV_DONTNEED);
	index = leash_pool_index(kind, block);
	atomic_fetch_and_explicit(&pools[kind].taken[index / 64], ~(UINT64_C(1) << index % 64),
				  memory_order_release);
	if (index / 64 < atomic_load_explicit(&pools[kind].first, memory_order_relaxed))
		atomic_store_explicit(&pools[kind].first, index / 64, memory_order_relaxed);
}

size_t leash_pool_size(enum leash_pool kind)
{
	return size_of(kind);
}

uint32_t leash_pool_index(enum leash_pool kind, const void *block)
{
	const uint8_t *base = atomic_load_explicit(&pools[kind].base, memory_order_relaxed);

	return (uint32_t)((size_t)((const uint8_t *)block - base) >> shape[kind].shift);
}

void *leash_pool_at(enum leash_pool kind, uint32_t index)
{
	return atomic_load_explicit(&pools[kind].base, memory_order_acquire) +
	       ((size_t)index << shape[kind].shift);
}

uint32_t leash_pool_used(enum leash_pool kind)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < shape[kind].count / 64; i++)
		used += (uint32_t)__builtin_popcountll(atomic_load(&pools[kind].taken[i]));
	return used;
}

/* On a page that the kernel wipes in a forked child. Without such pages (before Linux 4.14) an epoch
 * never changes, and a lock that a fork left behind is taken over by its age. */
LEASH_AT_START _Atomic(_Atomic uint32_t *) leash_pool_home;	/* looked at by each process that ends */
static _Atomic uint32_t epochs;		/* copied at fork: a child's are higher than its parent's then */

uint32_t leash_pool_epoch_first(void)
{
	_Atomic uint32_t *page = atomic_load_explicit(&leash_pool_home, memory_order_acquire);
	_Atomic uint32_t *none = NULL;
	uint32_t now, unset = 0;
	long mapped;

	if (__builtin_expect(!page, 0)) {
		mapped = map(4096);
		if (mapped < 0)
			return 1;
		LEASH_SYS(SYS_madvise, mapped, 4096, MADV_WIPEONFORK);
		page = (_Atomic uint32_t *)mapped;
		if (!atomic_compare_exchange_strong(&leash_pool_home, &none, page)) {
			LEASH_SYS(SYS_munmap, mapped, 4096);
			page = none;
		}
	}
	now = atomic_load_explicit(page, memory_order_relaxed);
	if (__builtin_expect(now != 0, 1))
		return now;
	now = atomic_fetch_add(&epochs, 1) + 1;
	return atomic_compare_exchange_strong(page, &unset, now) ? now : unset;
}
