/* SPDX-License-Identifier: MIT */
/*
 * Recorded hellos against the facts that came with them, and a hello made here,
 * of which each row damages one thing.
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

#include "shim/wire/tls_hello.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* -------------------------------------------------------------- the recordings */

static json_t *expected;

struct capture {
	const char *name;
	struct guard_file file;
	size_t len;			/* of the first hello with its record headers */
	const json_t *facts;
};

static struct capture *captures;
static size_t capture_count;

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

		snprintf(path, sizeof(path), "tls/%s.c2s.bin", name);
		capture->name = name;
		capture->file = guard_read(path);
		capture->facts = json_object_get(value, "client_hello");
		capture->len = (size_t)json_integer_value(
			json_object_get(capture->facts, "bytes_on_wire"));
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

static json_int_t number(const json_t *facts, const char *key)
{
	const json_t *value = json_object_get(facts, key);

	if (!json_is_integer(value))
		fail_msg("expected.json: no number %s", key);
	return json_integer_value(value);
}

static bool has_extension(const json_t *facts, const char *code)
{
	const json_t *value;
	size_t i;

	json_array_foreach(json_object_get(facts, "extensions"), i, value) {
		if (strcmp(json_string_value(value), code) == 0)
			return true;
	}
	return false;
}

static void compare_versions(const struct leash_tls_hello *hello, const json_t *facts)
{
	const json_t *value;
	size_t i, count = 0;

	json_array_foreach(json_object_get(facts, "supported_versions"), i, value) {
		unsigned long version = strtoul(json_string_value(value), NULL, 16);

		if ((version & 0x0f0f) == 0x0a0a && version >> 8 == (version & 0xff))
			continue;
		assert_true(count < hello->version_count);
		assert_int_equal(hello->versions[count++], version);
	}
	assert_int_equal(hello->version_count, count);
}

static void compare_alpn(const struct leash_tls_hello *hello, const json_t *facts)
{
	const json_t *value;
	size_t i, at = 0;

	json_array_foreach(json_object_get(facts, "alpn"), i, value) {
		const char *name = json_string_value(value);

		if (at + strlen(name) + 1 > sizeof(hello->alpn))
			break;		/* as many as fit whole */
		assert_string_equal(hello->alpn + at, name);
		at += strlen(name) + 1;
	}
	assert_int_equal(hello->alpn_len, at);
}

/* @records: 0: as recorded */
static void compare(const char *name, const struct leash_tls_hello *hello, const json_t *facts,
		    unsigned int records)
{
	const char *sni = json_string_value(json_object_get(facts, "sni"));
	const json_t *ech = json_object_get(facts, "ech_outer_length");
	char text[65];

	print_message("  %s\n", name);
	assert_int_equal(hello->message_len, number(facts, "handshake_length"));
	snprintf(text, sizeof(text), "%04x", hello->legacy_version);
	assert_string_equal(text, json_string_value(json_object_get(facts, "legacy_version")));
	for (size_t i = 0; i < sizeof(hello->random); i++)
		snprintf(text + 2 * i, 3, "%02x", hello->random[i]);
	assert_string_equal(text, json_string_value(json_object_get(facts, "client_random")));
	assert_int_equal(hello->session_id_len, number(facts, "session_id_length"));
	assert_int_equal(hello->cipher_suite_count, number(facts, "cipher_suites"));
	assert_string_equal(hello->sni, sni ? sni : "");
	assert_int_equal(hello->sni_len, sni ? strlen(sni) : 0);
	compare_versions(hello, facts);
	compare_alpn(hello, facts);
	assert_int_equal(hello->ticket,
			 !json_is_null(json_object_get(facts, "session_ticket_length")));
	assert_int_equal(hello->psk, json_is_true(json_object_get(facts, "pre_shared_key")));
	assert_int_equal(hello->early_data, json_is_true(json_object_get(facts, "early_data")));
	assert_int_equal(hello->ech, has_extension(facts, "fe0d"));
	assert_int_equal(hello->ech_len, json_is_null(ech) ? 0 : json_integer_value(ech));
	assert_int_equal(hello->records, records ? records : number(facts, "records"));
}

static void recordings_give_their_facts(void **state)
{
	(void)state;
	assert_int_equal(capture_count, 18);
	for (size_t i = 0; i < capture_count; i++) {
		const struct capture *capture = &captures[i];
		struct leash_tls_hello hello;

		memset(&hello, 0xa5, sizeof(hello));
		assert_int_equal(leash_tls_hello_parse(guard_tail(capture->file.bytes,
								  capture->len),
						       capture->len, &hello),
				 capture->len);
		compare(capture->name, &hello, capture->facts, 0);
	}
}

