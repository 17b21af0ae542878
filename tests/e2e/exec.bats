#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The leash stays on the children (hooks.md X1-X5, P3, R5).
# bats 1.8; needs the shared object and the snippets: make all snips

bats_require_minimum_version 1.5.0
load user

setup() {
	BUILD=$(cd "${NETLEASH_BUILD:-$BATS_TEST_DIRNAME/../../build}" && pwd)
	SHIM=$BUILD/libnetleash.so
	SNIP=$BUILD/snip
	POLICY=$BATS_TEST_TMPDIR/policy.cfg	# never read: nothing here asks about a network
	PATH=$SNIP:$PATH
	cd "$BATS_TEST_TMPDIR" || exit
}

teardown() {
	[ -z "${dir-}" ] || rm -rf "$dir"
}

# A program with the shim, and nothing else of ours in its environment.
leashed() {
	env -u NETLEASH_BUILD "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$POLICY" "$@"
}

# What exec_child printed: both are there, exactly once, and nothing of anybody else's.
carries() {
	[ "$(grep -c '^LD_PRELOAD=' <<< "$output")" -eq 1 ]
	[ "$(grep '^NETLEASH_' <<< "$output")" = "NETLEASH_POLICY=$POLICY" ]
	grep -q "^LD_PRELOAD=$SHIM\(:.*\)\?$" <<< "$output"
}

@test "every form hands the leash on, whatever environment it is given" {
	for form in execve execv execvp execvpe execl execle execlp fexecve execveat memfd \
			fork:execve fork:execvp fork:execl fork:fexecve \
			posix_spawn posix_spawnp system popen _IO_popen wordexp; do
		for environment in normal empty null few twice unset edited cleared; do
			# Where libc wants one: EINVAL, as without us.
			case $form:$environment in
			*fexecve:null | memfd:null | *fexecve:cleared | memfd:cleared)
				run -222 leashed exec_forms "$form" "$environment" "$SNIP/exec_child"
				continue ;;
			esac
			# These find their program in PATH, which an empty environment has not.
			case $form:$environment in
			*execvp:empty | *execvp:null | *execvp:few | *execvp:twice | *execvp:cleared | \
			execlp:empty | execlp:null | execlp:few | execlp:twice | execlp:cleared | \
			execvpe:cleared | posix_spawnp:cleared)
				run -202 leashed exec_forms "$form" "$environment" "$SNIP/exec_child"
				continue ;;
			esac
			echo "$form, $environment:"
			run -0 leashed exec_forms "$form" "$environment" "$SNIP/exec_child"
			echo "$output"
			carries
			[[ $output == *"argv[1]=one"*"argv[2]=two words"* ]]
		done
	done
}

@test "the caller's other preloads stay, in order, without us and without repeats of us" {
	run -0 leashed exec_forms execve twice "$SNIP/exec_child"
	[[ $output == *"LD_PRELOAD=$SHIM:libdl.so.2:libpthread.so.0"* ]]
	[[ $output == *"others=1"* ]]
	run -0 leashed exec_forms system edited "$SNIP/exec_child"
	[[ $output == *"LD_PRELOAD=$SHIM:libm.so.6"* ]]
}

@test "an environment that is right is passed as it is" {
	# A space is what the user wrote; ours would be a colon.
	run -0 env -u NETLEASH_BUILD "LD_PRELOAD=$SHIM libm.so.6" "NETLEASH_POLICY=$POLICY" \
		exec_forms execve normal "$SNIP/exec_child"
	[[ $output == *"LD_PRELOAD=$SHIM libm.so.6"* ]]
	# The array itself: its address is what the kernel is given.
	command -v strace > /dev/null || skip "needs strace"
	run -0 leashed strace -f -e trace=execve -e raw=execve -o trace exec_forms execve normal "$SNIP/exec_child"
	output=$(grep -o 'environ=0x[0-9a-f]*' <<< "$output" | cut -d= -f2)
	[ -n "$output" ]
	grep -q "execve(.*, $output)" trace
	run -0 leashed strace -f -e trace=execve -e raw=execve -o trace exec_forms execve few "$SNIP/exec_child"
	output=$(grep -o 'environ=0x[0-9a-f]*' <<< "$output" | cut -d= -f2)
	[ -n "$output" ]
	! grep -q "execve(.*, $output)" trace
}

@test "variables are made absolute once, and follow no chdir" {
	mkdir -p sub
	run -0 env "LD_PRELOAD=$SHIM" NETLEASH_POLICY=./p.cfg sh -c 'cd sub; exec exec_child'
	[[ $output == *"NETLEASH_POLICY=$BATS_TEST_TMPDIR/p.cfg"* ]]
}

