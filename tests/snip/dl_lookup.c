/* build: -ldl */
/* SPDX-License-Identifier: MIT */
/*
 * connect() to 127.0.0.1:$1 through every way of looking it up (hooks.md 1.1 "look-up").
 *
 *	dl_lookup PORT DIRECTORY-OF-SNIPPETS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NODE "GLIBC_2.2.5"
#else
#define NODE "GLIBC_2.17"
#endif

static struct sockaddr_in peer = {.sin_family = AF_INET};

static void try(const char *label, void *function)
{
	int (*call)(int, const struct sockaddr *, socklen_t) = function;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int ret;

	if (!call) {
		printf("%s: not found\n", label);
		return;
	}
	errno = 0;
	ret = call(fd, (struct sockaddr *)&peer, sizeof(peer));
	printf("%s: %s\n", label, ret == 0 ? "connected" : strerrorname_np(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	void *again = dlmopen(LM_ID_BASE, "libc.so.6", RTLD_LAZY);
	void *(*found)(void *, const char *);
	void *(*found_v)(void *, const char *, const char *);
	void *(*plugin_next)(const char *), *(*plugin_node)(const char *, const char *);
	void *(*plugin_default)(const char *), *(*namesake_next)(const char *);
	char path[PATH_MAX];
	void *plugin, *namesake;
	long (*number)(long, ...);
	int fd;

	if (argc != 3)
		return 2;
	peer.sin_port = htons((unsigned short)atoi(argv[1]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	try("direct", connect);
	try("default", dlsym(RTLD_DEFAULT, "connect"));
	try("default alias", dlsym(RTLD_DEFAULT, "__connect"));
	try("default node", dlvsym(RTLD_DEFAULT, "connect", NODE));
	try("next", dlsym(RTLD_NEXT, "connect"));
	try("next alias", dlsym(RTLD_NEXT, "__connect"));
	try("next node", dlvsym(RTLD_NEXT, "connect", NODE));
	try("handle", dlsym(libc, "connect"));
	try("handle alias", dlsym(libc, "__connect"));
	try("handle node", dlvsym(libc, "connect", NODE));
	try("handle of the program", dlsym(dlopen(NULL, RTLD_LAZY), "connect"));
	try("handle by dlmopen", dlsym(again, "connect"));

	/* The look-ups themselves, looked up. */
	found = dlsym(libc, "dlsym");
	try("dlsym by handle", found(libc, "connect"));
	found = dlsym(RTLD_NEXT, "dlsym");
	try("dlsym by next", found(libc, "connect"));
	found = dlvsym(libc, "dlsym", NODE);
	try("dlsym by its old node", found(libc, "connect"));
	found_v = dlsym(libc, "dlvsym");
	try("dlvsym by handle", found_v(libc, "connect", NODE));

	snprintf(path, sizeof(path), "%s/dl_plugin", argv[2]);
	plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	plugin_next = dlsym(plugin, "plugin_next");
	plugin_node = dlsym(plugin, "plugin_next_node");
	plugin_default = dlsym(plugin, "plugin_default");
	try("next of a plug-in", plugin_next("connect"));
	try("next node of a plug-in", plugin_node("connect", NODE));
	try("default of a plug-in", plugin_default("connect"));
	try("handle of a plug-in", dlsym(plugin, "connect"));

	snprintf(path, sizeof(path), "%s/dl_namesake", argv[2]);
	namesake = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	namesake_next = dlsym(namesake, "namesake_next");
	try("next of a namesake", namesake_next("connect"));

	number = dlsym(libc, "syscall");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	printf("syscall by handle: %s\n",
	       number(SYS_connect, fd, &peer, sizeof(peer)) == 0 ? "connected" :
								     strerrorname_np(errno));
	return 0;
}
