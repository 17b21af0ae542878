/* SPDX-License-Identifier: MIT */
/*
 * netleash cert: a server's certificate against each requirement of each platform.
 *
 * The verifier is the object that programs on the leash use, opened from beside this command, so
 * that the table says what they would meet. A handshake that a client makes shows the chain; four
 * more, with one version each, show what the server offers.
 */
#include "shim/launch/launch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/tls/verifier/verifier.h"

#define FILE_MAX      (4u << 20)
#define ADDRESSES_MAX 8  /* of a name; the first that answers is taken */
#define TIMEOUT_S     10 /* of one handshake, --timeout */
#define SOON_DAYS     14
#define DAY_S         86400
#define VERSION_COUNT 4
#define VERSION_FIRST 0x0301

enum { OPTION_PLATFORM = 256, OPTION_JSON, OPTION_FILE, OPTION_HOST, OPTION_TIMEOUT };

static const struct option options[] = {
	{"policy", required_argument, NULL, 'p'},
	{"platform", required_argument, NULL, OPTION_PLATFORM},
	{"file", required_argument, NULL, OPTION_FILE},
	{"host", required_argument, NULL, OPTION_HOST},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"json", no_argument, NULL, OPTION_JSON},
	LEASH_OPTIONS_COMMON,
};

/* Rows and columns, in the order in which they are shown. */
static const struct {
	enum leash_verify_rule rule;
	const char *label, *key;
} rows[] = {
	{LEASH_VERIFY_VALID, "certificate valid", "valid"},
	{LEASH_VERIFY_TRUSTED, "trusted root", "trusted"},
	{LEASH_VERIFY_NAME, "name matches", "name"},
	{LEASH_VERIFY_PERIOD, "in its validity period", "period"},
	{LEASH_VERIFY_COMPLETE, "chain complete as served", "complete"},
	{LEASH_VERIFY_SELF_SIGNED, "not self-signed", "selfSigned"},
	{LEASH_VERIFY_TLS_VERSION, "TLS 1.2 or newer", "tlsVersion"},
	{LEASH_VERIFY_STRENGTH, "key and signature strength", "strength"},
	{LEASH_VERIFY_SAN, "subjectAltName", "subjectAltName"},
	{LEASH_VERIFY_EKU, "extended key usage", "extendedKeyUsage"},
	{LEASH_VERIFY_LIFETIME, "lifetime", "lifetime"},
	{LEASH_VERIFY_CIPHER, "forward secrecy", "forwardSecrecy"},
	{LEASH_VERIFY_SHAPE, "form (RFC 5280)", "form"},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const enum leash_verify_platform columns[] = {LEASH_VERIFY_IOS, LEASH_VERIFY_ANDROID,
						     LEASH_VERIFY_DEVTOOLS, LEASH_VERIFY_STRICT};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

/* What public CAs may issue (Baseline Requirements 6.3.2, ballot SC-081): a warning, no rule. */
static const struct {
	int64_t from_s;
	int days;
	const char *text;
} ca_rules[] = {
	{1868227200, 47, "2029-03-15"},
	{1805068800, 100, "2027-03-15"},
	{1773532800, 200, "2026-03-15"},
};

struct wish {
	struct leash_compile_options compile;
	char *file;
	const char *host;
	unsigned int shown, chosen; /* bits by enum leash_verify_platform */
	int timeout_ms;
	bool json;
};

struct target {
	char name[LEASH_NAME_SIZE]; /* normal form; "" for an address */
	struct leash_addr addr;     /* .family 0: a name */
	uint16_t port;
};

/* What was seen of a server, or read from a file. */
struct seen {
	char address[LEASH_ADDR_TEXT_SIZE + 16]; /* "" for a file */
	struct leash_probe_out probe;            /* the chain that is judged */
	struct leash_der others[LEASH_CHAIN_MAX];
	bool has_versions, version[VERSION_COUNT]; /* TLS 1.0 … 1.3 */
	char trouble[LEASH_VERIFY_TEXT];           /* why there is no certificate */
};

struct verdicts {
	struct leash_verify_out out[LEASH_VERIFY_PLATFORMS];
	char warnings[4][LEASH_VERIFY_TEXT];
	size_t warning_count;
	bool ca_rule; /* the first of the warnings is one of the CAs' */
	bool pass;
};

struct work {
	const struct leash_command *self;
	const struct wish *wish;
	const struct leash_verifier *verifier;
	void *store;
	int64_t now_s;
};

/* ---------------------------------------------------------------- what is asked */

static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
	unsigned int port = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || len > 5)
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* "HOST", "HOST:PORT", "[V6]:PORT", "V6", also behind https:// or wss://. NULL, or what is wrong */
static const char *parse_target(const char *text, struct target *target)
{
	const char *colon;
	size_t len;
	int ret;

	memset(target, 0, sizeof(*target));
	target->port = 443;
	if (strncasecmp(text, "https://", 8) == 0)
		text += 8;
	else if (strncasecmp(text, "wss://", 6) == 0)
		text += 6;
	len = strcspn(text, "/?#");
	colon = memrchr(text, ':', len);
	if (colon && !leash_addr_parse(text, len, &target->addr)) {
		if (!parse_port(colon + 1, (size_t)(text + len - colon - 1), &target->port))
			return "a port is a number from 1 to 65535";
		len = (size_t)(colon - text);
	}
	if (len == 0)
		return "there is no host in it";
	if (leash_addr_parse(text, len, &target->addr))
		return NULL;
	ret = leash_compile_name(text, len, target->name);
	if (ret < 0)
		return ret == -EILSEQ ? "the name is no valid internationalised name"
				      : "that is neither a host name nor an address";
	return NULL;
}

