/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/guard.h"

#define HTTP_CHECK(condition) assert_true(condition)
#define HTTP_PIECE(buf, len)  ((len) <= GUARD_MAX ? guard_tail(buf, len) : (const uint8_t *)(buf))
#include "tests/unit/http_corpus.h"
#include "tests/unit/http_run.h"
#include "tests/unit/http_talk.h"

static struct http_run whole, parts;
static uint8_t text[2 * HTTP_RUN_MAX], want[2 * HTTP_RUN_MAX];

static const struct http_cuts in_one_piece;

/* @len bytes with every @R made the Referer line */
static size_t expand(const char *in, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (i + 1 < len && in[i] == '@' && in[i + 1] == 'R') {
			memcpy(out + n, HTTP_REFERER, sizeof(HTTP_REFERER) - 1);
			n += sizeof(HTTP_REFERER) - 1;
			i++;
			continue;
		}
		out[n++] = (uint8_t)in[i];
	}
	return n;
}

static void same_run(const char *label, size_t cut)
{
	if (parts.rc != whole.rc || parts.fault != whole.fault)
		fail_msg("%s: cut at %zu: %d (%s), in one piece %d (%s)", label, cut, parts.rc,
			 leash_http1_fault_text(parts.fault), whole.rc,
			 leash_http1_fault_text(whole.fault));
	/* what left before a refusal depends on the writes */
	if (whole.rc < 0)
		return;
	if (parts.out_len != whole.out_len || memcmp(parts.out, whole.out, whole.out_len))
		fail_msg("%s: cut at %zu: other bytes: %.*s", label, cut, (int)parts.out_len,
			 parts.out);
	if (strcmp(parts.log, whole.log))
		fail_msg("%s: cut at %zu:\n%s\nin one piece:\n%s", label, cut, parts.log,
			 whole.log);
}

static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];
		size_t len = expand(row->input, row->input_len, text), want_len;

		http_run_request(&whole, HTTP_REFERER, text, len, in_one_piece, true);
		if (whole.fault != row->fault)
			fail_msg("%s: %s", row->label, leash_http1_fault_text(whole.fault));
		if (row->fault != LEASH_HTTP1_FINE)
			continue;
		if (row->output)
			want_len = expand(row->output, row->output_len, want);
		else
			memcpy(want, text, want_len = len);
		if (whole.out_len != want_len || memcmp(whole.out, want, want_len))
			fail_msg("%s: became %.*s", row->label, (int)whole.out_len, whole.out);
		if (row->log && !strstr(whole.log, row->log))
			fail_msg("%s: no \"%s\" in:\n%s", row->label, row->log, whole.log);
	}
}

static void every_place_to_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];
		size_t len = expand(row->input, row->input_len, text);
		static size_t ones[4096];

		http_run_request(&whole, HTTP_REFERER, text, len, in_one_piece, true);
		for (size_t cut = 1; cut < len; cut++) {
			http_run_request(&parts, HTTP_REFERER, text, len,
					 (struct http_cuts){&cut, 1}, true);
			same_run(row->label, cut);
			/* three pieces: every second cut in the rest */
			for (size_t next = 1; next < len - cut && next < 5; next++) {
				size_t two[2] = {cut, next};

				http_run_request(&parts, HTTP_REFERER, text, len,
						 (struct http_cuts){two, 2}, true);
				same_run(row->label, cut);
			}
		}
		for (size_t at = 0; at < ARRAY_SIZE(ones); at++)
			ones[at] = 1;
		http_run_request(&parts, HTTP_REFERER, text, len,
				 (struct http_cuts){ones, ARRAY_SIZE(ones)}, true);
		same_run(row->label, 0);
	}
}

/* A refused request never reaches its server whole: nothing of its header's end, no request behind
 */
