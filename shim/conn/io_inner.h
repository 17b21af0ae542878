/* SPDX-License-Identifier: MIT */
/* What the files about bytes share: io.c, io_out.c, io_in.c, datagram.c, import.c; nobody else includes it. */
#ifndef LEASH_IO_INNER_H
#define LEASH_IO_INNER_H

#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/session.h"
#include "shim/conn/timing.h"
#include "shim/core/sys.h"

static inline void leash_io_sent(const struct leash_conn *conn, ssize_t bytes)
{
	if (conn && bytes > 0)
		atomic_fetch_add_explicit(&leash_session_get()->host[conn->host].bytes_sent,
					  (uint64_t)bytes, memory_order_relaxed);
}

static inline void leash_io_received(const struct leash_conn *conn, ssize_t bytes)
{
	if (conn && bytes > 0)
		atomic_fetch_add_explicit(&leash_session_get()->host[conn->host].bytes_received,
					  (uint64_t)bytes, memory_order_relaxed);
}

/*
 * The short way, which nearly all calls take: a judged stream whose bytes nobody wants to see, nothing of it
 * due. One look at its slot, then the real call (costs.md); what does not fit goes the general way.
 */
static inline struct leash_conn *leash_io_plain(int fd)
{
	struct leash_conn *conn;

	if ((leash_fd_get(fd) & (uint8_t)~(LEASH_FD_INBOUND | LEASH_FD_TIMED)) !=
	    (LEASH_FD_INET | LEASH_FD_STREAM))
		return NULL;
	conn = leash_registry_of(fd);
	return conn && conn->phase < LEASH_PHASE_HELLO ? conn : NULL;
}

static inline int leash_io_quiet(const struct leash_conn *conn)
{
	return conn->clock == LEASH_CLOCK_NONE ? 0 : MSG_NOSIGNAL;
}

/* What a slot says of a call on its descriptor. */
enum leash_way {
	LEASH_WAY_PASS,		/* the real call */
	LEASH_WAY_HELLO,	/* through the sniffer */
	LEASH_WAY_FLIGHT,	/* a handshake that nobody answers for yet */
	LEASH_WAY_QUESTION,	/* through the DNS check */
	LEASH_WAY_HTTP,		/* http on the LAN */
	LEASH_WAY_REFUSE,	/* *ret_error */
};

/** leash_io_way() - Which way a call on @fd goes. @flags: its byte. A socket that was never judged is, here */
enum leash_way leash_io_way(int fd, uint8_t flags, const char *call, struct leash_conn **ret_conn,
			    int *ret_error);
/** leash_io_stale() - Has the number been given to something else behind our back? */
bool leash_io_stale(const struct leash_conn *conn, int fd);
/** leash_io_anew() - Then it is known for what it is from here on, and asked about again */
enum leash_way leash_io_anew(int fd, const char *call, struct leash_conn **ret_conn, int *ret_error);

/** leash_datagram_fresh() - Before a datagram without an address is judged: the flags to go by */
uint8_t leash_datagram_fresh(int fd, uint8_t known);
/** leash_datagram_send() - One datagram, judged and timed. Return: bytes or a negative errno */
ssize_t leash_datagram_send(int fd, uint8_t known, const struct msghdr *msg, int flags, const char *call);

/** leash_import() - Judge the descriptors that came with a message (hooks.md 3.5) */
void leash_import(struct msghdr *msg);

#endif
