/* SPDX-License-Identifier: MIT */
/*
 * Can this program carry libnetleash.so? A static program, another libc, another
 * class or machine, or one that ld.so starts in secure mode drops LD_PRELOAD in silence:
 * without the seal such a program is refused before it runs (hooks.md X4).
 *
 * Called by `netleash run` and by the exec hooks between vfork() and exec(): raw system
 * calls only, no allocation, no locks, at most 4 KiB of stack.
 */
#ifndef LEASH_CARRY_H
#define LEASH_CARRY_H

#include <stdbool.h>

enum leash_carry {
	LEASH_CARRY_OK,
	LEASH_CARRY_STATIC,		/* no PT_INTERP (static, static-pie) */
	LEASH_CARRY_LIBC,		/* the interpreter is not this glibc's (musl, bionic, …) */
	LEASH_CARRY_CLASS,		/* 32-bit program, 64-bit object */
	LEASH_CARRY_MACHINE,		/* for another processor */
	LEASH_CARRY_SECURE,		/* set-uid, set-gid or file capabilities, and no no_new_privs */
	LEASH_CARRY_UNREADABLE,		/* may be executed but not read: nothing can be known */
	LEASH_CARRY_UNKNOWN,		/* neither ELF nor #!: the kernel or a shell decides (exec itself
					 * answers ENOEXEC, and shells then run it as a script): carried */
	LEASH_CARRY_ERROR,		/* not there, not executable: exec itself says it better */
};

struct leash_carry_info {
	enum leash_carry result;
	char runtime[256];		/* sanitizer runtime in DT_NEEDED that must stay first in LD_PRELOAD (P3):
					 * "libasan.so.8", "libtsan.so.2"; "" if none */
	char interp[256];		/* last interpreter looked at: of a script or ELF; "" if none */
};

/**
 * leash_carry_check() - Look at a program before it is executed
 * @dirfd:	As for execveat(); AT_FDCWD for a plain path
 * @path:	Program; "" with AT_EMPTY_PATH in @flags looks at @dirfd itself
 * @flags:	AT_EMPTY_PATH or 0
 * @no_new_privs:	The process has it set: set-uid and set-gid bits mean nothing, LD_PRELOAD
 *		stays. File capabilities make ld.so secure even then, unless for root
 *
 * "#!" chains are followed, as the kernel does it (5 at most). "This glibc's interpreter" is
 * the one this machine's ABI names (/lib64/ld-linux-x86-64.so.2, /lib/ld-linux-aarch64.so.1),
 * or another path that is the same file as the one mapped here.
 * Return: the result, also in @ret
 */
enum leash_carry leash_carry_check(int dirfd, const char *path, int flags, bool no_new_privs,
				   struct leash_carry_info *ret);

/** leash_carry_text() - "it is linked statically", … for messages; "" for OK */
const char *leash_carry_text(enum leash_carry result);

#endif
