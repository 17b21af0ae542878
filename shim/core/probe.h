/* SPDX-License-Identifier: MIT */
/*
 * Is this memory readable? A hook must answer EFAULT where the kernel would (hooks.md N7).
 *
 * rt_sigprocmask() with an impossible `how` reads eight bytes and then fails with EINVAL,
 * or fails with EFAULT first; it changes nothing. A tenth of what process_vm_readv() on
 * oneself costs, and allowed where that is not (containers). A page that another thread unmaps
 * between this and the copy still faults, as it does in any program that copies.
 */
#ifndef LEASH_PROBE_H
#define LEASH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/core/sys.h"

#define LEASH_PAGE_MIN 4096u

/** leash_probe_known() - Is it readable for sure, without asking the kernel? On the first thread's stack above
 *  ourselves, or among the executable's own variables. false: ask */
bool leash_probe_known(const void *at, size_t len);

static inline bool leash_probe_8(uintptr_t at)
{
	/* NULL would mean that there is no set to read. */
	return at != 0 && LEASH_SYS(SYS_rt_sigprocmask, ~0, at, NULL, 8) != -EFAULT;
}

/* At most a page long. Eight bytes at each end, moved inwards where the range is shorter than that
 * and would touch the next page. */
static inline bool leash_probe(const void *at, size_t len)
{
	const uintptr_t first = (uintptr_t)at, last = first + (len ? len - 1 : 0);

	if (last < first || !leash_probe_8(first & ~(uintptr_t)7))
		return false;
	return first / LEASH_PAGE_MIN == last / LEASH_PAGE_MIN || leash_probe_8(last & ~(uintptr_t)7);
}

/* Of any length, none included: one look at each page */
static inline bool leash_probe_range(const void *at, size_t len)
{
	const uintptr_t first = (uintptr_t)at, last = first + (len ? len - 1 : 0);

	if (len == 0)
		return true;
	if (last < first)
		return false;
	for (uintptr_t page = first & ~(uintptr_t)7; page <= last;
	     page = (page / LEASH_PAGE_MIN + 1) * LEASH_PAGE_MIN)
		if (!leash_probe_8(page))
			return false;
	return true;
}

#endif
