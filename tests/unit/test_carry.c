/* SPDX-License-Identifier: MIT */
/*
 * leash_carry_check() against real files: made by the compilers of this machine,
 * copied, patched and cut in a directory of our own. What ld.so really does about
 * privileges is not assumed: the program is run and asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/core/carry.h"

#define OTHER_ID 12345

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define INTERP "/lib64/ld-linux-x86-64.so.2"
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#define INTERP "/lib/ld-linux-aarch64.so.1"
#endif

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned int turn;
	char *ret = path[turn++ % 4];

	snprintf(ret, sizeof(path[0]), "%s/%s", dir, name);
	return ret;
}

__attribute__((format(printf, 1, 2))) static int sh(const char *format, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	return system(command);
}

static void put_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_text(const char *name, const char *text, mode_t mode)
{
	put_file(name, text, strlen(text), mode);
}

static void patch(const char *from, const char *to, size_t offset, const void *bytes, size_t len)
{
	int fd;

	assert_int_equal(sh("cp %s/%s %s/%s", dir, from, dir, to), 0);
	fd = open(in_dir(to), O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
	close(fd);
}

static enum leash_carry check(const char *name, struct leash_carry_info *info)
{
	enum leash_carry result;

	memset(info, 'x', sizeof(*info));
	result = leash_carry_check(AT_FDCWD, name[0] == '/' ? name : in_dir(name), 0, false, info);
	assert_int_equal(result, info->result);
	assert_non_null(memchr(info->interp, '\0', sizeof(info->interp)));
	assert_non_null(memchr(info->runtime, '\0', sizeof(info->runtime)));
	return result;
}

static int set_up(void **state)
{
	static const char ask[] = "#include <sys/auxv.h>\n"
				  "int main(void) { return getauxval(AT_SECURE) ? 41 : 40; }\n";

	(void)state;
	strcpy(dir, "/tmp/netleash-carry-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	put_text("ask.c", ask, 0600);
	if (sh("cd %s && cc -o dynamic ask.c && cp dynamic true", dir) != 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return sh("rm -rf %s", dir);
}

static void ordinary_programs(void **state)
{
	struct leash_carry_info info;

	(void)state;
	assert_int_equal(check("/bin/true", &info), LEASH_CARRY_OK);
	assert_non_null(strstr(info.interp, "ld-linux"));
	assert_string_equal(info.runtime, "");
	assert_int_equal(check("dynamic", &info), LEASH_CARRY_OK);
	assert_string_equal(leash_carry_text(LEASH_CARRY_OK), "");
}

static void other_links(void **state)
{
	static const struct {
		const char *label, *flags;
		enum leash_carry want;
	} row[] = {
		{"static", "-static", LEASH_CARRY_STATIC},
		{"static-pie", "-static-pie", LEASH_CARRY_STATIC},
		{"no-pie", "-no-pie", LEASH_CARRY_OK},
		{"a library with a main", "-shared -fPIC", LEASH_CARRY_STATIC},
		{"musl's interpreter", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1",
		 LEASH_CARRY_LIBC},
		{"an interpreter that is missing",
		 "-Wl,--dynamic-linker=/nowhere/ld-linux-x86-64.so.2", LEASH_CARRY_LIBC},
	};
	struct leash_carry_info info;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (sh("cd %s && cc -o other %s ask.c 2>/dev/null", dir, row[i].flags) != 0) {
			print_message("not tried, cannot be linked here: %s\n", row[i].label);
			continue;
		}
		if (check("other", &info) != row[i].want)
			fail_msg("%s: %s", row[i].label, leash_carry_text(info.result));
	}
	if (sh("cd %s && musl-gcc -o musl ask.c 2>/dev/null", dir) == 0) {
		assert_int_equal(check("musl", &info), LEASH_CARRY_LIBC);
		assert_non_null(strstr(info.interp, "musl"));
	} else {
		print_message("not tried, there is no musl-gcc\n");
	}
}

/* A name that is no ABI name, but the file is the one: Nix, Guix and relocated trees do it. */
static void same_interpreter(void **state)
{
	struct leash_carry_info info;
	char self[256] = "";
	int status;

	(void)state;
	assert_int_equal(check("dynamic", &info), LEASH_CARRY_OK);
	assert_int_equal(symlink(info.interp, in_dir("ld.so")), 0);
	assert_int_equal(sh("cd %s && cc -o alias -Wl,--dynamic-linker=%s/ld.so ask.c", dir, dir),
			 0);
	assert_int_equal(check("alias", &info), LEASH_CARRY_OK);
	assert_string_equal(info.interp, in_dir("ld.so"));
	/* A copy is another file: which glibc it belongs to cannot be known. */
	assert_int_equal(sh("cd %s && cp -L ld.so copy && rm ld.so && mv copy ld.so", dir), 0);
	assert_int_equal(check("alias", &info), LEASH_CARRY_LIBC);
	/* A process that was itself started by that copy knows it. */
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	status = sh("%s/ld.so %s --ask %s/alias", dir, self, dir);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), LEASH_CARRY_OK);
	status = sh("%s --ask %s/alias", self, dir);
	assert_int_equal(WEXITSTATUS(status), LEASH_CARRY_LIBC);
}

