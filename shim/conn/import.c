/* SPDX-License-Identifier: MIT */
/* Descriptors that come from elsewhere (hooks.md 3.5). */
#include <string.h>

#include "shim/conn/io_inner.h"

/* A descriptor from elsewhere; closed if it is refused */
static bool admitted(int fd, const char *call)
{
	uint8_t flags;

	leash_registry_detach(fd);
	leash_fd_set(fd, 0);
	flags = leash_conn_flags(fd);
	if (!flags || leash_conn_adopt(fd, flags, call) == 0)
		return true;
	leash_conn_close(fd);
	return false;
}

/*
 * Descriptors that came over a socket are judged by their peer, as if connected here (hooks.md
 * 3.5). Refused ones are closed, the rest moves up, MSG_CTRUNC says that something is missing.
 */
void leash_import(struct msghdr *msg)
{
	char *const control = msg->msg_control;
	size_t at = 0, len = msg->msg_controllen;

	while (len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)(control + at);
		size_t old_size = CMSG_ALIGN(c->cmsg_len), new_size = old_size;
		size_t count, kept = 0;
		int *fds = (int *)(void *)CMSG_DATA(c);

		if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > len - at)
			break;
		if (old_size > len - at)
			old_size = new_size = len - at;	/* the last one is not padded */
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count; i++) {
				const int fd = fds[i];

				if (admitted(fd, "recvmsg"))
					fds[kept++] = fd;
			}
			if (kept < count) {
				msg->msg_flags |= MSG_CTRUNC;
				c->cmsg_len = CMSG_LEN(kept * sizeof(int));
				/* Without any there is no such message, as the kernel does it. */
				new_size = kept ? CMSG_SPACE(kept * sizeof(int)) : 0;
				if (new_size > old_size)
					new_size = old_size;
				memmove(control + at + new_size, control + at + old_size,
					len - at - old_size);
				len -= old_size - new_size;
			}
		}
		at += new_size;
	}
	msg->msg_controllen = len;
}

int leash_conn_pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
	const long got = LEASH_REAL(pidfd_getfd, pidfd, fd, flags);
	uint8_t known;

	if (got < 0)
		return (int)got;
	leash_registry_detach((int)got);
	leash_fd_set((int)got, 0);
	known = leash_conn_flags((int)got);
	if (known) {
		const int ret = leash_conn_adopt((int)got, known, "pidfd_getfd");

		if (ret < 0) {
			leash_conn_close((int)got);
			return ret;
		}
	}
	return (int)got;
}
