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
  trailer    raw                            behind a chunked body, byte for byte
  h2         path, raw                      a request over HTTP/2: its header block
  websocket, message, data, close           likewise
  datagram   from, to, len, text            UDP
  question   name, asked, type, proto       DNS
  packet     proto, src, dst, ports, flags  LOG/packets.jsonl: whatever left the client: each TCP
                                            SYN, each packet that is not TCP (ARP, ND, MLD aside)
"""

import ctypes
import json
import os
import select
import socket
import ssl
import struct
import threading
import time

import dns
import hosts
import http_servers
from http_servers import TEXT_MAX, shown

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
        ctx.set_alpn_protocols(["h2", "http/1.1"] if service == "h2" else ["http/1.1"])
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

class Connection(http_servers.Http):
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
            if self.sock.selected_alpn_protocol() == "h2":
                self.h2()
            else:
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
        self.idle = []                      # sockets that nobody looks at
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
                    if service == "full":           # one fits into the queue, nobody takes it
                        sock.listen(0)
                        self.idle.append(sock)
                        continue
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


