/* SPDX-License-Identifier: MIT */
/*
 * netleash check: every fault of a policy with its place, or one line that says
 * what it grants.
 */
#include "shim/abi.h"
#include "shim/launch/launch.h"

#include <string.h>

enum { OPTION_PROJECT = 256 };

static const struct option options[] = {
	{"project", required_argument, NULL, OPTION_PROJECT},
	LEASH_OPTIONS_COMMON,
};

static void print_lists(const struct leash_image *image)
{
	uint32_t count[LEASH_LIST_COUNT] = {0}, total = leash_image_entry_count(image);
	const char *before = " (";

	for (uint32_t i = 0; i < total; i++) {
		uint8_t list = leash_image_entry(image, i)->list;

		if (list < LEASH_LIST_COUNT)
			count[list]++;
	}
	printf("%u %s", total, total == 1 ? "entry" : "entries");
	for (size_t i = 0; i < LEASH_LIST_COUNT; i++) {
		if (!count[i])
			continue;
		printf("%s%s %u", before, leash_list_text[i], count[i]);
		before = ", ";
	}
	if (total)
		putchar(')');
	else if (!leash_image_settings(image)->audit &&
		 !leash_image_settings(image)->skip_domain_check)
		fputs(", every name is refused", stdout);
}

static void print_good(const char *what, const struct leash_image *image)
{
	const struct leash_settings *settings = leash_image_settings(image);
	const char *phrase;

	printf("%s: ok, ", what);
	print_lists(image);
	printf(": profile %s, platform %s",
	       settings->profile <= LEASH_PROFILE_BUILD ? leash_profile_text[settings->profile]
							: "?",
	       settings->platform <= LEASH_STRICT ? leash_platform_text[settings->platform] : "?");
	if (settings->audit)
		printf(", audit: nothing is refused");
	if (settings->skip_domain_check)
		printf(", skip_domain_check: domains are not enforced");
	for (size_t i = 0; (phrase = leash_compile_unenforced(image, i)); i++)
		printf("%s%s", i ? ", " : "; not enforced yet by this version: ", phrase);
	putchar('\n');
}

static int check_one(const char *policy, const char *project)
{
	const struct leash_compile_options wish = {
		.policy = policy, .project = project, .audit = -1, .lint = true};
	const struct leash_image *image;
	struct leash_compiled compiled;
	int error = leash_compile(&wish, &compiled), status = LEASH_EXIT_OK;

	leash_faults_print(stderr, &compiled);
	if (error == 0)
		error = leash_image_open(compiled.image, compiled.image_len, &image);
	if (error == 0) {
		print_good(policy ? policy : project, image);
	} else if (compiled.error_count) {
		status = LEASH_EXIT_POLICY;
	} else {
		leash_say("%s: %s", policy ? policy : project, strerror(-error));
		status = LEASH_EXIT_SYSTEM;
	}
	leash_compiled_free(&compiled);
	return status;
}

int leash_cmd_check(const struct leash_command *self, int argc, char *argv[])
{
	struct leash_compile_options wish = {.audit = -1, .lint = true};
	int option, status = LEASH_EXIT_OK;

	while ((option = leash_option(self, argc, argv, ":h", options, &status)) != -1) {
		if (option == LEASH_OPTION_DONE)
			return status;
		wish.project = optarg;
	}
	if (optind == argc) {
		leash_environment(&wish);
		if (!wish.policy && !wish.project) {
			leash_usage(self, "check: no policy: give POLICY or --project DIR, or set " LEASH_ENV_POLICY);
			return LEASH_EXIT_POLICY;
		}
		status = check_one(wish.policy, wish.project);
	}
	for (int i = optind; i < argc; i++) {
		int one = check_one(argv[i], wish.project);

		if (one > status)
			status = one;
	}
	if (fflush(stdout) != 0) {
		leash_say("standard output: %m");
		return LEASH_EXIT_SYSTEM;
	}
	return status;
}
