#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that switch verification off still cannot talk to a server with a bad certificate, their
# TLS library says so in its own words, and no request arrives (design: TLS 3, 6, 10, 14).

bats_require_minimum_version 1.5.0
load lib
load tls

# The X509_V_ERR number of each defect of the lab
code_of() {
	case $1 in
	expired) echo 10 ;;
	selfsigned) echo 18 ;;
	wrongname) echo 62 ;;
	leafonly) echo 20 ;;
	esac
}

setup() {
	tls_setup
	for program in curl openssl python3; do
		command -v "$program" > need || skip "no $program"
	done
}

teardown() {
	tls_teardown
}

# The line names requirement and platform; nothing but the handshake reached the server
said_and_unseen() {
	local name=$1 platform=${2:-android}

	refused certificate | grep -F " $name.example.com:" | grep -F "(rule $(rule_of "$name"), platform $platform)" |
		grep -F " ($(code_of "$name")): " || { echo "$name: not said: $output"; return 1; }
	lab saw web "\"event\":\"hello\".*\"sni\":\"$name.example.com\""
	lab unseen web '"event":"request"'
}

# OpenSSL refuses inside the handshake, so that the server sees none that succeeded
unfinished() {
	lab unseen web '"event":"tls",'
}

snip() {
	LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY timeout 30 "$SNIP/tls_openssl" "$@"
}

# near_server ARG …: openssl s_server there, with a good certificate for near.example.com
near_server() {
	[ -e near.pem ] || near_cert near
	near_serves openssl s_server -accept 4443 -www "$@"
}

@test "curl -k: exit 60, its own sentence, the rule in the line" {
	leashed curl -sSk https://api.example.com/
	came
	for name in $BAD; do
		run leashed curl -sSk "https://$name.example.com/"
		[ "$status" -eq 60 ]
		[[ $output == *"SSL certificate problem"* ]]
		said_and_unseen "$name"
		unfinished
		lab reset-logs
	done
}

@test "curl: TLS 1.2 and TLS 1.3 servers alike, HTTP/2 offered or not" {
	for args in "--tls-max 1.2" "--tlsv1.3" "--http1.1" "--http2"; do
		leashed curl -sSk $args https://api.example.com/
		came
		run leashed curl -sSk $args https://expired.example.com/
		[ "$status" -eq 60 ]
		said_and_unseen expired
		lab reset-logs
	done
}

@test "a program that verifies for itself keeps its own stricter answer" {
	run leashed curl -sS --cacert /dev/null https://api.example.com/
	[ "$status" -ne 0 ]
	run leashed curl -sS --cacert /dev/null -o /dev/null https://api.example.com/
	[ "$status" -ne 0 ]
	lab unseen web '"event":"request"'
	leashed curl -sS https://api.example.com/
	came
}

@test "TLS 1.1: refused by its version, and the line says so" {
	rules
	for args in "--tlsv1.0" "--tlsv1.0 --tls-max 1.1"; do
		run leashed curl -sSk $args --ciphers ALL:@SECLEVEL=0 https://api.example.com:4431/
		[ "$status" -eq 35 ]
		refused tls_version | grep -F '(rule tls.version, platform android)'
		lab unseen web '"event":"request"'
	done
	# nor does a configuration file, which no call of the program shows
	printf '%s\n' 'openssl_conf = a' '[a]' 'ssl_conf = b' '[b]' 'system_default = c' '[c]' 'MinProtocol = TLSv1' \
		'CipherString = ALL:@SECLEVEL=0' 'Options = KTLS' > openssl.cnf
	OPENSSL_CONF=$PWD/openssl.cnf curl -sSk https://api.example.com:4431/
	came
	OPENSSL_CONF=$PWD/openssl.cnf run leashed curl -sSk https://api.example.com:4431/
	[ "$status" -eq 35 ]
	refused tls_version
	lab unseen web '"event":"request"'
	OPENSSL_CONF=$PWD/openssl.cnf leashed curl -sSk https://api.example.com:4432/
	came
	# without netleash it works
	curl -sSk --tlsv1.0 --ciphers ALL:@SECLEVEL=0 https://api.example.com:4431/
	came
	leashed curl -sSk https://api.example.com:4432/
	came
}

