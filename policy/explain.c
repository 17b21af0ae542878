/* SPDX-License-Identifier: MIT */
/*
 * A verdict as a sentence, in the caller's buffer. What a program or a policy wrote
 * (host names, paths) is printed on terminals and into logs: no control character
 * gets through, nor anything else that moves the text around.
 */
#include "image.h"

struct out {
	char *buf;
	size_t size, len;
	bool full;		/* cut: whatever fits after it would be out of place */
};

static const char *const words_text[LEASH_WHY_COUNT] = {
	[LEASH_WHY_NONE] = "",
#define REASON(name, code, error, number, words, hint) [LEASH_WHY_##name] = words,
#include "reason.def"
#undef REASON
};

static const char *const hint_text[LEASH_WHY_COUNT] = {
	[LEASH_WHY_NONE] = "",
#define REASON(name, code, error, number, words, hint) [LEASH_WHY_##name] = hint,
#include "reason.def"
#undef REASON
};

/* ---------------------------------------------------------------- writing */

static void put_bytes(struct out *out, const char *bytes, size_t len)
{
	if (out->full || out->size == 0 || len > out->size - 1 - out->len) {
		out->full = true;
		return;
	}
	memcpy(out->buf + out->len, bytes, len);
	out->len += len;
}

/* Bytes of the well-formed sequence at @s (RFC 3629 section 4), 0 for none. A NUL is no
 * continuation byte, so nothing behind the end of a string is read. */
