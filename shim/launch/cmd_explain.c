/* SPDX-License-Identifier: MIT */
/*
 * netleash explain: the questions that the shim would ask about a target, asked
 * of the same policy in the same order, and the first answer that is no.
 */
#include "shim/abi.h"
#include "shim/launch/launch.h"

#include <errno.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_SCAN  100000 /* entries looked at for a similar spelling */
#define TARGET_MAX 4096

enum { OPTION_PROJECT = 256, OPTION_PROFILE, OPTION_PLATFORM, OPTION_JSON, OPTION_FAIL };

static const struct option options[] = {
	{"policy", required_argument, NULL, 'p'},
	{"project", required_argument, NULL, OPTION_PROJECT},
	{"profile", required_argument, NULL, OPTION_PROFILE},
	{"platform", required_argument, NULL, OPTION_PLATFORM},
	{"json", no_argument, NULL, OPTION_JSON},
	{"fail-on-violation", no_argument, NULL, OPTION_FAIL},
	LEASH_OPTIONS_COMMON,
};

enum scheme {
	SCHEME_NONE,
	SCHEME_HTTPS,
	SCHEME_WSS,
	SCHEME_HTTP,
	SCHEME_WS,
	SCHEME_TCP,
	SCHEME_UDP
};

static const struct {
	const char *name;
	uint16_t port;        /* where none is given; 0: one must be */
	uint32_t lists;       /* what the name must be in, policy 9 */
	enum leash_list list; /* for the platform's words */
} scheme_row[] = {
	[SCHEME_NONE] = {"", 443, 0, LEASH_LIST_REQUEST},
	[SCHEME_HTTPS] = {"https", 443,
			  LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_UPLOAD) |
				  LEASH_LIST_BIT(LEASH_LIST_DOWNLOAD),
			  LEASH_LIST_REQUEST},
	[SCHEME_WSS] = {"wss", 443, LEASH_LIST_BIT(LEASH_LIST_SOCKET), LEASH_LIST_SOCKET},
	[SCHEME_HTTP] = {"http", 80, 0, LEASH_LIST_REQUEST},
	[SCHEME_WS] = {"ws", 80, 0, LEASH_LIST_SOCKET},
	[SCHEME_TCP] = {"tcp", 0, 0, LEASH_LIST_TCP},
	[SCHEME_UDP] = {"udp", 0, 0, LEASH_LIST_UDP},
};
#define SCHEME_COUNT (sizeof(scheme_row) / sizeof(scheme_row[0]))

struct target {
	enum scheme scheme;
	char name[LEASH_NAME_SIZE]; /* normal form; "" for an address */
	size_t name_len;
	struct leash_addr addr; /* .family 0: none was given */
	uint16_t port;
	bool has_port;
};

struct answer {
	struct leash_verdict verdict;
	bool at_resolver; /* the resolver refuses: EAI_FAIL, no connect() happens */
	struct leash_subject subject;
	char host[LEASH_NAME_SIZE + LEASH_ADDR_TEXT_SIZE], addr[LEASH_ADDR_TEXT_SIZE];
	uint32_t near, lists;
};

/* -------------------------------------------------------- what was asked for */

static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
	unsigned int port = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* "HOST", "HOST:PORT", "[V6]:PORT", "V6": splits off the port. NULL or what is wrong */
static const char *split_port(const char *text, size_t *len, struct target *target)
{
	const char *colon = memrchr(text, ':', *len);
	struct leash_addr addr;

	if (!colon || leash_addr_parse(text, *len, &addr))
		return NULL;
	if (!parse_port(colon + 1, (size_t)(text + *len - colon - 1), &target->port))
		return "a port is a number from 1 to 65535";
	target->has_port = true;
	*len = (size_t)(colon - text);
	return NULL;
}

