#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pki_defects.sh DIR [NOW] - certificates that are sound, or have one defect each, with fresh keys
#
#   NAME.pem       a served chain, leaf first; tests/data/pki/expected.tsv says what becomes of it
#   store…/        trust stores (hashed directories), root.pem … the roots in them
#   *.sha256       digests for cert.distrust
#
#   keys           CHAIN KEY: whose key each chain's leaf has
#
# Dates lie around 2026-06-01: whoever verifies says what time it is. With NOW (seconds since 1970) those
# that are meant to be recent lie around NOW, for clients that ask the clock; those about rules that came
# into effect on a day (2019-07-01, 2020-09-01) stay where they are. Takes 3 to 5 s.
set -euo pipefail
umask 022
dir=${1:?usage: pki_defects.sh DIR [NOW]}
shift_s=$((${2:-1780272000} - 1780272000))
mkdir -p "$dir/w"
cd "$dir"

printf '[req]\ndistinguished_name = dn\n[dn]\n' >w/req.cnf
export OPENSSL_CONF=$PWD/w/req.cnf
# A machine's FIPS or legacy settings are not wanted, and neither is what it has in its environment.
unset OPENSSL_MODULES SSL_CERT_FILE SSL_CERT_DIR
: >log
: >keys

# at STAMP: that moment, moved with NOW
at()
{
	if [ "$shift_s" = 0 ]; then
		echo "$1"
	else
		date -u -d "${1:0:8} ${1:8:2}:${1:10:2}:${1:12:2} UTC + $shift_s seconds" +%Y%m%d%H%M%S
	fi
}
START=$(at 20260501000000) END=$(at 20260729235959)

LEAF='basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
CA='basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
ROOT='basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash'
SAN='subjectAltName=DNS:api.example.com'

# key NAME ARGS: NAME.key and NAME.csr, from openssl genpkey ARGS
key()
{
	local name=$1

	shift
	openssl genpkey "$@" -out "$name.key" 2>>log
	openssl req -new -key "$name.key" -subj /CN=x -out "$name.csr" 2>>log
}
ec()
{
	key "$1" -algorithm EC -pkeyopt ec_paramgen_curve:"${2:-P-256}"
}

