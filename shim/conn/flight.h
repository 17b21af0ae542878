/* SPDX-License-Identifier: MIT */
/*
 * Between a ClientHello and the verdict about its server (design: TLS 5, 8, 9).
 *
 * Every hello that leaves is kept here by its random, one place for each connection of the registry.
 * A hooked library ties itself to it before the client's second flight and answers for the
 * rest. Whatever nobody has tied by then is opaque: what the server said was read along, and
 * the flight waits here for the verdict.
 */
#ifndef LEASH_FLIGHT_H
#define LEASH_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct leash_conn;

/** leash_flight_hello() - A hello was judged and is about to leave. @name: normal form, "" none */
void leash_flight_hello(struct leash_conn *conn, const uint8_t random[static 32], const char *name);

/** leash_flight_start() - It has left */
void leash_flight_start(struct leash_conn *conn, int fd);

/** leash_flight_find() - The connection whose hello had this random, or NULL */
struct leash_conn *leash_flight_find(const uint8_t random[static 32]);

/** leash_flight_tie() - A library answers for this connection now */
void leash_flight_tie(struct leash_conn *conn);

const char *leash_flight_name(const struct leash_conn *conn);
const uint8_t *leash_flight_random(const struct leash_conn *conn);

/**
 * leash_flight_set_facts() - What its judged handshake showed: a place in judge.c's table (16 bits), 0 none
 * @accepted:	false: the verdict was only recorded
 */
void leash_flight_set_facts(struct leash_conn *conn, uint32_t place, bool accepted);
uint32_t leash_flight_facts(const struct leash_conn *conn, bool *ret_accepted);

/** leash_flight_refuse() - Refused: the library's alert may still leave, nothing else */
void leash_flight_refuse(struct leash_conn *conn);

/**
 * leash_flight_send() - Bytes out in state FLIGHT
 * @ret_pass:	Set where the call may go down as it is
 *
 * Return: bytes that the kernel took, or a negative errno; nothing where *ret_pass
 */
ssize_t leash_flight_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			  const char *call, bool *ret_pass);

/** leash_flight_received() - Bytes that came in, after the real call */
void leash_flight_received(struct leash_conn *conn, const struct iovec *iov, size_t count,
			   size_t got);

/** leash_flight_answer_ms() - How long the server took for its answer to the hello */
uint32_t leash_flight_answer_ms(const struct leash_conn *conn);

/** leash_flight_release() - The connection ends or is judged: give the buffer back */
void leash_flight_release(struct leash_conn *conn);

/* -------------------------------------------------------------- opaque.c, for flight.c */

struct leash_tls_server;

/**
 * leash_verify_opaque() - The verdict about a server of TLS that nobody here can look into
 * @server:	What it said in the clear
 *
 * A chain from the wire, or an own handshake with the same address and name (kept for ten minutes).
 * May take as long as that. Return: 0, or a negative errno: said, the connection denied
 */
int leash_verify_opaque(struct leash_conn *conn, int fd, const struct leash_tls_server *server,
			const char *call);

enum leash_opaque_fault {
	LEASH_FAULT_EARLY_DATA,
	LEASH_FAULT_UNSEEN,		/* the server's answer passed by unseen */
	LEASH_FAULT_MALFORMED,
	LEASH_FAULT_SECOND_HELLO,	/* its name is another one */
	LEASH_FAULT_BUFFERS,
};
/** leash_verify_fault() - The refusal of a handshake that cannot be followed. Return: as above */
int leash_verify_fault(struct leash_conn *conn, int fd, enum leash_opaque_fault fault,
		       const char *call);

#endif
