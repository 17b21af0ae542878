/* SPDX-License-Identifier: MIT */
/*
 * Plain http on a socket that takes and gives what it likes (conn/plain.c): whatever is cut where, the far
 * side gets what the exchange makes of the program's bytes, once and in order, and the program's counts
 * are of its own.
 *
 * In place of an exchange stands one that has all it can do: bytes pass; "<…>" is held and comes out as
 * ours, "(…)"; "{…}" is dropped; "!" is refused; "^" waits for an answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* The file itself: it is part of the shared object, not of the library for unit tests. */
#include "shim/conn/plain.c"

#define ROOM (1u << 16)

struct leash_real leash_real;
static struct leash_conn conn;
static int pair[2];

static struct leash_exchange {
	char held[ROOM];
	size_t held_len;
	bool holds, drops, answered, raw;
	int opened, closed, gave_up;
	char rest[ROOM];		/* in: what waits */
	size_t rest_at, rest_len;
	size_t ask;			/* at once, 0: all */
	bool ended;
	size_t taken;			/* of the program's bytes */
} fake;

static struct {
	char to[ROOM];
	size_t to_len;
	char from[ROOM];		/* what the server sends */
	size_t from_len, from_at;
	unsigned int whim;		/* how many calls in 16 it refuses for now; 16: never */
	bool more_last;			/* the last send was with MSG_MORE */
	unsigned int sends;
} net;

/* ------------------------------------------------------------------------------- fakes */

static uint32_t dice(uint32_t n)
{
	return (uint32_t)random() % n;
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
	assert_int_equal(fd, pair[0]);
	assert_true(flags & MSG_NOSIGNAL);
	net.sends++;
	if (dice(16) < net.whim) {
		errno = dice(3) ? EAGAIN : EINTR;
		return -1;
	}
	if (net.whim)
		len = 1 + dice((uint32_t)len);
	assert_true(net.to_len + len <= sizeof(net.to));
	memcpy(net.to + net.to_len, buf, len);
	net.to_len += len;
	net.more_last = flags & MSG_MORE;
	return (ssize_t)len;
}

static ssize_t take(void *buf, size_t len)
{
	size_t n = net.from_len - net.from_at;

	if (n > 0 && dice(16) < net.whim)
		n = 0;
	if (n == 0 && net.from_at < net.from_len) {
		errno = EAGAIN;
		return -1;
	}
	if (n > len)
		n = len;
	if (net.whim && n > 1)
		n = 1 + dice((uint32_t)n);
	memcpy(buf, net.from + net.from_at, n);
	return (ssize_t)n;
}

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const ssize_t n = take(msg->msg_iov->iov_base, msg->msg_iov->iov_len);

	(void)fd;
	if (n > 0 && !(flags & MSG_PEEK))
		net.from_at += (size_t)n;
	return n;
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return fake_recvmsg(fd, &msg, flags);
}

struct leash_exchange *leash_exchange_open(struct leash_conn *of, uint64_t cookie, bool tls, int *ret_error)
{
	assert_ptr_equal(of, &conn);
	assert_int_equal(cookie, conn.cookie);
	assert_false(tls);
	*ret_error = 0;
	memset(&fake, 0, sizeof(fake));
	fake.opened = 1;
	return &fake;
}

void leash_exchange_close(struct leash_exchange *ex)
{
	ex->closed++;
}

int leash_exchange_error(const struct leash_exchange *ex)
{
	(void)ex;
	return 0;
}

