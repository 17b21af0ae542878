/* SPDX-License-Identifier: MIT */
/*
 * What a value may be. The schema is a table, one row a key; a fault says what
 * was found and what is accepted.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "work.h"

/* ------------------------------------------------------------ small words */

static const char *quote(struct leash_work *work, const char *text)
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
		return quote(work, value->text);
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

static const char *accepted(struct leash_work *work, const struct leash_key *key)
{
	if (key->accepted)
		return key->accepted;
	if (key->words)
		return accepted_words(work, key->words);
	return leash_work_format(work, "a whole number from %lld to %lld", (long long)key->min,
				 (long long)key->max);
}

/* The usual fault: KEY is WHAT; accepted is THAT */
static void refuse(struct leash_work *work, const struct leash_key *key,
		   const struct leash_value *value)
{
	leash_error(work, value->place, "%s is %s; accepted is %s", key->path,
		    leash_check_describe(work, value), accepted(work, key));
}

/* The same for element @index of an array. */
static void refuse_item(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value, size_t index, const char *what)
{
	leash_error(work, value->items[index].place, "%s[%zu] is %s; accepted is %s", key->path,
		    index, leash_check_describe(work, &value->items[index]), what);
}

/* A key that is right, set to something, and has no place in the image. */
static void unused(struct leash_work *work, const struct leash_key *key,
		   const struct leash_value *value)
{
	leash_warning(work, value->place, "%s is checked, and not used by this version", key->path);
}

static uint8_t *byte_of(struct leash_work *work, const struct leash_key *key)
{
	return (uint8_t *)&work->draft.settings + key->offset;
}

static void store32(struct leash_work *work, const struct leash_key *key, uint32_t value)
{
	memcpy((char *)&work->draft.settings + key->offset, &value, sizeof(value));
}

/* ------------------------------------------------------------- the takers */

static void take_bool(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_BOOL)
		refuse(work, key, value);
	else
		*byte_of(work, key) = (uint8_t)value->number;
}

/* background.enabled is stored as background_off */
static void take_bool_inverted(struct leash_work *work, const struct leash_key *key,
			       const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_BOOL)
		refuse(work, key, value);
	else
		*byte_of(work, key) = !value->number;
}

static void take_word(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	for (const struct leash_word *word = key->words;
	     value->type == LEASH_VALUE_STRING && word->text; word++) {
		if (strcmp(word->text, value->text) == 0) {
			*byte_of(work, key) = word->value;
			return;
		}
	}
	refuse(work, key, value);
}

static void take_int(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_INT || value->number < key->min || value->number > key->max)
		refuse(work, key, value);
	else
		store32(work, key, (uint32_t)value->number);
}

/* policy 5: a larger value works as the maximum */
static void take_timeout(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	struct leash_value capped = *value;

	if (value->type == LEASH_VALUE_INT && value->number > key->max) {
		leash_warning(work, value->place, "%s is %s, which works as %lld, the maximum",
			      key->path, leash_check_describe(work, value), (long long)key->max);
		capped.number = key->max;
	}
	take_int(work, key, &capped);
}

/* Only the accepted text is checked: the profile itself was applied before everything else. */
static void take_profile(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	uint8_t profile = work->draft.settings.profile;

	take_word(work, key, value);
	work->draft.settings.profile = profile;
}

static bool only_of(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

#define DIGITS    "0123456789"
#define LETTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define APPID_MAX 128

/* It becomes part of a URL in a header: nothing in it may end the one or the other. */
static void take_appid(struct leash_work *work, const struct leash_key *key,
		       const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || strlen(value->text) > APPID_MAX ||
	    !only_of(value->text, LETTERS DIGITS "-_."))
		refuse(work, key, value);
	else
		work->draft.appid = value->text;
}

static void take_version(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	size_t len = strlen(value->text ? value->text : "");

	if (value->type == LEASH_VALUE_INT && value->number >= 0)
		work->draft.version = leash_work_format(work, "%lld", (long long)value->number);
	else if (value->type == LEASH_VALUE_STRING &&
		 ((len > 0 && len <= 18 && only_of(value->text, DIGITS)) ||
		  strcmp(value->text, "devtools") == 0))
		work->draft.version = value->text;
	else
		refuse(work, key, value);
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

static void take_referer(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || !is_referer(value->text))
		refuse(work, key, value);
	else
		work->referer = value->text;
}

static void take_mode(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	take_word(work, key, value);
	work->mode_audit = work->draft.settings.audit; /* before --audit, for check_switches() */
}

/* ---- lists of names */

static void take_list(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_ARRAY) {
		refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].type != LEASH_VALUE_STRING)
			refuse_item(work, key, value, i, "a host name in double quotes");
		else
			leash_check_entry(work, (enum leash_list)key->list, value->items[i].place,
					  key->path, i, value->items[i].text);
	}
}

static void take_domains_file(struct leash_work *work, const struct leash_key *key,
			      const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || *value->text == '\0')
		refuse(work, key, value);
	else
		leash_project_domains(work, value->place,
				      leash_work_beside(work, value->place.file, value->text));
}

