/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "shim/core/atfork.h"
#include "shim/core/fdtab.h"
#include "shim/core/proc.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"
#include "shim/life/aside.h"
#include "shim/life/background.h"
#include "shim/life/reach.h"
#include "shim/life/watcher.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#define AGAIN_NS (5 * LEASH_MS_NS)	/* a resolver that was woken and goes on to its next server */
#define GONE_NS (90 * LEASH_TICK_NS)	/* a look-up has 60 s at the most */
#define TELL_MAX 64			/* ends that are told of before they are felt, whatever it takes */
#define TELL_NS (10 * LEASH_MS_NS)	/* and further ones for so long */
#define LENT_NS (100 * LEASH_MS_NS)	/* what another process should have ended by then is ended by us */
#define SETTLE_YIELDS 100		/* what a watcher that runs needs is a few of them */
#define SETTLE_PAUSE_NS 50000
#define SETTLE_TURNS 20000		/* two seconds, about */
#define TICKS 5			/* how many of them pass without a look where nothing has changed */

_Atomic(struct leash_watcher *) leash_watcher;
static const struct leash_watcher_rules *_Atomic the_rules;

static int64_t precise_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---------------------------------------------------------------------------- one look */

struct look {
	const struct leash_watcher_rules *rules;
	int64_t now_ns, away_ns;
	int64_t next_ns;	/* the next thing to do */
	bool pending;		/* something is */
	bool any;		/* was ended */
	bool restless;		/* something of it is decided elsewhere: look at every tick */
	uint32_t told;		/* of how many at once */
	uint32_t untold;	/* how many are not told of: they stand in the list below, held */
};

static uint16_t untold[LEASH_CONN_MAX];

static void say(const struct look *look, struct leash_conn *conn, enum leash_conn_state why)
{
	leash_aside_error(true);
	look->rules->ended(conn, why, look->now_ns);
	leash_aside_error(false);
}

static void end(struct look *look, struct leash_conn *conn, enum leash_conn_state why)
{
	const uint32_t word = leash_registry_hold(conn);
	const enum leash_conn_state state = (enum leash_conn_state)(word & LEASH_CONN_STATE_MASK);
	const bool lookup = state == LEASH_CONN_LOOKUP;
	const int number = atomic_load_explicit(&conn->fd, memory_order_relaxed);
	bool own = false, done = false, gone = false, told;
	int fd = -1;

	if (state > LEASH_CONN_CLAIMED && state != LEASH_CONN_DENIED && !LEASH_CONN_ENDED(state)) {
		if (!lookup) {
			atomic_store(&conn->doubled, 1);
			/* Being closed: whoever does it waits for us from here on, or we see it. */
			gone = atomic_load(&conn->state) != word || atomic_load(&conn->orphan);
			fd = gone ? -1 : leash_reach_socket(conn, &own);
		}
		if (gone) {
			;
		} else if (!lookup && fd < 0) {
			/* Closed behind our back; whoever else holds it looks after it himself. */
			atomic_store(&conn->deadline_ns, 0);
			leash_registry_forget(conn);
		} else if (!look->rules->may_end(conn, fd, why)) {
			atomic_store(&conn->deadline_ns, 0);
			leash_board_put(conn, 0, 0);
		} else {
			done = leash_registry_end(conn, word, why);
		}
	}
	/* Told of before it is felt, or a program that ends at once ends before the line is written. Not where
	 * so many end together that the last would be late. */
	told = done && (look->told < TELL_MAX || precise_ns() - look->now_ns < TELL_NS);
	if (told) {
		look->told++;
		say(look, conn, why);
	}
	if (done && lookup) {
		leash_reach_lookup(conn);
		look->pending = true;
		look->next_ns = look->now_ns + AGAIN_NS;
	} else if (done) {
		/* The usual case of one number now, the others when the round is over. */
		leash_fd_set(number, leash_fd_get(number) | LEASH_FD_JUDGE);
		LEASH_SYS(SYS_shutdown, fd, SHUT_RDWR);
		atomic_store(&conn->deadline_ns, 0);
		leash_board_put(conn, 0, 0);
	}
	if (own)
		leash_sys_close(fd);
	atomic_store(&conn->doubled, 0);
	look->any = look->any || done;
	if (done && !told)
		untold[look->untold++] = (uint16_t)leash_registry_index(conn);
	else
		leash_registry_release(conn);
}

