#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Text arrives as UTF-8 with right framing, one BOM is gone and a second one kept; what is no text, or cannot be
# converted, arrives byte for byte (policy 9; TLS 13). The texts are the far side's, by Python's codecs.

bats_require_minimum_version 1.5.0
load lib
load http

setup() {
	fresh
	cat > get.py <<-'END'
		# get.py PATH …: each by its own framing, on one connection where that lasts; prints what is wrong
		import http.client, sys, urllib.parse
		sys.path.insert(0, sys.argv[1])
		import http_servers as far

		def wanted(url):
		    """What it has to be: the text in UTF-8, a BOM less"""
		    query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
		    charset = url.path.split("/")[2]
		    text = far.SAMPLES.get(charset, far.SAMPLES["gbk"]) * int(query.get("times", "1"))
		    text = "\ufeff" * max(int(query.get("bom", "0")) - 1, 0) + text
		    tail = b"before \xff behind\n" if query.get("broken") else b""
		    return text.encode() + tail

		c = http.client.HTTPSConnection("api.example.com", timeout=20)
		for path in sys.argv[2:]:
		    url = urllib.parse.urlsplit(path)
		    c.request("GET", path)
		    r = c.getresponse()
		    chunked, length = r.chunked, r.getheader("Content-Length")
		    body = r.read()
		    assert body == wanted(url), (path, body[:80], wanted(url)[:80])
		    assert length is None or (int(length) == len(body) and not chunked), (path, length, len(body))
		    assert "frame=close" in path or chunked or length, path
		    if url.path.split("/")[2] != "utf-8":
		        assert r.getheader("Content-Type") == "text/html; charset=utf-8", (path, r.getheader("Content-Type"))
		print("right", len(sys.argv) - 2)
	END
}

# texts PATH …: all of them are right, in a program that reads by their framing
texts() {
	pass "$PY" get.py "$TOP/tests/lab" "$@"
	[[ $output == *"right $#"* ]]
}

@test "without netleash none of it is UTF-8: what is tested is there to be converted" {
	run "$PY" get.py "$TOP/tests/lab" /text/gbk
	[ "$status" -ne 0 ]
	run curl -sS 'https://api.example.com/json?bom=1'
	[[ $output == $'\xef\xbb\xbf{'* ]]
}

@test "a JSON body with a BOM parses in the program that reads it; a second BOM is kept" {
	cat > parse.py <<-'END'
		import json, sys, urllib.request
		for frame in "length", "chunked", "close":
		    for piece in "0", "1", "2":
		        with urllib.request.urlopen("https://api.example.com/json?bom=1&frame=%s&piece=%s" % (frame, piece)) as r:
		            assert json.loads(r.read().decode())["name"] == "\u4f60\u597d"
		        with urllib.request.urlopen("https://api.example.com/json?bom=2&frame=%s&piece=%s" % (frame, piece)) as r:
		            body = r.read()
		            assert body.startswith(b'\xef\xbb\xbf{"ok"'), body
		            assert r.getheader("Content-Length") in (None, str(len(body)))
		print("parsed")
	END
	run "$PY" parse.py
	[[ $output == *JSONDecodeError* ]]
	pass "$PY" parse.py
	[[ $output == *parsed* ]]
	if command -v ruby > /dev/null; then
		pass ruby -rnet/http -rjson -e 'puts JSON.parse(Net::HTTP.get(URI("https://api.example.com/json?bom=1")))["ok"]'
		[[ $output == *true* ]]
	fi
	pass curl -sS 'https://api.example.com/json?bom=1' 'https://api.example.com/json?bom=0'
	[ "$output" = '{"ok": true, "name": "你好"}{"ok": true, "name": "你好"}' ]
}

@test "GBK, Shift_JIS, Big5, EUC, Latin-1, UTF-16 and their like, by length, in chunks, to the end" {
	local charset frame paths=()
	for charset in gbk shift_jis euc-jp iso-2022-jp big5 euc-kr latin-1 windows-1252 koi8-r utf-16le utf-16be utf-8; do
		label=$charset
		[ $charset != latin-1 ] || label=iso-8859-1
		for frame in length chunked close; do
			paths+=("/text/$charset?label=$label&frame=$frame" "/text/$charset?label=$label&frame=$frame&piece=1")
		done
		paths+=("/text/$charset?label=$label&times=3000" "/text/$charset?label=$label&times=3000&frame=chunked&piece=7001")
	done
	texts "${paths[@]}"
}

