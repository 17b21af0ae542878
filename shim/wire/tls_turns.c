/* SPDX-License-Identifier: MIT */
#include "shim/wire/tls_turns.h"

#define TYPE_MIN 20		/* change_cipher_spec, alert, handshake, application_data */
#define TYPE_MAX 24		/* heartbeat */
#define TYPE_DATA 23
#define BODY_MAX (16384 + 2048)	/* RFC 5246 6.2.3; TLS 1.3 allows less */

/*
 * What a ticket looks like from outside. OpenSSL sends two of some 250 bytes, others one to four of
 * 60 to 300, with a client certificate inside more; all at once, as soon as the client has
 * finished. An answer that is taken for a ticket keeps its clock running until the next one.
 */
#define TICKET_MIN 40
#define TICKET_MAX 1400
#define TICKETS_MAX 4
#define TICKET_DIFF 32
#define BURST_MS 200
#define FINISH_MS 1000

enum { CLIENT, SERVER };

static void client_record(struct leash_tls_turns *turns, int64_t now_ms)
{
	if (turns->side[CLIENT].head[0] != TYPE_DATA)
		return;
	if (!turns->data_out)
		turns->data_ms = now_ms;
	turns->data_out = 1;
}

static bool is_ticket(struct leash_tls_turns *turns, uint16_t len, int64_t now_ms)
{
	const int diff = len > turns->ticket_len ? len - turns->ticket_len : turns->ticket_len - len;

	if (len < TICKET_MIN || len > TICKET_MAX || turns->tickets >= TICKETS_MAX)
		return false;
	if (turns->tickets == 0) {
		if (now_ms - turns->data_ms > FINISH_MS)
			return false;
		turns->ticket_ms = now_ms;
		turns->ticket_len = len;
	} else if (diff > TICKET_DIFF || now_ms - turns->ticket_ms > BURST_MS) {
		return false;
	}
	turns->tickets++;
	return true;
}

static bool server_record(struct leash_tls_turns *turns, int64_t now_ms)
{
	if (turns->side[SERVER].head[0] != TYPE_DATA)
		return false;
	if (!turns->data_out) {
		turns->v13 = 1;
		return false;
	}
	return !turns->v13 || !is_ticket(turns, turns->side[SERVER].left, now_ms);
}

/* Return: does one of the records that begin here answer? */
static bool feed(struct leash_tls_turns *turns, int side, const uint8_t *at, size_t len, int64_t now_ms)
{
	bool answer = false;

	while (len > 0 && !turns->lost) {
		uint8_t *head = turns->side[side].head;

		if (turns->side[side].left > 0) {
			const size_t part = len < turns->side[side].left ? len : turns->side[side].left;

			turns->side[side].left = (uint16_t)(turns->side[side].left - part);
			at += part;
			len -= part;
			continue;
		}
		head[turns->side[side].head_len++] = *at++;
		len--;
		if (turns->side[side].head_len < 5)
			continue;
		turns->side[side].head_len = 0;
		turns->side[side].left = (uint16_t)(head[3] << 8 | head[4]);
		if (head[0] < TYPE_MIN || head[0] > TYPE_MAX || head[1] != 3 ||
		    turns->side[side].left > BODY_MAX)
			turns->lost = 1;
		else if (side == CLIENT)
			client_record(turns, now_ms);
		else
			answer |= server_record(turns, now_ms);
	}
	return answer || turns->lost;
}

void leash_tls_turns_out(struct leash_tls_turns *turns, const void *buf, size_t len, int64_t now_ms)
{
	feed(turns, CLIENT, buf, len, now_ms);
}

bool leash_tls_turns_in(struct leash_tls_turns *turns, const void *buf, size_t len, int64_t now_ms)
{
	return feed(turns, SERVER, buf, len, now_ms);
}