void leash_watcher_settle(struct leash_conn *conn)
{
	const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_NS};

	/* In a forked child that has no watcher yet, the mark is a copy of its parent's. */
	for (int turn = 0; atomic_load(&conn->doubled) && leash_watcher_at_home() && turn < SETTLE_TURNS; turn++) {
		if (turn < SETTLE_YIELDS)
			LEASH_SYS(SYS_sched_yield);
		else
			/* Nobody wakes it: it is the time that counts. */
			LEASH_SYS(SYS_futex, &conn->held, FUTEX_WAIT_PRIVATE, atomic_load(&conn->held), &pause);
	}
}

void leash_watcher_use(struct leash_conn *conn, void (*use)(int fd))
{
	const uint32_t word = leash_registry_hold(conn);
	bool own = false;
	int fd = -1;

	atomic_store(&conn->doubled, 1);
	if (atomic_load(&conn->state) == word && !atomic_load(&conn->orphan))
		fd = leash_reach_socket(conn, &own);
	if (fd >= 0)
		use(fd);
	if (own)
		leash_sys_close(fd);
	atomic_store(&conn->doubled, 0);
	leash_registry_release(conn);
}

void leash_watcher_end(const struct leash_watcher_rules *rules, struct leash_conn *conn, int fd,
		       enum leash_conn_state why, int64_t now_ns)
{
	const uint32_t word = leash_registry_hold(conn);
	const enum leash_conn_state state = (enum leash_conn_state)(word & LEASH_CONN_STATE_MASK);

	if (state > LEASH_CONN_CLAIMED && state != LEASH_CONN_DENIED && !LEASH_CONN_ENDED(state) &&
	    leash_registry_same(conn, fd)) {
		if (!rules->may_end(conn, fd, why)) {
			atomic_store(&conn->deadline_ns, 0);
			leash_board_put(conn, 0, 0);
		} else if (leash_registry_end(conn, word, why)) {
			leash_registry_judge_ended();
			rules->ended(conn, why, now_ns);
			LEASH_SYS(SYS_shutdown, fd, SHUT_RDWR);
			atomic_store(&conn->deadline_ns, 0);
			leash_board_put(conn, 0, 0);
		}
	}
	leash_registry_release(conn);
}

static int64_t later(int64_t when_ns)
{
	return when_ns > LEASH_NEVER - LENT_NS ? LEASH_NEVER : when_ns + LENT_NS;
}

/* A forked child's. Return: it is to be looked at like any other */
static bool ours(struct look *look, struct leash_conn *conn, int64_t deadline_ns)
{
	const int64_t away_ns = later(look->away_ns);

	switch (leash_board_lent(conn)) {
	case LEASH_LENT_OURS:
		conn->lent = 0;
		return true;
	case LEASH_LENT_DONE:
		conn->lent = 0;
		atomic_store(&conn->deadline_ns, 0);
		return false;
	case LEASH_LENT_THEIRS:
		break;
	}
	/* Its own watcher does it, unless the process is stopped. */
	deadline_ns = later(deadline_ns);
	if (leash_deadline_due(deadline_ns, away_ns, look->now_ns) != LEASH_DUE_NOT)
		return true;
	look->pending = true;
	if (deadline_ns < look->next_ns)
		look->next_ns = deadline_ns;
	if (away_ns < look->next_ns)
		look->next_ns = away_ns;
	return false;
}

/*
 * What became pending the short way (conn/swift.h) has no date yet: no clock was read and nothing was said on
 * the page, because most of it is over before anybody looks.
 */
static void date(const struct look *look, struct leash_conn *conn)
{
	atomic_store(&conn->start_ns, look->now_ns);
	conn->since_look = 1;
	leash_board_put(conn, look->now_ns, LEASH_NEVER);
}

