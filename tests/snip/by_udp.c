/* build: -ldl -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Ways to send a datagram to an address (hooks.md 3.3, 3.4). The text of each is "WAY".
 *
 *	by_udp ways
 *	by_udp ADDRESS PORT WAY
 */
#define _GNU_SOURCE
#include <aio.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern ssize_t __send(int, const void *, size_t, int);
extern ssize_t __write(int, const void *, size_t);

static struct sockaddr_in peer = {.sin_family = AF_INET}, friend = {.sin_family = AF_INET};
#define PEER (struct sockaddr *)&peer, sizeof(peer)
static const char *text;
static size_t len;

static int udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static int sent(ssize_t ret)
{
	return ret < 0 ? -1 : 0;
}

static struct msghdr message(struct iovec *iov, struct sockaddr_in *to)
{
	*iov = (struct iovec){(void *)text, len};
	return (struct msghdr){.msg_name = to, .msg_namelen = sizeof(*to), .msg_iov = iov, .msg_iovlen = 1};
}

static int w_sendto(void) { return sent(sendto(udp(), text, len, 0, PEER)); }
static int w_syscall_sendto(void) { return sent(syscall(SYS_sendto, udp(), text, len, 0, PEER)); }
static int w_sendto_dlsym(void)
{
	ssize_t (*call)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) =
		dlsym(dlopen("libc.so.6", RTLD_NOW), "sendto");

	return sent(call(udp(), text, len, 0, PEER));
}

static int w_sendmsg(void)
{
	struct iovec iov;
	struct msghdr msg = message(&iov, &peer);

	return sent(sendmsg(udp(), &msg, 0));
}

static int w_syscall_sendmsg(void)
{
	struct iovec iov;
	struct msghdr msg = message(&iov, &peer);

	return sent(syscall(SYS_sendmsg, udp(), &msg, 0));
}

/* sendmsg() takes the start of an address that is too long. */
static int w_sendmsg_long_address(void)
{
	struct sockaddr_in long_address[16] = {peer};
	struct iovec iov;
	struct msghdr msg = message(&iov, long_address);

	msg.msg_namelen = sizeof(long_address);
	return sent(sendmsg(udp(), &msg, 0));
}

static int w_sendto_longest_address(void)
{
	struct sockaddr_in long_address[8] = {peer};

	return sent(sendto(udp(), text, len, 0, (struct sockaddr *)long_address, sizeof(long_address)));
}

static int w_sendmmsg(void)
{
	struct iovec iov;
	struct mmsghdr msg = {.msg_hdr = message(&iov, &peer)};

	return sent(sendmmsg(udp(), &msg, 1, 0));
}

/* The second of three; the first goes to somebody who is admitted. */
static int second(long (*call)(int, struct mmsghdr *, unsigned int, int))
{
	struct iovec iov[3];
	struct mmsghdr msg[3] = {{.msg_hdr = message(&iov[0], &friend)},
				 {.msg_hdr = message(&iov[1], &peer)},
				 {.msg_hdr = message(&iov[2], &friend)}};
	int fd = udp();
	long ret = call(fd, msg, 3, 0);

	if (ret == 3)
		return 0;
	/* As the kernel does it: the errno comes with the next call. */
	if (ret != 1) {
		errno = EPROTO;
		return -1;
	}
	return sent(call(fd, msg + 1, 2, 0));
}

static long plain_sendmmsg(int fd, struct mmsghdr *msg, unsigned int count, int flags)
{
	return sendmmsg(fd, msg, count, flags);
}

static long number_sendmmsg(int fd, struct mmsghdr *msg, unsigned int count, int flags)
{
	return syscall(SYS_sendmmsg, fd, msg, count, flags);
}

static int w_sendmmsg_second(void) { return second(plain_sendmmsg); }
static int w_syscall_sendmmsg(void) { return second(number_sendmmsg); }

static int w_family_unspec(void)
{
	struct sockaddr_in to = peer;

	to.sin_family = AF_UNSPEC;
	return sent(sendto(udp(), text, len, 0, (struct sockaddr *)&to, sizeof(to)));
}

