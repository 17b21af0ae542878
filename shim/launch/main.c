/* SPDX-License-Identifier: MIT */
/*
 * netleash: the table of subcommands. Usage and help come from it, and nothing
 * else knows their names.
 */
#include "shim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/abi.h"

static const struct leash_command commands[] = {
	{"run", "[OPTION …] [--] PROGRAM [ARG …]", "run a program on the leash",
	 "  -p, --policy POLICY    the policy file; otherwise $NETLEASH_POLICY\n"
	 "      --project DIR      a mini-game project: game.json, project.config.json\n"
	 "      --profile PROFILE  tcsas, wechat or build; wins over the policy file\n"
	 "      --platform NAME    android, ios, devtools or strict; wins over the policy file\n"
	 "      --audit            refuse nothing, record what would have been refused\n"
	 "      --events FILE      append what happens to FILE, one JSON object a line\n"
	 "      --fail-on-violation\n"
	 "                         exit with 102 if something was refused\n"
	 "      --background-after TIME\n"
	 "                         go to the background so long after the start: 3s, 500ms\n"
	 "      --foreground-after TIME\n"
	 "                         and back\n"
	 "      --scenario FILE    a list of such times, one \"TIME STATE\" a line\n"
	 "      --follow-focus     in the background while another window has the focus (X11)\n"
	 "      --no-summary       no summary at the end\n"
	 "      --quiet            neither summary nor refusal lines on standard error\n",
	 leash_cmd_run},
	{"check", "[--project DIR] [POLICY …]", "is the policy right? every fault with its place",
	 "      --project DIR      check it together with this project\n", leash_cmd_check},
	{"explain", "-p POLICY [OPTION …] TARGET …",
	 "the verdict for a URL, name or address, and why",
	 "  -p, --policy POLICY    the policy file; otherwise $NETLEASH_POLICY\n"
	 "      --project DIR      a mini-game project: game.json, project.config.json\n"
	 "      --profile PROFILE  tcsas, wechat or build; wins over the policy file\n"
	 "      --platform NAME    android, ios, devtools or strict; wins over the policy file\n"
	 "      --json             print a JSON array\n"
	 "      --fail-on-violation\n"
	 "                         exit with 102 if a target is refused\n"
	 "\n"
	 "A TARGET is a URL (https, wss, http, ws), tcp://HOST:PORT, udp://HOST:PORT, a name or\n"
	 "an address with or without a port, or NAME=ADDRESS: the name, resolved to that\n"
	 "address.\n",
	 leash_cmd_explain},
	{"cert", "[OPTION …] HOST[:PORT] …",
	 "a server's certificate against each rule of each platform",
	 "  -p, --policy POLICY    its cert.* settings and its platform; otherwise\n"
	 "                         $NETLEASH_POLICY\n"
	 "      --platform NAME    ios, android, devtools or strict; may be given again; without,\n"
	 "                         all are shown, and the policy's decides, or the first three\n"
	 "      --file CHAIN       a PEM file, leaf first, instead of a server; wants --host\n"
	 "      --host HOST        the name or address that CHAIN is for\n"
	 "      --timeout SECONDS  of each handshake (10)\n"
	 "      --json             print a JSON array\n"
	 "\n"
	 "Exits with 102 if a platform that counts would refuse a host, or a host cannot be\n"
	 "reached.\n",
	 leash_cmd_cert},
	{"background", "[SESSION | PID]", "send a running session to the background",
	 "\nWithout an argument: the only session. A PID may be any process of a session, or one\n"
	 "under plain LD_PRELOAD, which gets the policy's signal.\n",
	 leash_cmd_background},
	{"foreground", "[SESSION | PID]", "bring it back", "", leash_cmd_foreground},
	{"status", "[SESSION | PID]", "the running sessions, their state, and what they wait for", "",
	 leash_cmd_status},
	{LEASH_COMPILE_COMMAND, "POLICY PROJECT CACHE", NULL, "", leash_cmd_compile_image},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const char *const leash_profile_text[] = {"tcsas", "wechat", "build", NULL};
const char *const leash_platform_text[] = {"android", "ios", "devtools", "strict", NULL};

void leash_clean(char *text)
{
	unsigned char *at = (unsigned char *)text;

	for (; *at; at++) {
		if (*at < ' ' || *at == 0x7f)
			*at = '?';
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) /* C1 controls in UTF-8 */
			at[0] = at[1] = '?';
	}
}

