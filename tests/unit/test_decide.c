/* SPDX-License-Identifier: MIT */
/*
 * Every rule of policy.md sections 2 to 4 and 10 as a row. The last test looks that
 * every reason and every rule that a decision can give was seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "policy/policy.h"

/* --------------------------------------------------------------- policies */

/* Switches of a row's policy; without any it is the default: lan.allow, the rest off. */
enum {
	SKIP = 1 << 0,
	AUDIT = 1 << 1,
	EXACT = 1 << 2,
	NO_LAN = 1 << 3,
	LAN_TLS = 1 << 4,
	MULTI = 1 << 5,
	LOOP_ANY = 1 << 6,
	LOOP_PORTS = 1 << 7,	/* 7000 and 8080 */
	LISTEN_ANY = 1 << 8,
	LISTEN_LAN = 1 << 9,
	PRETEND = 1 << 10,	/* lan.address 172.20.5.1/16 */
	NO_NET = 1 << 11,	/* the caller does not know its interfaces */
};

/* Entries, by the name that rows use for them. */
enum {
	API, PORTED, PLAY, UP, CDN, RAW, UDP, BAD, BAD_API, BOTH, BOTH_TCP, PARENT, TWO_443, TWO_9000,
	ONLY_BAD, LOCAL, RAW_UDP, RAW_UDP_TCP
};
#define NONE LEASH_ENTRY_NONE

static const struct leash_draft_entry entries[] = {
	[API] = {"api.example.com", "https://api.example.com", "game.cfg", 10, LEASH_LIST_REQUEST, 0},
	[PORTED] = {"port.example.com", "https://port.example.com:9000", "game.cfg", 11,
		    LEASH_LIST_REQUEST, 9000},
	[PLAY] = {"play.example.com", "wss://play.example.com", "game.cfg", 12, LEASH_LIST_SOCKET, 0},
	[UP] = {"up.example.com", "https://up.example.com", "game.cfg", 13, LEASH_LIST_UPLOAD, 0},
	[CDN] = {"cdn.example.com", "https://cdn.example.com", "game.cfg", 14, LEASH_LIST_DOWNLOAD, 0},
	[RAW] = {"raw.example.com", "tcp://raw.example.com", "game.cfg", 15, LEASH_LIST_TCP, 0},
	[UDP] = {"udp.example.com", "udp://udp.example.com", "game.cfg", 16, LEASH_LIST_UDP, 0},
	[BAD] = {"bad.example.com", "bad.example.com", "game.cfg", 17, LEASH_LIST_BLOCKED, 0},
	[BAD_API] = {"bad.example.com", "https://bad.example.com", "game.cfg", 18, LEASH_LIST_REQUEST, 0},
	[BOTH] = {"both.example.com", "https://both.example.com", "game.cfg", 19, LEASH_LIST_REQUEST, 0},
	[BOTH_TCP] = {"both.example.com", "tcp://both.example.com", "game.cfg", 20, LEASH_LIST_TCP, 0},
	[PARENT] = {"example.org", "https://example.org", "game.cfg", 21, LEASH_LIST_REQUEST, 0},
	[TWO_443] = {"two.example.com", "https://two.example.com", "game.cfg", 22, LEASH_LIST_UPLOAD, 0},
	[TWO_9000] = {"two.example.com", "https://two.example.com:9000", "game.cfg", 23,
		      LEASH_LIST_REQUEST, 9000},
	[ONLY_BAD] = {"worse.example.com", "worse.example.com", "game.cfg", 24, LEASH_LIST_BLOCKED, 0},
	[LOCAL] = {"intra.example.com", "https://intra.example.com", "game.cfg", 25,
		   LEASH_LIST_REQUEST, 0},
	[RAW_UDP] = {"game.example.com", "udp://game.example.com", "game.cfg", 26, LEASH_LIST_UDP, 0},
	[RAW_UDP_TCP] = {"game.example.com", "tcp://game.example.com", "game.cfg", 27, LEASH_LIST_TCP, 0},
};

static const struct leash_image *policy(unsigned int switches)
{
	static const uint16_t ports[] = {7000, 8080};
	struct leash_draft draft = {
		.entries = entries,
		.entry_count = ARRAY_SIZE(entries),
		.settings = {
			.skip_domain_check = (switches & SKIP) != 0,
			.audit = (switches & AUDIT) != 0,
			.ports_exact = (switches & EXACT) != 0,
			.lan_allow = (switches & NO_LAN) == 0,
			.lan_require_tls = (switches & LAN_TLS) != 0,
			.lan_multicast = (switches & MULTI) != 0,
			.loopback_any = (switches & LOOP_ANY) != 0,
			.listen = switches & LISTEN_ANY ? LEASH_LISTEN_ANY :
				  switches & LISTEN_LAN ? LEASH_LISTEN_LAN : LEASH_LISTEN_DENY,
		},
	};

	if (switches & LOOP_PORTS) {
		draft.loopback_ports = ports;
		draft.loopback_port_count = ARRAY_SIZE(ports);
	}
	if (switches & PRETEND) {
		draft.settings.lan_override = 1;
		draft.settings.lan_addr = draft_addr("172.20.5.1");
		draft.settings.lan_prefix_len = 16;
	}
	return draft_build(&draft);
}

/* ------------------------------------------------------------ expectations */