static int w_v4mapped(void)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = peer.sin_port};

	to.sin6_addr.s6_addr[10] = to.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&to.sin6_addr.s6_addr[12], &peer.sin_addr, 4);
	return sent(sendto(socket(AF_INET6, SOCK_DGRAM, 0), text, len, 0, (struct sockaddr *)&to, sizeof(to)));
}

static int w_v4_on_v6_socket(void)
{
	return sent(sendto(socket(AF_INET6, SOCK_DGRAM, 0), text, len, 0, PEER));
}

/* A connected socket with another address: that one counts. */
static int w_addressed_on_connected(void)
{
	int fd = udp();

	if (connect(fd, (struct sockaddr *)&friend, sizeof(friend)) < 0)
		return -1;
	return sent(sendto(fd, text, len, 0, PEER));
}

/* After a good one: the last verdict is kept for its own address only. */
static int w_after_a_good_one(void)
{
	int fd = udp();

	for (int i = 0; i < 3; i++)
		if (sendto(fd, "good", 4, 0, (struct sockaddr *)&friend, sizeof(friend)) != 4)
			return -1;
	return sent(sendto(fd, text, len, 0, PEER));
}

static int connected(void)
{
	int fd = udp();

	/* Refused here, or at the send: both are good. */
	return connect(fd, PEER) < 0 ? -1 : fd;
}

#define CONNECTED(expr)                                                                            \
	int fd = connected();                                                                      \
	return fd < 0 ? -1 : sent(expr)

static int w_send(void) { CONNECTED(send(fd, text, len, 0)); }
static int w___send(void) { CONNECTED(__send(fd, text, len, 0)); }
static int w_write(void) { CONNECTED(write(fd, text, len)); }
static int w___write(void) { CONNECTED(__write(fd, text, len)); }
static int w_writev(void)
{
	struct iovec iov = {(void *)text, len};

	CONNECTED(writev(fd, &iov, 1));
}
static int w_pwritev2(void)
{
	struct iovec iov = {(void *)text, len};

	CONNECTED(pwritev2(fd, &iov, 1, -1, 0));
}
static int w_syscall_write(void) { CONNECTED(syscall(SYS_write, fd, text, len)); }
static int w_dprintf(void) { CONNECTED(dprintf(fd, "%s", text)); }
static int w_sendmsg_connected(void)
{
	struct iovec iov;
	struct msghdr msg = message(&iov, &peer);

	msg.msg_name = NULL;
	CONNECTED(sendmsg(fd, &msg, 0));
}

static int w_fputs(void)
{
	int fd = connected();
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	return !file || fputs(text, file) < 0 || fflush(file) != 0 ? -1 : 0;
}

static int w_sendfile(void)
{
	int file = memfd_create("text", 0), fd = connected();

	write(file, text, len);
	return fd < 0 ? -1 : sent(sendfile(fd, file, &(off_t){0}, len));
}

static int w_splice(void)
{
	int ends[2], fd = connected();

	pipe(ends);
	write(ends[1], text, len);
	return fd < 0 ? -1 : sent(splice(ends[0], NULL, fd, NULL, len, 0));
}

static int w_aio_write(void)
{
	struct aiocb cb = {.aio_buf = (void *)text, .aio_nbytes = len};
	const struct aiocb *list[] = {&cb};

	cb.aio_fildes = connected();
	if (cb.aio_fildes < 0 || aio_write(&cb) < 0)
		return -1;
	aio_suspend(list, 1, NULL);
	return sent(aio_return(&cb));
}

static int w_lio_listio(void)
{
	struct aiocb cb = {.aio_buf = (void *)text, .aio_nbytes = len, .aio_lio_opcode = LIO_WRITE};
	struct aiocb *list[] = {&cb};

	cb.aio_fildes = connected();
	return cb.aio_fildes < 0 || lio_listio(LIO_WAIT, list, 1, NULL) < 0 ? -1 : 0;
}

