/* SPDX-License-Identifier: MIT */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/core/late.h"
#include "shim/core/sys.h"
#include "shim/life/aside.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/* Sanitized objects look for their runtime's own record of each thread. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BARE 1
#else
#define BARE 0
#endif

const char *leash_aside_single;

int leash_aside_fetch(int process, int fd)
{
	return (int)LEASH_SYS(SYS_pidfd_getfd, process, fd, 0);
}

#if BARE

#define GUARD_SIZE 4096
#define STACK_SIZE (64u << 10)	/* of which a refusal's line and an event need 8 */
#define BEHIND_SIZE 4096	/* of the thread pointer: what libc keeps there is 2304 bytes long */

/* The start of libc's thread descriptor as the compiler knows it (psABI TLS, -fstack-protector) */
struct head {
	void *self, *dtv, *self_too;
	int multiple_threads, gscope;
	uintptr_t sysinfo, stack_guard, pointer_guard;
};

static bool able(void)
{
	const int process = (int)LEASH_SYS(SYS_pidfd_open, leash_sys_getpid(), 0);
	int again;

	if (process < 0)
		return false;
	again = leash_aside_fetch(process, process);
	if (again >= 0)
		leash_sys_close(again);
	leash_sys_close(process);
	return again >= 0;
}

bool leash_aside_can(void)
{
	static _Atomic int known;	/* 1: it can, 2: it cannot */
	int now = atomic_load_explicit(&known, memory_order_acquire);

	if (now == 0) {
		leash_aside_single = leash_late_variable("__libc_single_threaded");
		now = leash_aside_single && !leash_aside_threads() && able() ? 1 : 2;
		atomic_store_explicit(&known, now, memory_order_release);
	}
	return now == 1 && !leash_aside_threads();
}

/* How far below the thread pointer the storage reaches that our code may touch: libc's errno */
static size_t storage_size(const char *pointer)
{
	const char *const last = (const char *)&errno;

	return last < pointer ? (size_t)(pointer - last) : 0;
}

/* Everything of one thread: a guard, its stack, its storage, the head. Return: the head, or NULL */
static struct head *room(void **ret_stack)
{
	static _Atomic(char *) kept;
	static _Atomic(size_t) kept_size;
	const char *const pointer = __builtin_thread_pointer();
	const size_t storage = (storage_size(pointer) + 8191) & ~(size_t)4095;
	const size_t size = GUARD_SIZE + STACK_SIZE + storage + BEHIND_SIZE;
	char *at = atomic_load(&kept);
	struct head *head;
	long mapped;

