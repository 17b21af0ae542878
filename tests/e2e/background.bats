#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Background and foreground (policy 7): what is pending has the grace, then fails with ECONNABORTED; what is new fails
# at once; after the return everything works. By page, by signal, by call, by scenario, by job control.

bats_require_minimum_version 1.5.0
load lib
load away

GRACE=1000	# ms

setup() {
	away_setup
	JOB=
}

teardown() {
	[ -z "$JOB" ] || kill "$JOB" 2> /dev/null || true
}

# away [-w PATTERN] -- CMD …: goes to the background when `netleash status` says a line with PATTERN, by default that
# a request or a look-up is under way; then there is a file "left". So a busy machine is only slower.
away() {
	local pattern='^  (request|resolve) ' job turn
	[ "$1" != -w ] || {
		pattern=$2
		shift 2
	}
	rm -f left
	"$NETLEASH" run -p "$POLICY" --no-summary "$@" &
	job=$!
	for turn in $(seq 1000); do
		"$NETLEASH" status 2> /dev/null | grep -Eq -- "$pattern" && break
		kill -0 $job 2> /dev/null || break
		sleep 0.02
	done
	[ "$turn" -lt 1000 ] || echo "status never said $pattern"
	"$NETLEASH" background > /dev/null
	touch left
	wait $job
}

# near MS: what was in flight when the session left had the whole grace. How exactly it ends then is measured
# in background_waits.bats; here a busy machine has all the time.
near() {
	[ "$1" -ge $GRACE ] && [ "$1" -le $((GRACE + 10000)) ] || {
		echo "$1 ms, expected $GRACE at the least"
		return 1
	}
}

# start CMD …: under `netleash run`, beside the test; its output goes to "out", its input comes from $IN
start() {
	"$NETLEASH" run -p "$POLICY" --no-summary "$@" < "${IN:-/dev/null}" > out 2>&1 &
	JOB=$!
}

until_out() {
	for _ in $(seq 200); do
		grep -q "$1" out 2> /dev/null && return
		sleep 0.02
	done
	cat out
	return 1
}

@test "every way of waiting ends with ECONNABORTED when the grace is over" {
	for way in read readv recv recvmsg peek poll select epoll epollet syscall; do
		run away -- "$SNIP/time_wait" $way "$PEER" 80
		echo "$output"
		read -r _ errno ms < <(grep "^$way " <<< "$output")
		[ "$errno" = ECONNABORTED ]
		near "$ms"
		[ "$(grep -c '^then-.* ECONNABORTED' <<< "$output")" -eq 2 ]
		[[ "$output" = *"$PEER"*" ended: request:fail interrupted (rule background): after 1"* ]]
	done
	run away -- "$SNIP/time_wait" stdio "$PEER" 80
	[[ "$output" = *"stdio eof"* ]]
}

@test "a request that finishes within the grace is untouched" {
	run away -- curl -sS "http://$PEER/slow/0.5"
	[ "$status" -eq 0 ]
	[[ "$output" = *"slow 0.5"* ]]
	[[ "$output" != *interrupted* ]]
	# A control: too long is too long.
	run away -- curl -sS "http://$PEER/slow/30"
	[ "$status" -eq 56 ]
	[[ "$output" = *"Software caused connection abort"* ]]
}

@test "a blocked writer gets the errno, and no SIGPIPE that it would not have got" {
	python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
c, _ = s.accept(); time.sleep(30)' > port &
	JOB=$!
	for _ in $(seq 100); do [ -s port ] && break; sleep 0.02; done
	run away -- "$SNIP/time_wait" write 127.0.0.1 "$(cat port)"
	echo "$output"
	[ "$status" -eq 0 ]
	read -r _ errno ms < <(grep "^write " <<< "$output")
	[ "$errno" = ECONNABORTED ]
	near "$ms"
	# A peer that goes away is SIGPIPE as ever.
	run -141 "$NETLEASH" run -p "$POLICY" --no-summary -- python3 -c '
import signal, socket, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
s = socket.create_connection(("raw.example.com", 9000)); s.shutdown(socket.SHUT_WR); s.send(b"x")'
}

