/* SPDX-License-Identifier: MIT */
#include "shim/tls/pump.h"

#include <limits.h>
#include <string.h>

#include <linux/futex.h>
#include <time.h>

#include "shim/conn/exchange.h"
#include "shim/conn/pool.h"
#include "shim/core/sys.h"

void leash_pump_close(struct leash_pump *pump)
{
	if (pump->exchange) {
		leash_exchange_gave_up(pump->exchange);
		leash_exchange_close(pump->exchange);
	}
	leash_pool_give(LEASH_POOL_16K, pump->block);
	memset(pump, 0, sizeof(*pump));
}

/* ---------------------------------------------------------------------------- writing */

static void push(struct leash_pump *pump, const struct leash_span *span, const uint8_t *buf)
{
	struct leash_piece *piece = &pump->pieces[pump->count++];

	*piece = (struct leash_piece){.len = span->len, .consumed = span->consumed};
	if (span->own)
		piece->own = span->at;
	else
		piece->at = (size_t)((const uint8_t *)span->at - buf);
}

/* Lines are short, and memcpy() of this object is made for what is not. */
static void copy(uint8_t *to, const uint8_t *from, size_t len)
{
	unsigned char word[16];	/* a register of the processor's */
	uint64_t half;

	if (len > 256) {
		memcpy(to, from, len);
		return;
	}
	if (len < 8) {
		for (; len; len--)
			*to++ = *from++;
		return;
	}
	if (len < 16) {
		__builtin_memcpy(&half, from, 8);
		__builtin_memcpy(to, &half, 8);
		__builtin_memcpy(&half, from + len - 8, 8);	/* over some that are there already */
		__builtin_memcpy(to + len - 8, &half, 8);
		return;
	}
	for (size_t i = 0; i + 16 < len; i += 16) {
		__builtin_memcpy(word, from + i, 16);
		__builtin_memcpy(to + i, word, 16);
	}
	__builtin_memcpy(word, from + len - 16, 16);
	__builtin_memcpy(to + len - 16, word, 16);
}

/* Lines of a header go into the block, and whatever is behind them and fits: a small body that left
 * in a packet of its own would wait for the first one's acknowledgement (RFC 896). */
static bool join(struct leash_pump *pump, const struct leash_span *span)
{
	struct leash_piece *piece = &pump->pieces[0];

	if (!pump->block) {
		if (!span->head || pump->count)
			return false;
		pump->block = leash_pool_take(LEASH_POOL_16K);
		if (!pump->block)
			return false;
	}
	if (pump->count == 0) {
		*piece = (struct leash_piece){.own = pump->block};
		pump->count = 1;
	}
	if (span->len > LEASH_PUMP_BLOCK - piece->len) {
		if (piece->len == 0) { /* larger than any block: by itself */
			pump->count = 0;
			leash_pool_give(LEASH_POOL_16K, pump->block);
			pump->block = NULL;
		}
		return false;
	}
	copy(pump->block + piece->len, span->at, span->len);
	piece->len += span->len;
	piece->consumed += span->consumed;
	return true;
}

/* How much the exchange may be given now. Where a retry need not bring its data again, all that
 * waits behind a block must fit into it. */
static size_t offer(const struct leash_pump *pump, const struct leash_pump_io *io, size_t left)
{
	const size_t room = pump->count ? LEASH_PUMP_BLOCK - 1024 : LEASH_PUMP_RECORD;
	const size_t used = pump->count ? pump->pieces[0].len : 0;

	if (!io->keeps)
		return left;
	if (used >= room)
		return 0;
	return left < room - used ? left : room - used;
}

