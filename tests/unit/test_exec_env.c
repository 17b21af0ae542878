/* SPDX-License-Identifier: MIT */
/* The environment of a child: tables of LD_PRELOAD lists and of arrays, every result in
 * exactly the memory that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Belongs to the preloaded object, but needs nothing of it. */
#include "shim/hooks/exec_env.c"

#define OURS "/opt/n/libnetleash.so"

#define FIRST "NETLEASH_POLICY=/p.cfg"
#define SECOND "NETLEASH_EVENTS=/e"
static const char *const entries[] = {FIRST, SECOND};

static struct leash_exec_want want(const char *runtime, size_t count)
{
	return (struct leash_exec_want){OURS, runtime, entries, count};
}

/* Into a block of its own, so that the address sanitizer sees one byte too much. */
static char **repaired(const struct leash_exec_want *wanted, char *const *envp, void **ret_mem)
{
	struct leash_exec_plan plan;

	leash_exec_env_measure(wanted, envp, &plan);
	*ret_mem = NULL;
	if (!plan.size)
		return (char **)(uintptr_t)envp;
	*ret_mem = malloc(plan.size);
	assert_non_null(*ret_mem);
	return leash_exec_env_build(wanted, envp, &plan, *ret_mem);
}

static const struct {
	const char *label, *runtime, *list, *expected;	/* expected NULL: untouched */
} lists[] = {
	{"none", "", NULL, OURS},
	{"empty", "", "", OURS},
	{"separators only", "", " : ", OURS},
	{"right", "", OURS, NULL},
	{"right, with a separator behind", "", OURS ":", NULL},
	{"right, and another", "", OURS ":libm.so", NULL},
	{"right, by spaces", "", " " OURS "  libm.so ", NULL},
	{"another", "", "libm.so", OURS ":libm.so"},
	{"two others, by both separators", "", "b.so a.so", OURS ":b.so:a.so"},
	{"behind another", "", "libm.so:" OURS, OURS ":libm.so"},
	{"twice", "", OURS ":" OURS, OURS},
	{"another build of ours", "", "/x/libnetleash.so:a.so", OURS ":a.so"},
	{"ours by its name", "", "libnetleash.so", OURS},
	{"ours, relative", "", "./libnetleash.so", OURS},
	{"a longer name is not ours", "", OURS ".1", OURS ":" OURS ".1"},
	{"a shorter name is not ours", "", "/opt/n/libnetleash.s", OURS ":/opt/n/libnetleash.s"},
	{"a repeat of another stays", "", "a.so:a.so", OURS ":a.so:a.so"},
	{"runtime wanted", "libasan.so.8", NULL, "libasan.so.8::" OURS},
	{"runtime wanted, put there by us", "libasan.so.8", "libasan.so.8::" OURS, NULL},
	{"runtime wanted and there", "libasan.so.8", "libasan.so.8:" OURS, NULL},
	{"runtime wanted, there by its path", "libasan.so.8", "/l/libasan.so.8:" OURS, NULL},
	{"runtime wanted, there behind us", "libasan.so.8", OURS ":libasan.so.8",
	 "libasan.so.8:" OURS},
	{"runtime of the user's first", "", "/l/libasan.so.8:" OURS ":a.so", NULL},
	{"runtime of the user's behind us", "", OURS ":a.so:/l/libtsan.so.2",
	 "/l/libtsan.so.2:" OURS ":a.so"},
	{"runtime of the user's, by its name", "", "libasan.so.8 a.so", "libasan.so.8:" OURS ":a.so"},
	{"runtime that we put there, not wanted", "", "libasan.so.8::" OURS ":a.so", OURS ":a.so"},
	{"runtime that we put there, another wanted", "libtsan.so.2", "libasan.so.8::" OURS,
	 "libtsan.so.2::" OURS},
	{"two colons elsewhere", "", "libasan.so.8::a.so", "libasan.so.8:" OURS ":a.so"},
	{"a name that only starts alike", "", "libasa.so", OURS ":libasa.so"},
};

static void test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct leash_exec_want wanted = want(lists[i].runtime, 0);
		char *list = malloc(strlen(lists[i].list ? lists[i].list : "") + sizeof("LD_PRELOAD="));
		char *envp[] = {lists[i].list ? list : NULL, NULL}, **result;
		void *mem, *again;

		strcpy(list, "LD_PRELOAD=");
		strcat(list, lists[i].list ? lists[i].list : "");
		print_message("  %s\n", lists[i].label);
		result = repaired(&wanted, envp, &mem);
		if (!lists[i].expected) {
			assert_ptr_equal(result, envp);
		} else {
			assert_ptr_not_equal(result, envp);
			assert_memory_equal(result[0], "LD_PRELOAD=", 11);
			assert_string_equal(result[0] + 11, lists[i].expected);
			assert_null(result[1]);
			/* What was repaired needs no repair. */
			assert_ptr_equal(repaired(&wanted, result, &again), result);
		}
		free(mem);
		free(list);
	}
}

