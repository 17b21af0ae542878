/* SPDX-License-Identifier: MIT */
/* Copies of test input with an unreadable page at one end: a read outside is a crash. */
#ifndef LEASH_GUARD_H
#define LEASH_GUARD_H

#include <stddef.h>
#include <stdint.h>

#define GUARD_MAX (128u << 10)		/* bytes of one copy */

/** guard_tail() - A copy whose last byte is the last before an unreadable page.
 *  Valid until the next call of the same function */
uint8_t *guard_tail(const void *buf, size_t len);
/** guard_head() - A copy whose first byte is the first behind an unreadable page */
uint8_t *guard_head(const void *buf, size_t len);

struct guard_file {
	uint8_t *bytes;			/* malloc()ed */
	size_t len;
};

/** guard_read() - A file of tests/data. LEASH_TEST_DATA in the environment names another
 *  place; without it tests/data is looked for here and in the directories above.
 *  A file that is not there ends the program with a message */
struct guard_file guard_read(const char *name);
/** guard_path() - Where it lies; valid until the next call */
const char *guard_path(const char *name);

#endif
