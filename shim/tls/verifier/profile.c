/* SPDX-License-Identifier: MIT */
/*
 * Faults to rules, the platforms' additions, and the sentence.
 *
 * Tables of tls-http.md section 11; sources of the additions: support.apple.com/103769 (825 days,
 * EKU, key sizes), support.apple.com/102028 (398 days), Chromium net/docs/certificate_lifetimes.md.
 */
#include "inner.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#define DAY_S        86400
#define DATE_2019_07 1561939200 /* 2019-07-01T00:00:00Z */
#define DATE_2020_09 1598918400 /* 2020-09-01T00:00:00Z */
#define TLS12        0x0303
#define TLS13        0x0304

enum wish { NEVER, FROM_2019_07, ALWAYS };

static const struct addition {
	bool named_sizes;  /* EC >= 256, RSA >= 2048 */
	enum wish eku;     /* must be present */
	bool days_825;     /* issued from 2019-07-01, any root */
	bool days_398;     /* issued from 2020-09-01, preinstalled roots */
	bool days_398_any; /* … any root */
	bool forward_secrecy, shape;
} additions[LEASH_VERIFY_PLATFORMS] = {
	[LEASH_VERIFY_ANDROID] = {.days_398 = true},
	[LEASH_VERIFY_IOS] = {.named_sizes = true,
			      .eku = FROM_2019_07,
			      .days_825 = true,
			      .days_398 = true},
	[LEASH_VERIFY_DEVTOOLS] = {.named_sizes = false},
	[LEASH_VERIFY_STRICT] = {.named_sizes = true,
				 .eku = ALWAYS,
				 .days_825 = true,
				 .days_398 = true,
				 .days_398_any = true,
				 .forward_secrecy = true,
				 .shape = true},
};

static const char *const platform_text[LEASH_VERIFY_PLATFORMS] = {
	[LEASH_VERIFY_ANDROID] = "android",
	[LEASH_VERIFY_IOS] = "ios",
	[LEASH_VERIFY_DEVTOOLS] = "devtools",
	[LEASH_VERIFY_STRICT] = "strict",
};

/* What is told first where several rules fail: without the earlier ones the later say little. */
static const enum leash_verify_rule order[] = {
	LEASH_VERIFY_TLS_VERSION, LEASH_VERIFY_SELF_SIGNED, LEASH_VERIFY_COMPLETE,
	LEASH_VERIFY_TRUSTED,     LEASH_VERIFY_VALID,       LEASH_VERIFY_SAN,
	LEASH_VERIFY_NAME,        LEASH_VERIFY_PERIOD,      LEASH_VERIFY_EKU,
	LEASH_VERIFY_STRENGTH,    LEASH_VERIFY_LIFETIME,    LEASH_VERIFY_CIPHER,
	LEASH_VERIFY_SHAPE,
};
static_assert(sizeof(order) / sizeof(order[0]) == LEASH_VERIFY_RULES - 1, "every rule has a place");

struct ruling {
	const struct leash_judged *judged;
	const struct leash_verify_in *in;
	struct leash_verify_out *out;
	int depth[LEASH_VERIFY_RULES];
	/* Which of the platform's additions failed: they share codes with the common rules. */
	const char *added[LEASH_VERIFY_RULES];
	long days_max;
};

static bool issued_from(X509 *cert, time_t date)
{
	return ASN1_TIME_cmp_time_t(X509_get0_notBefore(cert), date) >= 0;
}

