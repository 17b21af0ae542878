/* SPDX-License-Identifier: MIT */
/*
 * What the netleash command and libnetleash.so agree on: names of environment
 * variables, the private directory, and the shared page of a session. Both carry
 * the same LEASH_ABI_VERSION or refuse each other.
 */
#ifndef LEASH_ABI_H
#define LEASH_ABI_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_VERSION "0.1.0"
#define LEASH_ABI_VERSION 3u

/* Environment. All of them are ignored in secure mode (AT_SECURE). */
#define LEASH_ENV_POLICY "NETLEASH_POLICY"	/* policy file, text; made absolute by the shim */
#define LEASH_ENV_PROJECT "NETLEASH_PROJECT"	/* --project for plain LD_PRELOAD */
#define LEASH_ENV_IMAGE "NETLEASH_IMAGE"	/* compiled image; set by run, wins over POLICY */
#define LEASH_ENV_SESSION "NETLEASH_SESSION"	/* session page file of a run */
#define LEASH_ENV_EVENTS "NETLEASH_EVENTS"	/* file that events are appended to; made absolute */
#define LEASH_ENV_LOG "NETLEASH_LOG"		/* "quiet": no refusal lines on standard error */
#define LEASH_ENV_TRACE "NETLEASH_TRACE"	/* areas for developers, see core/trace.h */
#define LEASH_ENV_TRACE_FILE "NETLEASH_TRACE_FILE"

#define LEASH_SHIM_NAME "libnetleash.so"
#define LEASH_COMMAND_NAME "netleash"

/*
 * Hidden subcommand for the shim under plain LD_PRELOAD (hooks.md L6):
 *	netleash compile-image POLICY-or-"-" PROJECT-or-"-" CACHE
 * writes to descriptor 3 the image (exit 0), or one line of text without a
 * newline that says what is wrong and where (exit 101, or 111). It keeps the image in CACHE, an
 * absolute path in the private directory, or does not where CACHE is "-".
 * One process compiles at a time: it locks CACHE".lock" (flock) and looks at CACHE again first.
 */
#define LEASH_COMPILE_COMMAND "compile-image"
#define LEASH_COMPILE_FD 3

/*
 * The private directory: $XDG_RUNTIME_DIR/netleash if XDG_RUNTIME_DIR is set, absolute and
 * ours; else /run/netleash for root if it can be made; else /tmp/netleash-UID. Mode 0700 (root:
 * 0711, so that a program that gives up root still reaches its image), owner checked, never a symlink.
 * In it:	image-ABI-HASH	kept images of plain LD_PRELOAD, by policy path; gone when a week old
 *		ID/image, ID/session			one run; ID is "PID-RANDOM"; removed at its end
 */
#define LEASH_DIR_NAME "netleash"

/*
 * The session page: a file mapped shared by every process of a run, or anonymous shared
 * memory of one process and its forks under plain LD_PRELOAD. Fixed size, zero at first,
 * only atomics; no locks. What is counted here is what `run` tells at the end.
 */
#define LEASH_SESSION_MAGIC 0x3153534c54454eull	/* "NETLSS1" */
#define LEASH_SESSION_HOSTS 1024	/* distinct hosts told apart in the summary; past it: "others" */
#define LEASH_SESSION_HOST_SIZE 256

struct leash_session_host {
	_Atomic uint32_t state;		/* 0 free, 1 being written, 2 ready */
	uint32_t port;
	char host[LEASH_SESSION_HOST_SIZE];	/* name, or address text */
	_Atomic uint64_t connections, bytes_sent, bytes_received;
	_Atomic uint64_t requests[4];	/* that were read, by list: request, socket, uploadFile, downloadFile */
	_Atomic uint64_t refused[32];	/* by enum leash_reason */
	_Atomic uint64_t would[32];	/* allowed only by audit or skip_domain_check, by reason */
	_Atomic uint32_t last_reason;	/* for the hint: reason, rule, entry, near of the last refusal */
	_Atomic uint32_t last_rule, last_entry, last_near;
};

/*
 * Names that were resolved to an address (policy 2): shared, so that a child that was handed
 * an address or a connection is judged by the names its parent resolved. conn/names.c alone
 * reads and writes it; see there for how it works without locks.
 */
