/* SPDX-License-Identifier: MIT */
/* netleash cert: the table, its sentences, and the same as JSON. */
#include "shim/launch/cert.h"

#include <string.h>

#include "shim/wire/tls_suite.h"

/* Rows, in the order in which they are shown. */
static const struct {
	enum leash_verify_rule rule;
	const char *label, *key;
} rows[] = {
	{LEASH_VERIFY_VALID, "certificate valid", "valid"},
	{LEASH_VERIFY_TRUSTED, "trusted root", "trusted"},
	{LEASH_VERIFY_NAME, "name matches", "name"},
	{LEASH_VERIFY_PERIOD, "in its validity period", "period"},
	{LEASH_VERIFY_COMPLETE, "chain complete as served", "complete"},
	{LEASH_VERIFY_SELF_SIGNED, "not self-signed", "selfSigned"},
	{LEASH_VERIFY_TLS_VERSION, "TLS 1.2 or newer", "tlsVersion"},
	{LEASH_VERIFY_STRENGTH, "key and signature strength", "strength"},
	{LEASH_VERIFY_SAN, "subjectAltName", "subjectAltName"},
	{LEASH_VERIFY_EKU, "extended key usage", "extendedKeyUsage"},
	{LEASH_VERIFY_LIFETIME, "lifetime", "lifetime"},
	{LEASH_VERIFY_CIPHER, "forward secrecy", "forwardSecrecy"},
	{LEASH_VERIFY_SHAPE, "form (RFC 5280)", "form"},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* --------------------------------------------------------------------- telling */

static void print_chain(const struct leash_cert_work *work, const struct leash_cert_seen *seen)
{
	puts("  chain as served:");
	for (size_t i = 0; i < seen->probe.cert_count; i++) {
		struct leash_cert_facts facts;
		long left;

		if (work->verifier->describe(&seen->probe.certs[i], &facts) < 0) {
			printf("    %zu  cannot be read (%zu bytes)\n", i,
			       seen->probe.certs[i].len);
			continue;
		}
		left = leash_cert_days(facts.not_after_s - work->now_s);
		printf("    %zu  %s\n       issuer %s%s\n       %s, %s, until %s, ", i,
		       facts.subject, facts.issuer, facts.self_signed ? " (itself)" : "", facts.key,
		       facts.signature, facts.not_after);
		if (left >= 0)
			printf("%ld days left\n", left);
		else
			puts("expired");
	}
}

static void print_versions(const struct leash_cert_seen *seen)
{
	if (!seen->has_versions)
		return;
	printf("  TLS:");
	for (int i = 0; i < LEASH_CERT_VERSIONS; i++)
		printf("%s 1.%d %s", i ? "," : "", i, seen->version[i] ? "yes" : "no");
	if (seen->probe.handshake_reached)
		printf("; a client gets 1.%d", seen->probe.version - LEASH_CERT_VERSION_FIRST);
	putchar('\n');
}

static const char *cell(int code)
{
	return code > 0 ? "FAIL" : code == 0 ? "ok" : "-";
}

static void print_row(const struct leash_cert_work *work, const char *label,
		      const char *const cells[])
{
	int gap = 31 - printf("  %s", label);

	for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++) {
		if (!(work->wish->shown & 1u << leash_cert_columns[k]))
			continue;
		printf("%*s%s", gap, "", cells[k]);
		gap = 10 - (int)strlen(cells[k]);
	}
	putchar('\n');
}

static void print_table(const struct leash_cert_work *work,
			const struct leash_cert_verdicts *verdicts)
{
	const struct leash_verify_out *out = verdicts->out;
	const char *cells[LEASH_CERT_COLUMNS];

	putchar('\n');
	for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++)
		cells[k] = leash_platform_text[leash_cert_columns[k]];
	print_row(work, "requirement", cells);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++)
			cells[k] = cell(out[leash_cert_columns[k]].rules[rows[i].rule]);
		print_row(work, rows[i].label, cells);
	}
	for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++)
		cells[k] = verdicts->ca_rule ? "warning" : "ok";
	print_row(work, "CA rules (200, 100, 47 days)", cells);
	for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++)
		cells[k] = out[leash_cert_columns[k]].code ? "FAIL" : "pass";
	print_row(work, "result", cells);
	putchar('\n');
}

