/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation.
 *
 * Two things are not known when the header comes: the BOM, which wins over charset= and makes
 * the body shorter, and how long converted text is. The header goes out as soon as it does not
 * depend on the BOM: at once if the declared charset is converted (the length goes anyway), or
 * if there is neither a length nor a doubtful charset= in it. A server that sends a header and
 * waits is therefore never waited for, but where it promised bytes.
 *
 * States:
 * SNIFF	First bytes are taken one by one until they are a BOM or cannot be one any more.
 * TEXT		Bytes are copied or converted.
 * LAST		There are no more: what iconv keeps comes out, and the last chunk's size line.
 * TRAILER	Trailer bytes pass as they are, the empty line behind them included.
 * DONE		Only the queue is left, if anything.
 *
 * Output: the queue first (header, then spill). While it is empty and the caller's buffer has
 * STEP_MIN bytes, steps write there, else behind the spill, as long as that has STEP_MIN.
 *
 * Chunks of UTF-8 without a BOM are not taken apart: the one size line that came before the first
 * byte was kept, and goes out as it was, as all that follows.
 */
#include "shim/http/body.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define STEP_MIN 64			/* output that lets every step move */
#define DIGITS_MAX 16			/* of a chunk size */
#define CHUNK_EXTRA (2 + 2)		/* CRLF behind the size and behind the data */
#define ASK_RESERVE 128			/* two cut chunks, the end of the body, a kept character */

static_assert(STEP_MIN > LEASH_CHARSET_ROOM + DIGITS_MAX + CHUNK_EXTRA, "a step can convert");
static_assert(LEASH_BODY_SPILL_SIZE >= 2 * STEP_MIN, "the spill takes a step when it is empty");
static_assert(LEASH_BODY_FRAME_SIZE <= STEP_MIN, "the kept size line fits a step");
static_assert(LEASH_BODY_SPILL_SIZE <= UINT16_MAX, "its positions are 16 bits");

enum state { SNIFF, TEXT, LAST, TRAILER, DONE };
enum kind { KIND_DATA, KIND_FRAME, KIND_END, KIND_CUT };
enum bom { BOM_NONE, BOM_UTF_8, BOM_UTF_16LE, BOM_UTF_16BE };
enum what { PUT_NOTHING, PUT_UTF_8, PUT_CHUNKED, PUT_LENGTH };
/* FRAME_END: the CRLF behind a chunk's data */
enum frame { FRAME_SIZE, FRAME_EXT, FRAME_END };

/* ---- header: is it text, and which places may have to change */

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct leash_http1_text trim(struct leash_http1_text text)
{
	while (text.len && blank(text.at[0])) {
		text.at++;
		text.len--;
	}
	while (text.len && blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

static bool begins(struct leash_http1_text text, const char *word)
{
	size_t len = strlen(word);

	return text.len > len && leash_http1_equal((struct leash_http1_text){text.at, len}, word);
}

static bool ends(struct leash_http1_text text, const char *word)
{
	size_t len = strlen(word);

	if (text.len <= len)
		return false;
	return leash_http1_equal((struct leash_http1_text){text.at + text.len - len, len}, word);
}

/* @type: type/subtype, without parameters */
static bool is_text(struct leash_http1_text type)
{
	static const char whole[][34] = {
		"application/json", "application/xml", "application/javascript",
		"application/x-www-form-urlencoded",
	};
	const uint8_t *slash = type.len ? memchr(type.at, '/', type.len) : NULL;

	if (!slash || slash == type.at)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		if (leash_http1_equal(type, whole[i]))
			return true;
	}
	return begins(type, "text/") || ends(type, "+json") || ends(type, "+xml");
}

/* The bytes of @text up to @end, which is left in front; all of it if there is none */
static struct leash_http1_text until(struct leash_http1_text *text, char end)
{
	const uint8_t *at = text->len ? memchr(text->at, end, text->len) : NULL;
	struct leash_http1_text ret = {text->at, at ? (size_t)(at - text->at) : text->len};

	text->at += ret.len;
	text->len -= ret.len;
	return ret;
}

static void skip(struct leash_http1_text *text, size_t len)
{
	text->at += len;
	text->len -= len;
}

/* A parameter's value, without its quotes; @text is left behind it */
static struct leash_http1_text take_value(struct leash_http1_text *text)
{
	struct leash_http1_text ret;

	while (text->len && blank(text->at[0]))
		skip(text, 1);
	if (text->len == 0 || text->at[0] != '"')
		return trim(until(text, ';'));
	skip(text, 1);
	ret = *text;
	while (text->len && text->at[0] != '"')
		skip(text, text->at[0] == '\\' && text->len > 1 ? 2 : 1);
	ret.len = (size_t)(text->at - ret.at);
	return ret;
}

/* A quoted value with its backslashes undone, as far as a label may be long */
static size_t plain(struct leash_http1_text value, bool quoted, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < value.len && len < size; i++) {
		if (quoted && value.at[i] == '\\' && i + 1 < value.len)
			i++;
		buf[len++] = (char)value.at[i];
	}
	return len;
}