@test "shells, make and languages cannot drop it" {
	for program in \
		"env -i $SNIP/exec_child" \
		"env -i /bin/sh -c $SNIP/exec_child" \
		"env -u LD_PRELOAD -u NETLEASH_POLICY $SNIP/exec_child" \
		"env LD_PRELOAD= NETLEASH_POLICY=/theirs NETLEASH_IMAGE=/theirs $SNIP/exec_child" \
		"unset LD_PRELOAD NETLEASH_POLICY; exec $SNIP/exec_child" \
		"LD_PRELOAD= $SNIP/exec_child; true" \
		"exec -c $SNIP/exec_child" \
		"xargs -I{} env -i $SNIP/exec_child < /etc/hostname" \
		"find /etc/hostname -exec env -i $SNIP/exec_child ';'" \
		"nice nohup setsid -w timeout 5 env - $SNIP/exec_child"; do
		echo "$program"
		run -0 leashed bash -c "$program"
		echo "$output"
		carries
	done
	printf 'unexport LD_PRELOAD\nall:\n\t@env -i %s\n' "$SNIP/exec_child" > Makefile
	run -0 leashed make -s
	carries
}

@test "python: every kind of subprocess" {
	# The interpreter itself: a wrapper script of a version manager would do a lot besides.
	python=$(python3 -c 'import sys; print(sys.executable)') || skip "no python3"
	for call in \
		"subprocess.run([p])" \
		"subprocess.run([p], env={})" \
		"subprocess.run([p], env={}, close_fds=False)" \
		"subprocess.run([p], env={}, preexec_fn=lambda: None)" \
		"subprocess.run(p, shell=True, env={'PATH': '/bin'})" \
		"os.environ.clear(); os.system(p)" \
		"os.waitpid(os.posix_spawn(p, [p], {}), 0)" \
		"os.execve(p, [p], {})" \
		"os.execve(os.open(p, os.O_RDONLY), [p], {})" \
		"os.execvpe(p, [p], {})"; do
		echo "$call"
		run -0 leashed "$python" -c "import os, subprocess; p = '$SNIP/exec_child'; $call"
		echo "$output"
		carries
	done
}

@test "perl and ruby" {
	for program in "perl -e 'delete \$ENV{LD_PRELOAD}; %ENV = (); system(q($SNIP/exec_child))'" \
		"perl -e '%ENV = (); print \`$SNIP/exec_child; true\`'" \
		"ruby -e 'ENV.clear; system(\"$SNIP/exec_child\")'" \
		"ruby -e 'exec({}, \"$SNIP/exec_child\", unsetenv_others: true)'"; do
		command -v "${program%% *}" > /dev/null || continue
		echo "$program"
		run -0 leashed bash -c "$program"
		echo "$output"
		carries
	done
}

@test "100,000 variables in a child of vfork: handed on, and the parent's are unchanged" {
	run -0 leashed exec_many 100000 "$SNIP/exec_child"
	carries
	[[ $output == *"others=100000"*"mine unchanged"* ]]
	# No room for one more: E2BIG is the kernel's to say, with and without us.
	run -0 exec_many 300000 "$SNIP/exec_child"
	[ "$output" = $'Argument list too long\nmine unchanged' ]
	run -0 leashed exec_many 300000 "$SNIP/exec_child"
	[ "$output" = $'Argument list too long\nmine unchanged' ]
}

@test "at the edge of what the kernel takes, ours is what does not fit, and it is said" {
	# The largest count that goes without us, by halving.
	low=100000 high=300000
	while [ $((high - low)) -gt 1 ]; do
		middle=$(((low + high) / 2))
		case $(exec_many $middle "$SNIP/exec_child") in
		*others=*) low=$middle ;;
		*) high=$middle ;;
		esac
	done
	run -0 leashed exec_many $low "$SNIP/exec_child"
	[[ $output == *"Argument list too long"* ]]
	run -0 leashed exec_many $((low - 100)) "$SNIP/exec_child"
	carries
}

@test "what fails, fails as without netleash" {
	mkdir -p plain with
	run exec_odd plain
	expected=$output status_expected=$status
	run leashed exec_odd with
	diff <(echo "$expected") <(echo "$output")
	[ "$status" -eq "$status_expected" ]
	[ "$status" -eq 0 ]
}

@test "300 nested execs: no descriptor more" {
	run -0 "$SNIP/exec_nested" 0 "$SNIP/exec_child"
	before=$(grep ^fds= <<< "$output")
	run -0 leashed "$SNIP/exec_nested" 300 "$SNIP/exec_child"
	carries
	# fexecve() of the snippet leaves none: what it opens is close-on-exec
	[ "$(grep ^fds= <<< "$output")" = "$before" ]
}

