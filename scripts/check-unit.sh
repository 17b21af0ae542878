#!/bin/bash
# SPDX-License-Identifier: MIT
# Build the unit tests of a variant and run each; ends with "N passed, N failed".
#
#	check-unit.sh [VARIANT]		release (default), debug, asan, tsan, cov
#
# B names another build directory. A test that crashes, hangs (UNIT_TIMEOUT seconds, 120), ends
# early or cannot be built counts as failed. Skipped ones are named.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/.."
variant=${1:-release}
case $variant in
release) out=build ;;
debug | asan | tsan | cov) out=build/$variant ;;
*)
	echo "check-unit.sh: $variant: not one of release, debug, asan, tsan, cov" >&2
	exit 2
	;;
esac
out=${B:-$out}
limit=${UNIT_TIMEOUT:-120}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
log=$tmp/log
if [ "$variant" = asan ]; then
	export ASAN_OPTIONS=detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
	export UBSAN_OPTIONS=print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
	# libconfig's scanner loses strings that are open when it meets an error.
	printf 'leak:strbuf_append\nleak:libconfig_yylex\n' > "$tmp/suppressions"
	export LSAN_OPTIONS=suppressions=$tmp/suppressions:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}
fi
# one text format, to standard error, whatever the caller's environment says
unset CMOCKA_MESSAGE_OUTPUT CMOCKA_XML_FILE CMOCKA_TEST_ABORT
export LEASH_TEST_DATA="$PWD/tests/data"

passed=0
failed=0
skipped=0
built=1

"${MAKE:-make}" --no-print-directory -k VARIANT="$variant" B="$out" unit || built=0

for source in tests/unit/test_*.c; do
	[ -e "$source" ] || break
	name=$(basename "$source" .c)
	binary=$out/unit/$name
	# One that could not be made again is not the one to be tested.
	if [ "$built" -eq 0 ] &&
		! "${MAKE:-make}" -s -q VARIANT="$variant" B="$out" "$binary" 2> /dev/null; then
		echo "$name: cannot be built"
		failed=$((failed + 1))
		continue
	fi
	rc=0
	timeout -k 5 "$limit" "$binary" > "$log" 2>&1 || rc=$?

	# Per group cmocka says how many it will run, then one line for each that ended.
	read -r run ok bad skip < <(awk '
		/^\[=+\] .*Running [0-9]+ test\(s\)/ {
			sub(/.*Running /, "")
			run += $1
		}
		/^\[ +OK \] / { ok++ }
		/^\[ +SKIPPED +\] [^0-9]/ && !listing { skip++ }
		# the list at the end of a group repeats the names
		/^\[ +(PASSED|FAILED|SKIPPED) +\].* [0-9]+ test\(s\)/ { listing = 1 }
		/^\[=+\] .*Running/ { listing = 0 }
		END { print run + 0, ok + 0, run - ok - skip, skip + 0 }' "$log")
	if [ "$rc" -ne 0 ] && [ "$bad" -le 0 ]; then
		bad=1			# after its last test: a leak, a group's teardown
	elif [ "$run" -eq 0 ]; then
		bad=1			# no test is no success
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
	if [ "$bad" -eq 0 ]; then
		echo "$name: $ok passed${skip:+$([ "$skip" -eq 0 ] || echo ", $skip skipped")}"
		grep -E '^\[ +SKIPPED +\] [^0-9]' "$log" | sort -u || true
		continue
	fi
	case $rc in
	124 | 137) how=", stopped after $limit s" ;;
	*) if [ "$rc" -gt 128 ]; then how=", killed by signal $((rc - 128))"; else how=", exit status $rc"; fi ;;
	esac
	echo "$name: $ok passed, $bad FAILED$how"
	# cmocka names a test when it begins: without an end it is the one that crashed.
	awk '/^\[ RUN / { at = $0 } /^\[ +(OK|FAILED|SKIPPED) +\]/ { at = "" }
		END { if (at) print "    never ended: " at }' "$log"
	sed 's/^/    /' "$log" | grep -vE '^    \[ +(OK|RUN) ' | tail -n 60
done

[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
