/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the verifier: the object itself, as programs get it, and PEM without OpenSSL.
 */
#ifndef VERIFY_LOAD_H
#define VERIFY_LOAD_H

#include "../../shim/tls/verifier/verifier.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The object beside the directory of this test. Ends the test if it is not to be had. */
static inline const char *verifier_path(void)
{
	static char path[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	char *slash;

	if (len <= 0)
		abort();
	path[len] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/../%s", LEASH_VERIFIER_NAME);
	return path;
}

static inline const struct leash_verifier *verifier_load(void)
{
	void *object = dlopen(verifier_path(), RTLD_NOW | RTLD_LOCAL);
	leash_verifier_entry_fn *entry;
	const struct leash_verifier *verifier = NULL;

	if (object) {
		*(void **)&entry = dlsym(object, LEASH_VERIFIER_ENTRY);
		verifier = entry ? entry() : NULL;
	}
	if (!verifier) {
		fprintf(stderr, "%s: %s\n", verifier_path(), dlerror());
		abort();
	}
	return verifier;
}

static inline int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The next certificate of a PEM text at *@text, which moves on; false behind the last. */
static inline bool pem_next(const char **text, struct leash_der *ret)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const char *at = strstr(*text, begin), *end = at ? strstr(at, "-----END ") : NULL;
	uint8_t *bytes;
	uint32_t bits = 0;
	size_t len = 0;
	int have = 0;

	if (!end)
		return false;
	bytes = malloc((size_t)(end - at));
	if (!bytes)
		abort();
	for (at += sizeof(begin) - 1; at < end; at++) {
		int digit = base64_digit(*at);

		if (digit < 0)
			continue;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			bytes[len++] = (uint8_t)(bits >> have);
		}
	}
	/* Exactly as long as it is: a read behind it is seen by the sanitizer. */
	ret->bytes = realloc(bytes, len ? len : 1);
	ret->len = len;
	*text = end + 9;
	return true;
}

struct served {
	struct leash_der certs[LEASH_CHAIN_MAX + 4];
	size_t count;
};

static inline void served_add(struct served *served, const char *text)
{
	while (served->count < LEASH_CHAIN_MAX + 4 &&
	       pem_next(&text, &served->certs[served->count]))
		served->count++;
}

static inline void served_free(struct served *served)
{
	for (size_t i = 0; i < served->count; i++)
		free((void *)served->certs[i].bytes);
	served->count = 0;
}

/* The chain as an input of verify() */
static inline struct leash_verify_in served_in(const struct served *served)
{
	return (struct leash_verify_in){
		.leaf = served->count ? served->certs[0] : (struct leash_der){0},
		.others = served->certs + 1,
		.other_count = served->count ? served->count - 1 : 0,
	};
}

/* "2026-06-01T00:00:00", UTC, with or without an offset of +00:00 */
static inline int64_t time_of(const char *text)
{
	struct tm tm = {0};

	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		abort();
	return (int64_t)timegm(&tm);
}

static inline char *slurp(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t len = 0, size = 1 << 16;
	char *text;

	if (!file)
		return NULL;
	text = malloc(size);
	for (size_t n = 1; text && n > 0; len += n) {
		if (len + 1 == size)
			text = realloc(text, size *= 2);
		if (!text)
			abort();
		n = fread(text + len, 1, size - len - 1, file);
	}
	fclose(file);
	if (text)
		text[len] = '\0';
	return text;
}

#endif
