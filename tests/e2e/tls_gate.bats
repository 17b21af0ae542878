#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The first bytes of a connection (policy 4): TLS with the right name, in whatever pieces it comes,
# and nothing else; what is looked at is what is sent.

bats_require_minimum_version 1.5.0
load lib
load net

WAYS="whole bytes iov pwritev2 sendmsg sendmmsg send more records dup"

setup() {
	fresh
}

@test "a ClientHello in every kind of piece arrives, with the listed name" {
	for way in $WAYS; do
		pass net_hello "$way" shared-a.example.com 443 shared-a.example.com
		[ "$output" = handshake ]
	done
	[ "$(lab count shared '"event":"hello"')" -eq 10 ]
	# (The witness reads the first record alone.)
	[ "$(lab count shared '"sni":"shared-a.example.com"')" -eq 9 ]
}

@test "the same pieces with another name do not" {
	for way in $WAYS fork; do
		deny name_mismatch net_hello "$way" shared-a.example.com 443 shared-b.example.com
		[[ $output == *": EACCES"* ]]
		deny name_mismatch net_hello "$way" shared-a.example.com 443 ""
		deny name_mismatch net_hello "$way" shared-a.example.com 443 evil.example.net
		deny name_mismatch net_hello "$way" shared-a.example.com 443 api.example.com
	done
	lab unseen shared '"sni":"'
	lab unseen shared '"event":"tls"'
}

@test "a name is matched as a name: case, and the dot at the end" {
	pass net_hello whole shared-a.example.com 443 SHARED-A.Example.COM
	pass net_hello whole SHARED-A.EXAMPLE.COM. 443 shared-a.example.com
	deny name_mismatch net_hello whole shared-a.example.com 443 a.shared-a.example.com
	deny name_mismatch net_hello whole shared-a.example.com 443 example.com
	deny name_mismatch net_hello whole shared-a.example.com 443 xshared-a.example.com
}

@test "both names of a shared address work where both are listed, each by its own" {
	sed -i 's/"https:\/\/shared-a.example.com"/&, "https:\/\/shared-b.example.com"/' "$POLICY"
	pass openssl s_client -brief -connect shared-a.example.com:443 -servername shared-a.example.com
	pass openssl s_client -brief -connect shared-b.example.com:443 -servername shared-b.example.com
	# Listed, but nobody asked for its address here.
	deny name_mismatch openssl s_client -brief -connect shared-a.example.com:443 -servername shared-b.example.com
	pass "$PY" -c 'import socket, ssl
socket.gethostbyname("shared-b.example.com")
context = ssl.create_default_context()
for name in "shared-a.example.com", "shared-b.example.com":
    context.wrap_socket(socket.create_connection(("shared-a.example.com", 443), 10), server_hostname=name)'
	lab saw shared '"sni":"shared-b.example.com"'
}

@test "one process: what is refused and what is allowed stay apart" {
	under "$PY" -c 'import socket, ssl
context = ssl.create_default_context()
for name in ["shared-a.example.com", "shared-b.example.com"] * 3:
    try:
        context.wrap_socket(socket.create_connection(("shared-a.example.com", 443), 10), server_hostname=name)
        print(name, "ok")
    except PermissionError as e:
        print(name, "refused")'
	[ "$status" -eq 0 ]
	[ "$(grep -c '^shared-a.example.com ok' <<< "$output")" -eq 3 ]
	[ "$(grep -c '^shared-b.example.com refused' <<< "$output")" -eq 3 ]
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 3 ]
	lab unseen shared '"sni":"shared-b'
	[ "$(lab count shared '"sni":"shared-a')" -eq 3 ]
}

@test "the bytes are changed after a partial send" {
	[ "$(id -u)" -eq 0 ] || skip "needs a link without segmentation offload"
	# So that a small send buffer takes a part of a long hello.
	ip link set lan0 gso_max_segs 1
	deny name_mismatch net_hello changed shared-a.example.com 443 shared-a.example.com shared-b.example.com
	[[ $output == *"write: EACCES"* ]]
	lab unseen shared '"sni":"'
	pass net_hello changed shared-a.example.com 443 shared-a.example.com
	lab saw shared '"sni":"shared-a.example.com"'
	ip link set lan0 gso_max_segs 65535
}

@test "the bytes are changed by another thread during the call" {
	local sent=0
	for _ in $(seq 60); do
		under net_hello flip shared-a.example.com 443 shared-a.example.com shared-b.example.com
		# Either name may be what was looked at; it is what must be sent.
		[ "$status" -eq 0 ] && sent=$((sent + 1)) || refused name_mismatch
	done
	lab unseen shared '"sni":"(?!shared-a\.example\.com")'
	[ "$sent" -eq 0 ] || [ "$(lab count shared '"sni":"shared-a.example.com"')" -ge "$sent" ]
}

