#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# An address is judged as what it is (policy 3), in every notation and in every form of sockaddr.

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
}

teardown() {
	end_witness
}

# Ways to give an AF_INET(6) address of one's own to the kernel
TCP_WAYS="connect nonblock fastopen fastopenmsg fastopenmmsg fastopenopt syscall"
UDP_WAYS="sendto sendmsg sendmmsg udpconnect writev"

@test "IPv4 notations of loopback, by programs that leave them to libc" {
	witness
	for text in 127.0.0.1 127.1 127.0.1 127.255.255.254 0x7f.1 0x7f000001 0X7F.0.0.1 2130706433 \
			017700000001 0177.0.0.1 0177.0.0.01 127.0x1 127.000.000.001; do
		for program in python3 fastopenmsg nc perl node bash wget; do
			dial "$program" "$text" "$PORT"
			deny loopback "${cmd[@]}"
		done
		dial curl "$text" "$PORT"
		deny loopback "${cmd[@]}"
	done
	witnessed 0
	# They do mean that: without a leash each of them arrives.
	for text in 127.1 0x7f.1 2130706433 017700000001 127.000.000.001; do
		nc -z -w 5 "$text" "$PORT"
	done
	witnessed 5
}

@test "IPv4 notations of others" {
	witness
	while read -r reason text; do
		for program in python3 asyncio nc perl curl ruby; do
			dial "$program" "$text" "$PORT"
			deny "$reason" "${cmd[@]}"
		done
	done <<-'END'
		unspecified_address 0.0.0.0
		unspecified_address 0
		unspecified_address 0x0
		unspecified_address 00000000000
		own_address 192.0.2.10
		own_address 3221225994
		own_address 0xc000020a
		own_address 192.0.522
		own_address 0306.022.5.10
		own_address 198.18.5.10
		other_private_network 10.23197
		other_private_network 0xa9fea9fe
		other_private_network 100.64.9.9
		other_private_network 240.0.0.1
		other_private_network 0.1.2.3
		ip_literal 3405803842
		ip_literal 0xcb.0.0x71.0102
	END
	witnessed 0
	evil_unseen
}

@test "names of this machine" {
	witness
	for text in localhost LOCALHOST localhost. a.localhost ip6-localhost; do
		for program in python3 curl nc perl; do
			dial "$program" "$text" "$PORT"
			under "${cmd[@]}"
			[ "$status" -ne 0 ]
			# curl knows by itself what "localhost" is, and goes to the address.
			grep -E 'refused: (loopback|not_in_domain_list) ' <<< "$output"
		done
	done
	witnessed 0
	policy open "loopback: { allow_ports = [ $PORT ]; };"
	pass "$PY" "$DIAL" connect localhost "$PORT" hello
	witnessed 1
}

@test "IPv6 notations" {
	witness
	while read -r reason text; do
		for program in python3 asyncio fastopenmsg nc perl ruby node curl; do
			# curl takes no scope in this form.
			[[ $program != curl || $text != *%* ]] || continue
			dial "$program" "$text" "$PORT"
			deny "$reason" "${cmd[@]}"
		done
	done <<-'END'
		loopback ::1
		loopback 0:0:0:0:0:0:0:1
		loopback 0000::0001
		loopback ::ffff:127.0.0.1
		loopback ::ffff:7f00:1
		loopback 0:0:0:0:0:ffff:7f01:203
		loopback ::127.0.0.1
		loopback 64:ff9b::127.0.0.1
		loopback 64:ff9b::7f00:1
		unspecified_address ::
		unspecified_address ::ffff:0.0.0.0
		unspecified_address ::ffff:0:0
		unspecified_address 64:ff9b::
		own_address 2001:db8:1::10
		own_address 2001:DB8:1:0::10
		own_address ::ffff:192.0.2.10
		own_address ::ffff:c612:50a
		own_address 64:ff9b::192.0.2.10
		own_address fe80::10%lan0
		other_private_network ::ffff:10.99.0.5
		other_private_network ::ffff:a9fe:a9fe
		other_private_network fd00::1
		other_private_network ff02::1%lan0
		ip_literal ::ffff:203.0.113.66
		ip_literal 64:ff9b::203.0.113.66
		ip_literal 2001:db8:66::66
	END
	witnessed 0
	evil_unseen
	# Mapped addresses of those who may be talked to.
	pass "$PY" "$DIAL" connect ::ffff:192.0.2.20 9000 hello
	pass "$PY" "$DIAL" asyncio 2001:db8:1::20 9000 hello
}

@test "a scope id belongs to the address" {
	pass "$PY" "$DIAL" connect fe80::20%lan0 9000 hello
	pass "$PY" "$DIAL" asyncio fe80::20%lan0 9000 hello
	pass nc -z -w 5 fe80::20%lan0 9000
	pass net_dial connect 6 fe80::20 9000 lan0
	pass net_dial sendto 6 fe80::20 9001 lan0
	# The other interface has its own fe80::/64, where this is a stranger; there is none on loopback.
	under "$PY" "$DIAL" connect fe80::20%lo 9000 hello
	[ "$status" -ne 0 ]
	lab count peer accept | grep -qx 4
}

