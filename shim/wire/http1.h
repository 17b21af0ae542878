/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.x (RFC 9112) as bytes: which of them are a request line, a field, a body.
 *
 * struct leash_http1 reads the stream of requests of one connection, in pieces of any size, and
 * gives every byte back in exactly one token. It reads as the most lenient server would (LF ends
 * a line as CRLF does, blanks behind a field's name do not count, empty lines before a request
 * line are skipped) and refuses what two servers may read differently: enum leash_http1_fault.
 * Cutting the input elsewhere changes neither the bytes, their meaning nor the refusal.
 *
 * Memory: only an unfinished line is kept, in a buffer that the caller lends while there is one.
 * No allocation, no copy of what is complete in the input.
 *
 * The second half are the parts that answers are read with too (http/response.h).
 */
#ifndef LEASH_HTTP1_H
#define LEASH_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_HTTP1_LINE_MAX	  (64u << 10)	/* bytes of a line with its end; more is refused */
#define LEASH_HTTP1_LINES_MAX	  256		/* lines of a header, and of a trailer */
#define LEASH_HTTP1_METHOD_SIZE	  24		/* with its NUL; a longer method is refused */
#define LEASH_HTTP1_TARGET_SIZE	  512		/* what is kept of a target, with NUL */
#define LEASH_HTTP1_HOST_SIZE	  256
#define LEASH_HTTP1_BOUNDARY_SIZE 128		/* RFC 2046 section 5.1.1 allows 70 characters */

/* What makes a request ambiguous; leash_http1_fault_text() says it in words. */
enum leash_http1_fault {
	LEASH_HTTP1_FINE,
	LEASH_HTTP1_H2_PREFACE,
	LEASH_HTTP1_CONNECT,
	LEASH_HTTP1_REQUEST_LINE,
	LEASH_HTTP1_VERSION,		/* HTTP/0.9, or none of HTTP/1.x */
	LEASH_HTTP1_TARGET,		/* absolute form with user info or no host */
	LEASH_HTTP1_LINE_TOO_LONG,
	LEASH_HTTP1_TOO_MANY_LINES,
	LEASH_HTTP1_BARE_CR,
	LEASH_HTTP1_NUL,
	LEASH_HTTP1_FIELD_NAME,		/* empty, with a blank or control character, no colon */
	LEASH_HTTP1_FOLD,		/* obs-fold (RFC 9112 section 5.2) */
	LEASH_HTTP1_TWO_HOSTS,
	LEASH_HTTP1_BAD_HOST,
	LEASH_HTTP1_TWO_LENGTHS,
	LEASH_HTTP1_BAD_LENGTH,
	LEASH_HTTP1_LENGTH_AND_ENCODING,
	LEASH_HTTP1_BAD_ENCODING,	/* not ending in one chunked, unknown coding, HTTP/1.0 */
	LEASH_HTTP1_BAD_CHUNK,
	LEASH_HTTP1_TRAILER,		/* framing or routing in a trailer */
	LEASH_HTTP1_CONNECTION,		/* Connection: referer, which lets a proxy drop ours */
	LEASH_HTTP1_FAULT_COUNT
};

/** leash_http1_fault_text() - "Content-Length and Transfer-Encoding in one request" */
const char *leash_http1_fault_text(enum leash_http1_fault fault);

/* Fields that mean something here */
enum leash_http1_name {
	LEASH_HTTP1_OTHER,
	LEASH_HTTP1_REFERER,
	LEASH_HTTP1_HOST,
	LEASH_HTTP1_CONTENT_LENGTH,
	LEASH_HTTP1_TRANSFER_ENCODING,
	LEASH_HTTP1_CONTENT_TYPE,
	LEASH_HTTP1_CONTENT_ENCODING,
	LEASH_HTTP1_CONTENT_RANGE,
	LEASH_HTTP1_UPGRADE,
	LEASH_HTTP1_CONNECTION_FIELD,
	LEASH_HTTP1_WEBSOCKET_KEY,
	LEASH_HTTP1_WEBSOCKET_ACCEPT,
	LEASH_HTTP1_EXPECT,
	LEASH_HTTP1_RANGE
};

