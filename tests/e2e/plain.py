# SPDX-License-Identifier: MIT
"""Plain http to a neighbour, by the calls of a socket, for plain.bats: plain.py WHAT [ARG ...]"""

import array
import ctypes
import errno
import hashlib
import http.client
import os
import random
import select
import socket
import struct
import sys
import tempfile
import threading
import time

PEER = os.environ["LAB_PEER_ADDR"]


def connected(port=80, blocking=True):
    s = socket.create_connection((PEER, port))
    s.setblocking(blocking)
    return s


def text_of(s, read=None):
    """One answer: its head and its body, as the program gets them"""
    read = read or (lambda: s.recv(65536))
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(read)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"content-length" in fields:
        while len(body) < int(fields[b"content-length"]):
            body += more(read)
        return head, body
    while not body.endswith(b"0\r\n\r\n"):
        body += more(read)
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[:int(size, 16)]
        body = body[int(size, 16) + 2:]
    return head, whole


def more(read):
    data = read()
    assert data, "the end"
    return data


def outcome(function):
    try:
        return function()
    except OSError as error:
        return errno.errorcode[error.errno]


REQUEST = (b"POST /hash HTTP/1.1\r\nHost: %s\r\nReferer: http://a/\r\nX-Referer: stays\r\nREFERER : b\r\n folded\r\n"
           b"Content-Length: 20\r\nreferer:c\r\n\r\nReferer: in a body\r\n" % PEER.encode())


def vector(s, data):
    """sendmsg() in pieces of every size, also none"""
    cut = [data[i:i + n] for i, n in ((0, 3), (3, 0), (3, 40), (43, 1))] + [data[44:]]
    at = s.sendmsg(cut)
    s.sendall(data[at:])


def written(s, data):
    while data:
        data = data[os.write(s.fileno(), data[:7]):]


def vectored(s, data):
    while data:
        data = data[os.writev(s.fileno(), [data[:5], data[5:17], b"", data[17:50]]):]


def bytewise(s, data):
    for i in range(len(data)):
        s.sendall(data[i:i + 1])


def addressed(s, data):
    while data:
        # An address on a connected stream is not looked at by the kernel
        data = data[s.sendto(data[:100], (PEER, 80)):]


WAYS = {"send": lambda s, d: s.sendall(d), "sendmsg": vector, "write": written, "writev": vectored,
        "bytes": bytewise, "sendto": addressed}


def out():
    for name, way in WAYS.items():
        s = connected()
        for _ in range(2):      # and once more on the same connection
            way(s, REQUEST)
            print(name, text_of(s)[1].decode().split())


def pipeline():
    """Ten requests in one call, and the answers in order"""
    s = connected()
    many = b"".join(b"GET /status/%d HTTP/1.1\r\nHost: %s\r\nReferer: x\r\n\r\n" % (400 + i, PEER.encode())
                    for i in range(10))
    s.sendall(many)
    data = b""
    while data.count(b"status 4") < 10 or not data.endswith(b"\n"):
        data += more(lambda: s.recv(100))
    print(*[line.split()[1].decode() for line in data.split(b"\n") if line.startswith(b"HTTP/1.1")])


def into(s, size):
    block = bytearray(size)
    return bytes(block[:s.recv_into(block, size)])


READS = {"recv": lambda s, n: s.recv(n), "read": lambda s, n: os.read(s.fileno(), n),
         "recv_into": into, "recvmsg": lambda s, n: s.recvmsg(n, 100)[0],
         "recvfrom": lambda s, n: s.recvfrom(n)[0]}


def readv(s, size):
    blocks = [bytearray(1), bytearray(0), bytearray(size), bytearray(3)]
    got = os.readv(s.fileno(), blocks)
    return b"".join(blocks)[:got]


