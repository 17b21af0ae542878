/* SPDX-License-Identifier: MIT */
#include "shim/tls/instance.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "shim/core/elf.h"
#include "shim/core/init.h"
#include "shim/core/real.h"
#include "shim/core/sys.h"

#undef p_type		/* <resolv.h> makes it one of its own; here it is ELF's */

#define LIBRARIES 16	/* in one process; past it their handshakes are refused */

struct entry {
	char name[48];		/* in place: a pointer is a relocation at every start */
	uint16_t offset;
	bool required;
};

#define OPENSSL_HOOK(ret, name, params, args) {#name, offsetof(struct leash_openssl, name), false},
#define OPENSSL_CALL(ret, name, params) {#name, offsetof(struct leash_openssl, name), true},
#define OPENSSL_MAY(ret, name, params) {#name, offsetof(struct leash_openssl, name), false},
#define GNUTLS_HOOK(ret, name, params, args)
#define GNUTLS_CALL(ret, name, params)
static const struct entry openssl_entries[] = {
#include "shim/tls/tls.def"
};
#undef OPENSSL_HOOK
#undef OPENSSL_CALL
#undef OPENSSL_MAY
#undef GNUTLS_HOOK
#undef GNUTLS_CALL
#define OPENSSL_HOOK(ret, name, params, args)
#define OPENSSL_CALL(ret, name, params)
#define OPENSSL_MAY(ret, name, params)
#define GNUTLS_HOOK(ret, name, params, args) {#name, offsetof(struct leash_gnutls, name), false},
#define GNUTLS_CALL(ret, name, params) {#name, offsetof(struct leash_gnutls, name), true},
static const struct entry gnutls_entries[] = {
#include "shim/tls/tls.def"
};

/* Claimed in order by .start, so that two threads that meet the same library agree on one place. */
static struct leash_openssl openssl[LIBRARIES];
static _Atomic uintptr_t openssl_start[LIBRARIES];
static _Atomic int openssl_ready[LIBRARIES];
static struct leash_gnutls gnutls[LIBRARIES];
static _Atomic uintptr_t gnutls_start[LIBRARIES];
static _Atomic int gnutls_ready[LIBRARIES];

/* ------------------------------------------------------------------------- objects */

struct dso {
	struct link_map *map;
	uintptr_t start, size;
};

static bool dso_of(const void *address, struct dso *ret)
{
	Dl_info info;
	void *map = NULL;
	const ElfW(Ehdr) *head;
	const ElfW(Phdr) *phdr;

	if (!address || !dladdr1(address, &info, &map, RTLD_DL_LINKMAP) || !map)
		return false;
	head = info.dli_fbase;
	phdr = (const void *)((uintptr_t)head + head->e_phoff);
	*ret = (struct dso){.map = map, .start = (uintptr_t)head};
	for (size_t i = 0; i < head->e_phnum; i++) {
		const uintptr_t end = ret->map->l_addr + phdr[i].p_vaddr + phdr[i].p_memsz;

		if (phdr[i].p_type == PT_LOAD && end > ret->start + ret->size)
			ret->size = end - ret->start;
	}
	return true;
}

/* A handle on what is loaded already; it stays open where the object must not go. */
static void *handle_of(const struct dso *dso)
{
	return leash_real_dlopen(dso->map->l_name[0] ? dso->map->l_name : NULL,
				 RTLD_NOLOAD | RTLD_LAZY);
}

static void *look_up(void *handle, const char *name)
{
	void *found = handle ? leash_real_dlsym(handle, name) : NULL;

	/* Ours stands first in the global scope; behind it is what the caller would have got. */
	if (found && leash_elf_own(found))
		found = leash_real_dlsym(RTLD_NEXT, name);
	return found && !leash_elf_own(found) ? found : NULL;
}

static bool defines(const struct dso *dso, const char *name)
{
	struct leash_elf elf;

	return leash_elf_open(dso->map, &elf) && leash_elf_find(&elf, name, leash_elf_hash(name));
}

static void *loaded(const char *soname, const char *name)
{
	void *handle = leash_real_dlopen(soname, RTLD_NOLOAD | RTLD_LAZY);
	void *found = look_up(handle, name);

	if (handle)
		dlclose(handle);
	return found;
}

/* The object whose functions a caller means: itself, or what its own scope finds */
static bool dso_for(const void *caller, const char *name, const char *mark,
		    const char *const *sonames, struct dso *ret)
{
	struct dso at;
	void *handle, *found = NULL;

	if (dso_of(caller, &at) && !leash_elf_own(caller)) {
		if (defines(&at, mark)) {
			*ret = at;
			return true;
		}
		handle = handle_of(&at);
		found = look_up(handle, name);
		if (handle)
			dlclose(handle);
	}
	if (!found)
		found = leash_real_dlsym(RTLD_NEXT, name);
	for (; !found && *sonames; sonames++)
		found = loaded(*sonames, name);
	return found && !leash_elf_own(found) && dso_of(found, ret);
}

