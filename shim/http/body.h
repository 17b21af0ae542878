/* SPDX-License-Identifier: MIT */
/*
 * The body of one response on its way to the program: text arrives as UTF-8 with exactly one
 * BOM filtered, and the header's lengths stay true (policy 9, tls-http 13). Everything else
 * is not touched, and that is said at once.
 *
 * Fed with the items of http/response.h. For an answer that leash_body_begin() wants to change,
 * the program sees nothing but what comes out here, header included:
 *
 *	HEAD -> begin;  BODY -> data;  FRAME, TRAILER -> frame;  @end, or the close -> end
 *
 * and for any other answer it sees the items as they are. RAW in the middle of one: the framing is
 * broken; end (not whole), then those bytes as they are.
 *
 * Plain state without locks, one caller at a time; no memory but what iconv takes between begin
 * and end. What does not fit the program's buffer waits here only up to LEASH_BODY_SPILL_SIZE;
 * past that the caller keeps the input, so memory is bounded whatever the body is.
 */
#ifndef LEASH_BODY_H
#define LEASH_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/http/charset.h"
#include "shim/http/response.h"

#define LEASH_BODY_EDITS_MAX 5		/* in one header: its length, four charset= */
#define LEASH_BODY_SPILL_SIZE 256	/* what a small buffer had no room for */
#define LEASH_BODY_FRAME_SIZE 32	/* a first size line that can be passed on */
#define LEASH_BODY_LABEL_SIZE 24

/* What is to be recorded, once an answer, when it has ended */
enum leash_body_note {
	LEASH_BODY_NOTE_NONE,
	LEASH_BODY_NOTE_UNKNOWN,	/* charset= names nothing; untouched */
	LEASH_BODY_NOTE_UNSUPPORTED,	/* "replacement" or x-user-defined; untouched */
	LEASH_BODY_NOTE_NO_CONVERTER,	/* the C library cannot convert it; untouched */
	LEASH_BODY_NOTE_MALFORMED,	/* bytes that cannot be converted arrive as they are */
	LEASH_BODY_NOTE_HEADER,		/* can be read in two ways; untouched */
};

/* One place of the header that is written anew */
struct leash_body_edit {
	uint32_t at, del;		/* where, and how many bytes go */
	uint8_t what;
};

/* What comes out before anything else: the rest of the header, then the spill */
struct leash_body_queue {
	const uint8_t *block;
	uint32_t block_len, block_at;
	uint32_t put_at;		/* of the text of the current edit */
	bool released;			/* the header may go out */
	uint8_t edit_at, edit_count;
	char length[21];		/* Content-Length anew */
	struct leash_body_edit edits[LEASH_BODY_EDITS_MAX];
	uint16_t spill_at, spill_len;
	uint8_t spill[LEASH_BODY_SPILL_SIZE];
};

/* All of it is its own. Lies where the caller wants and stays there from begin to end */
struct leash_body {
	uint8_t state, framing, frame_state, note;
	bool convert;
	bool rechunk;			/* goes out in chunks of our own */
	bool closes;
	bool chunks_ok;			/* both sides speak HTTP/1.1 */
	bool declared_utf8;		/* charset= says so, or there is none */
	bool frame_kept;		/* the only size line so far is in frame */
	bool frame_zero, trailer_seen;
	uint8_t frame_len;
	uint8_t first[3], first_at, first_len;	/* until it is known whether they are a BOM */
	uint8_t charset_count;
	uint64_t length;		/* Content-Length as it came */
	struct leash_body_edit length_line, length_digits;
	struct leash_body_edit charsets[LEASH_BODY_EDITS_MAX - 1];
	uint8_t frame[LEASH_BODY_FRAME_SIZE];
	char label[LEASH_BODY_LABEL_SIZE];
	struct leash_charset_conv conv;
	struct leash_body_queue queue;
};

