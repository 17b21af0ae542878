/* SPDX-License-Identifier: MIT */
/* Plain values: each taker puts one into the image, or says what was found and what is accepted. */
#include <stdio.h>
#include <string.h>

#include "check.h"

/* ------------------------------------------------------------ small words */

const char *leash_check_quote(struct leash_work *work, const char *text)
{
	return leash_work_quote(work, text, strlen(text));
}

const char *leash_check_describe(struct leash_work *work, const struct leash_value *value)
{
	switch (value->type) {
	case LEASH_VALUE_BOOL:
		return value->number ? "true" : "false";
	case LEASH_VALUE_INT:
		return leash_work_format(work, "the number %lld", (long long)value->number);
	case LEASH_VALUE_FLOAT:
		return leash_work_format(work, "the number %s", value->text);
	case LEASH_VALUE_STRING:
		return leash_check_quote(work, value->text);
	case LEASH_VALUE_NULL:
		return "null";
	case LEASH_VALUE_ARRAY:
		return "an array";
	case LEASH_VALUE_GROUP:
		return "a group";
	}
	return "nothing known";
}

static const char *accepted_words(struct leash_work *work, const struct leash_word *words)
{
	const char *text = "";

	for (size_t i = 0; words[i].text; i++)
		text = leash_work_format(work, "%s%s\"%s\"", text,
					 i == 0              ? ""
					 : words[i + 1].text ? ", "
							     : " or ",
					 words[i].text);
	return text;
}

const char *leash_check_accepted(struct leash_work *work, const struct leash_key *key)
{
	if (key->accepted)
		return key->accepted;
	if (key->words)
		return accepted_words(work, key->words);
	return leash_work_format(work, "a whole number from %lld to %lld", (long long)key->min,
				 (long long)key->max);
}

/* The usual fault: KEY is WHAT; accepted is THAT */
void leash_check_refuse(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	leash_error(work, value->place, "%s is %s; accepted is %s", key->path,
		    leash_check_describe(work, value), leash_check_accepted(work, key));
}

/* The same for element @index of an array. */
void leash_check_refuse_item(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value, size_t index, const char *what)
{
	leash_error(work, value->items[index].place, "%s[%zu] is %s; accepted is %s", key->path,
		    index, leash_check_describe(work, &value->items[index]), what);
}

/* A key that is right, set to something, and has no place in the image. */
void leash_check_unused(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	leash_warning(work, value->place, "%s is checked, and not used by this version", key->path);
}

static uint8_t *byte_of(struct leash_work *work, const struct leash_key *key)
{
	return (uint8_t *)&work->draft.settings + key->offset;
}

void leash_check_store32(struct leash_work *work, const struct leash_key *key, uint32_t value)
{
	memcpy((char *)&work->draft.settings + key->offset, &value, sizeof(value));
}

/* ------------------------------------------------------------- the takers */

void leash_take_bool(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_BOOL)
		leash_check_refuse(work, key, value);
	else
		*byte_of(work, key) = (uint8_t)value->number;
}

/* background.enabled is stored as background_off */
void leash_take_bool_inverted(struct leash_work *work, const struct leash_key *key,
			      const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_BOOL)
		leash_check_refuse(work, key, value);
	else
		*byte_of(work, key) = !value->number;
}

void leash_take_word(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value)
{
	for (const struct leash_word *word = key->words;
	     value->type == LEASH_VALUE_STRING && word->text; word++) {
		if (strcmp(word->text, value->text) == 0) {
			*byte_of(work, key) = word->value;
			return;
		}
	}
	leash_check_refuse(work, key, value);
}

void leash_take_int(struct leash_work *work, const struct leash_key *key,
		    const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_INT || value->number < key->min || value->number > key->max)
		leash_check_refuse(work, key, value);
	else
		leash_check_store32(work, key, (uint32_t)value->number);
}

