/* SPDX-License-Identifier: MIT */
/* The program's own limits: its socket options, and netleash_set_timeout() (policy 5). */
#include <linux/tcp.h>
#include <sys/time.h>

#include "shim/conn/timing.h"
#include "shim/conn/timing_inner.h"
#include "shim/core/sys.h"

#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif

/* Where a limit comes from, for the event */
enum own { OWN_NONE, OWN_RCVTIMEO, OWN_SNDTIMEO, OWN_USER_TIMEOUT, OWN_CALL };
static const char *const own_text[] = {
	[OWN_NONE] = "networkTimeout", [OWN_RCVTIMEO] = "SO_RCVTIMEO", [OWN_SNDTIMEO] = "SO_SNDTIMEO",
	[OWN_USER_TIMEOUT] = "TCP_USER_TIMEOUT", [OWN_CALL] = "netleash_set_timeout()",
};

const char *leash_own_text(const struct leash_conn *conn)
{
	return own_text[conn->own_ms ? conn->own_by : OWN_NONE];
}

#define SET_PLACES 256

/* netleash_set_timeout() before there is a connection: by cookie; the oldest of a place goes */
static struct {
	_Atomic uint64_t cookie;
	_Atomic uint32_t limit_ms;
} set_places[SET_PLACES];

static uint32_t set_for(uint64_t cookie)
{
	return atomic_load(&set_places[cookie % SET_PLACES].cookie) == cookie
		       ? atomic_load(&set_places[cookie % SET_PLACES].limit_ms)
		       : 0;
}

static uint32_t read_timeval(int fd, int name)
{
	struct timeval value = {0};
	socklen_t len = sizeof(value);

	if (LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &len) < 0 || value.tv_sec < 0)
		return 0;
	if (value.tv_sec > 3600)
		return 3600000;
	return (uint32_t)(value.tv_sec * 1000 + (value.tv_usec + 999) / 1000);
}

/* The kernel knows them, whoever set them by whatever number. Several: the largest. */
void leash_own_read(struct leash_conn *conn, int fd)
{
	const uint32_t receive_ms = read_timeval(fd, SO_RCVTIMEO);
	const uint32_t send_ms = read_timeval(fd, SO_SNDTIMEO);
	unsigned int user_ms = 0;
	socklen_t len = sizeof(user_ms);

	if (conn->stream)
		LEASH_SYS(SYS_getsockopt, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, &len);
	conn->own_by = OWN_CALL;
	conn->own_ms = set_for(conn->cookie);
	if (conn->own_ms)
		return;			/* asked for by name */
	conn->own_ms = receive_ms;
	conn->own_by = OWN_RCVTIMEO;
	if (send_ms > conn->own_ms) {
		conn->own_ms = send_ms;
		conn->own_by = OWN_SNDTIMEO;
	}
	if (user_ms > conn->own_ms) {
		conn->own_ms = user_ms;
		conn->own_by = OWN_USER_TIMEOUT;
	}
}

int leash_conn_set_timeout(int fd, int limit_ms)
{
	const uint8_t flags = leash_fd_get(fd) ? leash_conn_flags(fd) : 0;
	const uint64_t cookie = flags ? leash_fd_cookie(fd) : 0;
	struct leash_conn *conn = leash_registry_of(fd);

	if (!cookie)
		return fd >= 0 && LEASH_SYS(SYS_fcntl, fd, F_GETFD) >= 0 ? -ENOTSOCK : -EBADF;
	if (limit_ms < 0)
		return -EINVAL;
	atomic_store(&set_places[cookie % SET_PLACES].cookie, 0);
	atomic_store(&set_places[cookie % SET_PLACES].limit_ms, (uint32_t)limit_ms);
	atomic_store(&set_places[cookie % SET_PLACES].cookie, cookie);
	leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_TIMED);
	if (conn && conn->cookie == cookie)
		leash_timing_options(conn, fd);
	return 0;
}
