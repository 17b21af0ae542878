/* SPDX-License-Identifier: MIT */
/*
 * netleash cert: a server's certificate against each requirement of each platform.
 *
 * The verifier is the object that programs on the leash use, opened from beside this command, so
 * that the table says what they would meet. A handshake that a client makes shows the chain; four
 * more, with one version each, show what the server offers.
 */
#include "shim/launch/cert.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S 10 /* of one handshake, --timeout */
#define SOON_DAYS 14
#define DAY_S     86400

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

const enum leash_verify_platform leash_cert_columns[LEASH_CERT_COLUMNS] = {
	LEASH_VERIFY_IOS, LEASH_VERIFY_ANDROID, LEASH_VERIFY_DEVTOOLS, LEASH_VERIFY_STRICT};

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
static const char *parse_target(const char *text, struct leash_cert_target *target)
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
	else if (strstr(text, "://"))
		return "a certificate belongs to a host: HOST[:PORT], https:// or wss://";
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

/* --------------------------------------------------------------------- judging */

static struct leash_verify_in question(const struct leash_cert_work *work,
				       const struct leash_cert_target *target,
				       struct leash_cert_seen *seen)
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

__attribute__((format(printf, 2, 3))) static void warn(struct leash_cert_verdicts *verdicts,
						       const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(verdicts->warnings[verdicts->warning_count++], LEASH_VERIFY_TEXT, format, ap);
	va_end(ap);
}

long leash_cert_days(int64_t seconds)
{
	return (long)(seconds / DAY_S - (seconds % DAY_S < 0));
}

static void warn_all(const struct leash_cert_work *work, const struct leash_cert_seen *seen,
		     struct leash_cert_verdicts *verdicts)
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
			     leash_cert_days(period_s), ca_rules[i].days, ca_rules[i].text);
		break;
	}
	left_s = leaf.not_after_s - work->now_s;
	if (left_s > 0 && left_s < SOON_DAYS * DAY_S)
		warn(verdicts, "the certificate expires in %ld days: renew it",
		     leash_cert_days(left_s));
	if (seen->has_versions && seen->version[3] && !seen->version[2])
		warn(verdicts, "the server does not offer TLS 1.2, which is the newest that older "
			       "Android devices speak: offer it beside 1.3");
}

static void judge(const struct leash_cert_work *work, const struct leash_cert_target *target,
		  struct leash_cert_seen *seen, struct leash_cert_verdicts *verdicts)
{
	struct leash_verify_in in = question(work, target, seen);

	verdicts->pass = true;
	for (size_t i = 0; i < LEASH_CERT_COLUMNS; i++) {
		in.platform = leash_cert_columns[i];
		if (work->verifier->verify(work->store, &in,
					   &verdicts->out[leash_cert_columns[i]]) != 0 &&
		    (work->wish->chosen & 1u << leash_cert_columns[i]))
			verdicts->pass = false;
	}
	warn_all(work, seen, verdicts);
}

struct leash_verify_out leash_cert_about(const struct leash_cert_work *work,
					 const struct leash_cert_target *target,
					 struct leash_cert_seen *seen,
					 enum leash_verify_platform platform,
					 enum leash_verify_rule rule)
{
	struct leash_verify_in in = question(work, target, seen);
	struct leash_verify_out out;

	in.platform = platform;
	in.about = rule;
	work->verifier->verify(work->store, &in, &out);
	return out;
}

/* --------------------------------------------------------------------- command */

static int one(const struct leash_cert_work *work, char *text, json_t *array)
{
	struct leash_cert_seen *seen = calloc(1, sizeof(*seen));
	struct leash_cert_verdicts *verdicts = calloc(1, sizeof(*verdicts));
	struct leash_cert_target target;
	const char *why = parse_target(text, &target);
	int status = LEASH_EXIT_OK;

	if (!seen || !verdicts) {
		leash_say("%s", strerror(ENOMEM));
		status = LEASH_EXIT_SYSTEM;
	} else if (why) {
		status = leash_usage(work->self, "cert: \"%.200s\": %s", text, why);
	} else if (work->wish->file) {
		status = leash_cert_read(work->wish->file, seen);
	} else {
		leash_cert_visit(work, &target, seen);
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
					      leash_cert_json(work, text, &target, seen, verdicts));
		else
			leash_cert_print(work, text, &target, seen, verdicts);
	}
	if (seen)
		work->verifier->release(&seen->probe);
	free(verdicts);
	free(seen);
	return status;
}

static int all(const struct leash_cert_work *work, int count, char *text[])
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

static bool take_platform(const struct leash_command *self, struct leash_cert_wish *wish,
			  const char *word)
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

static bool take_timeout(struct leash_cert_wish *wish, const char *word)
{
	char *end;
	unsigned long seconds = strtoul(word, &end, 10);

	if (word[0] < '0' || word[0] > '9' || *end || seconds < 1 || seconds > 600)
		return false;
	wish->timeout_ms = (int)seconds * 1000;
	return true;
}

static int read_options(const struct leash_command *self, int argc, char *argv[],
			struct leash_cert_wish *wish, bool *ret_done)
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
static void choose(struct leash_cert_wish *wish, const struct leash_image *image)
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
	struct leash_cert_wish wish = {.compile.audit = -1, .timeout_ms = TIMEOUT_S * 1000};
	struct leash_cert_work work = {.self = self, .wish = &wish, .now_s = (int64_t)time(NULL)};
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
