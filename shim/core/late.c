/* SPDX-License-Identifier: MIT */
/*
 * What is needed from libc now and then, bound at its first call instead of at every start: a symbol that ld.so
 * looks up costs 1,000 instructions in each process, also in those that never come near the network. The
 * names are defined here, hidden, so callers write what they always write. `__errno_location`, which every hook
 * needs, and variables stay with ld.so.
 *
 * Found as ld.so finds them: the first definition in the order of its list, ourselves left out (a
 * sanitizer's pthread_create() comes before libc's). Idempotent, no lock, no allocation.
 */
#include <dlfcn.h>
#include <iconv.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "shim/core/elf.h"
#include "shim/core/late.h"
#include "shim/core/ours.h"

/* libc has each of them: what comes behind is for the day it does not. */
static long absent(void)
{
	return -1;
}

static __attribute__((noinline)) void *look_up(const char *name, uint32_t hash)
{
	long (*const none)(void) = absent;
	struct leash_elf elf;
	void *address;

	for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
		if (map->l_ld == _DYNAMIC || !leash_elf_open(map, &elf))
			continue;
		address = leash_elf_find(&elf, name, hash);
		if (address)
			return address;
	}
	memcpy(&address, &none, sizeof(address));
	return address;
}

/* The definition that libc itself uses: ld.so leads it to the first one in its list, which may be the program's
 * own copy. */
const char *leash_late_variable(const char *name)
{
	long (*const none)(void) = absent;
	const void *address = look_up(name, leash_elf_hash(name));
	const void *nothing;

	memcpy(&nothing, &none, sizeof(nothing));
	return address == nothing ? NULL : address;
}

#define FIND(name)                                                                                 \
	LEASH_AT_START static _Atomic(void *) late_found;                                          \
	void *late_address = atomic_load_explicit(&late_found, memory_order_relaxed);              \
	__typeof__(&name) late_real;                                                               \
                                                                                                   \
	if (__builtin_expect(!late_address, 0)) {                                                  \
		late_address = look_up(#name, LEASH_ELF_HASH(#name));                              \
		atomic_store_explicit(&late_found, late_address, memory_order_relaxed);            \
	}                                                                                          \
	memcpy(&late_real, &late_address, sizeof(late_real))

#define LATE(ret, name, params, args)                                                              \
	ret name params                                                                            \
	{                                                                                          \
		FIND(name);                                                                        \
		return late_real args;                                                             \
	}

LATE(int, clock_gettime, (clockid_t clock, struct timespec *now), (clock, now))
LATE(unsigned long, getauxval, (unsigned long type), (type))
LATE(int, setenv, (const char *name, const char *value, int replace), (name, value, replace))
LATE(int, unsetenv, (const char *name), (name))
LATE(int, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout))

LATE(int, pthread_create, (pthread_t *restrict thread, const pthread_attr_t *restrict attr,
			   void *(*start)(void *), void *restrict arg), (thread, attr, start, arg))
LATE(int, pthread_attr_init, (pthread_attr_t *attr), (attr))
LATE(int, pthread_attr_destroy, (pthread_attr_t *attr), (attr))
LATE(int, pthread_attr_setdetachstate, (pthread_attr_t *attr, int state), (attr, state))
LATE(int, pthread_attr_setstacksize, (pthread_attr_t *attr, size_t size), (attr, size))
LATE(int, pthread_setcancelstate, (int state, int *old), (state, old))
LATE(int, pthread_sigmask, (int how, const sigset_t *restrict set, sigset_t *restrict old), (how, set, old))

LATE(int, sigprocmask, (int how, const sigset_t *restrict set, sigset_t *restrict old), (how, set, old))
LATE(int, sigaddset, (sigset_t *set, int signal), (set, signal))
LATE(int, sigismember, (const sigset_t *set, int signal), (set, signal))

LATE(iconv_t, iconv_open, (const char *to, const char *from), (to, from))
LATE(size_t, iconv, (iconv_t cd, char **restrict in, size_t *restrict in_len, char **restrict out,
		     size_t *restrict out_len), (cd, in, in_len, out, out_len))
LATE(int, iconv_close, (iconv_t cd), (cd))

LATE(int, dladdr1, (const void *address, Dl_info *info, void **extra, int flags),
     (address, info, extra, flags))
LATE(int, dlclose, (void *handle), (handle))
LATE(char *, dlerror, (void), ())

LATE(int *, __h_errno_location, (void), ())
LATE(FILE *, fopencookie, (void *restrict cookie, const char *restrict mode, cookie_io_functions_t calls),
     (cookie, mode, calls))
LATE(int, fclose, (FILE *file), (file))

/* What pthread_atfork() of the static part of libc calls */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);
LATE(int, __register_atfork, (void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object),
     (prepare, parent, child, object))
LATE(struct __res_state *, __res_state, (void), ())
LATE(int, __res_ninit, (res_state state), (state))

void freeaddrinfo(struct addrinfo *list)
{
	FIND(freeaddrinfo);
	late_real(list);
}

void explicit_bzero(void *at, size_t len)
{
	FIND(explicit_bzero);
	late_real(at, len);
}

/* The compiler's own call, where a frame was overwritten. */
void __stack_chk_fail(void);
__attribute__((noreturn)) void __stack_chk_fail(void)
{
	FIND(__stack_chk_fail);
	late_real();
	__builtin_trap();
}
