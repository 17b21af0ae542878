/* SPDX-License-Identifier: MIT */
/*
 * U-labels to A-labels (UTS #46) inside the program, by libidn2, opened at the first name
 * that needs it, as libc itself does for AI_IDN: a process that never meets one pays
 * nothing. Debian's static libidn2 cannot be linked into another object (its symbols carry
 * versions of their own).
 */
#ifndef LEASH_IDN_H
#define LEASH_IDN_H

#include "policy/policy.h"

/** leash_idn_ascii() - May allocate and open files; never from a signal handler's hook.
 *  Return: 0, -ENOSYS (no libidn2), -EINVAL (no valid name) */
int leash_idn_ascii(const char *name, char ret_ascii[static LEASH_NAME_SIZE]);

#endif
