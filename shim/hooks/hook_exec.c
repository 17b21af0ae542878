/* SPDX-License-Identifier: MIT */
/*
 * The leash stays on the children (hooks.md 2.7, 3.7).
 *
 * libc reaches none of these from another one of them, so each is decided at its own
 * entry. All but system(), popen() and wordexp() are async-signal-safe to the last line and
 * write nothing global: most calls come from a child of vfork(), on its parent's memory.
 *
 * Limits. The caller's strings are read before the kernel sees them: a wild pointer *inside* an
 * array of variables faults here, where the kernel would say EFAULT; the array itself is asked
 * about first. A relative path is looked at from this process's directory, also where
 * posix_spawn_file_actions_addchdir_np() will have moved the child.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/core/env.h"
#include "shim/core/init.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"
#include "shim/core/sys.h"
#include "shim/hooks/exec_env.h"

#define STACK_MAX (64u << 10)	/* larger environments are mapped (hooks.md X2) */
#define STRING_MAX (128u << 10)	/* MAX_ARG_STRLEN */

/* Not in the headers of older glibc, and one that never was. */
int pidfd_spawn(int *restrict pidfd, const char *restrict path,
		const posix_spawn_file_actions_t *restrict actions,
		const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		char *const envp[restrict]);
int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
		 const posix_spawn_file_actions_t *restrict actions,
		 const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		 char *const envp[restrict]);
FILE *_IO_popen(const char *command, const char *mode) __attribute__((malloc));

struct child {
	struct leash_exec_want want;
	struct leash_exec_plan plan;
	void *map;
	char runtime[256];
};

/* Can an array be read at its start? The kernel looks at a signal set before it finds that
 * there is no such operation: EFAULT or EINVAL, and nothing else happens. */
static bool is_readable(const void *address)
{
	return LEASH_SYS(SYS_rt_sigprocmask, -1, address, NULL, 8) != -EFAULT;
}

/*
 * Before the real call: may it, and what has to be repaired? A process in secure mode carries
 * nothing to hand on (hooks.md L10), and one whose own path is unknown cannot.
 */
static int prepare(struct child *child, int dirfd, const char *path, int flags, bool search,
		   char *const *envp)
{
	int ret;

	leash_init();
	child->map = NULL;
	child->plan.size = 0;
	if (leash_env.secure || !leash_env.preload[0])
		return 0;
	ret = search ? leash_conn_may_search(path, child->runtime, sizeof(child->runtime))
		     : leash_conn_may_exec(dirfd, path, flags, child->runtime,
					   sizeof(child->runtime));
	if (ret < 0)
		return ret;
	if (envp && envp != environ && !is_readable(envp))
		return 0;
	child->want = (struct leash_exec_want){
		.preload = leash_env.preload,
		.runtime = child->runtime,
		.entries = leash_env.entries,
		/* Variables that did not fit: a child without any refuses, as this process does. */
		.entry_count = leash_env.overflow ? 0 : leash_env.entry_count,
	};
	leash_exec_env_measure(&child->want, envp, &child->plan);
	return 0;
}

/* The frame that makes the real call gives the memory; NULL: none needed, or too much. */
#define STACK_FOR(child)                                                                           \
	((child).plan.size && (child).plan.size <= STACK_MAX                                       \
		 ? __builtin_alloca((child).plan.size)                                             \
		 : NULL)

/* Sets *ret_envp; the caller's own array where nothing needs repair (hooks.md X3). */
static int build(struct child *child, char *const *envp, void *mem, char *const **ret_envp)
{
	long map;

	if (!child->plan.size) {
		*ret_envp = envp;
		return 0;
	}
	if (!mem) {
		map = LEASH_SYS(SYS_mmap, NULL, child->plan.size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (map < 0 && map > -4096)
			return (int)map;
		mem = child->map = (void *)map;
	}
	*ret_envp = leash_exec_env_build(&child->want, envp, &child->plan, mem);
	return 0;
}

/* Only after a call that came back: what exec took from a child of vfork() stays mapped in
 * its parent. */
static void drop(const struct child *child)
{
	if (child->map)
		LEASH_SYS(SYS_munmap, child->map, child->plan.size);
}

/* ------------------------------------------------------------------------------- exec */

static int run(const char *path, char *const argv[], char *const envp[])
{
	struct child child;
	char *const *env = NULL;
	void *mem;
	int ret = prepare(&child, AT_FDCWD, path, 0, false, envp);

	mem = STACK_FOR(child);
	if (ret == 0)
		ret = build(&child, envp, mem, &env);
	if (ret < 0)
		return ret;
	leash_conn_hand_on(true);
	ret = (int)LEASH_REAL(execve, path, argv, env);
	leash_conn_take_back(true);
	drop(&child);
	return ret;
}

static int run_search(const char *file, char *const argv[], char *const envp[])
{
	struct child child;
	char *const *env = NULL;
	void *mem;
	int ret = prepare(&child, AT_FDCWD, file, 0, true, envp);

	mem = STACK_FOR(child);
	if (ret == 0)
		ret = build(&child, envp, mem, &env);
	if (ret < 0)
		return ret;
	leash_conn_hand_on(true);
	ret = (int)LEASH_REAL(execvpe, file, argv, env);
	leash_conn_take_back(true);
	drop(&child);
	return ret;
}

LEASH_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, run(path, argv, envp));
}