# issue NAME ISSUER KEY SUBJECT START END EXTENSIONS [OPTION …]: NAME.crt; ISSUER "self" or a NAME
# whose .crt and .key (or .signer) are there. Environment: serial=HEX
issue()
{
	local name=$1 issuer=$2 key=$3 subject=$4 start=$5 end=$6 ext=$7 by work=w/$1

	shift 7
	mkdir -p "$work"
	: >"$work/index"
	echo "${serial:-$(printf '4%07x%08x' $RANDOM $((RANDOM * 32768 + RANDOM)))}" >"$work/serial"
	printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=$work/index" "serial=$work/serial" \
		"new_certs_dir=$work" 'default_md=sha256' 'policy=p' ${ext:+x509_extensions=x} \
		'unique_subject=no' '[p]' 'commonName=optional' 'organizationName=optional' \
		'organizationalUnitName=optional' 'countryName=optional' ${ext:+'[x]' "$ext"} >"$work/cnf"
	if [ "$issuer" = self ]; then
		by=(-selfsign -keyfile "$key.key")
	else
		by=(-cert "$issuer.crt" -keyfile "$(cat "w/$issuer/key" 2>/dev/null || echo "$issuer").key")
	fi
	echo "$key" >"$work/key"
	openssl ca -batch -notext -utf8 -preserveDN -config "$work/cnf" "${by[@]}" -startdate "${start}Z" \
		-enddate "${end}Z" -subj "$subject" -in "$key.csr" -out "$name.crt" "$@" 2>>log ||
		{ echo "pki_defects.sh: $name" >&2; return 1; }
}
# leaf NAME [EXTENSIONS [START [END [OPTION …]]]]: by the intermediate, from START, 90 days
leaf()
{
	local name=$1 ext=${2-$LEAF
$SAN} start=${3:-$START} end=${4:-$END}

	shift $(($# > 4 ? 4 : $#))
	issue "$name" "${by:-inter}" "${with:-leaf}" "${subject-/CN=api.example.com}" "$start" "$end" \
		"$ext" "$@"
}
# chain NAME CRT …: the served chain
chain()
{
	local name=$1 crt

	shift
	for crt; do
		cat "$crt.crt"
	done >"$name.pem"
	echo "$name $(cat "w/$1/key")" >>keys
}
# plain NAME …: the leaf of that name and the intermediate
plain()
{
	leaf "$@"
	chain "$1" "$1" inter
}
store()
{
	local store=$1 root

	shift
	mkdir -p "$store"
	for root; do
		cp "$root.crt" "$store/$root.pem"
	done
	openssl rehash "$store" 2>>log
}
# later START DAYS SECONDS: that end of a period of so long, both ends included
later()
{
	local start=$1

	date -u -d "${start:0:8} ${start:8:2}:${start:10:2}:${start:12:2} UTC + $2 days + $(($3 - 1)) seconds" \
		+%Y%m%d%H%M%S
}

# ---- keys; the slow ones beside the rest
slow=()
key rsa4096 -algorithm RSA -pkeyopt rsa_keygen_bits:4096 & slow+=($!)
key rsa2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048 & slow+=($!)
key rsa2047 -algorithm RSA -pkeyopt rsa_keygen_bits:2047 & slow+=($!)
key rsapss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 & slow+=($!)
for name in root inter leaf other old second; do
	ec $name
done
ec p192 prime192v1
ec p224 secp224r1
ec p384 secp384r1
ec p521 secp521r1
key explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
key ed25519 -algorithm ED25519
key ed448 -algorithm ED448
key rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
# Domain parameters are no secret, and making them takes long.
cat >w/dsa.param <<'END'
-----BEGIN DSA PARAMETERS-----
MIICKQKCAQEA7Cq1zlrvmHS/NZpx0ZF0La8mLRiuuNXnRUcoteoSBgXFesJDig5b
mXafxcQtZML9jhE6aoTfIDMgkTN/h6RQdA5Vq/D5lSezxrm/RMzzZsf8xYUVcPMh
xCAX+tbuxwYta0WtGEkbjE6BpM3Ha/Xl13bS7Baife5P0gCIM0zawYLJhuJWBEjT
clHgiSLt7qoKplCPZBmzMZNp3LMjPtyWOyMoMmC5otx8lUAaP9jKwPY4Yh5muXjD
ijaJjyEjr+1sr41TTcbqrSqcEz21pxsRp+qK9iriq65kgLU8puxRkPZT0nJGCYQR
R0eMbDqx/TDGMYXTCFaeiY+yNoVKw9rZ9wIdAJKYVS/n3/iZFqfX/V16r7aA28nP
bA+W1fQ7fKkCggEBAM6uLWR3E9pL+giqJO9i3GsCM4yb3nfIqP7sl3H3hAzLhiI0
RE7G1mAQfYpoU+R7eeQ3+vmgGset20MJm1vaI59lCmIb+g+exAvbSiDus7gxOp2e
XEzTw85YPcgg5derVy0842h8iXyVLKVc//0Rqin7b44wS81JF/Ej+CGwby5WgH17
NAT51eb4tl9xnmv9gNDDufxqv1IVehxvuY20vqIDmbEuYVg5qM4RTG1h2BumOH3I
lDgbwDSqnt+abK6sZxPoqqK80mPIYAPK26/lNVB3xHYlV/MViGdj9oaFp+cEkOYO
QTw7FYaJUrAJ/gk/00QE9QtNv/6zZo4BQkDnxH0=
-----END DSA PARAMETERS-----
END
key dsa -paramfile w/dsa.param

# ---- the authorities
FROM=20150101000000 TO=20450101000000
R='/O=Test/CN=Test Root'
I='/O=Test/CN=Test Intermediate'
issue root self root "$R" $FROM $TO "$ROOT"
issue inter root inter "$I" $FROM $TO "$CA"
issue other self other '/O=Test/CN=Unknown Root' $FROM $TO "$ROOT"
issue otherinter other second '/O=Test/CN=Unknown Intermediate' $FROM $TO "$CA"
issue oldroot self old '/O=Test/CN=Old Root' $FROM "$(at 20260101000000)" "$ROOT"

store store root
store store-empty
store store-inter root inter
store store-old oldroot
openssl x509 -in root.crt -outform DER | sha256sum | cut -d' ' -f1 >root.sha256
openssl x509 -in inter.crt -outform DER | sha256sum | cut -d' ' -f1 >inter.sha256

# ---- time
plain good
plain not-yet "$LEAF
$SAN" "$(at 20260602000000)" "$(at 20260801000000)"
plain leaf-expired "$LEAF
$SAN" "$(at 20260301000000)" "$(at 20260530000000)"
plain ends-now "$LEAF
$SAN" "$START" "$(at 20260601000000)"
plain ends-next-second "$LEAF
$SAN" "$START" "$(at 20260601000001)"
issue inter-expired root inter "$I" $FROM "$(at 20260101000000)" "$CA"
chain inter-expired good inter-expired
by=oldroot leaf root-expired
chain root-expired root-expired
lasting()
{
	plain "$1" "$LEAF
$SAN" "$2" "$(later "$2" "$3" "$4")"
}
lasting days-398 "$START" 398 0
lasting days-398-1s "$START" 398 1
lasting days-398-1s-before 20200831235959 398 1
lasting days-398-1s-at 20200901000000 398 1
lasting days-825 20200101000000 825 0
lasting days-825-1s 20200101000000 825 1
lasting days-825-1s-at 20190701000000 825 1
lasting days-825-1s-before 20190630235959 825 1
lasting days-825-1s-new "$START" 825 1
lasting days-1200-old 20180301000000 1200 0

# ---- chain
chain leaf-only good
chain reversed good root inter
issue stranger other second /CN=stranger $FROM $TO "$CA"
chain extra-stranger good stranger inter
chain duplicates good good inter inter root
chain with-root good inter root
leaf aia "$LEAF
$SAN
authorityInfoAccess=caIssuers;URI:http://aia.example.com/inter.crt"
chain aia-only aia
by=otherinter leaf unknown
chain unknown-root-sent unknown otherinter other
chain unknown-root unknown otherinter
chain wrong-intermediate good otherinter
# a root of the same name with another key; without and with key identifiers
NOID=${CA/authorityKeyIdentifier=keyid/}
issue namesake self second "$R" $FROM $TO "${ROOT/subjectKeyIdentifier=hash/subjectKeyIdentifier=none}"
issue inter-noid root inter "$I" $FROM $TO "${NOID}authorityKeyIdentifier=none"
chain namesake-noid good inter-noid
issue namesake-id self second "$R" $FROM $TO "$ROOT"
store store-namesake namesake
store store-namesake-id namesake-id
store store-namesakes namesake root
chain namesake good inter
# a root that was renewed with its key, from next year on
issue root-future self root "$R" "$(at 20270101000000)" 20480101000000 "$ROOT"
store store-renewed root-future root
# a cross-signed root: the server still sends the way to the expired one
issue root-cross oldroot root "$R" $FROM $TO "$CA"
chain cross-signed good inter root-cross
chain cross-signed-expired good inter root-cross oldroot
store store-both root oldroot
issue selfsigned self leaf '/CN=api.example.com' "$START" "$END" "${LEAF/authorityKeyIdentifier=keyid/}
$SAN"
chain selfsigned selfsigned
store store-self root selfsigned
# eight intermediates
above=root
long=()
for n in 1 2 3 4 5 6 7 8; do
	issue "long$n" $above inter "/O=Test/CN=Long $n" $FROM $TO "$CA"
	above=long$n
	long=("long$n" "${long[@]}")
done
by=long8 leaf long-leaf
chain long long-leaf "${long[@]}"
chain long-unordered long-leaf long3 long8 long1 long5 long2 long7 long4 long6
chain long-gap long-leaf long8 long7 long6 long4 long3 long2 long1
hundred=()
for n in {1..99}; do
	hundred+=(inter)
done
chain certs-100 good "${hundred[@]}"
chain certs-101 good "${hundred[@]}" inter
for name in empty signature-broken signature-broken-inter algorithm-differs bytes-behind truncated \
	inter-damaged no-certificate; do
	echo "$name leaf" >>keys
done
: >empty.pem

# ---- name
named()
{
	local name=$1

	plain "$name" "$LEAF
subjectAltName=$2"
}
named other-host DNS:www.example.com
leaf cn-only "$LEAF"
chain cn-only cn-only inter
named wildcard 'DNS:*.example.com'
named wildcard-test 'DNS:*.test'
named wildcard-partial 'DNS:a*.example.com'
named wildcard-all 'DNS:*'
named wildcard-two 'DNS:*.*.example.com'
named wildcard-inner 'DNS:api.*.com'
named ip IP:192.0.2.1,IP:2001:db8::1
named ip-as-dns DNS:192.0.2.1
named ip-only IP:192.0.2.1
named trailing-dot DNS:api.example.com.
named upper-case DNS:API.Example.COM
named a-label DNS:xn--bcher-kva.example.com
# DER: the bytes of the extension
plain nul "$LEAF
subjectAltName=DER:30:1e:82:1c:$(printf 'api.example.com\0.example.net' | od -An -tx1 -v | xargs | tr ' ' :)"
plain u-label "$LEAF
subjectAltName=DER:30:15:82:13:$(printf 'b\303\274cher.example.com' | od -An -tx1 -v | xargs | tr ' ' :)"
named email-only email:api@example.com
thousand=''
for n in {1..999}; do
	thousand+="DNS:host$n.example.com,"
done
named thousand-names "${thousand}DNS:api.example.com"
subject=/ plain empty-subject "$LEAF
subjectAltName=critical,DNS:api.example.com"

# ---- use
EKU=extendedKeyUsage=serverAuth
plain no-eku "${LEAF/$EKU/}
$SAN"
plain no-eku-old "${LEAF/$EKU/}
$SAN" 20190630235959 20200930000000
plain no-eku-at "${LEAF/$EKU/}
$SAN" 20190701000000 20200730000000
plain eku-client "${LEAF/$EKU/extendedKeyUsage=clientAuth}
$SAN"
plain eku-any "${LEAF/$EKU/extendedKeyUsage=anyExtendedKeyUsage}
$SAN"
plain eku-both "${LEAF/$EKU/extendedKeyUsage=clientAuth,serverAuth,1.2.3.4}
$SAN"
plain no-signature-use "${LEAF/digitalSignature/cRLSign}
$SAN"
plain no-ku "${LEAF/keyUsage=critical,digitalSignature/}
$SAN"
plain leaf-ca "${CA/keyCertSign/digitalSignature,keyCertSign}
$EKU
$SAN"
issue inter-noca root inter "$I" $FROM $TO "${CA/CA:TRUE/CA:FALSE}"
chain inter-no-ca good inter-noca
issue inter-nosign root inter "$I" $FROM $TO "${CA/keyCertSign,/}"
chain inter-no-certsign good inter-nosign
issue inter-nocrit root inter "$I" $FROM $TO "${CA/critical,CA:TRUE/CA:TRUE}"
chain inter-not-critical good inter-nocrit
issue inter-eku root inter "$I" $FROM $TO "$CA
extendedKeyUsage=clientAuth"
chain inter-eku-client good inter-eku
issue path0 root second '/O=Test/CN=Path 0' $FROM $TO "${CA/CA:TRUE/CA:TRUE,pathlen:0}"
issue path0-below path0 inter '/O=Test/CN=Below' $FROM $TO "$CA"
by=path0-below leaf path-length
chain path-length path-length path0-below path0
by=path0 leaf path-length-good
chain path-length-good path-length-good path0
constrained()
{
	issue "nc-$1" root second "/O=Test/CN=Constrained $1" $FROM $TO "$CA
nameConstraints=critical,$2"
	by=nc-$1 leaf "constraint-$1"
	chain "constraint-$1" "constraint-$1" "nc-$1"
}
constrained permitted 'permitted;DNS:example.com'
constrained other 'permitted;DNS:example.org'
constrained excluded 'excluded;DNS:example.com'
constrained mail 'permitted;email:example.org'
plain critical-unknown "$LEAF
$SAN
1.2.3.4.5.6=critical,DER:05:00"
plain unknown-extension "$LEAF
$SAN
1.2.3.4.5.6=DER:05:00"
subject=/CN=api.example.com leaf v1 ''
chain v1 v1 inter

# ---- crypto
wait "${slow[@]}"
for kind in p192 p224 p384 p521 explicit ed25519 ed448 rsa1024 rsa2047 rsa2048 rsa4096 rsapss dsa; do
	with=$kind plain "key-$kind"
done
# a signer of each kind, with a sound leaf below it
signer()
{
	issue "by-$1" root "$1" "/O=Test/CN=By $1" $FROM $TO "$CA"
	by=by-$1 leaf "signed-$1" "$LEAF
$SAN" "$START" "$END" "${@:2}"
	chain "signed-$1" "signed-$1" "by-$1"
}
signer rsa1024
signer rsa2048
signer p224
signer p384
signer ed25519 -md null
signer rsapss
issue weakroot self rsa1024 '/O=Test/CN=Weak Root' $FROM $TO "$ROOT"
by=weakroot leaf root-rsa1024
chain root-rsa1024 root-rsa1024
issue sha1root self second '/O=Test/CN=SHA-1 Root' $FROM $TO "$ROOT" -md sha1
by=sha1root leaf root-sha1
chain root-sha1 root-sha1
store store-weak weakroot sha1root
by=by-rsa2048 leaf signed-pss "$LEAF
$SAN" "$START" "$END" -sigopt rsa_padding_mode:pss
chain signed-pss signed-pss by-rsa2048
plain leaf-sha1 "$LEAF
$SAN" "$START" "$END" -md sha1
by=by-rsa2048 leaf leaf-md5 "$LEAF
$SAN" "$START" "$END" -md md5
chain leaf-md5 leaf-md5 by-rsa2048
issue inter-sha1 root inter "$I" $FROM $TO "$CA" -md sha1
chain inter-sha1 good inter-sha1
plain leaf-sha384 "$LEAF
$SAN" "$START" "$END" -md sha384
serial=7f00000000000000000000000000000000000000000000000a plain serial-25-bytes
python3 - <<'END'
import base64
import re


def read(name):
    return base64.b64decode("".join(re.findall(
        "-----BEGIN CERTIFICATE-----(.*?)-----END", open(name + ".crt").read(), re.S)[0].split()))


def write(name, der, *others):
    text = "".join("-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" %
                   base64.encodebytes(d).decode() for d in (der, *others))
    open(name + ".pem", "w").write(text)


good, inter = read("good"), read("inter")
broken = bytearray(good)
broken[-1] ^= 1
write("signature-broken", bytes(broken), inter)
broken = bytearray(inter)
broken[-1] ^= 1
write("signature-broken-inter", good, bytes(broken))
# ecdsa-with-SHA256 outside becomes ecdsa-with-SHA384
oid = bytes.fromhex("06082a8648ce3d040302")
at = good.rindex(oid)
write("algorithm-differs", good[:at + 9] + b"\x03" + good[at + 10:], inter)
write("bytes-behind", good + b"\0", inter)
write("truncated", good[:-9], inter)
write("inter-damaged", good, inter[:-40])
write("no-certificate", b"\x30\x03\x02\x01\x01", inter)
END

rm -rf w ./*.csr
