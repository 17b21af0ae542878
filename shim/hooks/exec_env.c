/* SPDX-License-Identifier: MIT */
#include "shim/hooks/exec_env.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shim/abi.h"

#define PRELOAD "LD_PRELOAD="
#define PRELOAD_LEN (sizeof(PRELOAD) - 1)
#define PREFIX "NETLEASH_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

struct token {
	const char *text;
	size_t len;		/* 0: the end */
};

/* Both separate, and nothing escapes them (hooks.md P1). */
static struct token next(const char **at)
{
	struct token token;

	*at += strspn(*at, " :");
	token.text = *at;
	token.len = strcspn(*at, " :");
	*at += token.len;
	return token;
}

static struct token base(struct token path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.text[i - 1] == '/')
			return (struct token){path.text + i, path.len - i};
	return path;
}

static bool is(struct token token, const char *text)
{
	return strlen(text) == token.len && memcmp(token.text, text, token.len) == 0;
}

/* By its name as well: another spelling of the path, or another build of netleash. Two
 * shims in one process would judge each other. */
static bool is_ours(const struct leash_exec_want *want, struct token token)
{
	return is(token, want->preload) || is(base(token), LEASH_SHIM_NAME);
}

static bool is_runtime(struct token token)
{
	static const char starts[][20] = {
		"libasan.so",	    "libtsan.so",	"libhwasan.so",
		"libclang_rt.asan", "libclang_rt.tsan", "libclang_rt.hwasan",
	};

	token = base(token);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (token.len >= strlen(starts[i]) &&
		    memcmp(token.text, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

/*
 * A runtime that was put there by us, for the program that now starts another. Left in place it
 * would look for leaks in every shell and compiler. The mark is a second colon, which ld.so takes
 * for nothing; a user's own stays.
 */
static bool is_stale(const struct leash_exec_want *want, struct token token, const char *rest)
{
	return is_runtime(token) && strncmp(rest, "::", 2) == 0 && is(next(&rest), want->preload);
}

/* Where the list goes: into a buffer, or to a comparison with the list that is there. */
struct out {
	char *buf;
	size_t len, size;
	const char *expect;
	bool same;
};

static void put(struct out *out, struct token token)
{
	if (!out->buf) {
		const struct token there = next(&out->expect);

		if (there.len != token.len || memcmp(there.text, token.text, token.len) != 0)
			out->same = false;
		return;
	}
	if (out->len + token.len + 2 > out->size)
		return;
	if (out->len)
		out->buf[out->len++] = ':';
	memcpy(out->buf + out->len, token.text, token.len);
	out->len += token.len;
	out->buf[out->len] = '\0';
}

/* Runtimes (they abort the program if anything stands before them), ourselves, the others. */
static void compose(const struct leash_exec_want *want, const char *list, struct out *out)
{
	const struct token wanted = {want->runtime, strlen(want->runtime)};
	bool have = wanted.len == 0;
	struct token token;
	const char *at;

	for (at = list; (token = next(&at)).len;)
		have |= is_runtime(token) && !is_stale(want, token, at) &&
			is(base(token), want->runtime);
	if (!have) {
		put(out, wanted);
		if (out->buf && out->len + 2 <= out->size)
			out->buf[out->len++] = ':';
	}
	for (at = list; (token = next(&at)).len;)
		if (is_runtime(token) && !is_stale(want, token, at))
			put(out, token);
	put(out, (struct token){want->preload, strlen(want->preload)});
	for (at = list; (token = next(&at)).len;)
		if (!is_runtime(token) && !is_ours(want, token))
			put(out, token);
}

static bool is_right(const struct leash_exec_want *want, const char *list)
{
	struct out out = {.expect = list, .same = true};

	compose(want, list, &out);
	return out.same && next(&out.expect).len == 0;
}

static bool is_preload(const char *entry)
{
	return entry[0] == 'L' && strncmp(entry, PRELOAD, PRELOAD_LEN) == 0;
}

static bool is_netleash(const char *entry)
{
	return entry[0] == 'N' && strncmp(entry, PREFIX, PREFIX_LEN) == 0;
}

void leash_exec_env_measure(const struct leash_exec_want *want, char *const *envp,
			    struct leash_exec_plan *ret_plan)
{
	struct leash_exec_plan plan = {.list = ""};
	const uint32_t all = (uint32_t)(((uint64_t)1 << want->entry_count) - 1);
	uint32_t seen = 0;
	size_t lists = 0;
	bool repair = false;

	for (; envp && *envp; envp++) {
		size_t i = 0;

		if (is_preload(*envp)) {
			plan.list = *envp + PRELOAD_LEN;	/* ld.so takes the last */
			lists++;
			continue;
		}
		if (!is_netleash(*envp)) {
			plan.kept++;
			continue;
		}
		while (i < want->entry_count && strcmp(*envp, want->entries[i]) != 0)
			i++;
		if (i == want->entry_count || (seen & (uint32_t)1 << i))
			repair = true;
		else
			seen |= (uint32_t)1 << i;
	}
	/* No separator grows, and ours are those behind the runtime (two) and behind us. */
	plan.list_size = strlen(want->runtime) + strlen(want->preload) + strlen(plan.list) + 4;
	if (repair || seen != all || lists != 1 || !is_right(want, plan.list))
		plan.size = (plan.kept + want->entry_count + 2) * sizeof(char *) + PRELOAD_LEN +
			    plan.list_size;
	*ret_plan = plan;
}

void leash_exec_env_list(const struct leash_exec_want *want, const struct leash_exec_plan *plan,
			 char *buf)
{
	struct out out = {.buf = buf, .size = plan->list_size};

	buf[0] = '\0';
	compose(want, plan->list, &out);
}

char **leash_exec_env_build(const struct leash_exec_want *want, char *const *envp,
			    const struct leash_exec_plan *plan, void *mem)
{
	char **array = mem;
	char *text = (char *)(array + plan->kept + want->entry_count + 2);
	size_t len = 0;

	for (; envp && *envp && len < plan->kept; envp++)
		if (!is_preload(*envp) && !is_netleash(*envp))
			array[len++] = *envp;
	memcpy(text, PRELOAD, PRELOAD_LEN);
	leash_exec_env_list(want, plan, text + PRELOAD_LEN);
	array[len++] = text;
	for (size_t i = 0; i < want->entry_count; i++)
		array[len++] = (char *)(uintptr_t)want->entries[i];	/* execve() takes no const */
	array[len] = NULL;
	return array;
}
