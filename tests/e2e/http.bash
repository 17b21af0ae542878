# SPDX-License-Identifier: MIT
# For the tests of requests and answers: names of every list, what the far side saw, and clients.
# shellcheck shell=bash disable=SC2034

PY=/usr/bin/python3
REFERER=https://appservice.wx.com/wx0123456789abcdef/0/page-frame.html
export PYTHONDONTWRITEBYTECODE=1

# A test of its own, with a name of each list alone, and one of all four
fresh() {
	lab reset-logs
	cd "$BATS_TEST_TMPDIR" || return 1
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	lists
}

# lists [LINE …]: the policy
lists() {
	POLICY=$BATS_TEST_TMPDIR/http.cfg
	{
		cat <<-'END'
			appid = "wx0123456789abcdef";
			domains: {
				request = [ "https://api.example.com", "https://cdn.example.com" ];
				socket = [ "wss://play.example.com", "wss://cdn.example.com" ];
				uploadFile = [ "https://up.example.com", "https://cdn.example.com" ];
				downloadFile = [ "https://list.example.com", "https://cdn.example.com" ];
			};
		END
		printf '%s\n' "$@"
	} > "$POLICY"
	export POLICY
}

# under CMD …: with $POLICY and events; $output has both streams. A program that hangs fails the test.
under() {
	rm -f "$BATS_TEST_TMPDIR/events"
	run timeout -k 5 "${PATIENCE:-50}" "$NETLEASH" run -p "$POLICY" --no-summary --events "$BATS_TEST_TMPDIR/events" -- "$@"
	echo "\$ $*"
	echo "${output:0:3000}"
	echo "[$status]"
	[ "$status" -ne 124 ]
	[ "$status" -ne 137 ]
}

# pass CMD …: it works, and nothing was refused
pass() {
	under "$@"
	[ "$status" -eq 0 ]
	if grep '^netleash: ' <<< "$output"; then return 1; fi
}

# deny REASON WORDS CMD …: it fails, and our lines (curl tries a kept-alive connection twice) have WORDS in them
deny() {
	local reason=$1 words=$2
	shift 2
	under "$@"
	[ "$status" -ne 0 ]
	refused "$reason" | grep -qF -- "$words"
	if grep '^netleash: ' <<< "$output" | grep -v " refused: $reason (rule "; then return 1; fi
}

# heads LABEL COUNT: so many requests arrived there, each with one Referer, ours, behind the request line, and
# nothing of another in any line of them
heads() {
	[ "$(lab count "$1" '"event":"request"')" -eq "$2" ]
	"$PY" - "$LAB_LOG/$1.jsonl" "$REFERER" <<-'END'
		import json, sys
		for line in open(sys.argv[1]):
		    fact = json.loads(line)
		    if fact["event"] == "request":
		        lines = fact["raw"].split("\r\n")
		        assert lines[1] == "Referer: " + sys.argv[2], fact
		        assert sum(l.lower().lstrip().startswith("referer") for l in lines) == 1, fact
		        assert "evil" not in fact["raw"], fact
		    assert fact["event"] != "trailer" or "eferer" not in fact["raw"], fact
	END
}

# talk HOST: what comes in is sent over TLS in pieces of $PIECE bytes (all at once without), what comes back goes out
talk() {
	"$PY" -c '
import os, socket, ssl, sys
tls = ssl.create_default_context().wrap_socket(socket.create_connection((sys.argv[1], 443)), server_hostname=sys.argv[1])
tls.settimeout(20)
data = sys.stdin.buffer.read()
piece = int(os.environ.get("PIECE", "0")) or len(data)
try:
    for at in range(0, len(data), piece):
        tls.sendall(data[at:at + piece])
    while True:
        got = tls.recv(65536)
        if not got:
            break
        sys.stdout.buffer.write(got)
except OSError as e:
    sys.exit("%s %s" % (type(e).__name__, e))' "$@"
}

# upgrade HOST: asks for a WebSocket at /told; sends a message, prints it
upgrade() {
	"$PY" -c '
import socket, ssl, sys
host = sys.argv[1]
tls = ssl.create_default_context().wrap_socket(socket.create_connection((host, 443)), server_hostname=host)
tls.settimeout(20)
tls.sendall(b"GET /told HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nReferer: evil\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % host.encode())
file = tls.makefile("rb")
print(file.readline())
while file.readline() != b"\r\n": pass
tls.sendall(b"\x81\x82\0\0\0\0hi")
print("message", file.read(4)[2:].decode())' "$@"
}
export -f talk upgrade
export PY
