/* SPDX-License-Identifier: MIT */
/*
 * Expected bytes were made with other converters and are written out here: iconv is not its own
 * judge. Every conversion is also done in two pieces at each place, byte by byte, and with the
 * least room.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shim/http/charset.h"
#include "tests/unit/guard.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct result {
	uint8_t bytes[4096];
	size_t len;
	bool malformed;
};

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* One piece of input with @room bytes of output at a time */
static void feed(struct leash_charset_conv *conv, const uint8_t *in, size_t len, size_t room,
		 struct result *result)
{
	while (len) {
		struct leash_text_io io = {in, len, result->bytes + result->len, room};

		assert_true(result->len + room <= sizeof(result->bytes));
		leash_charset_feed(conv, &io);
		assert_true(io.in_left <= len && io.out_left <= room);
		assert_true(io.in_left < len || io.out_left < room); /* it moves */
		assert_true(io.in_left == 0 || io.out_left < LEASH_CHARSET_ROOM);
		assert_ptr_equal(io.in, in + (len - io.in_left));
		assert_true(room - io.out_left <=
			    LEASH_CHARSET_GROWTH * (len - io.in_left) + LEASH_CHARSET_SLACK);
		in = io.in;
		len = io.in_left;
		result->len += room - io.out_left;
	}
}

static void finish(struct leash_charset_conv *conv, struct result *result)
{
	struct leash_text_io io = {NULL, 0, result->bytes + result->len, LEASH_CHARSET_ROOM - 1};

	if (!conv->flushed) {
		assert_int_equal(leash_charset_finish(conv, &io), -ENOBUFS);
		assert_int_equal(io.out_left, LEASH_CHARSET_ROOM - 1);
	}
	io.out_left = LEASH_CHARSET_ROOM;
	assert_int_equal(leash_charset_finish(conv, &io), 0);
	result->len += LEASH_CHARSET_ROOM - io.out_left;
	io.out_left = LEASH_CHARSET_ROOM;
	assert_int_equal(leash_charset_finish(conv, &io), 0);
	assert_int_equal(io.out_left, LEASH_CHARSET_ROOM); /* only once */
	result->malformed = conv->malformed;
	leash_charset_close(conv);
	leash_charset_close(conv);
}

/* @cuts: a bit for each place between two bytes of the first 64 */
static void convert(enum leash_charset from, const uint8_t *in, size_t len, uint64_t cuts,
		    size_t room, struct result *result)
{
	struct leash_charset_conv conv;
	size_t start = 0;

	memset(result, 0, sizeof(*result));
	assert_int_equal(leash_charset_open(&conv, from), 0);
	for (size_t i = 1; i <= len; i++) {
		if (i < len && !(cuts >> (i % 64) & 1))
			continue;
		/* each piece ends at an unreadable page */
		feed(&conv, guard_tail(in + start, i - start), i - start, room, result);
		start = i;
	}
	finish(&conv, result);
}

static void expect(const char *label, const struct result *result, const char *want,
		   size_t want_len, bool malformed)
{
	if (result->len == want_len && memcmp(result->bytes, want, want_len) == 0 &&
	    result->malformed == malformed)
		return;
	fprintf(stderr, "%s: got %zu bytes (malformed=%d):", label, result->len, result->malformed);
	for (size_t i = 0; i < result->len; i++)
		fprintf(stderr, " %02x", result->bytes[i]);
	fprintf(stderr, "\n");
	fail();
}

static void every_way(enum leash_charset from, const char *in, size_t len, const char *want,
		      size_t want_len, bool malformed)
{
	const uint8_t *bytes = (const uint8_t *)in;
	static struct result result;
	char label[64];

	snprintf(label, sizeof(label), "%s in one", leash_charset_name(from));
	convert(from, bytes, len, 0, 1024, &result);
	expect(label, &result, want, want_len, malformed);
	convert(from, bytes, len, 0, LEASH_CHARSET_ROOM, &result);
	expect("with little room", &result, want, want_len, malformed);
	for (size_t cut = 1; cut < len; cut++) {
		snprintf(label, sizeof(label), "%s cut at %zu", leash_charset_name(from), cut);
		convert(from, bytes, len, (uint64_t)1 << cut, 1024, &result);
		expect(label, &result, want, want_len, malformed);
	}
	convert(from, bytes, len, UINT64_MAX, 1024, &result);
	expect("byte by byte", &result, want, want_len, malformed);
	convert(from, bytes, len, UINT64_MAX, LEASH_CHARSET_ROOM, &result);
	expect("byte by byte, little room", &result, want, want_len, malformed);
}

