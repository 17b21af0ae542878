/* SPDX-License-Identifier: MIT */
/*
 * Handshakes of hooked libraries: whose connection they are, and what the verdict about their server
 * means for it (design: TLS 3, 5).
 */
#include "shim/conn/verify.h"

#include <string.h>
#include <sys/stat.h>

#include "shim/conn/judge.h"
#include "shim/conn/timing.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"

_Static_assert(LEASH_CERTS_MAX == LEASH_CHAIN_MAX, "one limit for a served chain");

__thread struct leash_inside leash_inside;

/* ---------------------------------------------------------------- libraries in the process */

bool leash_verify_tie(const uint8_t random[static 32], struct leash_tie *ret)
{
	struct leash_conn *conn = leash_flight_find(random);

	if (!conn)
		return false;
	*ret = (struct leash_tie){.conn = conn, .cookie = conn->cookie, .free = conn->tls_free};
	leash_flight_tie(conn);
	return true;
}

bool leash_verify_tie_fd(int fd, struct leash_tie *ret)
{
	struct leash_conn *conn = fd >= 0 ? leash_registry_of(fd) : NULL;
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct stat file;

	if (conn && conn->tls_free && leash_registry_same(conn, fd)) {
		*ret = (struct leash_tie){.conn = conn, .cookie = conn->cookie, .free = true};
		return true;
	}
	if (fd < 0)
		return false;
	if (LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0) {
		if (LEASH_SYS(SYS_fstat, fd, &file) < 0 || !S_ISFIFO(file.st_mode))
			return false;
	} else if (domain != AF_UNIX) {
		return false;
	}
	*ret = (struct leash_tie){.free = true};
	return true;
}

/* Is it a stream on which the certificate counts, to a peer outside, that can still carry bytes? */
static bool is_carrier(const struct leash_conn *conn)
{
	const enum leash_conn_state is = leash_registry_state(conn);

	if (!conn->stream || conn->tls_free ||
	    (is != LEASH_CONN_SNIFFING && is != LEASH_CONN_FLIGHT && is != LEASH_CONN_OPEN))
		return false;
	/* Numbers past the table are not counted. */
	if (atomic_load_explicit(&conn->refs, memory_order_relaxed) == 0)
		return true;
	/* One that libc closed behind our back still has its slot. */
	for (int fd = leash_registry_number(conn, 0); fd >= 0; fd = leash_registry_number(conn, fd + 1))
		if (leash_registry_same(conn, fd))
			return true;
	return false;
}

/*
 * A handshake whose hello no connection of ours has sent: is there one that could have carried it? Every
 * stream to a listed name begins with a hello that was judged, and is answered for by the library that
 * made it or by what the wire says; so such bytes reach the network inside of one of them, or not at
 * all. By now the server's answer has been read: a connection that carried it is in the table, or can
 * carry nothing any more. One that is made later did not.
 *
 * The table moves meanwhile. A slot that changes while it is looked at is looked at again.
 */
static bool may_be_carried(void)
{
	for (uint32_t i = 0; i < leash_registry_high(); i++) {
		const struct leash_conn *conn = leash_registry_at(i);
		uint32_t word;
		bool is;

		do {
			word = atomic_load_explicit(&conn->state, memory_order_acquire);
			is = is_carrier(conn);
			atomic_thread_fence(memory_order_acquire);
		} while (word != atomic_load_explicit(&conn->state, memory_order_relaxed));
		if (is)
			return true;
	}
	return false;
}

/* Raw TCP, loopback, a local socket; or memory, and nothing there by which its bytes could leave */
static bool is_own_affair(const struct leash_tie *tie)
{
	return tie->free || (!tie->conn && !may_be_carried());
}

bool leash_verify_tied(const struct leash_tie *tie)
{
	return tie->conn && tie->conn->cookie == tie->cookie;
}

const char *leash_verify_name(const struct leash_tie *tie)
{
	const char *name = leash_verify_tied(tie) ? leash_flight_name(tie->conn) : "";

	return name[0] ? leash_names_text(leash_names_intern(name)) : "";
}

bool leash_verify_skipped(void)
{
	const struct leash_image *image = leash_image_get();

	return image && (leash_image_settings(image)->audit ||
			 leash_image_settings(image)->skip_domain_check);
}

static int refuse(const struct leash_tie *tie, const char *call, const struct leash_fault *fault,
		  uint16_t version, uint16_t cipher)
{
	struct leash_conn *conn = leash_verify_tied(tie) ? tie->conn : NULL;

	if (leash_judge_say(conn, call, fault, version, cipher) == 0)
		return 0;
	if (conn)
		leash_flight_refuse(conn);
	return fault->code ? fault->code : LEASH_CODE_OTHER;
}

