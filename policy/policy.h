/* SPDX-License-Identifier: MIT */
/*
 * The policy: question in, verdict out.
 *
 * Everything here is pure: no sockets, no files, no process state, no
 * allocation, no globals, and safe to call from a signal handler. The image is
 * a flat read-only block of offsets, made by policy/compile/ from text and
 * mapped by everybody who judges: the preloaded object, `netleash explain`, and
 * later the supervisor. Its inside is known to policy/ alone (image.h).
 *
 * Rules: the platform's page "network usage", and section numbers of the
 * design's policy.md, written here as "policy 3" for its section 3.
 */
#ifndef LEASH_POLICY_H
#define LEASH_POLICY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------ names */

#define LEASH_NAME_MAX 253		/* bytes of a host name without the root dot, RFC 1035 */
#define LEASH_NAME_SIZE (LEASH_NAME_MAX + 1)

/**
 * leash_name_normal() - Bring a host name into the form that is compared
 * @in:		Name as the program or the policy wrote it, need not end in NUL
 * @len:	Bytes of @in; a NUL byte inside is an error
 * @ret_name:	Lower case, one trailing dot cut, NUL-terminated; only set on success
 *
 * Both sides of every comparison pass through here. ASCII only: a name with
 * bytes above 127 must be turned into A-labels first (UTS #46; the compiler and
 * conn/idn do that).
 * Letters, digits, '-' and '_' are accepted in labels; '_' because resolvers
 * pass it (service labels), an *entry* with it is refused by compile/.
 *
 * Return: length of @ret_name, -EINVAL for an empty name or label, a label over
 *	   63 bytes, a name over 253, NUL, space or another byte that no host
 *	   name has, -EILSEQ for bytes above 127
 */
int leash_name_normal(const char *in, size_t len, char ret_name[static LEASH_NAME_SIZE]);

/* -------------------------------------------------------------- addresses */

enum leash_family { LEASH_INET = 4, LEASH_INET6 = 6 };

/*
 * An address in normal form: v4-mapped, v4-compatible and 64:ff9b::/96 (RFC
 * 6052) are folded into v4 by leash_addr_normal*() and nowhere else. v4 uses the
 * first four bytes, the rest is zero. Network byte order.
 */
struct leash_addr {
	uint8_t family;			/* enum leash_family */
	uint8_t pad[3];
	uint32_t scope;			/* interface index of a link-local v6 address, else 0 */
	uint8_t bytes[16];
};

struct leash_addr leash_addr_normal4(const uint8_t bytes[static 4]);
struct leash_addr leash_addr_normal6(const uint8_t bytes[static 16], uint32_t scope);
bool leash_addr_equal(const struct leash_addr *a, const struct leash_addr *b);	/* scope counts */

/**
 * leash_addr_parse() - Read an address in any notation that a resolver takes
 * @text:	"127.1", "0x7f.1", "2130706433", "0177.0.0.1", "::1", "[::1]", "fe80::1%2" …
 * @len:	Bytes of @text
 * @ret_addr:	Normal form; only set on success
 *
 * The notations of inet_aton(3) (one to four parts, decimal, octal, hex) and
 * inet_pton(3), brackets, and a *numeric* scope id; "fe80::1%eth0" is taken as an address too,
 * with scope 0, because pure code cannot ask for interfaces. What follows the
 * address ("127.0.0.1 x", which inet_aton swallows) makes it no address.
 *
 * Return: true if @text is an address and so never a name
 */
bool leash_addr_parse(const char *text, size_t len, struct leash_addr *ret_addr);

#define LEASH_ADDR_TEXT_SIZE 64		/* "…%4294967295" and NUL */
/** leash_addr_text() - Canonical text (RFC 5952 for v6). Return: length */
size_t leash_addr_text(const struct leash_addr *addr, char buf[static LEASH_ADDR_TEXT_SIZE]);

/* The own interfaces, filled in by the caller (conn/local, or explain's --net). */
#define LEASH_NET_MAX 64
struct leash_subnet {
	struct leash_addr addr;		/* own address on that interface */
	uint8_t prefix_len;		/* of the on-link subnet, bits */
	uint8_t pad[3];
	uint32_t ifindex;
};
struct leash_net {
	uint32_t count;
	struct leash_subnet subnet[LEASH_NET_MAX];
};

