/* SPDX-License-Identifier: MIT */
/*
 * The decisions: one function per question, each in the order of policy.md.
 *
 * Every question is judged first as if all rules were in force; settle() then turns a
 * refusal into an allowance with .would where the policy says so (policy 10). So what
 * a switch lets through is always known, and recorded, as what it would have been.
 */
#include "image.h"

#define BLOCKED_BIT LEASH_LIST_BIT(LEASH_LIST_BLOCKED)
#define TCP_BIT	    LEASH_LIST_BIT(LEASH_LIST_TCP)
#define UDP_BIT	    LEASH_LIST_BIT(LEASH_LIST_UDP)
#define ADMIT_BITS  (LEASH_LISTS_TLS | TCP_BIT | UDP_BIT)

/* --------------------------------------------------------------- verdicts */

static struct leash_verdict deny(enum leash_reason reason, enum leash_rule rule)
{
	return leash_verdict_of(LEASH_DENY, reason, rule);
}

static struct leash_verdict allow(enum leash_rule rule)
{
	return leash_verdict_of(LEASH_ALLOW, LEASH_WHY_NONE, rule);
}

static struct leash_verdict allow_entry(uint32_t entry)
{
	struct leash_verdict v = allow(LEASH_RULE_LIST);

	v.entry = entry;
	return v;
}

static struct leash_verdict sniff(uint8_t pass, enum leash_rule rule)
{
	struct leash_verdict v = leash_verdict_of(LEASH_SNIFF, LEASH_WHY_NONE, rule);

	v.pass = pass;
	return v;
}

/* What "skip domain, TLS version and certificate validation" skips (policy 10). The
 * blocklist is the user's own and no validation of the platform's, so it stays. */
static bool is_skippable(enum leash_reason reason)
{
	switch (reason) {
	case LEASH_WHY_NOT_IN_LIST:
	case LEASH_WHY_IP_LITERAL:
	case LEASH_WHY_OTHER_NET:
	case LEASH_WHY_PLAINTEXT:
	case LEASH_WHY_TLS_VERSION:
	case LEASH_WHY_CERTIFICATE:
	case LEASH_WHY_NAME_MISMATCH:
		return true;
	case LEASH_WHY_NONE:
	case LEASH_WHY_BLOCKED:
	case LEASH_WHY_LOOPBACK:
	case LEASH_WHY_OWN_ADDRESS:
	case LEASH_WHY_UNSPECIFIED:
	case LEASH_WHY_TIMEOUT:
	case LEASH_WHY_INTERRUPTED:
	case LEASH_WHY_AMBIGUOUS:
	case LEASH_WHY_TOO_MANY:
	case LEASH_WHY_FORBIDDEN_PORT:
	case LEASH_WHY_TRANSPORT:
	case LEASH_WHY_LISTEN:
	case LEASH_WHY_NO_POLICY:
	case LEASH_WHY_UNJUDGED:
	case LEASH_WHY_RESOURCE:
	case LEASH_WHY_COUNT:
		break;
	}
	return false;
}

static struct leash_verdict would(struct leash_verdict v)
{
	v.action = LEASH_ALLOW;
	v.would = true;
	return v;
}

/* @skips: the question is one of those that skip_domain_check is about */
static struct leash_verdict settle(const struct leash_image *image, struct leash_verdict v,
				   bool skips)
{
	const struct leash_settings *settings = leash_image_settings(image);

	switch (v.action) {
	case LEASH_ALLOW:
	case LEASH_SNIFF:
		return v;
	case LEASH_MUTE:
		/* Every send would be refused, and in an audit nothing is. */
		if (!settings->audit)
			return v;
		v.reason = LEASH_WHY_TRANSPORT;
		return would(v);
	case LEASH_DENY:
		if (settings->audit || (skips && settings->skip_domain_check &&
					is_skippable(v.reason)))
			return would(v);
		break;
	}
	return v;
}

struct leash_verdict leash_decide_settle(const struct leash_image *image, struct leash_verdict v,
					 bool skips)
{
	return settle(image, v, skips);
}

struct leash_verdict leash_policy_none(void)
{
	return deny(LEASH_WHY_NO_POLICY, LEASH_RULE_POLICY);
}

/* ------------------------------------------------------------------ names */

