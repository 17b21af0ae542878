/* SPDX-License-Identifier: MIT */
/*
 * The exchange of a connection (conn/exchange.h) with everything around it faked: clocks are written down
 * instead of set, refusals instead of said. And its callers: a program that writes in pieces, and reads into
 * buffers of any size.
 */
#ifndef LEASH_TEST_EXCHANGE_FAKE_H
#define LEASH_TEST_EXCHANGE_FAKE_H

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

static inline size_t any_size(void)
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

static inline void finish(struct leash_exchange *ex)
{
	leash_exchange_end(ex, true);
	while (leash_exchange_pending(ex)) {
		uint8_t buf[777];

		append(&got, buf, leash_exchange_pull(ex, buf, 1 + rnd(sizeof(buf))));
	}
	leash_exchange_end(ex, true);
	leash_exchange_close(ex);
}

static void ask_for(struct leash_exchange *ex, const char *host, unsigned int ask)
{
	char text[128];

	snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: %s\r\n\r\n", ask & LEASH_ASK_HEAD ? "HEAD" : "GET",
		 host);
	HTTP_CHECK(write_text(ex, text) == 0);
}

static int answer(struct leash_exchange *ex, const char *text, size_t size)
{
	return read_some(ex, (const uint8_t *)text, strlen(text), size);
}

#define HOST(name) "GET / HTTP/1.1\r\nHost: " name "\r\n\r\n"
#define UPGRADE(name) \
	"GET /ws HTTP/1.1\r\nHost: " name "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define MULTIPART(name) \
	"POST /up HTTP/1.1\r\nHost: " name "\r\nContent-Type: multipart/form-data; boundary=xYz\r\n"

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

#endif
