/* SPDX-License-Identifier: MIT */
/* One entry of a list of domains. */
#include <string.h>
#include <strings.h>

#include "check.h"

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
		    leash_check_quote(entry->work, meant), why);
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
