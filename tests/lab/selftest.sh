#!/bin/bash
# SPDX-License-Identifier: MIT
#
# selftest.sh - does the test network hold what README.md says? Run as root and as anybody else.
# Ends with "N passed, N failed"; exit status 0 if none failed.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
passed=0
failed=0

# ok LABEL COMMAND...: one check, silent when it holds.
ok()
{
	local label=$1 out

	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: %s\n\t%s\n' "$label" "${out//$'\n'/$'\n\t'}"
	fi
}

not()
{
	! "$@"
}

# is WANTED COMMAND...: the output is exactly that.
is()
{
	local wanted=$1 got

	shift
	got=$("$@" 2>&1)
	[ "$got" = "$wanted" ] || { printf 'wanted: %s\ngot: %s\n' "$wanted" "$got"; return 1; }
}

# has PATTERN COMMAND...: a line of the output matches.
has()
{
	local pattern=$1 got

	shift
	got=$("$@" 2>&1)
	grep -qE -- "$pattern" <<<"$got" || { printf 'wanted: %s\ngot: %s\n' "$pattern" "$got"; return 1; }
}

exits()
{
	local wanted=$1 got=0

	shift
	"$@" >/dev/null 2>&1 || got=$?
	[ $got = "$wanted" ] || { echo "exit status $got, not $wanted"; return 1; }
}

get()
{
	curl -sS --max-time 5 "$@"
}

# ask NAME TYPE [DIG-ARG...]: the answer's data, one line
ask()
{
	local name=$1 kind=$2

	shift 2
	dig +short +tries=1 +time=4 "$@" "$name" "$kind" | sort | paste -sd' '
}

# exchange tcp|udp ADDRESS PORT TEXT: what comes back
exchange()
{
	/usr/bin/python3 -ISc '
import socket, sys
proto, address, port, text = sys.argv[1:]
kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
family, _, _, _, to = socket.getaddrinfo(address, int(port), type=kind)[0]
s = socket.socket(family, kind)
s.settimeout(4)
s.connect(to)
s.send(text.encode())
print(s.recv(100).decode().strip())' "$@"
}

# shout ADDRESS PORT TEXT: a datagram to everybody
shout()
{
	/usr/bin/python3 -ISc '
import socket, sys
address, port, text = sys.argv[1:]
family, _, _, _, to = socket.getaddrinfo(address, int(port), type=socket.SOCK_DGRAM)[0]
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(text.encode(), to)' "$@"
}

