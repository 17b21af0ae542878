/* SPDX-License-Identifier: MIT */
/*
 * The netleash command: what its files share. One table of subcommands, one
 * enum of exit statuses, one way to say something.
 */
#ifndef LEASH_LAUNCH_H
#define LEASH_LAUNCH_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "policy/compile/compile.h"
#include "policy/policy.h"

/* `run` gives the program's own status otherwise. The table of netleash.1 says the same. */
enum leash_exit {
	LEASH_EXIT_OK = 0,
	LEASH_EXIT_USAGE = 100,     /* the command line */
	LEASH_EXIT_POLICY = 101,    /* the policy has errors, or there is none; nothing was started */
	LEASH_EXIT_VIOLATION = 102, /* --fail-on-violation, and something was refused */
	LEASH_EXIT_SYSTEM = 111,    /* this machine or this installation */
	LEASH_EXIT_CANNOT = 126,    /* the program is there and cannot be executed on the leash */
	LEASH_EXIT_NOT_FOUND = 127, /* no such program */
};

struct leash_command {
	const char *name;
	const char *args;    /* what follows the name in a synopsis */
	const char *brief;   /* one line; NULL: not listed */
	const char *options; /* lines of --help */
	int (*run)(const struct leash_command *self, int argc, char *argv[]);
};

int leash_cmd_run(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_check(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_explain(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_cert(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_background(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_foreground(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_status(const struct leash_command *self, int argc, char *argv[]);
int leash_cmd_compile_image(const struct leash_command *self, int argc, char *argv[]);

/** leash_say() - "netleash: …" and a newline on standard error, in one write; control
 *  characters of untrusted text become '?' */
__attribute__((format(printf, 1, 2))) void leash_say(const char *format, ...);

/** leash_usage() - The same for a fault of the command line, and where help is.
 *  @command: NULL for netleash itself. Return: LEASH_EXIT_USAGE */
__attribute__((format(printf, 2, 3))) int leash_usage(const struct leash_command *command,
						      const char *format, ...);

/** leash_short() - Only in the command that is linked statically (short/short.c): what it has to hand over to
 *  netleash-full. Return: 0: nothing; else an exit status: it could not */
__attribute__((weak)) int leash_short(int argc, char *argv[]);

/** leash_clean() - Replace what a terminal could take for a command, in place */
void leash_clean(char *text);

/** leash_nearest() - The word that was probably meant, or NULL. @words: ends with NULL */
const char *leash_nearest(const char *word, const char *const words[]);

/*
 * getopt_long() with our messages. --help and --version are part of every table through
 * LEASH_OPTIONS_COMMON and are answered here.
 * Return: the option's value, -1 behind the last, LEASH_OPTION_DONE (leave with @ret_exit)
 */
#define LEASH_OPTION_DONE (-2)
#define LEASH_OPTIONS_COMMON                                                                       \
	{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},                     \
	{                                                                                          \
		NULL, 0, NULL, 0                                                                   \
	}
int leash_option(const struct leash_command *self, int argc, char *argv[], const char *letters,
		 const struct option *options, int *ret_exit);

/** leash_known_word() - Is @word, the value of @option, one of @words? Complains if not */
bool leash_known_word(const struct leash_command *self, const char *option, const char *word,
		      const char *const words[]);

/** leash_environment() - NETLEASH_POLICY, NETLEASH_PROJECT where no -p was given */
void leash_environment(struct leash_compile_options *options);

/** leash_faults_print() - FILE:LINE: error: … for each fault, in their order */
void leash_faults_print(FILE *out, const struct leash_compiled *compiled);

/* As the policy file spells them, by enum leash_profile and leash_platform; NULL behind the last.
 */
extern const char *const leash_profile_text[], *const leash_platform_text[];

/**
 * leash_summary() - What a run did, on standard error
 * @page_fd:	The session page. Its content is untrusted: the program could write to it
 * @ret_refused:	How many refusals
 * @print:	false: only count
 */
void leash_summary(int page_fd, const struct leash_image *image, bool print,
		   unsigned long long *ret_refused);

#endif
