#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# No way round the policy (hooks.md 1.1, T3): a program for each class, judged by the host that
# must not be reached. In plain LD_PRELOAD mode three ways are known to lead past any preload; they
# are asserted too, so that a change is noticed.
#
# Each list of ways runs three times: without the leash against the host (the way is one), under
# the leash against it (nothing arrives), and under the leash against a host that is admitted (the
# way still works).

bats_require_minimum_version 1.5.0
load lib

EVIL=$LAB_EVIL_ADDR
PEER=$LAB_PEER_ADDR

setup() {
	cd "$BATS_TEST_TMPDIR"
	policy plain
	sed -i 's|"https://api.example.com",|& "https://slow.example.com", "https://blackhole.example.com",|' "$POLICY"
	export NETLEASH_LOG=quiet
	LEASH=(env "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$POLICY")
	lab reset-logs
}

teardown() {
	[ -z "${GIVER:-}" ] || kill "$GIVER" 2> /dev/null || true
}

# each PROGRAM ADDRESS PORT [PREFIX …]: every way of PROGRAM, one line each
each() {
	local program=$1 addr=$2 port=$3 way
	shift 3
	for way in $("$SNIP/$program" ways); do
		if [ "$program" = by_tcp ]; then
			timeout 20 "$@" "$SNIP/by_tcp" "$addr" "$port" "$SNIP" "$way" < /dev/null ||
				echo "$way: exit status $?"
		else
			timeout 20 "$@" "$SNIP/$program" "$addr" "$port" "$way" < /dev/null ||
				echo "$way: exit status $?"
		fi
	done
}

# ---------------------------------------------------------------------------- streams

@test "streams: without netleash every way reaches the host" {
	each by_tcp "$EVIL" 9000 env > without 2>&1
	cat without
	# The calls of a remote shell want a daemon that is not there; they did connect.
	run -1 grep -vE ': (connected|absent)$|^(rexec|clnttcp_create): ' without
	ways=$(grep -c ': connected$' without)
	[ "$ways" -ge 44 ]
	[ "$(lab count evil '"event":"accept"')" -ge "$ways" ]
	# Each one's bytes, fast open included. The race gives up its attempts without any.
	[ "$(lab count evil '"text":"hello"')" -ge "$((ways - 2))" ]
}

@test "streams: under the leash no way does" {
	each by_tcp "$EVIL" 9000 "${LEASH[@]}" > with 2>&1
	cat with
	[ "$(wc -l < with)" -eq "$("$SNIP/by_tcp" ways | wc -l)" ]
	# The ring answers as a kernel without rings: libraries fall back.
	run -1 grep -vE '^(ring|dup_high): absent$|: EACCES$|^mptcp: absent$|^(rexec|clnttcp_create): (EACCES|absent)$' with
	[ "$(grep -c ': EACCES$' with)" -ge 44 ]
	lab unseen evil ''
	lab unseen packets "\"dst\":\"$EVIL\""
}

@test "streams: the same ways work for a host that is admitted" {
	each by_tcp "$PEER" 9000 "${LEASH[@]}" > with 2>&1
	cat with
	run -1 grep -vE ': connected$|^(ring|dup_high): absent$|^mptcp: absent$|^dlmopen: EACCES$|^(rexec|clnttcp_create): (EACCES|absent)$' with
	[ "$(grep -c ': connected$' with)" -ge 44 ]
	[ "$(lab count peer '"text":"hello"')" -ge 44 ]
}

@test "streams: an x32 number is no number here" {
	[ "$(uname -m)" = x86_64 ] || skip "x32 belongs to x86_64"
	run -0 "${LEASH[@]}" "$SNIP/by_tcp" "$EVIL" 9000 "$SNIP" syscall_x32
	[[ $output != *connected* ]]
	lab unseen evil ''
}

# ---------------------------------------------------------------------------- datagrams

@test "datagrams: without netleash every way reaches the host" {
	each by_udp "$EVIL" 9001 env > without 2>&1
	cat without
	# A route through it is a packet to it, whether or not it goes on; sendfile() on UDP is the
	# kernel's to allow.
	run -1 grep -vE ': sent$|^ip_options_' without
	for way in $("$SNIP/by_udp" ways); do
		case $way in
		ip_options_*) ;;
		*) lab saw evil "\"event\":\"datagram\".*\"text\":\"$way\"" > /dev/null ;;
		esac
	done
}

