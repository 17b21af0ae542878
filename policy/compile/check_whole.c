/* SPDX-License-Identifier: MIT */
/* What only shows when all is in place: contradictions, twins, public suffixes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* --------------------------------------------------- when all is in place */

/* Entries by name: open addressing, twice as many places as entries. */
struct names {
	uint32_t *place; /* index of the first entry of a name, plus 1 */
	uint32_t *next;  /* per entry: the next one of the same name, plus 1; no twins */
	uint32_t *last;  /* per first entry: the end of that chain, plus 1 */
	size_t mask;
};

static uint32_t hash(const char *name, size_t len)
{
	uint32_t value = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		value = (value ^ (unsigned char)name[i]) * 16777619u;
	return value ^ value >> 15;
}

static uint32_t *find_name(const struct leash_work *work, const struct names *names,
			   const char *name, size_t len)
{
	const struct leash_draft_entry *entries = work->entries.items;
	size_t at = hash(name, len) & names->mask;

	while (names->place[at] && (strncmp(entries[names->place[at] - 1].name, name, len) != 0 ||
				    entries[names->place[at] - 1].name[len] != '\0'))
		at = (at + 1) & names->mask;
	return &names->place[at];
}

static const char *place_text(struct leash_work *work, struct leash_place place)
{
	return leash_work_format(work, "%s:%u", leash_work_file_at(work, place.file).shown,
				 place.line);
}

/* Entry @i against those of the same name that came before it.
 * Return: true if it stands in its list for the first time */
static bool check_twin(struct leash_work *work, const struct names *names, uint32_t first,
		       uint32_t i)
{
	const struct leash_draft_entry *entries = work->entries.items, *entry = &entries[i];
	const struct leash_place *places = work->entry_places.items;
	bool blocked = entry->list == LEASH_LIST_BLOCKED, told = false;

	for (uint32_t at = first; at; at = names->next[at - 1]) {
		const struct leash_draft_entry *other = &entries[at - 1];
		uint32_t listed = blocked ? at - 1 : i, block = blocked ? i : at - 1;

		if (other->list == entry->list && other->port == entry->port) {
			leash_warning(
				work, places[i], "domains.%s: %s stands in this list already (%s)",
				leash_list_text[entry->list], leash_check_quote(work, entry->text),
				place_text(work, places[at - 1]));
			return false;
		}
		if (told || blocked == (other->list == LEASH_LIST_BLOCKED))
			continue;
		leash_warning(
			work, places[listed],
			"domains.%s: %s is in domains.blocked as well (%s), which beats every list",
			leash_list_text[entries[listed].list],
			leash_check_quote(work, entries[listed].text),
			place_text(work, places[block]));
		told = !blocked;
	}
	return true;
}

#define SUFFIX_FILE "/usr/share/publicsuffix/public_suffix_list.dat"

/* One rule of the public suffix list: exactly "co.uk", or "*.ck" and with it every name one label
 * below. Exceptions ("!www.ck") name hosts, which are no suffixes. */
static void check_suffix(struct leash_work *work, const struct names *names, const char *rule,
			 size_t len)
{
	const struct leash_draft_entry *entries = work->entries.items;
	const struct leash_place *places = work->entry_places.items;
	char name[LEASH_NAME_SIZE];
	const char *why;
	int name_len = leash_idn_normal(rule, len, name, &why);
	uint32_t at;

	if (name_len < 0)
		return;
	for (at = *find_name(work, names, name, (size_t)name_len); at; at = names->next[at - 1])
		if (entries[at - 1].list != LEASH_LIST_BLOCKED)
			leash_warning(work, places[at - 1],
				      "domains.%s: %s is a public suffix, under which anybody "
				      "registers names; "
				      "meant is probably a name below it",
				      leash_list_text[entries[at - 1].list],
				      leash_check_quote(work, entries[at - 1].text));
}

/*
 * The list is Debian's package publicsuffix, read by `netleash check` and by nobody else: one
 * pass over its rules costs a millisecond, which a run need not pay for a warning. A library for it
 * (libpsl) would bring a dependency for these twenty lines. Without the package there is no
 * warning. Only the part of ICANN: below it stand hosts that people do use as such (github.io,
 * s3.…).
 */
static void check_suffixes(struct leash_work *work, const struct names *names)
{
	FILE *file = fopen(SUFFIX_FILE, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (!file)
		return;
	while ((len = getline(&line, &size, file)) > 0 &&
	       !strstr(line, "===END ICANN DOMAINS===")) {
		size_t rule = strcspn(line, " \t\r\n");

		/* Single labels cannot be entries; wildcards and exceptions see above. */
		if (rule == 0 || line[0] == '/' || line[0] == '!' || line[0] == '*' ||
		    !memchr(line, '.', rule))
			continue;
		check_suffix(work, names, line, rule);
	}
	free(line);
	fclose(file);
}

static void check_entries(struct leash_work *work)
{
	const struct leash_draft_entry *entries = work->entries.items;
	size_t count = work->entries.count, size = 16;
	struct names names;

	while (size < count * 2)
		size *= 2;
	names.mask = size - 1;
	names.place = calloc(size, sizeof(*names.place));
	names.next = calloc(count + 1, sizeof(*names.next));
	names.last = calloc(count + 1, sizeof(*names.last));
	if (!names.place || !names.next || !names.last) {
		work->oom = true;
	} else {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t *place =
				find_name(work, &names, entries[i].name, strlen(entries[i].name));
			uint32_t first = *place;

			if (!first) {
				*place = i + 1;
				names.last[i] = i + 1;
			} else if (check_twin(work, &names, first, i)) {
				names.next[names.last[first - 1] - 1] = i + 1;
				names.last[first - 1] = i + 1;
			}
		}
		if (work->options->lint)
			check_suffixes(work, &names);
	}
	free(names.place);
	free(names.next);
	free(names.last);
}

