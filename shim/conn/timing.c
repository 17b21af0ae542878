/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/conn/session.h"
#include "shim/conn/tasks.h"
#include "shim/conn/timing.h"
#include "shim/conn/timing_inner.h"
#include "shim/core/proc.h"
#include "shim/core/sys.h"
#include "shim/wire/tls_hello.h"
#include "shim/wire/tls_turns.h"

/* The first exchange of a connection, while it is pending */
static struct leash_tls_turns turns[LEASH_CONN_MAX];

/* What connections took, for the events about their first request */
static struct leash_spent spent[LEASH_CONN_MAX];

int leash_timing_errno(const struct leash_conn *conn)
{
	switch (leash_registry_state(conn)) {
	case LEASH_CONN_EXPIRED:
		return leash_reason_errno(LEASH_WHY_TIMEOUT);
	case LEASH_CONN_INTERRUPTED:
		return leash_reason_errno(LEASH_WHY_INTERRUPTED);
	case LEASH_CONN_FREE:
	case LEASH_CONN_CLAIMED:
	case LEASH_CONN_SNIFFING:
	case LEASH_CONN_FLIGHT:
	case LEASH_CONN_OPEN:
	case LEASH_CONN_DATAGRAM:
	case LEASH_CONN_DNS:
	case LEASH_CONN_DENIED:
	case LEASH_CONN_LOOKUP:
	case LEASH_CONN_NUM_STATES:
		break;
	}
	return 0;
}

static int64_t limit_at(const struct leash_conn *conn, int64_t start_ns)
{
	const struct leash_image *image = leash_image_get();
	uint32_t limit_ms;

	if (!image)
		return LEASH_NEVER;
	limit_ms = leash_policy_limit(image, conn->lists, conn->own_ms);
	return leash_deadline_at(start_ns, limit_ms);
}

/* ---------------------------------------------------------------------- pending or not */

static void done(struct leash_conn *conn)
{
	conn->phase = LEASH_PHASE_IDLE;
	atomic_store_explicit(&conn->deadline_ns, 0, memory_order_relaxed);
	leash_watcher_touch();
	leash_board_put(conn, 0, 0);
	leash_tasks_end(conn);
}

/* Return: 0, or -ENOBUFS, said: nobody could end it */
static int pending(struct leash_conn *conn, uint8_t phase, int64_t start_ns, int64_t deadline_ns,
		   const char *call)
{
	/* The clock is read where it can matter: this is done once a request. */
	const int64_t now_ns = deadline_ns == LEASH_NEVER ? start_ns : leash_now_ns();
	struct leash_gate gate;
	int ret;

	leash_session_get();
	conn->phase = phase;
	atomic_store_explicit(&conn->start_ns, start_ns, memory_order_relaxed);
	atomic_store_explicit(&conn->deadline_ns, deadline_ns, memory_order_relaxed);
	ret = leash_watcher_see(&leash_timing_rules, deadline_ns, now_ns);
	if (ret < 0) {
		struct leash_verdict full = leash_policy_none();

		done(conn);
		full.reason = LEASH_WHY_RESOURCE;
		leash_conn_gate(&gate, conn, call);
		gate.hint_text = "the thread that ends requests in time cannot be started: raise the limit of "
				 "processes, or of memory";
		leash_gate_judge(&gate, full);
		return leash_gate_settle(&gate);
	}
	if (leash_unlikely(!conn->board) && !leash_proc_foreign())
		leash_board_take(conn, leash_watcher_pid(), LEASH_PENDING_REQUEST);
	leash_board_put(conn, start_ns, deadline_ns);
	return 0;
}

int leash_timing_away(struct leash_gate *gate)
{
	if (!gate->image)
		return 0;
	leash_signal_listen(gate->image);
	leash_signal_tell(leash_session_get());
	if (leash_background_since(leash_session_get()) == 0)
		return 0;
	leash_gate_judge(gate, leash_policy_background(gate->image));
	return leash_gate_settle(gate);
}

/* A request on a connection that was idle */
static int away_on(struct leash_conn *conn, const char *call)
{
	struct leash_gate gate;

	if (leash_background_since(leash_session_get()) == 0)
		return 0;
	leash_timing_gate(&gate, conn, call);
	return leash_timing_away(&gate);
}

/* ------------------------------------------------------------------- the limit changes */

