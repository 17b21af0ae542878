/* SPDX-License-Identifier: MIT */
/*
 * Recorded servers against the facts that came with them, at every length and in pieces; and a flight
 * made here, of which each row damages one thing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "shim/wire/tls_record.h"
#include "shim/wire/tls_server.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* -------------------------------------------------------------- the recordings */

static json_t *expected;

struct capture {
	const char *name;
	struct guard_file file;
	const json_t *facts;
};

static struct capture *captures;
static size_t capture_count;
static uint8_t stream[LEASH_SERVER_STREAM_MAX];

static int load_captures(void **state)
{
	json_error_t error;
	const char *name;
	json_t *value;

	(void)state;
	expected = json_load_file(guard_path("tls/expected.json"), 0, &error);
	if (!expected)
		return -1;
	captures = calloc(json_object_size(expected), sizeof(*captures));
	json_object_foreach(expected, name, value) {
		struct capture *capture = &captures[capture_count++];
		char path[128];

		snprintf(path, sizeof(path), "tls/%s.s2c.bin", name);
		capture->name = name;
		capture->file = guard_read(path);
		capture->facts = json_object_get(value, "server_hello");
	}
	return 0;
}

static int free_captures(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++)
		free(captures[i].file.bytes);
	free(captures);
	json_decref(expected);
	return 0;
}

static unsigned long code(const json_t *facts, const char *key)
{
	const json_t *value = json_object_get(facts, key);

	if (!json_is_string(value))
		fail_msg("expected.json: no text %s", key);
	return strtoul(json_string_value(value), NULL, 16);
}

static bool flag(const json_t *facts, const char *key)
{
	return json_is_true(json_object_get(facts, key));
}

/* Feed @len bytes in pieces of @piece. Return: as the parser, -EBADMSG of the records as well */
static int read_server(const uint8_t *bytes, size_t len, size_t piece,
		       struct leash_tls_records *records, size_t *stream_len,
		       struct leash_tls_server *ret)
{
	for (size_t at = 0; at < len;) {
		const size_t part = len - at < piece ? len - at : piece;
		int got = leash_tls_records_feed(records, guard_tail(bytes + at, part), part, stream,
						 sizeof(stream), stream_len);

		if (got < 0)
			return got;
		assert_true((size_t)got <= part);
		at += (size_t)got;
		got = leash_tls_server_parse(stream, *stream_len, records->stop != 0, ret);
		if (got != -EAGAIN)
			return got;
		if (records->stop)
			fail_msg("more is asked for behind the end");
	}
	return -EAGAIN;
}

static void compare(const struct capture *capture, const struct leash_tls_server *server)
{
	const json_t *value, *certs = json_object_get(capture->facts, "certificates");
	size_t i;

	assert_int_equal(server->retry, flag(capture->facts, "hello_retry_request"));
	assert_int_equal(server->legacy_version, code(capture->facts, "legacy_version"));
	assert_int_equal(server->version, code(capture->facts, "selected_version"));
	assert_int_equal(server->cipher, code(capture->facts, "cipher_suite"));
	assert_false(server->downgraded);
	assert_int_equal(server->cert_count, json_array_size(certs));
	assert_int_equal(server->certificate, json_array_size(certs) > 0);
	json_array_foreach(certs, i, value) {
		assert_int_equal(server->certs[i].len, json_integer_value(json_object_get(value, "length")));
		assert_true(server->certs[i].bytes >= stream);
		assert_true(server->certs[i].bytes + server->certs[i].len <= stream + sizeof(stream));
		assert_int_equal(server->certs[i].bytes[0], 0x30);	/* a DER SEQUENCE */
	}
	json_array_foreach(json_object_get(capture->facts, "clear_handshake_types"), i, value) {
		const json_int_t type = json_integer_value(value);

		/* What follows ServerHelloDone is behind the client's own flight. */
		if (type == 4 && server->version < 0x0304 && server->certificate)
			continue;
		if (!(server->types & 1u << type))
			fail_msg("%s: message %d is missing", capture->name, (int)type);
	}
}

