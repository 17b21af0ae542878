/* SPDX-License-Identifier: MIT */
/*
 * GnuTLS: gnutls_handshake() is always called by name, so its success is where the peer is judged
 * (design: TLS 10). Resumed sessions still have their chain and are judged again.
 */
#include <stdatomic.h>
#include <string.h>

#include "shim/conn/verify.h"
#include "shim/core/sys.h"
#include "shim/tls/gnutls_inner.h"

#define CALLER() __builtin_return_address(0)

/*
 * Which end a session is, is said at gnutls_init() and nowhere else. Only servers and datagram
 * sessions are kept, which are few: a session that is not here is a client, and judged.
 */
#define SESSIONS 4096		/* past it further ones of a server are taken for clients and refused */
static _Atomic(struct gnutls_session_int *) others[SESSIONS];

static uint32_t place_of(const struct gnutls_session_int *session)
{
	return (uint32_t)((uintptr_t)session / 64 * 2654435761u) % SESSIONS;
}

static void remember(struct gnutls_session_int *session)
{
	const uint32_t start = place_of(session);

	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct gnutls_session_int *none = NULL;

		if (atomic_compare_exchange_strong(&others[(start + i) % SESSIONS], &none, session))
			return;
	}
}

/* No chain of neighbours is kept, so all are looked at; only where anything is there at all. */
static bool find_other(struct gnutls_session_int *session, bool forget)
{
	const uint32_t start = place_of(session);

	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct gnutls_session_int *same = session;

		if (atomic_load_explicit(&others[(start + i) % SESSIONS], memory_order_relaxed) != session)
			continue;
		if (!forget || atomic_compare_exchange_strong(&others[(start + i) % SESSIONS], &same, NULL))
			return true;
	}
	return false;
}

static _Atomic int any_other;

bool leash_gnutls_other(struct gnutls_session_int *session)
{
	return atomic_load(&any_other) && find_other(session, false);
}

LEASH_EXPORT int gnutls_init(struct gnutls_session_int **session, unsigned int flags)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);
	int ret;

	if (!lib || !lib->gnutls_init)
		return GNUTLS_E_INVALID;
	ret = lib->gnutls_init(session, flags);
	if (ret == 0 && (flags & (GNUTLS_FLAG_SERVER | GNUTLS_FLAG_DATAGRAM))) {
		remember(*session);
		atomic_store(&any_other, 1);
	}
	return ret;
}

LEASH_EXPORT void gnutls_deinit(struct gnutls_session_int *session)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);

	if (session && atomic_load(&any_other))
		find_other(session, true);
	leash_gnutls_pump_close(session);
	if (leash_inside.session == session)
		leash_inside = (struct leash_inside){0};
	if (lib && lib->gnutls_deinit)
		lib->gnutls_deinit(session);
}

/* ------------------------------------------------------------------------- the gate */


static bool get_random(const struct leash_gnutls *lib, struct gnutls_session_int *session,
		       uint8_t ret[static 32])
{
	struct leash_gnutls_datum client = {0}, server = {0};

	lib->gnutls_session_get_random(session, &client, &server);
	if (!client.data || client.size != 32)
		return false;
	memcpy(ret, client.data, 32);
	return true;
}

/* Asked by the engine when a hello leaves while this thread is in the handshake */
static bool is_its_hello(void *session, const uint8_t random[static 32])
{
	const struct leash_gnutls *lib = leash_gnutls_of(session, "gnutls_handshake");
	uint8_t its[32];

	return lib && lib->bound && get_random(lib, session, its) && memcmp(its, random, 32) == 0;
}

static struct leash_tie tie_of(const struct leash_gnutls *lib, struct gnutls_session_int *session)
{
	struct leash_tie tie = {0}, other;
	uint8_t random[32];
	int in = -1, out = -1;

	if (get_random(lib, session, random) && leash_verify_tie(random, &tie))
		return tie;
	/* Not by a first byte that we saw. Where the program moves the bytes, these are no descriptors. */
	lib->gnutls_transport_get_int2(session, &in, &out);
	if (leash_verify_tie_fd(in, &other) && (in == out || leash_verify_tie_fd(out, &other)))
		return other;
	return tie;
}

static uint16_t version_of(int version)
{
	/* 1 is SSL 3.0, 2 TLS 1.0 and so on; what is not known is none */
	return version >= 1 && version <= 5 ? (uint16_t)(0x02ff + version) : 0x0300;
}

/*
 * The suite's number, which strict's rule about forward secrecy needs: no call tells it of a session, so it
 * is the one of the library's list that is made of the session's parts. Below TLS 1.3 the key exchange
 * is one of them; above, suites do not name it.
 */
