#!/bin/bash
# SPDX-License-Identifier: MIT
# Do the documents say what is true? Man pages format without a warning, every command, option and
# policy key of the program stands in its page, the README's commands exist.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
netleash=${B:-build}/netleash
passed=0
failed=0
check() {
	if "${@:2}"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "docs: $1"
	fi
}
quiet_page() { [ -z "$(man --warnings -l -Tutf8 "$1" 2>&1 > /dev/null)" ]; }
has() { grep -qF -- "$1" "$2"; }

for page in shim/launch/netleash.1 policy/netleash.cfg.5; do
	check "$page has formatting warnings" quiet_page "$page"
done
man -l -Tutf8 shim/launch/netleash.1 2> /dev/null | col -b > /tmp/netleash-page.$$
trap 'rm -f /tmp/netleash-page.$$' EXIT
for command in $("$netleash" --help | sed -n 's/^ \{2,\}\([a-z]\{3,\}\) .*/\1/p'); do
	check "netleash.1 does not speak of \"$command\"" has "$command" /tmp/netleash-page.$$
	for option in $("$netleash" "$command" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
		check "netleash.1 does not speak of $command's $option" has "$option" /tmp/netleash-page.$$
	done
done
for variable in $(sed -n 's/^#define LEASH_ENV_[A-Z_]* "\(NETLEASH_[A-Z_]*\)".*/\1/p' shim/abi.h); do
	check "netleash.1 does not speak of $variable" has "$variable" /tmp/netleash-page.$$
done
for file in scripts/demo scripts/test scripts/setup; do
	check "README.md does not name $file" has "$file" README.md
	check "$file is not executable" test -x "$file"
done
# Links into the tree lead somewhere.
for link in $(grep -oE '\]\([^)h#][^)#]*' README.md shim/ARCHITECTURE.md | sed 's/.*](//'); do
	check "a link leads nowhere: $link" test -e "$link" -o -e "shim/$link"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
