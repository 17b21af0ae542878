#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How many at once (policy 6): over all processes of a session, in each of the three ways; seen from the far
# side as well. Each refusal has one task fewer beside it, which is let through.

bats_require_minimum_version 1.5.0
load lib

PY=/usr/bin/python3
TASKS=$BATS_TEST_DIRNAME/limits.py
export PYTHONDONTWRITEBYTECODE=1

setup() {
	lab reset-logs
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	cd "$BATS_TEST_TMPDIR"
	JOB=
}

teardown() {
	exec 7>&- 8<&-
	[ -z "$JOB" ] || wait "$JOB" || true
}

# over MODE [LINE …]: the policy
over() {
	POLICY=$BATS_TEST_TMPDIR/$1.cfg
	cat > "$POLICY" <<-END
		appid = "wx0123456789abcdef";
		domains: {
			request = [ "https://api.example.com" ];
			socket = [ "wss://play.example.com" ];
			downloadFile = [ "https://cdn.example.com" ];
			tcp = [ "tcp://raw.example.com" ];
		};
		limits: { over = "$1"; ${LIMITS-} };
	END
	shift
	printf '%s\n' "$@" >> "$POLICY"
	export POLICY
}

# under CMD …: the program of a session; a program that hangs fails the test
under() {
	run timeout -k 5 50 "$NETLEASH" run -p "$POLICY" --events "$BATS_TEST_TMPDIR/events" -- "$@"
	echo "\$ $*"
	echo "$output"
	[ "$status" -ne 124 ]
	[ "$status" -ne 137 ]
}

# recorded COUNT VERDICT: so many events say that there were too many
recorded() {
	local found
	found=$(grep -c "\"verdict\":\"$2\".*\"reason\":\"too_many_tasks\".*\"errCode\":600007" "$BATS_TEST_TMPDIR/events" || true)
	[ "$found" -eq "$1" ] || { echo "$found events, expected $1"; return 1; }
}

# The same client three ways, one request each, "ok" if it was answered
clients() {
	printf '%s\n' "curl -sS -o /dev/null -w ok\\n https://api.example.com/" \
		"$PY $TASKS dial blocking" "$PY $TASKS dial poll"
	! command -v node > /dev/null || printf '%s\n' "node $BATS_TEST_TMPDIR/one.js"
}

one_js() {
	cat > one.js <<-'END'
		const https = require("https"), fs = require("fs");
		https.get("https://api.example.com/", {ca: fs.readFileSync(process.env.LAB_CA_BUNDLE)},
			r => { r.resume(); r.on("end", () => console.log("ok", r.statusCode)); })
			.on("error", e => { console.log(e.code); process.exit(1); });
	END
}

# a session beside the test: say LINE … to its program, hear what it says
session() {
	mkfifo in out
	timeout -k 5 50 "$NETLEASH" run -p "$POLICY" --no-summary --events "$BATS_TEST_TMPDIR/events" -- "$@" < in > out 2> err &
	JOB=$!
	exec 7> in 8< out
}
tell() { echo "$1" >&7; }
hear() {
	local line
	read -r -t 40 line <&8 || { echo "nothing was said, expected: $1"; cat err; return 1; }
	[[ $line = $1 ]] || { echo "said: $line, expected: $1"; cat err; return 1; }
}

# until_true CMD …: it becomes true, in its own time
until_true() {
	for _ in $(seq 400); do
		"$@" && return
		sleep 0.05
	done
	echo "never: $*"
	return 1
}
# The session of this test: others run side by side, and root sees them
id() { basename "$(dirname "$XDG_RUNTIME_DIR"/netleash/*/session)"; }
waits() { "$NETLEASH" status "$(id)" | grep -q "11 pending"; }

@test "warn: the eleventh of several processes goes on, is recorded, and stands in the summary; the tenth is not" {
	over warn
	one_js
	while read -r -a client; do
		rm -f events
		under "$PY" "$TASKS" spread 3 3 "${client[@]}"
		[ "$status" -eq 0 ]
		[[ "$output" = *ok* ]]
		[[ "$output" != *too_many_tasks* ]]
		recorded 0 would_refuse
		under "$PY" "$TASKS" spread 5 2 "${client[@]}"
		[ "$status" -eq 0 ]
		[[ "$output" = *ok* ]]
		recorded 1 would_refuse
		grep -q '"rule":"limits.request","hint":"10 in flight are the limit of request: wait for one to end' events
		[[ "$output" = *'works only because limits.over is "warn":'*"api.example.com port 443: 1 too_many_tasks"* ]]
		[[ "$output" != *" refused: "* ]]
	done < <(clients)
}