#define LEASH_NAMES_MAX 16384		/* pairs of address and name; past it the oldest nearby goes */
#define LEASH_NAMES_STRINGS 8192	/* distinct names; past it nothing new is learnt */
#define LEASH_NAMES_ARENA (512u << 10)	/* bytes of names */

struct leash_name_pair {
	_Atomic uint32_t seq;		/* 0 free, odd being written, even ready */
	_Atomic uint32_t name;		/* offset in the arena */
	_Atomic uint64_t addr[2];
	_Atomic uint32_t family_scope[2];
	_Atomic int64_t learnt_ns;
};

struct leash_names {
	_Atomic uint32_t arena_len;
	_Atomic uint32_t full;		/* 1: something could not be learnt */
	_Atomic uint32_t string[LEASH_NAMES_STRINGS];	/* arena offset + 1, by hash of the name */
	struct leash_name_pair pair[LEASH_NAMES_MAX];	/* by hash of the address */
	char arena[LEASH_NAMES_ARENA];
};

/*
 * Something that a process of the session waits for: `netleash status` lists it. Written by its process
 * alone, which may be gone: then the entry is free.
 */
#define LEASH_SESSION_PENDING 1024	/* past it nothing more is listed */
enum leash_pending_kind { LEASH_PENDING_REQUEST, LEASH_PENDING_RESOLVE };
struct leash_session_pending {
	_Atomic int32_t pid;		/* 0: free */
	_Atomic uint32_t host;		/* row of host[] */
	_Atomic uint32_t kind;
	_Atomic uint32_t name;		/* of a look-up: offset in the arena of the names + 1 */
	_Atomic int64_t start_ns;	/* CLOCK_MONOTONIC, like all times here */
	_Atomic int64_t deadline_ns;	/* 0: idle; INT64_MAX: it has no limit (an open WebSocket) */
	_Atomic uint64_t cookie;	/* of its socket; 0: a look-up */
};

/*
 * Who is in flight, by class (policy 6): a limit of N is N places, so that it holds by itself however many
 * processes begin at once. A place says whose it is, and is empty as soon as that process is gone.
 */
#define LEASH_SESSION_PLACES 1024	/* of a class: the largest limit */
#define LEASH_SESSION_CLASSES 4		/* request, socket, uploadFile, downloadFile */
struct leash_tasks {
	_Atomic uint64_t place[LEASH_SESSION_CLASSES][LEASH_SESSION_PLACES];	/* life/places.c */
	_Atomic int64_t tcp_new[LEASH_SESSION_PLACES];	/* when raw TCP connections were made; 0: none */
	_Atomic uint32_t waiting;	/* somebody waits for a place: wake the watchers when one is free */
	_Atomic uint32_t limit[LEASH_SESSION_CLASSES];	/* of the policy, for `netleash status` */
	_Atomic int64_t swept_ns;	/* when places of dead processes were looked for last */
};

#define LEASH_SESSION_NO_GRACE UINT32_MAX
#define LEASH_SESSION_TOLD 64		/* ends of connections that were told of lately */

struct leash_session {
	_Atomic uint64_t magic;
	uint32_t abi_version, size;
	_Atomic uint32_t change;	/* futex: counts changes of what the watchers of the processes look at */
	_Atomic uint32_t processes;	/* processes that carried the shim */
	_Atomic uint64_t refused_total, connections_total, events_lost;
	_Atomic uint32_t hosts_full;	/* 1: some hosts are only in "others" (host[0]) */
	_Atomic uint32_t programs_refused;	/* exec of what cannot carry the leash */
	_Atomic int64_t background_ns;	/* 0: foreground; else when it went to the background */
	_Atomic uint32_t untold, pad2;	/* a signal changed it, and no event says so yet: 1 background, 2 foreground */
	_Atomic int64_t changed_ms;	/* when it went to where it is, ms since 1970; 0: at the start */
	uint32_t grace_ms;		/* of the policy; set by `run`. LEASH_SESSION_NO_GRACE: there is no background */
	int32_t program_pid;
	char program[64];		/* the last component of its path */
	char events[1024];		/* where events go, absolute; "": nowhere, or too long */
	_Atomic uint64_t told[LEASH_SESSION_TOLD];
	struct leash_session_host host[LEASH_SESSION_HOSTS];	/* [0] is "others" */
	struct leash_names names;
	struct leash_session_pending pending[LEASH_SESSION_PENDING];
	struct leash_tasks tasks;
};

#endif
