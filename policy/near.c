/* SPDX-License-Identifier: MIT */
/*
 * The entry that was probably meant, for messages. Nothing is decided here.
 */
#include "image.h"

#define NOT_BLOCKED ((1u << LEASH_LIST_COUNT) - 1 - LEASH_LIST_BIT(LEASH_LIST_BLOCKED))
#define DISTANCE_MAX 2u
#define BAND (2 * DISTANCE_MAX + 1)

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * The number of edits (insert, delete, replace, swap of two neighbours) between two
 * names, DISTANCE_MAX + 1 for any greater one. Only cells within DISTANCE_MAX of the
 * diagonal can matter: row[d] is the cell of column i + d - DISTANCE_MAX.
 */
static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const unsigned int far = DISTANCE_MAX + 1;
	unsigned int before[BAND], above[BAND] = {0}, row[BAND];

	if (a_len > b_len + DISTANCE_MAX || b_len > a_len + DISTANCE_MAX)
		return far;
	for (; a_len > 0 && b_len > 0 && *a == *b; a++, b++, a_len--, b_len--)
		;
	for (; a_len > 0 && b_len > 0 && a[a_len - 1] == b[b_len - 1]; a_len--, b_len--)
		;
	for (size_t i = 0; i <= a_len; i++) {
		unsigned int least = far;

		for (size_t d = 0; d < BAND; d++) {
			size_t j = i + d - DISTANCE_MAX;
			unsigned int best = far;

			row[d] = far;
			if (i + d < DISTANCE_MAX || j > b_len)
				continue;
			if (i == 0)
				best = (unsigned int)j;
			if (i > 0 && j > 0)
				best = min(best, above[d] + (a[i - 1] != b[j - 1]));
			if (i > 0 && d + 1 < BAND)
				best = min(best, above[d + 1] + 1);
			if (j > 0 && d > 0)
				best = min(best, row[d - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min(best, before[d] + 1);
			row[d] = min(best, far);
			least = min(least, row[d]);
		}
		if (least == far)
			return far;
		memcpy(before, above, sizeof(before));
		memcpy(above, row, sizeof(above));
	}
	return above[b_len - a_len + DISTANCE_MAX];
}

static bool is_below(const char *child, size_t child_len, const char *parent, size_t parent_len)
{
	return child_len > parent_len + 1 && child[child_len - parent_len - 1] == '.' &&
	       memcmp(child + child_len - parent_len, parent, parent_len) == 0;
}

/* The first listed child, else the first of the smallest distance. */
static uint32_t scan(const struct leash_image *image, const char *name, size_t len,
		     uint32_t scan_max)
{
	/* Two edits make any short name of any other. */
	unsigned int nearest = len < 8 ? 2 : DISTANCE_MAX + 1;
	uint32_t similar = LEASH_ENTRY_NONE;

	for (uint32_t i = 0; i < image->names.count && i < scan_max; i++) {
		const char *text;
		const struct leash_name *at = leash_image_name_at(image, i, &text);
		unsigned int edits;

		if (!at || (at->lists & NOT_BLOCKED) == 0)
			continue;
		if (is_below(text, at->len, name, len))
			return leash_match_entry(image, at, NOT_BLOCKED);
		edits = distance(name, len, text, at->len);
		if (edits < nearest) {
			nearest = edits;
			similar = leash_match_entry(image, at, NOT_BLOCKED);
		}
	}
	return similar;
}

uint32_t leash_policy_near(const struct leash_image *image, const char *name, size_t len,
			   uint32_t scan_max)
{
	const struct leash_name *same = leash_image_name(image, name, len);
	uint32_t parent;

	if (same && (same->lists & NOT_BLOCKED))
		return leash_match_entry(image, same, NOT_BLOCKED);
	parent = leash_match_parent(image, name, len);
	if (parent != LEASH_ENTRY_NONE)
		return parent;
	return scan(image, name, len, scan_max);
}
