/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "shim/core/atfork.h"

/* pthread_atfork() is this; it has its name from an archive that needs start files. Takes no memory for the
 * first handlers, and a lock that nobody else can have in our constructor. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);

void (*_Atomic leash_atfork_child)(void);

static void forked(void)
{
	void (*child)(void) = atomic_load_explicit(&leash_atfork_child, memory_order_acquire);

	if (child)
		child();
}

void leash_atfork_init(void)
{
	__register_atfork(NULL, NULL, forked, NULL);
}