/* One sentence for all platforms that say the same; a fault that breaks several requirements is told with
 * the first of them. */
static void print_faults(const struct leash_cert_work *work, const struct leash_cert_target *target,
			 struct leash_cert_seen *seen, const struct leash_cert_verdicts *verdicts)
{
	char told[LEASH_CERT_COLUMNS][LEASH_VERIFY_TEXT] = {""}; /* the last sentence of each */

	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct leash_verify_out out[LEASH_CERT_COLUMNS];
		bool open[LEASH_CERT_COLUMNS] = {false};

		for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++) {
			open[k] = (work->wish->shown & 1u << leash_cert_columns[k]) &&
				  verdicts->out[leash_cert_columns[k]].rules[rows[i].rule] > 0;
			if (!open[k])
				continue;
			out[k] = leash_cert_about(work, target, seen, leash_cert_columns[k],
						  rows[i].rule);
			open[k] = strcmp(out[k].sentence, told[k]) != 0;
			strcpy(told[k], out[k].sentence);
		}
		for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++) {
			if (!open[k])
				continue;
			printf("  %s (%s", rows[i].label,
			       leash_platform_text[leash_cert_columns[k]]);
			for (size_t m = k + 1; m < LEASH_CERT_COLUMNS; m++) {
				if (open[m] && strcmp(out[m].sentence, out[k].sentence) == 0) {
					printf(", %s", leash_platform_text[leash_cert_columns[m]]);
					open[m] = false;
				}
			}
			printf("): %s\n", out[k].sentence);
			if (out[k].depth >= 0)
				printf("    certificate %d: %s\n", out[k].depth, out[k].subject);
		}
	}
	for (size_t i = 0; i < verdicts->warning_count; i++)
		printf("  warning: %s\n", verdicts->warnings[i]);
}

void leash_cert_print(const struct leash_cert_work *work, const char *text,
		      const struct leash_cert_target *target, struct leash_cert_seen *seen,
		      const struct leash_cert_verdicts *verdicts)
{
	printf("%s: %s", text,
	       seen->trouble[0] ? "no certificate"
	       : verdicts->pass ? "pass"
				: "FAIL");
	if (seen->address[0] || work->wish->file)
		printf(" (%s)", work->wish->file ? work->wish->file : seen->address);
	putchar('\n');
	if (seen->trouble[0]) {
		printf("  %s\n", seen->trouble);
		print_versions(seen);
		return;
	}
	print_chain(work, seen);
	print_versions(seen);
	print_table(work, verdicts);
	print_faults(work, target, seen, verdicts);
}

/* ------------------------------------------------------------------------ JSON */

static void put_hex(json_t *object, const char *key, const uint8_t digest[static 32])
{
	char text[65];

	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	json_object_set_new(object, key, json_string(text));
}

static json_t *chain_json(const struct leash_cert_work *work, const struct leash_cert_seen *seen)
{
	json_t *array = json_array();

	for (size_t i = 0; i < seen->probe.cert_count; i++) {
		struct leash_cert_facts facts;
		json_t *cert = json_object();

		json_array_append_new(array, cert);
		if (work->verifier->describe(&seen->probe.certs[i], &facts) < 0)
			continue;
		json_object_set_new(cert, "subject", json_string(facts.subject));
		json_object_set_new(cert, "issuer", json_string(facts.issuer));
		json_object_set_new(cert, "selfSigned", json_boolean(facts.self_signed));
		json_object_set_new(cert, "key", json_string(facts.key));
		json_object_set_new(cert, "signature", json_string(facts.signature));
		json_object_set_new(cert, "notBefore", json_string(facts.not_before));
		json_object_set_new(cert, "notAfter", json_string(facts.not_after));
		json_object_set_new(cert, "daysLeft",
				    json_integer(leash_cert_days(facts.not_after_s - work->now_s)));
		put_hex(cert, "sha256", facts.sha256);
	}
	return array;
}

