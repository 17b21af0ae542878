/* SPDX-License-Identifier: MIT */
/*
 * The pump between a library with OpenSSL's (or GnuTLS's) manners and an exchange: WANT_* at any
 * point, moved and grown buffers, partial writes, reads while a write is pending. The exchange is a
 * small one over the real rewriter; what it does to answers is made up: '#' is dropped, '+' becomes
 * three.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shim/conn/exchange.h"
#include "shim/conn/pool.c"
#include "shim/http/request.h"
#include "shim/tls/pump.c"

#define REFERER "Referer: https://appservice.wx.com/wx0/1/page-frame.html\r\n"

static uint64_t seed = 1;

static uint32_t roll(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* -------------------------------------------------------------------- the exchange */

struct leash_exchange {
	struct leash_request rq;
	uint8_t lent[65536];
	bool refused;
	int error;
	bool closes;
	uint8_t held[64]; /* of the stream in, until a newline: "it is in a header" */
	size_t held_len;
	bool holding;
	uint8_t stash[65536];
	size_t stash_len, stash_at;
	unsigned int ends, gave_up, closed;
};

void leash_exchange_close(struct leash_exchange *ex)
{
	ex->closed++;
}

void leash_exchange_gave_up(struct leash_exchange *ex)
{
	ex->gave_up++;
}

int leash_exchange_error(const struct leash_exchange *ex)
{
	return ex->error;
}

int leash_exchange_out(struct leash_exchange *ex, const void *buf, size_t len, const char *call,
		       struct leash_span *ret)
{
	struct leash_request_out out;
	int rc;

	assert_non_null(call);
	if (ex->refused || ex->error)
		return ex->error ? -ex->error : -EACCES;
	rc = leash_request_next(&ex->rq, buf, len, &out);
	if (rc == -ENOBUFS) {
		assert_int_equal(leash_request_lend(&ex->rq, ex->lent, sizeof(ex->lent)), 0);
		rc = leash_request_next(&ex->rq, buf, len, &out);
	}
	assert_int_equal(rc, 0);
	if (out.events & LEASH_REQUEST_HOLD)
		return -EAGAIN;
	*ret = (struct leash_span){
		.at = out.at,
		.len = out.len,
		.consumed = out.consumed,
		.own = out.own,
		.head = out.head,
		.raw = out.events & LEASH_REQUEST_RAW,
	};
	return 0;
}

size_t leash_exchange_ask(const struct leash_exchange *ex, size_t size)
{
	(void)ex;
	return size < 8 ? 1 : size / 3;
}

static size_t change(struct leash_exchange *ex, const uint8_t *from, size_t got, uint8_t *to)
{
	size_t n = 0;

	for (size_t i = 0; i < got; i++) {
		if (from[i] == '(')
			ex->holding = true;
		if (ex->holding && ex->held_len < sizeof(ex->held)) {
			ex->held[ex->held_len++] = from[i];
			if (from[i] == ')') {
				memcpy(to + n, ex->held, ex->held_len);
				n += ex->held_len;
				ex->held_len = 0;
				ex->holding = false;
			}
			continue;
		}
		if (from[i] == '!')
			leash_request_answered(&ex->rq, true);
		if (from[i] == '#')
			continue;
		to[n++] = from[i];
		if (from[i] == '+') {
			to[n++] = '+';
			to[n++] = '+';
		}
	}
	return n;
}

static void put(struct leash_exchange *ex, const uint8_t *from, size_t len)
{
	memmove(ex->stash, ex->stash + ex->stash_at, ex->stash_len - ex->stash_at);
	ex->stash_len -= ex->stash_at;
	ex->stash_at = 0;
	assert_true(ex->stash_len + len <= sizeof(ex->stash));
	memcpy(ex->stash + ex->stash_len, from, len);
	ex->stash_len += len;
}

