# SPDX-License-Identifier: MIT
# For the tests of the background: sessions of their own, and a policy whose grace is $GRACE ms.
# shellcheck shell=bash disable=SC2034

away_setup() {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 0711 "$XDG_RUNTIME_DIR"
	PEER=$LAB_PEER_ADDR
	HOLE=198.51.100.20
	cd "$BATS_TEST_TMPDIR" || return 1
	POLICY=$BATS_TEST_TMPDIR/p.cfg
	cat > "$POLICY" <<-END
		appid = "wx0123456789abcdef";
		domains: {
			request = [ "https://api.example.com", "https://blackhole.example.com", "https://drop.example.com" ];
			socket = [ "wss://play.example.com" ];
			tcp = [ "tcp://raw.example.com" ];
			udp = [ "udp://udp.example.com" ];
		};
		background: { grace_ms = $GRACE; };
		loopback: { allow_ports = "any"; };
	END
	export POLICY
}
