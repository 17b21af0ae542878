/* SPDX-License-Identifier: MIT */
/*
 * Any bytes through the rewriter: however they are cut, the same comes out; and the output without
 * our Referer is the input without its Referer lines. The lines are found again by a second,
 * simple reading of the output's structure: the tokenizer told where headers begin and end, and
 * inside them a line is a line. The first byte says how the input is cut.
 */
#define HTTP_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)
#include "tests/unit/http_run.h"

#define REFERER_LEN (sizeof(HTTP_REFERER) - 1)

static struct http_run whole, parts, again;

static bool is_referer(const uint8_t *line, size_t len)
{
	size_t name = 0;

	while (name < len && line[name] != ':')
		name++;
	if (name == len)
		return false;
	while (name && (line[name - 1] == ' ' || line[name - 1] == '\t'))
		name--;
	return name == 7 && strncasecmp((const char *)line, "referer", 7) == 0;
}

/* In every header of the output exactly one Referer, behind the request line */
static void check_heads(const struct http_run *run)
{
	const char *log = run->log;
	size_t from = 0;
	unsigned long head, end;

	while ((log = strstr(log, "head "))) {
		size_t at = from, line_len, referers = 0, lines = 0;

		HTTP_CHECK(sscanf(log, "head %lu", &head) == 1 && head <= run->out_len);
		for (; at < head; at += line_len) {
			const uint8_t *line = run->out + at, *lf = memchr(line, '\n', head - at);

			HTTP_CHECK(lf);
			line_len = (size_t)(lf - line) + 1;
			if (lines == 0 && (line[0] == '\n' || line[0] == '\r'))
				continue;
			if (is_referer(line, line_len)) {
				referers++;
				HTTP_CHECK(lines == 1 && line_len == REFERER_LEN &&
					   memcmp(line, HTTP_REFERER, REFERER_LEN) == 0);
			}
			lines++;
		}
		HTTP_CHECK(referers == 1);
		log = strstr(log, "\nend ");
		if (!log)
			break;
		HTTP_CHECK(sscanf(log, "\nend %lu", &end) == 1);
		from = end;
	}
}

static size_t line_len(const uint8_t *at, size_t len)
{
	const uint8_t *lf = len ? memchr(at, '\n', len) : NULL;

	return lf ? (size_t)(lf - at) + 1 : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t cuts[4096];
	struct http_cuts none = {NULL, 0};
	unsigned int seed;
	size_t at = 0, out = 0;
	bool upgrade;

	if (size < 2 || size > 4096)
		return 0;
	seed = data[0] | 1u;
	upgrade = data[0] & 1;
	data++;
	size--;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		seed = seed * 1103515245 + 12345;
		cuts[i] = 1 + (seed >> 16) % (seed & 0x4000 ? 3 : 40);
	}
	http_run_request(&whole, HTTP_REFERER, data, size, none, upgrade);
	http_run_request(&parts, HTTP_REFERER, data, size, (struct http_cuts){cuts, 4096}, upgrade);
	HTTP_CHECK(whole.rc == parts.rc && whole.fault == parts.fault);
	check_heads(&parts);
	if (whole.rc == 0) {
		HTTP_CHECK(whole.out_len == parts.out_len && strcmp(whole.log, parts.log) == 0);
		HTTP_CHECK(memcmp(whole.out, parts.out, whole.out_len) == 0);
		check_heads(&whole);
		/* what has our Referer and no other is left as it is, but for ours */
		http_run_request(&again, NULL, whole.out, whole.out_len, none, upgrade);
		if (again.fault != LEASH_HTTP1_TOO_MANY_LINES) { /* 256 and ours */
			HTTP_CHECK(again.rc == 0 && again.out_len == whole.out_len);
			HTTP_CHECK(again.ends == whole.ends);
		}
	}
	/* the output is the input, with whole lines added (ours) or left out */
	while (out < whole.out_len) {
		size_t out_left = whole.out_len - out, left = size - at;
		size_t out_line = line_len(whole.out + out, out_left);
		size_t line = line_len(data + at, left);

		HTTP_CHECK(left);
		/* what left before a refusal may end anywhere */
		if (line >= out_line && memcmp(whole.out + out, data + at, out_line) == 0 &&
		    (line == out_line || out_line == out_left)) {
			out += out_line;
			at += out_line;
		} else if (out_left >= REFERER_LEN &&
			   memcmp(whole.out + out, HTTP_REFERER, REFERER_LEN) == 0) {
			out += REFERER_LEN;
		} else {
			at += line;
		}
	}
	return 0;
}
