#!/bin/bash
# SPDX-License-Identifier: MIT
# Who includes whom, because nobody sees that by eye; and what the pure parts call.
# An arrow is changed in the table below and in shim/ARCHITECTURE.md, in one commit.
#
#	check-layers.sh [TREE]		TREE: where policy/ and shim/ are, else this one
#	check-layers.sh --self-test	does it find what it is there for?
#
# B names the build directory whose objects are looked at (else build).
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)

# LAYER: what its files may include with "", by directory or file. The first layer whose
# path fits is the one of a file, so the deeper ones come first.
#
# abi.h is below everything: names of environment variables and the session's page.
# launch/ asks core/carry.h whether a program can carry the shim; both do without a process.
layers() {
	cat <<'TABLE'
policy/compile/		policy/
policy/			policy/*.h policy/*.def
shim/wire/		shim/wire/
shim/http/		shim/http/ shim/wire/
shim/core/		shim/core/ shim/hooks.def shim/abi.h
shim/events/emit.c	shim/events/ shim/core/ shim/abi.h policy/policy.h
shim/events/emit.h	shim/events/ shim/core/ shim/abi.h policy/policy.h
shim/events/		shim/events/ policy/policy.h
shim/life/		shim/life/ shim/core/ shim/abi.h
shim/conn/		shim/conn/ shim/core/ shim/events/ shim/life/ shim/wire/ shim/http/ shim/abi.h shim/netleash.h policy/policy.h shim/tls/verifier/verifier.h
shim/hooks/		shim/hooks/ shim/conn/ shim/core/ shim/hooks.def shim/abi.h shim/netleash.h
shim/tls/verifier/	shim/tls/verifier/
shim/tls/		shim/tls/*.h shim/tls/*.def shim/conn/ shim/core/ shim/abi.h
shim/launch/		shim/launch/ shim/abi.h policy/ shim/wire/ shim/events/event.h shim/events/line.h shim/tls/verifier/verifier.h shim/core/carry.h shim/core/sys.h
shim/			shim/abi.h
TABLE
}

# LAYER: "only" and the system headers it may include, or "not" and those it may not.
# assert.h is for static_assert; that nothing calls assert() the objects show.
systems() {
	cat <<'TABLE'
policy/compile/		not	sys/socket.h netdb.h netinet/* net/* linux/* resolv.h poll.h sys/epoll.h pthread.h threads.h openssl/*
policy/			only	stdint.h stdbool.h stddef.h string.h errno.h limits.h assert.h arpa/inet.h
shim/wire/		only	stdint.h stdbool.h stddef.h string.h errno.h limits.h assert.h sys/types.h
shim/http/charset.c	only	stdint.h stdbool.h stddef.h string.h errno.h limits.h assert.h sys/types.h iconv.h
shim/http/		only	stdint.h stdbool.h stddef.h string.h errno.h limits.h assert.h sys/types.h
shim/events/line.c	only	stdint.h stdbool.h stddef.h string.h errno.h limits.h assert.h
shim/tls/verifier/	not	libconfig.h jansson.h
shim/launch/		not	-
shim/			not	openssl/* libconfig.h jansson.h idn2.h gnutls/*
TABLE
}

# LAYER of the first column that holds $2; table on standard input. Sets row, or returns 1
find_row() {
	local layer rest

	while IFS=$'\t' read -r layer rest; do
		case $1 in
		"$layer"*)
			row=$rest
			return 0
			;;
		esac
	done
	return 1
}

# $1 is a file; $2 ... are directories (with a slash at the end), files or patterns
allowed() {
	local file=$1 one
	shift
	for one; do
		case $one in
		*/)
			case $file in "$one"*) return 0 ;; esac
			;;
		*'*'*)
			# a star does not go down into directories
			# shellcheck disable=SC2254
			case $file in
			${one%\**}*/*) [ "${one#*\*}" = "" ] && return 0 ;;
			$one) return 0 ;;
			esac
			;;
		*)
			[ "$file" = "$one" ] && return 0
			;;
		esac
	done
	return 1
}

# a/b/../c and ./c without dots
normal() {
	local path=$1/ out='' part

	while [ -n "$path" ]; do
		part=${path%%/*}
		path=${path#*/}
		case $part in
		'' | .) ;;
		..) case $out in */*) out=${out%/*} ;; *) out='' ;; esac ;;
		*) out=${out:+$out/}$part ;;
		esac
	done
	printf '%s' "$out"
}

findings=0
found() {
	printf '%s\n' "$*"
	findings=$((findings + 1))
}

check_include() {
	local file=$1 line=$2 kind=$3 name=$4 target row words=()

	if [ "$kind" = '<' ]; then
		find_row "$file" < <(systems | tr -s '\t') || return 0
		read -ra words <<< "$row"
		if [ "${words[0]}" = only ] && ! allowed "$name" "${words[@]:1}"; then
			found "$file:$line: <$name>: this layer is pure, it may use ${words[*]:1}"
		elif [ "${words[0]}" = not ] && allowed "$name" "${words[@]:1}"; then
			found "$file:$line: <$name>: not in this layer"
		fi
		return 0
	fi
	target=$(normal "$(dirname "$file")/$name")
	[ -e "$target" ] || target=$(normal "$name")
	if [ ! -e "$target" ]; then
		found "$file:$line: \"$name\": no such file, from here or from the top"
		return 0
	fi
	if ! find_row "$file" < <(layers | tr -s '\t'); then
		found "$file:$line: in no layer that the table knows"
		return 0
	fi
	read -ra words <<< "$row"
	allowed "$target" "${words[@]}" ||
		found "$file:$line: \"$name\" ($target): may include $row"
}

check_includes() {
	local file line kind name text

	while IFS=: read -r file line text; do
		# the text is an #include; what it names stands between its delimiters
		case $text in
		*'<'*'>'*) kind='<' name=${text#*<} name=${name%%>*} ;;
		*'"'*'"'*) kind='"' name=${text#*\"} name=${name%%\"*} ;;
		*)
			found "$file:$line: an #include that cannot be read: $text"
			continue
			;;
		esac
		check_include "$file" "$line" "$kind" "$name"
	done < <(find policy shim -name '*.[chS]' -o -name '*.def' 2>/dev/null | sort |
		xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include')
}

# What pure objects may leave to others: themselves, the memory and string functions, and what
# the compiler adds by itself.
pure='^(leash_[a-z0-9_]+|mem(cpy|move|set|cmp|chr|rchr|mem)|(raw)?memchr|str(n?len|n?cmp|chr|chrnul|rchr|spn|cspn|pbrk|str|nstr|ncpy)|bcmp|bsearch|inet_(pton|ntop)|__stack_chk_(fail|guard)|_GLOBAL_OFFSET_TABLE_|_Unwind_Resume|__gcc_personality_v0|__(asan|ubsan|tsan|sanitizer|gcov|llvm)_?[A-Za-z0-9_]*|_?__?tsan_[a-z0-9_]*)$'

check_objects() {
	local build=$1 object source symbol section size

	[ -d "$build" ] || return 0
	while read -r object; do
		source=${object#"$build"/}
		source=${source#*/}
		while read -r symbol; do
			[[ $symbol =~ $pure ]] || found "$object: calls $symbol: this part is pure"
		done < <(nm -u "$object" | awk '{ print $NF }')
		# Sanitizers and coverage put their own data there.
		nm "$object" | grep -qE '(asan|tsan|ubsan|gcov)' && continue
		while read -r section size; do
			[ "$size" -eq 0 ] || found "$object: $size bytes of $section: this part has no state"
		done < <(size -A "$object" | awk '$1 ~ /^\.(t?data|t?bss)(\.|$)/ && $1 !~ /^\.data\.rel\.ro/ { print $1, $2 }')
	done < <(find "$build" -name '*.o' \( -path '*/obj/policy/*' -o -path '*/pic/policy/*' -o \
		-path '*/shim/wire/*' -o -path '*/shim/http/*' -o -path '*/shim/events/line.o' \) \
		-not -path '*/policy/compile/*' -not -path '*/shim/http/charset.o' | sort)
}

