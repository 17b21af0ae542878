/* SPDX-License-Identifier: MIT */
/*
 * The last step of a compilation: a checked draft becomes a flat image. Sizes
 * first, one allocation, then offsets. Everything in a draft is borrowed.
 */
#ifndef LEASH_BUILD_H
#define LEASH_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "../policy.h"

struct leash_draft_entry {
	const char *name;	/* normal form */
	const char *text;	/* as the file says it */
	const char *file;	/* path it stands in */
	uint32_t line;
	uint8_t list;		/* enum leash_list */
	uint16_t port;		/* 0: none */
};

struct leash_draft_source {
	const char *path;	/* absolute */
	uint64_t dev, ino, size;
	int64_t mtime_ns;
};

struct leash_draft {
	struct leash_settings settings;	/* string offsets are filled in by leash_build() */
	const char *appid, *version, *referer, *path, *trust_dir;
	const struct leash_draft_entry *entries;
	size_t entry_count;
	const struct leash_draft_source *sources;
	size_t source_count;
	const uint8_t (*distrust)[32];
	size_t distrust_count;
	const char *const *extra_ca;
	size_t extra_ca_count;
	const uint16_t *loopback_ports;	/* loopback.allow_ports, unless settings.loopback_any */
	size_t loopback_port_count;
};

/**
 * leash_build() - Make an image
 * @ret_image:	malloc()ed; the caller frees it
 *
 * Any string of the draft may be NULL, which is "". What is returned has passed
 * leash_image_open() and leash_image_verify(). 100,000 entries take well under 100 ms.
 * Return: 0, -ENOMEM, -E2BIG (over LEASH_IMAGE_MAX), -EINVAL (a draft that check.c should
 *	   have refused: a name not in normal form, a list or a setting out of range)
 */
int leash_build(const struct leash_draft *draft, void **ret_image, size_t *ret_len);

#endif
