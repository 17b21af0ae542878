/* SPDX-License-Identifier: MIT */
/*
 * Own handshake, for certificates that cannot be seen otherwise: TLS that cannot be hooked, and
 * `netleash cert`.
 *
 * Nothing is verified here, the chain is taken home. libssl works on memory, so that every byte
 * passes the calls that were handed in; the socket is theirs and never blocks. The certificate
 * counts once the server has proved to hold its key (CertificateVerify; up to TLS 1.2 the signed
 * key exchange, or Finished where the key exchange is RSA). No request is sent.
 */
#include "inner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define CHUNK 16384

struct probe {
	const struct leash_verify_calls *calls;
	const struct leash_probe_in *in;
	struct leash_probe_out *out;
	int64_t deadline_ns, silence_ns; /* of all; of the first byte, 0: of no matter */
	int fd; /* -1: none */
	SSL *ssl;
	BIO *from_net, *to_net;
	STACK_OF(X509) * chain; /* leaf first, as served */
	bool proved;
};

/* ---------------------------------------------------------------------- socket */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Rounded up: rounded down, the last millisecond would be spent spinning. */
static int wait_for(const struct probe *probe, short events)
{
	const bool silent = probe->silence_ns && probe->silence_ns < probe->deadline_ns;
	const int late = silent ? -EBUSY : -ETIMEDOUT;
	int64_t left_ms =
		((silent ? probe->silence_ns : probe->deadline_ns) - now_ns() + 999999) / 1000000;
	int ready;

	if (left_ms <= 0)
		return late;
	ready = probe->calls->poll_fd(probe->fd, events,
				      left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready == 0 ? late : 0;
}

static bool is_pending(int error)
{
	return error == EINPROGRESS || error == EALREADY || error == EINTR || error == EAGAIN;
}

/* Asked again after the wait, connect() tells how it went: there is no getsockopt() here. */
static int dial(struct probe *probe)
{
	const struct leash_probe_in *in = probe->in;

	probe->fd = probe->calls->socket(in->addr->sa_family,
					 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe->fd < 0)
		return -errno;
	for (;;) {
		int error;

		if (probe->calls->connect(probe->fd, in->addr, in->addr_len) == 0 ||
		    errno == EISCONN)
			return 0;
		if (!is_pending(errno))
			return -errno;
		error = wait_for(probe, POLLOUT);
		if (error < 0)
			return error;
	}
}

static int flush(struct probe *probe)
{
	char *bytes;
	long len = BIO_get_mem_data(probe->to_net, &bytes);
	long done = 0;

	while (done < len) {
		ssize_t n = probe->calls->send(probe->fd, bytes + done, (size_t)(len - done),
					       MSG_NOSIGNAL);
		int error;

		if (n >= 0) {
			done += n;
			continue;
		}
		if (!is_pending(errno))
			return -errno;
		error = wait_for(probe, POLLOUT);
		if (error < 0)
			return error;
	}
	(void)BIO_reset(probe->to_net);
	return 0;
}

/* Return: 0 when there is more for libssl (the end counts), or -errno */
static int fill(struct probe *probe)
{
	char bytes[CHUNK];

	for (;;) {
		ssize_t n = probe->calls->recv(probe->fd, bytes, sizeof(bytes), 0);
		int error;

		probe->silence_ns = n > 0 ? 0 : probe->silence_ns;
		if (n > 0)
			return BIO_write(probe->from_net, bytes, (int)n) == n ? 0 : -ENOMEM;
		if (n == 0)
			return -ECONNRESET;
		if (!is_pending(errno))
			return -errno;
		error = wait_for(probe, POLLIN);
		if (error < 0)
			return error;
	}
}

/* ------------------------------------------------------------------- handshake */

static struct probe *probe_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* In place of verification: the chain, even of a handshake that fails later. */
static int take_chain(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct probe *probe = probe_of(ssl);
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);

	(void)arg;
	sk_X509_pop_free(probe->chain, X509_free);
	probe->chain = sent ? X509_chain_up_ref(sent) : NULL;
	return 1;
}