/* Its limit changed: what is pending has it from its start on. */
static void rearm(struct leash_conn *conn)
{
	int64_t deadline_ns = atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed);
	const int64_t start_ns = atomic_load_explicit(&conn->start_ns, memory_order_relaxed);

	if (deadline_ns == 0 || deadline_ns == LEASH_NEVER)
		return;
	deadline_ns = limit_at(conn, start_ns);
	atomic_store(&conn->deadline_ns, deadline_ns);
	leash_board_put(conn, start_ns, deadline_ns);
	leash_watcher_see(&leash_timing_rules, deadline_ns, leash_now_ns());
}

void leash_timing_options(struct leash_conn *conn, int fd)
{
	if (conn->clock == LEASH_CLOCK_NONE)
		return;
	leash_own_read(conn, fd);
	rearm(conn);
}

void leash_timing_class(struct leash_conn *conn, uint8_t lists)
{
	if (!(lists & LEASH_LISTS_TLS) || conn->clock == LEASH_CLOCK_NONE || conn->lists == lists)
		return;
	conn->lists = lists;
	leash_tasks_class(conn, lists);
	if (conn->clock == LEASH_CLOCK_TURNS && (lists & LEASH_LISTS_TLS) == LEASH_LIST_BIT(LEASH_LIST_SOCKET))
		conn->clock = LEASH_CLOCK_SOCKET;
	rearm(conn);
}

/* ------------------------------------------------------------------------- connect() */

#define LOOKED_UP 32		/* look-ups that ended lately */
#define LOOKED_UP_NS (250 * LEASH_MS_NS)	/* a connect() so soon after one belongs to it */

static struct {
	_Atomic uint32_t name;	/* hash; 0: none */
	_Atomic int64_t start_ns, end_ns;
} looked_up[LOOKED_UP];
static _Atomic int64_t last_looked_up_ns = INT64_MIN / 2;	/* when the last of them ended */

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	return hash ? hash : 1;
}

/* A request starts with its look-up (policy 5). */
static int64_t start_of(const struct leash_gate *gate, int64_t now_ns, uint32_t *ret_resolve_us)
{
	uint32_t hash;

	*ret_resolve_us = 0;
	if (!gate->host ||
	    now_ns - atomic_load_explicit(&last_looked_up_ns, memory_order_relaxed) >= LOOKED_UP_NS)
		return now_ns;
	hash = hash_of(gate->host);
	if (atomic_load(&looked_up[hash % LOOKED_UP].name) == hash &&
	    now_ns - atomic_load(&looked_up[hash % LOOKED_UP].end_ns) < LOOKED_UP_NS) {
		const int64_t start_ns = atomic_load(&looked_up[hash % LOOKED_UP].start_ns);

		*ret_resolve_us = (uint32_t)((atomic_load(&looked_up[hash % LOOKED_UP].end_ns) - start_ns) /
					     1000);
		return start_ns;
	}
	return now_ns;
}

static uint8_t clock_of(const struct leash_conn *conn, uint8_t lists, bool dns)
{
	if (conn->mute)
		return LEASH_CLOCK_NONE;
	if (dns || !conn->stream || conn->tls_free || (conn->pass & LEASH_PASS_RAW))
		return LEASH_CLOCK_CONNECT;
	if ((lists & LEASH_LISTS_TLS) == LEASH_LIST_BIT(LEASH_LIST_SOCKET))
		return LEASH_CLOCK_SOCKET;
	return LEASH_CLOCK_TURNS;
}

int leash_timing_begin(struct leash_conn *conn, int fd, const struct leash_gate *gate, bool dns,
		       bool running)
{
	const uint8_t clock = clock_of(conn, gate->verdict.lists, dns);
	const int64_t now_ns = leash_now_ns();
	int64_t start_ns, deadline_ns;
	int ret;

	conn->lists = gate->verdict.lists;
	if (!running || (leash_fd_get(fd) & LEASH_FD_TIMED))
		leash_own_read(conn, fd);
	conn->clock = clock;
	/* A neighbour may be spoken to in TLS, http, or anything: the first bytes say which clock it has. */
	conn->undecided = clock == LEASH_CLOCK_CONNECT && conn->stream && !dns && !conn->tls_free;
	if (clock > LEASH_CLOCK_CONNECT || conn->undecided)
		memset(&turns[leash_registry_index(conn)], 0, sizeof(turns[0]));
	if (!running || clock == LEASH_CLOCK_NONE || !conn->stream)
		return 0;		/* a datagram's connect() does not wait for anybody */
	conn->host = leash_gate_host(gate);
	/* Told with the first request; raw TCP has none, and spares itself the clock. */
	spent[leash_registry_index(conn)] = (struct leash_spent){
		.began_ns = clock != LEASH_CLOCK_CONNECT || conn->undecided ? leash_exact_ns() : 0};
	start_ns = start_of(gate, now_ns, &spent[leash_registry_index(conn)].resolve_us);
	deadline_ns = limit_at(conn, start_ns);
	if (deadline_ns <= now_ns)	/* the look-up took it all */
		deadline_ns = now_ns + 1;
	ret = pending(conn, clock == LEASH_CLOCK_CONNECT ? LEASH_PHASE_CONNECT : LEASH_PHASE_HELLO,
		      start_ns, deadline_ns, "connect");
	/* What may be raw TCP or a request is counted when its first bytes say so. */
	if (ret == 0 && clock != LEASH_CLOCK_CONNECT)
		ret = leash_tasks_begin(conn, fd, gate->verdict.lists, gate);
	else if (ret == 0 && !dns && !conn->undecided && gate->verdict.rule == LEASH_RULE_LIST)
		ret = leash_tasks_tcp(gate);
	if (ret < 0 && ret != -EINTR) {
		done(conn);
		conn->clock = LEASH_CLOCK_NONE;
	}
	return ret;
}