/* ---- signals */

static bool parse_number(const char *text, int *ret)
{
	int number = 0;

	if (*text == '\0' || strlen(text) > 4 || !only_of(text, DIGITS))
		return false;
	for (; *text; text++)
		number = number * 10 + (*text - '0');
	*ret = number;
	return true;
}

static int signal_number(const char *text)
{
	int n = 0;

	if (strcmp(text, "SIGUSR1") == 0)
		return SIGUSR1;
	if (strcmp(text, "SIGUSR2") == 0)
		return SIGUSR2;
	if (strncmp(text, "SIGRTMIN", 8) == 0 &&
	    (text[8] == '\0' || (text[8] == '+' && parse_number(text + 9, &n))))
		return SIGRTMIN + n;
	if (strncmp(text, "SIGRTMAX", 8) == 0 &&
	    (text[8] == '\0' || (text[8] == '-' && parse_number(text + 9, &n))))
		return SIGRTMAX - n;
	return 0;
}

static void take_signal(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	int64_t number = 0;

	if (value->type == LEASH_VALUE_INT)
		number = value->number;
	else if (value->type == LEASH_VALUE_STRING)
		number = signal_number(value->text);
	if (number == SIGUSR1 || number == SIGUSR2 || (number >= SIGRTMIN && number <= SIGRTMAX))
		store32(work, key, (uint32_t)number);
	else
		refuse(work, key, value);
}

/* ---- addresses */

/* Written as people write it: "192.168.1" and "0xc0a80101" are addresses for a resolver, but in a
 * policy they are slips. */
static bool plain_address(const char *text, struct leash_addr *ret_addr)
{
	char canonical[LEASH_ADDR_TEXT_SIZE];
	struct leash_addr addr;

	if (strlen(text) >= LEASH_ADDR_TEXT_SIZE || strchr(text, '[') || strchr(text, '%') ||
	    !leash_addr_parse(text, strlen(text), &addr))
		return false;
	leash_addr_text(&addr, canonical);
	if (addr.family == LEASH_INET && strcmp(canonical, text) != 0)
		return false;
	*ret_addr = addr;
	return true;
}

static void take_lan_address(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value)
{
	struct leash_addr addr;

	if (value->type != LEASH_VALUE_STRING || !plain_address(value->text, &addr) ||
	    /* an interface has none of these: 0/8, 127/8, multicast and above; ::, ::1, ff00::/8 */
	    (addr.family == LEASH_INET &&
	     (addr.bytes[0] == 0 || addr.bytes[0] == 127 || addr.bytes[0] >= 224)) ||
	    (addr.family == LEASH_INET6 && (addr.bytes[0] == 0 || addr.bytes[0] == 0xff)))
		refuse(work, key, value);
	else
		work->draft.settings.lan_addr = addr;
}

#define LAN_PREFIX_MIN 8 /* "same subnet" is to mean a network, not a continent */

/* Bits of a mask, or -1 if its ones are not in front of its zeros. */
static int mask_bits(const struct leash_addr *mask)
{
	uint32_t bits = (uint32_t)mask->bytes[0] << 24 | (uint32_t)mask->bytes[1] << 16 |
			(uint32_t)mask->bytes[2] << 8 | mask->bytes[3];
	int count = 0;

	while (count < 32 && bits & 0x80000000u >> count)
		count++;
	return count == 32 || (bits << count) == 0 ? count : -1;
}

static void take_lan_netmask(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value)
{
	const char *text = value->type == LEASH_VALUE_STRING ? value->text : "";
	struct leash_addr mask;
	int bits = -1;

	work->lan_prefix_given = true;
	if (value->type == LEASH_VALUE_INT && value->number <= 128)
		bits = (int)value->number;
	else if (parse_number(text + (*text == '/'), &bits))
		;
	else if (plain_address(text, &mask) && mask.family == LEASH_INET) {
		work->lan_prefix_given = false;
		bits = mask_bits(&mask);
		if (bits < 0) {
			leash_error(work, value->place,
				    "%s is %s, whose ones and zeros are mixed; accepted is %s",
				    key->path, quote(work, text), accepted(work, key));
			return;
		}
	}
	if (bits < LAN_PREFIX_MIN || bits > 128)
		refuse(work, key, value);
	else
		work->draft.settings.lan_prefix_len = (uint8_t)bits;
}

static void take_servers(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	struct leash_addr addr;

	if (value->type != LEASH_VALUE_ARRAY || value->count > (size_t)key->max) {
		refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++)
		if (value->items[i].type != LEASH_VALUE_STRING ||
		    !plain_address(value->items[i].text, &addr))
			refuse_item(work, key, value, i,
				    "an address such as \"192.0.2.53\" or \"2001:db8::53\"");
	if (value->count)
		unused(work, key, value);
}

