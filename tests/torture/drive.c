/* SPDX-License-Identifier: MIT */
/*
 *	torture serve ADDR PORT WORKERS CERTIFICATE KEY DIRECTORY
 *	torture run HOST PORT DIRECTORY CORPUS [--runs N] [--workers N] [--seed N] [--connection N]
 *		[--referer LINE] [--verbose]
 *
 * Worker N talks to PORT + N. A failure names the seed and the connection, which --seed and
 * --connection bring back. Without --referer nothing may be changed by anybody.
 */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STALL_S 20		/* nothing moved: a stall, not a slow machine */

struct counts counts;

enum how { BLOCKING, EAGER, POLLING, MEMORY };
static const char *const how_names[] = {"blocking", "eager", "polling", "memory"};

struct client {
	const struct settings *settings;
	struct channel *channel;
	struct rng rng;
	uint64_t seed;
	uint32_t connection, run_number;
	int bell, fd;
	SSL *ssl;
	BIO *from, *to;			/* MEMORY: of the network, to the network */
	enum how how;
	long modes;
	bool raw, ahead, ended, failed, network_ended;	/* ended: the stream's end was read; failed: a write was refused */
	struct run *run;
	/* writing */
	uint32_t at, pending_len;	/* of run->written */
	uint8_t *pending;
	bool want_write;
	uint32_t told;			/* requests that the server knows to be written */
	/* reading */
	struct bytes got;
	uint32_t talk, talk_at, checked;
	size_t network_at;		/* MEMORY: what the network has not taken */
	struct bytes network;
};

static bool verbose;

static const char *doing = "nothing";

static void fail(const struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
static void fail(const struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "torture: seed %llu connection %u run %u (%s%s%s%s, %s): ", (unsigned long long)c->seed,
		c->connection, c->run_number, how_names[c->how], c->modes & SSL_MODE_ENABLE_PARTIAL_WRITE ? " partial" : "",
		c->modes & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER ? " moving" : "", c->ahead ? " ahead" : "",
		SSL_get_version(c->ssl));
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n  written %u of %zu, answers %u of %u, got %zu, the server has %u of %zu, it sent %u of %u\n", c->at,
		c->run->written.len, c->talk, c->run->talk_count, c->got.len,
		atomic_load(&c->channel->in_len) - c->channel->run_at, c->run->expected.len,
		atomic_load(&c->channel->sent), atomic_load(&c->channel->item_count));
	if (c->ssl)
		fprintf(stderr, "  SSL_pending %d, SSL_has_pending %d\n", SSL_pending(c->ssl), SSL_has_pending(c->ssl));
	ERR_print_errors_fp(stderr);
	va_end(args);
	exit(1);
}

static struct client *watched;

static void stalled(int number)
{
	(void)number;
	fail(watched, "stall: %s", doing);
}

static void dump(const char *label, const uint8_t *at, size_t len, size_t from)
{
	const size_t start = from > 60 ? from - 60 : 0;

	fprintf(stderr, "  %s at %zu of %zu: \"", label, from, len);
	for (size_t i = start; i < len && i < from + 60; i++) {
		if (i == from)
			fprintf(stderr, "<*>");
		if (at[i] >= 32 && at[i] < 127)
			fputc(at[i], stderr);
		else
			fprintf(stderr, "\\x%02x", at[i]);
	}
	fprintf(stderr, "\"\n");
}

static void dump_all(const char *label, const uint8_t *at, size_t len)
{
	fprintf(stderr, "  %s: ", label);
	for (size_t i = 0; i < len && i < 600; i++) {
		if ((at[i] >= 32 && at[i] < 127) || at[i] == '\n')
			fputc(at[i], stderr);
		else
			fprintf(stderr, "\\x%02x", at[i]);
	}
	fprintf(stderr, "\n");
}

/* The first difference of two stretches */
static void compare(const struct client *c, const char *what, const uint8_t *got, size_t got_len, const uint8_t *want,
		    size_t want_len)
{
	const size_t least = got_len < want_len ? got_len : want_len;
	size_t at = 0;

	while (at < least && got[at] == want[at])
		at++;
	if (at == got_len && at == want_len)
		return;
	dump("got ", got, got_len, at);
	dump("want", want, want_len, at);
	fail(c, "%s", what);
}

