/* SPDX-License-Identifier: MIT */
/*
 * Random conversations. The generator writes a request and, beside it, what has to come out of it
 * (answers: where each ends), so that what is tested is compared with something that never
 * parses. Include http_run.h first.
 */
#ifndef LEASH_HTTP_TALK_H
#define LEASH_HTTP_TALK_H

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

static uint64_t talk_seed;

static inline uint32_t rnd(uint32_t below)
{
	talk_seed ^= talk_seed << 13;
	talk_seed ^= talk_seed >> 7;
	talk_seed ^= talk_seed << 17;
	return (uint32_t)(talk_seed >> 32) % below;
}

struct talk {
	uint8_t in[HTTP_RUN_MAX], out[HTTP_RUN_MAX];
	size_t in_len, out_len;
	unsigned int requests;
	bool strict; /* only what every parser accepts */
	char log[32 << 10];
	size_t log_len;
};

static struct talk talk;

/* one of these flags each: goes in, comes out */
#define IN  1u
#define OUT 2u

static inline void add(unsigned int where, const void *at, size_t len)
{
	HTTP_CHECK(talk.in_len + len < sizeof(talk.in) && talk.out_len + len < sizeof(talk.out));
	if (where & IN) {
		memcpy(talk.in + talk.in_len, at, len);
		talk.in_len += len;
	}
	if (where & OUT) {
		memcpy(talk.out + talk.out_len, at, len);
		talk.out_len += len;
	}
}

static inline void add_text(unsigned int where, const char *at)
{
	add(where, at, strlen(at));
}

__attribute__((format(printf, 2, 3))) static inline void add_format(unsigned int where,
								    const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	add_text(where, line);
}

static const char *end_of_line(void)
{
	return rnd(4) ? "\r\n" : "\n";
}

static inline void add_value(unsigned int where, size_t len)
{
	static const char *const words[] = {
		"Referer: x", "GET / HTTP/1.1", "a",  ", ",  ";", "\t", "\xc3\xa4", "0",
		"\"",         "chunked",        ": ", "\x01"};

	while (len--)
		add_text(where, words[rnd(talk.strict ? 11 : 12)]);
}

static inline void add_referer(void)
{
	char name[] = "referer";

	for (size_t i = 0; i < 7; i++) {
		if (rnd(2))
			name[i] -= 'a' - 'A';
	}
	add_format(IN, "%s%s:", name, talk.strict || rnd(4) ? "" : rnd(2) ? " " : "\t ");
	add_value(IN, rnd(4));
	add_text(IN, end_of_line());
	while (rnd(4) == 0) {
		add_text(IN, rnd(2) ? " " : "\t");
		add_value(IN, rnd(4));
		add_text(IN, end_of_line());
	}
}

static inline void add_fields(size_t most)
{
	static const char *const names[] = {
		"X-Referer",       "Refere",     "Referers",         "A",
		"Accept",          "Cookie",     "HTTP2-Settings",   "Xeferer",
		"Content-Lengths", "User-Agent", "!#$%&'*+-.^_`|~9", "X(y)",
		"\xc3\xa4"};

	for (size_t n = rnd((uint32_t)most + 1); n; n--) {
		if (rnd(3) == 0) {
			add_referer();
			continue;
		}
		add_format(IN | OUT, "%s:%s", names[rnd(talk.strict ? 11 : 13)], rnd(2) ? " " : "");
		add_value(IN | OUT, rnd(30) ? rnd(6) : rnd(2000));
		add_text(IN | OUT, end_of_line());
	}
}

/* Bytes that want to be taken for something else */
static inline void add_body(size_t len)
{
	static const char *const words[] = {
		"\r\nReferer: x\r\n", "GET / HTTP/1.1\r\n", "0\r\n\r\n", "\r\n\r\n", "\r", "\n",
		"--xYz\r\n",          "--xYz--\r\n"};

	while (len) {
		const char *word = words[rnd(ARRAY_SIZE(words))];
		size_t n = strlen(word);
		uint8_t byte = (uint8_t)rnd(256);

		if (rnd(3)) {
			add(IN | OUT, &byte, 1);
			len--;
			continue;
		}
		n = n < len ? n : len;
		add(IN | OUT, word, n);
		len -= n;
	}
}

