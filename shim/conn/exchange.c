/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation.
 *
 * Out: http/request cuts what the program writes into spans; the events of a span are judged before it is
 * handed out (exchange_out.c). In: http/response cuts what the server sent into items, which pass in place, or
 * through http/body (exchange_in.c). Between the two stands the list of tasks: a request is put there when
 * its first byte comes and leaves it with the last byte of its answer. The clock of the connection is that of
 * the task that is due first.
 *
 * The lock is held for a list operation or for reading one item of the answers, never while a line is
 * written, a thread started or iconv called. So the clock is started outside of it, behind the task's place in
 * the list, and stopped inside: of two that do both at once the one that starts is the last.
 */
#include "shim/conn/exchange_inner.h"

#include <errno.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/timing.h"
#include "shim/conn/verify.h"
#include "shim/core/clock.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"

#define SPINS 200
#define LOST_NS INT64_C(2000000000)	/* a holder left by siglongjmp(): it is held for microseconds */

static _Atomic uint16_t of_conn[LEASH_CONN_MAX];	/* index + 1 */
_Static_assert(LEASH_CONN_MAX < UINT16_MAX, "fits");

/* ----------------------------------------------------------------------------- blocks */

uint32_t leash_block_larger(uint32_t block, size_t size)
{
	for (uint32_t kind = block ? (block >> 24) + 1 : LEASH_POOL_4K; kind < LEASH_POOL_KINDS; kind++) {
		void *at;

		if (leash_pool_size((enum leash_pool)kind) < size)
			continue;
		at = leash_pool_take((enum leash_pool)kind);
		if (at)
			return kind << 24 | (leash_pool_index((enum leash_pool)kind, at) + 1);
	}
	return 0;
}

void leash_block_give(uint32_t *block)
{
	if (*block)
		leash_pool_give((enum leash_pool)(*block >> 24), leash_block_at(*block));
	*block = 0;
}

/* ------------------------------------------------------------------------------- lock */

void leash_exchange_lock_slow(struct leash_exchange *ex, uint32_t epoch)
{
	uint32_t was = atomic_load_explicit(&ex->lock, memory_order_relaxed);
	const int64_t since_ns = leash_now_ns();

	for (uint32_t i = 0;; i++) {
		/* Another process's: held when we were forked. */
		if (was != 0 && was != epoch &&
		    atomic_compare_exchange_strong(&ex->lock, &was, epoch))
			return;
		was = 0;
		if (atomic_compare_exchange_weak_explicit(&ex->lock, &was, epoch, memory_order_acquire,
							  memory_order_relaxed))
			return;
		if (i < SPINS)
			continue;
		LEASH_SYS(SYS_sched_yield);
		if (leash_now_ns() - since_ns > LOST_NS)
			return;
	}
}

/* ------------------------------------------------------------------- open and its end */

struct leash_conn *leash_exchange_ours(const struct leash_exchange *ex)
{
	struct leash_conn *conn = ex->conn;
	enum leash_conn_state state;

	if (conn->cookie != ex->cookie)
		return NULL;
	state = leash_registry_state(conn);
	return state == LEASH_CONN_FREE || state == LEASH_CONN_CLAIMED ? NULL : conn;
}

const char *leash_exchange_name(const struct leash_exchange *ex)
{
	return leash_names_text(ex->name);
}

/* The whole line. It is the same for all; two threads that make it at once write the same bytes */
static const char *referer_of(const struct leash_image *image)
{
	static char line[2048];
	static _Atomic int made;
	const char *value = leash_image_string(image, leash_image_settings(image)->referer);
	size_t len;

	if (!value[0] || strlen(value) > sizeof(line) - sizeof("Referer: \r\n"))
		return NULL;
	if (!atomic_load_explicit(&made, memory_order_acquire)) {
		len = leash_text_put(line, sizeof(line), 0, "Referer: ");
		len = leash_text_put(line, sizeof(line), len, value);
		leash_text_put(line, sizeof(line), len, "\r\n");
		atomic_store_explicit(&made, 1, memory_order_release);
	}
	return line;
}

struct leash_exchange *leash_exchange_open(struct leash_conn *conn, uint64_t cookie, bool tls, int *ret_error)
{
	const struct leash_image *image = leash_image_get();
	const struct leash_settings *settings;
	struct leash_exchange *ex;
	struct leash_gate gate;
	const char *name;

