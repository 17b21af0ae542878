# SPDX-License-Identifier: MIT
# For the tests of the rules: real programs, what they are told, and who saw them.
# shellcheck shell=bash disable=SC2034

PY=/usr/bin/python3	# not a version manager's script, which would do a lot besides
DIAL=$BATS_TEST_DIRNAME/dial.py
PATH=$SNIP:$PATH
export PYTHONDONTWRITEBYTECODE=1

[ -r "$SHIM" ] && [ -x "$SNIP/net_dial" ] || { echo "$SHIM, $SNIP: make all snips"; exit 1; }

# A test of its own: nothing seen yet, the usual policy, a directory and a private directory. (For root
# the latter counts if others may pass.)
fresh() {
	lab reset-logs
	policy game
	cd "$BATS_TEST_TMPDIR" || return 1
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/runtime
	mkdir -m 711 "$XDG_RUNTIME_DIR"
}

# under CMD …: run it with $POLICY; $status, $output (both streams). A program that hangs fails the test.
under() {
	run timeout -k 5 30 env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" "$@"
	echo "\$ $*"
	echo "$output"
	echo "[$status]"
	[ "$status" -ne 124 ]
	[ "$status" -ne 137 ]
}

# pass CMD …: it works, and nothing was refused.
pass() {
	under "$@"
	[ "$status" -eq 0 ]
	if grep '^netleash: ' <<< "$output"; then return 1; fi
}

# deny REASON CMD …: it fails, with a whole line that says why, and for no other reason.
deny() {
	local reason=$1
	shift
	under "$@"
	[ "$status" -ne 0 ]
	refused "$reason" > /dev/null
	if grep '^netleash: ' <<< "$output" | grep -v " refused: $reason (rule "; then return 1; fi
}

# said TEXT …: each of them stands in one and the same line of ours.
said() {
	local lines text
	lines=$(grep '^netleash: ' <<< "$output")
	for text; do
		lines=$(grep -F -- "$text" <<< "$lines") || { echo "not said: $text"; return 1; }
	done
}

# dial PROGRAM HOST PORT: sets $cmd to a command that ends with 0 only if it got through. Those
# that speak TLS look at no certificate: that is not what is tested here.
dial() {
	local host=$2 port=$3 url=$2
	[[ $host != *:* ]] || url="[$host]"
	case $1 in
	curl) cmd=(curl -gsS -m 10 -k -o /dev/null "https://$url:$port/") ;;
	wget) cmd=(wget -nv -t 1 -T 10 --no-check-certificate -O /dev/null "https://$url:$port/") ;;
	aria2c) cmd=(aria2c -q --async-dns=false --check-certificate=false --allow-overwrite=true -t 10
		-m 1 -d "$BATS_TEST_TMPDIR" -o got "https://$url:$port/") ;;
	openssl) cmd=(openssl s_client -brief -connect "$url:$port") ;;
	gnutls-cli) cmd=(gnutls-cli --insecure -p "$port" "$host") ;;
	node) cmd=(node -e 'const [host, port] = process.argv.slice(1);
		require("tls").connect({host, port, rejectUnauthorized: false,
			servername: require("net").isIP(host) ? "" : host},
			function () { this.end(); process.exit(0); })
			.on("error", e => { console.log(e.code); process.exit(1); })' "$host" "$port") ;;
	ruby) cmd=(ruby -rsocket -ropenssl -e 'tcp = TCPSocket.new(ARGV[0], ARGV[1].to_i)
		tls = OpenSSL::SSL::SSLSocket.new(tcp)
		tls.hostname = ARGV[0] if ARGV[0] =~ /[g-z]/
		tls.connect' "$host" "$port") ;;
	perl) cmd=(perl -MIO::Socket::IP -e 'IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1],
		Timeout => 10) or die "$@\n"' "$host" "$port") ;;
	socat) cmd=(socat -T 5 /dev/null "TCP:$url:$port") ;;
	nc) cmd=(nc -z -w 5 "$host" "$port") ;;
	bash) cmd=(bash -c "exec 3<>/dev/tcp/$host/$port") ;;
	python3) cmd=("$PY" "$DIAL" connect "$host" "$port") ;;
	asyncio | nonblock | fastopen | fastopenmsg) cmd=("$PY" "$DIAL" "$1" "$host" "$port") ;;
	*) echo "no such program: $1"; return 1 ;;
	esac
	command -v "${cmd[0]}" > /dev/null
}

# Nothing of ours went to the far side's $LAB_EVIL_ADDR, by any protocol.
evil_unseen() {
	lab unseen evil .
	lab unseen packets '"dst":"(203\.0\.113\.66|2001:db8:66::66)"'
}

# A witness on this machine, on all its addresses, that is on no leash: TCP and UDP $PORT.
witness() {
	cat > "$BATS_TEST_TMPDIR/witness.py" <<-'END'
		import select, socket, sys
		tcp = socket.socket(socket.AF_INET6)
		udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		for s in tcp, udp:
		    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		while True:
		    tcp.bind(("::", 0))
		    try:
		        udp.bind(("::", tcp.getsockname()[1]))
		        break
		    except OSError:
		        tcp.close()
		        tcp = socket.socket(socket.AF_INET6)
		        tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		tcp.listen(512)
		print(tcp.getsockname()[1], flush=True)
		count = 0
		while True:
		    for s in select.select([tcp, udp], [], [])[0]:
		        if s is udp:
		            data, peer = udp.recvfrom(2048)
		            if data == b"how many":
		                udp.sendto(b"%d" % count, peer)
		            else:
		                count += 1
		                udp.sendto(data, peer)
		        else:
		            one, _ = tcp.accept()
		            count += 1
		            one.sendall(b"witness\n")
		            one.close()
	END
	mkfifo "$BATS_TEST_TMPDIR/witness.port"
	"$PY" "$BATS_TEST_TMPDIR/witness.py" > "$BATS_TEST_TMPDIR/witness.port" 3>&- &
	WITNESS=$!
	read -r PORT < "$BATS_TEST_TMPDIR/witness.port"
}

# witnessed N: so many came. Asked by a datagram, behind all that was sent over loopback before; a TCP
# connection is in the queue before the question is.
witnessed() {
	local count
	count=$("$PY" -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"how many", ("127.0.0.1", int(sys.argv[1])))
first = s.recv(64)
s.sendto(b"how many", ("127.0.0.1", int(sys.argv[1])))
print(s.recv(64).decode())' "$PORT")
	echo "witnessed $count, expected $1"
	[ "$count" -eq "$1" ]
}

end_witness() {
	[ -z "${WITNESS:-}" ] || kill "$WITNESS" 2> /dev/null || true
}