/* The next pieces. Return: 0, -EAGAIN (hold), or a negative errno */
static int gather(struct leash_pump *pump, const struct leash_pump_io *io, const uint8_t *buf,
		  size_t len, const char *call)
{
	while (pump->parsed < len) {
		const size_t left = offer(pump, io, len - pump->parsed);
		struct leash_span span;
		int rc;

		if (pump->raw) {
			push(pump,
			     &(struct leash_span){.at = buf + pump->parsed,
						  .len = len - pump->parsed,
						  .consumed = len - pump->parsed},
			     buf);
			pump->parsed = len;
			return 0;
		}
		if (left == 0)
			return 0;
		rc = leash_exchange_out(pump->exchange, buf + pump->parsed, left, call, &span);
		if (rc < 0)
			return rc == -EAGAIN && pump->count ? 0 : rc;
		if (span.len == 0 && span.consumed == 0 && !span.raw)
			return -EIO;
		pump->parsed += span.consumed;
		pump->raw = span.raw;
		if (span.len == 0) {
			/* Dropped or held: done as soon as what stands before it is */
			if (pump->count)
				pump->pieces[pump->count - 1].consumed += span.consumed;
			else
				pump->flushed += span.consumed;
			continue;
		}
		if (join(pump, &span))
			continue;
		push(pump, &span, buf);
		return 0;
	}
	return 0;
}

static void pop(struct leash_pump *pump)
{
	pump->flushed += pump->pieces[0].consumed;
	if (pump->block && pump->pieces[0].own == pump->block) {
		leash_pool_give(LEASH_POOL_16K, pump->block);
		pump->block = NULL;
	}
	pump->pieces[0] = pump->pieces[1];
	pump->count--;
}

enum sent { ALL, STUCK, STARVED };

/* STUCK: the library's result is *ret. STARVED: the rest is in a buffer that this call has not
 * brought */
static enum sent flush(struct leash_pump *pump, const struct leash_pump_io *io, const uint8_t *buf,
		       size_t len, ssize_t *ret)
{
	while (pump->count) {
		struct leash_piece *piece = &pump->pieces[0];

		while (piece->done < piece->len) {
			const size_t left = piece->len - piece->done;
			size_t n = left < INT_MAX
					   ? left
					   : (size_t)INT_MAX & ~(size_t)(LEASH_PUMP_RECORD - 1);
			const uint8_t *at = NULL;
			int r;

			if (piece->own) {
				at = piece->own + piece->done;
			} else if (buf && piece->at + piece->done < len) {
				at = buf + piece->at + piece->done;
				if (n > len - piece->at - piece->done)
					n = len - piece->at - piece->done;
			} else if (pump->inflight) {
				n = 0;
			} else {
				return STARVED;
			}
			r = io->write(io, at, (int)n);
			if (r <= 0) {
				pump->inflight = true;
				pump->again = r;
				*ret = r;
				return STUCK;
			}
			pump->inflight = false;
			piece->done += (size_t)r < left ? (size_t)r : left;
		}
		pop(pump);
	}
	return ALL;
}

/* A call ends with less than it was given: what is still here belongs to the next one's start. */
static size_t rebase(struct leash_pump *pump, size_t given)
{
	struct leash_piece *piece = &pump->pieces[0];
	size_t done = pump->flushed;

	if (pump->count && !piece->own) {
		done += piece->done;
		piece->at += piece->done;
		piece->len -= piece->done;
		piece->consumed -= piece->done < piece->consumed ? piece->done : piece->consumed;
		piece->done = 0;
		/* Bytes before it that were dropped need nothing to be sent. */
		if (done == 0 && given) {
			done = given < piece->at ? given : piece->at;
			piece->consumed -= done;
		}
	}
	for (size_t i = 0; i < pump->count; i++)
		if (!pump->pieces[i].own)
			pump->pieces[i].at -= done;
	pump->parsed -= done;
	pump->flushed = 0;
	pump->app_len = 0;
	return done;
}

/* The thread that is in the real read sees the answer before us. */
static void wait_reader(struct leash_pump *pump)
{
	const struct timespec a_while = {.tv_nsec = 50 * 1000 * 1000};

	LEASH_SYS(SYS_futex, &pump->reading, FUTEX_WAIT_PRIVATE, 1, &a_while, NULL, 0);
}

