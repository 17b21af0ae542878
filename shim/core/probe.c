/* SPDX-License-Identifier: MIT */
#include <link.h>
#include <stdatomic.h>
#include <sys/auxv.h>

#include "shim/core/probe.h"
#include "shim/core/scope.h"

/* mmap() keeps at least twice as far away from the first stack (MIN_GAP of the kernel's mmap layout). */
#define STACK_NEAR ((uintptr_t)64 << 20)

static _Atomic uintptr_t stack_top, data_start, data_end;	/* 0: not known yet, or not to be had */

/* The writable segment of the executable: it is where its .dynamic is, whoever started it how. */
static LEASH_SLOW void learn(void)
{
	const struct link_map *map = _r_debug.r_map;
	const ElfW(Phdr) *const headers = (const void *)getauxval(AT_PHDR);	/* NOLINT: an address */
	const unsigned long count = getauxval(AT_PHNUM);

	for (unsigned long i = 0; map && headers && i < count; i++) {
		const uintptr_t start = map->l_addr + headers[i].p_vaddr;
		const uintptr_t end = start + headers[i].p_memsz;

		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W) &&
		    (uintptr_t)map->l_ld >= start && (uintptr_t)map->l_ld < end) {
			atomic_store_explicit(&data_end, end, memory_order_relaxed);
			atomic_store_explicit(&data_start, start, memory_order_relaxed);
		}
	}
	/* The name of the program stands above all that main() has on its stack. */
	atomic_store_explicit(&stack_top, getauxval(AT_EXECFN), memory_order_release);
}

bool leash_probe_known(const void *at, size_t len)
{
	const uintptr_t first = (uintptr_t)at, end = first + len;
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t top = atomic_load_explicit(&stack_top, memory_order_acquire);

	if (leash_unlikely(!top)) {
		learn();
		top = atomic_load_explicit(&stack_top, memory_order_relaxed);
	}
	if (end < first)
		return false;
	if (first > here && end <= top && top - here < STACK_NEAR)
		return true;
	return first >= atomic_load_explicit(&data_start, memory_order_relaxed) &&
	       end <= atomic_load_explicit(&data_end, memory_order_relaxed);
}
