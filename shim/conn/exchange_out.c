/* SPDX-License-Identifier: MIT */
/*
 * What the program writes becomes what the server gets. Each span is judged before it is handed out: a refused
 * request's header never leaves whole. Of a multipart body the bytes in front of its first file's header may
 * have left when it is refused.
 *
 * Under audit the program's bytes are handed out as they are, and read beside that; where they cannot be
 * read, nobody looks at them any more.
 */
#include <errno.h>
#include <string.h>

#include "shim/conn/exchange_inner.h"
#include "shim/conn/idn.h"
#include "shim/conn/inner.h"
#include "shim/conn/session.h"
#include "shim/conn/timing.h"
#include "shim/core/log.h"

/* RFC 9113 section 3.4; what is behind its first line is not looked at any more */
static const char preface[] = "PRI * HTTP/2.0\r\n";
#define PREFACE_LEN (sizeof(preface) - 1)

static const struct leash_settings *settings(void)
{
	return leash_image_settings(leash_image_get());
}

/* ------------------------------------------------------------------------------ judging */

static enum leash_kind kind_of(enum leash_request_class class)
{
	switch (class) {
	case LEASH_CLASS_UNKNOWN:
	case LEASH_CLASS_ORDINARY:
		break;
	case LEASH_CLASS_SOCKET:
		return LEASH_KIND_SOCKET;
	case LEASH_CLASS_MULTIPART:
		return LEASH_KIND_MULTIPART;
	case LEASH_CLASS_UPLOAD:
		return LEASH_KIND_UPLOAD;
	}
	return LEASH_KIND_ORDINARY;
}

static const char *api_of(enum leash_kind kind)
{
	switch (kind) {
	case LEASH_KIND_SOCKET:
		return leash_list_api[LEASH_LIST_SOCKET];
	case LEASH_KIND_UPLOAD:
		return leash_list_api[LEASH_LIST_UPLOAD];
	case LEASH_KIND_ORDINARY:
	case LEASH_KIND_MULTIPART:
		break;
	}
	return leash_list_api[LEASH_LIST_REQUEST];
}

/* International names are written in either form. Return: what to judge, NULL: there is none */
static const char *ascii_of(const struct leash_http1_host *host, char ascii[static LEASH_NAME_SIZE])
{
	for (uint16_t i = 0; i < host->name_len; i++)
		if ((uint8_t)host->name[i] >= 0x80)
			return leash_idn_ascii(host->name, ascii) == 0 ? ascii : host->name;
	return host->name;
}

/* The words are only put together where they are said, in a frame of their own. */
__attribute__((noinline))
static int refuse_host(struct leash_exchange *ex, struct leash_verdict verdict, const char *text,
		       const char *call, const struct leash_task *task)
{
	const char *name = leash_exchange_name(ex);
	char hint[256];
	const struct leash_complaint complaint = {
		.call = call,
		.api = api_of(task->kind),
		.task = task,
		.host = text,
		.hint = hint,
	};
	size_t len;

	if (!text) {
		leash_text_put(hint, sizeof(hint), 0,
			       "the request has no Host line: every request must name its server");
	} else {
		len = leash_text_put(hint, sizeof(hint), 0, "the request asks for `");
		len = leash_text_put(hint, sizeof(hint), len, text);
		len = leash_text_put(hint, sizeof(hint), len, "`, and the connection is for ");
		len = leash_text_put(hint, sizeof(hint), len, name[0] ? "`" : "an address");
		len = leash_text_put(hint, sizeof(hint), len, name);
		leash_text_put(hint, sizeof(hint), len,
			       name[0] ? "`: each host needs a connection that was made for it"
				       : ": each host needs a connection that was made for it");
	}
	return leash_exchange_refuse(ex, verdict, &complaint);
}

static int judge_one_host(struct leash_exchange *ex, const struct leash_http1_host *host, const char *call,
			  const struct leash_task *task)
{
	const char *name = leash_exchange_name(ex);
	char ascii[LEASH_NAME_SIZE];
	const char *text = host && host->name_len ? ascii_of(host, ascii) : NULL;
	struct leash_conn *conn = name[0] ? NULL : leash_exchange_ours(ex);
	struct leash_verdict verdict;
	struct leash_gate gate;

	gate.peer.name_count = 0;
	gate.peer.addr.family = 0;
	if (conn)
		leash_conn_gate(&gate, conn, call);
	verdict = leash_policy_host(leash_image_get(), &gate.peer, name, text,
				    !text ? 0 : text == ascii ? strlen(text) : host->name_len);
	if (verdict.action != LEASH_ALLOW || verdict.would)
		return refuse_host(ex, verdict, text, call, task);
	/* A neighbour's names may change. */
	if (host == &ex->rq.http.facts.host && (ex->rq.kept || ex->rq.again))
		ex->host_good = name[0] != '\0';
	return 0;
}