static void scripts(void **state)
{
	struct leash_carry_info info;
	char text[400];
	bool have_static;

	(void)state;
	put_text("sh", "#!/bin/sh\nexit 0\n", 0755);
	assert_int_equal(check("sh", &info), LEASH_CARRY_OK);
	put_text("blanks", "#! \t/bin/sh \t-e\n", 0755);
	assert_int_equal(check("blanks", &info), LEASH_CARRY_OK);
	put_text("no-newline", "#!/bin/sh", 0755);
	assert_int_equal(check("no-newline", &info), LEASH_CARRY_OK);
	put_text("missing", "#!/nowhere/sh\n", 0755);
	assert_int_equal(check("missing", &info), LEASH_CARRY_ERROR);
	assert_string_equal(info.interp, "/nowhere/sh");
	put_text("nothing", "#! \n/bin/sh\n", 0755);
	assert_int_equal(check("nothing", &info), LEASH_CARRY_UNKNOWN);

	/* The line is cut at 256 bytes: the kernel takes no name that reaches it. */
	snprintf(text, sizeof(text), "#!/%0*d\n", 300, 0);
	put_text("long", text, 0755);
	assert_int_equal(check("long", &info), LEASH_CARRY_UNKNOWN);

	have_static = sh("cd %s && cc -static -o st ask.c 2>/dev/null", dir) == 0;
	if (have_static) {
		snprintf(text, sizeof(text), "#!%s\n", in_dir("st"));
		put_text("to-static", text, 0755);
		assert_int_equal(check("to-static", &info), LEASH_CARRY_STATIC);
		snprintf(text, sizeof(text), "#!%s -x\n", in_dir("to-static"));
		put_text("to-to-static", text, 0755);
		assert_int_equal(check("to-to-static", &info), LEASH_CARRY_STATIC);
	} else {
		print_message("not tried, there is no static libc: scripts to a static program\n");
	}
	if (sh("cd %s && musl-gcc -o musl ask.c 2>/dev/null", dir) == 0) {
		snprintf(text, sizeof(text), "#!%s\n", in_dir("musl"));
		put_text("to-musl", text, 0755);
		assert_int_equal(check("to-musl", &info), LEASH_CARRY_LIBC);
	}
}

