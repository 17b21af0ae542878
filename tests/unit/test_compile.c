/* SPDX-License-Identifier: MIT */
/*
 * Policy text -> faults with their places, or an image.
 *
 * Run in the top directory: the example and the man page are read from there.
 */
#include "tests/unit/compile_case.h"

#include <fcntl.h>
#include <signal.h>

#include "policy/compile/work.h"

#define OK      "domains: { request = [ \"https://ok.example.com\" ]; };\n" /* one line */
#define SUCH_AS "; accepted is a host name such as \"https://api.example.com\"\n"

/* The texts of the tree, read before we leave for a directory of our own. */
static char *example_text, *manual_text;

struct row {
	const char *label;
	const char *text;
	const char *expected;
};

static void expect_row(const struct row *row)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};

	case_text("p.cfg", row->text);
	case_expect(row->label, &options, row->expected);
}

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_row(&rows[i]);
}
#define EXPECT(rows) expect_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* -------------------------------------------------------------------- keys */

static void test_keys(void **state)
{
	static const struct row rows[] = {
		{"nothing to say", OK, ""},
		{"a key misspelt", OK "\nplatfrom = \"android\";",
		 "p.cfg:3: error: unknown key \"platfrom\"; did you mean \"platform\"?\n"},
		{"in other letters", OK "AppId = \"x\";",
		 "p.cfg:2: error: unknown key \"AppId\"; did you mean \"appid\"?\n"},
		{"in a group", OK "lan: { alow = true; };",
		 "p.cfg:2: error: unknown key \"lan.alow\"; did you mean \"lan.allow\"?\n"},
		{"two groups deep", OK "seal: { unix: { alow = []; }; };",
		 "p.cfg:2: error: unknown key \"seal.unix.alow\"; did you mean "
		 "\"seal.unix.allow\"?\n"},
		{"a group misspelt", OK "domain: { request = []; };",
		 "p.cfg:2: error: unknown key \"domain\"; did you mean \"domains\"?\n"},
		{"right, in the wrong place", OK "uploadFile = [];",
		 "p.cfg:2: error: unknown key \"uploadFile\"; did you mean "
		 "\"domains.uploadFile\"?\n"},
		{"near none", OK "lan: { zzzzzzzz = 1; };",
		 "p.cfg:2: error: unknown key \"lan.zzzzzzzz\"; accepted here is allow, address, "
		 "netmask, "
		 "require_tls, multicast\n"},
		{"of a group", OK "lan = true;",
		 "p.cfg:2: error: lan is true; accepted is a group, lan: { … }; with allow, "
		 "address, netmask, "
		 "require_tls, multicast\n"},
		{"a word", OK "platform = \"andriod\";",
		 "p.cfg:2: error: platform is \"andriod\"; accepted is \"android\", \"ios\", "
		 "\"devtools\" or "
		 "\"strict\"\n"},
		{"a word of another type", OK "platform = 5;",
		 "p.cfg:2: error: platform is the number 5; accepted is \"android\", \"ios\", "
		 "\"devtools\" or "
		 "\"strict\"\n"},
		{"a group for a word", OK "listen: { a = 1; };",
		 "p.cfg:2: error: listen is a group; accepted is \"deny\", \"lan\" or \"any\"\n"},
		{"a boolean", OK "skip_domain_check = 1;",
		 "p.cfg:2: error: skip_domain_check is the number 1; accepted is true or false\n"},
		{"a profile", OK "profile = \"game\";",
		 "p.cfg:2: error: profile is \"game\"; accepted is \"tcsas\", \"wechat\" or "
		 "\"build\"\n"},
		{"appid", OK "appid = \"a b\";",
		 "p.cfg:2: error: appid is \"a b\"; accepted is a string of letters, digits, '-', "
		 "'_' and '.', "
		 "such as \"wx0123456789abcdef\"\n"},
		{"version", OK "version = -1;",
		 "p.cfg:2: error: version is the number -1; accepted is a number, \"0\" or "
		 "\"devtools\"\n"},
		{"version, text", OK "version = \"1.2\";",
		 "p.cfg:2: error: version is \"1.2\"; accepted is a number, \"0\" or "
		 "\"devtools\"\n"},
		{"a list that is a string", "domains: { request = \"https://a.example.com\"; };",
		 "p.cfg:1: error: domains.request is \"https://a.example.com\"; accepted is an "
		 "array of host names "
		 "such as [ \"https://api.example.com\" ]\n"},
		{"a list of numbers", OK "domains_file = 5;",
		 "p.cfg:2: error: domains_file is the number 5; accepted is the path of a JSON "
		 "file, as a string\n"},
		{"timeout 0", OK "networkTimeout: { request = 0; };",
		 "p.cfg:2: error: networkTimeout.request is the number 0; accepted is a whole "
		 "number of "
		 "milliseconds from 1 to 60000\n"},
		{"timeout negative", OK "networkTimeout: { uploadFile = -1; };",
		 "p.cfg:2: error: networkTimeout.uploadFile is the number -1; accepted is a whole "
		 "number of "
		 "milliseconds from 1 to 60000\n"},
		{"timeout too long", OK "networkTimeout: { connectSocket = 60001; };",
		 "p.cfg:2: warning: networkTimeout.connectSocket is the number 60001, which works "
		 "as 60000, the "
		 "maximum\n"},
		{"timeout with a fraction", OK "networkTimeout: { request = 1.5; };",
		 "p.cfg:2: error: networkTimeout.request is the number 1.5; accepted is a whole "
		 "number of "
		 "milliseconds from 1 to 60000\n"},
		{"a limit", OK "limits: { request = -1; over = \"stop\"; };",
		 "p.cfg:2: error: limits.request is the number -1; accepted is a whole number from "
		 "0 (no limit) to "
		 "1024\n"
		 "p.cfg:2: error: limits.over is \"stop\"; accepted is \"warn\", \"fail\" or "
		 "\"queue\"\n"},
		{"a signal that is none of ours", OK "background: { signal = \"SIGKILL\"; };",
		 "p.cfg:2: error: background.signal is \"SIGKILL\"; accepted is a real-time signal "
		 "such as "
		 "\"SIGRTMIN+8\" (or its number), \"SIGUSR1\" or \"SIGUSR2\"\n"},
		{"a signal out of range", OK "background: { signal = \"SIGRTMIN+99\"; };",
		 "p.cfg:2: error: background.signal is \"SIGRTMIN+99\"; accepted is a real-time "
		 "signal such as "
		 "\"SIGRTMIN+8\" (or its number), \"SIGUSR1\" or \"SIGUSR2\"\n"},
		{"a port", OK "loopback: { allow_ports = [ 80, 0, 65536 ]; };",
		 "p.cfg:2: error: loopback.allow_ports[1] is the number 0; accepted is a port from "
		 "1 to 65535\n"
		 "p.cfg:2: error: loopback.allow_ports[2] is the number 65536; accepted is a port "
		 "from 1 to "
		 "65535\n"},
		{"all ports", OK "loopback: { allow_ports = \"all\"; };",
		 "p.cfg:2: error: loopback.allow_ports is \"all\"; accepted is \"any\" or an array "
		 "of ports such as "
		 "[ 9229 ]\n"},
		{"a digest", OK "cert: { distrust = [ \"00:11\" ]; };",
		 "p.cfg:2: error: cert.distrust[0] is \"00:11\"; accepted is the SHA-256 of a "
		 "certificate, 64 "
		 "hexadecimal digits\n"},
		{"a root that is not there", OK "cert: { extra_ca = \"gone.pem\"; };",
		 "p.cfg:2: error: \"gone.pem\" cannot be opened: No such file or directory\n"},
		{"a root that is none", OK "cert: { extra_ca = [ \"p.cfg\" ]; };",
		 "p.cfg:2: error: \"p.cfg\" holds no certificate; accepted is PEM, with -----BEGIN "
		 "CERTIFICATE-----\n"},
		{"a directory that is none", OK "cert: { trust_dir = \"p.cfg\"; };",
		 "p.cfg:2: error: cert.trust_dir is \"p.cfg\", which is no directory; accepted is "
		 "a directory of "
		 "certificates under their hashed names, or \"\"\n"},
		{"a header in the Referer", OK "referer = \"https://x/\\r\\nX: y\";",
		 "p.cfg:2: error: referer is \"https://x/\\x0d\\x0aX: y\"; accepted is \"\", or a "
		 "URL that may hold "
		 "{appid} and {version}\n"},
		{"a place in the Referer", OK "referer = \"https://x/{name}\";",
		 "p.cfg:2: error: referer is \"https://x/{name}\"; accepted is \"\", or a URL that "
		 "may hold {appid} "
		 "and {version}\n"},
		{"a server", OK "dns: { servers = [ \"ns.example.com\" ]; };",
		 "p.cfg:2: error: dns.servers[0] is \"ns.example.com\"; accepted is an address "
		 "such as "
		 "\"192.0.2.53\" or \"2001:db8::53\"\n"
		 "p.cfg:2: warning: dns.servers is checked, and not used by this version\n"},
		{"what the image has no place for",
		 OK "seal: { direct = \"never\"; unix: { mode = \"listed\"; }; };",
		 "p.cfg:2: warning: seal.direct is checked, and not used by this version\n"
		 "p.cfg:2: warning: seal.unix.mode is checked, and not used by this version\n"},
		{"a pattern", OK "seal: { unix: { allow = [ \"x\" ]; }; };",
		 "p.cfg:2: error: seal.unix.allow[0] is \"x\"; accepted is a pattern such as "
		 "\"/run/user/1000/pulse/*\" or \"@/tmp/.X11-unix/X0\"\n"
		 "p.cfg:2: warning: seal.unix.allow is checked, and not used by this version\n"},
		{"sorted by line, several a line",
		 "zzzz1 = 1;\n" OK "version = \"x\"; listen = 1;\nzzzz2 = 1;\n",
		 "p.cfg:1: error: unknown key \"zzzz1\"; accepted here is profile, appid, version, "
		 "platform, domains, "
		 "domains_file, networkTimeout, limits, background, lan, loopback, ports, listen, "
		 "cert, opaque_tls, "
		 "http2, referer, body, skip_domain_check, mode, events, seal, dns\n"
		 "p.cfg:3: error: version is \"x\"; accepted is a number, \"0\" or \"devtools\"\n"
		 "p.cfg:3: error: listen is the number 1; accepted is \"deny\", \"lan\" or "
		 "\"any\"\n"
		 "p.cfg:4: error: unknown key \"zzzz2\"; accepted here is profile, appid, version, "
		 "platform, domains, "
		 "domains_file, networkTimeout, limits, background, lan, loopback, ports, listen, "
		 "cert, opaque_tls, "
		 "http2, referer, body, skip_domain_check, mode, events, seal, dns\n"},
	};

	(void)state;
	EXPECT(rows);
}

