/* SPDX-License-Identifier: MIT */
/*
 * The private directory is chosen and checked as abi.h says it. What a run
 * needs is first put into ".new-ID" and then renamed to "ID": whoever sees an ID
 * sees a complete one, whose page is locked (flock) as long as its run lives. So
 * a directory without a living lock is left over from a run that was killed,
 * whatever process ids say: another container may share the directory.
 */
#include "shim/launch/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/abi.h"

#define NEW_PREFIX    ".new-"
#define NEW_MAX_AGE_S 60   /* a ".new-" directory lives for a millisecond */
#define SWEEP_MAX     4096 /* entries looked at; the rest is the next run's */

__attribute__((format(printf, 4, 5))) static int failed(char *why, size_t size, int error,
							const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, size, format, ap);
	va_end(ap);
	return -error;
}

static mode_t wanted_mode(void)
{
	/* A program that gives up root must still reach its image. */
	return geteuid() == 0 ? 0711 : 0700;
}

/* Ours, no symbolic link, and nobody else may write there. */
static int open_private(const char *path, int *ret_fd, char *why, size_t size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error;

	if (fd < 0) {
		error = errno;
		return failed(why, size, error, "%s: %s", path,
			      error == ELOOP || error == ENOTDIR ? "is no directory of its own"
								 : strerror(error));
	}
	error = fstat(fd, &st) < 0 ? errno : 0;
	if (error == 0 && st.st_uid != geteuid()) {
		failed(why, size, EPERM, "%s: belongs to user %u, not to you", path, st.st_uid);
		error = EPERM;
	} else if (error == 0 && (st.st_mode & 022)) {
		failed(why, size, EPERM, "%s: others may write there (mode %03o)", path,
		       st.st_mode & 0777);
		error = EPERM;
	} else if (error == 0 && (st.st_mode & 07777) != wanted_mode() &&
		   fchmod(fd, wanted_mode()) < 0) {
		error = errno;
		failed(why, size, error, "%s: chmod: %s", path, strerror(error));
	}
	if (error) {
		close(fd);
		return -error;
	}
	*ret_fd = fd;
	return 0;
}

/* $XDG_RUNTIME_DIR counts if it is absolute and ours; root's must let others through too. */
static bool runtime_dir(char *buf, size_t size)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!dir || dir[0] != '/' || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid() || (geteuid() == 0 && !(st.st_mode & 0001)))
		return false;
	return snprintf(buf, size, "%s/%s", dir, LEASH_DIR_NAME) < (int)size;
}

static int private_dir(char ret_path[static PATH_MAX], int *ret_fd, char *why, size_t size)
{
	char candidate[3][PATH_MAX];
	size_t count = 0;
	int error = ENOENT;

	if (runtime_dir(candidate[count], PATH_MAX))
		count++;
	if (geteuid() == 0)
		strcpy(candidate[count++], "/run/" LEASH_DIR_NAME);
	snprintf(candidate[count++], PATH_MAX, "/tmp/" LEASH_DIR_NAME "-%u", geteuid());
	for (size_t i = 0; i < count; i++) {
		if (mkdir(candidate[i], wanted_mode()) < 0 && errno != EEXIST) {
			error = errno;
			failed(why, size, error, "%s: %s", candidate[i], strerror(error));
			continue;
		}
		strcpy(ret_path, candidate[i]);
		return open_private(candidate[i], ret_fd, why, size);
	}
	return -error;
}

static void remove_dir(int parent_fd, const char *name)
{
	static const char *const files[] = {"image", "session"};
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		for (size_t i = 0; i < 2; i++)
			unlinkat(fd, files[i], 0);
		close(fd);
	}
	unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* Is "PID-RANDOM" the directory of a run that is no more? */