/* The kernel's own asynchronous writes, by number */
static int w_io_submit(void)
{
	aio_context_t context = 0;
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (unsigned long)text, .aio_nbytes = len};
	struct iocb *list[] = {&cb};
	struct io_event event;
	int fd = connected();

	cb.aio_fildes = (unsigned int)fd;
	if (fd < 0 || syscall(SYS_io_setup, 1, &context) < 0)
		return -1;
	if (syscall(SYS_io_submit, context, 1, list) != 1)
		return -1;
	syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	errno = event.res < 0 ? (int)-event.res : 0;
	return event.res < 0 ? -1 : 0;
}

static int w_dup(void) { return sent(sendto(dup(udp()), text, len, 0, PEER)); }
static int w_fcntl_dup(void) { return sent(sendto(fcntl(udp(), F_DUPFD_CLOEXEC, 300), text, len, 0, PEER)); }

static int w_number_reused(void)
{
	int fd = open("/dev/null", O_WRONLY), back = udp();

	dup2(back, fd);
	return sent(sendto(fd, text, len, 0, PEER));
}

static int w_fork(void)
{
	int fd = udp(), status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sendto(fd, text, len, 0, PEER) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* A routing header leads past the judged address. */
static int w_ip_options_control(void)
{
	char control[CMSG_SPACE(8)] = {0};
	struct iovec iov;
	struct msghdr msg = message(&iov, &friend);
	struct cmsghdr *c;

	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_RETOPTS;
	c->cmsg_len = CMSG_LEN(8);
	CMSG_DATA(c)[0] = IPOPT_LSRR;
	CMSG_DATA(c)[1] = 7;
	CMSG_DATA(c)[2] = 4;
	memcpy(CMSG_DATA(c) + 3, &peer.sin_addr, 4);
	return sent(sendmsg(udp(), &msg, 0));
}

static int w_ip_options_socket(void)
{
	unsigned char route[8] = {IPOPT_LSRR, 7, 4};
	int fd = udp();

	memcpy(route + 3, &peer.sin_addr, 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)) < 0)
		return -1;
	return sent(sendto(fd, text, len, 0, (struct sockaddr *)&friend, sizeof(friend)));
}

#define WAY(name) {#name, w_##name}
static const struct {
	const char *name;
	int (*run)(void);
} ways[] = {
	WAY(sendto), WAY(syscall_sendto), WAY(sendto_dlsym), WAY(sendmsg), WAY(syscall_sendmsg),
	WAY(sendmsg_long_address), WAY(sendto_longest_address), WAY(sendmmsg), WAY(sendmmsg_second), WAY(syscall_sendmmsg), WAY(family_unspec), WAY(v4mapped),
	WAY(v4_on_v6_socket), WAY(addressed_on_connected), WAY(after_a_good_one), WAY(send),
	WAY(__send), WAY(write), WAY(__write), WAY(writev), WAY(pwritev2), WAY(syscall_write),
	WAY(dprintf), WAY(sendmsg_connected), WAY(fputs), WAY(sendfile), WAY(splice), WAY(aio_write),
	WAY(lio_listio), WAY(io_submit), WAY(dup), WAY(fcntl_dup), WAY(number_reused), WAY(fork),
	WAY(ip_options_control), WAY(ip_options_socket),
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(int argc, char **argv)
{
	if (argc == 2) {
		for (size_t i = 0; i < COUNT(ways); i++)
			puts(ways[i].name);
		return 0;
	}
	if (argc != 4)
		return 2;
	peer.sin_port = htons((unsigned short)atoi(argv[2]));
	friend.sin_port = htons(9001);
	if (inet_pton(AF_INET, argv[1], &peer.sin_addr) != 1 ||
	    inet_pton(AF_INET, getenv("LAB_PEER_ADDR"), &friend.sin_addr) != 1)
		return 2;
	for (size_t i = 0; i < COUNT(ways); i++) {
		if (strcmp(argv[3], ways[i].name) != 0)
			continue;
		text = ways[i].name;
		len = strlen(text);
		errno = 0;
		if (ways[i].run() == 0)
			printf("%s: sent\n", text);
		else
			printf("%s: %s\n", text, errno ? strerrorname_np(errno) : "failed");
		return 0;
	}
	return 2;
}