/* The first charset= counts (WHATWG MIME Sniffing, section 4.4); all of them are remembered,
 * since the program may read another one. False: too many */
static bool read_charsets(struct leash_body *body, const uint8_t *block,
			  struct leash_http1_text rest, enum leash_charset *ret)
{
	until(&rest, ';');
	while (rest.len) {
		struct leash_http1_text name, value;
		char buf[64];
		size_t len;
		bool quoted;

		skip(&rest, 1);			/* the semicolon */
		name = rest;
		while (rest.len && rest.at[0] != ';' && rest.at[0] != '=')
			skip(&rest, 1);
		name.len -= rest.len;
		if (rest.len == 0 || rest.at[0] == ';')
			continue;
		skip(&rest, 1);
		value = take_value(&rest);
		quoted = value.at[-1] == '"';
		until(&rest, ';');
		if (!leash_http1_equal(trim(name), "charset") || value.len == 0)
			continue;
		if (body->charset_count == ARRAY_SIZE(body->charsets))
			return false;
		if (body->charset_count == 0) {
			len = plain(value, quoted, buf, sizeof(buf));
			*ret = leash_charset_find(buf, len);
			for (size_t i = 0; i < len && i + 1 < sizeof(body->label); i++)
				body->label[i] = buf[i] >= ' ' && buf[i] <= '~' ? buf[i] : '?';
		}
		body->charsets[body->charset_count++] = (struct leash_body_edit){
			.at = (uint32_t)(value.at - block), .del = (uint32_t)value.len,
			.what = PUT_UTF_8,
		};
	}
	return true;
}

/* The lines that decide; an @at of NULL is a line that is not there */
struct fields {
	struct leash_http1_text length_line;	/* with its line end */
	struct leash_http1_text length, type;
	bool coded, ranged;
	bool twice;			/* one that may be there once only: readers disagree */
};

/* @line: with its line end, and what the last one was in @last */
static void read_field(struct fields *fields, struct leash_http1_text line,
		       enum leash_http1_name *last)
{
	size_t text = leash_http1_line_text(line.at, line.len);
	struct leash_http1_text value;

	if (text == 0)
		return;			/* the empty line */
	if (line.at[0] == ' ' || line.at[0] == '\t') {
		/* obs-fold (RFC 9112 section 5.2); response.c lets none of a length through */
		if (*last == LEASH_HTTP1_CONTENT_TYPE && fields->type.at)
			fields->type.len = (size_t)(line.at + text - fields->type.at);
		fields->coded |= *last == LEASH_HTTP1_CONTENT_ENCODING;
		return;
	}
	if (leash_http1_field(line.at, text, last, &value) < 0) {
		*last = LEASH_HTTP1_OTHER;
		return;
	}
	if (*last == LEASH_HTTP1_CONTENT_TYPE) {
		fields->twice |= fields->type.at != NULL;
		fields->type = value;
	} else if (*last == LEASH_HTTP1_CONTENT_LENGTH) {
		fields->twice |= fields->length.at != NULL;
		fields->length = value;
		fields->length_line = line;
	} else if (*last == LEASH_HTTP1_CONTENT_ENCODING) {
		fields->coded |= value.len && !leash_http1_equal(value, "identity");
	} else if (*last == LEASH_HTTP1_TRANSFER_ENCODING) {
		fields->coded |= !leash_http1_equal(value, "chunked");
	} else if (*last == LEASH_HTTP1_CONTENT_RANGE) {
		fields->ranged = true;
	}
}