@test "plain bytes, and what only looks like TLS" {
	while read -r bytes; do
		deny plaintext "$PY" "$DIAL" connect api.example.com 443 "$bytes"
		deny plaintext "$PY" "$DIAL" fastopenmsg api.example.com 443 "$bytes"
	done <<-'END'
		GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n
		SSH-2.0-x\r\n
		\x00
		\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00
		\x15\x03\x01\x00\x02\x01\x00
		\x17\x03\x03\x00\x05hello
		\x16\x03\x01\x00\x00
		\x80\x2e\x01\x00\x02
		\x16GET / HTTP/1.1\r\n\r\n
	END
	lab unseen web '"event":"(plaintext|hello|request)"'
	pass "$PY" "$DIAL" connect api.example.com 443
}

@test "after the refusal the connection is dead, and stays so" {
	under "$PY" -c 'import os, select, socket
s = socket.create_connection(("api.example.com", 80), 10)
def attempt(what, *args):
    try:
        print(what.__name__, what(*args))
    except OSError as e:
        print(what.__name__, e.errno)
attempt(s.send, b"GET / HTTP/1.0\r\n\r\n")
attempt(s.send, b"GET / HTTP/1.0\r\n\r\n")
attempt(os.write, s.fileno(), b"GET / HTTP/1.0\r\n\r\n")
attempt(s.sendmsg, [b"x"])
attempt(s.recv, 10)
attempt(os.read, s.fileno(), 10)
d = s.dup()
attempt(d.send, b"x")
print("woken", [bool(x) for x in select.select([s], [s], [], 5)])
print("error", s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
pid = os.fork()
if pid == 0:
    attempt(s.send, b"child")
    os._exit(0)
os.waitpid(pid, 0)'
	[ "$status" -eq 0 ]
	[ "$(grep -cE '^(send|write|sendmsg|recv|read) 13$' <<< "$output")" -eq 8 ]
	[[ $output == *"woken [True, True, False]"* ]]
	[[ $output == *"error 13"* ]]
	# One refusal, one line.
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	lab unseen web '"event":"(plaintext|request)"'
}

@test "a server that speaks first, to a name that wants https" {
	sed -i 's/"tcp:\/\/raw.example.com"//; s/"https:\/\/api.example.com"/&, "https:\/\/raw.example.com"/' "$POLICY"
	for how in 'recv(99)' 'recv_into(bytearray(99))' 'recvmsg(99)' 'recvfrom(99)' 'recv(99, socket.MSG_PEEK)'; do
		deny plaintext "$PY" -c "import socket
s = socket.create_connection(('raw.example.com', 2525), 10)
print(s.$how)"
		[[ $output != *220* ]]
	done
	deny plaintext "$PY" -c "import os, socket
s = socket.create_connection(('raw.example.com', 2525), 10); s.settimeout(None)
print(os.read(s.fileno(), 99))"
	[[ $output != *220* ]]
	pass curl -sSk -m 10 https://raw.example.com/
}

@test "raw TCP where the name is in tcp as well as in request" {
	sed -i 's/"https:\/\/api.example.com"/&, "https:\/\/raw.example.com"/' "$POLICY"
	pass "$PY" "$DIAL" connect raw.example.com 9000 hello
	pass "$PY" "$DIAL" fastopenmsg raw.example.com 9000 hello
	pass "$PY" -c 'import socket; print(socket.create_connection(("raw.example.com", 2525), 10).recv(99))'
	[[ $output == *220* ]]
	pass net_stdio fputs raw.example.com 9000 hello
	pass curl -sSk -m 10 https://raw.example.com/
	# Not on the ports that raw TCP may not use: TLS alone there.
	deny plaintext "$PY" "$DIAL" connect raw.example.com 443 hello
}

@test "stdio on a socket: fdopen() and dprintf() are judged, whoever reads the answer" {
	for way in fputs fputs+recv dprintf dprintf+recv; do
		deny plaintext net_stdio "$way" api.example.com 80 'GET / HTTP/1.0'
		said "api.example.com:80" "TLS handshake"
		[[ $output == *"write EACCES"* ]]
		pass net_stdio "$way" lan.example.com 9000 'GET / HTTP/1.0'
		[ "$output" = 'GET / HTTP/1.0' ]
	done
	run -1 leashed net_stdio freopen api.example.com 80 ''
	[ "$output" = "freopen EBADF" ]
	pass net_stdio freopen lan.example.com 9000 ''
	lab unseen web '"event":"(plaintext|request)"'
	# Where nothing is refused they are libc's own, and what left is recorded.
	policy audit 'mode = "audit";'
	pass net_stdio fputs+recv api.example.com 80 'GET / HTTP/1.0'
	[ "$output" = 'HTTP/1.1 200 OK' ]
}

@test "stdio on a socket: TLS through it" {
	cat > stream.py <<-'END'
		import ctypes, errno, os, socket, ssl, sys
		libc = ctypes.CDLL(None, use_errno=True)
		libc.fdopen.restype = ctypes.c_void_p
		libc.fdopen.argtypes = ctypes.c_int, ctypes.c_char_p
		libc.fwrite.argtypes = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
		libc.fread.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
		for name in "fflush", "fclose", "fseek":
		    getattr(libc, name).argtypes = (ctypes.c_void_p,) + (ctypes.c_long, ctypes.c_int) * (name == "fseek")
		sock = socket.create_connection((sys.argv[1], 443))
		fd = sock.detach()
		file = libc.fdopen(fd, b"r")
		out = libc.fdopen(os.dup(fd), b"w")
		come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
		tls = ssl.create_default_context().wrap_bio(come, go, server_hostname=sys.argv[2])
		byte = ctypes.create_string_buffer(1)
		def step(call, *args):
		    while True:
		        done = True
		        try:
		            result = call(*args)
		        except ssl.SSLWantReadError:
		            done = False
		        data = go.read()
		        if data and (libc.fwrite(data, 1, len(data), out) != len(data) or libc.fflush(out)):
		            sys.exit(errno.errorcode[ctypes.get_errno()])
		        if done:
		            return result
		        if libc.fread(byte, 1, 1, file) != 1:
		            sys.exit("end")
		        come.write(byte.raw)
		step(tls.do_handshake)
		step(tls.write, b"GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n")
		print(step(tls.read, 15).decode())
		print(libc.fseek(file, 0, 1), errno.errorcode[ctypes.get_errno()])
		print(libc.fclose(out), libc.fclose(file))
		try:
		    socket.socket(fileno=fd)
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	"$PY" stream.py api.example.com api.example.com > without
	[ "$(head -1 without)" = "HTTP/1.1 200 OK" ]
	pass "$PY" stream.py api.example.com api.example.com
	diff without <(echo "$output")
	lab reset-logs
	deny name_mismatch "$PY" stream.py shared-a.example.com shared-b.example.com
	[[ $output == *EACCES* ]]
	lab unseen shared '"event":"hello"'
}

@test "stdio on a socket: a stream that is there already writes where no hook sees it" {
	# A shell's own output goes that way.
	under bash -c 'exec 3<>/dev/tcp/api.example.com/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'
	refused unjudged
	said "before they were judged"
	[[ $output != *"hello from"* ]]
	pass bash -c 'exec 3<>/dev/tcp/lan.example.com/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'
	[[ $output == *"hello from peer"* ]]
}

@test "sendfile, splice and aio wait for the verdict" {
	echo 'GET / HTTP/1.0' > request
	echo >> request
	under "$PY" -c 'import os, socket
def attempt(what, call):
    try:
        print(what, call())
    except OSError as e:
        print(what, e.errno)
f = os.open("request", os.O_RDONLY)
size = os.stat("request").st_size
for host, port in ("api.example.com", 80), ("192.0.2.20", 8080):
    s = socket.create_connection((host, port), 10)
    s.settimeout(None)
    attempt("sendfile", lambda: os.sendfile(s.fileno(), f, 0, size))
    r, w = os.pipe()
    os.write(w, b"GET / HTTP/1.0\r\n\r\n")
    attempt("splice", lambda: os.splice(r, s.fileno(), 100))
    attempt("splice out", lambda: os.splice(s.fileno(), w, 100))
s.send(b"GET / HTTP/1.1\r\nHost: 192.0.2.20:8080\r\n\r\n")
attempt("judged sendfile", lambda: os.sendfile(s.fileno(), f, 0, size))'
	[ "$status" -eq 0 ]
	[ "$(grep -cE '^(sendfile|splice|splice out) 22$' <<< "$output")" -eq 6 ]
	grep -qE '^judged sendfile [1-9]' <<< "$output"
	if grep '^netleash: ' <<< "$output"; then return 1; fi
	lab unseen web '"event":"(plaintext|request)"'
}

@test "programs fall back: socket.sendfile, curl uploads, splice of socat" {
	head -c 300000 /dev/zero > big
	pass "$PY" -c 'import socket
s = socket.create_connection(("192.0.2.20", 8080), 10)
f = open("request", "w+b")
f.write(b"POST /echo HTTP/1.0\r\nContent-Length: 300000\r\n\r\n" + bytes(300000))
f.flush(); f.seek(0)
print(s.sendfile(f), s.recv(12))'
	[[ $output == *200* ]]
	lab saw peer '"len":300000'
	pass curl -sS -m 20 -T big http://192.0.2.20:8080/echo -o /dev/null
	pass curl -sSk -m 20 -T big https://api.example.com/echo -o got
	cmp big got
	lab saw web '"len":300000'
	pass curl -sSk -m 20 -F file=@big https://up.example.com/echo -o /dev/null
	deny plaintext curl -sS -m 20 -T big http://api.example.com/echo
}

@test "large amounts both ways through a judged connection" {
	head -c 4000000 /dev/urandom > big
	pass curl -sSk -m 30 --data-binary @big https://api.example.com/echo -o got
	cmp big got
	pass node -e 'const fs = require("fs"), r = require("https").request("https://api.example.com/echo", {method: "POST"}, m => {
		const parts = []; m.on("data", d => parts.push(d)); m.on("end", () => process.exit(
			Buffer.concat(parts).equals(fs.readFileSync("big")) ? 0 : 1)); }); r.end(fs.readFileSync("big"))'
	pass "$PY" -c 'import urllib.request
data = open("big", "rb").read()
assert urllib.request.urlopen("https://api.example.com/echo", data).read() == data'
}
