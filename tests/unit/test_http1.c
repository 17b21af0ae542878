/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/wire/http1.h"
#include "tests/unit/guard.h"
#include "tests/unit/http_corpus.h"

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

static struct leash_http1_text text_of(const char *at)
{
	size_t len = strlen(at);

	return (struct leash_http1_text){guard_tail(at, len), len};
}

#define assert_text(text, want)                                                                    \
	do {                                                                                       \
		assert_int_equal((text).len, strlen(want));                                        \
		assert_memory_equal((text).at, want, strlen(want));                                \
	} while (0)

/* Every length from 0 to 40 and every offset of the interesting byte: whole words and the rest */
static void lines_end_where_they_end(void **state)
{
	static const struct {
		const char *end;
		size_t len;
		bool ends;
		enum leash_http1_fault fault;
	} rows[] = {
		{"\n", 1, true, LEASH_HTTP1_FINE},         {"\r\n", 2, true, LEASH_HTTP1_FINE},
		{"\r", 1, false, LEASH_HTTP1_FINE},        {"\rx", 2, false, LEASH_HTTP1_BARE_CR},
		{"\r\r\n", 3, false, LEASH_HTTP1_BARE_CR}, {"\0\n", 2, false, LEASH_HTTP1_NUL},
		{"", 0, false, LEASH_HTTP1_FINE},
	};
	static const char fills[] = {'a',    '\t',   '\x0f', '\x10', '\x7f',
				     '\x80', '\xff', '\x0e', '\x0b'};
	uint8_t line[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t before = 0; before <= 40; before++) {
			for (size_t behind = 0; behind < 10; behind++) {
				for (size_t fill = 0; fill < sizeof(fills); fill++) {
					enum leash_http1_fault fault = LEASH_HTTP1_FINE;
					size_t len = before + rows[i].len + behind, got;

					if (behind && !rows[i].ends &&
					    rows[i].fault == LEASH_HTTP1_FINE)
						continue;
					memset(line, fills[fill], sizeof(line));
					memcpy(line + before, rows[i].end, rows[i].len);
					got = leash_http1_line(guard_tail(line, len), len, &fault);
					assert_int_equal(fault, rows[i].fault);
					assert_int_equal(got,
							 rows[i].ends ? before + rows[i].len : 0);
					if (got)
						assert_int_equal(leash_http1_line_text(line, got),
								 before);
				}
			}
		}
	}
}

