/* SPDX-License-Identifier: MIT */
/*
 * What a desktop says about focus is on the root window (EWMH): _NET_ACTIVE_WINDOW, and _NET_CLIENT_LIST with
 * all windows. A window is the program's if its _NET_WM_PID is one of our descendants: we are their
 * sub-reaper, so the parents of each lead to us. A thread sleeps on the display's events; nothing is polled.
 *
 * The session is in the background while the program has a window, and the active one is none of them or is
 * minimised. Without any window, before the first and between two, it is in the foreground: a program that
 * exchanges its splash screen for its main window has not been left.
 */
#include "shim/launch/focus.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"
#include "shim/launch/control.h"
#include "shim/launch/launch.h"
#include "shim/launch/xcb.h"

#define LIBRARY	    "libxcb.so.1"
#define WINDOWS_MAX 4096 /* past it the newest are not seen */
#define STATES_MAX  64
#define DEPTH_MAX   1000 /* of a process tree; /proc changes while it is read */
/* Window managers set "none" for a moment when the focus goes from one window to the next. */
#define SETTLE_MS   250

enum {
	ATOM_ACTIVE,
	ATOM_CLIENTS,
	ATOM_CHECK,
	ATOM_SUPPORTED,
	ATOM_PID,
	ATOM_MACHINE,
	ATOM_STATE,
	ATOM_HIDDEN,
	ATOM_WM_STATE,
	ATOM_COUNT
};
static const char *const atom_name[ATOM_COUNT] = {
	[ATOM_ACTIVE] = "_NET_ACTIVE_WINDOW",
	[ATOM_CLIENTS] = "_NET_CLIENT_LIST",
	[ATOM_CHECK] = "_NET_SUPPORTING_WM_CHECK",
	[ATOM_SUPPORTED] = "_NET_SUPPORTED",
	[ATOM_PID] = "_NET_WM_PID",
	[ATOM_MACHINE] = "WM_CLIENT_MACHINE",
	[ATOM_STATE] = "_NET_WM_STATE",
	[ATOM_HIDDEN] = "_NET_WM_STATE_HIDDEN",
	[ATOM_WM_STATE] = "WM_STATE",
};

struct leash_focus {
	void *library;
	struct leash_xcb xcb;
	struct leash_xcb_connection *display;
	uint32_t root, atom[ATOM_COUNT];
	char machine[256];
	struct leash_session *page;
	pthread_t thread;
	bool started;
	_Atomic int stop;
	bool seen;	/* a window of the program */
	bool away;	/* what the windows say */
	int64_t away_ms;/* since when, while it has not been said */
	bool told_away; /* what we have said */
	/* Windows whose properties we hear of: the program's, and those without a process id */
	size_t heard_count;
	uint32_t heard[WINDOWS_MAX], window[WINDOWS_MAX], heard_next[WINDOWS_MAX];
	struct leash_xcb_cookie pid[WINDOWS_MAX], on[WINDOWS_MAX];
};

/* ------------------------------------------------------------------------------ properties */

static struct leash_xcb_cookie ask(struct leash_focus *f, uint32_t window, unsigned int atom,
				   uint32_t words)
{
	return f->xcb.get_property(f->display, 0, window, f->atom[atom], 0, 0, words);
}

/* Return: the reply, to be freed, if its values are of @format bits; NULL for none, and for a window that is gone */
static struct leash_xcb_property *answer(struct leash_focus *f, struct leash_xcb_cookie cookie,
					 uint8_t format)
{
	void *error = NULL;
	struct leash_xcb_property *reply = f->xcb.get_property_reply(f->display, cookie, &error);

	free(error);
	if (reply && reply->format == format && reply->value_len > 0)
		return reply;
	free(reply);
	return NULL;
}

static size_t words(struct leash_focus *f, struct leash_xcb_cookie cookie, uint32_t *ret, size_t max)
{
	struct leash_xcb_property *reply = answer(f, cookie, 32);
	size_t count = 0;

	if (reply) {
		count = reply->value_len < max ? reply->value_len : max;
		memcpy(ret, reply + 1, count * sizeof(*ret));
	}
	free(reply);
	return count;
}

static uint32_t word(struct leash_focus *f, struct leash_xcb_cookie cookie)
{
	uint32_t value = 0;

	words(f, cookie, &value, 1);
	return value;
}

/* _NET_WM_PID counts on the machine that it was said on: "host" and "host.example.com" are one. */
static bool is_here(struct leash_focus *f, struct leash_xcb_cookie cookie)
{
	struct leash_xcb_property *reply = answer(f, cookie, 8);
	const char *text = (const char *)(reply + 1);
	bool here = true;

	if (reply) {
		size_t len = strnlen(text, reply->value_len), own = strlen(f->machine);
		size_t common = len < own ? len : own;

		here = strncmp(text, f->machine, common) == 0 &&
		       (len == own || (len > own ? text[own] : f->machine[len]) == '.');
	}
	free(reply);
	return here;
}

/* ------------------------------------------------------------------------------ the windows */

