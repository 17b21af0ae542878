#!/bin/bash
# SPDX-License-Identifier: MIT
# make install with DESTDIR puts exactly these files, they work from there, and uninstall takes them away.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
make -s install DESTDIR="$dir" PREFIX=/usr
want=$(sed 's/^\t*//' <<'LIST' | sort
	usr/bin/netleash
	usr/lib/netleash/libnetleash.so
	usr/lib/netleash/netleash
	usr/share/doc/netleash/LICENSE
	usr/share/doc/netleash/README.md
	usr/share/doc/netleash/example.cfg
	usr/share/man/man1/netleash.1
	usr/share/man/man5/netleash.cfg.5
LIST
)
# The command in two: where libc can be linked statically.
if [ -e build/netleash-full ]; then
	want=$(printf '%s\n%s\n' "$want" usr/lib/netleash/netleash-full | sort)
fi
if [ -e build/libnetleash-verify.so ]; then
	want=$(printf '%s\n%s\n' "$want" usr/lib/netleash/libnetleash-verify.so | sort)
fi
diff <(cd "$dir" && find usr ! -type d | sort) <(printf '%s\n' "$want")
"$dir/usr/bin/netleash" --version | grep -q '^netleash '
# Through the link in bin/ the command finds the object beside itself, not a file of the build.
"$dir/usr/bin/netleash" run -p policy/example.cfg --quiet -- sh -c 'echo "$LD_PRELOAD"' |
	grep -qx "$dir/usr/lib/netleash/libnetleash.so"
"$dir/usr/bin/netleash" cert --help | grep -q '^Usage: netleash cert '
make -s uninstall DESTDIR="$dir" PREFIX=/usr
[ -z "$(find "$dir" ! -type d)" ]
echo "1 passed, 0 failed"
