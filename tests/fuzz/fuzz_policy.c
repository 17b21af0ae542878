/* build: policy/compile/build.c policy/compile/check.c policy/compile/check_entry.c policy/compile/check_place.c policy/compile/check_take.c policy/compile/check_whole.c policy/compile/compile.c policy/compile/idn.c policy/compile/parse.c policy/compile/profile.c policy/compile/project.c -lconfig -ljansson -lidn2 */
/* SPDX-License-Identifier: MIT */
/*
 * Any text as a policy file, and behind the first byte 0x1f as game.json and project.config.json:
 * an image that is good all through, or faults with their places, and the same every time.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/compile/compile.h"
#include "policy/policy.h"

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)

/* libconfig's scanner loses strings that are open when it meets an error: not ours to mend. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static char dir[256], policy_path[300];

static void clean(void)
{
	static const char *const names[] = {"policy.cfg", "game.json", "project.config.json"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[300];

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void prepare(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/netleash-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(dir));
	snprintf(policy_path, sizeof(policy_path), "%s/policy.cfg", dir);
	atexit(clean);
}

static void put(const char *name, const uint8_t *data, size_t size)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	CHECK(file);
	CHECK(fwrite(data, 1, size, file) == size);
	CHECK(fclose(file) == 0);
}

/* A fault is one line for a terminal, and says where */
static void check_faults(const struct leash_compiled *compiled, size_t lines)
{
	size_t errors = 0;

	for (size_t i = 0; i < compiled->fault_count; i++) {
		const struct leash_fault *fault = &compiled->faults[i];

		CHECK(fault->kind == LEASH_FAULT_ERROR || fault->kind == LEASH_FAULT_WARNING);
		errors += fault->kind == LEASH_FAULT_ERROR;
		CHECK(fault->file && fault->message && *fault->message);
		for (const char *at = fault->message; *at; at++)
			CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
		if (strcmp(fault->file, policy_path) == 0)
			CHECK(fault->line <= lines);
	}
	CHECK(errors == compiled->error_count);
}

static void check_image(const struct leash_compiled *compiled)
{
	const struct leash_image *image;
	char normal[LEASH_NAME_SIZE];

	CHECK(leash_image_open(compiled->image, compiled->image_len, &image) == 0);
	CHECK(leash_image_verify(image) == 0);
	CHECK(leash_image_size(image) == compiled->image_len);
	for (uint32_t i = 0; i < leash_image_entry_count(image); i++) {
		const struct leash_entry *entry = leash_image_entry(image, i);
		const char *name = leash_image_string(image, entry->name);
		uint32_t lists;

		CHECK(entry->list < LEASH_LIST_COUNT);
		CHECK(leash_name_normal(name, strlen(name), normal) == (int)strlen(name));
		CHECK(strcmp(name, normal) == 0);
		CHECK(leash_image_find(image, name, strlen(name), &lists) != LEASH_ENTRY_NONE);
		CHECK(lists & LEASH_LIST_BIT(entry->list));
		/* What is listed may be resolved, and what is blocked may not. */
		CHECK((leash_policy_resolve(image, name, strlen(name)).action == LEASH_ALLOW) ==
			      !(lists & LEASH_LIST_BIT(LEASH_LIST_BLOCKED)) ||
		      leash_image_settings(image)->audit);
	}
	for (size_t i = 0; leash_compile_unenforced(image, i); i++)
		CHECK(i < 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *json = size ? memchr(data, 0x1f, size) : NULL;
	size_t policy_len = json ? (size_t)(json - data) : size, lines = 1;
	struct leash_compile_options options = {.policy = policy_path, .audit = -1};
	struct leash_compiled first, second;
	int rc;

	if (!*dir)
		prepare();
	for (size_t i = 0; i < policy_len; i++)
		lines += data[i] == '\n';
	put("policy.cfg", data, policy_len);
	if (json) {
		put("game.json", json + 1, size - policy_len - 1);
		put("project.config.json", json + 1, size - policy_len - 1);
		options.project = dir;
	}

	rc = leash_compile(&options, &first);
	CHECK(rc == 0 || rc == -EINVAL);
	CHECK((rc == 0) == (first.image != NULL));
	CHECK((rc == 0) == (first.error_count == 0));
	check_faults(&first, lines);
	if (first.image)
		check_image(&first);

	CHECK(leash_compile(&options, &second) == rc);
	CHECK(second.fault_count == first.fault_count);
	for (size_t i = 0; i < first.fault_count; i++)
		CHECK(strcmp(first.faults[i].message, second.faults[i].message) == 0);
	CHECK(second.image_len == first.image_len);
	CHECK(!first.image || memcmp(first.image, second.image, first.image_len) == 0);
	leash_compiled_free(&first);
	leash_compiled_free(&second);
	return 0;
}
