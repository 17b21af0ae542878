/* SPDX-License-Identifier: MIT */
/*
 * dlsym(), dlvsym(), dlopen(), dlmopen(): no way round the hooks by look-up or scope
 * (hooks.md 3.8).
 *
 * An explicit handle does not care who calls, so the real look-up is done here, and what it
 * found decides: the address of a call that a hook stands in front of becomes the hook. By
 * address, because a plug-in may export a connect() of its own.
 *
 * RTLD_NEXT and RTLD_DEFAULT mean the caller's place in the list of objects, and only the
 * real function, called from there, knows the answer in full. Mostly ours is the answer
 * anyway, by order. Where it is not (a plug-in's local scope, a version node that our
 * unversioned export does not have) we answer instead.
 *
 * Objects that were there at start ("initial") are never unloaded and keep their order: their
 * list is walked without a lock. Objects that came later are looked at only inside
 * dl_iterate_phdr(), whose lock keeps them mapped; the real dlsym() takes a lock as well.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "shim/conn/conn.h"
#include "shim/core/elf.h"
#include "shim/core/init.h"
#include "shim/core/ours.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"
#include "shim/hooks/hook_dl.h"

#undef p_type		/* <resolv.h> makes it one of its own; here it is ELF's */

/* The last initial object. */
LEASH_AT_START static const struct link_map *_Atomic last_initial;

static const struct link_map *initial_end(void)
{
	const struct link_map *last = atomic_load_explicit(&last_initial, memory_order_acquire);
	const struct link_map *none = NULL;

	if (last)
		return last;
	for (last = _r_debug.r_map; last && last->l_next; last = last->l_next)
		;
	return atomic_compare_exchange_strong(&last_initial, &none, last) ? last : none;
}

/* The list has grown by what constructors opened before, if ours is not the first; those
 * calls came through our dlopen(), which looked before. */
__attribute__((constructor)) static void start(void)
{
	initial_end();
}

void leash_dl_bind(void)
{
	leash_init();
}

/* ---------------------------------------------------------------- objects */

static ElfW(Addr) relocated(ElfW(Addr) base, ElfW(Addr) value)
{
	return value < base ? base + value : value;	/* ld.so leaves the vDSO's as they are */
}

/* Not strncmp(): a sanitizer's is not to be called while that looks its own up, here. */
static bool is_glibc(const char *node)
{
	static const char start[] = "GLIBC_2.";
	size_t i = 0;

	while (i < sizeof(start) - 1 && node[i] == start[i])
		i++;
	return i == sizeof(start) - 1;
}

/* Does it define the version nodes of glibc? Then it is libc, one of its satellites, or a
 * copy of one that was opened by another path. */
static bool defines_glibc(ElfW(Addr) base, const ElfW(Dyn) *dyn)
{
	const char *strtab = NULL, *verdef = NULL;
	size_t count = 0;

	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_STRTAB)
			strtab = (const char *)relocated(base, dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_VERDEF)
			verdef = (const char *)relocated(base, dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_VERDEFNUM)
			count = dyn->d_un.d_val;
	}
	if (!strtab || !verdef)
		return false;
	while (count-- > 0) {
		const ElfW(Verdef) *def = (const void *)verdef;
		const ElfW(Verdaux) *aux = (const void *)(verdef + def->vd_aux);

		if (is_glibc(strtab + aux->vda_name))
			return true;
		if (def->vd_next == 0)
			break;
		verdef += def->vd_next;
	}
	return false;
}

struct holder {
	ElfW(Addr) address;
	bool found;
	bool glibc;
	const ElfW(Dyn) *dyn;	/* which object; not read outside the iteration */
};

static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
	struct holder *holder = data;
	const ElfW(Phdr) *dynamic = NULL;
	bool inside = false;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];

		if (phdr->p_type == PT_DYNAMIC)
			dynamic = phdr;
		else if (phdr->p_type == PT_LOAD)
			inside |= holder->address - (info->dlpi_addr + phdr->p_vaddr) < phdr->p_memsz;
	}
	if (!inside)
		return 0;
	holder->found = true;
	if (dynamic) {
		holder->dyn = (const void *)(info->dlpi_addr + dynamic->p_vaddr);
		holder->glibc = defines_glibc(info->dlpi_addr, holder->dyn);
	}
	return 1;
}

