/* SPDX-License-Identifier: MIT */
/*
 * How many at once, per API class, over the process tree (policy 6): a task is what is in flight, from its
 * connect() or the first byte of a request on a reused connection to the end of its answer; a WebSocket
 * until it is closed. Requests that are pipelined on one connection are one task.
 *
 * Counted in places of the session page (life/places.h). Before its request is seen a new connection takes
 * a place of the first class that it may be and that has one (request, connectSocket, uploadFile,
 * downloadFile), and moves when the request is classed.
 *
 * One too many, by limits.over: "warn" records it and goes on; "fail" refuses with ECONNREFUSED;
 * "queue" waits, with the clock of the connection running:
 *
 *	a blocking connect()	in this thread, asleep
 *	one that does not block	the connect() is made and is in progress, but the socket hears no answer until
 *				there is a place: a program with one thread must go on reading the answers
 *				that will free one (hooks cannot make poll() wait in another way)
 *	a reused connection	(and the first request to a neighbour, which is known by its bytes) in this thread;
 *				on a socket that does not block it goes on, recorded: there is no "in progress"
 *				for bytes
 *
 * The watcher gives places to those who wait, the oldest of its process first; it is woken by whoever frees
 * one, and looks for those of dead processes once a second.
 */
#ifndef LEASH_TASKS_H
#define LEASH_TASKS_H

#include <stdint.h>

struct leash_conn;
struct leash_gate;

/**
 * leash_tasks_begin() - connect() will follow
 * @conn:	Pending (its clock runs), of which nothing was in flight
 * @lists:	LEASH_LIST_BIT()s that it may be
 * @gate:	About whom, for the line
 *
 * Return: 0; -ECONNREFUSED (said), -ETIMEDOUT, -ECONNABORTED; -EINTR: a signal ended the wait, connect()
 *	   is to be made without blocking and answers that
 */
int leash_tasks_begin(struct leash_conn *conn, int fd, uint8_t lists, const struct leash_gate *gate);

/** leash_tasks_request() - A request begins on a connection that is there, and is pending. @fd: -1: whichever
 *  number it has. Return: as above; -ECONNREFUSED: nothing of it may leave */
int leash_tasks_request(struct leash_conn *conn, int fd, uint8_t lists, const char *call);

/** leash_tasks_class() - It is known now what it may be: it moves there. One too many there is recorded, or
 *  ("fail") denied and shut down, because its bytes are under way */
void leash_tasks_class(struct leash_conn *conn, uint8_t lists);

/** leash_tasks_opened() - It was answered as a WebSocket. Never refuses */
void leash_tasks_opened(struct leash_conn *conn);

/** leash_tasks_turn() - Something leaves on an idle connection that nobody can read: counted where there is a place,
 *  never refused, because it may be an alert that says goodbye */
void leash_tasks_turn(struct leash_conn *conn);

/** leash_tasks_end() - No longer in flight. Idempotent, async-signal-safe */
void leash_tasks_end(struct leash_conn *conn);

/** leash_tasks_tcp() - A new raw TCP connection: 20 in 5 minutes; "queue" refuses too, or it would wait for
 *  minutes. Return: 0 or -ECONNREFUSED, said */
int leash_tasks_tcp(const struct leash_gate *gate);

/** leash_tasks_raw() - The same of one that is there and turns out to be raw TCP. Return: 0 or -ECONNREFUSED: the
 *  connection is denied */
int leash_tasks_raw(struct leash_conn *conn, int fd, const struct leash_gate *gate);

/** leash_tasks_look() - For the watcher: is there a place for one that waits? */
void leash_tasks_look(struct leash_conn *conn);

/** leash_tasks_drop() - It is over, and its socket, if it waited, hears again. @fd: it, or -1. A thread that
 *  waits is woken by leash_place_wake() when the state of its connection says so too */
void leash_tasks_drop(struct leash_conn *conn, int fd);

#endif
