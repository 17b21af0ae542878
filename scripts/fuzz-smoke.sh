#!/bin/bash
# SPDX-License-Identifier: MIT
# Run each fuzzer for a short time; ends with "N passed, N failed".
#
#	fuzz-smoke.sh DIR	DIR: where the fuzzers are, build/fuzz
#
# FUZZ_SECONDS for each (10). The corpus is made here from tests/data and the examples, and
# thrown away; inputs that once crashed (tests/fuzz/regress/TARGET-*) go in first. What crashes
# is kept in FUZZ_ARTIFACTS (DIR/crashes).
set -eu
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: fuzz-smoke.sh DIR" >&2; exit 2; }
dir=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-10}
artifacts=${FUZZ_ARTIFACTS:-$dir/crashes}
mkdir -p "$artifacts"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# $1 is the target, its corpus goes to $2
seeds() {
	local header='\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00' answer='\x12\x34\x81\x80\x00\x01\x00'
	local question='\x01a\x07example\x00\x00\x01\x00\x01'

	case $1 in
	fuzz_tls_hello)
		cp tests/data/tls/*.bin "$2"
		printf 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n' > "$2/http"
		printf '\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10' > "$2/sslv2"
		;;
	fuzz_tls_server)
		cp tests/data/tls/*.s2c.bin "$2"
		printf 'HTTP/1.1 400 Bad Request\r\n' > "$2/http"
		;;
	fuzz_dns)
		# shellcheck disable=SC2059
		{
			printf "$header\x00$question" > "$2/query"
			printf "$header\x01$question\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00" > "$2/edns"
			printf "$answer\x01\x00\x00\x00\x00$question\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01" > "$2/answer"
			printf "$answer\x02\x00\x00\x00\x00$question\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e\x01b\xc0\x0e\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" > "$2/cname"
		}
		printf '1.2.0.192.in-addr.arpa' > "$2/reverse4"
		printf '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa' > "$2/reverse6"
		;;
	fuzz_event_line)
		{
			head -c 40 /dev/zero
			printf '/usr/bin/x\0request\0connect\0b.example\x00192.0.2.1\0tcp\0plaintext\0a\\b"c\0-\0\xc3\xa4\xe2\x80\xa8\0sni\0\xff\x01'
		} > "$2/texts"
		;;
	fuzz_http1 | fuzz_request)
		printf 'aGET /x HTTP/1.1\r\nHost: a.example:8443\r\nReferer: x\r\n y\r\nConnection: close\r\n\r\n' > "$2/get"
		printf 'bPOST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nReferer : x\r\nA: b\r\n\r\nGET / HTTP/1.0\n\n' > "$2/chunks"
		printf 'cGET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\n\r\n' > "$2/upgrade"
		printf 'dPUT / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary="b"\r\nContent-Length: 66\r\nExpect: 100-continue\r\n\r\n--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx\r\n--b--\r\n' > "$2/multipart"
		printf 'eXGET foo' > "$2/raw"
		;;
	fuzz_response)
		printf '\001aHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello' > "$2/length"
		printf '\002bHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n\r\nHTTP/1.0 404 X\nConnection: close\n\nx' > "$2/chunks"
		printf '\004cHTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nabc' > "$2/upgrade"
		printf '\003dHTTP/1.1 304 X\r\nX: y\r\n z\r\n\r\nHTTP/1.1 204\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' > "$2/none"
		;;
	fuzz_policy)
		find policy tests/data -name '*.cfg' -size -16k -exec sh -c \
			'for f; do cp "$f" "$0/$(echo "$f" | tr / -)"; done' "$2" {} +
		printf 'domains: { request = [ "https://a.example", "b.example:8443" ]; };\n' > "$2/small"
		printf 'profile = "tcsas";\n\x1f{"appid":"x","networkTimeout":{"request":500},"setting":{"urlCheck":false}}' > "$2/project"
		;;
	fuzz_charset)
		# the first byte is the charset (enum leash_charset), the second seeds the cuts
		printf '\002\001\377\376a\000=\330\000\336b\000' > "$2/utf16"
		printf '\004\002\326\320\201\060\204\061\225\063\224\071\374\066\377' > "$2/gb18030"
		printf '\005\003\244\244\210\142\210\146\244\201\377' > "$2/big5"
		printf '\006\004\306\374\216\261\217\260\241\217\241\241' > "$2/euc-jp"
		printf '\007\005a\033\044BF|\033(B\033(Jb\033\044Bz!' > "$2/iso-2022-jp"
		printf '\010\006\223\372\261\201\377\223' > "$2/shift_jis"
		printf '\044\007a\322\201\376' > "$2/windows-1258"
		printf 'iso-8859-8-i' > "$2/label"
		;;
	fuzz_body)
		{
			printf '\002HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n\357\273\277{"a"' > "$2/bom"
			printf '\004HTTP/1.1 404 x\r\nContent-Type: text/html; charset="gbk"\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\n\326\320\326\r\n01\r\n\320\r\n0\r\nX: y\r\n\r\n' > "$2/gbk"
			printf '\003HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain;\r\n charset=big5\r\n\r\n\244\244\210\146' > "$2/http10"
			printf '\006HTTP/1.0 200 OK\nContent-Type: text/plain\n\n\377\376a\000' > "$2/utf16"
			printf '\010HTTP/1.1 200 OK\r\nContent-Type: a/b+xml;charset=x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\357\273\r\n1\r\n\277\r\n0\r\n\r\n' > "$2/chunks"
			printf '\012HTTP/1.1 206 OK\r\nContent-Encoding: gzip\r\nContent-Range: x\r\nContent-Type: text/x\r\n\r\nabc' > "$2/range"
		}
		;;
	fuzz_image)
		for mode in 000 002 004 006; do
			printf '%b' "\\0$mode" > "$2/whole-$mode"
			# {offset, value}: somewhere in each part of it
			for offset in 020 100 200 300 400 500 600 700 1000 1400 2000; do
				high=$(printf '%03o' $((0$offset >> 8)))
				low=$(printf '%03o' $((0$offset & 255)))
				printf '%b' "\\0$mode\\0$low\\0$high\\0000\\0377\\0377\\0377\\0177" > "$2/patch-$mode-$offset"
			done
		done
		printf '\001NLPOLICY' > "$2/raw"
		;;
	fuzz_verifier)
		# {length, DER} of each certificate of a chain, the root behind it
		tests/lab/pki_defects.sh "$tmp/pki"
		python3 - "$tmp/pki" "$2" <<-'END'
			import glob, os, ssl, sys

			def ders(path):
			    text = open(path).read()
			    return [ssl.PEM_cert_to_DER_cert(p.strip() + "\n-----END CERTIFICATE-----\n")
			            for p in text.split("-----END CERTIFICATE-----")[:-1]]

			for path in glob.glob(sys.argv[1] + "/*.pem"):
			    chain = ders(path) + ders(sys.argv[1] + "/root.crt")
			    data = b"".join(len(d).to_bytes(2, "big") + d for d in chain)
			    if len(data) <= 8192:
			        open(os.path.join(sys.argv[2], os.path.basename(path)), "wb").write(data)
		END
		;;
	esac
	# One at least, or the first input is empty and the fuzzer has nothing to begin with.
	[ -n "$(ls -A "$2")" ] || printf '\0' > "$2/zero"
}

max_len() {
	case $1 in
	fuzz_tls_hello | fuzz_tls_server | fuzz_event_line) echo 4096 ;;
	fuzz_dns) echo 1024 ;;
	fuzz_verifier) echo 8192 ;;
	*) echo 16384 ;;
	esac
}

export TMPDIR=$tmp		# where a fuzzer that crashes leaves its files
passed=0
failed=0
for binary in "$dir"/fuzz_*; do
	if [ ! -f "$binary" ] || [ ! -x "$binary" ]; then
		continue
	fi
	name=$(basename "$binary")
	mkdir -p "$tmp/$name.seeds" "$tmp/$name.corpus"
	seeds "$name" "$tmp/$name.seeds"
	for file in tests/fuzz/regress/"$name"-*; do
		[ -e "$file" ] && cp "$file" "$tmp/$name.seeds/"
	done
	args=(-max_total_time="$seconds" -max_len="$(max_len "$name")" -timeout=10 -rss_limit_mb=1024
		-print_final_stats=1 -artifact_prefix="$artifacts/$name-")
	[ -e "tests/fuzz/$name.dict" ] && args+=(-dict="tests/fuzz/$name.dict")
	rc=0
	timeout -k 5 $((seconds + 60)) "$binary" "${args[@]}" "$tmp/$name.corpus" "$tmp/$name.seeds" \
		> "$tmp/$name.log" 2>&1 || rc=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$tmp/$name.log" | tail -n 1)
	if [ "$rc" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "$name: passed, $runs inputs"
		passed=$((passed + 1))
		continue
	fi
	failed=$((failed + 1))
	echo "$name: FAILED, exit status $rc"
	tail -n 40 "$tmp/$name.log" | sed 's/^/    /'
	sed -n "s/.*Test unit written to /$name: input kept in /p" "$tmp/$name.log"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