static int out(struct leash_exchange *ex, const void *buf, size_t len, struct leash_span *ret)
{
	const char *at = buf;
	size_t n = 0;

	*ret = (struct leash_span){.at = buf};
	if (ex->holds || ex->drops) {
		const char *end = memchr(at, ex->holds ? '>' : '}', len);

		n = end ? (size_t)(end - at) + 1 : len;
		ret->consumed = n;
		if (ex->holds) {
			memcpy(ex->held + ex->held_len, at, n);
			ex->held_len += n;
		}
		if (end && ex->holds) {
			ex->held[0] = '(';
			ex->held[ex->held_len - 1] = ')';
			ret->at = ex->held;
			ret->len = ex->held_len;
			ret->own = ret->head = true;
			ex->held_len = 0;
		}
		if (end)
			ex->holds = ex->drops = false;
		return 0;
	}
	if (at[0] == '!')
		return -EACCES;
	if (at[0] == '^' && !ex->answered)
		return -EAGAIN;
	if (at[0] == '<' || at[0] == '{') {
		ex->holds = at[0] == '<';
		ex->drops = !ex->holds;
		if (ex->holds)
			ex->held[ex->held_len++] = '<';
		ret->consumed = 1;
		return 0;
	}
	/* What passes may come in several spans. */
	for (n = 1; n < len && !strchr("<{!^", at[n]); n++)
		if (dice(8) == 0)
			break;
	ret->len = ret->consumed = n;
	ret->head = dice(2);
	ret->raw = ex->raw;
	return 0;
}

int leash_exchange_out(struct leash_exchange *ex, const void *buf, size_t len, const char *call,
		       struct leash_span *ret)
{
	const int said = out(ex, buf, len, ret);

	(void)call;
	ex->taken += said == 0 ? ret->consumed : 0;
	return said;
}

void leash_exchange_gave_up(struct leash_exchange *ex)
{
	ex->gave_up++;
}

size_t leash_exchange_ask(const struct leash_exchange *ex, size_t size)
{
	return ex->ask && ex->ask < size ? ex->ask : size;
}

/* Digits are held until something else comes; then they, and it, follow. */
static size_t convert(struct leash_exchange *ex, const char *in, size_t len)
{
	memcpy(ex->rest + ex->rest_len, in, len);
	ex->rest_len += len;
	return len;
}

ssize_t leash_exchange_in(struct leash_exchange *ex, void *buf, size_t got, size_t size)
{
	assert_int_equal(leash_exchange_pending(ex), 0);
	assert_true(got <= leash_exchange_ask(ex, size));
	convert(ex, buf, got);
	return (ssize_t)leash_exchange_pull(ex, buf, size);
}

int leash_exchange_stash(struct leash_exchange *ex, const void *buf, size_t got)
{
	assert_int_equal(leash_exchange_pending(ex), 0);
	convert(ex, buf, got);
	ex->answered = true;
	return 0;
}

size_t leash_exchange_pending(const struct leash_exchange *ex)
{
	size_t at = ex->rest_len;

	while (!ex->ended && at > ex->rest_at && ex->rest[at - 1] >= '0' && ex->rest[at - 1] <= '9')
		at--;
	return at - ex->rest_at;
}

size_t leash_exchange_peek(const struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t n = leash_exchange_pending(ex) < size ? leash_exchange_pending(ex) : size;

	memcpy(buf, ex->rest + ex->rest_at, n);
	return n;
}

size_t leash_exchange_pull(struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t n = leash_exchange_peek(ex, buf, size);

	ex->rest_at += n;
	return n;
}

bool leash_exchange_closes(const struct leash_exchange *ex)
{
	(void)ex;
	return false;
}

void leash_exchange_end(struct leash_exchange *ex, bool clean)
{
	assert_true(clean);
	ex->ended = true;
}

void *leash_scratch_take(void)
{
	static char block[LEASH_SCRATCH_SIZE];

	return block;
}

void leash_scratch_give(void *block)
{
	(void)block;
}

uint32_t leash_registry_index(const struct leash_conn *of)
{
	(void)of;
	return 0;
}

struct leash_conn *leash_registry_at(uint32_t index)
{
	(void)index;
	return &conn;
}

/* -------------------------------------------------------------------------------- tests */

static void begin(unsigned int whim, const char *prefix)
{
	static uint64_t cookie;

	leash_real.send = fake_send;
	leash_real.recv = fake_recv;
	leash_real.recvmsg = fake_recvmsg;
	memset(&net, 0, sizeof(net));
	conn = (struct leash_conn){.cookie = ++cookie, .stream = 1};
	atomic_store(&conn.state, LEASH_CONN_OPEN);
	if (pair[0] == 0)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	net.whim = whim;
	assert_int_equal(leash_plain_start(&conn, pair[0], prefix, strlen(prefix), "send"), 1);
}

