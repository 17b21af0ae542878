/* SPDX-License-Identifier: MIT */
/* Lines, fields and the lists in them. */
#include "shim/wire/http1_inner.h"

#define T C_TOKEN
#define H (C_TOKEN | C_HOST)
const uint8_t leash_http1_class[256] = {
	['!'] = T, ['#'] = T, ['$'] = T, ['%'] = T, ['&'] = T, ['\''] = T, ['*'] = T, ['+'] = T,
	['-'] = H, ['.'] = H, ['^'] = T, ['_'] = H, ['`'] = T, ['|'] = T, ['~'] = T,
	['0'] = H, H, H, H, H, H, H, H, H, H,
	['A'] = H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	['a'] = H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	/* 128 to 255: U-labels */
#define X C_HOST
#define X16 X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X
	[128] = X16, X16, X16, X16, X16, X16, X16, X16
#undef X16
#undef X
};
#undef H
#undef T

bool leash_http1_equal(struct leash_http1_text text, const char *word)
{
	/* Mostly it is another word, and its first letters say so. */
	for (size_t i = 0; i < text.len; i++)
		if (!word[i] || (text.at[i] | (is_alpha(text.at[i]) ? 0x20 : 0)) != (uint8_t)word[i])
			return false;
	return word[text.len] == '\0';
}

size_t leash_http1_line(const uint8_t *buf, size_t len, enum leash_http1_fault *ret_fault)
{
	size_t i = 0;

	while (i < len) {
		while (LITTLE_ENDIAN_WORDS && len - i >= 8) {
			uint64_t found = below(word_at(buf + i), 16);

			if (found) {
				i += (size_t)__builtin_ctzll(found) / 8;
				break;
			}
			i += 8;
		}
		if (i == len)
			break;
		if (buf[i] == '\n')
			return i + 1;
		if (buf[i] == '\0') {
			*ret_fault = LEASH_HTTP1_NUL;
			return 0;
		}
		if (buf[i] == '\r' && i + 1 < len) {
			if (buf[i + 1] == '\n')
				return i + 2;
			*ret_fault = LEASH_HTTP1_BARE_CR;
			return 0;
		}
		i++;
	}
	return 0;
}

size_t leash_http1_line_text(const uint8_t *line, size_t len)
{
	len--;
	return len && line[len - 1] == '\r' ? len - 1 : len;
}

/* @word is letters and '-' in lower case, @at is visible: only a letter's case can be in the bit
 * that is left out. @len is at least 4 */
static bool same_name(const uint8_t *at, const char *word, size_t len)
{
	const uint8_t *want = (const uint8_t *)word;
	uint32_t first, last, want_first, want_last;

	if (len >= 8) {
		for (size_t i = 0; i + 8 < len; i += 8) {
			if ((word_at(at + i) | ONES * 0x20) != word_at(want + i))
				return false;
		}
		return (word_at(at + len - 8) | ONES * 0x20) == word_at(want + len - 8);
	}
	memcpy(&first, at, 4);
	memcpy(&last, at + len - 4, 4);
	memcpy(&want_first, want, 4);
	memcpy(&want_last, want + len - 4, 4);
	return (first | 0x20202020u) == want_first && (last | 0x20202020u) == want_last;
}

static enum leash_http1_name name_of(const uint8_t *at, size_t len)
{
	/* by length: most fields are none of these, and that is known without a comparison */
	static const struct {
		uint8_t name;
		char word[23];
	} names[][2] = {
		[4] = {{LEASH_HTTP1_HOST, "host"}},
		[5] = {{LEASH_HTTP1_RANGE, "range"}},
		[6] = {{LEASH_HTTP1_EXPECT, "expect"}},
		[7] = {{LEASH_HTTP1_REFERER, "referer"}, {LEASH_HTTP1_UPGRADE, "upgrade"}},
		[10] = {{LEASH_HTTP1_CONNECTION_FIELD, "connection"}},
		[12] = {{LEASH_HTTP1_CONTENT_TYPE, "content-type"}},
		[13] = {{LEASH_HTTP1_CONTENT_RANGE, "content-range"}},
		[14] = {{LEASH_HTTP1_CONTENT_LENGTH, "content-length"}},
		[16] = {{LEASH_HTTP1_CONTENT_ENCODING, "content-encoding"}},
		[17] = {{LEASH_HTTP1_TRANSFER_ENCODING, "transfer-encoding"},
			{LEASH_HTTP1_WEBSOCKET_KEY, "sec-websocket-key"}},
		[20] = {{LEASH_HTTP1_WEBSOCKET_ACCEPT, "sec-websocket-accept"}},
	};

