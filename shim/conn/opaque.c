/* SPDX-License-Identifier: MIT */
/*
 * TLS that nobody here can look into: judged by what the wire shows, else by an own handshake with the
 * same address and name, before the client's second flight leaves (design: TLS 9).
 */
#include <linux/futex.h>
#include <poll.h>
#include <string.h>

#include "shim/conn/judge.h"
#include "shim/core/clock.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/wire/tls_server.h"

_Static_assert(LEASH_SERVER_CERTS_MAX == LEASH_CHAIN_MAX, "one limit for a served chain");

/* @said: what say() answered. Return: the same */
static int end(struct leash_conn *conn, int fd, const struct leash_fault *fault, int said)
{
	if (said == 0)
		return 0;
	conn->error = -said;
	conn->reason = (uint8_t)fault->reason;
	conn->rule = LEASH_RULE_CERTIFICATE;
	leash_sniff_release(conn);
	leash_registry_set_state(conn, LEASH_CONN_DENIED);
	if (leash_registry_same(conn, fd))
		LEASH_SYS(SYS_shutdown, fd, SHUT_RDWR);
	return said;
}

int leash_verify_fault(struct leash_conn *conn, int fd, enum leash_opaque_fault what,
		       const char *call)
{
	struct leash_fault fault;

	leash_judge_set(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK, "", NULL);
	switch (what) {
	case LEASH_FAULT_EARLY_DATA:
		leash_judge_set(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
				"early data (0-RTT) would leave before the server has shown a certificate: "
				"switch it off in the program", NULL);
		break;
	case LEASH_FAULT_UNSEEN:
		leash_judge_set(&fault, 0, LEASH_WHY_UNJUDGED, LEASH_VERIFY_OK,
				"the server's part of the TLS handshake passed by unseen", NULL);
		break;
	case LEASH_FAULT_MALFORMED:
		leash_judge_set(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
				"the server's part of the TLS handshake cannot be read", NULL);
		break;
	case LEASH_FAULT_SECOND_HELLO:
		leash_judge_set(&fault, 0, LEASH_WHY_NAME_MISMATCH, LEASH_VERIFY_NAME,
				"the second hello of the handshake is for another name than the first", NULL);
		break;
	case LEASH_FAULT_BUFFERS:
		leash_judge_set(&fault, 0, LEASH_WHY_RESOURCE, LEASH_VERIFY_OK,
				"too many handshakes wait for their server at the same time", NULL);
		break;
	}
	return end(conn, fd, &fault, leash_judge_say(conn, call, &fault, 0, 0));
}

/* What probes found, for ten minutes (design: TLS 9). One probe at a time for each server. */
#define PROBES 256
#define PROBE_WINDOW 8		/* neighbours that one server may use; the oldest goes */
#define PROBE_KEPT_NS (600 * INT64_C(1000000000))
#define PROBE_MS_MAX 15000	/* it blocks the program's write() */
#define BUSY 1u
#define READY 2u

struct probed {
	_Atomic uint64_t tag;		/* hash << 2 | BUSY or READY; 0: free */
	_Atomic pid_t owner;		/* BUSY: the process that asks; a fork does not */
	_Atomic int64_t since_ns;
	struct leash_addr addr;
	uint16_t port;
	char name[LEASH_NAME_SIZE];
	struct leash_fault fault;		/* code 0: good */
};
static struct probed probed[PROBES];

struct server {
	struct leash_addr addr;
	uint16_t port;
	const char *name;
};

static uint64_t hash_of(const struct server *server)
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */

	for (size_t i = 0; i < sizeof(server->addr); i++)
		hash = (hash ^ ((const uint8_t *)&server->addr)[i]) * 1099511628211u;
	hash = (hash ^ server->port) * 1099511628211u;
	for (const char *at = server->name; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211u;
	return hash >> 2 ? hash >> 2 : 1;
}

static bool is_for(const struct probed *entry, const struct server *server)
{
	return leash_addr_equal(&entry->addr, &server->addr) && entry->port == server->port &&
	       strcmp(entry->name, server->name) == 0;
}

static void wait_for(struct probed *entry, uint64_t tag)
{
	const struct timespec slice = {.tv_nsec = 100 * 1000 * 1000};

	LEASH_SYS(SYS_futex, &entry->tag, FUTEX_WAIT_PRIVATE, (uint32_t)tag, &slice, NULL, 0);
}

/*
 * The answer that is kept, or an entry to fill in.
 * @ret_mine: an entry in state BUSY that the caller has to settle()
 */
static struct probed *look_up(const struct server *server, int64_t patience_ns, bool *ret_mine)
{
	const uint64_t hash = hash_of(server);
	const int64_t start_ns = leash_now_ns();