/* ----------------------------------------------------------------- the verifier */

static const struct leash_verifier *load(void)
{
	char path[PATH_MAX + sizeof(LEASH_VERIFIER_NAME)], *slash;
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	leash_verifier_entry_fn *entry = NULL;
	const struct leash_verifier *verifier;
	void *object;

	path[len > 0 ? len : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash) {
		leash_say("/proc/self/exe cannot be read: where " LEASH_VERIFIER_NAME " is, is not "
			  "known");
		return NULL;
	}
	strcpy(slash + 1, LEASH_VERIFIER_NAME);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (object)
		*(void **)&entry = dlsym(object, LEASH_VERIFIER_ENTRY);
	if (!entry) {
		leash_say("the certificate verifier cannot be loaded: %s", dlerror());
		return NULL;
	}
	verifier = entry();
	if (!verifier || verifier->abi != LEASH_VERIFIER_ABI ||
	    verifier->in_size != sizeof(struct leash_verify_in) ||
	    verifier->out_size != sizeof(struct leash_verify_out)) {
		leash_say("%s is of another version than this command: install them together",
			  path);
		return NULL;
	}
	return verifier;
}

static void *open_store(const struct leash_verifier *verifier, const struct leash_image *image)
{
	struct leash_verify_roots roots = {.trust_dir = ""};
	const char **extra = NULL;
	uint8_t(*distrust)[32] = NULL;
	char err[512];
	void *store;

	if (image) {
		roots.trust_dir = leash_image_trust_dir(image);
		roots.extra_ca_count = leash_image_extra_ca_count(image);
		roots.distrust_count = leash_image_distrust_count(image);
		extra = calloc(roots.extra_ca_count + 1, sizeof(*extra));
		distrust = calloc(roots.distrust_count + 1, sizeof(*distrust));
		if (!extra || !distrust)
			roots.extra_ca_count = roots.distrust_count = 0;
		for (uint32_t i = 0; i < roots.extra_ca_count; i++)
			extra[i] = leash_image_extra_ca(image, i);
		for (uint32_t i = 0; i < roots.distrust_count; i++)
			memcpy(distrust[i], leash_image_distrust(image, i), 32);
		roots.extra_ca = extra;
		roots.distrust = (const uint8_t(*)[32])distrust;
	}
	snprintf(err, sizeof(err), "%s", strerror(ENOMEM));
	store = image && (!extra || !distrust) ? NULL : verifier->open(&roots, err, sizeof(err));
	if (!store)
		leash_say("%s", err);
	free(extra);
	free(distrust);
	return store;
}

/* -------------------------------------------------------------------- a server */

static int poll_fd(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, timeout_ms);
}

static int probe(const struct work *work, const struct addrinfo *at, const struct target *target,
		 uint16_t version, struct leash_probe_out *out)
{
	static const struct leash_verify_calls calls = {
		.socket = socket,
		.connect = connect,
		.send = send,
		.recv = recv,
		.close = close,
		.poll_fd = poll_fd,
	};
	const struct leash_probe_in in = {
		.addr = at->ai_addr,
		.addr_len = at->ai_addrlen,
		.sni = target->name[0] ? target->name : NULL,
		.timeout_ms = work->wish->timeout_ms,
		.min_version = version,
		.max_version = version,
	};

	return work->verifier->probe(&calls, &in, out);
}

