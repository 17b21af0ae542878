/* SPDX-License-Identifier: MIT */
/* Certificates for people. Their texts come from the network: nothing of them reaches a terminal
 * unchecked, and nothing is invalid UTF-8. */
#include "inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

/* Length of the well-formed character at @text, 0: none (RFC 3629 section 4) */
static size_t character(const unsigned char *text, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = text[0] < 0x80   ? 1
		      : text[0] < 0xc2 ? 0
		      : text[0] < 0xe0 ? 2
		      : text[0] < 0xf0 ? 3
		      : text[0] < 0xf5 ? 4
				       : 0;
	uint32_t code = size < 2 ? text[0] : text[0] & (0x7fu >> size);

	if (size == 0 || size > len)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret = code;
	return size;
}

/* Controls, and what turns the direction of a line or is not to be seen. */
static bool is_unfit(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code < 0x2010) ||
	       (code >= 0x2028 && code < 0x202f) || (code >= 0x2060 && code < 0x2070) ||
	       code == 0xfeff;
}

void leash_text_copy(char *buf, size_t size, const char *text, size_t len)
{
	const unsigned char *from = (const unsigned char *)text;
	size_t at = 0;

	while (len > 0) {
		uint32_t code = 0;
		size_t step = character(from, len, &code);
		bool good = step > 0 && !is_unfit(code);
		size_t put = good ? step : 1;

		if (at + put >= size)
			break;
		if (good)
			memcpy(buf + at, from, step);
		else
			buf[at] = '?';
		at += put;
		from += step ? step : 1;
		len -= step ? step : 1;
	}
	buf[at] = '\0';
}