static json_t *platform_json(const struct leash_cert_work *work,
			     const struct leash_cert_target *target, struct leash_cert_seen *seen,
			     const struct leash_cert_verdicts *verdicts,
			     enum leash_verify_platform platform)
{
	const struct leash_verify_out *all = &verdicts->out[platform];
	json_t *object = json_object(), *rules = json_object();

	json_object_set_new(object, "pass", json_boolean(all->code == 0));
	json_object_set_new(object, "counts", json_boolean(work->wish->chosen & 1u << platform));
	for (size_t i = 0; i < ROW_COUNT; i++) {
		int code = all->rules[rows[i].rule];
		struct leash_verify_out out;
		json_t *rule;

		if (code <= 0) {
			json_object_set_new(rules, rows[i].key,
					    code ? json_null()
						 : json_pack("{s:s}", "result", "ok"));
			continue;
		}
		out = leash_cert_about(work, target, seen, platform, rows[i].rule);
		rule = json_pack("{s:s, s:i, s:s, s:s}", "result", "fail", "code", code, "error",
				 work->verifier->code_text(code), "sentence", out.sentence);
		if (out.depth >= 0) {
			json_object_set_new(rule, "depth", json_integer(out.depth));
			json_object_set_new(rule, "certificate", json_string(out.subject));
		}
		json_object_set_new(rules, rows[i].key, rule);
	}
	json_object_set_new(object, "rules", rules);
	return object;
}

json_t *leash_cert_json(const struct leash_cert_work *work, const char *text,
			const struct leash_cert_target *target, struct leash_cert_seen *seen,
			const struct leash_cert_verdicts *verdicts)
{
	json_t *object = json_object(), *part;
	char number[16], suite[LEASH_TLS_SUITE_TEXT];

	json_object_set_new(object, "target", json_string(text));
	if (work->wish->file)
		json_object_set_new(object, "file", json_string(work->wish->file));
	if (seen->address[0])
		json_object_set_new(object, "address", json_string(seen->address));
	json_object_set_new(object, "pass", json_boolean(!seen->trouble[0] && verdicts->pass));
	if (seen->trouble[0])
		json_object_set_new(object, "error", json_string(seen->trouble));
	if (seen->has_versions) {
		part = json_object();
		for (int i = 0; i < LEASH_CERT_VERSIONS; i++) {
			snprintf(number, sizeof(number), "1.%d", i);
			json_object_set_new(part, number, json_boolean(seen->version[i]));
		}
		json_object_set_new(object, "versions", part);
	}
	if (seen->trouble[0])
		return object;
	if (seen->probe.version) {
		snprintf(number, sizeof(number), "1.%d",
			 seen->probe.version - LEASH_CERT_VERSION_FIRST);
		json_object_set_new(object, "version", json_string(number));
		json_object_set_new(object, "cipher",
				    json_string(leash_tls_suite_name(seen->probe.cipher, suite)));
	}
	json_object_set_new(object, "chain", chain_json(work, seen));
	part = json_object();
	for (size_t k = 0; k < LEASH_CERT_COLUMNS; k++) {
		if (work->wish->shown & 1u << leash_cert_columns[k])
			json_object_set_new(
				part, leash_platform_text[leash_cert_columns[k]],
				platform_json(work, target, seen, verdicts, leash_cert_columns[k]));
	}
	json_object_set_new(object, "platforms", part);
	part = json_array();
	for (size_t i = 0; i < verdicts->warning_count; i++)
		json_array_append_new(part, json_string(verdicts->warnings[i]));
	json_object_set_new(object, "warnings", part);
	return object;
}
