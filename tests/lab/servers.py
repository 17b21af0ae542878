# SPDX-License-Identifier: MIT
"""The far side of the test network: every server, and the witness of what reached it.

One thread watches all listening sockets, datagram sockets, the packet socket and the control
socket, and writes the log entry of a connection, a datagram or a packet before anything else
happens. A connection then gets a thread of its own, blocking code that reads top to bottom.

Logs are JSON lines, one write each, in LOG/<label>.jsonl (hosts.py names the labels):
  accept     from, port, conn               a TCP connection; conn ties the lines together
  hello      sni, alpn, versions            a ClientHello, before it is answered
  tls        version, sni                   a handshake that succeeded; tls-error if not
  plaintext  bytes                          something else than TLS where TLS is spoken
  request    method, target, headers, raw   raw is the head byte for byte (latin-1)
  body       len, sha256, text              what came after it
  websocket, message, data, close           likewise
  datagram   from, to, len, text            UDP
  question   name, asked, type, proto       DNS
  packet     proto, src, dst, ports, flags  LOG/packets.jsonl: whatever left the client: each TCP
                                            SYN, each packet that is not TCP (ARP, ND, MLD aside)
"""

import base64
import ctypes
import gzip
import hashlib
import json
import os
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import dns
import hosts

TEXT_MAX = 2048                     # bytes of a payload that a log line shows
HEAD_MAX = 65536
WAIT_S = 60                         # an idle connection is given up


