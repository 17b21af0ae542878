/* SPDX-License-Identifier: MIT */
/*
 * Lines on standard error: built on the stack, one raw write each, and only while
 * descriptor 2 is the file that it was at start (hooks.md L7, "stderr is a socket now").
 */
#ifndef LEASH_LOG_H
#define LEASH_LOG_H

#include <stddef.h>

#define LEASH_LOG_LINE_SIZE 512

/** leash_log_init() - Remember what descriptor 2 is */
void leash_log_init(void);

/** leash_log_line() - Write a line; a newline is added, control characters become '?' */
void leash_log_line(const char *text, size_t len);

/** leash_text_put() - Append to a buffer of @size bytes, cut at its end. Return: new length */
size_t leash_text_put(char *buf, size_t size, size_t len, const char *text);
size_t leash_text_put_uint(char *buf, size_t size, size_t len, unsigned long value);

#endif
