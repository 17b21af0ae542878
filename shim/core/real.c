/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
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

void *(*leash_real_dlsym)(void *, const char *);
void *(*leash_real_dlvsym)(void *, const char *, const char *);
void *(*leash_real_dlopen)(const char *, int);
void *(*leash_real_dlmopen)(long, const char *, int);
long (*leash_real_syscall)(long, ...);
pid_t (*leash_real_vfork)(void);
int (*leash_real_clone)(int (*)(void *), void *, int, void *, ...);

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
static const struct {
	const char *name;
	void *slot;
} stubs[] = {
	{"fcntl", &leash_real.fcntl},	  {"dlsym", &leash_real_dlsym},
	{"dlvsym", &leash_real_dlvsym},	  {"dlopen", &leash_real_dlopen},
	{"dlmopen", &leash_real_dlmopen}, {"syscall", &leash_real_syscall},
	{"vfork", &leash_real_vfork},	  {"clone", &leash_real_clone},
};

#define SEARCHED_MAX 64		/* objects behind us that are looked at for an interposer or libc */

/*
 * RTLD_NEXT by hand: the objects behind ours, in ld.so's order, which is the order of the
 * global scope for everything that was there at start. Another preload behind us is called, not
 * skipped (hooks.md R4); nothing after libc can define what libc defines first.
 */
static size_t objects_behind(struct leash_elf elf[static SEARCHED_MAX])
{
	const struct link_map *self = leash_elf_self();
	size_t count = 0;

	for (const struct link_map *map = self ? self->l_next : NULL; map && count < SEARCHED_MAX;
	     map = map->l_next)
		if (leash_elf_open(map, &elf[count]))
			count++;
	return count;
}

static void *find(const struct leash_elf *elf, size_t count, const char *name, size_t size, uint32_t hash)
{
	for (size_t i = 0; i < count; i++) {
		void *address = leash_elf_find_sized(&elf[i], name, size, hash);

		/* Found in ourselves: a list that is not what it says (hooks.md R4). */
		if (address)
			return leash_elf_own(address) ? NULL : address;
	}
	return NULL;
}

int leash_real_bind(const char **ret_missing)
{
	/* Filled with the same values by everybody who gets here, so two threads do no harm. */
	static struct leash_elf elf[SEARCHED_MAX];
	const size_t count = objects_behind(elf);
	const char *name = names;
	long (*none)(void) = missing;
	void *address;
	int ret = 0;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		address = find(elf, count, name, offsets[i].name_size, offsets[i].hash);
		if (!address) {
			memcpy(&address, &none, sizeof(address));
			if (!(offsets[i].offset & 1) && ret == 0) {
				*ret_missing = name;
				ret = -ENOENT;
			}
		}
		memcpy((char *)&leash_real + (offsets[i].offset & ~1), &address, sizeof(address));
		name += offsets[i].name_size;
	}
	for (size_t i = 0; i < sizeof(stubs) / sizeof(*stubs); i++) {
		address = find(elf, count, stubs[i].name, strlen(stubs[i].name) + 1, leash_elf_hash(stubs[i].name));
		if (!address) {
			memcpy(&address, &none, sizeof(address));
			if (ret == 0) {
				*ret_missing = stubs[i].name;
				ret = -ENOENT;
			}
		}
		memcpy(stubs[i].slot, &address, sizeof(address));
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
	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		memcpy(&real, (char *)&leash_real + (offsets[i].offset & ~1), sizeof(real));
		if (real != address)
			continue;
		/* Every dlsym() comes here, few find something: only those count through the names. */
		while (i-- > 0)
			name += offsets[i].name_size;
		return leash_real_hook_named(name);
	}
	for (size_t i = 0; i < sizeof(stubs) / sizeof(*stubs); i++) {
		memcpy(&real, stubs[i].slot, sizeof(real));
		if (real == address)
			return leash_real_hook_named(stubs[i].name);
	}
	return NULL;
}
