#!/bin/bash
# SPDX-License-Identifier: MIT
# Random requests and answers through the real hooks, to and from a real TLS server, byte for byte, with
# the address and undefined behaviour sanitizers (tests/torture). Ends with "N passed, N failed".
#
#	check-torture.sh [--runs N] [--seed N [--connection N]] [--verbose]
#
# A failure names the seed and the connection. B names another build directory.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
out=${B:-build/torture}
runs=10000
options=("$@")
for ((i = 0; i < $#; i++)); do
	[ "${options[i]}" != --runs ] || runs=${options[i + 1]}
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0

"${MAKE:-make}" --no-print-directory -j"$(nproc)" CC=clang VARIANT=torture B="$out" all "$out/torture"
out=$(realpath "$out")

inside() {
	timeout -k 10 "${TORTURE_TIMEOUT:-900}" tests/lab/lab run -- tests/torture/inside.sh "$out" "$@" > "$log" 2>&1 < /dev/null
}
verdict() {
	if "${@:2}"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok: $1"
		sed 's/^/    /' "$log" | tail -60
	fi
}
not() { ! "$@"; }
count() { sed -n "s/^$1 //p" "$log"; }

# The conversations themselves: nobody changes anything, and nothing is changed.
verdict "without netleash nothing differs" inside none --runs 1000
# And a difference is seen: nobody writes that line. One seed, because each worker stops at its first difference, and
# with some that is an answer that nobody converted.
verdict "a wrong Referer is found" not inside none --runs 100 --referer nobody --seed 1
verdict "that is what was found" grep -q 'what the server got' "$log"

verdict "$runs random conversations" inside "$out/libnetleash.so" --runs "$runs" "$@"
cat "$log"
# What the runs are for has happened in them.
if [ "$runs" -ge 1000 ] && [ "$failed" -eq 0 ]; then
	for what in referers want_write moved grown peeks leftovers text refused sockets abandoned; do
		verdict "$what: $(count $what)" test "$(count $what)" -ge $((runs / 1000))
	done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
