# SPDX-License-Identifier: MIT
# Shared by the end-to-end tests. They run inside the test network (tests/lab/lab run -- bats …),
# where every address is ours and the far side writes down what it saw.
# shellcheck shell=bash

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILD=${NETLEASH_BUILD:-$TOP/build}
SHIM=$BUILD/libnetleash.so
NETLEASH=$BUILD/netleash
SNIP=$BUILD/snip
export TOP BUILD SHIM NETLEASH SNIP

[ "${LAB:-}" = 1 ] || {
	echo "these tests run in the test network: tests/lab/lab run -- bats ${BATS_TEST_FILENAME:-}" >&2
	exit 1
}

load user

# policy NAME [LINE …]: a policy file in the test's directory, the usual lists and LINEs. Sets $POLICY.
policy() {
	POLICY=$BATS_TEST_TMPDIR/$1.cfg
	shift
	{
		cat <<'EOT'
appid = "wx0123456789abcdef";
domains: {
	request = [ "https://api.example.com", "https://cdn.example.com", "https://loop.example.com",
		"https://loop6.example.com", "https://own.example.com", "https://zero.example.com",
		"https://mapped.example.com", "https://multi.example.com", "https://shared-a.example.com",
		"https://priv.example.com", "https://cgnat.example.com", "https://linklocal.example.com",
		"https://lan.example.com", "https://cname.example.com", "https://hosts.example.com" ];
	socket = [ "wss://play.example.com" ];
	uploadFile = [ "https://up.example.com" ];
	downloadFile = [ "https://cdn.example.com" ];
	tcp = [ "tcp://raw.example.com" ];
	udp = [ "udp://udp.example.com" ];
	blocked = [ "blocked.example.com" ];
};
EOT
		printf '%s\n' "$@"
	} > "$POLICY"
	export POLICY
}

# leashed CMD …: under plain LD_PRELOAD, with $POLICY. Errors go to $ERR as well.
leashed() {
	LD_PRELOAD=$SHIM NETLEASH_POLICY=$POLICY "$@"
}

# refused REASON: exactly the line that a user must get is in $output
refused() {
	grep -E "^netleash: [^ ]+\[[0-9]+\]: .* refused: $1 \(rule [^)]*(\([^)]*\))?[^)]*\): " <<< "$output"
}

# What a program says stands before what is said of it, whatever it writes to.
export PYTHONUNBUFFERED=1

# INSIDE: a command whose TLS no hook reaches. node, where it brings its own; Debian's is linked with the system's.
node_inside() {
	command -v node > /dev/null && ! ldd "$(readlink -f "$(command -v node)")" | grep -qE 'libssl|libnode'
}