static int run_status(const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl(path, path, (char *)NULL);
		_exit(errno == ELOOP ? 99 : errno == ENOEXEC ? 98 : 97);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* As deep as this kernel goes, and not one deeper. */
static void script_chain(void **state)
{
	struct leash_carry_info info;
	char name[24], text[300];

	(void)state;
	put_text("chain0", "", 0755);
	assert_int_equal(sh("cp %s/dynamic %s/chain0", dir, dir), 0);
	for (int i = 1; i <= 8; i++) {
		int status;

		snprintf(name, sizeof(name), "chain%d", i - 1);
		snprintf(text, sizeof(text), "#!%s\n", in_dir(name));
		snprintf(name, sizeof(name), "chain%d", i);
		put_text(name, text, 0755);
		status = run_status(in_dir(name));
		if (status != 40 && status != 99)
			fail_msg("%s ended with %d", name, status);
		if (check(name, &info) != (status == 40 ? LEASH_CARRY_OK : LEASH_CARRY_ERROR))
			fail_msg("%s: the kernel says %d, we say %d", name, status, info.result);
	}
	assert_int_equal(check("chain8", &info), LEASH_CARRY_ERROR);

	/* A circle ends too. */
	snprintf(text, sizeof(text), "#!%s\n", in_dir("self"));
	put_text("self", text, 0755);
	assert_int_equal(check("self", &info), LEASH_CARRY_ERROR);
}

static void damaged_elf(void **state)
{
	struct leash_carry_info info;
	const unsigned char class32 = ELFCLASS32, big_endian = ELFDATA2MSB;
	const uint16_t machine = EM_RISCV, relocatable = ET_REL, none = 0, odd_size = 55;
	const uint64_t far = UINT64_MAX - 8;
	unsigned char *bytes;
	struct stat st;
	int fd;

	(void)state;
	patch("true", "class32", EI_CLASS, &class32, 1);
	assert_int_equal(check("class32", &info), LEASH_CARRY_CLASS);
	patch("true", "order", EI_DATA, &big_endian, 1);
	assert_int_equal(check("order", &info), LEASH_CARRY_MACHINE);
	patch("true", "machine", offsetof(Elf64_Ehdr, e_machine), &machine, sizeof(machine));
	assert_int_equal(check("machine", &info), LEASH_CARRY_MACHINE);
	patch("true", "object", offsetof(Elf64_Ehdr, e_type), &relocatable, sizeof(relocatable));
	assert_int_equal(check("object", &info), LEASH_CARRY_UNKNOWN);
	patch("true", "no-headers", offsetof(Elf64_Ehdr, e_phnum), &none, sizeof(none));
	assert_int_equal(check("no-headers", &info), LEASH_CARRY_UNKNOWN);
	patch("true", "odd-headers", offsetof(Elf64_Ehdr, e_phentsize), &odd_size,
	      sizeof(odd_size));
	assert_int_equal(check("odd-headers", &info), LEASH_CARRY_UNKNOWN);
	patch("true", "far-headers", offsetof(Elf64_Ehdr, e_phoff), &far, sizeof(far));
	assert_int_equal(check("far-headers", &info), LEASH_CARRY_UNKNOWN);

	/* Cut at every length of header and program headers, then in steps: never a crash, never
	 * static, and OK only from where the interpreter's name is whole. */
	fd = open(in_dir("true"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	close(fd);
	for (size_t len = 0; len < (size_t)st.st_size; len += len < 2048 ? 1 : 997) {
		put_file("cut", bytes, len, 0755);
		check("cut", &info);
		if (info.result == LEASH_CARRY_OK && len > 0x318 && info.interp[0] != '\0')
			continue;
		/* a class byte that is not there yet reads 0, a machine too */
		if (info.result != LEASH_CARRY_UNKNOWN &&
		    !(len <= EI_CLASS && info.result == LEASH_CARRY_CLASS) &&
		    !(len < 20 && info.result == LEASH_CARRY_MACHINE))
			fail_msg("%zu bytes of a program: %d", len, info.result);
	}

	/* Every byte of the headers, turned round: any answer, but an answer. */
	for (size_t at = 0; at < 1024; at++) {
		const unsigned char flipped = (unsigned char)~bytes[at];

		put_file("flip", bytes, (size_t)st.st_size, 0755);
		fd = open(in_dir("flip"), O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
		close(fd);
		check("flip", &info);
	}
	munmap(bytes, (size_t)st.st_size);
}

/*
 * A file of our own making: what is looked for stands in places that no reading at once covers. @headers program
 * headers in front of the two that count, @entries of .dynamic in front of the one that names the runtime, and
 * @gap bytes between two names.
 */
static size_t lay_out(unsigned char *file, unsigned int headers, unsigned int entries, size_t gap)
{
	static const char interp[] = INTERP;
	const size_t dynamic = 64 + (headers + 3) * sizeof(Elf64_Phdr) + 5000;
	const size_t strings = dynamic + (entries + 3) * sizeof(Elf64_Dyn) + 3000;
	const size_t size = strings + (entries + 1) * gap + 64;
	Elf64_Ehdr header = {.e_type = ET_DYN, .e_machine = MACHINE, .e_phoff = 64,
			     .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (Elf64_Half)(headers + 3)};
	Elf64_Phdr *at = (Elf64_Phdr *)(void *)(file + 64);
	Elf64_Dyn *entry = (Elf64_Dyn *)(void *)(file + dynamic);

	memset(file, 0, size);
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(file, &header, sizeof(header));
	at += headers;
	*at++ = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = dynamic - 100, .p_filesz = sizeof(interp)};
	memcpy(file + dynamic - 100, interp, sizeof(interp));
	*at++ = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_offset = dynamic,
			     .p_filesz = (entries + 3) * sizeof(Elf64_Dyn)};
	*at++ = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x10000, .p_filesz = size};
	for (unsigned int i = 0; i <= entries; i++) {
		*entry++ = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = i * gap};
		strcpy((char *)file + strings + i * gap, i < entries ? "libsome.so.1" : "libasan.so.8");
	}
	*entry = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = 0x10000 + strings};
	return size;
}

