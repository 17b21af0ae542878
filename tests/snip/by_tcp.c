/* build: -ldl -lpthread */
/* SPDX-License-Identifier: MIT */
/*
 * Ways for a program to reach a TCP listener (hooks.md 1.1), each with "hello" as its first bytes.
 *
 *	by_tcp ways			their names, one a line
 *	by_tcp ADDRESS PORT DIR WAY	DIR: where the snippets are
 *
 * Says "WAY: connected" or "WAY: ERRNO". A way that this kernel or libc lacks says "WAY: absent".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
extern int __connect(int, const struct sockaddr *, socklen_t);
typedef int connect_fn(int, const struct sockaddr *, socklen_t);

static struct sockaddr_in peer = {.sin_family = AF_INET};
#define PEER ((struct sockaddr *)&peer), sizeof(peer)
static const char *self, *directory;
static char **args;

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

/* 0 when the connection stands and its first bytes went out */
static int done(int fd, int ret)
{
	return ret < 0 ? -1 : write(fd, "hello", 5) == 5 ? 0 : -1;
}

static int by(connect_fn *call)
{
	int fd = tcp();

	if (!call) {
		errno = ENOSYS;
		return -1;
	}
	return done(fd, call(fd, PEER));
}

static int w_connect(void) { return by(connect); }
static int w___connect(void) { return by(__connect); }
static int w_dlsym_default(void) { return by((connect_fn *)dlsym(RTLD_DEFAULT, "connect")); }
static int w_dlsym_alias(void) { return by((connect_fn *)dlsym(RTLD_DEFAULT, "__connect")); }
static int w_dlsym_handle(void) { return by((connect_fn *)dlsym(dlopen("libc.so.6", RTLD_NOW), "connect")); }
static int w_dlsym_main(void) { return by((connect_fn *)dlsym(dlopen(NULL, RTLD_NOW), "connect")); }
static int w_dlsym_next(void) { return by((connect_fn *)dlsym(RTLD_NEXT, "connect")); }
static int w_dlvsym_default(void) { return by((connect_fn *)dlvsym(RTLD_DEFAULT, "connect", "GLIBC_2.2.5")); }
static int w_dlvsym_next(void) { return by((connect_fn *)dlvsym(RTLD_NEXT, "connect", "GLIBC_2.2.5")); }

static int w_deepbind(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/dl_plugin", directory);
	return by((connect_fn *)dlsym(dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND), "plugin_connect"));
}

/* A second libc has an errno of its own. */
static int w_dlmopen(void)
{
	void *handle = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	int ret = handle ? by((connect_fn *)dlsym(handle, "connect")) : -1;

	if (ret < 0)
		errno = EACCES;
	return ret;
}

static int w_syscall(void)
{
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return done(fd, (int)syscall(SYS_connect, fd, PEER));
}

static int w_syscall_high_bits(void)
{
	int fd = tcp();

	return done(fd, (int)syscall(SYS_connect | 1L << 32, fd, PEER));
}

#ifdef __x86_64__
static int w_syscall_x32(void)
{
	int fd = tcp();

	return done(fd, (int)syscall(SYS_connect | 0x40000000, fd, PEER));
}
#endif

/* The ways to send with MSG_FASTOPEN connect by themselves. */
static int w_fastopen_sendto(void)
{
	return sendto(tcp(), "hello", 5, MSG_FASTOPEN, PEER) < 0 ? -1 : 0;
}

static struct msghdr message(struct iovec *iov)
{
	*iov = (struct iovec){.iov_base = "hello", .iov_len = 5};
	return (struct msghdr){.msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = iov, .msg_iovlen = 1};
}

static int w_fastopen_sendmsg(void)
{
	struct iovec iov;
	struct msghdr msg = message(&iov);

	return sendmsg(tcp(), &msg, MSG_FASTOPEN) < 0 ? -1 : 0;
}

static int w_fastopen_sendmmsg(void)
{
	struct iovec iov;
	struct mmsghdr msg = {.msg_hdr = message(&iov)};

	return sendmmsg(tcp(), &msg, 1, MSG_FASTOPEN) < 0 ? -1 : 0;
}

