/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "policy/policy.h"

enum { API, PLAY, BAD, PARENT, DEEP, SHORT, CDN, BLOCKED_TOO, UDP, BAD_CHILD, BAD_SPELLING };
#define NONE LEASH_ENTRY_NONE

static const struct leash_draft_entry entries[] = {
	[API] = {"api.example.com", "https://api.example.com", "game.cfg", 1, LEASH_LIST_REQUEST, 0},
	[PLAY] = {"play.example.com", "wss://play.example.com", "game.cfg", 2, LEASH_LIST_SOCKET, 0},
	[BAD] = {"bad.example.com", "bad.example.com", "game.cfg", 3, LEASH_LIST_BLOCKED, 0},
	[PARENT] = {"example.org", "https://example.org", "game.cfg", 4, LEASH_LIST_REQUEST, 0},
	[DEEP] = {"a.b.deep.example", "https://a.b.deep.example", "game.cfg", 5, LEASH_LIST_UPLOAD, 0},
	[SHORT] = {"q.io", "https://q.io", "game.cfg", 6, LEASH_LIST_REQUEST, 0},
	[CDN] = {"cdn-images.example.net", "https://cdn-images.example.net", "game.cfg", 7,
		 LEASH_LIST_DOWNLOAD, 0},
	[BLOCKED_TOO] = {"play.example.com", "play.example.com", "game.cfg", 8, LEASH_LIST_BLOCKED, 0},
	[UDP] = {"udp.example.com", "udp://udp.example.com", "game.cfg", 9, LEASH_LIST_UDP, 0},
	[BAD_CHILD] = {"bad.example.org", "bad.example.org", "game.cfg", 10, LEASH_LIST_BLOCKED, 0},
	[BAD_SPELLING] = {"apx.example.com", "apx.example.com", "game.cfg", 11, LEASH_LIST_BLOCKED, 0},
};

static const struct {
	const char *label, *name;
	uint32_t scan_max, near;
} rows[] = {
	{"the name itself", "api.example.com", 0, API},
	{"the name itself, blocked too", "play.example.com", 0, PLAY},
	{"only blocked is nothing to point at", "bad.example.com", 0, NONE},
	{"a parent", "a.example.org", 0, PARENT},
	{"a grandparent", "a.b.c.example.org", 0, PARENT},
	{"a blocked parent is none", "a.bad.example.com", 0, NONE},
	{"a listed one behind a blocked one", "a.bad.example.org", 0, PARENT},
	{"a blocked spelling is none", "apxx.example.com", 100, API},
	{"a child", "deep.example", 100, DEEP},
	{"a child, nearer", "b.deep.example", 100, DEEP},
	{"a child costs a scan", "deep.example", 0, NONE},
	{"a child goes before a spelling", "example.com", 100, API},
	{"a part of a label is no child", "images.example.net", 100, NONE},
	{"one letter replaced", "apj.example.com", 100, API},
	{"one letter missing", "api.exmple.com", 100, API},
	{"one letter too many", "api.exammple.com", 100, API},
	{"two neighbours swapped", "api.exmaple.com", 100, API},
	{"two swaps", "pai.exmaple.com", 100, API},
	{"swapped and missing", "pai.exmple.com", 100, API},
	{"two letters replaced", "cdn-imajez.example.net", 100, CDN},
	{"three letters replaced", "cdn-jmajez.example.net", 100, NONE},
	{"two at the ends", "xcdn-images.example.nety", 100, CDN},
	{"three letters too many", "cdn-images.example.netxyz", 100, NONE},
	{"the smaller distance, though later", "udp.exampl.com", 100, UDP},
	{"a spelling costs a scan", "apj.example.com", 0, NONE},
	{"the scan ends", "cdn-image.example.net", 2, NONE},
	{"a short name, one letter", "q.in", 100, SHORT},
	{"a short name, two letters", "q.de", 100, NONE},
	{"far away", "completely.different.test", 100, NONE},
	{"very short", "a", 100, NONE},
};

static void near(void **state)
{
	const struct leash_draft draft = {.entries = entries, .entry_count = ARRAY_SIZE(entries)};
	const struct leash_image *image = draft_build(&draft);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t at = leash_policy_near(image, rows[i].name, strlen(rows[i].name),
						rows[i].scan_max);

		if (at != rows[i].near)
			fail_msg("%s: %d, not %d", rows[i].label, (int)at, (int)rows[i].near);
	}
	free((void *)image);
}

/* The textbook's table (optimal string alignment), to compare with. */
static unsigned int textbook(const char *a, const char *b)
{
	enum { SIZE = 24 };
	unsigned int t[SIZE][SIZE];
	size_t m = strlen(a), n = strlen(b);

	for (size_t i = 0; i <= m; i++)
		t[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= n; j++)
		t[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= m; i++)
		for (size_t j = 1; j <= n; j++) {
			unsigned int best = t[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (t[i - 1][j] + 1 < best)
				best = t[i - 1][j] + 1;
			if (t[i][j - 1] + 1 < best)
				best = t[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    t[i - 2][j - 2] + 1 < best)
				best = t[i - 2][j - 2] + 1;
			t[i][j] = best;
		}
	return t[m][n];
}

static void as_textbook(void **state)
{
	uint64_t seed = 88172645463325252u;
	unsigned int hits = 0, misses = 0;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		char one[16] = {0}, other[20] = {0};
		const struct leash_draft_entry entry = {one, one, "f", 1, LEASH_LIST_REQUEST, 0};
		const struct leash_draft draft = {.entries = &entry, .entry_count = 1};
		const struct leash_image *image;
		uint32_t at;
		bool expect;

		for (size_t i = 0; i < 10; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			one[i] = (char)('a' + seed % 3);
		}
		memcpy(other, one, 10);
		for (size_t edits = seed >> 20 & 3, len = 10; edits > 0; edits--) {
			size_t at_byte;

			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			at_byte = (seed >> 8) % (len - 1);
			switch (seed >> 30 & 3) {
			case 0:
				other[at_byte] = 'b';
				break;
			case 1:
				memmove(other + at_byte, other + at_byte + 1, len - at_byte);
				len--;
				break;
			case 2:
				memmove(other + at_byte + 1, other + at_byte, len - at_byte + 1);
				other[at_byte] = 'c';
				len++;
				break;
			case 3: {
				char kept = other[at_byte];

				other[at_byte] = other[at_byte + 1];
				other[at_byte + 1] = kept;
				break;
			}
			}
		}
		image = draft_build(&draft);
		at = leash_policy_near(image, other, strlen(other), 1);
		expect = textbook(one, other) <= (strlen(other) < 8 ? 1 : 2);
		if ((at == 0) != expect)
			fail_msg("%s and %s: distance %u", one, other, textbook(one, other));
		hits += expect;
		misses += !expect;
		free((void *)image);
	}
	assert_in_range(hits, 1000, 20000);
	assert_in_range(misses, 1000, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near),
		cmocka_unit_test(as_textbook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
