#!/bin/bash
# SPDX-License-Identifier: MIT
# The linker's version script, from hooks.def.
#
#	gen-map.sh HOOKS.DEF		the version script
#	gen-map.sh --list HOOKS.DEF	one line per entry: KIND NAME,
#					of an ALIAS also OF, of a NODE also NODE IMPLEMENTATION
#
# Entries, over as many lines as they need:
#	HOOK(family, ret, name, params, args)	NEWER(...)	exports name
#	ALIAS(name, of)		STUB(name, "how")		exports name
#	NODE(name, node, implementation)	exports name@node, and not without a version
#	SKIP(name, "why")	exports nothing
# and from tls/tls.def beside it OPENSSL_HOOK(ret, name, params, args), GNUTLS_HOOK(...): exports name, of
# KIND TLS; OPENSSL_CALL, OPENSSL_MAY and GNUTLS_CALL export nothing
set -eu

usage() {
	echo "usage: gen-map.sh [--list] HOOKS.DEF" >&2
	exit 2
}

list=0
if [ "${1-}" = --list ]; then
	list=1
	shift
fi
[ $# -eq 1 ] || usage
def=$1
[ -r "$def" ] || { echo "gen-map.sh: $def: cannot be read" >&2; exit 1; }

# The compiler takes comments out and settles #if; the entries' own names stay as they are,
# whether or not the file gives them empty definitions of its own.
kinds="HOOK NEWER ALIAS STUB NODE SKIP OPENSSL_HOOK OPENSSL_CALL OPENSSL_MAY GNUTLS_HOOK GNUTLS_CALL"
defines=()
for kind in $kinds; do
	defines+=("-D$kind=$kind")
done
tls=$(dirname "$def")/tls/tls.def
[ -r "$tls" ] || tls=/dev/null
text=$(cat "$def" "$tls" | "${CC:-cc}" -E -P -x c "${defines[@]}" -) || {
	echo "gen-map.sh: $def: the preprocessor refused it" >&2
	exit 1
}

entries=$(printf '%s\n' "$text" | awk -v def="$def" -v kinds="$kinds" '
	function die(what) {
		print "gen-map.sh: " def ": " what > "/dev/stderr"
		failed = 1
		exit 1
	}
	function trim(s) {
		gsub(/[ \t\n]+/, " ", s)
		sub(/^ /, "", s)
		sub(/ $/, "", s)
		return s
	}
	function entry(kind, n,		name) {
		if (kind ~ /_(HOOK|CALL|MAY)$/) {
			name = arg[2]
			if (n != (kind ~ /_HOOK$/ ? 4 : 3))
				die(kind "(" name "): " n " arguments")
			if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/)
				die(kind ": \"" name "\" is no symbol")
			if (kind !~ /_HOOK$/)
				return
			if (name in seen)
				die(kind "(" name "): already a " seen[name])
			seen[name] = "TLS"
			print "TLS", name
			return
		}
		name = arg[kind == "HOOK" || kind == "NEWER" ? 3 : 1]
		if (n != (kind == "HOOK" || kind == "NEWER" ? 5 : kind == "NODE" ? 3 : 2))
			die(kind "(" name "): " n " arguments")
		if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/)
			die(kind ": \"" name "\" is no symbol")
		if ((kind == "SKIP" || kind == "STUB") && arg[2] !~ /^".+"$/)
			die(kind "(" name "): a reason in quotes is missing")
		if (kind == "NODE") {
			if ((name, arg[2]) in nodes)
				die("NODE(" name ", " arg[2] "): twice")
			nodes[name, arg[2]] = 1
			print kind, name, arg[2], arg[3]
			return
		}
		if (name in seen)
			die(kind "(" name "): already a " seen[name])
		seen[name] = kind
		if (kind == "ALIAS")
			of[name] = arg[2]
		print kind, name, kind == "ALIAS" ? arg[2] : ""
	}
	BEGIN {
		split(kinds, list, " ")
		for (i in list)
			known[list[i]] = 1
	}
	{ text = text $0 "\n" }
	END {
		if (failed)
			exit 1
		while (match(text, /[^ \t\n;]/)) {
			text = substr(text, RSTART)
			if (!match(text, /^[A-Za-z_][A-Za-z0-9_]*[ \t\n]*\(/))
				die("not an entry: " substr(text, 1, 40))
			kind = substr(text, 1, RLENGTH - 1)
			sub(/[ \t\n]+$/, "", kind)
			text = substr(text, RLENGTH + 1)
			if (!(kind in known))
				die(kind "(): no such kind of entry")
			depth = 1
			quoted = 0
			n = 1
			arg[1] = ""
			len = length(text)
			for (i = 1; i <= len && depth; i++) {
				c = substr(text, i, 1)
				if (quoted) {
					if (c == "\\") {
						arg[n] = arg[n] c
						c = substr(text, ++i, 1)
					} else if (c == "\"") {
						quoted = 0
					}
				} else if (c == "\"") {
					quoted = 1
				} else if (c == "(" || c == "[" || c == "{") {
					depth++
				} else if (c == ")" || c == "]" || c == "}") {
					depth--
				} else if (c == "," && depth == 1) {
					arg[++n] = ""
					continue
				}
				if (depth)
					arg[n] = arg[n] c
			}
			if (depth)
				die(kind "(" trim(arg[1]) ": no closing parenthesis")
			text = substr(text, i)
			for (i = 1; i <= n; i++)
				arg[i] = trim(arg[i])
			entry(kind, n)
		}
		for (name in of)
			if (!(seen[of[name]] ~ /^(HOOK|NEWER|STUB)$/))
				die("ALIAS(" name ", " of[name] "): that is no HOOK")
	}') || exit 1

if [ "$list" = 1 ]; then
	printf '%s\n' "$entries"
	exit 0
fi

names=$(printf '%s\n' "$entries" | awk '
	$1 == "NODE" { versioned[$2] = 1 }
	$1 == "HOOK" || $1 == "NEWER" || $1 == "ALIAS" || $1 == "STUB" || $1 == "TLS" { name[++n] = $2 }
	END {
		for (i = 1; i <= n; i++)
			if (!(name[i] in versioned))
				print name[i]
	}' | LC_ALL=C sort)
if [ -e "$(dirname "$def")/netleash.h" ]; then
	names="$names
netleash_set_timeout
netleash_set_background"
fi
nodes=$(printf '%s\n' "$entries" | awk '$1 == "NODE" { print $3 }' | sort -u -V)

if [ -z "$nodes" ]; then
	echo "{"
	echo "global:"
	printf '%s\n' "$names" | sed '/^$/d; s/.*/\t&;/'
	echo "local:"
	printf '\t*;\n};\n'
	exit 0
fi

# An anonymous version cannot stand beside named ones, and "local: *" in a named one would
# hide the hooks without a version. So these are exported by their visibility, everything
# else is hidden by it, and check-hooks.sh looks whether that is what came out.
before=
impls=$(printf '%s\n' "$entries" | awk '$1 == "NODE" { print $4 }' | LC_ALL=C sort -u)
for node in $nodes; do
	echo "$node {"
	if [ -z "$before" ]; then
		echo "local:"
		printf '\tleash_*; _end; _edata; __bss_start;\n'
		printf '%s\n' "$impls" | sed 's/.*/\t&;/'
	fi
	echo "}${before:+ $before};"
	before=$node
done
