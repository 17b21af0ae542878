/* SPDX-License-Identifier: MIT */
/*
 * The verifier, and what its answers mean for a connection (design: TLS 3, 4, 5, 9).
 *
 * It is an object of its own beside ours, opened at the first handshake that has to be judged: a
 * process without TLS never sees it. Plain values go in and come out (verifier.h).
 */
#include "shim/conn/verify.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/abi.h"
#include "shim/conn/inner.h"
#include "shim/core/clock.h"
#include "shim/core/elf.h"
#include "shim/core/env.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/tls/verifier/verifier.h"
#include "shim/wire/tls_server.h"

_Static_assert(LEASH_CERTS_MAX == LEASH_CHAIN_MAX && LEASH_SERVER_CERTS_MAX == LEASH_CHAIN_MAX,
	       "one limit for a served chain");
_Static_assert((int)LEASH_ANDROID == LEASH_VERIFY_ANDROID && (int)LEASH_IOS == LEASH_VERIFY_IOS &&
		       (int)LEASH_DEVTOOLS == LEASH_VERIFY_DEVTOOLS &&
		       (int)LEASH_STRICT == LEASH_VERIFY_STRICT,
	       "the verifier's platforms are the policy's");

__thread struct leash_inside leash_inside;

/* ------------------------------------------------------------------------ the object */

enum { UNKNOWN, LOADING, LOADED, FAILED };
static _Atomic int state;
static _Atomic pid_t loader_tid, loader_pid;
static const struct leash_verifier *verifier;
static void *store;
static char failure[256];		/* why, for the lines */

static bool blame(const char *what, const char *more)
{
	size_t len = leash_text_put(failure, sizeof(failure), 0, what);

	leash_text_put(failure, sizeof(failure), len, more ? more : "");
	return false;
}

/* Beside our own object, never through a search path or the environment */
static bool path_beside(char *path, size_t size)
{
	const struct link_map *self = leash_elf_self();
	const char *own = leash_env.preload[0] ? leash_env.preload : self ? self->l_name : "";
	const char *slash = strrchr(own, '/');
	size_t len;

	if (own[0] != '/' || !slash || (size_t)(slash - own) + 2 + sizeof(LEASH_VERIFIER_NAME) > size)
		return blame("the place of " LEASH_SHIM_NAME " is not known", NULL);
	len = (size_t)(slash - own) + 1;
	memcpy(path, own, len);
	memcpy(path + len, LEASH_VERIFIER_NAME, sizeof(LEASH_VERIFIER_NAME));
	return true;
}