static void take_ports(struct leash_work *work, const struct leash_key *key,
		       const struct leash_value *value)
{
	if (value->type == LEASH_VALUE_STRING && strcmp(value->text, "any") == 0) {
		work->draft.settings.loopback_any = 1;
		return;
	}
	if (value->type != LEASH_VALUE_ARRAY) {
		refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		const struct leash_value *item = &value->items[i];
		uint16_t *port;

		if (item->type != LEASH_VALUE_INT || item->number < 1 || item->number > 65535) {
			refuse_item(work, key, value, i, "a port from 1 to 65535");
			continue;
		}
		port = leash_vec_add(work, &work->loopback_ports, sizeof(*port));
		if (port)
			*port = (uint16_t)item->number;
	}
}

/* ---- certificates */

static void take_trust_dir(struct leash_work *work, const struct leash_key *key,
			   const struct leash_value *value)
{
	struct stat st;
	const char *path;

	if (value->type != LEASH_VALUE_STRING) {
		refuse(work, key, value);
		return;
	}
	work->draft.trust_dir = "";
	if (*value->text == '\0')
		return;
	path = leash_work_beside(work, value->place.file, value->text);
	if (stat(path, &st) < 0)
		leash_error(work, value->place,
			    "%s is %s, which cannot be looked at: %s; accepted is %s", key->path,
			    quote(work, path), strerror(errno), accepted(work, key));
	else if (!S_ISDIR(st.st_mode))
		leash_error(work, value->place, "%s is %s, which is no directory; accepted is %s",
			    key->path, quote(work, path), accepted(work, key));
	else
		work->draft.trust_dir = leash_work_absolute(work, path);
}

static void take_ca(struct leash_work *work, const struct leash_value *value)
{
	const char *path = leash_work_beside(work, value->place.file, value->text), *text;
	const char **ca;
	uint32_t file;
	size_t len;

	if (leash_work_read(work, value->place, path, LEASH_READ_NO_SOURCE, &file, &text, &len) < 0)
		return;
	if (!strstr(text, "-----BEGIN CERTIFICATE-----") &&
	    !strstr(text, "-----BEGIN TRUSTED CERTIFICATE-----")) {
		leash_error(work, value->place,
			    "%s holds no certificate; accepted is PEM, with -----BEGIN "
			    "CERTIFICATE-----",
			    quote(work, path));
		return;
	}
	ca = leash_vec_add(work, &work->extra_ca, sizeof(*ca));
	if (ca)
		*ca = leash_work_absolute(work, path);
}

static void take_extra_ca(struct leash_work *work, const struct leash_key *key,
			  const struct leash_value *value)
{
	if (value->type == LEASH_VALUE_STRING && *value->text) {
		take_ca(work, value);
	} else if (value->type == LEASH_VALUE_ARRAY) {
		for (size_t i = 0; i < value->count; i++) {
			if (value->items[i].type == LEASH_VALUE_STRING && *value->items[i].text)
				take_ca(work, &value->items[i]);
			else
				refuse_item(work, key, value, i, "the path of a PEM file");
		}
	} else {
		refuse(work, key, value);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 64 hexadecimal digits; a colon may stand between two bytes, as openssl(1) prints it. */
static bool parse_digest(const char *text, uint8_t ret[static 32])
{
	uint8_t digest[32];

	for (size_t i = 0; i < 32; i++) {
		int high, low;

		if (i > 0 && *text == ':')
			text++;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	memcpy(ret, digest, sizeof(digest));
	return true;
}

static void take_distrust(struct leash_work *work, const struct leash_key *key,
			  const struct leash_value *value)
{
	uint8_t digest[32];
	void *slot;

	if (value->type != LEASH_VALUE_ARRAY) {
		refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].type != LEASH_VALUE_STRING ||
		    !parse_digest(value->items[i].text, digest)) {
			refuse_item(work, key, value, i,
				    "the SHA-256 of a certificate, 64 hexadecimal digits");
			continue;
		}
		slot = leash_vec_add(work, &work->distrust, sizeof(digest));
		if (slot)
			memcpy(slot, digest, sizeof(digest));
	}
}

/* ---- keys of the seal: checked, so that a file is right on every build; only seal.level has a
 * place in the image */

/* What holds without the key, sealing 1: the first word; where .max is set, the second one in
 * profile build. For booleans: false; where .max is set, true but in profile build. */
static void take_checked_word(struct leash_work *work, const struct leash_key *key,
			      const struct leash_value *value)
{
	bool build = work->draft.settings.profile == LEASH_PROFILE_BUILD && key->max;

	for (const struct leash_word *word = key->words;
	     value->type == LEASH_VALUE_STRING && word->text; word++) {
		if (strcmp(word->text, value->text) != 0)
			continue;
		if (word->value != build)
			unused(work, key, value);
		return;
	}
	refuse(work, key, value);
}

static void take_checked_bool(struct leash_work *work, const struct leash_key *key,
			      const struct leash_value *value)
{
	bool games = work->draft.settings.profile != LEASH_PROFILE_BUILD && key->max;

	if (value->type != LEASH_VALUE_BOOL)
		refuse(work, key, value);
	else if (value->number != games)
		unused(work, key, value);
}

/* "/path", or "@name" for an abstract one; sealing 9 */
static void take_unix_allow(struct leash_work *work, const struct leash_key *key,
			    const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_ARRAY) {
		refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		const char *text = value->items[i].text;

		if (value->items[i].type != LEASH_VALUE_STRING || (*text != '/' && *text != '@') ||
		    text[1] == '\0')
			refuse_item(work, key, value, i,
				    "a pattern such as \"/run/user/1000/pulse/*\" or "
				    "\"@/tmp/.X11-unix/X0\"");
	}
	if (value->count)
		unused(work, key, value);
}

