/* SPDX-License-Identifier: MIT */
/*
 * Calls that connect or listen inside libc, where no hook sees the inner one (hooks.md 1.2):
 * refused at their own entry. Their headers are gone or deprecated; what old binaries look at is
 * the result, so the arguments are not looked at; the C names are ours, the symbols libc's.
 */
#include <errno.h>
#include <stddef.h>

#include "shim/conn/conn.h"
#include "shim/core/scope.h"

#define REFUSE_FD(name)                                                                            \
	LEASH_EXPORT int refuse_##name(void) __asm__(#name);                                                               \
	LEASH_EXPORT int refuse_##name(void)                                                                \
	{                                                                                          \
		const int ret = leash_conn_refuse_call(#name);                                     \
                                                                                                   \
		errno = ret < 0 ? -ret : EACCES;                                                   \
		return -1;                                                                         \
	}

#define REFUSE_NULL(name)                                                                          \
	LEASH_EXPORT void *refuse_##name(void) __asm__(#name);  \
	LEASH_EXPORT void *refuse_##name(void)                                                              \
	{                                                                                          \
		const int ret = leash_conn_refuse_call(#name);                                     \
                                                                                                   \
		errno = ret < 0 ? -ret : EACCES;                                                   \
		return NULL;                                                                       \
	}

/* enum clnt_stat: RPC_CANTSEND */
#define REFUSE_RPC(name)                                                                           \
	LEASH_EXPORT int refuse_##name(void) __asm__(#name);                                                               \
	LEASH_EXPORT int refuse_##name(void)                                                                \
	{                                                                                          \
		leash_conn_refuse_call(#name);                                                     \
		return 3;                                                                          \
	}

/* bool_t and ports: 0 is failure */
#define REFUSE_ZERO(name)                                                                          \
	LEASH_EXPORT int refuse_##name(void) __asm__(#name);                                                               \
	LEASH_EXPORT int refuse_##name(void)                                                                \
	{                                                                                          \
		leash_conn_refuse_call(#name);                                                     \
		return 0;                                                                          \
	}

REFUSE_FD(rcmd)
REFUSE_FD(rcmd_af)
REFUSE_FD(rexec)
REFUSE_FD(rexec_af)
REFUSE_FD(rtime)
REFUSE_RPC(callrpc)
REFUSE_RPC(clnt_broadcast)
REFUSE_RPC(pmap_rmtcall)
REFUSE_NULL(clnt_create)
REFUSE_NULL(clnttcp_create)
REFUSE_NULL(clntudp_create)
REFUSE_NULL(clntudp_bufcreate)
REFUSE_NULL(clntunix_create)
REFUSE_NULL(svctcp_create)
REFUSE_NULL(svcudp_create)
REFUSE_NULL(svcudp_bufcreate)
REFUSE_NULL(svcunix_create)
REFUSE_NULL(pmap_getmaps)
REFUSE_ZERO(pmap_getport)
REFUSE_ZERO(pmap_set)
REFUSE_ZERO(pmap_unset)
REFUSE_ZERO(getrpcport)