# websocket URL-HOST PATH TEXT: by hand, so that no client library is needed
websocket()
{
	/usr/bin/python3 -ISc '
import os, socket, ssl, sys
host, path, text = sys.argv[1:]
s = ssl.create_default_context().wrap_socket(socket.create_connection((host, 443), 4),
                                             server_hostname=host)
s.send(("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        % (path, host)).encode())
f = s.makefile("rb")
assert b" 101 " in f.readline()
assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in iter(f.readline, b"\r\n")
while f.readline() != b"\r\n":
    pass
data, mask = text.encode(), os.urandom(4)
s.send(bytes([0x81, 0x80 | len(data)]) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))
f.read(1)
print(f.read(f.read(1)[0]).decode())' "$@"
}

tls_version()
{
	openssl s_client -connect "$1" -servername api.example.com -brief "${@:2}" </dev/null 2>&1
}

leaf_of()
{
	openssl s_client -connect "$1:443" -servername "$1" </dev/null 2>/dev/null |
		openssl x509 -noout -subject
}

inside()
{
	local name a

	# Names.
	while read -r name kind data; do
		ok "$name $kind" is "$data" ask "$name" "$kind"
	done <<-'END'
		api.example.com			A	198.51.100.11
		API.Example.COM.		A	198.51.100.11
		a.api.example.com		A	198.51.100.11
		play.example.com		A	198.51.100.12
		up.example.com			A	198.51.100.16
		cdn.example.com			A	198.51.100.14
		cdn.example.com			AAAA	2001:db8:2::14
		cdn.example.com			HTTPS	1 . alpn="http/1.1" ipv4hint=198.51.100.14
		raw.example.com			A	198.51.100.13
		udp.example.com			A	198.51.100.13
		list.example.com		A	198.51.100.18
		lan.example.com			A	192.0.2.20
		priv.example.com		A	10.99.0.5
		cgnat.example.com		A	100.64.9.9
		linklocal.example.com		A	169.254.169.254
		loop.example.com		A	127.0.0.1
		loop6.example.com		AAAA	::1
		mapped.example.com		AAAA	::ffff:127.0.0.1
		zero.example.com		A	0.0.0.0
		own.example.com			A	192.0.2.10
		multi.example.com		A	127.0.0.1 198.51.100.11 198.51.100.12
		cname.example.com		A	198.51.100.17 other.example.org.
		xn--bcher-kva.example.com	A	198.51.100.11
		v6only.example.com		AAAA	2001:db8:2::15
		shared-a.example.com		A	203.0.113.77
		shared-b.example.com		A	203.0.113.77
		evil.example.net		A	203.0.113.66
		short.corp.example		A	198.51.100.11
	END
	ok "v6only has no A" is '' ask v6only.example.com A
	ok "many" is 20 bash -c 'dig +short many.example.com A | wc -l'
	ok "big comes over TCP" is 60 bash -c 'dig +noedns +short big.example.com A | wc -l'
	ok "big was asked by UDP first, then by TCP" has '"proto":"tcp".*big' lab saw dns big.example.com
	ok "nx" has NXDOMAIN dig +noall +comments nx.example.com
	ok "SERVFAIL" has SERVFAIL dig +tries=1 +noall +comments refused.example.com
	ok "a CNAME loop ends" has SERVFAIL dig +noall +comments cnameloop.example.com
	ok "drop is not answered" exits 9 dig +tries=1 +time=1 drop.example.com
	# shellcheck disable=SC2016	# the inner shell expands it
	ok "slow is late" bash -c 'a=$(date +%s%N); [ "$(dig +short +time=4 slow.example.com)" ] &&
		[ $((($(date +%s%N) - a) / 1000000)) -ge 1900 ]'
	ok "rebind, first" is 198.51.100.11 ask rebind.example.com A
	ok "rebind, then" is 127.0.0.1 ask rebind.example.com A
	ok "the search domain" has 'short.corp.example' getent ahosts short
	ok "the search domain's trap" is 203.0.113.66 ask api.example.com.corp.example A
	ok "the hosts file" has '^198.51.100.11' getent ahosts hosts.example.com
	getent ahosts nx.example.com >/dev/null
	ok "its name is not asked for" is 0 lab questions hosts.example.com
	ok "questions are counted" is 2 lab questions nx.example.com.corp.example
	ok "the second server is silent so far" lab unseen dns2 question
	ok "the second server answers" is 198.51.100.11 ask api.example.com A @198.51.100.54
	ok "and is seen" lab saw dns2 '"name":"api.example.com"'
	ok "DNS over TCP" is 198.51.100.12 ask play.example.com A +tcp

	# Servers, one by one.
	for a in http://198.51.100.11 http://192.0.2.20 http://192.0.2.20:8080 http://198.18.5.20 \
		'http://[2001:db8:1::20]' 'http://[fe80::20%25lan0]' http://10.99.0.5 http://100.64.9.9 \
		http://169.254.169.254 http://203.0.113.66 \
		https://api.example.com https://api.example.com:8443 https://api.example.com:8080 \
		https://a.api.example.com https://play.example.com https://up.example.com \
		https://cdn.example.com https://cname.example.com https://list.example.com \
		https://v6only.example.com https://lan.example.com https://priv.example.com \
		https://cgnat.example.com https://linklocal.example.com https://many.example.com \
		https://multi.example.com https://xn--bcher-kva.example.com https://hosts.example.com \
		https://shared-a.example.com https://shared-b.example.com https://evil.example.net \
		https://mapped-web.example.com; do
		ok "$a" has '^hello from' get "$a/"
	done
	ok "cdn over IPv6" has '^hello from cdn' get -6 https://cdn.example.com/
	ok "shared-a's certificate" has 'shared-a' leaf_of shared-a.example.com
	ok "shared-b's certificate" has 'shared-b' leaf_of shared-b.example.com
	for name in expired selfsigned wrongname leafonly; do
		ok "$name is refused" exits 60 get "https://$name.example.com/"
	done
	ok "an address is not in a certificate" exits 60 get https://198.51.100.11/
	ok "TLS 1.1 alone" has 'TLSv1.1' tls_version 198.51.100.11:4431 -cipher ALL:@SECLEVEL=0 -tls1_1
	ok "TLS 1.1 alone, for others" not tls_version 198.51.100.11:4431
	ok "TLS 1.2 alone" has 'TLSv1.2' tls_version 198.51.100.11:4432
	ok "TLS 1.3 alone" has 'TLSv1.3' tls_version 198.51.100.11:4433

	# Clients of every kind trust the lab's root with nothing said.
	ok "python trusts it" has '^hello' /usr/bin/python3 -ISc '
import urllib.request
print(urllib.request.urlopen("https://api.example.com/").read().decode())'
	ok "openssl trusts it" has 'return code: 0' openssl s_client -verify_return_error \
		-connect api.example.com:443 </dev/null
	if command -v wget >/dev/null; then
		ok "wget trusts it" has '^hello' wget -qO- https://api.example.com/
	fi
	if command -v node >/dev/null; then
		ok "node trusts it" has '^hello' node -e \
			'require("https").get("https://api.example.com/", r => r.pipe(process.stdout))'
	fi

	# HTTP.
	local url=https://api.example.com
	ok "/status" is 404 get -o /dev/null -w '%{http_code}' $url/status/404
	ok "/bytes" is 100000 get -o /dev/null -w '%{size_download}' $url/bytes/100000
	ok "/echo" is 'a b' get -d 'a b' $url/echo
	ok "/echo, chunked" is 'a b' get -H 'Transfer-Encoding: chunked' -d 'a b' $url/echo
	ok "/headers" has '"X-Mine", "yes"' get -H 'X-Mine: yes' $url/headers
	ok "/slow" exits 28 get --max-time 0.3 $url/slow/5
	ok "/drip" is ..... get $url/drip/5/0.01
	ok "/hang" exits 28 get --max-time 0.3 $url/hang
	ok "/cut" exits 18 get $url/cut
	ok "/chunked" is "$(printf '%010d' 0 1 2 3 4)" get $url/chunked/5
	ok "/toend" is 'to the end' get $url/toend
	ok "/gzip" is packed get --compressed $url/gzip
	ok "/bom" is $'\xef\xbb\xbfmarked' get $url/bom/1
	ok "/charset" is '你好, world' bash -c "curl -s $url/charset/gbk | iconv -f gbk -t utf-8"
	ok "/redirect" has '^hello from other' get -L "$url/redirect?to=https://cname.example.com/"
	ok "/announce" has filed get -d json=1 https://list.example.com/announce
	ok "/status/204" is '204 0' get -o /dev/null -w '%{http_code} %{size_download}' $url/status/204
	ok "/interim" has 'HTTP/1.1 103 Lab' get -i $url/interim/103
	ok "/interim, the answer" has 'after 103' get -i $url/interim/103
	ok "/early" is 413 get -o /dev/null -w '%{http_code}' -d body $url/early/413
	ok "/file" is 3000000 bash -c "curl -s $url/file/3000000 | wc -c"
	ok "/file, a range of it" bash -c "cmp <(curl -s $url/file/3000000 | tail -c +1048001 | head -c 2000) \
		<(curl -s -r 1048000-1049999 $url/file/3000000)"
	ok "/hash" is "5 $(printf hello | sha256sum | cut -d' ' -f1)" get -d hello $url/hash
	ok "/json" is $'\xef\xbb\xbf{"ok": true, "name": "你好"}' get "$url/json?bom=1"
	ok "/text" has '你好, world: 漢字中文' bash -c "curl -s '$url/text/gbk?frame=chunked&piece=1' | iconv -f gbk -t utf-8"
	ok "/text, to the end" has 'Connection: close' get -i "$url/text/big5?frame=close"
	ok "a trailer" bash -c 'printf "POST /hash HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Last: 1\r\n\r\n" |
		timeout 5 openssl s_client -quiet -ign_eof -connect api.example.com:443 2>/dev/null | head -1 | grep 200'
	ok "a trailer is logged" lab saw web '"event":"trailer".*"raw":"X-Last: 1'
	ok "a server that prefers HTTP/2" is 'hello over h2' get --http2 https://api.example.com:4436/
	ok "and speaks HTTP/1.1" is 'hello from web' get --http1.1 https://api.example.com:4436/
	ok "a silent server" exits 28 get --max-time 0.3 https://api.example.com:4434/
	ok "a full queue" bash -c 'exec 3<>/dev/tcp/198.51.100.11/4435
		! timeout 0.5 bash -c "exec 3<>/dev/tcp/198.51.100.11/4435; exec 4<>/dev/tcp/198.51.100.11/4435" 2>/dev/null'
	ok "100-continue" is 30000 bash -c "head -c 30000 /dev/zero | curl -s -H 'Expect: 100-continue' \
		--data-binary @- $url/echo | wc -c"
	ok "two requests, one connection" is 'hello from up hello from up' \
		bash -c 'curl -s https://up.example.com/{,} | paste -sd" "'
	ok "and no more" is 1 bash -c 'lab log up | sed -n "s/.*request.*\"conn\":\([0-9]*\).*/\1/p" |
		tail -n 2 | uniq | wc -l'
	ok "wss" is 'ping over wss' websocket play.example.com /echo 'ping over wss'
	ok "wss is logged" lab saw play '"event":"message".*ping over wss'

	# Bytes and datagrams.
	ok "raw" is hello exchange tcp raw.example.com 9000 hello
	ok "raw on the LAN" is hello exchange tcp 192.0.2.20 7000 hello
	ok "server first" has '^220' exchange tcp 198.51.100.13 2525 ''
	ok "evil raw" is hello exchange tcp 203.0.113.66 9000 hello
	for a in udp.example.com 192.0.2.20 198.18.5.20 203.0.113.66 10.99.0.5 2001:db8:1::20; do
		ok "udp $a" is "to $a" exchange udp $a 9001 "to $a"
	done
	for a in 192.0.2.255 255.255.255.255 239.1.2.3 ff02::1%lan0; do
		ok "shout $a" shout $a 9001 "to $a"
		ok "heard $a" lab saw cast "to $a"
	done

	# The witness.
	lab reset-logs
	ok "forgotten" lab unseen web .
	ok "unseen before" lab unseen evil .
	exchange tcp 203.0.113.66 9000 treason >/dev/null
	ok "a connection is seen" lab saw evil '"event":"accept".*"port":9000'
	ok "by address as well" lab saw 203.0.113.66 treason
	ok "by name as well" lab saw evil.example.net '"event":"data".*treason'
	ok "seen now" not lab unseen evil treason
	ok "its SYN" lab saw packets '"proto":"tcp".*"dst":"203.0.113.66".*"dport":9000'
	ok "one SYN, no more" is 1 lab count packets '"dst":"203.0.113.66"'
	exchange tcp api.example.com 443 'GET / HTTP/1.1' >/dev/null 2>&1
	ok "plaintext where TLS is spoken" lab saw web '"event":"plaintext","conn":[0-9]+,"bytes":"GET'
	get --tlsv1.2 --tls-max 1.2 --alpn $url/ >/dev/null
	ok "the server name" lab saw web '"event":"hello".*"sni":"api.example.com".*"http/1.1"'
	ok "the version" lab saw web '"event":"tls".*"version":"TLSv1.2"'
	ok "the request" lab saw web '"method":"GET","target":"/","headers":\[\["Host","api.example.com"\]'
	exchange udp 198.51.100.11 443 quic >/dev/null
	ok "QUIC's port" lab saw web '"event":"datagram".*:443"'
	ok "a silent port" not exchange udp 198.51.100.11 4444 x
	ok "its packet" lab saw packets '"proto":"udp".*"dport":4444'
	ok "no such host" exits 125 lab saw nobody x

	# And nothing else is there.
	for a in 8.8.8.8 1.1.1.1 198.51.100.200 203.0.113.1 10.0.0.1 172.17.0.1 192.168.0.1 \
		169.254.1.1 '[2001:4860:4860::8888]'; do
		ok "$a is not there" not get --connect-timeout 0.3 "http://$a/"
	done
	ok "and that is said" has 'unreachable|No route' exchange tcp 8.8.8.8 443 x
	ok "a closed port" has refused exchange tcp closed.example.com 443 x
	ok "a black hole" exits 28 get --max-time 0.3 --connect-timeout 0.3 https://blackhole.example.com/
	ok "an address of the LAN without a host" exits 28 get --connect-timeout 0.5 http://192.0.2.99
	ok "three interfaces" is 'lan0 lan1 lo' bash -c 'ip -o link | sed -E "s/^[0-9]+: ([^:@]+).*/\1/" |
		sort | paste -sd" "'
	ok "no proxy" is '' bash -c 'env | grep -i _proxy='
	if [ "${1:-}" = user ]; then
		ok "no capability" has '^CapEff:	0000000000000000$' cat /proc/self/status
		ok "not root" not is 0 id -u
		ok "no say in the network" not ip link set lan0 down
	fi
	echo "$passed $failed"
}

if [ "${1:-}" = --inside ]; then
	inside "${@:2}"
	exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Half of it is done as somebody else, whose reach a clone below /root is out of: then from a copy that is not.
if [ "$(id -u)" = 0 ] &&
	! setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$here/hosts.py" 2>/dev/null; then
	chmod 755 "$scratch"
	cp -r "$here" "$scratch/tests"
	here=$scratch/tests
fi
lab=$here/lab
self=$here/selftest.sh

# Two networks at once: neither may notice the other.
"$lab" run -- "$self" --inside root >"$scratch/root" &
"$lab" run --user -- "$self" --inside user >"$scratch/user" &
wait
for kind in root user; do
	# An inside run counts on its last line; the rest is its complaints.
	counts=$(tail -n 1 "$scratch/$kind")
	sed '$d' "$scratch/$kind"
	if [[ $counts =~ ^([0-9]+)\ ([0-9]+)$ ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
	else
		echo "not ok: the run as $kind broke off: $counts"
		failed=$((failed + 1))
	fi
done

# The tool itself.
ok "exit status" exits 7 "$lab" run -- sh -c 'exit 7'
ok "a signal's status" exits 143 "$lab" run -- sh -c 'kill -TERM $$'
ok "no such command" exits 127 "$lab" run -- /nowhere/to/be/found
ok "no program" exits 126 "$lab" run -- /etc/passwd
ok "no command" exits 125 "$lab" run --
ok "standard input" is through bash -c "echo through | '$lab' run -- cat"
ok "another user id" is 4711 "$lab" run --uid 4711 -- id -u
ok "--keep" "$lab" run --keep "$scratch/kept" -- sh -c 'getent hosts kept.example.com || true'
ok "kept" grep -q kept.example.com "$scratch/kept/dns.jsonl"

# What a killed run leaves: its processes carry a mark that ps can find.
for signal in INT TERM HUP KILL; do
	mark="lab-selftest-$$-$signal"
	mkfifo "$scratch/$mark"
	"$lab" run -- bash -c "exec -a $mark sleep 60 & echo up >$scratch/$mark; wait" &
	run=$!
	read -t 10 -r _ <>"$scratch/$mark"
	kill -$signal $run
	wait $run 2>/dev/null
	# After SIGKILL nobody waits for the rest to end: it ends by itself, soon.
	gone()
	{
		local i

		for ((i = 0; i < 50; i++)); do
			pgrep -f "$mark" >/dev/null || return 0
			[ "$signal" = KILL ] || break
			sleep 0.02
		done
		pgrep -af "$mark"
		return 1
	}
	ok "nothing is left after SIG$signal" gone
done
# Where root may not make user namespaces it needs none.
ok "without user namespaces" is 'hello from web' unshare -Ur bash -c "
	echo 0 >/proc/sys/user/max_user_namespaces && '$lab' run -- curl -s https://api.example.com/"
# With every usual mount point in use there is a directory to make, and to take away again.
ok "a directory of its own" is "$scratch/lab." unshare -Urm bash -c "
	for d in /srv /mnt /media; do mount -t tmpfs none \$d && touch \$d/used; done
	TMPDIR=$scratch '$lab' run -- sh -c 'echo \${LAB_DIR%.*}.'"
ok "taken away" not compgen -G "$scratch/lab.*"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