static void fields(void **state)
{
	static const struct {
		const char *line;
		enum leash_http1_name name;
		const char *value; /* NULL: refused */
	} rows[] = {
		{"Host: a", LEASH_HTTP1_HOST, "a"},
		{"hOST\t :\t a b \t", LEASH_HTTP1_HOST, "a b"},
		{"Host:", LEASH_HTTP1_HOST, ""},
		{"Host:  ", LEASH_HTTP1_HOST, ""},
		{"Host::", LEASH_HTTP1_HOST, ":"},
		{"REFERER:x", LEASH_HTTP1_REFERER, "x"},
		{"referrer: x", LEASH_HTTP1_OTHER, "x"},
		{"X-Referer: x", LEASH_HTTP1_OTHER, "x"},
		{"Range:x", LEASH_HTTP1_RANGE, "x"},
		{"expect:x", LEASH_HTTP1_EXPECT, "x"},
		{"Upgrade:x", LEASH_HTTP1_UPGRADE, "x"},
		{"Connection:x", LEASH_HTTP1_CONNECTION_FIELD, "x"},
		{"Content-Type:x", LEASH_HTTP1_CONTENT_TYPE, "x"},
		{"Content-Range:x", LEASH_HTTP1_CONTENT_RANGE, "x"},
		{"Content-Length:x", LEASH_HTTP1_CONTENT_LENGTH, "x"},
		{"Content-Encoding:x", LEASH_HTTP1_CONTENT_ENCODING, "x"},
		{"TRANSFER-ENCODING:x", LEASH_HTTP1_TRANSFER_ENCODING, "x"},
		{"Sec-WebSocket-Key:x", LEASH_HTTP1_WEBSOCKET_KEY, "x"},
		{"Sec-WebSocket-Accept:x", LEASH_HTTP1_WEBSOCKET_ACCEPT, "x"},
		{"Transfer_Encoding:x", LEASH_HTTP1_OTHER, "x"},
		{"Content\x0dLength:x", LEASH_HTTP1_OTHER, NULL},
		{"a(b):x", LEASH_HTTP1_OTHER, "x"},
		{"\xc3\xa4:x", LEASH_HTTP1_OTHER, "x"},
		{":x", LEASH_HTTP1_OTHER, NULL},
		{"", LEASH_HTTP1_OTHER, NULL},
		{"Host", LEASH_HTTP1_OTHER, NULL},
		{"Host ", LEASH_HTTP1_OTHER, NULL},
		{"Host x:y", LEASH_HTTP1_OTHER, NULL},
		{" Host:y", LEASH_HTTP1_OTHER, NULL},
		{"Host\x7f:y", LEASH_HTTP1_OTHER, NULL},
		{"Host\x0b:y", LEASH_HTTP1_OTHER, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].line);
		struct leash_http1_text value = {NULL, 77};
		enum leash_http1_name name = LEASH_HTTP1_RANGE;
		int rc = leash_http1_field(guard_tail(rows[i].line, len), len, &name, &value);

		if (rc != (rows[i].value ? 0 : -EBADMSG))
			fail_msg("%s: %d", rows[i].line, rc);
		if (rc < 0) {
			assert_int_equal(value.len, 77);
			continue;
		}
		assert_text(value, rows[i].value);
		assert_int_equal(name, rows[i].name);
	}
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t number;
	} rows[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EBADMSG, 0},
		{"-1", -EBADMSG, 0},
		{"+1", -EBADMSG, 0},
		{"1 ", -EBADMSG, 0},
		{"0x1", -EBADMSG, 0},
		{"1,1", -EBADMSG, 0},
		{"\xb2", -EBADMSG, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t number = -5;

		assert_int_equal(leash_http1_number(text_of(rows[i].text), &number), rows[i].rc);
		assert_true(number == (rows[i].rc ? -5 : rows[i].number));
	}
}

static void lists(void **state)
{
	static const char *const want[] = {"", "a", "b c", "", "d", ""};
	struct leash_http1_text list = text_of(" ,a,\tb c\t,,d , "), one;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(leash_http1_element(&list, &one));
		assert_text(one, want[i]);
	}
	assert_false(leash_http1_element(&list, &one));
	list = text_of("");
	assert_true(leash_http1_element(&list, &one));
	assert_int_equal(one.len, 0);
	assert_false(leash_http1_element(&list, &one));
	assert_int_equal(leash_http1_upgrade(text_of("WebSocket")), LEASH_UPGRADE_WEBSOCKET);
	assert_int_equal(leash_http1_upgrade(text_of(" H2C , websocket/13")),
			 LEASH_UPGRADE_H2C | LEASH_UPGRADE_OTHER);
	assert_int_equal(leash_http1_upgrade(text_of("")), 0);
}