static void ring(struct client *c)
{
	if (write(c->bell, "!", 1) < 0 && errno != EAGAIN)
		fail(c, "the bell: %s", strerror(errno));
}

/* ---- what the program gets */

static size_t head_len(const uint8_t *at, size_t len)
{
	const uint8_t *end = memmem(at, len, "\r\n\r\n", 4);

	return end ? (size_t)(end + 4 - at) : 0;
}

/* A chunked body. Return: bytes of it all, 0 if it is not complete; its data is put to @body */
static size_t chunks(const struct client *c, const uint8_t *at, size_t len, struct bytes *body)
{
	size_t pos = 0;

	for (;;) {
		const uint8_t *eol = memmem(at + pos, len - pos, "\r\n", 2);
		size_t size;

		if (!eol)
			return 0;
		size = strtoul((const char *)at + pos, NULL, 16);
		pos = (size_t)(eol + 2 - at);
		if (size == 0)
			break;
		if (len - pos < size + 2)
			return 0;
		put(body, at + pos, size);
		pos += size;
		if (memcmp(at + pos, "\r\n", 2) != 0)
			fail(c, "no CRLF behind a chunk");
		pos += 2;
	}
	while (len - pos >= 2 && memcmp(at + pos, "\r\n", 2) != 0) {
		const uint8_t *eol = memmem(at + pos, len - pos, "\r\n", 2);

		if (!eol)
			return 0;
		pos = (size_t)(eol + 2 - at);
	}
	return len - pos >= 2 ? pos + 2 : 0;
}

/* A changed answer. Return: its length, 0 if it is not complete */
static size_t text_answer(const struct client *c, const struct answer *answer, const uint8_t *at, size_t len)
{
	const uint8_t *sent = c->channel->out + answer->at;
	const bool cut = c->run->end == RUN_SERVER_CUTS && c->talk == c->run->talk_count - 1;
	struct bytes head = {0}, body = {0};
	size_t start = 0, n, length = SIZE_MAX, total;
	bool chunked = false;

	/* 1xx pass as they are */
	while (answer->len - start > 9 && memcmp(sent + start, "HTTP/1.1 1", 10) == 0) {
		n = head_len(sent + start, answer->len - start);
		if (n == 0)
			break;
		if (len < start + n)
			return 0;
		compare(c, "an interim answer", at + start, n, sent + start, n);
		start += n;
	}
	if (cut && head_len(sent + start, answer->len - start) == 0) {
		if (!c->ended)
			return 0;
		compare(c, "a cut header", at, len, sent, answer->len);
		return len;
	}
	n = head_len(at + start, len - start);
	if (n == 0)
		return 0;
	for (const uint8_t *line = at + start, *end = at + start + n; line < end;) {
		const uint8_t *next = (const uint8_t *)memchr(line, '\n', (size_t)(end - line)) + 1;

		if (strncasecmp((const char *)line, "content-length:", 15) == 0)
			length = strtoul((const char *)line + 15, NULL, 10);
		else if (strncasecmp((const char *)line, "transfer-encoding: chunked\r", 27) == 0)
			chunked = true;
		else
			put(&head, line, (size_t)(next - line));
		line = next;
	}
	compare(c, "the header of a text", head.at, head.len, answer->head.at, answer->head.len);
	free(head.at);
	if (chunked && length != SIZE_MAX)
		fail(c, "both a length and chunks");
	n += start;
	if (chunked) {
		total = chunks(c, at + n, len - n, &body);
		total = total ? total + n : 0;
	} else if (length != SIZE_MAX) {
		total = len - n >= length ? n + length : 0;
		put(&body, at + n, total ? length : len - n);
	} else {
		total = c->ended ? len : 0;
		put(&body, at + n, len - n);
	}
	if (cut && c->ended && (total == 0 || (!chunked && length == SIZE_MAX))) {
		/* What was half a character comes as it was */
		size_t least = body.len > 8 ? body.len - 8 : 0;

		if (least > answer->text.len)
			fail(c, "more text than was sent");
		compare(c, "a cut text", body.at, least, answer->text.at, least);
		total = len;
	} else if (total) {
		compare(c, "a text", body.at, body.len, answer->text.at, answer->text.len);
	}
	free(body.at);
	return total;
}

