#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every reason of policy 1 that belongs to names, addresses and transport, by real programs: what they
# are told, and that the far side saw nothing. Beside each refusal the same program gets through.

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
}

teardown() {
	end_witness
}

TLS_PROGRAMS="curl wget aria2c openssl gnutls-cli node ruby python3 asyncio nonblock fastopen fastopenmsg"
RAW_PROGRAMS="perl socat nc bash"

@test "not_in_domain_list: a name in no list is not asked for, by any program" {
	for program in $TLS_PROGRAMS $RAW_PROGRAMS; do
		dial "$program" evil.example.net 443
		deny not_in_domain_list "${cmd[@]}"
		said evil.example.net "(rule domains)" "is in no list" 'add "https://evil.example.net" to domains.request'
		dial "$program" api.example.com 443
		pass "${cmd[@]}"
	done
	[ "$(lab questions evil.example.net)" -eq 0 ]
	[ "$(lab questions api.example.com)" -gt 0 ]
	evil_unseen
}

@test "not_in_domain_list: gethostbyname, res_query and resolvers of the program's own" {
	for how in gethostbyname gethostbyname_r gethostbyname2_r res_query res_nsend; do
		deny not_in_domain_list net_resolve "$how" evil.example.net 443
		pass net_resolve "$how" api.example.com 443
	done
	resolve='require("dns").resolve4(process.argv[1], (e, a) => { console.log(e ? e.code : a[0]); process.exit(e ? 1 : 0); })'
	deny not_in_domain_list node -e "$resolve" evil.example.net
	pass node -e "$resolve" api.example.com
	[[ $output == *198.51.100.11* ]]
	deny not_in_domain_list dig +time=1 +tries=1 evil.example.net
	pass dig +short api.example.com
	[[ $output == *198.51.100.11* ]]
	[ "$(lab questions evil.example.net)" -eq 0 ]
	evil_unseen
}

@test "blocked_domain beats every list" {
	sed -i 's/"blocked.example.com"/"cdn.example.com", "shared-b.example.com"/; s/"https:\/\/shared-a.example.com"/&, "https:\/\/shared-b.example.com"/' "$POLICY"
	for program in curl wget node python3 asyncio openssl; do
		dial "$program" cdn.example.com 443
		deny blocked_domain "${cmd[@]}"
		said cdn.example.com "domains.blocked" "game.cfg:" "beats every list"
		dial "$program" api.example.com 443
		pass "${cmd[@]}"
	done
	deny blocked_domain net_resolve gethostbyname cdn.example.com
	deny blocked_domain dig +time=1 +tries=1 cdn.example.com
	[ "$(lab questions cdn.example.com)" -eq 0 ]
	lab unseen cdn .
	# The address of an allowed name opens nothing for a blocked one.
	pass openssl s_client -brief -connect shared-a.example.com:443 -servername shared-a.example.com
	deny blocked_domain openssl s_client -brief -connect shared-a.example.com:443 -servername shared-b.example.com
	deny blocked_domain node -e 'require("tls").connect({host: "shared-a.example.com", port: 443,
		servername: "shared-b.example.com"}).on("error", e => { console.log(e.code); process.exit(1); })'
	lab unseen shared '"sni":"shared-b'
}

@test "ip_literal: an address that no listed name was resolved to" {
	for address in 203.0.113.66 2001:db8:66::66; do
		for program in curl wget openssl gnutls-cli node ruby perl socat nc python3 asyncio nonblock fastopen fastopenmsg; do
			dial "$program" "$address" 443
			deny ip_literal "${cmd[@]}"
			said "$address" "(rule address.public)" "addresses cannot be listed"
		done
	done
	for way in connect nonblock fastopen fastopenmsg fastopenmmsg fastopenopt syscall sendto sendmsg sendmmsg udpconnect; do
		deny ip_literal net_dial "$way" 4 203.0.113.66 9000
		[[ $output == *EACCES* ]]
		deny ip_literal net_dial "$way" 6 2001:db8:66::66 9000
		[[ $output == *EACCES* ]]
	done
	evil_unseen
	# The same address as a name's is no literal any more, whoever connects.
	pass "$PY" -c 'import socket
socket.gethostbyname("api.example.com")
socket.create_connection(("198.51.100.11", 443), 10)'
	deny ip_literal "$PY" -c 'import socket
socket.create_connection(("198.51.100.11", 443), 10)'
}

