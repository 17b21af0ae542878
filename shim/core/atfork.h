/* SPDX-License-Identifier: MIT */
/*
 * Being told of fork(). Never the only means (hooks.md F1): _Fork() and clone() tell nobody, and whoever needs to
 * know finds out by a page that the kernel wipes. This is for what a child must have before it calls any hook.
 */
#ifndef LEASH_ATFORK_H
#define LEASH_ATFORK_H

#include <stdatomic.h>

/** leash_atfork_child - Called in the child, as the first of all such handlers: no lock, no allocation, no
 *  call into libc. NULL: nothing */
extern void (*_Atomic leash_atfork_child)(void);

/** leash_atfork_init() - From the constructor, once */
void leash_atfork_init(void);

#endif