/**
 * leash_body_begin() - Is this an answer whose body is changed?
 * @body:	Whatever it was before (but ended or aborted); filled in
 * @head:	Facts of the header; not needed after the call
 * @block:	Its bytes, as the item has them (under 4 GiB); must stay until leash_body_head_out()
 * @ask:	LEASH_ASK_* of the request
 *
 * Only for requests of class "request" under a policy that converts bodies. Not changed: no body,
 * 101, 206, Content-Range, Content-Encoding other than identity, a type that is no text (policy 9:
 * text, JSON, XML, JavaScript, form), a header that can be read in two ways.
 *
 * Return: true: see above, and in the end call leash_body_end() until it is done, or
 *	   leash_body_abort(). false: the answer is the program's as it came, and no other call is
 *	   needed (leash_body_note() may tell something)
 */
bool leash_body_begin(struct leash_body *body, const struct leash_response_head *head,
		      const uint8_t *block, size_t block_len, unsigned int ask);

/**
 * leash_body_data() - Bytes of the body, without its framing
 * @io:		@in is taken as far as there is room, @out gets the header and what the bytes
 *		become. The two must not overlap
 *
 * With an empty @in it fetches what is pending. Bytes may be taken without any coming out: while
 * the header is held until the BOM is known, or at the beginning of a character.
 *
 * Return: 0 if all of @in was taken (then leash_body_pending() may be over 0); -ENOBUFS if not:
 *	   @out is full, and the caller keeps the rest of @in for its next call. That does not
 *	   happen if the header was out, nothing was pending and at most leash_body_ask() bytes were
 *	   read; -EINVAL for bytes behind the end
 */
int leash_body_data(struct leash_body *body, struct leash_text_io *io);

/** leash_body_frame() - Bytes of FRAME and TRAILER items. Return: as leash_body_data() */
int leash_body_frame(struct leash_body *body, struct leash_text_io *io);

/**
 * leash_body_end() - The body is over
 * @io:		@in is not looked at
 * @whole:	As its framing wanted. false: the connection ended before; what was held comes out,
 *		and no end is feigned
 *
 * Return: 0 if everything is out and iconv's memory is given back; -ENOBUFS if @out is full: call
 *	   it again, with the same @whole, before anything of the next answer
 */
int leash_body_end(struct leash_body *body, struct leash_text_io *io, bool whole);

/** leash_body_abort() - Give up, at any time between begin and the next begin; may be repeated */
void leash_body_abort(struct leash_body *body);

/** leash_body_pending() - Bytes that come out without another byte from the server (SSL_pending).
 *  A header that is held for the BOM is not among them */
size_t leash_body_pending(const struct leash_body *body);

/** leash_body_peek() - The same bytes, and they stay (SSL_peek). Return: how many, at most @size */
size_t leash_body_peek(const struct leash_body *body, void *buf, size_t size);

/**
 * leash_body_ask() - How much to read from the server for a program's buffer of @size bytes
 * @body:	NULL while the header is not known
 *
 * Counts framing too. Return: 1 to @size (1 for 0)
 */
size_t leash_body_ask(const struct leash_body *body, size_t size);

/** leash_body_plain() - Nothing is held or pending, and all that is still to come, framing
 *  included, comes out as it goes in: the caller may hand it over itself and only call end */
bool leash_body_plain(const struct leash_body *body);

/** leash_body_head_out() - @block of begin is no longer needed */
bool leash_body_head_out(const struct leash_body *body);

/** leash_body_closes() - Only the end of the connection can show the program where this body ends
 *  (its length went and HTTP/1.0 has no chunks), but the server may keep it open: once
 *  leash_body_end() is done the caller reports the end of the stream, and passes no more */
bool leash_body_closes(const struct leash_body *body);

/** leash_body_note() - What to record; final after the end */
enum leash_body_note leash_body_note(const struct leash_body *body);
/** leash_body_note_text() - In words; "" for NONE */
const char *leash_body_note_text(enum leash_body_note note);
/** leash_body_label() - charset= as declared, cut, other than printable ASCII as '?'; "" if none */
const char *leash_body_label(const struct leash_body *body);

#endif