	*ret_mine = true;
	while (leash_now_ns() - start_ns < patience_ns) {
		struct probed *oldest = NULL;
		int64_t oldest_ns = INT64_MAX;
		bool again = false;

		for (uint32_t i = 0; i < PROBE_WINDOW && !again; i++) {
			struct probed *entry = &probed[(hash + i) % PROBES];
			uint64_t tag = atomic_load_explicit(&entry->tag, memory_order_acquire);
			const int64_t since_ns = atomic_load(&entry->since_ns);
			const int64_t age_ns = leash_now_ns() - since_ns;

			if (tag >> 2 == hash && (tag & 3) == BUSY) {
				/* A parent's or a thread's that is gone: nobody will settle it. */
				if ((atomic_load(&entry->owner) != leash_sys_getpid() ||
				     age_ns > 2 * PROBE_MS_MAX * INT64_C(1000000)) &&
				    atomic_compare_exchange_strong(&entry->tag, &tag, 0)) {
					again = true;
					break;
				}
				wait_for(entry, tag);
				again = true;
			} else if (tag >> 2 == hash) {
				if (is_for(entry, server) && age_ns < PROBE_KEPT_NS) {
					*ret_mine = false;
					return entry;
				}
				oldest = entry;
				oldest_ns = INT64_MIN;
			} else if (oldest_ns != INT64_MIN && (tag & 3) != BUSY &&
				   (tag == 0 ? INT64_MIN + 1 : since_ns) < oldest_ns) {
				oldest = entry;
				oldest_ns = tag == 0 ? INT64_MIN + 1 : since_ns;
			}
		}
		if (again)
			continue;
		if (oldest) {
			uint64_t tag = atomic_load(&oldest->tag);

			if ((tag & 3) != BUSY &&
			    atomic_compare_exchange_strong(&oldest->tag, &tag, hash << 2 | BUSY)) {
				atomic_store(&oldest->owner, leash_sys_getpid());
				atomic_store(&oldest->since_ns, leash_now_ns());
				oldest->addr = server->addr;
				oldest->port = server->port;
				oldest->name[0] = '\0';
				strncat(oldest->name, server->name, sizeof(oldest->name) - 1);
				return oldest;
			}
		}
		LEASH_SYS(SYS_sched_yield);
	}
	return NULL;
}

static void settle(struct probed *entry, bool keep)
{
	const uint64_t hash = atomic_load(&entry->tag) >> 2;

	atomic_store(&entry->since_ns, leash_now_ns());
	atomic_store_explicit(&entry->tag, keep ? hash << 2 | READY : 0, memory_order_release);
	LEASH_SYS(SYS_futex, &entry->tag, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* The probe's own calls: past the hooks and the registry, its number high and close-on-exec */
static int probe_socket(int family, int type, int protocol)
{
	const int fd = leash_real.socket(family, type | SOCK_CLOEXEC, protocol);
	long high;

	if (fd < 0)
		return fd;
	high = LEASH_SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 512);
	if (high < 0)
		return fd;		/* a low limit on numbers */
	leash_real.close(fd);
	return (int)high;
}

static int probe_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return leash_real.connect(fd, addr, len);
}

static ssize_t probe_send(int fd, const void *buf, size_t len, int flags)
{
	return leash_real.send(fd, buf, len, flags | MSG_NOSIGNAL);
}

static ssize_t probe_recv(int fd, void *buf, size_t len, int flags)
{
	return leash_real.recv(fd, buf, len, flags);
}

static int probe_close(int fd)
{
	return leash_real.close(fd);
}

static int probe_poll(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, timeout_ms);
}

static socklen_t sockaddr_of(const struct server *server, union leash_sockaddr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (server->addr.family == LEASH_INET) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(server->port);
		memcpy(&ret->in.sin_addr, server->addr.bytes, 4);
		return sizeof(ret->in);
	}
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(server->port);
	ret->in6.sin6_scope_id = server->addr.scope;
	memcpy(&ret->in6.sin6_addr, server->addr.bytes, 16);
	return sizeof(ret->in6);
}

static const char *why_no_probe(const struct leash_probe_out *out)
{
	if (out->alert[0])
		return out->alert;
	switch (out->error) {
	case ETIMEDOUT:
		return "no answer in time";
	case ECONNREFUSED:
		return "connection refused";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "unreachable";
	case EBUSY:
		return "the server takes the connection and stays silent while the program's own is open, as one "
		       "does that serves them one by one: opaque_tls = \"allow\" goes by name and version alone";
	}
	return "the connection failed";
}

