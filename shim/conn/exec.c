/* SPDX-License-Identifier: MIT */
/*
 * Programs that cannot carry the leash are refused before they run (hooks.md X4). The seal does
 * without: it judges them from outside.
 *
 * Called between vfork() and exec(): raw system calls, no lock, nothing global is written. So the
 * image is not loaded from here either; see audit().
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/policy.h"
#include "shim/abi.h"
#include "shim/conn/conn.h"
#include "shim/conn/image.h"
#include "shim/conn/session.h"
#include "shim/core/carry.h"
#include "shim/core/env.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/events/emit.h"

#define PATH_SHOWN_MAX 200	/* of a line of 512: the reason must fit as well */

/* An inherited image that nobody asked yet: looked at and let go, for the one switch. */
static bool audit_of(const char *path)
{
	const struct leash_image *image;
	const int fd = leash_sys_open(path, O_RDONLY, 0);
	bool ret = false;
	struct stat st;
	long map;

	if (fd < 0)
		return false;
	if (LEASH_SYS(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size <= LEASH_IMAGE_MAX && !(st.st_mode & S_IWOTH) &&
	    (st.st_uid == 0 || st.st_uid == (uid_t)LEASH_SYS(SYS_geteuid) ||
	     st.st_uid == (uid_t)LEASH_SYS(SYS_getuid))) {
		map = LEASH_SYS(SYS_mmap, NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map >= 0 || map <= -4096) {
			ret = leash_image_open((const void *)map, (size_t)st.st_size, &image) == 0 &&
			      leash_image_settings(image)->audit;
			LEASH_SYS(SYS_munmap, map, st.st_size);
		}
	}
	leash_sys_close(fd);
	return ret;
}

__attribute__((noinline)) static bool audit(void)
{
	const struct leash_image *image = leash_image_peek();

	if (image)
		return leash_image_settings(image)->audit;
	return leash_env.image[0] && audit_of(leash_env.image);
}

static const char *advice(enum leash_carry result)
{
	switch (result) {
	case LEASH_CARRY_STATIC:
		return "; run it outside netleash, or link it dynamically";
	case LEASH_CARRY_LIBC:
		return "; run it outside netleash, or use a build for this glibc";
	case LEASH_CARRY_CLASS:
		return "; run it outside netleash, or use a 64-bit build";
	case LEASH_CARRY_MACHINE:
		return "; run it outside netleash, or use a build for this machine";
	case LEASH_CARRY_SECURE:
		return "; run it outside netleash, or (set-uid and set-gid) through `netleash run`";
	case LEASH_CARRY_UNREADABLE:
		return "; make it readable";
	case LEASH_CARRY_OK:
	case LEASH_CARRY_UNKNOWN:
	case LEASH_CARRY_ERROR:
		break;
	}
	return "";
}

static size_t put_path(char *line, size_t size, size_t len, const char *path)
{
	const size_t path_len = strnlen(path, PATH_SHOWN_MAX + 1);

	if (path_len <= PATH_SHOWN_MAX)
		return leash_text_put(line, size, len, path);
	/* The end of a path says more than its start. */
	len = leash_text_put(line, size, len, "…");
	path += strlen(path) - PATH_SHOWN_MAX;
	while (((unsigned char)*path & 0xc0) == 0x80)
		path++;
	return leash_text_put(line, size, len, path);
}

/* "/usr/bin/foo", or "./bar, a script for /usr/bin/foo" */
static size_t put_program(char *line, size_t size, size_t len, const char *path,
			  const struct leash_carry_info *info)
{
	len = put_path(line, size, len, path[0] ? path : "a descriptor");
	if (!info->interp[0] || info->result == LEASH_CARRY_LIBC || info->result == LEASH_CARRY_SECURE)
		return len;
	len = leash_text_put(line, size, len, ", a script for ");
	return put_path(line, size, len, info->interp);
}

/* "it is linked statically and cannot carry the policy; …" */
static size_t put_why(char *line, size_t size, size_t len, const struct leash_carry_info *info)
{
	len = leash_text_put(line, size, len, leash_carry_text(info->result));
	if (info->result == LEASH_CARRY_LIBC) {
		len = leash_text_put(line, size, len, " (");
		len = put_path(line, size, len, info->interp);
		len = leash_text_put(line, size, len, ")");
	}
	if (info->result != LEASH_CARRY_UNREADABLE)
		len = leash_text_put(line, size, len, " and cannot carry the policy");
	return leash_text_put(line, size, len, advice(info->result));
}

/* The line and the event are not on the stack beside what the check needs. */
__attribute__((noinline)) static void say(const char *path, const struct leash_carry_info *info, bool would)
{
	char line[LEASH_LOG_LINE_SIZE];
	size_t len = leash_text_put(line, sizeof(line), 0,
				    would ? "netleash: would refuse exec of "
					  : "netleash: refused exec of ");

	if (leash_env.quiet)
		return;
	len = put_program(line, sizeof(line), len, path, info);
	len = leash_text_put(line, sizeof(line), len, ": ");
	leash_log_line(line, put_why(line, sizeof(line), len, info));
}

/* From a child of vfork() as well: the scratch block that emit takes is given back before it ends. */
__attribute__((noinline)) static void tell(const char *path, const struct leash_carry_info *info, bool would)
{
	const struct leash_subject subject = {.api = "exec", .host = "", .addr = ""};
	char text[LEASH_LOG_LINE_SIZE], words[64];
	struct leash_event event = {
		.kind = LEASH_EVENT_REFUSED,
		.verdict = would ? LEASH_SAID_WOULD_REFUSE : LEASH_SAID_REFUSED,
		.api = subject.api,
		.call = "exec",
		.reason = leash_reason_code(LEASH_WHY_UNJUDGED),
		.err_msg = words,
		.error = would ? 0 : EACCES,
		.rule = "exec",
		.bytes_sent = -1,
		.bytes_received = -1,
		.detail = text,
	};
	size_t len;

	if (!leash_emit_wanted())
		return;
	leash_explain_words(LEASH_WHY_UNJUDGED, &subject, words, sizeof(words));
	/* One behind the other; a script's two long paths may take the end of the second. */
	len = put_program(text, sizeof(text) - 64, 0, path, info) + 1;
	put_why(text + len, sizeof(text) - len, 0, info);
	event.hint = text + len;
	leash_emit(&event);
}

/*
 * The netleash command beside our object, which is linked statically: it talks to nobody, sees our variables, and
 * hands what does talk over to a program that can carry us. Only asked of a program of that name.
 */
__attribute__((noinline)) static bool is_command(int dirfd, const char *path, int flags)
{
	static const char name[] = "/" LEASH_COMMAND_NAME;
	const char *base = strrchr(path, '/'), *slash = strrchr(leash_env.preload, '/');
	struct stat program, own;
	char beside[512];

	if (strcmp(base ? base + 1 : path, name + 1) != 0 || !slash ||
	    (size_t)(slash - leash_env.preload) > sizeof(beside) - sizeof(name))
		return false;
	memcpy(beside, leash_env.preload, (size_t)(slash - leash_env.preload));
	memcpy(beside + (slash - leash_env.preload), name, sizeof(name));
	return LEASH_SYS(SYS_newfstatat, dirfd, path, &program, flags & AT_EMPTY_PATH) == 0 &&
	       LEASH_SYS(SYS_newfstatat, AT_FDCWD, beside, &own, 0) == 0 && program.st_dev == own.st_dev &&
	       program.st_ino == own.st_ino;
}

static enum leash_carry look(int dirfd, const char *path, int flags, struct leash_carry_info *info)
{
	enum leash_carry ret = leash_carry_check(dirfd, path, flags, false, info);

	/* Rare, and the only answer that no_new_privs changes (hooks.md X5). */
	if (ret == LEASH_CARRY_SECURE &&
	    LEASH_SYS(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		ret = leash_carry_check(dirfd, path, flags, true, info);
	if (ret == LEASH_CARRY_STATIC && is_command(dirfd, path, flags))
		ret = info->result = LEASH_CARRY_OK;
	return ret;
}

static int answer(const char *path, const struct leash_carry_info *info, char *ret_runtime,
		  size_t size)
{
	bool would;

	switch (info->result) {
	case LEASH_CARRY_OK:
	case LEASH_CARRY_UNKNOWN:
	case LEASH_CARRY_ERROR:
		leash_text_put(ret_runtime, size, 0, info->runtime);
		return 0;
	case LEASH_CARRY_STATIC:
	case LEASH_CARRY_LIBC:
	case LEASH_CARRY_CLASS:
	case LEASH_CARRY_MACHINE:
	case LEASH_CARRY_SECURE:
	case LEASH_CARRY_UNREADABLE:
		break;
	}
	would = audit();
	say(path, info, would);
	tell(path, info, would);
	if (!would) {
		struct leash_session *session = leash_session_get();

		atomic_fetch_add_explicit(&session->programs_refused, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&session->refused_total, 1, memory_order_relaxed);
		return -EACCES;
	}
	leash_text_put(ret_runtime, size, 0, "");
	return 0;
}

/* Not inside of the search, which has a frame like it. */
__attribute__((noinline)) int leash_conn_may_exec(int dirfd, const char *path, int flags, char *ret_runtime, size_t size)
{
	struct leash_carry_info info = {.result = LEASH_CARRY_ERROR};

	/* NULL is the kernel's EFAULT. */
	if (path)
		look(dirfd, path, flags, &info);
	return answer(path, &info, ret_runtime, size);
}

/* The caller's PATH, whatever environment the child gets. */
static const char *search_path(void)
{
	for (char *const *at = environ; at && *at; at++)
		if (strncmp(*at, "PATH=", 5) == 0)
			return *at + 5;
	return "/bin:/usr/bin";		/* confstr(_CS_PATH) */
}

/*
 * As glibc's execvpe(): a name without a slash, in each directory of PATH, the first one
 * that can be executed. Its errors stay its own: whatever ends the search without a program
 * answers 0 here.
 */
int leash_conn_may_search(const char *file, char *ret_runtime, size_t size)
{
	struct leash_carry_info info = {.result = LEASH_CARRY_ERROR};
	size_t file_len, path_size;
	const char *path;
	char *candidate;

	if (!file || !file[0] || strchr(file, '/'))
		return leash_conn_may_exec(AT_FDCWD, file, 0, ret_runtime, size);
	path = search_path();
	file_len = strnlen(file, NAME_MAX + 1);
	if (file_len > NAME_MAX)
		return answer(file, &info, ret_runtime, size);	/* ENAMETOOLONG */
	path_size = strnlen(path, PATH_MAX - 1) + 1;
	candidate = __builtin_alloca(path_size + file_len + 1);
	for (const char *end; info.result == LEASH_CARRY_ERROR; path = end + 1) {
		size_t len;

		end = strchrnul(path, ':');
		len = (size_t)(end - path);
		if (len < path_size) {		/* glibc leaves longer ones out */
			memcpy(candidate, path, len);
			candidate[len] = '/';
			memcpy(candidate + len + (len > 0), file, file_len + 1);
			look(AT_FDCWD, candidate, 0, &info);
		}
		if (!*end)
			break;
	}
	return answer(candidate, &info, ret_runtime, size);
}