static int judge_host(struct leash_exchange *ex, const char *call, const struct leash_task *task)
{
	const struct leash_http1_request *facts = &ex->rq.http.facts;
	/* Judged by its bytes and the connection's name alone, and both are what they were. */
	const bool known = ex->rq.again && ex->host_good && facts->host.present;
	int ret = 0;

	/* HTTP/1.0 need not have one: the server then answers for the name of the handshake. */
	if (!known && (facts->host.present || facts->minor > 0))
		ret = judge_one_host(ex, facts->host.present ? &facts->host : NULL, call, task);
	if (ret == 0 && facts->target_host.present)
		ret = judge_one_host(ex, &facts->target_host, call, task);
	return ret;
}

/* Return: 0 with the lists that it may be of, or a negative errno, said */
__attribute__((noinline))	/* asked once a connection, and its frame is large */
static int ask_class(struct leash_exchange *ex, const char *call, const struct leash_task *task,
		     enum leash_kind kind, bool get, uint8_t *ret_lists)
{
	const struct leash_ask ask = {
		.name = leash_exchange_name(ex),
		.port = ex->conn->port,
		.lan = ex->lan,
		.get = get,
		.kind = kind,
	};
	const struct leash_complaint complaint = {.call = call, .api = api_of(kind), .task = task};
	const struct leash_verdict verdict = leash_policy_request(leash_image_get(), &ask);
	/* That its host is in no list at all was said of its connection. */
	const int ret = !verdict.would || ex->lists ? leash_exchange_refuse(ex, verdict, &complaint) : 0;

	if (ret < 0)
		return ret;
	*ret_lists = verdict.lists;
	/* The answer to the same question is the same. */
	if (kind == LEASH_KIND_ORDINARY && !verdict.would)
		ex->ordinary[get] = verdict.lists;
	return 0;
}

/* @push: with its header, which leaves now */
static int judge_class(struct leash_exchange *ex, const char *call, struct leash_task *task, bool push)
{
	const enum leash_kind kind = kind_of(ex->rq.class);
	const bool get = memcmp(task->method, "GET", 4) == 0;
	uint8_t lists = kind == LEASH_KIND_ORDINARY ? ex->ordinary[get] : 0;
	int ret = lists ? 0 : ask_class(ex, call, task, kind, get, &lists);

	if (ret < 0)
		return ret;
	leash_exchange_lock(ex);
	task->kind = (uint8_t)kind;
	task->lists = lists;
	atomic_store_explicit(&task->classed, kind != LEASH_KIND_MULTIPART, memory_order_release);
	if (push)
		ret = leash_response_push(&ex->rs, leash_task_place(task), leash_request_ask(&ex->rq));
	leash_exchange_unlock(ex);
	if (ret < 0)
		return leash_exchange_full(ex, call, "more than 64 requests wait on one connection");
	leash_exchange_class(ex, task);
	return 0;
}

/* The header is complete. Its last byte has not left */
static int judge_head(struct leash_exchange *ex, const char *call, struct leash_task *task)
{
	const struct leash_http1_request *facts = &ex->rq.http.facts;
	const size_t shown = facts->target_len < sizeof(facts->target) ? facts->target_len :
									sizeof(facts->target) - 1;
	const char *query = ex->queries ? NULL : memchr(facts->target, '?', shown);
	/* A query may hold what is nobody's business (policy 12). */
	const size_t len = query ? (size_t)(query - facts->target) : shown;
	int ret;

	leash_exchange_lock(ex);
	memcpy(task->target, facts->target, len);
	task->target[len] = '\0';
	memcpy(task->method, facts->method, sizeof(task->method));
	leash_exchange_unlock(ex);
	task->kind = (uint8_t)kind_of(ex->rq.class);
	if (ex->rq.kept)
		ex->host_good = false;		/* of others than before, until it is judged */
	ret = judge_host(ex, call, task);
	return ret < 0 ? ret : judge_class(ex, call, task, true);
}

