/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "../image.h"
#include "build.h"

/* What is being built. Strings come last, so that the room reserved for them, which is an
 * upper bound, can be cut to what was used. */
struct build {
	struct leash_image *image;
	char *strings;
	uint32_t strings_size;
};

static size_t align8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static size_t string_size(const char *string)
{
	return string ? strlen(string) + 1 : 0;
}

/* Room that the strings take at most: each once. */
static size_t strings_bound(const struct leash_draft *draft)
{
	size_t size = 1;

	size += string_size(draft->appid) + string_size(draft->version) +
		string_size(draft->referer) + string_size(draft->path) +
		string_size(draft->trust_dir);
	for (size_t i = 0; i < draft->entry_count; i++) {
		const struct leash_draft_entry *entry = &draft->entries[i];

		size += string_size(entry->name) + string_size(entry->text);
		if (i == 0 || entry->file != draft->entries[i - 1].file)
			size += string_size(entry->file);
	}
	for (size_t i = 0; i < draft->source_count; i++)
		size += string_size(draft->sources[i].path);
	for (size_t i = 0; i < draft->extra_ca_count; i++)
		size += string_size(draft->extra_ca[i]);
	return size;
}

/* At most half full, a power of two. */
static size_t slot_count(size_t name_count)
{
	size_t count = 2;

	while (count < 2 * name_count)
		count *= 2;
	return count;
}

static int draft_check(const struct leash_draft *draft)
{
	/* So that no sum below can overflow: each of them takes bytes of an image. */
	if (draft->entry_count > LEASH_IMAGE_MAX / sizeof(struct leash_entry) ||
	    draft->source_count > LEASH_IMAGE_MAX / sizeof(struct leash_source) ||
	    draft->distrust_count > LEASH_IMAGE_MAX / 32 ||
	    draft->extra_ca_count > LEASH_IMAGE_MAX / sizeof(uint32_t) ||
	    draft->loopback_port_count > LEASH_IMAGE_MAX / sizeof(uint16_t))
		return -E2BIG;
	for (size_t i = 0; i < draft->entry_count; i++) {
		const struct leash_draft_entry *entry = &draft->entries[i];
		char normal[LEASH_NAME_SIZE];

		if (!entry->name || entry->list >= LEASH_LIST_COUNT ||
		    leash_name_normal(entry->name, strlen(entry->name), normal) < 0 ||
		    strcmp(entry->name, normal) != 0)
			return -EINVAL;
	}
	return 0;
}

static uint32_t put_string(struct build *build, const char *string)
{
	uint32_t at = build->strings_size;
	size_t size = string_size(string);

	if (size <= 1)
		return 0;
	memcpy(build->strings + at, string, size);
	build->strings_size += (uint32_t)size;
	return at;
}

static void *put_section(struct build *build, struct leash_section *section, size_t *offset,
			 size_t count, size_t element_size)
{
	section->offset = (uint32_t)*offset;
	section->count = (uint32_t)count;
	*offset += align8(count * element_size);
	return (uint8_t *)build->image + section->offset;
}

/* The name's record, made if this is the first entry of it. @text is the entry's: the name
 * mostly is the end of it, and needs no room of its own then. */
static struct leash_name *put_name(struct build *build, const struct leash_draft_entry *entry,
				   uint32_t text)
{
	struct leash_image *image = build->image;
	struct leash_slot *slots = (void *)((uint8_t *)image + image->slots.offset);
	struct leash_name *names = (void *)((uint8_t *)image + image->names.offset);
	size_t len = strlen(entry->name), text_len = entry->text ? strlen(entry->text) : 0;
	uint64_t hash = leash_image_hash(entry->name, len, LEASH_HASH_NAME);
	uint32_t tag = (uint32_t)(hash >> 32), mask = image->slots.count - 1;
	uint32_t at = (uint32_t)hash & mask;
	struct leash_name *name;

	for (; slots[at].name != 0; at = (at + 1) & mask) {
		name = &names[slots[at].name - 1];
		if (slots[at].tag == tag && name->len == len &&
		    memcmp(build->strings + name->string, entry->name, len) == 0)
			return name;
	}
	name = &names[image->names.count++];
	slots[at] = (struct leash_slot){.tag = tag, .name = image->names.count};
	name->len = (uint16_t)len;
	name->first = LEASH_ENTRY_NONE;
	if (text_len >= len && memcmp(entry->text + text_len - len, entry->name, len) == 0)
		name->string = text + (uint32_t)(text_len - len);
	else
		name->string = put_string(build, entry->name);
	return name;
}