@test "every way to hand over an address: this machine" {
	witness
	for way in $TCP_WAYS $UDP_WAYS; do
		while read -r reason family address scope; do
			deny "$reason" net_dial "$way" "$family" "$address" "$PORT" $scope
			[[ $output == *": EACCES"* ]]
		done <<-'END'
			loopback 4 127.0.0.1
			loopback 4 127.9.9.9
			loopback 6 ::1
			loopback 6 ::ffff:127.0.0.1
			loopback 6 ::127.0.0.1
			loopback 6 64:ff9b::7f00:1
			unspecified_address 4 0.0.0.0
			unspecified_address 6 ::
			unspecified_address 6 ::ffff:0.0.0.0
			own_address 4 192.0.2.10
			own_address 4 198.18.5.10
			own_address 6 2001:db8:1::10
			own_address 6 ::ffff:192.0.2.10
			own_address 6 fe80::10 lan0
		END
	done
	# An AF_INET address on an AF_INET6 datagram socket goes where it says.
	for way in $UDP_WAYS; do
		deny loopback net_dial "$way" 4on6 127.0.0.1 "$PORT"
		deny own_address net_dial "$way" 4on6 192.0.2.10 "$PORT"
	done
	witnessed 0
	# And these do arrive where it is allowed, each of them.
	policy open 'loopback: { allow_ports = "any"; };'
	for way in $TCP_WAYS $UDP_WAYS; do
		pass net_dial "$way" 4 127.0.0.1 "$PORT"
		pass net_dial "$way" 6 ::ffff:127.0.0.1 "$PORT"
		pass net_dial "$way" 4 192.0.2.10 "$PORT"
	done
	for way in $UDP_WAYS; do
		pass net_dial "$way" 4on6 127.0.0.1 "$PORT"
	done
	witnessed 41
}

@test "every way to hand over an address: others" {
	for way in $TCP_WAYS; do
		deny ip_literal net_dial "$way" 4 203.0.113.66 9000
		deny ip_literal net_dial "$way" 6 ::ffff:203.0.113.66 9000
		deny ip_literal net_dial "$way" 6 2001:db8:66::66 9000
		deny other_private_network net_dial "$way" 4 10.99.0.5 9000
		pass net_dial "$way" 4 192.0.2.20 9000
		pass net_dial "$way" 6 ::ffff:192.0.2.20 9000
		pass net_dial "$way" 6 2001:db8:1::20 9000
	done
	for way in $UDP_WAYS; do
		deny ip_literal net_dial "$way" 4 203.0.113.66 9001
		deny ip_literal net_dial "$way" 4on6 203.0.113.66 9001
		deny ip_literal net_dial "$way" 6 ::ffff:203.0.113.66 9001
		deny other_private_network net_dial "$way" 4on6 10.99.0.5 9001
		pass net_dial "$way" 4 192.0.2.20 9001
		pass net_dial "$way" 4on6 192.0.2.20 9001
		pass net_dial "$way" 6 ::ffff:192.0.2.20 9001
	done
	evil_unseen
	lab unseen priv .
}

@test "broadcast and multicast" {
	for way in $UDP_WAYS; do
		for address in 192.0.2.255 255.255.255.255 239.1.2.3 198.18.5.255; do
			deny other_private_network net_dial "$way" 4 "$address" 9001
			said "$address" "(rule lan.multicast)" "set lan.multicast = true"
			deny other_private_network net_dial "$way" 4on6 "$address" 9001
		done
		deny other_private_network net_dial "$way" 6 ff02::1 9001 lan0
		deny other_private_network net_dial "$way" 6 ::ffff:239.1.2.3 9001
	done
	deny other_private_network "$PY" -c 'import socket, struct
s = socket.socket(type=socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("192.0.2.10"))'
	deny other_private_network socat -u /etc/hostname UDP-DATAGRAM:239.1.2.3:9001
	deny other_private_network socat -u /etc/hostname UDP-DATAGRAM:192.0.2.255:9001,broadcast
	lab unseen cast .
	lab unseen packets '"dst":"(192\.0\.2\.255|255\.255\.255\.255|239\.|ff02::1")'

	policy cast 'lan: { multicast = true; };'
	for address in 192.0.2.255 255.255.255.255 239.1.2.3; do
		under net_dial sendto 4 "$address" 9001
		[[ $output == *": ok"* ]]
		lab saw cast "$address"
	done
	under net_dial sendto 6 ff02::1 9001 lan0
	[[ $output == *": ok"* ]]
	lab saw cast 'ff02::1'
	pass socat -u /etc/hostname UDP-DATAGRAM:239.1.2.3:9001
}

