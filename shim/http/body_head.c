/* SPDX-License-Identifier: MIT */
/*
 * The header of an answer whose body may change: which lines decide, which places are written anew, and how it
 * goes out in front of everything else.
 */
#include "shim/http/body_inner.h"

/* ---- header: is it text, and which places may have to change */

uint8_t leash_body_lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct leash_http1_text leash_body_trim(struct leash_http1_text text)
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
bool leash_body_is_text(struct leash_http1_text type)
{
	static const struct {
		uint8_t len;
		char word[34];
	} whole[] = {
		{16, "application/json"}, {15, "application/xml"}, {22, "application/javascript"},
		{33, "application/x-www-form-urlencoded"},
	};
	const uint8_t *slash = type.len ? memchr(type.at, '/', type.len) : NULL;

	if (!slash || slash == type.at)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		if (type.len == whole[i].len && leash_http1_equal(type, whole[i].word))
			return true;
	}
	return begins(type, "text/") || ends(type, "+json") || ends(type, "+xml");
}

/* The bytes of @text up to @end, which is left in front; all of it if there is none */
struct leash_http1_text leash_body_until(struct leash_http1_text *text, char end)
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
		return leash_body_trim(leash_body_until(text, ';'));
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
bool leash_body_read_charsets(struct leash_body *body, const uint8_t *block,
			  struct leash_http1_text rest, enum leash_charset *ret)
{
	leash_body_until(&rest, ';');
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
		leash_body_until(&rest, ';');
		if (!leash_http1_equal(leash_body_trim(name), "charset") || value.len == 0)
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

/* @line: with its line end, and what the last one was in @last */
static void read_field(struct leash_body_fields *fields, struct leash_http1_text line,
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

struct leash_body_fields leash_body_read_fields(const uint8_t *block, size_t len)
{
	enum leash_http1_fault fault = LEASH_HTTP1_FINE;
	enum leash_http1_name last = LEASH_HTTP1_OTHER;
	struct leash_body_fields fields = {0};
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
void leash_body_read_length(struct leash_body *body, const struct leash_body_fields *fields,
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
void leash_body_release_head(struct leash_body *body, bool utf8, bool converted, uint32_t cut)
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

size_t leash_body_put(struct leash_text_io *io, const void *bytes, size_t len)
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

		queue->block_at += (uint32_t)leash_body_put(io, queue->block + queue->block_at,
						 edit->at - queue->block_at);
		if (queue->block_at < edit->at)
			return;
		queue->put_at += (uint32_t)leash_body_put(io, text + queue->put_at,
					       strlen(text) - queue->put_at);
		if (text[queue->put_at])
			return;
		queue->block_at += edit->del;
		queue->put_at = 0;
		queue->edit_at++;
	}
	queue->block_at += (uint32_t)leash_body_put(io, queue->block + queue->block_at,
					 queue->block_len - queue->block_at);
}

size_t leash_body_head_left(const struct leash_body_queue *queue)
{
	size_t len = queue->block_len - queue->block_at;

	if (!queue->released)
		return 0;
	for (size_t i = queue->edit_at; i < queue->edit_count; i++)
		len += strlen(edit_text(queue, &queue->edits[i])) - queue->edits[i].del;
	return len - queue->put_at;
}

size_t leash_body_queued(const struct leash_body_queue *queue)
{
	return leash_body_head_left(queue) + queue->spill_len - queue->spill_at;
}

void leash_body_drain(struct leash_body_queue *queue, struct leash_text_io *io)
{
	if (!queue->released)
		return;
	drain_head(queue, io);
	if (leash_body_head_left(queue))
		return;
	queue->spill_at += (uint16_t)leash_body_put(io, queue->spill + queue->spill_at,
					 (size_t)queue->spill_len - queue->spill_at);
	if (queue->spill_at == queue->spill_len)
		queue->spill_at = queue->spill_len = 0;
}
