/* SPDX-License-Identifier: MIT */
/* Requests: class, list, host, framing (policy 9). A row for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "policy/policy.h"

enum { SKIP = 1, AUDIT = 2, EXACT = 4 };

enum { API, ALSO_CDN, CDN, PLAY, UP, PORTED, RAW, BOTH_UP, BOTH };
static const struct leash_draft_entry entries[] = {
	[API] = {"api.example.com", "https://api.example.com", "game.cfg", 1, LEASH_LIST_REQUEST, 0},
	[ALSO_CDN] = {"api.example.com", "https://api.example.com", "game.cfg", 2, LEASH_LIST_DOWNLOAD, 0},
	[CDN] = {"cdn.example.com", "https://cdn.example.com", "game.cfg", 3, LEASH_LIST_DOWNLOAD, 0},
	[PLAY] = {"play.example.com", "wss://play.example.com", "game.cfg", 4, LEASH_LIST_SOCKET, 0},
	[UP] = {"up.example.com", "https://up.example.com", "game.cfg", 5, LEASH_LIST_UPLOAD, 0},
	[PORTED] = {"port.example.com", "https://port.example.com:9000", "game.cfg", 6, LEASH_LIST_REQUEST,
		    9000},
	[RAW] = {"raw.example.com", "tcp://raw.example.com", "game.cfg", 7, LEASH_LIST_TCP, 0},
	[BOTH_UP] = {"both.example.com", "https://both.example.com", "game.cfg", 8, LEASH_LIST_UPLOAD, 0},
	[BOTH] = {"both.example.com", "https://both.example.com", "game.cfg", 9, LEASH_LIST_REQUEST, 0},
};
#define NONE LEASH_ENTRY_NONE

static const struct leash_image *policy(unsigned int switches)
{
	struct leash_draft draft = {
		.entries = entries,
		.entry_count = ARRAY_SIZE(entries),
		.settings = {
			.skip_domain_check = (switches & SKIP) != 0,
			.audit = (switches & AUDIT) != 0,
			.ports_exact = (switches & EXACT) != 0,
			.lan_allow = 1,
		},
	};

	return draft_build(&draft);
}

#define REQUEST 1
#define SOCKET 2
#define UPLOAD 4
#define DOWNLOAD 8

static void requests(void **state)
{
	static const struct {
		const char *name;
		enum leash_kind kind;
		bool get, lan;
		uint16_t port;
		unsigned int switches;
		bool allowed, would;
		uint8_t lists;
		enum leash_rule rule;
		uint32_t entry, near;
	} rows[] = {
		/* anything is a request where the host is in `request`, else a download if it is GET */
		{"api.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, true, false, REQUEST, LEASH_RULE_LIST, API, NONE},
		{"api.example.com", LEASH_KIND_ORDINARY, false, false, 443, 0, true, false, REQUEST, LEASH_RULE_LIST, API, NONE},
		{"cdn.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, true, false, DOWNLOAD, LEASH_RULE_LIST, CDN, NONE},
		{"cdn.example.com", LEASH_KIND_ORDINARY, false, false, 443, 0, false, false, DOWNLOAD, LEASH_RULE_LIST, NONE, CDN},
		{"play.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, false, false, SOCKET, LEASH_RULE_LIST, NONE, PLAY},
		{"up.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, false, false, UPLOAD, LEASH_RULE_LIST, NONE, UP},
		{"raw.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, false, false, 16, LEASH_RULE_LIST, NONE, RAW},
		{"x.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, false, false, 0, LEASH_RULE_LIST, NONE, NONE},
		{"x.api.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, false, false, 0, LEASH_RULE_LIST, NONE, API},
		/* WebSockets */
		{"play.example.com", LEASH_KIND_SOCKET, true, false, 443, 0, true, false, SOCKET, LEASH_RULE_LIST, PLAY, NONE},
		{"api.example.com", LEASH_KIND_SOCKET, true, false, 443, 0, false, false, REQUEST | DOWNLOAD, LEASH_RULE_LIST, NONE, API},
		/* uploads, told late */
		{"up.example.com", LEASH_KIND_MULTIPART, false, false, 443, 0, true, false, UPLOAD, LEASH_RULE_LIST, UP, NONE},
		{"both.example.com", LEASH_KIND_MULTIPART, false, false, 443, 0, true, false, REQUEST | UPLOAD, LEASH_RULE_LIST, BOTH, NONE},
		{"api.example.com", LEASH_KIND_MULTIPART, false, false, 443, 0, true, false, REQUEST, LEASH_RULE_LIST, API, NONE},
		{"cdn.example.com", LEASH_KIND_MULTIPART, false, false, 443, 0, false, false, DOWNLOAD, LEASH_RULE_LIST, NONE, CDN},
		{"both.example.com", LEASH_KIND_UPLOAD, false, false, 443, 0, true, false, UPLOAD, LEASH_RULE_LIST, BOTH_UP, NONE},
		{"api.example.com", LEASH_KIND_UPLOAD, false, false, 443, 0, false, false, REQUEST | DOWNLOAD, LEASH_RULE_LIST, NONE, API},
		/* ports */
		{"port.example.com", LEASH_KIND_ORDINARY, true, false, 443, 0, true, false, REQUEST, LEASH_RULE_LIST, PORTED, NONE},
		{"port.example.com", LEASH_KIND_ORDINARY, true, false, 9000, EXACT, true, false, REQUEST, LEASH_RULE_LIST, PORTED, NONE},
		{"port.example.com", LEASH_KIND_ORDINARY, true, false, 443, EXACT, false, false, REQUEST, LEASH_RULE_PORTS, NONE, PORTED},
		/* a neighbour needs no entry */
		{"", LEASH_KIND_ORDINARY, false, true, 80, 0, true, false, REQUEST, LEASH_RULE_LAN, NONE, NONE},
		{"nas.example.com", LEASH_KIND_SOCKET, true, true, 80, 0, true, false, SOCKET, LEASH_RULE_LAN, NONE, NONE},
		{"nas.example.com", LEASH_KIND_MULTIPART, true, true, 80, 0, true, false, REQUEST | UPLOAD, LEASH_RULE_LAN, NONE, NONE},
		{"up.example.com", LEASH_KIND_ORDINARY, true, true, 80, 0, true, false, REQUEST, LEASH_RULE_LAN, NONE, NONE},
		/* let through, and said */
		{"cdn.example.com", LEASH_KIND_ORDINARY, false, false, 443, SKIP, true, true, REQUEST, LEASH_RULE_LIST, NONE, CDN},
		{"api.example.com", LEASH_KIND_SOCKET, true, false, 443, AUDIT, true, true, SOCKET, LEASH_RULE_LIST, NONE, API},
		/* what is no kind at all */
		{"api.example.com", (enum leash_kind)9, true, false, 443, 0, false, false, REQUEST | DOWNLOAD, LEASH_RULE_LIST, NONE, API},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct leash_image *image = policy(rows[i].switches);
		const struct leash_ask ask = {
			.name = rows[i].name,
			.port = rows[i].port,
			.lan = rows[i].lan,
			.get = rows[i].get,
			.kind = rows[i].kind,
		};
		const struct leash_verdict v = leash_policy_request(image, &ask);
		const bool good = rows[i].allowed && !rows[i].would;

		if ((v.action == LEASH_ALLOW) != rows[i].allowed || v.would != rows[i].would ||
		    v.lists != rows[i].lists || v.rule != rows[i].rule || v.entry != rows[i].entry ||
		    v.near != rows[i].near ||
		    v.reason != (good ? LEASH_WHY_NONE : LEASH_WHY_NOT_IN_LIST))
			fail_msg("row %zu (%s): action %d, %s, lists %x, rule %d, entry %d, near %d", i,
				 rows[i].name, v.action, leash_reason_code(v.reason), v.lists, v.rule,
				 (int)v.entry, (int)v.near);
		free((void *)(uintptr_t)image);
	}
}

static void hosts(void **state)
{
	static const struct leash_nameref known[] = {{"nas.example.com", 15}, {"tv.example.com", 14}};
	static const struct {
		const char *addr, *name, *host;
		bool same;
	} rows[] = {
		{"198.51.100.1", "api.example.com", "api.example.com", true},
		{"198.51.100.1", "api.example.com", "API.example.COM.", true},
		{"198.51.100.1", "api.example.com", "api.example.com..", false},
		{"198.51.100.1", "api.example.com", "pi.example.com", false},
		{"198.51.100.1", "api.example.com", "api.example.co", false},
		{"198.51.100.1", "api.example.com", "198.51.100.1", false},
		{"198.51.100.1", "api.example.com", "nas.example.com", false},
		{"198.51.100.1", "api.example.com", "", false},
		{"198.51.100.1", "api.example.com", NULL, false},
		{"192.0.2.20", "", "192.0.2.20", true},
		{"192.0.2.20", "", "192.0.2.21", false},
		{"192.0.2.20", "", "192.0.532", true},		/* another way to write it */
		{"192.0.2.20", "", "tv.example.com", true},
		{"192.0.2.20", "", "NAS.example.com", true},
		{"192.0.2.20", "", "x.example.com", false},
		{"192.0.2.20", "", NULL, false},
		{"fe80::20%2", "", "fe80::20", true},
		{"fe80::20%2", "", "fe80::21", false},
	};

	(void)state;
	for (unsigned int switches = 0; switches <= AUDIT; switches++) {
		const struct leash_image *image = policy(switches);

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct leash_peer peer = {
				.addr = draft_addr(rows[i].addr),
				.names = known,
				.name_count = ARRAY_SIZE(known),
			};
			const struct leash_verdict v =
				leash_policy_host(image, &peer, rows[i].name, rows[i].host,
						  rows[i].host ? strlen(rows[i].host) : 0);

			if ((v.action == LEASH_ALLOW) != (rows[i].same || switches) ||
			    v.would != (!rows[i].same && switches) || v.rule != LEASH_RULE_HOST ||
			    v.reason != (rows[i].same ? LEASH_WHY_NONE : LEASH_WHY_NAME_MISMATCH))
				fail_msg("row %zu (%s), switches %u", i, rows[i].host, switches);
		}
		free((void *)(uintptr_t)image);
	}
}

static void unreadable(void **state)
{
	(void)state;
	for (unsigned int switches = 0; switches <= AUDIT; switches++) {
		const struct leash_image *image = policy(switches);

		for (int http2 = 0; http2 < 2; http2++) {
			const struct leash_verdict v = leash_policy_unreadable(image, http2);

			/* That two servers read it differently is no validation that could be skipped. */
			assert_int_equal(v.action, switches == AUDIT ? LEASH_ALLOW : LEASH_DENY);
			assert_int_equal(v.would, switches == AUDIT);
			assert_int_equal(v.reason, LEASH_WHY_AMBIGUOUS);
			assert_int_equal(v.rule, http2 ? LEASH_RULE_HTTP2 : LEASH_RULE_FRAMING);
		}
		free((void *)(uintptr_t)image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(hosts),
		cmocka_unit_test(unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
