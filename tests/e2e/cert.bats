#!/usr/bin/env bats
# lab: both
# SPDX-License-Identifier: MIT
# netleash cert: servers of the test network, and chains on disk (tls-http.md section 16).

bats_require_minimum_version 1.5.0

setup_file() {
	export PKI=$BATS_FILE_TMPDIR/pki
	"$BATS_TEST_DIRNAME/../lab/pki_defects.sh" "$PKI"
}

setup() {
	load lib.bash
	# Only what a test names decides.
	unset NETLEASH_POLICY NETLEASH_PROJECT
}

# cert STATUS ARG …: run, and the status is that
cert() {
	local want=$1
	shift
	run -"$want" --separate-stderr "$NETLEASH" cert "$@"
}

# row LABEL CELLS: the row of the table, blanks apart
row() {
	grep -qxE " *$1 +${2// / +}" <<< "$output" || {
		echo "no row: $1: $2 in"
		echo "$output"
		return 1
	}
}

@test "a sound server passes on every platform" {
	cert 0 api.example.com
	grep -qx 'api.example.com: pass (198.51.100.11:443)' <<< "$output"
	row requirement "ios android devtools strict"
	row "trusted root" "ok ok ok ok"
	row lifetime "ok ok - ok"
	row "forward secrecy" "- - - ok"
	row result "pass pass pass pass"
	grep -q '^    0  CN=api.example.com$' <<< "$output"
	grep -q '^    1  CN=Lab Intermediate,O=Lab$' <<< "$output"
	grep -qE 'until 20[0-9-]+T[0-9:]+Z, (89|90) days left$' <<< "$output"
	grep -qx '  TLS: 1.0 no, 1.1 no, 1.2 yes, 1.3 yes; a client gets 1.3' <<< "$output"
	[ -z "$stderr" ]
}

@test "each defect fails in its row, with the way to mend it" {
	cert 102 expired.example.com
	row "in its validity period" "FAIL FAIL FAIL FAIL"
	row "trusted root" "ok ok ok ok"
	grep -q 'expired at 20.*: renew it$' <<< "$output"
	cert 102 wrongname.example.com
	row "name matches" "FAIL FAIL FAIL FAIL"
	grep -q 'is for elsewhere.example.org, not for wrongname.example.com' <<< "$output"
	cert 102 selfsigned.example.com
	row "not self-signed" "FAIL FAIL FAIL FAIL"
	# two requirements, one fault, one sentence
	row "trusted root" "FAIL FAIL FAIL FAIL"
	[ "$(grep -c 'is self-signed, which no platform takes' <<< "$output")" -eq 1 ]
	cert 102 leafonly.example.com
	row "chain complete as served" "FAIL FAIL FAIL FAIL"
	row "trusted root" "- - - -"
	grep -q 'only the leaf, and its issuer "Lab Intermediate".*install fullchain' <<< "$output"
}

@test "versions are tried one by one" {
	cert 102 api.example.com:4431
	grep -q 'TLS: 1.0 no, 1.1 yes, 1.2 no, 1.3 no' <<< "$output"
	row "TLS 1.2 or newer" "FAIL FAIL FAIL FAIL"
	row "name matches" "ok ok ok ok"
	cert 0 api.example.com:4432
	grep -q 'TLS: 1.0 no, 1.1 no, 1.2 yes, 1.3 no; a client gets 1.2' <<< "$output"
	cert 0 api.example.com:4433
	grep -q 'TLS: 1.0 no, 1.1 no, 1.2 no, 1.3 yes; a client gets 1.3' <<< "$output"
	grep -q 'warning: the server does not offer TLS 1.2' <<< "$output"
}

@test "no request is sent" {
	lab reset-logs
	cert 0 api.example.com
	lab saw web tls
	lab unseen web request
}

@test "addresses, ports, international names, URLs" {
	cert 102 203.0.113.66:443	# its certificate has names alone
	row "subjectAltName" "FAIL FAIL FAIL FAIL"
	cert 0 'bücher.example.com'
	grep -q '^    0  CN=api.example.com$' <<< "$output"
	cert 0 'wss://www.example.com:8443/room?x#y'
	cert 100 api.example.com:0
	cert 100 api.example.com:65536
	cert 100 'https://'
	cert 100 'a b'
	cert 100 'ftp://api.example.com'
	grep -q 'a certificate belongs to a host: HOST\[:PORT\], https:// or wss://' <<< "$stderr"
	if [ "$LAB_IPV6" = 1 ]; then
		cert 0 v6only.example.com
		grep -q '(\[2001:db8:2::15\]:443)' <<< "$output"
		cert 102 '[2001:db8:2::11]:443'
		cert 102 2001:db8:2::11
	fi
}

