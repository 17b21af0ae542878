#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A name in no list costs no packet, however it is looked up (policy 2, hooks.md 3.6); what may be
# asked goes to the configured servers alone, and what they answer counts.

bats_require_minimum_version 1.5.0
load lib
load net

LIBC="getaddrinfo getaddrinfo_a getaddrinfo_a_nowait gethostbyname gethostbyname2 gethostbyname2_6
	gethostbyname_r gethostbyname2_r"
RES="res_query res_search res_nquery res_nsearch res_querydomain res_send res_nsend"

setup() {
	fresh
}

# Nobody but the resolvers of this file sends datagrams here.
no_question() {
	[ "$(lab questions)" -eq 0 ]
	lab unseen packets .
}

@test "libc: an unlisted name is refused in each function's own language" {
	for how in $LIBC $RES; do
		deny not_in_domain_list net_resolve "$how" evil.example.net
		case $how in
		getaddrinfo*) [[ $output == *"EAI -4 "* ]] ;;	# EAI_FAIL
		*) [[ $output == *"h_errno 3 "* ]] ;;		# NO_RECOVERY
		esac
	done
	for how in mx txt ptr any; do
		deny transport net_resolve "$how" evil.example.net
	done
	no_question
}

@test "libc: a listed name is asked for, and its address may be used" {
	for how in $LIBC $RES; do
		[ "$how" != gethostbyname2_6 ] || continue
		pass net_resolve "$how" api.example.com 443
		[ "$output" = "198.51.100.11"$'\n'"connected" ]
	done
	[ "$(lab questions api.example.com)" -ge 14 ]
}

@test "programs with resolvers of their own" {
	resolve='require("dns")[process.argv[1]](process.argv[2], (e, a) => { console.log(e ? e.code : a); process.exit(e ? 1 : 0); })'
	for method in resolve4 resolve6 resolveAny resolveCname resolveMx resolveTxt resolveNs lookup; do
		under node -e "$resolve" "$method" evil.example.net
		[ "$status" -ne 0 ]
		grep -q '^netleash: .*refused: ' <<< "$output"
	done
	for args in evil.example.net "AAAA evil.example.net" "+tcp evil.example.net" "+notcp +edns=0 HTTPS evil.example.net"; do
		# shellcheck disable=SC2086
		under dig +time=1 +tries=1 $args
		[ "$status" -ne 0 ]
		refused not_in_domain_list
	done
	for program in "host -W 1 -R 1" "nslookup -timeout=1 -retry=1"; do
		# shellcheck disable=SC2086
		under $program evil.example.net
		refused not_in_domain_list
	done
	lab unseen packets '"proto":"udp"'
	[ "$(lab questions)" -eq 0 ]

	pass node -e "$resolve" resolve4 api.example.com
	[[ $output == *198.51.100.11* ]]
	pass dig +short +tcp api.example.com
	[[ $output == *198.51.100.11* ]]
	pass dig +short HTTPS cdn.example.com
	[ "$(lab questions api.example.com)" -eq 2 ]
	lab saw dns '"proto":"tcp"'
}

