/* SPDX-License-Identifier: MIT */
/*
 * Outside suites through the verifier: x509-limbo (core) and a part of BetterTLS, in limbo's form.
 *
 * They are data that lies beside the repository (NETLEASH_TEST_SUITES, ../shared/suites); absent,
 * the test is skipped. Where the verifier and a suite disagree is written down exactly in
 * tests/data/suites/, one "PLATFORM KIND CASE" a line, KIND "accepts" (expected FAILURE) or
 * "rejects": a new disagreement fails, and one that is gone has to be struck out.
 * SUITES_WRITE=DIR writes the lists as they would have to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <sys/stat.h>

#include "verify_load.h"

static const char *const platform_text[LEASH_VERIFY_PLATFORMS] = {
	[LEASH_VERIFY_ANDROID] = "android",
	[LEASH_VERIFY_IOS] = "ios",
	[LEASH_VERIFY_DEVTOOLS] = "devtools",
	[LEASH_VERIFY_STRICT] = "strict",
};

struct suite {
	const char *file, *list;
	size_t used_min; /* a suite that lost its cases must be noticed */
};
static struct suite limbo = {"x509-limbo-core.json", "limbo-core.txt", 180};
static struct suite bettertls = {"bettertls-subset.json", "bettertls.txt", 300};

static const struct leash_verifier *verifier;

static const char *suite_path(const char *file)
{
	static char path[PATH_MAX];
	const char *dir = getenv("NETLEASH_TEST_SUITES"), *data = getenv("LEASH_TEST_DATA");
	struct stat st;

	if (dir && dir[0])
		snprintf(path, sizeof(path), "%s/%s", dir, file);
	else
		snprintf(path, sizeof(path), "%s/../../../shared/suites/%s",
			 data ? data : "tests/data", file);
	return stat(path, &st) == 0 ? path : NULL;
}

static const char *text_of(const json_t *test, const char *key)
{
	const char *text = json_string_value(json_object_get(test, key));

	return text ? text : "";
}

/* What a TLS client can be asked: server certificates, without revocation lists. */
static bool is_for_us(const json_t *test)
{
	return strcmp(text_of(test, "validation_kind"), "SERVER") == 0 &&
	       json_array_size(json_object_get(test, "crls")) == 0;
}

