/* SPDX-License-Identifier: MIT */
/*
 * The places of tasks in flight (life/places.c) and what the policy says of one too many (policy/tasks.c): with
 * several processes on one page, alive, dead, and dead but not waited for.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The file itself: it is part of the shared object, not of the library for unit tests. */
#include "shim/life/places.c"
#include "tests/unit/compile_case.h"

#define CONNS 64
#define OK "domains: { request = [ \"https://ok.example.com\" ]; };\n"

_Atomic(struct leash_session *) leash_background_here;
_Atomic(struct leash_watcher *) leash_watcher;
static struct leash_conn conns[CONNS];
static unsigned int nudges, forgotten;

void leash_background_nudge(struct leash_session *page)
{
	(void)page;
	nudges++;
}

uint32_t leash_registry_index(const struct leash_conn *conn)
{
	return (uint32_t)(conn - conns);
}

struct leash_conn *leash_registry_at(uint32_t index)
{
	return &conns[index % CONNS];
}

bool leash_registry_same(const struct leash_conn *conn, int fd)
{
	(void)fd;
	return conn->cookie != 13;	/* that one was closed behind our back */
}

void leash_registry_forget(struct leash_conn *conn)
{
	if (leash_registry_same(conn, 0))
		return;
	forgotten++;
	leash_place_give(conn);
}

static struct leash_session *fresh(void)
{
	struct leash_session *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	atomic_store(&leash_background_here, page);
	memset(conns, 0, sizeof(conns));
	for (uint32_t i = 0; i < CONNS; i++)
		atomic_store(&conns[i].state, (i + 1) << 8 | LEASH_CONN_OPEN);
	nudges = forgotten = 0;
	return page;
}

static void take_and_give(void **state)
{
	struct leash_session *page = fresh();

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(leash_place_take(&conns[i], 1, 3));
	assert_int_equal(leash_place_count(page, 1, 3), 3);
	assert_int_equal(leash_place_count(page, 0, 3), 0);
	assert_false(leash_place_take(&conns[3], 1, 3));
	assert_int_equal(leash_place_class(&conns[2]), 1);
	assert_int_equal(leash_place_class(&conns[3]), -1);
	/* The other classes are not touched by it. */
	assert_true(leash_place_take(&conns[3], 0, 1));
	leash_place_give(&conns[1]);
	leash_place_give(&conns[1]);		/* twice is once */
	assert_int_equal(leash_place_count(page, 1, 3), 2);
	assert_true(leash_place_take(&conns[4], 1, 3));
	assert_false(leash_place_take(&conns[5], 1, 3));
	assert_false(leash_place_take(&conns[5], LEASH_SESSION_CLASSES, 3));
	/* More than there are: as many as there are */
	for (uint32_t i = 6; i < CONNS; i++)
		assert_true(leash_place_take(&conns[i], 2, UINT32_MAX));
	munmap(page, sizeof(*page));
}

static void move(void **state)
{
	struct leash_session *page = fresh();

	(void)state;
	assert_true(leash_place_take(&conns[0], 0, 1));
	assert_true(leash_place_take(&conns[1], 1, 1));
	assert_false(leash_place_move(&conns[0], 1, 1));	/* full: nothing changed */
	assert_int_equal(leash_place_class(&conns[0]), 0);
	assert_int_equal(leash_place_count(page, 0, 1), 1);
	leash_place_give(&conns[1]);
	assert_true(leash_place_move(&conns[0], 1, 1));
	assert_int_equal(leash_place_class(&conns[0]), 1);
	assert_int_equal(leash_place_count(page, 0, 1), 0);
	assert_int_equal(leash_place_count(page, 1, 1), 1);
	assert_false(leash_place_move(&conns[2], 0, 1));	/* holds none */
	leash_place_give(&conns[0]);
	assert_int_equal(leash_place_count(page, 1, 1), 0);
	munmap(page, sizeof(*page));
}

/* A slot that was used again does not give back what its earlier connection held. */
static void slot_used_again(void **state)
{
	struct leash_session *page = fresh();

	(void)state;
	assert_true(leash_place_take(&conns[0], 0, 1));
	atomic_fetch_add(&conns[0].state, 1 << 8);
	leash_place_give(&conns[0]);
	assert_int_equal(leash_place_count(page, 0, 1), 1);
	munmap(page, sizeof(*page));
}