/* Return: the first that is required and not there, or NULL */
static const char *fill(void *table, const struct dso *dso, const struct entry *entries, size_t count)
{
	void *handle = handle_of(dso);		/* never closed: what is in the table stays */
	const char *missing = NULL;

	for (size_t i = 0; i < count; i++) {
		void *found = look_up(handle, entries[i].name);

		memcpy((char *)table + entries[i].offset, &found, sizeof(found));
		if (!found && entries[i].required && !missing)
			missing = entries[i].name;
	}
	return missing;
}

/*
 * A place in a table of starts: an old one, or a new one to fill in.
 * Return: index, or -1 if all are taken
 */
static int claim(_Atomic uintptr_t starts[static LIBRARIES], _Atomic int ready[static LIBRARIES],
		 uintptr_t start, bool *ret_new)
{
	for (int i = 0; i < LIBRARIES; i++) {
		uintptr_t none = 0;

		*ret_new = atomic_compare_exchange_strong(&starts[i], &none, start);
		if (*ret_new)
			return i;
		if (none != start)
			continue;
		/* Its first thread only copies and registers now; it waits for no loader. */
		while (!atomic_load_explicit(&ready[i], memory_order_acquire))
			LEASH_SYS(SYS_sched_yield);
		return i;
	}
	return -1;
}

/* ------------------------------------------------------------------------- OpenSSL */

static void set_flavour(struct leash_openssl *lib, const char *missing)
{
	unsigned long version;

	lib->flavour = LEASH_OPENSSL_OTHER;
	if (!lib->is_ssl || !lib->OpenSSL_version_num || lib->SSL_CTX_set_custom_verify)
		return;
	version = lib->OpenSSL_version_num();
	if (version >> 20 == 0x101)
		lib->flavour = LEASH_OPENSSL_1_1;
	else if (version >> 28 == 3)
		lib->flavour = LEASH_OPENSSL_3;
	else
		return;
	if (!missing && !lib->SSL_get1_peer_certificate && !lib->SSL_get_peer_certificate)
		missing = "SSL_get_peer_certificate";
	if (!missing && !lib->SSL_get_session)
		missing = "SSL_get_session";
	if (!missing && !lib->X509_verify_cert)
		missing = "X509_verify_cert";
	if (!missing && !lib->ERR_set_error && !lib->ERR_put_error)
		missing = "ERR_set_error";
	lib->missing = missing;
	lib->bound = !missing;
}

static void add_indices(struct leash_openssl *lib)
{
	if (!lib->bound)
		return;
	lib->ssl_index = lib->CRYPTO_get_ex_new_index(OSSL_EX_SSL, 0, lib, NULL, leash_openssl_dup_ssl,
						      leash_openssl_free_ssl);
	lib->ctx_index = lib->CRYPTO_get_ex_new_index(OSSL_EX_SSL_CTX, 0, lib, NULL, NULL,
						      leash_openssl_free_ctx);
	lib->session_index = lib->CRYPTO_get_ex_new_index(OSSL_EX_SESSION, 0, lib, NULL, NULL, NULL);
	if (lib->ssl_index < 0 || lib->ctx_index < 0 || lib->session_index < 0) {
		lib->missing = "CRYPTO_get_ex_new_index";
		lib->bound = false;
		return;
	}
	lib->bio_ssl = leash_openssl_bio_make(lib);
}

static const struct leash_openssl *openssl_in(const struct dso *dso)
{
	struct leash_openssl lib;
	const char *missing;
	bool new;
	int i;

	for (i = 0; i < LIBRARIES; i++)
		if (atomic_load(&openssl_start[i]) == dso->start &&
		    atomic_load_explicit(&openssl_ready[i], memory_order_acquire))
			return &openssl[i];
	/* All look-ups, which may wait for the loader, come before the place is claimed. */
	memset(&lib, 0, sizeof(lib));
	lib.start = dso->start;
	lib.size = dso->size;
	lib.is_ssl = defines(dso, "SSL_CTX_new");
	missing = fill(&lib, dso, openssl_entries, LEASH_ARRAY_SIZE(openssl_entries));
	set_flavour(&lib, missing);
	i = claim(openssl_start, openssl_ready, dso->start, &new);
	if (i < 0)
		return NULL;
	if (new) {
		openssl[i] = lib;
		add_indices(&openssl[i]);
		atomic_store_explicit(&openssl_ready[i], 1, memory_order_release);
	}
	return &openssl[i];
}

static const struct leash_openssl *openssl_at(uintptr_t address)
{
	for (int i = 0; i < LIBRARIES && atomic_load_explicit(&openssl_start[i], memory_order_relaxed); i++)
		if (atomic_load_explicit(&openssl_ready[i], memory_order_acquire) && openssl[i].is_ssl &&
		    address - openssl[i].start < openssl[i].size)
			return &openssl[i];
	return NULL;
}

