/* SPDX-License-Identifier: MIT */
/*
 * Blocks for texts and packets: hooks may run on a small signal stack, so what is larger than
 * a few hundred bytes lives here (hooks.md N3). Claimed by compare-and-swap, held only
 * while no code of the program or of libc can run.
 */
#ifndef LEASH_SCRATCH_H
#define LEASH_SCRATCH_H

#define LEASH_SCRATCH_SIZE 8192
#define LEASH_SCRATCH_COUNT 32	/* threads that speak at the same time */

/** leash_scratch_take() - A block. Waits a little where all are taken. Return: NULL if they stay so */
void *leash_scratch_take(void);
void leash_scratch_give(void *block);

#endif
