/* build: -shared -fPIC */
/* SPDX-License-Identifier: MIT */
/* A plug-in that calls connect() as any library does, and looks it up in its own scope. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/socket.h>

int plugin_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

void *plugin_next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

void *plugin_next_node(const char *name, const char *node)
{
	return dlvsym(RTLD_NEXT, name, node);
}

void *plugin_default(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}
