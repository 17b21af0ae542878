/* SPDX-License-Identifier: MIT */
/*
 * The program's handlers for the two signals of background and foreground (hooks.md 3.10). Everything else
 * passes, and so do these two until our handlers are in, which is at the first question about the network.
 * The forms that glibc builds on each other are built on sigaction() here, for those two only.
 */
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "shim/conn/conn.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

LEASH_EXPORT int sigaction(int sig, const struct sigaction *restrict act,
			   struct sigaction *restrict old)
{
	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.sigaction(sig, act, old);
	LEASH_SCOPE(scope);
	return LEASH_LEAVE(scope, int, leash_conn_sigaction(sig, act, old));
}

static sighandler_t install(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = {.sa_flags = flags}, old;
	int ret;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	act.sa_handler = handler;
	if (!(flags & SA_NODEFER))
		sigaddset(&act.sa_mask, sig);
	ret = leash_conn_sigaction(sig, &act, &old);
	if (ret < 0) {
		errno = -ret;
		return SIG_ERR;
	}
	return old.sa_handler;
}

/* What siginterrupt() said of the two, lower one first: signal() asks it from then on. */
static bool interrupts(int sig, int set)
{
	static _Atomic int said[65];

	if (sig < 1 || sig > 64)
		return false;
	if (set >= 0)
		said[sig] = set;
	return said[sig] != 0;
}

LEASH_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.signal(sig, handler);
	return install(sig, handler, interrupts(sig, -1) ? 0 : SA_RESTART);
}

sighandler_t __sysv_signal(int sig, sighandler_t handler);
LEASH_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.__sysv_signal(sig, handler);
	return install(sig, handler, (int)SA_RESETHAND | SA_NODEFER);
}

LEASH_EXPORT int siginterrupt(int sig, int on)
{
	struct sigaction act;
	int ret;

	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.siginterrupt(sig, on);
	LEASH_SCOPE(scope);
	ret = leash_conn_sigaction(sig, NULL, &act);
	interrupts(sig, on != 0);
	if (on)
		act.sa_flags &= ~SA_RESTART;
	else
		act.sa_flags |= SA_RESTART;
	if (ret == 0)
		ret = leash_conn_sigaction(sig, &act, NULL);
	return LEASH_LEAVE(scope, int, ret);
}

LEASH_EXPORT int sigignore(int sig)
{
	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.sigignore(sig);
	return install(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}

LEASH_EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	sighandler_t before;
	sigset_t one, mask;

	if (leash_likely(!leash_conn_signal_ours(sig)))
		return leash_real.sigset(sig, handler);
	sigemptyset(&one);
	sigaddset(&one, sig);
	if (handler == SIG_HOLD) {
		struct sigaction old;

		if (sigprocmask(SIG_BLOCK, &one, &mask) < 0)
			return SIG_ERR;
		leash_conn_sigaction(sig, NULL, &old);
		return sigismember(&mask, sig) ? SIG_HOLD : old.sa_handler;
	}
	before = install(sig, handler, 0);
	if (before == SIG_ERR || sigprocmask(SIG_UNBLOCK, &one, &mask) < 0)
		return SIG_ERR;
	return sigismember(&mask, sig) ? SIG_HOLD : before;
}

int __sigaction(int sig, const struct sigaction *act, struct sigaction *old) __THROW
	__attribute__((alias("sigaction"), visibility("default")));
sighandler_t bsd_signal(int sig, sighandler_t handler) __THROW
	__attribute__((alias("signal"), visibility("default")));
sighandler_t ssignal(int sig, sighandler_t handler) __THROW
	__attribute__((alias("signal"), visibility("default")));
sighandler_t sysv_signal(int sig, sighandler_t handler) __THROW
	__attribute__((alias("__sysv_signal"), visibility("default")));
