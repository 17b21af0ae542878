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
#include "shim/http/body_inner.h"

#include <assert.h>

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
/* FRAME_END: the CRLF behind a chunk's data */
enum frame { FRAME_SIZE, FRAME_EXT, FRAME_END };

/* ---- BOM */

static void decide(struct leash_body *body, enum bom bom)
{
	enum leash_charset charset = bom == BOM_UTF_16LE ? LEASH_CHARSET_UTF_16LE :
							   LEASH_CHARSET_UTF_16BE;

	body->state = TEXT;
	switch (bom) {
	case BOM_NONE:
		body->convert = body->conv.open;
		leash_body_release_head(body, body->convert, body->convert, 0);
		break;
	case BOM_UTF_8:
		leash_charset_close(&body->conv);
		body->note = LEASH_BODY_NOTE_NONE;
		body->first_at = body->first_len;
		leash_body_release_head(body, true, false, body->first_len);
		break;
	case BOM_UTF_16LE:
	case BOM_UTF_16BE:
		leash_charset_close(&body->conv);
		body->convert = leash_charset_open(&body->conv, charset) == 0;
		body->note = body->convert ? LEASH_BODY_NOTE_NONE : LEASH_BODY_NOTE_NO_CONVERTER;
		leash_body_release_head(body, body->convert, body->convert, 0);
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
	size_t len = leash_body_put(io, io->in, io->in_left);

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
			    (leash_body_lower(byte) >= 'a' && leash_body_lower(byte) <= 'f'))
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
			leash_body_put(io, "0\r\n", 3);
		body->state = TRAILER;
		return;
	case TRAILER:
		if (kind == KIND_FRAME) {
			body->trailer_seen |= io->in_left > 0;
			copy(io);
			return;
		}
		if (kind == KIND_END && body->rechunk && !body->trailer_seen)
			leash_body_put(io, "\r\n", 2);
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

		leash_body_drain(queue, io);
		if (ending ? body->state == DONE : io->in_left == 0 && body->state != LAST &&
						   !(kind == KIND_DATA && body->state == TEXT &&
						     body->first_at < body->first_len))
			break;
		if (body->state == SNIFF) {
			look(body, io, kind);
			continue;
		}
		if (leash_body_queued(queue) == 0 && io->out_left >= STEP_MIN) {
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
		return body->state == DONE && leash_body_queued(queue) == 0 ? 0 : -ENOBUFS;
	return io->in_left ? -ENOBUFS : 0;
}

/* ---- for the caller */

bool leash_body_begin(struct leash_body *body, const struct leash_response_head *head,
		      const uint8_t *block, size_t block_len, unsigned int ask)
{
	enum leash_charset charset = LEASH_CHARSET_UTF_8;
	struct leash_http1_text type;
	struct leash_body_fields fields;

	/* Of what is not changed nothing else is asked. */
	body->state = DONE;
	body->note = LEASH_BODY_NOTE_NONE;
	body->closes = body->conv.open = body->conv.malformed = false;
	body->label[0] = '\0';
	if (head->framing == LEASH_FRAMED_NONE || head->status < 200 || head->status == 204 ||
	    head->status == 206 || head->status == 304 || (ask & LEASH_ASK_HEAD))
		return false;
	fields = leash_body_read_fields(block, block_len);
	type = fields.type;
	if (!type.at || fields.coded || fields.ranged || !leash_body_is_text(leash_body_trim(leash_body_until(&type, ';'))))
		return false;
	memset(body, 0, sizeof(*body));
	body->state = DONE;
	body->framing = (uint8_t)head->framing;
	body->chunks_ok = head->minor >= 1 && !(ask & LEASH_ASK_HTTP10);
	if (fields.twice || !leash_body_read_charsets(body, block, fields.type, &charset) ||
	    (head->framing == LEASH_FRAMED_LENGTH &&
	     (fields.length.len == 0 || head->content_length < 0))) {
		body->note = LEASH_BODY_NOTE_HEADER;
		return false;
	}
	if (head->framing == LEASH_FRAMED_LENGTH)
		leash_body_read_length(body, &fields, head, block);
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
		leash_body_release_head(body, true, true, 0);
	else if (head->framing != LEASH_FRAMED_LENGTH && body->declared_utf8)
		leash_body_release_head(body, false, false, 0);
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
	return leash_body_queued(&body->queue);
}

size_t leash_body_peek(const struct leash_body *body, void *buf, size_t size)
{
	struct leash_body_queue copy = body->queue;
	struct leash_text_io io = {.out = buf, .out_left = size};

	leash_body_drain(&copy, &io);
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
	       body->first_at == body->first_len && leash_body_queued(&body->queue) == 0;
}

bool leash_body_head_out(const struct leash_body *body)
{
	return body->queue.released && leash_body_head_left(&body->queue) == 0;
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
