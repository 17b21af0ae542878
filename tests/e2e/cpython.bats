#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is allowed is as it was without netleash: CPython's test_socket and test_asyncio give the same list of
# results, under a policy that is as open as enforcing gets and under audit (hooks.md T4). More: suites.bats.

bats_require_minimum_version 1.5.0
load lib
load cpython

setup() {
	cpython_setup
}

@test "suites: CPython's test_socket: the same list of results" {
	cat > allowed <<-'END'
		test.test_socket.GeneralModuleTests.testHostnameRes: looks up the host's own name, which is in no list
		test.test_socket.GeneralModuleTests.testSockName: looks up the host's own name
	END
	for class in Basic Sendmsg Recvmsg RecvmsgInto; do
		for family in UDPLITE UDPLITE6; do
			echo "test.test_socket.$class${family}Test: UDP-Lite is refused (hooks.md 3.2)"
		done
	done >> allowed
	for class in RecvmsgRFC3542AncillaryUDPLITE6Test RecvmsgIntoRFC3542AncillaryUDPLITE6Test UDPLITETimeoutTest; do
		echo "test.test_socket.$class: UDP-Lite is refused (hooks.md 3.2)"
	done >> allowed
	# A virtual machine without a peer for AF_VSOCK waits for one without end, also without us.
	compare 600 --ignore '*VSOCK*' test_socket
}

@test "suites: CPython's test_asyncio: the same list of results" {
	compare 2000 test_asyncio
}