LEASH_EXPORT int execv(const char *path, char *const argv[])
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, run(path, argv, environ));
}

LEASH_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, run_search(file, argv, envp));
}

LEASH_EXPORT int execvp(const char *file, char *const argv[])
{
	LEASH_SCOPE(scope);

	return LEASH_LEAVE(scope, int, run_search(file, argv, environ));
}

/*
 * The headers promise that the first argument is not NULL, so the compiler would drop the test for
 * it; the kernel takes an empty list.
 */
static const char *maybe_null(const char *arg)
{
	__asm__("" : "+r"(arg));
	return arg;
}

/* Entries of the list with its NULL. It was put on the stack by the caller, so its copy is no
 * larger than that. */
static size_t count_args(const char *first, va_list args)
{
	size_t count = 1;

	for (; first; count++)
		first = va_arg(args, const char *);
	return count;
}

/* @args stands behind the NULL afterwards: execle() has its environment there. */
static void copy_args(char **argv, const char *first, va_list *args)
{
	for (; first; first = va_arg(*args, const char *))
		*argv++ = (char *)(uintptr_t)first;
	*argv = NULL;
}

/* In the caller's frame, where va_start() and the memory have to be. */
#define LIST(argv, args, arg)                                                                      \
	do {                                                                                       \
		va_start(args, arg);                                                               \
		(argv) = __builtin_alloca(count_args(maybe_null(arg), args) * sizeof(*(argv)));    \
		va_end(args);                                                                      \
		va_start(args, arg);                                                               \
		copy_args(argv, maybe_null(arg), &(args));                                         \
	} while (0)

LEASH_EXPORT int execl(const char *path, const char *arg, ...)
{
	LEASH_SCOPE(scope);
	char **argv;
	va_list args;

	LIST(argv, args, arg);
	va_end(args);
	return LEASH_LEAVE(scope, int, run(path, argv, environ));
}

LEASH_EXPORT int execlp(const char *file, const char *arg, ...)
{
	LEASH_SCOPE(scope);
	char **argv;
	va_list args;

	LIST(argv, args, arg);
	va_end(args);
	return LEASH_LEAVE(scope, int, run_search(file, argv, environ));
}

LEASH_EXPORT int execle(const char *path, const char *arg, ...)
{
	LEASH_SCOPE(scope);
	char *const *envp;
	char **argv;
	va_list args;

	LIST(argv, args, arg);
	envp = va_arg(args, char *const *);
	va_end(args);
	return LEASH_LEAVE(scope, int, run(path, argv, envp));
}

LEASH_EXPORT int execveat(int dirfd, const char *path, char *const argv[], char *const envp[],
			  int flags)
{
	LEASH_SCOPE(scope);
	struct child child;
	char *const *env = NULL;
	void *mem;
	int ret = prepare(&child, dirfd, path, flags & AT_EMPTY_PATH, false, envp);

	mem = STACK_FOR(child);
	if (ret == 0)
		ret = build(&child, envp, mem, &env);
	if (ret == 0) {
		leash_conn_hand_on(true);
		ret = (int)LEASH_REAL(execveat, dirfd, path, argv, env, flags);
		leash_conn_take_back(true);
		drop(&child);
	}
	return LEASH_LEAVE(scope, int, ret);
}

