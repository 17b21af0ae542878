# SPDX-License-Identifier: MIT
# What depends on who runs the tests.
# shellcheck shell=bash

# Root of a user namespace that an ordinary user made can become nobody else.
need_another_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups true 2> /dev/null ||
		skip "there is no other user here: namespaces of an unprivileged user have one"
}
