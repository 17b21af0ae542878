/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "shim/core/fdtab.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"
#include "shim/life/registry.h"

static struct leash_conn table[LEASH_CONN_MAX];
static _Atomic uint32_t hand;		/* where the next search starts */

static const char *const state_name[] = {"free", "claimed",  "sniffing", "open",
					 "datagram", "dns",	   "denied"};
_Static_assert(sizeof(state_name) / sizeof(*state_name) == LEASH_CONN_NUM_STATES,
	       "name every state");

void leash_registry_set_state(struct leash_conn *conn, enum leash_conn_state to)
{
	leash_trace(CONN, "slot ", (long)(conn - table), state_name[to]);
	atomic_store_explicit(&conn->state, to, memory_order_release);
}

struct leash_conn *leash_registry_of(int fd)
{
	uint64_t cookie;

	if ((unsigned int)fd < LEASH_FD_MAX) {
		const uint16_t slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_acquire);

		return slot ? &table[slot - 1] : NULL;
	}
	cookie = leash_fd_cookie(fd);
	for (size_t i = 0; cookie && i < LEASH_CONN_MAX; i++)
		if (table[i].cookie == cookie &&
		    atomic_load_explicit(&table[i].state, memory_order_acquire) > LEASH_CONN_CLAIMED)
			return &table[i];
	return NULL;
}

bool leash_registry_same(const struct leash_conn *conn, int fd)
{
	return leash_fd_cookie(fd) == conn->cookie;
}

static struct leash_conn *take_free(void)
{
	const uint32_t start = atomic_fetch_add_explicit(&hand, 1, memory_order_relaxed);

	for (uint32_t i = 0; i < LEASH_CONN_MAX; i++) {
		struct leash_conn *conn = &table[(start + i) % LEASH_CONN_MAX];
		uint32_t state = LEASH_CONN_FREE;

		if (atomic_load_explicit(&conn->state, memory_order_relaxed) == LEASH_CONN_FREE &&
		    atomic_compare_exchange_strong(&conn->state, &state, LEASH_CONN_CLAIMED))
			return conn;
	}
	return NULL;
}

/* Numbers that libc closed behind our back still point to slots: let those go. */
static void sweep(void)
{
	for (int fd = 0; fd < LEASH_FD_MAX; fd++) {
		const uint16_t slot = atomic_load_explicit(&leash_fd_slot[fd], memory_order_relaxed);

		if (slot && !leash_registry_same(&table[slot - 1], fd)) {
			leash_registry_detach(fd);
			leash_fd_set(fd, leash_fd_probe(fd) ? leash_fd_probe(fd) | LEASH_FD_JUDGE : 0);
		}
	}
}

struct leash_conn *leash_registry_claim(int fd, uint64_t cookie)
{
	struct leash_conn *conn;

	leash_registry_detach(fd);
	conn = take_free();
	if (!conn) {
		sweep();
		conn = take_free();
	}
	if (!conn)
		return NULL;
	/* Everything but state and refs starts from zero. */
	atomic_store_explicit(&conn->refs, 0, memory_order_relaxed);
	__builtin_memset((char *)conn + offsetof(struct leash_conn, cookie), 0,
			 sizeof(*conn) - offsetof(struct leash_conn, cookie));
	conn->cookie = cookie;
	leash_registry_attach(fd, conn);
	return conn;
}

void leash_registry_attach(int fd, struct leash_conn *conn)
{
	if ((unsigned int)fd >= LEASH_FD_MAX)
		return;			/* found by cookie */
	atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&leash_fd_slot[fd], (uint16_t)(conn - table + 1),
			      memory_order_release);
}

struct leash_conn *leash_registry_detach(int fd)
{
	struct leash_conn *conn;
	uint16_t slot;

	if ((unsigned int)fd >= LEASH_FD_MAX)
		return NULL;
	slot = atomic_exchange_explicit(&leash_fd_slot[fd], 0, memory_order_acq_rel);
	if (!slot)
		return NULL;
	conn = &table[slot - 1];
	if (atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	leash_registry_set_state(conn, LEASH_CONN_FREE);
	return conn;
}
