/* build: */
/* SPDX-License-Identifier: MIT */
/* Kinds of socket, and options that lead past the judged address (hooks.md 3.2): one line each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SOCK_PACKET
#define SOCK_PACKET 10
#endif
#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef IP_OPTIONS
#define IP_OPTIONS 4
#endif
#ifndef IPV6_RTHDR
#define IPV6_RTHDR 57
#endif

static void kind(const char *label, int domain, int type, int protocol)
{
	int fd = socket(domain, type, protocol);
	int again = (int)syscall(SYS_socket, domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int pair[2], ret;

	printf("%s: %s", label, fd >= 0 ? "made" : strerrorname_np(errno));
	if ((fd < 0) != (again < 0))
		printf(" but by number %s", again >= 0 ? "made" : strerrorname_np(errno));
	puts("");
	close(fd);
	close(again);
}

static void option(const char *label, int fd, int level, int name, const void *value, socklen_t len)
{
	int ret = setsockopt(fd, level, name, value, len);

	printf("%s: %s\n", label, ret == 0 ? "set" : strerrorname_np(errno));
}

int main(void)
{
	unsigned char route[8] = {131, 7, 4, 203, 0, 113, 66};
	unsigned char header[24] = {0, 2, 2, 1};
	int four, six, one = 1;

	kind("tcp", AF_INET, SOCK_STREAM, 0);
	kind("tcp6", AF_INET6, SOCK_STREAM, IPPROTO_TCP);
	kind("udp", AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	kind("unix", AF_UNIX, SOCK_SEQPACKET, 0);
	kind("route", AF_NETLINK, SOCK_RAW, 0);
	kind("raw", AF_INET, SOCK_RAW, IPPROTO_ICMP);
	kind("raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	kind("raw of everything", AF_INET, SOCK_RAW, IPPROTO_RAW);
	kind("ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	kind("packet", AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	kind("packet datagram", AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	kind("packet of old", AF_INET, SOCK_PACKET, htons(ETH_P_ALL));
	kind("sctp", AF_INET, SOCK_STREAM, 132);
	kind("sctp datagrams", AF_INET, SOCK_SEQPACKET, 132);
	kind("dccp", AF_INET, 6, 33);
	kind("udplite", AF_INET, SOCK_DGRAM, 136);
	kind("smc", AF_INET, SOCK_STREAM, 256);
	kind("vsock", AF_VSOCK, SOCK_STREAM, 0);
	kind("tipc", AF_TIPC, SOCK_RDM, 0);
	kind("xdp", AF_XDP, SOCK_RAW, 0);
	kind("bluetooth", AF_BLUETOOTH, SOCK_RAW, 1);
	kind("no such family", 46, SOCK_STREAM, 0);
	kind("beyond all families", 4711, SOCK_STREAM, 0);

	four = socket(AF_INET, SOCK_STREAM, 0);
	six = socket(AF_INET6, SOCK_DGRAM, 0);
	option("keepalive", four, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	option("nodelay", four, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	option("source route", four, IPPROTO_IP, IP_OPTIONS, route, sizeof(route));
	option("routing header", six, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof(header));
	option("kernel TLS", four, IPPROTO_TCP, TCP_ULP, "tls", 3);
	printf("kernel TLS by number: %s\n",
	       syscall(SYS_setsockopt, four, IPPROTO_TCP, TCP_ULP, "tls", 3) == 0 ? "set" : strerrorname_np(errno));
	return 0;
}
