/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "policy/policy.h"

enum { API, PLAY, BAD, PARENT, CHILD, PORTED, UDP, NO_PLACE };
#define NONE LEASH_ENTRY_NONE

static const struct leash_draft_entry entries[] = {
	[API] = {"api.example.com", "https://api.example.com", "game.cfg", 12, LEASH_LIST_REQUEST, 0},
	[PLAY] = {"play.example.com", "wss://play.example.com", "game.cfg", 14, LEASH_LIST_SOCKET, 0},
	[BAD] = {"bad.example.com", "bad.example.com", "game.cfg", 20, LEASH_LIST_BLOCKED, 0},
	[PARENT] = {"example.org", "https://example.org", "game.cfg", 13, LEASH_LIST_REQUEST, 0},
	[CHILD] = {"a.child.example", "https://a.child.example", "game.cfg", 15, LEASH_LIST_UPLOAD, 0},
	[PORTED] = {"port.example.com", "https://port.example.com:9000", "game.cfg", 16,
		    LEASH_LIST_REQUEST, 9000},
	[UDP] = {"udp.example.com", "udp://udp.example.com", "domains.json", 0, LEASH_LIST_UDP, 0},
	[NO_PLACE] = {"nowhere.example.com", "nowhere.example.com", NULL, 0, LEASH_LIST_REQUEST, 0},
};

static const struct leash_image *policy(void)
{
	const struct leash_draft draft = {.entries = entries, .entry_count = ARRAY_SIZE(entries)};

	return draft_build(&draft);
}

struct row {
	const char *label;
	enum leash_reason reason;
	enum leash_rule rule;
	uint32_t entry, near;
	struct leash_subject subject;
	const char *hint;
};
#define WHY(reason, rule) LEASH_WHY_##reason, LEASH_RULE_##rule