@test "who cannot be reached does not pass, and says why" {
	cert 102 closed.example.com
	grep -q 'Connection refused' <<< "$output"
	cert 102 nx.example.com
	grep -q 'cannot be resolved' <<< "$output"
	cert 102 --timeout 1 blackhole.example.com
	grep -q 'no answer within 1 s' <<< "$output"
	cert 102 raw.example.com:2525
	grep -q 'no TLS handshake: .*: does it speak TLS on this port' <<< "$output"
	cert 102 --timeout 1 raw.example.com:9100
	grep -q 'no answer within 1 s, though it took the connection: does it speak TLS on this port' <<< "$output"
	# one bad host among good ones
	cert 102 api.example.com closed.example.com play.example.com
	[ "$(grep -c ': pass (' <<< "$output")" -eq 2 ]
}

@test "the policy's platform and settings decide" {
	policy devtools 'platform = "devtools";' "cert: { trust_dir = \"$PKI/store\"; };"
	cert 102 -p "$POLICY" api.example.com
	row "trusted root" "FAIL FAIL FAIL FAIL"
	policy extra "cert: { trust_dir = \"$PKI/store\"; extra_ca = [ \"$LAB_CA\" ]; };"
	cert 0 -p "$POLICY" api.example.com
	NETLEASH_POLICY=$POLICY cert 0 api.example.com
	policy distrust "cert: { distrust = [ \"$(openssl x509 -in "$LAB_CA" -outform DER |
		sha256sum | cut -d' ' -f1)\" ]; };"
	cert 102 -p "$POLICY" api.example.com
	grep -q '"Lab Root" is distrusted (cert.distrust of the policy)' <<< "$output"
	policy wrong 'platform = "symbian";'
	cert 101 -p "$POLICY" api.example.com
	grep -q "wrong.cfg:.*symbian" <<< "$stderr"
}

@test "chosen platforms are the ones shown, and decide" {
	policy root "cert: { trust_dir = \"$PKI/store-empty\"; extra_ca = [ \"$BATS_TEST_TMPDIR/root.pem\" ]; };"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=R \
		-keyout "$BATS_TEST_TMPDIR/root.key" -out "$BATS_TEST_TMPDIR/root.pem"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -subj /CN=L \
		-keyout "$BATS_TEST_TMPDIR/leaf.key" -out "$BATS_TEST_TMPDIR/leaf.pem" \
		-CA "$BATS_TEST_TMPDIR/root.pem" -CAkey "$BATS_TEST_TMPDIR/root.key" \
		-addext subjectAltName=DNS:a.example.com,IP:192.0.2.7 -addext basicConstraints=critical,CA:FALSE
	# no EKU: ios and strict want one
	local file=(-p "$POLICY" --file "$BATS_TEST_TMPDIR/leaf.pem" --host a.example.com)
	cert 0 "${file[@]}"
	row "extended key usage" "FAIL ok ok FAIL"
	cert 102 "${file[@]}" --platform ios
	row requirement ios
	row "extended key usage" FAIL
	cert 0 "${file[@]}" --platform android --platform devtools
	row requirement "android devtools"
	cert 102 "${file[@]}" --platform android --platform strict
	cert 0 -p "$POLICY" --file "$BATS_TEST_TMPDIR/leaf.pem" --host 192.0.2.7
	cert 100 "${file[@]}" --platform windows
	openssl x509 -in "$BATS_TEST_TMPDIR/leaf.pem" -outform DER -out "$BATS_TEST_TMPDIR/leaf.der"
	cert 0 -p "$POLICY" --file "$BATS_TEST_TMPDIR/leaf.der" --host a.example.com
	# 20 days is soon enough to pass, 10 is to be told
	openssl x509 -in "$BATS_TEST_TMPDIR/leaf.pem" -noout -checkend 0
	! grep -q warning: <<< "$output"
}

@test "a chain on disk: what is wrong with the file is said with its line" {
	cert 100 --file "$PKI/good.pem"
	cert 100 --host api.example.com
	cert 100 --file "$PKI/good.pem" --host api.example.com other.example.com
	cert 100
	cert 111 --file "$BATS_TEST_TMPDIR/none.pem" --host api.example.com
	: > "$BATS_TEST_TMPDIR/empty.pem"
	cert 100 --file "$BATS_TEST_TMPDIR/empty.pem" --host api.example.com
	grep -q 'there is no certificate in it' <<< "$stderr"
	{ echo; cat "$PKI/good.pem"; echo '-----BEGIN CERTIFICATE-----'; echo '!'; echo '-----END CERTIFICATE-----'; } \
		> "$BATS_TEST_TMPDIR/bad.pem"
	cert 100 --file "$BATS_TEST_TMPDIR/bad.pem" --host api.example.com
	line=$(grep -n BEGIN "$BATS_TEST_TMPDIR/bad.pem" | tail -1 | cut -d: -f1)
	grep -q "bad.pem:$line: this certificate is damaged" <<< "$stderr"
	head -5 "$PKI/good.pem" > "$BATS_TEST_TMPDIR/cut.pem"
	cert 100 --file "$BATS_TEST_TMPDIR/cut.pem" --host api.example.com
	grep -q 'cut.pem:1:.*its end is missing' <<< "$stderr"
	cert 102 --file "$PKI/truncated.pem" --host api.example.com
	row "certificate valid" "FAIL FAIL FAIL FAIL"
}

