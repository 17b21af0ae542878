/* SPDX-License-Identifier: MIT */
/*
 * A ClientHello comes in records, and its fields do not care where one record
 * ends (RFC 8446 section 5.1). The parser therefore never asks for a pointer to
 * some bytes: it walks the fragments byte by byte and keeps, for every vector it
 * is in, how many bytes of it are left.
 *
 * Two limits are told apart wherever a byte is taken. The vector or the message
 * ends first: its lengths do not add up, -EBADMSG. The stream ends first:
 * -EAGAIN. What is wrong is found as soon as it is there to be seen, so a caller
 * need not wait for the end of a hello that is none.
 *
 * It reads twice, first without an output: so @out stays untouched on failure
 * without a second copy of it on what may be a small signal stack.
 */
#include "shim/wire/tls_hello.h"

#include <errno.h>
#include <string.h>

#include "shim/wire/cursor.h"

#define RECORD_HANDSHAKE	22
#define RECORD_MAX		(16384u + 256)	/* RFC 8446 section 5.2 */
#define CLIENT_HELLO		1
#define SESSION_ID_MAX		32
#define HOST_NAME		0		/* RFC 6066 section 3: NameType */

enum extension {
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,				/* RFC 7301 */
	EXT_SESSION_TICKET = 35,		/* RFC 5077 */
	EXT_PRE_SHARED_KEY = 41,
	EXT_EARLY_DATA = 42,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_ECH = 0xfe0d
};

/* The handshake stream as it lies in its records. */
struct stream {
	struct leash_cur in;		/* not looked at yet */
	size_t record_left;		/* of the current record's body */
	size_t message_left;		/* of the hello */
	unsigned int records;
};

static int open_record(struct stream *s)
{
	uint32_t type, version, len;

	if (!leash_cur_uint(&s->in, 1, &type))
		return -EAGAIN;
	if (type != RECORD_HANDSHAKE)		/* an alert, a CCS, or no TLS at all */
		return -EBADMSG;
	if (!leash_cur_uint(&s->in, 2, &version) || !leash_cur_uint(&s->in, 2, &len))
		return -EAGAIN;
	if (len == 0 || len > RECORD_MAX)
		return -EBADMSG;
	/* Nothing may follow a hello in its record: the answer must come first. */
	if (len > s->message_left)
		return -EBADMSG;
	s->record_left = len;
	s->records++;
	return 0;
}

/* At most @len bytes that lie in one piece; @left is what the vector still holds */
static int take(struct stream *s, size_t *left, size_t len, const uint8_t **ret, size_t *ret_len)
{
	int rc;

	if (len > *left)
		return -EBADMSG;
	if (s->record_left == 0) {
		rc = open_record(s);
		if (rc < 0)
			return rc;
	}
	if (len > s->record_left)
		len = s->record_left;
	if (s->in.left < len)
		len = s->in.left;
	if (len == 0 || !leash_cur_take(&s->in, len, ret))
		return -EAGAIN;
	s->record_left -= len;
	s->message_left -= len;
	*left -= len;
	*ret_len = len;
	return 0;
}

