/* SPDX-License-Identifier: MIT */
/*
 * Names are the only difficulty. A compression pointer must lead backwards, to
 * before the piece of name that holds it and behind the header: each jump goes
 * strictly down, so there is no loop to count, and a name has 255 bytes at most
 * wherever they lie (RFC 1035 section 4.1.4, RFC 9267 sections 2 and 3).
 */
#include "shim/wire/dns.h"

#include <errno.h>
#include <string.h>

#include "shim/wire/cursor.h"

#define HEADER_LEN	12
#define LABEL_MAX	63
#define WIRE_NAME_MAX	255		/* with the root's zero */
#define CLASS_IN	1
#define TYPE_OPT	41		/* RFC 6891 */
#define CNAME_LINKS_MAX	16

#define FLAG_QR		0x8000u
#define FLAG_OPCODE	0x7800u
#define FLAG_RCODE	0x000fu

/* A message and how far it was read; records point back into the whole. */
struct msg {
	const uint8_t *buf;
	size_t len;
	struct leash_cur rest;
};

struct header {
	uint32_t id, flags, qd, an, ns, ar;
};

static size_t position(const struct msg *msg)
{
	return msg->len - msg->rest.left;
}

static int take_header(struct msg *msg, struct header *ret)
{
	struct header header;

	if (!leash_cur_uint(&msg->rest, 2, &header.id) ||
	    !leash_cur_uint(&msg->rest, 2, &header.flags) ||
	    !leash_cur_uint(&msg->rest, 2, &header.qd) ||
	    !leash_cur_uint(&msg->rest, 2, &header.an) ||
	    !leash_cur_uint(&msg->rest, 2, &header.ns) ||
	    !leash_cur_uint(&msg->rest, 2, &header.ar))
		return -EBADMSG;
	*ret = header;
	return 0;
}

static int copy_label(const uint8_t *label, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = label[i];

		if (c <= ' ' || c >= 0x7f || c == '.')
			return -EBADMSG;
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + ('a' - 'A'));
		text[i] = (char)c;
	}
	return 0;
}

/*
 * The name at the reading position, as text in lower case. @text is scratch: it may be
 * written to before the name turns out to be bad.
 * Return: its length, -EBADMSG
 */
static int take_name(struct msg *msg, char text[static LEASH_DNS_NAME_SIZE])
{
	struct leash_cur cur = msg->rest;
	size_t start = position(msg);		/* of the piece that is being read */
	size_t text_len = 0, wire_len = 1;
	bool jumped = false;
	const uint8_t *label;
	uint32_t len, low;

	for (;;) {
		if (!leash_cur_uint(&cur, 1, &len))
			return -EBADMSG;
		if ((len & 0xc0) == 0xc0) {
			size_t target;

			if (!leash_cur_uint(&cur, 1, &low))
				return -EBADMSG;
			target = (len & 0x3f) << 8 | low;
			if (target < HEADER_LEN || target >= start)
				return -EBADMSG;
			if (!jumped)
				msg->rest = cur;
			jumped = true;
			start = target;
			cur = leash_cur(msg->buf, msg->len);
			if (!leash_cur_take(&cur, target, &label))
				return -EBADMSG;
			continue;
		}
		if (len > LABEL_MAX)		/* 0x40 and 0x80: label types nobody has */
			return -EBADMSG;
		if (len == 0)
			break;
		wire_len += 1 + len;
		if (wire_len > WIRE_NAME_MAX || !leash_cur_take(&cur, len, &label))
			return -EBADMSG;
		if (text_len)
			text[text_len++] = '.';
		if (copy_label(label, len, text + text_len) < 0)
			return -EBADMSG;
		text_len += len;
	}
	if (!jumped)
		msg->rest = cur;
	text[text_len] = '\0';
	return (int)text_len;
}

static int take_question(struct msg *msg, struct header *ret_header,
			 struct leash_dns_question *question)
{
	uint32_t type, class;
	int rc;