@test "loopback, and the ports that loopback.allow_ports opens" {
	witness
	policy open "loopback: { allow_ports = [ $PORT ]; };"
	open=$POLICY
	policy game
	for program in curl wget openssl node ruby perl socat nc bash python3 asyncio nonblock fastopen fastopenmsg; do
		dial "$program" 127.0.0.1 "$PORT"
		deny loopback "${cmd[@]}"
		said "127.0.0.1:$PORT" "loopback.allow_ports"
	done
	for program in curl perl node asyncio; do
		dial "$program" ::1 "$PORT"
		deny loopback "${cmd[@]}"
		said "[::1]:$PORT" "loopback.allow_ports"
		dial "$program" localhost "$PORT"
		deny loopback "${cmd[@]}"
	done
	witnessed 0
	POLICY=$open
	pass nc -z -w 5 127.0.0.1 "$PORT"
	pass socat -T 5 /dev/null "TCP:127.0.0.1:$PORT"
	pass "$PY" "$DIAL" asyncio localhost "$PORT" hello
	pass "$PY" "$DIAL" fastopen 127.0.0.1 "$PORT" hello
	witnessed 4
	deny loopback nc -z -w 5 127.0.0.1 $((PORT > 2000 ? PORT - 1 : PORT + 1))
}

@test "own_address: this machine by the addresses of its interfaces" {
	witness
	for address in 192.0.2.10 198.18.5.10 2001:db8:1::10; do
		for program in curl wget openssl node ruby perl socat nc python3 asyncio nonblock fastopen fastopenmsg; do
			dial "$program" "$address" "$PORT"
			deny own_address "${cmd[@]}"
			said "$address" "(rule address.own)" "this machine"
		done
	done
	witnessed 0
	policy open 'loopback: { allow_ports = "any"; };'
	for address in 192.0.2.10 198.18.5.10 2001:db8:1::10; do
		pass nc -z -w 5 "$address" "$PORT"
		pass "$PY" "$DIAL" asyncio "$address" "$PORT" hello
	done
	witnessed 6
}

@test "unspecified_address: 0.0.0.0 and :: are this machine" {
	witness
	for address in 0.0.0.0 ::; do
		for program in curl wget openssl node ruby perl socat nc python3 asyncio nonblock fastopen fastopenmsg; do
			dial "$program" "$address" "$PORT"
			deny unspecified_address "${cmd[@]}"
			said "$address" "(rule address.unspecified)" "this machine"
		done
	done
	witnessed 0
	dial nc 192.0.2.20 9000
	pass "${cmd[@]}"
}

@test "other_private_network: private, link-local and shared addresses outside the own subnets" {
	for address in 10.99.0.5 100.64.9.9 169.254.169.254; do
		for program in curl wget openssl node ruby perl socat nc python3 asyncio nonblock fastopen fastopenmsg; do
			dial "$program" "$address" 443
			deny other_private_network "${cmd[@]}"
			said "$address" "(rule address.other_network)" "outside the own subnets"
		done
	done
	for host in priv cgnat meta; do
		lab unseen "$host" .
	done
	lab unseen packets '"dst":"(10\.99|100\.64|169\.254)'
	# A listed intranet server is one (policy 3.4); nobody's name leads to a link-local address.
	for program in curl node asyncio; do
		dial "$program" priv.example.com 443
		pass "${cmd[@]}"
		dial "$program" cgnat.example.com 443
		pass "${cmd[@]}"
		dial "$program" linklocal.example.com 443
		deny other_private_network "${cmd[@]}"
	done
	lab unseen meta .
}

@test "plaintext: http where https is required" {
	deny plaintext curl -sS -m 10 http://api.example.com/
	said api.example.com:80 198.51.100.11 "speak https or wss"
	deny plaintext wget -nv -t 1 -T 10 -O- http://api.example.com/
	deny plaintext node -e 'require("http").get("http://api.example.com/").on("error", e => { console.log(e.code); process.exit(1); })'
	[[ $output == *EACCES* ]]
	deny plaintext ruby -rnet/http -e 'Net::HTTP.get(URI("http://api.example.com/"))'
	deny plaintext perl -MIO::Socket::INET -e '$SIG{PIPE} = "IGNORE"; $s = IO::Socket::INET->new("api.example.com:80") or die;
		$s->syswrite("GET / HTTP/1.0\r\n\r\n") or die "$!\n"'
	# A shell writes by stdio, inside libc: seen as soon as the shell's own dup2() shows it.
	under bash -c 'exec 3<>/dev/tcp/api.example.com/80; echo GET / >&3; cat <&3'
	refused unjudged
	[[ $output != *"hello from"* ]]
	for way in connect asyncio nonblock fastopen fastopenmsg; do
		for port in 80 443 8443; do
			deny plaintext "$PY" "$DIAL" "$way" api.example.com "$port" 'GET / HTTP/1.0\r\n\r\n'
		done
		pass "$PY" "$DIAL" "$way" api.example.com 443
		pass "$PY" "$DIAL" "$way" api.example.com 8443
	done
	lab unseen web plaintext
	lab unseen web '"event":"request".*HTTP/1.0'
	# On the LAN http is allowed, by the same program.
	pass curl -sS -m 10 http://192.0.2.20/
	[[ $output == *"hello from peer"* ]]
	# A WebSocket without TLS.
	deny plaintext curl -sS -m 10 -H 'Upgrade: websocket' -H 'Connection: Upgrade' http://play.example.com/
}

