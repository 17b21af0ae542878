/* SPDX-License-Identifier: MIT */
/*
 * netleash compile-image: what the shim runs under plain LD_PRELOAD (abi.h). It
 * answers on LEASH_COMPILE_FD alone: standard error is the program's.
 */
#include "shim/launch/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"

#define ANSWER_MAX 1024 /* bytes of the one line */
#define KEEP_S (7 * 24 * 60 * 60)

static bool write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

__attribute__((format(printf, 2, 3))) static int complain(int status, const char *format, ...)
{
	char line[ANSWER_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	leash_clean(line);
	return write_all(LEASH_COMPILE_FD, line, strlen(line)) ? status : LEASH_EXIT_SYSTEM;
}

static int complain_faults(const struct leash_compiled *compiled)
{
	char more[48] = "", line[24] = "";

	for (size_t i = 0; i < compiled->fault_count; i++) {
		const struct leash_fault *fault = &compiled->faults[i];

		if (fault->kind != LEASH_FAULT_ERROR)
			continue;
		if (compiled->error_count > 1)
			snprintf(more, sizeof(more), " (and %zu more)", compiled->error_count - 1);
		if (fault->line)
			snprintf(line, sizeof(line), ":%u", fault->line);
		/* Not so long that the count behind it is cut off. */
		return complain(LEASH_EXIT_POLICY, "%.400s%s%s%.500s%s",
				fault->file ? fault->file : "", line,
				fault->file && fault->file[0] ? ": " : "", fault->message, more);
	}
	return complain(LEASH_EXIT_SYSTEM, "the policy cannot be compiled");
}

/* Does this image come from this policy, and from its files as they are now? */
static bool is_current(const struct leash_image *image, const char *policy)
{
	char absolute[PATH_MAX];

	if (!realpath(policy, absolute) || strcmp(absolute, leash_image_path(image)) != 0 ||
	    leash_image_source_count(image) == 0)
		return false;
	for (uint32_t i = 0; i < leash_image_source_count(image); i++) {
		const struct leash_source *source = leash_image_source(image, i);
		struct stat st;

		if (stat(leash_image_string(image, source->path), &st) < 0 ||
		    st.st_dev != source->dev || st.st_ino != source->ino ||
		    (uint64_t)st.st_size != source->size || (st.st_mode & S_IWOTH) ||
		    (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec !=
			    source->mtime_ns)
			return false;
	}
	return true;
}

/* A kept image, if nobody but us could have made it and it is still right. */
static void *read_cache(const char *cache, const char *policy, size_t *ret_len)
{
	const struct leash_image *image;
	int fd = open(cache, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t *block = NULL;
	size_t len = 0, got = 0;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & 022) && st.st_size > 0 && st.st_size <= LEASH_IMAGE_MAX) {
		len = (size_t)st.st_size;
		block = malloc(len);
	}
	while (block && got < len) {
		ssize_t n = read(fd, (char *)block + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	if (block && got == len && leash_image_open(block, len, &image) == 0 &&
	    is_current(image, policy)) {
		*ret_len = len;
		return block;
	}
	free(block);
	return NULL;
}

/* Is the directory of this file ours alone? */
static bool is_private(const char *cache)
{
	char dir[PATH_MAX], *slash;
	struct stat st;

	if (cache[0] != '/' || strlen(cache) >= sizeof(dir))
		return false;
	strcpy(dir, cache);
	slash = strrchr(dir, '/');
	*slash = '\0';
	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

/* By rename: whoever opens the name finds all of it. A cache that cannot be written is none. */
static void write_cache(const char *cache, const void *image, size_t len)
{
	char fresh[PATH_MAX];
	bool good;
	int fd;

	if (snprintf(fresh, sizeof(fresh), "%s.%d", cache, getpid()) >= (int)sizeof(fresh))
		return;
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return;
	good = write_all(fd, image, len) && fchmod(fd, 0444) == 0;
	if (close(fd) < 0 || !good || rename(fresh, cache) < 0)
		unlink(fresh);
}

/* Held until this process ends. Without it two compile, and both are right. */
static void lock_cache(const char *cache)
{
	char name[PATH_MAX];
	int fd;

	if (snprintf(name, sizeof(name), "%s.lock", cache) >= (int)sizeof(name))
		return;
	fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
}

/* Policies come and go, and nobody else takes their images away. One that is still in use is made anew; whoever
 * has it mapped keeps it. */
static void drop_old(const char *cache)
{
	const size_t dir_len = (size_t)(strrchr(cache, '/') - cache);
	char dir[PATH_MAX];
	struct dirent *entry;
	DIR *list;

	memcpy(dir, cache, dir_len);
	dir[dir_len] = '\0';
	list = opendir(dir);
	while (list && (entry = readdir(list))) {
		struct stat st;

		if (strncmp(entry->d_name, "image-", 6) == 0 &&
		    fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtim.tv_sec < time(NULL) - KEEP_S)
			unlinkat(dirfd(list), entry->d_name, 0);
	}
	if (list)
		closedir(list);
}

static int compile(const char *policy, const char *project, const char *cache)
{
	const struct leash_compile_options wish = {
		.policy = policy, .project = project, .audit = -1};
	struct leash_compiled compiled;
	int error, status = LEASH_EXIT_OK;
	size_t len;
	void *kept;

	if (cache) {
		lock_cache(cache);
		kept = read_cache(cache, policy, &len);
		if (kept)
			return write_all(LEASH_COMPILE_FD, kept, len) ? LEASH_EXIT_OK
								      : LEASH_EXIT_SYSTEM;
	}
	error = leash_compile(&wish, &compiled);
	if (error == 0) {
		if (!write_all(LEASH_COMPILE_FD, compiled.image, compiled.image_len)) {
			status = LEASH_EXIT_SYSTEM;
		} else if (cache) {
			write_cache(cache, compiled.image, compiled.image_len);
			drop_old(cache);
		}
	} else if (error == -ENOMEM) {
		status = complain(LEASH_EXIT_SYSTEM, "%s: %s", policy ? policy : project,
				  strerror(ENOMEM));
	} else {
		status = complain_faults(&compiled);
	}
	leash_compiled_free(&compiled);
	return status;
}

int leash_cmd_compile_image(const struct leash_command *self, int argc, char *argv[])
{
	const char *policy, *project, *cache;

	(void)self;
	/* Before anything is opened: descriptor 3 must be the caller's. */
	if (fcntl(LEASH_COMPILE_FD, F_GETFD) < 0)
		return LEASH_EXIT_SYSTEM;
	fcntl(LEASH_COMPILE_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	if (argc != 4)
		return complain(LEASH_EXIT_USAGE, "%s: POLICY PROJECT CACHE are wanted", argv[0]);
	policy = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
	project = strcmp(argv[2], "-") == 0 ? NULL : argv[2];
	cache = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
	/* In a directory where others write nothing is kept. A project file that is not there yet is
	 * among the sources as its directory, so that a kept image goes stale when it appears. */
	if (cache && !is_private(cache))
		cache = NULL;
	return compile(policy, project, cache);
}
