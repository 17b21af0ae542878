/* build: -ldl */
/* SPDX-License-Identifier: MIT */
/*
 * connect() to 127.0.0.1:$1 from where our names are not in scope (hooks.md 1.1 "scope").
 *
 *	dl_scope PORT DIRECTORY-OF-SNIPPETS COPY-OF-LIBC
 *	dl_scope path				where this libc is
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in peer = {.sin_family = AF_INET};

static void try(const char *label, void *function)
{
	int (*call)(int, const struct sockaddr *, socklen_t) = function;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!call) {
		printf("%s: not found: %s\n", label, dlerror());
		return;
	}
	/* A second libc has an errno of its own, so "failed" is all that it can say. */
	printf("%s: %s\n", label,
	       call(fd, (struct sockaddr *)&peer, sizeof(peer)) == 0 ? "connected" : "failed");
	close(fd);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	void *handle;

	if (argc == 2) {
		Dl_info info;

		/* Not connect(): the shim may have that. */
		dladdr(gnu_get_libc_version, &info);
		puts(info.dli_fname);
		return 0;
	}
	if (argc != 4)
		return 2;
	peer.sin_port = htons((unsigned short)atoi(argv[1]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	snprintf(path, sizeof(path), "%s/dl_plugin", argv[2]);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	try("deepbind", handle ? dlsym(handle, "plugin_connect") : NULL);
	handle = dlmopen(LM_ID_BASE, path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	try("deepbind by dlmopen", handle ? dlsym(handle, "plugin_connect") : NULL);
	handle = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW | RTLD_LOCAL);
	try("namespace", handle ? dlsym(handle, "connect") : NULL);
	handle = dlmopen(1, "libc.so.6", RTLD_NOW | RTLD_LOCAL);
	try("another namespace", handle ? dlsym(handle, "connect") : NULL);
	handle = dlopen(argv[3], RTLD_NOW | RTLD_LOCAL);
	try("copy of libc", handle ? dlsym(handle, "connect") : NULL);
	return 0;
}
