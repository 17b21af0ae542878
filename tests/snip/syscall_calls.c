/* SPDX-License-Identifier: MIT */
/*
 * Each mediated call by its number (hooks.md 1.1 "number", "ring"): what came of it.
 *
 *	syscall_calls PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

static struct sockaddr_in peer = {.sin_family = AF_INET};

static void say(const char *label, long ret)
{
	printf("%s: %s\n", label, ret >= 0 ? "ok" : strerrorname_np(errno));
	fflush(stdout);
}

static int number_socket(int type)
{
	return (int)syscall(SYS_socket, AF_INET, type, 0);
}

int main(int argc, char **argv)
{
	char byte = 'x';
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct mmsghdr vec = {.msg_hdr = {.msg_name = &peer, .msg_namelen = sizeof(peer),
					  .msg_iov = &iov, .msg_iovlen = 1}};
	char params[120] = {0};
	char *sh[] = {"sh", "-c", "echo ${LD_PRELOAD:+leashed}", NULL};
	char *nothing[] = {NULL};
	int fd, udp, fds[2];
	long ret;

	if (argc != 2)
		return 2;
	peer.sin_port = htons((unsigned short)atoi(argv[1]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	say("socket packet", syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0));
	fd = number_socket(SOCK_STREAM);
	say("socket", fd);
	say("connect", syscall(SYS_connect, fd, &peer, sizeof(peer)));
	say("connect upper half", syscall(SYS_connect | 1L << 32, fd, &peer, sizeof(peer)));
#if defined(__x86_64__)
	say("connect x32", syscall(SYS_connect | 0x40000000L, fd, &peer, sizeof(peer)));
	say("sendmsg x32 without its bit", syscall(518L, fd, &vec.msg_hdr, 0));
#endif
	say("connect of a duplicate", syscall(SYS_connect, syscall(SYS_dup, fd), &peer, sizeof(peer)));
	say("connect of a dup3", syscall(SYS_connect, syscall(SYS_dup3, fd, 200, 0), &peer,
					 sizeof(peer)));
	say("connect of an F_DUPFD", syscall(SYS_connect, syscall(SYS_fcntl, fd, F_DUPFD, 210), &peer,
					     sizeof(peer)));
	say("fastopen sendto", syscall(SYS_sendto, fd, &byte, 1, MSG_FASTOPEN, &peer, sizeof(peer)));
	say("fastopen sendmsg", syscall(SYS_sendmsg, fd, &vec.msg_hdr, MSG_FASTOPEN));
	say("fastopen sendmmsg", syscall(SYS_sendmmsg, fd, &vec, 1, MSG_FASTOPEN));
	say("close", syscall(SYS_close, fd));
	say("close again", syscall(SYS_close, fd));

	udp = number_socket(SOCK_DGRAM);
	say("sendto", syscall(SYS_sendto, udp, &byte, 1, 0, &peer, sizeof(peer)));
	say("sendmsg", syscall(SYS_sendmsg, udp, &vec.msg_hdr, 0));
	say("sendmmsg", syscall(SYS_sendmmsg, udp, &vec, 1, 0));
	say("udp connect", syscall(SYS_connect, udp, &peer, sizeof(peer)));

	/* The data path where nothing is to judge: bytes arrive. */
	say("socketpair", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds));
	say("write", syscall(SYS_write, fds[0], &byte, 1));
	say("read", syscall(SYS_read, fds[1], &byte, 1));
	say("writev", syscall(SYS_writev, fds[0], &iov, 1));
	say("readv", syscall(SYS_readv, fds[1], &iov, 1));
	say("pwritev2", syscall(SYS_pwritev2, fds[0], &iov, 1, -1L, 0L, 0));
	say("preadv2", syscall(SYS_preadv2, fds[1], &iov, 1, -1L, 0L, 0));
	say("pwritev2 at an offset", syscall(SYS_pwritev2, fds[0], &iov, 1, 1L, 0L, 0));
	say("close_range", syscall(SYS_close_range, fds[0], fds[1], 0));
	say("write to a closed one", syscall(SYS_write, fds[0], &byte, 1));

	say("io_uring_setup", syscall(SYS_io_uring_setup, 4, params));
	say("io_uring_enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
	say("io_uring_register", syscall(SYS_io_uring_register, -1, 0, NULL, 0));

	/* What passes keeps all its arguments: six of them, the last on the stack. */
	ret = syscall(SYS_mmap, NULL, 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0L);
	say("mmap", ret == -1 ? -1 : 0);
	say("mmap, odd offset", syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE, 0, 1L));
	errno = ERANGE;
	ret = syscall(SYS_getpid);
	printf("getpid: %s, errno %s\n", ret == getpid() ? "ok" : "another", strerrorname_np(errno));
	errno = ERANGE;
	syscall(SYS_close, number_socket(SOCK_STREAM));
	printf("after a judged call: errno %s\n", strerrorname_np(errno));

	ret = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (ret == 0)
		_exit(7);
	waitpid((pid_t)ret, &fd, 0);
	printf("clone: child said %d\n", WEXITSTATUS(fd));
	fflush(stdout);

	ret = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (ret == 0) {
		syscall(SYS_execve, "/bin/sh", sh, nothing);
		_exit(8);
	}
	waitpid((pid_t)ret, NULL, 0);
	ret = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (ret == 0) {
		syscall(SYS_execveat, AT_FDCWD, "/bin/sh", sh, nothing, 0);
		_exit(8);
	}
	waitpid((pid_t)ret, NULL, 0);
	say("execve of nothing", syscall(SYS_execve, "/no/such/file", sh, nothing));
	return 0;
}