static const char *parse_host(const char *text, size_t len, struct target *target)
{
	int ret;

	if (len == 0)
		return "there is no host in it";
	if (leash_addr_parse(text, len, &target->addr))
		return NULL;
	ret = leash_compile_name(text, len, target->name);
	if (ret < 0)
		return ret == -EILSEQ ? "the name is no valid internationalised name"
				      : "that is neither a host name nor an address";
	target->name_len = (size_t)ret;
	return NULL;
}

static const char *parse_scheme(const char **text, struct target *target)
{
	const char *end = strstr(*text, "://");

	if (!end)
		return NULL;
	for (size_t i = 1; i < SCHEME_COUNT; i++) {
		size_t len = strlen(scheme_row[i].name);

		if ((size_t)(end - *text) == len &&
		    strncasecmp(*text, scheme_row[i].name, len) == 0) {
			target->scheme = (enum scheme)i;
			*text = end + 3;
			return NULL;
		}
	}
	return "the scheme must be https, wss, http, ws, tcp or udp";
}

static const char *parse_target(const char *text, struct target *target)
{
	const char *why, *equals, *at;
	size_t len;

	memset(target, 0, sizeof(*target));
	if (strlen(text) > TARGET_MAX)
		return "it is too long";
	why = parse_scheme(&text, target);
	if (why)
		return why;
	/* Of a URL only the authority counts (RFC 3986 section 3.2). */
	len = strcspn(text, "/?#");
	at = memrchr(text, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	equals = memchr(text, '=', len);
	if (equals) {
		const char *addr = equals + 1;
		size_t addr_len = (size_t)(text + len - addr);

		why = parse_host(text, (size_t)(equals - text), target);
		if (!why && target->name_len == 0)
			why = "NAME=ADDRESS wants a name on its left";
		if (!why)
			why = split_port(addr, &addr_len, target);
		if (!why && !leash_addr_parse(addr, addr_len, &target->addr))
			why = "NAME=ADDRESS wants an address on its right";
	} else {
		why = split_port(text, &len, target);
		if (!why)
			why = parse_host(text, len, target);
	}
	if (!why && !target->has_port && scheme_row[target->scheme].port == 0)
		why = "tcp:// and udp:// want HOST:PORT";
	if (!target->has_port)
		target->port = scheme_row[target->scheme].port;
	return why;
}

/* ------------------------------------------------------------ own interfaces */

static uint8_t prefix_of(const uint8_t *mask, size_t len)
{
	uint8_t bits = 0;

	for (size_t i = 0; i < len; i++) {
		for (unsigned int bit = 0x80; bit && (mask[i] & bit); bit >>= 1)
			bits++;
		if (mask[i] != 0xff)
			break;
	}
	return bits;
}

static bool take_interface(const struct ifaddrs *from, struct leash_subnet *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!from->ifa_addr || !from->ifa_netmask)
		return false;
	ret->ifindex = if_nametoindex(from->ifa_name);
	if (from->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *addr = (const void *)from->ifa_addr;
		const struct sockaddr_in *mask = (const void *)from->ifa_netmask;

		ret->addr = leash_addr_normal4((const uint8_t *)&addr->sin_addr);
		ret->prefix_len = prefix_of((const uint8_t *)&mask->sin_addr, 4);
		return true;
	}
	if (from->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *addr = (const void *)from->ifa_addr;
		const struct sockaddr_in6 *mask = (const void *)from->ifa_netmask;

		ret->addr = leash_addr_normal6(addr->sin6_addr.s6_addr, addr->sin6_scope_id);
		ret->prefix_len = prefix_of(mask->sin6_addr.s6_addr, 16);
		return true;
	}
	return false;
}

static int read_interfaces(struct leash_net *ret)
{
	struct ifaddrs *list;

	ret->count = 0;
	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *at = list; at && ret->count < LEASH_NET_MAX; at = at->ifa_next) {
		if (take_interface(at, &ret->subnet[ret->count]))
			ret->count++;
	}
	freeifaddrs(list);
	return 0;
}

/* ------------------------------------------------------------------- judging */