@test "python: SSLCertVerificationError in spite of CERT_NONE, from sockets and from asyncio" {
	cat > client.py <<'END'
import asyncio, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
REQUEST = "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
def plain(host):
    with socket.create_connection((host, 443)) as raw:
        with context.wrap_socket(raw, server_hostname=host) as sock:
            sock.sendall((REQUEST % host).encode())
            return sock.recv(15)
async def streams(host):
    reader, writer = await asyncio.open_connection(host, 443, ssl=context)
    writer.write((REQUEST % host).encode())
    answer = await reader.read(15)
    writer.close()
    return answer
for host in sys.argv[2:]:
    host += ".example.com"
    try:
        print(host, plain(host) if sys.argv[1] == "plain" else asyncio.run(streams(host)))
    except ssl.SSLCertVerificationError as e:
        print(host, "SSLCertVerificationError", e.verify_code, e.verify_message)
END
	for way in plain streams; do
		leashed /usr/bin/python3 client.py "$way" api | grep "200 OK"
		came
		for name in $BAD; do
			run leashed /usr/bin/python3 client.py "$way" "$name"
			grep "^$name.example.com SSLCertVerificationError $(code_of "$name") " <<< "$output"
			said_and_unseen "$name"
			unfinished
			lab reset-logs
		done
		# one process, one context: a refusal does not hold the next server up
		leashed /usr/bin/python3 client.py "$way" expired api 2> /dev/null > out
		grep "^expired.example.com SSLCertVerificationError" out
		grep "^api.example.com .*200 OK" out
		lab reset-logs
	done
}

@test "ruby: OpenSSL::SSL::SSLError in spite of VERIFY_NONE" {
	command -v ruby > need || skip "no ruby"
	cat > client.rb <<'END'
require "socket"
require "openssl"
host = ARGV[0]
context = OpenSSL::SSL::SSLContext.new
context.verify_mode = OpenSSL::SSL::VERIFY_NONE
sock = OpenSSL::SSL::SSLSocket.new(TCPSocket.new(host, 443), context)
sock.hostname = host
begin
  sock.connect
  sock.write("GET / HTTP/1.1\r\nHost: #{host}\r\nConnection: close\r\n\r\n")
  puts sock.readpartial(15)
rescue OpenSSL::SSL::SSLError => e
  puts "SSLError #{e.message}"
end
END
	leashed ruby client.rb api.example.com | grep "200 OK"
	came
	for name in $BAD; do
		run leashed ruby client.rb "$name.example.com"
		grep "^SSLError .*certificate verify failed" <<< "$output"
		said_and_unseen "$name"
		unfinished
		lab reset-logs
	done
}

@test "openssl s_client and socat: no request leaves" {
	printf 'GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n' > request
	leashed openssl s_client -quiet -ign_eof -connect api.example.com:443 -servername api.example.com < request | grep "200 OK"
	came
	run leashed openssl s_client -quiet -ign_eof -connect expired.example.com:443 -servername expired.example.com < request
	[ "$status" -ne 0 ]
	[[ $output == *"certificate verify failed"* ]]
	said_and_unseen expired
	command -v socat > need || skip "no socat"
	lab reset-logs
	leashed socat -t5 - OPENSSL:api.example.com:443,verify=0,snihost=api.example.com < request | grep "200 OK"
	came
	run leashed socat -t5 - OPENSSL:selfsigned.example.com:443,verify=0,snihost=selfsigned.example.com < request
	[ "$status" -ne 0 ]
	said_and_unseen selfsigned
}

@test "GnuTLS: wget exits 4 or 5, gnutls-cli says what it says of certificates" {
	command -v wget > need || skip "no wget"
	leashed wget -q -O - --no-check-certificate https://api.example.com/
	came
	for name in $BAD; do
		run leashed wget -nv -O - --no-check-certificate "https://$name.example.com/"
		[[ $status -eq 4 || $status -eq 5 ]]
		[[ $output == *"gnutls_handshake $name.example.com"* ]]
		said_and_unseen "$name"
		lab reset-logs
	done
	run leashed wget -nv -O - --no-check-certificate --secure-protocol=TLSv1 https://api.example.com:4431/
	[[ $status -eq 4 || $status -eq 5 ]]
	refused tls_version | grep -F '(rule tls.version, platform android)'
	lab unseen web '"event":"request"'
	command -v gnutls-cli > need || skip "no gnutls-cli"
	lab reset-logs
	printf 'GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n' > request
	leashed gnutls-cli --insecure api.example.com:443 < request > out
	came
	run leashed gnutls-cli --insecure expired.example.com:443 < request
	[ "$status" -ne 0 ]
	[[ $output == *"Error in the certificate verification"* ]]
	said_and_unseen expired
	# a resumed session is judged again, and goes on
	lab reset-logs
	leashed gnutls-cli --insecure -r api.example.com:443 < request > out
	grep -F 'This is a resumed session' out
	came
}