static struct fields read_fields(const uint8_t *block, size_t len)
{
	enum leash_http1_fault fault = LEASH_HTTP1_FINE;
	enum leash_http1_name last = LEASH_HTTP1_OTHER;
	struct fields fields = {0};
	size_t at = leash_http1_line(block, len, &fault), line;	/* behind the status line */

	while (at < len) {
		line = leash_http1_line(block + at, len - at, &fault);
		if (line == 0)
			break;
		read_field(&fields, (struct leash_http1_text){block + at, line}, &last);
		at += line;
	}
	return fields;
}

/* Where the length stands: its line without the line's end, and the digits in it */
static void read_length(struct leash_body *body, const struct fields *fields,
			const struct leash_response_head *head, const uint8_t *block)
{
	struct leash_http1_text line = fields->length_line, digits = fields->length;

	body->length = (uint64_t)head->content_length;
	body->length_line = (struct leash_body_edit){
		.at = (uint32_t)(line.at - block),
		.del = (uint32_t)leash_http1_line_text(line.at, line.len), .what = PUT_CHUNKED,
	};
	if (!body->chunks_ok) {
		body->length_line.del = (uint32_t)line.len;
		body->length_line.what = PUT_NOTHING;
	}
	body->length_digits = (struct leash_body_edit){
		.at = (uint32_t)(digits.at - block), .del = (uint32_t)digits.len,
		.what = PUT_LENGTH,
	};
}

/* ---- header: written anew */

static void add_edit(struct leash_body_queue *queue, struct leash_body_edit edit)
{
	size_t i = queue->edit_count++;

	while (i > 0 && queue->edits[i - 1].at > edit.at) {
		queue->edits[i] = queue->edits[i - 1];
		i--;
	}
	queue->edits[i] = edit;
}

static void print_number(uint64_t value, char *buf)
{
	char digits[20];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (size_t i = 0; i < len; i++)
		buf[i] = digits[len - 1 - i];
	buf[len] = '\0';
}

/* The header may go out. @utf8: the program gets UTF-8, which it may not have been;
 * @converted: and its length is not known; @cut: bytes of a BOM that are left out */
static void release(struct leash_body *body, bool utf8, bool converted, uint32_t cut)
{
	struct leash_body_queue *queue = &body->queue;

	if (queue->released)
		return;
	queue->released = true;
	if (utf8 && !body->declared_utf8) {
		for (size_t i = 0; i < body->charset_count; i++)
			add_edit(queue, body->charsets[i]);
	}
	if (body->framing != LEASH_FRAMED_LENGTH)
		return;
	if (converted) {
		add_edit(queue, body->length_line);
		body->rechunk = body->chunks_ok;
		body->closes = !body->chunks_ok;
	} else if (cut) {
		print_number(body->length > cut ? body->length - cut : 0, queue->length);
		add_edit(queue, body->length_digits);
	}
}

/* ---- queue */

static const char *edit_text(const struct leash_body_queue *queue,
			     const struct leash_body_edit *edit)
{
	switch ((enum what)edit->what) {
	case PUT_NOTHING:
		return "";
	case PUT_UTF_8:
		return "utf-8";
	case PUT_CHUNKED:
		return "Transfer-Encoding: chunked";
	case PUT_LENGTH:
		return queue->length;
	}
	return "";
}

static size_t put(struct leash_text_io *io, const void *bytes, size_t len)
{
	if (len > io->out_left)
		len = io->out_left;
	if (len)
		memcpy(io->out, bytes, len);
	io->out += len;
	io->out_left -= len;
	return len;
}

/* Header up to the next edit, the edit, and so on, as far as there is room */
static void drain_head(struct leash_body_queue *queue, struct leash_text_io *io)
{
	while (queue->edit_at < queue->edit_count) {
		const struct leash_body_edit *edit = &queue->edits[queue->edit_at];
		const char *text = edit_text(queue, edit);

		queue->block_at += (uint32_t)put(io, queue->block + queue->block_at,
						 edit->at - queue->block_at);
		if (queue->block_at < edit->at)
			return;
		queue->put_at += (uint32_t)put(io, text + queue->put_at,
					       strlen(text) - queue->put_at);
		if (text[queue->put_at])
			return;
		queue->block_at += edit->del;
		queue->put_at = 0;
		queue->edit_at++;
	}
	queue->block_at += (uint32_t)put(io, queue->block + queue->block_at,
					 queue->block_len - queue->block_at);
}

