/* SPDX-License-Identifier: MIT */
/*
 * netleash run: compile, look at the program, start it on the leash, wait, tell.
 * Whatever is wrong is said before the program runs; nothing is started then.
 */
#include "shim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <time.h>

#include "shim/abi.h"
#include "shim/launch/control.h"
#include "shim/launch/focus.h"
#include "shim/launch/session.h"
#include "shim/launch/spawn.h"

enum {
	OPTION_PROJECT = 256,
	OPTION_PROFILE,
	OPTION_PLATFORM,
	OPTION_AUDIT,
	OPTION_EVENTS,
	OPTION_FAIL,
	OPTION_NO_SUMMARY,
	OPTION_BACKGROUND,
	OPTION_FOREGROUND,
	OPTION_SCENARIO,
	OPTION_FOCUS,
	OPTION_QUIET
};

static const struct option options[] = {
	{"policy", required_argument, NULL, 'p'},
	{"project", required_argument, NULL, OPTION_PROJECT},
	{"profile", required_argument, NULL, OPTION_PROFILE},
	{"platform", required_argument, NULL, OPTION_PLATFORM},
	{"audit", no_argument, NULL, OPTION_AUDIT},
	{"events", required_argument, NULL, OPTION_EVENTS},
	{"fail-on-violation", no_argument, NULL, OPTION_FAIL},
	{"no-summary", no_argument, NULL, OPTION_NO_SUMMARY},
	{"background-after", required_argument, NULL, OPTION_BACKGROUND},
	{"foreground-after", required_argument, NULL, OPTION_FOREGROUND},
	{"scenario", required_argument, NULL, OPTION_SCENARIO},
	{"follow-focus", no_argument, NULL, OPTION_FOCUS},
	{"quiet", no_argument, NULL, OPTION_QUIET},
	LEASH_OPTIONS_COMMON,
};

struct wish {
	struct leash_compile_options compile;
	const char *events;
	bool fail_on_violation, summary, quiet, follow_focus;
	const char *scenario_file;
	int64_t background_ms, foreground_ms; /* -1: not asked for */
	struct leash_scenario scenario;
};

static int read_scenario(const struct leash_command *self, struct wish *wish)
{
	bool first_away = wish->foreground_ms < 0 || (wish->background_ms >= 0 &&
						      wish->background_ms <= wish->foreground_ms);
	int error = 0;

	if (wish->follow_focus &&
	    (wish->scenario_file || wish->background_ms >= 0 || wish->foreground_ms >= 0))
		return leash_usage(self, "run: --follow-focus takes the state from the windows; it does not go "
					 "with --scenario, --background-after and --foreground-after");
	if (wish->scenario_file) {
		if (wish->background_ms >= 0 || wish->foreground_ms >= 0)
			return leash_usage(self, "run: --scenario says it all; it does not go with "
						 "--background-after and --foreground-after");
		return leash_scenario_read(&wish->scenario, wish->scenario_file);
	}
	for (int i = 0; i < 2 && error == 0; i++) {
		bool away = (i == 0) == first_away;
		int64_t at_ms = away ? wish->background_ms : wish->foreground_ms;

		if (at_ms >= 0)
			error = leash_scenario_add(&wish->scenario, at_ms, away);
	}
	if (error)
		leash_say("%s", strerror(-error));
	return error ? LEASH_EXIT_SYSTEM : 0;
}

