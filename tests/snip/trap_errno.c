/* build: -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Calls with odd arguments (hooks.md N6, N7): what each answers, one line each. With and without
 * netleash, under a policy that allows everything, the lines must be the same. Addresses are
 * loopback's.
 */
#define _GNU_SOURCE
#include <aio.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SET 4711
static int line;

static void say(const char *label, long ret)
{
	const int error = errno;

	/* A success leaves errno as it was, a failure sets it once. */
	if (ret >= 0)
		printf("%3d %s: %ld%s\n", ++line, label, ret, error == SET ? "" : ", errno changed");
	else
		printf("%3d %s: %s\n", ++line, label, strerrorname_np(error));
}

#define TRY(label, call)                                                                           \
	do {                                                                                       \
		long ret_;                                                                         \
		errno = SET;                                                                       \
		ret_ = (long)(call);                                                               \
		say(label, ret_);                                                                  \
	} while (0)
#define SAME(call) TRY(#call, call)

static char *wild, *last_byte;
static int tcp, udp, unix_stream, file, closed, listener, pipe_in, pipe_out;
static struct sockaddr_in self;

static void connects(const char *kind, int fd)
{
	static const unsigned int lengths[] = {0, 1, 2, 8, 15, 17, 28, 128, 129, 200, ~0u};
	struct sockaddr_storage addr = {0};
	struct sockaddr_in odd = self;
	char label[96];

	memcpy(&addr, &self, sizeof(self));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		/* Length 16 and more connects a stream for good, and the next ones differ only by that. */
		snprintf(label, sizeof(label), "%s connect length %d", kind, (int)lengths[i]);
		TRY(label, connect(fd, (struct sockaddr *)&addr, lengths[i]));
		snprintf(label, sizeof(label), "%s bind length %d", kind, (int)lengths[i]);
		if (lengths[i] < 16 || lengths[i] > 128)
			TRY(label, bind(fd, (struct sockaddr *)&addr, lengths[i]));
	}
	snprintf(label, sizeof(label), "%s connect NULL 0", kind);
	TRY(label, connect(fd, NULL, 0));
	snprintf(label, sizeof(label), "%s connect NULL 16", kind);
	TRY(label, connect(fd, NULL, 16));
	snprintf(label, sizeof(label), "%s connect wild", kind);
	TRY(label, connect(fd, (struct sockaddr *)wild, 16));
	snprintf(label, sizeof(label), "%s connect across the end of a page", kind);
	TRY(label, connect(fd, (struct sockaddr *)(last_byte - 3), 16));
	snprintf(label, sizeof(label), "%s bind NULL 16", kind);
	TRY(label, bind(fd, NULL, 16));
	snprintf(label, sizeof(label), "%s bind wild", kind);
	TRY(label, bind(fd, (struct sockaddr *)wild, 16));
	odd.sin_family = 77;
	snprintf(label, sizeof(label), "%s connect family 77", kind);
	TRY(label, connect(fd, (struct sockaddr *)&odd, sizeof(odd)));
	snprintf(label, sizeof(label), "%s bind family 77", kind);
	TRY(label, bind(fd, (struct sockaddr *)&odd, sizeof(odd)));
	odd.sin_family = AF_INET6;
	snprintf(label, sizeof(label), "%s connect family of IPv6", kind);
	TRY(label, connect(fd, (struct sockaddr *)&odd, sizeof(odd)));
}

