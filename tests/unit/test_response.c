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

static struct http_run run, body;
static const struct http_cuts in_one_piece;

/* The corpus names the end of input for raw rows, and the close of those that are cut */
static const char *wanted_log(const struct http_answer_row *row)
{
	static char log[1024];
	size_t len = strlen(row->log);

	strcpy(log, row->log);
	if (len > 3 && strcmp(log + len - 3, "END") == 0)
		sprintf(log + len - 3, "end 100 at %zu\n", row->input_len);
	else if (len > 3 && strcmp(log + len - 3, "CUT") == 0)
		sprintf(log + len - 3, "end 100 at %zu cut\n", row->input_len);
	return log;
}

static void check_row(const struct http_answer_row *row, bool observe, struct http_cuts cuts)
{
	const char *want = wanted_log(row);

	http_run_response(&run, &body, observe, row->asks, row->ask_count, row->input,
			  row->input_len, cuts);
	if (strcmp(run.log, want))
		fail_msg("%s%s, cut at %zu:\n%s\nnot\n%s", row->label, observe ? ", observed" : "",
			 cuts.count ? cuts.lens[0] : 0, run.log, want);
	if (row->body &&
	    (body.out_len != strlen(row->body) || memcmp(body.out, row->body, body.out_len)))
		fail_msg("%s: body %.*s", row->label, (int)body.out_len, body.out);
}

static void every_row_cut_everywhere(void **state)
{
	static size_t ones[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ones); i++)
		ones[i] = 1;
	for (size_t i = 0; i < ARRAY_SIZE(http_answers); i++) {
		const struct http_answer_row *row = &http_answers[i];

		for (int observe = 0; observe < 2; observe++) {
			check_row(row, observe, in_one_piece);
			for (size_t cut = 1; cut < row->input_len; cut++) {
				check_row(row, observe, (struct http_cuts){&cut, 1});
				for (size_t next = 1; next < row->input_len - cut; next += 3) {
					size_t two[2] = {cut, next};

					check_row(row, observe, (struct http_cuts){two, 2});
				}
			}
			check_row(row, observe, (struct http_cuts){ones, ARRAY_SIZE(ones)});
		}
	}
}

