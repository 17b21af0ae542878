/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shim/tls/alpn.c"

static void test_filter(void **state)
{
	static const struct {
		const char *list, *want;	/* "": nothing is to be changed */
	} rows[] = {
		{"\x2h2\x8http/1.1", "\x8http/1.1"},
		{"\x8http/1.1\x2h2", "\x8http/1.1"},
		{"\x2h2", "\x8http/1.1"},
		{"\x3h2c\x2h2", "\x8http/1.1"},
		{"\x2h3\x5h3-29\x3" "dot\x2h2\x8http/1.0", "\x3" "dot\x8http/1.0"},
		{"\x8http/1.1", ""},
		{"\x3h22\x3xh2\x2H2\x1h", ""},
		{"", ""},
		/* malformed: the library refuses them itself */
		{"\x2h2\x9http/1.1", ""},
		{"\x2h2\x8http", ""},
	};
	uint8_t got[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t len = leash_alpn_filter((const uint8_t *)rows[i].list, strlen(rows[i].list), got);

		assert_int_equal(len, strlen(rows[i].want));
		assert_memory_equal(got, rows[i].want, len);
	}
	/* A name of no length */
	assert_int_equal(leash_alpn_filter((const uint8_t *)"\x2h2\0", 4, got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
