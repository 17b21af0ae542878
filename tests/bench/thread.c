/* SPDX-License-Identifier: MIT */
/*
 * A preload that does nothing but have a second thread, asleep: from then on libc makes every call that may
 * block cancellable, and the kernel counts every descriptor it looks at. netleash's watcher of deadlines
 * is such a thread, so it stands beside it; a program with threads of its own has paid already.
 */
#include <pthread.h>
#include <unistd.h>

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

__attribute__((constructor)) static void start(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleeper, NULL);
}