/*
 * "Some public address": what a name resolves to is not asked of anybody here. One of
 * the documentation ranges, or another where the policy's own LAN covers that.
 */
static struct leash_addr public_addr(const struct leash_image *image, const struct leash_net *none)
{
	static const uint8_t candidate[][4] = {{192, 0, 2, 1}, {198, 51, 100, 1}, {203, 0, 113, 1}};
	struct leash_addr addr = leash_addr_normal4(candidate[0]);

	for (size_t i = 0; i < 3; i++) {
		addr = leash_addr_normal4(candidate[i]);
		if (leash_addr_classify(image, none, &addr) == LEASH_CLASS_PUBLIC)
			break;
	}
	return addr;
}

/* A refusal that only this command makes up: a name in lists that this scheme does not use. */
static struct leash_verdict wrong_list(const struct leash_image *image, const struct target *target,
				       uint32_t lists)
{
	const struct leash_settings *settings = leash_image_settings(image);
	struct leash_verdict verdict = {.action = LEASH_DENY,
					.reason = LEASH_WHY_NOT_IN_LIST,
					.rule = LEASH_RULE_LIST,
					.entry = LEASH_ENTRY_NONE,
					.lists = (uint8_t)lists};

	verdict.near = leash_image_find(image, target->name, target->name_len, NULL);
	if (settings->audit || settings->skip_domain_check) {
		verdict.action = LEASH_ALLOW;
		verdict.would = true;
	}
	return verdict;
}

/* The first bytes of a connection that may be opened. */
static struct leash_verdict judge_bytes(const struct leash_image *image,
					const struct target *target, const struct leash_peer *peer,
					struct leash_verdict opened)
{
	switch (target->scheme) {
	case SCHEME_HTTPS:
	case SCHEME_WSS:
		if (!(opened.pass & LEASH_PASS_TLS))
			return leash_policy_plaintext(image, peer, opened.pass);
		return leash_policy_tls(image, peer, target->name_len ? target->name : NULL,
					target->name_len);
	case SCHEME_HTTP:
	case SCHEME_WS:
		return opened.pass & (LEASH_PASS_HTTP | LEASH_PASS_RAW)
			       ? opened
			       : leash_policy_plaintext(image, peer, opened.pass);
	case SCHEME_TCP:
		return opened.pass & LEASH_PASS_RAW
			       ? opened
			       : leash_policy_plaintext(image, peer, opened.pass);
	case SCHEME_NONE:
	case SCHEME_UDP:
		break;
	}
	return opened;
}

static struct leash_verdict judge_peer(const struct leash_image *image, const struct leash_net *net,
				       const struct target *target)
{
	static const struct leash_net none;
	const struct leash_nameref name = {.name = target->name, .len = target->name_len};
	struct leash_peer peer = {
		.transport = target->scheme == SCHEME_UDP ? LEASH_UDP : LEASH_TCP,
		.addr = target->addr,
		.port = target->port,
		.sending = true,
		.name_count = target->name_len ? 1 : 0,
		.names = target->name_len ? &name : NULL,
		.net = net,
	};
	struct leash_verdict verdict;

	if (!target->addr.family) {
		peer.addr = public_addr(image, &none);
		peer.net = &none;
	}
	verdict = leash_policy_peer(image, &peer);
	if (verdict.action == LEASH_SNIFF)
		verdict = judge_bytes(image, target, &peer, verdict);
	return verdict;
}

static bool is_allowed(const struct leash_verdict *verdict)
{
	return verdict->action == LEASH_ALLOW || verdict->action == LEASH_SNIFF;
}