def read():
    """BOM and charset, by every call, in buffers of every size, waiting by poll() each time"""
    for name, call in {**READS, "readv": readv}.items():
        for size in (1, 2, 7, 100, 4096, 100000):
            s = connected(blocking=False)
            poll = select.poll()
            poll.register(s, select.POLLIN)
            for target in (b"/json?bom=2", b"/text/gbk?frame=chunked", b"/charset/gb18030", b"/text/utf-16le"):
                s.setblocking(True)
                s.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, PEER.encode()))
                s.setblocking(False)

                def waited():
                    # What a buffer of a few bytes, or one smaller than a header, leaves is with netleash:
                    # poll() does not know of it, as it does not of what a TLS library keeps.
                    if size < 1000:
                        try:
                            return call(s, size)
                        except BlockingIOError:
                            pass
                    while True:
                        if not poll.poll(5000):
                            raise OSError(errno.ETIME, "stalled")
                        try:
                            return call(s, size)
                        except BlockingIOError:
                            continue

                body = text_of(s, waited)[1]
                print(target.decode(), hashlib.sha256(body).hexdigest()[:12], body[:4].hex())
    print("done")


def peek():
    s = connected()
    s.sendall(b"GET /bom/1 HTTP/1.1\r\nHost: %s\r\n\r\n" % PEER.encode())
    seen = b""
    while not seen.endswith(b"marked\n"):
        seen = s.recv(1000, socket.MSG_PEEK)
    print("peek", seen.count(b"\xef\xbb\xbf"), "read", text_of(s)[1])
    s.sendall(b"GET /bytes/1000 HTTP/1.1\r\nHost: %s\r\n\r\n" % PEER.encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    print("waitall", len(s.recv(1000, socket.MSG_WAITALL)))
    print("empty", outcome(lambda: s.recv(10, socket.MSG_DONTWAIT | socket.MSG_PEEK)),
          outcome(lambda: s.recv(10, socket.MSG_DONTWAIT)))


def upload(size):
    """A body on a socket that takes little at once and does not block: the counts are the program's"""
    data = random.Random(1).randbytes(int(size))
    s = connected(blocking=False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    whole = b"PUT /hash HTTP/1.1\r\nHost: %s\r\nReferer: no\r\nContent-Length: %d\r\n\r\n" % (
        PEER.encode(), len(data)) + data
    at = short = 0
    while at < len(whole):
        piece = whole[at:at + 300000]
        try:
            n = s.send(piece)
        except BlockingIOError:
            select.select([], [s], [])
            continue
        short += n < len(piece)
        assert 0 < n <= len(piece)
        at += n
    s.setblocking(True)
    length, digest = text_of(s)[1].decode().split()
    print("short" if short else "whole", length == size, digest == hashlib.sha256(data).hexdigest())


def chunked():
    c = http.client.HTTPConnection(PEER)
    blocks = [os.urandom(n) for n in (1, 70000, 3, 16384)]
    c.request("POST", "/hash", body=iter(blocks), headers={"Referer": "no"}, encode_chunked=True)
    length, digest = c.getresponse().read().decode().split()
    print(length, digest == hashlib.sha256(b"".join(blocks)).hexdigest())


def files():
    """sendfile() and splice() are refused, and what programs do instead works"""
    with tempfile.TemporaryFile() as file:
        data = os.urandom(200000)
        file.write(data)
        s = connected()
        s.sendall(b"PUT /hash HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n" % (PEER.encode(), len(data)))
        print("sendfile", outcome(lambda: os.sendfile(s.fileno(), file.fileno(), 0, 100)))
        source, sink = os.pipe()
        os.write(sink, b"x")
        print("splice", outcome(lambda: os.splice(source, s.fileno(), 1)))
        print("splice", outcome(lambda: os.splice(s.fileno(), sink, 1)))
        file.seek(0)
        print("sent", s.sendfile(file))
        length, digest = text_of(s)[1].decode().split()
        print(length, digest == hashlib.sha256(data).hexdigest())


def ended(*paths):
    """How a request on a connection ends: the errno, after how long, and what comes after it"""
    for path in paths:
        s = connected()
        start = time.monotonic()
        s.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path.encode(), PEER.encode()))

        def all_of():
            while more(lambda: s.recv(100)):
                pass

        print(path, outcome(all_of), int((time.monotonic() - start) * 1000), outcome(lambda: s.send(b"x")),
              outcome(lambda: s.recv(1)))