/* What Upgrade lines ask for or answer, together */
#define LEASH_UPGRADE_WEBSOCKET	1u
#define LEASH_UPGRADE_H2C	2u
#define LEASH_UPGRADE_OTHER	4u

struct leash_http1_host {
	bool present;
	bool bracketed;			/* was [literal]; name is without the brackets */
	uint16_t name_len;		/* 0: an empty value */
	int32_t port;			/* -1: none */
	/* As written, ended by NUL: letters, digits, "-._", bytes above 127; in brackets hex
	 * digits and ":.". Not normalised */
	char name[LEASH_HTTP1_HOST_SIZE];
};

/* Complete with the token HEAD_END; until then what the lines so far said. */
struct leash_http1_request {
	int64_t content_length;		/* -1: none */
	size_t target_len;		/* of the whole target */
	unsigned int upgrade;		/* LEASH_UPGRADE_*; without lines that are dropped */
	uint8_t minor;			/* HTTP/1.minor */
	uint8_t boundary_len;		/* 0: none */
	bool transfer_encoding;		/* at HEAD_END: then it ends in chunked */
	bool chunked;
	bool close;			/* Connection: close */
	bool connection_upgrade;	/* Connection: upgrade */
	bool websocket_key;
	bool expect_continue;
	bool range;
	bool multipart;			/* Content-Type: multipart/form-data */
	bool h2c_dropped;		/* an Upgrade line with h2c was dropped */
	char method[LEASH_HTTP1_METHOD_SIZE];
	char target[LEASH_HTTP1_TARGET_SIZE];	/* its first bytes, as written */
	char boundary[LEASH_HTTP1_BOUNDARY_SIZE]; /* its first bytes; no NUL behind them */
	struct leash_http1_host host;		/* Host: */
	struct leash_http1_host target_host;	/* absolute form (RFC 9112 section 3.2.2) */
};

enum leash_http1_kind {
	LEASH_HTTP1_NONE,	/* all input is taken, and kept as an unfinished line */
	LEASH_HTTP1_EMPTY,	/* an empty line before a request line */
	LEASH_HTTP1_START,	/* a request line */
	LEASH_HTTP1_FIELD,	/* a header line */
	LEASH_HTTP1_FOLDED,	/* continuation of a Referer line that is dropped */
	LEASH_HTTP1_HEAD_END,	/* the empty line behind the header: the facts are complete */
	LEASH_HTTP1_DATA,	/* body */
	LEASH_HTTP1_FRAME,	/* bytes of a chunk's size line, or the CRLF behind its data */
	LEASH_HTTP1_TRAILER_FIELD,
	LEASH_HTTP1_TRAILER_FOLDED,
	LEASH_HTTP1_TRAILER_END, /* the empty line behind the trailer */
	LEASH_HTTP1_HOLD,	/* nothing taken: an Upgrade was asked for, the answer says what
				 * the next bytes are; leash_http1_answered() */
	LEASH_HTTP1_RAW		/* not HTTP, or upgraded */
};

struct leash_http1_token {
	enum leash_http1_kind kind;
	enum leash_http1_name name;	/* of which field: FIELD, FOLDED, those of a trailer */
	const uint8_t *at;		/* the token's bytes; in the input, at its first byte, or */
	size_t len;			/* if @held in the lent buffer, until the next call */
	size_t consumed;		/* bytes of the input that are done; 0 with HOLD only */
	bool held;
	bool begin;			/* the first byte of a request came with this token
					 * (of a connection's first: that it is one shows) */
	bool end;			/* the request ends with this token */
	bool drop;			/* a rewriter leaves it out: a Referer, Upgrade: h2c */
};

