/* SPDX-License-Identifier: MIT */
/*
 * The string functions of this object, hidden: what they replace are 16 symbols that ld.so would look up, and
 * choose an implementation for, in every process that starts (1,000 instructions each; costs.md). They are
 * also what a signal handler, a vfork() child and the time before libc is ready can rely on, and nobody
 * interposes them. Long copies go by the processor's own instruction where it has one.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* A compiler recognises memcpy() in a loop, and would have it call itself. */
#define KEEP_LOOP() __asm__ volatile("" : : : "memory")

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
#if defined(__x86_64__)
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
#else
	char *at = to;
	const char *source = from;

	for (; len >= 8; len -= 8, at += 8, source += 8) {
		uint64_t word;

		__builtin_memcpy(&word, source, 8);
		__builtin_memcpy(at, &word, 8);
		KEEP_LOOP();
	}
	for (; len; len--) {
		*at++ = *source++;
		KEEP_LOOP();
	}
#endif
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	char *at = (char *)to + len;
	const char *source = (const char *)from + len;

	if ((uintptr_t)to - (uintptr_t)from >= len)
		return memcpy(to, from, len);
	while (len--) {
		*--at = *--source;
		KEEP_LOOP();
	}
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	char *at = to;

#if defined(__x86_64__)
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
#else
	for (; len; len--) {
		*at++ = (char)byte;
		KEEP_LOOP();
	}
#endif
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;
	uint64_t one, two;

	for (; len >= 8; len -= 8, x += 8, y += 8) {
		__builtin_memcpy(&one, x, 8);
		__builtin_memcpy(&two, y, 8);
		if (one != two)
			break;
	}
	for (; len; len--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *text, int byte, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), wanted = ones * (uint8_t)byte;
	const uint8_t *at = text;
	uint64_t word;

	/* Eight at once while none of them is it: then no byte of their difference is 0. */
	for (; len >= 8; len -= 8, at += 8) {
		__builtin_memcpy(&word, at, 8);
		word ^= wanted;
		if ((word - ones) & ~word & ones * 0x80)
			break;
	}
	for (; len; len--, at++)
		if (*at == (uint8_t)byte)
			return (void *)(uintptr_t)at;
	return NULL;
}

size_t strlen(const char *text)
{
	const char *at = text;

	for (; *at; at++)
		KEEP_LOOP();
	return (size_t)(at - text);
}

size_t strnlen(const char *text, size_t max)
{
	size_t len = 0;

	while (len < max && text[len])
		len++;
	return len;
}

int strncmp(const char *a, const char *b, size_t len)
{
	for (; len; len--, a++, b++)
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		KEEP_LOOP();
	return (unsigned char)*a - (unsigned char)*b;
}

char *strchrnul(const char *text, int c)
{
	while (*text && *text != (char)c)
		text++;
	return (char *)(uintptr_t)text;
}

char *strchr(const char *text, int c)
{
	char *at = strchrnul(text, c);

	return *at == (char)c ? at : NULL;
}

char *strrchr(const char *text, int c)
{
	const char *found = NULL;

	for (;; text++) {
		if (*text == (char)c)
			found = text;
		if (!*text)
			return (char *)(uintptr_t)found;
	}
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

size_t strspn(const char *text, const char *set)
{
	size_t len = 0;

	while (text[len] && strchr(set, text[len]))
		len++;
	return len;
}

size_t strcspn(const char *text, const char *set)
{
	size_t len = 0;

	while (text[len] && !strchr(set, text[len]))
		len++;
	return len;
}

char *strstr(const char *text, const char *part)
{
	const size_t len = strlen(part);

	for (; *text || !len; text++)
		if (strncmp(text, part, len) == 0)
			return (char *)(uintptr_t)text;
	return NULL;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ASCII alone: names and headers, in every locale. */
int strncasecmp(const char *a, const char *b, size_t len)
{
	for (; len; len--, a++, b++)
		if (lower(*a) != lower(*b) || !*a)
			return (unsigned char)lower(*a) - (unsigned char)lower(*b);
	return 0;
}

int strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, SIZE_MAX);
}

char *strncat(char *restrict to, const char *restrict from, size_t max)
{
	const size_t len = strlen(to), more = strnlen(from, max);

	memcpy(to + len, from, more);
	to[len + more] = '\0';
	return to;
}

int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof(*set));
	return 0;
}

/* libc keeps 32 and 33 to itself; to block them in a thread of ours does no harm, the kernel takes it. */
int sigfillset(sigset_t *set)
{
	memset(set, 0xff, sizeof(*set));
	return 0;
}