static void test_contradictions(void **state)
{
	static const struct row rows[] = {
		{"an address without a mask", OK "lan: { address = \"192.168.1.2\"; };",
		 "p.cfg:2: error: lan.address stands without lan.netmask; accepted are both or "
		 "none\n"},
		{"a mask without an address", OK "lan: { netmask = 24; };",
		 "p.cfg:2: error: lan.netmask stands without lan.address; accepted are both or "
		 "none\n"},
		{"a mask with holes",
		 OK "lan: { address = \"192.168.1.2\"; netmask = \"255.0.255.0\"; };",
		 "p.cfg:2: error: lan.netmask is \"255.0.255.0\", whose ones and zeros are mixed; "
		 "accepted is a mask "
		 "such as \"255.255.255.0\", or a number of bits from 8 to 32 (128 for v6)\n"},
		{"a mask of everything",
		 OK "lan: { address = \"192.168.1.2\"; netmask = \"0.0.0.0\"; };",
		 "p.cfg:2: error: lan.netmask is \"0.0.0.0\"; accepted is a mask such as "
		 "\"255.255.255.0\", or a "
		 "number of bits from 8 to 32 (128 for v6)\n"},
		{"no address", OK "lan: { address = \"192.168.1\"; netmask = 24; };",
		 "p.cfg:2: error: lan.address is \"192.168.1\"; accepted is the address of an "
		 "interface such as "
		 "\"192.168.1.23\"\n"},
		{"no address of an interface",
		 OK "lan: { address = \"127.0.0.1\"; netmask = 24; };",
		 "p.cfg:2: error: lan.address is \"127.0.0.1\"; accepted is the address of an "
		 "interface such as "
		 "\"192.168.1.23\"\n"},
		{"bits of v6", OK "lan: { address = \"192.168.1.2\"; netmask = 64; };",
		 "p.cfg:2: error: lan.netmask has 64 bits; accepted are at most 32 for the IPv4 "
		 "lan.address\n"},
		{"mask of v4",
		 OK "lan: { address = \"2001:db8::1\"; netmask = \"255.255.255.0\"; };",
		 "p.cfg:2: error: lan.netmask is a mask of IPv4, and lan.address is IPv6; accepted "
		 "is a number of "
		 "bits\n"},
		{"no LAN, but with multicast", OK "lan: { allow = false;\nmulticast = true; };",
		 "p.cfg:3: error: lan.multicast = true contradicts lan.allow = false; accepted is "
		 "one of them\n"},
		{"no LAN in a build", OK "profile = \"build\"; lan: { require_tls = true; };",
		 "p.cfg:2: error: lan.require_tls = true contradicts lan.allow = false of the "
		 "profile; accepted is one "
		 "of them\n"},
		{"a LAN in a build",
		 OK "profile = \"build\"; lan: { allow = true; require_tls = true; };", ""},
		{"no LAN, without multicast", OK "lan: { allow = false; multicast = false; };", ""},
		{"one signal for two",
		 OK "background: { signal = \"SIGUSR1\"; foreground_signal = \"SIGUSR1\"; };",
		 "p.cfg:2: error: background.signal and background.foreground_signal are both "
		 "signal 10; accepted are "
		 "two different ones\n"},
		{"audit and skip", OK "mode = \"audit\";\nskip_domain_check = true;",
		 "p.cfg:3: error: mode = \"audit\" contradicts skip_domain_check = true: the one "
		 "refuses nothing, the "
		 "other still some; accepted is one of them\n"},
		{"audit and no skip", OK "mode = \"audit\";\nskip_domain_check = false;", ""},
		{"nothing listed", "listen = \"deny\";",
		 "p.cfg: warning: no domain is listed, so every name is refused; list them in "
		 "domains: { request = [ … ]; }; "
		 "or in a domains_file\n"},
		{"nothing listed but the blocked", "domains: { blocked = [ \"a.example.com\" ]; };",
		 "p.cfg: warning: no domain is listed, so every name is refused; list them in "
		 "domains: { request = [ … ]; }; "
		 "or in a domains_file\n"},
		{"nothing listed, nothing refused", "mode = \"audit\";", ""},
		{"a name twice",
		 "domains: { request = [ \"https://a.example.com\",\n\"A.example.com.\" ];\nsocket "
		 "= [ \"a.example.com\" ]; };",
		 "p.cfg:2: warning: domains.request: \"A.example.com.\" stands in this list "
		 "already (p.cfg:1)\n"},
		{"a name listed and blocked",
		 "domains: { request = [ \"a.example.com\" ];\nblocked = [ \"a.example.com\" "
		 "];\nsocket = [ \"a.example.com\" ]; };",
		 "p.cfg:1: warning: domains.request: \"a.example.com\" is in domains.blocked as "
		 "well (p.cfg:2), which "
		 "beats every list\n"
		 "p.cfg:3: warning: domains.socket: \"a.example.com\" is in domains.blocked as "
		 "well (p.cfg:2), which "
		 "beats every list\n"},
	};

	(void)state;
	EXPECT(rows);
}

