/* SPDX-License-Identifier: MIT */
/* What is looked up in the objects that are mapped, when it is first wanted (late.c). */
#ifndef LEASH_LATE_H
#define LEASH_LATE_H

/** leash_late_variable() - A variable of libc by its name, or NULL: this libc has none */
const char *leash_late_variable(const char *name);

#endif
