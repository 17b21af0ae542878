/* SPDX-License-Identifier: MIT */
/* Messages are made here, byte by byte: what a row says is what is on the wire. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shim/wire/dns.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text) text, sizeof(text) - 1

struct packet {
	uint8_t bytes[8192];
	size_t len;
};

static void add(struct packet *packet, const void *bytes, size_t len)
{
	assert_true(packet->len + len <= sizeof(packet->bytes));
	if (len)
		memcpy(packet->bytes + packet->len, bytes, len);
	packet->len += len;
}

static void add16(struct packet *packet, unsigned int value)
{
	const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

	add(packet, bytes, sizeof(bytes));
}

/* "a.example": labels; a name that begins with '\xc0' is a pointer: two bytes as they stand */
static void add_name(struct packet *packet, const char *name)
{
	while (*name && (uint8_t)*name != 0xc0) {
		size_t len = strcspn(name, ".\xc0");
		uint8_t byte = (uint8_t)len;

		add(packet, &byte, 1);
		add(packet, name, len);
		name += len;
		if (*name == '.')
			name++;
	}
	add(packet, *name ? name : "", *name ? 2 : 1);
}

static void start(struct packet *packet, unsigned int flags, unsigned int answers)
{
	packet->len = 0;
	add16(packet, 0x1234);
	add16(packet, flags);
	add16(packet, 1);
	add16(packet, answers);
	add16(packet, 0);
	add16(packet, 0);
}

static void ask(struct packet *packet, const char *name, unsigned int type)
{
	add_name(packet, name);
	add16(packet, type);
	add16(packet, 1);
}

static void record(struct packet *packet, const char *owner, unsigned int type, uint32_t ttl,
		   const void *data, size_t len)
{
	add_name(packet, owner);
	add16(packet, type);
	add16(packet, 1);
	add16(packet, ttl >> 16);
	add16(packet, ttl & 0xffff);
	add16(packet, (unsigned int)len);
	add(packet, data, len);
}

static void alias(struct packet *packet, const char *owner, const char *target, uint32_t ttl)
{
	struct packet name = {.len = 0};

	add_name(&name, target);
	record(packet, owner, LEASH_DNS_CNAME, ttl, name.bytes, name.len);
}

#define QUERY 0x0100u
#define ANSWER 0x8180u

/* ------------------------------------------------------------------- questions */

static void question_is_read(void **state)
{
	static const struct {
		const char *label, *name, *reads;
		unsigned int type;
	} rows[] = {
		{"A", "a.example", "a.example", LEASH_DNS_A},
		{"upper case", "WWW.Example", "www.example", LEASH_DNS_AAAA},
		{"service label", "_https._tcp.a-b.example", "_https._tcp.a-b.example", LEASH_DNS_SVCB},
		{"reverse", "1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa", LEASH_DNS_PTR},
		{"the root", "", "", 2},
		{"one label", "localhost", "localhost", 65535},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_dns_question question;
		struct packet packet;

		start(&packet, QUERY, 0);
		ask(&packet, rows[i].name, rows[i].type);
		for (size_t n = 0; n < packet.len; n++)
			assert_int_equal(leash_dns_question_parse(guard_tail(packet.bytes, n), n,
								  &question),
					 -EBADMSG);
		assert_int_equal(leash_dns_question_parse(guard_tail(packet.bytes, packet.len),
							  packet.len, &question),
				 0);
		assert_string_equal(question.name, rows[i].reads);
		assert_int_equal(question.name_len, strlen(rows[i].reads));
		assert_int_equal(question.id, 0x1234);
		assert_int_equal(question.type, rows[i].type);
		assert_false(question.response);
		assert_int_equal(question.end, packet.len);
	}
}

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL_61 "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_61

