/* SPDX-License-Identifier: MIT */
/* The facts of a request, out of its complete lines. */
#include "shim/wire/http1_inner.h"

/* uri-host [":" port], stricter than RFC 3986: no user info, no percent signs */
static bool read_host(struct leash_http1_text text, struct leash_http1_host *host)
{
	const uint8_t *at = text.at;
	size_t len = text.len, name_len, i;

	host->bracketed = len && at[0] == '[';
	if (host->bracketed) {
		for (i = 1; i < len && (hex(at[i]) >= 0 || at[i] == ':' || at[i] == '.'); i++)
			;
		if (i == len || at[i] != ']')
			return false;
		name_len = i - 1;
		at++;
		i++;
	} else {
		i = name_len = span_of(at, len, C_HOST);
	}
	if (name_len >= sizeof(host->name))
		return false;
	host->port = -1;
	if (i < len) {
		int32_t port = 0;

		if (text.at[i] != ':' || len - i > 6)
			return false;
		for (size_t j = i + 1; j < len; j++) {
			if (!is_digit(text.at[j]))
				return false;
			port = port * 10 + (text.at[j] - '0');
		}
		if (port > 65535)
			return false;
		if (len - i > 1)
			host->port = port;
	}
	memcpy(host->name, at, name_len);
	host->name[name_len] = '\0';
	host->name_len = (uint16_t)name_len;
	host->present = true;
	return true;
}

void leash_http1_reset(struct leash_http1_request *facts)
{
	/* what is behind is text, and ended by what is here or by a NUL at its front */
	memset(facts, 0, offsetof(struct leash_http1_request, method));
	facts->content_length = -1;
	facts->method[0] = '\0';
	facts->target[0] = '\0';
	facts->host.present = false;
	facts->host.name_len = 0;
	facts->host.name[0] = '\0';
	facts->host.port = -1;
	facts->host.bracketed = false;
	facts->target_host.present = false;
	facts->target_host.name_len = 0;
	facts->target_host.name[0] = '\0';
	facts->target_host.port = -1;
	facts->target_host.bracketed = false;
}

static int read_target(struct leash_http1 *http, const uint8_t *at, size_t len)
{
	struct leash_http1_request *facts = &http->facts;
	size_t scheme = 0, from, i;

	facts->target_len = len;
	i = len < sizeof(facts->target) ? len : sizeof(facts->target) - 1;
	memcpy(facts->target, at, i);
	facts->target[i] = '\0';
	if (at[0] == '/' || (at[0] == '*' && len == 1))
		return 0;

	/* absolute form (RFC 9112 section 3.2.2) */
	while (scheme < len && (is_alpha(at[scheme]) || (scheme && (is_digit(at[scheme]) ||
	       at[scheme] == '+' || at[scheme] == '-' || at[scheme] == '.'))))
		scheme++;
	if (scheme == 0 || len - scheme < 3 || memcmp(at + scheme, "://", 3))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	from = scheme + 3;
	for (i = from; i < len && at[i] != '/' && at[i] != '?' && at[i] != '#'; i++)
		;
	if (!read_host((struct leash_http1_text){at + from, i - from}, &facts->target_host) ||
	    facts->target_host.name_len == 0)
		return refuse(http, LEASH_HTTP1_TARGET);
	return 0;
}

int leash_http1_read_start(struct leash_http1 *http, const uint8_t *line, size_t len)
{
	struct leash_http1_request *facts = &http->facts;
	size_t method = span_of(line, len, C_TOKEN), target;
	const uint8_t *at = line + method + 1, *version;

	leash_http1_reset(facts);
	if (leash_http1_is_method(line, method, "PRI"))
		return refuse(http, LEASH_HTTP1_H2_PREFACE);
	if (leash_http1_is_method(line, method, "CONNECT"))
		return refuse(http, LEASH_HTTP1_CONNECT);
	if (method == 0 || method == len || line[method] != ' ')
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	if (method >= sizeof(facts->method))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	target = span_visible(at, len - method - 1, ' ');
	if (target == 0)
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	/* HTTP/0.9: some servers answer at once, some read a header. Neither guess is safe. */
	if (method + 1 + target == len)
		return refuse(http, LEASH_HTTP1_VERSION);
	version = at + target;
	if (*version != ' ')
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	version++;
	len -= method + target + 2;
	if (len != 8 || memcmp(version, "HTTP/", 5) || !is_digit(version[5]) || version[6] != '.' ||
	    !is_digit(version[7]))
		return refuse(http, LEASH_HTTP1_REQUEST_LINE);
	if (version[5] != '1' || version[7] > '1')
		return refuse(http, LEASH_HTTP1_VERSION);
	facts->minor = (uint8_t)(version[7] - '0');
	memcpy(facts->method, line, method);
	facts->method[method] = '\0';
	return read_target(http, at, target);
}