	if (!at || atomic_load(&kept_size) < size) {
		mapped = LEASH_SYS(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (mapped < 0 && mapped > -4096)
			return NULL;
		at = (char *)mapped;
		LEASH_SYS(SYS_mprotect, at, GUARD_SIZE, PROT_NONE);
		atomic_store(&kept_size, size);
		atomic_store(&kept, at);
	}
	*ret_stack = at + GUARD_SIZE + STACK_SIZE;
	head = (struct head *)(void *)(at + GUARD_SIZE + STACK_SIZE + storage);
	memset(head, 0, sizeof(*head));
	head->self = head->self_too = head;
	head->multiple_threads = 1;
	/* The same in all threads of a process: what one wrote on its stack another may check. */
	head->stack_guard = ((const struct head *)(const void *)pointer)->stack_guard;
	head->pointer_guard = ((const struct head *)(const void *)pointer)->pointer_guard;
	return head;
}

__attribute__((noreturn, used)) static void enter(void *(*run)(void *), void *arg)
{
	run(arg);
	for (;;)
		LEASH_SYS(SYS_exit, 0);
}

/* The flags of pthread_create(), to the bit: sandboxes and valgrind know no other threads. */
#define FLAGS                                                                                      \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static long make(void *stack, _Atomic int32_t *tid, struct head *head, void *(*run)(void *), void *arg)
{
	void **top = stack;
	register void *r10 __asm__("r10") = (void *)tid;
	register struct head *r8 __asm__("r8") = head;
	long ret;

	/* On the stack, not in a register: any of those may be %rbp, which the thread begins without. */
	*--top = (void *)enter;
	*--top = arg;
	*--top = (void *)run;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "pop %%rdi\n\t"
			 "pop %%rsi\n\t"
			 "pop %%rax\n\t"
			 "call *%%rax\n"
			 "1:"
			 : "=a"(ret)
			 : "a"((long)SYS_clone), "D"((long)FLAGS), "S"(top), "d"(tid), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

int leash_aside_start(_Atomic int32_t *tid, void *(*run)(void *), void *arg)
{
	const uint64_t all = ~UINT64_C(0);
	struct head *head;
	uint64_t mask;
	void *stack;
	long ret;

	/* The last one said that it ends; it may still stand on its stack. */
	for (int turn = 0; atomic_load(tid) != 0; turn++) {
		if (turn == 100000)
			return -EAGAIN;
		LEASH_SYS(SYS_sched_yield);
	}
	head = room(&stack);
	if (!head)
		return -ENOMEM;
	LEASH_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof(mask));
	ret = make(stack, tid, head, run, arg);
	LEASH_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	return ret < 0 ? (int)ret : 0;
}

static int process = -1;		/* of the thread alone, in its own table */
static _Atomic(const void *) thread;	/* its thread pointer */

void leash_aside_leave_files(void)
{
	process = -1;
	if (LEASH_SYS(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) < 0)
		return;			/* a filter that came since able(): it shares the program's table */
	process = (int)LEASH_SYS(SYS_pidfd_open, leash_sys_getpid(), 0);
	/* No socket gets these numbers. */
	for (int fd = 0; fd <= 2; fd++)
		if (fd != process)
			LEASH_SYS(SYS_dup3, process, fd, O_CLOEXEC);
	atomic_store_explicit(&thread, __builtin_thread_pointer(), memory_order_relaxed);
}

void leash_aside_error(bool lend)
{
	const int mine = leash_aside_process();
	int fd;

	if (mine < 0)
		return;
	fd = lend ? leash_aside_fetch(mine, 2) : mine;
	if (fd < 0)
		return;
	LEASH_SYS(SYS_dup3, fd, 2, O_CLOEXEC);
	if (lend)
		leash_sys_close(fd);
}

int leash_aside_process(void)
{
	return atomic_load_explicit(&thread, memory_order_relaxed) == __builtin_thread_pointer() ? process : -1;
}

/* ------------------------------------------------------------------------- who we are */

#define GROUPS_MAX 64

struct who {
	unsigned int uid[4], gid[4];	/* real, effective, saved, of files */
	unsigned int group[GROUPS_MAX];
	unsigned int groups;
	uint64_t capable;		/* CapPrm */
	unsigned int found;
};

static const char *number(const char *at, unsigned int base, uint64_t *ret)
{
	uint64_t value = 0;
	const char *c = at + strspn(at, " \t");

	for (at = c;; c++) {
		const unsigned int digit = *c >= '0' && *c <= '9'   ? (unsigned int)(*c - '0')
					   : *c >= 'a' && *c <= 'f' ? (unsigned int)(*c - 'a') + 10
								    : 99;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	*ret = value;
	return c == at ? NULL : c;
}

static void list(const char *at, unsigned int *ret, unsigned int max, unsigned int *ret_count)
{
	uint64_t value;

	*ret_count = 0;
	while (*ret_count < max && (at = number(at, 10, &value)))
		ret[(*ret_count)++] = (unsigned int)value;
}

/* Of one thread of ours, by the kernel's own words */
static bool look(const char *path, struct who *ret)
{
	char text[2048];
	const int fd = leash_sys_open(path, O_RDONLY, 0);
	unsigned int count;
	long len;

	memset(ret, 0, sizeof(*ret));
	if (fd < 0)
		return false;
	len = LEASH_SYS(SYS_read, fd, text, sizeof(text) - 1);
	leash_sys_close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL) {
		if (strncmp(line, "Uid:", 4) == 0) {
			list(line + 4, ret->uid, 4, &count);
			ret->found += count == 4;
		} else if (strncmp(line, "Gid:", 4) == 0) {
			list(line + 4, ret->gid, 4, &count);
			ret->found += count == 4;
		} else if (strncmp(line, "Groups:", 7) == 0) {
			list(line + 7, ret->group, GROUPS_MAX, &ret->groups);
			ret->found++;
		} else if (strncmp(line, "CapPrm:", 7) == 0) {
			ret->found += number(line + 7, 16, &ret->capable) != NULL;
		}
	}
	return ret->found == 4;
}

/* What may a thread do? @tid: 0 for this one */
static uint64_t capable(pid_t tid)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = tid};
	struct __user_cap_data_struct data[2] = {{0}};

	if (LEASH_SYS(SYS_capget, &header, data) < 0)
		return ~UINT64_C(0);
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Asked once a second: the files of /proc, which take 50 us, only when what the two may do differs, and now and then.
 * Who may do nothing has nothing to give up. */
static bool same_power(void)
{
	static unsigned int turn;
	const uint64_t self = capable(0);

	return self == 0 || (self == capable(leash_sys_getpid()) && ++turn % 16 != 0);
}

void leash_aside_follow(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct who program, self;

	if (same_power())
		return;
	if (!look("/proc/self/status", &program) || !look("/proc/thread-self/status", &self) ||
	    memcmp(&program, &self, sizeof(self)) == 0)
		return;
	LEASH_SYS(SYS_setgroups, program.groups, program.group);
	LEASH_SYS(SYS_setresgid, program.gid[0], program.gid[1], program.gid[2]);
	LEASH_SYS(SYS_setresuid, program.uid[0], program.uid[1], program.uid[2]);
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable =
			(uint32_t)(program.capable >> (32 * i) & self.capable >> (32 * i));
	for (int i = 0; i < 2; i++)
		data[i].inheritable = 0;
	LEASH_SYS(SYS_capset, &header, data);
}

#else

bool leash_aside_can(void)
{
	return false;
}

int leash_aside_start(_Atomic int32_t *tid, void *(*run)(void *), void *arg)
{
	(void)tid;
	(void)run;
	(void)arg;
	return -ENOSYS;
}

void leash_aside_leave_files(void)
{
}

int leash_aside_process(void)
{
	return -1;
}

void leash_aside_error(bool lend)
{
	(void)lend;
}

void leash_aside_follow(void)
{
}

#endif
