/* SPDX-License-Identifier: MIT */
/*
 * What the server's bytes become, in the program's own buffer.
 *
 * As long as what comes out is what stands there, nothing is moved: one walk over the items. Where it is
 * longer or shorter (a header that was held, a body that is changed), the input that is not read yet is put
 * aside first. What the buffer has no room for is stashed, and goes first at the next read: so each read
 * takes all of its input, and the stash is bounded by what leash_exchange_ask() lets in.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/conn/exchange_inner.h"
#include "shim/conn/inner.h"
#include "shim/core/clock.h"
#include "shim/core/sys.h"
#include "shim/events/emit.h"

#define PIECE ((size_t)16 << 10)	/* read at once where it may grow */
#define ROOM 512			/* in the stash, for a step of http/body */

/* One call of leash_exchange_in(): @in to be read; @out, what the program gets */
struct pass {
	const uint8_t *in;
	size_t left;
	uint8_t *buf;
	size_t out, size;
	bool here;		/* @in lies in @buf, at or behind @out */
	void *aside;		/* else it lies there */
	size_t aside_size;	/* 0: a block of the pool; else it was mapped */
};

/* ------------------------------------------------------------------------------ stash */

/* Return: 0, -ENOBUFS */
static int make_room(struct leash_exchange *ex, size_t len)
{
	uint32_t larger;

	if (ex->stash_at) {
		memmove(leash_block_at(ex->stash), leash_block_at(ex->stash) + ex->stash_at,
			ex->stash_len - ex->stash_at);
		ex->stash_len -= ex->stash_at;
		ex->stash_at = 0;
	}
	if (leash_block_size(ex->stash) - ex->stash_len >= len)
		return 0;
	larger = leash_block_larger(ex->stash, ex->stash_len + len);
	if (!larger)
		return -ENOBUFS;
	if (ex->stash_len)
		memcpy(leash_block_at(larger), leash_block_at(ex->stash), ex->stash_len);
	leash_block_give(&ex->stash);
	ex->stash = larger;
	return 0;
}

static int put_stash(struct leash_exchange *ex, const uint8_t *at, size_t len)
{
	if (len == 0)
		return 0;
	if (make_room(ex, len) < 0)
		return -ENOBUFS;
	memcpy(leash_block_at(ex->stash) + ex->stash_len, at, len);
	ex->stash_len += (uint32_t)len;
	return 0;
}

size_t leash_exchange_pending(const struct leash_exchange *ex)
{
	return ex->stash_len - ex->stash_at;
}

size_t leash_exchange_peek(const struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t pending = leash_exchange_pending(ex);

	if (size > pending)
		size = pending;
	if (size)
		memcpy(buf, leash_block_at(ex->stash) + ex->stash_at, size);
	return size;
}

size_t leash_exchange_pull(struct leash_exchange *ex, void *buf, size_t size)
{
	const size_t got = leash_exchange_peek(ex, buf, size);

	ex->stash_at += (uint32_t)got;
	if (ex->stash_at == ex->stash_len) {
		ex->stash_at = ex->stash_len = 0;
		leash_block_give(&ex->stash);
	}
	return got;
}

/* ------------------------------------------------------------------- where bytes go to */

