/* SPDX-License-Identifier: MIT */
/*
 * HEAD		Between answers, or in a header that is not complete.
 * LENGTH	In a body with Content-Length.
 * CHUNKS	In a chunked body.
 * TRAILER	At the start of a line of its trailer. CR is kept back until it is known whether
 *		the line is empty: the trailer's bytes and the line that ends it go separate ways.
 * TRAILER_CR	Behind such a CR.
 * TRAILER_LINE	Inside another line of it.
 * CLOSE	In a body that ends with the connection.
 * RAW		Nothing is known any more (or it was upgraded); until the connection closes.
 */
#include "shim/http/response.h"

#include "shim/http/body_inner.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

enum state {
	STATE_HEAD,
	STATE_LENGTH,
	STATE_CHUNKS,
	STATE_TRAILER,
	STATE_TRAILER_CR,
	STATE_TRAILER_LINE,
	STATE_CLOSE,
	STATE_RAW
};

static const uint8_t crlf[2] = "\r\n";
static const char version[] = "HTTP/1.";

void leash_response_init(struct leash_response *rs, bool observe)
{
	memset(rs, 0, sizeof(*rs));
	rs->state = STATE_HEAD;
	rs->observe = observe;
	rs->head.content_length = -1;
}

int leash_response_push(struct leash_response *rs, uint32_t id, unsigned int ask)
{
	if (rs->count == LEASH_RESPONSE_QUEUE_MAX)
		return -ENOSPC;
	rs->queue[(rs->first + rs->count) % LEASH_RESPONSE_QUEUE_MAX] =
		(struct leash_response_ask){.id = id & 0xffffff, .ask = ask & 0xff};
	rs->count++;
	return 0;
}

size_t leash_response_waiting(const struct leash_response *rs)
{
	return rs->count;
}

int leash_response_lend(struct leash_response *rs, void *block, size_t size)
{
	if (size > UINT32_MAX)
		size = UINT32_MAX;
	if (!block)
		size = 0;
	if (size < rs->block_len)
		return -EBUSY;
	if (rs->block_len && block != rs->block)
		memcpy(block, rs->block, rs->block_len);
	rs->block = block;
	rs->block_size = (uint32_t)size;
	return 0;
}

bool leash_response_holds(const struct leash_response *rs)
{
	return rs->block_len;
}

bool leash_response_in_body(const struct leash_response *rs)
{
	return rs->state == STATE_LENGTH || rs->state == STATE_CHUNKS || rs->state == STATE_CLOSE;
}

void leash_response_give_up(struct leash_response *rs)
{
	rs->state = STATE_RAW;
}

static void drop_block(struct leash_response *rs)
{
	rs->block_len = 0;
	rs->line_at = 0;
}

/* What was taken and not given back. Return: is there anything? */
static bool give_back(struct leash_response *rs, struct leash_response_item *out)
{
	out->own = true;
	if (rs->cr_held) {
		out->at = crlf;
		out->len = 1;
		rs->cr_held = false;
		return true;
	}
	if (rs->block_len && !rs->observe) {
		out->at = rs->block;
		out->len = rs->block_len;
		drop_block(rs);
		return true;
	}
	drop_block(rs);
	out->own = false;
	return false;
}

/* The answer that is being read ends here */
static void end_answer(struct leash_response *rs, struct leash_response_item *out)
{
	out->end = out->whole = true;
	rs->first = (uint8_t)((rs->first + 1) % LEASH_RESPONSE_QUEUE_MAX);
	rs->count--;
	rs->begun = false;
	rs->state = STATE_HEAD;
}

static int pass_raw(struct leash_response *rs, const uint8_t *buf, size_t len,
		    struct leash_response_item *out)
{
	rs->state = STATE_RAW;
	out->kind = LEASH_RESPONSE_RAW;
	if (!give_back(rs, out)) {
		out->at = buf;
		out->len = out->consumed = len;
	}
	return 0;
}

/*
 * The header
 */

/* What readers disagree on answers -EBADMSG, and the stream is raw from there */
struct header {
	struct leash_response_head *head;
	bool transfer_encoding, chunked;
	enum leash_http1_name last;
	bool any;
};

