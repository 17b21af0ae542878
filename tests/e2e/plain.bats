#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Plain http to a neighbour on the LAN (policy 3, 9; TLS 12): read and rewritten as TLS plaintext is, by whatever
# calls the program uses; judged from the far side.

bats_require_minimum_version 1.5.0
load lib

PY=/usr/bin/python3
PLAIN=$BATS_TEST_DIRNAME/plain.py
REFERER=https://appservice.wx.com/wx0123456789abcdef/0/page-frame.html
export PYTHONDONTWRITEBYTECODE=1

setup() {
	lab reset-logs
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	cd "$BATS_TEST_TMPDIR"
	PEER=$LAB_PEER_ADDR
	policy game 'limits: { over = "fail"; };'
}

# under CMD …: with $POLICY; a program that hangs fails the test
under() {
	run timeout -k 5 50 "$NETLEASH" run -p "$POLICY" --no-summary --events "$BATS_TEST_TMPDIR/events" -- "$@"
	echo "\$ $*"
	echo "$output"
	[ "$status" -ne 124 ]
	[ "$status" -ne 137 ]
}

# heads COUNT: so many requests arrived, each with exactly one Referer, ours, directly behind the request line
heads() {
	[ "$(lab count peer '"event":"request"')" -eq "$1" ]
	"$PY" - "$LAB_LOG/peer.jsonl" "$REFERER" <<-'END'
		import json, sys
		for line in open(sys.argv[1]):
		    fact = json.loads(line)
		    if fact["event"] != "request":
		        continue
		    lines = fact["raw"].split("\r\n")
		    assert lines[1] == "Referer: " + sys.argv[2], fact
		    found = [n for n, _ in fact["headers"] if n.strip().lower() == "referer"]
		    assert len(found) == 1, fact
		    assert "folded" not in fact["raw"], fact
	END
}

@test "curl, python and node: the server sees one Referer, ours, and the programs their answers" {
	under curl -sS -e http://evil.test/ -H 'referer: two' "http://$PEER/" http://lan.example.com/
	[ "$status" -eq 0 ]
	[ "$(grep -c 'hello from peer' <<< "$output")" -eq 2 ]
	heads 2
	under "$PY" "$PLAIN" chunked
	[[ "$output" = *"86388 True"* ]]
	heads 3
	lab saw peer '"event":"body","conn":[0-9]+,"len":86388'
	if command -v node; then
		cat > get.js <<-'END'
			const http = require("http");
			const r = http.request({host: process.argv[2], path: "/echo", method: "POST", headers: {Referer: "no"}},
				a => { a.setEncoding("utf8"); a.on("data", d => process.stdout.write(d)); });
			r.write("one "); setTimeout(() => r.end("two\n"), 50);
		END
		under node get.js "$PEER"
		[[ "$output" = *"one two"* ]]
		heads 4
	fi
	grep -q '"event":"request","verdict":"allowed","api":"request".*"host":"lan.example.com"' events
	# Without netleash the same programs send what they wrote.
	lab reset-logs
	curl -sS -o /dev/null -e http://evil.test/ "http://$PEER/"
	lab saw peer '"Referer","http://evil.test/"'
}

@test "every call that sends, in whatever pieces; pipelined; the body is not touched" {
	under "$PY" "$PLAIN" out
	[ "$(grep -c "'20', '$(printf 'Referer: in a body\r\n' | sha256sum | cut -d' ' -f1)'" <<< "$output")" -eq 12 ]
	heads 12
	[ "$(lab count peer '"X-Referer","stays"')" -eq 12 ]
	lab reset-logs
	under "$PY" "$PLAIN" pipeline
	[[ "$output" = *"400 401 402 403 404 405 406 407 408 409"* ]]
	heads 10
}

@test "every call that receives, in buffers of every size: one BOM less, UTF-8, and poll() never stalls" {
	under "$PY" "$PLAIN" read
	[[ "$output" = *done* ]]
	[ "$(grep -c '^/json?bom=2 [0-9a-f]* efbbbf7b$' <<< "$output")" -eq 36 ]
	for target in '/json?bom=2' '/text/gbk?frame=chunked' /charset/gb18030 /text/utf-16le; do
		[ "$(grep -cF "$target " <<< "$output")" -eq 36 ]
		[ "$(grep -F "$target " <<< "$output" | sort -u | wc -l)" -eq 1 ]
	done
	grep -q "^/charset/gb18030 $(printf '你好, world\n' | sha256sum | cut -c1-12)" <<< "$output"
	grep -q "^/text/gbk?frame=chunked $(curl -sS "http://$PEER/text/gbk" | iconv -f gbk -t utf-8 | sha256sum | cut -c1-12)" <<< "$output"
	under curl -sS "http://$PEER/charset/gbk"
	[[ "$output" = *"你好, world"* ]]
	under "$PY" "$PLAIN" peek
	[[ "$output" = *"peek 1 read b'marked\\n'"* ]]
	[[ "$output" = *"waitall 1000"* ]]
	[[ "$output" = *"empty EAGAIN EAGAIN"* ]]
}

@test "bodies: short counts on a full socket, files that nobody would see, and they arrive as they are" {
	under "$PY" "$PLAIN" upload 3000000
	[[ "$output" = *"short True True"* ]]
	under "$PY" "$PLAIN" files
	[ "$(grep -Ec '^(sendfile|splice) EINVAL$' <<< "$output")" -eq 3 ]
	[[ "$output" = *"sent 200000"*"200000 True"* ]]
	heads 2
	under curl -sS -o file "http://$PEER/file/5000000"
	curl -sS -o plain "http://$PEER/file/5000000"
	cmp file plain
	head -c 1000000 /dev/urandom > up
	under curl -sS -T up "http://$PEER/hash"
	[[ "$output" = *"1000000 $(sha256sum up | cut -d' ' -f1)"* ]]
}