static struct leash_verdict blocked(const struct leash_image *image, const struct leash_name *name)
{
	struct leash_verdict v = deny(LEASH_WHY_BLOCKED, LEASH_RULE_BLOCKED);

	v.entry = leash_match_entry(image, name, BLOCKED_BIT);
	v.lists = name->lists;
	return v;
}

static struct leash_verdict unlisted(const struct leash_image *image, const char *name, size_t len)
{
	struct leash_verdict v = deny(LEASH_WHY_NOT_IN_LIST, LEASH_RULE_LIST);

	v.near = leash_match_parent(image, name, len);
	return v;
}

/* It resolves to this machine, without a question to anybody (RFC 6761 6.3). */
static struct leash_verdict judge_localhost(const struct leash_image *image)
{
	if (leash_image_settings(image)->loopback_any ||
	    leash_image_loopback_port_count(image) > 0)
		return allow(LEASH_RULE_LOOPBACK);
	return deny(LEASH_WHY_LOOPBACK, LEASH_RULE_LOOPBACK);
}

static struct leash_verdict judge_name(const struct leash_image *image, const char *name,
				       size_t len)
{
	const struct leash_name *found = leash_image_name(image, name, len);
	struct leash_verdict v;

	if (found && (found->lists & BLOCKED_BIT))
		return blocked(image, found);
	if (found && (found->lists & ADMIT_BITS)) {
		v = allow_entry(leash_match_entry(image, found, ADMIT_BITS));
		v.lists = found->lists;
		return v;
	}
	if (leash_match_localhost(name, len))
		return judge_localhost(image);
	return unlisted(image, name, len);
}

struct leash_verdict leash_policy_resolve(const struct leash_image *image, const char *name,
					  size_t len)
{
	return settle(image, judge_name(image, name, len), true);
}

struct leash_verdict leash_policy_dns(const struct leash_image *image, const char *name,
				      size_t len, uint16_t type)
{
	switch (type) {
	case 1:		/* A */
	case 5:		/* CNAME */
	case 28:	/* AAAA */
	case 64:	/* SVCB, RFC 9460 */
	case 65:	/* HTTPS */
		return leash_policy_resolve(image, name, len);
	}
	return settle(image, deny(LEASH_WHY_TRANSPORT, LEASH_RULE_DNS), true);
}

/* -------------------------------------------------------------- addresses */

/* What the names of an address come to, taken together: an address that several names
 * share carries all of them (policy 2), and names on the blocklist do not count. */
struct named {
	uint32_t lists;		/* of the names that are not blocked */
	uint32_t tls;		/* entry that admits TLS on this port, or LEASH_ENTRY_NONE */
	uint32_t raw;		/* entry of the tcp list, or LEASH_ENTRY_NONE */
	uint32_t any;		/* some entry, for messages */
	const struct leash_name *blocked;
};

static struct named gather(const struct leash_image *image, const struct leash_peer *peer)
{
	struct named named = {
		.tls = LEASH_ENTRY_NONE,
		.raw = LEASH_ENTRY_NONE,
		.any = LEASH_ENTRY_NONE,
	};

	for (uint32_t i = 0; peer->names && i < peer->name_count; i++) {
		const struct leash_nameref *ref = &peer->names[i];
		const struct leash_name *name = leash_image_name(image, ref->name, ref->len);

		if (!name)
			continue;
		if (name->lists & BLOCKED_BIT) {
			named.blocked = name;
			continue;
		}
		named.lists |= name->lists;
		if (named.tls == LEASH_ENTRY_NONE)
			named.tls = leash_match_port(image, name, LEASH_LISTS_TLS, peer->port);
		if (named.raw == LEASH_ENTRY_NONE)
			named.raw = leash_match_entry(image, name, TCP_BIT);
		if (named.any == LEASH_ENTRY_NONE)
			named.any = name->first;
	}
	return named;
}