static void tell_trouble(const struct work *work, int error, struct seen *seen)
{
	if (error == -ETIMEDOUT)
		snprintf(seen->trouble, sizeof(seen->trouble),
			 "%s: no answer within %d s: is the port right, does a firewall drop it?",
			 seen->address, work->wish->timeout_ms / 1000);
	else if (seen->probe.alert[0])
		snprintf(seen->trouble, sizeof(seen->trouble), "%s: no TLS handshake: %s",
			 seen->address, seen->probe.alert);
	else
		snprintf(seen->trouble, sizeof(seen->trouble), "%s: %s", seen->address,
			 strerror(-error));
}

/* One version at a time. A server too old for the handshake of a client still shows its chain. */
static void try_versions(const struct work *work, const struct addrinfo *at,
			 const struct target *target, struct seen *seen)
{
	seen->has_versions = true;
	for (int i = VERSION_COUNT - 1; i >= 0; i--) {
		uint16_t version = (uint16_t)(VERSION_FIRST + i);
		struct leash_probe_out out;

		if (seen->probe.handshake_reached && seen->probe.version == version) {
			seen->version[i] = true;
			continue;
		}
		seen->version[i] = probe(work, at, target, version, &out) == 0;
		if (seen->version[i] && !seen->probe.handshake_reached)
			seen->probe = out;
		else
			work->verifier->release(&out);
	}
}

static bool look_at(const struct work *work, const struct addrinfo *at, const struct target *target,
		    struct seen *seen)
{
	char host[LEASH_ADDR_TEXT_SIZE];
	int error = getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof(host), NULL, 0,
				NI_NUMERICHOST);

	snprintf(seen->address, sizeof(seen->address),
		 at->ai_family == AF_INET6 ? "[%s]:%u" : "%s:%u", error ? "?" : host, target->port);
	error = probe(work, at, target, 0, &seen->probe);
	if (error < 0 && error != -EPROTO) {
		tell_trouble(work, error, seen);
		return false;
	}
	if (error < 0)
		tell_trouble(work, error, seen);
	try_versions(work, at, target, seen);
	if (seen->probe.handshake_reached)
		seen->trouble[0] = '\0';
	return true;
}

static void visit(const struct work *work, const struct target *target, struct seen *seen)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (target->name[0] ? 0 : AI_NUMERICHOST),
	};
	char host[LEASH_ADDR_TEXT_SIZE], port[8];
	struct addrinfo *list;
	int error, tried = 0;

	snprintf(port, sizeof(port), "%u", target->port);
	if (!target->name[0])
		leash_addr_text(&target->addr, host);
	error = getaddrinfo(target->name[0] ? target->name : host, port, &hints, &list);
	if (error) {
		snprintf(seen->trouble, sizeof(seen->trouble), "the name cannot be resolved: %s",
			 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return;
	}
	for (const struct addrinfo *at = list; at && tried < ADDRESSES_MAX; at = at->ai_next) {
		tried++;
		if (look_at(work, at, target, seen))
			break;
	}
	freeaddrinfo(list);
}

/* ---------------------------------------------------------------------- a file */

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 7468: decodes in place of the text, which is longer. -EBADMSG: not base64 */
static int decode(const char *text, const char *end, uint8_t *to, size_t *ret_len)
{
	uint32_t bits = 0;
	size_t len = 0;
	int have = 0, padding = 0;

	for (; text < end; text++) {
		int digit = digit_of(*text);

		if (*text == '=') {
			padding++;
			continue;
		}
		if (digit < 0 && strchr(" \t\r\n", *text))
			continue;
		if (digit < 0 || padding)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[len++] = (uint8_t)(bits >> have);
		}
	}
	*ret_len = len;
	return len && padding <= 2 ? 0 : -EBADMSG;
}

