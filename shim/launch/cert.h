/* SPDX-License-Identifier: MIT */
/* What the files of `netleash cert` share; nobody else includes it. */
#ifndef LEASH_CERT_H
#define LEASH_CERT_H

#include <jansson.h>

#include "shim/launch/launch.h"
#include "shim/tls/verifier/verifier.h"

#define LEASH_CERT_VERSIONS      4
#define LEASH_CERT_VERSION_FIRST 0x0301

/* Columns, in the order in which they are shown */
#define LEASH_CERT_COLUMNS 4
extern const enum leash_verify_platform leash_cert_columns[LEASH_CERT_COLUMNS];

struct leash_cert_wish {
	struct leash_compile_options compile;
	char *file;
	const char *host;
	unsigned int shown, chosen; /* bits by enum leash_verify_platform */
	int timeout_ms;
	bool json;
};

struct leash_cert_target {
	char name[LEASH_NAME_SIZE]; /* normal form; "" for an address */
	struct leash_addr addr;     /* .family 0: a name */
	uint16_t port;
};

/* What was seen of a server, or read from a file. */
struct leash_cert_seen {
	char address[LEASH_ADDR_TEXT_SIZE + 16]; /* "" for a file */
	struct leash_probe_out probe;            /* the chain that is judged */
	struct leash_der others[LEASH_CHAIN_MAX];
	bool has_versions, version[LEASH_CERT_VERSIONS]; /* TLS 1.0 … 1.3 */
	char trouble[LEASH_VERIFY_TEXT];                 /* why there is no certificate */
};

struct leash_cert_verdicts {
	struct leash_verify_out out[LEASH_VERIFY_PLATFORMS];
	char warnings[4][LEASH_VERIFY_TEXT];
	size_t warning_count;
	bool ca_rule; /* the first of the warnings is one of the CAs' */
	bool pass;
};

struct leash_cert_work {
	const struct leash_command *self;
	const struct leash_cert_wish *wish;
	const struct leash_verifier *verifier;
	void *store;
	int64_t now_s;
};

/** leash_cert_visit() - Look at a server: its chain, or .trouble */
void leash_cert_visit(const struct leash_cert_work *work, const struct leash_cert_target *target,
		      struct leash_cert_seen *seen);

/** leash_cert_read() - A chain from a file, PEM or DER. Return: exit status; said if it is not 0 */
int leash_cert_read(const char *path, struct leash_cert_seen *seen);

/** leash_cert_about() - The sentence of one rule on one platform, which verify() gives for the
 * asking */
struct leash_verify_out leash_cert_about(const struct leash_cert_work *work,
					 const struct leash_cert_target *target,
					 struct leash_cert_seen *seen,
					 enum leash_verify_platform platform,
					 enum leash_verify_rule rule);

/** leash_cert_days() - Whole days, rounded down */
long leash_cert_days(int64_t seconds);

/** leash_cert_print() - The table and its sentences, on standard output. @text: as it was asked for
 */
void leash_cert_print(const struct leash_cert_work *work, const char *text,
		      const struct leash_cert_target *target, struct leash_cert_seen *seen,
		      const struct leash_cert_verdicts *verdicts);

/** leash_cert_json() - The same as an object. Return: a new reference */
json_t *leash_cert_json(const struct leash_cert_work *work, const char *text,
			const struct leash_cert_target *target, struct leash_cert_seen *seen,
			const struct leash_cert_verdicts *verdicts);

#endif
