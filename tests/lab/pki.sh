#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pki.sh DIR - make the test network's certificates in DIR, with fresh keys
#
#   ca.pem ca.key        the root ("preinstalled" inside the lab), ca.hash its OpenSSL subject hash
#   inter.pem inter.key  the intermediate that signs every leaf
#   NAME.pem NAME.key    leaf and intermediate, ready for a server
#
# Everything is P-256 and SHA-256, leaves last 90 days: good for the strictest platform, so that a
# certificate named after a defect has this one defect only.
set -euo pipefail
umask 022
dir=${1:?usage: pki.sh DIR}
mkdir -p "$dir"
cd "$dir"

ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256)
# The machine's configuration must not add extensions of its own.
printf '[req]\ndistinguished_name = dn\n[dn]\n' >req.cnf
export OPENSSL_CONF=$PWD/req.cnf

# leaf FILE COMMON-NAME SAN...: FILE.key, FILE.leaf
leaf()
{
	local file=$1 cn=$2 san='' n

	shift 2
	for n; do
		case $n in
		*:* | *[0-9].[0-9]*) san+=",IP:$n" ;;
		*) san+=",DNS:$n" ;;
		esac
	done
	openssl req -x509 "${ec[@]}" -CA inter.pem -CAkey inter.key -days 90 -subj "/CN=$cn" \
		-keyout "$file.key" -out "$file.leaf" -addext "subjectAltName=${san#,}" \
		-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
		-addext extendedKeyUsage=serverAuth 2>>log
}

chained()
{
	leaf "$@" && cat "$1.leaf" inter.pem >"$1.pem"
}

expired()
{
	# req cannot date back; ca can.
	mkdir -p old && : >old/index && echo 01 >old/serial
	printf '%s\n' '[ca]' 'default_ca = d' '[d]' 'database = old/index' 'serial = old/serial' \
		'new_certs_dir = old' 'default_md = sha256' 'policy = p' 'x509_extensions = x' '[p]' \
		'commonName = supplied' '[x]' 'basicConstraints = critical,CA:FALSE' \
		'keyUsage = critical,digitalSignature' 'extendedKeyUsage = serverAuth' \
		'subjectAltName = DNS:expired.example.com' >old/ca.cnf
	openssl req -new "${ec[@]}" -subj /CN=expired.example.com -keyout expired.key \
		-out old/csr 2>>log
	openssl ca -batch -notext -config old/ca.cnf -cert inter.pem -keyfile inter.key \
		-startdate "$(date -u -d '60 days ago' +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" \
		-in old/csr -out expired.leaf 2>>log
	cat expired.leaf inter.pem >expired.pem
	rm -r old
}

openssl req -x509 "${ec[@]}" -days 3650 -subj '/O=Lab/CN=Lab Root' -keyout ca.key -out ca.pem \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>>log
openssl x509 -in ca.pem -noout -subject_hash >ca.hash &
openssl req -x509 "${ec[@]}" -CA ca.pem -CAkey ca.key -days 1825 -keyout inter.key -out inter.pem \
	-subj '/O=Lab/CN=Lab Intermediate' -addext basicConstraints=critical,CA:TRUE,pathlen:0 \
	-addext keyUsage=critical,keyCertSign,cRLSign 2>>log

# The LAN peer is dialled by address as well.
chained www api.example.com '*.example.com' example.com a.api.example.com other.example.org \
	192.0.2.20 2001:db8:1::20 fe80::20 &
chained evil evil.example.net evil.example.net evil4.example.net api.example.com.corp.example &
chained shared-a shared-a.example.com shared-a.example.com &
chained shared-b shared-b.example.com shared-b.example.com &
chained wrongname elsewhere.example.org elsewhere.example.org &
expired &
{ leaf leafonly leafonly.example.com leafonly.example.com && cp leafonly.leaf leafonly.pem; } &
openssl req -x509 "${ec[@]}" -days 90 -subj /CN=selfsigned.example.com -keyout selfsigned.key \
	-out selfsigned.pem -addext subjectAltName=DNS:selfsigned.example.com \
	-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
	-addext extendedKeyUsage=serverAuth 2>>log &

status=0
for job in $(jobs -p); do
	wait "$job" || status=1
done
[ $status = 0 ] || cat log >&2
rm -f -- *.leaf req.cnf log
exit $status
