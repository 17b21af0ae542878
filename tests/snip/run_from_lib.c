/* build: -shared -fPIC */
/* SPDX-License-Identifier: MIT */
/*
 * The fragment of run_from.h in a library: as a function, and in its constructor and destructor
 * where $RUN_FROM is "constructor" or "destructor", "race" (two threads at once) or "environ" (no
 * environment any more).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "run_from.h"

extern char **environ;
static int wanted;

int run_from_lib(void)
{
	return run_from_verdict(0);
}

static void *racer(void *ret)
{
	*(int *)ret = run_from_verdict(0);
	return NULL;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	const char *from = "";

	for (; envp && *envp; envp++)
		if (strncmp(*envp, "RUN_FROM=", 9) == 0)
			from = *envp + 9;
	if (strcmp(from, "constructor") == 0) {
		run_from_say("constructor", run_from_verdict(0));
	} else if (strcmp(from, "environ") == 0) {
		environ = NULL;
		run_from_say("constructor without environ", run_from_verdict(0));
	} else if (strcmp(from, "race") == 0) {
		int verdict[8] = {0}, wrong = 0;
		pthread_t id[8];

		for (int i = 0; i < 8; i++)
			pthread_create(&id[i], NULL, racer, &verdict[i]);
		for (int i = 0; i < 8; i++) {
			pthread_join(id[i], NULL);
			wrong |= verdict[i];
		}
		run_from_say("eight threads of a constructor", wrong);
	}
	wanted = strcmp(from, "destructor") == 0;
}

__attribute__((destructor)) static void end(void)
{
	if (wanted)
		run_from_say("library's destructor", run_from_verdict(0));
}
