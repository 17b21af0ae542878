/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "shim/conn/idn.h"
#include "shim/core/real.h"

#define NONTRANSITIONAL 8	/* IDN2_NONTRANSITIONAL of idn2.h, whose header is not needed for two calls */

int leash_idn_ascii(const char *name, char ret_ascii[static LEASH_NAME_SIZE])
{
	int (*to_ascii)(const char *, char **, int) = NULL;
	void (*release)(void *) = NULL;
	void *lib = leash_real_dlopen("libidn2.so.0", RTLD_LAZY | RTLD_LOCAL), *sym;
	char *out = NULL;
	int ret = -EINVAL;

	if (!lib)
		return -ENOSYS;
	sym = leash_real_dlsym(lib, "idn2_to_ascii_8z");
	memcpy(&to_ascii, &sym, sizeof(sym));
	sym = leash_real_dlsym(lib, "idn2_free");
	memcpy(&release, &sym, sizeof(sym));
	if (!to_ascii || !release)
		return -ENOSYS;
	if (to_ascii(name, &out, NONTRANSITIONAL) == 0 && strlen(out) < LEASH_NAME_SIZE) {
		strcpy(ret_ascii, out);
		ret = 0;
	}
	if (out)
		release(out);
	return ret;		/* the library stays open: the next name finds it there */
}