static void a_refused_header_has_no_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];

		if (row->fault == LEASH_HTTP1_FINE || row->fault == LEASH_HTTP1_BAD_CHUNK ||
		    row->fault == LEASH_HTTP1_TRAILER || strstr(row->label, "trailer") ||
		    strstr(row->label, "second") || strstr(row->label, "request before"))
			continue;
		for (size_t cut = 1; cut < row->input_len; cut++) {
			http_run_request(&parts, HTTP_REFERER, row->input, row->input_len,
					 (struct http_cuts){&cut, 1}, true);
			if (parts.ends || strstr(parts.log, "head") ||
			    memmem(parts.out, parts.out_len, "\r\n\r\n", 4))
				fail_msg("%s: cut at %zu: %.*s", row->label, cut,
					 (int)parts.out_len, parts.out);
		}
	}
}

static void without_a_referer_nothing_changes(void **state)
{
	static const char folded[] = "GET / HTTP/1.1\r\nReferer: a\r\n b\r\n\r\n";
	static const char h2c[] = "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];
		size_t len = expand(row->input, row->input_len, text);

		http_run_request(&whole, i % 2 ? NULL : "", text, len, in_one_piece, true);
		if (row->fault == LEASH_HTTP1_CONNECTION) {
			assert_int_equal(whole.fault, LEASH_HTTP1_FINE);
			continue;
		}
		if (whole.fault == LEASH_HTTP1_FOLD && row->fault == LEASH_HTTP1_FINE)
			continue; /* a folded Referer that would stay */
		if (whole.fault != row->fault)
			fail_msg("%s: %s", row->label, leash_http1_fault_text(whole.fault));
		if (whole.rc == 0 && (whole.out_len != len || memcmp(whole.out, text, len)))
			fail_msg("%s: became %.*s", row->label, (int)whole.out_len, whole.out);
	}
	http_run_request(&whole, "", folded, sizeof(folded) - 1, in_one_piece, true);
	assert_int_equal(whole.fault, LEASH_HTTP1_FOLD);
	http_run_request(&whole, NULL, h2c, sizeof(h2c) - 1, in_one_piece, true);
	assert_true(whole.raw);
	http_run_request(&whole, NULL, h2c, sizeof(h2c) - 1, in_one_piece, false);
	assert_int_equal(whole.ends, 2);
	assert_int_equal(whole.holds, 1);
}

static void an_upgrade_that_is_not_taken_goes_on(void **state)
{
	static const char in[] =
		"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		"Sec-WebSocket-Key: x\r\n\r\nGET /2 HTTP/1.1\r\nReferer: y\r\n\r\n";
	static const char out[] =
		"GET /ws HTTP/1.1\r\n@RUpgrade: websocket\r\nConnection: upgrade\r\n"
		"Sec-WebSocket-Key: x\r\n\r\nGET /2 HTTP/1.1\r\n@R\r\n";
	size_t want_len = expand(out, sizeof(out) - 1, want);

	(void)state;
	for (size_t cut = 1; cut < sizeof(in) - 1; cut++) {
		http_run_request(&whole, HTTP_REFERER, in, sizeof(in) - 1,
				 (struct http_cuts){&cut, 1}, false);
		assert_int_equal(whole.rc, 0);
		assert_int_equal(whole.out_len, want_len);
		assert_memory_equal(whole.out, want, want_len);
		assert_int_equal(whole.holds, 1);
		assert_int_equal(whole.ends, 2);
	}
}

/* The answer may be there before the request's body is */
static void an_early_answer_to_an_upgrade(void **state)
{
	static const char head[] =
		"POST /ws HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n";

	(void)state;
	for (int upgraded = 0; upgraded < 2; upgraded++) {
		struct leash_request_out out;
		struct leash_request rq;

		leash_request_init(&rq, NULL);
		leash_request_answered(&rq, true); /* to nothing */
		assert_int_equal(leash_request_next(&rq, head, sizeof(head) - 1, &out), 0);
		assert_int_equal(leash_request_ask(&rq), LEASH_ASK_UPGRADE);
		leash_request_answered(&rq, upgraded);
		assert_int_equal(leash_request_next(&rq, "ok", 2, &out), 0);
		assert_true(out.events & LEASH_REQUEST_END);
		assert_int_equal(leash_request_next(&rq, "\x81 x\n", 4, &out),
				 upgraded ? 0 : -EBADMSG);
		assert_int_equal(out.events, upgraded ? LEASH_REQUEST_RAW : LEASH_REQUEST_END);
	}
}

