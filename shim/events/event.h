/* SPDX-License-Identifier: MIT */
/*
 * What happened, by value: made by the engine, written as one JSON line by
 * line.c, read again by `netleash run` and `netleash report`.
 *
 * Field names are those of the design (policy 12). A NULL string, or a number
 * that its comment calls absent, leaves the field out.
 */
#ifndef LEASH_EVENT_H
#define LEASH_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum leash_event_kind {
	LEASH_EVENT_POLICY,		/* a process met its policy (or has none) */
	LEASH_EVENT_RESOLVE,
	LEASH_EVENT_CONNECT,
	LEASH_EVENT_REQUEST,
	LEASH_EVENT_REFUSED,
	LEASH_EVENT_INTERRUPTED,
	LEASH_EVENT_TIMEOUT,
	LEASH_EVENT_STATE,
	LEASH_EVENT_KIND_COUNT
};

enum leash_event_verdict { LEASH_SAID_NONE, LEASH_SAID_ALLOWED, LEASH_SAID_REFUSED, LEASH_SAID_WOULD_REFUSE };

struct leash_event {
	enum leash_event_kind kind;
	enum leash_event_verdict verdict;
	int64_t time_ms;		/* since 1970, UTC */
	int32_t pid;
	const char *exe;
	const char *api;		/* request, connectSocket, …, tcp, udp */
	const char *call;		/* what the program called: "connect", "getaddrinfo" */
	const char *host;
	const char *address;
	int32_t port;			/* 0: absent */
	const char *transport;		/* "tcp", "udp" or NULL */
	const char *reason;		/* stable code */
	const char *err_msg;		/* "errMsg": the platform's words */
	int32_t number;			/* "errCode": the platform's number; 0: absent */
	int32_t error;			/* "errno"; 0: absent */
	const char *rule;
	const char *hint;
	int64_t bytes_sent, bytes_received;	/* -1: absent */
	const char *sni;		/* tls.sni */
	const char *tls_version, *tls_cipher, *tls_issuer, *tls_not_after;	/* tls.version, … */
	const char *detail;		/* free text */
	const char *method, *url;	/* of a request */
	int32_t status;			/* of its answer; 0: absent */
	const char *outcome;		/* how it ended: "success" whatever the status, "cut", … */
	const struct leash_event_timing *timing;	/* NULL: absent */
};

/* What a request's time went to, ms; -1: absent, a reused connection has the last two alone */
struct leash_event_timing {
	int64_t resolve, connect, tls, wait, receive;
};

#define LEASH_EVENT_LINE_MAX 2048	/* bytes with the newline; longer texts are cut */

/**
 * leash_event_line() - Write an event as one JSON object and a newline
 * @buf:	LEASH_EVENT_LINE_MAX bytes
 *
 * Always valid JSON (RFC 8259) in one line: control characters and quotes are escaped, bytes
 * that are not UTF-8 become U+FFFD; a text that does not fit is cut at a character's border.
 * Pure, async-signal-safe, no stdio. Return: length with the newline
 */
size_t leash_event_line(const struct leash_event *event, char buf[static LEASH_EVENT_LINE_MAX]);

#endif