/* ----------------------------------------------------------------- entries */

/* One entry of a list, and what is said of it behind the quoted text; "" for nothing. */
struct entry_row {
	const char *list;
	const char *entry;
	const char *expected;
};

static void expect_entry(const char *head, const struct entry_row *row)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};
	char text[2048], expected[2048] = "";

	snprintf(text, sizeof(text), "%sdomains: { tcp = [ \"filler.example.org\" ]; };\n", head);
	if (strcmp(row->list, "tcp") == 0)
		snprintf(text, sizeof(text), "%sdomains: {\ntcp = [ \"%s\" ]; };\n", head,
			 row->entry);
	else
		snprintf(text, sizeof(text),
			 "%sdomains: { udp = [ \"filler.example.org\" ];\n%s = [ \"%s\" ]; };\n",
			 head, row->list, row->entry);
	if (*row->expected)
		snprintf(expected, sizeof(expected), "p.cfg:2: %s: domains.%s[0]: \"%s\" %s\n",
			 strncmp(row->expected, "is listed with", 14) == 0 ? "warning" : "error",
			 row->list, row->entry, row->expected);
	case_text("p.cfg", text);
	case_expect(row->entry, &options, expected);
}

#define HTTPS_NAME "; accepted is a host name such as \"https://api.example.com\""

static void test_entries(void **state)
{
	static const struct entry_row rows[] = {
		{"request", "https://api.example.com", ""},
		{"request", "HTTPS://API.example.com", ""},
		{"request", "api.example.com", ""},
		{"request", "api.example.com.", ""},
		{"request", "r3---sn-4g5e.example.com", ""},
		{"request", "xn--bcher-kva.example.com", ""},
		{"request", "bücher.example.com", ""},
		{"request", "127.example.com", ""},
		{"socket", "wss://play.example.com", ""},
		{"uploadFile", "https://up.example.com", ""},
		{"downloadFile", "https://cdn.example.com", ""},
		{"tcp", "tcp://game.example.com", ""},
		{"blocked", "http://ads.example.com", ""},
		{"blocked", "udp://ads.example.com", ""},
		{"request", "http://api.example.com",
		 "is listed with http://, but its requests must be https:// all the same"},
		{"socket", "ws://play.example.com",
		 "is listed with ws://, but its requests must be wss:// all the same"},
		{"request", "10.0.0.1", "is an IP address" HTTPS_NAME},
		{"request", "https://10.0.0.1", "is an IP address" HTTPS_NAME},
		{"request", "https://10.0.0.1:443/x", "is an IP address" HTTPS_NAME},
		{"request", "127.1", "is an IP address" HTTPS_NAME},
		{"request", "2130706433", "is an IP address" HTTPS_NAME},
		{"request", "0x7f000001", "is an IP address" HTTPS_NAME},
		{"request", "0177.0.0.1", "is an IP address" HTTPS_NAME},
		{"request", "::1", "is an IP address" HTTPS_NAME},
		{"request", "https://[2001:db8::1]", "is an IP address" HTTPS_NAME},
		{"request", "https://[::1]:8443/", "is an IP address" HTTPS_NAME},
		{"request", "fe80::1%eth0", "is an IP address" HTTPS_NAME},
		{"request", "::ffff:10.0.0.1", "is an IP address" HTTPS_NAME},
		{"request", "１２７.０.０.１", "is an IP address" HTTPS_NAME},
		{"request", "1.2.3.4.5", "ends in a number, as only addresses do" HTTPS_NAME},
		{"request", "localhost", "is this machine itself" HTTPS_NAME},
		{"request", "https://a.LOCALHOST.", "is this machine itself" HTTPS_NAME},
		{"request", "https://api.example.com:8443",
		 "has a port; accepted is \"https://api.example.com\", which admits every port (or "
		 "set ports = "
		 "\\exact\\)"},
		{"request", "https://api.example.com/",
		 "has a path; accepted is \"https://api.example.com\""},
		{"request", "api.example.com:80/x?y#z",
		 "has a path; accepted is \"api.example.com\""},
		{"request", "https://api.example.com?q=http://x/",
		 "has a query; accepted is \"https://api.example.com\""},
		{"request", "api.example.com#top",
		 "has a fragment; accepted is \"api.example.com\""},
		{"request", "https://me:secret@api.example.com",
		 "has user information (before the '@'); accepted is \"https://api.example.com\""},
		{"request", "*.example.com",
		 "holds a wildcard (sub-domains are listed one by one)" HTTPS_NAME},
		{"request", "*", "holds a wildcard (sub-domains are listed one by one)" HTTPS_NAME},
		{"request", "", "is empty" HTTPS_NAME},
		{"request", "https://", "has no host name" HTTPS_NAME},
		{"request", ".", "has an empty label" HTTPS_NAME},
		{"request", ".example.com", "has an empty label" HTTPS_NAME},
		{"request", "a..example.com", "has an empty label" HTTPS_NAME},
		{"request", "example.com..", "has an empty label" HTTPS_NAME},
		{"request", "intranet", "is a single label" HTTPS_NAME},
		{"request", "a_b.example.com", "holds a '_', which no host name has" HTTPS_NAME},
		{"request", "-a.example.com",
		 "has a label that begins or ends with '-'" HTTPS_NAME},
		{"request", "a.example-.com",
		 "has a label that begins or ends with '-'" HTTPS_NAME},
		{"request", "a b.example.com", "holds a blank or a control character" HTTPS_NAME},
		{"request", " api.example.com", "holds a blank or a control character" HTTPS_NAME},
		{"request", "a%62.example.com",
		 "holds a character that no host name has" HTTPS_NAME},
		{"request", "https:/api.example.com", "has a path" HTTPS_NAME},
		{"request", "wss://play.example.com",
		 "has a scheme that does not fit the list; accepted is https:// (wss:// belongs "
		 "into "
		 "domains.socket)"},
		{"socket", "https://api.example.com",
		 "has a scheme that does not fit the list; accepted is wss:// (https:// belongs "
		 "into "
		 "domains.request)"},
		{"request", "ftp://api.example.com",
		 "has a scheme that does not fit the list; accepted is https://"},
		{"tcp", "https://api.example.com",
		 "has a scheme that does not fit the list; accepted is tcp:// (https:// belongs "
		 "into "
		 "domains.request)"},
		{"tcp", "game.example.com:7000",
		 "has a port; accepted is \"game.example.com\", which admits every port (or set "
		 "ports = \\exact\\)"},
		{"blocked", "foo://ads.example.com",
		 "has a scheme that no list has; accepted is a host name such as "
		 "\"ads.example.com\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct entry_row row = rows[i];
		char expected[512];

		/* "\exact\" is "exact" in quotes, which would end the string above */
		snprintf(expected, sizeof(expected), "%s", row.expected);
		for (char *c = expected; *c; c++)
			if (*c == '\\')
				*c = '"';
		row.expected = expected;
		expect_entry("", &row);
	}
}

static void test_long_names(void **state)
{
	char label63[64], label64[65], name253[512], name254[512];
	struct entry_row rows[] = {
		{"request", label63, "is a single label" HTTPS_NAME},
		{"request", name253, ""},
	};
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};
	char text[1024];

	(void)state;
	memset(label63, 'a', 63);
	label63[63] = '\0';
	snprintf(label64, sizeof(label64), "%sb", label63);
	snprintf(name253, sizeof(name253), "%s.%s.%s.%.61s", label63, label63, label63, label63);
	snprintf(name254, sizeof(name254), "%s.%s.%s.%.62s", label63, label63, label63, label63);
	assert_int_equal(strlen(name253), 253);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_entry("", &rows[i]);

	snprintf(text, sizeof(text), "domains: { request = [ \"%s.example.com\",\n\"%s\" ]; };",
		 label64, name254);
	case_text("p.cfg", text);
	snprintf(text, sizeof(text),
		 "p.cfg:1: error: domains.request[0]: \"%s.example.com\" has a label longer than "
		 "63 bytes" HTTPS_NAME "\n"
		 "p.cfg:2: error: domains.request[1]: \"%.100s…\" is longer than 253 bytes, as no "
		 "host name is" HTTPS_NAME "\n",
		 label64, name254);
	case_expect("long ones", &options, text);
}

