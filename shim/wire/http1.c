/* SPDX-License-Identifier: MIT */
/*
 * Lines are looked at when they are complete, and a complete line is contiguous: in the input,
 * or, if an earlier piece of input ended inside it, in the lent buffer. So only three things are
 * ever decided on part of a line: that the connection speaks HTTP at all (a program that speaks
 * something else waits for an answer to bytes that may never hold a line's end), a bare CR or
 * NUL, and that the line is too long. All three look at the same bytes in the same order however
 * the input is cut.
 *
 * Chunk size lines hold nothing that is dropped, so they are not kept but run through a state
 * machine byte by byte.
 */
#include "shim/wire/http1.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PREFIX_MAX 256		/* bytes in which METHOD SP and a target's first byte must show */

enum state {
	STATE_START,		/* empty lines, then a request line */
	STATE_FIELDS,
	STATE_BODY,		/* Content-Length: t->left to come */
	STATE_CHUNKS,
	STATE_TRAILER,
	STATE_HOLD,		/* the request with an Upgrade is out, its answer not here */
	STATE_RAW,
	STATE_BAD
};

enum answer {
	ANSWER_OPEN,
	ANSWER_ORDINARY,
	ANSWER_UPGRADED
};

enum chunk_state {
	CHUNK_DIGITS,
	CHUNK_BLANKS,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA_BYTES,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_OVER
};

static const char *const fault_text[] = {
	[LEASH_HTTP1_FINE] = "nothing is wrong with it",
	[LEASH_HTTP1_H2_PREFACE] = "an HTTP/2 preface: only HTTP/1.1 is spoken here",
	[LEASH_HTTP1_CONNECT] = "CONNECT: a tunnel cannot be judged",
	[LEASH_HTTP1_REQUEST_LINE] = "a request line that is not METHOD SP TARGET SP HTTP/1.x",
	[LEASH_HTTP1_VERSION] = "a request line without HTTP/1.0 or HTTP/1.1 at its end",
	[LEASH_HTTP1_TARGET] = "an absolute target with user information or without a host",
	[LEASH_HTTP1_LINE_TOO_LONG] = "a line over 64 KiB",
	[LEASH_HTTP1_TOO_MANY_LINES] = "more than 256 header lines",
	[LEASH_HTTP1_BARE_CR] = "a CR without LF inside a line",
	[LEASH_HTTP1_NUL] = "a NUL byte inside a line",
	[LEASH_HTTP1_FIELD_NAME] = "a header line without a plain name and a colon",
	[LEASH_HTTP1_FOLD] = "a folded header line",
	[LEASH_HTTP1_TWO_HOSTS] = "two Host lines",
	[LEASH_HTTP1_BAD_HOST] = "a Host that is not NAME or NAME:PORT",
	[LEASH_HTTP1_TWO_LENGTHS] = "two different Content-Length values",
	[LEASH_HTTP1_BAD_LENGTH] = "a Content-Length that is no plain number",
	[LEASH_HTTP1_LENGTH_AND_ENCODING] = "Content-Length and Transfer-Encoding in one request",
	[LEASH_HTTP1_BAD_ENCODING] = "a Transfer-Encoding that does not end in one chunked",
	[LEASH_HTTP1_BAD_CHUNK] = "a bad chunk size line, or no CRLF behind a chunk",
	[LEASH_HTTP1_TRAILER] = "Host, Content-Length or Transfer-Encoding in a trailer",
	[LEASH_HTTP1_CONNECTION] = "a Connection line that names the Referer",
};

static_assert(sizeof(fault_text) / sizeof(fault_text[0]) == LEASH_HTTP1_FAULT_COUNT,
	      "a text for every fault");

const char *leash_http1_fault_text(enum leash_http1_fault fault)
{
	if ((unsigned int)fault >= LEASH_HTTP1_FAULT_COUNT)
		return "unknown";
	return fault_text[fault];
}

/*
 * Bytes, and parts of lines
 */

#define C_TOKEN	1u		/* tchar (RFC 9110 section 5.6.2): methods */
#define C_HOST	2u