/* The chunked coding (RFC 9112 section 7.1), for requests and answers. */
struct leash_http1_chunk {
	uint64_t left;			/* of the chunk's data */
	uint32_t line_len;		/* of the size line so far */
	uint8_t state;
};

/* The fields of a request, with the empty line behind them. A client sends the same ones again and again. */
#define LEASH_HTTP1_FIELDS_SIZE 216
struct leash_http1_fields {
	uint8_t len;			/* 0: none are known */
	uint8_t host_at, host_len;	/* the value of Host in them */
	bool close, connection_upgrade;
	uint8_t text[LEASH_HTTP1_FIELDS_SIZE];
};

/* Set up by leash_http1_init(); all but the facts is its own. */
struct leash_http1 {
	struct leash_http1_request facts;
	uint64_t left;			/* of a body with Content-Length */
	struct leash_http1_chunk chunk;
	uint8_t *hold;			/* lent by the caller */
	uint32_t hold_size, held_len;
	uint16_t lines;			/* of the header or trailer so far */
	uint8_t state;
	uint8_t last_name;		/* what a folded line would continue */
	uint8_t answer;			/* to the Upgrade of the current request */
	bool any_field;			/* there is something that a folded line would continue */
	bool rewrite;
	bool certain;			/* that this is HTTP */
	bool begun;			/* a request's first byte was seen */
	bool held_out;			/* the held line was handed out with the last token */
	enum leash_http1_fault fault;	/* after -EBADMSG */
	const uint8_t *host_at;		/* value of the Host line that was read last; compared, not followed */
	size_t host_len;
	struct leash_http1_fields fields;
};

/**
 * leash_http1_init() - At the start of a connection's stream from the client
 * @rewrite:	Referer and `Upgrade: h2c` lines get @drop, and folded lines of a Referer are
 *		part of it. Without, nothing is dropped and every folded line is refused
 */
void leash_http1_init(struct leash_http1 *http, bool rewrite);

/**
 * leash_http1_next() - The next token of the stream
 * @buf:	Input that was not consumed yet; only read
 * @len:	Bytes in it; with 0 the answer is NONE
 * @out:	Filled in on success
 *
 * Consecutive tokens of one buffer that are not @held lie one behind the other in it.
 *
 * Return: 0; -ENOBUFS if an unfinished line needs a (larger) buffer, nothing was taken: lend
 *	   one and call again; -EBADMSG if the stream is refused, now and for ever (http->fault)
 */
int leash_http1_next(struct leash_http1 *http, const void *buf, size_t len,
		     struct leash_http1_token *out);

/**
 * leash_http1_again() - Behind START: are the fields that follow, byte for byte, those that were kept?
 * @buf, @len:	Input that was not consumed yet, as for leash_http1_next()
 *
 * Then they are taken as so many FIELD tokens at once, none of which has @drop.
 *
 * Return: bytes that are done, up to the empty line, which is the next token; 0: nothing was taken
 */
size_t leash_http1_again(struct leash_http1 *http, const uint8_t *buf, size_t len);

/**
 * leash_http1_keep() - Behind HEAD_END: keep the fields for leash_http1_again(). Only those are kept that say nothing
 * of a body, an Upgrade, or what depends on more than their bytes
 * @buf, @len:	All of them with the empty line, in one piece of input, none of which had @drop or was @held
 */
void leash_http1_keep(struct leash_http1 *http, const uint8_t *buf, size_t len);

/**
 * leash_http1_lend() - A buffer for unfinished lines, or NULL to take it back
 * @buf:	Held bytes are copied over from the one before, which is then no more used
 * @size:	LEASH_HTTP1_LINE_MAX is enough for every line; less brings -ENOBUFS for longer ones
 *
 * Return: 0; -EBUSY, and nothing changed, if @buf is smaller than what is held
 */
int leash_http1_lend(struct leash_http1 *http, void *buf, size_t size);

