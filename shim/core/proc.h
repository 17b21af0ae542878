/* SPDX-License-Identifier: MIT */
/*
 * Who are we after fork() and vfork()? A vfork() child shares our memory but has descriptors of
 * its own: it must leave the tables of descriptors alone (hooks.md F3). A forked child has its own
 * copy of everything.
 *
 * Only vfork() and clone() make such children (posix_spawn's run inside libc, where no hook is
 * entered), so their hooks say so beforehand; a process that never called them is never asked
 * who it is, and saves a getpid() at each socket() and close().
 */
#ifndef LEASH_PROC_H
#define LEASH_PROC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/core/ours.h"

LEASH_OURS extern _Atomic int leash_proc_shared;

/* The flags of a stream that may go the shortest way (conn/swift.h), in one comparison with the above: none
 * that a number can have as soon as the tables may be somebody else's */
#define LEASH_PROC_SWIFT 0x03u	/* LEASH_FD_INET and LEASH_FD_STREAM */
LEASH_OURS extern _Atomic uint8_t leash_proc_swift;

/** leash_proc_sharing() - A child that shares our memory is about to be made. From the assembler
 *  stubs of vfork() and clone(); async-signal-safe */
void leash_proc_sharing(void);

/* One getpid(), and only in a process that called the above */
bool leash_proc_ask(void);

/** leash_proc_foreign() - Is this thread such a child? */
static inline bool leash_proc_foreign(void)
{
	return __builtin_expect(atomic_load_explicit(&leash_proc_shared, memory_order_relaxed), 0) &&
	       leash_proc_ask();
}

#endif