static void what_the_answer_has_to_know(void **state)
{
	static const struct {
		const char *head;
		unsigned int ask;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 0},
		{"HEAD / HTTP/1.1\r\n\r\n", LEASH_ASK_HEAD},
		{"HEAD / HTTP/1.0\r\n\r\n", LEASH_ASK_HEAD | LEASH_ASK_HTTP10},
		{"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", LEASH_ASK_UPGRADE},
		{"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_request_out out = {0};
		struct leash_request rq;
		size_t at = 0, len = strlen(rows[i].head);

		leash_request_init(&rq, HTTP_REFERER);
		while (at < len) {
			assert_int_equal(leash_request_next(&rq, rows[i].head + at, len - at, &out),
					 0);
			at += out.consumed;
		}
		assert_true(out.events & LEASH_REQUEST_END);
		assert_int_equal(leash_request_ask(&rq), rows[i].ask);
	}
}

/* Limits: the largest that passes and the smallest that does not */
static void long_lines(void **state)
{
	static const char start[] = "GET / HTTP/1.1\r\nX: ", end[] = "\r\n\r\n";
	static const char *const fills[] = {"a", "Referer: ", " "};

	(void)state;
	for (size_t fill = 0; fill < ARRAY_SIZE(fills); fill++) {
		for (int over = 0; over < 2; over++) {
			size_t value = LEASH_HTTP1_LINE_MAX - 5 + (size_t)over, at = 0;
			size_t cuts[3] = {0};

			memcpy(text, start, at = sizeof(start) - 1);
			for (size_t i = 0; i < value; i++)
				text[at++] = (uint8_t)fills[fill][i % strlen(fills[fill])];
			memcpy(text + at, end, sizeof(end) - 1);
			at += sizeof(end) - 1;
			http_run_request(&whole, HTTP_REFERER, text, at, in_one_piece, true);
			assert_int_equal(whole.fault,
					 over ? LEASH_HTTP1_LINE_TOO_LONG : LEASH_HTTP1_FINE);
			for (size_t cut = 17; cut < at;
			     cut += cut < 70000 && cut > 65530 ? 1 : 997) {
				cuts[0] = cut;
				cuts[1] = at - cut > 3 ? at - cut - 3 : 1;
				cuts[2] = 1;
				http_run_request(&parts, HTTP_REFERER, text, at,
						 (struct http_cuts){cuts, 3}, true);
				same_run("a long line", cut);
			}
		}
	}
}

static void many_lines(void **state)
{
	(void)state;
	for (int trailer = 0; trailer < 2; trailer++) {
		for (int over = 0; over < 2; over++) {
			size_t at;

			at = (size_t)sprintf((char *)text,
					     trailer ? "POST / HTTP/1.1\r\nTransfer-Encoding: "
						       "chunked\r\n\r\n0\r\n"
						     : "GET / HTTP/1.1\r\n");
			for (int i = 0; i < LEASH_HTTP1_LINES_MAX + over; i++)
				at += (size_t)sprintf((char *)text + at,
						      i % 2 ? "Referer: x\r\n" : "X%d: y\r\n", i);
			memcpy(text + at, "\r\n", 2);
			http_run_request(&whole, HTTP_REFERER, text, at + 2, in_one_piece, true);
			assert_int_equal(whole.fault,
					 over ? LEASH_HTTP1_TOO_MANY_LINES : LEASH_HTTP1_FINE);
			assert_int_equal(whole.ends, !over);
			assert_null(memmem(whole.out + 100, whole.out_len - 100, "Referer: x", 10));
		}
	}
}

