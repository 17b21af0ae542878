/* SPDX-License-Identifier: MIT */
/*
 * What is said in a run, and what has to come out of it. Both are made together, piece by piece, so
 * that no parser is needed to know what is right. The texts of the charsets come from a file that
 * another language's codecs have written.
 */
#include "torture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put(struct bytes *bytes, const void *at, size_t len)
{
	if (bytes->len + len > bytes->size) {
		bytes->size = (bytes->len + len) * 2 + 256;
		bytes->at = realloc(bytes->at, bytes->size);
		if (!bytes->at)
			abort();
	}
	if (len)
		memcpy(bytes->at + bytes->len, at, len);
	bytes->len += len;
}

void put_text(struct bytes *bytes, const char *format, ...)
{
	char buf[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(buf))
		abort();
	put(bytes, buf, (size_t)n);
}

uint32_t rng_size(struct rng *rng, uint32_t most)
{
	const uint32_t scale[] = {4, 40, 300, 300, 2000, 16384, 70000, most};
	const uint32_t cap = scale[rng_below(rng, sizeof(scale) / sizeof(scale[0]))];

	return rng_below(rng, (cap < most ? cap : most) + 1);
}

/* ---- texts */

#define CHARSETS_MAX 40
#define PIECES_MAX   64

struct piece {
	uint8_t raw[64], text[96];
	uint8_t raw_len, text_len;
};

static struct charset {
	char label[24];
	bool breaks;			/* 0xff stands for nothing in it */
	uint32_t count;
	struct piece pieces[PIECES_MAX];
} charsets[CHARSETS_MAX];
static uint32_t charset_count;

static uint8_t unhex(const char *from, uint8_t *to, size_t size)
{
	size_t len = 0;
	unsigned int byte;

	for (; sscanf(from, "%2x", &byte) == 1; from += 2) {
		if (len == size)
			abort();
		to[len++] = (uint8_t)byte;
	}
	return (uint8_t)len;
}

/* Lines of: label, breaks, its bytes, UTF-8 */
int corpus_load(const char *path)
{
	char label[24], raw[160], text[240];
	int breaks;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (fscanf(f, "%23s %d %159s %239s", label, &breaks, raw, text) == 4) {
		struct charset *set = charset_count ? &charsets[charset_count - 1] : NULL;

		if (!set || strcmp(set->label, label) != 0) {
			if (charset_count == CHARSETS_MAX)
				abort();
			set = &charsets[charset_count++];
			strcpy(set->label, label);
			set->breaks = breaks;
		}
		if (set->count == PIECES_MAX)
			abort();
		set->pieces[set->count].raw_len = unhex(raw, set->pieces[set->count].raw, 64);
		set->pieces[set->count].text_len = unhex(text, set->pieces[set->count].text, 96);
		set->count++;
	}
	fclose(f);
	return charset_count ? 0 : -1;
}

/* ---- requests */

static void random_bytes(struct rng *rng, struct bytes *to, uint32_t len)
{
	while (len) {
		const uint64_t word = rng_next(rng);
		const uint32_t n = len < 8 ? len : 8;

		put(to, &word, n);
		len -= n;
	}
}

static void random_text(struct rng *rng, struct bytes *to, uint32_t len)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,;=:/-_\"";

	while (len--)
		put(to, &set[rng_below(rng, sizeof(set) - 1)], 1);
}

/* A line that arrives, or one that must not */
static void line(struct run *run, bool arrives, const struct bytes *text)
{
	put(&run->written, text->at, text->len);
	if (arrives)
		put(&run->expected, text->at, text->len);
}

static void referer_line(struct run *run, struct rng *rng, const struct settings *settings, const char *eol)
{
	static const char *const names[] = {"Referer", "referer", "REFERER", "rEfErEr"};
	struct bytes text = {0};

	put_text(&text, "%s:%s", names[rng_below(rng, 4)], rng_one_in(rng, 3) ? "" : " ");
	if (!rng_one_in(rng, 6))
		put_text(&text, "https://evil.example.net/%u", rng_below(rng, 1000));
	if (rng_one_in(rng, 20))
		random_text(rng, &text, rng_below(rng, 9000));
	put_text(&text, "%s", eol);
	if (settings->referer) {
		while (rng_one_in(rng, 6))
			put_text(&text, "%s folded: value%s", rng_one_in(rng, 2) ? "\t" : " ", eol);
	}
	line(run, !settings->referer, &text);
	counts.referers++;
	free(text.at);
}