static bool incomplete(int code)
{
	return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

/* ---------------------------------------------------------------------- faults */

/*
 * No issuer: a missing intermediate, or a root that is not trusted and, as usual, not sent. A
 * leaf alone is the first, and so is an intermediate that only the store has.
 */
static enum leash_verify_rule rule_of_incomplete(const struct leash_judged *judged)
{
	return sk_X509_num(judged->chain) <= 1 || judged->hidden ? LEASH_VERIFY_COMPLETE
								 : LEASH_VERIFY_TRUSTED;
}

static enum leash_verify_rule rule_of(const struct leash_judged *judged, int code, int depth)
{
	X509 *cert = leash_chain_at(judged, depth);

	if (incomplete(code))
		return rule_of_incomplete(judged);
	switch (code) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
		return LEASH_VERIFY_PERIOD;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return LEASH_VERIFY_SELF_SIGNED;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
		return LEASH_VERIFY_TRUSTED;
	case X509_V_ERR_INVALID_PURPOSE:
		return cert && X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) >= 0 &&
				       !(X509_get_extended_key_usage(cert) & XKU_SSL_SERVER)
			       ? LEASH_VERIFY_EKU
			       : LEASH_VERIFY_VALID;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return LEASH_VERIFY_STRENGTH;
	}
	/* From 80 on: what X509_V_FLAG_X509_STRICT adds; 94, a nameless curve, is for everybody. */
	if (code == X509_V_ERR_EC_KEY_EXPLICIT_PARAMS)
		return LEASH_VERIFY_VALID;
	return code >= X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA ? LEASH_VERIFY_SHAPE
							     : LEASH_VERIFY_VALID;
}

/* The fault nearest to the leaf is the one its owner can mend. */
static bool fail(struct ruling *ruling, enum leash_verify_rule rule, int code, int depth)
{
	if (ruling->out->rules[rule] > 0 && ruling->depth[rule] <= depth)
		return false;
	ruling->out->rules[rule] = code;
	ruling->depth[rule] = depth;
	ruling->added[rule] = NULL;
	return true;
}

static void fail_added(struct ruling *ruling, enum leash_verify_rule rule, int code, int depth,
		       const char *what)
{
	if (fail(ruling, rule, code, depth))
		ruling->added[rule] = what;
}

static void take_faults(struct ruling *ruling)
{
	const struct leash_judged *judged = ruling->judged;

	for (size_t i = 0; i < judged->fault_count; i++) {
		const struct leash_fault_at *fault = &judged->faults[i];

		fail(ruling, rule_of(judged, fault->code, fault->depth), fault->code, fault->depth);
	}
}

static bool is_root(const struct leash_judged *judged, X509 *cert)
{
	X509 *certs[64];
	size_t count = leash_roots_find(judged->roots, X509_get_subject_name(cert), certs, 64);

	for (size_t i = 0; i < count; i++) {
		if (X509_cmp(certs[i], cert) == 0)
			return true;
	}
	return false;
}

/* A rule that cannot be judged because another one failed is not known, neither good nor bad. */
static void settle_trust(struct ruling *ruling)
{
	int *rules = ruling->out->rules;

	if (rules[LEASH_VERIFY_COMPLETE] > 0 && rules[LEASH_VERIFY_TRUSTED] == 0)
		rules[LEASH_VERIFY_TRUSTED] = -1;
	if (rules[LEASH_VERIFY_COMPLETE] == 0 && incomplete(rules[LEASH_VERIFY_TRUSTED]))
		rules[LEASH_VERIFY_COMPLETE] = -1;
	if (rules[LEASH_VERIFY_SELF_SIGNED] > 0 && rules[LEASH_VERIFY_TRUSTED] == 0 &&
	    !is_root(ruling->judged, ruling->judged->leaf))
		fail(ruling, LEASH_VERIFY_TRUSTED, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 0);
}

/* ------------------------------------------------------------------- the rules */

static void judge_name(struct ruling *ruling)
{
	int code = ruling->in->name ? X509_V_ERR_HOSTNAME_MISMATCH : X509_V_ERR_IP_ADDRESS_MISMATCH;
	X509 *leaf = ruling->judged->leaf;

	if (leash_name_matches(leaf, ruling->in))
		return;
	fail(ruling, LEASH_VERIFY_NAME, code, 0);
	if (leash_name_alternatives(leaf, ruling->in) == 0)
		fail(ruling, LEASH_VERIFY_SAN, code, 0);
}

