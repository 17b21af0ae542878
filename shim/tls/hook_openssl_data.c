/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL 1.1 and 3: the end of the handshake where nobody saw it, and the program's data, through
 * the pump where somebody looks at it (design: TLS 12 to 14).
 *
 * A call that fails without the real one leaves an entry in the library's queue: SSL_get_error()
 * looks there first, then at what the last real call was waiting for, and would say WANT_READ for
 * ever.
 */
#include "shim/core/sys.h"
#include "shim/tls/openssl_inner.h"

/* ------------------------------------------------------------------------------ pump */

static int pump_real_write(const struct leash_pump_io *io, const void *buf, int len)
{
	const struct leash_openssl *lib = io->lib;

	return lib->SSL_write(io->session, buf, len);
}

static int pump_real_read(const struct leash_pump_io *io, void *buf, int len)
{
	const struct leash_openssl *lib = io->lib;

	return lib->SSL_read(io->session, buf, len);
}

static enum leash_pump_end pump_why(const struct leash_pump_io *io, int result)
{
	const struct leash_openssl *lib = io->lib;
	const unsigned long entry = lib->ERR_peek_error();

	switch (lib->SSL_get_error(io->session, result)) {
	case OSSL_ERROR_SSL:
		return (entry & OSSL_REASON_MASK) == OSSL_R_UNEXPECTED_EOF ? LEASH_PUMP_EOF
									   : LEASH_PUMP_BROKEN;
	case OSSL_ERROR_SYSCALL:
		return entry == 0 && (result == 0 || errno == 0) ? LEASH_PUMP_EOF
								 : LEASH_PUMP_BROKEN;
	case OSSL_ERROR_ZERO_RETURN:
		return LEASH_PUMP_EOF;
	default: /* an int of the library: every other one is a wish, and the call goes on */
		return LEASH_PUMP_AGAIN;
	}
}

static void get_io(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_pump_io *ret)
{
	*ret = (struct leash_pump_io){
		.lib = lib,
		.session = ssl,
		.write = pump_real_write,
		.read = pump_real_read,
		.why = pump_why,
	};
}

void leash_openssl_pump_open(const struct leash_openssl *lib, struct ssl_st *ssl,
			     struct leash_ssl *record)
{
	struct leash_exchange *ex;
	int error = 0;
	long mode;

	if (record->pumped && record->pump_cookie == record->tie.cookie)
		return; /* another handshake on the same connection */
	leash_openssl_pump_close(record);
	if (record->tie.free || !record->tie.conn)
		return;
	ex = leash_exchange_open(record->tie.conn, record->tie.cookie, true, &error);
	if (!ex && !error)
		return;
	record->pump = (struct leash_pump){.exchange = ex, .error = -error};
	record->pump_cookie = record->tie.cookie;
	record->pumped = true;
	/* What a retry offers lies in another place: our block, then the program's buffer. */
	mode = lib->SSL_ctrl(ssl, OSSL_CTRL_MODE, 0, NULL);
	if (!(mode & OSSL_MODE_MOVING)) {
		lib->SSL_ctrl(ssl, OSSL_CTRL_MODE, OSSL_MODE_MOVING, NULL);
		record->moving_ours = true;
	}
}

void leash_openssl_pump_close(struct leash_ssl *record)
{
	if (record->pumped)
		leash_pump_close(&record->pump);
	record->pumped = false;
}

/* ---------------------------------------------------------------------------- errors */

static void clear_wish(const struct leash_openssl *lib, struct bio_st *bio)
{
	if (bio)
		lib->BIO_clear_flags(bio, OSSL_BIO_WISHES);
}

/*
 * The program's own BIO has not heard of it: curl asks its BIO, not SSL_get_error(), whether to try
 * again, and would do so for ever. Nothing comes or leaves any more, so one byte will do.
 */
static void touch(const struct leash_openssl *lib, struct ssl_st *ssl, bool out)
{
	struct bio_st *bio = out ? lib->SSL_get_wbio(ssl) : lib->SSL_get_rbio(ssl);
	char byte = 0;

	if (bio && out)
		lib->BIO_write(bio, &byte, 1);
	else if (bio)
		lib->BIO_read(bio, &byte, 1);
}

static const char *text_of(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return "netleash: timed out";
	case ECONNABORTED:
		return "netleash: interrupted";
	default: /* an errno: whatever else ended it was a refusal */
		return "netleash: refused";
	}
}

