#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is allowed is as it was without netleash: results, errno, bytes, tools (hooks.md N6, N7, 4, T4-T6).
# Every comparison runs both ways, and first shows that there is something to compare.

bats_require_minimum_version 1.5.0
load lib

PEER=$LAB_PEER_ADDR
PYTHON=/usr/bin/python3

setup() {
	cd "$BATS_TEST_TMPDIR"
	# As open as enforcing gets, and the mode that refuses nothing
	policy open 'listen = "any";' 'lan: { multicast = true; };' 'loopback: { allow_ports = "any"; };'
	OPEN=$POLICY
	policy audit 'mode = "audit";'
	AUDIT=$POLICY
	LEASH=(env "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$OPEN")
	export NETLEASH_LOG=quiet
}

teardown() {
	for pid in ${SERVERS:-}; do
		kill "$pid" 2> /dev/null || true
	done
}

# same COMMAND …: as it is, under the open policy, under audit: the same output and status
same() {
	local rc=0 rc_open=0 rc_audit=0
	"$@" > without 2>&1 < /dev/null || rc=$?
	"${LEASH[@]}" "$@" > open 2>&1 < /dev/null || rc_open=$?
	env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$AUDIT" "$@" > audit 2>&1 < /dev/null || rc_audit=$?
	echo "status $rc, $rc_open, $rc_audit"
	diff without open
	diff without audit
	[ "$rc" -eq "$rc_open" ]
	[ "$rc" -eq "$rc_audit" ]
	[ -s without ]
}

# ---------------------------------------------------------------------------- errno

@test "errno: a thousand calls with odd arguments answer the same" {
	timeout 60 "$SNIP/trap_errno" > without
	[ "$(wc -l < without)" -gt 1000 ]
	# Two differences are meant: bytes that no hook sees (sendfile, splice) are closed for
	# datagrams whatever their other arguments say, and so is a protocol that is neither TCP nor UDP.
	expected='datagram sendfile|datagram splice|IPPROTO_UDP'
	for policy in "$OPEN" "$AUDIT"; do
		timeout 60 env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$policy" "$SNIP/trap_errno" > with
		[ "$(wc -l < with)" -eq "$(wc -l < without)" ]
		diff without with || true
		diff <(grep -vE "$expected" without) <(grep -vE "$expected" with)
	done
}

# ---------------------------------------------------------------------------- bytes

@test "bytes: 64 MiB down and up over TLS arrive as they were sent" {
	head -c 67108864 /dev/urandom > data
	sum=$(sha256sum < data | cut -d' ' -f1)
	same_get() {
		"$@" curl -sS --max-time 100 https://api.example.com/bytes/67108864 | sha256sum
	}
	run -0 same_get
	want=$output
	run -0 same_get "${LEASH[@]}"
	[ "$output" = "$want" ]
	run -0 "${LEASH[@]}" curl -sS --max-time 100 -o answer -w '%{http_code} %{size_upload}' -T data \
		https://api.example.com/echo
	[ "$output" = "200 67108864" ]
	lab wait-log web "$sum" > /dev/null
}

@test "bytes: ten thousand questions and answers, by stream and by datagram" {
	cat > pingpong.py <<-'END'
		import socket, sys
		s = socket.create_connection((sys.argv[1], 9000))
		u = socket.socket(type=socket.SOCK_DGRAM)
		u.settimeout(5)
		good = 0
		for i in range(10000):
		    data = b"%d " % i * (1 + i % 7)
		    s.sendall(data)
		    back = b""
		    while len(back) < len(data):
		        back += s.recv(4096)
		    u.sendto(data, (sys.argv[1], 9001))
		    good += back == data and u.recv(4096) == data
		print("good", good)
	END
	same timeout 60 "$PYTHON" pingpong.py "$PEER"
	[ "$(cat without)" = "good 10000" ]
}

@test "bytes: select, poll and epoll, level and edge, with connects that do not block" {
	cat > ready.py <<-'END'
		import errno, select, selectors, socket, sys
		peer = sys.argv[1]

		def waiting(kind):
		    socks = []
		    for i in range(50):
		        s = socket.socket()
		        s.setblocking(False)
		        assert s.connect_ex((peer, 9000)) in (0, errno.EINPROGRESS)
		        socks.append(s)
		    state = {s: b"" for s in socks}
		    sel = kind()
		    for s in socks:
		        sel.register(s, selectors.EVENT_WRITE)
		    while state:
		        for key, events in sel.select(5):
		            s = key.fileobj
		            if events & selectors.EVENT_WRITE:
		                assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
		                s.send(b"%064d" % s.fileno())
		                sel.modify(s, selectors.EVENT_READ)
		            else:
		                state[s] += s.recv(10)
		                if len(state[s]) == 64:
		                    assert int(state.pop(s)) == s.fileno()
		                    sel.unregister(s)
		                    s.close()
		    sel.close()
		    return "good"

		for kind in selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector:
		    print(kind.__name__, waiting(kind))
		e = select.epoll()
		s = socket.create_connection((peer, 9000))
		s.setblocking(False)
		e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
		print([m & ~select.EPOLLRDNORM for _, m in e.poll(1)])
		s.send(b"x" * 100)
		while not any(m & select.EPOLLIN for _, m in e.poll(2)):
		    pass
		print(len(s.recv(200)))
		try:
		    s.recv(1)
		except BlockingIOError:
		    print("again")
		s.shutdown(socket.SHUT_WR)
		while not any(m & select.EPOLLRDHUP or m & select.EPOLLIN for _, m in e.poll(2)):
		    pass
		print(s.recv(1))
	END
	same timeout 60 "$PYTHON" ready.py "$PEER"
	[ "$(grep -c good without)" -eq 3 ]
}