static void recordings_give_their_facts(void **state)
{
	static const size_t pieces[] = {1, 2, 5, 6, 7, 100, 1460, 1 << 20};

	(void)state;
	assert_true(capture_count >= 18);
	for (size_t i = 0; i < capture_count; i++) {
		for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
			struct leash_tls_records records = {0};
			struct leash_tls_server server;
			size_t len = 0;
			const int got = read_server(captures[i].file.bytes, captures[i].file.len, pieces[p],
						    &records, &len, &server);

			if (got < 0)
				fail_msg("%s in pieces of %zu: %d", captures[i].name, pieces[p], got);
			compare(&captures[i], &server);
		}
	}
}

static void every_proper_prefix_asks_for_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		const uint8_t *bytes = captures[i].file.bytes;
		struct leash_tls_server server;
		bool done = false;

		for (size_t n = 0; n <= captures[i].file.len && !done; n++) {
			struct leash_tls_records records = {0};
			size_t len = 0;
			int got;

			memset(&server, 0x55, sizeof(server));
			got = read_server(bytes, n, n ? n : 1, &records, &len, &server);
			if (got == -EAGAIN) {
				/* untouched */
				assert_int_equal(server.version, 0x5555);
				assert_int_equal(server.cert_count, 0x5555555555555555u);
				continue;
			}
			if (got < 0)
				fail_msg("%s, %zu bytes: %d", captures[i].name, n, got);
			compare(&captures[i], &server);
			done = true;
		}
		assert_true(done);
	}
}

static void second_server_hello_after_a_retry(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		const json_t *second = json_object_get(captures[i].facts, "second_hello");
		struct leash_tls_records records = {0};
		struct leash_tls_server server;
		size_t len = 0, at = 0;
		int got;

		if (!second)
			continue;
		/* the retry, alone */
		while ((got = leash_tls_server_parse(stream, len, false, &server)) == -EAGAIN)
			at += (size_t)leash_tls_records_feed(&records, captures[i].file.bytes + at, 1,
							     stream, sizeof(stream), &len);
		assert_int_equal((size_t)got, len);
		assert_true(server.retry);
		/* then a change cipher spec, and a hello in the clear */
		len = 0;
		while ((got = leash_tls_server_parse(stream, len, records.stop == LEASH_RECORD_DATA,
						     &server)) == -EAGAIN) {
			at += (size_t)leash_tls_records_feed(&records, captures[i].file.bytes + at, 1,
							     stream, sizeof(stream), &len);
			if (records.stop == LEASH_RECORD_CCS)
				leash_tls_records_resume(&records);
		}
		assert_true(got > 0);
		assert_false(server.retry);
		assert_int_equal(server.version, code(second, "selected_version"));
		assert_int_equal(server.cipher, code(second, "cipher_suite"));
		return;
	}
	fail_msg("no recording of a retry");
}

static void damage_never_crashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		uint8_t *bytes = captures[i].file.bytes;
		const size_t len = captures[i].file.len < 2000 ? captures[i].file.len : 2000;

		for (size_t at = 0; at < len; at++) {
			static const uint8_t xors[] = {1, 0x80, 0xff};

			for (size_t x = 0; x < ARRAY_SIZE(xors); x++) {
				struct leash_tls_records records = {0};
				struct leash_tls_server server;
				size_t stream_len = 0;

				bytes[at] ^= xors[x];
				read_server(bytes, captures[i].file.len, 1 << 20, &records, &stream_len,
					    &server);
				bytes[at] ^= xors[x];
			}
		}
	}
}

static void a_client_is_no_server(void **state)
{
	struct guard_file file = guard_read("tls/chromium.c2s.bin");
	struct leash_tls_records records = {0};
	struct leash_tls_server server;
	size_t len = 0;

	(void)state;
	assert_int_equal(read_server(file.bytes, file.len, file.len, &records, &len, &server), -EBADMSG);
	free(file.bytes);
}

/* ---------------------------------------------------------------------- made here */

struct text {
	uint8_t bytes[200000];
	size_t len;
};