static void test_idn(void **state)
{
	static const struct {
		const char *text;
		int rc; /* 0: the length of .name */
		const char *name;
	} rows[] = {
		{"Bücher.Example", 0, "xn--bcher-kva.example"},
		{"xn--bcher-kva.example", 0, "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example.", 0, "xn--bcher-kva.example"},
		{"faß.example", 0, "xn--fa-hia.example"},      /* non-transitional */
		{"例え。テスト", 0, "xn--r8jz45g.xn--zckzah"}, /* U+3002 is a dot */
		{"exa\u00admple.com", 0, "example.com"},       /* soft hyphen: mapped to nothing */
		{"ＡＰＩ.example.com", 0, "api.example.com"},
		{"_sip.example.com", 0, "_sip.example.com"}, /* not an entry, but a name */
		{"localhost", 0, "localhost"},
		{"xn--zzzzzzzz999.example", -EILSEQ, NULL},
		{"a\xff.example", -EILSEQ, NULL},
		{"\u0301a.example", -EILSEQ, NULL}, /* a combining mark in front */
		{"", -EINVAL, NULL},
		{"a b", -EINVAL, NULL},
		{"ä..example", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[LEASH_NAME_SIZE] = "untouched";
		int rc = leash_compile_name(rows[i].text, strlen(rows[i].text), name);

		if (rows[i].name) {
			assert_string_equal(name, rows[i].name);
			assert_int_equal(rc, strlen(name));
		} else if (rc >= 0) {
			fail_msg("%s is taken for %s", rows[i].text, name);
		} else if (rows[i].rc == -EILSEQ) {
			assert_int_equal(rc, -EILSEQ);
		}
	}
}

static void test_entries_meet_their_names(void **state)
{
	struct leash_compiled compiled;
	const struct leash_image *image;
	uint32_t lists, entry;

	(void)state;
	case_settings("domains: {\nrequest = [ "
		      "\"https://Bücher.Example\",\n\"https://b.example.com\"\n];\n"
		      "socket = [ \"wss://b.example.com\" ]; };\n",
		      &compiled);
	image = case_image(&compiled);
	assert_int_equal(leash_image_entry_count(image), 3);
	entry = leash_image_find(image, "xn--bcher-kva.example", 21, &lists);
	assert_int_not_equal(entry, LEASH_ENTRY_NONE);
	assert_int_equal(lists, LEASH_LIST_BIT(LEASH_LIST_REQUEST));
	assert_int_equal(leash_image_entry(image, entry)->line, 2);
	assert_string_equal(leash_image_string(image, leash_image_entry(image, entry)->text),
			    "https://Bücher.Example");
	assert_string_equal(leash_image_string(image, leash_image_entry(image, entry)->file),
			    "p.cfg");

	/* Behind the last element of an array there is no comma: its line must be right all the
	 * same. */
	entry = leash_image_find(image, "b.example.com", 13, &lists);
	assert_int_not_equal(entry, LEASH_ENTRY_NONE);
	assert_int_equal(lists,
			 LEASH_LIST_BIT(LEASH_LIST_REQUEST) | LEASH_LIST_BIT(LEASH_LIST_SOCKET));
	for (uint32_t i = 0; i < 3; i++)
		if (leash_image_entry(image, i)->list == LEASH_LIST_REQUEST && i != entry)
			assert_int_equal(leash_image_entry(image, i)->line, 2);
	assert_true(leash_image_entry(image, entry)->line == 3 ||
		    leash_image_entry(image, entry)->line == 5);
	leash_compiled_free(&compiled);
}

static void test_exact_ports(void **state)
{
	static const struct row rows[] = {
		{"ports where they are exact",
		 "ports = \"exact\";\ndomains: { request = [ \"https://a.example.com:8443\", "
		 "\"a.example.com:443\" ]; };",
		 ""},
		{"from the profile, wherever it stands",
		 "domains: { request = [ \"https://a.example.com:8443\" ]; };\nprofile = "
		 "\"wechat\";",
		 ""},
		{"behind the lists",
		 "domains: { request = [ \"https://a.example.com:8443\" ]; };\nports = \"exact\";", ""},
		{"no port",
		 "ports = \"exact\";\ndomains: { request = [ \"a.example.com:0\", "
		 "\"a.example.com:65536\",\n\"a.example.com:\", "
		 "\"a.example.com:+1\" ]; };",
		 "p.cfg:2: error: domains.request[0]: \"a.example.com:0\" has no port from 1 to "
		 "65535 behind its ':'" SUCH_AS
		 "p.cfg:2: error: domains.request[1]: \"a.example.com:65536\" has no port from 1 "
		 "to 65535 behind its ':'" SUCH_AS
		 "p.cfg:3: error: domains.request[2]: \"a.example.com:\" has no port from 1 to "
		 "65535 behind its ':'" SUCH_AS
		 "p.cfg:3: error: domains.request[3]: \"a.example.com:+1\" has no port from 1 to "
		 "65535 behind its ':'" SUCH_AS},
		{"not for wss",
		 "ports = \"exact\";\ndomains: { socket = [ \"wss://a.example.com:1\" ]; };",
		 "p.cfg:2: error: domains.socket[0]: \"wss://a.example.com:1\" has a port; "
		 "accepted is "
		 "\"wss://a.example.com\" (of the lists, the https ones may hold ports)\n"},
		{"the file wins over its profile",
		 "profile = \"wechat\"; ports = \"any\";\ndomains: { request = [ "
		 "\"https://a.example.com:1\" ]; };",
		 "p.cfg:2: error: domains.request[0]: \"https://a.example.com:1\" has a port; "
		 "accepted is "
		 "\"https://a.example.com\", which admits every port (or set ports = \"exact\")\n"},
	};
	struct leash_compiled compiled;
	const struct leash_image *image;

	(void)state;
	EXPECT(rows);
	assert_true(case_settings(rows[0].text, &compiled)->ports_exact);
	image = case_image(&compiled);
	assert_int_equal(leash_image_entry(image, 0)->port + leash_image_entry(image, 1)->port,
			 8443 + 443);
	leash_compiled_free(&compiled);
}

static void test_suffixes(void **state)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1, .lint = true};
	const char *text = "domains: { request = [ \"https://co.uk\",\n\"https://example.co.uk\" "
			   "];\nblocked = [ \"com.au\" ]; };";

	(void)state;
	case_text("p.cfg", text);
	if (access("/usr/share/publicsuffix/public_suffix_list.dat", R_OK) < 0)
		skip();
	case_expect("suffixes", &options,
		    "p.cfg:1: warning: domains.request: \"https://co.uk\" is a public suffix, "
		    "under which anybody "
		    "registers names; meant is probably a name below it\n");
	options.lint = false;
	case_expect("not on every start", &options, "");
}

