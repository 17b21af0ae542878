#!/bin/bash
# SPDX-License-Identifier: MIT
# The demonstration, inside the test network: real programs under tests/lab/demo.cfg. Each row is
# judged from both ends: what the program got, and what the far side saw. Called by scripts/demo.
set -u
# Outside it these names would be asked of a real resolver.
if [ "${LAB-}" != 1 ]; then
	echo "tests/lab/demo.sh: runs inside the test network only: use scripts/demo" >&2
	exit 100
fi
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1
policy=$PWD/tests/lab/demo.cfg
build=${NETLEASH_BUILD:-build}
shim=$(realpath "$build/libnetleash.so")
python=/usr/bin/python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
rows=0

printf '%-12s %-12s %-36s %-9s %s\n' PROGRAM STARTED\ BY DESTINATION VERDICT RULE
printf '%.0s-' {1..118}
echo

# row FORM PROGRAM DESTINATION allowed|REASON GOT WITNESS… -- CMD …
# FORM	run (netleash run) or preload (LD_PRELOAD alone)
# GOT	a pattern that the program's output must have
# WITNESS	a lab command that must succeed afterwards; up to the "--"
row() {
	local form=$1 program=$2 destination=$3 want=$4 got=$5 rc=0 said rule why=() witness=()
	shift 5
	while [ "$1" != -- ]; do
		witness+=("$1")
		shift
	done
	shift
	rows=$((rows + 1))
	lab reset-logs
	: > "$work/events"
	if [ "$form" = run ]; then
		timeout 60 "$build/netleash" run -p "$policy" --events "$work/events" -- "$@" \
			> "$work/out" 2> "$work/err" < /dev/null || rc=$?
	else
		LD_PRELOAD=$shim NETLEASH_POLICY=$policy NETLEASH_EVENTS=$work/events timeout 60 "$@" \
			> "$work/out" 2> "$work/err" < /dev/null || rc=$?
	fi
	# What netleash said: the last verdict about a destination.
	read -r said rule < <($python - "$work/events" <<-'PY'
		import json, sys
		said = ("nothing", "-")
		for line in open(sys.argv[1]):
		    event = json.loads(line)
		    if event["event"] == "refused":
		        said = (event["reason"], event.get("rule", "-"))
		        break
		    if event["event"] == "connect":
		        said = ("allowed", event.get("rule", "-"))
		print(*said)
		PY
	)
	[ "$said" = "$want" ] || why+=("netleash said $said, the policy says $want")
	grep -qE -- "$got" "$work/out" "$work/err" || why+=("the program did not get: $got (exit status $rc)")
	if [ "$want" != allowed ] && ! grep -qE "netleash: .* refused: $want \(rule .*\): " "$work/err"; then
		why+=("no line on standard error tells of $want")
	fi
	for check in "${witness[@]}"; do
		eval "lab $check" > /dev/null || why+=("the far side: \"$check\" does not hold")
	done
	if [ "$want" = allowed ]; then
		printf '%-12s %-12s %-36s %-9s %s\n' "$program" "$form" "$destination" allowed "$rule"
	else
		printf '%-12s %-12s %-36s %-9s %s\n' "$program" "$form" "$destination" refused "$said: $rule"
	fi
	if [ ${#why[@]} -gt 0 ]; then
		bad=$((bad + 1))
		printf '    WRONG: %s\n' "${why[@]}"
		sed 's/^/    | /' "$work/err" | head -20
	fi
}

request='"event":"request"'
row run curl https://api.example.com/ allowed '^hello from web' \
	"saw web '$request'" -- curl -sS https://api.example.com/
row preload curl https://api.example.com/ allowed '^hello from web' \
	"saw web '$request'" -- curl -sS https://api.example.com/
row run curl https://evil.example.net/ not_in_domain_list 'Could not resolve host' \
	"unseen evil ." "unseen dns evil" -- curl -sS https://evil.example.net/
row preload curl https://203.0.113.66/ ip_literal 'onnect' \
	"unseen packets 203.0.113.66" -- curl -ksS https://203.0.113.66/
row preload curl http://api.example.com/ plaintext 'Permission denied' \
	"unseen web '$request'" -- curl -sS http://api.example.com/
row run curl http://192.0.2.20/ allowed '^hello from peer' \
	"saw peer '$request'" -- curl -sS http://192.0.2.20/
row run curl http://10.99.0.5/ other_private_network 'onnect' \
	"unseen packets 10.99.0.5" -- curl -sS http://10.99.0.5/
row run wget https://cdn.example.com/ allowed 'hello from cdn' \
	"saw cdn '$request'" -- wget -qO- https://cdn.example.com/
row preload wget https://loop.example.com/ loopback 'failed|unable' \
	"saw dns loop.example.com" -- wget -t1 -O- https://loop.example.com/
row run python3 https://api.example.com/ allowed 'hello from web' \
	"saw web '$request'" -- $python -c '
import urllib.request
print(urllib.request.urlopen("https://api.example.com/").read())'
row preload "python3 aio" "shared-b, dialled as shared-a" name_mismatch 'PermissionError|rror' \
	"unseen shared '\"sni\":\"shared-b'" -- $python -c '
import asyncio, ssl
async def main():
    await asyncio.open_connection("shared-a.example.com", 443, ssl=ssl.create_default_context(),
                                  server_hostname="shared-b.example.com")
asyncio.run(main())'
row run "python3 host" gethostbyname:a.api.example.com not_in_domain_list 'gaierror|herror' \
	"unseen dns a.api" -- $python -c '
import socket
socket.gethostbyname("a.api.example.com")'
row preload "python3 tfo" fast-open:203.0.113.66:9000 ip_literal 'PermissionError' \
	"unseen packets 203.0.113.66" -- $python -c '
import socket
socket.socket().sendto(b"secret", socket.MSG_FASTOPEN, ("203.0.113.66", 9000))'
row preload "python3 udp" udp://udp.example.com:9001 allowed 'ping' \
	"saw raw ping" -- $python -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"ping", (socket.gethostbyname("udp.example.com"), 9001))
print(s.recv(100))'
row run "python3 udp" udp://203.0.113.66:9001 ip_literal 'PermissionError' \
	"unseen packets 203.0.113.66" -- $python -c '
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"secret", ("203.0.113.66", 9001))'
row run node https://api.example.com/ allowed 'hello from web' \
	"saw web '$request'" -- node -e '