def later():
    """Says "idle" on a kept connection, waits for a line, and asks once more; then again on a new one"""
    c = http.client.HTTPConnection(PEER)
    c.request("GET", "/")
    c.getresponse().read()
    print("idle", flush=True)
    for line in sys.stdin:
        def ask(target):
            c.request("GET", target)
            return str(c.getresponse().status)
        print(line.strip(), outcome(lambda: ask("/status/2" + line.strip())), flush=True)
        c.close()


def raw():
    s = connected(9000)
    for data in (b"hello", b"GET / HTTP/1.1\r\nReferer: stays\r\n\r\n", b"\x00\x01"):
        s.sendall(data)
        print(s.recv(100) == data)
    s = connected(9000)
    s.sendall(b"GE")            # may be a method; in this protocol it is answered
    print(s.recv(100))
    s.sendall(b"T / HTTP/1.1\r\nReferer: stays\r\n\r\n")
    print(s.recv(100))
    print(connected(2525).recv(9))


def bad():
    host = PEER.encode()
    for name, data in {
            "two lengths": b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx" % host,
            "smuggled": b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"0\r\n\r\n" % host,
            "other host": b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
            "its name": b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host}.items():
        s = connected()
        print(name + ":", outcome(lambda: (s.sendall(data), text_of(s)[0].split()[1].decode())[1]))


def websocket():
    s = connected()
    s.sendall(b"GET /ws HTTP/1.1\r\nHost: %s\r\nReferer: no\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % PEER.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(lambda: s.recv(1000))
    print(data.split()[1].decode())
    text = b"GET / HTTP/1.1\r\nReferer: x\r\n\r\n"
    s.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    print(s.recv(1000)[2:] == text)


def tasks():
    """One in flight is the limit: an idle connection is none"""
    ask = b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"
    kept = connected()
    kept.sendall(ask % (b"/status/403", PEER.encode()))
    print("kept", text_of(kept)[0].split()[1].decode())
    first = connected()
    first.sendall(ask % (b"/hang", PEER.encode()))
    print("second", outcome(connected))
    print("request", outcome(lambda: kept.sendall(ask % (b"/status/404", PEER.encode()))))
    first.close()
    third = connected()
    third.sendall(ask % (b"/status/403", PEER.encode()))
    print("third", text_of(third)[0].split()[1].decode())


def numbers():
    """Duplicates, a fork between two requests, and a thread that closes while another one waits"""
    s = connected()
    twin = s.dup()
    ask = b"GET /status/200 HTTP/1.1\r\nHost: %s\r\nReferer: no\r\n\r\n" % PEER.encode()
    s.sendall(ask[:20])
    twin.sendall(ask[20:])
    s.close()
    print("dup", text_of(twin)[1])
    child = os.fork()
    if child == 0:
        twin.sendall(ask)
        print("child", text_of(twin)[1], flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    twin.close()
    s = connected()
    s.sendall(b"GET /hang HTTP/1.1\r\nHost: %s\r\n\r\n" % PEER.encode())
    reader = threading.Thread(target=lambda: print("closed", outcome(lambda: s.recv(1))), daemon=True)
    reader.start()
    s.shutdown(socket.SHUT_RDWR)
    reader.join()
    for _ in range(1500):       # more than there are places: each is given back
        s = connected()
        s.sendall(ask)
        s.recv(10)
        s.close()
    print("many")


def stdio():
    """fdopen(), and what else of stdio writes to a descriptor"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fdopen.restype = ctypes.c_void_p
    ask = b"GET /status/200 HTTP/1.1\r\nHost: %s\r\nReferer: own\r\n\r\n" % PEER.encode()
    for before in (b"", ask):
        s = connected()
        if before:
            s.sendall(before)
            text_of(s)
        file = ctypes.c_void_p(libc.fdopen(s.fileno(), b"w"))
        libc.fputs(ask, file)
        libc.fflush(file)
        print("fdopen", text_of(s)[1])
        print("dprintf", libc.dprintf(s.fileno(), b"%s", ask), errno.errorcode[ctypes.get_errno()])
    s = connected()
    print("dprintf", libc.dprintf(s.fileno(), b"%s", ask), errno.errorcode[ctypes.get_errno()])


globals()[sys.argv[1]](*sys.argv[2:])