static void longest_names(void **state)
{
	struct leash_dns_question question;
	struct packet packet;

	(void)state;
	assert_int_equal(strlen(NAME_253), 253);
	start(&packet, QUERY, 0);
	ask(&packet, NAME_253, LEASH_DNS_A);
	assert_int_equal(leash_dns_question_parse(packet.bytes, packet.len, &question), 0);
	assert_string_equal(question.name, NAME_253);

	start(&packet, QUERY, 0);
	ask(&packet, NAME_253 "c", LEASH_DNS_A);
	assert_int_equal(leash_dns_question_parse(packet.bytes, packet.len, &question), -EBADMSG);
	start(&packet, QUERY, 0);
	ask(&packet, LABEL_63 "a.example", LEASH_DNS_A);
	assert_int_equal(leash_dns_question_parse(packet.bytes, packet.len, &question), -EBADMSG);
}

/* Header and question of a query for a.example, A; the rows say what differs */
#define ID "\x12\x34"
#define RD "\x01\0"
#define COUNTS "\0\1\0\0\0\0\0\0"
#define A_EXAMPLE "\1a\7example\0"
#define A_IN "\0\1\0\1"
#define OPT "\0\0\x29\x04\xd0\0\0\0\0\0\0"

static void queries(void **state)
{
	static const struct {
		const char *label, *bytes;
		size_t len;
		int rc;
	} rows[] = {
		{"good", BYTES(ID RD COUNTS A_EXAMPLE A_IN), 0},
		{"with EDNS", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN OPT), 0},
		{"EDNS with an option", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN
					      "\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0\0"), 0},
		{"AD and CD", BYTES(ID "\x01\x30" COUNTS A_EXAMPLE A_IN), 0},
		{"question unannounced", BYTES(ID RD "\0\0\0\0\0\0\0\0" A_EXAMPLE A_IN), -EBADMSG},
		{"second question announced only", BYTES(ID RD "\0\2\0\0\0\0\0\0" A_EXAMPLE A_IN),
		 -EBADMSG},
		{"answer announced only", BYTES(ID RD "\0\1\0\1\0\0\0\0" A_EXAMPLE A_IN), -EBADMSG},
		{"authority announced only", BYTES(ID RD "\0\1\0\0\0\1\0\0" A_EXAMPLE A_IN),
		 -EBADMSG},
		{"no question", BYTES(ID RD "\0\0\0\0\0\0\0\0"), -EBADMSG},
		{"two questions",
		 BYTES(ID RD "\0\2\0\0\0\0\0\0" A_EXAMPLE A_IN A_EXAMPLE A_IN), -EBADMSG},
		{"inverse query", BYTES(ID "\x08\0" COUNTS A_EXAMPLE A_IN), -EBADMSG},
		{"status", BYTES(ID "\x10\0" COUNTS A_EXAMPLE A_IN), -EBADMSG},
		{"notify", BYTES(ID "\x20\0" COUNTS A_EXAMPLE A_IN), -EBADMSG},
		{"update", BYTES(ID "\x28\0" COUNTS A_EXAMPLE A_IN), -EBADMSG},
		{"class CH", BYTES(ID RD COUNTS A_EXAMPLE "\0\1\0\3"), -EBADMSG},
		{"class ANY", BYTES(ID RD COUNTS A_EXAMPLE "\0\1\0\xff"), -EBADMSG},
		{"class 0", BYTES(ID RD COUNTS A_EXAMPLE "\0\1\0\0"), -EBADMSG},
		{"an answer in it", BYTES(ID RD "\0\1\0\1\0\0\0\0" A_EXAMPLE A_IN A_EXAMPLE A_IN
					  "\0\0\0\1\0\4\1\1\1\1"), -EBADMSG},
		{"an authority in it", BYTES(ID RD "\0\1\0\0\0\1\0\0" A_EXAMPLE A_IN A_EXAMPLE A_IN
					     "\0\0\0\1\0\4\1\1\1\1"), -EBADMSG},
		{"TSIG in it", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN
				     "\0\0\xfa\0\xff\0\0\0\0\0\0"), -EBADMSG},
		{"two OPT", BYTES(ID RD "\0\1\0\0\0\0\0\2" A_EXAMPLE A_IN OPT OPT), -EBADMSG},
		{"OPT of a name", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN "\1x" OPT),
		 -EBADMSG},
		{"OPT whose root is a label", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN
						    "\1\0\x29\x04\xd0\0\0\0\0\0\0"), -EBADMSG},
		{"OPT cut", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN "\0\0\x29\x04\xd0\0\0\0\0\0"),
		 -EBADMSG},
		{"OPT announced only", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN), -EBADMSG},
		{"OPT unannounced", BYTES(ID RD COUNTS A_EXAMPLE A_IN OPT), -EBADMSG},
		{"bytes behind", BYTES(ID RD COUNTS A_EXAMPLE A_IN "x"), -EBADMSG},
		{"bytes behind EDNS", BYTES(ID RD "\0\1\0\0\0\0\0\1" A_EXAMPLE A_IN OPT "x"),
		 -EBADMSG},
		{"dot in a label", BYTES(ID RD COUNTS "\3a.b\7example\0" A_IN), -EBADMSG},
		{"NUL in a label", BYTES(ID RD COUNTS "\3a\0b\7example\0" A_IN), -EBADMSG},
		{"space in a label", BYTES(ID RD COUNTS "\3a b\7example\0" A_IN), -EBADMSG},
		{"newline in a label", BYTES(ID RD COUNTS "\3a\nb\7example\0" A_IN), -EBADMSG},
		{"DEL in a label", BYTES(ID RD COUNTS "\3a\x7f" "b\7example\0" A_IN), -EBADMSG},
		{"above 127 in a label", BYTES(ID RD COUNTS "\3a\x80" "b\7example\0" A_IN), -EBADMSG},
		{"label of 64", BYTES(ID RD COUNTS "\x40" LABEL_63 "a\0" A_IN), -EBADMSG},
		{"label type 0x80", BYTES(ID RD COUNTS "\x81" "a\0" A_IN), -EBADMSG},
		{"pointer to itself", BYTES(ID RD COUNTS "\xc0\x0c" A_IN), -EBADMSG},
		{"pointer behind a label to it", BYTES(ID RD COUNTS "\1a\xc0\x0c" A_IN), -EBADMSG},
		{"pointer into the header", BYTES(ID RD COUNTS "\1a\xc0\0" A_IN), -EBADMSG},
		{"pointer forward", BYTES(ID RD COUNTS "\xc0\x12" A_IN "\1a\0"), -EBADMSG},
		{"pointer outside", BYTES(ID RD COUNTS "\xff\xff" A_IN), -EBADMSG},
		{"name without an end", BYTES(ID RD COUNTS "\1a\7example"), -EBADMSG},
		{"label past the end", BYTES(ID RD COUNTS "\x3f" "abc"), -EBADMSG},
		{"header only", BYTES(ID RD COUNTS), -EBADMSG},
		{"nothing", "", 0, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_dns_question question, before;
		int rc;

		memset(&before, 0xa5, sizeof(before));
		question = before;
		rc = leash_dns_question_parse(guard_tail(rows[i].bytes, rows[i].len), rows[i].len,
					      &question);
		if (rc != rows[i].rc)
			fail_msg("%s: %d instead of %d", rows[i].label, rc, rows[i].rc);
		if (rc < 0)
			assert_memory_equal(&question, &before, sizeof(question));
	}
}

