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

#define LEASH_FD_MAX 65536

#define LEASH_FD_INET	0x01u	/* an INET socket */
#define LEASH_FD_STREAM	0x02u
#define LEASH_FD_DGRAM	0x04u
#define LEASH_FD_JUDGE	0x08u	/* every call asks the engine: not judged yet, refused, datagrams */
#define LEASH_FD_INBOUND 0x10u	/* came from accept() */
#define LEASH_FD_NONE	0x80u	/* looked at: no INET socket (only for numbers past the table) */

extern _Atomic uint8_t leash_fd_flags[LEASH_FD_MAX];
extern _Atomic uint16_t leash_fd_slot[LEASH_FD_MAX];	/* registry slot + 1, 0: none */

/* Past the table: asks the kernel, two getsockopt() each time. */
uint8_t leash_fd_ask(int fd);

static inline uint8_t leash_fd_get(int fd)
{
	if (__builtin_expect((unsigned int)fd < LEASH_FD_MAX, 1))
		return atomic_load_explicit(&leash_fd_flags[fd], memory_order_relaxed);
	return fd < 0 ? 0 : leash_fd_ask(fd);
}

static inline void leash_fd_set(int fd, uint8_t flags)
{
	if ((unsigned int)fd < LEASH_FD_MAX)
		atomic_store_explicit(&leash_fd_flags[fd], flags, memory_order_relaxed);
}

/** leash_fd_probe() - What the kernel says of a descriptor: flags as above, 0 if no INET socket */
uint8_t leash_fd_probe(int fd);

/** leash_fd_cookie() - SO_COOKIE (hooks.md 1.4). Return: 0 if it is no socket */
uint64_t leash_fd_cookie(int fd);

/** leash_fd_inherited() - Flag the INET sockets that came over exec (hooks.md X6) */
void leash_fd_inherited(void);

#endif
