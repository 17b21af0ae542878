/* SPDX-License-Identifier: MIT */
/*
 * The handshake stream out of TLS records that come in pieces (RFC 8446 section 5.1): messages do
 * not care where a record ends, records do not care where a segment ends.
 */
#ifndef LEASH_TLS_RECORD_H
#define LEASH_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_RECORD_HEAD 5
#define LEASH_RECORD_MAX (16384u + 2048)	/* a body, RFC 5246 section 6.2.3; TLS 1.3 allows less */

enum leash_record {
	LEASH_RECORD_CCS = 20,
	LEASH_RECORD_ALERT = 21,
	LEASH_RECORD_HANDSHAKE = 22,
	LEASH_RECORD_DATA = 23,
};

/* Where a stream is; all zero at its start. */
struct leash_tls_records {
	uint8_t head[LEASH_RECORD_HEAD];
	uint8_t head_len;
	uint8_t stop;		/* type of the first record that is no handshake; 0: none yet */
	bool dropping;		/* the current record is skipped */
	uint16_t left;		/* of the current record's body */
};

/**
 * leash_tls_records_feed() - Add the handshake bytes of what came to a buffer
 * @records:	Where the stream is, moved on
 * @in:		New bytes; what lies behind the first other record's head is left alone
 * @out:	Buffer of @size bytes, *len of them used
 *
 * Stops at the first record that is no handshake (.stop): a change cipher spec, an alert, encrypted
 * data. leash_tls_records_resume() goes on behind it.
 *
 * Return: bytes of @in consumed; -EBADMSG: no TLS record, its length 0 or over the maximum;
 *	   -EMSGSIZE: @out is full
 */
int leash_tls_records_feed(struct leash_tls_records *records, const void *in, size_t len,
			   uint8_t *out, size_t size, size_t *out_len);

/**
 * leash_tls_records_resume() - Skip the record at which the stream stopped
 * Its body may still be to come; it is dropped as it comes. Only where what follows is in the clear:
 * after the change cipher spec of a HelloRetryRequest (RFC 8446 appendix D.4).
 */
void leash_tls_records_resume(struct leash_tls_records *records);

#endif
