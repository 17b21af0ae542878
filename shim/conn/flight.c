/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/timing.h"
#include "shim/conn/verify.h"
#include "shim/core/clock.h"
#include "shim/core/probe.h"
#include "shim/wire/tls_record.h"
#include "shim/wire/tls_server.h"

#define BUFFERS 64	/* opaque handshakes that wait for their server at the same time */
#define ALERT_MAX 96	/* bytes of records that may leave after a refusal: an alert, after a change
			 * cipher spec */
#define ENCRYPTED_ALERT_MAX 19	/* two bytes, a type, a tag (RFC 8446 section 5.2): no room for a request */

enum server {
	SILENT,			/* it has not said all of it yet */
	RETRY,			/* it asked for a second hello, which has not left yet */
	KNOWN,			/* .version, .cipher, and below TLS 1.3 its messages in the buffer */
	MALFORMED,
	NO_BUFFER,
};

struct flight {
	uint64_t cookie;		/* whose entry this is: places are used again */
	uint8_t random[32];
	char name[LEASH_NAME_SIZE];
	_Atomic uint8_t tied;
	_Atomic uint8_t refused;
	uint8_t retried;		/* a second retry is no TLS */
	uint8_t accepted;		/* .facts are of a server that was */
	uint16_t facts;			/* what its handshake showed (judge.c), 0: not judged */
	enum server server;
	uint32_t alert_left;
	uint32_t buffer;		/* + 1, 0: none */
	size_t stream_len;
	uint32_t since_ms;		/* the hello left; of the clock, its low bits */
	uint16_t answer_ms;		/* after that the server had said all of it; at most UINT16_MAX */
	struct leash_tls_records records;
	uint16_t version, cipher;
};

static struct flight flights[LEASH_CONN_MAX];
/* Of the randoms, by the same index; 0: no hello has left. Apart, because it is searched. */
static _Atomic uint64_t keys[LEASH_CONN_MAX];
static uint8_t buffers[BUFFERS][LEASH_SERVER_STREAM_MAX];
static _Atomic int taken[BUFFERS];

static uint32_t now_ms(void)
{
	return (uint32_t)(leash_now_ns() / 1000000);
}

/* The entry of a connection, or NULL if its hello is not known */
static struct flight *flight_of(const struct leash_conn *conn)
{
	const uint32_t i = leash_registry_index(conn);

	return atomic_load(&keys[i]) && flights[i].cookie == conn->cookie ? &flights[i] : NULL;
}

static uint64_t key_of(const uint8_t random[static 32])
{
	uint64_t key;

	memcpy(&key, random, sizeof(key));
	return key ? key : 1;
}

void leash_flight_hello(struct leash_conn *conn, const uint8_t random[static 32], const char *name)
{
	const uint32_t i = leash_registry_index(conn);
	struct flight *flight = &flights[i];

	atomic_store(&keys[i], 0);
	leash_flight_release(conn);
	flight->cookie = conn->cookie;
	memcpy(flight->random, random, sizeof(flight->random));
	flight->name[0] = '\0';
	strncat(flight->name, name, sizeof(flight->name) - 1);
	atomic_store(&flight->tied, 0);
	atomic_store(&flight->refused, 0);
	flight->retried = 0;
	flight->facts = 0;
	flight->server = SILENT;
	flight->alert_left = ALERT_MAX;
	flight->stream_len = 0;
	flight->since_ms = now_ms();
	flight->answer_ms = 0;
	flight->records = (struct leash_tls_records){0};
	atomic_store(&keys[i], key_of(random));
	if (leash_inside.is && leash_inside.is(leash_inside.session, random))
		atomic_store(&flight->tied, 1);
}

void leash_flight_start(struct leash_conn *conn, int fd)
{
	struct flight *flight = flight_of(conn);

	leash_timing_left(conn);
	if (!flight || conn->tls_free || atomic_load(&flight->tied)) {
		leash_conn_opened(conn, fd);
		return;
	}
	leash_registry_set_state(conn, LEASH_CONN_FLIGHT);
	/* Tied between the look and the store: by a thread that drives the library's other end. */
	if (atomic_load(&flight->tied))
		leash_conn_opened(conn, fd);
}

struct leash_conn *leash_flight_find(const uint8_t random[static 32])
{
	const uint64_t key = key_of(random);

	for (uint32_t i = 0; i < LEASH_CONN_MAX; i++) {
		struct leash_conn *conn = leash_registry_at(i);

		if (atomic_load_explicit(&keys[i], memory_order_acquire) != key)
			continue;
		if (flights[i].cookie == conn->cookie &&
		    memcmp(flights[i].random, random, sizeof(flights[i].random)) == 0)
			return conn;
	}
	return NULL;
}