static void other_line(struct run *run, struct rng *rng, const char *eol)
{
	struct bytes text = {0};

	switch (rng_below(rng, 8)) {
	case 0:
		put_text(&text, "X-Referer: https://kept.example.com/%s", eol);
		break;
	case 1:
		put_text(&text, "Cookie: a=Referer: b; c=\"d\"%s", eol);
		break;
	case 2:
		put_text(&text, "Refererer:kept%s", eol);
		break;
	case 3:
		put_text(&text, "Accept-Encoding: gzip, deflate%s", eol);
		break;
	default:
		put_text(&text, "X-%u: ", rng_below(rng, 100000));
		random_text(rng, &text, rng_one_in(rng, 30) ? rng_below(rng, 40000) : rng_below(rng, 60));
		put_text(&text, "%s", eol);
		break;
	}
	line(run, true, &text);
	free(text.at);
}

static void both(struct run *run, const void *at, size_t len)
{
	put(&run->written, at, len);
	put(&run->expected, at, len);
}

static void both_text(struct run *run, const char *text)
{
	both(run, text, strlen(text));
}

static void chunked_body(struct run *run, struct rng *rng, const struct settings *settings, const struct bytes *body)
{
	struct bytes text = {0};
	size_t at = 0;

	while (at < body->len) {
		size_t len = rng_size(rng, 30000) + 1;

		if (len > body->len - at)
			len = body->len - at;
		text.len = 0;
		put_text(&text, rng_one_in(rng, 2) ? "%zx" : "%08zX", len);
		if (rng_one_in(rng, 5))
			put_text(&text, ";Referer: x;name=\"va;lue\"");
		put_text(&text, "\r\n");
		put(&text, body->at + at, len);
		put_text(&text, "\r\n");
		both(run, text.at, text.len);
		at += len;
	}
	both_text(run, rng_one_in(rng, 3) ? "000\r\n" : "0\r\n");
	for (uint32_t n = rng_one_in(rng, 3) ? rng_below(rng, 4) : 0; n; n--) {
		if (rng_one_in(rng, 2))
			referer_line(run, rng, settings, "\r\n");
		else
			both_text(run, "X-Trailer: Referer\r\n");
	}
	both_text(run, "\r\n");
	free(text.at);
}

struct asked {
	const char *method;
	bool http10, head, upgrade, upload;
	bool early;			/* it may be answered before its body has come */
};

static void mark_make(struct rng *rng, char mark[MARK_SIZE + 1])
{
	snprintf(mark, MARK_SIZE + 1, "%016llx", (unsigned long long)rng_next(rng));
}

/* What no two readers agree on: put into the head, behind which no byte may arrive */
static const char *const ambiguous[][2] = {
	{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "CL and TE"},
	{"Content-Length: 5\r\nContent-Length: 6\r\n", "two lengths"},
	{"Content-Length: 5, 6\r\n", "a list of lengths"},
	{"Content-Length: +5\r\n", "a signed length"},
	{"Transfer-Encoding: chunked, identity\r\n", "chunked is not the last"},
	{"Transfer-Encoding: xchunked\r\n", "an unknown coding"},
	{"X: a\rReferer: b\r\n", "a bare CR"},
	{"Transfer-Encoding : chunked\r\nContent-Length : 5\r\n", "CL and TE before blanks"},
	{"X: a\r\n folded\r\n", "a folded line"},
	{"Host: other.example.com\r\n", "two hosts"},
	{": empty\r\n", "no name"},
};

static void make_request(struct run *run, struct talk *talk, struct asked *asked, struct rng *rng,
			 struct item *item, const struct settings *settings, bool last, bool upgrade)
{
	static const char *const methods[] = {"GET",  "GET",	"GET",	 "POST",  "POST",
					      "PUT",  "DELETE", "PATCH", "OPTIONS", "X-ODD"};
	const char *eol = rng_one_in(rng, 12) ? "\n" : "\r\n";
	const char *crlf = "\r\n";
	struct bytes text = {0}, body = {0};
	bool chunked = false, expect = false, part = false;
	const bool refused = last && run->end == RUN_REFUSED;

