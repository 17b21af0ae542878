#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# lab: alone
# What is in flight ends when the grace does, in whatever call the program waits for it: at the most 50 ms later, with
# ECONNABORTED, once. The program measures it itself: it notes when it went to the background, and when its call failed.
# A busy machine is no fault of ours: what counts is the median of five; the figures are printed.

bats_require_minimum_version 1.5.0
load lib
load away

GRACE=200	# ms
LATE=50		# ms

setup() {
	away_setup
}

# late LABEL PATTERN CMD …: five runs of CMD; each says a line that PATTERN (a regular expression) fits, with "late US"
# behind it, and the median is at most LATE
late() {
	local label=$1 pattern=$2 us=() median line
	shift 2
	for _ in 1 2 3 4 5; do
		run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- "$@"
		line=$(grep -Ex "$pattern late -?[0-9]+" <<< "$output") || {
			echo "$label: no line \"$pattern late US\":"
			echo "$output"
			return 1
		}
		us+=("${line##* }")
		# Not before: what takes 4.9 s of 5 is untouched.
		[ "${us[-1]}" -ge 0 ] || {
			echo "$label: ${us[-1]} us before the end of the grace"
			return 1
		}
	done
	mapfile -t us < <(printf '%s\n' "${us[@]}" | sort -n)
	median=${us[2]}
	echo "# $label: $((median / 1000)).$((median / 100 % 10)) ms late, at the most $((us[4] / 1000)).$((us[4] / 100 % 10))" >&3
	[ "$median" -le $((LATE * 1000)) ] || {
		echo "$label: late by ${us[*]} us"
		return 1
	}
}

@test "read, readv, recv, recvfrom, recvmsg, a peek, poll, select, epoll of both kinds, syscall()" {
	for way in read readv recv recvfrom recvmsg peek poll select epoll epollet syscall; do
		late "$way" "$way ECONNABORTED [0-9]+" "$SNIP/time_wait" "$way" "$PEER" 80 away=$GRACE
		# It stays so, and the line is told.
		[ "$(grep -c '^then-.* ECONNABORTED' <<< "$output")" -eq 2 ]
		grep -Eq "request .*$PEER.* ended: request:fail interrupted \(rule background\): after" <<< "$output"
	done
	# stdio is woken as well; libc sees an end of file there.
	late stdio "stdio eof [0-9]+" "$SNIP/time_wait" stdio "$PEER" 80 away=$GRACE
}

@test "another thread that waits; a child that does, its parent gone, or asleep without the descriptor" {
	for way in read poll epoll; do
		for who in thread fork lend; do
			late "$way, $who" "$way ECONNABORTED [0-9]+" "$SNIP/time_wait" "$way" "$PEER" 80 away=$GRACE $who
		done
	done
}

@test "a blocked writer" {
	python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
kept = [s.accept() for _ in range(5)]
time.sleep(60)' > port 3>&- &
	local job=$!
	for _ in $(seq 200); do [ -s port ] && break; sleep 0.02; done
	late write "write ECONNABORTED [0-9]+" "$SNIP/time_wait" write 127.0.0.1 "$(cat port)" away=$GRACE || {
		kill $job
		return 1
	}
	kill $job
}

@test "a connect() that never completes, blocking and not" {
	for way in connect nbconnect connect2; do
		late "$way" "$way ECONNABORTED [0-9]+" sh -c "
			python3 -c 'import socket; socket.getaddrinfo(\"blackhole.example.com\", 443)'
			exec $SNIP/time_wait $way $HOLE 443 away=$GRACE"
	done
}

@test "a look-up that is never answered" {
	late "getaddrinfo()" "resolve ECONNABORTED [0-9]+" "$SNIP/time_wait" resolve drop.example.com 443 away=$GRACE
	cat > lookup.py <<-'END'
		import ctypes, socket, sys, threading, time
		def leave():
		    global away
		    away = time.monotonic()
		    ctypes.CDLL(None).netleash_set_background(True)
		threading.Timer(0.1, leave).start()
		try:
		    getattr(socket, sys.argv[1])("drop.example.com", *map(int, sys.argv[3:]))
		except OSError as e:
		    print(type(e).__name__, e.errno, "late", int((time.monotonic() - away) * 1e6) - int(sys.argv[2]) * 1000)
	END
	late "getaddrinfo() in a program with threads" "ConnectionAbortedError 103" python3 lookup.py getaddrinfo $GRACE 443
	late "gethostbyname_r()" "ConnectionAbortedError 103" python3 lookup.py gethostbyname_ex $GRACE
}

@test "SSL_read, SSL_read_ex, SSL_read after poll(), SSL_write: SSL_ERROR_SYSCALL and the errno, once" {
	for port in 4432 4433; do
		for way in read read_ex poll; do
			late "TLS 1.${port: -1} $way" "$way SYSCALL ECONNABORTED" "$SNIP/bg_tls" $way api.example.com $port $GRACE
			# The second call fails too, nothing is tried again.
			grep -Eq '^then (SYSCALL|SSL) ' <<< "$output"
			grep -Eqx '[2-9] calls' <<< "$output"
		done
		# Until the window of a server that reads nothing is full
		late "TLS 1.${port: -1} write" "write SYSCALL ECONNABORTED" "$SNIP/bg_tls" write api.example.com $port $GRACE
		grep -Eq '^then (SYSCALL|SSL) ' <<< "$output"
	done
}