@test "the names that pages use: gb2312, x-gbk, sjis, latin1, quoted, in capitals; 404 and 500 are text as well" {
	texts '/text/gbk?label=gb2312' '/text/gbk?label=x-gbk' '/text/gbk?label=GB18030' '/text/shift_jis?label=sjis' \
		'/text/shift_jis?label=Shift_JIS' '/text/latin-1?label=latin1' '/text/latin-1?label=us-ascii' \
		'/text/big5?label=Big5-HKSCS' '/text/gbk?label=gbk&status=404' '/text/gbk?label=gbk&status=500&frame=chunked'
}

@test "a BOM wins over the header, and exactly one is filtered" {
	texts '/text/utf-8?bom=1&label=utf-8' '/text/utf-8?bom=2&label=utf-8&frame=chunked&piece=1' '/text/utf-8?bom=3&label=&frame=close' \
		'/text/utf-16le?bom=1&label=utf-16le' '/text/utf-16be?bom=2&label=utf-16be'
	for charset in utf-16le utf-16be; do
		pass curl -sS "https://api.example.com/text/$charset?bom=1&label="
		[ "$output" = "$(printf '你好, world: 漢字中文')" ]
		pass curl -sS "https://api.example.com/text/$charset?bom=1&label=utf-8"
		[ "$output" = "$(printf '你好, world: 漢字中文')" ]
	done
}

@test "what cannot be converted arrives byte for byte, the rest behind it as text, and it is recorded" {
	texts '/text/gbk?broken=1' '/text/big5?broken=1&frame=chunked&piece=1' '/text/euc-kr?broken=1&frame=close'
	[ "$(grep -c '"event":"request".*"detail":"bytes that are no text in this charset were left as they are: ' events)" -eq 3 ]
	pass curl -sS https://api.example.com/text/gbk
	! grep '"event":"request".*"detail":' events
	# An unknown name: nothing is touched, recorded as well
	curl -sS -i 'https://api.example.com/text/gbk?label=klingon' > plain
	pass bash -c "curl -sS -i 'https://api.example.com/text/gbk?label=klingon' > with"
	cmp plain with
	grep -q '"event":"request".*"detail":' events
}

@test "packed, partial, no text, HEAD, another class of request, switched off: byte for byte" {
	local url
	for url in 'api.example.com/text/gbk?gzip=1' 'api.example.com/text/gbk?status=206&extra=Content-Range:+bytes+0-1/2' \
		'api.example.com/text/gbk?type=image/png' 'api.example.com/text/gbk?type=application/octet-stream&bom=1' \
		'list.example.com/text/gbk' 'list.example.com/json?bom=1'; do
		curl -sS -i "https://$url" > plain
		pass bash -c "curl -sS -i 'https://$url' > with"
		cmp plain with
	done
	curl -sS -I https://api.example.com/text/gbk > plain
	pass bash -c 'curl -sS -I https://api.example.com/text/gbk > with'
	cmp plain with
	curl -sS -i -F "file=@$POLICY" 'https://up.example.com/text/gbk' > plain
	pass bash -c "curl -sS -i -F 'file=@$POLICY' https://up.example.com/text/gbk > with"
	cmp plain with
	for line in 'body: { convert = false; };' 'profile = "build";'; do
		lists "$line"
		curl -sS -i 'https://api.example.com/text/gbk?bom=1' > plain
		pass bash -c "curl -sS -i 'https://api.example.com/text/gbk?bom=1' > with"
		cmp plain with
	done
}

@test "HTTP/1.0 has no chunks: the length goes, and the end of the stream is the end of the text" {
	pass curl -sS --http1.0 https://api.example.com/text/gbk 'https://api.example.com/text/gbk?frame=close' 'https://api.example.com/json?bom=1'
	[ "$output" = "$(printf '你好, world: 漢字中文\n你好, world: 漢字中文\n{"ok": true, "name": "你好"}')" ]
	# Also where the server would keep the connection open
	pass bash -c 'printf "GET /text/gbk HTTP/1.0\r\nHost: api.example.com\r\nConnection: keep-alive\r\n\r\n" | talk api.example.com'
	[[ $output == *漢字中文* ]]
	[[ $output != *Content-Length* && $output != *chunked* ]]
	# and the program waits by poll(): it has to be woken for the end
	pass "$PY" -c '
import select, socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(("api.example.com", 443)), server_hostname="api.example.com")
s.sendall(b"GET /text/gbk?hold=1 HTTP/1.0\r\nHost: api.example.com\r\nConnection: keep-alive\r\n\r\n")
s.setblocking(False)
poll, got = select.poll(), b""
poll.register(s, select.POLLIN)
while True:
    if not s.pending():
        assert poll.poll(15000), "not woken"
    try:
        data = s.recv(100)
    except ssl.SSLWantReadError:
        continue
    if not data:
        break
    got += data
print("end of", got.decode())'
	[[ $output == *"end of"*漢字中文* ]]
}

