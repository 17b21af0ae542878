/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "guard.h"
#include "policy/policy.h"

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
_Static_assert(sizeof(L63) - 1 == 63, "the longest label");

struct row {
	const char *label, *in;
	size_t len;
	int ret;
	const char *name;
};
#define ROW(label, in, ret, name) {label, in, sizeof(in) - 1, ret, name}

static const struct row rows[] = {
	ROW("a name stays", "api.example.com", 15, "api.example.com"),
	ROW("upper case is folded", "API.Example.COM", 15, "api.example.com"),
	ROW("one root dot is cut", "example.com.", 11, "example.com"),
	ROW("a single label is a name", "Localhost", 9, "localhost"),
	ROW("a single letter", "a", 1, "a"),
	ROW("service labels", "_443._tcp.example.com", 21, "_443._tcp.example.com"),
	ROW("an A-label", "XN--bcher-KVA.example", 21, "xn--bcher-kva.example"),
	ROW("hyphens anywhere", "r3---sn-.example.com", 20, "r3---sn-.example.com"),
	ROW("digits and dots", "127.0.0.1", 9, "127.0.0.1"),
	ROW("a label of 63", L63 ".a", 65, L63 ".a"),
	ROW("a label of 64", L63 "b.a", -EINVAL, NULL),
	ROW("a last label of 64", "a." L63 "b", -EINVAL, NULL),
	ROW("a name of 253", L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy",
	    253, L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"),
	ROW("253 and the root dot", L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy.",
	    253, L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"),
	ROW("a name of 254", L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
	    -EINVAL, NULL),
	ROW("nothing", "", -EINVAL, NULL),
	ROW("the root", ".", -EINVAL, NULL),
	ROW("two root dots", "example.com..", -EINVAL, NULL),
	ROW("an empty label", "a..b", -EINVAL, NULL),
	ROW("a leading dot", ".example.com", -EINVAL, NULL),
	ROW("a NUL inside", "api.example.com\0.evil.org", -EINVAL, NULL),
	ROW("a NUL at the end", "api.example.com\0", -EINVAL, NULL),
	ROW("a space", "api example.com", -EINVAL, NULL),
	ROW("a newline", "api.example.com\n", -EINVAL, NULL),
	ROW("a wildcard", "*.example.com", -EINVAL, NULL),
	ROW("a port", "example.com:80", -EINVAL, NULL),
	ROW("brackets", "[::1]", -EINVAL, NULL),
	ROW("a percent sign", "a%20b", -EINVAL, NULL),
	ROW("UTF-8", "b\xc3\xbc" "cher.example", -EILSEQ, NULL),
	ROW("UTF-8 goes before other faults", "b\xc3\xbc..cher example", -EILSEQ, NULL),
	ROW("an ideographic full stop", "a\xe3\x80\x82" "b", -EILSEQ, NULL),
	ROW("the Kelvin sign is no k", "\xe2\x84\xaa.example", -EILSEQ, NULL),
};

static void names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		const char *in = (const char *)guard_tail(row->in, row->len);
		char name[LEASH_NAME_SIZE] = "untouched";
		int ret = leash_name_normal(in, row->len, name);

		if (ret != row->ret || strcmp(name, row->name ? row->name : "untouched") != 0)
			fail_msg("%s: %d \"%s\", not %d", row->label, ret, name, row->ret);
	}
}

/* Every byte, inside a name: which ones are names is a list, not a locale. */
static void bytes(void **state)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char in[] = "xAx.example", name[LEASH_NAME_SIZE];
		int expect = c > 127 ? -EILSEQ : c != 0 && strchr(good, c) ? 11 : -EINVAL;

		in[1] = (char)c;
		if (leash_name_normal(in, 11, name) != expect)
			fail_msg("byte %d is not %d", c, expect);
		if (expect > 0 && c >= 'A' && c <= 'Z')
			assert_int_equal(name[1], c + 32);
		else if (expect > 0)
			assert_int_equal(name[1], c);
	}
}

/* A normal form is its own normal form, in place too. */
static void twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[LEASH_NAME_SIZE], again[LEASH_NAME_SIZE];
		int len = leash_name_normal(rows[i].in, rows[i].len, name);

		if (len < 0)
			continue;
		assert_int_equal(leash_name_normal(name, (size_t)len, again), len);
		assert_string_equal(name, again);
		assert_int_equal(leash_name_normal(name, (size_t)len, name), len);
		assert_string_equal(name, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(bytes),
		cmocka_unit_test(twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
