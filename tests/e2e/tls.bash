# SPDX-License-Identifier: MIT
# For the tests of TLS: a policy with the lab's names, and one more neighbour with servers of our own.
# shellcheck shell=bash disable=SC2034

NAMES="api expired selfsigned wrongname leafonly shared-a near"

tls_setup() {
	lab reset-logs
	cd "$BATS_TEST_TMPDIR" || return 1
	rules
	# For programs that send what they are given
	printf 'GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n' > request
}

tls_teardown() {
	[ -z "${SERVER:-}" ] || kill "$SERVER" 2> /dev/null || true
	[ -z "${FAR:-}" ] || kill "$FAR" 2> /dev/null || true
}

# rules [LINE …]: the policy, with the names of the lab that have a defect
rules() {
	local name list=''

	for name in $NAMES; do
		list+="${list:+, }\"https://$name.example.com\""
	done
	POLICY=$BATS_TEST_TMPDIR/tls.cfg
	{
		echo "appid = \"wx0123456789abcdef\"; domains: { request = [ $list ]; };"
		printf '%s\n' "$@"
	} > "$POLICY"
}

# The rule that each defect of the lab breaks
BAD="expired selfsigned wrongname leafonly"
rule_of() {
	case $1 in
	expired) echo certificate.period ;;
	selfsigned) echo certificate.self_signed ;;
	wrongname) echo certificate.name ;;
	leafonly) echo certificate.complete ;;
	esac
}

# said NAME RULE: the line names the requirement and the platform
said() {
	refused certificate | grep -F " $1.example.com:" | grep -F "(rule $2, platform ${3:-android})" || {
		echo "$1: not said: $output"
		return 1
	}
}

came() {
	lab saw web '"event":"request"'
	lab reset-logs
}

# near CMD …: on one more neighbour, 198.18.7.2, near.example.com (a network of its own is needed)
near() {
	if [ -z "${FAR:-}" ]; then
		unshare -n sleep 600 3>&- &
		FAR=$!
		until [ "$(readlink "/proc/$FAR/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done
		ip link add lan2 type veth peer name w2 netns "$FAR"
		ip addr add 198.18.7.1/24 dev lan2
		ip link set lan2 up
		nsenter -t "$FAR" -n sh -c 'ip addr add 198.18.7.2/24 dev w2; ip link set w2 up; ip link set lo up'
		grep -q near.example.com /etc/hosts || echo "198.18.7.2 near.example.com" >> /etc/hosts
	fi
	nsenter -t "$FAR" -n "$@"
}

# near_cert NAME ISSUER-OPTIONS …: NAME.pem (with the intermediate) and NAME.key for near.example.com; KEY: of that kind
near_cert() {
	local name=$1
	# shellcheck disable=SC2086
	openssl req -x509 ${KEY:--newkey ec -pkeyopt ec_paramgen_curve:P-256} -nodes -sha256 -days 90 \
		-CA "$LAB_PKI/inter.pem" -CAkey "$LAB_PKI/inter.key" -subj /CN=near -keyout "$name.key" -out "$name.leaf" \
		-addext subjectAltName=DNS:near.example.com,IP:198.18.7.2 -addext basicConstraints=critical,CA:FALSE \
		-addext keyUsage=critical,digitalSignature,keyEncipherment -addext extendedKeyUsage=serverAuth 2> near.log
	cat "$name.leaf" "$LAB_PKI/inter.pem" > "$name.pem"
}

# near_own NAME: the same, signed by itself
near_own() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=own -keyout "$1.key" -out "$1.pem" \
		-addext subjectAltName=DNS:near.example.com,IP:198.18.7.2 2> near.log
	cp "$1.pem" "$1.leaf"
}

# near_serves CMD …: a server there on port 4443, in the background
near_serves() {
	near true
	nsenter -t "$FAR" -n "$@" > server.log 2>&1 3>&- &
	SERVER=$!
	# It listens, or it has ended and its log says why.
	until near sh -c 'ss -Hltn "sport = 4443" | grep -q .'; do
		kill -0 "$SERVER" || { cat server.log; return 1; }
	done
}

near_ends() {
	kill "$SERVER"
	wait "$SERVER" || true
	SERVER=
}
