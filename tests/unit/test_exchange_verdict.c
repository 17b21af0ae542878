/* SPDX-License-Identifier: MIT */
/* What a request may be, until when, and what is told of it */
#include "exchange_fake.h"

/* ----------------------------------------------------------------------------- verdicts */

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
		{"unlisted.example", HOST("unlisted.example"), NULL, SKIP},	/* the connection was said */
		{"unlisted.example", HOST("unlisted.example"), "refused SSL_write not_in_domain_list", 0},
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

/* The host of a request like the one before is not asked about again; any other is. */
static void test_same_host(void **state)
{
	static const char good[] = HOST("a.example"), bad[] = HOST("b.example");
	struct leash_exchange *ex;

	(void)state;
	/* Beside a good one another is refused, whichever is kept. */
	for (size_t before = 0; before < 4; before++) {
		set_policy(0);
		hush();
		ex = open_one("a.example");
		for (size_t i = 0; i < before; i++)
			assert_int_equal(write_text(ex, good), 0);
		assert_false(heard("refused"));
		assert_int_equal(write_text(ex, bad), -EACCES);
		assert_true(heard("refused SSL_write name_mismatch"));
		leash_exchange_close(ex);
		no_leak();
	}
	/* In pieces nothing is kept: what was, is judged for what it is. */
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, good), 0);
	assert_int_equal(write_text(ex, "GET / HTTP/1.1\r\nHost: a.exa"), 0);
	assert_int_equal(write_text(ex, "mple\r\nX: y\r\n\r\n"), 0);
	assert_int_equal(write_text(ex, good), 0);
	assert_int_equal(write_text(ex, "GET / HTTP/1.1\r\nHost: b.exa"), 0);
	hush();
	assert_int_equal(write_text(ex, "mple\r\n\r\n"), -EACCES);
	assert_true(heard("refused SSL_write name_mismatch"));
	leash_exchange_close(ex);
	no_leak();
	/* An absolute target is one more host, and no field. */
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, good), 0);
	assert_int_equal(write_text(ex, good), 0);
	assert_int_equal(write_text(ex, "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), -EACCES);
	leash_exchange_close(ex);
	/* Under audit it is said each time. */
	set_policy(AUDIT);
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, good), 0);
	for (size_t i = 0; i < 3; i++) {
		hush();
		assert_int_equal(write_text(ex, bad), 0);
		assert_true(heard("would SSL_write name_mismatch"));
		hush();
		assert_int_equal(write_text(ex, good), 0);
		assert_false(heard("would"));
	}
	for (size_t i = 0; i < 3; i++) {
		hush();
		assert_int_equal(write_text(ex, bad), 0);
		assert_true(heard("would SSL_write name_mismatch"));
	}
	leash_exchange_close(ex);
	no_leak();
}

/* ------------------------------------------------------------------------ clocks, events */

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
	/* That it ended there is only known if it was closed, not lost. */
	hush();
	ex = open_one("a.example");
	assert_int_equal(write_text(ex, HOST("a.example")), 0);
	assert_int_equal(answer(ex, "HTTP/1.1 200 OK\r\n\r\nto the end", 900), 0);
	leash_exchange_end(ex, false);
	assert_true(heard("status=200 cut"));
	leash_exchange_close(ex);
	/* What is allowed on a connection is allowed for what it is. */
	ex = open_one("cdn.example");
	assert_int_equal(write_text(ex, HOST("cdn.example") HOST("cdn.example")), 0);
	assert_int_equal(write_text(ex, "PUT / HTTP/1.1\r\nHost: cdn.example\r\n\r\n"), -EACCES);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_verdicts),
		TEST(test_same_host),
		TEST(test_clocks),
		TEST(test_current),
		TEST(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
