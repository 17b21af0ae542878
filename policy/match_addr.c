/* SPDX-License-Identifier: MIT */
/*
 * Addresses: text to normal form and back, and the class of an address. v4 inside
 * v6 is folded here and nowhere else.
 *
 * libc's inet_*() would do for some of it, but their headers are those of sockets,
 * and inet_aton() takes trailing text and reads a locale.
 */
#include "image.h"

/* ------------------------------------------------------------ normal form */

static bool is_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

static bool is_link_local6(const uint8_t *bytes)
{
	return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

struct leash_addr leash_addr_normal4(const uint8_t bytes[static 4])
{
	struct leash_addr addr = {.family = LEASH_INET};

	memcpy(addr.bytes, bytes, 4);
	return addr;
}

/* Bytes 0-11 of a v6 address that stands for the v4 address in its last four. */
static bool is_folded(const uint8_t *bytes)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};	/* RFC 6052 2.1 */

	if (memcmp(bytes, nat64, sizeof(nat64)) == 0)
		return true;
	if (!is_zero(bytes, 10))
		return false;
	if (bytes[10] == 0xff && bytes[11] == 0xff)			/* RFC 4291 2.5.5.2 */
		return true;
	/* v4-compatible, RFC 4291 2.5.5.1, which :: and ::1 are not */
	return is_zero(bytes + 10, 2) && !(is_zero(bytes + 12, 3) && bytes[15] <= 1);
}

struct leash_addr leash_addr_normal6(const uint8_t bytes[static 16], uint32_t scope)
{
	struct leash_addr addr = {.family = LEASH_INET6};

	if (is_folded(bytes))
		return leash_addr_normal4(bytes + 12);
	memcpy(addr.bytes, bytes, sizeof(addr.bytes));
	/* Elsewhere the kernel ignores the scope, so it must not make two addresses of one. */
	if (is_link_local6(bytes))
		addr.scope = scope;
	return addr;
}

bool leash_addr_equal(const struct leash_addr *a, const struct leash_addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ---------------------------------------------------------------- reading */

/* Value of a digit, 16 and more for what is none */
static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A' + 10);
	return 16;
}

/* A number as strtoul() with base 0 reads it, over 32 bits is none. Returns bytes read. */
static size_t number(const char *text, size_t len, uint32_t *ret_value)
{
	unsigned int base = 10;
	uint64_t value = 0;
	size_t i = 0;

	if (len == 0 || digit(text[0]) > 9)
		return 0;
	if (text[0] == '0') {
		base = 8;
		if (len > 2 && (text[1] == 'x' || text[1] == 'X') && digit(text[2]) < 16) {
			base = 16;
			i = 2;
		}
	}
	for (; i < len && digit(text[i]) < base; i++) {
		value = value * base + digit(text[i]);
		if (value > UINT32_MAX)
			return 0;
	}
	*ret_value = (uint32_t)value;
	return i;
}

/* inet_aton(3): one to four parts, the last one fills what is left. */
static bool parse4(const char *text, size_t len, uint8_t *ret_bytes)
{
	uint32_t value, whole = 0;

	for (unsigned int part = 0; part < 4; part++) {
		size_t used = number(text, len, &value);

		if (used == 0)
			return false;
		text += used;
		len -= used;
		if (len == 0) {
			unsigned int bits = 32 - 8 * part;

			if (bits < 32 && value >> bits != 0)
				return false;
			whole |= value;
			for (unsigned int i = 0; i < 4; i++)
				ret_bytes[i] = (uint8_t)(whole >> (24 - 8 * i));
			return true;
		}
		if (*text != '.' || value > 255)
			return false;
		whole |= value << (24 - 8 * part);
		text++;
		len--;
	}
	return false;
}

