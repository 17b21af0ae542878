/* SPDX-License-Identifier: MIT */
/*
 * What a request may be (policy 9): its class and the list that must hold its host, and that its host is the
 * one that the connection is for, or a listed name would open its server for another one behind it.
 */
#include "image.h"

/* The lists that would admit it, the first that does counts (an ordinary request's first is `request`) */
static uint32_t candidates(const struct leash_ask *ask)
{
	switch (ask->kind) {
	case LEASH_KIND_ORDINARY:
		return LEASH_LIST_BIT(LEASH_LIST_REQUEST) |
		       (ask->get ? LEASH_LIST_BIT(LEASH_LIST_DOWNLOAD) : 0);
	case LEASH_KIND_SOCKET:
		return LEASH_LIST_BIT(LEASH_LIST_SOCKET);
	case LEASH_KIND_MULTIPART:
		return LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_UPLOAD);
	case LEASH_KIND_UPLOAD:
		return LEASH_LIST_BIT(LEASH_LIST_UPLOAD);
	}
	return 0;
}

static struct leash_verdict judge_request(const struct leash_image *image, const struct leash_ask *ask)
{
	const struct leash_name *name = leash_image_name(image, ask->name, strlen(ask->name));
	const uint32_t wanted = candidates(ask);
	struct leash_verdict v = leash_verdict_of(LEASH_ALLOW, LEASH_WHY_NONE, LEASH_RULE_LIST);

	for (uint32_t list = LEASH_LIST_REQUEST; name && list <= LEASH_LIST_DOWNLOAD; list++) {
		uint32_t entry;

		if (!(wanted & LEASH_LIST_BIT(list)) || (v.lists && ask->kind == LEASH_KIND_ORDINARY))
			continue;
		entry = leash_match_port(image, name, LEASH_LIST_BIT(list), ask->port);
		if (entry == LEASH_ENTRY_NONE)
			continue;
		v.lists |= (uint8_t)LEASH_LIST_BIT(list);
		if (v.entry == LEASH_ENTRY_NONE)
			v.entry = entry;
	}
	if (v.lists)
		return v;
	if (ask->lan) {
		v.rule = LEASH_RULE_LAN;
		v.lists = (uint8_t)wanted;
		if (ask->kind == LEASH_KIND_ORDINARY)
			v.lists = (uint8_t)LEASH_LIST_BIT(LEASH_LIST_REQUEST);
		return v;
	}
	v = leash_verdict_of(LEASH_DENY, LEASH_WHY_NOT_IN_LIST, LEASH_RULE_LIST);
	if (!name) {
		v.near = leash_match_parent(image, ask->name, strlen(ask->name));
		return v;
	}
	/* It is in the right list, for another port. */
	v.near = leash_match_entry(image, name, wanted);
	if (v.near != LEASH_ENTRY_NONE)
		v.rule = LEASH_RULE_PORTS;
	else
		v.near = leash_match_entry(image, name, LEASH_LISTS_TLS);
	if (v.near == LEASH_ENTRY_NONE)
		v.near = name->first;
	v.lists = name->lists;
	return v;
}

struct leash_verdict leash_policy_request(const struct leash_image *image, const struct leash_ask *ask)
{
	struct leash_verdict v = leash_decide_settle(image, judge_request(image, ask), true);

	/* Let through all the same: it is timed as what it is. */
	if (v.would)
		v.lists = (uint8_t)(ask->kind == LEASH_KIND_ORDINARY ? LEASH_LIST_BIT(LEASH_LIST_REQUEST) :
								       candidates(ask));
	return v;
}

static bool is_host(const struct leash_peer *peer, const char *name, const char *host, size_t len)
{
	char normal[LEASH_NAME_SIZE];
	struct leash_addr addr;
	int normal_len;

	if (name[0] == '\0' && leash_addr_parse(host, len, &addr)) {
		addr.scope = peer->addr.scope;	/* a Host line has none (RFC 3986 3.2.2) */
		return leash_addr_equal(&addr, &peer->addr);
	}
	/* Mostly it is written as it was resolved. */
	if (name[0] && strlen(name) == len && memcmp(host, name, len) == 0)
		return true;
	normal_len = leash_name_normal(host, len, normal);
	if (normal_len < 0)
		return false;
	if (name[0])
		return strcmp(normal, name) == 0;
	for (uint32_t i = 0; peer->names && i < peer->name_count; i++)
		if (peer->names[i].len == (size_t)normal_len &&
		    memcmp(peer->names[i].name, normal, (size_t)normal_len) == 0)
			return true;
	return false;
}

struct leash_verdict leash_policy_host(const struct leash_image *image, const struct leash_peer *peer,
				       const char *name, const char *host, size_t host_len)
{
	if (host && is_host(peer, name, host, host_len))
		return leash_verdict_of(LEASH_ALLOW, LEASH_WHY_NONE, LEASH_RULE_HOST);
	return leash_decide_settle(
		image, leash_verdict_of(LEASH_DENY, LEASH_WHY_NAME_MISMATCH, LEASH_RULE_HOST), true);
}

struct leash_verdict leash_policy_unreadable(const struct leash_image *image, bool http2)
{
	return leash_decide_settle(image,
				   leash_verdict_of(LEASH_DENY, LEASH_WHY_AMBIGUOUS,
						    http2 ? LEASH_RULE_HTTP2 : LEASH_RULE_FRAMING),
				   true);
}
