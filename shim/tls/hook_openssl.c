/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL 1.1 and 3: the peer is verified by us, whatever the program has set (design: TLS 3).
 *
 * Point A is X509_verify_cert(), which libssl calls once in each full handshake, across the library
 * border, in every verify mode. A refusal there is an ordinary verification failure: libssl sends the
 * alert and reports its own error. Point B is the end of the handshake, in our info callback, and once
 * more before data where nobody has seen that end: it covers what never comes through A (resumption,
 * anonymous ciphers, pre-shared keys, a chain that is not the peer's).
 *
 * The record of an SSL is its ex_data. The program's callbacks may longjmp(): nothing is held while
 * one is called.
 */
#include <string.h>
#include <sys/mman.h>

#include "shim/conn/verify.h"
#include "shim/core/sys.h"
#include "shim/tls/instance.h"
#include "shim/tls/openssl_inner.h"
#include "shim/tls/ticket.h"

/* ---------------------------------------------------------------------------- chains */

/* Certificates as DER, in a mapping of their own: a chain is larger than a stack should be. */
struct ders {
	struct leash_cert certs[LEASH_CERTS_MAX];
	size_t count;
	unsigned char *block;
	size_t size;
};

static void free_ders(struct ders *ders)
{
	if (ders->block)
		LEASH_SYS(SYS_munmap, ders->block, ders->size);
}

static int der_len(const struct leash_openssl *lib, const struct x509_st *cert)
{
	return cert ? lib->i2d_X509(cert, NULL) : -1;
}

/* @leaf first, then @others without it. Return: false: too many, or no memory */
static bool make_ders(const struct leash_openssl *lib, const struct x509_st *leaf,
		      const struct stack_st *others, struct ders *ret)
{
	const int count = others ? lib->OPENSSL_sk_num(others) : 0;
	const struct x509_st *certs[LEASH_CERTS_MAX];
	size_t size = 0;
	unsigned char *at;
	long block;

	memset(ret, 0, sizeof(*ret));
	certs[ret->count++] = leaf;
	for (int i = 0; i < count; i++) {
		const struct x509_st *cert = lib->OPENSSL_sk_value(others, i);

		if (i == 0 && cert == leaf)
			continue;
		if (ret->count == LEASH_CERTS_MAX)
			return false;
		certs[ret->count++] = cert;
	}
	for (size_t i = 0; i < ret->count; i++) {
		const int len = der_len(lib, certs[i]);

		if (len <= 0 || len > 1 << 20)
			return false;
		size += (size_t)len;
	}
	block = LEASH_SYS(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block < 0)
		return false;
	ret->block = at = (unsigned char *)block;
	ret->size = size;
	for (size_t i = 0; i < ret->count; i++) {
		unsigned char *start = at;

		if (der_len(lib, certs[i]) > ret->block + size - at)
			return false;
		lib->i2d_X509(certs[i], &at);
		ret->certs[i] = (struct leash_cert){.bytes = start, .len = (size_t)(at - start)};
	}
	return true;
}

/* ---------------------------------------------------------------------------- A and B */

static void tie(const struct leash_openssl *lib, const struct ssl_st *ssl, struct leash_ssl *record)
{
	unsigned char random[32];
	struct leash_tie found;

	if (record->tied || lib->SSL_get_client_random(ssl, random, sizeof(random)) != sizeof(random))
		return;
	if (leash_verify_tie(random, &found) ||
	    (!leash_verify_tied(&record->tie) && leash_verify_tie_fd(lib->SSL_get_fd(ssl), &found))) {
		record->tie = found;
		record->tied = true;
	}
}

/*
 * A session that was copied through its serialised form has the leaf and no chain (@others is NULL). Is it
 * one of ours, then the chain is the one that was judged when it was made.
 */
static bool add_kept(const struct leash_openssl *lib, const struct ssl_st *ssl, struct ders *ders)
{
	const struct ssl_session_st *session = lib->SSL_get_session(ssl);
	const struct leash_mark *mark = session ? leash_ticket_find(lib, session) : NULL;

	if (!mark || mark->count == 0 || mark->certs[0].len != ders->certs[0].len ||
	    memcmp(mark->certs[0].bytes, ders->certs[0].bytes, mark->certs[0].len) != 0)
		return false;
	memcpy(ders->certs, mark->certs, mark->count * sizeof(mark->certs[0]));
	ders->count = mark->count;
	return true;
}

/* The session is what this server may be met with again. */
static void mark_session(const struct leash_openssl *lib, const struct ssl_st *ssl,
			 const struct leash_ssl *record, const struct ders *ders)
{
	struct ssl_session_st *session = lib->SSL_get_session(ssl);

	if (session)
		leash_ticket_mark(lib, session, leash_verify_name(&record->tie), ders->certs, ders->count);
}

/* @ended: at B, where the session is complete. Return: 0, or an X509_V_ERR code; said */
static int judge(const struct leash_openssl *lib, const struct ssl_st *ssl, struct leash_ssl *record,
		 const struct x509_st *leaf, const struct stack_st *others, bool ended, const char *call)
{
	/* Below TLS 1.3 the one that was chosen becomes the current one only behind A. */
	const struct ssl_cipher_st *pending = lib->SSL_get_pending_cipher(ssl);
	const struct ssl_cipher_st *cipher = pending ? pending : lib->SSL_get_current_cipher(ssl);
	struct ders ders;
	struct leash_chain chain;
	int ret;

	ders.count = 0;
	if (record->tie.free) {
		record->accepted = true;
		if (ended)
			mark_session(lib, ssl, record, &ders);
		return 0;
	}
	if (!make_ders(lib, leaf, others, &ders)) {
		ret = leash_verify_reject(&record->tie, call, LEASH_REJECT_MALFORMED);
	} else if (record->accepted && record->leaf && record->leaf_len == ders.certs[0].len &&
		   memcmp(record->leaf, ders.certs[0].bytes, record->leaf_len) == 0) {
		ret = 0;			/* seen and judged in this handshake */
	} else {
		if (ended && !others)
			add_kept(lib, ssl, &ders);
		chain = (struct leash_chain){
			.version = (uint16_t)lib->SSL_version(ssl),
			.cipher = cipher ? lib->SSL_CIPHER_get_protocol_id(cipher) : 0,
			.count = ders.count,
			.certs = ders.certs,
		};
		ret = leash_verify_chain(&record->tie, call, &chain);
		if (ret == 0) {
			leash_openssl_give(lib, record->leaf);
			record->leaf_len = ders.certs[0].len;
			record->leaf = leash_openssl_take(lib, record->leaf_len);
			if (record->leaf)
				memcpy(record->leaf, ders.certs[0].bytes, record->leaf_len);
			record->accepted = record->leaf != NULL;
		}
	}
	if (ret == 0 && ended)
		mark_session(lib, ssl, record, &ders);
	free_ders(&ders);
	return ret;
}

/* Point A. Return: 0: go on as the program likes; else the code of a refusal, everything set */
static int point_a(const struct leash_openssl *lib, struct x509_store_ctx_st *store, const char *call)
{
	struct ssl_st *ssl = lib->X509_STORE_CTX_get_ex_data(
		store, lib->SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct x509_st *leaf;
	struct leash_ssl *record;
	int code;

	if (!ssl || !leash_openssl_client(lib, ssl))
		return 0;
	leaf = lib->X509_STORE_CTX_get0_cert(store);
	record = leash_openssl_record(lib, ssl);
	if (!record) {
		code = LEASH_CODE_OTHER;
	} else {
		tie(lib, ssl, record);
		code = leaf ? judge(lib, ssl, record, leaf, lib->X509_STORE_CTX_get0_untrusted(store), false,
			     call) :
			      leash_verify_reject(&record->tie, call, LEASH_REJECT_NOT_X509);
	}
	if (code == 0)
		return 0;
	/* libssl looks at the mode after this call, so now it fails. */
	lib->SSL_set_verify(ssl, OSSL_VERIFY_PEER, NULL);
	lib->X509_STORE_CTX_set_error(store, code);
	return code;
}

static void kill_ssl(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record, int code)
{
	record->killed = code;
	lib->SSL_set_verify_result(ssl, code);
	lib->SSL_set_shutdown(ssl, OSSL_SHUTDOWN_BOTH);
	leash_openssl_put_killed(lib);
	leash_verify_end(&record->tie);
}

/* Point B */
void leash_openssl_point_b(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record,
		    const char *call)
{
	struct x509_st *leaf;
	int code;

	if (record->good || record->killed)
		return;
	tie(lib, ssl, record);
	leaf = lib->SSL_get1_peer_certificate ? lib->SSL_get1_peer_certificate(ssl) :
						lib->SSL_get_peer_certificate(ssl);
	if (leaf) {
		code = judge(lib, ssl, record, leaf, lib->SSL_get_peer_cert_chain(ssl), true, call);
		lib->X509_free(leaf);
	} else {
		code = leash_verify_reject(&record->tie, call, LEASH_REJECT_NO_CERTIFICATE);
	}
	if (code) {
		kill_ssl(lib, ssl, record, code);
		return;
	}
	leash_openssl_pump_open(lib, ssl, record);
	record->good = true;
	leash_verify_done(&record->tie, call);
	leash_openssl_give(lib, record->leaf);
	record->leaf = NULL;
}

/*
 * A session that no judged handshake of this process has made is not resumed: nothing of it says whom
 * it is from. The program sees a full handshake, which is right; killing the connection would not be.
 */
static bool may_resume(const struct leash_openssl *lib, const struct ssl_st *ssl,
		       const struct ssl_session_st *session)
{
	const struct leash_mark *mark = leash_ticket_find(lib, session);
	const char *sni = lib->SSL_get_servername(ssl, OSSL_SNI_HOST_NAME);
	struct leash_tie tie;

	if (leash_verify_tie_fd(lib->SSL_get_fd(ssl), &tie))
		return true;
	if (!mark)
		return false;
	return !sni || !mark->name[0] || strcasecmp(mark->name, sni) == 0;
}

/* A handshake begins. SSL_CONF_cmd() and openssl.cnf reach these settings without a call that we
 * would see, so they are made here, for clients alone. */
static void begin(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record)
{
	struct ssl_session_st *session;
	long max;

	leash_openssl_clear(lib, record);
	leash_openssl_alpn_begin(lib, ssl, record);
	if (record->tie.free)
		record->tie = (struct leash_tie){0};
	if (leash_verify_skipped())
		return;
	lib->SSL_ctrl(ssl, OSSL_CTRL_SET_MIN_VERSION, 0x0303, NULL);
	max = lib->SSL_ctrl(ssl, OSSL_CTRL_GET_MAX_VERSION, 0, NULL);
	if (max > 0 && max < 0x0303)
		lib->SSL_ctrl(ssl, OSSL_CTRL_SET_MAX_VERSION, 0x0303, NULL);
	lib->SSL_clear_options(ssl, OSSL_OP_ENABLE_KTLS);
	/* Here, and not where it was set: only now all that was set is there, by whatever call. */
	session = lib->SSL_get_session(ssl);
	if (session && !may_resume(lib, ssl, session))
		lib->SSL_set_session(ssl, NULL);
}

/*
 * The two ends found no version. Where we say so, the server chose one that is too old; where the
 * server says so, it may also be that the program wants none of its new ones.
 */
static void alert(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record, int where,
		  int what)
{
	const long max = lib->SSL_ctrl(ssl, OSSL_CTRL_GET_MAX_VERSION, 0, NULL);

	if ((what & 0xff) != OSSL_ALERT_PROTOCOL_VERSION || record->good || record->accepted ||
	    (where == OSSL_CB_READ_ALERT && max > 0 && max < 0x0304))
		return;
	tie(lib, ssl, record);
	if (record->tied)
		leash_verify_reject(&record->tie, "SSL_connect", LEASH_REJECT_VERSION);
}

static void watch(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record, int where,
		  int ret)
{
	const int error = errno;

	if (where & OSSL_CB_HANDSHAKE_START)
		begin(lib, ssl, record);
	else if (where & OSSL_CB_HANDSHAKE_DONE)
		leash_openssl_point_b(lib, ssl, record, "SSL_connect");
	else if (where == OSSL_CB_CONNECT_LOOP)
		tie(lib, ssl, record);
	else if (where == OSSL_CB_READ_ALERT || where == OSSL_CB_WRITE_ALERT)
		alert(lib, ssl, record, where, ret);
	errno = error;
}

void leash_openssl_info(const struct ssl_st *ssl_, int where, int ret)
{
	struct ssl_st *ssl = (struct ssl_st *)ssl_;
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), "SSL_connect");
	struct leash_ssl_ctx *ctx;
	struct leash_ssl *record;
	leash_info_fn *theirs;

	if (!lib || !lib->bound)
		return;
	record = leash_openssl_record(lib, ssl);
	if (record && leash_openssl_client(lib, ssl))
		watch(lib, ssl, record, where, ret);
	theirs = record ? record->theirs : NULL;
	if (!theirs) {
		ctx = lib->SSL_CTX_get_ex_data(lib->SSL_get_SSL_CTX(ssl), lib->ctx_index);
		theirs = ctx ? ctx->theirs : NULL;
	}
	if (theirs)
		theirs(ssl, where, ret);
}

