/* SPDX-License-Identifier: MIT */
/*
 * Requests and answers that several tests read. A row that is refused has no output; in the
 * others the Referer that netleash writes is shown as "@R".
 */
#ifndef LEASH_HTTP_CORPUS_H
#define LEASH_HTTP_CORPUS_H

#include <stddef.h>

#include "shim/http/response.h"
#include "shim/wire/http1.h"

struct http_row {
	const char *label;
	const char *input;
	size_t input_len;
	const char *output;		/* NULL: as the input */
	size_t output_len;
	enum leash_http1_fault fault;
	const char *log;		/* what has to be in it; NULL: anything */
};

#define PASS(label, in, out, log) {label, in, sizeof(in) - 1, out, sizeof(out) - 1, LEASH_HTTP1_FINE, log}
#define REFUSE(label, in, why) {label, in, sizeof(in) - 1, NULL, 0, LEASH_HTTP1_##why, NULL}
#define SAME(label, in, log) {label, in, sizeof(in) - 1, NULL, 0, LEASH_HTTP1_FINE, log}

#define G "GET / HTTP/1.1\r\n"
#define P "POST / HTTP/1.1\r\n"
#define HA "Host: a.example\r\n"
#define CHUNKED P "@R" HA "Transfer-Encoding: chunked\r\n\r\n"
#define C P HA "Transfer-Encoding: chunked\r\n\r\n"
#define MP "POST /up HTTP/1.1\r\n"
#define MT HA "Content-Type: multipart/form-data; boundary=xYz\r\n"

