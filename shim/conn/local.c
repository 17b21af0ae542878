/* SPDX-License-Identifier: MIT */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "shim/conn/local.h"
#include "shim/core/clock.h"
#include "shim/core/sys.h"

#define MAX_AGE_NS 1000000000
#define FRESH_NS 500000000	/* before a refusal: who is refused again and again does not read again and again */
#define COPIES 4	/* a reader may hold one while the next ones are written; 4 s of grace at least */

static struct leash_net copies[COPIES];
static _Atomic(const struct leash_net *) current;
static _Atomic int64_t read_ns;
static _Atomic uint32_t next_copy;
static _Atomic uint64_t writing;

static void add(struct leash_net *net, const struct ifaddrmsg *msg, const void *bytes)
{
	struct leash_subnet *subnet;
	uint8_t v6[16];

	if (net->count == LEASH_NET_MAX)
		return;
	subnet = &net->subnet[net->count];
	if (msg->ifa_family == AF_INET) {
		memcpy(v6, bytes, 4);
		subnet->addr = leash_addr_normal4(v6);
	} else {
		memcpy(v6, bytes, 16);
		subnet->addr = leash_addr_normal6(v6, msg->ifa_index);
	}
	subnet->prefix_len = msg->ifa_prefixlen;
	subnet->ifindex = msg->ifa_index;
	net->count++;
}

static void take(struct leash_net *net, const struct nlmsghdr *header)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(header);
	const void *local = NULL, *peer = NULL;
	int len;

	if (header->nlmsg_type != RTM_NEWADDR ||
	    (msg->ifa_family != AF_INET && msg->ifa_family != AF_INET6))
		return;
	len = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*msg)));
	/* RTA_NEXT() mixes signs; attributes are aligned to 4 (netlink(3)). */
	for (const struct rtattr *attr = (const void *)((const char *)msg + NLMSG_ALIGN(sizeof(*msg)));
	     RTA_OK(attr, len); len -= (int)RTA_ALIGN(attr->rta_len),
	     attr = (const void *)((const char *)attr + RTA_ALIGN(attr->rta_len))) {
		const size_t want = msg->ifa_family == AF_INET ? 4 : 16;

		if (RTA_PAYLOAD(attr) < want)
			continue;
		if (attr->rta_type == IFA_LOCAL)
			local = RTA_DATA(attr);
		else if (attr->rta_type == IFA_ADDRESS)
			peer = RTA_DATA(attr);
	}
	/* On a point-to-point link IFA_ADDRESS is the other end, IFA_LOCAL ours. */
	if (local || peer)
		add(net, msg, local ? local : peer);
}

/* The kernel answers a dump in pages of its own: 8 KiB hold any of them (netlink(7)). */
static bool dump(struct leash_net *net)
{
	static _Alignas(8) char buf[16384];	/* one writer at a time: see leash_local_get() */
	const struct {
		struct nlmsghdr header;
		struct ifaddrmsg msg;
	} ask = {.header = {.nlmsg_len = sizeof(ask),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			    .nlmsg_seq = 1}};
	const int fd = (int)LEASH_SYS(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool done = false, good = fd >= 0;

	if (fd < 0)
		return false;
	net->count = 0;
	if (LEASH_SYS(SYS_sendto, fd, &ask, sizeof(ask), 0, NULL, 0) < 0)
		good = false;
	while (good && !done) {
		const long got = LEASH_SYS(SYS_recvfrom, fd, buf, sizeof(buf), 0, NULL, NULL);
		unsigned int left = (unsigned int)got;

		if (got == -EINTR)
			continue;
		if (got <= 0) {
			good = false;
			break;
		}
		for (const struct nlmsghdr *header = (const void *)buf; NLMSG_OK(header, left);
		     header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type == NLMSG_DONE) {
				done = true;
				break;
			}
			if (header->nlmsg_type == NLMSG_ERROR) {
				good = false;
				break;
			}
			take(net, header);
		}
	}
	leash_sys_close(fd);
	return good;
}

#define TURN_MS 1000	/* a dump takes 20 us, resolv.conf less */

/*
 * The right to write: process and thread, and since when. Taken over from a process that forked us, from
 * this very thread (it left by siglongjmp(), or waits below this handler and reads once more),
 * and from one that was cancelled, which is to say after TURN_MS.
 */
