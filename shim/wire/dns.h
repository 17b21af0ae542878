/* SPDX-License-Identifier: MIT */
/*
 * DNS messages of the program's own resolver (RFC 1035 section 4): which name
 * it asks for, and which addresses the answer gives. No allocation, outputs are
 * untouched on failure, compression loops are refused (RFC 9267).
 */
#ifndef LEASH_DNS_H
#define LEASH_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASH_DNS_NAME_SIZE 254
#define LEASH_DNS_A 1
#define LEASH_DNS_CNAME 5
#define LEASH_DNS_PTR 12
#define LEASH_DNS_AAAA 28
#define LEASH_DNS_SVCB 64
#define LEASH_DNS_HTTPS 65

struct leash_dns_question {
	uint16_t id;
	bool response;			/* QR bit */
	uint16_t type;
	char name[LEASH_DNS_NAME_SIZE];	/* text, lower case, without the root dot; "" is the root */
	size_t name_len;
	size_t end;			/* bytes up to the end of the question section */
};

/**
 * leash_dns_question_parse() - The one question of a message
 *
 * A label with a byte that no host name has (dot, NUL, space, above 127) makes
 * the message malformed: its text would be ambiguous. A *query* must have
 * opcode 0, exactly one question of class IN, no answer and no authority records;
 * in its additional section at most one OPT record (EDNS, RFC 6891) is accepted and
 * no bytes behind that.
 *
 * Return: 0, -EBADMSG
 */
int leash_dns_question_parse(const void *buf, size_t len, struct leash_dns_question *out);

struct leash_dns_answer {
	uint8_t family;			/* 4 or 6 */
	uint8_t addr[16];
	uint32_t ttl_s;
};

/**
 * leash_dns_answers_parse() - Addresses that an answer gives for its question's name
 * @out:	At most @out_max addresses, following CNAMEs from the question's name inside
 *		the message, in any order of records, at most 16 links
 *
 * Return: number of addresses (0 for NXDOMAIN, NODATA or an error code), -EBADMSG
 */
int leash_dns_answers_parse(const void *buf, size_t len, struct leash_dns_answer *out,
			    size_t out_max);

/** leash_dns_reverse_name() - Address of an in-addr.arpa or ip6.arpa name.
 *  Return: 4 or 6 with @ret_addr filled, 0 if @name is no complete reverse name */
int leash_dns_reverse_name(const char *name, uint8_t ret_addr[static 16]);

#endif
