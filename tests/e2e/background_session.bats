#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Background and foreground, further: the real five seconds, the signals over fork and exec, processes that share a
# connection, who may use a session's files, scenarios, and the README's three lines.

bats_require_minimum_version 1.5.0
load lib

setup() {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	PEER=$LAB_PEER_ADDR
	cd "$BATS_TEST_TMPDIR"
	JOB=
}

teardown() {
	[ -z "$JOB" ] || kill "$JOB" 2> /dev/null || true
}

until_true() {
	for _ in $(seq 400); do
		"$@" > /dev/null 2>&1 && return
		sleep 0.05
	done
	echo "never true: $*"
	cat out 2> /dev/null || true
	return 1
}

@test "five seconds: an answer after 4.9 s is untouched, a return after 4.9 s cancels, leaving again starts anew" {
	policy five
	cat > five.py <<-'END'
		import ctypes, http.client, sys, threading, time
		leash = ctypes.CDLL(None)
		peer, GRACE = sys.argv[1], 5.0
		def away(yes):
		    leash.netleash_set_background(yes)
		    return time.monotonic()
		def begin(path):
		    conn = http.client.HTTPConnection(peer)
		    conn.request("GET", path)
		    return conn
		def end(conn):
		    try:
		        return conn.getresponse().status
		    except OSError as e:
		        return e.errno
		# Whoever is busy may come too late for what he tries; then it does not count.
		for attempt in range(3):
		    conn = begin("/slow/4.9")
		    left = away(True)
		    said = end(conn)
		    took = time.monotonic() - left
		    away(False)
		    print("answered after %.2f s: %s" % (took, said))
		    if said == 200:
		        break
		    assert took >= GRACE, took
		else:
		    sys.exit("never in time")
		for attempt in range(3):
		    conn = begin("/slow/12")
		    left = away(True)
		    time.sleep(4.9)
		    back = away(False)
		    if back - left < GRACE:
		        break
		else:
		    sys.exit("never in time")
		# A second is left of nothing: the first stay does not count.
		left = away(True)
		said = end(conn)
		took = time.monotonic() - left
		print("returned after %.2f s, left again, ended after %.2f s: %s" % (back - left + took, took, said))
		assert said == 103 and took >= GRACE, (said, took)
		away(False)
		conn = begin("/slow/5.5")
		left = away(True)
		time.sleep(1)
		away(False)
		said = end(conn)
		print("returned and stayed: %s after %.2f s" % (said, time.monotonic() - left))
		assert said == 200, said
	END
	run "$NETLEASH" run -p "$POLICY" --no-summary -- python3 five.py "$PEER"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" = *"returned and stayed: 200"* ]]
}

@test "signals over fork, vfork and exec: ignored stays ignored, handlers are the process's own, blocked stays blocked" {
	policy signals
	local program='trap "" RTMIN+8; exec "$SNIP/bg_exec" "$1" 80'
	run bash -c "$program" bash "$PEER"
	[ "$status" -ne 0 ]		# of the signal that is unblocked at the end, as it has to be without us
	grep -Ev "^state" <<< "$output" > without
	[ "$(wc -l < without)" -ge 20 ]
	run leashed bash -c "$program" bash "$PEER"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -Ev "^state|^netleash:" <<< "$output" > with
	grep "^state" <<< "$output" > states
	diff without with
	grep -qx "fork, execve: ignored, default" with
	grep -qx "parent of vfork(): simple, simple" with
	diff states - <<-'END'
		state at first: foreground
		state, ignored: background
		state, ignored: foreground
		state afterwards: background
		state after an exec that failed: foreground
		state: background
		state, blocked and pending over exec: foreground
		state, unblocked: background
	END
}

