/* build: -shared -fPIC */
/* SPDX-License-Identifier: MIT */
/* A plug-in with a connect() and a shutdown() of its own, which are nobody else's business. */
#define _GNU_SOURCE
#include <dlfcn.h>

int connect(const char *what)
{
	(void)what;
	return 4711;
}

int shutdown(void)
{
	return 4712;
}

/* It defines the name and was opened late: libc's is what the real look-up finds next. */
void *namesake_next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}
