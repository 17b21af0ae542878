/* SPDX-License-Identifier: MIT */
/*
 * The exchange of a connection (conn/exchange.c) with everything around it faked: clocks are written down
 * instead of set, refusals instead of said. Random requests and answers, cut anywhere, into buffers of any size.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The files themselves: they are part of the shared object, not of the library for unit tests. */
#include "shim/conn/pool.c"
#include "shim/conn/exchange.c"
#define next next_out
#include "shim/conn/exchange_out.c"
#undef next
#include "shim/conn/exchange_in.c"
#define list_of list_of_event
#define scheme_of scheme_of_event
#include "shim/conn/exchange_event.c"

#include "draft.h"
#undef ARRAY_SIZE

#define HTTP_CHECK(x)                                                                              \
	do {                                                                                       \
		if (!(x))                                                                          \
			fail_msg("%s:%d: %s (seed %llu)", __FILE__, __LINE__, #x,                  \
				 (unsigned long long)seed_now);                                    \
	} while (0)
static uint64_t seed_now;
#include "http_run.h"
#include "http_talk.h"

/* ----------------------------------------------------------------------------- around it */

static const struct leash_image *image;
static struct leash_conn conns[4];
static struct leash_session page;
static bool wanted = true;

_Atomic uint8_t leash_fd_flags[LEASH_FD_MAX];
_Atomic int leash_proc_shared;
_Atomic(struct leash_session *) leash_background_here;

const struct leash_image *leash_image_get(void)
{
	return image;
}

struct leash_session *leash_session_get(void)
{
	return &page;
}

bool leash_proc_ask(void)
{
	return false;
}

uint8_t leash_fd_ask(int fd)
{
	(void)fd;
	return 0;
}

void leash_fd_add(int fd, uint8_t flags)
{
	(void)fd;
	(void)flags;
}

uint32_t leash_registry_index(const struct leash_conn *conn)
{
	return (uint32_t)(conn - conns);
}

int leash_registry_number(const struct leash_conn *conn, int fd)
{
	return fd <= 10 + (int)(conn - conns) ? 10 + (int)(conn - conns) : -1;
}

bool leash_registry_same(const struct leash_conn *conn, int fd)
{
	return fd == 10 + (int)(conn - conns);
}

static char names[16][LEASH_NAME_SIZE];
static uint32_t names_count;

uint32_t leash_names_intern(const char *name)
{
	for (uint32_t i = 0; i < names_count; i++)
		if (strcmp(names[i], name) == 0)
			return i + 1;
	strcpy(names[names_count], name);
	return ++names_count;
}

const char *leash_names_text(uint32_t place)
{
	return place ? names[place - 1] : "";
}

static const char *flight_name = "a.example";

const char *leash_flight_name(const struct leash_conn *conn)
{
	(void)conn;
	return flight_name;
}

int leash_idn_ascii(const char *name, char ret_ascii[static LEASH_NAME_SIZE])
{
	if (strcmp(name, "b\xc3\xbc" "cher.example") != 0)
		return -EINVAL;
	strcpy(ret_ascii, "xn--bcher-kva.example");
	return 0;
}

static struct leash_net net;
static bool lan;
static struct leash_nameref lan_name = {"nas.example", 11};

void leash_conn_gate(struct leash_gate *gate, const struct leash_conn *conn, const char *call)
{
	memset(gate, 0, sizeof(*gate));
	gate->image = image;
	gate->call = call;
	gate->peer.transport = LEASH_TCP;
	leash_conn_addr(conn, &gate->peer.addr);
	gate->peer.port = conn->port;
	gate->peer.net = &net;
	gate->verdict.action = LEASH_ALLOW;
	gate->verdict.rule = lan ? LEASH_RULE_LAN : LEASH_RULE_LIST;
	if (lan) {
		gate->peer.names = &lan_name;
		gate->peer.name_count = 1;
	}
}

void leash_gate_judge(struct leash_gate *gate, struct leash_verdict verdict)
{
	gate->verdict = verdict;
}

/* What was said, a line each */
static char said[32 << 10];
static size_t said_len;
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&said_lock);
	va_start(args, format);
	if (said_len < sizeof(said) - 1024)
		said_len += (size_t)vsnprintf(said + said_len, sizeof(said) - said_len, format, args);
	va_end(args);
	pthread_mutex_unlock(&said_lock);
}

static bool heard(const char *what)
{
	return strstr(said, what) != NULL;
}

static void hush(void)
{
	said_len = 0;
	said[0] = '\0';
}

int leash_conn_deny(struct leash_conn *conn, int fd, const struct leash_gate *gate)
{
	const struct leash_verdict *v = &gate->verdict;
	const bool deny = v->action == LEASH_DENY;

	assert_true(fd == 10 + (int)(conn - conns));
	say("%s %s %s rule=%s api=%s host=%s", deny ? "refused" : "would", gate->call,
	    leash_reason_code(v->reason), leash_rule_text(v->rule), gate->api ? gate->api : "-",
	    gate->host ? gate->host : "-");
	if (gate->request)
		say(" %s %s", gate->request->method, gate->request->target);
	if (v->near != LEASH_ENTRY_NONE)
		say(" near=%s", leash_list_text[leash_image_entry(image, v->near)->list]);
	if (gate->detail)
		say(" detail=%s", gate->detail);
	say(" hint=%s\n", gate->hint_text ? gate->hint_text : "-");
	if (!deny)
		return 0;
	conn->error = leash_reason_errno(v->reason);
	atomic_store(&conn->state, LEASH_CONN_DENIED);
	return -conn->error;
}

void leash_gate_request_clear(struct leash_gate_request *request)
{
	*request = (struct leash_gate_request){.sent = -1, .received = -1};
}