static int real_read(struct leash_pump *pump, const struct leash_pump_io *io, void *buf, size_t len)
{
	int r;

	atomic_store_explicit(&pump->reading, 1, memory_order_relaxed);
	r = io->read(io, buf, len < INT_MAX ? (int)len : INT_MAX);
	atomic_store_explicit(&pump->reading, 0, memory_order_release);
	return r;
}

/* The real read gave nothing. Return: it is what the program gets; false: held bytes come before the end */
static bool stopped(struct leash_pump *pump, const struct leash_pump_io *io, int r, ssize_t *ret)
{
	const int error = errno;
	const enum leash_pump_end why = io->why(io, r);

	*ret = r;
	if (why != LEASH_PUMP_AGAIN) {
		leash_exchange_end(pump->exchange, why == LEASH_PUMP_EOF);
		pump->ended = leash_exchange_pending(pump->exchange) != 0;
		pump->end = r;
	}
	errno = error;
	return !pump->ended;
}

/* Reads a little that the program has not asked for. Return: DONE, REAL or ERROR */
static enum leash_pump_said fetch(struct leash_pump *pump, const struct leash_pump_io *io,
				  size_t max, ssize_t *ret)
{
	uint8_t block[LEASH_EXCHANGE_STASH_MAX];
	const size_t want = max < sizeof(block) ? max : sizeof(block);
	int r = real_read(pump, io, block, want), rc;

	if (r > 0) {
		rc = leash_exchange_stash(pump->exchange, block, (size_t)r);
		*ret = -rc;
		return rc < 0 ? LEASH_PUMP_ERROR : LEASH_PUMP_DONE;
	}
	return stopped(pump, io, r, ret) ? LEASH_PUMP_REAL : LEASH_PUMP_DONE;
}

/* What follows an Upgrade may leave when its answer is known: read it here, if nobody else does. */
static enum leash_pump_said hold(struct leash_pump *pump, const struct leash_pump_io *io,
				 ssize_t *ret)
{
	const int error = leash_exchange_error(pump->exchange);

	if (error) {
		*ret = error;
		return LEASH_PUMP_ERROR;
	}
	if (atomic_load_explicit(&pump->reading, memory_order_acquire)) {
		wait_reader(pump);
		return LEASH_PUMP_DONE;
	}
	if (pump->ended) {
		*ret = pump->end;
		return LEASH_PUMP_ENDED;
	}
	return fetch(pump, io, LEASH_EXCHANGE_STASH_MAX, ret);
}

enum leash_pump_said leash_pump_write(struct leash_pump *pump, const struct leash_pump_io *io,
				      const void *buf, size_t len, const char *call, ssize_t *ret)
{
	const size_t given = len;
	enum leash_pump_said said;
	int rc = pump->error;

	/* Where the exchange is asked for a span it says so itself. */
	if (!rc && (pump->raw || pump->count))
		rc = leash_exchange_error(pump->exchange);
	if (rc) {
		*ret = rc;
		return LEASH_PUMP_ERROR;
	}
	if (!io->keeps && given < pump->app_len)
		return LEASH_PUMP_BAD_LENGTH;
	if (given == 0 && pump->count == 0) {
		if (io->keeps && pump->app_len) {
			*ret = pump->again;
			return LEASH_PUMP_REAL;
		}
		*ret = io->write(io, buf, 0);
		return LEASH_PUMP_REAL;
	}
	if (io->partial && len > LEASH_PUMP_RECORD)
		len = LEASH_PUMP_RECORD;
	for (;;) {
		switch (flush(pump, io, buf, given, ret)) {
		case ALL:
			break;
		case STUCK:
			pump->app_len = len;
			return LEASH_PUMP_REAL;
		case STARVED:
			*ret = (ssize_t)rebase(pump, given);
			if (*ret > 0)
				return LEASH_PUMP_DONE;
			*ret = pump->again;
			return LEASH_PUMP_REAL;
		}
		if (pump->parsed >= len)
			break;
		rc = gather(pump, io, buf, len, call);
		if (rc == -EAGAIN) {
			said = hold(pump, io, ret);
			if (said != LEASH_PUMP_DONE) {
				pump->app_len = len;
				return said;
			}
		} else if (rc < 0) {
			*ret = -rc;
			return LEASH_PUMP_ERROR;
		}
	}
	if (pump->flushed == 0 && io->keeps) {
		*ret = pump->again; /* what has left was ours alone: it must come with its data */
		pump->app_len = 1;
		return LEASH_PUMP_REAL;
	}
	*ret = (ssize_t)pump->flushed;
	pump->app_len = pump->parsed = pump->flushed = 0;
	return LEASH_PUMP_DONE;
}

