/* build: -shared -fPIC -Wl,-z,initfirst */
/* SPDX-License-Identifier: MIT */
/*
 * A preload whose constructor runs before every other one, netleash's included (hooks.md 1.3): of
 * two such objects the one that was loaded last wins. $RUN_FROM=first.
 */
#define _GNU_SOURCE
#include "run_from.h"

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	for (; envp && *envp; envp++)
		if (strcmp(*envp, "RUN_FROM=first") == 0)
			run_from_say("before netleash", run_from_verdict(0));
}