__attribute__((format(printf, 2, 0))) static void say(const char *tail, const char *format,
						      va_list ap)
{
	static const char start[] = LEASH_COMMAND_NAME ": ";
	char *text = NULL, *line = NULL;
	size_t len, done = 0;

	if (vasprintf(&text, format, ap) < 0)
		return;
	leash_clean(text);
	len = sizeof(start) - 1 + strlen(text) + strlen(tail) + 1;
	line = malloc(len + 1);
	if (line) {
		snprintf(line, len + 1, "%s%s%s\n", start, text, tail);
		while (done < len) {
			ssize_t n = write(STDERR_FILENO, line + done, len - done);

			if (n < 0 && errno != EINTR)
				break;
			if (n > 0)
				done += (size_t)n;
		}
	}
	free(line);
	free(text);
}

void leash_say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
}

int leash_usage(const struct leash_command *command, const char *format, ...)
{
	char tail[64];
	va_list ap;

	snprintf(tail, sizeof(tail), " (see `netleash %s%s--help`)", command ? command->name : "",
		 command ? " " : "");
	va_start(ap, format);
	say(tail, format, ap);
	va_end(ap);
	return LEASH_EXIT_USAGE;
}

/* Edit distance; words here are short, and a long one is nobody's typing error. */
static size_t distance(const char *a, const char *b)
{
	size_t row[33], a_len = strlen(a), b_len = strlen(b);

	if (a_len > 32 || b_len > 32)
		return 99;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *leash_nearest(const char *word, const char *const words[])
{
	const char *nearest = NULL;
	size_t best = 1 + strlen(word) / 3;

	for (size_t i = 0; words[i]; i++) {
		size_t d = distance(word, words[i]);

		if (d <= best && (!nearest || d < best)) {
			best = d;
			nearest = words[i];
		}
	}
	return nearest;
}

static void print_help(const struct leash_command *command)
{
	printf("Usage: netleash %s %s\n\n%s\n", command->name, command->args, command->brief);
	printf("\nOptions:\n%s  -h, --help             this text\n"
	       "      --version          the version\n",
	       command->options);
}

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: netleash COMMAND [OPTION …] [ARG …]\n\n"
		     "Makes an unmodified program obey a network policy.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i].brief)
			fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].brief);
	}
	fprintf(out, "  %-9s %s\n", "help", "this text, or that of a command");
	fprintf(out, "\nOptions:\n  -h, --help   this text, or that of a command\n"
		     "  --version    the version\n");
}

static int finish_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return LEASH_EXIT_OK;
	leash_say("standard output: %s", strerror(errno));
	return LEASH_EXIT_SYSTEM;
}

static int print_version(void)
{
	printf("%s %s\n", LEASH_COMMAND_NAME, LEASH_VERSION);
	return finish_stdout();
}

static void unknown_option(const struct leash_command *self, const char *word,
			   const struct option *options)
{
	const char *names[32], *nearest;
	char name[64];
	size_t count = 0;

	for (; options->name && count < 31; options++)
		names[count++] = options->name;
	names[count] = NULL;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	nearest = leash_nearest(name, names);
	if (nearest)
		leash_usage(self, "%s: unknown option \"%s\", did you mean --%s?", self->name, word,
			    nearest);
	else
		leash_usage(self, "%s: unknown option \"%s\"", self->name, word);
}

