#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Sessions: one that a judged handshake has made keeps working and its server is judged again; any other
# makes a full handshake (design: TLS 3, 6).

bats_require_minimum_version 1.5.0
load lib
load tls

setup() {
	tls_setup
}

teardown() {
	tls_teardown
}

# facts N: so many handshakes were judged and accepted, each with its certificate
facts() {
	[ "$(grep -c '"event":"connect".*"call":"[a-zA-Z_]*\(SSL_connect\|gnutls_handshake\)".*"issuer":"CN=Lab Intermediate,O=Lab"' events)" -eq "$1" ] || {
		cat events
		return 1
	}
}

@test "python: a session of a good host resumes, and is judged when it does" {
	cat > client.py <<'END'
import socket, ssl, sys
first, second, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
def talk(host, session):
    with socket.create_connection((host, int(port))) as raw:
        with context.wrap_socket(raw, server_hostname=host, session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
            print("reused", sock.session_reused, sock.recv(15))
            return sock.session
session = talk(first, None)
for _ in range(3):
    session = talk(second, session)
END
	for port in 4432 4433; do
		rm -f events
		NETLEASH_EVENTS=$PWD/events leashed /usr/bin/python3 client.py api.example.com api.example.com "$port" > out
		cat out
		[ "$(grep -c "200 OK" out)" -eq 4 ]
		[ "$(grep -c "^reused True" out)" -eq 3 ]
		facts 4
		# as without netleash
		/usr/bin/python3 client.py api.example.com api.example.com "$port" | diff out -
	done
}

@test "python: of another name, it is dropped; with a bad server, refused" {
	cat > client.py <<'END'
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
def talk(host, session, address=None):
    with socket.create_connection((address or host, 4433)) as raw:
        with context.wrap_socket(raw, server_hostname=host, session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
            print("reused", sock.session_reused, sock.recv(15))
            return sock.session
session = talk("api.example.com", None)
for host in sys.argv[1:]:
    try:
        talk(host, session)
    except ssl.SSLCertVerificationError as e:
        print("SSLCertVerificationError", e.verify_code)
END
	run leashed /usr/bin/python3 client.py api.example.com expired.example.com wrongname.example.com selfsigned.example.com api.example.com
	[ "$(grep -c "^reused True b'HTTP/1.1 200 OK'" <<< "$output")" -eq 2 ]
	for code in 10 62 18; do
		grep "^SSLCertVerificationError $code$" <<< "$output"
	done
	said expired certificate.period
	[ "$(lab count web '"event":"request"')" -eq 3 ]
}

@test "a session that another process has made is dropped, whatever is in it" {
	# The secret of a session is what it is known by: one that was made without netleash is not.
	for host in api expired; do
		openssl s_client -quiet -ign_eof -sess_out "$host.pem" -connect "$host.example.com:4432" \
			-servername "$host.example.com" < request > out 2>&1
		grep "200 OK" out
	done
	lab reset-logs
	"$SNIP/tls_openssl" session api.example.com 4432 api.pem | grep "^reused 1"
	"$SNIP/tls_openssl" session expired.example.com 4432 expired.pem | grep "^reused 1"
	lab reset-logs
	run leashed "$SNIP/tls_openssl" session api.example.com 4432 api.pem
	grep "^reused 0" <<< "$output"
	lab reset-logs
	run leashed "$SNIP/tls_openssl" session expired.example.com 4432 expired.pem
	grep "^failed SSL_connect 1 10" <<< "$output"
	lab unseen web '"event":"request"'
}

@test "OpenSSL: a session taken from the SSL and copied through DER or PEM" {
	for port in 4432 4433; do
		for way in session-take session-take-pem; do
			rm -f events
			NETLEASH_EVENTS=$PWD/events run leashed "$SNIP/tls_openssl" "$way" api.example.com "$port"
			[ "$(grep -c "^got HTTP/1.1" <<< "$output")" -eq 2 ]
			grep "^reused 1" <<< "$output"
			facts 2
			# for another name it is not set
			TLS_OTHER=shared-a.example.com run leashed "$SNIP/tls_openssl" "$way" api.example.com "$port"
			grep "^failed\|^reused 0" <<< "$output"
		done
	done
}

@test "curl: the second of two requests resumes, on a connection of its own" {
	for port in 4432 4433; do
		rm -f events
		NETLEASH_EVENTS=$PWD/events leashed curl -sSvk -H 'Connection: close' -o one -o two \
			"https://api.example.com:$port/" "https://api.example.com:$port/" 2> log
		grep "hello from web" one two
		[ "$(grep -c "SSL re-using session ID\|SSL reusing session ID" log)" -eq 1 ] || { cat log; return 1; }
		facts 2
		[ "$(lab count web '"event":"request"')" -eq 2 ]
		lab reset-logs
	done
}

@test "GnuTLS: a resumed session is judged again" {
	command -v gnutls-cli > need || skip "no gnutls-cli"
	for port in 4432 4433; do
		rm -f events
		NETLEASH_EVENTS=$PWD/events leashed gnutls-cli --insecure -r -p "$port" api.example.com < request > out
		grep -F 'This is a resumed session' out
		facts 2
		came
	done
}

@test "the certificate expires while the session lives: no longer" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	# A leaf for a few seconds; the session that was made with it is judged again when it is used.
	near true
	mkdir ca
	: > ca/index
	echo 01 > ca/serial
	printf '%s\n' '[ca]' 'default_ca=d' '[d]' 'database=ca/index' 'serial=ca/serial' 'new_certs_dir=ca' 'default_md=sha256' \
		'policy=p' 'x509_extensions=x' '[p]' 'commonName=supplied' '[x]' 'basicConstraints=critical,CA:FALSE' \
		'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth' 'subjectAltName=DNS:near.example.com' > ca/cnf
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=near -keyout near.key -out near.csr 2> log
	until=$(($(date +%s) + 15))
	openssl ca -batch -notext -config ca/cnf -cert "$LAB_PKI/inter.pem" -keyfile "$LAB_PKI/inter.key" \
		-startdate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "@$until" +%Y%m%d%H%M%SZ)" \
		-in near.csr -out near.leaf 2> log
	near_serves openssl s_server -accept 4443 -www -cert near.leaf -cert_chain "$LAB_PKI/inter.pem" -key near.key
	cat > client.py <<'END'
import socket, ssl, sys, time
until = int(sys.argv[1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
def talk(session):
    with socket.create_connection(("near.example.com", 4443)) as raw:
        with context.wrap_socket(raw, server_hostname="near.example.com", session=session) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            print("reused", sock.session_reused, sock.recv(15)[:8], flush=True)
            return sock.session
session = talk(talk(None))
assert time.time() < until, "the machine is too slow for this test"
while time.time() < until:
    time.sleep(0.1)
try:
    talk(session)
except ssl.SSLError as e:
    print(type(e).__name__, e.reason)
END
	run leashed /usr/bin/python3 client.py "$until"
	grep "^reused False b'HTTP/1.0'" <<< "$output"
	grep "^reused True b'HTTP/1.0'" <<< "$output"
	[ "$(grep -c "^reused" <<< "$output")" -eq 2 ]
	grep "CERTIFICATE_VERIFY_FAILED" <<< "$output"
	said near certificate.period
}