static size_t sequence(const unsigned char *s)
{
	const unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	const unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* C0 and C1 controls, line separators, and what turns the direction of text. */
static bool is_control(const unsigned char *s, size_t len)
{
	if (len == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (len == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	if (len == 3 && s[0] == 0xe2 && s[1] == 0x80)
		return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae);
	return len == 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

static void put(struct out *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s != '\0') {
		size_t len = sequence(s);

		if (len == 0 || is_control(s, len))
			put_bytes(out, "?", 1);
		else
			put_bytes(out, (const char *)s, len);
		s += len ? len : 1;
	}
}

static void put_number(struct out *out, uint32_t value)
{
	char digits[10];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put_bytes(out, digits + at, sizeof(digits) - at);
}

static void put_quoted(struct out *out, const char *text)
{
	put(out, "`");
	put(out, text);
	put(out, "`");
}

static size_t finish(struct out *out)
{
	if (out->size > 0)
		out->buf[out->len] = '\0';
	return out->len;
}

/* --------------------------------------------------------- entries, lists */

/* " (game.cfg:12)" */
static void put_place(struct out *out, const struct leash_image *image,
		      const struct leash_entry *entry)
{
	const char *file = leash_image_string(image, entry->file);

	if (*file == '\0')
		return;
	put(out, " (");
	put(out, file);
	if (entry->line > 0) {
		put(out, ":");
		put_number(out, entry->line);
	}
	put(out, ")");
}

static uint32_t index_in_list(const struct leash_image *image, uint32_t entry)
{
	uint8_t list = leash_image_entry(image, entry)->list;
	uint32_t index = 0;

	for (uint32_t i = 0; i < entry; i++)
		index += leash_image_entry(image, i)->list == list;
	return index;
}

static bool has_entry(const struct leash_image *image, uint32_t entry)
{
	return image && entry < leash_image_entry_count(image);
}

static enum leash_list list_of_api(const char *api)
{
	for (unsigned int list = 0; list < LEASH_LIST_BLOCKED; list++)
		if (strcmp(leash_list_api[list], api) == 0)
			return (enum leash_list)list;
	return LEASH_LIST_REQUEST;
}

static const char *scheme_of(enum leash_list list)
{
	switch (list) {
	case LEASH_LIST_SOCKET:
		return "wss://";
	case LEASH_LIST_TCP:
		return "tcp://";
	case LEASH_LIST_UDP:
		return "udp://";
	case LEASH_LIST_REQUEST:
	case LEASH_LIST_UPLOAD:
	case LEASH_LIST_DOWNLOAD:
	case LEASH_LIST_BLOCKED:
	case LEASH_LIST_COUNT:
		break;
	}
	return "https://";
}

/* Could it stand in a list? An address could not, nor could a single label. */
static bool is_listable(const char *host)
{
	char normal[LEASH_NAME_SIZE];
	struct leash_addr addr;
	size_t len = strlen(host);

	return !leash_addr_parse(host, len, &addr) &&
	       leash_name_normal(host, len, normal) > 0 && strchr(normal, '.') &&
	       !strchr(normal, '_') && !leash_match_localhost(normal, strlen(normal));
}

static void put_advice(struct out *out, const char *host, enum leash_list list)
{
	if (!is_listable(host)) {
		put(out, ": only full domain names can be listed");
		return;
	}
	put(out, ": add \"");
	put(out, scheme_of(list));
	put(out, host);
	put(out, "\" to domains.");
	put(out, leash_list_text[list]);
}

/* ------------------------------------------------------------------ hints */

/* What a hint is made from; strings are never NULL here. */
struct about {
	const struct leash_image *image;
	const struct leash_verdict *verdict;
	const struct leash_entry *near;		/* or NULL */
	const char *api, *host, *addr;
	uint16_t port;
};

static void put_reason(struct out *out, const struct about *about)
{
	put(out, hint_text[about->verdict->reason]);
}

/* The name where there is one, else the address. */
static void put_subject(struct out *out, const struct about *about)
{
	const char *text = *about->host ? about->host : about->addr;

	if (*text)
		put_quoted(out, text);
	else
		put(out, "the peer");
}

static bool is_below(const char *child, const char *parent)
{
	size_t child_len = strlen(child), parent_len = strlen(parent);

	return child_len > parent_len + 1 && child[child_len - parent_len - 1] == '.' &&
	       strcmp(child + child_len - parent_len, parent) == 0;
}

static void hint_ports(struct out *out, const struct about *about)
{
	put(out, "the entry \"");
	put(out, leash_image_string(about->image, about->near->text));
	put(out, "\"");
	put_place(out, about->image, about->near);
	if (about->near->port) {
		put(out, " has a port, and ports = \"exact\" admits no other");
	} else {
		put(out, " has no port, and ports = \"exact\" admits 443 alone");
	}
	put(out, ", not ");
	put_number(out, about->port);
	put(out, ": use that port, or list the name with this one too");
}

static void hint_list(struct out *out, const struct about *about)
{
	enum leash_list list = list_of_api(about->api);
	const char *name, *host = about->host;

	if (about->near && about->verdict->rule == LEASH_RULE_PORTS) {
		hint_ports(out, about);
		return;
	}
	if (!about->near) {
		put_subject(out, about);
		put(out, " is in no list");
		put_advice(out, host, list);
		return;
	}
	name = leash_image_string(about->image, about->near->name);
	if (strcmp(name, host) == 0) {
		if (about->near->list == list) {	/* the list is not what is wrong */
			put_quoted(out, host);
			put(out, ": ");
			put_reason(out, about);
			return;
		}
		put_quoted(out, host);
		put(out, " is not in ");
		put_quoted(out, leash_list_text[list]);
		put(out, "; it is in ");
		put_quoted(out, leash_list_text[about->near->list]);
		put_place(out, about->image, about->near);
	} else if (is_below(host, name)) {
		put_quoted(out, name);
		put(out, " is listed");
		put_place(out, about->image, about->near);
		put(out, "; a listed parent does not admit ");
		put_quoted(out, host);
	} else if (*host && is_below(name, host)) {
		put_quoted(out, name);
		put(out, " is listed");
		put_place(out, about->image, about->near);
		put(out, "; a listed sub-domain does not admit its parent ");
		put_quoted(out, host);
	} else {
		put_subject(out, about);
		put(out, " is in no list; the nearest entry is ");
		put_quoted(out, name);
		put_place(out, about->image, about->near);
	}
	put_advice(out, host, list);
}

static void hint_blocked(struct out *out, const struct about *about)
{
	const struct leash_entry *entry;

	if (!has_entry(about->image, about->verdict->entry)) {
		put_subject(out, about);
		put(out, ": ");
		put_reason(out, about);
		return;
	}
	entry = leash_image_entry(about->image, about->verdict->entry);
	put_quoted(out, leash_image_string(about->image, entry->name));
	put(out, " is in domains.blocked");
	put_place(out, about->image, entry);
	put(out, ", which beats every list");
}

/* "`h` resolved to 127.0.0.1, which is loopback", "127.0.0.1 is loopback" */
static void put_where(struct out *out, const struct about *about, const char *what)
{
	if (*about->addr && *about->host && strcmp(about->addr, about->host) != 0) {
		put_quoted(out, about->host);
		put(out, " resolved to ");
		put(out, about->addr);
		put(out, ", which is ");
	} else if (*about->addr) {
		put(out, about->addr);
		put(out, " is ");
	} else {
		put_subject(out, about);
		put(out, " is ");
	}
	put(out, what);
}

static void hint_where(struct out *out, const struct about *about, const char *what)
{
	put_where(out, about, what);
	put(out, ": ");
	put_reason(out, about);
}

static void hint_other_net(struct out *out, const struct about *about)
{
	struct leash_addr addr;

	if (about->verdict->rule == LEASH_RULE_MULTICAST) {
		if (!*about->addr && !*about->host)
			put(out, "multicast is not granted");
		else
			put_where(out, about, "multicast or broadcast");
		put(out, ": set lan.multicast = true to use it over UDP");
		return;
	}
	if (about->verdict->rule == LEASH_RULE_LAN) {
		put_where(out, about, "in the own subnet, and lan.allow is false");
		put(out, ": list a domain name for this server, or set lan.allow = true");
		return;
	}
	if (leash_addr_parse(about->addr, strlen(about->addr), &addr)) {
		put_where(out, about, leash_addr_class_text[leash_addr_range(&addr)]);
		put(out, " and outside the own subnets: ");
	} else {
		put_subject(out, about);
		put(out, ": ");
	}
	put_reason(out, about);
}

static void hint_ip_literal(struct out *out, const struct about *about)
{
	put(out, *about->addr ? about->addr : about->host);
	put(out, " was not resolved from a listed name: ");
	put_reason(out, about);
	if (about->verdict->rule == LEASH_RULE_LAN)
		put(out, " (it is in the own subnet, but lan.allow is false)");
}

static void hint_transport(struct out *out, const struct about *about)
{
	switch (about->verdict->rule) {
	case LEASH_RULE_DNS:
		put(out, "only A, AAAA, CNAME, HTTPS and SVCB questions for listed names");
		put(out, " may be asked");
		return;
	case LEASH_RULE_UDP:
		if (about->near) {
			const char *name = leash_image_string(about->image, about->near->name);

			put_quoted(out, name);
			put(out, " is in ");
			put_quoted(out, leash_list_text[about->near->list]);
			put_place(out, about->image, about->near);
			put(out, ", which does not grant UDP");
			put_advice(out, name, LEASH_LIST_UDP);
			return;
		}
		break;
	case LEASH_RULE_NONE:
	case LEASH_RULE_LIST:
	case LEASH_RULE_BLOCKED:
	case LEASH_RULE_UNSPECIFIED:
	case LEASH_RULE_LOOPBACK:
	case LEASH_RULE_OWN:
	case LEASH_RULE_LAN:
	case LEASH_RULE_LAN_TLS:
	case LEASH_RULE_MULTICAST:
	case LEASH_RULE_OTHER_NET:
	case LEASH_RULE_PUBLIC:
	case LEASH_RULE_HTTPS:
	case LEASH_RULE_HOST:
	case LEASH_RULE_FRAMING:
	case LEASH_RULE_HTTP2:
	case LEASH_RULE_SNI:
	case LEASH_RULE_CERTIFICATE:
	case LEASH_RULE_PORTS:
	case LEASH_RULE_TCP_PORT:
	case LEASH_RULE_LISTEN:
	case LEASH_RULE_BACKGROUND:
	case LEASH_RULE_TIMEOUT:
	case LEASH_RULE_LIMITS:
	case LEASH_RULE_POLICY:
	case LEASH_RULE_COUNT:
		break;
	case LEASH_RULE_TRANSPORT:
		put(out, "only TCP and UDP are granted, without source routes; no switch opens the rest");
		return;
	}
	put_reason(out, about);
}

static void hint_port(struct out *out, const struct about *about)
{
	put_subject(out, about);
	if (about->port) {
		put(out, " port ");
		put_number(out, about->port);
	}
	put(out, ": ");
	put_reason(out, about);
}

static void hint_plaintext(struct out *out, const struct about *about)
{
	put_subject(out, about);
	if (about->verdict->rule == LEASH_RULE_LAN_TLS)
		put(out, " is on the LAN, where lan.require_tls asks for TLS too: ");
	else
		put(out, ": ");
	put_reason(out, about);
}

static void put_hint(struct out *out, const struct about *about)
{
	switch (about->verdict->reason) {
	case LEASH_WHY_NOT_IN_LIST:
		hint_list(out, about);
		return;
	case LEASH_WHY_BLOCKED:
		hint_blocked(out, about);
		return;
	case LEASH_WHY_IP_LITERAL:
		hint_ip_literal(out, about);
		return;
	case LEASH_WHY_LOOPBACK:
		hint_where(out, about, "loopback");
		return;
	case LEASH_WHY_OWN_ADDRESS:
		put_where(out, about, "an address of this machine");
		put(out, ": use a listed domain on another host");
		return;
	case LEASH_WHY_UNSPECIFIED:
		hint_where(out, about, "the unspecified address");
		return;
	case LEASH_WHY_OTHER_NET:
		hint_other_net(out, about);
		return;
	case LEASH_WHY_PLAINTEXT:
		hint_plaintext(out, about);
		return;
	case LEASH_WHY_FORBIDDEN_PORT:
		hint_port(out, about);
		return;
	case LEASH_WHY_TRANSPORT:
		hint_transport(out, about);
		return;
	case LEASH_WHY_TLS_VERSION:
	case LEASH_WHY_CERTIFICATE:
	case LEASH_WHY_NAME_MISMATCH:
	case LEASH_WHY_TIMEOUT:
	case LEASH_WHY_INTERRUPTED:
	case LEASH_WHY_AMBIGUOUS:
	case LEASH_WHY_TOO_MANY:
		put_subject(out, about);
		put(out, ": ");
		put_reason(out, about);
		return;
	case LEASH_WHY_NONE:
	case LEASH_WHY_LISTEN:
	case LEASH_WHY_NO_POLICY:
	case LEASH_WHY_UNJUDGED:
	case LEASH_WHY_RESOURCE:
		put_reason(out, about);
		return;
	case LEASH_WHY_COUNT:
		break;
	}
}

size_t leash_explain_hint(const struct leash_image *image, const struct leash_verdict *verdict,
			  const struct leash_subject *subject, uint32_t near, char *buf,
			  size_t size)
{
	struct out out = {.buf = buf, .size = size};
	const struct about about = {
		.image = image,
		.verdict = verdict,
		.near = has_entry(image, near)		? leash_image_entry(image, near) :
			has_entry(image, verdict->near) ? leash_image_entry(image, verdict->near) :
							  NULL,
		.api = subject->api ? subject->api : "",
		.host = subject->host ? subject->host : "",
		.addr = subject->addr ? subject->addr : "",
		.port = subject->port,
	};

	put_hint(&out, &about);
	return finish(&out);
}

size_t leash_explain_rule(const struct leash_image *image, const struct leash_verdict *verdict,
			  char *buf, size_t size)
{
	struct out out = {.buf = buf, .size = size};
	const struct leash_entry *entry;

	if ((verdict->rule != LEASH_RULE_LIST && verdict->rule != LEASH_RULE_BLOCKED) ||
	    !has_entry(image, verdict->entry)) {
		put(&out, leash_rule_text(verdict->rule));
		return finish(&out);
	}
	entry = leash_image_entry(image, verdict->entry);
	put(&out, "domains.");
	put(&out, leash_list_text[entry->list]);
	put(&out, "[");
	put_number(&out, index_in_list(image, verdict->entry));
	put(&out, "]");
	put_place(&out, image, entry);
	return finish(&out);
}

size_t leash_explain_words(enum leash_reason reason, const struct leash_subject *subject,
			   char *buf, size_t size)
{
	struct out out = {.buf = buf, .size = size};
	const char *at = (unsigned int)reason < LEASH_WHY_COUNT ? words_text[reason] : "";

	for (; *at != '\0'; at++) {
		if (at[0] == '%' && at[1] == 'a') {
			put(&out, subject->api && *subject->api ? subject->api : "request");
			at++;
		} else if (at[0] == '%' && at[1] == 'h') {
			put(&out, subject->host ? subject->host : "");
			at++;
		} else {
			put_bytes(&out, at, 1);
		}
	}
	return finish(&out);
}