@test "what a resolver of the program's own learnt may be connected to" {
	pass node -e 'require("dns").resolve4("api.example.com", (e, a) => require("tls").connect({host: a[0], port: 443,
		servername: "api.example.com"}, () => process.exit(0)).on("error", e => { console.log(e); process.exit(1); }))'
	deny ip_literal node -e 'require("tls").connect({host: "198.51.100.11", port: 443,
		servername: "api.example.com"}, () => process.exit(0)).on("error", e => { console.log(e); process.exit(1); })'
	# By hand, over UDP, connected and not, and over TCP in pieces.
	cat > ask.py <<-'END'
		import socket, struct, sys
		name, how = sys.argv[1:3]
		question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"".join(
		    bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0" + struct.pack("!2H", 1, 1)
		server = (sys.argv[3] if len(sys.argv) > 3 else "198.51.100.53", 53)
		if how == "tcp":
		    s = socket.create_connection(server, 5)
		    message = struct.pack("!H", len(question)) + question
		    for i in range(0, len(message), 5):
		        s.send(message[i:i + 5])
		    answer = s.recv(2000)
		else:
		    s = socket.socket(type=socket.SOCK_DGRAM)
		    s.settimeout(5)
		    if how == "connected":
		        s.connect(server)
		        s.send(question)
		        answer = s.recv(2000)
		    elif how == "recvmsg":
		        s.sendmsg([question[:9], question[9:]], [], 0, server)
		        answer = s.recvmsg(2000)[0]
		    else:
		        s.sendto(question, server)
		        answer = s.recvfrom(2000)[0]
		address = socket.inet_ntoa(answer[-4:])
		print(address)
		socket.create_connection((address, 443), 5)
	END
	for how in sendto connected recvmsg tcp; do
		pass "$PY" ask.py api.example.com "$how"
		[[ $output == *198.51.100.11* ]]
		deny not_in_domain_list "$PY" ask.py evil.example.net "$how"
		deny not_in_domain_list "$PY" ask.py api.example.com.corp.example "$how"
	done
	[ "$(lab questions evil.example.net)" -eq 0 ]
	lab unseen packets '"dst":"203.0.113.66"'
}

@test "only the configured name servers are asked" {
	for server in 198.51.100.54 203.0.113.66 2001:db8:66::66; do
		deny ip_literal dig +time=1 +tries=1 "@$server" api.example.com
		deny ip_literal dig +tcp +time=1 +tries=1 "@$server" api.example.com
	done
	deny ip_literal node -e 'const d = require("dns"); d.setServers(["198.51.100.54"]);
		d.resolve4("api.example.com", (e, a) => { console.log(e ? e.code : a); process.exit(e ? 1 : 0); })'
	lab unseen dns2 .
	evil_unseen
	pass dig +short @198.51.100.53 api.example.com
	# On its other ports the name server is an address like any other.
	deny ip_literal nc -z -w 2 198.51.100.53 443
	deny ip_literal "$PY" -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.53", 5353))'
}

