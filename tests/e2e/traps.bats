#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# One test for each trap that this code, or an earlier tool, fell into (hooks.md 4, T9): what went
# wrong, and what showed it.

bats_require_minimum_version 1.5.0
load lib

EVIL=$LAB_EVIL_ADDR
PEER=$LAB_PEER_ADDR

setup() {
	cd "$BATS_TEST_TMPDIR"
	policy plain
	LEASH=(env "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$POLICY")
	export NETLEASH_LOG=quiet
	PYTHON=/usr/bin/python3
	# Bytes that a TLS library would send first
	cat > hello.py <<-'END'
		import ctypes, os, socket, ssl, struct
		libc = ctypes.CDLL(None, use_errno=True)
		libc.fdopen.restype = ctypes.c_void_p
		libc.fclose.argtypes = [ctypes.c_void_p]

		def hello(name):
		    out = ssl.MemoryBIO()
		    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
		    try:
		        tls.do_handshake()
		    except ssl.SSLWantReadError:
		        return out.read()

		def address(name, port=443):
		    return socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]

		def said(call, *args):
		    try:
		        got = call(*args)
		        return "none" if got is None else str(got)
		    except OSError as e:
		        return {v: k for k, v in vars(__import__("errno")).items() if k[0] == "E"}.get(e.errno, str(e))
	END
	lab reset-logs
}

@test "a number that was closed inside libc is what it is now: file, pipe, local socket, other peer" {
	run -0 timeout 60 "${LEASH[@]}" "$SNIP/trap_reuse"
	echo "$output"
	[ "$output" = done ]
	lab unseen evil ''
	lab unseen web '"event":"plaintext"'
	# The snippet sees the difference: without the leash nothing is refused.
	run -4 timeout 60 "$SNIP/trap_reuse"
}

@test "beginnings of hellos that never went on leave no buffer taken" {
	cat > pieces.py <<-'END'
		from hello import *
		addr, first = address("api.example.com"), hello("api.example.com")
		libc.close.argtypes = [ctypes.c_int]
		for i in range(600):
		    s = socket.socket()
		    s.connect(addr)
		    s.sendall(first[:40])
		    if i % 3 == 0:
		        s.close()
		    elif i % 3 == 1:
		        libc.fclose(libc.fdopen(s.detach(), b"r+"))
		    else:
		        # AF_UNSPEC: the same socket, another connection
		        libc.connect(s.fileno(), struct.pack("16x"), 16)
		        s.close()
		s = socket.socket()
		s.connect(addr)
		for i in range(0, len(first), 100):
		    s.sendall(first[i:i + 100])
		print("answered", len(s.recv(5)))
	END
	run -0 timeout 120 "${LEASH[@]}" "$PYTHON" pieces.py
	echo "$output"
	[ "$output" = "answered 5" ]
	lab saw web '"event":"hello",.*"sni":"api.example.com"' > /dev/null
}

@test "two connections on one socket: the second is judged as the first was" {
	cat > twice.py <<-'END'
		from hello import *
		addr, first = address("api.example.com"), hello("api.example.com")
		unspec = struct.pack("16x")
		s = socket.socket()
		s.connect(addr)
		s.sendall(first)
		print("answered", len(s.recv(5)))
		# Connected: EISCONN, whoever is asked for, and without a judgement
		print(said(s.connect, addr), said(s.connect, (EVIL, 443)))
		# Judged as TLS before; now it has to show it again.
		assert libc.connect(s.fileno(), unspec, 16) == 0
		print(said(s.connect, addr), said(s.send, b"GET / HTTP/1.0\r\n\r\n"))
		assert libc.connect(s.fileno(), unspec, 16) == 0
		print(said(s.connect, (EVIL, 443)))
		print(said(s.connect, addr), said(s.sendall, first), len(s.recv(5)))
	END
	sed -i "1i EVIL = '$EVIL'" twice.py
	run -0 timeout 30 "${LEASH[@]}" "$PYTHON" twice.py
	echo "$output"
	[ "$output" = $'answered 5\nEISCONN EISCONN\nnone EACCES\nEACCES\nnone none 5' ]
	lab unseen evil ''
	lab unseen web 'GET / HTTP'
}

@test "bytes by the kernel's own asynchronous writes wait for the verdict like the others" {
	cat > submit.py <<-'END'
		from hello import *
		libc.syscall.argtypes = None
		context = ctypes.c_ulong(0)
		assert libc.syscall(206, 8, ctypes.byref(context)) == 0 or exit(77)

		def submit(fd, data):
		    buf = ctypes.create_string_buffer(data, len(data))
		    cb = ctypes.create_string_buffer(struct.pack("QIIHhIQQQQII", 0, 0, 0, 1, 0, fd,
		                                                 ctypes.addressof(buf), len(data), 0, 0, 0, 0))
		    array = (ctypes.c_void_p * 1)(ctypes.addressof(cb))
		    ret = libc.syscall(209, context, ctypes.c_long(1), array)
		    if ret != 1:
		        return os.strerror(ctypes.get_errno())
		    event = ctypes.create_string_buffer(32)
		    libc.syscall(208, context, ctypes.c_long(1), ctypes.c_long(1), event, None)
		    return struct.unpack("QQqq", event.raw)[2]

		s = socket.create_connection(address("api.example.com"))
		print("listed:", submit(s.fileno(), b"GET /submitted HTTP/1.0\r\n\r\n"))
		with open("file", "wb") as f:
		    print("file:", submit(f.fileno(), b"12345"))
	END
	[ "$(uname -m)" = x86_64 ] || skip "the numbers are those of x86_64"
	run timeout 30 "$PYTHON" submit.py
	[ "$status" -ne 77 ] || skip "this kernel has no io_submit()"
	[ "$output" = $'listed: 27\nfile: 5' ]
	run -0 timeout 30 "${LEASH[@]}" "$PYTHON" submit.py
	[ "$output" = $'listed: Invalid argument\nfile: 5' ]
	lab wait-log web '/submitted' > /dev/null
	[ "$(lab count web '/submitted')" -eq 1 ]
}