static void judge_eku(struct ruling *ruling, const struct addition *addition)
{
	X509 *leaf = ruling->judged->leaf;
	bool wanted = addition->eku == ALWAYS ||
		      (addition->eku == FROM_2019_07 && issued_from(leaf, DATE_2019_07));

	/* One without serverAuth is OpenSSL's finding, on every platform. */
	if (wanted && X509_get_ext_by_NID(leaf, NID_ext_key_usage, -1) < 0)
		fail_added(ruling, LEASH_VERIFY_EKU, X509_V_ERR_INVALID_PURPOSE, 0, "no EKU");
}

/*
 * RSA by its bits: OpenSSL's level 2 rounds, and lets 2047 pass. EC below 224 is its finding.
 * Keys named by the platform are no addition where everybody wants them.
 */
static void judge_sizes(struct ruling *ruling, const struct addition *addition)
{
	for (int i = 0; i < sk_X509_num(ruling->judged->chain); i++) {
		EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(ruling->judged->chain, i));
		int kind = key ? EVP_PKEY_get_base_id(key) : 0;
		int bits = key ? EVP_PKEY_get_bits(key) : 0;

		int code = i ? X509_V_ERR_CA_KEY_TOO_SMALL : X509_V_ERR_EE_KEY_TOO_SMALL;

		if ((kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS) && bits < 2048)
			fail(ruling, LEASH_VERIFY_STRENGTH, code, i);
		else if (addition->named_sizes && kind == EVP_PKEY_EC && bits < 256)
			fail_added(ruling, LEASH_VERIFY_STRENGTH, code, i, "key");
	}
}

/* Days of 86400 seconds, both ends included. */
static bool longer_than(X509 *cert, long days)
{
	int day = 0, second = 0;

	if (ASN1_TIME_diff(&day, &second, X509_get0_notBefore(cert), X509_get0_notAfter(cert)) != 1)
		return true;
	return (int64_t)day * DAY_S + second + 1 > (int64_t)days * DAY_S;
}

static void too_long(struct ruling *ruling, long days)
{
	ruling->days_max = days;
	fail_added(ruling, LEASH_VERIFY_LIFETIME, X509_V_ERR_APPLICATION_VERIFICATION, 0, "days");
}

static void judge_lifetime(struct ruling *ruling, const struct addition *addition)
{
	const struct leash_judged *judged = ruling->judged;
	X509 *root = leash_chain_at(judged, sk_X509_num(judged->chain) - 1);

	if (!longer_than(judged->leaf, 398))
		return;
	if (root && is_root(judged, root))
		ruling->out->preinstalled = leash_roots_preinstalled(judged->roots, root);
	if (addition->days_398 && issued_from(judged->leaf, DATE_2020_09) &&
	    (addition->days_398_any || ruling->out->preinstalled))
		too_long(ruling, 398);
	else if (addition->days_825 && issued_from(judged->leaf, DATE_2019_07) &&
		 longer_than(judged->leaf, 825))
		too_long(ruling, 825);
}

/* TLS 1.2 suites with ephemeral keys and a certificate (RFC 5289, 7905, 6655, 7251, 6209, 6367) */
static bool is_forward_secret(uint16_t cipher)
{
	static const uint16_t ranges[][2] = {
		{0xc007, 0xc00a}, {0xc011, 0xc014}, {0xc023, 0xc024}, {0xc027, 0xc028},
		{0xc02b, 0xc02c}, {0xc02f, 0xc030}, {0xc048, 0xc049}, {0xc04c, 0xc04d},
		{0xc05c, 0xc05d}, {0xc060, 0xc061}, {0xc072, 0xc073}, {0xc076, 0xc077},
		{0xc086, 0xc087}, {0xc08a, 0xc08b}, {0xc0ac, 0xc0af}, {0xcca8, 0xcca9},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (cipher >= ranges[i][0] && cipher <= ranges[i][1])
			return true;
	}
	return false;
}

