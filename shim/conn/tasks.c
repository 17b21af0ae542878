/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/session.h"
#include "shim/conn/tasks.h"
#include "shim/conn/timing.h"
#include "shim/core/log.h"
#include "shim/core/proc.h"
#include "shim/core/sys.h"
#include "shim/life/places.h"

_Static_assert(LEASH_SESSION_PLACES == LEASH_LIMIT_MAX, "a limit is so many places");
_Static_assert(LEASH_LIST_DOWNLOAD + 1 == LEASH_SESSION_CLASSES, "the classes are the first lists");

static uint8_t classes_of(uint8_t lists)
{
	return lists & LEASH_LISTS_TLS ? lists & LEASH_LISTS_TLS : LEASH_LIST_BIT(LEASH_LIST_REQUEST);
}

static enum leash_list first_of(uint8_t classes)
{
	unsigned int list = LEASH_LIST_REQUEST;

	while (list < LEASH_LIST_DOWNLOAD && !(classes & LEASH_LIST_BIT(list)))
		list++;
	return (enum leash_list)list;
}

/* Is there a place for it? Then it has it. @move: it holds one already */
static bool take(struct leash_conn *conn, const struct leash_settings *settings, uint8_t classes, bool move)
{
	struct leash_tasks *tasks = &leash_session_get()->tasks;

	for (uint32_t list = LEASH_LIST_REQUEST; list <= LEASH_LIST_DOWNLOAD; list++) {
		const uint32_t limit = settings->limit[list];

		if (!(classes & LEASH_LIST_BIT(list)))
			continue;
		if (limit == 0) {
			leash_place_give(conn);
			return true;
		}
		if (leash_unlikely(atomic_load_explicit(&tasks->limit[list], memory_order_relaxed) != limit))
			atomic_store_explicit(&tasks->limit[list], limit, memory_order_relaxed);
		if (move ? leash_place_move(conn, list, limit) : leash_place_take(conn, list, limit))
			return true;
	}
	return false;
}

static void sweep(const struct leash_settings *settings, uint8_t classes, bool now, bool ours)
{
	for (uint32_t list = LEASH_LIST_REQUEST; list <= LEASH_LIST_DOWNLOAD; list++)
		if (classes & LEASH_LIST_BIT(list))
			leash_place_sweep(leash_session_get(), list, settings->limit[list], now, ours);
}

/* -------------------------------------------------------------------------------- saying */

struct words {
	char rule[64], hint[192];
};

/* The verdict about one too many, in words. @refuse: false: it goes on, whatever the policy says */
static void judge(struct leash_gate *gate, enum leash_list list, bool refuse, struct words *words)
{
	const struct leash_settings *settings = leash_image_settings(gate->image);
	struct leash_verdict v = leash_policy_tasks(gate->image, list, settings->limit[list]);
	const size_t size = sizeof(words->hint);
	char *hint = words->hint;
	size_t len;

	if (!refuse) {
		v.action = LEASH_ALLOW;
		v.would = true;
	}
	v.entry = gate->verdict.entry;
	v.lists = gate->verdict.lists;
	leash_gate_judge(gate, v);
	len = leash_text_put(words->rule, sizeof(words->rule), 0, "limits.");
	leash_text_put(words->rule, sizeof(words->rule), len, leash_list_text[list]);
	len = leash_text_put_uint(hint, size, 0, settings->limit[list]);
	len = leash_text_put(hint, size, len, list == LEASH_LIST_SOCKET ? " open " : " in flight ");
	len = leash_text_put(hint, size, len, "are the limit of ");
	len = leash_text_put(hint, size, len, leash_list_api[list]);
	leash_text_put(hint, size, len, ": wait for one to end, or set limits.over = \"queue\"");
	gate->rule_text = words->rule;
	gate->hint_text = words->hint;
}

static int say(const struct leash_gate *gate, enum leash_list list, bool refuse)
{
	struct leash_gate about = *gate;
	struct words words;

	judge(&about, list, refuse, &words);
	return leash_gate_settle(&about);
}

/* ------------------------------------------------------------------------------- waiting */

static bool is_blocking(int fd)
{
	const long flags = LEASH_SYS(SYS_fcntl, fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK);
}

/* The socket hears nothing: the kernel drops what comes for it, before it is looked at, so that a connect()
 * stays in progress. Nothing is lost: the other side, or we, send it again. */
