/* SPDX-License-Identifier: MIT */
/*
 * NETLEASH_* as this process was started with, read once and copied: programs
 * overwrite their environment (setproctitle), edit it and clear it.
 */
#ifndef LEASH_ENV_H
#define LEASH_ENV_H

#include <stdbool.h>
#include <stddef.h>

#define LEASH_ENV_COUNT 8

struct leash_env {
	bool secure;		/* AT_SECURE: everything below is empty (hooks.md L10) */
	bool overflow;		/* did not fit: the process is broken */
	bool quiet;		/* NETLEASH_LOG=quiet */
	const char *preload;	/* our object, absolute: what children must have in LD_PRELOAD; "" unknown */
	const char *policy, *project, *image, *session, *events, *trace, *trace_file;	/* "" if unset */
	const char *runtime_dir;	/* XDG_RUNTIME_DIR if absolute, else "" */
	/* "NAME=value", absolute paths, for every variable above that was set, then NULL. What a
	 * child gets instead of any NETLEASH_* that its parent passes (hooks.md X1). */
	const char *entries[LEASH_ENV_COUNT + 1];
	size_t entry_count;
};
extern struct leash_env leash_env;

/** leash_env_read() - Fill leash_env. @envp: may be NULL: then /proc/self/environ (hooks.md L3) */
void leash_env_read(char *const *envp);

#endif