static size_t head_left(const struct leash_body_queue *queue)
{
	size_t len = queue->block_len - queue->block_at;

	if (!queue->released)
		return 0;
	for (size_t i = queue->edit_at; i < queue->edit_count; i++)
		len += strlen(edit_text(queue, &queue->edits[i])) - queue->edits[i].del;
	return len - queue->put_at;
}

static size_t queued(const struct leash_body_queue *queue)
{
	return head_left(queue) + queue->spill_len - queue->spill_at;
}

static void drain(struct leash_body_queue *queue, struct leash_text_io *io)
{
	if (!queue->released)
		return;
	drain_head(queue, io);
	if (head_left(queue))
		return;
	queue->spill_at += (uint16_t)put(io, queue->spill + queue->spill_at,
					 (size_t)queue->spill_len - queue->spill_at);
	if (queue->spill_at == queue->spill_len)
		queue->spill_at = queue->spill_len = 0;
}

/* ---- BOM */

static void decide(struct leash_body *body, enum bom bom)
{
	enum leash_charset charset = bom == BOM_UTF_16LE ? LEASH_CHARSET_UTF_16LE :
							   LEASH_CHARSET_UTF_16BE;

	body->state = TEXT;
	switch (bom) {
	case BOM_NONE:
		body->convert = body->conv.open;
		release(body, body->convert, body->convert, 0);
		break;
	case BOM_UTF_8:
		leash_charset_close(&body->conv);
		body->note = LEASH_BODY_NOTE_NONE;
		body->first_at = body->first_len;
		release(body, true, false, body->first_len);
		break;
	case BOM_UTF_16LE:
	case BOM_UTF_16BE:
		leash_charset_close(&body->conv);
		body->convert = leash_charset_open(&body->conv, charset) == 0;
		body->note = body->convert ? LEASH_BODY_NOTE_NONE : LEASH_BODY_NOTE_NO_CONVERTER;
		release(body, body->convert, body->convert, 0);
		break;
	}
	if (body->framing != LEASH_FRAMED_CHUNKED || bom != BOM_NONE || body->convert ||
	    !body->frame_kept)
		return;
	/* Untouched after all. The spill is empty: nothing comes out before the BOM is known */
	body->rechunk = false;
	memcpy(body->queue.spill, body->frame, body->frame_len);
	body->queue.spill_len = body->frame_len;
}

/* Take bytes until they are a BOM or cannot become one */
static void sniff(struct leash_body *body, struct leash_text_io *io)
{
	uint8_t *first = body->first;

	while (io->in_left) {
		first[body->first_len++] = io->in[0];
		io->in++;
		io->in_left--;
		switch (body->first_len) {
		case 1:
			if (first[0] != 0xef && first[0] != 0xfe && first[0] != 0xff) {
				decide(body, BOM_NONE);
				return;
			}
			break;
		case 2:
			if (first[0] == 0xef && first[1] == 0xbb)
				break;
			decide(body, first[0] == 0xff && first[1] == 0xfe ? BOM_UTF_16LE :
				     first[0] == 0xfe && first[1] == 0xff ? BOM_UTF_16BE :
									    BOM_NONE);
			return;
		default:
			decide(body, first[2] == 0xbf ? BOM_UTF_8 : BOM_NONE);
			return;
		}
	}
}

/* ---- steps: each writes to @io->out, which has STEP_MIN bytes at least */

static void copy(struct leash_text_io *io)
{
	size_t len = put(io, io->in, io->in_left);

	io->in += len;
	io->in_left -= len;
}

static void pass(struct leash_body *body, struct leash_text_io *io)
{
	if (body->convert)
		leash_charset_feed(&body->conv, io);
	else
		copy(io);
}

