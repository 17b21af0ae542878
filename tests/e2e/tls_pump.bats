#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Between a TLS library's data calls and the requests: whichever calls a program uses, its requests carry our Referer and
# its answers are text; what the library promises (SSL_pending(), SSL_peek(), retries, modes) holds; what was
# ended is an error and no end of file; HTTP/2 is not offered (design: TLS 7, 10, 12 to 14).

bats_require_minimum_version 1.5.0
load lib

REFERER='["Referer", "https://appservice.wx.com/wx0123456789abcdef/0/page-frame.html"]'

setup() {
	lab reset-logs
	cd "$BATS_TEST_TMPDIR" || return
	policy game
}

# once: the answer of /headers in $output has exactly one Referer, ours
once() {
	[ "$(grep -o -i '"referer"' <<< "$output" | wc -l)" -eq 1 ]
	grep -q -F "$REFERER" <<< "$output"
}

@test "BIO: a program that calls nothing but BIO_puts and BIO_read" {
	for how in connect buffer own; do
		run "$SNIP/tls_bio" api.example.com:443 /headers "$how"
		[[ $output = *'["Referer", "mine"]'* ]]
		run leashed "$SNIP/tls_bio" api.example.com:443 /headers "$how"
		[ "$status" -eq 0 ]
		once
	done
	run leashed "$SNIP/tls_bio" api.example.com:443 '/json?bom=1' connect
	[ "$(tail -c 33 <<< "$output" | head -c 3)" != $'\xef\xbb\xbf' ]
	[[ $output = *$'\r\n\r\n{"ok": true'* ]]
	run leashed "$SNIP/tls_bio" wrongname.example.com:443 /headers connect
	[ "$status" -ne 0 ]
}

@test "a handshake that the first SSL_write or SSL_peek makes, and openssl s_client" {
	run leashed "$SNIP/tls_pump" early api.example.com 443 /headers
	[ "$status" -eq 0 ]
	once
	printf 'GET /headers HTTP/1.1\r\nHost: api.example.com\r\nReferer: mine\r\nConnection: close\r\n\r\n' > request
	run leashed timeout 20 openssl s_client -quiet -connect api.example.com:443 -servername api.example.com < <(
		cat request
		lab saw web /headers > /dev/null
		sleep 2
	)
	once
}

@test "SSL_get_mode shows what the program set" {
	run leashed "$SNIP/tls_pump" mode api.example.com 443 /
	[ "$status" -eq 0 ]
	[ "$output" = $'kept 1\nset 1\nmoving 1\ncleared 1\nasked' ]
}

@test "SSL_peek_ex, SSL_read_ex in small pieces; SSL_pending keeps its promise" {
	run leashed "$SNIP/tls_pump" peek api.example.com 443 '/text/gbk?times=30'
	[ "$status" -eq 0 ]
	[ "$(grep -c 漢 <<< "$output")" -eq 30 ]
	for frame in length chunked close; do
		run leashed "$SNIP/tls_pump" pending api.example.com 443 "/text/gbk?frame=$frame&times=30&piece=7"
		[ "$status" -eq 0 ]
		[[ $output != *failed* ]]
		# all of it is UTF-8
		iconv -f UTF-8 -t UTF-16 <<< "$output" > /dev/null
		run "$SNIP/tls_pump" pending api.example.com 443 "/text/gbk?frame=$frame&times=30&piece=7"
		! iconv -f UTF-8 -t UTF-16 <<< "$output" > /dev/null 2>&1
	done
}

@test "a write that waits for its retry: shorter is an error, from another place and longer is not" {
	run leashed "$SNIP/tls_pump" retry api.example.com 443 /hang
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "stuck 3" ]
	[ "${lines[1]}" = "shorter 1 bad length" ]
	[ "${lines[2]}" = "none 1 bad length" ]
	# No error; and done, where the network has taken some meanwhile.
	[[ ${lines[3]} = "moved "[03] ]]
}