/* Go through what was read */
static void look(struct client *c)
{
	while (c->talk < c->run->talk_count) {
		const struct answer *answer = &c->run->talks[c->talk].answer;
		const uint8_t *sent = c->channel->out + answer->at, *at = c->got.at + c->talk_at;
		size_t len = c->got.len - c->talk_at, done;

		if (c->run->end == RUN_REFUSED && c->talk == c->run->talk_count - 1)
			return;
		if (answer->kind != ANSWER_TEXT) {
			const size_t most = len < answer->len ? len : answer->len;

			if (most > c->checked)
				compare(c, "an answer", at + c->checked, most - c->checked, sent + c->checked, most - c->checked);
			c->checked = (uint32_t)most;
			done = most == answer->len ? most : 0;
		} else {
			done = text_answer(c, answer, at, len);
		}
		if (done == 0)
			return;
		c->talk++;
		c->talk_at += (uint32_t)done;
		c->checked = 0;
	}
}

/* ---- moving bytes */

/* MEMORY: between the BIOs and the network. Return: did anything move? */
static bool ferry(struct client *c)
{
	uint8_t buf[8192];
	bool moved = false;
	ssize_t n;

	for (int len; (len = BIO_read(c->to, buf, sizeof(buf))) > 0;)
		put(&c->network, buf, (size_t)len);
	while (c->network_at < c->network.len) {
		n = send(c->fd, c->network.at + c->network_at, c->network.len - c->network_at, 0);
		if (n <= 0)
			break;
		c->network_at += (size_t)n;
		moved = true;
	}
	if (c->network_at == c->network.len)
		c->network_at = c->network.len = 0;
	n = recv(c->fd, buf, rng_one_in(&c->rng, 3) ? 100 : sizeof(buf), 0);
	if (n > 0) {
		BIO_write(c->from, buf, (int)n);
		moved = true;
	} else if (n == 0 && !c->network_ended) {
		BIO_set_mem_eof_return(c->from, 0);
		c->network_ended = true;
		moved = true;
	}
	return moved;
}

static void wait_for(struct client *c)
{
	struct pollfd fd = {.fd = c->fd, .events = POLLIN};

	if (c->how == MEMORY) {
		if (ferry(c))
			return;
		if (c->network_at < c->network.len)
			fd.events |= POLLOUT;
	} else if (c->want_write) {
		fd.events |= POLLOUT;
	}
	if (c->how == BLOCKING || (c->how == MEMORY && c->network_ended))
		return;
	doing = "poll";
	if (poll(&fd, 1, STALL_S * 1000) == 0)
		fail(c, "stall: nothing to be had in %d s", STALL_S);
}

/* How far it may write: an answer may have to come first */
static uint32_t limit(const struct client *c)
{
	for (uint32_t i = 0; i < c->run->talk_count; i++) {
		const struct talk *talk = &c->run->talks[i];

		if (talk->wait_continue && (c->talk < i || (c->talk == i && c->got.len - c->talk_at < 25)))
			return talk->head_end;
		if (talk->wait_answer && c->talk <= i)
			return talk->written_end;
	}
	return (uint32_t)c->run->written.len;
}

static void tell(struct client *c)
{
	uint32_t n = c->told;

	while (n < c->run->talk_count && c->run->talks[n].written_end <= c->at)
		n++;
	if (n == c->told)
		return;
	c->told = n;
	atomic_store(&c->channel->written, n);
	ring(c);
}