static void question_of_an_answer(void **state)
{
	struct leash_dns_question question;
	struct packet packet;

	(void)state;
	start(&packet, ANSWER, 1);
	ask(&packet, "A.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", LEASH_DNS_A, 60, "\xc0\0\2\1", 4);
	assert_int_equal(leash_dns_question_parse(packet.bytes, packet.len, &question), 0);
	assert_true(question.response);
	assert_string_equal(question.name, "a.example");
	assert_int_equal(question.end, 12 + 11 + 4);
}

/* --------------------------------------------------------------------- answers */

#define V4_1 "\xc0\0\2\1"
#define V4_2 "\xc0\0\2\2"
#define V6_1 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"

static int parse(const struct packet *packet, struct leash_dns_answer *out, size_t out_max)
{
	return leash_dns_answers_parse(guard_tail(packet->bytes, packet->len), packet->len, out,
				       out_max);
}

static void addresses_of_the_name(void **state)
{
	struct leash_dns_answer answers[8];
	struct packet packet;

	(void)state;
	start(&packet, ANSWER, 4);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", LEASH_DNS_A, 300, V4_1, 4);
	record(&packet, "b.example", LEASH_DNS_A, 300, "\xc0\0\2\x63", 4);
	record(&packet, "A.EXAMPLE", LEASH_DNS_AAAA, 0x80000001, V6_1, 16);
	record(&packet, "a.\xc0\x0e", LEASH_DNS_A, 60, V4_2, 4);
	assert_int_equal(parse(&packet, answers, 8), 3);
	assert_int_equal(answers[0].family, 4);
	assert_memory_equal(answers[0].addr, V4_1 "\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(answers[0].ttl_s, 300);
	assert_int_equal(answers[1].family, 6);
	assert_memory_equal(answers[1].addr, V6_1, 16);
	assert_int_equal(answers[1].ttl_s, 0);		/* RFC 2181 section 8 */
	assert_memory_equal(answers[2].addr, V4_2, 4);

	/* No more than there is room for, and none behind it. */
	memset(answers, 0xa5, sizeof(answers));
	assert_int_equal(parse(&packet, answers, 1), 1);
	assert_int_equal(answers[0].family, 4);
	assert_int_equal(answers[1].family, 0xa5);
	assert_int_equal(parse(&packet, answers, 0), 0);
}

static void aliases_are_followed(void **state)
{
	struct leash_dns_answer answers[8];
	struct packet packet;

	(void)state;
	/* In the wrong order, with an address of a name on the way and one of a stranger */
	start(&packet, ANSWER, 5);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "c.example", LEASH_DNS_A, 500, V4_2, 4);
	alias(&packet, "b.example", "c.\xc0\x0e", 30);
	record(&packet, "x.example", LEASH_DNS_A, 60, "\xc0\0\2\x63", 4);
	alias(&packet, "\xc0\x0c", "B.example", 100);
	record(&packet, "b.example", LEASH_DNS_A, 70, V4_1, 4);
	assert_int_equal(parse(&packet, answers, 8), 2);
	assert_memory_equal(answers[0].addr, V4_1, 4);
	assert_int_equal(answers[0].ttl_s, 70);
	assert_memory_equal(answers[1].addr, V4_2, 4);
	assert_int_equal(answers[1].ttl_s, 30);		/* the alias does not hold longer */
}