static int read_status(struct leash_response_head *head, const uint8_t *line, size_t len)
{
	struct leash_http1_text code = {line + 9, 3};
	int64_t status;

	if (len < 12 || memcmp(line, version, 7) || line[7] < '0' || line[7] > '9' ||
	    line[8] != ' ' || (len > 12 && line[12] != ' '))
		return -EBADMSG;
	if (leash_http1_number(code, &status) < 0 || status < 100)
		return -EBADMSG;
	head->minor = (uint8_t)(line[7] - '0');
	head->status = (uint16_t)status;
	return 0;
}

static int read_encoding(struct header *h, struct leash_http1_text value)
{
	struct leash_http1_text one;

	h->transfer_encoding = true;
	while (leash_http1_element(&value, &one)) {
		if (h->chunked)
			return -EBADMSG;
		h->chunked = leash_http1_equal(one, "chunked");
	}
	return 0;
}

static int read_field(struct header *h, const uint8_t *line, size_t len)
{
	struct leash_response_head *head = h->head;
	struct leash_http1_text value, one;
	int64_t length;

	if (line[0] == ' ' || line[0] == '\t') {
		/* RFC 9112 section 5.2: readers replace it by a blank, or do not */
		head->text = head->text || h->last == LEASH_HTTP1_CONTENT_TYPE;
		return !h->any || h->last == LEASH_HTTP1_CONTENT_LENGTH ||
		       h->last == LEASH_HTTP1_TRANSFER_ENCODING ? -EBADMSG : 0;
	}
	h->any = true;
	/* A line that is no field: programs skip it, as far as they read on at all */
	if (leash_http1_field(line, len, &h->last, &value) < 0) {
		h->last = LEASH_HTTP1_OTHER;
		return 0;
	}
	switch (h->last) {
	case LEASH_HTTP1_CONTENT_LENGTH:
		if (leash_http1_number(value, &length) < 0 ||
		    (head->content_length >= 0 && head->content_length != length))
			return -EBADMSG;
		head->content_length = length;
		return 0;
	case LEASH_HTTP1_TRANSFER_ENCODING:
		return read_encoding(h, value);
	case LEASH_HTTP1_UPGRADE:
		head->upgrade |= leash_http1_upgrade(value);
		return 0;
	case LEASH_HTTP1_WEBSOCKET_ACCEPT:
		head->websocket_accept = true;
		return 0;
	case LEASH_HTTP1_CONNECTION_FIELD:
		while (leash_http1_element(&value, &one))
			head->close = head->close || leash_http1_equal(one, "close");
		return 0;
	case LEASH_HTTP1_CONTENT_TYPE:
		head->text = head->text || leash_body_is_text(leash_body_trim(leash_body_until(&value, ';')));
		return 0;
	case LEASH_HTTP1_OTHER:
	case LEASH_HTTP1_REFERER:
	case LEASH_HTTP1_HOST:
	case LEASH_HTTP1_CONTENT_ENCODING:
	case LEASH_HTTP1_CONTENT_RANGE:
	case LEASH_HTTP1_WEBSOCKET_KEY:
	case LEASH_HTTP1_EXPECT:
	case LEASH_HTTP1_RANGE:
		return 0;
	}
	return 0;
}

/* RFC 9112 section 6.3, in its order */
static int find_framing(struct header *h, unsigned int ask)
{
	struct leash_response_head *head = h->head;

	head->framing = LEASH_FRAMED_NONE;
	if (head->status < 200 || head->status == 204 || head->status == 304 ||
	    (ask & LEASH_ASK_HEAD) || ((ask & LEASH_ASK_CONNECT) && head->status < 300))
		return 0;
	if (h->transfer_encoding && (head->content_length >= 0 || head->minor == 0))
		return -EBADMSG;
	if (h->chunked)
		head->framing = LEASH_FRAMED_CHUNKED;
	else if (!h->transfer_encoding && head->content_length >= 0)
		head->framing = LEASH_FRAMED_LENGTH;
	else
		head->framing = LEASH_FRAMED_CLOSE;
	return 0;
}

/*
 * Read a header as far as it is there. What it says counts where all of it is there.
 * Return: bytes up to the end of its empty line, 0 if that is not there, -EBADMSG: a line is at fault
 * @ret_line:	Where the last line that @block begins starts in it, unless that is the first
 * @ret_rc:	With its end there: 0 and *ret_head, or -EBADMSG
 */