	asked->method = methods[rng_below(rng, 10)];
	asked->upgrade = upgrade;
	asked->head = !upgrade && !refused && rng_one_in(rng, 12);
	asked->http10 = !upgrade && !refused && rng_one_in(rng, 25);
	if (asked->head)
		asked->method = "HEAD";
	if (upgrade || refused)
		asked->method = "GET";
	if (!upgrade && asked->method[0] == 'P')
		random_bytes(rng, &body, rng_one_in(rng, 8) ? 0 : rng_size(rng, 300000));
	chunked = asked->method[0] == 'P' && !asked->http10 && rng_one_in(rng, 2);
	if (chunked)
		eol = crlf;
	part = body.len && asked->method[0] == 'P' && !asked->early && rng_one_in(rng, 6);
	expect = body.len && !part && !asked->http10 && rng_one_in(rng, 8);
	if (part) {
		const bool file = rng_one_in(rng, 2);

		asked->upload = file && asked->method[1] != 'A';	/* a PATCH is none */
		body.len = 0;
		put_text(&body, "--bound\r\nContent-Disposition: form-data; name=\"a\"%s\r\n\r\n",
			 file ? "; filename=\"f\"" : "");
		random_text(rng, &body, rng_size(rng, 20000));
		put_text(&body, "\r\n--bound--\r\n");
	}
	for (; rng_one_in(rng, 15); )
		both_text(run, "\r\n");
	if (rng_one_in(rng, 20))
		put_text(&text, "%s https://%s/%u HTTP/1.%d%s", asked->method, settings->host, rng_below(rng, 100),
			 asked->http10 ? 0 : 1, eol);
	else {
		put_text(&text, "%s /r%u?q=", asked->method, rng_below(rng, 1000));
		for (uint32_t n = rng_one_in(rng, 10) ? rng_below(rng, 3000) : rng_below(rng, 30); n; n--)
			put_text(&text, "%c", 'a' + (char)rng_below(rng, 26));
		put_text(&text, " HTTP/1.%d%s", asked->http10 ? 0 : 1, eol);
	}
	line(run, true, &text);
	if (settings->referer)
		put(&run->expected, settings->referer, strlen(settings->referer));
	for (uint32_t n = rng_one_in(rng, 3) ? rng_below(rng, 3) : 0; n; n--)
		referer_line(run, rng, settings, eol);
	text.len = 0;
	if (rng_one_in(rng, 4))
		put_text(&text, "host:%s:%u%s", settings->host, settings->port, eol);
	else
		put_text(&text, "Host: %s%s", settings->host, eol);
	line(run, true, &text);
	for (uint32_t n = rng_below(rng, rng_one_in(rng, 20) ? 60 : 5); n; n--) {
		if (rng_one_in(rng, 4))
			referer_line(run, rng, settings, eol);
		else
			other_line(run, rng, eol);
	}
	text.len = 0;
	if (asked->http10)
		put_text(&text, "Connection: keep-alive%s", eol);
	if (upgrade)
		put_text(&text, "Upgrade: websocket%sConnection: Upgrade%sSec-WebSocket-Version: 13%s"
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==%s", eol, eol, eol, eol);
	if (expect)
		put_text(&text, "Expect: 100-continue%s", eol);
	if (part)
		put_text(&text, "Content-Type: multipart/form-data; boundary=bound%s", eol);
	if (chunked)
		put_text(&text, "Transfer-Encoding: chunked%s", eol);
	else if (body.len || (asked->method[0] == 'P' && !upgrade))
		put_text(&text, "Content-Length: %zu%s", body.len, eol);
	line(run, true, &text);
	if (settings->referer && !upgrade && !asked->http10 && rng_one_in(rng, 20)) {
		text.len = 0;
		put_text(&text, "Upgrade: h2c%s", eol);
		line(run, false, &text);
	}
	if (refused) {
		const uint32_t n = rng_below(rng, sizeof(ambiguous) / sizeof(ambiguous[0]));

		run->what = ambiguous[n][1];
		both_text(run, ambiguous[n][0]);
	}
	mark_make(rng, item->mark);
	text.len = 0;
	put_text(&text, "X-End: %s%s%s", item->mark, eol, eol);
	line(run, true, &text);
	talk->head_end = (uint32_t)run->written.len;
	talk->wait_continue = expect && rng_one_in(rng, 2);
	if (chunked)
		chunked_body(run, rng, settings, &body);
	else if (body.len)
		both(run, body.at, body.len);
	talk->written_end = (uint32_t)run->written.len;
	/* What follows an Upgrade in the same write waits for its answer, which waits for nothing. */
	item->when = expect || upgrade || asked->early || (!part && rng_one_in(rng, 6)) ? WHEN_HEAD : WHEN_ALL;
	free(text.at);
	free(body.at);
}

/* ---- answers */

static void make_text(struct rng *rng, const struct charset *set, struct bytes *raw, struct bytes *text)
{
	for (uint32_t n = rng_size(rng, 8000); n; n--) {
		if (set->breaks && raw->len && rng_one_in(rng, 40)) {
			put(raw, "\xff", 1);
			put(text, "\xff", 1);
		}
		if (rng_one_in(rng, 3) && strncmp(set->label, "utf-16", 6) != 0) {
			struct bytes ascii = {0};

			random_text(rng, &ascii, rng_below(rng, 30));
			put(raw, ascii.at, ascii.len);
			put(text, ascii.at, ascii.len);
			free(ascii.at);
		} else {
			const struct piece *piece = &set->pieces[rng_below(rng, set->count)];

			put(raw, piece->raw, piece->raw_len);
			put(text, piece->text, piece->text_len);
		}
	}
}

static void put_chunks(struct rng *rng, struct bytes *out, const struct bytes *body)
{
	size_t at = 0;

	while (at < body->len) {
		size_t len = rng_size(rng, 20000) + 1;

		if (len > body->len - at)
			len = body->len - at;
		put_text(out, rng_one_in(rng, 2) ? "%zx%s\r\n" : "%04zX%s\r\n", len, rng_one_in(rng, 8) ? ";ext=1" : "");
		put(out, body->at + at, len);
		put_text(out, "\r\n");
		at += len;
	}
	put_text(out, "0\r\n%s\r\n", rng_one_in(rng, 5) ? "X-Trailer: \xef\xbb\xbf\r\n" : "");
}

enum framing { BY_LENGTH, BY_CHUNKS, BY_END };

static void make_answer(struct run *run, struct talk *talk, const struct asked *asked, struct rng *rng,
			struct bytes *out, const struct settings *settings, bool last)
{
	static const char *const text_types[] = {"text/html", "text/plain", "application/json", "application/xml",
						 "application/problem+json", "application/javascript"};
	static const uint16_t statuses[] = {200, 200, 200, 200, 201, 404, 500, 403, 302, 418};
	struct answer *answer = &talk->answer;
	struct bytes body = {0}, text = {0}, *head = &answer->head;
	enum framing framing = rng_below(rng, 2);
	const struct charset *set = NULL;
	const char *type = NULL;
	unsigned int status = statuses[rng_below(rng, 10)], boms = 0;
	bool packed = false, part = false, converted;
	char kind[128];