@test "whatever is set: callbacks, an own CA, implicit handshakes, BIOs" {
	for way in plain implicit handshake callback verify-callback info bio memory; do
		run snip "$way" api.example.com 443
		grep "^got HTTP/1.1" <<< "$output"
		came
		run snip "$way" expired.example.com 443
		grep -E "^failed [A-Za-z_]+ 1 10 certificate verify failed" <<< "$output"
		said_and_unseen expired
		unfinished
		lab reset-logs
	done
	openssl s_client -connect selfsigned.example.com:443 -servername selfsigned.example.com < /dev/null 2> /dev/null |
		sed -n '/BEGIN CERT/,/END CERT/p' > own.pem
	lab reset-logs
	"$SNIP/tls_openssl" own-ca selfsigned.example.com 443 own.pem | grep "^got HTTP/1.1"
	came
	run snip own-ca selfsigned.example.com 443 own.pem
	grep "^failed SSL_connect 1 18 certificate verify failed" <<< "$output"
	said_and_unseen selfsigned
}

@test "the program's own callbacks are called, and are what its getters say" {
	run snip callback api.example.com 443
	grep "^verified 1" <<< "$output"
	run snip verify-callback api.example.com 443
	grep "^verified 1" <<< "$output"
	run snip info api.example.com 443
	grep "^infos 1 started 1 finished 1" <<< "$output"
	[[ $output != *"another callback"* && $output != *"a callback"* ]]
	[ "$("$SNIP/tls_openssl" info api.example.com 443)" = "$output" ]
}

@test "sessions: a judged one is resumed, one from elsewhere makes a full handshake" {
	for port in 4432 4433; do
		run snip session api.example.com "$port"
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
		grep "^reused 1" <<< "$output"
		run snip session-der api.example.com "$port"
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
		grep "^reused 0" <<< "$output"
		lab reset-logs
		# made where nobody verified
		printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
			openssl s_client -quiet -ign_eof -sess_out bad.pem -connect "expired.example.com:$port" \
				-servername expired.example.com > out 2>&1
		grep "200 OK" out
		lab reset-logs
		"$SNIP/tls_openssl" session expired.example.com "$port" bad.pem | grep "^reused 1"
		came
		run snip session expired.example.com "$port" bad.pem
		grep "^failed SSL_connect 1 10 certificate verify failed" <<< "$output"
		said_and_unseen expired
		lab reset-logs
	done
	# a session of one server is not set for another
	TLS_OTHER=shared-a.example.com run snip session-other api.example.com 443
	[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
	grep "^reused 0" <<< "$output"
}

@test "no mark survives on the object: SSL_clear, SSL_dup" {
	for way in reuse dup; do
		lab reset-logs
		TLS_OTHER=expired.example.com run snip "$way" api.example.com 443
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 1 ]
		grep "^failed SSL_connect 1 10 certificate verify failed" <<< "$output"
		[ "$(lab count web '"event":"request"')" -eq 1 ]
		TLS_OTHER=shared-a.example.com run snip "$way" api.example.com 443
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
	done
}

@test "early data and SSL_sendfile fail with an error in the library's queue" {
	run snip early api.example.com 443
	grep "^early 0" <<< "$output"
	grep "^failed SSL_write_early_data 5" <<< "$output"
	run snip sendfile api.example.com 443
	grep "^sendfile -1" <<< "$output"
	grep "^failed SSL_sendfile 5" <<< "$output"
}

