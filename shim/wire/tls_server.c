/* SPDX-License-Identifier: MIT */
#include "shim/wire/tls_server.h"

#include <errno.h>
#include <string.h>

#include "shim/wire/cursor.h"

enum message {
	SERVER_HELLO = 2,
	NEW_SESSION_TICKET = 4,
	CERTIFICATE = 11,
	SERVER_KEY_EXCHANGE = 12,
	CERTIFICATE_REQUEST = 13,
	SERVER_HELLO_DONE = 14,
	CERTIFICATE_STATUS = 22,	/* RFC 6066 section 8 */
	SUPPLEMENTAL_DATA = 23,		/* RFC 4680 */
};

#define EXT_ALPN 16
#define EXT_SUPPORTED_VERSIONS 43
#define TLS_1_3 0x0304
#define MESSAGE_MAX (LEASH_SERVER_CHAIN_MAX + 16)

/* RFC 8446 section 4.1.3: SHA-256 of "HelloRetryRequest" */
static const uint8_t retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

/* RFC 8446 section 4.1.3: what a server that could have done better writes */
static bool has_sentinel(const uint8_t random[static 32])
{
	return memcmp(random + 24, "DOWNGRD", 7) == 0 && random[31] <= 1;
}

static bool parse_extension(uint32_t type, struct leash_cur body, struct leash_tls_server *out)
{
	struct leash_cur list, name;
	uint32_t version;

	if (type == EXT_SUPPORTED_VERSIONS) {
		if (!leash_cur_uint(&body, 2, &version) || body.left)
			return false;
		out->version = (uint16_t)version;
	} else if (type == EXT_ALPN) {
		/* RFC 7301 section 3.1: exactly one name */
		if (!leash_cur_vec(&body, 2, &list) || body.left || !leash_cur_vec(&list, 1, &name) ||
		    list.left || name.left == 0)
			return false;
		memcpy(out->alpn, name.at, name.left);
		out->alpn[name.left] = '\0';
	}
	return true;
}

/* An extension twice is malformed (RFC 8446 section 4.2); the list is short, so it is searched. */
static bool seen_before(struct leash_cur all, const uint8_t *until, uint32_t type)
{
	struct leash_cur body;
	uint32_t other;

	while (all.at < until && leash_cur_uint(&all, 2, &other) && leash_cur_vec(&all, 2, &body) &&
	       all.at <= until)
		if (other == type)
			return true;
	return false;
}

static bool parse_hello(struct leash_cur body, struct leash_tls_server *out)
{
	struct leash_cur session, extensions, all, extension;
	const uint8_t *random;
	uint32_t version, cipher, compression, type;

	if (!leash_cur_uint(&body, 2, &version) || !leash_cur_take(&body, 32, &random) ||
	    !leash_cur_vec(&body, 1, &session) || session.left > 32 ||
	    !leash_cur_uint(&body, 2, &cipher) || !leash_cur_uint(&body, 1, &compression))
		return false;
	out->legacy_version = out->version = (uint16_t)version;
	out->cipher = (uint16_t)cipher;
	out->session_id_len = session.left;
	memcpy(out->random, random, sizeof(out->random));
	out->retry = memcmp(random, retry_random, sizeof(retry_random)) == 0;
	if (body.left == 0)
		return true;			/* no extensions: TLS 1.2 and below */
	if (!leash_cur_vec(&body, 2, &extensions) || body.left)
		return false;
	all = extensions;
	while (extensions.left) {
		const uint8_t *start = extensions.at;

		if (!leash_cur_uint(&extensions, 2, &type) || !leash_cur_vec(&extensions, 2, &extension) ||
		    seen_before(all, start, type) || !parse_extension(type, extension, out))
			return false;
	}
	/* Below 1.3 supported_versions has no place in it (RFC 8446 section 4.2.1). */
	if (out->version != out->legacy_version && out->version < TLS_1_3)
		return false;
	out->downgraded = out->version < TLS_1_3 && has_sentinel(out->random);
	return !out->retry || out->version >= TLS_1_3;
}

static bool parse_certificates(struct leash_cur body, struct leash_tls_server *out)
{
	struct leash_cur list, cert;

	if (out->certificate || !leash_cur_vec(&body, 3, &list) || body.left || list.left == 0 ||
	    list.left > LEASH_SERVER_CHAIN_MAX)
		return false;
	while (list.left) {
		if (out->cert_count == LEASH_SERVER_CERTS_MAX || !leash_cur_vec(&list, 3, &cert) ||
		    cert.left == 0)
			return false;
		out->certs[out->cert_count++] =
			(struct leash_tls_cert){.bytes = cert.at, .len = cert.left};
	}
	out->certificate = true;
	return true;
}

/* A message below TLS 1.3 behind the ServerHello. Return: 1 it was the last, 0 go on */
static int parse_message(uint32_t type, struct leash_cur body, struct leash_tls_server *out)
{
	switch (type) {
	case CERTIFICATE:
		return parse_certificates(body, out) ? 0 : -EBADMSG;
	case SERVER_HELLO_DONE:
		return body.left == 0 ? 1 : -EBADMSG;
	case NEW_SESSION_TICKET:
	case SERVER_KEY_EXCHANGE:
	case CERTIFICATE_REQUEST:
	case CERTIFICATE_STATUS:
	case SUPPLEMENTAL_DATA:
		return 0;
	}
	return -EBADMSG;
}

static bool take_message(struct leash_cur *in, uint32_t *ret_type, struct leash_cur *ret_body)
{
	struct leash_cur copy = *in;

	if (!leash_cur_uint(&copy, 1, ret_type) || !leash_cur_vec(&copy, 3, ret_body))
		return false;
	*in = copy;
	return true;
}

/* Could what is there still become a message? Its type and length are judged as soon as they are
 * there, so that nobody waits for sixteen megabytes. */
static bool hopeless(struct leash_cur in, bool first)
{
	uint32_t type, len;

	if (!leash_cur_uint(&in, 1, &type))
		return false;
	if (first && type != SERVER_HELLO)
		return true;
	return leash_cur_uint(&in, 3, &len) && len > MESSAGE_MAX;
}

static int parse(struct leash_cur in, size_t len, bool ended, struct leash_tls_server *out)
{
	struct leash_cur body;
	uint32_t type;
	int ret;

	if (hopeless(in, true))
		return -EBADMSG;
	if (!take_message(&in, &type, &body))
		return ended ? -EBADMSG : -EAGAIN;
	if (!parse_hello(body, out))
		return -EBADMSG;
	out->types = 1u << SERVER_HELLO;
	if (out->version >= TLS_1_3)
		return (int)(len - in.left);
	for (;;) {
		if (hopeless(in, false))
			return -EBADMSG;
		if (!take_message(&in, &type, &body)) {
			if (!ended)
				return -EAGAIN;
			/* Cut off inside a message, or where the server had more to say. */
			if (in.left || (out->types & ~(1u << SERVER_HELLO | 1u << NEW_SESSION_TICKET |
						       1u << SUPPLEMENTAL_DATA)))
				return -EBADMSG;
			return (int)len;
		}
		ret = parse_message(type, body, out);
		if (ret < 0)
			return ret;
		out->types |= 1u << type;
		if (ret)
			return (int)(len - in.left);
	}
}

int leash_tls_server_parse(const void *stream, size_t len, bool ended, struct leash_tls_server *out)
{
	struct leash_tls_server found;
	int ret;

	memset(&found, 0, sizeof(found));
	ret = parse(leash_cur(stream, len), len, ended, &found);
	if (ret >= 0)
		*out = found;
	return ret;
}
