/* SPDX-License-Identifier: MIT */
#include "image.h"

#define ALL_LISTS ((1u << LEASH_LIST_COUNT) - 1)

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* A 64 x 64 -> 128 bit product with its halves folded together: every bit of both
 * operands reaches every bit of the result in one multiplication. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t leash_image_hash(const void *data, size_t len, uint64_t seed)
{
	const uint64_t key1 = 0xa0761d6478bd642fu, key2 = 0xe7037ed1a0b428dbu;
	const uint8_t *at = data;
	uint64_t a = 0, b = 0;
	size_t left = len;

	for (; left > 16; at += 16, left -= 16)
		seed = fold(load64(at) ^ key1, load64(at + 8) ^ seed);
	if (left >= 8) {
		a = load64(at);
		b = load64(at + left - 8);
	} else if (left >= 4) {
		a = load32(at);
		b = load32(at + left - 4);
	} else if (left > 0) {
		a = (uint64_t)at[0] << 16 | (uint64_t)at[left / 2] << 8 | at[left - 1];
	}
	return fold(key2 ^ len, fold(a ^ key1, b ^ seed));
}

uint64_t leash_image_head_sum(const struct leash_image *image)
{
	const size_t from = offsetof(struct leash_image, body_sum);

	return leash_image_hash((const uint8_t *)image + from, sizeof(*image) - from,
				LEASH_HASH_HEAD);
}

uint64_t leash_image_body_sum(const struct leash_image *image)
{
	return leash_image_hash(image + 1, image->size - sizeof(*image), LEASH_HASH_BODY);
}

/* ---------------------------------------------------------------- opening */

static bool section_fits(const struct leash_image *image, const struct leash_section *section,
			 size_t element_size)
{
	return section->offset % 8 == 0 && section->offset >= sizeof(*image) &&
	       section->offset <= image->size &&
	       section->count <= (image->size - section->offset) / element_size;
}

static bool string_fits(const struct leash_image *image, uint32_t offset)
{
	return offset < image->strings.count;
}

static bool lan_valid(const struct leash_settings *settings)
{
	if (!settings->lan_override)
		return true;
	switch (settings->lan_addr.family) {
	case LEASH_INET:
		return settings->lan_prefix_len <= 32;
	case LEASH_INET6:
		return settings->lan_prefix_len <= 128;
	}
	return false;
}

static bool settings_valid(const struct leash_image *image)
{
	const struct leash_settings *s = &image->settings;
	const uint8_t booleans[] = {
		s->skip_domain_check, s->audit,		   s->ports_exact,   s->lan_allow,
		s->lan_require_tls,   s->lan_multicast,	   s->lan_override,  s->loopback_any,
		s->background_off,    s->body_convert,	   s->event_queries,
	};

	for (size_t i = 0; i < sizeof(booleans); i++)
		if (booleans[i] > 1)
			return false;
	return s->profile <= LEASH_PROFILE_BUILD && s->platform <= LEASH_STRICT &&
	       s->listen <= LEASH_LISTEN_ANY && s->limits_over <= LEASH_OVER_QUEUE &&
	       s->opaque_tls <= LEASH_OPAQUE_DENY && s->http2 <= LEASH_HTTP2_OBSERVE &&
	       s->seal_level <= 3 && lan_valid(s) && string_fits(image, s->appid) &&
	       string_fits(image, s->version) && string_fits(image, s->referer);
}

static bool slots_valid(const struct leash_image *image)
{
	uint32_t count = image->slots.count;

	/* A power of two, so that a mask keeps a probe inside. */
	return count > 0 && (count & (count - 1)) == 0;
}

static bool strings_valid(const struct leash_image *image)
{
	const char *strings = leash_image_at(image, &image->strings);
	uint32_t count = image->strings.count;

	/* The last byte ends every string that starts inside. */
	return count > 0 && strings[0] == '\0' && strings[count - 1] == '\0' &&
	       string_fits(image, image->path) && string_fits(image, image->trust_dir);
}