@test "a small stack is enough: a minimal thread, a signal handler on 8 KiB" {
	run -0 leashed exec_small "$SNIP/exec_child"
	[ "$(grep -c "^LD_PRELOAD=$SHIM$" <<< "$output")" -eq 8 ]
	[ "$(grep -c "^NETLEASH_POLICY=$POLICY$" <<< "$output")" -eq 8 ]
	[[ $output != *status* ]]
}

refusal() {
	[ "$(grep -c '^netleash: ' <<< "$output")" -eq 1 ]
	[[ $output == *"netleash: refused exec of $1"* ]]
}

@test "a static program is refused with one line" {
	run -126 leashed bash -c "exec $SNIP/exec_static"
	refusal "$SNIP/exec_static: it is linked statically and cannot carry the policy"
	[[ $output != *"static ran"* ]]
	for form in execve execv execvp execvpe execl execle execlp fexecve execveat memfd \
			fork:execve posix_spawn posix_spawnp; do
		echo "$form"
		run -213 --separate-stderr leashed exec_forms "$form" normal "$SNIP/exec_static"
		output=$stderr
		case $form in
		execveat) refusal "${SNIP#/}/exec_static: it is linked statically" ;;
		fexecve | memfd) refusal "a descriptor: it is linked statically" ;;
		*) refusal "$SNIP/exec_static: it is linked statically" ;;
		esac
	done
	# inside the shell that these start; that of wordexp() has no standard error
	for form in system popen wordexp; do
		run leashed exec_forms "$form" normal "$SNIP/exec_static"
		[ "$form" = wordexp ] || refusal "$SNIP/exec_static: it is linked statically"
		[[ $output != *"static ran"* ]]
	done
	run -0 exec_static
}

@test "NETLEASH_LOG=quiet refuses without the line" {
	run -126 env "LD_PRELOAD=$SHIM" NETLEASH_LOG=quiet bash -c "exec $SNIP/exec_static"
	[[ $output != *netleash:* ]]
}

@test "a relative path and a directory of PATH are found as libc finds them" {
	mkdir -p first second
	cp "$SNIP/exec_static" first/tool
	cp "$SNIP/exec_child" second/tool
	run -126 leashed env first/tool
	refusal "first/tool: it is linked"
	run -126 leashed env PATH=first:second:/bin tool
	refusal "first/tool: it is linked"
	chmod -x first/tool
	run -0 leashed env PATH=first:second:/bin tool
	carries
	# an empty element is the current directory
	cp "$SNIP/exec_static" tool
	run -126 leashed env PATH=:second:/bin tool
	refusal "tool: it is linked"
}

@test "another libc, another class, another machine" {
	run -126 leashed bash -c "exec $SNIP/exec_foreign"
	refusal "$SNIP/exec_foreign: it uses another C library than this glibc (/lib/ld-musl-x86_64.so.1)"
	if command -v musl-gcc > /dev/null; then
		echo 'int main(void) { return 0; }' > musl.c
		musl-gcc -o musl musl.c
		./musl
		run -126 leashed env ./musl
		refusal "./musl: it uses another C library"
	fi
	# ELF headers alone: the check ends before the rest
	{ printf '\177ELF\001\001\001'; head -c 249 /dev/zero; } > class
	{ printf '\177ELF\002\001\001'; head -c 9 /dev/zero; printf '\002\000\363\000'; head -c 236 /dev/zero; } > machine
	chmod +x class machine
	run -126 leashed env ./class
	refusal "./class: it is a 32-bit program"
	run -126 leashed env ./machine
	refusal "./machine: it is built for another processor"
}

@test "a script is what its interpreter is" {
	printf '#!%s\n' "$SNIP/exec_static" > script
	printf '#!%s\n' "$BATS_TEST_TMPDIR/script" > chain
	printf '#!%s\n' "$SNIP/exec_child" > good
	printf 'exec_child\n' > bare
	chmod +x script chain good bare
	run -126 leashed env ./script
	refusal "./script, a script for $SNIP/exec_static: it is linked statically"
	run -126 leashed env ./chain
	refusal "./chain, a script for $SNIP/exec_static: it is linked statically"
	run -0 leashed env ./good
	carries
	run -0 leashed env -i "PATH=$PATH" ./bare
	carries
	# A long path is cut in front, the reason stays.
	long=$BATS_TEST_TMPDIR/$(printf 'd%.0s' {1..200})
	mkdir "$long"
	cp "$SNIP/exec_static" "$long/tool"
	run -126 leashed env "$long/tool"
	[[ $output == *"netleash: refused exec of …"*"d/tool: it is linked statically and cannot carry the policy; run it outside"* ]]
}

