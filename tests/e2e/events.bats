#!/usr/bin/env bats
# lab: both
# SPDX-License-Identifier: MIT
# Events (policy 12): one JSON object a line, whole, whoever writes; everything that is needed, no secrets.

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
	# json FILE EXPRESSION: every line is an object; EXPRESSION over the list e is true
	cat > lines.py <<-'END'
		import json, re, sys
		data = open(sys.argv[1], "rb").read()
		assert data.endswith(b"\n"), "cut off"
		e = []
		for line in data.split(b"\n")[:-1]:
		    one = json.loads(line.decode("utf-8"), object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else 1 / 0)
		    assert len(line) < 2048, len(line)
		    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]), one
		    assert isinstance(one["pid"], int) and one["exe"].startswith("/"), one
		    assert one["event"] in "resolve connect request refused interrupted timeout state policy".split(), one
		    if one["event"] == "refused":
		        assert one["verdict"] == "refused", one
		        for field in "reason", "errMsg", "rule", "hint", "call", "api":
		            assert one[field], (field, one)
		        assert isinstance(one["errno"], int) and one["errno"] > 0, one
		    e.append(one)
		result = eval(sys.argv[2].replace("\n", " "))
		if not result:
		    print(*map(str, e[:40]), sep="\n")
		    sys.exit(1)
	END
}

json() {
	"$PY" lines.py "$1" "$2"
}

@test "run --events: what was resolved, connected, refused" {
	run "$NETLEASH" run -p "$POLICY" --events ev.jsonl -- sh -c 'curl -sS https://api.example.com/; curl -sS https://evil.example.net/
		curl -sS http://203.0.113.66/; curl -sS http://127.0.0.1/; curl -sS http://api.example.com/
		"$0" -c "import socket; socket.socket(2, 3, 1)"; true' "$PY"
	[ "$status" -eq 0 ]
	json ev.jsonl 'any(x["event"] == "policy" and x["verdict"] == "allowed" and x["detail"].endswith("game.cfg") for x in e)'
	json ev.jsonl 'any(x["event"] == "resolve" and x["host"] == "api.example.com" and x["verdict"] == "allowed"
		and x["rule"].startswith("domains.request[0] (") for x in e)'
	json ev.jsonl 'any(x["event"] == "connect" and x["host"] == "api.example.com" and x["address"] == "198.51.100.11"
		and x["port"] == 443 and x["transport"] == "tcp" and x["exe"].endswith("/curl") for x in e)'
	json ev.jsonl '[(x["reason"], x.get("errCode"), x["errno"], x["errMsg"]) for x in e if x["event"] == "refused"][:4] == [
		("not_in_domain_list", 600002, 13, "request:fail url not in domain list:evil.example.net"),
		("ip_literal", 600002, 13, "request:fail url not in domain list:203.0.113.66"),
		("loopback", 600002, 13, "request:fail url not in domain list:127.0.0.1"),
		("plaintext", 600009, 13, "request:fail url scheme must be https/wss")]'
	json ev.jsonl 'any(x.get("reason") == "transport" and "/python3" in x["exe"] for x in e)'
	json ev.jsonl 'len({x["pid"] for x in e}) == 6'
	# What was refused stands on standard error as well, with the same words.
	[ "$(grep -c '^netleash: .* refused: ' <<< "$output")" -eq "$(grep -c '"event":"refused"' ev.jsonl)" ]
}

@test "plain LD_PRELOAD: NETLEASH_EVENTS, relative, appended, by children elsewhere" {
	echo '{"mine":1}' > ev.jsonl
	mkdir sub
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" NETLEASH_EVENTS=ev.jsonl sh -c 'cd sub && curl -sS https://api.example.com/ && curl -s https://evil.example.net/'
	[ ! -e sub/ev.jsonl ]
	[ "$(head -1 ev.jsonl)" = '{"mine":1}' ]
	sed -i 1d ev.jsonl
	json ev.jsonl 'sum(x["event"] == "refused" for x in e) == 1 and sum(x["event"] == "connect" and x["call"] == "connect" for x in e) == 1'
	# A file that cannot be written stops neither the program nor the refusals.
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" NETLEASH_EVENTS=/nonexistent/ev.jsonl curl -sS https://api.example.com/
	[ "$status" -eq 0 ]
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" NETLEASH_EVENTS=/dev/full curl -sS https://evil.example.net/
	[ "$status" -eq 6 ]
	refused not_in_domain_list
}

@test "run: a file for events that cannot be written is told before anything starts" {
	for file in /nonexistent/ev.jsonl sub; do
		mkdir -p sub
		run "$NETLEASH" run -p "$POLICY" --events "$file" -- touch started
		[ "$status" -eq 111 ]
		[[ $output == *"--events \"$file\": "* ]]
		[ ! -e started ]
	done
	run "$NETLEASH" run -p "$POLICY" --events /dev/full -- curl -sS https://api.example.com/
	[ "$status" -eq 0 ]
	[[ $output == *"could not be written"* ]]
}