int leash_image_open(const void *base, size_t len, const struct leash_image **ret_image)
{
	const struct leash_image *image = base;

	if ((uintptr_t)base % 8 != 0 || len < sizeof(*image) || len > LEASH_IMAGE_MAX)
		return -EBADMSG;
	if (memcmp(image->magic, LEASH_IMAGE_MAGIC, sizeof(image->magic)) != 0)
		return -EBADMSG;
	if (image->version != LEASH_IMAGE_VERSION || image->layout != LEASH_IMAGE_LAYOUT)
		return -EPROTO;
	if (image->size != len || image->head_sum != leash_image_head_sum(image))
		return -EBADMSG;
	if (!section_fits(image, &image->sources, sizeof(struct leash_source)) ||
	    !section_fits(image, &image->distrust, 32) ||
	    !section_fits(image, &image->extra_ca, sizeof(uint32_t)) ||
	    !section_fits(image, &image->ports, sizeof(uint16_t)) ||
	    !section_fits(image, &image->slots, sizeof(struct leash_slot)) ||
	    !section_fits(image, &image->names, sizeof(struct leash_name)) ||
	    !section_fits(image, &image->entries, sizeof(struct leash_entry)) ||
	    !section_fits(image, &image->strings, 1))
		return -EBADMSG;
	if (!slots_valid(image) || !strings_valid(image) || !settings_valid(image))
		return -EBADMSG;
	*ret_image = image;
	return 0;
}

/* ------------------------------------------------------------- everything */

static bool names_whole(const struct leash_image *image)
{
	const char *strings = leash_image_at(image, &image->strings);

	for (uint32_t i = 0; i < image->names.count; i++) {
		char normal[LEASH_NAME_SIZE];
		const char *text;
		const struct leash_name *name = leash_image_name_at(image, i, &text);

		/* text ends before the last string's NUL, so one byte more can be read */
		if (!name || strings[name->string + name->len] != '\0' ||
		    leash_name_normal(text, name->len, normal) != name->len ||
		    memcmp(text, normal, name->len) != 0)
			return false;
		if (leash_image_name(image, text, name->len) != name)
			return false;	/* twice, or not where a look-up finds it */
	}
	return true;
}

static bool slots_whole(const struct leash_image *image)
{
	const struct leash_slot *slots = leash_image_at(image, &image->slots);
	uint32_t used = 0;

	for (uint32_t i = 0; i < image->slots.count; i++) {
		if (slots[i].name > image->names.count)
			return false;
		used += slots[i].name != 0;
	}
	/* Every name is found (names_whole), so as many slots as names means each once. */
	return used == image->names.count && used <= image->slots.count / 2;
}

static bool entry_whole(const struct leash_image *image, const struct leash_entry *entry,
			const struct leash_name *name)
{
	return entry->name == name->string && string_fits(image, entry->text) &&
	       string_fits(image, entry->file) && entry->list < LEASH_LIST_COUNT &&
	       entry->pad == 0;
}

static bool chains_whole(const struct leash_image *image)
{
	const struct leash_entry *entries = leash_image_at(image, &image->entries);
	uint32_t seen = 0;

	for (uint32_t i = 0; i < image->names.count; i++) {
		const char *text;
		const struct leash_name *name = leash_image_name_at(image, i, &text);
		uint32_t lists = 0, at = name->first;

		if (at >= image->entries.count)
			return false;
		for (;;) {
			if (!entry_whole(image, &entries[at], name))
				return false;
			lists |= LEASH_LIST_BIT(entries[at].list);
			seen++;
			if (entries[at].next == LEASH_ENTRY_NONE)
				break;
			if (entries[at].next <= at || entries[at].next >= image->entries.count)
				return false;
			at = entries[at].next;
		}
		if (lists != name->lists || name->pad != 0)
			return false;
	}
	/* A chain holds one name and no entry twice, so this many means all of them. */
	return seen == image->entries.count;
}

static bool paths_whole(const struct leash_image *image)
{
	const uint32_t *extra_ca = leash_image_at(image, &image->extra_ca);
	const struct leash_source *sources = leash_image_at(image, &image->sources);

	for (uint32_t i = 0; i < image->extra_ca.count; i++)
		if (!string_fits(image, extra_ca[i]))
			return false;
	for (uint32_t i = 0; i < image->sources.count; i++)
		if (!string_fits(image, sources[i].path))
			return false;
	return true;
}

int leash_image_verify(const struct leash_image *image)
{
	if (image->body_sum != leash_image_body_sum(image))
		return -EBADMSG;
	if (!slots_whole(image) || !names_whole(image) || !chains_whole(image) ||
	    !paths_whole(image))
		return -EBADMSG;
	return 0;
}

/* -------------------------------------------------------------- accessors */

size_t leash_image_size(const struct leash_image *image)
{
	return image->size;
}

const struct leash_settings *leash_image_settings(const struct leash_image *image)
{
	return &image->settings;
}

const char *leash_image_string(const struct leash_image *image, uint32_t offset)
{
	const char *strings = leash_image_at(image, &image->strings);

	return string_fits(image, offset) ? strings + offset : "";
}

const char *leash_image_path(const struct leash_image *image)
{
	return leash_image_string(image, image->path);
}

