/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: iconv is given whole stretches of the caller's input, never more
 * than fits the output after worst growth. What it calls incomplete is kept and comes
 * first the next time, so that a character may be cut anywhere. What it calls invalid is
 * passed as it is, in the length that the Encoding standard gives to one error; the length
 * follows from the bytes alone, so cuts do not change the result.
 */
#include "shim/http/charset.h"

#include <assert.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define NAMES_MAX 2			/* names under which iconv may know one charset */
/* Kept bytes and enough new ones to end any character; what follows is converted in place */
#define STAGE_SIZE (2 * LEASH_CHARSET_CHAR_MAX)

static_assert((LEASH_CHARSET_ROOM - LEASH_CHARSET_CHAR_MAX) / LEASH_CHARSET_GROWTH >=
	      LEASH_CHARSET_CHAR_MAX, "the smallest room holds what a whole character becomes");

/*
 * How long an error is:
 * ONE		a byte
 * PAIR		a lead byte and, unless that is ASCII, its trail byte
 * EUC_JP	the same, and three bytes behind 0x8f
 * UNIT		a code unit of two bytes, or everything behind it would be shifted
 * SHIFTED	a pair of printable bytes, which are never an error outside a two-byte set
 */
enum form { FORM_NONE, FORM_ONE, FORM_PAIR, FORM_SHIFT_JIS, FORM_EUC_JP, FORM_UNIT, FORM_SHIFTED };

/* Arrays, not pointers: nothing to relocate in a preloaded object */
struct coding {
	char name[16];
	char iconv[NAMES_MAX][13];
	uint8_t form;
};