static void judge(const struct leash_image *image, const struct leash_net *net,
		  const struct target *target, struct answer *answer)
{
	const uint32_t wanted = scheme_row[target->scheme].lists;
	bool asked_resolver = false;
	struct leash_verdict resolved = {.action = LEASH_ALLOW, .entry = LEASH_ENTRY_NONE};

	if (target->name_len) {
		leash_image_find(image, target->name, target->name_len, &answer->lists);
		resolved = leash_policy_resolve(image, target->name, target->name_len);
		asked_resolver = true;
	}
	answer->verdict = resolved;
	answer->at_resolver = !is_allowed(&resolved);
	if (answer->at_resolver)
		return;
	/* A bare name: it is resolved, and everything else depends on what comes then. */
	if (asked_resolver && target->scheme == SCHEME_NONE && !target->has_port &&
	    !target->addr.family)
		return;
	answer->verdict = judge_peer(image, net, target);
	if (is_allowed(&answer->verdict) && answer->verdict.rule == LEASH_RULE_LIST && wanted &&
	    !(answer->lists & wanted))
		answer->verdict = wrong_list(image, target, answer->lists);
	/* Only a switch let the name through: that is the first thing to know. */
	if (is_allowed(&answer->verdict) && !answer->verdict.would && resolved.would)
		answer->verdict = resolved;
}

/* Which of the platform's calls this would be. */
static const char *api_of(const struct target *target, uint32_t lists)
{
	enum leash_list list = scheme_row[target->scheme].list;

	if (target->scheme == SCHEME_HTTPS && (lists & LEASH_LISTS_TLS) &&
	    !(lists & LEASH_LIST_BIT(LEASH_LIST_REQUEST))) {
		if (lists & LEASH_LIST_BIT(LEASH_LIST_DOWNLOAD))
			list = LEASH_LIST_DOWNLOAD;
		else if (lists & LEASH_LIST_BIT(LEASH_LIST_UPLOAD))
			list = LEASH_LIST_UPLOAD;
	}
	return leash_list_api[list];
}

static void answer_target(const struct leash_image *image, const struct leash_net *net,
			  const struct target *target, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	judge(image, net, target, answer);
	if (target->addr.family)
		leash_addr_text(&target->addr, answer->addr);
	strcpy(answer->host, target->name_len ? target->name : answer->addr);
	answer->subject.api = api_of(target, answer->lists);
	answer->subject.host = answer->host;
	answer->subject.addr = answer->addr;
	answer->subject.port = target->has_port || target->scheme != SCHEME_NONE ? target->port : 0;
	answer->near = answer->verdict.near;
	if (answer->near == LEASH_ENTRY_NONE && target->name_len &&
	    answer->verdict.reason == LEASH_WHY_NOT_IN_LIST)
		answer->near = leash_policy_near(image, target->name, target->name_len, NEAR_SCAN);
}

/* ------------------------------------------------------------------- telling */

static const char *error_name(const struct answer *answer)
{
	if (answer->at_resolver)
		return "EAI_FAIL";
	switch (leash_reason_errno(answer->verdict.reason)) {
	case EACCES:
		return "EACCES";
	case ETIMEDOUT:
		return "ETIMEDOUT";
	case ECONNABORTED:
		return "ECONNABORTED";
	case ECONNREFUSED:
		return "ECONNREFUSED";
	case ENOBUFS:
		return "ENOBUFS";
	}
	return "";
}

static const char *verdict_word(const struct leash_verdict *verdict)
{
	if (!is_allowed(verdict))
		return "refused";
	return verdict->would ? "would_refuse" : "allowed";
}

static void print_lists(uint32_t lists)
{
	const char *between = "  lists: ";

	for (uint32_t i = 0; i < LEASH_LIST_COUNT; i++) {
		if (!(lists & LEASH_LIST_BIT(i)))
			continue;
		printf("%s%s", between, leash_list_text[i]);
		between = ", ";
	}
	if (lists)
		putchar('\n');
}

/* What the connection may carry, where that is not said by the target itself */
static void print_pass(const struct target *target, const struct leash_verdict *verdict)
{
	if (verdict->action != LEASH_SNIFF || target->scheme != SCHEME_NONE)
		return;
	if (verdict->pass & LEASH_PASS_RAW)
		puts("  carries: TLS, or raw bytes");
	else if (verdict->pass & LEASH_PASS_HTTP)
		puts("  carries: TLS, or plain HTTP");
	else
		puts("  carries: TLS only, with this name in the handshake");
}