static inline void add_chunks(size_t most)
{
	for (size_t n = rnd((uint32_t)most + 1); n; n--) {
		size_t len = 1 + (rnd(20) ? rnd(40) : rnd(3000));

		add_format(IN | OUT, rnd(2) ? "%zx" : "%05zX", len);
		if (rnd(5) == 0)
			add_text(IN | OUT, talk.strict ? ";q=\"Referer: x\""
					   : rnd(2)    ? " ;q=\"Referer: x\""
						       : "\t");
		add_text(IN | OUT, "\r\n");
		add_body(len);
		add_text(IN | OUT, "\r\n");
	}
	add_text(IN | OUT, rnd(2) ? "0\r\n" : "0000;last\r\n");
	add_fields(rnd(3) ? 0 : 4);
	add_text(IN | OUT, end_of_line());
}

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	talk.log_len += (size_t)vsnprintf(talk.log + talk.log_len, sizeof(talk.log) - talk.log_len,
					  format, args);
	va_end(args);
	HTTP_CHECK(talk.log_len < sizeof(talk.log));
}

static inline void add_request(unsigned int number)
{
	static const char *const methods[] = {"GET",    "POST",     "PUT", "HEAD",
					      "DELETE", "PROPFIND", "x"};
	const char *method = methods[rnd(talk.requests && !talk.strict ? 7 : 6)];
	int minor = rnd(5) != 0;
	unsigned int body = rnd(minor ? 4 : 3); /* none, none, Content-Length, chunks */
	size_t len = rnd(30) ? rnd(200) : rnd(5000);
	bool host = rnd(8) != 0, h2c = rnd(12) == 0;

	while (rnd(6) == 0)
		add_text(IN | OUT, end_of_line());
	add_format(IN | OUT, "%s /%u?a=Referer: HTTP/1.%d%s", method, number, minor, end_of_line());
	add_text(OUT, HTTP_REFERER);
	add_fields(5);
	if (host)
		add_format(IN | OUT, "hOsT:%sa.example%s", rnd(2) ? " " : "", end_of_line());
	add_fields(3);
	if (h2c)
		add_format(IN, "Upgrade: h2c%s", end_of_line());
	if (body == 2)
		add_format(IN | OUT, "Content-Length%s: %zu%s", talk.strict || rnd(4) ? "" : " ",
			   len, end_of_line());
	if (body == 3)
		add_format(IN | OUT, "Transfer-Encoding: %schunked%s", rnd(4) ? "" : "gzip, ",
			   end_of_line());
	add_fields(3);
	add_text(IN | OUT, end_of_line());
	talk.requests++;
	note("begin\nhead %zu: %s /%u?a=Referer: 1.%d", talk.out_len, method, number, minor);
	if (host)
		note(" host=a.example:-1");
	if (body == 2)
		note(" length=%zu", len);
	if (body == 3)
		note(" chunked");
	note("%s\nclass ordinary\n", h2c ? " h2c" : "");
	if (body == 2)
		add_body(len);
	if (body == 3)
		add_chunks(6);
	note("end %zu\n", talk.out_len);
}

/* Some requests; talk.in goes in, talk.out and talk.log must come out */
static inline void talk_requests(uint64_t number, bool strict)
{
	talk_seed = 0x9e3779b97f4a7c15u * (number + 1);
	talk.strict = strict;
	talk.in_len = talk.out_len = talk.log_len = talk.requests = 0;
	for (unsigned int n = 1 + rnd(5); n; n--)
		add_request(n);
	note("idle\n");
}

static inline void answer_body(size_t len)
{
	static const char *const words[] = {"HTTP/1.1 200 OK\r\n\r\n", "0\r\n\r\n", "\r\n", "\r",
					    "\n"};

	while (len) {
		const char *word = words[rnd(ARRAY_SIZE(words))];
		size_t n;

		if (rnd(4)) {
			uint8_t byte = (uint8_t)rnd(256);

			add(IN | OUT, &byte, 1);
			len--;
			continue;
		}
		n = strlen(word);
		n = n < len ? n : len;
		add(IN | OUT, word, n);
		len -= n;
	}
}

