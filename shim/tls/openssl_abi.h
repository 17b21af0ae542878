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

struct bio_st;
struct bio_method_st;
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

typedef int leash_bio_write_fn(struct bio_st *bio, const char *buf, int len);
typedef int leash_bio_read_fn(struct bio_st *bio, char *buf, int len);
typedef int leash_bio_puts_fn(struct bio_st *bio, const char *text);
typedef long leash_bio_ctrl_fn(struct bio_st *bio, int cmd, long value, void *more);
typedef int leash_bio_life_fn(struct bio_st *bio);
typedef int leash_bio_info_fn(struct bio_st *bio, int state, int result);
typedef long leash_bio_callback_fn(struct bio_st *bio, int cmd, leash_bio_info_fn *info);

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
#define OSSL_CTRL_MODE 33
#define OSSL_CTRL_CLEAR_MODE 78
#define OSSL_MODE_PARTIAL 1l		/* SSL_MODE_ENABLE_PARTIAL_WRITE */
#define OSSL_MODE_MOVING 2l		/* SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER */
#define OSSL_ERROR_NONE 0		/* SSL_get_error() */
#define OSSL_ERROR_SSL 1
#define OSSL_ERROR_WANT_READ 2
#define OSSL_ERROR_WANT_WRITE 3
#define OSSL_ERROR_WANT_X509_LOOKUP 4
#define OSSL_ERROR_SYSCALL 5
#define OSSL_ERROR_ZERO_RETURN 6
#define OSSL_ERROR_WANT_CONNECT 7
#define OSSL_NOTHING 1			/* SSL_want() */
#define OSSL_RECEIVED_SHUTDOWN 2
#define OSSL_REASON_MASK 0xffful
#define OSSL_ERROR_WANT_ACCEPT 8
#define OSSL_BIO_TYPE_SSL (7 | 0x200)
#define OSSL_BIO_RESET 1		/* BIO_ctrl() */
#define OSSL_BIO_PENDING 10
#define OSSL_BIO_SET_SSL 109
#define OSSL_BIO_GET_SSL 110
#define OSSL_BIO_READ 1			/* BIO_set_flags() */
#define OSSL_BIO_WRITE 2
#define OSSL_BIO_SPECIAL 4
#define OSSL_BIO_RETRY 8
#define OSSL_RR_X509_LOOKUP 1		/* BIO_set_retry_reason() */
#define OSSL_RR_CONNECT 2
#define OSSL_RR_ACCEPT 3
#define OSSL_BIO_WISHES 0xf		/* BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY */
#define OSSL_R_BAD_LENGTH 271
#define OSSL_R_UNEXPECTED_EOF 294
#define OSSL_SHUTDOWN_BOTH 3
#define OSSL_LIB_SYS 2
#define OSSL_LIB_SSL 20
#define OSSL_R_CERTIFICATE_VERIFY_FAILED 134
#define OSSL_SNI_HOST_NAME 0

#define GNUTLS_FLAG_SERVER 1u		/* gnutls_init() */
#define GNUTLS_FLAG_DATAGRAM 4u
#define GNUTLS_TLS1_3 5
#define GNUTLS_X509 1			/* gnutls_certificate_type_get() */
#define GNUTLS_ALERT_FATAL 2
#define GNUTLS_ALERT_BAD_CERTIFICATE 42
#define GNUTLS_E_VERIFICATION (-348)	/* CERTIFICATE_VERIFICATION_ERROR */
#define GNUTLS_E_INVALID (-50)		/* INVALID_REQUEST */
#define GNUTLS_E_MEMORY (-25)
#define GNUTLS_E_PUSH (-53)
#define GNUTLS_E_PULL (-54)
#define GNUTLS_E_PREMATURE (-110)	/* PREMATURE_TERMINATION */
#define GNUTLS_E_UNIMPLEMENTED (-1250)
#define GNUTLS_E_AGAIN_ (-28)
#define GNUTLS_E_INTERRUPTED_ (-52)
#define GNUTLS_E_VERSION (-8)		/* UNSUPPORTED_VERSION_PACKET */

#endif
