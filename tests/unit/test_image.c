/* SPDX-License-Identifier: MIT */
/*
 * Damaged images. Opening looks at the header alone, so what is asked of a damage
 * anywhere is: either it is refused when opened, or whoever verifies sees it; and
 * nobody who asks questions of such an image reads outside of it or goes round in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "draft.h"
#include "policy/image.h"

static const char *const names[] = {
	"api.example.com", "play.example.com", "bad.example.com", "raw.example.com", "a.example.org",
	"localhost", "example.net", "xn--bcher-kva.example",
};

static struct leash_image *sample(size_t *ret_len)
{
	static const struct leash_draft_entry entries[] = {
		{"api.example.com", "https://api.example.com", "game.cfg", 3, LEASH_LIST_REQUEST, 0},
		{"play.example.com", "wss://play.example.com", "game.cfg", 4, LEASH_LIST_SOCKET, 0},
		{"api.example.com", "wss://api.example.com", "game.cfg", 5, LEASH_LIST_SOCKET, 0},
		{"raw.example.com", "tcp://raw.example.com", "game.cfg", 6, LEASH_LIST_TCP, 0},
		{"bad.example.com", "BAD.example.com", "game.cfg", 7, LEASH_LIST_BLOCKED, 0},
		{"api.example.com", "https://api.example.com:1", "game.cfg", 8, LEASH_LIST_UPLOAD, 1},
		{"example.org", "https://example.org", "more.cfg", 1, LEASH_LIST_DOWNLOAD, 0},
	};
	static const struct leash_draft_source sources[] = {{"/p/game.cfg", 1, 2, 3, 4}};
	static const uint8_t distrust[1][32] = {{7}};
	static const char *const extra_ca[] = {"/etc/ca.pem"};
	static const uint16_t ports[] = {8080};
	const struct leash_draft draft = {
		.settings = {.lan_allow = 1, .ports_exact = 1},
		.appid = "wx01",
		.path = "/p/game.cfg",
		.entries = entries,
		.entry_count = ARRAY_SIZE(entries),
		.sources = sources,
		.source_count = 1,
		.distrust = distrust,
		.distrust_count = 1,
		.extra_ca = extra_ca,
		.extra_ca_count = 1,
		.loopback_ports = ports,
		.loopback_port_count = 1,
	};
	void *block = NULL;

	assert_int_equal(leash_build(&draft, &block, ret_len), 0);
	return block;
}

/* Every accessor and every question; answers may be wrong, the address sanitizer and a
 * block of exactly its size see to the rest. */
static void ask_everything(const struct leash_image *image)
{
	const struct leash_net net = draft_net();
	char buf[256];

	leash_image_path(image);
	assert_true(strlen(leash_image_trust_dir(image)) < leash_image_size(image));
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(strlen(leash_image_extra_ca(image, i)) < leash_image_size(image));
		assert_non_null(leash_image_distrust(image, i));
		leash_image_string(image, leash_image_source(image, i)->path);
		leash_image_loopback_port(image, i);
	}
	for (uint32_t i = 0; i < 9; i++) {
		const struct leash_entry *entry = leash_image_entry(image, i);
		uint32_t steps = 0;

		assert_in_range(entry->list, 0, LEASH_LIST_COUNT - 1);
		assert_true(strlen(leash_image_string(image, entry->text)) < leash_image_size(image));
		for (uint32_t at = i; at != LEASH_ENTRY_NONE; at = leash_image_next(image, at))
			assert_true(steps++ <= leash_image_entry_count(image));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const size_t len = strlen(names[i]);
		const struct leash_nameref refs[] = {{names[i], len}, {"api.example.com", 15}};
		const struct leash_subject subject = {"request", names[i], "203.0.113.7", 9000};
		struct leash_verdict v = leash_policy_resolve(image, names[i], len);
		uint32_t near = leash_policy_near(image, names[i], len, 100);

		leash_explain_hint(image, &v, &subject, near, buf, sizeof(buf));
		leash_explain_rule(image, &v, buf, sizeof(buf));
		for (unsigned int transport = 0; transport < 2; transport++) {
			const struct leash_peer peer = {
				.transport = (enum leash_transport)transport,
				.addr = draft_addr("203.0.113.7"),
				.port = 9000,
				.sending = true,
				.names = refs,
				.name_count = 2,
				.net = &net,
			};

			v = leash_policy_peer(image, &peer);
			leash_explain_hint(image, &v, &subject, LEASH_ENTRY_NONE, buf, sizeof(buf));
			leash_explain_rule(image, &v, buf, sizeof(buf));
			v = leash_policy_tls(image, &peer, names[i], len);
			leash_explain_hint(image, &v, &subject, near, buf, sizeof(buf));
			v = leash_policy_plaintext(image, &peer, LEASH_PASS_TLS);
			leash_explain_hint(image, &v, &subject, near, buf, sizeof(buf));
		}
	}
}

