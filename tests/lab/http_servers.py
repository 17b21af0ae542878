# SPDX-License-Identifier: MIT
"""HTTP of the test network: what is answered to which path, and what is written down of it.

Mixed into a connection (servers.py), which moves the bytes: pending, take, send, exactly, until, log.
"""

import base64
import gzip
import hashlib
import json
import re
import struct
import time
import urllib.parse

TEXT_MAX = 2048                     # bytes of a payload that a log line shows
KEEP_MAX = 4 << 20                  # of a body; what is longer is hashed and dropped
BLOCK = 1 << 20

# charset -> a text of its repertoire; what is not here gets the first
SAMPLES = {
    "gbk": "\u4f60\u597d, world: \u6f22\u5b57\u4e2d\u6587\n",
    "shift_jis": "\u3053\u3093\u306b\u3061\u306f, \u4e16\u754c: \uff76\uff85\n",
    "euc-jp": "\u3053\u3093\u306b\u3061\u306f, \u4e16\u754c\n",
    "iso-2022-jp": "\u3053\u3093\u306b\u3061\u306f, \u4e16\u754c\n",
    "big5": "\u4f60\u597d, \u4e16\u754c: \u6f22\u5b57\n",
    "euc-kr": "\uc548\ub155, \uc138\uacc4\n",
    "latin-1": "Gr\u00fc\u00dfe, \u00e7a va \u00e0 No\u00ebl\n",
    "windows-1252": "\u201cquoted\u201d \u20ac 5\n",
    "koi8-r": "\u041f\u0440\u0438\u0432\u0435\u0442\n",
}
BROKEN = b"\xff"                    # in no charset above but the single-byte ones


def shown(data):
    return data[:TEXT_MAX].decode("latin-1")


def file_block(number):
    """One MiB of the file that /file serves: no two are alike, so that none can be swapped."""
    seed = hashlib.sha256(b"block %d" % number).digest()
    return seed + FILLER[number % 61:][:BLOCK - len(seed)]


