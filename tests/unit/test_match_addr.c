/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "guard.h"
#include "policy/policy.h"

/* ------------------------------------------------------------------- text */

struct parse_row {
	const char *label, *in;
	size_t len;
	const char *text;	/* NULL: no address */
};
#define ROW(label, in, text) {label, in, sizeof(in) - 1, text}

static const struct parse_row parse_rows[] = {
	ROW("dotted quad", "192.0.2.1", "192.0.2.1"),
	ROW("two parts", "127.1", "127.0.0.1"),
	ROW("three parts", "127.0.1", "127.0.0.1"),
	ROW("three parts, 16 bits", "10.1.65535", "10.1.255.255"),
	ROW("two parts, 24 bits", "10.16777215", "10.255.255.255"),
	ROW("one decimal part", "2130706433", "127.0.0.1"),
	ROW("zero", "0", "0.0.0.0"),
	ROW("one", "1", "0.0.0.1"),
	ROW("all ones", "4294967295", "255.255.255.255"),
	ROW("hex", "0x7f000001", "127.0.0.1"),
	ROW("hex, upper case", "0X7F000001", "127.0.0.1"),
	ROW("hex part", "0x7f.1", "127.0.0.1"),
	ROW("octal", "0177.0.0.1", "127.0.0.1"),
	ROW("octal whole", "017700000001", "127.0.0.1"),
	ROW("octal zeros", "0000.0.0.00", "0.0.0.0"),
	ROW("mixed", "0x7f.0.01.1", "127.0.1.1"),
	ROW("hex with many zeros", "0x0000000000000001", "0.0.0.1"),
	ROW("quad with leading zero is octal", "192.0.2.010", "192.0.2.8"),
	ROW("one over 32 bits", "4294967296", NULL),
	ROW("far over 64 bits", "99999999999999999999999999", NULL),
	ROW("hex over 32 bits", "0x100000000", NULL),
	ROW("part over 255", "256.0.0.1", NULL),
	ROW("last of four over 255", "127.0.0.256", NULL),
	ROW("last of three over 16 bits", "127.0.65536", NULL),
	ROW("last of two over 24 bits", "127.16777216", NULL),
	ROW("five parts", "1.2.3.4.5", NULL),
	ROW("a trailing dot", "127.0.0.1.", NULL),
	ROW("an empty part", "127..1", NULL),
	ROW("a leading dot", ".127.1", NULL),
	ROW("hex without digits", "0x", NULL),
	ROW("hex part without digits", "0x.1", NULL),
	ROW("an 8 in octal", "08", NULL),
	ROW("binary is a name", "0b1", NULL),
	ROW("trailing space", "127.0.0.1 ", NULL),
	ROW("trailing text", "127.0.0.1 x", NULL),
	ROW("leading space", " 127.0.0.1", NULL),
	ROW("a sign", "+1", NULL),
	ROW("a minus", "-1", NULL),
	ROW("a NUL inside", "127.0.0.1\0", NULL),
	ROW("nothing", "", NULL),
	ROW("a dot", ".", NULL),
	ROW("v4 in brackets", "[127.0.0.1]", NULL),
	ROW("a name", "api.example.com", NULL),
	ROW("a name of hex digits", "dead.beef", NULL),
	ROW("a name that begins as a number", "1.example", NULL),

	ROW("v6 loopback", "::1", "::1"),
	ROW("v6 loopback in full", "0:0:0:0:0:0:0:1", "::1"),
	ROW("v6 unspecified", "::", "::"),
	ROW("v6 in brackets", "[::1]", "::1"),
	ROW("v6", "2001:db8::1", "2001:db8::1"),
	ROW("v6 upper case, zeros", "2001:0DB8:0000:0:0:0:0:0001", "2001:db8::1"),
	ROW("the longer gap", "2001:db8:0:0:1:0:0:0", "2001:db8:0:0:1::"),
	ROW("the first of equal gaps", "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
	ROW("one zero group is no gap", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
	ROW("a gap at the end", "2001:db8::", "2001:db8::"),
	ROW("a gap in front", "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
	ROW("a numeric scope", "fe80::1%2", "fe80::1%2"),
	ROW("a numeric scope in brackets", "[fe80::1%2]", "fe80::1%2"),
	ROW("the greatest scope", "fe80::1%4294967295", "fe80::1%4294967295"),
	ROW("too great a scope", "fe80::1%4294967296", "fe80::1"),
	ROW("a far too great scope", "fe80::1%99999999999999999999999", "fe80::1"),
	ROW("an interface as scope", "fe80::1%eth0", "fe80::1"),
	ROW("a scope of digits and letters", "fe80::1%2a", "fe80::1"),
	ROW("a scope where it means nothing", "2001:db8::1%2", "2001:db8::1"),
	ROW("v4-mapped", "::ffff:127.0.0.1", "127.0.0.1"),
	ROW("v4-mapped in hex", "::ffff:7f00:1", "127.0.0.1"),
	ROW("v4-mapped in brackets", "[::ffff:7f00:1]", "127.0.0.1"),
	ROW("v4-mapped in full", "0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1"),
	ROW("v4-mapped with a scope", "::ffff:192.0.2.1%3", "192.0.2.1"),
	ROW("v4-mapped zero", "::ffff:0.0.0.0", "0.0.0.0"),
	ROW("v4-compatible", "::127.0.0.1", "127.0.0.1"),
	ROW("v4-compatible in hex", "::c000:201", "192.0.2.1"),
	ROW("v4-compatible, small", "::2", "0.0.0.2"),
	ROW("NAT64", "64:ff9b::127.0.0.1", "127.0.0.1"),
	ROW("NAT64 in hex", "64:ff9b::c633:6407", "198.51.100.7"),
	ROW("not NAT64's prefix", "64:ff9b:0:1::1", "64:ff9b:0:1::1"),
	ROW("not quite v4-mapped", "::fffe:127.0.0.1", "::fffe:7f00:1"),
	ROW("nor this", "::1:ffff:127.0.0.1", "::1:ffff:7f00:1"),
	ROW("three colons", ":::1", NULL),
	ROW("two gaps", "1::2::3", NULL),
	ROW("one colon in front", ":1:2:3:4:5:6:7", NULL),
	ROW("one colon behind", "1:2:3:4:5:6:7:", NULL),
	ROW("seven groups", "1:2:3:4:5:6:7", NULL),
	ROW("nine groups", "1:2:3:4:5:6:7:8:9", NULL),
	ROW("eight groups and a gap", "1:2:3:4::5:6:7:8", NULL),
	ROW("five digits", "::12345", NULL),
	ROW("no hex digit", "::g", NULL),
	ROW("short quad", "::ffff:127.1", NULL),
	ROW("hex in the quad", "::ffff:0x7f.0.0.1", NULL),
	ROW("octal in the quad", "::ffff:0177.0.0.1", NULL),
	ROW("quad over 255", "::ffff:256.0.0.1", NULL),
	ROW("something behind the quad", "::ffff:127.0.0.1:1", NULL),
	ROW("quad too far back", "1:2:3:4:5:6:7:127.0.0.1", NULL),
	ROW("an empty scope", "fe80::1%", NULL),
	ROW("a space in the scope", "fe80::1%e th", NULL),
	ROW("a second percent sign", "fe80::1%1%2", NULL),
	ROW("only brackets", "[]", NULL),
	ROW("one bracket", "[::1", NULL),
	ROW("the other bracket", "::1]", NULL),
	ROW("brackets twice", "[[::1]]", NULL),
	ROW("a port", "[::1]:80", NULL),
	ROW("a prefix", "2001:db8::/32", NULL),
	ROW("one colon", ":", NULL),
	ROW("name and port", "localhost:80", NULL),
};

static void parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parse_rows); i++) {
		const struct parse_row *row = &parse_rows[i];
		const char *in = (const char *)guard_tail(row->in, row->len);
		char text[LEASH_ADDR_TEXT_SIZE] = "none";
		struct leash_addr addr = {.family = 99};
		bool is = leash_addr_parse(in, row->len, &addr);
		size_t len = is ? leash_addr_text(&addr, text) : strlen(text);

		assert_int_equal(len, strlen(text));
		if (!is)
			assert_int_equal(addr.family, 99);
		if (is != (row->text != NULL) || (is && strcmp(text, row->text) != 0))
			fail_msg("%s: \"%s\" is %s, not %s", row->label, row->in, text,
				 row->text ? row->text : "none");
	}
}

