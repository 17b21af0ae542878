#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What becomes of the requests of real programs over TLS: one Referer, the class and its list, what is refused
# and what must not be touched (policy 9; TLS 12). Judged from the far side as well.

bats_require_minimum_version 1.5.0
load lib
load http

setup() {
	fresh
}

# ------------------------------------------------------------------------- Referer

@test "curl: whatever it is told to send, on a new and on a kept-alive connection" {
	head -c 70000 /dev/urandom > body
	pass curl -sS -e https://evil.example.net/ -H 'rEferer: evil' https://api.example.com/ \
		--next -sS -H 'X-Referer: kept' -d a=b https://api.example.com/echo \
		--next -sS -e evil -T body -H 'Expect: 100-continue' https://api.example.com/hash \
		--next -sS -e evil -T body -H 'Transfer-Encoding: chunked' https://api.example.com/hash \
		--next -sS --http1.0 -e evil https://api.example.com/
	heads web 5
	[ "$(grep -c "70000 $(sha256sum < body | cut -d' ' -f1)" <<< "$output")" -eq 2 ]
	[ "$(lab count web '"event":"accept"')" -le 2 ]
	lab saw web '"X-Referer","kept"' > /dev/null
}

@test "python: http.client in pieces, urllib, asyncio; ruby; wget; aria2: one Referer, and answers" {
	pass "$PY" -c '
import asyncio, http.client, urllib.request
c = http.client.HTTPSConnection("api.example.com")
for i in range(3):
    c.putrequest("POST", "/echo?%d" % i)
    c.putheader("Referer", "https://evil.example.net/")
    c.putheader("Content-Length", "6")
    c.endheaders()
    for piece in b"on", b"e ", b"%d\n" % i:
        c.send(piece)
    print(c.getresponse().read().decode(), end="")
print(urllib.request.urlopen(urllib.request.Request("https://api.example.com/", headers={"Referer": "evil"})).read())
async def main():
    reader, writer = await asyncio.open_connection("api.example.com", 443, ssl=True)
    for piece in b"GET / HTTP/1.1\r", b"\nHost: api.example.com\r\nRef", b"erer: evil\r\n", b"Connection: close\r\n\r\n":
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    print(await reader.read(-1))
asyncio.run(main())'
	[[ $output == *$'one 0\none 1\none 2\nb\'hello from web\\n\''*"hello from web"* ]]
	heads web 5
	lab reset-logs
	command -v ruby wget aria2c > /dev/null || skip "no ruby, wget or aria2c"
	pass ruby -rnet/http -e 'Net::HTTP.start("api.example.com", 443, use_ssl: true) { |h|
		3.times { puts h.get("/", "Referer" => "evil").body }
		puts h.post("/echo", "sent", "Referer" => "evil").body }'
	[ "$(grep -c '^hello from web$' <<< "$output")" -eq 3 ]
	pass wget -q -O- --referer=evil https://api.example.com/
	pass aria2c -q --async-dns=false --referer=evil -d . -o got https://api.example.com/
	[ "$(cat got)" = "hello from web" ]
	heads web 6
}

@test "pipelined, folded, LF alone, hidden in a trailer, in single bytes: the same" {
	printf '%s\r\n' 'POST /hash HTTP/1.1' 'Host: api.example.com' 'Referer: evil' $'\tevil folded' \
		'Transfer-Encoding: chunked' '' '3;Referer: x' abc 0 'Referer: evil' 'X-Last: 1' '' \
		'GET /headers HTTP/1.1' 'REFERER:evil' 'Host: api.example.com' 'referer : evil' '' \
		'GET / HTTP/1.1' 'Host: api.example.com' 'Upgrade: h2c' 'Connection: close' '' > in
	for PIECE in 0 1 7; do
		export PIECE
		lab reset-logs
		pass bash -c 'talk api.example.com < in'
		heads web 3
		[[ $output == *"3 $(printf abc | sha256sum | cut -d' ' -f1)"*"hello from web"* ]]
		lab saw web '"event":"trailer".*"raw":"X-Last: 1' > /dev/null
		lab unseen web h2c
	done
	# Nobody changes what the policy leaves alone.
	lists 'referer = "";'
	lab reset-logs
	pass bash -c 'printf "GET /headers HTTP/1.1\r\nHost: api.example.com\r\nReferer: mine\r\nConnection: close\r\n\r\n" |
		talk api.example.com'
	lab saw web '"raw":"GET /headers HTTP/1.1\\r\\nHost: api.example.com\\r\\nReferer: mine' > /dev/null
}

