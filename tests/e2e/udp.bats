#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Datagrams, and the kinds of socket that are neither TCP nor UDP (policy 4).

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
	# HOW HOST PORT: one datagram and its echo
	cat > udp.py <<-'END'
		import asyncio, socket, sys
		how, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
		async def go():
		    loop = asyncio.get_running_loop()
		    back = loop.create_future()
		    class Protocol(asyncio.DatagramProtocol):
		        def datagram_received(self, data, addr): back.set_result(data)
		        def error_received(self, e): back.set_exception(e)
		    transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=(host, port))
		    transport.sendto(b"hello")
		    return await asyncio.wait_for(back, 5)
		if how == "asyncio":
		    print(asyncio.run(go()))
		    sys.exit(0)
		family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
		s = socket.socket(family, socket.SOCK_DGRAM)
		s.settimeout(5)
		if how == "connect":
		    s.connect(address)
		    print("connected")
		    s.send(b"hello")
		elif how == "sendmsg":
		    s.sendmsg([b"he", b"llo"], [], 0, address)
		else:
		    s.sendto(b"hello", address)
		print(s.recv(99))
	END
}

@test "the udp list" {
	for how in connect sendto sendmsg asyncio; do
		pass "$PY" udp.py "$how" udp.example.com 9001
		[[ $output == *"b'hello'"* ]]
		deny not_in_domain_list "$PY" udp.py "$how" evil.example.net 9001
		deny ip_literal "$PY" udp.py "$how" 203.0.113.66 9001
		deny other_private_network "$PY" udp.py "$how" 10.99.0.5 9001
	done
	pass node -e 'const s = require("dgram").createSocket("udp4"); s.on("message", m => process.exit(m == "hello" ? 0 : 1));
		s.send("hello", 9001, "udp.example.com")'
	pass bash -c 'exec 3<>/dev/udp/udp.example.com/9001'
	[ "$(lab count raw '"event":"datagram"')" -ge 5 ]
	evil_unseen
	lab unseen priv .
}

@test "names of other lists get no datagram" {
	for how in connect sendto sendmsg asyncio; do
		deny transport "$PY" udp.py "$how" play.example.com 9001
		said play.example.com:9001 "(rule domains.udp)" "is in \`socket\`" "add \"udp://play.example.com\" to domains.udp"
		deny transport "$PY" udp.py "$how" raw.example.com 9001
		said "is in \`tcp\`"
	done
	deny transport node -e 'const s = require("dgram").createSocket("udp4");
		s.send("hello", 9001, "play.example.com", e => { console.log(e); process.exit(e ? 1 : 0); })'
	[[ $output == *EACCES* ]]
	deny transport socat -u /etc/hostname UDP4:play.example.com:9001
	deny transport ruby -rsocket -e 's = UDPSocket.new; s.send("hello", 0, "play.example.com", 9001)'
	lab unseen play .
	lab unseen packets '"proto":"udp".*"dport":9001'
}

@test "QUIC: connect says yes, for resolvers that sort addresses by it; nothing is sent" {
	for port in 443 8443; do
		deny transport "$PY" udp.py connect api.example.com "$port"
		[[ $output == connected* ]] || [[ $output == *$'\n'connected* ]]
		said "api.example.com:$port" "does not grant UDP"
		deny transport "$PY" udp.py sendto api.example.com "$port"
	done
	lab unseen web '"event":"datagram"'
	lab unseen packets '"proto":"udp".*"dport":(443|8443)'
	# Sorting by address works: both families of a name, in the order that it has without us.
	sed -i 's/"https:\/\/own.example.com"/&, "https:\/\/dual.example.com"/' "$POLICY"
	plain=$(getent ahosts dual.example.com | sort -u)
	pass getent ahosts dual.example.com
	[ "$(sort -u <<< "$output")" = "$plain" ]
	[ "$(getent ahosts dual.example.com | head -1)" = "$(head -1 <<< "$output")" ]
}

