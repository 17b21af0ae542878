/* SPDX-License-Identifier: MIT */
/*
 * The engine: what is this connection, may it, and what happens to its first bytes.
 *
 * Second layer of a hook (hooks.md 3.1): hooks unpack arguments and call these; these ask the
 * policy and reach libc through LEASH_REAL(). All answer a result or a negative errno,
 * are async-signal-safe unless said otherwise, take no lock, allocate nothing.
 *
 * States of a connection (struct leash_conn in registry.h has the data):
 *
 * FREE		Slot unused.
 * CLAIMED	Being filled in by one thread; nobody else looks inside.
 * SNIFFING	Connected, or connecting, under a verdict that depends on the first bytes: each
 *		call out is copied, looked at, and only then sent.
 * FLIGHT	A ClientHello has left, and nobody in this process has said yet that the handshake
 *		is its own: what the server says is read along, and the client's second
 *		flight leaves only after the verdict (flight.c). Also a handshake that was
 *		refused, while the library's alert is still to leave.
 * OPEN		Judged. Nothing is looked at any more, bytes are counted. (With conn->plain: http on the LAN,
 *		which conn/plain reads.)
 * DATAGRAM	A UDP socket: each destination is judged, the last verdict is kept.
 * DNS		Talks to a configured name server: each question is judged, answers are
 *		learnt. UDP or TCP.
 * DENIED	Every call answers conn->error until the cookie is gone.
 * LOOKUP	No connection, but a name that a thread looks up: timed like one.
 * EXPIRED	Took too long: every call answers ETIMEDOUT. Only the end of its numbers, or a new
 *		connect() where none was completed, leads out of this one and the next.
 * INTERRUPTED	Was pending when the grace of the background was over: ECONNABORTED.
 */
#ifndef LEASH_CONN_H
#define LEASH_CONN_H

#include <netdb.h>
#include <resolv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ------------------------------------------------- creation and naming (conn.c, socket.c) */
int leash_conn_socket(int domain, int type, int protocol);
int leash_conn_socketpair(int domain, int type, int protocol, int fds[2]);
int leash_conn_connect(int fd, const struct sockaddr *addr, socklen_t len);
int leash_conn_bind(int fd, const struct sockaddr *addr, socklen_t len);
int leash_conn_listen(int fd, int backlog);
int leash_conn_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags, bool plain);
int leash_conn_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int leash_conn_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int leash_conn_shutdown(int fd, int how);
int leash_conn_bindresvport(int fd, struct sockaddr_in *addr);
int leash_conn_rresvport(int *port, int family);	/* 0: rresvport() itself */
/* A libc function that would connect or listen inside libc: refused, with its line */
int leash_conn_refuse_call(const char *call);

/* ------------------------------------------------------------------------- bytes (io_out.c, io_in.c) */
/* The flag byte of @fd is not 0 when these are called; hooks test that first. */
ssize_t leash_conn_send(int fd, const void *buf, size_t len, int flags);
ssize_t leash_conn_sendto(int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *addr, socklen_t addr_len);
ssize_t leash_conn_sendmsg(int fd, const struct msghdr *msg, int flags);
int leash_conn_sendmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags);
ssize_t leash_conn_write(int fd, const void *buf, size_t len);
ssize_t leash_conn_writev(int fd, const struct iovec *iov, int count);
ssize_t leash_conn_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
/* Bytes that nobody can see: 0 if they may go, -EINVAL until the connection is judged */
int leash_conn_unseen(int fd, const char *call);
ssize_t leash_conn_sendfile(int out_fd, int in_fd, off_t *offset, size_t len);
ssize_t leash_conn_splice(int in_fd, off_t *in_offset, int out_fd, off_t *out_offset, size_t len,
			  unsigned int flags);
ssize_t leash_conn_read(int fd, void *buf, size_t len);
ssize_t leash_conn_readv(int fd, const struct iovec *iov, int count);
ssize_t leash_conn_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t leash_conn_recv(int fd, void *buf, size_t len, int flags);
ssize_t leash_conn_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
			    socklen_t *addr_len);
ssize_t leash_conn_recvmsg(int fd, struct msghdr *msg, int flags);
int leash_conn_recvmmsg(int fd, struct mmsghdr *vec, unsigned int count, int flags,
			struct timespec *timeout);
int leash_conn_pidfd_getfd(int pidfd, int fd, unsigned int flags);

/* -------------------------------------------------------------------- descriptors (fd.c) */
int leash_conn_close(int fd);
/** leash_conn_wants_tls() - Must whatever is written there be TLS (or http, on the LAN) and be looked at by us? */
bool leash_conn_wants_tls(int fd);
/** leash_conn_print() - Text is about to leave inside libc. Return: 0, or a negative errno: said, or -EINVAL where
 *  it may be http, written some other way */