/* policy 5: a larger value works as the maximum */
void leash_take_timeout(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	struct leash_value capped = *value;

	if (value->type == LEASH_VALUE_INT && value->number > key->max) {
		leash_warning(work, value->place, "%s is %s, which works as %lld, the maximum",
			      key->path, leash_check_describe(work, value), (long long)key->max);
		capped.number = key->max;
	}
	leash_take_int(work, key, &capped);
}

/* Only the accepted text is checked: the profile itself was applied before everything else. */
void leash_take_profile(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	uint8_t profile = work->draft.settings.profile;

	leash_take_word(work, key, value);
	work->draft.settings.profile = profile;
}

bool leash_check_only_of(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

#define APPID_MAX 128

/* It becomes part of a URL in a header: nothing in it may end the one or the other. */
void leash_take_appid(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || strlen(value->text) > APPID_MAX ||
	    !leash_check_only_of(value->text, LETTERS DIGITS "-_."))
		leash_check_refuse(work, key, value);
	else
		work->draft.appid = value->text;
}

void leash_take_version(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	size_t len = strlen(value->text ? value->text : "");

	if (value->type == LEASH_VALUE_INT && value->number >= 0)
		work->draft.version = leash_work_format(work, "%lld", (long long)value->number);
	else if (value->type == LEASH_VALUE_STRING &&
		 ((len > 0 && len <= 18 && leash_check_only_of(value->text, DIGITS)) ||
		  strcmp(value->text, "devtools") == 0))
		work->draft.version = value->text;
	else
		leash_check_refuse(work, key, value);
}

#define REFERER_MAX 2048

static bool is_referer(const char *text)
{
	const char *at = text;

	if (*text == '\0')
		return true;
	if (strlen(text) > REFERER_MAX ||
	    (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0))
		return false;
	while (*at) {
		if (strncmp(at, "{appid}", 7) == 0)
			at += 7;
		else if (strncmp(at, "{version}", 9) == 0)
			at += 9;
		else if (*at <= 0x20 || *at >= 0x7f || strchr("{}\"<>\\^`|", *at))
			return false;
		else
			at++;
	}
	return true;
}

void leash_take_referer(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || !is_referer(value->text))
		leash_check_refuse(work, key, value);
	else
		work->referer = value->text;
}

void leash_take_mode(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value)
{
	leash_take_word(work, key, value);
	work->mode_audit = work->draft.settings.audit; /* before --audit, for check_switches() */
}

/* ---- keys of the seal: checked, so that a file is right on every build; only seal.level has a
 * place in the image */

/* What holds without the key, sealing 1: the first word; where .max is set, the second one in
 * profile build. For booleans: false; where .max is set, true but in profile build. */
void leash_take_checked_word(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value)
{
	bool build = work->draft.settings.profile == LEASH_PROFILE_BUILD && key->max;

	for (const struct leash_word *word = key->words;
	     value->type == LEASH_VALUE_STRING && word->text; word++) {
		if (strcmp(word->text, value->text) != 0)
			continue;
		if (word->value != build)
			leash_check_unused(work, key, value);
		return;
	}
	leash_check_refuse(work, key, value);
}

void leash_take_checked_bool(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value)
{
	bool games = work->draft.settings.profile != LEASH_PROFILE_BUILD && key->max;

	if (value->type != LEASH_VALUE_BOOL)
		leash_check_refuse(work, key, value);
	else if (value->number != games)
		leash_check_unused(work, key, value);
}

/* "/path", or "@name" for an abstract one; sealing 9 */
void leash_take_unix_allow(struct leash_work *work, const struct leash_key *key,
			   const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_ARRAY) {
		leash_check_refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		const char *text = value->items[i].text;

		if (value->items[i].type != LEASH_VALUE_STRING || (*text != '/' && *text != '@') ||
		    text[1] == '\0')
			leash_check_refuse_item(work, key, value, i,
						"a pattern such as \"/run/user/1000/pulse/*\" or "
						"\"@/tmp/.X11-unix/X0\"");
	}
	if (value->count)
		leash_check_unused(work, key, value);
}
