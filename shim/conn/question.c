/* SPDX-License-Identifier: MIT */
/*
 * The program's own DNS (policy 4): only questions for listed names leave, and only to
 * the configured servers; what they answer is learnt.
 */
#include <string.h>

#include "shim/conn/inner.h"
#include "shim/conn/names.h"
#include "shim/core/probe.h"
#include "shim/core/scratch.h"
#include "shim/core/sys.h"
#include "shim/wire/dns.h"

#define STREAM_BUFFERS 16
#define STREAM_SIZE 16384	/* a message over TCP; larger answers are not learnt */

/* Messages over TCP that are not whole yet, one buffer for each direction */
static struct {
	_Atomic(const struct leash_conn *) owner;
	uint64_t cookie;
	size_t out_len, in_len;
	uint8_t out[STREAM_SIZE], in[STREAM_SIZE];
} streams[STREAM_BUFFERS];

/* PTR: only for an address that was resolved, so that nothing new is carried out. */
static bool known_reverse(const char *name)
{
	struct leash_nameref names[LEASH_NAMES_PER_ADDR];
	uint8_t bytes[16];
	struct leash_addr addr;
	const int family = leash_dns_reverse_name(name, bytes);

	if (!family)
		return false;
	addr = family == 4 ? leash_addr_normal4(bytes) : leash_addr_normal6(bytes, 0);
	return leash_names_lookup(&addr, names) > 0;
}

int leash_question_ask(struct leash_conn *conn, const void *msg, size_t len, const char *call)
{
	const struct leash_image *image = leash_image_get();
	struct leash_dns_question *question;
	struct leash_gate *gate;
	int ret;

	if (!image)
		return leash_gate_simple(call, "DNS question", leash_policy_none());
	question = leash_scratch_take();
	if (!question)
		return -ENOBUFS;
	gate = (struct leash_gate *)(void *)((char *)question + LEASH_SCRATCH_SIZE / 2);
	if (leash_dns_question_parse(msg, len, question) < 0 || question->response) {
		/* Not one plain question: what it carries cannot be told. */
		leash_gate_name(gate, call, "a DNS message that is not one plain question",
				leash_policy_dns(image, "", 0, 0));
		ret = leash_gate_settle(gate);
	} else if (question->type == LEASH_DNS_PTR && known_reverse(question->name)) {
		ret = 0;
	} else {
		leash_gate_name(gate, call, question->name,
				leash_policy_dns(image, question->name, question->name_len,
						 question->type));
		ret = leash_gate_settle(gate);
	}
	if (ret == 0 && !question->response) {
		struct leash_conn_more *const more = leash_conn_more(conn);
		const uint32_t at = more->dns_next++ % LEASH_DNS_PENDING;

		more->dns_id[at] = question->id;
		more->dns_type[at] = question->type;
		more->dns_name[at] = leash_names_intern(question->name);
	}
	leash_scratch_give(question);
	return ret;
}

void leash_question_answer(struct leash_conn *conn, const void *msg, size_t len)
{
	struct {
		struct leash_dns_question question;
		struct leash_dns_answer answers[64];
	} *work = leash_scratch_take();
	int count;

	_Static_assert(sizeof(*work) <= LEASH_SCRATCH_SIZE, "lives in a scratch block");
	if (!work)
		return;
	if (leash_dns_question_parse(msg, len, &work->question) == 0 && work->question.response) {
		for (int i = 0; i < LEASH_DNS_PENDING; i++) {
			const struct leash_conn_more *const more = leash_conn_more(conn);
			const char *name = leash_names_text(more->dns_name[i]);

			if (!more->dns_name[i] || more->dns_id[i] != work->question.id ||
			    more->dns_type[i] != work->question.type ||
			    strcmp(name, work->question.name) != 0)
				continue;
			count = leash_dns_answers_parse(msg, len, work->answers, 64);
			for (int j = 0; j < count; j++) {
				const struct leash_dns_answer *answer = &work->answers[j];
				const struct leash_addr addr =
					answer->family == 4 ? leash_addr_normal4(answer->addr)
							    : leash_addr_normal6(answer->addr, 0);

				leash_names_learn(name, &addr);
			}
			break;
		}
	}
	leash_scratch_give(work);
}

