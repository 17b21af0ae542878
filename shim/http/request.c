/* SPDX-License-Identifier: MIT */
/*
 * Spans are grown token by token as long as the tokens lie one behind the other in the program's
 * buffer and are kept, so a header in one write is three spans: request line, our Referer, the
 * rest. What stops a span: a line that is dropped, a line that an earlier write began (it is in
 * the lent buffer), the end of a header, an event.
 */
#include "shim/http/request.h"

#include <errno.h>
#include <string.h>

#include "shim/http/response.h"

/*
 * Parts of a multipart body. One byte at a time where a delimiter or a part's header may be,
 * memchr() to the next line otherwise. As lenient as servers are: LF ends a line, a delimiter
 * may be followed by anything, and a file's name counts whatever is before it in its line.
 */

enum part_state {
	PART_LINE,		/* start of a line that may be a delimiter */
	PART_SKIP,		/* to the end of a line of content */
	PART_DELIMITER,		/* the rest of a delimiter line */
	PART_FIELD,		/* start of a line of a part's header */
	PART_EMPTY,		/* CR at its start: LF ends the header */
	PART_FIELD_SKIP,	/* to the end of another field */
	PART_COLON,		/* behind "Content-Disposition" */
	PART_VALUE,		/* to the next ';' that is not quoted */
	PART_PARAM,		/* behind it */
	PART_EQUALS,		/* behind "filename" */
	PART_FOUND
};

static const char disposition[] = "content-disposition";
static const char filename[] = "filename";

static uint8_t lower(uint8_t byte)
{
	return (uint8_t)(byte - 'A') < 26 ? byte | 0x20 : byte;
}

/* A line of a part's header ended; it goes on in the next if that begins with a blank */
static void end_field(struct leash_request_parts *parts)
{
	parts->state = PART_FIELD;
	parts->match = 0;
	parts->escaped = false;
}

/* One byte. Only the states that look at single bytes come here */
static void part_byte(struct leash_request *rq, uint8_t byte)
{
	struct leash_request_parts *parts = &rq->parts;
	const struct leash_http1_request *facts = &rq->http.facts;

	switch ((enum part_state)parts->state) {
	case PART_LINE:
		if (byte == (parts->match < 2 ? '-' : (uint8_t)facts->boundary[parts->match - 2])) {
			if (++parts->match == facts->boundary_len + 2)
				parts->state = PART_DELIMITER;
			return;
		}
		parts->match = 0;
		if (byte != '\n')
			parts->state = PART_SKIP;
		return;
	case PART_FIELD:
		if (parts->match == 0 && byte == '\r') {
			parts->state = PART_EMPTY;
			return;
		}
		if (parts->match == 0 && byte == '\n') {
			parts->state = PART_LINE;
			return;
		}
		if (parts->match == 0 && (byte == ' ' || byte == '\t')) {
			/* a ';' may have been the last byte of the line before */
			parts->state = parts->in_disposition ? PART_PARAM : PART_FIELD_SKIP;
			return;
		}
		if (parts->match == 0) {
			parts->in_disposition = false;
			parts->quoted = false;
		}
		if (lower(byte) == (uint8_t)disposition[parts->match]) {
			if (++parts->match == sizeof(disposition) - 1) {
				parts->match = 0;
				parts->state = PART_COLON;
			}
			return;
		}
		if (byte == '\n')
			end_field(parts);
		else
			parts->state = PART_FIELD_SKIP;
		return;
	case PART_EMPTY:
		parts->match = 0;
		parts->state = byte == '\n' ? PART_LINE : PART_FIELD_SKIP;
		return;
	case PART_COLON:
		if (byte == ':') {
			parts->in_disposition = true;
			parts->state = PART_VALUE;
		} else if (byte == '\n') {
			end_field(parts);
		} else if (byte != ' ' && byte != '\t') {
			parts->state = PART_FIELD_SKIP;
		}
		return;
	case PART_PARAM:
		if (parts->match == 0 && (byte == ' ' || byte == '\t') && !parts->quoted)
			return;
		if (!parts->quoted && lower(byte) == (uint8_t)filename[parts->match]) {
			if (++parts->match == sizeof(filename) - 1) {
				parts->match = 0;
				parts->state = PART_EQUALS;
			}
			return;
		}
		parts->match = 0;
		parts->state = PART_VALUE;
		part_byte(rq, byte);
		return;
	case PART_VALUE:
		if (byte == '\n') {
			end_field(parts);
		} else if (parts->escaped) {
			parts->escaped = false;
		} else if (parts->quoted && byte == '\\') {
			parts->escaped = true;
		} else if (byte == '"') {
			parts->quoted = !parts->quoted;
		} else if (byte == ';' && !parts->quoted) {
			parts->state = PART_PARAM;
		}
		return;
	case PART_EQUALS:
		if (byte == '=') {
			parts->state = PART_FOUND;
		} else if (byte != '*' && byte != ' ' && byte != '\t') {
			parts->state = PART_VALUE;
			part_byte(rq, byte);
		}
		return;
	case PART_SKIP:
	case PART_DELIMITER:
	case PART_FIELD_SKIP:
	case PART_FOUND:
		return;
	}
}