@test "a request that is not finished in time ends with ETIMEDOUT, one that is does not" {
	policy game 'networkTimeout: { request = 1200; };'
	under "$PY" "$PLAIN" ended /hang /drip/100/0.1
	[ "$(grep -Ec '^/[^ ]* ETIMEDOUT 1[12][0-9][0-9] ETIMEDOUT ETIMEDOUT$|^/[^ ]* ETIMEDOUT 1[12][0-9][0-9] ' <<< "$output")" -eq 2 ]
	[ "$(grep -c 'ended: request:fail timeout (rule networkTimeout)' <<< "$output")" -eq 2 ]
	under curl -sS "http://$PEER/slow/0.5"
	[ "$status" -eq 0 ]
	[[ "$output" = *"slow 0.5"* ]]
	[[ "$output" != *ended* ]]
}

@test "in the background nothing new begins, and after the return it does" {
	mkfifo in out
	timeout -k 5 50 "$NETLEASH" run -p "$POLICY" --no-summary -- "$PY" "$PLAIN" later < in > out 2> err &
	exec 7> in 8< out
	read -r -t 30 line <&8
	[ "$line" = idle ]
	id=$(basename "$(dirname "$XDG_RUNTIME_DIR"/netleash/*/session)")
	"$NETLEASH" background "$id"
	echo 00 >&7
	read -r -t 30 line <&8
	[ "$line" = "00 ECONNABORTED" ]
	echo 01 >&7
	read -r -t 30 line <&8
	[ "$line" = "01 ECONNABORTED" ]
	"$NETLEASH" foreground "$id"
	echo 02 >&7
	read -r -t 30 line <&8
	[ "$line" = "02 202" ]
	exec 7>&- 8<&-
	wait
	grep -q ' refused: interrupted (rule background' err
	lab unseen peer '"target":"/status/20[01]"'
}

@test "what is no http stays as it is: raw bytes, a server that speaks first, a WebSocket behind its 101" {
	under "$PY" "$PLAIN" raw
	[ "$(grep -c '^True$' <<< "$output")" -eq 3 ]
	[[ "$output" = *"b'GE'"*"b'T / HTTP/1.1\\r\\nReferer: stays\\r\\n\\r\\n'"*"b'220 banne'"* ]]
	[[ "$output" != *refused* ]]
	under "$PY" "$PLAIN" websocket
	[[ "$output" = *101*True* ]]
	heads 1
	lab saw peer '"event":"message".*Referer: x'
	grep -q '"api":"connectSocket"' events
}

@test "a request that two parsers may read differently, or to another host, is refused and does not arrive" {
	under "$PY" "$PLAIN" bad
	[[ "$output" = *"two lengths: EACCES"*"smuggled: EACCES"*"other host: EACCES"*"its name: 200"* ]]
	[ "$(refused ambiguous_request | wc -l)" -eq 2 ]
	[ "$(refused name_mismatch | wc -l)" -eq 1 ]
	heads 1
}

@test "its requests are tasks: one too many is refused and does not arrive" {
	policy game 'limits: { over = "fail"; request = 1; };'
	under "$PY" "$PLAIN" tasks
	[[ "$output" = *"kept 403"*"second ECONNREFUSED"*"request ECONNREFUSED"*"third 403"* ]]
	[ "$(refused too_many_tasks | wc -l)" -eq 2 ]
	lab unseen peer '"target":"/status/404"'
	heads 3
}

@test "duplicates, fork, a close beside a read; places are given back" {
	policy game 'limits: { over = "fail"; tcp = 3; };'
	under "$PY" "$PLAIN" numbers
	[[ "$output" = *"dup b'status 200\\n'"*"child b'status 200\\n'"*closed*many* ]]
	[[ "$output" != *refused* ]]
	heads 1503
}

@test "switches: referer \"\" and profile build send what the program wrote; lan.require_tls refuses it" {
	policy game 'referer = "";'
	under curl -sS -e http://own.test/ "http://$PEER/bom/1"
	lab saw peer '"raw":"GET /bom/1 HTTP/1.1\\r\\nHost: [0-9.]*\\r\\nUser-Agent: [^"]*\\r\\nAccept: \*/\*\\r\\nReferer: http://own.test/\\r\\n\\r\\n"'
	[[ "$output" = *marked* && "$output" != *$'\xef\xbb\xbf'* ]]
	policy game 'profile = "build"; lan: { allow = true; };'
	under curl -sS "http://$PEER/bom/1"
	[[ "$output" = *$'\xef\xbb\xbf'marked* ]]
	policy game 'lan: { require_tls = true; };'
	lab reset-logs
	under curl -sS "http://$PEER/"
	[ "$status" -ne 0 ]
	refused plaintext
	lab unseen peer '"event":"request"'
}

@test "stdio: a stream comes by, and what cannot be seen is refused" {
	under "$PY" "$PLAIN" stdio
	[ "$(grep -c "^fdopen b'status 200" <<< "$output")" -eq 2 ]
	[ "$(grep -c '^dprintf -1 EINVAL$' <<< "$output")" -eq 3 ]
	heads 3
}