/* -------------------------------------------------------------- the schema */

/* clang-format off */
static const struct leash_word platform_words[] = {
	{"android", LEASH_ANDROID}, {"ios", LEASH_IOS}, {"devtools", LEASH_DEVTOOLS},
	{"strict", LEASH_STRICT},   {NULL, 0},
};
static const struct leash_word listen_words[] = {
	{"deny", LEASH_LISTEN_DENY}, {"lan", LEASH_LISTEN_LAN}, {"any", LEASH_LISTEN_ANY}, {NULL, 0}
};
static const struct leash_word over_words[] = {
	{"warn", LEASH_OVER_WARN}, {"fail", LEASH_OVER_FAIL}, {"queue", LEASH_OVER_QUEUE}, {NULL, 0}
};
static const struct leash_word opaque_words[] = {
	{"observe", LEASH_OPAQUE_OBSERVE},
	{"allow", LEASH_OPAQUE_ALLOW},
	{"deny", LEASH_OPAQUE_DENY},
	{NULL, 0},
};
static const struct leash_word http2_words[] = {
	{"deny", LEASH_HTTP2_DENY}, {"observe", LEASH_HTTP2_OBSERVE}, {NULL, 0}
};
static const struct leash_word ports_words[] = {{"any", 0}, {"exact", 1}, {NULL, 0}};
static const struct leash_word mode_words[] = {{"enforce", 0}, {"audit", 1}, {NULL, 0}};
static const struct leash_word seal_words[] = {{"calls", 1}, {"net", 2}, {"auto", 3}, {NULL, 0}};
static const struct leash_word direct_words[] = {{"shim", 0}, {"never", 1}, {NULL, 0}};
static const struct leash_word unix_words[] = {{"open", 0}, {"listed", 1}, {NULL, 0}};

#define AT(field) .offset = offsetof(struct leash_settings, field)
#define BOOL(field) .take = take_bool, .accepted = "true or false", AT(field)
#define WORD(words_, field) .take = take_word, .words = (words_), AT(field)
#define INT(low, high, field) .take = take_int, .min = (low), .max = (high), AT(field)
#define TIMEOUT(list_)                                                                            \
	.take = take_timeout, .min = 1, .max = LEASH_TIMEOUT_MAX_MS, AT(timeout_ms[list_]),       \
	.accepted = "a whole number of milliseconds from 1 to 60000"
#define LIMIT(list_)                                                                              \
	.take = take_int, .min = 0, .max = 1000000, AT(limit[list_]),                             \
	.accepted = "a whole number from 0 (no limit) to 1000000"
#define NAMES(list_, text)                                                                        \
	.take = take_list, .list = (list_), .late = true,                                         \
	.accepted = "an array of host names such as [ \"" text "\" ]"
#define SIGNAL(field)                                                                             \
	.take = take_signal, AT(field),                                                           \
	.accepted = "a real-time signal such as \"SIGRTMIN+8\" (or its number), \"SIGUSR1\" or \"SIGUSR2\""

