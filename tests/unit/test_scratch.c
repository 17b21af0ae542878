/* SPDX-License-Identifier: MIT */
/* Blocks are held by one at a time, and those that nobody gives back come back (core/scratch.c). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A clock that stands still: a thread that waits for the processor has not lost its block. */
#include "shim/core/clock.h"
static int64_t fake_now_ns = 1000000000000;
#define leash_now_ns() fake_now_ns

/* The file itself: it is part of the shared object, not of the library for unit tests. */
#include "shim/core/scratch.c"

#define THREADS 8

static _Atomic int shared;

static void *hammer(void *arg)
{
	const unsigned char mark = (unsigned char)(uintptr_t)arg;

	for (int round = 0; round < 20000; round++) {
		unsigned char *held[3];

		for (int i = 0; i < 3; i++) {
			held[i] = leash_scratch_take();
			if (held[i])
				memset(held[i], mark + i, 64);
		}
		for (int i = 0; i < 3; i++) {
			for (int j = 0; held[i] && j < 64; j++)
				if (held[i][j] != (unsigned char)(mark + i))
					atomic_fetch_add(&shared, 1);
			leash_scratch_give(held[i]);
		}
	}
	return NULL;
}

static void test_one_holder(void **state)
{
	pthread_t ids[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, hammer, (void *)(i * 16)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	assert_int_equal(shared, 0);
	for (int i = 0; i < LEASH_SCRATCH_COUNT; i++)
		assert_int_equal(taken[i], 0);
}

static jmp_buf back;

/* So that the frame is there */
static inline void keep(char *frame)
{
	__asm__ volatile("" : : "r"(frame) : "memory");
}

__attribute__((noinline)) static void take_and_leave(int depth)
{
	char frame[256];

	keep(frame);
	if (depth > 0)
		take_and_leave(depth - 1);
	else if (leash_scratch_take())
		longjmp(back, 1);
}

/* Deeper on the stack than where the blocks were lost, so that those lie above, like those of callers */
__attribute__((noinline)) static void hold_below(int depth, void **held, int count)
{
	char frame[256];

	keep(frame);
	if (depth > 0) {
		hold_below(depth - 1, held, count);
	} else {
		held[count] = leash_scratch_take();
		assert_non_null(held[count]);
		for (int i = 0; i < count; i++)
			assert_ptr_not_equal(held[i], held[count]);
		if (count < 3)
			hold_below(1, held, count + 1);
		leash_scratch_give(held[count]);
	}
	keep(frame);
}

static void test_lost_by_longjmp(void **state)
{
	void *held[4];

	(void)state;
	for (volatile int i = 0; i < 10 * LEASH_SCRATCH_COUNT; i++) {
		if (setjmp(back) == 0) {
			take_and_leave(2);
			fail_msg("there is no block, %d were lost", i);
		}
	}
	/* All are taken by frames that are gone; all but one can be known to be. */
	hold_below(8, held, 0);
	for (int i = 0; i < LEASH_SCRATCH_COUNT; i++)
		atomic_store(&taken[i], 0);
}

/* What the callers of a frame hold is not taken away, and then there is none left. */
__attribute__((noinline)) static int nest(int depth)
{
	char frame[64];
	unsigned char *block = leash_scratch_take();
	int count;

	keep(frame);
	if (!block)
		return depth;
	memset(block, depth, 64);
	count = nest(depth + 1);
	for (int i = 0; i < 64; i++)
		assert_int_equal(block[i], depth);
	leash_scratch_give(block);
	keep(frame);
	return count;
}

static void test_held_by_callers(void **state)
{
	(void)state;
	assert_int_equal(nest(0), LEASH_SCRATCH_COUNT);
}

static void fill(void)
{
	for (int i = 0; i < LEASH_SCRATCH_COUNT; i++)
		atomic_store(&taken[i], holder_now(0) ^ UINT64_C(1) << 30);	/* another thread's */
}

/* Held since long ago: by a thread of the process that forked this one, or one that was cancelled */
static void test_lost_by_others(void **state)
{
	const int64_t start_ns = fake_now_ns;
	void *block;

	(void)state;
	fill();
	fake_now_ns = start_ns + (LOST_MS + 1) * INT64_C(1000000);
	block = leash_scratch_take();
	assert_non_null(block);
	leash_scratch_give(block);
	/* Just now, long enough ago for a holder, or a moment ahead of us: theirs. */
	for (int since_ms = -2; since_ms <= LOST_MS; since_ms += since_ms < 2 ? 1 : LOST_MS - 2) {
		fake_now_ns = start_ns;
		fill();
		fake_now_ns = start_ns + since_ms * INT64_C(1000000);
		assert_null(leash_scratch_take());
	}
	for (int i = 0; i < LEASH_SCRATCH_COUNT; i++)
		atomic_store(&taken[i], 0);
	fake_now_ns = start_ns;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_holder),
		cmocka_unit_test(test_lost_by_longjmp),
		cmocka_unit_test(test_held_by_callers),
		cmocka_unit_test(test_lost_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