/* The later one of two keys that the file sets; the file as a whole where it sets none. */
static struct leash_place later_of(const struct leash_work *work, const char *a, const char *b)
{
	const struct leash_place *first = leash_check_given(work, a),
				 *second = leash_check_given(work, b);

	if (!first && !second)
		return (struct leash_place){0, 0};
	if (!first || !second)
		return first ? *first : *second;
	if (first->file != second->file)
		return first->file > second->file ? *first : *second;
	return first->line > second->line ? *first : *second;
}

static void check_lan(struct leash_work *work)
{
	static const char *const needs_lan[] = {"lan.require_tls", "lan.multicast"};
	struct leash_settings *settings = &work->draft.settings;
	const struct leash_place *address = leash_check_given(work, "lan.address"),
				 *mask = leash_check_given(work, "lan.netmask");
	const uint8_t on[] = {settings->lan_require_tls, settings->lan_multicast};

	if (mask && !address)
		leash_error(work, *mask,
			    "lan.netmask stands without lan.address; accepted are both or none");
	else if (address && !mask)
		leash_error(work, *address,
			    "lan.address stands without lan.netmask; accepted are both or none");
	else if (address && settings->lan_addr.family == LEASH_INET &&
		 settings->lan_prefix_len > 32)
		leash_error(
			work, *mask,
			"lan.netmask has %u bits; accepted are at most 32 for the IPv4 lan.address",
			settings->lan_prefix_len);
	else if (address && settings->lan_addr.family == LEASH_INET6 && settings->lan_prefix_len &&
		 !work->lan_prefix_given)
		leash_error(work, *mask,
			    "lan.netmask is a mask of IPv4, and lan.address is IPv6; accepted is a "
			    "number of bits");
	else if (address)
		settings->lan_override = 1;

	for (size_t i = 0; i < sizeof(needs_lan) / sizeof(needs_lan[0]); i++) {
		const struct leash_place *place = leash_check_given(work, needs_lan[i]);

		if (place && on[i] && !settings->lan_allow)
			leash_error(work, *place,
				    "%s = true contradicts lan.allow = false%s; accepted is one of "
				    "them",
				    needs_lan[i],
				    leash_check_given(work, "lan.allow") ? "" : " of the profile");
	}
}

static void check_switches(struct leash_work *work)
{
	const struct leash_settings *settings = &work->draft.settings;

	if (settings->background_signal == settings->foreground_signal)
		leash_error(
			work, later_of(work, "background.signal", "background.foreground_signal"),
			"background.signal and background.foreground_signal are both signal %d; "
			"accepted are two different ones",
			settings->background_signal);
	if (work->mode_audit && leash_check_given(work, "skip_domain_check") &&
	    settings->skip_domain_check)
		leash_error(work, later_of(work, "mode", "skip_domain_check"),
			    "mode = \"audit\" contradicts skip_domain_check = true: the one "
			    "refuses nothing, "
			    "the other still some; accepted is one of them");
}

static const char *expand_referer(struct leash_work *work)
{
	const char *at = work->referer, *text = "";

	while (*at) {
		size_t plain = strcspn(at, "{");

		if (plain)
			text = leash_work_format(work, "%s%.*s", text, (int)plain, at);
		at += plain;
		if (strncmp(at, "{appid}", 7) == 0) {
			text = leash_work_format(work, "%s%s", text, work->draft.appid);
			at += 7;
		} else if (strncmp(at, "{version}", 9) == 0) {
			text = leash_work_format(work, "%s%s", text, work->draft.version);
			at += 9;
		}
	}
	return text;
}

static bool lists_something(const struct leash_work *work)
{
	const struct leash_draft_entry *entries = work->entries.items;

	for (size_t i = 0; i < work->entries.count; i++)
		if (entries[i].list != LEASH_LIST_BLOCKED)
			return true;
	return false;
}

void leash_check_whole(struct leash_work *work)
{
	const struct leash_settings *settings = &work->draft.settings;

	check_lan(work);
	check_switches(work);
	check_entries(work);
	work->draft.referer = expand_referer(work);
	if (work->error_count == 0 && !lists_something(work) && !settings->audit &&
	    !settings->skip_domain_check)
		leash_warning(work, (struct leash_place){0, 0},
			      "no domain is listed, so every name is refused; list them in "
			      "domains: { request = [ … ]; }; "
			      "or in a domains_file");
}
