/* SPDX-License-Identifier: MIT */
/*
 * An event as one line of JSON (RFC 8259), in a buffer of fixed size.
 *
 * First every text is measured as it will be written, then the room is shared
 * out, then the line is put down: so nothing has to be taken back, and a line
 * that is too long loses the ends of its longest texts, never its structure.
 */
#include "shim/events/event.h"

#include <string.h>

enum text {
	TEXT_EXE, TEXT_API, TEXT_CALL, TEXT_HOST, TEXT_ADDRESS, TEXT_TRANSPORT, TEXT_REASON,
	TEXT_ERR_MSG, TEXT_RULE, TEXT_HINT, TEXT_SNI, TEXT_TLS_VERSION, TEXT_TLS_CIPHER, TEXT_TLS_ISSUER,
	TEXT_TLS_NOT_AFTER, TEXT_DETAIL, TEXT_METHOD, TEXT_URL, TEXT_OUTCOME, TEXT_COUNT
};

/* Sentences for people: cut first, down to FREE_MIN, before a name loses a letter. */
#define IS_FREE(text) \
	((text) == TEXT_HINT || (text) == TEXT_DETAIL || (text) == TEXT_ERR_MSG || (text) == TEXT_URL)
#define FREE_MIN 128

#define UNIT_MAX 6			/* \u001f: the longest that one character becomes */

/* The length of a valid UTF-8 sequence (RFC 3629 section 4) above ASCII, or 0; stops at a NUL */
static size_t utf8_len(const unsigned char *at, uint32_t *ret_code)
{
	uint32_t code, min;
	size_t len;

	if ((at[0] & 0xe0) == 0xc0) {
		len = 2;
		code = at[0] & 0x1fu;
		min = 0x80;
	} else if ((at[0] & 0xf0) == 0xe0) {
		len = 3;
		code = at[0] & 0x0fu;
		min = 0x800;
	} else if ((at[0] & 0xf8) == 0xf0) {
		len = 4;
		code = at[0] & 0x07u;
		min = 0x10000;
	} else {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3fu);
	}
	if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return len;
}

/*
 * One character of @at as JSON, in @unit; what is not UTF-8 goes byte by byte.
 * @ret_len:	Bytes of @at that it took, at least 1
 * Return: bytes of @unit
 */
static size_t escape(const char *at, char unit[static UNIT_MAX], size_t *ret_len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *bytes = (const unsigned char *)at;
	uint32_t code = bytes[0];
	size_t len = 1;

	if (code >= 0x80)
		len = utf8_len(bytes, &code);
	if (len == 0) {
		memcpy(unit, "\xef\xbf\xbd", 3);	/* U+FFFD */
		*ret_len = 1;
		return 3;
	}
	*ret_len = len;
	if (code == '"' || code == '\\') {
		unit[0] = '\\';
		unit[1] = (char)code;
		return 2;
	}
	/* Besides what JSON asks for: whatever a terminal or a reader of lines acts on. */
	if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029) {
		memcpy(unit, "\\u", 2);
		for (size_t i = 0; i < 4; i++)
			unit[2 + i] = hex[code >> (12 - 4 * i) & 0xf];
		return 6;
	}
	memcpy(unit, at, len);
	return len;
}

/* Bytes that @text takes in JSON, without its quotes; no need to know more than the line holds */
static size_t measure(const char *text)
{
	char unit[UNIT_MAX];
	size_t total = 0, len;

	for (; *text && total < LEASH_EVENT_LINE_MAX; text += len)
		total += escape(text, unit, &len);
	return total;
}

struct line {
	char *buf;			/* NULL: only count */
	size_t len;
	bool open;			/* something stands in the object: a comma is needed */
	const size_t *share;		/* by enum text */
};

static void put(struct line *line, const char *bytes, size_t len)
{
	if (line->buf)
		memcpy(line->buf + line->len, bytes, len);
	line->len += len;
}

static void put_key(struct line *line, const char *key)
{
	if (line->open)
		put(line, ",", 1);
	line->open = true;
	put(line, "\"", 1);
	put(line, key, strlen(key));
	put(line, "\":", 2);
}

static void put_digits(struct line *line, uint64_t value, size_t width)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value || sizeof(digits) - at < width);
	put(line, digits + at, sizeof(digits) - at);
}

static void put_number(struct line *line, const char *key, int64_t value)
{
	put_key(line, key);
	if (value < 0)
		put(line, "-", 1);
	put_digits(line, value < 0 ? -(uint64_t)value : (uint64_t)value, 1);
}