static void what_follows_a_hello_is_not_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		const struct capture *capture = &captures[i];
		struct leash_tls_hello hello;

		assert_true(capture->file.len > capture->len);
		assert_int_equal(leash_tls_hello_parse(guard_tail(capture->file.bytes,
								  capture->file.len),
						       capture->file.len, &hello),
				 capture->len);
		compare(capture->name, &hello, capture->facts, 0);
	}
}

static void every_proper_prefix_asks_for_more(void **state)
{
	struct leash_tls_hello hello, before;

	(void)state;
	memset(&before, 0xa5, sizeof(before));
	for (size_t i = 0; i < capture_count; i++) {
		for (size_t n = 0; n < captures[i].len; n++) {
			int rc, head;

			hello = before;
			rc = leash_tls_hello_parse(guard_tail(captures[i].file.bytes, n), n,
						   &hello);
			head = leash_tls_hello_parse(guard_head(captures[i].file.bytes, n), n,
						     &hello);
			if (rc != -EAGAIN || head != -EAGAIN)
				fail_msg("%s, %zu bytes: %d %d", captures[i].name, n, rc, head);
			assert_memory_equal(&hello, &before, sizeof(hello));
		}
	}
}

static void second_hello_after_a_retry(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		const json_t *second = json_object_get(captures[i].facts, "second_hello");
		const size_t ccs_len = 6;
		struct leash_tls_hello hello;
		size_t start = captures[i].len + ccs_len;
		char text[65];

		if (!json_is_object(second))
			continue;
		assert_int_equal(leash_tls_hello_parse(captures[i].file.bytes + captures[i].len,
						       captures[i].file.len - captures[i].len,
						       &hello),
				 -EBADMSG);
		assert_true(leash_tls_hello_parse(captures[i].file.bytes + start,
						  captures[i].file.len - start, &hello) > 0);
		assert_int_equal(hello.message_len, number(second, "handshake_length"));
		assert_string_equal(hello.sni, json_string_value(json_object_get(second, "sni")));
		for (size_t b = 0; b < sizeof(hello.random); b++)
			snprintf(text + 2 * b, 3, "%02x", hello.random[b]);
		assert_string_equal(text,
				    json_string_value(json_object_get(second, "client_random")));
		return;
	}
	fail_msg("no recording with a second hello");
}

static uint32_t random_state = 2463534242u;

static uint32_t next_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

/* The handshake bytes out of their records */
static size_t unrecord(const uint8_t *in, size_t len, uint8_t *out)
{
	size_t out_len = 0;

	for (size_t at = 0; at < len;) {
		size_t record = (size_t)in[at + 3] << 8 | in[at + 4];

		memcpy(out + out_len, in + at + 5, record);
		out_len += record;
		at += 5 + record;
	}
	return out_len;
}

/* And into records of other sizes, 1 to @max bytes */
static size_t rerecord(const uint8_t *in, size_t len, uint32_t max, uint8_t *out,
		       unsigned int *ret_records)
{
	size_t out_len = 0;

	*ret_records = 0;
	for (size_t at = 0; at < len;) {
		size_t record = 1 + next_random(max);

		if (record > len - at)
			record = len - at;
		out[out_len++] = 22;
		out[out_len++] = (uint8_t)next_random(256);	/* versions are not judged */
		out[out_len++] = (uint8_t)next_random(256);
		out[out_len++] = (uint8_t)(record >> 8);
		out[out_len++] = (uint8_t)record;
		memcpy(out + out_len, in + at, record);
		out_len += record;
		at += record;
		++*ret_records;
	}
	return out_len;
}

static void records_of_any_size_give_the_same_facts(void **state)
{
	static const uint32_t max[] = {1, 2, 7, 64, 512, 4000};
	static uint8_t message[4096], stream[6 * 4096];

	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		size_t len = unrecord(captures[i].file.bytes, captures[i].len, message);

		for (size_t m = 0; m < ARRAY_SIZE(max); m++) {
			struct leash_tls_hello hello, before;
			unsigned int records;
			size_t stream_len = rerecord(message, len, max[m], stream, &records);

			assert_int_equal(leash_tls_hello_parse(guard_tail(stream, stream_len),
							       stream_len, &hello),
					 stream_len);
			compare(captures[i].name, &hello, captures[i].facts, records);

			memset(&before, 0xa5, sizeof(before));
			hello = before;
			for (size_t n = next_random(7); n < stream_len; n += 1 + next_random(7))
				assert_int_equal(leash_tls_hello_parse(guard_tail(stream, n), n,
								       &hello),
						 -EAGAIN);
			assert_memory_equal(&hello, &before, sizeof(hello));
		}
	}
}