static void params(void **state)
{
	static const struct {
		const char *value, *name, *want; /* NULL: not there */
	} rows[] = {
		{"text/html;charset=gbk", "charset", "gbk"},
		{"text/html ; Charset = gbk ; x=y", "charset", "gbk"},
		{"text/html; charset=\"x; y=\\\"z\"; y=z", "charset", "x; y=\\\"z"},
		{"text/html; charset=\"x; y=\\\"z\"; y=z", "y", "z"},
		{"a; charset=b; charset=c", "charset", "b"},
		{"a; charset=", "charset", ""},
		{"a; charset=\"", "charset", ""},
		{"a; charset=\"b", "charset", "b"},
		{"a; charset=\"b\\", "charset", "b\\"},
		{"a; charset; x=y", "charset", NULL},
		{"a; charset", "charset", NULL},
		{"a; xcharset=y", "charset", NULL},
		{"charset=y", "charset", NULL},
		{"a; x=\"; charset=y\"", "charset", NULL},
		{"a\"; charset=y", "charset", NULL},
		{"", "charset", NULL},
		{";", "charset", NULL},
		{";;=;charset=b", "charset", "b"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_http1_text ret = {NULL, 77};
		bool there = leash_http1_param(text_of(rows[i].value), rows[i].name, &ret);

		if (there != (rows[i].want != NULL))
			fail_msg("%s: %s: %d", rows[i].value, rows[i].name, there);
		if (there)
			assert_text(ret, rows[i].want);
		else
			assert_int_equal(ret.len, 77);
	}
}

/* Chunks at every place to cut: the same parts */
static void chunks(void **state)
{
	static const char in[] = "3;x\r\nabc\r\n00A\t\r\n0123456789\r\n0 ; y\r\n";
	static const char data[] = "abc0123456789";

	(void)state;
	for (size_t cut = 1; cut <= sizeof(in) - 1; cut++) {
		struct leash_http1_chunk chunk;
		size_t at = 0, got = 0, n;
		int part = LEASH_CHUNK_FRAME;

		leash_http1_chunk_init(&chunk);
		while (at < sizeof(in) - 1) {
			size_t len = at < cut ? cut - at : sizeof(in) - 1 - at;
			const uint8_t *piece = guard_tail(in + at, len);

			assert_int_not_equal(part, LEASH_CHUNK_LAST);
			part = leash_http1_chunk_next(&chunk, piece, len, &n);
			assert_true(part >= 0 && n >= 1 && n <= len);
			if (part == LEASH_CHUNK_DATA) {
				assert_true(got + n <= sizeof(data) - 1);
				assert_memory_equal(piece, data + got, n);
				got += n;
			}
			at += n;
		}
		assert_int_equal(part, LEASH_CHUNK_LAST);
		assert_int_equal(got, sizeof(data) - 1);
		/* over is over */
		assert_int_equal(leash_http1_chunk_next(&chunk, (const uint8_t *)"0", 1, &n),
				 -EBADMSG);
	}
}

static void a_size_line_has_a_limit(void **state)
{
	static uint8_t line[LEASH_HTTP1_LINE_MAX + 1];

	(void)state;
	for (size_t len = LEASH_HTTP1_LINE_MAX; len <= sizeof(line); len++) {
		struct leash_http1_chunk chunk;
		size_t n;

		memset(line, 'x', sizeof(line));
		memcpy(line, "1;", 2);
		memcpy(line + len - 2, "\r\n", 2);
		leash_http1_chunk_init(&chunk);
		assert_int_equal(leash_http1_chunk_next(&chunk, line, len, &n),
				 len > LEASH_HTTP1_LINE_MAX ? -EBADMSG : LEASH_CHUNK_FRAME);
	}
}

/*
 * Tokens: every byte in one token, in order, and the same tokens wherever the input is cut. DATA
 * and FRAME may come in more pieces; pieces of one kind that follow each other count as one.
 */
static char trace[2][64 << 10];

static int tokens(bool rewrite, const char *in, size_t len, size_t cut, char *out)
{
	static uint8_t hold[LEASH_HTTP1_LINE_MAX];
	struct leash_http1 http;
	struct leash_http1_token token;
	int last = -1, rc;
	size_t at = 0;
	char *start = out;

	leash_http1_init(&http, rewrite);
	assert_int_equal(leash_http1_lend(&http, hold, sizeof(hold)), 0);
	*out = '\0';
	while (at < len) {
		size_t piece_len = at < cut ? cut - at : len - at;
		const uint8_t *piece = guard_tail(in + at, piece_len);

		rc = leash_http1_next(&http, piece, piece_len, &token);
		if (rc < 0) {
			sprintf(start, "fault %d", http.fault);
			return rc;
		}
		assert_true(token.consumed <= piece_len);
		assert_true(token.held || token.len == 0 ||
			    (token.at == piece && token.len == token.consumed));
		if (token.kind == LEASH_HTTP1_HOLD) {
			assert_int_equal(token.consumed, 0);
			leash_http1_answered(&http, true);
		}
		if (token.begin)
			out += sprintf(out, "<");
		if (token.kind != LEASH_HTTP1_NONE && (int)token.kind != last)
			out += sprintf(out, "[%d,%d%s]", (int)token.kind, (int)token.name,
				       token.drop ? ",drop" : "");
		else if (token.kind != LEASH_HTTP1_NONE && token.kind != LEASH_HTTP1_DATA &&
			 token.kind != LEASH_HTTP1_FRAME && token.kind != LEASH_HTTP1_RAW)
			out += sprintf(out, "[%d,%d%s]", (int)token.kind, (int)token.name,
				       token.drop ? ",drop" : "");
		if (token.kind != LEASH_HTTP1_NONE)
			last = (int)token.kind;
		for (size_t i = 0; i < token.len; i++)
			out += sprintf(out, "%02x", token.at[i]);
		if (token.end)
			out += sprintf(out, ">");
		at += token.consumed;
	}
	/* what is held comes last */
	if (!http.held_out) {
		for (size_t i = 0; i < http.held_len; i++)
			out += sprintf(out, "%02x", http.hold[i]);
	}
	assert_true(out < start + sizeof(trace[0]));
	return 0;
}

static void all_bytes(const char *label, const char *in, size_t len, const char *out)
{
	size_t at = 0;

	while (*out) {
		char byte[3] = "";

		if (*out == '[')
			out = strchr(out, ']');
		if (strchr("]<>", *out)) {
			out++;
			continue;
		}
		memcpy(byte, out, 2);
		if (at >= len || strtoul(byte, NULL, 16) != (uint8_t)in[at])
			fail_msg("%s: another byte at %zu", label, at);
		out += 2;
		at++;
	}
	if (at != len)
		fail_msg("%s: %zu bytes of %zu", label, at, len);
}

static void tokens_do_not_depend_on_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];

		for (int rewrite = 0; rewrite < 2; rewrite++) {
			int rc = tokens(rewrite, row->input, row->input_len, 0, trace[0]);

			if (rc == 0)
				all_bytes(row->label, row->input, row->input_len, trace[0]);
			for (size_t cut = 1; cut < row->input_len; cut++) {
				assert_int_equal(
					tokens(rewrite, row->input, row->input_len, cut, trace[1]),
					rc);
				if (strcmp(trace[0], trace[1]))
					fail_msg("%s: cut at %zu: %s, in one piece %s", row->label,
						 cut, trace[1], trace[0]);
			}
		}
	}
}