/* The store reads the files now; of what stands here it keeps nothing that is not in the image. */
static void *open_store(const struct leash_verifier *table, const struct leash_image *image)
{
	const uint32_t extra = leash_image_extra_ca_count(image);
	const uint32_t distrust = leash_image_distrust_count(image);
	const size_t size = extra * sizeof(char *) + distrust * 32u + 1;
	const long at = LEASH_SYS(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct leash_verify_roots roots = {.trust_dir = leash_image_trust_dir(image)};
	const char **files = (const char **)at;
	uint8_t(*digests)[32] = (uint8_t(*)[32])(at + (long)(extra * sizeof(char *)));
	char why[128] = "";
	void *ret;

	if (at < 0) {
		blame("no memory for the root certificates", NULL);
		return NULL;
	}
	for (uint32_t i = 0; i < extra; i++)
		files[i] = leash_image_extra_ca(image, i);
	for (uint32_t i = 0; i < distrust; i++)
		memcpy(digests[i], leash_image_distrust(image, i), 32);
	roots.extra_ca = files;
	roots.extra_ca_count = extra;
	roots.distrust = (const uint8_t(*)[32])digests;
	roots.distrust_count = distrust;
	ret = table->open(&roots, why, sizeof(why));
	/* The lists stay: a store that looks at them later finds them. */
	if (!ret)
		blame("the root certificates cannot be read: ", why);
	return ret;
}

static bool load(void)
{
	const struct leash_image *image = leash_image_get();
	const struct leash_verifier *table;
	leash_verifier_entry_fn *entry;
	char path[4096];
	void *handle, *symbol;

	if (!image)
		return blame("there is no usable policy", NULL);
	if (!path_beside(path, sizeof(path)))
		return false;
	handle = leash_real_dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return blame("it cannot be loaded: ", dlerror());
	symbol = leash_real_dlsym(handle, LEASH_VERIFIER_ENTRY);
	if (!symbol)
		return blame(path, ": no verifier");
	memcpy(&entry, &symbol, sizeof(entry));
	table = entry();
	if (!table)
		return blame(path, ": it cannot initialise itself");
	if (table->abi != LEASH_VERIFIER_ABI || table->in_size != sizeof(struct leash_verify_in) ||
	    table->out_size != sizeof(struct leash_verify_out))
		return blame(path, ": it is of another version");
	store = open_store(table, image);
	if (!store)
		return false;
	verifier = table;
	return true;
}

/* As leash_image_get(): once, waiting for another thread, never for oneself */
static const struct leash_verifier *get(void)
{
	int was = UNKNOWN;

	if (atomic_load_explicit(&state, memory_order_acquire) == LOADED)
		return verifier;
	while (!atomic_compare_exchange_strong(&state, &was, LOADING)) {
		if (was != LOADING)
			return was == LOADED ? verifier : NULL;
		if (atomic_load(&loader_pid) != 0 && atomic_load(&loader_pid) != leash_sys_getpid()) {
			atomic_store(&loader_pid, 0);	/* forked while it was being loaded */
			atomic_store(&state, UNKNOWN);
		} else if (atomic_load(&loader_tid) == (pid_t)LEASH_SYS(SYS_gettid)) {
			return NULL;
		}
		LEASH_SYS(SYS_sched_yield);
		was = UNKNOWN;
	}
	atomic_store(&loader_tid, (pid_t)LEASH_SYS(SYS_gettid));
	atomic_store(&loader_pid, leash_sys_getpid());
	was = load() ? LOADED : FAILED;
	atomic_store_explicit(&state, was, memory_order_release);
	return was == LOADED ? verifier : NULL;
}

/* ------------------------------------------------------------------------- verdicts */

static const char *const requirement[] = {
	[LEASH_VERIFY_OK] = "certificate",
	[LEASH_VERIFY_VALID] = "certificate.valid",
	[LEASH_VERIFY_TRUSTED] = "certificate.trusted",
	[LEASH_VERIFY_NAME] = "certificate.name",
	[LEASH_VERIFY_PERIOD] = "certificate.period",
	[LEASH_VERIFY_COMPLETE] = "certificate.complete",
	[LEASH_VERIFY_SELF_SIGNED] = "certificate.self_signed",
	[LEASH_VERIFY_TLS_VERSION] = "tls.version",
	[LEASH_VERIFY_STRENGTH] = "certificate.strength",
	[LEASH_VERIFY_SAN] = "certificate.san",
	[LEASH_VERIFY_EKU] = "certificate.eku",
	[LEASH_VERIFY_LIFETIME] = "certificate.lifetime",
	[LEASH_VERIFY_CIPHER] = "tls.cipher",
	[LEASH_VERIFY_SHAPE] = "certificate.shape",
};
_Static_assert(LEASH_ARRAY_SIZE(requirement) == LEASH_VERIFY_RULES, "name every requirement");

static const char *const platform_name[] = {
	[LEASH_ANDROID] = "android",
	[LEASH_IOS] = "ios",
	[LEASH_DEVTOOLS] = "devtools",
	[LEASH_STRICT] = "strict",
};

/* One thing that is wrong with a server, in words */
struct fault {
	int code;
	enum leash_reason reason;
	enum leash_verify_rule rule;
	char text[LEASH_VERIFY_TEXT + 64];
	char issuer[LEASH_VERIFY_TEXT], not_after[32];
};

static const char *version_name(uint16_t version)
{
	switch (version) {
	case 0x0300:
		return "SSL 3.0";
	case 0x0301:
		return "TLS 1.0";
	case 0x0302:
		return "TLS 1.1";
	case 0x0303:
		return "TLS 1.2";
	case 0x0304:
		return "TLS 1.3";
	}
	return NULL;
}

static void set_fault(struct fault *fault, int code, enum leash_reason reason,
		      enum leash_verify_rule rule, const char *text, const char *more)
{
	size_t len;

	fault->code = code;
	fault->reason = reason;
	fault->rule = rule;
	fault->issuer[0] = fault->not_after[0] = '\0';
	len = leash_text_put(fault->text, sizeof(fault->text), 0, text);
	leash_text_put(fault->text, sizeof(fault->text), len, more ? more : "");
}

static void set_unverified(struct fault *fault)
{
	set_fault(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
		  "no certificate can be verified: ", failure);
}

/*
 * Say what is wrong. @conn: NULL where the connection is not known. Return: 0 where only audit or
 * skip_domain_check lets it, else the reason's negative errno
 */
static int say(struct leash_conn *conn, const char *call, const struct fault *fault,
	       uint16_t version)
{
	struct leash_gate_tls tls = {
		.version = version_name(version),
		.issuer = fault->issuer[0] ? fault->issuer : NULL,
		.not_after = fault->not_after[0] ? fault->not_after : NULL,
	};
	struct leash_gate gate;
	char rule[64];
	size_t len;

	if (conn) {
		leash_conn_gate(&gate, conn, call);
		if (leash_flight_name(conn)[0])
			gate.sni = leash_flight_name(conn);
	} else {
		leash_gate_name(&gate, call, NULL, leash_policy_none());
		gate.host = "a server";
	}
	if (gate.image) {
		const uint8_t platform = leash_image_settings(gate.image)->platform;

		leash_gate_judge(&gate, leash_policy_handshake(gate.image, fault->reason));
		len = leash_text_put(rule, sizeof(rule), 0, requirement[fault->rule]);
		len = leash_text_put(rule, sizeof(rule), len, ", platform ");
		leash_text_put(rule, sizeof(rule), len,
			       platform < LEASH_ARRAY_SIZE(platform_name) ? platform_name[platform] : "?");
		gate.rule_text = rule;
		gate.hint_text = fault->text;
	}
	gate.tls = &tls;
	return leash_gate_settle(&gate);
}

static void fault_of(struct fault *fault, const struct leash_verify_out *out)
{
	size_t len;

	set_fault(fault, out->code,
		  out->rule == LEASH_VERIFY_TLS_VERSION ? LEASH_WHY_TLS_VERSION : LEASH_WHY_CERTIFICATE,
		  out->rule < LEASH_VERIFY_RULES ? out->rule : LEASH_VERIFY_OK,
		  verifier->code_text(out->code), " (");
	len = strlen(fault->text);
	len = leash_text_put_uint(fault->text, sizeof(fault->text), len, (unsigned long)out->code);
	len = leash_text_put(fault->text, sizeof(fault->text), len, "): ");
	leash_text_put(fault->text, sizeof(fault->text), len, out->sentence);
	leash_text_put(fault->issuer, sizeof(fault->issuer), 0, out->issuer);
	leash_text_put(fault->not_after, sizeof(fault->not_after), 0, out->not_after);
}

/* Return: 0 good, else fault->code. @leaf first in @certs */
static int verify(const struct leash_conn *conn, const struct leash_der *certs, size_t count,
		  uint16_t version, uint16_t cipher, struct fault *fault)
{
	const struct leash_verifier *table = get();
	const struct leash_image *image = leash_image_get();
	const char *name = leash_flight_name(conn);
	struct leash_verify_in in = {
		.tls_version = version,
		.cipher = cipher,
		.now_s = leash_wall_ms() / 1000,
	};
	struct leash_verify_out out;
	struct leash_addr addr;

	if (!table || !image) {
		set_unverified(fault);
		return fault->code;
	}
	if (version && version < 0x0303) {
		set_fault(fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
			  version_name(version) ? version_name(version) : "an unknown version",
			  " was chosen: enable TLS 1.2 or 1.3 on the server");
		return fault->code;
	}
	if (count == 0 || count > LEASH_CHAIN_MAX) {
		set_fault(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
			  count ? "the server sent more than 100 certificates" :
				  "the server showed no certificate", NULL);
		return fault->code;
	}
	leash_conn_addr(conn, &addr);
	in.leaf = certs[0];
	in.others = certs + 1;
	in.other_count = count - 1;
	in.platform = (enum leash_verify_platform)leash_image_settings(image)->platform;
	if (name[0]) {
		in.name = name;
	} else {
		in.addr = addr.bytes;
		in.addr_len = addr.family == LEASH_INET ? 4 : 16;
	}
	if (table->verify(store, &in, &out) == 0)
		return 0;
	fault_of(fault, &out);
	return fault->code;
}

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

	if (conn && conn->tls_free && leash_registry_same(conn, fd)) {
		*ret = (struct leash_tie){.conn = conn, .cookie = conn->cookie, .free = true};
		return true;
	}
	if (fd < 0 || LEASH_SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    domain != AF_UNIX)
		return false;
	*ret = (struct leash_tie){.free = true};
	return true;
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

static int refuse(const struct leash_tie *tie, const char *call, const struct fault *fault,
		  uint16_t version)
{
	struct leash_conn *conn = leash_verify_tied(tie) ? tie->conn : NULL;

	if (say(conn, call, fault, version) == 0)
		return 0;
	if (conn)
		leash_flight_refuse(conn);
	return fault->code ? fault->code : LEASH_CODE_OTHER;
}

int leash_verify_chain(const struct leash_tie *tie, const char *call, const struct leash_chain *chain)
{
	struct leash_der certs[LEASH_CHAIN_MAX];
	struct fault fault;

	if (tie->free)
		return 0;
	if (!leash_verify_tied(tie))
		return leash_verify_reject(tie, call, LEASH_REJECT_UNKNOWN);
	for (size_t i = 0; i < chain->count && i < LEASH_CHAIN_MAX; i++)
		certs[i] = (struct leash_der){.bytes = chain->certs[i].bytes, .len = chain->certs[i].len};
	if (verify(tie->conn, certs, chain->count, chain->version, chain->cipher, &fault) == 0)
		return 0;
	return refuse(tie, call, &fault, chain->version);
}

int leash_verify_reject(const struct leash_tie *tie, const char *call, enum leash_reject why)
{
	struct fault fault;

	if (tie->free)
		return 0;
	switch (why) {
	case LEASH_REJECT_UNKNOWN:
		set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_NAME_MISMATCH, LEASH_VERIFY_NAME,
			  "this handshake did not leave by a connection of this process in the clear: "
			  "whom it is for cannot be known (TLS inside TLS, encrypted hello)", NULL);
		return refuse(tie, call, &fault, 0);
	case LEASH_REJECT_NO_CERTIFICATE:
		set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
			  "the server showed no certificate (anonymous cipher, pre-shared key): "
			  "use a server with one", NULL);
		return refuse(tie, call, &fault, 0);
	case LEASH_REJECT_NOT_X509:
		set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
			  "the server showed a raw public key and no certificate", NULL);
		return refuse(tie, call, &fault, 0);
	case LEASH_REJECT_VERSION:
		set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
			  "the server takes neither TLS 1.2 nor 1.3: enable them on the server", NULL);
		return refuse(tie, call, &fault, 0);
	case LEASH_REJECT_MALFORMED:
		break;
	}
	set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
		  "the server's certificates cannot be read", NULL);
	return refuse(tie, call, &fault, 0);
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

