/* SPDX-License-Identifier: MIT */
/*
 * GnuTLS: the program's data, through the pump where somebody looks at it (design: TLS 10, 12 to
 * 14).
 *
 * A record that could not leave is kept by the library: the retry may bring the same data, or
 * (NULL, 0). What is corked was changed when it was sent, and leaves as it is at uncork.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "shim/conn/exchange.h"
#include "shim/conn/pool.h"
#include "shim/core/elf.h"
#include "shim/core/sys.h"
#include "shim/tls/alpn.h"
#include "shim/tls/gnutls_inner.h"
#include "shim/tls/pump.h"

#define CALLER() __builtin_return_address(0)

/* --------------------------------------------------------------------------- sessions */

#define PLACES 8192
#define REACH  64 /* places that are looked at for one session */

/* A session has no memory of ours, so it is found by its address; taken at its handshake, given
 * back at gnutls_deinit(). */
static struct place {
	_Atomic(struct gnutls_session_int *) session;
	const struct leash_gnutls *lib;
	struct leash_tie tie;
	struct leash_pump pump;
	bool corked;
	size_t corked_len; /* the program's bytes that wait for uncork */
} places[PLACES];
static _Atomic int any;

static uint32_t start_of(const struct gnutls_session_int *session)
{
	return (uint32_t)((uintptr_t)session / 64 * 2654435761u) % PLACES;
}

static struct place *find(struct gnutls_session_int *session)
{
	const uint32_t start = start_of(session);

	if (!session || !atomic_load_explicit(&any, memory_order_relaxed))
		return NULL;
	for (uint32_t i = 0; i < REACH; i++) {
		struct place *place = &places[(start + i) % PLACES];

		if (atomic_load_explicit(&place->session, memory_order_acquire) == session)
			return place;
	}
	return NULL;
}

/*
 * For a hook: the session's place, and its library. The library calls itself by these names as
 * well, or jumps there from where we called it: what comes that way was changed, and goes on to the
 * real call.
 */
static struct place *outer(struct gnutls_session_int *session, const void *caller, const char *call,
			   const struct leash_gnutls **ret_lib)
{
	struct place *place = find(session);

	*ret_lib = place ? place->lib : leash_gnutls_of(caller, call);
	if (place &&
	    ((uintptr_t)caller - place->lib->start < place->lib->size || leash_elf_own(caller)))
		return NULL;
	return place;
}

/* Return: NULL if all in reach are in use */
static struct place *take_place(struct gnutls_session_int *session)
{
	const uint32_t start = start_of(session);

	for (uint32_t i = 0; i < REACH; i++) {
		struct place *place = &places[(start + i) % PLACES];
		struct gnutls_session_int *none = NULL;

		if (!atomic_load_explicit(&place->session, memory_order_relaxed) &&
		    atomic_compare_exchange_strong(&place->session, &none, session))
			return place;
	}
	/* A program that never calls gnutls_deinit() leaves some whose connection is gone. */
	for (uint32_t i = 0; i < REACH; i++) {
		struct place *place = &places[(start + i) % PLACES];
		struct gnutls_session_int *old = atomic_load(&place->session);

		if (old && !leash_verify_tied(&place->tie) &&
		    atomic_compare_exchange_strong(&place->session, &old, session)) {
			leash_pump_close(&place->pump);
			return place;
		}
	}
	return NULL;
}

bool leash_gnutls_pump_open(const struct leash_gnutls *lib, struct gnutls_session_int *session,
			    const struct leash_tie *tie)
{
	struct place *place = find(session);
	struct leash_exchange *ex;
	int error = 0;

	if (place && place->tie.conn == tie->conn && place->tie.cookie == tie->cookie)
		return true; /* another handshake on the same connection */
	leash_gnutls_pump_close(session);
	if (tie->free || !tie->conn)
		return true;
	ex = leash_exchange_open(tie->conn, tie->cookie, true, &error);
	if (!ex)
		return error == 0;
	place = take_place(session);
	if (!place) {
		leash_exchange_close(ex);
		return false;
	}
	place->lib = lib;
	place->tie = *tie;
	place->pump = (struct leash_pump){.exchange = ex};
	place->corked = false;
	place->corked_len = 0;
	atomic_store(&any, 1);
	return true;
}