static void look_at(struct look *look, struct leash_conn *conn)
{
	const int64_t deadline_ns = atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed);
	const enum leash_conn_state state = leash_registry_state(conn);

	if (deadline_ns == 0 && state == LEASH_CONN_OPEN && conn->since_look) {
		/* The short way was gone back as well, between our look and our line. */
		conn->since_look = 0;
		leash_board_put(conn, 0, 0);
	}
	if (deadline_ns == 0 || state == LEASH_CONN_CLAIMED)
		return;
	if (deadline_ns == LEASH_NEVER && state == LEASH_CONN_OPEN &&
	    atomic_load_explicit(&conn->start_ns, memory_order_relaxed) == 0) {
		/* Without a date the line of its process does not say whether it waits: as long as it has it, it is
		 * its own affair. */
		if (conn->lent && leash_board_lent(conn) != LEASH_LENT_OURS) {
			look->pending = look->restless = true;
			return;
		}
		conn->lent = 0;
		date(look, conn);
	}
	if (state == LEASH_CONN_FREE || (LEASH_CONN_ENDED(state) && conn->cookie)) {
		/* A thread that was on its way when the slot was given up. */
		atomic_store(&conn->deadline_ns, 0);
		return;
	}
	if (LEASH_CONN_ENDED(state)) {
		/* One that does not come back left by siglongjmp(): its thread's next one finds the slot. */
		if (look->now_ns - conn->start_ns > GONE_NS) {
			atomic_store(&conn->deadline_ns, 0);
			return;
		}
		leash_reach_lookup(conn);
		look->pending = true;
		look->next_ns = look->now_ns + AGAIN_NS;
		return;
	}
	look->restless |= conn->lent != 0;
	if (conn->lent && !ours(look, conn, deadline_ns))
		return;
	switch (leash_deadline_due(deadline_ns, look->away_ns, look->now_ns)) {
	case LEASH_DUE_NOT:
		look->pending = true;
		if (deadline_ns < look->next_ns)
			look->next_ns = deadline_ns;
		if (atomic_load_explicit(&conn->waits, memory_order_relaxed)) {
			look->restless = true;
			look->rules->waits(conn);
		}
		break;
	case LEASH_DUE_TIME:
		end(look, conn, LEASH_CONN_EXPIRED);
		break;
	case LEASH_DUE_AWAY:
		end(look, conn, LEASH_CONN_INTERRUPTED);
		break;
	}
}

/* @wake_ns: until when the watcher meant to sleep, LEASH_NEVER if it was woken */
static void look(struct look *look, const struct leash_session *page, int64_t wake_ns)
{
	const int64_t since_ns = leash_background_since(page);
	const int64_t grace_ns = look->rules->grace_ns();
	const bool stopped = wake_ns != LEASH_NEVER && since_ns == 0 && grace_ns != LEASH_NEVER &&
			     leash_deadline_stopped(wake_ns, look->now_ns, grace_ns);
	const uint32_t high = leash_registry_high();

	look->next_ns = LEASH_NEVER;
	look->away_ns = LEASH_NEVER;
	if (stopped)
		look->away_ns = wake_ns + grace_ns;
	else if (since_ns != 0 && grace_ns != LEASH_NEVER)
		look->away_ns = since_ns + grace_ns;
	for (uint32_t i = 0; i < high; i++)
		look_at(look, leash_registry_at(i));
	if (look->pending && look->away_ns > look->now_ns && look->away_ns < look->next_ns)
		look->next_ns = look->away_ns;
	if (stopped)
		look->rules->stopped();
	if (look->any)
		leash_registry_judge_ended();
	for (uint32_t i = 0; i < look->untold; i++) {
		struct leash_conn *conn = leash_registry_at(untold[i]);

		say(look, conn, leash_registry_state(conn));
		leash_registry_release(conn);
	}
}

/* ---------------------------------------------------------------------------- the thread */

/*
 * Has every other thread left by pthread_exit(), the first one included? Then the process must end, and only
 * we keep it (W6). The first one stays as a zombie, without a working directory; the links of the
 * directory of threads are two more than these. No descriptor is opened: a program of one thread may
 * count on the number that its next open() gets.
 */
