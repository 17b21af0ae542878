/* SPDX-License-Identifier: MIT */
/*
 * The certificate verifier, through the object that programs load. The chains are made by
 * tests/lab/pki_defects.sh, what becomes of each is in tests/data/pki/expected.tsv.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "verify_load.h"

#define NOW       "2026-06-01T00:00:00"
#define CASES_MAX 400

static const struct leash_verifier *verifier;
static char pki[64] = "/tmp/leash-verifier-XXXXXX";

static const char *const rule_text[LEASH_VERIFY_RULES] = {
	[LEASH_VERIFY_OK] = "ok",
	[LEASH_VERIFY_VALID] = "valid",
	[LEASH_VERIFY_TRUSTED] = "trusted",
	[LEASH_VERIFY_NAME] = "name",
	[LEASH_VERIFY_PERIOD] = "period",
	[LEASH_VERIFY_COMPLETE] = "complete",
	[LEASH_VERIFY_SELF_SIGNED] = "self-signed",
	[LEASH_VERIFY_TLS_VERSION] = "tls-version",
	[LEASH_VERIFY_STRENGTH] = "strength",
	[LEASH_VERIFY_SAN] = "san",
	[LEASH_VERIFY_EKU] = "eku",
	[LEASH_VERIFY_LIFETIME] = "lifetime",
	[LEASH_VERIFY_CIPHER] = "cipher",
	[LEASH_VERIFY_SHAPE] = "shape",
};

/* The columns of the table, as it has them. */
static const enum leash_verify_platform column[] = {LEASH_VERIFY_ANDROID, LEASH_VERIFY_IOS,
						    LEASH_VERIFY_DEVTOOLS, LEASH_VERIFY_STRICT};

struct row {
	char *name, *chain, *host, *now, *store, *session, *expected[4];
};

/* ---------------------------------------------------------------------- stores */

static const char *in_pki(const char *name)
{
	static char paths[4][192];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", pki, name);
	return paths[turn];
}

static void digest_from(const char *name, uint8_t ret[static 32])
{
	char *text = slurp(in_pki(name));

	assert_non_null(text);
	for (int i = 0; i < 32; i++) {
		unsigned int byte = 0;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		ret[i] = (uint8_t)byte;
	}
	free(text);
}

/* Never closed: each is opened once, and what the tests share is found by its name. */
static void *store_of(const char *name)
{
	static struct {
		char name[32];
		void *store;
	} kept[16];
	static size_t count;
	const char *extra = in_pki("root.crt");
	uint8_t digest[1][32];
	struct leash_verify_roots roots = {.trust_dir = in_pki("store")};
	char err[256] = "";

	for (size_t i = 0; i < count; i++) {
		if (strcmp(kept[i].name, name) == 0)
			return kept[i].store;
	}
	if (strncmp(name, "extra", 5) == 0) {
		roots.trust_dir = in_pki(strcmp(name, "extra") == 0 ? "store-old" : "store-empty");
		roots.extra_ca = &extra;
		roots.extra_ca_count = 1;
	} else if (strncmp(name, "distrust-", 9) == 0) {
		digest_from(strcmp(name, "distrust-root") == 0 ? "root.sha256" : "inter.sha256",
			    digest[0]);
		roots.distrust = (const uint8_t(*)[32])digest;
		roots.distrust_count = 1;
	} else if (strcmp(name, "-") != 0 && strcmp(name, "fresh") != 0) {
		roots.trust_dir = in_pki(name);
	}
	assert_true(count < 16);
	kept[count].store = verifier->open(&roots, err, sizeof(err));
	if (!kept[count].store)
		fail_msg("open %s: %s", name, err);
	snprintf(kept[count].name, sizeof(kept[count].name), "%s", name);
	return kept[count++].store;
}

static void load_chain(struct served *served, const char *name)
{
	char file[96], *text;

	snprintf(file, sizeof(file), "%s.pem", name);
	text = slurp(in_pki(file));
	if (!text)
		fail_msg("%s: not made", file);
	served->count = 0;
	served_add(served, text);
	free(text);
}

