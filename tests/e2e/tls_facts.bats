#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The event of a handshake that was accepted has its facts: version, suite, issuer, end of the certificate
# (policy 12); and what rests on them.

bats_require_minimum_version 1.5.0
load lib
load tls

setup() {
	tls_setup
	cat > facts.py <<'END'
# facts.py VERSION SUITE CALL [DETAIL]: the one event of an accepted handshake says this
import json, re, subprocess, sys
version, suite, call = sys.argv[1:4]
events = [json.loads(line) for line in open("events")]
told = [e for e in events if e["event"] == "connect" and "tls" in e]
assert len(told) == 1, told
event = told[0]
assert event["event"] == "connect" and event["verdict"] == "allowed", event
assert event["host"] == "api.example.com" and event["port"] > 0 and event["call"] == call, event
tls = event["tls"]
assert tls["sni"] == "api.example.com" and tls["version"] == version, tls
assert re.fullmatch(suite, tls["cipher"]), tls
if len(sys.argv) > 4:
    assert sys.argv[4] in event["detail"], event
if sys.argv[4:] == ["was not"]:
    assert "issuer" not in tls and "notAfter" not in tls, tls
else:
    assert tls["issuer"] == "CN=Lab Intermediate,O=Lab", tls
    end = subprocess.run(["openssl", "x509", "-in", "leaf.pem", "-noout", "-enddate", "-dateopt", "iso_8601"],
                         capture_output=True, text=True).stdout
    assert end.strip() == "notAfter=" + tls["notAfter"].replace("T", " "), (end, tls)
# and the connection itself was told before, without them
plain = [e for e in events if e["event"] == "connect" and e["call"] == "connect"]
assert len(plain) == 1 and events.index(plain[0]) < events.index(event), events
END
	openssl x509 -in "$LAB_PKI/www.pem" -out leaf.pem
}

teardown() {
	tls_teardown
}

told() {
	python3 facts.py "$@" || { cat events; return 1; }
	rm events
}

TLS12='TLS_ECDHE_ECDSA_WITH_(AES_(128_GCM_SHA256|256_GCM_SHA384)|CHACHA20_POLY1305_SHA256)'
TLS13='TLS_(AES_(128_GCM_SHA256|256_GCM_SHA384)|CHACHA20_POLY1305_SHA256)'

@test "OpenSSL" {
	export NETLEASH_EVENTS=$PWD/events
	leashed curl -sSk -o out https://api.example.com:4432/
	told "TLS 1.2" "$TLS12" SSL_connect
	leashed curl -sSk -o out https://api.example.com:4433/
	told "TLS 1.3" "$TLS13" SSL_connect
	leashed curl -sSk --ciphers ECDHE-ECDSA-AES128-GCM-SHA256 -o out https://api.example.com:4432/
	told "TLS 1.2" TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 SSL_connect
}

@test "GnuTLS" {
	command -v wget > need || skip "no wget"
	export NETLEASH_EVENTS=$PWD/events
	leashed wget -q -O out --no-check-certificate https://api.example.com:4432/
	told "TLS 1.2" "$TLS12" gnutls_handshake
	leashed wget -q -O out --no-check-certificate https://api.example.com:4433/
	told "TLS 1.3" "$TLS13" gnutls_handshake
	command -v gnutls-cli > need || skip "no gnutls-cli"
	leashed gnutls-cli --insecure --priority NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305 -p 4432 \
		api.example.com < request > out
	told "TLS 1.2" TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 gnutls_handshake
	leashed gnutls-cli --insecure --priority NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM -p 4433 \
		api.example.com < request > out
	told "TLS 1.3" TLS_AES_128_GCM_SHA256 gnutls_handshake
}

@test "TLS that nobody hooks: from the wire, from an own handshake, or no certificate at all" {
	inside() {
		if node_inside; then
			leashed node get.js "$@"
		else
			CIPHERS=$2 leashed "$SNIP/tls_inside" api.example.com "$1"
		fi
	}
	cat > get.js <<'END'
const [port, ciphers] = process.argv.slice(2);
require("https").get({ host: "api.example.com", port, rejectUnauthorized: false, ciphers }, (a) => {
	console.log("got", a.statusCode);
	a.resume();
});
END
	export NETLEASH_EVENTS=$PWD/events
	inside 4432 ECDHE-ECDSA-AES256-GCM-SHA384 | grep "^got 200"
	told "TLS 1.2" TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 write "read on the wire"
	inside 4433 TLS_CHACHA20_POLY1305_SHA256 | grep "^got 200"
	told "TLS 1.3" TLS_CHACHA20_POLY1305_SHA256 write "own handshake"
	rules 'opaque_tls = "allow";'
	inside 4433 TLS_AES_128_GCM_SHA256 | grep "^got 200"
	told "TLS 1.3" TLS_AES_128_GCM_SHA256 write "was not"
}

@test "nothing of it where the verdict is only recorded, or TLS is the program's own affair" {
	rules 'mode = "audit";'
	NETLEASH_EVENTS=$PWD/events leashed curl -sSk -o out https://expired.example.com/
	grep '"verdict":"would_refuse".*"cipher":"TLS_' events
	[ "$(grep -c '"event":"connect".*"tls"' events)" -eq 1 ]
	rm events
	rules
	NETLEASH_EVENTS=$PWD/events run leashed curl -sSk -o out https://expired.example.com/
	[ "$status" -eq 60 ]
	grep '"verdict":"refused".*"version":"TLS 1.3","cipher":"TLS_.*"issuer"' events
	[ "$(grep -c '"tls"' events)" -eq 1 ]
}

@test "strict: forward secrecy, whichever library" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	KEY='-newkey rsa:2048' near_cert near
	clients=("curl -sSk" "wget -nv -O - --no-check-certificate" "node get.js")
	cat > get.js <<'END'
const { hostname, port } = new URL(process.argv[2]);
require("https").get({ host: hostname, port, rejectUnauthorized: false, ciphers: "ALL:@SECLEVEL=0" }, (a) => {
	console.log("s_server", a.statusCode);
	a.resume();
}).on("error", (e) => { console.log(e.code); process.exit(1); });
END
	for suite in AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256; do
		near_serves openssl s_server -accept 4443 -www -tls1_2 -cipher "$suite:@SECLEVEL=0" -cert near.leaf \
			-cert_chain near.pem -key near.key
		for platform in ios strict; do
			rules "platform = \"$platform\";"
			for client in "${clients[@]}"; do
				command -v "${client%% *}" > need || continue
				run leashed $client https://near.example.com:4443/
				echo "$suite $platform $client: $status $output"
				if [ "$suite $platform" = "AES128-GCM-SHA256 strict" ]; then
					[ "$status" -ne 0 ]
					said near tls.cipher strict
				else
					[ "$status" -eq 0 ]
					[[ $output == *s_server* ]]
				fi
			done
		done
		near_ends
	done
}