static void the_lent_buffer(void **state)
{
	struct leash_http1 http;
	struct leash_http1_token token = {.len = 77};
	uint8_t small[4], large[64];

	(void)state;
	leash_http1_init(&http, true);
	/* a complete line needs none */
	assert_int_equal(leash_http1_next(&http, "GET / HTTP/1.1\r\n", 16, &token), 0);
	assert_int_equal(token.kind, LEASH_HTTP1_START);
	/* an unfinished one does; nothing is taken without */
	token.len = 77;
	assert_int_equal(leash_http1_next(&http, "abc", 3, &token), -ENOBUFS);
	assert_int_equal(token.len, 77);
	assert_int_equal(leash_http1_lend(&http, small, sizeof(small)), 0);
	assert_false(leash_http1_holds(&http));
	assert_int_equal(leash_http1_next(&http, "abc", 3, &token), 0);
	assert_int_equal(token.kind, LEASH_HTTP1_NONE);
	assert_true(leash_http1_holds(&http));
	assert_false(leash_http1_idle(&http));
	assert_int_equal(leash_http1_next(&http, ": d\r\n", 5, &token), -ENOBUFS);
	/* not back, not into a smaller one */
	assert_int_equal(leash_http1_lend(&http, NULL, 0), -EBUSY);
	assert_int_equal(leash_http1_lend(&http, large, 2), -EBUSY);
	assert_int_equal(leash_http1_lend(&http, large, sizeof(large)), 0);
	memset(small, 0, sizeof(small));
	assert_int_equal(leash_http1_next(&http, ": d\r\nrest", 9, &token), 0);
	assert_int_equal(token.kind, LEASH_HTTP1_FIELD);
	assert_true(token.held);
	assert_int_equal(token.consumed, 5);
	assert_int_equal(token.len, 8);
	assert_memory_equal(token.at, "abc: d\r\n", 8);
	/* in use until the next call */
	assert_true(leash_http1_holds(&http));
	assert_int_equal(leash_http1_next(&http, "\r\n", 2, &token), 0);
	assert_int_equal(token.kind, LEASH_HTTP1_HEAD_END);
	assert_true(token.end);
	assert_false(leash_http1_holds(&http));
	assert_int_equal(leash_http1_lend(&http, NULL, 0), 0);
	assert_true(leash_http1_idle(&http));
	assert_int_equal(leash_http1_next(&http, NULL, 0, &token), 0);
	assert_int_equal(token.kind, LEASH_HTTP1_NONE);
}

