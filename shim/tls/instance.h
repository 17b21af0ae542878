/* SPDX-License-Identifier: MIT */
/*
 * The TLS libraries in this process, each with its own functions.
 *
 * RTLD_NEXT finds no libssl in a local scope, and two libssl in one process are normal: so the
 * library is the one whose data the object at hand points to, else the one the caller is linked
 * against (design: TLS 2). Tables are filled once and read without a lock; a library in them is never
 * unloaded.
 */
#ifndef LEASH_INSTANCE_H
#define LEASH_INSTANCE_H

#include <stdbool.h>

#include "shim/core/scope.h"
#include "shim/tls/openssl_abi.h"

/* The hooks themselves */
#define OPENSSL_HOOK(ret, name, params, args) LEASH_EXPORT ret name params;
#define OPENSSL_CALL(ret, name, params)
#define OPENSSL_MAY(ret, name, params)
#define GNUTLS_HOOK(ret, name, params, args) LEASH_EXPORT ret name params;
#define GNUTLS_CALL(ret, name, params)
#include "shim/tls/tls.def"
#undef OPENSSL_HOOK
#undef OPENSSL_CALL
#undef OPENSSL_MAY
#undef GNUTLS_HOOK
#undef GNUTLS_CALL

enum leash_flavour {
	LEASH_OPENSSL_OTHER,	/* another ABI, or no libssl at all: its functions are passed through */
	LEASH_OPENSSL_1_1,
	LEASH_OPENSSL_3,
};

struct leash_openssl {
	uintptr_t start, size;	/* of the object that holds the functions and methods */
	enum leash_flavour flavour;
	bool is_ssl;		/* it defines SSL_CTX_new() */
	const char *missing;	/* 1.1 or 3, but this is not there: it must not be used */
	bool bound;		/* verified: flavour known, nothing missing */
	int ssl_index, ctx_index, session_index;	/* of our ex_data */
	const struct bio_method_st *bio_ssl;	/* ours in place of BIO_f_ssl(); NULL: it cannot be made */
#define OPENSSL_HOOK(ret, name, params, args) ret(*name) params;
#define OPENSSL_CALL(ret, name, params) ret(*name) params;
#define OPENSSL_MAY(ret, name, params) ret(*name) params;
#define GNUTLS_HOOK(ret, name, params, args)
#define GNUTLS_CALL(ret, name, params)
#include "shim/tls/tls.def"
#undef OPENSSL_HOOK
#undef OPENSSL_CALL
#undef OPENSSL_MAY
#undef GNUTLS_HOOK
#undef GNUTLS_CALL
};

struct leash_gnutls {
	uintptr_t start, size;
	bool bound;
#define OPENSSL_HOOK(ret, name, params, args)
#define OPENSSL_CALL(ret, name, params)
#define OPENSSL_MAY(ret, name, params)
#define GNUTLS_HOOK(ret, name, params, args) ret(*name) params;
#define GNUTLS_CALL(ret, name, params) ret(*name) params;
#include "shim/tls/tls.def"
#undef OPENSSL_HOOK
#undef OPENSSL_CALL
#undef OPENSSL_MAY
#undef GNUTLS_HOOK
#undef GNUTLS_CALL
};

/**
 * leash_openssl_of() - The library behind a call
 * @object:	SSL, SSL_CTX or SSL_METHOD that was passed, or NULL
 * @caller:	Return address
 * @name:	Function that was called
 *
 * Return: NULL if there is none that has @name
 */
const struct leash_openssl *leash_openssl_of(const void *object, const void *caller,
					     const char *name);

const struct leash_gnutls *leash_gnutls_of(const void *caller, const char *name);

/* The functions that hook_openssl.c registers with each library (ex_data) */
extern leash_ex_free_fn leash_openssl_free_ssl, leash_openssl_free_ctx;
extern leash_ex_dup_fn leash_openssl_dup_ssl;

/** leash_openssl_bio_make() - Once for each library, when it is bound (hook_openssl_bio.c) */
const struct bio_method_st *leash_openssl_bio_make(const struct leash_openssl *lib);

#endif