@test "a message that is not one plain question does not leave" {
	cat > odd.py <<-'END'
		import socket, struct, sys
		def name(text): return b"".join(bytes([len(l)]) + l.encode() for l in text.split(".")) + b"\0"
		def head(flags, *counts): return struct.pack("!6H", 9, flags, *counts)
		good = name("api.example.com") + struct.pack("!2H", 1, 1)
		evil = name("evil.example.net") + struct.pack("!2H", 1, 1)
		message = {
		    "two": head(0x100, 2, 0, 0, 0) + good + evil,
		    "none": head(0x100, 0, 0, 0, 0),
		    "answer": head(0x8100, 1, 0, 0, 0) + good,
		    "update": head(0x2800, 1, 0, 0, 0) + good,
		    "chaos": head(0x100, 1, 0, 0, 0) + name("api.example.com") + struct.pack("!2H", 1, 3),
		    "text": b"this is not DNS at all, it only goes to port 53",
		    "empty": b"",
		    "tail": head(0x100, 1, 0, 0, 0) + good + b"secret data behind the question",
		    "pointer": head(0x100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!2H", 1, 1),
		    "cut": (head(0x100, 1, 0, 0, 0) + good)[:-3],
		}[sys.argv[1]]
		s = socket.socket(type=socket.SOCK_DGRAM)
		s.settimeout(5)
		s.sendto(message, ("198.51.100.53", 53))
	END
	for kind in two none answer update chaos text empty tail pointer cut; do
		under "$PY" odd.py "$kind"
		[ "$status" -ne 0 ]
		grep -qE '^netleash: .* refused: (transport|not_in_domain_list) \(rule (dns|domains)\)' <<< "$output"
	done
	no_question
}

@test "search domains are not used" {
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/nx.example.com", "https:\/\/short.corp.example", "https:\/\/v6only.example.com"/' "$POLICY"
	# Without a leash the resolver would go on with the search list.
	run getent ahosts nx.example.com
	[ "$status" -ne 0 ]
	[ "$(lab questions nx.example.com.corp.example)" -gt 0 ]
	run getent hosts short
	[ "$status" -eq 0 ]
	lab reset-logs

	for how in $LIBC res_query res_search res_nsearch; do
		under net_resolve "$how" nx.example.com
		[ "$status" -ne 0 ]
		if grep '^netleash: ' <<< "$output"; then return 1; fi
	done
	under curl -sS -m 10 https://nx.example.com/
	under "$PY" -c 'import socket; socket.gethostbyname("nx.example.com")'
	under ping -c 1 nx.example.com
	[ "$(lab questions nx.example.com)" -gt 0 ]
	[ "$(lab questions nx.example.com.corp.example)" -eq 0 ]
	# A name without an address of the family asked for does not fall into the trap either.
	under net_resolve gethostbyname2_6 api.example.com
	under curl -6 -sS -m 10 https://api.example.com/
	[ "$status" -ne 0 ]
	[ "$(lab questions api.example.com.corp.example)" -eq 0 ]
	# A short name is itself.
	deny not_in_domain_list net_resolve getaddrinfo short
	deny not_in_domain_list net_resolve gethostbyname short
	[ "$(lab questions short.corp.example)" -eq 0 ]
	pass net_resolve getaddrinfo short.corp.example
	evil_unseen
}

@test "RES_OPTIONS, LOCALDOMAIN and HOSTALIASES change nothing of it" {
	echo "alias evil.example.net" > aliases
	echo "api.example.com evil.example.net" >> aliases
	export HOSTALIASES=$PWD/aliases LOCALDOMAIN="example.net corp.example" RES_OPTIONS="ndots:15 attempts:1 timeout:1"
	for how in $LIBC res_query res_search res_nsearch; do
		[ "$how" != gethostbyname2_6 ] || continue
		pass net_resolve "$how" api.example.com 443
		[ "$output" = "198.51.100.11"$'\n'"connected" ]
		deny not_in_domain_list net_resolve "$how" evil
		deny not_in_domain_list net_resolve "$how" alias
		deny not_in_domain_list net_resolve "$how" evil.example.net
	done
	RES_OPTIONS="use-vc" pass net_resolve getaddrinfo api.example.com 443
	[ "$(lab questions evil.example.net)" -eq 0 ]
	[ "$(lab questions api.example.com.corp.example)" -eq 0 ]
	[ "$(lab questions api.example.com.example.net)" -eq 0 ]
	evil_unseen
}

@test "answers that are long, late or wrong" {
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/big.example.com", "https:\/\/many.example.com", "https:\/\/cnameloop.example.com", "https:\/\/refused.example.com"/' "$POLICY"
	pass "$PY" -c 'import socket
found = socket.getaddrinfo("big.example.com", 443, socket.AF_INET, socket.SOCK_STREAM)
assert len(found) == 60, found
for i in 1, 20:
    socket.create_connection(socket.getaddrinfo("many.example.com", 443, socket.AF_INET, socket.SOCK_STREAM)[i - 1][4], 10)'
	lab saw dns '"proto":"tcp"'
	under net_resolve getaddrinfo cnameloop.example.com
	[ "$status" -eq 1 ]
	[[ $output == EAI* ]]
	under net_resolve getaddrinfo refused.example.com
	[ "$status" -eq 1 ]
	[[ $output == EAI* ]]
}

@test "no name server, no answer: the error is the resolver's" {
	[ "$(id -u)" -eq 0 ] || skip "needs to change routes"
	ip route add unreachable 198.51.100.53
	under net_resolve getaddrinfo api.example.com
	ip route del unreachable 198.51.100.53
	[ "$output" = "EAI -3 Temporary failure in name resolution" ]
	pass net_resolve getaddrinfo api.example.com
}