static void judge_session(struct ruling *ruling, const struct addition *addition)
{
	const struct leash_verify_in *in = ruling->in;
	int *rules = ruling->out->rules;

	rules[LEASH_VERIFY_TLS_VERSION] = in->tls_version ? 0 : -1;
	if (in->tls_version && in->tls_version < TLS12)
		fail(ruling, LEASH_VERIFY_TLS_VERSION, X509_V_ERR_APPLICATION_VERIFICATION, -1);
	if (!addition->forward_secrecy || !in->tls_version || !in->cipher)
		return;
	rules[LEASH_VERIFY_CIPHER] = 0;
	if (in->tls_version < TLS13 && !is_forward_secret(in->cipher))
		fail(ruling, LEASH_VERIFY_CIPHER, X509_V_ERR_APPLICATION_VERIFICATION, -1);
}

static void judge_shape(struct ruling *ruling)
{
	X509 *leaf = ruling->judged->leaf;
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	int kind = key ? EVP_PKEY_get_base_id(key) : 0;

	if (X509_get_extension_flags(leaf) & EXFLAG_CA)
		fail_added(ruling, LEASH_VERIFY_SHAPE, X509_V_ERR_INVALID_CA, 0, "CA");
	if (X509_get_version(leaf) != X509_VERSION_3)
		fail_added(ruling, LEASH_VERIFY_SHAPE, X509_V_ERR_APPLICATION_VERIFICATION, 0,
			   "version");
	if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC && kind != EVP_PKEY_ED25519)
		fail_added(ruling, LEASH_VERIFY_SHAPE, X509_V_ERR_EE_KEY_TOO_SMALL, 0, "kind");
}

/* ------------------------------------------------------------------ sentences */

struct story {
	char who[80], issuer[80]; /* of the offending certificate */
	bool leaf, root;
	const char *what; /* "the certificate", "the intermediate", "the root" */
	char *buf;
};