static inline void answer_fields(void)
{
	static const char *const fields[] = {"Content-Type: text/html; charset=gbk",
					     "Content-Encoding: br",
					     "X-Content-Length: 7",
					     "Set-Cookie: \xff=\"a",
					     "X: y\r\n z",
					     "no field",
					     "Server : a\tb"};

	while (rnd(3))
		add_format(IN, "%s%s", fields[rnd(talk.strict ? 4 : 7)], rnd(5) ? "\r\n" : "\n");
}

static inline unsigned int add_answer(uint32_t id, bool last)
{
	static const int codes[] = {200, 204, 304, 404, 500, 206, 101 + 101};
	int code = codes[rnd(ARRAY_SIZE(codes))], minor = rnd(6) != 0;
	bool head = rnd(5) == 0, none = head || code == 204 || code == 304;
	uint32_t framing = rnd(minor ? 3 : 2);
	size_t len = rnd(30) ? rnd(100) : rnd(4000), start;
	long long length = -1;

	while (rnd(6) == 0)
		add_format(IN, "\r\n");
	while (rnd(6) == 0) {
		start = talk.in_len;
		note("begin %u\n", id);
		add_format(IN, "HTTP/1.1 1%02u X\r\nContent-Length: 5\r\n\r\n", rnd(2) ? 0 : 2);
		note("interim %u: %.3s 1.1 framing=0 length=5 upgrade=0 block=%zu\n", id,
		     (const char *)talk.in + start + 9, talk.in_len - start);
	}
	start = talk.in_len;
	note("begin %u\n", id);
	add_format(IN, "HTTP/1.%d %d%s\r\n", minor, code, rnd(2) ? " Some Words" : "");
	answer_fields();
	/* a body until the close can only be the last one's */
	if (framing == 0 && (!last || none))
		framing = 1;
	if (framing == 1) {
		length = (long long)len;
		add_format(IN, "content-LENGTH: %zu\r\n", len);
	}
	if (framing == 2)
		add_format(IN, talk.strict ? "Transfer-Encoding: chunked\r\n"
					   : "Transfer-Encoding:chunked \r\n");
	answer_fields();
	add_format(IN, "\r\n");
	note("head %u: %d 1.%d framing=%d length=%lld upgrade=0 block=%zu\n", id, code, minor,
	     none           ? 0
	     : framing == 0 ? 3
			    : (int)framing,
	     length, talk.in_len - start);
	if (!none && framing < 2)
		answer_body(len);
	if (!none && framing == 2) {
		for (size_t n = rnd(4); n; n--) {
			len = 1 + rnd(50);
			add_format(IN, "%zX%s\r\n", len,
				   rnd(3)        ? ""
				   : talk.strict ? ";x=y"
						 : " ;x=y");
			answer_body(len);
			add_format(IN, "\r\n");
		}
		add_format(IN, "0\r\n%s%s",
			   rnd(3)        ? ""
			   : talk.strict ? "A: b\r\n"
					 : "A: b\r\nC\r\n",
			   rnd(5) ? "\r\n" : "\n");
	}
	if (!none && framing == 0)
		note("waiting 1\n");
	note("end %u at %zu\n", id, talk.in_len);
	if (last && (none || framing))
		note("waiting 0\n");
	return head ? LEASH_ASK_HEAD : 0;
}

/* Some answers; talk.in is the stream, talk.out the bodies, talk.log what must be told of them.
 * Return: how many */
static inline unsigned int talk_answers(uint64_t number, bool strict, unsigned int asks[static 5])
{
	unsigned int count;

	talk_seed = 0x9e3779b97f4a7c15u * (number + 1);
	talk.strict = strict;
	talk.in_len = talk.out_len = talk.log_len = 0;
	count = 1 + rnd(4);
	for (unsigned int i = 0; i < count; i++)
		asks[i] = add_answer(100 + i, i + 1 == count);
	return count;
}

#endif