/* Return: did anything move? */
static bool write_some(struct client *c)
{
	const uint32_t most = limit(c) - c->at;
	const uint8_t *from = c->run->written.at + c->at;
	size_t written = 0, size;
	int ret, why;

	if (c->at == c->run->written.len || c->failed)
		return false;
	if (c->pending_len == 0) {
		if (most == 0)
			return false;
		c->pending_len = rng_one_in(&c->rng, 2) ? most : rng_size(&c->rng, most);
		if (c->pending_len == 0 || c->pending_len > most)
			c->pending_len = 1;
		/* Exactly as long as it says, where it may move; else it grows in place */
		size = c->modes & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER ? c->pending_len : c->run->written.len - c->at;
		c->pending = malloc(size);
		memcpy(c->pending, from, size);
	} else {
		if (rng_one_in(&c->rng, 3) && c->pending_len < most) {
			c->pending_len += rng_below(&c->rng, most - c->pending_len) + 1;
			counts.grown++;
		}
		if (c->modes & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) {
			uint8_t *moved = malloc(c->pending_len);

			memcpy(moved, from, c->pending_len);
			free(c->pending);
			c->pending = moved;
			counts.moved++;
		}
	}
	ERR_clear_error();
	doing = "SSL_write";
	errno = 0;
	if (rng_one_in(&c->rng, 2)) {
		ret = SSL_write_ex(c->ssl, c->pending, c->pending_len, &written);
	} else {
		ret = SSL_write(c->ssl, c->pending, (int)c->pending_len);
		written = ret > 0 ? (size_t)ret : 0;
	}
	why = errno;
	if (ret > 0) {
		if (written > c->pending_len || written == 0 ||
		    (written < c->pending_len && !(c->modes & SSL_MODE_ENABLE_PARTIAL_WRITE)))
			fail(c, "SSL_write of %u says %zu", c->pending_len, written);
		c->at += (uint32_t)written;
		c->pending_len = 0;
		free(c->pending);
		c->pending = NULL;
		c->want_write = false;
		tell(c);
		return true;
	}
	ret = SSL_get_error(c->ssl, ret);
	c->want_write = ret == SSL_ERROR_WANT_WRITE;
	if (ret == SSL_ERROR_WANT_WRITE || ret == SSL_ERROR_WANT_READ) {
		counts.want_write += c->want_write;
		if (ret == SSL_ERROR_WANT_WRITE && c->how == BLOCKING)
			fail(c, "WANT_WRITE from a blocking SSL_write");
		return false;
	}
	if (c->run->end == RUN_REFUSED) {
		if (ret != SSL_ERROR_SYSCALL || why != EACCES)
			fail(c, "refused as %s: SSL_get_error %d, errno %d", c->run->what, ret, why);
		c->failed = true;
		return true;
	}
	if (c->run->end == RUN_SERVER_CLOSES || c->run->end == RUN_SERVER_CUTS) {
		/* the server may close before a body has come */
		c->failed = true;
		return true;
	}
	fail(c, "SSL_write of %u: SSL_get_error %d, errno %d (%s)", c->pending_len, ret, why, strerror(why));
}