@test "fail: the eleventh is refused with ECONNREFUSED and one line, and nobody sees it; the tenth is let through" {
	over fail
	one_js
	while read -r -a client; do
		rm -f events
		lab reset-logs
		under "$PY" "$TASKS" spread 5 2 "${client[@]}"
		[ "$status" -ne 0 ]
		[ "$(refused too_many_tasks | wc -l)" -eq 1 ]
		[[ "$output" = *"(rule limits.request): 10 in flight are the limit of request: wait for one to end"* ]]
		[[ "${client[0]}" = curl && $status -eq 7 || "$output" = *ECONNREFUSED* ]]
		recorded 1 refused
		[ "$(lab count web '"event":"accept"')" -eq 10 ]
		lab reset-logs
		under "$PY" "$TASKS" spread 3 3 "${client[@]}"
		[ "$status" -eq 0 ]
		[[ "$output" = *ok* ]]
		[ "$(lab count web '"target":"/"')" -eq 1 ]
	done < <(clients)
}

@test "fail: who was killed holds nothing any more, waited for or not" {
	over fail
	under "$PY" "$TASKS" spread 5 2 sh -c "$PY $TASKS dial blocking; kill -9 \$HOLDER; $PY $TASKS dial blocking"
	[ "$status" -eq 0 ]
	[ "$(refused too_many_tasks | wc -l)" -eq 1 ]
	[[ "$output" = *ECONNREFUSED*"ok 200"* ]]
}

@test "fail: what ended, was closed or is idle is not in flight; a request on an idle connection is a task" {
	over fail
	under sh -c "for i in 1 2 3 4; do $PY $TASKS dial blocking & $PY $TASKS dial poll & wait; done"
	[ "$(grep -c 'ok 200' <<< "$output")" -eq 8 ]
	[[ "$output" != *too_many_tasks* ]]
	lab reset-logs
	under "$PY" "$TASKS" keep
	[ "$status" -eq 0 ]
	[[ "$output" = *"idle 11"*refused*"late 403"* ]]
	[ "$(refused too_many_tasks | wc -l)" -eq 1 ]
	lab unseen web '"target":"/status/404"'
}

@test "queue: the eleventh waits, unseen, and goes when one is closed, or its process killed" {
	over queue
	one_js
	while read -r -a client; do
		for event in close kill; do
			rm -f in out
			lab reset-logs
			session "$PY" "$TASKS" beside 10 "${client[@]}"
			hear "held 10"
			tell start
			until_true waits
			[ "$(lab count web '"event":"accept"')" -eq 10 ]
			tell $event
			hear "${event%e}ed"
			hear "ok*"
			[ "$(lab count web '"target":"/"')" -eq 1 ]
			exec 7>&- 8<&-
			wait "$JOB"
			JOB=
			! grep too_many err
		done
	done < <(clients)
}

@test "queue: a thread that waits goes on behind a handler, and so does a program with one thread" {
	over queue
	session "$PY" "$TASKS" beside 10 "$PY" "$TASKS" dial signal
	hear "held 10"
	tell start
	hear alarm
	until_true waits
	[ "$(lab count web '"event":"accept"')" -eq 10 ]
	tell close
	hear closed
	hear "ok 200"
	exec 7>&- 8<&-
	wait "$JOB"
	JOB=
	# Twenty five in one thread: whoever waits must not keep it from reading the answers that free a place.
	lab reset-logs
	under "$PY" "$TASKS" many 25
	[[ "$output" = *"ok 25"* ]]
	[ "$(lab count web '"event":"accept"')" -eq 25 ]
	# Ten at a time on the far side: the eleventh came behind the first answer, 0.3 s after the first request.
	"$PY" - "$LAB_LOG/web.jsonl" <<-'END'
		import json, sys
		at = {"accept": [], "request": []}
		for line in open(sys.argv[1]):
		    fact = json.loads(line)
		    if fact["event"] in at:
		        at[fact["event"]].append(fact["t"])
		assert at["accept"][10] - at["request"][0] >= 0.29, at
		assert at["accept"][20] - at["request"][0] >= 0.59, at
	END
}