/* ----------------------------------------------------------------------- table */

static void aim(struct leash_verify_in *in, const struct row *row, uint8_t addr[static 16])
{
	const char *host = strcmp(row->host, "-") == 0 ? "api.example.com" : row->host;
	unsigned int version = 0, cipher = 0;

	in->now_s = time_of(strcmp(row->now, "-") == 0 ? NOW : row->now);
	if (inet_pton(AF_INET, host, addr) == 1)
		in->addr_len = 4;
	else if (inet_pton(AF_INET6, host, addr) == 1)
		in->addr_len = 16;
	else
		in->name = host;
	in->addr = addr;
	if (strcmp(row->session, "-") != 0)
		assert_true(sscanf(row->session, "%x/%x", &version, &cipher) >= 1);
	in->tls_version = (uint16_t)version;
	in->cipher = (uint16_t)cipher;
}

/* What holds for every result, whatever it is. */
static void check_shape(const struct leash_verify_in *in, const struct leash_verify_out *out)
{
	assert_true(out->rule < LEASH_VERIFY_RULES);
	assert_int_equal(out->code == 0, out->rule == LEASH_VERIFY_OK);
	assert_int_equal(out->code == 0, out->sentence[0] == '\0');
	assert_true(out->depth < (out->chain_len ? out->chain_len : 1));
	if (out->code == 0) {
		for (int i = 0; i < LEASH_VERIFY_RULES; i++)
			assert_true(out->rules[i] <= 0);
		assert_true(out->chain_len >= 2);
	} else {
		assert_int_equal(out->rules[out->rule], out->code);
		/* the way to mend it stands behind a colon */
		assert_true(strchr(out->sentence, ':') || !in->leaf.len);
	}
}

static void check_row(void **state)
{
	const struct row *row = *state;
	struct served served;
	struct leash_verify_in in;
	struct leash_verify_out out;
	uint8_t addr[16];

	load_chain(&served, row->chain);
	in = served_in(&served);
	aim(&in, row, addr);
	for (size_t i = 0; i < 4; i++) {
		char got[64] = "0";
		int code;

		in.platform = column[i];
		memset(&out, 0xa5, sizeof(out));
		code = verifier->verify(store_of(row->store), &in, &out);
		assert_int_equal(code, out.code);
		if (out.code)
			snprintf(got, sizeof(got), "%d:%s", out.code, rule_text[out.rule]);
		if (strcmp(got, row->expected[i]) != 0)
			fail_msg("%s, column %zu: %s instead of %s (%s)", row->name, i + 1, got,
				 row->expected[i], out.sentence);
		check_shape(&in, &out);
	}
	served_free(&served);
}

