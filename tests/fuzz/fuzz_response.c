/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as answers: all of them come back in order, every request ends exactly once, and
 * neither depends on how they are cut or on whether headers are held. The first two bytes say
 * what was asked for and how the input is cut.
 */
#define HTTP_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)
#include "tests/unit/http_run.h"

static struct http_run whole, parts, body, part_body;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t cuts[4096];
	unsigned int asks[5], count, seed;

	if (size < 3 || size > 4096)
		return 0;
	count = data[0] % 5;
	for (unsigned int i = 0; i < 5; i++)
		asks[i] = (data[0] >> (i % 4) & 1) << (i % 3);
	seed = data[1] | 1u;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		seed = seed * 1103515245 + 12345;
		cuts[i] = 1 + (seed >> 16) % (seed & 0x4000 ? 3 : 40);
	}
	http_run_response(&whole, &body, true, asks, count, data + 2, size - 2,
			  (struct http_cuts){NULL, 0});
	HTTP_CHECK(whole.ends == count);
	for (int observe = 0; observe < 2; observe++) {
		http_run_response(&parts, &part_body, observe, asks, count, data + 2, size - 2,
				  (struct http_cuts){cuts, 4096});
		HTTP_CHECK(parts.ends == count);
		HTTP_CHECK(strcmp(parts.log, whole.log) == 0);
		HTTP_CHECK(body.out_len == part_body.out_len &&
			   memcmp(body.out, part_body.out, body.out_len) == 0);
	}
	return 0;
}