static bool alone(void)
{
	struct stat threads;
	char byte;

	return LEASH_SYS(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &threads, 0) == 0 &&
	       threads.st_nlink == 2 + 2 &&
	       LEASH_SYS(SYS_readlinkat, AT_FDCWD, "/proc/self/cwd", &byte, 1) == -ENOENT;
}

static bool anything(void)
{
	for (uint32_t i = 0; i < leash_registry_high(); i++)
		if (atomic_load_explicit(&leash_registry_at(i)->deadline_ns, memory_order_relaxed) != 0)
			return true;
	return false;
}

static void *watch(void *arg)
{
	struct leash_watcher *self = arg;
	const bool bare = atomic_load(&self->bare);
	struct leash_session *page = leash_background_get();
	int64_t wake_ns = LEASH_NEVER, next_ns = 0;
	bool restless = false;
	int ticks = 0;
	sigset_t none;

	LEASH_SYS(SYS_prctl, PR_SET_NAME, "netleash", 0, 0, 0);
	if (bare)
		leash_aside_leave_files();
	atomic_store(&self->state, LEASH_WATCHER_RUNNING);
	for (;;) {
		struct look now = {.rules = atomic_load(&the_rules)};
		struct timespec until;
		uint32_t seen;

		/* Awake: whoever has something sooner than a tick from now on says so. */
		atomic_store(&self->wake_ns, LEASH_NEVER);
		seen = atomic_load(&page->change);
		now.now_ns = precise_ns();
		/* A tick, in time, and nothing is due nor changed: ten thousand that wait cost nothing. */
		if (wake_ns != LEASH_NEVER && now.now_ns < next_ns && now.now_ns - wake_ns < LEASH_TICK_NS &&
		    !restless && ++ticks < TICKS &&
		    !atomic_load_explicit(&self->changed, memory_order_relaxed)) {
			now.pending = true;
		} else {
			atomic_store(&self->changed, 0);
			look(&now, page, wake_ns);
			next_ns = now.next_ns;
			restless = now.restless;
			ticks = 0;
		}
		if (atomic_load(&self->leave)) {
			atomic_store(&self->state, 0);
			return NULL;	/* who asked for it starts another one */
		}
		if (!now.pending) {
			uint32_t none_yet = 0;

			atomic_store(&self->state, 0);
			/* Whoever has something pending since sees the 0, or is seen here. */
			atomic_thread_fence(memory_order_seq_cst);
			if (!anything() ||
			    !atomic_compare_exchange_strong(&self->state, &none_yet,
							    LEASH_WATCHER_RUNNING))
				return NULL;
			wake_ns = LEASH_NEVER;
			continue;
		}
		/* libc knows nothing of a bare one: the last of its threads ends the process. */
		if (bare)
			leash_aside_follow();
		else if (alone())
			break;
		wake_ns = leash_deadline_wake(next_ns, now.now_ns);
		atomic_store(&self->wake_ns, wake_ns);
		until = (struct timespec){wake_ns / 1000000000, wake_ns % 1000000000};
		/* Absolute, CLOCK_MONOTONIC; the page is shared. */
		if (LEASH_SYS(SYS_futex, &page->change, FUTEX_WAIT_BITSET, seen, &until, NULL,
			      FUTEX_BITSET_MATCH_ANY) != -ETIMEDOUT)
			wake_ns = LEASH_NEVER;
	}
	atomic_store(&self->state, 0);
	/* A SIGTERM that waits for a thread that takes it is for the program's end. */
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	return NULL;			/* the last one: libc runs exit(0) */
}

/* What a forked child has from its parent */
static void inherit(struct leash_conn *conn)
{
	const enum leash_conn_state state = leash_registry_state(conn);
	const int thread = atomic_load_explicit(&conn->fd, memory_order_relaxed);

	if (conn->board)
		conn->lent = conn->board;
	conn->board = 0;
	atomic_store(&conn->waits, 0);
	atomic_store(&conn->doubled, 0);
	/* A look-up of a thread that is not in this process */
	if (state >= LEASH_CONN_LOOKUP && !conn->cookie &&
	    LEASH_SYS(SYS_tgkill, leash_sys_getpid(), thread, 0) == -ESRCH) {
		atomic_store(&conn->deadline_ns, 0);
		leash_registry_give(conn);
	}
}

