/* SPDX-License-Identifier: MIT */
/*
 * What the assembler entries of the escape hatches (hooks.md 3.8) ask of C.
 *
 * dlsym(), dlvsym(), dlopen() and dlmopen() look at their return address; syscall() must pass
 * every register on, and clone or vfork through it see the caller's frame. So their entries
 * are assembler (hook_asm_MACHINE.S): they save the arguments, ask one of these, and either
 * return the answer or jump to the real function as if they had never been there.
 */
#ifndef LEASH_HOOK_DL_H
#define LEASH_HOOK_DL_H

#include <stdint.h>

/**
 * leash_dl_ask() - Does this look-up have another answer than the real one would give?
 * @version:	NULL for dlsym()
 * @caller:	Return address of the call
 *
 * Return: the answer, or NULL: ask the real function (also where that will fail, so that
 *	   dlerror() is the real one's), or LEASH_DL_MISSING: the answer is NULL, and dlerror()
 *	   says so already
 */
#define LEASH_DL_MISSING ((void *)1)
void *leash_dl_ask(void *handle, const char *name, const char *version, const void *caller);

/** leash_dl_ask_version() - The same for dlvsym(), where no version is the caller's fault */
void *leash_dl_ask_version(void *handle, const char *name, const char *version,
			   const void *caller);

/* The argument registers of the call as the entry saved them; loaded again from here. */
struct leash_dl_open_args {
	const char *file;
	long mode;
};
struct leash_dl_mopen_args {
	long ns;
	const char *file;
	long mode;
};

/** leash_dl_open() - What may be asked of the real dlopen(): @args without RTLD_DEEPBIND */
void leash_dl_open(struct leash_dl_open_args *args);

/** leash_dl_mopen() - The same for dlmopen(); a new namespace becomes a file that is not
 *  there and whose name says why, so that dlerror() does */
void leash_dl_mopen(struct leash_dl_mopen_args *args);

/** leash_dl_bind() - A look-up, or a syscall(), before our constructor */
void leash_dl_bind(void);

/* Bit nr % 64 of word nr / 64: leash_syscall() is asked. All others pass. */
#define LEASH_SYSCALL_WORDS 8
extern const uint64_t leash_syscall_mediated[LEASH_SYSCALL_WORDS];

/**
 * leash_syscall() - syscall() for the mediated numbers
 * Return: as syscall(): -1 and errno
 */
long leash_syscall(long nr, long a, long b, long c, long d, long e, long f);

#endif
