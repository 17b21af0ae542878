/* SPDX-License-Identifier: MIT */
/*
 * netleash background, foreground, status: a running session, told and asked from another terminal.
 *
 * A session of `netleash run` has a page that all its processes look at: the state is written there. A
 * process under plain LD_PRELOAD has none that others can reach: it gets the policy's signal, but only if
 * something in it catches that signal, because it would kill otherwise.
 */
#include "shim/launch/launch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"
#include "shim/launch/control.h"

static const struct option options[] = {LEASH_OPTIONS_COMMON};

static struct leash_found found[LEASH_FOUND_MAX];

static void safe_name(char ret[static 65], const struct leash_session *page)
{
	/* The program could write to its page. */
	memcpy(ret, page->program, 64);
	ret[64] = '\0';
	leash_clean(ret);
}

static bool is_number(const char *text, pid_t *ret)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!isdigit((unsigned char)text[0]) || *end || value <= 0 || value > INT_MAX)
		return false;
	*ret = (pid_t)value;
	return true;
}

/* Return: the index of the session that @which means, -1: none, -2: more than one */
static int choose(size_t count, const char *which)
{
	int chosen = -1;
	pid_t pid;

	if (!which)
		return count == 1 ? 0 : count ? -2 : -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(found[i].id, which) == 0)
			return (int)i;
		if (is_number(which, &pid) ? leash_control_owner(&found[i], pid)
					   : strncmp(found[i].id, which, strlen(which)) == 0) {
			if (chosen >= 0)
				return -2;
			chosen = (int)i;
		}
	}
	return chosen;
}

static void list_sessions(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[65];

		safe_name(name, found[i].page);
		leash_say("  %s  %s (process %" PRId32 ")", found[i].id, name,
			  found[i].page->program_pid);
	}
}

/* ---------------------------------------------------------------- by a signal, one process */

struct environment {
	char *text;
	size_t len;
};

static bool read_file(const char *path, struct environment *ret)
{
	FILE *file = fopen(path, "re");
	size_t size = 1u << 20;

	ret->text = malloc(size + 1);
	ret->len = 0;
	if (file && ret->text)
		ret->len = fread(ret->text, 1, size, file);
	if (ret->text)
		ret->text[ret->len] = '\0';
	if (file)
		fclose(file);
	return file && ret->text;
}

static const char *variable_of(const struct environment *env, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = env->text; at < env->text + env->len; at += strlen(at) + 1)
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	return NULL;
}

/* A path of that process; its directory may have changed since, then it is not found */
static void seen_from(char ret[static PATH_MAX], pid_t pid, const char *path)
{
	if (path[0] == '/')
		snprintf(ret, PATH_MAX, "%s", path);
	else
		snprintf(ret, PATH_MAX, "/proc/%d/cwd/%s", pid, path);
}

/* Which signals does it go by? Its policy, as its environment names it, says so. */
static bool signal_of(pid_t pid, bool away, int *ret_signal)
{
	char path[64], policy[PATH_MAX], project[PATH_MAX];
	struct leash_compile_options wish = {.audit = -1};
	const struct leash_image *image;
	struct leash_compiled compiled;
	struct environment env;
	const char *value;
	bool ok = false;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (!read_file(path, &env)) {
		leash_say("process %d: %s", pid, strerror(errno));
		return false;
	}
	value = variable_of(&env, "LD_PRELOAD");
	if (!value || !strstr(value, LEASH_SHIM_NAME)) {
		leash_say("process %d belongs to no session, and has no %s in its LD_PRELOAD", pid,
			  LEASH_SHIM_NAME);
		free(env.text);
		return false;
	}
	value = variable_of(&env, LEASH_ENV_POLICY);
	if (value) {
		seen_from(policy, pid, value);
		wish.policy = policy;
	}
	value = variable_of(&env, LEASH_ENV_PROJECT);
	if (value) {
		seen_from(project, pid, value);
		wish.project = project;
	}
	if (!wish.policy && !wish.project) {
		leash_say("process %d has no policy: it cannot use the network", pid);
	} else if (leash_compile(&wish, &compiled) < 0) {
		leash_say("process %d: its policy has errors: it cannot use the network", pid);
		leash_compiled_free(&compiled);
	} else {
		if (leash_image_open(compiled.image, compiled.image_len, &image) == 0) {
			const struct leash_settings *settings = leash_image_settings(image);

			*ret_signal = away ? settings->background_signal
					   : settings->foreground_signal;
			ok = !settings->background_off;
			if (!ok)
				leash_say("process %d: background.enabled is false in its policy",
					  pid);
		}
		leash_compiled_free(&compiled);
	}
	free(env.text);
	return ok;
}

