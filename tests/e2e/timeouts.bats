#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The clock of a request that can be read: from its start to the last byte of its answer, with the limit of its
# own class, whoever waits and however the server is slow (policy 5; TLS 12). deadline.bats has the ways of waiting.

bats_require_minimum_version 1.5.0
load lib
load http

LIMIT=1500		# ms

setup() {
	fresh
	limits "$LIMIT" "$LIMIT" "$LIMIT" "$LIMIT"
}

# limits REQUEST SOCKET UPLOAD DOWNLOAD
limits() {
	lists "networkTimeout: { request = $1; connectSocket = $2; uploadFile = $3; downloadFile = $4; };"
}

# late MS [LIMIT]: it ended at its time. That it ends on the millisecond is deadline.bats' affair; not before, and
# long before anything else would have ended it
late() {
	echo "$1 ms, limit ${2:-$LIMIT}"
	[ "$1" -ge $((${2:-$LIMIT} - 10)) ] && [ "$1" -le $((${2:-$LIMIT} + 3000)) ]
}

# said WHAT [API]: one line of ours says so
said() {
	grep -E "^netleash: [^ ]+\[[0-9]+\]: ${2:-request} .* ended: ${2:-request}:fail timeout \(rule $1\): after [0-9]+ ms: " <<< "$output"
}

# What is asked for, however the program waits; prints WAY, the error, milliseconds since the call
cat_ways() {
	cat > ways.py <<-'END'
		import asyncio, os, select, socket, ssl, sys, time
		path = sys.argv[2]
		host = os.environ.get("NAME", "api.example.com")
		port = int(os.environ.get("PORT", "443"))
		request = b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path.encode(), host.encode())
		context = ssl.create_default_context()
		start = time.monotonic()
		def dial(**options):
		    s = context.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
		    for name, value in options.items():
		        s.setsockopt(socket.SOL_SOCKET, name, value)
		    s.sendall(request)
		    return s
		def blocking():
		    s = dial()
		    while s.recv(100): pass
		def waiting(wait):
		    s = dial()
		    s.setblocking(False)
		    while True:
		        if not s.pending(): wait(s)
		        try:
		            if not s.recv(100): return
		        except ssl.SSLWantReadError: pass
		def by_poll():
		    def wait(s):
		        p = select.poll()
		        p.register(s, select.POLLIN)
		        assert p.poll(30000), "stalled"
		    waiting(wait)
		def by_select():
		    waiting(lambda s: select.select([s], [], [], 30)[0] or sys.exit("stalled"))
		def by_epoll():
		    e = select.epoll()
		    def wait(s):
		        try: e.register(s, select.EPOLLIN)
		        except FileExistsError: pass
		        assert e.poll(30), "stalled"
		    waiting(wait)
		def by_asyncio():
		    async def go():
		        reader, writer = await asyncio.open_connection(host, port, ssl=context)
		        writer.write(request)
		        while await reader.read(100): pass
		    asyncio.run(asyncio.wait_for(go(), 30))
		def memory():
		    sock = socket.create_connection((host, port))
		    i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
		    tls = context.wrap_bio(i, o, server_hostname=host)
		    def run(call, *args):
		        while True:
		            try: return call(*args)
		            except ssl.SSLWantReadError:
		                sock.sendall(o.read())
		                data = sock.recv(3000)
		                if data: i.write(data)
		                else: i.write_eof()
		    run(tls.do_handshake)
		    tls.write(request)
		    while run(tls.read, 100): pass
		try:
		    {"blocking": blocking, "poll": by_poll, "select": by_select, "epoll": by_epoll, "asyncio": by_asyncio,
		     "memory": memory}[sys.argv[1]]()
		    what = "END"
		except (OSError, asyncio.IncompleteReadError) as e:
		    what = "%s" % type(e).__name__
		print(sys.argv[1], what, int((time.monotonic() - start) * 1000))
	END
}

@test "a byte now and then is no reprieve: a stream is cut at the limit, in every way of waiting" {
	cat_ways
	local way what ms
	for way in blocking poll select epoll asyncio memory; do
		under "$PY" ways.py $way /drip/60/0.25
		read -r _ what ms < <(grep "^$way " <<< "$output")
		[ "$what" != END ]
		late "$ms"
		said networkTimeout
		[ "$(grep -c '"event":"timeout".*"reason":"timeout".*"errno":110' events)" -eq 1 ]
	done
	under curl -sS https://api.example.com/drip/60/0.25
	[ "$status" -eq 56 ]
	[[ $output == *"timed out"* ]]
	# A stream that ends in time
	pass "$PY" ways.py asyncio /drip/8/0.05
	pass curl -sS https://api.example.com/drip/8/0.05
	[[ $output == *........* ]]
}

@test "a silent server, one that never says hello, one that nobody accepts for" {
	cat_ways
	local way row what ms
	for way in blocking poll epoll asyncio memory; do
		for row in 443=/hang 4434=/ 4435=/; do
			PORT=${row%=*} under "$PY" ways.py $way "${row#*=}"
			read -r _ what ms < <(grep "^$way " <<< "$output")
			[ "$what" != END ]
			late "$ms"
			said networkTimeout
		done
	done
	pass "$PY" ways.py blocking /status/404 || [ "$status" -eq 0 ]
}