static void far_apart(void **state)
{
	static const struct {
		const char *label;
		unsigned int headers, entries;
		size_t gap;
		const char *runtime;
	} row[] = {
		{"as most files", 5, 3, 13, "libasan.so.8"},
		{"headers behind what is read first", 40, 3, 13, "libasan.so.8"},
		{"a long .dynamic", 5, 100, 13, "libasan.so.8"},
		{"a name across the end of what was read", 5, 19, 13, "libasan.so.8"},
		{"names far apart", 5, 40, 5000, "libasan.so.8"},
		{"the last that is looked at", 5, 255, 20, "libasan.so.8"},
		{"one behind it", 5, 256, 20, ""},
	};
	unsigned char *file = calloc(1, 1 << 20);
	struct leash_carry_info info;

	(void)state;
	assert_non_null(file);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const size_t size = lay_out(file, row[i].headers, row[i].entries, row[i].gap);

		put_file("far", file, size, 0700);
		if (check("far", &info) != LEASH_CARRY_OK || strcmp(info.runtime, row[i].runtime) != 0)
			fail_msg("%s: %s, runtime \"%s\"", row[i].label, leash_carry_text(info.result),
				 info.runtime);
		/* Cut anywhere it is an answer, and under the sanitizers no byte that is not there is looked at. */
		for (size_t len = size; len > 0; len = len * 7 / 8) {
			assert_int_equal(truncate(in_dir("far"), (off_t)len), 0);
			check("far", &info);
			if (info.result != LEASH_CARRY_OK)
				assert_string_equal(info.runtime, "");
		}
	}
	free(file);
}