check_tree() {
	local tree=$1 build=$2

	cd "$tree"
	check_includes
	check_objects "$build"
	if [ "$findings" -gt 0 ]; then
		echo "layers: $findings violations"
		return 1
	fi
	echo "layers: ok"
}

# ---- self-test: a tree with one fault at a time

self_test() {
	local tree failed=0 tested=0

	tree=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$tree'" EXIT
	mkdir -p "$tree"/policy/compile "$tree"/shim/{wire,http,core,events,life,conn,hooks,tls/verifier,launch}
	for file in policy/policy.h policy/image.h policy/reason.def policy/compile/compile.h shim/abi.h \
		shim/hooks.def shim/wire/cursor.h shim/core/carry.h shim/core/real.h shim/events/event.h \
		shim/events/emit.h shim/life/registry.h shim/conn/conn.h shim/hooks/hook.h \
		shim/tls/pump.h shim/tls/verifier/verifier.h shim/http/body.h shim/launch/launch.h; do
		: > "$tree/$file"
	done

	# one FILE that includes one thing: is it let through (ok) or found (bad)?
	try() {
		local want=$1 file=$2 include=$3 got=ok out

		printf '/* one line */\n#include %s\n' "$include" > "$tree/$file"
		out=$("$here/check-layers.sh" "$tree" 2>&1) || got=bad
		rm -f "${tree:?}/$file"
		tested=$((tested + 1))
		if [ "$got" != "$want" ]; then
			echo "layers: self-test: $file with $include: $got instead of $want: $out"
			failed=$((failed + 1))
		elif [ "$want" = bad ] && [[ $out != "$file:2: "* ]]; then
			echo "layers: self-test: $file with $include: the place is missing: $out"
			failed=$((failed + 1))
		fi
	}
	try ok policy/x.c '"policy.h"'
	try ok policy/x.c '"policy/image.h"'
	try ok policy/x.c '<stdint.h>'
	try ok policy/compile/x.c '"../policy.h"'
	try ok policy/compile/x.c '<stdlib.h>'
	try ok shim/wire/x.c '<sys/types.h>'
	try ok shim/events/emit.c '"shim/core/real.h"'
	try ok shim/conn/x.c '"policy/policy.h"'
	try ok shim/conn/x.c '"shim/tls/verifier/verifier.h"'
	try ok shim/hooks/x.c '"shim/conn/conn.h"'
	try ok shim/core/x.c '"../hooks.def"'
	try ok shim/core/x.c '<sys/socket.h>'
	try ok shim/http/charset.c '<iconv.h>'
	try ok shim/tls/verifier/x.c '<openssl/x509.h>'
	try ok shim/launch/x.c '"policy/compile/compile.h"'
	try ok shim/launch/x.c '"shim/core/carry.h"'
	try bad policy/x.c '"shim/abi.h"'
	try bad policy/x.c '"../shim/wire/cursor.h"'
	try bad policy/x.c '"compile/compile.h"'
	try bad policy/x.c '<stdlib.h>'
	try bad policy/x.c '<stdio.h>'
	try bad policy/x.c '<sys/socket.h>'
	try bad policy/x.c '<pthread.h>'
	try bad policy/x.c '"missing.h"'
	try bad policy/compile/x.c '"shim/abi.h"'
	try bad policy/compile/x.c '<netdb.h>'
	try bad policy/compile/x.c '<netinet/in.h>'
	try bad shim/wire/x.c '"policy/policy.h"'
	try bad shim/wire/x.c '<sys/socket.h>'
	try bad shim/wire/x.c '<stdlib.h>'
	try bad shim/wire/x.h '<stdio.h>'
	try bad shim/http/x.c '<iconv.h>'
	try bad shim/http/x.c '"policy/policy.h"'
	try bad shim/core/x.c '"policy/policy.h"'
	try bad shim/core/x.c '"shim/conn/conn.h"'
	try bad shim/core/x.c '<openssl/ssl.h>'
	try bad shim/events/line.c '"shim/core/real.h"'
	try bad shim/events/line.c '<stdio.h>'
	try bad shim/events/emit.c '"policy/image.h"'
	try bad shim/life/x.c '"shim/wire/cursor.h"'
	try bad shim/conn/x.c '"policy/image.h"'
	try bad shim/conn/x.c '"shim/hooks/hook.h"'
	try bad shim/conn/x.c '"shim/tls/pump.h"'
	try bad shim/hooks/x.c '"policy/policy.h"'
	try bad shim/hooks/x.c '"shim/wire/cursor.h"'
	try bad shim/hooks/x.c '"shim/life/registry.h"'
	try bad shim/hooks/x.c '"shim/tls/pump.h"'
	try bad shim/hooks/x.S '"policy/policy.h"'
	try bad shim/tls/x.c '"shim/tls/verifier/verifier.h"'
	try bad shim/tls/x.c '"shim/hooks/hook.h"'
	try bad shim/tls/verifier/x.c '"shim/abi.h"'
	try bad shim/launch/x.c '"shim/conn/conn.h"'
	try bad shim/launch/x.c '"shim/core/real.h"'
	try bad shim/other.c '"shim/core/real.h"'

	# objects: one that calls what it must not, one that keeps state
	object() {
		local want=$1 path=$2 code=$3 got=ok out

		mkdir -p "$tree/build/obj/$(dirname "$path")"
		printf '%s\n' "$code" | ${CC:-cc} -w -O1 -x c -c -o "$tree/build/obj/$path" -
		out=$("$here/check-layers.sh" "$tree" 2>&1) || got=bad
		rm -rf "$tree/build"
		tested=$((tested + 1))
		if [ "$got" != "$want" ]; then
			echo "layers: self-test: object $path, $code: $got instead of $want: $out"
			failed=$((failed + 1))
		fi
	}
	object ok policy/x.o 'unsigned long strlen(const char *); int leash_f(char *s) { return strlen(s); }'
	object ok policy/compile/x.o 'void *malloc(long); void *leash_f(void) { return malloc(7); }'
	object ok policy/x.o 'const char *const leash_t[2] = {"a", "b"};'
	object bad policy/x.o 'void *malloc(long); void *leash_f(void) { return malloc(7); }'
	object bad shim/wire/x.o 'int socket(int, int, int); int leash_f(void) { return socket(1, 1, 0); }'
	object bad shim/wire/x.o 'int printf(const char *, ...); int leash_f(int a) { return printf("%d", a); }'
	object bad shim/events/line.o 'extern int leash_x; int getenv(const char *); int leash_f(void) { return getenv("x"); }'
	object bad policy/x.o 'int leash_state; '
	object bad policy/x.o 'static int state = 4; int leash_f(void) { return state++; }'

	echo "layers: self-test: $((tested - failed)) passed, $failed failed"
	[ "$failed" -eq 0 ]
}

case ${1-} in
--self-test)
	unset B
	self_test
	;;
-*)
	echo "usage: check-layers.sh [TREE | --self-test]" >&2
	exit 2
	;;
*)
	check_tree "${1:-$here/..}" "${B:-build}"
	;;
esac
