#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# lab: alone
# A request that is not finished in its time ends with ETIMEDOUT in the program, however it waits
# (policy 5, hooks.md 1.5, 2.4). Each test has beside it something that is in time, and untouched.

bats_require_minimum_version 1.5.0
load lib

LIMIT=1200	# ms
LATE=50		# a cut is at most so much later (W9); a busy machine is given twice that to say so

setup() {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	PEER=$LAB_PEER_ADDR
	HOLE=198.51.100.20
	config "networkTimeout: { request = $LIMIT; connectSocket = $LIMIT; uploadFile = $LIMIT; downloadFile = $LIMIT; };"
}

# config LINE …: the lists of these tests, and LINEs
config() {
	POLICY=$BATS_TEST_TMPDIR/p.cfg
	{
		cat <<-'END'
			appid = "wx0123456789abcdef";
			domains: {
				request = [ "https://api.example.com", "https://blackhole.example.com",
					"https://drop.example.com", "https://slow.example.com" ];
				socket = [ "wss://play.example.com" ];
				tcp = [ "tcp://raw.example.com" ];
			};
		END
		printf '%s\n' "$@"
	} > "$POLICY"
	export POLICY
}

run_it() {
	"$NETLEASH" run -p "$POLICY" --no-summary "$@"
}

# near MS [LIMIT [START]]: not before its time, and not much later; START is what starting may take
near() {
	[ "$1" -ge $((${2:-$LIMIT} - 10)) ] && [ "$1" -le $((${2:-$LIMIT} + ${3:-0} + 2 * LATE)) ] || {
		echo "$1 ms, expected ${2:-$LIMIT}"
		return 1
	}
}

# ended WAY [LIMIT]: $output says that WAY ended with ETIMEDOUT at its time, and that it stays so
ended() {
	local way errno ms
	read -r way errno ms < <(grep "^$1 " <<< "$output")
	[ "$errno" = ETIMEDOUT ]
	near "$ms" "${2:-}"
	! grep '^then-' <<< "$output" | grep -vq ETIMEDOUT
}

@test "every way of waiting ends with ETIMEDOUT at the limit, and the line says so" {
	for way in read readv recv recvfrom recvmsg peek poll select epoll epollet syscall; do
		run run_it -- "$SNIP/time_wait" $way "$PEER" 80
		echo "$way: $output"
		ended $way
		grep -Eq "^netleash: time_wait\[[0-9]+\]: request (GET )?$PEER:80( /[a-z]*)? ended: request:fail timeout \(rule networkTimeout\): after 1[12][0-9][0-9] ms: " <<< "$output"
	done
	# What is answered in time is not touched, nor told of.
	run run_it -- curl -sS "http://$PEER/slow/0.6"
	[ "$status" -eq 0 ]
	[[ "$output" = *"slow 0.6"* ]]
	[[ "$output" != *ended* ]]
}

@test "plain stdio, which no hook sees, is woken as well" {
	run run_it -- "$SNIP/time_wait" stdio "$PEER" 80
	read -r way how ms < <(grep ^stdio <<< "$output")
	[ "$how" = eof ]
	near "$ms"
}

@test "another thread that waits is woken" {
	run run_it -- "$SNIP/time_wait" read "$PEER" 80 thread
	ended read
}

@test "TLS 1.2 and 1.3: a silent server, and one that answers in time" {
	for port in 4432 4433; do
		local start=${EPOCHREALTIME/./}
		run run_it -- curl -sS "https://api.example.com:$port/hang"
		near $(((${EPOCHREALTIME/./} - start) / 1000)) "$LIMIT" 60
		[ "$status" -eq 56 ]
		[[ "$output" = *"Connection timed out"* ]]
		[[ "$output" = *"request "*"api.example.com:$port (198.51.100.11)"*" ended: request:fail timeout"* ]]
		run run_it -- curl -sS "https://api.example.com:$port/slow/0.4"
		[ "$status" -eq 0 ]
		[[ "$output" = *"slow 0.4"* ]]
	done
	[ "$(lab count web '"target":"/hang"')" -ge 2 ]
}

@test "TLS: an idle kept-alive connection outlives the limit, and works afterwards" {
	for port in 4432 4433; do
		run run_it -- python3 -c '
import http.client, sys, time
c = http.client.HTTPSConnection("api.example.com", int(sys.argv[1]))
for i in range(2):
    c.request("GET", "/")
    print(c.getresponse().read().decode().strip(), c.sock.fileno() > 0)
    if i == 0:
        # A first answer that is as short as a ticket keeps its clock: the second one settles it.
        c.request("GET", "/bytes/3000")
        c.getresponse().read()
        time.sleep(2)
' $port
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$(grep -c "hello from web True" <<< "$output")" -eq 2 ]
		[[ "$output" != *ended* ]]
	done
}

