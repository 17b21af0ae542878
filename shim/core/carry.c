/* SPDX-License-Identifier: MIT */
/*
 * Reads what the kernel and ld.so will read, in their order: "#!" lines first,
 * then the ELF header, its program headers, PT_INTERP, and DT_NEEDED for the
 * runtimes that insist on being first.
 *
 * The file is opened beside the exec and may change in between: that is no
 * defence against a program that wants out (the seal is), but it is a clear
 * word to everybody who merely starts the wrong thing.
 */
#include <elf.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "shim/core/carry.h"
#include "shim/core/sys.h"

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
static const char our_interp[] = "/lib64/ld-linux-x86-64.so.2";
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
static const char our_interp[] = "/lib/ld-linux-aarch64.so.1";
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_DATA ELFDATA2LSB
#else
#define OUR_DATA ELFDATA2MSB
#endif

#define HEAD_SIZE        256 /* BINPRM_BUF_SIZE: what the kernel reads to know a file */
#define START_SIZE       1024 /* of a file, read at once: ELF header, program headers, PT_INTERP of most */
#define PIECE_SIZE       512 /* read at once of what stands elsewhere: 32 entries of .dynamic */
#define SCRIPT_DEPTH_MAX 5   /* rewrites of "#!", as in the kernel's exec_binprm() */
#define PHDR_MAX         (65536 / sizeof(Elf64_Phdr)) /* more than that: the kernel's ENOEXEC */
#define DYN_MAX          4096 /* entries of .dynamic looked at; a real one has some 40 */
#define NEEDED_MAX       256

/* AT_EACCESS of faccessat2(), whose number the oldest headers lack */
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

/* A piece of a file that was read: what is asked for next is mostly in it. An exec costs a system call for each. */
struct piece {
	off_t at;
	size_t len;
	unsigned char bytes[PIECE_SIZE];
};

struct elf {
	int fd;
	size_t start_len;
	unsigned char start[START_SIZE];	/* the first bytes of the file */
	struct piece piece;
	off_t phoff;
	unsigned int phnum;
	Elf64_Phdr interp, dynamic; /* p_type PT_NULL: there is none */
};

/* As much as there is. Return: bytes, or a negative errno */
static ssize_t read_some(int fd, unsigned char *buf, size_t len, off_t offset)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = leash_sys_pread(fd, buf + got, len - got, offset + (off_t)got);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Bytes of the file, all of them, at most PIECE_SIZE; good until the next call. Return: NULL if they are not there */
static const void *look_at(struct elf *elf, size_t len, off_t offset)
{
	struct piece *piece = &elf->piece;
	ssize_t got;

	if (offset < 0)
		return NULL;
	if ((size_t)offset + len <= elf->start_len)
		return elf->start + offset;
	if (offset < piece->at || (size_t)(offset - piece->at) + len > piece->len) {
		got = read_some(elf->fd, piece->bytes, sizeof(piece->bytes), offset);
		piece->at = offset;
		piece->len = got < 0 ? 0 : (size_t)got;
	}
	return (size_t)(offset - piece->at) + len <= piece->len ? piece->bytes + (offset - piece->at) : NULL;
}

/* The first bytes of a file. Return: how many, or a negative errno */
static ssize_t read_start(struct elf *elf, int fd)
{
	const ssize_t got = read_some(fd, elf->start, sizeof(elf->start), 0);

	elf->fd = fd;
	elf->start_len = got < 0 ? 0 : (size_t)got;
	elf->piece.at = 0;
	elf->piece.len = 0;
	return got;
}