/* Every proper prefix stays inside its bytes, whatever it is. */
static void prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parse_rows); i++)
		for (size_t n = 0; n < parse_rows[i].len; n++) {
			struct leash_addr addr, copy;
			char text[32] = "";

			if (n >= sizeof(text))
				break;
			memcpy(text, parse_rows[i].in, n);
			if (strlen(text) != n)
				break;
			if (leash_addr_parse((const char *)guard_tail(text, n), n, &addr)) {
				assert_true(leash_addr_parse(text, n, &copy));
				assert_true(leash_addr_equal(&addr, &copy));
			}
		}
}

static uint32_t dice(uint32_t sides)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % sides;
}

/* What libc takes for an address is one here, with the same value, and nothing else is. */
static void as_libc4(void **state)
{
	static const char alphabet[] = "0123456789...xXaf08";
	unsigned int taken = 0;

	(void)state;
	for (unsigned int round = 0; round < 400000; round++) {
		char text[24];
		size_t len = 1 + dice(14);
		struct leash_addr addr;
		struct in_addr in;
		bool expect;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[dice(sizeof(alphabet) - 1)];
		text[len] = '\0';
		expect = inet_aton(text, &in) != 0;
		if (leash_addr_parse(text, len, &addr) != expect ||
		    (expect && memcmp(addr.bytes, &in, 4) != 0))
			fail_msg("\"%s\" is not what libc reads", text);
		taken += expect;
	}
	assert_in_range(taken, 1000, 400000);
}

