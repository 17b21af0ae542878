/* SPDX-License-Identifier: MIT */
/*
 * The ClientHello at the start of a TCP stream: who the program says it is
 * talking to (RFC 8446 section 4.1.2, RFC 6066 section 3).
 */
#ifndef LEASH_TLS_HELLO_H
#define LEASH_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_HELLO_MAX (16u << 10)	/* bytes of the handshake message; more is refused */
#define LEASH_HELLO_STREAM_MAX (20u << 10)	/* with its record headers: a caller's buffer */

struct leash_tls_hello {
	uint16_t legacy_version;
	uint8_t random[32];
	size_t session_id_len;
	size_t cipher_suite_count;	/* GREASE included */
	char sni[254];			/* host name, lower case as found, one trailing dot cut; "" if none */
	size_t sni_len;			/* 0: no server_name extension */
	uint16_t versions[16];		/* supported_versions without GREASE, as many as fit */
	size_t version_count;
	char alpn[256];			/* protocol names, each ended by NUL, as many as fit whole */
	size_t alpn_len;
	bool ticket, psk, early_data, ech;
	size_t ech_len;
	unsigned int records;		/* TLS records that the message came in */
	size_t message_len;		/* handshake length, without its 4 header bytes */
};

/**
 * leash_tls_hello_parse() - Read a ClientHello from the start of a TCP stream
 * @buf:	Bytes seen so far, from the first of the connection; only read
 * @len:	Bytes in @buf
 * @out:	Filled in on success, untouched otherwise
 *
 * The handshake message is put together over records (the caller's stack is not
 * used for it: the parser walks the fragments). Record and legacy versions are
 * not judged. GREASE and unknown extensions are skipped. Malformed is: record
 * type other than 22 first, a record of length 0 or over 16384 + 256, alert or
 * CCS inside the hello, handshake type other than 1, message over
 * LEASH_HELLO_MAX, lengths that do not add up, session id over 32, odd cipher or
 * version list, empty ALPN entry, an extension twice, server_name that is empty,
 * has two host names, a name type other than 0, is over 253 bytes, holds NUL,
 * non-ASCII or an address literal.
 *
 * Return: bytes of @buf that the hello takes (to the end of its last record), -EAGAIN if
 *	   @buf ends early, -EBADMSG if no further input could make this a ClientHello
 */
int leash_tls_hello_parse(const void *buf, size_t len, struct leash_tls_hello *out);

/**
 * leash_http_request_start() - Do these first bytes begin a plaintext HTTP/1.x request?
 * Return: 1 yes (METHOD SP), 0 no, -EAGAIN if @buf is a proper prefix of one
 */
int leash_http_request_start(const void *buf, size_t len);

#endif
