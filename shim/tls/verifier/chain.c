/* SPDX-License-Identifier: MIT */
/*
 * One verification: the path from the leaf to a root, and every fault that OpenSSL finds on it.
 *
 * OpenSSL builds and checks; the callback notes a fault and goes on, so that the table of
 * `netleash cert` has all of them. Of the store only self-signed certificates are shown to it:
 * an intermediate that lies there and was not sent must not help (policy 8), and one that hides a
 * root of the same name must not harm either.
 */
#include "inner.h"

#include <openssl/err.h>

#define SAME_NAME_MAX 64

/* ------------------------------------------------------- look-ups in the store */

static bool in_time(X509 *cert, int64_t now_s)
{
	time_t now = (time_t)now_s;

	return X509_cmp_time(X509_get0_notBefore(cert), &now) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(cert), &now) > 0;
}

static bool could_issue(X509 *issuer, X509 *cert)
{
	int error = X509_check_issued(issuer, cert);

	/* A root that may not sign is reported as what it is, not as missing. */
	return error == X509_V_OK || error == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

/* Roots are renewed under one name: the key that signed counts first, then the dates. */
static int fitness(X509 *root, X509 *cert, int64_t now_s)
{
	int fit = in_time(root, now_s) ? 1 : 0;
	EVP_PKEY *key = X509_get0_pubkey(root);

	if (key && X509_verify(cert, key) == 1)
		fit += 2;
	ERR_clear_error();
	return fit;
}

static bool expires_later(X509 *a, X509 *b)
{
	int day = 0, second = 0;

	return ASN1_TIME_diff(&day, &second, X509_get0_notAfter(b), X509_get0_notAfter(a)) == 1 &&
	       (day > 0 || (day == 0 && second > 0));
}

static X509 *best_of(X509 *const *roots, size_t count, X509 *cert, int64_t now_s)
{
	X509 *best = count == 1 ? roots[0] : NULL;
	int best_fit = -1;

	for (size_t i = 0; count > 1 && i < count; i++) {
		int fit = fitness(roots[i], cert, now_s);

		if (fit > best_fit || (fit == best_fit && expires_later(roots[i], best))) {
			best = roots[i];
			best_fit = fit;
		}
	}
	return best;
}

/* X509_STORE's get_issuer: 1 and a reference, or 0 */
static int find_issuer(X509 **ret_issuer, X509_STORE_CTX *ctx, X509 *cert)
{
	struct leash_judged *judged = X509_STORE_CTX_get_app_data(ctx);
	X509 *certs[SAME_NAME_MAX], *roots[SAME_NAME_MAX], *best;
	size_t count =
		leash_roots_find(judged->roots, X509_get_issuer_name(cert), certs, SAME_NAME_MAX);
	size_t root_count = 0;

	for (size_t i = 0; i < count; i++) {
		if (!could_issue(certs[i], cert))
			continue;
		if (X509_self_signed(certs[i], 0) == 1)
			roots[root_count++] = certs[i];
		else
			judged->hidden = certs[i];
	}
	best = best_of(roots, root_count, cert, judged->in->now_s);
	if (!best || !X509_up_ref(best))
		return 0;
	*ret_issuer = best;
	return 1;
}

/* X509_STORE's lookup_certs: is the self-signed end of a served chain one of the roots? */
static STACK_OF(X509) * find_certs(X509_STORE_CTX *ctx, const X509_NAME *subject)
{
	struct leash_judged *judged = X509_STORE_CTX_get_app_data(ctx);
	X509 *certs[SAME_NAME_MAX];
	size_t count = leash_roots_find(judged->roots, subject, certs, SAME_NAME_MAX);
	STACK_OF(X509) *list = sk_X509_new_null();

	for (size_t i = 0; list && i < count; i++) {
		if (X509_self_signed(certs[i], 0) == 1 && X509_up_ref(certs[i]) &&
		    !sk_X509_push(list, certs[i]))
			X509_free(certs[i]);
	}
	return list;
}

X509_STORE *leash_chain_store(void)
{
	X509_STORE *store = X509_STORE_new();

	if (store) {
		X509_STORE_set_get_issuer(store, find_issuer);
		X509_STORE_set_lookup_certs(store, find_certs);
	}
	return store;
}

/* --------------------------------------------------------------------- faults */

static void note(struct leash_judged *judged, int code, int depth)
{
	if (judged->fault_count < LEASH_FAULT_MAX)
		judged->faults[judged->fault_count++] =
			(struct leash_fault_at){.code = code, .depth = depth};
}

static int on_fault(int ok, X509_STORE_CTX *ctx)
{
	if (!ok)
		note(X509_STORE_CTX_get_app_data(ctx), X509_STORE_CTX_get_error(ctx),
		     X509_STORE_CTX_get_error_depth(ctx));
	return 1;
}

static bool was_sent(const struct leash_judged *judged, X509 *cert)
{
	if (X509_cmp(judged->leaf, cert) == 0)
		return true;
	for (int i = 0; i < sk_X509_num(judged->others); i++) {
		if (X509_cmp(sk_X509_value(judged->others, i), cert) == 0)
			return true;
	}
	return false;
}

/* What OpenSSL does not ask. */
static void check_chain(struct leash_judged *judged)
{
	int count = sk_X509_num(judged->chain);

	/* An anchor of its own, in the store: OpenSSL is content, the platform is not. */
	if (X509_self_signed(judged->leaf, 0) == 1)
		note(judged, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 0);
	for (int i = 0; i < count; i++) {
		X509 *cert = sk_X509_value(judged->chain, i);

		if (i < count - 1 && !was_sent(judged, cert))
			note(judged, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, i);
		if (leash_roots_distrusts(judged->roots, cert))
			note(judged, X509_V_ERR_CERT_REJECTED, i);
	}
}

/* ---------------------------------------------------------------------- build */

static bool parse(struct leash_judged *judged)
{
	const struct leash_verify_in *in = judged->in;

	if (!in->leaf.bytes || !in->leaf.len) {
		judged->unreadable = "the server has shown no certificate";
		return false;
	}
	judged->leaf = leash_cache_parse(judged->roots, &in->leaf);
	if (!judged->leaf) {
		judged->unreadable = "the server's certificate cannot be read: it is damaged, or "
				     "bytes follow it; install it anew";
		return false;
	}
	if (in->other_count >= LEASH_CHAIN_MAX) {
		judged->unreadable = "the server sends more than 100 certificates: install the "
				     "leaf and its intermediates only";
		return false;
	}
	for (size_t i = 0; i < in->other_count; i++) {
		X509 *cert = leash_cache_parse(judged->roots, &in->others[i]);

		if (!cert || !sk_X509_push(judged->others, cert)) {
			X509_free(cert);
			judged->unreadable = "a certificate that the server sends beside its own "
					     "cannot be read: install the chain anew";
			return false;
		}
	}
	return true;
}

static bool run(struct leash_judged *judged, X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *param;
	unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;

	if (judged->in->platform == LEASH_VERIFY_STRICT)
		flags |= X509_V_FLAG_X509_STRICT;
	if (!X509_STORE_CTX_init(ctx, judged->roots->store, judged->leaf, judged->others) ||
	    !X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER))
		return false;
	X509_STORE_CTX_set_app_data(ctx, judged);
	X509_STORE_CTX_set_verify_cb(ctx, on_fault);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)judged->in->now_s);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	X509_VERIFY_PARAM_set_depth(param, LEASH_CHAIN_MAX);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (!X509_VERIFY_PARAM_set_flags(param, flags))
		return false;
	/* The callback lets everything pass: what is left are failures to check at all. */
	if (X509_verify_cert(ctx) <= 0)
		return false;
	judged->chain = X509_STORE_CTX_get1_chain(ctx);
	return judged->chain && sk_X509_num(judged->chain) > 0;
}

void leash_chain_build(struct leash_judged *judged)
{
	X509_STORE_CTX *ctx;

	judged->others = sk_X509_new_null();
	if (!judged->others) {
		judged->unreadable = "out of memory";
		return;
	}
	if (!parse(judged))
		return;
	ctx = X509_STORE_CTX_new();
	if (!ctx || !run(judged, ctx))
		judged->unreadable = "the certificate could not be checked";
	X509_STORE_CTX_free(ctx);
	if (!judged->unreadable)
		check_chain(judged);
}

void leash_chain_free(struct leash_judged *judged)
{
	sk_X509_pop_free(judged->chain, X509_free);
	sk_X509_pop_free(judged->others, X509_free);
	X509_free(judged->leaf);
}

X509 *leash_chain_at(const struct leash_judged *judged, int depth)
{
	return depth >= 0 && depth < sk_X509_num(judged->chain)
		       ? sk_X509_value(judged->chain, depth)
		       : NULL;
}