@test "bytes: minetestserver starts and listens" {
	server=$(command -v minetestserver || ls /usr/games/minetestserver 2> /dev/null) || skip "needs minetestserver"
	mkdir -p world/worldmods games
	export HOME=$PWD
	for how in env "${LEASH[*]}"; do
		mkfifo said
		$how timeout 30 "$server" --world world --port 30123 --logfile "" > said 2>&1 3>&- &
		SERVERS+=" $!"
		listening=no
		while read -r -t 25 line; do
			echo "$line"
			[[ $line == *istening* ]] && listening=yes && break
		done < said
		kill "$!" 2> /dev/null || true
		wait "$!" 2> /dev/null || true
		rm said
		[ "$listening" = yes ]
	done
}

# ---------------------------------------------------------------------------- suites

@test "suites: CPython's test_socket: the same list of results" {
	[ -e /usr/lib/python3.11/test/test_socket.py ] || skip "needs libpython3-testsuite"
	cat > allowed <<-'END'
		test.test_socket.GeneralModuleTests.testHostnameRes: looks up the host's own name, which is in no list
		test.test_socket.GeneralModuleTests.testSockName: looks up the host's own name
	END
	for class in Basic Sendmsg Recvmsg RecvmsgInto; do
		for family in UDPLITE UDPLITE6; do
			echo "test.test_socket.$class${family}Test: UDP-Lite is refused (hooks.md 3.2)"
		done
	done >> allowed
	for class in RecvmsgRFC3542AncillaryUDPLITE6Test RecvmsgIntoRFC3542AncillaryUDPLITE6Test UDPLITETimeoutTest; do
		echo "test.test_socket.$class: UDP-Lite is refused (hooks.md 3.2)"
	done >> allowed
	# A virtual machine without a peer for AF_VSOCK waits for one without end, also without us.
	run timeout 500 "$PYTHON" "$TOP/tests/e2e/cpython.py" --except allowed --ignore '*VSOCK*' --timeout 120 test_socket \
		-- "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$OPEN" NETLEASH_LOG=quiet \
		-- "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$AUDIT" NETLEASH_LOG=quiet
	grep -v UDPLITE <<< "$output"
	[ "$status" -eq 0 ]
	[[ $output =~ ^[6-9][0-9][0-9]\ tests ]]
}

# ---------------------------------------------------------------------------- tools

@test "tools: strace and gdb follow a program under the leash" {
	command -v strace > /dev/null || skip "needs strace"
	run -0 strace -qq -f -e trace=connect "${LEASH[@]}" "$SNIP/run_from" handler_in_recv "$SNIP"
	[[ $output == *"handler_in_recv: right"* ]]
	[[ $output == *'inet_addr("192.0.2.20")'* && $output != *'inet_addr("203.0.113.66")'* ]]
	command -v gdb > /dev/null || skip "needs gdb"
	# The object in the program only, and gdb itself left alone
	run -0 timeout 60 gdb -nx -batch -ex "set exec-wrapper env LD_PRELOAD=$SHIM NETLEASH_POLICY=$OPEN" \
		-ex "break main" -ex run -ex "info sharedlibrary" -ex continue --args "$SNIP/run_from" main "$SNIP"
	echo "$output"
	[[ $output == *libnetleash.so* && $output == *"main: right"* && $output == *"exited normally"* ]]
	# And gdb under the leash as well
	run -0 timeout 60 "${LEASH[@]}" gdb -nx -batch -ex run --args "$SNIP/run_from" main "$SNIP"
	[[ $output == *"main: right"* && $output == *"exited normally"* ]]
}

@test "tools: programs with AddressSanitizer, of both compilers, run and are judged" {
	built=0
	for compiler in gcc clang; do
		command -v $compiler > /dev/null || continue
		$compiler -w -g -fsanitize=address -o asan-$compiler -I "$TOP/tests/snip" "$TOP/tests/snip/run_from.c" \
			-ldl -lpthread 2> /dev/null || continue
		built=$((built + 1))
		run -0 timeout 60 "$NETLEASH" run -p "$OPEN" -- ./asan-$compiler main "$SNIP"
		echo "$compiler: $output"
		[[ $output == *"main: right"* ]]
		[[ $output != *AddressSanitizer* ]]
	done
	[ "$built" -gt 0 ] || skip "no compiler with AddressSanitizer"
}

@test "tools: beside other preloads, before and behind: allocators, a false clock" {
	stacked=0
	for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libtcmalloc.so.4 faketime/libfaketime.so.1 \
			faketime/libfaketimeMT.so.1 libmimalloc.so.2; do
		object=$(ls /usr/lib/*-linux-gnu/$other 2> /dev/null | head -1)
		[ -n "$object" ] || continue
		stacked=$((stacked + 1))
		for order in "$SHIM:$object" "$object:$SHIM"; do
			for place in main handler fork_after thread_small dlopen handler_in_recv; do
				run timeout 60 env FAKETIME=-1y LD_PRELOAD="$order" NETLEASH_POLICY="$OPEN" \
					"$SNIP/run_from" $place "$SNIP"
				echo "$order, $place: $status $output"
				[ "$status" -eq 0 ]
				[ "$output" = "$place: right" ]
			done
			run -0 env FAKETIME= LD_PRELOAD="$order" NETLEASH_POLICY="$OPEN" curl -sS --max-time 20 \
				https://api.example.com/
			[ "$output" = "hello from web" ]
		done
	done
	echo "# $stacked other preloads" >&3
	[ "$stacked" -gt 0 ] || skip "none of them is here"
}
