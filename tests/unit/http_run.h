/* SPDX-License-Identifier: MIT */
/*
 * Drives leash_request and leash_response over input in pieces, as a write or read hook does, and
 * writes down what comes out. What every run must keep is checked here: HTTP_CHECK(condition).
 */
#ifndef LEASH_HTTP_RUN_H
#define LEASH_HTTP_RUN_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/http/request.h"
#include "shim/http/response.h"

#ifndef HTTP_CHECK
#error "define HTTP_CHECK(condition)"
#endif
#ifndef HTTP_PIECE
#define HTTP_PIECE(buf, len) ((const uint8_t *)(buf))
#endif

#define HTTP_RUN_MAX (256u << 10)
#define HTTP_REFERER "Referer: https://appservice.wx.com/wx0123456789abcdef/0/page-frame.html\r\n"

struct http_run {
	int rc; /* of the last call */
	enum leash_http1_fault fault;
	unsigned int requests, ends, files, holds;
	bool raw;
	uint8_t out[HTTP_RUN_MAX];
	size_t out_len;
	char log[32 << 10]; /* events in order, with the length of the output */
	size_t log_len;
};

/* Lengths of the pieces: the n-th, what is left at the end */
struct http_cuts {
	const size_t *lens;
	size_t count;
};

__attribute__((format(printf, 2, 3))) static inline void http_log(struct http_run *run,
								  const char *format, ...)
{
	size_t room = sizeof(run->log) - run->log_len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(run->log + run->log_len, room, format, args);
	va_end(args);
	HTTP_CHECK(n >= 0);
	run->log_len += (size_t)n < room ? (size_t)n : room - 1;
}

static inline void http_put(struct http_run *run, const uint8_t *at, size_t len)
{
	HTTP_CHECK(len <= sizeof(run->out) - run->out_len);
	if (len)
		memcpy(run->out + run->out_len, at, len);
	run->out_len += len;
}

static inline void http_log_facts(struct http_run *run, const struct leash_request *rq)
{
	const struct leash_http1_request *facts = &rq->http.facts;

	http_log(run, "%s %s 1.%d", facts->method, facts->target, facts->minor);
	if (facts->host.present)
		http_log(run, " host=%s:%d", facts->host.name, (int)facts->host.port);
	if (facts->target_host.present)
		http_log(run, " to=%s:%d", facts->target_host.name, (int)facts->target_host.port);
	if (facts->content_length >= 0)
		http_log(run, " length=%lld", (long long)facts->content_length);
	if (facts->chunked)
		http_log(run, " chunked");
	if (facts->upgrade)
		http_log(run, " upgrade=%u%s%s", facts->upgrade,
			 facts->connection_upgrade ? "c" : "", facts->websocket_key ? "k" : "");
	if (facts->multipart)
		http_log(run, " multipart=%.*s", facts->boundary_len, facts->boundary);
	if (facts->expect_continue)
		http_log(run, " expect");
	if (facts->range)
		http_log(run, " range");
	if (facts->close)
		http_log(run, " close");
	if (facts->h2c_dropped)
		http_log(run, " h2c");
}

static inline const char *http_class_text(enum leash_request_class class)
{
	switch (class) {
	case LEASH_CLASS_UNKNOWN:
		return "unknown";
	case LEASH_CLASS_ORDINARY:
		return "ordinary";
	case LEASH_CLASS_SOCKET:
		return "socket";
	case LEASH_CLASS_MULTIPART:
		return "multipart";
	case LEASH_CLASS_UPLOAD:
		return "upload";
	}
	return "?";
}

/*
 * @upgrade: what the server answers to an Upgrade. The buffer for held lines grows in odd steps,
 * and is taken back whenever nothing is held, as a pool would.
 */