LEASH_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	LEASH_SCOPE(scope);
	struct child child;
	char *const *env = NULL;
	void *mem;
	int ret = prepare(&child, fd, "", AT_EMPTY_PATH, false, envp);

	/* The one form for which libc takes no NULL: it says EINVAL, and must go on saying it. */
	mem = STACK_FOR(child);
	if (ret == 0 && envp)
		ret = build(&child, envp, mem, &env);
	if (ret == 0) {
		leash_conn_hand_on(true);
		ret = (int)LEASH_REAL(fexecve, fd, argv, env);
		leash_conn_take_back(true);
		drop(&child);
	}
	return LEASH_LEAVE(scope, int, ret);
}

/* ------------------------------------------------------------------------------ spawn */

typedef int spawn_fn(int *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);

/* They answer the error itself, and leave errno to what libc does with it. */
static int spawn(spawn_fn *real, bool search, int *pid, const char *path,
		 const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		 char *const argv[], char *const envp[])
{
	struct child child;
	char *const *env = NULL;
	void *mem;
	int ret = prepare(&child, AT_FDCWD, path, 0, search, envp);

	mem = STACK_FOR(child);
	if (ret == 0)
		ret = build(&child, envp, mem, &env);
	if (ret < 0)
		return -ret;
	leash_conn_hand_on(true);
	ret = real(pid, path, actions, attr, argv, env);
	leash_conn_take_back(true);
	drop(&child);
	/* A name that this glibc lacks: what stands in for it says so in errno. */
	return ret < 0 ? errno : ret;
}

/*
 * Two behaviours under one name (hooks.md R5): the node of programs linked before 2012 hands a
 * script without "#!" to the shell. With LEASH_SPAWN_NODES both are exported under their nodes, and
 * the version script names these; without, the name without a version stands for both and
 * behaves like the newer.
 */
#if defined(__x86_64__) && defined(LEASH_SPAWN_NODES)
#define SPAWN leash_spawn_new
#define SPAWNP leash_spawnp_new
spawn_fn leash_spawn_new, leash_spawnp_new, leash_spawn_old, leash_spawnp_old;
__asm__(".symver leash_spawn_new, posix_spawn@@GLIBC_2.15");
__asm__(".symver leash_spawnp_new, posix_spawnp@@GLIBC_2.15");
__asm__(".symver leash_spawn_old, posix_spawn@GLIBC_2.2.5");
__asm__(".symver leash_spawnp_old, posix_spawnp@GLIBC_2.2.5");

/*
 * Not in the table, which has the default node: looked up at the call. The name is known to exist,
 * so nothing is allocated, and spawn is no function for signal handlers.
 */
static spawn_fn *old_node(const char *name)
{
	void *address;
	spawn_fn *ret;

	leash_init();
	address = leash_real_dlvsym(RTLD_NEXT, name, "GLIBC_2.2.5");
	memcpy(&ret, &address, sizeof(ret));
	return ret;
}

LEASH_EXPORT int leash_spawn_old(pid_t *pid, const char *path,
				 const posix_spawn_file_actions_t *actions,
				 const posix_spawnattr_t *attr, char *const argv[],
				 char *const envp[])
{
	spawn_fn *real = old_node("posix_spawn");

	return real ? spawn(real, false, pid, path, actions, attr, argv, envp) : ENOSYS;
}

LEASH_EXPORT int leash_spawnp_old(pid_t *pid, const char *file,
				  const posix_spawn_file_actions_t *actions,
				  const posix_spawnattr_t *attr, char *const argv[],
				  char *const envp[])
{
	spawn_fn *real = old_node("posix_spawnp");

	return real ? spawn(real, true, pid, file, actions, attr, argv, envp) : ENOSYS;
}
#else
#define SPAWN posix_spawn
#define SPAWNP posix_spawnp
#endif

LEASH_EXPORT int SPAWN(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		       char *const envp[restrict])
{
	leash_init();
	return spawn(leash_real.posix_spawn, false, pid, path, actions, attr, argv, envp);
}

LEASH_EXPORT int SPAWNP(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict])
{
	leash_init();
	return spawn(leash_real.posix_spawnp, true, pid, file, actions, attr, argv, envp);
}

LEASH_EXPORT int pidfd_spawn(int *restrict pidfd, const char *restrict path,
			     const posix_spawn_file_actions_t *restrict actions,
			     const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			     char *const envp[restrict])
{
	leash_init();
	return spawn(leash_real.pidfd_spawn, false, pidfd, path, actions, attr, argv, envp);
}

LEASH_EXPORT int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
			      const posix_spawn_file_actions_t *restrict actions,
			      const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			      char *const envp[restrict])
{
	leash_init();
	return spawn(leash_real.pidfd_spawnp, true, pidfd, file, actions, attr, argv, envp);
}