void leash_gnutls_pump_close(struct gnutls_session_int *session)
{
	struct place *place = find(session);

	if (!place)
		return;
	leash_pump_close(&place->pump);
	atomic_store_explicit(&place->session, NULL, memory_order_release);
}

/* ------------------------------------------------------------------------------- pump */

/* What a call has beside its data */
struct more {
	size_t pad;
	unsigned char *sequence;
};

static int pump_send(const struct leash_pump_io *io, const void *buf, int len)
{
	const struct leash_gnutls *lib = io->lib;
	const struct more *more = io->more;

	if (more->pad && lib->gnutls_record_send2)
		return (int)lib->gnutls_record_send2(io->session, buf, (size_t)len, more->pad, 0);
	return (int)lib->gnutls_record_send(io->session, buf, (size_t)len);
}

static int pump_recv(const struct leash_pump_io *io, void *buf, int len)
{
	const struct leash_gnutls *lib = io->lib;
	const struct more *more = io->more;

	if (more->sequence)
		return (int)lib->gnutls_record_recv_seq(io->session, buf, (size_t)len,
							more->sequence);
	return (int)lib->gnutls_record_recv(io->session, buf, (size_t)len);
}

static enum leash_pump_end pump_why(const struct leash_pump_io *io, int result)
{
	const struct leash_gnutls *lib = io->lib;

	if (result == 0 || result == GNUTLS_E_PREMATURE)
		return LEASH_PUMP_EOF;
	return lib->gnutls_error_is_fatal(result) ? LEASH_PUMP_BROKEN : LEASH_PUMP_AGAIN;
}

static struct leash_pump_io io_of(const struct place *place, struct gnutls_session_int *session,
				  struct more *more)
{
	return (struct leash_pump_io){
		.lib = place->lib,
		.session = session,
		.write = pump_send,
		.read = pump_recv,
		.why = pump_why,
		.partial = true,
		.keeps = true,
		.more = more,
	};
}

static ssize_t said(const struct place *place, enum leash_pump_said what, ssize_t ret, int failed)
{
	int error;

	switch (what) {
	case LEASH_PUMP_DONE:
		return ret;
	case LEASH_PUMP_REAL:
	case LEASH_PUMP_ENDED:
		if (ret > 0 || (ret < 0 && !place->lib->gnutls_error_is_fatal((int)ret)))
			return ret;
		error = leash_exchange_error(place->pump.exchange);
		if (!error)
			return ret;
		errno = error;
		return failed;
	case LEASH_PUMP_BAD_LENGTH:
		return GNUTLS_E_INVALID;
	case LEASH_PUMP_ERROR:
		errno = (int)ret;
		return failed;
	case LEASH_PUMP_CLOSED:
		return 0;
	}
	return failed;
}

static ssize_t send_out(struct place *place, struct gnutls_session_int *session, const void *data,
			size_t len, size_t pad, const char *call)
{
	struct more more = {.pad = pad};
	const struct leash_pump_io io = io_of(place, session, &more);
	enum leash_pump_said what;
	ssize_t ret = 0;

	what = leash_pump_write(&place->pump, &io, data, len, call, &ret);
	if (what == LEASH_PUMP_DONE && place->corked)
		place->corked_len += (size_t)ret;
	return said(place, what, ret, GNUTLS_E_PUSH);
}

static ssize_t take_in(struct place *place, struct gnutls_session_int *session, void *data,
		       size_t len, unsigned char *sequence)
{
	struct more more = {.sequence = sequence};
	const struct leash_pump_io io = io_of(place, session, &more);
	enum leash_pump_said what;
	ssize_t ret = 0;

	if (sequence)
		memset(sequence, 0, 8);
	what = leash_pump_read(&place->pump, &io, data, len, false, &ret);
	return said(place, what, ret, GNUTLS_E_PULL);
}

