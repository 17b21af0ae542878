/* build: policy/compile/build.c */
/* SPDX-License-Identifier: MIT */
/*
 * Damaged images. Opening looks at the header alone, so whatever it lets through must be safe to
 * ask anything: no read outside, no endless loop, whatever the rest holds.
 *
 * The first byte says how: RAW takes the input as the image; otherwise it is a list of patches to
 * a good one, {offset: 3 bytes, value: 4 bytes}. A changed header would never get past its sum,
 * so SUM_HEAD and SUM_BODY make the sums right again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile/build.h"
#include "policy/image.h"
#include "policy/policy.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

enum mode { RAW = 1, SUM_HEAD = 2, SUM_BODY = 4 };

static void *base;
static size_t base_len;

static void make_base(void)
{
	static const struct leash_draft_entry entries[] = {
		{"a.example", "https://a.example", "/p/a.cfg", 3, LEASH_LIST_REQUEST, 0},
		{"a.example", "a.example", "/p/a.cfg", 4, LEASH_LIST_TCP, 0},
		{"a.example", "wss://a.example:8443", "/p/b.cfg", 5, LEASH_LIST_SOCKET, 8443},
		{"b.example", "b.example", "/p/a.cfg", 6, LEASH_LIST_UDP, 0},
		{"www.b.example", "www.b.example", "/p/a.cfg", 7, LEASH_LIST_DOWNLOAD, 0},
		{"bad.example", "bad.example", "/p/a.cfg", 8, LEASH_LIST_BLOCKED, 0},
	};
	static const struct leash_draft_source sources[] = {
		{"/p/a.cfg", 1, 2, 3, 4}, {"/p/b.cfg", 1, 3, 5, 4},
	};
	static const uint8_t distrust[2][32] = {{1}, {2}};
	static const char *const extra_ca[] = {"/p/ca.pem", "/p/ca2.pem"};
	static const uint16_t ports[] = {80, 8080};
	const struct leash_draft draft = {
		.settings = {
			.lan_allow = 1, .lan_multicast = 1, .ports_exact = 1,
			.timeout_ms = {60000, 60000, 60000, 60000}, .timeout_max_ms = 60000,
			.limit = {10, 10, 10, 10}, .tcp_new_max = 20, .tcp_new_window_s = 300,
			.grace_ms = 5000, .background_signal = 35, .foreground_signal = 36,
		},
		.appid = "app", .version = "1", .referer = "https://r.example/", .path = "/p/a.cfg",
		.trust_dir = "/p/trust", .entries = entries, .entry_count = ARRAY_SIZE(entries),
		.sources = sources, .source_count = ARRAY_SIZE(sources), .distrust = distrust,
		.distrust_count = ARRAY_SIZE(distrust), .extra_ca = extra_ca,
		.extra_ca_count = ARRAY_SIZE(extra_ca), .loopback_ports = ports,
		.loopback_port_count = ARRAY_SIZE(ports),
	};

	CHECK(leash_build(&draft, &base, &base_len) == 0);
}

/* Strings are inside and end inside; the sanitizer sees it if not */
static volatile size_t sink;

static void read_text(const char *text)
{
	CHECK(text);
	sink += strlen(text);
}

static void read_all(const struct leash_image *image)
{
	uint32_t count;

	sink += leash_image_size(image);
	read_text(leash_image_path(image));
	read_text(leash_image_trust_dir(image));
	read_text(leash_image_string(image, leash_image_settings(image)->appid));
	read_text(leash_image_string(image, leash_image_settings(image)->version));
	read_text(leash_image_string(image, leash_image_settings(image)->referer));
	read_text(leash_image_string(image, UINT32_MAX));

	/* A count may say four thousand millions; some, the last, and one too far */
	count = leash_image_distrust_count(image);
	for (uint32_t i = 0; i < count && i < 64; i++)
		sink += leash_image_distrust(image, i)[31];
	if (count)
		sink += leash_image_distrust(image, count - 1)[31];
	count = leash_image_extra_ca_count(image);
	for (uint32_t i = 0; i < count && i < 64; i++)
		read_text(leash_image_extra_ca(image, i));
	count = leash_image_loopback_port_count(image);
	for (uint32_t i = 0; i < count && i < 64; i++)
		sink += leash_image_loopback_port(image, i);
	count = leash_image_source_count(image);
	for (uint32_t i = 0; i < count && i < 64; i++)
		read_text(leash_image_string(image, leash_image_source(image, i)->path));

	count = leash_image_entry_count(image);
	for (uint32_t i = 0; i < count && i < 64; i++) {
		const struct leash_entry *entry = leash_image_entry(image, i);
		uint32_t steps = 0;

		CHECK(entry);
		read_text(leash_image_string(image, entry->name));
		read_text(leash_image_string(image, entry->text));
		read_text(leash_image_string(image, entry->file));
		for (uint32_t at = i; at != LEASH_ENTRY_NONE; at = leash_image_next(image, at))
			CHECK(++steps <= count);
	}
	CHECK(leash_image_entry(image, count));
	CHECK(leash_image_entry(image, UINT32_MAX));
}

