#!/bin/bash
# SPDX-License-Identifier: MIT
# Inside of the test network: a far side of its own for the random conversations, and they.
#
#	inside.sh DIRECTORY SHIM|none [OPTION …]	DIRECTORY has the program `torture`, and libnetleash-verify.so
set -eu
here=$(dirname "$(realpath "$0")")
out=$1
shim=$2
shift 2
host=torture.example.com
address=203.0.113.210
work=$LAB_DIR/torture
mkdir -m 711 "$work" "$work/run"

# A network of one more neighbour, who has a public address
unshare -n sleep infinity &
far=$!
trap 'kill $far $server 2> /dev/null || true' EXIT
server=
until [ "$(readlink "/proc/$far/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add tort0 type veth peer name tort1 netns "$far"
ip address add 198.18.9.5/30 dev tort0
ip link set tort0 up
nsenter -t "$far" -n sh -c "ip link set lo up; ip address add 198.18.9.6/30 dev tort1
	ip address add $address/32 dev lo; ip link set tort1 up"
ip route add "$address/32" via 198.18.9.6
echo "$address $host" >> /etc/hosts

cd "$work"
printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$host" > ext
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$host" -keyout key -out csr 2> log
openssl x509 -req -in csr -CA "$LAB_PKI/inter.pem" -CAkey "$LAB_PKI/inter.key" -CAcreateserial -CAserial srl \
	-days 30 -sha256 -extfile ext -out crt 2> log
cat crt "$LAB_PKI/inter.pem" > chain
/usr/bin/python3 "$here/corpus.py" > corpus
cat > policy.cfg <<-END
	appid = "wx0123456789abcdef";
	version = "7";
	domains: {
		request = [ "https://$host" ];
		socket = [ "wss://$host" ];
		uploadFile = [ "https://$host" ];
		downloadFile = [ "https://$host" ];
	};
END
mkfifo ready
ASAN_OPTIONS=detect_leaks=0 nsenter -t "$far" -n "$out/torture" serve "$address" 7700 4 chain key "$work" > ready &
server=$!
read -r _ < ready

# A symbolizer is a program, too, which the sanitized object cannot be loaded into.
export ASAN_OPTIONS=symbolize=0:detect_leaks=0:handle_segv=1:disable_coredump=0:use_madv_dontdump=1:unmap_shadow_on_exit=1 UBSAN_OPTIONS=print_stacktrace=1:symbolize=0
export XDG_RUNTIME_DIR=$work/run
if [ "$shim" = none ]; then
	"$out/torture" run "$host" 7700 "$work" corpus "$@"
else
	# shellcheck disable=SC2086
	${UNDER:-} env NETLEASH_POLICY="$work/policy.cfg" NETLEASH_LOG="${NETLEASH_LOG-quiet}" LD_PRELOAD="$shim" \
		"$out/torture" run "$host" 7700 "$work" corpus \
		--referer "https://appservice.wx.com/wx0123456789abcdef/7/page-frame.html" "$@"
fi