void leash_flight_tie(struct leash_conn *conn)
{
	struct flight *flight = flight_of(conn);

	if (!flight)
		return;
	atomic_store(&flight->tied, 1);
	leash_flight_release(conn);
	/* Its numbers lose their flag at their next call (io.c). */
	if (leash_registry_state(conn) == LEASH_CONN_FLIGHT && !atomic_load(&flight->refused))
		leash_registry_set_state(conn, LEASH_CONN_OPEN);
}

const char *leash_flight_name(const struct leash_conn *conn)
{
	const struct flight *flight = flight_of(conn);

	return flight ? flight->name : "";
}

const uint8_t *leash_flight_random(const struct leash_conn *conn)
{
	const struct flight *flight = flight_of(conn);

	return flight ? flight->random : NULL;
}

void leash_flight_set_facts(struct leash_conn *conn, uint32_t place, bool accepted)
{
	struct flight *flight = flight_of(conn);

	if (!flight)
		return;
	flight->facts = (uint16_t)place;
	flight->accepted = accepted;
}

uint32_t leash_flight_facts(const struct leash_conn *conn, bool *ret_accepted)
{
	const struct flight *flight = flight_of(conn);

	*ret_accepted = flight && flight->accepted;
	return flight ? flight->facts : 0;
}

void leash_flight_refuse(struct leash_conn *conn)
{
	struct flight *flight = flight_of(conn);

	if (!flight || leash_registry_state(conn) == LEASH_CONN_DENIED)
		return;
	atomic_store(&flight->refused, 1);
	leash_registry_set_state(conn, LEASH_CONN_FLIGHT);
	for (int fd = leash_registry_number(conn, 0); fd >= 0; fd = leash_registry_number(conn, fd + 1))
		leash_fd_set(fd, leash_fd_get(fd) | LEASH_FD_JUDGE);
}

void leash_flight_release(struct leash_conn *conn)
{
	struct flight *flight = &flights[leash_registry_index(conn)];

	/* A connection that was never TLS leaves the pages of this table alone. */
	if (!flight->buffer)
		return;
	atomic_store(&taken[flight->buffer - 1], 0);
	flight->buffer = 0;
}

/* ------------------------------------------------------------------------- the server */

static uint8_t *buffer_of(struct flight *flight)
{
	if (flight->buffer)
		return buffers[flight->buffer - 1];
	for (uint32_t i = 0; i < BUFFERS; i++) {
		int free = 0;

		if (atomic_compare_exchange_strong(&taken[i], &free, 1)) {
			flight->buffer = i + 1;
			return buffers[i];
		}
	}
	return NULL;
}

/* What stands in the buffer, read once more. Return: is it all of it? */
static bool understand(struct flight *flight, const uint8_t *stream)
{
	struct leash_tls_server server;
	const int got = leash_tls_server_parse(stream, flight->stream_len, flight->records.stop != 0,
					       &server);

	if (got == -EAGAIN && flight->stream_len < LEASH_SERVER_STREAM_MAX)
		return false;
	if (got < 0 || (server.retry && flight->retried)) {
		flight->server = MALFORMED;
		return true;
	}
	flight->version = server.version;
	flight->cipher = server.cipher;
	flight->server = server.retry ? RETRY : KNOWN;
	if (!server.retry)
		return true;
	flight->retried = 1;
	/* The second ServerHello is a stream of its own; nothing else stood in this one. */
	if ((size_t)got != flight->stream_len)
		flight->server = MALFORMED;
	flight->stream_len = 0;
	return false;
}

static void feed(struct flight *flight, const uint8_t *in, size_t len)
{
	uint8_t *stream = buffer_of(flight);

	if (!stream) {
		flight->server = NO_BUFFER;
		return;
	}
	while (len > 0 && (flight->server == SILENT || flight->server == RETRY)) {
		const int got = leash_tls_records_feed(&flight->records, in, len, stream,
						       LEASH_SERVER_STREAM_MAX, &flight->stream_len);

		if (got < 0) {
			flight->server = MALFORMED;
			return;
		}
		in += got;
		len -= (size_t)got;
		/*
		 * An alert is for the client: it ends by itself, or this was a warning. Behind a retry
		 * stands a change cipher spec, and the clear goes on (RFC 8446 appendix D.4).
		 */
		if (flight->records.stop == LEASH_RECORD_ALERT ||
		    (flight->records.stop == LEASH_RECORD_CCS && flight->retried &&
		     flight->stream_len == 0)) {
			leash_tls_records_resume(&flight->records);
			continue;
		}
		if (understand(flight, stream))
			return;
		if (flight->records.stop)	/* right behind the retry */
			leash_tls_records_resume(&flight->records);
	}
}

