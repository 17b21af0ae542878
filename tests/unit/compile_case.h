/* SPDX-License-Identifier: MIT */
/*
 * For the tests of policy/compile/: a directory of their own, files in it, and
 * the faults of a compilation as the lines that `netleash check` prints.
 */
#ifndef TEST_COMPILE_CASE_H
#define TEST_COMPILE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/compile/compile.h"

/* libconfig 1.5 loses the string it was reading when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig\n";
}

/* Thousands of small files: in memory, where the system has a place for that. */
static char case_dir[] = "/dev/shm/netleash-unit-XXXXXX";
static const char case_dir_else[] = "/tmp/netleash-unit-XXXXXX";
static char case_lines[1 << 16];

/* The working directory of the tests from here on, so that faults name "p.cfg". */
static inline void case_enter(void)
{
	umask(022);
	if (!mkdtemp(case_dir)) {
		strcpy(case_dir, case_dir_else);
		if (!mkdtemp(case_dir))
			case_dir[0] = '\0';
	}
	if (chdir(case_dir) < 0) {
		perror(case_dir);
		exit(1);
	}
}

static inline void case_leave(void)
{
	char command[64 + sizeof(case_dir)];

	if (chdir("/") == 0) {
		snprintf(command, sizeof(command), "rm -rf '%s'", case_dir);
		if (system(command) != 0)
			perror(case_dir);
	}
}

static inline void case_write(const char *path, const void *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static inline void case_text(const char *path, const char *text)
{
	case_write(path, text, strlen(text));
}

/* Compile, and all faults into case_lines. Whatever was found, the result is of one piece. */
static inline int case_compile(const struct leash_compile_options *options,
			       struct leash_compiled *ret)
{
	size_t errors = 0, at = 0;
	int rc = leash_compile(options, ret);

	case_lines[0] = '\0';
	for (size_t i = 0; i < ret->fault_count; i++) {
		const struct leash_fault *fault = &ret->faults[i];
		char line[24] = "";

		errors += fault->kind == LEASH_FAULT_ERROR;
		if (fault->line)
			snprintf(line, sizeof(line), ":%u", fault->line);
		at += (size_t)snprintf(case_lines + at, sizeof(case_lines) - at, "%s%s: %s: %s\n",
				       fault->file, line,
				       fault->kind == LEASH_FAULT_ERROR ? "error" : "warning",
				       fault->message);
		assert_true(at < sizeof(case_lines));
		for (const char *c = fault->message; *c; c++)
			assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	}
	assert_int_equal(errors, ret->error_count);
	assert_int_equal(rc, errors ? -EINVAL : 0);
	if (rc == 0)
		assert_non_null(ret->image);
	else
		assert_null(ret->image);
	return rc;
}

static inline const struct leash_image *case_image(const struct leash_compiled *compiled)
{
	const struct leash_image *image = NULL;

	assert_int_equal(leash_image_open(compiled->image, compiled->image_len, &image), 0);
	return image;
}

/* What a compilation says, line for line. */
static inline void case_expect(const char *label, const struct leash_compile_options *options,
			       const char *expected)
{
	struct leash_compiled compiled;

	case_compile(options, &compiled);
	leash_compiled_free(&compiled);
	if (strcmp(case_lines, expected) != 0)
		fail_msg("%s\n--- expected\n%s--- found\n%s", label, expected, case_lines);
}

/* A policy that is right, "p.cfg", and its settings; the caller frees @ret_compiled. */
static inline const struct leash_settings *case_settings(const char *text,
							 struct leash_compiled *ret_compiled)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};

	case_text("p.cfg", text);
	if (case_compile(&options, ret_compiled) < 0)
		fail_msg("%s\n%s", text, case_lines);
	return leash_image_settings(case_image(ret_compiled));
}

#endif
