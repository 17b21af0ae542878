/* SPDX-License-Identifier: MIT */
/* Cipher suites by their numbers in the hello (IANA, "TLS Cipher Suites"). */
#ifndef LEASH_TLS_SUITE_H
#define LEASH_TLS_SUITE_H

#include <stddef.h>
#include <stdint.h>

#define LEASH_TLS_SUITE_TEXT 48

/**
 * leash_tls_suite_name() - IANA's name of a suite, or "0xc0a3" for one that is not in the list
 * Return: @buf, or a constant
 */
const char *leash_tls_suite_name(uint16_t suite, char buf[static LEASH_TLS_SUITE_TEXT]);

#endif