static void as_libc6(void **state)
{
	static const char alphabet[] = "0123abcF:::::0.1";
	static const char *const stems[] = {"", "::", "2001:db8::", "fe80::", "1:2:3:4:5:",
					    "fd00::1.2.3.", "1:2:3:4:5:6:7"};
	unsigned int taken = 0;

	(void)state;
	for (unsigned int round = 0; round < 400000; round++) {
		const char *stem = stems[dice(ARRAY_SIZE(stems))];
		char text[48], ours[LEASH_ADDR_TEXT_SIZE], theirs[INET6_ADDRSTRLEN];
		size_t len = strlen(stem), more = dice(12);
		struct leash_addr addr, normal;
		uint8_t in[16];
		bool expect;

		memcpy(text, stem, len);
		for (size_t i = 0; i < more; i++)
			text[len++] = alphabet[dice(sizeof(alphabet) - 1)];
		text[len] = '\0';
		if (!strchr(text, ':'))
			continue;
		expect = inet_pton(AF_INET6, text, in) == 1;
		if (leash_addr_parse(text, len, &addr) != expect)
			fail_msg("\"%s\" is not what libc reads", text);
		if (!expect)
			continue;
		taken++;
		normal = leash_addr_normal6(in, 0);
		if (!leash_addr_equal(&addr, &normal))
			fail_msg("\"%s\" has another value than libc's", text);
		if (addr.family != LEASH_INET6)
			continue;
		leash_addr_text(&addr, ours);
		inet_ntop(AF_INET6, addr.bytes, theirs, sizeof(theirs));
		if (strcmp(ours, theirs) != 0)
			fail_msg("%s is written %s", theirs, ours);
	}
	assert_in_range(taken, 1000, 400000);
}

static void text_size(void **state)
{
	struct leash_addr addr = {.family = LEASH_INET6, .scope = UINT32_MAX};
	char text[LEASH_ADDR_TEXT_SIZE];

	(void)state;
	memset(addr.bytes, 0xff, sizeof(addr.bytes));
	assert_int_equal(leash_addr_text(&addr, text), 39 + 11);
	addr.family = LEASH_INET;
	assert_int_equal(leash_addr_text(&addr, text), 15);
}

static void equal(void **state)
{
	struct leash_addr a = draft_addr("fe80::1%2"), b = draft_addr("fe80::1%3"),
			  c = draft_addr("fe80::1"), v4 = draft_addr("0.0.0.1"),
			  mapped = draft_addr("::ffff:1");

	(void)state;
	assert_true(leash_addr_equal(&a, &a));
	assert_false(leash_addr_equal(&a, &b));
	assert_false(leash_addr_equal(&a, &c));
	assert_false(leash_addr_equal(&a, &v4));
	assert_false(leash_addr_equal(&v4, &mapped));
	mapped = draft_addr("::ffff:0:1");
	assert_true(leash_addr_equal(&v4, &mapped));
}

/* ---------------------------------------------------------------- classes */

struct class_row {
	const char *label, *addr;
	enum leash_addr_class expect, pretended;	/* with lan.address 172.20.5.1/16 */
};
#define CLASS(label, addr, class) {label, addr, LEASH_CLASS_##class, LEASH_CLASS_##class}
#define PRETEND(label, addr, class, other) {label, addr, LEASH_CLASS_##class, LEASH_CLASS_##other}

