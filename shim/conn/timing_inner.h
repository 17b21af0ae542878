/* SPDX-License-Identifier: MIT */
/* What conn/timing.c asks of the files beside it; nobody else includes it. */
#ifndef LEASH_TIMING_INNER_H
#define LEASH_TIMING_INNER_H

#include <stdbool.h>
#include <stdint.h>

struct leash_conn;
struct leash_gate;
struct leash_image;
struct leash_session;

/* ended.c: the rules of the watcher */
/** leash_timing_grace_ns() - How long what is pending may go on in the background; LEASH_NEVER: there is none */
int64_t leash_timing_grace_ns(void);
/** leash_timing_established() - Does the kernel say that this TCP socket is connected? */
bool leash_timing_established(int fd);
/** leash_timing_gate() - About its peer; a UDP socket without one: about whom it talked to last */
void leash_timing_gate(struct leash_gate *gate, struct leash_conn *conn, const char *call);

/* own.c: the program's own limits */
/** leash_own_read() - Its socket options, or what netleash_set_timeout() said: conn->own_ms and where it is from */
void leash_own_read(struct leash_conn *conn, int fd);
/** leash_own_text() - Where its limit comes from, for the event */
const char *leash_own_text(const struct leash_conn *conn);

/* signal.c: the policy's signals */
/** leash_signal_listen() - From the first question about the network on: a process without any makes no
 *  system call that it would not have made (hooks.md L9) */
void leash_signal_listen(const struct leash_image *image);
/** leash_signal_tell() - The event of a change that a handler made: it has only changed the state */
void leash_signal_tell(struct leash_session *page);

#endif
