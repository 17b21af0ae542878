/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/conn/gate.h"
#include "shim/conn/image.h"
#include "shim/conn/local.h"
#include "shim/conn/session.h"
#include "shim/core/env.h"
#include "shim/core/log.h"
#include "shim/core/scope.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"
#include "shim/events/emit.h"

#define TARGET_SHOWN 80	/* bytes of a request's target in a line */
#define NEAR_SCAN_MAX 2000	/* entries looked at for a similar spelling: 1 ms at the worst */

bool leash_gate_addr(const struct sockaddr *addr, socklen_t len, struct leash_addr *ret_addr,
		     uint16_t *ret_port)
{
	if (len < (socklen_t)sizeof(sa_family_t))
		return false;
	if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;

		memcpy(&in, addr, sizeof(in));
		*ret_addr = leash_addr_normal4((const uint8_t *)&in.sin_addr);
		*ret_port = ntohs(in.sin_port);
		return true;
	}
	/* The kernel takes RFC 2133 addresses without a scope id: 24 bytes. */
	if (addr->sa_family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		struct sockaddr_in6 in6 = {0};

		memcpy(&in6, addr, len < sizeof(in6) ? len : sizeof(in6));
		*ret_addr = leash_addr_normal6((const uint8_t *)&in6.sin6_addr, in6.sin6_scope_id);
		*ret_port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

static struct leash_verdict ask(struct leash_gate *gate)
{
	gate->peer.name_count = leash_names_lookup(&gate->peer.addr, gate->names);
	gate->peer.names = gate->names;
	return leash_policy_peer(gate->image, &gate->peer);
}

/* Is the text of its host there for good, in the image or among the resolved names? */
static bool stays(const struct leash_gate *gate)
{
	const uintptr_t image = (uintptr_t)gate->image, host = (uintptr_t)gate->host;

	return (gate->peer.name_count > 0 && gate->host == gate->names[0].name) ||
	       (gate->image && host > image && host - image < leash_image_size(gate->image));
}

/*
 * Connections to a listed name's address that were admitted lately: a program connects to the same few servers over
 * and over. Good until anything is learnt about names, and until the interfaces are read again, which is a second;
 * refusals are never remembered, nor what is only a "would". Entries are copied out between two looks at their
 * number, which is odd while somebody writes.
 */
#define ADMITTED 64

static struct admitted {
	_Atomic uint32_t seq;
	uint32_t names, net;
	struct leash_addr addr;
	uint16_t port;
	const char *host;
	struct leash_verdict verdict;
} admitted[ADMITTED];

static struct admitted *place_of(const struct leash_gate *gate)
{
	uint64_t half[3] = {0};

	memcpy(half, &gate->peer.addr, sizeof(gate->peer.addr));
	return &admitted[((half[0] ^ half[1] ^ half[2] ^ gate->peer.port) * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}
_Static_assert(sizeof(struct leash_addr) <= 24 && ADMITTED == 64, "folded above");

static bool recall(struct leash_gate *gate)
{
	const struct admitted *at = place_of(gate);
	const uint32_t seq = atomic_load_explicit(&at->seq, memory_order_acquire);
	struct admitted copy;

	if (seq == 0 || (seq & 1))
		return false;
	memcpy(&copy, (const void *)at, sizeof(copy));
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&at->seq, memory_order_relaxed) != seq || copy.port != gate->peer.port ||
	    copy.names != leash_names_generation() || copy.net != leash_local_serial() ||
	    !leash_addr_equal(&copy.addr, &gate->peer.addr))
		return false;
	gate->verdict = copy.verdict;
	gate->host = copy.host;
	return true;
}

static void remember(const struct leash_gate *gate, uint32_t names, uint32_t net)
{
	struct admitted *at = place_of(gate);
	uint32_t seq = atomic_load_explicit(&at->seq, memory_order_relaxed);

	if ((seq & 1) || !atomic_compare_exchange_strong(&at->seq, &seq, seq + 1))
		return;
	atomic_thread_fence(memory_order_release);
	at->names = names;
	at->net = net;
	at->addr = gate->peer.addr;
	at->port = gate->peer.port;
	at->host = gate->host;
	at->verdict = gate->verdict;
	atomic_store_explicit(&at->seq, seq + 2, memory_order_release);
}

void leash_gate_peer(struct leash_gate *gate, const char *call, enum leash_transport transport,
		     const struct leash_addr *addr, uint16_t port, bool sending)
{
	bool lasting = transport == LEASH_TCP && !sending;
	uint32_t names, net_serial;

	gate->image = leash_image_get();
	gate->call = call;
	gate->sni = gate->rule_text = gate->hint_text = gate->detail = NULL;
	gate->host = gate->api = NULL;
	gate->tls = NULL;
	gate->request = NULL;
	memset(&gate->peer, 0, sizeof(gate->peer));
	gate->peer.transport = transport;
	gate->peer.addr = *addr;
	gate->peer.port = port;
	gate->peer.sending = sending;
	if (!gate->image) {
		gate->verdict = leash_policy_none();
		return;
	}
	gate->peer.net = leash_local_get(false);
	/* Read before the question: what is learnt while it is asked makes the answer old. */
	names = leash_names_generation();
	net_serial = leash_local_serial();
	if (lasting && gate->peer.net && recall(gate))
		return;
	gate->verdict = ask(gate);
	/* Before a refusal that may rest on interfaces of a second ago, look again. */
	if (gate->verdict.action == LEASH_DENY) {
		const struct leash_net *net = leash_local_get(true);

		lasting = false;
		if (net != gate->peer.net) {
			gate->peer.net = net;
			gate->verdict = ask(gate);
		}
	}
	if (gate->peer.name_count > 0) {
		gate->host = gate->names[0].name;
		/* Of several names, speak of the one that was admitted. */
		if (gate->verdict.entry != LEASH_ENTRY_NONE) {
			const struct leash_entry *entry =
				leash_image_entry(gate->image, gate->verdict.entry);

			if (entry)
				gate->host = leash_image_string(gate->image, entry->name);
		}
	}
	if (lasting && gate->verdict.action == LEASH_ALLOW && !gate->verdict.would &&
	    gate->verdict.entry != LEASH_ENTRY_NONE && stays(gate))
		remember(gate, names, net_serial);
}

void leash_gate_local(struct leash_gate *gate, const char *call, enum leash_transport transport,
		      const struct leash_addr *addr, uint16_t port)
{
	memset(gate, 0, sizeof(*gate));
	gate->image = leash_image_get();
	gate->call = call;
	gate->peer.transport = transport;
	gate->peer.addr = *addr;
	gate->peer.port = port;
	gate->peer.net = gate->image ? leash_local_get(true) : NULL;
	gate->verdict = leash_policy_none();
}

void leash_gate_judge(struct leash_gate *gate, struct leash_verdict verdict)
{
	gate->verdict = verdict;
}

void leash_gate_name(struct leash_gate *gate, const char *call, const char *host,
		     struct leash_verdict verdict)
{
	memset(gate, 0, sizeof(*gate));
	gate->image = leash_image_get();
	gate->call = call;
	gate->host = host;
	gate->verdict = gate->image ? verdict : leash_policy_none();
}

static const char *api_of(const struct leash_gate *gate)
{
	const struct leash_entry *entry;

	if (gate->api)
		return gate->api;
	if (gate->image && gate->verdict.entry != LEASH_ENTRY_NONE) {
		entry = leash_image_entry(gate->image, gate->verdict.entry);
		if (entry && entry->list < LEASH_LIST_BLOCKED)
			return leash_list_api[entry->list];
	}
	if (gate->peer.transport == LEASH_UDP)
		return "udp";
	if (gate->verdict.rule == LEASH_RULE_TCP_PORT)
		return "tcp";
	return "request";
}

/* The texts that events and lines share. */
struct said {
	struct leash_subject subject;
	uint32_t near;
	char addr[LEASH_ADDR_TEXT_SIZE];
	char rule[512];
	char line[LEASH_LOG_LINE_SIZE];
	char hint[640];
	char words[512];
	char url[768];
};
_Static_assert(sizeof(struct said) <= LEASH_SCRATCH_SIZE, "lives in a scratch block");

#define NAMES_SHOWN_MAX 3

/* Which name the handshake must have had */
static void put_resolved(const struct leash_gate *gate, struct said *said)
{
	const size_t size = sizeof(said->hint);
	size_t len = strlen(said->hint);

	for (uint32_t i = 0; i < gate->peer.name_count && i < NAMES_SHOWN_MAX; i++) {
		len = leash_text_put(said->hint, size, len, i ? ", `" : "; this one was resolved from `");
		len = leash_text_put(said->hint, size, len, gate->names[i].name);
		len = leash_text_put(said->hint, size, len, "`");
	}
	if (gate->peer.name_count > NAMES_SHOWN_MAX)
		leash_text_put(said->hint, size, len, " and others");
}

static struct said *prepare(const struct leash_gate *gate)
{
	struct said *said = leash_scratch_take();

	if (!said)
		return NULL;
	said->addr[0] = '\0';
	said->near = gate->verdict.near;
	if (gate->peer.addr.family)
		leash_addr_text(&gate->peer.addr, said->addr);
	said->subject = (struct leash_subject){
		.api = api_of(gate),
		.host = gate->sni ? gate->sni : gate->host ? gate->host : said->addr,
		.addr = said->addr,
		.port = gate->peer.port,
	};
	leash_explain_rule(gate->image, &gate->verdict, said->rule, sizeof(said->rule));
	if (gate->rule_text)
		leash_text_put(said->rule, sizeof(said->rule), 0, gate->rule_text);
	/* A search for a similar name costs: only for a refused name, and only when it is said. */
	if (gate->verdict.reason == LEASH_WHY_NOT_IN_LIST && gate->host && gate->image &&
	    said->near == LEASH_ENTRY_NONE)
		said->near = leash_policy_near(gate->image, gate->host, strlen(gate->host),
					       NEAR_SCAN_MAX);
	said->hint[0] = said->words[0] = '\0';
	/* Neither a line nor an event: it is counted, and that is all. */
	if (leash_env.quiet && !leash_emit_wanted())
		return said;
	if (gate->verdict.reason != LEASH_WHY_NONE) {
		leash_explain_words(gate->verdict.reason, &said->subject, said->words,
				    sizeof(said->words));
		leash_explain_hint(gate->image, &gate->verdict, &said->subject, said->near,
				   said->hint, sizeof(said->hint));
		if (gate->verdict.rule == LEASH_RULE_SNI)
			put_resolved(gate, said);
		if (gate->hint_text)
			leash_text_put(said->hint, sizeof(said->hint), 0, gate->hint_text);
	}
	return said;
}

/*
 * netleash: curl[12]: connect evil.example.net:443 (203.0.113.66) refused: REASON (rule RULE): HINT
 * netleash: curl[12]: request api.example.com:443 (198.51.100.11) ended: WORDS (rule RULE): HINT
 */
static void write_line(const struct leash_gate *gate, struct said *said, bool ended)
{
	char *line = said->line;
	const size_t size = sizeof(said->line);
	size_t len = leash_text_put(line, size, 0, "netleash: ");

	len = leash_text_put(line, size, len, leash_emit_exe(true));
	len = leash_text_put(line, size, len, "[");
	len = leash_text_put_uint(line, size, len, (unsigned long)leash_sys_getpid());
	len = leash_text_put(line, size, len, "]: ");
	len = leash_text_put(line, size, len, gate->call);
	if (gate->request && gate->request->method) {
		len = leash_text_put(line, size, len, " ");
		len = leash_text_put(line, size, len, gate->request->method);
	}
	if (said->subject.host[0]) {
		const bool v6 = strchr(said->subject.host, ':') != NULL;

		len = leash_text_put(line, size, len, v6 && gate->peer.port ? " [" : " ");
		len = leash_text_put(line, size, len, said->subject.host);
		if (gate->peer.port) {
			len = leash_text_put(line, size, len, v6 ? "]:" : ":");
			len = leash_text_put_uint(line, size, len, gate->peer.port);
		}
		if (said->addr[0] && said->subject.host != said->addr) {
			len = leash_text_put(line, size, len, " (");
			len = leash_text_put(line, size, len, said->addr);
			len = leash_text_put(line, size, len, ")");
		}
	}
	if (gate->request && gate->request->target) {
		/* Long ones leave room for the reason. */
		const size_t room = len + TARGET_SHOWN + 1 < size ? len + TARGET_SHOWN + 1 : size;

		len = leash_text_put(line, room, len, " ");
		len = leash_text_put(line, room, len, gate->request->target);
	}
	len = leash_text_put(line, size, len, ended ? " ended: " : " refused: ");
	len = leash_text_put(line, size, len,
			     ended ? said->words : leash_reason_code(gate->verdict.reason));
	if (said->rule[0]) {
		len = leash_text_put(line, size, len, " (rule ");
		len = leash_text_put(line, size, len, said->rule);
		len = leash_text_put(line, size, len, ")");
	}
	len = leash_text_put(line, size, len, ": ");
	len = leash_text_put(line, size, len, said->hint);
	leash_log_line(line, len);
}

void leash_gate_request_clear(struct leash_gate_request *request)
{
	*request = (struct leash_gate_request){.sent = -1, .received = -1};
}

/* An absolute target is one already (RFC 9112 section 3.2.2). */
static void put_url(const struct leash_gate *gate, struct said *said)
{
	const struct leash_gate_request *request = gate->request;
	const size_t size = sizeof(said->url);
	size_t len = 0;

	said->url[0] = '\0';
	if (request->target && request->target[0] != '/' && request->target[0] != '*') {
		leash_text_put(said->url, size, 0, request->target);
		return;
	}
	len = leash_text_put(said->url, size, len, request->scheme ? request->scheme : "https");
	len = leash_text_put(said->url, size, len, "://");
	len = leash_text_put(said->url, size, len, said->subject.host);
	if (gate->peer.port && gate->peer.port != 443 && gate->peer.port != 80) {
		len = leash_text_put(said->url, size, len, ":");
		len = leash_text_put_uint(said->url, size, len, gate->peer.port);
	}
	leash_text_put(said->url, size, len, request->target ? request->target : "/");
}

static void send_event(const struct leash_gate *gate, struct said *said,
		       enum leash_event_kind kind, enum leash_event_verdict verdict)
{
	const enum leash_reason reason = gate->verdict.reason;
	struct leash_event event = {
		.kind = kind,
		.verdict = verdict,
		.api = said->subject.api,
		.call = gate->call,
		.host = said->subject.host[0] ? said->subject.host : NULL,
		.address = said->addr[0] ? said->addr : NULL,
		.port = gate->peer.port,
		.transport = !gate->peer.addr.family		     ? NULL
			     : gate->peer.transport == LEASH_UDP ? "udp"
								     : "tcp",
		.rule = said->rule[0] ? said->rule : NULL,
		.bytes_sent = -1,
		.bytes_received = -1,
		.sni = gate->sni,
		.detail = gate->detail,
	};

	if (gate->tls) {
		event.tls_version = gate->tls->version;
		event.tls_cipher = gate->tls->cipher;
		event.tls_issuer = gate->tls->issuer;
		event.tls_not_after = gate->tls->not_after;
	}

	if (gate->request) {
		put_url(gate, said);
		event.method = gate->request->method;
		event.url = said->url;
		event.status = gate->request->status;
		event.outcome = gate->request->outcome;
		event.bytes_sent = gate->request->sent;
		event.bytes_received = gate->request->received;
		event.timing = gate->request->timing;
	}
	if (reason != LEASH_WHY_NONE) {
		event.reason = leash_reason_code(reason);
		event.err_msg = said->words;
		event.hint = said->hint;
		event.number = leash_reason_number(reason);
		event.error = verdict == LEASH_SAID_REFUSED ? leash_reason_errno(reason) : 0;
	}
	if (!leash_emit(&event))
		atomic_fetch_add_explicit(&leash_session_get()->events_lost, 1,
					  memory_order_relaxed);
}

/* @kind: REFUSED, or how something that was admitted ended */
static int settle(const struct leash_gate *gate, enum leash_event_kind kind)
{
	const bool refused = gate->verdict.action == LEASH_DENY;
	const bool ended = kind != LEASH_EVENT_REFUSED;
	struct leash_session *session;
	struct leash_session_host *row;
	struct said *said;

	if (!refused && !gate->verdict.would)
		return 0;
	leash_trace(POLICY, gate->call, gate->peer.port, leash_reason_code(gate->verdict.reason));
	said = prepare(gate);
	session = leash_session_get();
	if (refused && !ended)
		atomic_fetch_add_explicit(&session->refused_total, 1, memory_order_relaxed);
	if (!said) {
		/* Everybody speaks at once: what is lost is counted, the refusal stands. */
		atomic_fetch_add_explicit(&session->events_lost, 1, memory_order_relaxed);
		return refused ? -leash_reason_errno(gate->verdict.reason) : 0;
	}
	row = &session->host[leash_session_host(said->subject.host, gate->peer.port)];
	if (gate->verdict.reason < LEASH_WHY_COUNT) {
		atomic_fetch_add_explicit(refused ? &row->refused[gate->verdict.reason]
						  : &row->would[gate->verdict.reason],
					  1, memory_order_relaxed);
		atomic_store_explicit(&row->last_reason, gate->verdict.reason, memory_order_relaxed);
		atomic_store_explicit(&row->last_rule, gate->verdict.rule, memory_order_relaxed);
		atomic_store_explicit(&row->last_entry, gate->verdict.entry, memory_order_relaxed);
		atomic_store_explicit(&row->last_near, said->near, memory_order_relaxed);
	}
	if (leash_emit_wanted())
		send_event(gate, said,
			   refused || ended ? kind
			   : !gate->peer.addr.family && gate->verdict.rule == LEASH_RULE_LIST
				   ? LEASH_EVENT_RESOLVE
				   : LEASH_EVENT_CONNECT,
			   refused ? LEASH_SAID_REFUSED : LEASH_SAID_WOULD_REFUSE);
	/* Without any policy the one line of the process has said it (hooks.md L5). */
	if (refused && !leash_env.quiet && gate->verdict.reason != LEASH_WHY_NO_POLICY)
		write_line(gate, said, ended);
	leash_scratch_give(said);
	return refused ? -leash_reason_errno(gate->verdict.reason) : 0;
}

int leash_gate_settle(const struct leash_gate *gate)
{
	return settle(gate, LEASH_EVENT_REFUSED);
}

void leash_gate_ended(const struct leash_gate *gate, enum leash_event_kind kind)
{
	struct leash_gate named = *gate;

	if (gate->peer.addr.family)
		named.call = api_of(gate);
	settle(&named, kind);
}

void leash_gate_state(const char *state, const char *why)
{
	char detail[128];
	struct leash_event event = {
		.kind = LEASH_EVENT_STATE,
		.verdict = LEASH_SAID_NONE,
		.detail = detail,
		.bytes_sent = -1,
		.bytes_received = -1,
	};
	size_t len = leash_text_put(detail, sizeof(detail), 0, state);

	len = leash_text_put(detail, sizeof(detail), len, ": ");
	leash_text_put(detail, sizeof(detail), len, why);
	if (leash_emit_wanted() && !leash_emit(&event))
		atomic_fetch_add(&leash_session_get()->events_lost, 1);
}

static void allowed_event(const struct leash_gate *gate, enum leash_event_kind kind)
{
	struct said *said;

	if (!leash_emit_wanted() || gate->verdict.would)
		return;
	said = prepare(gate);
	if (!said)
		return;
	send_event(gate, said, kind, LEASH_SAID_ALLOWED);
	leash_scratch_give(said);
}

void leash_gate_requested(const struct leash_gate *gate)
{
	allowed_event(gate, LEASH_EVENT_REQUEST);
}

void leash_gate_note(const struct leash_gate *gate)
{
	allowed_event(gate, LEASH_EVENT_CONNECT);
}

/* The rows of the hosts that were spoken of lately, by where their names stand: in the image or among the
 * resolved names, which both stay. Saves the search through the table, twice in each connect(). */
#define ROWS 64

static struct {
	_Atomic uint64_t key;	/* address of the name above, port below */
	_Atomic uint32_t row;
} rows[ROWS];

uint32_t leash_gate_host(const struct leash_gate *gate)
{
	const uint64_t key = (uint64_t)(uintptr_t)gate->host << 16 | gate->peer.port;
	const size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 58);
	char addr[LEASH_ADDR_TEXT_SIZE];
	uint32_t row;

	if (!gate->host) {
		leash_addr_text(&gate->peer.addr, addr);
		return leash_session_host(addr, gate->peer.port);
	}
	if (!stays(gate))
		return leash_session_host(gate->host, gate->peer.port);
	if (leash_likely(atomic_load_explicit(&rows[at].key, memory_order_acquire) == key)) {
		row = atomic_load_explicit(&rows[at].row, memory_order_acquire);
		if (atomic_load_explicit(&rows[at].key, memory_order_relaxed) == key)
			return row;
	}
	row = leash_session_host(gate->host, gate->peer.port);
	atomic_store_explicit(&rows[at].key, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&rows[at].row, row, memory_order_release);
	atomic_store_explicit(&rows[at].key, key, memory_order_release);
	return row;
}

