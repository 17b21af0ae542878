/* SPDX-License-Identifier: MIT */
/*
 * What a name and a port match. Names are in normal form here.
 */
#include "image.h"

#define HTTPS_PORT 443

bool leash_match_localhost(const char *name, size_t len)
{
	static const char localhost[] = "localhost";
	const size_t tail = sizeof(localhost) - 1;

	if (len < tail || memcmp(name + len - tail, localhost, tail) != 0)
		return false;
	return len == tail || name[len - tail - 1] == '.';
}

uint32_t leash_match_entry(const struct leash_image *image, const struct leash_name *name,
			   uint32_t lists)
{
	uint32_t i;

	/* No other list holds it: the first will do, and the entry is not even read. */
	if ((name->lists & lists) == name->lists)
		return name->first;
	if ((name->lists & lists) == 0)
		return LEASH_ENTRY_NONE;
	for (i = name->first; i != LEASH_ENTRY_NONE; i = leash_image_next(image, i))
		if (LEASH_LIST_BIT(leash_image_entry(image, i)->list) & lists)
			break;
	return i;
}

/* policy 2: an entry with a port admits that port, one without the default port of https;
 * "for wss domains, all ports under the domain are allowed" holds with a port as well. */
static bool entry_admits(const struct leash_entry *entry, uint16_t port)
{
	if (entry->list == LEASH_LIST_SOCKET)
		return true;
	return port == (entry->port ? entry->port : HTTPS_PORT);
}

uint32_t leash_match_port(const struct leash_image *image, const struct leash_name *name,
			  uint32_t lists, uint16_t port)
{
	uint32_t i;

	if (!leash_image_settings(image)->ports_exact)
		return leash_match_entry(image, name, lists);
	if ((name->lists & lists) == 0)
		return LEASH_ENTRY_NONE;
	for (i = name->first; i != LEASH_ENTRY_NONE; i = leash_image_next(image, i)) {
		const struct leash_entry *entry = leash_image_entry(image, i);

		if ((LEASH_LIST_BIT(entry->list) & lists) && entry_admits(entry, port))
			break;
	}
	return i;
}

uint32_t leash_match_parent(const struct leash_image *image, const char *name, size_t len)
{
	const uint32_t lists = (1u << LEASH_LIST_COUNT) - 1 - LEASH_LIST_BIT(LEASH_LIST_BLOCKED);

	for (size_t i = 0; i < len; i++) {
		const struct leash_name *parent;

		if (name[i] != '.')
			continue;
		parent = leash_image_name(image, name + i + 1, len - i - 1);
		if (parent && (parent->lists & lists))
			return leash_match_entry(image, parent, lists);
	}
	return LEASH_ENTRY_NONE;
}

/* A switch: compilers make a search tree of it, and every raw TCP connect() comes here. */
bool leash_match_forbidden_port(uint16_t port)
{
	if (port < 1024 || (port >= 8000 && port <= 8100))
		return true;
	switch (port) {
	case 1099: case 1433: case 1521: case 1719: case 1720: case 1723: case 2049: case 2375:
	case 3128: case 3306: case 3389: case 3659: case 4045: case 5060: case 5061: case 5432:
	case 5984: case 6000: case 6379: case 6566: case 7001: case 7002: case 8443: case 8888:
	case 9200: case 9300: case 10051: case 10080: case 11211: case 27017: case 27018:
	case 27019:
		return true;
	}
	return false;
}