/* --------------------------------------------------------------------- hooks: the gate */

LEASH_EXPORT int X509_verify_cert(struct x509_store_ctx_st *store)
{
	const struct leash_openssl *lib = leash_openssl_of(NULL, CALLER(), "X509_verify_cert");

	if (!lib || !lib->X509_verify_cert)
		return -1;
	if (store && lib->bound && point_a(lib, store, "SSL_connect"))
		return 0;
	return lib->X509_verify_cert(store);
}

/* Stands in the library for the program's own callback; ours first, then theirs. */
static int verify_wrapped(struct x509_store_ctx_st *store, void *arg)
{
	const struct leash_ssl_ctx *ctx = arg;

	if (point_a(ctx->lib, store, "SSL_connect"))
		return 0;
	return ctx->verify(store, ctx->arg);
}

LEASH_EXPORT void SSL_CTX_set_cert_verify_callback(struct ssl_ctx_st *ctx, leash_verify_fn *verify,
						   void *arg)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct leash_ssl_ctx *record = lib && lib->bound && ctx ? leash_openssl_ctx(lib, ctx) : NULL;

	if (!lib || !lib->SSL_CTX_set_cert_verify_callback)
		return;
	if (record) {
		record->verify = verify;
		record->arg = arg;
		if (verify) {
			verify = verify_wrapped;
			arg = record;
		}
	}
	lib->SSL_CTX_set_cert_verify_callback(ctx, verify, arg);
}