static struct leash_verdict judge_tcp_named(const struct leash_peer *peer,
					    const struct named *named)
{
	bool raw = named->raw != LEASH_ENTRY_NONE && !leash_match_forbidden_port(peer->port);
	struct leash_verdict v;

	if (named->tls != LEASH_ENTRY_NONE) {
		v = sniff(LEASH_PASS_TLS, LEASH_RULE_LIST);
		if (raw)
			v.pass |= LEASH_PASS_RAW;
		v.entry = named->tls;
	} else if (raw) {
		v = allow_entry(named->raw);
	} else if (named->lists & LEASH_LISTS_TLS) {
		v = deny(LEASH_WHY_NOT_IN_LIST, LEASH_RULE_PORTS);
		v.near = named->any;
	} else if (named->raw != LEASH_ENTRY_NONE) {
		v = deny(LEASH_WHY_FORBIDDEN_PORT, LEASH_RULE_TCP_PORT);
		v.near = named->raw;
	} else {
		v = deny(LEASH_WHY_NOT_IN_LIST, LEASH_RULE_LIST);
		v.near = named->any;
	}
	v.lists = (uint8_t)named->lists;
	return v;
}

static struct leash_verdict judge_udp_named(const struct leash_image *image,
					    const struct leash_peer *peer,
					    const struct named *named)
{
	struct leash_verdict v;

	if (named->lists & UDP_BIT) {
		v = allow_entry(named->any);
		for (uint32_t i = 0; i < peer->name_count; i++) {
			const struct leash_nameref *ref = &peer->names[i];
			const struct leash_name *name =
				leash_image_name(image, ref->name, ref->len);

			if (name && !(name->lists & BLOCKED_BIT) && (name->lists & UDP_BIT)) {
				v.entry = leash_match_entry(image, name, UDP_BIT);
				break;
			}
		}
	} else if (peer->sending) {
		v = deny(LEASH_WHY_TRANSPORT, LEASH_RULE_UDP);
		v.near = named->any;
	} else {
		v = leash_verdict_of(LEASH_MUTE, LEASH_WHY_NONE, LEASH_RULE_UDP);
		v.near = named->any;
	}
	v.lists = (uint8_t)named->lists;
	return v;
}

/* An address that only a name makes reachable. @nameless: the refusal if it has none */
static struct leash_verdict judge_named(const struct leash_image *image,
					const struct leash_peer *peer, const struct named *named,
					struct leash_verdict nameless)
{
	if (named->lists != 0)
		return peer->transport == LEASH_UDP ? judge_udp_named(image, peer, named) :
						      judge_tcp_named(peer, named);
	if (named->blocked)
		return blocked(image, named->blocked);
	/* Resolved because validation is skipped: let a resolver sort its addresses. */
	if (peer->transport == LEASH_UDP && !peer->sending && peer->names &&
	    peer->name_count > 0 && leash_image_settings(image)->skip_domain_check)
		return leash_verdict_of(LEASH_MUTE, LEASH_WHY_NONE, LEASH_RULE_UDP);
	/* Known under names that nobody listed: those are the thing to list. */
	if (nameless.reason == LEASH_WHY_IP_LITERAL && peer->names && peer->name_count > 0)
		return unlisted(image, peer->names[0].name, peer->names[0].len);
	return nameless;
}

/* A neighbour where lan.allow is set: needs no entry (policy 3, step 3). */
static struct leash_verdict judge_lan(const struct leash_image *image,
				      const struct leash_peer *peer, const struct named *named)
{
	struct leash_verdict v;
	bool forbidden;

	/* Known by nothing but names that the blocklist holds: it beats the neighbourhood too. */
	if (named->blocked && named->lists == 0)
		return blocked(image, named->blocked);
	if (peer->transport == LEASH_UDP)
		return allow(LEASH_RULE_LAN);
	forbidden = leash_match_forbidden_port(peer->port);
	if (leash_image_settings(image)->lan_require_tls) {
		if (named->raw == LEASH_ENTRY_NONE || forbidden)
			return sniff(LEASH_PASS_TLS, LEASH_RULE_LAN_TLS);
		v = allow_entry(named->raw);
		v.lists = (uint8_t)named->lists;
		return v;
	}
	/* https, wss and here http and ws may use any port, raw TCP may not (policy 4). */
	if (forbidden)
		return sniff(LEASH_PASS_TLS | LEASH_PASS_HTTP, LEASH_RULE_LAN);
	return allow(LEASH_RULE_LAN);
}

