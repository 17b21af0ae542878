/* SPDX-License-Identifier: MIT */
/*
 * Random conversations over real TLS connections, byte for byte: what the server got must be what
 * the program wrote with one Referer, ours, in place of its own; what the program got must be what
 * the server sent, with text in UTF-8 and one BOM less.
 *
 * A connection is made from a seed: parameters first, then one run (a few requests, their
 * answers) after the other. The client writes down, in memory that the server shares (an ordinary
 * file, past every socket), what is to be answered and when; the server writes down there what it
 * got. It reads no HTTP: a request's head has arrived when its mark has.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IN_MAX	    (12u << 20)
#define OUT_MAX	    (4u << 20)
#define TALKS_MAX   24		/* requests in a run */
#define MARK_SIZE   16
#define ITEMS_MAX   (2 * TALKS_MAX)

enum when { WHEN_HEAD, WHEN_ALL };

/* What the server sends: bytes of out[], once the mark has come and, WHEN_ALL, the program has
 * written the whole request */
struct item {
	char mark[MARK_SIZE + 1];
	uint32_t at, len, request;
	enum when when;
};

struct channel {
	/* of the connection, before it is made */
	uint64_t seed;
	uint32_t server_sndbuf;
	/* of the run */
	_Atomic uint32_t generation;
	_Atomic uint32_t item_count;
	uint32_t run_at;		/* of in[]: all before it was looked at */
	bool close_behind;		/* the last answer: close_notify and FIN */
	bool cut;			/* FIN alone */
	struct item items[ITEMS_MAX];
	_Atomic uint32_t written;	/* requests that the program has written, in this run */
	/* the server's */
	_Atomic uint32_t in_len;
	_Atomic uint32_t ended;		/* the client's end was seen, in_len is final */
	_Atomic uint32_t sent;		/* items of this run */
	uint8_t out[OUT_MAX];
	uint8_t in[IN_MAX];
};

/* ---- random numbers */

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* 0 to @below - 1 */
static inline uint32_t rng_below(struct rng *rng, uint32_t below)
{
	return below ? (uint32_t)(rng_next(rng) % below) : 0;
}

static inline bool rng_one_in(struct rng *rng, uint32_t n)
{
	return rng_below(rng, n) == 0;
}

/* Mostly small, at most @most */
uint32_t rng_size(struct rng *rng, uint32_t most);

/* ---- bytes */

struct bytes {
	uint8_t *at;
	size_t len, size;
};

void put(struct bytes *bytes, const void *at, size_t len);
void put_text(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- a run (make.c) */

enum answer_kind {
	ANSWER_EXACT,		/* the program gets the bytes as they are */
	ANSWER_TEXT,		/* header and framing may change, its text is @text */
	ANSWER_RAW		/* no HTTP any more, as they are */
};

struct answer {
	enum answer_kind kind;
	uint32_t at, len;	/* in out[]: what the server sends, 100 Continue included */
	struct bytes text;	/* TEXT: the body as the program is to get it */
	struct bytes head;	/* TEXT: the header, less its framing, as the program is to get it */
	bool to_end;		/* the program sees the end of the stream behind it */
};

struct talk {
	uint32_t written_end;	/* in run.written: behind this request */
	uint32_t head_end;	/* and behind its head */
	bool wait_continue;	/* the body waits for 100 Continue */
	bool wait_answer;	/* the next request waits for this answer */
	bool upgraded;
	struct answer answer;
};

enum run_end {
	RUN_GOES_ON,
	RUN_SERVER_CLOSES,	/* behind the last answer */
	RUN_SERVER_CUTS,	/* in its middle, without close_notify */
	RUN_REFUSED,		/* the last request is ambiguous */
	RUN_ABANDONED		/* the program gives up while it writes */
};

struct run {
	struct bytes written;	/* by the program */
	struct bytes expected;	/* at the server */
	uint32_t talk_count, item_count;
	struct talk talks[TALKS_MAX];
	enum run_end end;
	uint32_t give_up_at;	/* ABANDONED: of written; REFUSED: what must not have come completely */
	char refused_mark[MARK_SIZE + 1];
	const char *what;	/* REFUSED: how */
	bool raw;		/* no HTTP, from the connection's first byte */
};

struct settings {
	const char *host;
	uint16_t port;
	const char *referer;	/* the line that netleash writes; NULL: nothing is changed */
};

/* Answers go to channel->out and ->items */
void run_make(struct run *run, struct rng *rng, struct channel *channel, const struct settings *settings,
	      bool raw, bool last);
void run_free(struct run *run);
int corpus_load(const char *path);

struct counts {
	uint64_t runs, requests, bytes_out, bytes_in, referers, text, want_write, moved, grown, peeks,
		leftovers, refused, sockets, abandoned, connections;
};
extern struct counts counts;

/* ---- serve.c */
int serve(const char *addr, uint16_t port, int workers, const char *certificate, const char *key,
	  const char *directory);
struct channel *channel_map(const char *directory, int worker, bool create);
int channel_bell(const char *directory, int worker);

#endif