struct expect {
	enum leash_action action;
	enum leash_reason reason;
	enum leash_rule rule;
	uint32_t entry;
	uint8_t pass;
	bool would;
};
#define ALLOWED(rule, entry) {LEASH_ALLOW, LEASH_WHY_NONE, LEASH_RULE_##rule, entry, 0, false}
#define DENIED(reason, rule) {LEASH_DENY, LEASH_WHY_##reason, LEASH_RULE_##rule, NONE, 0, false}
#define DENIED_BY(reason, rule, entry) \
	{LEASH_DENY, LEASH_WHY_##reason, LEASH_RULE_##rule, entry, 0, false}
#define WOULD(reason, rule) {LEASH_ALLOW, LEASH_WHY_##reason, LEASH_RULE_##rule, NONE, 0, true}
#define WOULD_BY(reason, rule, entry) \
	{LEASH_ALLOW, LEASH_WHY_##reason, LEASH_RULE_##rule, entry, 0, true}
#define SNIFFED(rule, entry, pass) \
	{LEASH_SNIFF, LEASH_WHY_NONE, LEASH_RULE_##rule, entry, pass, false}
#define MUTED {LEASH_MUTE, LEASH_WHY_NONE, LEASH_RULE_UDP, NONE, 0, false}
#define TLS LEASH_PASS_TLS
#define HTTP LEASH_PASS_HTTP
#define ANYTHING LEASH_PASS_RAW

static bool reason_seen[LEASH_WHY_COUNT], rule_seen[LEASH_RULE_COUNT];

static void compare(const char *label, const struct leash_verdict *v, const struct expect *expect)
{
	assert_in_range(v->reason, 0, LEASH_WHY_COUNT - 1);
	assert_in_range(v->rule, 0, LEASH_RULE_COUNT - 1);
	if (v->action != expect->action || v->reason != expect->reason || v->rule != expect->rule ||
	    v->entry != expect->entry || v->pass != expect->pass || v->would != expect->would)
		fail_msg("%s: action %d reason \"%s\" rule \"%s\" entry %d pass %d would %d, not "
			 "%d \"%s\" \"%s\" %d %d %d",
			 label, v->action, leash_reason_code(v->reason), leash_rule_text(v->rule),
			 (int)v->entry, v->pass, v->would, expect->action,
			 leash_reason_code(expect->reason), leash_rule_text(expect->rule),
			 (int)expect->entry, expect->pass, expect->would);
	reason_seen[v->reason] = true;
	rule_seen[v->rule] = true;
}

/* ------------------------------------------------------------------ names */

struct name_row {
	const char *label;
	unsigned int switches;
	const char *name;
	struct expect expect;
	uint32_t near;
};

static const struct name_row resolve_rows[] = {
	{"request", 0, "api.example.com", ALLOWED(LIST, API), NONE},
	{"socket", 0, "play.example.com", ALLOWED(LIST, PLAY), NONE},
	{"uploadFile", 0, "up.example.com", ALLOWED(LIST, UP), NONE},
	{"downloadFile", 0, "cdn.example.com", ALLOWED(LIST, CDN), NONE},
	{"tcp", 0, "raw.example.com", ALLOWED(LIST, RAW), NONE},
	{"udp", 0, "udp.example.com", ALLOWED(LIST, UDP), NONE},
	{"two lists", 0, "both.example.com", ALLOWED(LIST, BOTH), NONE},
	{"a port does not matter yet", EXACT, "port.example.com", ALLOWED(LIST, PORTED), NONE},
	{"no list", 0, "other.example.net", DENIED(NOT_IN_LIST, LIST), NONE},
	{"a parent is not admitted", 0, "example.com", DENIED(NOT_IN_LIST, LIST), NONE},
	{"a child is not admitted", 0, "a.example.org", DENIED(NOT_IN_LIST, LIST), PARENT},
	{"nor a grandchild", 0, "a.b.example.org", DENIED(NOT_IN_LIST, LIST), PARENT},
	{"nor what merely ends like it", 0, "notexample.org", DENIED(NOT_IN_LIST, LIST), NONE},
	{"nor what begins like it", 0, "api.example.com.evil.net", DENIED(NOT_IN_LIST, LIST), NONE},
	{"a blocked parent is no near entry", 0, "a.worse.example.com", DENIED(NOT_IN_LIST, LIST), NONE},
	{"a single label", 0, "printer", DENIED(NOT_IN_LIST, LIST), NONE},
	{"mDNS", 0, "printer.local", DENIED(NOT_IN_LIST, LIST), NONE},
	{"blocked", 0, "worse.example.com", DENIED_BY(BLOCKED, BLOCKED, ONLY_BAD), NONE},
	{"blocked beats a list", 0, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD), NONE},
	{"localhost", 0, "localhost", DENIED(LOOPBACK, LOOPBACK), NONE},
	{"below localhost", 0, "a.localhost", DENIED(LOOPBACK, LOOPBACK), NONE},
	{"not localhost", 0, "mylocalhost", DENIED(NOT_IN_LIST, LIST), NONE},
	{"not localhost either", 0, "localhost.example", DENIED(NOT_IN_LIST, LIST), NONE},
	{"localhost with all of loopback", LOOP_ANY, "localhost", ALLOWED(LOOPBACK, NONE), NONE},
	{"localhost with some ports", LOOP_PORTS, "a.localhost", ALLOWED(LOOPBACK, NONE), NONE},
	{"skip: no list", SKIP, "other.example.net", WOULD(NOT_IN_LIST, LIST), NONE},
	{"skip: a listed name would not be refused", SKIP, "api.example.com", ALLOWED(LIST, API), NONE},
	{"skip: blocked stays", SKIP, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD), NONE},
	{"skip: localhost stays", SKIP, "localhost", DENIED(LOOPBACK, LOOPBACK), NONE},
	{"audit: no list", AUDIT, "a.example.org", WOULD(NOT_IN_LIST, LIST), PARENT},
	{"audit: blocked", AUDIT, "bad.example.com", WOULD_BY(BLOCKED, BLOCKED, BAD), NONE},
	{"audit: localhost", AUDIT, "localhost", WOULD(LOOPBACK, LOOPBACK), NONE},
};

static void resolve(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(resolve_rows); i++) {
		const struct name_row *row = &resolve_rows[i];
		const struct leash_image *image = policy(row->switches);
		struct leash_verdict v = leash_policy_resolve(image, row->name, strlen(row->name));

		compare(row->label, &v, &row->expect);
		if (v.near != row->near)
			fail_msg("%s: near %d, not %d", row->label, (int)v.near, (int)row->near);
		free((void *)image);
	}
}

static void lists_of_a_name(void **state)
{
	const struct leash_image *image = policy(0);

	(void)state;
	assert_int_equal(leash_policy_resolve(image, "both.example.com", 16).lists,
			 LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_TCP));
	assert_int_equal(leash_policy_resolve(image, "bad.example.com", 15).lists,
			 LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_BLOCKED));
	assert_int_equal(leash_policy_resolve(image, "example.net", 11).lists, 0);
	free((void *)image);
}

struct dns_row {
	const char *label;
	unsigned int switches;
	const char *name;
	uint16_t type;
	struct expect expect;
};

static const struct dns_row dns_rows[] = {
	{"A", 0, "api.example.com", 1, ALLOWED(LIST, API)},
	{"AAAA", 0, "api.example.com", 28, ALLOWED(LIST, API)},
	{"CNAME", 0, "api.example.com", 5, ALLOWED(LIST, API)},
	{"SVCB", 0, "api.example.com", 64, ALLOWED(LIST, API)},
	{"HTTPS", 0, "api.example.com", 65, ALLOWED(LIST, API)},
	{"TXT", 0, "api.example.com", 16, DENIED(TRANSPORT, DNS)},
	{"ANY", 0, "api.example.com", 255, DENIED(TRANSPORT, DNS)},
	{"type 0", 0, "api.example.com", 0, DENIED(TRANSPORT, DNS)},
	{"A in the upper byte", 0, "api.example.com", 0x0100, DENIED(TRANSPORT, DNS)},
	{"A of no list", 0, "example.net", 1, DENIED(NOT_IN_LIST, LIST)},
	{"A of a blocked name", 0, "bad.example.com", 1, DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"A of localhost", 0, "localhost", 1, DENIED(LOOPBACK, LOOPBACK)},
	{"skip: A of no list", SKIP, "example.net", 1, WOULD(NOT_IN_LIST, LIST)},
	{"skip: TXT stays", SKIP, "api.example.com", 16, DENIED(TRANSPORT, DNS)},
	{"audit: TXT", AUDIT, "api.example.com", 16, WOULD(TRANSPORT, DNS)},
};

static void dns(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dns_rows); i++) {
		const struct dns_row *row = &dns_rows[i];
		const struct leash_image *image = policy(row->switches);
		struct leash_verdict v =
			leash_policy_dns(image, row->name, strlen(row->name), row->type);

		compare(row->label, &v, &row->expect);
		free((void *)image);
	}
}

/* ------------------------------------------------------------------ peers */

/* 'T': TCP, 'U': a datagram leaves, 'u': UDP connect(), 'X': something else */
struct peer_row {
	const char *label;
	unsigned int switches;
	char transport;
	const char *addr;
	uint16_t port;
	const char *names;	/* separated by one space; NULL: none */
	struct expect expect;
};

#define PUB "203.0.113.7"
#define PUB6 "2001:db8:5::7"
#define NEIGHBOUR "192.0.2.1"
#define INTRANET "10.9.0.1"

