#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The project's own PKI, more than a hundred chains that are sound or have one defect each, served to real
# clients that verify nothing: every platform's verdict is the table's (tests/data/pki/expected.tsv),
# the log names the rule, and no request arrives where it is refused (design: TLS 11, 15).

bats_require_minimum_version 1.5.0
load lib

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs a network of its own"
	for program in curl wget openssl; do
		command -v "$program" > "$BATS_TEST_TMPDIR/need" || skip "no $program"
	done
}

@test "every chain, on every platform, through real clients" {
	pki=$BATS_TEST_TMPDIR/pki
	# Made for this moment: clients ask the clock.
	"$TOP/tests/lab/pki_defects.sh" "$pki" "$(date +%s)"
	mkdir "$BATS_TEST_TMPDIR/work"
	NETLEASH_BUILD=$BUILD run unshare -n /usr/bin/python3 "$BATS_TEST_DIRNAME/pki_real.py" all "$pki" \
		"$TOP/tests/data/pki/expected.tsv" "$BATS_TEST_TMPDIR/work"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -x "0 differences" <<< "$output"
	# None of it went missing.
	total=$(grep -c "^[^#]" "$TOP/tests/data/pki/expected.tsv")
	past=$(awk -F'\t' '!/^#/ && $4 != "-"' "$TOP/tests/data/pki/expected.tsv" | wc -l)
	grep -E "^[0-9]+ of $total lines" <<< "$output"
	tried=$(sed -n "s/^\([0-9]*\) of $total lines.*/\1/p" <<< "$output")
	[ "$tried" -ge $((total - past - 3)) ]
	grep -F "curl -k $tried, opaque 5, python $((4 * tried))" <<< "$output"
}
