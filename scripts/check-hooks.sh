#!/bin/bash
# SPDX-License-Identifier: MIT
# What the shared object exports and imports, against hooks.def and against this libc
# (hooks.md T1). Nothing is run; a new glibc fails here until somebody has looked.
#
#	check-hooks.sh [LIBNETLEASH.SO [HOOKS.DEF]]	build/libnetleash.so, made if it is not there
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -gt 2 ]; then
	echo "usage: check-hooks.sh [SO [HOOKS.DEF]]" >&2
	exit 2
fi
so=${1:-$here/../build/libnetleash.so}
if [ $# -eq 0 ]; then
	make -s -j"$(nproc)" -C "$here/.." build/libnetleash.so >&2
fi
def=${2:-$here/../shim/hooks.def}
[ -r "$so" ] || { echo "check-hooks.sh: $so: cannot be read" >&2; exit 1; }
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
findings=$tmp/findings
: > "$findings"
# each line of standard input, behind what is wrong with it
found() {
	sed "s|^|hooks: $1: |" >> "$findings"
}

"$here/gen-map.sh" --list "$def" > "$tmp/entries"
awk '$1 ~ /^(HOOK|NEWER|ALIAS|STUB|TLS)$/ { print $2 }' "$tmp/entries" | sort -u > "$tmp/hooked"
awk '$1 == "SKIP" { print $2 }' "$tmp/entries" | sort -u > "$tmp/skipped"
awk '$1 == "NODE" { print $2 }' "$tmp/entries" | sort -u > "$tmp/versioned"
awk '$1 == "NODE" { print $2 "@" $3 }' "$tmp/entries" | sort -u > "$tmp/want-versions"
sort -u "$tmp/hooked" "$tmp/versioned" > "$tmp/names"
sort -u "$tmp/names" "$tmp/skipped" > "$tmp/looked-at"

# ---- (a) exports are hooks.def and the public functions, nothing else

# (absolute symbols are the version nodes themselves)
nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@@/, "@", $3); print $3 }' | sort -u > "$tmp/exports"
sed 's/@.*//' "$tmp/exports" | sort -u > "$tmp/export-names"
cp "$tmp/names" "$tmp/want"
if [ -e "$(dirname "$def")/netleash.h" ]; then
	printf '%s\n' netleash_set_timeout netleash_set_background >> "$tmp/want"
	sort -u -o "$tmp/want" "$tmp/want"
fi
comm -23 "$tmp/export-names" "$tmp/want" | found "exported, but not in hooks.def"
comm -13 "$tmp/export-names" "$tmp/want" | found "in hooks.def, but not exported"
grep @ "$tmp/exports" | comm -23 - "$tmp/want-versions" |
	found "exported under a version node that hooks.def does not give it"
comm -13 "$tmp/exports" "$tmp/want-versions" | found "not exported under the node of its NODE()"

# ---- (b) what libc exports, with its satellites before 2.34

cc=${CC:-cc}
libs=()
for lib in libc.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2 libanl.so.1; do
	path=$("$cc" -print-file-name="$lib")
	case $path in
	/*) libs+=("$path") ;;
	esac
done
loader=$(readelf -l /bin/sh 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
[ -n "$loader" ] && [ -r "$loader" ] && libs+=("$loader")
if [ ${#libs[@]} -eq 0 ] || [ ! -r "${libs[0]}" ]; then
	echo "check-hooks.sh: libc.so.6 not found by $cc -print-file-name" >&2
	exit 1
fi
for lib in "${libs[@]}"; do
	nm -D --defined-only "$lib" | awk '$2 != "A" { print $3 }'
done > "$tmp/libc-versions"
sed 's/@.*//' "$tmp/libc-versions" | sort -u > "$tmp/libc-all"
grep -v '@GLIBC_PRIVATE$' "$tmp/libc-versions" | sed 's/@.*//' | sort -u > "$tmp/libc"

awk '
	FILENAME == ARGV[1] { libc[$1] = 1; next }
	$1 == "NEWER" { newer[$2] = 1 }
	$1 ~ /^(HOOK|ALIAS|STUB|NODE)$/ && !($2 in libc) { missing[$2] = $1 == "ALIAS" ? $3 : "" }
	END {
		for (name in missing)
			if (!(missing[name] in newer))
				print name
	}
' "$tmp/libc-all" "$tmp/entries" | sort -u > "$tmp/missing"
found "not in this libc, and not marked NEWER()" < "$tmp/missing"

# ---- (c) every spelling of a hooked function is hooked as well