static ssize_t read_head(const uint8_t *block, size_t len, unsigned int ask,
			 struct leash_response_head *ret_head, size_t *ret_line, int *ret_rc)
{
	struct leash_response_head head = {.content_length = -1};
	struct header h = {.head = &head, .last = LEASH_HTTP1_OTHER};
	size_t at = 0;
	int rc = 0;

	while (at < len) {
		enum leash_http1_fault fault = LEASH_HTTP1_FINE;
		size_t line = leash_http1_line(block + at, len - at, &fault);
		size_t text;

		if (fault != LEASH_HTTP1_FINE)
			return -EBADMSG;
		if (line == 0)
			return 0;
		text = leash_http1_line_text(block + at, line);
		if (text == 0) {
			if (rc == 0)
				rc = find_framing(&h, ask);
			if (rc == 0)
				*ret_head = head;
			*ret_rc = rc;
			return (ssize_t)(at + line);
		}
		if (rc == 0)
			rc = at ? read_field(&h, block + at, text) : read_status(&head, block, text);
		at += line;
		*ret_line = at;
	}
	return 0;
}

/* The header is complete */
static int take_head(struct leash_response *rs, struct leash_response_item *out)
{
	const struct leash_response_head *head = &rs->head;

	drop_block(rs);
	if (head->status < 200 && head->status != 101) {
		out->kind = LEASH_RESPONSE_INTERIM;
		rs->begun = false;
		return 0;
	}
	out->kind = LEASH_RESPONSE_HEAD;
	if (head->status == 101) {
		/* unasked: whatever that means to the program, it is not ours to guess */
		if (out->ask & LEASH_ASK_UPGRADE)
			end_answer(rs, out);
		rs->state = STATE_RAW;
		return 0;
	}
	switch (head->framing) {
	case LEASH_FRAMED_NONE:
		end_answer(rs, out);
		if ((out->ask & LEASH_ASK_CONNECT) && head->status < 300)
			rs->state = STATE_RAW;
		return 0;
	case LEASH_FRAMED_LENGTH:
		rs->left = (uint64_t)head->content_length;
		rs->state = STATE_LENGTH;
		if (rs->left == 0)
			end_answer(rs, out);
		return 0;
	case LEASH_FRAMED_CHUNKED:
		leash_http1_chunk_init(&rs->chunk);
		rs->state = STATE_CHUNKS;
		return 0;
	case LEASH_FRAMED_CLOSE:
		rs->state = STATE_CLOSE;
		return 0;
	}
	rs->state = STATE_RAW;
	return 0;
}

/* Could what is held and what comes be the start of a status line? */
static bool is_status(const struct leash_response *rs, const uint8_t *buf, size_t len)
{
	for (size_t i = rs->block_len; i < sizeof(version) - 1 && i - rs->block_len < len; i++) {
		if (buf[i - rs->block_len] != (uint8_t)version[i])
			return false;
	}
	return true;
}

/*
 * Look for the empty line in @buf, behind what is held.
 * Return: bytes up to its end, 0 if it is not there, -EBADMSG
 * @ret_line: where the last line that @buf begins starts in it
 */
static ssize_t find_end(const struct leash_response *rs, const uint8_t *buf, size_t len,
			size_t *ret_line)
{
	size_t held = rs->block_len - rs->line_at, used = 0;
	bool held_cr = held && rs->block[rs->block_len - 1] == '\r';

	if (held_cr && buf[0] != '\n')
		return -EBADMSG;
	while (used < len) {
		enum leash_http1_fault fault = LEASH_HTTP1_FINE;
		size_t line = leash_http1_line(buf + used, len - used, &fault);
		bool empty;

		if (fault != LEASH_HTTP1_FINE)
			return -EBADMSG;
		if (line == 0)
			return 0;
		empty = held ? held == 1 && held_cr && line == 1 :
			       leash_http1_line_text(buf + used, line) == 0;
		held = 0;
		used += line;
		if (empty)
			return (ssize_t)used;
		*ret_line = used;
	}
	return 0;
}