	rc = take_header(msg, ret_header);
	if (rc < 0)
		return rc;
	if (ret_header->qd != 1)
		return -EBADMSG;
	rc = take_name(msg, question->name);
	if (rc < 0)
		return rc;
	if (!leash_cur_uint(&msg->rest, 2, &type) || !leash_cur_uint(&msg->rest, 2, &class) ||
	    class != CLASS_IN)
		return -EBADMSG;
	question->id = (uint16_t)ret_header->id;
	question->response = ret_header->flags & FLAG_QR;
	question->type = (uint16_t)type;
	question->name_len = (size_t)rc;
	question->end = position(msg);
	return 0;
}

/* What a query may have behind its question: an OPT record of the root, no more */
static int check_query(struct msg *msg, const struct header *header)
{
	uint32_t root, type, class, ttl;
	struct leash_cur options;

	if (header->flags & FLAG_OPCODE || header->an || header->ns || header->ar > 1)
		return -EBADMSG;
	if (header->ar &&
	    (!leash_cur_uint(&msg->rest, 1, &root) || root ||
	     !leash_cur_uint(&msg->rest, 2, &type) || type != TYPE_OPT ||
	     !leash_cur_uint(&msg->rest, 2, &class) || !leash_cur_uint(&msg->rest, 4, &ttl) ||
	     !leash_cur_vec(&msg->rest, 2, &options)))
		return -EBADMSG;
	return msg->rest.left ? -EBADMSG : 0;
}

int leash_dns_question_parse(const void *buf, size_t len, struct leash_dns_question *out)
{
	struct msg msg = {.buf = buf, .len = len, .rest = leash_cur(buf, len)};
	struct leash_dns_question question = {0};
	struct header header;
	int rc;

	rc = take_question(&msg, &header, &question);
	if (rc < 0)
		return rc;
	if (!question.response) {
		rc = check_query(&msg, &header);
		if (rc < 0)
			return rc;
	}
	*out = question;
	return 0;
}

/* Walks the answer section once for every link; @out_max counts from 0 again */
struct walk {
	struct leash_dns_answer *out;	/* NULL: only look whether the message is good */
	size_t out_max, count;
	uint32_t ttl_max_s;		/* the smallest lifetime on the way here */
};

static void add(struct walk *walk, uint8_t family, struct leash_cur data, uint32_t ttl_s)
{
	struct leash_dns_answer *answer;

	if (walk->count == walk->out_max)
		return;
	if (walk->out) {
		answer = &walk->out[walk->count];
		*answer = (struct leash_dns_answer){.family = family, .ttl_s = ttl_s};
		memcpy(answer->addr, data.at, data.left);
	}
	walk->count++;
}

/*
 * All records of one owner. @name is the owner, and becomes the alias's target.
 * Return: 1 if there is an alias to follow, 0 if not, -EBADMSG
 */
static int walk_owner(struct msg msg, uint32_t records, char name[static LEASH_DNS_NAME_SIZE],
		      struct walk *walk)
{
	char text[LEASH_DNS_NAME_SIZE];
	uint32_t type, class, ttl_s, alias_ttl_s = 0;
	struct msg target = {0};
	struct leash_cur data;

	for (uint32_t i = 0; i < records; i++) {
		bool ours;

		if (take_name(&msg, text) < 0)
			return -EBADMSG;
		ours = strcmp(text, name) == 0;
		if (!leash_cur_uint(&msg.rest, 2, &type) || !leash_cur_uint(&msg.rest, 2, &class) ||
		    !leash_cur_uint(&msg.rest, 4, &ttl_s) || !leash_cur_vec(&msg.rest, 2, &data))
			return -EBADMSG;
		if (class != CLASS_IN)
			continue;
		if (ttl_s > INT32_MAX)		/* RFC 2181 section 8 */
			ttl_s = 0;
		if (ttl_s > walk->ttl_max_s)
			ttl_s = walk->ttl_max_s;
		if (type == LEASH_DNS_A || type == LEASH_DNS_AAAA) {
			if (data.left != (type == LEASH_DNS_A ? 4 : 16))
				return -EBADMSG;
			if (ours)
				add(walk, type == LEASH_DNS_A ? 4 : 6, data, ttl_s);
		} else if (type == LEASH_DNS_CNAME) {
			/* A message that ends with this record: pointers keep their meaning. */
			struct msg at = {
				.buf = msg.buf, .len = position(&msg), .rest = data,
			};
			const struct msg name_at = at;

			if (take_name(&at, text) < 0 || at.rest.left)
				return -EBADMSG;
			if (ours && !target.buf) {
				target = name_at;
				alias_ttl_s = ttl_s;
			}
		}
	}
	if (!target.buf)
		return 0;
	walk->ttl_max_s = alias_ttl_s;
	return take_name(&target, name) < 0 ? -EBADMSG : 1;
}