ssize_t leash_exchange_in(struct leash_exchange *ex, void *buf, size_t got, size_t size)
{
	uint8_t *changed = malloc(got * 3 + sizeof(ex->held));
	size_t n = change(ex, buf, got, changed), fits = n < size ? n : size;

	assert_int_equal(ex->stash_len - ex->stash_at, 0);
	memcpy(buf, changed, fits);
	put(ex, changed + fits, n - fits);
	free(changed);
	return (ssize_t)fits;
}

int leash_exchange_stash(struct leash_exchange *ex, const void *buf, size_t got)
{
	uint8_t changed[LEASH_EXCHANGE_STASH_MAX * 3 + 64];

	assert_true(got <= LEASH_EXCHANGE_STASH_MAX);
	put(ex, changed, change(ex, buf, got, changed));
	return 0;
}

size_t leash_exchange_pending(const struct leash_exchange *ex)
{
	return ex->stash_len - ex->stash_at;
}

size_t leash_exchange_peek(const struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t n = ex->stash_len - ex->stash_at;

	memcpy(buf, ex->stash + ex->stash_at, n < size ? n : size);
	return n < size ? n : size;
}

size_t leash_exchange_pull(struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t n = leash_exchange_peek(ex, buf, size);

	ex->stash_at += n;
	return n;
}

bool leash_exchange_closes(const struct leash_exchange *ex)
{
	return ex->closes;
}

void leash_exchange_end(struct leash_exchange *ex, bool clean)
{
	(void)clean;
	ex->ends++;
	put(ex, ex->held, ex->held_len);
	ex->held_len = 0;
	ex->holding = false;
}

/* --------------------------------------------------------------------- the library */

#define AGAIN (-28)

struct library {
	bool partial, keeps;
	size_t record;      /* bytes of text in one */
	unsigned int stuck; /* one of how many records is not taken at once */
	uint8_t *wire;
	size_t wire_len, wire_size;
	/* of a call that was not finished */
	size_t pending, done; /* its length, what of it is in records */
	uint8_t *content;
	size_t kept; /* @keeps: what the next call answers */
	unsigned int writes;
	size_t longest;
	const void *last;
	/* the other direction */
	const char *answer;
	size_t answer_len, answer_at;
	bool eof;
	unsigned int dry; /* one of how many reads finds nothing */
	unsigned int reads;
	bool fatal;
};

static void emit(struct library *lib, const uint8_t *at, size_t len)
{
	if (lib->wire_len + len > lib->wire_size) {
		lib->wire_size = (lib->wire_len + len) * 2;
		lib->wire = realloc(lib->wire, lib->wire_size);
	}
	memcpy(lib->wire + lib->wire_len, at, len);
	lib->wire_len += len;
}

static bool is_stuck(const struct library *lib)
{
	return lib->stuck && roll(lib->stuck) == 0;
}

/* OpenSSL: what was begun is offered again, as long and with the same bytes; without partial writes
 * it goes on behind the records that have left. GnuTLS: it has the record, and says how long it
 * was. */
static int lib_write(const struct leash_pump_io *io, const void *buf, int len_)
{
	struct library *lib = io->session;
	const size_t len = (size_t)len_;

	lib->writes++;
	lib->last = buf;
	lib->longest = len > lib->longest ? len : lib->longest;
	if (lib->fatal)
		return -1;
	if (lib->keeps) {
		size_t n = len < lib->record ? len : lib->record;

		if (lib->kept) {
			if (is_stuck(lib))
				return AGAIN;
			n = lib->kept;
			lib->kept = 0;
			return (int)n;
		}
		assert_non_null(buf);
		emit(lib, buf, n);
		if (is_stuck(lib)) {
			lib->kept = n;
			return AGAIN;
		}
		return (int)n;
	}
	if (lib->pending) {
		assert_int_equal(len, lib->pending);
		assert_memory_equal(buf, lib->content, len);
	} else {
		lib->pending = len;
		lib->done = 0;
		lib->content = malloc(len ? len : 1);
		memcpy(lib->content, buf, len);
	}
	while (lib->done < len) {
		const size_t n = len - lib->done < lib->record ? len - lib->done : lib->record;

		if (is_stuck(lib))
			return -1;
		emit(lib, (const uint8_t *)buf + lib->done, n);
		lib->done += n;
		if (lib->partial)
			break;
	}
	lib->pending = 0;
	free(lib->content);
	return (int)lib->done;
}

