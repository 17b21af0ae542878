/* SPDX-License-Identifier: MIT */
/*
 * What a value may be. The schema is a table, one row a key; unknown keys are faults.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "check.h"

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
#define BOOL(field) .take = leash_take_bool, .accepted = "true or false", AT(field)
#define WORD(words_, field) .take = leash_take_word, .words = (words_), AT(field)
#define INT(low, high, field) .take = leash_take_int, .min = (low), .max = (high), AT(field)
#define TIMEOUT(list_)                                                                            \
	.take = leash_take_timeout, .min = 1, .max = LEASH_TIMEOUT_MAX_MS, AT(timeout_ms[list_]),       \
	.accepted = "a whole number of milliseconds from 1 to 60000"
#define LIMIT(list_)                                                                              \
	.take = leash_take_int, .min = 0, .max = LEASH_LIMIT_MAX, AT(limit[list_]),                      \
	.accepted = "a whole number from 0 (no limit) to 1024"
#define NAMES(list_, text)                                                                        \
	.take = leash_take_list, .list = (list_), .late = true,                                         \
	.accepted = "an array of host names such as [ \"" text "\" ]"
#define SIGNAL(field)                                                                             \
	.take = leash_take_signal, AT(field),                                                           \
	.accepted = "a real-time signal such as \"SIGRTMIN+8\" (or its number), \"SIGUSR1\" or \"SIGUSR2\""

const struct leash_key leash_schema[] = {
	{"profile", .take = leash_take_profile, .words = leash_profile_words, AT(profile)},
	{"appid", .take = leash_take_appid,
	 .accepted = "a string of letters, digits, '-', '_' and '.', such as \"wx0123456789abcdef\""},
	{"version", .take = leash_take_version, .accepted = "a number, \"0\" or \"devtools\""},
	{"platform", WORD(platform_words, platform)},
	{"domains.request", NAMES(LEASH_LIST_REQUEST, "https://api.example.com")},
	{"domains.socket", NAMES(LEASH_LIST_SOCKET, "wss://play.example.com")},
	{"domains.uploadFile", NAMES(LEASH_LIST_UPLOAD, "https://up.example.com")},
	{"domains.downloadFile", NAMES(LEASH_LIST_DOWNLOAD, "https://cdn.example.com")},
	{"domains.tcp", NAMES(LEASH_LIST_TCP, "tcp://game.example.com")},
	{"domains.udp", NAMES(LEASH_LIST_UDP, "udp://game.example.com")},
	{"domains.blocked", NAMES(LEASH_LIST_BLOCKED, "ads.example.com")},
	{"domains_file", .take = leash_take_domains_file, .late = true,
	 .accepted = "the path of a JSON file, as a string"},
	{"networkTimeout.request", TIMEOUT(LEASH_LIST_REQUEST)},
	{"networkTimeout.connectSocket", TIMEOUT(LEASH_LIST_SOCKET)},
	{"networkTimeout.uploadFile", TIMEOUT(LEASH_LIST_UPLOAD)},
	{"networkTimeout.downloadFile", TIMEOUT(LEASH_LIST_DOWNLOAD)},
	{"limits.request", LIMIT(LEASH_LIST_REQUEST)},
	{"limits.socket", LIMIT(LEASH_LIST_SOCKET)},
	{"limits.uploadFile", LIMIT(LEASH_LIST_UPLOAD)},
	{"limits.downloadFile", LIMIT(LEASH_LIST_DOWNLOAD)},
	{"limits.tcp", .take = leash_take_int, .max = LEASH_LIMIT_MAX, AT(tcp_new_max),
	 .accepted = "a whole number from 0 (no limit) to 1024"},
	{"limits.tcp_window_s", INT(1, 86400, tcp_new_window_s)},
	{"limits.over", WORD(over_words, limits_over)},
	{"background.enabled", .take = leash_take_bool_inverted, .accepted = "true or false",
	 AT(background_off)},
	{"background.grace_ms", INT(0, 600000, grace_ms)},
	{"background.signal", SIGNAL(background_signal)},
	{"background.foreground_signal", SIGNAL(foreground_signal)},
	{"lan.allow", BOOL(lan_allow)},
	{"lan.address", .take = leash_take_lan_address,
	 .accepted = "the address of an interface such as \"192.168.1.23\""},
	{"lan.netmask", .take = leash_take_lan_netmask,
	 .accepted = "a mask such as \"255.255.255.0\", or a number of bits from 8 to 32 (128 for v6)"},
	{"lan.require_tls", BOOL(lan_require_tls)},
	{"lan.multicast", BOOL(lan_multicast)},
	{"loopback.allow_ports", .take = leash_take_ports,
	 .accepted = "\"any\" or an array of ports such as [ 9229 ]"},
	{"ports", WORD(ports_words, ports_exact)},
	{"listen", WORD(listen_words, listen)},
	{"cert.trust_dir", .take = leash_take_trust_dir,
	 .accepted = "a directory of certificates under their hashed names, or \"\""},
	{"cert.extra_ca", .take = leash_take_extra_ca,
	 .accepted = "the path of a PEM file, or an array of them"},
	{"cert.distrust", .take = leash_take_distrust,
	 .accepted = "an array of strings, each the SHA-256 of a certificate"},
	{"opaque_tls", WORD(opaque_words, opaque_tls)},
	{"http2", WORD(http2_words, http2)},
	{"referer", .take = leash_take_referer,
	 .accepted = "\"\", or a URL that may hold {appid} and {version}"},
	{"body.convert", BOOL(body_convert)},
	{"skip_domain_check", BOOL(skip_domain_check)},
	{"mode", .take = leash_take_mode, .words = mode_words, AT(audit)},
	{"events.queries", BOOL(event_queries)},
	{"seal.level", WORD(seal_words, seal_level)},
	{"seal.direct", .take = leash_take_checked_word, .words = direct_words},
	{"seal.unix.mode", .take = leash_take_checked_word, .words = unix_words, .max = 1},
	{"seal.unix.dbus_session", .take = leash_take_checked_bool, .max = 1,
	 .accepted = "true or false"},
	{"seal.unix.dbus_system", .take = leash_take_checked_bool, .accepted = "true or false"},
	{"seal.unix.allow", .take = leash_take_unix_allow, .accepted = "an array of patterns"},
	{"dns.servers", .take = leash_take_servers, .max = 8,
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
const struct leash_place *leash_check_given(const struct leash_work *work, const char *path)
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
			    leash_check_quote(work, path), near);
	else
		leash_error(work, value->place, "unknown key %s; accepted here is %s",
			    leash_check_quote(work, path), known_in(work, prefix));
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
