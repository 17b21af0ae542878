/* SPDX-License-Identifier: MIT */
/* Deadlines, whose turn it is on a TLS connection, and how long a policy lets something last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shim/life/deadline.h"
#include "shim/wire/tls_turns.h"
#include "tests/unit/compile_case.h"

#define S INT64_C(1000000000)

static void test_at(void **state)
{
	(void)state;
	assert_int_equal(leash_deadline_at(5 * S, 1500), 5 * S + 1500 * LEASH_MS_NS);
	assert_true(leash_deadline_at(5 * S, 0) == LEASH_NEVER);
	assert_true(leash_deadline_at(LEASH_NEVER - 1, 60000) == LEASH_NEVER);
	assert_int_not_equal(leash_deadline_at(0, 1), 0);
}

static void test_due(void **state)
{
	static const struct {
		const char *label;
		int64_t deadline, away, now;
		enum leash_due due;
	} row[] = {
		{"neither", 10, 20, 5, LEASH_DUE_NOT},
		{"a moment before", 10, LEASH_NEVER, 9, LEASH_DUE_NOT},
		{"at its time", 10, LEASH_NEVER, 10, LEASH_DUE_TIME},
		{"later", 10, LEASH_NEVER, 1000, LEASH_DUE_TIME},
		{"without a limit, in the foreground", LEASH_NEVER, LEASH_NEVER, INT64_MAX - 1,
		 LEASH_DUE_NOT},
		{"without a limit, grace over", LEASH_NEVER, 20, 20, LEASH_DUE_AWAY},
		{"grace not over", LEASH_NEVER, 20, 19, LEASH_DUE_NOT},
		{"both over, the time first", 10, 20, 30, LEASH_DUE_TIME},
		{"both over, the grace first", 20, 10, 30, LEASH_DUE_AWAY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (leash_deadline_due(row[i].deadline, row[i].away, row[i].now) != row[i].due)
			fail_msg("%s", row[i].label);
}

static void test_wake(void **state)
{
	(void)state;
	assert_int_equal(leash_deadline_wake(3 * S, 2 * S + 1), 3 * S);
	assert_int_equal(leash_deadline_wake(30 * S, 2 * S), 3 * S);
	assert_int_equal(leash_deadline_wake(LEASH_NEVER, 2 * S), 3 * S);
	assert_int_equal(leash_deadline_wake(1 * S, 2 * S), 1 * S);
}

static void test_stopped(void **state)
{
	(void)state;
	/* It meant to sleep until 10 s. */
	assert_false(leash_deadline_stopped(10 * S, 10 * S + 1, 5 * S));
	assert_false(leash_deadline_stopped(10 * S, 15 * S - 1, 5 * S));
	assert_true(leash_deadline_stopped(10 * S, 15 * S, 5 * S));
}

static void test_limit(void **state)
{
	static const char text[] = "appid = \"wx0123456789abcdef\"; domains: { request = "
				   "[ \"https://a.example.com\" ]; };"
				   "networkTimeout: { request = 3000; connectSocket = 2000; "
				   "uploadFile = 20000; downloadFile = 10000; };";
	struct leash_compiled compiled;
	const struct leash_image *image;
	const uint32_t request = LEASH_LIST_BIT(LEASH_LIST_REQUEST);
	const uint32_t socket = LEASH_LIST_BIT(LEASH_LIST_SOCKET);
	const uint32_t upload = LEASH_LIST_BIT(LEASH_LIST_UPLOAD);

	(void)state;
	case_settings(text, &compiled);
	image = case_image(&compiled);
	assert_int_equal(leash_policy_limit(image, request, 0), 3000);
	assert_int_equal(leash_policy_limit(image, socket, 0), 2000);
	assert_int_equal(leash_policy_limit(image, 0, 0), 3000);
	/* While its class is not known: the longest that it may be. */
	assert_int_equal(leash_policy_limit(image, request | upload, 0), 20000);
	assert_int_equal(leash_policy_limit(image, request | upload | socket, 0), 20000);
	/* The program's own wins, shorter or longer, up to the maximum. */
	assert_int_equal(leash_policy_limit(image, request, 500), 500);
	assert_int_equal(leash_policy_limit(image, request, 45000), 45000);
	assert_int_equal(leash_policy_limit(image, request, 60001), 60000);
	leash_compiled_free(&compiled);
}