const char *leash_image_trust_dir(const struct leash_image *image)
{
	return leash_image_string(image, image->trust_dir);
}

uint32_t leash_image_distrust_count(const struct leash_image *image)
{
	return image->distrust.count;
}

const uint8_t *leash_image_distrust(const struct leash_image *image, uint32_t i)
{
	static const uint8_t none[32];
	const uint8_t *digests = leash_image_at(image, &image->distrust);

	return i < image->distrust.count ? digests + (size_t)i * 32 : none;
}

uint32_t leash_image_extra_ca_count(const struct leash_image *image)
{
	return image->extra_ca.count;
}

const char *leash_image_extra_ca(const struct leash_image *image, uint32_t i)
{
	const uint32_t *extra_ca = leash_image_at(image, &image->extra_ca);

	return i < image->extra_ca.count ? leash_image_string(image, extra_ca[i]) : "";
}

uint32_t leash_image_source_count(const struct leash_image *image)
{
	return image->sources.count;
}

const struct leash_source *leash_image_source(const struct leash_image *image, uint32_t i)
{
	static const struct leash_source none;
	const struct leash_source *sources = leash_image_at(image, &image->sources);

	return i < image->sources.count ? &sources[i] : &none;
}

uint32_t leash_image_loopback_port_count(const struct leash_image *image)
{
	return image->ports.count;
}

uint16_t leash_image_loopback_port(const struct leash_image *image, uint32_t i)
{
	const uint16_t *ports = leash_image_at(image, &image->ports);

	return i < image->ports.count ? ports[i] : 0;
}

bool leash_image_loopback_allows(const struct leash_image *image, uint16_t port)
{
	if (image->settings.loopback_any)
		return true;
	for (uint32_t i = 0; i < image->ports.count; i++)
		if (leash_image_loopback_port(image, i) == port)
			return true;
	return false;
}

uint32_t leash_image_entry_count(const struct leash_image *image)
{
	return image->entries.count;
}

const struct leash_entry *leash_image_entry(const struct leash_image *image, uint32_t i)
{
	/* Admits nothing, should somebody take it for an entry. */
	static const struct leash_entry none = {.list = LEASH_LIST_BLOCKED,
						.next = LEASH_ENTRY_NONE};
	const struct leash_entry *entries = leash_image_at(image, &image->entries);

	/* .list is an index into tables of texts: checked here for images never verified */
	if (i >= image->entries.count || entries[i].list >= LEASH_LIST_COUNT)
		return &none;
	return &entries[i];
}

uint32_t leash_image_next(const struct leash_image *image, uint32_t i)
{
	uint32_t next = leash_image_entry(image, i)->next;

	/* Chains go upwards: a damaged one ends instead of going round. */
	return next > i && next < image->entries.count ? next : LEASH_ENTRY_NONE;
}

/* ---------------------------------------------------------------- look-up */

const struct leash_name *leash_image_name_at(const struct leash_image *image, uint32_t i,
					     const char **ret_text)
{
	const struct leash_name *names = leash_image_at(image, &image->names);
	const char *strings = leash_image_at(image, &image->strings);
	uint32_t pool = image->strings.count;

	if (i >= image->names.count || names[i].string >= pool ||
	    names[i].len >= pool - names[i].string)
		return NULL;
	*ret_text = strings + names[i].string;
	return &names[i];
}

const struct leash_name *leash_image_name(const struct leash_image *image, const char *name,
					  size_t len)
{
	const struct leash_slot *slots = leash_image_at(image, &image->slots);
	uint64_t hash = leash_image_hash(name, len, LEASH_HASH_NAME);
	uint32_t tag = (uint32_t)(hash >> 32), mask = image->slots.count - 1;
	uint32_t at = (uint32_t)hash & mask;

	/* Counted: a damaged table may have no free slot. */
	for (uint32_t tried = 0; tried <= mask && slots[at].name != 0; tried++) {
		if (slots[at].tag == tag) {
			const char *text;
			const struct leash_name *found =
				leash_image_name_at(image, slots[at].name - 1, &text);

			if (found && found->len == len && memcmp(text, name, len) == 0)
				return found;
		}
		at = (at + 1) & mask;
	}
	return NULL;
}

uint32_t leash_image_find(const struct leash_image *image, const char *name, size_t len,
			  uint32_t *ret_lists)
{
	const struct leash_name *found = leash_image_name(image, name, len);

	if (ret_lists)
		*ret_lists = found ? found->lists & ALL_LISTS : 0;
	return found ? found->first : LEASH_ENTRY_NONE;
}