	*ret_error = 0;
	if (!image || conn->cookie != cookie || conn->inbound || conn->tls_free)
		return NULL;
	ex = leash_pool_take(LEASH_POOL_EXCHANGE);
	leash_conn_gate(&gate, conn, tls ? "TLS" : "http");
	if (!ex) {
		struct leash_verdict full = leash_policy_none();

		full.reason = LEASH_WHY_RESOURCE;
		gate.hint_text = "too many connections at once whose requests are read: close some";
		leash_gate_judge(&gate, full);
		*ret_error = leash_conn_deny(conn, leash_registry_number(conn, 0), &gate);
		return NULL;
	}
	settings = leash_image_settings(image);
	memset((char *)ex + offsetof(struct leash_exchange, lock), 0,
	       sizeof(*ex) - offsetof(struct leash_exchange, lock));
	ex->conn = conn;
	ex->cookie = cookie;
	atomic_init(&ex->epoch, leash_pool_epoch());
	ex->opened_ns = leash_exact_ns();
	ex->tls = tls;
	ex->lan = gate.verdict.rule == LEASH_RULE_LAN || gate.verdict.rule == LEASH_RULE_LAN_TLS;
	ex->audit = settings->audit;
	ex->queries = settings->event_queries;
	ex->convert = settings->body_convert && !ex->audit;
	/* In the clear, nothing but its address says whom it is for; a neighbour may have many names. */
	name = tls ? leash_flight_name(conn) : !ex->lan && gate.host ? gate.host : "";
	if (name[0]) {
		uint32_t lists = 0;

		ex->name = leash_names_intern(name);
		leash_image_find(image, name, strlen(name), &lists);
		ex->lists = lists & LEASH_LISTS_TLS;
	}
	leash_timing_left(conn);
	leash_request_init(&ex->rq, ex->audit ? NULL : referer_of(image));
	leash_response_init(&ex->rs, !ex->convert);
	ex->rs.lean = true;
	atomic_store(&of_conn[leash_registry_index(conn)],
		     (uint16_t)(leash_pool_index(LEASH_POOL_EXCHANGE, ex) + 1));
	return ex;
}

/* One of the two is done with it. */
static void let_go(struct leash_task *task, uint8_t who)
{
	if (atomic_fetch_or(&task->done, who) != 0)
		leash_pool_give(LEASH_POOL_REQUEST, task);
}

/*
 * Who still waits will go on waiting for ever. Said by the process that they are of: in a forked child that only
 * frees what it has a copy of, nothing has ended.
 */
static void give_up(struct leash_exchange *ex)
{
	if (atomic_load_explicit(&ex->epoch, memory_order_relaxed) == leash_pool_epoch()) {
		while (leash_exchange_answered(ex, false))
			;
		return;
	}
	while (ex->first) {
		struct leash_task *task = leash_task_at(ex->first);

		ex->first = task->next;
		let_go(task, LEASH_TASK_ANSWERED);
	}
}

int leash_exchange_alive(struct leash_exchange *ex)
{
	const struct leash_conn *conn;
	int error = atomic_load_explicit(&ex->error, memory_order_relaxed);

	if (leash_unlikely(error != 0))
		return -error;
	conn = leash_exchange_ours(ex);
	if (leash_unlikely(!conn))
		return 0;		/* the library finds out by itself */
	error = leash_timing_errno(conn);
	if (leash_registry_state(conn) == LEASH_CONN_DENIED)
		error = conn->error;
	if (leash_likely(error == 0))
		return 0;
	atomic_store(&ex->error, error);
	return -error;
}

int leash_exchange_error(const struct leash_exchange *ex)
{
	/* Its error is kept, and that is no change that anybody could see. */
	return -leash_exchange_alive((struct leash_exchange *)(uintptr_t)ex);
}

void leash_exchange_close(struct leash_exchange *ex)
{
	uint16_t place;

	if (!ex)
		return;
	leash_exchange_alive(ex);
	give_up(ex);
	if (ex->writing)
		leash_exchange_written(ex);
	place = (uint16_t)(leash_pool_index(LEASH_POOL_EXCHANGE, ex) + 1);
	atomic_compare_exchange_strong(&of_conn[leash_registry_index(ex->conn)], &place, 0);
	if (ex->body) {
		leash_body_abort(ex->body);
		leash_pool_give(LEASH_POOL_BODY, ex->body);
	}
	leash_block_give(&ex->hold);
	leash_block_give(&ex->head);
	leash_block_give(&ex->stash);
	leash_pool_give(LEASH_POOL_EXCHANGE, ex);
}

/*
 * A copy of the first request of a connection that was not told yet. Return: false if there is none. A lock that is
 * not to be had is one that this thread left by a signal's handler, which is now ending the program: not waited for.
 */
static bool untold(struct leash_exchange *ex, struct leash_task *ret_task)
{
	struct leash_task *task;
	uint32_t was = 0;

	for (uint32_t i = 0; !atomic_compare_exchange_strong(&ex->lock, &was, leash_pool_epoch()); was = 0) {
		if (++i > SPINS)
			return false;
		LEASH_SYS(SYS_sched_yield);
	}
	task = leash_task_at(ex->first);
	while (task && task->told)
		task = leash_task_at(task->next);
	if (task) {
		memcpy(ret_task, task, sizeof(*task));
		task->told = true;
	}
	leash_exchange_unlock(ex);
	return task != NULL;
}