static void put(struct text *text, const void *bytes, size_t len)
{
	assert_true(text->len + len <= sizeof(text->bytes));
	if (len)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void put_uint(struct text *text, size_t size, size_t value)
{
	for (size_t i = size; i-- > 0;) {
		const uint8_t byte = (uint8_t)(value >> (8 * i));

		put(text, &byte, 1);
	}
}

struct hello {
	unsigned int version;		/* 0: 0303 */
	size_t session_len;
	const char *ext;
	size_t ext_len;
	bool no_ext;
	const char *random;		/* 32 bytes, NULL: zeroes */
	int body_delta, ext_delta;	/* lies in the lengths */
};

static void put_hello(struct text *text, const struct hello *hello)
{
	static const uint8_t zero[64];
	struct text body = {.len = 0};

	put_uint(&body, 2, hello->version ? hello->version : 0x0303);
	put(&body, hello->random ? hello->random : (const char *)zero, 32);
	put_uint(&body, 1, hello->session_len);
	put(&body, zero, hello->session_len);
	put_uint(&body, 2, 0xc030);
	put_uint(&body, 1, 0);
	if (!hello->no_ext) {
		put_uint(&body, 2, (size_t)((int)hello->ext_len + hello->ext_delta));
		put(&body, hello->ext, hello->ext_len);
	}
	put_uint(text, 1, 2);
	put_uint(text, 3, (size_t)((int)body.len + hello->body_delta));
	put(text, body.bytes, body.len);
}

static void put_certs(struct text *text, size_t count, size_t each, int list_delta, int message_delta)
{
	put_uint(text, 1, 11);
	put_uint(text, 3, (size_t)((int)(3 + count * (3 + each)) + message_delta));
	put_uint(text, 3, (size_t)((int)(count * (3 + each)) + list_delta));
	for (size_t i = 0; i < count; i++) {
		static const uint8_t cert[70000];

		put_uint(text, 3, each);
		put(text, cert, each);
	}
}

static void put_message(struct text *text, uint8_t type, size_t len)
{
	static const uint8_t zero[100];

	put_uint(text, 1, type);
	put_uint(text, 3, len);
	put(text, zero, len);
}

static int parse(const struct text *text, bool ended, struct leash_tls_server *ret)
{
	memset(ret, 0x55, sizeof(*ret));
	return leash_tls_server_parse(guard_tail(text->bytes, text->len), text->len, ended, ret);
}

static void made_flights(void **state)
{
	static struct text text;
	struct leash_tls_server server;

	(void)state;
	/* full, 1.2 */
	text.len = 0;
	put_hello(&text, &(struct hello){.ext = "\0\x10\0\x0b\0\x09\x08http/1.1", .ext_len = 15});
	put_certs(&text, 3, 10, 0, 0);
	put_message(&text, 22, 5);
	put_message(&text, 12, 7);
	put_message(&text, 13, 9);
	assert_int_equal(parse(&text, false, &server), -EAGAIN);
	put_message(&text, 14, 0);
	assert_int_equal(parse(&text, false, &server), text.len);
	assert_int_equal(server.cert_count, 3);
	assert_int_equal(server.certs[2].len, 10);
	assert_string_equal(server.alpn, "http/1.1");
	/* what follows is not taken */
	put_message(&text, 4, 9);
	assert_int_equal(parse(&text, false, &server), text.len - 13);
	/* resumed, with and without a new ticket */
	text.len = 0;
	put_hello(&text, &(struct hello){.session_len = 32});
	assert_int_equal(parse(&text, false, &server), -EAGAIN);
	assert_int_equal(parse(&text, true, &server), text.len);
	assert_false(server.certificate);
	put_message(&text, 4, 9);
	assert_int_equal(parse(&text, true, &server), text.len);
	assert_int_equal(server.cert_count, 0);
	/* without extensions at all */
	text.len = 0;
	put_hello(&text, &(struct hello){.version = 0x0301, .no_ext = true});
	put_certs(&text, 1, 1, 0, 0);
	put_message(&text, 14, 0);
	assert_int_equal(parse(&text, false, &server), text.len);
	assert_int_equal(server.version, 0x0301);
	/* 1.3, and what an older one pretends to be */
	text.len = 0;
	put_hello(&text, &(struct hello){.ext = "\0\x2b\0\2\3\4", .ext_len = 6});
	assert_int_equal(parse(&text, false, &server), text.len);
	assert_int_equal(server.version, 0x0304);
	text.len = 0;
	put_hello(&text, &(struct hello){.random = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0DOWNGRD\1"});
	assert_int_equal(parse(&text, true, &server), text.len);
	assert_true(server.downgraded);
	/* the largest */
	text.len = 0;
	put_hello(&text, &(struct hello){0});
	put_certs(&text, 100, 652, 0, 0);		/* 65500 bytes */
	put_message(&text, 14, 0);
	assert_int_equal(parse(&text, false, &server), text.len);
	assert_int_equal(server.cert_count, 100);
	assert_true(text.len <= LEASH_SERVER_STREAM_MAX);
}

static void refused(const char *label, const struct text *text, bool ended)
{
	struct leash_tls_server server;
	const int got = parse(text, ended, &server);

	if (got != -EBADMSG)
		fail_msg("%s: %d instead of -EBADMSG", label, got);
	assert_int_equal(server.version, 0x5555);
}

static void malformed_flights(void **state)
{
	static const struct {
		const char *label;
		struct hello hello;
	} hellos[] = {
		{"session id of 33 bytes", {.session_len = 33}},
		{"hello one byte too long", {.body_delta = -1}},
		{"extensions one byte too long", {.ext = "\0\x17\0\0", .ext_len = 4, .ext_delta = 1}},
		{"extensions one byte too short", {.ext = "\0\x17\0\0", .ext_len = 4, .ext_delta = -1}},
		{"extension runs out", {.ext = "\0\x17\0\1", .ext_len = 4}},
		{"extension twice", {.ext = "\0\x17\0\0\0\x05\0\0\0\x17\0\0", .ext_len = 12}},
		{"version of three bytes", {.ext = "\0\x2b\0\3\3\4\4", .ext_len = 7}},
		{"version of one byte", {.ext = "\0\x2b\0\1\3", .ext_len = 5}},
		{"supported_versions for 1.1", {.ext = "\0\x2b\0\2\3\2", .ext_len = 6}},
		{"empty ALPN list", {.ext = "\0\x10\0\2\0\0", .ext_len = 6}},
		{"empty ALPN name", {.ext = "\0\x10\0\3\0\1\0", .ext_len = 7}},
		{"two ALPN names", {.ext = "\0\x10\0\6\0\4\1a\1b", .ext_len = 10}},
		{"retry below 1.3",
		 {.random = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
			    "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"}},
	};
	static const struct {
		const char *label;
		size_t count, each;
		int list_delta, message_delta;
	} lists[] = {
		{"empty list", 0, 0, 0, 0},
		{"certificate of 0 bytes", 1, 0, 0, 0},
		{"101 certificates", 101, 1, 0, 0},
		{"list longer than its message", 2, 10, 1, 0},
		{"list shorter than its message", 2, 10, -1, 0},
		{"message longer than its list", 2, 10, 0, 1},
		{"chain over 64 KiB", 2, 33000, 0, 0},
	};
	static const uint8_t strangers[] = {0, 1, 2, 3, 5, 8, 15, 16, 20, 24, 255};
	static struct text text;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		text.len = 0;
		put_hello(&text, &hellos[i].hello);
		put_message(&text, 14, 0);
		refused(hellos[i].label, &text, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		text.len = 0;
		put_hello(&text, &(struct hello){0});
		put_certs(&text, lists[i].count, lists[i].each, lists[i].list_delta,
			  lists[i].message_delta);
		put_message(&text, 14, 0);
		refused(lists[i].label, &text, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		text.len = 0;
		put_hello(&text, &(struct hello){0});
		put_message(&text, strangers[i], 3);
		refused("a message that has no place here", &text, false);
		if (strangers[i] == 2)
			continue;
		text.len = 0;
		put_message(&text, strangers[i], 60);
		refused("another first message", &text, false);
	}
	text.len = 0;
	put_hello(&text, &(struct hello){0});
	put_certs(&text, 1, 10, 0, 0);
	put_certs(&text, 1, 10, 0, 0);
	refused("two certificate messages", &text, false);
	text.len = 0;
	put_hello(&text, &(struct hello){0});
	put_message(&text, 14, 1);
	refused("ServerHelloDone with a body", &text, false);
	text.len = 0;
	put_hello(&text, &(struct hello){0});
	put_certs(&text, 1, 10, 0, 0);
	refused("cut off before ServerHelloDone", &text, true);
	text.len = 0;
	put_hello(&text, &(struct hello){0});
	put_uint(&text, 1, 11);
	refused("cut off inside a message", &text, true);
	put_uint(&text, 3, 1 << 20);
	refused("a message of a megabyte", &text, false);
	text.len = 0;
	refused("nothing", &text, true);
	put_uint(&text, 1, 2);
	refused("half a header", &text, true);
}

static void records_that_are_none(void **state)
{
	static const struct {
		const char *label;
		const char *bytes;
		size_t len;
	} rows[] = {
		{"plain text", "HTTP/1.1 400 Bad", 1},
		{"SSH", "SSH-2.0-x", 1},
		{"length 0", "\x16\3\3\0\0", 5},
		{"length over the maximum", "\x16\3\3\x48\1", 5},
		{"length of all ones", "\x16\3\3\xff\xff", 5},
		{"another major version", "\x16\2\0\0\5", 5},
		{"type 19", "\x13\3\3\0\5", 1},
		{"type 24", "\x18\3\3\0\5", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_tls_records records = {0};
		size_t len = 0;
		const int got = leash_tls_records_feed(&records, guard_tail(rows[i].bytes, rows[i].len),
						       rows[i].len, stream, sizeof(stream), &len);

		if (got != -EBADMSG)
			fail_msg("%s: %d", rows[i].label, got);
	}
}

static void records_stop_and_go_on(void **state)
{
	static const char bytes[] = "\x16\3\3\0\2ab\x15\3\3\0\2\1\x70\x16\3\3\0\1c\x14\3\3\0\1\1\x17";
	struct leash_tls_records records = {0};
	size_t at = 0, len = 0;

	(void)state;
	at += (size_t)leash_tls_records_feed(&records, bytes, sizeof(bytes) - 1, stream, 4, &len);
	assert_int_equal(records.stop, LEASH_RECORD_ALERT);
	assert_int_equal(at, 12);		/* its head, not its body */
	assert_int_equal(leash_tls_records_feed(&records, bytes + at, 1, stream, 4, &len), 0);
	leash_tls_records_resume(&records);
	/* not stopped any more, whatever of the body is there */
	at += (size_t)leash_tls_records_feed(&records, bytes + at, 1, stream, 4, &len);
	assert_int_equal(records.stop, 0);
	at += (size_t)leash_tls_records_feed(&records, bytes + at, 1, stream, 4, &len);
	assert_int_equal(records.stop, 0);
	assert_int_equal(len, 2);
	at += (size_t)leash_tls_records_feed(&records, bytes + at, sizeof(bytes) - 1 - at, stream, 4, &len);
	assert_int_equal(records.stop, LEASH_RECORD_CCS);
	assert_int_equal(len, 3);
	assert_memory_equal(stream, "abc", 3);
	/* the buffer is full */
	records = (struct leash_tls_records){0};
	len = 2;
	assert_int_equal(leash_tls_records_feed(&records, "\x16\3\3\0\3xyz", 8, stream, 4, &len), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_give_their_facts),
		cmocka_unit_test(every_proper_prefix_asks_for_more),
		cmocka_unit_test(second_server_hello_after_a_retry),
		cmocka_unit_test(damage_never_crashes),
		cmocka_unit_test(a_client_is_no_server),
		cmocka_unit_test(made_flights),
		cmocka_unit_test(malformed_flights),
		cmocka_unit_test(records_that_are_none),
		cmocka_unit_test(records_stop_and_go_on),
	};

	return cmocka_run_group_tests(tests, load_captures, free_captures);
}
