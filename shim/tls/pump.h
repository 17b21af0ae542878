/* SPDX-License-Identifier: MIT */
/*
 * Between a TLS library's data calls and the exchange: the library's write-retry contract kept towards
 * the program with its bytes and towards the library with ours (tls-http 12), leftovers shown as the
 * library would show its own (tls-http 13).
 *
 * One pump per session, opened when its handshake was judged. The writing and the reading side may be two
 * threads; neither holds anything while it is in a real call.
 *
 * A call to write goes through pieces: at most a block (ours: header lines with the Referer, and what fits
 * behind them, so that they leave in one record) and the span behind it (in the program's buffer, or
 * the exchange's). Each byte is given to the exchange once; what a real call has not finished is offered
 * again with its length and content, wherever the program's buffer is by then.
 */
#ifndef LEASH_PUMP_H
#define LEASH_PUMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct leash_exchange;

enum leash_pump_end {
	LEASH_PUMP_AGAIN,	/* not an end: the same call will go on */
	LEASH_PUMP_EOF,		/* close_notify, or FIN without it */
	LEASH_PUMP_BROKEN,	/* anything else */
};

/* The library's own calls on a session. Return: bytes, over 0; or its own result, 0 or less, to be
 * handed to the program as it is (its error state is in the library). */
struct leash_pump_io {
	const void *lib;
	void *session;
	int (*write)(const struct leash_pump_io *io, const void *buf, int len);
	int (*read)(const struct leash_pump_io *io, void *buf, int len);
	enum leash_pump_end (*why)(const struct leash_pump_io *io, int result);
	bool partial;	/* a write may end after a record (SSL_MODE_ENABLE_PARTIAL_WRITE, GnuTLS) */
	bool keeps;	/* the library keeps what it could not send: the retry may be (NULL, 0) (GnuTLS) */
	void *more;	/* the calls' own */
};

#define LEASH_PUMP_RECORD 16384		/* text of one TLS record */
#define LEASH_PUMP_BLOCK 16384		/* of the pool (conn/pool.h); none to be had: spans leave singly */

struct leash_piece {
	const uint8_t *own;	/* NULL: in the program's buffer, from @at on */
	size_t at, len, done;
	size_t consumed;	/* of the program's bytes, done when all of it is sent */
};

struct leash_pump {
	struct leash_exchange *exchange;
	int error;			/* no exchange could be had: every call answers this */
	/* Of the call that has not ended */
	size_t app_len;			/* the program's length then; 0: none is pending */
	size_t parsed;			/* bytes of it that the exchange has taken */
	size_t flushed;			/* bytes of it that are done */
	struct leash_piece pieces[2];
	uint8_t count;			/* of pieces; the first is under way */
	bool inflight;			/* the library has begun with it */
	bool raw;			/* all that follows passes as it is */
	int again;			/* what the library said then */
	uint8_t *block;
	_Atomic uint32_t reading;	/* a thread is in the real read */
	/* An end that came while something was held, to be said again behind it */
	int end;
	bool ended;
};

/* What a pump's call comes to, for the hook to put into the library's own terms */
enum leash_pump_said {
	LEASH_PUMP_DONE,		/* *ret bytes */
	LEASH_PUMP_REAL,		/* *ret is the real call's result, unchanged */
	LEASH_PUMP_BAD_LENGTH,		/* a retry that is shorter than what it retries */
	LEASH_PUMP_ERROR,		/* *ret is a positive errno: an entry of the system library and -1 */
	LEASH_PUMP_CLOSED,		/* the end of the stream, cleanly */
	LEASH_PUMP_ENDED,		/* the end that was said before; *ret as then, but nothing was called */
};

/**
 * leash_pump_write() - The program writes
 * @buf:	NULL: the library keeps (io->keeps), and is asked to go on
 * @call:	For lines
 * @ret:	With DONE all of @len, unless io->partial
 */
enum leash_pump_said leash_pump_write(struct leash_pump *pump, const struct leash_pump_io *io,
				      const void *buf, size_t len, const char *call, ssize_t *ret);
/** leash_pump_read() - The program reads, or with @peek looks */
enum leash_pump_said leash_pump_read(struct leash_pump *pump, const struct leash_pump_io *io, void *buf,
				     size_t len, bool peek, ssize_t *ret);

/**
 * leash_pump_pending() - Bytes that can be read without another byte from the server
 * @real:	What the library says of itself: it is read now, as all of it may be held
 */
size_t leash_pump_pending(struct leash_pump *pump, const struct leash_pump_io *io, size_t real);

/** leash_pump_unsent() - Does a call to write wait for its retry? */
static inline bool leash_pump_unsent(const struct leash_pump *pump)
{
	return pump->count != 0;
}

/** leash_pump_close() - The session is gone, or becomes another one */
void leash_pump_close(struct leash_pump *pump);

#endif
