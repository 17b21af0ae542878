#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Where a hook may be entered from, how the object starts, and what it leaves alone (hooks.md 2, T2):
# the fragment of tests/snip/run_from.h must give the same verdicts from every place.

bats_require_minimum_version 1.5.0
load lib

EVIL=$LAB_EVIL_ADDR

setup() {
	cd "$BATS_TEST_TMPDIR"
	policy plain
	sed -i 's|"https://api.example.com",|& "https://slow.example.com",|' "$POLICY"
	LEASH=(env "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$POLICY")
	export NETLEASH_LOG=quiet
	# Kept images of this test only, and none from before.
	mkdir -m 700 run
	export XDG_RUNTIME_DIR=$PWD/run
	lab reset-logs
}

teardown() {
	[ -z "${PUBLIC:-}" ] || rm -r "$PUBLIC"
}

# Each place must say that it was right, and the far side must agree.
places() {
	local place
	for place; do
		run timeout 60 "${LEASH[@]}" "$SNIP/run_from" "$place" "$SNIP"
		echo "$place: $status: $output"
		[ "$status" -eq 0 ]
		[ "$(grep -c ': right$' <<< "$output")" -ge 1 ]
		[[ $output != *wrong* ]]
	done
	lab saw peer '"event":"accept"' > /dev/null
	lab saw peer '"event":"datagram".*"text":"here"' > /dev/null
	lab unseen evil ''
	lab unseen packets "\"dst\":\"$EVIL\""
}

# ---------------------------------------------------------------------------- places

@test "places: the fragment itself tells right from wrong" {
	run -1 "$SNIP/run_from" main "$SNIP"
	# All that must be refused was not: 1 and 4.
	[[ $output == "main: wrong 5"* ]]
	lab saw evil '"event":"accept"' > /dev/null
	lab saw evil '"event":"datagram"' > /dev/null
}

@test "places: main, by number, atexit, destructor" {
	places main syscall atexit destructor
	[[ $output == *"destructor's own: right"* ]]
	run -0 "${LEASH[@]}" "$SNIP/run_from" atexit "$SNIP"
	[ "$(grep -c '^atexit: right$' <<< "$output")" -eq 2 ]
}

@test "places: signal handlers: idle, in a blocked recv, inside malloc, on the smallest stack" {
	places handler handler_in_recv handler_in_malloc sigaltstack
}

@test "places: a thread of the smallest size" {
	places thread_small
}

@test "places: children of fork, _Fork, vfork, clone, posix_spawn" {
	places fork fork_after _Fork vfork clone clone_vm clone_vfork posix_spawn
}

@test "places: a library that is opened late, of its own scope, DEEPBIND too" {
	places dlopen dlopen_deep
}

@test "places: constructors, preinit_array, before every other constructor, without an environment" {
	for from in constructor environ race destructor; do
		run -0 timeout 60 env RUN_FROM=$from LD_PRELOAD="$SHIM:$SNIP/run_from_lib" \
			NETLEASH_POLICY="$POLICY" "$SNIP/run_from" main "$SNIP"
		echo "$from: $output"
		[ "$(grep -c ': right$' <<< "$output")" -eq 2 ]
		run -0 timeout 60 env RUN_FROM=$from LD_PRELOAD="$SNIP/run_from_lib:$SHIM" \
			NETLEASH_POLICY="$POLICY" "$SNIP/run_from" main "$SNIP"
		echo "$from, before: $output"
		[ "$(grep -c ': right$' <<< "$output")" -eq 2 ]
	done
	run -0 timeout 60 env RUN_FROM=preinit "${LEASH[@]}" "$SNIP/run_from" main "$SNIP"
	[ "$output" = $'preinit_array: right\nmain: right' ]
	for order in "$SHIM:$SNIP/run_from_first" "$SNIP/run_from_first:$SHIM"; do
		run -0 timeout 60 env RUN_FROM=first LD_PRELOAD="$order" NETLEASH_POLICY="$POLICY" \
			"$SNIP/run_from" main "$SNIP"
		echo "$order: $output"
		[ "$output" = $'before netleash: right\nmain: right' ]
	done
	lab unseen evil ''
}

@test "places: after siglongjmp out of blocked and of busy calls, thousands of times" {
	places jump_recv jump_refused jump_connect
}

@test "places: after pthread_cancel in each blocking call, deferred and asynchronous" {
	places cancel cancel_async
}

# ---------------------------------------------------------------------------- start

@test "start: no descriptor, no thread, no file is left" {
	cat > look.sh <<-'END'
		ls /proc/self/fd
		ls /proc/self/task | wc -l
	END
	sh look.sh > without < /dev/null 2>&1
	"${LEASH[@]}" sh look.sh > with < /dev/null 2>&1
	diff without with
	[ "$(tail -1 with)" -eq 1 ]
	[ -z "$(ls -A run)" ]
}

