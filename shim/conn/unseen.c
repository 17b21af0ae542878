/* SPDX-License-Identifier: MIT */
/*
 * Bytes that go from one descriptor to another inside the kernel (hooks.md 3.4): nobody sees them, so they wait
 * until the connection is judged; from then on they are pending, and end, like any others.
 *
 * Limit: a call that is blocked in here when its connection is ended gets SIGPIPE with the errno, as the kernel has no
 * MSG_NOSIGNAL for it.
 */
#include <fcntl.h>
#include <sys/sendfile.h>

#include "shim/conn/inner.h"
#include "shim/conn/timing.h"

/* What they begin with is no TLS and no request: those somebody would have had to see. */
static const struct iovec stranger = {.iov_base = (void *)(uintptr_t)"", .iov_len = 1};

/* Return: 0 or a negative errno; *ret_conn as leash_timing_out() */
static int before_out(int fd, const char *call, struct leash_conn **ret_conn)
{
	const uint8_t known = leash_fd_get(fd);
	int ret;

	*ret_conn = NULL;
	ret = known & LEASH_FD_JUDGE ? leash_conn_unseen(fd, call) : 0;
	return ret < 0 || !(known & LEASH_FD_STREAM) ? ret : leash_timing_out(fd, call, ret_conn);
}

ssize_t leash_conn_sendfile(int out_fd, int in_fd, off_t *offset, size_t len)
{
	struct leash_conn *conn;
	const int error = before_out(out_fd, "sendfile", &conn);

	if (error < 0)
		return error;
	return leash_timing_sent(conn, out_fd, LEASH_REAL(sendfile, out_fd, in_fd, offset, len), &stranger, 1);
}

ssize_t leash_conn_splice(int in_fd, off_t *in_offset, int out_fd, off_t *out_offset, size_t len,
			  unsigned int flags)
{
	struct leash_conn *out, *in = NULL;
	int error = before_out(out_fd, "splice", &out);
	ssize_t ret;

	/* Out of a socket that is not judged yet: bytes nobody would see coming. */
	if (error == 0 && (leash_fd_get(in_fd) & LEASH_FD_STREAM)) {
		if (leash_fd_get(in_fd) & LEASH_FD_JUDGE)
			error = leash_conn_unseen(in_fd, "splice");
		if (error == 0)
			error = leash_timing_in(in_fd, &in);
	}
	if (error < 0)
		return error;
	ret = LEASH_REAL(splice, in_fd, in_offset, out_fd, out_offset, len, flags);
	/* Of two sockets only one can be the other end: the kernel wants a pipe. */
	return in ? leash_timing_received(in, in_fd, ret, NULL, 0, 0)
		  : leash_timing_sent(out, out_fd, ret, &stranger, 1);
}