/* A body of 5 GiB passes from the program's buffer, and nothing is kept of it */
static void a_huge_body_is_not_touched(void **state)
{
	static const char *const heads[] = {
		"PUT /big HTTP/1.1\r\nContent-Length: 5368709120\r\n\r\n",
		"PUT /big HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n140000000\r\n"};
	static uint8_t piece[1u << 20];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct leash_request_out out = {0};
		struct leash_request rq;
		size_t at = 0, len = strlen(heads[i]);
		uint64_t left = 5368709120u;

		leash_request_init(&rq, HTTP_REFERER);
		while (at < len) {
			assert_int_equal(leash_request_next(&rq, heads[i] + at, len - at, &out), 0);
			at += out.consumed;
		}
		while (left) {
			assert_int_equal(leash_request_next(&rq, piece, sizeof(piece), &out), 0);
			assert_ptr_equal(out.at, piece);
			assert_int_equal(out.len, sizeof(piece));
			assert_int_equal(out.consumed, sizeof(piece));
			assert_false(out.own || out.head || leash_request_holds(&rq));
			left -= out.len;
			assert_int_equal(out.events, left == 0 && i == 0 ? LEASH_REQUEST_END : 0);
		}
	}
}

static void how_few_spans(void **state)
{
	static const char in[] = "GET /index.html HTTP/1.1\r\nHost: a.example\r\nUser-Agent: "
				 "x\r\nAccept: */*\r\n\r\n";
	struct leash_request_out out;
	struct leash_request rq;

	(void)state;
	leash_request_init(&rq, HTTP_REFERER);
	assert_int_equal(leash_request_next(&rq, in, sizeof(in) - 1, &out), 0);
	assert_int_equal(out.len, 26);
	assert_int_equal(out.events, LEASH_REQUEST_BEGIN);
	assert_true(out.head && !out.own);
	assert_int_equal(leash_request_next(&rq, in + 26, sizeof(in) - 27, &out), 0);
	assert_int_equal(out.len, sizeof(HTTP_REFERER) - 1);
	assert_int_equal(out.consumed, 0);
	assert_true(out.head && out.own);
	assert_int_equal(leash_request_next(&rq, in + 26, sizeof(in) - 27, &out), 0);
	assert_int_equal(out.consumed, sizeof(in) - 27);
	assert_int_equal(out.len, sizeof(in) - 27);
	assert_int_equal(out.events, LEASH_REQUEST_HEAD | LEASH_REQUEST_CLASS | LEASH_REQUEST_END);
	assert_true(leash_request_idle(&rq));
	assert_false(leash_request_holds(&rq));

	/* read only: one */
	leash_request_init(&rq, NULL);
	assert_int_equal(leash_request_next(&rq, in, sizeof(in) - 1, &out), 0);
	assert_int_equal(out.len, sizeof(in) - 1);
}

static void every_fault_has_its_text(void **state)
{
	(void)state;
	for (int i = 0; i < LEASH_HTTP1_FAULT_COUNT; i++) {
		bool shown = i == LEASH_HTTP1_FINE || i == LEASH_HTTP1_LINE_TOO_LONG ||
			     i == LEASH_HTTP1_TOO_MANY_LINES;

		assert_true(strlen(leash_http1_fault_text((enum leash_http1_fault)i)) > 10);
		for (size_t row = 0; row < ARRAY_SIZE(http_requests); row++)
			shown = shown || (int)http_requests[row].fault == i;
		if (!shown)
			fail_msg("no row for: %s",
				 leash_http1_fault_text((enum leash_http1_fault)i));
	}
	assert_string_equal(leash_http1_fault_text(LEASH_HTTP1_FAULT_COUNT), "unknown");
}

/* Random conversations, compared with something that never parses: http_talk.h */

static void random_cuts(size_t *cuts, size_t count)
{
	uint32_t style = rnd(4);

	for (size_t i = 0; i < count; i++)
		cuts[i] = style == 0   ? 1 + rnd(3)
			  : style == 1 ? 1 + rnd(40)
			  : style == 2 ? 1 + rnd(1500)
			  : rnd(2)     ? 1
				       : 1 + rnd(300);
}

/* One request on @rq, in one piece, up to what its header says. Return: bytes of it that were left as they are */
static size_t one_request(struct leash_request *rq, const uint8_t *in, size_t len)
{
	size_t kept = 0, done = 0;

	while (done < len) {
		struct leash_request_out out;

		assert_int_equal(leash_request_next(rq, in + done, len - done, &out), 0);
		if (!out.own) {
			assert_true(out.at >= in && out.at + out.len <= in + len);
			kept += out.len;
		}
		done += out.consumed;
		if (out.events & LEASH_REQUEST_HEAD)
			break;
	}
	return kept;
}

