/* build: -shared -fPIC -Wl,-Bsymbolic -Wl,-soname,libssl.so.3 -Wl,--whole-archive -l:libssl.a -Wl,--no-whole-archive -lcrypto -l:libcrypto.a */
/* SPDX-License-Identifier: MIT */
/* libssl as upstream and other distributions build it: its calls to itself are seen by nobody. */
int tls_symbolic = 1;