static bool take_turn(_Atomic uint64_t *turn, int64_t now_ns)
{
	const uint64_t thread = (uint64_t)(uintptr_t)__builtin_thread_pointer() *
				UINT64_C(0x9e3779b97f4a7c15) >> 46;
	const uint64_t now_ms = (uint64_t)(now_ns / 1000000) & 0xffffff;
	const uint64_t me = (uint64_t)leash_sys_getpid() << 42 | thread << 24 | now_ms;
	uint64_t holder = 0;

	return atomic_compare_exchange_strong(turn, &holder, me) ||
	       ((holder >> 42 != me >> 42 || holder >> 24 == me >> 24 ||
		 ((now_ms - holder) & 0xffffff) > TURN_MS) &&
		atomic_compare_exchange_strong(turn, &holder, me));
}

const struct leash_net *leash_local_get(bool fresh)
{
	const int64_t now_ns = leash_now_ns();
	const int64_t age_ns = now_ns - atomic_load_explicit(&read_ns, memory_order_relaxed);
	const struct leash_net *net = atomic_load_explicit(&current, memory_order_acquire);

	if (net && age_ns < (fresh ? FRESH_NS : MAX_AGE_NS))
		return net;
	/* One writer; whoever else comes meanwhile uses the last copy, or reads for itself below. */
	if (take_turn(&writing, now_ns)) {
		struct leash_net *copy = &copies[atomic_fetch_add(&next_copy, 1) % COPIES];

		if (dump(copy)) {
			atomic_store_explicit(&current, copy, memory_order_release);
			atomic_store_explicit(&read_ns, now_ns, memory_order_relaxed);
			net = copy;
		}
		atomic_store_explicit(&writing, 0, memory_order_release);
		return net;
	}
	/* First use by two threads at once: wait for the other, a dump takes 20 us. */
	for (int i = 0; !net && i < 1000; i++) {
		LEASH_SYS(SYS_sched_yield);
		net = atomic_load_explicit(&current, memory_order_acquire);
	}
	return net;
}

uint32_t leash_local_serial(void)
{
	return atomic_load_explicit(&next_copy, memory_order_relaxed);
}

/* ------------------------------------------------------------- name servers */

#define SERVERS_MAX 8

static struct {
	struct leash_addr addr[SERVERS_MAX];
	uint32_t count;
	dev_t dev;
	ino_t ino;
	int64_t mtime_ns;
} servers;
static _Atomic uint64_t servers_writing;
static _Atomic int64_t servers_ns;

static void read_servers(void)
{
	static char text[8192];
	struct stat st;
	const int fd = leash_sys_open("/etc/resolv.conf", O_RDONLY, 0);
	uint32_t count = 0;
	long len = -1;

	if (fd >= 0) {
		if (LEASH_SYS(SYS_fstat, fd, &st) == 0)
			len = LEASH_SYS(SYS_pread64, fd, text, sizeof(text) - 1, 0);
		leash_sys_close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	for (const char *at = text; *at && count < SERVERS_MAX;) {
		const size_t line_len = strcspn(at, "\n");

		if (line_len > 11 && strncmp(at, "nameserver", 10) == 0 &&
		    (at[10] == ' ' || at[10] == '\t')) {
			const char *start = at + 10 + strspn(at + 10, " \t");
			const size_t addr_len = strcspn(start, " \t\r\n#;");

			if (leash_addr_parse(start, addr_len, &servers.addr[count]))
				count++;
		}
		at += line_len;
		at += *at == '\n';
	}
	/* resolv.conf(5): without a line it is the host itself. */
	if (count == 0)
		servers.addr[count++] = leash_addr_normal4((const uint8_t[4]){127, 0, 0, 1});
	servers.count = count;
}

bool leash_local_name_server(const struct leash_addr *addr)
{
	const int64_t now_ns = leash_now_ns();

	if ((servers.count == 0 || now_ns - atomic_load(&servers_ns) > MAX_AGE_NS) &&
	    take_turn(&servers_writing, now_ns)) {
		read_servers();
		atomic_store(&servers_ns, now_ns);
		atomic_store(&servers_writing, 0);
	}
	for (uint32_t i = 0; i < servers.count && i < SERVERS_MAX; i++)
		if (leash_addr_equal(&servers.addr[i], addr))
			return true;
	return false;
}