/* Body bytes. Return: is there a file among the parts so far? */
static bool find_file(struct leash_request *rq, const uint8_t *at, size_t len)
{
	struct leash_request_parts *parts = &rq->parts;
	const uint8_t *end = at + len, *line;

	while (at < end && parts->state != PART_FOUND) {
		switch ((enum part_state)parts->state) {
		case PART_SKIP:
		case PART_DELIMITER:
		case PART_FIELD_SKIP:
			line = memchr(at, '\n', (size_t)(end - at));
			if (!line)
				return false;
			at = line + 1;
			if (parts->state == PART_DELIMITER)
				parts->in_disposition = false;
			if (parts->state == PART_SKIP)
				parts->state = PART_LINE;
			else
				end_field(parts);
			break;
		case PART_LINE:
		case PART_FIELD:
		case PART_EMPTY:
		case PART_COLON:
		case PART_VALUE:
		case PART_PARAM:
		case PART_EQUALS:
			part_byte(rq, *at++);
			break;
		case PART_FOUND:
			break;
		}
	}
	return parts->state == PART_FOUND;
}

/*
 * Requests
 */

static void classify(struct leash_request *rq, bool end)
{
	const struct leash_http1_request *facts = &rq->http.facts;

	rq->class = LEASH_CLASS_ORDINARY;
	if (strcmp(facts->method, "GET") == 0 && (facts->upgrade & LEASH_UPGRADE_WEBSOCKET) &&
	    facts->connection_upgrade && facts->websocket_key)
		rq->class = LEASH_CLASS_SOCKET;
	if (end || !facts->multipart || facts->boundary_len == 0)
		return;
	if (strcmp(facts->method, "POST") == 0 || strcmp(facts->method, "PUT") == 0) {
		rq->class = LEASH_CLASS_MULTIPART;
		rq->parts = (struct leash_request_parts){.state = PART_LINE};
	}
}

/* What a token means. Return: LEASH_REQUEST_* */
static unsigned int events_of(struct leash_request *rq, const struct leash_http1_token *token)
{
	unsigned int events = token->begin ? LEASH_REQUEST_BEGIN : 0;

	switch (token->kind) {
	case LEASH_HTTP1_START:
		rq->class = LEASH_CLASS_UNKNOWN;
		rq->referer_due = rq->referer_len != 0;
		rq->fields_due = true;
		rq->kept = rq->again = false;
		break;
	case LEASH_HTTP1_HEAD_END:
		classify(rq, token->end);
		events |= LEASH_REQUEST_HEAD;
		if (rq->class != LEASH_CLASS_MULTIPART)
			events |= LEASH_REQUEST_CLASS;
		break;
	case LEASH_HTTP1_DATA:
		if (rq->class == LEASH_CLASS_MULTIPART && find_file(rq, token->at, token->len)) {
			rq->class = LEASH_CLASS_UPLOAD;
			events |= LEASH_REQUEST_CLASS;
		}
		break;
	case LEASH_HTTP1_RAW:
		if (!rq->raw_told)
			events |= LEASH_REQUEST_RAW;
		rq->raw_told = true;
		break;
	case LEASH_HTTP1_HOLD:
		events |= LEASH_REQUEST_HOLD;
		break;
	case LEASH_HTTP1_NONE:
	case LEASH_HTTP1_EMPTY:
	case LEASH_HTTP1_FIELD:
	case LEASH_HTTP1_FOLDED:
	case LEASH_HTTP1_FRAME:
	case LEASH_HTTP1_TRAILER_FIELD:
	case LEASH_HTTP1_TRAILER_FOLDED:
	case LEASH_HTTP1_TRAILER_END:
		break;
	}
	if (!token->end)
		return events;
	if (rq->class == LEASH_CLASS_MULTIPART) {
		rq->class = LEASH_CLASS_ORDINARY;
		events |= LEASH_REQUEST_CLASS;
	}
	return events | LEASH_REQUEST_END;
}

