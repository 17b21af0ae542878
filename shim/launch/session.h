/* SPDX-License-Identifier: MIT */
/* One run: its directory in the private directory, the image file, the session page. */
#ifndef LEASH_LAUNCH_SESSION_H
#define LEASH_LAUNCH_SESSION_H

#include <limits.h>
#include <stddef.h>

struct leash_run {
	char dir[PATH_MAX];   /* …/netleash/PID-RANDOM */
	char image[PATH_MAX]; /* dir/image */
	char page[PATH_MAX];  /* dir/session */
	int page_fd;          /* locked while the run lives; close-on-exec */
	int parent_fd;        /* the private directory */
};

/**
 * leash_run_make() - Make the directory of a run, with its image and an empty session page
 * @ret:	Filled in on success; leash_run_remove() takes it away again
 * @why:	On failure: which file, and what is wrong with it
 *
 * Directories that runs left behind when they were killed are removed on the way.
 * Return: 0, or a negative errno
 */
int leash_run_make(const void *image, size_t len, struct leash_run *ret, char *why,
		   size_t why_size);
void leash_run_remove(struct leash_run *run);

/** leash_run_sweep() - Remove what runs that were killed left behind in a private directory */
void leash_run_sweep(int parent_fd);

#endif