/* Requests whose fields are those of the one before are what they would be on a connection of their own. */
static void the_same_fields_again(void **state)
{
#define USUAL "Host: a.example.com:8443\r\nAccept: */*\r\nConnection: keep-alive\r\n"
	static const struct {
		const char *in;
		bool again;
	} talk_of[] = {
		{"GET /1 HTTP/1.1\r\n" USUAL "\r\n", false},
		{"GET /two HTTP/1.1\r\n" USUAL "\r\n", true},
		{"HEAD /3 HTTP/1.0\r\n" USUAL "\r\n", true},
		/* one more, one less, another letter at the end */
		{"GET /4 HTTP/1.1\r\n" USUAL "X: y\r\n\r\n", false},
		{"GET /5 HTTP/1.1\r\nHost: a.example.com:8443\r\nAccept: */*\r\n\r\n", false},
		{"GET /6 HTTP/1.1\r\nHost: a.example.com:8443\r\nAccept: */a\r\n\r\n", false},
		/* another host behind which the first one comes back */
		{"GET /7 HTTP/1.1\r\nHost: b.example.net\r\nConnection: close, upgrade\r\n\r\n", false},
		{"GET /8 HTTP/1.1\r\nHost: b.example.net\r\nConnection: close, upgrade\r\n\r\n", true},
		{"GET http://c.example.org/9 HTTP/1.1\r\n" USUAL "\r\n", false},
		{"GET /10 HTTP/1.1\r\n" USUAL "\r\n", true},
		/* what tells of a body, or is dropped, is read each time; an empty POST has its length */
		{"POST /11 HTTP/1.1\r\n" USUAL "Content-Length: 0\r\n\r\n", false},
		{"POST /12 HTTP/1.1\r\n" USUAL "Content-Length: 0\r\n\r\n", false},
		{"GET /13 HTTP/1.1\r\n" USUAL "Referer: x\r\n\r\n", false},
		{"GET /14 HTTP/1.1\r\n" USUAL "Referer: x\r\n\r\n", false},
		{"GET /15 HTTP/1.1\r\n" USUAL "Range: bytes=0-1\r\n\r\n", false},
		{"GET /16 HTTP/1.1\r\n" USUAL "Range: bytes=0-1\r\n\r\n", false},
		{"GET /17 HTTP/1.1\r\n" USUAL "Expect: 100-continue\r\n\r\n", false},
		{"GET /18 HTTP/1.1\r\n" USUAL "Expect: 100-continue\r\n\r\n", false},
		/* lines that LF alone ends */
		{"GET /19 HTTP/1.1\nHost: a.example.com\n\n", false},
		{"GET /20 HTTP/1.1\nHost: a.example.com\n\n", true},
		{"GET /21 HTTP/1.1\nHost: a.example.com\n\r\n", false},
		{"GET /22 HTTP/1.1\nHost: a.example.com\n\r\n", true},
	};
	struct leash_request rq, fresh;

	(void)state;
	leash_request_init(&rq, HTTP_REFERER);
	for (size_t i = 0; i < ARRAY_SIZE(talk_of); i++) {
		const size_t len = strlen(talk_of[i].in);
		const uint8_t *in = guard_tail(talk_of[i].in, len);
		const uint8_t *fields = (const uint8_t *)memchr(in, '\n', len) + 1;
		const struct leash_http1_request *one = &rq.http.facts, *two = &fresh.http.facts;
		struct leash_http1_token token;
		struct leash_http1 probe = rq.http;

		assert_int_equal(leash_http1_next(&probe, in, len, &token), 0);
		assert_int_equal(leash_http1_again(&probe, fields, len - (size_t)(fields - in)) != 0,
				 talk_of[i].again);
		/* without its last byte they are not complete */
		probe = rq.http;
		assert_int_equal(leash_http1_next(&probe, in, len - 1, &token), 0);
		assert_int_equal(leash_http1_again(&probe, fields, len - 1 - (size_t)(fields - in)), 0);

		leash_request_init(&fresh, HTTP_REFERER);
		assert_int_equal(one_request(&rq, in, len), one_request(&fresh, in, len));
		assert_string_equal(one->method, two->method);
		assert_string_equal(one->target, two->target);
		assert_string_equal(one->host.name, two->host.name);
		assert_string_equal(one->target_host.name, two->target_host.name);
		assert_int_equal(one->host.present, two->host.present);
		assert_int_equal(one->host.name_len, two->host.name_len);
		assert_int_equal(one->host.port, two->host.port);
		assert_int_equal(one->host.bracketed, two->host.bracketed);
		assert_int_equal(one->content_length, two->content_length);
		assert_int_equal(one->minor, two->minor);
		assert_int_equal(one->close, two->close);
		assert_int_equal(one->connection_upgrade, two->connection_upgrade);
		assert_int_equal(one->range, two->range);
		assert_int_equal(one->expect_continue, two->expect_continue);
		assert_int_equal(rq.class, fresh.class);
		assert_true(leash_request_idle(&rq));
	}
#undef USUAL
}

