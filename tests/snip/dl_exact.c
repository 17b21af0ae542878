/* build: -ldl */
/* SPDX-License-Identifier: MIT */
/*
 * What look-ups answer, in words that must be the same with and without netleash: missing
 * names stay missing with the same dlerror(), and a plug-in's namesakes stay its own.
 *
 *	dl_exact DIRECTORY-OF-SNIPPETS
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void say(const char *label, const void *found)
{
	const char *error = dlerror();

	printf("%s: %s, dlerror: %s\n", label, found ? "found" : "missing", error ? error : "none");
}

static void *(*volatile none)(void *, const char *) = dlsym;

int main(int argc, char **argv)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	void *libm = dlopen("libm.so.6", RTLD_LAZY);
	char path[PATH_MAX];
	void *plugin;
	int (*call)(void);

	if (argc != 2)
		return 2;
	say("default", dlsym(RTLD_DEFAULT, "no_such_function"));
	say("next", dlsym(RTLD_NEXT, "no_such_function"));
	say("handle", dlsym(libc, "no_such_function"));
	say("node of a hook", dlvsym(libc, "connect", "GLIBC_9.9"));
	say("default node of a hook", dlvsym(RTLD_DEFAULT, "connect", "GLIBC_9.9"));
	say("next node of a hook", dlvsym(RTLD_NEXT, "connect", "GLIBC_9.9"));
	say("another library's handle", dlsym(libm, "cosh"));
	say("a hook in another library", dlsym(libm, "connect"));
	say("a newer name", dlsym(libc, "pidfd_spawn"));
	say("a variable", dlsym(RTLD_DEFAULT, "environ"));
	say("dlopen", dlopen("/no/such/file.so", RTLD_NOW));
	say("dlopen, bad mode", dlopen("libm.so.6", 0));
	say("dlmopen", dlmopen(LM_ID_BASE, "/no/such/file.so", RTLD_NOW));
	say("dlmopen of the program", dlmopen(LM_ID_BASE, NULL, RTLD_NOW));
	/* An error before, and a look-up that succeeds by a hook: the error must not stand. */
	dlsym(libc, "no_such_function");
	dlerror();
	say("after an error", dlsym(libc, "connect"));
	say("through a pointer", none(RTLD_NEXT, "getpid"));

	snprintf(path, sizeof(path), "%s/dl_namesake", argv[1]);
	plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	call = dlsym(plugin, "connect");
	printf("own connect: %d\n", call ? call() : -1);
	call = dlsym(plugin, "shutdown");
	printf("own shutdown: %d\n", call ? call() : -1);
	call = dlvsym(plugin, "connect", "GLIBC_2.2.5");
	printf("own connect by a node: %s\n", call ? "found" : "missing");
	/* $ORIGIN and the caller's search path are those of the caller. */
	say("$ORIGIN", dlopen("$ORIGIN/dl_plugin", RTLD_NOW));
	return 0;
}