void leash_gate_requested(const struct leash_gate *gate)
{
	const struct leash_gate_request *rq = gate->request;

	say("request %s %s://%s%s api=%s status=%d %s sent=%lld received=%lld%s%s%s\n", rq->method, rq->scheme,
	    gate->host ? gate->host : "-", rq->target, gate->api, rq->status, rq->outcome, (long long)rq->sent,
	    (long long)rq->received, rq->timing->tls >= 0 ? " fresh" : "", gate->detail ? " detail=" : "",
	    gate->detail ? gate->detail : "");
}

void leash_gate_note(const struct leash_gate *gate)
{
	say("note %s\n", gate->detail);
}

uint32_t leash_gate_host(const struct leash_gate *gate)
{
	(void)gate;
	return 3;
}

bool leash_emit_wanted(void)
{
	return wanted;
}

bool leash_verify_facts(const struct leash_conn *conn, struct leash_gate_tls *ret)
{
	(void)conn;
	(void)ret;
	return false;
}

size_t leash_text_put(char *buf, size_t size, size_t len, const char *text)
{
	while (*text && len + 1 < size)
		buf[len++] = *text++;
	buf[len] = '\0';
	return len;
}

static int away_error, request_error;

int leash_timing_away(struct leash_gate *gate)
{
	(void)gate;
	return away_error;
}

int leash_timing_errno(const struct leash_conn *conn)
{
	const enum leash_conn_state now = leash_registry_state(conn);

	return now == LEASH_CONN_EXPIRED ? ETIMEDOUT : now == LEASH_CONN_INTERRUPTED ? ECONNABORTED : 0;
}

static _Atomic int begun, stopped_count;
static bool quiet;

int leash_timing_request(struct leash_conn *conn, int fd, uint8_t lists, int64_t start_ns, const char *call)
{
	(void)fd;
	(void)call;
	if (request_error)
		return request_error;
	begun++;
	if (!quiet)
		say("clock %s lists=%x\n", start_ns ? "own" : "connection", lists);
	if (start_ns == 0)
		start_ns = atomic_load(&conn->start_ns);
	atomic_store(&conn->start_ns, start_ns);
	atomic_store(&conn->deadline_ns, start_ns + 1);
	return 0;
}

void leash_timing_next(struct leash_conn *conn, uint8_t lists, int64_t start_ns)
{
	if (!quiet)
		say("next lists=%x\n", lists);
	atomic_store(&conn->start_ns, start_ns);
	atomic_store(&conn->deadline_ns, start_ns + 1);
}

void leash_timing_class(struct leash_conn *conn, uint8_t lists)
{
	(void)conn;
	if (!quiet)
		say("class lists=%x\n", lists);
}

void leash_timing_answered(struct leash_conn *conn, bool open)
{
	stopped_count++;
	if (!quiet)
		say(open ? "open\n" : "stopped\n");
	atomic_store(&conn->deadline_ns, open ? LEASH_NEVER : 0);
}

void leash_timing_spent(const struct leash_conn *conn, struct leash_spent *ret)
{
	(void)conn;
	*ret = (struct leash_spent){.connected_ns = 1};
}

void leash_timing_left(struct leash_conn *conn)
{
	(void)conn;
}

/* --------------------------------------------------------------------------- set up */

enum { SKIP = 1, AUDIT = 2, NO_REFERER = 4, NO_CONVERT = 8, H2 = 16, QUERIES = 32 };

static const struct leash_draft_entry entries[] = {
	{"a.example", "https://a.example", "game.cfg", 1, LEASH_LIST_REQUEST, 0},
	{"play.example", "wss://play.example", "game.cfg", 2, LEASH_LIST_SOCKET, 0},
	{"up.example", "https://up.example", "game.cfg", 3, LEASH_LIST_UPLOAD, 0},
	{"cdn.example", "https://cdn.example", "game.cfg", 4, LEASH_LIST_DOWNLOAD, 0},
	{"xn--bcher-kva.example", "https://xn--bcher-kva.example", "game.cfg", 5, LEASH_LIST_REQUEST, 0},
};

static void set_policy(unsigned int switches)
{
	struct leash_draft draft = {
		.entries = entries,
		.entry_count = sizeof(entries) / sizeof(entries[0]),
		.referer = switches & NO_REFERER
				   ? ""
				   : "https://appservice.wx.com/wx0123456789abcdef/0/page-frame.html",
		.settings = {
			.skip_domain_check = (switches & SKIP) != 0,
			.audit = (switches & AUDIT) != 0,
			.body_convert = (switches & NO_CONVERT) == 0,
			.http2 = switches & H2 ? LEASH_HTTP2_OBSERVE : LEASH_HTTP2_DENY,
			.event_queries = (switches & QUERIES) != 0,
			.lan_allow = 1,
			.timeout_ms = {60000, 10000, 60000, 60000},
			.timeout_max_ms = 60000,
		},
	};

	free((void *)(uintptr_t)image);
	image = draft_build(&draft);
}

static struct leash_exchange *open_one(const char *name)
{
	static uint64_t cookie = 100;
	struct leash_exchange *ex;
	int error = 1;

	memset(&conns[0], 0, sizeof(conns[0]));
	conns[0].cookie = ++cookie;
	conns[0].stream = 1;
	conns[0].port = 443;
	atomic_store(&conns[0].state, LEASH_CONN_OPEN);
	atomic_store(&conns[0].start_ns, 77);
	atomic_store(&conns[0].deadline_ns, 78);
	conns[0].addr[0] = LEASH_INET;
	memcpy(conns[0].addr + 8, "\xc0\x00\x02\x37", 4);	/* 192.0.2.55 */
	flight_name = name;
	ex = leash_exchange_open(&conns[0], conns[0].cookie, name[0] != '\0', &error);
	assert_non_null(ex);
	assert_int_equal(error, 0);
	return ex;
}

static void no_leak(void)
{
	for (enum leash_pool kind = 0; kind < LEASH_POOL_KINDS; kind++)
		if (leash_pool_used(kind) != 0)
			fail_msg("%u blocks of kind %u are lost (seed %llu)", leash_pool_used(kind),
				 (unsigned int)kind, (unsigned long long)seed_now);
}

/* ------------------------------------------------------------------------- its callers */

