/* SPDX-License-Identifier: MIT */
/*
 * Own addresses and subnets, as the kernel says (policy 3). Read at the first question by a
 * route dump, again when the copy is over a second old at a connect(), or over half a second where a refusal
 * would rest on it: an interface that came up is seen without a descriptor that would have to stay open.
 */
#ifndef LEASH_LOCAL_H
#define LEASH_LOCAL_H

#include <stdbool.h>

#include "policy/policy.h"

/** leash_local_get() - The interfaces. @fresh: a refusal would rest on it: half a second old at the most.
 *  Return: NULL if the kernel does not tell: refuse then */
const struct leash_net *leash_local_get(bool fresh);

/** leash_local_serial() - Changes whenever they are read. Behind leash_local_get() */
uint32_t leash_local_serial(void);

/** leash_local_name_server() - Is this address one of /etc/resolv.conf's? (IPv4 and IPv6, port 53) */
bool leash_local_name_server(const struct leash_addr *addr);

#endif