void leash_flight_received(struct leash_conn *conn, const struct iovec *iov, size_t count, size_t got)
{
	struct flight *flight = flight_of(conn);

	if (!flight || atomic_load(&flight->tied) || atomic_load(&flight->refused))
		return;
	for (size_t i = 0; i < count && got > 0; i++) {
		const size_t part = iov[i].iov_len < got ? iov[i].iov_len : got;

		feed(flight, iov[i].iov_base, part);
		got -= part;
	}
	if (flight->server == KNOWN && flight->answer_ms == 0) {
		const uint32_t took_ms = now_ms() - flight->since_ms;

		flight->answer_ms = took_ms < UINT16_MAX ? (uint16_t)took_ms : UINT16_MAX;
	}
	/* Its certificates are encrypted: nothing that is kept will be looked at. */
	if (flight->server == KNOWN && flight->version >= 0x0304)
		leash_flight_release(conn);
}

uint32_t leash_flight_answer_ms(const struct leash_conn *conn)
{
	const struct flight *flight = flight_of(conn);

	return flight ? flight->answer_ms : 0;
}

/* ------------------------------------------------------------------------- the client */

/* Nothing but whole records of the types that may follow a refusal? */
static bool only_alerts(const uint8_t *bytes, size_t len, bool encrypted)
{
	while (len > 0) {
		size_t body;

		if (len < LEASH_RECORD_HEAD)
			return false;
		body = (size_t)bytes[3] << 8 | bytes[4];
		if (bytes[0] != LEASH_RECORD_ALERT && bytes[0] != LEASH_RECORD_CCS &&
		    !(encrypted && bytes[0] == LEASH_RECORD_DATA && body <= ENCRYPTED_ALERT_MAX))
			return false;
		if (body > len - LEASH_RECORD_HEAD)
			return false;
		bytes += LEASH_RECORD_HEAD + body;
		len -= LEASH_RECORD_HEAD + body;
	}
	return true;
}

/* Return: bytes sent; 0: it is no alert; a negative errno */
static ssize_t send_alert(struct flight *flight, int fd, const struct msghdr *msg, int flags)
{
	uint8_t copy[ALERT_MAX];
	struct iovec iov = {.iov_base = copy};
	const struct msghdr out = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t ret;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		const struct iovec *from = &msg->msg_iov[i];

		if (from->iov_len > flight->alert_left - iov.iov_len)
			return 0;
		if (!leash_probe_range(from->iov_base, from->iov_len))
			return -EFAULT;
		memcpy(copy + iov.iov_len, from->iov_base, from->iov_len);
		iov.iov_len += from->iov_len;
	}
	if (iov.iov_len == 0 || !only_alerts(copy, iov.iov_len, atomic_load(&flight->refused)))
		return 0;
	ret = LEASH_REAL(sendmsg, fd, &out, flags & ~MSG_ZEROCOPY);
	if (ret > 0)
		flight->alert_left -= (uint32_t)ret;
	return ret;
}

static int judge_opaque(struct leash_conn *conn, struct flight *flight, int fd, const char *call)
{
	struct leash_tls_server server;

	memset(&server, 0, sizeof(server));
	if (flight->buffer &&
	    leash_tls_server_parse(buffers[flight->buffer - 1], flight->stream_len,
				   flight->records.stop != 0, &server) < 0)
		return leash_verify_fault(conn, fd, LEASH_FAULT_MALFORMED, call);
	server.version = flight->version;
	server.cipher = flight->cipher;
	return leash_verify_opaque(conn, fd, &server, call);
}

ssize_t leash_flight_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			  const char *call, bool *ret_pass)
{
	struct flight *flight = flight_of(conn);
	ssize_t ret;

	*ret_pass = false;
	if (!leash_registry_same(conn, fd)) {
		leash_registry_detach(fd);
		leash_fd_set(fd, leash_fd_probe(fd));
		*ret_pass = true;
		return 0;
	}
	if (!flight)
		return leash_verify_fault(conn, fd, LEASH_FAULT_UNSEEN, call);
	if (atomic_load(&flight->tied) && !atomic_load(&flight->refused)) {
		leash_conn_opened(conn, fd);
		*ret_pass = true;
		return 0;
	}
	ret = send_alert(flight, fd, msg, flags);
	if (ret != 0)
		return ret;
	if (atomic_load(&flight->refused))
		return -EACCES;
	switch (flight->server) {
	case SILENT:
		return leash_verify_fault(conn, fd, LEASH_FAULT_UNSEEN, call);
	case MALFORMED:
		return leash_verify_fault(conn, fd, LEASH_FAULT_MALFORMED, call);
	case NO_BUFFER:
		return leash_verify_fault(conn, fd, LEASH_FAULT_BUFFERS, call);
	case RETRY: {
		bool whole = false;

		ret = leash_sniff_second(conn, fd, msg, flags, call, flight->random, flight->name,
					 &whole);
		if (ret > 0 && whole)
			flight->server = SILENT;
		return ret;
	}
	case KNOWN:
		ret = judge_opaque(conn, flight, fd, call);
		if (ret < 0)
			return ret;
		break;
	}
	leash_flight_release(conn);
	leash_conn_opened(conn, fd);
	*ret_pass = true;
	return 0;
}
