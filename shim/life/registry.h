/* SPDX-License-Identifier: MIT */
/*
 * The table of connections of a process, keyed by socket cookie; descriptor
 * numbers point into it (core/fdtab.h) and are only a hint.
 *
 * Fixed memory, no locks: a slot is claimed by compare-and-swap. A slot counts the
 * numbers that point to it; closes that happen inside libc are not seen, so a full
 * table is swept once by cookie before connect() fails with ENOBUFS.
 */
#ifndef LEASH_REGISTRY_H
#define LEASH_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/core/proc.h"

#define LEASH_CONN_MAX 16384	/* a process; past it connect() fails with ENOBUFS */
#define LEASH_DNS_PENDING 8	/* questions of one socket that wait for their answer */

enum leash_conn_state {		/* what they mean: conn/conn.h */
	LEASH_CONN_FREE,
	LEASH_CONN_CLAIMED,
	LEASH_CONN_SNIFFING,
	LEASH_CONN_FLIGHT,
	LEASH_CONN_OPEN,
	LEASH_CONN_DATAGRAM,
	LEASH_CONN_DNS,
	LEASH_CONN_DENIED,
	LEASH_CONN_LOOKUP,
	LEASH_CONN_EXPIRED,
	LEASH_CONN_INTERRUPTED,
	LEASH_CONN_NUM_STATES
};

/* Over, and nobody may take it up again but by freeing the slot */
#define LEASH_CONN_ENDED(state) ((state) >= LEASH_CONN_EXPIRED)

/* Two cache lines. Everything behind .cookie begins as zero. */
struct leash_conn {
	_Atomic uint32_t state;		/* enum leash_conn_state; above it how often the slot was used */
	_Atomic uint32_t refs;		/* descriptor numbers of this process that point here */
	_Atomic uint32_t held;		/* the watcher is at it */
	_Atomic uint32_t orphan;	/* the last number went meanwhile: the watcher frees it */
	uint64_t cookie;
	/* The peer, normal form: family, scope, 16 bytes (struct leash_addr of policy.h, but
	 * life/ does not know the policy) */
	uint8_t addr[24];
	uint16_t port;
	uint8_t stream;
	uint8_t pass;			/* what the first bytes may be */
	int32_t error;			/* DENIED: positive errno */
	uint8_t reason, rule;		/* why, for the session page */
	uint8_t mute;			/* DATAGRAM: connected, sends are refused */
	uint8_t inbound;
	uint8_t tls_free;		/* TLS on it is the program's own affair: raw TCP, loopback */
	uint32_t host;			/* in the session page's table */
	_Atomic uint32_t sniffer;	/* tid of the thread that sends first bytes now, 0: none */
	uint32_t sniff;			/* buffer + 1, 0: none */
	uint32_t sniff_len;		/* bytes of it that the kernel took */
	/*
	 * The clock (conn/timing.h decides, life/watcher.h acts). Something is pending while .deadline_ns is
	 * not 0: LEASH_NEVER if it has no limit and only the background can end it.
	 */
	_Atomic int64_t deadline_ns, start_ns;
	uint32_t own_ms;		/* limit: the program's own (0: none) */
	_Atomic uint32_t waits;		/* futex: for a place, life/places.h */
	_Atomic int32_t fd;		/* a number that pointed here lately; LOOKUP: the thread */
	uint16_t board;			/* its line on the session page + 1, 0: none */
	uint16_t lent;			/* a forked child's: the line of the process that it was pending in + 1 */
	uint8_t clock, phase;		/* conn/timing.h */
	uint8_t lists;			/* classes that it may be */
	uint8_t own_by;			/* where .own_ms comes from */
	_Atomic uint8_t told;		/* SO_ERROR has said why it ended */
	_Atomic uint8_t doubled;	/* the watcher has a duplicate of its descriptor, for microseconds if it may run */
	uint8_t undecided;		/* nothing was sent: TLS, http or raw TCP, it may be either */
	uint8_t more;			/* it has leash_conn_more() */
	uint8_t since_look;		/* the watcher's: it said on the page that this is pending */
	uint8_t wait_lists;		/* which classes it waits for */
	_Atomic uint16_t place;		/* that it holds + 1, life/places.h */
	uint16_t plain;			/* OPEN: plain http that is read, conn/plain.c; place + 1, 0: none */
	uint8_t counted;		/* raw TCP: as a new connection */
	uint8_t over;			/* its task is one too many, and that was said */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct leash_conn) == 128, "what a connection costs in memory (costs.md)");

