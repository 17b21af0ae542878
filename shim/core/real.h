/* SPDX-License-Identifier: MIT */
/*
 * The real calls: what stands behind each hook. Complete before the first
 * verdict, or the process is broken and refuses (hooks.md R1).
 *
 * Until the constructor has run every entry points to a trampoline that
 * initialises and calls again, so no hook ever tests a pointer (hooks.md L2).
 */
#ifndef LEASH_REAL_H
#define LEASH_REAL_H

#include <aio.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <wordexp.h>

#include "shim/core/ours.h"

struct leash_real {
#define HOOK(family, ret, name, params, args) ret(*name) params;
#define NEWER(family, ret, name, params, args) ret(*name) params;
#define ALIAS(name, of)
#define STUB(name, how)
#define NODE(name, node, implementation)
#define SKIP(name, why)
#include "shim/hooks.def"
#undef HOOK
#undef NEWER
#undef ALIAS
#undef STUB
#undef NODE
#undef SKIP
	int (*fcntl)(int fd, int cmd, ...);
};

LEASH_OURS extern struct leash_real leash_real;

/* The targets of the assembler stubs' tail jumps; NULL until bound. Not in the table,
 * because a C trampoline would change who the caller is. */
extern void *(*leash_real_dlsym)(void *handle, const char *name);
extern void *(*leash_real_dlvsym)(void *handle, const char *name, const char *version);
extern void *(*leash_real_dlopen)(const char *file, int mode);
extern void *(*leash_real_dlmopen)(long ns, const char *file, int mode);
extern long (*leash_real_syscall)(long nr, ...);
extern pid_t (*leash_real_vfork)(void);
extern int (*leash_real_clone)(int (*fn)(void *), void *stack, int flags, void *arg, ...);

static inline long leash_neg_errno(long ret)
{
	return ret == -1 ? -errno : ret;
}

/* LEASH_REAL(connect, fd, sa, len): the result, or a negative errno */
#define LEASH_REAL(name, ...) leash_neg_errno(leash_real.name(__VA_ARGS__))

/**
 * leash_real_bind() - Fill the table; may be called by two threads at once
 * Return: 0, or -ENOENT with *ret_missing the first name that libc lacks; that
 *	   entry then answers ENOSYS, and the process is broken
 */
int leash_real_bind(const char **ret_missing);

/**
 * leash_real_hook_of() - The hook that stands in front of what a look-up found
 * @address:	What the real look-up found; aliases share an address
 *
 * By address, never by name: a plug-in may export its own connect(). Knows what the
 * table and the stubs above call, no other node and no second libc.
 * Return: the hook, or NULL
 */
void *leash_real_hook_of(const void *address);

/** leash_real_hook_named() - The hook of that name, or NULL */
void *leash_real_hook_named(const char *name);

#endif