	answer->at = (uint32_t)out->len;
	if (rng_one_in(rng, 15))
		put_text(out, "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n");
	if (last && run->end == RUN_SERVER_CLOSES && rng_one_in(rng, 2))
		framing = BY_END;
	if (asked->http10 && framing == BY_CHUNKS)
		framing = BY_LENGTH;
	if (rng_one_in(rng, 12) && framing != BY_END)
		status = rng_one_in(rng, 2) ? 204 : 304;
	if (rng_below(rng, 5) < 3 && status != 204 && status != 304 && (!asked->http10 || last)) {
		type = text_types[rng_below(rng, 6)];
		if (rng_one_in(rng, 2))
			set = &charsets[rng_below(rng, charset_count)];
		packed = rng_one_in(rng, 8);
		part = rng_one_in(rng, 10);
		boms = rng_one_in(rng, 2) ? rng_below(rng, 3) : 0;
	}
	if (part)
		status = 206;
	converted = set && set != charsets;	/* the first one is UTF-8 */
	if (type) {
		for (unsigned int i = 0; i < boms && !converted; i++) {
			put(&body, "\xef\xbb\xbf", 3);
			if (i)
				put(&text, "\xef\xbb\xbf", 3);
		}
		make_text(rng, converted ? set : charsets, &body, &text);
	} else {
		random_bytes(rng, &body, rng_size(rng, 200000));
	}
	if (status == 204 || status == 304)
		body.len = 0;

