/* SPDX-License-Identifier: MIT */
/*
 * The table of connections, with threads that open, duplicate and close sockets at once
 * (life/registry.c): a number never leads to another socket's slot while it is open, and no slot is
 * left over. The sockets are local ones: every family has a cookie.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The files themselves: they are part of the shared object, not of the library for unit tests. */
#include "shim/life/registry.c"
#define take look_take
#include "shim/core/fdtab.c"
#undef take
#include "shim/core/proc.c"

struct leash_watcher *_Atomic leash_watcher;	/* none */
unsigned int leash_trace_mask;
void leash_trace_write(const char *area, const char *text, long number, const char *rest)
{
	(void)area;
	(void)text;
	(void)number;
	(void)rest;
}

void leash_board_free(struct leash_conn *conn)
{
	(void)conn;
}

/* The watcher's own thread has others; here there is none. */
int leash_aside_process(void)
{
	return -1;
}

int leash_aside_fetch(int process, int fd)
{
	(void)process;
	(void)fd;
	return -EBADF;
}

#define THREADS 8

static _Atomic int wrong[8];

static int open_one(uint64_t *ret_cookie)
{
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct leash_conn *conn;

	leash_registry_detach(fd);
	*ret_cookie = leash_fd_cookie(fd);
	conn = leash_registry_claim(fd, *ret_cookie);
	if (!conn) {
		wrong[0]++;
		return fd;
	}
	conn->port = (uint16_t)*ret_cookie;
	leash_registry_set_state(conn, LEASH_CONN_OPEN);
	leash_fd_set(fd, LEASH_FD_INET);
	return fd;
}

static void check(int fd, uint64_t cookie)
{
	struct leash_conn *conn = leash_registry_of(fd);

	if (!conn || conn->cookie != cookie || conn->port != (uint16_t)cookie ||
	    leash_registry_state(conn) != LEASH_CONN_OPEN || !leash_registry_same(conn, fd))
		wrong[1]++;
}

static void close_one(int fd)
{
	leash_registry_detach(fd);
	leash_fd_set(fd, 0);
	close(fd);
}

static void *hammer(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int round = 0; round < 4000; round++) {
		uint64_t cookie[4];
		int fd[4], copy;

		for (int i = 0; i < 4; i++)
			fd[i] = open_one(&cookie[i]);
		for (int i = 0; i < 4; i++)
			check(fd[i], cookie[i]);
		copy = dup(fd[0]);
		leash_registry_detach(copy);
		leash_registry_attach(copy, leash_registry_of(fd[0]));
		check(copy, cookie[0]);
		close_one(fd[0]);
		/* The duplicate keeps it. */
		check(copy, cookie[0]);
		/* The watcher holds one while it is closed. */
		if (rand_r(&seed) % 4 == 0) {
			struct leash_conn *conn = leash_registry_of(fd[1]);
			const uint32_t word = leash_registry_hold(conn);

			close_one(fd[1]);
			if (rand_r(&seed) % 2)
				leash_registry_end(conn, word, LEASH_CONN_EXPIRED);
			leash_registry_release(conn);
		} else {
			close_one(fd[1]);
		}
		close_one(copy);
		/* Closed inside libc: the next owner of the number lets go of it. */
		close(fd[2]);
		close_one(fd[3]);
	}
	return NULL;
}

static int used(void)
{
	int count = 0;

	for (int i = 0; i < LEASH_CONN_MAX; i++)
		count += leash_registry_state(leash_registry_at((uint32_t)i)) != LEASH_CONN_FREE;
	return count;
}

/* Numbers that were closed behind our back */
static void let_go(void)
{
	for (int fd = 0; fd < 1024; fd++)
		if (leash_registry_of(fd) && !leash_registry_same(leash_registry_of(fd), fd))
			leash_registry_detach(fd);
}