static struct leash_verdict judge_peer(const struct leash_image *image,
				       const struct leash_peer *peer)
{
	const struct leash_settings *settings = leash_image_settings(image);
	enum leash_addr_class range;
	struct named named;

	if ((peer->transport != LEASH_TCP && peer->transport != LEASH_UDP) ||
	    (peer->addr.family != LEASH_INET && peer->addr.family != LEASH_INET6))
		return deny(LEASH_WHY_TRANSPORT, LEASH_RULE_TRANSPORT);
	if (!peer->net)
		return deny(LEASH_WHY_RESOURCE, LEASH_RULE_POLICY);

	switch (leash_addr_classify(image, peer->net, &peer->addr)) {
	case LEASH_CLASS_UNSPECIFIED:
		/* The kernel takes it for loopback, and an own address stays on this machine
		 * too: whoever opens all of loopback has opened both. A list of ports speaks
		 * of loopback alone. */
		return settings->loopback_any ?
			       allow(LEASH_RULE_LOOPBACK) :
			       deny(LEASH_WHY_UNSPECIFIED, LEASH_RULE_UNSPECIFIED);
	case LEASH_CLASS_OWN:
		return settings->loopback_any ? allow(LEASH_RULE_LOOPBACK) :
						deny(LEASH_WHY_OWN_ADDRESS, LEASH_RULE_OWN);
	case LEASH_CLASS_LOOPBACK:
		return leash_image_loopback_allows(image, peer->port) ?
			       allow(LEASH_RULE_LOOPBACK) :
			       deny(LEASH_WHY_LOOPBACK, LEASH_RULE_LOOPBACK);
	case LEASH_CLASS_LAN:
		named = gather(image, peer);
		if (settings->lan_allow)
			return judge_lan(image, peer, &named);
		/* A neighbour like any other server: what the address is without the subnet. */
		range = leash_addr_range(&peer->addr);
		if (range == LEASH_CLASS_PUBLIC)
			return judge_named(image, peer, &named,
					   deny(LEASH_WHY_IP_LITERAL, LEASH_RULE_LAN));
		if (range == LEASH_CLASS_PRIVATE)
			return judge_named(image, peer, &named,
					   deny(LEASH_WHY_OTHER_NET, LEASH_RULE_LAN));
		return deny(LEASH_WHY_OTHER_NET, LEASH_RULE_LAN);
	case LEASH_CLASS_BROADCAST:
	case LEASH_CLASS_MULTICAST:
		return peer->transport == LEASH_UDP && settings->lan_multicast ?
			       allow(LEASH_RULE_MULTICAST) :
			       deny(LEASH_WHY_OTHER_NET, LEASH_RULE_MULTICAST);
	case LEASH_CLASS_LINK_LOCAL:
	case LEASH_CLASS_RESERVED:
		break;		/* no name leads there: an answer that says so is a forged one */
	case LEASH_CLASS_PRIVATE:
		named = gather(image, peer);
		return judge_named(image, peer, &named,
				   deny(LEASH_WHY_OTHER_NET, LEASH_RULE_OTHER_NET));
	case LEASH_CLASS_PUBLIC:
		named = gather(image, peer);
		return judge_named(image, peer, &named,
				   deny(LEASH_WHY_IP_LITERAL, LEASH_RULE_PUBLIC));
	}
	return deny(LEASH_WHY_OTHER_NET, LEASH_RULE_OTHER_NET);
}

struct leash_verdict leash_policy_peer(const struct leash_image *image,
				       const struct leash_peer *peer)
{
	/* UDP is granted by name alone, with or without the validation of domains. */
	return settle(image, judge_peer(image, peer), peer->transport == LEASH_TCP);
}

/* ------------------------------------------------------------ first bytes */

static enum leash_addr_class peer_class(const struct leash_image *image,
					const struct leash_peer *peer)
{
	if (!peer->net || (peer->addr.family != LEASH_INET && peer->addr.family != LEASH_INET6))
		return LEASH_CLASS_RESERVED;
	return leash_addr_classify(image, peer->net, &peer->addr);
}

static bool has_name(const struct leash_peer *peer, const char *name, size_t len)
{
	for (uint32_t i = 0; peer->names && i < peer->name_count; i++)
		if (peer->names[i].len == len && memcmp(peer->names[i].name, name, len) == 0)
			return true;
	return false;
}