/* Do the parents of a process lead to us? */
static bool is_descendant(pid_t pid)
{
	for (int depth = 0; pid > 1 && depth < DEPTH_MAX; depth++) {
		char path[64], stat[512], *end;
		size_t len;
		FILE *file;

		if (pid == getpid())
			return depth > 0;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = fopen(path, "re");
		if (!file)
			return false;
		len = fread(stat, 1, sizeof(stat) - 1, file);
		fclose(file);
		stat[len] = '\0';
		end = strrchr(stat, ')'); /* "PID (NAME) STATE PPID …" */
		if (!end || strlen(end) < 5)
			return false;
		pid = (pid_t)strtol(end + 4, NULL, 10);
	}
	return false;
}

static void hear(struct leash_focus *f, uint32_t window, uint32_t mask)
{
	f->xcb.change_window_attributes(f->display, window, LEASH_XCB_CW_EVENT_MASK, &mask);
}

static bool is_heard(const struct leash_focus *f, uint32_t window)
{
	for (size_t i = 0; i < f->heard_count; i++)
		if (f->heard[i] == window)
			return true;
	return false;
}

static bool is_hidden(struct leash_focus *f, uint32_t window)
{
	struct leash_xcb_cookie icccm = ask(f, window, ATOM_WM_STATE, 1);
	struct leash_xcb_cookie ewmh = ask(f, window, ATOM_STATE, STATES_MAX);
	uint32_t state[STATES_MAX];
	bool hidden = word(f, icccm) == LEASH_XCB_ICONIC;

	for (size_t count = words(f, ewmh, state, STATES_MAX); count > 0; count--)
		hidden = hidden || state[count - 1] == f->atom[ATOM_HIDDEN];
	return hidden;
}

/* Whose windows are there, and which of them is in front? Asked for in one go, after we have asked to be told of
 * changes: nothing is missed in between. */
static void look(struct leash_focus *f)
{
	struct leash_xcb_cookie active_cookie = ask(f, f->root, ATOM_ACTIVE, 1);
	struct leash_xcb_cookie clients = ask(f, f->root, ATOM_CLIENTS, WINDOWS_MAX);
	const uint32_t active = word(f, active_cookie);
	const size_t count = words(f, clients, f->window, WINDOWS_MAX);
	bool any = false, front = false;
	size_t heard = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_heard(f, f->window[i]))
			hear(f, f->window[i], LEASH_XCB_MASK_PROPERTY);
		f->pid[i] = ask(f, f->window[i], ATOM_PID, 1);
		f->on[i] = ask(f, f->window[i], ATOM_MACHINE, 64);
	}
	for (size_t i = 0; i < count; i++) {
		const uint32_t window = f->window[i], pid = word(f, f->pid[i]);
		const bool ours = is_here(f, f->on[i]) && pid > 0 && pid <= INT32_MAX &&
				  is_descendant((pid_t)pid);

		any = any || ours;
		front = front || (ours && window == active);
		if (ours || pid == 0)
			f->heard_next[heard++] = window;
		else
			hear(f, window, 0); /* its title and the like are none of our business */
	}
	memcpy(f->heard, f->heard_next, heard * sizeof(f->heard[0]));
	f->heard_count = heard;
	f->seen = f->seen || any;
	f->away = any && (!front || is_hidden(f, active));
}

