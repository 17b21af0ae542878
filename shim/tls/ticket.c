/* SPDX-License-Identifier: MIT */
#include "shim/tls/ticket.h"

#include <stdatomic.h>
#include <string.h>

#include "shim/core/sys.h"

#define MARKS 1024	/* servers, told apart by name and chain; filled and never emptied */
#define MARKS_WINDOW 32
#define TICKETS 512	/* sessions that programs have taken; the oldest goes */
#define DIGEST_SIZE 32
#define SECRET_MAX 256	/* SSL_MAX_MASTER_KEY_LENGTH is 48 */

struct place {
	_Atomic int ready;	/* 0: free, 1: is being filled in, 2: stays */
	struct leash_mark mark;
};
static struct place marks[MARKS];

struct ticket {
	_Atomic uint32_t turn;	/* odd: is being written */
	uint8_t digest[DIGEST_SIZE];
	const struct leash_mark *mark;
};
static struct ticket tickets[TICKETS];
static _Atomic uint32_t next_ticket;

/* ----------------------------------------------------------------------------- marks */

static bool is_same(const struct leash_mark *mark, const char *name, const struct leash_cert *certs,
		    size_t count)
{
	if (mark->count != count || strcmp(mark->name, name) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (mark->certs[i].len != certs[i].len ||
		    memcmp(mark->certs[i].bytes, certs[i].bytes, certs[i].len) != 0)
			return false;
	return true;
}

static bool fill(const struct leash_openssl *lib, struct leash_mark *mark, const char *name,
		 const struct leash_cert *certs, size_t count)
{
	size_t size = count * sizeof(*certs);
	uint8_t *at;

	for (size_t i = 0; i < count; i++)
		size += certs[i].len;
	mark->certs = lib->CRYPTO_zalloc(size, "netleash", 0);
	if (!mark->certs)
		return false;
	at = (uint8_t *)(mark->certs + count);
	for (size_t i = 0; i < count; i++) {
		memcpy(at, certs[i].bytes, certs[i].len);
		mark->certs[i] = (struct leash_cert){.bytes = at, .len = certs[i].len};
		at += certs[i].len;
	}
	mark->count = count;
	mark->name = name;
	return true;
}

static const struct leash_mark *mark_of(const struct leash_openssl *lib, const char *name,
					const struct leash_cert *certs, size_t count)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (const char *at = name; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	for (size_t i = 0; i < certs[0].len; i++)
		hash = (hash ^ certs[0].bytes[i]) * 16777619u;
	for (uint32_t i = 0; i < MARKS_WINDOW; i++) {
		struct place *place = &marks[(hash + i) % MARKS];
		int free = 0;

		if (atomic_compare_exchange_strong(&place->ready, &free, 1)) {
			const bool filled = fill(lib, &place->mark, name, certs, count);

			atomic_store_explicit(&place->ready, filled ? 2 : 0, memory_order_release);
			return filled ? &place->mark : NULL;
		}
		if (free == 2 && is_same(&place->mark, name, certs, count))
			return &place->mark;
	}
	return NULL;
}

bool leash_ticket_mark(const struct leash_openssl *lib, struct ssl_session_st *session, const char *name,
		       const struct leash_cert *certs, size_t count)
{
	static const struct leash_mark own_affair = {.name = ""};
	const struct leash_mark *mark = count ? mark_of(lib, name, certs, count) : &own_affair;

	return mark &&
	       lib->SSL_SESSION_set_ex_data(session, lib->session_index, (void *)(uintptr_t)mark) == 1;
}

/* --------------------------------------------------------------------------- secrets */

/* In TLS 1.3 each ticket has one of its own, so it is never that of another session. */
static bool digest_of(const struct leash_openssl *lib, const struct ssl_session_st *session,
		      uint8_t ret[static DIGEST_SIZE])
{
	unsigned char secret[SECRET_MAX];
	size_t len;

	if (!lib->SSL_SESSION_get_master_key || !lib->SHA256)
		return false;
	len = lib->SSL_SESSION_get_master_key(session, secret, sizeof(secret));
	if (len == 0 || len > sizeof(secret))
		return false;
	lib->SHA256(secret, len, ret);
	explicit_bzero(secret, sizeof(secret));
	return true;
}

static const struct leash_mark *look_up(const uint8_t digest[static DIGEST_SIZE])
{
	for (uint32_t i = 0; i < TICKETS; i++) {
		const struct ticket *ticket = &tickets[i];
		const uint32_t turn = atomic_load_explicit(&ticket->turn, memory_order_acquire);
		const struct leash_mark *mark;
		bool same;

		if (turn == 0 || turn & 1)
			continue;
		same = memcmp(ticket->digest, digest, DIGEST_SIZE) == 0;
		mark = ticket->mark;
		atomic_thread_fence(memory_order_acquire);
		if (same && atomic_load_explicit(&ticket->turn, memory_order_relaxed) == turn)
			return mark;
	}
	return NULL;
}

void leash_ticket_give(const struct leash_openssl *lib, const struct ssl_session_st *session)
{
	const struct leash_mark *mark = lib->SSL_SESSION_get_ex_data(session, lib->session_index);
	uint8_t digest[DIGEST_SIZE];
	struct ticket *ticket;
	uint32_t turn;

	if (!mark || !digest_of(lib, session, digest) || look_up(digest))
		return;
	ticket = &tickets[atomic_fetch_add(&next_ticket, 1) % TICKETS];
	turn = atomic_load(&ticket->turn);
	/* Two rounds meet in one place: the other thread's session is as good. */
	if (turn & 1 || !atomic_compare_exchange_strong(&ticket->turn, &turn, turn + 1))
		return;
	memcpy(ticket->digest, digest, DIGEST_SIZE);
	ticket->mark = mark;
	atomic_store_explicit(&ticket->turn, turn + 2, memory_order_release);
}

const struct leash_mark *leash_ticket_find(const struct leash_openssl *lib,
					   const struct ssl_session_st *session)
{
	const struct leash_mark *mark = lib->SSL_SESSION_get_ex_data(session, lib->session_index);
	uint8_t digest[DIGEST_SIZE];

	if (mark)
		return mark;
	return digest_of(lib, session, digest) ? look_up(digest) : NULL;
}