/* A library that cannot be verified is not used, rather than used blindly. */
static struct ssl_ctx_st *made_ctx(const struct leash_openssl *lib, struct ssl_ctx_st *ctx)
{
	if (ctx && lib->bound)
		leash_openssl_ctx(lib, ctx);
	return ctx;
}

static bool usable(const struct leash_openssl *lib)
{
	if (lib->missing)
		leash_verify_unbound(lib->missing);
	return !lib->missing;
}

LEASH_EXPORT struct ssl_ctx_st *SSL_CTX_new(const struct ssl_method_st *method)
{
	const struct leash_openssl *lib = leash_openssl_of(method, CALLER(), __func__);

	if (!lib || !lib->SSL_CTX_new || !usable(lib))
		return NULL;
	return made_ctx(lib, lib->SSL_CTX_new(method));
}

LEASH_EXPORT struct ssl_ctx_st *SSL_CTX_new_ex(void *with, const char *properties,
					       const struct ssl_method_st *method)
{
	const struct leash_openssl *lib = leash_openssl_of(method, CALLER(), __func__);

	if (!lib || !lib->SSL_CTX_new_ex || !usable(lib))
		return NULL;
	return made_ctx(lib, lib->SSL_CTX_new_ex(with, properties, method));
}

LEASH_EXPORT struct ssl_st *SSL_new(struct ssl_ctx_st *ctx)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct ssl_st *ssl;

	if (!lib || !lib->SSL_new)
		return NULL;
	ssl = lib->SSL_new(ctx);
	if (!ssl || !lib->bound)
		return ssl;
	leash_openssl_ctx(lib, ctx);
	leash_openssl_record(lib, ssl);
	return ssl;
}