const struct leash_key leash_schema[] = {
	{"profile", .take = take_profile, .words = leash_profile_words, AT(profile)},
	{"appid", .take = take_appid,
	 .accepted = "a string of letters, digits, '-', '_' and '.', such as \"wx0123456789abcdef\""},
	{"version", .take = take_version, .accepted = "a number, \"0\" or \"devtools\""},
	{"platform", WORD(platform_words, platform)},
	{"domains.request", NAMES(LEASH_LIST_REQUEST, "https://api.example.com")},
	{"domains.socket", NAMES(LEASH_LIST_SOCKET, "wss://play.example.com")},
	{"domains.uploadFile", NAMES(LEASH_LIST_UPLOAD, "https://up.example.com")},
	{"domains.downloadFile", NAMES(LEASH_LIST_DOWNLOAD, "https://cdn.example.com")},
	{"domains.tcp", NAMES(LEASH_LIST_TCP, "tcp://game.example.com")},
	{"domains.udp", NAMES(LEASH_LIST_UDP, "udp://game.example.com")},
	{"domains.blocked", NAMES(LEASH_LIST_BLOCKED, "ads.example.com")},
	{"domains_file", .take = take_domains_file, .late = true,
	 .accepted = "the path of a JSON file, as a string"},
	{"networkTimeout.request", TIMEOUT(LEASH_LIST_REQUEST)},
	{"networkTimeout.connectSocket", TIMEOUT(LEASH_LIST_SOCKET)},
	{"networkTimeout.uploadFile", TIMEOUT(LEASH_LIST_UPLOAD)},
	{"networkTimeout.downloadFile", TIMEOUT(LEASH_LIST_DOWNLOAD)},
	{"limits.request", LIMIT(LEASH_LIST_REQUEST)},
	{"limits.socket", LIMIT(LEASH_LIST_SOCKET)},
	{"limits.uploadFile", LIMIT(LEASH_LIST_UPLOAD)},
	{"limits.downloadFile", LIMIT(LEASH_LIST_DOWNLOAD)},
	{"limits.tcp", .take = take_int, .max = 1000000, AT(tcp_new_max),
	 .accepted = "a whole number from 0 (no limit) to 1000000"},
	{"limits.tcp_window_s", INT(1, 86400, tcp_new_window_s)},
	{"limits.over", WORD(over_words, limits_over)},
	{"background.enabled", .take = take_bool_inverted, .accepted = "true or false",
	 AT(background_off)},
	{"background.grace_ms", INT(0, 600000, grace_ms)},
	{"background.signal", SIGNAL(background_signal)},
	{"background.foreground_signal", SIGNAL(foreground_signal)},
	{"lan.allow", BOOL(lan_allow)},
	{"lan.address", .take = take_lan_address,
	 .accepted = "the address of an interface such as \"192.168.1.23\""},
	{"lan.netmask", .take = take_lan_netmask,
	 .accepted = "a mask such as \"255.255.255.0\", or a number of bits from 8 to 32 (128 for v6)"},
	{"lan.require_tls", BOOL(lan_require_tls)},
	{"lan.multicast", BOOL(lan_multicast)},
	{"loopback.allow_ports", .take = take_ports,
	 .accepted = "\"any\" or an array of ports such as [ 9229 ]"},
	{"ports", WORD(ports_words, ports_exact)},
	{"listen", WORD(listen_words, listen)},
	{"cert.trust_dir", .take = take_trust_dir,
	 .accepted = "a directory of certificates under their hashed names, or \"\""},
	{"cert.extra_ca", .take = take_extra_ca,
	 .accepted = "the path of a PEM file, or an array of them"},
	{"cert.distrust", .take = take_distrust,
	 .accepted = "an array of strings, each the SHA-256 of a certificate"},
	{"opaque_tls", WORD(opaque_words, opaque_tls)},
	{"http2", WORD(http2_words, http2)},
	{"referer", .take = take_referer,
	 .accepted = "\"\", or a URL that may hold {appid} and {version}"},
	{"body.convert", BOOL(body_convert)},
	{"skip_domain_check", BOOL(skip_domain_check)},
	{"mode", .take = take_mode, .words = mode_words, AT(audit)},
	{"events.queries", BOOL(event_queries)},
	{"seal.level", WORD(seal_words, seal_level)},
	{"seal.direct", .take = take_checked_word, .words = direct_words},
	{"seal.unix.mode", .take = take_checked_word, .words = unix_words, .max = 1},
	{"seal.unix.dbus_session", .take = take_checked_bool, .max = 1,
	 .accepted = "true or false"},
	{"seal.unix.dbus_system", .take = take_checked_bool, .accepted = "true or false"},
	{"seal.unix.allow", .take = take_unix_allow, .accepted = "an array of patterns"},
	{"dns.servers", .take = take_servers, .max = 8,
	 .accepted = "an array of at most 8 addresses such as [ \"192.0.2.53\" ]"},
};
/* clang-format on */
const size_t leash_schema_count = sizeof(leash_schema) / sizeof(leash_schema[0]);
_Static_assert(sizeof(leash_schema) / sizeof(leash_schema[0]) <= LEASH_KEYS_MAX, "a row too many");

static size_t find_key(const char *path)
{
	size_t i = 0;

	while (i < leash_schema_count && strcmp(leash_schema[i].path, path) != 0)
		i++;
	return i;
}

static bool is_group(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < leash_schema_count; i++)
		if (strncmp(leash_schema[i].path, path, len) == 0 &&
		    leash_schema[i].path[len] == '.')
			return true;
	return false;
}

/* Where the policy file sets a key, NULL if it does not. */
static const struct leash_place *given(const struct leash_work *work, const char *path)
{
	size_t i = find_key(path);

	if (i == leash_schema_count || work->given[i].file == LEASH_NO_FILE)
		return NULL;
	return &work->given[i];
}

void leash_check_apply(struct leash_work *work, const char *path, const struct leash_value *value)
{
	size_t i = find_key(path);

	if (i < leash_schema_count)
		leash_schema[i].take(work, &leash_schema[i], value);
}

/* ------------------------------------------------------------ unknown keys */

#define WORD_MAX 40 /* no key is longer; what is longer is near none */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Edits (insert, delete, replace, swap two neighbours) from one word to the other, any case. */
static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int row[3][WORD_MAX + 1];

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int *now = row[i % 3], *above = row[(i - 1) % 3],
			     *twice = row[(i + 1) % 3];

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && twice[j - 2] + 1 < best)
				best = twice[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[a_len % 3][b_len];
}

/* The path that @path was probably meant to be: a member of the same group that is spelt alike, or
 * a key of that very name elsewhere. NULL if there is none. */