static bool read_some(struct client *c)
{
	const uint32_t size = rng_one_in(&c->rng, 3) ? rng_below(&c->rng, 20) + 1
			      : rng_one_in(&c->rng, 2) ? rng_below(&c->rng, 2000) + 1
						       : 16384;
	uint8_t *buf, *shown = NULL;
	size_t got = 0, peeked = 0;
	const int waiting = c->how == MEMORY ? (int)BIO_pending(c->from) : 0;
	int ret, why, pending;

	if (c->ended)
		return false;
	buf = malloc(size);
	ERR_clear_error();
	if (rng_one_in(&c->rng, 6)) {
		const uint32_t peek = rng_below(&c->rng, 3000) + 1;

		shown = malloc(peek);
		doing = "SSL_peek";
		if (rng_one_in(&c->rng, 2)) {
			if (SSL_peek_ex(c->ssl, shown, peek, &peeked) != 1)
				peeked = 0;
		} else {
			ret = SSL_peek(c->ssl, shown, (int)peek);
			peeked = ret > 0 ? (size_t)ret : 0;
		}
		if (peeked > peek)
			fail(c, "SSL_peek of %u says %zu", peek, peeked);
		counts.peeks += peeked > 0;
		if (peeked && SSL_pending(c->ssl) < (int)peeked)
			fail(c, "SSL_peek shows %zu, SSL_pending %d", peeked, SSL_pending(c->ssl));
		ERR_clear_error();
	}
	pending = SSL_pending(c->ssl);
	if (pending && !SSL_has_pending(c->ssl))
		fail(c, "SSL_pending %d, SSL_has_pending 0", pending);
	doing = "SSL_read";
	errno = 0;
	if (rng_one_in(&c->rng, 2)) {
		ret = SSL_read_ex(c->ssl, buf, size, &got);
		if (ret != 1)
			got = 0;
	} else {
		ret = SSL_read(c->ssl, buf, (int)size);
		got = ret > 0 ? (size_t)ret : 0;
	}
	why = errno;
	if (ret > 0) {
		if (got > size || got == 0)
			fail(c, "SSL_read of %u says %zu", size, got);
		if (peeked)
			compare(c, "SSL_peek showed something else", buf, got < peeked ? got : peeked, shown,
				got < peeked ? got : peeked);
		counts.leftovers += got < size && SSL_pending(c->ssl) > 0;
		put(&c->got, buf, got);
	}
	free(shown);
	free(buf);
	if (ret > 0) {
		look(c);
		return true;
	}
	if (pending || peeked)
		fail(c, "SSL_pending %d, peeked %zu, and SSL_read %d", pending, peeked, ret);
	ret = SSL_get_error(c->ssl, ret);
	/* Without AUTO_RETRY a ticket is a reason to come back, and there may be more behind it. */
	if (ret == SSL_ERROR_WANT_READ || ret == SSL_ERROR_WANT_WRITE)
		return c->how == MEMORY && BIO_pending(c->from) != waiting;
	if (c->run->end == RUN_REFUSED && c->failed)
		return false;
	if (c->run->end != RUN_SERVER_CLOSES && c->run->end != RUN_SERVER_CUTS &&
	    !(c->run->talk_count && c->run->talks[c->run->talk_count - 1].answer.to_end))
		fail(c, "SSL_read: SSL_get_error %d, errno %d (%s)", ret, why, strerror(why));
	if (c->run->end != RUN_SERVER_CUTS && ret != SSL_ERROR_ZERO_RETURN)
		fail(c, "the end of the stream: SSL_get_error %d, errno %d (%s)", ret, why, strerror(why));
	c->ended = true;
	look(c);
	return true;
}

/* As a program does that polls, reads once, and again only while the library says that it has some */
static bool read_polled(struct client *c)
{
	struct pollfd fd = {.fd = c->fd, .events = POLLIN};
	bool moved = false;

	if (poll(&fd, 1, 0) <= 0 && SSL_pending(c->ssl) == 0 && !(c->ahead && SSL_has_pending(c->ssl)))
		return false;
	do {
		if (!read_some(c))
			break;
		moved = true;
	} while (!c->ended && (SSL_pending(c->ssl) > 0 || (c->ahead && SSL_has_pending(c->ssl))));
	return moved || fd.revents;
}

static bool over(const struct client *c)
{
	const struct run *run = c->run;

	if (c->failed && run->end == RUN_REFUSED)
		return true;
	if (run->end == RUN_ABANDONED)
		return c->at >= run->give_up_at;
	if (run->end == RUN_SERVER_CUTS || run->end == RUN_SERVER_CLOSES)
		return c->ended && (c->talk == run->talk_count || c->failed);
	if (c->talk < run->talk_count || (c->at < run->written.len && !c->failed))
		return false;
	return run->talk_count == 0 || !run->talks[run->talk_count - 1].answer.to_end || c->ended;
}

static void converse(struct client *c)
{
	while (!over(c)) {
		bool moved = false;
		uint32_t tried;

		alarm(2 * STALL_S);
		if (c->how == BLOCKING) {
			moved = write_some(c);
			/* Nothing may be asked for that will not come. */
			if (!moved && c->at == limit(c) && c->run->end == RUN_ABANDONED)
				return;
			if (!over(c) && c->at == limit(c) && !c->failed)
				moved |= read_some(c);
			else if (!over(c) && c->failed && c->run->end != RUN_REFUSED)
				moved |= read_some(c);
			continue;
		}
		/* Who does not try has not seen that there is nothing to do */
		tried = rng_below(&c->rng, 4);
		if (tried != 0)
			moved = write_some(c);
		if (over(c))
			break;
		if (tried != 1)
			moved |= c->how == POLLING ? read_polled(c) : read_some(c);
		moved |= tried <= 1;
		if (c->how == MEMORY && rng_one_in(&c->rng, 2))
			moved |= ferry(c);
		if (!moved)
			wait_for(c);
	}
	/* What the library has written must not stay here. */
	while (c->how == MEMORY && (BIO_pending(c->to) || c->network_at < c->network.len) && !c->network_ended && !c->failed)
		wait_for(c);
}

