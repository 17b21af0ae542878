/* SPDX-License-Identifier: MIT */
/*
 * Whole answers through http/response and http/body, as the engine does it. What comes out is
 * read by a small client of its own: header, then the body as that header frames it.
 *
 * Every row runs with its stream in one piece, cut at each place, byte by byte, and with buffers
 * of the program from one byte on.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shim/http/body.h"
#include "shim/http/response.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES_MAX         (64u << 10)

struct bytes {
	uint8_t at[BYTES_MAX];
	size_t len;
};

static void add(struct bytes *to, const void *bytes, size_t len)
{
	assert_true(to->len + len <= sizeof(to->at));
	if (len)
		memcpy(to->at + to->len, bytes, len);
	to->len += len;
}

static uint32_t seed = 7;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static void dump(const char *what, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	fprintf(stderr, "%s (%zu): ", what, len);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, at[i] >= ' ' && at[i] < 0x7f ? "%c" : "\\x%02x", at[i]);
	fprintf(stderr, "\n");
}

static const char *now; /* the row that runs */

static void same(const char *what, const struct bytes *got, const void *want, size_t want_len)
{
	if (got->len == want_len && (want_len == 0 || memcmp(got->at, want, want_len) == 0))
		return;
	fprintf(stderr, "%s: %s\n", now, what);
	dump("  got", got->at, got->len);
	dump(" want", want, want_len);
	fail();
}

/* ---- the engine: a stream from the server, a program that reads */

struct trip {
	struct leash_response response;
	struct leash_body body;
	uint8_t block[4096];
	size_t room;         /* the program's buffer */
	bool changed, ended; /* what begin said; end of the answer was seen */
	bool closes;
	struct bytes out;
};

enum part { DATA, FRAME, END, CUT };

/* One call after the other, each with a fresh buffer at an unreadable page */
static void call(struct trip *trip, enum part part, const uint8_t *in, size_t len)
{
	struct leash_body *body = &trip->body;
	int rc;

	do {
		uint8_t peeked[BYTES_MAX], *out = guard_tail(peeked, trip->room);
		size_t pending = leash_body_pending(body);
		size_t peek = leash_body_peek(body, peeked, trip->room), left = len;
		struct leash_text_io io = {in, len, out, trip->room};

		assert_int_equal(peek, pending < trip->room ? pending : trip->room);
		rc = part == DATA    ? leash_body_data(body, &io)
		     : part == FRAME ? leash_body_frame(body, &io)
				     : leash_body_end(body, &io, part == END);
		assert_true(rc == 0 || rc == -ENOBUFS);
		assert_true(io.out_left <= trip->room && io.in_left <= len);
		assert_ptr_equal(io.out, out + (trip->room - io.out_left));
		assert_true((size_t)(io.out - out) >= peek);
		assert_memory_equal(out, peeked, peek);
		add(&trip->out, out, (size_t)(io.out - out));
		if (part == DATA || part == FRAME) {
			assert_true(rc == (io.in_left ? -ENOBUFS : 0));
			/* not taken: only because the buffer is full */
			assert_true(io.in_left == 0 || io.out_left == 0);
			in = io.in;
			len = io.in_left;
		} else {
			assert_true(rc == 0 || io.out_left == 0);
		}
		assert_true(rc == 0 || io.out != out || len < left);
	} while (rc);
}

static void fetch(struct trip *trip)
{
	while (trip->changed && leash_body_pending(&trip->body))
		call(trip, DATA, NULL, 0);
}

static void item(struct trip *trip, const struct leash_response_item *it)
{
	switch (it->kind) {
	case LEASH_RESPONSE_HEAD:
		trip->changed = leash_body_begin(&trip->body, &trip->response.head, it->block,
						 it->block_len, it->ask);
		if (!trip->changed)
			add(&trip->out, it->at, it->len);
		break;
	case LEASH_RESPONSE_BODY:
		if (trip->changed)
			call(trip, DATA, it->at, it->len);
		else
			add(&trip->out, it->at, it->len);
		break;
	case LEASH_RESPONSE_FRAME:
	case LEASH_RESPONSE_TRAILER:
		if (trip->changed)
			call(trip, FRAME, it->at, it->len);
		else
			add(&trip->out, it->at, it->len);
		break;
	case LEASH_RESPONSE_RAW:
		if (trip->changed && !trip->ended) {
			call(trip, CUT, NULL, 0);
			trip->ended = true;
		}
		add(&trip->out, it->at, it->len);
		break;
	case LEASH_RESPONSE_NONE:
	case LEASH_RESPONSE_GAP:
	case LEASH_RESPONSE_PART:
	case LEASH_RESPONSE_INTERIM:
		add(&trip->out, it->at, it->len);
		break;
	case LEASH_RESPONSE_CLOSED:
		break;
	}
	if (it->end && trip->changed && !trip->ended)
		call(trip, it->whole ? END : CUT, NULL, 0);
	trip->ended |= it->end;
}

static void begin(struct trip *trip, unsigned int ask, size_t room)
{
	memset(trip, 0, offsetof(struct trip, out));
	trip->out.len = 0;
	trip->room = room;
	leash_response_init(&trip->response, false);
	assert_int_equal(leash_response_lend(&trip->response, trip->block, sizeof(trip->block)), 0);
	assert_int_equal(leash_response_push(&trip->response, 1, ask), 0);
}

static void receive(struct trip *trip, const uint8_t *bytes, size_t len)
{
	while (len) {
		struct leash_response_item it;

		assert_int_equal(leash_response_next(&trip->response, bytes, len, &it), 0);
		item(trip, &it);
		bytes += it.consumed;
		len -= it.consumed;
	}
}

static void hang_up(struct trip *trip)
{
	struct leash_response_item it;

	while (leash_response_close(&trip->response, &it))
		item(trip, &it);
	fetch(trip);
	trip->closes = leash_body_closes(&trip->body);
}

/* ---- the program */

struct answer {
	struct bytes head, body, trailer;
	bool whole; /* as far as its framing says */
};

static bool has(const struct bytes *head, const char *text)
{
	return memmem(head->at, head->len, text, strlen(text)) != NULL;
}