static void sends(const char *kind, int fd)
{
	struct iovec iov[3] = {{"ab", 2}, {NULL, 0}, {"cd", 2}}, bad[2] = {{"ab", 2}, {wild, 10}};
	struct iovec wrong[1] = {{"ab", (size_t)-1}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
	struct mmsghdr many[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
	char label[96], control[CMSG_SPACE(sizeof(int))] = {0};
	struct cmsghdr *c = (struct cmsghdr *)control;
	static struct iovec lots[1100];
	off_t offset = 0;

#define KIND(call)                                                                                 \
	do {                                                                                       \
		snprintf(label, sizeof(label), "%s " #call, kind);                                 \
		TRY(label, call);                                                                  \
	} while (0)
	KIND(send(fd, NULL, 0, 0));
	KIND(send(fd, wild, 5, 0));
	KIND(send(fd, NULL, 5, 0));
	KIND(send(fd, "x", 1, 0x40000000));
	KIND(write(fd, wild, 5));
	KIND(write(fd, NULL, 0));
	KIND(write(fd, NULL, 1));
	KIND(writev(fd, iov, 3));
	KIND(writev(fd, iov, 0));
	KIND(writev(fd, iov, -1));
	KIND(writev(fd, iov, 5000));
	KIND(writev(fd, bad, 2));
	KIND(writev(fd, (struct iovec *)wild, 2));
	KIND(writev(fd, NULL, 2));
	KIND(writev(fd, wrong, 1));
	for (size_t i = 0; i < 1100; i++)
		lots[i] = (struct iovec){"x", 1};
	KIND(writev(fd, lots, 1024));
	KIND(writev(fd, lots, 1025));
	KIND(pwritev2(fd, iov, 3, -1, 0));
	KIND(pwritev2(fd, iov, 3, 5, 0));
	KIND(pwritev2(fd, iov, 3, -1, 0x4000));
	KIND(sendto(fd, "x", 1, 0, NULL, 0));
	KIND(sendto(fd, "x", 1, 0, NULL, 16));
	KIND(sendto(fd, "x", 1, 0, (struct sockaddr *)wild, 16));
	KIND(sendto(fd, "x", 1, 0, (struct sockaddr *)&self, 3));
	KIND(sendto(fd, "x", 1, 0, (struct sockaddr *)&self, 200));
	KIND(sendto(fd, "x", 1, 0, (struct sockaddr *)&self, (socklen_t)-1));
	KIND(sendmsg(fd, &msg, 0));
	KIND(sendmsg(fd, NULL, 0));
	KIND(sendmsg(fd, (struct msghdr *)wild, 0));
	KIND(sendmsg(fd, (struct msghdr *)(last_byte - 7), 0));
	msg.msg_iov = (struct iovec *)wild;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_iov = (struct iovec *)(last_byte + 1 - sizeof(struct iovec));
	*msg.msg_iov = iov[0];
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_iov = bad;
	msg.msg_iovlen = 2;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_iov = lots;
	msg.msg_iovlen = 1025;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_iovlen = 0;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_iov = iov;
	msg.msg_iovlen = 3;
	msg.msg_control = wild;
	msg.msg_controllen = 64;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_control = last_byte - 8;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	c->cmsg_level = 4242;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	KIND(sendmsg(fd, &msg, 0));
	c->cmsg_len = 3;
	KIND(sendmsg(fd, &msg, 0));
	c->cmsg_len = 4000;
	KIND(sendmsg(fd, &msg, 0));
	msg.msg_controllen = (size_t)-1;
	KIND(sendmsg(fd, &msg, 0));
	KIND(sendmmsg(fd, many, 2, 0));
	KIND(sendmmsg(fd, many, 0, 0));
	KIND(sendmmsg(fd, NULL, 2, 0));
	KIND(sendmmsg(fd, (struct mmsghdr *)wild, 2, 0));
	KIND(sendfile(fd, -1, NULL, 5));
	KIND(sendfile(fd, pipe_in, &offset, 5));
	KIND(splice(-1, NULL, fd, NULL, 5, 0));
	KIND(splice(file, NULL, fd, NULL, 5, 0));
}

static void receives(const char *kind, int fd)
{
	char buf[64], label[96];
	struct iovec iov[2] = {{buf, 4}, {buf + 8, 4}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	struct mmsghdr many[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	KIND(recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	KIND(recv(fd, wild, 10, MSG_DONTWAIT));
	KIND(recv(fd, NULL, 0, MSG_DONTWAIT));
	KIND(recv(fd, buf, 5, MSG_DONTWAIT | MSG_PEEK));
	KIND(recv(fd, buf, 5, MSG_DONTWAIT | MSG_ERRQUEUE));
	KIND(recv(fd, buf, 5, MSG_DONTWAIT | MSG_OOB));
	KIND(recv(fd, buf, 5, MSG_DONTWAIT | MSG_TRUNC));
	KIND(recvfrom(fd, buf, 5, MSG_DONTWAIT, (struct sockaddr *)&from, &len));
	KIND(recvfrom(fd, buf, 5, MSG_DONTWAIT, (struct sockaddr *)wild, &len));
	KIND(recvfrom(fd, buf, 5, MSG_DONTWAIT, (struct sockaddr *)&from, (socklen_t *)wild));
	KIND(recvmsg(fd, &msg, MSG_DONTWAIT));
	KIND(recvmsg(fd, NULL, MSG_DONTWAIT));
	KIND(recvmsg(fd, (struct msghdr *)wild, MSG_DONTWAIT));
	KIND(recvmmsg(fd, many, 2, MSG_DONTWAIT, NULL));
	KIND(recvmmsg(fd, NULL, 2, MSG_DONTWAIT, NULL));
	KIND(recvmmsg(fd, many, 0, MSG_DONTWAIT, NULL));
	if (fcntl(fd, F_GETFL) & O_NONBLOCK) {
		KIND(read(fd, buf, 5));
		KIND(read(fd, wild, 5));
		KIND(readv(fd, iov, 2));
		KIND(readv(fd, iov, -1));
		KIND(readv(fd, (struct iovec *)wild, 2));
		KIND(preadv2(fd, iov, 2, -1, 0));
	}
	KIND(pread(fd, buf, 5, 0));
}

static void options(const char *kind, int fd)
{
	char buf[256], label[96];
	int value = 1;
	socklen_t len;

	KIND(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	KIND(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 0));
	KIND(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof(value)));
	KIND(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, wild, sizeof(value)));
	KIND(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof(value)));
	KIND(setsockopt(fd, 9999, 1, &value, sizeof(value)));
	KIND(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
	KIND(setsockopt(fd, IPPROTO_TCP, TCP_ULP, NULL, 3));
	KIND(setsockopt(fd, IPPROTO_TCP, TCP_ULP, "zzz", 3));
	KIND(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0));
	KIND(setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)));
	for (socklen_t want = 0; want <= 16; want += 4) {
		len = want;
		snprintf(label, sizeof(label), "%s SO_TYPE length %d", kind, (int)want);
		TRY(label, getsockopt(fd, SOL_SOCKET, SO_TYPE, buf, &len));
		printf("    length %d\n", (int)len);
		len = want;
		snprintf(label, sizeof(label), "%s SO_ERROR length %d", kind, (int)want);
		TRY(label, getsockopt(fd, SOL_SOCKET, SO_ERROR, buf, &len));
		printf("    length %d\n", (int)len);
	}
	len = sizeof(buf);
	KIND(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, buf, &len));
	KIND(getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, &len));
	KIND(getsockopt(fd, SOL_SOCKET, SO_TYPE, buf, NULL));
	KIND(getsockopt(fd, SOL_SOCKET, SO_TYPE, wild, &len));
	len = (socklen_t)-1;
	KIND(getsockopt(fd, SOL_SOCKET, SO_TYPE, buf, &len));
	KIND(shutdown(fd, 77));
}