static ssize_t send_it(const char *text, size_t len)
{
	struct iovec iov[3];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
	size_t first = dice((uint32_t)len + 1), second = dice((uint32_t)(len - first) + 1);

	iov[0] = (struct iovec){(void *)text, first};
	iov[1] = (struct iovec){(void *)(text + first), second};
	iov[2] = (struct iovec){(void *)(text + first + second), len - first - second};
	return leash_plain_send(&conn, pair[0], &msg, dice(2) ? MSG_DONTWAIT : 0, "sendmsg");
}

/* What the far side is to get */
static size_t expected(const char *text, size_t len, char *to)
{
	size_t n = 0;
	bool drop = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '{')
			drop = true;
		if (!drop)
			to[n++] = text[i] == '<' ? '(' : text[i] == '>' ? ')' : text[i];
		if (text[i] == '}')
			drop = false;
	}
	return n;
}

static size_t compose(char *text)
{
	size_t len = 0;

	for (uint32_t part = 0; part < 20; part++) {
		const uint32_t kind = dice(4), n = dice(kind == 3 ? 2000 : 30);

		if (kind < 2)
			text[len++] = kind ? '<' : '{';
		for (uint32_t i = 0; i < n; i++)
			text[len++] = (char)('a' + dice(26));
		if (kind < 2)
			text[len++] = kind ? '>' : '}';
	}
	text[len++] = '.';
	return len;
}

static void random_cuts(void **state)
{
	static char text[ROOM], want[ROOM];

	(void)state;
	for (int run = 0; run < 5000; run++) {
		size_t len, want_len, at = 0;

		srandom((unsigned int)run);
		begin(dice(9), "");
		len = compose(text);
		want_len = expected(text, len, want);
		for (int turn = 0; at < len; turn++) {
			/* Not always with as much as before: a send has no retry contract. */
			const size_t n = 1 + dice((uint32_t)(len - at < 700 ? len - at : 700));
			const ssize_t sent = send_it(text + at, n);

			if (sent < 0)
				assert_true(sent == -EAGAIN || sent == -EINTR);
			else
				assert_true(sent > 0 && (size_t)sent <= n);
			at += sent > 0 ? (size_t)sent : 0;
			assert_true(turn < 100000);
		}
		if (net.to_len != want_len || memcmp(net.to, want, want_len) != 0)
			fail_msg("run %d: %zu bytes, expected %zu", run, net.to_len, want_len);
		assert_false(net.more_last);
		assert_int_equal(fake.taken, len);	/* each byte was shown once */
		leash_plain_release(&conn);
		assert_int_equal(fake.closed, 1);
	}
}

static void prefix_has_left(void **state)
{
	(void)state;
	/* "<GE" left before anybody asked; its line comes out whole, and the start of it not again. */
	begin(0, "<GE");
	assert_int_equal(send_it("T />", 4), 4);
	assert_int_equal(send_it("body", 4), 4);
	assert_int_equal(net.to_len, 8);
	assert_memory_equal(net.to, "T /)body", 8);
	leash_plain_release(&conn);
	begin(0, "GE");		/* and where it passes as it is */
	assert_int_equal(send_it("T<x>", 4), 4);
	assert_memory_equal(net.to, "T(x)", 4);
	leash_plain_release(&conn);
}

/* What is ours is finished in the call; what is the program's is not waited for */
static void short_sends(void **state)
{
	ssize_t sent;

	(void)state;
	begin(0, "");
	net.whim = 15;
	srandom(7);
	sent = send_it("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>", 42);
	assert_int_equal(sent, 42);
	assert_int_equal(net.to_len, 42);
	assert_true(net.sends > 10);
	net.whim = 16;
	assert_true(send_it("bbbb", 4) < 0);
	assert_int_equal(net.to_len, 42);
	net.whim = 0;
	/* The program may try again with less. */
	assert_int_equal(send_it("bb", 2), 2);
	assert_int_equal(send_it("bb<c>", 5), 5);
	assert_memory_equal(net.to + 42, "bbbb(c)", 7);
	leash_plain_release(&conn);
}

