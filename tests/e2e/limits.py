# SPDX-License-Identifier: MIT
"""Tasks in flight, for limits.bats.

    limits.py hold N                     N requests in flight until its input ends; says "held N"
    limits.py spread P N CMD [ARG ...]   P processes that hold N each, then CMD; its status is ours
    limits.py beside N CMD [ARG ...]     one process that holds one, and N - 1 here; says "held N", then does
                                         what it reads: "start" CMD, "close" one of ours, "kill" that process
    limits.py sockets N                  N WebSockets, one after the other; the last is closed and N + 1 tried
    limits.py keep                       eleven connections that were idle, all with a request, then a new one
    limits.py dial WAY [HOST [PATH]]     one more: says how it went, as "ok 200" or the name of an errno.
                                         WAY: blocking, poll (a socket with a timeout), signal (a handler runs
                                         while it waits)
    limits.py many N [PATH]              N at once in one thread, by asyncio: says "ok N", or what went wrong
    limits.py tcp N                      N raw connections, one after the other
    limits.py exec                       holds a request, becomes another program, and then dials
"""

import asyncio
import errno
import http.client
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

API, PLAY, RAW = "api.example.com", "play.example.com", ("raw.example.com", 9000)
context = ssl.create_default_context()


def name_of(error):
    """OpenSSL tells of an error of its socket, which Python has no words for."""
    if isinstance(error, ssl.SSLError):
        return "refused" if "[SYS]" in str(error) else str(error)
    return errno.errorcode.get(error.errno, str(error))


def tell(text):
    """In one write: several processes speak at once"""
    os.write(1, text.encode() + b"\n")


def request(host, path, extra=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode()


UPGRADE = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")


def opened(host, seconds=0, port=443):
    """A blocking connection; seconds: its own limit, by SO_RCVTIMEO"""
    address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    raw = socket.socket()
    if seconds:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
    raw.connect(address)
    return raw


def secured(host, seconds=0):
    return context.wrap_socket(opened(host, seconds), server_hostname=host)


def head(tls):
    text = b""
    while b"\r\n\r\n" not in text:
        more = tls.recv(4096)
        if not more:
            raise OSError(errno.ENODATA, "closed")
        text += more
    return text.split()[1].decode()


def held_here(count, host=API, path="/hang"):
    held = []
    for _ in range(int(count)):
        held.append(secured(host, 60))
        held[-1].sendall(request(host, path))
    return held


def hold(count):
    held = held_here(count)
    print("held", len(held), flush=True)
    sys.stdin.read()


def holder(count):
    child = subprocess.Popen([sys.executable, __file__, "hold", str(count)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == f"held {count}\n"
    return child


def beside(count, *command):
    other = holder(1)
    held = held_here(int(count) - 1)
    started = None
    print("held", count, flush=True)
    for line in sys.stdin:
        if line == "start\n":
            started = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        elif line == "close\n":
            held.pop().close()
            print("closed", flush=True)
        elif line == "kill\n":
            other.kill()        # and nobody waits for it yet
            print("killed", flush=True)
    status = started.wait()
    other.stdin.close()
    other.wait()
    sys.exit(status)


def sockets(count):
    held = []

    def one():
        try:
            tls = secured(PLAY)
            tls.sendall(request(PLAY, "/", UPGRADE))
            print("ok", head(tls))
            held.append(tls)
        except OSError as error:
            print(name_of(error))

    for _ in range(int(count)):
        one()
    held.pop().close()
    one()


def keep():
    kept = [http.client.HTTPSConnection(API) for _ in range(11)]
    for connection in kept:
        connection.request("GET", "/")
        connection.getresponse().read()
    print("idle", len(kept))
    for connection in kept[:10]:
        connection.request("GET", "/hang")
    try:
        kept[10].request("GET", "/status/404")
        print("ok", kept[10].getresponse().status)
    except OSError as error:
        print(name_of(error))
    kept[0].close()
    late = http.client.HTTPSConnection(API)
    late.request("GET", "/status/403")
    print("late", late.getresponse().status)


def spread(processes, each, *command):
    children = [holder(each) for _ in range(int(processes))]
    os.environ["HOLDER"] = str(children[0].pid)
    status = subprocess.run(command).returncode
    # It is not waited for before: whoever was killed is a zombie until here.
    for child in children:
        child.stdin.close()
        child.wait()
    sys.exit(status)


def dial(way, host=API, path="/"):
    start = time.monotonic()
    try:
        if way == "signal":
            signal.signal(signal.SIGALRM, lambda *_: print("alarm", flush=True))
            signal.setitimer(signal.ITIMER_REAL, 0.2)
        if way == "poll":
            raw = socket.create_connection((host, 443), timeout=60)
            tls = context.wrap_socket(raw, server_hostname=host)
        else:
            tls = secured(host)
        tls.sendall(request(host, path))
        tell(f"ok {head(tls)}")
    except OSError as error:
        tell(f"{name_of(error)} {int((time.monotonic() - start) * 1000)}")
        sys.exit(1)


async def one(path):
    reader, writer = await asyncio.open_connection(API, 443, ssl=context)
    writer.write(request(API, path, "Connection: close\r\n"))
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.split()[1]


async def all_of(count, path):
    done = await asyncio.gather(*[one(path) for _ in range(count)], return_exceptions=True)
    for answer in done:
        if answer != b"200":
            print(repr(answer))
    print("ok", done.count(b"200"))


def tcp(count):
    kept = []
    for _ in range(int(count)):
        try:
            kept.append(opened(RAW[0], port=RAW[1]))
            kept[-1].sendall(b"x")
            kept[-1].recv(1)
            print("ok")
        except OSError as error:
            print(name_of(error))


def become():
    held = [secured(API, 60) for _ in range(2)]
    for tls in held:
        tls.sendall(request(API, "/hang"))
    os.execv(sys.executable, [sys.executable, __file__, "dial", "blocking"])


def main():
    what, *args = sys.argv[1:]
    if what == "many":
        asyncio.run(all_of(int(args[0]), args[1] if len(args) > 1 else "/slow/0.3"))
    else:
        {"hold": hold, "sockets": sockets, "spread": spread, "beside": beside, "dial": dial, "keep": keep,
         "tcp": tcp, "exec": become}[what](*args)


main()