@test "plaintext: a server that speaks first" {
	sed -i 's/"tcp:\/\/raw.example.com"//; s/"https:\/\/api.example.com"/&, "https:\/\/raw.example.com"/' "$POLICY"
	deny plaintext openssl s_client -brief -starttls smtp -connect raw.example.com:2525
	deny plaintext curl -sS -m 10 smtp://raw.example.com:2525/
	deny plaintext "$PY" -c 'import smtplib; smtplib.SMTP("raw.example.com", 2525, timeout=10)'
	deny plaintext "$PY" -c 'import asyncio
async def go():
    reader, _ = await asyncio.open_connection("raw.example.com", 2525)
    print(await reader.readline())
asyncio.run(asyncio.wait_for(go(), 10))'
	[[ $output != *220* ]]
	lab unseen raw '"event":"data"'
	policy game
	pass "$PY" -c 'import socket; print(socket.create_connection(("raw.example.com", 2525), 10).recv(99))'
	[[ $output == *220* ]]
}

@test "name_mismatch: the server name in the handshake is another, or none" {
	deny name_mismatch openssl s_client -brief -connect shared-a.example.com:443 -servername shared-b.example.com
	said shared-b.example.com 203.0.113.77 "(rule tls.server_name)" "TLS handshake" \
		'resolved from `shared-a.example.com`'
	deny name_mismatch openssl s_client -brief -connect shared-a.example.com:443 -noservername
	deny name_mismatch curl -sS -m 10 --connect-to shared-b.example.com::shared-a.example.com: https://shared-b.example.com/
	# Its own OpenSSL, linked statically.
	deny name_mismatch node -e 'require("tls").connect({host: "shared-a.example.com", port: 443,
		servername: "shared-b.example.com"}).on("error", e => { console.log(e.code); process.exit(1); })'
	[[ $output == *EACCES* ]]
	deny name_mismatch gnutls-cli --insecure --sni-hostname=shared-b.example.com shared-a.example.com
	deny name_mismatch "$PY" -c 'import asyncio, ssl
asyncio.run(asyncio.open_connection("shared-a.example.com", 443, ssl=ssl.create_default_context(),
    server_hostname="shared-b.example.com"))'
	deny name_mismatch net_hello sendmmsg shared-a.example.com 443 shared-b.example.com
	# A listed name, but of another address.
	deny name_mismatch openssl s_client -brief -connect shared-a.example.com:443 -servername api.example.com
	# Of a hello in pieces the first may leave; no name does.
	lab unseen shared '"sni":"'
	for program in curl openssl node gnutls-cli asyncio; do
		dial "$program" shared-a.example.com 443
		pass "${cmd[@]}"
	done
	lab saw shared '"sni":"shared-a.example.com"'
}

@test "forbidden_port: raw TCP to a listed name" {
	for port in 22 443 1433 3306 6379 7001 8000 8100 8443 27017; do
		for program in nc socat perl python3; do
			dial "$program" raw.example.com "$port"
			deny forbidden_port "${cmd[@]}"
			said "raw.example.com:$port" "forbidden ports"
		done
	done
	deny forbidden_port "$PY" "$DIAL" asyncio raw.example.com 7001 hello
	deny forbidden_port "$PY" "$DIAL" fastopenmsg raw.example.com 7001 hello
	deny forbidden_port bash -c 'exec 3<>/dev/tcp/raw.example.com/6379'
	deny forbidden_port node -e 'require("net").connect(7001, "raw.example.com").on("error", e => { console.log(e.code); process.exit(1); })'
	[[ $output == *EACCES* ]]
	lab unseen packets '"dst":"198.51.100.13"'
	# Others are open, and TLS to a name of the four lists may use any.
	pass nc -z -w 5 raw.example.com 9000
	pass "$PY" "$DIAL" asyncio raw.example.com 7000 hello
	pass "$PY" "$DIAL" fastopenmsg raw.example.com 9000 hello
	pass curl -sSk -m 10 https://api.example.com:8443/
}