@test "the appid, the version, another pattern: what the policy says is what arrives" {
	for row in 'version = "12";=https://appservice.wx.com/wx0123456789abcdef/12/page-frame.html' \
		'version = "devtools";=https://appservice.wx.com/wx0123456789abcdef/devtools/page-frame.html' \
		'profile = "wechat";=https://servicewechat.com/wx0123456789abcdef/0/page-frame.html'; do
		lab reset-logs
		lists "${row%%;=*};"
		pass curl -sS -e evil https://api.example.com/
		lab saw web "\"Referer\",\"${row#*;=}\"" > /dev/null
		[ "$(lab count web 'evil')" -eq 0 ]
	done
}

@test "a TLS library that no hook reaches: the request passes unread, and no event says otherwise" {
	if node_inside; then
		pass node -e 'require("https").get("https://api.example.com/", {headers: {Referer: "mine"}}, r => r.pipe(process.stdout))'
	else
		pass "$SNIP/tls_inside" api.example.com 443
	fi
	[[ $output == *"hello from web"* ]]
	lab saw web '"Referer","mine"' > /dev/null
	! grep '"event":"request"' events
}

# --------------------------------------------------------------------------- lists

@test "each kind of request at each list: admitted where it is, refused with where it is" {
	local host kind want path
	while read -r kind want path; do
		case $kind in
		get) cmd=(curl -sS) ;;
		post) cmd=(curl -sS -d a=b) ;;
		put) cmd=(curl -sS -T "$POLICY") ;;
		upload) cmd=(curl -sS -F "file=@$POLICY") ;;
		form) cmd=(curl -sS -F a=b) ;;
		socket) cmd=(bash -c 'upgrade "${1:8:-5}"' -) ;;
		esac
		for host in api play up list; do
			lab reset-logs
			label=$host
			[ $host != api ] || label=web
			if [[ ",$want," == *",$host,"* ]]; then
				if [ "$kind" = socket ]; then
					pass "${cmd[@]}" "https://$host.example.com/told"
					[[ $output == *"message hi"* ]]
					lab saw $label '"event":"websocket","conn":[0-9]+,"target":"/told"' > /dev/null
				else
					pass "${cmd[@]}" "https://$host.example.com$path"
					lab saw $label "\"target\":\"$path" > /dev/null
				fi
			else
				deny not_in_domain_list "it is in \`$(list_of $host)\`" "${cmd[@]}" "https://$host.example.com/told"
				lab unseen $label '"event":"(websocket|body)"'
				[ "$kind" = upload ] || [ "$kind" = form ] || lab unseen $label '"event":"request"'
			fi
		done
		# A name of all lists
		[ "$kind" != socket ] || path=/told
		pass "${cmd[@]}" "https://cdn.example.com$path"
	done <<-'END'
		get api,list /
		post api /echo
		put api /hash
		upload up /hash
		form api /hash
		socket play /
	END
}

list_of() {
	case $1 in
	api) echo request ;;
	play) echo socket ;;
	up) echo uploadFile ;;
	list) echo downloadFile ;;
	esac
}

@test "Host must be the connection's name: in the first request, a later one, and in an absolute target" {
	deny name_mismatch 'evil.example.net' curl -sS -H 'Host: evil.example.net' https://api.example.com/told
	deny name_mismatch 'cdn.example.com' curl -sS -H 'Host: cdn.example.com' https://api.example.com/told
	deny name_mismatch 'evil.example.net' bash -c 'printf "GET https://evil.example.net/told HTTP/1.1\r\nHost: api.example.com\r\n\r\n" |
		talk api.example.com'
	lab unseen web '"event":"request"'
	deny name_mismatch 'evil.example.net' curl -sS https://api.example.com/ --next -sS -H 'Host: evil.example.net' https://api.example.com/told
	[[ $output == *"hello from web"* ]]
	heads web 1
	lab unseen web told
	# With its port, in capitals, with the root's dot, and an absolute target that is its own
	lab reset-logs
	pass curl -sS -H 'Host: API.example.com:443' https://api.example.com/
	pass curl -sS -H 'Host: api.example.com.' https://api.example.com/
	pass bash -c 'printf "GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n" | talk api.example.com'
	heads web 3
}

