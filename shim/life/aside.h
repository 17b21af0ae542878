/* SPDX-License-Identifier: MIT */
/*
 * A thread that costs the program's own thread nothing (costs.md, the idle thread).
 *
 * pthread_create() tells libc that there are two threads, and from then on, for good, each call that may block
 * is made cancellable: 45 instructions, two of them locked. And a table of descriptors that two threads use is
 * counted by the kernel at each look: 1,000 descriptors of a poll() cost 14 % more. So in a program of one
 * thread the watcher is a bare one, which libc does not know, with a table of descriptors of its own that is
 * empty: what it wants to end it fetches by pidfd_getfd(2), which a thread may always do in its own process.
 *
 * It must not use what libc keeps by thread: no malloc, stdio, locks, locale. Its errno is its own.
 * Where this cannot be done (another machine, a filter, a program with threads), the caller takes
 * pthread_create().
 */
#ifndef LEASH_ASIDE_H
#define LEASH_ASIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/core/ours.h"

/** leash_aside_can() - Is this a program of one thread, on a machine and a kernel that can do this?
 *  Five system calls the first time, none from then on */
bool leash_aside_can(void);

LEASH_OURS extern const char *leash_aside_single;	/* libc's __libc_single_threaded, which it alone writes */

/** leash_aside_threads() - Has libc made a thread since? Then the bare one is no longer wanted. Behind a
 *  leash_aside_can() that said yes */
static inline bool leash_aside_threads(void)
{
	return !*(const volatile char *)leash_aside_single;
}

/**
 * leash_aside_start() - Start it, every signal blocked
 * @tid:	Set until it has ended, to the last instruction; in memory that a forked child finds zero
 * @run:	Returns to end it
 * Async-signal-safe. One at a time. Return: 0 or a negative errno
 */
int leash_aside_start(_Atomic int32_t *tid, void *(*run)(void *), void *arg);

/** leash_aside_leave_files() - First thing in it: an empty table of its own */
void leash_aside_leave_files(void);

/** leash_aside_process() - In it: a descriptor that stands for the process, for leash_aside_fetch(). In every other
 *  thread -1: its numbers are the program's */
int leash_aside_process(void);

/** leash_aside_error() - In it: have the program's standard error, or give it back. Elsewhere nothing */
void leash_aside_error(bool lend);

/** leash_aside_fetch() - A duplicate of the program's descriptor @fd. Return: it, or a negative errno; -EBADF:
 *  there is none of that number */
int leash_aside_fetch(int process, int fd);

/** leash_aside_follow() - Take the program's user and groups if it has given up the ones it had: libc's
 *  setuid() asks only the threads that it knows */
void leash_aside_follow(void);

#endif