@test "TLS: curl, asyncio, a memory BIO, node" {
	for port in 4432 4433; do
		run away -- curl -sS "https://api.example.com:$port/hang"
		[ "$status" -eq 56 ]
		[[ "$output" = *"Software caused connection abort"* ]]
	done
	run away -- python3 -c '
import asyncio, ssl
async def main():
    reader, writer = await asyncio.open_connection("api.example.com", 443, ssl=ssl.create_default_context())
    writer.write(b"GET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
    try:
        print("got", await reader.read(100))
    except OSError as e:
        print(type(e).__name__, e.errno)
asyncio.run(main())'
	[[ "$output" = *"ConnectionAbortedError 103"* ]]
	if command -v node > /dev/null; then
		run away -- node -e 'require("https").get("https://api.example.com/hang").on("error", e => console.log("error", e.code))'
		[[ "$output" = *"error ECONNABORTED"* ]]
	fi
}

@test "a connect() that never completes, a look-up under way, a WebSocket, UDP" {
	for way in connect nbconnect connect2; do
		run away -w '^  request blackhole' -- sh -c "python3 -c 'import socket; socket.getaddrinfo(\"blackhole.example.com\", 443)'; $SNIP/time_wait $way $HOLE 443"
		echo "$output"
		read -r _ errno ms < <(grep "^$way " <<< "$output")
		[ "$errno" = ECONNABORTED ]
	done
	run away -- python3 -c '
import socket
try: socket.getaddrinfo("drop.example.com", 443)
except OSError as e: print(type(e).__name__, e.errno)'
	[[ "$output" = *"ConnectionAbortedError 103"* ]]
	[[ "$output" = *"resolve drop.example.com ended: request:fail interrupted"* ]]
	run away -w "^  request play.*no deadline" -- python3 -c '
import socket, ssl
t = ssl.create_default_context().wrap_socket(socket.create_connection(("play.example.com", 443)), server_hostname="play.example.com")
t.sendall(b"GET / HTTP/1.1\r\nHost: play.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
print(t.recv(4096).split(b"\r\n")[0].decode())
fd = t.detach()
s = socket.socket(fileno=fd)
try: print("got", s.recv(10))
except OSError as e: print(e.errno)'
	echo "$output"
	[[ "$output" = *"101 Switching"*"connectSocket play.example.com:443"*"ended: connectSocket:fail interrupted"* ]]
	[[ "$output" = *103* ]]
	run away -w "^  request .* port 9," -- python3 -c '
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendto(b"x", ("'"$PEER"'", 9001)); print(s.recv(10))
s.sendto(b"x", ("'"$PEER"'", 9))
try: s.recv(10)
except OSError as e: print(e.errno)'
	echo "$output"
	[[ "$output" = *"b'x'"*103* ]]
}

@test "in the background nothing new begins, an idle connection survives, and all works after the return" {
	cat > game.py <<-'END'
		import http.client, socket, sys, time
		peer = sys.argv[1]
		def attempt(what, call):
		    try:
		        print(what, call(), flush=True)
		    except OSError as e:
		        print(what, type(e).__name__, e.errno, flush=True)
		def get(conn):
		    conn.request("GET", "/")
		    return conn.getresponse().read().decode().strip()
		kept = http.client.HTTPConnection(peer)
		attempt("kept", lambda: get(kept))
		raw = socket.create_connection((peer, 9000))
		raw.sendall(b"x")
		attempt("raw", lambda: raw.recv(10))
		print("ready", flush=True)
		sys.stdin.readline()
		start = time.monotonic()
		attempt("away connect", lambda: socket.create_connection((peer, 80)))
		attempt("away resolve", lambda: socket.getaddrinfo("api.example.com", 443))
		attempt("away byname", lambda: socket.gethostbyname("api.example.com"))
		attempt("away kept", lambda: kept.sock.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % peer.encode()))
		attempt("away udp", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (peer, 9001)))
		print("at once", time.monotonic() - start < 0.5, flush=True)
		# Longer than the grace: nothing was pending.
		time.sleep(1.5)
		raw.settimeout(0.2)
		attempt("away raw", lambda: raw.recv(10))
		print("ready again", flush=True)
		sys.stdin.readline()
		attempt("back kept", lambda: get(kept))
		raw.settimeout(5)
		raw.sendall(b"y")
		attempt("back raw", lambda: raw.recv(10))
		attempt("back resolve", lambda: len(socket.getaddrinfo("api.example.com", 443)) > 0)
		attempt("back new", lambda: get(http.client.HTTPConnection(peer)))
	END
	mkfifo in
	exec 7<> in
	IN=in start -- python3 game.py "$PEER"
	until_out "^ready$"
	run "$NETLEASH" background
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" = *"(python3): background" ]]
	echo >&7
	until_out "ready again"
	"$NETLEASH" foreground
	echo >&7
	exec 7>&-
	wait $JOB
	JOB=
	cat out
	grep -qx "kept hello from peer" out
	for what in connect resolve byname kept udp; do
		grep -qx "away $what ConnectionAbortedError 103" out
	done
	grep -qx "at once True" out
	grep -qx "away raw TimeoutError None" out
	grep -qx "back kept hello from peer" out
	grep -qx "back raw b'y'" out
	grep -qx "back resolve True" out
	grep -qx "back new hello from peer" out
	grep -q "connect $PEER:80 refused: interrupted (rule background): " out
	! grep -q ended out
}