static int deafen(int fd)
{
	struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
	const struct sock_fprog program = {.len = 1, .filter = &nothing};

	return (int)LEASH_SYS(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void undeafen(int fd)
{
	const int none = 0;

	LEASH_SYS(SYS_setsockopt, fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}

static void stand_in_line(struct leash_conn *conn, uint8_t classes, uint32_t how)
{
	struct leash_session *page = leash_session_get();

	conn->wait_lists = classes;
	atomic_store(&conn->waits, how);
	/* Our watcher looks at once: whoever freed a place a moment ago did not know of us. */
	leash_place_wait(page);
	leash_background_nudge(page);
}

/* Until the watcher has a place for it, or ends it. It never polls: the kernel wakes it. */
static int sleep_in_line(struct leash_conn *conn, int fd, uint8_t classes, bool connecting)
{
	const uint64_t cookie = conn->cookie;
	uint32_t thread = LEASH_WAITS_THREAD;

	stand_in_line(conn, classes, LEASH_WAITS_THREAD);
	while (atomic_load(&conn->waits) == LEASH_WAITS_THREAD) {
		/* Goes on by itself behind a handler with SA_RESTART, as connect() does. */
		if (LEASH_SYS(SYS_futex, &conn->waits, FUTEX_WAIT_PRIVATE, LEASH_WAITS_THREAD, NULL, NULL,
			      0) != -EINTR)
			continue;
		if (!connecting)
			continue;	/* nothing was sent that could go on by itself */
		/* The connection goes on behind the program's back (POSIX, connect()): in line like one that
		 * does not block. */
		if (deafen(fd) == 0 &&
		    atomic_compare_exchange_strong(&conn->waits, &thread, LEASH_WAITS_SOCKET))
			return -EINTR;
		undeafen(fd);
		thread = LEASH_WAITS_THREAD;
	}
	if (conn->cookie != cookie || !leash_registry_same(conn, fd))
		return -EBADF;		/* closed by another thread */
	if (leash_timing_errno(conn))
		return -leash_timing_errno(conn);
	return atomic_load(&conn->place) ? 0 : -EINTR;
}

/* Older first, in this process. (Between processes it is whoever comes first.) */
static bool is_next(const struct leash_conn *conn)
{
	const int64_t start_ns = atomic_load_explicit(&conn->start_ns, memory_order_relaxed);

	for (uint32_t i = 0; i < leash_registry_high(); i++) {
		const struct leash_conn *other = leash_registry_at(i);
		const int64_t since_ns = atomic_load_explicit(&other->start_ns, memory_order_relaxed);

		if (other != conn && atomic_load(&other->waits) &&
		    (other->wait_lists & conn->wait_lists) &&
		    (since_ns < start_ns || (since_ns == start_ns && other < conn)))
			return false;
	}
	return true;
}

void leash_tasks_look(struct leash_conn *conn)
{
	const struct leash_image *image = leash_image_get();
	struct leash_session *page = leash_session_get();
	uint32_t how = atomic_load(&conn->waits);

	if (how == LEASH_WAITS_NOT || !image)
		return;
	leash_place_wait(page);
	sweep(leash_image_settings(image), conn->wait_lists, false, false);
	if (!is_next(conn) || !take(conn, leash_image_settings(image), conn->wait_lists,
				    atomic_load(&conn->place) != 0))
		return;
	conn->wait_lists = 0;
	how = atomic_exchange(&conn->waits, LEASH_WAITS_NOT);
	if (how == LEASH_WAITS_SOCKET)
		leash_watcher_use(conn, undeafen);
	else if (how == LEASH_WAITS_THREAD)
		leash_place_rouse(conn);
	else
		leash_place_give(conn);		/* over meanwhile */
	/* There may be a place for the next one as well. */
	leash_background_nudge(page);
}

void leash_tasks_drop(struct leash_conn *conn, int fd)
{
	uint32_t socket = LEASH_WAITS_SOCKET;

	if (atomic_compare_exchange_strong(&conn->waits, &socket, LEASH_WAITS_NOT) && fd >= 0)
		undeafen(fd);
	leash_tasks_end(conn);
}

/* --------------------------------------------------------------------------------- tasks */

int leash_tasks_begin(struct leash_conn *conn, int fd, uint8_t lists, const struct leash_gate *gate)
{
	const struct leash_image *image = gate->image;
	const uint8_t classes = classes_of(lists);
	const struct leash_settings *settings;
	bool queues;

	if (!image || leash_proc_foreign() || atomic_load(&conn->place))
		return 0;
	settings = leash_image_settings(image);
	if (leash_likely(take(conn, settings, classes, false)))
		return 0;
	queues = leash_policy_queues(image);
	sweep(settings, classes, settings->limits_over != LEASH_OVER_WARN, true);
	if (take(conn, settings, classes, false))
		return 0;
	if (!queues) {
		conn->over = 1;			/* if it goes on, that was recorded */
		return say(gate, first_of(classes), true);
	}
	if (!is_blocking(fd) && deafen(fd) == 0) {
		stand_in_line(conn, classes, LEASH_WAITS_SOCKET);
		return 0;
	}
	return sleep_in_line(conn, fd, classes, true);
}

int leash_tasks_request(struct leash_conn *conn, int fd, uint8_t lists, const char *call)
{
	const struct leash_image *image = leash_image_get();
	const uint8_t classes = classes_of(lists);
	const int held = leash_place_class(conn);
	const struct leash_settings *settings;
	struct leash_gate gate;
	bool queues;

	if (fd < 0)
		fd = atomic_load(&conn->fd);
	if (!image || leash_proc_foreign() || (held >= 0 && (classes & LEASH_LIST_BIT(held))))
		return 0;
	settings = leash_image_settings(image);
	if (leash_likely(take(conn, settings, classes, held >= 0)) || (held < 0 && conn->over))
		return 0;
	sweep(settings, classes, settings->limits_over != LEASH_OVER_WARN, true);
	if (take(conn, settings, classes, held >= 0))
		return 0;
	queues = leash_policy_queues(image);
	if (queues && is_blocking(fd))
		return sleep_in_line(conn, fd, classes, false);
	leash_conn_gate(&gate, conn, call);
	return gate.image ? say(&gate, first_of(classes), !queues) : 0;
}

/* The one that it holds is of another class now. */
static bool moved(struct leash_conn *conn, const struct leash_image *image, uint8_t classes)
{
	const int held = leash_place_class(conn);

	return !image || held < 0 || (classes & LEASH_LIST_BIT(held)) ||
	       take(conn, leash_image_settings(image), classes, true);
}

void leash_tasks_class(struct leash_conn *conn, uint8_t lists)
{
	const struct leash_image *image = leash_image_get();
	const uint8_t classes = classes_of(lists);
	struct leash_gate gate;
	struct words words;

	if (leash_proc_foreign() || moved(conn, image, classes))
		return;
	sweep(leash_image_settings(image), classes, leash_image_settings(image)->limits_over != LEASH_OVER_WARN,
	      true);
	if (moved(conn, image, classes))
		return;
	leash_conn_gate(&gate, conn, leash_list_api[first_of(classes)]);
	if (!gate.image)
		return;
	judge(&gate, first_of(classes), !leash_policy_queues(image), &words);
	leash_conn_deny(conn, atomic_load(&conn->fd), &gate);
}

void leash_tasks_opened(struct leash_conn *conn)
{
	moved(conn, leash_image_get(), LEASH_LIST_BIT(LEASH_LIST_SOCKET));
}

void leash_tasks_turn(struct leash_conn *conn)
{
	const struct leash_image *image = leash_image_get();

	if (image && !leash_proc_foreign() && !atomic_load(&conn->place))
		take(conn, leash_image_settings(image), classes_of(conn->lists), false);
}

void leash_tasks_end(struct leash_conn *conn)
{
	conn->over = 0;
	leash_place_give(conn);
}

/* ----------------------------------------------------------------------------- raw TCP */

/* Is it one of those that the window has room for? Else @about is what to say of it. */
static bool within_window(const struct leash_gate *gate, struct leash_gate *about, struct words *words)
{
	struct leash_tasks *tasks = &leash_session_get()->tasks;
	const struct leash_settings *settings;
	const int64_t now_ns = leash_now_ns();
	const size_t size = sizeof(words->hint);
	int64_t window_ns, made_ns;
	char *hint = words->hint;
	uint32_t limit;
	size_t len;

	if (!gate->image)
		return true;
	settings = leash_image_settings(gate->image);
	limit = settings->tcp_new_max < LEASH_SESSION_PLACES ? settings->tcp_new_max : LEASH_SESSION_PLACES;
	window_ns = (int64_t)settings->tcp_new_window_s * 1000 * LEASH_MS_NS;
	if (limit == 0)
		return true;
	for (uint32_t i = 0; i < limit; i++) {
		made_ns = atomic_load_explicit(&tasks->tcp_new[i], memory_order_relaxed);
		if ((made_ns == 0 || now_ns - made_ns >= window_ns) &&
		    atomic_compare_exchange_strong(&tasks->tcp_new[i], &made_ns, now_ns))
			return true;
	}
	*about = *gate;
	leash_gate_judge(about, leash_policy_new_tcp(gate->image, limit));
	about->verdict.entry = gate->verdict.entry;
	len = leash_text_put_uint(hint, size, 0, limit);
	len = leash_text_put(hint, size, len, " raw TCP connections were made within ");
	len = leash_text_put_uint(hint, size, len, settings->tcp_new_window_s);
	leash_text_put(hint, size, len, " s, and that is the limit: keep them open, or make fewer");
	about->rule_text = "limits.tcp";
	about->hint_text = hint;
	return false;
}

int leash_tasks_tcp(const struct leash_gate *gate)
{
	struct leash_gate about;
	struct words words;

	return within_window(gate, &about, &words) ? 0 : leash_gate_settle(&about);
}

int leash_tasks_raw(struct leash_conn *conn, int fd, const struct leash_gate *gate)
{
	struct leash_gate about;
	struct words words;

	return within_window(gate, &about, &words) ? 0 : leash_conn_deny(conn, fd, &about);
}