static void descriptors(const char *kind, int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getpid()};
	char label[96];
	int copy;

	KIND(fcntl(fd, F_GETFD));
	KIND(fcntl(fd, F_SETFD, FD_CLOEXEC));
	KIND(fcntl(fd, F_GETFL));
	KIND(fcntl(fd, F_SETLK, &lock));
	KIND(fcntl(fd, F_SETLK, NULL));
	KIND(fcntl(fd, F_GETLK, &lock));
	KIND(fcntl(fd, F_SETOWN, getpid()) * 0);
	KIND(fcntl(fd, F_SETOWN_EX, &owner));
	owner.type = 0;
	KIND(fcntl(fd, F_GETOWN_EX, &owner));
	printf("    owner %s\n", owner.pid == getpid() ? "right" : "wrong");
	KIND(fcntl(fd, F_GETOWN_EX, wild));
	KIND(fcntl(fd, F_GETPIPE_SZ) > 0);
	KIND(fcntl(fd, F_DUPFD, -1));
	KIND(fcntl(fd, F_DUPFD, 1 << 30));
	KIND(fcntl(fd, 4242, wild));
	errno = SET;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 200L);
	say("copy", copy);
	if (copy >= 0)
		KIND(close(copy));
	KIND(dup2(fd, -1));
	KIND(dup2(fd, 1 << 30));
	KIND(dup2(fd, fd) - fd);
	KIND(dup3(fd, fd, 0));
	KIND(dup3(fd, 210, 0x1234));
	KIND(dup3(fd, 210, O_CLOEXEC));
	KIND(close(210));
	KIND(close(210));
	KIND(listen(fd, -5));
	KIND(accept(fd, (struct sockaddr *)wild, (socklen_t *)wild));
	KIND(accept4(fd, NULL, NULL, 0x1234));
}