@test "a datagram socket changes its mind" {
	under "$PY" -c 'import socket
def attempt(what, call):
    try:
        call()
        print(what, "ok")
    except OSError as e:
        print(what, e.errno)
s = socket.socket(type=socket.SOCK_DGRAM)
udp = (socket.gethostbyname("udp.example.com"), 9001)
web = (socket.gethostbyname("api.example.com"), 443)
evil = ("203.0.113.66", 9001)
for _ in range(2):
    attempt("listed", lambda: s.sendto(b"x", udp))
    attempt("web", lambda: s.sendto(b"x", web))
    attempt("evil", lambda: s.sendto(b"x", evil))
s.connect(udp)
attempt("listed", lambda: s.send(b"x"))
attempt("evil", lambda: s.sendto(b"x", evil))
attempt("evil", lambda: s.connect(evil))
d = s.dup()
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(web)		# sends nothing, and is mute for good: no way may carry a byte out of it
attempt("web", lambda: s.send(b"x"))
attempt("mute", lambda: s.sendto(b"x", udp))
attempt("listed", lambda: d.send(b"x"))
attempt("evil", lambda: d.sendmsg([b"x"], [], 0, evil))'
	[ "$status" -eq 0 ]
	[ "$(grep -c '^listed ok' <<< "$output")" -eq 4 ]
	[ "$(grep -c '^mute 32' <<< "$output")" -eq 1 ]
	[ "$(grep -c '^web 13' <<< "$output")" -eq 3 ]
	[ "$(grep -c '^evil 13' <<< "$output")" -eq 5 ]
	evil_unseen
	lab unseen web .
}

@test "LAN peers" {
	for how in connect sendto sendmsg asyncio; do
		pass "$PY" udp.py "$how" 192.0.2.20 9001
		pass "$PY" udp.py "$how" 198.18.5.20 9001
		pass "$PY" udp.py "$how" 2001:db8:1::20 9001
	done
	policy off 'lan: { allow = false; };'
	deny ip_literal "$PY" udp.py sendto 192.0.2.20 9001
	deny transport "$PY" udp.py sendto lan.example.com 9001
	policy tls 'lan: { require_tls = true; };'
	pass "$PY" udp.py sendto 192.0.2.20 9001
}

@test "sendmmsg: what stands before a refused datagram is sent" {
	cat > many.c <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <errno.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		int main(void)
		{
			const char *to[] = {"192.0.2.20", "192.0.2.20", "203.0.113.66", "192.0.2.20"};
			struct sockaddr_in in[4];
			struct mmsghdr many[4] = {0};
			struct iovec iov = {"dial\n", 5};
			int fd = socket(AF_INET, SOCK_DGRAM, 0), got;
			for (int i = 0; i < 4; i++) {
				in[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(9001)};
				inet_pton(AF_INET, to[i], &in[i].sin_addr);
				many[i].msg_hdr = (struct msghdr){&in[i], sizeof(in[i]), &iov, 1};
			}
			got = sendmmsg(fd, many, 4, 0);
			printf("%d", got);
			got = sendmmsg(fd, many + 2, 2, 0);
			printf(" %d %s\n", got, strerror(errno));
			return got == -1 && errno == EACCES ? 0 : 1;
		}
	END
	cc -o many many.c
	under ./many
	[ "$status" -eq 0 ]
	[[ $output == *"2 -1 Permission denied" ]]
	refused ip_literal
	evil_unseen
	[ "$(lab count peer '"event":"datagram"')" -eq 2 ]
}

@test "sockets that are neither TCP nor UDP are refused when they are made" {
	under "$PY" -c 'import socket
kinds = dict(raw=(2, 3, 1), raw6=(10, 3, 58), icmp=(2, 2, 1), icmp6=(10, 2, 58), packet=(17, 3, 768), packet_dgram=(17, 2, 768),
    sctp=(2, 1, 132), sctp_seq=(2, 5, 132), sctp6=(10, 1, 132), dccp=(2, 6, 33), udplite=(2, 2, 136), smc=(2, 1, 256),
    vsock=(40, 1, 0), tipc=(30, 1, 0), can=(29, 3, 1), bluetooth=(31, 1, 3), rds=(21, 5, 0), smc_family=(43, 1, 0),
    xdp=(44, 3, 0), netlink_audit=(16, 3, 9), netlink_generic=(16, 3, 16), x25=(9, 5, 0), ax25=(3, 2, 0), llc=(26, 1, 0),
    packet_old=(2, 10, 3), nfc=(39, 5, 0), phonet=(35, 2, 0), ieee802154=(36, 2, 0), qipcrtr=(42, 2, 0), kcm=(41, 5, 0),
    ipx=(4, 2, 0), appletalk=(5, 2, 0), irda=(23, 1, 0), pppox=(24, 1, 0), igmp=(2, 3, 2), ospf=(2, 3, 89))
for name, kind in kinds.items():
    try:
        socket.socket(*kind)
        print(name, "MADE")
    except OSError as e:
        print(name, e.errno)
for name, kind in dict(tcp=(2, 1, 0), tcp6=(10, 1, 6), udp=(2, 2, 0), udp6=(10, 2, 17), unix=(1, 1, 0), seqpacket=(1, 5, 0),
                       route=(16, 3, 0), uevent=(16, 3, 15)).items():
    socket.socket(*kind)
    print(name, "made")
for a in socket.socketpair(): a.close()'
	[ "$status" -eq 0 ]
	[[ $output != *MADE* ]]
	[ "$(grep -c ' 13$' <<< "$output")" -eq 36 ]
	[ "$(grep -c ' made$' <<< "$output")" -eq 8 ]
	[ "$(grep -c '^netleash: .* refused: transport (rule transport): ' <<< "$output")" -eq 36 ]
}

