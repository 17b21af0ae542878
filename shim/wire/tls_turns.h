/* SPDX-License-Identifier: MIT */
/*
 * Whose turn is it on a TLS connection that nobody can read: has the server begun to answer?
 *
 * Only record headers are looked at (RFC 8446 5.1). The handshake of the server is no answer, nor are
 * the session tickets that TLS 1.3 sends behind it (RFC 8446 4.6.1), which would otherwise pass for
 * one: a few short records of about the same length, at once.
 */
#ifndef LEASH_TLS_TURNS_H
#define LEASH_TLS_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: nothing was said yet. */
struct leash_tls_turns {
	struct {
		uint8_t head[5], head_len;
		uint16_t left;		/* of the record's body */
	} side[2];			/* client, server */
	uint16_t ticket_len;
	uint8_t tickets;
	uint8_t data_out;		/* the client sent encrypted records */
	uint8_t v13;			/* the server encrypted first: TLS 1.3 */
	uint8_t lost;			/* these are no records, or bytes went by unseen */
	int64_t data_ms, ticket_ms;	/* when the client's first, and the first ticket, were seen */
};

/** leash_tls_turns_out() - Bytes that left. @now_ms: any clock */
void leash_tls_turns_out(struct leash_tls_turns *turns, const void *buf, size_t len, int64_t now_ms);

/**
 * leash_tls_turns_in() - Bytes that came
 * Return: is it (also) an answer? true as well where that can no longer be told
 */
bool leash_tls_turns_in(struct leash_tls_turns *turns, const void *buf, size_t len, int64_t now_ms);

#endif