static inline void http_run_request(struct http_run *run, const char *referer, const void *input,
				    size_t len, struct http_cuts cuts, bool upgrade)
{
	static uint8_t hold[2][LEASH_HTTP1_LINE_MAX];
	struct leash_request rq;
	size_t done = 0, piece_at = 0, lent = 0;
	unsigned int turn = 0;

	run->rc = 0;
	run->fault = LEASH_HTTP1_FINE;
	run->requests = run->ends = run->files = run->holds = 0;
	run->raw = false;
	run->out_len = run->log_len = 0;
	run->log[0] = '\0';
	leash_request_init(&rq, referer);
	while (done < len) {
		size_t piece_len = len - done, in = 0;
		const uint8_t *piece;
		unsigned int idle = 0;

		if (piece_at < cuts.count && cuts.lens[piece_at] < piece_len)
			piece_len = cuts.lens[piece_at];
		piece_at++;
		piece = HTTP_PIECE((const uint8_t *)input + done, piece_len);
		while (in < piece_len) {
			struct leash_request_out out, mark;

			memset(&mark, 0xa5, sizeof(mark));
			out = mark;
			run->rc = leash_request_next(&rq, piece + in, piece_len - in, &out);
			if (run->rc == -ENOBUFS) {
				HTTP_CHECK(lent < LEASH_HTTP1_LINE_MAX);
				HTTP_CHECK(memcmp(&out, &mark, sizeof(out)) == 0);
				lent = lent * 3 + 7 < LEASH_HTTP1_LINE_MAX ? lent * 3 + 7
									   : LEASH_HTTP1_LINE_MAX;
				HTTP_CHECK(leash_request_lend(&rq, hold[++turn % 2], lent) == 0);
				continue;
			}
			if (run->rc < 0) {
				HTTP_CHECK(run->rc == -EBADMSG);
				HTTP_CHECK(memcmp(&out, &mark, sizeof(out)) == 0);
				run->fault = rq.http.fault;
				HTTP_CHECK(run->fault != LEASH_HTTP1_FINE);
				HTTP_CHECK(run->fault < LEASH_HTTP1_FAULT_COUNT);
				/* for ever */
				HTTP_CHECK(leash_request_next(&rq, piece, 1, &out) == -EBADMSG);
				return;
			}
			HTTP_CHECK(out.consumed <= piece_len - in);
			HTTP_CHECK(out.own || out.len == 0 ||
				   (out.at >= piece + in &&
				    out.at + out.len <= piece + in + out.consumed));
			idle = out.consumed ? 0 : idle + 1;
			HTTP_CHECK(idle < 3);
			if (out.events & LEASH_REQUEST_BEGIN) {
				run->requests++;
				http_log(run, "begin\n");
			}
			if (out.events & LEASH_REQUEST_HEAD) {
				http_log(run, "head %zu: ", run->out_len + out.len);
				http_log_facts(run, &rq);
				http_log(run, "\n");
			}
			if (out.events & LEASH_REQUEST_CLASS) {
				http_log(run, "class %s\n", http_class_text(rq.class));
				run->files += rq.class == LEASH_CLASS_UPLOAD;
			}
			http_put(run, out.at, out.len);
			if (out.events & LEASH_REQUEST_END) {
				HTTP_CHECK(rq.class != LEASH_CLASS_MULTIPART &&
					   rq.class != LEASH_CLASS_UNKNOWN);
				run->ends++;
				http_log(run, "end %zu\n", run->out_len);
				HTTP_CHECK(leash_request_holds(&rq) == out.own);
			}
			if (out.events & LEASH_REQUEST_RAW) {
				HTTP_CHECK(!run->raw);
				run->raw = true;
				http_log(run, "raw\n");
			}
			if (out.events & LEASH_REQUEST_HOLD) {
				HTTP_CHECK(out.len == 0 && out.consumed == 0);
				run->holds++;
				http_log(run, "hold\n");
				leash_request_answered(&rq, upgrade);
			}
			in += out.consumed;
		}
		if (!leash_request_holds(&rq)) {
			HTTP_CHECK(leash_request_lend(&rq, NULL, 0) == 0);
			lent = 0;
		}
		done += piece_len;
	}
	http_log(run, "%s\n", leash_request_idle(&rq) ? "idle" : "busy");
}

/*
 * Answers. @asks: LEASH_ASK_* of each request, all pushed before; ids are 100, 101, ...
 * The log has one line per answer, the output all bytes; @body gets the body bytes alone.
 */