/*
 * What the program gets of a call on a connection that was ended. @failed: -1, or 0 for an _ex
 * call.
 *
 * A system call's error, to be found in errno, is what SSL_get_error() says of -1 with an empty
 * queue and a BIO that has no wish: clients make ETIMEDOUT of it by themselves. An _ex call answers
 * 0, which with an empty queue is the end of the stream; and a refusal has something to say. Both
 * leave an entry.
 */
static LEASH_SLOW int fail(const struct leash_openssl *lib, struct ssl_st *ssl, int error,
			   int failed)
{
	lib->ERR_clear_error();
	if (failed == 0 || (error != ETIMEDOUT && error != ECONNABORTED)) {
		leash_openssl_put_error(lib, OSSL_LIB_SYS, error, text_of(error));
	} else {
		clear_wish(lib, lib->SSL_get_rbio(ssl));
		clear_wish(lib, lib->SSL_get_wbio(ssl));
	}
	errno = error;
	return failed;
}

/* A real call failed. If that is because the connection was ended, the program hears why. */
static LEASH_SLOW int explain(const struct leash_openssl *lib, struct ssl_st *ssl,
			      const struct leash_ssl *record, int result, int failed)
{
	const int error = errno;
	const int why = record->pumped && record->pump.exchange
				? leash_exchange_error(record->pump.exchange)
				: leash_verify_error(&record->tie);

	errno = error;
	if (!why)
		return result;
	switch (lib->SSL_get_error(ssl, result)) {
	case OSSL_ERROR_SSL:
	case OSSL_ERROR_ZERO_RETURN:
	case OSSL_ERROR_SYSCALL:
		return fail(lib, ssl, why, failed);
	default: /* the call goes on, and the next one will hear of it */
		errno = error;
		return result;
	}
}

/* ------------------------------------------------------------------- before and after */

enum way { PLAIN, PUMPED, STOP };

static enum way killed(const struct leash_openssl *lib)
{
	leash_openssl_put_killed(lib);
	errno = EACCES;
	return STOP;
}

/* The slow half of before(): no end of a handshake was seen on this SSL */
static LEASH_SLOW enum way look(const struct leash_openssl *lib, struct ssl_st *ssl,
				struct leash_ssl *record, const char *call)
{
	const int error = errno;

	if (!record)
		record = leash_openssl_record(lib, ssl);
	if (!record) {
		leash_openssl_put_refused(lib, "netleash: no memory");
		errno = EACCES;
		return STOP;
	}
	if (record->killed)
		return killed(lib);
	if (!lib->SSL_is_init_finished(ssl))
		return record->pumped ? PUMPED : PLAIN;
	if (!leash_openssl_client(lib, ssl)) {
		record->good = true;
		return PLAIN;
	}
	leash_openssl_point_b(lib, ssl, record, call);
	if (record->killed)
		return killed(lib);
	errno = error;
	return record->pumped ? PUMPED : PLAIN;
}

/* Before anything moves on this SSL. STOP: an error stands in the library's queue */
static inline enum way before(const struct leash_openssl *lib, struct ssl_st *ssl, const char *call,
			      struct leash_ssl **ret_record)
{
	struct leash_ssl *record;

	*ret_record = NULL;
	if (!lib->bound)
		return PLAIN;
	record = leash_openssl_find(lib, ssl);
	if (leash_likely(record && record->good)) {
		*ret_record = record;
		return record->pumped ? PUMPED : PLAIN;
	}
	return look(lib, ssl, record, call);
}

/*
 * Before data. A handshake that the program leaves to its first SSL_write() or SSL_read() is made
 * here, so that the peer is judged and the pump there before a byte of it is taken. Return: STOP
 * with *ret_result of the call
 */
static inline enum way before_data(const struct leash_openssl *lib, struct ssl_st *ssl,
				   const char *call, int failed, struct leash_ssl **ret_record,
				   int *ret_result)
{
	enum way way = before(lib, ssl, call, ret_record);
	int r;

	*ret_result = failed;
	if (leash_likely(*ret_record != NULL) || way == STOP || !lib->bound)
		return way;
	*ret_record = leash_openssl_find(lib, ssl);
	if (way == PUMPED || lib->SSL_is_init_finished(ssl) || !leash_openssl_client(lib, ssl))
		return way;
	r = lib->SSL_do_handshake(ssl);
	if ((*ret_record)->killed)
		return killed(lib);
	if (r <= 0) {
		*ret_result = explain(lib, ssl, *ret_record, failed == 0 ? 0 : r, failed);
		return STOP;
	}
	return before(lib, ssl, call, ret_record);
}