@test "a refused exec is an event, also from a child of vfork" {
	for form in execve fork:execve posix_spawn; do
		rm -f events
		NETLEASH_LOG=quiet NETLEASH_EVENTS=$PWD/events run leashed exec_forms "$form" normal "$SNIP/exec_static"
		[[ $output != *netleash:* ]]
		[ "$(wc -l < events)" -eq 1 ]
		python3 -c 'import json, sys
e = json.loads(open("events").read())
assert e["event"] == "refused" and e["verdict"] == "refused" and e["call"] == "exec" and e["rule"] == "exec", e
assert e["reason"] == "unjudged" and e["errno"] == 13 and e["errMsg"] and e["detail"].endswith("/exec_static"), e
assert "it is linked statically" in e["hint"] and e["exe"].endswith("/exec_forms"), e'
	done
	rm -f events
	NETLEASH_EVENTS=$PWD/events run -0 leashed exec_forms execve normal "$SNIP/exec_child"
	[ ! -e events ]
}

@test "a set-uid program is refused to a user, and carried by root and under no_new_privs" {
	[ "$(id -u)" -eq 0 ] || skip "makes a set-uid file: needs root"
	command -v setpriv > /dev/null || skip "needs setpriv"
	need_another_user
	dir=$(mktemp -d /tmp/netleash-exec.XXXXXX)	# where the user may look, unlike bats' own
	chmod 755 "$dir"
	cp "$SHIM" "$dir/libnetleash.so"
	cp "$SNIP/exec_child" "$dir/tool"
	chmod 4755 "$dir/tool"
	SHIM=$dir/libnetleash.so
	run -0 leashed "$dir/tool"
	carries
	run -126 leashed setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "exec $dir/tool"
	refusal "$dir/tool: it starts with other privileges"
	run -0 leashed setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs sh -c "exec $dir/tool"
	carries
	# May be executed, not read: nothing is known of it.
	chmod 0711 "$dir/tool"
	run -126 leashed setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "exec $dir/tool"
	refusal "$dir/tool: it cannot be read"
}

@test "audit: the line says would, the program runs" {
	echo 'mode = "audit";' > audit.cfg
	"$BUILD/netleash" compile-image "$PWD/audit.cfg" - - 3> image
	run -0 env "LD_PRELOAD=$SHIM" "NETLEASH_IMAGE=$PWD/image" bash -c "exec $SNIP/exec_static"
	[[ $output == *"netleash: would refuse exec of $SNIP/exec_static: it is linked statically"* ]]
	[[ $output == *"static ran"* ]]
	echo 'mode = "enforce";' > policy.cfg
	"$BUILD/netleash" compile-image "$PWD/policy.cfg" - - 3> image
	run -126 env "LD_PRELOAD=$SHIM" "NETLEASH_IMAGE=$PWD/image" bash -c "exec $SNIP/exec_static"
	refusal "$SNIP/exec_static"
}

@test "a sanitizer's runtime stays first, and is not handed on to programs without it" {
	[ -x "$SNIP/exec_asan" ] || skip "no sanitized snippet"
	export ASAN_OPTIONS=detect_leaks=0
	# clang links it into the program, gcc leaves it in an object
	runtime=$(readelf -d "$SNIP/exec_asan" | grep -o 'lib[a-z_.]*asan[^]]*') || true
	run -0 leashed env "$SNIP/exec_asan" "$SNIP/exec_child"
	[ "${lines[0]}" = "asan: LD_PRELOAD=${runtime:+$runtime::}$SHIM" ]
	output=$(tail -n +2 <<< "$output")
	carries
}

@test "posix_spawn of old programs runs a script without #!, that of new ones does not" {
	[ "$(uname -m)" = x86_64 ] || skip "one node on this machine"
	nm -D "$SHIM" | grep -q 'posix_spawn@GLIBC_2.2.5' || skip "built without the two nodes"
	printf '%s $1\n' "$SNIP/exec_child" > script
	chmod +x script
	run -0 exec_oldspawn "$PWD/script"
	without=$(grep -v '^LD_\|^NETLEASH_\|^others' <<< "$output")
	run -0 leashed exec_oldspawn "$PWD/script"
	[ "$(grep -v '^LD_\|^NETLEASH_\|^others' <<< "$output")" = "$without" ]
	[ "$(grep -c "^LD_PRELOAD=$SHIM" <<< "$output")" -eq 2 ]
	[ "$(grep -c 'new: Exec format error' <<< "$output")" -eq 2 ]
}