@test "queue: the wait has the request's clock, and the background ends it" {
	over queue 'networkTimeout: { request = 1500; };'
	for way in blocking poll; do
		under "$PY" "$TASKS" spread 5 2 "$PY" "$TASKS" dial $way
		[ "$status" -eq 1 ]
		[[ "$output" =~ ETIMEDOUT\ ([0-9]+) ]]
		[ "${BASH_REMATCH[1]}" -ge 1490 ]
		grep -Eq 'ended: request:fail timeout \(rule networkTimeout\): after 1[0-9]+ ms of waiting for a place: ' <<< "$output"
	done
	over queue 'background: { grace_ms = 1000; };'
	for way in blocking poll; do
		rm -f in out
		session "$PY" "$TASKS" beside 10 "$PY" "$TASKS" dial $way
		hear "held 10"
		tell start
		until_true waits
		"$NETLEASH" background "$(id)"
		hear "ECONNABORTED *"
		exec 7>&- 8<&-
		wait "$JOB" || true
		JOB=
	done
	[ "$(lab count web '"target":"/"')" -eq 0 ]
}

@test "queue: status says who is in flight and who waits" {
	over queue
	session "$PY" "$TASKS" beside 10 "$PY" "$TASKS" dial blocking
	hear "held 10"
	tell start
	until_true waits
	run "$NETLEASH" status "$(id)"
	echo "$output"
	grep -q '^  in flight: request 10 of 10$' <<< "$output"
	[ "$(grep -c '^  request api.example.com port 443, process ' <<< "$output")" -eq 11 ]
	tell close
	hear closed
	hear "ok 200"
}

@test "WebSockets: five are open, another fails until one is closed" {
	over fail
	under "$PY" "$TASKS" sockets 6
	[ "$(grep -E '^(ok|E|refused)' <<< "$output" | tr '\n' ' ')" = "ok 101 ok 101 ok 101 ok 101 ok 101 ECONNREFUSED ok 101 " ]
	[[ "$output" = *"(rule limits.socket): 5 open are the limit of connectSocket: "* ]]
	grep -q '"api":"connectSocket".*"reason":"too_many_tasks"' events
	[ "$(lab count play '"event":"websocket"')" -eq 6 ]
}

@test "WebSockets to a host that serves requests too are told apart by their request" {
	LIMITS='request = 3; socket = 2;' over fail
	sed -i 's|request = \[.*|request = [ "https://play.example.com", "https://api.example.com" ];|' "$POLICY"
	under "$PY" "$TASKS" sockets 3
	[ "$(grep -E '^(ok|E|refused)' <<< "$output" | tr '\n' ' ')" = "ok 101 ok 101 refused ok 101 " ]
	[ "$(lab count play '"event":"websocket"')" -eq 3 ]
}

@test "raw TCP: so many new ones in the window, open or not" {
	LIMITS='tcp = 3; tcp_window_s = 3600;' over fail
	under "$PY" "$TASKS" tcp 5
	[ "$(grep -E '^(ok|E|refused)' <<< "$output" | tr '\n' ' ')" = "ok ok ok ECONNREFUSED ECONNREFUSED " ]
	[[ "$output" = *"(rule limits.tcp): 3 raw TCP connections were made within 3600 s, and that is the limit"* ]]
	[ "$(lab count raw '"event":"accept"')" -eq 3 ]
	rm -f events
	LIMITS='tcp = 3; tcp_window_s = 3600;' over warn
	under "$PY" "$TASKS" tcp 5
	[ "$(grep -c '^ok' <<< "$output")" -eq 5 ]
	recorded 2 would_refuse
	rm -f events
	LIMITS='tcp = 3; tcp_window_s = 1;' over fail
	under sh -c "$PY $TASKS tcp 3; sleep 1.1; $PY $TASKS tcp 3"
	[ "$(grep -c '^ok' <<< "$output")" -eq 6 ]
}

@test "a program that becomes another one holds nothing; profile build has no limits" {
	LIMITS='request = 2;' over fail
	under "$PY" "$TASKS" exec
	[[ "$output" = *"ok 200"* ]]
	[[ "$output" != *too_many_tasks* ]]
	under "$PY" "$TASKS" spread 1 2 "$PY" "$TASKS" dial blocking
	[[ "$output" = *ECONNREFUSED* ]]
	rm -f events
	LIMITS= over fail 'profile = "build";'
	under "$PY" "$TASKS" many 15
	[[ "$output" = *"ok 15"* ]]
	recorded 0 would_refuse
	[[ "$output" != *too_many_tasks* ]]
}