static const char *nearest_key(struct leash_work *work, const char *path)
{
	const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path, *best = NULL;
	size_t prefix_len = (size_t)(name - path), name_len = strlen(name);
	unsigned int best_edits = name_len < 4 ? 2 : (unsigned int)name_len / 3 + 2;

	for (size_t i = 0; i < leash_schema_count; i++) {
		const char *key = leash_schema[i].path;
		unsigned int edits;
		size_t len;

		if (strncmp(key, path, prefix_len) != 0)
			continue;
		len = strcspn(key + prefix_len, ".");
		edits = distance(name, name_len, key + prefix_len, len);
		if (edits < best_edits) {
			best_edits = edits;
			best = leash_work_keep(work, key, prefix_len + len);
		}
	}
	if (best_edits <= 1)
		return best;
	for (size_t i = 0; i < leash_schema_count; i++) {
		const char *key = leash_schema[i].path, *last = strrchr(key, '.');

		if (strcasecmp(last ? last + 1 : key, name) == 0)
			return key;
	}
	return best;
}

static const char *known_in(struct leash_work *work, const char *prefix)
{
	const char *list = "", *last = "";
	size_t prefix_len = strlen(prefix);

	for (size_t i = 0; i < leash_schema_count; i++) {
		const char *key = leash_schema[i].path, *name;

		if (strncmp(key, prefix, prefix_len) != 0)
			continue;
		name = leash_work_keep(work, key + prefix_len, strcspn(key + prefix_len, "."));
		if (strcmp(name, last) == 0)
			continue;
		list = leash_work_format(work, "%s%s%s", list, *list ? ", " : "", name);
		last = name;
	}
	return list;
}

static void unknown(struct leash_work *work, const struct leash_value *value, const char *prefix,
		    const char *path)
{
	const char *near = nearest_key(work, path);

	if (near)
		leash_error(work, value->place, "unknown key %s; did you mean \"%s\"?",
			    quote(work, path), near);
	else
		leash_error(work, value->place, "unknown key %s; accepted here is %s",
			    quote(work, path), known_in(work, prefix));
}

/* Depth: groups of the schema only are entered. */
static void check_group(struct leash_work *work, const struct leash_value *group,
			const char *prefix, bool late)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct leash_value *value = &group->items[i];
		const char *path = leash_work_format(work, "%s%s", prefix, value->name);
		size_t key = find_key(path);

		if (key < leash_schema_count) {
			if (leash_schema[key].late != late)
				continue;
			work->given[key] = value->place;
			leash_schema[key].take(work, &leash_schema[key], value);
		} else if (!is_group(path)) {
			if (!late)
				unknown(work, value, prefix, path);
		} else if (value->type == LEASH_VALUE_GROUP) {
			check_group(work, value, leash_work_format(work, "%s.", path), late);
		} else if (!late) {
			leash_error(work, value->place,
				    "%s is %s; accepted is a group, %s: { … }; with %s", path,
				    leash_check_describe(work, value), value->name,
				    known_in(work, leash_work_format(work, "%s.", path)));
		}
	}
}

void leash_check_policy(struct leash_work *work, const struct leash_value *root)
{
	check_group(work, root, "", false);
	check_group(work, root, "", true);
}

/* ---------------------------------------------------------------- entries */

/* One entry on its way; faults need all of it. */
struct entry {
	struct leash_work *work;
	enum leash_list list;
	struct leash_place place;
	const char *where;
	size_t index;
	const char *text;
	size_t len;
	const char *scheme; /* without "://"; "" if there is none */
	size_t scheme_len;
	const char *host;
	size_t host_len;
	uint16_t port;
};

static const char *const scheme_of[LEASH_LIST_COUNT] = {
	[LEASH_LIST_REQUEST] = "https",  [LEASH_LIST_SOCKET] = "wss", [LEASH_LIST_UPLOAD] = "https",
	[LEASH_LIST_DOWNLOAD] = "https", [LEASH_LIST_TCP] = "tcp",    [LEASH_LIST_UDP] = "udp",
	[LEASH_LIST_BLOCKED] = "", /* any: a blocked name is blocked for everything */
};

/* The list that a scheme belongs to, for messages. */
static const char *list_of_scheme(const char *scheme, size_t len)
{
	for (size_t i = 0; i < LEASH_LIST_COUNT; i++)
		if (strlen(scheme_of[i]) == len && len > 0 &&
		    strncasecmp(scheme_of[i], scheme, len) == 0)
			return leash_list_text[i];
	return NULL;
}

static const char *example(struct leash_work *work, enum leash_list list)
{
	if (*scheme_of[list] == '\0')
		return "\"ads.example.com\"";
	return leash_work_format(work, "\"%s://api.example.com\"", scheme_of[list]);
}

/* ENTRY is WHAT; accepted is a host name such as … */
static bool no_entry(const struct entry *entry, const char *what)
{
	leash_error(entry->work, entry->place, "%s[%zu]: %s %s; accepted is a host name such as %s",
		    entry->where, entry->index,
		    leash_work_quote(entry->work, entry->text, entry->len), what,
		    example(entry->work, entry->list));
	return false;
}