/* ------------------------------------------------------------------------------ hooks */

#define SEND(call, params, args, pad)                                                              \
	LEASH_EXPORT ssize_t call params                                                           \
	{                                                                                          \
		const struct leash_gnutls *lib;                                                    \
		struct place *place = outer(session, CALLER(), #call, &lib);                       \
                                                                                                   \
		if (place)                                                                         \
			return send_out(place, session, data, len, pad, #call);                    \
		return lib && lib->call ? lib->call args : GNUTLS_E_INVALID;                       \
	}

SEND(gnutls_record_send, (struct gnutls_session_int * session, const void *data, size_t len),
     (session, data, len), 0)
SEND(gnutls_record_send2,
     (struct gnutls_session_int * session, const void *data, size_t len, size_t pad,
      unsigned int flags),
     (session, data, len, pad, flags), pad)
/* The length of what leaves is another one anyway: it is not hidden behind the program's range. */
SEND(gnutls_record_send_range,
     (struct gnutls_session_int * session, const void *data, size_t len, const void *range),
     (session, data, len, range), 0)

LEASH_EXPORT ssize_t gnutls_record_recv(struct gnutls_session_int *session, void *data, size_t len)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);

	if (place)
		return take_in(place, session, data, len, NULL);
	return lib && lib->gnutls_record_recv ? lib->gnutls_record_recv(session, data, len)
					      : GNUTLS_E_INVALID;
}

LEASH_EXPORT ssize_t gnutls_record_recv_seq(struct gnutls_session_int *session, void *data,
					    size_t len, unsigned char *sequence)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);

	if (place)
		return take_in(place, session, data, len, sequence);
	return lib && lib->gnutls_record_recv_seq
		       ? lib->gnutls_record_recv_seq(session, data, len, sequence)
		       : GNUTLS_E_INVALID;
}

LEASH_EXPORT size_t gnutls_record_check_pending(struct gnutls_session_int *session)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);
	struct leash_pump_io io;
	struct more more = {0};

	if (place) {
		io = io_of(place, session, &more);
		return leash_pump_pending(&place->pump, &io,
					  place->lib->gnutls_record_check_pending(session));
	}
	return lib && lib->gnutls_record_check_pending ? lib->gnutls_record_check_pending(session)
						       : 0;
}

LEASH_EXPORT void gnutls_record_cork(struct gnutls_session_int *session)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);

	if (place)
		place->corked = true;
	if (lib && lib->gnutls_record_cork)
		lib->gnutls_record_cork(session);
}

LEASH_EXPORT int gnutls_record_uncork(struct gnutls_session_int *session, unsigned int flags)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);
	int ret;

	if (!lib || !lib->gnutls_record_uncork)
		return GNUTLS_E_INVALID;
	ret = lib->gnutls_record_uncork(session, flags);
	if (!place || ret < 0)
		return place ? (int)said(place, LEASH_PUMP_REAL, ret, GNUTLS_E_PUSH) : ret;
	/* What has left, in the program's bytes */
	if (ret > 0 && place->corked_len)
		ret = place->corked_len < INT32_MAX ? (int)place->corked_len : INT32_MAX;
	place->corked = false;
	place->corked_len = 0;
	return ret;
}

LEASH_EXPORT int gnutls_bye(struct gnutls_session_int *session, int how)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);

	if (place)
		leash_exchange_gave_up(place->pump.exchange);
	return lib && lib->gnutls_bye ? lib->gnutls_bye(session, how) : GNUTLS_E_INVALID;
}

/* ---------------------------------------------------------------------------- packets */

/* A packet is the library's own memory, as long as the record. Ours stand in for it. */
#define PACKETS 64
struct packet {
	size_t len;
	unsigned char sequence[8];
	unsigned char bytes[];
};
static _Atomic(struct packet *) packets[PACKETS];
#define PACKET_ROOM (LEASH_PUMP_BLOCK - sizeof(struct packet))