static void only_who_waits_is_woken(void **state)
{
	struct leash_session *page = fresh();

	(void)state;
	assert_true(leash_place_take(&conns[0], 0, 2));
	assert_true(leash_place_take(&conns[1], 0, 2));
	leash_place_give(&conns[0]);
	assert_int_equal(nudges, 0);
	leash_place_wait(page);
	leash_place_give(&conns[1]);
	assert_int_equal(nudges, 1);
	assert_int_equal(atomic_load(&page->tasks.waiting), 0);
	munmap(page, sizeof(*page));
}

/* A process that holds a place; it ends by @how as soon as it is told */
static pid_t holder(int *ret_pipe, int how)
{
	int ready[2], go[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		byte = leash_place_take(&conns[0], 0, 3) ? '1' : '0';
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(1);
		if (how)
			raise(how);
		_exit(0);
	}
	close(go[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, '1');
	close(ready[0]);
	*ret_pipe = go[1];
	return pid;
}

static void end(pid_t pid, int pipe, bool reap)
{
	siginfo_t info;

	/* Not only closed: its younger brothers have a copy. */
	assert_int_equal(write(pipe, "", 1), 1);
	close(pipe);
	/* Ended, but nobody has waited for it */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	if (reap)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void dead_processes(void **state)
{
	struct leash_session *page = fresh();
	int pipes[3];
	pid_t pids[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pids[i] = holder(&pipes[i], i == 1 ? SIGKILL : 0);
	assert_int_equal(leash_place_count(page, 0, 3), 3);
	assert_false(leash_place_take(&conns[0], 0, 3));
	/* All of them live: nothing is swept. */
	leash_place_sweep(page, 0, 3, true, true);
	assert_int_equal(leash_place_count(page, 0, 3), 3);
	end(pids[0], pipes[0], true);
	end(pids[1], pipes[1], false);		/* a zombie still has its number */
	leash_place_wait(page);
	leash_place_sweep(page, 0, 3, true, true);
	assert_int_equal(leash_place_count(page, 0, 3), 1);
	assert_int_equal(nudges, 1);
	assert_true(leash_place_take(&conns[0], 0, 3));
	assert_true(leash_place_take(&conns[1], 0, 3));
	assert_false(leash_place_take(&conns[2], 0, 3));
	/* Once a tick, unless it is asked for at once */
	end(pids[2], pipes[2], true);
	atomic_store(&page->tasks.swept_ns, leash_now_ns() + LEASH_TICK_NS);
	leash_place_sweep(page, 0, 3, false, true);
	assert_int_equal(leash_place_count(page, 0, 3), 3);
	leash_place_sweep(page, 0, 3, true, true);
	assert_int_equal(leash_place_count(page, 0, 3), 2);
	waitpid(pids[1], NULL, 0);
	munmap(page, sizeof(*page));
}

/* A forked child has a copy of its parent's connections, not their places. */
static void forked(void **state)
{
	struct leash_session *page = fresh();
	pid_t pid;

	(void)state;
	assert_true(leash_place_take(&conns[0], 0, 1));
	pid = fork();
	if (pid == 0) {
		leash_place_give(&conns[0]);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(leash_place_count(page, 0, 1), 1);
	leash_place_give(&conns[0]);
	assert_int_equal(leash_place_count(page, 0, 1), 0);
	munmap(page, sizeof(*page));
}

static void exec_and_stdio(void **state)
{
	struct leash_session *page = fresh();

	(void)state;
	atomic_store(&page->tasks.limit[0], 4);
	for (uint32_t i = 0; i < 4; i++) {
		conns[i].cookie = i == 2 ? 13 : 20 + i;
		assert_true(leash_place_take(&conns[i], 0, 4));
	}
	/* Closed inside libc: found when it is our own turn to look, not by the watcher */
	leash_place_sweep(page, 0, 4, true, false);
	assert_int_equal(leash_place_count(page, 0, 4), 4);
	leash_place_sweep(page, 0, 4, true, true);
	assert_int_equal(leash_place_count(page, 0, 4), 3);
	assert_int_equal(forgotten, 1);
	/* What begins under this number held nothing yet. */
	leash_place_forget(page, getpid() + 1);
	assert_int_equal(leash_place_count(page, 0, 4), 3);
	leash_place_forget(page, getpid());
	assert_int_equal(leash_place_count(page, 0, 4), 0);
	munmap(page, sizeof(*page));
}

/* Eight processes at once: never more than the limit, and nothing is left over */
static void crowd(uint32_t limit)
{
	struct leash_session *page = fresh();
	_Atomic uint32_t *inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[8];
	int status;

	for (int p = 0; p < 8; p++) {
		pids[p] = fork();
		if (pids[p] != 0)
			continue;
		for (int i = 0; i < 20000; i++) {
			if (!leash_place_take(&conns[p], 0, limit))
				continue;
			if (atomic_fetch_add(&inside[0], 1) >= limit)
				atomic_store(&inside[1], 1);
			atomic_fetch_add(&inside[2], 1);
			if (i % 16 == 0)
				sched_yield();		/* another one is to come while it is held */
			atomic_fetch_sub(&inside[0], 1);
			leash_place_give(&conns[p]);
		}
		_exit(0);
	}
	for (int p = 0; p < 8; p++) {
		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(atomic_load(&inside[1]), 0);
	assert_true(atomic_load(&inside[2]) > 0);
	assert_int_equal(leash_place_count(page, 0, limit), 0);
	munmap(inside, 4096);
	munmap(page, sizeof(*page));
}

static void at_once(void **state)
{
	(void)state;
	crowd(1);
	crowd(5);
}

static void verdicts(void **state)
{
	static const struct {
		const char *label, *text;
		bool allowed, would, queues;
	} rows[] = {
		{"default", OK, true, true, false},
		{"warn", OK "limits: { over = \"warn\"; };", true, true, false},
		{"fail", OK "limits: { over = \"fail\"; };", false, false, false},
		{"queue", OK "limits: { over = \"queue\"; };", false, false, true},
		{"audit", OK "mode = \"audit\"; limits: { over = \"queue\"; };", true, true, false},
		/* Not what "skip domain validation" skips */
		{"skip", OK "skip_domain_check = true; limits: { over = \"fail\"; };", false, false, false},
		{"build", OK "profile = \"build\"; limits: { over = \"fail\"; };", true, false, false},
	};
	static const uint32_t limits[] = {10, 5, 10, 10};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leash_compiled compiled;
		const struct leash_image *image;
		struct leash_verdict v;

		case_settings(rows[i].text, &compiled);
		image = case_image(&compiled);
		assert_int_equal(leash_policy_queues(image), rows[i].queues);
		for (uint32_t list = 0; list < 4; list++) {
			v = leash_policy_tasks(image, (enum leash_list)list, limits[list] - 1);
			assert_int_equal(v.action, LEASH_ALLOW);
			assert_false(v.would);
			assert_int_equal(v.reason, LEASH_WHY_NONE);
			v = leash_policy_tasks(image, (enum leash_list)list, limits[list]);
			if ((v.action == LEASH_ALLOW) != rows[i].allowed || v.would != rows[i].would)
				fail_msg("%s: list %u", rows[i].label, list);
			if (!rows[i].allowed || rows[i].would)
				assert_int_equal(v.reason, LEASH_WHY_TOO_MANY);
			assert_int_equal(v.rule, LEASH_RULE_LIMITS);
		}
		v = leash_policy_new_tcp(image, 19);
		assert_true(v.action == LEASH_ALLOW && !v.would);
		v = leash_policy_new_tcp(image, 20);
		if ((v.action == LEASH_ALLOW) != rows[i].allowed || v.would != rows[i].would)
			fail_msg("%s: tcp", rows[i].label);
		leash_compiled_free(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_and_give),
		cmocka_unit_test(move),
		cmocka_unit_test(slot_used_again),
		cmocka_unit_test(only_who_waits_is_woken),
		cmocka_unit_test(dead_processes),
		cmocka_unit_test(forked),
		cmocka_unit_test(exec_and_stdio),
		cmocka_unit_test(at_once),
		cmocka_unit_test(verdicts),
	};
	int failed;

	case_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	case_leave();
	return failed;
}
