/* SPDX-License-Identifier: MIT */
/*
 * Policy text in; an image, or every fault of it with its place, out.
 *
 * Linked into the netleash command only: it allocates, reads files and uses
 * libconfig, jansson and libidn2, none of which may be inside a program that
 * is on the leash.
 */
#ifndef LEASH_COMPILE_H
#define LEASH_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../policy.h"

enum leash_fault_kind { LEASH_FAULT_ERROR, LEASH_FAULT_WARNING };

/* One fault. All strings are owned by the result; file is as the user wrote it
 * (the included file's own path for @include), line 0 where a line makes no sense. */
struct leash_fault {
	enum leash_fault_kind kind;
	const char *file;
	unsigned int line;
	const char *message;	/* what was found and what is accepted, one line */
};

struct leash_compile_options {
	const char *policy;	/* path; NULL: no policy file, a --project alone or defaults */
	const char *project;	/* --project DIR, or NULL */
	int audit;		/* --audit: 1 on; -1: what the file says */
	const char *profile;	/* --profile, or NULL: wins over the file */
	const char *platform;	/* --platform, or NULL: wins over the file */
	bool lint;		/* warn of what takes time to find as well (netleash check) */
};

struct leash_compiled {
	void *image;		/* owned; NULL if there was an error */
	size_t image_len;
	struct leash_fault *faults;	/* owned; in the order of file and line */
	size_t fault_count;
	size_t error_count;
};

/**
 * leash_compile() - Read, check and compile a policy
 * @options:	What to read
 * @ret:	Always filled in; free with leash_compiled_free()
 *
 * Every fault is found in one go, except that a file that libconfig cannot parse
 * has one syntax error (the parser stops there).
 *
 * Return: 0 if @ret->image is usable (there may be warnings), -EINVAL if the
 *	   policy has errors, -ENOMEM
 */
int leash_compile(const struct leash_compile_options *options, struct leash_compiled *ret);
void leash_compiled_free(struct leash_compiled *compiled);

/**
 * leash_compile_name() - A host name as a person wrote it, in normal form
 * @text:	May hold UTF-8 (UTS #46 is applied)
 * Return: length, -EINVAL (no host name), -EILSEQ (not valid IDN)
 */
int leash_compile_name(const char *text, size_t len, char ret_name[static LEASH_NAME_SIZE]);

/** leash_compile_unenforced() - What the policy asks for and this build does not do yet
 *  @i: from 0. Return: one phrase such as "networkTimeout", or NULL behind the last */
const char *leash_compile_unenforced(const struct leash_image *image, size_t i);

#endif