static bool matters(const struct leash_focus *f, const struct leash_xcb_property_notify *event)
{
	if ((event->response_type & 0x7f) != LEASH_XCB_PROPERTY_NOTIFY)
		return false;
	for (unsigned int i = 0; i < ATOM_COUNT; i++)
		if (event->atom == f->atom[i])
			return true;
	return false;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Only our own changes are told: what `netleash background` said holds until the focus moves.
 * Return: ms until there is more to do, or -1 */
static int apply(struct leash_focus *f)
{
	int64_t left_ms;

	if (f->away == f->told_away) {
		f->away_ms = 0;
		return -1;
	}
	if (f->away && f->away_ms == 0)
		f->away_ms = clock_ms();
	left_ms = f->away ? f->away_ms + SETTLE_MS - clock_ms() : 0;
	if (left_ms > 0)
		return (int)left_ms;
	f->told_away = f->away;
	f->away_ms = 0;
	leash_control_set(f->page, f->away, "focus");
	return -1;
}

static void *watch(void *arg)
{
	struct leash_focus *f = arg;
	struct pollfd display = {.fd = f->xcb.get_file_descriptor(f->display), .events = POLLIN};
	bool again = true;

	while (!f->xcb.connection_has_error(f->display)) {
		struct leash_xcb_property_notify *event;
		int wait_ms;

		/* Waiting for a reply queues events, and then the descriptor says nothing of them. */
		while ((event = f->xcb.poll_for_event(f->display))) {
			again = again || matters(f, event);
			free(event);
		}
		if (again) {
			again = false;
			look(f);
			continue;
		}
		wait_ms = apply(f);
		f->xcb.flush(f->display);
		poll(&display, 1, wait_ms);
	}
	if (!atomic_load(&f->stop))
		leash_say("--follow-focus: the X server has ended the connection: the session stays in the %s "
			  "until `netleash %s`",
			  f->told_away ? "background" : "foreground",
			  f->told_away ? "foreground" : "background");
	return NULL;
}

/* ---------------------------------------------------------------------------- open and close */

static bool load(struct leash_focus *f)
{
	f->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!f->library)
		return false;
#define BIND(name, ret, params)                                                                    \
	*(void **)&f->xcb.name = dlsym(f->library, "xcb_" #name);                                  \
	if (!f->xcb.name)                                                                          \
		return false;
	LEASH_XCB_CALLS(BIND)
#undef BIND
	return true;
}

static bool set_atoms(struct leash_focus *f)
{
	struct leash_xcb_cookie cookie[ATOM_COUNT];
	bool all = true;

	for (unsigned int i = 0; i < ATOM_COUNT; i++)
		cookie[i] = f->xcb.intern_atom(f->display, 0, (uint16_t)strlen(atom_name[i]),
					       atom_name[i]);
	for (unsigned int i = 0; i < ATOM_COUNT; i++) {
		void *error = NULL;
		struct leash_xcb_atom *reply =
			f->xcb.intern_atom_reply(f->display, cookie[i], &error);

		f->atom[i] = reply ? reply->atom : 0;
		all = all && reply;
		free(reply);
		free(error);
	}
	return all;
}

/* A living one: the window that the root names exists, and names itself (EWMH). */
static bool has_manager(struct leash_focus *f)
{
	const uint32_t window = word(f, ask(f, f->root, ATOM_CHECK, 1));
	const size_t count =
		words(f, ask(f, f->root, ATOM_SUPPORTED, WINDOWS_MAX), f->window, WINDOWS_MAX);
	bool active = false, clients = false;

	for (size_t i = 0; i < count; i++) {
		active = active || f->window[i] == f->atom[ATOM_ACTIVE];
		clients = clients || f->window[i] == f->atom[ATOM_CLIENTS];
	}
	return window && word(f, ask(f, window, ATOM_CHECK, 1)) == window && active && clients;
}

static bool connect_to(struct leash_focus *f, const char *name)
{
	struct leash_xcb_screens screens;
	int number = 0;

	f->display = f->xcb.connect(NULL, &number);
	if (!f->display || f->xcb.connection_has_error(f->display)) {
		leash_say("--follow-focus: the display \"%s\" cannot be opened: is it running, and may you use "
			  "it (XAUTHORITY)?",
			  name);
		return false;
	}
	screens = f->xcb.setup_roots_iterator(f->xcb.get_setup(f->display));
	while (number-- > 0 && screens.rem > 1)
		f->xcb.screen_next(&screens);
	f->root = screens.data->root;
	if (!set_atoms(f)) {
		leash_say("--follow-focus: the display \"%s\" has ended the connection", name);
		return false;
	}
	hear(f, f->root, LEASH_XCB_MASK_PROPERTY);
	if (!has_manager(f)) {
		leash_say("--follow-focus: on the display \"%s\" no window manager says which window is active "
			  "(EWMH, _NET_ACTIVE_WINDOW): start one that does, for example openbox",
			  name);
		return false;
	}
	return true;
}

struct leash_focus *leash_focus_open(void)
{
	const char *name = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
	struct leash_focus *f;

	if (!name || !name[0]) {
		if (wayland && wayland[0])
			leash_say("--follow-focus: DISPLAY is not set, and Wayland tells no other program which "
				  "window has the focus: start Xwayland and the program as an X11 one, or use "
				  "`netleash background` and `netleash foreground`");
		else
			leash_say("--follow-focus: DISPLAY is not set: it needs an X11 desktop (DISPLAY=:0, for "
				  "example)");
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		leash_say("%s", strerror(ENOMEM));
		return NULL;
	}
	gethostname(f->machine, sizeof(f->machine) - 1);
	if (!load(f))
		leash_say("--follow-focus: %s: install libxcb (Debian: libxcb1)", dlerror());
	else if (connect_to(f, name))
		return f;
	leash_focus_close(f, true);
	return NULL;
}

int leash_focus_start(struct leash_focus *f, struct leash_session *page)
{
	int error;

	f->page = page;
	error = pthread_create(&f->thread, NULL, watch, f);
	f->started = error == 0;
	return -error;
}

void leash_focus_close(struct leash_focus *f, bool quiet)
{
	if (!f)
		return;
	if (f->started) {
		/* Wakes it from both of its sleeps: for an event, and for a reply that a hanging server owes. */
		atomic_store(&f->stop, 1);
		shutdown(f->xcb.get_file_descriptor(f->display), SHUT_RDWR);
		pthread_join(f->thread, NULL);
		if (!f->seen && !quiet)
			leash_say("--follow-focus: the program never had an X11 window that says its process "
				  "(_NET_WM_PID), so the focus changed nothing%s",
				  getenv("WAYLAND_DISPLAY")
					  ? "; if its window was a Wayland one: SDL_VIDEODRIVER=x11, "
					    "GDK_BACKEND=x11, QT_QPA_PLATFORM=xcb"
					  : "");
	}
	if (f->display)
		f->xcb.disconnect(f->display);
	if (f->library)
		dlclose(f->library);
	free(f);
}