enum leash_addr_class {			/* tested in this order, policy 3 */
	LEASH_CLASS_UNSPECIFIED,
	LEASH_CLASS_LOOPBACK,
	LEASH_CLASS_OWN,
	LEASH_CLASS_LAN,		/* same subnet as an interface, or lan.address/netmask */
	LEASH_CLASS_BROADCAST,		/* 255.255.255.255 and the directed ones of own subnets */
	LEASH_CLASS_MULTICAST,
	LEASH_CLASS_LINK_LOCAL,
	LEASH_CLASS_PRIVATE,		/* RFC 1918, ULA, carrier-grade NAT */
	LEASH_CLASS_RESERVED,		/* 240/4, 0/8, … ; documentation ranges are public */
	LEASH_CLASS_PUBLIC,
};
extern const char *const leash_addr_class_text[];

struct leash_image;
enum leash_addr_class leash_addr_classify(const struct leash_image *image,
					  const struct leash_net *net,
					  const struct leash_addr *addr);

/* ------------------------------------------------------------------- image */

enum leash_list {
	LEASH_LIST_REQUEST,
	LEASH_LIST_SOCKET,
	LEASH_LIST_UPLOAD,
	LEASH_LIST_DOWNLOAD,
	LEASH_LIST_TCP,
	LEASH_LIST_UDP,
	LEASH_LIST_BLOCKED,
	LEASH_LIST_COUNT
};
#define LEASH_LIST_BIT(list) (1u << (list))
#define LEASH_LISTS_TLS 0x0fu		/* the four https/wss lists */
extern const char *const leash_list_text[];	/* "request" … as in the policy file */
extern const char *const leash_list_api[];	/* "request", "connectSocket", "uploadFile" … */

#define LEASH_IMAGE_MAX (64u << 20)	/* bytes; a policy text is at most 16 MiB */

/**
 * leash_image_open() - Take a block of bytes for an image
 * @base:	Start, aligned to 8; must stay mapped and unchanged while it is used
 * @len:	Bytes
 * @ret_image:	Only set on success
 *
 * Costs the same for ten names as for 100,000, because every process does it: looks at
 * magic, version, size, the header's own checksum, the bounds of every section, and the
 * settings. Everything behind that is bounded at each access, so that even a damaged
 * image can never lead outside the block nor into an endless loop. It is enough for an
 * image that was verified when it was written, into a place nobody else can write to;
 * one from anywhere else needs leash_image_verify() as well.
 *
 * Return: 0, -EBADMSG (not an image or damaged), -EPROTO (image of another version)
 */
int leash_image_open(const void *base, size_t len, const struct leash_image **ret_image);
/**
 * leash_image_verify() - Check every byte of an opened image
 *
 * The checksum over all of it, every name, slot, chain and offset; milliseconds for
 * 100,000 names. leash_build() has done it for what it returns.
 *
 * Return: 0, or -EBADMSG
 */
int leash_image_verify(const struct leash_image *image);
size_t leash_image_size(const struct leash_image *image);

enum leash_profile { LEASH_PROFILE_TCSAS, LEASH_PROFILE_WECHAT, LEASH_PROFILE_BUILD };
enum leash_platform { LEASH_ANDROID, LEASH_IOS, LEASH_DEVTOOLS, LEASH_STRICT };
enum leash_listen { LEASH_LISTEN_DENY, LEASH_LISTEN_LAN, LEASH_LISTEN_ANY };
enum leash_over { LEASH_OVER_WARN, LEASH_OVER_FAIL, LEASH_OVER_QUEUE };
enum leash_opaque { LEASH_OPAQUE_OBSERVE, LEASH_OPAQUE_ALLOW, LEASH_OPAQUE_DENY };
enum leash_http2 { LEASH_HTTP2_DENY, LEASH_HTTP2_OBSERVE };

#define LEASH_LIMIT_MAX 1024u	/* the session page has a place for each task that a limit counts */

