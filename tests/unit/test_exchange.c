/* SPDX-License-Identifier: MIT */
/* Requests and answers, cut anywhere, into buffers of any size: no byte is lost, and none is another one. */
#include "exchange_fake.h"

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

/* The text behind a header, chunks taken apart. Return: where the next answer begins */
static const uint8_t *body_of(const uint8_t *from, const uint8_t *end, uint8_t *ret, size_t size, size_t *ret_len)
{
	const uint8_t *at = memmem(from, (size_t)(end - from), "\r\n\r\n", 4), *length;
	size_t len = 0;
	bool chunked;

	HTTP_CHECK(at);
	chunked = memmem(from, (size_t)(at - from), "ransfer-Encoding: chunked", 25) != NULL;
	length = memmem(from, (size_t)(at - from), "Content-Length: ", 16);
	HTTP_CHECK(chunked != (length != NULL));
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
		HTTP_CHECK(at + 2 <= end && memcmp(at, "\r\n", 2) == 0);
		at += 2;
	} else {
		len = strtoul((const char *)length + 16, NULL, 10);
		HTTP_CHECK(len <= size && len <= (size_t)(end - at));
		memcpy(ret, at, len);
		at += len;
	}
	*ret_len = len;
	return at;
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
		int turns = 1 + twice, answers = 0;
		const uint8_t *at;
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
		sent.len = got.len = 0;
		/* One after the other, or at once */
		if (rnd(2) && twice && wire.len < sizeof(wire.at) / 2) {
			ask_for(ex, "a.example", 0);
			ask_for(ex, "a.example", 0);
			memcpy(wire.at + wire.len, wire.at, wire.len);
			wire.len *= 2;
			turns = 1;
		}
		for (int turn = 0; turn < turns; turn++) {
			if (turns == 1 + twice)
				ask_for(ex, "a.example", 0);
			for (size_t done = 0; done < wire.len;) {
				size_t some = any_size() * 4;

				if (some > wire.len - done)
					some = wire.len - done;
				HTTP_CHECK(read_some(ex, wire.at + done, some, any_size()) == 0);
				done += some;
			}
		}
		got.at[got.len] = '\0';
		for (at = got.at; at < got.at + got.len;) {
			at = body_of(at, got.at + got.len, plain, sizeof(plain), &plain_len);
			HTTP_CHECK(plain_len == units * becomes);
			for (size_t i = 0; i < units; i++)
				HTTP_CHECK(memcmp(plain + i * becomes, rows[row].becomes, becomes) == 0);
			answers++;
		}
		HTTP_CHECK(answers == 1 + twice && !leash_exchange_closes(ex));
		HTTP_CHECK(ex->stash == 0 && ex->head == 0 && !ex->body);
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
			/* What was held is gone, and what would follow it means something else. */
			const bool held = cut < strlen(request) - 20 && request[cut - 1] != '\n';

			leash_exchange_gave_up(ex);
			sent.len = 0;
			if (held) {
				assert_int_equal(write_text(ex, "x"), -EPIPE);
				assert_int_equal(sent.len, 0);
			}
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

/* What was sent is the program's at once, whatever is still to come */
static void test_prompt(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=latin1\r\n"
				   "Content-Length: 1000\r\n\r\n";
	static uint8_t plain[4096];

	(void)state;
	set_policy(0);
	for (size_t size = 1; size < 400; size += 7) {
		struct leash_exchange *ex = open_one("a.example");
		uint8_t text[300];

		memset(text, 0xe4, sizeof(text));
		got.len = 0;
		ask_for(ex, "a.example", 0);
		assert_int_equal(answer(ex, head, size), 0);
		for (size_t len = 1; len < sizeof(text); len += 50) {
			const size_t at = got.len;
			size_t becomes = 0;

			assert_int_equal(read_some(ex, text, len, size), 0);
			/* Chunks of it, all there */
			for (const uint8_t *from = got.at + at, *end = got.at + got.len; from < end;) {
				char *behind;
				const size_t chunk = strtoul((const char *)from, &behind, 16);

				memcpy(plain + becomes, behind + 2, chunk);
				becomes += chunk;
				from = (const uint8_t *)behind + 2 + chunk + 2;
				assert_true(from <= end);
			}
			assert_int_equal(becomes, 2 * len);
			for (size_t i = 0; i < becomes; i += 2)
				assert_memory_equal(plain + i, "\xc3\xa4", 2);
		}
		leash_exchange_close(ex);
		no_leak();
	}
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
	/* A child that frees what it has a copy of has ended nothing; one that reads the answer has. */
	ask_for(ex, "a.example", 0);
	for (int reads = 0; reads < 2; reads++) {
		child = fork();
		if (child == 0) {
			hush();
			if (reads && answer(ex, "HTTP/1.1 204 No\r\n\r\n", 100) != 0)
				_exit(9);
			leash_exchange_close(ex);
			_exit(heard("request GET") == reads && heard("stopped") == reads &&
			      leash_pool_used(LEASH_POOL_REQUEST) == 0 ? 7 : 8);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
	leash_exchange_close(ex);
	no_leak();
}

static int times(const char *what)
{
	int count = 0;

	for (const char *at = strstr(said, what); at; at = strstr(at + 1, what))
		count++;
	return count;
}

/* The program ends: what waits is told once, by the process it is of, and whoever goes on meanwhile is not disturbed */
static void test_leave(void **state)
{
	struct leash_exchange *ex;
	int status;
	pid_t child;

	(void)state;
	set_policy(0);
	leash_exchange_leave();
	ex = open_one("a.example");
	memset(&page.host[3], 0, sizeof(page.host[3]));
	ask_for(ex, "a.example", 0);
	ask_for(ex, "a.example", 0);
	hush();
	/* Held by this thread, which a handler ends. */
	leash_exchange_lock(ex);
	leash_exchange_leave();
	assert_int_equal(times("request GET"), 0);
	leash_exchange_unlock(ex);
	child = fork();
	if (child == 0) {
		leash_exchange_leave();
		_exit(times("request GET") == 0 ? 7 : 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	leash_exchange_leave();
	leash_exchange_leave();
	assert_int_equal(times("request GET"), 2);
	assert_int_equal(times("cut"), 2);
	assert_int_equal(times("stopped"), 0);
	/* The answer of one comes all the same, and a third is asked for. */
	got.len = 0;
	assert_int_equal(answer(ex, "HTTP/1.1 204 No\r\n\r\n", 100), 0);
	assert_int_equal(got.len, strlen("HTTP/1.1 204 No\r\n\r\n"));
	ask_for(ex, "a.example", 0);
	assert_int_equal(times("request GET"), 2);
	leash_exchange_leave();
	assert_int_equal(times("request GET"), 3);
	leash_exchange_close(ex);
	assert_int_equal(times("request GET"), 3);
	assert_int_equal(page.host[3].requests[LEASH_LIST_REQUEST], 3);
	no_leak();
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_answers),
		TEST(test_bodies),
		TEST(test_bulk),
		TEST(test_ends),
		TEST(test_prompt),
		TEST(test_stash),
		TEST(test_pool),
		TEST(test_fork),
		TEST(test_leave),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