@test "methods of an old version mean any version from 1.2 on" {
	for way in old old-method; do
		run snip "$way" api.example.com 4432
		grep "^got HTTP/1.1" <<< "$output"
		run snip "$way" api.example.com 4431
		grep "^failed SSL_connect 1" <<< "$output"
		refused tls_version
	done
}

@test "anonymous ciphers and pre-shared keys: no certificate, no data" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	near_server -nocert -tls1_2 -cipher ALL:@SECLEVEL=0 -psk 1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a
	for way in anonymous psk; do
		"$SNIP/tls_openssl" "$way" 198.18.7.2 4443 | grep "^got HTTP/1.0 200"
		run snip "$way" 198.18.7.2 4443
		grep "^failed SSL_connect 1 50 certificate verify failed" <<< "$output"
		refused certificate | grep -F 'the server showed no certificate'
	done
}

@test "a neighbour: its certificate counts, for its name or its address" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	near_server -cert near.leaf -cert_chain near.pem -key near.key
	leashed curl -sSk -o out https://198.18.7.2:4443/
	grep -q s_server out
	leashed curl -sSk -o out --resolve near.example.com:4443:198.18.7.2 https://near.example.com:4443/
	grep -q s_server out
	run leashed curl -sSk --resolve other.example.com:4443:198.18.7.2 https://other.example.com:4443/
	[ "$status" -eq 60 ]
	refused certificate | grep -F '(rule certificate.name, platform android)'
	kill "$SERVER"
	wait "$SERVER" || true
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=own -keyout own.key -out own.pem \
		-addext subjectAltName=IP:198.18.7.2 2> own.log
	near_server -cert own.pem -key own.key
	run leashed curl -sSk https://198.18.7.2:4443/
	[ "$status" -eq 60 ]
	refused certificate | grep -F '(rule certificate.self_signed, platform android)'
}

@test "no SNI is a refusal" {
	run leashed gnutls-cli --insecure --disable-sni api.example.com:443 < /dev/null
	[ "$status" -ne 0 ]
	refused name_mismatch
	run leashed openssl s_client -noservername -connect api.example.com:443 < /dev/null
	[ "$status" -ne 0 ]
	refused name_mismatch
	lab unseen web '"event":"hello"'
	leashed openssl s_client -servername api.example.com -connect api.example.com:443 < /dev/null > out 2>&1
	lab saw web '"event":"tls"'
}

@test "no way round by look-up or scope: dlsym, dlvsym, RTLD_LOCAL, RTLD_DEEPBIND, plug-ins" {
	for way in dlsym dlvsym plugin default next; do
		run leashed "$SNIP/tls_scope" "$way" api.example.com 443 "$SNIP/tls_plugin"
		grep "^got HTTP/1.1" <<< "$output"
		came
		run leashed "$SNIP/tls_scope" "$way" expired.example.com 443 "$SNIP/tls_plugin"
		grep "^failed SSL_connect" <<< "$output"
		said_and_unseen expired
		lab reset-logs
		"$SNIP/tls_scope" "$way" expired.example.com 443 "$SNIP/tls_plugin" | grep "^got HTTP/1.1"
		lab reset-logs
	done
}

@test "dlsym finds what the library has, and nothing more" {
	"$SNIP/tls_scope" features - - > without
	leashed "$SNIP/tls_scope" features - - > with
	cat with
	diff without with
	grep "^SSL_connect 1" with
	grep "^OSSL_QUIC_client_method 0" with
}

@test "a libssl that calls itself past every hook (-Bsymbolic)" {
	mkdir -p lib
	cp "$SNIP/tls_symbolic" lib/libssl.so.3
	export LD_LIBRARY_PATH=$PWD/lib
	for way in plain implicit bio callback verify-callback memory; do
		run snip "$way" api.example.com 443
		grep "^got HTTP/1.1" <<< "$output"
		came
		run snip "$way" expired.example.com 443
		grep -E "^failed [A-Za-z_]+ 1 10 certificate verify failed" <<< "$output"
		said_and_unseen expired
		unfinished
		lab reset-logs
	done
	run snip session api.example.com 443
	grep "^reused 1" <<< "$output"
	run snip session-der api.example.com 443
	grep "^reused 0" <<< "$output"
}