/* Also where the hello began in another record: nothing stands behind it in its last */
static void bytes_behind_a_hello_in_its_record(void **state)
{
	static uint8_t message[4096], stream[6 * 4096];

	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		size_t len = unrecord(captures[i].file.bytes, captures[i].len, message);

		for (size_t cut = 1; cut < len; cut += 97) {
			const uint8_t first[] = {22, 3, 1, (uint8_t)(cut >> 8), (uint8_t)cut};
			size_t rest = len - cut + 1;
			const uint8_t second[] = {22, 3, 1, (uint8_t)(rest >> 8), (uint8_t)rest};
			struct leash_tls_hello hello;

			memcpy(stream, first, 5);
			memcpy(stream + 5, message, cut);
			memcpy(stream + 5 + cut, second, 5);
			memcpy(stream + 10 + cut, message + cut, rest - 1);
			stream[9 + cut + rest] = 2;
			assert_int_equal(leash_tls_hello_parse(stream, 10 + len + 1, &hello),
					 -EBADMSG);
			stream[8 + cut] = (uint8_t)((rest - 1) >> 8);	/* the same without it */
			stream[9 + cut] = (uint8_t)(rest - 1);
			assert_int_equal(leash_tls_hello_parse(stream, 10 + len, &hello), 10 + len);
		}
	}
}

static void damage_never_crashes(void **state)
{
	uint8_t copy[2048];

	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		for (int round = 0; round < 3000; round++) {
			struct leash_tls_hello hello, before;
			int rc;

			memcpy(copy, captures[i].file.bytes, captures[i].len);
			for (uint32_t n = 1 + next_random(4); n; n--)
				copy[next_random((uint32_t)captures[i].len)] =
					(uint8_t)next_random(256);
			memset(&before, 0xa5, sizeof(before));
			hello = before;
			rc = leash_tls_hello_parse(guard_tail(copy, captures[i].len),
						   captures[i].len, &hello);
			if (rc < 0) {
				assert_true(rc == -EAGAIN || rc == -EBADMSG);
				assert_memory_equal(&hello, &before, sizeof(hello));
				continue;
			}
			assert_in_range(rc, 1, captures[i].len);
			assert_int_equal(strlen(hello.sni), hello.sni_len);
			assert_true(hello.version_count <= ARRAY_SIZE(hello.versions));
			assert_true(hello.alpn_len <= sizeof(hello.alpn));
		}
	}
}

/* ----------------------------------------------------------- a hello made here */

struct text {
	uint8_t bytes[40000];
	size_t len;
};