void leash_text_name(const X509_NAME *name, char *buf, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len = 0;

	buf[0] = '\0';
	if (bio && X509_NAME_print_ex(bio, name, 0,
				      XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
		len = BIO_get_mem_data(bio, &text);
	if (len > 0 && text)
		leash_text_copy(buf, size, text, (size_t)len);
	else
		snprintf(buf, size, "(no name)");
	BIO_free(bio);
}

void leash_text_brief(const X509_NAME *name, char *buf, size_t size)
{
	static const int nids[] = {NID_commonName, NID_organizationalUnitName,
				   NID_organizationName};

	for (size_t i = 0; i < sizeof(nids) / sizeof(nids[0]); i++) {
		int at = X509_NAME_get_index_by_NID(name, nids[i], -1);
		unsigned char *text = NULL;
		int len;

		if (at < 0)
			continue;
		len = ASN1_STRING_to_UTF8(&text,
					  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
		if (len > 0) {
			leash_text_copy(buf, size, (const char *)text, (size_t)len);
			OPENSSL_free(text);
			return;
		}
		OPENSSL_free(text);
	}
	leash_text_name(name, buf, size);
}

bool leash_text_time(const ASN1_TIME *when, char *buf, size_t size, int64_t *ret_s)
{
	struct tm tm;

	buf[0] = '\0';
	if (ASN1_TIME_to_tm(when, &tm) != 1)
		return false;
	strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
	*ret_s = (int64_t)timegm(&tm);
	return true;
}

void leash_text_date(int64_t when_s, char *buf, size_t size)
{
	time_t when = (time_t)when_s;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || !strftime(buf, size, "%Y-%m-%d", &tm))
		snprintf(buf, size, "?");
}

static void key_text(X509 *cert, char *buf, size_t size)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	char group[24] = "";

	if (!type)
		snprintf(buf, size, "unknown");
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		 EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		snprintf(buf, size, "%s %d %s", type, EVP_PKEY_get_bits(key), group);
	else if (strncmp(type, "ED", 2) == 0)
		snprintf(buf, size, "%s", type);
	else
		snprintf(buf, size, "%s %d", type, EVP_PKEY_get_bits(key));
}

int leash_text_describe(const struct leash_der *der, struct leash_cert_facts *ret)
{
	X509 *cert = leash_verifier_parse(der);
	const char *signature;
	unsigned int len = sizeof(ret->sha256);

	if (!cert)
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	leash_text_name(X509_get_subject_name(cert), ret->subject, sizeof(ret->subject));
	leash_text_name(X509_get_issuer_name(cert), ret->issuer, sizeof(ret->issuer));
	key_text(cert, ret->key, sizeof(ret->key));
	signature = OBJ_nid2ln(X509_get_signature_nid(cert));
	snprintf(ret->signature, sizeof(ret->signature), "%s", signature ? signature : "unknown");
	leash_text_time(X509_get0_notBefore(cert), ret->not_before, sizeof(ret->not_before),
			&ret->not_before_s);
	leash_text_time(X509_get0_notAfter(cert), ret->not_after, sizeof(ret->not_after),
			&ret->not_after_s);
	ret->self_signed = X509_self_signed(cert, 0) == 1;
	X509_digest(cert, EVP_sha256(), ret->sha256, &len);
	X509_free(cert);
	ERR_clear_error();
	return 0;
}

const char *leash_text_code(int code)
{
#define CODE(name) [X509_V_ERR_##name] = #name
	static const char *const names[] = {
		[X509_V_OK] = "OK",
		CODE(UNSPECIFIED),
		CODE(UNABLE_TO_GET_ISSUER_CERT),
		CODE(UNABLE_TO_DECRYPT_CERT_SIGNATURE),
		CODE(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY),
		CODE(CERT_SIGNATURE_FAILURE),
		CODE(CERT_NOT_YET_VALID),
		CODE(CERT_HAS_EXPIRED),
		CODE(ERROR_IN_CERT_NOT_BEFORE_FIELD),
		CODE(ERROR_IN_CERT_NOT_AFTER_FIELD),
		CODE(OUT_OF_MEM),
		CODE(DEPTH_ZERO_SELF_SIGNED_CERT),
		CODE(SELF_SIGNED_CERT_IN_CHAIN),
		CODE(UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
		CODE(UNABLE_TO_VERIFY_LEAF_SIGNATURE),
		CODE(CERT_CHAIN_TOO_LONG),
		CODE(CERT_REVOKED),
		CODE(NO_ISSUER_PUBLIC_KEY),
		CODE(PATH_LENGTH_EXCEEDED),
		CODE(INVALID_PURPOSE),
		CODE(CERT_UNTRUSTED),
		CODE(CERT_REJECTED),
		CODE(SUBJECT_ISSUER_MISMATCH),
		CODE(AKID_SKID_MISMATCH),
		CODE(AKID_ISSUER_SERIAL_MISMATCH),
		CODE(KEYUSAGE_NO_CERTSIGN),
		CODE(UNHANDLED_CRITICAL_EXTENSION),
		CODE(INVALID_NON_CA),
		CODE(PROXY_PATH_LENGTH_EXCEEDED),
		CODE(KEYUSAGE_NO_DIGITAL_SIGNATURE),
		CODE(PROXY_CERTIFICATES_NOT_ALLOWED),
		CODE(INVALID_EXTENSION),
		CODE(INVALID_POLICY_EXTENSION),
		CODE(NO_EXPLICIT_POLICY),
		CODE(UNSUPPORTED_EXTENSION_FEATURE),
		CODE(UNNESTED_RESOURCE),
		CODE(PERMITTED_VIOLATION),
		CODE(EXCLUDED_VIOLATION),
		CODE(SUBTREE_MINMAX),
		CODE(APPLICATION_VERIFICATION),
		CODE(UNSUPPORTED_CONSTRAINT_TYPE),
		CODE(UNSUPPORTED_CONSTRAINT_SYNTAX),
		CODE(UNSUPPORTED_NAME_SYNTAX),
		CODE(PATH_LOOP),
		CODE(HOSTNAME_MISMATCH),
		CODE(IP_ADDRESS_MISMATCH),
		CODE(EE_KEY_TOO_SMALL),
		CODE(CA_KEY_TOO_SMALL),
		CODE(CA_MD_TOO_WEAK),
		CODE(INVALID_CALL),
		CODE(STORE_LOOKUP),
		CODE(PROXY_SUBJECT_NAME_VIOLATION),
		CODE(UNSUPPORTED_SIGNATURE_ALGORITHM),
		CODE(SIGNATURE_ALGORITHM_MISMATCH),
		CODE(SIGNATURE_ALGORITHM_INCONSISTENCY),
		CODE(INVALID_CA),
		CODE(PATHLEN_INVALID_FOR_NON_CA),
		CODE(PATHLEN_WITHOUT_KU_KEY_CERT_SIGN),
		CODE(KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA),
		CODE(ISSUER_NAME_EMPTY),
		CODE(SUBJECT_NAME_EMPTY),
		CODE(MISSING_AUTHORITY_KEY_IDENTIFIER),
		CODE(MISSING_SUBJECT_KEY_IDENTIFIER),
		CODE(EMPTY_SUBJECT_ALT_NAME),
		CODE(EMPTY_SUBJECT_SAN_NOT_CRITICAL),
		CODE(CA_BCONS_NOT_CRITICAL),
		CODE(AUTHORITY_KEY_IDENTIFIER_CRITICAL),
		CODE(SUBJECT_KEY_IDENTIFIER_CRITICAL),
		CODE(CA_CERT_MISSING_KEY_USAGE),
		CODE(EXTENSIONS_REQUIRE_VERSION_3),
		CODE(EC_KEY_EXPLICIT_PARAMS),
	};
#undef CODE

	if (code < 0 || (size_t)code >= sizeof(names) / sizeof(names[0]) || !names[code])
		return "UNKNOWN";
	return names[code];
}