@test "datagrams: under the leash no way does" {
	each by_udp "$EVIL" 9001 "${LEASH[@]}" > with 2>&1
	cat with
	run -1 grep -v ': EACCES$' with
	[ "$(wc -l < with)" -eq "$("$SNIP/by_udp" ways | wc -l)" ]
	lab unseen evil ''
	lab unseen packets "\"dst\":\"$EVIL\""
	# What stood before the refused one in sendmmsg() was sent, what stood behind was not.
	[ "$(lab count peer '"text":"sendmmsg_second"')" -eq 1 ]
	[ "$(lab count peer '"text":"syscall_sendmmsg"')" -eq 1 ]
}

@test "datagrams: the same ways work for a host that is admitted" {
	each by_udp "$PEER" 9001 "${LEASH[@]}" > with 2>&1
	cat with
	# Bytes that nobody can see have no judged destination: EINVAL, and callers fall back.
	run -1 grep -vE ': sent$|^(sendfile|splice|aio_write|lio_listio|io_submit): EINVAL$|^ip_options_(control|socket): EACCES$' with
	for way in sendto sendmsg sendmmsg_second write writev pwritev2 send family_unspec v4mapped fork \
			number_reused dup fcntl_dup syscall_write; do
		lab saw peer "\"text\":\"$way\"" > /dev/null
	done
}

@test "datagrams: stdio is no way round a name that is listed for TLS only" {
	# connect() to it is let through, because resolvers order addresses that way; no byte may
	# follow, whoever writes it.
	cat > stdio.py <<-'END'
		import ctypes, socket
		libc = ctypes.CDLL(None)
		addr = socket.getaddrinfo("api.example.com", 443, socket.AF_INET)[0][4]
		s = socket.socket(type=socket.SOCK_DGRAM)
		s.connect(addr)
		try:
		    s.send(b"by send")
		    print("sent")
		except PermissionError:
		    print("refused")
		print("stdio", libc.dprintf(s.fileno(), b"by stdio"))
		print("source", s.getsockname()[0])
	END
	run -0 "${LEASH[@]}" /usr/bin/python3 stdio.py
	echo "$output"
	[[ $output == *refused*"source $LAB_CLIENT_ADDR"* ]]
	lab unseen web '"event":"datagram"'
}

# ---------------------------------------------------------------------------- imports

giver() {
	mkfifo said hold
	"$SNIP/by_import" give ./socket "$@" > said 3>&- &
	GIVER=$!
	read -r READY PID FDS < said
	[ "$READY" = ready ]
}

@test "imports: without netleash what comes over a socket is used" {
	giver "tcp:$EVIL:9000" "udp:$EVIL:9001"
	run -0 "$SNIP/by_import" take ./socket recvmsg
	[ "$output" = "whole 2: written written credentials, 2 open" ] ||
		[ "$output" = "whole credentials 2: written written, 2 open" ]
	lab saw evil '"event":"data".*"text":"recvmsg"'
	lab saw evil '"event":"datagram".*"text":"recvmsg"'
}

@test "imports: sockets that were connected elsewhere are judged by their peer" {
	giver "tcp:$EVIL:9000" file "tcp:$PEER:9000" "udp:$EVIL:9001" "udp:$PEER:9001" tcp udp
	for call in recvmsg recvmmsg syscall; do
		run -0 timeout 20 "${LEASH[@]}" "$SNIP/by_import" take ./socket "$call"
		echo "$call: $output"
		[[ $output == truncated* ]]
		[[ $output == *" credentials"* ]]
		# The file, the two of the peer, and two that are not connected yet.
		[[ $output == *" 5: written written written EPIPE EDESTADDRREQ"*", 5 open" ]]
		[ "$(lab count peer "\"event\":\"data\".*\"text\":\"$call\"")" -eq 1 ]
		[ "$(lab count peer "\"event\":\"datagram\".*\"text\":\"$call\"")" -eq 1 ]
	done
	lab unseen evil '"event":"data"'
	lab unseen evil '"event":"datagram"'
}

@test "imports: of many that are all refused nothing is left, and nothing hangs" {
	giver "tcp:$EVIL:9000" "udp:$EVIL:9001" "tcp:$EVIL:9000" "udp:$EVIL:9001" "tcp:$EVIL:443" "tcp:$EVIL:80"
	for call in recvmsg recvmmsg syscall; do
		run -0 timeout 20 "${LEASH[@]}" "$SNIP/by_import" take ./socket "$call"
		echo "$call: $output"
		[[ $output == truncated*credentials*", 0 open" ]]
		[[ $output != *written* ]]
	done
	lab unseen evil '"event":"data'
}

