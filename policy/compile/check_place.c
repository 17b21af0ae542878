/* SPDX-License-Identifier: MIT */
/* Values that stand for something outside: names, signals, addresses, ports, certificates. */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- lists of names */

void leash_take_list(struct leash_work *work, const struct leash_key *key,
		     const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_ARRAY) {
		leash_check_refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].type != LEASH_VALUE_STRING)
			leash_check_refuse_item(work, key, value, i,
						"a host name in double quotes");
		else
			leash_check_entry(work, (enum leash_list)key->list, value->items[i].place,
					  key->path, i, value->items[i].text);
	}
}

void leash_take_domains_file(struct leash_work *work, const struct leash_key *key,
			     const struct leash_value *value)
{
	if (value->type != LEASH_VALUE_STRING || *value->text == '\0')
		leash_check_refuse(work, key, value);
	else
		leash_project_domains(work, value->place,
				      leash_work_beside(work, value->place.file, value->text));
}

/* ---- signals */

static bool parse_number(const char *text, int *ret)
{
	int number = 0;

	if (*text == '\0' || strlen(text) > 4 || !leash_check_only_of(text, DIGITS))
		return false;
	for (; *text; text++)
		number = number * 10 + (*text - '0');
	*ret = number;
	return true;
}

static int signal_number(const char *text)
{
	int n = 0;

	if (strcmp(text, "SIGUSR1") == 0)
		return SIGUSR1;
	if (strcmp(text, "SIGUSR2") == 0)
		return SIGUSR2;
	if (strncmp(text, "SIGRTMIN", 8) == 0 &&
	    (text[8] == '\0' || (text[8] == '+' && parse_number(text + 9, &n))))
		return SIGRTMIN + n;
	if (strncmp(text, "SIGRTMAX", 8) == 0 &&
	    (text[8] == '\0' || (text[8] == '-' && parse_number(text + 9, &n))))
		return SIGRTMAX - n;
	return 0;
}

void leash_take_signal(struct leash_work *work, const struct leash_key *key,
		       const struct leash_value *value)
{
	int64_t number = 0;

	if (value->type == LEASH_VALUE_INT)
		number = value->number;
	else if (value->type == LEASH_VALUE_STRING)
		number = signal_number(value->text);
	if (number == SIGUSR1 || number == SIGUSR2 || (number >= SIGRTMIN && number <= SIGRTMAX))
		leash_check_store32(work, key, (uint32_t)number);
	else
		leash_check_refuse(work, key, value);
}

/* ---- addresses */

/* Written as people write it: "192.168.1" and "0xc0a80101" are addresses for a resolver, but in a
 * policy they are slips. */
static bool plain_address(const char *text, struct leash_addr *ret_addr)
{
	char canonical[LEASH_ADDR_TEXT_SIZE];
	struct leash_addr addr;

	if (strlen(text) >= LEASH_ADDR_TEXT_SIZE || strchr(text, '[') || strchr(text, '%') ||
	    !leash_addr_parse(text, strlen(text), &addr))
		return false;
	leash_addr_text(&addr, canonical);
	if (addr.family == LEASH_INET && strcmp(canonical, text) != 0)
		return false;
	*ret_addr = addr;
	return true;
}

void leash_take_lan_address(struct leash_work *work, const struct leash_key *key,
			    const struct leash_value *value)
{
	struct leash_addr addr;

	if (value->type != LEASH_VALUE_STRING || !plain_address(value->text, &addr) ||
	    /* an interface has none of these: 0/8, 127/8, multicast and above; ::, ::1, ff00::/8 */
	    (addr.family == LEASH_INET &&
	     (addr.bytes[0] == 0 || addr.bytes[0] == 127 || addr.bytes[0] >= 224)) ||
	    (addr.family == LEASH_INET6 && (addr.bytes[0] == 0 || addr.bytes[0] == 0xff)))
		leash_check_refuse(work, key, value);
	else
		work->draft.settings.lan_addr = addr;
}

#define LAN_PREFIX_MIN 8 /* "same subnet" is to mean a network, not a continent */

/* Bits of a mask, or -1 if its ones are not in front of its zeros. */
static int mask_bits(const struct leash_addr *mask)
{
	uint32_t bits = (uint32_t)mask->bytes[0] << 24 | (uint32_t)mask->bytes[1] << 16 |
			(uint32_t)mask->bytes[2] << 8 | mask->bytes[3];
	int count = 0;

	while (count < 32 && bits & 0x80000000u >> count)
		count++;
	return count == 32 || (bits << count) == 0 ? count : -1;
}

void leash_take_lan_netmask(struct leash_work *work, const struct leash_key *key,
			    const struct leash_value *value)
{
	const char *text = value->type == LEASH_VALUE_STRING ? value->text : "";
	struct leash_addr mask;
	int bits = -1;

	work->lan_prefix_given = true;
	if (value->type == LEASH_VALUE_INT && value->number <= 128)
		bits = (int)value->number;
	else if (parse_number(text + (*text == '/'), &bits))
		;
	else if (plain_address(text, &mask) && mask.family == LEASH_INET) {
		work->lan_prefix_given = false;
		bits = mask_bits(&mask);
		if (bits < 0) {
			leash_error(work, value->place,
				    "%s is %s, whose ones and zeros are mixed; accepted is %s",
				    key->path, leash_check_quote(work, text),
				    leash_check_accepted(work, key));
			return;
		}
	}
	if (bits < LAN_PREFIX_MIN || bits > 128)
		leash_check_refuse(work, key, value);
	else
		work->draft.settings.lan_prefix_len = (uint8_t)bits;
}

