/* SPDX-License-Identifier: MIT */
/*
 * The rewriter of requests: exactly one Referer, ours, directly behind every request line; every
 * other byte as the program wrote it (`Upgrade: h2c` lines go as well). Body bytes and chunk lines
 * are never copied.
 *
 * It is a pull parser over what the program hands to one write. The caller's loop:
 *
 *	while (done < len) {
 *		rc = leash_request_next(rq, buf + done, len - done, &out);
 *		... -ENOBUFS: leash_request_lend(), again; -EBADMSG: refuse, nothing more may leave
 *		... judge out.events, before a byte of this span leaves
 *		... HOLD: stop here until the answer is known
 *		send(out.at, out.len);
 *		done += out.consumed;
 *	}
 *
 * Each byte is taken once: after WANT_WRITE the caller goes on sending what it has, and calls
 * leash_request_next() again when the span is flushed (a span with @own is in the lent buffer
 * and lasts until that call). Not sent in one piece, the rest of a span without @own is in the
 * program's buffer, which its retry brings again.
 *
 * Consecutive spans with @head may be joined into one write (one TLS record). After a call that
 * took all input only an unfinished line is held: no server answers that, so it cannot deadlock.
 */
#ifndef LEASH_REQUEST_H
#define LEASH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/wire/http1.h"

/* Which API a request belongs to (policy 9). The lists decide between request and download. */
enum leash_request_class {
	LEASH_CLASS_UNKNOWN,		/* no header yet */
	LEASH_CLASS_ORDINARY,		/* request, or downloadFile if the method is GET */
	LEASH_CLASS_SOCKET,		/* connectSocket, once 101 confirms it */
	LEASH_CLASS_MULTIPART,		/* ORDINARY or UPLOAD: a part's header will tell */
	LEASH_CLASS_UPLOAD
};

#define LEASH_REQUEST_BEGIN	1u	/* a request's first byte came (its clock starts) */
#define LEASH_REQUEST_HEAD	2u	/* this span ends the header: rq->http.facts are complete */
#define LEASH_REQUEST_CLASS	4u	/* rq->class is final: with HEAD, or later for MULTIPART */
#define LEASH_REQUEST_END	8u	/* this span ends the request */
#define LEASH_REQUEST_HOLD	16u	/* nothing taken: wait for leash_request_answered() */
#define LEASH_REQUEST_RAW	32u	/* not HTTP, or upgraded: all there is passes from now on */

struct leash_request_out {
	const uint8_t *at;		/* to be sent; inside the consumed bytes unless @own */
	size_t len;			/* may be 0 */
	size_t consumed;		/* bytes of the input that are done: 0 before our
					 * Referer, else more or less than @len */
	unsigned int events;		/* LEASH_REQUEST_*: to be judged before the span is sent */
	bool own;			/* at is the Referer line or in the lent buffer */
	bool head;			/* request line or header (a trailer counts as body) */
};

/* Looks for a file's name in the headers of a multipart body's parts (RFC 7578 section 4.2). */
struct leash_request_parts {
	uint8_t state;
	uint8_t match;			/* bytes of a delimiter or word that matched */
	bool in_disposition, quoted, escaped;
};

/* Set up by leash_request_init(). For reading: class, http.facts, http.fault, kept, again. */
struct leash_request {
	struct leash_http1 http;
	struct leash_request_parts parts;
	const char *referer;
	uint32_t referer_len;
	enum leash_request_class class;
	bool referer_due;		/* the request line is out, our line is not */
	bool raw_told;
	bool fields_due;		/* the request line is out, no field is */
	/* With the event HEAD, for reading: */
	bool kept;			/* its fields are those that are kept from here on (leash_http1_keep()) */
	bool again;			/* they were, of a request before */
};

/**
 * leash_request_init() - At the start of a connection's stream from the client
 * @referer:	The whole line, "Referer: https://...\r\n"; borrowed. NULL or "": nothing is
 *		changed, the stream is only read (and refused where it is ambiguous)
 */
void leash_request_init(struct leash_request *rq, const char *referer);

/**
 * leash_request_next() - The next span to be sent
 * @buf:	Bytes of the program that were not consumed yet; only read
 * @len:	With 0 there is nothing to send
 * @out:	Filled in on success
 *
 * Return: 0; -ENOBUFS if an unfinished line needs a (larger) buffer, nothing was taken; -EBADMSG:
 *	   refused, rq->http.fault says why (ambiguous_request)
 */
int leash_request_next(struct leash_request *rq, const void *buf, size_t len,
		       struct leash_request_out *out);

/** leash_request_lend(), leash_request_holds(), leash_request_answered(): as of leash_http1 */
int leash_request_lend(struct leash_request *rq, void *buf, size_t size);
bool leash_request_holds(const struct leash_request *rq);
void leash_request_answered(struct leash_request *rq, bool upgraded);

/** leash_request_idle() - Between two requests, with nothing held: a close cuts no request */
bool leash_request_idle(const struct leash_request *rq);

/** leash_request_ask() - LEASH_ASK_* bits of http/response.h for the current request's answer;
 *  with the event HEAD */
unsigned int leash_request_ask(const struct leash_request *rq);

#endif