@test "twenty processes at once: whole lines, none lost" {
	cat > many.py <<-'END'
		import socket, sys
		for i in range(200):
		    try:
		        socket.create_connection(("203.0.113.66", 1 + i), 5)
		    except PermissionError:
		        pass
	END
	run "$NETLEASH" run --quiet -p "$POLICY" --events ev.jsonl -- sh -c "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		$PY many.py & done; wait"
	[ "$status" -eq 0 ]
	json ev.jsonl 'sum(x["event"] == "refused" for x in e) == 4000'
	json ev.jsonl 'len({(x["pid"], x["port"]) for x in e if x["event"] == "refused"}) == 4000'
	# Threads of one process as well.
	cat > threads.py <<-'END'
		import socket, threading
		def work(n):
		    for i in range(100):
		        try:
		            socket.create_connection(("203.0.113.66", 1 + n * 100 + i), 5)
		        except PermissionError:
		            pass
		threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
		for t in threads: t.start()
		for t in threads: t.join()
	END
	run "$NETLEASH" run --quiet -p "$POLICY" --events th.jsonl -- "$PY" threads.py
	[ "$status" -eq 0 ]
	json th.jsonl 'len({x["port"] for x in e if x["event"] == "refused"}) == 2000'
}

@test "no secrets: neither paths nor queries nor headers nor bodies" {
	run "$NETLEASH" run -p "$POLICY" --events ev.jsonl -- curl -sS -H 'Authorization: Bearer SECRET' -u 'user:SECRET' \
		-d 'password=SECRET' 'https://api.example.com/echo?token=SECRET' 'http://192.0.2.20/echo?token=SECRET' \
		'https://evil.example.net/SECRET?token=SECRET' 'http://api.example.com/?token=SECRET'
	json ev.jsonl 'sum(x["event"] == "refused" for x in e) >= 2'
	if grep SECRET ev.jsonl; then return 1; fi
	# (The lab's servers did get it.)
	lab saw web SECRET
	if grep '^netleash' <<< "$output" | grep SECRET; then return 1; fi
}

@test "hostile names stay inside their line" {
	under "$PY" -c 'import ctypes, sys
libc = ctypes.CDLL(None)
for name in [b"evil\x1b[31m.example.net", b"a\"b.example.net", b"a\\b.example.net", b"line\nbreak.example.net", b"\xff\xfe.example.net",
             b"x" * 300, b"a." * 200, b"<script>.example.net", b"\xe2\x80\xae.example.net", b"tab\t.example.net"]:
    result = ctypes.c_void_p()
    assert libc.getaddrinfo(name, b"443", None, ctypes.byref(result)) != 0'
	[ "$status" -eq 0 ]
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" NETLEASH_EVENTS="$PWD/ev.jsonl" "$PY" -c 'import ctypes, os, shutil, sys
libc = ctypes.CDLL(None)
for name in [b"evil_x.example.net", b"evil.example.net", b"bl\xc3\xbc.example.net"]:
    result = ctypes.c_void_p()
    assert libc.getaddrinfo(name, b"443", None, ctypes.byref(result)) != 0'
	json ev.jsonl 'sum(x["event"] == "refused" for x in e) == 3'
	# A program whose own name is hostile.
	cp "$(command -v nc)" $'n"c\n\x1b[31m\xff'
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" NETLEASH_EVENTS="$PWD/odd.jsonl" ./$'n"c\n\x1b[31m\xff' -z 203.0.113.66 443
	json odd.jsonl 'any(x["event"] == "refused" for x in e)'
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	if grep -q $'\x1b' <<< "$output"; then return 1; fi
	[ "$(lab questions)" -eq 0 ]
}

@test "audit: would_refuse, with the reason it would have had" {
	run "$NETLEASH" run -p "$POLICY" --audit --events ev.jsonl -- curl -sSk https://evil.example.net/ http://api.example.com/ http://10.99.0.5/
	[ "$status" -eq 0 ]
	json ev.jsonl 'not any(x["event"] == "refused" for x in e)'
	json ev.jsonl '{x["reason"] for x in e if x["verdict"] == "would_refuse"} == {"not_in_domain_list", "plaintext", "other_private_network"}'
	json ev.jsonl 'all(x["hint"] and x["rule"] and "errno" not in x for x in e if x["verdict"] == "would_refuse")'
	json ev.jsonl 'not any(x["event"] == "connect" and x["call"] == "getaddrinfo" for x in e)'
}

@test "a policy that is unusable is an event too" {
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY=/nonexistent.cfg NETLEASH_EVENTS="$PWD/ev.jsonl" curl -sS https://api.example.com/
	[ "$status" -eq 6 ]
	json ev.jsonl 'any(x["event"] == "policy" and x["verdict"] == "refused" and "/nonexistent.cfg" in x["detail"] for x in e)'
	json ev.jsonl 'any(x["event"] == "refused" and x["reason"] == "no_policy" for x in e)'
}
