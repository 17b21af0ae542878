/* SPDX-License-Identifier: MIT */
/* Every line is read again by a JSON library that knows nothing of how it was made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "shim/events/event.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const struct leash_event empty = {.bytes_sent = -1, .bytes_received = -1};

/* The line ends where the buffer does, and is one object in one line */
static json_t *read_line(const struct leash_event *event, char **ret_line)
{
	static uint8_t fill[LEASH_EVENT_LINE_MAX];
	char *buf = (char *)guard_tail(fill, sizeof(fill));
	size_t len = leash_event_line(event, buf);
	json_error_t error;
	json_t *object;

	assert_in_range(len, 3, LEASH_EVENT_LINE_MAX);
	assert_ptr_equal(memchr(buf, '\n', len), buf + len - 1);
	for (size_t i = 0; i + 1 < len; i++)
		assert_true((unsigned char)buf[i] >= 0x20 && buf[i] != 0x7f);
	object = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		fail_msg("%s at %d: %.*s", error.text, error.position, (int)len, buf);
	assert_true(json_is_object(object));
	if (ret_line) {
		buf[len - 1] = '\0';
		*ret_line = buf;
	}
	return object;
}

static const char *string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void all_fields_in_their_order(void **state)
{
	const struct leash_event event = {
		.kind = LEASH_EVENT_REFUSED, .verdict = LEASH_SAID_REFUSED,
		.time_ms = 1700000000123, .pid = 4711, .exe = "/usr/bin/curl", .api = "request",
		.call = "connect", .host = "b.example", .address = "192.0.2.7", .port = 443,
		.transport = "tcp", .reason = "not_in_domain_list",
		.err_msg = "request:fail url not in domain list:b.example", .number = 600002,
		.error = 13, .rule = "domains", .hint = "add it", .bytes_sent = 0,
		.bytes_received = 5, .sni = "b.example", .tls_version = "TLS 1.3",
		.tls_cipher = "TLS_AES_128_GCM_SHA256", .tls_issuer = "CN=I",
		.tls_not_after = "2027-01-01T00:00:00Z", .detail = "-",
	};
	char *line;

	(void)state;
	json_decref(read_line(&event, &line));
	assert_string_equal(line,
		"{\"time\":\"2023-11-14T22:13:20.123Z\",\"pid\":4711,\"exe\":\"/usr/bin/curl\","
		"\"event\":\"refused\",\"verdict\":\"refused\",\"api\":\"request\","
		"\"call\":\"connect\",\"host\":\"b.example\",\"address\":\"192.0.2.7\",\"port\":443,"
		"\"transport\":\"tcp\",\"reason\":\"not_in_domain_list\","
		"\"errMsg\":\"request:fail url not in domain list:b.example\",\"errCode\":600002,"
		"\"errno\":13,\"rule\":\"domains\",\"hint\":\"add it\",\"bytes_sent\":0,"
		"\"bytes_received\":5,\"tls\":{\"sni\":\"b.example\",\"version\":\"TLS 1.3\",\"cipher\":\"TLS_AES_128_GCM_SHA256\","
		"\"issuer\":\"CN=I\",\"notAfter\":\"2027-01-01T00:00:00Z\"},\"detail\":\"-\"}");
}

static void requests(void **state)
{
	const struct leash_event_timing first = {3, 0, 12, 7, 100}, kept = {-1, -1, -1, 7, -1};
	struct leash_event event = {
		.kind = LEASH_EVENT_REQUEST, .verdict = LEASH_SAID_ALLOWED, .api = "uploadFile",
		.host = "b.example", .method = "POST", .url = "https://b.example/\"x", .status = 404,
		.outcome = "success", .bytes_sent = 1, .bytes_received = 2, .timing = &first,
		.tls_cipher = "TLS_AES_128_GCM_SHA256",
	};
	char *line;

	(void)state;
	json_decref(read_line(&event, &line));
	assert_string_equal(strstr(line, ",\"host\""),
		",\"host\":\"b.example\",\"method\":\"POST\",\"url\":\"https://b.example/\\\"x\","
		"\"status\":404,\"outcome\":\"success\",\"bytes_sent\":1,\"bytes_received\":2,"
		"\"timing\":{\"resolve\":3,\"connect\":0,\"tls\":12,\"wait\":7,\"receive\":100},"
		"\"tls\":{\"cipher\":\"TLS_AES_128_GCM_SHA256\"}}");
	event.timing = &kept;
	event.status = 0;
	event.tls_cipher = NULL;
	json_decref(read_line(&event, &line));
	assert_string_equal(strstr(line, ",\"outcome\""),
		",\"outcome\":\"success\",\"bytes_sent\":1,\"bytes_received\":2,"
		"\"timing\":{\"wait\":7}}");
}