/* What a pump's call came to. @failed: -1, or 0 for an _ex call */
static LEASH_SLOW int said(const struct leash_openssl *lib, struct ssl_st *ssl,
			   struct leash_ssl *record, bool out, enum leash_pump_said what,
			   ssize_t ret, int failed)
{
	switch (what) {
	case LEASH_PUMP_DONE:
		return (int)ret;
	case LEASH_PUMP_REAL:
		if (record->killed) {
			killed(lib);
			return failed;
		}
		return explain(lib, ssl, record, failed == 0 ? 0 : (int)ret, failed);
	case LEASH_PUMP_BAD_LENGTH:
		leash_openssl_put_error(lib, OSSL_LIB_SSL, OSSL_R_BAD_LENGTH, "");
		return failed;
	case LEASH_PUMP_ERROR:
		if (failed == -1 && leash_verify_error(&record->tie))
			touch(lib, ssl, out);
		return fail(lib, ssl, (int)ret, failed);
	case LEASH_PUMP_CLOSED:
		lib->ERR_clear_error();
		lib->SSL_set_shutdown(ssl, lib->SSL_get_shutdown(ssl) | OSSL_RECEIVED_SHUTDOWN);
		errno = 0;
		return 0;
	case LEASH_PUMP_ENDED:
		/* The library may have forgotten it: it says an unexpected end once. */
		if (!(lib->SSL_get_shutdown(ssl) & OSSL_RECEIVED_SHUTDOWN) &&
		    lib->SSL_get1_peer_certificate)
			leash_openssl_put_error(lib, OSSL_LIB_SSL, OSSL_R_UNEXPECTED_EOF, "");
		return failed == 0 ? 0 : (int)ret;
	}
	return failed;
}

/* --------------------------------------------------------------------- hooks: handshake */

#define HANDSHAKE(call)                                                                            \
	LEASH_EXPORT int call(struct ssl_st *ssl)                                                  \
	{                                                                                          \
		const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), #call);          \
		struct leash_ssl *record;                                                          \
		int result;                                                                        \
                                                                                                   \
		if (!lib || !lib->call)                                                            \
			return -1;                                                                 \
		if (!ssl)                                                                          \
			return lib->call(ssl);                                                     \
		if (before(lib, ssl, #call, &record) == STOP)                                      \
			return -1;                                                                 \
		result = lib->call(ssl);                                                           \
		record = lib->bound ? leash_openssl_find(lib, ssl) : NULL;                         \
		if (record && record->killed) {                                                    \
			killed(lib);                                                               \
			return -1;                                                                 \
		}                                                                                  \
		return result > 0 || !record ? result : explain(lib, ssl, record, result, -1);     \
	}

HANDSHAKE(SSL_connect)
HANDSHAKE(SSL_do_handshake)

/* -------------------------------------------------------------------------- hooks: data */

/* Everything that reads. @failed: -1, or 0 for an _ex call. Return: bytes in *ret and 1, or what
 * the call answers */
static inline int take_in(const struct leash_openssl *lib, struct ssl_st *ssl,
			  struct leash_ssl *record, void *buf, size_t len, bool peek, int failed,
			  ssize_t *ret)
{
	struct leash_pump_io io;
	enum leash_pump_said what;

	get_io(lib, ssl, &io);
	what = leash_pump_read(&record->pump, &io, buf, len, peek, ret);
	return leash_likely(what == LEASH_PUMP_DONE)
		       ? 1
		       : said(lib, ssl, record, false, what, *ret, failed);
}

static inline int give_out(const struct leash_openssl *lib, struct ssl_st *ssl,
			   struct leash_ssl *record, const void *buf, size_t len, const char *call,
			   int failed, ssize_t *ret)
{
	struct leash_pump_io io;
	enum leash_pump_said what;

	get_io(lib, ssl, &io);
	/* One record is sent as a whole in either mode. */
	if (len > LEASH_PUMP_RECORD)
		io.partial = lib->SSL_ctrl(ssl, OSSL_CTRL_MODE, 0, NULL) & OSSL_MODE_PARTIAL;
	what = leash_pump_write(&record->pump, &io, buf, len, call, ret);
	/* Nothing was sent, and that was asked: SSL_write() says 0, the _ex calls say yes. */
	if (len == 0 && what == LEASH_PUMP_REAL && *ret == 0)
		return 1;
	return leash_likely(what == LEASH_PUMP_DONE)
		       ? 1
		       : said(lib, ssl, record, true, what, *ret, failed);
}

static int ended(const struct leash_openssl *lib, struct ssl_st *ssl, struct leash_ssl *record,
		 int result, int failed)
{
	if (leash_likely(result > 0) || !record)
		return result;
	if (record->killed) {
		killed(lib);
		return failed;
	}
	return explain(lib, ssl, record, result, failed);
}

/* The int calls: DATA(SSL_read, …, what the pump does). A negative length is the library's to
 * refuse. */
#define DATA(call, constness, pumped)                                                              \
	int leash_openssl_##call(const struct leash_openssl *lib, struct ssl_st *ssl,              \
				 constness void *buf, int len)                                     \
	{                                                                                          \
		struct leash_ssl *record;                                                          \
		ssize_t bytes = 0;                                                                 \
		int result;                                                                        \
		enum way way = before_data(lib, ssl, #call, -1, &record, &result);                 \
                                                                                                   \
		if (way == STOP)                                                                   \
			return result;                                                             \
		if (way == PLAIN || len < 0)                                                       \
			return ended(lib, ssl, record, lib->call(ssl, buf, len), -1);              \
		result = pumped;                                                                   \
		return result > 0 ? (int)bytes : result;                                           \
	}                                                                                          \
                                                                                                   \
	LEASH_EXPORT int call(struct ssl_st *ssl, constness void *buf, int len)                    \
	{                                                                                          \
		const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), #call);          \
                                                                                                   \
		if (!lib || !lib->call)                                                            \
			return -1;                                                                 \
		return ssl ? leash_openssl_##call(lib, ssl, buf, len) : lib->call(ssl, buf, len);  \
	}