static int w_fastopen_syscall(void)
{
	return syscall(SYS_sendto, tcp(), "hello", 5, MSG_FASTOPEN, PEER) < 0 ? -1 : 0;
}

/* Kernel 4.11: connect() only notes the address, the first write() connects. */
static int w_fastopen_connect(void)
{
	int fd = tcp(), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	return done(fd, connect(fd, PEER));
}

static int w_v4mapped(void)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = peer.sin_port};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	to.sin6_addr.s6_addr[10] = to.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&to.sin6_addr.s6_addr[12], &peer.sin_addr, 4);
	return done(fd, connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

/* RFC 2133 addresses end before the scope id, and the kernel takes them. */
static int w_v4mapped_short(void)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = peer.sin_port};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	to.sin6_addr.s6_addr[10] = to.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&to.sin6_addr.s6_addr[12], &peer.sin_addr, 4);
	return done(fd, connect(fd, (struct sockaddr *)&to, 24));
}

static int w_long_address(void)
{
	union {
		struct sockaddr_storage storage;
		struct sockaddr_in in;
	} to = {.in = peer};
	int fd = tcp();

	return done(fd, connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int w_mptcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 262);

	return fd < 0 ? -1 : done(fd, connect(fd, PEER));
}

static int w_bound(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	int fd = tcp();

	bind(fd, (struct sockaddr *)&own, sizeof(own));
	return done(fd, connect(fd, PEER));
}

static int w_nonblocking(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	if (connect(fd, PEER) < 0 && errno != EINPROGRESS)
		return -1;
	poll(&poll_fd, 1, 3000);
	return done(fd, 0);
}

static int w_dup(void)
{
	int fd = dup(tcp());

	return done(fd, connect(fd, PEER));
}

static int w_dup_high(void)
{
	struct rlimit limit = {70000, 70000};
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		errno = ENOSYS;
		return -1;
	}
	fd = fcntl(tcp(), F_DUPFD, 66000);
	return done(fd, connect(fd, PEER));
}

static int w_standard_input(void)
{
	close(0);
	return done(0, tcp() == 0 ? connect(0, PEER) : -1);
}

/* A name that is admitted has taken the socket's number before. */
static int w_after_disconnect(void)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct sockaddr_in first = {.sin_family = AF_INET, .sin_port = htons(9000)};
	int fd = tcp();

	inet_pton(AF_INET, getenv("LAB_PEER_ADDR"), &first.sin_addr);
	if (connect(fd, (struct sockaddr *)&first, sizeof(first)) < 0 || write(fd, "first", 5) != 5)
		return -1;
	if (connect(fd, &nobody, sizeof(nobody)) < 0)
		return -1;
	return done(fd, connect(fd, PEER));
}

static int w_number_reused(void)
{
	struct sockaddr_in first = {.sin_family = AF_INET, .sin_port = htons(9000)};
	int fd = tcp();
	FILE *file;

	inet_pton(AF_INET, getenv("LAB_PEER_ADDR"), &first.sin_addr);
	if (connect(fd, (struct sockaddr *)&first, sizeof(first)) < 0)
		return -1;
	file = fdopen(fd, "w");
	fclose(file);			/* closes inside libc */
	fd = tcp();
	return done(fd, connect(fd, PEER));
}

static void *thread(void *arg)
{
	*(int *)arg = w_connect() < 0 ? errno : 0;
	return NULL;
}

static int w_thread(void)
{
	pthread_t id;
	int error;

	pthread_create(&id, NULL, thread, &error);
	pthread_join(id, NULL);
	errno = error;
	return error ? -1 : 0;
}

/* Another thread changes the address while it is judged. */
static volatile int racing;
static struct sockaddr_in shared_address;