/* ------------------------------------------------------------------ values */

static void test_profiles(void **state)
{
	struct leash_compiled compiled;
	const struct leash_settings *s;
	const struct leash_image *image;

	(void)state;
	s = case_settings(OK, &compiled);
	image = case_image(&compiled);
	assert_int_equal(s->profile, LEASH_PROFILE_TCSAS);
	assert_int_equal(s->platform, LEASH_ANDROID);
	assert_int_equal(s->listen, LEASH_LISTEN_DENY);
	assert_int_equal(s->http2, LEASH_HTTP2_DENY);
	assert_int_equal(s->opaque_tls, LEASH_OPAQUE_OBSERVE);
	assert_int_equal(s->limits_over, LEASH_OVER_WARN);
	assert_true(s->lan_allow && s->body_convert);
	assert_false(s->ports_exact || s->skip_domain_check || s->audit || s->lan_require_tls ||
		     s->lan_multicast || s->lan_override || s->loopback_any || s->background_off ||
		     s->event_queries);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(s->timeout_ms[i], 60000);
		assert_int_equal(s->limit[i], i == LEASH_LIST_SOCKET ? 5 : 10);
	}
	assert_int_equal(s->timeout_max_ms, 60000);
	assert_int_equal(s->tcp_new_max, 20);
	assert_int_equal(s->tcp_new_window_s, 300);
	assert_int_equal(s->grace_ms, 5000);
	assert_int_equal(s->background_signal, SIGRTMIN + 8);
	assert_int_equal(s->foreground_signal, SIGRTMIN + 9);
	assert_int_equal(s->seal_level, 0);
	assert_string_equal(leash_image_string(image, s->version), "0");
	assert_string_equal(leash_image_trust_dir(image), "");
	leash_compiled_free(&compiled);

	s = case_settings(OK "profile = \"wechat\"; appid = \"wx12\"; version = 7;", &compiled);
	assert_int_equal(s->profile, LEASH_PROFILE_WECHAT);
	assert_true(s->ports_exact);
	assert_string_equal(leash_image_string(case_image(&compiled), s->referer),
			    "https://servicewechat.com/wx12/7/page-frame.html");
	leash_compiled_free(&compiled);

	s = case_settings(OK "profile = \"build\"; limits: { request = 3; };", &compiled);
	assert_int_equal(s->profile, LEASH_PROFILE_BUILD);
	assert_string_equal(leash_image_string(case_image(&compiled), s->referer), "");
	assert_false(s->lan_allow || s->body_convert);
	assert_true(s->background_off);
	assert_int_equal(s->limit[LEASH_LIST_REQUEST], 3); /* the file wins */
	assert_int_equal(s->limit[LEASH_LIST_SOCKET], 0);
	assert_int_equal(s->timeout_ms[LEASH_LIST_REQUEST], 0);
	leash_compiled_free(&compiled);
}