__attribute__((format(printf, 2, 3))) static void say(const struct story *story, const char *format,
						      ...)
{
	char text[2 * LEASH_VERIFY_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	leash_text_copy(story->buf, LEASH_VERIFY_TEXT, text, strlen(text));
}

static void say_incomplete(const struct ruling *ruling, const struct story *story)
{
	const struct leash_judged *judged = ruling->judged;
	char hidden[80];

	if (judged->hidden) {
		leash_text_brief(X509_get_subject_name(judged->hidden), hidden, sizeof(hidden));
		say(story,
		    "the server does not send the intermediate \"%s\", only this system's store "
		    "has "
		    "it: install fullchain, the leaf followed by its intermediates",
		    hidden);
	} else if (sk_X509_num(judged->chain) > 1) {
		say(story,
		    "the chain ends at \"%s\", whose issuer \"%s\" was not sent and is no trusted "
		    "root: send what is missing, or use a CA that the platform trusts",
		    story->who, story->issuer);
	} else if (ruling->in->other_count == 0) {
		say(story,
		    "the server sends only the leaf, and its issuer \"%s\" is no trusted root: "
		    "install fullchain, the leaf followed by its intermediates",
		    story->issuer);
	} else {
		say(story,
		    "the issuer \"%s\" is not among the %zu other certificates that the server "
		    "sends: install the chain that came with this certificate",
		    story->issuer, ruling->in->other_count);
	}
}

static void say_period(const struct story *story, X509 *cert, int code)
{
	const ASN1_TIME *when = code == X509_V_ERR_CERT_NOT_YET_VALID ? X509_get0_notBefore(cert)
								      : X509_get0_notAfter(cert);
	char text[32];
	int64_t when_s;

	if (!leash_text_time(when, text, sizeof(text), &when_s))
		say(story, "a date of %s \"%s\" cannot be read: issue it anew", story->what,
		    story->who);
	else if (code == X509_V_ERR_CERT_NOT_YET_VALID)
		say(story,
		    "%s \"%s\" is valid from %s only: check the clocks of the issuing and of this "
		    "machine",
		    story->what, story->who, text);
	else
		say(story, "%s \"%s\" expired at %s: %s", story->what, story->who, text,
		    story->leaf   ? "renew it"
		    : story->root ? "take a chain to a root that is still valid"
				  : "install the CA's current intermediate");
}

static void say_days(const struct ruling *ruling, const struct story *story)
{
	X509 *leaf = ruling->judged->leaf;
	int day = 0, second = 0;
	int64_t lasts_s;

	ASN1_TIME_diff(&day, &second, X509_get0_notBefore(leaf), X509_get0_notAfter(leaf));
	lasts_s = (int64_t)day * DAY_S + second + 1;
	say(story,
	    "the certificate \"%s\" lasts %lld days and %lld s, %s takes at most %ld days from %s "
	    "on: "
	    "issue one of %ld days or less",
	    story->who, (long long)(lasts_s / DAY_S), (long long)(lasts_s % DAY_S),
	    platform_text[ruling->in->platform], ruling->days_max,
	    ruling->days_max == 825 ? "2019-07-01" : "2020-09-01", ruling->days_max);
}

static void say_name(const struct ruling *ruling, const struct story *story)
{
	char names[160], host[112] = "this address";

	if (ruling->in->name)
		leash_text_copy(host, sizeof(host), ruling->in->name, strlen(ruling->in->name));
	leash_name_list(ruling->judged->leaf, names, sizeof(names));
	say(story, "the certificate is for %s, not for %s: issue one whose subjectAltName has it",
	    names, host);
}

static void say_key(const struct ruling *ruling, const struct story *story, X509 *cert)
{
	struct leash_cert_facts facts = {.key = "?"};
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	if (len > 0)
		leash_text_describe(&(struct leash_der){.bytes = der, .len = (size_t)len}, &facts);
	OPENSSL_free(der);
	say(story, "%s \"%s\" has a weak key (%s): use RSA of 2048 bits, or EC of 256 bits%s",
	    story->what, story->who, facts.key,
	    ruling->added[LEASH_VERIFY_STRENGTH] ? ", as this platform wants" : "");
}

static void say_digest(const struct story *story, X509 *cert)
{
	const char *signature = OBJ_nid2ln(X509_get_signature_nid(cert));

	say(story, "%s \"%s\" is signed with %s, which is too weak: have it issued with SHA-256",
	    story->what, story->who, signature ? signature : "an unknown algorithm");
}

/* What the common rules found. */
static void say_code(const struct ruling *ruling, const struct story *story, int code, X509 *cert)
{
	if (incomplete(code)) {
		say_incomplete(ruling, story);
		return;
	}
	switch (code) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		say(story,
		    "the certificate \"%s\" is self-signed, which no platform takes, not even from "
		    "the system's store: use one of a CA",
		    story->who);
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		say(story,
		    "the root \"%s\" is none of the system's: use a CA that the platform trusts (a "
		    "test network's root goes into cert.extra_ca)",
		    story->who);
		return;
	case X509_V_ERR_CERT_REJECTED:
	case X509_V_ERR_CERT_UNTRUSTED:
		say(story, "%s \"%s\" is distrusted%s: use another CA", story->what, story->who,
		    cert && leash_roots_distrusts(ruling->judged->roots, cert)
			    ? " (cert.distrust of the policy)"
			    : "");
		return;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		say(story,
		    "the signature of %s \"%s\" is not one of \"%s\": install the certificate and "
		    "the chain that came with it",
		    story->what, story->who, story->issuer);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
		say_period(story, cert, code);
		return;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		say(story,
		    "there are more CAs below %s \"%s\" than its path length allows: have the "
		    "certificate issued by a CA higher up",
		    story->what, story->who);
		return;
	case X509_V_ERR_INVALID_PURPOSE:
		say(story,
		    "%s \"%s\" is not for TLS servers (extended key usage, key usage): issue one "
		    "with serverAuth and digitalSignature",
		    story->what, story->who);
		return;
	case X509_V_ERR_INVALID_CA:
		say(story,
		    "%s \"%s\" has signed another one and is no CA: install the right intermediate",
		    story->what, story->who);
		return;
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		say(story, "%s \"%s\" has a critical extension that is not known: issue it without",
		    story->what, story->who);
		return;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
		say(story,
		    "a name of %s \"%s\" is outside the name constraints of a CA above it: have it "
		    "issued by another CA",
		    story->what, story->who);
		return;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		say_key(ruling, story, cert);
		return;
	case X509_V_ERR_CA_MD_TOO_WEAK:
		say_digest(story, cert);
		return;
	}
	say(story, "%s \"%s\": %s (%s): issue it anew", story->what, story->who,
	    X509_verify_cert_error_string(code), leash_text_code(code));
}