/* What was looked at for a BOM and is none, then the input */
static void payload(struct leash_body *body, struct leash_text_io *io)
{
	if (body->first_at < body->first_len) {
		struct leash_text_io first = {
			.in = body->first + body->first_at,
			.in_left = (size_t)body->first_len - body->first_at,
			.out = io->out, .out_left = io->out_left,
		};

		pass(body, &first);
		body->first_at = (uint8_t)(body->first_len - first.in_left);
		io->out = first.out;
		io->out_left = first.out_left;
		if (body->first_at < body->first_len)
			return;
	}
	if (io->in_left)
		pass(body, io);
}

/* The last of the text. False: there was not enough room for all of it */
static bool payload_end(struct leash_body *body, struct leash_text_io *io)
{
	payload(body, io);
	return body->first_at == body->first_len &&
	       (!body->convert || leash_charset_finish(&body->conv, io) == 0);
}

static size_t hex_digits(size_t value)
{
	size_t len = 1;

	while (value >>= 4)
		len++;
	return len;
}

/* One chunk of what @io becomes. Its size is not known before: the digits are those of the
 * largest it can be, and zeros in front are as good as none (RFC 9112 section 7.1) */
static bool chunk(struct leash_body *body, struct leash_text_io *io, bool end)
{
	static const char hex[] = "0123456789abcdef";
	struct leash_text_io inner = *io;
	size_t most = io->out_left - CHUNK_EXTRA, len, digits;
	uint8_t *size = io->out;
	bool done = true;

	if (!body->convert && most > io->in_left + sizeof(body->first))
		most = io->in_left + sizeof(body->first);
	else if (body->convert && most / LEASH_CHARSET_GROWTH > io->in_left + LEASH_CHARSET_SLACK)
		most = LEASH_CHARSET_GROWTH * (io->in_left + LEASH_CHARSET_SLACK);
	digits = hex_digits(most);
	inner.out += digits + 2;
	inner.out_left -= digits + CHUNK_EXTRA;
	if (end)
		done = payload_end(body, &inner);
	else
		payload(body, &inner);
	len = (size_t)(inner.out - size) - digits - 2;
	io->in = inner.in;
	io->in_left = inner.in_left;
	if (len == 0)
		return done;		/* an empty chunk would be the last one */
	for (size_t i = digits; i > 0; i--) {
		size[i - 1] = (uint8_t)hex[len & 15];
		len >>= 4;
	}
	memcpy(size + digits, "\r\n", 2);
	memcpy(inner.out, "\r\n", 2);
	io->out = inner.out + 2;
	io->out_left = inner.out_left;
	return done;
}

static bool text(struct leash_body *body, struct leash_text_io *io, bool end)
{
	if (body->rechunk)
		return chunk(body, io, end);
	if (end)
		return payload_end(body, io);
	payload(body, io);
	return true;
}

/* Chunk lines that are replaced by our own: read them only to know when the trailer begins
 * (the response layer found them well-formed). True: that was the last chunk's size line */
static bool skim(struct leash_body *body, struct leash_text_io *io)
{
	while (io->in_left) {
		uint8_t byte = io->in[0];

		io->in++;
		io->in_left--;
		if (body->frame_state == FRAME_END) {
			body->frame_kept = false;
			if (byte == '\n') {
				body->frame_state = FRAME_SIZE;
				body->frame_zero = true;
			}
			continue;
		}
		if (body->frame_kept) {
			body->frame_kept = body->frame_len < sizeof(body->frame);
			if (body->frame_kept)
				body->frame[body->frame_len++] = byte;
		}
		if (byte == '\n') {
			if (body->frame_zero)
				return true;
			body->frame_state = FRAME_END;
		} else if (body->frame_state == FRAME_SIZE && byte != '0') {
			if ((byte >= '1' && byte <= '9') ||
			    (lower(byte) >= 'a' && lower(byte) <= 'f'))
				body->frame_zero = false;
			else
				body->frame_state = FRAME_EXT;
		}
	}
	return false;
}