static void read_chunks(const uint8_t *at, size_t len, struct answer *answer)
{
	while (len) {
		size_t size = 0, used = 0;

		while (used < len && strchr("0123456789abcdefABCDEF", at[used]) && at[used]) {
			size = size * 16 + (size_t)(at[used] <= '9' ? at[used] - '0'
								    : (at[used] | 0x20) - 'a' + 10);
			used++;
		}
		if (used < len && at[used] == ';') {
			while (used < len && at[used] != '\r')
				used++;
		}
		if (used + 2 > len)
			return;
		assert_true(used > 0);
		assert_memory_equal(at + used, "\r\n", 2);
		at += used + 2;
		len -= used + 2;
		if (size == 0) {
			assert_true(len >= 2);
			assert_memory_equal(at + len - 2, "\r\n", 2);
			add(&answer->trailer, at, len - 2);
			answer->whole = true;
			return;
		}
		add(&answer->body, at, size < len ? size : len);
		if (size + 2 > len)
			return;
		assert_memory_equal(at + size, "\r\n", 2);
		at += size + 2;
		len -= size + 2;
	}
}

static void read_answer(const struct bytes *stream, struct answer *answer)
{
	const uint8_t *end = memmem(stream->at, stream->len, "\r\n\r\n", 4);
	const char *length;
	size_t left;

	answer->head.len = answer->body.len = answer->trailer.len = 0;
	answer->whole = false;
	assert_non_null(end);
	add(&answer->head, stream->at, (size_t)(end + 4 - stream->at));
	left = stream->len - answer->head.len;
	if (has(&answer->head, "Transfer-Encoding: chunked\r\n")) {
		read_chunks(end + 4, left, answer);
		return;
	}
	add(&answer->body, end + 4, left);
	add(&answer->head, "", 1);
	answer->head.len--;
	length = strstr((const char *)answer->head.at, "Content-Length: ");
	answer->whole = !length || strtoull(length + 16, NULL, 10) == left;
}

/* ---- rows */

#define H11         "HTTP/1.1 200 OK\r\n"
#define LEN(number) "Content-Length: " number "\r\n"
#define TE          "Transfer-Encoding: chunked\r\n"
#define TYPE(type)  "Content-Type: " type "\r\n"
#define END_        "\r\n"

struct row {
	const char *label;
	unsigned int ask;
	const char *head;
	const char *body;
	size_t body_len;
	const char *want_head; /* NULL: not touched at all */
	const char *want_body;
	size_t want_len;
	enum leash_body_note note;
};

#define ROW(label, head, body, want_head, want_body)                                               \
	{                                                                                          \
		label, 0, head, body, sizeof(body) - 1, want_head, want_body,                      \
			sizeof(want_body) - 1, LEASH_BODY_NOTE_NONE                                \
	}
#define ASK(label, ask, head, body, want_head, want_body)                                          \
	{                                                                                          \
		label, ask, head, body, sizeof(body) - 1, want_head, want_body,                    \
			sizeof(want_body) - 1, LEASH_BODY_NOTE_NONE                                \
	}
#define NOTE(label, note, head, body, want_head, want_body)                                        \
	{                                                                                          \
		label, 0, head, body, sizeof(body) - 1, want_head, want_body,                      \
			sizeof(want_body) - 1, LEASH_BODY_NOTE_##note                              \
	}
#define KEEP(label, head, body)                                                                    \
	{                                                                                          \
		label, 0, head, body, sizeof(body) - 1, NULL, "", 0, LEASH_BODY_NOTE_NONE          \
	}

/* The answer's stream; a chunked one in chunks of @size */
static void make_stream(struct bytes *stream, const char *head, const void *body, size_t len,
			size_t size, const char *trailer)
{
	const uint8_t *at = body;
	char line[40];

	stream->len = 0;
	add(stream, head, strlen(head));
	if (!strstr(head, "chunked")) {
		add(stream, body, len);
		return;
	}
	for (size_t i = 0; i < len; i += size) {
		size_t n = len - i < size ? len - i : size;

		add(stream, line, (size_t)snprintf(line, sizeof(line), "%zX;x=1\r\n", n));
		add(stream, at + i, n);
		add(stream, "\r\n", 2);
	}
	add(stream, "00\r\n", 4);
	add(stream, trailer, strlen(trailer));
	add(stream, "\r\n", 2);
}

/* @cut: pieces end there, and every @every bytes */
static void travel(struct trip *trip, const struct row *row, const struct bytes *stream, size_t cut,
		   size_t every, size_t room)
{
	begin(trip, row->ask, room);
	for (size_t at = 0; at < stream->len;) {
		size_t end = at < cut && cut < stream->len ? cut : stream->len;
		uint8_t *piece;

		if (end - at > every)
			end = at + every;
		piece = malloc(end - at); /* its end is watched */
		assert_non_null(piece);
		memcpy(piece, stream->at + at, end - at);
		receive(trip, piece, end - at);
		free(piece);
		at = end;
	}
	hang_up(trip);
}

static void check(struct trip *trip, const struct row *row, const struct bytes *stream,
		  const char *trailer)
{
	static struct answer answer;

	if (leash_body_note(&trip->body) != row->note)
		fprintf(stderr, "%s: note %u\n", now, leash_body_note(&trip->body));
	assert_int_equal(leash_body_note(&trip->body), row->note);
	assert_int_equal(trip->changed, row->want_head != NULL);
	assert_false(trip->body.conv.open);
	if (!row->want_head) {
		same("stream", &trip->out, stream->at, stream->len);
		return;
	}
	assert_true(leash_body_head_out(&trip->body));
	assert_int_equal(leash_body_pending(&trip->body), 0);
	read_answer(&trip->out, &answer);
	same("head", &answer.head, row->want_head, strlen(row->want_head));
	same("body", &answer.body, row->want_body, row->want_len);
	assert_true(answer.whole);
	same("trailer", &answer.trailer, trailer, strlen(trailer));
}

static void run_row(const struct row *row)
{
	static struct trip trip;
	static struct bytes stream;
	static const size_t sizes[] = {1, 2, 3, 4, 1000};
	static const size_t rooms[] = {1, 2, 7, 8, 20, 63, 64, 65, 100, 255, 300, 1000, 4096};
	bool chunked = strstr(row->head, "chunked") != NULL;

	now = row->label;
	for (size_t s = chunked ? 0 : ARRAY_SIZE(sizes) - 1; s < ARRAY_SIZE(sizes); s++) {
		const char *trailer = chunked && s % 2 ? "Digest: x\r\nX: 0\r\n" : "";

		make_stream(&stream, row->head, row->body, row->body_len, sizes[s], trailer);
		travel(&trip, row, &stream, 0, stream.len, 4096);
		check(&trip, row, &stream, trailer);
		for (size_t cut = 1; cut < stream.len; cut++) {
			travel(&trip, row, &stream, cut, stream.len, 4096);
			check(&trip, row, &stream, trailer);
		}
		for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
			travel(&trip, row, &stream, 0, 1, rooms[i]);
			check(&trip, row, &stream, trailer);
			travel(&trip, row, &stream, 0, stream.len, rooms[i]);
			check(&trip, row, &stream, trailer);
		}
	}
}

