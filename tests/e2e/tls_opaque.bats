#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# TLS that no hook reaches (most builds of node have an OpenSSL of their own inside; else tests/snip/tls_inside.c): judged on the wire, by an own handshake
# where the wire does not show a certificate, and before the first byte of the program leaves
# (design: TLS 8, 9).

bats_require_minimum_version 1.5.0
load lib
load tls

setup() {
	if node_inside; then
		INSIDE=(node get.js)
	else
		INSIDE=("$SNIP/tls_inside")
	fi
	tls_setup
	cat > get.js <<'END'
// get.js NAME PORT COUNT [MIN-VERSION MAX-VERSION]: nothing is verified; one line an answer
const https = require("https"), [name, port, count, min, max] = process.argv.slice(2);
const agent = new https.Agent({ keepAlive: false, maxCachedSessions: 0 });
for (let i = 0; i < count; i++)
	https.get({ host: name, port, agent, path: "/", rejectUnauthorized: false, minVersion: min, maxVersion: max,
		ciphers: "DEFAULT:@SECLEVEL=0" }, (answer) => {
		console.log("got", answer.statusCode);
		answer.resume();
	}).on("error", (e) => console.log("failed", e.code));
END
}

teardown() {
	tls_teardown
}

get() {
	local name=$1
	shift
	leashed timeout 30 "${INSIDE[@]}" "$name.example.com" "${1:-443}" "${2:-1}" "${@:3}"
}

unseen_request() {
	lab unseen web '"event":"request"'
}

@test "TLS 1.3: an own handshake shows the certificate" {
	run get api 4433
	grep "^got 200" <<< "$output"
	lab saw web '"event":"request"'
	for name in $BAD; do
		lab reset-logs
		run get "$name" 4433
		grep "^failed EACCES" <<< "$output"
		refused certificate | grep -F "(rule $(rule_of "$name"), platform android)"
		unseen_request
		# without netleash it works
		"${INSIDE[@]}" "$name.example.com" 4433 1 | grep "^got 200"
	done
}

@test "TLS 1.2: the chain is read from the wire, no other connection is made" {
	run get api 4432
	grep "^got 200" <<< "$output"
	[ "$(lab count web '"event":"accept"')" -eq 1 ]
	for name in $BAD; do
		lab reset-logs
		run get "$name" 4432
		grep "^failed EACCES" <<< "$output"
		refused certificate | grep -F "(rule $(rule_of "$name"), platform android)"
		[ "$(lab count web '"event":"accept"')" -eq 1 ]
		unseen_request
	done
}

@test "TLS 1.1 is refused by the version that the server chose" {
	run get api 4431 1 TLSv1 TLSv1.2
	grep "^failed" <<< "$output"
	refused tls_version | grep -F 'TLS 1.1 was chosen'
	unseen_request
	"${INSIDE[@]}" api.example.com 4431 1 TLSv1 TLSv1.2 | grep "^got 200"
}

@test "one own handshake for many connections to one server, kept for the next ones" {
	run get api 4433 8
	[ "$(grep -c "^got 200" <<< "$output")" -eq 8 ]
	[ "$(lab count web '"event":"accept"')" -eq 9 ]
	[ "$(lab count web '"event":"request"')" -eq 8 ]
	# a refusal is kept as well
	lab reset-logs
	run get expired 4433 5
	[ "$(grep -c "^failed EACCES" <<< "$output")" -eq 5 ]
	[ "$(lab count web '"event":"accept"')" -eq 6 ]
	unseen_request
}

@test "the own handshake sends no request, and asks for the same name" {
	get api 4433
	[ "$(lab count web '"event":"hello".*"sni":"api.example.com"')" -eq 2 ]
	[ "$(lab count web '"event":"request"')" -eq 1 ]
}

@test "a session of TLS 1.2 shows no certificate: an own handshake does" {
	cat > resume.js <<'END'
const tls = require("tls"), [host, port] = process.argv.slice(2);
const options = { host, port, servername: host, rejectUnauthorized: false, maxVersion: "TLSv1.2" };
const talk = (session, then) => {
	let kept;
	const sock = tls.connect({ ...options, session }, () => {
		kept = sock.getSession();
		console.log("reused", sock.isSessionReused());
		sock.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	});
	sock.on("session", (s) => { kept = s; });
	sock.on("data", (d) => console.log("got", d.toString().slice(9, 12)));
	sock.on("error", (e) => console.log("failed", e.code));
	sock.on("close", () => then && then(kept));
};
talk(undefined, (session) => talk(session));
END
	node_inside || skip "no node with TLS of its own"
	run leashed node resume.js api.example.com 4432
	[ "$(grep -c "^got 200" <<< "$output")" -eq 2 ]
	grep "^reused true" <<< "$output"
	[ "$(lab count web '"event":"accept"')" -eq 3 ]
}

