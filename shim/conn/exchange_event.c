/* SPDX-License-Identifier: MIT */
/* What a request came to, once it has ended: its event, and the count of its host. */
#include <errno.h>
#include <string.h>

#include "shim/conn/exchange_inner.h"
#include "shim/conn/inner.h"
#include "shim/conn/session.h"
#include "shim/conn/timing.h"
#include "shim/conn/verify.h"
#include "shim/core/clock.h"
#include "shim/core/log.h"
#include "shim/events/emit.h"

int64_t leash_exchange_now_ns(void)
{
	return leash_emit_wanted() ? leash_exact_ns() : leash_now_ns();
}

static const char *outcome_of(const struct leash_exchange *ex, const struct leash_told *told)
{
	if (told->whole)
		return "success";
	switch (atomic_load(&ex->error)) {
	case 0:
		return "cut";
	case ETIMEDOUT:
		return "timeout";
	case ECONNABORTED:
		return "interrupted";
	}
	return "refused";
}

/* Of several that it may still be, the one that is timed: an answer may come before a body has told */
static uint32_t list_of(uint8_t lists)
{
	for (uint32_t list = LEASH_LIST_REQUEST; list <= LEASH_LIST_DOWNLOAD; list++)
		if (lists & LEASH_LIST_BIT(list))
			return list;
	return LEASH_LIST_REQUEST;
}

/* The exact clock may be behind the coarse one's start by a tick. */
static int64_t ms_between(int64_t from_ns, int64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns) / 1000000 : 0;
}

static struct leash_event_timing timing_of(const struct leash_exchange *ex, const struct leash_task *task)
{
	const int64_t now_ns = leash_exact_ns();
	struct leash_event_timing timing = {-1, -1, -1, -1, -1};
	struct leash_spent spent;

	leash_timing_spent(ex->conn, &spent);
	if (task->fresh && spent.connected_ns) {
		timing.resolve = spent.resolve_us / 1000;
		timing.connect = spent.connect_us / 1000;
		if (ex->tls)
			timing.tls = ms_between(spent.connected_ns, ex->opened_ns);
	}
	timing.wait = ms_between(task->begin_ns, task->head_ns ? task->head_ns : now_ns);
	if (task->head_ns)
		timing.receive = ms_between(task->head_ns, now_ns);
	return timing;
}

static const char *scheme_of(const struct leash_exchange *ex, uint32_t list)
{
	if (list == LEASH_LIST_SOCKET)
		return ex->tls ? "wss" : "ws";
	return ex->tls ? "https" : "http";
}

static void count(struct leash_exchange *ex, const struct leash_gate *gate, uint32_t list)
{
	struct leash_session *page = leash_session_get();

	if (!ex->row)
		ex->row = leash_gate_host(gate) + 1;
	atomic_fetch_add_explicit(&page->host[ex->row - 1].requests[list], 1, memory_order_relaxed);
}

void leash_exchange_tell(struct leash_exchange *ex, const struct leash_told *told)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	const struct leash_task *task = told->task;
	const uint32_t list = list_of(told->lists);
	struct leash_event_timing timing;
	struct leash_gate_request request;
	struct leash_gate_tls tls = {0};
	struct leash_gate gate;
	char detail[160];
	size_t len;

	/* What was refused has been told of, and of what had no header there is nothing to tell. */
	if (!conn || task->refused || task->told || !task->method[0])
		return;
	if (ex->row && !leash_emit_wanted()) {
		count(ex, NULL, list);
		return;
	}
	leash_conn_gate(&gate, conn, "request");
	leash_gate_judge(&gate, (struct leash_verdict){.action = LEASH_ALLOW, .entry = LEASH_ENTRY_NONE,
						       .near = LEASH_ENTRY_NONE});
	if (ex->name)
		gate.host = leash_exchange_name(ex);
	count(ex, &gate, list);
	if (!leash_emit_wanted())
		return;
	timing = timing_of(ex, task);
	gate.api = leash_list_api[list];
	gate.request = &request;
	request = (struct leash_gate_request){
		.method = task->method,
		.target = task->target,
		.scheme = scheme_of(ex, list),
		.outcome = outcome_of(ex, told),
		.status = task->status,
		.sent = (int64_t)atomic_load_explicit(&task->sent, memory_order_relaxed),
		.received = (int64_t)task->received,
		.timing = &timing,
	};
	if (ex->tls && leash_verify_facts(conn, &tls))
		gate.tls = &tls;
	if (task->note) {
		len = leash_text_put(detail, sizeof(detail), 0,
				     leash_body_note_text((enum leash_body_note)task->note));
		len = leash_text_put(detail, sizeof(detail), len, task->label[0] ? ": " : "");
		leash_text_put(detail, sizeof(detail), len, task->label);
		gate.detail = detail;
	}
	leash_gate_requested(&gate);
}