#define P "LD_PRELOAD=" OURS
static const struct {
	const char *label, *envp[8], *expected[8];	/* expected[0] NULL: untouched */
} arrays[] = {
	{"right", {"A=b", P, FIRST, SECOND}, {0}},
	{"right, in another order", {SECOND, P, FIRST, "A=b"}, {0}},
	{"empty", {0}, {P, FIRST, SECOND}},
	{"others stay, in order", {"B=", "A=b", "no equals", ""},
	 {"B=", "A=b", "no equals", "", P, FIRST, SECOND}},
	{"one is missing", {P, FIRST}, {P, FIRST, SECOND}},
	{"one differs", {P, "NETLEASH_POLICY=/theirs", SECOND}, {P, FIRST, SECOND}},
	{"one is longer", {P, "NETLEASH_POLICY=/p.cfgx", SECOND}, {P, FIRST, SECOND}},
	{"one twice", {P, FIRST, FIRST, SECOND}, {P, FIRST, SECOND}},
	{"one twice, once wrong", {P, FIRST, "NETLEASH_POLICY=", SECOND},
	 {P, FIRST, SECOND}},
	{"one too many", {P, FIRST, SECOND, "NETLEASH_IMAGE=/theirs"},
	 {P, FIRST, SECOND}},
	{"one of no meaning", {P, FIRST, SECOND, "NETLEASH_"}, {P, FIRST, SECOND}},
	{"no prefix of ours", {P, FIRST, SECOND, "NETLEASHED=1"}, {0}},
	{"the last LD_PRELOAD is ld.so's", {"LD_PRELOAD=a", FIRST, "LD_PRELOAD=b", SECOND},
	 {P ":b", FIRST, SECOND}},
	{"two that are right", {P, P, FIRST, SECOND}, {P, FIRST, SECOND}},
	{"no LD_PRELOAD without =", {"LD_PRELOAD", P, FIRST, SECOND}, {0}},
};

static void test_arrays(void **state)
{
	const struct leash_exec_want wanted = want("", 2);

	(void)state;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		char *const *envp = (char *const *)(uintptr_t)arrays[i].envp;
		char **result;
		void *mem;

		print_message("  %s\n", arrays[i].label);
		result = repaired(&wanted, envp, &mem);
		if (!arrays[i].expected[0]) {
			assert_ptr_equal(result, envp);
		} else {
			size_t len = 0;

			for (; arrays[i].expected[len]; len++) {
				assert_non_null(result[len]);
				assert_string_equal(result[len], arrays[i].expected[len]);
			}
			assert_null(result[len]);
		}
		free(mem);
	}
}

static void test_null(void **state)
{
	const struct leash_exec_want wanted = want("", 2);
	char **result;
	void *mem;

	(void)state;
	result = repaired(&wanted, NULL, &mem);
	assert_string_equal(result[0], P);
	assert_string_equal(result[2], entries[1]);
	assert_null(result[3]);
	free(mem);
}

static void test_shared(void **state)
{
	const struct leash_exec_want wanted = want("", 1);
	char other[] = "A=b", *envp[] = {other, NULL}, **result;
	void *mem;

	(void)state;
	result = repaired(&wanted, envp, &mem);
	assert_ptr_equal(result[0], other);
	assert_ptr_equal(result[2], entries[0]);
	assert_ptr_equal(envp[0], other);
	assert_null(envp[1]);
	free(mem);
}

/* Another thread edits between the two walks: something may be missing, nothing overflows. */
static void test_changed_between(void **state)
{
	const struct leash_exec_want wanted = want("", 2);
	char list[] = "LD_PRELOAD=a.so", *few[] = {list, (char *)"A=", NULL};
	char *more[] = {(char *)"A=", (char *)"B=", (char *)"C=", (char *)"D=", NULL};
	struct leash_exec_plan plan;
	char **result, *mem;

	(void)state;
	leash_exec_env_measure(&wanted, few, &plan);
	mem = malloc(plan.size);
	memcpy(list + 11, "b c ", 5);
	result = leash_exec_env_build(&wanted, more, &plan, mem);
	assert_string_equal(result[0], "A=");
	assert_memory_equal(result[1], P, strlen(P));
	assert_string_equal(result[3], entries[1]);
	assert_null(result[4]);
	free(mem);
}

static void test_list_alone(void **state)
{
	const struct leash_exec_want wanted = want("libtsan.so.2", 2);
	char *envp[] = {(char *)"LD_PRELOAD=a.so b.so", NULL};
	struct leash_exec_plan plan;
	char *list;

	(void)state;
	leash_exec_env_measure(&wanted, envp, &plan);
	list = malloc(plan.list_size);
	leash_exec_env_list(&wanted, &plan, list);
	assert_string_equal(list, "libtsan.so.2::" OURS ":a.so:b.so");
	assert_true(plan.list_size > strlen(list));
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_changed_between),
		cmocka_unit_test(test_list_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