/* What only some have: datagram sockets, those that ask name servers, look-ups. Pages of it that nobody needs are
 * never touched. */
struct leash_conn_more {
	/* The last destination that was admitted on an unconnected UDP socket */
	uint8_t last_addr[24];
	uint16_t last_port;
	uint8_t last_good, last_dns;
	uint32_t last_generation;
	uint16_t dns_id[LEASH_DNS_PENDING], dns_type[LEASH_DNS_PENDING];
	uint32_t dns_name[LEASH_DNS_PENDING];	/* names arena offset + 1, 0: none */
	uint32_t dns_next;
	uintptr_t frame;		/* LOOKUP: of the hook, on the thread's stack */
};

/** leash_conn_more() - Its own; zero when first asked for, which is done before others see the slot */
struct leash_conn_more *leash_conn_more(struct leash_conn *conn);

LEASH_OURS extern struct leash_conn leash_conn_table[LEASH_CONN_MAX];	/* for conn/swift.h; others ask below */

/** leash_registry_of() - The connection behind a number, or NULL. No system call below 65536 */
struct leash_conn *leash_registry_of(int fd);

/** leash_registry_same() - Is it still that socket? One getsockopt() */
bool leash_registry_same(const struct leash_conn *conn, int fd);

/** leash_registry_still() - The same of a number of the program's, from a thread that may have a table of
 *  descriptors of its own (aside.h) */
bool leash_registry_still(const struct leash_conn *conn, int fd);

/**
 * leash_registry_claim() - A slot for the socket behind a number, in state CLAIMED
 * What the number pointed to before is let go. Return: NULL if the table is full
 */
struct leash_conn *leash_registry_claim(int fd, uint64_t cookie);

void leash_registry_attach(int fd, struct leash_conn *conn);	/* another number: dup() */
/** leash_registry_detach() - The number no longer means this. Return: the slot if that was the last
 *  number and it was given back, for its caller to account; contents stay readable until reused */
struct leash_conn *leash_registry_detach(int fd);

void leash_registry_set_state(struct leash_conn *conn, enum leash_conn_state to);

/** leash_registry_index() - Its place in the table, 0 to LEASH_CONN_MAX - 1; and back */
uint32_t leash_registry_index(const struct leash_conn *conn);
struct leash_conn *leash_registry_at(uint32_t index);

/** leash_registry_number() - The first number from @fd on that points to it, or -1. A walk through
 *  the table of numbers: for refusals, not for the data path */
int leash_registry_number(const struct leash_conn *conn, int fd);

#define LEASH_CONN_STATE_MASK 0xffu

static inline enum leash_conn_state leash_registry_state(const struct leash_conn *conn)
{
	return (enum leash_conn_state)(atomic_load_explicit(&conn->state, memory_order_acquire) &
				       LEASH_CONN_STATE_MASK);
}

/** leash_registry_high() - No slot from here on was ever used */
uint32_t leash_registry_high(void);

/** leash_registry_take() - A slot without a number, in state CLAIMED: a look-up. NULL if the table is
 *  full. leash_registry_give() gives it back */
struct leash_conn *leash_registry_take(void);
void leash_registry_give(struct leash_conn *conn);

/*
 * For the watcher, which meets slots that others use: it holds one, so that it is not used again before
 * it is let go, and ends it only if it is still what it was.
 */
/** leash_registry_hold() - Return: the state word, for leash_registry_end() */
uint32_t leash_registry_hold(struct leash_conn *conn);
bool leash_registry_end(struct leash_conn *conn, uint32_t word, enum leash_conn_state why);
void leash_registry_release(struct leash_conn *conn);

/** leash_registry_judge_ended() - Every number of an ended connection asks the engine from now on */
void leash_registry_judge_ended(void);

/** leash_registry_forget() - Take back the numbers that are no longer this socket's */
void leash_registry_forget(struct leash_conn *conn);

/** leash_registry_foreign() - Must this thread leave the table alone? core/proc.h */
static inline bool leash_registry_foreign(void)
{
	return leash_proc_foreign();
}

#endif