static void say_rule(const struct ruling *ruling, enum leash_verify_rule rule, struct story *story,
		     X509 *cert)
{
	const char *added = ruling->added[rule];

	switch (rule) {
	case LEASH_VERIFY_TLS_VERSION:
		say(story, "the connection speaks TLS 1.%d: enable TLS 1.2 or newer at the server",
		    ruling->in->tls_version - 0x0301);
		return;
	case LEASH_VERIFY_CIPHER:
		say(story,
		    "the suite 0x%04x has no forward secrecy: enable ECDHE suites or TLS 1.3 at "
		    "the "
		    "server",
		    ruling->in->cipher);
		return;
	case LEASH_VERIFY_NAME:
		say_name(ruling, story);
		return;
	case LEASH_VERIFY_SAN:
		say(story,
		    "the certificate \"%s\" has no %s in its subjectAltName (the CN is not looked "
		    "at): issue one that has",
		    story->who, ruling->in->name ? "host name" : "address");
		return;
	case LEASH_VERIFY_LIFETIME:
		say_days(ruling, story);
		return;
	case LEASH_VERIFY_EKU:
		if (added) {
			say(story,
			    "the certificate \"%s\" has no extended key usage, %s wants it with "
			    "serverAuth: issue one with it",
			    story->who, platform_text[ruling->in->platform]);
			return;
		}
		break;
	case LEASH_VERIFY_SHAPE:
		if (added) {
			say(story, "the certificate \"%s\" %s", story->who,
			    strcmp(added, "CA") == 0 ? "is that of a CA: issue one for the server"
			    : strcmp(added, "version") == 0
				    ? "is not of version 3: issue it anew"
				    : "has a key that is neither RSA, EC nor Ed25519: use one of "
				      "these");
			return;
		}
		break;
	case LEASH_VERIFY_OK:
	case LEASH_VERIFY_VALID:
	case LEASH_VERIFY_TRUSTED:
	case LEASH_VERIFY_PERIOD:
	case LEASH_VERIFY_COMPLETE:
	case LEASH_VERIFY_SELF_SIGNED:
	case LEASH_VERIFY_STRENGTH:
	case LEASH_VERIFY_RULES:
		break;
	}
	say_code(ruling, story, ruling->out->rules[rule], cert);
}

/* ------------------------------------------------------------------ the result */