uint32_t leash_gate_connected(const struct leash_gate *gate, bool resolve)
{
	struct leash_session *session = leash_session_get();
	uint32_t row;

	if (resolve) {
		allowed_event(gate, LEASH_EVENT_RESOLVE);
		return 0;
	}
	row = leash_gate_host(gate);
	atomic_fetch_add_explicit(&session->host[row].connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&session->connections_total, 1, memory_order_relaxed);
	allowed_event(gate, LEASH_EVENT_CONNECT);
	return row;
}

int leash_gate_simple(const char *call, const char *what, struct leash_verdict verdict)
{
	struct leash_gate gate;

	leash_gate_name(&gate, call, what, verdict);
	return leash_gate_settle(&gate);
}

void leash_gate_policy(const struct leash_image *image, const char *why)
{
	char line[LEASH_LOG_LINE_SIZE];
	struct leash_event event = {
		.kind = LEASH_EVENT_POLICY,
		.verdict = image ? LEASH_SAID_ALLOWED : LEASH_SAID_REFUSED,
		.bytes_sent = -1,
		.bytes_received = -1,
	};
	size_t len;

	if (image) {
		event.detail = leash_image_path(image);
	} else {
		event.detail = why;
		event.reason = leash_reason_code(LEASH_WHY_NO_POLICY);
		event.error = leash_reason_errno(LEASH_WHY_NO_POLICY);
	}
	if (leash_emit_wanted() && !leash_emit(&event))
		atomic_fetch_add(&leash_session_get()->events_lost, 1);
	if (image || leash_env.quiet)
		return;
	len = leash_text_put(line, sizeof(line), 0, "netleash: ");
	len = leash_text_put(line, sizeof(line), len, leash_emit_exe(true));
	len = leash_text_put(line, sizeof(line), len, "[");
	len = leash_text_put_uint(line, sizeof(line), len, (unsigned long)leash_sys_getpid());
	len = leash_text_put(line, sizeof(line), len,
			     "]: every network call is refused: no usable policy: ");
	len = leash_text_put(line, sizeof(line), len, why);
	leash_log_line(line, len);
}