static void absent_is_left_out(void **state)
{
	char *line;

	(void)state;
	json_decref(read_line(&empty, &line));
	assert_string_equal(line,
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"pid\":0,\"event\":\"policy\"}");
}

static void words(void **state)
{
	static const char *const kinds[] = {"policy", "resolve", "connect", "request", "refused",
					    "interrupted", "timeout", "state", "unknown"};
	static const char *const verdicts[] = {NULL, "allowed", "refused", "would_refuse",
					       "unknown"};
	struct leash_event event = empty;

	(void)state;
	assert_int_equal(ARRAY_SIZE(kinds), LEASH_EVENT_KIND_COUNT + 1);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		json_t *object;

		event.kind = (enum leash_event_kind)i;
		object = read_line(&event, NULL);
		assert_string_equal(string(object, "event"), kinds[i]);
		json_decref(object);
	}
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		json_t *object;

		event.verdict = (enum leash_event_verdict)i;
		object = read_line(&event, NULL);
		if (verdicts[i])
			assert_string_equal(string(object, "verdict"), verdicts[i]);
		else
			assert_null(json_object_get(object, "verdict"));
		json_decref(object);
	}
}

static void times(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1, "1970-01-01T00:00:00.001Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{951782400000, "2000-02-29T00:00:00.000Z"},
		{951868799999, "2000-02-29T23:59:59.999Z"},
		{951868800000, "2000-03-01T00:00:00.000Z"},
		{1709164800000, "2024-02-29T00:00:00.000Z"},
		{1735689599999, "2024-12-31T23:59:59.999Z"},
		{1735689600000, "2025-01-01T00:00:00.000Z"},
		{4107542400000, "2100-03-01T00:00:00.000Z"},
		{4107456000000, "2100-02-28T00:00:00.000Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
		{253402300800000, "9999-12-31T23:59:59.999Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z"},
		{-62167219200000, "0000-01-01T00:00:00.000Z"},
		{INT64_MIN, "0000-01-01T00:00:00.000Z"},
	};
	struct leash_event event = empty;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *object;

		event.time_ms = rows[i].ms;
		object = read_line(&event, NULL);
		assert_string_equal(string(object, "time"), rows[i].text);
		json_decref(object);
	}
}

/* Any day, against libc's calendar */
static void times_like_libc(void **state)
{
	struct leash_event event = empty;

	(void)state;
	for (int64_t day = -20000; day < 80000; day += 13) {
		time_t seconds = (time_t)(day * 86400 + 3661);
		char text[32];
		struct tm tm;
		json_t *object;

		assert_non_null(gmtime_r(&seconds, &tm));
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
		event.time_ms = seconds * 1000 + 7;
		object = read_line(&event, NULL);
		assert_string_equal(string(object, "time"), text);
		json_decref(object);
	}
}

static void numbers(void **state)
{
	struct leash_event event = empty;
	json_t *object;

	(void)state;
	event.number = -4;
	event.bytes_sent = INT64_MAX;
	event.bytes_received = 0;
	event.pid = INT32_MIN;
	event.port = 65535;
	object = read_line(&event, NULL);
	assert_int_equal(json_integer_value(json_object_get(object, "errCode")), -4);
	assert_true(json_integer_value(json_object_get(object, "bytes_sent")) == INT64_MAX);
	assert_true(json_is_integer(json_object_get(object, "bytes_received")));
	assert_int_equal(json_integer_value(json_object_get(object, "pid")), INT32_MIN);
	assert_int_equal(json_integer_value(json_object_get(object, "port")), 65535);
	assert_null(json_object_get(object, "errno"));
	json_decref(object);
}

#define BAD "\xef\xbf\xbd"

