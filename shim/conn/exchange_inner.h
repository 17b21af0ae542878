/* SPDX-License-Identifier: MIT */
/*
 * What the files of the exchange share; nobody else includes it.
 *
 * Who may touch what: .rq and what is marked "out" belong to the thread that writes, .body and what is marked
 * "in" to the one that reads. .rs, the list of requests and what they hold is behind .lock. A request is
 * freed by whichever of the two is done with it last.
 */
#ifndef LEASH_EXCHANGE_INNER_H
#define LEASH_EXCHANGE_INNER_H

#include <stdatomic.h>

#include "policy/policy.h"
#include "shim/conn/exchange.h"
#include "shim/conn/pool.h"
#include "shim/http/body.h"
#include "shim/http/request.h"
#include "shim/http/response.h"
#include "shim/life/registry.h"

/* A block that grows while it is needed: kind << 24 | index + 1; 0: none */
/* One request that waits for its answer, or is still being written */
struct leash_task {
	uint32_t next;			/* in the list of those that wait: index + 1 */
	uint16_t status;		/* 0: nothing has come */
	uint8_t lists;			/* what it may be */
	uint8_t kind;			/* enum leash_kind */
	_Atomic bool classed;		/* its kind is final, and .lists with it */
	_Atomic uint8_t done;		/* LEASH_TASK_*: both, and it is freed */
	bool upgraded;			/* 101 */
	bool refused;			/* and told of as such */
	bool told;			/* as cut, because the program ends */
	bool fresh;			/* the first of its connection: resolve, connect and tls are its own */
	uint8_t note;			/* enum leash_body_note */
	char label[LEASH_BODY_LABEL_SIZE];
	int64_t start_ns;		/* its clock's; with the connection, if it is the first */
	int64_t begin_ns, head_ns;	/* its first byte; its answer's */
	_Atomic uint64_t sent;
	uint64_t received;
	char method[LEASH_HTTP1_METHOD_SIZE];
	char target[LEASH_HTTP1_TARGET_SIZE];
};

#define LEASH_TASK_WRITTEN 1u
#define LEASH_TASK_ANSWERED 2u

struct leash_exchange {
	struct leash_request rq;	/* out */
	struct leash_response rs;
	_Atomic uint32_t lock;
	_Atomic int32_t error;		/* positive; nothing moves any more */
	struct leash_conn *conn;
	uint64_t cookie;
	int64_t opened_ns;
	_Atomic uint32_t epoch;		/* of the process that used it last; a forked child has a copy */
	uint32_t row;			/* of its host on the session's page + 1; 0: not known yet */
	uint32_t name;			/* of leash_names_intern(); 0: a LAN peer without one */
	uint32_t first, last;		/* tasks that wait: index + 1, 0: none */
	uint32_t writing;		/* out: the one whose bytes are being written: index + 1 */
	uint32_t hold;			/* out: lent to rq; a block */
	uint32_t head;			/* in: lent to rs */
	uint32_t stash;			/* in: the program's, for its next read */
	uint32_t stash_at, stash_len;
	struct leash_body *body;	/* in: the answer that is being changed */
	_Atomic uint8_t upgrade;	/* what rq is to hear of its Upgrade, enum leash_upgrade */
	/* Set when it is opened */
	bool tls, lan;			/* lan: its peer needs no entry */
	bool audit;			/* no byte is changed or held, only looked at */
	bool convert;			/* bodies of requests are given as UTF-8 */
	bool queries;			/* what stands behind a '?' is recorded */
	uint8_t lists;			/* that hold its name */
	/* out */
	uint8_t preface;		/* bytes of an HTTP/2 preface that were taken */
	bool settled;			/* the first bytes are no such preface */
	bool out_raw;			/* nothing is looked at any more */
	bool out_over;			/* nothing more may leave */
	bool began;			/* there was a request */
	bool host_good;			/* the fields that rq keeps name a Host that is the connection's */
	uint8_t ordinary[2];		/* lists of an ordinary request, [1]: of GET; 0: not asked yet */
	/* in */
	bool in_raw, closes, closed;
};
_Static_assert(sizeof(struct leash_exchange) <= 2048, "thousands of them may be idle");


