/* SPDX-License-Identifier: MIT */
/*
 * A parser that is not ours (libhttp-parser, of node until 12) reads what comes out of the
 * rewriter, and the answers. Where both read something they must read the same: as many messages,
 * the same bodies, the same ends, and in every request exactly one Referer, ours.
 *
 * It is stricter in places (no blank before a colon, no name that is not a token), so it may
 * refuse what we pass on: those rows are named here. A server that refuses cannot be misled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if __has_include(<http_parser.h>)
#include <http_parser.h>

#define HTTP_CHECK(condition) assert_true(condition)
#include "tests/unit/http_corpus.h"
#include "tests/unit/http_run.h"
#include "tests/unit/http_talk.h"

static struct http_run run, body;

/* What the other parser saw */
struct seen {
	unsigned int messages, referers, ours, fields;
	size_t ends[512]; /* offsets behind the last byte of each */
	size_t at;        /* of the byte that it is given */
	uint8_t body[HTTP_RUN_MAX];
	size_t body_len;
	char name[256], value[4096];
	size_t name_len, value_len;
	bool in_value, upgraded;
	const unsigned int *asks; /* answers: what was asked for */
	char url[1024];
	size_t url_len;
};

static struct seen seen;

static void end_of_field(void)
{
	if (seen.name_len == 7 && strncasecmp(seen.name, "referer", 7) == 0) {
		seen.referers++;
		seen.ours += seen.value_len == sizeof(HTTP_REFERER) - 1 - 11 &&
			     memcmp(seen.value, &HTTP_REFERER[9], seen.value_len) == 0;
	}
	seen.fields += seen.name_len != 0;
	seen.name_len = seen.value_len = 0;
	seen.in_value = false;
}

static int on_name(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	if (seen.in_value)
		end_of_field();
	assert_true(seen.name_len + len <= sizeof(seen.name));
	memcpy(seen.name + seen.name_len, at, len);
	seen.name_len += len;
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	seen.in_value = true;
	if (len > sizeof(seen.value) - seen.value_len)
		len = sizeof(seen.value) - seen.value_len;
	memcpy(seen.value + seen.value_len, at, len);
	seen.value_len += len;
	return 0;
}

static int on_head(http_parser *parser)
{
	bool no_body = false;

	end_of_field();
	/* It leaves 1xx, 204 and 304 to its caller: RFC 9112 section 6.3, 1 */
	if (seen.asks)
		no_body = (seen.asks[seen.messages] & LEASH_ASK_HEAD) ||
			  (parser->status_code < 200 && parser->status_code != 101) ||
			  parser->status_code == 204 || parser->status_code == 304;
	return no_body;
}

static int on_data(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	assert_true(seen.body_len + len <= sizeof(seen.body));
	memcpy(seen.body + seen.body_len, at, len);
	seen.body_len += len;
	return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	assert_true(seen.url_len + len < sizeof(seen.url));
	memcpy(seen.url + seen.url_len, at, len);
	seen.url_len += len;
	return 0;
}

static int on_end(http_parser *parser)
{
	bool interim = seen.asks && parser->status_code < 200 && parser->status_code != 101;

	end_of_field();
	if (interim)
		return 0;
	assert_true(seen.messages < ARRAY_SIZE(seen.ends));
	/* complete with the byte that it is given now; at the end of input with the last one */
	seen.ends[seen.messages++] = seen.at;
	return 0;
}

/* Byte by byte, so that ends have their place. Return: its error, 0 if it read all */
static enum http_errno oracle(enum http_parser_type type, const uint8_t *in, size_t len,
			      const unsigned int *asks)
{
	static const http_parser_settings settings = {
		.on_url = on_url,
		.on_header_field = on_name,
		.on_header_value = on_value,
		.on_headers_complete = on_head,
		.on_body = on_data,
		.on_message_complete = on_end,
	};
	http_parser parser;

	memset(&seen, 0, offsetof(struct seen, body));
	seen.body_len = seen.name_len = seen.value_len = seen.url_len = 0;
	seen.in_value = seen.upgraded = false;
	seen.asks = asks;
	http_parser_init(&parser, type);
	for (size_t i = 0; i < len && !seen.upgraded; i++) {
		seen.at = i + 1;
		if (http_parser_execute(&parser, &settings, (const char *)in + i, 1) != 1 &&
		    !parser.upgrade)
			return HTTP_PARSER_ERRNO(&parser);
		seen.upgraded = parser.upgrade;
	}
	if (!seen.upgraded) {
		seen.at = len;
		http_parser_execute(&parser, &settings, NULL, 0);
	}
	return HTTP_PARSER_ERRNO(&parser);
}