static void trailer_and_frame_are_apart(void **state)
{
	static const char in[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "1\r\nx\r\n0\r\nA: b\r\n\rC: d\r\n\r\n";
	static const char trailer[] = "A: b\r\n\rC: d\r\n", frame[] = "1\r\n\r\n0\r\n\r\n";

	(void)state;
	for (size_t cut = 1; cut < sizeof(in) - 1; cut++) {
		static struct leash_response rs;
		static uint8_t block[1024];
		char got[2][64];
		size_t got_len[2] = {0}, at = 0;

		leash_response_init(&rs, false);
		leash_response_lend(&rs, block, sizeof(block));
		assert_int_equal(leash_response_push(&rs, 1, 0), 0);
		while (at < sizeof(in) - 1) {
			struct leash_response_item item;
			size_t len = at < cut ? cut - at : sizeof(in) - 1 - at;

			assert_int_equal(leash_response_next(&rs, in + at, len, &item), 0);
			if (item.kind == LEASH_RESPONSE_TRAILER ||
			    item.kind == LEASH_RESPONSE_FRAME) {
				int which = item.kind == LEASH_RESPONSE_FRAME;

				memcpy(got[which] + got_len[which], item.at, item.len);
				got_len[which] += item.len;
			}
			at += item.consumed;
		}
		assert_int_equal(got_len[0], sizeof(trailer) - 1);
		assert_memory_equal(got[0], trailer, sizeof(trailer) - 1);
		assert_int_equal(got_len[1], sizeof(frame) - 1);
		assert_memory_equal(got[1], frame, sizeof(frame) - 1);
		assert_int_equal(leash_response_waiting(&rs), 0);
	}
}

/* The header that was given stays where it is while the body passes */
static void the_block_stays(void **state)
{
	static const char in[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 X\r\n\r\n";
	static struct leash_response rs;
	static uint8_t block[64];
	struct leash_response_item item;
	const uint8_t *head;
	size_t at = 0;

	(void)state;
	leash_response_init(&rs, false);
	leash_response_push(&rs, 1, 0);
	leash_response_push(&rs, 2, 0);
	assert_int_equal(leash_response_next(&rs, in, sizeof(in) - 1, &item), -ENOBUFS);
	leash_response_lend(&rs, block, sizeof(block));
	assert_int_equal(leash_response_next(&rs, in, sizeof(in) - 1, &item), 0);
	assert_int_equal(item.kind, LEASH_RESPONSE_HEAD);
	assert_ptr_equal(item.block, block);
	assert_false(leash_response_holds(&rs));
	head = item.block;
	at = item.consumed;
	assert_int_equal(leash_response_next(&rs, in + at, 2, &item), 0);
	assert_int_equal(item.kind, LEASH_RESPONSE_BODY);
	assert_memory_equal(head, in, at);
	assert_int_equal(leash_response_next(&rs, in + at + 2, 1, &item), 0);
	assert_true(item.end && item.whole);
	assert_int_equal(item.id, 1);
	assert_memory_equal(head, in, at);
	assert_int_equal(leash_response_next(&rs, in + at + 3, 1, &item), 0);
	assert_true(item.begin && leash_response_holds(&rs));
	assert_int_equal(leash_response_lend(&rs, NULL, 0), -EBUSY);
	assert_int_equal(leash_response_next(&rs, in + at + 4, 17, &item), 0);
	assert_true(item.begin == false && item.end && item.id == 2);
	assert_int_equal(item.len, 18);
}

static void the_queue_has_an_end(void **state)
{
	static struct leash_response rs;
	static const char answer[] = "HTTP/1.1 204 X\r\n\r\n";
	struct leash_response_item item;
	uint32_t next = 0, last = 0;

	(void)state;
	leash_response_init(&rs, true);
	for (int round = 0; round < 5; round++) {
		while (leash_response_push(&rs, next, 0) == 0)
			next++;
		assert_int_equal(leash_response_waiting(&rs), LEASH_RESPONSE_QUEUE_MAX);
		assert_int_equal(leash_response_push(&rs, 7, 0), -ENOSPC);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(
				leash_response_next(&rs, answer, sizeof(answer) - 1, &item), 0);
			assert_true(item.end && item.whole && item.id == last);
			last++;
		}
	}
	while (leash_response_close(&rs, &item)) {
		assert_true(item.kind == LEASH_RESPONSE_CLOSED && item.end && !item.whole);
		assert_int_equal(item.id, last);
		last++;
	}
	assert_int_equal(last, next);
}

static void unasked_bytes_are_raw(void **state)
{
	static const char in[] = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
	static struct leash_response rs;
	struct leash_response_item item;

	(void)state;
	leash_response_init(&rs, false);
	assert_int_equal(leash_response_next(&rs, in, sizeof(in) - 1, &item), 0);
	assert_int_equal(item.kind, LEASH_RESPONSE_RAW);
	assert_int_equal(item.len, sizeof(in) - 1);
	/* a request that was on its way then ends with the connection, not cut as far as one knows
	 */
	leash_response_push(&rs, 5, 0);
	assert_true(leash_response_close(&rs, &item));
	assert_true(item.id == 5 && item.end);
	assert_false(leash_response_close(&rs, &item));
}

static void giving_up_loses_nothing(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 200 OK\r\nX: ",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		for (int more = 0; more < 2; more++) {
			static struct leash_response rs;
			static uint8_t block[256];
			char got[256];
			size_t len = 0, at = 0, in_len = strlen(heads[i]);
			struct leash_response_item item;

			leash_response_init(&rs, false);
			leash_response_lend(&rs, block, sizeof(block));
			leash_response_push(&rs, 5, 0);
			for (; at < in_len; at += item.consumed) {
				assert_int_equal(
					leash_response_next(&rs, heads[i] + at, in_len - at, &item),
					0);
				if (item.len)
					memcpy(got + len, item.at, item.len);
				len += item.len;
			}
			assert_int_equal(len < in_len, 1);
			leash_response_give_up(&rs);
			for (at = 0; more && at < 3; at += item.consumed) {
				assert_int_equal(
					leash_response_next(&rs, &"abc"[at], 3 - at, &item), 0);
				assert_int_equal(item.kind, LEASH_RESPONSE_RAW);
				memcpy(got + len, item.at, item.len);
				len += item.len;
			}
			while (leash_response_close(&rs, &item)) {
				if (item.len)
					memcpy(got + len, item.at, item.len);
				len += item.len;
			}
			assert_int_equal(len, in_len + (more ? 3 : 0));
			assert_memory_equal(got, heads[i], in_len);
			assert_memory_equal(got + in_len, "abc", more ? 3 : 0);
		}
	}
}