@test "source routes are refused" {
	deny transport "$PY" -c 'import socket
s = socket.socket()
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4, 203, 0, 113, 66, 0]))'
	deny transport "$PY" -c 'import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendmsg([b"x"], [(socket.IPPROTO_IP, 7, bytes([131, 7, 4, 203, 0, 113, 66, 0]))], 0, ("192.0.2.20", 9001))'
	lab unseen peer .
	pass "$PY" -c 'import socket
s = socket.socket()
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 16)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)'
}

@test "listen = lan and any: who may come" {
	[ "$(id -u)" -eq 0 ] || skip "needs to make a link"
	# A guest of our own: on the link it is a neighbour (10.77.0.2) and a stranger (203.0.113.200).
	unshare -n sleep 600 &
	guest=$!
	until [ "$(readlink "/proc/$guest/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done
	ip link add guest0 type veth peer name eth0 netns "$guest"
	ip addr add 10.77.0.1/24 dev guest0
	ip link set guest0 up
	nsenter -t "$guest" -n sh -c 'ip link set lo up; ip addr add 203.0.113.200/32 dev lo; ip addr add 10.77.0.2/24 dev eth0
		ip link set eth0 up'
	ip route add 203.0.113.200/32 via 10.77.0.2
	cat > server.py <<-'END'
		import socket, sys
		s = socket.create_server(("10.77.0.1", 5400))
		print("ready", flush=True)
		while True:
		    try:
		        one, peer = s.accept()
		    except ConnectionAbortedError:
		        print("aborted", flush=True)
		        continue
		    print("accepted", peer[0], flush=True)
		    one.sendall(b"welcome\n")
		    if one.recv(9) == b"stop":
		        break
	END
	cat > guest.py <<-'END'
		import socket, sys
		s = socket.create_connection(("10.77.0.1", 5400), 10, (sys.argv[1], 0))
		try:
		    print(s.recv(20))
		    s.sendall(sys.argv[2].encode())
		except OSError as e:
		    print(e)
	END
	visit() {
		nsenter -t "$guest" -n "$PY" guest.py "$@"
	}
	for who in lan any; do
		policy "$who" "listen = \"$who\";"
		rm -f said
		mkfifo said
		leashed "$PY" server.py > said 2> "said.$who" 3>&- &
		server=$!
		exec 5< said
		read -r -t 20 line <&5
		[ "$line" = ready ]
		visit 10.77.0.2 hello | grep -q welcome
		read -r -t 20 line <&5
		[ "$line" = "accepted 10.77.0.2" ]
		run visit 203.0.113.200 hello
		read -r -t 20 line <&5
		if [ "$who" = lan ]; then
			[ "$line" = aborted ]
			[[ $output != *welcome* ]]
			grep -q 'accept 203.0.113.200:.* refused: listen (rule listen): ' "said.$who"
		else
			[ "$line" = "accepted 203.0.113.200" ]
			[[ $output == *welcome* ]]
		fi
		visit 10.77.0.2 stop | grep -q welcome
		read -r -t 20 line <&5
		wait "$server"
		exec 5<&-
	done
	kill "$guest"
	ip link del guest0 || true
}