static void requests(void **state)
{
	/* refused there, passed on here */
	static const char *const stricter[] = {
		"a Host in capitals, with blanks", /* blank before the colon */
		"the same length twice",
		"gzip in one line with chunked", /* tab, trailing blank */
		"an unknown method",
		"a method in lower case",
	};
	unsigned int compared = 0, refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];
		enum http_errno rc;
		bool named = false;

		if (row->fault != LEASH_HTTP1_FINE || (row->log && strcmp(row->log, "raw") == 0) ||
		    strstr(row->input, "@R"))
			continue;
		http_run_request(&run, HTTP_REFERER, row->input, row->input_len,
				 (struct http_cuts){NULL, 0}, true);
		assert_int_equal(run.rc, 0);
		rc = oracle(HTTP_REQUEST, run.out, run.out_len, NULL);
		for (size_t n = 0; n < ARRAY_SIZE(stricter); n++)
			named = named || strcmp(stricter[n], row->label) == 0;
		if ((rc != HPE_OK) != named)
			fail_msg("%s: %s", row->label, http_errno_description(rc));
		refused += named;
		if (named)
			continue;
		if (seen.messages != run.ends || seen.referers != run.ends || seen.ours != run.ends)
			fail_msg("%s: %u requests, %u Referers, %u ours; we read %u", row->label,
				 seen.messages, seen.referers, seen.ours, run.ends);
		compared++;
	}
	assert_true(compared > 30);
	assert_true(refused >= 4);
}

/* What we refuse because readers disagree: this one reads it somehow, or refuses as well. It must
 * never be handed a request's end in what left before the refusal */
static void refused_requests_are_never_complete(void **state)
{
	unsigned int would_be_read = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_requests); i++) {
		const struct http_row *row = &http_requests[i];

		if (row->fault == LEASH_HTTP1_FINE)
			continue;
		would_be_read += oracle(HTTP_REQUEST, (const uint8_t *)row->input, row->input_len,
					NULL) == HPE_OK;
		for (size_t cut = 1; cut < row->input_len; cut++) {
			http_run_request(&run, HTTP_REFERER, row->input, row->input_len,
					 (struct http_cuts){&cut, 1}, true);
			assert_int_equal(run.rc, -EBADMSG);
			oracle(HTTP_REQUEST, run.out, run.out_len, NULL);
			if (seen.messages > run.ends || seen.referers != seen.ours)
				fail_msg("%s: cut at %zu: %u requests, we read %u", row->label, cut,
					 seen.messages, run.ends);
		}
	}
	/* the corpus would be of no use if nobody read such requests */
	assert_true(would_be_read > 10);
}

#define TALKS 3000

static void random_requests(void **state)
{
	unsigned int total = 0;

	(void)state;
	for (unsigned int number = 0; number < TALKS; number++) {
		enum http_errno rc;

		talk_requests(number, true);
		http_run_request(&run, HTTP_REFERER, talk.in, talk.in_len,
				 (struct http_cuts){NULL, 0}, false);
		assert_int_equal(run.rc, 0);
		rc = oracle(HTTP_REQUEST, run.out, run.out_len, NULL);
		if (rc == HPE_HEADER_OVERFLOW) /* 80 KiB there */
			continue;
		if (rc != HPE_OK)
			fail_msg("run %u: %s at %zu of\n%.*s", number, http_errno_description(rc),
				 seen.at, (int)run.out_len, run.out);
		if (seen.messages != talk.requests || seen.referers != talk.requests ||
		    seen.ours != talk.requests)
			fail_msg("run %u: %u requests, %u Referers, %u ours; we read %u", number,
				 seen.messages, seen.referers, seen.ours, talk.requests);
		/* the ends, as the rewriter told them */
		for (unsigned int i = 0; i < seen.messages; i++) {
			char end[32];

			snprintf(end, sizeof(end), "\nend %zu\n", seen.ends[i]);
			if (!strstr(run.log, end))
				fail_msg("run %u: request %u ends at %zu there; here\n%s", number,
					 i, seen.ends[i], run.log);
		}
		total += seen.messages;

		/* damaged, and still accepted by both: still one Referer, still ours */
		for (unsigned int n = 1 + rnd(2); n; n--)
			talk.in[rnd((uint32_t)talk.in_len)] = (uint8_t) "\r\n\0 :;,\tR"[rnd(9)];
		http_run_request(&run, HTTP_REFERER, talk.in, talk.in_len,
				 (struct http_cuts){NULL, 0}, false);
		if (run.rc || run.raw)
			continue;
		oracle(HTTP_REQUEST, run.out, run.out_len, NULL);
		if (seen.referers != seen.ours || seen.messages > run.ends ||
		    seen.referers < seen.messages)
			fail_msg("run %u, damaged: %u requests, %u Referers, %u ours; we read "
				 "%u:\n%.*s",
				 number, seen.messages, seen.referers, seen.ours, run.ends,
				 (int)run.out_len, run.out);
	}
	assert_true(total > 2 * TALKS);
}

