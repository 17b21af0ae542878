/* SPDX-License-Identifier: MIT */
/*
 * Sessions that a judged handshake of this process has made (design: TLS 3, "Sessions").
 *
 * The mark of a session is its ex_data. Programs that copy a session through its serialised form, as
 * Python does, lose it, and the server's chain with it; its secret is still the same, and only who
 * took part in that handshake knows it. So the secret's digest is kept as well, when the program is
 * given the session.
 */
#ifndef LEASH_TICKET_H
#define LEASH_TICKET_H

#include "shim/conn/verify.h"
#include "shim/tls/instance.h"

/* A server that was judged. Never freed */
struct leash_mark {
	const char *name;	/* as leash_verify_name() */
	size_t count;
	struct leash_cert *certs;	/* leaf first, as it served them */
};

/**
 * leash_ticket_mark() - Its handshake was judged, for this name and by these certificates
 * @count:	0: TLS that is the program's own affair; wherever the certificate counts, it will be missed
 * Return: false: no room, it will not be resumed
 */
bool leash_ticket_mark(const struct leash_openssl *lib, struct ssl_session_st *session, const char *name,
		       const struct leash_cert *certs, size_t count);

/** leash_ticket_give() - The program takes the session away: know it again, whatever becomes of it */
void leash_ticket_give(const struct leash_openssl *lib, const struct ssl_session_st *session);

/** leash_ticket_find() - The mark of a session, or NULL */
const struct leash_mark *leash_ticket_find(const struct leash_openssl *lib,
					   const struct ssl_session_st *session);

#endif