static void run_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		run_row(&rows[i]);
}

#define BOM "\xef\xbb\xbf"

static void test_bom(void **state)
{
	static const struct row rows[] = {
		ROW("one BOM goes, its length too",
		    H11 TYPE("application/json") LEN("7") "X: y\r\n" END_, BOM "{\"a\"",
		    H11 TYPE("application/json") LEN("4") "X: y\r\n" END_, "{\"a\""),
		ROW("a second one stays", H11 TYPE("text/plain") LEN("8") END_, BOM BOM "ab",
		    H11 TYPE("text/plain") LEN("5") END_, BOM "ab"),
		ROW("digits get fewer", H11 LEN("10") TYPE("text/plain") END_, BOM "abcdefg",
		    H11 LEN("7") TYPE("text/plain") END_, "abcdefg"),
		ROW("nothing but a BOM", H11 TYPE("text/plain") LEN("3") END_, BOM,
		    H11 TYPE("text/plain") LEN("0") END_, ""),
		ROW("no BOM", H11 TYPE("text/plain; charset=UTF8") LEN("4") END_, "\xc3\xa9xy",
		    H11 TYPE("text/plain; charset=UTF8") LEN("4") END_, "\xc3\xa9xy"),
		ROW("half a BOM", H11 TYPE("text/plain") LEN("2") END_, "\xef\xbb",
		    H11 TYPE("text/plain") LEN("2") END_, "\xef\xbb"),
		ROW("a third of one", H11 TYPE("text/plain") LEN("1") END_, "\xef",
		    H11 TYPE("text/plain") LEN("1") END_, "\xef"),
		ROW("no BOM after all", H11 TYPE("text/plain") LEN("4") END_, "\xef\xbb\xbe\xbf",
		    H11 TYPE("text/plain") LEN("4") END_, "\xef\xbb\xbe\xbf"),
		ROW("BOM behind a byte", H11 TYPE("text/plain") LEN("4") END_, "a" BOM,
		    H11 TYPE("text/plain") LEN("4") END_, "a" BOM),
		ROW("0xfe without 0xff", H11 TYPE("text/plain") LEN("3") END_, "\xfe\xfe\xff",
		    H11 TYPE("text/plain") LEN("3") END_, "\xfe\xfe\xff"),
		ROW("in chunks", H11 TYPE("text/plain") TE END_, BOM "abc",
		    H11 TYPE("text/plain") TE END_, "abc"),
		ROW("in chunks, two", H11 TYPE("text/plain") TE END_, BOM BOM,
		    H11 TYPE("text/plain") TE END_, BOM),
		ROW("in chunks, alone", H11 TYPE("text/plain") TE END_, BOM,
		    H11 TYPE("text/plain") TE END_, ""),
		ROW("in chunks, none", H11 TYPE("text/plain") TE END_, "plain text",
		    H11 TYPE("text/plain") TE END_, "plain text"),
		ROW("in chunks, half of one", H11 TYPE("text/plain") TE END_, "\xef\xbb",
		    H11 TYPE("text/plain") TE END_, "\xef\xbb"),
		ROW("in chunks, empty", H11 TYPE("text/plain") TE END_, "",
		    H11 TYPE("text/plain") TE END_, ""),
		ROW("until the close", H11 TYPE("text/plain") END_, BOM "abc",
		    H11 TYPE("text/plain") END_, "abc"),
		ROW("HTTP/1.0 with a length",
		    "HTTP/1.0 200 OK\r\n" TYPE("text/plain") LEN("5") END_, BOM "ab",
		    "HTTP/1.0 200 OK\r\n" TYPE("text/plain") LEN("2") END_, "ab"),
		ROW("UTF-16LE", H11 TYPE("text/plain") LEN("6") END_,
		    "\xff\xfe"
		    "a\0\xe9\0",
		    H11 TYPE("text/plain") TE END_, "a\xc3\xa9"),
		ROW("UTF-16BE", H11 TYPE("text/plain") LEN("6") END_, "\xfe\xff\0a\0\xe9",
		    H11 TYPE("text/plain") TE END_, "a\xc3\xa9"),
		ROW("UTF-16LE, two", H11 TYPE("text/plain") TE END_,
		    "\xff\xfe\xff\xfe"
		    "a\0",
		    H11 TYPE("text/plain") TE END_, BOM "a"),
		ROW("UTF-16LE, nothing but a BOM", H11 TYPE("text/plain") LEN("2") END_, "\xff\xfe",
		    H11 TYPE("text/plain") TE END_, ""),
		/* the BOM wins over the header */
		ROW("UTF-8 BOM in GBK", H11 TYPE("text/html; charset=gbk") LEN("5") END_,
		    BOM "\xc3\xa9", H11 TYPE("text/html; charset=utf-8") TE END_, "\xc3\xa9"),
		ROW("a name that is right stays", H11 TYPE("text/html;charset=UTF8") LEN("4") END_,
		    BOM "a", H11 TYPE("text/html;charset=UTF8") LEN("1") END_, "a"),
		ROW("UTF-16 BOM in UTF-8", H11 TYPE("text/html;charset=utf-8") LEN("4") END_,
		    "\xff\xfe"
		    "a\0",
		    H11 TYPE("text/html;charset=utf-8") TE END_, "a"),
		ROW("UTF-16BE BOM in UTF-16LE",
		    H11 TYPE("text/html;charset=utf-16le") LEN("4") END_, "\xfe\xff\0a",
		    H11 TYPE("text/html;charset=utf-8") TE END_, "a"),
		ROW("UTF-8 BOM in nonsense", H11 TYPE("text/html;charset=nonsense") LEN("4") END_,
		    BOM "a", H11 TYPE("text/html;charset=utf-8") LEN("1") END_, "a"),
		ROW("UTF-16 BOM in nonsense", H11 TYPE("text/html;charset=nonsense") TE END_,
		    "\xff\xfe"
		    "a\0",
		    H11 TYPE("text/html;charset=utf-8") TE END_, "a"),
		ROW("UTF-8 BOM in x-user-defined",
		    H11 TYPE("text/html;charset=x-user-defined") END_, BOM "a",
		    H11 TYPE("text/html;charset=utf-8") END_, "a"),
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

static void test_charset(void **state)
{
	static const struct row rows[] = {
		ROW("GBK", H11 TYPE("text/html; charset=gb2312") LEN("4") "X: y\r\n" END_,
		    "\xd6\xd0\xce\xc4", H11 TYPE("text/html; charset=utf-8") TE "X: y\r\n" END_,
		    "中文"),
		ROW("Shift_JIS in chunks", H11 TE TYPE("text/html;charset=\"Shift_JIS\"") END_,
		    "\x93\xfa\x96\x7b", H11 TE TYPE("text/html;charset=\"utf-8\"") END_, "日本"),
		ROW("Big5 until the close", H11 TYPE("text/plain;charset=big5") END_, "\xa4\xa4",
		    H11 TYPE("text/plain;charset=utf-8") END_, "中"),
		ROW("Latin-1, length first",
		    H11 "content-length:3 \t\r\nContent-type:\ttext/plain ;a=b; CHARSET=ISO-8859-1 "
			";c=d\r\n" END_,
		    "\xe9\x80z",
		    H11 TE "Content-type:\ttext/plain ;a=b; CHARSET=utf-8 ;c=d\r\n" END_,
		    "\xc3\xa9\xe2\x82\xacz"),
		ROW("UTF-16 without a BOM", H11 TYPE("text/plain;charset=utf-16") LEN("4") END_,
		    "a\0\xe9\0", H11 TYPE("text/plain;charset=utf-8") TE END_, "a\xc3\xa9"),
		ROW("ISO-2022-JP", H11 TYPE("text/plain;charset=iso-2022-jp") LEN("8") END_,
		    "\x1b$BF|\x1b(B", H11 TYPE("text/plain;charset=utf-8") TE END_, "日"),
		ROW("kept to the end", H11 TYPE("text/plain;charset=windows-1258") LEN("1") END_,
		    "a", H11 TYPE("text/plain;charset=utf-8") TE END_, "a"),
		ROW("all charsets of a type",
		    H11 TYPE("text/plain;charset=gbk;charset=gbk;x=charset") LEN("2") END_,
		    "\xd6\xd0",
		    H11 TYPE("text/plain;charset=utf-8;charset=utf-8;x=charset") TE END_, "中"),
		ROW("blanks, other parameters, quotes",
		    H11 TYPE("text/plain; x=\"; charset=big5; \\\" \" ; charset = \"g\\b\\k\"; y")
			    LEN("2") END_,
		    "\xd6\xd0",
		    H11 TYPE("text/plain; x=\"; charset=big5; \\\" \" ; charset = \"utf-8\"; y")
			    TE END_,
		    "中"),
		ROW("the first counts",
		    H11 TYPE("text/plain;charset=utf-8;charset=gbk") LEN("2") END_, "\xd6\xd0",
		    H11 TYPE("text/plain;charset=utf-8;charset=gbk") LEN("2") END_, "\xd6\xd0"),
		ROW("an empty one does not count",
		    H11 TYPE("text/plain;charset=;charset=gbk") LEN("2") END_, "\xd6\xd0",
		    H11 TYPE("text/plain;charset=;charset=utf-8") TE END_, "中"),
		ROW("xcharset is no charset",
		    H11 TYPE("text/plain;xcharset=gbk;charsets=gbk") LEN("2") END_, "\xd6\xd0",
		    H11 TYPE("text/plain;xcharset=gbk;charsets=gbk") LEN("2") END_, "\xd6\xd0"),
		ROW("an open quote", H11 TYPE("text/plain;charset=\"gbk") LEN("2") END_, "\xd6\xd0",
		    H11 TYPE("text/plain;charset=\"utf-8") TE END_, "中"),
		ROW("an open quote at the end", H11 LEN("2") TYPE("text/plain;charset=\"gbk") END_,
		    "\xd6\xd0", H11 TE TYPE("text/plain;charset=\"utf-8") END_, "中"),
		ROW("a folded line",
		    H11 "Content-Type: text/plain;\r\n charset=gbk\r\n" LEN("2") END_, "\xd6\xd0",
		    H11 "Content-Type: text/plain;\r\n charset=utf-8\r\n" TE END_, "中"),
		ROW("a 404 stays one",
		    "HTTP/1.1 404 no\r\n" TYPE("text/plain;charset=gbk") LEN("2") END_, "\xd6\xd0",
		    "HTTP/1.1 404 no\r\n" TYPE("text/plain;charset=utf-8") TE END_, "中"),
		ROW("a 500, untouched", "HTTP/1.1 500 no\r\n" TYPE("text/plain") LEN("2") END_,
		    "no", "HTTP/1.1 500 no\r\n" TYPE("text/plain") LEN("2") END_, "no"),
		ASK("HTTP/1.0 knows no chunks", LEASH_ASK_HTTP10,
		    H11 TYPE("text/plain;charset=gbk") LEN("2") "X: y\r\n" END_, "\xd6\xd0",
		    H11 TYPE("text/plain;charset=utf-8") "X: y\r\n" END_, "中"),
		ROW("an HTTP/1.0 server neither",
		    "HTTP/1.0 200 OK\r\n" LEN("2") TYPE("text/plain;charset=gbk") END_, "\xd6\xd0",
		    "HTTP/1.0 200 OK\r\n" TYPE("text/plain;charset=utf-8") END_, "中"),
		NOTE("malformed", MALFORMED, H11 TYPE("text/plain;charset=gbk") LEN("5") END_,
		     "\xd6\xd0\xff\xce\xc4", H11 TYPE("text/plain;charset=utf-8") TE END_,
		     "中\xff文"),
		NOTE("cut at the end", MALFORMED, H11 TYPE("text/plain;charset=gbk") LEN("3") END_,
		     "\xd6\xd0\xce", H11 TYPE("text/plain;charset=utf-8") TE END_, "中\xce"),
		NOTE("half a BOM in GBK", MALFORMED,
		     H11 TYPE("text/plain;charset=gbk") LEN("1") END_, "\xef",
		     H11 TYPE("text/plain;charset=utf-8") TE END_, "\xef"),
		NOTE("unknown", UNKNOWN, H11 TYPE("text/plain;charset=klingon") LEN("4") END_,
		     "\xd6\xd0\xce\xc4", H11 TYPE("text/plain;charset=klingon") LEN("4") END_,
		     "\xd6\xd0\xce\xc4"),
		NOTE("unknown, in chunks", UNKNOWN, H11 TYPE("text/plain;charset='gbk'") TE END_,
		     "\xd6\xd0", H11 TYPE("text/plain;charset='gbk'") TE END_, "\xd6\xd0"),
		NOTE("replacement", UNSUPPORTED,
		     H11 TYPE("text/plain;charset=hz-gb-2312") LEN("2") END_, "~{",
		     H11 TYPE("text/plain;charset=hz-gb-2312") LEN("2") END_, "~{"),
		NOTE("x-user-defined", UNSUPPORTED,
		     H11 TYPE("text/plain;charset=x-user-defined") END_, "\xd6",
		     H11 TYPE("text/plain;charset=x-user-defined") END_, "\xd6"),
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

static void test_untouched(void **state)
{
	static const struct row rows[] = {
		KEEP("binary", H11 TYPE("application/octet-stream") LEN("4") END_, BOM "a"),
		KEEP("an image", H11 TYPE("image/png; charset=gbk") LEN("2") END_, "\xd6\xd0"),
		KEEP("no type", H11 LEN("4") END_, BOM "a"),
		KEEP("an empty type", H11 "Content-Type:\r\n" LEN("4") END_, BOM "a"),
		KEEP("multipart", H11 TYPE("multipart/byteranges; boundary=x") LEN("4") END_,
		     BOM "a"),
		KEEP("206", "HTTP/1.1 206 Part\r\n" TYPE("text/plain") LEN("4") END_, BOM "a"),
		KEEP("Content-Range",
		     H11 TYPE("text/plain") "Content-Range: bytes 0-3/4\r\n" LEN("4") END_,
		     BOM "a"),
		KEEP("gzip", H11 TYPE("text/plain") "Content-Encoding: gzip\r\n" LEN("4") END_,
		     BOM "a"),
		KEEP("identity and gzip",
		     H11 "Content-Encoding: identity\r\ncontent-encoding : br\r\n" TYPE(
			     "text/plain") LEN("4") END_,
		     BOM "a"),
		KEEP("gzip folded",
		     H11 TYPE("text/plain") "Content-Encoding:\r\n gzip\r\n" LEN("4") END_,
		     BOM "a"),
		KEEP("a coding below the chunks",
		     H11 TYPE("text/plain") "Transfer-Encoding: gzip, chunked\r\n" END_, BOM "a"),
		KEEP("a transfer coding until the close",
		     H11 TYPE("text/plain") "Transfer-Encoding: gzip\r\n" END_, BOM "a"),
		KEEP("in chunks", H11 TYPE("image/png") TE END_, BOM "a"),
		KEEP("an empty body", H11 TYPE("text/plain; charset=gbk") LEN("0") END_, ""),
		KEEP("204", "HTTP/1.1 204 No\r\n" TYPE("text/plain; charset=gbk") LEN("4") END_,
		     ""),
		KEEP("304", "HTTP/1.1 304 No\r\n" TYPE("text/plain; charset=gbk") LEN("4") END_,
		     ""),
		{"HEAD", LEASH_ASK_HEAD, H11 TYPE("text/plain; charset=gbk") LEN("4") END_, "", 0,
		 NULL, "", 0, LEASH_BODY_NOTE_NONE},
		{"two types", 0, H11 TYPE("text/plain") TYPE("text/html;charset=gbk") LEN("2") END_,
		 "\xd6\xd0", 2, NULL, "", 0, LEASH_BODY_NOTE_HEADER},
		{"two lengths", 0, H11 TYPE("text/html;charset=gbk") LEN("2") LEN("2") END_,
		 "\xd6\xd0", 2, NULL, "", 0, LEASH_BODY_NOTE_HEADER},
		{"too many charsets", 0,
		 H11 TYPE("text/html;charset=gbk;charset=a;charset=a;charset=a;"
			  "charset=a") LEN("2") END_,
		 "\xd6\xd0", 2, NULL, "", 0, LEASH_BODY_NOTE_HEADER},
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

static void test_types(void **state)
{
	static const struct {
		const char *type;
		bool text;
	} rows[] = {
		{"text/html", true},
		{"TEXT/Plain;x=y", true},
		{"text/event-stream", true},
		{"application/json", true},
		{"Application/JSON ; charset=utf-8", true},
		{"application/problem+json", true},
		{"image/svg+xml", true},
		{"application/vnd.a+JSON;x", true},
		{"application/xml", true},
		{"application/javascript", true},
		{"application/x-www-form-urlencoded", true},
		{"text/", false},
		{"text", false},
		{"/json", false},
		{"+json", false},
		{"", false},
		{"application/jsonx", false},
		{"application/json-seq", false},
		{"application/wasm", false},
		{"font/woff2", false},
		{"x;text/html", false},
		{"application/x+jsonp", false},
		{"multipart/form-data", false},
	};
	static struct trip trip;
	static struct bytes stream;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char head[256];

		now = rows[i].type;
		snprintf(head, sizeof(head), H11 "Content-Type: %s\r\nContent-Length: 4\r\n\r\n",
			 rows[i].type);
		make_stream(&stream, head, BOM "a", 4, 4, "");
		begin(&trip, 0, 4096);
		receive(&trip, stream.at, stream.len);
		if (trip.changed != rows[i].text)
			fprintf(stderr, "%s\n", rows[i].type);
		assert_int_equal(trip.changed, rows[i].text);
		hang_up(&trip);
		assert_int_equal(trip.out.len, rows[i].text ? stream.len - 3 : stream.len);
	}
}

/* UTF-8 without a BOM in chunks: not a byte differs, extensions and trailer included */
static void test_chunks_kept(void **state)
{
	static struct trip trip;
	static struct bytes stream;
	static const struct row row = {.label = "kept"};
	static const size_t rooms[] = {1, 9, 64, 300};

	(void)state;
	now = row.label;
	for (size_t size = 1; size < 8; size++) {
		make_stream(&stream, H11 TYPE("application/json") TE END_, "{\"a\": 1}", 8, size,
			    "X: y\r\n");
		for (size_t cut = 0; cut < stream.len; cut++) {
			for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
				travel(&trip, &row, &stream, cut, stream.len, rooms[i]);
				assert_true(trip.changed);
				same("stream", &trip.out, stream.at, stream.len);
			}
		}
	}
	make_stream(&stream, H11 TYPE("application/json") TE END_, "", 0, 1, "X: y\r\n");
	travel(&trip, &row, &stream, 0, stream.len, 4096);
	same("no chunk but the last", &trip.out, stream.at, stream.len);
	/* a size line that is too long to keep is written anew */
	stream.len = 0;
	add(&stream, H11 TYPE("text/plain") TE END_ "1;",
	    strlen(H11 TYPE("text/plain") TE END_) + 2);
	for (size_t i = 0; i < 100; i++)
		add(&stream, "x", 1);
	add(&stream, "\r\na\r\n0\r\n\r\n", 10);
	travel(&trip, &row, &stream, 0, stream.len, 4096);
	same("anew", &trip.out, H11 TYPE("text/plain") TE END_ "1\r\na\r\n0\r\n\r\n",
	     strlen(H11 TYPE("text/plain") TE END_) + 11);
}

/* The header waits only for bytes that were promised */
static void test_hold(void **state)
{
	static const struct {
		const char *label, *head;
		bool held;
	} rows[] = {
		{"a length that may shrink", H11 TYPE("text/plain") LEN("9") END_, true},
		{"in chunks", H11 TYPE("text/event-stream") TE END_, false},
		{"until the close", H11 TYPE("text/plain") END_, false},
		{"converted anyway", H11 TYPE("text/plain;charset=gbk") LEN("9") END_, false},
		{"a charset that only a BOM corrects", H11 TYPE("text/plain;charset=zz") TE END_,
		 true},
	};
	static struct trip trip;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		now = rows[i].label;
		begin(&trip, 0, 4096);
		receive(&trip, (const uint8_t *)rows[i].head, strlen(rows[i].head));
		assert_int_equal(leash_body_pending(&trip.body) == 0, rows[i].held);
		assert_false(leash_body_head_out(&trip.body));
		assert_false(leash_body_plain(&trip.body));
		if (!rows[i].held) {
			fetch(&trip);
			assert_true(leash_body_head_out(&trip.body));
		}
		assert_int_equal(trip.out.len == 0, rows[i].held);
		leash_body_abort(&trip.body);
		leash_body_abort(&trip.body);
		assert_int_equal(leash_body_pending(&trip.body), 0);
	}
	/* from the first byte that begins no BOM, the engine need not call any more */
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)rows[0].head, strlen(rows[0].head));
	receive(&trip, (const uint8_t *)"\xef\xbb", 2);
	assert_int_equal(trip.out.len, 0);
	receive(&trip, (const uint8_t *)"\xbf", 1);
	assert_true(leash_body_plain(&trip.body));
	assert_int_equal(leash_body_ask(&trip.body, 1000), 1000);
	same("held", &trip.out, H11 TYPE("text/plain") LEN("6") END_,
	     strlen(H11 TYPE("text/plain") LEN("6") END_));
	hang_up(&trip);
}

/* The connection ends early: what was held comes out, and the program sees that more is missing */
static void test_cut_off(void **state)
{
	static const struct row rows[] = {
		ROW("before the BOM", H11 TYPE("text/plain") LEN("9") END_, "",
		    H11 TYPE("text/plain") LEN("9") END_, ""),
		ROW("in it", H11 TYPE("text/plain") LEN("9") END_, "\xef\xbb",
		    H11 TYPE("text/plain") LEN("9") END_, "\xef\xbb"),
		ROW("behind it", H11 TYPE("text/plain") LEN("9") END_, BOM "ab",
		    H11 TYPE("text/plain") LEN("6") END_, "ab"),
		ROW("converted", H11 TYPE("text/plain;charset=gbk") LEN("9") END_, "\xd6\xd0",
		    H11 TYPE("text/plain;charset=utf-8") TE END_, "中"),
		NOTE("in a character", MALFORMED, H11 TYPE("text/plain;charset=gbk") LEN("9") END_,
		     "\xd6\xd0\xd6", H11 TYPE("text/plain;charset=utf-8") TE END_, "中\xd6"),
	};
	static struct trip trip;
	static struct answer answer;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t room = 1; room < 300; room += 7) {
			now = rows[i].label;
			begin(&trip, 0, room);
			receive(&trip, (const uint8_t *)rows[i].head, strlen(rows[i].head));
			receive(&trip, (const uint8_t *)rows[i].body, rows[i].body_len);
			hang_up(&trip);
			read_answer(&trip.out, &answer);
			same("head", &answer.head, rows[i].want_head, strlen(rows[i].want_head));
			same("body", &answer.body, rows[i].want_body, rows[i].want_len);
			assert_false(answer.whole);
			assert_false(trip.body.conv.open);
			assert_int_equal(leash_body_note(&trip.body), rows[i].note);
		}
	}
	/* in the middle of chunks, in BOM or text, at each place: never a last chunk */
	for (size_t bom = 0; bom < 2; bom++) {
		static struct bytes stream;

		make_stream(&stream, H11 TYPE("text/plain") TE END_, bom ? BOM "abcdef" : "abcdef",
			    bom ? 9 : 6, 4, "");
		for (size_t len = strlen(H11 TYPE("text/plain") TE END_); len < stream.len - 6;
		     len++) {
			begin(&trip, 0, 4096);
			receive(&trip, stream.at, len);
			hang_up(&trip);
			read_answer(&trip.out, &answer);
			assert_false(answer.whole);
		}
	}
}