static const struct row rows[] = {
	{"in no list", WHY(NOT_IN_LIST, LIST), NONE, NONE, {"request", "example.net", "", 0},
	 "`example.net` is in no list: add \"https://example.net\" to domains.request"},
	{"for a WebSocket", WHY(NOT_IN_LIST, LIST), NONE, NONE, {"connectSocket", "example.net", "", 0},
	 "`example.net` is in no list: add \"wss://example.net\" to domains.socket"},
	{"for raw TCP", WHY(NOT_IN_LIST, LIST), NONE, NONE, {"tcp", "example.net", "", 0},
	 "`example.net` is in no list: add \"tcp://example.net\" to domains.tcp"},
	{"in another list", WHY(NOT_IN_LIST, LIST), NONE, PLAY, {"request", "play.example.com", "", 0},
	 "`play.example.com` is not in `request`; it is in `socket` (game.cfg:14): "
	 "add \"https://play.example.com\" to domains.request"},
	{"in another list, asked as a WebSocket", WHY(NOT_IN_LIST, LIST), NONE, API,
	 {"connectSocket", "api.example.com", "", 0},
	 "`api.example.com` is not in `socket`; it is in `request` (game.cfg:12): "
	 "add \"wss://api.example.com\" to domains.socket"},
	{"without a line", WHY(NOT_IN_LIST, LIST), NONE, UDP, {"request", "udp.example.com", "", 0},
	 "`udp.example.com` is not in `request`; it is in `udp` (domains.json): "
	 "add \"https://udp.example.com\" to domains.request"},
	{"a listed parent", WHY(NOT_IN_LIST, LIST), NONE, PARENT, {"request", "a.example.org", "", 0},
	 "`example.org` is listed (game.cfg:13); a listed parent does not admit `a.example.org`: "
	 "add \"https://a.example.org\" to domains.request"},
	{"a listed child", WHY(NOT_IN_LIST, LIST), NONE, CHILD, {"request", "child.example", "", 0},
	 "`a.child.example` is listed (game.cfg:15); a listed sub-domain does not admit its parent "
	 "`child.example`: add \"https://child.example\" to domains.request"},
	{"a spelling", WHY(NOT_IN_LIST, LIST), NONE, API, {"request", "apj.example.com", "", 0},
	 "`apj.example.com` is in no list; the nearest entry is `api.example.com` (game.cfg:12): "
	 "add \"https://apj.example.com\" to domains.request"},
	{"an entry without a place", WHY(NOT_IN_LIST, LIST), NONE, NO_PLACE,
	 {"request", "a.nowhere.example.com", "", 0},
	 "`nowhere.example.com` is listed; a listed parent does not admit `a.nowhere.example.com`: "
	 "add \"https://a.nowhere.example.com\" to domains.request"},
	{"no advice that check would refuse", WHY(NOT_IN_LIST, LIST), NONE, NONE, {"request", "printer", "", 0},
	 "`printer` is in no list: only full domain names can be listed"},
	{"nor to list an address", WHY(NOT_IN_LIST, LIST), NONE, NONE, {"request", "203.0.113.7", "", 0},
	 "`203.0.113.7` is in no list: only full domain names can be listed"},
	{"the entry has a port", WHY(NOT_IN_LIST, PORTS), NONE, PORTED, {"request", "port.example.com", "", 443},
	 "the entry \"https://port.example.com:9000\" (game.cfg:16) has a port, and ports = \"exact\" "
	 "admits no other, not 443: use that port, or list the name with this one too"},
	{"the entry has none", WHY(NOT_IN_LIST, PORTS), NONE, API, {"request", "api.example.com", "", 8080},
	 "the entry \"https://api.example.com\" (game.cfg:12) has no port, and ports = \"exact\" admits "
	 "443 alone, not 8080: use that port, or list the name with this one too"},
	{"blocked", WHY(BLOCKED, BLOCKED), BAD, NONE, {"request", "bad.example.com", "", 0},
	 "`bad.example.com` is in domains.blocked (game.cfg:20), which beats every list"},
	{"an address", WHY(IP_LITERAL, PUBLIC), NONE, NONE, {"request", "203.0.113.7", "203.0.113.7", 443},
	 "203.0.113.7 was not resolved from a listed name: addresses cannot be listed: use a listed "
	 "domain name, and resolve it in the program"},
	{"an address of the own subnet", WHY(IP_LITERAL, LAN), NONE, NONE, {"request", "", "192.0.2.1", 443},
	 "192.0.2.1 was not resolved from a listed name: addresses cannot be listed: use a listed "
	 "domain name, and resolve it in the program (it is in the own subnet, but lan.allow is false)"},
	{"rebinding", WHY(LOOPBACK, LOOPBACK), NONE, NONE, {"request", "api.example.com", "127.0.0.1", 443},
	 "`api.example.com` resolved to 127.0.0.1, which is loopback: the device has no server of yours "
	 "on itself: use a listed domain, or put the port into loopback.allow_ports"},
	{"loopback by address", WHY(LOOPBACK, LOOPBACK), NONE, NONE, {"request", "127.0.0.1", "127.0.0.1", 443},
	 "127.0.0.1 is loopback: the device has no server of yours on itself: use a listed domain, or "
	 "put the port into loopback.allow_ports"},
	{"localhost", WHY(LOOPBACK, LOOPBACK), NONE, NONE, {"request", "localhost", "", 0},
	 "`localhost` is loopback: the device has no server of yours on itself: use a listed domain, or "
	 "put the port into loopback.allow_ports"},
	{"own", WHY(OWN_ADDRESS, OWN), NONE, NONE, {"request", "", "192.0.2.10", 443},
	 "192.0.2.10 is an address of this machine: use a listed domain on another host"},
	{"unspecified", WHY(UNSPECIFIED, UNSPECIFIED), NONE, NONE, {"request", "", "::", 443},
	 ":: is the unspecified address: 0.0.0.0 and :: mean this machine: use a listed domain"},
	{"another network", WHY(OTHER_NET, OTHER_NET), NONE, NONE, {"request", "", "10.9.0.1", 443},
	 "10.9.0.1 is private and outside the own subnets: only peers in the same subnet may be talked "
	 "to by address: list a domain name for this server"},
	{"another network, by name", WHY(OTHER_NET, OTHER_NET), NONE, NONE,
	 {"request", "api.example.com", "240.0.0.1", 443},
	 "`api.example.com` resolved to 240.0.0.1, which is reserved and outside the own subnets: only "
	 "peers in the same subnet may be talked to by address: list a domain name for this server"},
	{"no LAN", WHY(OTHER_NET, LAN), NONE, NONE, {"request", "", "10.1.7.7", 443},
	 "10.1.7.7 is in the own subnet, and lan.allow is false: list a domain name for this server, or "
	 "set lan.allow = true"},
	{"multicast", WHY(OTHER_NET, MULTICAST), NONE, NONE, {"udp", "", "224.0.0.251", 5353},
	 "224.0.0.251 is multicast or broadcast: set lan.multicast = true to use it over UDP"},
	{"a group", WHY(OTHER_NET, MULTICAST), NONE, NONE, {"udp", "", "", 0},
	 "multicast is not granted: set lan.multicast = true to use it over UDP"},
	{"plaintext", WHY(PLAINTEXT, HTTPS), NONE, API, {"request", "api.example.com", "203.0.113.7", 80},
	 "`api.example.com`: speak https or wss: the first bytes of the program must be a TLS handshake"},
	{"plaintext on the LAN", WHY(PLAINTEXT, LAN_TLS), NONE, NONE, {"request", "", "192.0.2.1", 80},
	 "`192.0.2.1` is on the LAN, where lan.require_tls asks for TLS too: speak https or wss: the "
	 "first bytes of the program must be a TLS handshake"},
	{"another name", WHY(NAME_MISMATCH, SNI), NONE, NONE, {"request", "api.example.com", "203.0.113.7", 443},
	 "`api.example.com`: the name in the TLS handshake must be the listed name that this address was "
	 "resolved from"},
	{"a forbidden port", WHY(FORBIDDEN_PORT, TCP_PORT), NONE, NONE, {"tcp", "raw.example.com", "", 22},
	 "`raw.example.com` port 22: raw TCP may not use this port: choose one that is not in the "
	 "platform's list of forbidden ports"},
	{"QUIC", WHY(TRANSPORT, UDP), NONE, API, {"udp", "api.example.com", "203.0.113.7", 443},
	 "`api.example.com` is in `request` (game.cfg:12), which does not grant UDP: add "
	 "\"udp://api.example.com\" to domains.udp"},
	{"a kind of question", WHY(TRANSPORT, DNS), NONE, NONE, {"request", "api.example.com", "", 0},
	 "only A, AAAA, CNAME, HTTPS and SVCB questions for listed names may be asked"},
	{"a kind of socket", WHY(TRANSPORT, TRANSPORT), NONE, NONE, {"request", "", "", 0},
	 "only TCP and UDP are granted, without source routes; no switch opens the rest"},
	{"listen", WHY(LISTEN, LISTEN), NONE, NONE, {"request", "", "0.0.0.0", 8080},
	 "a mini game cannot accept connections: set listen = \"lan\" or \"any\" if this program must"},
	{"an allowance", WHY(NONE, LIST), API, NONE, {"request", "api.example.com", "", 0}, ""},
	{"nothing known", WHY(NOT_IN_LIST, LIST), NONE, NONE, {NULL, NULL, NULL, 0},
	 "the peer is in no list: only full domain names can be listed"},
};