static void print_entry(const struct leash_image *image, uint32_t index)
{
	const struct leash_entry *entry = leash_image_entry(image, index);

	printf("\"%s\" in %s (%s:%u)", leash_image_string(image, entry->text),
	       leash_list_text[entry->list], leash_image_string(image, entry->file), entry->line);
}

static void print_text(const struct leash_image *image, const char *text,
		       const struct target *target, const struct answer *answer)
{
	const struct leash_verdict *verdict = &answer->verdict;
	char line[1024];

	if (verdict->would)
		printf("%s: allowed, would be refused (%s)\n", text,
		       leash_reason_code(verdict->reason));
	else if (is_allowed(verdict))
		printf("%s: allowed\n", text);
	else
		printf("%s: refused (%s)\n", text, leash_reason_code(verdict->reason));

	leash_explain_rule(image, verdict, line, sizeof(line));
	printf("  rule: %s", line);
	if (verdict->entry < leash_image_entry_count(image))
		printf(" \"%s\"",
		       leash_image_string(image, leash_image_entry(image, verdict->entry)->text));
	putchar('\n');
	print_lists(answer->lists);
	print_pass(target, verdict);
	if (verdict->reason == LEASH_WHY_NONE)
		return;
	leash_explain_words(verdict->reason, &answer->subject, line, sizeof(line));
	if (leash_reason_number(verdict->reason))
		printf("  platform: %s (%d)\n", line, leash_reason_number(verdict->reason));
	else
		printf("  platform: %s\n", line);
	if (!is_allowed(verdict))
		printf("  the program sees: %s\n", error_name(answer));
	leash_explain_hint(image, verdict, &answer->subject, answer->near, line, sizeof(line));
	printf("  hint: %s\n", line);
	if (answer->near < leash_image_entry_count(image)) {
		fputs("  nearest: ", stdout);
		print_entry(image, answer->near);
		putchar('\n');
	}
}

static json_t *entry_json(const struct leash_image *image, uint32_t index)
{
	const struct leash_entry *entry = leash_image_entry(image, index);

	return json_pack("{s:s, s:s, s:s, s:i}", "entry", leash_image_string(image, entry->text),
			 "list", leash_list_text[entry->list], "file",
			 leash_image_string(image, entry->file), "line", (int)entry->line);
}

/* Field names are those of events (policy 12). */
static json_t *answer_json(const struct leash_image *image, const char *text,
			   const struct answer *answer)
{
	const struct leash_verdict *verdict = &answer->verdict;
	json_t *object = json_object(), *lists = json_array();
	char line[1024];

	json_object_set_new(object, "target", json_string(text));
	json_object_set_new(object, "verdict", json_string(verdict_word(verdict)));
	json_object_set_new(object, "api", json_string(answer->subject.api));
	json_object_set_new(object, "host", json_string(answer->host));
	if (answer->addr[0])
		json_object_set_new(object, "address", json_string(answer->addr));
	if (answer->subject.port)
		json_object_set_new(object, "port", json_integer(answer->subject.port));
	for (uint32_t i = 0; i < LEASH_LIST_COUNT; i++) {
		if (answer->lists & LEASH_LIST_BIT(i))
			json_array_append_new(lists, json_string(leash_list_text[i]));
	}
	json_object_set_new(object, "lists", lists);
	leash_explain_rule(image, verdict, line, sizeof(line));
	json_object_set_new(object, "rule", json_string(line));
	if (verdict->entry < leash_image_entry_count(image))
		json_object_set_new(object, "matched", entry_json(image, verdict->entry));
	if (verdict->reason == LEASH_WHY_NONE)
		return object;
	json_object_set_new(object, "reason", json_string(leash_reason_code(verdict->reason)));
	leash_explain_words(verdict->reason, &answer->subject, line, sizeof(line));
	json_object_set_new(object, "errMsg", json_string(line));
	if (leash_reason_number(verdict->reason))
		json_object_set_new(object, "errCode",
				    json_integer(leash_reason_number(verdict->reason)));
	if (!is_allowed(verdict))
		json_object_set_new(object, "error", json_string(error_name(answer)));
	leash_explain_hint(image, verdict, &answer->subject, answer->near, line, sizeof(line));
	json_object_set_new(object, "hint", json_string(line));
	if (answer->near < leash_image_entry_count(image))
		json_object_set_new(object, "nearest", entry_json(image, answer->near));
	return object;
}