@test "GnuTLS: cork, padding, sequence numbers, packets, pending, retries with nothing" {
	for way in cork send2 seq packet pending; do
		run "$SNIP/tls_gnutls" "$way" api.example.com 443 /headers
		[[ $output = *'["Referer", "mine"]'* ]]
		run leashed "$SNIP/tls_gnutls" "$way" api.example.com 443 /headers
		[ "$status" -eq 0 ]
		once
	done
	run leashed "$SNIP/tls_gnutls" cork api.example.com 443 /headers
	[[ ${lines[0]} =~ ^uncorked\ ([0-9]+)\ of\ ([0-9]+)$ ]]
	[ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
	for way in packet pending seq; do
		run leashed "$SNIP/tls_gnutls" "$way" api.example.com 443 '/text/gbk?frame=chunked&times=30&piece=7'
		[ "$status" -eq 0 ]
		[[ $output != *failed* ]]
		iconv -f UTF-8 -t UTF-16 <<< "$output" > /dev/null
	done
	run leashed "$SNIP/tls_gnutls" again api.example.com 443 /hash
	[ "$status" -eq 0 ]
	[[ $output = *"3000000 $(head -c 3000000 /dev/zero | sha256sum | cut -d' ' -f1)"* ]]
}

@test "wget and gnutls-cli" {
	if command -v wget > /dev/null; then
		run leashed wget -q -O- --header 'Referer: mine' https://api.example.com/headers
		once
		head -c 2000000 /dev/urandom > up
		run leashed wget -q -O- --post-file=up https://api.example.com/hash
		[[ $output = *"2000000 $(sha256sum < up | cut -d' ' -f1)"* ]]
	fi
	if command -v gnutls-cli > /dev/null; then
		run leashed timeout 20 gnutls-cli --alpn h2 --alpn http/1.1 api.example.com -p 4436 < <(
			printf 'GET /headers HTTP/1.1\r\nHost: api.example.com\r\nReferer: mine\r\nConnection: close\r\n\r\n'
			sleep 2
		)
		[[ $output = *"Application protocol: http/1.1"* ]]
		once
	fi
}

@test "the time is over: an error in every client, and no end of file" {
	policy soon 'networkTimeout: { request = 1000; };'
	run leashed timeout 30 curl -sS https://api.example.com/hang
	[ "$status" -eq 56 ]
	[[ $output = *"timed out"* ]]
	run leashed timeout 30 curl -sS https://api.example.com/drip/90/1
	[ "$status" -eq 56 ]
	[[ $output = *"timed out"* ]]
	cat > hang.py <<-'END'
		import asyncio, socket, ssl
		request = b"GET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
		s = ssl.create_default_context().wrap_socket(socket.create_connection(("api.example.com", 443)),
							     server_hostname="api.example.com")
		s.send(request)
		for what in (lambda: s.recv(100), lambda: s.recv(100), lambda: s.send(b"x")):
		    try:
		        print("got", what())
		    except OSError as e:
		        print("OSError")
		async def wait():
		    reader, writer = await asyncio.open_connection("api.example.com", 443, ssl=True)
		    writer.write(request)
		    try:
		        print("got", await reader.read(100))
		    except OSError as e:
		        print("errno", e.errno)
		asyncio.run(wait())
	END
	run --separate-stderr leashed timeout 30 /usr/bin/python3 hang.py
	[ "$output" = $'OSError\nOSError\nOSError\nerrno 110' ]
	if command -v ruby > /dev/null; then
		run leashed timeout 30 ruby -rsocket -ropenssl -e 's = OpenSSL::SSL::SSLSocket.new(TCPSocket.new("api.example.com", 443));
			s.hostname = "api.example.com"; s.connect; s.write("GET /hang HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
			begin; p s.sysread(9); rescue SystemCallError, StandardError => e; puts e.class; end'
		[[ $output = *Errno::ETIMEDOUT* ]]
	fi
	if command -v wget > /dev/null; then
		run leashed timeout 30 wget -t1 -O- https://api.example.com/hang
		[ "$status" -eq 4 ]
	fi
	# The same clients with an answer
	run leashed curl -sS https://api.example.com/
	[ "$output" = "hello from web" ]
}

@test "in the background: an error, and no end of file" {
	policy away 'background: { grace_ms = 300; };'
	cat > away.py <<-'END'
		import ctypes, socket, ssl, sys
		s = ssl.create_default_context().wrap_socket(socket.create_connection(("api.example.com", 443)),
							     server_hostname="api.example.com")
		s.sendall(b"GET %s HTTP/1.1\r\nHost: api.example.com\r\n\r\n" % sys.argv[1].encode())
		ctypes.CDLL(None).netleash_set_background(1)
		try:
		    while got := s.recv(1000):
		        print("got", got[:8])
		    print("end of file")
		except OSError as e:
		    print("OSError")
	END
	for path in /hang /drip/90/1; do
		run leashed timeout 30 /usr/bin/python3 away.py "$path"
		[ "$status" -eq 0 ]
		[[ $output != *"end of file"* ]]
		[ "${lines[-1]}" = OSError ]
		grep -q 'ended: request:fail interrupted' <<< "$output"
	done
}

@test "refused: an error in every client, nothing left" {
	run leashed timeout 30 curl -sS -H 'Host: other.example.org' https://api.example.com/told
	[ "$status" -eq 55 ]
	refused name_mismatch
	run leashed timeout 30 /usr/bin/python3 -c 'import urllib.request as u
try: print(u.urlopen(u.Request("https://api.example.com/told", headers={"Host": "other.example.org"})).read())
except OSError as e: print("OSError")'
	refused name_mismatch
	[[ $output = *OSError* ]]
	if command -v wget > /dev/null; then
		run leashed timeout 30 wget -t1 -O- --header 'Host: other.example.org' https://api.example.com/told
		[ "$status" -eq 4 ]
		refused name_mismatch
	fi
	lab unseen web /told
	run leashed timeout 30 curl -sS -H 'Host: api.example.com' https://api.example.com/allowed
	lab saw web /allowed
}

@test "ALPN: h2 is not offered, to nobody but ourselves" {
	cat > alpn.py <<-'END'
		import socket, ssl, sys
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
		context.check_hostname = False
		context.verify_mode = ssl.CERT_NONE
		context.set_alpn_protocols(sys.argv[3:])
		s = context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2]))), server_hostname=sys.argv[1])
		print(s.selected_alpn_protocol())
		if s.selected_alpn_protocol() != "h2":
		    try:
		        s.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		        print("got", s.recv(10))
		    except OSError:
		        print("OSError")
	END
	run /usr/bin/python3 alpn.py api.example.com 4436 h2 http/1.1
	[ "$output" = h2 ]
	run leashed /usr/bin/python3 alpn.py api.example.com 4436 h2 http/1.1
	[[ $output = "http/1.1"* ]]
	# One that speaks nothing else hears why.
	run leashed /usr/bin/python3 alpn.py api.example.com 4436 h2
	[[ $output = *OSError* ]]
	refused ambiguous_request
	[[ $output = *HTTP/2* ]]
	policy observe 'http2 = "observe";'
	run leashed /usr/bin/python3 alpn.py api.example.com 4436 h2 http/1.1
	[ "$output" = h2 ]
	policy own 'loopback: { allow_ports = [ 7443 ]; };'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=own -keyout own.key -out own.pem 2> own.log
	openssl s_server -quiet -accept 127.0.0.1:7443 -cert own.pem -key own.key -alpn h2,http/1.1 > server.log 2>&1 3>&- &
	server=$!
	for _ in {1..100}; do
		if (exec 9<> /dev/tcp/127.0.0.1/7443) 2> /dev/null; then
			break
		fi
		sleep 0.1
	done
	run leashed /usr/bin/python3 alpn.py 127.0.0.1 7443 h2 http/1.1
	kill "$server"
	[ "$output" = h2 ]
}
