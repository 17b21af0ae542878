/* SPDX-License-Identifier: MIT */
/* Running sessions, seen from outside: found in the private directory, read and told by their page. */
#ifndef LEASH_LAUNCH_CONTROL_H
#define LEASH_LAUNCH_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct leash_session;

/* ---------------------------------------------------------------------- sessions of others */
#define LEASH_FOUND_MAX 256

struct leash_found {
	char id[64];			/* PID-RANDOM */
	char page_path[PATH_MAX];
	struct leash_session *page;	/* mapped; leash_control_release() unmaps it */
};

/**
 * leash_control_list() - The running sessions of this user, the oldest first
 * What runs that were killed left behind is removed on the way.
 * Return: how many of @ret were filled in
 */
size_t leash_control_list(struct leash_found ret[static LEASH_FOUND_MAX]);
void leash_control_release(struct leash_found *found, size_t count);

/** leash_control_owner() - Is @pid a process of that session? */
bool leash_control_owner(const struct leash_found *found, pid_t pid);

/**
 * leash_control_set() - Send a session to the background, or bring it back
 * @why:	For the event
 * Return: did it change? false: it was there already
 */
bool leash_control_set(struct leash_session *page, bool away, const char *why);

/* --------------------------------------------------------------------------- a run's own */
struct leash_scene {
	int64_t at_ms;		/* after the program's start */
	bool away;
};
#define LEASH_SCENES_MAX 4096

struct leash_scenario {
	struct leash_scene *scenes;	/* in order; freed by leash_scenario_free() */
	size_t count;
};

/** leash_duration() - "3s", "500ms", "1.5m": milliseconds, or -1 */
int64_t leash_duration(const char *text);

/** leash_scenario_add() - One more, behind what is there. Return: 0, -EINVAL (earlier than the last), -ENOMEM,
 *  -E2BIG */
int leash_scenario_add(struct leash_scenario *scenario, int64_t at_ms, bool away);

/** leash_scenario_read() - A list of "TIME STATE" lines. Return: 0, or an exit status after one line that
 *  says FILE:LINE and what is wrong */
int leash_scenario_read(struct leash_scenario *scenario, const char *path);
void leash_scenario_free(struct leash_scenario *scenario);

#endif
