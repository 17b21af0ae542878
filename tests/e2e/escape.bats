#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# No way round the hooks by look-up, by scope, by number or by ring (hooks.md 1.1, 3.8), and
# nothing else changes for those who look up, open and call by number.
#
# A listener on loopback, which is not under the shim and which the policy does not admit,
# says what arrived. bats 1.8; needs the shared object, the command and the snippets: make all snips

bats_require_minimum_version 1.5.0

setup() {
	BUILD=$(cd "${NETLEASH_BUILD:-$BATS_TEST_DIRNAME/../../build}" && pwd)
	SHIM=$BUILD/libnetleash.so
	SNIP=$BUILD/snip
	[ -r "$SHIM" ] || { echo "$SHIM is not there: make all snips"; return 1; }
	POLICY=$BATS_TEST_TMPDIR/policy.cfg
	cat > "$POLICY" <<-'END'
		appid = "wx0123456789abcdef";
		domains: { request = [ "https://api.example.com" ]; };
	END
	cd "$BATS_TEST_TMPDIR"
	PORT=
	LISTENER=
}

teardown() {
	[ -z "$LISTENER" ] || kill "$LISTENER" 2> /dev/null || true
}

leashed() {
	env -u NETLEASH_BUILD "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$POLICY" NETLEASH_LOG=quiet "$@"
}

# Accepts on a port of its own until a connection says "stop" (the queue is in order, so all
# that came before is counted), then writes how many came, and how many datagrams.
listen() {
	cat > listener.py <<-'END'
		import socket
		tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
		while True:
		    tcp.bind(("127.0.0.1", 0))
		    try:
		        udp.bind(tcp.getsockname())
		        break
		    except OSError:
		        tcp.close()
		        tcp = socket.socket()
		tcp.listen(128)
		udp.setblocking(False)
		print(tcp.getsockname()[1], flush=True)
		count = datagrams = 0
		while True:
		    peer, _ = tcp.accept()
		    peer.settimeout(2)
		    try:
		        last = peer.recv(4) == b"stop"
		    except OSError:
		        last = False
		    peer.close()
		    if last:
		        break
		    count += 1
		try:
		    while True:
		        udp.recv(1)
		        datagrams += 1
		except BlockingIOError:
		    pass
		print(count, datagrams, flush=True)
	END
	mkfifo said
	python3 listener.py > said 3>&- &
	LISTENER=$!
	exec 5< said
	read -r PORT <&5
}

# What arrived since listen()
arrived() {
	python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).sendall(b"stop")' "$PORT"
	read -r CONNECTIONS DATAGRAMS <&5
	wait "$LISTENER"
	LISTENER=
	exec 5<&-
}

# ---------------------------------------------------------------- look-up

@test "without netleash every look-up connects: the snippet looks up what it says" {
	listen
	run "$SNIP/dl_lookup" "$PORT" "$SNIP"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 22 ]
	[ "$(grep -vc ': connected$' <<< "$output")" -eq 0 ]
	arrived
	[ "$CONNECTIONS" -eq 22 ]
}

@test "no look-up finds a connect() that is not judged" {
	listen
	run leashed "$SNIP/dl_lookup" "$PORT" "$SNIP"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 22 ]
	[ "$(grep -vc ': EACCES$' <<< "$output")" -eq 0 ]
	arrived
	[ "$CONNECTIONS" -eq 0 ]
}

@test "look-ups that are none of ours answer as without us, dlerror() included" {
	"$SNIP/dl_exact" "$SNIP" > without
	leashed "$SNIP/dl_exact" "$SNIP" > with
	diff without with
	grep -q '^default: missing, dlerror: .*undefined symbol: no_such_function' with
	grep -q "^own connect: 4711" with
	grep -q "^own shutdown: 4712" with
	grep -q '^\$ORIGIN: found' with
}

# ---------------------------------------------------------------- stacked preloads

@test "another preload is called once, before us or behind us, however it looks up the next" {
	listen
	for how in next handle node; do
		# Behind us: called for what was admitted, never for what was refused.
		run timeout 20 env INTERPOSER="$how" LD_PRELOAD="$SHIM:$SNIP/dl_interposer" \
			NETLEASH_POLICY="$POLICY" NETLEASH_LOG=quiet "$SNIP/dl_stacked" "$PORT"
		echo "behind, $how: $output"
		[ "$status" -eq 0 ]
		[ "$output" = $'interposer\nunix: ENOENT\nloopback: EACCES\nby number: EACCES' ]
		# Before us: called each time, and we behind it.
		run timeout 20 env INTERPOSER="$how" LD_PRELOAD="$SNIP/dl_interposer:$SHIM" \
			NETLEASH_POLICY="$POLICY" NETLEASH_LOG=quiet "$SNIP/dl_stacked" "$PORT"
		echo "before, $how: $output"
		[ "$status" -eq 0 ]
		[ "$output" = $'interposer\nunix: ENOENT\ninterposer\nloopback: EACCES\nby number: EACCES' ]
	done
	arrived
	[ "$CONNECTIONS" -eq 0 ]
}

@test "a sanitizer before us looks up its calls while we bind ours" {
	for kind in address thread; do
		runtime=$(cc -print-file-name="lib${kind:0:1}san.so" 2> /dev/null) || skip "no compiler"
		[ -e "$runtime" ] || skip "no runtime of -fsanitize=$kind"
		cc -w -fsanitize="$kind" -o "$kind" "$BATS_TEST_DIRNAME/../snip/dl_stacked.c"
		run timeout 20 env LD_PRELOAD="$runtime:$SHIM" NETLEASH_POLICY="$POLICY" \
			NETLEASH_LOG=quiet ASAN_OPTIONS=detect_leaks=0 "./$kind" 9
		echo "$kind: $output"
		[ "$status" -eq 0 ]
		[ "$output" = $'unix: ENOENT\nloopback: EACCES\nby number: EACCES' ]
	done
}