struct row {
	enum leash_charset from;
	const char *in;
	size_t in_len;
	const char *want;
	size_t want_len;
	bool malformed;
};

#define ROW(from, in, want)                                                                        \
	{                                                                                          \
		LEASH_CHARSET_##from, in, sizeof(in) - 1, want, sizeof(want) - 1, false            \
	}
#define BAD(from, in, want)                                                                        \
	{                                                                                          \
		LEASH_CHARSET_##from, in, sizeof(in) - 1, want, sizeof(want) - 1, true             \
	}

static void test_texts(void **state)
{
	static const struct row rows[] = {
		ROW(UTF_16LE, "a\x00\xe9\x00\x22o=\xd8\x00\xdez\x00", "aé漢😀z"),
		ROW(UTF_16BE, "\x00\x61\x00\xe9o\x22\xd8=\xde\x00\x00z", "aé漢😀z"),
		ROW(GB18030, "\xd6\xd0\xce\xc4,\xb9\xfa\xa9\x96\xa2\xe3 \x94\x39\xfc\x36\xa8\xa6",
		    "中文,国〇€ 😀é"),
		ROW(BIG5, "\xa4\xa4\xa4\xe5\xb4\xfa\xb8\xd5,\xa4@", "中文測試,一"),
		ROW(EUC_JP, "\xc6\xfc\xcb\xdc\xb8\xec\x8e\xb1\xa5\xab,\xb4\xc1", "日本語ｱカ,漢"),
		ROW(EUC_JP, "\xad\xa1\xa1\xc1", "①～"), /* as NEC and CP932 have it */
		ROW(ISO_2022_JP, "\x1b$BF|K\x5c\x1b(B abc \x1b$B4A;z\x1b(B", "日本 abc 漢字"),
		ROW(SHIFT_JIS, "\x93\xfa\x96{\x8c\xea\xb1\x87@~\x95\x5c\x83\x5c", "日本語ｱ①~表ソ"),
		ROW(EUC_KR, "\xc7\xd1\xb1\xb9\xbe\xee \x81\x41\x8c\x63", "한국어 갂똠"),
		ROW(IBM866, "\x8f\xe0\xa8\xa2\xa5\xe2\xb3", "Привет│"),
		ROW(ISO_8859_2, "\xa3\xf3\x64\xbc", "Łódź"),
		ROW(ISO_8859_3, "\xe6\xf8\xfd", "ĉĝŭ"),
		ROW(ISO_8859_4, "\xb1\xba\xbf", "ąēŋ"),
		ROW(ISO_8859_5, "\xbf\xe0\xd8\xd2\xd5\xe2\xf0", "Привет№"),
		ROW(ISO_8859_6, "\xe5\xd1\xcd\xc8\xc7\xac", "مرحبا،"),
		ROW(ISO_8859_7, "\xc5\xeb\xeb\xdc\xe4\xe1", "Ελλάδα"),
		ROW(ISO_8859_8, "\xf9\xec\xe5\xed", "שלום"),
		ROW(ISO_8859_10, "\xb1\xfe\xbf", "ąþŋ"),
		ROW(ISO_8859_13, "\xe0\xe8\xfe\xa5", "ąčž„"),
		ROW(ISO_8859_14, "\xf0\xfe\xa2", "ŵŷḃ"),
		ROW(ISO_8859_15, "\xa4\xa6\xbd", "€Šœ"),
		ROW(ISO_8859_16, "\xba\xfe\xa4", "șț€"),
		ROW(KOI8_R, "\xf0\xd2\xc9\xd7\xc5\xd4\x80", "Привет─"),
		ROW(KOI8_U, "\xb7\xd6\xc1\xcb", "Їжак"),
		ROW(MACINTOSH, "caf\x8e\xa0", "café†"),
		ROW(MAC_CYRILLIC, "\x8f\xf0\xe8\xe2\xe5\xf2", "Привет"),
		ROW(WINDOWS_874, "\xca\xc7\xd1\xca\xb4\xd5", "สวัสดี"),
		ROW(WINDOWS_1250, "\xa3\xf3\x64\x9f\x80", "Łódź€"),
		ROW(WINDOWS_1251, "\xcf\xf0\xe8\xe2\xe5\xf2\xb9\x88", "Привет№€"),
		ROW(WINDOWS_1252, "\xe9\x93\x80\x94\xff", "é“€”ÿ"),
		ROW(WINDOWS_1253, "\xc5\xeb\xeb\xdc\xe4\xe1\x80", "Ελλάδα€"),
		ROW(WINDOWS_1254, "\xdd\xfe\xf0\x80", "İşğ€"),
		ROW(WINDOWS_1255, "\xf9\xec\xe5\xed\xa4", "שלום₪"),
		ROW(WINDOWS_1256, "\xe3\xd1\xcd\xc8\xc7\x81", "مرحباپ"),
		ROW(WINDOWS_1257, "\xe0\xe8\xfe\x80", "ąčž€"),
		ROW(WINDOWS_1258, "\xf0\xf5\xfd\xfe", "đơư₫"),
	};
	bool seen[LEASH_CHARSET_NUM] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		seen[rows[i].from] = true;
		every_way(rows[i].from, rows[i].in, rows[i].in_len, rows[i].want, rows[i].want_len,
			  false);
	}
	for (size_t i = 0; i < LEASH_CHARSET_NUM; i++) {
		struct leash_charset_conv conv = {.tail_len = 77};

		if (seen[i])
			continue;
		/* the rest are those that are not converted */
		assert_int_equal(leash_charset_open(&conv, (enum leash_charset)i), -EINVAL);
		assert_int_equal(conv.tail_len, 77);
		assert_true(i == LEASH_CHARSET_UNKNOWN || i == LEASH_CHARSET_UTF_8 ||
			    i == LEASH_CHARSET_REPLACEMENT || i == LEASH_CHARSET_USER_DEFINED);
	}
}

