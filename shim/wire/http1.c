/* SPDX-License-Identifier: MIT */
/*
 * Lines are looked at when they are complete, and a complete line is contiguous: in the input,
 * or, if an earlier piece of input ended inside it, in the lent buffer. So only three things are
 * ever decided on part of a line: that the connection speaks HTTP at all (a program that speaks
 * something else waits for an answer to bytes that may never hold a line's end), a bare CR or
 * NUL, and that the line is too long. All three look at the same bytes in the same order however
 * the input is cut.
 */
#include "shim/wire/http1_inner.h"

#include <assert.h>

#define PREFIX_MAX 256		/* bytes in which METHOD SP and a target's first byte must show */

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

void leash_http1_init(struct leash_http1 *http, bool rewrite)
{
	memset(http, 0, sizeof(*http));
	http->rewrite = rewrite;
	http->state = STATE_START;
	leash_http1_reset(&http->facts);
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
		return leash_http1_read_start(http, out->at, len);
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
	rc = trailer ? leash_http1_read_trailer(http, out->at, len, out) : leash_http1_read_field(http, out->at, len, out);
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
		if (leash_http1_is_method(buf + from, i - from, methods[m]))
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