/* A server name that is one of the address's names, @len bytes of @name */
static struct leash_verdict judge_server_name(const struct leash_image *image,
					      const struct leash_peer *peer, const char *name,
					      size_t len)
{
	const struct leash_nameref ref = {.name = name, .len = len};
	const struct leash_peer alone = {
		.transport = LEASH_TCP,
		.port = peer->port,
		.names = &ref,
		.name_count = 1,
	};
	struct named named = gather(image, &alone);
	struct leash_verdict v;

	if (named.lists == 0)
		return unlisted(image, name, len);
	v = judge_tcp_named(&alone, &named);
	if (v.action == LEASH_SNIFF) {
		v.action = LEASH_ALLOW;		/* TLS it is, and this the name */
		v.pass = 0;
	}
	return v;
}

static struct leash_verdict judge_tls(const struct leash_image *image,
				      const struct leash_peer *peer, const char *sni,
				      size_t sni_len)
{
	const enum leash_addr_class class = peer_class(image, peer);
	const bool lan = class == LEASH_CLASS_LAN && leash_image_settings(image)->lan_allow;
	const struct leash_name *found;
	char name[LEASH_NAME_SIZE];
	struct leash_verdict v;
	int len = -EINVAL;

	/* This machine: reached without a name, or not at all. */
	if (class == LEASH_CLASS_UNSPECIFIED || class == LEASH_CLASS_LOOPBACK ||
	    class == LEASH_CLASS_OWN)
		return judge_peer(image, peer);
	if (sni && sni_len > 0)
		len = leash_name_normal(sni, sni_len, name);
	/* What is no host name cannot be on the blocklist: a neighbour's devices are often
	 * asked for by address, or by no name at all. */
	if (len < 0)
		return lan ? allow(LEASH_RULE_LAN) : deny(LEASH_WHY_NAME_MISMATCH, LEASH_RULE_SNI);
	found = leash_image_name(image, name, (size_t)len);
	if (found && (found->lists & BLOCKED_BIT))
		return blocked(image, found);
	if (lan) {
		v = allow(LEASH_RULE_LAN);
		if (found) {
			v.entry = found->first;
			v.lists = found->lists;
		}
		return v;
	}
	if (has_name(peer, name, (size_t)len))
		return judge_server_name(image, peer, name, (size_t)len);
	v = deny(LEASH_WHY_NAME_MISMATCH, LEASH_RULE_SNI);
	if (found) {
		v.near = found->first;
		v.lists = found->lists;
	}
	return v;
}

struct leash_verdict leash_policy_tls(const struct leash_image *image,
				      const struct leash_peer *peer, const char *sni,
				      size_t sni_len)
{
	return settle(image, judge_tls(image, peer, sni, sni_len), true);
}

struct leash_verdict leash_policy_plaintext(const struct leash_image *image,
					    const struct leash_peer *peer, uint8_t pass)
{
	struct leash_verdict v = deny(LEASH_WHY_PLAINTEXT, LEASH_RULE_HTTPS);
	struct named named = gather(image, peer);

	if (pass & LEASH_PASS_HTTP)
		/* HTTP would have been fine: it is the raw bytes that this port does not take. */
		v = deny(LEASH_WHY_FORBIDDEN_PORT, LEASH_RULE_TCP_PORT);
	else if (leash_image_settings(image)->lan_allow &&
		 peer_class(image, peer) == LEASH_CLASS_LAN)
		v.rule = LEASH_RULE_LAN_TLS;
	else
		v.near = named.tls != LEASH_ENTRY_NONE ? named.tls : named.any;
	v.lists = (uint8_t)named.lists;
	return settle(image, v, true);
}

struct leash_verdict leash_policy_handshake(const struct leash_image *image,
					    enum leash_reason reason)
{
	return settle(image, deny(reason, LEASH_RULE_CERTIFICATE), true);
}

/* ----------------------------------------------------------------- sockets */

struct leash_verdict leash_policy_socket(const struct leash_image *image, enum leash_sock kind)
{
	switch (kind) {
	case LEASH_SOCK_UNIX:
	case LEASH_SOCK_NETLINK_ROUTE:
	case LEASH_SOCK_ALG:
	case LEASH_SOCK_TCP:
	case LEASH_SOCK_UDP:
		return allow(LEASH_RULE_TRANSPORT);
	case LEASH_SOCK_OTHER:
		break;
	}
	return settle(image, deny(LEASH_WHY_TRANSPORT, LEASH_RULE_TRANSPORT), true);
}

