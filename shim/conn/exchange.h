/* SPDX-License-Identifier: MIT */
/*
 * The requests and answers of one judged connection: what the program writes becomes what the
 * server gets (one Referer, ours), what the server writes becomes what the program reads (text in
 * UTF-8, one BOM filtered), each request is classed, judged, timed and told (policy 5, 6, 9).
 *
 * For whoever stands between a program and its plaintext: tls/ (OpenSSL, GnuTLS), conn/plain (http on
 * the LAN). No socket is read or written here; the caller moves the bytes. It drives http/request,
 * http/response, http/body and conn/timing.
 *
 * The two directions may be used by two threads at once; one direction by one thread at a time (the
 * library's own rule). The state they share is behind a short lock of its own, never held across a
 * call into libc, and void in a forked child that inherits it held.
 *
 * Memory: blocks of fixed size from a pool that the kernel fills in (no malloc); idle, an exchange
 * is under 2 KiB. What is refused is said here, and the connection is denied and shut down: from then
 * on every call answers the same errno.
 */
#ifndef LEASH_EXCHANGE_H
#define LEASH_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct leash_conn;
struct leash_exchange;

/**
 * leash_exchange_open() - The plaintext of a connection is about to flow
 * @conn, @cookie:	The connection; it may end and its slot be used again before close()
 * @tls:		Behind a verified handshake; false: plain http on the LAN
 *
 * Return: NULL with *ret_error 0 if nobody needs to look at it (no policy that asks for it), with a
 *	   negative errno if it must not be used: the pool is empty, said
 */
struct leash_exchange *leash_exchange_open(struct leash_conn *conn, uint64_t cookie, bool tls,
					   int *ret_error);

/** leash_exchange_close() - The program let go of it (SSL_free(), close()). What was not complete is
 *  told as such; NULL is ignored */
void leash_exchange_close(struct leash_exchange *ex);

/** leash_exchange_leave() - The process leaves by exit(): what still waits is told as cut, and nothing else
 *  changes, because other threads go on until the very end. Called by our destructor */
void leash_exchange_leave(void);

/** leash_exchange_error() - Why nothing moves on it any more: ETIMEDOUT, ECONNABORTED, EACCES …, positive;
 *  0: it is alive. Asked when a real call failed or ended, and before each call */
int leash_exchange_error(const struct leash_exchange *ex);

/** leash_exchange_current() - The request that a connection waits for, for lines about its end; from any thread.
 *  Return: false if nothing waits there */
bool leash_exchange_current(const struct leash_conn *conn, char ret_method[static 24],
			    char ret_target[static 512]);

/* ------------------------------------------------------------------------------ out */

struct leash_span {
	const void *at;		/* to be sent now; in the program's buffer unless @own */
	size_t len;		/* may be 0 */
	size_t consumed;	/* bytes of the program's buffer that are done once it is sent */
	bool own;		/* in our memory, until the next leash_exchange_out() */
	bool head;		/* neighbours with @head may leave in one piece */
	bool raw;		/* all that follows passes as it is: no need to ask again */
};

/**
 * leash_exchange_out() - The next span that the program's bytes become
 * @buf, @len:	What it wrote and was not consumed yet; each byte is given once
 * @call:	What the program called, for the line
 *
 * The span is judged: it may leave. Not sent in one piece, the caller goes on sending it.
 *
 * Return: 0; -EAGAIN: nothing was taken, the answer to an Upgrade must be read first
 *	   (leash_exchange_in()); another negative errno: refused and said, nothing more may leave
 */
int leash_exchange_out(struct leash_exchange *ex, const void *buf, size_t len, const char *call,
		       struct leash_span *ret);

/** leash_exchange_gave_up() - The program will not finish what it began to write (shutdown, free):
 *  an unfinished line that is held is dropped */
void leash_exchange_gave_up(struct leash_exchange *ex);

/* ------------------------------------------------------------------------------- in */

/** leash_exchange_ask() - How much to read from the server for a buffer of @size bytes, so that what it becomes
 *  fits. Return: 1 to @size (1 for 0: read it into a block of the caller's and use _stash()) */
size_t leash_exchange_ask(const struct leash_exchange *ex, size_t size);

/**
 * leash_exchange_in() - What the server's bytes become, in place
 * @buf:	The program's buffer; @got bytes of the server at its start
 * @size:	Room in it
 *
 * What does not fit (small buffers only) waits: leash_exchange_pending().
 *
 * Return: bytes for the program; 0: all of it is held, read again (the library's own "try again" is the
 *	   right answer where there is nothing to read); a negative errno: the connection was ended
 */
ssize_t leash_exchange_in(struct leash_exchange *ex, void *buf, size_t got, size_t size);

/** leash_exchange_stash() - The same for bytes that the program has not asked for (peek, an Upgrade's answer):
 *  what they become waits. At most LEASH_EXCHANGE_STASH_MAX, with nothing pending. Return: 0 or a
 *  negative errno */
#define LEASH_EXCHANGE_STASH_MAX 4096
int leash_exchange_stash(struct leash_exchange *ex, const void *buf, size_t got);

/** leash_exchange_pending() - Bytes that are the program's without another byte from the server */
size_t leash_exchange_pending(const struct leash_exchange *ex);
/** leash_exchange_pull() - Fetch them. Return: how many, at most @size */
size_t leash_exchange_pull(struct leash_exchange *ex, void *buf, size_t size);
/** leash_exchange_peek() - The same bytes, and they stay */
size_t leash_exchange_peek(const struct leash_exchange *ex, void *buf, size_t size);

/** leash_exchange_closes() - The program is to see the end of the stream now (nothing pending), though
 *  the server may keep it open: an answer to HTTP/1.0 whose length changed */
bool leash_exchange_closes(const struct leash_exchange *ex);

/**
 * leash_exchange_end() - The server's stream ended
 * @clean:	By close_notify or FIN; not by an error
 *
 * What was held becomes pending first; call it as often as the end is seen. Requests that waited
 * are told.
 */
void leash_exchange_end(struct leash_exchange *ex, bool clean);

#endif
