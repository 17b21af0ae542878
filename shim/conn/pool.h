/* SPDX-License-Identifier: MIT */
/*
 * Blocks of fixed size for what a connection's requests need beside its slot. Their addresses are set
 * aside when the first of a kind is wanted, and the kernel fills in what is touched: a process without
 * requests has none. Claimed by compare-and-swap, the lowest first, so that memory that was used is used
 * again.
 */
#ifndef LEASH_POOL_H
#define LEASH_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/core/ours.h"

enum leash_pool {
	LEASH_POOL_EXCHANGE,	/* one for each connection whose requests are read */
	LEASH_POOL_REQUEST,	/* one for each request that waits for its answer */
	LEASH_POOL_BODY,	/* one for each body that is changed on its way */
	LEASH_POOL_4K,		/* headers, joined writes, what was not asked for yet */
	LEASH_POOL_16K,
	LEASH_POOL_64K,
	LEASH_POOL_256K,
	LEASH_POOL_KINDS
};

/** leash_pool_take() - A block of this kind, its contents undefined. Return: NULL if there is none */
void *leash_pool_take(enum leash_pool kind);

/** leash_pool_give() - It is no longer needed; NULL is ignored */
void leash_pool_give(enum leash_pool kind, void *block);

size_t leash_pool_size(enum leash_pool kind);

/** leash_pool_index() - The place of a block among those of its kind; and back */
uint32_t leash_pool_index(enum leash_pool kind, const void *block);
void *leash_pool_at(enum leash_pool kind, uint32_t index);

/** leash_pool_used() - How many are taken: for tests */
uint32_t leash_pool_used(enum leash_pool kind);

LEASH_OURS extern _Atomic(_Atomic uint32_t *) leash_pool_home;	/* for the function below */
uint32_t leash_pool_epoch_first(void);

/*
 * A number of this process that no process it was forked from had: a lock that holds an older one is
 * nobody's. Never 0.
 */
static inline uint32_t leash_pool_epoch(void)
{
	_Atomic uint32_t *page = atomic_load_explicit(&leash_pool_home, memory_order_acquire);
	const uint32_t now = page ? atomic_load_explicit(page, memory_order_relaxed) : 0;

	return now ? now : leash_pool_epoch_first();
}

#endif