static inline void http_item(struct http_run *run, struct http_run *body,
			     const struct leash_response *rs,
			     const struct leash_response_item *item)
{
	const struct leash_response_head *head = &rs->head;

	if (item->begin)
		http_log(run, "begin %u\n", item->id);
	switch (item->kind) {
	case LEASH_RESPONSE_INTERIM:
	case LEASH_RESPONSE_HEAD:
		http_log(run, "%s %u: %d 1.%d framing=%d length=%lld upgrade=%u%s%s block=%zu\n",
			 item->kind == LEASH_RESPONSE_HEAD ? "head" : "interim", item->id,
			 head->status, head->minor, (int)head->framing,
			 (long long)head->content_length, head->upgrade,
			 head->websocket_accept ? "a" : "", head->close ? " close" : "",
			 item->block_len);
		HTTP_CHECK(item->block_len >= 14 && memcmp(item->block, "HTTP/1.", 7) == 0);
		HTTP_CHECK(item->block[item->block_len - 1] == '\n');
		/* its bytes are the last that were passed on */
		HTTP_CHECK(item->len <= item->block_len);
		HTTP_CHECK(memcmp(item->block + item->block_len - item->len, item->at, item->len) ==
			   0);
		break;
	case LEASH_RESPONSE_BODY:
		if (body)
			http_put(body, item->at, item->len);
		break;
	case LEASH_RESPONSE_TRAILER:
		run->files++;
		break;
	case LEASH_RESPONSE_RAW:
		if (!run->raw)
			http_log(run, "raw\n");
		run->raw = true;
		break;
	case LEASH_RESPONSE_NONE:
	case LEASH_RESPONSE_GAP:
	case LEASH_RESPONSE_PART:
	case LEASH_RESPONSE_FRAME:
	case LEASH_RESPONSE_CLOSED:
		break;
	}
	http_put(run, item->at, item->len);
	if (item->end) {
		run->ends++;
		http_log(run, "end %u at %zu%s\n", item->id, run->out_len,
			 item->whole ? "" : " cut");
	}
}

static inline void http_run_response(struct http_run *run, struct http_run *body, bool observe,
				     const unsigned int *asks, size_t ask_count, const void *input,
				     size_t len, struct http_cuts cuts)
{
	static uint8_t block[2][LEASH_RESPONSE_HEAD_MAX];
	static struct leash_response rs;
	struct leash_response_item item;
	size_t done = 0, piece_at = 0, lent = 0;
	unsigned int turn = 0;

	run->rc = 0;
	run->ends = run->files = 0;
	run->raw = false;
	run->out_len = run->log_len = 0;
	run->log[0] = '\0';
	if (body)
		body->out_len = 0;
	leash_response_init(&rs, observe);
	for (size_t i = 0; i < ask_count; i++)
		HTTP_CHECK(leash_response_push(&rs, (uint32_t)(100 + i), asks[i]) == 0);
	while (done < len) {
		size_t piece_len = len - done, in = 0;
		const uint8_t *piece;

		if (piece_at < cuts.count && cuts.lens[piece_at] < piece_len)
			piece_len = cuts.lens[piece_at];
		piece_at++;
		piece = HTTP_PIECE((const uint8_t *)input + done, piece_len);
		while (in < piece_len) {
			run->rc = leash_response_next(&rs, piece + in, piece_len - in, &item);
			if (run->rc == -ENOBUFS) {
				HTTP_CHECK(lent < LEASH_RESPONSE_HEAD_MAX);
				lent = lent * 3 + 7 < LEASH_RESPONSE_HEAD_MAX
					       ? lent * 3 + 7
					       : LEASH_RESPONSE_HEAD_MAX;
				HTTP_CHECK(leash_response_lend(&rs, block[++turn % 2], lent) == 0);
				continue;
			}
			HTTP_CHECK(run->rc == 0);
			HTTP_CHECK(item.consumed <= piece_len - in);
			HTTP_CHECK(item.consumed || (item.own && item.len));
			HTTP_CHECK(!observe || !item.own);
			HTTP_CHECK(item.own || item.len == 0 ||
				   (item.at == piece + in && item.len == item.consumed));
			http_item(run, body, &rs, &item);
			in += item.consumed;
		}
		HTTP_CHECK(!observe || run->out_len == done + piece_len);
		if (!leash_response_holds(&rs)) {
			HTTP_CHECK(leash_response_lend(&rs, NULL, 0) == 0);
			lent = 0;
		}
		done += piece_len;
	}
	http_log(run, "waiting %zu\n", leash_response_waiting(&rs));
	run->raw = true; /* what was held comes as RAW now; that is no change of state */
	while (leash_response_close(&rs, &item))
		http_item(run, body, &rs, &item);
	HTTP_CHECK(leash_response_waiting(&rs) == 0);
	/* every byte, in order */
	HTTP_CHECK(run->out_len == len && memcmp(run->out, input, len) == 0);
}

#endif