@test "openssl s_client, which reads by its library, and plain stdio behind it" {
	local start=${EPOCHREALTIME/./}
	under bash -c '{ printf "GET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\n"; sleep 20 & echo $! > sleeper; wait; } |
		{ openssl s_client -quiet -connect api.example.com:443 -servername api.example.com 2>&1; kill "$(cat sleeper)"; }'
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout
}

@test "each class has its own limit: request, uploadFile, downloadFile, connectSocket" {
	limits 30000 30000 "$LIMIT" 30000
	local start=${EPOCHREALTIME/./}
	under curl -sS -F "file=@$POLICY" https://up.example.com/hang
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout uploadFile
	# The class of a multipart form is known when its first part is: until then the longest counts.
	start=${EPOCHREALTIME/./}
	under curl -sS -F "file=@$POLICY" https://cdn.example.com/hang
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout uploadFile
	limits 30000 30000 30000 "$LIMIT"
	start=${EPOCHREALTIME/./}
	under curl -sS https://list.example.com/drip/60/0.25
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout downloadFile
	limits "$LIMIT" 30000 30000 30000
	start=${EPOCHREALTIME/./}
	under curl -sS https://cdn.example.com/hang
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout request
	limits 30000 "$LIMIT" 30000 30000
	pass curl -sS https://cdn.example.com/slow/2.5
	start=${EPOCHREALTIME/./}
	under "$PY" -c '
import socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
s.sendall(b"GET /nosocket HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nContent-Length: 9\r\n\r\n")
s.recv(100)'
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	said networkTimeout connectSocket
}

@test "an open WebSocket has no limit; only its handshake has" {
	under "$PY" -c '
import socket, ssl, time
s = ssl.create_default_context().wrap_socket(socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
s.sendall(b"GET / HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
f = s.makefile("rb")
while f.readline() != b"\r\n": pass
for i in range(2):
    time.sleep(2)
    s.sendall(b"\x81\x82\0\0\0\0h%d" % i)
    print(f.read(4))
'
	[ "$status" -eq 0 ]
	[[ $output == *"h0'"*"h1'"* ]]
	[[ $output != *ended* ]]
}

@test "a kept-alive connection: each request has its own time, the pause between them counts for nothing" {
	under "$PY" -c '
import http.client, time
c = http.client.HTTPSConnection("api.example.com")
for path in "/slow/0.8", "/slow/0.8", "/slow/0.8":
    c.request("GET", path)
    print(c.getresponse().read())
time.sleep(2)
c.request("GET", "/")
print(c.getresponse().read())
start = time.monotonic()
c.request("GET", "/hang")
try:
    print("got", c.getresponse().status)
except OSError as e:
    print("ms", int((time.monotonic() - start) * 1000))
'
	[ "$(grep -c 'slow 0.8' <<< "$output")" -eq 3 ]
	[[ $output == *"hello from web"* ]]
	late "$(sed -n 's/^ms //p' <<< "$output")"
	[ "$(lab count web '"event":"accept"')" -eq 1 ]
}

@test "pipelined requests have a clock each; the first that is over ends the connection" {
	local start=${EPOCHREALTIME/./}
	printf 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n' > in
	under bash -c 'talk api.example.com < in'
	late $(((${EPOCHREALTIME/./} - start) / 1000))
	[[ $output == *"hello from web"* ]]
	said networkTimeout
	[ "$(grep -c '"event":"request".*"status":200,"outcome":"success"' events)" -eq 1 ]
}

@test "the program's own SO_RCVTIMEO wins, and game.json's time counts below the policy's" {
	cat > own.py <<-'END'
		import socket, ssl, struct, sys, time
		raw = socket.create_connection(("api.example.com", 443))
		if sys.argv[1] != "0":
		    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(sys.argv[1]), 0))
		s = ssl.create_default_context().wrap_socket(raw, server_hostname="api.example.com")
		s.sendall(b"GET /drip/90/0.2 HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
		start = time.monotonic()
		try:
		    while s.recv(100): pass
		    print("END")
		except OSError as e:
		    print("ms", int((time.monotonic() - start) * 1000))
	END
	under "$PY" own.py 3
	late "$(sed -n 's/^ms //p' <<< "$output")" 2800
	said SO_RCVTIMEO
	under "$PY" own.py 0
	late "$(sed -n 's/^ms //p' <<< "$output")" $((LIMIT - 300))
	said networkTimeout
	mkdir game
	echo '{ "networkTimeout": { "request": 2500 } }' > game/game.json
	echo '{ "appid": "wx0123456789abcdef" }' > game/project.config.json
	lists
	local start=${EPOCHREALTIME/./}
	run timeout 30 "$NETLEASH" run -p "$POLICY" --project game --no-summary -- curl -sS https://api.example.com/drip/90/0.2
	late $(((${EPOCHREALTIME/./} - start) / 1000)) 2500
	said networkTimeout
}

@test "nothing lasts beyond a minute: more in the file is a warning and counts as 60000" {
	lists 'networkTimeout: { request = 600000; };'
	run "$NETLEASH" check "$POLICY"
	[ "$status" -eq 0 ]
	[[ $output == *60000* ]]
}
