/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls for what libc must not see: initialisation, logging, own
 * descriptors, and the path between vfork() and exec(). They return a negative
 * errno, never touch errno, and are no cancellation points (hooks.md R6).
 */
#ifndef LEASH_SYS_H
#define LEASH_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

/* Newer than the oldest headers; the same everywhere. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static inline long leash_sys6(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "netleash knows x86_64 and aarch64"
#endif
}

#define LEASH_SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define LEASH_SYS0(nr) leash_sys6((nr), 0, 0, 0, 0, 0, 0)
#define LEASH_SYS1(nr, a) leash_sys6((nr), (long)(a), 0, 0, 0, 0, 0)
#define LEASH_SYS2(nr, a, b) leash_sys6((nr), (long)(a), (long)(b), 0, 0, 0, 0)
#define LEASH_SYS3(nr, a, b, c) leash_sys6((nr), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define LEASH_SYS4(nr, a, b, c, d)                                                                 \
	leash_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define LEASH_SYS5(nr, a, b, c, d, e)                                                              \
	leash_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define LEASH_SYS6(nr, a, b, c, d, e, f)                                                           \
	leash_sys6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* LEASH_SYS(SYS_close, fd): a negative errno or the result */
#define LEASH_SYS(...)                                                                             \
	LEASH_SYS_PICK(__VA_ARGS__, LEASH_SYS6, LEASH_SYS5, LEASH_SYS4, LEASH_SYS3, LEASH_SYS2,    \
		       LEASH_SYS1, LEASH_SYS0)(__VA_ARGS__)

static inline int leash_sys_open(const char *path, int flags, mode_t mode)
{
	return (int)LEASH_SYS(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static inline int leash_sys_close(int fd)
{
	return (int)LEASH_SYS(SYS_close, fd);
}

static inline ssize_t leash_sys_pread(int fd, void *buf, size_t len, off_t offset)
{
	return LEASH_SYS(SYS_pread64, fd, buf, len, offset);
}

static inline ssize_t leash_sys_write(int fd, const void *buf, size_t len)
{
	return LEASH_SYS(SYS_write, fd, buf, len);
}

static inline pid_t leash_sys_getpid(void)
{
	return (pid_t)LEASH_SYS(SYS_getpid);
}

#endif