/* Four decimal numbers without leading zeros: the only v4 that may end a v6 address. */
static bool parse_quad(const char *text, size_t len, uint8_t *ret_bytes)
{
	uint8_t bytes[4];
	size_t i = 0;

	for (unsigned int part = 0; part < 4; part++) {
		unsigned int value = 0;
		size_t start = i;

		for (; i < len && i < start + 3 && digit(text[i]) < 10; i++)
			value = value * 10 + digit(text[i]);
		if (i == start || value > 255 || (text[start] == '0' && i > start + 1))
			return false;
		bytes[part] = (uint8_t)value;
		if (part < 3 && (i == len || text[i++] != '.'))
			return false;
	}
	if (i != len)
		return false;
	memcpy(ret_bytes, bytes, sizeof(bytes));
	return true;
}

/* RFC 4291 2.2, as inet_pton(3) takes it. */
static bool parse6(const char *text, size_t len, uint8_t *ret_bytes)
{
	uint8_t bytes[16] = {0};
	size_t used = 0, gap = sizeof(bytes) + 1, i = 0, token;
	unsigned int digits = 0, value = 0;

	if (len >= 1 && text[0] == ':') {
		if (len < 2 || text[1] != ':')
			return false;
		i = 1;
	}
	token = i;
	while (i < len) {
		char c = text[i++];

		if (digit(c) < 16) {
			if (++digits > 4)
				return false;
			value = value << 4 | digit(c);
			continue;
		}
		if (c == '.') {
			if (used + 4 > sizeof(bytes) ||
			    !parse_quad(text + token, len - token, bytes + used))
				return false;
			used += 4;
			digits = 0;
			break;
		}
		if (c != ':')
			return false;
		token = i;
		if (digits == 0) {
			if (gap <= sizeof(bytes))
				return false;
			gap = used;
			continue;
		}
		if (i == len || used + 2 > sizeof(bytes))
			return false;
		bytes[used++] = (uint8_t)(value >> 8);
		bytes[used++] = (uint8_t)value;
		digits = 0;
		value = 0;
	}
	if (digits > 0) {
		if (used + 2 > sizeof(bytes))
			return false;
		bytes[used++] = (uint8_t)(value >> 8);
		bytes[used++] = (uint8_t)value;
	}
	if (gap > sizeof(bytes)) {
		if (used != sizeof(bytes))
			return false;
		memcpy(ret_bytes, bytes, sizeof(bytes));
		return true;
	}
	if (used == sizeof(bytes))
		return false;
	memset(ret_bytes, 0, sizeof(bytes));
	memcpy(ret_bytes, bytes, gap);
	memcpy(ret_bytes + sizeof(bytes) - (used - gap), bytes + gap, used - gap);
	return true;
}

/* What follows '%': a number, or the name of an interface, which counts as 0. */
static bool parse_scope(const char *text, size_t len, uint32_t *ret_scope)
{
	uint64_t value = 0;
	bool numeric = true;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 127 || text[i] == '%' || text[i] == ']')
			return false;
		if (digit(text[i]) < 10 && value <= UINT32_MAX)
			value = value * 10 + digit(text[i]);
		else
			numeric = false;
	}
	*ret_scope = numeric && value <= UINT32_MAX ? (uint32_t)value : 0;
	return true;
}

bool leash_addr_parse(const char *text, size_t len, struct leash_addr *ret_addr)
{
	uint8_t bytes[16];
	uint32_t scope = 0;
	const char *percent;
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len == 0)
		return false;
	if (!memchr(text, ':', len)) {
		if (bracketed || !parse4(text, len, bytes))
			return false;
		*ret_addr = leash_addr_normal4(bytes);
		return true;
	}
	percent = memchr(text, '%', len);
	if (percent) {
		size_t before = (size_t)(percent - text);

		if (!parse_scope(percent + 1, len - before - 1, &scope))
			return false;
		len = before;
	}
	if (!parse6(text, len, bytes))
		return false;
	*ret_addr = leash_addr_normal6(bytes, scope);
	return true;
}

/* ---------------------------------------------------------------- writing */

static size_t put_number(char *at, uint32_t value, uint32_t base)
{
	char digits[10];
	size_t count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	for (size_t i = 0; i < count; i++)
		at[i] = digits[count - 1 - i];
	return count;
}