static void texts_are_escaped(void **state)
{
	static const struct {
		const char *label, *text, *reads;
	} rows[] = {
		{"plain", "abc", "abc"},
		{"empty", "", ""},
		{"quote and backslash", "a\"b\\c", "a\"b\\c"},
		{"newline", "a\nb\r\n", "a\nb\r\n"},
		{"control characters", "\x01\x1f\x7f\t\b", "\x01\x1f\x7f\t\b"},
		{"looks like the end", "\"}\n{\"event\":\"x", "\"}\n{\"event\":\"x"},
		{"two, three, four bytes", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"line separator", "a\xe2\x80\xa8" "b", "a\xe2\x80\xa8" "b"},
		{"next line (C1)", "a\xc2\x85" "b", "a\xc2\x85" "b"},
		{"byte that starts nothing", "a\x80" "b\xff", "a" BAD "b" BAD},
		{"cut sequence at the end", "a\xe2\x82", "a" BAD BAD},
		{"cut sequence inside", "\xe2\x82" "b", BAD BAD "b"},
		{"overlong slash", "\xc0\xaf", BAD BAD},
		{"overlong of three", "\xe0\x80\xaf", BAD BAD BAD},
		{"surrogate", "\xed\xa0\x80", BAD BAD BAD},
		{"above U+10FFFF", "\xf4\x90\x80\x80", BAD BAD BAD BAD},
		{"last code point", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
	};
	struct leash_event event = empty;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *object;
		char *line;

		event.detail = (const char *)guard_head(rows[i].text, strlen(rows[i].text) + 1);
		object = read_line(&event, &line);
		if (strcmp(string(object, "detail"), rows[i].reads) != 0)
			fail_msg("%s: %s", rows[i].label, line);
		assert_null(strstr(line, "\xe2\x80\xa8"));
		assert_null(strstr(line, "\xc2\x85"));
		json_decref(object);
	}
}

static char *repeat(const char *text, size_t times)
{
	size_t len = strlen(text);
	char *ret = malloc(len * times + 1);

	assert_non_null(ret);
	for (size_t i = 0; i < times; i++)
		memcpy(ret + i * len, text, len);
	ret[len * times] = '\0';
	return ret;
}

static void long_free_texts_go_first(void **state)
{
	char *hint = repeat("h", 3000), *detail = repeat("d", 1000), *host = repeat("n", 253);
	const struct leash_event event = {
		.kind = LEASH_EVENT_REFUSED, .verdict = LEASH_SAID_REFUSED, .pid = 1,
		.exe = "/usr/bin/program", .host = host, .sni = host, .reason = "not_in_domain_list",
		.err_msg = "request:fail", .hint = hint, .detail = detail, .rule = "domains",
		.bytes_sent = -1, .bytes_received = -1,
	};
	json_t *object;
	char *line;

	(void)state;
	object = read_line(&event, &line);
	assert_string_equal(string(object, "host"), host);
	assert_string_equal(string(json_object_get(object, "tls"), "sni"), host);
	assert_string_equal(string(object, "reason"), "not_in_domain_list");
	assert_string_equal(string(object, "errMsg"), "request:fail");
	assert_in_range(strlen(string(object, "hint")), 400, 1000);
	assert_in_range(strlen(string(object, "detail")), 400, 999);
	/* What room there is, is used. */
	assert_in_range(strlen(line) + 1, LEASH_EVENT_LINE_MAX - 2, LEASH_EVENT_LINE_MAX);
	json_decref(object);
	free(hint);
	free(detail);
	free(host);
}

/* A path that is as long as the sentences is kept: they are cut for it */
static void sentences_are_cut_before_facts(void **state)
{
	char *text = repeat("t", 600);
	const struct leash_event event = {
		.exe = text, .err_msg = text, .hint = text, .detail = text, .bytes_sent = -1,
		.bytes_received = -1,
	};
	json_t *object;

	(void)state;
	object = read_line(&event, NULL);
	assert_string_equal(string(object, "exe"), text);
	assert_in_range(strlen(string(object, "hint")), 300, 599);
	assert_in_range(strlen(string(object, "errMsg")), 300, 599);
	json_decref(object);
	free(text);
}