/* Chunks that break off into nonsense: what was held comes out, then those bytes as they are */
static void test_broken_chunks(void **state)
{
	static struct trip trip;
	const char *head = H11 TYPE("text/plain;charset=gbk") TE END_;
	const char *stream = "3\r\n\xd6\xd0\xd6\r\n"
			     "bad\xd6\xd0";
	const char *want = H11 TYPE("text/plain;charset=utf-8") TE END_ "03\r\n中\r\n"
									"01\r\n\xd6\r\n";

	(void)state;
	now = "broken";
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)head, strlen(head));
	receive(&trip, (const uint8_t *)stream, strlen(stream));
	assert_true(trip.out.len > strlen(want));
	assert_memory_equal(trip.out.at, want, strlen(want));
	assert_memory_equal(trip.out.at + trip.out.len - 2, "\xd6\xd0", 2);
	assert_false(trip.body.conv.open);
	hang_up(&trip);
}

static void test_closes(void **state)
{
	static struct trip trip;
	const char *head = H11 TYPE("text/plain;charset=gbk") LEN("2") END_;

	(void)state;
	for (unsigned int ask = 0; ask <= LEASH_ASK_HTTP10; ask += LEASH_ASK_HTTP10) {
		begin(&trip, ask, 4096);
		receive(&trip, (const uint8_t *)head, strlen(head));
		receive(&trip, (const uint8_t *)"\xd6\xd0", 2);
		assert_int_equal(leash_body_closes(&trip.body), ask == LEASH_ASK_HTTP10);
		hang_up(&trip);
	}
}