class Log:
    """One append-only file per label; a line is one write, so nothing is ever half there."""

    def __init__(self, directory):
        self.directory = directory
        self.fds = {}
        self.start = time.monotonic()
        for label in [*hosts.HOSTS, "packets", "cast", "lab"]:
            path = os.path.join(directory, label + ".jsonl")
            self.fds[label] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC,
                                      0o644)

    def write(self, label, event, **facts):
        line = {"t": round(time.monotonic() - self.start, 4), "host": label, "event": event}
        line.update(facts)
        os.write(self.fds[label], json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def reset(self):
        for fd in self.fds.values():
            os.ftruncate(fd, 0)


def shown(data):
    return data[:TEXT_MAX].decode("latin-1")


# --- TLS ---------------------------------------------------------------------------------------

def vec(data, pos, width):
    """A length-prefixed field: (contents, place after it)."""
    n = int.from_bytes(data[pos:pos + width], "big")
    return data[pos + width:pos + width + n], pos + width + n


def hello_facts(record):
    """What a ClientHello (one record, with its header) says: RFC 8446, 4.1.2."""
    facts = {"sni": None, "alpn": [], "versions": []}
    body = record[5 + 4:]
    _, pos = vec(body, 34, 1)
    _, pos = vec(body, pos, 2)
    _, pos = vec(body, pos, 1)
    extensions, _ = vec(body, pos, 2)
    pos = 0
    while pos + 4 <= len(extensions):
        kind = int.from_bytes(extensions[pos:pos + 2], "big")
        data, pos = vec(extensions, pos + 2, 2)
        if kind == 0 and len(data) > 5:
            facts["sni"] = vec(data, 3, 2)[0].decode("latin-1")
        elif kind == 16:
            at = 2
            while at < len(data):
                proto, at = vec(data, at, 1)
                facts["alpn"].append(proto.decode("latin-1"))
        elif kind == 43:
            facts["versions"] = [data[i:i + 2].hex() for i in range(1, len(data), 2)]
    return facts


def peek_start(sock):
    """The first bytes of a connection, left in place: a whole TLS record, or what there is."""
    want, deadline = 1, time.monotonic() + WAIT_S
    gone = select.poll()
    gone.register(sock, select.POLLRDHUP)
    while True:
        data = sock.recv(max(want, 5), socket.MSG_PEEK)
        if not data or data[0] != 0x16:
            return data if not data else sock.recv(TEXT_MAX, socket.MSG_PEEK)
        if len(data) >= 5:
            want = 5 + int.from_bytes(data[3:5], "big")
            if len(data) >= want:
                return data[:want]
        # A peek does not wait for more than what it has shown before.
        if gone.poll(1) or time.monotonic() > deadline:
            return data


class Contexts:
    """TLS settings by certificate and version, made at first use."""

    def __init__(self, pki):
        self.pki = pki
        self.made = {}
        self.lock = threading.Lock()

    def get(self, cert, service):
        with self.lock:
            if (cert, service) not in self.made:
                self.made[cert, service] = self.make(cert, service)
            return self.made[cert, service]

    def make(self, cert, service):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        base = os.path.join(self.pki, cert)
        ctx.load_cert_chain(base + ".pem", base + ".key")
        ctx.set_alpn_protocols(["http/1.1"])
        if service == "tls11":
            ctx.set_ciphers("ALL:@SECLEVEL=0")      # or OpenSSL 3 has no signature for it
            ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv1_1
        elif service == "tls12":
            ctx.maximum_version = ssl.TLSVersion.TLSv1_2
        elif service == "tls13":
            ctx.minimum_version = ssl.TLSVersion.TLSv1_3

        def choose(conn, name, _):
            other = hosts.CERTS.get((name or "").lower().rstrip("."))
            if other and other != cert:
                conn.context = self.get(other, service)

        ctx.sni_callback = choose
        return ctx


# --- One connection ----------------------------------------------------------------------------

class Connection:
    def __init__(self, lab, label, service, sock, peer, port, number):
        self.lab, self.label, self.service = lab, label, service
        self.sock, self.number = sock, number
        self.received = self.sent = 0
        self.pending = b""
        self.log("accept", **{"from": "%s:%d" % peer[:2], "port": port})

    def log(self, event, **facts):
        self.lab.log.write(self.label, event, conn=self.number, **facts)

    def run(self):
        try:
            self.sock.settimeout(WAIT_S)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve()
        except (OSError, ValueError, EOFError) as e:
            self.log("error", why=str(e))
        finally:
            self.log("close", received=self.received, sent=self.sent)
            self.end()

    def end(self):
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.setblocking(False)
            try:
                self.sock.unwrap()          # close_notify out; the peer's is not waited for
            except OSError:
                pass
        self.sock.close()

    def serve(self):
        if self.service == "echo":
            self.echo()
        elif self.service == "banner":
            self.send(b"220 banner.example.com ready\r\n")
            self.echo()
        elif self.service == "sink":
            while self.take():
                pass
        elif self.service == "dns":
            self.names()
        elif self.service == "http":
            self.http()
        elif self.tls():
            self.http()

    def tls(self):
        start = peek_start(self.sock)
        if not start:
            return False
        if start[0] != 0x16:
            self.sock.recv(len(start))      # left unread it would turn the end into a reset
            self.received += len(start)
            self.log("plaintext", bytes=shown(start))
            return False
        self.log("hello", **hello_facts(start))
        cert = hosts.CERT_OF_HOST.get(self.label, "www")
        try:
            self.sock = self.lab.contexts.get(cert, self.service).wrap_socket(
                self.sock, server_side=True)
        except OSError as e:
            self.log("tls-error", why=str(e))
            return False
        self.log("tls", version=self.sock.version(), alpn=self.sock.selected_alpn_protocol())
        return True

    # Bytes in and out.
    def take(self):
        """What comes next, b"" at the end."""
        data = self.sock.recv(65536)
        self.received += len(data)
        return data

    def send(self, data):
        self.sock.sendall(data)
        self.sent += len(data)

    def exactly(self, n):
        parts = [self.pending[:n]]
        self.pending = self.pending[n:]
        missing = n - len(parts[0])
        while missing:
            data = self.take()
            if not data:
                raise EOFError("the connection ended %d bytes early" % missing)
            parts.append(data[:missing])
            self.pending = data[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def until(self, mark, most=HEAD_MAX):
        """Up to and including @mark; None at a clean end."""
        while mark not in self.pending:
            data = self.take()
            if not data:
                if self.pending:
                    raise EOFError("the connection ended inside a line")
                return None
            self.pending += data
            if len(self.pending) > most:
                raise ValueError("no end after %d bytes" % most)
        at = self.pending.index(mark) + len(mark)
        out, self.pending = self.pending[:at], self.pending[at:]
        return out

    # Services.
    def echo(self):
        while True:
            data = self.take()
            if not data:
                return
            self.log("data", len=len(data), text=shown(data))
            self.send(data)

    def names(self):
        while True:
            try:
                head = self.exactly(2)      # two questions may have come at once
            except EOFError:
                return
            facts, reply, wait_s = dns.answer(self.exactly(int.from_bytes(head, "big")), False)
            self.log("question", proto="tcp", **facts)
            if reply is None:
                return
            time.sleep(wait_s)
            self.send(struct.pack("!H", len(reply)) + reply)

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
            if fields.get("expect", "").lower() == "100-continue":
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "websocket" in fields.get("upgrade", "").lower():
                self.websocket(target, fields)
                return
            body = self.body(fields)
            if body:
                self.log("body", len=len(body), sha256=hashlib.sha256(body).hexdigest(),
                         text=shown(body))
            keep = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
            if not self.respond(method, target, headers, body, keep) or not keep:
                return

    def body(self, fields):
        if "chunked" in fields.get("transfer-encoding", "").lower():
            parts = []
            while True:
                size = int(self.until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    while self.until(b"\r\n") != b"\r\n":
                        pass
                    return b"".join(parts)
                parts.append(self.exactly(size))
                self.exactly(2)
        return self.exactly(int(fields.get("content-length", "0")))

    def reply(self, method, keep, body=b"", status="200 OK", kind="text/plain; charset=utf-8",
              extra=""):
        head = "HTTP/1.1 %s\r\nServer: lab\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s" \
               "Connection: %s\r\n\r\n" % (status, kind, len(body), extra,
                                           "keep-alive" if keep else "close")
        self.send(head.encode("latin-1") + (b"" if method == "HEAD" else body))
        return True

    def respond(self, method, target, headers, body, keep):
        """Answer one request; False if the connection ends with it."""
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        what, *args = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]] or [""]
        arg = args[0] if args else ""

        if what == "":
            return self.reply(method, keep, b"hello from %s\n" % self.label.encode())
        if what == "status":
            return self.reply(method, keep, b"status %s\n" % arg.encode(), arg + " Lab")
        if what == "bytes":
            return self.reply(method, keep, b"x" * int(arg), kind="application/octet-stream")
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
            return self.reply(method, keep, gzip.compress(b"packed\n"),
                              extra="Content-Encoding: gzip\r\n")
        if what == "bom":   # that many BOMs
            return self.reply(method, keep, b"\xef\xbb\xbf" * int(arg or 1) + b"marked\n")
        if what == "charset":                           # /charset/gbk: a text in that charset
            text = "\u4f60\u597d, world\n".encode(arg)
            return self.reply(method, keep, text, kind="text/plain; charset=" + arg)
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


# --- The witness of packets --------------------------------------------------------------------

def packet_filter():
    """Classic BPF over Ethernet frames: TCP only with SYN and without ACK, all other IP."""
    accept, drop = object(), object()
    program = [                         # label, code, true, false, k
        (None, 0x28, 0, 0, 12),                     # ldh ethertype
        (None, 0x15, "v4", "not4", 0x0800),
        ("not4", 0x15, "v6", drop, 0x86dd),
        ("v4", 0x30, 0, 0, 23),                     # ldb protocol
        (None, 0x15, "tcp4", accept, 6),
        ("tcp4", 0x28, 0, 0, 20),                   # a later fragment has no header to look at
        (None, 0x45, accept, "first", 0x1fff),
        ("first", 0xb1, 0, 0, 14),                  # ldxb 4*([14]&0xf)
        (None, 0x50, 0, 0, 14 + 13),                # ldb flags
        (None, 0x54, 0, 0, 0x12),                   # SYN, ACK
        (None, 0x15, accept, drop, 0x02),
        ("v6", 0x30, 0, 0, 20),                     # ldb next header
        (None, 0x15, drop, "not0", 0),              # hop-by-hop: the kernel's own MLD
        ("not0", 0x15, "icmp6", "noticmp6", 58),
        ("icmp6", 0x30, 0, 0, 54),
        (None, 0x35, drop, accept, 130),            # MLD and neighbour discovery
        ("noticmp6", 0x15, "tcp6", accept, 6),
        ("tcp6", 0x30, 0, 0, 14 + 40 + 13),
        (None, 0x54, 0, 0, 0x12),
        (None, 0x15, accept, drop, 0x02),
        (accept, 0x06, 0, 0, 0x40000),
        (drop, 0x06, 0, 0, 0),
    ]
    where = {entry[0]: n for n, entry in enumerate(program) if entry[0] is not None}
    code = b""
    for n, (_, op, true, false, k) in enumerate(program):
        jump = [0, 0]
        if op & 7 == 5:
            jump = [where[t] - n - 1 for t in (true, false)]
        code += struct.pack("HBBI", op, *jump, k)
    return code, len(program)


def packet_socket(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    code, count = packet_filter()
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", count, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, 26, program)             # SO_ATTACH_FILTER
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((interface, 3))                                   # ETH_P_ALL, now filtered
    return sock


PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmp6", 132: "sctp",
             136: "udplite"}


def packet_facts(frame):
    if frame[12:14] == b"\x08\x00":
        proto, at = frame[23], 14 + 4 * (frame[14] & 15)
        src, dst = (socket.inet_ntop(socket.AF_INET, frame[i:i + 4]) for i in (26, 30))
    else:
        proto, at = frame[20], 54
        src, dst = (socket.inet_ntop(socket.AF_INET6, frame[i:i + 16]) for i in (22, 38))
    facts = {"proto": PROTOCOLS.get(proto, str(proto)), "src": src, "dst": dst, "len": len(frame)}
    if facts["proto"] in ("tcp", "udp", "dccp", "sctp", "udplite") and len(frame) >= at + 4:
        facts["sport"], facts["dport"] = struct.unpack("!HH", frame[at:at + 4])
    elif facts["proto"].startswith("icmp") and len(frame) > at:
        facts["type"] = frame[at]
    return facts


# --- All of it ---------------------------------------------------------------------------------

class Lab:
    def __init__(self, log_dir, pki_dir, control_path, ipv6):
        self.log = Log(log_dir)
        self.contexts = Contexts(pki_dir)
        self.ipv6 = ipv6
        self.poll = select.epoll()
        self.ready = {}                     # fd -> (socket, what to do)
        self.connections = 0
        self.open_sockets(control_path)

    def add(self, sock, action):
        sock.setblocking(False)
        self.ready[sock.fileno()] = (sock, action)
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def usable(self, address):
        return self.ipv6 or ":" not in address

    def bound(self, kind, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        scope = 0
        if address.startswith(("fe80:", "ff02:")):
            scope = socket.if_nametoindex("w0")
        sock.bind((address, port, 0, scope) if family == socket.AF_INET6 else (address, port))
        return sock

    def open_sockets(self, control_path):
        # The packet witness first: nothing may pass before it looks.
        for interface in ("w0", "w1"):
            self.add(packet_socket(interface), self.on_packet)
        for label, (addresses, services) in hosts.HOSTS.items():
            for address in filter(self.usable, addresses):
                for port, service in services.items():
                    sock = self.bound(socket.SOCK_STREAM, address, port)
                    sock.listen(256)
                    self.add(sock, lambda s, a=(label, service, port): self.on_accept(s, *a))
                    if service == "dns":
                        sock = self.bound(socket.SOCK_DGRAM, address, port)
                        self.add(sock, lambda s, label=label: self.on_question(s, label))
                for port in hosts.UDP_ECHO.get(label, []):
                    sock = self.bound(socket.SOCK_DGRAM, address, port)
                    self.add(sock, lambda s, a=(label, address, port): self.on_datagram(s, *a))
        for address, port in hosts.CAST:
            if not self.usable(address):
                continue
            sock = self.bound(socket.SOCK_DGRAM, address, port)
            if address.startswith("ff"):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack(
                    "16sI", socket.inet_pton(socket.AF_INET6, address),
                    socket.if_nametoindex("w0")))
            elif address.startswith(("224.", "239.")):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                socket.inet_aton(address) + socket.inet_aton(hosts.PEER4))
            self.add(sock, lambda s, a=(address, port): self.on_cast(s, *a))
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(control_path)
        os.chmod(control_path, 0o666)
        control.listen(16)
        self.add(control, None)             # known by having no action: see run()
        self.control = control

    def drain(self, timeout):
        """Handle what is ready; True if there was something (the control socket aside)."""
        did = False
        for fd, _ in self.poll.poll(timeout):
            sock, action = self.ready[fd]
            if action:
                did = True
                try:
                    action(sock)
                except OSError as e:        # e.g. an ICMP error that came back to a socket
                    self.log.write("lab", "error", why=str(e))
        return did

    def run(self):
        while True:
            self.drain(-1)
            # Control last: whatever was sent before the question was asked is in the logs.
            try:
                asker, _ = self.control.accept()
            except BlockingIOError:
                continue
            asker.settimeout(1)
            try:
                order = asker.recv(64)
                while self.drain(0):
                    pass
                if order == b"reset":
                    self.log.reset()
                asker.send(b"done")
            except OSError as e:
                self.log.write("lab", "error", why=str(e))
            asker.close()

    def on_accept(self, sock, label, service, port):
        try:
            accepted, peer = sock.accept()
        except BlockingIOError:
            return
        self.connections += 1
        connection = Connection(self, label, service, accepted, peer, port, self.connections)
        threading.Thread(target=connection.run, daemon=True).start()

    def on_datagram(self, sock, label, address, port):
        data, peer = sock.recvfrom(65536)
        self.log.write(label, "datagram", to="%s:%d" % (address, port),
                       len=len(data), text=shown(data), **{"from": "%s:%d" % peer[:2]})
        sock.sendto(data, peer)

    def on_cast(self, sock, address, port):
        data, peer = sock.recvfrom(65536)
        self.log.write("cast", "datagram", to="%s:%d" % (address, port), len=len(data),
                       text=shown(data), **{"from": "%s:%d" % peer[:2]})

    def on_question(self, sock, label):
        data, peer = sock.recvfrom(65536)
        facts, reply, wait_s = dns.answer(data, True)
        self.log.write(label, "question", proto="udp", **{"from": "%s:%d" % peer[:2]}, **facts)
        if reply is None:
            return
        if wait_s:
            timer = threading.Timer(wait_s, sock.sendto, (reply, peer))
            timer.daemon = True
            timer.start()
        else:
            sock.sendto(reply, peer)

    def on_packet(self, sock):
        while True:
            try:
                frame, where = sock.recvfrom(65536)
            except BlockingIOError:
                return
            # sll_pkttype 4 is what this side sent.
            if where[2] != 4:
                self.log.write("packets", "packet", **packet_facts(frame))