static unsigned int put_decimal(char *out, unsigned int value)
{
	char digits[12];
	unsigned int len = 0;

	do {
		digits[len++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (unsigned int i = 0; i < len; i++)
		out[i] = digits[len - 1 - i];
	return len;
}

/*
 * A descriptor that can be read. One that came from outside may be O_PATH or
 * write-only (fexecve() takes the first): then it is opened again by its number.
 */
static int open_again(int fd)
{
	char path[sizeof("/proc/self/fd/") + 12] = "/proc/self/fd/";
	size_t len = sizeof("/proc/self/fd/") - 1;
	int again;

	if (fd < 0)
		return -EBADF;
	path[len + put_decimal(path + len, (unsigned int)fd)] = '\0';
	again = leash_sys_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	if (again == -ENOENT || again == -ENOTDIR) /* no /proc: good enough if it is readable */
		return (int)LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
	return again;
}

/* May it be executed at all? By the effective ids, as exec asks. */
static int may_execute(int dirfd, const char *path, int flags)
{
	int ret = (int)LEASH_SYS(SYS_faccessat2, dirfd, path, 1 /* X_OK */,
				 (flags & AT_EMPTY_PATH) | AT_EACCESS);

	/* Before 5.8, and under filters that do not know the number: the mode bits below say the
	 * same unless there is an ACL, and exec has the last word anyway. */
	return ret == -ENOSYS || ret == -EPERM || ret == -EINVAL ? 0 : ret;
}

static enum leash_carry open_program(int dirfd, const char *path, int flags, int *ret_fd,
				     struct stat *ret_stat)
{
	long fd, ret;

	ret = LEASH_SYS(SYS_newfstatat, dirfd, path, ret_stat, flags & AT_EMPTY_PATH);
	if (ret < 0)
		return LEASH_CARRY_ERROR;
	/* Nothing else is opened: a FIFO or a device would notice. */
	if (!S_ISREG(ret_stat->st_mode) || (ret_stat->st_mode & 0111) == 0 ||
	    may_execute(dirfd, path, flags) < 0)
		return LEASH_CARRY_ERROR;

	if ((flags & AT_EMPTY_PATH) && path[0] == '\0')
		fd = open_again(dirfd);
	else
		fd = LEASH_SYS(SYS_openat, dirfd, path,
			       O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	/* Also a full table of descriptors: what cannot be looked at is not let go. */
	if (fd < 0)
		return LEASH_CARRY_UNREADABLE;
	*ret_fd = (int)fd;
	return LEASH_CARRY_OK;
}

/*
 * The kernel's load_script(): the name ends at a space, tab, NUL or the line's end, and
 * must be whole within the first 256 bytes. Returns false where exec answers ENOEXEC.
 */
static bool script_interp(const unsigned char *head, size_t len, char ret_path[static HEAD_SIZE])
{
	size_t at = 2, start;

	while (at < len && (head[at] == ' ' || head[at] == '\t'))
		at++;
	start = at;
	while (at < len && head[at] != '\n' && head[at] != ' ' && head[at] != '\t' &&
	       head[at] != '\0')
		at++;
	if (at == start || (at == len && len == HEAD_SIZE))
		return false;
	memcpy(ret_path, head + start, at - start);
	ret_path[at - start] = '\0';
	return true;
}

static bool program_header(struct elf *elf, unsigned int i, Elf64_Phdr *ret)
{
	const void *at = look_at(elf, sizeof(*ret), elf->phoff + (off_t)(i * sizeof(*ret)));

	if (at)
		memcpy(ret, at, sizeof(*ret));
	return at != NULL;
}

/* First PT_INTERP and PT_DYNAMIC. -ENOEXEC: the kernel will not take this file either. */
static int scan_headers(struct elf *elf)
{
	Elf64_Phdr header;

	elf->interp.p_type = PT_NULL;
	elf->dynamic.p_type = PT_NULL;
	for (unsigned int i = 0; i < elf->phnum; i++) {
		if (!program_header(elf, i, &header))
			return -ENOEXEC;
		if (header.p_type == PT_INTERP && elf->interp.p_type == PT_NULL)
			elf->interp = header;
		if (header.p_type == PT_DYNAMIC && elf->dynamic.p_type == PT_NULL)
			elf->dynamic = header;
	}
	return 0;
}

/* Header and program headers. CLASS and MACHINE are answers, UNKNOWN is exec's ENOEXEC. */
static enum leash_carry read_elf(struct elf *elf)
{
	Elf64_Ehdr header = {0};

	memcpy(&header, elf->start, elf->start_len < sizeof(header) ? elf->start_len : sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64)
		return LEASH_CARRY_CLASS;
	if (header.e_ident[EI_DATA] != OUR_DATA || header.e_machine != OUR_MACHINE)
		return LEASH_CARRY_MACHINE;
	if ((header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
	    header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
	    header.e_phnum > PHDR_MAX || header.e_phoff > (Elf64_Off)LONG_MAX / 2)
		return LEASH_CARRY_UNKNOWN;
	elf->phoff = (off_t)header.e_phoff;
	elf->phnum = header.e_phnum;
	return scan_headers(elf) < 0 ? LEASH_CARRY_UNKNOWN : LEASH_CARRY_OK;
}

#define INTERP_SIZE sizeof(((struct leash_carry_info *)0)->interp)

/* PT_INTERP, which must fit. Return: false if there is no such name */
static bool read_interp(struct elf *elf, char ret_path[static INTERP_SIZE])
{
	const size_t len = elf->interp.p_filesz;
	const void *at = len >= 2 && len <= INTERP_SIZE ? look_at(elf, len, (off_t)elf->interp.p_offset) : NULL;

	if (!at || ((const char *)at)[len - 1] != '\0')
		return false;
	memcpy(ret_path, at, len);
	return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Identity of the ld.so that started this process: the PT_INTERP of our own
 * executable, or that executable itself where somebody typed "ld.so PROGRAM".
 */
__attribute__((noinline)) static bool own_interp(struct stat *ret_stat)
{
	char path[INTERP_SIZE];
	struct elf elf;
	bool found = false;
	int fd = leash_sys_open("/proc/self/exe", O_RDONLY, 0);

	if (fd < 0)
		return false;
	if (read_start(&elf, fd) >= (ssize_t)sizeof(Elf64_Ehdr) &&
	    memcmp(elf.start, ELFMAG, SELFMAG) == 0 && read_elf(&elf) == LEASH_CARRY_OK) {
		if (elf.interp.p_type == PT_NULL) {
			found = LEASH_SYS(SYS_fstat, fd, ret_stat) == 0;
		} else if (read_interp(&elf, path)) {
			found = LEASH_SYS(SYS_newfstatat, AT_FDCWD, path, ret_stat, 0) == 0;
		}
	}
	leash_sys_close(fd);
	return found;
}

static bool is_our_interp(const char *path)
{
	struct stat theirs, ours;

	if (strcmp(path, our_interp) == 0)
		return true;
	if (LEASH_SYS(SYS_newfstatat, AT_FDCWD, path, &theirs, 0) < 0)
		return false;
	if (LEASH_SYS(SYS_newfstatat, AT_FDCWD, our_interp, &ours, 0) == 0 &&
	    same_file(&theirs, &ours))
		return true;
	return own_interp(&ours) && same_file(&theirs, &ours);
}

static enum leash_carry check_interp(struct elf *elf, struct leash_carry_info *ret)
{
	char path[INTERP_SIZE];
	const size_t len = elf->interp.p_filesz;

	if (elf->interp.p_type == PT_NULL)
		return LEASH_CARRY_STATIC;
	if (len < 2 || len > PATH_MAX)
		return LEASH_CARRY_UNKNOWN;
	if (len > sizeof(path))
		return LEASH_CARRY_LIBC;
	if (!read_interp(elf, path))
		return LEASH_CARRY_UNKNOWN;
	strcpy(ret->interp, path);
	return is_our_interp(path) ? LEASH_CARRY_OK : LEASH_CARRY_LIBC;
}

/*
 * Will ld.so see AT_SECURE? The kernel sets it when the new effective ids differ from
 * the real ones (so also for a plain program started by a process whose ids differ),
 * newer kernels when they merely change, and when a user other than root gets
 * capabilities from the file. The
 * effective bit of file capabilities does it even under no_new_privs (seen on 6.18:
 * the capabilities are withheld, LD_PRELOAD is dropped all the same).
 */
static bool is_secure(int fd, const struct stat *st, bool no_new_privs)
{
	uid_t uid = 0, euid = 0, saved_uid;
	gid_t gid = 0, egid = 0, saved_gid;
	bool setuid = (st->st_mode & S_ISUID) != 0;
	bool setgid = (st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	bool caps;

	LEASH_SYS(SYS_getresuid, &uid, &euid, &saved_uid);
	LEASH_SYS(SYS_getresgid, &gid, &egid, &saved_gid);
	caps = uid != 0 && LEASH_SYS(SYS_fgetxattr, fd, "security.capability", NULL, 0) > 0;
	if (setuid || setgid || caps) {
		struct statfs fs;

		/* On a nosuid mount the kernel looks at none of them. */
		if (LEASH_SYS(SYS_fstatfs, fd, &fs) == 0 && (fs.f_flags & 0x2 /* ST_NOSUID */))
			setuid = setgid = caps = false;
	}
	if (no_new_privs)
		setuid = setgid = false;
	return euid != uid || egid != gid || caps || (setuid && st->st_uid != uid) ||
	       (setgid && st->st_gid != gid);
}

/* Where in the file is what will be at this address? */
static bool file_offset(struct elf *elf, Elf64_Addr addr, off_t *ret_offset)
{
	Elf64_Phdr header;

	for (unsigned int i = 0; i < elf->phnum; i++) {
		if (!program_header(elf, i, &header))
			return false;
		if (header.p_type == PT_LOAD && addr >= header.p_vaddr &&
		    addr - header.p_vaddr < header.p_filesz) {
			*ret_offset = (off_t)(addr - header.p_vaddr + header.p_offset);
			return *ret_offset >= 0 && *ret_offset <= LONG_MAX / 2;
		}
	}
	return false;
}

static bool is_runtime(const char *soname)
{
	static const char *const starts[] = {"libasan.so",       "libtsan.so",
					     "libhwasan.so",     "libclang_rt.asan",
					     "libclang_rt.tsan", "libclang_rt.hwasan"};
	const char *base = strrchr(soname, '/');

	base = base ? base + 1 : soname;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (strncmp(base, starts[i], strlen(starts[i])) == 0)
			return true;
	}
	return false;
}

/* Return: false behind the last entry of .dynamic */
static bool dynamic_entry(struct elf *elf, size_t i, Elf64_Dyn *ret)
{
	const void *at = i < DYN_MAX && i < elf->dynamic.p_filesz / sizeof(*ret) &&
					 elf->dynamic.p_offset <= (Elf64_Off)LONG_MAX / 2
				 ? look_at(elf, sizeof(*ret), (off_t)(elf->dynamic.p_offset + i * sizeof(*ret)))
				 : NULL;

	if (at)
		memcpy(ret, at, sizeof(*ret));
	return at && ret->d_tag != DT_NULL;
}

/* Address of the string table; 0 if there is none */
static Elf64_Addr find_strtab(struct elf *elf)
{
	Elf64_Dyn entry;

	for (size_t i = 0; dynamic_entry(elf, i, &entry); i++)
		if (entry.d_tag == DT_STRTAB)
			return entry.d_un.d_ptr;
	return 0;
}

/* A sanitizer's runtime aborts the program if anything stands before it (hooks.md P3). */
static void find_runtime(struct elf *elf, struct leash_carry_info *ret)
{
	char names[sizeof(ret->runtime)];	/* a piece of the string table, ended by a NUL */
	off_t strtab, names_at = 0;
	size_t names_len = 0, seen = 0;
	Elf64_Dyn entry;

	if (elf->dynamic.p_type == PT_NULL || !file_offset(elf, find_strtab(elf), &strtab))
		return;
	for (size_t i = 0; seen < NEEDED_MAX && dynamic_entry(elf, i, &entry); i++) {
		const off_t at = strtab + (off_t)(entry.d_un.d_val & INT_MAX);

		if (entry.d_tag != DT_NEEDED || entry.d_un.d_val > INT_MAX)
			continue;
		seen++;
		/* Names stand side by side: the next one is often whole in what was read for the last. */
		if (at < names_at || (size_t)(at - names_at) >= names_len ||
		    !memchr(names + (at - names_at), '\0', names_len - (size_t)(at - names_at))) {
			const ssize_t got = read_some(elf->fd, (unsigned char *)names, sizeof(names) - 1, at);

			names_at = at;
			names_len = got < 0 ? 0 : (size_t)got;
			names[names_len] = '\0';
		}
		/* A name that fills the buffer was cut, and is no runtime's. */
		if (is_runtime(names + (at - names_at)) &&
		    strlen(names + (at - names_at)) < sizeof(names) - 1) {
			strcpy(ret->runtime, names + (at - names_at));
			return;
		}
	}
}

static enum leash_carry check_elf(struct elf *elf, const struct stat *st, bool no_new_privs,
				  struct leash_carry_info *ret)
{
	enum leash_carry result = read_elf(elf);

	if (result == LEASH_CARRY_OK)
		result = check_interp(elf, ret);
	if (result == LEASH_CARRY_OK && is_secure(elf->fd, st, no_new_privs))
		result = LEASH_CARRY_SECURE;
	if (result == LEASH_CARRY_OK)
		find_runtime(elf, ret);
	return result;
}

/* One file. For a script @ret_next is its interpreter, and the answer is OK for now. */
static enum leash_carry check_file(int dirfd, const char *path, int flags, bool no_new_privs,
				   struct leash_carry_info *ret, char ret_next[static HEAD_SIZE])
{
	enum leash_carry result;
	struct elf elf;
	struct stat st;
	ssize_t len;
	int fd;

	ret_next[0] = '\0';
	result = open_program(dirfd, path, flags, &fd, &st);
	if (result != LEASH_CARRY_OK)
		return result;
	len = read_start(&elf, fd);
	if (len < 0)
		result = LEASH_CARRY_UNREADABLE;
	else if (len >= SELFMAG && memcmp(elf.start, ELFMAG, SELFMAG) == 0)
		result = check_elf(&elf, &st, no_new_privs, ret);
	else if (len < 2 || elf.start[0] != '#' || elf.start[1] != '!' ||
		 !script_interp(elf.start, len < HEAD_SIZE ? (size_t)len : HEAD_SIZE, ret_next))
		result = LEASH_CARRY_UNKNOWN;
	leash_sys_close(fd);
	return result;
}

enum leash_carry leash_carry_check(int dirfd, const char *path, int flags, bool no_new_privs,
				   struct leash_carry_info *ret)
{
	char next[HEAD_SIZE], now[HEAD_SIZE];

	ret->runtime[0] = '\0';
	ret->interp[0] = '\0';
	for (int depth = 0; depth <= SCRIPT_DEPTH_MAX; depth++) {
		ret->result = check_file(dirfd, path, flags, no_new_privs, ret, next);
		if (next[0] == '\0')
			return ret->result;
		/* The kernel opens an interpreter by its name, from where the process is. */
		memcpy(now, next, sizeof(now));
		memcpy(ret->interp, next, sizeof(next));
		dirfd = AT_FDCWD;
		path = now;
		flags = 0;
	}
	ret->result = LEASH_CARRY_ERROR; /* exec: ELOOP */
	return ret->result;
}

const char *leash_carry_text(enum leash_carry result)
{
	switch (result) {
	case LEASH_CARRY_OK:
		return "";
	case LEASH_CARRY_STATIC:
		return "it is linked statically";
	case LEASH_CARRY_LIBC:
		return "it uses another C library than this glibc";
	case LEASH_CARRY_CLASS:
		return "it is a 32-bit program";
	case LEASH_CARRY_MACHINE:
		return "it is built for another processor";
	case LEASH_CARRY_SECURE:
		return "it starts with other privileges than its caller (set-uid, set-gid or file "
		       "capabilities)";
	case LEASH_CARRY_UNREADABLE:
		return "it cannot be read, so nothing is known of it";
	case LEASH_CARRY_UNKNOWN:
		return "it is neither an ELF program nor a script";
	case LEASH_CARRY_ERROR:
		return "it cannot be executed";
	}
	return "it is of an unknown kind";
}