struct bytes {
	uint8_t at[HTTP_RUN_MAX * 2];
	size_t len;
};
static struct bytes sent, got;

static void append(struct bytes *to, const void *at, size_t len)
{
	HTTP_CHECK(len <= sizeof(to->at) - to->len);
	if (len)
		memcpy(to->at + to->len, at, len);
	to->len += len;
}

/* One write of the program: as the pump does it. Return: 0, or what refused it */
static int write_some(struct leash_exchange *ex, const void *at, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);	/* so that a look behind it is seen */
	size_t done = 0;
	int ret = 0;

	memcpy(copy, at, len);
	while (done < len && ret == 0) {
		struct leash_span span;

		ret = leash_exchange_out(ex, copy + done, len - done, "SSL_write", &span);
		if (ret < 0)
			break;
		HTTP_CHECK(span.consumed <= len - done);
		append(&sent, span.at, span.len);
		done += span.consumed;
	}
	free(copy);
	return ret;
}

static int write_text(struct leash_exchange *ex, const char *text)
{
	return write_some(ex, text, strlen(text));
}

/* The program reads with buffers of @size until all of @len bytes are its own. Return: 0 or the error */
static int read_some(struct leash_exchange *ex, const uint8_t *at, size_t len, size_t size)
{
	size_t done = 0;

	while (done < len || leash_exchange_pending(ex)) {
		uint8_t *buf = malloc(size), *peeked = malloc(size);
		size_t ask, seen;
		ssize_t ret;

		seen = leash_exchange_pending(ex);
		if (seen) {
			const size_t peek = leash_exchange_peek(ex, peeked, size);

			ret = (ssize_t)leash_exchange_pull(ex, buf, size);
			HTTP_CHECK((size_t)ret == peek && memcmp(buf, peeked, peek) == 0);
			HTTP_CHECK(peek == (seen < size ? seen : size));
			append(&got, buf, (size_t)ret);
		} else {
			ask = leash_exchange_ask(ex, size);
			HTTP_CHECK(ask >= 1 && ask <= size);
			if (ask > len - done)
				ask = len - done;
			memcpy(buf, at + done, ask);
			memset(buf + ask, 0xee, size - ask);
			done += ask;
			ret = leash_exchange_in(ex, buf, ask, size);
			if (ret > 0)
				append(&got, buf, (size_t)ret);
		}
		free(buf);
		free(peeked);
		if (ret < 0)
			return (int)ret;
	}
	return 0;
}

static size_t any_size(void)
{
	switch (rnd(6)) {
	case 0:
		return 1 + rnd(9);
	case 1:
		return 1 + rnd(100);
	case 2:
		return 16384;
	case 3:
		return 4096;
	default:
		return 1 + rnd(3000);
	}
}

static void finish(struct leash_exchange *ex)
{
	leash_exchange_end(ex, true);
	while (leash_exchange_pending(ex)) {
		uint8_t buf[777];

		append(&got, buf, leash_exchange_pull(ex, buf, 1 + rnd(sizeof(buf))));
	}
	leash_exchange_end(ex, true);
	leash_exchange_close(ex);
}

/* ---------------------------------------------------------------------------- property */

/* What goes out is what was written, but for the Referer lines, however it is cut */
static void test_requests(void **state)
{
	(void)state;
	quiet = true;
	wanted = false;
	set_policy(SKIP);
	for (seed_now = 0; seed_now < 4000; seed_now++) {
		struct leash_exchange *ex = open_one("a.example");
		size_t done = 0;

		talk_requests(seed_now, false);
		sent.len = 0;
		begun = 0;
		while (done < talk.in_len) {
			size_t len = any_size();

			if (len > talk.in_len - done)
				len = talk.in_len - done;
			HTTP_CHECK(write_some(ex, talk.in + done, len) == 0);
			done += len;
		}
		HTTP_CHECK(sent.len == talk.out_len && memcmp(sent.at, talk.out, sent.len) == 0);
		HTTP_CHECK((unsigned int)begun == talk.requests);
		leash_exchange_close(ex);
		no_leak();
		hush();
	}
	quiet = false;
	wanted = true;
}

static void ask_for(struct leash_exchange *ex, const char *host, unsigned int ask)
{
	char text[128];

	snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: %s\r\n\r\n", ask & LEASH_ASK_HEAD ? "HEAD" : "GET",
		 host);
	HTTP_CHECK(write_text(ex, text) == 0);
}

/* Answers that are not a request's arrive byte for byte, in whatever buffers */
static void test_answers(void **state)
{
	(void)state;
	quiet = true;
	for (unsigned int turn = 0; turn < 3; turn++) {
		const char *host = turn == 0 ? "cdn.example" : "a.example";

		/* A download; no conversion; nothing at all changed. HEAD is none of a download's. */
		set_policy(turn == 0 ? SKIP : turn == 1 ? NO_CONVERT : AUDIT);
		for (seed_now = 0; seed_now < 2000; seed_now++) {
			struct leash_exchange *ex = open_one(host);
			unsigned int asks[5], count = talk_answers(seed_now, false, asks);
			unsigned int ends = (unsigned int)stopped_count;

			sent.len = got.len = 0;
			for (unsigned int i = 0; i < count; i++) {
				if (turn == 0 && (asks[i] & LEASH_ASK_HEAD))
					break;
				ask_for(ex, host, asks[i]);
			}
			for (size_t done = 0; done < talk.in_len;) {
				size_t len = any_size() * 2;

				if (len > talk.in_len - done)
					len = talk.in_len - done;
				HTTP_CHECK(read_some(ex, talk.in + done, len, any_size()) == 0);
				done += len;
			}
			finish(ex);
			HTTP_CHECK(got.len == talk.in_len && memcmp(got.at, talk.in, got.len) == 0);
			HTTP_CHECK(sent.len == 0 || (unsigned int)stopped_count > ends);
			no_leak();
			hush();
		}
	}
	quiet = false;
}