static void *flip(void *arg)
{
	struct in_addr good, bad = peer.sin_addr;

	inet_pton(AF_INET, getenv("LAB_PEER_ADDR"), &good);
	while (racing) {
		*(volatile unsigned int *)&shared_address.sin_addr.s_addr = good.s_addr;
		*(volatile unsigned int *)&shared_address.sin_addr.s_addr = bad.s_addr;
	}
	return NULL;
}

static int w_flipped_address(void)
{
	struct sockaddr_in there;
	socklen_t len;
	pthread_t id;
	int ret = -1;

	shared_address = peer;
	racing = 1;
	pthread_create(&id, NULL, flip, NULL);
	for (int i = 0; i < 400 && ret < 0; i++) {
		int fd = tcp();

		len = sizeof(there);
		if (connect(fd, (struct sockaddr *)&shared_address, sizeof(shared_address)) == 0 &&
		    getpeername(fd, (struct sockaddr *)&there, &len) == 0 &&
		    there.sin_addr.s_addr == peer.sin_addr.s_addr)
			ret = done(fd, 0);
		close(fd);
	}
	racing = 0;
	pthread_join(id, NULL);
	if (ret < 0)
		errno = EACCES;
	return ret;
}

/* Children say it themselves: their exit status is the errno. */
static int status_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static int child_ends(void)
{
	_exit(w_connect() < 0 ? errno : 0);
}

static int w_fork(void)
{
	pid_t pid = fork();

	return pid == 0 ? child_ends() : status_of(pid);
}

static int w__fork(void)
{
	pid_t pid = _Fork();

	return pid == 0 ? child_ends() : status_of(pid);
}

static int w_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_ends();
	return status_of(pid);
}

static int w_syscall_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	return pid == 0 ? child_ends() : status_of(pid);
}

static int cloned(void *arg)
{
	_exit(w_connect() < 0 ? errno : 0);
}

static int w_clone_vm(void)
{
	char *stack = mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return status_of(clone(cloned, stack + (256 << 10), CLONE_VM | SIGCHLD, NULL));
}

/* "by_tcp … connect", as the forms of exec take it; a program's words go nowhere */
static char *again[8];

static char **child_args(void)
{
	again[0] = (char *)self;
	again[1] = args[1];
	again[2] = args[2];
	again[3] = args[3];
	again[4] = "child";
	return again;
}

static int w_child(void)
{
	int ret = w_connect() < 0 ? errno : 0;

	_exit(ret);
}

static int w_execve_empty(void)
{
	char *none[] = {NULL};
	pid_t pid = fork();

	if (pid == 0) {
		execve(self, child_args(), none);
		_exit(127);
	}
	return status_of(pid);
}

static int w_execve_null(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execve(self, child_args(), NULL);
		_exit(127);
	}
	return status_of(pid);
}

static int w_syscall_execve(void)
{
	char *none[] = {NULL};
	pid_t pid = fork();

	if (pid == 0) {
		syscall(SYS_execve, self, child_args(), none);
		_exit(127);
	}
	return status_of(pid);
}

static int w_vfork_exec(void)
{
	char *none[] = {NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execve(self, child_args(), none);
		_exit(127);
	}
	return status_of(pid);
}

static int w_clearenv_execv(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		clearenv();
		execv(self, child_args());
		_exit(127);
	}
	return status_of(pid);
}

static int w_posix_spawn(void)
{
	char *none[] = {NULL};
	pid_t pid;
	int error = posix_spawn(&pid, self, NULL, NULL, child_args(), none);

	if (error) {
		errno = error;
		return -1;
	}
	return status_of(pid);
}

static int command(char *text, size_t size)
{
	return snprintf(text, size, "env -i %s %s %s %s child", self, args[1], args[2], args[3]);
}