LEASH_EXPORT void SSL_CTX_set_info_callback(struct ssl_ctx_st *ctx, leash_info_fn *theirs)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct leash_ssl_ctx *record = lib && lib->bound && ctx ? leash_openssl_ctx(lib, ctx) : NULL;

	if (record)
		record->theirs = theirs;
	else if (lib && lib->SSL_CTX_set_info_callback)
		lib->SSL_CTX_set_info_callback(ctx, theirs);
}

LEASH_EXPORT leash_info_fn *SSL_CTX_get_info_callback(struct ssl_ctx_st *ctx)
{
	const struct leash_openssl *lib = leash_openssl_of(ctx, CALLER(), __func__);
	struct leash_ssl_ctx *record = lib && lib->bound && ctx ? leash_openssl_ctx(lib, ctx) : NULL;

	if (record)
		return record->theirs;
	return lib && lib->SSL_CTX_get_info_callback ? lib->SSL_CTX_get_info_callback(ctx) : NULL;
}

LEASH_EXPORT void SSL_set_info_callback(struct ssl_st *ssl, leash_info_fn *theirs)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record = lib && lib->bound && ssl ? leash_openssl_record(lib, ssl) : NULL;

	if (record)
		record->theirs = theirs;
	else if (lib && lib->SSL_set_info_callback)
		lib->SSL_set_info_callback(ssl, theirs);
}