@test "clients that poll, that read by little buffers, that look first: nothing stalls, all is there" {
	cat > clients.py <<-'END'
		import asyncio, select, socket, ssl, sys
		want = ("\u4f60\u597d, world: \u6f22\u5b57\u4e2d\u6587\n" * 500).encode()
		def request(frame):
		    return b"GET /text/gbk?times=500&frame=%s HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n" % frame
		def text(data):
		    head, _, body = data.partition(b"\r\n\r\n")
		    if b"chunked" in head:
		        out = b""
		        while True:
		            size, _, body = body.partition(b"\r\n")
		            if int(size, 16) == 0:
		                return out
		            out, body = out + body[:int(size, 16)], body[int(size, 16) + 2:]
		    return body
		def dial():
		    return ssl.create_default_context().wrap_socket(socket.create_connection(("api.example.com", 443)),
		                                                    server_hostname="api.example.com")
		def polled(frame, size):
		    # poll, one read, and again only while the library says that it has some
		    s = dial()
		    s.sendall(request(frame))
		    s.setblocking(False)
		    got, poll = b"", select.poll()
		    poll.register(s, select.POLLIN)
		    while True:
		        if not s.pending():
		            assert poll.poll(15000), "stalled at %d" % len(got)
		        try:
		            data = s.recv(size)
		        except ssl.SSLWantReadError:
		            assert not s.pending()
		            continue
		        if not data:
		            return got
		        got += data
		async def streamed(frame):
		    reader, writer = await asyncio.open_connection("api.example.com", 443, ssl=True)
		    writer.write(request(frame))
		    return await reader.read(-1)
		def memory(frame):
		    sock = socket.create_connection(("api.example.com", 443))
		    i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
		    tls = ssl.create_default_context().wrap_bio(i, o, server_hostname="api.example.com")
		    def run(call, *args):
		        while True:
		            try:
		                return call(*args)
		            except ssl.SSLWantReadError:
		                sock.sendall(o.read())
		                data = sock.recv(3000)
		                if data: i.write(data)
		                else: i.write_eof()
		    run(tls.do_handshake)
		    tls.write(request(frame))
		    got = b""
		    while True:
		        data = run(tls.read, 1000)
		        if not data: return got
		        got += data
		for frame in b"length", b"chunked", b"close":
		    for size in 1, 3, 100, 16384:
		        assert text(polled(frame, size)) == want, (frame, size)
		    assert text(asyncio.run(asyncio.wait_for(streamed(frame), 20))) == want, frame
		    assert text(memory(frame)) == want, frame
		print("all there")
	END
	pass "$PY" clients.py
	[[ $output == *"all there"* ]]
	if command -v wget > /dev/null; then
		pass bash -c "wget -q -O- 'https://api.example.com/text/gbk?times=500&frame=chunked' | sha256sum"
		[[ $output == *"$(yes '你好, world: 漢字中文' | head -500 | sha256sum)"* ]]
	fi
	pass bash -c 'printf "GET /text/gbk?frame=chunked HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n" |
		openssl s_client -quiet -ign_eof -connect api.example.com:443 -servername api.example.com 2> /dev/null'
	[[ $output == *漢字中文* ]]
}
