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

#define LEASH_CONN_MAX 4096	/* a process; past it connect() fails with ENOBUFS */
#define LEASH_DNS_PENDING 8	/* questions of one socket that wait for their answer */

enum leash_conn_state {		/* what they mean: conn/conn.h */
	LEASH_CONN_FREE,
	LEASH_CONN_CLAIMED,
	LEASH_CONN_SNIFFING,
	LEASH_CONN_OPEN,
	LEASH_CONN_DATAGRAM,
	LEASH_CONN_DNS,
	LEASH_CONN_DENIED,
	LEASH_CONN_NUM_STATES
};

struct leash_conn {
	_Atomic uint32_t state;
	_Atomic uint32_t refs;		/* descriptor numbers of this process that point here */
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
	uint32_t host;			/* in the session page's table */
	uint32_t sniff;			/* buffer + 1, 0: none */
	uint32_t sniff_len;		/* bytes of it that the kernel took */
	/* The last destination that was admitted on an unconnected UDP socket */
	uint8_t last_addr[24];
	uint16_t last_port;
	uint8_t last_good, last_dns;
	uint32_t last_generation;
	uint16_t dns_id[LEASH_DNS_PENDING], dns_type[LEASH_DNS_PENDING];
	uint32_t dns_name[LEASH_DNS_PENDING];	/* names arena offset + 1, 0: none */
	uint32_t dns_next;
};

/** leash_registry_of() - The connection behind a number, or NULL. No system call below 65536 */
struct leash_conn *leash_registry_of(int fd);

/** leash_registry_same() - Is it still that socket? One getsockopt() */
bool leash_registry_same(const struct leash_conn *conn, int fd);

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

static inline enum leash_conn_state leash_registry_state(const struct leash_conn *conn)
{
	return (enum leash_conn_state)atomic_load_explicit(&conn->state, memory_order_acquire);
}

/** leash_registry_foreign() - Must this thread leave the table alone? core/proc.h */
static inline bool leash_registry_foreign(void)
{
	return leash_proc_foreign();
}

#endif