/* Its place among the initial objects, or NULL */
static const struct link_map *initial_of(const struct holder *holder)
{
	const struct link_map *end = initial_end();

	for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
		if (holder->dyn && map->l_ld == holder->dyn)
			return map;
		if (map == end)
			break;
	}
	return NULL;
}

static bool is_before_us(const struct link_map *map)
{
	for (; map; map = map->l_next)
		if (map->l_ld == _DYNAMIC)
			return true;
	return false;
}

static void *find_in(const struct link_map *map, const char *name)
{
	struct leash_elf elf;

	return leash_elf_open(map, &elf) ? leash_elf_find(&elf, name, leash_elf_hash(name)) : NULL;
}

/* What the initial objects behind one define */
static void *find_behind(const struct link_map *map, const char *name)
{
	const struct link_map *end = initial_end();
	void *address = NULL;

	while (!address && map && map != end && map->l_next) {
		map = map->l_next;
		address = find_in(map, name);
	}
	return address;
}

/* libc's dl_iterate_phdr(): a sanitizer's may be one that is just looking itself up. */
static struct holder holder_of(const void *address)
{
	static void *_Atomic found;
	int (*iterate)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
	struct holder holder = {.address = (ElfW(Addr))address};
	void *function = atomic_load_explicit(&found, memory_order_relaxed);

	if (!function) {
		function = find_behind(leash_elf_self(), "dl_iterate_phdr");
		atomic_store_explicit(&found, function, memory_order_relaxed);
	}
	if (function) {
		memcpy(&iterate, &function, sizeof(iterate));
		iterate(look_at, &holder);
	}
	return holder;
}

/* libc's own, under a name that is no hook's: __libc_system and others that it exports for
 * its satellites share the address of a call that is hooked. */
static void *libc_find(const char *name)
{
	static const struct link_map *_Atomic libc;
	const struct link_map *map = atomic_load_explicit(&libc, memory_order_acquire);

	if (!map) {
		const struct link_map *end = initial_end();

		map = leash_elf_self();
		while (map && !(find_in(map, "gnu_get_libc_version") &&
				defines_glibc(map->l_addr, map->l_ld)))
			map = map == end ? NULL : map->l_next;
		if (!map)
			return NULL;
		atomic_store_explicit(&libc, map, memory_order_release);
	}
	return find_in(map, name);
}

/* ---------------------------------------------------------------- look-ups */

/* Called from here, so RTLD_NEXT is "behind us" and RTLD_DEFAULT the global scope. */
static void *look_up(void *handle, const char *name, const char *version)
{
	return version ? leash_real_dlvsym(handle, name, version) : leash_real_dlsym(handle, name);
}

/* The hook that stands in front of what a look-up found, or NULL */
static void *hook_for(const void *address, const char *name, const char *version)
{
	void *hook;

	if (!address || leash_elf_own(address))
		return NULL;
	hook = leash_real_hook_of(address);
	if (!hook) {
		/* Not what our table calls, and yet libc's: an older node of a name (posix_spawn),
		 * one that is bound past an interposer behind us, or a second copy of libc. */
		hook = leash_real_hook_named(name);
		if (!hook || !holder_of(address).glibc)
			return NULL;
	}
	if (version) {
		/* Names with two behaviours are exported under each node (hooks.md R5). */
		void *node = leash_real_dlvsym(RTLD_DEFAULT, name, version);

		if (leash_elf_own(node))
			return node;
	}
	return hook;
}

/*
 * An object behind us that defines the name, and behind which it is defined once more, is an
 * interposer in our own way down: what it looks up is what it calls when we call it. A hook
 * would send it in circles, and its call has been judged.
 */
static bool interposes(const struct link_map *caller, const char *name)
{
	return caller && !is_before_us(caller) && find_in(caller, name) &&
	       find_behind(caller, name);
}

static void *ask_default(const char *name, const char *version)
{
	if (version)
		return hook_for(leash_real_dlvsym(RTLD_DEFAULT, name, version), name, version);
	if (leash_real_hook_named(name))
		return NULL;			/* ours is found by order */
	return leash_real_hook_of(libc_find(name));
}