/* Put aside what is not read yet, so that the buffer may be written to. Return: 0, -ENOBUFS */
static int clear(struct pass *pass)
{
	void *at;

	if (!pass->here)
		return 0;
	pass->here = false;
	if (pass->left == 0)
		return 0;
	if (pass->left <= PIECE) {
		at = leash_pool_take(LEASH_POOL_16K);
	} else {
		const long mapped = LEASH_SYS(SYS_mmap, NULL, pass->left, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		at = mapped < 0 ? NULL : (void *)mapped;
		pass->aside_size = pass->left;
	}
	if (!at)
		return -ENOBUFS;
	memcpy(at, pass->in, pass->left);
	pass->aside = at;
	pass->in = at;
	return 0;
}

static void drop_aside(struct pass *pass)
{
	if (!pass->aside)
		return;
	if (pass->aside_size)
		LEASH_SYS(SYS_munmap, pass->aside, pass->aside_size);
	else
		leash_pool_give(LEASH_POOL_16K, pass->aside);
}

/* These bytes are the program's. Nothing is put before what is stashed already */
static int give(struct leash_exchange *ex, struct pass *pass, const uint8_t *at, size_t len)
{
	size_t here = pass->size - pass->out;

	if (leash_exchange_pending(ex))
		here = 0;
	if (here > len)
		here = len;
	if (here && at != pass->buf + pass->out)
		memmove(pass->buf + pass->out, at, here);
	pass->out += here;
	return put_stash(ex, at + here, len - here);
}

/* An item that passes as it is; its @consumed bytes of the input are still in front of pass->in */
static int give_item(struct leash_exchange *ex, struct pass *pass, const struct leash_response_item *item)
{
	/* What was copied into a block on its way stands in the input as well. */
	const uint8_t *at = item->own && item->len != item->consumed ? item->at : pass->in;

	if (item->len == 0)
		return 0;
	if (pass->here && at == pass->in && pass->in == pass->buf + pass->out) {
		pass->out += item->len;
		return 0;
	}
	/* It would be written over what is not read yet. */
	if (pass->here && pass->buf + pass->out + item->len > pass->in + item->consumed) {
		struct pass rest = *pass;
		int ret;

		rest.in += item->consumed;
		rest.left -= item->consumed;
		ret = clear(&rest);
		if (ret < 0)
			return ret;
		ret = give(ex, &rest, at, item->len);
		/* The caller takes @consumed away. */
		pass->out = rest.out;
		pass->here = false;
		pass->aside = rest.aside;
		pass->aside_size = rest.aside_size;
		pass->in = rest.in - item->consumed;
		return ret;
	}
	return give(ex, pass, at, item->len);
}

/* ------------------------------------------------------------------- bodies that change */

enum what { DATA, FRAME, END, CUT };

static int step(struct leash_body *body, struct leash_text_io *io, enum what what)
{
	switch (what) {
	case DATA:
		return leash_body_data(body, io);
	case FRAME:
		return leash_body_frame(body, io);
	case END:
	case CUT:
		break;
	}
	return leash_body_end(body, io, what == END);
}

/* Feed http/body; what comes out goes to the program */
static int change(struct leash_exchange *ex, struct pass *pass, const uint8_t *at, size_t len, enum what what)
{
	struct leash_text_io io = {.in = at, .in_left = len};
	int ret;

	for (;;) {
		const bool stash = pass->size - pass->out == 0 || leash_exchange_pending(ex);

		if (stash && make_room(ex, ROOM) < 0)
			return -ENOBUFS;
		io.out = stash ? leash_block_at(ex->stash) + ex->stash_len : pass->buf + pass->out;
		io.out_left = stash ? leash_block_size(ex->stash) - ex->stash_len : pass->size - pass->out;
		ret = step(ex->body, &io, what);
		if (stash)
			ex->stash_len = (uint32_t)(io.out - leash_block_at(ex->stash));
		else
			pass->out = (size_t)(io.out - pass->buf);
		if (ret != -ENOBUFS && (ret < 0 || !leash_body_pending(ex->body)))
			return ret;
		/* The buffer has less room than a step needs: the rest of it stays empty. What is kept for it there
		 * would be counted by nobody. */
		if (!stash)
			pass->size = pass->out;
	}
}

/* What it keeps for a small buffer only */
static int flush_body(struct leash_exchange *ex, struct pass *pass)
{
	return leash_body_pending(ex->body) ? change(ex, pass, NULL, 0, DATA) : 0;
}

/*
 * The server may keep the connection open, and then nothing wakes a program that waits by poll() for the end
 * that it is to see. Nothing more is passed on from here on.
 */
static void end_of_stream(const struct leash_exchange *ex)
{
	const struct leash_conn *conn = leash_exchange_ours(ex);
	int fd = conn ? leash_registry_number(conn, 0) : -1;

	while (fd >= 0 && !leash_registry_same(conn, fd))
		fd = leash_registry_number(conn, fd + 1);
	if (fd >= 0)
		LEASH_SYS(SYS_shutdown, fd, SHUT_RD);
}

static void end_body(struct leash_exchange *ex, struct leash_task *task)
{
	if (task) {
		task->note = (uint8_t)leash_body_note(ex->body);
		memcpy(task->label, leash_body_label(ex->body), sizeof(task->label));
	}
	ex->closes = leash_body_closes(ex->body);
	if (ex->closes)
		end_of_stream(ex);
	leash_pool_give(LEASH_POOL_BODY, ex->body);
	ex->body = NULL;
}

/* Is this the answer to a request, whose text is given in UTF-8? */
static int begin_body(struct leash_exchange *ex, struct pass *pass, const struct leash_response_item *item,
		      struct leash_task *task)
{
	const uint8_t *block;

	/* What a multipart body holds may be told behind its answer. */
	if (!ex->rs.head.text || !task || !atomic_load_explicit(&task->classed, memory_order_acquire) ||
	    task->lists != LEASH_LIST_BIT(LEASH_LIST_REQUEST))
		return 0;
	/* More input than a read that may grow brings: another thread wrote this request meanwhile. */
	if (pass->left - item->consumed > PIECE * 2)
		return 0;
	block = item->block;
	if (block != leash_block_at(ex->head)) {
		/* It is in the program's buffer, and has to stay until it has come out. */
		if (leash_block_size(ex->head) < item->block_len) {
			leash_block_give(&ex->head);
			ex->head = leash_block_larger(0, item->block_len);
		}
		leash_response_lend(&ex->rs, leash_block_at(ex->head), leash_block_size(ex->head));
		if (!ex->head)
			return -ENOBUFS;
		memcpy(leash_block_at(ex->head), block, item->block_len);
		block = leash_block_at(ex->head);
	}
	ex->body = leash_pool_take(LEASH_POOL_BODY);
	if (!ex->body)
		return -ENOBUFS;
	if (leash_body_begin(ex->body, &ex->rs.head, block, item->block_len, item->ask))
		return 1;
	end_body(ex, task);
	return 0;
}

/* ------------------------------------------------------------------------------ items */

static int refuse_upgrade(struct leash_exchange *ex, const struct leash_task *task)
{
	const struct leash_complaint complaint = {
		.call = "101 Switching Protocols",
		.hint = "the server switched to a protocol that is no WebSocket: what follows cannot be judged",
		.task = task,
	};

	return leash_exchange_refuse(ex, leash_policy_unreadable(leash_image_get(), false), &complaint);
}

/* A final answer's header */
static int take_head(struct leash_exchange *ex, const struct leash_response_item *item, struct leash_task *task)
{
	const struct leash_response_head *head = &ex->rs.head;
	const bool upgraded = head->status == 101 && (item->ask & LEASH_ASK_UPGRADE);

	if (task)
		task->status = head->status;
	if (!(item->ask & LEASH_ASK_UPGRADE))
		return 0;
	if (upgraded) {
		if (!task || task->kind != LEASH_KIND_SOCKET || !head->websocket_accept ||
		    (head->upgrade & ~LEASH_UPGRADE_WEBSOCKET)) {
			const int ret = refuse_upgrade(ex, task);

			if (ret < 0)
				return ret;
		}
		if (task)
			task->upgraded = true;
	}
	atomic_store(&ex->upgrade, upgraded ? LEASH_UPGRADE_DONE : LEASH_UPGRADE_REFUSED);
	return 0;
}

static int pass_item(struct leash_exchange *ex, struct pass *pass, const struct leash_response_item *item)
{
	struct leash_task *task = NULL;
	bool changed = ex->body && !leash_body_plain(ex->body);
	int ret = 0;

	if (item->kind != LEASH_RESPONSE_NONE && item->kind != LEASH_RESPONSE_GAP &&
	    item->kind != LEASH_RESPONSE_RAW)
		task = leash_task_at(ex->first);
	if (task) {
		task->received += item->consumed;
		/* Only events say when it came. */
		if (item->begin && leash_emit_wanted())
			task->head_ns = leash_exact_ns();
	}
	switch (item->kind) {
	case LEASH_RESPONSE_NONE:
	case LEASH_RESPONSE_CLOSED:
		return 0;
	case LEASH_RESPONSE_HEAD:
		ret = take_head(ex, item, task);
		if (ret == 0 && ex->convert && !item->end)
			ret = begin_body(ex, pass, item, task);
		if (ret == 0)
			ret = give_item(ex, pass, item);
		break;
	case LEASH_RESPONSE_BODY:
	case LEASH_RESPONSE_FRAME:
	case LEASH_RESPONSE_TRAILER:
		if (!changed)
			return give_item(ex, pass, item);
		ret = clear(pass);
		if (ret < 0)
			return ret;
		/* It has moved, unless it is in a block. */
		return change(ex, pass, item->own ? item->at : pass->in, item->len,
			      item->kind == LEASH_RESPONSE_BODY ? DATA : FRAME);
	case LEASH_RESPONSE_RAW:
		/* Its framing broke: what was held, then the rest as it came */
		if (ex->body) {
			ret = clear(pass);
			if (ret == 0)
				ret = change(ex, pass, NULL, 0, CUT);
			end_body(ex, leash_task_at(ex->first));
		}
		if (ret == 0)
			ret = give_item(ex, pass, item);
		if (!item->own)
			ex->in_raw = true;
		return ret;
	case LEASH_RESPONSE_GAP:
	case LEASH_RESPONSE_PART:
	case LEASH_RESPONSE_INTERIM:
		ret = give_item(ex, pass, item);
		break;
	}
	return ret < 0 ? ret : 0;
}

static int take_item(struct leash_exchange *ex, struct pass *pass, const struct leash_response_item *item)
{
	int ret = pass_item(ex, pass, item);

	if (item->consumed)		/* in is NULL where there is nothing */
		pass->in += item->consumed;
	pass->left -= item->consumed;
	if (ret < 0 || !item->end)
		return ret;
	if (ex->body) {
		ret = leash_body_plain(ex->body) ? 0 : clear(pass);
		if (ret == 0)
			ret = change(ex, pass, NULL, 0, item->whole ? END : CUT);
		end_body(ex, leash_task_at(ex->first));
	}
	leash_exchange_answered(ex, item->whole);
	return ret;
}

/* ------------------------------------------------------------------------------- calls */

/* As leash_response_next(), with all the room it may need. Return: 0, -ENOBUFS */
static int next(struct leash_exchange *ex, const uint8_t *in, size_t len, struct leash_response_item *item)
{
	for (;;) {
		uint32_t larger;
		int ret;

		leash_exchange_lock(ex);
		ret = leash_response_next(&ex->rs, in, len, item);
		leash_exchange_unlock(ex);
		if (ret != -ENOBUFS)
			return ret;
		if (leash_block_size(ex->head) >= LEASH_RESPONSE_HEAD_MAX)
			return ret;
		larger = leash_block_larger(ex->head, 0);
		if (!larger && ex->audit) {
			leash_response_give_up(&ex->rs);	/* it was only looked at */
			continue;
		}
		if (!larger)
			return ret;
		leash_response_lend(&ex->rs, leash_block_at(larger), leash_block_size(larger));
		leash_block_give(&ex->head);
		ex->head = larger;
	}
}

/* Blocks that were taken in case they were needed */
static void give_back(struct leash_exchange *ex)
{
	if (!leash_exchange_pending(ex)) {
		ex->stash_at = ex->stash_len = 0;
		leash_block_give(&ex->stash);
	}
	if (!ex->head || leash_response_holds(&ex->rs) || (ex->body && !leash_body_head_out(ex->body)))
		return;
	leash_response_lend(&ex->rs, NULL, 0);
	leash_block_give(&ex->head);
}

static int run(struct leash_exchange *ex, struct pass *pass)
{
	struct leash_response_item item;
	int ret = 0;

	while (pass->left > 0 && ret == 0 && !ex->closes) {
		ret = next(ex, pass->in, pass->left, &item);
		if (ret == 0)
			ret = take_item(ex, pass, &item);
	}
	if (ret == 0 && ex->body && leash_body_pending(ex->body)) {
		ret = clear(pass);
		if (ret == 0)
			ret = flush_body(ex, pass);
	}
	give_back(ex);
	drop_aside(pass);
	if (ret == -ENOBUFS)
		return leash_exchange_full(ex, "read", "no memory for an answer that is being changed");
	return ret;
}

static bool in_one_body(const struct leash_exchange *ex)
{
	struct leash_exchange *locked = (struct leash_exchange *)(uintptr_t)ex;
	bool ret;

	if (!leash_response_in_body(&ex->rs))
		return false;
	leash_exchange_lock(locked);
	ret = leash_response_waiting(&ex->rs) <= 1;
	leash_exchange_unlock(locked);
	return ret;
}

size_t leash_exchange_ask(const struct leash_exchange *ex, size_t size)
{
	if (size == 0)
		return 1;
	if (ex->in_raw || !ex->convert)
		return size;
	if (ex->body) {
		const size_t ask = leash_body_ask(ex->body, size);

		return leash_body_plain(ex->body) || ask < PIECE ? ask : PIECE;
	}
	/* In a body that passes as it is, nothing can grow; at most one header of the next answer comes with it. */
	if (in_one_body(ex))
		return size;
	/*
	 * A library keeps the rest of a record where the program's next read finds it, as it finds what is
	 * stashed here: nothing is won by asking for less. A socket tells of what is left in it, and that is lost
	 * on whoever waits for it in poll().
	 */
	if (!ex->tls)
		size = leash_body_ask(NULL, size);
	return size < PIECE ? size : PIECE;
}

ssize_t leash_exchange_in(struct leash_exchange *ex, void *buf, size_t got, size_t size)
{
	struct pass pass = {.in = buf, .left = got, .buf = buf, .size = size, .here = true};
	int ret = leash_exchange_alive(ex);

	if (leash_unlikely(ret < 0))
		return ret;
	if (ex->in_raw && !leash_exchange_pending(ex))
		return ex->closes ? 0 : (ssize_t)got;
	atomic_store_explicit(&ex->epoch, leash_pool_epoch(), memory_order_relaxed);
	ret = run(ex, &pass);
	return ret < 0 ? ret : (ssize_t)pass.out;
}

int leash_exchange_stash(struct leash_exchange *ex, const void *buf, size_t got)
{
	struct pass pass = {.in = buf, .left = got};
	const int ret = leash_exchange_alive(ex);

	return ret < 0 ? ret : run(ex, &pass);
}

bool leash_exchange_closes(const struct leash_exchange *ex)
{
	return ex->closes && !leash_exchange_pending(ex);
}

void leash_exchange_end(struct leash_exchange *ex, bool clean)
{
	struct pass pass = {.size = 0};
	struct leash_response_item item;
	bool any;

	if (ex->closed)
		return;
	ex->closed = true;
	leash_exchange_alive(ex);
	do {
		leash_exchange_lock(ex);
		any = leash_response_close(&ex->rs, &item);
		leash_exchange_unlock(ex);
		if (any && !clean)
			item.whole = false;
		if (any && take_item(ex, &pass, &item) < 0)
			any = leash_exchange_answered(ex, false);
	} while (any);
	give_back(ex);
}