/* ---- a connection */

static void option(int fd, int level, int name, int value)
{
	if (value)
		setsockopt(fd, level, name, &value, sizeof(value));
}

static void dial(struct client *c, SSL_CTX *ctx)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	char port[8];
	int ret;

	snprintf(port, sizeof(port), "%u", c->settings->port);
	ret = getaddrinfo(c->settings->host, port, &hints, &list);
	if (ret != 0)
		fail(c, "getaddrinfo: %s", gai_strerror(ret));
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	option(c->fd, SOL_SOCKET, SO_SNDBUF, rng_one_in(&c->rng, 2) ? 4096 : 0);
	option(c->fd, SOL_SOCKET, SO_RCVBUF, rng_one_in(&c->rng, 3) ? 24576 : 0);
	if (connect(c->fd, list->ai_addr, list->ai_addrlen) < 0)
		fail(c, "connect: %s", strerror(errno));
	freeaddrinfo(list);
	option(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	c->ssl = SSL_new(ctx);
	SSL_set_tlsext_host_name(c->ssl, c->settings->host);
	SSL_set1_host(c->ssl, c->settings->host);
	SSL_set_max_proto_version(c->ssl, rng_one_in(&c->rng, 3) ? TLS1_2_VERSION : TLS1_3_VERSION);
	c->modes = (rng_one_in(&c->rng, 2) ? SSL_MODE_ENABLE_PARTIAL_WRITE : 0) |
		   (rng_one_in(&c->rng, 2) ? SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER : 0) |
		   (rng_one_in(&c->rng, 4) ? SSL_MODE_RELEASE_BUFFERS : 0);
	SSL_set_mode(c->ssl, c->modes);
	if (rng_one_in(&c->rng, 3))
		SSL_clear_mode(c->ssl, SSL_MODE_AUTO_RETRY);
	c->ahead = rng_one_in(&c->rng, 5);
	SSL_set_read_ahead(c->ssl, c->ahead);
	if (c->how == MEMORY) {
		c->from = BIO_new(BIO_s_mem());
		c->to = BIO_new(BIO_s_mem());
		BIO_set_mem_eof_return(c->from, -1);
		SSL_set_bio(c->ssl, c->from, c->to);
	} else {
		SSL_set_fd(c->ssl, c->fd);
	}
	if (c->how != BLOCKING)
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
	doing = "SSL_connect";
	for (;;) {
		ERR_clear_error();
		ret = SSL_connect(c->ssl);
		if (ret == 1)
			break;
		ret = SSL_get_error(c->ssl, ret);
		if (ret != SSL_ERROR_WANT_READ && ret != SSL_ERROR_WANT_WRITE)
			fail(c, "SSL_connect: %d, %s", ret, strerror(errno));
		c->want_write = ret == SSL_ERROR_WANT_WRITE;
		wait_for(c);
	}
	c->want_write = false;
}

static void until_ended(const struct client *c)
{
	for (int i = 0; !atomic_load(&c->channel->ended); i++) {
		if (i > STALL_S * 10000)
			fail(c, "the server has not seen the end");
		usleep(100);
	}
}

/* What the server got of this run. @whole: all of it has to come, however long it takes */
static void server_got(const struct client *c, bool whole)
{
	const struct run *run = c->run;
	const uint8_t *in = c->channel->in + c->channel->run_at;
	uint32_t len;

	for (int i = 0; whole && atomic_load(&c->channel->in_len) - c->channel->run_at < run->expected.len; i++) {
		if (i > STALL_S * 10000 || atomic_load(&c->channel->ended))
			break;
		usleep(100);
	}
	len = atomic_load(&c->channel->in_len) - c->channel->run_at;
	compare(c, "what the server got", in, len, run->expected.at,
		whole || len > run->expected.len ? run->expected.len : len);
	if (run->end == RUN_REFUSED && len >= run->expected.len)
		fail(c, "%s: the head has arrived", run->what);
}