static void hints(void **state)
{
	const struct leash_image *image = policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct leash_verdict v = {
			.reason = row->reason, .rule = row->rule, .entry = row->entry, .near = row->near};
		char buf[512];
		size_t len = leash_explain_hint(image, &v, &row->subject, NONE, buf, sizeof(buf));

		if (strcmp(buf, row->hint) != 0)
			fail_msg("%s:\n  %s, not\n  %s", row->label, buf, row->hint);
		assert_int_equal(len, strlen(buf));
		/* what a search found wins over what the verdict knows */
		v.near = NONE;
		leash_explain_hint(image, &v, &row->subject, row->near, buf, sizeof(buf));
		assert_string_equal(buf, row->hint);
	}
	free((void *)image);
}

static void rules(void **state)
{
	static const struct {
		enum leash_rule rule;
		uint32_t entry;
		const char *text;
	} rule_rows[] = {
		{LEASH_RULE_LIST, API, "domains.request[0] (game.cfg:12)"},
		{LEASH_RULE_LIST, PORTED, "domains.request[2] (game.cfg:16)"},
		{LEASH_RULE_LIST, PLAY, "domains.socket[0] (game.cfg:14)"},
		{LEASH_RULE_LIST, UDP, "domains.udp[0] (domains.json)"},
		{LEASH_RULE_LIST, NO_PLACE, "domains.request[3]"},
		{LEASH_RULE_BLOCKED, BAD, "domains.blocked[0] (game.cfg:20)"},
		{LEASH_RULE_LIST, NONE, "domains"},
		{LEASH_RULE_LIST, 99, "domains"},
		{LEASH_RULE_BLOCKED, NONE, "domains.blocked"},
		{LEASH_RULE_LAN, API, "lan.allow"},
		{LEASH_RULE_LAN_TLS, NONE, "lan.require_tls"},
		{LEASH_RULE_PORTS, NONE, "ports"},
		{LEASH_RULE_NONE, NONE, ""},
	};
	const struct leash_image *image = policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rule_rows); i++) {
		const struct leash_verdict v = {.rule = rule_rows[i].rule, .entry = rule_rows[i].entry};
		char buf[128];

		assert_int_equal(leash_explain_rule(image, &v, buf, sizeof(buf)),
				 strlen(rule_rows[i].text));
		assert_string_equal(buf, rule_rows[i].text);
	}
	free((void *)image);
}