static int stream_of(const struct leash_conn *conn)
{
	for (int i = 0; i < STREAM_BUFFERS; i++)
		if (atomic_load(&streams[i].owner) == conn && streams[i].cookie == conn->cookie)
			return i;
	for (int i = 0; i < STREAM_BUFFERS; i++) {
		const struct leash_conn *owner = atomic_load(&streams[i].owner);

		/* Free, or its connection is gone. */
		if ((!owner || owner->cookie != streams[i].cookie ||
		     leash_registry_state(owner) != LEASH_CONN_DNS) &&
		    atomic_compare_exchange_strong(&streams[i].owner, &owner, conn)) {
			streams[i].cookie = conn->cookie;
			streams[i].out_len = streams[i].in_len = 0;
			return i;
		}
	}
	return -1;
}

static size_t whole(const uint8_t *buf, size_t len)
{
	const size_t want = len < 2 ? 2 : 2 + (size_t)(buf[0] << 8 | buf[1]);

	return len >= want && len >= 2 ? want : 0;
}

ssize_t leash_question_send(struct leash_conn *conn, int fd, const struct msghdr *msg, int flags,
			    const char *call)
{
	const int at = stream_of(conn);
	size_t taken = 0, size;

	if (at < 0)
		return -ENOBUFS;
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		if (msg->msg_iov[i].iov_len > STREAM_SIZE - streams[at].out_len)
			return -EMSGSIZE;	/* no question is that long */
		if (!leash_probe_range(msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len))
			return -EFAULT;
		memcpy(streams[at].out + streams[at].out_len, msg->msg_iov[i].iov_base,
		       msg->msg_iov[i].iov_len);
		streams[at].out_len += msg->msg_iov[i].iov_len;
		taken += msg->msg_iov[i].iov_len;
	}
	/* Half a message stays here: it is small, and its name must not leave before it is read. */
	while ((size = whole(streams[at].out, streams[at].out_len)) > 0) {
		size_t done = 0;
		int ret = leash_question_ask(conn, streams[at].out + 2, size - 2, call);

		if (ret < 0) {
			streams[at].out_len = 0;
			return ret;
		}
		while (done < size) {
			const ssize_t sent = LEASH_REAL(send, fd, streams[at].out + done, size - done,
							flags | MSG_NOSIGNAL);

			/* A few dozen bytes into an empty socket: it takes them, or the connection is lost. */
			if (sent < 0) {
				streams[at].out_len = 0;
				return sent;
			}
			done += (size_t)sent;
		}
		memmove(streams[at].out, streams[at].out + size, streams[at].out_len - size);
		streams[at].out_len -= size;
	}
	return (ssize_t)taken;
}

void leash_question_received(struct leash_conn *conn, const struct iovec *iov, size_t count,
			     size_t got)
{
	int at;

	if (!conn->stream) {
		/* A datagram in pieces of memory is a resolver nobody has seen: the first piece. */
		if (count > 0)
			leash_question_answer(conn, iov[0].iov_base,
					      got < iov[0].iov_len ? got : iov[0].iov_len);
		return;
	}
	at = stream_of(conn);
	for (size_t i = 0; at >= 0 && i < count && got > 0; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t left = got < iov[i].iov_len ? got : iov[i].iov_len;

		got -= left;
		while (left > 0) {
			size_t part = STREAM_SIZE - streams[at].in_len, size;

			if (part == 0) {	/* longer than is kept: start again behind it */
				streams[at].in_len = 0;
				return;
			}
			if (part > left)
				part = left;
			memcpy(streams[at].in + streams[at].in_len, from, part);
			streams[at].in_len += part;
			from += part;
			left -= part;
			while ((size = whole(streams[at].in, streams[at].in_len)) > 0) {
				leash_question_answer(conn, streams[at].in + 2, size - 2);
				memmove(streams[at].in, streams[at].in + size,
					streams[at].in_len - size);
				streams[at].in_len -= size;
			}
		}
	}
}
