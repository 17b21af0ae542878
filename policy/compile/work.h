/* SPDX-License-Identifier: MIT */
/*
 * The state of one compilation, private to policy/compile/.
 *
 *	parse.c		policy text   -> values with places
 *	project.c	JSON files    -> values with places
 *	check.c		the schema: what a value may be, and where it goes in the draft
 *	profile.c	what holds where the file says nothing
 *	compile.c	memory, files, faults, and the order of it all
 *
 * Nothing stops at the first fault: a step that finds one says so and goes on
 * with what it has. Memory that runs out is noted once (.oom) and makes the
 * whole compilation fail at its end, so that no step in between has to care: a
 * string that could not be kept is "", an item that could not be added is lost.
 */
#ifndef LEASH_COMPILE_WORK_H
#define LEASH_COMPILE_WORK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "build.h"
#include "compile.h"

#define LEASH_TEXT_MAX (16u << 20)	/* bytes of a file; and of a policy with all it includes */
#define LEASH_TIMEOUT_MAX_MS 60000	/* policy 5 */

/* Where something stands: index of leash_work.files, and a line, 0 if it has none. */
#define LEASH_NO_FILE UINT32_MAX
struct leash_place {
	uint32_t file;
	uint32_t line;
};

/* Items of one size, grown by doubling. */
struct leash_vec {
	void *items;
	size_t count, room;
};

/* A value as the files give it, from libconfig or JSON alike. */
enum leash_value_type {
	LEASH_VALUE_BOOL,	/* number: 0, 1 */
	LEASH_VALUE_INT,	/* number */
	LEASH_VALUE_FLOAT,	/* text, for messages: no key takes one */
	LEASH_VALUE_STRING,	/* text */
	LEASH_VALUE_NULL,
	LEASH_VALUE_ARRAY,	/* items; a list of libconfig as well */
	LEASH_VALUE_GROUP,	/* items with names */
};
struct leash_value {
	enum leash_value_type type;
	struct leash_place place;
	const char *name;	/* "" in an array */
	const char *text;
	int64_t number;
	const struct leash_value *items;
	size_t count;
};

struct leash_work_fault {
	struct leash_place place;
	uint32_t order;		/* keeps the order of faults of one line */
	enum leash_fault_kind kind;
	const char *message;
};

struct leash_work_file {
	const char *shown;	/* as the user, or the including file, wrote it */
	const char *dir;	/* what names in it are relative to: "" or ends in "/" */
};

#define LEASH_KEYS_MAX 64	/* rows of the schema; a test holds the table to it */

struct leash_chunk;
struct leash_work {
	const struct leash_compile_options *options;
	struct leash_draft draft;	/* settings and strings; its arrays are below */
	struct leash_vec entries;	/* struct leash_draft_entry */
	struct leash_vec entry_places;	/* struct leash_place, same index */
	struct leash_vec sources;	/* struct leash_draft_source */
	struct leash_vec distrust;	/* uint8_t[32] */
	struct leash_vec extra_ca;	/* const char * */
	struct leash_vec loopback_ports; /* uint16_t */
	struct leash_vec faults;	/* struct leash_work_fault */
	struct leash_vec files;		/* struct leash_work_file */
	const char *referer;		/* pattern, before {appid} and {version} are put in */
	const char *policy_shown;	/* whom faults of the policy as a whole belong to */
	struct leash_place given[LEASH_KEYS_MAX];	/* where the policy file sets a key */
	bool mode_audit;		/* mode = "audit" in the file */
	bool lan_prefix_given;		/* lan.netmask as a number of bits, not as a mask */
	bool parsed;			/* there is a policy text, and libconfig took it */
	bool oom;
	size_t error_count;
	struct leash_chunk *chunks;
};