/* ---------------------------------------------------------------------------- reading */

/* What is there without the server. Return: false: nothing, go on */
static bool ready(struct leash_pump *pump, void *buf, size_t len, bool peek, ssize_t *ret,
		  enum leash_pump_said *ret_said)
{
	struct leash_exchange *ex = pump->exchange;
	int error = pump->error;

	*ret_said = LEASH_PUMP_ERROR;
	if (!error && leash_exchange_pending(ex)) {
		*ret = (ssize_t)(peek ? leash_exchange_peek(ex, buf, len)
				      : leash_exchange_pull(ex, buf, len));
		*ret_said = LEASH_PUMP_DONE;
		return true;
	}
	if (!error)
		error = leash_exchange_error(ex);
	if (error) {
		*ret = error;
		return true;
	}
	if (leash_exchange_closes(ex)) {
		*ret_said = LEASH_PUMP_CLOSED;
		return true;
	}
	if (pump->ended) {
		*ret = pump->end;
		*ret_said = LEASH_PUMP_ENDED;
		return true;
	}
	return false;
}

enum leash_pump_said leash_pump_read(struct leash_pump *pump, const struct leash_pump_io *io,
				     void *buf, size_t len, bool peek, ssize_t *ret)
{
	enum leash_pump_said said;
	ssize_t n;
	int r;

	if (len == 0) {
		*ret = pump->error ? 0 : io->read(io, buf, 0);
		return LEASH_PUMP_REAL;
	}
	for (;;) {
		if (ready(pump, buf, len, peek, ret, &said))
			return said;
		if (peek) {
			said = fetch(pump, io, leash_exchange_ask(pump->exchange, len), ret);
			if (said != LEASH_PUMP_DONE)
				return said;
			continue;
		}
		r = real_read(pump, io, buf, leash_exchange_ask(pump->exchange, len));
		if (r > 0) {
			n = leash_exchange_in(pump->exchange, buf, (size_t)r, len);
			if (n > 0) {
				*ret = n;
				return LEASH_PUMP_DONE;
			}
			if (n < 0) {
				*ret = -n;
				return LEASH_PUMP_ERROR;
			}
			continue; /* held: never 0, which would be the end */
		}
		if (stopped(pump, io, r, ret))
			return LEASH_PUMP_REAL;
	}
}

size_t leash_pump_pending(struct leash_pump *pump, const struct leash_pump_io *io, size_t real)
{
	ssize_t unused;

	if (pump->error)
		return 0;
	if (atomic_load_explicit(&pump->reading, memory_order_relaxed))
		real = 0; /* another thread is at it */
	/* Of what the library has, all may be held (an unfinished header, half a character), and
	 * the program would block in the read that it was promised. */
	while (real && leash_exchange_pending(pump->exchange) == 0 &&
	       leash_exchange_error(pump->exchange) == 0) {
		const size_t part =
			real < LEASH_EXCHANGE_STASH_MAX ? real : LEASH_EXCHANGE_STASH_MAX;

		if (fetch(pump, io, part, &unused) != LEASH_PUMP_DONE)
			break;
		real -= part;
	}
	return leash_exchange_pending(pump->exchange);
}