static int read_length(struct leash_http1 *http, struct leash_http1_text value)
{
	struct leash_http1_request *facts = &http->facts;
	int64_t length;

	if (facts->transfer_encoding)
		return refuse(http, LEASH_HTTP1_LENGTH_AND_ENCODING);
	if (leash_http1_number(value, &length) < 0)
		return refuse(http, LEASH_HTTP1_BAD_LENGTH);
	if (facts->content_length >= 0 && facts->content_length != length)
		return refuse(http, LEASH_HTTP1_TWO_LENGTHS);
	facts->content_length = length;
	return 0;
}

static int read_encoding(struct leash_http1 *http, struct leash_http1_text value)
{
	static const char *const others[] = {"gzip", "deflate", "compress", "x-gzip", "x-compress"};
	struct leash_http1_request *facts = &http->facts;
	struct leash_http1_text one;

	if (facts->content_length >= 0)
		return refuse(http, LEASH_HTTP1_LENGTH_AND_ENCODING);
	facts->transfer_encoding = true;
	/* RFC 9112 section 6.1: an HTTP/1.0 server does not read it */
	if (facts->minor == 0)
		return refuse(http, LEASH_HTTP1_BAD_ENCODING);
	while (leash_http1_element(&value, &one)) {
		bool known = false;

		if (facts->chunked)	/* something behind it, or a second one */
			return refuse(http, LEASH_HTTP1_BAD_ENCODING);
		facts->chunked = leash_http1_equal(one, "chunked");
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			known = known || leash_http1_equal(one, others[i]);
		if (!facts->chunked && !known)
			return refuse(http, LEASH_HTTP1_BAD_ENCODING);
	}
	return 0;
}

static int read_connection(struct leash_http1 *http, struct leash_http1_text value)
{
	struct leash_http1_text one;

	while (leash_http1_element(&value, &one)) {
		if (leash_http1_equal(one, "upgrade"))
			http->facts.connection_upgrade = true;
		else if (leash_http1_equal(one, "close"))
			http->facts.close = true;
		/* RFC 9110 section 7.6.1: a proxy drops the fields that are named here */
		else if (http->rewrite && leash_http1_equal(one, "referer"))
			return refuse(http, LEASH_HTTP1_CONNECTION);
	}
	return 0;
}

static void read_type(struct leash_http1_request *facts, struct leash_http1_text value)
{
	const uint8_t *semicolon = value.len ? memchr(value.at, ';', value.len) : NULL;
	size_t type_len = semicolon ? (size_t)(semicolon - value.at) : value.len;
	struct leash_http1_text boundary;

	if (!leash_http1_equal(trim(value.at, type_len), "multipart/form-data"))
		return;
	facts->multipart = true;
	if (facts->boundary_len || !leash_http1_param(value, "boundary", &boundary))
		return;
	facts->boundary_len = (uint8_t)(boundary.len < sizeof(facts->boundary) ? boundary.len :
					sizeof(facts->boundary));
	memcpy(facts->boundary, boundary.at, facts->boundary_len);
}

int leash_http1_read_field(struct leash_http1 *http, const uint8_t *line, size_t len,
		      struct leash_http1_token *out)
{
	struct leash_http1_request *facts = &http->facts;
	struct leash_http1_text value;
	unsigned int upgrade;