@test "curl, wget: their own words for it, at once" {
	printf '1s background\n' > scenario
	run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary --scenario scenario -- curl -sS https://api.example.com/hang
	echo "$output"
	[ "$status" -eq 56 ]
	[[ "$output" = *"Software caused connection abort"* ]]
	# wget tries again by itself, twenty times unless told: each fails at once, because it is away.
	run timeout 60 "$NETLEASH" run -p "$POLICY" --no-summary --scenario scenario -- \
		wget -q -O /dev/null --tries=3 --waitretry=0 https://api.example.com/hang
	echo "$output"
	[ "$status" -eq 4 ]
	[[ "$output" = *"request:fail interrupted"* ]]
}

@test "asyncio, with TLS and without" {
	cat > async.py <<-'END'
		import asyncio, ctypes, ssl, sys, time
		async def main(host, port, tls, grace):
		    reader, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)
		    writer.write(b"GET /hang HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode())
		    await writer.drain()
		    def leave():
		        nonlocal away
		        away = time.monotonic()
		        ctypes.CDLL(None).netleash_set_background(True)
		    away = 0
		    asyncio.get_running_loop().call_later(0.1, leave)
		    try:
		        print("got", await reader.read(100))
		    except OSError as e:
		        print(type(e).__name__, e.errno, "late", int((time.monotonic() - away - grace / 1000) * 1e6))
		asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "tls", int(sys.argv[4])))
	END
	late asyncio "ConnectionAbortedError 103" python3 async.py "$PEER" 80 plain $GRACE
	late "asyncio, TLS 1.2" "ConnectionAbortedError 103" python3 async.py api.example.com 4432 tls $GRACE
	late "asyncio, TLS 1.3" "ConnectionAbortedError 103" python3 async.py api.example.com 4433 tls $GRACE
}

@test "node: http, https, a look-up" {
	command -v node > /dev/null || skip "no node"
	cat > wait.js <<-'END'
		const [url, grace] = process.argv.slice(2);
		let away;
		require(url.split(":")[0]).get(url).on("error", e =>
			console.log("error", e.code, "late", Math.round((performance.now() - away - grace) * 1000)));
		setTimeout(() => { away = performance.now(); process.kill(process.pid, 34 + 8); }, 300);
	END
	late "node, http" "error ECONNABORTED" node wait.js "http://$PEER/hang" $GRACE
	late "node, https" "error ECONNABORTED" node wait.js "https://api.example.com/hang" $GRACE
	cat > lookup.js <<-'END'
		const grace = +process.argv[2];
		let away;
		require("dns").lookup("drop.example.com", e =>
			console.log("error", e.code, "late", Math.round((performance.now() - away - grace) * 1000)));
		setTimeout(() => { away = performance.now(); process.kill(process.pid, 34 + 8); }, 300);
	END
	late "node, a look-up" "error ECONNABORTED" node lookup.js $GRACE
}

@test "a WebSocket: in C's way, and python's websockets" {
	cat > ws.py <<-'END'
		import asyncio, ctypes, ssl, sys, time, websockets
		async def main(grace):
		    ws = await websockets.connect("wss://play.example.com/", ssl=ssl.create_default_context())
		    await ws.send("hi")
		    print(await ws.recv())
		    away = 0
		    def leave():
		        nonlocal away
		        away = time.monotonic()
		        ctypes.CDLL(None).netleash_set_background(True)
		    asyncio.get_running_loop().call_later(0.1, leave)
		    try:
		        print("got", await ws.recv())
		    except websockets.ConnectionClosed as e:
		        cause = e.__cause__ or e.__context__
		        print(type(e).__name__, getattr(cause, "errno", cause), "late",
		              int((time.monotonic() - away - grace / 1000) * 1e6))
		asyncio.run(main(int(sys.argv[1])))
	END
	late websockets "ConnectionClosedError 103" /usr/bin/python3 ws.py $GRACE
	[[ "$output" = *"connectSocket play.example.com:443"*"ended: connectSocket:fail interrupted"* ]]
	cat > raw.py <<-'END'
		import ctypes, socket, ssl, sys, threading, time
		t = ssl.create_default_context().wrap_socket(socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
		t.sendall(b"GET / HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		t.recv(4096)
		def leave():
		    global away
		    away = time.monotonic()
		    ctypes.CDLL(None).netleash_set_background(True)
		threading.Timer(0.1, leave).start()
		try:
		    print("got", t.recv(10))
		except OSError as e:
		    print(type(e).__name__, e.errno, "late", int((time.monotonic() - away) * 1e6) - int(sys.argv[1]) * 1000)
	END
	# Python 3.11 reads by SSL_read_ex() and does not look at what system error the queue names.
	late "WebSocket, blocking" "(ConnectionAbortedError 103|SSLError 5)" python3 raw.py $GRACE
}

@test "a datagram that is waited for" {
	cat > udp.py <<-'END'
		import ctypes, socket, sys, threading, time
		s = socket.socket(type=socket.SOCK_DGRAM)
		s.sendto(b"x", (sys.argv[1], 9))
		def leave():
		    global away
		    away = time.monotonic()
		    ctypes.CDLL(None).netleash_set_background(True)
		threading.Timer(0.1, leave).start()
		try:
		    print("got", s.recv(10))
		except OSError as e:
		    print(type(e).__name__, e.errno, "late", int((time.monotonic() - away) * 1e6) - int(sys.argv[2]) * 1000)
	END
	late "UDP recv()" "ConnectionAbortedError 103" python3 udp.py "$PEER" $GRACE
}