static int w_system(void)
{
	char text[8192];
	int status;

	command(text, sizeof(text));
	unsetenv("LD_PRELOAD");
	status = system(text);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int w_popen(void)
{
	char text[8192];
	int status;

	command(text, sizeof(text));
	unsetenv("LD_PRELOAD");
	status = pclose(popen(text, "r"));
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* Calls that connect inside libc: clnttcp_create() and rexec() are of the kind. */
static int w_rexec(void)
{
	int (*call)(char **, int, const char *, const char *, const char *, int *) =
		dlsym(RTLD_DEFAULT, "rexec");
	char *host = args[1];
	int fd;

	if (!call) {
		errno = ENOSYS;
		return -1;
	}
	errno = 0;
	fd = call(&host, peer.sin_port, "nobody", "secret", "true", NULL);
	if (fd < 0 && !errno)
		errno = EIO;
	return fd < 0 ? -1 : 0;
}

static int w_clnttcp_create(void)
{
	void *(*call)(struct sockaddr_in *, unsigned long, unsigned long, int *, unsigned int,
		      unsigned int) = dlvsym(RTLD_DEFAULT, "clnttcp_create", "GLIBC_2.2.5");
	struct sockaddr_in to = peer;
	int fd = -1;

	if (!call) {
		errno = ENOSYS;
		return -1;
	}
	if (!call(&to, 100000, 2, &fd, 0, 0)) {
		errno = errno ? errno : EIO;
		return -1;
	}
	return done(fd, 0);
}

/* A ring: connect() is an operation on it. */
static int ring_connect(long (*call)(long, ...), int *ret_fd)
{
	struct io_uring_params params = {0};
	int fd = tcp(), ring = (int)call(SYS_io_uring_setup, 4, &params);
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int *tail, *array, *head_ring, *cq_tail;
	char *sq, *cq;

	if (ring < 0)
		return -1;
	sq = mmap(NULL, params.sq_off.array + 4 * sizeof(unsigned int), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	tail = (unsigned int *)(sq + params.sq_off.tail);
	array = (unsigned int *)(sq + params.sq_off.array);
	cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	memset(sqes, 0, sizeof(*sqes));
	sqes->opcode = IORING_OP_CONNECT;
	sqes->fd = fd;
	sqes->addr = (unsigned long)&peer;
	sqes->off = sizeof(peer);
	array[*tail & (params.sq_entries - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (call(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	if (cqes->res < 0) {
		errno = -cqes->res;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static int w_ring(void)
{
	int fd, ret = ring_connect(syscall, &fd);

	return done(fd, ret);
}

/* ---- the exceptions of hooks.md 1.1: what no preload can see */
#ifdef __x86_64__
static long inline_call(long nr, ...)
{
	long ret, a, b, c, d, e, f;
	va_list list;

	va_start(list, nr);
	a = va_arg(list, long);
	b = va_arg(list, long);
	c = va_arg(list, long);
	d = va_arg(list, long);
	e = va_arg(list, long);
	f = va_arg(list, long);
	va_end(list);
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}
#else
static long inline_call(long nr, ...)
{
	long a[6];
	va_list list;

	va_start(list, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a[0];
	register long x1 __asm__("x1") = a[1];
	register long x2 __asm__("x2") = a[2];
	register long x3 __asm__("x3") = a[3];
	register long x4 __asm__("x4") = a[4];
	register long x5 __asm__("x5") = a[5];
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	if (x0 < 0) {
		errno = (int)-x0;
		return -1;
	}
	return x0;
}
#endif

static int x_instruction(void)
{
	int fd = tcp();

	if (inline_call(SYS_connect, (long)fd, PEER) < 0)
		return -1;
	return inline_call(SYS_write, (long)fd, "hello", 5L) == 5 ? 0 : -1;
}

static int x_ring_by_instruction(void)
{
	int fd;

	if (ring_connect(inline_call, &fd) < 0)
		return -1;
	return inline_call(SYS_write, (long)fd, "hello", 5L) == 5 ? 0 : -1;
}

/* ---- signals: connect() in a handler while the thread is in a call of ours */
static int handler_errno;

static void handler(int number)
{
	handler_errno = w_connect() < 0 ? errno : 0;
}

static void arm(void)
{
	struct sigaction action = {.sa_handler = handler};
	struct itimerspec when = {.it_value.tv_nsec = 200000000};
	timer_t timer;

	sigaction(SIGALRM, &action, NULL);
	handler_errno = ENOSYS;
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &when, NULL);
}

static int handled(void)
{
	errno = handler_errno;
	return handler_errno ? -1 : 0;
}

static int w_handler_in_recv(void)
{
	struct sockaddr_in first = {.sin_family = AF_INET, .sin_port = htons(9000)};
	int fd = tcp();
	char byte;

	inet_pton(AF_INET, getenv("LAB_PEER_ADDR"), &first.sin_addr);
	if (connect(fd, (struct sockaddr *)&first, sizeof(first)) < 0)
		return -1;
	arm();
	recv(fd, &byte, 1, 0);
	return handled();
}

static int w_handler_in_connect(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	int fd = tcp();

	/* A host that never answers */
	if (getaddrinfo("blackhole.example.com", "443", &hints, &list) != 0)
		return -1;
	arm();
	connect(fd, list->ai_addr, list->ai_addrlen);
	return handled();
}

static int w_handler_in_getaddrinfo(void)
{
	struct addrinfo *list;

	arm();
	getaddrinfo("slow.example.com", NULL, NULL, &list);
	return handled();
}

#define WAY(name) {#name, w_##name}
static const struct {
	const char *name;
	int (*run)(void);
} ways[] = {
	WAY(connect), WAY(__connect), WAY(dlsym_default), WAY(dlsym_alias), WAY(dlsym_handle),
	WAY(dlsym_main), WAY(dlsym_next), WAY(dlvsym_default), WAY(dlvsym_next), WAY(deepbind),
	WAY(dlmopen), WAY(syscall), WAY(syscall_high_bits), WAY(fastopen_sendto),
	WAY(fastopen_sendmsg), WAY(fastopen_sendmmsg), WAY(fastopen_syscall), WAY(fastopen_connect),
	WAY(v4mapped), WAY(v4mapped_short), WAY(long_address), WAY(mptcp), WAY(bound), WAY(nonblocking),
	WAY(dup), WAY(dup_high), WAY(standard_input), WAY(after_disconnect), WAY(number_reused),
	WAY(thread), WAY(flipped_address), WAY(fork), WAY(_fork), WAY(vfork), WAY(syscall_fork),
	WAY(clone_vm), WAY(execve_empty), WAY(execve_null), WAY(syscall_execve), WAY(vfork_exec),
	WAY(clearenv_execv), WAY(posix_spawn), WAY(system), WAY(popen), WAY(rexec),
	WAY(clnttcp_create), WAY(ring), WAY(handler_in_recv), WAY(handler_in_connect),
	WAY(handler_in_getaddrinfo),
}, others[] = {
#ifdef __x86_64__
	{"syscall_x32", w_syscall_x32},
#endif
	{"child", w_child}, {"instruction", x_instruction},
	{"ring_by_instruction", x_ring_by_instruction},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int run(const char *name, int (*way)(void))
{
	int ret, error;

	errno = 0;
	ret = way();
	error = errno;
	if (ret == 0)
		printf("%s: connected\n", name);
	else if (error == ENOSYS || error == EPROTONOSUPPORT)
		printf("%s: absent\n", name);
	else
		printf("%s: %s\n", name, strerrorname_np(error));
	return 0;
}

int main(int argc, char **argv)
{
	static char path[4096];

	if (argc == 2) {
		for (size_t i = 0; i < COUNT(ways); i++)
			puts(ways[i].name);
		return 0;
	}
	if (argc != 5)
		return 2;
	args = argv;
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return 2;
	self = path;
	directory = argv[3];
	peer.sin_port = htons((unsigned short)atoi(argv[2]));
	if (inet_pton(AF_INET, argv[1], &peer.sin_addr) != 1)
		return 2;
	for (size_t i = 0; i < COUNT(ways); i++)
		if (strcmp(argv[4], ways[i].name) == 0)
			return run(argv[4], ways[i].run);
	for (size_t i = 0; i < COUNT(others); i++)
		if (strcmp(argv[4], others[i].name) == 0)
			return run(argv[4], others[i].run);
	return 2;
}