static const struct http_row http_requests[] = {
	PASS("a plain request", G HA "\r\n", G "@R" HA "\r\n", "end"),
	PASS("its Referer goes", G HA "Referer: https://evil.example/\r\nA: b\r\n\r\n",
	     G "@R" HA "A: b\r\n\r\n", "end"),
	PASS("ours again", G "@R" HA "\r\n", G "@R" HA "\r\n", NULL),
	PASS("four of them, in every case", G "REFERER:a\r\nreferer: b\r\n" HA "rEfErEr\t :\r\nReferer:\r\n\r\n",
	     G "@R" HA "\r\n", "end"),
	PASS("a folded one", G "Referer: a\r\n b\r\n\tContent-Length: 5\r\n \r\n" HA "\r\n",
	     G "@R" HA "\r\n", "head 108: GET / 1.1 host=a.example:-1\n"),
	PASS("lookalikes stay", G HA "X-Referer: a\r\nRefererX: b\r\nReferrer: c\r\nX: Referer: d\r\nRefere: e\r\n\r\n",
	     G "@R" HA "X-Referer: a\r\nRefererX: b\r\nReferrer: c\r\nX: Referer: d\r\nRefere: e\r\n\r\n", NULL),
	PASS("lines that end in LF", "GET /lf HTTP/1.1\nHost: a.example\nReferer: a\n b\nX: y\n\n",
	     "GET /lf HTTP/1.1\n@RHost: a.example\nX: y\n\n", "end"),
	PASS("empty lines before it", "\r\n\n\r\n" G HA "\r\n\r\n" G HA "\r\n",
	     "\r\n\n\r\n" G "@R" HA "\r\n\r\n" G "@R" HA "\r\n", "end 223\n"),
	PASS("three in one buffer", G HA "\r\n" "POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" G HA "\r\n",
	     G "@R" HA "\r\n" "POST /b HTTP/1.1\r\n@RContent-Length: 5\r\n\r\nhello" G "@R" HA "\r\n",
	     "length=5\nclass ordinary\nend"),
	PASS("a body that looks like requests", P HA "Content-Length: 53\r\n\r\n"
	     "Referer: x\r\n\r\nGET / HTTP/1.1\r\nReferer: stays\r\n\r\n12345" G "Referer: x\r\n\r\n",
	     P "@R" HA "Content-Length: 53\r\n\r\n"
	     "Referer: x\r\n\r\nGET / HTTP/1.1\r\nReferer: stays\r\n\r\n12345" G "@R\r\n", NULL),
	PASS("a body with NUL and bare CR", P HA "Content-Length: 6\r\n\r\n\0\r\0\n\r\r",
	     P "@R" HA "Content-Length: 6\r\n\r\n\0\r\0\n\r\r", "idle"),
	PASS("an empty body", P HA "Content-Length: 0\r\n\r\n" G "\r\n",
	     P "@R" HA "Content-Length: 0\r\n\r\n" G "@R\r\n", NULL),
	PASS("chunks", C "5\r\nhello\r\nA;ext=\"q;\"\r\n0123456789\r\n0\r\n\r\n" G "Referer: x\r\n\r\n",
	     CHUNKED "5\r\nhello\r\nA;ext=\"q;\"\r\n0123456789\r\n0\r\n\r\n" G "@R\r\n", "chunked"),
	PASS("a Referer in the trailer", C "1 \t\r\nx\r\n000;a\r\nX: 1\r\nReferer: a\r\n\tb\r\nReferer : c\r\nY: 2\r\n\r\n",
	     CHUNKED "1 \t\r\nx\r\n000;a\r\nX: 1\r\nY: 2\r\n\r\n", "idle"),
	PASS("a trailer of Referers only", C "0\r\nReferer: a\r\nReferer: b\r\n\r\n" G "\r\n",
	     CHUNKED "0\r\n\r\n" G "@R\r\n", NULL),
	PASS("a chunk that looks like a trailer", C "1a\r\nReferer: x\r\n\r\n0\r\n\r\nGET / H\r\n0\r\n\r\n",
	     CHUNKED "1a\r\nReferer: x\r\n\r\n0\r\n\r\nGET / H\r\n0\r\n\r\n", "idle"),
	PASS("HTTP/1.0", "GET /x HTTP/1.0\r\nReferer: y\r\n\r\n", "GET /x HTTP/1.0\r\n@R\r\n", "1.0"),
	PASS("HTTP/1.0 with a body", "POST /x HTTP/1.0\r\nContent-Length: 1\r\n\r\nz",
	     "POST /x HTTP/1.0\r\n@RContent-Length: 1\r\n\r\nz", "length=1"),
	PASS("absolute form", "GET http://a.example:8080/x?y HTTP/1.1\r\nHost: b.example:99\r\n\r\n",
	     "GET http://a.example:8080/x?y HTTP/1.1\r\n@RHost: b.example:99\r\n\r\n",
	     "host=b.example:99 to=a.example:8080"),
	PASS("absolute form without a path", "GET https://[2001:db8::1]:443?q HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n",
	     "GET https://[2001:db8::1]:443?q HTTP/1.1\r\n@RHost: [2001:db8::1]\r\n\r\n",
	     "host=2001:db8::1:-1 to=2001:db8::1:443"),
	PASS("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HA "\r\n", "OPTIONS * HTTP/1.1\r\n@R" HA "\r\n", NULL),
	PASS("no Host at all", G "\r\n", G "@R\r\n", "head 91: GET / 1.1\n"),
	PASS("an empty Host", G "Host:\r\n\r\n", G "@RHost:\r\n\r\n", "host=:-1"),
	PASS("a Host in capitals, with blanks", G "HOST\t : \tA.Example.:\t \r\n\r\n",
	     G "@RHOST\t : \tA.Example.:\t \r\n\r\n", "host=A.Example.:-1"),
	PASS("a Host that is UTF-8", G "Host: b\xc3\xbc" "cher.example\r\n\r\n",
	     G "@RHost: b\xc3\xbc" "cher.example\r\n\r\n", "host=b\xc3\xbc" "cher.example:-1"),
	PASS("Expect", P HA "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nok",
	     P "@R" HA "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nok", "expect"),
	PASS("Range, close", "GET /f HTTP/1.1\r\n" HA "Range: bytes=0-1\r\nConnection: Close\r\n\r\n",
	     "GET /f HTTP/1.1\r\n@R" HA "Range: bytes=0-1\r\nConnection: Close\r\n\r\n", "range close"),
	PASS("the same length twice", P "Content-Length: 2\r\nContent-Length: 02\r\n\r\nok",
	     P "@RContent-Length: 2\r\nContent-Length: 02\r\n\r\nok", "length=2"),
	PASS("gzip, then chunked", P "Transfer-Encoding: gzip\r\ntransfer-encoding : Chunked\r\n\r\n0\r\n\r\n",
	     P "@RTransfer-Encoding: gzip\r\ntransfer-encoding : Chunked\r\n\r\n0\r\n\r\n", "chunked"),
	PASS("gzip in one line with chunked", P "Transfer-Encoding:gzip,\tChunked \r\n\r\n0\r\n\r\n",
	     P "@RTransfer-Encoding:gzip,\tChunked \r\n\r\n0\r\n\r\n", "chunked"),
	PASS("a websocket, then frames", "GET /ws HTTP/1.1\r\n" HA "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
	     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nReferer: x\r\n\r\n\x81\x85Referer: x\r\n",
	     "GET /ws HTTP/1.1\r\n@R" HA "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
	     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85Referer: x\r\n",
	     "upgrade=1ck\nclass socket\nend 208\nhold\nraw"),
	PASS("an Upgrade without the rest is no websocket", "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	     "GET /ws HTTP/1.1\r\n@RUpgrade: websocket\r\n\r\n", "class ordinary"),
	PASS("h2c is dropped", G HA "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" G "\r\n",
	     G "@R" HA "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" G "@R\r\n", "h2c"),
	PASS("an unknown method", "XFROB /x HTTP/1.1\r\nReferer: y\r\n\r\n", "XFROB /x HTTP/1.1\r\n@R\r\n", "XFROB"),
	PASS("a method in lower case", "get /x HTTP/1.1\r\nReferer: y\r\n\r\n", "get /x HTTP/1.1\r\n@R\r\n", "get /x"),
	PASS("multipart without a file", MP MT "Content-Length: 148\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a;filename=b\"\r\n\r\nfilename=\"c\"\r\n--xYz\r\nX: y; filename=a\r\n\r\nContent-Disposition: x; filename=y\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 148\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a;filename=b\"\r\n\r\nfilename=\"c\"\r\n--xYz\r\nX: y; filename=a\r\n\r\nContent-Disposition: x; filename=y\r\n--xYz--\r\n", "class ordinary\nend"),
	PASS("multipart with a file", MP MT "Content-Length: 92\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nReferer: stays\r\n\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 92\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nReferer: stays\r\n\r\n--xYz--\r\n", "class upload\nend"),
	PASS("a file in the second part", MP MT "Content-Length: 181\r\n\r\n"
	     "preamble\r\n--xYzz not\r\n--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nfilename=\r\n--xY\r\n--xYz\r\nContent-Type: x/y\r\ncontent-disposition\t:form-data;FileName*=UTF-8''x\r\n\r\nz\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 181\r\n\r\n"
	     "preamble\r\n--xYzz not\r\n--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nfilename=\r\n--xY\r\n--xYz\r\nContent-Type: x/y\r\ncontent-disposition\t:form-data;FileName*=UTF-8''x\r\n\r\nz\r\n--xYz--\r\n", "class upload\nend"),
	PASS("a file in a folded line", MP MT "Content-Length: 83\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data;\r\n\tname=\"a\\\"b\";\r\n filename =c\r\n\r\nz\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 83\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data;\r\n\tname=\"a\\\"b\";\r\n filename =c\r\n\r\nz\r\n--xYz--\r\n", "class upload\nend"),
	PASS("a file, LF only", MP MT "Content-Length: 68\r\n\r\n"
	     "--xYz\nContent-Disposition: form-data; name=a;  filename=\n\nz\n--xYz--\n",
	     MP "@R" MT "Content-Length: 68\r\n\r\n"
	     "--xYz\nContent-Disposition: form-data; name=a;  filename=\n\nz\n--xYz--\n", "class upload\nend"),
	PASS("almost a file", MP MT "Content-Length: 158\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; xfilename=a; filenames=b; filename; name=filename=\r\nContent-Dispositions: x; filename=y\r\n z; filename=y\r\n\r\nz\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 158\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; xfilename=a; filenames=b; filename; name=filename=\r\nContent-Dispositions: x; filename=y\r\n z; filename=y\r\n\r\nz\r\n--xYz--\r\n", "class ordinary\nend"),
	PASS("an open quote ends with its line", MP MT "Content-Length: 126\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--xYz\r\nContent-Disposition: form-data; name=b; filename=c\r\n\r\nx\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 126\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--xYz\r\nContent-Disposition: form-data; name=b; filename=c\r\n\r\nx\r\n--xYz--\r\n", "class upload\nend"),
	PASS("lines of content are no fields", MP MT "Content-Length: 97\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\nContent-Disposition: y; filename=z\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 97\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\nContent-Disposition: y; filename=z\r\n--xYz--\r\n", "class ordinary\nend"),
	PASS("a fold of nothing in a part", MP MT "Content-Length: 85\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--xYz\r\n ; filename=z\r\n\r\n--xYz--\r\n",
	     MP "@R" MT "Content-Length: 85\r\n\r\n"
	     "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--xYz\r\n ; filename=z\r\n\r\n--xYz--\r\n", "class ordinary\nend"),
	PASS("multipart in chunks", MP MT "Transfer-Encoding: chunked\r\n\r\n"
	     "3\r\n--x\r\n1c\r\nYz\r\nContent-Disposition: a; \r\n9\r\nfilename=\r\n0\r\n\r\n",
	     MP "@R" MT "Transfer-Encoding: chunked\r\n\r\n"
	     "3\r\n--x\r\n1c\r\nYz\r\nContent-Disposition: a; \r\n9\r\nfilename=\r\n0\r\n\r\n", "class upload\nend"),
	PASS("multipart without a boundary", MP "Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx",
	     MP "@RContent-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx", "class ordinary\nend"),
	PASS("a quoted boundary", MP "Content-Type: Multipart/Form-Data ;a=\"b;boundary=c\"; Boundary=\"x Y\"\r\nContent-Length: 1\r\n\r\nx",
	     MP "@RContent-Type: Multipart/Form-Data ;a=\"b;boundary=c\"; Boundary=\"x Y\"\r\nContent-Length: 1\r\n\r\nx",
	     "multipart=x Y\nclass ordinary\nend"),
	SAME("not HTTP: binary", "\x10\x1e\0\x04MQTT\x04\x02\0<\0\x12Referer: x\r\n", "raw"),
	SAME("not HTTP: JSON", "{\"a\": 1}\nReferer: x\n", "raw"),
	SAME("not HTTP: words", "hello world\nReferer: x\n", "raw"),
	SAME("not HTTP: a word", "HELO\r\nReferer: x\r\n", "raw"),
	SAME("not HTTP: SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nReferer: x\r\n", "raw"),
	SAME("not HTTP: IMAP", "a001 LOGIN u p\r\nReferer: x\r\n", "raw"),
	SAME("not HTTP: a bare CR first", "\rGET / HTTP/1.1\r\nReferer: x\r\n\r\n", "raw"),
	SAME("not HTTP: a word and no line", "hello world", "raw"),

	REFUSE("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2_PREFACE),
	REFUSE("CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", CONNECT),
	REFUSE("HTTP/0.9", "GET /\r\nReferer: x\r\n", VERSION),
	REFUSE("HTTP/2 in a request line", "GET / HTTP/2.0\r\n\r\n", VERSION),
	REFUSE("HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", VERSION),
	REFUSE("a second request that is none", G "\r\nhello\r\n", REQUEST_LINE),
	REFUSE("a blank in the target", "GET /a b HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("two blanks", "GET  / HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("a tab", "GET\t/ HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("a vertical tab", "GET\v/ HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("a blank before the method", " GET / HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("a blank behind the version", "GET / HTTP/1.1 \r\n\r\n", REQUEST_LINE),
	REFUSE("a target without a slash", "GET x HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("http in lower case", "GET / http/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("a long method", "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n\r\n", REQUEST_LINE),
	REFUSE("user info in the target", "GET http://a.example@b.example/ HTTP/1.1\r\n\r\n", TARGET),
	REFUSE("no host in the target", "GET http:///x HTTP/1.1\r\n\r\n", TARGET),
	REFUSE("a port alone in the target", "GET http://:80/x HTTP/1.1\r\n\r\n", TARGET),
	REFUSE("bare CR in a name", G "Ref\rerer: x\r\n\r\n", BARE_CR),
	REFUSE("bare CR hides a line", G "X: y\rReferer: x\r\n\r\n", BARE_CR),
	REFUSE("CR CR LF", G HA "\r\r\n", BARE_CR),
	REFUSE("bare CR before a second request", G "\r\n\rGET / HTTP/1.1\r\n\r\n", BARE_CR),
	REFUSE("NUL in a name", G "Referer\0: x\r\n\r\n", NUL),
	REFUSE("NUL in a value", G "X: a\0b\r\n\r\n", NUL),
	REFUSE("NUL in the request line", "GET /\0 HTTP/1.1\r\n\r\n", NUL),
	REFUSE("no colon", G "Referer\r\n\r\n", FIELD_NAME),
	REFUSE("no name", G ": x\r\n\r\n", FIELD_NAME),
	REFUSE("a blank in a name", G "Content Length: 5\r\n\r\n", FIELD_NAME),
	REFUSE("a control character in a name", G "Transfer-Encoding\v: chunked\r\n\r\n", FIELD_NAME),
	REFUSE("obs-fold", G "X: y\r\n Referer: z\r\n\r\n", FOLD),
	REFUSE("obs-fold of a length", P "Content-Length: 1\r\n 5\r\n\r\nhello", FOLD),
	REFUSE("obs-fold of a coding", P "Transfer-Encoding: chunked\r\n\t, gzip\r\n\r\n0\r\n\r\n", FOLD),
	REFUSE("a length that is only in the fold", P "Content-Length:\r\n 5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("a coding that is only in the fold", P "Transfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n", BAD_ENCODING),
	REFUSE("a fold of nothing", G " Referer: x\r\n\r\n", FOLD),
	REFUSE("a fold of the request before", G "Referer: x\r\n\r\n" G " y\r\n\r\n", FOLD),
	REFUSE("a fold of the header in a trailer", P "Transfer-Encoding: chunked\r\nReferer: x\r\n\r\n0\r\n y\r\n\r\n", FOLD),
	REFUSE("a fold in a trailer", C "0\r\nX: y\r\n Referer: z\r\n\r\n", FOLD),
	REFUSE("a fold of nothing in a trailer", C "0\r\n Referer: z\r\n\r\n", FOLD),
	REFUSE("two Hosts", G HA "Host: b.example\r\n\r\n", TWO_HOSTS),
	REFUSE("the same Host twice", G HA "Referer: x\r\nhost : a.example\r\n\r\n", TWO_HOSTS),
	REFUSE("two names in a Host", G "Host: a.example, b.example\r\n\r\n", BAD_HOST),
	REFUSE("user info in a Host", G "Host: a.example@b.example\r\n\r\n", BAD_HOST),
	REFUSE("a path in a Host", G "Host: a.example/b.example\r\n\r\n", BAD_HOST),
	REFUSE("a port that is none", G "Host: a.example:http\r\n\r\n", BAD_HOST),
	REFUSE("a port over 65535", G "Host: a.example:65536\r\n\r\n", BAD_HOST),
	REFUSE("an open bracket", G "Host: [::1\r\n\r\n", BAD_HOST),
	REFUSE("bytes behind a bracket", G "Host: [::1]a.example\r\n\r\n", BAD_HOST),
	REFUSE("two lengths", P "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", TWO_LENGTHS),
	REFUSE("a list of lengths", P "Content-Length: 5, 5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("plus", P "Content-Length: +5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("minus", P "Content-Length: -5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("hexadecimal", P "Content-Length: 0x5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("no number", P "Content-Length:\r\n\r\n", BAD_LENGTH),
	REFUSE("two words", P "Content-Length: 5 5\r\n\r\nhello", BAD_LENGTH),
	REFUSE("too large a number", P "Content-Length: 9223372036854775808\r\n\r\n", BAD_LENGTH),
	REFUSE("CL.TE", P "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LENGTH_AND_ENCODING),
	REFUSE("TE.CL", P "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", LENGTH_AND_ENCODING),
	REFUSE("a length of 0 and a coding", P "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LENGTH_AND_ENCODING),
	REFUSE("not chunked", P "Transfer-Encoding: gzip\r\n\r\n", BAD_ENCODING),
	REFUSE("chunked before gzip", P "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD_ENCODING),
	REFUSE("chunked twice", P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", BAD_ENCODING),
	REFUSE("xchunked", P "Transfer-Encoding: xchunked\r\n\r\n", BAD_ENCODING),
	REFUSE("identity", P "Transfer-Encoding: identity\r\n\r\n", BAD_ENCODING),
	REFUSE("a comma first", P "Transfer-Encoding: ,chunked\r\n\r\n", BAD_ENCODING),
	REFUSE("a comma last", P "Transfer-Encoding: chunked,\r\n\r\n", BAD_ENCODING),
	REFUSE("a vertical tab first", P "Transfer-Encoding: \vchunked\r\n\r\n", BAD_ENCODING),
	REFUSE("quotes", P "Transfer-Encoding: \"chunked\"\r\n\r\n", BAD_ENCODING),
	REFUSE("an empty coding", P "Transfer-Encoding:\r\n\r\n", BAD_ENCODING),
	REFUSE("a parameter", P "Transfer-Encoding: chunked;q=1\r\n\r\n", BAD_ENCODING),
	REFUSE("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD_ENCODING),
	REFUSE("no size", C "\r\nhello\r\n", BAD_CHUNK),
	REFUSE("a size with a sign", C "+5\r\nhello\r\n", BAD_CHUNK),
	REFUSE("a size with 0x", C "0x5\r\nhello\r\n", BAD_CHUNK),
	REFUSE("a blank before the size", C " 5\r\nhello\r\n", BAD_CHUNK),
	REFUSE("a size of 17 digits", C "00000000000000005\r\nhello\r\n", BAD_CHUNK),
	REFUSE("a size over 63 bits", C "8000000000000000\r\n", BAD_CHUNK),
	REFUSE("a size that wraps", C "FFFFFFFFFFFFFFFF\r\n", BAD_CHUNK),
	REFUSE("a word behind the size", C "5 x\r\nhello\r\n", BAD_CHUNK),
	REFUSE("LF behind the size", C "5\nhello\r\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("LF in an extension", C "5;\nx\r\nhello\r\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("bare CR in an extension", C "5;\rx\r\nhello\r\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("NUL in an extension", C "5;\0x\r\nhello\r\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("data longer than its size", C "4\r\nhello\r\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("any byte and LF behind data", C "5\r\nhello!\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("CR and any byte behind data", C "5\r\nhello\r!0\r\n\r\n", BAD_CHUNK),
	REFUSE("LF behind data", C "5\r\nhello\n0\r\n\r\n", BAD_CHUNK),
	REFUSE("a length in a trailer", C "0\r\nContent-Length: 5\r\n\r\n", TRAILER),
	REFUSE("a coding in a trailer", C "0\r\nTransfer-Encoding: chunked\r\n\r\n", TRAILER),
	REFUSE("a Host in a trailer", C "0\r\nhost : a.example\r\n\r\n", TRAILER),
	REFUSE("Connection: referer", G "Connection: close, Referer\r\n\r\n", CONNECTION),
};

#define OK "HTTP/1.1 200 OK\r\n"

struct http_answer_row {
	const char *label;
	unsigned int asks[4];
	size_t ask_count;
	const char *input;
	size_t input_len;
	const char *body;
	const char *log;		/* the whole of it */
};

#define ANSWER(label, in, body, log, ...) \
	{label, {__VA_ARGS__}, sizeof((unsigned int[]){__VA_ARGS__}) / sizeof(unsigned int), in, \
	 sizeof(in) - 1, body, log}

static const struct http_answer_row http_answers[] = {
	ANSWER("a length", OK "Content-Length: 5\r\n\r\nhello", "hello",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=5 upgrade=0 block=38\nend 100 at 43\nwaiting 0\n", 0),
	ANSWER("a length that is cut", OK "Content-Length: 6\r\n\r\nhello", "hello",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=6 upgrade=0 block=38\nwaiting 1\nend 100 at 43 cut\n", 0),
	ANSWER("a length of 0", OK "content-length : 0\r\n\r\n", "",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=0 upgrade=0 block=39\nend 100 at 39\nwaiting 0\n", 0),
	ANSWER("until close", OK "\r\nhello", "hello",
	       "begin 100\nhead 100: 200 1.1 framing=3 length=-1 upgrade=0 block=19\nwaiting 1\nend 100 at 24\n", 0),
	ANSWER("HTTP/1.0 until close", "HTTP/1.0 200\nConnection: Close, X\n\nhello", "hello",
	       "begin 100\nhead 100: 200 1.0 framing=3 length=-1 upgrade=0 close block=35\nwaiting 1\nend 100 at 40\n", 0),
	ANSWER("HEAD", OK "Content-Length: 5\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "x",
	       "begin 100\nhead 100: 200 1.1 framing=0 length=5 upgrade=0 block=38\nend 100 at 38\n"
	       "begin 101\nhead 101: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 101 at 77\nwaiting 0\n", LEASH_ASK_HEAD, 0),
	ANSWER("204 and 304", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "x",
	       "begin 100\nhead 100: 204 1.1 framing=0 length=-1 upgrade=0 block=55\nend 100 at 55\n"
	       "begin 101\nhead 101: 304 1.1 framing=0 length=9 upgrade=0 block=48\nend 101 at 103\n"
	       "begin 102\nhead 102: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 102 at 142\nwaiting 0\n", 0, 0, 0),
	ANSWER("interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n"
	       OK "Content-Length: 2\r\n\r\nok", "ok",
	       "begin 100\ninterim 100: 100 1.1 framing=0 length=-1 upgrade=0 block=25\n"
	       "begin 100\ninterim 100: 103 1.1 framing=0 length=7 upgrade=0 block=47\n"
	       "begin 100\nhead 100: 200 1.1 framing=1 length=2 upgrade=0 block=38\nend 100 at 112\nwaiting 0\n", 0),
	ANSWER("chunks", OK "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0A\r\n, chunked!\r\n0\r\n\r\n", "hello, chunked!",
	       "begin 100\nhead 100: 200 1.1 framing=2 length=-1 upgrade=0 block=47\nend 100 at 82\nwaiting 0\n", 0),
	ANSWER("chunks with a trailer, then more", OK "Transfer-Encoding: gzip, Chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\rC: d\n\r\n"
	       OK "Content-Length: 0\r\n\r\n", "x",
	       "begin 100\nhead 100: 200 1.1 framing=2 length=-1 upgrade=0 block=53\nend 100 at 76\n"
	       "begin 101\nhead 101: 200 1.1 framing=1 length=0 upgrade=0 block=38\nend 101 at 114\nwaiting 0\n", 0, 0),
	ANSWER("chunks that are cut", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r", "hello",
	       "begin 100\nhead 100: 200 1.1 framing=2 length=-1 upgrade=0 block=47\nwaiting 1\nCUT", 0),
	ANSWER("empty lines between", OK "Content-Length: 1\r\n\r\nx\r\n\r\n" OK "Content-Length: 1\r\n\r\ny\r\n", "xy",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 100 at 39\n"
	       "begin 101\nhead 101: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 101 at 82\nwaiting 0\n", 0, 0),
	ANSWER("a websocket", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05hello", "",
	       "begin 100\nhead 100: 101 1.1 framing=0 length=-1 upgrade=1a block=129\nend 100 at 129\nraw\nwaiting 0\n", LEASH_ASK_UPGRADE),
	ANSWER("an Upgrade that is not taken", OK "Content-Length: 1\r\n\r\nx" OK "Content-Length: 1\r\n\r\ny", "xy",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 100 at 39\n"
	       "begin 101\nhead 101: 200 1.1 framing=1 length=1 upgrade=0 block=38\nend 101 at 78\nwaiting 0\n", LEASH_ASK_UPGRADE, 0),
	ANSWER("101 that nobody asked for", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\nabc", "",
	       "begin 100\nhead 100: 101 1.1 framing=0 length=-1 upgrade=2 block=32\nraw\nwaiting 1\nend 100 at 35\n", 0),
	ANSWER("a tunnel", "HTTP/1.1 200 Connected\r\n\r\nabc", "",
	       "begin 100\nhead 100: 200 1.1 framing=0 length=-1 upgrade=0 block=26\nend 100 at 26\nraw\nwaiting 0\n", LEASH_ASK_CONNECT),
	ANSWER("no tunnel", "HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx", "x",
	       "begin 100\nhead 100: 403 1.1 framing=1 length=1 upgrade=0 block=38\nend 100 at 39\nwaiting 0\n", LEASH_ASK_CONNECT),
	ANSWER("a folded field", OK "Set-Cookie: a;\r\n b\r\nContent-Length: 1\r\n\r\nx", "x",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=1 upgrade=0 block=58\nend 100 at 59\nwaiting 0\n", 0),
	ANSWER("lines that are no fields", OK "what is this\r\n: x\r\nContent-Length: 1\r\n\r\nx", "x",
	       "begin 100\nhead 100: 200 1.1 framing=1 length=1 upgrade=0 block=57\nend 100 at 58\nwaiting 0\n", 0),
	ANSWER("a coding that is not chunked", OK "Transfer-Encoding: gzip\r\n\r\nabc", "abc",
	       "begin 100\nhead 100: 200 1.1 framing=3 length=-1 upgrade=0 block=44\nwaiting 1\nend 100 at 47\n", 0),
	ANSWER("two requests and a close", OK "\r\nx", "x",
	       "begin 100\nhead 100: 200 1.1 framing=3 length=-1 upgrade=0 block=19\nwaiting 2\nend 100 at 20\nend 101 at 20 cut\n", 0, 0),
#define RAW(label, in) ANSWER(label, in, NULL, "begin 100\nraw\nwaiting 1\nEND", 0)
	RAW("both framings", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	RAW("two lengths", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
	RAW("a length that is none", OK "Content-Length: five\r\n\r\nhello"),
	RAW("a list of lengths", OK "Content-Length: 5, 5\r\n\r\nhello"),
	RAW("a folded length", OK "Content-Length: 5\r\n 0\r\n\r\nhello"),
	RAW("a fold first", OK " Content-Length: 5\r\n\r\nhello"),
	RAW("chunked and more", OK "Transfer-Encoding: chunked, gzip\r\n\r\nhello"),
	RAW("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	RAW("bare CR", OK "X: \rContent-Length: 5\r\n\r\nhello"),
	RAW("NUL", OK "X: \0\r\nContent-Length: 5\r\n\r\nhello"),
	RAW("not HTTP", "ICY 200 OK\r\n\r\nabc"),
	RAW("HTTP/0.9", "<html>hello</html>\n"),
	RAW("HTTP/2", "HTTP/2 200\r\n\r\n"),
	RAW("no code", "HTTP/1.1 OK\r\n\r\n"),
	RAW("a code of two digits", "HTTP/1.1 20\r\n\r\n"),
	RAW("a code of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
#undef RAW
	ANSWER("a bad chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n\r\n", "hello",
	       "begin 100\nhead 100: 200 1.1 framing=2 length=-1 upgrade=0 block=47\nraw\nwaiting 1\nend 100 at 62\n", 0),
	ANSWER("a header that is cut", OK "Content-Le", "", "begin 100\nwaiting 1\nCUT", 0),
};

#undef RAW
#undef SAME
#undef REFUSE
#undef PASS
#undef ANSWER
#undef CHUNKED
#undef MP
#undef MT
#undef C

#endif