static int lib_read(const struct leash_pump_io *io, void *buf, int len)
{
	struct library *lib = io->session;
	size_t n = lib->answer_len - lib->answer_at;

	lib->reads++;
	if (n == 0)
		return lib->eof ? 0 : -1;
	if (lib->dry && roll(lib->dry) == 0)
		return -1;
	n = n < (size_t)len ? n : (size_t)len;
	n = n > 1 && lib->dry ? 1 + roll((uint32_t)n) : n;
	memcpy(buf, lib->answer + lib->answer_at, n);
	lib->answer_at += n;
	return (int)n;
}

static enum leash_pump_end lib_why(const struct leash_pump_io *io, int result)
{
	const struct library *lib = io->session;

	return lib->fatal ? LEASH_PUMP_BROKEN : result == 0 ? LEASH_PUMP_EOF : LEASH_PUMP_AGAIN;
}

/* ------------------------------------------------------------------------ the bench */

struct bench {
	struct leash_exchange *ex;
	struct leash_pump pump;
	struct library lib;
	struct leash_pump_io io;
};

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->ex = calloc(1, sizeof(*b->ex));
	leash_request_init(&b->ex->rq, REFERER);
	b->pump.exchange = b->ex;
	b->lib.record = 16384;
	b->io = (struct leash_pump_io){
		.session = &b->lib, .write = lib_write, .read = lib_read, .why = lib_why};
}

static void set_modes(struct bench *b, bool partial, bool keeps)
{
	b->io.partial = b->lib.partial = partial;
	b->io.keeps = b->lib.keeps = keeps;
}

static void tear_down(struct bench *b)
{
	leash_pump_close(&b->pump);
	assert_int_equal(b->ex->closed, 1);
	assert_int_equal(leash_pool_used(LEASH_POOL_16K), 0);
	if (b->lib.pending)
		free(b->lib.content);
	free(b->lib.wire);
	free(b->ex);
}

static void wire_is(const struct bench *b, const char *text, size_t len)
{
	assert_int_equal(b->lib.wire_len, len);
	assert_memory_equal(b->lib.wire, text, len);
}

/* ---------------------------------------------------------------------- what is sent */

struct script {
	char *program, *server; /* what the program writes, what must arrive */
	size_t program_len, server_len;
};

static void add(struct script *s, bool program, bool server, const char *text, size_t len)
{
	if (program) {
		memcpy(s->program + s->program_len, text, len);
		s->program_len += len;
	}
	if (server) {
		memcpy(s->server + s->server_len, text, len);
		s->server_len += len;
	}
}

#define SCRIPT_MAX (1 << 20)

static void make_script(struct script *s)
{
	const unsigned int requests = 1 + roll(4);
	char line[400];

	*s = (struct script){.program = malloc(SCRIPT_MAX), .server = malloc(SCRIPT_MAX)};
	for (unsigned int i = 0; i < requests; i++) {
		const size_t body = roll(3) ? roll(300) : roll(40000);
		const unsigned int headers = roll(6);
		const bool chunked = roll(3) == 0;

		add(s, true, true, line,
		    (size_t)sprintf(line, "POST /%u HTTP/1.1\r\n", roll(1000)));
		add(s, false, true, REFERER, sizeof(REFERER) - 1);
		add(s, true, true, "Host: a.test\r\n", 14);
		for (unsigned int h = 0; h < headers; h++) {
			if (roll(4) == 0)
				add(s, true, false, "Referer: https://elsewhere/\r\n\tand on\r\n",
				    38);
			add(s, true, true, line,
			    (size_t)sprintf(line, "X-%u: %.*s\r\n", h, (int)roll(300),
					    "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"));
		}
		if (chunked)
			add(s, true, true, "Transfer-Encoding: chunked\r\n\r\n", 30);
		else
			add(s, true, true, line,
			    (size_t)sprintf(line, "Content-Length: %zu\r\n\r\n", body));
		if (chunked && body)
			add(s, true, true, line, (size_t)sprintf(line, "%zx\r\n", body));
		for (size_t n = 0; n < body; n++)
			add(s, true, true, &(char){(char)('a' + roll(26))}, 1);
		if (chunked && body)
			add(s, true, true, "\r\n", 2);
		if (chunked)
			add(s, true, true, "0\r\n\r\n", 5);
	}
}