/* A copy in a block of exactly @len bytes, so that a step outside is one too far. */
static struct leash_image *copy_of(const void *block, size_t len)
{
	void *copy = malloc(len ? len : 1);

	memcpy(copy, block, len);
	return copy;
}

static void whole(void **state)
{
	const struct leash_image *image = NULL;
	size_t len;
	struct leash_image *block = sample(&len);

	(void)state;
	assert_int_equal(leash_image_open(block, len, &image), 0);
	assert_int_equal(leash_image_size(image), len);
	assert_int_equal(leash_image_verify(image), 0);
	ask_everything(image);
	free(block);
}

static void truncated(void **state)
{
	size_t len;
	struct leash_image *block = sample(&len);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		struct leash_image *copy = copy_of(block, n);
		const struct leash_image *image = NULL;

		assert_int_equal(leash_image_open(copy, n, &image), -EBADMSG);
		assert_null(image);
		free(copy);
	}
	free(block);
}

static void longer(void **state)
{
	size_t len;
	struct leash_image *block = sample(&len);
	uint8_t *more = calloc(1, len + 8);
	const struct leash_image *image = NULL;

	(void)state;
	memcpy(more, block, len);
	assert_int_equal(leash_image_open(more, len + 8, &image), -EBADMSG);
	assert_int_equal(leash_image_open(more + 8, len, &image), -EBADMSG);
	memmove(more + 4, block, len);	/* not aligned */
	assert_int_equal(leash_image_open(more + 4, len, &image), -EBADMSG);
	assert_null(image);
	free(more);
	free(block);
}

/* Every bit of every byte, one at a time. */
static void flipped(void **state)
{
	size_t len, opened = 0, ends = 0;
	struct leash_image *block = sample(&len);

	(void)state;
	for (size_t n = 0; n < len * 8; n++) {
		struct leash_image *copy = copy_of(block, len);
		const struct leash_image *image = NULL;
		size_t byte = n / 8;
		int rc;

		((uint8_t *)copy)[byte] ^= (uint8_t)(1u << n % 8);
		rc = leash_image_open(copy, len, &image);
		if (byte >= offsetof(struct leash_image, version) &&
		    byte < offsetof(struct leash_image, head_sum))
			assert_int_equal(rc, -EPROTO);
		else if (byte < sizeof(struct leash_image))
			assert_int_equal(rc, -EBADMSG);
		else if (rc != 0)
			ends += rc == -EBADMSG;
		if (rc == 0) {
			opened++;
			assert_int_equal(leash_image_verify(image), -EBADMSG);
			if (n % 8 == byte % 8)	/* each byte once: the questions take longer */
				ask_everything(image);
		} else {
			assert_null(image);
		}
		free(copy);
	}
	/* Behind the header opening looks at two bytes alone: the first and last of the strings. */
	assert_int_equal(ends, 2 * 8);
	assert_int_equal(opened, (len - sizeof(struct leash_image) - 2) * 8);
	free(block);
}

static uint32_t dice(uint32_t sides)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % sides;
}

/* Damage by somebody who mends the checksums: sections anywhere, chains in circles, slots
 * without a free one. The structures must be looked at themselves. */