static void established(struct leash_conn *conn)
{
	if (conn->phase == LEASH_PHASE_CONNECT)
		done(conn);
}

int leash_timing_connected(struct leash_conn *conn, int fd, int ret)
{
	const int error = leash_timing_errno(conn);

	if (error && leash_registry_same(conn, fd))
		return -error;
	if (ret == 0 || ret == -EISCONN) {
		established(conn);
		leash_timing_left(conn);
	}
	return ret;
}

void leash_timing_left(struct leash_conn *conn)
{
	struct leash_spent *at = &spent[leash_registry_index(conn)];

	if (at->connected_ns || !at->began_ns)
		return;
	at->connected_ns = leash_exact_ns();
	at->connect_us = (uint32_t)((at->connected_ns - at->began_ns) / 1000);
}

void leash_timing_spent(const struct leash_conn *conn, struct leash_spent *ret)
{
	*ret = spent[leash_registry_index(conn)];
}

int leash_timing_error(struct leash_conn *conn, int fd, int error)
{
	const int ended = leash_timing_errno(conn);

	if (ended && leash_registry_same(conn, fd))
		return atomic_exchange(&conn->told, 1) ? 0 : ended;
	if (error == 0 && conn->phase == LEASH_PHASE_CONNECT &&
	    leash_timing_established(fd))
		established(conn);
	return error;
}

/* ------------------------------------------------------------ for who reads the requests */

int leash_timing_task(struct leash_conn *conn, int fd, uint8_t lists, const char *call)
{
	const int ret = leash_tasks_request(conn, fd, lists, call);

	if (ret < 0 && !leash_timing_errno(conn))
		done(conn);
	return ret;
}

int leash_timing_request(struct leash_conn *conn, int fd, uint8_t lists, int64_t start_ns,
			 const char *call)
{
	int ret = leash_timing_errno(conn);

	if (ret)
		return -ret;
	if (start_ns == 0 && atomic_load(&conn->deadline_ns) != 0)
		start_ns = atomic_load(&conn->start_ns);
	else
		ret = away_on(conn, call);
	if (ret < 0)
		return ret;
	if (lists & LEASH_LISTS_TLS)
		conn->lists = lists;
	conn->clock = LEASH_CLOCK_EXCHANGE;
	if (start_ns == 0)
		start_ns = leash_now_ns();
	ret = pending(conn, LEASH_PHASE_WAIT, start_ns, limit_at(conn, start_ns), call);
	if (ret == 0)
		ret = leash_timing_task(conn, fd, lists, call);
	return ret;
}

void leash_timing_next(struct leash_conn *conn, uint8_t lists, int64_t start_ns)
{
	if (LEASH_CONN_ENDED(leash_registry_state(conn)))
		return;
	conn->lists = lists;
	pending(conn, LEASH_PHASE_WAIT, start_ns, limit_at(conn, start_ns), "request");
}

void leash_timing_answered(struct leash_conn *conn, bool open)
{
	if (LEASH_CONN_ENDED(leash_registry_state(conn)))
		return;
	conn->clock = LEASH_CLOCK_EXCHANGE;
	if (open) {
		leash_tasks_opened(conn);
		pending(conn, LEASH_PHASE_OPEN, leash_now_ns(), LEASH_NEVER, "connectSocket");
	} else {
		done(conn);
	}
}

/* --------------------------------------------------------------------- bytes out and in */

bool leash_timing_passed(int64_t deadline_ns)
{
	return leash_now_ns() >= deadline_ns;
}

