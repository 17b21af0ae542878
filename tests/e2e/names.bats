#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a listed name may lead to, and which names are listed (policy 2, 3).

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
}

teardown() {
	end_witness
}

@test "a listed name that leads to this machine is refused" {
	witness
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/own1.example.com"/' "$POLICY"
	while read -r reason name; do
		for program in python3 asyncio fastopenmsg curl node nc; do
			dial "$program" "$name" "$PORT"
			deny "$reason" "${cmd[@]}"
			said "$name:$PORT" "resolved to"
		done
	done <<-'END'
		loopback loop.example.com
		loopback loop6.example.com
		loopback mapped.example.com
		unspecified_address zero.example.com
		own_address own.example.com
		own_address own1.example.com
	END
	witnessed 0
	# It was asked for, being listed; it is the address that is refused.
	[ "$(lab questions loop.example.com)" -gt 0 ]
	policy open "loopback: { allow_ports = [ $PORT ]; };"
	pass nc -z -w 5 loop.example.com "$PORT"
	witnessed 1
}

@test "a name with several addresses works through those that are good" {
	# web, 127.0.0.1, play: the resolver gives them in any order.
	for program in curl wget node python3 asyncio openssl ruby; do
		dial "$program" multi.example.com 443
		under "${cmd[@]}"
		# ruby's and OpenSSL's first address may be the bad one; those that try all of them get through.
		case $program in
		curl | wget | asyncio) [ "$status" -eq 0 ] ;;
		esac
		if grep '^netleash: ' <<< "$output" | grep -v "refused: loopback "; then return 1; fi
	done
	under "$PY" -c 'import socket
for _ in range(10):
    socket.create_connection(("multi.example.com", 443), 10)'
	[ "$status" -eq 0 ]
	lab saw web accept
}

@test "a name whose answer changes from the web to loopback" {
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/rebind.example.com"/' "$POLICY"
	witness
	under "$PY" -c 'import socket, sys
for _ in range(4):
    address = socket.gethostbyname("rebind.example.com")
    port = int(sys.argv[1]) if address.startswith("127") else 443
    try:
        socket.create_connection((address, port), 10)
        print(address, "ok")
    except OSError as e:
        print(address, e.errno)' "$PORT"
	[ "$(grep -c '^198.51.100.11 ok' <<< "$output")" -eq 2 ]
	[ "$(grep -c '^127.0.0.1 13' <<< "$output")" -eq 2 ]
	witnessed 0
}

@test "an address opens for the name that led there, in this program alone" {
	deny ip_literal curl -sSk -m 10 https://198.51.100.11/
	pass curl -sSk -m 10 https://api.example.com/ 
	deny ip_literal curl -sSk -m 10 https://198.51.100.11/
	# Mapped into IPv6 it is the same address.
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/mapped-web.example.com"/' "$POLICY"
	pass curl -sSk -m 10 https://mapped-web.example.com/
	# A child is judged by what its parent resolved: a fork, and in a run every program.
	pass "$PY" -c 'import os, socket
socket.gethostbyname("api.example.com")
pid = os.fork()
if pid == 0:
    socket.create_connection(("198.51.100.11", 443), 10)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0'
	run "$NETLEASH" run --no-summary -p "$POLICY" -- bash -c 'exec 3<>/dev/tcp/api.example.com/443; nc -z -w 5 198.51.100.11 443'
	[ "$status" -eq 0 ]
}

@test "a CNAME: the name that was asked for counts" {
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/cname-evil.example.com"/' "$POLICY"
	pass curl -sSk -m 10 https://cname.example.com/
	[[ $output == *"hello from other"* ]]
	pass "$PY" "$DIAL" asyncio cname.example.com 443
	# A listed name that its owner points elsewhere is that owner's business; the target's own name is not listed.
	# But its certificate has to be for the name that was asked for.
	deny certificate curl -sSk -m 10 https://cname-evil.example.com/
	said HOSTNAME_MISMATCH
	lab saw evil '"sni":"cname-evil.example.com"'
	deny not_in_domain_list curl -sSk -m 10 https://other.example.org/
	deny not_in_domain_list curl -sSk -m 10 https://evil.example.net/
	deny name_mismatch net_hello whole cname-evil.example.com 443 evil.example.net
	lab unseen evil '"sni":"evil.example.net"'
}

@test "the hosts file: names are judged there as anywhere" {
	pass curl -sSk -m 10 https://hosts.example.com/
	[[ $output == *"hello from web"* ]]
	deny not_in_domain_list curl -sSk -m 10 https://hosts-evil.example.net/
	deny not_in_domain_list net_resolve gethostbyname hosts-evil.example.net 443
	[ "$(lab questions hosts.example.com)" -eq 0 ]
	evil_unseen
}

