/* SPDX-License-Identifier: MIT */
/*
 * Between the OpenSSL hooks: the gate (hook_openssl.c) and the data (hook_openssl_data.c).
 */
#ifndef LEASH_OPENSSL_INNER_H
#define LEASH_OPENSSL_INNER_H

#include "shim/conn/exchange.h"
#include "shim/conn/verify.h"
#include "shim/tls/instance.h"
#include "shim/tls/pump.h"

#define CALLER() __builtin_return_address(0)

/* What the program would offer by ALPN */
struct leash_ssl_alpn {
	unsigned char *list;	/* of the library's memory; NULL: nothing in it is to be taken out */
	unsigned int len;
	bool set;
};

/* What is known of an SSL_CTX. Memory of its library, freed with it. */
struct leash_ssl_ctx {
	const struct leash_openssl *lib;
	leash_info_fn *theirs;
	leash_verify_fn *verify;	/* the program's, which stands in place of X509_verify_cert() */
	void *arg;
	struct leash_ssl_alpn alpn;
};

/* What is known of an SSL. Memory of its library, freed with it. */
struct leash_ssl {
	struct leash_tie tie;
	bool tied;		/* .tie is of this handshake */
	bool accepted;		/* A has accepted a chain in this handshake */
	bool good;		/* B has, or it is none of our business: data may flow */
	int killed;		/* B has refused: X509_V_ERR code */
	unsigned char *leaf;	/* DER that A accepted; NULL: whatever it was, it may be */
	size_t leaf_len;
	leash_info_fn *theirs;	/* the program's callback on this SSL; NULL: that of its context */
	struct leash_ssl_alpn alpn;
	bool alpn_cut;		/* the SSL has less than that */
	bool pumped;		/* .pump is open */
	bool moving_ours;	/* the mode that allows a retry from another place is our wish alone */
	uint64_t pump_cookie;	/* whose it is */
	struct leash_pump pump;
};

static inline struct leash_ssl *leash_openssl_find(const struct leash_openssl *lib, const struct ssl_st *ssl)
{
	return lib->SSL_get_ex_data(ssl, lib->ssl_index);
}

/* Memory of the library */
void *leash_openssl_take(const struct leash_openssl *lib, size_t size);
void leash_openssl_give(const struct leash_openssl *lib, void *at);

/** leash_openssl_clear() - A handshake begins anew: nothing of the last one counts */
void leash_openssl_clear(const struct leash_openssl *lib, struct leash_ssl *record);

/** leash_openssl_info() - Our callback: the beginning and the end of a handshake; then the program's */
void leash_openssl_info(const struct ssl_st *ssl, int where, int ret);

/** leash_openssl_record() - Makes it where there is none, and puts our callback on the SSL. Return: NULL without memory */
struct leash_ssl *leash_openssl_record(const struct leash_openssl *lib, struct ssl_st *ssl);

/* A client of TLS is what the rules are for; servers and DTLS go their own way. */
static inline bool leash_openssl_client(const struct leash_openssl *lib, const struct ssl_st *ssl)
{
	return !lib->SSL_is_server(ssl) && !lib->SSL_is_dtls(ssl);
}

/** leash_openssl_point_b() - The handshake is over: may data flow? Sets .good or .killed */
void leash_openssl_point_b(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record,
			   const char *call);

/** leash_openssl_ctx() - The same for a context */
struct leash_ssl_ctx *leash_openssl_ctx(const struct leash_openssl *lib, struct ssl_ctx_st *ctx);

/** leash_openssl_alpn_begin() - A handshake begins: offer what may be offered where it leads */
void leash_openssl_alpn_begin(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record);
void leash_openssl_alpn_free(const struct leash_openssl *lib, struct leash_ssl_alpn *alpn);

/** leash_openssl_pump_open() - The peer was judged: somebody may want to look at the data from here on. Done
 *  before .good is set */
void leash_openssl_pump_open(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record);
void leash_openssl_pump_close(struct leash_ssl *record);

/* The hooks behind their look-up of the library, for our BIO */
int leash_openssl_SSL_read(const struct leash_openssl *lib, struct ssl_st *ssl, void *buf, int len);
int leash_openssl_SSL_peek(const struct leash_openssl *lib, struct ssl_st *ssl, void *buf, int len);
int leash_openssl_SSL_write(const struct leash_openssl *lib, struct ssl_st *ssl, const void *buf, int len);
int leash_openssl_SSL_pending(const struct leash_openssl *lib, const struct ssl_st *ssl);

/* Entries in the library's own queue of errors */
void leash_openssl_put_error(const struct leash_openssl *lib, int in, int reason, const char *text);
void leash_openssl_put_killed(const struct leash_openssl *lib);
void leash_openssl_put_refused(const struct leash_openssl *lib, const char *text);	/* EACCES */

#endif