static void step(struct leash_body *body, struct leash_text_io *io, enum kind kind)
{
	switch ((enum state)body->state) {
	case SNIFF:
	case TEXT:
		if (kind == KIND_DATA) {
			text(body, io, false);
			return;
		}
		if (kind == KIND_FRAME && !body->rechunk) {
			payload(body, io);	/* as it came, behind what was sniffed at */
			return;
		}
		if (kind == KIND_FRAME && !skim(body, io))
			return;
		body->state = LAST;
		return;
	case LAST:
		{
			/* What is still to come in is no text */
			struct leash_text_io last = {.out = io->out, .out_left = io->out_left};
			bool done = text(body, &last, true);

			io->out = last.out;
			io->out_left = last.out_left;
			if (!done || io->out_left < STEP_MIN / 2)
				return;
		}
		if (body->rechunk && kind != KIND_CUT)
			put(io, "0\r\n", 3);
		body->state = TRAILER;
		return;
	case TRAILER:
		if (kind == KIND_FRAME) {
			body->trailer_seen |= io->in_left > 0;
			copy(io);
			return;
		}
		if (kind == KIND_END && body->rechunk && !body->trailer_seen)
			put(io, "\r\n", 2);
		body->state = DONE;
		return;
	case DONE:
		return;
	}
}

/* In SNIFF nothing is written: data are looked at, and everything else says that there is
 * no BOM, but for the size lines in front of it */
static void look(struct leash_body *body, struct leash_text_io *io, enum kind kind)
{
	if (kind == KIND_DATA) {
		sniff(body, io);
		return;
	}
	if (kind == KIND_FRAME && !skim(body, io))
		return;
	decide(body, BOM_NONE);
	body->state = LAST;
}

static int run(struct leash_body *body, struct leash_text_io *io, enum kind kind)
{
	struct leash_body_queue *queue = &body->queue;
	bool ending = kind == KIND_END || kind == KIND_CUT;

	/* Nothing would take it */
	if (io->in_left && ((body->state == DONE && !ending) ||
			    (body->state >= LAST && kind == KIND_DATA)))
		return -EINVAL;
	for (;;) {
		struct leash_text_io spill = *io;

		drain(queue, io);
		if (ending ? body->state == DONE : io->in_left == 0 && body->state != LAST)
			break;
		if (body->state == SNIFF) {
			look(body, io, kind);
			continue;
		}
		if (queued(queue) == 0 && io->out_left >= STEP_MIN) {
			step(body, io, kind);
			continue;
		}
		if (sizeof(queue->spill) - queue->spill_len < STEP_MIN)
			break;
		spill.in = io->in;
		spill.in_left = io->in_left;
		spill.out = queue->spill + queue->spill_len;
		spill.out_left = sizeof(queue->spill) - queue->spill_len;
		step(body, &spill, kind);
		queue->spill_len = (uint16_t)(spill.out - queue->spill);
		io->in = spill.in;
		io->in_left = spill.in_left;
	}
	if (body->state == DONE)
		leash_charset_close(&body->conv);
	if (ending)
		return body->state == DONE && queued(queue) == 0 ? 0 : -ENOBUFS;
	return io->in_left ? -ENOBUFS : 0;
}

/* ---- for the caller */

bool leash_body_begin(struct leash_body *body, const struct leash_response_head *head,
		      const uint8_t *block, size_t block_len, unsigned int ask)
{
	enum leash_charset charset = LEASH_CHARSET_UTF_8;
	struct leash_http1_text type;
	struct fields fields;

	memset(body, 0, sizeof(*body));
	body->state = DONE;
	if (head->framing == LEASH_FRAMED_NONE || head->status < 200 || head->status == 204 ||
	    head->status == 206 || head->status == 304 || (ask & LEASH_ASK_HEAD))
		return false;
	fields = read_fields(block, block_len);
	type = fields.type;
	if (!type.at || fields.coded || fields.ranged || !is_text(trim(until(&type, ';'))))
		return false;
	body->framing = (uint8_t)head->framing;
	body->chunks_ok = head->minor >= 1 && !(ask & LEASH_ASK_HTTP10);
	if (fields.twice || !read_charsets(body, block, fields.type, &charset) ||
	    (head->framing == LEASH_FRAMED_LENGTH &&
	     (fields.length.len == 0 || head->content_length < 0))) {
		body->note = LEASH_BODY_NOTE_HEADER;
		return false;
	}
	if (head->framing == LEASH_FRAMED_LENGTH)
		read_length(body, &fields, head, block);
	if (head->framing == LEASH_FRAMED_LENGTH && body->length == 0)
		return false;
	body->declared_utf8 = charset == LEASH_CHARSET_UTF_8;
	if (!body->declared_utf8) {
		int rc = leash_charset_open(&body->conv, charset);

		if (rc == -EINVAL)
			body->note = charset == LEASH_CHARSET_UNKNOWN ?
				LEASH_BODY_NOTE_UNKNOWN : LEASH_BODY_NOTE_UNSUPPORTED;
		else if (rc < 0)
			body->note = LEASH_BODY_NOTE_NO_CONVERTER;
	}
	body->state = SNIFF;
	body->rechunk = head->framing == LEASH_FRAMED_CHUNKED;
	body->frame_kept = true;
	body->frame_zero = true;
	body->queue.block = block;
	body->queue.block_len = (uint32_t)block_len;
	if (body->conv.open)
		release(body, true, true, 0);
	else if (head->framing != LEASH_FRAMED_LENGTH && body->declared_utf8)
		release(body, false, false, 0);
	return true;
}