/* Is it over, because somebody ended it, or because it should have been? Return: 0 or a negative errno */
static int over(struct leash_conn *conn, int fd)
{
	const int64_t deadline_ns = atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed);
	enum leash_conn_state why = LEASH_CONN_EXPIRED;
	int ret = leash_timing_errno(conn);
	int64_t since_ns, grace, away_ns;

	if (ret)
		return leash_registry_same(conn, fd) ? -ret : 0;
	if (deadline_ns == 0)
		return 0;
	since_ns = leash_background_since(leash_session_get());
	grace = leash_timing_grace_ns();
	away_ns = since_ns == 0 || grace == LEASH_NEVER ? LEASH_NEVER : since_ns + grace;
	switch (leash_deadline_due(deadline_ns, away_ns, leash_now_ns())) {
	case LEASH_DUE_NOT:
		return 0;
	case LEASH_DUE_TIME:
		break;
	case LEASH_DUE_AWAY:
		why = LEASH_CONN_INTERRUPTED;
		break;
	}
	/* Another process held it too, or our watcher cannot reach it (hooks.md W10). */
	leash_watcher_end(&leash_timing_rules, conn, fd, why, leash_now_ns());
	ret = leash_timing_errno(conn);
	return ret && leash_registry_same(conn, fd) ? -ret : 0;
}

/* In a forked child the first call on what is pending starts its own watcher (hooks.md F2). */
static int watched(struct leash_conn *conn)
{
	const int ret = leash_watcher_see(&leash_timing_rules,
					  atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed),
					  leash_now_ns());

	conn->lent = 0;			/* it takes part from here on */
	return ret;
}

int leash_timing_out_slow(struct leash_conn *conn, int fd, const char *call)
{
	const int64_t now_ns = leash_now_ns();
	int ret = over(conn, fd);

	if (ret < 0)
		return ret;
	if (atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) != 0) {
		watched(conn);
		return 0;
	}
	if (conn->clock == LEASH_CLOCK_EXCHANGE)
		return 0;		/* whoever reads it has asked */
	if (leash_background_since(leash_session_get()) != 0) {
		if (!leash_registry_same(conn, fd))
			return 0;	/* another file has this number */
		ret = away_on(conn, call);
		if (ret < 0)
			return ret;
	}
	if (conn->undecided)
		return pending(conn, LEASH_PHASE_HELLO, now_ns, limit_at(conn, now_ns), call);
	ret = pending(conn, LEASH_PHASE_WAIT, now_ns,
		      conn->clock == LEASH_CLOCK_CONNECT ? LEASH_NEVER : limit_at(conn, now_ns), call);
	if (ret == 0 && conn->clock == LEASH_CLOCK_TURNS)
		leash_tasks_turn(conn);
	return ret;
}

int leash_timing_in_slow(struct leash_conn *conn, int fd)
{
	const int ret = over(conn, fd);

	if (ret == 0 && atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed) != 0)
		watched(conn);
	return ret;
}

static void answered(struct leash_conn *conn)
{
	if (conn->clock != LEASH_CLOCK_SOCKET) {
		done(conn);
		return;
	}
	conn->phase = LEASH_PHASE_OPEN;
	atomic_store_explicit(&conn->deadline_ns, LEASH_NEVER, memory_order_relaxed);
	leash_board_put(conn, atomic_load_explicit(&conn->start_ns, memory_order_relaxed), LEASH_NEVER);
}

/* Raw bytes: pending until something comes back, without a limit */
static void raw(struct leash_conn *conn)
{
	conn->clock = LEASH_CLOCK_CONNECT;
	conn->phase = LEASH_PHASE_WAIT;
	atomic_store_explicit(&conn->deadline_ns, LEASH_NEVER, memory_order_relaxed);
	leash_board_put(conn, atomic_load_explicit(&conn->start_ns, memory_order_relaxed), LEASH_NEVER);
}

/* The first bytes of a connection that may be anything. Return: are they of a protocol with requests? */
static bool decide(struct leash_conn *conn, const uint8_t *at, size_t len)
{
	conn->undecided = 0;
	if (at[0] != 22 && leash_http_request_start(at, len) != 1)
		return false;
	conn->clock = LEASH_CLOCK_TURNS;
	conn->phase = LEASH_PHASE_HELLO;
	return true;
}