#define TALKS 12000

static void random_conversations(void **state)
{
	static size_t cuts[4096];
	unsigned int refused = 0, total = 0;

	(void)state;
	for (unsigned int run = 0; run < TALKS; run++) {
		talk_requests(run, false);
		random_cuts(cuts, ARRAY_SIZE(cuts));
		http_run_request(&parts, HTTP_REFERER, talk.in, talk.in_len,
				 (struct http_cuts){cuts, rnd(10) ? ARRAY_SIZE(cuts) : 0}, false);
		if (parts.rc < 0)
			fail_msg("run %u: refused: %s:\n%.*s", run,
				 leash_http1_fault_text(parts.fault), (int)talk.in_len, talk.in);
		if (parts.out_len != talk.out_len || memcmp(parts.out, talk.out, talk.out_len))
			fail_msg("run %u: became\n%.*s\nnot\n%.*s", run, (int)parts.out_len,
				 parts.out, (int)talk.out_len, talk.out);
		if (strcmp(parts.log, talk.log))
			fail_msg("run %u: log\n%s\nnot\n%s", run, parts.log, talk.log);
		assert_int_equal(parts.ends, talk.requests);
		total += talk.requests;

		/* read only: the same bytes (or refused, if a folded Referer would stay) */
		http_run_request(&whole, NULL, talk.in, talk.in_len, (struct http_cuts){cuts, 100},
				 false);
		if (whole.rc < 0)
			assert_int_equal(whole.fault, LEASH_HTTP1_FOLD);
		else
			assert_true(whole.out_len == talk.in_len &&
				    memcmp(whole.out, talk.in, talk.in_len) == 0);

		/* damaged: cut in any way it has the same outcome */
		for (unsigned int n = 1 + rnd(3); n; n--)
			talk.in[rnd((uint32_t)talk.in_len)] =
				rnd(2) ? (uint8_t)rnd(256) : (uint8_t) "\r\n\0 :;,\t0"[rnd(9)];
		http_run_request(&whole, HTTP_REFERER, talk.in, talk.in_len, in_one_piece, false);
		random_cuts(cuts, ARRAY_SIZE(cuts));
		http_run_request(&parts, HTTP_REFERER, talk.in, talk.in_len,
				 (struct http_cuts){cuts, ARRAY_SIZE(cuts)}, false);
		same_run("damaged", run);
		refused += whole.rc < 0;
	}
	/* the damage has to reach both sides of the fence, or it tests nothing */
	assert_in_range(refused, TALKS / 20, TALKS - TALKS / 20);
	assert_true(total > 2 * TALKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(every_place_to_cut),
		cmocka_unit_test(a_refused_header_has_no_end),
		cmocka_unit_test(without_a_referer_nothing_changes),
		cmocka_unit_test(an_upgrade_that_is_not_taken_goes_on),
		cmocka_unit_test(an_early_answer_to_an_upgrade),
		cmocka_unit_test(what_the_answer_has_to_know),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(many_lines),
		cmocka_unit_test(a_huge_body_is_not_touched),
		cmocka_unit_test(how_few_spans),
		cmocka_unit_test(every_fault_has_its_text),
		cmocka_unit_test(the_same_fields_again),
		cmocka_unit_test(random_conversations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
