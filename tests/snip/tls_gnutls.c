/* build: -lgnutls */
/* SPDX-License-Identifier: MIT */
/*
 * GnuTLS's other ways to send and to receive: tls_gnutls WAY HOST PORT PATH
 *
 *	cork	the request in three pieces, corked; how many bytes uncork says
 *	send2	with padding; send_range: within a range
 *	seq	gnutls_record_recv_seq(); packet: gnutls_record_recv_packet()
 *	pending	gnutls_record_check_pending() keeps its promise; the socket does not block
 *	again	an upload on a socket that does not block, its retries with (NULL, 0)
 */
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gnutls_session_t session;
static int fd;

static void die(const char *what, int error)
{
	printf("failed %s %s\n", what, error < 0 ? gnutls_strerror(error) : "");
	exit(1);
}

static void dial(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		die("getaddrinfo", 0);
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		die("connect", 0);
	freeaddrinfo(list);
}

static void ready(short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (poll(&p, 1, 20000) != 1)
		die("poll: it stands still", 0);
}

static void send_all(const char *at, size_t len, int nothing)
{
	int waiting = 0;

	while (len) {
		ssize_t n = waiting && nothing ? gnutls_record_send(session, NULL, 0) :
						 gnutls_record_send(session, at, len);

		waiting = n == GNUTLS_E_AGAIN;
		if (waiting) {
			ready(POLLOUT);
			continue;
		}
		if (n <= 0)
			die("gnutls_record_send", (int)n);
		at += n;
		len -= (size_t)n;
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	gnutls_certificate_credentials_t cred;
	unsigned char seq[8];
	char text[1000], got[4000], *body;
	gnutls_packet_t packet;
	gnutls_datum_t data;
	ssize_t n;
	int len, promised = 0;

	if (argc < 5)
		return 2;
	gnutls_certificate_allocate_credentials(&cred);
	gnutls_init(&session, GNUTLS_CLIENT);
	gnutls_server_name_set(session, GNUTLS_NAME_DNS, argv[2], strlen(argv[2]));
	gnutls_set_default_priority(session);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, cred);
	dial(argv[2], argv[3]);
	gnutls_transport_set_int(session, fd);
	do
		len = gnutls_handshake(session);
	while (len == GNUTLS_E_AGAIN || len == GNUTLS_E_INTERRUPTED);
	if (len != 0)
		die("gnutls_handshake", len);
	len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\nReferer: mine\r\nConnection: close\r\n%s\r\n",
		       strcmp(way, "again") == 0 ? "POST" : "GET", argv[4], argv[2],
		       strcmp(way, "again") == 0 ? "Content-Length: 3000000\r\n" : "");
	if (strcmp(way, "again") == 0 || strcmp(way, "pending") == 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (strcmp(way, "cork") == 0) {
		gnutls_record_cork(session);
		send_all(text, 10, 0);
		send_all(text + 10, 20, 0);
		send_all(text + 30, (size_t)len - 30, 0);
		printf("uncorked %d of %d\n", gnutls_record_uncork(session, GNUTLS_RECORD_WAIT), len);
	} else if (strcmp(way, "send2") == 0) {
		if (gnutls_record_send2(session, text, (size_t)len, 100, 0) != len)
			die("gnutls_record_send2", 0);
	} else {
		send_all(text, (size_t)len, 1);
	}
	if (strcmp(way, "again") == 0) {
		body = calloc(1, 3000000);
		send_all(body, 3000000, 1);
		free(body);
	}
	for (;;) {
		if (strcmp(way, "packet") == 0) {
			n = gnutls_record_recv_packet(session, &packet);
			if (n > 0) {
				gnutls_packet_get(packet, &data, seq);
				fwrite(data.data, 1, data.size, stdout);
				gnutls_packet_deinit(packet);
				if (data.size != (size_t)n)
					die("packet", 0);
				continue;
			}
		} else if (strcmp(way, "seq") == 0) {
			n = gnutls_record_recv_seq(session, got, sizeof(got), seq);
		} else {
			n = gnutls_record_recv(session, got, promised && promised < 100 ? (size_t)promised : 100);
			if (n < 0 && promised)
				die("a promised byte", (int)n);
			promised = strcmp(way, "pending") == 0 ? (int)gnutls_record_check_pending(session) : 0;
		}
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
			ready(POLLIN);
			continue;
		}
		if (n <= 0)
			break;
		fwrite(got, 1, (size_t)n, stdout);
	}
	if (n < 0 && n != GNUTLS_E_PREMATURE_TERMINATION)
		die("receive", (int)n);
	gnutls_bye(session, GNUTLS_SHUT_WR);
	gnutls_deinit(session);
	return 0;
}
