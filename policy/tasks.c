/* SPDX-License-Identifier: MIT */
/* How many at once, and how many new ones (policy 6). */
#include "policy.h"

static struct leash_verdict within(void)
{
	struct leash_verdict v = leash_policy_none();

	v.action = LEASH_ALLOW;
	v.reason = LEASH_WHY_NONE;
	v.rule = LEASH_RULE_LIMITS;
	return v;
}

/* The validation of domains has nothing to do with it: skip_domain_check leaves it in force. */
static struct leash_verdict beyond(const struct leash_image *image)
{
	const struct leash_settings *settings = leash_image_settings(image);
	struct leash_verdict v = leash_policy_none();

	v.reason = LEASH_WHY_TOO_MANY;
	v.rule = LEASH_RULE_LIMITS;
	if (settings->audit) {
		v.action = LEASH_ALLOW;
		v.would = true;
		return v;
	}
	switch ((enum leash_over)settings->limits_over) {
	case LEASH_OVER_WARN:
		v.action = LEASH_ALLOW;
		v.would = true;
		break;
	case LEASH_OVER_FAIL:
	case LEASH_OVER_QUEUE:
		break;
	}
	return v;
}

struct leash_verdict leash_policy_tasks(const struct leash_image *image, enum leash_list list,
					uint32_t in_flight)
{
	uint32_t limit;

	if ((unsigned int)list > LEASH_LIST_DOWNLOAD)
		list = LEASH_LIST_REQUEST;
	limit = leash_image_settings(image)->limit[list];
	return limit == 0 || in_flight < limit ? within() : beyond(image);
}

struct leash_verdict leash_policy_new_tcp(const struct leash_image *image, uint32_t made)
{
	const uint32_t limit = leash_image_settings(image)->tcp_new_max;

	return limit == 0 || made < limit ? within() : beyond(image);
}

bool leash_policy_queues(const struct leash_image *image)
{
	const struct leash_settings *settings = leash_image_settings(image);

	return settings->limits_over == LEASH_OVER_QUEUE && !settings->audit;
}
