# SPDX-License-Identifier: MIT
"""dial.py WAY HOST PORT [PLAINTEXT]: a TLS handshake with HOST, or PLAINTEXT and one answer.

WAY: connect, asyncio, nonblock, or fastopen and fastopenmsg: the first bytes with the address.
Ends with 0 if the far side answered, otherwise with 1 and the errno or the error on one line.
"""
import asyncio
import errno
import select
import socket
import ssl
import sys

way, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
text = sys.argv[4].encode().decode("unicode_escape").encode() if len(sys.argv) > 4 else None
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
is_name = host.strip("0123456789abcdefx.:%") != ""
server_name = host.rstrip(".") if is_name else None


def first_bytes(incoming, outgoing):
    """The ClientHello, made without a socket."""
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return tls


def dial():
    if way == "asyncio":
        async def go():
            reader, writer = await asyncio.open_connection(
                host, port, ssl=None if text else context, server_hostname=None if text else server_name or "")
            if text:
                writer.write(text)
                assert await reader.read(1), "closed"
            writer.close()
        return asyncio.run(asyncio.wait_for(go(), 10))
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(10)
    if way in ("fastopen", "fastopenmsg"):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if not text:
            first_bytes(incoming, outgoing)
        data = text or outgoing.read()
        sock.setblocking(True)
        if way == "fastopen":
            sock.sendto(data, socket.MSG_FASTOPEN, address)
        else:
            sock.sendmsg([data[:5], data[5:]], [], socket.MSG_FASTOPEN, address)
        sock.settimeout(10)
        assert sock.recv(1), "closed"
        return None
    if way == "nonblock":
        sock.setblocking(False)
        error = sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            select.select([], [sock], [], 10)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        sock.settimeout(10)
    else:
        sock.connect(address)
    if text is not None:
        sock.sendall(text)
        assert sock.recv(1), "closed"
    else:
        context.wrap_socket(sock, server_hostname=server_name)
    return None


try:
    dial()
except (OSError, AssertionError, asyncio.TimeoutError) as e:
    number = getattr(e, "errno", None)
    print(type(e).__name__, errno.errorcode.get(number, number), e)
    sys.exit(1)