DATA(SSL_read, , take_in(lib, ssl, record, buf, (size_t)len, false, -1, &bytes))
DATA(SSL_peek, , take_in(lib, ssl, record, buf, (size_t)len, true, -1, &bytes))
DATA(SSL_write, const, give_out(lib, ssl, record, buf, (size_t)len, "SSL_write", -1, &bytes))

#define DATA_EX(call, params, args, pumped)                                                        \
	LEASH_EXPORT int call params                                                               \
	{                                                                                          \
		const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), #call);          \
		struct leash_ssl *record;                                                          \
		ssize_t bytes = 0;                                                                 \
		enum way way;                                                                      \
		int result;                                                                        \
                                                                                                   \
		if (!lib || !lib->call)                                                            \
			return 0;                                                                  \
		if (!ssl)                                                                          \
			return lib->call args;                                                     \
		way = before_data(lib, ssl, #call, 0, &record, &result);                           \
		if (way == STOP)                                                                   \
			return result;                                                             \
		if (way == PLAIN)                                                                  \
			return ended(lib, ssl, record, lib->call args, 0);                         \
		result = pumped;                                                                   \
		if (done)                                                                          \
			*done = result > 0 ? (size_t)bytes : 0;                                    \
		return result > 0;                                                                 \
	}

DATA_EX(SSL_read_ex, (struct ssl_st *ssl, void *buf, size_t len, size_t *done),
	(ssl, buf, len, done), take_in(lib, ssl, record, buf, len, false, 0, &bytes))
DATA_EX(SSL_peek_ex, (struct ssl_st *ssl, void *buf, size_t len, size_t *done),
	(ssl, buf, len, done), take_in(lib, ssl, record, buf, len, true, 0, &bytes))
DATA_EX(SSL_write_ex, (struct ssl_st *ssl, const void *buf, size_t len, size_t *done),
	(ssl, buf, len, done), give_out(lib, ssl, record, buf, len, "SSL_write_ex", 0, &bytes))
DATA_EX(SSL_write_ex2,
	(struct ssl_st *ssl, const void *buf, size_t len, uint64_t flags, size_t *done),
	(ssl, buf, len, flags, done),
	give_out(lib, ssl, record, buf, len, "SSL_write_ex2", 0, &bytes))

/* The pump of an SSL on which data may flow, or NULL */
static struct leash_pump *pump_of(const struct leash_openssl *lib, const struct ssl_st *ssl)
{
	struct leash_ssl *record = lib->bound && ssl ? leash_openssl_find(lib, ssl) : NULL;

