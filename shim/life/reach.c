/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "shim/core/fdtab.h"
#include "shim/core/sys.h"
#include "shim/life/aside.h"
#include "shim/life/reach.h"

#define HIGH_FD 512			/* where duplicates are made, if the limit is above it */

/* ------------------------------------------------------------------------- descriptors */

/* A duplicate of @fd if it is still that socket (hooks.md W8); *ret_own: to be closed. Return: or -1 */
static int duplicate(const struct leash_conn *conn, int fd, bool *ret_own)
{
	const int process = leash_aside_process();
	long copy = process >= 0 ? leash_aside_fetch(process, fd)
				 : LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (process >= 0 && copy < 0) {
		*ret_own = false;
		return -1;
	}
	if (copy == -EINVAL)		/* the limit is below that */
		copy = LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	*ret_own = copy >= 0;
	if (copy < 0)			/* no number is free: as it is, and fast */
		return leash_registry_same(conn, fd) ? fd : -1;
	if (leash_registry_same(conn, (int)copy))
		return (int)copy;
	leash_sys_close((int)copy);
	return -1;
}

/* In a directory of descriptors. Return: a duplicate, or -1 */
static int search_proc(const struct leash_conn *conn, bool *ret_own)
{
	char block[1024] __attribute__((aligned(8)));
	const int dir = leash_sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
	int found = -1;
	long len;

	while (dir >= 0 && found < 0 &&
	       (len = LEASH_SYS(SYS_getdents64, dir, block, sizeof(block))) > 0) {
		for (long at = 0; at < len && found < 0;) {
			const struct dirent64 *entry = (const void *)(block + at);
			int fd = 0;

			at += entry->d_reclen;
			if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
				continue;
			for (const char *c = entry->d_name; *c; c++)
				fd = fd * 10 + (*c - '0');
			if (leash_registry_still(conn, fd))
				found = duplicate(conn, fd, ret_own);
		}
	}
	if (dir >= 0)
		leash_sys_close(dir);
	return found;
}

int leash_reach_socket(struct leash_conn *conn, bool *ret_own)
{
	int fd = atomic_load_explicit(&conn->fd, memory_order_relaxed);
	int found = duplicate(conn, fd, ret_own);

	for (fd = leash_registry_number(conn, 0); found < 0 && fd >= 0;
	     fd = leash_registry_number(conn, fd + 1)) {
		found = duplicate(conn, fd, ret_own);
		if (found >= 0)
			atomic_store_explicit(&conn->fd, fd, memory_order_relaxed);
	}
	return found >= 0 ? found : search_proc(conn, ret_own);
}

/* ---------------------------------------------------------------------- names look-ups */

static bool copy_own(void *to, const void *from, size_t len)
{
	const struct iovec local = {to, len}, remote = {(void *)from, len};

	return LEASH_SYS(SYS_process_vm_readv, leash_sys_getpid(), &local, 1, &remote, 1, 0) ==
	       (long)len;
}

/* What stands in /proc/self/task/TID/syscall: "NUMBER 0xARG (six) 0xSTACK 0xCODE". Return: fields read */
#define FIELDS 8
static size_t blocked_in(int tid, unsigned long fields[static FIELDS])
{
	char path[48] = "/proc/self/task/", text[160], digits[12];
	size_t len = strlen(path), count = 0, digit = sizeof(digits);
	unsigned int value = (unsigned int)tid;
	int fd;
	long got;

	do {
		digits[--digit] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	memcpy(path + len, digits + digit, sizeof(digits) - digit);
	memcpy(path + len + sizeof(digits) - digit, "/syscall", sizeof("/syscall"));
	fd = leash_sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	got = LEASH_SYS(SYS_read, fd, text, sizeof(text) - 1);
	leash_sys_close(fd);
	if (got <= 0 || text[0] < '0' || text[0] > '9')
		return 0;		/* "running" */
	text[got] = '\0';
	for (const char *c = text; *c && count < FIELDS; count++) {
		const bool hex = c[0] == '0' && c[1] == 'x';
		unsigned long number = 0;

		for (c += hex ? 2 : 0; *c && *c != ' ' && *c != '\n'; c++)
			number = number * (hex ? 16 : 10) +
				 (unsigned long)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
		fields[count] = number;
		while (*c == ' ' || *c == '\n')
			c++;
	}
	return count;
}

/*
 * A datagram socket whose reader polls and then reads without waiting is not ended by shutdown(): the read
 * says EAGAIN, and glibc goes round until its own time is up. An error that poll() sees ends it. The
 * kernel queues one for a datagram that is too long to be sent whole; nothing leaves (ip(7), IP_RECVERR).
 */
static void fail_datagrams(int fd, int domain)
{
	static const char long_one[65527];	/* with a header of 40 bytes, above every MTU, loopback's too */
	static const char nops[40] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
				      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	const int on = 1, never = IP_PMTUDISC_DO;
	const bool v6 = domain == AF_INET6;

	LEASH_SYS(SYS_setsockopt, fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	LEASH_SYS(SYS_setsockopt, fd, IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof(never));
	LEASH_SYS(SYS_setsockopt, fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops));
	if (v6) {
		LEASH_SYS(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
		LEASH_SYS(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof(on));
	}
	LEASH_SYS(SYS_sendto, fd, long_one, v6 ? sizeof(long_one) : 65507, MSG_DONTWAIT | MSG_NOSIGNAL,
		  NULL, 0);
}

/* One of the resolver's: not one that the program made, whose numbers are flagged */
static void wake_socket(int fd)
{
	const int process = leash_aside_process();
	const long copy = fd < 0 || leash_fd_get(fd) != 0 ? -1
			  : process >= 0		  ? leash_aside_fetch(process, fd)
							  : LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	int domain = AF_UNSPEC, type = 0;
	socklen_t len = sizeof(int);

	if (copy < 0)
		return;
	LEASH_SYS(SYS_getsockopt, copy, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	LEASH_SYS(SYS_getsockopt, copy, SOL_SOCKET, SO_TYPE, &type, &len);
	if ((domain == AF_INET || domain == AF_INET6) && type == SOCK_DGRAM)
		fail_datagrams((int)copy, domain);
	else
		LEASH_SYS(SYS_shutdown, copy, SHUT_RDWR);
	leash_sys_close((int)copy);
}

/*
 * The resolver's sockets are made inside libc, where no hook sees them. The thread waits on them: the
 * kernel says in which call. It ends with the answer "nothing", tries its next server, and meets the same;
 * so this is done again until the hook has returned.
 */
void leash_reach_lookup(struct leash_conn *conn)
{
	unsigned long field[FIELDS];
	struct pollfd fds[8];
	unsigned long count;

	/* Above the hook's frame: it has left the look-up, by siglongjmp(), and waits for something else. */
	if (blocked_in(atomic_load_explicit(&conn->fd, memory_order_relaxed), field) < FIELDS ||
	    field[7] >= leash_conn_more(conn)->frame)
		return;
	switch (field[0]) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		count = field[2] < 8 ? field[2] : 8;
		if (count == 0 || !copy_own(fds, (const void *)field[1], count * sizeof(fds[0])))
			return;
		for (unsigned long i = 0; i < count; i++)
			wake_socket(fds[i].fd);
		return;
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_connect:
		wake_socket((int)field[1]);
		return;
	}
}