/* The longest run of zero groups, the first of equals, not of one alone (RFC 5952 4.2). */
static unsigned int find_gap(const uint8_t *bytes, unsigned int *ret_len)
{
	unsigned int best = 8, best_len = 1;

	for (unsigned int i = 0; i < 8; i++) {
		unsigned int len = 0;

		while (i + len < 8 && is_zero(bytes + 2 * (i + len), 2))
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
	}
	*ret_len = best_len;
	return best;
}

size_t leash_addr_text(const struct leash_addr *addr, char buf[static LEASH_ADDR_TEXT_SIZE])
{
	const uint8_t *bytes = addr->bytes;
	unsigned int gap, gap_len;
	size_t len = 0;

	if (addr->family == LEASH_INET) {
		for (unsigned int i = 0; i < 4; i++) {
			if (i > 0)
				buf[len++] = '.';
			len += put_number(buf + len, bytes[i], 10);
		}
		buf[len] = '\0';
		return len;
	}
	gap = find_gap(bytes, &gap_len);
	for (unsigned int i = 0; i < 8; i++) {
		if (i == gap) {
			buf[len++] = ':';
			buf[len++] = ':';
			i += gap_len - 1;
			continue;
		}
		if (i > 0 && buf[len - 1] != ':')
			buf[len++] = ':';
		len += put_number(buf + len, (uint32_t)bytes[2 * i] << 8 | bytes[2 * i + 1], 16);
	}
	if (addr->scope != 0) {
		buf[len++] = '%';
		len += put_number(buf + len, addr->scope, 10);
	}
	buf[len] = '\0';
	return len;
}

/* ---------------------------------------------------------------- classes */

/* An address as a number; of v4 .high is 0. */
struct words {
	uint64_t high, low;
};

static uint64_t big_endian(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	value = __builtin_bswap64(value);	/* gcc does not see it in a loop of shifts */
#endif
	return value;
}

static struct words words_of(const struct leash_addr *addr)
{
	const uint64_t high = big_endian(addr->bytes);

	if (addr->family == LEASH_INET)
		return (struct words){.low = high >> 32};
	return (struct words){.high = high, .low = big_endian(addr->bytes + 8)};
}

static enum leash_addr_class range4(uint32_t addr)
{
	const uint32_t first = addr >> 24;

	if (addr == 0)
		return LEASH_CLASS_UNSPECIFIED;
	if (first == 127)
		return LEASH_CLASS_LOOPBACK;
	if (addr == UINT32_MAX)
		return LEASH_CLASS_BROADCAST;
	if (first >= 224 && first <= 239)
		return LEASH_CLASS_MULTICAST;
	if (addr >> 16 == 0xa9fe)				/* 169.254/16, RFC 3927 */
		return LEASH_CLASS_LINK_LOCAL;
	if (first == 10 || addr >> 20 == 0xac1 || addr >> 16 == 0xc0a8 ||	/* RFC 1918 */
	    addr >> 22 == 0x64400000u >> 22)			/* 100.64/10, RFC 6598 */
		return LEASH_CLASS_PRIVATE;
	if (first == 0 || first >= 240)
		return LEASH_CLASS_RESERVED;
	return LEASH_CLASS_PUBLIC;
}

static bool is_link_local6_word(uint64_t high)
{
	return high >> 54 == 0xfe80u >> 6;
}

static enum leash_addr_class range6(struct words addr)
{
	if (addr.high == 0 && addr.low <= 1)
		return addr.low ? LEASH_CLASS_LOOPBACK : LEASH_CLASS_UNSPECIFIED;
	if (addr.high >> 56 == 0xff)
		return LEASH_CLASS_MULTICAST;
	if (is_link_local6_word(addr.high))
		return LEASH_CLASS_LINK_LOCAL;
	if (addr.high >> 57 == 0xfc >> 1)				/* RFC 4193 */
		return LEASH_CLASS_PRIVATE;
	/* 2000::/3 is what is given out; 64:ff9b:1::/48 (RFC 8215) leads to the v4 internet as
	 * well, but where in it the v4 address stands is the network's affair. */
	if (addr.high >> 61 == 1 || addr.high >> 16 == 0x0064ff9b0001u)
		return LEASH_CLASS_PUBLIC;
	return LEASH_CLASS_RESERVED;
}