FILLER = b"".join(hashlib.sha256(b"filler %d" % n).digest() for n in range((BLOCK + 64) // 32))


def sample(charset, query):
    """The body that /text/CHARSET answers with: text, before it BOMs, in it what cannot be read."""
    text = SAMPLES.get(charset, SAMPLES["gbk"]) * int(query.get("times", "1"))
    codec = {"gbk": "gb18030", "shift_jis": "cp932", "big5": "big5hkscs"}.get(charset, charset)
    body = ("\ufeff" * int(query.get("bom", "0")) + text).encode(codec)
    if query.get("broken"):
        body += b"before " + BROKEN + b" behind\n"
    return body


class Http:
    def http(self):
        while True:
            raw = self.until(b"\r\n\r\n")
            if raw is None:
                return
            lines = raw[:-4].decode("latin-1").split("\r\n")
            try:
                method, target, version = lines[0].split(" ")
            except ValueError:
                self.log("plaintext", bytes=shown(raw))
                return
            headers = [tuple(s.strip() for s in line.partition(":")[::2]) for line in lines[1:]]
            self.log("request", method=method, target=target, headers=headers,
                     raw=raw.decode("latin-1"))
            fields = {k.lower(): v for k, v in headers}
            if target.startswith("/early/"):
                self.early(target.split("/")[2])
                return
            if fields.get("expect", "").lower() == "100-continue":
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "websocket" in fields.get("upgrade", "").lower() and not target.startswith("/nosocket"):
                self.websocket(target, fields)
                return
            body = self.body(fields)
            keep = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
            if not self.respond(method, target, headers, body, keep) or not keep:
                return

    def early(self, status):
        """The answer before the body was read. What comes is taken, or the end would be a reset."""
        body = b"too large\n"
        self.send(b"HTTP/1.1 %s Lab\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                  b"Connection: close\r\n\r\n%s" % (status.encode(), len(body), body))
        while self.take():
            pass

    # The body of a request
    def pieces(self, fields):
        if "chunked" in fields.get("transfer-encoding", "").lower():
            while True:
                size = int(self.until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    break
                yield from self.some(size)
                self.exactly(2)
            trailer = b""
            while not trailer.endswith(b"\r\n\r\n") and trailer != b"\r\n":
                trailer += self.until(b"\r\n")
            if trailer != b"\r\n":
                self.log("trailer", raw=trailer.decode("latin-1"))
            return
        yield from self.some(int(fields.get("content-length", "0")))

    def some(self, size):
        while size:
            data = self.pending or self.take()
            if not data:
                raise EOFError("the connection ended %d bytes early" % size)
            yield data[:size]
            self.pending = data[size:]
            size -= len(data) - len(self.pending)

    def body(self, fields):
        digest, kept, size = hashlib.sha256(), [], 0
        for data in self.pieces(fields):
            digest.update(data)
            size += len(data)
            if size <= KEEP_MAX:
                kept.append(data)
        self.digest, self.size = digest.hexdigest(), size
        body = b"".join(kept) if size <= KEEP_MAX else b""
        if size:
            self.log("body", len=size, sha256=self.digest, text=shown(b"".join(kept[:1])))
        return body

    # Answers
    def reply(self, method, keep, body=b"", status="200 OK", kind="text/plain; charset=utf-8",
              extra=""):
        bodiless = status[:3] in ("204", "304") or status[0] == "1"
        head = "HTTP/1.1 %s\r\nServer: lab\r\nContent-Type: %s\r\n%s%sConnection: %s\r\n\r\n" % (
            status, kind, "" if bodiless else "Content-Length: %d\r\n" % len(body), extra,
            "keep-alive" if keep else "close")
        self.send(head.encode("latin-1") + (b"" if method == "HEAD" or bodiless else body))
        return True

    def framed(self, method, keep, body, kind, query, extra=""):
        """?frame=length (default), chunked, close; ?piece=N bytes a write and a chunk"""
        frame = query.get("frame", "length")
        piece = int(query.get("piece", "0")) or max(len(body), 1)
        pieces = [body[i:i + piece] for i in range(0, len(body), piece)]
        head = "HTTP/1.1 %s Lab\r\nServer: lab\r\nContent-Type: %s\r\n%s" % (
            query.get("status", "200"), kind, extra)
        if frame == "length":
            head += "Content-Length: %d\r\n" % len(body)
        elif frame == "chunked":
            head += "Transfer-Encoding: chunked\r\n"
            pieces = [b"%x\r\n%s\r\n" % (len(p), p) for p in pieces] + [b"0\r\n\r\n"]
        else:
            keep = False
        head += "Connection: %s\r\n\r\n" % ("keep-alive" if keep else "close")
        self.send(head.encode("latin-1"))
        for data in pieces if method != "HEAD" else ():
            self.send(data)
        if query.get("hold"):                           # the connection stays, whatever was asked for
            while self.take():
                pass
        return keep

    def file(self, method, headers, size, keep):
        """/file/SIZE: whole, or one range of it (RFC 9110, 14)"""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", dict(
            (k.lower(), v) for k, v in headers).get("range", ""))
        first, last = (int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)) if wanted \
            else (0, size - 1)
        if wanted and first >= size:
            return self.reply(method, keep, b"", "416 Range Not Satisfiable",
                              extra="Content-Range: bytes */%d\r\n" % size)
        self.send(("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\n"
                   "%s\r\n" % ("206 Partial Content" if wanted else "200 OK", "application/octet-stream",
                               last + 1 - first, "Content-Range: bytes %d-%d/%d\r\n" % (first, last, size)
                               if wanted else "")).encode("latin-1"))
        at = first if method != "HEAD" else last + 1
        while at <= last:
            number, skip = divmod(at, BLOCK)
            data = file_block(number)[skip:skip + last + 1 - at]
            self.send(data)
            at += len(data)
        return True

    def respond(self, method, target, headers, body, keep):
        """Answer one request; False if the connection ends with it."""
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        what, *args = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]] or [""]
        arg = args[0] if args else ""

        if what == "":
            return self.reply(method, keep, b"hello from %s\n" % self.label.encode())
        if what == "status":
            return self.reply(method, keep, b"status %s\n" % arg.encode(), arg + " Lab")
        if what == "interim":                           # /interim/103: that first, then the answer
            self.send(b"HTTP/1.1 %s Lab\r\nX-Interim: yes\r\n\r\n" % arg.encode())
            return self.reply(method, keep, b"after %s\n" % arg.encode())
        if what == "bytes":
            return self.reply(method, keep, b"x" * int(arg), kind="application/octet-stream")
        if what == "file":
            return self.file(method, headers, int(arg), keep)
        if what == "hash":                              # of what was sent
            return self.reply(method, keep, b"%d %s\n" % (self.size, self.digest.encode()))
        if what == "echo":
            kind = dict((k.lower(), v) for k, v in headers).get("content-type", "text/plain")
            return self.reply(method, keep, body, kind=kind)
        if what == "headers":
            return self.reply(method, keep, json.dumps(headers).encode() + b"\n",
                              kind="application/json")
        if what == "slow":                              # /slow/SECONDS before the first byte
            time.sleep(float(arg))
            return self.reply(method, keep, b"slow %s\n" % arg.encode())
        if what == "drip":                              # /drip/COUNT/SECONDS: a byte at a time
            self.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % int(arg))
            for _ in range(int(arg)):
                self.send(b".")
                time.sleep(float(args[1]))
            return True
        if what == "hang":                              # never an answer
            while self.take():
                pass
            return False
        if what == "cut":                               # half a body, then the end
            self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        if what == "redirect":                          # /redirect?to=URL&status=302
            return self.reply(method, keep, b"", query.get("status", "302") + " Lab",
                              extra="Location: %s\r\n" % query.get("to", "/"))
        if what == "chunked":                           # /chunked/COUNT chunks of 10 bytes
            self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n")
            for n in range(int(arg)):
                self.send(b"a\r\n%010d\r\n" % n)
            self.send(b"0\r\n\r\n")
            return True
        if what == "toend":                             # a body that the connection's end ends
            self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                      b"to the end\n")
            return False
        if what == "gzip":
            return self.reply(method, keep, gzip.compress(b"packed\n", mtime=0),
                              extra="Content-Encoding: gzip\r\n")
        if what == "bom":   # that many BOMs
            return self.reply(method, keep, b"\xef\xbb\xbf" * int(arg or 1) + b"marked\n")
        if what == "charset":                           # /charset/gbk: a text in that charset
            text = "\u4f60\u597d, world\n".encode(arg)
            return self.reply(method, keep, text, kind="text/plain; charset=" + arg)
        if what == "text":                              # /text/gbk?frame=&bom=&label=&type=&broken=
            label = query.get("label", arg)
            text = sample(arg, query)
            extra = query.get("extra", "")
            if query.get("gzip"):
                text, extra = gzip.compress(text, mtime=0), "Content-Encoding: gzip\r\n"
            return self.framed(method, keep, text, query.get("type", "text/html") +
                               ("; charset=" + label if label else ""), query,
                               extra + "\r\n" if extra and not extra.endswith("\r\n") else extra)
        if what == "json":                              # /json?bom=1
            text = b"\xef\xbb\xbf" * int(query.get("bom", "0")) + \
                '{"ok": true, "name": "\u4f60\u597d"}'.encode()
            return self.framed(method, keep, text, "application/json", query)
        if what == "announce" and method == "POST":     # a Minetest server list
            return self.reply(method, keep, b"Request has been filed.\n", "202 Accepted")
        return self.reply(method, keep, b"not here\n", "404 Not Found")

    def websocket(self, target, fields):
        """RFC 6455, answering each message with itself; /quit after the first one closes."""
        key = fields.get("sec-websocket-key")
        if not key:
            self.reply("GET", False, b"no Sec-WebSocket-Key\n", "400 Bad Request")
            return
        accept = base64.b64encode(hashlib.sha1(
            key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.log("websocket", target=target)
        message, kind = b"", 0
        while True:
            first, second = self.exactly(2)
            opcode, n = first & 15, second & 127
            if not second & 0x80:
                self.frame(8, struct.pack("!H", 1002))  # clients mask
                return
            if n == 126:
                n = int.from_bytes(self.exactly(2), "big")
            elif n == 127:
                n = int.from_bytes(self.exactly(8), "big")
            mask = self.exactly(4)
            data = self.exactly(n)
            data = (int.from_bytes(data, "big") ^ int.from_bytes(
                (mask * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")
            if opcode == 8:
                self.frame(8, data)
                return
            if opcode == 9:
                self.frame(10, data)
            elif opcode in (0, 1, 2):
                message, kind = message + data, opcode or kind
                if first & 0x80:
                    self.log("message", len=len(message), text=shown(message))
                    self.frame(kind, message)
                    message = b""
                    if target == "/quit":
                        self.frame(8, struct.pack("!H", 1000))
                        return

    def frame(self, opcode, data):
        n = len(data)
        if n < 126:
            head = bytes([0x80 | opcode, n])
        elif n < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 126, n)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, n)
        self.send(head + data)

    def h2(self):
        """RFC 9113, as little as a client needs: every request is answered with "hello over h2"."""
        def put(kind, flags, stream, payload=b""):
            self.send(len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
                      stream.to_bytes(4, "big") + payload)

        if self.exactly(24) != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            self.log("plaintext", bytes="no preface")
            return
        put(4, 0, 0)                                    # SETTINGS
        while True:
            head = self.exactly(9)
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = self.exactly(int.from_bytes(head[:3], "big"))
            if kind == 4 and not flags & 1:
                put(4, 1, 0)
            elif kind == 6 and not flags & 1:           # PING
                put(6, 1, 0, payload)
            elif kind == 7:                             # GOAWAY
                return
            elif kind == 1:                             # HEADERS; RFC 7541: 0x88 is ":status: 200"
                self.log("h2", raw=payload.hex())
                put(1, 4, stream, b"\x88")
                put(0, 1, stream, b"hello over h2\n")