# A network of one more neighbour, and certificates for it: a good one, and its own
neighbour() {
	near true
	near_cert good
	near_own own
}

@test "a server that answers byte by byte, and one that asks for another hello" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	neighbour
	cat > pieces.py <<'END'
import socket, ssl, sys, threading
cert, version, curve, size = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert + ".pem", cert + ".key")
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
context.set_ecdh_curve(curve)
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(come, go, server_side=True)
    step = tls.do_handshake
    while True:
        done = False
        try:
            got = step()
            if step == tls.do_handshake:
                step = lambda: tls.read(4096)
                continue
            tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            done = True
        except ssl.SSLWantReadError:
            pass
        data = go.read()
        for i in range(0, len(data), int(size)):
            sock.sendall(data[i:i + int(size)])
        if done:
            return sock.close()
        data = sock.recv(65536)
        if not data:
            return sock.close()
        come.write(data)
def safely(sock):
    try:
        serve(sock)
    except (OSError, ssl.SSLError):
        sock.close()
listener = socket.create_server(("198.18.7.2", 4443))
open("ready", "w").close()
while True:
    threading.Thread(target=safely, args=[listener.accept()[0]], daemon=True).start()
END
	for args in "TLSv1_2 prime256v1 1" "TLSv1_3 prime256v1 1" "TLSv1_3 secp521r1 1" "TLSv1_3 secp521r1 65536"; do
		for cert in good own; do
			rm -f ready
			# shellcheck disable=SC2086
			nsenter -t "$FAR" -n python3 pieces.py "$cert" $args 3>&- &
			SERVER=$!
			until [ -e ready ]; do kill -0 "$SERVER"; done
			run get near 4443
			echo "$args $cert: $output"
			if [ "$cert" = good ]; then
				grep "^got 200" <<< "$output"
			else
				grep "^failed EACCES" <<< "$output"
				refused certificate | grep -F '(rule certificate.self_signed, platform android)'
			fi
			kill "$SERVER"
			wait "$SERVER" || true
		done
	done
}

@test "early data of TLS that nobody hooks does not leave" {
	cat > early.py <<'END'
import os, socket, sys
def vector(size, data):
    return len(data).to_bytes(size, "big") + data
extensions = b"".join((
    b"\x00\x00" + vector(2, vector(2, b"\x00" + vector(2, b"api.example.com"))),
    b"\x00\x0a" + vector(2, vector(2, b"\x00\x1d")),
    b"\x00\x0d" + vector(2, vector(2, b"\x04\x03\x08\x04")),
    b"\x00\x2b" + vector(2, vector(1, b"\x03\x04")),
    b"\x00\x33" + vector(2, vector(2, b"\x00\x1d" + vector(2, os.urandom(32))))))
if sys.argv[1] == "early":      # with the ticket that it needs (RFC 8446 4.2.10, 4.2.11)
    extensions += b"\x00\x2d" + vector(2, b"\x01\x01") + b"\x00\x2a" + vector(2, b"") + b"\x00\x29" + vector(
        2, vector(2, vector(2, os.urandom(64)) + os.urandom(4)) + vector(2, vector(1, os.urandom(32))))
hello = b"\x03\x03" + os.urandom(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\x00") + vector(2, extensions)
with socket.create_connection(("api.example.com", 4433), 20) as sock:
    try:
        sock.sendall(b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, hello)))
        if sys.argv[1] == "early":
            sock.sendall(b"\x17\x03\x03" + vector(2, os.urandom(100)))
            print("sent")
        else:
            print("server", sock.recv(1).hex())
    except PermissionError:
        print("EACCES")
END
	run leashed /usr/bin/python3 early.py early
	grep "^EACCES" <<< "$output"
	refused certificate | grep -F 'early data (0-RTT) would leave before the server has shown a certificate'
	# the same hello without it is answered
	leashed /usr/bin/python3 early.py plain | grep "^server 16"
	/usr/bin/python3 early.py early | grep "^sent"
}

