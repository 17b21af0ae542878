/* SPDX-License-Identifier: MIT */
/*
 * Names that were resolved to an address (policy 2): the policy judges an
 * address by the names it was obtained through.
 *
 * An entry lives as long as the session: programs keep addresses for hours, and a device
 * would not refuse them either. When the table is full, the oldest entry near the new
 * one goes. No locks: readers check a sequence number, writers claim by compare-and-swap.
 */
#ifndef LEASH_NAMES_H
#define LEASH_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"

#define LEASH_NAMES_PER_ADDR 16

/** leash_names_learn() - Remember that @name was resolved to @addr. Return: false if full */
bool leash_names_learn(const char *name, const struct leash_addr *addr);

/** leash_names_lookup() - The names of an address. Return: how many */
uint32_t leash_names_lookup(const struct leash_addr *addr,
			    struct leash_nameref ret_names[static LEASH_NAMES_PER_ADDR]);

/** leash_names_intern() - A name's place in the arena, + 1; 0 if the arena is full */
uint32_t leash_names_intern(const char *name);
const char *leash_names_text(uint32_t place);

/** leash_names_generation() - Changes whenever something is learnt */
uint32_t leash_names_generation(void);

#endif
