/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "shim/core/env.h"
#include "shim/core/log.h"
#include "shim/core/sys.h"
#include "shim/core/trace.h"

unsigned int leash_trace_mask;

void leash_trace_init(void)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} areas[] = {{"conn", LEASH_T_CONN}, {"policy", LEASH_T_POLICY}, {"name", LEASH_T_NAME},
		     {"exec", LEASH_T_EXEC}, {"all", ~0u}};
	const char *at = leash_env.trace;

	while (*at) {
		const size_t len = strcspn(at, ",");

		for (size_t i = 0; i < sizeof(areas) / sizeof(*areas); i++)
			if (strlen(areas[i].name) == len && memcmp(areas[i].name, at, len) == 0)
				leash_trace_mask |= areas[i].bit;
		at += len;
		at += *at == ',';
	}
}

void leash_trace_write(const char *area, const char *text, long number, const char *more)
{
	char line[LEASH_LOG_LINE_SIZE];
	size_t len = 0;
	int fd;

	len = leash_text_put(line, sizeof(line), len, "netleash[");
	len = leash_text_put_uint(line, sizeof(line), len, (unsigned long)leash_sys_getpid());
	len = leash_text_put(line, sizeof(line), len, ".");
	len = leash_text_put_uint(line, sizeof(line), len, (unsigned long)LEASH_SYS(SYS_gettid));
	len = leash_text_put(line, sizeof(line), len, "] ");
	len = leash_text_put(line, sizeof(line), len, area);
	len = leash_text_put(line, sizeof(line), len, " ");
	len = leash_text_put(line, sizeof(line), len, text);
	if (number < 0)
		len = leash_text_put(line, sizeof(line), len, "-");
	len = leash_text_put_uint(line, sizeof(line), len,
				  number < 0 ? 0ul - (unsigned long)number : (unsigned long)number);
	len = leash_text_put(line, sizeof(line), len, " ");
	len = leash_text_put(line, sizeof(line), len, more);
	if (!leash_env.trace_file[0]) {
		leash_log_line(line, len);
		return;
	}
	fd = leash_sys_open(leash_env.trace_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		return;
	line[len < sizeof(line) ? len : sizeof(line) - 1] = '\n';
	leash_sys_write(fd, line, len + 1);
	leash_sys_close(fd);
}