/* ------------------------------------------------------------------------ opaque TLS */

/* @said: what say() answered. Return: the same */
static int end(struct leash_conn *conn, int fd, const struct fault *fault, int said)
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
	struct fault fault;

	set_fault(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK, "", NULL);
	switch (what) {
	case LEASH_FAULT_EARLY_DATA:
		set_fault(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
			  "early data (0-RTT) would leave before the server has shown a certificate: "
			  "switch it off in the program", NULL);
		break;
	case LEASH_FAULT_UNSEEN:
		set_fault(&fault, 0, LEASH_WHY_UNJUDGED, LEASH_VERIFY_OK,
			  "the server's part of the TLS handshake passed by unseen", NULL);
		break;
	case LEASH_FAULT_MALFORMED:
		set_fault(&fault, 0, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
			  "the server's part of the TLS handshake cannot be read", NULL);
		break;
	case LEASH_FAULT_SECOND_HELLO:
		set_fault(&fault, 0, LEASH_WHY_NAME_MISMATCH, LEASH_VERIFY_NAME,
			  "the second hello of the handshake is for another name than the first", NULL);
		break;
	case LEASH_FAULT_BUFFERS:
		set_fault(&fault, 0, LEASH_WHY_RESOURCE, LEASH_VERIFY_OK,
			  "too many handshakes wait for their server at the same time", NULL);
		break;
	}
	return end(conn, fd, &fault, say(conn, call, &fault, 0));
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
	struct fault fault;		/* code 0: good */
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
	}
	return "the connection failed";
}