/* ---- compile.c: memory */
void *leash_work_alloc(struct leash_work *work, size_t size);	/* NULL, and .oom */
const char *leash_work_keep(struct leash_work *work, const char *text, size_t len);
const char *leash_work_format(struct leash_work *work, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** leash_vec_add() - Room for one more item, or NULL and .oom. Stays valid until the next one */
void *leash_vec_add(struct leash_work *work, struct leash_vec *vec, size_t item_size);

/* ---- compile.c: faults and files */
void leash_work_fault(struct leash_work *work, enum leash_fault_kind kind, struct leash_place place,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));
#define leash_error(work, ...) leash_work_fault(work, LEASH_FAULT_ERROR, __VA_ARGS__)
#define leash_warning(work, ...) leash_work_fault(work, LEASH_FAULT_WARNING, __VA_ARGS__)
/** leash_work_quote() - @text in double quotes, cut where it is long; kept */
const char *leash_work_quote(struct leash_work *work, const char *text, size_t len);
/** leash_work_file() - A file that faults may stand in. Return: its index */
uint32_t leash_work_file(struct leash_work *work, const char *shown);
struct leash_work_file leash_work_file_at(const struct leash_work *work, uint32_t file);
/** leash_work_beside() - @name as it stands in @file, relative to that file's directory */
const char *leash_work_beside(struct leash_work *work, uint32_t file, const char *name);
/** leash_work_absolute() - Real path of the directory and the last name, which stays a link */
const char *leash_work_absolute(struct leash_work *work, const char *path);

#define LEASH_READ_OPTIONAL	0x1u	/* a file that is not there is no fault */
#define LEASH_READ_NO_SOURCE	0x2u	/* not one of the files that the image is made from */
/**
 * leash_work_read() - Read a text file, whole
 * @from:	Place that names the file, for faults; .file LEASH_NO_FILE: the file itself
 * @flags:	LEASH_READ_*
 * @ret_file:	Its index, for places in it
 * @ret_text:	Kept; a NUL behind it; without a byte order mark
 *
 * Refused, with a fault: what is no regular file, over LEASH_TEXT_MAX, writable by everybody,
 * or holds a NUL byte.
 *
 * Return: 0, -ENOENT (only with LEASH_READ_OPTIONAL, no fault), -EINVAL (there is a fault)
 */
int leash_work_read(struct leash_work *work, struct leash_place from, const char *path,
		    unsigned int flags, uint32_t *ret_file, const char **ret_text, size_t *ret_len);
/** leash_work_source() - @path, open as @fd, decides what the image is */
void leash_work_source(struct leash_work *work, const char *path, int fd);

/* ---- parse.c */
/** leash_parse_policy() - Return: the root group, or NULL and at least one fault */
const struct leash_value *leash_parse_policy(struct leash_work *work, const char *path);

/* ---- check.c */
struct leash_word {
	const char *text;
	uint8_t value;
};
struct leash_key {
	const char *path;		/* "networkTimeout.request" */
	void (*take)(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value);
	const char *accepted;		/* for messages; NULL: made from words, or min and max */
	const struct leash_word *words;	/* ends with .text NULL */
	int64_t min, max;
	size_t offset;			/* in struct leash_settings */
	uint8_t list;			/* enum leash_list */
	bool late;			/* needs other keys: taken when those are in place */
};
extern const struct leash_key leash_schema[];
extern const size_t leash_schema_count;
/** leash_check_apply() - Take one value for a key, from whichever file */
void leash_check_apply(struct leash_work *work, const char *path, const struct leash_value *value);
/** leash_check_policy() - Take all keys of a policy file; unknown ones are faults */
void leash_check_policy(struct leash_work *work, const struct leash_value *root);
/** leash_check_entry() - One entry of a list; @where and @index name it in messages */
void leash_check_entry(struct leash_work *work, enum leash_list list, struct leash_place place,
		       const char *where, size_t index, const char *text);
/** leash_check_whole() - What only shows when everything is there: contradictions, twins */
void leash_check_whole(struct leash_work *work);
/** leash_check_describe() - "the number 5", "the string \"x\"" */
const char *leash_check_describe(struct leash_work *work, const struct leash_value *value);

/* ---- project.c */
void leash_project_read(struct leash_work *work, const char *dir);
void leash_project_domains(struct leash_work *work, struct leash_place from, const char *path);

/* ---- profile.c */
extern const struct leash_word leash_profile_words[];
void leash_profile_apply(struct leash_work *work, enum leash_profile profile);

/* ---- idn.c */
/** leash_idn_normal() - leash_compile_name(), and why not. @ret_why: set with -EILSEQ, static */
int leash_idn_normal(const char *text, size_t len, char ret_name[static LEASH_NAME_SIZE],
		     const char **ret_why);

#endif
