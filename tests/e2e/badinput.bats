#!/usr/bin/env bats
# lab: both
# SPDX-License-Identifier: MIT
# A policy that is wrong: check and run say where and what is accepted, the program is not started; with
# plain LD_PRELOAD it runs, nothing of the network works, and one line says why.

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
}

# bad FILE WORDS …: all three ways to meet it. Each of WORDS is in what check says.
bad() {
	local file=$1 words
	shift
	run "$NETLEASH" check "$file"
	echo "$output [$status]"
	[ "$status" -eq 101 ]
	for words; do
		grep -qF -- "$words" <<< "$output"
	done

	run "$NETLEASH" run -p "$file" -- touch started
	echo "$output [$status]"
	[ "$status" -eq 101 ]
	[ ! -e started ]
	grep -qE '^netleash: the policy has [0-9]+ errors?: touch was not started$' <<< "$output"
	for words; do
		grep -qF -- "$words" <<< "$output"
	done

	for program in curl python3 nc; do
		dial "$program" api.example.com 443
		POLICY=$PWD/$file under "${cmd[@]}"
		[ "$status" -ne 0 ]
		[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
		grep -qE "^netleash: [^ ]+\[[0-9]+\]: every network call is refused: no usable policy: $PWD/" <<< "$output"
	done
	POLICY=$PWD/$file under "$PY" -c 'import socket
try: socket.create_connection(("192.0.2.20", 9000), 5)
except PermissionError as e: print("connect", e.errno)
try: socket.getaddrinfo("api.example.com", 1)
except socket.gaierror as e: print("resolve", e.errno == socket.EAI_FAIL)
try: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.20", 9001))
except PermissionError as e: print("send", e.errno)
try: socket.socket().listen()
except PermissionError as e: print("listen", e.errno)'
	[[ $output == *"connect 13"*"resolve True"*"send 13"*"listen 13"* ]]
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	for program in true ls "cat /etc/hostname" "sh -c :" date; do
		# shellcheck disable=SC2086
		run --separate-stderr env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$PWD/$file" $program
		[ -z "$stderr" ]
	done
	[ "$(lab questions)" -eq 0 ]
	lab unseen packets .
}

@test "no file, an empty one, a directory" {
	bad absent.cfg "absent.cfg: error: cannot be opened: No such file or directory"
	: > empty.cfg
	bad empty.cfg "empty.cfg: error: the file is empty" "accepted is"
	printf '# nothing\n\n' > comment.cfg
	bad comment.cfg "comment.cfg: error: the file is empty"
	# A policy that lists nothing is one.
	echo 'domains: {};' > none.cfg
	run "$NETLEASH" check none.cfg
	[ "$status" -eq 0 ]
	[[ $output == *"warning: no domain is listed, so every name is refused"* ]]
	mkdir directory.cfg
	run "$NETLEASH" check directory.cfg
	[ "$status" -eq 101 ]
	[[ $output == *"is a directory"* ]]
}

@test "a file that may not be read" {
	[ "$(id -u)" -ne 0 ] || skip "root reads everything"
	cp "$POLICY" secret.cfg
	chmod 000 secret.cfg
	bad secret.cfg "secret.cfg: error: cannot be opened: Permission denied"
}

@test "a file that everybody may write" {
	cp "$POLICY" open.cfg
	chmod 666 open.cfg
	bad open.cfg "open.cfg: error: is writable by everybody (mode 0666)" "chmod o-w"
}

@test "text that is cut off, at every tenth byte" {
	size=$(stat -c %s "$POLICY")
	for ((n = 1; n < size - 3; n += 10)); do
		head -c "$n" "$POLICY" > cut.cfg
		run "$NETLEASH" check cut.cfg
		# Behind the first statement a prefix may be a policy; otherwise there is a place.
		[ "$status" -eq 101 ] || { [ "$status" -eq 0 ] && "$NETLEASH" check cut.cfg > out 2>&1; }
		[ "$status" -eq 0 ] || grep -qE '^cut\.cfg:[0-9]+: error: ' <<< "$output"
	done
	head -c 300 "$POLICY" > cut.cfg
	bad cut.cfg "cut.cfg:" "error: "
}

@test "bytes that are no text" {
	head -c 5000 /dev/urandom > random.cfg
	printf '\0' >> random.cfg
	bad random.cfg "random.cfg: error: "
	cp "$SHIM" binary.cfg
	chmod 644 binary.cfg
	run "$NETLEASH" check binary.cfg
	[ "$status" -eq 101 ]
	printf 'domains: { request = [ "https://api.ex\xff\xfeample.com" ]; };' > utf8.cfg
	bad utf8.cfg "utf8.cfg:1: error: "
	printf '\xef\xbb\xbfdomains: { request = [ "https://api.example.com" ]; };\r\n' > bom.cfg
	run "$NETLEASH" check bom.cfg
	echo "$output [$status]"
	[ "$status" -eq 0 ] || [[ $output == *"bom.cfg"*"error: "* ]]
}

@test "17 MiB" {
	{ cat "$POLICY"; yes '# filling' | head -c 17825792; } > big.cfg
	bad big.cfg "big.cfg: error: has 178" "16777216 (16 MiB)"
}

@test "wrong types, unknown keys, entries that are none: all of them at once, each with its place" {
	cat > wrong.cfg <<-'END'
		profil = "tcsas";
		platform = 5;
		lan: { allow = "yes"; requireTls = true; };
		domains: {
		  request = [ "https://192.0.2.1",
		    "https://[2001:db8::1]",
		    "https://127.1",
		    "https://2130706433",
		    "https://0x7f000001",
		    "https://*.example.com",
		    "https://api.example.com:8443",
		    "https://api.example.com/path",
		    "https://user@api.example.com",
		    "https://localhost",
		    "https://a.localhost",
		    "https://single",
		    "ftp://files.example.com",
		    "wss://play.example.com",
		    "https://",
		    "",
		    "https://a..example.com",
		    "https://-bad.example.com",
		    "https://under_score.example.com" ];
		  socket = [ "https://play.example.com" ];
		  requests = [ "https://api.example.com" ];
		  udp = "udp://udp.example.com";
		};
		networkTimeout: { request = 0; upload = 5; connectSocket = -3; };
		listen = "wan";
		mode = "strict";
		skip_domain_check = 1;
		loopback: { allow_ports = [ 0, 70000 ]; };
	END
	bad wrong.cfg "wrong.cfg:1: error: unknown key \"profil\"; did you mean \"profile\"?" \
		"wrong.cfg:2: error: platform is the number 5; accepted is \"android\", \"ios\", \"devtools\" or \"strict\"" \
		"wrong.cfg:3: error: lan.allow is \"yes\"; accepted is true or false" \
		"wrong.cfg:3: error: unknown key \"lan.requireTls\"" \
		"is an IP address; accepted is" "holds a wildcard" "has a port" "did you mean \"domains.request\"?" \
		"ftp://files.example.com" "scheme that does not fit" "this machine itself" "listen" "networkTimeout"
	run "$NETLEASH" check wrong.cfg
	for line in 1 2 3 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 28 29 30 31 32; do
		grep -qE "^wrong\.cfg:$line: error: " <<< "$output" || { echo "line $line is not told"; false; }
	done
	# What the shim tells is the first of them, and how many there are.
	POLICY=$PWD/wrong.cfg under curl -sS https://api.example.com/
	grep -qE "no usable policy: $PWD/wrong.cfg:1: unknown key .* \(and [0-9]+ more\)" <<< "$output"
}

@test "contradictory switches" {
	printf 'ports = "any";\ndomains: { request = [ "https://api.example.com:8443" ]; };\n' > port.cfg
	bad port.cfg 'port.cfg:2: error: domains.request[0]: "https://api.example.com:8443" has a port'
	printf 'lan: { address = "10.0.0.1"; };\n' > half.cfg
	bad half.cfg "half.cfg:1: error: " "netmask"
	printf 'lan: { address = "10.0.0.1"; netmask = "255.0.255.0"; };\n' > mask.cfg
	bad mask.cfg "mask.cfg:1: error: " "netmask"
}

@test "included files: their own place" {
	mkdir inc
	printf '@include "inc/lists.cfg"\n' > outer.cfg
	printf 'domains: {\n  request = [ "https://10.0.0.1" ];\n};\n' > inc/lists.cfg
	run "$NETLEASH" check outer.cfg
	echo "$output"
	[ "$status" -eq 101 ]
	[[ $output == *"inc/lists.cfg:2: error: domains.request[0]: \"https://10.0.0.1\" is an IP address"* ]]
	printf '@include "inc/absent.cfg"\n' > lost.cfg
	run "$NETLEASH" check lost.cfg
	[ "$status" -eq 101 ]
	[[ $output == *"lost.cfg:1"* ]]
	printf '@include "self.cfg"\n' > self.cfg
	run timeout 10 "$NETLEASH" check self.cfg
	echo "$output"
	[ "$status" -eq 101 ]
	# An included file that everybody may write is as bad.
	printf 'domains: { request = [ "https://api.example.com" ]; };\n' > inc/lists.cfg
	run "$NETLEASH" check outer.cfg
	[ "$status" -eq 0 ]
	chmod 666 inc/lists.cfg
	run "$NETLEASH" check outer.cfg
	[ "$status" -eq 101 ]
	[[ $output == *"inc/lists.cfg"*"writable by everybody"* ]]
}

@test "project files that are no JSON, or the wrong one" {
	mkdir project
	while IFS='|' read -r file text words; do
		rm -f project/*
		printf '%s' "$text" > "project/$file"
		for command in "check --project project" "run --project project touch started"; do
			# shellcheck disable=SC2086
			run "$NETLEASH" $command
			echo "$output [$status]"
			[ "$status" -eq 101 ]
			[[ $output == *"project/$file"*"error: "*"$words"* ]]
		done
		[ ! -e started ]
		run env LD_PRELOAD="$SHIM" NETLEASH_PROJECT="$PWD/project" curl -sS https://api.example.com/
		[ "$status" -ne 0 ]
		[[ $output == *"no usable policy: "*"project/$file"* ]]
	done <<-'END'
		game.json|{bad|is no JSON
		game.json|[1]|object
		game.json|{"networkTimeout": {"request": "soon"}}|networkTimeout.request
		game.json|{"networkTimeout": {"request": -1}}|networkTimeout.request
		game.json||
		project.config.json|{"appid": 5}|appid
		project.config.json|{"setting": {"urlCheck": "no"}}|urlCheck
		project.private.config.json|{"setting": []}|setting
	END
	run "$NETLEASH" check --project absent
	echo "$output"
	[ "$status" -eq 101 ]
	[[ $output == *absent* ]]
	# The domains file likewise.
	printf 'domains_file = "domains.json";\n' > fetched.cfg
	run "$NETLEASH" check fetched.cfg
	[ "$status" -eq 101 ]
	[[ $output == *"domains.json"* ]]
	printf '{"requestdomain": ["https://1.2.3.4"]}' > domains.json
	bad fetched.cfg "domains.json" "is an IP address"
	printf '{"requestdomain": "https://api.example.com"}' > domains.json
	bad fetched.cfg "domains.json" "requestdomain"
}

@test "a policy that is mended works at once, one that is broken stops at once" {
	cp "$POLICY" live.cfg
	POLICY=$PWD/live.cfg
	pass curl -sS https://api.example.com/
	pass curl -sS https://api.example.com/
	sed -i 's/"https:\/\/api.example.com", //' live.cfg
	deny not_in_domain_list curl -sS https://api.example.com/
	echo 'nonsense' >> live.cfg
	under curl -sS https://cdn.example.com/
	[[ $output == *"no usable policy: "*live.cfg* ]]
	sed -i '$d' live.cfg
	pass curl -sSk https://cdn.example.com/
	rm live.cfg
	under curl -sS https://cdn.example.com/
	[[ $output == *"no usable policy: "*live.cfg*"No such file"* ]]
}

@test "compiling shows nothing of itself to the program" {
	for text in 'domains: { request = [ "https://api.example.com" ]; };' 'nonsense'; do
		echo "$text" > quiet.cfg
		POLICY=$PWD/quiet.cfg under "$PY" -c 'import os, signal, socket
caught = []
signal.signal(signal.SIGCHLD, lambda *a: caught.append(1))
before = os.listdir("/proc/self/fd")
try: socket.gethostbyname("api.example.com")
except OSError as e: print("refused", e)
assert os.listdir("/proc/self/fd") == before
try: print("child", os.waitpid(-1, os.WNOHANG))
except ChildProcessError: print("no child")
print("signals", caught)'
		[ "$status" -eq 0 ]
		[[ $output == *"no child"*"signals []"* ]]
		# Nor does a program that ignores SIGCHLD lose the reason.
		POLICY=$PWD/quiet.cfg under bash -c 'trap "" CHLD; exec curl -sS https://api.example.com/'
		if [ "$text" = nonsense ]; then
			[[ $output == *"no usable policy: $PWD/quiet.cfg:2: "* ]]
		else
			[[ $output == *"hello from web"* ]]
		fi
	done
}

@test "damaged images and foreign ones are refused" {
	cp "$POLICY" good.cfg
	"$NETLEASH" compile-image "$PWD/good.cfg" - - 3> good.image
	chmod 644 good.image
	plain() {
		run env LD_PRELOAD="$SHIM" NETLEASH_IMAGE="$PWD/$1" curl -sS https://api.example.com/
	}
	plain good.image
	[[ $output == *"hello from web"* ]]
	head -c 100 good.image > bad.image
	plain bad.image
	[[ $output == *"no usable policy: $PWD/bad.image: "* ]]
	for at in 0 8 16 40 100; do
		cp good.image bad.image
		printf '\xa5\x5a\xa5' | dd of=bad.image bs=1 seek="$at" conv=notrunc status=none
		plain bad.image
		[ "$status" -ne 139 ]
		[[ $output == *"hello from web"* || $output == *"no usable policy: "* || $output == *"refused: "* ]]
	done
	head -c 20000 /dev/urandom > bad.image
	plain bad.image
	[[ $output == *"no usable policy: "* ]]
	cp good.image open.image
	chmod 666 open.image
	plain open.image
	[[ $output == *"no usable policy: "* ]]
	plain absent.image
	[[ $output == *"no usable policy: "* ]]
}