static const struct class_row class_rows[] = {
	CLASS("0.0.0.0", "0", UNSPECIFIED),
	CLASS("::", "::", UNSPECIFIED),
	CLASS("::ffff:0.0.0.0", "::ffff:0:0", UNSPECIFIED),
	CLASS("127.0.0.1", "127.1", LOOPBACK),
	CLASS("127.0.0.1 in hex", "0x7f.1", LOOPBACK),
	CLASS("127.0.0.1 as a number", "2130706433", LOOPBACK),
	CLASS("127.0.0.1 in octal", "0177.0.0.1", LOOPBACK),
	CLASS("the end of 127/8", "127.255.255.255", LOOPBACK),
	CLASS("::1", "::1", LOOPBACK),
	CLASS("mapped loopback", "::ffff:127.0.0.1", LOOPBACK),
	CLASS("NAT64 loopback", "64:ff9b::7f00:1", LOOPBACK),
	CLASS("compatible loopback", "::7f00:1", LOOPBACK),
	CLASS("own v4", "192.0.2.10", OWN),
	CLASS("own v4, mapped", "::ffff:192.0.2.10", OWN),
	CLASS("own v6", "2001:db8:1::10", OWN),
	CLASS("own link-local", "fe80::10%2", OWN),
	CLASS("own link-local without a scope", "fe80::10", OWN),
	CLASS("own link-local address on another link", "fe80::10%3", LINK_LOCAL),
	CLASS("own point-to-point", "198.51.100.200", OWN),
	CLASS("own /31", "203.0.113.100", OWN),
	CLASS("own /128", "2001:db8:9::1", OWN),
	PRETEND("neighbour", "192.0.2.1", LAN, PUBLIC),
	PRETEND("neighbour, mapped", "::ffff:192.0.2.1", LAN, PUBLIC),
	PRETEND("neighbour, NAT64", "64:ff9b::192.0.2.1", LAN, PUBLIC),
	PRETEND("lowest address of the subnet", "192.0.2.0", LAN, PUBLIC),
	PRETEND("neighbour in a /16", "10.1.255.1", LAN, PRIVATE),
	PRETEND("x.255 inside a /16", "10.1.3.255", LAN, PRIVATE),
	PRETEND("neighbour v6", "2001:db8:1::1", LAN, PUBLIC),
	PRETEND("neighbour ULA", "fd00:1::6", LAN, PRIVATE),
	PRETEND("link-local on the link", "fe80::1%2", LAN, LINK_LOCAL),
	CLASS("link-local on a link without one", "fe80::1%3", LINK_LOCAL),
	CLASS("link-local without a scope", "fe80::1", LINK_LOCAL),
	CLASS("link-local outside the /64", "fe80:0:0:1::1%2", LINK_LOCAL),
	PRETEND("169.254 on the link", "169.254.200.1", LAN, LINK_LOCAL),
	PRETEND("the other end of a /31", "203.0.113.101", LAN, PUBLIC),
	CLASS("next to a /32", "198.51.100.201", PUBLIC),
	CLASS("next to a /128", "2001:db8:9::2", PUBLIC),
	CLASS("a prefix of 0 makes no neighbours", "203.0.113.50", PUBLIC),
	PRETEND("pretended neighbour", "172.20.9.9", PRIVATE, LAN),
	PRETEND("pretended self is nobody's own address", "172.20.5.1", PRIVATE, LAN),
	PRETEND("pretended broadcast", "172.20.255.255", PRIVATE, BROADCAST),
	CLASS("broadcast", "255.255.255.255", BROADCAST),
	CLASS("directed broadcast", "192.0.2.255", BROADCAST),
	CLASS("directed broadcast of a /16", "10.1.255.255", BROADCAST),
	CLASS("directed broadcast of 169.254", "169.254.255.255", BROADCAST),
	CLASS("another subnet's broadcast", "10.2.255.255", PRIVATE),
	CLASS("multicast", "224.0.0.251", MULTICAST),
	CLASS("end of multicast", "239.255.255.255", MULTICAST),
	CLASS("multicast v6", "ff02::fb", MULTICAST),
	CLASS("10/8", "10.2.0.1", PRIVATE),
	CLASS("172.16/12, first", "172.16.0.0", PRIVATE),
	CLASS("172.16/12, last", "172.31.255.255", PRIVATE),
	CLASS("before 172.16/12", "172.15.255.255", PUBLIC),
	CLASS("behind 172.16/12", "172.32.0.0", PUBLIC),
	CLASS("192.168/16", "192.168.1.1", PRIVATE),
	CLASS("carrier-grade NAT", "100.64.0.1", PRIVATE),
	CLASS("end of carrier-grade NAT", "100.127.255.255", PRIVATE),
	CLASS("behind carrier-grade NAT", "100.128.0.0", PUBLIC),
	CLASS("before carrier-grade NAT", "100.63.255.255", PUBLIC),
	CLASS("ULA", "fd12::1", PRIVATE),
	CLASS("ULA, fc00::/8", "fc00::1", PRIVATE),
	CLASS("0/8", "0.1.2.3", RESERVED),
	CLASS("240/4", "240.0.0.1", RESERVED),
	CLASS("end of 240/4", "255.255.255.254", RESERVED),
	CLASS("site-local", "fec0::1", RESERVED),
	CLASS("discard", "100::1", RESERVED),
	CLASS("translated v4", "::ffff:0:127.0.0.1", RESERVED),
	CLASS("local NAT64", "64:ff9b:1::1", PUBLIC),
	CLASS("documentation", "198.51.100.7", PUBLIC),
	CLASS("documentation v6", "2001:db8:ffff::1", PUBLIC),
	CLASS("6to4", "2002:c000:201::1", PUBLIC),
	CLASS("before multicast", "223.255.255.255", PUBLIC),
	CLASS("just public", "203.0.113.9", PUBLIC),
};