@test "transport: sockets that are neither TCP nor UDP" {
	deny transport ping -c 1 -W 1 192.0.2.20
	said "raw socket" "(rule transport)" "only TCP and UDP"
	deny transport "$PY" -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)'
	said AF_PACKET
	deny transport perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 1) or die "$!\n"'
	deny transport ruby -rsocket -e 'Socket.new(:INET, :RAW, 1)'
	deny transport socat -u /dev/null IP4-SENDTO:192.0.2.20:99
	lab unseen packets '"proto":"icmp'
	pass "$PY" -c 'import socket
socket.socket(), socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX), socket.socketpair()'
}

@test "transport: kinds of question that carry something out" {
	for type in MX TXT NS SRV ANY PTR; do
		deny transport dig +time=1 +tries=1 "$type" api.example.com
		said api.example.com "(rule dns)" "A, AAAA, CNAME, HTTPS and SVCB"
	done
	deny transport node -e 'require("dns").resolveTxt("api.example.com", (e, a) => process.exit(e ? 1 : 0))'
	deny transport net_resolve mx api.example.com
	[ "$(lab questions api.example.com)" -eq 0 ]
	for type in A AAAA CNAME HTTPS SVCB; do
		pass dig +short "$type" api.example.com
	done
	[ "$(lab questions api.example.com)" -eq 5 ]
}

@test "listen: nobody may be waited for" {
	deny listen nc -l 5301
	said ":5301" "(rule listen)" 'listen = "lan" or "any"'
	deny listen socat TCP-LISTEN:5302 -
	# It looks up the name of this machine first, which nobody listed.
	under "$PY" -m http.server 5303
	[ "$status" -ne 0 ]
	refused listen
	deny listen "$PY" -c 'import asyncio
asyncio.run(asyncio.start_server(lambda r, w: None, "0.0.0.0", 5304))'
	deny listen node -e 'require("http").createServer().listen(5305).on("error", e => { console.log(e.code); process.exit(1); })'
	[[ $output == *EACCES* ]]
	deny listen ruby -rsocket -e 'TCPServer.new("0.0.0.0", 5306)'
	under openssl s_server -accept 5307 -nocert	# ends with 0 even so
	refused listen
	# Not bound at all: the kernel would choose a port.
	deny listen "$PY" -c 'import socket; socket.socket().listen()'
	policy any 'listen = "any";'
	pass "$PY" -c 'import socket
s = socket.socket(); s.bind(("0.0.0.0", 5308)); s.listen()'
	pass node -e 'require("http").createServer().listen(5309, () => process.exit(0))'
}

@test "no_policy: everything is refused, one line says why" {
	for policy in "" "$BATS_TEST_TMPDIR/absent.cfg"; do
		POLICY=$policy
		for program in curl wget openssl node ruby perl socat nc python3 asyncio fastopen; do
			dial "$program" api.example.com 443
			under "${cmd[@]}"
			[ "$status" -ne 0 ]
			[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
			[[ $output == *"every network call is refused: no usable policy: "* ]]
			[ -z "$policy" ] || [[ $output == *"absent.cfg"* ]]
		done
		for program in python3 nc fastopen; do
			dial "$program" 192.0.2.20 443
			under "${cmd[@]}"
			[ "$status" -ne 0 ]
			[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
		done
		under ping -c 1 -W 1 192.0.2.20
		[ "$status" -ne 0 ]
		under dig +time=1 +tries=1 api.example.com
		[ "$status" -ne 0 ]
	done
	[ "$(lab questions)" -eq 0 ]
	lab unseen packets .
	policy game
	pass curl -sS -m 10 https://api.example.com/
}

@test "a refusal is one line, with the program, the call, the host, the rule and a hint" {
	deny not_in_domain_list "$PY" -c 'import socket; socket.gethostbyname("evil.example.net")'
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	grep -E '^netleash: python3[.0-9]*\[[0-9]+\]: getaddrinfo evil\.example\.net refused: not_in_domain_list \(rule domains\): `evil\.example\.net` is in no list: add "https://evil\.example\.net" to domains\.request$' <<< "$output"
	deny ip_literal "$PY" -c 'import socket; socket.create_connection(("203.0.113.66", 443))'
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	deny plaintext "$PY" "$DIAL" connect api.example.com 80 hello
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	# Silent on demand; refused all the same.
	NETLEASH_LOG=quiet under "$PY" "$DIAL" connect evil.example.net 443
	[ "$status" -eq 1 ]
	if grep '^netleash' <<< "$output"; then return 1; fi
}
