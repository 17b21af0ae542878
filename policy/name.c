/* SPDX-License-Identifier: MIT */
/*
 * The normal form of a host name: both sides of every comparison pass through
 * here. ASCII alone is folded, without a locale: tolower() in a Turkish one
 * would make two names of one.
 */
#include <string.h>

#include "policy.h"

#define LABEL_MAX 63			/* RFC 1035 2.3.4 */

/* The byte in normal form, 0 for one that no label has. A table: each name that a program
 * resolves and each server name on the wire comes through here. */
static const char normal[128] = {
	['-'] = '-', ['_'] = '_',
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
	['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
#define LETTER(upper, lower) [upper] = lower, [lower] = lower
	LETTER('A', 'a'), LETTER('B', 'b'), LETTER('C', 'c'), LETTER('D', 'd'),
	LETTER('E', 'e'), LETTER('F', 'f'), LETTER('G', 'g'), LETTER('H', 'h'),
	LETTER('I', 'i'), LETTER('J', 'j'), LETTER('K', 'k'), LETTER('L', 'l'),
	LETTER('M', 'm'), LETTER('N', 'n'), LETTER('O', 'o'), LETTER('P', 'p'),
	LETTER('Q', 'q'), LETTER('R', 'r'), LETTER('S', 's'), LETTER('T', 't'),
	LETTER('U', 'u'), LETTER('V', 'v'), LETTER('W', 'w'), LETTER('X', 'x'),
	LETTER('Y', 'y'), LETTER('Z', 'z'),
#undef LETTER
};

/* A name with bytes above 127 is for the caller to convert, whatever else looks wrong
 * with it: lengths change by that, and other bytes may be separators there. */
static int refuse(const char *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)in[i] > 127)
			return -EILSEQ;
	return -EINVAL;
}

int leash_name_normal(const char *in, size_t len, char ret_name[static LEASH_NAME_SIZE])
{
	const size_t whole = len;
	char name[LEASH_NAME_SIZE];
	size_t label = 0;

	if (len > 0 && in[len - 1] == '.')
		len--;
	if (len == 0 || len > LEASH_NAME_MAX)
		return refuse(in, whole);
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)in[i];

		if (c == '.') {
			if (label == 0)
				return refuse(in, whole);
			label = 0;
			name[i] = '.';
			continue;
		}
		if (c > 127 || normal[c] == 0 || ++label > LABEL_MAX)
			return refuse(in, whole);
		name[i] = normal[c];
	}
	if (label == 0)
		return refuse(in, whole);
	name[len] = '\0';
	memcpy(ret_name, name, len + 1);
	return (int)len;
}