LEASH_EXPORT leash_info_fn *SSL_get_info_callback(const struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record = lib && lib->bound && ssl ? leash_openssl_find(lib, ssl) : NULL;

	if (record)
		return record->theirs;
	return lib && lib->SSL_get_info_callback ? lib->SSL_get_info_callback(ssl) : NULL;
}

static struct ssl_session_st *given(const struct leash_openssl *lib, struct ssl_session_st *session)
{
	if (session && lib->bound)
		leash_ticket_give(lib, session);
	return session;
}

LEASH_EXPORT struct ssl_session_st *SSL_get_session(const struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);

	return lib && lib->SSL_get_session ? given(lib, lib->SSL_get_session(ssl)) : NULL;
}

LEASH_EXPORT struct ssl_session_st *SSL_get1_session(struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);

	return lib && lib->SSL_get1_session ? given(lib, lib->SSL_get1_session(ssl)) : NULL;
}

LEASH_EXPORT int SSL_clear(struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record = lib && lib->bound && ssl ? leash_openssl_find(lib, ssl) : NULL;

	if (record) {
		leash_openssl_pump_close(record);
		leash_openssl_clear(lib, record);
		record->tie = (struct leash_tie){0};
	}
	return lib && lib->SSL_clear ? lib->SSL_clear(ssl) : 0;
}

LEASH_EXPORT struct ssl_ctx_st *SSL_set_SSL_CTX(struct ssl_st *ssl, struct ssl_ctx_st *ctx)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record = lib && lib->bound && ssl ? leash_openssl_find(lib, ssl) : NULL;

	if (record && record->good)
		record->good = record->accepted = false;	/* looked at again before the next data */
	return lib && lib->SSL_set_SSL_CTX ? lib->SSL_set_SSL_CTX(ssl, ctx) : NULL;
}

/* -------------------------------------------------------------------- hooks: methods */

#define OLD_METHOD(call, instead)                                                                  \
	LEASH_EXPORT const struct ssl_method_st *call(void)                                        \
	{                                                                                          \
		const struct leash_openssl *lib = leash_openssl_of(NULL, CALLER(), #call);         \
                                                                                                   \
		if (!lib)                                                                          \
			return NULL;                                                               \
		if (lib->bound && !leash_verify_skipped())                                         \
			return lib->instead();                                                     \
		return lib->call ? lib->call() : NULL;                                             \
	}

OLD_METHOD(SSLv3_method, TLS_method)
OLD_METHOD(SSLv3_client_method, TLS_client_method)
OLD_METHOD(TLSv1_method, TLS_method)
OLD_METHOD(TLSv1_client_method, TLS_client_method)
OLD_METHOD(TLSv1_1_method, TLS_method)
OLD_METHOD(TLSv1_1_client_method, TLS_client_method)

#define NO_QUIC(call)                                                                              \
	LEASH_EXPORT const struct ssl_method_st *call(void)                                        \
	{                                                                                          \
		const struct leash_openssl *lib = leash_openssl_of(NULL, CALLER(), #call);         \
                                                                                                   \
		if (!lib || !lib->call)                                                            \
			return NULL;                                                               \
		if (!lib->bound || leash_verify_skipped())                                         \
			return lib->call();                                                        \
		leash_openssl_put_refused(lib, "netleash: QUIC is refused");                                     \
		return NULL;                                                                       \
	}

NO_QUIC(OSSL_QUIC_client_method)
NO_QUIC(OSSL_QUIC_client_thread_method)
