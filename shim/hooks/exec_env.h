/* SPDX-License-Identifier: MIT */
/*
 * The environment of a child (hooks.md X1–X3, P3): our object first in LD_PRELOAD, our
 * NETLEASH_* in place of any other, the rest as the caller has it.
 *
 * Measured first, then built in memory that the caller provides: most exec calls come
 * from a child of vfork(), where nothing global may be written. Pure: no system call, no errno.
 */
#ifndef LEASH_EXEC_ENV_H
#define LEASH_EXEC_ENV_H

#include <stddef.h>

/* What the child must have; borrowed. */
struct leash_exec_want {
	const char *preload;		/* our object, absolute */
	const char *runtime;		/* what the program needs in front of it (P3), "" if nothing */
	const char *const *entries;	/* "NETLEASH_X=value"; 32 at most */
	size_t entry_count;
};

struct leash_exec_plan {
	size_t size;			/* bytes that leash_exec_env_build() needs; 0: nothing to repair */
	size_t kept;			/* entries of the caller that stay */
	const char *list;		/* the caller's LD_PRELOAD, the one ld.so would take; "" if none */
	size_t list_size;		/* bound of our LD_PRELOAD, with its NUL */
};

/** leash_exec_env_measure() - What has to be done? @envp: may be NULL (legal on Linux) */
void leash_exec_env_measure(const struct leash_exec_want *want, char *const *envp,
			    struct leash_exec_plan *ret_plan);

/**
 * leash_exec_env_build() - Build the array that the plan describes
 * @mem:	plan->size bytes, aligned for a pointer
 *
 * Strings are shared with the caller's array and @want. Should another thread change the caller's
 * array meanwhile, what it adds is missing; nothing is written outside @mem.
 * Return: @mem
 */
char **leash_exec_env_build(const struct leash_exec_want *want, char *const *envp,
			    const struct leash_exec_plan *plan, void *mem);

/** leash_exec_env_list() - The value for LD_PRELOAD alone. @buf: plan->list_size bytes */
void leash_exec_env_list(const struct leash_exec_want *want, const struct leash_exec_plan *plan,
			 char *buf);

#endif