static int nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

/* What comes back is what was sent, of which nothing was seen by anybody else */
static void truncation(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	char buf[4];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	bind(in, (struct sockaddr *)&addr, sizeof(addr));
	getsockname(in, (struct sockaddr *)&addr, &len);
	for (int i = 0; i < 5; i++)
		SAME(sendto(out, "ten bytes.", 10, 0, (struct sockaddr *)&addr, sizeof(addr)));
	SAME(recv(in, buf, sizeof(buf), MSG_PEEK));
	SAME(recv(in, buf, sizeof(buf), MSG_TRUNC));
	SAME(recv(in, buf, sizeof(buf), 0));
	SAME(recvmsg(in, &msg, 0));
	printf("    flags %x\n", msg.msg_flags);
	SAME(recvmsg(in, &msg, MSG_TRUNC));
	SAME(read(in, buf, sizeof(buf)));
	SAME(sendto(out, NULL, 0, 0, (struct sockaddr *)&addr, sizeof(addr)));
	SAME(recv(in, buf, sizeof(buf), MSG_DONTWAIT));
	SAME(connect(out, (struct sockaddr *)&addr, sizeof(addr)));
	SAME(write(out, "", 0));
	SAME(recv(in, buf, sizeof(buf), MSG_DONTWAIT));
	SAME(writev(out, &(struct iovec){"", 0}, 1));
	SAME(recv(in, buf, sizeof(buf), MSG_DONTWAIT));
	SAME(send(out, "x", 1, MSG_MORE));
	SAME(send(out, "y", 1, 0));
	SAME(recv(in, buf, sizeof(buf), MSG_DONTWAIT));
	SAME(send(out, last_byte - 65000 + 65000 - 3, 4, 0));
	close(in);
	close(out);
}

static void *swallow(void *arg)
{
	static char buf[65536];
	long *total = arg;
	int fd = accept(listener, NULL, NULL);
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), 0)) > 0)
		*total += got;
	close(fd);
	return NULL;
}

/* A blocking write of a megabyte returns when all of it is taken (hooks.md 4, 35). */
static void long_write(void)
{
	const size_t size = 1 << 20;
	char *data = calloc(1, size);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	long total = 0;
	pthread_t id;

	pthread_create(&id, NULL, swallow, &total);
	SAME(connect(fd, (struct sockaddr *)&self, sizeof(self)));
	SAME(write(fd, data, size));
	SAME(send(fd, data, size, 0));
	{
		struct iovec iov[3] = {{data, size / 2}, {data, size / 4}, {data, size / 4}};
		SAME(writev(fd, iov, 3));
	}
	close(fd);
	pthread_join(id, NULL);
	printf("    received %ld\n", total);
	free(data);
}