/* The same where what was meant is plain: @len bytes of @host, with the entry's scheme. */
static bool no_entry_but(const struct entry *entry, const char *what, const char *host, size_t len,
			 const char *why)
{
	const char *meant;
	bool plain = true;

	for (size_t i = 0; i < len; i++)
		plain = plain &&
			((unsigned char)host[i] > 127 || strchr(LETTERS DIGITS "-.", host[i]));
	if (!plain || len == 0 || len > LEASH_NAME_MAX || !memchr(host, '.', len))
		return no_entry(entry, what);
	meant = leash_work_format(entry->work, "%.*s%s%.*s", (int)entry->scheme_len, entry->scheme,
				  entry->scheme_len ? "://" : "", (int)len, host);
	leash_error(entry->work, entry->place, "%s[%zu]: %s %s; accepted is %s%s", entry->where,
		    entry->index, leash_work_quote(entry->work, entry->text, entry->len), what,
		    quote(entry->work, meant), why);
	return false;
}

static bool scheme_is(const struct entry *entry, const char *scheme)
{
	return entry->scheme_len == strlen(scheme) &&
	       strncasecmp(entry->scheme, scheme, entry->scheme_len) == 0;
}

static bool check_scheme(const struct entry *entry)
{
	const char *wanted = scheme_of[entry->list], *list;
	const char *plain = strcmp(wanted, "https") == 0 ? "http"
			    : strcmp(wanted, "wss") == 0 ? "ws"
							 : "";

	list = list_of_scheme(entry->scheme, entry->scheme_len);
	if (entry->scheme_len == 0 || scheme_is(entry, wanted))
		return true;
	if (*wanted == '\0' && (list || scheme_is(entry, "http") || scheme_is(entry, "ws")))
		return true;
	if (*plain && scheme_is(entry, plain)) {
		leash_warning(entry->work, entry->place,
			      "%s[%zu]: %s is listed with %s://, but its requests must be %s:// "
			      "all the same",
			      entry->where, entry->index,
			      leash_work_quote(entry->work, entry->text, entry->len), plain,
			      wanted);
		return true;
	}
	if (*wanted == '\0')
		return no_entry(entry, "has a scheme that no list has");
	leash_error(entry->work, entry->place,
		    "%s[%zu]: %s has a scheme that does not fit the list; accepted is %s://%s%s%s",
		    entry->where, entry->index,
		    leash_work_quote(entry->work, entry->text, entry->len), wanted,
		    list ? " (" : "",
		    list ? leash_work_format(entry->work, "%.*s:// belongs into domains.%s",
					     (int)entry->scheme_len, entry->scheme, list)
			 : "",
		    list ? ")" : "");
	return false;
}

static bool is_address(const char *host, size_t len)
{
	struct leash_addr addr;

	return leash_addr_parse(host, len, &addr);
}

/* A port, behind the last colon of the host. Cuts it off. */
static bool check_port(struct entry *entry)
{
	const char *colon = memrchr(entry->host, ':', entry->host_len);
	bool exact = entry->work->draft.settings.ports_exact;
	bool https = strcmp(scheme_of[entry->list], "https") == 0;
	size_t before;
	int port = 0;

	if (!colon)
		return true;
	before = (size_t)(colon - entry->host);
	if (!exact || !https)
		return no_entry_but(entry, "has a port", entry->host, before,
				    exact ? " (of the lists, the https ones may hold ports)"
					  : ", which admits every port (or set ports = \"exact\")");
	for (const char *at = colon + 1; at < entry->host + entry->host_len; at++) {
		if (*at < '0' || *at > '9' || port > 65535)
			return no_entry(entry, "has no port from 1 to 65535 behind its ':'");
		port = port * 10 + (*at - '0');
	}
	if (port < 1 || port > 65535)
		return no_entry(entry, "has no port from 1 to 65535 behind its ':'");
	entry->port = (uint16_t)port;
	entry->host_len = before;
	return true;
}

/* What is no host name and has a name of its own. */
static bool check_shape(struct entry *entry)
{
	const char *host = entry->host, *at, *colon;
	size_t len = entry->host_len, end = 0, bare;

	for (size_t i = 0; i < len; i++)
		if (host[i] == ' ' || (unsigned char)host[i] < 0x20 || host[i] == 0x7f)
			return no_entry(entry, "holds a blank or a control character");
	while (end < len && !strchr("/?#", host[end]))
		end++;
	at = memrchr(host, '@', end);
	host = at ? at + 1 : host;
	end -= (size_t)(host - entry->host);
	colon = memrchr(host, ':', end);
	bare = colon ? (size_t)(colon - host) : end;
	if (host[0] == '[' || is_address(host, end) || is_address(host, bare))
		return no_entry(entry, "is an IP address");
	if (at)
		return no_entry_but(entry, "has user information (before the '@')", host, bare, "");
	if (end < len)
		return no_entry_but(entry,
				    host[end] == '/'   ? "has a path"
				    : host[end] == '?' ? "has a query"
						       : "has a fragment",
				    host, bare, "");
	if (len == 0)
		return no_entry(entry, "has no host name");
	if (!check_port(entry))
		return false;
	if (memchr(host, '*', entry->host_len))
		return no_entry(entry, "holds a wildcard (sub-domains are listed one by one)");
	return true;
}

