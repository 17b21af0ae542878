/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "shim/core/elf.h"

extern const char leash_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char leash_image_end[] __asm__("_end") __attribute__((visibility("hidden")));

uint32_t leash_elf_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	return hash;
}

/* ld.so has relocated the pointers of most objects in place; the vDSO's it leaves alone. */
static ElfW(Addr) pointer(const struct link_map *map, ElfW(Addr) value)
{
	return value < map->l_addr ? map->l_addr + value : value;
}

/* Return: false if it is no such table. The filter's size is a power of two (ld.so relies on it as well) */
static bool take_hash(struct leash_elf *elf, const uint32_t *table)
{
	const uint32_t bloom_size = table[2];

	elf->bucket_count = table[0];
	elf->first = table[1];
	elf->bloom_mask = bloom_size - 1;
	elf->bloom_shift = table[3];
	elf->bloom = (const void *)(table + 4);
	elf->buckets = (const void *)(elf->bloom + bloom_size);
	elf->chain = elf->buckets + elf->bucket_count;
	return elf->bucket_count != 0 && bloom_size != 0 && (bloom_size & (bloom_size - 1)) == 0;
}

bool leash_elf_open(const struct link_map *map, struct leash_elf *ret)
{
	struct leash_elf elf = {.base = map->l_addr};
	const uint32_t *table = NULL;

	if (!map->l_ld)
		return false;
	for (const ElfW(Dyn) *dyn = map->l_ld; dyn->d_tag != DT_NULL; dyn++) {
		switch (dyn->d_tag) {
		case DT_SYMTAB:
			elf.symtab = (const void *)pointer(map, dyn->d_un.d_ptr);
			break;
		case DT_STRTAB:
			elf.strtab = (const void *)pointer(map, dyn->d_un.d_ptr);
			break;
		case DT_GNU_HASH:
			table = (const void *)pointer(map, dyn->d_un.d_ptr);
			break;
		case DT_VERSYM:
			elf.versym = (const void *)pointer(map, dyn->d_un.d_ptr);
			break;
		}
	}
	if (!elf.symtab || !elf.strtab || !table || !take_hash(&elf, table))
		return false;
	*ret = elf;
	return true;
}

struct eight {
	uint64_t bytes;
} __attribute__((packed, may_alias));

static inline uint64_t eight(const char *at)
{
	return ((const struct eight *)(const void *)at)->bytes;
}

/* @size: with its NUL. Eight at a time, the last of them overlapping: this was most of what a start costs.
 * Not memcmp() nor strcmp(): a sanitizer's would initialise itself by dlsym(), which brings us here again, into
 * one that is not bound yet. */
static inline bool same(const char *a, const char *b, size_t size)
{
	if (size < 8) {
		for (size_t i = 0; i < size; i++)
			if (a[i] != b[i])
				return false;
		return true;
	}
	for (size_t i = 0; i + 8 <= size; i += 8)
		if (eight(a + i) != eight(b + i))
			return false;
	return eight(a + size - 8) == eight(b + size - 8);
}

static void *address_of(const struct leash_elf *elf, const ElfW(Sym) *sym)
{
	void *address = (void *)(elf->base + sym->st_value);

	if (ELF64_ST_TYPE(sym->st_info) == STT_GNU_IFUNC) {
		void *(*resolve)(void);

		memcpy(&resolve, &address, sizeof(resolve));
		return resolve();
	}
	return address;
}

void *leash_elf_find_sized(const struct leash_elf *elf, const char *name, size_t size, uint32_t hash)
{
	const ElfW(Sym) *hidden = NULL;
	uint32_t i = elf->buckets[hash % elf->bucket_count];

	if (i < elf->first)
		return NULL;
	for (;; i++) {
		const uint32_t link = elf->chain[i - elf->first];
		const ElfW(Sym) *sym = &elf->symtab[i];

		if ((link | 1) == (hash | 1) && sym->st_shndx != SHN_UNDEF &&
		    ELF64_ST_TYPE(sym->st_info) != STT_TLS &&
		    same(elf->strtab + sym->st_name, name, size)) {
			/* The high bit hides a version from unversioned look-ups. */
			if (!elf->versym || !(elf->versym[i] & 0x8000))
				return address_of(elf, sym);
			hidden = sym;
		}
		if (link & 1)
			break;
	}
	return hidden ? address_of(elf, hidden) : NULL;
}

void *leash_elf_find(const struct leash_elf *elf, const char *name, uint32_t hash)
{
	return leash_elf_may_have(elf, hash) ? leash_elf_find_sized(elf, name, strlen(name) + 1, hash) : NULL;
}

struct link_map *leash_elf_self(void)
{
	for (struct link_map *map = _r_debug.r_map; map; map = map->l_next)
		if (map->l_ld == _DYNAMIC)
			return map;
	return NULL;
}

bool leash_elf_own(const void *address)
{
	return (const char *)address >= leash_image_start && (const char *)address < leash_image_end;
}
