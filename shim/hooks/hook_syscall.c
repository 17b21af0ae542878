/* SPDX-License-Identifier: MIT */
/*
 * syscall(): the mediated numbers (hooks.md 3.8). Denied by number, never allowed by number:
 * what is not in the list below passes in the assembler entry, registers and stack as they
 * are, so numbers of newer kernels keep working.
 *
 * It is no cancellation point, so none may come out of the engine's real calls either. A
 * handler that siglongjmp()s out of a judged call leaves the thread uncancellable; programs
 * that do both to one thread are not known, those that count on syscall() never being
 * cancelled are.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/conn/conn.h"
#include "shim/core/fdtab.h"
#include "shim/core/init.h"
#include "shim/core/probe.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"
#include "shim/hooks/hook_dl.h"


#ifdef SYS_dup2
#define DUP2(X, word) X(word, SYS_dup2)
#else
#define DUP2(X, word)
#endif

#define MEDIATED(X, word)                                                                          \
	X(word, SYS_socket) X(word, SYS_socketpair) X(word, SYS_bind) X(word, SYS_connect)         \
	X(word, SYS_listen) X(word, SYS_accept) X(word, SYS_accept4) X(word, SYS_setsockopt)       \
	X(word, SYS_getsockopt) X(word, SYS_shutdown)                                              \
	X(word, SYS_sendto) X(word, SYS_sendmsg) X(word, SYS_sendmmsg) X(word, SYS_write)          \
	X(word, SYS_writev) X(word, SYS_pwritev2) X(word, SYS_sendfile) X(word, SYS_splice)        \
	X(word, SYS_recvfrom) X(word, SYS_recvmsg) X(word, SYS_recvmmsg) X(word, SYS_read)         \
	X(word, SYS_readv) X(word, SYS_preadv2) X(word, SYS_pidfd_getfd) X(word, SYS_io_submit)    \
	X(word, SYS_rt_sigaction)                                                                  \
	X(word, SYS_close) X(word, SYS_dup) DUP2(X, word) X(word, SYS_dup3) X(word, SYS_fcntl)     \
	X(word, SYS_close_range) X(word, SYS_execve) X(word, SYS_execveat)                         \
	X(word, SYS_io_uring_setup) X(word, SYS_io_uring_enter) X(word, SYS_io_uring_register)

#define BIT(word, nr) | ((nr) / 64 == (word) ? UINT64_C(1) << (nr) % 64 : 0)
#define WORD(word) (UINT64_C(0) MEDIATED(BIT, word))

const uint64_t leash_syscall_mediated[LEASH_SYSCALL_WORDS] = {
	WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7),
};

/* Bytes on a descriptor that is no INET socket: nothing to judge, as in the libc hooks. Not
 * recvmsg(): descriptors come in over AF_UNIX. */
static bool is_plain(int nr, long a, long b, long c)
{
	switch (nr) {
	case SYS_sendto:
	case SYS_write:
	case SYS_writev:
	case SYS_pwritev2:
	case SYS_sendfile:
	case SYS_recvfrom:
	case SYS_read:
	case SYS_readv:
	case SYS_preadv2:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return leash_fd_get((int)a) == 0;
	case SYS_splice:
		return leash_fd_get((int)a) == 0 && leash_fd_get((int)c) == 0;
	case SYS_io_submit:
		return false;
	case SYS_rt_sigaction:
		return !leash_conn_signal_ours((int)a);
	case SYS_fcntl:
		/* Only numbers are of interest; libc's F_GETOWN is not the kernel's. */
		return (int)b != F_DUPFD && (int)b != F_DUPFD_CLOEXEC;
	}
	return false;
}

/* The kernel's own asynchronous reads and writes work on sockets, and no hook sees the bytes: as
 * aio_write(). */
static long submit(long context, long count, struct iocb *const *list)
{
	for (long i = 0; i < count && leash_probe(&list[i], sizeof(*list)) &&
			 leash_probe(list[i], sizeof(**list));
	     i++) {
		const int fd = (int)list[i]->aio_fildes;
		const int ret = leash_fd_get(fd) & LEASH_FD_JUDGE ? leash_conn_unseen(fd, "io_submit") : 0;

		if (ret < 0)
			return i ? leash_neg_errno(leash_real_syscall(SYS_io_submit, context, i, list))
				 : ret;
	}
	return leash_neg_errno(leash_real_syscall(SYS_io_submit, context, count, list));
}