static void one_run(struct client *c, bool first, bool last)
{
	struct run run;

	c->run = &run;
	c->at = c->told = c->talk = c->talk_at = c->checked = 0;
	c->got.len = 0;
	/* The program has the last byte; the server may not know yet that it has sent it. */
	while (!first && atomic_load(&c->channel->sent) < c->channel->item_count)
		usleep(20);
	atomic_store(&c->channel->item_count, 0);
	run_make(&run, &c->rng, c->channel, c->settings, c->raw, last);
	atomic_store(&c->channel->written, 0);
	atomic_store(&c->channel->sent, 0);
	atomic_fetch_add(&c->channel->generation, 1);
	atomic_store(&c->channel->item_count, run.item_count);
	ring(c);
	if (verbose)
		fprintf(stderr, "connection %u run %u: %s, %u requests, %zu bytes, end %d%s\n", c->connection, c->run_number,
			how_names[c->how], run.talk_count, run.written.len, run.end, run.raw ? ", raw" : "");
	if (verbose) {
		dump_all("written", run.written.at, run.written.len);
		dump_all("sent", c->channel->out, run.item_count ? c->channel->items[run.item_count - 1].at + c->channel->items[run.item_count - 1].len : 0);
	}
	converse(c);
	if (run.end == RUN_REFUSED) {
		if (!c->failed)
			fail(c, "%s was not refused", run.what);
		counts.refused++;
	}
	if (c->got.len > c->talk_at && run.end == RUN_GOES_ON)
		fail(c, "%zu bytes behind the last answer", c->got.len - c->talk_at);
	counts.abandoned += run.end == RUN_ABANDONED;
	if (run.end == RUN_GOES_ON && !c->ended)
		server_got(c, true);
	if (!last) {
		c->channel->run_at += (uint32_t)run.expected.len;
		run_free(&run);
		counts.runs++;
		return;
	}
	if (run.end != RUN_ABANDONED && !c->failed) {
		SSL_shutdown(c->ssl);
		if (c->how == MEMORY)
			ferry(c);
	}
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	until_ended(c);
	server_got(c, !c->failed && run.end != RUN_ABANDONED && run.end != RUN_SERVER_CUTS &&
			      run.end != RUN_SERVER_CLOSES);
	run_free(&run);
	counts.runs++;
}

/* Return: runs */
static uint32_t one_connection(const struct settings *settings, struct channel *channel, int bell, SSL_CTX *ctx,
			       uint64_t seed, uint32_t number, uint32_t most)
{
	static const struct run none;
	struct client c = {.settings = settings, .channel = channel, .bell = bell, .seed = seed, .connection = number,
			   .run = (struct run *)&none};
	uint32_t runs;

	c.rng.state = seed * 1000003 + number;
	rng_next(&c.rng);
	channel->seed = rng_next(&c.rng);
	channel->server_sndbuf = rng_one_in(&c.rng, 3) ? 4096 : 0;
	channel->run_at = 0;
	atomic_store(&channel->item_count, 0);
	channel->close_behind = channel->cut = false;
	atomic_store(&channel->in_len, 0);
	atomic_store(&channel->ended, 0);
	c.how = (enum how)rng_below(&c.rng, 4);
	c.raw = rng_one_in(&c.rng, 25);
	runs = rng_below(&c.rng, 40) + 1;
	if (runs > most)
		runs = most;
	watched = &c;
	alarm(2 * STALL_S);
	dial(&c, ctx);
	for (bool last = false; !last; c.run_number++) {
		last = c.run_number == runs - 1 || channel->run_at > IN_MAX / 2;
		one_run(&c, c.run_number == 0, last);
	}
	alarm(0);
	free(c.pending);
	free(c.got.at);
	free(c.network.at);
	counts.connections++;
	return c.run_number;
}