/* Ends and bodies of answers */
static void compare_answers(const char *label, const uint8_t *in, size_t len,
			    const unsigned int *asks)
{
	for (unsigned int i = 0; i < seen.messages; i++) {
		char end[48];

		snprintf(end, sizeof(end), "\nend %u at %zu\n", 100 + i, seen.ends[i]);
		if (!strstr(run.log, end))
			fail_msg("%s: answer %u ends at %zu there; here\n%s\nof\n%.*s", label, i,
				 seen.ends[i], run.log, (int)len, in);
	}
	if (body.out_len != seen.body_len || memcmp(body.out, seen.body, seen.body_len))
		fail_msg("%s: another body", label);
	(void)asks;
}

static void answers(void **state)
{
	unsigned int compared = 0, skipped = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_answers); i++) {
		const struct http_answer_row *row = &http_answers[i];
		enum http_errno rc;

		http_run_response(&run, &body, true, row->asks, row->ask_count, row->input,
				  row->input_len, (struct http_cuts){NULL, 0});
		/* raw is "not known"; CONNECT cannot be told to it; lenience of ours; it forgets a
		 * cut */
		if (strstr(run.log, "raw") || row->asks[0] == LEASH_ASK_CONNECT ||
		    strstr(row->label, "no fields") || strstr(run.log, " cut\n") ||
		    strstr(row->input, "content-length :") || strstr(row->input, "\r\n\rC")) {
			skipped++;
			continue;
		}
		rc = oracle(HTTP_RESPONSE, (const uint8_t *)row->input, row->input_len, row->asks);
		if (rc != HPE_OK)
			fail_msg("%s: %s", row->label, http_errno_description(rc));
		assert_int_equal(seen.messages, row->ask_count);
		compare_answers(row->label, (const uint8_t *)row->input, row->input_len, row->asks);
		compared++;
	}
	assert_true(compared >= 11);
	assert_true(skipped > 10);
}

static void random_answers(void **state)
{
	unsigned int total = 0;

	(void)state;
	for (unsigned int number = 0; number < TALKS; number++) {
		unsigned int asks[5] = {0}, count = talk_answers(number, true, asks);
		enum http_errno rc;
		char label[32];

		snprintf(label, sizeof(label), "run %u", number);
		http_run_response(&run, &body, number % 2, asks, count, talk.in, talk.in_len,
				  (struct http_cuts){NULL, 0});
		rc = oracle(HTTP_RESPONSE, talk.in, talk.in_len, asks);
		if (rc != HPE_OK)
			fail_msg("%s: %s at %zu of\n%.*s", label, http_errno_description(rc),
				 seen.at, (int)talk.in_len, talk.in);
		assert_int_equal(seen.messages, count);
		compare_answers(label, talk.in, talk.in_len, asks);
		total += count;
	}
	assert_true(total > 2 * TALKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(refused_requests_are_never_complete),
		cmocka_unit_test(random_requests),
		cmocka_unit_test(answers),
		cmocka_unit_test(random_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void libhttp_parser_is_not_installed(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libhttp_parser_is_not_installed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