/* The kernel takes what it calls int from the lower half of the register, and so do these. */
static long judge(int nr, long a, long b, long c, long d, long e, long f)
{
	const int fd = (int)a;

	switch (nr) {
	case SYS_socket:
		return leash_conn_socket((int)a, (int)b, (int)c);
	case SYS_socketpair:
		return leash_conn_socketpair((int)a, (int)b, (int)c, (int *)d);
	case SYS_bind:
		return leash_conn_bind(fd, (const struct sockaddr *)b, (socklen_t)c);
	case SYS_connect:
		return leash_conn_connect(fd, (const struct sockaddr *)b, (socklen_t)c);
	case SYS_listen:
		return leash_conn_listen(fd, (int)b);
	case SYS_accept:
		return leash_conn_accept(fd, (struct sockaddr *)b, (socklen_t *)c, 0, true);
	case SYS_accept4:
		return leash_conn_accept(fd, (struct sockaddr *)b, (socklen_t *)c, (int)d, false);
	case SYS_setsockopt:
		return leash_conn_setsockopt(fd, (int)b, (int)c, (const void *)d, (socklen_t)e);
	case SYS_getsockopt:
		return leash_conn_getsockopt(fd, (int)b, (int)c, (void *)d, (socklen_t *)e);
	case SYS_shutdown:
		return leash_conn_shutdown(fd, (int)b);

	case SYS_sendto:
		return leash_conn_sendto(fd, (const void *)b, (size_t)c, (int)d,
					 (const struct sockaddr *)e, (socklen_t)f);
	case SYS_sendmsg:
		return leash_conn_sendmsg(fd, (const struct msghdr *)b, (int)c);
	case SYS_sendmmsg:
		return leash_conn_sendmmsg(fd, (struct mmsghdr *)b, (unsigned int)c, (int)d);
	case SYS_write:
		return leash_conn_write(fd, (const void *)b, (size_t)c);
	case SYS_writev:
		return leash_conn_writev(fd, (const struct iovec *)b, (int)c);
	case SYS_pwritev2:	/* the offset is in two halves, of which 64 bits need one */
		return leash_conn_pwritev2(fd, (const struct iovec *)b, (int)c, (off_t)d, (int)f);
	case SYS_sendfile:	/* those two decide in their hooks, which these are */
		return leash_neg_errno(sendfile(fd, (int)b, (off_t *)c, (size_t)d));
	case SYS_splice:
		return leash_neg_errno(splice(fd, (off64_t *)b, (int)c, (off64_t *)d, (size_t)e,
					      (unsigned int)f));

	case SYS_recvfrom:
		return leash_conn_recvfrom(fd, (void *)b, (size_t)c, (int)d, (struct sockaddr *)e,
					   (socklen_t *)f);
	case SYS_recvmsg:
		return leash_conn_recvmsg(fd, (struct msghdr *)b, (int)c);
	case SYS_recvmmsg:
		return leash_conn_recvmmsg(fd, (struct mmsghdr *)b, (unsigned int)c, (int)d,
					   (struct timespec *)e);
	case SYS_read:
		return leash_conn_read(fd, (void *)b, (size_t)c);
	case SYS_readv:
		return leash_conn_readv(fd, (const struct iovec *)b, (int)c);
	case SYS_preadv2:
		return leash_conn_preadv2(fd, (const struct iovec *)b, (int)c, (off_t)d, (int)f);
	case SYS_io_submit:
		return submit(a, b, (struct iocb *const *)c);
	case SYS_pidfd_getfd:
		return leash_conn_pidfd_getfd(fd, (int)b, (unsigned int)c);

	case SYS_rt_sigaction:
		return leash_conn_rt_sigaction((int)a, (const void *)b, (void *)c, (size_t)d);

	case SYS_close:
		return leash_conn_close(fd);
	case SYS_dup:
		return leash_conn_dup(fd);
#ifdef SYS_dup2
	case SYS_dup2:
		return leash_conn_dup2(fd, (int)b);
#endif
	case SYS_dup3:
		return leash_conn_dup3(fd, (int)b, (int)c);
	case SYS_fcntl:
		return leash_conn_fcntl(fd, (int)b, c);
	case SYS_close_range:
		return leash_conn_close_range((unsigned int)a, (unsigned int)b, (int)c);
	}
	/* io_uring: what a ring submits passes no hook, and libuv and liburing fall back without
	 * one. Other ABIs' numbers. And whatever the switch does not know. */
	return -ENOSYS;
}

long leash_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	const int nr = (int)number;
	LEASH_SCOPE(scope);
	int state, ignored;
	long ret;

	leash_init();
	if (nr == SYS_execve)
		return execve((const char *)a, (char *const *)b, (char *const *)c);
	if (nr == SYS_execveat)
		return execveat((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e);
	if (is_plain(nr, a, b, c))
		return leash_real_syscall(number, a, b, c, d, e, f);

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = judge(nr, a, b, c, d, e, f);
	pthread_setcancelstate(state, &ignored);
	return LEASH_LEAVE(scope, long, ret);
}
