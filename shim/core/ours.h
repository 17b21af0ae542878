/* SPDX-License-Identifier: MIT */
/*
 * -fvisibility=hidden is about definitions. A declaration has to say it itself, or each use of a variable in
 * another file takes an instruction more.
 */
#ifndef LEASH_OURS_H
#define LEASH_OURS_H

#define LEASH_OURS __attribute__((visibility("hidden")))

#endif
