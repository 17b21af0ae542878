/* build: -shared -fPIC -ldl -Wl,-z,initfirst */
/* SPDX-License-Identifier: MIT */
/*
 * A preload whose constructor runs before anybody's (hooks.md L2): the escape hatches before
 * they are bound. $DL_EARLY is "PORT HATCH", so that each is the first to be entered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libc's own constructor has not run: no stdio. */
static void say(const char *text)
{
	write(1, text, strlen(text));
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	struct sockaddr_in peer = {.sin_family = AF_INET};
	int (*call)(int, const struct sockaddr *, socklen_t) = connect;
	const char *hatch = NULL;
	long ret = -1;

	for (; *envp; envp++)
		if (strncmp(*envp, "DL_EARLY=", 9) == 0)
			hatch = *envp + 9;
	if (!hatch)
		return;
	for (; *hatch != ' '; hatch++)
		peer.sin_port = (unsigned short)(peer.sin_port * 10 + *hatch - '0');
	hatch++;
	peer.sin_port = htons(peer.sin_port);
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	if (strcmp(hatch, "syscall") == 0) {
		void *page = (void *)syscall(SYS_mmap, NULL, 4096L, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

		say(page == MAP_FAILED ? "mmap failed\n" : "mapped\n");
		ret = syscall(SYS_connect, socket(AF_INET, SOCK_STREAM, 0), &peer, sizeof(peer));
	} else {
		if (strcmp(hatch, "dlsym") == 0)
			call = dlsym(RTLD_NEXT, "connect");
		else if (strcmp(hatch, "dlvsym") == 0)
			call = dlvsym(RTLD_NEXT, "no_such", "GLIBC_2.17") ? NULL : connect;
		else if (strcmp(hatch, "dlopen") == 0)
			call = dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_DEEPBIND), "connect");
		else if (strcmp(hatch, "dlmopen") == 0)
			call = dlsym(dlmopen(LM_ID_BASE, "libc.so.6", RTLD_LAZY), "connect");
		if (call)
			ret = call(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&peer,
				   sizeof(peer));
	}
	say(ret == 0 ? "connected\n" : errno == EACCES ? "EACCES\n" : "another error\n");
	_exit(0);
}