int leash_conn_print(int fd, const char *call);
int leash_conn_dup(int fd);
int leash_conn_dup2(int fd, int to);
int leash_conn_dup3(int fd, int to, int flags);
int leash_conn_fcntl(int fd, int cmd, long arg);
int leash_conn_close_range(unsigned int first, unsigned int last, int flags);
void leash_conn_closefrom(int first);

/* ------------------------------------------------------ names (resolve.c); may allocate */
/*
 * A name is judged before anything leaves, and its answer is remembered before the
 * program sees it.
 */
#define LEASH_LOOKUP_NAME_MAX 512	/* a name with its search domain; more is no host name */
struct leash_lookup {
	char name[256];		/* what to pass to libc in place of the program's spelling */
	char judged[256];	/* normal form that was judged; "" if it is no name */
	bool is_name;		/* false: an address, NULL or empty: libc may have it as it is */
	uint8_t lists;		/* that hold it: which limit applies */
	void *slot;		/* of leash_conn_lookup_begin() */
};
/** leash_conn_ask_name() - May this be looked up? Return: 0, -EACCES (refused, said),
 *  -ECONNABORTED (not in the background, said), -EINVAL (no host name: EAI_NONAME) */
int leash_conn_ask_name(const char *node, const char *call, struct leash_lookup *ret);
/**
 * leash_conn_lookup_begin(), leash_conn_lookup_end() - Around the real look-up, which is timed like a request
 * @frame:	Of the hook, on this thread's stack
 * Return: 0; begin: it must not be made, end: it was ended: a negative errno, said
 */
int leash_conn_lookup_begin(struct leash_lookup *lookup, const void *frame);
int leash_conn_lookup_end(struct leash_lookup *lookup);
void leash_conn_learn(const struct leash_lookup *lookup, int family, const void *addr);
void leash_conn_learn_list(const struct leash_lookup *lookup, const struct addrinfo *list);
void leash_conn_learn_host(const struct leash_lookup *lookup, const struct hostent *host);
/** leash_conn_ask_reverse() - May this address be asked for? Only a remembered one. */
bool leash_conn_ask_reverse(int family, const void *addr, const char *call);
/** leash_conn_ask_type() - A res_query(): name and record type, both judged */
int leash_conn_ask_type(const char *name, int type, const char *call, struct leash_lookup *ret);
/** leash_conn_ask_message() - A res_send(): the question inside a packet, judged.
 *  Return: 0, -EACCES */
int leash_conn_ask_message(const void *msg, size_t len, const char *call,
			   struct leash_lookup *ret);
void leash_conn_learn_message(const struct leash_lookup *lookup, const void *msg, size_t len);
/** leash_conn_state_servers() - Does a resolver state name the system's servers only? */
bool leash_conn_state_servers(const struct __res_state *state);
/** leash_conn_refuse_servers() - The refusal of other servers, said. Return: -EACCES, 0 under audit */
int leash_conn_refuse_servers(const char *call);
/** leash_conn_ask_network() - May the networks database be asked? It reaches DNS only where
 *  nsswitch.conf says so; then a name must be listed. @name: NULL for a question by number */
bool leash_conn_ask_network(const char *name, const char *call);
/** leash_conn_name_server() - Is this one of the configured name servers? */
bool leash_conn_name_server(const struct sockaddr *addr);

/* ------------------------------------------------------------------ netleash.h (own.c, signal.c) */
int leash_conn_set_timeout(int fd, int limit_ms);
int leash_conn_set_background(bool away);

/* ------------------------------------------------------- background signals (signal.c) */
/** leash_conn_signal_ours() - Is this one of the two, and are our handlers in? */
bool leash_conn_signal_ours(int sig);
/** leash_conn_sigaction() - sigaction() on what the program has for it */
struct sigaction;
int leash_conn_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
/** leash_conn_hand_on(), leash_conn_take_back() - Before and after what starts a program: it finds ignored
 *  what this one ignores. @brief: it cannot be left by siglongjmp(). life/background.h */
void leash_conn_hand_on(bool brief);
void leash_conn_take_back(bool brief);
/** leash_conn_rt_sigaction() - The system call's form of it */
int leash_conn_rt_sigaction(int sig, const void *act, void *old, size_t mask_size);

/* ------------------------------------------------------------------- processes (exec.c) */
/**
 * leash_conn_may_exec() - Can this program carry the leash?
 * @ret_runtime:	Set on 0: what the child needs in front of us in LD_PRELOAD (hooks.md P3), or ""
 * As leash_carry_check(). Return: 0, or -EACCES with one line that says why not. Errors of
 * the file itself answer 0: exec says them better.
 */
int leash_conn_may_exec(int dirfd, const char *path, int flags, char *ret_runtime, size_t size);
/** leash_conn_may_search() - The same for the program that execvpe() will find in PATH */
int leash_conn_may_search(const char *file, char *ret_runtime, size_t size);

#endif