	return record && record->pumped && record->pump.exchange ? &record->pump : NULL;
}

/* Counts what a read gives at once. While a call waits for its retry (SSL_want()), the library's
 * own bytes are left where they are: reading them would end what SSL_get_error() says of that call.
 */
int leash_openssl_SSL_pending(const struct leash_openssl *lib, const struct ssl_st *ssl)
{
	struct leash_pump *pump = pump_of(lib, ssl);
	const int real = lib->SSL_pending(ssl);
	const int error = errno;
	struct leash_pump_io io;
	size_t pending;

	if (!pump)
		return real;
	get_io(lib, (struct ssl_st *)ssl, &io);
	pending = leash_pump_pending(
		pump, &io, real > 0 && lib->SSL_want(ssl) == OSSL_NOTHING ? (size_t)real : 0);
	errno = error;
	return pending < INT32_MAX ? (int)pending : INT32_MAX;
}

LEASH_EXPORT int SSL_pending(const struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);

	return lib && lib->SSL_pending ? leash_openssl_SSL_pending(lib, ssl) : 0;
}

LEASH_EXPORT int SSL_has_pending(const struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_pump *pump;

	if (!lib || !lib->SSL_has_pending)
		return 0;
	pump = pump_of(lib, ssl);
	return lib->SSL_has_pending(ssl) || (pump && leash_exchange_pending(pump->exchange));
}

LEASH_EXPORT int SSL_shutdown(struct ssl_st *ssl)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_pump *pump;

	if (!lib || !lib->SSL_shutdown)
		return -1;
	pump = pump_of(lib, ssl);
	if (pump)
		leash_exchange_gave_up(pump->exchange);
	return lib->SSL_shutdown(ssl);
}

/* SSL_get_mode(), SSL_set_mode() and SSL_clear_mode() are macros over it: they show what the
 * program set. */
LEASH_EXPORT long SSL_ctrl(struct ssl_st *ssl, int cmd, long value, void *more)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);
	struct leash_ssl *record;
	long mode;

	if (!lib || !lib->SSL_ctrl)
		return 0;
	if (leash_likely(cmd != OSSL_CTRL_MODE && cmd != OSSL_CTRL_CLEAR_MODE) || !lib->bound ||
	    !ssl)
		return lib->SSL_ctrl(ssl, cmd, value, more);
	record = leash_openssl_find(lib, ssl);
	if (!record || !record->pumped)
		return lib->SSL_ctrl(ssl, cmd, value, more);
	if (value & OSSL_MODE_MOVING)
		record->moving_ours = cmd == OSSL_CTRL_CLEAR_MODE;
	mode = lib->SSL_ctrl(ssl, cmd,
			     cmd == OSSL_CTRL_CLEAR_MODE ? value & ~OSSL_MODE_MOVING : value, more);
	return record->moving_ours ? mode & ~OSSL_MODE_MOVING : mode;
}

/* It needs kernel TLS, which would carry the program's text past everybody who reads it. */
LEASH_EXPORT ssize_t SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);

	if (!lib || !lib->SSL_sendfile)
		return -1;
	if (!ssl || !lib->bound || !leash_openssl_client(lib, ssl) || leash_verify_skipped())
		return lib->SSL_sendfile(ssl, fd, offset, size, flags);
	leash_openssl_put_refused(lib, "netleash: SSL_sendfile() is not available");
	errno = EACCES;
	return -1;
}

/* Early data leaves before the server has shown anything. */
LEASH_EXPORT int SSL_write_early_data(struct ssl_st *ssl, const void *buf, size_t len, size_t *sent)
{
	const struct leash_openssl *lib = leash_openssl_of(ssl, CALLER(), __func__);

	if (!lib || !lib->SSL_write_early_data)
		return 0;
	if (!ssl || !lib->bound || !leash_openssl_client(lib, ssl) || leash_verify_skipped())
		return lib->SSL_write_early_data(ssl, buf, len, sent);
	leash_openssl_put_refused(lib, "netleash: early data is refused");
	errno = EACCES;
	return 0;
}

LEASH_EXPORT uint32_t SSL_SESSION_get_max_early_data(const struct ssl_session_st *session)
{
	const struct leash_openssl *lib = leash_openssl_of(NULL, CALLER(), __func__);

	if (!lib || !lib->SSL_SESSION_get_max_early_data || !leash_verify_skipped())
		return 0;
	return lib->SSL_SESSION_get_max_early_data(session);
}