@test "imports: pidfd_getfd()" {
	giver "tcp:$EVIL:9000" "tcp:$PEER:9000"
	read -r bad good <<< "$FDS"
	run -0 "${LEASH[@]}" "$SNIP/by_import" fetch "$PID" "$bad"
	[[ $output != *fetched* && $output != *written* ]]
	[ "${lines[0]}" = EACCES ]
	run -0 "${LEASH[@]}" "$SNIP/by_import" fetch "$PID" "$good"
	[ "${lines[0]}" = written ]
	[ "$(lab count peer '"text":"fetched')" -ge 1 ]
	lab unseen evil '"event":"data"'
}

@test "imports: sockets inherited over exec, the lowest and the highest numbers alike" {
	for number in 0 1 3 9 100 200 900; do
		for kind in tcp:$EVIL:9000 udp:$EVIL:9001; do
			run -0 "$SNIP/by_import" exec "$kind" "$number" /usr/bin/"${LEASH[@]}" "$SNIP/by_import" write "$number"
			echo "$number $kind: $output"
			[ "$output" = EACCES ]
		done
		run -0 "$SNIP/by_import" exec "tcp:$PEER:9000" "$number" /usr/bin/"${LEASH[@]}" "$SNIP/by_import" write "$number"
		[ "$output" = written ]
	done
	lab unseen evil '"event":"data'
	[ "$(lab count peer '"text":"inherited"')" -eq 7 ]
	# It was the leash that did it.
	run -0 "$SNIP/by_import" exec "tcp:$EVIL:9000" 0 "$SNIP/by_import" write 0
	[ "$output" = written ]
}

@test "imports: inherited with a limit that is lower than the numbers looked at" {
	for limit in 64 20; do
		run -0 bash -c "exec '$SNIP/by_import' exec tcp:$EVIL:9000 0 /bin/sh -c 'ulimit -n $limit; exec ${LEASH[*]} $SNIP/by_import write 0'"
		echo "$limit: $output"
		[ "$output" = EACCES ]
	done
	lab unseen evil '"event":"data"'
}

# ---------------------------------------------------------------------------- kinds of socket

@test "kinds of socket and options that lead past the policy are refused" {
	"$SNIP/by_socket" > without
	LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY "$SNIP/by_socket" > with
	paste -d'|' without with
	[ "$(grep -c ' but by number ' with)" -eq 0 ]
	for kind in tcp tcp6 udp unix route; do
		grep -qx "$kind: made" with
	done
	for kind in raw raw6 'raw of everything' packet 'packet datagram' 'packet of old' udplite sctp \
			'sctp datagrams' dccp smc vsock tipc xdp bluetooth ping; do
		grep -qx "$kind: EACCES" with
	done
	# What no kernel knows stays the kernel's to say.
	[ "$(grep '^beyond' without)" = "$(grep '^beyond' with)" ]
	for option in keepalive nodelay; do
		grep -qx "$option: set" with
	done
	for option in 'source route' 'routing header'; do
		grep -qx "$option: EACCES" with
	done
	grep -qx 'kernel TLS: ENOENT' with
	grep -qx 'kernel TLS by number: ENOENT' with
	grep -qx 'source route: set' without
}

# ---------------------------------------------------------------------------- what is left

@test "exactly these get past a preload: an inline system call, a ring made by one, own code" {
	run -0 "${LEASH[@]}" "$SNIP/by_tcp" "$EVIL" 9000 "$SNIP" instruction
	[ "$output" = "instruction: connected" ]
	lab saw evil '"text":"hello"'
	[ "$(lab count evil '"event":"accept"')" -eq 1 ]
	run -0 "${LEASH[@]}" "$SNIP/by_tcp" "$EVIL" 9000 "$SNIP" ring_by_instruction
	if [ "$output" = "ring_by_instruction: absent" ]; then
		echo "# this kernel has no io_uring" >&3
	else
		[ "$output" = "ring_by_instruction: connected" ]
		[ "$(lab count evil '"event":"accept"')" -eq 2 ]
	fi
	lab reset-logs
	run -0 "${LEASH[@]}" "$SNIP/by_own" "$EVIL" 9000
	[ "$output" = "own connect: connected" ]
	[ "$(lab count evil '"event":"accept"')" -eq 1 ]
}
