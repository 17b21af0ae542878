/* SPDX-License-Identifier: MIT */
/* netleash cert: where the chain comes from, a server or a file. */
#include "shim/launch/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX      (4u << 20)
#define ADDRESSES_MAX 8 /* of a name; the first that answers is taken */

/* -------------------------------------------------------------------- a server */

static int poll_fd(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, timeout_ms);
}

static int probe(const struct leash_cert_work *work, const struct addrinfo *at,
		 const struct leash_cert_target *target, uint16_t version,
		 struct leash_probe_out *out)
{
	static const struct leash_verify_calls calls = {
		.socket = socket,
		.connect = connect,
		.send = send,
		.recv = recv,
		.close = close,
		.poll_fd = poll_fd,
	};
	const struct leash_probe_in in = {
		.addr = at->ai_addr,
		.addr_len = at->ai_addrlen,
		.sni = target->name[0] ? target->name : NULL,
		.timeout_ms = work->wish->timeout_ms,
		.min_version = version,
		.max_version = version,
	};

	return work->verifier->probe(&calls, &in, out);
}

static void tell_trouble(const struct leash_cert_work *work, int error,
			 struct leash_cert_seen *seen)
{
	const bool by_server = strncmp(seen->probe.alert, "alert ", 6) == 0;

	if (error == -ETIMEDOUT && seen->probe.connected)
		snprintf(seen->trouble, sizeof(seen->trouble),
			 "%s: no answer within %d s, though it took the connection: does it speak TLS on "
			 "this port?",
			 seen->address, work->wish->timeout_ms / 1000);
	else if (error == -ETIMEDOUT)
		snprintf(seen->trouble, sizeof(seen->trouble),
			 "%s: no answer within %d s: is the port right, does a firewall drop it?",
			 seen->address, work->wish->timeout_ms / 1000);
	else if (seen->probe.alert[0])
		snprintf(seen->trouble, sizeof(seen->trouble), "%s: no TLS handshake: %s%s",
			 seen->address, seen->probe.alert,
			 by_server ? "" : ": does it speak TLS on this port?");
	else
		snprintf(seen->trouble, sizeof(seen->trouble), "%s: %s", seen->address,
			 strerror(-error));
}

/* One version at a time. A server too old for the handshake of a client still shows its chain. */
static void try_versions(const struct leash_cert_work *work, const struct addrinfo *at,
			 const struct leash_cert_target *target, struct leash_cert_seen *seen)
{
	seen->has_versions = true;
	for (int i = LEASH_CERT_VERSIONS - 1; i >= 0; i--) {
		uint16_t version = (uint16_t)(LEASH_CERT_VERSION_FIRST + i);
		struct leash_probe_out out;

		if (seen->probe.handshake_reached && seen->probe.version == version) {
			seen->version[i] = true;
			continue;
		}
		seen->version[i] = probe(work, at, target, version, &out) == 0;
		if (seen->version[i] && !seen->probe.handshake_reached)
			seen->probe = out;
		else
			work->verifier->release(&out);
	}
}

static bool look_at(const struct leash_cert_work *work, const struct addrinfo *at,
		    const struct leash_cert_target *target, struct leash_cert_seen *seen)
{
	char host[LEASH_ADDR_TEXT_SIZE];
	int error = getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof(host), NULL, 0,
				NI_NUMERICHOST);

	snprintf(seen->address, sizeof(seen->address),
		 at->ai_family == AF_INET6 ? "[%s]:%u" : "%s:%u", error ? "?" : host, target->port);
	error = probe(work, at, target, 0, &seen->probe);
	if (error < 0 && error != -EPROTO) {
		tell_trouble(work, error, seen);
		return false;
	}
	if (error < 0)
		tell_trouble(work, error, seen);
	try_versions(work, at, target, seen);
	if (seen->probe.handshake_reached)
		seen->trouble[0] = '\0';
	return true;
}