int leash_body_data(struct leash_body *body, struct leash_text_io *io)
{
	return run(body, io, KIND_DATA);
}

int leash_body_frame(struct leash_body *body, struct leash_text_io *io)
{
	return run(body, io, KIND_FRAME);
}

int leash_body_end(struct leash_body *body, struct leash_text_io *io, bool whole)
{
	return run(body, io, whole ? KIND_END : KIND_CUT);
}

void leash_body_abort(struct leash_body *body)
{
	leash_charset_close(&body->conv);
	body->state = DONE;
	body->queue.released = true;
	body->queue.block_at = body->queue.block_len = 0;
	body->queue.edit_at = body->queue.edit_count = 0;
	body->queue.put_at = 0;
	body->queue.spill_at = body->queue.spill_len = 0;
}

size_t leash_body_pending(const struct leash_body *body)
{
	return queued(&body->queue);
}

size_t leash_body_peek(const struct leash_body *body, void *buf, size_t size)
{
	struct leash_body_queue copy = body->queue;
	struct leash_text_io io = {.out = buf, .out_left = size};

	drain(&copy, &io);
	return size - io.out_left;
}

size_t leash_body_ask(const struct leash_body *body, size_t size)
{
	size_t growth = LEASH_CHARSET_GROWTH, few = size / 8 ? size / 8 : 1, ask;

	if (body && leash_body_plain(body))
		return size ? size : 1;
	if (body && body->state != SNIFF && !body->convert)
		growth = 1;
	if (size <= ASK_RESERVE)
		return few;
	ask = (size - ASK_RESERVE) / growth;
	return ask > few ? ask : few;
}

bool leash_body_plain(const struct leash_body *body)
{
	return body->state == TEXT && !body->convert && !body->rechunk &&
	       body->first_at == body->first_len && queued(&body->queue) == 0;
}

bool leash_body_head_out(const struct leash_body *body)
{
	return body->queue.released && head_left(&body->queue) == 0;
}

bool leash_body_closes(const struct leash_body *body)
{
	return body->closes;
}

enum leash_body_note leash_body_note(const struct leash_body *body)
{
	if (body->note == LEASH_BODY_NOTE_NONE && body->conv.malformed)
		return LEASH_BODY_NOTE_MALFORMED;
	return body->note;
}

const char *leash_body_note_text(enum leash_body_note note)
{
	switch (note) {
	case LEASH_BODY_NOTE_NONE:
		return "";
	case LEASH_BODY_NOTE_UNKNOWN:
		return "unknown charset, body left as it is";
	case LEASH_BODY_NOTE_UNSUPPORTED:
		return "charset that is never converted, body left as it is";
	case LEASH_BODY_NOTE_NO_CONVERTER:
		return "no converter for this charset here, body left as it is";
	case LEASH_BODY_NOTE_MALFORMED:
		return "bytes that are no text in this charset were left as they are";
	case LEASH_BODY_NOTE_HEADER:
		return "header can be read in two ways, body left as it is";
	}
	return "";
}

const char *leash_body_label(const struct leash_body *body)
{
	return body->label;
}