void leash_timing_sent_slow(struct leash_conn *conn, const struct iovec *iov, size_t count, size_t sent)
{
	struct leash_tls_turns *turn = &turns[leash_registry_index(conn)];
	const int64_t now_ms = leash_now_ns() / LEASH_MS_NS;

	if (conn->phase == LEASH_PHASE_CONNECT && !conn->undecided)
		raw(conn);		/* so it is connected */
	for (size_t i = 0; i < count && sent > 0; i++) {
		const size_t part = iov[i].iov_len < sent ? iov[i].iov_len : sent;
		const uint8_t *at = iov[i].iov_base;

		if (part == 0)
			continue;
		if (conn->undecided && !decide(conn, at, part))
			raw(conn);
		if (conn->phase != LEASH_PHASE_HELLO)
			return;
		leash_tls_turns_out(turn, at, part, now_ms);
		sent -= part;
	}
}

void leash_timing_answer(struct leash_conn *conn, const struct iovec *iov, size_t count, size_t got)
{
	struct leash_tls_turns *turn = &turns[leash_registry_index(conn)];
	int64_t now_ms;
	bool answer = false;

	switch (conn->phase) {
	case LEASH_PHASE_OPEN:
	case LEASH_PHASE_IDLE:
		return;
	case LEASH_PHASE_HELLO:
		now_ms = leash_now_ns() / LEASH_MS_NS;
		for (size_t i = 0; i < count && got > 0; i++) {
			const size_t part = iov[i].iov_len < got ? iov[i].iov_len : got;

			answer |= leash_tls_turns_in(turn, iov[i].iov_base, part, now_ms);
			got -= part;
		}
		if (!answer)
			return;
		break;
	}
	answered(conn);
}

ssize_t leash_timing_failed(struct leash_conn *conn, int fd, ssize_t ret)
{
	int error;

	if (ret < 0 && ret != -ECONNRESET && ret != -EPIPE && ret != -ETIMEDOUT && ret != -ENOTCONN &&
	    ret != -ECONNABORTED && ret != -EINVAL)
		return ret;
	error = over(conn, fd);
	if (error < 0)
		return error;
	/* The peer has ended it: nothing is waited for any more. */
	if (conn->stream && (ret == 0 || ret == -ECONNRESET || ret == -EPIPE) &&
	    !LEASH_CONN_ENDED(leash_registry_state(conn)) && leash_registry_same(conn, fd))
		done(conn);
	return ret;
}

/* ------------------------------------------------------------------------------ look-ups */

struct leash_conn *leash_timing_lookup(const char *name, uint8_t lists, const void *frame,
				       int *ret_error)
{
	const int64_t now_ns = leash_now_ns();
	struct leash_conn *conn;

	const int32_t thread = (int32_t)LEASH_SYS(SYS_gettid);

	*ret_error = 0;
	if (!leash_image_get() || leash_proc_foreign())
		return NULL;
	/* What this thread left by siglongjmp(): its frame is gone, or it would lie above this one. */
	for (uint32_t i = 0; i < leash_registry_high(); i++) {
		conn = leash_registry_at(i);
		if (leash_registry_state(conn) >= LEASH_CONN_LOOKUP && !conn->cookie &&
		    atomic_load_explicit(&conn->fd, memory_order_relaxed) == thread &&
		    leash_conn_more(conn)->frame <= (uintptr_t)frame)
			leash_registry_give(conn);
	}
	conn = leash_registry_take();
	if (!conn) {
		*ret_error = -ENOBUFS;
		return NULL;
	}
	conn->lists = lists;
	leash_conn_more(conn)->frame = (uintptr_t)frame;
	leash_conn_more(conn)->dns_name[0] = leash_names_intern(name);
	atomic_store(&conn->fd, thread);
	leash_registry_set_state(conn, LEASH_CONN_LOOKUP);
	*ret_error = pending(conn, LEASH_PHASE_WAIT, now_ns, limit_at(conn, now_ns), "getaddrinfo");
	if (*ret_error == 0) {
		leash_board_name(conn, LEASH_PENDING_RESOLVE, leash_conn_more(conn)->dns_name[0]);
		return conn;
	}
	leash_registry_set_state(conn, LEASH_CONN_FREE);
	return NULL;
}

int leash_timing_looked_up(struct leash_conn *conn, const char *name)
{
	const int error = leash_timing_errno(conn);
	const uint32_t hash = hash_of(name);
	const int64_t start_ns = atomic_load(&conn->start_ns), end_ns = leash_now_ns();

	if (!error) {
		atomic_store(&looked_up[hash % LOOKED_UP].name, 0);
		atomic_store(&looked_up[hash % LOOKED_UP].start_ns, start_ns);
		atomic_store(&looked_up[hash % LOOKED_UP].end_ns, end_ns);
		atomic_store(&looked_up[hash % LOOKED_UP].name, hash);
		atomic_store(&last_looked_up_ns, end_ns);
	}
	leash_registry_give(conn);
	return -error;
}