@test "the LAN: by address, without an entry" {
	pass curl -sS -m 10 http://192.0.2.20/
	[[ $output == *"hello from peer"* ]]
	pass curl -gsS -m 10 'http://[2001:db8:1::20]/'
	pass curl -gsS -m 10 'http://[fe80::20%25lan0]/'
	pass curl -sS -m 10 http://198.18.5.20/
	pass curl -sSk -m 10 https://192.0.2.20/
	pass wget -nv -t 1 -T 10 -O- http://192.0.2.20:8080/
	pass node -e 'require("http").get("http://192.0.2.20/", r => r.on("data", d => console.log(d + "")))'
	pass "$PY" "$DIAL" asyncio 192.0.2.20 7000 hello
	pass "$PY" -c 'import socket; print(socket.create_connection(("192.0.2.20", 2525), 10).recv(99))'
	[[ $output == *220* ]]
	# Raw TCP does not use the forbidden ports, http and TLS may.
	for way in connect asyncio nonblock fastopen fastopenmsg; do
		deny forbidden_port "$PY" "$DIAL" "$way" 192.0.2.20 8080 hello
		deny forbidden_port "$PY" "$DIAL" "$way" 192.0.2.20 443 hello
		pass "$PY" "$DIAL" "$way" 192.0.2.20 443
		pass "$PY" "$DIAL" "$way" 192.0.2.20 8080 'GET / HTTP/1.0\r\n\r\n'
	done
	deny forbidden_port perl -MIO::Socket::INET -e '$SIG{PIPE} = "IGNORE"; $s = IO::Socket::INET->new("192.0.2.20:8080") or die;
		$s->syswrite("hello\n") or die "$!\n"'
	lab unseen peer plaintext
}

@test "lan.require_tls" {
	policy tls 'lan: { require_tls = true; };'
	deny plaintext curl -sS -m 10 http://192.0.2.20/
	said 192.0.2.20:80 "(rule lan.require_tls)" "on the LAN"
	deny plaintext wget -nv -t 1 -T 10 -O- http://192.0.2.20:8080/
	deny plaintext "$PY" "$DIAL" asyncio 192.0.2.20 9000 hello
	deny plaintext "$PY" "$DIAL" fastopenmsg 192.0.2.20 9000 hello
	deny plaintext "$PY" -c 'import socket; print(socket.create_connection(("192.0.2.20", 2525), 10).recv(99))'
	lab unseen peer '"event":"(request|data|plaintext)"'
	pass curl -sSk -m 10 https://192.0.2.20/
	pass "$PY" "$DIAL" asyncio 192.0.2.20 443
}

@test "lan.allow = false, and the profile build" {
	policy off 'lan: { allow = false; };'
	off=$POLICY
	policy build 'profile = "build";'
	for POLICY in "$off" "$POLICY"; do
		deny ip_literal curl -sS -m 10 http://192.0.2.20/
		said 192.0.2.20 "(rule lan.allow)" "lan.allow is false"
		deny ip_literal "$PY" "$DIAL" asyncio 192.0.2.20 443
		deny ip_literal net_dial sendto 4 192.0.2.20 9001
		deny other_private_network net_dial connect 6 fe80::20 9000 lan0
		lab unseen peer .
		# A listed name there is a server like any other: TLS.
		pass curl -sSk -m 10 https://lan.example.com/
		deny plaintext curl -sS -m 10 http://lan.example.com/
		lab reset-logs
	done
}

@test "lan.address and lan.netmask: a phone on another network" {
	policy phone 'lan: { address = "10.99.0.7"; netmask = "255.255.255.0"; };'
	pass curl -sS -m 10 http://10.99.0.5/
	[[ $output == *"hello from priv"* ]]
	pass "$PY" "$DIAL" asyncio 10.99.0.5 9000 hello
	deny ip_literal curl -sS -m 10 http://192.0.2.20/
	deny own_address nc -z -w 5 192.0.2.10 9000
	deny other_private_network nc -z -w 5 100.64.9.9 9000
	lab unseen peer .
}

@test "an address that comes up while the program runs becomes an own one" {
	[ "$(id -u)" -eq 0 ] || skip "needs to change addresses"
	ip addr add 192.0.2.99/24 dev lan0
	witness
	ip addr del 192.0.2.99/24 dev lan0
	# First it is an (unreachable) neighbour, then ours: interfaces are read again after a second.
	under "$PY" -c 'import socket, subprocess, sys
def dial(): 
    s = socket.socket(); s.settimeout(0.2)
    try: s.connect(("192.0.2.99", int(sys.argv[1])))
    except OSError as e: return e.errno
print("first", dial())
subprocess.run(["ip", "addr", "add", "192.0.2.99/24", "dev", "lan0"], check=True)
for i in range(12):
    error = dial()
    if error == 13: break
    __import__("time").sleep(0.2)
print("then", error)' "$PORT"
	ip addr del 192.0.2.99/24 dev lan0
	[[ $output == *"then 13"* ]]
	refused own_address
}
