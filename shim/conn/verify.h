/* SPDX-License-Identifier: MIT */
/*
 * Certificates: which connection is this handshake, and may its server be talked to (policy 8)?
 *
 * For the TLS hooks (shim/tls): a library's object is tied to a connection by the client random,
 * which stood in the ClientHello that was judged when it left; the chain that the server showed goes
 * to the verifier, an object of its own that is opened at the first handshake (verifier.h). Not for
 * signal handlers: the verifier allocates.
 */
#ifndef LEASH_CONN_VERIFY_H
#define LEASH_CONN_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leash_conn;
struct leash_gate_tls;

/* A handshake's connection. All zero: none, and the program's own affair if nothing here could carry it. */
struct leash_tie {
	struct leash_conn *conn;
	uint64_t cookie;
	bool free;		/* raw TCP, loopback, AF_UNIX, a pipe: TLS on it is the program's own affair */
};

struct leash_cert {
	const uint8_t *bytes;	/* DER */
	size_t len;
};

#define LEASH_CERTS_MAX 100	/* of a chain, the leaf counted; more is refused */
struct leash_chain {
	uint16_t version;	/* 0x0303 … */
	uint16_t cipher;	/* IANA number, 0: not known */
	size_t count;
	const struct leash_cert *certs;		/* leaf first, in served order */
};

/* X509_V_ERR_APPLICATION_VERIFICATION: what has no code of its own */
#define LEASH_CODE_OTHER 50

/**
 * leash_verify_tie() - Whose hello had this random? From then on the library answers for it
 * Return: true with @ret filled in; false if no such hello has left this process
 */
bool leash_verify_tie(const uint8_t random[static 32], struct leash_tie *ret);

/**
 * leash_verify_tie_fd() - Is TLS on this descriptor the program's own affair?
 * For a hello that nobody has seen, because other bytes came before it (STARTTLS on raw TCP).
 * Return: true with @ret filled in, .free
 */
bool leash_verify_tie_fd(int fd, struct leash_tie *ret);

/** leash_verify_tied() - Is it still that connection? */
bool leash_verify_tied(const struct leash_tie *tie);

/** leash_verify_name() - The name it is for, never freed; "" for a LAN peer without one */
const char *leash_verify_name(const struct leash_tie *tie);

/**
 * leash_verify_chain() - Judge what the server showed
 * @call:	What the program called, for the line
 *
 * Return: 0: go on (also where only audit or skip_domain_check lets it: recorded); else an
 *	   X509_V_ERR code: said, and nothing but the library's alert leaves any more
 */
int leash_verify_chain(const struct leash_tie *tie, const char *call,
		       const struct leash_chain *chain);

enum leash_reject {
	LEASH_REJECT_UNKNOWN,		/* no connection: TLS inside TLS, a hidden hello */
	LEASH_REJECT_NO_CERTIFICATE,	/* anonymous, pre-shared key */
	LEASH_REJECT_NOT_X509,		/* raw public key */
	LEASH_REJECT_VERSION,		/* the handshake failed over its version */
	LEASH_REJECT_MALFORMED,		/* more certificates than anybody serves, no memory for them */
};
/** leash_verify_reject() - The same for a server without a chain. Return: as leash_verify_chain() */
int leash_verify_reject(const struct leash_tie *tie, const char *call, enum leash_reject why);

/**
 * leash_verify_done() - The handshake is through, and its server was accepted: its event
 * Nothing where the verdict was only recorded, or TLS on it is the program's own affair.
 */
void leash_verify_done(const struct leash_tie *tie, const char *call);

/**
 * leash_verify_facts() - What the judged handshake of a connection showed: for gate->tls of any later
 * event about it (requests, policy 12)
 * @ret:	Texts that are never freed; any of them NULL (an opaque handshake whose certificate nobody
 *		has looked at has version and suite alone)
 *
 * For hooked libraries as well as for opaque TLS; also of a server that audit only records.
 * Return: false, @ret untouched: no handshake on it was judged
 */
bool leash_verify_facts(const struct leash_conn *conn, struct leash_gate_tls *ret);

/** leash_verify_end() - Nothing leaves any more, everybody who waits is woken */
void leash_verify_end(const struct leash_tie *tie);

/** leash_verify_error() - Why nothing moves on it any more, a positive errno (ETIMEDOUT, ECONNABORTED, EACCES);
 *  0: it is alive, or unknown */
int leash_verify_error(const struct leash_tie *tie);

/** leash_verify_http2() - May HTTP/2 be offered? Nobody would read it */
bool leash_verify_http2(void);

/** leash_verify_skipped() - Does the policy only record what it would refuse? */
bool leash_verify_skipped(void);

/** leash_verify_unbound() - The one line about a TLS library that cannot be hooked as it must be */
void leash_verify_unbound(const char *missing);

/*
 * A library that gives no sign between its hello and its second flight says here whose handshake
 * this thread is in: the hello that leaves meanwhile is tied at once.
 */
struct leash_inside {
	bool (*is)(void *session, const uint8_t random[static 32]);
	void *session;
};
extern __thread struct leash_inside leash_inside;

#endif