static void free_script(struct script *s)
{
	free(s->program);
	free(s->server);
}

/* One call and its retries, from another place each time, at times with more. Return: what it took
 */
static size_t write_all(struct bench *b, const char *at, size_t len, size_t left)
{
	enum leash_pump_said said;
	ssize_t ret = -1;

	for (unsigned int tries = 0;; tries++) {
		char *copy = malloc(len);

		assert_true(tries < 100000);
		memcpy(copy, at, len);
		if (b->io.keeps && tries && roll(2))
			said = leash_pump_write(&b->pump, &b->io, NULL, 0, "send", &ret);
		else
			said = leash_pump_write(&b->pump, &b->io, copy, len, "send", &ret);
		free(copy);
		if (said == LEASH_PUMP_DONE)
			break;
		assert_int_equal(said, LEASH_PUMP_REAL);
		assert_int_equal(ret, b->io.keeps ? AGAIN : -1);
		assert_true(b->io.keeps || leash_pump_unsent(&b->pump));
		if (!b->io.keeps && roll(3) == 0)
			len += roll((uint32_t)(left - len + 1));
	}
	assert_true(ret > 0 && (size_t)ret <= len);
	if (!b->io.partial)
		assert_int_equal(ret, len);
	return (size_t)ret;
}

static void converse(unsigned int runs, bool partial, bool keeps, bool starved)
{
	void *held[1024];
	size_t held_count = 0;

	while (starved && held_count < 1024 && (held[held_count] = leash_pool_take(LEASH_POOL_16K)))
		held_count++;
	for (unsigned int run = 0; run < runs; run++) {
		struct script s;
		struct bench b;
		size_t at = 0;

		seed = run * 7919 + 1;
		set_up(&b);
		set_modes(&b, partial, keeps);
		b.lib.record = roll(2) ? 16384 : 20 + roll(500);
		b.lib.stuck = roll(4) ? 2 + roll(6) : 0;
		make_script(&s);
		while (at < s.program_len) {
			const size_t left = s.program_len - at;
			const uint32_t max = (uint32_t[]){8, 200, 5000, 70000}[roll(4)];
			size_t len = 1 + roll(max);

			at += write_all(&b, s.program + at, len < left ? len : left, left);
		}
		wire_is(&b, s.server, s.server_len);
		assert_false(leash_pump_unsent(&b.pump));
		leash_pump_close(&b.pump);
		assert_int_equal(leash_pool_used(LEASH_POOL_16K), held_count);
		if (b.lib.pending)
			free(b.lib.content);
		free(b.lib.wire);
		free(b.ex);
		free_script(&s);
	}
	while (held_count)
		leash_pool_give(LEASH_POOL_16K, held[--held_count]);
}

static void test_write_whole(void **state)
{
	(void)state;
	converse(1500, false, false, false);
}

static void test_write_partial(void **state)
{
	(void)state;
	converse(1500, true, false, false);
}

static void test_write_kept(void **state)
{
	(void)state;
	converse(1500, true, true, false);
}