int leash_option(const struct leash_command *self, int argc, char *argv[], const char *letters,
		 const struct option *options, int *ret_exit)
{
	int option, at = optind ? optind : 1;

	opterr = 0;
	option = getopt_long(argc, argv, letters, options, NULL);
	switch (option) {
	case 'h':
		print_help(self);
		*ret_exit = finish_stdout();
		return LEASH_OPTION_DONE;
	case 'V':
		*ret_exit = print_version();
		return LEASH_OPTION_DONE;
	case ':':
		leash_usage(self, "%s: %s wants a value", self->name, argv[optind - 1]);
		*ret_exit = LEASH_EXIT_USAGE;
		return LEASH_OPTION_DONE;
	case '?':
		if (optind - 1 >= at)
			at = optind - 1;
		if (strncmp(argv[at], "--", 2) != 0)
			leash_usage(self, "%s: unknown option \"-%c\"", self->name, optopt);
		else if (optopt != 0)
			leash_usage(self, "%s: %.*s takes no value: \"%s\"", self->name,
				    (int)strcspn(argv[at], "="), argv[at], argv[at]);
		else
			unknown_option(self, argv[at], options);
		*ret_exit = LEASH_EXIT_USAGE;
		return LEASH_OPTION_DONE;
	}
	return option;
}

bool leash_known_word(const struct leash_command *self, const char *option, const char *word,
		      const char *const words[])
{
	char list[128] = "";
	const char *nearest;

	for (size_t i = 0; words[i]; i++) {
		if (strcmp(word, words[i]) == 0)
			return true;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 words[i]);
	}
	nearest = leash_nearest(word, words);
	if (nearest)
		leash_usage(self, "%s: %s \"%s\", did you mean %s? accepted: %s", self->name,
			    option, word, nearest, list);
	else
		leash_usage(self, "%s: %s \"%s\", accepted: %s", self->name, option, word, list);
	return false;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

void leash_environment(struct leash_compile_options *options)
{
	if (options->policy)
		return;
	options->policy = variable(LEASH_ENV_POLICY);
	if (!options->project)
		options->project = variable(LEASH_ENV_PROJECT);
}

void leash_faults_print(FILE *out, const struct leash_compiled *compiled)
{
	for (size_t i = 0; i < compiled->fault_count; i++) {
		const struct leash_fault *fault = &compiled->faults[i];
		const char *kind = fault->kind == LEASH_FAULT_ERROR ? "error" : "warning";
		char *line = NULL;
		int len;

		if (fault->file && fault->file[0] && fault->line)
			len = asprintf(&line, "%s:%u: %s: %s", fault->file, fault->line, kind,
				       fault->message);
		else if (fault->file && fault->file[0])
			len = asprintf(&line, "%s: %s: %s", fault->file, kind, fault->message);
		else
			len = asprintf(&line, "%s: %s: %s", LEASH_COMMAND_NAME, kind,
				       fault->message);
		if (len < 0)
			return;
		leash_clean(line);
		fprintf(out, "%s\n", line);
		free(line);
	}
}

static const struct leash_command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[COMMAND_COUNT + 2] = {"help"}, *nearest;
	size_t count = 1;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i].brief)
			names[count++] = commands[i].name;
	}
	names[count] = NULL;
	nearest = leash_nearest(name, names);
	if (nearest)
		return leash_usage(NULL, "unknown command \"%s\", did you mean %s?", name, nearest);
	return leash_usage(NULL, "unknown command \"%s\"", name);
}

static int help(int argc, char *argv[])
{
	const struct leash_command *command;

	if (argc < 2) {
		print_usage(stdout);
		return finish_stdout();
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return finish_stdout();
	}
	command = find(argv[1]);
	if (!command || !command->brief)
		return unknown_command(argv[1]);
	print_help(command);
	return finish_stdout();
}

/*
 * Descriptors 0 to 2 may arrive closed. They are filled, or a file of ours would become
 * the program's standard error; close-on-exec, so that the program finds them closed.
 */
static void fill_standard(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			_exit(LEASH_EXIT_SYSTEM);
	}
}

int main(int argc, char *argv[])
{
	const struct leash_command *command;
	int status;

	fill_standard();
	status = leash_short ? leash_short(argc, argv) : 0;
	if (status)
		return status;
	if (argc < 2) {
		print_usage(stderr);
		return LEASH_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return finish_stdout();
	}
	if (strcmp(argv[1], "help") == 0)
		return help(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	if (argv[1][0] == '-')
		return leash_usage(NULL, "unknown option \"%s\" in front of the command", argv[1]);
	command = find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
