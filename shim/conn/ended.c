/* SPDX-License-Identifier: MIT */
/*
 * What the watcher asks and tells of a connection that took too long, or was pending when the grace was over:
 * may it be ended, and what is said of it (policy 5, 7).
 */
#include <linux/tcp.h>
#include <string.h>
#include <time.h>

#include "shim/conn/exchange.h"
#include "shim/conn/session.h"
#include "shim/conn/tasks.h"
#include "shim/conn/timing.h"
#include "shim/conn/timing_inner.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/life/places.h"

int64_t leash_timing_grace_ns(void)
{
	const struct leash_image *image = leash_image_get();

	leash_signal_tell(leash_session_get());
	if (!image || leash_image_settings(image)->background_off)
		return LEASH_NEVER;
	return (int64_t)leash_image_settings(image)->grace_ms * LEASH_MS_NS;
}

bool leash_timing_established(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	return LEASH_SYS(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_state == 1;	/* TCP_ESTABLISHED of the kernel's tcp_states.h */
}

static struct leash_verdict verdict_of(const struct leash_image *image, enum leash_conn_state why)
{
	return why == LEASH_CONN_EXPIRED ? leash_policy_timeout(image) : leash_policy_background(image);
}

void leash_timing_gate(struct leash_gate *gate, struct leash_conn *conn, const char *call)
{
	struct leash_addr addr;

	leash_conn_addr(conn, &addr);
	if (addr.family || !leash_conn_more(conn)->last_good) {
		leash_conn_gate(gate, conn, call);
		return;
	}
	memcpy(&addr, leash_conn_more(conn)->last_addr, sizeof(addr));
	leash_gate_peer(gate, call, LEASH_UDP, &addr, leash_conn_more(conn)->last_port, true);
}

static void tell(struct leash_conn *conn, enum leash_conn_state why, int64_t now_ns)
{
	const struct leash_image *image = leash_image_get();
	const int64_t start_ns = atomic_load_explicit(&conn->start_ns, memory_order_relaxed);
	const struct leash_verdict verdict = verdict_of(image, why);
	const unsigned long age_ms = (unsigned long)((now_ns - start_ns) / LEASH_MS_NS);
	const bool lookup = conn->cookie == 0;
	char rule[64], hint[256], method[24], target[512];
	struct leash_gate_request request;
	struct leash_gate gate;
	size_t len;

	/* Processes that share the socket may each have ended it. */
	if (!lookup && !leash_background_tell_once(leash_session_get(), conn->cookie ^ (uint64_t)start_ns)) {
		leash_place_wake(conn);
		return;
	}
	if (lookup) {
		leash_gate_name(&gate, "resolve", leash_names_text(leash_conn_more(conn)->dns_name[0]), verdict);
	} else {
		leash_timing_gate(&gate, conn, "request");
		/* The entry says which API it is. */
		gate.verdict.action = verdict.action;
		gate.verdict.reason = verdict.reason;
		gate.verdict.rule = verdict.rule;
		gate.verdict.would = verdict.would;
		/* Of several that it could be the request itself has said it by now. */
		if (conn->clock == LEASH_CLOCK_EXCHANGE && (conn->lists & LEASH_LISTS_TLS) &&
		    !(conn->lists & (conn->lists - 1)))
			gate.api = leash_list_api[__builtin_ctz(conn->lists)];
		if (leash_exchange_current(conn, method, target)) {
			leash_gate_request_clear(&request);
			request.method = method;
			request.target = target;
			request.scheme = leash_flight_name(conn)[0] ? "https" : "http";
			gate.request = &request;
		}
	}
	len = leash_text_put(rule, sizeof(rule), 0,
			     why == LEASH_CONN_EXPIRED ? leash_own_text(conn)
						       : "background");
	len = leash_text_put(hint, sizeof(hint), 0, "after ");
	len = leash_text_put_uint(hint, sizeof(hint), len, age_ms);
	leash_text_put(hint, sizeof(hint), len,
		       conn->wait_lists ? " ms of waiting for a place: too many tasks are in flight (limits.over)"
		       : why == LEASH_CONN_EXPIRED
			       ? " ms: answer faster, or raise the limit (60000 ms at most)"
			       : " ms: the program is in the background; start it again after the return");
	gate.rule_text = rule;
	gate.hint_text = hint;
	leash_gate_ended(&gate, why == LEASH_CONN_EXPIRED ? LEASH_EVENT_TIMEOUT
							  : LEASH_EVENT_INTERRUPTED);
	leash_place_wake(conn);
}

static bool may_end(struct leash_conn *conn, int fd, enum leash_conn_state why)
{
	const struct leash_image *image = leash_image_get();

	/* Meanwhile the answer came. */
	if (atomic_load(&conn->deadline_ns) == 0 || !image)
		return false;
	leash_tasks_drop(conn, fd);	/* no longer in flight, whatever follows */
	/* A program that waited by poll() for its connect(), and had nothing to send since */
	if (conn->phase == LEASH_PHASE_CONNECT && fd >= 0 && leash_timing_established(fd)) {
		conn->phase = LEASH_PHASE_IDLE;
		return false;
	}
	if (verdict_of(image, why).action == LEASH_DENY)
		return true;
	conn->phase = LEASH_PHASE_IDLE;
	if (verdict_of(image, why).would) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		tell(conn, why, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	}
	return false;
}

static void stopped(void)
{
	leash_gate_state("background", "the process was stopped for longer than the grace");
	leash_gate_state("foreground", "the process was continued");
}

const struct leash_watcher_rules leash_timing_rules = {
	.grace_ns = leash_timing_grace_ns,
	.may_end = may_end,
	.ended = tell,
	.waits = leash_tasks_look,
	.stopped = stopped,
};
