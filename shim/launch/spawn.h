/* SPDX-License-Identifier: MIT */
/* The program of a run: found, looked at, started with the shim in front, waited for. */
#ifndef LEASH_LAUNCH_SPAWN_H
#define LEASH_LAUNCH_SPAWN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/core/carry.h"

struct leash_program {
	char path[PATH_MAX]; /* what is executed */
	struct leash_carry_info carry;
};

/**
 * leash_program_find() - Look a program up in PATH as execvp() does, and look at it
 * Return: 0, or LEASH_EXIT_CANNOT or LEASH_EXIT_NOT_FOUND after one line that says why
 */
int leash_program_find(const char *name, struct leash_program *ret);

/**
 * leash_shim_find() - The libnetleash.so beside this command, fit for LD_PRELOAD
 *
 * ld.so ignores an object that it cannot use and runs the program without (hooks.md P2),
 * so everything it may dislike is looked at first.
 * Return: 0, or LEASH_EXIT_SYSTEM after one line that says why
 */
int leash_shim_find(char ret_path[static PATH_MAX]);

/** leash_on_leash() - Is this process itself preloaded? @ret_entry: the entry that says so */
bool leash_on_leash(char *ret_entry, size_t size);

struct leash_spawn {
	const struct leash_program *program;
	char **argv; /* the program's, ends with NULL */
	const char *shim;
	const char *image, *session; /* paths */
	const char *events;          /* absolute path or NULL */
	bool quiet;                  /* no refusal lines, no word about what is waited for */
	bool kill_rest;              /* profile build: nothing outlives the program */
	int32_t *own_pid;            /* in shared memory: where its process id stands before it runs, or NULL */
	/* When it runs, and from then on until all of it has ended; NULL: nobody wants to know */
	void (*started)(void *arg);
	/* Return: ms until it wants to be called again, -1: never */
	long (*tick)(void *arg);
	void *arg;
};

/**
 * leash_spawn_wait() - Start the program and wait for it, and for what it leaves behind
 * @ret_status:	As from waitpid()
 * Return: 0, or an exit status after one line that says why
 */
int leash_spawn_wait(const struct leash_spawn *spawn, int *ret_status);

/** leash_die_like() - End as the program did. @status: as from waitpid(); an exit status
 *  comes back, a signal does not */
int leash_die_like(int status);

#endif