static int read_all(const char *path, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	char *text = malloc(FILE_MAX + 1);
	size_t len = 0;

	if (fd < 0 || !text)
		error = fd < 0 ? -errno : -ENOMEM;
	while (!error && len <= FILE_MAX) {
		ssize_t n = read(fd, text + len, FILE_MAX + 1 - len);

		if (n < 0 && errno != EINTR)
			error = -errno;
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	if (!error && len > FILE_MAX)
		error = -EFBIG;
	if (fd >= 0)
		close(fd);
	if (error) {
		free(text);
		return error;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static unsigned int line_of(const char *text, const char *at)
{
	unsigned int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* The certificates of a PEM text; the bytes stay in it. */
static int take_pem(const char *path, char *text, struct leash_probe_out *out)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----",
			  end[] = "-----END CERTIFICATE-----";
	char *at = text;
	unsigned int line = 1, next;
	const char *counted = text;

	while ((at = strstr(at, begin)) != NULL) {
		char *start = at + sizeof(begin) - 1, *stop = strstr(start, end);
		struct leash_der *cert = &out->certs[out->cert_count];

		/* Counted before the text is overwritten. */
		line += line_of(counted, at) - 1;
		next = line + (stop ? line_of(at, stop) - 1 : 0);
		if (out->cert_count == LEASH_CHAIN_MAX) {
			leash_say("%s:%u: more than %d certificates", path, line, LEASH_CHAIN_MAX);
			return -EBADMSG;
		}
		if (!stop || decode(start, stop, (uint8_t *)start, &cert->len) < 0) {
			leash_say("%s:%u: this certificate is damaged: %s", path, line,
				  stop ? "it is not base64" : "its end is missing");
			return -EBADMSG;
		}
		cert->bytes = (const uint8_t *)start;
		out->cert_count++;
		line = next;
		counted = stop;
		at = stop + sizeof(end) - 1;
	}
	return 0;
}

static int read_chain(const char *path, struct seen *seen)
{
	struct leash_probe_out *out = &seen->probe;
	char *text = NULL;
	size_t len = 0;
	int error = read_all(path, &text, &len);

	if (error < 0) {
		leash_say("%s: %s", path, strerror(-error));
		return LEASH_EXIT_SYSTEM;
	}
	out->store = (uint8_t *)text;
	if (len > 4 && text[0] == 0x30) { /* DER: SEQUENCE */
		out->certs[0] = (struct leash_der){.bytes = out->store, .len = len};
		out->cert_count = 1;
	} else if (take_pem(path, text, out) < 0) {
		return LEASH_EXIT_USAGE;
	}
	if (out->cert_count == 0) {
		leash_say("%s: there is no certificate in it (-----BEGIN CERTIFICATE-----)", path);
		return LEASH_EXIT_USAGE;
	}
	out->handshake_reached = true;
	return LEASH_EXIT_OK;
}

/* --------------------------------------------------------------------- judging */

static struct leash_verify_in question(const struct work *work, const struct target *target,
				       struct seen *seen)
{
	struct leash_verify_in in = {
		.leaf = seen->probe.certs[0],
		.others = seen->others,
		.other_count = seen->probe.cert_count - 1,
		.name = target->name[0] ? target->name : NULL,
		.addr = target->addr.bytes,
		.addr_len = target->addr.family == LEASH_INET6 ? 16 : 4,
		.tls_version = seen->probe.version,
		.cipher = seen->probe.cipher,
		.now_s = work->now_s,
	};

	for (size_t i = 1; i < seen->probe.cert_count; i++)
		seen->others[i - 1] = seen->probe.certs[i];
	return in;
}

__attribute__((format(printf, 2, 3))) static void warn(struct verdicts *verdicts,
						       const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(verdicts->warnings[verdicts->warning_count++], LEASH_VERIFY_TEXT, format, ap);
	va_end(ap);
}

static long days_of(int64_t seconds)
{
	return (long)(seconds / DAY_S - (seconds % DAY_S < 0));
}

static void warn_all(const struct work *work, const struct seen *seen, struct verdicts *verdicts)
{
	struct leash_cert_facts leaf;
	int64_t left_s;

	if (work->verifier->describe(&seen->probe.certs[0], &leaf) < 0)
		return;
	for (size_t i = 0; i < sizeof(ca_rules) / sizeof(ca_rules[0]); i++) {
		int64_t period_s = leaf.not_after_s - leaf.not_before_s + 1;

		if (leaf.not_before_s < ca_rules[i].from_s)
			continue;
		verdicts->ca_rule = period_s > (int64_t)ca_rules[i].days * DAY_S;
		if (verdicts->ca_rule)
			warn(verdicts,
			     "the certificate lasts %ld days: public CAs issue %d at most since "
			     "%s, "
			     "so have the next one renewed automatically",
			     days_of(period_s), ca_rules[i].days, ca_rules[i].text);
		break;
	}
	left_s = leaf.not_after_s - work->now_s;
	if (left_s > 0 && left_s < SOON_DAYS * DAY_S)
		warn(verdicts, "the certificate expires in %ld days: renew it", days_of(left_s));
	if (seen->has_versions && seen->version[3] && !seen->version[2])
		warn(verdicts, "the server does not offer TLS 1.2, which is the newest that older "
			       "Android devices speak: offer it beside 1.3");
}

static void judge(const struct work *work, const struct target *target, struct seen *seen,
		  struct verdicts *verdicts)
{
	struct leash_verify_in in = question(work, target, seen);

	verdicts->pass = true;
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		in.platform = columns[i];
		if (work->verifier->verify(work->store, &in, &verdicts->out[columns[i]]) != 0 &&
		    (work->wish->chosen & 1u << columns[i]))
			verdicts->pass = false;
	}
	warn_all(work, seen, verdicts);
}

/* The sentence of one rule on one platform, which verify() gives for the asking. */
static struct leash_verify_out about(const struct work *work, const struct target *target,
				     struct seen *seen, enum leash_verify_platform platform,
				     enum leash_verify_rule rule)
{
	struct leash_verify_in in = question(work, target, seen);
	struct leash_verify_out out;

	in.platform = platform;
	in.about = rule;
	work->verifier->verify(work->store, &in, &out);
	return out;
}

/* --------------------------------------------------------------------- telling */

static void print_chain(const struct work *work, const struct seen *seen)
{
	puts("  chain as served:");
	for (size_t i = 0; i < seen->probe.cert_count; i++) {
		struct leash_cert_facts facts;
		long left;

		if (work->verifier->describe(&seen->probe.certs[i], &facts) < 0) {
			printf("    %zu  cannot be read (%zu bytes)\n", i,
			       seen->probe.certs[i].len);
			continue;
		}
		left = days_of(facts.not_after_s - work->now_s);
		printf("    %zu  %s\n       issuer %s%s\n       %s, %s, until %s, ", i,
		       facts.subject, facts.issuer, facts.self_signed ? " (itself)" : "", facts.key,
		       facts.signature, facts.not_after);
		if (left >= 0)
			printf("%ld days left\n", left);
		else
			puts("expired");
	}
}

static void print_versions(const struct seen *seen)
{
	if (!seen->has_versions)
		return;
	printf("  TLS:");
	for (int i = 0; i < VERSION_COUNT; i++)
		printf("%s 1.%d %s", i ? "," : "", i, seen->version[i] ? "yes" : "no");
	if (seen->probe.handshake_reached)
		printf("; a client gets 1.%d", seen->probe.version - VERSION_FIRST);
	putchar('\n');
}

static const char *cell(int code)
{
	return code > 0 ? "FAIL" : code == 0 ? "ok" : "-";
}

static void print_row(const struct work *work, const char *label, const char *const cells[])
{
	int gap = 31 - printf("  %s", label);

	for (size_t k = 0; k < COLUMN_COUNT; k++) {
		if (!(work->wish->shown & 1u << columns[k]))
			continue;
		printf("%*s%s", gap, "", cells[k]);
		gap = 10 - (int)strlen(cells[k]);
	}
	putchar('\n');
}

static void print_table(const struct work *work, const struct verdicts *verdicts)
{
	const struct leash_verify_out *out = verdicts->out;
	const char *cells[COLUMN_COUNT];

	putchar('\n');
	for (size_t k = 0; k < COLUMN_COUNT; k++)
		cells[k] = leash_platform_text[columns[k]];
	print_row(work, "requirement", cells);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		for (size_t k = 0; k < COLUMN_COUNT; k++)
			cells[k] = cell(out[columns[k]].rules[rows[i].rule]);
		print_row(work, rows[i].label, cells);
	}
	for (size_t k = 0; k < COLUMN_COUNT; k++)
		cells[k] = verdicts->ca_rule ? "warning" : "ok";
	print_row(work, "CA rules (200, 100, 47 days)", cells);
	for (size_t k = 0; k < COLUMN_COUNT; k++)
		cells[k] = out[columns[k]].code ? "FAIL" : "pass";
	print_row(work, "result", cells);
	putchar('\n');
}

/* One sentence for all platforms that say the same. */
static void print_faults(const struct work *work, const struct target *target, struct seen *seen,
			 const struct verdicts *verdicts)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct leash_verify_out out[COLUMN_COUNT];
		bool open[COLUMN_COUNT] = {false};

		for (size_t k = 0; k < COLUMN_COUNT; k++) {
			open[k] = (work->wish->shown & 1u << columns[k]) &&
				  verdicts->out[columns[k]].rules[rows[i].rule] > 0;
			if (open[k])
				out[k] = about(work, target, seen, columns[k], rows[i].rule);
		}
		for (size_t k = 0; k < COLUMN_COUNT; k++) {
			if (!open[k])
				continue;
			printf("  %s (%s", rows[i].label, leash_platform_text[columns[k]]);
			for (size_t m = k + 1; m < COLUMN_COUNT; m++) {
				if (open[m] && strcmp(out[m].sentence, out[k].sentence) == 0) {
					printf(", %s", leash_platform_text[columns[m]]);
					open[m] = false;
				}
			}
			printf("): %s\n", out[k].sentence);
			if (out[k].depth >= 0)
				printf("    certificate %d: %s\n", out[k].depth, out[k].subject);
		}
	}
	for (size_t i = 0; i < verdicts->warning_count; i++)
		printf("  warning: %s\n", verdicts->warnings[i]);
}