static void test_many_at_once(void **state)
{
	pthread_t ids[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	let_go();
	assert_int_equal(wrong[0], 0);
	assert_int_equal(wrong[1], 0);
	assert_int_equal(used(), 0);
}

/* Past the table numbers are found by cookie, and give their slot back like the others. */
static void test_past_the_table(void **state)
{
	const int far = LEASH_FD_MAX + 100;
	const struct rlimit room = {(rlim_t)far + 1, (rlim_t)far + 1};
	uint64_t cookie;
	int fd, got;

	(void)state;
	fd = open_one(&cookie);
	close_one(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	got = dup2(fd, far);
	if (got < 0 && setrlimit(RLIMIT_NOFILE, &room) == 0)
		got = dup2(fd, far);
	if (got < 0)
		skip();			/* a limit that only root may raise */
	close(fd);
	for (int i = 0; i < 3; i++) {
		struct leash_conn *conn = leash_registry_claim(far, leash_fd_cookie(far));

		assert_non_null(conn);
		leash_registry_set_state(conn, LEASH_CONN_DATAGRAM);
		assert_ptr_equal(leash_registry_of(far), conn);
		assert_int_equal(used(), 1);
	}
	leash_registry_detach(far);
	assert_int_equal(used(), 0);
	close(far);
}

static void *get_tid(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

/* Full: there is none; then sockets that libc closed make room, and look-ups whose thread is gone. */
static void test_full(void **state)
{
	pthread_t thread;
	uint64_t cookie;
	int first, fd, other;
	pid_t tid;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, get_tid, &tid), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < LEASH_CONN_MAX; i++) {
		struct leash_conn *conn = leash_registry_take();

		assert_non_null(conn);
		atomic_store(&conn->fd, gettid());
		leash_registry_set_state(conn, LEASH_CONN_LOOKUP);
	}
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_null(leash_registry_claim(fd, leash_fd_cookie(fd)));
	leash_registry_give(leash_registry_at(17));
	assert_non_null(leash_registry_claim(fd, leash_fd_cookie(fd)));
	leash_registry_set_state(leash_registry_of(fd), LEASH_CONN_OPEN);
	close(fd);			/* behind our back, and its number is another's */
	other = dup(STDERR_FILENO);
	assert_int_equal(other, fd);
	first = open_one(&cookie);
	check(first, cookie);
	close(other);
	close_one(first);
	first = open_one(&cookie);	/* the one that was given back */
	assert_int_equal(used(), LEASH_CONN_MAX);
	atomic_store(&leash_registry_at(5)->fd, tid);
	fd = open_one(&cookie);
	check(fd, cookie);
	assert_ptr_equal(leash_registry_of(fd), leash_registry_at(5));
	assert_int_equal(wrong[0], 0);
	assert_int_equal(wrong[1], 0);
	close_one(fd);
	close_one(first);
	for (int i = 0; i < LEASH_CONN_MAX; i++)
		if (i != 17 && i != 5)
			leash_registry_give(leash_registry_at((uint32_t)i));
	assert_int_equal(used(), 0);
}

/* In a child that shares the memory nothing changes (hooks.md F3); in a forked one all works. */
static void test_children(void **state)
{
	uint64_t cookie;
	int fd, status;
	pid_t pid;

	(void)state;
	fd = open_one(&cookie);
	leash_proc_sharing();
	pid = vfork();
	if (pid == 0) {
		close(fd);
		leash_registry_detach(fd);
		leash_fd_set(fd, 0);
		_exit(leash_registry_of(fd) == NULL && leash_registry_claim(fd, 1) == NULL ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	check(fd, cookie);
	assert_int_equal(leash_fd_get(fd), LEASH_FD_INET);
	pid = fork();
	if (pid == 0) {
		check(fd, cookie);
		close_one(fd);
		_exit(leash_registry_of(fd) == NULL && used() == 0 && wrong[1] == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	check(fd, cookie);
	assert_int_equal(wrong[1], 0);
	close_one(fd);
	assert_int_equal(used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_past_the_table),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
