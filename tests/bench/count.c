/* SPDX-License-Identifier: MIT */
/*
 * Count the instructions and system calls of a program, one step at a time.
 *
 *	count [-a] [-o FILE] [-p FILE] PROGRAM [ARG ...]
 *
 * Between two marks (mark.h), or with -a from exec to exit, dynamic linker included. What it finds
 * does not depend on how busy the machine is, needs neither performance counters (virtual machines
 * have none) nor valgrind, and is exact: addresses are not randomised. Threads and children are not
 * followed. A step costs 2 us.
 *
 * -o FILE	one line "INSTRUCTIONS SYSCALLS" (default: standard error): the median of the times that the
 *		marks were passed, because once in a while an operation has more to do
 * -p FILE	profile: "HEX-ADDRESS COUNT" for each instruction, and the program's mappings
 *
 * Exit status: the program's; 111 if it could not be traced, was killed, or never came to a mark.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"

#define SLOTS (1u << 18)	/* distinct instructions; a start has some 20,000 */

static struct slot {
	uint64_t address;
	uint64_t count;
	bool is_syscall;
} slots[SLOTS];

#define PHASES 10000
static uint64_t instructions, syscalls;		/* of this phase */
static uint64_t counted[2][PHASES];
static size_t phases;

static void die(const char *what)
{
	fprintf(stderr, "count: %s: %s\n", what, strerror(errno));
	exit(111);
}

#if defined(__x86_64__)
static uint64_t address_of(pid_t pid)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
}

static long number_of(pid_t pid)
{
	return ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, orig_rax), 0);
}

static long next_number_of(pid_t pid)
{
	return ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rax), 0);
}

static bool is_syscall(uint64_t code)
{
	return (code & 0xffff) == 0x050f;
}
#elif defined(__aarch64__)
static struct user_regs_struct registers(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) < 0)
		die("PTRACE_GETREGSET");
	return regs;
}

static uint64_t address_of(pid_t pid)
{
	return registers(pid).pc;
}

static long number_of(pid_t pid)
{
	return (long)registers(pid).regs[8];
}

static long next_number_of(pid_t pid)
{
	return number_of(pid);
}

static bool is_syscall(uint64_t code)
{
	return (code & 0xffffffff) == 0xd4000001;
}
#endif

static struct slot *slot_of(pid_t pid, uint64_t address)
{
	uint32_t i = (uint32_t)((address * 0x9e3779b97f4a7c15ull) >> 46);

	for (uint32_t n = 0; n < SLOTS; n++, i = (i + 1) % SLOTS) {
		if (slots[i].address == address)
			return &slots[i];
		if (slots[i].address == 0) {
			errno = 0;
			const long code = ptrace(PTRACE_PEEKTEXT, pid, address, 0);

			slots[i].address = address;
			/* At the end of a mapping eight bytes cannot be read; a system call is never last. */
			slots[i].is_syscall = errno == 0 && is_syscall((uint64_t)code);
			return &slots[i];
		}
	}
	errno = ENOSPC;
	die("instructions");
	return NULL;
}

static void end_phase(void)
{
	if (phases < PHASES) {
		counted[0][phases] = instructions;
		counted[1][phases++] = syscalls;
	}
	instructions = syscalls = 0;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The next instruction is about to be made. Return: false if it is the closing mark */
static bool take(pid_t pid)
{
	static struct slot *last;
	struct slot *slot = slot_of(pid, address_of(pid));

	/* A repeated string instruction stops once a round, and is one all the same. */
	if (slot == last && !slot->is_syscall)
		return true;
	last = slot;
	if (slot->is_syscall) {
		const long number = next_number_of(pid);

		if (number == BENCH_MARK_END)
			return false;
		if (number == BENCH_MARK_BEGIN)
			return true;
		syscalls++;
	}
	slot->count++;
	instructions++;
	return true;
}

static void write_profile(const char *path, const char *maps)
{
	FILE *out = fopen(path, "w");

	if (!out)
		die(path);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (slots[i].count)
			fprintf(out, "%llx %llu\n", (unsigned long long)slots[i].address,
				(unsigned long long)slots[i].count);
	fputs(maps, out);
	fclose(out);
}

/* While it lives: libraries that were opened late are in it. */
static void read_maps(pid_t pid, char *buf, size_t size)
{
	char path[64];
	FILE *in;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "r");
	if (!in)
		return;
	len = fread(buf, 1, size - 1, in);
	fclose(in);
	if (len)
		buf[len] = '\0';
}

int main(int argc, char **argv)
{
	static char maps[1 << 20];
	const char *out_path = NULL, *profile = NULL;
	bool all = false, complete, stepping, begun = false, entering = true;
	int opt, status;
	FILE *out = stderr;
	pid_t pid;

	while ((opt = getopt(argc, argv, "+ao:p:")) != -1) {
		if (opt == 'a')
			all = true;
		else if (opt == 'o')
			out_path = optarg;
		else if (opt == 'p')
			profile = optarg;
		else
			return 100;
	}
	if (optind == argc) {
		fprintf(stderr, "usage: count [-a] [-o FILE] [-p FILE] PROGRAM [ARG ...]\n");
		return 100;
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		/* So that hashes of addresses, and what lies in one page, are the same each time. */
		personality(ADDR_NO_RANDOMIZE);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			die("PTRACE_TRACEME");
		execv(argv[optind], argv + optind);
		die(argv[optind]);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		die(argv[optind]);
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		die("PTRACE_SETOPTIONS");
	stepping = complete = all;
	if (all)
		take(pid);
	for (int deliver = 0;;) {
		if (ptrace(stepping ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, pid, 0, deliver) < 0 ||
		    waitpid(pid, &status, 0) < 0)
			die("ptrace");
		deliver = 0;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			break;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			/* Not stepping yet: a call stops twice, at its entry and at its end. */
			if (entering)
				begun = number_of(pid) == BENCH_MARK_BEGIN;
			else if (begun)
				stepping = take(pid);
			entering = !entering;
		} else if (WSTOPSIG(status) != SIGTRAP) {
			deliver = WSTOPSIG(status);
		} else if (stepping) {
			if (profile && instructions % 50000 == 49999)
				read_maps(pid, maps, sizeof(maps));
			if (!take(pid)) {
				if (profile)
					read_maps(pid, maps, sizeof(maps));
				end_phase();
				stepping = begun = false;
				entering = complete = true;
			}
		}
	}
	if (!complete || WIFSIGNALED(status)) {
		fprintf(stderr, "count: %s: %s\n", argv[optind],
			complete ? "killed" : "never came to a closing mark");
		return 111;
	}
	if (out_path) {
		out = fopen(out_path, "w");
		if (!out)
			die(out_path);
	}
	if (all)
		end_phase();
	for (int i = 0; i < 2; i++)
		qsort(counted[i], phases, sizeof(counted[i][0]), by_size);
	fprintf(out, "%llu %llu\n", (unsigned long long)counted[0][(phases - 1) / 2],
		(unsigned long long)counted[1][(phases - 1) / 2]);
	fflush(out);
	if (profile)
		write_profile(profile, maps);
	return WEXITSTATUS(status);
}