@test "a forked child that has its parent's connection does not end what the parent goes on with" {
	policy forks "background: { grace_ms = 500; };" "networkTimeout: { request = 2500; };"
	lab reset-logs
	cat > forks.py <<-'END'
		import http.client, os, select, socket, sys, threading, time
		peer = sys.argv[1]
		def wait_for(line):
		    print(line, flush=True)
		    sys.stdin.readline()
		kept = http.client.HTTPConnection(peer)
		kept.request("GET", "/slow/0.5")
		child = os.fork()
		if child == 0:
		    # Busy itself, so that somebody watches here too, and asleep on what its parent waits for.
		    own = http.client.HTTPConnection(peer)
		    own.request("GET", "/slow/60")
		    time.sleep(60)
		    os._exit(0)
		print("first", kept.getresponse().read().decode().strip())
		number = kept.sock.getsockname()[1]
		wait_for("idle")
		# Longer than the grace, and longer than the limit of the first request
		time.sleep(3)
		wait_for("away")
		for i in range(2):
		    kept.request("GET", "/slow/1.5")
		    print("again", kept.getresponse().read().decode().strip(), kept.sock.getsockname()[1] == number)
		os.kill(child, 9)
	END
	mkfifo in
	exec 7<> in
	"$NETLEASH" run -p "$POLICY" --no-summary -- python3 forks.py "$PEER" < in > out 2>&1 7>&- &
	JOB=$!
	until_true grep -qx idle out
	"$NETLEASH" background
	echo >&7
	until_true grep -qx away out
	"$NETLEASH" foreground
	echo >&7
	exec 7>&-
	wait $JOB
	JOB=
	cat out
	[ "$(grep -cx "again slow 1.5 True" out)" -eq 2 ]
	# The child's own request was interrupted, the parent's was not.
	[ "$(grep -c "ended: request:fail interrupted" out)" -eq 1 ]
	! grep -q "ended: request:fail timeout" out
}

@test "a look-up of another thread at the time of a fork is not the child's" {
	policy lookups "background: { grace_ms = 400; };" \
		"domains: { request = [ \"https://drop.example.com\" ]; };"
	sed -i '/^domains: {$/,/^};$/d' "$POLICY"
	cat > lookups.py <<-'END'
		import ctypes, http.client, os, socket, sys, threading, time
		peer = sys.argv[1]
		def say(*what):
		    os.write(1, (" ".join(map(str, what)) + "\n").encode())
		def look():
		    try: socket.getaddrinfo("drop.example.com", 443)
		    except OSError as e: say("look-up", e.errno)
		thread = threading.Thread(target=look)
		thread.start()
		time.sleep(0.3)
		r, w = os.pipe()
		child = os.fork()
		conn = http.client.HTTPConnection(peer)
		conn.request("GET", "/slow/30")
		if child == 0:
		    os.write(w, b"x")
		else:
		    os.read(r, 1)
		    ctypes.CDLL(None).netleash_set_background(True)
		try: say("answered", conn.getresponse().status)
		except OSError as e: say("child" if child == 0 else "parent", e.errno)
		if child == 0:
		    os._exit(0)
		thread.join()
		os.wait()
	END
	run "$NETLEASH" run -p "$POLICY" --no-summary -- python3 lookups.py "$PEER"
	echo "$output"
	grep -qx "child 103" <<< "$output"
	grep -qx "parent 103" <<< "$output"
	grep -qx "look-up 103" <<< "$output"
	[ "$(grep -c "resolve drop.example.com ended" <<< "$output")" -eq 1 ]
}

@test "sendfile() and splice() start a request like any write" {
	policy files "background: { grace_ms = 300; };"
	cat > files.py <<-'END'
		import ctypes, os, socket, sys, time
		name, port, how, what = sys.argv[1:5]
		request = b"unheard-of" if what == "away" else b"a request of its own kind"
		s = socket.create_connection((name, int(port)))
		def send():
		    if how == "sendfile":
		        with open("request", "wb") as f: f.write(request)
		        return os.sendfile(s.fileno(), os.open("request", os.O_RDONLY), 0, len(request))
		    r, w = os.pipe()
		    os.write(w, request)
		    return os.splice(r, s.fileno(), len(request))
		if what == "away":
		    ctypes.CDLL(None).netleash_set_background(True)
		start = time.monotonic()
		try:
		    print("sent", send())
		    if what == "answer":
		        print("got", s.recv(100))
		        # Nothing is pending now, and the grace is over for nothing.
		        ctypes.CDLL(None).netleash_set_background(True)
		        time.sleep(1)
		        ctypes.CDLL(None).netleash_set_background(False)
		        print(how, "idle", s.send(b"more"), s.recv(100))
		    if what == "grace":
		        ctypes.CDLL(None).netleash_set_background(True)
		        print("got", s.recv(100))
		except OSError as e:
		    print(how, what, e.errno, time.monotonic() - start < 3)
	END
	local splice
	splice=$(python3 -c 'import os; print("splice" if hasattr(os, "splice") else "")')
	for how in sendfile $splice; do
		# 9000 says everything back, 9100 says nothing.
		run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- python3 files.py raw.example.com 9000 $how answer
		echo "$output"
		grep -qx "$how idle 4 b'more'" <<< "$output"
		run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- python3 files.py raw.example.com 9100 $how grace
		echo "$output"
		grep -qx "$how grace 103 True" <<< "$output"
		lab reset-logs
		run timeout 20 "$NETLEASH" run -p "$POLICY" --no-summary -- python3 files.py raw.example.com 9100 $how away
		echo "$output"
		grep -qx "$how away 103 True" <<< "$output"
		lab unseen raw unheard-of
	done
}

