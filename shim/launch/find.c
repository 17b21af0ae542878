/* SPDX-License-Identifier: MIT */
/* What is started, and with what: the program by its name, the shared object beside us, the leash we may be on already */
#include "shim/launch/spawn.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shim/abi.h"
#include "shim/launch/launch.h"

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#endif

/* ------------------------------------------------------------- the program */

/* Return: 0, or the errno with which exec would fail */
static int usable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return EACCES;
	return 0;
}

static int look_up(const char *name, char ret_path[static PATH_MAX])
{
	const char *path = getenv("PATH"), *end;
	int error = ENOENT;

	if (strlen(name) >= PATH_MAX)
		return ENAMETOOLONG;
	if (name[0] == '\0')
		return ENOENT;
	if (strchr(name, '/')) {
		strcpy(ret_path, name);
		return usable(name);
	}
	if (!path)
		path = "/bin:/usr/bin"; /* as execvp() */
	for (;; path = end + 1) {
		char candidate[PATH_MAX];
		int len, why;

		end = strchrnul(path, ':');
		len = snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)(end - path), path,
			       end == path ? "./" : "/", name);
		if (len < (int)sizeof(candidate)) {
			why = usable(candidate);
			if (why == 0) {
				strcpy(ret_path, candidate);
				return 0;
			}
			/* What is there and may not be executed is what gets reported; what is in
			 * a directory that we may not search is not known to be there. */
			if (why == EACCES && error == ENOENT && access(candidate, F_OK) == 0) {
				error = EACCES;
				strcpy(ret_path, candidate);
			}
		}
		if (*end == '\0')
			return error;
	}
}

static int cannot_carry(const struct leash_program *program)
{
	const struct leash_carry_info *carry = &program->carry;
	const char *text = leash_carry_text(carry->result);

	/* A script's interpreter is what has the fault; an ELF program's is part of it. */
	if (carry->interp[0] && carry->result == LEASH_CARRY_LIBC)
		leash_say("%s: cannot be put on the leash: %s (it wants %s)", program->path, text,
			  carry->interp);
	else if (carry->interp[0])
		leash_say("%s: cannot be put on the leash: its interpreter is %s, and %s",
			  program->path, carry->interp, text);
	else
		leash_say("%s: cannot be put on the leash: %s", program->path, text);
	return LEASH_EXIT_CANNOT;
}

static bool is_self(const char *path)
{
	struct stat self, program;

	return stat("/proc/self/exe", &self) == 0 && stat(path, &program) == 0 &&
	       self.st_dev == program.st_dev && self.st_ino == program.st_ino;
}

int leash_program_find(const char *name, struct leash_program *ret)
{
	struct leash_carry_info sh;
	int error = look_up(name, ret->path);

	switch (error) {
	case 0:
		break;
	case ENOENT:
	case ENOTDIR:
		leash_say("%s: no such program%s", name, strchr(name, '/') ? "" : " in PATH");
		return LEASH_EXIT_NOT_FOUND;
	default:
		leash_say("%s: cannot be executed: %s",
			  strchr(name, '/') || error != EACCES ? name : ret->path, strerror(error));
		return LEASH_EXIT_CANNOT;
	}

	/* no_new_privs is what the program will run with. */
	switch (leash_carry_check(AT_FDCWD, ret->path, 0, true, &ret->carry)) {
	case LEASH_CARRY_OK:
		return 0;
	case LEASH_CARRY_UNKNOWN:
		/* exec will say ENOEXEC, and a shell runs it then, as execvp() does. */
		sh = ret->carry;
		if (leash_carry_check(AT_FDCWD, "/bin/sh", 0, true, &sh) == LEASH_CARRY_OK)
			return 0;
		leash_say("%s: is run by /bin/sh, which cannot be put on the leash: %s", ret->path,
			  leash_carry_text(sh.result));
		return LEASH_EXIT_CANNOT;
	case LEASH_CARRY_ERROR:
		/* Only an interpreter is left that is not there, or a chain of them without end. */
		leash_say("%s: cannot be executed: its interpreter %s is missing or no program",
			  ret->path, ret->carry.interp);
		return LEASH_EXIT_CANNOT;
	case LEASH_CARRY_STATIC:
		/* This command itself, which talks to nobody and says better what is wrong with that. */
		if (is_self(ret->path))
			return 0;
		break;
	case LEASH_CARRY_LIBC:
	case LEASH_CARRY_CLASS:
	case LEASH_CARRY_MACHINE:
	case LEASH_CARRY_SECURE:
	case LEASH_CARRY_UNREADABLE:
		break;
	}
	return cannot_carry(ret);
}

/* ---------------------------------------------------------------- the shim */

static int no_shim(const char *path, const char *why)
{
	leash_say("%s: %s", path, why);
	return LEASH_EXIT_SYSTEM;
}

/* Where this command is. By the name it was started with if that is plain and no link: /proc costs 20 us */
static ssize_t own_path(char ret_path[static PATH_MAX])
{
	const char *name = (const char *)getauxval(AT_EXECFN); /* NOLINT: an address */
	struct stat st;

	if (!name || name[0] != '/' || strlen(name) >= PATH_MAX || strstr(name, "/.") ||
	    strstr(name, "//") || lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
		return readlink("/proc/self/exe", ret_path, PATH_MAX);
	strcpy(ret_path, name);
	return (ssize_t)strlen(name);
}

int leash_shim_find(char ret_path[static PATH_MAX])
{
	ssize_t len = own_path(ret_path);
	struct statvfs fs;
	Elf64_Ehdr header;
	struct stat st;
	char *base;
	int fd;

	if (len <= 0 || len >= PATH_MAX)
		return no_shim("/proc/self/exe", "cannot be read: where " LEASH_SHIM_NAME
						 " is cannot be known without /proc");
	ret_path[len] = '\0';
	base = strrchr(ret_path, '/') + 1;
	if ((size_t)(base - ret_path) + sizeof(LEASH_SHIM_NAME) > PATH_MAX)
		return no_shim(ret_path, strerror(ENAMETOOLONG));
	strcpy(base, LEASH_SHIM_NAME);
	/* LD_PRELOAD knows no quoting: it is split at these, and '$' starts a substitution. */
	if (strpbrk(ret_path, " :$"))
		return no_shim(ret_path,
			       "LD_PRELOAD cannot hold a path with ' ', ':' or '$' in it: "
			       "install netleash somewhere else");
	fd = open(ret_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return no_shim(ret_path,
			       errno == ENOENT
				       ? "is not there: it belongs beside the netleash command"
				       : strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_DYN) {
		close(fd);
		return no_shim(ret_path, "is no shared object");
	}
	close(fd);
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != OUR_MACHINE)
		return no_shim(ret_path, "is built for another kind of machine than this command");
	if (statvfs(ret_path, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
		return no_shim(
			ret_path,
			"is on a file system mounted noexec: the program would run without it");
	return 0;
}

bool leash_on_leash(char *ret_entry, size_t size)
{
	const char *at = getenv("LD_PRELOAD");

	while (at && *at) {
		size_t len = strcspn(at, " :");
		const char *base = memrchr(at, '/', len);

		base = base ? base + 1 : at;
		if ((size_t)(at + len - base) == sizeof(LEASH_SHIM_NAME) - 1 &&
		    memcmp(base, LEASH_SHIM_NAME, sizeof(LEASH_SHIM_NAME) - 1) == 0) {
			snprintf(ret_entry, size, "%.*s", (int)len, at);
			return true;
		}
		at += len;
		at += strspn(at, " :");
	}
	return false;
}
