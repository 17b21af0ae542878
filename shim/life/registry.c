/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "shim/core/fdtab.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"
#include "shim/life/aside.h"
#include "shim/life/background.h"
#include "shim/life/registry.h"
#include "shim/life/watcher.h"

struct leash_conn leash_conn_table[LEASH_CONN_MAX];
#define table leash_conn_table
static struct leash_conn_more more[LEASH_CONN_MAX];
static _Atomic uint32_t hand;		/* no free slot is known below it: the used ones stay close together */
static _Atomic uint32_t high;		/* slots that were ever used */
static _Atomic int high_fd = -1;	/* the highest number that was ever attached */

static const char *const state_name[] = {"free", "claimed",  "sniffing", "flight", "open",
					 "datagram", "dns",	   "denied",  "lookup", "expired",
					 "interrupted"};
_Static_assert(sizeof(state_name) / sizeof(*state_name) == LEASH_CONN_NUM_STATES,
	       "name every state");

void leash_registry_set_state(struct leash_conn *conn, enum leash_conn_state to)
{
	uint32_t word = atomic_load_explicit(&conn->state, memory_order_relaxed);

	leash_trace(CONN, "slot ", (long)(conn - table), state_name[to]);
	/* Nobody waits for it any more. */
	if ((to == LEASH_CONN_FREE || to == LEASH_CONN_DENIED) &&
	    atomic_exchange_explicit(&conn->deadline_ns, 0, memory_order_relaxed) != 0)
		leash_watcher_touch();
	if (to == LEASH_CONN_FREE)
		leash_board_free(conn);
	do {
		/* What was ended stays so: a thread that was judging it comes too late. */
		if (LEASH_CONN_ENDED(word & LEASH_CONN_STATE_MASK) && to != LEASH_CONN_FREE)
			return;
	} while (!atomic_compare_exchange_weak_explicit(&conn->state, &word,
							(word & ~LEASH_CONN_STATE_MASK) | to,
							memory_order_release, memory_order_relaxed));
	if (to == LEASH_CONN_FREE) {
		const uint32_t index = (uint32_t)(conn - table);
		uint32_t now = atomic_load_explicit(&hand, memory_order_relaxed);

		while (now > index && !atomic_compare_exchange_weak(&hand, &now, index))
			;
	}
}

uint32_t leash_registry_high(void)
{
	return atomic_load_explicit(&high, memory_order_acquire);
}

uint32_t leash_registry_index(const struct leash_conn *conn)
{
	return (uint32_t)(conn - table);
}

struct leash_conn_more *leash_conn_more(struct leash_conn *conn)
{
	struct leash_conn_more *const ret = &more[conn - table];

	if (!conn->more) {
		__builtin_memset(ret, 0, sizeof(*ret));
		conn->more = 1;
	}
	return ret;
}

struct leash_conn *leash_registry_at(uint32_t index)
{
	return &table[index % LEASH_CONN_MAX];
}

int leash_registry_number(const struct leash_conn *conn, int fd)
{
	const uint16_t slot = (uint16_t)(conn - table + 1);

	for (const int last = atomic_load_explicit(&high_fd, memory_order_acquire); fd <= last; fd++)
		if (atomic_load_explicit(&leash_fd_slot[fd], memory_order_acquire) == slot)
			return fd;
	return -1;
}

struct leash_conn *leash_registry_of(int fd)
{
	uint64_t cookie;

	if ((unsigned int)fd < LEASH_FD_MAX) {
		const uint16_t slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_acquire);

		return slot && !leash_registry_foreign() ? &table[slot - 1] : NULL;
	}
	cookie = leash_fd_cookie(fd);
	for (uint32_t i = 0; cookie && i < leash_registry_high(); i++)
		if (table[i].cookie == cookie && leash_registry_state(&table[i]) > LEASH_CONN_CLAIMED)
			return &table[i];
	return NULL;
}

bool leash_registry_same(const struct leash_conn *conn, int fd)
{
	return leash_fd_cookie(fd) == conn->cookie;
}

bool leash_registry_still(const struct leash_conn *conn, int fd)
{
	const int process = leash_aside_process();
	bool ret;

	if (process < 0)
		return leash_registry_same(conn, fd);
	fd = leash_aside_fetch(process, fd);
	ret = fd >= 0 && leash_registry_same(conn, fd);
	if (fd >= 0)
		leash_sys_close(fd);
	return ret;
}

static struct leash_conn *take_free(void)
{
	const uint32_t start = atomic_load_explicit(&hand, memory_order_relaxed);

	for (uint32_t i = 0; i < LEASH_CONN_MAX; i++) {
		struct leash_conn *conn = &table[(start + i) % LEASH_CONN_MAX];
		const uint32_t index = (uint32_t)(conn - table);
		uint32_t word = atomic_load_explicit(&conn->state, memory_order_relaxed);
		uint32_t seen = start;

		if ((word & LEASH_CONN_STATE_MASK) != LEASH_CONN_FREE ||
		    !atomic_compare_exchange_strong(&conn->state, &word,
						    word + LEASH_CONN_STATE_MASK + 1 + LEASH_CONN_CLAIMED))
			continue;
		atomic_compare_exchange_strong(&hand, &seen, index + 1);
		seen = atomic_load_explicit(&high, memory_order_relaxed);
		while (seen <= index && !atomic_compare_exchange_weak(&high, &seen, index + 1))
			;
		return conn;
	}
	return NULL;
}

/*
 * Numbers that libc closed behind our back still point to slots: let those go. Sockets past the table
 * are found by cookie and cannot be looked for: they are judged again when next used.
 */