#define T C_TOKEN
#define H (C_TOKEN | C_HOST)
static const uint8_t class_of[256] = {
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

static bool is(uint8_t byte, unsigned int class)
{
	return class_of[byte] & class;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static bool is_alpha(uint8_t byte)
{
	return (uint8_t)((byte | 0x20) - 'a') < 26;
}

static bool is_digit(uint8_t byte)
{
	return (uint8_t)(byte - '0') < 10;
}

/*
 * Eight bytes at a time. Each answers the high bit of the first byte that is looked for, and maybe
 * of more behind it (a borrow): the lowest bit is right, also after several are joined with |.
 */
#define ONES 0x0101010101010101u
#define LITTLE_ENDIAN_WORDS (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static uint64_t below(uint64_t word, uint64_t byte)
{
	return (word - ONES * byte) & ~word & ONES * 0x80;
}

static uint64_t equals(uint64_t word, uint64_t byte)
{
	return below(word ^ ONES * byte, 1);
}

static uint64_t word_at(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Visible bytes and those above 127, up to @stop */
static size_t span_visible(const uint8_t *at, size_t len, uint8_t stop)
{
	size_t n = 0;

	while (LITTLE_ENDIAN_WORDS && len - n >= 8) {
		uint64_t word = word_at(at + n);
		uint64_t found = below(word, 0x21) | equals(word, 0x7f) | equals(word, stop);

		if (found)
			return n + (size_t)__builtin_ctzll(found) / 8;
		n += 8;
	}
	while (n < len && at[n] > 0x20 && at[n] != 0x7f && at[n] != stop)
		n++;
	return n;
}

/* Bytes from the start that are of a class */
static size_t span_of(const uint8_t *at, size_t len, unsigned int class)
{
	size_t n = 0;

	while (n < len && is(at[n], class))
		n++;
	return n;
}

static size_t blanks(const uint8_t *at, size_t len)
{
	size_t n = 0;

	while (n < len && is_blank(at[n]))
		n++;
	return n;
}

static struct leash_http1_text trim(const uint8_t *at, size_t len)
{
	while (len && is_blank(*at)) {
		at++;
		len--;
	}
	while (len && is_blank(at[len - 1]))
		len--;
	return (struct leash_http1_text){at, len};
}

/* @word is lower case: letters, digits and '-', which 0x20 leaves alone */
static bool same(const uint8_t *at, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = at[i];

		if ((uint8_t)(byte - 'A') < 26)
			byte |= 0x20;
		if (byte != (uint8_t)word[i])
			return false;
	}
	return true;
}

bool leash_http1_equal(struct leash_http1_text text, const char *word)
{
	return text.len == strlen(word) && same(text.at, word, text.len);
}

static bool is_method(const uint8_t *at, size_t len, const char *method)
{
	return len == strlen(method) && memcmp(at, method, len) == 0;
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
		if (number > (INT64_MAX - digit) / 10)
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

/*
 * The chunked coding
 */

void leash_http1_chunk_init(struct leash_http1_chunk *chunk)
{
	*chunk = (struct leash_http1_chunk){.state = CHUNK_DIGITS};
}

static int hex(uint8_t byte)
{
	if (is_digit(byte))
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* One byte of a size line, or behind the data. Return: 0, 1 at the end of the line, -EBADMSG */
static int chunk_byte(struct leash_http1_chunk *chunk, uint8_t byte)
{
	int digit;

	switch ((enum chunk_state)chunk->state) {
	case CHUNK_DIGITS:
		digit = hex(byte);
		if (digit >= 0) {
			/* 16 digits and 63 bits: nobody has to agree on how a size wraps around */
			if (chunk->line_len > 16 || chunk->left > INT64_MAX >> 4)
				return -EBADMSG;
			chunk->left = chunk->left << 4 | (unsigned int)digit;
			return 0;
		}
		if (chunk->line_len == 1)
			return -EBADMSG;
		chunk->state = CHUNK_BLANKS;
		return chunk_byte(chunk, byte);
	case CHUNK_BLANKS:
		if (is_blank(byte))
			return 0;
		if (byte != ';' && byte != '\r')
			return -EBADMSG;
		chunk->state = byte == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
		return 0;
	case CHUNK_EXTENSION:
		if (byte == '\0' || byte == '\n')
			return -EBADMSG;
		if (byte == '\r')
			chunk->state = CHUNK_SIZE_LF;
		return 0;
	case CHUNK_SIZE_LF:
		if (byte != '\n')
			return -EBADMSG;
		chunk->line_len = 0;
		chunk->state = chunk->left ? CHUNK_DATA_BYTES : CHUNK_OVER;
		return 1;
	case CHUNK_DATA_CR:
		if (byte != '\r')
			return -EBADMSG;
		chunk->state = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		if (byte != '\n')
			return -EBADMSG;
		chunk->line_len = 0;
		chunk->state = CHUNK_DIGITS;
		return 1;
	case CHUNK_DATA_BYTES:
	case CHUNK_OVER:
		break;
	}
	return -EBADMSG;
}

int leash_http1_chunk_next(struct leash_http1_chunk *chunk, const uint8_t *buf, size_t len,
			   size_t *ret_len)
{
	size_t n = 0;
	int rc = 0;

	if (chunk->state == CHUNK_DATA_BYTES) {
		n = chunk->left < len ? (size_t)chunk->left : len;
		chunk->left -= n;
		if (chunk->left == 0)
			chunk->state = CHUNK_DATA_CR;
		*ret_len = n;
		return LEASH_CHUNK_DATA;
	}
	while (n < len && rc == 0) {
		if (++chunk->line_len > LEASH_HTTP1_LINE_MAX)
			return -EBADMSG;
		rc = chunk_byte(chunk, buf[n++]);
	}
	if (rc < 0)
		return rc;
	*ret_len = n;
	return chunk->state == CHUNK_OVER ? LEASH_CHUNK_LAST : LEASH_CHUNK_FRAME;
}

/*
 * Facts out of complete lines. Each answers 0, or sets the fault and answers -EBADMSG.
 */

static int refuse(struct leash_http1 *http, enum leash_http1_fault fault)
{
	http->fault = fault;
	http->state = STATE_BAD;
	return -EBADMSG;
}

/* uri-host [":" port], stricter than RFC 3986: no user info, no percent signs */
static bool read_host(struct leash_http1_text text, struct leash_http1_host *host)
{
	const uint8_t *at = text.at;
	size_t len = text.len, name_len, i;

	host->bracketed = len && at[0] == '[';
	if (host->bracketed) {
		for (i = 1; i < len && (hex(at[i]) >= 0 || at[i] == ':' || at[i] == '.'); i++)
			;
		if (i == len || at[i] != ']')
			return false;
		name_len = i - 1;
		at++;
		i++;
	} else {
		i = name_len = span_of(at, len, C_HOST);
	}
	if (name_len >= sizeof(host->name))
		return false;
	host->port = -1;
	if (i < len) {
		int32_t port = 0;

		if (text.at[i] != ':' || len - i > 6)
			return false;
		for (size_t j = i + 1; j < len; j++) {
			if (!is_digit(text.at[j]))
				return false;
			port = port * 10 + (text.at[j] - '0');
		}
		if (port > 65535)
			return false;
		if (len - i > 1)
			host->port = port;
	}
	memcpy(host->name, at, name_len);
	host->name[name_len] = '\0';
	host->name_len = (uint16_t)name_len;
	host->present = true;
	return true;
}

static void reset_facts(struct leash_http1_request *facts)
{
	/* what is behind is text, and ended by what is here or by a NUL at its front */
	memset(facts, 0, offsetof(struct leash_http1_request, method));
	facts->content_length = -1;
	facts->method[0] = '\0';
	facts->target[0] = '\0';
	facts->host.present = false;
	facts->host.name_len = 0;
	facts->host.name[0] = '\0';
	facts->host.port = -1;
	facts->host.bracketed = false;
	facts->target_host.present = false;
	facts->target_host.name_len = 0;
	facts->target_host.name[0] = '\0';
	facts->target_host.port = -1;
	facts->target_host.bracketed = false;
}

static int read_target(struct leash_http1 *http, const uint8_t *at, size_t len)
{
	struct leash_http1_request *facts = &http->facts;
	size_t scheme = 0, from, i;

	facts->target_len = len;
	i = len < sizeof(facts->target) ? len : sizeof(facts->target) - 1;
	memcpy(facts->target, at, i);
	facts->target[i] = '\0';
	if (at[0] == '/' || (at[0] == '*' && len == 1))
		return 0;

	/* absolute form (RFC 9112 section 3.2.2) */
	while (scheme < len && (is_alpha(at[scheme]) || (scheme && (is_digit(at[scheme]) ||
	       at[scheme] == '+' || at[scheme] == '-' || at[scheme] == '.'))))
		scheme++;
	if (scheme == 0 || len - scheme < 3 || memcmp(at + scheme, "://", 3))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	from = scheme + 3;
	for (i = from; i < len && at[i] != '/' && at[i] != '?' && at[i] != '#'; i++)
		;
	if (!read_host((struct leash_http1_text){at + from, i - from}, &facts->target_host) ||
	    facts->target_host.name_len == 0)
		return refuse(http, LEASH_HTTP1_TARGET);
	return 0;
}

static int read_start(struct leash_http1 *http, const uint8_t *line, size_t len)
{
	struct leash_http1_request *facts = &http->facts;
	size_t method = span_of(line, len, C_TOKEN), target;
	const uint8_t *at = line + method + 1, *version;

	reset_facts(facts);
	if (is_method(line, method, "PRI"))
		return refuse(http, LEASH_HTTP1_H2_PREFACE);
	if (is_method(line, method, "CONNECT"))
		return refuse(http, LEASH_HTTP1_CONNECT);
	if (method == 0 || method == len || line[method] != ' ')
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	if (method >= sizeof(facts->method))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	target = span_visible(at, len - method - 1, ' ');
	if (target == 0)
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	/* HTTP/0.9: some servers answer at once, some read a header. Neither guess is safe. */
	if (method + 1 + target == len)
		return refuse(http, LEASH_HTTP1_VERSION);
	version = at + target;
	if (*version != ' ')
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	version++;
	len -= method + target + 2;
	if (len != 8 || memcmp(version, "HTTP/", 5) || !is_digit(version[5]) || version[6] != '.' ||
	    !is_digit(version[7]))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	if (version[5] != '1' || version[7] > '1')
		return refuse(http, LEASH_HTTP1_VERSION);
	facts->minor = (uint8_t)(version[7] - '0');
	memcpy(facts->method, line, method);
	facts->method[method] = '\0';
	return read_target(http, at, target);
}

static int read_length(struct leash_http1 *http, struct leash_http1_text value)
{
	struct leash_http1_request *facts = &http->facts;
	int64_t length;

	if (facts->transfer_encoding)
		return refuse(http, LEASH_HTTP1_LENGTH_AND_ENCODING);
	if (leash_http1_number(value, &length) < 0)
		return refuse(http, LEASH_HTTP1_BAD_LENGTH);
	if (facts->content_length >= 0 && facts->content_length != length)
		return refuse(http, LEASH_HTTP1_TWO_LENGTHS);
	facts->content_length = length;
	return 0;
}

static int read_encoding(struct leash_http1 *http, struct leash_http1_text value)
{
	static const char *const others[] = {"gzip", "deflate", "compress", "x-gzip", "x-compress"};
	struct leash_http1_request *facts = &http->facts;
	struct leash_http1_text one;

	if (facts->content_length >= 0)
		return refuse(http, LEASH_HTTP1_LENGTH_AND_ENCODING);
	facts->transfer_encoding = true;
	/* RFC 9112 section 6.1: an HTTP/1.0 server does not read it */
	if (facts->minor == 0)
		return refuse(http, LEASH_HTTP1_BAD_ENCODING);
	while (leash_http1_element(&value, &one)) {
		bool known = false;

		if (facts->chunked)	/* something behind it, or a second one */
			return refuse(http, LEASH_HTTP1_BAD_ENCODING);
		facts->chunked = leash_http1_equal(one, "chunked");
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			known = known || leash_http1_equal(one, others[i]);
		if (!facts->chunked && !known)
			return refuse(http, LEASH_HTTP1_BAD_ENCODING);
	}
	return 0;
}

static int read_connection(struct leash_http1 *http, struct leash_http1_text value)
{
	struct leash_http1_text one;

	while (leash_http1_element(&value, &one)) {
		if (leash_http1_equal(one, "upgrade"))
			http->facts.connection_upgrade = true;
		else if (leash_http1_equal(one, "close"))
			http->facts.close = true;
		/* RFC 9110 section 7.6.1: a proxy drops the fields that are named here */
		else if (http->rewrite && leash_http1_equal(one, "referer"))
			return refuse(http, LEASH_HTTP1_CONNECTION);
	}
	return 0;
}

static void read_type(struct leash_http1_request *facts, struct leash_http1_text value)
{
	const uint8_t *semicolon = value.len ? memchr(value.at, ';', value.len) : NULL;
	size_t type_len = semicolon ? (size_t)(semicolon - value.at) : value.len;
	struct leash_http1_text boundary;

	if (!leash_http1_equal(trim(value.at, type_len), "multipart/form-data"))
		return;
	facts->multipart = true;
	if (facts->boundary_len || !leash_http1_param(value, "boundary", &boundary))
		return;
	facts->boundary_len = (uint8_t)(boundary.len < sizeof(facts->boundary) ? boundary.len :
					sizeof(facts->boundary));
	memcpy(facts->boundary, boundary.at, facts->boundary_len);
}

static int read_field(struct leash_http1 *http, const uint8_t *line, size_t len,
		      struct leash_http1_token *out)
{
	struct leash_http1_request *facts = &http->facts;
	struct leash_http1_text value;
	unsigned int upgrade;

	if (leash_http1_field(line, len, &out->name, &value) < 0)
		return refuse(http, LEASH_HTTP1_FIELD_NAME);
	switch (out->name) {
	case LEASH_HTTP1_REFERER:
		out->drop = http->rewrite;
		return 0;
	case LEASH_HTTP1_HOST:
		if (facts->host.present)
			return refuse(http, LEASH_HTTP1_TWO_HOSTS);
		if (!read_host(value, &facts->host))
			return refuse(http, LEASH_HTTP1_BAD_HOST);
		return 0;
	case LEASH_HTTP1_CONTENT_LENGTH:
		return read_length(http, value);
	case LEASH_HTTP1_TRANSFER_ENCODING:
		return read_encoding(http, value);
	case LEASH_HTTP1_CONTENT_TYPE:
		read_type(facts, value);
		return 0;
	case LEASH_HTTP1_UPGRADE:
		upgrade = leash_http1_upgrade(value);
		out->drop = http->rewrite && (upgrade & LEASH_UPGRADE_H2C);
		if (out->drop)
			facts->h2c_dropped = true;
		else
			facts->upgrade |= upgrade;
		return 0;
	case LEASH_HTTP1_CONNECTION_FIELD:
		return read_connection(http, value);
	case LEASH_HTTP1_WEBSOCKET_KEY:
		facts->websocket_key = true;
		return 0;
	case LEASH_HTTP1_EXPECT:
		facts->expect_continue = facts->expect_continue ||
					 leash_http1_equal(value, "100-continue");
		return 0;
	case LEASH_HTTP1_RANGE:
		facts->range = true;
		return 0;
	case LEASH_HTTP1_OTHER:
	case LEASH_HTTP1_CONTENT_ENCODING:
	case LEASH_HTTP1_CONTENT_RANGE:
	case LEASH_HTTP1_WEBSOCKET_ACCEPT:
		return 0;
	}
	return refuse(http, LEASH_HTTP1_FIELD_NAME);
}

static int read_trailer(struct leash_http1 *http, const uint8_t *line, size_t len,
			struct leash_http1_token *out)
{
	struct leash_http1_text value;

	if (leash_http1_field(line, len, &out->name, &value) < 0)
		return refuse(http, LEASH_HTTP1_FIELD_NAME);
	/* RFC 9110 section 6.5.1; some servers merge a trailer into the header all the same */
	if (out->name == LEASH_HTTP1_HOST || out->name == LEASH_HTTP1_CONTENT_LENGTH ||
	    out->name == LEASH_HTTP1_TRANSFER_ENCODING)
		return refuse(http, LEASH_HTTP1_TRAILER);
	out->drop = http->rewrite && out->name == LEASH_HTTP1_REFERER;
	return 0;
}

/*
 * The stream
 */

void leash_http1_init(struct leash_http1 *http, bool rewrite)
{
	memset(http, 0, sizeof(*http));
	http->rewrite = rewrite;
	http->state = STATE_START;
	reset_facts(&http->facts);
}

int leash_http1_lend(struct leash_http1 *http, void *buf, size_t size)
{
	size_t held = http->held_out ? 0 : http->held_len;

	if (size > UINT32_MAX)
		size = UINT32_MAX;
	if (!buf)
		size = 0;
	if (size < held)
		return -EBUSY;
	if (held && buf != http->hold)
		memcpy(buf, http->hold, held);
	http->hold = buf;
	http->hold_size = (uint32_t)size;
	http->held_len = (uint32_t)held;
	http->held_out = false;
	return 0;
}

bool leash_http1_holds(const struct leash_http1 *http)
{
	return http->held_len;
}

bool leash_http1_idle(const struct leash_http1 *http)
{
	return (http->state == STATE_START || http->state == STATE_HOLD) &&
	       (http->held_len == 0 || http->held_out);
}

void leash_http1_answered(struct leash_http1 *http, bool upgraded)
{
	if (http->state == STATE_BAD || http->state == STATE_RAW || !http->facts.upgrade)
		return;
	if (http->state == STATE_HOLD)
		http->state = upgraded ? STATE_RAW : STATE_START;
	else if (http->state != STATE_START)
		http->answer = upgraded ? ANSWER_UPGRADED : ANSWER_ORDINARY;
}

static void end_request(struct leash_http1 *http, struct leash_http1_token *out)
{
	out->end = true;
	http->begun = false;
	http->state = STATE_START;
	if (http->facts.upgrade && http->answer == ANSWER_OPEN)
		http->state = STATE_HOLD;
	else if (http->facts.upgrade && http->answer == ANSWER_UPGRADED)
		http->state = STATE_RAW;
}

static int end_head(struct leash_http1 *http, struct leash_http1_token *out)
{
	struct leash_http1_request *facts = &http->facts;

	out->kind = LEASH_HTTP1_HEAD_END;
	if (facts->transfer_encoding && !facts->chunked)
		return refuse(http, LEASH_HTTP1_BAD_ENCODING);
	if (facts->chunked) {
		leash_http1_chunk_init(&http->chunk);
		http->state = STATE_CHUNKS;
	} else if (facts->content_length > 0) {
		http->left = (uint64_t)facts->content_length;
		http->state = STATE_BODY;
	} else {
		end_request(http, out);
	}
	return 0;
}

/* A complete line: @line is out->at */
static int take_line(struct leash_http1 *http, struct leash_http1_token *out)
{
	size_t len = leash_http1_line_text(out->at, out->len);
	bool trailer = http->state == STATE_TRAILER;
	int rc;

	if (http->state == STATE_START) {
		if (len == 0) {
			out->kind = LEASH_HTTP1_EMPTY;
			return 0;
		}
		out->kind = LEASH_HTTP1_START;
		http->state = STATE_FIELDS;
		http->lines = 0;
		http->any_field = false;
		http->answer = ANSWER_OPEN;
		return read_start(http, out->at, len);
	}
	if (len == 0) {
		if (!trailer)
			return end_head(http, out);
		out->kind = LEASH_HTTP1_TRAILER_END;
		end_request(http, out);
		return 0;
	}
	if (++http->lines > LEASH_HTTP1_LINES_MAX)
		return refuse(http, LEASH_HTTP1_TOO_MANY_LINES);
	if (is_blank(out->at[0])) {
		if (!http->rewrite || !http->any_field || http->last_name != LEASH_HTTP1_REFERER)
			return refuse(http, LEASH_HTTP1_FOLD);
		out->kind = trailer ? LEASH_HTTP1_TRAILER_FOLDED : LEASH_HTTP1_FOLDED;
		out->name = LEASH_HTTP1_REFERER;
		out->drop = true;
		return 0;
	}
	out->kind = trailer ? LEASH_HTTP1_TRAILER_FIELD : LEASH_HTTP1_FIELD;
	rc = trailer ? read_trailer(http, out->at, len, out) : read_field(http, out->at, len, out);
	http->any_field = true;
	http->last_name = (uint8_t)out->name;
	return rc;
}

/* @len more bytes behind the held ones */
static int hold(struct leash_http1 *http, const uint8_t *buf, size_t len)
{
	if (len > http->hold_size - http->held_len)
		return -ENOBUFS;
	memcpy(http->hold + http->held_len, buf, len);
	http->held_len += (uint32_t)len;
	return 0;
}

static int next_line(struct leash_http1 *http, const uint8_t *buf, size_t len,
		     struct leash_http1_token *out)
{
	enum leash_http1_fault fault = LEASH_HTTP1_FINE;
	size_t room = LEASH_HTTP1_LINE_MAX - http->held_len;
	size_t in = len < room ? len : room, line;
	int rc;

	/* A CR that was the last byte of the piece before */
	if (http->held_len && http->hold[http->held_len - 1] == '\r' && buf[0] != '\n')
		return refuse(http, LEASH_HTTP1_BARE_CR);
	line = leash_http1_line(buf, in, &fault);
	if (fault != LEASH_HTTP1_FINE)
		return refuse(http, fault);
	if (line == 0 && in == room)
		return refuse(http, LEASH_HTTP1_LINE_TOO_LONG);
	if (line && http->held_len == 0) {
		out->at = buf;
		out->len = out->consumed = line;
		return take_line(http, out);
	}
	rc = hold(http, buf, line ? line : len);
	if (rc < 0)
		return rc;
	out->consumed = line ? line : len;
	if (line == 0)
		return 0;
	out->at = http->hold;
	out->len = http->held_len;
	out->held = true;
	http->held_out = true;
	return take_line(http, out);
}

/*
 * Do these first bytes of a connection begin a request line? What a lenient server may take for
 * one is read as one, and refused if it is none in the end. A method that is not well known could
 * be a word of another protocol, which must not wait for a line's end: there the target decides.
 *
 * Return: 1, 0, -EAGAIN
 */
static int begins_request(const uint8_t *buf, size_t len)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS",
					      "PATCH", "CONNECT", "TRACE", "PRI"};
	size_t i, from;
	bool upper = true;

	if (len > PREFIX_MAX)
		len = PREFIX_MAX;
	from = blanks(buf, len);
	for (i = from; i < len && is(buf[i], C_TOKEN); i++)
		upper = upper && !(is_alpha(buf[i]) && buf[i] >= 'a');
	if (i == len)
		return len < PREFIX_MAX ? -EAGAIN : 0;
	for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++) {
		if (is_method(buf + from, i - from, methods[m]))
			return 1;
	}
	if (i == from || !is_blank(buf[i]))
		return 0;
	i += blanks(buf + i, len - i);
	from = i;
	if (i < len && (buf[i] == '/' || buf[i] == '*'))
		return 1;
	while (i < len && (is_alpha(buf[i]) || (i > from && (is_digit(buf[i]) || buf[i] == '+' ||
	       buf[i] == '-' || buf[i] == '.'))))
		i++;
	/* "hello world" is no request with the scheme "world" */
	if (!upper && i > from && !same(buf + from, "https", i - from < 5 ? i - from : 5) &&
	    !same(buf + from, "wss", i - from < 3 ? i - from : 3))
		return 0;
	if (i == len)
		return len < PREFIX_MAX ? -EAGAIN : 0;
	return i > from && buf[i] == ':';
}

static int go_raw(struct leash_http1 *http, struct leash_http1_token *out)
{
	http->state = STATE_RAW;
	http->begun = false;
	out->kind = LEASH_HTTP1_RAW;
	return 0;
}

/* Is it HTTP? Only asked until it is known, so its buffer stays off the usual way's stack.
 * Return: 1 yes, 0 @out is the answer, -ENOBUFS */
__attribute__((noinline))
static int recognise(struct leash_http1 *http, const uint8_t *buf, size_t len,
		     struct leash_http1_token *out)
{
	uint8_t start[PREFIX_MAX];
	size_t held = http->held_len, more = len;
	int rc;

	/* held is less than PREFIX_MAX: more would have been an answer */
	if (more > sizeof(start) - held)
		more = sizeof(start) - held;
	if (held) {
		memcpy(start, http->hold, held);
		memcpy(start + held, buf, more);
		rc = begins_request(start, held + more);
	} else {
		rc = begins_request(buf, len);
	}
	if (rc == 1) {
		http->certain = true;
		return 1;
	}
	if (rc == -EAGAIN) {
		rc = hold(http, buf, len);
		if (rc == 0)
			out->consumed = len;
		return rc;
	}
	/* With one byte more: a token that takes nothing would loop its reader for ever. */
	if (held) {
		rc = hold(http, buf, 1);
		if (rc < 0)
			return rc;
		out->at = http->hold;
		out->len = http->held_len;
		out->consumed = 1;
		out->held = true;
		http->held_out = true;
	} else {
		out->at = buf;
		out->len = out->consumed = len;
	}
	return go_raw(http, out);
}

/* Before a request line */
static int next_start(struct leash_http1 *http, const uint8_t *buf, size_t len,
		      struct leash_http1_token *out)
{
	bool empty = http->held_len == 0 ? buf[0] == '\n' || buf[0] == '\r' :
					   http->hold[0] == '\r';
	bool begin = !http->begun;
	int rc;

	/* RFC 9112 section 2.2: empty lines are skipped. CR and more is none. */
	if (empty) {
		bool bare = http->held_len ? buf[0] != '\n' :
					     buf[0] == '\r' && len > 1 && buf[1] != '\n';

		if (!bare || http->certain)
			return next_line(http, buf, len, out);
	}
	if (!http->certain) {
		rc = recognise(http, buf, len, out);
		if (rc <= 0)
			return rc;
	}
	rc = next_line(http, buf, len, out);
	if (rc == 0) {
		out->begin = begin;
		http->begun = true;
	}
	return rc;
}

static int next_chunk(struct leash_http1 *http, const uint8_t *buf, size_t len,
		      struct leash_http1_token *out)
{
	int part = leash_http1_chunk_next(&http->chunk, buf, len, &out->len);

	if (part < 0)
		return refuse(http, LEASH_HTTP1_BAD_CHUNK);
	out->at = buf;
	out->consumed = out->len;
	out->kind = part == LEASH_CHUNK_DATA ? LEASH_HTTP1_DATA : LEASH_HTTP1_FRAME;
	if (part == LEASH_CHUNK_LAST) {
		http->state = STATE_TRAILER;
		http->lines = 0;
		http->any_field = false;
	}
	return 0;
}

int leash_http1_next(struct leash_http1 *http, const void *buf, size_t len,
		     struct leash_http1_token *out)
{
	struct leash_http1_token token = {.kind = LEASH_HTTP1_NONE};
	int rc = 0;

	if (http->held_out) {
		http->held_len = 0;
		http->held_out = false;
	}
	if (http->state == STATE_BAD)
		return -EBADMSG;
	if (len == 0) {
		*out = token;
		return 0;
	}
	switch ((enum state)http->state) {
	case STATE_START:
		rc = next_start(http, buf, len, &token);
		break;
	case STATE_FIELDS:
	case STATE_TRAILER:
		rc = next_line(http, buf, len, &token);
		break;
	case STATE_BODY:
		token.kind = LEASH_HTTP1_DATA;
		token.at = buf;
		token.len = token.consumed = http->left < len ? (size_t)http->left : len;
		http->left -= token.len;
		if (http->left == 0)
			end_request(http, &token);
		break;
	case STATE_CHUNKS:
		rc = next_chunk(http, buf, len, &token);
		break;
	case STATE_HOLD:
		token.kind = LEASH_HTTP1_HOLD;
		break;
	case STATE_RAW:
		token.kind = LEASH_HTTP1_RAW;
		token.at = buf;
		token.len = token.consumed = len;
		break;
	case STATE_BAD:
		return -EBADMSG;
	}
	if (rc < 0)
		return rc;
	/* One by one: what was just written in bytes cannot be loaded in sixteens without a wait,
	 * and that was a fifth of all time spent here. */
	out->kind = token.kind;
	out->name = token.name;
	out->at = token.at;
	out->len = token.len;
	out->consumed = token.consumed;
	out->held = token.held;
	out->begin = token.begin;
	out->end = token.end;
	out->drop = token.drop;
	return 0;
}