static bool is_ours(const void *packet, bool forget)
{
	for (size_t i = 0; packet && i < PACKETS; i++) {
		if (atomic_load_explicit(&packets[i], memory_order_relaxed) != packet)
			continue;
		if (forget)
			atomic_store(&packets[i], NULL);
		return true;
	}
	return false;
}

static struct packet *make_packet(void)
{
	struct packet *packet = leash_pool_take(LEASH_POOL_16K);

	for (size_t i = 0; packet && i < PACKETS; i++) {
		struct packet *none = NULL;

		if (atomic_compare_exchange_strong(&packets[i], &none, packet))
			return packet;
	}
	leash_pool_give(LEASH_POOL_16K, packet);
	return NULL;
}

LEASH_EXPORT ssize_t gnutls_record_recv_packet(struct gnutls_session_int *session,
					       void **ret_packet)
{
	const struct leash_gnutls *lib;
	struct place *place = outer(session, CALLER(), __func__, &lib);
	struct packet *packet;
	ssize_t ret;

	if (!lib || !lib->gnutls_record_recv_packet)
		return GNUTLS_E_INVALID;
	if (!place || !ret_packet || !lib->gnutls_packet_get || !lib->gnutls_packet_deinit)
		return lib->gnutls_record_recv_packet(session, ret_packet);
	packet = make_packet();
	if (!packet)
		return GNUTLS_E_MEMORY;
	ret = take_in(place, session, packet->bytes, PACKET_ROOM, packet->sequence);
	*ret_packet = NULL;
	if (ret > 0) {
		packet->len = (size_t)ret;
		*ret_packet = packet;
	} else if (is_ours(packet, true)) {
		leash_pool_give(LEASH_POOL_16K, packet);
	}
	return ret;
}

LEASH_EXPORT void gnutls_packet_get(const void *packet, struct leash_gnutls_datum *data,
				    unsigned char *sequence)
{
	const struct leash_gnutls *lib;
	const struct packet *ours = packet;

	if (is_ours(packet, false)) {
		if (sequence)
			memcpy(sequence, ours->sequence, sizeof(ours->sequence));
		if (data)
			*data = (struct leash_gnutls_datum){(unsigned char *)(uintptr_t)ours->bytes,
							    (unsigned int)ours->len};
		return;
	}
	lib = leash_gnutls_of(CALLER(), __func__);
	if (lib && lib->gnutls_packet_get)
		lib->gnutls_packet_get(packet, data, sequence);
}

LEASH_EXPORT void gnutls_packet_deinit(void *packet)
{
	const struct leash_gnutls *lib;

	if (is_ours(packet, true)) {
		leash_pool_give(LEASH_POOL_16K, packet);
		return;
	}
	lib = leash_gnutls_of(CALLER(), __func__);
	if (lib && lib->gnutls_packet_deinit)
		lib->gnutls_packet_deinit(packet);
}

/* ------------------------------------------------------------------------------- ALPN */

#define PROTOCOLS 32 /* the library itself takes 8 */

LEASH_EXPORT int gnutls_alpn_set_protocols(struct gnutls_session_int *session,
					   const struct leash_gnutls_datum *list,
					   unsigned int count, unsigned int flags)
{
	const struct leash_gnutls *lib = leash_gnutls_of(CALLER(), __func__);
	struct leash_gnutls_datum kept[PROTOCOLS];
	unsigned int n = 0;

	if (!lib || !lib->gnutls_alpn_set_protocols)
		return GNUTLS_E_INVALID;
	if (!list || count == 0 || count > PROTOCOLS || leash_gnutls_other(session) ||
	    leash_verify_http2())
		return lib->gnutls_alpn_set_protocols(session, list, count, flags);
	for (unsigned int i = 0; i < count; i++)
		if (!leash_alpn_unread(list[i].data, list[i].size))
			kept[n++] = list[i];
	if (n == 0)
		kept[n++] =
			(struct leash_gnutls_datum){(unsigned char *)(uintptr_t)LEASH_ALPN_INSTEAD,
						    sizeof(LEASH_ALPN_INSTEAD) - 1};
	return lib->gnutls_alpn_set_protocols(session, kept, n, flags);
}