void leash_take_servers(struct leash_work *work, const struct leash_key *key,
			const struct leash_value *value)
{
	struct leash_addr addr;

	if (value->type != LEASH_VALUE_ARRAY || value->count > (size_t)key->max) {
		leash_check_refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++)
		if (value->items[i].type != LEASH_VALUE_STRING ||
		    !plain_address(value->items[i].text, &addr))
			leash_check_refuse_item(
				work, key, value, i,
				"an address such as \"192.0.2.53\" or \"2001:db8::53\"");
	if (value->count)
		leash_check_unused(work, key, value);
}

void leash_take_ports(struct leash_work *work, const struct leash_key *key,
		      const struct leash_value *value)
{
	if (value->type == LEASH_VALUE_STRING && strcmp(value->text, "any") == 0) {
		work->draft.settings.loopback_any = 1;
		return;
	}
	if (value->type != LEASH_VALUE_ARRAY) {
		leash_check_refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		const struct leash_value *item = &value->items[i];
		uint16_t *port;

		if (item->type != LEASH_VALUE_INT || item->number < 1 || item->number > 65535) {
			leash_check_refuse_item(work, key, value, i, "a port from 1 to 65535");
			continue;
		}
		port = leash_vec_add(work, &work->loopback_ports, sizeof(*port));
		if (port)
			*port = (uint16_t)item->number;
	}
}

/* ---- certificates */

void leash_take_trust_dir(struct leash_work *work, const struct leash_key *key,
			  const struct leash_value *value)
{
	struct stat st;
	const char *path;

	if (value->type != LEASH_VALUE_STRING) {
		leash_check_refuse(work, key, value);
		return;
	}
	work->draft.trust_dir = "";
	if (*value->text == '\0')
		return;
	path = leash_work_beside(work, value->place.file, value->text);
	if (stat(path, &st) < 0)
		leash_error(work, value->place,
			    "%s is %s, which cannot be looked at: %s; accepted is %s", key->path,
			    leash_check_quote(work, path), strerror(errno),
			    leash_check_accepted(work, key));
	else if (!S_ISDIR(st.st_mode))
		leash_error(work, value->place, "%s is %s, which is no directory; accepted is %s",
			    key->path, leash_check_quote(work, path),
			    leash_check_accepted(work, key));
	else
		work->draft.trust_dir = leash_work_absolute(work, path);
}

static void take_ca(struct leash_work *work, const struct leash_value *value)
{
	const char *path = leash_work_beside(work, value->place.file, value->text), *text;
	const char **ca;
	uint32_t file;
	size_t len;

	if (leash_work_read(work, value->place, path, LEASH_READ_NO_SOURCE, &file, &text, &len) < 0)
		return;
	if (!strstr(text, "-----BEGIN CERTIFICATE-----") &&
	    !strstr(text, "-----BEGIN TRUSTED CERTIFICATE-----")) {
		leash_error(work, value->place,
			    "%s holds no certificate; accepted is PEM, with -----BEGIN "
			    "CERTIFICATE-----",
			    leash_check_quote(work, path));
		return;
	}
	ca = leash_vec_add(work, &work->extra_ca, sizeof(*ca));
	if (ca)
		*ca = leash_work_absolute(work, path);
}

void leash_take_extra_ca(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	if (value->type == LEASH_VALUE_STRING && *value->text) {
		take_ca(work, value);
	} else if (value->type == LEASH_VALUE_ARRAY) {
		for (size_t i = 0; i < value->count; i++) {
			if (value->items[i].type == LEASH_VALUE_STRING && *value->items[i].text)
				take_ca(work, &value->items[i]);
			else
				leash_check_refuse_item(work, key, value, i,
							"the path of a PEM file");
		}
	} else {
		leash_check_refuse(work, key, value);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 64 hexadecimal digits; a colon may stand between two bytes, as openssl(1) prints it. */
static bool parse_digest(const char *text, uint8_t ret[static 32])
{
	uint8_t digest[32];

	for (size_t i = 0; i < 32; i++) {
		int high, low;

		if (i > 0 && *text == ':')
			text++;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	memcpy(ret, digest, sizeof(digest));
	return true;
}

void leash_take_distrust(struct leash_work *work, const struct leash_key *key,
			 const struct leash_value *value)
{
	uint8_t digest[32];
	void *slot;

	if (value->type != LEASH_VALUE_ARRAY) {
		leash_check_refuse(work, key, value);
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].type != LEASH_VALUE_STRING ||
		    !parse_digest(value->items[i].text, digest)) {
			leash_check_refuse_item(
				work, key, value, i,
				"the SHA-256 of a certificate, 64 hexadecimal digits");
			continue;
		}
		slot = leash_vec_add(work, &work->distrust, sizeof(digest));
		if (slot)
			memcpy(slot, digest, sizeof(digest));
	}
}