static const struct peer_row peer_rows[] = {
	/* policy 3, step 1 */
	{"unspecified", 0, 'T', "0.0.0.0", 443, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified as a number", 0, 'T', "0", 443, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified v6", 0, 'T', "::", 443, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified, mapped", 0, 'T', "::ffff:0.0.0.0", 443, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified over UDP", 0, 'U', "0.0.0.0", 53, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified, from a listed name", 0, 'T', "0.0.0.0", 443, "api.example.com",
	 DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified on a port of loopback", LOOP_PORTS, 'T', "0.0.0.0", 8080, NULL,
	 DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"unspecified with all of loopback", LOOP_ANY, 'T', "0.0.0.0", 8080, NULL, ALLOWED(LOOPBACK, NONE)},
	{"loopback", 0, 'T', "127.0.0.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, short", 0, 'T', "127.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, decimal", 0, 'T', "2130706433", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, hex", 0, 'T', "0x7f000001", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, octal", 0, 'T', "0177.0.0.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback v6", 0, 'T', "[::1]", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, mapped", 0, 'T', "::ffff:127.0.0.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, NAT64", 0, 'T', "64:ff9b::127.0.0.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback over UDP", 0, 'U', "127.0.0.1", 53, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"loopback, UDP connect", 0, 'u', "127.0.0.1", 53, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"rebinding to loopback", 0, 'T', "127.0.0.1", 443, "api.example.com", DENIED(LOOPBACK, LOOPBACK)},
	{"a port of loopback", LOOP_PORTS, 'T', "127.0.0.1", 8080, NULL, ALLOWED(LOOPBACK, NONE)},
	{"a port of loopback v6", LOOP_PORTS, 'T', "::1", 7000, NULL, ALLOWED(LOOPBACK, NONE)},
	{"a port of loopback over UDP", LOOP_PORTS, 'U', "127.3.2.1", 7000, NULL, ALLOWED(LOOPBACK, NONE)},
	{"another port of loopback", LOOP_PORTS, 'T', "127.0.0.1", 8081, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"all of loopback", LOOP_ANY, 'T', "127.0.0.1", 22, NULL, ALLOWED(LOOPBACK, NONE)},
	{"skip: unspecified stays", SKIP, 'T', "0.0.0.0", 443, NULL, DENIED(UNSPECIFIED, UNSPECIFIED)},
	{"skip: loopback stays", SKIP, 'T', "127.0.0.1", 443, NULL, DENIED(LOOPBACK, LOOPBACK)},
	{"audit: loopback", AUDIT, 'T', "127.0.0.1", 443, NULL, WOULD(LOOPBACK, LOOPBACK)},
	{"audit: unspecified", AUDIT, 'U', "::", 443, NULL, WOULD(UNSPECIFIED, UNSPECIFIED)},
	/* step 2 */
	{"own", 0, 'T', "192.0.2.10", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own, mapped", 0, 'T', "::ffff:192.0.2.10", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own v6", 0, 'T', "2001:db8:1::10", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own link-local", 0, 'T', "fe80::10%2", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own over UDP", 0, 'U', "192.0.2.10", 53, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own, from a listed name", 0, 'T', "192.0.2.10", 443, "api.example.com", DENIED(OWN_ADDRESS, OWN)},
	{"own on a port of loopback", LOOP_PORTS, 'T', "192.0.2.10", 8080, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"own with all of loopback", LOOP_ANY, 'T', "192.0.2.10", 8080, NULL, ALLOWED(LOOPBACK, NONE)},
	{"own while pretending", PRETEND, 'T', "192.0.2.10", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"skip: own stays", SKIP, 'T', "192.0.2.10", 443, NULL, DENIED(OWN_ADDRESS, OWN)},
	{"audit: own", AUDIT, 'T', "192.0.2.10", 443, NULL, WOULD(OWN_ADDRESS, OWN)},
	/* step 3 */
	{"neighbour", 0, 'T', NEIGHBOUR, 9001, NULL, ALLOWED(LAN, NONE)},
	{"neighbour, mapped", 0, 'T', "::ffff:192.0.2.1", 9001, NULL, ALLOWED(LAN, NONE)},
	{"neighbour v6", 0, 'T', "2001:db8:1::1", 9001, NULL, ALLOWED(LAN, NONE)},
	{"neighbour, link-local", 0, 'T', "fe80::1%2", 9001, NULL, ALLOWED(LAN, NONE)},
	{"neighbour, private", 0, 'T', "10.1.7.7", 9001, NULL, ALLOWED(LAN, NONE)},
	{"neighbour, http", 0, 'T', NEIGHBOUR, 80, NULL, SNIFFED(LAN, NONE, TLS | HTTP)},
	{"neighbour, ssh", 0, 'T', NEIGHBOUR, 22, NULL, SNIFFED(LAN, NONE, TLS | HTTP)},
	{"neighbour, 8080", 0, 'T', NEIGHBOUR, 8080, NULL, SNIFFED(LAN, NONE, TLS | HTTP)},
	{"neighbour, https", 0, 'T', NEIGHBOUR, 443, NULL, SNIFFED(LAN, NONE, TLS | HTTP)},
	{"neighbour with a listed name", 0, 'T', NEIGHBOUR, 9001, "api.example.com", ALLOWED(LAN, NONE)},
	{"neighbour with a blocked name", 0, 'T', NEIGHBOUR, 9001, "worse.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, ONLY_BAD)},
	{"neighbour with a blocked and another name", 0, 'T', NEIGHBOUR, 9001,
	 "worse.example.com api.example.com", ALLOWED(LAN, NONE)},
	{"neighbour, UDP", 0, 'U', NEIGHBOUR, 53, NULL, ALLOWED(LAN, NONE)},
	{"neighbour, UDP connect", 0, 'u', NEIGHBOUR, 53, NULL, ALLOWED(LAN, NONE)},
	{"require_tls", LAN_TLS, 'T', NEIGHBOUR, 9001, NULL, SNIFFED(LAN_TLS, NONE, TLS)},
	{"require_tls, forbidden port", LAN_TLS, 'T', NEIGHBOUR, 80, NULL, SNIFFED(LAN_TLS, NONE, TLS)},
	{"require_tls, listed for tcp", LAN_TLS, 'T', NEIGHBOUR, 9001, "raw.example.com", ALLOWED(LIST, RAW)},
	{"require_tls, listed for tcp, forbidden port", LAN_TLS, 'T', NEIGHBOUR, 80, "raw.example.com",
	 SNIFFED(LAN_TLS, NONE, TLS)},
	{"require_tls, UDP", LAN_TLS, 'U', NEIGHBOUR, 9001, NULL, ALLOWED(LAN, NONE)},
	{"ports do not matter to a neighbour", EXACT, 'T', NEIGHBOUR, 9001, "api.example.com", ALLOWED(LAN, NONE)},
	{"no LAN: public neighbour", NO_LAN, 'T', NEIGHBOUR, 9001, NULL, DENIED(IP_LITERAL, LAN)},
	{"no LAN: private neighbour", NO_LAN, 'T', "10.1.7.7", 9001, NULL, DENIED(OTHER_NET, LAN)},
	{"no LAN: link-local neighbour", NO_LAN, 'T', "fe80::1%2", 9001, NULL, DENIED(OTHER_NET, LAN)},
	{"no LAN: link-local neighbour with a name", NO_LAN, 'T', "fe80::1%2", 443, "api.example.com",
	 DENIED(OTHER_NET, LAN)},
	{"no LAN: listed neighbour", NO_LAN, 'T', NEIGHBOUR, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"no LAN: listed private neighbour", NO_LAN, 'T', "10.1.7.7", 443, "intra.example.com",
	 SNIFFED(LIST, LOCAL, TLS)},
	{"no LAN: unlisted name", NO_LAN, 'T', NEIGHBOUR, 443, "example.net", DENIED(NOT_IN_LIST, LIST)},
	{"no LAN: UDP", NO_LAN, 'U', NEIGHBOUR, 53, NULL, DENIED(IP_LITERAL, LAN)},
	{"no LAN: UDP by name", NO_LAN, 'U', NEIGHBOUR, 53, "udp.example.com", ALLOWED(LIST, UDP)},
	{"pretending: neighbour", PRETEND, 'T', "172.20.9.9", 9001, NULL, ALLOWED(LAN, NONE)},
	{"pretending: the real neighbour", PRETEND, 'T', NEIGHBOUR, 9001, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"pretending: the real private neighbour", PRETEND, 'T', "10.1.7.7", 9001, NULL,
	 DENIED(OTHER_NET, OTHER_NET)},
	{"pretending: broadcast", PRETEND | MULTI, 'U', "172.20.255.255", 9001, NULL, ALLOWED(MULTICAST, NONE)},
	/* step 4 */
	{"private elsewhere", 0, 'T', INTRANET, 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"carrier-grade NAT", 0, 'T', "100.64.1.1", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"ULA elsewhere", 0, 'T', "fd99::1", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"listed intranet server", 0, 'T', INTRANET, 443, "intra.example.com", SNIFFED(LIST, LOCAL, TLS)},
	{"listed intranet server v6", 0, 'T', "fd99::1", 443, "intra.example.com", SNIFFED(LIST, LOCAL, TLS)},
	{"unlisted intranet server", 0, 'T', INTRANET, 443, "example.net", DENIED(OTHER_NET, OTHER_NET)},
	{"blocked intranet server", 0, 'T', INTRANET, 443, "worse.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, ONLY_BAD)},
	{"intranet over UDP", 0, 'U', INTRANET, 53, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"intranet over UDP by name", 0, 'U', INTRANET, 53, "udp.example.com", ALLOWED(LIST, UDP)},
	{"link-local elsewhere", 0, 'T', "fe80::1%3", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"link-local without a link", 0, 'T', "fe80::1", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"link-local with a listed name", 0, 'T', "fe80::1", 443, "api.example.com", DENIED(OTHER_NET, OTHER_NET)},
	{"reserved", 0, 'T', "240.0.0.1", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"reserved with a listed name", 0, 'T', "240.0.0.1", 443, "api.example.com", DENIED(OTHER_NET, OTHER_NET)},
	{"0/8", 0, 'T', "0.0.0.1", 443, NULL, DENIED(OTHER_NET, OTHER_NET)},
	{"multicast", 0, 'U', "224.0.0.251", 5353, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"multicast, UDP connect", 0, 'u', "224.0.0.251", 5353, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"multicast v6", 0, 'U', "ff02::fb%2", 5353, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"multicast with a name", 0, 'U', "224.0.0.251", 5353, "udp.example.com", DENIED(OTHER_NET, MULTICAST)},
	{"broadcast", 0, 'U', "255.255.255.255", 9001, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"directed broadcast", 0, 'U', "192.0.2.255", 9001, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"lan.multicast", MULTI, 'U', "224.0.0.251", 5353, NULL, ALLOWED(MULTICAST, NONE)},
	{"lan.multicast v6", MULTI, 'U', "ff02::fb", 5353, NULL, ALLOWED(MULTICAST, NONE)},
	{"lan.multicast, broadcast", MULTI, 'U', "255.255.255.255", 9001, NULL, ALLOWED(MULTICAST, NONE)},
	{"lan.multicast, directed", MULTI, 'U', "192.0.2.255", 9001, NULL, ALLOWED(MULTICAST, NONE)},
	{"lan.multicast is UDP", MULTI, 'T', "224.0.0.251", 5353, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"skip: private elsewhere", SKIP, 'T', INTRANET, 443, NULL, WOULD(OTHER_NET, OTHER_NET)},
	{"skip: multicast stays", SKIP, 'U', "224.0.0.251", 5353, NULL, DENIED(OTHER_NET, MULTICAST)},
	{"audit: private elsewhere", AUDIT, 'T', INTRANET, 443, NULL, WOULD(OTHER_NET, OTHER_NET)},
	{"audit: multicast", AUDIT, 'U', "224.0.0.251", 5353, NULL, WOULD(OTHER_NET, MULTICAST)},
	/* step 5, TCP */
	{"public by address", 0, 'T', PUB, 443, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"public v6 by address", 0, 'T', PUB6, 443, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"public by address, mapped", 0, 'T', "::ffff:203.0.113.7", 443, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"public by address, as a number", 0, 'T', "3405803783", 443, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"request", 0, 'T', PUB, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"request v6", 0, 'T', PUB6, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"socket", 0, 'T', PUB, 443, "play.example.com", SNIFFED(LIST, PLAY, TLS)},
	{"uploadFile", 0, 'T', PUB, 443, "up.example.com", SNIFFED(LIST, UP, TLS)},
	{"downloadFile", 0, 'T', PUB, 443, "cdn.example.com", SNIFFED(LIST, CDN, TLS)},
	{"any port", 0, 'T', PUB, 8080, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"any port, though the entry has one", 0, 'T', PUB, 8080, "port.example.com", SNIFFED(LIST, PORTED, TLS)},
	{"forbidden ports are not for https", 0, 'T', PUB, 22, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"tcp", 0, 'T', PUB, 9001, "raw.example.com", ALLOWED(LIST, RAW)},
	{"tcp, forbidden port", 0, 'T', PUB, 22, "raw.example.com", DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"tcp, 443 is forbidden too", 0, 'T', PUB, 443, "raw.example.com", DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"tcp beside udp", 0, 'T', PUB, 9001, "game.example.com", ALLOWED(LIST, RAW_UDP_TCP)},
	{"request and tcp", 0, 'T', PUB, 9001, "both.example.com", SNIFFED(LIST, BOTH, TLS | ANYTHING)},
	{"request and tcp, forbidden port", 0, 'T', PUB, 443, "both.example.com", SNIFFED(LIST, BOTH, TLS)},
	{"two names, request and tcp", 0, 'T', PUB, 9001, "api.example.com raw.example.com",
	 SNIFFED(LIST, API, TLS | ANYTHING)},
	{"the same the other way round", 0, 'T', PUB, 9001, "raw.example.com api.example.com",
	 SNIFFED(LIST, API, TLS | ANYTHING)},
	{"udp only", 0, 'T', PUB, 9001, "udp.example.com", DENIED(NOT_IN_LIST, LIST)},
	{"unlisted name", 0, 'T', PUB, 443, "example.net", DENIED(NOT_IN_LIST, LIST)},
	{"unlisted and listed name", 0, 'T', PUB, 443, "example.net api.example.com", SNIFFED(LIST, API, TLS)},
	{"blocked name", 0, 'T', PUB, 443, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"blocked and listed name", 0, 'T', PUB, 443, "bad.example.com api.example.com", SNIFFED(LIST, API, TLS)},
	{"exact: the default port", EXACT, 'T', PUB, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"exact: another port", EXACT, 'T', PUB, 8080, "api.example.com", DENIED(NOT_IN_LIST, PORTS)},
	{"exact: port 80", EXACT, 'T', PUB, 80, "up.example.com", DENIED(NOT_IN_LIST, PORTS)},
	{"exact: the entry's port", EXACT, 'T', PUB, 9000, "port.example.com", SNIFFED(LIST, PORTED, TLS)},
	{"exact: not the default port then", EXACT, 'T', PUB, 443, "port.example.com", DENIED(NOT_IN_LIST, PORTS)},
	{"exact: two entries, one port", EXACT, 'T', PUB, 443, "two.example.com", SNIFFED(LIST, TWO_443, TLS)},
	{"exact: two entries, the other", EXACT, 'T', PUB, 9000, "two.example.com", SNIFFED(LIST, TWO_9000, TLS)},
	{"exact: two entries, neither", EXACT, 'T', PUB, 9002, "two.example.com", DENIED(NOT_IN_LIST, PORTS)},
	{"exact: two names, the second admits", EXACT, 'T', PUB, 9000, "api.example.com port.example.com",
	 SNIFFED(LIST, PORTED, TLS)},
	{"exact: wss on any port", EXACT, 'T', PUB, 8080, "play.example.com", SNIFFED(LIST, PLAY, TLS)},
	{"exact: tcp on any port", EXACT, 'T', PUB, 9001, "raw.example.com", ALLOWED(LIST, RAW)},
	{"exact: tcp where request may not", EXACT, 'T', PUB, 9001, "both.example.com", ALLOWED(LIST, BOTH_TCP)},
	{"skip: public by address", SKIP, 'T', PUB, 443, NULL, WOULD(IP_LITERAL, PUBLIC)},
	{"skip: unlisted name", SKIP, 'T', PUB, 443, "example.net", WOULD(NOT_IN_LIST, LIST)},
	{"skip: listed name is still looked at", SKIP, 'T', PUB, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	{"skip: blocked name stays", SKIP, 'T', PUB, 443, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"skip: forbidden port stays", SKIP, 'T', PUB, 22, "raw.example.com", DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"skip: exact", SKIP | EXACT, 'T', PUB, 8080, "api.example.com", WOULD(NOT_IN_LIST, PORTS)},
	{"audit: public by address", AUDIT, 'T', PUB, 443, NULL, WOULD(IP_LITERAL, PUBLIC)},
	{"audit: forbidden port", AUDIT, 'T', PUB, 22, "raw.example.com", WOULD(FORBIDDEN_PORT, TCP_PORT)},
	{"audit: blocked name", AUDIT, 'T', PUB, 443, "bad.example.com", WOULD_BY(BLOCKED, BLOCKED, BAD)},
	{"audit: listed name", AUDIT, 'T', PUB, 443, "api.example.com", SNIFFED(LIST, API, TLS)},
	/* policy 4, UDP */
	{"UDP by address", 0, 'U', PUB, 53, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"UDP connect by address", 0, 'u', PUB, 53, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"UDP, listed for udp", 0, 'U', PUB, 53, "udp.example.com", ALLOWED(LIST, UDP)},
	{"UDP connect, listed for udp", 0, 'u', PUB, 53, "udp.example.com", ALLOWED(LIST, UDP)},
	{"UDP, listed for both", 0, 'U', PUB, 53, "game.example.com", ALLOWED(LIST, RAW_UDP)},
	{"UDP, the second name is", 0, 'U', PUB, 53, "api.example.com udp.example.com", ALLOWED(LIST, UDP)},
	{"QUIC", 0, 'U', PUB, 443, "api.example.com", DENIED(TRANSPORT, UDP)},
	{"QUIC, connect sends nothing", 0, 'u', PUB, 443, "api.example.com", MUTED},
	{"UDP, listed for tcp", 0, 'U', PUB, 9001, "raw.example.com", DENIED(TRANSPORT, UDP)},
	{"UDP, blocked name", 0, 'U', PUB, 53, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"UDP connect, blocked name", 0, 'u', PUB, 53, "bad.example.com", DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"UDP, unlisted name", 0, 'U', PUB, 53, "example.net", DENIED(NOT_IN_LIST, LIST)},
	{"skip: UDP by address stays", SKIP, 'U', PUB, 53, NULL, DENIED(IP_LITERAL, PUBLIC)},
	{"skip: UDP, unlisted name stays", SKIP, 'U', PUB, 53, "example.net", DENIED(NOT_IN_LIST, LIST)},
	{"skip: UDP connect, unlisted name", SKIP, 'u', PUB, 53, "example.net", MUTED},
	{"skip: QUIC stays", SKIP, 'U', PUB, 443, "api.example.com", DENIED(TRANSPORT, UDP)},
	{"audit: QUIC", AUDIT, 'U', PUB, 443, "api.example.com", WOULD(TRANSPORT, UDP)},
	{"audit: QUIC, connect", AUDIT, 'u', PUB, 443, "api.example.com", WOULD(TRANSPORT, UDP)},
	/* what is neither */
	{"another transport", 0, 'X', PUB, 443, "api.example.com", DENIED(TRANSPORT, TRANSPORT)},
	{"another transport to a neighbour", 0, 'X', NEIGHBOUR, 443, NULL, DENIED(TRANSPORT, TRANSPORT)},
	{"skip: another transport stays", SKIP, 'X', PUB, 443, NULL, DENIED(TRANSPORT, TRANSPORT)},
	{"audit: another transport", AUDIT, 'X', PUB, 443, NULL, WOULD(TRANSPORT, TRANSPORT)},
	{"interfaces unknown", NO_NET, 'T', PUB, 443, "api.example.com", DENIED(RESOURCE, POLICY)},
	{"skip: interfaces unknown", NO_NET | SKIP, 'T', PUB, 443, "api.example.com", DENIED(RESOURCE, POLICY)},
};

#define NAMES_MAX 4
static struct leash_peer make_peer(const struct leash_net *net, unsigned int switches,
				   char transport, const char *addr, uint16_t port,
				   const char *names, struct leash_nameref refs[static NAMES_MAX])
{
	struct leash_peer peer = {
		.transport = transport == 'T' ? LEASH_TCP :
			     transport == 'X' ? LEASH_OTHER_TRANSPORT : LEASH_UDP,
		.addr = draft_addr(addr),
		.port = port,
		.sending = transport == 'U',
		.net = switches & NO_NET ? NULL : net,
	};

	while (names && *names) {
		const char *end = strchr(names, ' ');

		refs[peer.name_count].name = names;
		refs[peer.name_count++].len = end ? (size_t)(end - names) : strlen(names);
		names = end ? end + 1 : NULL;
		peer.names = refs;
	}
	return peer;
}

static void peers(void **state)
{
	const struct leash_net net = draft_net();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(peer_rows); i++) {
		const struct peer_row *row = &peer_rows[i];
		const struct leash_image *image = policy(row->switches);
		struct leash_nameref refs[NAMES_MAX];
		struct leash_peer peer = make_peer(&net, row->switches, row->transport, row->addr,
						   row->port, row->names, refs);
		struct leash_verdict v = leash_policy_peer(image, &peer);

		compare(row->label, &v, &row->expect);
		free((void *)image);
	}
}

/* What nobody filled in is a refusal, and so is what nobody knows. */
static void nonsense(void **state)
{
	const struct leash_image *image = policy(0);
	const struct leash_net net = draft_net();
	struct leash_peer peer = {.net = &net};

	(void)state;
	assert_int_equal(leash_policy_peer(image, &peer).action, LEASH_DENY);
	peer.addr = draft_addr(NEIGHBOUR);
	peer.port = 9001;
	assert_int_equal(leash_policy_peer(image, &peer).action, LEASH_ALLOW);
	peer.transport = (enum leash_transport)77;
	assert_int_equal(leash_policy_peer(image, &peer).action, LEASH_DENY);
	peer.transport = LEASH_TCP;
	peer.addr.family = 5;
	assert_int_equal(leash_policy_peer(image, &peer).action, LEASH_DENY);
	assert_int_equal(leash_policy_socket(image, (enum leash_sock)77).action, LEASH_DENY);
	/* a count without names */
	peer.addr = draft_addr(PUB);
	peer.name_count = 3;
	assert_int_equal(leash_policy_peer(image, &peer).reason, LEASH_WHY_IP_LITERAL);
	free((void *)image);
}

/* The list of the platform's page, written a second time. */
static void forbidden_ports(void **state)
{
	static const uint16_t singles[] = {
		1099, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 3128, 3306, 3389, 3659, 4045,
		5060, 5061, 5432, 5984, 6379, 6000, 6566, 7001, 7002, 8443, 8888, 9200, 9300,
		10051, 10080, 11211, 27017, 27018, 27019,
	};
	const struct leash_image *image = policy(0);
	const struct leash_net net = draft_net();
	struct leash_nameref refs[NAMES_MAX];

	(void)state;
	for (unsigned int port = 0; port < 65536; port++) {
		struct leash_peer peer = make_peer(&net, 0, 'T', PUB, (uint16_t)port,
						   "raw.example.com", refs);
		bool forbidden = port < 1024 || (port >= 8000 && port <= 8100);

		for (size_t i = 0; i < ARRAY_SIZE(singles); i++)
			forbidden |= singles[i] == port;
		if (leash_policy_peer(image, &peer).action != (forbidden ? LEASH_DENY : LEASH_ALLOW))
			fail_msg("port %u is %s", port, forbidden ? "forbidden" : "not forbidden");
	}
	free((void *)image);
}

/* ------------------------------------------------------------ first bytes */

struct tls_row {
	const char *label;
	unsigned int switches;
	const char *addr;
	uint16_t port;
	const char *names, *sni;
	struct expect expect;
};

static const struct tls_row tls_rows[] = {
	{"the name", 0, PUB, 443, "api.example.com", "api.example.com", ALLOWED(LIST, API)},
	{"in upper case, with a dot", 0, PUB, 443, "api.example.com", "API.example.COM.", ALLOWED(LIST, API)},
	{"one of two names", 0, PUB, 443, "api.example.com play.example.com", "play.example.com",
	 ALLOWED(LIST, PLAY)},
	{"no name", 0, PUB, 443, "api.example.com", NULL, DENIED(NAME_MISMATCH, SNI)},
	{"an empty name", 0, PUB, 443, "api.example.com", "", DENIED(NAME_MISMATCH, SNI)},
	{"no host name", 0, PUB, 443, "api.example.com", "api example com", DENIED(NAME_MISMATCH, SNI)},
	{"not ASCII", 0, PUB, 443, "api.example.com", "\xc3\xbc.example.com", DENIED(NAME_MISMATCH, SNI)},
	{"a listed name of another address", 0, PUB, 443, "api.example.com", "play.example.com",
	 DENIED(NAME_MISMATCH, SNI)},
	{"an unlisted name of another address", 0, PUB, 443, "api.example.com", "example.net",
	 DENIED(NAME_MISMATCH, SNI)},
	{"an unlisted name of this one", 0, PUB, 443, "api.example.com example.net", "example.net",
	 DENIED(NOT_IN_LIST, LIST)},
	{"the beginning of its name", 0, PUB, 443, "api.example.com", "api.example.co", DENIED(NAME_MISMATCH, SNI)},
	{"a blocked name of this one", 0, PUB, 443, "api.example.com bad.example.com", "bad.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"a blocked name of another", 0, PUB, 443, "api.example.com", "worse.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, ONLY_BAD)},
	{"tcp only", 0, PUB, 9001, "raw.example.com", "raw.example.com", ALLOWED(LIST, RAW)},
	{"tcp only, forbidden port", 0, PUB, 443, "raw.example.com api.example.com", "raw.example.com",
	 DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"udp only", 0, PUB, 443, "udp.example.com api.example.com", "udp.example.com",
	 DENIED(NOT_IN_LIST, LIST)},
	{"request and tcp", 0, PUB, 9001, "both.example.com", "both.example.com", ALLOWED(LIST, BOTH)},
	{"exact: the entry's port", EXACT, PUB, 9000, "port.example.com", "port.example.com", ALLOWED(LIST, PORTED)},
	{"exact: another name has that port", EXACT, PUB, 9000, "port.example.com api.example.com",
	 "api.example.com", DENIED(NOT_IN_LIST, PORTS)},
	{"intranet", 0, INTRANET, 443, "intra.example.com", "intra.example.com", ALLOWED(LIST, LOCAL)},
	{"neighbour without a name", 0, NEIGHBOUR, 443, NULL, NULL, ALLOWED(LAN, NONE)},
	{"neighbour with any name", 0, NEIGHBOUR, 443, NULL, "printer.local", ALLOWED(LAN, NONE)},
	{"neighbour with a listed name", 0, NEIGHBOUR, 443, NULL, "api.example.com", ALLOWED(LAN, API)},
	{"neighbour by address", 0, NEIGHBOUR, 443, NULL, "[fe80::1]", ALLOWED(LAN, NONE)},
	{"neighbour with a blocked name", 0, NEIGHBOUR, 443, NULL, "WORSE.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, ONLY_BAD)},
	{"no LAN: neighbour", NO_LAN, NEIGHBOUR, 443, "api.example.com", "printer.local",
	 DENIED(NAME_MISMATCH, SNI)},
	{"no LAN: neighbour by its name", NO_LAN, NEIGHBOUR, 443, "api.example.com", "api.example.com",
	 ALLOWED(LIST, API)},
	{"loopback", 0, "127.0.0.1", 443, "api.example.com", "api.example.com", DENIED(LOOPBACK, LOOPBACK)},
	{"all of loopback", LOOP_ANY, "127.0.0.1", 443, NULL, NULL, ALLOWED(LOOPBACK, NONE)},
	{"interfaces unknown: no neighbours", NO_NET, NEIGHBOUR, 443, NULL, NULL, DENIED(NAME_MISMATCH, SNI)},
	{"skip: another name", SKIP, PUB, 443, "api.example.com", "play.example.com", WOULD(NAME_MISMATCH, SNI)},
	{"skip: no name", SKIP, PUB, 443, "api.example.com", NULL, WOULD(NAME_MISMATCH, SNI)},
	{"skip: exact", SKIP | EXACT, PUB, 9000, "api.example.com", "api.example.com", WOULD(NOT_IN_LIST, PORTS)},
	{"skip: blocked stays", SKIP, PUB, 443, "api.example.com", "bad.example.com",
	 DENIED_BY(BLOCKED, BLOCKED, BAD)},
	{"audit: blocked", AUDIT, PUB, 443, "api.example.com", "bad.example.com",
	 WOULD_BY(BLOCKED, BLOCKED, BAD)},
	{"audit: another name", AUDIT, PUB, 443, "api.example.com", "play.example.com", WOULD(NAME_MISMATCH, SNI)},
};

static void tls(void **state)
{
	const struct leash_net net = draft_net();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tls_rows); i++) {
		const struct tls_row *row = &tls_rows[i];
		const struct leash_image *image = policy(row->switches);
		struct leash_nameref refs[NAMES_MAX];
		struct leash_peer peer = make_peer(&net, row->switches, 'T', row->addr, row->port,
						   row->names, refs);
		struct leash_verdict v = leash_policy_tls(image, &peer, row->sni,
							  row->sni ? strlen(row->sni) : 0);

		compare(row->label, &v, &row->expect);
		free((void *)image);
	}
}

struct plain_row {
	const char *label;
	unsigned int switches;
	const char *addr;
	uint16_t port;
	const char *names;
	uint8_t pass;
	struct expect expect;
};

static const struct plain_row plain_rows[] = {
	{"https is required", 0, PUB, 80, "api.example.com", TLS, DENIED(PLAINTEXT, HTTPS)},
	{"https is required on a forbidden port", 0, PUB, 443, "both.example.com", TLS, DENIED(PLAINTEXT, HTTPS)},
	{"lan.require_tls", LAN_TLS, NEIGHBOUR, 80, NULL, TLS, DENIED(PLAINTEXT, LAN_TLS)},
	{"raw bytes to a neighbour's forbidden port", 0, NEIGHBOUR, 22, NULL, TLS | HTTP,
	 DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"skip: plaintext", SKIP, PUB, 80, "api.example.com", TLS, WOULD(PLAINTEXT, HTTPS)},
	{"skip: forbidden port stays", SKIP, NEIGHBOUR, 22, NULL, TLS | HTTP, DENIED(FORBIDDEN_PORT, TCP_PORT)},
	{"audit: plaintext", AUDIT, PUB, 80, "api.example.com", TLS, WOULD(PLAINTEXT, HTTPS)},
	{"audit: forbidden port", AUDIT, NEIGHBOUR, 22, NULL, TLS | HTTP, WOULD(FORBIDDEN_PORT, TCP_PORT)},
};

static void plaintext(void **state)
{
	const struct leash_net net = draft_net();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plain_rows); i++) {
		const struct plain_row *row = &plain_rows[i];
		const struct leash_image *image = policy(row->switches);
		struct leash_nameref refs[NAMES_MAX];
		struct leash_peer peer = make_peer(&net, row->switches, 'T', row->addr, row->port,
						   row->names, refs);
		struct leash_verdict v = leash_policy_plaintext(image, &peer, row->pass);

		compare(row->label, &v, &row->expect);
		free((void *)image);
	}
}

