/* SPDX-License-Identifier: MIT */
/*
 * raw -> busy -> ready, or broken (hooks.md L4). Our constructor usually does it, a
 * hook that is entered before does it as well. Cheap: no allocation, no file, no
 * thread, no descriptor.
 */
#ifndef LEASH_INIT_H
#define LEASH_INIT_H

#include <stdatomic.h>
#include <stdbool.h>

enum leash_init_state { LEASH_RAW, LEASH_BUSY, LEASH_READY, LEASH_BROKEN };

extern _Atomic int leash_init_state;

/** leash_init() - Bind and read the environment, once. Return: the state; LEASH_BUSY only to a
 *  signal handler that interrupted the initialising thread */
enum leash_init_state leash_init(void);

/** leash_init_error() - Why the state is LEASH_BROKEN, for the one line of the process */
const char *leash_init_error(void);

#endif