/* One record with a body of @len bytes */
static size_t record(uint8_t *buf, uint8_t type, uint16_t len)
{
	buf[0] = type;
	buf[1] = 3;
	buf[2] = 3;
	buf[3] = (uint8_t)(len >> 8);
	buf[4] = (uint8_t)len;
	memset(buf + 5, 0x17, len);
	return 5 + (size_t)len;
}

enum way { OUT, IN, ANSWER };
struct step {
	enum way way;		/* ANSWER: in, and it is one */
	uint8_t type;
	uint16_t len;
	int64_t at_ms;
};

/* Every scene in pieces of each size: records do not come as they were sent. */
static void play(const char *label, const struct step *steps, size_t count)
{
	for (size_t piece = 1; piece < 40; piece += 3) {
		struct leash_tls_turns turns = {0};

		for (size_t i = 0; i < count; i++) {
			uint8_t buf[20000];
			const size_t len = record(buf, steps[i].type, steps[i].len);
			bool answer = false;

			for (size_t at = 0; at < len; at += piece) {
				const size_t part = len - at < piece ? len - at : piece;

				if (steps[i].way == OUT)
					leash_tls_turns_out(&turns, buf + at, part, steps[i].at_ms);
				else
					answer |= leash_tls_turns_in(&turns, buf + at, part,
								     steps[i].at_ms);
			}
			if (answer != (steps[i].way == ANSWER))
				fail_msg("%s, step %zu, pieces of %zu", label, i, piece);
		}
	}
}
#define PLAY(label, ...)                                                                           \
	play(label, (const struct step[]){__VA_ARGS__},                                            \
	     sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void test_turns(void **state)
{
	(void)state;
	PLAY("TLS 1.2: the handshake is no answer, the first data is",
	     {OUT, 22, 300, 0}, {IN, 22, 80, 10}, {IN, 22, 3000, 10}, {OUT, 22, 70, 20}, {OUT, 20, 1, 20},
	     {OUT, 22, 40, 20}, {IN, 22, 200, 30}, {IN, 20, 1, 30}, {IN, 22, 40, 30}, {OUT, 23, 120, 40},
	     {ANSWER, 23, 250, 50});
	PLAY("TLS 1.3: nor are two tickets",
	     {OUT, 22, 300, 0}, {IN, 22, 122, 10}, {IN, 20, 1, 10}, {IN, 23, 2000, 10}, {OUT, 20, 1, 20},
	     {OUT, 23, 69, 20}, {OUT, 23, 120, 21}, {IN, 23, 250, 30}, {IN, 23, 250, 31},
	     {ANSWER, 23, 900, 300});
	PLAY("TLS 1.3: one ticket and a short answer later",
	     {OUT, 22, 300, 0}, {IN, 22, 122, 10}, {IN, 23, 2000, 10}, {OUT, 23, 69, 20}, {OUT, 23, 120, 21},
	     {IN, 23, 130, 30}, {ANSWER, 23, 140, 600});
	PLAY("TLS 1.3: more short records than there are tickets",
	     {OUT, 22, 300, 0}, {IN, 23, 2000, 10}, {OUT, 23, 69, 20}, {IN, 23, 100, 30}, {IN, 23, 100, 30},
	     {IN, 23, 100, 30}, {IN, 23, 100, 30}, {ANSWER, 23, 100, 30});
	PLAY("TLS 1.3: no ticket, and an answer that is too long for one",
	     {OUT, 22, 300, 0}, {IN, 23, 2000, 10}, {OUT, 23, 69, 20}, {ANSWER, 23, 4000, 30});
	PLAY("TLS 1.3: no ticket, and a slow short answer",
	     {OUT, 22, 300, 0}, {IN, 23, 2000, 10}, {OUT, 23, 69, 20}, {ANSWER, 23, 250, 1500});
}

static void test_turns_lost(void **state)
{
	struct leash_tls_turns turns = {0};

	(void)state;
	leash_tls_turns_out(&turns, "GET / HTTP/1.1\r\n", 16, 0);
	assert_true(leash_tls_turns_in(&turns, "H", 1, 0));
	/* A record that is longer than any */
	memset(&turns, 0, sizeof(turns));
	assert_true(leash_tls_turns_in(&turns, "\x17\x03\x03\xff\xff", 5, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at),    cmocka_unit_test(test_due),
		cmocka_unit_test(test_wake),  cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_limit), cmocka_unit_test(test_turns),
		cmocka_unit_test(test_turns_lost),
	};

	int failed;

	case_enter();
	failed = cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
	case_leave();
	return failed;
}