/* @last: by name, the last entry of its chain */
static void put_entries(struct build *build, const struct leash_draft *draft, uint32_t *last)
{
	struct leash_image *image = build->image;
	struct leash_entry *entries = (void *)((uint8_t *)image + image->entries.offset);
	struct leash_name *names = (void *)((uint8_t *)image + image->names.offset);
	uint32_t file = 0;

	for (uint32_t i = 0; i < draft->entry_count; i++) {
		const struct leash_draft_entry *from = &draft->entries[i];
		struct leash_entry *entry = &entries[i];
		struct leash_name *name;

		if (i == 0 || from->file != from[-1].file)
			file = put_string(build, from->file);
		*entry = (struct leash_entry){
			.text = put_string(build, from->text),
			.file = file,
			.line = from->line,
			.list = from->list,
			.port = from->port,
			.next = LEASH_ENTRY_NONE,
		};
		name = put_name(build, from, entry->text);
		entry->name = name->string;
		name->lists |= (uint8_t)LEASH_LIST_BIT(from->list);
		if (name->first == LEASH_ENTRY_NONE)
			name->first = i;
		else
			entries[last[name - names]].next = i;
		last[name - names] = i;
	}
}

static void put_header(struct build *build, const struct leash_draft *draft)
{
	struct leash_image *image = build->image;

	memcpy(image->magic, LEASH_IMAGE_MAGIC, sizeof(image->magic));
	image->version = LEASH_IMAGE_VERSION;
	image->layout = LEASH_IMAGE_LAYOUT;
	image->settings = draft->settings;
	image->settings.appid = put_string(build, draft->appid);
	image->settings.version = put_string(build, draft->version);
	image->settings.referer = put_string(build, draft->referer);
	image->path = put_string(build, draft->path);
	image->trust_dir = put_string(build, draft->trust_dir);
}

static void put_all(struct build *build, const struct leash_draft *draft, size_t slots,
		    uint32_t *last)
{
	struct leash_image *image = build->image;
	size_t offset = sizeof(*image);
	struct leash_source *sources = put_section(build, &image->sources, &offset,
						   draft->source_count, sizeof(*sources));
	uint8_t *distrust = put_section(build, &image->distrust, &offset,
					draft->distrust_count, 32);
	uint32_t *extra_ca = put_section(build, &image->extra_ca, &offset, draft->extra_ca_count,
					 sizeof(*extra_ca));
	uint16_t *ports = put_section(build, &image->ports, &offset, draft->loopback_port_count,
				      sizeof(*ports));

	put_section(build, &image->slots, &offset, slots, sizeof(struct leash_slot));
	put_section(build, &image->names, &offset, draft->entry_count, sizeof(struct leash_name));
	image->names.count = 0;		/* room for all, filled by put_name() */
	put_section(build, &image->entries, &offset, draft->entry_count,
		    sizeof(struct leash_entry));
	build->strings = put_section(build, &image->strings, &offset, 0, 1);
	build->strings_size = 1;	/* offset 0 is "" */

	put_header(build, draft);
	for (size_t i = 0; i < draft->source_count; i++) {
		const struct leash_draft_source *from = &draft->sources[i];

		sources[i] = (struct leash_source){
			.dev = from->dev,
			.ino = from->ino,
			.size = from->size,
			.mtime_ns = from->mtime_ns,
			.path = put_string(build, from->path),
		};
	}
	if (draft->distrust_count > 0)
		memcpy(distrust, draft->distrust, draft->distrust_count * 32);
	for (size_t i = 0; i < draft->extra_ca_count; i++)
		extra_ca[i] = put_string(build, draft->extra_ca[i]);
	if (draft->loopback_port_count > 0)
		memcpy(ports, draft->loopback_ports, draft->loopback_port_count * sizeof(*ports));
	put_entries(build, draft, last);

	image->strings.count = build->strings_size;
	image->size = (uint32_t)align8(image->strings.offset + build->strings_size);
	image->body_sum = leash_image_body_sum(image);
	image->head_sum = leash_image_head_sum(image);
}

int leash_build(const struct leash_draft *draft, void **ret_image, size_t *ret_len)
{
	const struct leash_image *checked;
	struct build build = {0};
	size_t slots, size, len;
	uint32_t *last;
	int rc = draft_check(draft);

	if (rc < 0)
		return rc;
	slots = slot_count(draft->entry_count);
	size = sizeof(struct leash_image) +
	       align8(draft->source_count * sizeof(struct leash_source)) +
	       draft->distrust_count * 32 + align8(draft->extra_ca_count * sizeof(uint32_t)) +
	       align8(draft->loopback_port_count * sizeof(uint16_t)) +
	       slots * sizeof(struct leash_slot) +
	       align8(draft->entry_count * sizeof(struct leash_name)) +
	       align8(draft->entry_count * sizeof(struct leash_entry)) +
	       align8(strings_bound(draft));
	if (size > LEASH_IMAGE_MAX)
		return -E2BIG;

	build.image = calloc(1, size);
	last = calloc(draft->entry_count + 1, sizeof(*last));
	if (!build.image || !last) {
		free(build.image);
		free(last);
		return -ENOMEM;
	}
	put_all(&build, draft, slots, last);
	free(last);

	/* Whoever maps the file trusts that its writer looked at all of it. */
	len = build.image->size;
	if (leash_image_open(build.image, len, &checked) < 0 || leash_image_verify(checked) < 0) {
		free(build.image);
		return -EINVAL;
	}
	*ret_image = build.image;
	*ret_len = len;
	return 0;
}