@test "requests that two servers may read differently are refused, and do not arrive" {
	local row
	for row in 'Content-Length: 5\r\nTransfer-Encoding: chunked' 'Content-Length: 5\r\nContent-Length: 6' \
		'Content-Length: 5, 6' 'Content-Length: +5' 'Content-Length: 0x5' 'Content-Length: 5 5' 'Content-Length: -1' \
		'Transfer-Encoding: chunked, identity' 'Transfer-Encoding: xchunked' 'Transfer-Encoding: chunked, chunked' \
		'Transfer-Encoding : chunked\r\nContent-Length: 5' 'X: a\rReferer: b' 'X: a\000b' 'X: a\r\n folded' \
		'Host: other.example.com' ': empty' 'no colon'; do
		printf "POST /told HTTP/1.1\r\nHost: api.example.com\r\n$row\r\n\r\nhello" > in
		deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
		[[ $output == *Error* ]]
	done
	{
		printf 'GET /told HTTP/1.1\r\nHost: api.example.com\r\nX: '
		head -c 70000 /dev/zero | tr '\0' x
		printf '\r\n\r\n'
	} > in
	deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
	{
		printf 'GET /told HTTP/1.1\r\nHost: api.example.com\r\n'
		seq -f 'X-%g: y' 300 | sed 's/$/\r/'
		printf '\r\n'
	} > in
	deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
	# A chunk's size, a second request's head behind a good one, CONNECT, another protocol
	printf 'POST /told HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\n\nhello\r\n0\r\n\r\n' > in
	deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
	printf 'CONNECT evil.example.net:443 HTTP/1.1\r\nHost: evil.example.net:443\r\n\r\n' > in
	deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
	printf 'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nHost: api.example.com\r\n\r\n' > in
	deny ambiguous_request 'rule http' bash -c 'talk api.example.com < in'
	lab unseen web '"event":"(request|body)"'
	# The control: the same clients, with what is no riddle
	printf 'POST /echo HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello' > in
	under bash -c 'talk api.example.com < in'
	printf 'POST /echo HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello' > in
	pass bash -c 'talk api.example.com < in'
	[[ $output == *hello ]]
}

# ------------------------------------------------------------------------- answers

@test "answers of every kind are what they are without netleash, byte for byte" {
	local path
	for path in /status/404 /status/500 /status/204 /status/304 /interim/103 /chunked/50 /toend /gzip /cut \
		/file/300000 /redirect /bytes/0 '/text/gbk?type=image/png' '/json?frame=chunked'; do
		printf 'GET %s HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n' "$path" > in
		talk api.example.com < in > plain
		pass bash -c 'talk api.example.com < in > with'
		cmp plain with
		[ -s plain ]
	done
	printf 'HEAD /text/gbk HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET /bytes/3 HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n' > in
	talk api.example.com < in > plain
	pass bash -c 'talk api.example.com < in > with'
	cmp plain with
	# A program sees a code and its body, which is a success; so do the events.
	pass curl -sS -w '%{http_code}\n' https://api.example.com/status/404 https://api.example.com/status/500
	[[ $output == *$'status 404\n404\nstatus 500\n500'* ]]
	[ "$(grep -c '"event":"request","verdict":"allowed".*"status":\(404\|500\),"outcome":"success"' events)" -eq 2 ]
}

@test "an answer before the body was sent is an answer" {
	truncate -s 3000000 body
	for header in 'Expect: 100-continue' 'Expect:'; do
		pass curl -sS -w '%{http_code}\n' -H "$header" --data-binary @body https://api.example.com/early/413
		[[ $output == *$'too large\n413'* ]]
	done
	pass curl -sS -w '%{http_code}\n' --data-binary @body https://api.example.com/hash
	[[ $output == *$'\n200' ]]
}