/* Every scalar of the policy, by value inside the image. Times in ms, as in the file. */
struct leash_settings {
	uint8_t profile, platform, listen, limits_over, opaque_tls, http2;	/* enums above */
	uint8_t skip_domain_check, audit;		/* booleans, policy 10 */
	uint8_t ports_exact;				/* ports = "exact", policy 2 */
	uint8_t lan_allow, lan_require_tls, lan_multicast;
	uint8_t lan_override;				/* lan_addr and lan_prefix_len replace the interfaces' */
	uint8_t lan_prefix_len;
	uint8_t loopback_any;				/* loopback.allow_ports = "any" */
	uint8_t background_off, body_convert, event_queries;
	uint8_t seal_level;				/* 0 unset, 1 calls, 2 net, 3 auto; kept for ring 3 */
	uint8_t pad0[5];
	struct leash_addr lan_addr;
	uint32_t timeout_ms[4];				/* by LEASH_LIST_REQUEST … DOWNLOAD */
	uint32_t timeout_max_ms;			/* 60000 */
	uint32_t limit[4];				/* tasks at once, by list; 0: no limit, else to LEASH_LIMIT_MAX */
	uint32_t tcp_new_max, tcp_new_window_s;		/* 20 in 300 s */
	uint32_t grace_ms;				/* background.grace_ms */
	int32_t background_signal, foreground_signal;	/* numbers; SIGRTMIN+n already added */
	uint32_t appid, version, referer;		/* string offsets: leash_image_string() */
	uint32_t pad1;
};
const struct leash_settings *leash_image_settings(const struct leash_image *image);
const char *leash_image_string(const struct leash_image *image, uint32_t offset);
/** leash_image_path() - The policy file, absolute, as it was compiled */
const char *leash_image_path(const struct leash_image *image);

/* Digests and roots of section 8, for the certificate verifier. */
uint32_t leash_image_distrust_count(const struct leash_image *image);
const uint8_t *leash_image_distrust(const struct leash_image *image, uint32_t i);	/* 32 bytes */
uint32_t leash_image_extra_ca_count(const struct leash_image *image);
const char *leash_image_extra_ca(const struct leash_image *image, uint32_t i);	/* absolute path */
const char *leash_image_trust_dir(const struct leash_image *image);		/* "" if unset */

/* The ports of loopback.allow_ports; settings.loopback_any stands for all of them. */
uint32_t leash_image_loopback_port_count(const struct leash_image *image);
uint16_t leash_image_loopback_port(const struct leash_image *image, uint32_t i);

/* The files it was made from: a kept image is stale as soon as one of them changed. */
struct leash_source {
	uint64_t dev, ino, size;
	int64_t mtime_ns;
	uint32_t path, pad;		/* string offset of the absolute path */
};
uint32_t leash_image_source_count(const struct leash_image *image);
const struct leash_source *leash_image_source(const struct leash_image *image, uint32_t i);

/* One entry of a domain list, for messages, `explain` and events. */
#define LEASH_ENTRY_NONE UINT32_MAX
struct leash_entry {
	uint32_t name;			/* string offset of the normal form */
	uint32_t text;			/* string offset of what the file says: "https://api.example.com" */
	uint32_t file;			/* string offset of the path it stands in */
	uint32_t line;
	uint8_t list;			/* enum leash_list */
	uint8_t pad;
	uint16_t port;			/* 0: none */
	uint32_t next;			/* next entry of the same name, or LEASH_ENTRY_NONE */
};
uint32_t leash_image_entry_count(const struct leash_image *image);
/* An @i out of range gives an empty entry in `blocked`, never NULL. */
const struct leash_entry *leash_image_entry(const struct leash_image *image, uint32_t i);
/** leash_image_next() - The next entry of the same name, or LEASH_ENTRY_NONE: use this rather
 *  than .next, it ends even in a damaged image */
uint32_t leash_image_next(const struct leash_image *image, uint32_t i);

/**
 * leash_image_find() - Look a name up
 * @name:	Normal form
 * @len:	Its length
 * @ret_lists:	LEASH_LIST_BIT()s of the lists that hold it, 0 if none; may be NULL
 *
 * One hash, a short probe: the cost does not grow with the number of names.
 * Return: its first entry, or LEASH_ENTRY_NONE
 */
uint32_t leash_image_find(const struct leash_image *image, const char *name, size_t len,
			  uint32_t *ret_lists);

/* ------------------------------------------------------ question, verdict */

enum leash_reason {
	LEASH_WHY_NONE,
#define REASON(name, code, error, number, words, hint) LEASH_WHY_##name,
#include "reason.def"
#undef REASON
	LEASH_WHY_COUNT
};
const char *leash_reason_code(enum leash_reason reason);	/* "not_in_domain_list"; "" for none */
int leash_reason_errno(enum leash_reason reason);		/* positive */
int leash_reason_number(enum leash_reason reason);		/* the platform's, 0 if none */