static void *ask_next(const char *name, const char *version, const void *address)
{
	const bool hooked = leash_real_hook_named(name) != NULL;
	struct holder holder;
	const struct link_map *caller;

	if ((!hooked && !leash_real_hook_of(libc_find(name))) || leash_elf_own(address))
		return NULL;
	holder = holder_of(address);
	if (!holder.found)
		return NULL;			/* the real one says that it is no place to ask from */
	caller = initial_of(&holder);
	if (caller && is_before_us(caller)) {
		if (hooked && !version)
			return NULL;		/* ours, or an interposer's before us */
	} else if (caller) {
		/* Nothing, or not libc's, or an interposer asks: the real one knows. */
		if (find_in(caller, name) ||
		    !hook_for(find_behind(caller, name), name, NULL))
			return NULL;
	}
	/* A plug-in looks in its own scope, where we are not but libc is. */
	return hook_for(look_up(RTLD_NEXT, name, version), name, version);
}

/*
 * Names of TLS libraries (tls/tls.def). Our exports stand in every process, so here a name is
 * answered only where some real library has it: programs ask in order to learn what there is. Which
 * library the hook then calls, it finds out by itself.
 */
static void *tls_hook(const char *name)
{
	static const char *const starts[] = {"SSL_",  "X509_verify_cert", "TLSv1_",
					     "SSLv3_", "OSSL_QUIC_",	    "gnutls_"};

	for (size_t i = 0; i < LEASH_ARRAY_SIZE(starts); i++) {
		const char *a = starts[i], *b = name;

		while (*a && *a == *b)
			a++, b++;
		if (!*a)
			return leash_real_hook_named(name);
	}
	return NULL;
}

/* Would the caller's own scope have it? */
static bool scope_has(const void *caller, const char *name, const char *version)
{
	void *map = NULL, *handle, *found;
	Dl_info info;

	if (!dladdr1(caller, &info, &map, RTLD_DL_LINKMAP) || !map)
		return false;
	handle = leash_real_dlopen(((struct link_map *)map)->l_name[0] ?
					   ((struct link_map *)map)->l_name : NULL,
				   RTLD_NOLOAD | RTLD_LAZY);
	if (!handle)
		return false;
	found = look_up(handle, name, version);
	dlclose(handle);
	return found && !leash_elf_own(found);
}

static void *ask_tls(void *hook, void *handle, const char *name, const char *version,
		     const void *caller)
{
	void *found;

	if (handle == RTLD_DEFAULT || handle == RTLD_NEXT) {
		struct holder holder = holder_of(caller);
		const struct link_map *map = initial_of(&holder);

		/* An interposer asks for what it stands in front of. */
		if (handle == RTLD_NEXT && map && find_in(map, name))
			return NULL;
		if (!leash_elf_own(caller) && scope_has(caller, name, version))
			return hook;
	} else {
		found = look_up(handle, name, version);
		if (found && !leash_elf_own(found))
			return hook;
		if (!found)
			return LEASH_DL_MISSING;
	}
	/* Behind us in the global scope */
	return look_up(RTLD_NEXT, name, version) ? hook : LEASH_DL_MISSING;
}

void *leash_dl_ask(void *handle, const char *name, const char *version, const void *caller)
{
	struct holder holder;
	void *address, *hook;

	if (!leash_real_dlsym || !leash_real_dlvsym)
		leash_init();
	if (!name)
		return NULL;
	hook = tls_hook(name);
	if (hook)
		return ask_tls(hook, handle, name, version, caller);
	if (handle == RTLD_DEFAULT)
		return ask_default(name, version);
	if (handle == RTLD_NEXT)
		return ask_next(name, version, caller);
	address = look_up(handle, name, version);
	hook = hook_for(address, name, version);
	if (!hook)
		return address;
	holder = holder_of(caller);
	return interposes(initial_of(&holder), name) ? address : hook;
}

void *leash_dl_ask_version(void *handle, const char *name, const char *version,
			   const void *caller)
{
	return version ? leash_dl_ask(handle, name, version, caller) : NULL;
}

/* ---------------------------------------------------------------- scopes */

void leash_dl_open(struct leash_dl_open_args *args)
{
	if (!leash_real_dlopen)
		leash_init();
	initial_end();		/* before the list grows */
	args->mode &= ~(long)RTLD_DEEPBIND;
}

void leash_dl_mopen(struct leash_dl_mopen_args *args)
{
	if (!leash_real_dlmopen)
		leash_init();
	initial_end();
	args->mode &= ~(long)RTLD_DEEPBIND;
	if (args->ns == LM_ID_BASE)
		return;
	leash_conn_refuse_call("dlmopen");
	args->ns = LM_ID_BASE;
	args->file = "/netleash: dlmopen(LM_ID_NEWLM) is refused: a second libc would escape the policy";
}