while read -r name; do
	base=${name#__}
	base=${base%_chk}
	base=${base%64}
	for other in "$base" "__$base" "__${base}_chk" "${base}_chk" "${base}64" "__${base}64" \
		"__${base}64_chk" "${base}_time64" "__${base}_time64" "${base%2}64v2"; do
		echo "$other"
	done
done < "$tmp/names" | sort -u | comm -12 - "$tmp/libc" | comm -23 - "$tmp/looked-at" |
	found "another spelling of a hooked function, neither hooked nor SKIP()ped"

# ---- (d) whatever in libc may reach the network, a descriptor, a resolver or a program

cat > "$tmp/patterns" <<'PATTERNS'
^_*(socket|socketpair|connect|bind|bindresvport|listen|accept|shutdown)[0-9]*$
^_*[gs]etsockopt$
^_*(get(sock|peer)name|sockatmark|isfdtype)$
^_*(send|recv)[a-z0-9_]*$
^_*p?(read|write)v?(64)?(v?2)?(_chk)?$
^_*(splice|tee|vmsplice|copy_file_range)$
^_*(aio|lio|gai)_[a-z0-9_]+$
^_*get[a-z0-9]*by[a-z0-9_]+$
^_*get(host|net|rpc)(ent|id|port)[a-z0-9_]*$
^_*(get|free)addrinfo[a-z0-9_]*$
^_*getnameinfo$
^_*(res|ns|dn)_[a-z0-9_]+$
^_*f?execv?[a-z]*$
^_*(posix|pidfd)_spawnp?$
^_*(system|popen|wordexp)$
^_IO_(popen|proc_open)$
^_*(fork|vfork|clone[0-9]*|Fork|daemon|forkpty)$
^_*pidfd_[a-z_]+$
^_*dl[a-z]*(open|sym)$
^_*(close|close_range|closefrom|dup[0-9]*|fcntl[0-9]*|ioctl)$
^_*(rcmd|rexec|rresvport|i?ruserok|rtime)[a-z_]*$
^_*(clnt|svc|xprt|pmap)[a-z]*_[a-z_]+$
^_*(callrpc|authdes_[a-z_]*create|key_[a-z_]+|(user2|host2|get)netname|netname2[a-z]+|getpublickey|getsecretkey)$
^_*(io_uring_[a-z]+|syscall)$
PATTERNS
grep -E -f "$tmp/patterns" "$tmp/libc" | comm -23 - "$tmp/looked-at" |
	found "libc has it, and it is neither hooked nor SKIP()ped with a reason"

# ---- (e) imports

nm -D --undefined-only "$so" | awk '{ print $NF }' | sort -u > "$tmp/imports"
grep '@GLIBC_PRIVATE$' "$tmp/imports" | found "imported from GLIBC_PRIVATE"
sed 's/@.*//' "$tmp/imports" | sort -u > "$tmp/import-names"
# Not in a hook: memory, stdio, locks, the process's end (hooks.md L1, N3, N4, N8). A name
# that has to be let through stands in "allowed", with its reason.
cat > "$tmp/forbidden" <<'PATTERNS'
^(malloc|calloc|realloc|reallocarray|free|cfree|memalign|aligned_alloc|posix_memalign|valloc|pvalloc)$
^(strdup|strndup|__strdup|asprintf|vasprintf|__asprintf_chk|__vasprintf_chk|getline|getdelim|__getdelim)$
^(sbrk|brk|obstack_.*)$
^(std(in|out|err)|_IO_.*)$
^_*v?[dfs]?n?w?printf(_chk)?$
^_*v?[fs]?w?scanf$
^_*isoc[0-9]+_.*scanf$
^f(open|open64|dopen|reopen|close|read|write|flush|gets|puts|getc|putc|seek|seeko|tell|ileno)(_unlocked|64)?$
^(puts|putchar|getchar|perror|setvbuf|setbuf|psignal|error|warnx?|errx?|syslog|vsyslog|openlog)$
^(opendir|readdir(64)?|closedir|scandir(64)?|glob(64)?|ftw(64)?|nftw(64)?|qsort(_r)?)$
^pthread_(mutex|rwlock|cond|spin|barrier|once).*$
^(mtx_.*|cnd_.*|call_once|sem_.*)$
^(exit|abort|__assert_fail|__assert|quick_exit|atexit|on_exit)$
^(getenv|setenv|putenv|unsetenv|localtime(_r)?|mktime|tzset|strftime|setlocale)$
PATTERNS
cat > "$tmp/allowed" <<'ALLOWED'
setenv	system(), popen() and wordexp() take the environment inside libc (hooks.md 3.7)
unsetenv	as setenv: a NETLEASH_ variable that was added must go
fclose	freopen() of a stream that fdopen() made of ours, called by a program outside of handlers
ALLOWED
cut -f1 "$tmp/allowed" | sort -u > "$tmp/allowed-names"
grep -E -f "$tmp/forbidden" "$tmp/import-names" | comm -23 - "$tmp/allowed-names" |
	found "imported, but hooks use no memory, stdio, lock or exit of libc"
comm -12 "$tmp/import-names" "$tmp/names" | found "hooked, and imported as well"

readelf -d -W "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
	grep -vE '^(libc\.so\.6|ld-linux[a-z0-9-]*\.so\.[0-9]+)$' | found "DT_NEEDED besides libc"
readelf -d -W "$so" | sed -n 's/.*(TEXTREL).*/TEXTREL/p' | found "text relocations"

# ---- (f) thread-local storage is initial-exec

grep -x '__tls_get_addr' "$tmp/import-names" | found "imported: storage that is not initial-exec"
readelf -r -W "$so" | grep -oE 'R_[A-Z0-9_]*(DTPMOD|DTPREL|DTPOFF|TLSDESC|TLS_DESC)[A-Z0-9]*' | sort -u |
	found "relocation of storage that is not initial-exec"

if [ -s "$findings" ]; then
	cat "$findings"
	echo "hooks: $(wc -l < "$findings") findings in $so"
	exit 1
fi
echo "hooks: $(wc -l < "$tmp/export-names") exported, $(wc -l < "$tmp/skipped") skipped, ok"