void leash_cert_visit(const struct leash_cert_work *work, const struct leash_cert_target *target,
		      struct leash_cert_seen *seen)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (target->name[0] ? 0 : AI_NUMERICHOST),
	};
	char host[LEASH_ADDR_TEXT_SIZE], port[8];
	struct addrinfo *list;
	int error, tried = 0;

	snprintf(port, sizeof(port), "%u", target->port);
	if (!target->name[0])
		leash_addr_text(&target->addr, host);
	error = getaddrinfo(target->name[0] ? target->name : host, port, &hints, &list);
	if (error) {
		snprintf(seen->trouble, sizeof(seen->trouble), "the name cannot be resolved: %s",
			 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return;
	}
	for (const struct addrinfo *at = list; at && tried < ADDRESSES_MAX; at = at->ai_next) {
		tried++;
		if (look_at(work, at, target, seen))
			break;
	}
	freeaddrinfo(list);
}

/* ---------------------------------------------------------------------- a file */

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 7468: decodes in place of the text, which is longer. -EBADMSG: not base64 */
static int decode(const char *text, const char *end, uint8_t *to, size_t *ret_len)
{
	uint32_t bits = 0;
	size_t len = 0;
	int have = 0, padding = 0;

	for (; text < end; text++) {
		int digit = digit_of(*text);

		if (*text == '=') {
			padding++;
			continue;
		}
		if (digit < 0 && strchr(" \t\r\n", *text))
			continue;
		if (digit < 0 || padding)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[len++] = (uint8_t)(bits >> have);
		}
	}
	*ret_len = len;
	return len && padding <= 2 ? 0 : -EBADMSG;
}

static int read_all(const char *path, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	char *text = malloc(FILE_MAX + 1);
	size_t len = 0;

	if (fd < 0 || !text)
		error = fd < 0 ? -errno : -ENOMEM;
	while (!error && len <= FILE_MAX) {
		ssize_t n = read(fd, text + len, FILE_MAX + 1 - len);

		if (n < 0 && errno != EINTR)
			error = -errno;
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	if (!error && len > FILE_MAX)
		error = -EFBIG;
	if (fd >= 0)
		close(fd);
	if (error) {
		free(text);
		return error;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static unsigned int line_of(const char *text, const char *at)
{
	unsigned int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* The certificates of a PEM text; the bytes stay in it. */
static int take_pem(const char *path, char *text, struct leash_probe_out *out)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----",
			  end[] = "-----END CERTIFICATE-----";
	char *at = text;
	unsigned int line = 1, next;
	const char *counted = text;

	while ((at = strstr(at, begin)) != NULL) {
		char *start = at + sizeof(begin) - 1, *stop = strstr(start, end);
		struct leash_der *cert = &out->certs[out->cert_count];

		/* Counted before the text is overwritten. */
		line += line_of(counted, at) - 1;
		next = line + (stop ? line_of(at, stop) - 1 : 0);
		if (out->cert_count == LEASH_CHAIN_MAX) {
			leash_say("%s:%u: more than %d certificates", path, line, LEASH_CHAIN_MAX);
			return -EBADMSG;
		}
		if (!stop || decode(start, stop, (uint8_t *)start, &cert->len) < 0) {
			leash_say("%s:%u: this certificate is damaged: %s", path, line,
				  stop ? "it is not base64" : "its end is missing");
			return -EBADMSG;
		}
		cert->bytes = (const uint8_t *)start;
		out->cert_count++;
		line = next;
		counted = stop;
		at = stop + sizeof(end) - 1;
	}
	return 0;
}

int leash_cert_read(const char *path, struct leash_cert_seen *seen)
{
	struct leash_probe_out *out = &seen->probe;
	char *text = NULL;
	size_t len = 0;
	int error = read_all(path, &text, &len);

	if (error < 0) {
		leash_say("%s: %s", path, strerror(-error));
		return LEASH_EXIT_SYSTEM;
	}
	out->store = (uint8_t *)text;
	if (len > 4 && text[0] == 0x30) { /* DER: SEQUENCE */
		out->certs[0] = (struct leash_der){.bytes = out->store, .len = len};
		out->cert_count = 1;
	} else if (take_pem(path, text, out) < 0) {
		return LEASH_EXIT_USAGE;
	}
	if (out->cert_count == 0) {
		leash_say("%s: there is no certificate in it (-----BEGIN CERTIFICATE-----)", path);
		return LEASH_EXIT_USAGE;
	}
	out->handshake_reached = true;
	return LEASH_EXIT_OK;
}