static void connecting(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = -1, peer;
	struct sockaddr_in nobody = self;
	struct pollfd poll_fd = {.events = POLLOUT};
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(error);

	SAME(connect(fd, (struct sockaddr *)&self, sizeof(self)));
	poll_fd.fd = fd;
	SAME(poll(&poll_fd, 1, 2000));
	SAME(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("    error %d\n", error);
	SAME(connect(fd, (struct sockaddr *)&self, sizeof(self)));
	SAME(connect(fd, (struct sockaddr *)&self, sizeof(self)));
	errno = SET;
	peer = accept(listener, NULL, NULL);
	say("accept(NULL, NULL)", peer >= 0 ? 0 : -1);
	SAME(listen(fd, 1));
	SAME(connect(fd, &unspec, sizeof(unspec)));
	SAME(send(fd, "x", 1, MSG_NOSIGNAL));
	SAME(connect(fd, &unspec, sizeof(unspec)));
	close(fd);
	close(peer);

	/* Nobody listens there. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	nobody.sin_port = htons(1);
	SAME(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
	SAME(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
	SAME(send(fd, "x", 1, MSG_NOSIGNAL));
	SAME(recv(fd, &error, 1, 0));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SAME(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) * 0);
	poll_fd.fd = fd;
	SAME(poll(&poll_fd, 1, 2000));
	len = sizeof(error);
	SAME(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("    error %s\n", strerrorname_np(error));
	SAME(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("    error %d\n", error);
	close(fd);
	/* Closed at the other end: EPIPE, and a signal only where it is due. */
	signal(SIGPIPE, SIG_IGN);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	SAME(connect(fd, (struct sockaddr *)&self, sizeof(self)));
	peer = accept(listener, NULL, NULL);
	SAME(shutdown(fd, SHUT_WR));
	SAME(write(fd, "x", 1));
	SAME(send(peer, "back", 4, 0));
	SAME(recv(fd, &error, 4, MSG_WAITALL));
	close(fd);
	close(peer);
}

int main(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	socklen_t len = sizeof(self);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int ends[2], pair[2];

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	mprotect(pages + 4096, 4096, PROT_NONE);
	last_byte = pages + 4095;
	wild = pages + 4096;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	self = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(listener, (struct sockaddr *)&self, sizeof(self));
	getsockname(listener, (struct sockaddr *)&self, &len);
	if (listen(listener, 20) < 0) {
		perror("listen");
		return 1;
	}
	pipe(ends);
	pipe_in = ends[0];
	pipe_out = ends[1];
	file = open("/dev/null", O_RDWR);
	closed = 250;

#define EACH(what)                                                                                 \
	tcp = nonblocking(socket(AF_INET, SOCK_STREAM, 0));                                        \
	udp = nonblocking(socket(AF_INET, SOCK_DGRAM, 0));                                         \
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);                                                 \
	unix_stream = nonblocking(pair[0]);                                                        \
	what("stream", tcp);                                                                       \
	what("datagram", udp);                                                                     \
	what("unix", unix_stream);                                                                 \
	what("closed", closed);                                                                    \
	what("negative", -1);                                                                      \
	what("pipe", pipe_out);                                                                    \
	close(tcp);                                                                                \
	close(udp);                                                                                \
	close(unix_stream);                                                                        \
	close(pair[1])
	EACH(connects);
	EACH(sends);
	EACH(receives);
	EACH(options);
	EACH(descriptors);

	SAME(socket(99, SOCK_STREAM, 0));
	SAME(socket(-1, SOCK_STREAM, 0));
	SAME(socket(AF_INET, 0, 0));
	SAME(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
	SAME(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SAME(socketpair(AF_INET, SOCK_STREAM, 0, pair));
	SAME(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
	SAME(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)wild));
	SAME(close(-1));
	SAME(close(closed));
	SAME(close_range(300, 200, 0));
	SAME(close_range(300, 400, 0x40));
	SAME(close_range(300, 400, 0));
	SAME(dup(-1));
	/* Every accept has left what it did not take; drop them. */
	nonblocking(listener);
	for (int i = 0; i < 20; i++)
		close(accept(listener, NULL, NULL));
	fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK);
	truncation();
	connecting();
	long_write();
	return 0;
}