/* What the tokenizer must know of a connection at once, and what it must wait for */
static void recognition(void **state)
{
	static const struct {
		const char *bytes;
		int http; /* 1 yes, 0 raw, -1 not known yet */
	} rows[] = {
		{"G", -1},          {"GET", -1},       {"GET ", 1},       {"GETX ", -1},
		{"POST\t", 1},      {"PRI ", 1},       {"CONNECT ", 1},   {"GET\r", 1},
		{"HELLO", -1},      {"HELLO wor", -1}, {"HELLO wor ", 0}, {"HELLO wor\n", 0},
		{"HELLO wor:", 1},  {"hello w", -1},   {"hello wo", 0},   {"hello http", -1},
		{"hello http:", 1}, {"hello /", 1},    {"hello *", 1},    {"hello\n", 0},
		{"hello 1", 0},     {"\x16", 0},       {"{", 0},          {"\r", -1},
		{" ", -1},          {" G", -1},        {" x", -1},        {"\r\n\n", -1},
		{"\r\n\n{", 0},     {"\xff", 0},       {"a\x80", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_http1 http;
		struct leash_http1_token token;
		uint8_t hold[64];
		size_t at = 0, len = strlen(rows[i].bytes);
		int got = -1;

		leash_http1_init(&http, true);
		leash_http1_lend(&http, hold, sizeof(hold));
		while (at < len && got < 0) {
			int rc = leash_http1_next(&http, guard_tail(rows[i].bytes + at, len - at),
						  len - at, &token);

			if (rc < 0 || token.begin)
				got = 1;
			else if (token.kind == LEASH_HTTP1_RAW)
				got = 0;
			at += token.consumed;
		}
		if (got != rows[i].http)
			fail_msg("%s: %d", rows[i].bytes, got);
	}
}

/* Facts of one request do not leak into the next */
static void facts_are_of_one_request(void **state)
{
	static const char first[] =
		"POST http://t.example:1/long HTTP/1.1\r\nHost: h.example:2\r\n"
		"Content-Length: 0\r\nContent-Type: multipart/form-data; boundary=b\r\nRange: x\r\n"
		"Expect: 100-continue\r\nConnection: close, upgrade\r\nSec-WebSocket-Key: "
		"k\r\n\r\n";
	static const char second[] = "GET / HTTP/1.0\r\n\r\n";
	struct leash_http1_token token;
	struct leash_http1 http;
	size_t at = 0;

	(void)state;
	leash_http1_init(&http, false);
	while (at < sizeof(first) - 1) {
		assert_int_equal(
			leash_http1_next(&http, first + at, sizeof(first) - 1 - at, &token), 0);
		at += token.consumed;
	}
	assert_true(token.end);
	assert_string_equal(http.facts.host.name, "h.example");
	assert_int_equal(http.facts.host.port, 2);
	assert_string_equal(http.facts.target_host.name, "t.example");
	assert_int_equal(http.facts.target_host.port, 1);
	assert_int_equal(http.facts.content_length, 0);
	assert_true(http.facts.multipart && http.facts.boundary_len == 1 && http.facts.range &&
		    http.facts.expect_continue && http.facts.close &&
		    http.facts.connection_upgrade && http.facts.websocket_key);
	for (at = 0; at < sizeof(second) - 1; at += token.consumed)
		assert_int_equal(
			leash_http1_next(&http, second + at, sizeof(second) - 1 - at, &token), 0);
	assert_string_equal(http.facts.method, "GET");
	assert_string_equal(http.facts.target, "/");
	assert_int_equal(http.facts.target_len, 1);
	assert_int_equal(http.facts.minor, 0);
	assert_int_equal(http.facts.content_length, -1);
	assert_false(http.facts.host.present || http.facts.host.name_len || *http.facts.host.name ||
		     http.facts.target_host.present || *http.facts.target_host.name);
	assert_true(http.facts.host.port == -1 && http.facts.target_host.port == -1);
	assert_false(http.facts.multipart || http.facts.boundary_len || http.facts.range ||
		     http.facts.expect_continue || http.facts.close ||
		     http.facts.connection_upgrade || http.facts.websocket_key);
}

/* What is kept of long texts */
static void long_facts(void **state)
{
	static char head[4096];
	struct leash_http1_token token;
	struct leash_http1 http;
	size_t at, len;

	(void)state;
	len = (size_t)sprintf(head,
			      "GET /%01000d HTTP/1.1\r\nContent-Type: multipart/form-data; "
			      "boundary=%0200d\r\nHost: %0255d:1\r\n\r\n",
			      1, 2, 3);
	leash_http1_init(&http, false);
	for (at = 0; at < len; at += token.consumed)
		assert_int_equal(leash_http1_next(&http, head + at, len - at, &token), 0);
	assert_int_equal(http.facts.target_len, 1001);
	assert_int_equal(strlen(http.facts.target), LEASH_HTTP1_TARGET_SIZE - 1);
	assert_int_equal(http.facts.boundary_len, LEASH_HTTP1_BOUNDARY_SIZE);
	assert_int_equal(http.facts.host.name_len, 255);
	assert_int_equal(strlen(http.facts.host.name), 255);
	len = (size_t)sprintf(head, "GET / HTTP/1.1\r\nHost: %0256d\r\n\r\n", 3);
	leash_http1_init(&http, false);
	assert_int_equal(leash_http1_next(&http, head, len, &token), 0);
	at = token.consumed;
	assert_int_equal(leash_http1_next(&http, head + at, len - at, &token), -EBADMSG);
	assert_int_equal(http.fault, LEASH_HTTP1_BAD_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_where_they_end),
		cmocka_unit_test(fields),
		cmocka_unit_test(numbers),
		cmocka_unit_test(lists),
		cmocka_unit_test(params),
		cmocka_unit_test(chunks),
		cmocka_unit_test(a_size_line_has_a_limit),
		cmocka_unit_test(tokens_do_not_depend_on_the_pieces),
		cmocka_unit_test(the_lent_buffer),
		cmocka_unit_test(recognition),
		cmocka_unit_test(facts_are_of_one_request),
		cmocka_unit_test(long_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