static int next_head(struct leash_response *rs, const uint8_t *buf, size_t len,
		     struct leash_response_item *out)
{
	const bool in_place = (rs->observe || rs->lean) && rs->block_len == 0;
	size_t line = 0, gap = 0, take;
	struct leash_response_head head;
	ssize_t end;
	int rc = 0;

	while (!rs->begun && gap < len && (buf[gap] == '\r' || buf[gap] == '\n'))
		gap++;
	if (gap) {
		out->kind = LEASH_RESPONSE_GAP;
		out->at = buf;
		out->len = out->consumed = gap;
		return 0;
	}
	if (rs->count == 0)
		return pass_raw(rs, buf, len, out);
	out->id = rs->queue[rs->first].id;
	out->ask = rs->queue[rs->first].ask;
	out->begin = !rs->begun;
	if (!is_status(rs, buf, len)) {
		rs->begun = true;
		return pass_raw(rs, buf, len, out);
	}
	/* In one piece it is read where it is, and once. */
	end = in_place ? read_head(buf, len, out->ask, &head, &line, &rc) : find_end(rs, buf, len, &line);
	take = end > 0 ? (size_t)end : len;
	if (end < 0 || take > LEASH_RESPONSE_HEAD_MAX - rs->block_len) {
		rs->begun = true;
		return pass_raw(rs, buf, len, out);
	}
	out->at = buf;
	out->len = out->consumed = take;
	/* What is not complete must be kept where it stays. */
	if (in_place && end > 0) {
		out->block = buf;
		out->block_len = take;
	} else {
		if (take > rs->block_size - rs->block_len)
			return -ENOBUFS;
		if (line)
			rs->line_at = rs->block_len + (uint32_t)line;
		memcpy(rs->block + rs->block_len, buf, take);
		rs->block_len += (uint32_t)take;
		out->block = rs->block;
		out->block_len = rs->block_len;
	}
	rs->begun = true;
	if (end == 0) {
		out->kind = rs->observe ? LEASH_RESPONSE_PART : LEASH_RESPONSE_NONE;
		out->block = NULL;
		out->block_len = 0;
		if (!rs->observe) {
			out->at = NULL;
			out->len = 0;
		}
		return 0;
	}
	if (!rs->observe && out->block == rs->block) {
		out->at = rs->block;
		out->len = rs->block_len;
		out->own = true;
	}
	if (!in_place && read_head(out->block, out->block_len, out->ask, &head, &line, &rc) <= 0)
		rc = -EBADMSG;
	if (rc < 0) {
		out->kind = LEASH_RESPONSE_RAW;
		out->block = NULL;
		out->block_len = 0;
		drop_block(rs);
		rs->state = STATE_RAW;
		return 0;
	}
	rs->head = head;
	return take_head(rs, out);
}

/*
 * The body
 */

static void pass(struct leash_response_item *out, enum leash_response_kind kind,
		 const uint8_t *buf, size_t len)
{
	out->kind = kind;
	out->at = buf;
	out->len = out->consumed = len;
}

static int next_chunk(struct leash_response *rs, const uint8_t *buf, size_t len,
		      struct leash_response_item *out)
{
	size_t n;
	int part = leash_http1_chunk_next(&rs->chunk, buf, len, &n);

	if (part < 0)
		return pass_raw(rs, buf, len, out);
	pass(out, part == LEASH_CHUNK_DATA ? LEASH_RESPONSE_BODY : LEASH_RESPONSE_FRAME, buf, n);
	if (part == LEASH_CHUNK_LAST)
		rs->state = STATE_TRAILER;
	return 0;
}

/* The rest of a line of the trailer that is not empty */
static void trailer_line(struct leash_response *rs, const uint8_t *buf, size_t len,
			 struct leash_response_item *out)
{
	const uint8_t *lf = memchr(buf, '\n', len);

	rs->state = lf ? STATE_TRAILER : STATE_TRAILER_LINE;
	pass(out, LEASH_RESPONSE_TRAILER, buf, lf ? (size_t)(lf - buf) + 1 : len);
}

static void next_trailer(struct leash_response *rs, const uint8_t *buf, size_t len,
			 struct leash_response_item *out)
{
	size_t empty = buf[0] == '\n' ? 1 : len > 1 && memcmp(buf, crlf, 2) == 0 ? 2 : 0;