static void print_text(const struct work *work, const char *text, const struct target *target,
		       struct seen *seen, const struct verdicts *verdicts)
{
	printf("%s: %s", text,
	       seen->trouble[0] ? "no certificate"
	       : verdicts->pass ? "pass"
				: "FAIL");
	if (seen->address[0] || work->wish->file)
		printf(" (%s)", work->wish->file ? work->wish->file : seen->address);
	putchar('\n');
	if (seen->trouble[0]) {
		printf("  %s\n", seen->trouble);
		print_versions(seen);
		return;
	}
	print_chain(work, seen);
	print_versions(seen);
	print_table(work, verdicts);
	print_faults(work, target, seen, verdicts);
}

/* ------------------------------------------------------------------------ JSON */

static void put_hex(json_t *object, const char *key, const uint8_t digest[static 32])
{
	char text[65];

	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	json_object_set_new(object, key, json_string(text));
}

static json_t *chain_json(const struct work *work, const struct seen *seen)
{
	json_t *array = json_array();

	for (size_t i = 0; i < seen->probe.cert_count; i++) {
		struct leash_cert_facts facts;
		json_t *cert = json_object();

		json_array_append_new(array, cert);
		if (work->verifier->describe(&seen->probe.certs[i], &facts) < 0)
			continue;
		json_object_set_new(cert, "subject", json_string(facts.subject));
		json_object_set_new(cert, "issuer", json_string(facts.issuer));
		json_object_set_new(cert, "selfSigned", json_boolean(facts.self_signed));
		json_object_set_new(cert, "key", json_string(facts.key));
		json_object_set_new(cert, "signature", json_string(facts.signature));
		json_object_set_new(cert, "notBefore", json_string(facts.not_before));
		json_object_set_new(cert, "notAfter", json_string(facts.not_after));
		json_object_set_new(cert, "daysLeft",
				    json_integer(days_of(facts.not_after_s - work->now_s)));
		put_hex(cert, "sha256", facts.sha256);
	}
	return array;
}

