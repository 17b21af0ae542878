/* SPDX-License-Identifier: MIT */
/* Any bytes as the start of a TCP stream: three outcomes, and no prefix says otherwise. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/wire/tls_hello.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)

static int parse(const uint8_t *data, size_t size, struct leash_tls_hello *hello)
{
	struct leash_tls_hello before;
	uint8_t *copy = malloc(size ? size : 1);	/* ends where it ends, for the sanitizer */
	int rc;

	CHECK(copy);
	memset(&before, 0xa5, sizeof(before));
	*hello = before;
	if (size)
		memcpy(copy, data, size);
	rc = leash_tls_hello_parse(copy, size, hello);
	free(copy);
	if (rc < 0) {
		CHECK(rc == -EAGAIN || rc == -EBADMSG);
		CHECK(memcmp(hello, &before, sizeof(before)) == 0);
	}
	return rc;
}

static void check_facts(const struct leash_tls_hello *hello)
{
	size_t at = 0;

	CHECK(hello->message_len <= LEASH_HELLO_MAX);
	CHECK(hello->records > 0);
	CHECK(hello->session_id_len <= 32);
	CHECK(hello->cipher_suite_count > 0);
	CHECK(hello->sni_len < sizeof(hello->sni));
	CHECK(strlen(hello->sni) == hello->sni_len);
	for (size_t i = 0; i < hello->sni_len; i++) {
		CHECK(hello->sni[i] > ' ' && hello->sni[i] < 0x7f && hello->sni[i] != ':');
		CHECK(hello->sni[i] < 'A' || hello->sni[i] > 'Z');
	}
	CHECK(hello->version_count <= sizeof(hello->versions) / sizeof(hello->versions[0]));
	CHECK(hello->alpn_len <= sizeof(hello->alpn));
	while (at < hello->alpn_len) {
		size_t len = strnlen(hello->alpn + at, hello->alpn_len - at);

		CHECK(len > 0 && at + len < hello->alpn_len);
		at += len + 1;
	}
	CHECK(hello->ech || hello->ech_len == 0);
}

/* The same handshake bytes in other records are the same hello */
static void check_records(const uint8_t *data, size_t size, const struct leash_tls_hello *hello)
{
	uint8_t *stream = malloc(size * 6);
	size_t len = 0, left = 0, in_record = 0;
	uint32_t seed = (uint32_t)size * 2654435761u;
	struct leash_tls_hello other;
	uint8_t *header = NULL;

	CHECK(stream);
	for (size_t at = 0; at < size; at++) {
		if (left == 0) {
			left = (size_t)data[at + 3] << 8 | data[at + 4];
			at += 4;
			continue;
		}
		if (in_record == 0) {
			seed = seed * 1664525 + 1013904223;
			in_record = 1 + (seed >> 24);
			header = stream + len;
			memcpy(header, "\x16\x7f\x7f\0\0", 5);
			len += 5;
		}
		stream[len++] = data[at];
		left--;
		in_record--;
		header[3] = (uint8_t)((size_t)(stream + len - header - 5) >> 8);
		header[4] = (uint8_t)(stream + len - header - 5);
	}
	CHECK(parse(stream, len, &other) == (int)len);
	other.records = hello->records;
	CHECK(memcmp(&other, hello, sizeof(other)) == 0);
	free(stream);
}

static void check_http(const uint8_t *data, size_t size)
{
	int whole = leash_http_request_start(data, size);

	CHECK(whole == 0 || whole == 1 || whole == -EAGAIN);
	for (size_t n = 0; n < size && n < 24; n++) {
		int part = leash_http_request_start(data, n);

		CHECK(part == -EAGAIN || part == whole);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leash_tls_hello hello, part;
	size_t step = size < 256 ? 1 : size / 64;
	int rc = parse(data, size, &hello);

	if (rc >= 0) {
		CHECK(rc > 0 && (size_t)rc <= size);
		check_facts(&hello);
		CHECK(parse(data, (size_t)rc, &part) == rc);
		CHECK(memcmp(&part, &hello, sizeof(part)) == 0);
		CHECK(parse(data, (size_t)rc - 1, &part) == -EAGAIN);
		check_records(data, (size_t)rc, &hello);
	}
	for (size_t n = 0; n < size; n += step) {
		int early = parse(data, n, &part);

		if (rc == -EAGAIN || (rc >= 0 && n < (size_t)rc))
			CHECK(early == -EAGAIN);
		else if (rc >= 0)
			CHECK(early == rc);
		else
			CHECK(early < 0);	/* bad, or not yet known to be */
		if (early == -EBADMSG)
			break;
	}
	check_http(data, size);
	return 0;
}
