/* SPDX-License-Identifier: MIT */
/*
 * Builds the question, asks the policy, and says the verdict: the event, the
 * line on standard error, the counts of the session.
 */
#ifndef LEASH_GATE_H
#define LEASH_GATE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "policy/policy.h"
#include "shim/conn/names.h"
#include "shim/events/event.h"

/* A question about a peer, its verdict, and what is needed to say it. */
struct leash_gate {
	const struct leash_image *image;	/* NULL: no policy, refused */
	struct leash_peer peer;
	struct leash_nameref names[LEASH_NAMES_PER_ADDR];
	struct leash_verdict verdict;
	const char *call;		/* what the program called */
	const char *host;		/* the name to speak of; NULL: the address */
	const char *sni;
	/* Where somebody knows better than the policy, which does not read certificates; else NULL */
	const char *rule_text, *hint_text;	/* instead of the rule's name and the reason's hint */
	const char *detail;		/* free text of the event */
	const struct leash_gate_tls *tls;
	const char *api;		/* which it is, where that is not the verdict's entry's list; else NULL */
	const struct leash_gate_request *request;	/* or NULL: about no request */
};

/* What is said of a request. leash_gate_request_clear() leaves all of it out */
struct leash_gate_request {
	const char *method, *target;
	const char *scheme;		/* "https" … */
	const char *outcome;
	int32_t status;
	int64_t sent, received;		/* -1: absent */
	const struct leash_event_timing *timing;
};
void leash_gate_request_clear(struct leash_gate_request *request);

/* What the event says of a handshake; any of it NULL */
struct leash_gate_tls {
	const char *version, *cipher, *issuer, *not_after;
};

/** leash_gate_addr() - A socket address in normal form. Return: false if it is not INET or too short */
bool leash_gate_addr(const struct sockaddr *addr, socklen_t len, struct leash_addr *ret_addr,
		     uint16_t *ret_port);

/** leash_gate_peer() - May @addr be reached? Fills in all of @gate */
void leash_gate_peer(struct leash_gate *gate, const char *call, enum leash_transport transport,
		     const struct leash_addr *addr, uint16_t port, bool sending);

/** leash_gate_local() - A verdict about an own address and port: bind, listen, accept */
void leash_gate_local(struct leash_gate *gate, const char *call, enum leash_transport transport,
		      const struct leash_addr *addr, uint16_t port);

/** leash_gate_judge() - A verdict from another question of the policy about the same peer */
void leash_gate_judge(struct leash_gate *gate, struct leash_verdict verdict);

/** leash_gate_name() - A verdict about a name alone */
void leash_gate_name(struct leash_gate *gate, const char *call, const char *host,
		     struct leash_verdict verdict);

/**
 * leash_gate_settle() - Say the verdict
 * Refused: line, event and count. Allowed only by audit or skip_domain_check: event and
 * count. Plainly allowed: nothing here, see leash_gate_connected().
 *
 * Return: 0 if it is allowed (any action but LEASH_DENY), else the reason's negative errno
 */
int leash_gate_settle(const struct leash_gate *gate);

/** leash_gate_host() - The row of its host in the session page */
uint32_t leash_gate_host(const struct leash_gate *gate);

/** leash_gate_ended() - A connection or look-up that was admitted was ended: event, line, count of the host.
 *  @kind: LEASH_EVENT_TIMEOUT or LEASH_EVENT_INTERRUPTED; its verdict says why. Under audit it was not */
void leash_gate_ended(const struct leash_gate *gate, enum leash_event_kind kind);

/** leash_gate_state() - The session went to the foreground or background: event. @why: by whom */
void leash_gate_state(const char *state, const char *why);

/** leash_gate_note() - An event about a connection that goes on, with gate->detail */
void leash_gate_note(const struct leash_gate *gate);

/** leash_gate_requested() - A request has ended, gate->request says how: event */
void leash_gate_requested(const struct leash_gate *gate);

/** leash_gate_connected() - An allowed connection or lookup: event and count. @resolve: a lookup.
 *  Return: row of the host in the session page */
uint32_t leash_gate_connected(const struct leash_gate *gate, bool resolve);

/** leash_gate_policy() - A process met its policy, or has none: then its one line */
void leash_gate_policy(const struct leash_image *image, const char *why);

/** leash_gate_simple() - Ask about something without a peer; settled. Return: 0 or negative errno */
int leash_gate_simple(const char *call, const char *what, struct leash_verdict verdict);

#endif