@test "addresses that are too long: the kernel takes their start, and so does the verdict" {
	for way in sendmsg_long_address sendto_longest_address; do
		run -0 "$SNIP/by_udp" "$EVIL" 9001 "$way"
		[ "$output" = "$way: sent" ]
		run -0 "${LEASH[@]}" "$SNIP/by_udp" "$EVIL" 9001 "$way"
		[ "$output" = "$way: EACCES" ]
		[ "$(lab count evil "\"text\":\"$way\"")" -eq 1 ]
		run -0 "${LEASH[@]}" "$SNIP/by_udp" "$PEER" 9001 "$way"
		[ "$output" = "$way: sent" ]
	done
}

@test "memory streams are closed without harm" {
	cat > memory.py <<-'END'
		import ctypes
		libc = ctypes.CDLL(None)
		for name in ("open_memstream", "fmemopen"):
		    getattr(libc, name).restype = ctypes.c_void_p
		libc.fclose.argtypes = [ctypes.c_void_p]
		libc.fputs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
		for _ in range(100):
		    text, size = ctypes.c_char_p(), ctypes.c_size_t()
		    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
		    libc.fputs(b"twelve bytes", stream)
		    assert libc.fclose(stream) == 0 and size.value == 12
		    assert libc.fclose(libc.fmemopen(None, ctypes.c_size_t(100), b"w+")) == 0
		print("good")
	END
	run -0 "${LEASH[@]}" "$PYTHON" memory.py
	[ "$output" = good ]
}

@test "a program of one thread gets the number that it expects from its next open" {
	# The thread that ends requests in time may not have a descriptor open meanwhile.
	cat > numbers.py <<-'END'
		import os, socket, sys
		wrong = 0
		for i in range(3000):
		    if i % 300 == 0:
		        s = socket.create_connection((sys.argv[1], 9000))
		        lowest = os.open("/dev/null", os.O_RDONLY)
		        os.close(lowest)
		    fd = os.open("/dev/null", os.O_RDONLY)
		    wrong += fd != lowest
		    os.close(fd)
		print("wrong", wrong)
	END
	run -0 "${LEASH[@]}" "$PYTHON" numbers.py "$PEER"
	[ "$output" = "wrong 0" ]
}

@test "exit does not wait, and beside a hundred busy threads it is clean" {
	for how in exit _exit quick thread; do
		for _ in 1 2 3 4 5; do
			start=$(date +%s%N)
			run timeout 20 "${LEASH[@]}" "$SNIP/trap_exit" "$how"
			took=$((($(date +%s%N) - start) / 1000000))
			echo "$how: $status $output, $took ms"
			# The last thread to leave makes it 0.
			[ "$status" -eq "$([ "$how" = thread ] && echo 0 || echo 7)" ]
			[ -z "$output" ]
			[ "$took" -lt 5000 ]
		done
	done
	lab saw peer '"event":"accept"' > /dev/null
	lab unseen evil ''
}

@test "our own line does not enter our hooks: standard error is a network socket" {
	cat > stderr.py <<-'END'
		import os, socket, sys
		s = socket.create_connection((sys.argv[1], 9000))
		os.dup2(s.fileno(), 2)
		os.execv("/bin/sh", ["sh", "-c", sys.argv[2]])
	END
	run -0 timeout 20 "$PYTHON" stderr.py "$PEER" "LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY NETLEASH_LOG= $SNIP/run_from main $SNIP"
	[ "$output" = "main: right" ]
	lab wait-log peer 'netleash: run_from.* refused: ip_literal' > /dev/null
}

@test "text pages are what the file says: no code is patched" {
	cat > pages.py <<-'END'
		import re, socket
		socket.getaddrinfo("api.example.com", 443)
		checked = 0
		with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as mem:
		    for line in maps:
		        m = re.match(r"(\w+)-(\w+) r-xp (\w+) \S+ \d+ +(/.*lib(?:c|ssl|crypto|netleash)\.so.*)", line)
		        if not m:
		            continue
		        start, end, offset = (int(x, 16) for x in m.groups()[:3])
		        mem.seek(start)
		        with open(m[4], "rb") as f:
		            f.seek(offset)
		            want = f.read(end - start)
		        assert mem.read(len(want)) == want, m[4]
		        checked += 1
		print("checked", checked)
	END
	run -0 "${LEASH[@]}" "$PYTHON" pages.py
	[[ $output =~ ^checked\ [2-9] ]]
}
