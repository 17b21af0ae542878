/* SPDX-License-Identifier: MIT */
/*
 * run --follow-focus: the state of a session follows the focus of its program's windows on an X11 display.
 *
 * libxcb is opened when the option is given: the command does not depend on it, and a run without the
 * option does not load it.
 */
#ifndef LEASH_LAUNCH_FOCUS_H
#define LEASH_LAUNCH_FOCUS_H

#include <stdbool.h>

struct leash_focus;
struct leash_session;

/**
 * leash_focus_open() - Connect to $DISPLAY, and see that its window manager says which window is active
 * Return: NULL after one line that says why not, and what to do
 */
struct leash_focus *leash_focus_open(void);

/**
 * leash_focus_start() - From now on the state of @page is that of the windows of our descendants
 * All signals must be blocked: the thread that watches inherits that.
 * Return: 0, or a negative errno
 */
int leash_focus_start(struct leash_focus *focus, struct leash_session *page);

/** leash_focus_close() - Stop watching. @quiet: no word if the program never had a window. @focus: may be NULL */
void leash_focus_close(struct leash_focus *focus, bool quiet);

#endif
