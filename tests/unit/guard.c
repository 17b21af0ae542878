/* SPDX-License-Identifier: MIT */
#include "tests/unit/guard.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void die(const char *what, const char *name)
{
	fprintf(stderr, "guard: %s: %s\n", what, name);
	exit(1);
}

/* GUARD_MAX bytes between two unreadable pages */
static uint8_t *map_guarded(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map = mmap(NULL, GUARD_MAX + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	if (map == MAP_FAILED || mprotect(map + page, GUARD_MAX, PROT_READ | PROT_WRITE) < 0)
		die("cannot map", "guard pages");
	return map + page;
}

uint8_t *guard_tail(const void *buf, size_t len)
{
	static uint8_t *room;

	if (!room)
		room = map_guarded();
	if (len > GUARD_MAX)
		die("too long for a copy", "guard_tail");
	if (len)
		memcpy(room + GUARD_MAX - len, buf, len);
	return room + GUARD_MAX - len;
}

uint8_t *guard_head(const void *buf, size_t len)
{
	static uint8_t *room;

	if (!room)
		room = map_guarded();
	if (len > GUARD_MAX)
		die("too long for a copy", "guard_head");
	if (len)
		memcpy(room, buf, len);
	return room;
}

const char *guard_path(const char *name)
{
	static char path[PATH_MAX];
	const char *base = getenv("LEASH_TEST_DATA");

	if (base) {
		snprintf(path, sizeof(path), "%s/%s", base, name);
		return path;
	}
	for (int up = 0; up < 8; up++) {
		size_t len = 0;

		for (int i = 0; i < up; i++)
			len += (size_t)snprintf(path + len, sizeof(path) - len, "../");
		snprintf(path + len, sizeof(path) - len, "tests/data/%s", name);
		if (access(path, R_OK) == 0)
			return path;
	}
	die("not found below tests/data (set LEASH_TEST_DATA)", name);
	return NULL;
}

struct guard_file guard_read(const char *name)
{
	const char *path = guard_path(name);
	FILE *file = fopen(path, "rb");
	struct guard_file ret = {0};

	if (!file)
		die("cannot open", path);
	ret.bytes = malloc(GUARD_MAX);
	if (!ret.bytes)
		die("no memory", path);
	ret.len = fread(ret.bytes, 1, GUARD_MAX, file);
	if (ferror(file) || ret.len == GUARD_MAX)
		die("cannot read, or too long", path);
	fclose(file);
	return ret;
}
