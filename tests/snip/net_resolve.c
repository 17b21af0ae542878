/* build: -lresolv */
// SPDX-License-Identifier: MIT
/*
 * net_resolve HOW NAME [PORT]: look a name up, and with PORT connect to what was found.
 *
 * HOW:	getaddrinfo getaddrinfo_a getaddrinfo_a_nowait gethostbyname gethostbyname2 gethostbyname2_6
 *	gethostbyname_r gethostbyname2_r res_query res_search res_nquery res_nsearch res_querydomain
 *	res_send res_nsend mx txt ptr any
 * Prints the first address ("ok" for other answers), then "connected" or the errno name; or the
 * resolver's own error as number and text. Ends with 0 if there was an answer (and a connection).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int family;
static unsigned char bytes[16];

static int from_host(const struct hostent *host, int *error_at)
{
	if (!host) {
		const int error = *error_at;

		printf("h_errno %d %s\n", error, hstrerror(error));
		return 1;
	}
	family = host->h_addrtype;
	memcpy(bytes, host->h_addr_list[0], (size_t)host->h_length);
	return 0;
}

static int from_info(int error, const struct addrinfo *info)
{
	if (error) {
		printf("EAI %d %s\n", error, gai_strerror(error));
		return 1;
	}
	family = info->ai_family;
	if (family == AF_INET)
		memcpy(bytes, &((struct sockaddr_in *)info->ai_addr)->sin_addr, 4);
	else
		memcpy(bytes, &((struct sockaddr_in6 *)info->ai_addr)->sin6_addr, 16);
	return 0;
}

static int from_message(const unsigned char *msg, int len)
{
	ns_msg handle;
	ns_rr record;

	if (len < 0) {
		printf("h_errno %d %s errno %s\n", h_errno, hstrerror(h_errno), strerrorname_np(errno));
		return 1;
	}
	if (ns_initparse(msg, len, &handle) < 0)
		return 1;
	if (ns_msg_getflag(handle, ns_f_rcode) != 0) {
		printf("rcode %d\n", ns_msg_getflag(handle, ns_f_rcode));
		return 1;
	}
	for (int i = 0; i < ns_msg_count(handle, ns_s_an); i++) {
		if (ns_parserr(&handle, ns_s_an, i, &record) == 0 && ns_rr_type(record) == ns_t_a) {
			family = AF_INET;
			memcpy(bytes, ns_rr_rdata(record), 4);
			return 0;
		}
	}
	return 0;
}

static int look_up(const char *how, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	struct gaicb request = {.ar_name = name, .ar_request = &hints}, *list[] = {&request};
	unsigned char question[512], answer[4096];
	struct hostent buf, *host = NULL;
	char mem[4096];
	int error = 0, len;

	if (strcmp(how, "getaddrinfo") == 0) {
		error = getaddrinfo(name, NULL, &hints, &found);
		return from_info(error, found);
	}
	if (strcmp(how, "getaddrinfo_a") == 0) {
		error = getaddrinfo_a(GAI_WAIT, list, 1, NULL);
		return from_info(error ? error : gai_error(&request), request.ar_result);
	}
	if (strcmp(how, "getaddrinfo_a_nowait") == 0) {
		error = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
		while (!error && gai_error(&request) == EAI_INPROGRESS)
			gai_suspend((const struct gaicb *const *)list, 1, NULL);
		return from_info(error ? error : gai_error(&request), request.ar_result);
	}
	if (strcmp(how, "gethostbyname") == 0)
		return from_host(gethostbyname(name), &h_errno);
	if (strcmp(how, "gethostbyname2") == 0)
		return from_host(gethostbyname2(name, AF_INET), &h_errno);
	if (strcmp(how, "gethostbyname2_6") == 0)
		return from_host(gethostbyname2(name, AF_INET6), &h_errno);
	if (strcmp(how, "gethostbyname_r") == 0) {
		gethostbyname_r(name, &buf, mem, sizeof(mem), &host, &error);
		return from_host(host, &error);
	}
	if (strcmp(how, "gethostbyname2_r") == 0) {
		gethostbyname2_r(name, AF_INET, &buf, mem, sizeof(mem), &host, &error);
		return from_host(host, &error);
	}
	res_init();
	if (strcmp(how, "res_query") == 0)
		return from_message(answer, res_query(name, ns_c_in, ns_t_a, answer, sizeof(answer)));
	if (strcmp(how, "mx") == 0)
		return from_message(answer, res_query(name, ns_c_in, ns_t_mx, answer, sizeof(answer)));
	if (strcmp(how, "txt") == 0)
		return from_message(answer, res_query(name, ns_c_in, ns_t_txt, answer, sizeof(answer)));
	if (strcmp(how, "ptr") == 0)
		return from_message(answer, res_query(name, ns_c_in, ns_t_ptr, answer, sizeof(answer)));
	if (strcmp(how, "any") == 0)
		return from_message(answer, res_query(name, ns_c_in, ns_t_any, answer, sizeof(answer)));
	if (strcmp(how, "res_search") == 0)
		return from_message(answer, res_search(name, ns_c_in, ns_t_a, answer, sizeof(answer)));
	if (strcmp(how, "res_nquery") == 0)
		return from_message(answer, res_nquery(&_res, name, ns_c_in, ns_t_a, answer, sizeof(answer)));
	if (strcmp(how, "res_nsearch") == 0)
		return from_message(answer, res_nsearch(&_res, name, ns_c_in, ns_t_a, answer, sizeof(answer)));
	if (strcmp(how, "res_querydomain") == 0) {
		char first[256], *dot;

		snprintf(first, sizeof(first), "%s", name);
		dot = strchr(first, '.');
		*dot = '\0';
		return from_message(answer, res_querydomain(first, dot + 1, ns_c_in, ns_t_a, answer,
							    sizeof(answer)));
	}
	len = res_mkquery(ns_o_query, name, ns_c_in, ns_t_a, NULL, 0, NULL, question, sizeof(question));
	if (strcmp(how, "res_send") == 0)
		return from_message(answer, res_send(question, len, answer, sizeof(answer)));
	if (strcmp(how, "res_nsend") == 0)
		return from_message(answer, res_nsend(&_res, question, len, answer, sizeof(answer)));
	return 2;
}

int main(int argc, char *argv[])
{
	char text[INET6_ADDRSTRLEN] = "ok";
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int fd, ret;

	if (argc < 3)
		return 2;
	ret = look_up(argv[1], argv[2]);
	if (ret != 0)
		return ret;
	if (family)
		inet_ntop(family, bytes, text, sizeof(text));
	puts(text);
	if (argc < 4)
		return 0;
	memcpy(&in.sin_addr, bytes, 4);
	memcpy(&in6.sin6_addr, bytes, 16);
	in.sin_port = in6.sin6_port = htons(atoi(argv[3]));
	fd = socket(family, SOCK_STREAM, 0);
	ret = family == AF_INET ? connect(fd, (struct sockaddr *)&in, sizeof(in))
				: connect(fd, (struct sockaddr *)&in6, sizeof(in6));
	puts(ret == 0 ? "connected" : strerrorname_np(errno));
	return ret == 0 ? 0 : 1;
}