static const struct coding codings[] = {
	[LEASH_CHARSET_UNKNOWN]		= {"unknown", {""}, FORM_NONE},
	[LEASH_CHARSET_UTF_8]		= {"UTF-8", {""}, FORM_NONE},
	[LEASH_CHARSET_UTF_16LE]	= {"UTF-16LE", {"UTF-16LE"}, FORM_UNIT},
	[LEASH_CHARSET_UTF_16BE]	= {"UTF-16BE", {"UTF-16BE"}, FORM_UNIT},
	[LEASH_CHARSET_GB18030]		= {"gb18030", {"GB18030"}, FORM_PAIR},
	[LEASH_CHARSET_BIG5]		= {"Big5", {"BIG5-HKSCS"}, FORM_PAIR},
	/* With the rows of NEC and IBM, as the standard's index has them */
	[LEASH_CHARSET_EUC_JP]		= {"EUC-JP", {"EUC-JP-MS", "EUC-JP"}, FORM_EUC_JP},
	[LEASH_CHARSET_ISO_2022_JP]	= {"ISO-2022-JP", {"ISO-2022-JP"}, FORM_SHIFTED},
	[LEASH_CHARSET_SHIFT_JIS]	= {"Shift_JIS", {"CP932", "WINDOWS-31J"}, FORM_SHIFT_JIS},
	[LEASH_CHARSET_EUC_KR]		= {"EUC-KR", {"CP949", "UHC"}, FORM_PAIR},
	[LEASH_CHARSET_IBM866]		= {"IBM866", {"IBM866", "CP866"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_2]	= {"ISO-8859-2", {"ISO-8859-2"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_3]	= {"ISO-8859-3", {"ISO-8859-3"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_4]	= {"ISO-8859-4", {"ISO-8859-4"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_5]	= {"ISO-8859-5", {"ISO-8859-5"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_6]	= {"ISO-8859-6", {"ISO-8859-6"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_7]	= {"ISO-8859-7", {"ISO-8859-7"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_8]	= {"ISO-8859-8", {"ISO-8859-8"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_10]	= {"ISO-8859-10", {"ISO-8859-10"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_13]	= {"ISO-8859-13", {"ISO-8859-13"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_14]	= {"ISO-8859-14", {"ISO-8859-14"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_15]	= {"ISO-8859-15", {"ISO-8859-15"}, FORM_ONE},
	[LEASH_CHARSET_ISO_8859_16]	= {"ISO-8859-16", {"ISO-8859-16"}, FORM_ONE},
	[LEASH_CHARSET_KOI8_R]		= {"KOI8-R", {"KOI8-R"}, FORM_ONE},
	[LEASH_CHARSET_KOI8_U]		= {"KOI8-U", {"KOI8-U"}, FORM_ONE},
	[LEASH_CHARSET_MACINTOSH]	= {"macintosh", {"MACINTOSH"}, FORM_ONE},
	[LEASH_CHARSET_MAC_CYRILLIC]	= {"x-mac-cyrillic", {"MAC-CYRILLIC"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_874]	= {"windows-874", {"WINDOWS-874", "CP874"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1250]	= {"windows-1250", {"WINDOWS-1250", "CP1250"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1251]	= {"windows-1251", {"WINDOWS-1251", "CP1251"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1252]	= {"windows-1252", {"WINDOWS-1252", "CP1252"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1253]	= {"windows-1253", {"WINDOWS-1253", "CP1253"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1254]	= {"windows-1254", {"WINDOWS-1254", "CP1254"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1255]	= {"windows-1255", {"WINDOWS-1255", "CP1255"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1256]	= {"windows-1256", {"WINDOWS-1256", "CP1256"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1257]	= {"windows-1257", {"WINDOWS-1257", "CP1257"}, FORM_ONE},
	[LEASH_CHARSET_WINDOWS_1258]	= {"windows-1258", {"WINDOWS-1258", "CP1258"}, FORM_ONE},
	[LEASH_CHARSET_REPLACEMENT]	= {"replacement", {""}, FORM_NONE},
	[LEASH_CHARSET_USER_DEFINED]	= {"x-user-defined", {""}, FORM_NONE},
};

static_assert(ARRAY_SIZE(codings) == LEASH_CHARSET_NUM, "one row for each charset");

/* All labels of the Encoding standard, section 4.2, in the order of their bytes */
static const struct {
	char label[20];
	uint8_t charset;
} labels[] = {
	{"866", LEASH_CHARSET_IBM866},
	{"ansi_x3.4-1968", LEASH_CHARSET_WINDOWS_1252},
	{"arabic", LEASH_CHARSET_ISO_8859_6},
	{"ascii", LEASH_CHARSET_WINDOWS_1252},
	{"asmo-708", LEASH_CHARSET_ISO_8859_6},
	{"big5", LEASH_CHARSET_BIG5},
	{"big5-hkscs", LEASH_CHARSET_BIG5},
	{"chinese", LEASH_CHARSET_GB18030},
	{"cn-big5", LEASH_CHARSET_BIG5},
	{"cp1250", LEASH_CHARSET_WINDOWS_1250},
	{"cp1251", LEASH_CHARSET_WINDOWS_1251},
	{"cp1252", LEASH_CHARSET_WINDOWS_1252},
	{"cp1253", LEASH_CHARSET_WINDOWS_1253},
	{"cp1254", LEASH_CHARSET_WINDOWS_1254},
	{"cp1255", LEASH_CHARSET_WINDOWS_1255},
	{"cp1256", LEASH_CHARSET_WINDOWS_1256},
	{"cp1257", LEASH_CHARSET_WINDOWS_1257},
	{"cp1258", LEASH_CHARSET_WINDOWS_1258},
	{"cp819", LEASH_CHARSET_WINDOWS_1252},
	{"cp866", LEASH_CHARSET_IBM866},
	{"csbig5", LEASH_CHARSET_BIG5},
	{"cseuckr", LEASH_CHARSET_EUC_KR},
	{"cseucpkdfmtjapanese", LEASH_CHARSET_EUC_JP},
	{"csgb2312", LEASH_CHARSET_GB18030},
	{"csibm866", LEASH_CHARSET_IBM866},
	{"csiso2022jp", LEASH_CHARSET_ISO_2022_JP},
	{"csiso2022kr", LEASH_CHARSET_REPLACEMENT},
	{"csiso58gb231280", LEASH_CHARSET_GB18030},
	{"csiso88596e", LEASH_CHARSET_ISO_8859_6},
	{"csiso88596i", LEASH_CHARSET_ISO_8859_6},
	{"csiso88598e", LEASH_CHARSET_ISO_8859_8},
	{"csiso88598i", LEASH_CHARSET_ISO_8859_8},
	{"csisolatin1", LEASH_CHARSET_WINDOWS_1252},
	{"csisolatin2", LEASH_CHARSET_ISO_8859_2},
	{"csisolatin3", LEASH_CHARSET_ISO_8859_3},
	{"csisolatin4", LEASH_CHARSET_ISO_8859_4},
	{"csisolatin5", LEASH_CHARSET_WINDOWS_1254},
	{"csisolatin6", LEASH_CHARSET_ISO_8859_10},
	{"csisolatin9", LEASH_CHARSET_ISO_8859_15},
	{"csisolatinarabic", LEASH_CHARSET_ISO_8859_6},
	{"csisolatincyrillic", LEASH_CHARSET_ISO_8859_5},
	{"csisolatingreek", LEASH_CHARSET_ISO_8859_7},
	{"csisolatinhebrew", LEASH_CHARSET_ISO_8859_8},
	{"cskoi8r", LEASH_CHARSET_KOI8_R},
	{"csksc56011987", LEASH_CHARSET_EUC_KR},
	{"csmacintosh", LEASH_CHARSET_MACINTOSH},
	{"csshiftjis", LEASH_CHARSET_SHIFT_JIS},
	{"csunicode", LEASH_CHARSET_UTF_16LE},
	{"cyrillic", LEASH_CHARSET_ISO_8859_5},
	{"dos-874", LEASH_CHARSET_WINDOWS_874},
	{"ecma-114", LEASH_CHARSET_ISO_8859_6},
	{"ecma-118", LEASH_CHARSET_ISO_8859_7},
	{"elot_928", LEASH_CHARSET_ISO_8859_7},
	{"euc-jp", LEASH_CHARSET_EUC_JP},
	{"euc-kr", LEASH_CHARSET_EUC_KR},
	{"gb18030", LEASH_CHARSET_GB18030},
	{"gb2312", LEASH_CHARSET_GB18030},
	{"gb_2312", LEASH_CHARSET_GB18030},
	{"gb_2312-80", LEASH_CHARSET_GB18030},
	{"gbk", LEASH_CHARSET_GB18030},
	{"greek", LEASH_CHARSET_ISO_8859_7},
	{"greek8", LEASH_CHARSET_ISO_8859_7},
	{"hebrew", LEASH_CHARSET_ISO_8859_8},
	{"hz-gb-2312", LEASH_CHARSET_REPLACEMENT},
	{"ibm819", LEASH_CHARSET_WINDOWS_1252},
	{"ibm866", LEASH_CHARSET_IBM866},
	{"iso-10646-ucs-2", LEASH_CHARSET_UTF_16LE},
	{"iso-2022-cn", LEASH_CHARSET_REPLACEMENT},
	{"iso-2022-cn-ext", LEASH_CHARSET_REPLACEMENT},
	{"iso-2022-jp", LEASH_CHARSET_ISO_2022_JP},
	{"iso-2022-kr", LEASH_CHARSET_REPLACEMENT},
	{"iso-8859-1", LEASH_CHARSET_WINDOWS_1252},
	{"iso-8859-10", LEASH_CHARSET_ISO_8859_10},
	{"iso-8859-11", LEASH_CHARSET_WINDOWS_874},
	{"iso-8859-13", LEASH_CHARSET_ISO_8859_13},
	{"iso-8859-14", LEASH_CHARSET_ISO_8859_14},
	{"iso-8859-15", LEASH_CHARSET_ISO_8859_15},
	{"iso-8859-16", LEASH_CHARSET_ISO_8859_16},
	{"iso-8859-2", LEASH_CHARSET_ISO_8859_2},
	{"iso-8859-3", LEASH_CHARSET_ISO_8859_3},
	{"iso-8859-4", LEASH_CHARSET_ISO_8859_4},
	{"iso-8859-5", LEASH_CHARSET_ISO_8859_5},
	{"iso-8859-6", LEASH_CHARSET_ISO_8859_6},
	{"iso-8859-6-e", LEASH_CHARSET_ISO_8859_6},
	{"iso-8859-6-i", LEASH_CHARSET_ISO_8859_6},
	{"iso-8859-7", LEASH_CHARSET_ISO_8859_7},
	{"iso-8859-8", LEASH_CHARSET_ISO_8859_8},
	{"iso-8859-8-e", LEASH_CHARSET_ISO_8859_8},
	{"iso-8859-8-i", LEASH_CHARSET_ISO_8859_8},
	{"iso-8859-9", LEASH_CHARSET_WINDOWS_1254},
	{"iso-ir-100", LEASH_CHARSET_WINDOWS_1252},
	{"iso-ir-101", LEASH_CHARSET_ISO_8859_2},
	{"iso-ir-109", LEASH_CHARSET_ISO_8859_3},
	{"iso-ir-110", LEASH_CHARSET_ISO_8859_4},
	{"iso-ir-126", LEASH_CHARSET_ISO_8859_7},
	{"iso-ir-127", LEASH_CHARSET_ISO_8859_6},
	{"iso-ir-138", LEASH_CHARSET_ISO_8859_8},
	{"iso-ir-144", LEASH_CHARSET_ISO_8859_5},
	{"iso-ir-148", LEASH_CHARSET_WINDOWS_1254},
	{"iso-ir-149", LEASH_CHARSET_EUC_KR},
	{"iso-ir-157", LEASH_CHARSET_ISO_8859_10},
	{"iso-ir-58", LEASH_CHARSET_GB18030},
	{"iso8859-1", LEASH_CHARSET_WINDOWS_1252},
	{"iso8859-10", LEASH_CHARSET_ISO_8859_10},
	{"iso8859-11", LEASH_CHARSET_WINDOWS_874},
	{"iso8859-13", LEASH_CHARSET_ISO_8859_13},
	{"iso8859-14", LEASH_CHARSET_ISO_8859_14},
	{"iso8859-15", LEASH_CHARSET_ISO_8859_15},
	{"iso8859-2", LEASH_CHARSET_ISO_8859_2},
	{"iso8859-3", LEASH_CHARSET_ISO_8859_3},
	{"iso8859-4", LEASH_CHARSET_ISO_8859_4},
	{"iso8859-5", LEASH_CHARSET_ISO_8859_5},
	{"iso8859-6", LEASH_CHARSET_ISO_8859_6},
	{"iso8859-7", LEASH_CHARSET_ISO_8859_7},
	{"iso8859-8", LEASH_CHARSET_ISO_8859_8},
	{"iso8859-9", LEASH_CHARSET_WINDOWS_1254},
	{"iso88591", LEASH_CHARSET_WINDOWS_1252},
	{"iso885910", LEASH_CHARSET_ISO_8859_10},
	{"iso885911", LEASH_CHARSET_WINDOWS_874},
	{"iso885913", LEASH_CHARSET_ISO_8859_13},
	{"iso885914", LEASH_CHARSET_ISO_8859_14},
	{"iso885915", LEASH_CHARSET_ISO_8859_15},
	{"iso88592", LEASH_CHARSET_ISO_8859_2},
	{"iso88593", LEASH_CHARSET_ISO_8859_3},
	{"iso88594", LEASH_CHARSET_ISO_8859_4},
	{"iso88595", LEASH_CHARSET_ISO_8859_5},
	{"iso88596", LEASH_CHARSET_ISO_8859_6},
	{"iso88597", LEASH_CHARSET_ISO_8859_7},
	{"iso88598", LEASH_CHARSET_ISO_8859_8},
	{"iso88599", LEASH_CHARSET_WINDOWS_1254},
	{"iso_8859-1", LEASH_CHARSET_WINDOWS_1252},
	{"iso_8859-15", LEASH_CHARSET_ISO_8859_15},
	{"iso_8859-1:1987", LEASH_CHARSET_WINDOWS_1252},
	{"iso_8859-2", LEASH_CHARSET_ISO_8859_2},
	{"iso_8859-2:1987", LEASH_CHARSET_ISO_8859_2},
	{"iso_8859-3", LEASH_CHARSET_ISO_8859_3},
	{"iso_8859-3:1988", LEASH_CHARSET_ISO_8859_3},
	{"iso_8859-4", LEASH_CHARSET_ISO_8859_4},
	{"iso_8859-4:1988", LEASH_CHARSET_ISO_8859_4},
	{"iso_8859-5", LEASH_CHARSET_ISO_8859_5},
	{"iso_8859-5:1988", LEASH_CHARSET_ISO_8859_5},
	{"iso_8859-6", LEASH_CHARSET_ISO_8859_6},
	{"iso_8859-6:1987", LEASH_CHARSET_ISO_8859_6},
	{"iso_8859-7", LEASH_CHARSET_ISO_8859_7},
	{"iso_8859-7:1987", LEASH_CHARSET_ISO_8859_7},
	{"iso_8859-8", LEASH_CHARSET_ISO_8859_8},
	{"iso_8859-8:1988", LEASH_CHARSET_ISO_8859_8},
	{"iso_8859-9", LEASH_CHARSET_WINDOWS_1254},
	{"iso_8859-9:1989", LEASH_CHARSET_WINDOWS_1254},
	{"koi", LEASH_CHARSET_KOI8_R},
	{"koi8", LEASH_CHARSET_KOI8_R},
	{"koi8-r", LEASH_CHARSET_KOI8_R},
	{"koi8-ru", LEASH_CHARSET_KOI8_U},
	{"koi8-u", LEASH_CHARSET_KOI8_U},
	{"koi8_r", LEASH_CHARSET_KOI8_R},
	{"korean", LEASH_CHARSET_EUC_KR},
	{"ks_c_5601-1987", LEASH_CHARSET_EUC_KR},
	{"ks_c_5601-1989", LEASH_CHARSET_EUC_KR},
	{"ksc5601", LEASH_CHARSET_EUC_KR},
	{"ksc_5601", LEASH_CHARSET_EUC_KR},
	{"l1", LEASH_CHARSET_WINDOWS_1252},
	{"l2", LEASH_CHARSET_ISO_8859_2},
	{"l3", LEASH_CHARSET_ISO_8859_3},
	{"l4", LEASH_CHARSET_ISO_8859_4},
	{"l5", LEASH_CHARSET_WINDOWS_1254},
	{"l6", LEASH_CHARSET_ISO_8859_10},
	{"l9", LEASH_CHARSET_ISO_8859_15},
	{"latin1", LEASH_CHARSET_WINDOWS_1252},
	{"latin2", LEASH_CHARSET_ISO_8859_2},
	{"latin3", LEASH_CHARSET_ISO_8859_3},
	{"latin4", LEASH_CHARSET_ISO_8859_4},
	{"latin5", LEASH_CHARSET_WINDOWS_1254},
	{"latin6", LEASH_CHARSET_ISO_8859_10},
	{"logical", LEASH_CHARSET_ISO_8859_8},
	{"mac", LEASH_CHARSET_MACINTOSH},
	{"macintosh", LEASH_CHARSET_MACINTOSH},
	{"ms932", LEASH_CHARSET_SHIFT_JIS},
	{"ms_kanji", LEASH_CHARSET_SHIFT_JIS},
	{"replacement", LEASH_CHARSET_REPLACEMENT},
	{"shift-jis", LEASH_CHARSET_SHIFT_JIS},
	{"shift_jis", LEASH_CHARSET_SHIFT_JIS},
	{"sjis", LEASH_CHARSET_SHIFT_JIS},
	{"sun_eu_greek", LEASH_CHARSET_ISO_8859_7},
	{"tis-620", LEASH_CHARSET_WINDOWS_874},
	{"ucs-2", LEASH_CHARSET_UTF_16LE},
	{"unicode", LEASH_CHARSET_UTF_16LE},
	{"unicode-1-1-utf-8", LEASH_CHARSET_UTF_8},
	{"unicode11utf8", LEASH_CHARSET_UTF_8},
	{"unicode20utf8", LEASH_CHARSET_UTF_8},
	{"unicodefeff", LEASH_CHARSET_UTF_16LE},
	{"unicodefffe", LEASH_CHARSET_UTF_16BE},
	{"us-ascii", LEASH_CHARSET_WINDOWS_1252},
	{"utf-16", LEASH_CHARSET_UTF_16LE},
	{"utf-16be", LEASH_CHARSET_UTF_16BE},
	{"utf-16le", LEASH_CHARSET_UTF_16LE},
	{"utf-8", LEASH_CHARSET_UTF_8},
	{"utf8", LEASH_CHARSET_UTF_8},
	{"visual", LEASH_CHARSET_ISO_8859_8},
	{"windows-1250", LEASH_CHARSET_WINDOWS_1250},
	{"windows-1251", LEASH_CHARSET_WINDOWS_1251},
	{"windows-1252", LEASH_CHARSET_WINDOWS_1252},
	{"windows-1253", LEASH_CHARSET_WINDOWS_1253},
	{"windows-1254", LEASH_CHARSET_WINDOWS_1254},
	{"windows-1255", LEASH_CHARSET_WINDOWS_1255},
	{"windows-1256", LEASH_CHARSET_WINDOWS_1256},
	{"windows-1257", LEASH_CHARSET_WINDOWS_1257},
	{"windows-1258", LEASH_CHARSET_WINDOWS_1258},
	{"windows-31j", LEASH_CHARSET_SHIFT_JIS},
	{"windows-874", LEASH_CHARSET_WINDOWS_874},
	{"windows-949", LEASH_CHARSET_EUC_KR},
	{"x-cp1250", LEASH_CHARSET_WINDOWS_1250},
	{"x-cp1251", LEASH_CHARSET_WINDOWS_1251},
	{"x-cp1252", LEASH_CHARSET_WINDOWS_1252},
	{"x-cp1253", LEASH_CHARSET_WINDOWS_1253},
	{"x-cp1254", LEASH_CHARSET_WINDOWS_1254},
	{"x-cp1255", LEASH_CHARSET_WINDOWS_1255},
	{"x-cp1256", LEASH_CHARSET_WINDOWS_1256},
	{"x-cp1257", LEASH_CHARSET_WINDOWS_1257},
	{"x-cp1258", LEASH_CHARSET_WINDOWS_1258},
	{"x-euc-jp", LEASH_CHARSET_EUC_JP},
	{"x-gbk", LEASH_CHARSET_GB18030},
	{"x-mac-cyrillic", LEASH_CHARSET_MAC_CYRILLIC},
	{"x-mac-roman", LEASH_CHARSET_MACINTOSH},
	{"x-mac-ukrainian", LEASH_CHARSET_MAC_CYRILLIC},
	{"x-sjis", LEASH_CHARSET_SHIFT_JIS},
	{"x-unicode20utf8", LEASH_CHARSET_UTF_8},
	{"x-user-defined", LEASH_CHARSET_USER_DEFINED},
	{"x-x-big5", LEASH_CHARSET_BIG5},
};

static bool blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r';
}

enum leash_charset leash_charset_find(const void *label, size_t len)
{
	const uint8_t *from = label;
	size_t low = 0, high = ARRAY_SIZE(labels);
	char name[sizeof(labels[0].label)];

	while (len && blank(from[0])) {
		from++;
		len--;
	}
	while (len && blank(from[len - 1]))
		len--;
	if (len == 0 || len >= sizeof(name))
		return LEASH_CHARSET_UNKNOWN;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 0x20 : from[i]);
	name[len] = '\0';
	if (strlen(name) != len)
		return LEASH_CHARSET_UNKNOWN;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, labels[middle].label);

		if (order == 0)
			return labels[middle].charset;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return LEASH_CHARSET_UNKNOWN;
}

const char *leash_charset_name(enum leash_charset charset)
{
	return (size_t)charset < ARRAY_SIZE(codings) ? codings[charset].name : codings[0].name;
}

int leash_charset_open(struct leash_charset_conv *conv, enum leash_charset from)
{
	const struct coding *coding;
	int saved = errno, err = ENOENT;

	if ((size_t)from >= ARRAY_SIZE(codings) || codings[from].form == FORM_NONE)
		return -EINVAL;
	coding = &codings[from];
	for (size_t i = 0; i < NAMES_MAX && coding->iconv[i][0]; i++) {
		iconv_t cd = iconv_open("UTF-8", coding->iconv[i]);

		if (cd != (iconv_t)-1) {
			*conv = (struct leash_charset_conv){
				.cd = cd, .from = from, .open = true, .bom = true,
			};
			errno = saved;
			return 0;
		}
		err = errno == EINVAL ? ENOENT : errno;
	}
	errno = saved;
	return -err;
}

void leash_charset_close(struct leash_charset_conv *conv)
{
	int saved = errno;

	if (conv->open)
		iconv_close(conv->cd);
	conv->open = false;
	errno = saved;
}

/* What was written at @start: the one U+FEFF at the front of a text goes */
static void filter_bom(struct leash_charset_conv *conv, struct leash_text_io *io, uint8_t *start)
{
	size_t len = (size_t)(io->out - start);

	if (!conv->bom || len == 0)
		return;
	conv->bom = false;		/* characters are written whole: it is here or nowhere */
	if (len < 3 || memcmp(start, "\xef\xbb\xbf", 3) != 0)
		return;
	memmove(start, start + 3, len - 3);
	io->out -= 3;
	io->out_left += 3;
}

static void pass(struct leash_charset_conv *conv, const uint8_t *bytes, size_t len,
		 struct leash_text_io *io)
{
	memcpy(io->out, bytes, len);
	io->out += len;
	io->out_left -= len;
	conv->malformed = true;
	conv->bom = false;
}

/*
 * A letter that iconv keeps to see whether a mark follows (windows-1255 and -1258) comes out.
 * It also resets what ESC switched on: in the middle of a text only where nothing is
 */
static void flush(struct leash_charset_conv *conv, struct leash_text_io *io)
{
	uint8_t *start = io->out;
	char *out = (char *)io->out;
	int saved = errno;

	iconv(conv->cd, NULL, NULL, &out, &io->out_left);
	io->out = (uint8_t *)out;
	errno = saved;
	filter_bom(conv, io, start);
}

static bool lead(uint8_t form, uint8_t byte)
{
	if (form == FORM_SHIFT_JIS)
		return (byte >= 0x81 && byte <= 0x9f) || (byte >= 0xe0 && byte <= 0xfc);
	if (form == FORM_EUC_JP)
		return byte == 0x8e || byte == 0x8f || (byte >= 0xa1 && byte <= 0xfe);
	return byte >= 0x81 && byte <= 0xfe;
}

/* How many bytes the error at @src takes; 0 if that cannot be said before more is there */
static size_t error_len(uint8_t form, const uint8_t *src, size_t len)
{
	if (form == FORM_UNIT)
		return len < 2 ? 0 : 2;
	if (form == FORM_SHIFTED) {
		if (src[0] <= 0x20 || src[0] >= 0x7f)
			return 1;
		if (len < 2)
			return 0;
		return src[1] > 0x20 && src[1] < 0x7f ? 2 : 1;
	}
	if (form == FORM_ONE || !lead(form, src[0]))
		return 1;
	if (len < 2)
		return 0;
	if (src[1] < 0x80)
		return 1;
	if (form != FORM_EUC_JP || src[0] != 0x8f)
		return 2;
	if (len < 3)
		return 0;
	return src[2] < 0x80 ? 2 : 3;
}

enum stop { STOP_EMPTY, STOP_INCOMPLETE, STOP_ROOM };

/* Convert from @src; *ret_used bytes of it are done. INCOMPLETE: the rest, at most
 * LEASH_CHARSET_CHAR_MAX bytes, is the beginning of something */
static enum stop convert(struct leash_charset_conv *conv, const uint8_t *src, size_t len,
			 struct leash_text_io *io, size_t *ret_used)
{
	uint8_t form = codings[conv->from].form;
	size_t used = 0;

	while (used < len && io->out_left >= LEASH_CHARSET_ROOM) {
		size_t fits = (io->out_left - LEASH_CHARSET_CHAR_MAX) / LEASH_CHARSET_GROWTH;
		size_t slice = len - used < fits ? len - used : fits, left = slice, skip;
		char *in = (char *)(uintptr_t)(src + used), *out = (char *)io->out;
		uint8_t *start = io->out;
		int saved = errno, err;
		bool ok = iconv(conv->cd, &in, &left, &out, &io->out_left) != (size_t)-1;

		err = errno;
		errno = saved;
		io->out = (uint8_t *)out;
		filter_bom(conv, io, start);
		used += slice - left;
		if (ok)
			continue;
		if (err == EINVAL && used + left == len && left <= LEASH_CHARSET_CHAR_MAX) {
			*ret_used = used;
			return STOP_INCOMPLETE;
		}
		if (err != EILSEQ && left < slice)
			continue;	/* E2BIG, or a slice that cut a character: more follows */
		/* Anything else is an error too: an iconv that does not move must not stop us */
		skip = err == EILSEQ ? error_len(form, src + used, len - used) : 1;
		if (skip == 0) {
			*ret_used = used;
			return STOP_INCOMPLETE;
		}
		if (io->out_left < LEASH_CHARSET_ROOM)
			break;
		if (form != FORM_SHIFTED)
			flush(conv, io);
		pass(conv, src + used, skip, io);
		used += skip;
	}
	*ret_used = used;
	return used < len ? STOP_ROOM : STOP_EMPTY;
}

void leash_charset_feed(struct leash_charset_conv *conv, struct leash_text_io *io)
{
	size_t used;

	while (conv->tail_len && io->in_left) {
		uint8_t stage[STAGE_SIZE];
		size_t kept = conv->tail_len, added = STAGE_SIZE - kept;
		enum stop stop;

		if (added > io->in_left)
			added = io->in_left;
		memcpy(stage, conv->tail, kept);
		memcpy(stage + kept, io->in, added);
		stop = convert(conv, stage, kept + added, io, &used);
		if (used < kept && stop == STOP_INCOMPLETE) {
			kept = kept + added - used;
			memcpy(conv->tail, stage + used, kept);
			conv->tail_len = (uint8_t)kept;
			io->in += added;
			io->in_left -= added;
			return;		/* all of the input is in the tail, see INCOMPLETE */
		}
		if (used < kept) {
			memmove(conv->tail, conv->tail + used, kept - used);
			conv->tail_len = (uint8_t)(kept - used);
			return;
		}
		conv->tail_len = 0;
		io->in += used - kept;
		io->in_left -= used - kept;
	}
	if (io->in_left == 0)
		return;
	if (convert(conv, io->in, io->in_left, io, &used) == STOP_INCOMPLETE) {
		memcpy(conv->tail, io->in + used, io->in_left - used);
		conv->tail_len = (uint8_t)(io->in_left - used);
		used = io->in_left;
	}
	io->in += used;
	io->in_left -= used;
}

int leash_charset_finish(struct leash_charset_conv *conv, struct leash_text_io *io)
{
	if (conv->flushed)
		return 0;
	if (io->out_left < LEASH_CHARSET_ROOM)
		return -ENOBUFS;
	flush(conv, io);
	if (conv->tail_len)
		pass(conv, conv->tail, conv->tail_len, io);
	conv->tail_len = 0;
	conv->flushed = true;
	return 0;
}