/* ---------------------------------------------------------------- sockets */

struct sock_row {
	const char *label;
	unsigned int switches;
	enum leash_sock kind;
	struct expect expect;
};

static const struct sock_row sock_rows[] = {
	{"unix", 0, LEASH_SOCK_UNIX, ALLOWED(TRANSPORT, NONE)},
	{"netlink route", 0, LEASH_SOCK_NETLINK_ROUTE, ALLOWED(TRANSPORT, NONE)},
	{"alg", 0, LEASH_SOCK_ALG, ALLOWED(TRANSPORT, NONE)},
	{"tcp", 0, LEASH_SOCK_TCP, ALLOWED(TRANSPORT, NONE)},
	{"udp", 0, LEASH_SOCK_UDP, ALLOWED(TRANSPORT, NONE)},
	{"anything else", 0, LEASH_SOCK_OTHER, DENIED(TRANSPORT, TRANSPORT)},
	{"skip: anything else stays", SKIP, LEASH_SOCK_OTHER, DENIED(TRANSPORT, TRANSPORT)},
	{"audit: anything else", AUDIT, LEASH_SOCK_OTHER, WOULD(TRANSPORT, TRANSPORT)},
};

static void sockets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sock_rows); i++) {
		const struct leash_image *image = policy(sock_rows[i].switches);
		struct leash_verdict v = leash_policy_socket(image, sock_rows[i].kind);

		compare(sock_rows[i].label, &v, &sock_rows[i].expect);
		free((void *)image);
	}
}