# calls FILE COMMAND …: the names of the system calls of its life, in order
calls() {
	local file=$1
	shift
	strace -qq -o raw "$@" > /dev/null 2>&1 < /dev/null
	# Addresses, times and numbers of processes differ from run to run.
	sed -E 's/0x[0-9a-f]+/ADDR/g; s/[0-9]{4,}/N/g; s/\b[0-9]+\.[0-9]+\b/T/g' raw |
		grep -vE '^(execve|exit_group|\+\+\+)|^prlimit64' > "$file"
}

@test "start: afterwards a program without a network makes the same system calls" {
	command -v strace > /dev/null || skip "needs strace"
	for command in /bin/true "ls /" "sh -c true" "/usr/bin/python3 -S -c pass" "sort /etc/hostname"; do
		calls without $command
		calls with -E "LD_PRELOAD=$SHIM" -E "NETLEASH_POLICY=$POLICY" $command
		# What is added is one block: our object is mapped, and looks once who it is. All that
		# comes after the loader is the same, call for call and argument for argument.
		python3 - "$command" <<-'END'
			import difflib, sys
			a, b = open("without").read().splitlines(), open("with").read().splitlines()
			names = lambda lines: [l.split("(")[0] for l in lines]
			blocks = difflib.SequenceMatcher(None, names(a), names(b), False).get_opcodes()
			added = sum(j2 - j1 - (i2 - i1) for op, i1, i2, j1, j2 in blocks if op != "equal")
			missing = [a[i] for op, i1, i2, _, _ in blocks if op == "delete" for i in range(i1, i2)]
			# The loader is done where it drops its cache; what follows is the program.
			end = lambda lines: max(i for i, l in enumerate(lines) if l.startswith("munmap") and i < 80 or "ld.so.cache" in l)
			tail = lambda lines, n: names(lines)[len(lines) - n:]
			same = 0
			while same < min(len(a), len(b)) and a[-1 - same].split("(")[0] == b[-1 - same].split("(")[0]:
			    same += 1
			rest = b[: len(b) - same]
			print(sys.argv[1], "added", added, "missing", missing, "same at the end", same, "of", len(a))
			last = [l for l in rest if not l.startswith(("ppoll", "poll", "pselect", "fcntl", "fstat", "newfstatat(2", "getcwd", "getsockopt", "getpid"))]
			print("the last of what differs:", rest[-1] if rest else None)
			assert not missing, missing
			assert 0 < added <= 25, added
			# Nothing of ours after the loader's end: the tail holds everything but the loader.
			loader = [i for i, l in enumerate(b) if "libc.so.6" in l][0]
			assert len(b) - same > loader
			assert not [l for l in rest[loader:] if l.startswith(("socket", "connect", "clone", "brk", "futex", "openat"))
			            and "libc.so.6" not in l and "/lib" not in l], rest
		END
	done
}

@test "start: the number of system calls that it costs" {
	command -v strace > /dev/null || skip "needs strace"
	calls without /bin/true
	calls with -E "LD_PRELOAD=$SHIM" -E "NETLEASH_POLICY=$POLICY" /bin/true
	added=$(($(wc -l < with) - $(wc -l < without)))
	echo "# $added system calls more at the start of /bin/true" >&3
	[ "$added" -gt 0 ]
	[ "$added" -le 25 ]
}

@test "start: a set-uid program ignores the variables and refuses everything" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to make a set-uid program"
	need_another_user
	# The loader takes a preload into a set-uid program only from a system directory, and only if
	# it is set-uid itself: the object is mounted over a library that nothing here uses.
	system=$(dirname "$(ldd "$SNIP/run_from" | sed -n 's/.*libc.so.6 => \([^ ]*\).*/\1/p')")
	[ -e "$system/libutil.so.1" ] || skip "no library to mount over"
	base=$(mktemp -d /tmp/life.XXXXXX)
	chmod 755 "$base"
	cp "$SHIM" "$base/object"
	cp "$SNIP/run_from" "$base/program"
	cp "$POLICY" "$base/policy.cfg"
	chmod 644 "$base/policy.cfg"
	chmod u+s "$base/object"
	chmod 4755 "$base/program"
	mount --bind "$base/object" "$system/libutil.so.1" || skip "cannot mount"
	plain=$(setpriv --reuid 65534 --regid 65534 --clear-groups env LD_PRELOAD=libutil.so.1 \
		NETLEASH_POLICY="$base/policy.cfg" NETLEASH_LOG= "$SNIP/run_from" main "$SNIP" 2>&1 || true)
	set -- "$base/program" main "$SNIP"
	run setpriv --reuid 65534 --regid 65534 --clear-groups env LD_PRELOAD=libutil.so.1 \
		NETLEASH_POLICY="$base/policy.cfg" NETLEASH_LOG= "$@"
	umount "$system/libutil.so.1"
	rm -r "$base"
	echo "plain: $plain"
	echo "set-uid: $output"
	# The same object serves an ordinary program, which finds the policy unless its file is hidden
	# from it; the set-uid one is told why not, and what was allowed is refused too: 2 + 8.
	[[ $output == *"every network call is refused: no usable policy: set-uid and set-gid programs ignore"* ]]
	[[ $output == *"main: wrong a"* ]]
	lab unseen evil ''
}