/* As many whole characters as the share allows */
static void put_text(struct line *line, const char *key, const char *text, enum text which)
{
	size_t room = line->share ? line->share[which] : 0;
	char unit[UNIT_MAX];
	size_t len, size;

	if (!text)
		return;
	put_key(line, key);
	put(line, "\"", 1);
	for (; *text && room; text += len) {
		size = escape(text, unit, &len);
		if (size > room)
			break;
		put(line, unit, size);
		room -= size;
	}
	put(line, "\"", 1);
}

static void put_word(struct line *line, const char *key, const char *word)
{
	put_key(line, key);
	put(line, "\"", 1);
	put(line, word, strlen(word));
	put(line, "\"", 1);
}

/*
 * RFC 3339, UTC, milliseconds. The days are counted from 1 March of the year 0, so that
 * the odd day stands at the end of a year; libc's way may take a lock for the time zone.
 */
static void put_time(struct line *line, int64_t time_ms)
{
	const int64_t min_ms = -62167219200000, max_ms = 253402300799999;	/* years 0 to 9999 */
	uint64_t ms, days, era, of_era, year_of_era, of_year, month, year, day;

	if (time_ms < min_ms)
		time_ms = min_ms;
	if (time_ms > max_ms)
		time_ms = max_ms;
	/* One era of 400 years further, to stay positive: 1 January of 0 is before 1 March. */
	ms = (uint64_t)(time_ms + (719468 + 146097) * INT64_C(86400000));
	days = ms / 86400000;
	ms %= 86400000;

	era = days / 146097;
	of_era = days % 146097;
	year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * of_year + 2) / 153;		/* 0: March */
	day = of_year - (153 * month + 2) / 5 + 1;
	year = era * 400 + year_of_era + (month >= 10) - 400;
	month = month < 10 ? month + 3 : month - 9;

	put_key(line, "time");
	put(line, "\"", 1);
	put_digits(line, year, 4);
	put(line, "-", 1);
	put_digits(line, month, 2);
	put(line, "-", 1);
	put_digits(line, day, 2);
	put(line, "T", 1);
	put_digits(line, ms / 3600000, 2);
	put(line, ":", 1);
	put_digits(line, ms / 60000 % 60, 2);
	put(line, ":", 1);
	put_digits(line, ms / 1000 % 60, 2);
	put(line, ".", 1);
	put_digits(line, ms % 1000, 3);
	put(line, "Z\"", 2);
}

static const char *kind_word(enum leash_event_kind kind)
{
	switch (kind) {
	case LEASH_EVENT_POLICY:
		return "policy";
	case LEASH_EVENT_RESOLVE:
		return "resolve";
	case LEASH_EVENT_CONNECT:
		return "connect";
	case LEASH_EVENT_REQUEST:
		return "request";
	case LEASH_EVENT_REFUSED:
		return "refused";
	case LEASH_EVENT_INTERRUPTED:
		return "interrupted";
	case LEASH_EVENT_TIMEOUT:
		return "timeout";
	case LEASH_EVENT_STATE:
		return "state";
	case LEASH_EVENT_KIND_COUNT:
		break;
	}
	return "unknown";
}

static const char *verdict_word(enum leash_event_verdict verdict)
{
	switch (verdict) {
	case LEASH_SAID_NONE:
		return NULL;
	case LEASH_SAID_ALLOWED:
		return "allowed";
	case LEASH_SAID_REFUSED:
		return "refused";
	case LEASH_SAID_WOULD_REFUSE:
		return "would_refuse";
	}
	return "unknown";
}

static void put_timing(struct line *line, const struct leash_event_timing *timing)
{
	put_key(line, "timing");
	put(line, "{", 1);
	line->open = false;
	if (timing->resolve >= 0)
		put_number(line, "resolve", timing->resolve);
	if (timing->connect >= 0)
		put_number(line, "connect", timing->connect);
	if (timing->tls >= 0)
		put_number(line, "tls", timing->tls);
	if (timing->wait >= 0)
		put_number(line, "wait", timing->wait);
	if (timing->receive >= 0)
		put_number(line, "receive", timing->receive);
	put(line, "}", 1);
	line->open = true;
}