static void classes(void **state)
{
	struct leash_draft draft = {0};
	const struct leash_image *plain = draft_build(&draft), *pretending;
	const struct leash_net net = draft_net();

	(void)state;
	draft.settings.lan_override = 1;
	draft.settings.lan_addr = draft_addr("172.20.5.1");
	draft.settings.lan_prefix_len = 16;
	pretending = draft_build(&draft);
	for (size_t i = 0; i < ARRAY_SIZE(class_rows); i++) {
		const struct class_row *row = &class_rows[i];
		struct leash_addr addr = draft_addr(row->addr);
		enum leash_addr_class class = leash_addr_classify(plain, &net, &addr);

		if (class != row->expect)
			fail_msg("%s: %s, not %s", row->label, leash_addr_class_text[class],
				 leash_addr_class_text[row->expect]);
		class = leash_addr_classify(pretending, &net, &addr);
		if (class != row->pretended)
			fail_msg("%s, pretending: %s, not %s", row->label,
				 leash_addr_class_text[class],
				 leash_addr_class_text[row->pretended]);
	}
	free((void *)plain);
	free((void *)pretending);
}

/* Every prefix length: neighbours are exactly those that share it. */
static void prefix_lengths(void **state)
{
	struct leash_draft draft = {0};
	const struct leash_image *image = draft_build(&draft);

	(void)state;
	for (unsigned int len = 0; len <= 130; len++) {
		struct leash_net net = {.count = 1};
		struct leash_subnet *subnet = &net.subnet[0];

		subnet->addr = draft_addr("2001:db8:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa");
		subnet->prefix_len = (uint8_t)len;
		subnet->ifindex = 1;
		for (unsigned int bit = 3; bit < 128; bit++) {	/* 2000::/3 stays public */
			struct leash_addr addr = subnet->addr;

			addr.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(leash_addr_classify(image, &net, &addr),
					 len > 0 && len <= 128 && bit >= len ? LEASH_CLASS_LAN :
									       LEASH_CLASS_PUBLIC);
		}
	}
	for (unsigned int len = 0; len <= 34; len++) {
		struct leash_net net = {.count = 1};
		struct leash_subnet *subnet = &net.subnet[0];

		subnet->addr = draft_addr("198.51.100.160");
		subnet->prefix_len = (uint8_t)len;
		for (unsigned int bit = 4; bit < 32; bit++) {
			struct leash_addr addr = subnet->addr;

			addr.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(leash_addr_classify(image, &net, &addr),
					 len > 0 && len <= 32 && bit >= len ? LEASH_CLASS_LAN :
									      LEASH_CLASS_PUBLIC);
		}
	}
	free((void *)image);
}

static void count_out_of_range(void **state)
{
	struct leash_draft draft = {0};
	const struct leash_image *image = draft_build(&draft);
	struct leash_net *net = calloc(1, sizeof(*net));
	struct leash_addr addr = draft_addr("198.51.100.7");

	(void)state;
	net->count = UINT32_MAX;
	assert_int_equal(leash_addr_classify(image, net, &addr), LEASH_CLASS_PUBLIC);
	free(net);
	free((void *)image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(as_libc4),
		cmocka_unit_test(as_libc6),
		cmocka_unit_test(text_size),
		cmocka_unit_test(equal),
		cmocka_unit_test(classes),
		cmocka_unit_test(prefix_lengths),
		cmocka_unit_test(count_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
