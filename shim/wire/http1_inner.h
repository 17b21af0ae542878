/* SPDX-License-Identifier: MIT */
/*
 * What the files of http1 share; nobody else includes it. http1.c is the stream, http1_line.c lines and
 * fields, http1_request.c the facts of a request, http1_chunk.c the chunked coding.
 */
#ifndef LEASH_HTTP1_INNER_H
#define LEASH_HTTP1_INNER_H

#include "shim/wire/http1.h"

#include <errno.h>
#include <string.h>

enum state {
	STATE_START,		/* empty lines, then a request line */
	STATE_FIELDS,
	STATE_BODY,		/* Content-Length: t->left to come */
	STATE_CHUNKS,
	STATE_TRAILER,
	STATE_HOLD,		/* the request with an Upgrade is out, its answer not here */
	STATE_RAW,
	STATE_BAD
};

enum answer {
	ANSWER_OPEN,
	ANSWER_ORDINARY,
	ANSWER_UPGRADED
};

#define C_TOKEN	1u		/* tchar (RFC 9110 section 5.6.2): methods */
#define C_HOST	2u

extern const uint8_t leash_http1_class[256];	/* C_* of a byte */

static inline bool is(uint8_t byte, unsigned int class)
{
	return leash_http1_class[byte] & class;
}

static inline bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static inline bool is_alpha(uint8_t byte)
{
	return (uint8_t)((byte | 0x20) - 'a') < 26;
}

static inline bool is_digit(uint8_t byte)
{
	return (uint8_t)(byte - '0') < 10;
}

static inline int hex(uint8_t byte)
{
	if (is_digit(byte))
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/*
 * Eight bytes at a time. Each answers the high bit of the first byte that is looked for, and maybe
 * of more behind it (a borrow): the lowest bit is right, also after several are joined with |.
 */
#define ONES 0x0101010101010101u
#define LITTLE_ENDIAN_WORDS (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static inline uint64_t below(uint64_t word, uint64_t byte)
{
	return (word - ONES * byte) & ~word & ONES * 0x80;
}

static inline uint64_t equals(uint64_t word, uint64_t byte)
{
	return below(word ^ ONES * byte, 1);
}

static inline uint64_t word_at(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Visible bytes and those above 127, up to @stop */
static inline size_t span_visible(const uint8_t *at, size_t len, uint8_t stop)
{
	size_t n = 0;

	while (LITTLE_ENDIAN_WORDS && len - n >= 8) {
		uint64_t word = word_at(at + n);
		uint64_t found = below(word, 0x21) | equals(word, 0x7f) | equals(word, stop);

		if (found)
			return n + (size_t)__builtin_ctzll(found) / 8;
		n += 8;
	}
	while (n < len && at[n] > 0x20 && at[n] != 0x7f && at[n] != stop)
		n++;
	return n;
}

/* Bytes from the start that are of a class */
static inline size_t span_of(const uint8_t *at, size_t len, unsigned int class)
{
	size_t n = 0;

	while (n < len && is(at[n], class))
		n++;
	return n;
}

static inline size_t blanks(const uint8_t *at, size_t len)
{
	size_t n = 0;

	while (n < len && is_blank(at[n]))
		n++;
	return n;
}

static inline struct leash_http1_text trim(const uint8_t *at, size_t len)
{
	while (len && is_blank(*at)) {
		at++;
		len--;
	}
	while (len && is_blank(at[len - 1]))
		len--;
	return (struct leash_http1_text){at, len};
}

/* @word is lower case: letters, digits and '-', which 0x20 leaves alone */
static inline bool same(const uint8_t *at, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = at[i];

		if ((uint8_t)(byte - 'A') < 26)
			byte |= 0x20;
		if (byte != (uint8_t)word[i])
			return false;
	}
	return true;
}

/* @method is a literal: its length is no call then */
static inline bool leash_http1_is_method(const uint8_t *at, size_t len, const char *method)
{
	return len == strlen(method) && memcmp(at, method, len) == 0;
}

static inline int refuse(struct leash_http1 *http, enum leash_http1_fault fault)
{
	http->fault = fault;
	http->state = STATE_BAD;
	return -EBADMSG;
}

/* Facts out of complete lines. Each answers 0, or sets the fault and answers -EBADMSG */
void leash_http1_reset(struct leash_http1_request *facts);
int leash_http1_read_start(struct leash_http1 *http, const uint8_t *line, size_t len);
int leash_http1_read_field(struct leash_http1 *http, const uint8_t *line, size_t len,
			   struct leash_http1_token *out);
int leash_http1_read_trailer(struct leash_http1 *http, const uint8_t *line, size_t len,
			     struct leash_http1_token *out);

#endif