@test "a gigabyte down and a gigabyte up arrive as they are" {
	local sum
	truncate -s 1G sent
	sum=$(sha256sum < sent | cut -d' ' -f1)
	PATIENCE=150 pass curl -sS -T sent https://cdn.example.com/hash
	[[ $output == *"1073741824 $sum"* ]]
	PATIENCE=150 pass curl -sS -T sent -H 'Transfer-Encoding: chunked' https://cdn.example.com/hash
	[[ $output == *"1073741824 $sum"* ]]
	sum=$(curl -sS https://cdn.example.com/file/1073741824 | sha256sum)
	PATIENCE=150 pass bash -c 'curl -sS https://cdn.example.com/file/1073741824 | sha256sum'
	[[ $output == *"$sum"* ]]
	heads cdn 4 || [ "$(lab count cdn '"event":"request"')" -eq 4 ]
}

@test "aria2 with parallel ranges; python reads in small pieces: the same bytes" {
	command -v aria2c > /dev/null || skip "no aria2c"
	curl -sS https://cdn.example.com/file/20000000 > want
	pass aria2c -q --async-dns=false -x 8 -s 8 -k 1M -d . -o got https://cdn.example.com/file/20000000
	cmp want got
	[ "$(lab count cdn '"Range"')" -ge 4 ]
	pass "$PY" -c '
import http.client
c = http.client.HTTPSConnection("cdn.example.com")
c.request("GET", "/file/20000000")
r = c.getresponse()
with open("got", "wb") as f:
    while True:
        data = r.read1(777)
        if not data: break
        f.write(data)'
	cmp want got
}

@test "kept-alive: a hundred requests on one connection, threads side by side" {
	pass "$PY" -c '
import http.client, threading
def loop():
    c = http.client.HTTPSConnection("api.example.com")
    for i in range(100):
        body = b"%d" % i * (i * 37 % 500)
        c.request("POST", "/echo", body, {"Referer": "evil"})
        assert c.getresponse().read() == body
threads = [threading.Thread(target=loop) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print("done")'
	[[ $output == *done* ]]
	heads web 400
	[ "$(lab count web '"event":"accept"')" -eq 4 ]
	[ "$(grep -c '"event":"request"' events)" -eq 400 ]
}

# ------------------------------------------------------------------------- sockets

@test "a WebSocket client: messages of every size both ways, its own header untouched behind the 101" {
	"$PY" -c 'import websockets' 2> /dev/null || skip "no python3-websockets"
	cat > ws.py <<-'END'
		import asyncio, os, ssl, sys, websockets
		async def main():
		    async with websockets.connect(sys.argv[1], ssl=ssl.create_default_context(), max_size=None,
		                                  extra_headers={"Referer": "evil"}) as ws:
		        for size in 0, 1, 125, 126, 65535, 65536, 1000000:
		            data = os.urandom(size)
		            await ws.send(data)
		            assert await ws.recv() == data, size
		        await ws.send("GET / HTTP/1.1\r\nReferer: kept\r\n\r\n")
		        assert await ws.recv() == "GET / HTTP/1.1\r\nReferer: kept\r\n\r\n"
		    print("closed")
		asyncio.run(main())
	END
	pass "$PY" ws.py wss://play.example.com/chat
	[[ $output == *closed* ]]
	lab saw play '"event":"message".*Referer: kept' > /dev/null
	heads play 1 || lab saw play "\"Referer\",\"$REFERER\"" > /dev/null
	grep -q '"event":"request".*"api":"connectSocket".*"status":101' events
	deny not_in_domain_list "it is in \`request\`" "$PY" ws.py wss://api.example.com/told
	lab unseen web '"event":"websocket"'
}

@test "an Upgrade that is not answered with 101 is an ordinary answer, and the connection goes on" {
	printf '%s\r\n' 'GET /nosocket HTTP/1.1' 'Host: cdn.example.com' 'Upgrade: websocket' 'Connection: Upgrade' \
		'Sec-WebSocket-Version: 13' 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '' \
		'GET / HTTP/1.1' 'Host: cdn.example.com' 'Referer: evil' 'Connection: close' '' > in
	pass bash -c 'talk cdn.example.com < in'
	[[ $output == *"404 Not Found"*"hello from cdn"* ]]
	heads cdn 2
}

# -------------------------------------------------------------------------- events

@test "events: method, host, path, status, bytes, and what the time went to" {
	head -c 5000 /dev/zero > body
	pass curl -sS --data-binary @body 'https://api.example.com/slow/0.3?secret=1' \
		--next -sS 'https://api.example.com/bytes/20000' -o got
	"$PY" - events <<-'END'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1])]
		one, two = [e for e in events if e["event"] == "request"]
		assert (one["api"], one["method"], one["host"], one["status"], one["outcome"], one["verdict"]) == \
		    ("request", "POST", "api.example.com", 200, "success", "allowed"), one
		assert one["url"] == "https://api.example.com/slow/0.3", one
		assert one["bytes_sent"] > 5000 and 0 < one["bytes_received"] < 1000, one
		time = one["timing"]
		assert set(time) == {"resolve", "connect", "tls", "wait", "receive"}, time
		assert time["wait"] >= 290 and time["tls"] >= 0 and time["resolve"] >= 0, time
		# A reused connection has neither a look-up nor a handshake.
		assert two["method"] == "GET" and two["bytes_received"] > 20000 and two["bytes_sent"] < 1000, two
		assert set(two["timing"]) == {"wait", "receive"}, two
		assert "secret" not in open(sys.argv[1]).read()
	END
	lists 'event_queries = true;'
	run -0 "$NETLEASH" check "$POLICY" || true
}