/* What settled it: shown as "rule" in lines, events and explain. */
enum leash_rule {
	LEASH_RULE_NONE,
	LEASH_RULE_LIST,		/* an entry of a list (verdict.entry), or its absence */
	LEASH_RULE_BLOCKED,
	LEASH_RULE_UNSPECIFIED,
	LEASH_RULE_LOOPBACK,
	LEASH_RULE_OWN,
	LEASH_RULE_LAN,			/* lan.allow */
	LEASH_RULE_LAN_TLS,		/* lan.require_tls */
	LEASH_RULE_MULTICAST,		/* lan.multicast */
	LEASH_RULE_OTHER_NET,
	LEASH_RULE_PUBLIC,		/* public, and never resolved from a listed name */
	LEASH_RULE_HTTPS,		/* TCP to a name of the four lists is TLS */
	LEASH_RULE_SNI,			/* the name in the handshake */
	LEASH_RULE_HOST,		/* the name in a request */
	LEASH_RULE_FRAMING,		/* two parsers may read a request differently */
	LEASH_RULE_HTTP2,
	LEASH_RULE_CERTIFICATE,		/* the platform's requirements on certificates and TLS */
	LEASH_RULE_PORTS,		/* ports = "exact" */
	LEASH_RULE_TCP_PORT,		/* the forbidden ports of raw TCP */
	LEASH_RULE_UDP,
	LEASH_RULE_TRANSPORT,		/* a kind of socket that is not granted */
	LEASH_RULE_LISTEN,
	LEASH_RULE_DNS,			/* the program's own questions */
	LEASH_RULE_BACKGROUND,
	LEASH_RULE_TIMEOUT,		/* networkTimeout, or the program's own limit */
	LEASH_RULE_LIMITS,		/* how many at once */
	LEASH_RULE_POLICY,		/* there is none */
	LEASH_RULE_COUNT
};
const char *leash_rule_text(enum leash_rule rule);		/* "lan.allow", "domains", … */

enum leash_transport { LEASH_TCP, LEASH_UDP, LEASH_OTHER_TRANSPORT };

enum leash_action {
	LEASH_DENY,			/* 0: what nobody filled in is a refusal */
	LEASH_ALLOW,			/* nothing more to look at */
	LEASH_SNIFF,			/* connect, then judge the first bytes against .pass */
	LEASH_MUTE,			/* UDP: connect (that sends nothing), refuse every send; resolvers
					 * sort addresses by the source address that connect() picks */
};

/* What the first bytes of a LEASH_SNIFF connection may be. */
#define LEASH_PASS_TLS	0x01u		/* a ClientHello whose SNI leash_policy_tls() admits */
#define LEASH_PASS_HTTP	0x02u		/* a plaintext HTTP request (LAN) */
#define LEASH_PASS_RAW	0x04u		/* anything, also a server that speaks first */

struct leash_verdict {
	enum leash_action action;
	enum leash_reason reason;	/* of a refusal; of an allowance with .would, what it would
					 * have been refused for; otherwise LEASH_WHY_NONE */
	enum leash_rule rule;
	uint32_t entry;			/* the entry that admitted or blocked it, or LEASH_ENTRY_NONE */
	uint32_t near;			/* nearest entry that costs no search (same name in another list,
					 * a listed parent), or LEASH_ENTRY_NONE: leash_policy_near() for more */
	uint8_t lists;			/* lists that hold the name */
	uint8_t pass;			/* LEASH_PASS_* */
	bool would;			/* allowed only by audit or skip_domain_check */
};

/** leash_policy_resolve() - May this name be resolved? @name: normal form (policy 2) */
struct leash_verdict leash_policy_resolve(const struct leash_image *image, const char *name,
					  size_t len);

/* A name that an address was resolved from, in normal form; borrowed. */
struct leash_nameref {
	const char *name;
	size_t len;
};

/**
 * struct leash_peer - an address that the program wants to reach
 * @net:	Own interfaces; NULL is refused as LEASH_WHY_RESOURCE would be: the caller
 *		must know its interfaces
 * @names:	Names that this address was resolved from, @name_count of them; may be NULL
 * @sending:	UDP: a datagram leaves now (otherwise a connect(), which sends nothing)
 */
