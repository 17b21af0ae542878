#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tier: long
# More of CPython's own suites, test by test without and with the leash (hooks.md T4); test_socket and
# test_asyncio are in cpython.bats.

bats_require_minimum_version 1.5.0
load lib
load cpython

setup() {
	cpython_setup
}

@test "suites: test_select, test_poll, test_epoll, test_selectors, test_socketserver, test_asyncore" {
	compare 150 test_select test_poll test_epoll test_selectors test_socketserver test_asyncore
}

@test "suites: test_subprocess, test_posix, test_signal, test_eintr, test_fork1" {
	compare 400 --jobs 2 test_subprocess test_posix test_signal test_eintr test_fork1
}

@test "suites: test_ssl" {
	compare 100 test_ssl
}

@test "suites: test_ftplib, test_smtplib, test_poplib, test_imaplib, test_httplib, test_urllib2_localnet" {
	compare 300 test_ftplib test_smtplib test_poplib test_imaplib test_httplib test_urllib2_localnet
}