/* Bytes behind the end are refused, not taken and not waited for */
static void test_behind_the_end(void **state)
{
	static struct trip trip;
	const char *text = H11 TYPE("text/plain") LEN("2") END_ "ab";
	uint8_t out[64];
	struct leash_text_io io = {(const uint8_t *)"x", 1, out, sizeof(out)};

	(void)state;
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)text, strlen(text));
	assert_true(trip.ended);
	assert_int_equal(leash_body_data(&trip.body, &io), -EINVAL);
	assert_int_equal(leash_body_frame(&trip.body, &io), -EINVAL);
	assert_int_equal(io.in_left, 1);
	assert_int_equal(leash_body_end(&trip.body, &io, true), 0);
	assert_int_equal(io.out_left, sizeof(out));
}

/* Without room bytes are taken as far as the spill goes: for a peek when nothing is there yet */
static void test_no_room(void **state)
{
	static struct trip trip;
	const char *head = H11 TYPE("text/plain;charset=gbk") TE END_;
	const char *want = "03\r\n中\r\n";
	uint8_t out[64];

	(void)state;
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)head, strlen(head));
	fetch(&trip);
	for (size_t i = 1; i <= 2; i++) {
		struct leash_text_io io = {(const uint8_t *)"\xd6\xd0", 2, out, 0};

		assert_int_equal(leash_body_data(&trip.body, &io), 0);
		assert_int_equal(leash_body_pending(&trip.body), i * strlen(want));
		assert_int_equal(leash_body_peek(&trip.body, out, sizeof(out)), i * strlen(want));
		assert_memory_equal(out + (i - 1) * strlen(want), want, strlen(want));
		assert_int_equal(leash_body_peek(&trip.body, out, 3), 3);
	}
	leash_body_abort(&trip.body);
	assert_false(trip.body.conv.open);
}

