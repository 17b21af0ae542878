/* SPDX-License-Identifier: MIT */
/*
 * Symbols of the objects that are already mapped, found by walking their
 * DT_GNU_HASH (hooks.md R2, R3). A name that is missing costs no allocation, which
 * dlsym() cannot say of itself, and dlsym is one of the names looked for.
 */
#ifndef LEASH_ELF_H
#define LEASH_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct leash_elf {
	const ElfW(Sym) *symtab;
	const char *strtab;
	const ElfW(Half) *versym;	/* NULL: no versions */
	ElfW(Addr) base;
	/* DT_GNU_HASH, in its parts: a filter that says of most names that they are not here, then buckets and
	 * chains of hashes; symbols below `first` are not in it. */
	const ElfW(Addr) *bloom;
	const uint32_t *buckets, *chain;
	uint32_t bloom_mask, bloom_shift, bucket_count, first;
};

uint32_t leash_elf_hash(const char *name);

/* The same of a literal of at most 32 letters, as a constant: the sum of letter * 33^(letters behind it) */
#define LEASH_ELF_POWER(n)                                                                         \
	(((n) & 1 ? 33u : 1u) * ((n) & 2 ? 1089u : 1u) * ((n) & 4 ? 1185921u : 1u) *               \
	 ((n) & 8 ? 1954312449u : 1u) * ((n) & 16 ? 2463752705u : 1u) * ((n) & 32 ? 288867329u : 1u))
#define LEASH_ELF_LETTER(s, i)                                                                     \
	((i) < sizeof(s) - 1 ? (uint8_t)(s)[(i) < sizeof(s) ? (i) : 0] *                           \
				       LEASH_ELF_POWER(sizeof(s) - 2 - (i))                        \
			     : 0u)
#define LEASH_ELF_LETTERS(s, i)                                                                    \
	(LEASH_ELF_LETTER(s, i) + LEASH_ELF_LETTER(s, i + 1) + LEASH_ELF_LETTER(s, i + 2) +        \
	 LEASH_ELF_LETTER(s, i + 3) + LEASH_ELF_LETTER(s, i + 4) + LEASH_ELF_LETTER(s, i + 5) +    \
	 LEASH_ELF_LETTER(s, i + 6) + LEASH_ELF_LETTER(s, i + 7))
#define LEASH_ELF_HASH(s)                                                                          \
	(uint32_t)(5381u * LEASH_ELF_POWER(sizeof(s) - 1) + LEASH_ELF_LETTERS(s, 0) +              \
		   LEASH_ELF_LETTERS(s, 8) + LEASH_ELF_LETTERS(s, 16) + LEASH_ELF_LETTERS(s, 24))

/** leash_elf_open() - Tables of a mapped object. Return: false if it has no DT_GNU_HASH */
bool leash_elf_open(const struct link_map *map, struct leash_elf *ret);

/**
 * leash_elf_find() - A function or object that it defines
 * The default version if there is one, else a hidden one (compatibility symbols).
 * Return: address, or NULL
 */
void *leash_elf_find(const struct leash_elf *elf, const char *name, uint32_t hash);
/** leash_elf_find_sized() - The same where leash_elf_may_have() said so and the length is known. @size: with its NUL */
void *leash_elf_find_sized(const struct leash_elf *elf, const char *name, size_t size, uint32_t hash);

/** leash_elf_self() - Our own entry in ld.so's list, or NULL */
struct link_map *leash_elf_self(void);

/** leash_elf_may_have() - What the filter says: false if the object does not define a name of this hash */
static inline bool leash_elf_may_have(const struct leash_elf *elf, uint32_t hash)
{
	const unsigned int bits = 8 * sizeof(ElfW(Addr));
	const ElfW(Addr) word = elf->bloom[hash / bits & elf->bloom_mask];

	return word >> (hash % bits) & word >> ((hash >> elf->bloom_shift) % bits) & 1;
}

/** leash_elf_own() - Is the address inside our own object? */
bool leash_elf_own(const void *address);

#endif