static bool split(char *line, struct row *ret)
{
	char **field[] = {&ret->name,        &ret->chain,      &ret->host,        &ret->now,
			  &ret->store,       &ret->session,    &ret->expected[0], &ret->expected[1],
			  &ret->expected[2], &ret->expected[3]};

	for (size_t i = 0; i < 10; i++) {
		*field[i] = strsep(&line, "\t");
		if (!*field[i])
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------- by itself */

static int judge(const char *chain, const char *store, enum leash_verify_platform platform,
		 const char *host, enum leash_verify_rule about, struct leash_verify_out *out)
{
	struct served served;
	struct leash_verify_in in;
	int code;

	load_chain(&served, chain);
	in = served_in(&served);
	in.name = host;
	in.platform = platform;
	in.now_s = time_of(NOW);
	in.about = about;
	code = verifier->verify(store_of(store), &in, out);
	served_free(&served);
	return code;
}

static void test_table(void **state)
{
	(void)state;
	assert_int_equal(verifier->abi, LEASH_VERIFIER_ABI);
	assert_int_equal(verifier->in_size, sizeof(struct leash_verify_in));
	assert_int_equal(verifier->out_size, sizeof(struct leash_verify_out));
	assert_string_equal(verifier->code_text(0), "OK");
	assert_string_equal(verifier->code_text(10), "CERT_HAS_EXPIRED");
	assert_string_equal(verifier->code_text(62), "HOSTNAME_MISMATCH");
	assert_string_equal(verifier->code_text(-1), "UNKNOWN");
	assert_string_equal(verifier->code_text(INT_MAX), "UNKNOWN");
}

static void read_command(const char *command, char *buf, size_t size)
{
	FILE *pipe = popen(command, "re");
	size_t len;

	assert_non_null(pipe);
	len = fread(buf, 1, size - 1, pipe);
	buf[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
}

/* A program's own OpenSSL must neither be needed nor be met. */
static void test_object(void **state)
{
	char command[PATH_MAX + 128], text[4096];

	(void)state;
	snprintf(command, sizeof(command), "LC_ALL=C readelf -d '%s' | grep NEEDED",
		 verifier_path());
	read_command(command, text, sizeof(text));
	assert_null(strstr(text, "libcrypto"));
	assert_null(strstr(text, "libssl"));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_non_null(strstr(text, "[libc.so.6]"));
	assert_null(strchr(strstr(text, "NEEDED") + 1, 'N')
			    ? strstr(strstr(text, "NEEDED") + 1, "NEEDED")
			    : NULL);
	snprintf(command, sizeof(command), "LC_ALL=C nm -D --defined-only '%s' | awk '{print $NF}'",
		 verifier_path());
	read_command(command, text, sizeof(text));
	assert_string_equal(text, LEASH_VERIFIER_ENTRY "\n");
	snprintf(command, sizeof(command),
		 "LC_ALL=C nm -D -u '%s' | grep -c getenv || :", verifier_path());
	read_command(command, text, sizeof(text));
	assert_string_equal(text, "0\n");
#endif
}

static void test_several_faults(void **state)
{
	struct leash_verify_out out;

	(void)state;
	/* Every rule for itself, the first decides, and each can be asked about. */
	assert_int_equal(
		judge("leaf-expired", "-", LEASH_VERIFY_ANDROID, "other.example.com", 0, &out), 62);
	assert_int_equal(out.rules[LEASH_VERIFY_NAME], 62);
	assert_int_equal(out.rules[LEASH_VERIFY_PERIOD], 10);
	assert_int_equal(out.rules[LEASH_VERIFY_TRUSTED], 0);
	assert_int_equal(out.rules[LEASH_VERIFY_TLS_VERSION], -1);
	assert_non_null(strstr(out.sentence, "api.example.com"));
	assert_non_null(strstr(out.sentence, "other.example.com"));
	assert_int_equal(judge("leaf-expired", "-", LEASH_VERIFY_ANDROID, "other.example.com",
			       LEASH_VERIFY_PERIOD, &out),
			 62);
	assert_int_equal(out.rule, LEASH_VERIFY_PERIOD);
	assert_non_null(strstr(out.sentence, "2026-05-30T00:00:00Z"));
	/* Asking about a rule that holds hides nothing. */
	assert_int_equal(judge("leaf-expired", "-", LEASH_VERIFY_ANDROID, "other.example.com",
			       LEASH_VERIFY_EKU, &out),
			 62);
	assert_int_equal(out.rule, LEASH_VERIFY_NAME);
	assert_int_equal(judge("good", "-", LEASH_VERIFY_STRICT, "api.example.com",
			       LEASH_VERIFY_RULES, &out),
			 0);
}

static void test_sentences(void **state)
{
	struct leash_verify_out out;

	(void)state;
	judge("leaf-only", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out);
	assert_non_null(strstr(out.sentence, "sends only the leaf"));
	assert_non_null(strstr(out.sentence, "Test Intermediate"));
	assert_non_null(strstr(out.sentence, "install fullchain"));
	assert_int_equal(out.rules[LEASH_VERIFY_TRUSTED], -1);
	judge("leaf-only", "store-inter", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out);
	assert_non_null(
		strstr(out.sentence, "does not send the intermediate \"Test Intermediate\""));
	judge("long-gap", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out);
	assert_non_null(strstr(out.sentence, "Long 5"));
	judge("inter-expired", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out);
	assert_int_equal(out.depth, 1);
	assert_string_equal(out.subject, "CN=Test Intermediate,O=Test");
	assert_string_equal(out.issuer, "CN=Test Root,O=Test");
	assert_string_equal(out.not_after, "2026-07-29T23:59:59Z");
	judge("days-398-1s", "-", LEASH_VERIFY_IOS, "api.example.com", 0, &out);
	assert_non_null(strstr(out.sentence, "398 days"));
	assert_true(out.preinstalled);
	judge("days-398-1s", "extra", LEASH_VERIFY_IOS, "api.example.com", 0, &out);
	assert_false(out.preinstalled);
}

static void test_digest_of_leaf(void **state)
{
	struct leash_verify_out out;
	struct leash_cert_facts facts;
	struct served served;

	(void)state;
	load_chain(&served, "good");
	judge("good", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out);
	assert_int_equal(verifier->describe(&served.certs[0], &facts), 0);
	assert_memory_equal(out.leaf_sha256, facts.sha256, 32);
	assert_string_equal(facts.subject, "CN=api.example.com");
	assert_string_equal(facts.issuer, "CN=Test Intermediate,O=Test");
	assert_string_equal(facts.key, "EC 256 prime256v1");
	assert_string_equal(facts.signature, "ecdsa-with-SHA256");
	assert_string_equal(facts.not_before, "2026-05-01T00:00:00Z");
	assert_int_equal(facts.not_after_s - facts.not_before_s, 90 * 86400 - 1);
	assert_false(facts.self_signed);
	served.certs[0].len--;
	assert_int_equal(verifier->describe(&served.certs[0], &facts), -EBADMSG);
	assert_string_equal(facts.subject, "CN=api.example.com");
	served_free(&served);
}

/* Without a name, an address or a platform there is nothing to agree with. */
static void test_nothing_asked(void **state)
{
	struct leash_verify_out out;

	(void)state;
	assert_int_equal(judge("good", "-", LEASH_VERIFY_ANDROID, NULL, 0, &out), 64);
	assert_int_equal(judge("good", "-", LEASH_VERIFY_ANDROID, "", 0, &out), 62);
	assert_int_equal(judge("good", "-", LEASH_VERIFY_ANDROID, ".example.com", 0, &out), 62);
	assert_int_equal(judge("good", "-", LEASH_VERIFY_PLATFORMS, "api.example.com", 0, &out),
			 50);
	assert_string_equal(out.sentence, "no such platform");
}

static void test_bad_roots(void **state)
{
	static const struct {
		const char *label, *dir, *extra, *says;
	} rows[] = {
		{"no such directory", "nowhere", NULL, "No such file"},
		{"not hashed", "", NULL, "openssl rehash"},
		{"no such file", "store", "nothing.pem", "No such file"},
		{"no certificate", "store", "root.sha256", "no certificate in it"},
		{"no root", "store", "inter.crt", "no root in it"},
		{"a directory", "store", "store", "nvalid argument"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *extra = rows[i].extra ? in_pki(rows[i].extra) : NULL;
		const struct leash_verify_roots roots = {.trust_dir = in_pki(rows[i].dir),
							 .extra_ca = &extra,
							 .extra_ca_count = extra ? 1 : 0};
		char err[256] = "";

		assert_null(verifier->open(&roots, err, sizeof(err)));
		if (!strstr(err, rows[i].says))
			fail_msg("%s: \"%s\"", rows[i].label, err);
	}
}

/* The program's environment belongs to the program. */
static void test_environment(void **state)
{
	struct leash_verify_out out;
	pid_t child;
	int status;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char env[4][160];

		snprintf(env[0], sizeof(env[0]), "SSL_CERT_DIR=%s", in_pki("store-empty"));
		snprintf(env[1], sizeof(env[1]), "SSL_CERT_FILE=%s", in_pki("other.crt"));
		snprintf(env[2], sizeof(env[2]), "OPENSSL_CONF=%s", in_pki("good.pem"));
		snprintf(env[3], sizeof(env[3]), "OPENSSL_MODULES=%s", pki);
		execle("/proc/self/exe", "test_verifier", "--environment", pki, (char *)NULL,
		       (char *const[]){env[0], env[1], env[2], env[3], NULL});
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)out;
}

/* In the child: good is good, and what SSL_CERT_FILE names is not trusted. */
static int with_environment(const char *dir)
{
	struct leash_verify_out out;

	snprintf(pki, sizeof(pki), "%s", dir);
	verifier = verifier_load();
	if (judge("good", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out) != 0)
		return 1;
	return judge("unknown-root-sent", "-", LEASH_VERIFY_ANDROID, "api.example.com", 0, &out) ==
			       19
		       ? 0
		       : 2;
}

struct worker {
	pthread_t thread;
	void *store;
	const struct served *good, *bad;
	int wrong;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < 200; i++) {
		struct leash_verify_in in = served_in(i % 2 ? worker->good : worker->bad);
		struct leash_verify_out out;

		in.name = "api.example.com";
		in.now_s = time_of(NOW);
		in.platform = (enum leash_verify_platform)(i % LEASH_VERIFY_PLATFORMS);
		if (verifier->verify(worker->store, &in, &out) != (i % 2 ? 0 : 20))
			worker->wrong++;
	}
	return NULL;
}

static void test_threads(void **state)
{
	const struct leash_verify_roots roots = {.trust_dir = in_pki("store")};
	struct worker workers[8] = {0};
	struct served good, bad;
	char err[256];
	void *store = verifier->open(&roots, err, sizeof(err));

	(void)state;
	assert_non_null(store);
	load_chain(&good, "good");
	load_chain(&bad, "leaf-only");
	/* A fresh store: the first look-ups happen at the same time. */
	for (size_t i = 0; i < 8; i++) {
		workers[i].store = store;
		workers[i].good = &good;
		workers[i].bad = &bad;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	verifier->close(store);
	served_free(&good);
	served_free(&bad);
}

/* A file must be closed and never inherited; errno is the program's. */
static void test_leaves_no_trace(void **state)
{
	const struct leash_verify_roots roots = {.trust_dir = in_pki("store")};
	struct leash_verify_in in;
	struct leash_verify_out out;
	struct served served;
	char err[256];
	void *store;
	int before = dup(0), after;

	(void)state;
	close(before);
	load_chain(&served, "days-398-1s");
	in = served_in(&served);
	in.name = "api.example.com";
	in.now_s = time_of(NOW);
	store = verifier->open(&roots, err, sizeof(err));
	assert_non_null(store);
	errno = 12345;
	verifier->verify(store, &in, &out);
	assert_int_equal(errno, 12345);
	verifier->close(store);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	served_free(&served);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What was accepted is kept for as long as the chain is in date; a refusal is not kept. A store of
 * its own: there is room in it. */
static void test_cache(void **state)
{
	struct leash_verify_in in;
	struct leash_verify_out out;
	struct served served;
	static const struct {
		const char *now;
		int code;
	} rows[] = {
		{NOW, 0},
		{NOW, 0},
		{"2026-07-29T23:59:58", 0},
		{"2026-07-29T23:59:59", 10},
		{"2026-04-30T23:59:59", 9},
		{"2026-05-01T00:00:00", 0},
		{NOW, 0},
	};

	(void)state;
	load_chain(&served, "good");
	in = served_in(&served);
	in.name = "api.example.com";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		in.now_s = time_of(rows[i].now);
		assert_int_equal(verifier->verify(store_of("fresh"), &in, &out), rows[i].code);
	}
	in.now_s = time_of(NOW);
	in.name = "other.example.com";
	assert_int_equal(verifier->verify(store_of("fresh"), &in, &out), 62);
	in.name = "api.example.com";
	in.other_count = 0;
	assert_int_equal(verifier->verify(store_of("fresh"), &in, &out), 20);
	in.other_count = 1;
	in.tls_version = 0x0302;
	assert_int_equal(verifier->verify(store_of("fresh"), &in, &out), 50);
	served_free(&served);
	assert_int_equal(judge("no-eku", "fresh", LEASH_VERIFY_IOS, "other.example.com", 0, &out),
			 62);
	assert_int_equal(out.rule, LEASH_VERIFY_NAME);
	assert_int_equal(judge("no-eku", "fresh", LEASH_VERIFY_IOS, "other.example.com",
			       LEASH_VERIFY_EKU, &out),
			 62);
	assert_int_equal(out.rule, LEASH_VERIFY_EKU);
}

/* The budget of a handshake: 0.3 ms with a warm store. The least of many is not a matter of load.
 */
static void test_cost(void **state)
{
	struct leash_verify_in in;
	struct leash_verify_out out;
	struct served served;
	int64_t least[2] = {INT64_MAX, INT64_MAX};

	(void)state;
	load_chain(&served, "good");
	in = served_in(&served);
	in.name = "api.example.com";
	in.now_s = time_of(NOW);
	/* As often as not in a way that was not asked before: then the signatures are verified. */
	for (int i = 0; i < 200; i++) {
		int64_t start, took;

		in.cipher = (uint16_t)(i % 2 ? i : 0);
		start = now_ns();
		assert_int_equal(verifier->verify(store_of("-"), &in, &out), 0);
		took = now_ns() - start;
		least[i % 2] = took < least[i % 2] ? took : least[i % 2];
	}
	print_message("one verification: %ld us, of the same again: %ld us\n",
		      (long)(least[1] / 1000), (long)(least[0] / 1000));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
	assert_true(least[1] < 300000);
	assert_true(least[0] < 50000);
#endif
	served_free(&served);
}

/* ----------------------------------------------------------------------- probe */

static int poll_one(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, timeout_ms);
}

static const struct leash_verify_calls calls = {
	.socket = socket,
	.connect = connect,
	.send = send,
	.recv = recv,
	.close = close,
	.poll_fd = poll_one,
};

struct server {
	pid_t pid;
	struct sockaddr_in addr;
};

/* A free port of the loopback interface: asked for, given back, and taken by the server. */
static struct sockaddr_in free_port(int *ret_fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return addr;
}

static struct server serve(const char *const args[])
{
	struct server server = {.addr = free_port(NULL)};
	const char *argv[32] = {"openssl", "s_server", "-quiet", "-accept"};
	char port[32];
	size_t argc = 5;

	snprintf(port, sizeof(port), "127.0.0.1:%u", ntohs(server.addr.sin_port));
	argv[4] = port;
	while (*args)
		argv[argc++] = *args++;
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp("openssl", (char *const *)argv);
		_exit(127);
	}
	/* It listens once a connection is taken. */
	for (int i = 0; i < 500; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int up = connect(fd, (struct sockaddr *)&server.addr, sizeof(server.addr));

		close(fd);
		if (up == 0)
			return server;
		poll(NULL, 0, 10);
	}
	fail_msg("s_server does not listen");
	return server;
}

static void stop(const struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

static int probe(const struct sockaddr_in *addr, uint16_t min, uint16_t max, int timeout_ms,
		 struct leash_probe_out *out)
{
	const struct leash_probe_in in = {
		.addr = (const struct sockaddr *)addr,
		.addr_len = sizeof(*addr),
		.sni = "api.example.com",
		.timeout_ms = timeout_ms,
		.min_version = min,
		.max_version = max,
	};

	return verifier->probe(&calls, &in, out);
}

static void test_probe(void **state)
{
	const char *const args[] = {"-cert",
				    in_pki("good.crt"),
				    "-key",
				    in_pki("leaf.key"),
				    "-cert_chain",
				    in_pki("inter.crt"),
				    "-cipher",
				    "ALL:@SECLEVEL=0",
				    "-min_protocol",
				    "TLSv1",
				    NULL};
	struct server server = serve(args);
	struct leash_probe_out out;
	struct served served;

	(void)state;
	load_chain(&served, "good");
	assert_int_equal(probe(&server.addr, 0, 0, 5000, &out), 0);
	assert_true(out.handshake_reached);
	assert_int_equal(out.version, 0x0304);
	assert_true(out.cipher >= 0x1301 && out.cipher <= 0x1303);
	assert_int_equal(out.cert_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(out.certs[i].len, served.certs[i].len);
		assert_memory_equal(out.certs[i].bytes, served.certs[i].bytes, served.certs[i].len);
	}
	verifier->release(&out);
	assert_null(out.store);
	for (uint16_t version = 0x0301; version <= 0x0304; version++) {
		assert_int_equal(probe(&server.addr, version, version, 5000, &out), 0);
		assert_int_equal(out.version, version);
		assert_int_equal(out.cert_count, 2);
		verifier->release(&out);
	}
	stop(&server);
	served_free(&served);
}

/* A server that wants a client certificate shows its own before it says no. */
static void test_probe_mutual(void **state)
{
	static const struct {
		const char *version;
		uint16_t number;
	} rows[] = {{"-tls1_2", 0x0303}, {"-tls1_3", 0x0304}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *const args[] = {"-cert",
					    in_pki("good.crt"),
					    "-key",
					    in_pki("leaf.key"),
					    "-Verify",
					    "1",
					    "-verify_return_error",
					    rows[i].version,
					    NULL};
		struct server server = serve(args);
		struct leash_probe_out out;

		assert_int_equal(probe(&server.addr, 0, 0, 5000, &out), 0);
		assert_int_equal(out.version, rows[i].number);
		assert_int_equal(out.cert_count, 1);
		verifier->release(&out);
		stop(&server);
	}
}

/* A weak certificate is shown; one whose key was not proved to be there is none. */
static void test_probe_weak(void **state)
{
	const char *const weak[] = {
		"-cert",   in_pki("key-rsa1024.crt"), "-key",    in_pki("rsa1024.key"),
		"-cipher", "ALL:@SECLEVEL=0",         "-tls1_2", NULL};
	const char *const unproved[] = {"-cert",   in_pki("key-rsa2048.crt"),
					"-key",    in_pki("rsa2048.key"),
					"-cipher", "AES128-SHA",
					"-tls1_2", "-Verify",
					"1",       "-verify_return_error",
					NULL};
	struct server server = serve(weak);
	struct leash_probe_out out;

	(void)state;
	assert_int_equal(probe(&server.addr, 0, 0, 5000, &out), 0);
	assert_int_equal(out.cert_count, 1);
	verifier->release(&out);
	stop(&server);
	server = serve(unproved);
	assert_int_equal(probe(&server.addr, 0, 0, 5000, &out), -EPROTO);
	assert_int_equal(out.cert_count, 0);
	assert_false(out.handshake_reached);
	stop(&server);
}

static void test_probe_failures(void **state)
{
	const char *const args[] = {
		"-cert", in_pki("good.crt"), "-key", in_pki("leaf.key"), "-tls1_3", NULL};
	const char *const anonymous[] = {"-nocert", "-tls1_2", "-cipher", "aNULL:@SECLEVEL=0",
					 NULL};
	struct server server = serve(args);
	struct leash_probe_out out;
	struct sockaddr_in addr;
	int64_t start;
	int fd;

	(void)state;
	/* a version that the server has not */
	assert_int_equal(probe(&server.addr, 0x0302, 0x0302, 5000, &out), -EPROTO);
	assert_false(out.handshake_reached);
	assert_int_equal(out.error, 0);
	assert_string_equal(out.alert, "alert 70, protocol version");
	assert_null(out.store);
	stop(&server);
	/* no certificate at all */
	server = serve(anonymous);
	assert_int_equal(probe(&server.addr, 0, 0, 5000, &out), -EPROTO);
	assert_int_equal(out.cert_count, 0);
	stop(&server);
	/* nobody there */
	addr = free_port(NULL);
	assert_int_equal(probe(&addr, 0, 0, 5000, &out), -ECONNREFUSED);
	assert_int_equal(out.error, ECONNREFUSED);
	/* accepted by the kernel, and nobody answers */
	addr = free_port(&fd);
	assert_int_equal(listen(fd, 4), 0);
	start = now_ns();
	assert_int_equal(probe(&addr, 0, 0, 150, &out), -ETIMEDOUT);
	assert_true(now_ns() - start >= 150000000);
	assert_true(now_ns() - start < 5000000000);
	/* closed at once, and something else than TLS */
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();

		if (child == 0) {
			int peer = accept(fd, NULL, NULL), peer2;

			/* the one that timed out is still first in the queue */
			peer2 = accept(fd, NULL, NULL);
			if (i == 1)
				send(peer2, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
			shutdown(peer2, SHUT_WR);
			recv(peer2, &peer, sizeof(peer), MSG_WAITALL);
			_exit(0);
		}
		assert_true(child > 0);
		if (i == 1) {
			int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

			connect(first, (struct sockaddr *)&addr, sizeof(addr));
			close(first);
		}
		assert_true(probe(&addr, 0, 0, 5000, &out) < 0);
		assert_false(out.handshake_reached);
		assert_true(out.alert[0] != '\0');
		if (i == 1)
			assert_int_equal(out.error, 0);
		waitpid(child, NULL, 0);
	}
	close(fd);
}

/* ------------------------------------------------------------------------ main */

static int make_pki(void **state)
{
	const char *data = getenv("LEASH_TEST_DATA");
	char command[512];

	(void)state;
	if (!mkdtemp(pki))
		return -1;
	snprintf(command, sizeof(command), "'%s/../lab/pki_defects.sh' %s",
		 data ? data : "tests/data", pki);
	return system(command);
}

static int remove_pki(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", pki);
	return system(command);
}

int main(int argc, char *argv[])
{
	static struct CMUnitTest tests[CASES_MAX];
	static struct row rows[CASES_MAX];
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_table),          cmocka_unit_test(test_object),
		cmocka_unit_test(test_several_faults), cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_digest_of_leaf), cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_bad_roots),      cmocka_unit_test(test_environment),
		cmocka_unit_test(test_threads),        cmocka_unit_test(test_leaves_no_trace),
		cmocka_unit_test(test_cache),          cmocka_unit_test(test_cost),
		cmocka_unit_test(test_probe),          cmocka_unit_test(test_probe_mutual),
		cmocka_unit_test(test_probe_weak),     cmocka_unit_test(test_probe_failures),
	};
	const char *data = getenv("LEASH_TEST_DATA");
	char path[512], *text, *line;
	size_t count = 0;

	if (argc == 3 && strcmp(argv[1], "--environment") == 0)
		return with_environment(argv[2]);
	verifier = verifier_load();
	snprintf(path, sizeof(path), "%s/pki/expected.tsv", data ? data : "tests/data");
	text = slurp(path);
	if (!text) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (char *rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		if (!line[0] || line[0] == '#')
			continue;
		if (count == CASES_MAX || !split(line, &rows[count])) {
			fprintf(stderr, "%s: row %zu, %s: too many, or too few fields\n", path,
				count + 1, line);
			return 1;
		}
		tests[count] = (struct CMUnitTest){.name = rows[count].name,
						   .test_func = check_row,
						   .initial_state = &rows[count]};
		count++;
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && count < CASES_MAX; i++)
		tests[count++] = fixed[i];
	argc = _cmocka_run_group_tests("test_verifier", tests, count, make_pki, remove_pki);
	free(text);
	return argc;
}