struct port_row {
	const char *label;
	unsigned int switches;
	char what;		/* 'L' listen, 'A' accept, 'B' bind UDP */
	const char *addr;
	uint16_t port;
	struct expect expect;
};

static const struct port_row port_rows[] = {
	{"listen", 0, 'L', "0.0.0.0", 8080, DENIED(LISTEN, LISTEN)},
	{"listen on v6", 0, 'L', "::", 8080, DENIED(LISTEN, LISTEN)},
	{"listen on loopback", 0, 'L', "127.0.0.1", 8080, DENIED(LISTEN, LISTEN)},
	{"listen on the LAN address", 0, 'L', "192.0.2.10", 8080, DENIED(LISTEN, LISTEN)},
	{"listen on a port of loopback", LOOP_PORTS, 'L', "127.0.0.1", 8080, ALLOWED(LOOPBACK, NONE)},
	{"listen on a port of loopback v6", LOOP_PORTS, 'L', "::1", 8080, ALLOWED(LOOPBACK, NONE)},
	{"listen on another port of it", LOOP_PORTS, 'L', "127.0.0.1", 8081, DENIED(LISTEN, LISTEN)},
	{"listen on that port for everybody", LOOP_PORTS, 'L', "0.0.0.0", 8080, DENIED(LISTEN, LISTEN)},
	{"listen, all of loopback", LOOP_ANY, 'L', "127.0.0.1", 1, ALLOWED(LOOPBACK, NONE)},
	{"listen, all of loopback, for everybody", LOOP_ANY, 'L', "0.0.0.0", 1, DENIED(LISTEN, LISTEN)},
	{"listen = lan", LISTEN_LAN, 'L', "0.0.0.0", 8080, ALLOWED(LISTEN, NONE)},
	{"listen = any", LISTEN_ANY, 'L', "0.0.0.0", 8080, ALLOWED(LISTEN, NONE)},
	{"skip: listen stays", SKIP, 'L', "0.0.0.0", 8080, DENIED(LISTEN, LISTEN)},
	{"audit: listen", AUDIT, 'L', "0.0.0.0", 8080, WOULD(LISTEN, LISTEN)},

	{"accept", 0, 'A', NEIGHBOUR, 8080, DENIED(LISTEN, LISTEN)},
	{"accept from loopback", 0, 'A', "127.0.0.1", 8080, DENIED(LISTEN, LISTEN)},
	{"accept on a port of loopback", LOOP_PORTS, 'A', "127.0.0.1", 8080, ALLOWED(LOOPBACK, NONE)},
	{"accept on that port from elsewhere", LOOP_PORTS, 'A', NEIGHBOUR, 8080, DENIED(LISTEN, LISTEN)},
	{"accept on another port", LOOP_PORTS, 'A', "127.0.0.1", 8081, DENIED(LISTEN, LISTEN)},
	{"accept = any, public", LISTEN_ANY, 'A', PUB, 8080, ALLOWED(LISTEN, NONE)},
	{"accept = lan, neighbour", LISTEN_LAN, 'A', NEIGHBOUR, 8080, ALLOWED(LISTEN, NONE)},
	{"accept = lan, mapped neighbour", LISTEN_LAN, 'A', "::ffff:192.0.2.1", 8080, ALLOWED(LISTEN, NONE)},
	{"accept = lan, loopback", LISTEN_LAN, 'A', "::1", 8080, ALLOWED(LOOPBACK, NONE)},
	{"accept = lan, own", LISTEN_LAN, 'A', "192.0.2.10", 8080, ALLOWED(LISTEN, NONE)},
	{"accept = lan, public", LISTEN_LAN, 'A', PUB, 8080, DENIED(LISTEN, LISTEN)},
	{"accept = lan, private elsewhere", LISTEN_LAN, 'A', INTRANET, 8080, DENIED(LISTEN, LISTEN)},
	{"accept = lan, pretending", LISTEN_LAN | PRETEND, 'A', NEIGHBOUR, 8080, DENIED(LISTEN, LISTEN)},
	{"accept = lan, interfaces unknown", LISTEN_LAN | NO_NET, 'A', NEIGHBOUR, 8080, DENIED(RESOURCE, POLICY)},
	{"audit: accept", AUDIT, 'A', PUB, 8080, WOULD(LISTEN, LISTEN)},

	{"UDP port of its own with lan.allow", 0, 'B', "0.0.0.0", 9001, ALLOWED(LAN, NONE)},
	{"a client's UDP port", NO_LAN, 'B', "0.0.0.0", 0, ALLOWED(UDP, NONE)},
	{"UDP port of its own", NO_LAN, 'B', "0.0.0.0", 9001, DENIED(LISTEN, LISTEN)},
	{"UDP port, listen = lan", NO_LAN | LISTEN_LAN, 'B', "0.0.0.0", 9001, ALLOWED(LISTEN, NONE)},
	{"UDP port, listen = any", NO_LAN | LISTEN_ANY, 'B', "0.0.0.0", 9001, ALLOWED(LISTEN, NONE)},
	{"UDP port of loopback", NO_LAN | LOOP_PORTS, 'B', "127.0.0.1", 8080, ALLOWED(LOOPBACK, NONE)},
	{"UDP port on a group", NO_LAN | MULTI, 'B', "224.0.0.251", 5353, ALLOWED(MULTICAST, NONE)},
	{"UDP port on a group, not granted", NO_LAN, 'B', "224.0.0.251", 5353, DENIED(LISTEN, LISTEN)},
	{"audit: UDP port", NO_LAN | AUDIT, 'B', "0.0.0.0", 9001, WOULD(LISTEN, LISTEN)},
};