static void make_chain(struct packet *packet, unsigned int links)
{
	char owner[24] = "a.example", target[24];

	start(packet, ANSWER, links + 1);
	ask(packet, owner, LEASH_DNS_A);
	for (unsigned int i = 0; i < links; i++) {
		snprintf(target, sizeof(target), "n%u.example", i);
		alias(packet, owner, target, 60);
		memcpy(owner, target, sizeof(owner));
	}
	record(packet, owner, LEASH_DNS_A, 60, V4_1, 4);
}

static void long_chains(void **state)
{
	struct leash_dns_answer answers[2];
	struct packet packet;

	(void)state;
	make_chain(&packet, 16);
	assert_int_equal(parse(&packet, answers, 2), 1);
	make_chain(&packet, 17);
	assert_int_equal(parse(&packet, answers, 2), -EBADMSG);

	start(&packet, ANSWER, 2);
	ask(&packet, "a.example", LEASH_DNS_A);
	alias(&packet, "a.example", "b.example", 60);
	alias(&packet, "b.example", "a.example", 60);
	assert_int_equal(parse(&packet, answers, 2), -EBADMSG);
}

static void answers_without_addresses(void **state)
{
	struct leash_dns_answer answers[2];
	struct packet packet;

	(void)state;
	for (unsigned int rcode = 0; rcode < 16; rcode++) {	/* 3: NXDOMAIN, 0: NODATA */
		start(&packet, ANSWER | rcode, 0);
		ask(&packet, "a.example", LEASH_DNS_A);
		assert_int_equal(parse(&packet, answers, 2), 0);
	}
	/* An error with addresses is still an error. */
	start(&packet, ANSWER | 3, 1);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", LEASH_DNS_A, 60, V4_1, 4);
	assert_int_equal(parse(&packet, answers, 2), 0);
	/* An alias that leads to nothing */
	start(&packet, ANSWER, 1);
	ask(&packet, "a.example", LEASH_DNS_AAAA);
	alias(&packet, "\xc0\x0c", "b.example", 60);
	assert_int_equal(parse(&packet, answers, 2), 0);
	/* Another class */
	start(&packet, ANSWER, 1);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", LEASH_DNS_A, 60, V4_1, 4);
	packet.bytes[12 + 11 + 4 + 2 + 3] = 3;
	assert_int_equal(parse(&packet, answers, 2), 0);
}

