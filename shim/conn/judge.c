/* SPDX-License-Identifier: MIT */
/*
 * The verifier, and what its answers say of a server (design: TLS 4, 11).
 *
 * It is an object of its own beside ours, opened at the first handshake that has to be judged: a
 * process without TLS never sees it. Plain values go in and come out (verifier.h).
 */
#include "shim/conn/judge.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/abi.h"
#include "shim/core/clock.h"
#include "shim/core/elf.h"
#include "shim/core/env.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/events/emit.h"
#include "shim/wire/tls_suite.h"

_Static_assert((int)LEASH_ANDROID == LEASH_VERIFY_ANDROID && (int)LEASH_IOS == LEASH_VERIFY_IOS &&
		       (int)LEASH_DEVTOOLS == LEASH_VERIFY_DEVTOOLS &&
		       (int)LEASH_STRICT == LEASH_VERIFY_STRICT,
	       "the verifier's platforms are the policy's");

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
	/* cppcheck-suppress returnDanglingLifetime ; the store copies what @roots holds itself */
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
const struct leash_verifier *leash_judge_object(void)
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

const char *leash_judge_version(uint16_t version)
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

void leash_judge_set(struct leash_fault *fault, int code, enum leash_reason reason,
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

void leash_judge_unverified(struct leash_fault *fault)
{
	leash_judge_set(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_OK,
			"no certificate can be verified: ", failure);
}

int leash_judge_say(struct leash_conn *conn, const char *call, const struct leash_fault *fault,
		    uint16_t version, uint16_t cipher)
{
	char suite[LEASH_TLS_SUITE_TEXT];
	struct leash_gate_tls tls = {
		.version = leash_judge_version(version),
		.cipher = cipher ? leash_tls_suite_name(cipher, suite) : NULL,
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

static void fault_of(struct leash_fault *fault, const struct leash_verify_out *out)
{
	size_t len;

	leash_judge_set(fault, out->code,
			out->rule == LEASH_VERIFY_TLS_VERSION ? LEASH_WHY_TLS_VERSION : LEASH_WHY_CERTIFICATE,
			out->rule < LEASH_VERIFY_RULES ? out->rule : LEASH_VERIFY_OK,
			verifier->code_text(out->code), " (");
	len = strlen(fault->text);
	len = leash_text_put_uint(fault->text, sizeof(fault->text), len, (unsigned long)out->code);
	len = leash_text_put(fault->text, sizeof(fault->text), len, "): ");
	leash_text_put(fault->text, sizeof(fault->text), len, out->sentence);
}

int leash_judge_chain(const struct leash_conn *conn, const struct leash_der *certs, size_t count,
		      uint16_t version, uint16_t cipher, struct leash_fault *fault)
{
	const struct leash_verifier *table = leash_judge_object();
	const struct leash_image *image = leash_image_get();
	const char *name = leash_flight_name(conn), *chosen = leash_judge_version(version);
	struct leash_verify_in in = {
		.tls_version = version,
		.cipher = cipher,
		.now_s = leash_wall_ms() / 1000,
	};
	struct leash_verify_out out;
	struct leash_addr addr;

	if (!table || !image) {
		leash_judge_unverified(fault);
		return fault->code;
	}
	if (version && version < 0x0303) {
		leash_judge_set(fault, LEASH_CODE_OTHER, LEASH_WHY_TLS_VERSION, LEASH_VERIFY_TLS_VERSION,
				chosen ? chosen : "an unknown version",
				" was chosen: enable TLS 1.2 or 1.3 on the server");
		return fault->code;
	}
	if (count == 0 || count > LEASH_CHAIN_MAX) {
		leash_judge_set(fault, LEASH_CODE_OTHER, LEASH_WHY_CERTIFICATE, LEASH_VERIFY_VALID,
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
		leash_judge_set(fault, 0, LEASH_WHY_NONE, LEASH_VERIFY_OK, "", NULL);
	else
		fault_of(fault, &out);
	leash_text_put(fault->issuer, sizeof(fault->issuer), 0, out.issuer);
	leash_text_put(fault->not_after, sizeof(fault->not_after), 0, out.not_after);
	return fault->code;
}

/* --------------------------------------------------------------------------- facts */

/*
 * What accepted handshakes showed, each different thing once: connections of one server share it. Places
 * are filled and never emptied, so that a text may be read for ever; with all of them taken, the
 * events of further servers go without.
 */
#define FACTS 1024		/* conn/flight keeps a place in 16 bits */
#define FACTS_WINDOW 16		/* places that one of them may have */

struct facts {
	_Atomic int ready;	/* 0: free, 1: is being filled in, 2: stays */
	uint16_t version, cipher;
	char suite[LEASH_TLS_SUITE_TEXT];
	char issuer[LEASH_VERIFY_TEXT], not_after[32];
};
static struct facts facts[FACTS];

static bool is_same(const struct facts *kept, uint16_t version, uint16_t cipher,
		    const struct leash_fault *leaf)
{
	return kept->version == version && kept->cipher == cipher &&
	       strcmp(kept->issuer, leaf ? leaf->issuer : "") == 0 &&
	       strcmp(kept->not_after, leaf ? leaf->not_after : "") == 0;
}

/* Return: place + 1, 0: there is none */
static uint32_t find_facts(uint16_t version, uint16_t cipher, const struct leash_fault *leaf)
{
	uint32_t hash = 2166136261u ^ version ^ (uint32_t)cipher << 16;		/* FNV-1a */

	for (const char *at = leaf ? leaf->issuer : ""; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	for (const char *at = leaf ? leaf->not_after : ""; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	for (uint32_t i = 0; i < FACTS_WINDOW; i++) {
		const uint32_t place = (hash + i) % FACTS;
		struct facts *kept = &facts[place];
		int free = 0;

		if (atomic_compare_exchange_strong(&kept->ready, &free, 1)) {
			kept->version = version;
			kept->cipher = cipher;
			leash_text_put(kept->issuer, sizeof(kept->issuer), 0, leaf ? leaf->issuer : "");
			leash_text_put(kept->not_after, sizeof(kept->not_after), 0,
				       leaf ? leaf->not_after : "");
			atomic_store_explicit(&kept->ready, 2, memory_order_release);
			return place + 1;
		}
		/* One that another thread is filling in: a second copy in the next place does no harm. */
		if (free == 2 && is_same(kept, version, cipher, leaf))
			return place + 1;
	}
	return 0;
}

void leash_judge_keep(struct leash_conn *conn, uint16_t version, uint16_t cipher,
		      const struct leash_fault *leaf)
{
	leash_flight_set_facts(conn, find_facts(version, cipher, leaf), !leaf || leaf->code == 0);
}

bool leash_verify_facts(const struct leash_conn *conn, struct leash_gate_tls *ret)
{
	bool accepted;
	const uint32_t place = leash_flight_facts(conn, &accepted);
	struct facts *kept;

	if (!place)
		return false;
	kept = &facts[place - 1];
	*ret = (struct leash_gate_tls){
		.version = leash_judge_version(kept->version),
		.cipher = kept->cipher ? leash_tls_suite_name(kept->cipher, kept->suite) : NULL,
		.issuer = kept->issuer[0] ? kept->issuer : NULL,
		.not_after = kept->not_after[0] ? kept->not_after : NULL,
	};
	return true;
}

void leash_judge_accepted(const struct leash_conn *conn, const char *call, const char *how)
{
	struct leash_gate_tls tls;
	struct leash_gate gate;
	bool accepted;

	if (!leash_emit_wanted() || !leash_flight_facts(conn, &accepted) || !accepted ||
	    !leash_verify_facts(conn, &tls))
		return;
	leash_conn_gate(&gate, conn, call);
	if (leash_flight_name(conn)[0])
		gate.sni = leash_flight_name(conn);
	gate.tls = &tls;
	gate.detail = how;
	leash_gate_note(&gate);
}