static void ports(void **state)
{
	const struct leash_net net = draft_net();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(port_rows); i++) {
		const struct port_row *row = &port_rows[i];
		const struct leash_image *image = policy(row->switches);
		const struct leash_addr addr = draft_addr(row->addr);
		const struct leash_net *known = row->switches & NO_NET ? NULL : &net;
		struct leash_verdict v =
			row->what == 'L' ? leash_policy_listen(image, known, &addr, row->port) :
			row->what == 'A' ? leash_policy_accept(image, known, &addr, row->port) :
					   leash_policy_bind_udp(image, known, &addr, row->port);

		compare(row->label, &v, &row->expect);
		free((void *)image);
	}
}

static void groups_and_options(void **state)
{
	static const struct {
		const char *label;
		unsigned int switches;
		struct expect group, options;
	} rows[] = {
		{"default", 0, DENIED(OTHER_NET, MULTICAST), DENIED(TRANSPORT, TRANSPORT)},
		{"lan.multicast", MULTI, ALLOWED(MULTICAST, NONE), DENIED(TRANSPORT, TRANSPORT)},
		{"skip", SKIP, DENIED(OTHER_NET, MULTICAST), DENIED(TRANSPORT, TRANSPORT)},
		{"audit", AUDIT, WOULD(OTHER_NET, MULTICAST), WOULD(TRANSPORT, TRANSPORT)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct leash_image *image = policy(rows[i].switches);
		struct leash_verdict group = leash_policy_group(image),
				     options = leash_policy_options(image);

		compare(rows[i].label, &group, &rows[i].group);
		compare(rows[i].label, &options, &rows[i].options);
		free((void *)image);
	}
}

static void handshakes(void **state)
{
	static const struct {
		const char *label;
		unsigned int switches;
		struct expect certificate, version;
	} rows[] = {
		{"default", 0, DENIED(CERTIFICATE, CERTIFICATE), DENIED(TLS_VERSION, CERTIFICATE)},
		{"skip", SKIP, WOULD(CERTIFICATE, CERTIFICATE), WOULD(TLS_VERSION, CERTIFICATE)},
		{"audit", AUDIT, WOULD(CERTIFICATE, CERTIFICATE), WOULD(TLS_VERSION, CERTIFICATE)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct leash_image *image = policy(rows[i].switches);
		struct leash_verdict certificate =
			leash_policy_handshake(image, LEASH_WHY_CERTIFICATE);
		struct leash_verdict version =
			leash_policy_handshake(image, LEASH_WHY_TLS_VERSION);

		compare(rows[i].label, &certificate, &rows[i].certificate);
		compare(rows[i].label, &version, &rows[i].version);
		free((void *)image);
	}
}

static void no_policy(void **state)
{
	static const struct expect expect = DENIED(NO_POLICY, POLICY);
	struct leash_verdict v = leash_policy_none();

	(void)state;
	compare("no policy", &v, &expect);
}

/* ------------------------------------------------------------ the reasons */

/* errno and numbers of policy 1: what programs and logs rely on. */
static void reasons(void **state)
{
	static const struct {
		enum leash_reason reason;
		const char *code;
		int error, number;
	} rows[] = {
		{LEASH_WHY_NONE, "", EACCES, 0},
		{LEASH_WHY_NOT_IN_LIST, "not_in_domain_list", EACCES, 600002},
		{LEASH_WHY_BLOCKED, "blocked_domain", EACCES, 600002},
		{LEASH_WHY_IP_LITERAL, "ip_literal", EACCES, 600002},
		{LEASH_WHY_LOOPBACK, "loopback", EACCES, 600002},
		{LEASH_WHY_OWN_ADDRESS, "own_address", EACCES, 600002},
		{LEASH_WHY_UNSPECIFIED, "unspecified_address", EACCES, 600002},
		{LEASH_WHY_OTHER_NET, "other_private_network", EACCES, 600002},
		{LEASH_WHY_PLAINTEXT, "plaintext", EACCES, 600009},
		{LEASH_WHY_TLS_VERSION, "tls_version", EACCES, 600001},
		{LEASH_WHY_CERTIFICATE, "certificate", EACCES, 600001},
		{LEASH_WHY_NAME_MISMATCH, "name_mismatch", EACCES, 600002},
		{LEASH_WHY_TIMEOUT, "timeout", ETIMEDOUT, 5},
		{LEASH_WHY_INTERRUPTED, "interrupted", ECONNABORTED, 600003},
		{LEASH_WHY_AMBIGUOUS, "ambiguous_request", EACCES, 600010},
		{LEASH_WHY_TOO_MANY, "too_many_tasks", ECONNREFUSED, 600007},
		{LEASH_WHY_FORBIDDEN_PORT, "forbidden_port", EACCES, -4},
		{LEASH_WHY_TRANSPORT, "transport", EACCES, 0},
		{LEASH_WHY_LISTEN, "listen", EACCES, 0},
		{LEASH_WHY_NO_POLICY, "no_policy", EACCES, 0},
		{LEASH_WHY_UNJUDGED, "unjudged", EACCES, 0},
		{LEASH_WHY_RESOURCE, "resource", ENOBUFS, 0},
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(rows), LEASH_WHY_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(leash_reason_code(rows[i].reason), rows[i].code);
		assert_int_equal(leash_reason_errno(rows[i].reason), rows[i].error);
		assert_int_equal(leash_reason_number(rows[i].reason), rows[i].number);
	}
	assert_string_equal(leash_reason_code(LEASH_WHY_COUNT), "");
	assert_int_equal(leash_reason_errno((enum leash_reason)-1), EACCES);
	assert_int_equal(leash_reason_number(LEASH_WHY_COUNT), 0);
	assert_string_equal(leash_rule_text(LEASH_RULE_COUNT), "");
	for (unsigned int rule = LEASH_RULE_LIST; rule < LEASH_RULE_COUNT; rule++)
		assert_true(strlen(leash_rule_text((enum leash_rule)rule)) > 0);
}

/* Runs last: rows for everything that a decision can say. */
static void all_seen(void **state)
{
	static const enum leash_reason reasons_here[] = {
		LEASH_WHY_NONE, LEASH_WHY_NOT_IN_LIST, LEASH_WHY_BLOCKED, LEASH_WHY_IP_LITERAL,
		LEASH_WHY_LOOPBACK, LEASH_WHY_OWN_ADDRESS, LEASH_WHY_UNSPECIFIED,
		LEASH_WHY_OTHER_NET, LEASH_WHY_PLAINTEXT, LEASH_WHY_NAME_MISMATCH,
		LEASH_WHY_FORBIDDEN_PORT, LEASH_WHY_TRANSPORT, LEASH_WHY_LISTEN,
		LEASH_WHY_NO_POLICY, LEASH_WHY_RESOURCE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons_here); i++)
		if (!reason_seen[reasons_here[i]])
			fail_msg("no row gives %s", leash_reason_code(reasons_here[i]));
	for (unsigned int rule = LEASH_RULE_LIST; rule < LEASH_RULE_COUNT; rule++)
		/* These are the engine's: clocks and counts, not questions about a peer. */
		if (!rule_seen[rule] && rule != LEASH_RULE_BACKGROUND && rule != LEASH_RULE_TIMEOUT &&
		    rule != LEASH_RULE_LIMITS && rule != LEASH_RULE_HOST && rule != LEASH_RULE_FRAMING &&
		    rule != LEASH_RULE_HTTP2)
			fail_msg("no row gives %s", leash_rule_text((enum leash_rule)rule));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolve),
		cmocka_unit_test(lists_of_a_name),
		cmocka_unit_test(dns),
		cmocka_unit_test(peers),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(forbidden_ports),
		cmocka_unit_test(tls),
		cmocka_unit_test(plaintext),
		cmocka_unit_test(sockets),
		cmocka_unit_test(ports),
		cmocka_unit_test(groups_and_options),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(no_policy),
		cmocka_unit_test(reasons),
		cmocka_unit_test(all_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