static void test_label(void **state)
{
	static struct trip trip;
	const char *head =
		H11 TYPE("text/plain; charset=\"a\x01\xff \\\"b-that-is-very-long-indeed\"") END_;

	(void)state;
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)head, strlen(head));
	assert_string_equal(leash_body_label(&trip.body), "a?? \"b-that-is-very-lon");
	hang_up(&trip);
	for (size_t i = 0; i <= LEASH_BODY_NOTE_HEADER; i++)
		assert_int_equal(strlen(leash_body_note_text((enum leash_body_note)i)) == 0,
				 i == 0);
}

/* ---- the promise of leash_body_ask(): everything that was read for a buffer fits it */

static void test_ask(void **state)
{
	static struct trip trip;
	static struct bytes stream;
	static uint8_t text[3000], out[20000];
	static const char *const heads[] = {
		H11 TYPE("text/plain;charset=shift_jis") TE END_,
		H11 TYPE("text/plain;charset=shift_jis") LEN("3000") END_,
		H11 TYPE("text/plain;charset=gb18030") TE END_,
		H11 TYPE("text/plain;charset=utf-16") LEN("3000") END_,
		H11 TYPE("text/plain") TE END_,
	};

	(void)state;
	for (unsigned int run = 0; run < 3000; run++) {
		size_t room = 8 + (run % 3 ? rnd(400) : rnd(8000)), at;
		const char *head = heads[run % ARRAY_SIZE(heads)];
		bool gb = head == heads[2];

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = gb ? (uint8_t) "\x81\x30\x84\x36"[i % 4] : 0xb1;
		if (head == heads[4])
			memcpy(text, BOM, 3);
		make_stream(&stream, head, text, sizeof(text), 1 + rnd(run % 2 ? 5 : 900),
			    "X: y\r\n");
		now = head;
		begin(&trip, 0, 4096);
		at = strlen(head);
		receive(&trip, stream.at, at);
		fetch(&trip);
		assert_true(leash_body_head_out(&trip.body));
		while (at < stream.len) {
			size_t ask = leash_body_ask(&trip.body, room);
			struct leash_text_io io = {NULL, 0, out, room};

			assert_true(ask >= 1 && ask <= room);
			if (ask > stream.len - at)
				ask = stream.len - at;
			while (ask) {
				struct leash_response_item it;
				int rc = 0;

				assert_int_equal(leash_response_next(&trip.response, stream.at + at,
								     ask, &it),
						 0);
				io.in = it.at;
				io.in_left = it.len;
				if (it.kind == LEASH_RESPONSE_BODY)
					rc = leash_body_data(&trip.body, &io);
				else if (it.kind != LEASH_RESPONSE_NONE)
					rc = leash_body_frame(&trip.body, &io);
				assert_int_equal(rc, 0);
				at += it.consumed;
				ask -= it.consumed;
				if (it.end) {
					rc = leash_body_end(&trip.body, &io, it.whole);
					/* large buffers never leave anything behind */
					if (room >= 256)
						assert_int_equal(rc, 0);
				}
			}
			if (room >= 256)
				assert_int_equal(leash_body_pending(&trip.body), 0);
			add(&trip.out, out, room - io.out_left);
			fetch(&trip);
		}
		leash_body_abort(&trip.body);
	}
	assert_int_equal(leash_body_ask(NULL, 0), 1);
	assert_int_equal(leash_body_ask(NULL, 7), 1);
	assert_true(leash_body_ask(NULL, 16384) > 5000 && leash_body_ask(NULL, 16384) <= 16384 / 3);
}

