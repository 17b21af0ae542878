/* SPDX-License-Identifier: MIT */
/*
 * The inside of an image, and what the files of policy/ share. Nobody outside
 * policy/ includes this.
 *
 * A flat block, every reference an offset or an index:
 *
 *	struct leash_image	header and settings
 *	sources			struct leash_source
 *	distrusted CAs		32 bytes each
 *	extra CAs		string offsets
 *	loopback ports		uint16_t
 *	slots			open-addressed hash table of names, at most half full
 *	names			one per different name
 *	entries			in the order of the policy file
 *	strings			NUL-terminated; offset 0 is ""
 *
 * What opening costs must not depend on the number of names: every process of a
 * build maps the image. So leash_image_open() checks the header, the sections'
 * bounds and the settings, and every access to what lies behind them is bounded by
 * itself: an image that is damaged elsewhere gives a wrong answer, never an access
 * outside the block, never an endless loop. leash_image_verify() looks at all of it.
 */
#ifndef LEASH_IMAGE_H
#define LEASH_IMAGE_H

#include <string.h>

#include "policy.h"

#define LEASH_IMAGE_VERSION 1u

struct leash_section {
	uint32_t offset;	/* from the start of the image, a multiple of 8 */
	uint32_t count;		/* elements; bytes for the strings */
};

struct leash_slot {
	uint32_t tag;		/* upper half of the hash: a miss does not touch the name */
	uint32_t name;		/* index + 1, 0: free */
};

struct leash_name {
	uint32_t string;
	uint32_t first;		/* entry */
	uint16_t len;
	uint8_t lists;		/* LEASH_LIST_BIT()s of all its entries */
	uint8_t pad;
};

struct leash_image {
	uint8_t magic[8];
	uint32_t version;
	uint32_t layout;	/* sizes of the structures, and so the byte order too */
	uint64_t head_sum;	/* of the header behind this field */
	uint64_t body_sum;	/* of everything behind the header */
	uint32_t size;
	uint32_t path, trust_dir;
	uint32_t pad;
	struct leash_section sources, distrust, extra_ca, ports, slots, names, entries, strings;
	struct leash_settings settings;
	uint32_t pad_end;
};
_Static_assert(sizeof(struct leash_image) % 8 == 0, "sections start behind the header");

#define LEASH_IMAGE_MAGIC "NLPOLICY"
#define LEASH_IMAGE_LAYOUT                                                                      \
	((uint32_t)(sizeof(struct leash_image) << 16 ^ sizeof(struct leash_entry) << 8 ^        \
		    sizeof(struct leash_source) << 4 ^ sizeof(struct leash_name)))

/* Seeds: what is hashed for one purpose says nothing about another. */
#define LEASH_HASH_NAME 0x9e3779b97f4a7c15u
#define LEASH_HASH_HEAD 0xd1b54a32d192ed03u
#define LEASH_HASH_BODY 0x8cb92ba72f3d8dd7u
uint64_t leash_image_hash(const void *data, size_t len, uint64_t seed);

/* The sums of a finished block; for compile/build.c. */
uint64_t leash_image_head_sum(const struct leash_image *image);
uint64_t leash_image_body_sum(const struct leash_image *image);

static inline const void *leash_image_at(const struct leash_image *image,
					 const struct leash_section *section)
{
	return (const uint8_t *)image + section->offset;
}

/* The record of a name, NULL if no list holds it. */
const struct leash_name *leash_image_name(const struct leash_image *image, const char *name,
					  size_t len);
/* The i-th different name, or NULL; *ret_text has its .len bytes, without a promise of a NUL. */
const struct leash_name *leash_image_name_at(const struct leash_image *image, uint32_t i,
					     const char **ret_text);
bool leash_image_loopback_allows(const struct leash_image *image, uint16_t port);

/* match_name.c */
/* "localhost" or below it (RFC 6761 6.3) */
bool leash_match_localhost(const char *name, size_t len);
/* First entry of the name in one of @lists, or LEASH_ENTRY_NONE */
uint32_t leash_match_entry(const struct leash_image *image, const struct leash_name *name,
			   uint32_t lists);
/* As leash_match_entry(), of entries that admit @port under ports = "exact" */
uint32_t leash_match_port(const struct leash_image *image, const struct leash_name *name,
			  uint32_t lists, uint16_t port);
/* Entry of the nearest listed parent, or LEASH_ENTRY_NONE */
uint32_t leash_match_parent(const struct leash_image *image, const char *name, size_t len);
/* The platform's list of ports that raw TCP may not use, policy 4 */
bool leash_match_forbidden_port(uint16_t port);

/* decide.c */
/* Turn a refusal into an allowance with .would where audit or, @skips, skip_domain_check says so */
struct leash_verdict leash_decide_settle(const struct leash_image *image, struct leash_verdict v,
					 bool skips);

/* match_addr.c */
/* The class of an address as if there were no interfaces */
enum leash_addr_class leash_addr_range(const struct leash_addr *addr);

/* One that no entry is behind */
static inline struct leash_verdict leash_verdict_of(enum leash_action action, enum leash_reason reason,
						    enum leash_rule rule)
{
	return (struct leash_verdict){
		.action = action,
		.reason = reason,
		.rule = rule,
		.entry = LEASH_ENTRY_NONE,
		.near = LEASH_ENTRY_NONE,
	};
}

#endif
