/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an answer, read in pieces by a program with a small buffer, and in one by a program
 * with a large one: the same header, the same body. What is not changed comes out as it came in.
 * The first byte seeds pieces and buffers (and says which request it answers).
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/http/body.h"
#include "shim/http/response.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)
#define IN_MAX  4096
#define OUT_MAX (IN_MAX * 16) /* a byte in a chunk of its own */

struct trip {
	struct leash_response response;
	struct leash_body body;
	uint8_t block[IN_MAX];
	uint32_t seed;
	bool changed, ended, done; /* done: the rest is not compared */
	bool rechunk;
	bool broken; /* framing that turned out to be none, in the middle */
	uint8_t out[OUT_MAX];
	size_t len;
};

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

static void add(struct trip *trip, const uint8_t *bytes, size_t len)
{
	CHECK(trip->len + len <= sizeof(trip->out));
	if (len)
		memcpy(trip->out + trip->len, bytes, len);
	trip->len += len;
}

enum part { DATA, FRAME, END, CUT };

static void call(struct trip *trip, enum part part, const uint8_t *in, size_t len)
{
	struct leash_text_io io = {.in = in, .in_left = len};
	int rc;

	do {
		size_t room = trip->seed ? 1 + next(&trip->seed) % 200 : OUT_MAX;
		uint8_t *out = malloc(room), peek[8];
		size_t pending = leash_body_pending(&trip->body);
		size_t peeked = leash_body_peek(&trip->body, peek, sizeof(peek));

		CHECK(out && peeked == (pending < sizeof(peek) ? pending : sizeof(peek)));
		CHECK(leash_body_ask(&trip->body, room) >= 1 &&
		      leash_body_ask(&trip->body, room) <= room);
		io.out = out;
		io.out_left = room;
		rc = part == DATA    ? leash_body_data(&trip->body, &io)
		     : part == FRAME ? leash_body_frame(&trip->body, &io)
				     : leash_body_end(&trip->body, &io, part == END);
		CHECK((rc == 0 && (io.in_left == 0 || part >= END)) ||
		      (rc == -ENOBUFS && io.out_left == 0));
		CHECK(io.out == out + (room - io.out_left));
		CHECK(memcmp(out, peek, peeked < room ? peeked : room) == 0);
		add(trip, out, room - io.out_left);
		free(out);
	} while (rc);
}

static void item(struct trip *trip, const struct leash_response_item *it)
{
	if (it->kind == LEASH_RESPONSE_HEAD) {
		trip->changed = leash_body_begin(&trip->body, &trip->response.head, it->block,
						 it->block_len, it->ask);
		if (!trip->changed)
			add(trip, it->at, it->len);
	} else if (it->kind == LEASH_RESPONSE_RAW) {
		if (trip->changed && !trip->ended)
			call(trip, CUT, NULL, 0);
		trip->ended |= trip->changed;
		trip->broken |= trip->changed;
		/* Of a broken size line our own chunks have left out what came before the fault */
		trip->done |= trip->changed && trip->body.rechunk;
		if (!trip->done)
			add(trip, it->at, it->len);
	} else if (!trip->changed) {
		add(trip, it->at, it->len);
	} else if (it->len) {
		call(trip, it->kind == LEASH_RESPONSE_BODY ? DATA : FRAME, it->at, it->len);
	}
	if (it->end && trip->changed && !trip->ended)
		call(trip, it->whole ? END : CUT, NULL, 0);
	trip->ended |= it->end;
	trip->done |= it->end && trip->changed && it->kind != LEASH_RESPONSE_RAW;
}

static void travel(struct trip *trip, const uint8_t *in, size_t len, unsigned int ask,
		   uint32_t seed)
{
	struct leash_response_item it;

	memset(trip, 0, offsetof(struct trip, out));
	trip->len = 0;
	trip->seed = seed;
	leash_response_init(&trip->response, false);
	CHECK(leash_response_lend(&trip->response, trip->block, sizeof(trip->block)) == 0);
	CHECK(leash_response_push(&trip->response, 1, ask) == 0);
	while (len && !trip->done) {
		size_t size = seed ? 1 + next(&trip->seed) % 40 : len;
		uint8_t *piece;

		if (size > len)
			size = len;
		piece = malloc(size);
		CHECK(piece);
		memcpy(piece, in, size);
		for (size_t at = 0; at < size; at += it.consumed) {
			if (leash_response_next(&trip->response, piece + at, size - at, &it) < 0) {
				leash_response_give_up(&trip->response);
				it.consumed = 0;
				continue;
			}
			item(trip, &it);
			if (trip->done)
				break;
		}
		free(piece);
		in += size;
		len -= size;
	}
	while (!trip->done && leash_response_close(&trip->response, &it))
		item(trip, &it);
	if (trip->changed)
		CHECK(leash_body_pending(&trip->body) == 0 && leash_body_head_out(&trip->body));
	CHECK(!trip->changed || !trip->body.conv.open);
	trip->rechunk = trip->changed && trip->body.rechunk;
	leash_body_abort(&trip->body);
}

/* The end of the header: behind its empty line */
static size_t head_end(const struct trip *trip)
{
	size_t i = 0;

	while (trip->out[i] == '\r' || trip->out[i] == '\n')
		i++; /* a gap in front of the status line */
	for (; i + 1 < trip->len; i++) {
		if (trip->out[i] != '\n')
			continue;
		if (trip->out[i + 1] == '\n')
			return i + 2;
		if (trip->out[i + 1] == '\r' && i + 2 < trip->len && trip->out[i + 2] == '\n')
			return i + 3;
	}
	__builtin_trap();
}

/* Our own chunks must be without fault; their size lines go, a last one and what follows stay */
static void join_chunks(struct trip *trip)
{
	size_t at = head_end(trip), to = at;

	while (at < trip->len) {
		size_t size = 0, digits = 0;

		while (trip->out[at] != '\r') {
			uint8_t c = trip->out[at++];

			CHECK((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
			size = size * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
			digits++;
			CHECK(digits < 8 && at + 1 < trip->len);
		}
		CHECK(digits && trip->out[at + 1] == '\n');
		at += 2;
		CHECK(size ? size + 2 <= trip->len - at : true);
		memmove(trip->out + to, trip->out + at, size ? size : trip->len - at);
		if (size == 0) {
			trip->len = to + (trip->len - at);
			return;
		}
		to += size;
		at += size;
		CHECK(trip->out[at] == '\r' && trip->out[at + 1] == '\n');
		at += 2;
	}
	trip->len = to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trip once, pieces;
	unsigned int ask;

	if (size < 2 || size > IN_MAX)
		return 0;
	ask = data[0] & 1 ? LEASH_ASK_HTTP10 : 0;
	ask |= data[0] & 0x80 ? LEASH_ASK_HEAD : 0;
	travel(&once, data + 1, size - 1, ask, 0);
	travel(&pieces, data + 1, size - 1, ask, 1u + data[0]);
	CHECK(once.changed == pieces.changed && once.broken == pieces.broken);
	/* How much of a broken line came before the fault decides whether it was kept */
	if (once.broken && once.rechunk != pieces.rechunk)
		return 0;
	CHECK(once.rechunk == pieces.rechunk);
	CHECK(leash_body_note(&once.body) == leash_body_note(&pieces.body));
	if (!once.changed) {
		CHECK(once.len == size - 1 && memcmp(once.out, data + 1, size - 1) == 0);
	} else if (once.rechunk) {
		join_chunks(&once);
		join_chunks(&pieces);
	}
	CHECK(once.len == pieces.len && memcmp(once.out, pieces.out, once.len) == 0);
	return 0;
}