static bool is_loopback(const struct leash_addr *addr)
{
	return (addr->family == LEASH_INET || addr->family == LEASH_INET6) &&
	       leash_addr_range(addr) == LEASH_CLASS_LOOPBACK;
}

static struct leash_verdict judge_listen(const struct leash_image *image,
					 const struct leash_addr *addr, uint16_t port)
{
	switch ((enum leash_listen)leash_image_settings(image)->listen) {
	case LEASH_LISTEN_ANY:
	case LEASH_LISTEN_LAN:		/* who may come is judged when they do */
		return allow(LEASH_RULE_LISTEN);
	case LEASH_LISTEN_DENY:
		break;
	}
	/* The other end of what loopback.allow_ports lets through: a helper of its own. */
	if (is_loopback(addr) && leash_image_loopback_allows(image, port))
		return allow(LEASH_RULE_LOOPBACK);
	return deny(LEASH_WHY_LISTEN, LEASH_RULE_LISTEN);
}

struct leash_verdict leash_policy_listen(const struct leash_image *image,
					 const struct leash_net *net,
					 const struct leash_addr *addr, uint16_t port)
{
	(void)net;
	return settle(image, judge_listen(image, addr, port), true);
}

static struct leash_verdict judge_accept(const struct leash_image *image,
					 const struct leash_net *net,
					 const struct leash_addr *peer, uint16_t local_port)
{
	const enum leash_listen listen = (enum leash_listen)leash_image_settings(image)->listen;

	if (listen == LEASH_LISTEN_ANY)
		return allow(LEASH_RULE_LISTEN);
	if (is_loopback(peer) &&
	    (listen == LEASH_LISTEN_LAN || leash_image_loopback_allows(image, local_port)))
		return allow(LEASH_RULE_LOOPBACK);
	if (listen == LEASH_LISTEN_LAN &&
	    (peer->family == LEASH_INET || peer->family == LEASH_INET6)) {
		enum leash_addr_class class;

		if (!net)
			return deny(LEASH_WHY_RESOURCE, LEASH_RULE_POLICY);
		class = leash_addr_classify(image, net, peer);
		if (class == LEASH_CLASS_LAN || class == LEASH_CLASS_OWN)
			return allow(LEASH_RULE_LISTEN);
	}
	return deny(LEASH_WHY_LISTEN, LEASH_RULE_LISTEN);
}

struct leash_verdict leash_policy_accept(const struct leash_image *image,
					 const struct leash_net *net,
					 const struct leash_addr *peer, uint16_t local_port)
{
	return settle(image, judge_accept(image, net, peer, local_port), true);
}

struct leash_verdict leash_policy_bind_udp(const struct leash_image *image,
					   const struct leash_net *net,
					   const struct leash_addr *addr, uint16_t port)
{
	const struct leash_settings *settings = leash_image_settings(image);

	(void)net;
	/* Port 0 is what the first send would do by itself: a client's port. */
	if (port == 0)
		return allow(LEASH_RULE_UDP);
	if (settings->lan_allow)
		return allow(LEASH_RULE_LAN);
	if (settings->lan_multicast &&
	    (addr->family == LEASH_INET || addr->family == LEASH_INET6) &&
	    leash_addr_range(addr) == LEASH_CLASS_MULTICAST)
		return allow(LEASH_RULE_MULTICAST);
	return settle(image, judge_listen(image, addr, port), true);
}

struct leash_verdict leash_policy_group(const struct leash_image *image)
{
	if (leash_image_settings(image)->lan_multicast)
		return allow(LEASH_RULE_MULTICAST);
	/* A group is UDP: the validation of domains has nothing to do with it. */
	return settle(image, deny(LEASH_WHY_OTHER_NET, LEASH_RULE_MULTICAST), false);
}

struct leash_verdict leash_policy_options(const struct leash_image *image)
{
	return settle(image, deny(LEASH_WHY_TRANSPORT, LEASH_RULE_TRANSPORT), true);
}
