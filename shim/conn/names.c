/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/conn/names.h"
#include "shim/conn/session.h"
#include "shim/core/clock.h"

#define PROBES 64	/* neighbours that one address may use: more names than any CDN shares */

static _Atomic uint32_t generation;

static uint32_t hash_bytes(const void *bytes, size_t len, uint32_t hash)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 16777619u;	/* FNV-1a */
	return hash;
}

uint32_t leash_names_intern(const char *name)
{
	struct leash_names *names = &leash_session_get()->names;
	const uint32_t len = (uint32_t)strlen(name) + 1;
	const uint32_t hash = hash_bytes(name, len, 2166136261u);
	uint32_t mine = 0;

	for (uint32_t i = 0; i < LEASH_NAMES_STRINGS; i++) {
		_Atomic uint32_t *at = &names->string[(hash + i) % LEASH_NAMES_STRINGS];
		uint32_t place = atomic_load_explicit(at, memory_order_acquire);

		if (place == 0) {
			if (!mine) {
				uint32_t start = atomic_load(&names->arena_len);

				do {
					if (start + len > LEASH_NAMES_ARENA)
						return 0;
				} while (!atomic_compare_exchange_weak(&names->arena_len, &start,
								       start + len));
				memcpy(names->arena + start, name, len);
				mine = start + 1;
			}
			if (atomic_compare_exchange_strong(at, &place, mine))
				return mine;
		}
		if (place <= LEASH_NAMES_ARENA - len && strcmp(names->arena + place - 1, name) == 0)
			return place;
	}
	return 0;
}

const char *leash_names_text(uint32_t place)
{
	return place && place <= LEASH_NAMES_ARENA ? leash_session_get()->names.arena + place - 1 : "";
}

uint32_t leash_names_generation(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed);
}

struct key {
	uint64_t addr[2];
	uint32_t family_scope[2];
};

static struct key key_of(const struct leash_addr *addr)
{
	struct key key = {.family_scope = {addr->family, addr->scope}};

	memcpy(key.addr, addr->bytes, sizeof(key.addr));
	return key;
}

static uint32_t start_of(const struct key *key)
{
	return hash_bytes(key->addr, sizeof(key->addr), 2166136261u + key->family_scope[1]) %
	       LEASH_NAMES_MAX;
}

/* Does @pair hold this address? Sets *ret_name and *ret_seq if it was read in one piece. */
static bool holds(struct leash_name_pair *pair, const struct key *key, uint32_t *ret_name,
		  uint32_t *ret_seq)
{
	const uint32_t seq = atomic_load_explicit(&pair->seq, memory_order_acquire);
	struct key got;
	uint32_t name;

	*ret_seq = seq;
	if (seq == 0 || (seq & 1))
		return false;
	for (int i = 0; i < 2; i++) {
		got.addr[i] = atomic_load_explicit(&pair->addr[i], memory_order_relaxed);
		got.family_scope[i] =
			atomic_load_explicit(&pair->family_scope[i], memory_order_relaxed);
	}
	name = atomic_load_explicit(&pair->name, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&pair->seq, memory_order_relaxed) != seq)
		return false;
	*ret_name = name;
	return got.addr[0] == key->addr[0] && got.addr[1] == key->addr[1] &&
	       got.family_scope[0] == key->family_scope[0] &&
	       got.family_scope[1] == key->family_scope[1];
}

static bool write_pair(struct leash_name_pair *pair, uint32_t seq, const struct key *key,
		       uint32_t name)
{
	if (!atomic_compare_exchange_strong(&pair->seq, &seq, seq + 1))
		return false;
	for (int i = 0; i < 2; i++) {
		atomic_store_explicit(&pair->addr[i], key->addr[i], memory_order_relaxed);
		atomic_store_explicit(&pair->family_scope[i], key->family_scope[i],
				      memory_order_relaxed);
	}
	atomic_store_explicit(&pair->name, name, memory_order_relaxed);
	atomic_store_explicit(&pair->learnt_ns, leash_now_ns(), memory_order_relaxed);
	/* Never back to 0, which means "nothing here or behind". */
	atomic_store_explicit(&pair->seq, seq + 2 == 0 ? 2 : seq + 2, memory_order_release);
	return true;
}

bool leash_names_learn(const char *name, const struct leash_addr *addr)
{
	struct leash_names *names = &leash_session_get()->names;
	const uint32_t place = leash_names_intern(name);
	const struct key key = key_of(addr);
	const uint32_t start = start_of(&key);
	struct leash_name_pair *oldest = NULL;
	int64_t oldest_ns = INT64_MAX;
	uint32_t seq, oldest_seq = 0, held;

	if (!place) {
		atomic_store_explicit(&names->full, 1, memory_order_relaxed);
		return false;
	}
	for (uint32_t i = 0; i < PROBES; i++) {
		struct leash_name_pair *pair = &names->pair[(start + i) % LEASH_NAMES_MAX];
		int64_t learnt_ns;

		if (holds(pair, &key, &held, &seq) && held == place) {
			atomic_store_explicit(&pair->learnt_ns, leash_now_ns(), memory_order_relaxed);
			return true;
		}
		if (seq == 0 && write_pair(pair, 0, &key, place)) {
			atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
			return true;
		}
		learnt_ns = atomic_load_explicit(&pair->learnt_ns, memory_order_relaxed);
		if (!(seq & 1) && learnt_ns < oldest_ns) {
			oldest = pair;
			oldest_ns = learnt_ns;
			oldest_seq = seq;
		}
	}
	if (!oldest || !write_pair(oldest, oldest_seq, &key, place))
		return false;
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
	return true;
}

uint32_t leash_names_lookup(const struct leash_addr *addr,
			    struct leash_nameref ret_names[static LEASH_NAMES_PER_ADDR])
{
	struct leash_names *names = &leash_session_get()->names;
	const struct key key = key_of(addr);
	const uint32_t start = start_of(&key);
	uint32_t count = 0, seq, place;

	for (uint32_t i = 0; i < PROBES && count < LEASH_NAMES_PER_ADDR; i++) {
		struct leash_name_pair *pair = &names->pair[(start + i) % LEASH_NAMES_MAX];

		if (holds(pair, &key, &place, &seq)) {
			const char *text = leash_names_text(place);

			ret_names[count++] = (struct leash_nameref){text, strlen(text)};
		} else if (seq == 0) {
			break;
		}
	}
	return count;
}