static void long_headers_are_raw(void **state)
{
	static uint8_t in[LEASH_RESPONSE_HEAD_MAX + 64];
	static const unsigned int asks[1];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t len = LEASH_RESPONSE_HEAD_MAX + over;

		memset(in, 'a', sizeof(in));
		memcpy(in, "HTTP/1.1 200 OK\r\nX: ", 20);
		memcpy(in + len - 4, "\r\n\r\nbody", 8);
		for (int observe = 0; observe < 2; observe++) {
			for (size_t cut = 0; cut < len + 4; cut += 4093) {
				http_run_response(&run, &body, observe, asks, 1, in, len + 4,
						  (struct http_cuts){&cut, cut != 0});
				assert_int_equal(strstr(run.log, "raw") != NULL, over);
				assert_int_equal(body.out_len, over ? 0 : 4);
			}
		}
	}
}

#define TALKS 10000

static void random_answers(void **state)
{
	static size_t cuts[4096];
	unsigned int closed = 0;

	(void)state;
	for (unsigned int number = 0; number < TALKS; number++) {
		unsigned int asks[5] = {0}, count = talk_answers(number, false, asks);

		for (size_t i = 0; i < ARRAY_SIZE(cuts); i++)
			cuts[i] = number % 3 == 0   ? 1 + rnd(4)
				  : number % 3 == 1 ? 1 + rnd(60)
						    : 1 + rnd(2000);
		http_run_response(&run, &body, number % 2, asks, count, talk.in, talk.in_len,
				  (struct http_cuts){cuts, number % 7 ? ARRAY_SIZE(cuts) : 0});
		if (strcmp(run.log, talk.log))
			fail_msg("run %u:\n%s\nnot\n%s\nof\n%.*s", number, run.log, talk.log,
				 (int)talk.in_len, talk.in);
		if (body.out_len != talk.out_len || memcmp(body.out, talk.out, talk.out_len))
			fail_msg("run %u: body", number);
		closed += strstr(talk.log, "waiting 1") != NULL;

		/* damaged: all bytes come back, every request ends once (http_run_response looks)
		 */
		for (unsigned int n = 1 + rnd(3); n; n--)
			talk.in[rnd((uint32_t)talk.in_len)] =
				rnd(2) ? (uint8_t)rnd(256) : (uint8_t) "\r\n\0 :;,\t0"[rnd(9)];
		http_run_response(&run, &body, !(number % 2), asks, count, talk.in, talk.in_len,
				  (struct http_cuts){cuts, ARRAY_SIZE(cuts)});
		assert_int_equal(run.ends, count);
	}
	assert_true(closed > TALKS / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_cut_everywhere),
		cmocka_unit_test(trailer_and_frame_are_apart),
		cmocka_unit_test(the_block_stays),
		cmocka_unit_test(the_queue_has_an_end),
		cmocka_unit_test(unasked_bytes_are_raw),
		cmocka_unit_test(giving_up_loses_nothing),
		cmocka_unit_test(long_headers_are_raw),
		cmocka_unit_test(random_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
