/* SPDX-License-Identifier: MIT */
/* Any bytes as a DNS message, and any text as a reverse name. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/wire/dns.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)
#define OUT_MAX 8

static void check_name(const struct leash_dns_question *question)
{
	size_t label = 0;

	CHECK(question->name_len < sizeof(question->name));
	CHECK(strlen(question->name) == question->name_len);
	for (size_t i = 0; i <= question->name_len; i++) {
		char c = question->name[i];

		if (c == '.' || c == '\0') {
			CHECK(label <= 63 && (label > 0 || question->name_len == 0));
			label = 0;
			continue;
		}
		CHECK(c > ' ' && c < 0x7f && (c < 'A' || c > 'Z'));
		label++;
	}
}

/* The name written anew must be the query that was read */
static void check_query(const struct leash_dns_question *question)
{
	uint8_t wire[12 + 256 + 4] = {0};
	struct leash_dns_question again;
	size_t len = 12, start = 12;

	wire[0] = (uint8_t)(question->id >> 8);
	wire[1] = (uint8_t)question->id;
	wire[5] = 1;
	if (question->name_len) {
		wire[len++] = 0;
		for (size_t i = 0; i < question->name_len; i++) {
			if (question->name[i] == '.') {
				start = len;
				wire[len++] = 0;
				continue;
			}
			wire[start]++;
			wire[len++] = (uint8_t)question->name[i];
		}
	}
	wire[len++] = 0;
	wire[len++] = (uint8_t)(question->type >> 8);
	wire[len++] = (uint8_t)question->type;
	len += 2;
	wire[len - 1] = 1;
	CHECK(leash_dns_question_parse(wire, len, &again) == 0);
	CHECK(strcmp(again.name, question->name) == 0);
	CHECK(again.type == question->type && again.id == question->id && again.end == len);
}

static void check_answers(const uint8_t *data, size_t size,
			  const struct leash_dns_question *question)
{
	struct leash_dns_answer all[OUT_MAX], some[OUT_MAX];
	int count, fewer;

	memset(all, 0xa5, sizeof(all));
	memset(some, 0xa5, sizeof(some));
	count = leash_dns_answers_parse(data, size, all, OUT_MAX);
	CHECK(count == -EBADMSG || (count >= 0 && count <= OUT_MAX));
	CHECK(count < 0 || (question && question->response));
	for (int i = 0; i < count; i++) {
		CHECK(all[i].family == 4 || all[i].family == 6);
		CHECK(all[i].ttl_s <= INT32_MAX);
	}
	for (size_t i = count < 0 ? 0 : (size_t)count; i < OUT_MAX; i++)
		CHECK(memcmp(&all[i], &some[i], sizeof(some[i])) == 0);
	for (size_t max = 0; max < OUT_MAX; max++) {
		fewer = leash_dns_answers_parse(data, size, some, max);
		CHECK(fewer == (count < (int)max ? count : (int)max));
		CHECK(fewer < 0 || memcmp(some, all, (size_t)fewer * sizeof(all[0])) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leash_dns_question question, before;
	uint8_t addr[16];
	char *text;
	int rc;

	memset(&before, 0xa5, sizeof(before));
	question = before;
	rc = leash_dns_question_parse(data, size, &question);
	if (rc < 0) {
		CHECK(rc == -EBADMSG && memcmp(&question, &before, sizeof(before)) == 0);
	} else {
		CHECK(rc == 0 && question.end > 12 && question.end <= size);
		check_name(&question);
		check_query(&question);
		CHECK(leash_dns_question_parse(data, question.end - 1, &before) == -EBADMSG);
	}
	check_answers(data, size, rc < 0 ? NULL : &question);

	text = malloc(size + 1);
	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	rc = leash_dns_reverse_name(text, addr);
	CHECK(rc == 0 || rc == 4 || rc == 6);
	free(text);
	return 0;
}
