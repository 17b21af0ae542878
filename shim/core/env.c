/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#include "shim/abi.h"
#include "shim/core/elf.h"
#include "shim/core/env.h"
#include "shim/core/sys.h"

struct leash_env leash_env = {
	.preload = "", .policy = "", .project = "", .image = "", .session = "", .events = "",
	.trace = "", .trace_file = "", .runtime_dir = "",
};

/* Six paths of PATH_MAX would be 24 KiB; pages that are not touched cost nothing. */
static char store[32 << 10];
static size_t store_len;

static const struct {
	const char *name;
	bool path;		/* made absolute: the program may chdir() before a child needs it */
	size_t offset;		/* of the member in struct leash_env, or 0 for LOG */
} known[LEASH_ENV_COUNT] = {
	{LEASH_ENV_POLICY, true, offsetof(struct leash_env, policy)},
	{LEASH_ENV_PROJECT, true, offsetof(struct leash_env, project)},
	{LEASH_ENV_IMAGE, true, offsetof(struct leash_env, image)},
	{LEASH_ENV_SESSION, true, offsetof(struct leash_env, session)},
	{LEASH_ENV_EVENTS, true, offsetof(struct leash_env, events)},
	{LEASH_ENV_LOG, false, 0},
	{LEASH_ENV_TRACE, false, offsetof(struct leash_env, trace)},
	{LEASH_ENV_TRACE_FILE, true, offsetof(struct leash_env, trace_file)},
};

static char *put(const char *text, size_t len)
{
	char *at = store + store_len;

	if (len >= sizeof(store) - store_len) {
		leash_env.overflow = true;
		return NULL;
	}
	memcpy(at, text, len);
	store_len += len;
	at[len] = '\0';
	return at;
}

/* Put @path behind what is in the store, absolute. Nothing is resolved: links stay links. */
static bool put_path(const char *path)
{
	if (path[0] && path[0] != '/') {
		const size_t room = sizeof(store) - store_len;
		const long len = LEASH_SYS(SYS_getcwd, store + store_len, room);

		/* A directory that is gone answers "(unreachable)…": keep the name as it is then. */
		if (len > 1 && store[store_len] == '/') {
			store_len += (size_t)len - 1;	/* the call counts the NUL */
			if (!put("/", 1))
				return false;
			while (path[0] == '.' && path[1] == '/')
				path += 2;
		}
	}
	return put(path, strlen(path)) != NULL;
}

#define RUNTIME_DIR "XDG_RUNTIME_DIR="

static void take(const char *entry)
{
	if (strncmp(entry, RUNTIME_DIR, strlen(RUNTIME_DIR)) == 0) {
		const char *dir = entry + strlen(RUNTIME_DIR);
		const char *start = store + store_len;

		if (dir[0] == '/' && !leash_env.runtime_dir[0] && put(dir, strlen(dir))) {
			store_len++;
			leash_env.runtime_dir = start;
		}
		return;
	}
	for (size_t i = 0; i < LEASH_ENV_COUNT; i++) {
		const size_t name_len = strlen(known[i].name);
		const char *start = store + store_len;
		const char *value;

		if (strncmp(entry, known[i].name, name_len) != 0 || entry[name_len] != '=')
			continue;
		value = entry + name_len + 1;
		for (size_t j = 0; j < leash_env.entry_count; j++)
			if (strncmp(leash_env.entries[j], entry, name_len + 1) == 0)
				return;		/* the first of two counts, as in getenv() */
		if (!put(entry, name_len + 1))
			return;
		if (!(known[i].path ? put_path(value) : put(value, strlen(value)) != NULL))
			return;
		store_len++;			/* keep the NUL */
		leash_env.entries[leash_env.entry_count++] = start;
		if (known[i].offset)
			*(const char **)((char *)&leash_env + known[i].offset) =
				start + name_len + 1;
		else
			leash_env.quiet = strcmp(value, "quiet") == 0;
		return;
	}
}

/* libc has no environment yet, or the program took it away. */
static void read_proc(void)
{
	static char block[64 << 10] __attribute__((section(".bss.netleash_block")));
	const int fd = leash_sys_open("/proc/self/environ", O_RDONLY, 0);
	size_t len = 0;
	long got;

	if (fd < 0)
		return;
	while (len < sizeof(block) - 1 &&
	       (got = LEASH_SYS(SYS_read, fd, block + len, sizeof(block) - 1 - len)) > 0)
		len += (size_t)got;
	leash_sys_close(fd);
	block[len] = '\0';
	for (const char *at = block; at < block + len; at += strlen(at) + 1)
		take(at);
}

void leash_env_read(char *const *envp)
{
	const struct link_map *self = leash_elf_self();
	const char *start;

	leash_env.secure = getauxval(AT_SECURE) != 0;
	if (self && self->l_name && self->l_name[0]) {
		start = store + store_len;
		if (put_path(self->l_name)) {
			store_len++;
			leash_env.preload = start;
		}
	}
	if (leash_env.secure)
		return;
	if (!envp) {
		read_proc();
		return;
	}
	for (; *envp; envp++)
		if ((*envp)[0] == 'N' || (*envp)[0] == 'X')
			take(*envp);
}
