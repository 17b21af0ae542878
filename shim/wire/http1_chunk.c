/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding (RFC 9112 section 7.1). Size lines hold nothing that is dropped, so they are not kept but
 * run through a state machine byte by byte.
 */
#include "shim/wire/http1_inner.h"

enum chunk_state {
	CHUNK_DIGITS,
	CHUNK_BLANKS,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA_BYTES,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_OVER
};

void leash_http1_chunk_init(struct leash_http1_chunk *chunk)
{
	*chunk = (struct leash_http1_chunk){.state = CHUNK_DIGITS};
}

/* One byte of a size line, or behind the data. Return: 0, 1 at the end of the line, -EBADMSG */
static int chunk_byte(struct leash_http1_chunk *chunk, uint8_t byte)
{
	int digit;

	switch ((enum chunk_state)chunk->state) {
	case CHUNK_DIGITS:
		digit = hex(byte);
		if (digit >= 0) {
			/* 16 digits and 63 bits: nobody has to agree on how a size wraps around */
			if (chunk->line_len > 16 || chunk->left > INT64_MAX >> 4)
				return -EBADMSG;
			chunk->left = chunk->left << 4 | (unsigned int)digit;
			return 0;
		}
		if (chunk->line_len == 1)
			return -EBADMSG;
		chunk->state = CHUNK_BLANKS;
		return chunk_byte(chunk, byte);
	case CHUNK_BLANKS:
		if (is_blank(byte))
			return 0;
		if (byte != ';' && byte != '\r')
			return -EBADMSG;
		chunk->state = byte == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
		return 0;
	case CHUNK_EXTENSION:
		if (byte == '\0' || byte == '\n')
			return -EBADMSG;
		if (byte == '\r')
			chunk->state = CHUNK_SIZE_LF;
		return 0;
	case CHUNK_SIZE_LF:
		if (byte != '\n')
			return -EBADMSG;
		chunk->line_len = 0;
		chunk->state = chunk->left ? CHUNK_DATA_BYTES : CHUNK_OVER;
		return 1;
	case CHUNK_DATA_CR:
		if (byte != '\r')
			return -EBADMSG;
		chunk->state = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		if (byte != '\n')
			return -EBADMSG;
		chunk->line_len = 0;
		chunk->state = CHUNK_DIGITS;
		return 1;
	case CHUNK_DATA_BYTES:
	case CHUNK_OVER:
		break;
	}
	return -EBADMSG;
}

int leash_http1_chunk_next(struct leash_http1_chunk *chunk, const uint8_t *buf, size_t len,
			   size_t *ret_len)
{
	size_t n = 0;
	int rc = 0;

	if (chunk->state == CHUNK_DATA_BYTES) {
		n = chunk->left < len ? (size_t)chunk->left : len;
		chunk->left -= n;
		if (chunk->left == 0)
			chunk->state = CHUNK_DATA_CR;
		*ret_len = n;
		return LEASH_CHUNK_DATA;
	}
	while (n < len && rc == 0) {
		if (++chunk->line_len > LEASH_HTTP1_LINE_MAX)
			return -EBADMSG;
		rc = chunk_byte(chunk, buf[n++]);
	}
	if (rc < 0)
		return rc;
	*ret_len = n;
	return chunk->state == CHUNK_OVER ? LEASH_CHUNK_LAST : LEASH_CHUNK_FRAME;
}
