/* SPDX-License-Identifier: MIT */
/*
 * Names as people write them, into the form that is compared: U-labels become
 * A-labels by UTS #46, non-transitional ("faß.de" is xn--fa-hia.de, as browsers
 * and resolvers have it since 2016), with the mapping step, so that "API.Bücher。de"
 * is one name with "api.xn--bcher-kva.de".
 */
#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "work.h"

#define IDN_TEXT_MAX 1024 /* bytes; no name of 253 bytes comes from more UTF-8 than that */

/* libidn2 is asked only where it has something to say. It refuses names that resolvers know well
 * ("r3---sn-x.example.com", hyphens in the third and fourth place), and costs more than the rest.
 */
static bool needs_idn(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] > 127)
			return true;
		if ((i == 0 || text[i - 1] == '.') && len - i >= 4 &&
		    strncasecmp(text + i, "xn--", 4) == 0)
			return true;
	}
	return false;
}

int leash_idn_normal(const char *text, size_t len, char ret_name[static LEASH_NAME_SIZE],
		     const char **ret_why)
{
	char copy[IDN_TEXT_MAX + 1];
	uint8_t *ascii = NULL;
	int rc;

	if (!needs_idn(text, len))
		return leash_name_normal(text, len, ret_name);
	if (len > IDN_TEXT_MAX || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	rc = idn2_lookup_u8((const uint8_t *)copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_MALLOC)
		return -ENOMEM;
	if (rc != IDN2_OK) {
		*ret_why = idn2_strerror(rc);
		return -EILSEQ;
	}
	rc = leash_name_normal((const char *)ascii, strlen((const char *)ascii), ret_name);
	idn2_free(ascii);
	return rc;
}

int leash_compile_name(const char *text, size_t len, char ret_name[static LEASH_NAME_SIZE])
{
	const char *why;

	return leash_idn_normal(text, len, ret_name, &why);
}
