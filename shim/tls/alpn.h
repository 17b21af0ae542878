/* SPDX-License-Identifier: MIT */
/*
 * Which protocols a program may offer inside TLS: HTTP/2 and HTTP/3 are taken out, because nobody would
 * read their requests (tls-http 12). Devices speak HTTP/1.1 as well.
 */
#ifndef LEASH_ALPN_H
#define LEASH_ALPN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_ALPN_INSTEAD "http/1.1"	/* what an emptied list becomes */

/** leash_alpn_unread() - "h2", "h2c", "h3" and its drafts */
bool leash_alpn_unread(const uint8_t *name, size_t len);

/**
 * leash_alpn_filter() - A list as it stands in the hello (RFC 7301: a byte of length, then the name)
 * @ret:	At least @len and sizeof(LEASH_ALPN_INSTEAD) bytes
 *
 * Return: its length; 0: nothing is to be changed, also where the list is malformed
 */
size_t leash_alpn_filter(const uint8_t *list, size_t len, uint8_t *ret);

#endif