/* Return: is it an answer to keep? */
static bool probe(const struct leash_conn *conn, const struct server *server, int timeout_ms,
		  struct fault *fault)
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
	};
	const struct leash_verifier *table = get();
	struct leash_probe_out out;
	bool keep = false;

	if (!table) {
		set_unverified(fault);
		return false;
	}
	memset(&out, 0, sizeof(out));
	if (table->probe(&calls, &in, &out) < 0) {
		set_fault(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
			  "an own handshake with the server, to see its certificate, failed: ",
			  why_no_probe(&out));
	} else {
		fault->code = 0;
		verify(conn, out.certs, out.cert_count, out.version, out.cipher, fault);
		keep = true;
	}
	table->release(&out);
	return keep;
}

static void judge_by_probe(struct leash_conn *conn, struct fault *fault)
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
		set_fault(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
			  "an own handshake with the server, to see its certificate, is not finished", NULL);
		return;
	}
	if (mine) {
		const bool keep = probe(conn, &server, (int)timeout_ms, fault);

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
	struct fault fault;

	fault.code = 0;
	if (server->version < 0x0303) {
		set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
			  version_name(server->version) ? version_name(server->version) : "an unknown version",
			  " was chosen: enable TLS 1.2 or 1.3 on the server");
	} else {
		switch (mode) {
		case LEASH_OPAQUE_ALLOW: {
			struct leash_gate gate;

			leash_conn_gate(&gate, conn, call);
			gate.sni = leash_flight_name(conn)[0] ? leash_flight_name(conn) : NULL;
			gate.detail = "opaque TLS: name and version were judged, the certificate was not "
				      "(opaque_tls = \"allow\")";
			leash_gate_note(&gate);
			return 0;
		}
		case LEASH_OPAQUE_OBSERVE:
			if (server->certificate) {
				struct leash_der certs[LEASH_CHAIN_MAX];

				for (size_t i = 0; i < server->cert_count; i++)
					certs[i] = (struct leash_der){.bytes = server->certs[i].bytes,
								      .len = server->certs[i].len};
				verify(conn, certs, server->cert_count, server->version,
				       server->cipher, &fault);
			} else {
				judge_by_probe(conn, &fault);
			}
			break;
		case LEASH_OPAQUE_DENY:
			set_fault(&fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
				  "this TLS library cannot be checked, and opaque_tls is \"deny\"", NULL);
			break;
		}
	}
	if (fault.code == 0)
		return 0;
	return end(conn, fd, &fault, say(conn, call, &fault, server->version));
}