/*
 * In a forked child: one that waits by poll() for what was pending calls no hook that would start its watcher. Only
 * a bare one can be started here: the program's malloc, which pthread_create() calls, may not be ready yet.
 */
static void forked(void)
{
	const struct leash_watcher_rules *rules = atomic_load(&the_rules);

	if (rules && anything() && leash_aside_can())
		leash_watcher_call(rules, LEASH_NEVER, 0);
}

static struct leash_watcher *here(void)
{
	struct leash_watcher *self = atomic_load_explicit(&leash_watcher, memory_order_acquire);
	struct leash_watcher *expected = NULL;
	const pid_t pid = leash_sys_getpid();
	int32_t owner = 0;
	long page;

	if (!self) {
		page = LEASH_SYS(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page < 0)
			return NULL;
		LEASH_SYS(SYS_madvise, page, 4096, MADV_WIPEONFORK);
		self = (struct leash_watcher *)page;
		atomic_store(&leash_atfork_child, forked);
		if (!atomic_compare_exchange_strong(&leash_watcher, &expected, self)) {
			LEASH_SYS(SYS_munmap, page, 4096);
			self = expected;
		}
	}
	if (atomic_load(&self->owner) == 0 && atomic_compare_exchange_strong(&self->owner, &owner, pid))
		/* The first time in this process */
		for (uint32_t i = 0; i < leash_registry_high(); i++)
			inherit(leash_registry_at(i));
	return self;
}

/* Not of libc's threads (aside.h) */
static int start_bare(struct leash_watcher *self)
{
	uint32_t none = 0;
	uint64_t mask, all = ~UINT64_C(0);
	int error = 0;

	/* A handler that left by siglongjmp() would leave it "starting" for ever. */
	LEASH_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof(mask));
	if (atomic_compare_exchange_strong(&self->state, &none, LEASH_WATCHER_STARTING)) {
		atomic_store(&self->bare, 1);
		atomic_store(&self->leave, 0);
		error = leash_aside_start(&self->tid, watch, self);
		if (error)
			atomic_store(&self->state, 0);
	}
	LEASH_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	return error;
}

static int start(struct leash_watcher *self)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	uint32_t none = 0;
	int error = 0;

	/* Not glibc's own two, or the next setuid() of the program would wait for ever (W2). */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Only here: a handler that left by siglongjmp() would leave it "starting" for ever. */
	if (atomic_compare_exchange_strong(&self->state, &none, LEASH_WATCHER_STARTING)) {
		atomic_store(&self->bare, 0);
		atomic_store(&self->leave, 0);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		error = pthread_create(&thread, &attr, watch, self);
		pthread_attr_destroy(&attr);
		if (error)
			atomic_store(&self->state, 0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static void dismiss(struct leash_watcher *self)
{
	atomic_store(&self->leave, 1);
	leash_background_nudge(leash_background_get());
	for (int turn = 0; atomic_load(&self->state) != 0 && turn < 10000; turn++)
		LEASH_SYS(SYS_sched_yield);
	if (atomic_load(&self->state) != 0)
		atomic_store(&self->leave, 0);	/* it stays; the next one who comes by tries again */
}

int leash_watcher_call(const struct leash_watcher_rules *rules, int64_t deadline_ns, int64_t now_ns)
{
	struct leash_watcher *self;

	/* A vfork() child has our memory and no thread of its own may be made there. What it waits for is
	 * compared when it enters a hook (W10). */
	if (leash_proc_foreign())
		return 0;
	self = here();
	if (!self || !leash_background_get())
		return -ENOMEM;
	atomic_store(&the_rules, rules);
	/* The program has threads now: a watcher that shares its descriptors costs it nothing more, and outlives
	 * its first thread, which the bare one cannot do without. */
	if (atomic_load(&self->bare) && leash_aside_threads() && atomic_load(&self->state) != 0)
		dismiss(self);
	if (atomic_load(&self->state) == 0)
		return leash_aside_can() ? start_bare(self) : start(self);
	if (deadline_ns - now_ns <= LEASH_TICK_NS && deadline_ns < atomic_load(&self->wake_ns))
		leash_background_nudge(leash_background_get());
	return 0;
}