	if (len >= sizeof(names) / sizeof(names[0]))
		return LEASH_HTTP1_OTHER;
	for (size_t i = 0; i < 2 && names[len][i].name; i++) {
		if (same_name(at, names[len][i].word, len))
			return (enum leash_http1_name)names[len][i].name;
	}
	return LEASH_HTTP1_OTHER;
}

int leash_http1_field(const uint8_t *line, size_t len, enum leash_http1_name *ret_name,
		      struct leash_http1_text *ret_value)
{
	size_t name = span_visible(line, len, ':');
	size_t colon = name + blanks(line + name, len - name);

	if (name == 0 || colon == len || line[colon] != ':')
		return -EBADMSG;
	*ret_name = name_of(line, name);
	*ret_value = trim(line + colon + 1, len - colon - 1);
	return 0;
}

int leash_http1_number(struct leash_http1_text text, int64_t *ret_number)
{
	int64_t number = 0;

	if (text.len == 0)
		return -EBADMSG;
	for (size_t i = 0; i < text.len; i++) {
		int digit = text.at[i] - '0';

		if (!is_digit(text.at[i]))
			return -EBADMSG;
		/* eighteen digits fit, whatever they are */
		if (i >= 18 && number > (INT64_MAX - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return 0;
}

bool leash_http1_element(struct leash_http1_text *list, struct leash_http1_text *ret_element)
{
	const uint8_t *comma;
	size_t len;

	if (!list->at)
		return false;
	comma = list->len ? memchr(list->at, ',', list->len) : NULL;
	len = comma ? (size_t)(comma - list->at) : list->len;
	*ret_element = trim(list->at, len);
	if (comma)
		*list = (struct leash_http1_text){comma + 1, list->len - len - 1};
	else
		*list = (struct leash_http1_text){NULL, 0};
	return true;
}

bool leash_http1_param(struct leash_http1_text value, const char *name,
		       struct leash_http1_text *ret)
{
	const uint8_t *at = value.at;
	size_t len = value.len, i = 0;

	while (i < len) {
		struct leash_http1_text key, val;
		size_t from;

		/* to the next ';', which a quoted string may hold */
		for (bool quoted = false; i < len && (quoted || at[i] != ';'); i++) {
			if (at[i] == '"')
				quoted = !quoted;
			else if (quoted && at[i] == '\\' && i + 1 < len)
				i++;
		}
		if (i == len)
			break;
		from = ++i;
		while (i < len && at[i] != '=' && at[i] != ';')
			i++;
		if (i == len || at[i] == ';')
			continue;
		key = trim(at + from, i - from);
		i++;
		i += blanks(at + i, len - i);
		from = i;
		if (i < len && at[i] == '"') {
			from = ++i;
			while (i < len && at[i] != '"')
				i += at[i] == '\\' && i + 1 < len ? 2 : 1;
			val = (struct leash_http1_text){at + from, i - from};
			i += i < len;
		} else {
			while (i < len && at[i] != ';')
				i++;
			val = trim(at + from, i - from);
		}
		if (leash_http1_equal(key, name)) {
			*ret = val;
			return true;
		}
	}
	return false;
}

unsigned int leash_http1_upgrade(struct leash_http1_text value)
{
	struct leash_http1_text one;
	unsigned int ret = 0;

	while (leash_http1_element(&value, &one)) {
		if (leash_http1_equal(one, "websocket"))
			ret |= LEASH_UPGRADE_WEBSOCKET;
		else if (leash_http1_equal(one, "h2c"))
			ret |= LEASH_UPGRADE_H2C;
		else if (one.len)
			ret |= LEASH_UPGRADE_OTHER;
	}
	return ret;
}