static enum leash_addr_class range_of(uint8_t family, struct words addr)
{
	return family == LEASH_INET ? range4((uint32_t)addr.low) : range6(addr);
}

enum leash_addr_class leash_addr_range(const struct leash_addr *addr)
{
	return range_of(addr->family, words_of(addr));
}

/* Do two addresses that differ in @diff share a prefix? One of 0 would make the whole world
 * a neighbour: it is taken for no subnet. */
static bool shares_prefix(uint8_t family, struct words diff, unsigned int prefix_len)
{
	const unsigned int bits = family == LEASH_INET ? 32 : 128;

	if (prefix_len == 0 || prefix_len > bits)
		return false;
	prefix_len += 128 - bits;	/* the upper 96 bits of v4 are equal anyhow */
	if (prefix_len <= 64)
		return diff.high >> (64 - prefix_len) == 0;
	return diff.high == 0 && diff.low >> (128 - prefix_len) == 0;
}

/* All bits behind the prefix are set: the subnet's broadcast address. A prefix of 31 (RFC
 * 3021) or 32 has none. The lowest address is a host to current kernels. */
static bool is_directed_broadcast(uint8_t family, struct words addr, unsigned int prefix_len)
{
	const uint32_t hosts = UINT32_MAX >> (prefix_len & 31);

	return family == LEASH_INET && prefix_len <= 30 && ((uint32_t)addr.low & hosts) == hosts;
}

enum leash_addr_class leash_addr_classify(const struct leash_image *image,
					  const struct leash_net *net,
					  const struct leash_addr *addr)
{
	const struct leash_settings *settings = leash_image_settings(image);
	const uint32_t count = net->count < LEASH_NET_MAX ? net->count : LEASH_NET_MAX;
	const uint8_t family = addr->family;
	const struct words number = words_of(addr);
	const enum leash_addr_class range = range_of(family, number);
	bool lan = false, broadcast = false;

	if (range == LEASH_CLASS_UNSPECIFIED || range == LEASH_CLASS_LOOPBACK)
		return range;
	for (uint32_t i = 0; i < count; i++) {
		const struct leash_subnet *subnet = &net->subnet[i];
		const bool scoped = addr->scope != 0;
		struct words diff;

		if (subnet->addr.family != family)
			continue;
		diff = words_of(&subnet->addr);
		diff.high ^= number.high;
		diff.low ^= number.low;
		/* Without a scope the interface is chosen in another way, SO_BINDTODEVICE for
		 * one, so that an own address is one on any link ... */
		if (diff.high == 0 && diff.low == 0 &&
		    (!scoped || addr->scope == subnet->ifindex))
			return LEASH_CLASS_OWN;
		/* ... but a neighbour is one on a known link only (policy 3). */
		if (range == LEASH_CLASS_LINK_LOCAL && family == LEASH_INET6 &&
		    (!scoped || addr->scope != subnet->ifindex))
			continue;
		if (!shares_prefix(family, diff, subnet->prefix_len))
			continue;
		/* A broadcast of the real network stays one, whatever lan.address pretends. */
		if (is_directed_broadcast(family, number, subnet->prefix_len))
			broadcast = true;
		else
			lan = true;
	}
	if (range == LEASH_CLASS_BROADCAST || range == LEASH_CLASS_MULTICAST)
		return range;
	if (settings->lan_override) {
		struct words diff = words_of(&settings->lan_addr);

		diff.high ^= number.high;
		diff.low ^= number.low;
		lan = settings->lan_addr.family == family &&
		      shares_prefix(family, diff, settings->lan_prefix_len);
		if (lan && is_directed_broadcast(family, number, settings->lan_prefix_len))
			broadcast = true;
	}
	if (broadcast)
		return LEASH_CLASS_BROADCAST;
	return lan ? LEASH_CLASS_LAN : range;
}
