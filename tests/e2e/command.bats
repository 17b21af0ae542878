#!/usr/bin/env bats
# lab: both
# SPDX-License-Identifier: MIT
# The command as a user types it: help, exit statuses, what a program sees of it, and what is told at the end.

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
}

# leash ARG …: netleash run with $POLICY
leash() {
	"$NETLEASH" run -p "$POLICY" "$@"
}

# tell STATUS CMD …: ends with STATUS; standard error in $stderr
tell() {
	local want=$1
	shift
	if [ "$1" = leash ]; then
		shift
		set -- "$NETLEASH" run -p "$POLICY" "$@"
	fi
	run --separate-stderr timeout -k 5 30 "$@"
	printf '%s\n' "\$ $*" "$output" "$stderr" "[$status]"
	[ "$status" -eq "$want" ]
}

@test "help and version" {
	tell 0 "$NETLEASH" --version
	[[ $output =~ ^netleash\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	for command in run check explain; do
		tell 0 "$NETLEASH" "$command" --version
		[[ $output == netleash* ]]
		for help in "$command --help" "$command -h" "help $command"; do
			# shellcheck disable=SC2086
			tell 0 "$NETLEASH" $help
			[[ $output == "Usage: netleash $command "*"Options:"* ]]
			[ -z "$stderr" ]
		done
	done
	for help in --help -h help; do
		tell 0 "$NETLEASH" $help
		[[ $output == *run*check*explain* ]]
		[[ $output != *compile-image* ]]
	done
	tell 100 "$NETLEASH"
	[ -z "$output" ]
	[[ $stderr == "Usage: netleash COMMAND"* ]]
	# Behind the program's name it is the program's.
	tell 0 leash --quiet -- sh -c 'echo "$1"' sh --help
	[ "$output" = --help ]
	tell 0 leash --quiet sh -c 'echo "$1"' --help --version
	[ "$output" = --version ]
	if "$NETLEASH" --help > /dev/full 2> err; then return 1; fi
	grep -q 'standard output: ' err
}

@test "a wrong command line: 100, what is wrong, where help is, and nothing started" {
	while IFS='|' read -r args words; do
		# shellcheck disable=SC2086
		tell 100 "$NETLEASH" $args
		[ -z "$output" ]
		[[ $stderr == "netleash: "*"$words"*"--help"* ]]
		[ ! -e started ]
	done <<-END
		frobnicate|unknown command "frobnicate"
		rnu touch started|did you mean run
		run|no program given
		run -p|-p wants a value
		run --events|wants a value
		run --polcy x touch started|did you mean --policy
		run -x touch started|unknown option "-x"
		run --audit=yes touch started|takes no value
		run -p $POLICY --profile wechta touch started|wechat
		run -p $POLICY --platform windows touch started|android, ios, devtools
		check --bogus|unknown option
		explain -p $POLICY|target
		help frobnicate|frobnicate
	END
}

@test "no policy at all: 101, and how to give one" {
	while read -r args; do
		# shellcheck disable=SC2086
		tell 101 env -u NETLEASH_POLICY "$NETLEASH" $args
		[ -z "$output" ]
		[[ $stderr == "netleash: ${args%% *}: no policy: give "*"--project DIR, or set NETLEASH_POLICY"* ]]
		[ ! -e started ]
	done <<-END
		run touch started
		check
		explain https://api.example.com
	END
}

@test "the exit status is the program's" {
	for status in 0 1 2 42 99 125 200 255; do
		tell "$status" leash -- sh -c "exit $status"
		tell "$status" leash --no-summary --audit sh -c "exit $status"
	done
	for signal in HUP INT QUIT KILL TERM PIPE SEGV ABRT USR1; do
		tell $((128 + $(kill -l $signal))) leash -- sh -c "ulimit -c 0; kill -$signal \$\$"
	done
	# It ends by the signal itself.
	"$PY" -c 'import subprocess, sys
assert subprocess.run(sys.argv[1:]).returncode == -15' "$NETLEASH" run -p "$POLICY" sh -c 'kill $$'
}

@test "programs that are not there, or cannot be executed" {
	touch plain
	mkdir dir
	ln -s nowhere dangling
	printf '#!/nonexistent/interpreter\n' > lost
	chmod +x lost
	while IFS='|' read -r status program words; do
		tell "$status" leash -- "$program"
		[ -z "$output" ]
		[[ $stderr == *"netleash: "*"$words"* ]]
		[[ $stderr == *"$program"* ]]
	done <<-'END'
		127|nosuchprogram|no such program in PATH
		127|./nosuchprogram|no such program
		127|/nonexistent/program|no such program
		127|./dangling|no such program
		126|./plain|Permission denied
		126|./dir|directory
		126|./lost|/nonexistent/interpreter
	END
	# The policy comes first: its faults are told even so.
	tell 101 "$NETLEASH" run -p absent.cfg nosuchprogram
}

@test "standard input, output and error are the program's" {
	head -c 3000000 /dev/urandom > data
	leash -- cat < data > copy 2> err
	cmp data copy
	cat data | leash -- cat | cmp data -
	leash --quiet -- sh -c 'echo out; echo err >&2' > out 2> err
	[ "$(cat out)" = out ]
	[ "$(cat err)" = err ]
	# Other descriptors too, and those that are closed stay closed.
	leash --quiet -- sh -c 'cat <&7 >&9' 7< data 9> copy
	cmp data copy
	run leash --quiet -- sh -c 'ls /proc/self/fd | tr "\n" " "' < /dev/null
	plain=$(sh -c 'ls /proc/self/fd | tr "\n" " "' < /dev/null)
	echo "$output / $plain"
	[ "$output" = "$plain" ]
	leash --quiet -- sh -c '[ ! -e /proc/self/fd/0 ] && echo closed' <&- > out 2> err
	[ "$(cat out)" = closed ]
	leash --quiet -- sh -c 'echo nothing' >&- 2>&- <&- || true
	# An early end of the reader.
	set +o pipefail
	leash --quiet -- yes | head -1 > out
	status=("${PIPESTATUS[@]}")
	[ "${status[0]}" -eq 141 ]
	[ "$(cat out)" = y ]
}

@test "arguments, environment, directory, umask and limits are the program's" {
	run leash --quiet -- "$PY" -c 'import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])' '' ' a b ' $'line\nline' '$HOME' '*' $'\xff' -- -p
	echo "$output"
	[ "$output" = "[b'', b' a b ', b'line\\nline', b'\$HOME', b'*', b'\\xff', b'--', b'-p']" ]
	export EMPTY= ODD=$'a\nb' NUMBER=1
	leash --quiet -- env -0 | tr '\0\n' '\n?' | grep -vE '^(LD_PRELOAD|NETLEASH_[A-Z]*|_)=' | sort > inside
	env -0 | tr '\0\n' '\n?' | grep -vE '^(LD_PRELOAD|NETLEASH_[A-Z]*|_)=' | sort > outside
	diff outside inside
	mkdir -p 'a directory'
	(
		cd 'a directory'
		umask 027
		ulimit -n 200
		leash --quiet -- sh -c 'pwd; umask; ulimit -n; touch file' > ../out
	)
	[ "$(cat out)" = "$BATS_TEST_TMPDIR/a directory"$'\n'0027$'\n'200 ]
	[ "$(stat -c %a 'a directory/file')" = 640 ]
	# Signals that were ignored stay so, and nothing more is blocked or ignored.
	run leash --quiet -- grep -E '^Sig(Blk|Ign)' /proc/self/status
	[ "$output" = "$(grep -E '^Sig(Blk|Ign)' /proc/self/status)" ]
	run bash -c 'trap "" USR1 HUP; "$0" run --quiet -p "$1" -- grep -E "^Sig(Blk|Ign)" /proc/self/status; grep -E "^Sig(Blk|Ign)" /proc/self/status' "$NETLEASH" "$POLICY"
	[ "$(sort -u <<< "$output" | wc -l)" -eq 2 ]
}

@test "signals sent to netleash reach the program" {
	for signal in TERM INT HUP QUIT USR1 USR2; do
		rm -f said
		mkfifo said
		# (What is started in the background of a script ignores INT and QUIT.)
		env --default-signal "$NETLEASH" run -p "$POLICY" --quiet -- bash -c "trap 'echo got $signal; exit 7' $signal; echo ready; while :; do sleep 0.02; done" > said &
		child=$!
		exec 5< said
		read -r -t 20 line <&5
		[ "$line" = ready ]
		kill "-$signal" "$child"
		read -r -t 20 line <&5
		[ "$line" = "got $signal" ]
		status=0
		wait "$child" || status=$?
		[ "$status" -eq 7 ]
		exec 5<&-
	done
}

@test "job control: what stops it stops the program, what wakes it wakes the program" {
	mkfifo said
	env --default-signal "$NETLEASH" run -p "$POLICY" --quiet -- bash -c 'echo $$; while [ ! -e go ]; do sleep 0.02; done; echo again' > said &
	child=$!
	exec 5< said
	read -r -t 20 program <&5
	kill -TSTP "$child"
	for _ in $(seq 200); do
		state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$program/status")
		[ "$state" != T ] || break
		sleep 0.02
	done
	[ "$state" = T ]
	touch go
	kill -CONT "$child"
	read -r -t 20 line <&5
	[ "$line" = again ]
	wait "$child"
}

@test "paths: other directories, relative ones, spaces, a symbolic link" {
	mkdir -p 'p a/ü' elsewhere
	cp "$POLICY" 'p a/ü/my game.cfg'
	tell 0 "$NETLEASH" run --quiet -p 'p a/ü/my game.cfg' --events 'p a/ev.jsonl' sh -c 'cd elsewhere && curl -sS https://api.example.com/'
	[[ $output == *"hello from web"* ]]
	grep -q '"event":"connect"' 'p a/ev.jsonl'
	cd elsewhere
	tell 6 "$NETLEASH" run -p '../p a/ü/my game.cfg' -- curl -sS https://apii.example.com/
	[[ $stderr == *"p a/ü/my game.cfg:3"* ]]
	cd ..
	ln -s "$NETLEASH" link
	tell 0 ./link run --quiet -p "$POLICY" -- curl -sS https://api.example.com/
	PATH=$(dirname "$NETLEASH"):$PATH tell 0 netleash run --quiet -p "$POLICY" -- curl -sS https://api.example.com/
	# With plain LD_PRELOAD a relative policy is the one of the start, wherever the program goes.
	mkdir -p other
	echo 'domains: {};' > other/game.cfg
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY=game.cfg sh -c 'cd other && curl -sS https://api.example.com/'
	[[ $output == *"hello from web"* ]]
	NETLEASH_POLICY=game.cfg tell 0 "$NETLEASH" run --quiet -- sh -c 'cd other && curl -sS https://api.example.com/'
}

@test "the policy from the environment, from -p, and who wins" {
	echo 'domains: {};' > none.cfg
	NETLEASH_POLICY=$PWD/none.cfg tell 6 "$NETLEASH" run -- curl -sS https://api.example.com/
	NETLEASH_POLICY=$PWD/none.cfg tell 0 "$NETLEASH" run -p "$POLICY" -- curl -sS https://api.example.com/
	NETLEASH_POLICY=$PWD/none.cfg NETLEASH_IMAGE=/nonexistent LD_PRELOAD= tell 0 leash -- curl -sS https://api.example.com/
	tell 0 leash --profile build --platform ios -- curl -sS https://api.example.com/
	tell 7 leash --profile build -- curl -sS http://192.0.2.20/
	[[ $stderr == *"lan.allow"* ]]
	tell 0 leash -- curl -sS http://192.0.2.20/
}

@test "--project and domains_file" {
	mkdir project
	echo '{"networkTimeout": {"request": 5000}}' > project/game.json
	echo '{"appid": "wx1234567890abcdef", "setting": {"urlCheck": true}}' > project/project.config.json
	tell 6 "$NETLEASH" run --project project -- curl -sS https://api.example.com/
	[[ $stderr == *"not_in_domain_list"* ]]
	# The developer tools' switch, and the private file over it.
	echo '{"setting": {"urlCheck": false}}' > project/project.private.config.json
	tell 0 "$NETLEASH" run --project project -- curl -sS https://api.example.com/
	[[ $stderr == *"skip_domain_check is on"*"works only because validation is skipped"*"api.example.com"*"skip_domain_check was on"* ]]
	# What the platform's get-domain-info answers.
	cat > domains.json <<-'END'
		{"errcode": 0, "requestdomain": ["https://api.example.com"], "wsrequestdomain": ["wss://play.example.com"],
		 "uploaddomain": [], "downloaddomain": ["https://cdn.example.com"], "udpdomain": [], "tcpdomain": ["tcp://raw.example.com"]}
	END
	echo 'domains_file = "domains.json";' > fetched.cfg
	POLICY=$PWD/fetched.cfg
	tell 0 leash -- curl -sS https://api.example.com/
	tell 0 leash -- curl -sS https://cdn.example.com/
	tell 0 leash -- "$PY" "$DIAL" connect raw.example.com 9000 hello
	tell 6 leash -- curl -sS https://up.example.com/
	[[ $stderr == *"not_in_domain_list"* ]]
	# Plain LD_PRELOAD has a variable for it.
	run env LD_PRELOAD="$SHIM" NETLEASH_PROJECT="$PWD/project" curl -sS https://api.example.com/
	[[ $output == *"hello from web"* ]]
}

@test "the summary" {
	tell 6 leash -- sh -c 'curl -sS https://api.example.com/bytes/5000 -o got; curl -sS http://api.example.com/; curl -sS https://apii.example.com/'
	[[ $stderr == *"netleash: 2 connections to 1 host, "*" sent, "*" received, 2 refused"* ]]
	grep -qE '^ +HOST +PORT +CONNECTIONS +REQUESTS +SENT +RECEIVED +REFUSED$' <<< "$stderr"
	grep -qE '^ +api\.example\.com +443 +1 +1 +[0-9]+ B +[67]\.[0-9] KiB +-$' <<< "$stderr"
	grep -qE '^ +api\.example\.com +80 +1 .* 1 plaintext$' <<< "$stderr"
	grep -qE '^ +apii\.example\.com +- +0 .* 1 not_in_domain_list$' <<< "$stderr"
	[[ $stderr == *"the nearest entry is \`api.example.com\` ($POLICY:3)"* ]]
	tell 6 leash --no-summary -- curl -sS https://evil.example.net/
	[[ $stderr == *"refused: not_in_domain_list"* ]]
	[[ $stderr != *"CONNECTIONS"* ]]
	tell 6 leash --quiet -- curl -s https://evil.example.net/
	[ -z "$stderr" ]
	# Without a network there is nothing to tell.
	tell 0 leash -- true
	[[ $stderr != *"connection"* ]]
	# Processes of a run are counted together.
	tell 0 leash -- sh -c 'for i in 1 2 3 4 5; do curl -sS https://api.example.com/ & done; wait'
	grep -qE '^ +api\.example\.com +443 +5 ' <<< "$stderr"
}

@test "--fail-on-violation" {
	tell 102 leash --fail-on-violation -- curl -sS https://evil.example.net/
	tell 102 leash --fail-on-violation --quiet -- sh -c 'curl -s https://evil.example.net/; true'
	tell 0 leash --fail-on-violation -- curl -sS https://api.example.com/
	tell 3 leash --fail-on-violation -- sh -c 'exit 3'
	tell 102 leash --fail-on-violation -- sh -c '"$0"; true' "$SNIP/exec_static"
	[[ $stderr == *"1 refused"*"1 program refused: cannot carry the policy"* ]]
}

@test "--audit and skip_domain_check say what they let through" {
	tell 0 leash --audit --events ev.jsonl -- curl -sSk https://evil.example.net/ http://api.example.com/ http://203.0.113.66/
	[ "$(grep -c 'hello from' <<< "$output")" -eq 3 ]
	[[ $stderr == "netleash: audit is on: nothing is refused"*"works only because nothing is refused (audit)"*"evil.example.net"*"audit was on: nothing was refused"* ]]
	[[ $stderr == *"api.example.com port 80: 1 plaintext"* ]]
	grep -q '"verdict":"would_refuse".*"reason":"plaintext"' ev.jsonl
	if grep -q '"verdict":"refused"' ev.jsonl; then return 1; fi
	tell 0 leash --audit --fail-on-violation --quiet -- curl -sSk https://evil.example.net/
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	[[ $stderr == *"audit is on"* ]]
	policy audit 'mode = "audit";'
	tell 0 leash -- "$PY" -c 'import socket
s = socket.socket(); s.bind(("0.0.0.0", 0)); s.listen()
socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.66", 9001))
try: socket.create_connection(("127.0.0.1", 9))
except ConnectionRefusedError: pass'
	lab saw evil datagram

	policy skip 'skip_domain_check = true;'
	tell 0 leash --events skip.jsonl -- curl -sSk https://evil.example.net/ http://api.example.com/
	[[ $stderr == *"skip_domain_check is on"*"works only because validation is skipped"*"evil.example.net port 443: 1 not_in_domain_list"*"skip_domain_check was on"* ]]
	grep -q '"verdict":"would_refuse".*"host":"evil.example.net"' skip.jsonl
	# What it does not skip (policy 10).
	for address in 127.0.0.1 192.0.2.10 0.0.0.0; do
		tell 7 leash --no-summary -- curl -sS "http://$address/"
		grep -qE 'refused: (loopback|own_address|unspecified_address) ' <<< "$stderr"
	done
	tell 6 leash -- curl -sS https://blocked.example.com/
	[[ $stderr == *"blocked_domain"* ]]
	# The same with plain LD_PRELOAD.
	under curl -sSk https://evil.example.net/
	[ "$status" -eq 0 ]
	[[ $output == *"hello from evil"* ]]
}

@test "a run on a leash is refused, and so is an installation that is not whole" {
	tell 111 leash --quiet -- "$NETLEASH" run -p "$POLICY" touch started
	[[ $stderr == *"already on a leash"* ]]
	[ ! -e started ]
	mkdir alone 'with space' both
	cp "$NETLEASH" alone/
	tell 111 alone/netleash run -p "$POLICY" touch started
	[[ $stderr == *"libnetleash.so"* ]]
	cp "$NETLEASH" "$SHIM" 'with space/'
	tell 111 'with space/netleash' run -p "$POLICY" touch started
	[[ $stderr == *"space"* ]]
	[ ! -e started ]
	cp "$NETLEASH" "$SHIM" "$BUILD/libnetleash-verify.so" both/
	tell 0 both/netleash run --quiet -p "$POLICY" -- curl -sS https://api.example.com/
	tell 6 both/netleash run -p "$POLICY" -- curl -sS https://evil.example.net/
	# The command that compiles is missing: with plain LD_PRELOAD everything is refused, and said.
	mkdir half
	cp "$SHIM" half/
	run env LD_PRELOAD="$PWD/half/libnetleash.so" NETLEASH_POLICY="$POLICY" curl -sS https://api.example.com/
	[ "$status" -eq 6 ]
	[[ $output == *"every network call is refused: no usable policy: cannot run $PWD/half/netleash, which compiles the policy"* ]]
}

@test "what a program leaves running is waited for; two runs do not meet" {
	tell 0 leash -- sh -c '(sleep 0.3; curl -sS https://api.example.com/ > late) & exit 0'
	grep -q 'hello from web' late
	grep -qE '^ +api\.example\.com +443 +1 ' <<< "$stderr"
	echo 'domains: {};' > none.cfg
	leash -- sh -c 'for i in 1 2 3; do curl -sS https://api.example.com/; done' > a.out 2> a.err &
	first=$!
	status=0
	"$NETLEASH" run -p none.cfg -- sh -c 'for i in 1 2 3; do curl -sS https://api.example.com/; done' > b.out 2> b.err || status=$?
	wait "$first"
	[ "$status" -eq 6 ]
	grep -q '3 connections to 1 host, .* 0 refused' a.err
	grep -q '0 connections to 0 hosts, .* 3 refused' b.err
	# Nothing of a run is left.
	tell 0 leash -- curl -sS https://api.example.com/
	run find "$XDG_RUNTIME_DIR" -mindepth 2
	[ -z "$output" ]
}

@test "explain: what run does, without running" {
	while IFS='|' read -r target verdict words; do
		tell 0 "$NETLEASH" explain -p "$POLICY" "$target"
		[[ $output == *"$verdict"* ]]
		[[ $output == *"$words"* ]]
	done <<-'END'
		https://api.example.com/x?y=z|allowed|domains.request[0]
		https://evil.example.net/|not_in_domain_list|add "https://evil.example.net" to domains.request
		http://api.example.com/|plaintext|https
		https://198.51.100.11/|ip_literal|address.public
		127.1:8080|loopback|loopback.allow_ports
		http://192.0.2.20/|allowed|lan.allow
		api.example.com=127.0.0.1|loopback|resolved to 127.0.0.1
		udp://api.example.com:443|transport|domains.udp
		tcp://raw.example.com:9000|allowed|domains.tcp[0]
		tcp://raw.example.com:22|forbidden_port|forbidden
		https://blocked.example.com|blocked_domain|domains.blocked
	END
	tell 102 "$NETLEASH" explain -p "$POLICY" --fail-on-violation evil.example.net
	tell 0 "$NETLEASH" explain -p "$POLICY" --json api.example.com evil.example.net
	"$PY" -c 'import json, sys
good, bad = json.loads(sys.argv[1])
assert good["verdict"] == "allowed" and bad["reason"] == "not_in_domain_list" and bad["hint"], (good, bad)' "$output"
	[ "$(lab questions)" -eq 0 ]
}
