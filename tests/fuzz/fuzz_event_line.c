/* build: -ljansson */
/* SPDX-License-Identifier: MIT */
/* Texts of any bytes, separated by NUL: one line of JSON that a library can read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shim/events/event.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)
#define HEAD 40			/* bytes for the numbers */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(LEASH_EVENT_LINE_MAX), *copy = malloc(size + 1), *at = copy;
	const char *text[12] = {NULL};
	uint8_t head[HEAD] = {0};
	struct leash_event_timing timing;
	struct leash_event event;
	json_t *object;
	size_t len;

	CHECK(buf && copy);
	memcpy(head, data, size < HEAD ? size : HEAD);
	if (size)
		memcpy(copy, data, size);
	copy[size] = '\0';
	at += size < HEAD ? size : HEAD;
	for (size_t i = 0; i < 12 && at < copy + size; i++) {
		if (*at != '-')			/* absent */
			text[i] = at;
		at += strlen(at) + 1;
	}

	event = (struct leash_event){
		.kind = (enum leash_event_kind)(head[0] & 15),
		.verdict = (enum leash_event_verdict)(head[1] & 7),
		.exe = text[0], .api = text[1], .call = text[2], .host = text[3],
		.address = text[4], .transport = text[5], .reason = text[6], .err_msg = text[7],
		.rule = text[8], .hint = text[9], .sni = text[10], .detail = text[11],
	};
	if (head[0] & 16) {		/* a request's: the same texts once more */
		event.method = text[0];
		event.url = text[9];
		event.outcome = text[6];
		event.timing = &timing;
		memcpy(&event.status, head + 14, 4);
		memcpy(&timing, head, sizeof(timing));
	}
	memcpy(&event.time_ms, head + 2, 8);
	memcpy(&event.pid, head + 10, 4);
	memcpy(&event.port, head + 14, 4);
	memcpy(&event.number, head + 18, 4);
	memcpy(&event.error, head + 22, 4);
	memcpy(&event.bytes_sent, head + 26, 8);
	memcpy(&event.bytes_received, head + 34, 6);

	len = leash_event_line(&event, buf);
	CHECK(len > 2 && len <= LEASH_EVENT_LINE_MAX);
	CHECK(memchr(buf, '\n', len) == buf + len - 1);
	object = json_loadb(buf, len, JSON_REJECT_DUPLICATES, NULL);
	CHECK(object);
	CHECK(json_string_value(json_object_get(object, "time")));
	CHECK(json_is_integer(json_object_get(object, "pid")));
	CHECK(json_is_string(json_object_get(object, "detail")) == (text[11] != NULL));
	CHECK(json_is_object(json_object_get(object, "tls")) == (text[10] != NULL));
	json_decref(object);
	free(copy);
	free(buf);
	return 0;
}