static void tell(const struct leash_image *image, const struct leash_verdict *verdict,
		 const struct leash_subject *subject, uint32_t near)
{
	char text[300];

	for (size_t size = 1; size <= sizeof(text); size += 59) {
		memset(text, 'x', sizeof(text));
		CHECK(leash_explain_rule(image, verdict, text, size) < size);
		CHECK(memchr(text, '\0', size));
		memset(text, 'x', sizeof(text));
		CHECK(leash_explain_hint(image, verdict, subject, near, text, size) < size);
		CHECK(memchr(text, '\0', size));
		for (const char *at = text; *at; at++)
			CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
	}
}

static void ask_all(const struct leash_image *image)
{
	static const char *const names[] = {
		"a.example", "b.example", "x.a.example", "www.b.example", "bad.example",
		"a.exampel", "localhost", "example", "z",
	};
	static const char *const addrs[] = {
		"192.0.2.1", "127.0.0.1", "0.0.0.0", "10.1.0.9", "224.0.0.1", "169.254.1.1",
		"2001:db8::1", "::1", "fe80::1%2", "255.255.255.255",
	};
	struct leash_net net = {.count = 2};

	CHECK(leash_addr_parse("127.0.0.1", 9, &net.subnet[0].addr));
	net.subnet[0].prefix_len = 8;
	CHECK(leash_addr_parse("10.1.0.5", 8, &net.subnet[1].addr));
	net.subnet[1].prefix_len = 16;

	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		const struct leash_nameref ref = {names[n], strlen(names[n])};
		const struct leash_subject subject = {"request", names[n], "", 443};
		struct leash_verdict verdict = leash_policy_resolve(image, ref.name, ref.len);
		uint32_t near = leash_policy_near(image, ref.name, ref.len, 1000);
		uint32_t lists;

		sink += leash_image_find(image, ref.name, ref.len, &lists);
		tell(image, &verdict, &subject, near);
		for (uint16_t type = 0; type < 70; type++)
			sink += leash_policy_dns(image, ref.name, ref.len, type).action;
		for (size_t a = 0; a < ARRAY_SIZE(addrs); a++) {
			struct leash_peer peer = {
				.transport = (enum leash_transport)(a % 3), .sending = a % 2,
				.port = a % 2 ? 8443 : 443, .names = &ref,
				.name_count = a != 4, .net = &net,
			};

			CHECK(leash_addr_parse(addrs[a], strlen(addrs[a]), &peer.addr));
			verdict = leash_policy_peer(image, &peer);
			CHECK(verdict.action == LEASH_DENY || verdict.action == LEASH_ALLOW ||
			      verdict.action == LEASH_SNIFF || verdict.action == LEASH_MUTE);
			CHECK(verdict.action != LEASH_DENY || verdict.reason != LEASH_WHY_NONE);
			if (a == n)
				tell(image, &verdict, &subject, LEASH_ENTRY_NONE);
			sink += leash_policy_tls(image, &peer, ref.name, ref.len).action;
			sink += leash_policy_tls(image, &peer, NULL, 0).action;
			sink += leash_policy_plaintext(image, &peer, verdict.pass).action;
			sink += leash_policy_listen(image, &net, &peer.addr, 80).action;
			sink += leash_policy_accept(image, &net, &peer.addr, 80).action;
			sink += leash_policy_bind_udp(image, &net, &peer.addr, 5000).action;
		}
	}
	for (int kind = LEASH_SOCK_UNIX; kind <= LEASH_SOCK_OTHER; kind++)
		sink += leash_policy_socket(image, (enum leash_sock)kind).action;
	sink += leash_policy_group(image).action + leash_policy_options(image).action;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct leash_image *image = NULL;
	uint8_t mode = size ? data[0] : 0;
	struct leash_image *copy;
	size_t len;
	int rc;

	if (!base)
		make_base();
	data += size != 0;
	size -= size != 0;
	len = mode & RAW ? size : base_len;
	copy = malloc(len ? len : 1);		/* aligned, and ends where it ends */
	CHECK(copy);
	if (len)
		memcpy(copy, mode & RAW ? data : base, len);
	for (size_t at = 0; !(mode & RAW) && at + 7 <= size; at += 7) {
		size_t to = ((size_t)data[at] | (size_t)data[at + 1] << 8 |
			     (size_t)data[at + 2] << 16) % (len - 3);

		memcpy((uint8_t *)copy + to, data + at + 3, 4);
	}
	if (len >= sizeof(*copy)) {
		if (mode & SUM_BODY && copy->size == len)
			copy->body_sum = leash_image_body_sum(copy);
		if (mode & SUM_HEAD)
			copy->head_sum = leash_image_head_sum(copy);
	}

	rc = leash_image_open(copy, len, &image);
	if (rc < 0) {
		CHECK((rc == -EBADMSG || rc == -EPROTO) && !image);
	} else {
		CHECK(rc == 0 && (const void *)image == copy);
		rc = leash_image_verify(image);
		CHECK(rc == 0 || rc == -EBADMSG);
		CHECK(rc == 0 || (mode & RAW) || size >= 7);
		read_all(image);
		ask_all(image);
	}
	free(copy);
	return 0;
}
