/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/wire/cursor.h"
#include "tests/unit/guard.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5};

static void take_moves_by_what_it_took(void **state)
{
	struct leash_cur cur = leash_cur(guard_tail(bytes, sizeof(bytes)), sizeof(bytes));
	const uint8_t *start = cur.at, *ret = NULL;

	(void)state;
	assert_true(leash_cur_take(&cur, 2, &ret));
	assert_ptr_equal(ret, start);
	assert_ptr_equal(cur.at, start + 2);
	assert_int_equal(cur.left, 3);
	assert_true(leash_cur_take(&cur, 0, &ret));
	assert_ptr_equal(ret, start + 2);
	assert_true(leash_cur_take(&cur, 3, &ret));
	assert_int_equal(cur.left, 0);
	assert_true(leash_cur_take(&cur, 0, &ret));
}

static void take_of_too_much_has_no_effect(void **state)
{
	static const size_t lens[] = {6, 7, 255, SIZE_MAX - 1, SIZE_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct leash_cur cur = leash_cur(bytes, sizeof(bytes));
		const uint8_t *ret = NULL;

		assert_false(leash_cur_take(&cur, lens[i], &ret));
		assert_null(ret);
		assert_ptr_equal(cur.at, bytes);
		assert_int_equal(cur.left, sizeof(bytes));
	}
}

static void integers_are_big_endian(void **state)
{
	static const struct {
		size_t size;
		uint32_t value;
	} rows[] = {{1, 0x01}, {2, 0x0102}, {3, 0x010203}, {4, 0x01020304}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leash_cur cur = leash_cur(bytes, sizeof(bytes));
		uint32_t value = 0;

		assert_true(leash_cur_uint(&cur, rows[i].size, &value));
		assert_int_equal(value, rows[i].value);
		assert_int_equal(cur.left, sizeof(bytes) - rows[i].size);
	}
}

static void integer_past_the_end_has_no_effect(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 4; size++) {
		uint8_t *tail = guard_tail(bytes, size - 1);
		struct leash_cur cur = leash_cur(tail, size - 1);
		uint32_t value = 0xdeadbeef;

		assert_false(leash_cur_uint(&cur, size, &value));
		assert_int_equal(value, 0xdeadbeef);
		assert_ptr_equal(cur.at, tail);
		assert_int_equal(cur.left, size - 1);
	}
}

static void vectors_end_where_they_say(void **state)
{
	static const uint8_t vec[] = {0, 3, 'a', 'b', 'c', 'd'};
	struct leash_cur cur = leash_cur(guard_tail(vec, sizeof(vec)), sizeof(vec)), ret;

	(void)state;
	assert_true(leash_cur_vec(&cur, 2, &ret));
	assert_int_equal(ret.left, 3);
	assert_memory_equal(ret.at, "abc", 3);
	assert_int_equal(cur.left, 1);
	assert_int_equal(*cur.at, 'd');
}

static void vector_longer_than_the_input_has_no_effect(void **state)
{
	static const struct {
		const char *label;
		size_t size, len;
		uint8_t bytes[6];
	} rows[] = {
		{"one byte short", 1, 3, {3, 'a', 'b'}},
		{"length cut", 2, 1, {0}},
		{"nothing at all", 1, 0, {0}},
		{"largest length", 4, 6, {255, 255, 255, 255, 'a', 'b'}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *tail = guard_tail(rows[i].bytes, rows[i].len);
		struct leash_cur cur = leash_cur(tail, rows[i].len), ret = {NULL, 77};

		if (leash_cur_vec(&cur, rows[i].size, &ret))
			fail_msg("%s: taken", rows[i].label);
		assert_ptr_equal(cur.at, tail);
		assert_int_equal(cur.left, rows[i].len);
		assert_null(ret.at);
		assert_int_equal(ret.left, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_moves_by_what_it_took),
		cmocka_unit_test(take_of_too_much_has_no_effect),
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(integer_past_the_end_has_no_effect),
		cmocka_unit_test(vectors_end_where_they_say),
		cmocka_unit_test(vector_longer_than_the_input_has_no_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