static bool is_head(enum leash_http1_kind kind)
{
	return kind == LEASH_HTTP1_EMPTY || kind == LEASH_HTTP1_START ||
	       kind == LEASH_HTTP1_FIELD || kind == LEASH_HTTP1_HEAD_END;
}

int leash_request_next(struct leash_request *rq, const void *buf, size_t len,
		       struct leash_request_out *out)
{
	const unsigned int stop = LEASH_REQUEST_HEAD | LEASH_REQUEST_CLASS | LEASH_REQUEST_END |
				  LEASH_REQUEST_HOLD | LEASH_REQUEST_RAW;
	struct leash_request_out ret = {0};
	const uint8_t *in = buf, *fields = NULL;	/* all of them so far, if they came in one piece */
	struct leash_http1_token token;
	size_t same;
	int rc;

	if (rq->referer_due && len) {
		ret.at = (const uint8_t *)rq->referer;
		ret.len = rq->referer_len;
		ret.own = ret.head = true;
		rq->referer_due = false;
		*out = ret;
		return 0;
	}
	while (ret.consumed < len) {
		if (rq->fields_due) {
			rq->fields_due = false;
			fields = in + ret.consumed;
			same = leash_http1_again(&rq->http, fields, len - ret.consumed);
			if (same) {
				if (ret.len == 0)
					ret.at = fields;
				ret.len += same;
				ret.consumed += same;
				ret.head = true;
				rq->again = true;
				fields = NULL;
				continue;
			}
		}
		rc = leash_http1_next(&rq->http, in + ret.consumed, len - ret.consumed, &token);
		/* a span without a buffer's need is not lost; a refused request's is not sent */
		if (rc == -ENOBUFS && ret.consumed)
			break;
		if (rc < 0)
			return rc;
		ret.consumed += token.consumed;
		ret.events |= events_of(rq, &token);
		if (token.drop || token.held)
			fields = NULL;
		if (fields && token.kind == LEASH_HTTP1_HEAD_END) {
			leash_http1_keep(&rq->http, fields, (size_t)(in + ret.consumed - fields));
			rq->kept = true;
		}
		if (token.drop) {
			if (ret.len)
				break;
			continue;
		}
		if (token.len) {
			if (ret.len == 0)
				ret.at = token.at;
			ret.len += token.len;
			ret.own = token.held;
			ret.head = is_head(token.kind);
		}
		if (token.held || (ret.events & stop) || rq->referer_due)
			break;
	}
	*out = ret;
	return 0;
}

void leash_request_init(struct leash_request *rq, const char *referer)
{
	size_t len = referer ? strlen(referer) : 0;

	memset(rq, 0, sizeof(*rq));
	rq->referer = referer;
	rq->referer_len = (uint32_t)len;
	leash_http1_init(&rq->http, len != 0);
}

int leash_request_lend(struct leash_request *rq, void *buf, size_t size)
{
	return leash_http1_lend(&rq->http, buf, size);
}

bool leash_request_holds(const struct leash_request *rq)
{
	return leash_http1_holds(&rq->http);
}

void leash_request_answered(struct leash_request *rq, bool upgraded)
{
	leash_http1_answered(&rq->http, upgraded);
}

bool leash_request_idle(const struct leash_request *rq)
{
	return leash_http1_idle(&rq->http);
}

unsigned int leash_request_ask(const struct leash_request *rq)
{
	const struct leash_http1_request *facts = &rq->http.facts;
	unsigned int ask = 0;

	if (strcmp(facts->method, "HEAD") == 0)
		ask |= LEASH_ASK_HEAD;
	if (strcmp(facts->method, "CONNECT") == 0)
		ask |= LEASH_ASK_CONNECT;
	if (facts->upgrade)
		ask |= LEASH_ASK_UPGRADE;
	if (facts->minor == 0)
		ask |= LEASH_ASK_HTTP10;
	return ask;
}