@test "coming back before the grace is over cancels it, and leaving again starts a new one" {
	printf '1s background\n# a call of a second\n1.8s foreground\n2s\tbackground\n' > scenario
	run "$NETLEASH" run -p "$POLICY" --no-summary --scenario scenario -- "$SNIP/time_wait" read "$PEER" 80
	echo "$output"
	read -r _ errno ms < <(grep "^read " <<< "$output")
	[ "$errno" = ECONNABORTED ]
	# It began before the first leave: 2 s, or the second grace was none.
	[ "$ms" -ge 2000 ] && [ "$ms" -le 7000 ]
	run "$NETLEASH" run -p "$POLICY" --no-summary --background-after 1s --foreground-after 1.8s -- curl -sS "http://$PEER/slow/4"
	[[ "$output" = *"slow 4"* ]]
}

@test "a scenario says what is wrong, and where" {
	printf '1s background\nsoon foreground\n' > scenario
	run -100 "$NETLEASH" run -p "$POLICY" --scenario scenario -- true
	[[ "$output" = *'scenario:2: "soon" is no time'* ]]
	printf '1s background\n2s away\n' > scenario
	run -100 "$NETLEASH" run -p "$POLICY" --scenario scenario -- true
	[[ "$output" = *'scenario:2: "away"'* ]]
	printf '2s background\n1s foreground\n' > scenario
	run -100 "$NETLEASH" run -p "$POLICY" --scenario scenario -- true
	[[ "$output" = *'scenario:2: 1s comes before'* ]]
	run -100 "$NETLEASH" run -p "$POLICY" --background-after 3 -- true
	[[ "$output" = *'"3" is no time'* ]]
	run -111 "$NETLEASH" run -p "$POLICY" --scenario nowhere -- true
}