	/* The program gets text in UTF-8 if it is a "request" and all is as tls-http 13 wants it. */
	answer->kind = settings->referer && type && !packed && !part && !asked->head && !asked->upload &&
			       (set || boms) && (body.len || framing != BY_LENGTH) ? ANSWER_TEXT : ANSWER_EXACT;
	snprintf(kind, sizeof(kind), "%s%s%s", type ? type : "application/octet-stream", set ? "; charset=" : "",
		 set ? set->label : "");
	put_text(out, "HTTP/1.1 %u Lab\r\n", status);
	put_text(head, "HTTP/1.1 %u Lab\r\n", status);
	for (uint32_t n = rng_below(rng, 4); n; n--) {
		const uint32_t value = rng_below(rng, 100000);

		put_text(out, "X-%u:  Content-Length: 3 \r\n", value);
		put_text(head, "X-%u:  Content-Length: 3 \r\n", value);
	}
	if (rng_one_in(rng, 2) && framing == BY_LENGTH && status != 204)
		put_text(out, "content-length:%zu\r\n", body.len);
	else if (framing == BY_LENGTH && status != 204 && status != 304)
		framing = BY_LENGTH + 10;
	put_text(out, "Content-Type: %s\r\n", kind);
	put_text(head, "Content-Type: %s%s\r\n", type ? type : "", set ? "; charset=utf-8" : "");
	if (framing == BY_LENGTH + 10) {
		framing = BY_LENGTH;
		put_text(out, "Content-Length: %zu\r\n", body.len);
	}
	if (packed)
		put_text(out, "Content-Encoding: gzip\r\n");
	if (part)
		put_text(out, "Content-Range: bytes 0-5/6\r\n");
	if (framing == BY_CHUNKS && status != 204 && status != 304)
		put_text(out, "Transfer-Encoding: chunked\r\n");
	put_text(out, "Server: lab\r\n\r\n");
	put_text(head, "Server: lab\r\n\r\n");
	if (!asked->head && status != 204 && status != 304) {
		if (framing == BY_CHUNKS)
			put_chunks(rng, out, &body);
		else
			put(out, body.at, body.len);
	}
	answer->to_end = framing == BY_END || (asked->http10 && converted && answer->kind == ANSWER_TEXT);
	answer->len = (uint32_t)out->len - answer->at;
	answer->text = text;
	if (answer->kind == ANSWER_TEXT)
		counts.text++;
	free(body.at);
}

static void make_raw(struct run *run, struct rng *rng, struct bytes *out, struct talk *talk)
{
	struct bytes text = {0};

	random_bytes(rng, &text, rng_size(rng, 100000) + 1);
	both(run, text.at, text.len);
	talk->written_end = talk->head_end = (uint32_t)run->written.len;
	talk->answer.kind = ANSWER_RAW;
	talk->answer.at = (uint32_t)out->len;
	random_bytes(rng, out, rng_size(rng, 100000) + 1);
	talk->answer.len = (uint32_t)out->len - talk->answer.at;
	free(text.at);
}

void run_make(struct run *run, struct rng *rng, struct channel *channel, const struct settings *settings,
	      bool raw, bool last)
{
	struct bytes out = {0};
	bool socket = false;
	uint32_t items = 0;

	memset(run, 0, sizeof(*run));
	run->raw = raw;
	if (last && !run->raw) {
		switch (rng_below(rng, settings->referer ? 10 : 8)) {
		case 0: case 1: case 2: run->end = RUN_SERVER_CLOSES; break;
		case 3: run->end = RUN_SERVER_CUTS; break;
		case 4: run->end = RUN_ABANDONED; break;
		case 5: case 6: socket = true; break;
		case 8: case 9: run->end = RUN_REFUSED; break;
		default: break;
		}
	}
	run->talk_count = rng_one_in(rng, 10) ? rng_below(rng, TALKS_MAX - 1) + 1 : rng_below(rng, 3) + 1;
	for (uint32_t i = 0; i < run->talk_count; i++) {
		struct talk *talk = &run->talks[i];
		struct asked asked = {0};
		const bool final = last && i == run->talk_count - 1;
		struct item *item;

		if (channel->run_at + run->expected.len > IN_MAX - (1u << 20) || out.len > OUT_MAX - (1u << 20)) {
			run->talk_count = i;
			break;
		}
		item = &channel->items[items];
		memset(item, 0, sizeof(*item));
		item->request = i;
		if (run->raw || (socket && i && run->talks[i - 1].upgraded)) {
			/* the first byte must not look like a method */
			if (run->raw)
				both_text(run, "\x01");
			item->when = WHEN_ALL;
			make_raw(run, rng, &out, talk);
			talk->upgraded = socket;
		} else {
			const bool upgrade = (socket && final) || (socket && rng_one_in(rng, 3));
			uint32_t at;

			/* A write that goes on behind an Upgrade ends when that is answered, and all before. */
			asked.early = socket;
			make_request(run, talk, &asked, rng, item, settings, final, upgrade);
			if (item->when == WHEN_HEAD && talk->wait_continue) {
				/* 100 Continue at the head, the rest when all was written */
				item->at = (uint32_t)out.len;
				put_text(&out, "HTTP/1.1 100 Continue\r\n\r\n");
				item->len = (uint32_t)out.len - item->at;
				items++;
				channel->items[items] = *item;
				item = &channel->items[items];
				item->when = socket ? WHEN_HEAD : WHEN_ALL;
			}
			at = (uint32_t)out.len;
			if (upgrade) {
				talk->upgraded = true;
				talk->answer.kind = ANSWER_EXACT;
				talk->answer.at = at;
				put_text(&out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
					 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
				talk->answer.len = (uint32_t)out.len - at;
				talk->wait_answer = rng_one_in(rng, 2);
				counts.sockets++;
				if (final && run->talk_count < TALKS_MAX && rng_one_in(rng, 2))
					run->talk_count++;
			} else if (!(final && run->end == RUN_REFUSED)) {
				make_answer(run, talk, &asked, rng, &out, settings, final);
				talk->wait_answer = talk->answer.to_end || rng_one_in(rng, 3);
			}
			if (talk->wait_continue)
				talk->answer.at = channel->items[items - 1].at;
			talk->answer.len = (uint32_t)out.len - talk->answer.at;
		}
		if (final && run->end == RUN_REFUSED) {
			memcpy(run->refused_mark, item->mark, sizeof(run->refused_mark));
			break;
		}
		if (!talk->wait_continue)
			item->at = talk->answer.at;
		else
			item->at = channel->items[items - 1].at + channel->items[items - 1].len;
		item->len = (uint32_t)out.len - item->at;
		items++;
		counts.requests++;
	}
	if (run->end == RUN_SERVER_CUTS && run->talk_count && items) {
		/* the last answer is cut somewhere in its body */
		struct item *item = &channel->items[items - 1];
		struct answer *answer = &run->talks[run->talk_count - 1].answer;

		item->len -= rng_below(rng, item->len / 2 + 1);
		answer->len = item->at + item->len - answer->at;
		answer->to_end = true;
	}
	if (run->end == RUN_ABANDONED)
		run->give_up_at = rng_below(rng, (uint32_t)run->written.len) + 1;
	if (out.len)
		memcpy(channel->out, out.at, out.len);
	counts.bytes_in += out.len;
	counts.bytes_out += run->written.len;
	run->item_count = items;
	channel->close_behind = run->end == RUN_SERVER_CLOSES;
	channel->cut = run->end == RUN_SERVER_CUTS;
	free(out.at);
}

void run_free(struct run *run)
{
	for (uint32_t i = 0; i < TALKS_MAX; i++) {
		free(run->talks[i].answer.text.at);
		free(run->talks[i].answer.head.at);
	}
	free(run->written.at);
	free(run->expected.at);
}