void leash_exchange_leave(void)
{
	struct leash_task task;

	/* Most processes never had one, and are to leave without another page fault. */
	if (!atomic_load_explicit(&leash_pool_home, memory_order_relaxed) || leash_registry_foreign())
		return;
	for (uint32_t i = 0; i < LEASH_CONN_MAX; i++) {
		const uint16_t place = atomic_load_explicit(&of_conn[i], memory_order_acquire);
		struct leash_exchange *ex;

		if (!place)
			continue;
		ex = leash_pool_at(LEASH_POOL_EXCHANGE, place - 1u);
		/* A forked child has copies of what its parent waits for. */
		if (atomic_load_explicit(&ex->epoch, memory_order_relaxed) != leash_pool_epoch())
			continue;
		leash_exchange_alive(ex);
		while (untold(ex, &task)) {
			const struct leash_told told = {.task = &task, .lists = task.lists};

			leash_exchange_tell(ex, &told);
		}
	}
}

__attribute__((destructor)) static void leave(void)
{
	leash_exchange_leave();
}

/* --------------------------------------------------------------------------- refusals */

int leash_exchange_refuse(struct leash_exchange *ex, struct leash_verdict verdict,
			  const struct leash_complaint *complaint)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	struct leash_gate_request request;
	struct leash_gate gate;
	int fd = -1, ret;

	if (verdict.action != LEASH_DENY && !verdict.would)
		return 0;
	if (!conn) {
		atomic_store(&ex->error, EBADF);
		return -EBADF;
	}
	leash_conn_gate(&gate, conn, complaint->call);
	leash_gate_judge(&gate, verdict);
	gate.api = complaint->api;
	if (ex->name)
		gate.host = leash_exchange_name(ex);
	if (complaint->host)
		gate.host = complaint->host;
	gate.hint_text = complaint->hint;
	gate.detail = complaint->detail;
	if (complaint->task) {
		leash_gate_request_clear(&request);
		request.method = complaint->task->method;
		request.target = complaint->task->target;
		request.scheme = ex->tls ? "https" : "http";
		gate.request = &request;
	}
	for (fd = leash_registry_number(conn, 0); fd >= 0 && !leash_registry_same(conn, fd);
	     fd = leash_registry_number(conn, fd + 1))
		;
	ret = leash_conn_deny(conn, fd, &gate);
	if (ret == 0)
		return 0;
	/* Every number asks the engine from now on, and is told why. */
	for (fd = leash_registry_number(conn, 0); fd >= 0; fd = leash_registry_number(conn, fd + 1))
		leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_JUDGE);
	atomic_store(&ex->error, -ret);
	return ret;
}

int leash_exchange_full(struct leash_exchange *ex, const char *call, const char *hint)
{
	const struct leash_complaint complaint = {.call = call, .hint = hint};
	struct leash_verdict full = leash_policy_none();

	full.reason = LEASH_WHY_RESOURCE;
	return leash_exchange_refuse(ex, full, &complaint);
}

void leash_exchange_note(struct leash_exchange *ex, const char *call, const char *detail)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	struct leash_gate gate;

	if (!conn)
		return;
	leash_conn_gate(&gate, conn, call);
	if (ex->name)
		gate.host = leash_exchange_name(ex);
	gate.detail = detail;
	leash_gate_note(&gate);
}

/* ------------------------------------------------------------------------------ tasks */

/* The task that is due first. Behind the lock */
static const struct leash_task *next_due(const struct leash_exchange *ex)
{
	const struct leash_image *image = leash_image_get();
	const struct leash_task *due = NULL, *task = leash_task_at(ex->first);
	int64_t due_ns = 0;

	if (!task || !task->next)
		return task;
	for (; task; task = leash_task_at(task->next)) {
		const int64_t at_ns = leash_deadline_at(
			task->start_ns, leash_policy_limit(image, task->lists, ex->conn->own_ms));

		if (!due || at_ns < due_ns) {
			due = task;
			due_ns = at_ns;
		}
	}
	return due;
}

static void set_clock(struct leash_exchange *ex)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	const struct leash_task *due;
	int64_t start_ns = 0;
	uint8_t lists = 0;
	bool any;

	leash_exchange_lock(ex);
	due = next_due(ex);
	any = due != NULL;
	if (any) {
		start_ns = due->start_ns;
		lists = due->lists;
	}
	leash_exchange_unlock(ex);
	if (any && conn)
		leash_timing_next(conn, lists, start_ns);
}