@test "all processes of a session change together: also one that is started meanwhile, and one that forks" {
	cat > many.sh <<-'END'
		until [ -e idle ]; do sleep 0.02; done &
		python3 -c 'import http.client, os, sys, time
		c = http.client.HTTPConnection(sys.argv[1]); c.request("GET", "/"); c.getresponse().read()
		open("idle", "w").close()
		while not os.path.exists("left"): time.sleep(0.02)
		if os.fork() == 0:
		    try: c.sock.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % sys.argv[1].encode())
		    except OSError as e: print("forked", e.errno, flush=True)
		    os._exit(0)
		os.wait()' "$1" &
		wait %1
		"$SNIP/time_wait" read "$1" 80 &
		"$SNIP/time_wait" poll "$1" 80 &
		"$SNIP/time_wait" recv "$1" 80 fork &
		until [ -e left ]; do sleep 0.02; done
		"$SNIP/time_wait" readv "$1" 80
		wait
	END
	sed -i 's/^\t\t//' many.sh
	run away -w ", 3 pending" -- bash many.sh "$PEER"
	echo "$output"
	for way in read poll recv; do
		grep -Eq "^$way ECONNABORTED [0-9]{4,}$" <<< "$output"
	done
	grep -Eq "^connect ECONNABORTED [0-9]{1,3}$" <<< "$output"
	grep -qx "forked 103" <<< "$output"
}

@test "status knows the process from the program's first moment on" {
	# The launcher comes back from vfork() 0.3 s after its program has begun.
	run -0 strace -f -o trace -e trace=vfork -e inject=vfork:delay_exit=300000 \
		"$NETLEASH" run -p "$POLICY" --no-summary -- sh -c "echo \$\$; exec \"$NETLEASH\" status"
	echo "$output"
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" = *"  sh (process ${lines[0]})  foreground since the start, 0 pending" ]]
}

@test "status lists what is pending, for how long, and until when; sessions are found by id and by pid" {
	start -- "$SNIP/time_wait" read "$PEER" 80
	for _ in $(seq 100); do
		run "$NETLEASH" status
		[[ "$output" = *"1 pending"* ]] && break
		sleep 0.02
	done
	echo "$output"
	id=$(awk '{ print $1; exit }' <<< "$output")
	[[ "$output" =~ $id\ \ time_wait\ \(process\ ([0-9]+)\)\ \ foreground\ since\ the\ start,\ 1\ pending ]]
	pid=${BASH_REMATCH[1]}
	[[ "$output" =~ request\ $PEER\ port\ 80,\ process\ $pid,\ for\ 0\.[0-9]\ s,\ deadline\ in\ 59\.[0-9]\ s ]]
	run "$NETLEASH" background "$pid"
	[[ "$output" = "$id (time_wait): background, 1 pending request has 1 s" ]]
	run "$NETLEASH" background "$id"
	[[ "$output" = *"already in the background"* ]]
	run "$NETLEASH" status "$id"
	[[ "$output" = *"background since 20"* ]]
	# What comes first is what counts, if it is not over by now.
	[[ "$output" =~ "for "[0-9.]+" s, interrupted in "[01]\.[0-9]" s" || "$output" = *", 0 pending"* ]]
	run "$NETLEASH" foreground "${id:0:8}"
	[ "$status" -eq 0 ]
	run -111 "$NETLEASH" status 1-0000000000000000
	# Two: which one is meant must be said.
	"$NETLEASH" run -p "$POLICY" --no-summary -- sleep 20 &
	other=$!
	for _ in $(seq 100); do
		[ "$("$NETLEASH" status 2> /dev/null | grep -c ' since ')" -eq 2 ] && break
		sleep 0.02
	done
	run -100 "$NETLEASH" background
	[[ "$output" = *"more than one session"*sleep* ]]
	kill $other
	wait $other || true
}