static void words(void **state)
{
	const struct leash_subject subject = {"uploadFile", "up.example.com", "203.0.113.7", 443};
	const struct leash_subject unknown = {NULL, NULL, NULL, 0};
	static const struct {
		enum leash_reason reason;
		const char *words, *of_unknown;
	} word_rows[] = {
		{LEASH_WHY_NOT_IN_LIST, "uploadFile:fail url not in domain list:up.example.com",
		 "request:fail url not in domain list:"},
		{LEASH_WHY_PLAINTEXT, "uploadFile:fail url scheme must be https/wss",
		 "request:fail url scheme must be https/wss"},
		{LEASH_WHY_TIMEOUT, "uploadFile:fail timeout", "request:fail timeout"},
		{LEASH_WHY_INTERRUPTED, "uploadFile:fail interrupted", "request:fail interrupted"},
		{LEASH_WHY_FORBIDDEN_PORT, "connect fail: invalid address", "connect fail: invalid address"},
		{LEASH_WHY_NONE, "", ""},
		{LEASH_WHY_COUNT, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(word_rows); i++) {
		char buf[128];

		assert_int_equal(leash_explain_words(word_rows[i].reason, &subject, buf, sizeof(buf)),
				 strlen(word_rows[i].words));
		assert_string_equal(buf, word_rows[i].words);
		leash_explain_words(word_rows[i].reason, &unknown, buf, sizeof(buf));
		assert_string_equal(buf, word_rows[i].of_unknown);
	}
}

/* Every reason and rule, with and without a policy: a line, and never more than one. */
static void one_line(void **state)
{
	const struct leash_image *image = policy();

	(void)state;
	for (unsigned int reason = 0; reason <= LEASH_WHY_COUNT; reason++)
		for (unsigned int rule = 0; rule <= LEASH_RULE_COUNT; rule++)
			for (uint32_t near = 0; near <= ARRAY_SIZE(entries); near++) {
				const struct leash_verdict v = {
					.reason = (enum leash_reason)reason,
					.rule = (enum leash_rule)rule,
					.entry = near,
					.near = NONE,
				};
				const struct leash_subject subject = {
					"request", "a\nb\x1b[31m\x07\x7f\t%h%s\r", "\n", 7};
				char buf[512];

				leash_explain_hint(near & 1 ? image : NULL, &v, &subject, near, buf,
						   sizeof(buf));
				for (const char *at = buf; *at; at++)
					assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
				if (reason > 0 && reason < LEASH_WHY_COUNT)
					assert_true(strlen(buf) > 0);
				leash_explain_rule(near & 1 ? image : NULL, &v, buf, sizeof(buf));
				for (const char *at = buf; *at; at++)
					assert_true((unsigned char)*at >= 0x20);
			}
	free((void *)image);
}

static void foreign_text(void **state)
{
	static const struct {
		const char *label, *host, *shown;
	} text_rows[] = {
		{"UTF-8 stays", "b\xc3\xbc" "cher", "b\xc3\xbc" "cher"},
		{"three bytes stay", "\xe4\xb8\xad", "\xe4\xb8\xad"},
		{"four bytes stay", "\xf0\x9f\x8e\xae", "\xf0\x9f\x8e\xae"},
		{"controls", "a\x1b[2Jb\r\n", "a?[2Jb??"},
		{"delete", "a\x7f", "a?"},
		{"C1 in UTF-8", "a\xc2\x9b" "2J", "a?2J"},
		{"C1 as a byte", "a\x9b" "2J", "a?2J"},
		{"over-long slash", "\xc0\xaf", "??"},
		{"over-long in three", "\xe0\x80\xaf", "???"},
		{"a surrogate", "\xed\xa0\x80", "???"},
		{"beyond Unicode", "\xf4\x90\x80\x80", "????"},
		{"cut in two", "a\xc3", "a?"},
		{"cut in three", "a\xe4\xb8", "a??"},
		{"a line separator", "a\xe2\x80\xa8" "b", "a?b"},
		{"right to left", "a\xe2\x80\xae" "b", "a?b"},
		{"an isolate", "a\xe2\x81\xa6" "b", "a?b"},
		{"no format is read", "%a%h%s%n", "%a%h%s%n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(text_rows); i++) {
		const struct leash_subject subject = {"request", text_rows[i].host, "", 0};
		char buf[128], expect[128];

		leash_explain_words(LEASH_WHY_NOT_IN_LIST, &subject, buf, sizeof(buf));
		snprintf(expect, sizeof(expect), "request:fail url not in domain list:%s",
			 text_rows[i].shown);
		if (strcmp(buf, expect) != 0)
			fail_msg("%s: %s, not %s", text_rows[i].label, buf, expect);
	}
}

/* At every size: the beginning of the sentence, its NUL, and not a byte more. */
static void cut(void **state)
{
	const struct leash_image *image = policy();
	const struct leash_verdict v = {
		.reason = LEASH_WHY_NOT_IN_LIST, .rule = LEASH_RULE_LIST, .entry = NONE, .near = PARENT};
	const struct leash_subject subject = {"request", "b\xc3\xbc.example.org", "", 0};
	char whole[512];
	size_t full = leash_explain_hint(image, &v, &subject, NONE, whole, sizeof(whole));

	(void)state;
	assert_true(full > 60);
	for (size_t size = 0; size <= full + 1; size++) {
		char *buf = malloc(size ? size : 1);
		size_t len = leash_explain_hint(image, &v, &subject, NONE, buf, size);

		if (size > 0) {
			assert_true(len < size);
			assert_int_equal(strlen(buf), len);
			assert_memory_equal(buf, whole, len);
			/* cut by whole characters: at most three bytes short */
			assert_true(len + 4 >= size || len == full);
			assert_true(len == 0 || (unsigned char)buf[len - 1] != 0xc3);
		} else {
			assert_int_equal(len, 0);
		}
		free(buf);
	}
	free((void *)image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hints),
		cmocka_unit_test(rules),
		cmocka_unit_test(words),
		cmocka_unit_test(one_line),
		cmocka_unit_test(foreign_text),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
