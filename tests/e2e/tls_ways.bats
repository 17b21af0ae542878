#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# More ways past a verification: perl, socat, ruby's HTTP, renegotiation, callbacks that jump, objects that
# are used again, namespaces (design: TLS 1, 6).

bats_require_minimum_version 1.5.0
load lib
load tls

setup() {
	tls_setup
}

teardown() {
	tls_teardown
}

snip() {
	LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY timeout 30 "$SNIP/tls_openssl" "$@"
}

@test "perl's IO::Socket::SSL with SSL_VERIFY_NONE: its own error, no request" {
	perl -MIO::Socket::SSL -e 1 2> need || skip "no IO::Socket::SSL"
	cat > client.pl <<'END'
use IO::Socket::SSL;
my ($host) = @ARGV;
my $sock = IO::Socket::SSL->new(PeerHost => $host, PeerPort => 443, SSL_verify_mode => SSL_VERIFY_NONE,
	SSL_hostname => $host) or do { print "failed: $SSL_ERROR\n"; exit 1 };
print $sock "GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n";
print scalar <$sock>;
END
	leashed perl client.pl api.example.com | grep "200 OK"
	came
	for pair in expired:period selfsigned:self_signed wrongname:name leafonly:complete; do
		run leashed perl client.pl "${pair%:*}.example.com"
		[ "$status" -eq 1 ]
		grep "^failed: .*certificate verify failed" <<< "$output"
		said "${pair%:*}" "certificate.${pair#*:}"
		lab unseen web '"event":"\(tls\|request\)"'
		lab reset-logs
		perl client.pl "${pair%:*}.example.com" | grep "200 OK"
		lab reset-logs
	done
}

@test "ruby's Net::HTTP and python's urllib, requests by their own libraries" {
	command -v ruby > need || skip "no ruby"
	cat > client.rb <<'END'
require "net/http"
http = Net::HTTP.new(ARGV[0], 443)
http.use_ssl = true
http.verify_mode = OpenSSL::SSL::VERIFY_NONE
begin
  puts http.get("/").code
rescue OpenSSL::SSL::SSLError => e
  puts "#{e.class} #{e.message}"
end
END
	leashed ruby client.rb api.example.com | grep "^200$"
	came
	run leashed ruby client.rb selfsigned.example.com
	grep "^OpenSSL::SSL::SSLError .*certificate verify failed" <<< "$output"
	said selfsigned certificate.self_signed
	lab unseen web '"event":"request"'
	lab reset-logs
	cat > client.py <<'END'
import ssl, sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).status)
except urllib.error.URLError as e:
    print(type(e.reason).__name__, e.reason.verify_code)
END
	leashed /usr/bin/python3 client.py https://api.example.com/ | grep "^200$"
	came
	run leashed /usr/bin/python3 client.py https://leafonly.example.com/
	grep "^SSLCertVerificationError 20" <<< "$output"
	said leafonly certificate.complete
	lab unseen web '"event":"request"'
}

@test "socat as a relay: what it is given stays where it is" {
	command -v socat > need || skip "no socat"
	for way in "OPENSSL:%,verify=0,snihost=@" "OPENSSL:%,verify=0,snihost=@,openssl-max-proto-version=TLS1.2"; do
		for name in api expired selfsigned wrongname leafonly; do
			to=${way//%/$name.example.com:443}
			to=${to//@/$name.example.com}
			sed "s/api/$name/" request > asked
			if [ "$name" = api ]; then
				leashed socat -t5 - "$to" < asked | grep "200 OK"
				came
				continue
			fi
			run leashed socat -t5 - "$to" < asked
			[ "$status" -ne 0 ]
			refused certificate | grep -F " $name.example.com:"
			lab unseen web '"event":"request"'
			lab reset-logs
			socat -t5 - "$to" < asked | grep "200 OK"
			lab reset-logs
		done
	done
}

@test "renegotiation is a handshake like the first" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	near true
	near_cert good
	near_cert other
	near_own own
	for second in good other; do
		near_serves "$SNIP/tls_renegotiate" serve 198.18.7.2 4443 good "$second"
		rm -f events
		NETLEASH_EVENTS=$PWD/events run leashed "$SNIP/tls_renegotiate" get near.example.com 4443
		[ "$output" = $'got one\ngot two' ]
		[ "$(grep -c '"call":"SSL_connect".*"notAfter"' events)" -eq 2 ]
		wait "$SERVER"
		[ "$(cat server.log)" = $'request 1\nrequest 2' ]
	done
	near_serves "$SNIP/tls_renegotiate" serve 198.18.7.2 4443 good own
	run leashed "$SNIP/tls_renegotiate" get near.example.com 4443
	grep "^failed SSL_[a-z]* 1 18 certificate verify failed" <<< "$output"
	said near certificate.self_signed
	wait "$SERVER" || true
	[ "$(cat server.log)" = "request 1" ]
	near_serves "$SNIP/tls_renegotiate" serve 198.18.7.2 4443 good own
	"$SNIP/tls_renegotiate" get near.example.com 4443 | grep "^got two"
	wait "$SERVER"
}

@test "a verification of its own that names the connection does not stand for the server's" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	near true
	near_cert good
	near_own own
	near_serves openssl s_server -accept 4443 -www -cert own.pem -key own.key
	run snip own-store near.example.com 4443 good.pem
	grep "^own verification" <<< "$output"
	grep "^failed SSL_connect 1 18 certificate verify failed" <<< "$output"
	said near certificate.self_signed
	"$SNIP/tls_openssl" own-store near.example.com 4443 good.pem | grep "^got HTTP/1.0"
	near_ends
	near_serves openssl s_server -accept 4443 -www -cert good.leaf -cert_chain good.pem -key good.key
	snip own-store near.example.com 4443 good.pem | grep "^got HTTP/1.0"
}

@test "callbacks that leave by longjmp: the next handshake is judged as any" {
	for way in jump-verify jump-start jump-loop jump-done; do
		TLS_OTHER=expired.example.com run snip "$way" api.example.com 443
		grep "^jumped" <<< "$output"
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 1 ]
		grep "^failed SSL_connect 1 10 certificate verify failed" <<< "$output"
		[ "$(lab count web '"event":"request"')" -eq 1 ]
		lab reset-logs
		TLS_OTHER=shared-a.example.com run snip "$way" api.example.com 443
		grep "^jumped" <<< "$output"
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
		lab reset-logs
		# out of a refusal
		TLS_OTHER=api.example.com run snip "$way" expired.example.com 443
		[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 1 ]
		[ "$(lab count web '"event":"request"')" -eq 1 ]
		lab reset-logs
	done
}

@test "a new SSL in the place of a freed one" {
	TLS_OTHER=expired.example.com run snip freed api.example.com 443
	grep "^same place 1" <<< "$output"
	[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 1 ]
	grep "^failed SSL_connect 1 10 certificate verify failed" <<< "$output"
	[ "$(lab count web '"event":"request"')" -eq 1 ]
	TLS_OTHER=shared-a.example.com run snip freed api.example.com 443
	grep "^same place 1" <<< "$output"
	[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
}

@test "another libssl in a namespace of its own is refused" {
	"$SNIP/tls_scope" namespace expired.example.com 443 | grep "^got HTTP/1.1"
	lab reset-logs
	run leashed "$SNIP/tls_scope" namespace expired.example.com 443
	[ "$status" -eq 1 ]
	[[ $output == *"dlmopen(LM_ID_NEWLM) is refused"* ]]
	lab unseen web '"event":"hello"'
}