/* What is no text passes as it is, alone, and what stands behind it is converted */
static void test_malformed(void **state)
{
	static const struct row rows[] = {
		BAD(WINDOWS_1252, "\xe9\x81\xe9",
		    "é\x81"
		    "é"),
		BAD(ISO_8859_6, "A\xa1\xc7",
		    "A\xa1"
		    "ا"),
		BAD(GB18030, "\xd6\xd0\xff\xd6\xd0", "中\xff中"),
		/* a lead byte before ASCII: the ASCII is not swallowed */
		BAD(GB18030, "\"\xd6\"\xd6\xd0", "\"\xd6\"中"),
		BAD(GB18030, "\x81\x30\x41\xd6\xd0",
		    "\x81"
		    "0A中"),
		BAD(GB18030, "\xd6\xd0\xd6", "中\xd6"), /* cut at the end */
		BAD(GB18030, "\xd6\xd0\x94\x39\xfc", "中\x94\x39\xfc"),
		BAD(BIG5, "\xa4\xa4\xff\xa4\xa4", "中\xff中"),
		BAD(BIG5, "\xa4\xa4\x81\xff\xa4\xa4", "中\x81\xff中"), /* both bytes of a pair */
		BAD(BIG5, "\x88\x66\xff", "Ê\xff"),
		BAD(BIG5, "\x88\x66\xa4", "Ê\xa4"),
		ROW(BIG5, "\x88\x66\xa4\xa4", "Ê中"),
		ROW(BIG5, "\x88\x62", "Ê̄"),
		BAD(SHIFT_JIS, "\x93\xfa\xff\x93\xfa", "日\xff日"),
		BAD(SHIFT_JIS, "\x93\x0a\x93\xfa", "\x93\n日"),
		BAD(SHIFT_JIS, "\x93\xfa\x93", "日\x93"),
		BAD(SHIFT_JIS, "\x81\xff\x93\xfa", "\x81\xff日"),
		BAD(EUC_JP, "\xc6\xfc\xc6<\xc6\xfc", "日\xc6<日"),
		BAD(EUC_JP, "\xc6\xfc\x8f\xa1\xa1\xc6\xfc", "日\x8f\xa1\xa1日"),
		BAD(EUC_JP, "\xc6\xfc\x8f\xb0", "日\x8f\xb0"),
		BAD(EUC_KR, "\xc7\xd1\xc9\xa1\xc7\xd1", "한\xc9\xa1한"),
		BAD(EUC_KR, "\xc7\xd1\xff", "한\xff"),
		/* a lone surrogate: one unit, or all that follows would be shifted */
		BAD(UTF_16LE,
		    "a\0\x00\xdc"
		    "b\0",
		    "a\x00\xdc"
		    "b"),
		BAD(UTF_16LE,
		    "a\0\x3d\xd8"
		    "b\0",
		    "a\x3d\xd8"
		    "b"),
		BAD(UTF_16LE, "a\0\x3d\xd8", "a\x3d\xd8"),
		BAD(UTF_16LE, "a\0b", "ab"),
		BAD(UTF_16BE, "\0a\xdc\x00\0b",
		    "a\xdc\x00"
		    "b"),
		BAD(UTF_16BE, "\0a\xd8", "a\xd8"),
		BAD(ISO_2022_JP, "\x1b$BF|\x1b(B\xff\x1b$BF|\x1b(B", "日\xff日"),
		/* an unassigned pair does not shift the pairs behind it, nor leave the set */
		BAD(ISO_2022_JP,
		    "\x1b$BF|\x7a\x21"
		    "F|\x1b(Ba",
		    "日\x7a\x21日a"),
		BAD(ISO_2022_JP, "\x1b$BF", "F"),
		BAD(ISO_2022_JP, "a\x1b$", "a\x1b$"),
		/* a letter that iconv keeps to see what follows: joined, at the end, before an
		   error */
		ROW(WINDOWS_1258, "a\xd2", "ả"),
		ROW(WINDOWS_1258, "xa", "xa"),
		ROW(WINDOWS_1255, "\xf9", "ש"),
		BAD(WINDOWS_1258, "a\x81\xd2",
		    "a\x81"
		    "\xcc\x89"),
		BAD(WINDOWS_1255, "\xf9\xff", "ש\xff"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		every_way(rows[i].from, rows[i].in, rows[i].in_len, rows[i].want, rows[i].want_len,
			  rows[i].malformed);
}

static void test_bom(void **state)
{
	static const struct row rows[] = {
		ROW(UTF_16LE,
		    "\xff\xfe"
		    "a\0",
		    "a"),
		ROW(UTF_16BE, "\xfe\xff\0a", "a"),
		ROW(UTF_16LE,
		    "\xff\xfe\xff\xfe"
		    "a\0",
		    "\xef\xbb\xbf"
		    "a"), /* one */
		ROW(UTF_16LE,
		    "a\0\xff\xfe"
		    "b\0",
		    "a\xef\xbb\xbf"
		    "b"), /* at the front */
		ROW(UTF_16LE, "\xff\xfe", ""),
		ROW(GB18030, "\x84\x31\x95\x33\xd6\xd0", "中"),
		ROW(GB18030, "\x84\x31\x95\x33\x84\x31\x95\x33", "\xef\xbb\xbf"),
		ROW(UTF_16LE, "", ""),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		every_way(rows[i].from, rows[i].in, rows[i].in_len, rows[i].want, rows[i].want_len,
			  false);
	/* behind something that was passed it is no BOM any more */
	every_way(LEASH_CHARSET_UTF_16LE, "\x00\xdc\xff\xfe", 4, "\x00\xdc\xef\xbb\xbf", 5, true);
}

/* Anything, in any pieces and with any room, gives what it gives in one */
static void test_pieces(void **state)
{
	static struct result once, pieces;
	uint8_t in[64];

	(void)state;
	for (unsigned int run = 0; run < 12000; run++) {
		enum leash_charset from = (enum leash_charset)(
			LEASH_CHARSET_UTF_16LE +
			run % (LEASH_CHARSET_REPLACEMENT - LEASH_CHARSET_UTF_16LE));
		size_t len = 1 + rnd(sizeof(in) - 1);
		uint32_t kind = rnd(4);

		for (size_t i = 0; i < len; i++) {
			in[i] = (uint8_t)rnd(256);
			if (kind == 1)
				in[i] |= 0x80;
			if (kind == 2 && i % 2)
				in[i] = (uint8_t)(0x20 + rnd(0x60));
			if (from == LEASH_CHARSET_ISO_2022_JP && kind > 0)
				in[i] = (uint8_t) "\x1b$B(JF|!a\x1b"[rnd(10)];
			if (from == LEASH_CHARSET_GB18030 && kind == 3)
				in[i] = (uint8_t) "\x81\x30\x84\x31\x95\x33\xfe\x39"[rnd(8)];
			if (from == LEASH_CHARSET_BIG5 && kind == 3)
				in[i] = (uint8_t) "\x88\x66\x62\xa3\xa4\xa5\x88\x64"[rnd(8)];
			if (from == LEASH_CHARSET_EUC_JP && kind == 3)
				in[i] = (uint8_t) "\x8f\x8e\xb0\xa1\xfe\x41\x8f\xff"[rnd(8)];
		}
		convert(from, in, len, 0, 1024, &once);
		convert(from, in, len,
			(uint64_t)rnd(1u << 24) << 40 | (uint64_t)rnd(1u << 24) << 20 |
				rnd(1u << 24),
			LEASH_CHARSET_ROOM + rnd(40), &pieces);
		expect(leash_charset_name(from), &pieces, (const char *)once.bytes, once.len,
		       once.malformed);
	}
}

/* Everything that can be assigned, at once: positions over more than one call of iconv */
static void test_long(void **state)
{
	struct leash_charset_conv conv;
	static uint8_t in[30000], out[3 * sizeof(in) + LEASH_CHARSET_ROOM];
	struct leash_text_io io = {in, sizeof(in), out, sizeof(out)};

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = 0xb1; /* one byte in, three out */
	assert_int_equal(leash_charset_open(&conv, LEASH_CHARSET_SHIFT_JIS), 0);
	leash_charset_feed(&conv, &io);
	assert_int_equal(io.in_left, 0);
	assert_int_equal(io.out - out, 3 * sizeof(in));
	for (size_t i = 0; i < 3 * sizeof(in); i += 3)
		assert_memory_equal(out + i, "ｱ", 3);
	leash_charset_close(&conv);
}

/* The tables of the Encoding standard, section 4.2 */
static void test_labels(void **state)
{
	static const struct {
		enum leash_charset charset;
		const char *labels;
	} groups[] = {
		{LEASH_CHARSET_UTF_8,
		 "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 utf-8 x-unicode20utf8"},
		{LEASH_CHARSET_IBM866, "866 cp866 csibm866 ibm866"},
		{LEASH_CHARSET_ISO_8859_2, "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 "
					   "iso_8859-2 iso_8859-2:1987 l2 "
					   "latin2"},
		{LEASH_CHARSET_ISO_8859_3, "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 "
					   "iso_8859-3 iso_8859-3:1988 l3 "
					   "latin3"},
		{LEASH_CHARSET_ISO_8859_4, "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 "
					   "iso_8859-4 iso_8859-4:1988 l4 "
					   "latin4"},
		{LEASH_CHARSET_ISO_8859_5,
		 "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 "
		 "iso_8859-5:1988"},
		{LEASH_CHARSET_ISO_8859_6,
		 "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 "
		 "iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 "
		 "iso_8859-6:1987"},
		{LEASH_CHARSET_ISO_8859_7,
		 "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 "
		 "iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek"},
		{LEASH_CHARSET_ISO_8859_8,
		 "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 "
		 "iso88598 iso_8859-8 iso_8859-8:1988 visual"},
		{LEASH_CHARSET_ISO_8859_8, "csiso88598i iso-8859-8-i logical"},
		{LEASH_CHARSET_ISO_8859_10,
		 "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6"},
		{LEASH_CHARSET_ISO_8859_13, "iso-8859-13 iso8859-13 iso885913"},
		{LEASH_CHARSET_ISO_8859_14, "iso-8859-14 iso8859-14 iso885914"},
		{LEASH_CHARSET_ISO_8859_15,
		 "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9"},
		{LEASH_CHARSET_ISO_8859_16, "iso-8859-16"},
		{LEASH_CHARSET_KOI8_R, "cskoi8r koi koi8 koi8-r koi8_r"},
		{LEASH_CHARSET_KOI8_U, "koi8-ru koi8-u"},
		{LEASH_CHARSET_MACINTOSH, "csmacintosh mac macintosh x-mac-roman"},
		{LEASH_CHARSET_WINDOWS_874,
		 "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874"},
		{LEASH_CHARSET_WINDOWS_1250, "cp1250 windows-1250 x-cp1250"},
		{LEASH_CHARSET_WINDOWS_1251, "cp1251 windows-1251 x-cp1251"},
		{LEASH_CHARSET_WINDOWS_1252,
		 "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 "
		 "iso8859-1 "
		 "iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252"},
		{LEASH_CHARSET_WINDOWS_1253, "cp1253 windows-1253 x-cp1253"},
		{LEASH_CHARSET_WINDOWS_1254,
		 "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
		 "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254"},
		{LEASH_CHARSET_WINDOWS_1255, "cp1255 windows-1255 x-cp1255"},
		{LEASH_CHARSET_WINDOWS_1256, "cp1256 windows-1256 x-cp1256"},
		{LEASH_CHARSET_WINDOWS_1257, "cp1257 windows-1257 x-cp1257"},
		{LEASH_CHARSET_WINDOWS_1258, "cp1258 windows-1258 x-cp1258"},
		{LEASH_CHARSET_MAC_CYRILLIC, "x-mac-cyrillic x-mac-ukrainian"},
		{LEASH_CHARSET_GB18030,
		 "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk"},
		{LEASH_CHARSET_GB18030, "gb18030"},
		{LEASH_CHARSET_BIG5, "big5 big5-hkscs cn-big5 csbig5 x-x-big5"},
		{LEASH_CHARSET_EUC_JP, "cseucpkdfmtjapanese euc-jp x-euc-jp"},
		{LEASH_CHARSET_ISO_2022_JP, "csiso2022jp iso-2022-jp"},
		{LEASH_CHARSET_SHIFT_JIS,
		 "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis"},
		{LEASH_CHARSET_EUC_KR, "cseuckr csksc56011987 euc-kr iso-ir-149 korean "
				       "ks_c_5601-1987 ks_c_5601-1989 ksc5601 "
				       "ksc_5601 windows-949"},
		{LEASH_CHARSET_REPLACEMENT,
		 "csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement"},
		{LEASH_CHARSET_UTF_16BE, "unicodefffe utf-16be"},
		{LEASH_CHARSET_UTF_16LE,
		 "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16le utf-16"},
		{LEASH_CHARSET_USER_DEFINED, "x-user-defined"},
	};
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *at = groups[i].labels;

		while (*at) {
			size_t len = strcspn(at, " ");
			char upper[32];

			assert_int_equal(leash_charset_find(at, len), groups[i].charset);
			for (size_t n = 0; n < len; n++)
				upper[n] =
					(char)(at[n] >= 'a' && at[n] <= 'z' ? at[n] - 32 : at[n]);
			assert_int_equal(leash_charset_find(guard_tail(upper, len), len),
					 groups[i].charset);
			memmove(upper + 2, upper, len);
			memcpy(upper, "\t ", 2);
			memcpy(upper + 2 + len, " \r\n\f", 4);
			assert_int_equal(leash_charset_find(upper, len + 6), groups[i].charset);
			count++;
			at += len;
			at += *at == ' ';
		}
	}
	assert_int_equal(count, 228);
}

static void test_no_labels(void **state)
{
	static const char *const none[] = {
		"",         " ",           "utf",
		"utf-7",    "utf-32",      "utf-88",
		"ut f-8",   "utf-8;",      "'utf-8'",
		"gbk2",     "iso-8859-12", "latin",
		"l7",       "big5hkscs",   "cseucpkdfmtjapanesex",
		"\xc3\xa9", "windows",
	};
	char long_label[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(leash_charset_find(none[i], strlen(none[i])),
				 LEASH_CHARSET_UNKNOWN);
	assert_int_equal(leash_charset_find("gbk\0x", 5), LEASH_CHARSET_UNKNOWN);
	assert_int_equal(leash_charset_find("gbk\0", 4), LEASH_CHARSET_UNKNOWN);
	memset(long_label, 'a', sizeof(long_label));
	assert_int_equal(leash_charset_find(long_label, sizeof(long_label)), LEASH_CHARSET_UNKNOWN);
	for (size_t i = 0; i < LEASH_CHARSET_NUM; i++)
		assert_true(strlen(leash_charset_name((enum leash_charset)i)) > 0);
	assert_string_equal(leash_charset_name(LEASH_CHARSET_SHIFT_JIS), "Shift_JIS");
	assert_string_equal(leash_charset_name((enum leash_charset)99), "unknown");
}

/* Where the C library finds no modules there is an error, and errno stays. In a child, before
 * anything was converted here: what is loaded stays loaded */
static void test_no_module(void **state)
{
	char dir[] = "/tmp/charset-XXXXXX";
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct leash_charset_conv conv = {0};
		int rc;

		if (chroot(dir) < 0 && (unshare(CLONE_NEWUSER) < 0 || chroot(dir) < 0))
			_exit(77);
		if (chdir("/") < 0)
			_exit(77);
		errno = 5;
		rc = leash_charset_open(&conv, LEASH_CHARSET_GB18030);
		_exit(rc == -ENOENT && !conv.open && errno == 5 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(dir);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_module), /* first: see there */
		cmocka_unit_test(test_texts),     cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bom),       cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_long),      cmocka_unit_test(test_labels),
		cmocka_unit_test(test_no_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