static void test_values(void **state)
{
	static const uint8_t digest[32] = {0xab, 0xcd, [31] = 0x01};
	struct leash_compiled compiled;
	const struct leash_settings *s;
	const struct leash_image *image;
	char here[4096], path[4200];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	case_text("ca.pem", "-----BEGIN CERTIFICATE-----\n");
	mkdir("roots", 0755);
	s = case_settings(OK "platform = \"ios\"; listen = \"lan\"; opaque_tls = \"deny\"; http2 = "
			     "\"observe\"; mode = \"audit\";\n"
			     "appid = \"wx1\"; version = \"devtools\"; referer = "
			     "\"https://r.example.com/{version}/{appid}\";\n"
			     "networkTimeout: { request = 1; connectSocket = 2; uploadFile = 3; "
			     "downloadFile = 60000; };\n"
			     "limits: { request = 11; socket = 12; uploadFile = 13; downloadFile = "
			     "0; tcp = 14; tcp_window_s = 15;\n"
			     "  over = \"queue\"; };\n"
			     "background: { enabled = false; grace_ms = 0; signal = \"SIGUSR2\"; "
			     "foreground_signal = \"SIGRTMAX-1\"; };\n"
			     "lan: { allow = true; address = \"192.168.7.9\"; netmask = "
			     "\"255.255.240.0\"; require_tls = true;\n"
			     "  multicast = true; };\n"
			     "loopback: { allow_ports = [ 9229 ]; };\n"
			     "cert: { trust_dir = \"roots\"; extra_ca = \"ca.pem\"; distrust = [ "
			     "\"AB:CD:000000000000000000000000000000"
			     "000000000000000000000000000001\" ]; };\n"
			     "body: { convert = false; }; events: { queries = true; }; seal: { "
			     "level = \"net\"; };\n",
			  &compiled);
	image = case_image(&compiled);
	assert_int_equal(s->platform, LEASH_IOS);
	assert_int_equal(s->listen, LEASH_LISTEN_LAN);
	assert_int_equal(s->opaque_tls, LEASH_OPAQUE_DENY);
	assert_int_equal(s->http2, LEASH_HTTP2_OBSERVE);
	assert_true(s->audit && s->background_off && s->event_queries && !s->body_convert);
	assert_string_equal(leash_image_string(image, s->appid), "wx1");
	assert_string_equal(leash_image_string(image, s->version), "devtools");
	assert_string_equal(leash_image_string(image, s->referer),
			    "https://r.example.com/devtools/wx1");
	assert_int_equal(s->timeout_ms[LEASH_LIST_REQUEST], 1);
	assert_int_equal(s->timeout_ms[LEASH_LIST_SOCKET], 2);
	assert_int_equal(s->timeout_ms[LEASH_LIST_UPLOAD], 3);
	assert_int_equal(s->timeout_ms[LEASH_LIST_DOWNLOAD], 60000);
	assert_int_equal(s->limit[LEASH_LIST_REQUEST], 11);
	assert_int_equal(s->limit[LEASH_LIST_SOCKET], 12);
	assert_int_equal(s->limit[LEASH_LIST_UPLOAD], 13);
	assert_int_equal(s->limit[LEASH_LIST_DOWNLOAD], 0);
	assert_int_equal(s->tcp_new_max, 14);
	assert_int_equal(s->tcp_new_window_s, 15);
	assert_int_equal(s->limits_over, LEASH_OVER_QUEUE);
	assert_int_equal(s->grace_ms, 0);
	assert_int_equal(s->background_signal, SIGUSR2);
	assert_int_equal(s->foreground_signal, SIGRTMAX - 1);
	assert_true(s->lan_allow && s->lan_require_tls && s->lan_multicast && s->lan_override);
	assert_int_equal(s->lan_prefix_len, 20);
	assert_memory_equal(s->lan_addr.bytes, "\xc0\xa8\x07\x09", 4);
	assert_false(s->loopback_any);
	assert_int_equal(s->seal_level, 2);
	assert_int_equal(leash_image_distrust_count(image), 1);
	assert_memory_equal(leash_image_distrust(image, 0), digest, 32);
	assert_int_equal(leash_image_extra_ca_count(image), 1);
	snprintf(path, sizeof(path), "%s/ca.pem", here);
	assert_string_equal(leash_image_extra_ca(image, 0), path);
	snprintf(path, sizeof(path), "%s/roots", here);
	assert_string_equal(leash_image_trust_dir(image), path);
	snprintf(path, sizeof(path), "%s/p.cfg", here);
	assert_string_equal(leash_image_path(image), path);
	leash_compiled_free(&compiled);

	s = case_settings(
		OK "loopback: { allow_ports = \"any\"; }; background: { signal = 50; };\n"
		   "lan: { address = \"2001:db8::7\"; netmask = 64; }; skip_domain_check = true;",
		&compiled);
	assert_true(s->loopback_any && s->lan_override && s->skip_domain_check);
	assert_int_equal(s->lan_addr.family, LEASH_INET6);
	assert_int_equal(s->lan_prefix_len, 64);
	assert_int_equal(s->background_signal, 50);
	leash_compiled_free(&compiled);
}

/* The command line wins, and is checked like the file. */
static void test_options(void **state)
{
	struct leash_compile_options options = {
		.policy = "p.cfg", .audit = 1, .profile = "wechat", .platform = "strict"};
	struct leash_compiled compiled;
	const struct leash_settings *s;

	(void)state;
	case_text("p.cfg", OK "profile = \"build\"; platform = \"ios\"; mode = \"enforce\"; "
			      "skip_domain_check = true;");
	assert_int_equal(case_compile(&options, &compiled), 0);
	assert_string_equal(case_lines, "");
	s = leash_image_settings(case_image(&compiled));
	assert_int_equal(s->profile, LEASH_PROFILE_WECHAT);
	assert_int_equal(s->platform, LEASH_STRICT);
	assert_true(s->ports_exact && s->lan_allow && s->audit);
	leash_compiled_free(&compiled);

	options.profile = "game";
	options.platform = "palm";
	case_expect("wrong options", &options,
		    "--profile: error: profile is \"game\"; accepted is \"tcsas\", \"wechat\" or "
		    "\"build\"\n"
		    "--platform: error: platform is \"palm\"; accepted is \"android\", \"ios\", "
		    "\"devtools\" or \"strict\"\n");

	options = (struct leash_compile_options){.audit = -1};
	case_expect("no policy at all", &options,
		    "(no policy): warning: no domain is listed, so every name is refused; list "
		    "them in domains: "
		    "{ request = [ … ]; }; or in a domains_file\n");
}

/* ---------------------------------------------------------- text and files */