static json_t *platform_json(const struct work *work, const struct target *target,
			     struct seen *seen, const struct verdicts *verdicts,
			     enum leash_verify_platform platform)
{
	const struct leash_verify_out *all = &verdicts->out[platform];
	json_t *object = json_object(), *rules = json_object();

	json_object_set_new(object, "pass", json_boolean(all->code == 0));
	json_object_set_new(object, "counts", json_boolean(work->wish->chosen & 1u << platform));
	for (size_t i = 0; i < ROW_COUNT; i++) {
		int code = all->rules[rows[i].rule];
		struct leash_verify_out out;
		json_t *rule;

		if (code <= 0) {
			json_object_set_new(rules, rows[i].key,
					    code ? json_null()
						 : json_pack("{s:s}", "result", "ok"));
			continue;
		}
		out = about(work, target, seen, platform, rows[i].rule);
		rule = json_pack("{s:s, s:i, s:s, s:s}", "result", "fail", "code", code, "error",
				 work->verifier->code_text(code), "sentence", out.sentence);
		if (out.depth >= 0) {
			json_object_set_new(rule, "depth", json_integer(out.depth));
			json_object_set_new(rule, "certificate", json_string(out.subject));
		}
		json_object_set_new(rules, rows[i].key, rule);
	}
	json_object_set_new(object, "rules", rules);
	return object;
}

