/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that come and go (hooks.md 3.9). Only keeps the flags fresh: what closes
 * inside libc or the kernel is corrected by cookie where it matters.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/plain.h"
#include "shim/conn/verify.h"
#include "shim/core/sys.h"
#include "shim/life/background.h"
#include "shim/life/watcher.h"

static void drop(int fd)
{
	struct leash_conn *conn = leash_registry_of(fd);

	/* Before the slot is free for somebody else, who may take a buffer of his own at once. */
	if (conn && atomic_load_explicit(&conn->refs, memory_order_relaxed) <= 1) {
		/* What was under way is given up by us, not answered: a child may wait for it. */
		leash_board_leave(conn);
		leash_sniff_release(conn);
		leash_plain_release(conn);
	}
	leash_registry_detach(fd);
	if (conn)
		leash_watcher_settle(conn);
	leash_fd_set(fd, 0);
}

static void copy(int from, int to)
{
	const uint8_t flags = leash_fd_get(from);
	struct leash_conn *conn = flags ? leash_registry_of(from) : NULL;

	if (from == to)
		return;
	drop(to);
	if (!flags)
		return;
	leash_fd_set(to, flags);
	if (conn)
		leash_registry_attach(to, conn);
}

/*
 * stdio writes inside libc (hooks.md 3.4). A duplicate that goes, which is what a shell's
 * "echo >&3" leaves behind, is a moment to look. Not the last one: by then a child may have sent what it
 * judged by itself. Not where http would be fine: nobody can tell it from other bytes any more.
 */
static void look(int fd, const char *call)
{
	struct leash_conn *conn = leash_fd_get(fd) & LEASH_FD_JUDGE ? leash_registry_of(fd) : NULL;

	if (conn && conn->stream && conn->pass == LEASH_PASS_TLS &&
	    atomic_load_explicit(&conn->refs, memory_order_relaxed) > 1 &&
	    leash_registry_state(conn) == LEASH_CONN_SNIFFING && !leash_registry_foreign())
		leash_sniff_look(conn, fd, call);
}

bool leash_conn_wants_tls(int fd)
{
	const struct leash_conn *conn = leash_registry_of(fd);
	enum leash_conn_state state;

	/* Where nothing is refused the kernel's count has to do: there libc's own stream is the better one. */
	if (!conn || !conn->stream || (conn->pass & (LEASH_PASS_TLS | LEASH_PASS_RAW)) != LEASH_PASS_TLS ||
	    leash_verify_skipped() || !leash_registry_same(conn, fd))
		return false;
	state = leash_registry_state(conn);
	if (state == LEASH_CONN_OPEN && conn->plain)
		return true;		/* http that is read */
	return state == LEASH_CONN_SNIFFING || state == LEASH_CONN_FLIGHT;
}

int leash_conn_print(int fd, const char *call)
{
	struct leash_conn *conn;
	struct leash_gate gate;

	if (!leash_conn_wants_tls(fd))
		return 0;
	conn = leash_registry_of(fd);
	if (conn->pass & LEASH_PASS_HTTP)
		return -EINVAL;		/* text may be fine there, if only somebody saw it */
	leash_conn_gate(&gate, conn, call);
	if (gate.image)
		leash_gate_judge(&gate, leash_policy_plaintext(gate.image, &gate.peer, conn->pass));
	return leash_conn_deny(conn, fd, &gate);
}

int leash_conn_close(int fd)
{
	look(fd, "close");
	/* Before the real call: afterwards another thread may have the number already. */
	if (leash_fd_get(fd) && !leash_registry_foreign())
		drop(fd);
	return (int)LEASH_REAL(close, fd);
}

/* A vfork() child has descriptors of its own, but our memory: it copies no slot (hooks.md F3), and what
 * it does with such a number is asked about each time. */
static int copied(int from, long to)
{
	if (to < 0 || !(leash_fd_get(from) || leash_fd_get((int)to)))
		return (int)to;
	if (leash_registry_foreign())
		leash_fd_set((int)to, leash_fd_get(from));
	else
		copy(from, (int)to);
	return (int)to;
}

int leash_conn_dup(int fd)
{
	return copied(fd, LEASH_REAL(dup, fd));
}

int leash_conn_dup2(int fd, int to)
{
	if (fd != to)
		look(to, "dup2");
	return copied(fd, LEASH_REAL(dup2, fd, to));
}

int leash_conn_dup3(int fd, int to, int flags)
{
	if (fd != to)
		look(to, "dup3");
	return copied(fd, LEASH_REAL(dup3, fd, to, flags));
}

int leash_conn_fcntl(int fd, int cmd, long arg)
{
	const long ret = LEASH_REAL(fcntl, fd, cmd, arg);

	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return copied(fd, ret);
	return (int)ret;
}

static void drop_range(unsigned int first, unsigned int last)
{
	if (last >= LEASH_FD_MAX)
		last = LEASH_FD_MAX - 1;
	for (unsigned int fd = first; fd <= last; fd++) {
		uint64_t eight;

		/* Most of the table is zero: look at eight numbers at a time. */
		if (fd % 8 == 0 && last - fd >= 7) {
			memcpy(&eight, (const void *)&leash_fd_flags[fd], sizeof(eight));
			if (eight == 0) {
				fd += 7;
				continue;
			}
		}
		if (leash_fd_get((int)fd))
			drop((int)fd);
	}
}

int leash_conn_close_range(unsigned int first, unsigned int last, int flags)
{
	/* CLOEXEC closes nothing now; UNSHARE closes in a table that is this thread's alone. */
	if (!((unsigned int)flags & (CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) && first <= last &&
	    !leash_registry_foreign())
		drop_range(first, last);
	return (int)LEASH_REAL(close_range, first, last, flags);
}

void leash_conn_closefrom(int first)
{
	if (!leash_registry_foreign())
		drop_range(first > 0 ? (unsigned int)first : 0, ~0u);
	leash_real.closefrom(first);
}