/* Nothing of it has left: it never was. */
static void unlist(struct leash_exchange *ex, struct leash_task *task)
{
	const uint32_t place = leash_task_place(task);
	uint32_t *link = &ex->first;

	leash_exchange_lock(ex);
	ex->last = 0;
	while (*link && *link != place) {
		ex->last = *link;
		link = &leash_task_at(*link)->next;
	}
	/* It is the last, unless the end of the stream has told of it, or is about to. */
	if (*link) {
		*link = 0;
		atomic_store(&task->done, LEASH_TASK_ANSWERED);
	}
	leash_exchange_unlock(ex);
	let_go(task, LEASH_TASK_WRITTEN);
}

int leash_exchange_begin(struct leash_exchange *ex, const char *call)
{
	struct leash_task *task = leash_pool_take(LEASH_POOL_REQUEST);
	struct leash_conn *conn = leash_exchange_ours(ex);
	const uint32_t place = task ? leash_task_place(task) : 0;
	int64_t start_ns = 0;
	bool alone;
	int ret;

	if (!task)
		return leash_exchange_full(ex, call, "too many requests wait for their answer");
	memset(task, 0, offsetof(struct leash_task, method));
	task->method[0] = task->target[0] = '\0';
	atomic_store_explicit(&ex->epoch, leash_pool_epoch(), memory_order_relaxed);
	task->begin_ns = task->start_ns = leash_exchange_now_ns();
	task->lists = ex->lists;
	task->fresh = !ex->began;
	/* The first one starts with its connection. */
	if (conn && task->fresh && atomic_load(&conn->deadline_ns) != 0)
		start_ns = atomic_load(&conn->start_ns);
	if (start_ns)
		task->start_ns = start_ns;
	leash_exchange_lock(ex);
	alone = !ex->first;
	if (alone)
		ex->first = place;
	else
		leash_task_at(ex->last)->next = place;
	ex->last = place;
	leash_exchange_unlock(ex);
	if (conn) {
		ret = leash_timing_request(conn, atomic_load(&conn->fd), task->lists,
					   start_ns ? 0 : task->start_ns, call);
		if (ret < 0) {
			unlist(ex, task);
			atomic_store(&ex->error, -ret);
			return ret;
		}
	}
	ex->writing = place;
	ex->began = true;
	/* Another one may be due before it. */
	if (!alone)
		set_clock(ex);
	return 0;
}

void leash_exchange_class(struct leash_exchange *ex, struct leash_task *task)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	bool due;

	/* What it was timed as is mostly what it is. */
	if (!conn || task->lists == conn->lists)
		return;
	leash_exchange_lock(ex);
	due = next_due(ex) == task;
	leash_exchange_unlock(ex);
	if (due)
		leash_timing_class(conn, task->lists);
}

void leash_exchange_written(struct leash_exchange *ex)
{
	struct leash_task *task = leash_task_at(ex->writing);

	if (!task)
		return;
	ex->writing = 0;
	let_go(task, LEASH_TASK_WRITTEN);
}

bool leash_exchange_answered(struct leash_exchange *ex, bool whole)
{
	struct leash_conn *conn = leash_exchange_ours(ex);
	struct leash_told told;
	struct leash_task *task;

	leash_exchange_lock(ex);
	task = leash_task_at(ex->first);
	if (!task) {
		leash_exchange_unlock(ex);
		return false;
	}
	ex->first = task->next;
	if (!ex->first)
		ex->last = 0;
	told = (struct leash_told){.task = task, .lists = task->lists, .whole = whole, .more = ex->first != 0};
	/* Behind the lock, so that a request that begins in this moment starts the clock after it. */
	if (conn && !told.more && !task->upgraded)
		leash_timing_answered(conn, false);
	leash_exchange_unlock(ex);
	/* It is in no list, and the writer lets it live. */
	if (conn && !told.more && task->upgraded)
		leash_timing_answered(conn, true);
	if (told.more)
		set_clock(ex);
	leash_exchange_tell(ex, &told);
	let_go(task, LEASH_TASK_ANSWERED);
	return true;
}

/* ------------------------------------------------------------------ for conn/timing.c */

bool leash_exchange_current(const struct leash_conn *conn, char ret_method[static 24],
			    char ret_target[static 512])
{
	const uint16_t place = atomic_load(&of_conn[leash_registry_index(conn)]);
	const struct leash_task *task;
	struct leash_exchange *ex;
	bool known;

	_Static_assert(sizeof(task->method) == 24 && sizeof(task->target) == 512, "as promised");
	if (!place)
		return false;
	ex = leash_pool_at(LEASH_POOL_EXCHANGE, place - 1u);
	leash_exchange_lock(ex);
	task = ex->conn == conn && ex->cookie == conn->cookie ? next_due(ex) : NULL;
	known = task && task->method[0];
	if (known) {
		memcpy(ret_method, task->method, sizeof(task->method));
		memcpy(ret_target, task->target, sizeof(task->target));
	}
	leash_exchange_unlock(ex);
	return known;
}