static void put_event(struct line *line, const struct leash_event *event)
{
	const char *verdict = verdict_word(event->verdict);

	put(line, "{", 1);
	put_time(line, event->time_ms);
	put_number(line, "pid", event->pid);
	put_text(line, "exe", event->exe, TEXT_EXE);
	put_word(line, "event", kind_word(event->kind));
	if (verdict)
		put_word(line, "verdict", verdict);
	put_text(line, "api", event->api, TEXT_API);
	put_text(line, "call", event->call, TEXT_CALL);
	put_text(line, "host", event->host, TEXT_HOST);
	put_text(line, "address", event->address, TEXT_ADDRESS);
	if (event->port)
		put_number(line, "port", event->port);
	put_text(line, "transport", event->transport, TEXT_TRANSPORT);
	put_text(line, "method", event->method, TEXT_METHOD);
	put_text(line, "url", event->url, TEXT_URL);
	if (event->status)
		put_number(line, "status", event->status);
	put_text(line, "outcome", event->outcome, TEXT_OUTCOME);
	put_text(line, "reason", event->reason, TEXT_REASON);
	put_text(line, "errMsg", event->err_msg, TEXT_ERR_MSG);
	if (event->number)
		put_number(line, "errCode", event->number);
	if (event->error)
		put_number(line, "errno", event->error);
	put_text(line, "rule", event->rule, TEXT_RULE);
	put_text(line, "hint", event->hint, TEXT_HINT);
	if (event->bytes_sent >= 0)
		put_number(line, "bytes_sent", event->bytes_sent);
	if (event->bytes_received >= 0)
		put_number(line, "bytes_received", event->bytes_received);
	if (event->timing)
		put_timing(line, event->timing);
	if (event->sni || event->tls_version || event->tls_cipher || event->tls_issuer || event->tls_not_after) {
		put_key(line, "tls");
		put(line, "{", 1);
		line->open = false;
		put_text(line, "sni", event->sni, TEXT_SNI);
		put_text(line, "version", event->tls_version, TEXT_TLS_VERSION);
		put_text(line, "cipher", event->tls_cipher, TEXT_TLS_CIPHER);
		put_text(line, "issuer", event->tls_issuer, TEXT_TLS_ISSUER);
		put_text(line, "notAfter", event->tls_not_after, TEXT_TLS_NOT_AFTER);
		put(line, "}", 1);
	}
	put_text(line, "detail", event->detail, TEXT_DETAIL);
	put(line, "}\n", 2);
}

/* No text of those meant gets more than @max. Return: what all of them take */
static size_t clamp(size_t share[static TEXT_COUNT], size_t max, bool free_only)
{
	size_t sum = 0;

	for (size_t i = 0; i < TEXT_COUNT; i++) {
		if (share[i] > max && (!free_only || IS_FREE(i)))
			share[i] = max;
		sum += share[i];
	}
	return sum;
}

static void share_out(size_t share[static TEXT_COUNT], size_t room)
{
	size_t max = LEASH_EVENT_LINE_MAX;

	while (max > FREE_MIN && clamp(share, max, true) > room)
		max--;
	if (clamp(share, max, true) <= room)
		return;
	max = LEASH_EVENT_LINE_MAX;
	while (max > 0 && clamp(share, max, false) > room)
		max--;
}

static size_t length(const char *text)
{
	return text ? measure(text) : 0;
}

size_t leash_event_line(const struct leash_event *event, char buf[static LEASH_EVENT_LINE_MAX])
{
	size_t share[TEXT_COUNT] = {
		[TEXT_EXE] = length(event->exe), [TEXT_API] = length(event->api),
		[TEXT_CALL] = length(event->call), [TEXT_HOST] = length(event->host),
		[TEXT_ADDRESS] = length(event->address),
		[TEXT_TRANSPORT] = length(event->transport),
		[TEXT_REASON] = length(event->reason), [TEXT_ERR_MSG] = length(event->err_msg),
		[TEXT_RULE] = length(event->rule), [TEXT_HINT] = length(event->hint),
		[TEXT_METHOD] = length(event->method), [TEXT_URL] = length(event->url),
		[TEXT_OUTCOME] = length(event->outcome), [TEXT_SNI] = length(event->sni), [TEXT_DETAIL] = length(event->detail),
		[TEXT_TLS_VERSION] = length(event->tls_version),
		[TEXT_TLS_CIPHER] = length(event->tls_cipher),
		[TEXT_TLS_ISSUER] = length(event->tls_issuer),
		[TEXT_TLS_NOT_AFTER] = length(event->tls_not_after),
	};
	struct line line = {0};

	put_event(&line, event);	/* without its texts: what the structure takes */
	share_out(share, LEASH_EVENT_LINE_MAX - line.len);
	line = (struct line){.buf = buf, .share = share};
	put_event(&line, event);
	return line.len;
}
