/* SPDX-License-Identifier: MIT */
/*
 * Charsets of response bodies: the labels of the WHATWG Encoding standard, and a
 * conversion to UTF-8 that takes bytes as they come. The only user of iconv.
 *
 * A label is not a name for iconv: "gb2312" on the web means GBK and more, "latin1"
 * means windows-1252 (Encoding standard, section 4.2).
 */
#ifndef LEASH_CHARSET_H
#define LEASH_CHARSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum leash_charset {
	LEASH_CHARSET_UNKNOWN,		/* 0: no label of the standard */
	LEASH_CHARSET_UTF_8,
	LEASH_CHARSET_UTF_16LE,
	LEASH_CHARSET_UTF_16BE,
	LEASH_CHARSET_GB18030,		/* gbk too: it decodes with the same table */
	LEASH_CHARSET_BIG5,
	LEASH_CHARSET_EUC_JP,
	LEASH_CHARSET_ISO_2022_JP,
	LEASH_CHARSET_SHIFT_JIS,
	LEASH_CHARSET_EUC_KR,
	LEASH_CHARSET_IBM866,
	LEASH_CHARSET_ISO_8859_2,
	LEASH_CHARSET_ISO_8859_3,
	LEASH_CHARSET_ISO_8859_4,
	LEASH_CHARSET_ISO_8859_5,
	LEASH_CHARSET_ISO_8859_6,
	LEASH_CHARSET_ISO_8859_7,
	LEASH_CHARSET_ISO_8859_8,	/* visual and logical order: the bytes mean the same */
	LEASH_CHARSET_ISO_8859_10,
	LEASH_CHARSET_ISO_8859_13,
	LEASH_CHARSET_ISO_8859_14,
	LEASH_CHARSET_ISO_8859_15,
	LEASH_CHARSET_ISO_8859_16,
	LEASH_CHARSET_KOI8_R,
	LEASH_CHARSET_KOI8_U,
	LEASH_CHARSET_MACINTOSH,
	LEASH_CHARSET_MAC_CYRILLIC,
	LEASH_CHARSET_WINDOWS_874,
	LEASH_CHARSET_WINDOWS_1250,
	LEASH_CHARSET_WINDOWS_1251,
	LEASH_CHARSET_WINDOWS_1252,
	LEASH_CHARSET_WINDOWS_1253,
	LEASH_CHARSET_WINDOWS_1254,
	LEASH_CHARSET_WINDOWS_1255,
	LEASH_CHARSET_WINDOWS_1256,
	LEASH_CHARSET_WINDOWS_1257,
	LEASH_CHARSET_WINDOWS_1258,
	LEASH_CHARSET_REPLACEMENT,	/* known to be unsafe: never converted */
	LEASH_CHARSET_USER_DEFINED,	/* bytes, no text: never converted */
	LEASH_CHARSET_NUM,
};

#define LEASH_CHARSET_CHAR_MAX 8	/* bytes of one character or escape sequence, at most */
#define LEASH_CHARSET_ROOM 32		/* bytes of output that always let the conversion go on */
#define LEASH_CHARSET_GROWTH 3		/* bytes out for a byte in, at most ... */
#define LEASH_CHARSET_SLACK 16		/* ... and these, once a call, for what was kept before */

/* Bytes on their way through; the caller owns both buffers, which must not overlap */
struct leash_text_io {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
};

/* One conversion. Between open and close it owns memory of the C library */
struct leash_charset_conv {
	void *cd;			/* iconv_t */
	enum leash_charset from;
	bool open;
	bool malformed;			/* bytes that were no text passed as they were */
	bool bom;			/* nothing came out yet: one U+FEFF may still be filtered */
	bool flushed;
	uint8_t tail[LEASH_CHARSET_CHAR_MAX];	/* the beginning of a character */
	uint8_t tail_len;
};

/**
 * leash_charset_find() - The charset that a label stands for
 * @label:	As found in a header; blanks around it and its case do not matter
 *
 * Return: UNKNOWN for what the Encoding standard does not list
 */
enum leash_charset leash_charset_find(const void *label, size_t len);

/** leash_charset_name() - The standard's name, for messages: "Shift_JIS" */
const char *leash_charset_name(enum leash_charset charset);

/**
 * leash_charset_open() - Begin a conversion to UTF-8
 * @conv:	Filled in on success, untouched otherwise
 *
 * Return: 0; -EINVAL where there is nothing to convert (UTF-8, unknown, replacement,
 *	   x-user-defined); -ENOENT if the C library has no converter for it (a chroot without
 *	   gconv modules, for one); -ENOMEM, -EMFILE and the like as they come
 */
int leash_charset_open(struct leash_charset_conv *conv, enum leash_charset from);

/**
 * leash_charset_feed() - Convert what there is
 * @io:		Moved forward; taken input may be kept (at most LEASH_CHARSET_CHAR_MAX bytes)
 *
 * Ends when the input is empty or less than LEASH_CHARSET_ROOM bytes of output are left.
 * The first character is left out if it is U+FEFF. Bytes that are no text in the charset
 * come out as they are, and the conversion goes on behind them.
 */
void leash_charset_feed(struct leash_charset_conv *conv, struct leash_text_io *io);

/**
 * leash_charset_finish() - The text is over: what was kept comes out
 *
 * An incomplete character passes as it is. May be repeated.
 *
 * Return: 0, -ENOBUFS if @io has less than LEASH_CHARSET_ROOM bytes left (nothing is lost)
 */
int leash_charset_finish(struct leash_charset_conv *conv, struct leash_text_io *io);

/** leash_charset_close() - Give the memory back, at any time; harmless when nothing is open */
void leash_charset_close(struct leash_charset_conv *conv);

#endif
