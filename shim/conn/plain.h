/* SPDX-License-Identifier: MIT */
/*
 * Plain http to a neighbour on the LAN (policy 3, 9; TLS 12): what the program sends and receives on the socket
 * itself passes through conn/exchange, as TLS plaintext does.
 *
 * Out: a send has no retry contract. Bytes that are not changed leave from the program's buffer, and a short
 * send stays one: the rest was looked at, and is sent as it comes again. What is changed (a header with our
 * Referer) is ours: a socket that does not take it at once is waited for here, within the request's clock.
 * The count that the program gets is of its own bytes. Bytes that nobody sees (sendfile, splice, aio) are
 * refused with EINVAL, behind which programs fall back to write(); in a connection that is no longer http (101)
 * they may go.
 *
 * In: as much is read as fits the program's buffer once it is converted, so nothing stays with us that poll()
 * would not tell of; buffers of a few bytes and a held header are the exceptions, and what they leave comes
 * with the next read. MSG_PEEK shows the server's bytes as they are, a BOM and all, unless there is such a rest:
 * to show what they become they would have to be taken from the socket, and poll() would lose them.
 *
 * One thread at a time in each direction; another one waits a little, then gets EAGAIN.
 */
#ifndef LEASH_PLAIN_H
#define LEASH_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct leash_conn;

/**
 * leash_plain_start() - The first bytes of a connection are an http request
 * @prefix, @len:	Of it, what has left already: less than a method and a space
 *
 * Return: 1: from now on conn->plain is set, and everything goes through here; 0: nobody needs to see it;
 *	   a negative errno, said: nothing may leave
 */
int leash_plain_start(struct leash_conn *conn, int fd, const void *prefix, size_t len, const char *call);

/** leash_plain_send() - sendmsg(), without a SIGPIPE. Return: bytes of the program's, or a negative errno */
ssize_t leash_plain_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			 const char *call);

/** leash_plain_receive() - recvmsg() */
ssize_t leash_plain_receive(struct leash_conn *conn, int fd, struct msghdr *msg, int flags);

/** leash_plain_unseen() - May bytes pass that nobody sees? 0 or -EINVAL */
int leash_plain_unseen(struct leash_conn *conn);

/** leash_plain_shut() - The program ends its side: a line that it did not finish is dropped */
void leash_plain_shut(struct leash_conn *conn);

/** leash_plain_release() - The program let go of it */
void leash_plain_release(struct leash_conn *conn);

#endif
