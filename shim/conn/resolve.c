/* SPDX-License-Identifier: MIT */
/*
 * Names are judged where they are resolved: nothing is sent to a DNS server for a name that is
 * in no list (policy 2, hooks.md 3.6). What was resolved is remembered before the program
 * sees it.
 */
#include <arpa/nameser.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "shim/conn/idn.h"
#include "shim/conn/inner.h"
#include "shim/conn/local.h"
#include "shim/conn/timing.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"
#include "shim/wire/dns.h"

int leash_conn_ask_name(const char *node, const char *call, struct leash_lookup *ret)
{
	const struct leash_image *image;
	struct leash_addr addr;
	struct leash_gate gate, away;
	size_t len;
	int got;

	memset(ret, 0, sizeof(*ret));
	if (!node || !*node)
		return 0;
	len = strnlen(node, LEASH_NAME_MAX * 4 + 1);
	if (leash_addr_parse(node, len, &addr))
		return 0;		/* an address question, asked at connect() */
	image = leash_image_get();
	got = leash_name_normal(node, len, ret->judged);
	if (got == -EILSEQ) {
		char ascii[LEASH_NAME_SIZE];

		got = leash_idn_ascii(node, ascii);
		if (got == -ENOSYS)
			return leash_gate_simple(call, "a name that needs libidn2, which is not here",
						 image ? leash_policy_resolve(image, "", 0)
						       : leash_policy_none());
		if (got == 0) {
			/* UTS #46 makes digits and dots of their wide forms: an address again. */
			if (leash_addr_parse(ascii, strlen(ascii), &addr))
				return 0;
			got = leash_name_normal(ascii, strlen(ascii), ret->judged);
		}
	}
	if (got < 0)
		return -EINVAL;
	ret->is_name = true;
	/* The A-label leaves in place of what was typed, so that what was judged is what is asked. */
	memcpy(ret->name, ret->judged, sizeof(ret->judged));
	leash_gate_name(&gate, call, ret->judged,
			image ? leash_policy_resolve(image, ret->judged, (size_t)got)
			      : leash_policy_none());
	ret->lists = gate.verdict.lists;
	got = leash_gate_settle(&gate);
	if (got < 0)
		return got;
	away = gate;
	got = leash_timing_away(&away);
	if (got < 0)
		return got;
	leash_gate_connected(&gate, true);
	return 0;
}

int leash_conn_lookup_begin(struct leash_lookup *lookup, const void *frame)
{
	int error = 0;

	if (lookup->is_name)
		lookup->slot = leash_timing_lookup(lookup->judged, lookup->lists, frame, &error);
	return error;
}

int leash_conn_lookup_end(struct leash_lookup *lookup)
{
	return lookup->slot ? leash_timing_looked_up(lookup->slot, lookup->judged) : 0;
}

void leash_conn_learn(const struct leash_lookup *lookup, int family, const void *bytes)
{
	struct leash_addr addr;

	if (!lookup->is_name)
		return;
	if (family == AF_INET)
		addr = leash_addr_normal4(bytes);
	else if (family == AF_INET6)
		addr = leash_addr_normal6(bytes, 0);
	else
		return;
	leash_names_learn(lookup->judged, &addr);
}

void leash_conn_learn_list(const struct leash_lookup *lookup, const struct addrinfo *list)
{
	for (; list; list = list->ai_next) {
		struct leash_addr addr;
		uint16_t port;

		if (lookup->is_name && list->ai_addr &&
		    leash_gate_addr(list->ai_addr, list->ai_addrlen, &addr, &port))
			leash_names_learn(lookup->judged, &addr);
	}
}

void leash_conn_learn_host(const struct leash_lookup *lookup, const struct hostent *host)
{
	for (char **at = host->h_addr_list; at && *at; at++)
		leash_conn_learn(lookup, host->h_addrtype, *at);
}