@test "asyncio, asyncio with TLS, and a memory BIO" {
	run run_it -- python3 -c '
import asyncio, socket, ssl, time
async def one(*args, **kwargs):
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(*args, **kwargs)
    writer.write(b"GET /hang HTTP/1.1\r\nHost: %s\r\n\r\n" % args[0].encode())
    try:
        print("got", await reader.read(100))
    except OSError as e:
        print(type(e).__name__, e.errno, int((time.monotonic() - start) * 1000))
async def main():
    await asyncio.gather(one("'"$PEER"'", 80),
                         one("api.example.com", 4432, ssl=ssl.create_default_context()),
                         one("api.example.com", 443, ssl=ssl.create_default_context()))
asyncio.run(main())

start = time.monotonic()
sock = socket.create_connection(("api.example.com", 443))
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = ssl.create_default_context().wrap_bio(i, o, server_hostname="api.example.com")
def pump(call, *args):
    while True:
        try:
            return call(*args)
        except ssl.SSLWantReadError:
            sock.sendall(o.read())
            i.write(sock.recv(65536))
pump(tls.do_handshake)
tls.write(b"GET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
sock.sendall(o.read())
try:
    print("got", pump(tls.read, 100))
except OSError as e:
    print(type(e).__name__, e.errno, int((time.monotonic() - start) * 1000))
'
	echo "$output"
	[ "$(grep -c '^TimeoutError 110 ' <<< "$output")" -eq 4 ]
	while read -r _ _ ms; do
		near "$ms"
	done < <(grep '^TimeoutError 110 ' <<< "$output")
}

@test "node, whose TLS no hook reaches" {
	command -v node > /dev/null || skip "no node"
	run run_it -- node -e '
const https = require("https"), start = Date.now();
https.get("https://api.example.com/slow/0.3", r => { r.resume(); r.on("end", () => console.log("answer", r.statusCode)); });
https.get("https://api.example.com/hang").on("error", e => console.log("error", e.code, Date.now() - start));'
	echo "$output"
	[[ "$output" = *"answer 200"* ]]
	read -r _ code ms < <(grep '^error' <<< "$output")
	[ "$code" = ETIMEDOUT ]
	near "$ms" "$LIMIT" 40
}

# To be allowed to, the name has to be resolved in the session; the address is the black hole's.
with_name() {
	printf "%s" "python3 -c 'import socket; socket.getaddrinfo(\"blackhole.example.com\", 443)'; $*"
}

@test "a connect() that never completes: blocking, by poll and SO_ERROR, by a second connect()" {
	for way in connect nbconnect connect2; do
		run run_it -- sh -c "$(with_name "$SNIP/time_wait" $way $HOLE 443)"
		echo "$output"
		read -r _ errno ms < <(grep "^$way " <<< "$output")
		[ "$errno" = ETIMEDOUT ]
		near "$ms"
		if [ $way = nbconnect ]; then
			# The reason once, then the socket is new.
			grep -qx "then-so-error 0" <<< "$output"
			grep -q "^then-connect EINPROGRESS" <<< "$output"
		fi
	done
	# Refused by the far side, which is an answer.
	run run_it -- "$SNIP/time_wait" connect "$PEER" 9
	[[ "$output" = *"connect ECONNREFUSED "* ]]
	[[ "$output" != *ended* ]]
}

@test "a name server that never answers: getaddrinfo() and gethostbyname() end in time" {
	run run_it -- python3 -c '
import socket, threading, time
def one(call, *args):
    start = time.monotonic()
    try:
        print("got", call(*args))
    except OSError as e:
        print(type(e).__name__, e.errno, int((time.monotonic() - start) * 1000), flush=True)
one(socket.getaddrinfo, "drop.example.com", 443)
one(socket.gethostbyname_ex, "drop.example.com")
# Beside one that is answered meanwhile
other = threading.Thread(target=one, args=(socket.getaddrinfo, "drop.example.com", 443))
other.start()
time.sleep(0.2)
print("slow", socket.gethostbyname("api.example.com"))
other.join()
'
	echo "$output"
	[ "$(grep -cE '^TimeoutError 110 ' <<< "$output")" -ge 2 ]
	[[ "$output" = *"slow 198.51.100.11"* ]]
	[ "$(grep -c 'resolve drop.example.com ended: request:fail timeout' <<< "$output")" -eq 3 ]
	while read -r _ _ ms; do
		near "$ms"
	done < <(grep '^TimeoutError 110 ' <<< "$output")
}

@test "the look-up is part of the request's time" {
	# 2 s of the name server leave 1 s.
	config "networkTimeout: { request = 3000; };"
	run run_it -- python3 -c '
import socket, time
start = time.monotonic()
s = socket.create_connection(("slow.example.com", 443))
print("connected", int((time.monotonic() - start) * 1000))
try:
    print("got", s.recv(10))
except OSError as e:
    print(e.errno, int((time.monotonic() - start) * 1000))
'
	echo "$output"
	read -r errno ms < <(grep '^110' <<< "$output")
	near "$ms" 3000
}

@test "the program's own limit wins, the largest of several, and from the start of the request" {
	for row in "rcvtimeo=500:500" "sndtimeo=600:600" "rcvtimeo=500 sndtimeo=700:700" \
		"usertimeout=800:800" "late=650:650" "rcvtimeo=2000:2000" "set=550:550" \
		"set=700 rcvtimeo=300:700"; do
		# shellcheck disable=SC2086
		run run_it -- "$SNIP/time_wait" poll "$PEER" 80 ${row%:*}
		echo "$row: $output"
		ended poll "${row#*:}"
	done
	[[ "$output" = *"(rule netleash_set_timeout())"* ]]
	[[ "$output" = *"set 0"* ]]
	run run_it -- "$SNIP/time_wait" poll "$PEER" 80 rcvtimeo=500
	[[ "$output" = *"(rule SO_RCVTIMEO)"* ]]
}

@test "game.json's networkTimeout counts, and the policy's over it" {
	mkdir "$BATS_TEST_TMPDIR/game"
	echo '{ "networkTimeout": { "request": 700 } }' > "$BATS_TEST_TMPDIR/game/game.json"
	echo '{ "appid": "wx0123456789abcdef" }' > "$BATS_TEST_TMPDIR/game/project.config.json"
	config
	run run_it --project "$BATS_TEST_TMPDIR/game" -- "$SNIP/time_wait" poll "$PEER" 80
	echo "$output"
	ended poll 700
	config "networkTimeout: { request = 900; };"
	run run_it --project "$BATS_TEST_TMPDIR/game" -- "$SNIP/time_wait" poll "$PEER" 80
	ended poll 900
}

@test "a WebSocket is timed until its answer only, and with its own limit" {
	config "networkTimeout: { request = 5000; connectSocket = $LIMIT; };"
	cat > "$BATS_TEST_TMPDIR/ws.py" <<-'END'
		import socket, ssl, sys, time
		start = time.monotonic()
		tls = ssl.create_default_context().wrap_socket(
		    socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
		tls.sendall(b"GET / HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		print(tls.recv(4096).split(b"\r\n")[0].decode())
		time.sleep(2.5)
		tls.sendall(b"\x81\x82\0\0\0\0hi")
		print("got", tls.recv(100))
	END
	run run_it -- python3 "$BATS_TEST_TMPDIR/ws.py"
	echo "$output"
	[[ "$output" = *"101 Switching Protocols"*"got b'\x81\x02hi'"* ]]
	[[ "$output" != *ended* ]]
	# The server waits for the rest of a request that does not come.
	cat > "$BATS_TEST_TMPDIR/half.py" <<-'END'
		import errno, socket, ssl, time
		start = time.monotonic()
		tls = ssl.create_default_context().wrap_socket(
		    socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
		tls.sendall(b"GET / HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\n")
		try:
		    print("got", tls.recv(100))
		except OSError as e:
		    print("ended", int((time.monotonic() - start) * 1000))
	END
	run run_it -- python3 "$BATS_TEST_TMPDIR/half.py"
	echo "$output"
	near "$(sed -n 's/^ended //p' <<< "$output")"
	[[ "$output" = *"connectSocket "*"play.example.com:443"*"ended: connectSocket:fail timeout"* ]]
}

@test "raw TCP has a limit for connect() alone" {
	run run_it -- python3 -c '
import socket, time
for host, port in (("raw.example.com", 9000), ("'"$PEER"'", 9000)):
    s = socket.create_connection((host, port))
    time.sleep(1.8)
    s.sendall(b"one")
    print(s.recv(10))
    time.sleep(1.8)
    s.sendall(b"two")
    print(s.recv(10))
'
	echo "$output"
	[ "$(grep -c "b'one'" <<< "$output")" -eq 2 ]
	[ "$(grep -c "b'two'" <<< "$output")" -eq 2 ]
	[[ "$output" != *ended* ]]
}

@test "the event: what, whom, the platform's words and number, how long" {
	run run_it --events "$BATS_TEST_TMPDIR/e.jsonl" -- curl -sS https://api.example.com/hang
	python3 - "$BATS_TEST_TMPDIR/e.jsonl" <<-'END'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1])]
		ends = [e for e in events if e["event"] == "timeout"]
		assert len(ends) == 1, events
		e = ends[0]
		assert (e["host"], e["port"], e["errMsg"], e["reason"], e["errno"], e["verdict"]) == \
		       ("api.example.com", 443, "request:fail timeout", "timeout", 110, "refused"), e
		assert e["rule"] == "networkTimeout" and e["hint"].startswith("after 12"), e
	END
	# The summary counts it with its host.
	run "$NETLEASH" run -p "$POLICY" -- curl -sS https://api.example.com/hang
	[[ "$output" = *"1 timeout"* ]]
}

@test "audit ends nothing, and records it" {
	run run_it --audit --events "$BATS_TEST_TMPDIR/e.jsonl" -- curl -sS "http://$PEER/slow/1.8"
	[[ "$output" = *"slow 1.8"* ]]
	grep -q '"event":"timeout".*"verdict":"would_refuse"' "$BATS_TEST_TMPDIR/e.jsonl"
}

@test "the watcher: none before, one during, gone after; unshare() works around it" {
	run run_it -- "$SNIP/time_thread" count "$PEER" 80
	echo "$output"
	[[ "$output" = *"before 1"*"during 2"*"answer ok"*"after 1"* ]]
	[ "$(grep -c "unshare ok" <<< "$output")" -eq 2 ]
}

@test "the watcher does not keep a process whose main() left by pthread_exit(), nor its SIGTERM" {
	local start=${EPOCHREALTIME/./}
	config "networkTimeout: { request = 30000; };"
	run timeout 10 "$NETLEASH" run -p "$POLICY" --no-summary -- "$SNIP/time_thread" exit "$PEER" 80
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" = *exit* ]]
	[ $((${EPOCHREALTIME/./} - start)) -lt 3000000 ]
}

@test "no signal of the program lands on the watcher, and setgid() comes back" {
	config "networkTimeout: { request = 8000; };"
	run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- "$SNIP/time_thread" signal "$PEER" 80
	echo "$output"
	[[ "$output" = *"threads 2, arrived many, elsewhere 0"* ]]
	run timeout 5 "$NETLEASH" run -p "$POLICY" --no-summary -- "$SNIP/time_thread" setuid "$PEER" 80
	[[ "$output" = *"threads 2"*"setgid 0"* ]]
}

@test "a program that gives up root takes the watcher along" {
	[ "$(id -u)" -eq 0 ] || skip "needs another user to become"
	need_another_user
	config "networkTimeout: { request = 5000; };"
	run run_it -- "$SNIP/time_thread" follow "$PEER" 80
	echo "$output"
	[[ "$output" = *"threads 2"*"identities 1, the last 1"*"answer ETIMEDOUT"* ]]
}

@test "a program of one thread keeps its table of descriptors to itself; one that makes threads later is served on" {
	config "networkTimeout: { request = 1500; };"
	if [ "$(uname -m)" = x86_64 ]; then
		run run_it -- "$SNIP/time_thread" table "$PEER" 80
		echo "$output"
		[[ "$output" = *"main the program's"* ]]
		[[ "$output" = *"other its own"* ]]
	fi
	run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- "$SNIP/time_thread" later "$PEER" 80
	echo "$output"
	[[ "$output" = *"threads 2"* ]]
	[[ "$output" = *"main has left"*"answer ETIMEDOUT"* ]]
}

@test "without a thread there is no connection, and the line says why" {
	lab reset-logs
	run run_it -- "$SNIP/time_thread" cannot "$PEER" 80
	echo "$output"
	[[ "$output" = *"connect ENOBUFS"* ]]
	[[ "$output" = *"refused: resource"*"cannot be started"* ]]
	lab unseen peer '"event":"accept"'
	run run_it -- "$SNIP/time_thread" cannot "$PEER" 80 "but can"
	[[ "$output" = *"answer ok"* ]]
}

@test "a child has its parent's deadline, also when the parent is gone; so has a daemon, and a program after exec its own" {
	run run_it -- "$SNIP/time_wait" read "$PEER" 80 fork
	echo "$output"
	ended read
	run run_it -- sh -c "( '$SNIP/time_wait' read '$PEER' 80 & ) ; exec '$SNIP/time_wait' recv '$PEER' 80"
	ended recv
	ended read
	run run_it -- python3 -c '
import encodings.idna, os, socket, sys, threading, time
# A threaded parent: eight threads connect while it forks. (The codec of create_connection() is loaded
# before: a fork amid that would leave its import lock held in the child, for ever.)
def busy():
    for _ in range(40):
        s = socket.create_connection(("'"$PEER"'", 80)); s.sendall(b"GET / HTTP/1.0\r\n\r\n"); s.recv(10); s.close()
threads = [threading.Thread(target=busy) for _ in range(8)]
[t.start() for t in threads]
for _ in range(20):
    if os.fork() == 0:
        start = time.monotonic()
        s = socket.create_connection(("'"$PEER"'", 80)); s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        try:
            s.recv(10)
            os._exit(1)
        except OSError as e:
            os._exit(0 if e.errno == 110 and time.monotonic() - start < 2 else 2)
bad = sum(os.waitstatus_to_exitcode(os.wait()[1]) != 0 for _ in range(20))
[t.join() for t in threads]
print("bad", bad)
'
	[[ "$output" = *"bad 0"* ]]
}

@test "a number that became another socket's behind our back is left alone" {
	run --separate-stderr run_it -- "$SNIP/time_thread" reuse "$PEER" 80
	echo "$output"
	[ "$output" = "reused often, ended by mistake 0" ]
}

@test "siglongjmp() out of connect(), recv() and getaddrinfo() leaves nothing behind" {
	config "networkTimeout: { request = 400; };"
	run run_it -- "$SNIP/time_thread" jump "$PEER" 80
	echo "$output"
	[[ "$output" = *"answer ok"* ]]
	[[ "$output" != *"not jumped"* ]]
}

@test "10,000 deadlines: no CPU while they wait, and none is late" {
	config "networkTimeout: { request = $LIMIT; };" "limits: { request = 0; };"	# all of them at once
	run --separate-stderr run_it --quiet -- sh -c "$(with_name "$SNIP/time_many" 10000 $HOLE 443 1500)"
	echo "$output"
	[[ "$output" = *"begun 10000"*"threads 2"* ]]
	read -r _ idle < <(grep '^idle' <<< "$output")
	[ "$idle" -lt 15000 ]		# us in 1.5 s: 1 %
	read -r _ count _ late _ errors < <(grep '^ended' <<< "$output")
	[ "$count" -eq 10000 ]
	[ "$errors" -eq 0 ]
	[ "$late" -le $((2 * LATE)) ]
}

@test "a watcher that is held up in the middle of a cut: no closed number is reported by epoll" {
	command -v strace > /dev/null || skip "needs strace"
	config "networkTimeout: { request = $LIMIT; };" "limits: { request = 0; };"
	# Whoever shuts a connection down has another 40 ms until it can go on; the program has the news before.
	run --separate-stderr run_it --quiet -- sh -c "$(with_name strace -f --seccomp-bpf -o "$BATS_TEST_TMPDIR/trace" \
		-e trace=shutdown -e inject=shutdown:delay_exit=40000 "$SNIP/time_many" 20 $HOLE 443 100)"
	echo "$output"
	[[ "$output" = *"ended 20 late "*" errors 0" ]]
	[ "$(grep -c shutdown "$BATS_TEST_TMPDIR/trace")" -ge 20 ]
}

@test "stopped and continued: what is over by then ends at once" {
	config "networkTimeout: { request = 1000; };"
	run_it -- "$SNIP/time_wait" read "$PEER" 80 > "$BATS_TEST_TMPDIR/out" 2>&1 &
	local job=$! pid=
	for _ in $(seq 100); do
		pid=$(pgrep -f "^$SNIP/time_wait" | head -1) && [ -n "$pid" ] && break
		sleep 0.02
	done
	sleep 0.3
	kill -STOP "$pid"
	sleep 1.5
	kill -CONT "$pid"
	wait $job || true
	cat "$BATS_TEST_TMPDIR/out"
	read -r _ errno ms < <(grep '^read ' "$BATS_TEST_TMPDIR/out")
	[ "$errno" = ETIMEDOUT ]
	[ "$ms" -ge 1500 ] && [ "$ms" -le 2300 ]
}