/* A run's page, and what is still to be done with its state */
struct play {
	struct leash_session *page;
	const struct leash_scenario *scenario;
	size_t next;
	int64_t start_ms;
	struct leash_focus *focus; /* NULL: it does not follow the windows */
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void started(void *arg)
{
	struct play *play = arg;
	int error;

	play->start_ms = clock_ms();
	error = play->focus ? leash_focus_start(play->focus, play->page) : 0;
	if (error < 0)
		leash_say("--follow-focus: %s: the session stays in the foreground", strerror(-error));
}

static long tick(void *arg)
{
	struct play *play = arg;

	while (play->next < play->scenario->count) {
		const struct leash_scene *scene = &play->scenario->scenes[play->next];
		int64_t left_ms = play->start_ms + scene->at_ms - clock_ms();

		if (left_ms > 0)
			return left_ms > 3600000 ? 3600000 : (long)left_ms;
		leash_control_set(play->page, scene->away, "scenario");
		play->next++;
	}
	return -1;
}

/* Return: 0, or an exit status; *@ret_done: leave with it, even if it is 0 */
static int read_options(const struct leash_command *self, int argc, char *argv[], struct wish *wish,
			bool *ret_done)
{
	int option, status = 0;

	*ret_done = true;
	while ((option = leash_option(self, argc, argv, "+:hp:", options, &status)) != -1) {
		switch (option) {
		case LEASH_OPTION_DONE:
			return status;
		case 'p':
			wish->compile.policy = optarg;
			break;
		case OPTION_PROJECT:
			wish->compile.project = optarg;
			break;
		case OPTION_PROFILE:
			if (!leash_known_word(self, "--profile", optarg, leash_profile_text))
				return LEASH_EXIT_USAGE;
			wish->compile.profile = optarg;
			break;
		case OPTION_PLATFORM:
			if (!leash_known_word(self, "--platform", optarg, leash_platform_text))
				return LEASH_EXIT_USAGE;
			wish->compile.platform = optarg;
			break;
		case OPTION_AUDIT:
			wish->compile.audit = 1;
			break;
		case OPTION_EVENTS:
			if (optarg[0] == '\0')
				return leash_usage(self, "run: --events wants the name of a file");
			wish->events = optarg;
			break;
		case OPTION_FAIL:
			wish->fail_on_violation = true;
			break;
		case OPTION_NO_SUMMARY:
			wish->summary = false;
			break;
		case OPTION_BACKGROUND:
		case OPTION_FOREGROUND: {
			int64_t *at_ms = option == OPTION_BACKGROUND ? &wish->background_ms
								    : &wish->foreground_ms;

			*at_ms = leash_duration(optarg);
			if (*at_ms < 0)
				return leash_usage(self, "run: \"%s\" is no time; 500ms, 3s, 1.5m",
						   optarg);
			break;
		}
		case OPTION_SCENARIO:
			wish->scenario_file = optarg;
			break;
		case OPTION_FOCUS:
			wish->follow_focus = true;
			break;
		case OPTION_QUIET:
			wish->quiet = true;
			wish->summary = false;
			break;
		}
	}
	if (optind == argc)
		return leash_usage(self, "run: no program given");
	leash_environment(&wish->compile);
	if (!wish->compile.policy && !wish->compile.project) {
		leash_usage(self, "run: no policy: give -p POLICY or --project DIR, or set " LEASH_ENV_POLICY);
		return LEASH_EXIT_POLICY;
	}
	status = read_scenario(self, wish);
	*ret_done = status != 0;
	return status;
}

/* Absolute, because the program may change its directory; and it must be possible to
 * append to it, because a program's shim has nobody to complain to. */
static int open_events(const char *path, char ret_path[static PATH_MAX])
{
	char cwd[PATH_MAX] = "";
	int fd;

	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd))) {
		leash_say("--events \"%s\": where are we? %s", path, strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	if (snprintf(ret_path, PATH_MAX, "%s%s%s", cwd, cwd[0] ? "/" : "", path) >= PATH_MAX) {
		leash_say("--events \"%s\": %s", path, strerror(ENAMETOOLONG));
		return LEASH_EXIT_SYSTEM;
	}
	fd = open(ret_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		  0666);
	if (fd < 0 && errno != ENXIO) { /* ENXIO: a FIFO that nobody reads yet */
		leash_say("--events \"%s\": %s", path, strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

static void tell_unenforced(const struct leash_image *image)
{
	char list[512] = "";
	const char *phrase;

	for (size_t i = 0; (phrase = leash_compile_unenforced(image, i)); i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 phrase);
	if (list[0])
		leash_say("not enforced yet by this version: %s", list);
}

/* Whatever weakens the policy says so, at the start and at the end. */
static void tell_weak(const struct leash_image *image, bool end)
{
	const struct leash_settings *settings = leash_image_settings(image);
	const char *verb = end ? "was" : "is";

	if (settings->audit)
		leash_say("audit %s on: nothing %s refused", verb, verb);
	else if (settings->skip_domain_check)
		leash_say("skip_domain_check %s on: domain lists, TLS versions and certificates %s "
			  "not enforced",
			  verb, end ? "were" : "are");
}

/* What changes the state by itself is of no use where the policy knows no background. */
static void tell_no_background(const struct wish *wish, const struct leash_image *image)
{
	if (leash_image_settings(image)->background_off &&
	    (wish->follow_focus || wish->scenario.count > 0))
		leash_say("background.enabled is false in the policy: the background changes nothing");
}

static int run_image(const struct wish *wish, const struct leash_compiled *compiled,
		     struct leash_spawn *spawn, struct leash_focus *focus)
{
	const struct leash_image *image;
	unsigned long long refused = 0;
	struct play play = {.scenario = &wish->scenario, .focus = focus};
	const char *program;
	struct leash_run run;
	char why[PATH_MAX + 256];
	int status = 0, error;

	error = leash_image_open(compiled->image, compiled->image_len, &image);
	if (error == 0)
		error = leash_run_make(compiled->image, compiled->image_len, &run, why,
				       sizeof(why));
	else
		snprintf(why, sizeof(why), "the compiled policy: %s", strerror(-error));
	if (error < 0) {
		leash_say("%s", why);
		leash_focus_close(focus, true);
		return LEASH_EXIT_SYSTEM;
	}
	play.page = mmap(NULL, sizeof(*play.page), PROT_READ | PROT_WRITE, MAP_SHARED, run.page_fd, 0);
	if (play.page == MAP_FAILED) {
		leash_say("%s: %s", run.page, strerror(errno));
		leash_run_remove(&run);
		leash_focus_close(focus, true);
		return LEASH_EXIT_SYSTEM;
	}
	play.page->grace_ms = leash_image_settings(image)->background_off
				      ? LEASH_SESSION_NO_GRACE
				      : leash_image_settings(image)->grace_ms;
	program = strrchr(spawn->program->path, '/');
	program = program ? program + 1 : spawn->program->path;
	memcpy(play.page->program, program, strnlen(program, sizeof(play.page->program) - 1));
	if (spawn->events && strlen(spawn->events) < sizeof(play.page->events))
		strcpy(play.page->events, spawn->events);
	spawn->own_pid = &play.page->program_pid;
	spawn->started = started;
	spawn->tick = tick;
	spawn->arg = &play;
	spawn->image = run.image;
	spawn->session = run.page;
	spawn->kill_rest = leash_image_settings(image)->profile == LEASH_PROFILE_BUILD;
	tell_weak(image, false);
	if (!wish->quiet)
		tell_unenforced(image);
	tell_no_background(wish, image);
	error = leash_spawn_wait(spawn, &status);
	leash_focus_close(focus, wish->quiet || error != 0);
	if (error == 0) {
		leash_summary(run.page_fd, image, wish->summary, &refused);
		if (!wish->quiet)
			tell_weak(image, true);
	}
	munmap(play.page, sizeof(*play.page));
	leash_run_remove(&run);
	if (error)
		return error;
	if (wish->fail_on_violation && refused)
		return LEASH_EXIT_VIOLATION;
	return leash_die_like(status);
}

int leash_cmd_run(const struct leash_command *self, int argc, char *argv[])
{
	struct wish wish = {
		.compile.audit = -1, .summary = true, .background_ms = -1, .foreground_ms = -1};
	char shim[PATH_MAX], events[PATH_MAX];
	struct leash_compiled compiled;
	struct leash_program program;
	struct leash_spawn spawn = {.program = &program, .shim = shim};
	struct leash_focus *focus = NULL;
	bool done;
	int status = read_options(self, argc, argv, &wish, &done);

	if (done)
		return status;
	if (leash_on_leash(shim, sizeof(shim))) {
		leash_say("already on a leash (LD_PRELOAD has %s): a second policy could only "
			  "loosen it",
			  shim);
		return LEASH_EXIT_SYSTEM;
	}
	status = leash_compile(&wish.compile, &compiled);
	leash_faults_print(stderr, &compiled);
	if (status < 0) {
		if (status == -ENOMEM)
			leash_say("%s", strerror(ENOMEM));
		else
			leash_say("the policy has %zu error%s: %s was not started",
				  compiled.error_count, compiled.error_count == 1 ? "" : "s",
				  argv[optind]);
		leash_compiled_free(&compiled);
		return status == -ENOMEM ? LEASH_EXIT_SYSTEM : LEASH_EXIT_POLICY;
	}

	if (!wish.events)
		wish.events = getenv(LEASH_ENV_EVENTS);
	if (wish.events && !wish.events[0])
		wish.events = NULL;
	status = leash_shim_find(shim);
	if (!status)
		status = leash_program_find(argv[optind], &program);
	if (!status && wish.events)
		status = open_events(wish.events, events);
	spawn.argv = argv + optind;
	spawn.events = wish.events ? events : NULL;
	spawn.quiet = wish.quiet;
	if (!status && wish.follow_focus) {
		focus = leash_focus_open();
		status = focus ? 0 : LEASH_EXIT_SYSTEM;
	}
	if (!status)
		status = run_image(&wish, &compiled, &spawn, focus);
	leash_compiled_free(&compiled);
	return status;
}
