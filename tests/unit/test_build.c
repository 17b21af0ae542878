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

static const struct leash_draft_entry few[] = {
	{"api.example.com", "https://api.example.com", "game.cfg", 3, LEASH_LIST_REQUEST, 0},
	{"api.example.com", "wss://API.example.com", "game.cfg", 7, LEASH_LIST_SOCKET, 0},
	{"cdn.example.com", "https://cdn.example.com:8443", "more.cfg", 1, LEASH_LIST_DOWNLOAD, 8443},
	{"api.example.com", "https://api.example.com", "more.cfg", 2, LEASH_LIST_REQUEST, 0},
	{"xn--bcher-kva.example", "https://b\xc3\xbc" "cher.example", "more.cfg", 4, LEASH_LIST_UPLOAD, 0},
	{"example.com", "example.com", NULL, 0, LEASH_LIST_BLOCKED, 0},
};

/* Whatever goes in comes out again. */
static void everything(void **state)
{
	static const struct leash_draft_source sources[] = {
		{"/p/game.cfg", 1, 2, 3, -4},
		{"/p/more.cfg", UINT64_MAX, 6, 7, INT64_MAX},
	};
	static const uint8_t distrust[2][32] = {{1, 2, 3}, {[31] = 9}};
	static const char *const extra_ca[] = {"/etc/ca1.pem", "/etc/ca2.pem", "/etc/ca3.pem"};
	static const uint16_t ports[] = {8080, 1, 65535};
	const struct leash_draft draft = {
		.settings = {
			.profile = LEASH_PROFILE_WECHAT,
			.platform = LEASH_STRICT,
			.listen = LEASH_LISTEN_ANY,
			.limits_over = LEASH_OVER_QUEUE,
			.opaque_tls = LEASH_OPAQUE_DENY,
			.http2 = LEASH_HTTP2_OBSERVE,
			.ports_exact = 1,
			.lan_allow = 1,
			.seal_level = 3,
			.timeout_ms = {1, 2, 3, 4},
			.timeout_max_ms = 60000,
			.limit = {5, 6, 7, 8},
			.tcp_new_max = 20,
			.tcp_new_window_s = 300,
			.grace_ms = 5000,
			.background_signal = 42,
			.foreground_signal = -1,
			.appid = 12345,		/* not for the caller to say */
		},
		.appid = "wx0123456789abcdef",
		.version = "devtools",
		.referer = "https://appservice.wx.com/{appid}/{version}/page-frame.html",
		.path = "/p/game.cfg",
		.trust_dir = "/p/trust",
		.entries = few,
		.entry_count = ARRAY_SIZE(few),
		.sources = sources,
		.source_count = ARRAY_SIZE(sources),
		.distrust = distrust,
		.distrust_count = ARRAY_SIZE(distrust),
		.extra_ca = extra_ca,
		.extra_ca_count = ARRAY_SIZE(extra_ca),
		.loopback_ports = ports,
		.loopback_port_count = ARRAY_SIZE(ports),
	};
	const struct leash_image *image = draft_build(&draft);
	const struct leash_settings *s = leash_image_settings(image);

	(void)state;
	assert_int_equal(s->profile, LEASH_PROFILE_WECHAT);
	assert_int_equal(s->platform, LEASH_STRICT);
	assert_int_equal(s->limit[3], 8);
	assert_int_equal(s->timeout_ms[2], 3);
	assert_int_equal(s->foreground_signal, -1);
	assert_string_equal(leash_image_string(image, s->appid), draft.appid);
	assert_string_equal(leash_image_string(image, s->version), draft.version);
	assert_string_equal(leash_image_string(image, s->referer), draft.referer);
	assert_string_equal(leash_image_path(image), draft.path);
	assert_string_equal(leash_image_trust_dir(image), draft.trust_dir);

	assert_int_equal(leash_image_source_count(image), 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct leash_source *source = leash_image_source(image, i);

		assert_string_equal(leash_image_string(image, source->path), sources[i].path);
		assert_true(source->dev == sources[i].dev && source->ino == sources[i].ino &&
			    source->size == sources[i].size &&
			    source->mtime_ns == sources[i].mtime_ns);
	}
	assert_int_equal(leash_image_distrust_count(image), 2);
	assert_memory_equal(leash_image_distrust(image, 0), distrust[0], 32);
	assert_memory_equal(leash_image_distrust(image, 1), distrust[1], 32);
	assert_int_equal(leash_image_extra_ca_count(image), 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_string_equal(leash_image_extra_ca(image, i), extra_ca[i]);
	assert_int_equal(leash_image_loopback_port_count(image), 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(leash_image_loopback_port(image, i), ports[i]);
	assert_int_equal(leash_image_entry_count(image), ARRAY_SIZE(few));
	for (uint32_t i = 0; i < ARRAY_SIZE(few); i++) {
		const struct leash_entry *entry = leash_image_entry(image, i);

		assert_string_equal(leash_image_string(image, entry->name), few[i].name);
		assert_string_equal(leash_image_string(image, entry->text), few[i].text);
		assert_string_equal(leash_image_string(image, entry->file),
				    few[i].file ? few[i].file : "");
		assert_int_equal(entry->line, few[i].line);
		assert_int_equal(entry->list, few[i].list);
		assert_int_equal(entry->port, few[i].port);
	}
	/* behind the end */
	assert_string_equal(leash_image_extra_ca(image, 3), "");
	assert_int_equal(leash_image_loopback_port(image, 3), 0);
	assert_int_equal(leash_image_entry(image, 99)->list, LEASH_LIST_BLOCKED);
	assert_int_equal(leash_image_next(image, 99), LEASH_ENTRY_NONE);
	assert_int_equal(leash_image_source(image, 2)->size, 0);
	assert_int_equal(leash_image_distrust(image, 2)[0], 0);
	assert_string_equal(leash_image_string(image, UINT32_MAX), "");
	free((void *)image);
}

static void chains(void **state)
{
	const struct leash_draft draft = {.entries = few, .entry_count = ARRAY_SIZE(few)};
	const struct leash_image *image = draft_build(&draft);
	uint32_t lists = 0, at;

	(void)state;
	at = leash_image_find(image, "api.example.com", 15, &lists);
	assert_int_equal(lists, LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_SOCKET));
	assert_int_equal(at, 0);
	assert_int_equal(leash_image_entry(image, at)->next, 1);
	assert_int_equal(at = leash_image_next(image, at), 1);
	assert_int_equal(at = leash_image_next(image, at), 3);
	assert_int_equal(leash_image_next(image, at), LEASH_ENTRY_NONE);
	assert_int_equal(leash_image_find(image, "example.com", 11, NULL), 5);
	/* what is not there, and neighbours of what is */
	assert_int_equal(leash_image_find(image, "api.example.co", 14, &lists), LEASH_ENTRY_NONE);
	assert_int_equal(lists, 0);
	assert_int_equal(leash_image_find(image, "pi.example.com", 14, &lists), LEASH_ENTRY_NONE);
	assert_int_equal(leash_image_find(image, "api.example.com", 14, &lists), LEASH_ENTRY_NONE);
	assert_int_equal(leash_image_find(image, "", 0, &lists), LEASH_ENTRY_NONE);
	free((void *)image);
}

static void nothing(void **state)
{
	const struct leash_draft draft = {0};
	const struct leash_image *image = draft_build(&draft);
	uint32_t lists = 1;

	(void)state;
	assert_int_equal(leash_image_find(image, "a", 1, &lists), LEASH_ENTRY_NONE);
	assert_int_equal(lists, 0);
	assert_int_equal(leash_image_entry_count(image), 0);
	assert_string_equal(leash_image_path(image), "");
	assert_int_equal(leash_image_verify(image), 0);
	free((void *)image);
}

/* What check.c should not have let through. */
static void refused(void **state)
{
	static const struct {
		const char *label;
		struct leash_draft_entry entry;
		struct leash_settings settings;
	} rows[] = {
		{"no name", {NULL, "", "f", 1, 0, 0}, {0}},
		{"an empty name", {"", "", "f", 1, 0, 0}, {0}},
		{"upper case", {"API.example.com", "", "f", 1, 0, 0}, {0}},
		{"a root dot", {"api.example.com.", "", "f", 1, 0, 0}, {0}},
		{"UTF-8", {"b\xc3\xbc" "cher.example", "", "f", 1, 0, 0}, {0}},
		{"a wildcard", {"*.example.com", "", "f", 1, 0, 0}, {0}},
		{"no list", {"example.com", "", "f", 1, LEASH_LIST_COUNT, 0}, {0}},
		{"a profile", {"example.com", "", "f", 1, 0, 0}, {.profile = 3}},
		{"a platform", {"example.com", "", "f", 1, 0, 0}, {.platform = 4}},
		{"listen", {"example.com", "", "f", 1, 0, 0}, {.listen = 3}},
		{"limits.over", {"example.com", "", "f", 1, 0, 0}, {.limits_over = 3}},
		{"opaque_tls", {"example.com", "", "f", 1, 0, 0}, {.opaque_tls = 3}},
		{"http2", {"example.com", "", "f", 1, 0, 0}, {.http2 = 2}},
		{"seal", {"example.com", "", "f", 1, 0, 0}, {.seal_level = 4}},
		{"a boolean", {"example.com", "", "f", 1, 0, 0}, {.audit = 2}},
		{"lan.address without one", {"example.com", "", "f", 1, 0, 0}, {.lan_override = 1}},
		{"lan.netmask", {"example.com", "", "f", 1, 0, 0},
		 {.lan_override = 1, .lan_prefix_len = 33, .lan_addr = {.family = LEASH_INET}}},
		{"lan.netmask v6", {"example.com", "", "f", 1, 0, 0},
		 {.lan_override = 1, .lan_prefix_len = 129, .lan_addr = {.family = LEASH_INET6}}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct leash_draft draft = {
			.settings = rows[i].settings,
			.entries = &rows[i].entry,
			.entry_count = 1,
		};
		void *block = NULL;
		size_t len = 0;
		int rc = leash_build(&draft, &block, &len);

		if (rc != -EINVAL || block || len)
			fail_msg("%s: %d", rows[i].label, rc);
	}
}

static void too_big(void **state)
{
	const size_t count = 40, size = 2u << 20;
	char *text = malloc(size + 1);
	struct leash_draft_entry *entries = calloc(count, sizeof(*entries));
	struct leash_draft draft = {.entries = entries, .entry_count = count};
	void *block = NULL;
	size_t len = 0;

	(void)state;
	memset(text, 'x', size);
	text[size] = '\0';
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct leash_draft_entry){.name = "a", .text = text};
	assert_int_equal(leash_build(&draft, &block, &len), -E2BIG);
	draft.entry_count = SIZE_MAX / 2;	/* looked at before the entries are */
	assert_int_equal(leash_build(&draft, &block, &len), -E2BIG);
	draft.entry_count = 3;
	assert_int_equal(leash_build(&draft, &block, &len), 0);
	free(block);
	free(entries);
	free(text);
}

/* 100,000 names, and as many that are not there. */
static void many(void **state)
{
	enum { COUNT = 100000 };
	char (*names)[40] = malloc(COUNT * sizeof(*names)), (*texts)[48] = malloc(COUNT * sizeof(*texts));
	struct leash_draft_entry *entries = calloc(COUNT, sizeof(*entries));
	const struct leash_draft draft = {.entries = entries, .entry_count = COUNT};
	const struct leash_image *image;

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		snprintf(names[i], sizeof(names[i]), "h%u.s%u.example.com", i, i % 97);
		snprintf(texts[i], sizeof(texts[i]), "https://%s", names[i]);
		entries[i] = (struct leash_draft_entry){
			.name = names[i],
			.text = texts[i],
			.file = "big.cfg",
			.line = i + 1,
			.list = (uint8_t)(i % LEASH_LIST_COUNT),
		};
	}
	image = draft_build(&draft);
	assert_int_equal(leash_image_verify(image), 0);
	assert_in_range(leash_image_size(image), 1, 16u << 20);
	for (unsigned int i = 0; i < COUNT; i++) {
		uint32_t lists;
		char other[44];

		if (leash_image_find(image, names[i], strlen(names[i]), &lists) != i ||
		    lists != LEASH_LIST_BIT(i % LEASH_LIST_COUNT))
			fail_msg("%s is not found", names[i]);
		snprintf(other, sizeof(other), "x%s", names[i]);
		if (leash_image_find(image, other, strlen(other), &lists) != LEASH_ENTRY_NONE)
			fail_msg("%s is found", other);
	}
	free((void *)image);
	free(entries);
	free(texts);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(chains),
		cmocka_unit_test(nothing),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_big),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
