/* SPDX-License-Identifier: MIT */
/*
 * Between the GnuTLS hooks: the gate (hook_gnutls.c) and the data (hook_gnutls_data.c).
 */
#ifndef LEASH_GNUTLS_INNER_H
#define LEASH_GNUTLS_INNER_H

#include "shim/conn/verify.h"
#include "shim/tls/instance.h"

/** leash_gnutls_pump_open() - The peer was judged: somebody may want to look at the data from here on.
 *  Return: false: that cannot be, and it must not be used */
bool leash_gnutls_pump_open(const struct leash_gnutls *lib, struct gnutls_session_int *session,
			    const struct leash_tie *tie);

/** leash_gnutls_pump_close() - The session is gone */
void leash_gnutls_pump_close(struct gnutls_session_int *session);

/** leash_gnutls_other() - Is it a server's or a datagram session? */
bool leash_gnutls_other(struct gnutls_session_int *session);

#endif
