/* SPDX-License-Identifier: MIT */
/*
 * Profiles: named sets of switches. Data; whatever a file says goes on top.
 */
#include <signal.h>

#include "work.h"

const struct leash_word leash_profile_words[] = {
	{"tcsas", LEASH_PROFILE_TCSAS},
	{"wechat", LEASH_PROFILE_WECHAT},
	{"build", LEASH_PROFILE_BUILD},
	{NULL, 0},
};

#define MINUTE_MS 60000

static const struct profile {
	struct leash_settings settings;
	const char *referer;
} profiles[] = {
	/* The platform's page "network usage". */
	[LEASH_PROFILE_TCSAS] = {
		.settings = {
			.profile = LEASH_PROFILE_TCSAS,
			.platform = LEASH_ANDROID,
			.listen = LEASH_LISTEN_DENY,
			.limits_over = LEASH_OVER_WARN,
			.opaque_tls = LEASH_OPAQUE_OBSERVE,
			.http2 = LEASH_HTTP2_DENY,
			.lan_allow = 1,
			.body_convert = 1,
			.timeout_ms = {MINUTE_MS, MINUTE_MS, MINUTE_MS, MINUTE_MS},
			.timeout_max_ms = LEASH_TIMEOUT_MAX_MS,
			.limit = {10, 5, 10, 10},
			.tcp_new_max = 20,
			.tcp_new_window_s = 300,
			.grace_ms = 5000,
		},
		.referer = "https://appservice.wx.com/{appid}/{version}/page-frame.html",
	},
	/* Its sibling: ports as listed, another Referer. */
	[LEASH_PROFILE_WECHAT] = {
		.settings = {
			.profile = LEASH_PROFILE_WECHAT,
			.platform = LEASH_ANDROID,
			.listen = LEASH_LISTEN_DENY,
			.limits_over = LEASH_OVER_WARN,
			.opaque_tls = LEASH_OPAQUE_OBSERVE,
			.http2 = LEASH_HTTP2_DENY,
			.ports_exact = 1,
			.lan_allow = 1,
			.body_convert = 1,
			.timeout_ms = {MINUTE_MS, MINUTE_MS, MINUTE_MS, MINUTE_MS},
			.timeout_max_ms = LEASH_TIMEOUT_MAX_MS,
			.limit = {10, 5, 10, 10},
			.tcp_new_max = 20,
			.tcp_new_window_s = 300,
			.grace_ms = 5000,
		},
		.referer = "https://servicewechat.com/{appid}/{version}/page-frame.html",
	},
	/* A sandbox for builds: lists and certificates, and nothing that would change or cut what
	 * a download is: no lifetimes of certificates that only phones ask for, HTTP/2 as it comes.
	 * A time and a limit of 0 are "none". */
	[LEASH_PROFILE_BUILD] = {
		.settings = {
			.profile = LEASH_PROFILE_BUILD,
			.platform = LEASH_DEVTOOLS,
			.listen = LEASH_LISTEN_DENY,
			.limits_over = LEASH_OVER_WARN,
			.opaque_tls = LEASH_OPAQUE_OBSERVE,
			.http2 = LEASH_HTTP2_OBSERVE,
			.background_off = 1,
			.timeout_max_ms = LEASH_TIMEOUT_MAX_MS,
			.tcp_new_window_s = 300,
			.grace_ms = 5000,
		},
		.referer = "",
	},
};

void leash_profile_apply(struct leash_work *work, enum leash_profile profile)
{
	struct leash_settings *settings = &work->draft.settings;

	*settings = profiles[profile].settings;
	/* No constants: libc keeps some real-time signals for itself and says so at run time. */
	settings->background_signal = SIGRTMIN + 8;
	settings->foreground_signal = SIGRTMIN + 9;
	work->referer = profiles[profile].referer;
	work->draft.appid = "";
	work->draft.version = "0";
	work->draft.trust_dir = "";
}