/* The labels of a name in normal form. */
static bool check_labels(const struct entry *entry, const char *name, size_t len)
{
	const char *label = name;
	bool digits = true;
	size_t count = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && name[i] != '.')
			continue;
		count++;
		if (*label == '-' || name[i - 1] == '-')
			return no_entry(entry, "has a label that begins or ends with '-'");
		digits = true;
		for (; label < name + i; label++) {
			if (*label == '_')
				return no_entry(entry, "holds a '_', which no host name has");
			if (*label < '0' || *label > '9')
				digits = false;
		}
		label++;
	}
	if (strcmp(name, "localhost") == 0 ||
	    (len > 10 && strcmp(name + len - 10, ".localhost") == 0))
		return no_entry(entry, "is this machine itself");
	if (count == 1)
		return no_entry(entry, "is a single label");
	if (digits)
		return no_entry(entry, "ends in a number, as only addresses do");
	return true;
}

static const char *name_fault(const char *host, size_t len)
{
	size_t label = 0;

	if (len - (host[len - 1] == '.') > LEASH_NAME_MAX)
		return "is longer than 253 bytes, as no host name is";
	for (size_t i = 0; i <= len; i++, label++) {
		if (i < len && host[i] != '.')
			continue;
		if (label == 0 && !(i == len && len > 1))
			return "has an empty label";
		if (label > 63)
			return "has a label longer than 63 bytes";
		label = (size_t)-1;
	}
	return "holds a character that no host name has";
}

static bool check_name(const struct entry *entry, char ret_name[static LEASH_NAME_SIZE])
{
	const char *why = "";
	int len = leash_idn_normal(entry->host, entry->host_len, ret_name, &why);

	if (len == -ENOMEM) {
		entry->work->oom = true;
		return false;
	}
	if (len == -EILSEQ)
		return no_entry(entry,
				leash_work_format(entry->work, "is not valid IDN (%s)", why));
	if (len < 0)
		return no_entry(entry, name_fault(entry->host, entry->host_len));
	/* Again: full-width digits become an address only now. */
	if (is_address(ret_name, (size_t)len))
		return no_entry(entry, "is an IP address");
	return check_labels(entry, ret_name, (size_t)len);
}

void leash_check_entry(struct leash_work *work, enum leash_list list, struct leash_place place,
		       const char *where, size_t index, const char *text)
{
	struct entry entry = {
		.work = work,
		.list = list,
		.place = place,
		.where = where,
		.index = index,
		.text = text,
		.len = strlen(text),
		.scheme = "",
		.host = text,
	};
	const char *mark = strstr(text, "://"); /* a scheme, unless it is part of a query */
	char name[LEASH_NAME_SIZE];
	struct leash_draft_entry *slot;
	struct leash_place *slot_place;

	if (mark && strspn(text, LETTERS DIGITS "+-.") == (size_t)(mark - text)) {
		entry.scheme = text;
		entry.scheme_len = (size_t)(mark - text);
		entry.host = mark + 3;
	}
	entry.host_len = entry.len - (size_t)(entry.host - text);
	if (entry.len == 0) {
		no_entry(&entry, "is empty");
		return;
	}
	if (!check_scheme(&entry) || !check_shape(&entry) || !check_name(&entry, name))
		return;

	slot_place = leash_vec_add(work, &work->entry_places, sizeof(*slot_place));
	slot = leash_vec_add(work, &work->entries, sizeof(*slot));
	if (!slot_place || !slot)
		return;
	*slot_place = place;
	*slot = (struct leash_draft_entry){
		.name = leash_work_keep(work, name, strlen(name)),
		.text = leash_work_keep(work, text, entry.len),
		.line = place.line,
		.list = (uint8_t)list,
		.port = entry.port,
	};
}

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
			leash_warning(work, places[i],
				      "domains.%s: %s stands in this list already (%s)",
				      leash_list_text[entry->list], quote(work, entry->text),
				      place_text(work, places[at - 1]));
			return false;
		}
		if (told || blocked == (other->list == LEASH_LIST_BLOCKED))
			continue;
		leash_warning(
			work, places[listed],
			"domains.%s: %s is in domains.blocked as well (%s), which beats every list",
			leash_list_text[entries[listed].list], quote(work, entries[listed].text),
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
				      quote(work, entries[at - 1].text));
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
	const struct leash_place *first = given(work, a), *second = given(work, b);

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
	const struct leash_place *address = given(work, "lan.address"),
				 *mask = given(work, "lan.netmask");
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
		const struct leash_place *place = given(work, needs_lan[i]);

		if (place && on[i] && !settings->lan_allow)
			leash_error(work, *place,
				    "%s = true contradicts lan.allow = false%s; accepted is one of "
				    "them",
				    needs_lan[i],
				    given(work, "lan.allow") ? "" : " of the profile");
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
	if (work->mode_audit && given(work, "skip_domain_check") && settings->skip_domain_check)
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