/* No block is to be had: the spans leave one by one */
static void test_write_no_block(void **state)
{
	(void)state;
	converse(200, false, false, true);
	converse(200, true, true, true);
}

/* ------------------------------------------------------------------------ one by one */

#define GET         "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define GET_REFERER "GET / HTTP/1.1\r\n" REFERER "Host: a.test\r\n\r\n"

static void test_one_record(void **state)
{
	static const char post[] =
		"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
	static const char want[] =
		"POST / HTTP/1.1\r\n" REFERER "Host: a.test\r\nContent-Length: 5\r\n\r\nhello";
	struct bench b;
	ssize_t ret;

	(void)state;
	set_up(&b);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, post, sizeof(post) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, sizeof(post) - 1);
	assert_int_equal(b.lib.writes, 1);
	wire_is(&b, want, sizeof(want) - 1);
	tear_down(&b);
}

/* A body is sent from where the program has it, in pieces that the library cuts. */
static void test_body_in_place(void **state)
{
	static const char head[] =
		"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n";
	struct bench b;
	char *body = malloc(1000000);
	ssize_t ret;

	(void)state;
	memset(body, 'b', 1000000);
	set_up(&b);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, head, sizeof(head) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, body, 1000000, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 1000000);
	assert_ptr_equal(b.lib.last, body);
	assert_int_equal(b.lib.longest, 1000000);
	/* With partial writes a record at a time, as the library does it: the program may think
	 * again. */
	b.io.partial = b.lib.partial = true;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, sizeof(GET) - 1);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, head, sizeof(head) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, body, 1000000, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 16384);
	free(body);
	tear_down(&b);
}

static void test_bad_length(void **state)
{
	struct bench b;
	ssize_t ret;
	unsigned int writes;

	(void)state;
	set_up(&b);
	b.lib.stuck = 1;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_REAL);
	assert_int_equal(ret, -1);
	writes = b.lib.writes;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 2, "w", &ret),
			 LEASH_PUMP_BAD_LENGTH);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, 0, "w", &ret),
			 LEASH_PUMP_BAD_LENGTH);
	assert_int_equal(b.lib.writes, writes);
	b.lib.stuck = 0;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	wire_is(&b, GET_REFERER, sizeof(GET_REFERER) - 1);
	/* None pending: an empty one is the library's */
	writes = b.lib.writes;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, 0, "w", &ret), LEASH_PUMP_REAL);
	assert_int_equal(b.lib.writes, writes + 1);
	tear_down(&b);
}

/* Of an unfinished line nothing leaves, but the program has its count. */
static void test_unfinished(void **state)
{
	struct bench b;
	ssize_t ret;

	(void)state;
	set_up(&b);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, "GET / HT", 8, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 8);
	assert_int_equal(b.lib.writes, 0);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, &GET[8], sizeof(GET) - 9, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, sizeof(GET) - 9);
	wire_is(&b, GET_REFERER, sizeof(GET_REFERER) - 1);
	tear_down(&b);
}

static void test_refused(void **state)
{
	struct bench b;
	ssize_t ret;

	(void)state;
	set_up(&b);
	b.ex->refused = true;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_ERROR);
	assert_int_equal(ret, EACCES);
	b.ex->error = ETIMEDOUT;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_ERROR);
	assert_int_equal(ret, ETIMEDOUT);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, &(char[9]){0}, 9, false, &ret),
			 LEASH_PUMP_ERROR);
	assert_int_equal(ret, ETIMEDOUT);
	assert_int_equal(b.lib.writes + b.lib.reads, 0);
	tear_down(&b);
	/* None to be had */
	b = (struct bench){.pump = {.error = ENOBUFS}};
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, 3, "w", &ret), LEASH_PUMP_ERROR);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, &(char[9]){0}, 9, false, &ret),
			 LEASH_PUMP_ERROR);
	assert_int_equal(ret, ENOBUFS);
	assert_int_equal(leash_pump_pending(&b.pump, &b.io, 100), 0);
}