require("https").get("https://api.example.com/", r => r.on("data", d => console.log(String(d))))'
row preload node http://api.example.com/ plaintext 'EACCES' \
	"unseen web '$request'" -- node -e '
require("http").get("http://api.example.com/").on("error", e => console.log(e.code))'
row run "node c-ares" own-DNS:evil.example.net not_in_domain_list 'rror' \
	"unseen dns evil" -- node -e '
new (require("dns").Resolver)().resolve4("evil.example.net", e => console.log("error", e.code))'
row run openssl api.example.com:443 allowed 'Verify return code: 0' \
	"saw web '\"sni\":\"api.example.com\"'" -- openssl s_client -connect api.example.com:443 \
	-servername api.example.com
row preload openssl evil-SNI-at-api.example.com name_mismatch 'errno=13|rror' \
	"unseen web '\"sni\":\"evil'" -- openssl s_client -connect api.example.com:443 \
	-servername evil.example.net

# A real game with a network side announces itself to a server list over https.
game() {
	local url=$1
	mkdir -p "$work/game"
	printf '%s\n' "server_announce = true" "serverlist_url = $url" "server_name = netleash demo" \
		"port = 30000" > "$work/game.conf"
	HOME=$work/game timeout -s INT -k 10 "${2:-4}" /usr/games/minetestserver --config "$work/game.conf" \
		--world "$work/game/world" --gameid devtest --logfile ""
}
export -f game
export work
row run minetest https://list.example.com/announce allowed 'Announcing start' \
	"saw list '\"target\":\"/announce\"'" -- bash -c 'game https://list.example.com'
row run minetest https://evil.example.net/announce not_in_domain_list 'Announcing start' \
	"unseen evil ." "unseen dns evil" -- bash -c 'game https://evil.example.net'

printf '%.0s-' {1..118}
echo
if [ "$bad" -gt 0 ]; then
	echo "$bad of $rows rows did not come out as the policy says"
	exit 1
fi
echo "all $rows rows came out as the policy says, at both ends"
