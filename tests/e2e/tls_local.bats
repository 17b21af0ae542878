#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# TLS whose hello leaves by no connection that was judged: over a local socket, a pipe or memory it is the
# program's own affair; where it can only have travelled inside of another TLS it is refused (design: TLS 3).

bats_require_minimum_version 1.5.0
load lib

PY=/usr/bin/python3

setup() {
	lab reset-logs
	cd "$BATS_TEST_TMPDIR"
	[ -x "$PY" ] || skip "no $PY"
	policy game
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=own -keyout own.key -out own.pem \
		-addext subjectAltName=DNS:own.example.net 2> own.log
	cat > inner.py <<-'END'
		import asyncio, os, socket, ssl, struct, sys, threading

		def contexts():
		    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		    server.load_cert_chain("own.pem", "own.key")
		    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
		    client.check_hostname = False
		    client.verify_mode = ssl.CERT_NONE
		    return client, server

		def tell(what, step):
		    try:
		        print(what, step(), flush=True)
		    except ssl.SSLError as e:
		        print(what, type(e).__name__, getattr(e, "verify_code", ""), flush=True)

		# A local socket pair, a thread as the server
		def pair():
		    client, server = contexts()
		    a, b = socket.socketpair()
		    def serve():
		        try:
		            with server.wrap_socket(b, server_side=True) as tls:
		                tls.sendall(tls.recv(100).upper())
		        except (OSError, ssl.SSLError):
		            b.close()
		    thread = threading.Thread(target=serve)
		    thread.start()
		    try:
		        with client.wrap_socket(a, server_hostname="own.example.net") as tls:
		            tls.sendall(b"text")
		            return tls.recv(100).decode()
		    finally:
		        a.close()
		        thread.join()

		# Memory alone; CARRY takes each flight to the other end
		def memory(carry=lambda data: data):
		    client, server = contexts()
		    ends = []
		    for context, how in (client, {"server_hostname": "own.example.net"}), (server, {"server_side": True}):
		        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
		        ends.append((context.wrap_bio(come, go, **how), come, go))
		    def move(source, sink):
		        data = source[2].read()
		        if data:
		            sink[1].write(carry(data))
		        return bool(data)
		    done = [False, False]
		    while not all(done):
		        for i, end in enumerate(ends):
		            try:
		                end[0].do_handshake()
		                done[i] = True
		            except ssl.SSLWantReadError:
		                pass
		            finally:
		                move(end, ends[1 - i])
		    ends[0][0].write(b"text")
		    move(*ends)
		    return ends[1][0].read(100).decode().upper()

		# Verified TLS to a listed name, and in it WebSocket messages, which come back as they are
		class Outer:
		    def __init__(self, host):
		        raw = socket.create_connection((host, 443))
		        self.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
		        self.sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		                          b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
		                          % host.encode())
		        self.file = self.sock.makefile("rb")
		        if b" 101 " not in self.file.readline():
		            sys.exit("no WebSocket")
		        while self.file.readline().strip():
		            pass
		    def carry(self, data):
		        self.sock.sendall(struct.pack(">BBH4s", 0x82, 0xfe, len(data), bytes(4)) + data)
		        size = self.file.read(2)[1]
		        if size == 126:
		            size = struct.unpack(">H", self.file.read(2))[0]
		        return self.file.read(size)
		    def close(self):
		        self.file.close()
		        self.sock.close()
	END
}

@test "over a socket pair and over memory: works, whatever the certificate, and says nothing" {
	cat > local.py <<-'END'
		from inner import *
		tell("pair", pair)
		tell("memory", memory)
	END
	"$PY" local.py > without
	[ "$(cat without)" = $'pair TEXT\nmemory TEXT' ]
	leashed "$PY" local.py > with 2>&1
	diff without with
}

@test "inside a verified connection: refused; the outer one works, and so does what is local" {
	cat > tunnel.py <<-'END'
		from inner import *
		tell("before", memory)
		outer = Outer("play.example.com")
		tell("outer", lambda: outer.carry(b"text").decode())
		tell("tunnel", lambda: memory(outer.carry))
		tell("pair", pair)
		tell("outer again", lambda: outer.carry(b"text").decode())
		outer.close()
		tell("after", memory)
	END
	"$PY" tunnel.py > without
	[ "$(grep -c -E '^(before|tunnel|pair|after) TEXT$' without)" -eq 4 ]
	run leashed "$PY" tunnel.py
	echo "$output"
	grep -x 'before TEXT' <<< "$output"
	grep -x 'outer text' <<< "$output"
	grep -x 'tunnel SSLCertVerificationError 50' <<< "$output"
	refused name_mismatch | grep -F 'TLS inside TLS'
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	grep -x 'pair TEXT' <<< "$output"
	grep -x 'outer again text' <<< "$output"
	grep -x 'after TEXT' <<< "$output"
}

@test "an unfinished or refused connection is none that could carry it" {
	cat > dead.py <<-'END'
		from inner import *
		sock = socket.create_connection(("play.example.com", 443))
		try:
		    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
		except PermissionError:
		    print("refused", flush=True)
		tell("memory", memory)
	END
	run leashed "$PY" dead.py
	echo "$output"
	refused plaintext
	grep -x 'refused' <<< "$output"
	grep -x 'memory TEXT' <<< "$output"
}

@test "over pipes, beside a verified connection" {
	"$SNIP/tls_pipe" own.pem own.key api.example.com 443 > without
	[ "$(cat without)" = $'outer up\npipe TEXT' ]
	leashed "$SNIP/tls_pipe" own.pem own.key api.example.com 443 > with 2>&1
	diff without with
}

@test "GnuTLS: the same by a descriptor; what the program moves itself needs that nothing could carry it" {
	"$SNIP/tls_gnutls_pair" own.pem own.key api.example.com 443 > without || [ $? -ne 77 ] || skip "no libgnutls"
	[ "$(cat without)" = $'outer up\npair TEXT\nmemory TEXT' ]
	run -0 leashed "$SNIP/tls_gnutls_pair" own.pem own.key
	[ "$output" = $'pair TEXT\nmemory TEXT' ]
	run leashed "$SNIP/tls_gnutls_pair" own.pem own.key api.example.com 443
	echo "$output"
	grep -x 'outer up' <<< "$output"
	grep -x 'pair TEXT' <<< "$output"
	grep -xE 'memory failed -[0-9]+' <<< "$output"
	refused name_mismatch | grep -F 'TLS inside TLS'
}