/*
 * SSL and SSL_CTX hold the address of their SSL_METHOD, which lies in the library, among their first
 * words: the second in 1.1 to 3.1, the fourth since 3.2.
 */
#define WORDS 8

static const struct leash_openssl *openssl_of_object(const void *object)
{
	const struct leash_openssl *lib = openssl_at((uintptr_t)object);	/* a method itself */
	uintptr_t words[WORDS];
	struct dso dso;

	if (lib)
		return lib;
	if (dso_of(object, &dso) && defines(&dso, "SSL_CTX_new"))
		return openssl_in(&dso);
	memcpy(words, object, sizeof(words));
	for (size_t i = 0; !lib && i < WORDS; i++)
		lib = openssl_at(words[i]);
	return lib;
}

/* The same without a look at unknown objects: the data path */
static const struct leash_openssl *openssl_known(const void *object)
{
	const struct leash_openssl *lib = NULL;
	uintptr_t words[WORDS];

	memcpy(words, object, sizeof(words));
	for (size_t i = 0; !lib && i < WORDS; i++)
		lib = openssl_at(words[i]);
	return lib;
}

static LEASH_SLOW const struct leash_openssl *search(const void *object, const void *caller,
						     const char *name)
{
	static const char *const sonames[] = {"libssl.so.3", "libssl.so.1.1", NULL};
	const struct leash_openssl *lib = NULL;
	struct dso dso;

	if (!leash_real_dlsym)
		leash_init();
	if (object && !openssl_at((uintptr_t)object))
		lib = openssl_known(object);
	if (!lib && object)
		lib = openssl_of_object(object);
	if (!lib)
		lib = openssl_at((uintptr_t)caller);
	if (!lib && dso_for(caller, name, "SSL_CTX_new", sonames, &dso))
		lib = openssl_in(&dso);
	return lib;
}

const struct leash_openssl *leash_openssl_of(const void *object, const void *caller, const char *name)
{
	const struct leash_openssl *first = &openssl[0];
	const uintptr_t *words = object;

	/* Nearly always: an SSL or SSL_CTX of the library that was met first, in one of the two places where its
	 * method stands */
	if (leash_likely(object && atomic_load_explicit(&openssl_ready[0], memory_order_acquire) &&
			 first->is_ssl &&
			 (words[1] - first->start < first->size || words[3] - first->start < first->size)))
		return first;
	return search(object, caller, name);
}

/* ------------------------------------------------------------------------- GnuTLS */

/* Which one a place in some code means does not change, and finding out asks the loader. */
#define CALLERS 64
static struct {
	_Atomic uintptr_t caller;
	_Atomic(const struct leash_gnutls *) lib;
} callers[CALLERS];

static const struct leash_gnutls *gnutls_at(const void *caller)
{
	const size_t i = (uintptr_t)caller / 4 % CALLERS;
	const struct leash_gnutls *lib = atomic_load_explicit(&callers[i].lib, memory_order_acquire);

	return atomic_load_explicit(&callers[i].caller, memory_order_acquire) == (uintptr_t)caller ? lib : NULL;
}

static const struct leash_gnutls *keep_gnutls(const void *caller, const struct leash_gnutls *lib)
{
	const size_t i = (uintptr_t)caller / 4 % CALLERS;
	uintptr_t none = 0;

	/* A place is taken once: two words cannot be changed together. */
	if (atomic_load(&callers[i].lib) == NULL && atomic_compare_exchange_strong(&callers[i].caller, &none, 1)) {
		atomic_store_explicit(&callers[i].lib, lib, memory_order_release);
		atomic_store_explicit(&callers[i].caller, (uintptr_t)caller, memory_order_release);
	}
	return lib;
}

const struct leash_gnutls *leash_gnutls_of(const void *caller, const char *name)
{
	static const char *const sonames[] = {"libgnutls.so.30", NULL};
	const struct leash_gnutls *known;
	struct leash_gnutls lib;
	const char *missing;
	struct dso dso;
	bool new;
	int i;

	known = gnutls_at(caller);
	if (known)
		return known;
	if (!leash_real_dlsym)
		leash_init();
	if (!dso_for(caller, name, "gnutls_handshake", sonames, &dso))
		return NULL;
	for (i = 0; i < LIBRARIES; i++)
		if (atomic_load(&gnutls_start[i]) == dso.start &&
		    atomic_load_explicit(&gnutls_ready[i], memory_order_acquire))
			return keep_gnutls(caller, &gnutls[i]);
	memset(&lib, 0, sizeof(lib));
	lib.start = dso.start;
	lib.size = dso.size;
	missing = fill(&lib, &dso, gnutls_entries, LEASH_ARRAY_SIZE(gnutls_entries));
	lib.bound = !missing;
	i = claim(gnutls_start, gnutls_ready, dso.start, &new);
	if (i < 0)
		return NULL;
	if (new) {
		gnutls[i] = lib;
		atomic_store_explicit(&gnutls_ready[i], 1, memory_order_release);
	}
	return keep_gnutls(caller, &gnutls[i]);
}
