/* SPDX-License-Identifier: MIT */
#include "shim/launch/control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"
#include "shim/events/event.h"
#include "shim/launch/launch.h"
#include "shim/launch/session.h"

/* ---------------------------------------------------------------------- sessions of others */

/* Ours, and nobody else can have put something there. */
static int open_dir(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool is_id(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && digits < 12 && name[digits] == '-' && strlen(name + digits + 1) == 16 &&
	       strspn(name + digits + 1, "0123456789abcdef") == 16;
}

/* Locked while its run lives: then it is one */
static struct leash_session *map_page(int dir_fd, const char *id)
{
	char path[NAME_MAX + 16];
	struct leash_session *page;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/session", id);
	fd = openat(dir_fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_size < (off_t)sizeof(*page) || flock(fd, LOCK_SH | LOCK_NB) == 0) {
		close(fd);
		return NULL;
	}
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return NULL;
	if (page->magic != LEASH_SESSION_MAGIC || page->abi_version != LEASH_ABI_VERSION) {
		munmap(page, sizeof(*page));
		return NULL;
	}
	return page;
}

static size_t list_dir(const char *path, struct leash_found *ret, size_t room)
{
	int fd = open_dir(path);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	size_t count = 0;

	if (!dir)
		return 0;
	leash_run_sweep(fd);
	while (count < room && (entry = readdir(dir))) {
		struct leash_found *found = &ret[count];

		if (!is_id(entry->d_name))
			continue;
		found->page = map_page(fd, entry->d_name);
		if (!found->page)
			continue;
		snprintf(found->id, sizeof(found->id), "%.63s", entry->d_name);
		if (snprintf(found->page_path, sizeof(found->page_path), "%.4000s/%s/session", path,
			     found->id) < (int)sizeof(found->page_path))
			count++;
	}
	closedir(dir);
	return count;
}

static int by_pid(const void *a, const void *b)
{
	const struct leash_found *x = a, *y = b;
	long left = strtol(x->id, NULL, 10), right = strtol(y->id, NULL, 10);

	return left < right ? -1 : left > right;
}

size_t leash_control_list(struct leash_found ret[static LEASH_FOUND_MAX])
{
	char path[3][PATH_MAX];
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	size_t count = 0, dirs = 0;

	/* All three: a run may have been started where XDG_RUNTIME_DIR was another. */
	if (runtime && runtime[0] == '/')
		snprintf(path[dirs++], PATH_MAX, "%s/%s", runtime, LEASH_DIR_NAME);
	if (geteuid() == 0)
		snprintf(path[dirs++], PATH_MAX, "/run/" LEASH_DIR_NAME);
	else if (!runtime)
		snprintf(path[dirs++], PATH_MAX, "/run/user/%u/" LEASH_DIR_NAME, geteuid());
	snprintf(path[dirs++], PATH_MAX, "/tmp/" LEASH_DIR_NAME "-%u", geteuid());
	for (size_t i = 0; i < dirs; i++) {
		bool twice = false;

		for (size_t k = 0; k < i; k++)
			twice = twice || strcmp(path[i], path[k]) == 0;
		if (!twice)
			count += list_dir(path[i], ret + count, LEASH_FOUND_MAX - count);
	}
	qsort(ret, count, sizeof(*ret), by_pid);
	return count;
}

void leash_control_release(struct leash_found *found, size_t count)
{
	for (size_t i = 0; i < count; i++)
		munmap(found[i].page, sizeof(*found[i].page));
}

bool leash_control_owner(const struct leash_found *found, pid_t pid)
{
	char path[64], wanted[PATH_MAX + sizeof(LEASH_ENV_SESSION) + 1], *text;
	size_t size = 1u << 20, len;
	bool found_it = false;
	FILE *file;

	if (strtol(found->id, NULL, 10) == pid || found->page->program_pid == pid)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	snprintf(wanted, sizeof(wanted), "%s=%s", LEASH_ENV_SESSION, found->page_path);
	file = fopen(path, "re");
	text = malloc(size + 1);
	if (file && text) {
		len = fread(text, 1, size, file);
		text[len] = '\0';
		for (char *at = text; at < text + len && !found_it; at += strlen(at) + 1)
			found_it = strcmp(at, wanted) == 0;
	}
	free(text);
	if (file)
		fclose(file);
	return found_it;
}

static void tell(const struct leash_session *page, bool away, const char *why)
{
	char detail[128], line[LEASH_EVENT_LINE_MAX];
	struct leash_event event = {
		.kind = LEASH_EVENT_STATE,
		.pid = getpid(),
		.exe = LEASH_COMMAND_NAME,
		.detail = detail,
		.bytes_sent = -1,
		.bytes_received = -1,
	};
	struct timespec now;
	size_t len;
	int fd;

	/* The page may have been written to by the program: not a file of somebody else's choice. */
	if (page->events[0] != '/' || memchr(page->events, '\0', sizeof(page->events)) == NULL)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	event.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	snprintf(detail, sizeof(detail), "%s: %s", away ? "background" : "foreground", why);
	fd = open(page->events, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return;
	len = leash_event_line(&event, line);
	if (write(fd, line, len) != (ssize_t)len)
		leash_say("%s: %s", page->events, strerror(errno));
	close(fd);
}

bool leash_control_set(struct leash_session *page, bool away, const char *why)
{
	int64_t before = page->background_ns, after = 0;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (away)
		after = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	do {
		if ((before != 0) == away)
			return false;
	} while (!atomic_compare_exchange_weak(&page->background_ns, &before, after));
	clock_gettime(CLOCK_REALTIME, &now);
	page->changed_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	atomic_fetch_add(&page->change, 1);
	syscall(SYS_futex, &page->change, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	tell(page, away, why);
	return true;
}

/* --------------------------------------------------------------------------- a run's own */

int64_t leash_duration(const char *text)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	double value;
	char *end;

	if (text[0] < '0' || text[0] > '9' || text[1] == 'x' || text[1] == 'X')
		return -1;
	value = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && value * units[i].ms < 1e12)
			return (int64_t)(value * units[i].ms + 0.5);
	return -1;
}

int leash_scenario_add(struct leash_scenario *scenario, int64_t at_ms, bool away)
{
	struct leash_scene *grown;

	if (scenario->count > 0 && scenario->scenes[scenario->count - 1].at_ms > at_ms)
		return -EINVAL;
	if (scenario->count == LEASH_SCENES_MAX)
		return -E2BIG;
	grown = realloc(scenario->scenes, (scenario->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	scenario->scenes = grown;
	grown[scenario->count++] = (struct leash_scene){.at_ms = at_ms, .away = away};
	return 0;
}

void leash_scenario_free(struct leash_scenario *scenario)
{
	free(scenario->scenes);
	*scenario = (struct leash_scenario){0};
}

static int read_line(struct leash_scenario *scenario, char *line, const char *path, size_t number)
{
	static const char accepted[] = "a time (500ms, 3s, 1.5m) and background or foreground";
	char *time_text, *state, *rest, *save = NULL;
	int64_t at_ms;
	bool away;
	int error;

	line[strcspn(line, "#\r\n")] = '\0';
	time_text = strtok_r(line, " \t", &save);
	if (!time_text)
		return 0;
	state = strtok_r(NULL, " \t", &save);
	rest = state ? strtok_r(NULL, " \t", &save) : NULL;
	at_ms = leash_duration(time_text);
	if (at_ms < 0) {
		leash_say("%s:%zu: \"%s\" is no time; a line is %s", path, number, time_text, accepted);
		return LEASH_EXIT_USAGE;
	}
	away = state && strcmp(state, "background") == 0;
	if (!state || rest || (!away && strcmp(state, "foreground") != 0)) {
		leash_say("%s:%zu: \"%s\"; a line is %s", path, number, rest ? rest : state ? state : "",
			  accepted);
		return LEASH_EXIT_USAGE;
	}
	error = leash_scenario_add(scenario, at_ms, away);
	if (error == -EINVAL)
		leash_say("%s:%zu: %s comes before the line above it; times count from the start", path,
			  number, time_text);
	else if (error == -E2BIG)
		leash_say("%s:%zu: more than %d lines", path, number, LEASH_SCENES_MAX);
	else if (error)
		leash_say("%s", strerror(-error));
	return error == -ENOMEM ? LEASH_EXIT_SYSTEM : error ? LEASH_EXIT_USAGE : 0;
}

int leash_scenario_read(struct leash_scenario *scenario, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, number = 0;
	int status = 0;

	if (!file) {
		leash_say("--scenario \"%s\": %s", path, strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	while (status == 0 && getline(&line, &size, file) >= 0)
		status = read_line(scenario, line, path, ++number);
	if (status == 0 && ferror(file)) {
		leash_say("--scenario \"%s\": %s", path, strerror(errno));
		status = LEASH_EXIT_SYSTEM;
	}
	free(line);
	fclose(file);
	if (status == 0 && scenario->count == 0) {
		leash_say("--scenario \"%s\": no line in it", path);
		status = LEASH_EXIT_USAGE;
	}
	return status;
}