static void add(struct text *text, const void *bytes, size_t len)
{
	assert_true(text->len + len <= sizeof(text->bytes));
	if (len)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void add_uint(struct text *text, size_t size, size_t value)
{
	while (size--) {
		uint8_t byte = (uint8_t)(value >> 8 * size);

		add(text, &byte, 1);
	}
}

/* What a row changes; zero is a good hello for "a.example" */
struct spec {
	const char *sni;		/* NULL: "a.example" */
	size_t sni_len;			/* 0: of its NUL-terminated text */
	const char *ext;		/* further extensions, as bytes */
	size_t ext_len;
	size_t session_id_len;
	size_t ciphers_len;		/* 0: 4 bytes */
	size_t padding_len;		/* of an unknown extension */
	bool no_sni, no_extensions, no_compression, no_ciphers;
	/* added to what each length field says; LIE_* instead of it */
	int record_d, message_d, session_d, ciphers_d, compression_d, extensions_d, ext_d, list_d,
		name_d;
	unsigned int type, handshake;	/* 0: 22, 1; written as one byte: 256 is zero */
	uint8_t name_type;
};
#define LIE_ZERO (-1000000)
#define LIE_MAX 1000000

static void add_length(struct text *text, size_t size, size_t value, int d)
{
	if (d == LIE_ZERO)
		value = 0;
	else if (d == LIE_MAX)
		value = SIZE_MAX;
	else
		value += (size_t)d;
	add_uint(text, size, value);
}

static void make(const struct spec *spec, struct text *stream)
{
	static struct text exts, message;
	const char *sni = spec->sni ? spec->sni : "a.example";
	size_t ciphers_len = spec->no_ciphers ? 0 : spec->ciphers_len ? spec->ciphers_len : 4;
	size_t sni_len = spec->sni_len ? spec->sni_len : strlen(sni);
	uint8_t random[32];

	exts.len = message.len = stream->len = 0;
	if (!spec->no_sni) {
		add_uint(&exts, 2, 0);
		add_length(&exts, 2, sni_len + 5, spec->ext_d);
		add_length(&exts, 2, sni_len + 3, spec->list_d);
		add_uint(&exts, 1, spec->name_type);
		add_length(&exts, 2, sni_len, spec->name_d);
		add(&exts, sni, sni_len);
	}
	add(&exts, spec->ext, spec->ext_len);
	if (spec->padding_len) {
		add_uint(&exts, 2, 21);
		add_uint(&exts, 2, spec->padding_len);
		for (size_t i = 0; i < spec->padding_len; i++)
			add_uint(&exts, 1, 0);
	}

	add_uint(&message, 2, 0x0303);
	memset(random, 0x77, sizeof(random));
	add(&message, random, sizeof(random));
	add_length(&message, 1, spec->session_id_len, spec->session_d);
	for (size_t i = 0; i < spec->session_id_len; i++)
		add_uint(&message, 1, 0x55);
	add_length(&message, 2, ciphers_len, spec->ciphers_d);
	for (size_t i = 0; i < ciphers_len; i++)
		add_uint(&message, 1, 0x13);
	add_length(&message, 1, !spec->no_compression, spec->compression_d);
	if (!spec->no_compression)
		add_uint(&message, 1, 0);
	if (!spec->no_extensions) {
		add_length(&message, 2, exts.len, spec->extensions_d);
		add(&message, exts.bytes, exts.len);
	}

	/* In records of at most 16384 bytes; the lie is in the first. */
	for (size_t at = 0, total = message.len + 4; at < total;) {
		size_t len = total - at < 16384 ? total - at : 16384;

		add_uint(stream, 1, spec->type ? spec->type : 22);
		add_uint(stream, 2, 0x0301);
		add_length(stream, 2, len, at ? 0 : spec->record_d);
		if (at == 0) {
			add_uint(stream, 1, spec->handshake ? spec->handshake : 1);
			add_length(stream, 3, message.len, spec->message_d);
			add(stream, message.bytes, len - 4);
		} else {
			add(stream, message.bytes + at - 4, len);
		}
		at += len;
	}
}

static int parse(const struct text *stream, struct leash_tls_hello *hello)
{
	return leash_tls_hello_parse(guard_tail(stream->bytes, stream->len), stream->len, hello);
}

/* Refused whatever may follow: also with more bytes behind, and nothing is set */
static void assert_refused(const char *label, struct text *stream)
{
	static const uint8_t more[64];
	struct leash_tls_hello hello, before;

	memset(&before, 0xa5, sizeof(before));
	hello = before;
	for (int again = 0; again < 2; again++) {
		int rc = parse(stream, &hello);

		if (rc != -EBADMSG)
			fail_msg("%s: %d", label, rc);
		assert_memory_equal(&hello, &before, sizeof(hello));
		add(stream, more, sizeof(more));
	}
}

static void a_made_hello_is_good(void **state)
{
	static struct text stream;
	struct leash_tls_hello hello;

	(void)state;
	make(&(struct spec){0}, &stream);
	assert_int_equal(parse(&stream, &hello), stream.len);
	assert_string_equal(hello.sni, "a.example");
	assert_int_equal(hello.cipher_suite_count, 2);
	assert_int_equal(hello.legacy_version, 0x0303);
	assert_int_equal(hello.version_count, 0);

	make(&(struct spec){.no_extensions = true, .session_id_len = 32}, &stream);
	assert_int_equal(parse(&stream, &hello), stream.len);
	assert_int_equal(hello.sni_len, 0);
	assert_int_equal(hello.session_id_len, 32);

	make(&(struct spec){.no_sni = true}, &stream);
	assert_int_equal(parse(&stream, &hello), stream.len);
	assert_int_equal(hello.sni_len, 0);
}

static void lying_lengths_are_refused(void **state)
{
#define LIES(field)								\
	{#field " + 1", {.field = 1}}, {#field " - 1", {.field = -1}},		\
	{#field " 0", {.field = LIE_ZERO}}, {#field " max", {.field = LIE_MAX}}
	static const struct {
		const char *label;
		struct spec spec;
	} rows[] = {
		LIES(record_d), LIES(message_d), LIES(session_d), LIES(ciphers_d),
		LIES(compression_d), LIES(extensions_d), LIES(ext_d), LIES(list_d), LIES(name_d),
	};
#undef LIES
	static struct text stream;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec spec = rows[i].spec;

		spec.session_id_len = 32;
		make(&spec, &stream);
		assert_refused(rows[i].label, &stream);
	}
}

/* Each length field of each recording, found by walking it, changed in four ways */
static void lying_lengths_of_recordings(void **state)
{
	(void)state;
	for (size_t i = 0; i < capture_count; i++) {
		const struct capture *capture = &captures[i];
		struct {
			size_t at, size;
		} fields[128];
		size_t count = 0, at = 5 + 4 + 34, end;
		uint8_t copy[2048];

		if (number(capture->facts, "records") != 1)
			continue;
		memcpy(copy, capture->file.bytes, capture->len);
		fields[count].at = 3;
		fields[count++].size = 2;
		fields[count].at = 6;
		fields[count++].size = 3;
		fields[count].at = at;			/* session id, ciphers, compression */
		fields[count++].size = 1;
		at += 1u + copy[at];
		fields[count].at = at;
		fields[count++].size = 2;
		at += 2u + ((size_t)copy[at] << 8 | copy[at + 1]);
		fields[count].at = at;
		fields[count++].size = 1;
		at += 1u + copy[at];
		fields[count].at = at;			/* extensions, and each of them */
		fields[count++].size = 2;
		end = at + 2u + ((size_t)copy[at] << 8 | copy[at + 1]);
		at += 2;
		assert_int_equal(end, capture->len);
		while (at < end) {
			assert_true(count < ARRAY_SIZE(fields));
			fields[count].at = at + 2;
			fields[count++].size = 2;
			at += 4u + ((size_t)copy[at + 2] << 8 | copy[at + 3]);
		}

		for (size_t f = 0; f < count; f++) {
			size_t size = fields[f].size, value = 0;

			for (size_t b = 0; b < size; b++)
				value = value << 8 | copy[fields[f].at + b];
			for (int way = 0; way < 4; way++) {
				size_t lie = way == 0 ? value + 1 : way == 1 ? value - 1 :
					     way == 2 ? 0 : (1u << 8 * size) - 1;
				struct leash_tls_hello hello;
				uint8_t *tail = guard_tail(copy, capture->len);
				int rc;

				if (lie == value || (value == 0 && way == 1))
					continue;
				for (size_t b = 0; b < size; b++)
					tail[fields[f].at + b] =
						(uint8_t)(lie >> 8 * (size - 1 - b));
				rc = leash_tls_hello_parse(tail, capture->len, &hello);
				if (rc >= 0)
					fail_msg("%s: field at %zu, %zu for %zu: %d", capture->name,
						 fields[f].at, lie, value, rc);
			}
		}
	}
}

#define NAME_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_253 NAME_63 "." NAME_63 "." NAME_63 "." "b" \
	"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static void server_names(void **state)
{
	static const struct {
		const char *label, *sni;
		size_t len;
		const char *expect;	/* NULL: refused */
	} rows[] = {
		{"plain", "a.example", 0, "a.example"},
		{"one letter", "a", 0, "a"},
		{"upper case becomes lower", "WWW.Example", 0, "www.example"},
		{"trailing dot is cut", "a.example.", 0, "a.example"},
		{"253 bytes", NAME_253, 0, NAME_253},
		{"254 bytes", NAME_253 "d", 0, NULL},
		{"underscore and hyphen", "_a-b.example", 0, "_a-b.example"},
		{"A-label", "xn--fa-hia.example", 0, "xn--fa-hia.example"},
		{"number in front", "192.example", 0, "192.example"},
		{"hexadecimal letters that are a name", "0xyz.de", 0, "0xyz.de"},
		{"last label begins with a digit", "a.1b", 0, "a.1b"},
		{"dots only", ".", 0, NULL},
		{"two dots", "..", 0, NULL},
		{"empty label", "a..example", 0, NULL},
		{"leading dot", ".a.example", 0, NULL},
		{"two trailing dots", "a.example..", 0, NULL},
		{"NUL at the end", "a.example\0", 10, NULL},
		{"NUL inside", "a\0.example", 10, NULL},
		{"NUL alone", "\0", 1, NULL},
		{"non-ASCII", "\xc3\xa4.example", 0, NULL},
		{"space", "a example", 0, NULL},
		{"newline", "a.example\n", 0, NULL},
		{"DEL", "a\x7f.example", 0, NULL},
		{"IPv4", "192.0.2.1", 0, NULL},
		{"IPv4 with a trailing dot", "192.0.2.1.", 0, NULL},
		{"IPv4 of two parts", "127.1", 0, NULL},
		{"IPv4 as one number", "2130706433", 0, NULL},
		{"IPv4 in hexadecimal", "0x7f000001", 0, NULL},
		{"IPv4 in upper hexadecimal", "0X7F.0x1", 0, NULL},
		{"IPv4, empty hexadecimal", "1.0x", 0, NULL},
		{"zero", "0", 0, NULL},
		{"IPv6", "2001:db8::1", 0, NULL},
		{"IPv6 unspecified", "::", 0, NULL},
		{"IPv6 in brackets", "[2001:db8::1]", 0, NULL},
		{"a port", "a.example:443", 0, NULL},
	};
	static struct text stream;

	(void)state;
	assert_int_equal(strlen(NAME_253), 253);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_tls_hello hello;
		int rc;

		make(&(struct spec){.sni = rows[i].sni, .sni_len = rows[i].len}, &stream);
		if (!rows[i].expect) {
			assert_refused(rows[i].label, &stream);
			continue;
		}
		rc = parse(&stream, &hello);
		if (rc != (int)stream.len || strcmp(hello.sni, rows[i].expect) != 0 ||
		    hello.sni_len != strlen(rows[i].expect))
			fail_msg("%s: %d", rows[i].label, rc);
		for (size_t n = 0; n < stream.len; n++)
			assert_int_equal(leash_tls_hello_parse(guard_tail(stream.bytes, n), n,
							       &hello),
					 -EAGAIN);
	}
}

static void malformed_hellos(void **state)
{
#define EXT(bytes) .ext = bytes, .ext_len = sizeof(bytes) - 1
	static const struct {
		const char *label;
		struct spec spec;
	} rows[] = {
		{"alert first", {.type = 21}},
		{"change cipher spec first", {.type = 20}},
		{"application data first", {.type = 23}},
		{"HelloRequest", {.handshake = 256}},
		{"ServerHello", {.handshake = 2}},
		{"Finished", {.handshake = 20}},
		{"session id of 33", {.session_id_len = 33}},
		{"odd cipher list", {.ciphers_len = 5}},
		{"no cipher", {.no_ciphers = true}},
		{"no compression method", {.no_compression = true}},
		{"name type 1", {.name_type = 1}},
		{"name type 255", {.name_type = 255}},
		{"over 16 KiB", {.padding_len = 16400}},
		{"server_name twice",
		 {EXT("\0\0\0\x06\0\x04\0\0\x01" "b")}},
		{"two host names",
		 {.no_sni = true, EXT("\0\0\0\x0a\0\x08\0\0\x01" "a\0\0\x01" "b")}},
		{"host name of length 0", {.no_sni = true, EXT("\0\0\0\x05\0\x03\0\0\0")}},
		{"empty server_name", {.no_sni = true, EXT("\0\0\0\0")}},
		{"empty list of names", {.no_sni = true, EXT("\0\0\0\x02\0\0")}},
		{"bytes behind the list of names",
		 {.no_sni = true, EXT("\0\0\0\x07\0\x04\0\0\x01" "a\0")}},
		{"unknown extension twice", {EXT("\x12\x34\0\0\x12\x34\0\0")}},
		{"largest type twice", {EXT("\xff\xff\0\0\x12\x34\0\0\xff\xff\0\x01z")}},
		{"GREASE extension twice", {EXT("\x2a\x2a\0\0\x2a\x2a\0\x01\0")}},
		{"ticket twice", {EXT("\0\x23\0\0\0\x23\0\0")}},
		{"three bytes of an extension", {EXT("\x12\x34\0")}},
		{"one byte of an extension", {EXT("\x12")}},
		{"extension longer than its list", {EXT("\x12\x34\0\x01")}},
		{"empty ALPN", {EXT("\0\x10\0\0")}},
		{"empty ALPN list", {EXT("\0\x10\0\x02\0\0")}},
		{"empty ALPN entry", {EXT("\0\x10\0\x03\0\x01\0")}},
		{"empty ALPN entry behind another", {EXT("\0\x10\0\x06\0\x04\x02h2\0")}},
		{"ALPN entry longer than its list", {EXT("\0\x10\0\x05\0\x03\x03h2")}},
		{"bytes behind ALPN", {EXT("\0\x10\0\x06\0\x03\x02h2\0")}},
		{"odd version list", {EXT("\0\x2b\0\x04\x03\x03\x04\x03")}},
		{"empty version list", {EXT("\0\x2b\0\x01\0")}},
		{"empty versions", {EXT("\0\x2b\0\0")}},
		{"bytes behind the versions", {EXT("\0\x2b\0\x04\x02\x03\x04\0")}},
	};
#undef EXT
	static struct text stream;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make(&rows[i].spec, &stream);
		assert_refused(rows[i].label, &stream);
	}
}

