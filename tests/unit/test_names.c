/* SPDX-License-Identifier: MIT */
/* The memory of names, written and read by many at once (conn/names.c): never a name of another address. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Every load and store is a place where another thread may come in between, now and then: the steps are
 * a few nanoseconds apart, and nobody would ever see half of one.
 */
#include <stdatomic.h>
#include <unistd.h>
static __thread unsigned int steps;
static void step(void)
{
	if (++steps % 1009 == 0)
		usleep(20);
}
#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_load_explicit(at, order) (step(), *(at))
#define atomic_store_explicit(at, value, order) (step(), (void)(*(at) = (value)))

/* The files themselves: they are part of the shared object, not of the library for unit tests. */
#include "shim/conn/names.c"
#undef PROBES
#include "shim/conn/session.c"

struct leash_env leash_env = {.session = ""};

_Atomic(struct leash_session *) leash_background_here;
void leash_background_page(struct leash_session *now)
{
	atomic_store(&leash_background_here, now);
}

void leash_place_forget(struct leash_session *now, pid_t pid)
{
	(void)now;
	(void)pid;
}

#define THREADS 4
#define ADDRESSES 300		/* three names each: fewer than there is room for */
#define CROWD 16		/* all of them begin within so few places: each drives others out */

static struct leash_addr crowd[ADDRESSES];

static struct leash_addr address(uint32_t number)
{
	const uint8_t bytes[4] = {203, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};

	return leash_addr_normal4(bytes);
}

static void gather(void)
{
	uint32_t count = 0;

	for (uint32_t number = 0; count < ADDRESSES; number++) {
		const struct leash_addr addr = address(number);
		const struct key key = key_of(&addr);

		if (start_of(&key) < CROWD)
			crowd[count++] = addr;
	}
}

static void name_of(uint32_t number, uint32_t which, char name[static 40])
{
	snprintf(name, 40, "n%u-%u.example.com", which, number);
}

static _Atomic int wrong, found;

static void *hammer(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int round = 0; round < 30000; round++) {
		const uint32_t number = (uint32_t)rand_r(&seed) % ADDRESSES;
		struct leash_nameref names[LEASH_NAMES_PER_ADDR];
		const struct leash_addr addr = crowd[number];
		char name[40];
		uint32_t count;

		if (rand_r(&seed) % 4 == 0) {
			name_of(number, (uint32_t)rand_r(&seed) % 3, name);
			leash_names_learn(name, &addr);
		}
		count = leash_names_lookup(&addr, names);
		for (uint32_t i = 0; i < count; i++) {
			unsigned int which = 9, of = 0;

			if (sscanf(names[i].name, "n%u-%u.example.com", &which, &of) != 2 || of != number ||
			    which > 2 || names[i].len != strlen(names[i].name))
				wrong++;
			for (uint32_t j = 0; j < i; j++)
				if (names[i].name == names[j].name)
					wrong += 1000000;
			found++;
		}
	}
	return NULL;
}

static void test_many_at_once(void **state)
{
	pthread_t ids[THREADS];

	(void)state;
	gather();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	/* The same name may be learnt twice in the same moment; another address's may not be read. */
	assert_int_equal(wrong % 1000000, 0);
	assert_true(found > 1000);
}

static void test_full(void **state)
{
	struct leash_nameref names[LEASH_NAMES_PER_ADDR];
	struct leash_addr addr = address(0);
	char name[40];
	uint32_t number = 0;

	(void)state;
	/* Until there is no room for another name: it says so, and what was learnt stays. */
	memset(&leash_session_get()->names, 0, sizeof(leash_session_get()->names));
	for (; number < 200000; number++) {
		addr = address(number % 60000);
		name_of(number, 7, name);
		if (!leash_names_learn(name, &addr))
			break;
	}
	assert_int_equal(number, LEASH_NAMES_STRINGS);
	assert_int_equal(atomic_load(&leash_session_get()->names.full), 1);
	addr = address((number - 1) % 60000);
	assert_true(leash_names_lookup(&addr, names) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
