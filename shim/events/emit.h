/* SPDX-License-Identifier: MIT */
/* Events to their file: one write(2) a line, appended, opened and closed each time, so that no
 * descriptor of ours is ever in the program's way. */
#ifndef LEASH_EMIT_H
#define LEASH_EMIT_H

#include <stdbool.h>

#include "shim/events/event.h"

/** leash_emit_wanted() - Is anybody listening? Ask before building an event */
bool leash_emit_wanted(void);

/** leash_emit() - Fill in time, pid and exe, and append the line. Return: false if it was lost */
bool leash_emit(struct leash_event *event);

/** leash_emit_exe() - The program, as /proc/self/exe says; its last component if @base */
const char *leash_emit_exe(bool base);

#endif
