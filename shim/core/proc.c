/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <sys/mman.h>

#include "shim/core/proc.h"
#include "shim/core/sys.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

_Atomic int leash_proc_shared;
_Atomic uint8_t leash_proc_swift = LEASH_PROC_SWIFT;

/* A page that the kernel wipes in a forked child, and only there (hooks.md F1): it holds the pid
 * of the process whose descriptors the tables describe. */
static _Atomic(_Atomic pid_t *) owner_page;

static _Atomic pid_t *owner(void)
{
	_Atomic pid_t *page = atomic_load_explicit(&owner_page, memory_order_acquire);
	_Atomic pid_t *expected = NULL;
	long mapped;

	if (page)
		return page;
	mapped = LEASH_SYS(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapped < 0)
		return NULL;
	LEASH_SYS(SYS_madvise, mapped, 4096, MADV_WIPEONFORK);
	if (atomic_compare_exchange_strong(&owner_page, &expected, (_Atomic pid_t *)mapped))
		return (_Atomic pid_t *)mapped;
	LEASH_SYS(SYS_munmap, mapped, 4096);
	return expected;
}

bool leash_proc_ask(void)
{
	_Atomic pid_t *page = owner();
	const pid_t pid = leash_sys_getpid();
	pid_t seen = 0;

	if (!page)
		return true;	/* cannot tell: leave the tables alone, they may then say too much */
	/* Wiped: forked since, and the tables are our own copies. */
	if (atomic_compare_exchange_strong(page, &seen, pid))
		return false;
	return seen != pid;
}

void leash_proc_sharing(void)
{
	/* In the parent, before the child exists; in a child of a child it changes nothing. */
	leash_proc_ask();
	atomic_store_explicit(&leash_proc_shared, 1, memory_order_relaxed);
	atomic_store_explicit(&leash_proc_swift, 0xff, memory_order_relaxed);
}