#define UPGRADE                                                                                    \
	"GET /u HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

/* What follows an Upgrade in the same call leaves when the answer is known; until then the program
 * is told what the library is told: nothing to read yet. */
static void test_hold(void **state)
{
	static const char both[] = UPGRADE "frame";
	struct bench b;
	ssize_t ret;
	char buf[64];

	(void)state;
	set_up(&b);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, both, sizeof(both) - 1, "w", &ret),
			 LEASH_PUMP_REAL);
	assert_int_equal(ret, -1);
	assert_int_equal(b.lib.reads, 1);
	assert_int_equal(b.lib.wire_len, sizeof(UPGRADE REFERER) - 1);
	assert_int_equal(leash_pump_write(&b.pump, &b.io, both, 20, "w", &ret),
			 LEASH_PUMP_BAD_LENGTH);
	b.lib.answer = "101!";
	b.lib.answer_len = 4;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, both, sizeof(both) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, sizeof(both) - 1);
	assert_memory_equal(b.lib.wire + b.lib.wire_len - 5, "frame", 5);
	assert_true(b.pump.raw);
	/* The answer is the program's all the same. */
	assert_int_equal(leash_pump_pending(&b.pump, &b.io, 0), 4);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 4);
	assert_memory_equal(buf, "101!", 4);
	/* From now on the exchange is not asked. */
	b.ex->refused = true;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, "more", 4, "w", &ret), LEASH_PUMP_DONE);
	assert_memory_equal(b.lib.wire + b.lib.wire_len - 4, "more", 4);
	tear_down(&b);
}

/* ------------------------------------------------------------------------------ in */

static void test_read_random(void **state)
{
	(void)state;
	for (unsigned int run = 0; run < 3000; run++) {
		char in[2000], want[6000], got[6000], seen[600];
		size_t want_len = 0, got_len = 0;
		enum leash_pump_said said;
		struct bench b;
		ssize_t ret;

		seed = run * 104729 + 1;
		set_up(&b);
		b.lib.answer = in;
		b.lib.answer_len = roll(sizeof(in));
		b.lib.dry = 2 + roll(5);
		b.lib.eof = true;
		for (size_t i = 0, open = 0; i < b.lib.answer_len; i++) {
			in[i] = "abcdef#+#+()"[roll(12)];
			if (in[i] == '(' && (open || i + 40 > b.lib.answer_len))
				in[i] = '#';
			open = open ? open + 1 : in[i] == '(';
			if (open > 30)
				in[i] = ')';
			if (in[i] == ')')
				open = 0;
			if (in[i] != '#' || open)
				want[want_len++] = in[i];
			if (in[i] == '+' && !open) {
				want[want_len++] = '+';
				want[want_len++] = '+';
			}
		}
		for (unsigned int tries = 0;; tries++) {
			const size_t len = 1 + roll(roll(2) ? 12 : sizeof(seen) - 1);
			const bool peek = roll(4) == 0;

			assert_true(tries < 100000);
			if (roll(5) == 0)
				leash_pump_pending(&b.pump, &b.io,
						   b.lib.dry ? 0
							     : b.lib.answer_len - b.lib.answer_at);
			said = leash_pump_read(&b.pump, &b.io, seen, len, peek, &ret);
			if (said != LEASH_PUMP_DONE) {
				assert_int_equal(said, LEASH_PUMP_REAL);
				if (ret == 0)
					break;
				assert_int_equal(ret, -1);
				continue;
			}
			assert_true(ret > 0 && (size_t)ret <= len);
			assert_true(got_len + (size_t)ret <= want_len);
			assert_memory_equal(seen, want + got_len, (size_t)ret);
			if (!peek) {
				memcpy(got + got_len, seen, (size_t)ret);
				got_len += (size_t)ret;
			}
		}
		assert_int_equal(got_len, want_len);
		tear_down(&b);
	}
}