/* ---- anything, in any pieces */

/* The body that a program should see, by the rules and not by body.c */
static bool oracle(enum leash_charset charset, const uint8_t *in, size_t len, struct bytes *want)
{
	struct leash_charset_conv conv;
	struct leash_text_io io;
	bool malformed;

	want->len = 0;
	if (len >= 3 && memcmp(in, BOM, 3) == 0) {
		add(want, in + 3, len - 3);
		return false;
	}
	if (len >= 2 && in[0] == 0xff && in[1] == 0xfe)
		charset = LEASH_CHARSET_UTF_16LE;
	else if (len >= 2 && in[0] == 0xfe && in[1] == 0xff)
		charset = LEASH_CHARSET_UTF_16BE;
	if (leash_charset_open(&conv, charset) < 0) {
		add(want, in, len);
		return false;
	}
	io = (struct leash_text_io){in, len, want->at, sizeof(want->at)};
	leash_charset_feed(&conv, &io);
	assert_int_equal(io.in_left, 0);
	assert_int_equal(leash_charset_finish(&conv, &io), 0);
	want->len = sizeof(want->at) - io.out_left;
	malformed = conv.malformed;
	leash_charset_close(&conv);
	return malformed;
}

static void test_pieces(void **state)
{
	static const char *const labels[] = {
		"utf-8",        "gbk",         "big5",     "shift_jis",      "euc-jp",
		"euc-kr",       "iso-2022-jp", "utf-16le", "utf-16be",       "latin1",
		"windows-1258", "koi8-r",      "klingon",  "x-user-defined",
	};
	static const char *const starts[] = {"",         BOM,    BOM BOM, "\xff\xfe", "\xfe\xff",
					     "\xef\xbb", "\xef", "\xff",  "\xfe"};
	static struct trip trip;
	static struct bytes stream, want;
	static struct answer answer;

	(void)state;
	for (unsigned int run = 0; run < 12000; run++) {
		const char *label = labels[rnd(ARRAY_SIZE(labels))];
		const char *start = starts[rnd(ARRAY_SIZE(starts))];
		struct row row = {.label = label, .ask = rnd(4) ? 0 : LEASH_ASK_HTTP10};
		size_t len = strlen(start), every = 1 + (rnd(2) ? rnd(8) : rnd(400));
		const char *trailer = "";
		uint8_t body[200];
		char head[200], framing[40] = "";
		bool malformed;

		memcpy(body, start, len);
		for (size_t more = rnd(rnd(2) ? 4 : 150); more; more--)
			body[len++] = (uint8_t)(rnd(2) ? rnd(256) : 0x80 + rnd(128));
		switch (rnd(3)) {
		case 0:
			snprintf(framing, sizeof(framing), LEN("%zu"), len);
			break;
		case 1:
			strcpy(framing, TE);
			trailer = rnd(2) ? "X: y\r\n" : "";
			break;
		default:
			break;
		}
		snprintf(head, sizeof(head), H11 TYPE("text/plain; charset=%s") "%s" END_, label,
			 framing);
		make_stream(&stream, head, body, len, 1 + rnd(rnd(2) ? 5 : 100), trailer);
		malformed = oracle(leash_charset_find(label, strlen(label)), body, len, &want);
		now = head;
		travel(&trip, &row, &stream, rnd((uint32_t)stream.len), every,
		       1 + rnd(rnd(2) ? 80 : 400));
		read_answer(&trip.out, &answer);
		same("body", &answer.body, want.at, want.len);
		same("trailer", &answer.trailer, trailer, strlen(trailer));
		assert_true(answer.whole);
		assert_int_equal(trip.changed, len > 0 || framing[0] == 'T' || !framing[0]);
		assert_int_equal(leash_body_note(&trip.body) == LEASH_BODY_NOTE_MALFORMED,
				 malformed);
	}
}

