/* SPDX-License-Identifier: MIT */
/* The two functions of netleash.h. */
#include "shim/conn/conn.h"
#include "shim/core/init.h"
#include "shim/core/scope.h"
#include "shim/netleash.h"

LEASH_EXPORT int netleash_set_timeout(int fd, int timeout_ms)
{
	LEASH_SCOPE(scope);

	leash_init();
	return LEASH_LEAVE(scope, int, leash_conn_set_timeout(fd, timeout_ms));
}

LEASH_EXPORT int netleash_set_background(bool background)
{
	LEASH_SCOPE(scope);

	leash_init();
	return LEASH_LEAVE(scope, int, leash_conn_set_background(background));
}
