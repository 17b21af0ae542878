/* SPDX-License-Identifier: MIT */
/*
 * Host name or address against subjectAltName. The CN is not looked at (RFC 9525 section 2); `*`
 * stands for one whole leftmost label and wants two labels behind it, which X509_check_host()
 * sees to.
 */
#include "inner.h"

#include <stdio.h>
#include <string.h>

#define NAME_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

bool leash_name_matches(X509 *leaf, const struct leash_verify_in *in)
{
	/* A leading dot would ask X509_check_host() for any name below it. */
	if (in->name)
		return in->name[0] && in->name[0] != '.' &&
		       X509_check_host(leaf, in->name, strlen(in->name), NAME_FLAGS, NULL) == 1;
	return in->addr && (in->addr_len == 4 || in->addr_len == 16) &&
	       X509_check_ip(leaf, in->addr, in->addr_len, NAME_FLAGS) == 1;
}

static bool is_kind(const GENERAL_NAME *name, bool of_address)
{
	return name->type == (of_address ? GEN_IPADD : GEN_DNS);
}

size_t leash_name_alternatives(X509 *leaf, const struct leash_verify_in *in)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t count = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		count += is_kind(sk_GENERAL_NAME_value(names, i), !in->name);
	GENERAL_NAMES_free(names);
	return count;
}

static void put(char *buf, size_t size, const char *between, const GENERAL_NAME *name)
{
	char text[96] = "";
	size_t at = strlen(buf);

	if (name->type == GEN_DNS) {
		leash_text_copy(text, sizeof(text), (const char *)name->d.dNSName->data,
				(size_t)name->d.dNSName->length);
	} else {
		const uint8_t *addr = name->d.iPAddress->data;
		size_t len = 0;

		if (name->d.iPAddress->length == 4)
			snprintf(text, sizeof(text), "%u.%u.%u.%u", addr[0], addr[1], addr[2],
				 addr[3]);
		for (int i = 0; name->d.iPAddress->length == 16 && i < 16; i += 2)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%x",
						i ? ":" : "",
						(unsigned int)(addr[i] << 8 | addr[i + 1]));
	}
	snprintf(buf + at, size - at, "%s%s", between, text);
}

void leash_name_list(X509 *leaf, char *buf, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int shown = 0, more = 0;
	size_t at;

	buf[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (!is_kind(name, false) && !is_kind(name, true))
			continue;
		if (shown < 3 && strlen(buf) < size / 2)
			put(buf, size, shown++ ? ", " : "", name);
		else
			more++;
	}
	at = strlen(buf);
	if (more)
		snprintf(buf + at, size - at, " and %d more", more);
	else if (!shown)
		snprintf(buf, size, "no host");
	GENERAL_NAMES_free(names);
}