@test "control files: private, gone with their session, stale ones recognised and removed" {
	start -- "$SNIP/time_wait" read "$PEER" 80
	for _ in $(seq 100); do
		[ -n "$(ls run/netleash 2> /dev/null)" ] && "$NETLEASH" status 2> /dev/null | grep -q "1 pending" && break
		sleep 0.02
	done
	[ "$(stat -c %a run/netleash/*-*/session)" = 600 ]
	case $(stat -c %a run/netleash) in 700 | 711) ;; *) false ;; esac
	"$NETLEASH" background > /dev/null
	wait $JOB || true
	JOB=
	run "$NETLEASH" status
	[[ "$output" = *"no session is running"* ]]
	[ -z "$(ls run/netleash)" ]
	# One that was killed leaves its directory behind.
	start -- sleep 30
	for _ in $(seq 100); do
		[ -n "$(ls run/netleash)" ] && "$NETLEASH" status 2> /dev/null | grep -q since && break
		sleep 0.02
	done
	kill -9 $JOB
	wait $JOB || true
	JOB=
	[ -n "$(ls run/netleash)" ]
	for _ in $(seq 100); do
		run "$NETLEASH" status
		[ -z "$(ls run/netleash)" ] && break
		sleep 0.02
	done
	[[ "$output" = *"no session is running"* ]]
	[ -z "$(ls run/netleash)" ]
	run -111 "$NETLEASH" background
}

@test "plain LD_PRELOAD goes by signals, and the program's own handlers run" {
	run leashed "$SNIP/bg_signal" "$PEER" 80
	echo "$output"
	[ "$status" -eq 0 ]
	grep -v '^netleash: ' <<< "$output" > said
	diff said - <<-'END'
		first: foreground
		kept: simple onstack usr1
		before ours: 1 calls, background, usr1 masked 1, on its stack 1
		no handler for it: 1 calls, foreground
		old: simple
		new: full siginfo restart
		after ours: 2 calls, code tkill, background
		without restart: EINTR
		signal(): simple restart
		with restart: read
		siginterrupt(): simple
		sysv_signal(): simple
		one shot: default
		one shot: 1 calls, background
		ignored: ignore
		ignored: background
		sigset(): ignore
		sigset(SIG_HOLD): simple
		blocked: pending 1, 0 calls, foreground
		sigtimedwait(): it
		signalfd: it
		unblocked: 1 calls, background
		rt_sigaction: 0, it was simple
		all reset: default
		all reset: alive, background
		other signals: -1 EINVAL
		storm: 10000 calls, foreground
	END
}

@test "the command sends a plain process its policy's signal, and never one that would kill it" {
	cat >> "$POLICY" <<< 'background_unused = 1;'
	sed -i '/background_unused/d; s/background: {/background: { signal = "SIGUSR1"; foreground_signal = "SIGUSR2";/' "$POLICY"
	NETLEASH_POLICY=$POLICY "$NETLEASH" check "$POLICY"
	mkfifo go
	exec 7<> go
	LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY python3 -c '
import socket, sys
print("started", flush=True)
sys.stdin.readline()
s = socket.create_connection(("'"$PEER"'", 80)); s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
print("waiting", flush=True)
try: s.recv(10)
except OSError as e: print("ended", e.errno, flush=True)' < go > out 2>&1 &
	JOB=$!
	until_out started
	run -111 "$NETLEASH" background $JOB
	[[ "$output" = *"has not used the network yet"* ]]
	kill -0 $JOB
	echo >&7
	until_out waiting
	run "$NETLEASH" background $JOB
	echo "$output"
	[ "$output" = "process $JOB: background by signal 10" ]
	until_out "ended 103"
	exec 7>&-
	wait $JOB
	JOB=
	sleep 10 &
	JOB=$!
	run -111 "$NETLEASH" background $JOB
	[[ "$output" = *"belongs to no session"* ]]
}

@test "a program that calls netleash_set_background() itself" {
	run "$NETLEASH" run -p "$POLICY" --no-summary --events e.jsonl -- python3 -c '
import ctypes, socket
leash = ctypes.CDLL(None)
print("went", leash.netleash_set_background(True))
try: socket.create_connection(("'"$PEER"'", 80))
except OSError as e: print(e.errno)
leash.netleash_set_background(False)
socket.create_connection(("'"$PEER"'", 80))
print("back")'
	echo "$output"
	[[ "$output" = *"went 0"*103*back* ]]
	[ "$(grep -c '"event":"state"' e.jsonl)" -eq 2 ]
}