static void test_syntax(void **state)
{
	static const struct row rows[] = {
		{"nothing", "",
		 "p.cfg: error: the file is empty: nothing is listed; accepted is a policy such as "
		 "domains: { request = [ "
		 "\"https://api.example.com\" ]; };\n"},
		{"comments", "# nothing\n// here\n/* at\nall */\n",
		 "p.cfg: error: the file is empty: nothing is listed; accepted is a policy such as "
		 "domains: { request = [ "
		 "\"https://api.example.com\" ]; };\n"},
		{"a byte order mark", "\xef\xbb\xbf" OK, ""},
		{"lines of Windows",
		 "listen = \"lan\";\r\ndomains: {\r\ntcp = "
		 "[\r\n\"tcp://a.example.com\"\r\n];\r\n};\r\nx = 1;\r\n",
		 "p.cfg:7: error: unknown key \"x\"; accepted here is profile, appid, version, "
		 "platform, domains, "
		 "domains_file, networkTimeout, limits, background, lan, loopback, ports, listen, "
		 "cert, opaque_tls, "
		 "http2, referer, body, skip_domain_check, mode, events, seal, dns\n"},
		{"comments hide everything",
		 OK "/* @include \"x\"\n\" */ # [ \"\n// {\nlisten = /* \n */ \"lan\";\nversion = "
		    "\"x\";",
		 "p.cfg:7: error: version is \"x\"; accepted is a number, \"0\" or \"devtools\"\n"},
		{"strings hide comments",
		 "referer = \"http://x.example.com/\"; # \"\n" OK "version = \"#\";",
		 "p.cfg:3: error: version is \"#\"; accepted is a number, \"0\" or \"devtools\"\n"},
		{"a long string in parts", OK "referer = \"https://r.example.com\"\n\"/{appid}\";",
		 ""},
		{"two names without a comma",
		 "domains: { request = [ \"a.example.com\"\n\"b.example.com\" ]; };",
		 "p.cfg:2: error: there is no comma before \"b.example.com\"\n"},
		{"a comma too many", "domains: { request = [ \"a.example.com\",\n]; };",
		 "p.cfg:2: error: there is a ',' before ']'; accepted is no comma behind the last "
		 "element\n"},
		{"a quote too few", "domains: {\nrequest = [ \"a.example.com, ];\n};",
		 "p.cfg:2: error: the string that begins with \"a.example.com, ];\" has no closing "
		 "'\"' on its line\n"},
		{"an open bracket", "domains: {\nrequest = [ \"a.example.com\";\n};",
		 "p.cfg:3: error: '}' cannot close the '[' of line 2; accepted is ']'\n"},
		{"cut off", "listen = \"lan\";\ndomains: {\nrequest = [",
		 "p.cfg:3: error: the '[' that begins here is never closed with ']'\n"},
		{"cut off in a comment", OK "/* x",
		 "p.cfg:2: error: the comment that begins here is never closed with \"*/\"\n"},
		{"closed twice", OK "}", "p.cfg:2: error: '}' closes nothing\n"},
		{"typographic quotes", "listen = “lan”;",
		 "p.cfg:1: error: '“' has no meaning outside of a string; strings stand in plain "
		 "double quotes, comments begin "
		 "with '#'\n"},
		{"a control character", OK "\x01",
		 "p.cfg:2: error: there is a control character (byte 0x01); accepted is text\n"},
		{"a NUL in a string", OK "appid = \"a\\x00b\";",
		 "p.cfg:2: error: a string holds a NUL (\\x00); accepted is text\n"},
		{"a key twice", OK "listen = \"lan\";\nlisten = \"any\";",
		 "p.cfg:3: error: a key stands for the second time in its group, in \"listen = "
		 "\"any\";\"\n"},
		{"no equals sign", OK "listen \"lan\";",
		 "p.cfg:2: error: syntax error at or before \"listen \"lan\";\"; accepted is NAME "
		 "= VALUE; or GROUP: { … };\n"},
		{"an array of several types", "domains: { request = [ \"a.example.com\", 1 ]; };",
		 "p.cfg:1: error: an array holds values of different types, in \"domains: { "
		 "request = [ \"a.example.com\", 1 ]; "
		 "};\"; accepted is one type\n"},
		{"a list of several types", "domains: { request = ( \"a.example.com\", 1 ); };",
		 "p.cfg:1: error: domains.request[1] is the number 1; accepted is a host name in "
		 "double quotes\n"},
		{"half an @include", "@includ \"x\"\n",
		 "p.cfg:1: error: '@' has no meaning here; accepted is @include \"FILE\" on a line "
		 "of its own\n"},
		{"an @include behind something", "listen = @include \"x\"\n",
		 "p.cfg:1: error: '@' has no meaning here; accepted is @include \"FILE\" on a line "
		 "of its own\n"},
		{"includes itself", "\n@include \"p.cfg\"\n",
		 "p.cfg:2: error: \"p.cfg\" includes itself\n"},
		{"includes nothing", "@include \"gone\"\n",
		 "p.cfg:1: error: \"gone\" cannot be opened: No such file or directory\n"},
		{"includes a directory", "@include \".\"\n",
		 "p.cfg:1: error: \".\" is a directory; accepted is a regular file\n"},
		{"includes a device", "@include \"/dev/zero\"\n",
		 "p.cfg:1: error: \"/dev/zero\" is no regular file; accepted is a regular file\n"},
	};

	(void)state;
	EXPECT(rows);
}

static void expect_binary(const char *label, const void *text, size_t len, const char *expected)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};

	case_write("p.cfg", text, len);
	case_expect(label, &options, expected);
}

static void test_files(void **state)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};
	char *many = calloc(1, 17 << 20);

	(void)state;
	assert_non_null(many);
	expect_binary("NUL", "a = 1;\0b", 8,
		      "p.cfg: error: is no text: there is a NUL byte at offset 6\n");
	expect_binary("UTF-16",
		      "\xff\xfe"
		      "a\0",
		      4, "p.cfg: error: is UTF-16; accepted is UTF-8\n");
	memset(many, '#', 17 << 20);
	expect_binary("17 MiB", many, 17 << 20,
		      "p.cfg: error: has 17825792 bytes; accepted are at most 16777216 (16 MiB)\n");
	memset(many, '(', 100000);
	memcpy(many, "a = ", 4);
	expect_binary("100,000 lists in each other", many, 100000,
		      "p.cfg:1: error: groups and lists are nested deeper than 32; accepted is "
		      "what netleash.cfg(5) lists, four "
		      "deep at most\n");
	for (size_t i = 0; i < 5000; i++)
		snprintf(many + i * 9, 10, "k%04zu=1;\n", i);
	expect_binary("5,000 keys", many, 45000,
		      "p.cfg:4097: error: there are more than 4096 settings; accepted are the keys "
		      "of netleash.cfg(5)\n");
	free(many);

	unlink("p.cfg");
	case_expect("not there", &options,
		    "p.cfg: error: cannot be opened: No such file or directory\n");
	assert_int_equal(mkfifo("p.cfg", 0600), 0);
	case_expect("a FIFO that nobody writes to", &options,
		    "p.cfg: error: is no regular file; accepted is a regular file\n");
	unlink("p.cfg");
	case_text("p.cfg", OK);
	assert_int_equal(chmod("p.cfg", 0646), 0);
	case_expect("writable by everybody", &options,
		    "p.cfg: error: is writable by everybody (mode 0646), who could change the "
		    "policy; accepted is a file without "
		    "that right (chmod o-w)\n");
	unlink("p.cfg");
	case_text("real.cfg", OK);
	assert_int_equal(symlink("real.cfg", "p.cfg"), 0);
	case_expect("a symbolic link", &options, "");
	unlink("p.cfg");
	if (geteuid() != 0) { /* root reads everything */
		case_text("p.cfg", OK);
		assert_int_equal(chmod("p.cfg", 0), 0);
		case_expect("unreadable", &options,
			    "p.cfg: error: cannot be opened: Permission denied\n");
		unlink("p.cfg");
	}
}