@test "the CAs' own limits are a warning" {
	policy store "cert: { trust_dir = \"$PKI/store\"; };"
	cert 102 -p "$POLICY" --file "$PKI/days-825-1s-new.pem" --host api.example.com
	row "CA rules \(200, 100, 47 days\)" "warning warning warning warning"
	row lifetime "FAIL FAIL - FAIL"
	grep -q 'lasts 825 days and 1 s, ios takes at most 398' <<< "$output"
	grep -q 'warning: the certificate lasts 825 days: public CAs issue 200' <<< "$output"
	cert 102 -p "$POLICY" --file "$PKI/days-825-1s.pem" --host api.example.com
	row "CA rules \(200, 100, 47 days\)" "ok ok ok ok"
}

@test "--json has the same, for programs" {
	cert 102 --json api.example.com leafonly.example.com closed.example.com
	python3 - <(printf '%s' "$output") <<-'END'
		import json, sys
		good, leaf, closed = json.load(open(sys.argv[1]))
		assert good["pass"] is True and good["address"] == "198.51.100.11:443", good
		assert good["versions"] == {"1.0": False, "1.1": False, "1.2": True, "1.3": True}
		assert good["version"] == "1.3" and good["cipher"] in ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256")
		assert [c["subject"] for c in good["chain"]] == ["CN=api.example.com", "CN=Lab Intermediate,O=Lab"]
		assert list(good["platforms"]) == ["ios", "android", "devtools", "strict"]
		assert [p["counts"] for p in good["platforms"].values()] == [True, True, True, False]
		assert good["platforms"]["devtools"]["rules"]["lifetime"] is None
		assert good["platforms"]["ios"]["rules"]["lifetime"] == {"result": "ok"}
		rule = leaf["platforms"]["ios"]["rules"]["complete"]
		assert leaf["pass"] is False and rule["code"] == 20 and rule["depth"] == 0, leaf
		assert rule["error"] == "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
		assert "install fullchain" in rule["sentence"]
		assert leaf["platforms"]["ios"]["rules"]["trusted"] is None
		assert closed["pass"] is False and "refused" in closed["error"]
	END
}

@test "without the verifier nothing is said to be good" {
	# where the command has two parts, both
	cp "$NETLEASH"* "$BATS_TEST_TMPDIR/"
	run -111 --separate-stderr "$BATS_TEST_TMPDIR/netleash" cert api.example.com
	grep -q 'verifier cannot be loaded' <<< "$stderr"
	[ -z "$output" ]
	printf 'x' > "$BATS_TEST_TMPDIR/libnetleash-verify.so"
	run -111 "$BATS_TEST_TMPDIR/netleash" cert api.example.com
}

@test "a store that is a bundle alone, and local additions (own mount namespace)" {
	unshare --mount true 2> /dev/null || skip "no mount namespaces here"
	mkdir "$BATS_TEST_TMPDIR/certs"
	cat "$LAB_CA_BUNDLE" > "$BATS_TEST_TMPDIR/bundle.crt"
	run -0 unshare --mount bash -ec '
		mount -t tmpfs none /etc/ssl/certs
		cp "$1/bundle.crt" /etc/ssl/certs/ca-certificates.crt
		"$2" cert api.example.com' - "$BATS_TEST_TMPDIR" "$NETLEASH"
	row "trusted root" "ok ok ok ok"
	# 400 days: too long below a preinstalled root, fine below one that was added on this machine
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 400 -subj /CN=L \
		-keyout "$BATS_TEST_TMPDIR/leaf.key" -out "$BATS_TEST_TMPDIR/leaf.pem" \
		-CA "$LAB_PKI/ca.pem" -CAkey "$LAB_PKI/ca.key" -addext subjectAltName=DNS:a.example.com \
		-addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth
	cert 102 --file "$BATS_TEST_TMPDIR/leaf.pem" --host a.example.com
	row lifetime "FAIL FAIL - FAIL"
	run -0 unshare --mount bash -ec '
		mount -t tmpfs none /usr/local/share
		mkdir -p /usr/local/share/ca-certificates/lab
		cp "$3" /usr/local/share/ca-certificates/lab/root.crt
		"$2" cert --file "$1/leaf.pem" --host a.example.com' - "$BATS_TEST_TMPDIR" "$NETLEASH" "$LAB_CA"
	row lifetime "ok ok - FAIL"
}