static json_t *target_json(const struct work *work, const char *text, const struct target *target,
			   struct seen *seen, const struct verdicts *verdicts)
{
	json_t *object = json_object(), *part;
	char number[16];

	json_object_set_new(object, "target", json_string(text));
	if (work->wish->file)
		json_object_set_new(object, "file", json_string(work->wish->file));
	if (seen->address[0])
		json_object_set_new(object, "address", json_string(seen->address));
	json_object_set_new(object, "pass", json_boolean(!seen->trouble[0] && verdicts->pass));
	if (seen->trouble[0])
		json_object_set_new(object, "error", json_string(seen->trouble));
	if (seen->has_versions) {
		part = json_object();
		for (int i = 0; i < VERSION_COUNT; i++) {
			snprintf(number, sizeof(number), "1.%d", i);
			json_object_set_new(part, number, json_boolean(seen->version[i]));
		}
		json_object_set_new(object, "versions", part);
	}
	if (seen->trouble[0])
		return object;
	if (seen->probe.version) {
		snprintf(number, sizeof(number), "1.%d", seen->probe.version - VERSION_FIRST);
		json_object_set_new(object, "version", json_string(number));
		snprintf(number, sizeof(number), "0x%04x", seen->probe.cipher);
		json_object_set_new(object, "cipher", json_string(number));
	}
	json_object_set_new(object, "chain", chain_json(work, seen));
	part = json_object();
	for (size_t k = 0; k < COLUMN_COUNT; k++) {
		if (work->wish->shown & 1u << columns[k])
			json_object_set_new(
				part, leash_platform_text[columns[k]],
				platform_json(work, target, seen, verdicts, columns[k]));
	}
	json_object_set_new(object, "platforms", part);
	part = json_array();
	for (size_t i = 0; i < verdicts->warning_count; i++)
		json_array_append_new(part, json_string(verdicts->warnings[i]));
	json_object_set_new(object, "warnings", part);
	return object;
}

/* --------------------------------------------------------------------- command */

static int one(const struct work *work, char *text, json_t *array)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct verdicts *verdicts = calloc(1, sizeof(*verdicts));
	struct target target;
	const char *why = parse_target(text, &target);
	int status = LEASH_EXIT_OK;

	if (!seen || !verdicts) {
		leash_say("%s", strerror(ENOMEM));
		status = LEASH_EXIT_SYSTEM;
	} else if (why) {
		status = leash_usage(work->self, "cert: \"%.200s\": %s", text, why);
	} else if (work->wish->file) {
		status = read_chain(work->wish->file, seen);
	} else {
		visit(work, &target, seen);
	}
	if (status == LEASH_EXIT_OK) {
		if (!seen->trouble[0])
			judge(work, &target, seen, verdicts);
		status = seen->trouble[0] || !verdicts->pass ? LEASH_EXIT_VIOLATION : LEASH_EXIT_OK;
		leash_clean(text);
		leash_clean(seen->trouble);
		leash_clean(seen->address);
		if (work->wish->file)
			leash_clean(work->wish->file); /* read by now, only shown from here on */
		if (array)
			json_array_append_new(array,
					      target_json(work, text, &target, seen, verdicts));
		else
			print_text(work, text, &target, seen, verdicts);
	}
	if (seen)
		work->verifier->release(&seen->probe);
	free(verdicts);
	free(seen);
	return status;
}

