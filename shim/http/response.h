/* SPDX-License-Identifier: MIT */
/*
 * The stream of answers of one connection (RFC 9112 section 6.3): where each ends, and which
 * request it answers. Nothing here changes a byte: http/body.h does that to the items.
 *
 * Every byte comes back in exactly one item, in order. A header is kept in a block that the caller
 * lends and given as a whole, so that its length or coding can be rewritten; bodies pass in
 * pieces, from the reader's buffer. With @observe nothing is ever held: the header's bytes pass
 * at once as well, and a block is only asked for to read one that comes in pieces.
 *
 * Answers are never refused. What cannot be read with certainty (framing that readers disagree
 * on, a header over LEASH_RESPONSE_HEAD_MAX, bytes that nobody asked for) is passed as it is until
 * the connection closes, and the requests that wait end there.
 *
 * Requests are pushed by the side that writes, before their header's last byte leaves, and popped
 * by the side that reads: the caller's lock covers both calls.
 */
#ifndef LEASH_RESPONSE_H
#define LEASH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/wire/http1.h"

#define LEASH_RESPONSE_HEAD_MAX	  (64u << 10)
#define LEASH_RESPONSE_QUEUE_MAX  64		/* pipelined requests; the next is refused */

/* What a request changes in the framing of its answer */
#define LEASH_ASK_HEAD	   1u		/* no body whatever the header says */
#define LEASH_ASK_CONNECT  2u		/* 2xx opens a tunnel */
#define LEASH_ASK_UPGRADE  4u		/* 101 may follow */
#define LEASH_ASK_HTTP10   8u		/* for http/body: no chunked coding in the answer */

enum leash_response_framing {
	LEASH_FRAMED_NONE,		/* no body */
	LEASH_FRAMED_LENGTH,
	LEASH_FRAMED_CHUNKED,
	LEASH_FRAMED_CLOSE		/* until the connection closes */
};

struct leash_response_head {
	uint16_t status;
	uint8_t minor;				/* HTTP/1.minor */
	enum leash_response_framing framing;
	int64_t content_length;			/* -1: none; also of HEAD, 304 (no body) */
	unsigned int upgrade;			/* LEASH_UPGRADE_* */
	bool websocket_accept;			/* Sec-WebSocket-Accept is there */
	bool close;				/* Connection: close */
	bool text;				/* Content-Type may be one that http/body knows as text */
};

enum leash_response_kind {
	LEASH_RESPONSE_NONE,	/* all input is taken, and kept (nothing to pass on) */
	LEASH_RESPONSE_GAP,	/* empty lines before a status line */
	LEASH_RESPONSE_PART,	/* only with @observe: bytes of a header that is not complete yet */
	LEASH_RESPONSE_INTERIM,	/* a complete 1xx header but 101: the answer is to come */
	LEASH_RESPONSE_HEAD,	/* a complete header; rs->head says what it holds */
	LEASH_RESPONSE_BODY,	/* body, without its framing */
	LEASH_RESPONSE_FRAME,	/* chunk size lines, CRLF behind chunks, a trailer's end */
	LEASH_RESPONSE_TRAILER,	/* bytes of the trailer section, without its empty line */
	LEASH_RESPONSE_RAW,	/* passed as it is; for good */
	LEASH_RESPONSE_CLOSED	/* from leash_response_close(): nothing but @end */
};

struct leash_response_item {
	enum leash_response_kind kind;
	const uint8_t *at;		/* to be passed on; at the input's first byte unless @own */
	size_t len;
	size_t consumed;		/* bytes of the input that are done; may be 0 if @own */
	bool own;			/* at is in the lent block (or constant) */
	bool begin;			/* the first byte of an answer (or of a 1xx) came with it */
	bool end;			/* the answer to @id ends with it, and left the queue */
	bool whole;			/* with @end: not known to be cut */
	uint32_t id;			/* of the request it answers: all but NONE, GAP, RAW */
	unsigned int ask;		/* and its LEASH_ASK_* */
	/* HEAD, INTERIM: the whole header, status line to empty line. In the lent block, where it
	 * stays until the next header begins or another block is lent. With @observe or @lean it may
	 * be in the input; @at is then the last piece of it */
	const uint8_t *block;
	size_t block_len;
};

struct leash_response_ask {
	uint32_t id : 24;
	uint32_t ask : 8;
};

/* Set up by leash_response_init(); all but @head and @lean is its own. */
struct leash_response {
	struct leash_response_head head;	/* of the last HEAD or INTERIM */
	struct leash_response_ask queue[LEASH_RESPONSE_QUEUE_MAX];
	uint64_t left;
	struct leash_http1_chunk chunk;
	uint8_t *block;
	uint32_t block_size, block_len;
	uint32_t line_at;		/* where the unfinished line of the block begins */
	uint8_t first, count;		/* of the queue */
	uint8_t state;
	bool observe;
	bool lean;			/* set by the caller: a header in one piece is not copied */
	bool begun;			/* a byte of the current answer was seen */
	bool cr_held;			/* a CR of the trailer was taken and not given back */
};

void leash_response_init(struct leash_response *rs, bool observe);

/**
 * leash_response_push() - A request leaves: its answer will come behind those that are waited for
 * @id:		The caller's; comes back with the items of its answer
 * @ask:	LEASH_ASK_* bits
 *
 * Return: 0, -ENOSPC if LEASH_RESPONSE_QUEUE_MAX are waited for
 */
int leash_response_push(struct leash_response *rs, uint32_t id, unsigned int ask);

/** leash_response_waiting() - How many answers are not complete */
size_t leash_response_waiting(const struct leash_response *rs);

/**
 * leash_response_next() - The next item of the stream
 * @buf:	Bytes from the server that were not consumed yet; only read
 * @len:	With 0 the answer is NONE
 * @out:	Filled in on success
 *
 * After a HEAD with status 101 (and @end) or 2xx to CONNECT all that follows is RAW.
 *
 * Return: 0; -ENOBUFS if an unfinished header needs a (larger) block, nothing was taken: lend one
 *	   and call again, or leash_response_give_up()
 */
int leash_response_next(struct leash_response *rs, const void *buf, size_t len,
			struct leash_response_item *out);

/** leash_response_lend() - As leash_http1_lend(). LEASH_RESPONSE_HEAD_MAX is enough for all */
int leash_response_lend(struct leash_response *rs, void *block, size_t size);

/** leash_response_holds() - Is an unfinished header in the block? */
bool leash_response_holds(const struct leash_response *rs);

/** leash_response_in_body() - Is the next byte one of a body? */
bool leash_response_in_body(const struct leash_response *rs);

/** leash_response_give_up() - Read no further: all that is held or comes is RAW. Held bytes come
 *  with the next leash_response_next() or leash_response_close() */
void leash_response_give_up(struct leash_response *rs);

/**
 * leash_response_close() - The server's stream ended; call it until it answers false
 * @out:	First the bytes of an unfinished header, if any (RAW; not with @observe: they are
 *		out), then every request that still waits (CLOSED, @end)
 *
 * Return: is there an item?
 */
bool leash_response_close(struct leash_response *rs, struct leash_response_item *out);

#endif