@test "matching: case, the dot at the end, IDN; no parent, child or neighbour" {
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/bücher.example.com"/' "$POLICY"
	for name in API.EXAMPLE.COM Api.Example.Com api.example.com. xn--bcher-kva.example.com XN--BCHER-KVA.example.com; do
		for program in python3 curl nc; do
			dial "$program" "$name" 443
			pass "${cmd[@]}"
		done
	done
	LC_ALL=C.UTF-8 pass curl -sSk -m 10 https://bücher.example.com/
	pass "$PY" -c 'import socket; socket.create_connection(("bücher.example.com", 443), 10)'
	pass net_resolve getaddrinfo bücher.example.com 443
	# Other names, though they look alike to somebody.
	for name in example.com a.api.example.com xapi.example.com api.example.comx api.example.org com \
			aapi.example.com api-example.com api..example.com .api.example.com "api.example.com "; do
		under net_resolve getaddrinfo "$name" 443
		[ "$status" -ne 0 ]
	done
	[ "$(lab questions a.api.example.com)" -eq 0 ]
	[ "$(lab questions example.com)" -eq 0 ]
}

@test "the hint names the entry that was probably meant" {
	deny not_in_domain_list net_resolve getaddrinfo apii.example.com
	said "the nearest entry is \`api.example.com\`" "game.cfg:3"
	deny not_in_domain_list net_resolve getaddrinfo a.api.example.com
	said "\`api.example.com\` is listed" "game.cfg:3" "a listed parent does not admit \`a.api.example.com\`"
	deny not_in_domain_list net_resolve getaddrinfo example.com
	said "a listed sub-domain does not admit its parent \`example.com\`" "game.cfg:"
	deny not_in_domain_list net_resolve getaddrinfo com
	said "only full domain names can be listed"
	deny not_in_domain_list net_resolve getaddrinfo quite.another.example
	said "is in no list: add \"https://quite.another.example\" to domains.request"
	deny transport "$PY" -c 'import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendto(b"x", (socket.gethostbyname("play.example.com"), 9001))'
	said "\`play.example.com\` is in \`socket\`" "game.cfg:8" "add \"udp://play.example.com\" to domains.udp"
	# For the list that an API needs, ask explain.
	run "$NETLEASH" explain -p "$POLICY" https://play.example.com/
	echo "$output"
	[[ $output == *"is not in \`request\`; it is in \`socket\`"* ]]
}

@test "ports = exact (profile wechat): 443, or what the entry says" {
	policy exact 'profile = "wechat";'
	sed -i 's/"https:\/\/cdn.example.com", "https:\/\/loop/"https:\/\/cdn.example.com:8443", "https:\/\/loop/' "$POLICY"
	sed -i 's/"https:\/\/cdn.example.com" \]/"https:\/\/up.example.com" ]/' "$POLICY"
	sed -i 's/"https:\/\/own.example.com"/"https:\/\/own.example.com", "https:\/\/www.example.com:8443"/' "$POLICY"
	pass curl -sSk -m 10 https://api.example.com/
	for port in 8080 8443; do
		deny not_in_domain_list curl -sSk -m 10 "https://api.example.com:$port/"
		said "api.example.com:$port" "(rule ports)" "has no port" "443 alone"
		deny not_in_domain_list "$PY" "$DIAL" fastopenmsg api.example.com "$port"
	done
	lab unseen web '"port":(8080|8443)'
	pass curl -sSk -m 10 https://www.example.com:8443/
	deny not_in_domain_list curl -sSk -m 10 https://www.example.com/
	said "has a port"
	# wss takes any.
	pass "$PY" "$DIAL" asyncio play.example.com 8443
	# Otherwise the port does not matter.
	policy any
	pass curl -sSk -m 10 https://api.example.com:8443/
	pass curl -sSk -m 10 https://api.example.com:8080/
}

@test "getnameinfo: only addresses that were resolved are asked back" {
	under "$PY" -c 'import socket
print(socket.getnameinfo(("203.0.113.66", 443), 0)[0])
print(socket.getnameinfo(("198.51.100.14", 443), 0)[0])'
	[ "$output" = 203.0.113.66$'\n'198.51.100.14 ]
	[ "$(lab questions)" -eq 0 ]
	under "$PY" -c 'import socket
socket.gethostbyname("cdn.example.com")
print(socket.getnameinfo(("198.51.100.14", 443), 0)[0])'
	[ "$(lab questions 14.100.51.198.in-addr.arpa)" -gt 0 ]
	for how in gethostbyaddr getfqdn; do
		under "$PY" -c "import socket; print(socket.$how('203.0.113.66'))"
	done
	[ "$(lab questions 66.113.0.203.in-addr.arpa)" -eq 0 ]
}