static void other_first_bytes(void **state)
{
#define BYTES(text) text, sizeof(text) - 1
	static const struct {
		const char *label, *bytes;
		size_t len;
		int rc;
	} rows[] = {
		{"nothing", "", 0, -EAGAIN},
		{"SSLv2 hello", BYTES("\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10"), -EBADMSG},
		{"first byte of SSLv2", BYTES("\x80"), -EBADMSG},
		{"HTTP", BYTES("GET / HTTP/1.1\r\n"), -EBADMSG},
		{"first letter of HTTP", BYTES("G"), -EBADMSG},
		{"SSH", BYTES("SSH-2.0-x\r\n"), -EBADMSG},
		{"HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n"), -EBADMSG},
		{"zeroes", BYTES("\0\0\0\0\0\0"), -EBADMSG},
		{"alert", BYTES("\x15\x03\x01\0\x02\x02\x28"), -EBADMSG},
		{"empty record", BYTES("\x16\x03\x01\0\0"), -EBADMSG},
		{"record of 16640", BYTES("\x16\x03\x01\x41\0\x01"), -EAGAIN},
		{"record of 16641", BYTES("\x16\x03\x01\x41\x01\x01"), -EBADMSG},
		{"record of 65535", BYTES("\x16\x03\x01\xff\xff"), -EBADMSG},
		{"ServerHello", BYTES("\x16\x03\x03\0\x40\x02"), -EBADMSG},
		{"message of 16384", BYTES("\x16\x03\x03\0\x40\x01\0\x40\0"), -EAGAIN},
		{"message of 16385", BYTES("\x16\x03\x03\0\x40\x01\0\x40\x01"), -EBADMSG},
		{"message of 16 MiB", BYTES("\x16\x03\x03\0\x40\x01\xff\xff\xff"), -EBADMSG},
		{"CCS inside", BYTES("\x16\x03\x03\0\x05\x01\0\0\x80\x03\x14\x03\x03\0\x01\x01"),
		 -EBADMSG},
		{"alert inside", BYTES("\x16\x03\x03\0\x05\x01\0\0\x80\x03\x15"), -EBADMSG},
		{"empty record inside", BYTES("\x16\x03\x03\0\x05\x01\0\0\x80\x03\x16\x03\x03\0\0"),
		 -EBADMSG},
		{"header in four records",
		 BYTES("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\x01\0\x16\x03\x01\0\x01\0\x16\x03\x01"),
		 -EAGAIN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_tls_hello hello, before;
		int rc;

		memset(&before, 0xa5, sizeof(before));
		hello = before;
		rc = leash_tls_hello_parse(guard_tail(rows[i].bytes, rows[i].len), rows[i].len,
					   &hello);
		if (rc != rows[i].rc)
			fail_msg("%s: %d instead of %d", rows[i].label, rc, rows[i].rc);
		assert_memory_equal(&hello, &before, sizeof(hello));
	}
}