# A session whose process is in "pid", and its page in $SESSION
session() {
	"$NETLEASH" run -p "$POLICY" --no-summary -- sh -c 'echo $$ > pid; exec sleep 60' &
	JOB=$!
	until_true test -s pid
	until_true eval '"$NETLEASH" status | grep -q " since "'
	SESSION=$(echo run/netleash/*-*/session)
}

@test "control files are private, and nobody else's directory is taken for ours" {
	policy files
	session
	[ "$(stat -c %a "$SESSION")" = 600 ]
	# Root's may be passed through, by programs that give up root; nobody may list it.
	[ "$(id -u)" -ne 0 ] && [ "$(stat -c %a run/netleash)" = 700 ] ||
		[ "$(stat -c %a run/netleash)" = 711 ]
	# A directory that belongs to somebody else is not taken for ours, whatever the variable says.
	local foreign=/usr
	if [ -O /usr ]; then
		foreign=$PWD/foreign
		mkdir foreign
		chown 65534 foreign
	fi
	XDG_RUNTIME_DIR=$foreign run -0 "$NETLEASH" run -p "$POLICY" --no-summary -- sh -c 'echo "$NETLEASH_SESSION"'
	[[ "$output" != *"$foreign"* ]]
	[ ! -e "$foreign/netleash" ]
	# One that others could have put something into is refused.
	mkdir -m 0777 open open/netleash
	chmod 755 open
	chmod 777 open/netleash
	XDG_RUNTIME_DIR=$PWD/open run -111 "$NETLEASH" run -p "$POLICY" -- true
	[[ "$output" = *"others may write there (mode 777)"* ]]
	mkdir -m 0711 link elsewhere
	ln -s ../elsewhere link/netleash
	XDG_RUNTIME_DIR=$PWD/link run -111 "$NETLEASH" run -p "$POLICY" -- true
	[[ "$output" = *"is no directory of its own"* ]]
	XDG_RUNTIME_DIR=$PWD/open run "$NETLEASH" status
	[[ "$output" = *"no session is running"* ]]
}

@test "another user sees no session and can tell it nothing" {
	policy files
	session
	# In full knowledge of where it is
	other() {
		setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
			env XDG_RUNTIME_DIR="$PWD/run" "$@"
	}
	need_another_user
	chmod 711 . ..
	cp "$NETLEASH" command		# the clone may be out of its reach
	run other cat "$SESSION"
	[ "$status" -ne 0 ]
	[[ "$output" = *"Permission denied"* ]]
	run other sh -c "echo x >> '$SESSION'"
	[ "$status" -ne 0 ]
	run other ls run/netleash
	[ "$status" -ne 0 ]
	run other ./command status
	echo "$output"
	[[ "$output" = *"no session is running"* ]]
	for which in "" "$(cat pid)" "$(basename "$(dirname "$SESSION")")"; do
		# shellcheck disable=SC2086
		run other ./command background $which
		echo "$output"
		[ "$status" -eq 111 ]
	done
	"$NETLEASH" status | grep -q foreground
	# A control: its owner can.
	"$NETLEASH" background "$(cat pid)"
	"$NETLEASH" status | grep -q background
	# What another user plants in a place that all may write to is not believed.
	mkdir -m 1777 shared
	other mkdir shared/netleash
	XDG_RUNTIME_DIR=$PWD/shared run -111 "$NETLEASH" run -p "$POLICY" -- true
	[[ "$output" = *"belongs to user 65534, not to you"* ]]
	kill $JOB
	wait $JOB || true
	JOB=
	[ -z "$(ls run/netleash)" ]
}