/* A stream that nobody reads from here on */
static int judge_raw(struct leash_exchange *ex, const char *call)
{
	ex->out_raw = true;
	if (!ex->began)
		leash_exchange_note(ex, call, "not HTTP/1: its bytes are not read");
	return 0;
}

/* Return: 0, or a negative errno, said: the span must not leave */
static int judge(struct leash_exchange *ex, const struct leash_request_out *out, const char *call)
{
	struct leash_task *task;
	int ret = 0;

	if (out->events & LEASH_REQUEST_BEGIN)
		ret = leash_exchange_begin(ex, call);
	if (ret < 0)
		return ret;
	task = leash_task_at(ex->writing);
	if (task && (out->events & LEASH_REQUEST_HEAD))
		ret = judge_head(ex, call, task);
	else if (task && (out->events & LEASH_REQUEST_CLASS))
		ret = judge_class(ex, call, task, false);
	if (ret < 0) {
		if (task)
			task->refused = true;
		return ret;
	}
	if (task)
		atomic_store_explicit(&task->sent,
				      atomic_load_explicit(&task->sent, memory_order_relaxed) + out->len,
				      memory_order_relaxed);
	if (out->events & LEASH_REQUEST_END)
		leash_exchange_written(ex);
	return out->events & LEASH_REQUEST_RAW ? judge_raw(ex, call) : 0;
}

__attribute__((noinline))
static int refuse_bad(struct leash_exchange *ex, const char *call)
{
	const enum leash_http1_fault fault = ex->rq.http.fault;
	const struct leash_task *task = leash_task_at(ex->writing);
	char hint[192];
	const struct leash_complaint complaint = {
		.call = call,
		.hint = hint,
		.detail = leash_http1_fault_text(fault),
		.task = task && task->method[0] ? task : NULL,
	};
	const bool http2 = fault == LEASH_HTTP1_H2_PREFACE;
	const size_t len = leash_text_put(hint, sizeof(hint), 0, leash_http1_fault_text(fault));

	leash_text_put(hint, sizeof(hint), len,
		       http2 ? ": speak HTTP/1.1, as the device does, or set http2 = \"observe\""
			     : ": two parsers may read this request differently");
	return leash_exchange_refuse(ex, leash_policy_unreadable(leash_image_get(), http2), &complaint);
}

/* ---------------------------------------------------------------------------- reading */

/* Return: 0, -ENOBUFS if there is no larger block */
static int lend(struct leash_exchange *ex)
{
	uint32_t larger = leash_block_larger(ex->hold, 0);

	if (!larger || leash_block_size(ex->hold) >= LEASH_HTTP1_LINE_MAX) {
		leash_block_give(&larger);
		return -ENOBUFS;
	}
	if (leash_request_lend(&ex->rq, leash_block_at(larger), leash_block_size(larger)) < 0) {
		leash_block_give(&larger);
		return -ENOBUFS;
	}
	leash_block_give(&ex->hold);
	ex->hold = larger;
	return 0;
}

/* As leash_request_next(), with all the room it may need */
static int next(struct leash_exchange *ex, const void *buf, size_t len, struct leash_request_out *out)
{
	int ret;

	do {
		ret = leash_request_next(&ex->rq, buf, len, out);
	} while (ret == -ENOBUFS && lend(ex) == 0);
	if (ret == 0 && ex->hold && !leash_request_holds(&ex->rq)) {
		leash_request_lend(&ex->rq, NULL, 0);
		leash_block_give(&ex->hold);
	}
	return ret;
}

static void hear_upgrade(struct leash_exchange *ex)
{
	if (leash_likely(atomic_load_explicit(&ex->upgrade, memory_order_relaxed) == LEASH_UPGRADE_WAITS))
		return;
	leash_request_answered(&ex->rq, atomic_exchange(&ex->upgrade, LEASH_UPGRADE_WAITS) ==
						LEASH_UPGRADE_DONE);
}

/* Nothing may be begun in the background. Asked before a byte of it is taken. */
static int may_begin(struct leash_exchange *ex, const char *call)
{
	struct leash_conn *conn;
	struct leash_gate gate;

	if (leash_likely(leash_background_since(leash_session_get()) == 0))
		return 0;
	conn = leash_exchange_ours(ex);
	if (!conn || !leash_request_idle(&ex->rq) || atomic_load(&conn->deadline_ns) != 0)
		return 0;
	leash_conn_gate(&gate, conn, call);
	if (ex->name)
		gate.host = leash_exchange_name(ex);
	return leash_timing_away(&gate);
}

