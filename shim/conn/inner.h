/* SPDX-License-Identifier: MIT */
/* What the files of conn/ share; nobody else includes it. */
#ifndef LEASH_INNER_H
#define LEASH_INNER_H

#include "shim/conn/conn.h"
#include "shim/conn/gate.h"
#include "shim/conn/flight.h"
#include "shim/conn/image.h"
#include "shim/core/fdtab.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"
#include "shim/life/registry.h"

_Static_assert(sizeof(((struct leash_conn *)0)->addr) == sizeof(struct leash_addr),
	       "the registry keeps an address of the policy without knowing its shape");

/* The kernel's length limit of an address */
union leash_sockaddr {
	struct sockaddr sa;
	struct sockaddr_storage storage;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/**
 * leash_copy_addr() - Take the caller's address once: the copy is judged and passed down
 * Return: 0; -EFAULT; -EINVAL if it is longer than any address or shorter than a family
 */
int leash_copy_addr(union leash_sockaddr *ret, const struct sockaddr *addr, socklen_t len);

/** leash_conn_flags() - Flags of a number, asking the kernel where the table knows nothing */
uint8_t leash_conn_flags(int fd);

/** leash_conn_adopt() - A connection that was not made here (inherited, received): judged by its
 *  peer as if connected here. Return: 0 (also if it is not connected), or a negative errno */
int leash_conn_adopt(int fd, uint8_t flags, const char *call);

/** leash_conn_deny() - End a connection: say why, mark it, shut it down. Return: negative errno */
int leash_conn_deny(struct leash_conn *conn, int fd, const struct leash_gate *gate);

/** leash_conn_gate() - The question about a connection that was admitted, asked again */
void leash_conn_gate(struct leash_gate *gate, const struct leash_conn *conn, const char *call);

/** leash_conn_opened() - Judged: the data path is free */
void leash_conn_opened(struct leash_conn *conn, int fd);

/* ------------------------------------------------------------------ sniff.c */
/* First bytes out. Return: bytes the kernel took, or a negative errno */
ssize_t leash_sniff_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			 const char *call);
/* Bytes came in before the first ones went out. @got: what the real call said. Return: @got or a
 * negative errno */
ssize_t leash_sniff_received(struct leash_conn *conn, int fd, ssize_t got, const char *call);
/* Were bytes sent that no hook saw? Then the connection is cut. */
void leash_sniff_look(struct leash_conn *conn, int fd, const char *call);
void leash_sniff_release(struct leash_conn *conn);
/* Raw TCP, of which nothing is looked at but whether it is TLS: let it go. Return: was it that? */
bool leash_sniff_raw(struct leash_conn *conn, int fd);
/* The second hello after a HelloRetryRequest: the same random, the same name. *ret_whole: all of it
 * has left. Return: bytes the kernel took, or a negative errno */
ssize_t leash_sniff_second(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			   const char *call, const uint8_t random[static 32], const char *name,
			   bool *ret_whole);

/* ---------------------------------------------------------------- question.c */
/* The program's own DNS. Return: 0, or a negative errno (refused and said) */
int leash_question_ask(struct leash_conn *conn, const void *msg, size_t len, const char *call);
void leash_question_answer(struct leash_conn *conn, const void *msg, size_t len);
/* The same over TCP: messages with a length in front; only whole, judged ones leave */
ssize_t leash_question_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			    const char *call);
void leash_question_received(struct leash_conn *conn, const struct iovec *iov, size_t count,
			     size_t got);

/* --------------------------------------------------------------------- small */
static inline void leash_conn_addr(const struct leash_conn *conn, struct leash_addr *ret)
{
	__builtin_memcpy(ret, conn->addr, sizeof(*ret));
}

#endif