# ---------------------------------------------------------------------------- the policy

# how often the command was run as a compiler, by all processes of a command
compilations() {
	grep -c 'execve.*"compile-image"' "$1" || true
}

@test "policy: a hundred children compile it once" {
	command -v strace > /dev/null || skip "needs strace"
	cat > children.sh <<-END
		i=0
		while [ \$i -lt 100 ]; do
			"$SNIP/run_from" syscall "$SNIP" || exit 1
			i=\$((i + 1))
		done
	END
	run -0 strace -qq -f -e trace=execve -s 300 -o trace "${LEASH[@]}" sh children.sh
	[ "$(grep -c ': right$' <<< "$output")" -eq 100 ]
	[ "$(compilations trace)" -eq 1 ]
	# Another policy is another image, and an edited one is compiled anew.
	echo '# a comment' >> "$POLICY"
	run -0 strace -qq -f -e trace=execve -s 300 -o trace "${LEASH[@]}" "$SNIP/run_from" main "$SNIP"
	[ "$(compilations trace)" -eq 1 ]
	run -0 strace -qq -f -e trace=execve -s 300 -o trace "${LEASH[@]}" "$SNIP/run_from" main "$SNIP"
	[ "$(compilations trace)" -eq 0 ]
}

@test "policy: compiling it is no child that the program sees" {
	run -0 timeout 30 "${LEASH[@]}" "$SNIP/life_wait"
	[ "$output" = $'verdict 0, signals 0, waited none\nthen own, signals 1\nleft none' ]
	rm -rf run/*
	run -0 timeout 30 "${LEASH[@]}" "$SNIP/life_wait" ignore
	[ "$output" = $'verdict 0, signals 0, waited none\nthen nobody, signals 0\nleft none' ]
}

@test "policy: removed while the program runs, it still holds; who starts later is refused" {
	cat > later.py <<-'END'
		import os, socket, subprocess, sys
		def ask(addr):
		    s = socket.socket()
		    try:
		        s.connect((addr, 9000))
		        return "connected"
		    except OSError as e:
		        return os.strerror(e.errno)
		    finally:
		        s.close()
		peer, evil = sys.argv[1:3]
		print(ask(peer), ask(evil), flush=True)
		os.unlink(os.environ["NETLEASH_POLICY"])
		print(ask(peer), ask(evil), flush=True)
		if len(sys.argv) == 3:
		    print("child", flush=True)
		    os.environ["NETLEASH_LOG"] = ""
		    subprocess.run([sys.executable, "-c", "import socket; socket.create_connection((%r, 9000))" % peer])
	END
	run -0 "${LEASH[@]}" NETLEASH_LOG= /usr/bin/python3 later.py "$LAB_PEER_ADDR" "$EVIL"
	echo "$output"
	grep -v '^netleash' <<< "$output" > said || true
	[ "$(head -2 said)" = $'connected Permission denied\nconnected Permission denied' ]
	[[ $output == *"every network call is refused: no usable policy: "* ]]
	[[ $output == *"PermissionError"* ]]
	lab unseen evil ''
}

@test "policy: no process to compile it with: refused with one line, and nothing else breaks" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to become somebody with a limit"
	need_another_user
	# Where everybody may read
	PUBLIC=$(mktemp -d /tmp/life.XXXXXX)
	chmod 755 "$PUBLIC"
	cp "$SHIM" "$NETLEASH" "$SNIP/run_from" "$POLICY" "$PUBLIC/"
	chmod -R a+rX "$PUBLIC"
	LEASH=(env -u XDG_RUNTIME_DIR "LD_PRELOAD=$PUBLIC/libnetleash.so" "NETLEASH_POLICY=$PUBLIC/plain.cfg" NETLEASH_LOG=)
	run setpriv --reuid 61234 --regid 61234 --clear-groups "${LEASH[@]}" \
		bash -c "ulimit -u 1; exec '$PUBLIC/run_from' main '$SNIP'"
	echo "$output"
	[ "$(grep -c 'every network call is refused: no usable policy: ' <<< "$output")" -eq 1 ]
	[[ $output == *"main: wrong a"* ]]
	# The same, but for the limit
	run -0 setpriv --reuid 61235 --regid 61235 --clear-groups "${LEASH[@]}" \
		bash -c "exec '$PUBLIC/run_from' main '$SNIP'"
	[[ $output == *"main: right"* ]]
	lab unseen evil ''
}

@test "policy: none, unreadable, faulty, a directory: refused with one line; the shell lives on" {
	mkdir directory
	echo 'domains = ;' > faulty.cfg
	for policy in "$PWD/missing.cfg" "$PWD/directory" "$PWD/faulty.cfg" ""; do
		run -0 env LD_PRELOAD="$SHIM" NETLEASH_POLICY="$policy" NETLEASH_LOG= \
			sh -c "true; ls / > /dev/null; '$SNIP/run_from' main '$SNIP'; echo alive"
		echo "$policy: $output"
		[[ $output == *"main: wrong a"*alive ]]
		[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
		[[ $output == *"every network call is refused: no usable policy: "* ]]
	done
	lab unseen packets "\"dport\":9000"
}

# ---------------------------------------------------------------------------- descriptors

@test "descriptors: the refusal goes to standard error only, never to what took its number" {
	run -0 "${LEASH[@]}" NETLEASH_LOG= "$SNIP/life_fd" socket
	[ "$output" = "number 2, verdict 0" ]
	lab saw peer "\"text\":\"the program's own\"" > /dev/null
	lab unseen peer 'netleash'
	run -0 "${LEASH[@]}" NETLEASH_LOG= "$SNIP/life_fd" file
	[ "$output" = "number 2, verdict 0" ]
	[ ! -s other ]
	# With the descriptor that it had, there are lines.
	run -0 "${LEASH[@]}" NETLEASH_LOG= "$SNIP/run_from" main "$SNIP"
	[[ $output == *"netleash: "* ]]
}

@test "descriptors: started without 0 to 2" {
	"${LEASH[@]}" NETLEASH_LOG= bash -c "exec '$SNIP/life_fd' closed 0<&- 1>&- 2>&-"
	cat said
	# What bats has open stays open, and is not more afterwards.
	[[ "$(cat said)" =~ ^open\ ([0-9]+)\ then\ ([0-9]+),\ number\ 0,\ verdict\ 0$ ]]
	[ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
}

@test "descriptors: every number closed, by close, closefrom and close_range" {
	run -0 "${LEASH[@]}" "$SNIP/life_fd" all
	[ "$output" = "verdict 0, bad 0" ]
}

@test "descriptors: a table that is full refuses, says so, and recovers" {
	run -0 "${LEASH[@]}" NETLEASH_LOG= timeout 60 "$SNIP/life_full"
	echo "$output" | grep -v '^netleash' > said
	cat said
	grep -qE '^[0-9]+, then (ENOBUFS|more)$' said
	grep -qx 'refused is refused: yes' said
	grep -qx done said
	[ "$(wc -l < said)" -eq 3 ]
	if grep -q ENOBUFS said; then
		grep -qE '^netleash: .* refused: ' <<< "$output"
	fi
}

@test "descriptors: numbers that are closed and given out again, by eight threads" {
	run -0 timeout 60 "$SNIP/life_storm" 1
	echo "without: $output"
	[ "${lines[-1]}" = bad ]		# nothing is refused there
	run -1 grep -E '^expectation (0|1|2|3|4|5|6|10|13):' <<< "$output"
	lab reset-logs
	run -0 timeout 60 "${LEASH[@]}" "$SNIP/life_storm" 3
	echo "with: $output"
	[ "$output" = good ]
	lab saw peer '"text":"storm"' > /dev/null
	lab unseen evil ''
}

# ---------------------------------------------------------------------------- fork

@test "fork: a threaded program forks a thousand times; each child asks at once" {
	run -0 timeout 120 "${LEASH[@]}" "$SNIP/life_fork" 1000
	[ "$output" = "forks 1000, bad 0, killed 0, threads right" ]
	lab unseen evil ''
}

@test "fork: what a vfork child closes, opens and connects changes nothing for its parent" {
	run -0 timeout 60 "${LEASH[@]}" "$SNIP/life_vfork"
	echo "$output"
	[ "$output" = "plain: EACCES
close: EACCES
close_range: EACCES
closefrom: EACCES
dup2: EACCES
write: EACCES
child's own file: written
connect: EACCES
posix_spawn: EACCES" ]
	lab unseen web '"event":"plaintext"'
	# Without the leash all of it is written.
	run -0 timeout 60 "$SNIP/life_vfork"
	[ "$(grep -c ': written$' <<< "$output")" -eq 9 ]
}
