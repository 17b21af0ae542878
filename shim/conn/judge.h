/* SPDX-License-Identifier: MIT */
/*
 * What a server's chain is worth, in a process that has no libcrypto of its own for it: the verifier's
 * object, its questions and its answers as faults. Shared by verify.c (hooked libraries) and opaque.c
 * (nobody's); nobody else includes it.
 */
#ifndef LEASH_JUDGE_H
#define LEASH_JUDGE_H

#include "shim/conn/inner.h"
#include "shim/conn/verify.h"
#include "shim/tls/verifier/verifier.h"

/* One thing that is wrong with a server, in words; .code 0: nothing, and the leaf's facts */
struct leash_fault {
	int code;
	enum leash_reason reason;
	enum leash_verify_rule rule;
	char text[LEASH_VERIFY_TEXT + 64];
	char issuer[LEASH_VERIFY_TEXT], not_after[32];
};

/** leash_judge_object() - The verifier, opened at the first call; NULL: it cannot be (said by faults) */
const struct leash_verifier *leash_judge_object(void);

void leash_judge_set(struct leash_fault *fault, int code, enum leash_reason reason,
		     enum leash_verify_rule rule, const char *text, const char *more);

/** leash_judge_unverified() - The fault of a process without a verifier */
void leash_judge_unverified(struct leash_fault *fault);

/** leash_judge_chain() - Leaf first in @certs. Return: 0 good, else fault->code */
int leash_judge_chain(const struct leash_conn *conn, const struct leash_der *certs, size_t count,
		      uint16_t version, uint16_t cipher, struct leash_fault *fault);

/**
 * leash_judge_say() - Say what is wrong
 * @conn:	NULL where the connection is not known
 * Return: 0 where only audit or skip_domain_check lets it, else the reason's negative errno
 */
int leash_judge_say(struct leash_conn *conn, const char *call, const struct leash_fault *fault,
		    uint16_t version, uint16_t cipher);

/** leash_judge_version() - "TLS 1.2", or NULL */
const char *leash_judge_version(uint16_t version);

/** leash_judge_keep() - For leash_verify_facts(): what this handshake has shown. @leaf: NULL: no
 *  certificate was looked at */
void leash_judge_keep(struct leash_conn *conn, uint16_t version, uint16_t cipher,
		      const struct leash_fault *leaf);

/** leash_judge_accepted() - The event of a handshake that was accepted. @how: its detail, or NULL */
void leash_judge_accepted(const struct leash_conn *conn, const char *call, const char *how);

#endif
