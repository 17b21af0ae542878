/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <string.h>

#include "shim/core/atfork.h"
#include "shim/core/env.h"
#include "shim/core/fdtab.h"
#include "shim/core/init.h"
#include "shim/core/log.h"
#include "shim/core/ours.h"
#include "shim/core/real.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"

LEASH_AT_START _Atomic int leash_init_state = LEASH_RAW;
LEASH_AT_START static _Atomic(const void *) busy_thread;
static char error[96];

extern char **environ;

static enum leash_init_state initialise(char *const *envp)
{
	const char *name = "";
	int state = LEASH_RAW;
	const int bound = leash_real_bind(&name);	/* idempotent, so every entrant does it */

	if (!atomic_compare_exchange_strong(&leash_init_state, &state, LEASH_BUSY)) {
		/* Somebody else is at it. Waiting for oneself would be for ever. */
		while ((state = atomic_load_explicit(&leash_init_state, memory_order_acquire)) ==
			       LEASH_BUSY &&
		       atomic_load(&busy_thread) != __builtin_thread_pointer())
			LEASH_SYS(SYS_sched_yield);
		return (enum leash_init_state)state;
	}
	atomic_store(&busy_thread, __builtin_thread_pointer());
	leash_env_read(envp);
	leash_log_init();
	leash_trace_init();
	leash_fd_inherited();
	if (bound < 0 || leash_env.overflow) {
		size_t len = 0;
		const char *parts[] = {bound < 0 ? "libc has no " : "the NETLEASH_* variables do not fit",
				       bound < 0 ? name : "", bound < 0 ? "()" : ""};

		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
			for (const char *c = parts[i]; *c && len < sizeof(error) - 1; c++)
				error[len++] = *c;
		error[len] = '\0';
		state = LEASH_BROKEN;
	} else {
		state = LEASH_READY;
	}
	atomic_store_explicit(&leash_init_state, state, memory_order_release);
	return (enum leash_init_state)state;
}

enum leash_init_state leash_init(void)
{
	const int state = atomic_load_explicit(&leash_init_state, memory_order_acquire);

	if (state == LEASH_READY || state == LEASH_BROKEN)
		return (enum leash_init_state)state;
	return initialise(environ);
}

const char *leash_init_error(void)
{
	return error;
}

/* -z initfirst puts this before every other constructor, and before libc's own: environ is
 * NULL then, and only the third argument is good (hooks.md 1.3). */
__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	leash_atfork_init();
	if (atomic_load_explicit(&leash_init_state, memory_order_acquire) == LEASH_RAW)
		initialise(envp);
}
