/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the stream of a client: the same bytes in one piece and in pieces give the same
 * tokens, and every byte is in exactly one of them. The first byte says how it is cut.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/wire/http1.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

/* Tokens as bytes: kind, name, flags of each byte of the input */
struct tokens {
	uint8_t *kind;
	uint8_t *bytes;
	size_t len;
	int rc;
	enum leash_http1_fault fault;
};

static void run(const uint8_t *data, size_t size, unsigned int seed, bool rewrite,
		struct tokens *out)
{
	static uint8_t hold[LEASH_HTTP1_LINE_MAX];
	struct leash_http1 http;
	size_t at = 0;

	out->kind = malloc(size + 1);
	out->bytes = malloc(size + 1);
	CHECK(out->kind && out->bytes);
	out->len = 0;
	out->rc = 0;
	out->fault = LEASH_HTTP1_FINE;
	leash_http1_init(&http, rewrite);
	CHECK(leash_http1_lend(&http, hold, sizeof(hold)) == 0);
	while (at < size) {
		struct leash_http1_token token, mark;
		size_t len = size - at;
		uint8_t *piece;

		if (seed) {
			seed = seed * 1103515245 + 12345;
			len = 1 + (seed >> 16) % (seed & 0x4000 ? 3 : 40);
			len = len < size - at ? len : size - at;
		}
		memset(&mark, 0xa5, sizeof(mark));
		token = mark;
		piece = malloc(len);
		CHECK(piece);
		memcpy(piece, data + at, len);
		out->rc = leash_http1_next(&http, piece, len, &token);
		if (out->rc < 0) {
			CHECK(out->rc == -EBADMSG && memcmp(&token, &mark, sizeof(mark)) == 0);
			out->fault = http.fault;
			CHECK(out->fault > LEASH_HTTP1_FINE &&
			      out->fault < LEASH_HTTP1_FAULT_COUNT);
			free(piece);
			return;
		}
		CHECK(token.consumed <= len);
		CHECK(token.consumed || token.kind == LEASH_HTTP1_HOLD);
		CHECK(token.held || token.len == 0 ||
		      (token.at == piece && token.len == token.consumed));
		CHECK(!token.drop || rewrite);
		CHECK(out->len + token.len <= size);
		for (size_t i = 0; i < token.len; i++) {
			out->kind[out->len] = (uint8_t)((unsigned int)token.kind * 16 + token.name);
			out->bytes[out->len++] = token.at[i];
		}
		if (token.kind == LEASH_HTTP1_HEAD_END) {
			const struct leash_http1_request *facts = &http.facts;

			CHECK(memchr(facts->method, 0, sizeof(facts->method)));
			CHECK(memchr(facts->target, 0, sizeof(facts->target)));
			CHECK(strlen(facts->host.name) == facts->host.name_len);
			CHECK(!facts->chunked || facts->content_length < 0);
			CHECK(facts->boundary_len <= sizeof(facts->boundary));
			CHECK(facts->minor <= 1);
		}
		if (token.kind == LEASH_HTTP1_HOLD)
			leash_http1_answered(&http, size % 2);
		at += token.consumed;
		free(piece);
	}
	if (leash_http1_holds(&http) && !http.held_out) {
		CHECK(out->len + http.held_len == size);
		memcpy(out->bytes + out->len, http.hold, http.held_len);
		memset(out->kind + out->len, 0, http.held_len);
		out->len += http.held_len;
	}
	CHECK(out->len == size && memcmp(out->bytes, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tokens whole, parts;
	bool rewrite;

	if (size < 2)
		return 0;
	rewrite = data[0] & 1;
	run(data + 1, size - 1, 0, rewrite, &whole);
	run(data + 1, size - 1, data[0] | 1u, rewrite, &parts);
	CHECK(whole.rc == parts.rc && whole.fault == parts.fault);
	if (whole.rc == 0)
		CHECK(whole.len == parts.len && memcmp(whole.kind, parts.kind, whole.len) == 0);
	free(whole.kind);
	free(whole.bytes);
	free(parts.kind);
	free(parts.bytes);
	return 0;
}