static void malformed_answers(void **state)
{
	static const struct {
		const char *label, *owner;
		unsigned int flags, type;
		const char *data;
		size_t len;
	} rows[] = {
		{"a query", "\xc0\x0c", QUERY, LEASH_DNS_A, BYTES(V4_1)},
		{"another opcode", "\xc0\x0c", ANSWER | 0x2800, LEASH_DNS_A, BYTES(V4_1)},
		{"A of 3 bytes", "\xc0\x0c", ANSWER, LEASH_DNS_A, "\1\1\1", 3},
		{"A of 5 bytes", "\xc0\x0c", ANSWER, LEASH_DNS_A, "\1\1\1\1\1", 5},
		{"A of 16 bytes", "\xc0\x0c", ANSWER, LEASH_DNS_A, BYTES(V6_1)},
		{"A of no bytes", "\xc0\x0c", ANSWER, LEASH_DNS_A, "", 0},
		{"AAAA of 4 bytes", "\xc0\x0c", ANSWER, LEASH_DNS_AAAA, BYTES(V4_1)},
		{"CNAME of no bytes", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME, "", 0},
		{"CNAME without an end", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME, BYTES("\1b")},
		{"CNAME with bytes behind", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME, BYTES("\1b\0x")},
		{"CNAME that points to itself", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME,
		 BYTES("\xc0\x27")},
		{"CNAME that points forward", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME,
		 BYTES("\xc0\x29")},
		{"CNAME with a space", "\xc0\x0c", ANSWER, LEASH_DNS_CNAME, BYTES("\3b c\0")},
		{"owner into the header", "\xc0\x0b", ANSWER, LEASH_DNS_A, BYTES(V4_1)},
		{"owner that points to itself", "\xc0\x1b", ANSWER, LEASH_DNS_A, BYTES(V4_1)},
		{"owner that points forward", "\xc0\x20", ANSWER, LEASH_DNS_A, BYTES(V4_1)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct leash_dns_answer answers[2], before[2];
		struct packet packet;
		int rc;

		/* A good address first: nothing of it may be told */
		start(&packet, rows[i].flags, 2);
		ask(&packet, "a.example", LEASH_DNS_A);
		if (strncmp(rows[i].label, "owner", 5) != 0 && strncmp(rows[i].label, "CNAME", 5) != 0)
			record(&packet, "\xc0\x0c", LEASH_DNS_A, 60, V4_2, 4);
		else
			packet.bytes[7] = 1;
		record(&packet, rows[i].owner, rows[i].type, 60, rows[i].data, rows[i].len);
		memset(before, 0xa5, sizeof(before));
		memcpy(answers, before, sizeof(answers));
		rc = parse(&packet, answers, 2);
		if (rc != -EBADMSG)
			fail_msg("%s: %d", rows[i].label, rc);
		assert_memory_equal(answers, before, sizeof(answers));
	}
}

/* Found at the second link only, when addresses of the first were already seen */
static void nothing_is_told_of_a_chain_that_ends_badly(void **state)
{
	struct leash_dns_answer answers[2], before[2];
	struct packet packet;

	(void)state;
	start(&packet, ANSWER, 3);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", LEASH_DNS_A, 60, V4_1, 4);
	alias(&packet, "\xc0\x0c", "b.example", 60);
	alias(&packet, "b.example", "a.example", 60);
	memset(before, 0xa5, sizeof(before));
	memcpy(answers, before, sizeof(answers));
	assert_int_equal(parse(&packet, answers, 2), -EBADMSG);
	assert_memory_equal(answers, before, sizeof(answers));
}

static void every_prefix_of_an_answer_is_refused(void **state)
{
	struct leash_dns_answer answers[4], before[4];
	struct packet packet;

	(void)state;
	start(&packet, ANSWER, 3);
	ask(&packet, "a.example", LEASH_DNS_A);
	alias(&packet, "\xc0\x0c", "b.\xc0\x0e", 60);
	record(&packet, "b.example", LEASH_DNS_A, 60, V4_1, 4);
	record(&packet, "b.example", LEASH_DNS_AAAA, 60, V6_1, 16);
	memset(before, 0xa5, sizeof(before));
	memcpy(answers, before, sizeof(answers));
	for (size_t n = 0; n < packet.len; n++) {
		assert_int_equal(leash_dns_answers_parse(guard_tail(packet.bytes, n), n, answers, 4),
				 -EBADMSG);
		assert_int_equal(leash_dns_answers_parse(guard_head(packet.bytes, n), n, answers, 4),
				 -EBADMSG);
		assert_memory_equal(answers, before, sizeof(answers));
	}
	assert_int_equal(parse(&packet, answers, 4), 2);
}

/* Pointers that lead down step by step end; a name may be long, its expansion may not */
static void chains_of_pointers(void **state)
{
	struct leash_dns_answer answers[2];
	struct packet packet;

	(void)state;
	/* Owners that are nothing but a pointer to the owner before: 60 jumps for the last */
	start(&packet, ANSWER, 60);
	ask(&packet, "a.example", LEASH_DNS_A);
	for (unsigned int i = 0; i < 60; i++) {
		add16(&packet, 0xc000 | (unsigned int)(i ? packet.len - 16 : 12));
		add(&packet, "\0\1\0\1\0\0\0\1\0\4" V4_1, 14);
	}
	assert_int_equal(parse(&packet, answers, 2), 2);

	/* Two pointers at each other, in data that nobody reads, and a name that leads there */
	start(&packet, ANSWER, 2);
	ask(&packet, "a.example", LEASH_DNS_A);
	record(&packet, "\xc0\x0c", 16, 60, "\xc0\x29\xc0\x27", 4);
	assert_memory_equal(packet.bytes + 0x27, "\xc0\x29\xc0\x27", 4);
	record(&packet, "\xc0\x27", LEASH_DNS_A, 60, V4_1, 4);
	assert_int_equal(parse(&packet, answers, 2), -EBADMSG);

	/* x.x.x... : each owner is one label before the last one; 130 labels are over 255 */
	start(&packet, ANSWER, 130);
	ask(&packet, "a", LEASH_DNS_A);
	for (unsigned int i = 0; i < 130; i++) {
		unsigned int before = (unsigned int)(i ? packet.len - 18 : 12);

		add(&packet, "\1x", 2);
		add16(&packet, 0xc000 | before);
		add(&packet, "\0\1\0\1\0\0\0\1\0\4" V4_1, 14);
	}
	assert_int_equal(parse(&packet, answers, 2), -EBADMSG);
	packet.bytes[7] = 120;
	assert_int_equal(parse(&packet, answers, 2), 0);
}

static uint32_t random_state = 88675123u;

static uint32_t next_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

static void damage_never_crashes(void **state)
{
	struct packet good;

	(void)state;
	start(&good, ANSWER, 4);
	ask(&good, "www.a.example", LEASH_DNS_A);
	alias(&good, "\xc0\x0c", "b.\xc0\x12", 60);
	alias(&good, "b.example", "c.example", 60);
	record(&good, "c.example", LEASH_DNS_A, 60, V4_1, 4);
	record(&good, "c.\xc0\x12", LEASH_DNS_AAAA, 60, V6_1, 16);
	for (int round = 0; round < 200000; round++) {
		struct packet bad = good;
		struct leash_dns_answer answers[4], before[4];
		struct leash_dns_question question;
		int rc;

		for (uint32_t n = 1 + next_random(3); n; n--)
			bad.bytes[next_random((uint32_t)bad.len)] = (uint8_t)next_random(256);
		memset(before, 0xa5, sizeof(before));
		memcpy(answers, before, sizeof(answers));
		rc = parse(&bad, answers, 4);
		if (rc < 0)
			assert_memory_equal(answers, before, sizeof(answers));
		assert_true(rc == -EBADMSG || (rc >= 0 && rc <= 2));
		rc = leash_dns_question_parse(bad.bytes, bad.len, &question);
		if (rc == 0) {
			assert_int_equal(strlen(question.name), question.name_len);
			assert_in_range(question.end, 17, bad.len);
		} else {
			assert_int_equal(rc, -EBADMSG);
		}
	}
}

/* --------------------------------------------------------------- reverse names */

static void reverse_names(void **state)
{
	static const struct {
		const char *name;
		int family;
		const char *addr;
	} rows[] = {
		{"1.2.0.192.in-addr.arpa", 4, "192.0.2.1"},
		{"255.255.255.255.in-addr.arpa", 4, "255.255.255.255"},
		{"0.0.0.0.in-addr.arpa", 4, "0.0.0.0"},
		{"1.2.0.192.IN-ADDR.ARPA", 4, "192.0.2.1"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", 6,
		 "2001:db8::1"},
		{"F.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.Ip6.Arpa", 6,
		 "2001:db8::f"},
		{"", 0, NULL},
		{"a.example", 0, NULL},
		{"in-addr.arpa", 0, NULL},
		{"2.0.192.in-addr.arpa", 0, NULL},
		{"9.1.2.0.192.in-addr.arpa", 0, NULL},
		{"1.2.0.192.in-addr.arpa.", 0, NULL},
		{"1.2.0.192.in-addr.arpa.example", 0, NULL},
		{"x1.2.0.192.in-addr.arpa", 0, NULL},
		{"256.2.0.192.in-addr.arpa", 0, NULL},
		{"01.2.0.192.in-addr.arpa", 0, NULL},
		{"00.2.0.192.in-addr.arpa", 0, NULL},
		{"1..0.192.in-addr.arpa", 0, NULL},
		{"1111.2.0.192.in-addr.arpa", 0, NULL},
		{"99999999999999999999.2.0.192.in-addr.arpa", 0, NULL},
		{"-1.2.0.192.in-addr.arpa", 0, NULL},
		{"1.2.0.192.ip6.arpa", 0, NULL},
		{"1.2.0.192.in-addr", 0, NULL},
		{"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", 0, NULL},
		{"1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", 0,
		 NULL},
		{"g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", 0, NULL},
		{"10.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", 0, NULL},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.in-addr.arpa", 0,
		 NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t addr[16], before[16];
		char text[INET6_ADDRSTRLEN] = "";
		int family;

		memset(before, 0xa5, sizeof(before));
		memcpy(addr, before, sizeof(addr));
		family = leash_dns_reverse_name(
			(const char *)guard_tail(rows[i].name, strlen(rows[i].name) + 1), addr);
		if (family != rows[i].family)
			fail_msg("%s: %d", rows[i].name, family);
		if (!family) {
			assert_memory_equal(addr, before, sizeof(addr));
			continue;
		}
		inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
		assert_string_equal(text, rows[i].addr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(question_is_read),
		cmocka_unit_test(longest_names),
		cmocka_unit_test(queries),
		cmocka_unit_test(question_of_an_answer),
		cmocka_unit_test(addresses_of_the_name),
		cmocka_unit_test(aliases_are_followed),
		cmocka_unit_test(long_chains),
		cmocka_unit_test(answers_without_addresses),
		cmocka_unit_test(malformed_answers),
		cmocka_unit_test(nothing_is_told_of_a_chain_that_ends_badly),
		cmocka_unit_test(every_prefix_of_an_answer_is_refused),
		cmocka_unit_test(chains_of_pointers),
		cmocka_unit_test(damage_never_crashes),
		cmocka_unit_test(reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