/* Held bytes come before the end, and the end is said again though the library forgot it. */
static void test_read_end(void **state)
{
	struct bench b;
	char buf[16];
	ssize_t ret;

	(void)state;
	for (int peek = 0; peek < 2; peek++) {
		set_up(&b);
		b.lib.answer = "##(ab";
		b.lib.answer_len = 5;
		b.lib.eof = true;
		assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), peek, &ret),
				 LEASH_PUMP_DONE);
		assert_int_equal(ret, 3);
		assert_memory_equal(buf, "(ab", 3);
		if (peek)
			assert_int_equal(
				leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
				LEASH_PUMP_DONE);
		for (int i = 0; i < 3; i++) {
			const unsigned int reads = b.lib.reads;

			assert_int_equal(
				leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), peek, &ret),
				LEASH_PUMP_ENDED);
			assert_int_equal(ret, 0);
			assert_int_equal(b.lib.reads, reads);
		}
		tear_down(&b);
	}
}

static void test_read_closes(void **state)
{
	struct bench b;
	char buf[16];
	ssize_t ret;

	(void)state;
	set_up(&b);
	b.ex->closes = true;
	put(b.ex, (const uint8_t *)"last", 4);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 4);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_CLOSED);
	assert_int_equal(b.lib.reads, 0);
	tear_down(&b);
}

/* What SSL_pending() promises can be read: not what is held. */
static void test_pending(void **state)
{
	struct bench b;
	char buf[16];
	ssize_t ret;

	(void)state;
	set_up(&b);
	b.lib.answer = "###x(abc";
	b.lib.answer_len = 3;
	assert_int_equal(leash_pump_pending(&b.pump, &b.io, 3), 0);
	b.lib.answer_len = 8;
	assert_int_equal(leash_pump_pending(&b.pump, &b.io, 5), 1);
	assert_int_equal(b.lib.answer_at, 8);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 1);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_REAL);
	assert_int_equal(ret, -1);
	tear_down(&b);
}

static void test_read_during_write(void **state)
{
	struct bench b;
	char buf[16];
	ssize_t ret;

	(void)state;
	set_up(&b);
	b.lib.stuck = 1;
	b.lib.answer = "a+b";
	b.lib.answer_len = 3;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_REAL);
	assert_int_equal(leash_pump_read(&b.pump, &b.io, buf, sizeof(buf), false, &ret),
			 LEASH_PUMP_DONE);
	assert_int_equal(ret, 5);
	assert_memory_equal(buf, "a+++b", 5);
	b.lib.stuck = 0;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_DONE);
	wire_is(&b, GET_REFERER, sizeof(GET_REFERER) - 1);
	tear_down(&b);
}

/* A session that goes with a call unfinished gives everything back. */
static void test_close(void **state)
{
	struct bench b;
	ssize_t ret;

	(void)state;
	set_up(&b);
	b.lib.stuck = 1;
	assert_int_equal(leash_pump_write(&b.pump, &b.io, GET, sizeof(GET) - 1, "w", &ret),
			 LEASH_PUMP_REAL);
	assert_int_equal(leash_pool_used(LEASH_POOL_16K), 1);
	leash_pump_close(&b.pump);
	assert_int_equal(b.ex->gave_up, 1);
	assert_int_equal(leash_pool_used(LEASH_POOL_16K), 0);
	free(b.lib.content);
	free(b.lib.wire);
	free(b.ex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_whole),       cmocka_unit_test(test_write_partial),
		cmocka_unit_test(test_write_kept),        cmocka_unit_test(test_write_no_block),
		cmocka_unit_test(test_one_record),        cmocka_unit_test(test_body_in_place),
		cmocka_unit_test(test_bad_length),        cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_refused),           cmocka_unit_test(test_hold),
		cmocka_unit_test(test_read_random),       cmocka_unit_test(test_read_end),
		cmocka_unit_test(test_read_closes),       cmocka_unit_test(test_pending),
		cmocka_unit_test(test_read_during_write), cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
