/* SPDX-License-Identifier: MIT */
/*
 * Any bytes in any charset, in pieces and with little room: the same as in one. The first byte
 * names the charset, the second seeds the cuts, and all of it is also a label.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/http/charset.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)
#define IN_MAX  4096
#define OUT_MAX (IN_MAX * LEASH_CHARSET_GROWTH + 2 * LEASH_CHARSET_ROOM)

struct result {
	uint8_t bytes[OUT_MAX];
	size_t len;
	bool malformed;
};

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

/* Each piece and each output is a block of its own, so that a byte too far is seen */
static void feed(struct leash_charset_conv *conv, const uint8_t *in, size_t len, size_t room,
		 struct result *result)
{
	uint8_t *copy = malloc(len ? len : 1), *out = malloc(room);
	struct leash_text_io io = {.in = copy, .in_left = len};

	CHECK(copy && out);
	memcpy(copy, in, len);
	do {
		size_t before = io.in_left;

		io.out = out;
		io.out_left = room;
		leash_charset_feed(conv, &io);
		CHECK(io.in_left <= before && io.out_left <= room &&
		      conv->tail_len <= sizeof(conv->tail));
		CHECK(io.in_left < before || io.out_left < room || before == 0);
		CHECK(io.in_left == 0 || io.out_left < LEASH_CHARSET_ROOM);
		CHECK(room - io.out_left <=
		      LEASH_CHARSET_GROWTH * (before - io.in_left) + LEASH_CHARSET_SLACK);
		CHECK(result->len + (room - io.out_left) <= sizeof(result->bytes));
		memcpy(result->bytes + result->len, out, room - io.out_left);
		result->len += room - io.out_left;
	} while (io.in_left);
	free(copy);
	free(out);
}

static void convert(enum leash_charset from, const uint8_t *in, size_t len, uint32_t seed,
		    struct result *result)
{
	struct leash_charset_conv conv;
	struct leash_text_io io;

	result->len = 0;
	CHECK(leash_charset_open(&conv, from) == 0);
	while (len) {
		size_t piece = seed ? 1 + next(&seed) % 9 : len;
		size_t room = seed ? LEASH_CHARSET_ROOM + next(&seed) % 64 : OUT_MAX;

		if (piece > len)
			piece = len;
		feed(&conv, in, piece, room, result);
		in += piece;
		len -= piece;
	}
	io = (struct leash_text_io){.out = result->bytes + result->len,
				    .out_left = LEASH_CHARSET_ROOM};
	CHECK(leash_charset_finish(&conv, &io) == 0);
	result->len += LEASH_CHARSET_ROOM - io.out_left;
	result->malformed = conv.malformed;
	leash_charset_close(&conv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result once, pieces;
	struct leash_charset_conv untouched = {.tail_len = 5};
	enum leash_charset from;

	CHECK(leash_charset_find(data, size) < LEASH_CHARSET_NUM);
	if (size < 2 || size > IN_MAX)
		return 0;
	from = (enum leash_charset)(data[0] % LEASH_CHARSET_NUM);
	if (leash_charset_open(&untouched, from) < 0) {
		CHECK(untouched.tail_len == 5 && !untouched.open);
		return 0;
	}
	leash_charset_close(&untouched);
	convert(from, data + 2, size - 2, 0, &once);
	convert(from, data + 2, size - 2, 1u + data[1], &pieces);
	CHECK(pieces.malformed == once.malformed && pieces.len == once.len);
	CHECK(memcmp(pieces.bytes, once.bytes, once.len) == 0);
	return 0;
}