/* "SigCgt:\t0000000180004002": a signal that nobody catches would kill it (hooks.md 3.10). */
static bool is_caught(pid_t pid, int signal)
{
	char path[64];
	struct environment status;
	const char *at;
	bool caught = false;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!read_file(path, &status))
		return false;
	at = strstr(status.text, "\nSigCgt:");
	if (at)
		caught = strtoull(at + 8, NULL, 16) >> (signal - 1) & 1;
	free(status.text);
	return caught;
}

static int by_signal(pid_t pid, bool away)
{
	int signal = 0;

	if (kill(pid, 0) < 0) {
		leash_say("process %d: %s", pid, strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	if (!signal_of(pid, away, &signal))
		return LEASH_EXIT_SYSTEM;
	if (!is_caught(pid, signal)) {
		leash_say("process %d does not catch signal %d, and would die of it: it has not used the "
			  "network yet",
			  pid, signal);
		return LEASH_EXIT_SYSTEM;
	}
	if (kill(pid, signal) < 0) {
		leash_say("process %d: %s", pid, strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	printf("process %d: %s by signal %d\n", pid, away ? "background" : "foreground", signal);
	return 0;
}

/* -------------------------------------------------------------------------------- commands */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Is it an entry of a living process that waits for something? */
static bool is_pending(const struct leash_session_pending *line)
{
	return line->pid > 0 && line->deadline_ns != 0 && (kill(line->pid, 0) == 0 || errno == EPERM);
}

static size_t count_pending(const struct leash_session *page)
{
	size_t count = 0;

	for (size_t i = 0; i < LEASH_SESSION_PENDING; i++)
		count += is_pending(&page->pending[i]);
	return count;
}

static int change(const struct leash_command *self, int argc, char *argv[], bool away)
{
	const char *state = away ? "background" : "foreground";
	const char *which;
	int option, status = 0, chosen;
	char name[65];
	size_t count, pending;
	pid_t pid;

	while ((option = leash_option(self, argc, argv, ":h", options, &status)) != -1)
		if (option == LEASH_OPTION_DONE)
			return status;
	if (argc - optind > 1)
		return leash_usage(self, "%s: one session at a time", self->name);
	which = optind < argc ? argv[optind] : NULL;
	count = leash_control_list(found);
	chosen = choose(count, which);
	if (chosen >= 0) {
		struct leash_session *page = found[chosen].page;
		bool changed = leash_control_set(page, away, "netleash");

		safe_name(name, page);
		printf("%s (%s): %s%s", found[chosen].id, name, changed ? "" : "already in the ", state);
		pending = count_pending(page);
		if (page->grace_ms == LEASH_SESSION_NO_GRACE)
			printf(", which changes nothing: background.enabled is false in its policy");
		else if (changed && away && page->grace_ms > 0 && pending > 0)
			printf(", %zu pending request%s %g s", pending, pending == 1 ? " has" : "s have",
			       page->grace_ms / 1000.0);
		putchar('\n');
	} else if (chosen == -2) {
		leash_say("more than one session is meant; give its id, or the id of one of its processes:");
		list_sessions(count);
		status = LEASH_EXIT_USAGE;
	} else if (which && is_number(which, &pid)) {
		status = by_signal(pid, away);
	} else if (which) {
		leash_say("no session \"%s\" is running", which);
		list_sessions(count);
		status = LEASH_EXIT_SYSTEM;
	} else {
		leash_say("no session is running");
		status = LEASH_EXIT_SYSTEM;
	}
	leash_control_release(found, count);
	return status;
}

int leash_cmd_background(const struct leash_command *self, int argc, char *argv[])
{
	return change(self, argc, argv, true);
}

int leash_cmd_foreground(const struct leash_command *self, int argc, char *argv[])
{
	return change(self, argc, argv, false);
}

static void print_seconds(int64_t ns)
{
	printf("%" PRId64 ".%01" PRId64 " s", ns / 1000000000, ns / 100000000 % 10);
}

static void print_pending(const struct leash_session *page, const struct leash_session_pending *line)
{
	static const char *const kinds[] = {"request", "resolve"};
	char host[LEASH_SESSION_HOST_SIZE] = "?";
	const uint32_t row = line->host, place = line->name, kind = line->kind;
	const int64_t now = now_ns(), deadline = line->deadline_ns, away = page->background_ns;
	const uint32_t grace_ms = page->grace_ms;
	const int64_t end = away && grace_ms != LEASH_SESSION_NO_GRACE
				    ? away + (int64_t)grace_ms * 1000000
				    : INT64_MAX;

	if (kind == LEASH_PENDING_RESOLVE && place > 0 && place <= LEASH_NAMES_ARENA)
		snprintf(host, sizeof(host), "%.*s", (int)(LEASH_NAMES_ARENA - place),
			 &page->names.arena[place - 1]);
	else if (row < LEASH_SESSION_HOSTS && page->host[row].state == 2)
		snprintf(host, sizeof(host), "%.*s", LEASH_SESSION_HOST_SIZE - 1, page->host[row].host);
	leash_clean(host);
	printf("  %s %s", kind < 2 ? kinds[kind] : "?", host);
	if (kind != LEASH_PENDING_RESOLVE && row < LEASH_SESSION_HOSTS && page->host[row].port)
		printf(" port %" PRIu32, page->host[row].port);
	printf(", process %" PRId32 ", for ", line->pid);
	print_seconds(now > line->start_ns ? now - line->start_ns : 0);
	if (end < deadline) {
		printf(", interrupted in ");
		print_seconds(end > now ? end - now : 0);
		putchar('\n');
	} else if (deadline == INT64_MAX) {
		printf(", no deadline\n");
	} else {
		printf(", deadline in ");
		print_seconds(deadline > now ? deadline - now : 0);
		putchar('\n');
	}
}

/* Is it held by a process that lives? */
static bool is_held(uint64_t place)
{
	const pid_t pid = (pid_t)(place >> 32);

	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* "  in flight: request 3 of 10, connectSocket 1 of 5" */
static void print_tasks(const struct leash_session *page)
{
	const char *between = "  in flight: ";

	for (size_t i = 0; i < LEASH_SESSION_CLASSES; i++) {
		const uint32_t limit = page->tasks.limit[i];
		size_t held = 0;

		for (size_t k = 0; k < limit && k < LEASH_SESSION_PLACES; k++)
			held += is_held(page->tasks.place[i][k]);
		if (held == 0)
			continue;
		printf("%s%s %zu of %" PRIu32, between, leash_list_api[i], held, limit);
		between = ", ";
	}
	if (between[0] == ',')
		putchar('\n');
}

static void print_session(const struct leash_found *session)
{
	const struct leash_session *page = session->page;
	const int64_t changed_ms = page->changed_ms;
	time_t seconds = (time_t)(changed_ms / 1000);
	char name[65], when[64] = "the start";
	struct tm tm;

	safe_name(name, page);
	if (changed_ms && localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  %s (process %" PRId32 ")  %s since %s, %zu pending\n", session->id, name,
	       page->program_pid, page->background_ns ? "background" : "foreground", when,
	       count_pending(page));
	print_tasks(page);
	for (size_t i = 0; i < LEASH_SESSION_PENDING; i++)
		if (is_pending(&page->pending[i]))
			print_pending(page, &page->pending[i]);
}

int leash_cmd_status(const struct leash_command *self, int argc, char *argv[])
{
	const char *which;
	int option, status = 0, chosen = -1;
	size_t count;

	while ((option = leash_option(self, argc, argv, ":h", options, &status)) != -1)
		if (option == LEASH_OPTION_DONE)
			return status;
	if (argc - optind > 1)
		return leash_usage(self, "status: one session, or all of them without an argument");
	which = optind < argc ? argv[optind] : NULL;
	count = leash_control_list(found);
	if (which) {
		chosen = choose(count, which);
		if (chosen < 0) {
			leash_say(chosen == -2 ? "more than one session is meant by \"%s\""
					       : "no session \"%s\" is running",
				  which);
			list_sessions(count);
			status = chosen == -2 ? LEASH_EXIT_USAGE : LEASH_EXIT_SYSTEM;
		}
	} else if (count == 0) {
		leash_say("no session is running");
	}
	for (size_t i = 0; i < count; i++)
		if (!which || (int)i == chosen)
			print_session(&found[i]);
	leash_control_release(found, count);
	if (fflush(stdout) != 0) {
		leash_say("standard output: %s", strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	return status;
}
