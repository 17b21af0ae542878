/* SPDX-License-Identifier: MIT */
/*
 * The texts and numbers of reasons, rules, lists and address classes.
 */
#include "policy.h"

struct reason_row {
	const char *code;
	int error, number;
};

static const struct reason_row reason_row[LEASH_WHY_COUNT] = {
	[LEASH_WHY_NONE] = {"", 0, 0},
#define REASON(name, code, error, number, words, hint) [LEASH_WHY_##name] = {code, error, number},
#include "reason.def"
#undef REASON
};

static const char *const rule_text[LEASH_RULE_COUNT] = {
	[LEASH_RULE_NONE] = "",
	[LEASH_RULE_LIST] = "domains",
	[LEASH_RULE_BLOCKED] = "domains.blocked",
	[LEASH_RULE_UNSPECIFIED] = "address.unspecified",
	[LEASH_RULE_LOOPBACK] = "loopback.allow_ports",
	[LEASH_RULE_OWN] = "address.own",
	[LEASH_RULE_LAN] = "lan.allow",
	[LEASH_RULE_LAN_TLS] = "lan.require_tls",
	[LEASH_RULE_MULTICAST] = "lan.multicast",
	[LEASH_RULE_OTHER_NET] = "address.other_network",
	[LEASH_RULE_PUBLIC] = "address.public",
	[LEASH_RULE_HTTPS] = "https",
	[LEASH_RULE_SNI] = "tls.server_name",
	[LEASH_RULE_HOST] = "http.host",
	[LEASH_RULE_FRAMING] = "http.framing",
	[LEASH_RULE_HTTP2] = "http2",
	[LEASH_RULE_CERTIFICATE] = "platform",
	[LEASH_RULE_PORTS] = "ports",
	[LEASH_RULE_TCP_PORT] = "tcp.forbidden_ports",
	[LEASH_RULE_UDP] = "domains.udp",
	[LEASH_RULE_TRANSPORT] = "transport",
	[LEASH_RULE_LISTEN] = "listen",
	[LEASH_RULE_DNS] = "dns",
	[LEASH_RULE_BACKGROUND] = "background",
	[LEASH_RULE_TIMEOUT] = "networkTimeout",
	[LEASH_RULE_LIMITS] = "limits",
	[LEASH_RULE_POLICY] = "policy",
};

const char *const leash_list_text[LEASH_LIST_COUNT] = {
	[LEASH_LIST_REQUEST] = "request",
	[LEASH_LIST_SOCKET] = "socket",
	[LEASH_LIST_UPLOAD] = "uploadFile",
	[LEASH_LIST_DOWNLOAD] = "downloadFile",
	[LEASH_LIST_TCP] = "tcp",
	[LEASH_LIST_UDP] = "udp",
	[LEASH_LIST_BLOCKED] = "blocked",
};

const char *const leash_list_api[LEASH_LIST_COUNT] = {
	[LEASH_LIST_REQUEST] = "request",
	[LEASH_LIST_SOCKET] = "connectSocket",
	[LEASH_LIST_UPLOAD] = "uploadFile",
	[LEASH_LIST_DOWNLOAD] = "downloadFile",
	[LEASH_LIST_TCP] = "tcp",
	[LEASH_LIST_UDP] = "udp",
	[LEASH_LIST_BLOCKED] = "request",	/* it cannot be told which */
};

const char *const leash_addr_class_text[] = {
	[LEASH_CLASS_UNSPECIFIED] = "unspecified",
	[LEASH_CLASS_LOOPBACK] = "loopback",
	[LEASH_CLASS_OWN] = "own address",
	[LEASH_CLASS_LAN] = "lan",
	[LEASH_CLASS_BROADCAST] = "broadcast",
	[LEASH_CLASS_MULTICAST] = "multicast",
	[LEASH_CLASS_LINK_LOCAL] = "link-local",
	[LEASH_CLASS_PRIVATE] = "private",
	[LEASH_CLASS_RESERVED] = "reserved",
	[LEASH_CLASS_PUBLIC] = "public",
};

/* NULL for a value outside the enum: such a one gets no text and the plainest errno. */
static const struct reason_row *row_of(enum leash_reason reason)
{
	return (unsigned int)reason < LEASH_WHY_COUNT ? &reason_row[reason] : NULL;
}

const char *leash_reason_code(enum leash_reason reason)
{
	const struct reason_row *row = row_of(reason);

	return row ? row->code : "";
}

int leash_reason_errno(enum leash_reason reason)
{
	const struct reason_row *row = row_of(reason);

	return row && row->error ? row->error : EACCES;
}

int leash_reason_number(enum leash_reason reason)
{
	const struct reason_row *row = row_of(reason);

	return row ? row->number : 0;
}

const char *leash_rule_text(enum leash_rule rule)
{
	return (unsigned int)rule < LEASH_RULE_COUNT ? rule_text[rule] : "";
}
