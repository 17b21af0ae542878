/* build: -ldl */
/* SPDX-License-Identifier: MIT */
/*
 * A program that is not linked with OpenSSL and gets at it in its own way:
 *
 *	tls_scope WAY HOST PORT [PLUGIN]
 *
 * dlsym, dlvsym: from a handle of its own (RTLD_LOCAL | RTLD_DEEPBIND); next, default: the plug-in is
 * opened with that library in its scope and asks for RTLD_DEFAULT or RTLD_NEXT; plugin: the plug-in
 * calls it (linked); features: what is there and what is not.
 * Prints "got STATUS-LINE" or "failed CALL".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(const char *to, const char *at)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int fd;

	if (getaddrinfo(to, at, &hints, &list) != 0)
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		return -1;
	return fd;
}

static void *lib;
static int versioned;

static void *get(const char *name)
{
	void *found = versioned ? dlvsym(lib, name, "OPENSSL_3.0.0") : dlsym(lib, name);

	if (!found)
		printf("no %s\n", name);
	return found;
}

static int by_name(const char *host, const char *port)
{
	void *(*method)(void) = get("TLS_client_method");
	void *(*ctx_new)(void *) = get("SSL_CTX_new");
	void *(*ssl_new)(void *) = get("SSL_new");
	int (*set_fd)(void *, int) = get("SSL_set_fd");
	long (*ctrl)(void *, int, long, void *) = get("SSL_ctrl");
	int (*connect_)(void *) = get("SSL_connect");
	int (*read_)(void *, void *, int) = get("SSL_read");
	int (*write_)(void *, const void *, int) = get("SSL_write");
	char buf[4096];
	void *ssl;
	int ret;

	ssl = ssl_new(ctx_new(method()));
	set_fd(ssl, dial(host, port));
	ctrl(ssl, 55, 0, (void *)host);		/* server name */
	if (connect_(ssl) != 1) {
		printf("failed SSL_connect\n");
		return 1;
	}
	snprintf(buf, sizeof(buf), "GET /scope HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
	if (write_(ssl, buf, (int)strlen(buf)) <= 0) {
		printf("failed SSL_write\n");
		return 1;
	}
	ret = read_(ssl, buf, sizeof(buf) - 1);
	buf[ret > 0 ? ret : 0] = '\0';
	printf("got %.15s\n", buf);
	return 0;
}

int main(int argc, char *argv[])
{
	int (*talk)(const char *, const char *, int);
	void *plugin;

	if (argc < 4)
		return 2;
	if (strcmp(argv[1], "namespace") == 0) {
		lib = dlmopen(LM_ID_NEWLM, "libssl.so.3", RTLD_NOW);
		printf("%s\n", lib ? "another libssl, in a namespace of its own" : dlerror());
		return lib ? by_name(argv[2], argv[3]) : 1;
	}
	if (strcmp(argv[1], "features") == 0) {
		static const char *const names[] = {"SSL_connect", "SSL_sendfile", "OSSL_QUIC_client_method",
						    "SSL_write_ex2", "SSLv3_method", "gnutls_handshake"};

		printf("before: %d", dlsym(RTLD_DEFAULT, "SSL_connect") != NULL);
		printf(" %s\n", dlerror() ? "with a reason" : "without a reason");
		lib = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			printf("%s %d\n", names[i], dlsym(lib, names[i]) != NULL);
		printf("default %d\n", dlsym(RTLD_DEFAULT, "SSL_connect") != NULL);
		lib = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
		printf("global %d %d\n", dlsym(RTLD_DEFAULT, "SSL_connect") != NULL,
		       dlsym(RTLD_DEFAULT, "OSSL_QUIC_client_method") != NULL);
		return 0;
	}
	if (strcmp(argv[1], "dlsym") == 0 || strcmp(argv[1], "dlvsym") == 0) {
		lib = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
		versioned = argv[1][2] == 'v';
		return by_name(argv[2], argv[3]);
	}
	plugin = dlopen(argv[4], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (!plugin) {
		printf("%s\n", dlerror());
		return 2;
	}
	talk = dlsym(plugin, "plugin_talk");
	return talk(argv[2], argv[3], argv[1][0] == 'd' ? 1 : argv[1][0] == 'n' ? 2 : 0);
}
