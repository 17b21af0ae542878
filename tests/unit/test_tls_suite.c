/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shim/wire/tls_suite.h"

/* What the captures and today's clients choose, as IANA spells it */
static void known(void **state)
{
	static const struct {
		uint16_t suite;
		const char *name;
	} rows[] = {
		{0x1301, "TLS_AES_128_GCM_SHA256"},
		{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
		{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
		{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
		{0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"},
		{0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8"},
	};
	char buf[LEASH_TLS_SUITE_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(leash_tls_suite_name(rows[i].suite, buf), rows[i].name);
}

/* Each number has one name that fits; the rest are told as they are. */
static void every_number(void **state)
{
	char buf[LEASH_TLS_SUITE_TEXT], other[LEASH_TLS_SUITE_TEXT], hex[8];
	unsigned int named = 0;

	(void)state;
	for (uint32_t suite = 0; suite <= UINT16_MAX; suite++) {
		const char *name;

		memset(buf, 0x7f, sizeof(buf));
		name = leash_tls_suite_name((uint16_t)suite, buf);
		assert_in_range(strlen(name), 6, LEASH_TLS_SUITE_TEXT - 1);
		if (name == buf) {
			snprintf(hex, sizeof(hex), "0x%04x", (unsigned int)suite);
			assert_string_equal(name, hex);
			continue;
		}
		named++;
		assert_memory_equal(name, "TLS_", 4);
		for (uint32_t more = suite + 1; more < suite + 16 && more <= UINT16_MAX; more++)
			assert_string_not_equal(leash_tls_suite_name((uint16_t)more, other), name);
	}
	assert_in_range(named, 30, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(every_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