/* The trusted certificates of a case become cert.extra_ca; the system's roots stay out of it. */
static void *open_roots(const json_t *test, const char *dir)
{
	const json_t *trusted = json_object_get(test, "trusted_certs");
	char path[PATH_MAX], empty[PATH_MAX], err[256];
	const char *extra = path;
	const struct leash_verify_roots roots = {
		.trust_dir = empty, .extra_ca = &extra, .extra_ca_count = 1};
	FILE *file;

	snprintf(path, sizeof(path), "%s/roots.pem", dir);
	snprintf(empty, sizeof(empty), "%s/empty", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	for (size_t i = 0; i < json_array_size(trusted); i++)
		fputs(json_string_value(json_array_get(trusted, i)), file);
	fclose(file);
	return verifier->open(&roots, err, sizeof(err));
}

static struct leash_verify_in aim(const json_t *test, const struct served *served,
				  uint8_t addr[static 16])
{
	const json_t *peer = json_object_get(test, "expected_peer_name");
	struct leash_verify_in in = served_in(served);
	const char *when = text_of(test, "validation_time");

	in.now_s = when[0] ? time_of(when) : (int64_t)time(NULL);
	if (strcmp(text_of(peer, "kind"), "IP") == 0) {
		in.addr = addr;
		if (inet_pton(AF_INET, text_of(peer, "value"), addr) == 1)
			in.addr_len = 4;
		else if (inet_pton(AF_INET6, text_of(peer, "value"), addr) == 1)
			in.addr_len = 16;
	} else if (json_is_object(peer)) {
		in.name = text_of(peer, "value");
	}
	return in;
}

/* Does the suite's word differ from ours? "accepts", "rejects", NULL */
static const char *disagreement(const json_t *test, int code)
{
	bool good = strcmp(text_of(test, "expected_result"), "SUCCESS") == 0;

	if (good == (code == 0))
		return NULL;
	return good ? "rejects" : "accepts";
}

static void judge(const json_t *test, const char *dir, FILE *lists[LEASH_VERIFY_PLATFORMS])
{
	const json_t *others = json_object_get(test, "untrusted_intermediates");
	void *store = open_roots(test, dir);
	struct served served = {0};
	struct leash_verify_in in;
	uint8_t addr[16];

	served_add(&served, text_of(test, "peer_certificate"));
	for (size_t i = 0; i < json_array_size(others); i++)
		served_add(&served, json_string_value(json_array_get(others, i)));
	in = aim(test, &served, addr);
	for (int i = 0; i < LEASH_VERIFY_PLATFORMS; i++) {
		struct leash_verify_out out;
		const char *kind;
		int code = 50; /* no root among the trusted ones: nothing is trusted */

		in.platform = (enum leash_verify_platform)i;
		if (store)
			code = verifier->verify(store, &in, &out);
		kind = disagreement(test, code);
		if (kind)
			fprintf(lists[i], "%s %s %s\n", platform_text[i], kind,
				text_of(test, "id"));
	}
	if (store)
		verifier->close(store);
	served_free(&served);
}

/* The lines of @has that @other lacks, each told with @word. Return: how many */
static size_t tell_missing(const char *has, const char *other, const char *word)
{
	size_t count = 0, len;

	for (; *has; has += len + (has[len] == '\n')) {
		char line[512];
		const char *at = other;

		len = strcspn(has, "\n");
		if (len == 0 || has[0] == '#')
			continue;
		snprintf(line, sizeof(line), "%.*s\n", (int)len, has);
		do {
			at = strstr(at, line);
		} while (at && at != other && at[-1] != '\n' && at++);
		if (at)
			continue;
		print_error("%s: %s", word, line);
		count++;
	}
	return count;
}

static void keep_list(const struct suite *suite, const char *text)
{
	const char *dir = getenv("SUITES_WRITE");
	char path[PATH_MAX];
	FILE *file;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, suite->list);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void check_suite(void **state)
{
	const struct suite *suite = *state;
	const char *path = suite_path(suite->file), *data = getenv("LEASH_TEST_DATA");
	char dir[] = "/tmp/leash-suites-XXXXXX", name[PATH_MAX], *parts[LEASH_VERIFY_PLATFORMS];
	char *known, *now = calloc(1, 1 << 20);
	FILE *lists[LEASH_VERIFY_PLATFORMS];
	size_t sizes[LEASH_VERIFY_PLATFORMS], used = 0, bad;
	json_error_t error;
	json_t *suite_json;

	assert_non_null(now);
	if (!path) {
		print_message("%s: not there, skipped (NETLEASH_TEST_SUITES)\n", suite->file);
		free(now);
		skip();
	}
	suite_json = json_load_file(path, 0, &error);
	if (!suite_json)
		fail_msg("%s: %s", path, error.text);
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/empty", dir);
	assert_int_equal(mkdir(name, 0700), 0);
	for (int i = 0; i < LEASH_VERIFY_PLATFORMS; i++)
		lists[i] = open_memstream(&parts[i], &sizes[i]);
	for (size_t i = 0; i < json_array_size(json_object_get(suite_json, "testcases")); i++) {
		const json_t *test = json_array_get(json_object_get(suite_json, "testcases"), i);

		if (is_for_us(test)) {
			judge(test, dir, lists);
			used++;
		}
	}
	for (int i = 0; i < LEASH_VERIFY_PLATFORMS; i++) {
		fclose(lists[i]);
		assert_true(strlen(now) + sizes[i] < 1 << 20);
		strcat(now, parts[i]);
		free(parts[i]);
	}
	json_decref(suite_json);
	rmdir(name);
	snprintf(name, sizeof(name), "%s/roots.pem", dir);
	unlink(name);
	rmdir(dir);

	keep_list(suite, now);
	snprintf(name, sizeof(name), "%s/suites/%s", data ? data : "tests/data", suite->list);
	known = slurp(name);
	if (!known)
		fail_msg("%s is missing", name);
	bad = tell_missing(now, known, "new disagreement");
	bad += tell_missing(known, now, "no disagreement any more, strike it out");
	print_message("%s: %zu cases\n", suite->file, used);
	assert_true(used >= suite->used_min);
	assert_int_equal(bad, 0);
	free(known);
	free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{.name = "x509-limbo", .test_func = check_suite, .initial_state = &limbo},
		{.name = "BetterTLS", .test_func = check_suite, .initial_state = &bettertls},
	};

	verifier = verifier_load();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