struct leash_peer {
	enum leash_transport transport;
	struct leash_addr addr;
	uint16_t port;			/* host byte order */
	bool sending;
	uint32_t name_count;
	const struct leash_nameref *names;
	const struct leash_net *net;
};

/** leash_policy_peer() - May this address be connected or sent to? (policy 3, 4) */
struct leash_verdict leash_policy_peer(const struct leash_image *image,
				       const struct leash_peer *peer);

/**
 * leash_policy_tls() - May this connection speak TLS to this server name?
 * @sni:	server_name of the ClientHello, as found; NULL if it has none
 *
 * A connection to a LAN peer admitted without a name needs no SNI. Return: LEASH_ALLOW
 * with the entry, or a refusal: name_mismatch, blocked_domain, not_in_domain_list.
 */
struct leash_verdict leash_policy_tls(const struct leash_image *image,
				      const struct leash_peer *peer, const char *sni,
				      size_t sni_len);

/** leash_policy_plaintext() - The refusal of first bytes that .pass does not admit */
struct leash_verdict leash_policy_plaintext(const struct leash_image *image,
					    const struct leash_peer *peer, uint8_t pass);

/** leash_policy_handshake() - The refusal of a handshake: tls_version, certificate, name_mismatch
 *  (policy 8); allowed with .would under audit and skip_domain_check */
struct leash_verdict leash_policy_handshake(const struct leash_image *image,
					    enum leash_reason reason);

/*
 * Requests, on a connection whose server was judged (policy 9). What a request is can be told by its header,
 * or late, from its body.
 */
enum leash_kind {
	LEASH_KIND_ORDINARY,	/* request; or downloadFile, if that is the list, and the method is GET */
	LEASH_KIND_SOCKET,	/* asks for a WebSocket */
	LEASH_KIND_MULTIPART,	/* ORDINARY or UPLOAD */
	LEASH_KIND_UPLOAD
};

/**
 * struct leash_ask - a request that is about to leave
 * @name:	The connection's, in normal form; "" for a LAN peer that was dialled by its address
 * @lan:	Its peer needs no entry
 * @get:	The method is GET
 */
struct leash_ask {
	const char *name;
	uint16_t port;
	bool lan;
	bool get;
	enum leash_kind kind;
};

/**
 * leash_policy_request() - May it leave?
 *
 * Return: LEASH_ALLOW with .lists, the classes that it may be: one, but of MULTIPART; or a refusal with
 *	   .near, the entry of a list that its host is in
 */
struct leash_verdict leash_policy_request(const struct leash_image *image, const struct leash_ask *ask);

/**
 * leash_policy_host() - Is this the host that the connection is for?
 * @peer:	Its peer; the names of one that is known by address alone count
 * @name:	As in struct leash_ask
 * @host:	Of the Host line, or of an absolute target, as written but for its port, in A-labels; NULL: none
 */
struct leash_verdict leash_policy_host(const struct leash_image *image, const struct leash_peer *peer,
				       const char *name, const char *host, size_t host_len);

/** leash_policy_unreadable() - The refusal of a request that cannot be read with certainty, or, @http2, at all */
struct leash_verdict leash_policy_unreadable(const struct leash_image *image, bool http2);

/* Kinds of socket, judged when they are made (policy 4). */
enum leash_sock {
	LEASH_SOCK_UNIX,
	LEASH_SOCK_NETLINK_ROUTE,	/* NETLINK_ROUTE and NETLINK_KOBJECT_UEVENT */
	LEASH_SOCK_ALG,
	LEASH_SOCK_TCP,			/* AF_INET(6) stream: 0, TCP, MPTCP */
	LEASH_SOCK_UDP,
	LEASH_SOCK_OTHER		/* raw, packet, vsock, SCTP, DCCP, TIPC, …: refused */
};
struct leash_verdict leash_policy_socket(const struct leash_image *image, enum leash_sock kind);

/** leash_policy_listen() - May this be listened on? @addr: the bound address */
struct leash_verdict leash_policy_listen(const struct leash_image *image,
					 const struct leash_net *net,
					 const struct leash_addr *addr, uint16_t port);
/** leash_policy_accept() - May this peer's connection be taken? */
struct leash_verdict leash_policy_accept(const struct leash_image *image,
					 const struct leash_net *net,
					 const struct leash_addr *peer, uint16_t local_port);