bool leash_conn_ask_reverse(int family, const void *bytes, const char *call)
{
	const struct leash_image *image = leash_image_get();
	struct leash_nameref names[LEASH_NAMES_PER_ADDR];
	struct leash_addr addr;

	(void)call;
	if (family == AF_INET)
		addr = leash_addr_normal4(bytes);
	else if (family == AF_INET6)
		addr = leash_addr_normal6(bytes, 0);
	else
		return true;		/* no DNS question comes of it */
	if (!image)
		return false;
	if (leash_image_settings(image)->audit)
		return true;
	/* The hosts file has these, and nothing is asked of anybody. */
	if (addr.family == LEASH_INET ? memcmp(addr.bytes, "\x7f\0\0\1", 4) == 0
				      : memcmp(addr.bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0)
		return true;
	return leash_names_lookup(&addr, names) > 0;
}

int leash_conn_ask_type(const char *name, int type, const char *call, struct leash_lookup *ret)
{
	const struct leash_image *image = leash_image_get();
	struct leash_nameref names[LEASH_NAMES_PER_ADDR];
	struct leash_addr addr;
	struct leash_gate gate;
	uint8_t bytes[16];
	int got, family;

	memset(ret, 0, sizeof(*ret));
	got = leash_name_normal(name, strnlen(name, LEASH_NAME_MAX * 4 + 1), ret->judged);
	if (got < 0)
		return -EINVAL;
	ret->is_name = true;
	memcpy(ret->name, ret->judged, sizeof(ret->judged));
	if (type == ns_t_ptr && (family = leash_dns_reverse_name(ret->judged, bytes)) != 0) {
		addr = family == 4 ? leash_addr_normal4(bytes) : leash_addr_normal6(bytes, 0);
		if (leash_names_lookup(&addr, names) > 0)
			return 0;
	}
	leash_gate_name(&gate, call, ret->judged,
			image ? leash_policy_dns(image, ret->judged, (size_t)got, (uint16_t)type)
			      : leash_policy_none());
	ret->lists = gate.verdict.lists;
	got = leash_gate_settle(&gate);
	return got < 0 ? got : leash_timing_away(&gate);
}

int leash_conn_ask_message(const void *msg, size_t len, const char *call, struct leash_lookup *ret)
{
	struct leash_dns_question *question = leash_scratch_take();
	int got;

	memset(ret, 0, sizeof(*ret));
	if (!question)
		return -EACCES;
	if (leash_dns_question_parse(msg, len, question) < 0 || question->response) {
		const struct leash_image *image = leash_image_get();

		got = leash_gate_simple(call, "a DNS message that is not one plain question",
					image ? leash_policy_dns(image, "", 0, 0)
					      : leash_policy_none());
	} else {
		got = leash_conn_ask_type(question->name, question->type, call, ret);
	}
	leash_scratch_give(question);
	return got;
}

void leash_conn_learn_message(const struct leash_lookup *lookup, const void *msg, size_t len)
{
	struct {
		struct leash_dns_question question;
		struct leash_dns_answer answers[64];
	} *work = leash_scratch_take();
	int count;

	if (!work)
		return;
	if (lookup->is_name && leash_dns_question_parse(msg, len, &work->question) == 0 &&
	    strcmp(work->question.name, lookup->judged) == 0) {
		count = leash_dns_answers_parse(msg, len, work->answers, 64);
		for (int i = 0; i < count; i++)
			leash_conn_learn(lookup, work->answers[i].family == 4 ? AF_INET : AF_INET6,
					 work->answers[i].addr);
	}
	leash_scratch_give(work);
}

bool leash_conn_name_server(const struct sockaddr *addr)
{
	struct leash_addr to;
	uint16_t port;

	return leash_gate_addr(addr,
			       addr->sa_family == AF_INET ? (socklen_t)sizeof(struct sockaddr_in)
							  : (socklen_t)sizeof(struct sockaddr_in6),
			       &to, &port) &&
	       port == 53 && leash_local_name_server(&to);
}

bool leash_conn_state_servers(const struct __res_state *state)
{
	for (int i = 0; i < state->nscount && i < MAXNS; i++) {
		const struct sockaddr *addr = (const void *)&state->nsaddr_list[i];

		/* Family 0 says that the address is an IPv6 one, elsewhere. */
		if (addr->sa_family == 0)
			addr = (const void *)state->_u._ext.nsaddrs[i];
		if (!addr || !leash_conn_name_server(addr))
			return false;
	}
	return true;
}

int leash_conn_refuse_servers(const char *call)
{
	const struct leash_image *image = leash_image_get();

	return leash_gate_simple(call, "a name server that is not the system's",
				 image ? leash_policy_dns(image, "", 0, 0) : leash_policy_none());
}

/* Does this line of nsswitch.conf name a service that asks the network? Anything but "files" may. */
static bool line_asks(const char *at, size_t len)
{
	const char *end = at + len;

	while (at < end) {
		const size_t blank = strspn(at, " \t");
		const size_t word = strcspn(at + blank, " \t\n");

		if (word > 0 && at + blank < end && !(word == 5 && memcmp(at + blank, "files", 5) == 0))
			return true;
		at += blank + word + (word == 0);
	}
	return false;
}

static bool networks_ask(void)
{
	char *text = leash_scratch_take();
	const int fd = text ? leash_sys_open("/etc/nsswitch.conf", O_RDONLY, 0) : -1;
	long len;
	bool asks = text == NULL;	/* cannot tell */

	if (fd >= 0) {			/* else libc's default, which is "files" */
		len = leash_sys_pread(fd, text, LEASH_SCRATCH_SIZE - 1, 0);
		leash_sys_close(fd);
		text[len > 0 ? len : 0] = '\0';
		for (const char *at = text; *at;) {
			const size_t line = strcspn(at, "\n");

			if (strncmp(at, "networks:", 9) == 0)
				asks = line_asks(at + 9, line - 9);
			at += line;
			at += *at == '\n';
		}
	}
	leash_scratch_give(text);
	return asks;
}

bool leash_conn_ask_network(const char *name, const char *call)
{
	struct leash_lookup lookup;

	if (!networks_ask())
		return true;
	return name && leash_conn_ask_name(name, call, &lookup) == 0;
}