enum leash_upgrade { LEASH_UPGRADE_WAITS, LEASH_UPGRADE_REFUSED, LEASH_UPGRADE_DONE };

static inline struct leash_task *leash_task_at(uint32_t place)
{
	return place ? leash_pool_at(LEASH_POOL_REQUEST, place - 1) : NULL;
}

static inline uint32_t leash_task_place(const struct leash_task *task)
{
	return leash_pool_index(LEASH_POOL_REQUEST, task) + 1;
}

/* A block that grows while it is needed: kind << 24 | index + 1; 0: none */
static inline uint8_t *leash_block_at(uint32_t block)
{
	return block ? leash_pool_at((enum leash_pool)(block >> 24), (block & 0xffffff) - 1) : NULL;
}

static inline size_t leash_block_size(uint32_t block)
{
	return block ? leash_pool_size((enum leash_pool)(block >> 24)) : 0;
}

/* exchange.c */
/** leash_block_larger() - One of at least @size bytes that is larger than @block. Return: 0 if there is none */
uint32_t leash_block_larger(uint32_t block, size_t size);
void leash_block_give(uint32_t *block);

void leash_exchange_lock_slow(struct leash_exchange *ex, uint32_t epoch);

static inline void leash_exchange_lock(struct leash_exchange *ex)
{
	const uint32_t epoch = leash_pool_epoch();
	uint32_t was = 0;

	if (!__builtin_expect(atomic_compare_exchange_strong_explicit(&ex->lock, &was, epoch, memory_order_acquire,
								      memory_order_relaxed), 1))
		leash_exchange_lock_slow(ex, epoch);
}

static inline void leash_exchange_unlock(struct leash_exchange *ex)
{
	atomic_store_explicit(&ex->lock, 0, memory_order_release);
}

/** leash_exchange_ours() - Its connection, or NULL if that is gone */
struct leash_conn *leash_exchange_ours(const struct leash_exchange *ex);

/** leash_exchange_alive() - Return: 0, or the negative errno of why not; what waited is told then */
int leash_exchange_alive(struct leash_exchange *ex);

const char *leash_exchange_name(const struct leash_exchange *ex);

/* What a refusal says beside its verdict; any of it NULL */
struct leash_complaint {
	const char *call;
	const char *host;	/* instead of the connection's name */
	const char *api;
	const char *hint, *detail;
	const struct leash_task *task;
};
/** leash_exchange_refuse() - Say a verdict. Return: 0 if it only would be refused, else a negative errno: the
 *  connection is denied and shut down */
int leash_exchange_refuse(struct leash_exchange *ex, struct leash_verdict verdict,
			  const struct leash_complaint *complaint);
int leash_exchange_full(struct leash_exchange *ex, const char *call, const char *hint);
/** leash_exchange_note() - Recorded, and it goes on */
void leash_exchange_note(struct leash_exchange *ex, const char *call, const char *detail);

/** leash_exchange_begin() - A request begins: its task waits, its clock runs. Return: 0, negative errno, said */
int leash_exchange_begin(struct leash_exchange *ex, const char *call);
/** leash_exchange_class() - It is known better what it is */
void leash_exchange_class(struct leash_exchange *ex, struct leash_task *task);
/** leash_exchange_written() - The request's last byte was handed out */
void leash_exchange_written(struct leash_exchange *ex);
/** leash_exchange_answered() - The first task that waits is answered, or never will be. @whole: as far as it can
 *  be told. Return: was there one? */
bool leash_exchange_answered(struct leash_exchange *ex, bool whole);

/* exchange_event.c */
/** leash_exchange_now_ns() - The time, exact where it will be told */
int64_t leash_exchange_now_ns(void);

/* A task whose end is told. What its writer may still change is a copy */
struct leash_told {
	const struct leash_task *task;
	uint8_t lists;
	bool whole;
	bool more;		/* others wait on the same connection */
};
void leash_exchange_tell(struct leash_exchange *ex, const struct leash_told *told);

#endif
