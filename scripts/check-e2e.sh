#!/bin/bash
# SPDX-License-Identifier: MIT
# Run the end-to-end tests, each file in a test network of its own; ends with
# "N passed, N failed, N skipped".
#
#	check-e2e.sh [FILE.bats …]	all of tests/e2e without arguments
#
# A file that says "# lab: user" runs without privileges, "# lab: both" runs twice; "alone" behind it, or by
# itself: while nothing else runs. E2E_JOBS files run at once (as many as there are processors). "# tier: long"
# is left out unless E2E_LONG=1. A file that cannot be run, or hangs (E2E_TIMEOUT seconds, 600), is a failure.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
limit=${E2E_TIMEOUT:-600}
jobs=${E2E_JOBS:-$(nproc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Tests without privileges run as another user when root runs them, and a clone below /root is out of that
# user's reach: then in a copy that is not.
stage=
stage_for() {
	if [ "${1:-}" != --user ] || [ "$(id -u)" != 0 ] ||
		setpriv --reuid=65534 --regid=65534 --clear-groups \
			test -r "$PWD/tests/lab/hosts.py" -a -r "$PWD/Makefile" 2> /dev/null; then
		echo .
	else
		echo "$stage"
	fi
}
if [ "$(id -u)" = 0 ]; then
	stage=$(mktemp -d)
	trap 'rm -rf "$work" "$stage"' EXIT
	chmod 755 "$stage"
	mkdir "$stage/build"
	cp -r Makefile README.md policy shim scripts tests "$stage/"
	for part in libnetleash.so libnetleash-verify.so netleash netleash-full snip; do
		[ ! -e "build/$part" ] || cp -r "build/$part" "$stage/build/"
	done
fi

# one NUMBER FILE [--user]: what it says into NUMBER.out, its counts into NUMBER.counts
one() {
	local log=$work/$1.log counts=$work/$1.counts file=$2
	shift 2
	local rc=0 plan good bad skip
	echo "== $file${1:+ $*}"
	(cd "$(stage_for "$@")" && timeout -k 10 "$limit" tests/lab/lab run "$@" -- bats --tap "$file") \
		> "$log" 2>&1 < /dev/null || rc=$?
	grep -vE '^ok ' "$log" || true
	plan=$(sed -n 's/^1\.\.//p' "$log" | head -1)
	skip=$(grep -cE '^ok .* # skip' "$log" || true)
	good=$(($(grep -cE '^ok ' "$log" || true) - skip))
	bad=$(grep -cE '^not ok ' "$log" || true)
	if grep -qE '^ok .* # skip' "$log"; then
		grep -E '^ok .* # skip' "$log"
	fi
	# What was planned and not said, or an exit status nobody explains, is a failure too.
	if [ $((good + bad + skip)) -ne "${plan:-0}" ] || { [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
		echo "$file: ended early (exit status $rc)"
		bad=$((bad + 1))
	fi
	echo "$good $bad $skip" > "$counts"
}

# Most of the time they wait; each has a network of its own. One that measures has the machine to itself
# ("# lab: alone"), at the end.
count=0
begin() {
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n || true
	done
	count=$((count + 1))
	one "$count" "$@" > "$work/$count.out" 2>&1 &
}

if [ $# -eq 0 ]; then
	set -- tests/e2e/*.bats
fi
runs() {
	local file=$1
	case $(sed -n 's/^# lab: //p' "$file" | head -1) in
	user*) begin "$file" --user ;;
	both*)
		begin "$file"
		begin "$file" --user
		;;
	*) begin "$file" ;;
	esac
}
alone=()
for file; do
	head -3 "$file" | grep -q '^# tier: long' && [ "${E2E_LONG:-0}" != 1 ] && continue
	if sed -n 's/^# lab: //p' "$file" | head -1 | grep -q alone; then
		alone+=("$file")
	else
		runs "$file"
	fi
done
jobs=1
for file in "${alone[@]}"; do
	runs "$file"
done
wait

passed=0
failed=0
skipped=0
for number in $(seq "$count"); do
	cat "$work/$number.out"
	read -r good bad skip < "$work/$number.counts" || { good=0 bad=1 skip=0; }
	passed=$((passed + good))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