/*
 * http2 = "observe": a connection that begins with the preface is not read. Until that is known its bytes are
 * taken and kept here, which is no more than a count of them.
 * Return: 1 if *ret is the answer, 0 if it is for the reader of HTTP/1, -ENOBUFS
 */
static int look_for_preface(struct leash_exchange *ex, const uint8_t *at, size_t len, const char *call,
			    struct leash_span *ret)
{
	struct leash_request_out out;
	size_t taken = 0;

	while (taken < len && ex->preface + taken < PREFACE_LEN &&
	       at[taken] == (uint8_t)preface[ex->preface + taken])
		taken++;
	if (ex->preface + taken == PREFACE_LEN) {
		ex->settled = true;
		ex->out_raw = true;
		leash_exchange_note(ex, call, "HTTP/2: its requests are not read (http2 = \"observe\")");
		*ret = (struct leash_span){.at = preface, .len = PREFACE_LEN, .consumed = taken, .own = true};
		return 1;
	}
	if (taken == len) {
		ex->preface = (uint8_t)(ex->preface + taken);
		*ret = (struct leash_span){.consumed = taken};
		return 1;
	}
	ex->settled = true;
	/* A part of its first line is a part of any other one, and no more than held. */
	if (ex->preface && (next(ex, preface, ex->preface, &out) < 0 || out.len))
		return -ENOBUFS;
	return 0;
}

/* Under audit: all of it leaves as it is; what it says is recorded */
__attribute__((noinline))
static void watch(struct leash_exchange *ex, const uint8_t *at, size_t len, const char *call)
{
	struct leash_request_out out;

	while (len > 0 && !ex->out_raw) {
		const int ret = next(ex, at, len, &out);

		if (ret < 0 || (out.events & LEASH_REQUEST_HOLD)) {
			if (ret == -EBADMSG)
				refuse_bad(ex, call);
			ex->out_raw = true;
			return;
		}
		if (judge(ex, &out, call) < 0)
			ex->out_raw = true;
		at += out.consumed;
		len -= out.consumed;
	}
}

int leash_exchange_out(struct leash_exchange *ex, const void *buf, size_t len, const char *call,
		       struct leash_span *ret)
{
	struct leash_request_out out;
	int error = leash_exchange_alive(ex);

	/* One by one, which is no call of the processor's string instructions. */
	ret->at = buf;
	ret->len = ret->consumed = 0;
	ret->own = ret->head = ret->raw = false;
	if (leash_unlikely(error < 0))
		return error;
	if (len == 0)
		return 0;
	if (ex->out_over)
		return -EPIPE;
	hear_upgrade(ex);
	if (!ex->out_raw && ex->audit)
		watch(ex, buf, len, call);
	if (ex->out_raw || ex->audit) {
		ret->len = ret->consumed = len;
		ret->raw = ex->out_raw;
		return 0;
	}
	error = may_begin(ex, call);
	if (leash_unlikely(error < 0))
		return error;
	if (leash_unlikely(!ex->settled)) {
		error = settings()->http2 == LEASH_HTTP2_OBSERVE ? look_for_preface(ex, buf, len, call, ret) : 0;
		if (error > 0)
			return 0;
		ex->settled = true;
	}
	if (error == 0)
		error = next(ex, buf, len, &out);
	if (leash_unlikely(error < 0)) {
		error = error == -EBADMSG ? refuse_bad(ex, call) :
					    leash_exchange_full(ex, call, "no memory for a line of a header");
		return error < 0 ? error : -EACCES;
	}
	if (out.events & LEASH_REQUEST_HOLD)
		return -EAGAIN;
	error = judge(ex, &out, call);
	if (leash_unlikely(error < 0))
		return error;
	ret->at = out.at;
	ret->len = out.len;
	ret->consumed = out.consumed;
	ret->own = out.own;
	ret->head = out.head;
	ret->raw = ex->out_raw;
	return 0;
}

void leash_exchange_gave_up(struct leash_exchange *ex)
{
	if (!ex->hold && (ex->settled || !ex->preface))
		return;
	/* What was held is in the block, and what follows would be read as something else without it. */
	ex->out_over = true;
}