static int walk_answers(const struct msg *msg, uint32_t records,
			struct leash_dns_question *question, struct walk *walk)
{
	int rc;

	for (unsigned int links = 0; links <= CNAME_LINKS_MAX; links++) {
		rc = walk_owner(*msg, records, question->name, walk);
		if (rc <= 0)
			return rc;
	}
	return -EBADMSG;			/* a loop, or as good as one */
}

int leash_dns_answers_parse(const void *buf, size_t len, struct leash_dns_answer *out,
			    size_t out_max)
{
	const struct msg start = {.buf = buf, .len = len, .rest = leash_cur(buf, len)};
	struct leash_dns_question question;
	struct header header;
	struct msg msg;
	struct walk walk;
	int rc;

	if (out_max > INT32_MAX)
		out_max = INT32_MAX;
	/* Twice, first without an output, so that a bad end leaves @out untouched. */
	for (int fill = 0; fill <= 1; fill++) {
		msg = start;
		rc = take_question(&msg, &header, &question);
		if (rc < 0)
			return rc;
		if (!question.response || header.flags & FLAG_OPCODE)
			return -EBADMSG;
		if (header.flags & FLAG_RCODE)
			return 0;
		walk = (struct walk){
			.out = fill ? out : NULL, .out_max = out_max, .ttl_max_s = INT32_MAX,
		};
		rc = walk_answers(&msg, header.an, &question, &walk);
		if (rc < 0)
			return rc;
	}
	return (int)walk.count;
}

static bool eat_octet(struct leash_cur *cur, uint8_t *ret)
{
	struct leash_cur look = *cur;
	size_t digits = 0, value = 0;
	uint32_t c;

	while (leash_cur_uint(&look, 1, &c) && c >= '0' && c <= '9' && digits < 4) {
		value = value * 10 + (c - '0');
		digits++;
		*cur = look;
	}
	/* The first digit of several is not zero: one spelling for each address. */
	if (digits == 0 || value > 255 || digits != (value > 99 ? 3u : value > 9 ? 2u : 1u))
		return false;
	*ret = (uint8_t)value;
	return true;
}

static bool eat_nibble(struct leash_cur *cur, uint8_t *ret)
{
	uint32_t c;

	if (!leash_cur_uint(cur, 1, &c))
		return false;
	if (c >= '0' && c <= '9')
		*ret = (uint8_t)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*ret = (uint8_t)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

static bool eat_dot(struct leash_cur *cur)
{
	uint32_t c;

	return leash_cur_uint(cur, 1, &c) && c == '.';
}

/* Is this what is left, whatever its case? @text: lower case */
static bool rest_is(struct leash_cur cur, const char *text)
{
	uint32_t c;

	while (leash_cur_uint(&cur, 1, &c)) {
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != (uint8_t)*text || c == 0)
			return false;
		text++;
	}
	return *text == '\0';
}

int leash_dns_reverse_name(const char *name, uint8_t ret_addr[static 16])
{
	struct leash_cur cur = leash_cur(name, strlen(name));
	uint8_t addr[16] = {0};
	size_t i;

	for (i = 0; i < 4 && eat_octet(&cur, &addr[3 - i]) && eat_dot(&cur); i++)
		;
	if (i == 4 && rest_is(cur, "in-addr.arpa")) {
		memcpy(ret_addr, addr, sizeof(addr));
		return 4;
	}

	cur = leash_cur(name, strlen(name));
	for (i = 0; i < 16; i++) {
		uint8_t low, high;

		if (!eat_nibble(&cur, &low) || !eat_dot(&cur) || !eat_nibble(&cur, &high) ||
		    !eat_dot(&cur))
			return 0;
		addr[15 - i] = (uint8_t)(high << 4 | low);
	}
	if (!rest_is(cur, "ip6.arpa"))
		return 0;
	memcpy(ret_addr, addr, sizeof(addr));
	return 6;
}
