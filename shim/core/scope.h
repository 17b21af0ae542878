/* SPDX-License-Identifier: MIT */
/*
 * The passage through a hook: negative errno inside, -1 and errno outside.
 *
 * A success leaves errno as the caller had it, whatever was done on the way; a
 * failure sets it once, last (hooks.md N6). There is no re-entry mark: nested calls are
 * judged like any other, our own work goes through LEASH_REAL() and raw system
 * calls, and a handler that siglongjmp()s out of a hook leaves nothing behind (N1, N2, N5).
 */
#ifndef LEASH_SCOPE_H
#define LEASH_SCOPE_H

#include <errno.h>

#define LEASH_EXPORT __attribute__((visibility("default")))

#define LEASH_SCOPE(scope) const int scope = errno

#define LEASH_LEAVE(scope, type, expr)                                                             \
	__extension__({                                                                            \
		const long leave_ = (long)(expr);                                                  \
		errno = leave_ < 0 ? (int)-leave_ : (scope);                                       \
		(type)(leave_ < 0 ? -1 : leave_);                                                  \
	})

#define leash_likely(x) __builtin_expect(!!(x), 1)
#define leash_unlikely(x) __builtin_expect(!!(x), 0)
#define LEASH_SLOW __attribute__((noinline))	/* apart, so that the short way needs no frame */
#define LEASH_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