static void a_server_is_no_client(void **state)
{
	struct guard_file file = guard_read("tls/s_client-tls12.s2c.bin");
	struct leash_tls_hello hello;

	(void)state;
	assert_int_equal(leash_tls_hello_parse(guard_tail(file.bytes, file.len), file.len, &hello),
			 -EBADMSG);
	free(file.bytes);
}

static void lists_longer_than_the_struct(void **state)
{
	static struct text stream, ext;
	struct leash_tls_hello hello;

	(void)state;
	/* 40 versions with GREASE between, ALPN of 200 + 60 + 2 bytes, one with a NUL */
	add_uint(&ext, 2, 43);
	add_uint(&ext, 2, 81);
	add_uint(&ext, 1, 80);
	for (size_t i = 0; i < 40; i++)
		add_uint(&ext, 2, i % 2 ? 0x0300 + i : 0x1a1a);
	add_uint(&ext, 2, 16);
	add_uint(&ext, 2, 2 + 4 + 201 + 61 + 3);
	add_uint(&ext, 2, 4 + 201 + 61 + 3);
	add(&ext, "\3a\0b", 4);
	add_uint(&ext, 1, 200);
	for (size_t i = 0; i < 200; i++)
		add(&ext, "x", 1);
	add_uint(&ext, 1, 60);
	for (size_t i = 0; i < 60; i++)
		add(&ext, "y", 1);
	add(&ext, "\2h2", 3);
	make(&(struct spec){.ext = (const char *)ext.bytes, .ext_len = ext.len}, &stream);

	assert_int_equal(parse(&stream, &hello), stream.len);
	assert_int_equal(hello.version_count, 16);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(hello.versions[i], 0x0300 + 2 * i + 1);
	assert_int_equal(hello.alpn_len, 201);
	assert_int_equal(strlen(hello.alpn), 200);
	assert_int_equal(hello.alpn[0], 'x');
}

