#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is allowed is as it was without netleash: results, errno, bytes, tools (hooks.md N6, N7, 4, T5, T6).
# Every comparison runs both ways, and first shows that there is something to compare. CPython's own tests:
# cpython.bats.

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

@test "errno: every system call number with impossible arguments" {
	[ "$(uname -m)" = x86_64 ] || skip "the numbers are those of x86_64"
	cat > numbers.py <<-'END'
		import ctypes, errno, os, signal
		libc = ctypes.CDLL(None, use_errno=True)
		# Each in a child of its own. Left out: what makes two of one (57, 58), waits for a signal (34), jumps
		# (15, 335, 336), sends signals (62), or changes the machine (29, 64, 68 make things of System V, 153 hangs
		# the terminal up, 162 writes all disks).
		for number in sorted({*range(470)} - {15, 29, 34, 57, 58, 62, 64, 68, 153, 162, 335, 336}):
		    r, w = os.pipe()
		    child = os.fork()
		    if child == 0:
		        signal.alarm(60)
		        ctypes.set_errno(4711)
		        ret = libc.syscall(*[ctypes.c_long(x) for x in (number, -1, -1, -1, -1, -1, -1)])
		        error = ctypes.get_errno()
		        os.write(w, b"ok" if ret >= 0 else errno.errorcode.get(error, str(error)).encode())
		        os._exit(0)
		    os.close(w)
		    print(number, os.read(r, 100).decode(), os.waitpid(child, 0)[1])
		    os.close(r)
	END
	timeout 120 "$PYTHON" numbers.py > without
	[ "$(wc -l < without)" -eq 458 ]
	# Almost all of them come back, and with an error of their own
	[ "$(grep -cE ' E[A-Z0-9]+ 0$' without)" -gt 300 ]
	for policy in "$OPEN" "$AUDIT"; do
		timeout 120 env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$policy" "$PYTHON" numbers.py > with
		# Rings answer as from a kernel without them.
		diff <(grep -vE '^(425|426|427) ' without) <(grep -vE '^(425|426|427) ' with)
		[ "$(grep -cE '^42[567] ENOSYS' with)" -eq 3 ]
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

@test "bytes: nothing at all, by TLS" {
	cat > nothing.py <<-'END'
		import socket, ssl
		context = ssl.create_default_context()
		s = context.wrap_socket(socket.create_connection(("api.example.com", 443)), server_hostname="api.example.com")
		for part in b"", b"GET /bytes/3 HTTP/1.1\r\nHost: api.example", b"", b".com\r\n\r\n", b"":
		    print(s.send(part))
		print(s.recv(15))
		print(s.send(b""), s.recv(0))
	END
	same timeout 60 "$PYTHON" nothing.py
	[ "$(head -1 without)" = 0 ]
	grep -F "b'HTTP/1.1 200 OK'" without
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

@test "bytes: servers of asyncio and of node, reached from outside and from within" {
	cat > server.py <<-'END'
		import asyncio, sys
		async def serve(reader, writer):
		    while data := await reader.read(1000):
		        writer.write(data.upper())
		        await writer.drain()
		    writer.close()
		async def main():
		    server = await asyncio.start_server(serve, "0.0.0.0", int(sys.argv[1]))
		    print("ready", flush=True)
		    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
		    writer.write(b"within")
		    print((await reader.readexactly(6)).decode(), flush=True)
		    writer.close()
		    await server.serve_forever()
		asyncio.run(main())
	END
	cat > server.js <<-'END'
		const net = require('net');
		const server = net.createServer(s => s.on('data', d => s.write(d.toString().toUpperCase())));
		server.listen(4002, '0.0.0.0', () => {
		  console.log('ready');
		  const c = net.connect(4002, '127.0.0.1', () => c.write('within'));
		  c.on('data', d => { console.log(d.toString()); c.end(); });
		});
	END
	for server in "$PYTHON server.py 4001" "node server.js"; do
		command -v ${server%% *} > /dev/null || continue
		mkfifo said
		"${LEASH[@]}" $server > said 3>&- &
		SERVERS+=" $!"
		exec 5< said
		read -r -t 60 line <&5
		[ "$line" = ready ]
		read -r -t 60 line <&5
		[ "$line" = WITHIN ]
		port=$([ "${server%% *}" = node ] && echo 4002 || echo 4001)
		# From outside the leash
		run -0 "$PYTHON" -c "import socket
s = socket.create_connection(('127.0.0.1', $port)); s.sendall(b'outside'); print(s.recv(100).decode())"
		[ "$output" = OUTSIDE ]
		exec 5<&-
		rm said
	done
	# The same where nobody may listen
	policy closed
	run -1 env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" timeout 60 "$PYTHON" server.py 4003
	echo "$output"
	[[ $output == *"ermission denied"* ]]
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

@test "tools: valgrind finds no error" {
	command -v valgrind > /dev/null || skip "needs valgrind"
	# valgrind's own tool is a static program, which an exec under the leash refuses. Linked with the object
	# the program has it in the same place, before libc.
	gcc -w -g -o linked -I "$TOP/tests/snip" "$TOP/tests/snip/run_from.c" -Wl,--no-as-needed \
		-Wl,-rpath,"$BUILD" "$SHIM" -ldl -lpthread
	run -0 env NETLEASH_POLICY="$OPEN" ./linked main "$SNIP"		# now the policy is compiled
	[ "$output" = "main: right" ]
	for place in main fork vfork handler thread_small dlopen; do
		run timeout 100 env NETLEASH_POLICY="$OPEN" valgrind -q --error-exitcode=99 --leak-check=full \
			--show-leak-kinds=definite --errors-for-leak-kinds=definite ./linked "$place" "$SNIP"
		# It says so where it does not know a system call or its argument; that is no error.
		output=$(grep -vE "sigprocmask: unknown 'how' field|^--[0-9]+-- " <<< "$output")
		echo "$place: $status $output"
		[ "$status" -eq 0 ]
		[ "$output" = "$place: right" ]
	done
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