static void on_state(const SSL *ssl, int where, int value)
{
	struct probe *probe = probe_of(ssl);
	const SSL_CIPHER *cipher;
	OSSL_HANDSHAKE_STATE state;

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
	    (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
		snprintf(probe->out->alert, sizeof(probe->out->alert), "alert %d, %s", value & 0xff,
			 SSL_alert_desc_string_long(value));
	if (!(where & SSL_CB_LOOP))
		return;
	/* A state is told when the next one is about to begin: what it brought has been checked. */
	state = SSL_get_state(ssl);
	if (state == TLS_ST_CR_CERT_VRFY) {
		probe->proved = true;
	} else if (state == TLS_ST_CW_CERT || state == TLS_ST_CW_KEY_EXCH) {
		/* Up to TLS 1.2 the key exchange is signed, but for plain RSA. */
		cipher = SSL_get_pending_cipher(ssl);
		if (cipher && SSL_CIPHER_get_kx_nid(cipher) != NID_kx_rsa)
			probe->proved = true;
	}
}

static SSL_CTX *make_context(const struct leash_probe_in *in)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	uint16_t min = in->min_version ? in->min_version : TLS1_2_VERSION;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_chain, NULL);
	SSL_CTX_set_info_callback(ctx, on_state);
	/* Level 0, or a weak certificate would end the handshake before it is seen. */
	if (SSL_CTX_set_min_proto_version(ctx, min) && /* 0: the newest there is */
	    SSL_CTX_set_max_proto_version(ctx, in->max_version) &&
	    SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0") &&
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static bool prepare(struct probe *probe)
{
	SSL_CTX *ctx = make_context(probe->in);

	probe->ssl = ctx ? SSL_new(ctx) : NULL;
	SSL_CTX_free(ctx);
	if (!probe->ssl)
		return false;
	probe->from_net = BIO_new(BIO_s_mem());
	probe->to_net = BIO_new(BIO_s_mem());
	if (!probe->from_net || !probe->to_net) {
		BIO_free(probe->from_net);
		BIO_free(probe->to_net);
		return false;
	}
	BIO_set_mem_eof_return(probe->from_net, -1);
	SSL_set_bio(probe->ssl, probe->from_net, probe->to_net); /* owned by it now */
	SSL_set_app_data(probe->ssl, probe);
	return !probe->in->sni || SSL_set_tlsext_host_name(probe->ssl, probe->in->sni) == 1;
}

static void note_library_error(struct probe *probe)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());

	if (!probe->out->alert[0])
		snprintf(probe->out->alert, sizeof(probe->out->alert), "%s",
			 why ? why : "the handshake failed");
}

/* Return: 0 when libssl is through, -EPROTO when it gave up, or -errno of the socket */
static int shake(struct probe *probe)
{
	for (;;) {
		int ret = SSL_connect(probe->ssl), why = SSL_get_error(probe->ssl, ret);
		int error = flush(probe); /* an alert has to leave too */

		if (ret == 1) {
			probe->proved = true;
			return error;
		}
		if (why != SSL_ERROR_WANT_READ) {
			note_library_error(probe);
			return -EPROTO;
		}
		if (error == 0)
			error = fill(probe);
		if (error == -ECONNRESET && !probe->out->alert[0])
			snprintf(probe->out->alert, sizeof(probe->out->alert),
				 "the server closed the connection");
		if (error < 0)
			return error;
	}
}

/* ---------------------------------------------------------------------- result */

static bool keep_chain(struct probe *probe)
{
	struct leash_probe_out *out = probe->out;
	int count = sk_X509_num(probe->chain);
	size_t size = 0;
	uint8_t *at;

	if (count <= 0 || count > LEASH_CHAIN_MAX)
		return false;
	for (int i = 0; i < count; i++) {
		int len = i2d_X509(sk_X509_value(probe->chain, i), NULL);

		if (len <= 0)
			return false;
		size += (size_t)len;
	}
	out->store = at = malloc(size);
	if (!at)
		return false;
	for (int i = 0; i < count; i++) {
		out->certs[i].bytes = at;
		out->certs[i].len = (size_t)i2d_X509(sk_X509_value(probe->chain, i), &at);
	}
	out->cert_count = (size_t)count;
	return true;
}

static void finish(struct probe *probe, int error)
{
	struct leash_probe_out *out = probe->out;
	const SSL_CIPHER *cipher = probe->ssl ? SSL_get_current_cipher(probe->ssl) : NULL;

	if (!cipher && probe->ssl)
		cipher = SSL_get_pending_cipher(probe->ssl);
	if (probe->chain && probe->proved && keep_chain(probe)) {
		out->handshake_reached = true;
		out->version = (uint16_t)SSL_version(probe->ssl);
		out->cipher = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0;
		out->error = 0;
		return;
	}
	out->error = error < 0 && error != -EPROTO ? -error : 0;
	if (!out->alert[0] && probe->chain && !out->error)
		snprintf(out->alert, sizeof(out->alert), "more than %d certificates, or none",
			 LEASH_CHAIN_MAX);
}

int leash_probe(const struct leash_verify_calls *calls, const struct leash_probe_in *in,
		struct leash_probe_out *out)
{
	struct probe probe = {.calls = calls, .in = in, .out = out, .fd = -1};
	int saved = errno, error;

	memset(out, 0, sizeof(*out));
	probe.deadline_ns = now_ns() + (int64_t)in->timeout_ms * 1000000;
	ERR_clear_error();
	if (prepare(&probe)) {
		error = dial(&probe);
		out->connected = error == 0;
		if (error == 0 && in->silence_ms > 0)
			probe.silence_ns = now_ns() + (int64_t)in->silence_ms * 1000000;
		if (error == 0)
			error = shake(&probe);
	} else {
		note_library_error(&probe);
		error = -EPROTO;
	}
	finish(&probe, error);
	/* Polite, and only if it costs no wait. */
	if (probe.fd >= 0 && out->handshake_reached && SSL_is_init_finished(probe.ssl)) {
		char *bytes;
		long len;

		SSL_shutdown(probe.ssl);
		len = BIO_get_mem_data(probe.to_net, &bytes);
		if (len > 0)
			calls->send(probe.fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	sk_X509_pop_free(probe.chain, X509_free);
	SSL_free(probe.ssl);
	if (probe.fd >= 0)
		calls->close(probe.fd);
	ERR_clear_error();
	errno = saved;
	if (out->handshake_reached)
		return 0;
	return out->error ? -out->error : -EPROTO;
}

void leash_probe_release(struct leash_probe_out *out)
{
	free(out->store);
	out->store = NULL;
	out->cert_count = 0;
}