static uint16_t suite_of(const struct leash_gnutls *lib, struct gnutls_session_int *session,
			 uint16_t version)
{
	const int kx = lib->gnutls_kx_get(session), cipher = lib->gnutls_cipher_get(session);
	const int mac = lib->gnutls_mac_get(session);
	int its_kx, its_cipher, its_mac, its_version;
	unsigned char id[2];

	for (size_t i = 0; lib->gnutls_cipher_suite_info(i, id, &its_kx, &its_cipher, &its_mac, &its_version);
	     i++) {
		const bool new = its_version == GNUTLS_TLS1_3;

		if (its_cipher == cipher && its_mac == mac && new == (version >= 0x0304) &&
		    (new || its_kx == kx))
			return (uint16_t)(id[0] << 8 | id[1]);
	}
	return 0;
}

static int judge(const struct leash_gnutls *lib, struct gnutls_session_int *session,
		 const struct leash_tie *tie)
{
	struct leash_cert certs[LEASH_CERTS_MAX];
	const struct leash_gnutls_datum *peers;
	struct leash_chain chain = {.certs = certs};
	unsigned int count = 0;

	if (lib->gnutls_certificate_type_get(session) != GNUTLS_X509)
		return leash_verify_reject(tie, "gnutls_handshake", LEASH_REJECT_NOT_X509);
	peers = lib->gnutls_certificate_get_peers(session, &count);
	if (!peers || count == 0)
		return leash_verify_reject(tie, "gnutls_handshake", LEASH_REJECT_NO_CERTIFICATE);
	if (count > LEASH_CERTS_MAX)
		return leash_verify_reject(tie, "gnutls_handshake", LEASH_REJECT_MALFORMED);
	for (unsigned int i = 0; i < count; i++)
		certs[i] = (struct leash_cert){.bytes = peers[i].data, .len = peers[i].size};
	chain.count = count;
	chain.version = version_of(lib->gnutls_protocol_get_version(session));
	chain.cipher = suite_of(lib, session, chain.version);
	return leash_verify_chain(tie, "gnutls_handshake", &chain);
}

LEASH_EXPORT int gnutls_handshake(struct gnutls_session_int *session)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);
	const struct leash_inside outer = leash_inside;
	struct leash_tie tie;
	int ret, error;

	if (!lib || !lib->gnutls_handshake)
		return GNUTLS_E_INVALID;
	if (!session || leash_gnutls_other(session))
		return lib->gnutls_handshake(session);
	if (!lib->bound) {
		leash_verify_unbound("gnutls_certificate_get_peers");
		return GNUTLS_E_VERIFICATION;
	}
	leash_inside = (struct leash_inside){.is = is_its_hello, .session = session};
	ret = lib->gnutls_handshake(session);
	leash_inside = outer;
	error = errno;
	if (ret == GNUTLS_E_AGAIN_ || ret == GNUTLS_E_INTERRUPTED_) {
		tie_of(lib, session);		/* its hello is on the wire, by whatever way */
		errno = error;
		return ret;
	}
	if (ret == GNUTLS_E_VERSION) {
		tie = tie_of(lib, session);
		if (leash_verify_tied(&tie))
			leash_verify_reject(&tie, "gnutls_handshake", LEASH_REJECT_VERSION);
	}
	if (ret != 0) {
		errno = error;
		return ret;
	}
	tie = tie_of(lib, session);
	if (judge(lib, session, &tie) == 0 && leash_gnutls_pump_open(lib, session, &tie)) {
		leash_verify_done(&tie, "gnutls_handshake");
		errno = error;
		return 0;
	}
	lib->gnutls_alert_send(session, GNUTLS_ALERT_FATAL, GNUTLS_ALERT_BAD_CERTIFICATE);
	leash_verify_end(&tie);
	errno = EACCES;
	return GNUTLS_E_VERIFICATION;
}

/* Leaves before the server has shown anything. */
LEASH_EXPORT ssize_t gnutls_record_send_early_data(struct gnutls_session_int *session, const void *data,
						   size_t len)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);

	if (!lib || !lib->gnutls_record_send_early_data)
		return GNUTLS_E_INVALID;
	if (leash_verify_skipped())
		return lib->gnutls_record_send_early_data(session, data, len);
	return GNUTLS_E_UNIMPLEMENTED;
}

/* Would carry the program's text past everybody who reads it. */
LEASH_EXPORT ssize_t gnutls_record_send_file(struct gnutls_session_int *session, int fd, off_t *offset,
					     size_t count)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);

	if (!lib || !lib->gnutls_record_send_file)
		return GNUTLS_E_INVALID;
	if (leash_verify_skipped() || leash_gnutls_other(session))
		return lib->gnutls_record_send_file(session, fd, offset, count);
	return GNUTLS_E_UNIMPLEMENTED;
}
