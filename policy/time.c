/* SPDX-License-Identifier: MIT */
/* How long something may take, and what may be in the background (policy 5, 7). */
#include "policy.h"

uint32_t leash_policy_limit(const struct leash_image *image, uint32_t lists, uint32_t own_ms)
{
	const struct leash_settings *settings = leash_image_settings(image);
	uint32_t limit_ms = 0;

	if (!(lists & LEASH_LISTS_TLS))
		lists = LEASH_LIST_BIT(LEASH_LIST_REQUEST);
	for (uint32_t list = LEASH_LIST_REQUEST; list <= LEASH_LIST_DOWNLOAD; list++)
		if ((lists & LEASH_LIST_BIT(list)) && settings->timeout_ms[list] > limit_ms)
			limit_ms = settings->timeout_ms[list];
	if (limit_ms == 0)
		return 0;
	if (own_ms)
		limit_ms = own_ms;
	return limit_ms > settings->timeout_max_ms ? settings->timeout_max_ms : limit_ms;
}

static struct leash_verdict over(const struct leash_image *image, enum leash_reason reason,
				 enum leash_rule rule)
{
	struct leash_verdict v = leash_policy_none();

	v.reason = reason;
	v.rule = rule;
	/* Nothing is refused under audit; skip_domain_check leaves these two in force (policy 10). */
	if (leash_image_settings(image)->audit) {
		v.action = LEASH_ALLOW;
		v.would = true;
	}
	return v;
}

struct leash_verdict leash_policy_timeout(const struct leash_image *image)
{
	return over(image, LEASH_WHY_TIMEOUT, LEASH_RULE_TIMEOUT);
}

struct leash_verdict leash_policy_background(const struct leash_image *image)
{
	struct leash_verdict v = over(image, LEASH_WHY_INTERRUPTED, LEASH_RULE_BACKGROUND);

	if (leash_image_settings(image)->background_off) {
		v.action = LEASH_ALLOW;
		v.reason = LEASH_WHY_NONE;
		v.would = false;
	}
	return v;
}
