/* SPDX-License-Identifier: MIT */
/*
 * One byte for each descriptor number: all that the data path looks at
 * (hooks.md 3.1). It is a hint: it may say too much (a number that libc or the kernel
 * closed behind our back), then SO_COOKIE corrects it; whatever could make it say too
 * little is hooked. Numbers past the table take the slow path.
 */
#ifndef LEASH_FDTAB_H
#define LEASH_FDTAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/core/proc.h"

#define LEASH_FD_MAX 65536

#define LEASH_FD_INET	0x01u	/* an INET socket */
#define LEASH_FD_STREAM	0x02u
#define LEASH_FD_DGRAM	0x04u
#define LEASH_FD_JUDGE	0x08u	/* every call asks the engine: not judged yet, refused, datagrams */
#define LEASH_FD_INBOUND 0x10u	/* came from accept() */
#define LEASH_FD_TIMED	0x20u	/* the program set a limit of its own: conn/timing.c asks for it */
#define LEASH_FD_NONE	0x80u	/* looked at: no INET socket (only for numbers past the table) */

LEASH_OURS extern _Atomic uint8_t leash_fd_flags[LEASH_FD_MAX];
LEASH_OURS extern _Atomic uint16_t leash_fd_slot[LEASH_FD_MAX];	/* registry slot + 1, 0: none */

/* Past the table: asks the kernel, two getsockopt() each time. */
uint8_t leash_fd_ask(int fd);

static inline uint8_t leash_fd_get(int fd)
{
	uint8_t flags;

	if (__builtin_expect((unsigned int)fd >= LEASH_FD_MAX, 0))
		return fd < 0 ? 0 : leash_fd_ask(fd);
	flags = atomic_load_explicit(&leash_fd_flags[fd], memory_order_relaxed);
	/* A vfork() child's number may be another socket than the table's. */
	return flags && leash_proc_foreign() ? leash_fd_ask(fd) : flags;
}

/* For hooks of the data path: is there nothing to ask? Numbers past the table are asked about later; without
 * a call in it the hook needs no frame, and costs a file nine instructions. */
static inline bool leash_fd_clear(int fd)
{
	return __builtin_expect((unsigned int)fd < LEASH_FD_MAX &&
					!atomic_load_explicit(&leash_fd_flags[fd], memory_order_relaxed),
				1);
}

/* The same for a number that is in the table: its byte, as it stands there */
static inline uint8_t leash_fd_known(int fd)
{
	return atomic_load_explicit(&leash_fd_flags[fd], memory_order_relaxed);
}

/* In a vfork() child, whose numbers are not the table's: only ever more is said, and each use of a
 * number with flags asks the kernel. */
void leash_fd_add(int fd, uint8_t flags);

static inline void leash_fd_set(int fd, uint8_t flags)
{
	if ((unsigned int)fd >= LEASH_FD_MAX)
		return;
	if (leash_proc_foreign())
		leash_fd_add(fd, flags);
	else
		atomic_store_explicit(&leash_fd_flags[fd], flags, memory_order_relaxed);
}

/** leash_fd_probe() - What the kernel says of a descriptor: flags as above, 0 if no INET socket */
uint8_t leash_fd_probe(int fd);

/** leash_fd_cookie() - SO_COOKIE (hooks.md 1.4). Return: 0 if it is no socket */
uint64_t leash_fd_cookie(int fd);

/** leash_fd_inherited() - Flag the INET sockets that came over exec (hooks.md X6) */
void leash_fd_inherited(void);

#endif