/* Return: is it an answer to keep? */
static bool probe(const struct leash_conn *conn, const struct server *server, int timeout_ms,
		  int silence_ms, struct leash_fault *fault)
{
	static const struct leash_verify_calls calls = {
		.socket = probe_socket, .connect = probe_connect, .send = probe_send,
		.recv = probe_recv, .close = probe_close, .poll_fd = probe_poll,
	};
	union leash_sockaddr addr;
	const struct leash_probe_in in = {
		.addr = &addr.sa,
		.addr_len = sockaddr_of(server, &addr),
		.sni = server->name[0] ? server->name : NULL,
		.timeout_ms = timeout_ms,
		.silence_ms = silence_ms,
	};
	const struct leash_verifier *table = leash_judge_object();
	struct leash_probe_out out;
	bool keep = false;

	if (!table) {
		leash_judge_unverified(fault);
		return false;
	}
	memset(&out, 0, sizeof(out));
	if (table->probe(&calls, &in, &out) < 0) {
		leash_judge_set(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
				"an own handshake with the server, to see its certificate, failed: ",
				why_no_probe(&out));
	} else {
		fault->code = 0;
		leash_judge_chain(conn, out.certs, out.cert_count, out.version, out.cipher, fault);
		keep = true;
	}
	table->release(&out);
	return keep;
}

/*
 * A server that serves one connection after the other cannot answer a second one: it waits for the
 * flight that waits here. So silence behind an accepted connection is measured by what the same server
 * needed for its answer to the program a moment ago, and not by the time of the request.
 */
#define SILENCE_MS_MIN 4000
#define SILENCE_TIMES 4

static int silence_ms(const struct leash_conn *conn)
{
	const uint32_t took_ms = leash_flight_answer_ms(conn);

	return took_ms < PROBE_MS_MAX ? SILENCE_MS_MIN + SILENCE_TIMES * (int)took_ms : PROBE_MS_MAX;
}

static void judge_by_probe(struct leash_conn *conn, struct leash_fault *fault)
{
	const struct leash_image *image = leash_image_get();
	uint32_t timeout_ms = image ? leash_image_settings(image)->timeout_ms[LEASH_LIST_REQUEST] : 0;
	struct server server = {.port = conn->port, .name = leash_flight_name(conn)};
	struct probed *entry;
	bool mine;

	if (timeout_ms == 0 || timeout_ms > PROBE_MS_MAX)
		timeout_ms = PROBE_MS_MAX;
	leash_conn_addr(conn, &server.addr);
	entry = look_up(&server, (int64_t)timeout_ms * 1000000, &mine);
	if (!entry) {
		leash_judge_set(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
				"an own handshake with the server, to see its certificate, is not finished", NULL);
		return;
	}
	if (mine) {
		const bool keep = probe(conn, &server, (int)timeout_ms, silence_ms(conn), fault);

		entry->fault = *fault;
		settle(entry, keep);
		return;
	}
	*fault = entry->fault;
}

int leash_verify_opaque(struct leash_conn *conn, int fd, const struct leash_tls_server *server,
			const char *call)
{
	const struct leash_image *image = leash_image_get();
	const enum leash_opaque mode = image ? (enum leash_opaque)leash_image_settings(image)->opaque_tls :
					       LEASH_OPAQUE_DENY;
	const char *version = leash_judge_version(server->version);
	const char *how = "opaque TLS: the certificate was read on the wire";
	struct leash_fault fault;

	fault.code = 0;
	if (server->version < 0x0303) {
		leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
				version ? version : "an unknown version",
				" was chosen: enable TLS 1.2 or 1.3 on the server");
	} else {
		switch (mode) {
		case LEASH_OPAQUE_ALLOW:
			leash_judge_keep(conn, server->version, server->cipher, NULL);
			leash_judge_accepted(conn, call,
					     "opaque TLS: name and version were judged, the certificate "
					     "was not (opaque_tls = \"allow\")");
			return 0;
		case LEASH_OPAQUE_OBSERVE:
			if (server->certificate) {
				struct leash_der certs[LEASH_CHAIN_MAX];

				for (size_t i = 0; i < server->cert_count; i++)
					certs[i] = (struct leash_der){.bytes = server->certs[i].bytes,
								      .len = server->certs[i].len};
				leash_judge_chain(conn, certs, server->cert_count, server->version,
						  server->cipher, &fault);
			} else {
				how = "opaque TLS: the certificate was shown to an own handshake with the server";
				judge_by_probe(conn, &fault);
			}
			break;
		case LEASH_OPAQUE_DENY:
			leash_judge_set(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
					"this TLS library cannot be checked, and opaque_tls is \"deny\"", NULL);
			break;
		}
	}
	leash_judge_keep(conn, server->version, server->cipher, &fault);
	if (fault.code == 0) {
		leash_judge_accepted(conn, call, how);
		return 0;
	}
	return end(conn, fd, &fault, leash_judge_say(conn, call, &fault, server->version, server->cipher));
}
