/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stddef.h>

#include "shim/core/clock.h"
#include "shim/core/sys.h"
#include "shim/life/background.h"
#include "shim/life/deadline.h"
#include "shim/life/places.h"
#include "shim/life/registry.h"
#include "shim/life/watcher.h"

/*
 * What stands in a place: the process above, below the slot of its table, and how often that slot was used.
 * Slots are 14 bits, so 18 of the count are left: a slot that was used 262144 times meanwhile may give
 * back what it does not hold, and then a limit is one too generous for as long as that task lasts.
 */
#define INDEX_BITS 14
_Static_assert(LEASH_CONN_MAX <= 1 << INDEX_BITS, "a slot fits into a place");

static uint64_t key_of(const struct leash_conn *conn)
{
	const uint32_t used = (atomic_load_explicit(&conn->state, memory_order_relaxed) >> 8)
			      << INDEX_BITS;

	return (uint64_t)(uint32_t)leash_watcher_pid() << 32 | used | leash_registry_index(conn);
}

static pid_t holder_of(uint64_t place)
{
	return (pid_t)(place >> 32);
}

static uint32_t bounded(uint32_t limit)
{
	return limit < LEASH_SESSION_PLACES ? limit : LEASH_SESSION_PLACES;
}

bool leash_place_take(struct leash_conn *conn, uint32_t class, uint32_t limit)
{
	struct leash_session *page = leash_background_get();
	const uint64_t key = key_of(conn);

	if (!page || class >= LEASH_SESSION_CLASSES)
		return false;
	limit = bounded(limit);
	for (uint32_t i = 0; i < limit; i++) {
		uint64_t empty = 0;

		if (atomic_load_explicit(&page->tasks.place[class][i], memory_order_relaxed) != 0 ||
		    !atomic_compare_exchange_strong(&page->tasks.place[class][i], &empty, key))
			continue;
		atomic_store(&conn->place, (uint16_t)(class * LEASH_SESSION_PLACES + i + 1));
		return true;
	}
	return false;
}

static void empty(struct leash_session *page, uint32_t at, uint64_t key)
{
	_Atomic uint64_t *const place =
		&page->tasks.place[at / LEASH_SESSION_PLACES][at % LEASH_SESSION_PLACES];
	uint32_t waiting = 1;

	/* Either we see that somebody waits, or he finds the place when he looks once more. */
	if (atomic_compare_exchange_strong(place, &key, 0) &&
	    atomic_load(&page->tasks.waiting) != 0 &&
	    atomic_compare_exchange_strong(&page->tasks.waiting, &waiting, 0))
		leash_background_nudge(page);
}

bool leash_place_move(struct leash_conn *conn, uint32_t class, uint32_t limit)
{
	const uint16_t before = atomic_load(&conn->place);
	struct leash_session *page = leash_background_get();

	if (!page || !before || !leash_place_take(conn, class, limit))
		return false;
	empty(page, before - 1u, key_of(conn));
	return true;
}

void leash_place_give(struct leash_conn *conn)
{
	struct leash_session *page = leash_background_get();
	uint16_t at;

	if (!atomic_load_explicit(&conn->place, memory_order_relaxed))
		return;
	at = atomic_exchange(&conn->place, 0);
	if (at && page)
		empty(page, at - 1u, key_of(conn));
}

int leash_place_class(const struct leash_conn *conn)
{
	const uint16_t at = atomic_load_explicit(&conn->place, memory_order_relaxed);

	return at ? (at - 1) / LEASH_SESSION_PLACES : -1;
}

uint32_t leash_place_count(const struct leash_session *page, uint32_t class, uint32_t limit)
{
	uint32_t count = 0;

	limit = bounded(limit);
	for (uint32_t i = 0; class < LEASH_SESSION_CLASSES && i < limit; i++)
		count += atomic_load_explicit(&page->tasks.place[class][i], memory_order_relaxed) != 0;
	return count;
}

/* A process that ended and that nobody has waited for yet still has its number: kill() finds it. */
static bool is_gone(pid_t pid)
{
	struct timespec none = {0, 0};
	struct pollfd end = {.fd = -1, .events = POLLIN};
	long ret;

	if (pid <= 0)
		return true;
	end.fd = (int)LEASH_SYS(SYS_pidfd_open, pid, 0);
	if (end.fd == -ESRCH)
		return true;
	if (end.fd < 0)			/* no such call, or no descriptor is free */
		return LEASH_SYS(SYS_kill, pid, 0) == -ESRCH;
	ret = LEASH_SYS(SYS_ppoll, &end, 1, &none, NULL, 0);
	leash_sys_close(end.fd);
	return ret == 1;
}

void leash_place_sweep(struct leash_session *page, uint32_t class, uint32_t limit, bool now, bool ours)
{
	const int64_t now_ns = leash_now_ns();
	int64_t swept_ns = atomic_load(&page->tasks.swept_ns);
	const pid_t pid = leash_watcher_pid();
	pid_t alive = pid;

	if (class >= LEASH_SESSION_CLASSES ||
	    (!now && (now_ns - swept_ns < LEASH_TICK_NS ||
		      !atomic_compare_exchange_strong(&page->tasks.swept_ns, &swept_ns, now_ns))))
		return;
	limit = bounded(limit);
	for (uint32_t i = 0; i < limit; i++) {
		uint64_t held = atomic_load(&page->tasks.place[class][i]);

		if (held == 0)
			continue;
		if (holder_of(held) == pid) {
			struct leash_conn *conn =
				leash_registry_at((uint32_t)held & ((1u << INDEX_BITS) - 1));

			/* stdio closes inside libc: the number is another file's, or nobody's. */
			if (ours && key_of(conn) == held && conn->cookie)
				leash_registry_forget(conn);
			continue;
		}
		if (holder_of(held) == alive || !is_gone(holder_of(held)))
			alive = holder_of(held);
		else
			empty(page, class * LEASH_SESSION_PLACES + i, held);
	}
}

void leash_place_forget(struct leash_session *page, pid_t pid)
{
	for (uint32_t class = 0; class < LEASH_SESSION_CLASSES; class++) {
		const uint32_t limit = bounded(
			atomic_load_explicit(&page->tasks.limit[class], memory_order_relaxed));

		for (uint32_t i = 0; i < limit; i++) {
			const uint64_t held = atomic_load_explicit(&page->tasks.place[class][i],
								   memory_order_relaxed);

			if (holder_of(held) == pid)
				empty(page, class * LEASH_SESSION_PLACES + i, held);
		}
	}
}

void leash_place_wait(struct leash_session *page)
{
	atomic_store(&page->tasks.waiting, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void leash_place_rouse(struct leash_conn *conn)
{
	LEASH_SYS(SYS_futex, &conn->waits, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void leash_place_wake(struct leash_conn *conn)
{
	if (atomic_load_explicit(&conn->waits, memory_order_relaxed) &&
	    atomic_exchange(&conn->waits, LEASH_WAITS_NOT) == LEASH_WAITS_THREAD)
		leash_place_rouse(conn);
}