/* Any damage to what is looked at has an answer */
static void random_damage(void **state)
{
	unsigned char *file = calloc(1, 1 << 16), *now = calloc(1, 1 << 16);
	struct leash_carry_info info;
	unsigned int seen[LEASH_CARRY_ERROR + 1] = {0};
	uint32_t seed = 1;

	(void)state;
	assert_true(file && now);
	for (int turn = 0; turn < 3000; turn++) {
		const size_t size = lay_out(file, 5, 6, 40);

		memcpy(now, file, size);
		for (unsigned int hit = 0; hit < 1 + seed % 3; hit++) {
			seed = seed * 1664525 + 1013904223;
			/* The header, the program headers and .dynamic */
			now[18 + (seed >> 8) % 500] = (unsigned char)(seed >> 24);
			now[64 + 8 * sizeof(Elf64_Phdr) + 5000 + (seed >> 7) % 144] = (unsigned char)(seed >> 16);
		}
		put_file("damaged", now, size, 0700);
		assert_in_range(check("damaged", &info), 0, LEASH_CARRY_ERROR);
		seen[info.result]++;
	}
	assert_true(seen[LEASH_CARRY_OK] && seen[LEASH_CARRY_STATIC] && seen[LEASH_CARRY_UNKNOWN] &&
		    seen[LEASH_CARRY_LIBC]);
	free(file);
	free(now);
}

static void no_programs(void **state)
{
	struct leash_carry_info info;

	(void)state;
	put_text("text", "echo hello\n", 0755);
	assert_int_equal(check("text", &info), LEASH_CARRY_UNKNOWN);
	put_text("empty", "", 0755);
	assert_int_equal(check("empty", &info), LEASH_CARRY_UNKNOWN);
	put_text("hash", "#", 0755);
	assert_int_equal(check("hash", &info), LEASH_CARRY_UNKNOWN);
	put_text("plain", "#!/bin/sh\n", 0644);
	assert_int_equal(check("plain", &info), LEASH_CARRY_ERROR);
	assert_int_equal(check("not-there", &info), LEASH_CARRY_ERROR);
	assert_int_equal(check("/tmp", &info), LEASH_CARRY_ERROR);
	assert_int_equal(check("/dev/null", &info), LEASH_CARRY_ERROR);
	assert_int_equal(mkfifo(in_dir("fifo"), 0755), 0);
	assert_int_equal(chmod(in_dir("fifo"), 0755), 0);
	assert_int_equal(check("fifo", &info),
			 LEASH_CARRY_ERROR); /* and does not wait for a writer */
	assert_int_equal(leash_carry_check(AT_FDCWD, "", 0, false, &info), LEASH_CARRY_ERROR);
	assert_int_equal(leash_carry_check(AT_FDCWD, (const char *)8, 0, false, &info),
			 LEASH_CARRY_ERROR);
}

static int check_as_other(const char *name, bool no_new_privs)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct leash_carry_info info;

		if (getuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setgid(OTHER_ID) < 0 || setuid(OTHER_ID) < 0))
			_exit(100);
		_exit((int)leash_carry_check(AT_FDCWD, in_dir(name), 0, no_new_privs, &info));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void unreadable(void **state)
{
	(void)state;
	assert_int_equal(sh("cp %s/true %s/secret && chmod 0111 %s/secret", dir, dir, dir), 0);
	assert_int_equal(check_as_other("secret", false), LEASH_CARRY_UNREADABLE);
	assert_int_equal(chmod(in_dir("secret"), 0555), 0);
	assert_int_equal(check_as_other("secret", false), LEASH_CARRY_OK);
	assert_int_equal(chmod(in_dir("secret"), 0400), 0);
	assert_int_equal(check_as_other("secret", false), LEASH_CARRY_ERROR);
}

static void no_descriptor_left(void **state)
{
	struct leash_carry_info info;
	struct rlimit old, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	leash_carry_check(AT_FDCWD, in_dir("true"), 0, false, &info);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(info.result, LEASH_CARRY_UNREADABLE);
}

