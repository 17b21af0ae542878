/* SPDX-License-Identifier: MIT */
/*
 * Lines for developers: NETLEASH_TRACE=conn,policy,dns,exec,all to NETLEASH_TRACE_FILE or
 * standard error. Off costs one test; the arguments are not evaluated then.
 */
#ifndef LEASH_TRACE_H
#define LEASH_TRACE_H

#define LEASH_T_CONN	0x1u
#define LEASH_T_POLICY	0x2u
#define LEASH_T_NAME	0x4u
#define LEASH_T_EXEC	0x8u

extern unsigned int leash_trace_mask;

/* AREA text number text: enough for every line, and nothing to format */
#define leash_trace(AREA, text, number, more)                                                      \
	do {                                                                                       \
		if (__builtin_expect(leash_trace_mask & LEASH_T_##AREA, 0))                        \
			leash_trace_write(#AREA, (text), (number), (more));                        \
	} while (0)

void leash_trace_init(void);
void leash_trace_write(const char *area, const char *text, long number, const char *more);

#endif