int leash_verify_chain(const struct leash_tie *tie, const char *call, const struct leash_chain *chain)
{
	struct leash_der certs[LEASH_CHAIN_MAX];
	struct leash_fault fault;
	int ret;

	if (is_own_affair(tie))
		return 0;
	if (!leash_verify_tied(tie))
		return leash_verify_reject(tie, call, LEASH_REJECT_UNKNOWN);
	for (size_t i = 0; i < chain->count && i < LEASH_CHAIN_MAX; i++)
		certs[i] = (struct leash_der){.bytes = chain->certs[i].bytes, .len = chain->certs[i].len};
	ret = leash_judge_chain(tie->conn, certs, chain->count, chain->version, chain->cipher, &fault);
	leash_judge_keep(tie->conn, chain->version, chain->cipher, &fault);
	return ret ? refuse(tie, call, &fault, chain->version, chain->cipher) : 0;
}

int leash_verify_reject(const struct leash_tie *tie, const char *call, enum leash_reject why)
{
	struct leash_fault fault;

	if (is_own_affair(tie))
		return 0;
	switch (why) {
	case LEASH_REJECT_UNKNOWN:
		leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_NAME_MISMATCH, LEASH_VERIFY_NAME,
				"this handshake did not leave by a connection of this process in the clear: "
				"whom it is for cannot be known (TLS inside TLS, encrypted hello)", NULL);
		return refuse(tie, call, &fault, 0, 0);
	case LEASH_REJECT_NO_CERTIFICATE:
		leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
				"the server showed no certificate (anonymous cipher, pre-shared key): "
				"use a server with one", NULL);
		return refuse(tie, call, &fault, 0, 0);
	case LEASH_REJECT_NOT_X509:
		leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
				"the server showed a raw public key and no certificate", NULL);
		return refuse(tie, call, &fault, 0, 0);
	case LEASH_REJECT_VERSION:
		leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
				"the server takes neither TLS 1.2 nor 1.3: enable them on the server", NULL);
		return refuse(tie, call, &fault, 0, 0);
	case LEASH_REJECT_MALFORMED:
		break;
	}
	leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
			"the server's certificates cannot be read", NULL);
	return refuse(tie, call, &fault, 0, 0);
}

void leash_verify_done(const struct leash_tie *tie, const char *call)
{
	if (leash_verify_tied(tie))
		leash_judge_accepted(tie->conn, call, NULL);
}

void leash_verify_end(const struct leash_tie *tie)
{
	struct leash_conn *conn = tie->conn;

	if (!leash_verify_tied(tie))
		return;
	conn->error = EACCES;
	conn->reason = LEASH_WHY_CERTIFICATE;
	conn->rule = LEASH_RULE_CERTIFICATE;
	leash_sniff_release(conn);
	leash_registry_set_state(conn, LEASH_CONN_DENIED);
	for (int fd = leash_registry_number(conn, 0); fd >= 0; fd = leash_registry_number(conn, fd + 1)) {
		leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_JUDGE);
		if (leash_registry_same(conn, fd))
			LEASH_SYS(SYS_shutdown, fd, SHUT_RDWR);
	}
}

int leash_verify_error(const struct leash_tie *tie)
{
	int error;

	if (!leash_verify_tied(tie))
		return 0;
	error = leash_timing_errno(tie->conn);
	if (error)
		return error;
	return leash_registry_state(tie->conn) == LEASH_CONN_DENIED ? tie->conn->error : 0;
}

bool leash_verify_http2(void)
{
	const struct leash_image *image = leash_image_get();

	return image && (leash_image_settings(image)->http2 == LEASH_HTTP2_OBSERVE ||
			 leash_image_settings(image)->audit);
}

void leash_verify_unbound(const char *missing)
{
	static _Atomic int said;
	struct leash_gate gate;
	char hint[160];
	size_t len;

	if (atomic_exchange(&said, 1))
		return;
	len = leash_text_put(hint, sizeof(hint), 0, "this OpenSSL has no ");
	len = leash_text_put(hint, sizeof(hint), len, missing);
	leash_text_put(hint, sizeof(hint), len, "(): its certificates cannot be verified, it is not used");
	leash_gate_name(&gate, "SSL_CTX_new", NULL, leash_policy_none());
	if (gate.image)
		leash_gate_judge(&gate, leash_policy_handshake(gate.image, LEASH_WHY_CERTIFICATE));
	gate.hint_text = hint;
	leash_gate_settle(&gate);
}