/* Every text far too long, of characters that grow to six bytes, or that must not be split */
static void everything_too_long(void **state)
{
	static const char *const units[] = {"a", "\x01", "\"", "\xf0\x9f\x98\x80", "\xff",
					    "\xe2\x80\xa8", "\xc3\xa4z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		char *text = repeat(units[i], 5000);
		const struct leash_event event = {
			.kind = LEASH_EVENT_INTERRUPTED, .verdict = LEASH_SAID_WOULD_REFUSE,
			.time_ms = INT64_MAX, .pid = INT32_MIN, .exe = text, .api = text,
			.call = text, .host = text, .address = text, .port = INT32_MIN,
			.transport = text, .reason = text, .err_msg = text, .number = INT32_MIN,
			.error = INT32_MIN, .rule = text, .hint = text, .bytes_sent = INT64_MAX,
			.bytes_received = INT64_MAX, .sni = text, .detail = text,
		};
		json_t *object = read_line(&event, NULL);
		size_t first_len = strlen(string(object, "exe"));

		assert_int_equal(json_object_size(object), 21);
		assert_true(first_len > 10);
		/* A cut text is a beginning of what it was, whole characters only. */
		if (strcmp(units[i], "\xff") != 0)
			assert_memory_equal(string(object, "host"), text,
					    strlen(string(object, "host")));
		json_decref(object);
		free(text);
	}
}

/* A line that fits exactly loses nothing; one byte more loses one character */
static void the_last_byte(void **state)
{
	struct leash_event event = empty;
	char *detail = repeat("d", 3000), *line;
	size_t overhead, fits;
	json_t *object;

	(void)state;
	event.detail = "";
	json_decref(read_line(&event, &line));
	overhead = strlen(line) + 1;
	fits = LEASH_EVENT_LINE_MAX - overhead;

	detail[fits] = '\0';
	event.detail = detail;
	object = read_line(&event, &line);
	assert_int_equal(strlen(line) + 1, LEASH_EVENT_LINE_MAX);
	assert_int_equal(strlen(string(object, "detail")), fits);
	json_decref(object);

	detail[fits] = 'd';
	object = read_line(&event, &line);
	assert_int_equal(strlen(line) + 1, LEASH_EVENT_LINE_MAX);
	assert_int_equal(strlen(string(object, "detail")), fits);
	json_decref(object);
	free(detail);
}

static void random_bytes_stay_json(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		static char texts[12][1200];
		const char *text[12];
		struct leash_event event;

		for (size_t i = 0; i < 12; i++) {
			size_t len;

			seed = seed * 1664525 + 1013904223;
			len = (seed >> 8) % (round % 2 ? 60 : sizeof(texts[i]) - 1);
			text[i] = seed >> 29 ? texts[i] : NULL;
			for (size_t at = 0; at < len; at++) {
				seed = seed * 1664525 + 1013904223;
				texts[i][at] = (char)(seed >> 24 ? seed >> 24 : 1);
			}
			texts[i][len] = '\0';
		}
		event = (struct leash_event){
			.kind = (enum leash_event_kind)(seed >> 28),
			.verdict = (enum leash_event_verdict)(seed >> 27 & 3),
			.time_ms = (int64_t)seed << 12, .pid = (int32_t)seed, .exe = text[0],
			.api = text[1], .call = text[2], .host = text[3], .address = text[4],
			.port = (int32_t)seed, .transport = text[5], .reason = text[6],
			.err_msg = text[7], .number = (int32_t)seed, .error = (int32_t)seed,
			.rule = text[8], .hint = text[9], .bytes_sent = (int64_t)seed << 30,
			.bytes_received = (int32_t)seed, .sni = text[10], .detail = text[11],
		};
		json_decref(read_line(&event, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_in_their_order),
		cmocka_unit_test(requests),
		cmocka_unit_test(absent_is_left_out),
		cmocka_unit_test(words),
		cmocka_unit_test(times),
		cmocka_unit_test(times_like_libc),
		cmocka_unit_test(numbers),
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(long_free_texts_go_first),
		cmocka_unit_test(sentences_are_cut_before_facts),
		cmocka_unit_test(everything_too_long),
		cmocka_unit_test(the_last_byte),
		cmocka_unit_test(random_bytes_stay_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
