/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls only: the first question may come from a signal handler, a
 * constructor, or beside a thread that holds libc's locks.
 */
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shim/abi.h"
#include "shim/conn/gate.h"
#include "shim/conn/image.h"
#include "shim/core/env.h"
#include "shim/core/init.h"
#include "shim/core/log.h"
#include "shim/core/proc.h"
#include "shim/core/sys.h"

enum { UNKNOWN, LOADED, NONE };

static _Atomic int state;
static _Atomic uint64_t loader;		/* process and thread while it loads, 0: nobody */
static _Atomic(const struct leash_image *) image;
static char why[LEASH_LOG_LINE_SIZE];	/* written by the loader before state becomes NONE */

static void blame(const char *a, const char *b, const char *c)
{
	size_t len = leash_text_put(why, sizeof(why), 0, a);

	len = leash_text_put(why, sizeof(why), len, b);
	leash_text_put(why, sizeof(why), len, c);
}

/* @ours: a memfd of our own (its mode is 0777); then every byte is checked, once for all who will map
 * the kept copy. */
static const struct leash_image *map(int fd, bool ours)
{
	const struct leash_image *ret;
	struct stat st;
	long page;

	if (LEASH_SYS(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > LEASH_IMAGE_MAX)
		return NULL;
	/* Somebody else's file is somebody else's policy. */
	if (!ours && ((st.st_uid != 0 && st.st_uid != (uid_t)LEASH_SYS(SYS_geteuid) &&
	     st.st_uid != (uid_t)LEASH_SYS(SYS_getuid)) || (st.st_mode & S_IWOTH)))
		return NULL;
	page = LEASH_SYS(SYS_mmap, NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (page < 0)
		return NULL;
	if (leash_image_open((const void *)page, (size_t)st.st_size, &ret) < 0 ||
	    (ours && leash_image_verify(ret) < 0)) {
		LEASH_SYS(SYS_munmap, page, st.st_size);
		return NULL;
	}
	return ret;
}

static const struct leash_image *map_path(const char *path)
{
	const int fd = leash_sys_open(path, O_RDONLY, 0);
	const struct leash_image *ret;

	if (fd < 0)
		return NULL;
	ret = map(fd, false);
	leash_sys_close(fd);
	return ret;
}

static bool private_dir(const char *dir, mode_t mode)
{
	struct stat st;

	LEASH_SYS(SYS_mkdirat, AT_FDCWD, dir, mode);
	return LEASH_SYS(SYS_newfstatat, AT_FDCWD, dir, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == (uid_t)LEASH_SYS(SYS_geteuid) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* The private directory of abi.h. Return: false if there is none: nothing is kept then */
static bool find_dir(char *buf, size_t size)
{
	const uid_t uid = (uid_t)LEASH_SYS(SYS_geteuid);
	size_t len;

	if (leash_env.runtime_dir[0]) {
		len = leash_text_put(buf, size, 0, leash_env.runtime_dir);
		leash_text_put(buf, size, len, "/" LEASH_DIR_NAME);
		if (private_dir(buf, uid == 0 ? 0711 : 0700))
			return true;
	}
	leash_text_put(buf, size, 0, "/run/" LEASH_DIR_NAME);
	if (uid == 0 && private_dir(buf, 0711))
		return true;
	len = leash_text_put(buf, size, 0, "/tmp/" LEASH_DIR_NAME "-");
	leash_text_put_uint(buf, size, len, uid);
	return private_dir(buf, 0700);
}

/* Is it still the file that a kept image was made from? */
static bool same_file(const struct stat *st, const struct leash_source *source)
{
	return st->st_dev == source->dev && st->st_ino == source->ino &&
	       (uint64_t)st->st_size == source->size &&
	       (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == source->mtime_ns;
}

/* A kept image is good while every file it was made from is the same, and one is ours. */
static bool current(const struct leash_image *kept)
{
	const char *file = leash_env.policy[0] ? leash_env.policy : leash_env.project;
	bool found = !leash_env.policy[0];
	struct stat asked, st;

	if (LEASH_SYS(SYS_newfstatat, AT_FDCWD, file, &asked, 0) < 0)
		return false;
	for (uint32_t i = 0; i < leash_image_source_count(kept); i++) {
		const struct leash_source *source = leash_image_source(kept, i);

		if (LEASH_SYS(SYS_newfstatat, AT_FDCWD, leash_image_string(kept, source->path), &st,
			      0) < 0 ||
		    !same_file(&st, source))
			return false;
		found |= same_file(&asked, source);
	}
	return found && leash_image_source_count(kept) > 0;
}

/*
 * One kept image for each policy path: an edited policy replaces its image instead of leaving
 * another one behind. The name is a hash; current() looks at what is inside.
 */
static bool kept_path(char *buf, size_t size)
{
	const char *parts[] = {leash_env.policy, "\n", leash_env.project};
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */
	char digits[17] = {0};
	size_t len;

	if (!find_dir(buf, size))
		return false;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (const char *c = parts[i]; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 1099511628211u;
	for (int i = 15; i >= 0; i--, hash >>= 4)
		digits[i] = "0123456789abcdef"[hash & 15];
	len = strlen(buf);
	len = leash_text_put(buf, size, len, "/image-");
	len = leash_text_put_uint(buf, size, len, LEASH_ABI_VERSION);
	len = leash_text_put(buf, size, len, "-");
	len = leash_text_put(buf, size, len, digits);
	return len + 1 < size;
}

/*
 * In a process that the program does not know of: run the command. execve(2) makes SIGCHLD the
 * exit signal again, so a child of the program would show itself when it ends; a child of this one
 * does not. Return: its exit status
 */
static int compile_apart(int answer, char *const argv[], char *const envp[])
{
	const struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } plain = {0};
	const uint64_t all = ~0ull;
	int status = 0;
	long pid;

	/* The program's handlers must not run here, nor may its SIG_IGN swallow the status. */
	LEASH_SYS(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, sizeof(all));
	LEASH_SYS(SYS_rt_sigaction, SIGCHLD, &plain, NULL, sizeof(plain.mask));
	pid = LEASH_SYS(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		const int null = leash_sys_open("/dev/null", O_RDWR, 0);

		for (int i = 0; i <= 2; i++)
			LEASH_SYS(SYS_dup3, null, i, 0);
		LEASH_SYS(SYS_dup3, answer, LEASH_COMPILE_FD, 0);
		LEASH_SYS(SYS_close_range, LEASH_COMPILE_FD + 1, ~0u, 0);
		LEASH_SYS(SYS_execve, argv[0], argv, envp);
		LEASH_SYS(SYS_exit_group, 127);
	}
	while (pid > 0 && LEASH_SYS(SYS_wait4, pid, &status, __WALL, NULL) == -EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/*
 * The command runs as a child that no wait() of the program sees: no exit signal, reaped by
 * __WCLONE. It gets an environment of its own, /dev/null, and a memfd for its answer.
 */
static const struct leash_image *compile(const char *kept)
{
	static char command[4096 + 16], answer[LEASH_LOG_LINE_SIZE];
	char *const argv[] = {command, (char *)LEASH_COMPILE_COMMAND,
			      (char *)(leash_env.policy[0] ? leash_env.policy : "-"),
			      (char *)(leash_env.project[0] ? leash_env.project : "-"),
			      (char *)kept, NULL};
	char *const envp[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL};
	const struct leash_image *ret = NULL;
	const char *slash = strrchr(leash_env.preload, '/');
	int status = 0, fd;
	long pid, got, waited = -1;

	if (!slash || (size_t)(slash - leash_env.preload) + sizeof("/" LEASH_COMMAND_NAME) > sizeof(command)) {
		blame("cannot find the netleash command beside " LEASH_SHIM_NAME, "", "");
		return NULL;
	}
	memcpy(command, leash_env.preload, (size_t)(slash - leash_env.preload));
	strcpy(command + (slash - leash_env.preload), "/" LEASH_COMMAND_NAME);
	fd = (int)LEASH_SYS(SYS_memfd_create, "netleash", MFD_CLOEXEC);
	if (fd < 0) {
		blame("cannot compile the policy: memfd_create() failed", "", "");
		return NULL;
	}
	/* Not 0 to 3: the child moves it to LEASH_COMPILE_FD. */
	if (fd <= LEASH_COMPILE_FD) {
		const int high = (int)LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LEASH_COMPILE_FD + 1);

		leash_sys_close(fd);
		fd = high;
	}
	pid = LEASH_SYS(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0)
		LEASH_SYS(SYS_exit_group, compile_apart(fd, argv, envp));
	while (pid > 0 && (waited = LEASH_SYS(SYS_wait4, pid, &status, __WCLONE, NULL)) == -EINTR)
		;
	if (waited < 0) {
		blame("cannot compile the policy: no process for ", command, "");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		ret = map(fd, true);
		if (!ret)
			blame(command, " answered with a damaged image", " (another version?)");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		blame("cannot run ", command, ", which compiles the policy");
	} else {
		got = leash_sys_pread(fd, answer, sizeof(answer) - 1, 0);
		answer[got > 0 ? got : 0] = '\0';
		blame(got > 0 ? answer : "the policy compiler failed", "", "");
	}
	leash_sys_close(fd);
	return ret;
}

static const struct leash_image *load(void)
{
	static char kept[4096 + 128];
	const struct leash_image *ret;

	if (leash_init() != LEASH_READY) {
		blame(leash_init_error(), "", "");
		return NULL;
	}
	if (leash_env.secure) {
		blame("set-uid and set-gid programs ignore NETLEASH_POLICY", "", "");
		return NULL;
	}
	if (leash_env.image[0]) {
		ret = map_path(leash_env.image);
		if (!ret)
			blame(leash_env.image, ": not a readable policy image of this version and of our own",
			      "");
		return ret;
	}
	if (!leash_env.policy[0] && !leash_env.project[0]) {
		blame("NETLEASH_POLICY is not set", "", "");
		return NULL;
	}
	if (!kept_path(kept, sizeof(kept)))
		return compile("-");
	ret = map_path(kept);
	if (ret && current(ret))
		return ret;
	if (ret)
		LEASH_SYS(SYS_munmap, ret, leash_image_size(ret));
	return compile(kept);
}

const struct leash_image *leash_image_peek(void)
{
	return atomic_load_explicit(&image, memory_order_acquire);
}

/* The right to load. A thread of the process that forked us is not waited for. */
static bool become_loader(void)
{
	const uint64_t pid = (uint64_t)leash_sys_getpid();
	const uint64_t me = pid << 32 | (uint32_t)LEASH_SYS(SYS_gettid);

	for (;;) {
		uint64_t holder = 0;

		if (atomic_load_explicit(&state, memory_order_acquire) != UNKNOWN)
			return false;
		if (atomic_compare_exchange_strong(&loader, &holder, me))
			break;
		if (holder >> 32 != pid && leash_proc_foreign())
			return false;	/* a vfork() child: its parent's thread may be the loader */
		if (holder >> 32 != pid)
			atomic_compare_exchange_strong(&loader, &holder, 0);
		else
			LEASH_SYS(SYS_sched_yield);
	}
	if (atomic_load_explicit(&state, memory_order_acquire) == UNKNOWN)
		return true;
	atomic_store(&loader, 0);
	return false;
}

const struct leash_image *leash_image_get(void)
{
	const struct leash_image *now = leash_image_peek();
	const uint64_t all = ~0ull;
	uint64_t mask;

	if (__builtin_expect(now != NULL, 1) ||
	    atomic_load_explicit(&state, memory_order_acquire) != UNKNOWN)
		return leash_image_peek();
	/* For the milliseconds of this one time: a handler that asked meanwhile would wait for its own
	 * thread, and one that left by siglongjmp() would leave everybody waiting. */
	LEASH_SYS(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, sizeof(mask));
	if (become_loader()) {
		now = load();
		atomic_store_explicit(&image, now, memory_order_release);
		atomic_store_explicit(&state, now ? LOADED : NONE, memory_order_release);
		atomic_store(&loader, 0);
		leash_gate_policy(now, why);
	}
	LEASH_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	return leash_image_peek();
}
