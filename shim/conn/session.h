/* SPDX-License-Identifier: MIT */
/*
 * The shared page of a session (abi.h): counted facts for the summary, and the
 * names table. Mapped at the first question: the file of a `netleash run`, else anonymous
 * memory that this process shares with its forks.
 */
#ifndef LEASH_CONN_SESSION_H
#define LEASH_CONN_SESSION_H

#include <stdint.h>

#include "shim/abi.h"

/** leash_session_get() - The page, never NULL: a static one where nothing can be mapped */
struct leash_session *leash_session_get(void);

/** leash_session_host() - Row of a host in the summary's table; 0 ("others") when it is full */
uint32_t leash_session_host(const char *host, uint16_t port);

#endif