static void sweep(void)
{
	const pid_t pid = leash_sys_getpid();

	/* Look-ups of threads that are gone */
	for (struct leash_conn *conn = table; conn < table + LEASH_CONN_MAX; conn++)
		if (leash_registry_state(conn) >= LEASH_CONN_LOOKUP && !conn->cookie &&
		    LEASH_SYS(SYS_tgkill, pid, atomic_load(&conn->fd), 0) == -ESRCH)
			leash_registry_set_state(conn, LEASH_CONN_FREE);
	for (struct leash_conn *conn = table; conn < table + LEASH_CONN_MAX; conn++)
		if (leash_registry_state(conn) > LEASH_CONN_CLAIMED && conn->cookie &&
		    atomic_load_explicit(&conn->refs, memory_order_relaxed) == 0)
			leash_registry_set_state(conn, LEASH_CONN_FREE);
	for (int fd = 0; fd < LEASH_FD_MAX; fd++) {
		const uint16_t slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_relaxed);
		uint8_t flags;

		if (slot && !leash_registry_same(&table[slot - 1], fd)) {
			leash_registry_detach(fd);
			flags = leash_fd_probe(fd);
			leash_fd_set(fd, flags ? flags | LEASH_FD_JUDGE : 0);
		}
	}
}

struct leash_conn *leash_registry_take(void)
{
	struct leash_conn *conn = take_free();

	if (!conn) {
		sweep();
		conn = take_free();
	}
	if (!conn)
		return NULL;
	atomic_store_explicit(&conn->refs, 0, memory_order_relaxed);
	atomic_store_explicit(&conn->orphan, 0, memory_order_relaxed);
	__builtin_memset((char *)conn + offsetof(struct leash_conn, cookie), 0,
			 sizeof(*conn) - offsetof(struct leash_conn, cookie));
	return conn;
}

struct leash_conn *leash_registry_claim(int fd, uint64_t cookie)
{
	struct leash_conn *conn;

	if (leash_registry_foreign())
		return NULL;		/* the table is the parent's */
	leash_registry_detach(fd);
	conn = leash_registry_take();
	if (!conn)
		return NULL;
	conn->cookie = cookie;
	atomic_store_explicit(&conn->fd, fd, memory_order_relaxed);
	leash_registry_attach(fd, conn);
	return conn;
}

void leash_registry_attach(int fd, struct leash_conn *conn)
{
	int seen = atomic_load_explicit(&high_fd, memory_order_relaxed);

	if ((unsigned int)fd >= LEASH_FD_MAX || leash_registry_foreign())
		return;			/* found by cookie */
	while (seen < fd && !atomic_compare_exchange_weak(&high_fd, &seen, fd))
		;
	atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&leash_fd_slot[fd], (uint16_t)(conn - table + 1),
			      memory_order_release);
}

/* The last number is gone: the slot is free, or left to the watcher that holds it */
static void give_back(struct leash_conn *conn)
{
	if (atomic_load(&conn->held)) {
		atomic_store(&conn->orphan, 1);
		/* Let go in between: one of the two finds the mark. */
		if (atomic_load(&conn->held) || !atomic_exchange(&conn->orphan, 0))
			return;
	}
	leash_registry_set_state(conn, LEASH_CONN_FREE);
}

void leash_registry_give(struct leash_conn *conn)
{
	give_back(conn);
}

struct leash_conn *leash_registry_detach(int fd)
{
	struct leash_conn *conn;
	uint16_t slot;

	if (leash_registry_foreign())
		return NULL;
	if ((unsigned int)fd >= LEASH_FD_MAX) {
		/* No number points to it; another that does keeps it. */
		conn = leash_registry_of(fd);
		if (!conn || atomic_load_explicit(&conn->refs, memory_order_relaxed) != 0)
			return NULL;
		give_back(conn);
		return conn;
	}
	slot = atomic_exchange_explicit(&leash_fd_slot[fd], 0, memory_order_acq_rel);
	if (!slot)
		return NULL;
	conn = &table[slot - 1];
	if (atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	give_back(conn);
	return conn;
}

uint32_t leash_registry_hold(struct leash_conn *conn)
{
	atomic_fetch_add(&conn->held, 1);
	return atomic_load(&conn->state);
}

bool leash_registry_end(struct leash_conn *conn, uint32_t word, enum leash_conn_state why)
{
	const uint32_t ended = (word & ~LEASH_CONN_STATE_MASK) | why;

	leash_trace(CONN, "slot ", (long)(conn - table), state_name[why]);
	return atomic_compare_exchange_strong(&conn->state, &word, ended);
}

void leash_registry_release(struct leash_conn *conn)
{
	if (atomic_fetch_sub(&conn->held, 1) == 1 && atomic_exchange(&conn->orphan, 0))
		leash_registry_set_state(conn, LEASH_CONN_FREE);
}

void leash_registry_judge_ended(void)
{
	const int last = atomic_load_explicit(&high_fd, memory_order_acquire);

	for (int fd = 0; fd <= last; fd++) {
		const uint16_t slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_acquire);

		if (slot && LEASH_CONN_ENDED(leash_registry_state(&table[slot - 1])))
			leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_JUDGE);
	}
}

void leash_registry_forget(struct leash_conn *conn)
{
	for (int fd = leash_registry_number(conn, 0); fd >= 0;
	     fd = leash_registry_number(conn, fd + 1)) {
		if (leash_registry_still(conn, fd))
			continue;
		/* What it is now its next call asks. */
		leash_registry_detach(fd);
		leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_JUDGE);
	}
}
