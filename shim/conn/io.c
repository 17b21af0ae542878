/* SPDX-License-Identifier: MIT */
/*
 * Which way bytes go (hooks.md 3.3 to 3.5). Called only for descriptors whose flag byte is not 0; what is judged
 * and plain does not come here (swift.h). Out: io_out.c; in: io_in.c; datagrams: datagram.c.
 */
#include "shim/conn/io_inner.h"
#include "shim/conn/plain.h"

#define KIND (LEASH_FD_INET | LEASH_FD_STREAM | LEASH_FD_DGRAM)

/* fclose() closes inside libc. Without a slot: is it no socket of the kind that was noted? */
bool leash_io_stale(const struct leash_conn *conn, int fd)
{
	return conn ? !leash_registry_same(conn, fd) : leash_fd_probe(fd) != (leash_fd_get(fd) & KIND);
}

enum leash_way leash_io_anew(int fd, const char *call, struct leash_conn **ret_conn, int *ret_error)
{
	const uint8_t now = leash_fd_probe(fd);

	*ret_conn = NULL;
	leash_registry_detach(fd);
	leash_fd_set(fd, now ? now | LEASH_FD_JUDGE : 0);
	return leash_io_way(fd, leash_fd_get(fd), call, ret_conn, ret_error);
}

enum leash_way leash_io_way(int fd, uint8_t flags, const char *call, struct leash_conn **ret_conn,
			    int *ret_error)
{
	struct leash_conn *conn = leash_registry_of(fd);

	*ret_conn = conn;
	if (!(flags & LEASH_FD_JUDGE))
		return LEASH_WAY_PASS;
	if (!conn) {
		if (flags & LEASH_FD_NONE)
			return LEASH_WAY_PASS;
		if (leash_io_stale(NULL, fd))
			return leash_io_anew(fd, call, ret_conn, ret_error);
		/* Inherited, received, or not connected yet. */
		*ret_error = leash_conn_adopt(fd, flags, call);
		if (*ret_error < 0)
			return LEASH_WAY_REFUSE;
		conn = leash_registry_of(fd);
		*ret_conn = conn;
		if (!conn)
			return LEASH_WAY_PASS;
	}
	switch (leash_registry_state(conn)) {
	case LEASH_CONN_OPEN:
		/* Judged by way of another number, or by its TLS library: from here on like any other. */
		if (leash_io_stale(conn, fd))
			return leash_io_anew(fd, call, ret_conn, ret_error);
		if (conn->plain)
			return LEASH_WAY_HTTP;
		leash_fd_set(fd, flags & (uint8_t)~LEASH_FD_JUDGE);
		return LEASH_WAY_PASS;
	case LEASH_CONN_FREE:
	case LEASH_CONN_CLAIMED:
	case LEASH_CONN_NUM_STATES:
		return LEASH_WAY_PASS;
	case LEASH_CONN_SNIFFING:
		if (!leash_io_stale(conn, fd))
			return LEASH_WAY_HELLO;
		return leash_io_anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_FLIGHT:
		if (!leash_io_stale(conn, fd))
			return LEASH_WAY_FLIGHT;
		return leash_io_anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_DATAGRAM:
		return LEASH_WAY_PASS;		/* leash_datagram() has looked at the destination */
	case LEASH_CONN_DNS:
		if (!leash_io_stale(conn, fd))
			return LEASH_WAY_QUESTION;
		return leash_io_anew(fd, call, ret_conn, ret_error);
	case LEASH_CONN_DENIED:
	case LEASH_CONN_EXPIRED:
	case LEASH_CONN_INTERRUPTED:
	case LEASH_CONN_LOOKUP:		/* has no number */
		break;
	}
	if (leash_io_stale(conn, fd))
		return leash_io_anew(fd, call, ret_conn, ret_error);
	*ret_error = leash_timing_errno(conn) ? -leash_timing_errno(conn) : -conn->error;
	return LEASH_WAY_REFUSE;
}

int leash_conn_unseen(int fd, const char *call)
{
	struct leash_conn *conn = NULL;
	int error = 0;

	switch (leash_io_way(fd, leash_fd_get(fd), call, &conn, &error)) {
	case LEASH_WAY_PASS:
		/* A datagram's destination would have to be judged: its callers fall back to send. */
		return leash_fd_get(fd) & LEASH_FD_DGRAM ? -EINVAL : 0;
	case LEASH_WAY_HELLO:
		/* Where it may be TLS or http, somebody must see which. */
		return !(conn->pass & LEASH_PASS_TLS) && leash_sniff_raw(conn, fd) ? 0 : -EINVAL;
	case LEASH_WAY_FLIGHT:
	case LEASH_WAY_QUESTION:
		return -EINVAL;
	case LEASH_WAY_HTTP:
		return leash_plain_unseen(conn);
	case LEASH_WAY_REFUSE:
		break;
	}
	return error;
}
