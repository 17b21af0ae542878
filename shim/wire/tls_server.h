/* SPDX-License-Identifier: MIT */
/*
 * What a TLS server says in the clear: the version it chose, and up to TLS 1.2 its certificates
 * (RFC 8446 section 4.1.3, RFC 5246 section 7.4).
 */
#ifndef LEASH_TLS_SERVER_H
#define LEASH_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_SERVER_CERTS_MAX 100		/* more is refused */
#define LEASH_SERVER_CHAIN_MAX (64u << 10)	/* bytes of a certificate list; more is refused */
/* A caller's buffer: the chain and the messages around it, server key exchange and CA names */
#define LEASH_SERVER_STREAM_MAX (LEASH_SERVER_CHAIN_MAX + (36u << 10))

struct leash_tls_cert {
	const uint8_t *bytes;			/* DER, inside the stream */
	size_t len;
};

struct leash_tls_server {
	bool retry;			/* a HelloRetryRequest: version and cipher are only announced */
	bool downgraded;		/* the random says that a newer version was possible */
	bool certificate;		/* a Certificate message was there; none: resumed, or TLS 1.3 */
	uint16_t legacy_version;
	uint16_t version;		/* selected: supported_versions, else legacy_version */
	uint16_t cipher;
	uint8_t random[32];
	size_t session_id_len;
	char alpn[256];			/* selected in the clear (TLS 1.2), "" if none */
	uint32_t types;			/* bit n: message type n was seen */
	size_t cert_count;
	struct leash_tls_cert certs[LEASH_SERVER_CERTS_MAX];
};

/**
 * leash_tls_server_parse() - Read the server's first flight
 * @stream:	Handshake messages from its beginning, without record headers (tls_record.h)
 * @len:	Bytes there so far
 * @ended:	No more will come in the clear: a change cipher spec or encrypted record followed
 * @out:	Filled in on success, untouched otherwise; certificates point into @stream
 *
 * Complete are: a ServerHello of TLS 1.3, or a HelloRetryRequest (alone: what follows is another
 * stream); below 1.3 everything up to ServerHelloDone, or to the end if nothing but a session
 * ticket came before it (resumption).
 *
 * Return: bytes consumed, -EAGAIN if @stream ends early, -EBADMSG if no further input could
 *	   mend it: another first message, lengths that do not add up, an extension twice, a
 *	   certificate list that is longer than its message, empty, over the limits above, or that
 *	   holds an empty certificate, a message that has no place in this flight
 */
int leash_tls_server_parse(const void *stream, size_t len, bool ended,
			   struct leash_tls_server *out);

#endif