static void refused(void **state)
{
	struct iovec iov = {(void *)"ab!cd", 5};
	const struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	(void)state;
	begin(0, "");
	assert_int_equal(leash_plain_send(&conn, pair[0], &msg, 0, "send"), -EACCES);
	for (size_t i = 0; i < net.to_len; i++)
		assert_int_not_equal(net.to[i], 'c');
	assert_int_equal(leash_plain_send(&conn, pair[0], &msg, MSG_OOB, "send"), -EINVAL);
	iov = (struct iovec){(void *)8, 5};
	assert_int_equal(leash_plain_send(&conn, pair[0], &msg, 0, "send"), -EFAULT);
	assert_int_equal(leash_plain_unseen(&conn), -EINVAL);
	leash_plain_release(&conn);
	assert_int_equal(leash_plain_send(&conn, pair[0], &msg, 0, "send"), -EBADF);
}

static void upgrade(void **state)
{
	char buf[32];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr in = {.msg_iov = &iov, .msg_iovlen = 1};

	(void)state;
	begin(0, "");
	memcpy(net.from, "answer", 6);
	net.from_len = 6;
	net.whim = 16;			/* it has not come */
	assert_true(send_it("^raw", 4) < 0);
	net.whim = 0;
	fake.raw = true;
	assert_int_equal(send_it("^raw", 4), 4);
	assert_memory_equal(net.to, "^raw", 4);
	assert_int_equal(leash_plain_unseen(&conn), 0);
	/* It waits for the program, and shows itself. */
	assert_int_equal(leash_plain_receive(&conn, pair[0], &in, MSG_PEEK), 6);
	assert_int_equal(leash_plain_receive(&conn, pair[0], &in, 0), 6);
	assert_memory_equal(buf, "answer", 6);
	leash_plain_release(&conn);
}

static void reads(void **state)
{
	static char got[ROOM];

	(void)state;
	for (int run = 0; run < 3000; run++) {
		size_t len = 0, done = 0;
		bool end = false;

		srandom((unsigned int)run);
		begin(dice(9), "");
		for (uint32_t n = 50 + dice(400); len < n; len++)
			net.from[len] = (char)(dice(2) ? 'a' + dice(26) : '0' + dice(10));
		net.from_len = len;
		fake.ask = dice(2) ? 0 : 1 + dice(9);
		for (int turn = 0; !end; turn++) {
			static const int ways[] = {0, 0, 0, 0, MSG_PEEK, MSG_PEEK, MSG_TRUNC, MSG_WAITALL};
			const int flags = ways[dice(8)];
			struct iovec iov[3] = {{got + done, dice(4)}, {NULL, 0}, {NULL, 1 + dice(60)}};
			struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
			ssize_t ret;

			iov[2].iov_base = got + done + iov[0].iov_len;
			ret = leash_plain_receive(&conn, pair[0], &msg, flags);
			assert_true(turn < 100000);
			assert_true(ret <= (ssize_t)(iov[0].iov_len + iov[2].iov_len));
			if (ret < 0)
				assert_int_equal(ret, -EAGAIN);
			else if (flags & MSG_PEEK)
				;
			else if (ret == 0)
				end = true;
			else if (flags & MSG_TRUNC)
				memcpy(got + done, net.from + done, (size_t)ret);
			done += ret > 0 && !(flags & MSG_PEEK) ? (size_t)ret : 0;
		}
		if (done != len || memcmp(got, net.from, len) != 0)
			fail_msg("run %d: %zu bytes, expected %zu", run, done, len);
		leash_plain_release(&conn);
	}
}

/* Places are given back; one that was lost is found when all are taken. */
static void places(void **state)
{
	(void)state;
	begin(0, "");
	leash_plain_shut(&conn);
	assert_int_equal(fake.gave_up, 1);
	leash_plain_release(&conn);
	assert_int_equal(fake.closed, 1);
	leash_plain_release(&conn);		/* twice is once */
	assert_int_equal(fake.closed, 1);
	for (int i = 0; i < 3 * PLAIN_MAX; i++)
		begin(0, "");			/* and the slot is another connection's */
	for (int i = 0; i < PLAIN_MAX; i++)
		atomic_store(&plains[i].cookie, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_cuts),
		cmocka_unit_test(prefix_has_left),
		cmocka_unit_test(short_sends),
		cmocka_unit_test(refused),
		cmocka_unit_test(upgrade),
		cmocka_unit_test(reads),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
