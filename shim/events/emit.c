/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/core/clock.h"
#include "shim/core/env.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"
#include "shim/events/emit.h"

bool leash_emit_wanted(void)
{
	return leash_env.events[0] != '\0';
}

const char *leash_emit_exe(bool base)
{
	static char exe[1024];
	static _Atomic int known;	/* two threads at once write the same bytes */
	const char *slash;

	if (!known) {
		const long len = LEASH_SYS(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe,
					   sizeof(exe) - 1);

		if (len <= 0)
			memcpy(exe, "?", 2);
		known = 1;
	}
	slash = base ? strrchr(exe, '/') : NULL;
	return slash ? slash + 1 : exe;
}

bool leash_emit(struct leash_event *event)
{
	char *line = leash_scratch_take();
	size_t len;
	int fd;
	bool whole = false;

	if (!line)
		return false;

	event->time_ms = leash_wall_ms();
	event->pid = leash_sys_getpid();
	event->exe = leash_emit_exe(false);
	len = leash_event_line(event, line);
	fd = leash_sys_open(leash_env.events, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0666);
	if (fd >= 0) {
		whole = leash_sys_write(fd, line, len) == (ssize_t)len;
		leash_sys_close(fd);
	}
	leash_scratch_give(line);
	return whole;
}