@test "two OpenSSL in one process: each hook calls the library of its object" {
	two() {
		run leashed "$SNIP/tls_two" "$1" api.example.com "$SNIP/tls_stub11"
		grep "^3: 1" <<< "$output"
		grep "^stub SSL_CTX_new 1" <<< "$output"
		grep "^stub SSL_connect" <<< "$output"
	}
	two good
	grep "^stub X509_verify_cert" <<< "$output"
	grep "^1.1: 1 0" <<< "$output"
	grep "^3 write: 1" <<< "$output"
	two bad
	grep "^1.1: -1 7" <<< "$output"
	grep "^3 write: 0" <<< "$output"
	refused certificate | grep -F '(rule certificate.valid,'
	two callback
	grep "^1.1: -1 7" <<< "$output"
	[[ $output != *"callback argument"* ]]
	two unknown
	grep "^1.1: -1 50" <<< "$output"
	refused name_mismatch
	# verified without a certificate: what 3.2 does with a raw public key
	two none
	grep "^1.1: -1 50" <<< "$output"
	refused certificate | grep -F 'a raw public key and no certificate'
	# a method that would carry TLS over UDP past every hook
	two quic
	grep "^quic 0" <<< "$output"
	"$SNIP/tls_two" quic api.example.com "$SNIP/tls_stub11" | grep "^quic 1"
	two resumed
	grep "^1.1: 1 0" <<< "$output"
	# The program's own verification in the middle of the handshake is not the peer's.
	two elsewhere
	grep "^own verification 1" <<< "$output"
	grep "^1.1: -1 7" <<< "$output"
	refused certificate | grep -F '(rule certificate.valid,'
	two resumed-none
	grep "^1.1: -1 50" <<< "$output"
	grep "^stub error 20 134" <<< "$output"
	grep "^1.1 write: -1" <<< "$output"
}

@test "audit and skip_domain_check: nothing changes but the record" {
	for line in 'mode = "audit";' 'skip_domain_check = true;'; do
		rules "$line"
		for client in "curl -sSk" "wget -q -O - --no-check-certificate"; do
			lab reset-logs
			NETLEASH_EVENTS=$PWD/events leashed $client https://expired.example.com/ | grep "hello from web"
			lab saw web '"event":"request"'
			grep '"reason":"certificate"' events | grep '"verdict":"would_refuse"' | grep -F '"rule":"certificate.period, platform android"'
			[ "$(grep -c '"reason":"certificate"' events)" -eq 1 ]
			rm events
		done
		# and the program's own verification is what it was
		run leashed curl -sS https://expired.example.com/
		[ "$status" -eq 60 ]
	done
}

@test "the event has the certificate's facts" {
	NETLEASH_EVENTS=$PWD/events run leashed curl -sSk https://expired.example.com/
	python3 - <<'END'
import json
event = [e for e in map(json.loads, open("events")) if e["event"] == "refused"][0]
assert event["reason"] == "certificate", event
assert event["rule"] == "certificate.period, platform android", event
assert event["tls"]["sni"] == "expired.example.com", event
assert event["tls"]["version"] == "TLS 1.3", event
assert "Lab Intermediate" in event["tls"]["issuer"], event
assert event["tls"]["notAfter"].endswith("Z"), event
assert "CERT_HAS_EXPIRED (10)" in event["hint"], event
END
}

@test "without the verifier's object no handshake succeeds, and the line says why" {
	mkdir -p alone
	cp "$SHIM" alone/
	cp "$NETLEASH" alone/
	LD_PRELOAD=$PWD/alone/libnetleash.so NETLEASH_POLICY=$POLICY run curl -sSk https://api.example.com/
	[ "$status" -eq 60 ]
	refused certificate | grep -F 'no certificate can be verified: '
	lab unseen web '"event":"request"'
	cp "$BUILD/libnetleash-verify.so" alone/
	LD_PRELOAD=$PWD/alone/libnetleash.so NETLEASH_POLICY=$POLICY curl -sSk https://api.example.com/
	came
}

@test "a process without TLS does not load the verifier" {
	leashed sh -c 'grep -c libnetleash-verify /proc/self/maps; true' | grep '^0$'
	leashed /usr/bin/python3 -c 'import ssl; print(open("/proc/self/maps").read().count("libnetleash-verify"))' | grep '^0$'
}