/* As many extensions as a hello can hold: none twice is good, the last like the first is not */
static void four_thousand_extensions(void **state)
{
	static struct text stream, ext;
	struct leash_tls_hello hello;

	(void)state;
	for (size_t i = 0; i < 4000; i++) {
		add_uint(&ext, 2, 1000 + i * 16);
		add_uint(&ext, 2, 0);
	}
	make(&(struct spec){.ext = (const char *)ext.bytes, .ext_len = ext.len}, &stream);
	assert_int_equal(parse(&stream, &hello), stream.len);
	ext.len -= 4;
	add_uint(&ext, 2, 1000);
	add_uint(&ext, 2, 0);
	make(&(struct spec){.ext = (const char *)ext.bytes, .ext_len = ext.len}, &stream);
	assert_refused("twin at the other end", &stream);
}

static void largest_hello(void **state)
{
	static struct text stream;
	struct leash_tls_hello hello;
	size_t small;

	(void)state;
	make(&(struct spec){.padding_len = 1}, &stream);
	small = stream.len - 5 - 4;
	make(&(struct spec){.padding_len = 1 + LEASH_HELLO_MAX - small}, &stream);
	assert_int_equal(parse(&stream, &hello), stream.len);
	assert_int_equal(hello.message_len, LEASH_HELLO_MAX);
	assert_int_equal(hello.records, 2);
	assert_true(stream.len <= LEASH_HELLO_STREAM_MAX);
	make(&(struct spec){.padding_len = 2 + LEASH_HELLO_MAX - small}, &stream);
	assert_refused("one byte more", &stream);
}