/** leash_http1_holds() - Is the lent buffer in use? It may be taken back if not */
bool leash_http1_holds(const struct leash_http1 *http);

/** leash_http1_idle() - Between two requests, nothing held: a close now cuts no request */
bool leash_http1_idle(const struct leash_http1 *http);

/**
 * leash_http1_answered() - What the answer to the last request with an Upgrade was
 * @upgraded:	101: what follows is RAW; else (any other final answer) the next request.
 *
 * It may come before that request's last byte. Without an open Upgrade it does nothing.
 */
void leash_http1_answered(struct leash_http1 *http, bool upgraded);

/* Parts, for requests and answers */

/**
 * leash_http1_line() - Length of the line at the start of @buf, with its CRLF or LF
 * @ret_fault:	BARE_CR or NUL if such a byte comes before the line's end, else untouched
 *
 * Return: its length, 0 if it is unfinished or at fault
 */
size_t leash_http1_line(const uint8_t *buf, size_t len, enum leash_http1_fault *ret_fault);

/** leash_http1_line_text() - The length of a complete line without its CRLF or LF */
size_t leash_http1_line_text(const uint8_t *line, size_t len);

/* A stretch of some bytes; @at is NULL where there is none */
struct leash_http1_text {
	const uint8_t *at;
	size_t len;
};

/**
 * leash_http1_field() - Split a header line (without its line end) into name and value
 * @ret_value:	Without the blanks around it
 *
 * Return: 0, -EBADMSG (LEASH_HTTP1_FIELD_NAME)
 */
int leash_http1_field(const uint8_t *line, size_t len, enum leash_http1_name *ret_name,
		      struct leash_http1_text *ret_value);

/** leash_http1_number() - A plain decimal number, 1*DIGIT. Return: 0, -EBADMSG, -ERANGE */
int leash_http1_number(struct leash_http1_text text, int64_t *ret_number);

/** leash_http1_equal() - Is it @word (lower case), in any case? */
bool leash_http1_equal(struct leash_http1_text text, const char *word);

/** leash_http1_element() - Take the next element of a comma-separated list, without blanks
 *  around it; it may be empty. @list is cut; its @at is NULL at the end. Return: was there one? */
bool leash_http1_element(struct leash_http1_text *list, struct leash_http1_text *ret_element);

/**
 * leash_http1_param() - Value of a parameter: boundary, charset (RFC 9110 section 5.6.6)
 * @value:	`type/subtype; name=token; other="quoted"`
 * @name:	lower case
 * @ret:	Without the quotes; backslashes are left as they are
 *
 * Return: is it there? The first one, if it is there twice
 */
bool leash_http1_param(struct leash_http1_text value, const char *name,
		       struct leash_http1_text *ret);

/** leash_http1_upgrade() - The LEASH_UPGRADE_* bits of an Upgrade field's value */
unsigned int leash_http1_upgrade(struct leash_http1_text value);

/** leash_http1_chunk_init() - Before the first size line */
void leash_http1_chunk_init(struct leash_http1_chunk *chunk);

enum leash_http1_chunk_part {
	LEASH_CHUNK_FRAME,		/* size line or the CRLF behind the data */
	LEASH_CHUNK_DATA,
	LEASH_CHUNK_LAST		/* end of the last size line: the trailer follows */
};

/**
 * leash_http1_chunk_next() - What the next bytes of a chunked body are
 * @len:	At least 1
 * @ret_len:	How many of them, at least 1
 *
 * Size lines are `1*16HEXDIG [blanks] [;anything] CRLF`, at most LEASH_HTTP1_LINE_MAX bytes. LF
 * alone is refused here: readers disagree on where an extension ends, and on whether the two
 * bytes behind the data have to be looked at.
 *
 * Return: enum leash_http1_chunk_part, -EBADMSG
 */
int leash_http1_chunk_next(struct leash_http1_chunk *chunk, const uint8_t *buf, size_t len,
			   size_t *ret_len);

#endif