static void tell(const struct ruling *ruling, enum leash_verify_rule rule)
{
	const struct leash_judged *judged = ruling->judged;
	struct leash_verify_out *out = ruling->out;
	int depth = rule == LEASH_VERIFY_OK ? -1 : ruling->depth[rule];
	X509 *cert = leash_chain_at(judged, depth);
	struct story story = {.leaf = depth <= 0, .buf = out->sentence};

	if (!cert)
		cert = judged->leaf;
	out->rule = rule;
	out->depth = depth;
	leash_text_name(X509_get_subject_name(cert), out->subject, sizeof(out->subject));
	leash_text_name(X509_get_issuer_name(cert), out->issuer, sizeof(out->issuer));
	if (rule == LEASH_VERIFY_OK)
		return;
	story.root = !story.leaf && X509_self_signed(cert, 0) == 1;
	story.what = story.leaf ? "the certificate" : story.root ? "the root" : "the intermediate";
	leash_text_brief(X509_get_subject_name(cert), story.who, sizeof(story.who));
	leash_text_brief(X509_get_issuer_name(cert), story.issuer, sizeof(story.issuer));
	say_rule(ruling, rule, &story, cert);
}

static enum leash_verify_rule first_failed(const struct leash_verify_out *out)
{
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (out->rules[order[i]] > 0)
			return order[i];
	}
	return LEASH_VERIFY_OK;
}

/* No chain to judge: the one thing to say is why. */
static void refuse(const struct leash_judged *judged, struct leash_verify_out *out)
{
	const char *why = judged->unreadable ? judged->unreadable : "no such platform";

	out->code = X509_V_ERR_APPLICATION_VERIFICATION;
	out->rule = LEASH_VERIFY_VALID;
	out->depth = -1;
	out->rules[LEASH_VERIFY_VALID] = out->code;
	snprintf(out->sentence, sizeof(out->sentence), "%s", why);
	if (judged->leaf) {
		leash_text_name(X509_get_subject_name(judged->leaf), out->subject,
				sizeof(out->subject));
		leash_text_name(X509_get_issuer_name(judged->leaf), out->issuer,
				sizeof(out->issuer));
	}
}

void leash_profile_judge(const struct leash_judged *judged, struct leash_verify_out *out)
{
	static const enum leash_verify_rule common[] = {
		LEASH_VERIFY_VALID,    LEASH_VERIFY_TRUSTED,  LEASH_VERIFY_NAME,
		LEASH_VERIFY_PERIOD,   LEASH_VERIFY_COMPLETE, LEASH_VERIFY_SELF_SIGNED,
		LEASH_VERIFY_STRENGTH, LEASH_VERIFY_SAN,      LEASH_VERIFY_EKU,
	};
	const struct leash_verify_in *in = judged->in;
	struct ruling ruling = {.judged = judged, .in = in, .out = out};
	const struct addition *addition;
	enum leash_verify_rule first;
	int64_t ignored;
	bool about;

	for (int i = 0; i < LEASH_VERIFY_RULES; i++)
		out->rules[i] = -1;
	if (judged->leaf)
		leash_text_time(X509_get0_notAfter(judged->leaf), out->not_after,
				sizeof(out->not_after), &ignored);
	if (judged->unreadable || (unsigned int)in->platform >= LEASH_VERIFY_PLATFORMS) {
		refuse(judged, out);
		return;
	}
	addition = &additions[in->platform];
	out->chain_len = sk_X509_num(judged->chain);
	out->rules[LEASH_VERIFY_OK] = 0;
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		out->rules[common[i]] = 0;
	take_faults(&ruling);
	settle_trust(&ruling);
	judge_name(&ruling);
	judge_eku(&ruling, addition);
	judge_sizes(&ruling, addition);
	if (addition->days_825 || addition->days_398) {
		out->rules[LEASH_VERIFY_LIFETIME] = 0;
		judge_lifetime(&ruling, addition);
	}
	judge_session(&ruling, addition);
	if (addition->shape) {
		if (out->rules[LEASH_VERIFY_SHAPE] < 0)
			out->rules[LEASH_VERIFY_SHAPE] = 0;
		judge_shape(&ruling);
	}
	first = first_failed(out);
	out->code = first == LEASH_VERIFY_OK ? X509_V_OK : out->rules[first];
	about = (unsigned int)in->about < LEASH_VERIFY_RULES && out->rules[in->about] > 0;
	tell(&ruling, about ? in->about : first);
}
