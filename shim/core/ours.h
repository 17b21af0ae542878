/* SPDX-License-Identifier: MIT */
/*
 * -fvisibility=hidden is about definitions. A declaration has to say it itself, or each use of a variable in
 * another file takes an instruction more.
 */
#ifndef LEASH_OURS_H
#define LEASH_OURS_H

#define LEASH_OURS __attribute__((visibility("hidden")))

/* Written at every start, or read at every end: it stands beside the table of real calls, which is written as well. A
 * page of its own would cost each process a microsecond. */
#define LEASH_AT_START __attribute__((section(".data.netleash")))

#endif
