/* SPDX-License-Identifier: MIT */
/*
 * As much of the binary interface of OpenSSL 1.1 and 3, and of GnuTLS, as the hooks use. Opaque
 * types, and no header of theirs: two versions may live in one process.
 */
#ifndef LEASH_OPENSSL_ABI_H
#define LEASH_OPENSSL_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_session_st;
struct ssl_cipher_st;
struct x509_st;
struct x509_store_ctx_st;
struct stack_st;
struct crypto_ex_data_st;
struct gnutls_session_int;

/* Types of functions, for pointers to them in tables and parameters */
typedef void leash_info_fn(const struct ssl_st *ssl, int where, int ret);
typedef int leash_verify_fn(struct x509_store_ctx_st *store, void *arg);
typedef int leash_verified_fn(int ok, struct x509_store_ctx_st *store);
typedef void leash_ex_new_fn(void *parent, void *ptr, struct crypto_ex_data_st *ad, int idx, long argl,
			     void *argp);
typedef void leash_ex_free_fn(void *parent, void *ptr, struct crypto_ex_data_st *ad, int idx,
			      long argl, void *argp);
typedef int leash_ex_dup_fn(struct crypto_ex_data_st *to, const struct crypto_ex_data_st *from,
			    void **data, int idx, long argl, void *argp);

struct leash_gnutls_datum {
	unsigned char *data;
	unsigned int size;
};

/* Numbers that are the same in 1.1.0 to 3.5 */
#define OSSL_EX_SSL 0			/* CRYPTO_EX_INDEX_… */
#define OSSL_EX_SSL_CTX 1
#define OSSL_EX_SESSION 2
#define OSSL_CB_HANDSHAKE_START 0x10
#define OSSL_CB_HANDSHAKE_DONE 0x20
#define OSSL_CB_CONNECT_LOOP 0x1001
#define OSSL_CB_READ_ALERT 0x4004
#define OSSL_CB_WRITE_ALERT 0x4008
#define OSSL_ALERT_PROTOCOL_VERSION 70
#define OSSL_CTRL_SET_MIN_VERSION 123
#define OSSL_CTRL_SET_MAX_VERSION 124
#define OSSL_CTRL_GET_MAX_VERSION 131
#define OSSL_OP_ENABLE_KTLS 0x8ul
#define OSSL_VERIFY_PEER 1
#define OSSL_SHUTDOWN_BOTH 3
#define OSSL_LIB_SYS 2
#define OSSL_LIB_SSL 20
#define OSSL_R_CERTIFICATE_VERIFY_FAILED 134
#define OSSL_SNI_HOST_NAME 0

#define GNUTLS_FLAG_SERVER 1u		/* gnutls_init() */
#define GNUTLS_FLAG_DATAGRAM 4u
#define GNUTLS_X509 1			/* gnutls_certificate_type_get() */
#define GNUTLS_ALERT_FATAL 2
#define GNUTLS_ALERT_BAD_CERTIFICATE 42
#define GNUTLS_E_VERIFICATION (-348)	/* CERTIFICATE_VERIFICATION_ERROR */
#define GNUTLS_E_INVALID (-50)		/* INVALID_REQUEST */
#define GNUTLS_E_UNIMPLEMENTED (-1250)
#define GNUTLS_E_AGAIN_ (-28)
#define GNUTLS_E_INTERRUPTED_ (-52)
#define GNUTLS_E_VERSION (-8)		/* UNSUPPORTED_VERSION_PACKET */

#endif
