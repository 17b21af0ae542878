/* SPDX-License-Identifier: MIT */
/* The policy's signals, and the program's own handlers for them (policy 7, hooks.md 3.10). */
#include <string.h>

#include "shim/conn/session.h"
#include "shim/conn/timing.h"
#include "shim/conn/timing_inner.h"
#include "shim/core/probe.h"

void leash_signal_listen(const struct leash_image *image)
{
	static _Atomic int listening;
	const struct leash_settings *settings = leash_image_settings(image);

	if (leash_likely(atomic_load_explicit(&listening, memory_order_relaxed)) ||
	    atomic_exchange(&listening, 1) || settings->background_off)
		return;
	leash_session_get();
	leash_background_listen(settings->background_signal, settings->foreground_signal,
				leash_real.sigaction);
}

void leash_signal_tell(struct leash_session *page)
{
	const uint32_t untold = atomic_load_explicit(&page->untold, memory_order_relaxed);

	if (leash_unlikely(untold) && atomic_exchange(&page->untold, 0) != 0)
		leash_gate_state(untold == 1 ? "background" : "foreground", "signal");
}

bool leash_conn_signal_ours(int sig)
{
	return leash_background_ours(sig);
}

int leash_conn_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return leash_background_action(sig, act, old);
}

void leash_conn_hand_on(bool brief)
{
	leash_background_hand_on(brief);
}

void leash_conn_take_back(bool brief)
{
	leash_background_take_back(brief);
}

/* The kernel's struct, the same on x86_64 and aarch64 */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

int leash_conn_rt_sigaction(int sig, const void *act, void *old, size_t mask_size)
{
	struct sigaction in = {.sa_flags = 0}, out;
	struct kernel_action raw;
	int ret;

	if (mask_size != sizeof(raw.mask))
		return -EINVAL;
	if ((act && !leash_probe_range(act, sizeof(raw))) || (old && !leash_probe_range(old, sizeof(raw))))
		return -EFAULT;
	if (act) {
		memcpy(&raw, act, sizeof(raw));
		in.sa_handler = raw.handler;
		in.sa_flags = (int)raw.flags;
		memcpy(&in.sa_mask, &raw.mask, sizeof(raw.mask));
	}
	ret = leash_background_action(sig, act ? &in : NULL, &out);
	if (ret == 0 && old) {
		raw = (struct kernel_action){.handler = out.sa_handler,
					     .flags = (unsigned long)(unsigned int)out.sa_flags,
					     .restorer = out.sa_restorer};
		memcpy(&raw.mask, &out.sa_mask, sizeof(raw.mask));
		memcpy(old, &raw, sizeof(raw));
	}
	return ret;
}

int leash_conn_set_background(bool away)
{
	struct timespec now;

	if (!leash_image_get())
		return -EACCES;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (leash_background_set(leash_session_get(), away,
				 (int64_t)now.tv_sec * 1000000000 + now.tv_nsec))
		leash_gate_state(away ? "background" : "foreground", "netleash_set_background()");
	return 0;
}
