/* SPDX-License-Identifier: MIT */
#include "shim/wire/tls_record.h"

#include <errno.h>
#include <string.h>

static int check_head(const uint8_t *head)
{
	const unsigned int len = (unsigned int)head[3] << 8 | head[4];

	if (head[0] < LEASH_RECORD_CCS || head[0] > LEASH_RECORD_DATA || head[1] != 3)
		return -EBADMSG;
	return len == 0 || len > LEASH_RECORD_MAX ? -EBADMSG : (int)len;
}

int leash_tls_records_feed(struct leash_tls_records *records, const void *in, size_t len,
			   uint8_t *out, size_t size, size_t *out_len)
{
	const uint8_t *at = in;
	size_t left = len;

	while (left > 0 && records->stop == 0) {
		size_t part;

		if (records->left == 0) {
			int body;

			records->dropping = false;
			records->head[records->head_len++] = *at++;
			left--;
			if (records->head_len == 1 && (records->head[0] < LEASH_RECORD_CCS ||
						       records->head[0] > LEASH_RECORD_DATA))
				return -EBADMSG;	/* plain text from the first byte on */
			if (records->head_len < LEASH_RECORD_HEAD)
				continue;
			records->head_len = 0;
			body = check_head(records->head);
			if (body < 0)
				return body;
			records->left = (uint16_t)body;
			if (records->head[0] != LEASH_RECORD_HANDSHAKE)
				records->stop = records->head[0];
			continue;
		}
		part = left < records->left ? left : records->left;
		if (!records->dropping) {
			if (part > size - *out_len)
				return -EMSGSIZE;
			memcpy(out + *out_len, at, part);
			*out_len += part;
		}
		at += part;
		left -= part;
		records->left = (uint16_t)(records->left - part);
	}
	return (int)(len - left);
}

void leash_tls_records_resume(struct leash_tls_records *records)
{
	records->stop = 0;
	records->dropping = true;
}
