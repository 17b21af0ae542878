/* SPDX-License-Identifier: MIT */
/*
 * A bounded reader: parsers take from it and never do arithmetic on pointers.
 * Every take fails without effect when the bytes are not there.
 */
#ifndef LEASH_CURSOR_H
#define LEASH_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leash_cur {
	const uint8_t *at;
	size_t left;
};

static inline struct leash_cur leash_cur(const void *at, size_t len)
{
	return (struct leash_cur){.at = at, .left = len};
}

/* @len bytes off the front; *ret points at them */
static inline bool leash_cur_take(struct leash_cur *cur, size_t len, const uint8_t **ret)
{
	if (cur->left < len)
		return false;
	*ret = cur->at;
	cur->at += len;
	cur->left -= len;
	return true;
}

/* A big-endian integer of @size bytes, 1 to 4 */
static inline bool leash_cur_uint(struct leash_cur *cur, size_t size, uint32_t *ret)
{
	const uint8_t *bytes;
	uint32_t value = 0;

	if (!leash_cur_take(cur, size, &bytes))
		return false;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	*ret = value;
	return true;
}

/* A vector with a length of @size bytes in front of it (RFC 8446 section 3.4) */
static inline bool leash_cur_vec(struct leash_cur *cur, size_t size, struct leash_cur *ret)
{
	struct leash_cur copy = *cur;
	const uint8_t *bytes;
	uint32_t len;

	if (!leash_cur_uint(&copy, size, &len) || !leash_cur_take(&copy, len, &bytes))
		return false;
	*ret = leash_cur(bytes, len);
	*cur = copy;
	return true;
}

#endif