/* The text behind a header, chunks taken apart */
static size_t body_of(const struct bytes *from, uint8_t *ret, size_t size)
{
	const uint8_t *at = memmem(from->at, from->len, "\r\n\r\n", 4), *end = from->at + from->len;
	size_t len = 0;
	bool chunked;

	HTTP_CHECK(at);
	chunked = memmem(from->at, (size_t)(at - from->at), "ransfer-Encoding: chunked", 25) != NULL;
	at += 4;
	while (chunked) {
		char *behind;
		const size_t chunk = strtoul((const char *)at, &behind, 16);

		at = (const uint8_t *)behind + 2;
		HTTP_CHECK(at[-2] == '\r' && at[-1] == '\n');
		if (chunk == 0)
			break;
		HTTP_CHECK(len + chunk <= size && at + chunk + 2 <= end);
		memcpy(ret + len, at, chunk);
		len += chunk;
		at += chunk + 2;
	}
	if (chunked) {
		HTTP_CHECK(at + 2 == end && memcmp(at, "\r\n", 2) == 0);
		return len;
	}
	len = (size_t)(end - at);
	HTTP_CHECK(len <= size);
	memcpy(ret, at, len);
	return len;
}

/* Text of a request arrives as UTF-8, with a framing that is true */
static void test_bodies(void **state)
{
	static const struct {
		const char *type, *unit, *becomes, *prefix;
	} rows[] = {
		{"application/json", "{\"a\": 1}\n", "{\"a\": 1}\n", "\xef\xbb\xbf"},
		{"application/json", "{\"a\": 1}\n", "{\"a\": 1}\n", ""},
		{"text/html; charset=gbk", "\xc4\xe3\xba\xc3 ", "\xe4\xbd\xa0\xe5\xa5\xbd ", ""},
		{"text/plain; charset=latin1", "\xe4\xf6\xfc", "\xc3\xa4\xc3\xb6\xc3\xbc", ""},
	};
	static uint8_t body[1 << 17], plain[1 << 17];

	(void)state;
	quiet = true;
	set_policy(0);
	talk_seed = 4711;
	for (seed_now = 0; seed_now < 3000; seed_now++) {
		const uint32_t row = rnd(sizeof(rows) / sizeof(rows[0]));
		const size_t units = rnd(20) ? 1 + rnd(40) : 1 + rnd(3000), unit = strlen(rows[row].unit);
		const size_t prefix = strlen(rows[row].prefix), len = prefix + units * unit;
		const size_t becomes = strlen(rows[row].becomes);
		const bool chunks = rnd(3) == 0, twice = rnd(3) == 0;
		struct leash_exchange *ex = open_one("a.example");
		size_t plain_len;
		static struct bytes wire;

		memcpy(body, rows[row].prefix, prefix);
		for (size_t i = 0; i < units; i++)
			memcpy(body + prefix + i * unit, rows[row].unit, unit);
		wire.len = (size_t)snprintf((char *)wire.at, 300, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n",
					    rows[row].type);
		if (chunks) {
			append(&wire, "Transfer-Encoding: chunked\r\n\r\n", 30);
			for (size_t done = 0; done < len;) {
				size_t piece = 1 + rnd((uint32_t)(len - done));
				char line[32];

				append(&wire, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", piece));
				append(&wire, body + done, piece);
				append(&wire, "\r\n", 2);
				done += piece;
			}
			append(&wire, "0\r\n\r\n", 5);
		} else {
			char line[64];

			append(&wire, line, (size_t)snprintf(line, sizeof(line),
							     "Content-Length: %zu\r\n\r\n", len));
			append(&wire, body, len);
		}
		for (int again = 0; again <= twice; again++) {
			sent.len = got.len = 0;
			ask_for(ex, "a.example", 0);
			for (size_t done = 0; done < wire.len;) {
				size_t some = any_size() * 4;

				if (some > wire.len - done)
					some = wire.len - done;
				HTTP_CHECK(read_some(ex, wire.at + done, some, any_size()) == 0);
				done += some;
			}
			got.at[got.len] = '\0';
			plain_len = body_of(&got, plain, sizeof(plain));
			HTTP_CHECK(plain_len == units * becomes);
			for (size_t i = 0; i < units; i++)
				HTTP_CHECK(memcmp(plain + i * becomes, rows[row].becomes, becomes) == 0);
			HTTP_CHECK(!leash_exchange_closes(ex));
			HTTP_CHECK(ex->stash == 0 && ex->head == 0 && !ex->body);
		}
		leash_exchange_close(ex);
		no_leak();
		hush();
	}
	quiet = false;
}

/* A body that is plain comes through in one walk: the caller's bytes are not touched, and none is copied */
static void test_bulk(void **state)
{
	static uint8_t buf[1 << 18];
	const char *head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 400000\r\n\r\n";
	struct leash_exchange *ex;

	(void)state;
	set_policy(0);
	hush();
	ex = open_one("a.example");
	ask_for(ex, "a.example", 0);
	memset(buf, 'x', sizeof(buf));
	memcpy(buf, head, strlen(head));
	assert_int_equal(leash_exchange_ask(ex, sizeof(buf)), 16384);
	assert_int_equal(leash_exchange_in(ex, buf, 16384, sizeof(buf)), 16384);
	assert_memory_equal(buf, head, strlen(head));
	assert_int_equal(buf[16383], 'x');
	assert_int_equal(leash_exchange_ask(ex, sizeof(buf)), sizeof(buf));
	assert_int_equal(leash_exchange_in(ex, buf, sizeof(buf), sizeof(buf)), sizeof(buf));
	assert_int_equal(leash_pool_used(LEASH_POOL_4K) + leash_pool_used(LEASH_POOL_16K) +
				 leash_pool_used(LEASH_POOL_BODY), 0);
	assert_false(heard("request GET"));
	assert_int_equal(leash_exchange_in(ex, buf, 400000 + strlen(head) - 16384 - sizeof(buf), sizeof(buf)),
			 400000 + strlen(head) - 16384 - sizeof(buf));
	assert_true(heard("request GET https://a.example/ api=request status=200 success"));
	leash_exchange_close(ex);
	no_leak();
}

/* ----------------------------------------------------------------------------- verdicts */

#define HOST(name) "GET / HTTP/1.1\r\nHost: " name "\r\n\r\n"
#define UPGRADE(name) \
	"GET /ws HTTP/1.1\r\nHost: " name "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define MULTIPART(name) \
	"POST /up HTTP/1.1\r\nHost: " name "\r\nContent-Type: multipart/form-data; boundary=xYz\r\n"

static void test_verdicts(void **state)
{
	static const struct {
		const char *name, *request, *says;
		unsigned int policy;
	} rows[] = {
		{"a.example", HOST("a.example"), NULL, 0},
		{"a.example", HOST("A.Example.:8443"), NULL, 0},
		{"a.example", "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL, 0},
		{"a.example", "GET / HTTP/1.0\r\n\r\n", NULL, 0},
		{"xn--bcher-kva.example", HOST("b\xc3\xbc" "cher.example"), NULL, 0},
		{"a.example", HOST("b\xc3\xbc" "cher.example"), "refused SSL_write name_mismatch", 0},
		{"a.example", HOST("b.example"), "refused SSL_write name_mismatch rule=http.host api=request host=b.example GET /", 0},
		{"a.example", HOST("play.example"), "refused SSL_write name_mismatch", 0},
		{"a.example", HOST("xa.example"), "refused SSL_write name_mismatch", 0},
		{"a.example", "GET / HTTP/1.1\r\n\r\n", "refused SSL_write name_mismatch", 0},
		{"a.example", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "refused SSL_write name_mismatch", 0},
		{"a.example", "GET / HTTP/1.0\r\nHost: b.example\r\n\r\n", "refused SSL_write name_mismatch", 0},
		{"a.example", "GET https://b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "refused SSL_write name_mismatch", 0},
		{"a.example", HOST("b.example"), "would SSL_write name_mismatch", SKIP},
		{"a.example", HOST("b.example"), "would SSL_write name_mismatch", AUDIT},
		/* The class, and the list that must hold the host */
		{"a.example", "POST /?secret=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\nx", NULL, 0},
		{"a.example", UPGRADE("a.example"), "refused SSL_write not_in_domain_list rule=domains api=connectSocket host=a.example GET /ws near=request", 0},
		{"play.example", UPGRADE("play.example"), NULL, 0},
		{"play.example", HOST("play.example"), "refused SSL_write not_in_domain_list rule=domains api=request host=play.example GET / near=socket", 0},
		{"cdn.example", HOST("cdn.example"), NULL, 0},
		{"cdn.example", "HEAD / HTTP/1.1\r\nHost: cdn.example\r\n\r\n", "refused SSL_write not_in_domain_list rule=domains api=request host=cdn.example HEAD / near=downloadFile", 0},
		{"cdn.example", "POST / HTTP/1.1\r\nHost: cdn.example\r\nContent-Length: 1\r\n\r\nx", "refused SSL_write not_in_domain_list", 0},
		{"cdn.example", "POST / HTTP/1.1\r\nHost: cdn.example\r\nContent-Length: 1\r\n\r\nx", "would SSL_write not_in_domain_list", SKIP},
		{"up.example", HOST("up.example"), "refused SSL_write not_in_domain_list rule=domains api=request host=up.example GET / near=uploadFile", 0},
		{"up.example", MULTIPART("up.example") "Content-Length: 62\r\n\r\n--xYz\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n--xYz--", NULL, 0},
		{"up.example", MULTIPART("up.example") "Content-Length: 57\r\n\r\n--xYz\r\nContent-Disposition: form-data; name=abcd\r\n\r\nx\r\n--xYz--", "refused SSL_write not_in_domain_list rule=domains api=request host=up.example POST /up near=uploadFile", 0},
		{"a.example", MULTIPART("a.example") "Content-Length: 57\r\n\r\n--xYz\r\nContent-Disposition: form-data; name=abcd\r\n\r\nx\r\n--xYz--", NULL, 0},
		{"a.example", MULTIPART("a.example") "Content-Length: 62\r\n\r\n--xYz\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n--xYz--", "refused SSL_write not_in_domain_list rule=domains api=uploadFile host=a.example POST /up near=request", 0},
		{"cdn.example", MULTIPART("cdn.example") "Content-Length: 1\r\n\r\n-", "refused SSL_write not_in_domain_list", 0},
		/* Framing */
		{"a.example", "GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n", "refused SSL_write ambiguous_request rule=http.framing", 0},
		{"a.example", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "detail=Content-Length and Transfer-Encoding", 0},
		{"a.example", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "refused SSL_write ambiguous_request", 0},
		{"a.example", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "refused SSL_write ambiguous_request", SKIP},
		{"a.example", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "would SSL_write ambiguous_request", AUDIT},
		{"a.example", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", "refused SSL_write ambiguous_request", 0},
		{"a.example", "GET / HTTP/1.1\r\nHost: a.example\r\nX: a\rb\r\n\r\n", "refused SSL_write ambiguous_request", 0},
		{"a.example", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "refused SSL_write ambiguous_request rule=http2", 0},
		{"a.example", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x01\x02", "note HTTP/2", H2},
		{"a.example", "PROPFIND / HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL, H2},
		{"a.example", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "would SSL_write ambiguous_request", AUDIT},
		{"a.example", "\x10\x10MQTT\x04\x02\x00\x3c", "note not HTTP/1", 0},
		/* A neighbour needs no entry; its name, or its address */
		{"", HOST("192.0.2.55"), NULL, 0},
		{"", HOST("192.0.2.55:8080"), NULL, 0},
		{"", HOST("nas.example"), NULL, 0},
		{"", UPGRADE("192.0.2.55"), NULL, 0},
		{"", HOST("192.0.2.56"), "refused SSL_write name_mismatch", 0},
		{"", HOST("a.example"), "refused SSL_write name_mismatch", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t len = strlen(rows[i].request);
		const bool let = !rows[i].says || strncmp(rows[i].says, "refused", 7) != 0;

		/* In one piece, byte by byte, and in two at every place */
		for (size_t cut = 0; cut <= len; cut++) {
			struct leash_exchange *ex;
			int ret = 0;

			set_policy(rows[i].policy);
			lan = rows[i].name[0] == '\0';
			hush();
			sent.len = 0;
			ex = open_one(rows[i].name);
			if (cut == 0) {
				for (size_t at = 0; at < len && ret == 0; at++)
					ret = write_some(ex, rows[i].request + at, 1);
			} else {
				ret = write_some(ex, rows[i].request, cut);
				if (ret == 0 && cut < len)
					ret = write_some(ex, rows[i].request + cut, len - cut);
			}
			if (rows[i].says ? !heard(rows[i].says) : heard("refused") || heard("would") || heard("note"))
				fail_msg("row %zu, cut %zu: %s", i, cut, said);
			if (let && strstr(rows[i].request, "Content-Length: 3\r\nTransfer") == NULL) {
				if (ret != 0)
					fail_msg("row %zu, cut %zu: %d, %s", i, cut, ret, said);
				if (rows[i].policy == AUDIT || heard("note"))
					assert_true(sent.len == len &&
						    memcmp(sent.at, rows[i].request, len) == 0);
			} else {
				assert_int_equal(ret, -EACCES);
				/* and ever after; a header that was refused has not left whole */
				assert_int_equal(write_text(ex, "x"), -EACCES);
				assert_int_equal(leash_exchange_error(ex), EACCES);
				assert_int_equal(leash_exchange_in(ex, said, 0, 1), -EACCES);
				if (!strstr(rows[i].request, "multipart"))
					assert_null(memmem(sent.at, sent.len, "\r\n\r\n", 4));
			}
			leash_exchange_close(ex);
			no_leak();
		}
	}
	lan = false;
}

/* ------------------------------------------------------------------------ clocks, events */

static int answer(struct leash_exchange *ex, const char *text, size_t size)
{
	return read_some(ex, (const uint8_t *)text, strlen(text), size);
}

static void test_clocks(void **state)
{
	struct leash_exchange *ex;

	(void)state;
	set_policy(0);
	hush();
	got.len = 0;
	ex = open_one("a.example");
	/* The first with the connection, the next one with its own first byte. */
	assert_int_equal(write_text(ex, "GET /one?q=1 HTTP/1.1\r\nHo"), 0);
	assert_true(heard("clock connection lists=1\n"));
	assert_int_equal(write_text(ex, "st: a.example\r\n\r\n"), 0);
	assert_true(heard("class lists=1\n"));
	hush();
	assert_int_equal(answer(ex, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nab", 900), 0);
	assert_false(heard("stopped"));
	assert_int_equal(answer(ex, "c", 900), 0);
	assert_true(heard("stopped\n"));
	assert_true(heard("request GET https://a.example/one api=request status=404 success sent=115 received=66 fresh\n"));
	hush();
	/* Three at once: a clock goes on as long as one of them waits. */
	assert_int_equal(write_text(ex, HOST("a.example") HOST("a.example") HOST("a.example")), 0);
	assert_true(heard("clock own lists=1\n"));
	assert_true(heard("next"));
	hush();
	assert_int_equal(answer(ex, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 900), 0);
	assert_false(heard("stopped"));
	assert_true(heard("next"));
	assert_int_equal(answer(ex, "HTTP/1.1 200 OK\r\n\r\nto the end", 900), 0);
	assert_false(heard("stopped"));
	leash_exchange_end(ex, true);
	assert_true(heard("stopped\n"));
	leash_exchange_close(ex);
	no_leak();
	/* An answer before the body has left: it is over, and the body still goes. */
	hush();
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 6\r\n\r\nabc"), 0);
	assert_int_equal(answer(ex, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", 900), 0);
	assert_true(heard("stopped\n"));
	assert_true(heard("status=413 success"));
	hush();
	sent.len = 0;
	assert_int_equal(write_text(ex, "def" HOST("a.example")), 0);
	assert_memory_equal(sent.at, "defGET /", 8);
	assert_true(heard("clock own"));
	leash_exchange_close(ex);
	assert_true(heard("cut"));
	no_leak();
	/* A WebSocket: its clock ends with 101, and its bytes are nobody's. */
	hush();
	ex = open_one("play.example");
	assert_int_equal(write_text(ex, UPGRADE("play.example")), 0);
	assert_true(heard("class lists=2\n"));
	assert_int_equal(write_text(ex, "x"), -EAGAIN);
	assert_int_equal(answer(ex, "HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
				    "Sec-WebSocket-Accept: x\r\n\r\n\x81\x01x", 900), 0);
	assert_true(heard("open\n"));
	assert_true(heard("request GET wss://play.example/ws api=connectSocket status=101 success"));
	sent.len = 0;
	assert_int_equal(write_text(ex, "\x81\x81GET / HTTP/1.1\r\n\r\nReferer: x\r\n\r\n"), 0);
	assert_int_equal(sent.len, 34);
	leash_exchange_close(ex);
	no_leak();
	/* Asked for a WebSocket, got a page: the next request is one. */
	hush();
	ex = open_one("play.example");
	assert_int_equal(write_text(ex, UPGRADE("play.example")), 0);
	assert_int_equal(answer(ex, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 900), 0);
	assert_int_equal(write_text(ex, UPGRADE("play.example")), 0);
	/* Something else than a WebSocket */
	assert_int_equal(answer(ex, "HTTP/1.1 101 Up\r\nUpgrade: foo\r\n\r\n", 900), -EACCES);
	assert_true(heard("ambiguous_request"));
	leash_exchange_close(ex);
	no_leak();
	/* Ended by somebody else */
	for (int i = 0; i < 2; i++) {
		hush();
		ex = open_one("a.example");
		ask_for(ex, "a.example", 0);
		atomic_store(&conns[0].state, i ? LEASH_CONN_INTERRUPTED : LEASH_CONN_EXPIRED);
		assert_int_equal(leash_exchange_error(ex), i ? ECONNABORTED : ETIMEDOUT);
		assert_int_equal(write_text(ex, "x"), i ? -ECONNABORTED : -ETIMEDOUT);
		leash_exchange_end(ex, false);
		assert_true(heard(i ? "status=0 interrupted" : "status=0 timeout"));
		leash_exchange_close(ex);
		no_leak();
	}
	/* In the background nothing begins, and what was refused may be tried again. */
	hush();
	ex = open_one("a.example");
	atomic_store(&conns[0].deadline_ns, 0);
	page.background_ns = 5;
	away_error = -ECONNABORTED;
	sent.len = 0;
	assert_int_equal(write_text(ex, HOST("a.example")), -ECONNABORTED);
	page.background_ns = 0;
	away_error = 0;
	assert_int_equal(write_text(ex, HOST("a.example")), 0);
	assert_int_equal(sent.len, strlen(HOST("a.example")) + strlen(HTTP_REFERER));
	leash_exchange_close(ex);
	/* No thread, no clock: nothing of it leaves. */
	ex = open_one("a.example");
	request_error = -ENOBUFS;
	sent.len = 0;
	assert_int_equal(write_text(ex, HOST("a.example")), -ENOBUFS);
	assert_int_equal(sent.len, 0);
	request_error = 0;
	leash_exchange_close(ex);
	no_leak();
}

static void test_current(void **state)
{
	char method[24], target[512];
	struct leash_exchange *ex;

	(void)state;
	set_policy(0);
	ex = open_one("a.example");
	assert_false(leash_exchange_current(&conns[0], method, target));
	assert_int_equal(write_text(ex, "PUT /a/b?secret HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n"), 0);
	assert_true(leash_exchange_current(&conns[0], method, target));
	assert_string_equal(method, "PUT");
	assert_string_equal(target, "/a/b");
	leash_exchange_close(ex);
	assert_false(leash_exchange_current(&conns[0], method, target));
	set_policy(QUERIES);
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, "PUT /a/b?open HTTP/1.1\r\nHost: a.example\r\n\r\n"), 0);
	assert_true(leash_exchange_current(&conns[0], method, target));
	assert_string_equal(target, "/a/b?open");
	leash_exchange_close(ex);
}

/* ------------------------------------------------------------------------------- ends */

/* Closed anywhere, on either side: nothing is lost, no block stays */
static void test_ends(void **state)
{
	static const char request[] = MULTIPART("a.example") "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
	static const char reply[] = "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html; charset=gbk\r\n"
				    "Transfer-Encoding: chunked\r\n\r\n4\r\n\xc4\xe3\xba\xc3\r\n0\r\n\r\n";

	(void)state;
	set_policy(0);
	for (size_t cut = 0; cut <= strlen(request); cut++) {
		struct leash_exchange *ex = open_one("a.example");

		for (size_t i = 0; i < cut; i++)
			assert_int_equal(write_some(ex, request + i, 1), 0);
		if (cut & 1) {
			leash_exchange_gave_up(ex);
			if (ex->out_over)
				assert_int_equal(write_text(ex, "x"), -EPIPE);
		}
		if (cut % 3 == 0)
			leash_exchange_end(ex, cut & 1);
		leash_exchange_close(ex);
		no_leak();
	}
	for (size_t cut = 0; cut <= sizeof(reply) - 1; cut++)
		for (size_t size = 1; size < 200; size += 33) {
			struct leash_exchange *ex = open_one("a.example");

			hush();
			got.len = 0;
			ask_for(ex, "a.example", 0);
			assert_int_equal(read_some(ex, (const uint8_t *)reply, cut, size), 0);
			leash_exchange_end(ex, true);
			assert_true(heard(cut == sizeof(reply) - 1 ? "success" : "cut"));
			while (leash_exchange_pending(ex)) {
				uint8_t buf[7];

				append(&got, buf, leash_exchange_pull(ex, buf, sizeof(buf)));
			}
			/* A header that was held comes as it was. */
			if (cut < 60)
				assert_true(got.len == cut && memcmp(got.at, reply, cut) == 0);
			leash_exchange_close(ex);
			no_leak();
		}
	/* HTTP/1.0 has no chunks: only the end shows where it ends. */
	{
		struct leash_exchange *ex = open_one("a.example");

		got.len = 0;
		assert_int_equal(write_text(ex, "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"), 0);
		assert_int_equal(answer(ex, "HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=gbk\r\n"
					    "Content-Length: 4\r\n\r\n\xc4\xe3\xba\xc3", 900), 0);
		assert_true(leash_exchange_closes(ex));
		assert_non_null(memmem(got.at, got.len, "\r\n\r\n\xe4\xbd\xa0\xe5\xa5\xbd", 10));
		leash_exchange_close(ex);
	}
	no_leak();
	leash_exchange_close(NULL);
}

/* Its connection went, and the slot is another one's */
static void test_gone(void **state)
{
	struct leash_exchange *ex;

	(void)state;
	set_policy(0);
	ex = open_one("a.example");
	ask_for(ex, "a.example", 0);
	hush();
	conns[0].cookie += 1000;
	assert_int_equal(leash_exchange_error(ex), 0);
	assert_int_equal(answer(ex, "HTTP/1.1 204 No\r\n\r\n", 100), 0);
	leash_exchange_close(ex);
	assert_string_equal(said, "");
	no_leak();
}

/* The bytes that a program peeks at, or that come while it writes */
static void test_stash(void **state)
{
	struct leash_exchange *ex;
	uint8_t buf[100];

	(void)state;
	set_policy(0);
	ex = open_one("a.example");
	ask_for(ex, "a.example", 0);
	assert_int_equal(leash_exchange_stash(ex, "HTTP/1.1 200 OK\r\nContent-Le", 27), 0);
	assert_int_equal(leash_exchange_pending(ex), 0);
	assert_int_equal(leash_exchange_stash(ex, "ngth: 2\r\n\r\nab", 13), 0);
	assert_int_equal(leash_exchange_pending(ex), 40);
	assert_int_equal(leash_exchange_peek(ex, buf, sizeof(buf)), 40);
	assert_memory_equal(buf, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 40);
	assert_int_equal(leash_exchange_pull(ex, buf, 39), 39);
	assert_int_equal(leash_exchange_pull(ex, buf, 39), 1);
	assert_int_equal(buf[0], 'b');
	leash_exchange_close(ex);
	no_leak();
}

/* ------------------------------------------------------------------ pool, fork, threads */

static void test_pool(void **state)
{
	static void *taken[16384];
	struct leash_exchange *ex;
	int error = 0;
	size_t count = 0, first;

	(void)state;
	set_policy(0);
	hush();
	ex = open_one("a.example");
	for (enum leash_pool kind = LEASH_POOL_4K; kind < LEASH_POOL_KINDS; kind++)
		for (void *at; (at = leash_pool_take(kind)); count++)
			taken[count < 16384 ? count : 16383] = at;
	/* An unfinished line has nowhere to wait. */
	assert_int_equal(write_text(ex, "GET / HT"), -ENOBUFS);
	assert_true(heard("refused SSL_write resource"));
	assert_true(count > 16384);
	leash_exchange_close(ex);
	for (enum leash_pool kind = LEASH_POOL_4K; kind < LEASH_POOL_KINDS; kind++)
		for (uint32_t i = 0; i < shape[kind].count; i++)
			leash_pool_give(kind, leash_pool_at(kind, i));
	no_leak();
	/* No room for one more connection */
	for (count = 0; count < 16384; count++)
		assert_non_null(taken[count] = leash_pool_take(LEASH_POOL_EXCHANGE));
	assert_null(leash_pool_take(LEASH_POOL_EXCHANGE));
	hush();
	atomic_store(&conns[0].state, LEASH_CONN_OPEN);
	assert_null(leash_exchange_open(&conns[0], conns[0].cookie, true, &error));
	assert_int_equal(error, -ENOBUFS);
	assert_true(heard("resource"));
	/* What is given back is had again, and the lowest first. */
	first = 77;
	leash_pool_give(LEASH_POOL_EXCHANGE, taken[first]);
	leash_pool_give(LEASH_POOL_EXCHANGE, taken[first + 5000]);
	assert_ptr_equal(leash_pool_take(LEASH_POOL_EXCHANGE), taken[first]);
	assert_ptr_equal(leash_pool_take(LEASH_POOL_EXCHANGE), taken[first + 5000]);
	for (count = 0; count < 16384; count++)
		leash_pool_give(LEASH_POOL_EXCHANGE, taken[count]);
	no_leak();
}

/* A child that inherits the lock held by a thread it does not have */
static void test_fork(void **state)
{
	struct leash_exchange *ex;
	int status;
	pid_t child;

	(void)state;
	set_policy(0);
	ex = open_one("a.example");
	leash_exchange_lock(ex);
	child = fork();
	if (child == 0) {
		const int64_t start_ns = leash_exact_ns();

		ask_for(ex, "a.example", 0);
		_exit(leash_exact_ns() - start_ns < LOST_NS / 2 ? 7 : 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	leash_exchange_unlock(ex);
	leash_exchange_close(ex);
}

#define ROUNDS 20000
static _Atomic uint32_t served, asked;

static void *writer(void *arg)
{
	struct leash_exchange *ex = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct leash_span span;
		const char *text = HOST("a.example");
		size_t len = strlen(text), done = 0;

		while (done < len) {
			if (leash_exchange_out(ex, text + done, len - done, "SSL_write", &span) < 0)
				return (void *)1;
			done += span.consumed;
		}
		atomic_fetch_add(&asked, 1);
		while (atomic_load(&asked) - atomic_load(&served) > 5)
			sched_yield();
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct leash_exchange *ex = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		char text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nabcd";
		char buf[200];

		while (atomic_load(&asked) == atomic_load(&served))
			sched_yield();
		memcpy(buf, text, sizeof(text) - 1);
		if (leash_exchange_ask(ex, sizeof(buf)) < sizeof(text) - 1 ||
		    leash_exchange_in(ex, buf, sizeof(text) - 1, sizeof(buf)) != (ssize_t)sizeof(text) - 1 ||
		    memcmp(buf, text, sizeof(text) - 1) != 0)
			return (void *)1;
		atomic_fetch_add(&served, 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t ids[2];
	struct leash_exchange *ex;
	void *ret;

	(void)state;
	set_policy(0);
	quiet = true;
	wanted = false;
	ex = open_one("a.example");
	begun = stopped_count = 0;
	memset(&page.host[3], 0, sizeof(page.host[3]));
	assert_int_equal(pthread_create(&ids[0], NULL, writer, ex), 0);
	assert_int_equal(pthread_create(&ids[1], NULL, reader, ex), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(ids[i], &ret);
		assert_null(ret);
	}
	assert_int_equal(begun, ROUNDS);
	/* Nothing waits, and no clock runs. */
	assert_int_equal(atomic_load(&conns[0].deadline_ns), 0);
	assert_int_equal(page.host[3].requests[LEASH_LIST_REQUEST], ROUNDS);
	leash_exchange_close(ex);
	no_leak();
	quiet = false;
	wanted = true;
}

/* What a test that failed has left */
static int begin(void **state)
{
	(void)state;
	for (enum leash_pool kind = 0; kind < LEASH_POOL_KINDS; kind++)
		memset(&pools[kind].taken, 0, sizeof(pools[kind].taken));
	quiet = lan = false;
	wanted = true;
	hush();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_answers),
		TEST(test_bodies),
		TEST(test_bulk),
		TEST(test_verdicts),
		TEST(test_clocks),
		TEST(test_current),
		TEST(test_ends),
		TEST(test_gone),
		TEST(test_stash),
		TEST(test_pool),
		TEST(test_fork),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