@test "scenarios and times: what is wrong with each line" {
	policy lines
	bad() {
		printf "$1" > scenario
		run -100 "$NETLEASH" run -p "$POLICY" --scenario scenario -- touch started
		[[ "$output" = *"$2"* ]] || {
			echo "$1: $output, expected $2"
			return 1
		}
	}
	bad '3s\n' 'scenario:1: '
	bad '\n# two\n3 s background\n' 'scenario:3: "3" is no time'
	bad 'background 3s\n' 'scenario:1: "background" is no time'
	bad '1s background now\n' 'scenario:1: "now"'
	bad '\055 1s background\n' 'scenario:1: "-" is no time'
	bad '0x10s background\n' 'is no time'
	bad '1e99s background\n' 'is no time'
	bad 'nans background\n' 'is no time'
	bad '1s Background\n' 'scenario:1: "Background"'
	bad '1s \033[31mbackground\n' 'scenario:1: "?[31mbackground"'
	bad '# nothing\n\n' 'no line in it'
	bad '' 'no line in it'
	[ ! -e started ]
	run -111 "$NETLEASH" run -p "$POLICY" --scenario "$PWD" -- true
	[[ "$output" = *"Is a directory"* ]]
	for time in 3 -1s "" s 5x "1 s" 1e99s; do
		run -100 "$NETLEASH" run -p "$POLICY" --background-after="$time" -- true
		[[ "$output" = *"\"$time\" is no time; 500ms, 3s, 1.5m"* ]]
	done
	# What is right: comments, tabs, empty lines, CR LF, the same state twice, two changes at one time
	printf '# a call\r\n\r\n0.2s\tbackground  # now\r\n 0.2s foreground\r\n0.3s foreground\n300ms background\n0.005m foreground' > scenario
	run -0 "$NETLEASH" run -p "$POLICY" --no-summary --scenario scenario --events e.jsonl -- sleep 0.8
	grep -o '"detail":"[^"]*"' e.jsonl > details
	diff details - <<-'END'
		"detail":"background: scenario"
		"detail":"foreground: scenario"
		"detail":"background: scenario"
		"detail":"foreground: scenario"
	END
}

@test "the README's three lines: a game that survives a phone call during its login, and two that do not" {
	sed -n '/^    netleash run .*--background-after/,/^    grep/p' "$TOP/README.md" | sed 's/^    //' > lines
	cat lines
	[ "$(wc -l < lines)" -eq 3 ]
	policy made
	mv "$POLICY" game.cfg
	mkdir bin
	ln -s "$NETLEASH" bin/netleash
	# Asks for a login that takes as long as it likes, and once more when that fails
	cat > game <<-END
		#!/usr/bin/env python3
		import http.client, sys, time
		attempts = int(open("attempts").read())
		for attempt in range(attempts):
		    try:
		        conn = http.client.HTTPConnection("$PEER")
		        conn.request("GET", "/hang" if attempt == 0 and attempts > 0 else "/")
		        sys.exit(0 if conn.getresponse().status == 200 else 1)
		    except OSError as e:
		        print("login failed:", e, flush=True)
		        time.sleep(0.5)
		sys.exit(1 if attempts else 0)
	END
	chmod +x game
	try() {
		echo "$1" > attempts
		rm -f e.jsonl
		PATH=$PWD/bin:$PATH run bash lines
		echo "$output"
	}
	try 30
	[ "$status" -eq 0 ]
	[[ "$output" = *"Software caused connection abort"* ]]
	# One that gives up
	try 2
	[ "$status" -eq 1 ]
	# One that had nothing in flight when it happened: then nothing was proved.
	try 0
	[ "$status" -ne 0 ]
}