static int all(const struct work *work, int count, char *text[])
{
	json_t *array = work->wish->json ? json_array() : NULL;
	int status = LEASH_EXIT_OK;

	for (int i = 0; i < count; i++) {
		int ret;

		if (i && !array)
			putchar('\n');
		ret = one(work, text[i], array);
		if (ret != LEASH_EXIT_OK)
			status = ret;
		if (ret != LEASH_EXIT_OK && ret != LEASH_EXIT_VIOLATION)
			break;
		fflush(stdout);
	}
	if (array && (status == LEASH_EXIT_OK || status == LEASH_EXIT_VIOLATION)) {
		json_dumpf(array, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	}
	json_decref(array);
	if (fflush(stdout) != 0) {
		leash_say("standard output: %s", strerror(errno));
		return LEASH_EXIT_SYSTEM;
	}
	return status;
}

static bool take_platform(const struct leash_command *self, struct wish *wish, const char *word)
{
	if (!leash_known_word(self, "--platform", word, leash_platform_text))
		return false;
	for (unsigned int i = 0; leash_platform_text[i]; i++) {
		if (strcmp(word, leash_platform_text[i]) == 0)
			wish->shown |= 1u << i;
	}
	wish->chosen = wish->shown;
	return true;
}

static bool take_timeout(struct wish *wish, const char *word)
{
	char *end;
	unsigned long seconds = strtoul(word, &end, 10);

	if (word[0] < '0' || word[0] > '9' || *end || seconds < 1 || seconds > 600)
		return false;
	wish->timeout_ms = (int)seconds * 1000;
	return true;
}

static int read_options(const struct leash_command *self, int argc, char *argv[], struct wish *wish,
			bool *ret_done)
{
	int option, status = 0;

	*ret_done = true;
	while ((option = leash_option(self, argc, argv, ":hp:", options, &status)) != -1) {
		switch (option) {
		case LEASH_OPTION_DONE:
			return status;
		case 'p':
			wish->compile.policy = optarg;
			break;
		case OPTION_PLATFORM:
			if (!take_platform(self, wish, optarg))
				return LEASH_EXIT_USAGE;
			break;
		case OPTION_FILE:
			wish->file = optarg;
			break;
		case OPTION_HOST:
			wish->host = optarg;
			break;
		case OPTION_TIMEOUT:
			if (!take_timeout(wish, optarg))
				return leash_usage(self,
						   "cert: --timeout \"%s\", accepted: whole "
						   "seconds from 1 to 600",
						   optarg);
			break;
		case OPTION_JSON:
			wish->json = true;
			break;
		}
	}
	if (!wish->file != !wish->host)
		return leash_usage(self,
				   "cert: --file wants --host, the name that the chain is for%s",
				   wish->host ? ", and the other way round" : "");
	if (wish->file && optind < argc)
		return leash_usage(self,
				   "cert: --file is judged by itself, and there is \"%s\" too",
				   argv[optind]);
	if (!wish->file && optind == argc)
		return leash_usage(self, "cert: no host given");
	leash_environment(&wish->compile);
	*ret_done = false;
	return 0;
}

/* Which columns are shown, and which decide the exit status. */
static void choose(struct wish *wish, const struct leash_image *image)
{
	if (wish->shown)
		return;
	wish->shown = (1u << LEASH_VERIFY_PLATFORMS) - 1;
	wish->chosen = image ? 1u << leash_image_settings(image)->platform
			     : 1u << LEASH_VERIFY_IOS | 1u << LEASH_VERIFY_ANDROID |
				       1u << LEASH_VERIFY_DEVTOOLS;
}

int leash_cmd_cert(const struct leash_command *self, int argc, char *argv[])
{
	struct wish wish = {.compile.audit = -1, .timeout_ms = TIMEOUT_S * 1000};
	struct work work = {.self = self, .wish = &wish, .now_s = (int64_t)time(NULL)};
	const struct leash_image *image = NULL;
	struct leash_compiled compiled = {0};
	bool done;
	int error = 0, status = read_options(self, argc, argv, &wish, &done);
	char *host;

	if (done)
		return status;
	if (wish.compile.policy || wish.compile.project) {
		error = leash_compile(&wish.compile, &compiled);
		if (error < 0)
			leash_faults_print(stderr, &compiled);
		if (error == 0)
			error = leash_image_open(compiled.image, compiled.image_len, &image);
	}
	if (error < 0) {
		if (!compiled.error_count)
			leash_say("the policy: %s", strerror(-error));
		status = compiled.error_count ? LEASH_EXIT_POLICY : LEASH_EXIT_SYSTEM;
		leash_compiled_free(&compiled);
		return status;
	}
	choose(&wish, image);
	status = LEASH_EXIT_SYSTEM;
	work.verifier = load();
	work.store = work.verifier ? open_store(work.verifier, image) : NULL;
	host = wish.host ? strdup(wish.host) : NULL;
	if (work.store && (host || !wish.host))
		status =
			wish.file ? all(&work, 1, &host) : all(&work, argc - optind, argv + optind);
	if (work.store)
		work.verifier->close(work.store);
	free(host);
	if (image)
		leash_compiled_free(&compiled);
	return status;
}
