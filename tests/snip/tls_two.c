/* build: -lssl -lcrypto -ldl */
/* SPDX-License-Identifier: MIT */
/*
 * Two OpenSSL in one process: 3, linked, and the stub of 1.1.1, opened.
 *
 *	tls_two WAY HOST STUB
 *
 * A real handshake with HOST by 3; then one by the stub, which claims the same hello and shows a chain:
 * good (HOST's own), bad (a byte of the leaf turned), none, unknown (another random), resumed (the
 * good one, never verified), resumed-none, elsewhere (the program verifies the good one itself in
 * the middle, the peer has shown another), quic, callback (bad, and a verify callback that says yes)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void *stub;

static void *get(const char *name)
{
	void *found = dlvsym(stub, name, "OPENSSL_1_1_0");

	if (!found)
		printf("no %s: %s\n", name, dlerror());
	return found;
}

static int yes(void *store, void *arg)
{
	printf("callback %s\n", (char *)arg);
	return 1;
}

int main(int argc, char *argv[])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	const char *way = argv[1];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	unsigned char random[32], der[10][4096], *at;
	const unsigned char *ders[10];
	STACK_OF(X509) *chain;
	int lens[10], count, ret, fd;
	void *ctx11, *ssl11;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || getaddrinfo(argv[2], "443", &hints, &list) != 0)
		return 2;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return 2;
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, argv[2]);
	printf("3: %d\n", SSL_connect(ssl));
	SSL_get_client_random(ssl, random, 32);
	chain = SSL_get_peer_cert_chain(ssl);
	count = sk_X509_num(chain);
	for (int i = 0; i < count; i++) {
		at = der[i];
		ders[i] = der[i];
		lens[i] = i2d_X509(sk_X509_value(chain, i), &at);
	}
	if (!strcmp(way, "bad") || !strcmp(way, "callback"))
		der[0][lens[0] - 1] ^= 1;
	if (!strcmp(way, "none") || !strcmp(way, "resumed-none"))
		count = 0;
	if (!strcmp(way, "unknown"))
		random[0] ^= 1;

	stub = dlopen(argv[3], RTLD_NOW | RTLD_LOCAL);
	if (!stub) {
		printf("%s\n", dlerror());
		return 2;
	}
	((void (*)(const unsigned char *, int, const unsigned char *const *, const int *, int))
		 get("stub_set"))(random, count, ders, lens,
				  !strcmp(way, "elsewhere") ? 2 : strncmp(way, "resumed", 7) == 0);
	if (!strcmp(way, "quic"))
		printf("quic %d\n", ((void *(*)(void))get("OSSL_QUIC_client_method"))() != NULL);
	ctx11 = ((void *(*)(const void *))get("SSL_CTX_new"))(((void *(*)(void))get("TLS_client_method"))());
	if (!strcmp(way, "callback"))
		((void (*)(void *, int (*)(void *, void *), void *))get("SSL_CTX_set_cert_verify_callback"))(
			ctx11, yes, "argument");
	ssl11 = ((void *(*)(void *))get("SSL_new"))(ctx11);
	ret = ((int (*)(void *))get("SSL_connect"))(ssl11);
	printf("1.1: %d %ld\n", ret, ((long (*)(const void *))get("SSL_get_verify_result"))(ssl11));
	ret = ((int (*)(void *, const void *, int))get("SSL_write"))(ssl11, "hello", 5);
	printf("1.1 write: %d\n", ret);
	/* and 3 again: a refusal of the stub's handshake ended the connection that it claimed */
	ret = SSL_write(ssl, "GET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 48);
	printf("3 write: %d\n", ret > 0);
	return 0;
}
