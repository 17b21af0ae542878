/* build: shim/tls/verifier/cache.c shim/tls/verifier/chain.c shim/tls/verifier/entry.c shim/tls/verifier/name.c shim/tls/verifier/probe.c shim/tls/verifier/profile.c shim/tls/verifier/roots.c shim/tls/verifier/text.c -l:libssl.a -l:libcrypto.a */
/* SPDX-License-Identifier: MIT */
/*
 * Certificates from the network: DER of a leaf and of what was sent with it, each with two bytes of
 * length in front of it. The certificates of the chain are also the roots, so that a mutated one
 * is followed to its end. Whatever comes, there is an answer, it keeps the contract of
 * verifier.h, and its texts are UTF-8 without control characters.
 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/tls/verifier/inner.h"

#include <openssl/pem.h>

const struct leash_verifier *leash_verifier_entry(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct leash_verifier *verifier;
static char dir[] = "/tmp/leash-fuzz-XXXXXX", root[sizeof(dir) + 16];

static void clean_up(void)
{
	unlink(root);
	rmdir(dir);
}

static void start(void)
{
	verifier = leash_verifier_entry();
	assert(verifier && mkdtemp(dir));
	snprintf(root, sizeof(root), "%s.pem", dir);
	atexit(clean_up);
}

/* The roots of this input: whatever of it can be read and is signed by itself. */
static void *open_roots(const struct leash_der *certs, size_t count)
{
	const char *extra = root;
	struct leash_verify_roots roots = {.trust_dir = dir, .extra_ca = &extra};
	FILE *file = fopen(root, "we");
	char err[256];

	assert(file);
	for (size_t i = 0; i < count; i++) {
		X509 *cert = leash_verifier_parse(&certs[i]);

		if (cert && X509_self_signed(cert, 0) == 1) {
			PEM_write_X509(file, cert);
			roots.extra_ca_count = 1;
		}
		X509_free(cert);
	}
	fclose(file);
	return verifier->open(&roots, err, sizeof(err));
}

static void check_text(const char *text, size_t size)
{
	char again[1024];
	size_t len = strnlen(text, size);

	assert(len < size);
	leash_text_copy(again, sizeof(again), text, len);
	assert(strcmp(again, text) == 0);
}

static void check(const struct leash_verify_out *out, int code)
{
	assert(code == out->code);
	assert(out->rule < LEASH_VERIFY_RULES);
	assert((code == 0) == (out->rule == LEASH_VERIFY_OK));
	assert((code == 0) == (out->sentence[0] == '\0'));
	assert(out->depth < (out->chain_len ? out->chain_len : 1));
	check_text(out->sentence, sizeof(out->sentence));
	check_text(out->subject, sizeof(out->subject));
	check_text(out->issuer, sizeof(out->issuer));
	for (int i = 0; code == 0 && i < LEASH_VERIFY_RULES; i++)
		assert(out->rules[i] <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leash_der certs[LEASH_CHAIN_MAX + 2];
	struct leash_verify_in in = {.name = "api.example.com", .now_s = 1780272000};
	struct leash_verify_out out, again;
	struct leash_cert_facts facts;
	size_t count = 0, len;
	void *store;

	if (!verifier)
		start();
	while (size > 2 && count < LEASH_CHAIN_MAX + 2) {
		len = (size_t)data[0] << 8 | data[1];
		len = len > size - 2 ? size - 2 : len;
		certs[count++] = (struct leash_der){.bytes = data + 2, .len = len};
		data += 2 + len;
		size -= 2 + len;
	}
	if (count == 0)
		return 0;
	store = open_roots(certs, count);
	in.leaf = certs[0];
	in.others = certs + 1;
	in.other_count = count - 1;
	for (int i = 0; store && i < 2; i++) {
		in.platform = i ? LEASH_VERIFY_STRICT : LEASH_VERIFY_IOS;
		check(&out, verifier->verify(store, &in, &out));
		/* The same again, and that may come from the cache. */
		check(&again, verifier->verify(store, &in, &again));
		assert(memcmp(&out, &again, sizeof(out)) == 0);
		/* A refusal has its sentence whichever rule is asked about. */
		for (int rule = 1; out.code && rule < LEASH_VERIFY_RULES; rule++) {
			if (out.rules[rule] <= 0)
				continue;
			in.about = (enum leash_verify_rule)rule;
			check(&again, verifier->verify(store, &in, &again));
			assert(again.code == out.code && again.rule == in.about);
		}
		in.about = LEASH_VERIFY_OK;
	}
	if (store)
		verifier->close(store);
	if (verifier->describe(&certs[0], &facts) == 0) {
		check_text(facts.subject, sizeof(facts.subject));
		check_text(facts.issuer, sizeof(facts.issuer));
	}
	return 0;
}
