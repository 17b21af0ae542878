/* SPDX-License-Identifier: MIT */
/* What body.c and body_head.c share; nobody else includes it. */
#ifndef LEASH_BODY_INNER_H
#define LEASH_BODY_INNER_H

#include "shim/http/body.h"

#include <errno.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

enum what { PUT_NOTHING, PUT_UTF_8, PUT_CHUNKED, PUT_LENGTH };

/* The lines that decide; an @at of NULL is a line that is not there */
struct leash_body_fields {
	struct leash_http1_text length_line; /* with its line end */
	struct leash_http1_text length, type;
	bool coded, ranged;
	bool twice; /* one that may be there once only: readers disagree */
};

uint8_t leash_body_lower(uint8_t byte);
struct leash_http1_text leash_body_trim(struct leash_http1_text text);
bool leash_body_is_text(struct leash_http1_text type);
struct leash_http1_text leash_body_until(struct leash_http1_text *text, char end);
bool leash_body_read_charsets(struct leash_body *body, const uint8_t *block,
			      struct leash_http1_text rest, enum leash_charset *ret);
struct leash_body_fields leash_body_read_fields(const uint8_t *block, size_t len);
void leash_body_read_length(struct leash_body *body, const struct leash_body_fields *fields,
			    const struct leash_response_head *head, const uint8_t *block);
void leash_body_release_head(struct leash_body *body, bool utf8, bool converted, uint32_t cut);
size_t leash_body_put(struct leash_text_io *io, const void *bytes, size_t len);
size_t leash_body_head_left(const struct leash_body_queue *queue);
size_t leash_body_queued(const struct leash_body_queue *queue);
void leash_body_drain(struct leash_body_queue *queue, struct leash_text_io *io);

#endif