/* --------------------------------------------------------------- inside libc: environ */

static const char *find_stranger(const struct leash_exec_want *want)
{
	for (char *const *at = environ; at && *at; at++) {
		bool wanted = strncmp(*at, "NETLEASH_", 9) != 0;

		for (size_t i = 0; !wanted && i < want->entry_count; i++)
			wanted = strcmp(*at, want->entries[i]) == 0;
		if (!wanted)
			return *at;
	}
	return NULL;
}

/* Out of environ goes every variable of ours that is not what it was. Programs (bash) may have
 * an unsetenv() of their own: the number of attempts is bounded. */
static int clear_strangers(const struct leash_exec_want *want)
{
	const char *entry;
	char name[64];

	for (int i = 0; i < 64 && (entry = find_stranger(want)); i++) {
		const size_t len = strcspn(entry, "=");

		if (len >= sizeof(name))
			return 0;
		memcpy(name, entry, len);
		name[len] = '\0';
		if (unsetenv(name) < 0)
			return -errno;
	}
	return 0;
}

static int set(const char *name, const char *value)
{
	/* setenv() changes the first of two and leaves the other. */
	return unsetenv(name) < 0 || setenv(name, value, 1) < 0 ? -errno : 0;
}

static int put_back(const struct child *child, char *list)
{
	char name[64];
	int ret;

	leash_exec_env_list(&child->want, &child->plan, list);
	ret = clear_strangers(&child->want);
	if (ret == 0)
		ret = set("LD_PRELOAD", list);
	for (size_t i = 0; ret == 0 && i < child->want.entry_count; i++) {
		const char *entry = child->want.entries[i];
		const char *end = strchr(entry, '=');

		memcpy(name, entry, (size_t)(end - entry));
		name[end - entry] = '\0';
		ret = set(name, end + 1);
	}
	return ret;
}

/*
 * system(), popen() and wordexp() start /bin/sh with libc's environ, so that is what is
 * repaired, and only where something is to be repaired: other threads may read it.
 */
static int prepare_shell(void)
{
	struct child child;
	char *list;
	int ret = prepare(&child, AT_FDCWD, "/bin/sh", 0, false, environ);

	if (ret < 0 || !child.plan.size)
		return ret;
	/* The kernel takes no string of more than 128 KiB, so no more than that is worth copying. */
	if (child.plan.list_size > STRING_MAX)
		return -E2BIG;
	list = __builtin_alloca(child.plan.list_size);
	return put_back(&child, list);
}

LEASH_EXPORT int system(const char *command)
{
	LEASH_SCOPE(scope);
	const int ret = prepare_shell();
	int status;

	/* NULL asks whether there is a shell. */
	if (ret < 0 && !command) {
		errno = scope;
		return 0;
	}
	if (ret < 0)
		return LEASH_LEAVE(scope, int, ret);
	leash_conn_hand_on(false);
	status = (int)LEASH_REAL(system, command);
	leash_conn_take_back(false);
	return LEASH_LEAVE(scope, int, status);
}

LEASH_EXPORT FILE *popen(const char *command, const char *mode)
{
	LEASH_SCOPE(scope);
	const int ret = prepare_shell();
	FILE *stream = NULL;
	int error = -ret;

	if (ret == 0) {
		leash_conn_hand_on(true);
		errno = scope;		/* a NULL that no system call made leaves it alone */
		stream = leash_real.popen(command, mode);
		error = errno;
		leash_conn_take_back(true);
	}
	errno = stream ? scope : error;
	return stream;
}
FILE *_IO_popen(const char *command, const char *mode)
	__attribute__((alias("popen"), visibility("default")));

LEASH_EXPORT int wordexp(const char *restrict words, wordexp_t *restrict result, int flags)
{
	LEASH_SCOPE(scope);
	int ret = 0, ret_errno;

	/* Most words start no shell. */
	if (words && !(flags & WRDE_NOCMD) && (strchr(words, '`') || strstr(words, "$(")))
		ret = prepare_shell();
	errno = scope;
	if (ret < 0)
		return ret == -ENOMEM ? WRDE_NOSPACE : WRDE_CMDSUB;
	leash_conn_hand_on(true);
	ret = leash_real.wordexp(words, result, flags);
	ret_errno = errno;
	leash_conn_take_back(true);
	errno = ret_errno;
	return ret;
}
