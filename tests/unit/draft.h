/* SPDX-License-Identifier: MIT */
/* Images for tests, made from a few lines. Included behind cmocka.h. */
#ifndef LEASH_TEST_DRAFT_H
#define LEASH_TEST_DRAFT_H

#include <stdlib.h>
#include <string.h>

#include "policy/compile/build.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The caller frees it: free((void *)image) */
static inline const struct leash_image *draft_build(const struct leash_draft *draft)
{
	const struct leash_image *image = NULL;
	void *block = NULL;
	size_t len = 0;

	assert_int_equal(leash_build(draft, &block, &len), 0);
	assert_int_equal(leash_image_open(block, len, &image), 0);
	assert_ptr_equal(block, image);
	return image;
}

static inline struct leash_addr draft_addr(const char *text)
{
	struct leash_addr addr;

	if (!leash_addr_parse(text, strlen(text), &addr))
		fail_msg("not an address: %s", text);
	return addr;
}

/* What is on this machine in the tests. */
static inline struct leash_net draft_net(void)
{
	static const struct {
		const char *addr;
		uint8_t prefix_len;
		uint32_t ifindex;
	} rows[] = {
		{"127.0.0.1", 8, 1},	    {"::1", 128, 1},
		{"192.0.2.10", 24, 2},	    {"2001:db8:1::10", 64, 2},
		{"fe80::10%2", 64, 2},	    {"10.1.0.5", 16, 3},
		{"fd00:1::5", 64, 3},	    {"198.51.100.200", 32, 4},
		{"203.0.113.100", 31, 5},   {"2001:db8:9::1", 128, 5},
		{"169.254.3.4", 16, 6},	    {"203.0.113.200", 0, 7},
	};
	struct leash_net net = {.count = ARRAY_SIZE(rows)};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		net.subnet[i] = (struct leash_subnet){
			.addr = draft_addr(rows[i].addr),
			.prefix_len = rows[i].prefix_len,
			.ifindex = rows[i].ifindex,
		};
	return net;
}

#endif