@test "events: what was refused has its class; what ended early says so" {
	deny not_in_domain_list uploadFile curl -sS -F "f=@$POLICY" https://api.example.com/told
	grep -q '"event":"refused".*"api":"uploadFile".*"method":"POST".*"errMsg":"uploadFile:fail url not in domain list:api.example.com"' events
	under curl -sS https://api.example.com/cut
	grep '"event":"request"' events | grep -q '"url":"https://api.example.com/cut"'
	! grep '"url":"https://api.example.com/cut"' events | grep -q '"outcome":"success"'
}

@test "events: what is unanswered when the program ends was cut, and is told and counted once" {
	cat > end.py <<-'END'
		import ctypes, os, socket, ssl, sys, threading

		context = ssl.create_default_context()

		def connect(host, port):
		    s = socket.create_connection((host, port))
		    if port == 443:
		        s = context.wrap_socket(s, server_hostname=host)
		    # Nobody closes or frees it, as C programs do that end by returning from main().
		    ctypes.pythonapi.Py_IncRef(ctypes.py_object(s))
		    return s

		done = connect("api.example.com", 443)
		done.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
		data = b""
		while b"hello" not in data:
		    data += done.recv(4096)
		tls = connect("api.example.com", 443)
		tls.sendall(b"POST /hang?1 HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\n\r\nabc")
		tls.sendall(b"GET /second HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
		plain = connect(sys.argv[1], 80)
		plain.sendall(b"GET /hang HTTP/1.1\r\nHost: %s\r\n\r\n" % sys.argv[1].encode())
		# One that waits while the program ends; and a child's end is not its parent's.
		threading.Thread(target=plain.recv, args=(100,), daemon=True).start()
		child = os.fork()
		if child == 0:
		    sys.exit(0)
		assert os.waitpid(child, 0)[1] == 0
		tls.settimeout(0.3)
		try:
		    tls.recv(1)
		except socket.timeout:
		    print("waits")
	END
	under "$PY" end.py "$LAB_PEER_ADDR"
	[ "$status" -eq 0 ]
	[ "$output" = waits ]
	"$PY" - events "$LAB_PEER_ADDR" <<-'END'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1])]
		told = sorted((e["url"], e["method"], e["outcome"], e.get("status")) for e in events if e["event"] == "request")
		assert told == sorted([
		    ("https://api.example.com/", "GET", "success", 200),
		    ("https://api.example.com/hang", "POST", "cut", None),
		    ("https://api.example.com/second", "GET", "cut", None),
		    ("http://%s/hang" % sys.argv[2], "GET", "cut", None)]), told
	END
	run -0 --separate-stderr "$NETLEASH" run -p "$POLICY" -- "$PY" end.py "$LAB_PEER_ADDR"
	[[ $stderr == *"requests: 4 request"* ]]
}