@test "events: the state, and each request that was interrupted" {
	run "$NETLEASH" run -p "$POLICY" --no-summary --events e.jsonl --background-after 3s -- curl -sS https://api.example.com/hang
	cat e.jsonl
	python3 - <<-'END'
		import json
		events = [json.loads(line) for line in open("e.jsonl")]
		assert [e["detail"] for e in events if e["event"] == "state"] == ["background: scenario"], events
		ends = [e for e in events if e["event"] == "interrupted"]
		assert len(ends) == 1 and ends[0]["host"] == "api.example.com", events
		assert ends[0]["errMsg"] == "request:fail interrupted" and ends[0]["errCode"] == 600003, ends
		assert ends[0]["errno"] == 103, ends
	END
}

@test "stopped for longer than the grace is having been in the background; shorter is not" {
	for stop in 2.5 0.6; do
		start -- "$SNIP/time_wait" read "$PEER" 80
		pid=
		for _ in $(seq 100); do
			"$NETLEASH" status 2> /dev/null | grep -q "1 pending" && pid=$(pgrep -f "^$SNIP/time_wait" | head -1) &&
				[ -n "$pid" ] && break
			sleep 0.02
		done
		kill -STOP "$pid"
		sleep $stop
		kill -CONT "$pid"
		if [ $stop = 2.5 ]; then
			wait $JOB || true
			cat out
			grep -Eq "^read ECONNABORTED" out
		else
			sleep 1.2
			run cat out
			[[ "$output" != *ECONNABORTED* ]]
			kill "$pid"
			wait $JOB || true
		fi
		JOB=
	done
}

@test "^Z in a terminal for longer than the grace is having been in the background, and fg brings it back" {
	cat > terminal.py <<-'END'
		import os, pty, re, select, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
		said = b""
		def until(pattern):
		    global said
		    end = time.monotonic() + 30
		    while not re.search(pattern, said):
		        if time.monotonic() > end:
		            sys.exit("never said %r: %r" % (pattern, said))
		        if select.select([fd], [], [], 0.1)[0]:
		            try: said += os.read(fd, 4096)
		            except OSError: sys.exit("ended: %r" % said)
		def type(text):
		    global said
		    said = b""
		    os.write(fd, text)
		until(rb"[$#] $")
		type(b"PS1=ready; " + sys.argv[1].encode() + b"\n")
		for _ in range(400):
		    if b", 1 pending" in os.popen(sys.argv[2] + " status 2>/dev/null").read().encode(): break
		    time.sleep(0.05)
		else:
		    sys.exit("nothing pending: %r" % said)
		type(b"\x1a")
		until(rb"Stopped[^\n]*\n.*ready$")
		time.sleep(float(sys.argv[3]))
		type(b"fg\n")
		until(rb"\n(read|answer)[^\n]*\n")
		sys.stdout.buffer.write(said)
		os.write(fd, b"exit\n")
	END
	run python3 terminal.py "$NETLEASH run -p $POLICY --no-summary -- $SNIP/time_wait read $PEER 80" "$NETLEASH" 2.2
	echo "$output"
	[[ "$output" = *"read ECONNABORTED"* ]]
	run python3 terminal.py "$NETLEASH run -p $POLICY --no-summary -- curl -sS -w '\\nanswer %{http_code}\\n' http://$PEER/slow/3" "$NETLEASH" 0.3
	echo "$output"
	[[ "$output" = *"answer 200"* ]]
}

@test "background.enabled = false: neither page nor signal ends anything" {
	sed -i 's/background: {/background: { enabled = false;/' "$POLICY"
	run away -- curl -sS "http://$PEER/slow/2"
	[[ "$output" = *"slow 2"* ]]
}