static void flags_of_extensions(void **state)
{
	static const struct {
		const char *ext;
		bool ticket, psk, early_data, ech;
	} rows[] = {
		{"\0\x23\0\1x", .ticket = true},
		{"\0\x29\0\1x", .psk = true},
		{"\0\x2a\0\1x", .early_data = true},
		{"\xfe\x0d\0\1x", .ech = true},
	};
	static struct text stream;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_tls_hello hello;

		make(&(struct spec){.ext = rows[i].ext, .ext_len = 5}, &stream);
		assert_int_equal(parse(&stream, &hello), stream.len);
		assert_int_equal(hello.ticket, rows[i].ticket);
		assert_int_equal(hello.psk, rows[i].psk);
		assert_int_equal(hello.early_data, rows[i].early_data);
		assert_int_equal(hello.ech, rows[i].ech);
		assert_int_equal(hello.ech_len, rows[i].ech ? 1 : 0);
	}
}

static void first_bytes_of_http(void **state)
{
	static const struct {
		const char *bytes;
		int rc;
	} rows[] = {
		{"", -EAGAIN}, {"G", -EAGAIN}, {"GET", -EAGAIN}, {"GET ", 1},
		{"GET / HTTP/1.1\r\n\r\n", 1}, {"POST /x HTTP/1.0\r\n", 1}, {"OPTIONS * ", 1},
		{"CONNECT a.example:443 HTTP/1.1", 1}, {"PROPFIND / HTTP/1.1", 1}, {"P", -EAGAIN},
		{"PR", -EAGAIN}, {"PRI * HTTP/2.0", 0}, {"GETX", 0}, {"GET/", 0}, {"GET\t/", 0},
		{"get / HTTP/1.1", 0}, {" GET /", 0}, {"\r\nGET /", 0}, {"SSH-2.0-x", 0},
		{"HTTP/1.1 200 OK", 0}, {"HEAD", -EAGAIN}, {"HEAD /", 1}, {"\x16\x03\x01", 0},
		{"NOTIFY * HTTP/1.1", 1}, {"EHLO a.example", 0}, {"UNSUBSCRIBE /e HTTP/1.1", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].bytes);
		int rc = leash_http_request_start(guard_tail(rows[i].bytes, len), len);

		if (rc != rows[i].rc)
			fail_msg("\"%s\": %d instead of %d", rows[i].bytes, rc, rows[i].rc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_give_their_facts),
		cmocka_unit_test(what_follows_a_hello_is_not_taken),
		cmocka_unit_test(every_proper_prefix_asks_for_more),
		cmocka_unit_test(second_hello_after_a_retry),
		cmocka_unit_test(records_of_any_size_give_the_same_facts),
		cmocka_unit_test(bytes_behind_a_hello_in_its_record),
		cmocka_unit_test(damage_never_crashes),
		cmocka_unit_test(a_made_hello_is_good),
		cmocka_unit_test(lying_lengths_are_refused),
		cmocka_unit_test(lying_lengths_of_recordings),
		cmocka_unit_test(server_names),
		cmocka_unit_test(malformed_hellos),
		cmocka_unit_test(other_first_bytes),
		cmocka_unit_test(a_server_is_no_client),
		cmocka_unit_test(lists_longer_than_the_struct),
		cmocka_unit_test(four_thousand_extensions),
		cmocka_unit_test(largest_hello),
		cmocka_unit_test(flags_of_extensions),
		cmocka_unit_test(first_bytes_of_http),
	};

	return cmocka_run_group_tests(tests, load_captures, free_captures);
}
