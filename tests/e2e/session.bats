#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The private directory is shared by all runs of a user, also by those of other containers, whose process ids
# mean nothing here: none takes away what another one still needs (abi.h, launch/session.c).

bats_require_minimum_version 1.5.0
load lib
load net

setup() {
	fresh
	[ "$(id -u)" -eq 0 ] || skip "needs root, for process namespaces"
	# Waits for a line before it asks its first question about the network, and reads the image.
	cat > late.py <<-'END'
		import socket, sys
		print("ready", flush=True)
		sys.stdin.readline()
		try:
		    socket.create_connection(("127.0.0.1", 1))
		except OSError as e:
		    print(e.errno, flush=True)
	END
}

@test "runs of several process namespaces beside each other, with sweeps by all of them" {
	mkfifo go said
	# Its process id there is one that exists nowhere here.
	unshare -pf --kill-child sh -c 'echo $((4000000 + 1)) > /proc/sys/kernel/ns_last_pid
		"$@"; exit $?' - "$NETLEASH" run -p "$POLICY" --no-summary -- "$PY" late.py < go > said 2>&1 3>&- &
	job=$!
	exec 5> go 6< said
	while read -r -t 60 line <&6 && [ "$line" != ready ]; do :; done
	[ "$line" = ready ]
	id=$(cd "$XDG_RUNTIME_DIR/netleash" && echo [0-9]*-*)
	[ -e "$XDG_RUNTIME_DIR/netleash/$id/image" ]
	run kill -0 "${id%%-*}"
	[ "$status" -ne 0 ]
	# A left-over one goes, this one stays.
	mkdir "$XDG_RUNTIME_DIR/netleash/4100000-0123456789abcdef"
	touch "$XDG_RUNTIME_DIR/netleash/4100000-0123456789abcdef/session"
	# One that is being made, as an hour ago by this clock, and its maker still holds its page
	fresh=$XDG_RUNTIME_DIR/netleash/.new-4100001-0123456789abcdef
	mkdir "$fresh"
	exec 7> "$fresh/session"
	flock -n 7
	touch -d '1 hour ago' "$fresh"
	"$NETLEASH" run -p "$POLICY" --no-summary -- true
	"$NETLEASH" status > list
	grep -q "$id" list
	[ ! -e "$XDG_RUNTIME_DIR/netleash/4100000-0123456789abcdef" ]
	[ -e "$XDG_RUNTIME_DIR/netleash/$id/image" ]
	[ -e "$fresh/session" ]
	exec 7>&-
	"$NETLEASH" run -p "$POLICY" --no-summary -- true
	[ ! -e "$fresh" ]
	echo >&5
	exec 5>&-
	output=$(cat <&6)
	wait "$job"
	echo "$output"
	refused loopback
	[[ $output != *"not a readable policy image"* ]]
	[ ! -e "$XDG_RUNTIME_DIR/netleash/$id" ]
}

@test "kept images of plain LD_PRELOAD go when they are a week old" {
	dir=$XDG_RUNTIME_DIR/netleash
	mkdir -p -m 700 "$dir"
	touch -d '8 days ago' "$dir/image-0-old" "$dir/image-0-old.lock" "$dir/other"
	touch -d '6 days ago' "$dir/image-0-new"
	run env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$POLICY" "$PY" -c 'import socket; socket.create_connection(("127.0.0.1", 1))'
	echo "$output"
	[[ $output == *loopback* ]]
	[ "$(find "$dir" -name 'image-*' -size +0 -not -name '*.lock' | wc -l)" -eq 1 ]
	[ ! -e "$dir/image-0-old" ]
	[ ! -e "$dir/image-0-old.lock" ]
	[ -e "$dir/image-0-new" ]
	[ -e "$dir/other" ]
}