/* ------------------------------------------------------------------- command */

struct wish {
	struct leash_compile_options compile;
	bool json, fail_on_violation;
};

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
		case OPTION_PROJECT:
			wish->compile.project = optarg;
			break;
		case OPTION_PROFILE:
			if (!leash_known_word(self, "--profile", optarg, leash_profile_text))
				return LEASH_EXIT_USAGE;
			wish->compile.profile = optarg;
			break;
		case OPTION_PLATFORM:
			if (!leash_known_word(self, "--platform", optarg, leash_platform_text))
				return LEASH_EXIT_USAGE;
			wish->compile.platform = optarg;
			break;
		case OPTION_JSON:
			wish->json = true;
			break;
		case OPTION_FAIL:
			wish->fail_on_violation = true;
			break;
		}
	}
	leash_environment(&wish->compile);
	if (!wish->compile.policy && !wish->compile.project) {
		leash_usage(self, "explain: no policy: give -p POLICY or --project DIR, or set " LEASH_ENV_POLICY);
		return LEASH_EXIT_POLICY;
	}
	if (optind == argc)
		return leash_usage(self, "explain: no target given");
	*ret_done = false;
	return 0;
}

static int explain_all(const struct leash_command *self, const struct wish *wish,
		       const struct leash_image *image, int count, char *text[])
{
	json_t *array = wish->json ? json_array() : NULL;
	struct leash_net net;
	int status = LEASH_EXIT_OK, error = read_interfaces(&net);

	if (error < 0) {
		leash_say("own interfaces: %s", strerror(-error));
		return LEASH_EXIT_SYSTEM;
	}
	for (int i = 0; i < count; i++) {
		struct target target;
		struct answer answer;
		const char *why = parse_target(text[i], &target);

		if (why) {
			status = leash_usage(self, "explain: \"%.200s\": %s", text[i], why);
			break;
		}
		answer_target(image, &net, &target, &answer);
		leash_clean(text[i]);
		if (array)
			json_array_append_new(array, answer_json(image, text[i], &answer));
		else
			print_text(image, text[i], &target, &answer);
		if (wish->fail_on_violation && !is_allowed(&answer.verdict))
			status = LEASH_EXIT_VIOLATION;
	}
	if (array && status != LEASH_EXIT_USAGE) {
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

int leash_cmd_explain(const struct leash_command *self, int argc, char *argv[])
{
	struct wish wish = {.compile.audit = -1};
	const struct leash_image *image;
	struct leash_compiled compiled;
	bool done;
	int error, status = read_options(self, argc, argv, &wish, &done);

	if (done)
		return status;
	error = leash_compile(&wish.compile, &compiled);
	/* Warnings are for `check`: here they would stand between the answers. */
	if (error < 0)
		leash_faults_print(stderr, &compiled);
	if (error == 0)
		error = leash_image_open(compiled.image, compiled.image_len, &image);
	if (error == 0) {
		status = explain_all(self, &wish, image, argc - optind, argv + optind);
	} else {
		if (!compiled.error_count)
			leash_say("the policy: %s", strerror(-error));
		status = compiled.error_count ? LEASH_EXIT_POLICY : LEASH_EXIT_SYSTEM;
	}
	leash_compiled_free(&compiled);
	return status;
}