static bool is_stale(int parent_fd, const char *name)
{
	char page[NAME_MAX + sizeof("/session")];
	bool stale;
	int fd;

	snprintf(page, sizeof(page), "%s/session", name);
	fd = openat(parent_fd, page, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT; /* half removed */
	stale = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return stale;
}

static bool is_old(int parent_fd, const char *name)
{
	struct stat st;

	return fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       time(NULL) - st.st_mtime > NEW_MAX_AGE_S;
}

/* "PID-RANDOM": digits, a dash, hex digits. Returns the PID or 0. */
static pid_t parse_id(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	if (name[0] < '1' || name[0] > '9' || *end != '-' || pid > INT_MAX ||
	    strlen(end + 1) != 16 || strspn(end + 1, "0123456789abcdef") != 16)
		return 0;
	return (pid_t)pid;
}

void leash_run_sweep(int parent_fd)
{
	int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	unsigned int looked = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (looked++ < SWEEP_MAX && (entry = readdir(dir))) {
		bool fresh = strncmp(entry->d_name, NEW_PREFIX, sizeof(NEW_PREFIX) - 1) == 0;
		pid_t pid = parse_id(entry->d_name + (fresh ? sizeof(NEW_PREFIX) - 1 : 0));

		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		/* Both for a new one: this clock may have been set, or be a false one (LD_PRELOAD). */
		if ((!fresh || is_old(parent_fd, entry->d_name)) && is_stale(parent_fd, entry->d_name))
			remove_dir(parent_fd, entry->d_name);
	}
	closedir(dir);
}

static int put_image(int dir_fd, const void *image, size_t len)
{
	const char *at = image;
	int fd =
		openat(dir_fd, "image", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int error = n < 0 ? errno : EIO;

			close(fd);
			return -error;
		}
		at += n;
		len -= (size_t)n;
	}
	/* The mode again: the umask may have taken bits that other users need. */
	if (fchmod(fd, 0444) < 0 || close(fd) < 0)
		return -errno;
	return 0;
}

/* Zero but for its head, and sparse: only what is used takes memory. */
static int put_page(int dir_fd, int *ret_fd)
{
	static struct leash_session page;
	int error, fd = openat(dir_fd, "session",
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	page.magic = LEASH_SESSION_MAGIC;
	page.abi_version = LEASH_ABI_VERSION;
	page.size = (uint32_t)sizeof(page);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, (off_t)sizeof(page)) < 0 ||
	    pwrite(fd, &page, offsetof(struct leash_session, host), 0) !=
		    (ssize_t)offsetof(struct leash_session, host)) {
		error = errno ? errno : EIO;
		close(fd);
		return -error;
	}
	*ret_fd = fd;
	return 0;
}

static int fill(const char *name, const void *image, size_t len, struct leash_run *run)
{
	int error, fd;

	if (mkdirat(run->parent_fd, name, wanted_mode()) < 0)
		return -errno;
	fd = openat(run->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = fchmod(fd, wanted_mode()) < 0 ? -errno : put_page(fd, &run->page_fd);
	if (error == 0)
		error = put_image(fd, image, len);
	close(fd);
	return error;
}

int leash_run_make(const void *image, size_t len, struct leash_run *ret, char *why, size_t why_size)
{
	struct leash_run run = {.page_fd = -1, .parent_fd = -1};
	char path[PATH_MAX], name[64], *id = name + sizeof(NEW_PREFIX) - 1;
	struct stat st;
	uint64_t random;
	int error;

	error = private_dir(path, &run.parent_fd, why, why_size);
	if (error < 0)
		return error;
	/* Runs are directories, kept images are not: where only two names lead to this one, nobody left
	 * anything behind, and thousands of files need not be looked at. */
	if (fstat(run.parent_fd, &st) < 0 || st.st_nlink != 2)
		leash_run_sweep(run.parent_fd);
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		close(run.parent_fd);
		return failed(why, why_size, EIO, "getrandom: no random bytes");
	}
	snprintf(name, sizeof(name), NEW_PREFIX "%d-%016" PRIx64, getpid(), random);
	if (snprintf(run.dir, sizeof(run.dir), "%s/%s", path, id) >= (int)sizeof(run.dir) ||
	    snprintf(run.image, sizeof(run.image), "%s/image", run.dir) >= (int)sizeof(run.image) ||
	    snprintf(run.page, sizeof(run.page), "%s/session", run.dir) >= (int)sizeof(run.page)) {
		close(run.parent_fd);
		return failed(why, why_size, ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	}
	error = fill(name, image, len, &run);
	if (error == 0 && renameat(run.parent_fd, name, run.parent_fd, id) < 0)
		error = -errno;
	if (error < 0) {
		remove_dir(run.parent_fd, name);
		if (run.page_fd >= 0)
			close(run.page_fd);
		close(run.parent_fd);
		return failed(why, why_size, -error, "%s: %s", run.dir, strerror(-error));
	}
	*ret = run;
	return 0;
}

void leash_run_remove(struct leash_run *run)
{
	remove_dir(run->parent_fd, strrchr(run->dir, '/') + 1);
	close(run->page_fd);
	close(run->parent_fd);
	run->page_fd = run->parent_fd = -1;
}