/* ---- bodies of gibibytes: a length over 32 bits, and no memory that grows */

static void stream_many(struct trip *trip, const char *head, const uint8_t *span, size_t span_len,
			size_t count, uint64_t *ret_len)
{
	static uint8_t out[64u << 10];
	uint64_t total = 0;

	begin(trip, 0, 4096);
	receive(trip, (const uint8_t *)head, strlen(head));
	assert_true(trip->changed);
	for (size_t i = 0; i < count; i++) {
		struct leash_text_io io = {span, span_len, out, sizeof(out)};

		assert_int_equal(leash_body_data(&trip->body, &io), 0);
		total += sizeof(out) - io.out_left;
	}
	for (int rc = -ENOBUFS; rc;) {
		struct leash_text_io io = {NULL, 0, out, sizeof(out)};

		rc = leash_body_end(&trip->body, &io, true);
		total += sizeof(out) - io.out_left;
	}
	*ret_len = total;
}

static void test_huge(void **state)
{
	static struct trip trip;
	static uint8_t span[16u << 10];
	const char *head = H11 TYPE("text/plain") LEN("5368709123") END_;
	const char *want = H11 TYPE("text/plain") LEN("5368709120") END_;
	uint64_t got;

	(void)state;
	/* the length is 64 bits, and behind the BOM the bytes are the caller's */
	begin(&trip, 0, 4096);
	receive(&trip, (const uint8_t *)head, strlen(head));
	receive(&trip, (const uint8_t *)BOM, 3);
	now = "5 GiB";
	same("head", &trip.out, want, strlen(want));
	assert_true(leash_body_plain(&trip.body));
	hang_up(&trip);

	/* 1 GiB until the close; the span's own "BOM" is not one in the middle */
	memset(span, 'x', sizeof(span));
	memcpy(span, BOM, 3);
	head = H11 TYPE("text/plain") END_;
	stream_many(&trip, head, span, sizeof(span), 65536, &got);
	assert_true(got == strlen(head) + ((uint64_t)1 << 30) - 3);

	/* 128 MiB of GBK, every two bytes to three, in chunks */
	for (size_t i = 0; i < sizeof(span); i += 2)
		memcpy(span + i, "\xd6\xd0", 2);
	head = H11 TYPE("text/plain; charset=gbk") LEN("134217728") END_;
	want = H11 TYPE("text/plain; charset=utf-8") TE END_;
	stream_many(&trip, head, span, sizeof(span), 8192, &got);
	/* 16 KiB become 0x6000 bytes, with "6000" CRLF and CRLF; the digits are for at most five */
	assert_true(got >= strlen(want) + 8192u * (0x6000 + 8) + 5);
	assert_true(got <= strlen(want) + 8192u * (0x6000 + 9) + 5);
}

/* Without a converter: as it came, and recorded. In a child, before anything was converted */
static int in_empty_root(const char *dir)
{
	static struct trip trip;
	static const char *const heads[] = {
		H11 TYPE("text/plain;charset=gbk") LEN("4") END_,
		H11 TYPE("text/plain;charset=gbk") TE END_ "4\r\n",
		H11 TYPE("text/plain") LEN("4") END_, /* a BOM that cannot be followed */
	};

	if (chroot(dir) < 0 && (unshare(CLONE_NEWUSER) < 0 || chroot(dir) < 0))
		return 77;
	if (chdir("/") < 0)
		return 77;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		const char *text = i < 2 ? "\xd6\xd0\xce\xc4"
					 : "\xff\xfe"
					   "a";
		char stream[200];
		size_t len;

		len = (size_t)snprintf(stream, sizeof(stream), "%s", heads[i]);
		memcpy(stream + len, text, 4);
		len += 4;
		begin(&trip, 0, 4096);
		receive(&trip, (const uint8_t *)stream, len);
		if (i == 1)
			receive(&trip, (const uint8_t *)"\r\n0\r\n\r\n", 7);
		hang_up(&trip);
		if (trip.out.len < len || memcmp(trip.out.at, stream, len) != 0 ||
		    leash_body_note(&trip.body) != LEASH_BODY_NOTE_NO_CONVERTER)
			return (int)i + 1;
	}
	return 0;
}

static void test_no_module(void **state)
{
	char dir[] = "/tmp/body-XXXXXX";
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_empty_root(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(dir);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_module), /* first: see there */
		cmocka_unit_test(test_bom),         cmocka_unit_test(test_charset),
		cmocka_unit_test(test_untouched),   cmocka_unit_test(test_types),
		cmocka_unit_test(test_chunks_kept), cmocka_unit_test(test_hold),
		cmocka_unit_test(test_cut_off),     cmocka_unit_test(test_broken_chunks),
		cmocka_unit_test(test_closes),      cmocka_unit_test(test_behind_the_end),
		cmocka_unit_test(test_no_room),     cmocka_unit_test(test_label),
		cmocka_unit_test(test_ask),         cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