static void test_includes(void **state)
{
	struct leash_compile_options options = {.policy = "inc/main.cfg", .audit = -1};
	struct leash_compiled compiled;
	const struct leash_image *image;
	bool found[4] = {false};
	struct stat st;

	(void)state;
	mkdir("inc", 0755);
	mkdir("inc/sub", 0755);
	case_text("inc/main.cfg", "domains: {\n request = [\n@include \"sub/names.cfg\"\n ];\n};\n"
				  "@include \"sub/more.cfg\"\nplatfrom = 1;\n");
	case_text("inc/sub/names.cfg", "\"https://a.example.com\",\n\n\"https://1.2.3.4\"\n");
	case_text("inc/sub/more.cfg", "@include \"deep.cfg\"\nlistn = \"deny\";");
	case_text("inc/sub/deep.cfg", "version = \"x\";");
	case_expect("each fault in its file", &options,
		    "inc/main.cfg:7: error: unknown key \"platfrom\"; did you mean \"platform\"?\n"
		    "inc/sub/names.cfg:3: error: domains.request[1]: \"https://1.2.3.4\" is an IP "
		    "address" SUCH_AS
		    "inc/sub/more.cfg:2: error: unknown key \"listn\"; did you mean \"listen\"?\n"
		    "inc/sub/deep.cfg:1: error: version is \"x\"; accepted is a number, \"0\" or "
		    "\"devtools\"\n");

	case_text("inc/main.cfg", "domains: { tcp = [\n@include \"sub/names.cfg\"\n]; };\n@include "
				  "\"sub/more.cfg\"\n");
	case_text("inc/sub/names.cfg", "\"a.example.com\",\n\n\"b.example.com\"\n");
	case_text("inc/sub/more.cfg", "@include \"deep.cfg\"\nlisten = \"deny\";");
	case_text("inc/sub/deep.cfg", "version = 0;");
	assert_int_equal(case_compile(&options, &compiled), 0);
	assert_string_equal(case_lines, "");
	image = case_image(&compiled);
	assert_int_equal(leash_image_entry_count(image), 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct leash_entry *entry = leash_image_entry(image, i);

		assert_string_equal(leash_image_string(image, entry->file), "inc/sub/names.cfg");
		assert_true(entry->line == 1 || entry->line == 3);
	}
	assert_int_equal(leash_image_entry(image, 0)->line + leash_image_entry(image, 1)->line, 4);
	/* All four are sources, as they were when they were read. */
	assert_int_equal(leash_image_source_count(image), 4);
	for (uint32_t i = 0; i < 4; i++) {
		static const char *const names[] = {"main.cfg", "names.cfg", "more.cfg",
						    "deep.cfg"};
		const struct leash_source *source = leash_image_source(image, i);
		const char *path = leash_image_string(image, source->path);

		assert_int_equal(path[0], '/');
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(source->dev, st.st_dev);
		assert_int_equal(source->ino, st.st_ino);
		assert_int_equal(source->size, st.st_size);
		assert_int_equal(source->mtime_ns,
				 (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
		for (size_t n = 0; n < 4; n++)
			found[n] = found[n] || strcmp(strrchr(path, '/') + 1, names[n]) == 0;
	}
	assert_true(found[0] && found[1] && found[2] && found[3]);
	leash_compiled_free(&compiled);

	/* Two files that include each other, by two spellings of a path. */
	case_text("inc/main.cfg", "@include \"sub/../loop.cfg\"\n");
	case_text("inc/loop.cfg", "@include \"main.cfg\"\n");
	case_compile(&options, &compiled);
	assert_int_equal(compiled.error_count, 1);
	assert_non_null(strstr(case_lines, "too many files are included"));
	leash_compiled_free(&compiled);
}

/* Several are enough to see that none hides another, and that sorting holds for many. */
static void test_many(void **state)
{
	enum { COUNT = 20000 };
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};
	struct leash_compiled compiled;
	FILE *file = fopen("p.cfg", "w");

	(void)state;
	assert_non_null(file);
	fprintf(file, "domains: { request = [\n");
	for (int i = 0; i < COUNT; i++)
		fprintf(file, i % 2 ? "\"10.0.%d.%d\"%s\n" : "\"h%d.x%d.example.com\"%s\n", i / 256,
			i % 256, i < COUNT - 1 ? "," : "");
	fprintf(file, "]; };\n");
	fclose(file);
	assert_int_equal(leash_compile(&options, &compiled), -EINVAL);
	assert_int_equal(compiled.fault_count, COUNT / 2);
	for (size_t i = 0; i < compiled.fault_count; i++)
		assert_int_equal(compiled.faults[i].line, 2 * i + 3);
	leash_compiled_free(&compiled);
}

/* ------------------------------------------------- the example, the manual */

static void test_example(void **state)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1, .lint = true};
	struct leash_compiled compiled, plain;
	const struct leash_settings *s, *t;

	(void)state;
	case_text("p.cfg", example_text);
	case_expect("policy/example.cfg", &options, "");
	for (size_t i = 0; i < leash_schema_count; i++) {
		const char *dot = strrchr(leash_schema[i].path, '.');
		const char *name = dot ? dot + 1 : leash_schema[i].path;

		/* as an assignment, which may be commented out */
		for (const char *at = example_text;; at++) {
			at = strstr(at, name);
			if (!at)
				fail_msg("policy/example.cfg says nothing of %s",
					 leash_schema[i].path);
			if (strchr(" \n#{", at[-1]) &&
			    at[strlen(name) + strspn(at + strlen(name), " ")] == '=')
				break;
		}
	}
	/* "Where a line says default, leaving it out means the same": it holds for all of them. */
	s = case_settings(example_text, &compiled);
	t = case_settings(
		"domains: { request = [ \"a.example.com\" ]; }; seal: { level = \"calls\"; };",
		&plain);
	assert_memory_equal(s, t, offsetof(struct leash_settings, appid));
	leash_compiled_free(&compiled);
	leash_compiled_free(&plain);
}

static void test_manual(void **state)
{
	(void)state;
	for (size_t i = 0; i < leash_schema_count; i++) {
		char item[64];

		snprintf(item, sizeof(item), ".It Ic %s", leash_schema[i].path);
		if (!strstr(manual_text, item))
			fail_msg("policy/netleash.cfg.5 says nothing of %s", leash_schema[i].path);
	}
}

static void test_unenforced(void **state)
{
	struct leash_compiled compiled;
	const struct leash_image *image;
	const char *phrase;
	size_t count = 0;

	(void)state;
	case_settings(OK "profile = \"build\"; skip_domain_check = true;", &compiled);
	assert_null(leash_compile_unenforced(case_image(&compiled), 0));
	leash_compiled_free(&compiled);

	case_settings(OK "seal: { level = \"calls\"; };", &compiled);
	image = case_image(&compiled);
	while ((phrase = leash_compile_unenforced(image, count)) != NULL) {
		assert_true(*phrase != '\0');
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(phrase, leash_compile_unenforced(image, i));
		count++;
	}
	assert_null(leash_compile_unenforced(image, count + 1));
	leash_compiled_free(&compiled);
}

/* Cut off anywhere, or with a byte changed anywhere, it is a policy or has a fault. */
static void test_damaged_example(void **state)
{
	struct leash_compile_options options = {.policy = "p.cfg", .audit = -1};
	size_t len = strlen(example_text);
	struct leash_compiled compiled;
	uint32_t random = 1;
	char *copy = malloc(len + 1);

	(void)state;
	assert_non_null(copy);
	for (size_t n = 0; n < len; n += 3) {
		case_write("p.cfg", example_text, n);
		case_compile(&options, &compiled);
		leash_compiled_free(&compiled);
	}
	for (size_t n = 0; n < 1500; n++) {
		memcpy(copy, example_text, len + 1);
		for (size_t i = 0; i <= n % 3; i++) {
			random = random * 1664525u + 1013904223u;
			copy[(random >> 8) % len] = n % 2 ? "\"[]{}()=:;,@#/*\\"[(random >> 4) % 16]
							  : (char)(random >> 24);
		}
		case_write("p.cfg", copy, len);
		case_compile(&options, &compiled);
		leash_compiled_free(&compiled);
	}
	free(copy);
}

static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	if (!file || !text || fread(text, 1, (1 << 18) - 1, file) == 0) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return text;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_idn),
		cmocka_unit_test(test_entries_meet_their_names),
		cmocka_unit_test(test_exact_ports),
		cmocka_unit_test(test_suffixes),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_unenforced),
		cmocka_unit_test(test_damaged_example),
	};
	int failed;

	example_text = slurp("policy/example.cfg");
	manual_text = slurp("policy/netleash.cfg.5");
	case_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	case_leave();
	free(example_text);
	free(manual_text);
	return failed;
}
