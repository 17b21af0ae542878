/* SPDX-License-Identifier: MIT */
/* Any bytes as what a server says: in one piece and in two they say the same, and point inside. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/wire/tls_record.h"
#include "shim/wire/tls_server.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)

struct said {
	uint8_t *stream;
	size_t len;
	int rc;			/* of the records, else of the flight */
	struct leash_tls_server server;
	struct leash_tls_records records;
};

static int feed(struct said *said, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);	/* ends where it ends, for the sanitizer */
	const size_t before = said->len;
	int got;

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	got = leash_tls_records_feed(&said->records, copy, size, said->stream, LEASH_SERVER_STREAM_MAX, &said->len);
	free(copy);
	CHECK(got >= 0 || got == -EBADMSG || got == -EMSGSIZE);
	if (got >= 0) {
		CHECK((size_t)got <= size);
		CHECK(said->len >= before && said->len - before <= size);
		CHECK((size_t)got == size || said->records.stop);
	}
	return got;
}

static void parse(struct said *said)
{
	struct leash_tls_server before;
	uint8_t *copy = malloc(said->len ? said->len : 1);

	CHECK(copy);
	if (said->len)
		memcpy(copy, said->stream, said->len);
	memset(&before, 0xa5, sizeof(before));
	said->server = before;
	said->rc = leash_tls_server_parse(copy, said->len, said->records.stop != 0, &said->server);
	if (said->rc < 0) {
		CHECK(said->rc == -EAGAIN || said->rc == -EBADMSG);
		CHECK(said->rc != -EAGAIN || !said->records.stop);
		CHECK(memcmp(&said->server, &before, sizeof(before)) == 0);
	} else {
		CHECK((size_t)said->rc <= said->len);
		CHECK(said->server.cert_count <= LEASH_SERVER_CERTS_MAX);
		CHECK(said->server.certificate == (said->server.cert_count > 0));
		CHECK(!said->server.retry || said->server.version >= 0x0304);
		CHECK(said->server.version < 0x0304 || !said->server.certificate);
		for (size_t i = 0; i < said->server.cert_count; i++) {
			const struct leash_tls_cert *cert = &said->server.certs[i];

			CHECK(cert->len > 0 && cert->bytes >= copy && cert->bytes + cert->len <= copy + said->rc);
			said->server.certs[i].bytes = NULL;	/* of another copy each time */
		}
	}
	free(copy);
}

static void run(struct said *said, const uint8_t *data, size_t size, size_t cut)
{
	int got = feed(said, data, cut);

	if (got >= 0 && !said->records.stop)
		got = feed(said, data + cut, size - cut);
	if (got < 0)
		said->rc = got;
	else
		parse(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t streams[2][LEASH_SERVER_STREAM_MAX];
	static struct said whole, cut;

	memset(&whole, 0, sizeof(whole));
	memset(&cut, 0, sizeof(cut));
	whole.stream = streams[0];
	cut.stream = streams[1];
	run(&whole, data, size, size);
	run(&cut, data, size, size ? data[size - 1] % size : 0);
	CHECK(whole.rc == cut.rc);
	if (whole.rc < 0 && whole.rc != -EAGAIN)
		return 0;
	CHECK(whole.len == cut.len && memcmp(whole.stream, cut.stream, whole.len) == 0);
	CHECK(memcmp(&whole.server, &cut.server, sizeof(whole.server)) == 0);
	CHECK(memcmp(&whole.records, &cut.records, sizeof(whole.records)) == 0 || whole.records.stop);
	return 0;
}