/** leash_policy_bind_udp() - A UDP socket tied to a port of its own takes datagrams from
 *  anybody: needs listen, unless LAN peers may be talked to anyway */
struct leash_verdict leash_policy_bind_udp(const struct leash_image *image,
					   const struct leash_net *net,
					   const struct leash_addr *addr, uint16_t port);
/** leash_policy_group() - May this multicast group be joined? */
struct leash_verdict leash_policy_group(const struct leash_image *image);
/** leash_policy_options() - The refusal of source routes: they lead past the judged address */
struct leash_verdict leash_policy_options(const struct leash_image *image);
/** leash_policy_dns() - The program's own question: a name and a type code (RFC 1035 3.2.2).
 *  Allowed: A, AAAA, CNAME, HTTPS, SVCB of a name that leash_policy_resolve() admits */
struct leash_verdict leash_policy_dns(const struct leash_image *image, const char *name,
				      size_t len, uint16_t type);
/**
 * leash_policy_limit() - How long may a request take, ms (policy 5)? 0: profile build has no clock
 * @lists:	LEASH_LIST_BIT()s of what it may be: while its class is not known, the longest of
 *		their limits; without any of the four, as a request
 * @own_ms:	What the program asked for itself, 0 if it did not: that is what counts then
 */
uint32_t leash_policy_limit(const struct leash_image *image, uint32_t lists, uint32_t own_ms);
/** leash_policy_timeout() - The end of what took longer; would have been, under audit */
struct leash_verdict leash_policy_timeout(const struct leash_image *image);
/** leash_policy_background() - May something start, or go on behind the grace, in the background (policy 7)?
 *  Allowed without a reason where background.enabled is false */
struct leash_verdict leash_policy_background(const struct leash_image *image);

/**
 * leash_policy_tasks() - May one more of an API begin (policy 6)?
 * @list:	LEASH_LIST_REQUEST to LEASH_LIST_DOWNLOAD
 * @in_flight:	How many of it are
 *
 * One too many is allowed with .would under limits.over = "warn" and under audit, and refused
 * under "fail" and "queue": see leash_policy_queues().
 */
struct leash_verdict leash_policy_tasks(const struct leash_image *image, enum leash_list list,
					uint32_t in_flight);
/** leash_policy_new_tcp() - May one more raw TCP connection be made? @made: in the window */
struct leash_verdict leash_policy_new_tcp(const struct leash_image *image, uint32_t made);
/** leash_policy_queues() - Does one too many wait for a place instead of being refused? */
bool leash_policy_queues(const struct leash_image *image);

/** leash_policy_none() - The refusal of everything where there is no usable policy */
struct leash_verdict leash_policy_none(void);

/* ------------------------------------------------------------- for messages */

/**
 * leash_policy_near() - The entry that the program probably meant
 * @name:	Normal form of what was asked for
 * @scan_max:	Look at so many entries at most for a similar spelling, 0: none
 *
 * In this order: the same name in another list, a listed parent, a listed child, a name at
 * a small edit distance. Return: entry, or LEASH_ENTRY_NONE
 */
uint32_t leash_policy_near(const struct leash_image *image, const char *name, size_t len,
			   uint32_t scan_max);

/**
 * struct leash_subject - what a message is about
 * @api:	"request", "connectSocket", …; "request" where it cannot be told
 * @host:	Name, or address text where there is no name
 * @addr:	Address text, "" if none
 */
struct leash_subject {
	const char *api;
	const char *host;
	const char *addr;
	uint16_t port;			/* 0: none */
};

/** leash_explain_rule() - "domains.request[2] (game.cfg:12)", "lan.allow". Return: length */
size_t leash_explain_rule(const struct leash_image *image, const struct leash_verdict *verdict,
			  char *buf, size_t size);
/** leash_explain_hint() - What happened and what to do, one sentence, with the nearest entry.
 *  @near: LEASH_ENTRY_NONE or what leash_policy_near() found. Return: length */
size_t leash_explain_hint(const struct leash_image *image, const struct leash_verdict *verdict,
			  const struct leash_subject *subject, uint32_t near, char *buf,
			  size_t size);
/** leash_explain_words() - The platform's own words. Return: length */
size_t leash_explain_words(enum leash_reason reason, const struct leash_subject *subject,
			   char *buf, size_t size);
/* All three cut at @size - 1, always end in NUL, never write a newline or a control character;
 * @image may be NULL (no policy). */

#endif