static int work(const struct settings *all, const char *directory, uint64_t seed, uint32_t first, uint32_t step,
		uint32_t most, int worker)
{
	struct settings settings = *all;
	struct channel *channel = channel_map(directory, worker, false);
	const int bell = channel_bell(directory, worker);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	signal(SIGALRM, stalled);
	signal(SIGPIPE, SIG_IGN);
	settings.port = (uint16_t)(settings.port + worker);
	if (!channel || bell < 0) {
		fprintf(stderr, "torture: no server of worker %d\n", worker);
		return 1;
	}
	SSL_CTX_set_default_verify_paths(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	for (uint32_t number = first; counts.runs < most; number += step) {
		one_connection(&settings, channel, bell, ctx, seed, number, most - (uint32_t)counts.runs);
		if (step == 0)
			break;
	}
	SSL_CTX_free(ctx);
	return 0;
}

static int run(const char *host, const char *port, const char *directory, const char *corpus, char **option)
{
	struct settings settings = {.host = host, .port = (uint16_t)atoi(port)};
	uint64_t seed = (uint64_t)time(NULL);
	uint32_t runs = 1000, workers = 2;
	int64_t connection = -1;
	struct counts *all;
	struct timespec from, to;
	char referer[1024];
	int bad = 0;

	for (; *option; option++) {
		const char *value = option[1] ? option[1] : "";

		if (strcmp(*option, "--verbose") == 0) {
			verbose = true;
			continue;
		}
		if (strcmp(*option, "--runs") == 0)
			runs = (uint32_t)strtoul(value, NULL, 10);
		else if (strcmp(*option, "--workers") == 0)
			workers = (uint32_t)strtoul(value, NULL, 10);
		else if (strcmp(*option, "--seed") == 0)
			seed = strtoull(value, NULL, 10);
		else if (strcmp(*option, "--connection") == 0)
			connection = atoll(value);
		else if (strcmp(*option, "--referer") == 0)
			settings.referer = value;
		else
			return 100;
		option++;
	}
	if (settings.referer) {
		snprintf(referer, sizeof(referer), "Referer: %s\r\n", settings.referer);
		settings.referer = referer;
	}
	if (corpus_load(corpus) < 0) {
		fprintf(stderr, "torture: %s: no texts\n", corpus);
		return 1;
	}
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (connection >= 0)
		return work(&settings, directory, seed, (uint32_t)connection, 0, UINT32_MAX, 0);
	all = mmap(NULL, sizeof(*all) * workers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (uint32_t i = 0; i < workers; i++) {
		if (fork() == 0) {
			const int ret = work(&settings, directory, seed, i, workers, runs / workers, (int)i);

			all[i] = counts;
			exit(ret);
		}
	}
	for (uint32_t i = 0; i < workers; i++) {
		int status;

		wait(&status);
		bad += status != 0;
		if (WIFSIGNALED(status))
			fprintf(stderr, "torture: a worker was killed by signal %d\n", WTERMSIG(status));
	}
	for (uint32_t i = 0; i < workers; i++) {
		const uint64_t *of = (const uint64_t *)&all[i];

		for (size_t k = 0; k < sizeof(counts) / sizeof(uint64_t); k++)
			((uint64_t *)&counts)[k] += of[k];
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
#define SAY(name) printf(#name " %llu\n", (unsigned long long)counts.name)
	SAY(runs);
	SAY(connections);
	SAY(requests);
	SAY(bytes_out);
	SAY(bytes_in);
	SAY(referers);
	SAY(text);
	SAY(want_write);
	SAY(moved);
	SAY(grown);
	SAY(peeks);
	SAY(leftovers);
	SAY(refused);
	SAY(sockets);
	SAY(abandoned);
	printf("seconds %ld\n", (long)(to.tv_sec - from.tv_sec));
	return bad != 0;
}

int main(int argc, char **argv)
{
	if (argc == 8 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], (uint16_t)atoi(argv[3]), atoi(argv[4]), argv[5], argv[6], argv[7]);
	if (argc >= 6 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv[3], argv[4], argv[5], argv + 6);
	fprintf(stderr, "usage: torture serve ADDR PORT WORKERS CERT KEY DIRECTORY\n"
			"       torture run HOST PORT DIRECTORY CORPUS [OPTION ...]\n");
	return 100;
}