static void forged(void **state)
{
	static const uint32_t values[] = {0, 1, 2, 3, 7, 8, 16, 255, 256, 0x7fffffff, 0x80000000,
					  0xfffffff0, 0xfffffffe, 0xffffffff};
	unsigned int opened = 0, verified = 0, refused = 0;
	size_t len;
	struct leash_image *block = sample(&len);

	(void)state;
	for (unsigned int round = 0; round < 60000; round++) {
		struct leash_image *copy = copy_of(block, len);
		const struct leash_image *image = NULL;
		bool head = round % 3 == 0;
		size_t from = head ? offsetof(struct leash_image, body_sum) + 8 :
				     sizeof(struct leash_image);
		size_t room = (head ? sizeof(struct leash_image) : len) - from;

		for (uint32_t changes = 1 + dice(3); changes > 0; changes--) {
			uint32_t value = dice(2) ? values[dice(ARRAY_SIZE(values))] :
						   dice((uint32_t)len + 9);
			size_t at = from + dice((uint32_t)room / 4) * 4;

			memcpy((uint8_t *)copy + at, &value, sizeof(value));
		}
		if (copy->size == len)
			copy->body_sum = leash_image_body_sum(copy);
		copy->head_sum = leash_image_head_sum(copy);
		if (leash_image_open(copy, len, &image) == 0) {
			opened++;
			if (leash_image_verify(image) == 0)
				verified++;
			ask_everything(image);
		} else {
			refused++;
		}
		free(copy);
	}
	assert_in_range(refused, 1000, 60000);
	assert_in_range(opened, 1000, 60000);
	/* Some forgeries are images: another port, another line. Most are not. */
	assert_in_range(verified, 1, opened / 2);
	free(block);
}

/* One fault each, with mended checksums, that verification must see. */
static void seen_by_verify(void **state)
{
	static const char *const labels[] = {
		"a chain that goes back", "a chain that leaves", "an entry of another name",
		"an entry in no chain", "a slot of no name", "a tag that is wrong",
		"a name in no slot", "lists that no entry has", "a name not in normal form",
		"a name cut short", "a text that leaves", "a list out of range",
		"a path that leaves", "a table with no free slot",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		size_t len;
		struct leash_image *image = sample(&len);
		const struct leash_image *opened;
		uint8_t *base = (uint8_t *)image;
		struct leash_entry *entries = (void *)(base + image->entries.offset);
		struct leash_slot *slots = (void *)(base + image->slots.offset);
		struct leash_name *list = (void *)(base + image->names.offset);
		char *strings = (char *)base + image->strings.offset;
		uint32_t slot = 0;

		while (slots[slot].name == 0)
			slot++;
		switch (i) {
		case 0:
			entries[2].next = 0;
			break;
		case 1:
			entries[5].next = image->entries.count;
			break;
		case 2:
			entries[0].name++;
			break;
		case 3:
			entries[2].next = LEASH_ENTRY_NONE;
			entries[5].list = LEASH_LIST_SOCKET;
			list[0].lists = LEASH_LIST_BIT(LEASH_LIST_REQUEST) |
					LEASH_LIST_BIT(LEASH_LIST_SOCKET);
			break;
		case 4:
			slots[slot].name = image->names.count + 1;
			break;
		case 5:
			slots[slot].tag++;
			break;
		case 6:
			slots[slot].name = 0;
			break;
		case 7:
			list[0].lists |= LEASH_LIST_BIT(LEASH_LIST_UDP);
			break;
		case 8:
			strings[list[0].string] = 'A';
			break;
		case 9:
			list[0].len--;
			break;
		case 10:
			entries[0].text = image->strings.count;
			break;
		case 11:
			entries[0].list = LEASH_LIST_COUNT;
			break;
		case 12:
			*(uint32_t *)(void *)(base + image->extra_ca.offset) = image->strings.count;
			break;
		case 13:
			for (uint32_t at = 0; at < image->slots.count; at++)
				if (slots[at].name == 0)
					slots[at] = slots[slot];
			break;
		}
		image->body_sum = leash_image_body_sum(image);
		image->head_sum = leash_image_head_sum(image);
		assert_int_equal(leash_image_open(image, len, &opened), 0);
		if (leash_image_verify(opened) != -EBADMSG)
			fail_msg("%s is not seen", labels[i]);
		ask_everything(opened);
		free(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(truncated),
		cmocka_unit_test(longer),
		cmocka_unit_test(flipped),
		cmocka_unit_test(forged),
		cmocka_unit_test(seen_by_verify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