static void by_descriptor(void **state)
{
	struct leash_carry_info info;
	char proc[64];
	int fd, mem, at, lowest;
	char buf[4096];
	ssize_t n;

	(void)state;
	fd = open(in_dir("true"), O_PATH | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(leash_carry_check(fd, "", AT_EMPTY_PATH, false, &info), LEASH_CARRY_OK);
	assert_int_equal(leash_carry_check(fd, "", 0, false, &info), LEASH_CARRY_ERROR);
	close(fd);
	assert_int_equal(leash_carry_check(fd, "", AT_EMPTY_PATH, false, &info), LEASH_CARRY_ERROR);

	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(leash_carry_check(at, "true", 0, false, &info), LEASH_CARRY_OK);
	assert_int_equal(leash_carry_check(at, "", AT_EMPTY_PATH, false, &info), LEASH_CARRY_ERROR);
	close(at);

	mem = memfd_create("program", MFD_CLOEXEC);
	assert_true(mem >= 0);
	fd = open(in_dir("true"), O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		assert_int_equal(write(mem, buf, (size_t)n), n);
	assert_int_equal(leash_carry_check(mem, "", AT_EMPTY_PATH, false, &info), LEASH_CARRY_OK);
	/* the descriptor's own offset is where it was */
	assert_true(lseek(mem, 0, SEEK_CUR) > 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", mem);
	assert_int_equal(leash_carry_check(AT_FDCWD, proc, 0, false, &info), LEASH_CARRY_OK);
	if (sh("cd %s && cc -static -o st ask.c 2>/dev/null", dir) == 0) {
		int st = open(in_dir("st"), O_RDONLY | O_CLOEXEC);

		assert_int_equal(ftruncate(mem, 0), 0);
		assert_int_equal(lseek(mem, 0, SEEK_SET), 0);
		while ((n = read(st, buf, sizeof(buf))) > 0)
			assert_int_equal(write(mem, buf, (size_t)n), n);
		close(st);
		assert_int_equal(leash_carry_check(mem, "", AT_EMPTY_PATH, false, &info),
				 LEASH_CARRY_STATIC);
	}
	close(mem);
	close(fd);

	/* nothing is left open */
	lowest = dup(0);
	close(lowest);
	leash_carry_check(AT_FDCWD, in_dir("true"), 0, false, &info);
	leash_carry_check(AT_FDCWD, in_dir("text"), 0, false, &info);
	leash_carry_check(AT_FDCWD, in_dir("class32"), 0, false, &info);
	fd = dup(0);
	assert_int_equal(fd, lowest);
	close(fd);
}

static void sanitizer_runtime(void **state)
{
	static const char *const flag[] = {"address", "thread"}, *const want[] = {"libasan.so",
										  "libtsan.so"};
	struct leash_carry_info info;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		if (sh("cd %s && gcc -fsanitize=%s -o san ask.c 2>/dev/null", dir, flag[i]) != 0) {
			print_message("not tried, cannot be linked here: -fsanitize=%s\n", flag[i]);
			continue;
		}
		assert_int_equal(check("san", &info), LEASH_CARRY_OK);
		assert_memory_equal(info.runtime, want[i], strlen(want[i]));
	}
	/* The program's own runtime counts, not the one of a script's caller. */
	assert_int_equal(check("true", &info), LEASH_CARRY_OK);
	assert_string_equal(info.runtime, "");
}

struct who {
	uid_t uid, euid;
	gid_t gid, egid;
	bool no_new_privs;
};

/* In a child with these ids: our answer, and what the program says of itself. */
static void ask_kernel(const char *name, const struct who *who, int *ret_ours, int *ret_kernel)
{
	for (int turn = 0; turn < 2; turn++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct leash_carry_info info;

			if (setgroups(0, NULL) < 0 ||
			    setresgid(who->gid, who->egid, who->egid) < 0 ||
			    setresuid(who->uid, who->euid, who->uid) < 0 ||
			    (who->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
				_exit(100);
			if (turn == 0)
				_exit((int)leash_carry_check(AT_FDCWD, in_dir(name), 0,
							     who->no_new_privs, &info));
			execl(in_dir(name), name, (char *)NULL);
			_exit(101);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		*(turn ? ret_kernel : ret_ours) = WEXITSTATUS(status);
	}
}

static void privileges(void **state)
{
	static const char *const file[] = {"dynamic",   "suid-root", "suid-one", "sgid-one",
					   "sgid-no-x", "cap-p",     "cap-ep"};
	static const struct who who[] = {
		{0, 0, 0, 0, false},
		{0, 0, 0, 0, true},
		{1000, 1000, 1000, 1000, false},
		{1000, 1000, 1000, 1000, true},
		{1000, 0, 1000, 1000, false},
		{1000, 0, 1000, 1000, true},
		{0, 1000, 0, 0, false},
		{0, 0, 0, 1, true},
		{1, 1, 1, 1, false},
	};
	struct statvfs fs;
	unsigned int secure = 0, plain = 0;

	(void)state;
	if (getuid() != 0) {
		print_message("not tried, needs root: set-uid and file capabilities\n");
		skip();
	}
	assert_int_equal(statvfs(dir, &fs), 0);
	if (fs.f_flag & ST_NOSUID) {
		print_message("not tried, /tmp is mounted nosuid: set-uid and file capabilities\n");
		skip();
	}
	assert_int_equal(sh("cd %s && chmod 755 dynamic && for f in suid-root suid-one sgid-one "
			    "sgid-no-x cap-p cap-ep; do "
			    "cp dynamic $f; done; chmod 4755 suid-root; chown 1:1 suid-one; chmod "
			    "4755 suid-one; "
			    "chgrp 1 sgid-one sgid-no-x; chmod 2755 sgid-one; chmod 2745 sgid-no-x",
			    dir),
			 0);
	if (sh("cd %s && PATH=$PATH:/sbin:/usr/sbin && setcap cap_net_raw+p cap-p && "
	       "setcap cap_net_raw+ep cap-ep",
	       dir) != 0)
		print_message("not tried, no setcap here: file capabilities\n");
	for (size_t f = 0; f < sizeof(file) / sizeof(file[0]); f++) {
		for (size_t w = 0; w < sizeof(who) / sizeof(who[0]); w++) {
			int ours, kernel;

			ask_kernel(file[f], &who[w], &ours, &kernel);
			if (kernel == 101) {
				assert_int_equal(ours, LEASH_CARRY_ERROR);
				continue;
			}
			/* Careful is allowed where kernels differ: permitted-only capabilities
			 * under no_new_privs, and ids that were apart before. */
			if (kernel == 40 && ours == LEASH_CARRY_SECURE &&
			    ((who[w].no_new_privs && strcmp(file[f], "cap-p") == 0) ||
			     who[w].uid != who[w].euid))
				continue;
			if ((kernel == 41) != (ours == LEASH_CARRY_SECURE) ||
			    (kernel == 40) != (ours == LEASH_CARRY_OK))
				fail_msg("%s as %u/%u: the kernel says %d, we say %d", file[f],
					 who[w].uid, who[w].euid, kernel, ours);
			secure += kernel == 41;
			plain += kernel == 40;
		}
	}
	assert_true(secure > 10 && plain > 10);
}

static void texts(void **state)
{
	(void)state;
	for (int i = LEASH_CARRY_STATIC; i <= LEASH_CARRY_ERROR; i++) {
		assert_true(strlen(leash_carry_text((enum leash_carry)i)) > 5);
		for (int k = LEASH_CARRY_STATIC; k < i; k++)
			assert_string_not_equal(leash_carry_text((enum leash_carry)i),
						leash_carry_text((enum leash_carry)k));
	}
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_programs),
		cmocka_unit_test(other_links),
		cmocka_unit_test(same_interpreter),
		cmocka_unit_test(scripts),
		cmocka_unit_test(script_chain),
		cmocka_unit_test(damaged_elf),
		cmocka_unit_test(far_apart),
		cmocka_unit_test(random_damage),
		cmocka_unit_test(no_programs),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(no_descriptor_left),
		cmocka_unit_test(by_descriptor),
		cmocka_unit_test(sanitizer_runtime),
		cmocka_unit_test(privileges),
		cmocka_unit_test(texts),
	};

	if (argc == 3 && strcmp(argv[1], "--ask") == 0) {
		struct leash_carry_info info;

		return (int)leash_carry_check(AT_FDCWD, argv[2], 0, false, &info);
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