@test "each hatch works before anything is initialised" {
	listen
	for hatch in dlsym dlvsym dlopen dlmopen syscall; do
		run env DL_EARLY="$PORT $hatch" LD_PRELOAD="$SNIP/dl_early" "$SNIP/dl_stacked" 9
		echo "without, $hatch: $output"
		[ "${lines[-1]}" = connected ]
		run timeout 20 env DL_EARLY="$PORT $hatch" LD_PRELOAD="$SHIM:$SNIP/dl_early" \
			NETLEASH_POLICY="$POLICY" NETLEASH_LOG=quiet "$SNIP/dl_stacked" 9
		echo "with, $hatch: $output"
		[ "$status" -eq 0 ]
		[ "${lines[-1]}" = EACCES ]
		[ "$hatch" != syscall ] || [ "${lines[0]}" = mapped ]
	done
	arrived
	[ "$CONNECTIONS" -eq 5 ]
}

# ---------------------------------------------------------------- scope

@test "without netleash every scope connects" {
	listen
	cp "$("$SNIP/dl_scope" path)" copy-of-libc.so
	run "$SNIP/dl_scope" "$PORT" "$SNIP" "$PWD/copy-of-libc.so"
	echo "$output"
	[ "$(grep -c ': connected$' <<< "$output")" -eq 5 ]
	arrived
	[ "$CONNECTIONS" -eq 5 ]
}

@test "RTLD_DEEPBIND, a namespace and a second libc lead nowhere, and dlerror() says why" {
	listen
	cp "$("$SNIP/dl_scope" path)" copy-of-libc.so
	run leashed "$SNIP/dl_scope" "$PORT" "$SNIP" "$PWD/copy-of-libc.so"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" = "deepbind: failed" ]]
	[[ "${lines[1]}" = "deepbind by dlmopen: failed" ]]
	[[ "${lines[2]}" = "namespace: not found: "*"dlmopen(LM_ID_NEWLM) is refused"* ]]
	[[ "${lines[3]}" = "another namespace: not found: "*"is refused"* ]]
	[[ "${lines[4]}" = "copy of libc: failed" ]]
	arrived
	[ "$CONNECTIONS" -eq 0 ]
}

@test "a refused namespace is one line on standard error" {
	cp "$("$SNIP/dl_scope" path)" copy-of-libc.so
	env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" "$SNIP/dl_scope" 9 "$SNIP" \
		"$PWD/copy-of-libc.so" 2> errors > /dev/null
	cat errors
	[ "$(grep -c dlmopen errors)" -ge 1 ]
}

# ---------------------------------------------------------------- number, ring

@test "without netleash the calls by number connect and send" {
	listen
	run "$SNIP/syscall_calls" "$PORT"
	[ "$status" -eq 0 ]
	grep -qx 'connect: ok' <<< "$output"
	grep -qx 'sendto: ok' <<< "$output"
	arrived
	[ "$CONNECTIONS" -eq 1 ]
	[ "$DATAGRAMS" -eq 3 ]
}

@test "every call by number is judged, and the rest passes with all its arguments" {
	listen
	leashed "$SNIP/syscall_calls" "$PORT" > got
	cat > want <<-'END'
		socket packet: EACCES
		socket: ok
		connect: EACCES
		connect upper half: EACCES
		connect x32: ENOSYS
		sendmsg x32 without its bit: ENOSYS
		connect of a duplicate: EACCES
		connect of a dup3: EACCES
		connect of an F_DUPFD: EACCES
		fastopen sendto: EACCES
		fastopen sendmsg: EACCES
		fastopen sendmmsg: EACCES
		close: ok
		close again: EBADF
		sendto: EACCES
		sendmsg: EACCES
		sendmmsg: EACCES
		udp connect: EACCES
		socketpair: ok
		write: ok
		read: ok
		writev: ok
		readv: ok
		pwritev2: ok
		preadv2: ok
		pwritev2 at an offset: ESPIPE
		close_range: ok
		write to a closed one: EBADF
		io_uring_setup: ENOSYS
		io_uring_enter: ENOSYS
		io_uring_register: ENOSYS
		mmap: ok
		mmap, odd offset: EINVAL
		getpid: ok, errno ERANGE
		after a judged call: errno ERANGE
		clone: child said 7
		leashed
		leashed
		execve of nothing: ENOENT
	END
	[ "$(uname -m)" = x86_64 ] || sed -i '/x32/d' want
	diff want got
	arrived
	[ "$CONNECTIONS" -eq 0 ]
	[ "$DATAGRAMS" -eq 0 ]
}

@test "every number with impossible arguments fails as without us" {
	"$SNIP/syscall_numbers" > without
	leashed "$SNIP/syscall_numbers" > with
	# The rings, which are not there, are the one difference.
	sed 's/^\(425\|426\|427\): .*/\1: ENOSYS/' without > want
	[ "$(wc -l < with)" -gt 400 ]
	diff want with
}

@test "syscall() is no cancellation point" {
	run -0 "$SNIP/syscall_cancel"
	[ "$output" = "reached the end, cancelled" ]
	run -0 leashed "$SNIP/syscall_cancel"
	[ "$output" = "reached the end, cancelled" ]
}
