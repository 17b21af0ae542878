/* SPDX-License-Identifier: MIT */
/*
 * How the watcher gets at what a program waits for: the socket of a connection, whatever number it has now, and
 * the sockets that libc's resolver made for itself.
 */
#ifndef LEASH_REACH_H
#define LEASH_REACH_H

#include <stdbool.h>

#include "shim/life/registry.h"

/**
 * leash_reach_socket() - A descriptor of this connection, for this thread
 * @ret_own:	It is a duplicate, to be closed by the caller
 * Return: -1 if no number of this process is that socket any more
 */
int leash_reach_socket(struct leash_conn *conn, bool *ret_own);

/** leash_reach_lookup() - End the wait that the thread of a look-up is in now, if it is in one. It may begin
 *  another one: to be done again until its hook has returned */
void leash_reach_lookup(struct leash_conn *conn);

#endif
