/* SPDX-License-Identifier: MIT */
#include "shim/tls/alpn.h"

#include <string.h>

bool leash_alpn_unread(const uint8_t *name, size_t len)
{
	return (len == 2 && memcmp(name, "h2", 2) == 0) || (len == 3 && memcmp(name, "h2c", 3) == 0) ||
	       (len >= 2 && memcmp(name, "h3", 2) == 0);
}

size_t leash_alpn_filter(const uint8_t *list, size_t len, uint8_t *ret)
{
	size_t kept = 0;

	for (size_t at = 0; at < len; at += 1u + list[at]) {
		const size_t size = 1u + list[at];

		if (size == 1 || size > len - at)
			return 0;
		if (leash_alpn_unread(list + at + 1, size - 1))
			continue;
		memcpy(ret + kept, list + at, size);
		kept += size;
	}
	if (kept == len)
		return 0;
	if (kept == 0) {
		ret[0] = sizeof(LEASH_ALPN_INSTEAD) - 1;
		memcpy(ret + 1, LEASH_ALPN_INSTEAD, sizeof(LEASH_ALPN_INSTEAD) - 1);
		kept = sizeof(LEASH_ALPN_INSTEAD);
	}
	return kept;
}