static int skip(struct stream *s, size_t *left)
{
	const uint8_t *bytes;
	size_t len;
	int rc;

	while (*left) {
		rc = take(s, left, *left, &bytes, &len);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take_uint(struct stream *s, size_t *left, size_t size, uint32_t *ret)
{
	uint32_t value = 0;
	const uint8_t *byte;
	size_t len;
	int rc;

	for (size_t i = 0; i < size; i++) {
		rc = take(s, left, 1, &byte, &len);
		if (rc < 0)
			return rc;
		value = value << 8 | *byte;
	}
	*ret = value;
	return 0;
}

/* Open a vector with a length of @size bytes; its bytes count as gone from @left at once */
static int open_vec(struct stream *s, size_t *left, size_t size, size_t *ret_left)
{
	uint32_t len;
	int rc;

	rc = take_uint(s, left, size, &len);
	if (rc < 0)
		return rc;
	if (len > *left)
		return -EBADMSG;
	*left -= len;
	*ret_left = len;
	return 0;
}

/* A vector that fills the rest of @left and is not empty */
static int open_rest(struct stream *s, size_t left, size_t size, size_t *ret_left)
{
	int rc;

	rc = open_vec(s, &left, size, ret_left);
	if (rc < 0)
		return rc;
	return left || *ret_left == 0 ? -EBADMSG : 0;
}

static bool is_grease(uint32_t value)	/* RFC 8701 */
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* The label that is being read: does it look like a number? */
struct label {
	size_t len;
	bool digits, hex;
};

static void label_add(struct label *label, uint8_t c)
{
	bool digit = c >= '0' && c <= '9';

	if (label->len == 0)
		label->hex = c == '0';
	else if (label->len == 1)
		label->hex = label->hex && c == 'x';
	else
		label->hex = label->hex && (digit || (c >= 'a' && c <= 'f'));
	label->digits = (label->len == 0 || label->digits) && digit;
	label->len++;
}

/*
 * A name whose last label is a number is what resolvers take as an address:
 * 127.0.0.1, 127.1, 0x7f000001.
 */
static bool label_is_number(const struct label *label)
{
	return label->digits || (label->hex && label->len >= 2);
}

static int read_server_name(struct stream *s, size_t left, struct leash_tls_hello *out)
{
	struct label label = {0};
	size_t list, name, len = 0;
	uint32_t value;
	int rc;

	rc = open_rest(s, left, 2, &list);
	if (rc < 0)
		return rc;
	rc = take_uint(s, &list, 1, &value);
	if (rc < 0)
		return rc;
	if (value != HOST_NAME)
		return -EBADMSG;
	rc = open_vec(s, &list, 2, &name);
	if (rc < 0)
		return rc;
	if (list || name == 0 || name >= sizeof(out->sni))
		return -EBADMSG;

	while (name) {
		rc = take_uint(s, &name, 1, &value);
		if (rc < 0)
			return rc;
		if (value <= ' ' || value >= 0x7f || value == ':' || value == '[' || value == ']')
			return -EBADMSG;
		if (value >= 'A' && value <= 'Z')
			value += 'a' - 'A';
		if (value == '.') {
			if (label.len == 0)
				return -EBADMSG;
			if (name == 0)
				break;		/* the root's dot is cut */
			label = (struct label){0};
		} else {
			label_add(&label, (uint8_t)value);
		}
		if (out)
			out->sni[len] = (char)value;
		len++;
	}
	if (label_is_number(&label))
		return -EBADMSG;
	if (out)
		out->sni_len = len;
	return 0;
}

static int read_alpn(struct stream *s, size_t left, struct leash_tls_hello *out)
{
	size_t list, name;
	bool full = false;
	uint32_t value;
	int rc;

	rc = open_rest(s, left, 2, &list);
	if (rc < 0)
		return rc;
	while (list) {
		bool keep = out != NULL, text = true;
		size_t len;

		rc = open_vec(s, &list, 1, &name);
		if (rc < 0)
			return rc;
		if (name == 0)
			return -EBADMSG;
		len = name;
		/* One that does not fit ends the list, or its order would lie. */
		full = full || (keep && len + 1 > sizeof(out->alpn) - out->alpn_len);
		keep = keep && !full;
		for (size_t i = 0; name; i++) {
			rc = take_uint(s, &name, 1, &value);
			if (rc < 0)
				return rc;
			text = text && value;
			if (keep)
				out->alpn[out->alpn_len + i] = (char)value;
		}
		if (keep && text)		/* a NUL inside could not be told from an end */
			out->alpn_len += len + 1;
		else if (keep)
			memset(out->alpn + out->alpn_len, 0, len);
	}
	return 0;
}

static int read_versions(struct stream *s, size_t left, struct leash_tls_hello *out)
{
	uint32_t version;
	size_t list;
	int rc;

	rc = open_rest(s, left, 1, &list);
	if (rc < 0)
		return rc;
	while (list) {
		rc = take_uint(s, &list, 2, &version);		/* one odd byte is no version */
		if (rc < 0)
			return rc;
		if (!out || is_grease(version) ||
		    out->version_count == sizeof(out->versions) / sizeof(out->versions[0]))
			continue;
		out->versions[out->version_count++] = (uint16_t)version;
	}
	return 0;
}

static int read_extension(struct stream *s, uint32_t type, size_t left,
			  struct leash_tls_hello *out)
{
	switch (type) {
	case EXT_SERVER_NAME:
		return read_server_name(s, left, out);
	case EXT_ALPN:
		return read_alpn(s, left, out);
	case EXT_SUPPORTED_VERSIONS:
		return read_versions(s, left, out);
	case EXT_SESSION_TICKET:
		if (out)
			out->ticket = true;
		break;
	case EXT_PRE_SHARED_KEY:
		if (out)
			out->psk = true;
		break;
	case EXT_EARLY_DATA:
		if (out)
			out->early_data = true;
		break;
	case EXT_ECH:
		if (out) {
			out->ech = true;
			out->ech_len = left;
		}
		break;
	default:			/* a number of the wire, not an enum of ours: skipped by length */
		break;
	}
	return skip(s, &left);
}

#define RANGE_BITS 2048			/* extension types looked at together: 256 bytes of stack */

/* Does a type of one range occur twice in the extensions, as far as they are here? */
static bool has_twin(struct stream s, size_t list, uint32_t range)
{
	uint8_t seen[RANGE_BITS / 8] = {0};
	uint32_t type;
	size_t body;

	while (list) {
		if (take_uint(&s, &list, 2, &type) < 0)
			return false;
		if (type / RANGE_BITS == range) {
			uint8_t *slot = &seen[type % RANGE_BITS / 8];
			uint8_t bit = (uint8_t)(1u << type % 8);

			if (*slot & bit)
				return true;
			*slot |= bit;
		}
		if (open_vec(&s, &list, 2, &body) < 0 || skip(&s, &body) < 0)
			return false;
	}
	return false;
}

static int read_extensions(struct stream *s, size_t list, struct leash_tls_hello *out)
{
	const struct stream start = *s;
	const size_t start_list = list;
	uint32_t once = 0, twice = 0;		/* ranges with one, with more extensions */
	uint32_t type;
	size_t body;
	int rc = 0;

	while (list && rc == 0) {
		rc = take_uint(s, &list, 2, &type);
		if (rc < 0)
			break;
		twice |= once & 1u << type / RANGE_BITS;
		once |= 1u << type / RANGE_BITS;
		rc = open_vec(s, &list, 2, &body);
		if (rc < 0)
			break;
		rc = read_extension(s, type, body, out);
	}
	if (rc != 0 && rc != -EAGAIN)
		return rc;
	/* RFC 8446 section 4.2: no type twice. Linear, however many there are. */
	for (uint32_t range = 0; twice; range++, twice >>= 1) {
		if (twice & 1 && has_twin(start, start_list, range))
			return -EBADMSG;
	}
	return rc;
}

/* @out may be NULL: only look whether it is a hello */
static int read_hello(struct stream *s, struct leash_tls_hello *out)
{
	size_t header = 4, left, vec;
	uint32_t value;
	int rc;

	rc = take_uint(s, &header, 1, &value);
	if (rc < 0)
		return rc;
	if (value != CLIENT_HELLO)
		return -EBADMSG;
	rc = take_uint(s, &header, 3, &value);
	if (rc < 0)
		return rc;
	if (value > LEASH_HELLO_MAX || s->record_left > value)
		return -EBADMSG;
	s->message_left = left = value;
	if (out)
		out->message_len = left;

	rc = take_uint(s, &left, 2, &value);
	if (rc < 0)
		return rc;
	if (out)
		out->legacy_version = (uint16_t)value;
	for (size_t i = 0; i < sizeof(out->random); i++) {
		rc = take_uint(s, &left, 1, &value);
		if (rc < 0)
			return rc;
		if (out)
			out->random[i] = (uint8_t)value;
	}

	rc = open_vec(s, &left, 1, &vec);			/* legacy_session_id */
	if (rc < 0)
		return rc;
	if (vec > SESSION_ID_MAX)
		return -EBADMSG;
	if (out)
		out->session_id_len = vec;
	rc = skip(s, &vec);
	if (rc < 0)
		return rc;

	rc = open_vec(s, &left, 2, &vec);			/* cipher_suites */
	if (rc < 0)
		return rc;
	if (vec == 0 || vec % 2)
		return -EBADMSG;
	if (out)
		out->cipher_suite_count = vec / 2;
	rc = skip(s, &vec);
	if (rc < 0)
		return rc;

	rc = open_vec(s, &left, 1, &vec);			/* legacy_compression_methods */
	if (rc < 0)
		return rc;
	if (vec == 0)
		return -EBADMSG;
	rc = skip(s, &vec);
	if (rc < 0)
		return rc;

	if (left == 0)						/* before RFC 3546: no extensions */
		return 0;
	rc = open_vec(s, &left, 2, &vec);
	if (rc < 0)
		return rc;
	if (left)
		return -EBADMSG;
	return read_extensions(s, vec, out);
}

int leash_tls_hello_parse(const void *buf, size_t len, struct leash_tls_hello *out)
{
	const struct stream start = {.in = leash_cur(buf, len), .message_left = SIZE_MAX};
	struct stream s = start;
	int rc;

	rc = read_hello(&s, NULL);
	if (rc < 0)
		return rc;

	memset(out, 0, sizeof(*out));
	s = start;
	rc = read_hello(&s, out);
	if (rc < 0)			/* somebody writes to @buf meanwhile: not the hello we judged */
		return rc;
	out->records = s.records;
	return (int)(len - s.in.left);
}

/*
 * RFC 9110 section 9, RFC 5789, WebDAV (RFC 4918, 3253, 5323), and what UPnP
 * devices in a LAN are asked. "PRI" is no request of HTTP/1.x but HTTP/2's preface.
 */
static const char methods[][12] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
	"SUBSCRIBE", "UNSUBSCRIBE", "NOTIFY", "M-SEARCH",
};

int leash_http_request_start(const void *buf, size_t len)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t method_len = strlen(methods[i]);
		size_t common = len < method_len ? len : method_len;

		if (common && memcmp(buf, methods[i], common))
			continue;
		if (len <= method_len)
			ret = -EAGAIN;
		else if (((const char *)buf)[method_len] == ' ')
			return 1;
	}
	return ret;
}