@test "opaque_tls = \"allow\": name and version alone, with a record" {
	rules 'opaque_tls = "allow";'
	NETLEASH_EVENTS=$PWD/events run get expired 4433
	grep "^got 200" <<< "$output"
	[ "$(lab count web '"event":"accept"')" -eq 1 ]
	[ "$(grep -c 'opaque TLS' events)" -eq 1 ]
	run get api 4431 1 TLSv1 TLSv1.2
	refused tls_version
}

@test "opaque_tls = \"deny\": refused for what it is, hooked TLS goes on" {
	rules 'opaque_tls = "deny";'
	run get api 4433
	grep "^failed EACCES" <<< "$output"
	refused certificate | grep -F 'this TLS library cannot be checked'
	unseen_request
	[ "$(lab count web '"event":"accept"')" -eq 1 ]
	leashed curl -sSk https://api.example.com:4433/ | grep "hello from web"
	leashed wget -q -O - --no-check-certificate https://api.example.com:4433/ | grep "hello from web"
}

@test "a server that does not answer a second time is refused" {
	# A relay on the LAN takes one connection, and no more.
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	neighbour
	cp good.pem near.pem
	cp good.key near.key
	cat > once.py <<'END'
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("near.pem", "near.key")
listener = socket.create_server(("198.18.7.2", 4443), backlog=1)
open("ready", "w").close()
raw, _ = listener.accept()
listener.close()
try:
    with context.wrap_socket(raw, server_side=True) as sock:
        if sock.recv(1):
            open("arrived", "w").close()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
except OSError:
    pass
END
	nsenter -t "$FAR" -n python3 once.py 3>&- &
	SERVER=$!
	until [ -e ready ]; do kill -0 "$SERVER"; done
	run get near 4443
	grep "^failed EACCES" <<< "$output"
	refused certificate | grep -F 'an own handshake with the server, to see its certificate, failed: connection refused'
	wait "$SERVER" || true
	[ ! -e arrived ]
	# the same server, unleashed
	rm ready
	nsenter -t "$FAR" -n python3 once.py 3>&- &
	SERVER=$!
	until [ -e ready ]; do kill -0 "$SERVER"; done
	"${INSIDE[@]}" near.example.com 4443 1 | grep "^got 200"
	[ -e arrived ]
}

@test "a server that serves one after the other: refused before long, and the line says what to do" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	neighbour
	cat > serial.py <<'END'
import socket, ssl, sys, threading, time
way = sys.argv[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain("good.pem", "good.key")
listener = socket.create_server(("198.18.7.2", 4443))
def one(raw):
    try:
        if way == "slow":
            time.sleep(5)
        with context.wrap_socket(raw, server_side=True) as sock:
            if sock.recv(1):
                open("arrived", "w").close()
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    except OSError:
        pass
open("ready", "w").close()
while True:
    raw, _ = listener.accept()
    if way == "slow":
        threading.Thread(target=one, args=[raw], daemon=True).start()
    else:
        one(raw)
END
	serial() {
		rm -f ready arrived
		nsenter -t "$FAR" -n python3 serial.py "$1" 3>&- &
		SERVER=$!
		until [ -e ready ]; do kill -0 "$SERVER"; done
	}
	serial serial
	run get near 4443
	grep "^failed EACCES" <<< "$output"
	refused certificate | grep -F 'stays silent while the program'"'"'s own is open' | grep -F 'opaque_tls = "allow"'
	[ ! -e arrived ]
	# what the line says
	rules 'opaque_tls = "allow";'
	run get near 4443
	grep "^got 200" <<< "$output"
	[ -e arrived ]
	kill "$SERVER"
	wait "$SERVER" || true
	# One that is only slow, the first time and the second, is waited for.
	rules
	serial slow
	run get near 4443
	grep "^got 200" <<< "$output"
	kill "$SERVER"
	wait "$SERVER" || true
}

@test "audit: the server is looked at, recorded, and nothing changes" {
	rules 'mode = "audit";'
	NETLEASH_EVENTS=$PWD/events run get expired 4433
	grep "^got 200" <<< "$output"
	grep '"reason":"certificate"' events | grep '"verdict":"would_refuse"'
}

@test "under netleash run as well" {
	run "$NETLEASH" run -p "$POLICY" -- "${INSIDE[@]}" api.example.com 4433 1
	grep "^got 200" <<< "$output"
	lab reset-logs
	run "$NETLEASH" run -p "$POLICY" -- "${INSIDE[@]}" expired.example.com 4433 1
	grep "^failed EACCES" <<< "$output"
	unseen_request
}
