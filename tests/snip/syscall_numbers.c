/* SPDX-License-Identifier: MIT */
/*
 * Every number with arguments that cannot succeed, each in a child: what came of it, to be
 * the same with and without netleash (hooks.md §4, row 16).
 *
 *	syscall_numbers [FIRST LAST]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What would end, stop, hang, copy or signal more than a child or the machine, or leave
 * something behind. */
static const long dangerous[] = {
	SYS_exit, SYS_exit_group, SYS_clone, SYS_rt_sigreturn, SYS_restart_syscall, SYS_kill,
	SYS_reboot, SYS_sync, SYS_vhangup, SYS_ptrace, SYS_msgget,
#ifdef SYS_fork
	SYS_fork, SYS_vfork, SYS_pause,
#endif
#ifdef SYS_clone3
	SYS_clone3,
#endif
};

static int is_dangerous(long nr)
{
	for (size_t i = 0; i < sizeof(dangerous) / sizeof(*dangerous); i++)
		if (dangerous[i] == nr)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	const long first = argc > 2 ? atol(argv[1]) : -2, last = argc > 2 ? atol(argv[2]) : 460;

	for (long nr = first; nr <= last; nr++) {
		struct {
			long ret;
			int err;
		} out = {0};
		int ends[2], status;
		pid_t child;

		if (is_dangerous(nr))
			continue;
		if (pipe(ends) < 0 || (child = fork()) < 0)
			return 1;
		if (child == 0) {
			alarm(5);	/* a number that waits dies of it both times */
			errno = 0;
			out.ret = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
			out.err = errno;
			write(ends[1], &out, sizeof(out));
			_exit(0);
		}
		close(ends[1]);
		out.err = -1;
		read(ends[0], &out, sizeof(out));
		close(ends[0]);
		waitpid(child, &status, 0);
		if (out.err == -1)
			printf("%ld: child ended with %d\n", nr, status);
		else if (out.ret == -1)
			printf("%ld: %s\n", nr, strerrorname_np(out.err));
		else
			printf("%ld: ok, errno %d\n", nr, out.err);
	}
	return 0;
}
