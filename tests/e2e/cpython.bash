# SPDX-License-Identifier: MIT
# CPython's own suites, test by test without and with the leash (hooks.md T4): cpython.py.
# shellcheck shell=bash disable=SC2034

cpython_setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	# As open as enforcing gets, and the mode that refuses nothing
	policy open 'listen = "any";' 'lan: { multicast = true; };' 'loopback: { allow_ports = "any"; };'
	OPEN=$POLICY
	policy audit 'mode = "audit";'
	AUDIT=$POLICY
	export NETLEASH_LOG=quiet
	[ -e /usr/lib/python3.11/test/test_socket.py ] || skip "needs libpython3-testsuite"
	: > allowed
}

# compare AT-LEAST [OPTION …] TEST …: enforcing with all open (the tests in the file "allowed" may
# differ, and one must), and audit
compare() {
	local least=$1
	shift
	run timeout 1200 /usr/bin/python3 "$TOP/tests/e2e/cpython.py" --except allowed --timeout 300 "$@" \
		-- "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$OPEN" NETLEASH_LOG=quiet \
		-- "LD_PRELOAD=$SHIM" "NETLEASH_POLICY=$AUDIT" NETLEASH_LOG=quiet
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output =~ ([0-9]+)\ tests, ]]
	[ "${BASH_REMATCH[1]}" -ge "$least" ]
}