	if (leash_http1_field(line, len, &out->name, &value) < 0)
		return refuse(http, LEASH_HTTP1_FIELD_NAME);
	switch (out->name) {
	case LEASH_HTTP1_REFERER:
		out->drop = http->rewrite;
		return 0;
	case LEASH_HTTP1_HOST:
		if (facts->host.present)
			return refuse(http, LEASH_HTTP1_TWO_HOSTS);
		if (!read_host(value, &facts->host))
			return refuse(http, LEASH_HTTP1_BAD_HOST);
		http->host_at = value.at;
		http->host_len = value.len;
		return 0;
	case LEASH_HTTP1_CONTENT_LENGTH:
		return read_length(http, value);
	case LEASH_HTTP1_TRANSFER_ENCODING:
		return read_encoding(http, value);
	case LEASH_HTTP1_CONTENT_TYPE:
		read_type(facts, value);
		return 0;
	case LEASH_HTTP1_UPGRADE:
		upgrade = leash_http1_upgrade(value);
		out->drop = http->rewrite && (upgrade & LEASH_UPGRADE_H2C);
		if (out->drop)
			facts->h2c_dropped = true;
		else
			facts->upgrade |= upgrade;
		return 0;
	case LEASH_HTTP1_CONNECTION_FIELD:
		return read_connection(http, value);
	case LEASH_HTTP1_WEBSOCKET_KEY:
		facts->websocket_key = true;
		return 0;
	case LEASH_HTTP1_EXPECT:
		facts->expect_continue = facts->expect_continue ||
					 leash_http1_equal(value, "100-continue");
		return 0;
	case LEASH_HTTP1_RANGE:
		facts->range = true;
		return 0;
	case LEASH_HTTP1_OTHER:
	case LEASH_HTTP1_CONTENT_ENCODING:
	case LEASH_HTTP1_CONTENT_RANGE:
	case LEASH_HTTP1_WEBSOCKET_ACCEPT:
		return 0;
	}
	return refuse(http, LEASH_HTTP1_FIELD_NAME);
}

size_t leash_http1_again(struct leash_http1 *http, const uint8_t *buf, size_t len)
{
	const struct leash_http1_fields *fields = &http->fields;
	const struct leash_http1_text host = {fields->text + fields->host_at, fields->host_len};
	const size_t empty = fields->len && fields->text[fields->len - 2] == '\r' ? 2 : 1;

	if (http->state != STATE_FIELDS || http->lines || fields->len == 0 || len < fields->len ||
	    (http->held_len && !http->held_out) || memcmp(buf, fields->text, fields->len) != 0)
		return 0;
	/* Its bytes are in the facts of whatever request came last. */
	if (!read_host(host, &http->facts.host))
		return 0;
	http->facts.close = fields->close;
	http->facts.connection_upgrade = fields->connection_upgrade;
	http->held_len = 0;
	http->held_out = false;
	return fields->len - empty;
}

void leash_http1_keep(struct leash_http1 *http, const uint8_t *buf, size_t len)
{
	const struct leash_http1_request *facts = &http->facts;
	struct leash_http1_fields *fields = &http->fields;

	fields->len = 0;
	if (len > sizeof(fields->text) || !facts->host.present || facts->content_length >= 0 ||
	    facts->transfer_encoding || facts->upgrade || facts->boundary_len || facts->websocket_key ||
	    facts->expect_continue || facts->range || facts->multipart || facts->h2c_dropped)
		return;
	memcpy(fields->text, buf, len);
	fields->host_at = (uint8_t)(http->host_at - buf);
	fields->host_len = (uint8_t)http->host_len;
	fields->close = facts->close;
	fields->connection_upgrade = facts->connection_upgrade;
	fields->len = (uint8_t)len;
}

int leash_http1_read_trailer(struct leash_http1 *http, const uint8_t *line, size_t len,
			struct leash_http1_token *out)
{
	struct leash_http1_text value;

	if (leash_http1_field(line, len, &out->name, &value) < 0)
		return refuse(http, LEASH_HTTP1_FIELD_NAME);
	/* RFC 9110 section 6.5.1; some servers merge a trailer into the header all the same */
	if (out->name == LEASH_HTTP1_HOST || out->name == LEASH_HTTP1_CONTENT_LENGTH ||
	    out->name == LEASH_HTTP1_TRANSFER_ENCODING)
		return refuse(http, LEASH_HTTP1_TRAILER);
	out->drop = http->rewrite && out->name == LEASH_HTTP1_REFERER;
	return 0;
}
