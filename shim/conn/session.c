/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/conn/session.h"
#include "shim/core/env.h"
#include "shim/core/sys.h"
#include "shim/life/background.h"
#include "shim/life/places.h"

static _Atomic(struct leash_session *) session;
static struct leash_session fallback;	/* untouched pages of .bss cost nothing */

static struct leash_session *map_file(void)
{
	struct stat st;
	int fd;
	long page;

	if (!leash_env.session[0])
		return NULL;
	fd = leash_sys_open(leash_env.session, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return NULL;
	if (LEASH_SYS(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)sizeof(struct leash_session)) {
		leash_sys_close(fd);
		return NULL;
	}
	page = LEASH_SYS(SYS_mmap, NULL, sizeof(struct leash_session), PROT_READ | PROT_WRITE,
			 MAP_SHARED, fd, 0);
	leash_sys_close(fd);
	if (page < 0)
		return NULL;
	if (((struct leash_session *)page)->magic != LEASH_SESSION_MAGIC ||
	    ((struct leash_session *)page)->abi_version != LEASH_ABI_VERSION) {
		LEASH_SYS(SYS_munmap, page, sizeof(struct leash_session));
		return NULL;
	}
	leash_place_forget((struct leash_session *)page, leash_sys_getpid());
	return (struct leash_session *)page;
}

struct leash_session *leash_session_get(void)
{
	struct leash_session *now = atomic_load_explicit(&session, memory_order_acquire);
	struct leash_session *expected = NULL;
	long page;

	if (__builtin_expect(now != NULL, 1)) {
		/* Whoever put it there has not come to that yet, or has left by siglongjmp(). */
		if (__builtin_expect(leash_background_get() == NULL, 0))
			leash_background_page(now);
		return now;
	}
	now = map_file();
	if (!now) {
		page = LEASH_SYS(SYS_mmap, NULL, sizeof(struct leash_session),
				 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
		now = page < 0 ? &fallback : (struct leash_session *)page;
		now->magic = LEASH_SESSION_MAGIC;
		now->abi_version = LEASH_ABI_VERSION;
	}
	if (!atomic_compare_exchange_strong(&session, &expected, now)) {
		if (now != &fallback)
			LEASH_SYS(SYS_munmap, now, sizeof(struct leash_session));
		leash_background_page(expected);
		return expected;
	}
	leash_background_page(now);
	atomic_fetch_add_explicit(&now->processes, 1, memory_order_relaxed);
	return now;
}

#define PROBES 32

uint32_t leash_session_host(const char *host, uint16_t port)
{
	struct leash_session *page = leash_session_get();
	uint32_t hash = port;

	for (const char *c = host; *c; c++)
		hash = hash * 31 + (uint8_t)*c;
	for (uint32_t i = 0; i < PROBES; i++) {
		const uint32_t row = 1 + (hash + i) % (LEASH_SESSION_HOSTS - 1);
		struct leash_session_host *at = &page->host[row];
		uint32_t state = atomic_load_explicit(&at->state, memory_order_acquire);

		if (state == 0 && atomic_compare_exchange_strong(&at->state, &state, 1)) {
			size_t len = strlen(host);

			if (len > sizeof(at->host) - 1)
				len = sizeof(at->host) - 1;
			memcpy(at->host, host, len);
			at->host[len] = '\0';
			at->port = port;
			atomic_store_explicit(&at->state, 2, memory_order_release);
			return row;
		}
		/* Another thread writes this row: a moment, and if it died on the way, the next. */
		for (int spin = 0; state == 1 && spin < 100; spin++)
			state = atomic_load_explicit(&at->state, memory_order_acquire);
		if (state == 2 && at->port == port && strcmp(at->host, host) == 0)
			return row;
	}
	atomic_store_explicit(&page->hosts_full, 1, memory_order_relaxed);
	return 0;
}
