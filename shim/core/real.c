/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "shim/core/elf.h"
#include "shim/core/init.h"
#include "shim/core/real.h"

/* The trampolines of hooks.md L2: a constructor that ran before ours lands here. */
#define HOOK(family, ret, name, params, args)                                                      \
	static ret early_##name params                                                             \
	{                                                                                          \
		leash_init();                                                                      \
		return leash_real.name args;                                                       \
	}
#define NEWER(family, ret, name, params, args) HOOK(family, ret, name, params, args)
#define ALIAS(name, of)
#define STUB(name, how)
#define NODE(name, node, implementation)
#define SKIP(name, why)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wpedantic"
/* closefrom() is the one hook without a result */
#include "shim/hooks.def"
#pragma GCC diagnostic pop
#undef HOOK
#undef NEWER

static int early_fcntl(int fd, int cmd, ...)
{
	va_list args;
	long arg;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	leash_init();
	return leash_real.fcntl(fd, cmd, arg);
}

struct leash_real leash_real = {
#define HOOK(family, ret, name, params, args) .name = early_##name,
#define NEWER(family, ret, name, params, args) .name = early_##name,
#include "shim/hooks.def"
#undef HOOK
#undef NEWER
	.fcntl = early_fcntl,
};

LEASH_AT_START void *(*leash_real_dlsym)(void *, const char *);
LEASH_AT_START void *(*leash_real_dlvsym)(void *, const char *, const char *);
LEASH_AT_START void *(*leash_real_dlopen)(const char *, int);
LEASH_AT_START void *(*leash_real_dlmopen)(long, const char *, int);
LEASH_AT_START long (*leash_real_syscall)(long, ...);
LEASH_AT_START pid_t (*leash_real_vfork)(void);
LEASH_AT_START int (*leash_real_clone)(int (*)(void *), void *, int, void *, ...);

/* What a NEWER name answers where this glibc has none. */
static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* Names live in one block without pointers: 150 relocations fewer at every start. */
static const char names[] =
#define HOOK(family, ret, name, params, args) #name "\0"
#define NEWER(family, ret, name, params, args) #name "\0"
#include "shim/hooks.def"
#undef HOOK
#undef NEWER
	;
/* With the sizes and hashes of the names: a start has no time to count letters. */
static const struct {
	uint32_t hash;
	uint16_t offset, name_size;
} offsets[] = {
#define HOOK(family, ret, name, params, args)                                                      \
	{LEASH_ELF_HASH(#name), offsetof(struct leash_real, name), sizeof(#name)},
#define NEWER(family, ret, name, params, args)                                                     \
	{LEASH_ELF_HASH(#name), offsetof(struct leash_real, name) | 1, sizeof(#name)},
#include "shim/hooks.def"
#undef HOOK
#undef NEWER
};

/* Bound like the rest, but no HOOK(): variadic, or reached by a jump */
#define BESIDE(name, slot) {name, slot, sizeof(name), LEASH_ELF_HASH(name)}
static const struct {
	const char *name;
	void *slot;
	uint32_t name_size, hash;
} stubs[] = {
	BESIDE("fcntl", &leash_real.fcntl),	BESIDE("dlsym", &leash_real_dlsym),
	BESIDE("dlvsym", &leash_real_dlvsym),	BESIDE("dlopen", &leash_real_dlopen),
	BESIDE("dlmopen", &leash_real_dlmopen), BESIDE("syscall", &leash_real_syscall),
	BESIDE("vfork", &leash_real_vfork),	BESIDE("clone", &leash_real_clone),
};

#define NAME_COUNT (sizeof(offsets) / sizeof(*offsets))
#define STUB_COUNT (sizeof(stubs) / sizeof(*stubs))

/* Where it is bound; what is there already was defined by an object before this one */
static bool take(const struct leash_elf *elf, const char *name, size_t size, uint32_t hash, void *slot,
		 bool *found)
{
	void *address;

	if (*found || !leash_elf_may_have(elf, hash))
		return false;
	address = leash_elf_find_sized(elf, name, size, hash);
	/* Found in ourselves: a list that is not what it says (hooks.md R4). */
	if (!address || leash_elf_own(address))
		return false;
	memcpy(slot, &address, sizeof(address));
	*found = true;
	return true;
}

static void *slot_of(size_t i)
{
	return (char *)&leash_real + (offsets[i].offset & ~1);
}

/* What one object defines of ours: mostly nothing, and its filter says so. Return: how many */
static size_t bind_from(const struct leash_elf *elf, bool found[static NAME_COUNT + STUB_COUNT])
{
	const char *name = names;
	size_t count = 0;

	for (size_t i = 0; i < NAME_COUNT; name += offsets[i++].name_size)
		count += take(elf, name, offsets[i].name_size, offsets[i].hash, slot_of(i), &found[i]);
	for (size_t i = 0; i < STUB_COUNT; i++)
		count += take(elf, stubs[i].name, stubs[i].name_size, stubs[i].hash, stubs[i].slot,
			      &found[NAME_COUNT + i]);
	return count;
}

/*
 * RTLD_NEXT by hand: the objects behind ours, in ld.so's order, which is the order of the
 * global scope for everything that was there at start. Another preload behind us is called, not
 * skipped (hooks.md R4); nothing after libc can define what libc defines first.
 */
int leash_real_bind(const char **ret_missing)
{
	/* Filled with the same values by everybody who gets here, so two threads do no harm. */
	const struct link_map *self = leash_elf_self();
	bool found[NAME_COUNT + STUB_COUNT] = {false};
	long (*none)(void) = missing;
	const char *name = names;
	struct leash_elf elf;
	size_t count = 0;
	int ret = 0;

	for (const struct link_map *map = self ? self->l_next : NULL;
	     map && count < NAME_COUNT + STUB_COUNT; map = map->l_next)
		if (leash_elf_open(map, &elf))
			count += bind_from(&elf, found);
	for (size_t i = 0; i < NAME_COUNT; name += offsets[i++].name_size) {
		if (found[i])
			continue;
		memcpy(slot_of(i), &none, sizeof(none));
		if (!(offsets[i].offset & 1) && ret == 0) {
			*ret_missing = name;
			ret = -ENOENT;
		}
	}
	for (size_t i = 0; i < STUB_COUNT; i++) {
		if (found[NAME_COUNT + i])
			continue;
		memcpy(stubs[i].slot, &none, sizeof(none));
		if (ret == 0) {
			*ret_missing = stubs[i].name;
			ret = -ENOENT;
		}
	}
	return ret;
}

void *leash_real_hook_named(const char *name)
{
	const struct link_map *self = leash_elf_self();
	struct leash_elf elf;

	/* Our own export table knows every hook, aliases and stubs included. */
	if (!self || !leash_elf_open(self, &elf))
		return NULL;
	return leash_elf_find(&elf, name, leash_elf_hash(name));
}

void *leash_real_hook_of(const void *address)
{
	const char *name = names;
	void *real;

	if (!address)
		return NULL;
	for (size_t i = 0; i < NAME_COUNT; i++) {
		memcpy(&real, slot_of(i), sizeof(real));
		if (real != address)
			continue;
		/* Every dlsym() comes here, few find something: only those count through the names. */
		while (i-- > 0)
			name += offsets[i].name_size;
		return leash_real_hook_named(name);
	}
	for (size_t i = 0; i < STUB_COUNT; i++) {
		memcpy(&real, stubs[i].slot, sizeof(real));
		if (real == address)
			return leash_real_hook_named(stubs[i].name);
	}
	return NULL;
}
