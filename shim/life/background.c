/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "shim/core/clock.h"
#include "shim/core/proc.h"
#include "shim/core/sys.h"
#include "shim/life/background.h"
#include "shim/life/places.h"
#include "shim/life/registry.h"
#include "shim/life/watcher.h"

_Atomic(struct leash_session *) leash_background_here;

void leash_background_page(struct leash_session *page)
{
	atomic_store_explicit(&leash_background_here, page, memory_order_release);
}

void leash_background_nudge(struct leash_session *page)
{
	atomic_fetch_add(&page->change, 1);
	/* Not PRIVATE: the page is shared between processes. */
	LEASH_SYS(SYS_futex, &page->change, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool leash_background_set(struct leash_session *page, bool away, int64_t now_ns)
{
	int64_t before = atomic_load(&page->background_ns);

	do {
		if ((before != 0) == away)
			return false;
	} while (!atomic_compare_exchange_weak(&page->background_ns, &before, away ? now_ns : 0));
	atomic_store(&page->changed_ms, leash_wall_ms());
	leash_background_nudge(page);
	return true;
}

bool leash_background_tell_once(struct leash_session *page, uint64_t key)
{
	return atomic_exchange(&page->told[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) %
					   LEASH_SESSION_TOLD],
			       key) != key;
}

/* ----------------------------------------------------------------------------- pending */

void leash_board_take(struct leash_conn *conn, pid_t pid, uint32_t kind)
{
	struct leash_session *page = leash_background_get();
	static _Atomic uint32_t hand;
	const uint32_t start = atomic_load_explicit(&hand, memory_order_relaxed);

	conn->lent = 0;			/* what is pending now is this process's own */
	for (uint32_t i = 0; page && i < LEASH_SESSION_PENDING; i++) {
		const uint32_t at = (start + i) % LEASH_SESSION_PENDING;
		struct leash_session_pending *line = &page->pending[at];
		int32_t holder = atomic_load_explicit(&line->pid, memory_order_relaxed);

		/* Left behind by a process that is gone; a system call only while it says it waits. */
		if (holder != 0 &&
		    (holder == pid || atomic_load_explicit(&line->deadline_ns, memory_order_relaxed) == 0 ||
		     LEASH_SYS(SYS_kill, holder, 0) != -ESRCH))
			continue;
		if (!atomic_compare_exchange_strong(&line->pid, &holder, pid))
			continue;
		atomic_store(&line->deadline_ns, 0);
		atomic_store(&line->cookie, conn->cookie);
		atomic_store(&line->host, conn->host);
		atomic_store(&line->kind, kind);
		atomic_store(&line->name, 0);
		conn->board = (uint16_t)(at + 1);
		atomic_store_explicit(&hand, at + 1, memory_order_relaxed);
		return;
	}
}

static struct leash_session_pending *line_of(const struct leash_conn *conn)
{
	struct leash_session *page = leash_background_get();

	/* A forked child's copy of the table points to its parent's lines. */
	if (!conn->board || !page || !leash_watcher_at_home())
		return NULL;
	return &page->pending[conn->board - 1];
}

void leash_board_name(const struct leash_conn *conn, uint32_t kind, uint32_t name)
{
	struct leash_session_pending *line = line_of(conn);

	if (!line)
		return;
	atomic_store_explicit(&line->name, name, memory_order_relaxed);
	atomic_store_explicit(&line->kind, kind, memory_order_relaxed);
}

void leash_board_put(const struct leash_conn *conn, int64_t start_ns, int64_t deadline_ns)
{
	struct leash_session_pending *line = line_of(conn);

	if (!line)
		return;
	atomic_store_explicit(&line->host, conn->host, memory_order_relaxed);
	atomic_store_explicit(&line->start_ns, start_ns, memory_order_relaxed);
	atomic_store_explicit(&line->deadline_ns, deadline_ns, memory_order_release);
}

void leash_board_leave(const struct leash_conn *conn)
{
	struct leash_session_pending *line = line_of(conn);

	if (line)
		atomic_store(&line->cookie, 0);
}

void leash_board_free(struct leash_conn *conn)
{
	struct leash_session_pending *line = line_of(conn);

	leash_place_give(conn);
	leash_place_wake(conn);
	if (line) {
		/* First: to leash_board_lent() it is given up, not answered. */
		atomic_store(&line->cookie, 0);
		atomic_store(&line->deadline_ns, 0);
		atomic_store_explicit(&line->pid, 0, memory_order_release);
	}
	conn->board = 0;
}

/* Also one that has ended, and that nobody has waited for: "PID (NAME) Z …" */
static bool is_gone(pid_t pid)
{
	char path[32] = "/proc/", text[512], digits[12];
	size_t len = strlen(path), digit = sizeof(digits);
	const char *end;
	long got;
	int fd;

	if (LEASH_SYS(SYS_kill, pid, 0) == -ESRCH)
		return true;
	for (unsigned int value = (unsigned int)pid; value; value /= 10)
		digits[--digit] = (char)('0' + value % 10);
	memcpy(path + len, digits + digit, sizeof(digits) - digit);
	memcpy(path + len + sizeof(digits) - digit, "/stat", sizeof("/stat"));
	fd = leash_sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	got = LEASH_SYS(SYS_read, fd, text, sizeof(text) - 1);
	leash_sys_close(fd);
	text[got > 0 ? got : 0] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

enum leash_lent leash_board_lent(const struct leash_conn *conn)
{
	const struct leash_session *page = leash_background_get();
	const struct leash_session_pending *line;
	int64_t start_ns, deadline_ns;
	pid_t pid;

	if (!page || !conn->lent)
		return LEASH_LENT_OURS;
	line = &page->pending[conn->lent - 1];
	/* In the opposite order of leash_board_free() */
	pid = atomic_load(&line->pid);
	deadline_ns = atomic_load(&line->deadline_ns);
	start_ns = atomic_load(&line->start_ns);
	if (pid <= 0 || atomic_load(&line->cookie) != conn->cookie || is_gone(pid))
		return LEASH_LENT_OURS;
	return deadline_ns != 0 && start_ns == atomic_load(&conn->start_ns) ? LEASH_LENT_THEIRS
									     : LEASH_LENT_DONE;
}

/* ------------------------------------------------------------------------------ signals */

enum { AWAY, BACK };

/* What the program has for each: a ring of copies, so that a handler that runs meanwhile reads a whole one */
#define COPIES 16
static struct own {
	struct sigaction copy[COPIES];
	_Atomic uint32_t next, now;
} own[2];
static _Atomic int number[2];		/* 0: our handler is not in */
static int (*set_action)(int, const struct sigaction *, struct sigaction *);
static _Atomic uint32_t handing;	/* execs and spawns under way, while the kernel ignores what the program does */

static int which(int signal)
{
	if (signal <= 0)
		return -1;
	if (atomic_load_explicit(&number[AWAY], memory_order_relaxed) == signal)
		return AWAY;
	return atomic_load_explicit(&number[BACK], memory_order_relaxed) == signal ? BACK : -1;
}

bool leash_background_ours(int signal)
{
	return which(signal) >= 0;
}

static const struct sigaction *current(int i)
{
	return &own[i].copy[atomic_load_explicit(&own[i].now, memory_order_acquire) % COPIES];
}

static void keep(int i, const struct sigaction *act)
{
	const uint32_t at = atomic_fetch_add(&own[i].next, 1) + 1;

	own[i].copy[at % COPIES] = *act;
	atomic_store_explicit(&own[i].now, at, memory_order_release);
}

static bool is_handler(const struct sigaction *act)
{
	return (act->sa_flags & SA_SIGINFO) || (act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN);
}

/* Two stores and a futex wake, then the program's own */
static void arrived(int signal, siginfo_t *info, void *context)
{
	const int saved = errno, i = which(signal);
	struct leash_session *page = leash_background_get();
	struct sigaction act;
	struct timespec now;

	if (i < 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (page && leash_background_set(page, i == AWAY, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec))
		atomic_store(&page->untold, i == AWAY ? 1 : 2);
	act = *current(i);
	errno = saved;
	/* Ignored, or the default, which would have killed: the signal was for us. */
	if (!is_handler(&act))
		return;
	if ((unsigned int)act.sa_flags & SA_RESETHAND) {
		const struct sigaction none = {.sa_handler = SIG_DFL};

		/* A vfork() child has our memory, but actions of its own. */
		if (leash_proc_foreign())
			set_action(signal, &none, NULL);
		else
			keep(i, &none);
	}
	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction(signal, info, context);
	else
		act.sa_handler(signal);
}

/* Ours in the kernel, with what the kernel does for the program's: its mask, its flags */
static int install(int i)
{
	const struct sigaction *act = current(i);
	struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

	ours.sa_sigaction = arrived;
	if (is_handler(act)) {
		ours.sa_flags = SA_SIGINFO | (act->sa_flags & (SA_RESTART | SA_ONSTACK | SA_NODEFER));
		ours.sa_mask = act->sa_mask;
	}
	return set_action(atomic_load(&number[i]), &ours, NULL) < 0 ? -errno : 0;
}

int leash_background_listen(int away, int back,
			    int (*real)(int, const struct sigaction *, struct sigaction *))
{
	const int signals[2] = {away, back};
	struct sigaction act;
	int ret = 0;

	set_action = real;
	for (int i = AWAY; i <= BACK && ret == 0; i++) {
		/* An exec leaves handlers behind; what a program ignores it went on ignoring. */
		if (real(signals[i], NULL, &act) < 0)
			return -errno;
		keep(i, &act);
		atomic_store(&number[i], signals[i]);
		ret = install(i);
		if (ret < 0)
			atomic_store(&number[i], 0);
	}
	return ret;
}

/* Is ours what the kernel has? In a vfork() child it need not be. @ret: what it has */
static bool is_in(int i, struct sigaction *ret)
{
	return set_action(atomic_load(&number[i]), NULL, ret) == 0 && (ret->sa_flags & SA_SIGINFO) &&
	       ret->sa_sigaction == arrived;
}

/* A vfork() child has our memory, and what it writes there would be its parent's; its actions in the kernel
 * are its own, and soon another program's. */
static int foreign_action(int i, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;

	if (is_in(i, &before))
		before = *current(i);
	if (act && set_action(atomic_load(&number[i]), act, NULL) < 0)
		return -errno;
	if (old)
		*old = before;
	return 0;
}

void leash_background_hand_on(bool brief)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction act;

	if (brief && !leash_proc_foreign())
		atomic_fetch_add(&handing, 1);
	for (int i = AWAY; i <= BACK; i++)
		if (atomic_load(&number[i]) && !is_handler(current(i)) &&
		    current(i)->sa_handler == SIG_IGN && is_in(i, &act))
			set_action(atomic_load(&number[i]), &ignore, NULL);
}

void leash_background_take_back(bool brief)
{
	/* A vfork() child goes on to its next attempt, or ends. */
	if (leash_proc_foreign())
		return;
	if (brief ? atomic_fetch_sub(&handing, 1) != 1 : atomic_load(&handing) != 0)
		return;			/* others are at it: the last one does it */
	for (int i = AWAY; i <= BACK; i++)
		if (atomic_load(&number[i]) && !is_handler(current(i)) && current(i)->sa_handler == SIG_IGN)
			install(i);
}

int leash_background_action(int signal, const struct sigaction *act, struct sigaction *old)
{
	const int i = which(signal);
	struct sigaction before;

	if (i < 0)
		return -EINVAL;
	if (leash_proc_foreign())
		return foreign_action(i, act, old);
	before = *current(i);
	if (act) {
		const struct sigaction copy = *act;	/* @old may be the same */

		keep(i, &copy);
		install(i);
	}
	if (old)
		*old = before;
	return 0;
}