	if (empty) {
		pass(out, LEASH_RESPONSE_FRAME, buf, empty);
		end_answer(rs, out);
	} else if (len == 1 && buf[0] == '\r') {
		rs->state = STATE_TRAILER_CR;
		rs->cr_held = !rs->observe;
		if (rs->observe)
			pass(out, LEASH_RESPONSE_FRAME, buf, 1);
		else
			out->consumed = 1;
	} else {
		trailer_line(rs, buf, len, out);
	}
}

static void behind_cr(struct leash_response *rs, const uint8_t *buf, size_t len,
		      struct leash_response_item *out)
{
	bool empty = buf[0] == '\n';

	if (!rs->observe) {
		pass(out, empty ? LEASH_RESPONSE_FRAME : LEASH_RESPONSE_TRAILER, crlf, 1 + empty);
		out->consumed = empty;
		out->own = true;
		rs->cr_held = false;
		rs->state = STATE_TRAILER_LINE;
	} else if (empty) {
		pass(out, LEASH_RESPONSE_FRAME, buf, 1);
	} else {
		trailer_line(rs, buf, len, out);
	}
	if (empty)
		end_answer(rs, out);
}

int leash_response_next(struct leash_response *rs, const void *buf, size_t len,
			struct leash_response_item *out)
{
	struct leash_response_item item;
	int rc = 0;

	item.kind = LEASH_RESPONSE_NONE;
	item.at = item.block = NULL;
	item.len = item.consumed = item.block_len = 0;
	item.own = item.begin = item.end = item.whole = false;
	item.id = 0;
	item.ask = 0;
	if (len == 0) {
		*out = item;
		return 0;
	}
	if (rs->state != STATE_HEAD && rs->state != STATE_RAW) {
		item.id = rs->queue[rs->first].id;
		item.ask = rs->queue[rs->first].ask;
	}
	switch ((enum state)rs->state) {
	case STATE_HEAD:
		rc = next_head(rs, buf, len, &item);
		break;
	case STATE_LENGTH:
		pass(&item, LEASH_RESPONSE_BODY, buf, rs->left < len ? (size_t)rs->left : len);
		rs->left -= item.len;
		if (rs->left == 0)
			end_answer(rs, &item);
		break;
	case STATE_CHUNKS:
		rc = next_chunk(rs, buf, len, &item);
		break;
	case STATE_TRAILER:
		next_trailer(rs, buf, len, &item);
		break;
	case STATE_TRAILER_CR:
		behind_cr(rs, buf, len, &item);
		break;
	case STATE_TRAILER_LINE:
		trailer_line(rs, buf, len, &item);
		break;
	case STATE_CLOSE:
		pass(&item, LEASH_RESPONSE_BODY, buf, len);
		break;
	case STATE_RAW:
		rc = pass_raw(rs, buf, len, &item);
		break;
	}
	if (rc < 0)
		return rc;
	/* One by one: what was just written in bytes cannot be loaded in sixteens without a wait. */
	out->kind = item.kind;
	out->at = item.at;
	out->len = item.len;
	out->consumed = item.consumed;
	out->own = item.own;
	out->begin = item.begin;
	out->end = item.end;
	out->whole = item.whole;
	out->id = item.id;
	out->ask = item.ask;
	out->block = item.block;
	out->block_len = item.block_len;
	return 0;
}

bool leash_response_close(struct leash_response *rs, struct leash_response_item *out)
{
	struct leash_response_item item = {.kind = LEASH_RESPONSE_RAW};
	bool whole = rs->begun && (rs->state == STATE_CLOSE || rs->state == STATE_RAW);

	if (give_back(rs, &item)) {
		/* a header or trailer was cut, unless these were raw bytes already */
		rs->begun = rs->begun && rs->state == STATE_RAW;
		rs->state = STATE_RAW;
		*out = item;
		return true;
	}
	if (rs->count == 0) {
		rs->state = STATE_RAW;
		return false;
	}
	item.kind = LEASH_RESPONSE_CLOSED;
	item.id = rs->queue[rs->first].id;
	item.ask = rs->queue[rs->first].ask;
	end_answer(rs, &item);
	item.whole = whole;
	rs->state = STATE_RAW;
	*out = item;
	return true;
}
