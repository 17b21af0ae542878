/* SPDX-License-Identifier: MIT */
/*
 * Name resolution in all its forms (hooks.md 3.6). Resolvers have an error language of
 * their own: a refusal is EAI_FAIL or NO_RECOVERY, a number of ours never.
 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <string.h>

#include "shim/conn/conn.h"
#include "shim/core/real.h"
#include "shim/core/scope.h"

/*
 * The search list is off while a judged name is looked up: "a.example" must not be asked for as
 * "a.example.corp". The state is this thread's own. A handler that siglongjmp()s out leaves the list
 * off in its thread, which refuses more and leaks nothing.
 */
static unsigned long search_off(res_state state)
{
	unsigned long options;

	if (!(state->options & RES_INIT))
		res_ninit(state);	/* as libc's first look-up would; it would set the options again */
	options = state->options;
	state->options &= ~(unsigned long)(RES_DEFNAMES | RES_DNSRCH);
	return options;
}

static void search_back(res_state state, unsigned long options)
{
	state->options |= options & (RES_DEFNAMES | RES_DNSRCH);
}

/* The end of a look-up that was begun: did it take too long, or was it interrupted? Keeps errno */
static int look_up_end(struct leash_lookup *lookup)
{
	const int now = errno;
	const int ended = leash_conn_lookup_end(lookup);

	errno = now;
	return ended;
}

/* ---------------------------------------------------------------------- getaddrinfo */

/* What is refused is EAI_FAIL; what the clock or the background ended has an errno, and a code that says
 * so: programs repeat EAI_AGAIN. */
static int addrinfo_refused(int ret)
{
	if (ret == -EINVAL)
		return EAI_NONAME;
	if (ret != -ECONNABORTED && ret != -ETIMEDOUT && ret != -ENOBUFS)
		return EAI_FAIL;
	errno = -ret;
	return EAI_SYSTEM;
}

LEASH_EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
			     const struct addrinfo *restrict hints,
			     struct addrinfo **restrict result)
{
	const int saved = errno;
	struct leash_lookup lookup;
	unsigned long options;
	int ended, ret = leash_conn_ask_name(node, "getaddrinfo", &lookup);

	errno = saved;
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	errno = saved;
	if (ret < 0)
		return addrinfo_refused(ret);
	if (!lookup.is_name)
		return leash_real.getaddrinfo(node, service, hints, result);
	options = search_off(&_res);
	errno = saved;
	ret = leash_real.getaddrinfo(lookup.name, service, hints, result);
	search_back(&_res, options);
	ended = look_up_end(&lookup);
	if (ended < 0) {
		if (ret == 0)
			freeaddrinfo(*result);
		return addrinfo_refused(ended);
	}
	if (ret == 0) {
		const int now = errno;

		leash_conn_learn_list(&lookup, *result);
		errno = now;
	}
	return ret;
}

/*
 * libc would look up in threads of its own, whose search list is out of reach: with LOCALDOMAIN or a
 * suffix of resolv.conf "a.example" is then asked for, and answered, as "a.example.corp". So it is done
 * here, before the call returns; gai_error() and gai_suspend() find requests that are answered.
 */
LEASH_EXPORT int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count,
			       struct sigevent *restrict event)
{
	if (mode != GAI_WAIT && mode != GAI_NOWAIT)
		return leash_real.getaddrinfo_a(mode, list, count, event);	/* EINVAL */
	for (int i = 0; i < count; i++) {
		struct gaicb *request = list[i];

		if (!request)
			continue;
		request->ar_result = NULL;
		request->__return = getaddrinfo(request->ar_name, request->ar_service,
						request->ar_request, &request->ar_result);
	}
	/* Nothing left to look up: what remains of it is the caller's notification. */
	return mode == GAI_NOWAIT ? leash_real.getaddrinfo_a(mode, list, 0, event) : 0;
}

/* ------------------------------------------------------------------------ gethostby* */

/* Refused or no name: what these functions leave behind then. */
static bool host_refused(int ret, int *restrict error)
{
	if (ret >= 0)
		return false;
	*error = ret == -EINVAL ? HOST_NOT_FOUND : NO_RECOVERY;
	if (ret == -ECONNABORTED || ret == -ETIMEDOUT || ret == -ENOBUFS) {
		*error = NETDB_INTERNAL;	/* "see errno" */
		errno = -ret;
	}
	return true;
}

LEASH_EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	const int saved = errno;
	struct leash_lookup lookup;
	struct hostent *host;
	unsigned long options;
	int ret = leash_conn_ask_name(name, "gethostbyname2", &lookup);

	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	errno = saved;
	if (host_refused(ret, &h_errno))
		return NULL;
	if (!lookup.is_name)
		return leash_real.gethostbyname2(name, family);
	options = search_off(&_res);
	host = leash_real.gethostbyname2(lookup.name, family);
	search_back(&_res, options);
	if (host_refused(look_up_end(&lookup), &h_errno))
		return NULL;
	if (host)
		leash_conn_learn_host(&lookup, host);
	return host;
}

LEASH_EXPORT struct hostent *gethostbyname(const char *name)
{
	const int saved = errno;
	struct leash_lookup lookup;
	struct hostent *host;
	unsigned long options;
	int ret = leash_conn_ask_name(name, "gethostbyname", &lookup);

	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	errno = saved;
	if (host_refused(ret, &h_errno))
		return NULL;
	if (!lookup.is_name)
		return leash_real.gethostbyname(name);
	options = search_off(&_res);
	host = leash_real.gethostbyname(lookup.name);
	search_back(&_res, options);
	if (host_refused(look_up_end(&lookup), &h_errno))
		return NULL;
	if (host)
		leash_conn_learn_host(&lookup, host);
	return host;
}

/* What the reentrant forms return for an answer that is no answer */
static int refused_r(struct hostent **restrict result, int ret)
{
	*result = NULL;
	if (ret == -EINVAL)
		ret = -EACCES;
	errno = -ret;
	return -ret;
}

LEASH_EXPORT int gethostbyname2_r(const char *restrict name, int family,
				  struct hostent *restrict buf, char *restrict mem, size_t size,
				  struct hostent **restrict result, int *restrict error)
{
	const int saved = errno;
	struct leash_lookup lookup;
	unsigned long options;
	int ret, ended;

	ret = leash_conn_ask_name(name, "gethostbyname2_r", &lookup);
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	errno = saved;
	if (host_refused(ret, error))
		return refused_r(result, ret);
	if (!lookup.is_name)
		return leash_real.gethostbyname2_r(name, family, buf, mem, size, result, error);
	options = search_off(&_res);
	ret = leash_real.gethostbyname2_r(lookup.name, family, buf, mem, size, result, error);
	search_back(&_res, options);
	ended = look_up_end(&lookup);
	if (host_refused(ended, error))
		return refused_r(result, ended);
	if (ret == 0 && *result)
		leash_conn_learn_host(&lookup, *result);
	return ret;
}

LEASH_EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict buf,
				 char *restrict mem, size_t size,
				 struct hostent **restrict result, int *restrict error)
{
	const int saved = errno;
	struct leash_lookup lookup;
	unsigned long options;
	int ret, ended;

	ret = leash_conn_ask_name(name, "gethostbyname_r", &lookup);
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	errno = saved;
	if (host_refused(ret, error))
		return refused_r(result, ret);
	if (!lookup.is_name)
		return leash_real.gethostbyname_r(name, buf, mem, size, result, error);
	options = search_off(&_res);
	ret = leash_real.gethostbyname_r(lookup.name, buf, mem, size, result, error);
	search_back(&_res, options);
	ended = look_up_end(&lookup);
	if (host_refused(ended, error))
		return refused_r(result, ended);
	if (ret == 0 && *result)
		leash_conn_learn_host(&lookup, *result);
	return ret;
}

/* --------------------------------------------------------------------------- reverse */

static bool reverse_allowed(int family, const void *addr, const char *call)
{
	const int saved = errno;
	const bool allowed = leash_conn_ask_reverse(family, addr, call);

	errno = saved;
	return allowed;
}

/* A question about an address that was never resolved carries that address out: the number is
 * the answer then, as where there is no name. */
LEASH_EXPORT int getnameinfo(const struct sockaddr *restrict addr, socklen_t len,
			     char *restrict host, socklen_t host_len, char *restrict serv,
			     socklen_t serv_len, int flags)
{
	const void *bytes = NULL;

	if (host && host_len > 0 && !(flags & NI_NUMERICHOST) && addr) {
		if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
			bytes = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
		else if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
			bytes = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
		if (bytes && !reverse_allowed(addr->sa_family, bytes, "getnameinfo")) {
			if (flags & NI_NAMEREQD)
				return EAI_NONAME;
			flags |= NI_NUMERICHOST;
		}
	}
	return leash_real.getnameinfo(addr, len, host, host_len, serv, serv_len, flags);
}

static bool whole(int family, socklen_t len)
{
	return (family == AF_INET && len >= 4) || (family == AF_INET6 && len >= 16);
}

LEASH_EXPORT struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
	if (whole(family, len) && !reverse_allowed(family, addr, "gethostbyaddr")) {
		h_errno = HOST_NOT_FOUND;
		return NULL;
	}
	return leash_real.gethostbyaddr(addr, len, family);
}

LEASH_EXPORT int gethostbyaddr_r(const void *restrict addr, socklen_t len, int family,
				 struct hostent *restrict buf, char *restrict mem, size_t size,
				 struct hostent **restrict result, int *restrict error)
{
	if (whole(family, len) && !reverse_allowed(family, addr, "gethostbyaddr_r")) {
		*result = NULL;
		*error = HOST_NOT_FOUND;
		return 0;
	}
	return leash_real.gethostbyaddr_r(addr, len, family, buf, mem, size, result, error);
}

/* -------------------------------------------------------------------------- networks */

LEASH_EXPORT struct netent *getnetbyname(const char *name)
{
	if (!leash_conn_ask_network(name, "getnetbyname")) {
		h_errno = NO_RECOVERY;
		return NULL;
	}
	return leash_real.getnetbyname(name);
}

LEASH_EXPORT int getnetbyname_r(const char *restrict name, struct netent *restrict buf,
				char *restrict mem, size_t size, struct netent **restrict result,
				int *restrict error)
{
	if (!leash_conn_ask_network(name, "getnetbyname_r")) {
		*result = NULL;
		*error = NO_RECOVERY;
		return EACCES;
	}
	return leash_real.getnetbyname_r(name, buf, mem, size, result, error);
}

LEASH_EXPORT struct netent *getnetbyaddr(uint32_t net, int family)
{
	if (!leash_conn_ask_network(NULL, "getnetbyaddr")) {
		h_errno = NO_RECOVERY;
		return NULL;
	}
	return leash_real.getnetbyaddr(net, family);
}

LEASH_EXPORT int getnetbyaddr_r(uint32_t net, int family, struct netent *restrict buf,
				char *restrict mem, size_t size, struct netent **restrict result,
				int *restrict error)
{
	if (!leash_conn_ask_network(NULL, "getnetbyaddr_r")) {
		*result = NULL;
		*error = NO_RECOVERY;
		return EACCES;
	}
	return leash_real.getnetbyaddr_r(net, family, buf, mem, size, result, error);
}

/* ----------------------------------------------------------------------------- res_* */

/* -1 with h_errno is how all of these fail. */
static int res_refused(int ret)
{
	h_errno = ret == -EINVAL ? HOST_NOT_FOUND : NO_RECOVERY;
	errno = ret == -EINVAL ? EACCES : -ret;
	return -1;
}

static int res_learn(const struct leash_lookup *lookup, int len, const unsigned char *answer,
		     int size)
{
	const int saved = errno;

	if (len > 0)
		leash_conn_learn_message(lookup, answer, (size_t)(len < size ? len : size));
	errno = saved;
	return len;
}

static int ask_type(const char *name, int class, int type, const char *call,
		    struct leash_lookup *lookup)
{
	return class == ns_c_in ? leash_conn_ask_type(name, type, call, lookup)
				: leash_conn_ask_type(name, 0, call, lookup);
}

LEASH_EXPORT int leash_res_nquery(res_state state, const char *name, int class, int type,
				  unsigned char *answer, int len) __asm__("__res_nquery");
LEASH_EXPORT int leash_res_nquery(res_state state, const char *name, int class, int type,
				  unsigned char *answer, int len)
{
	struct leash_lookup lookup;
	int len_got, ret = ask_type(name, class, type, "res_nquery", &lookup);

	if (ret == 0 && !leash_conn_state_servers(state))
		ret = leash_conn_refuse_servers("res_nquery");
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	if (ret < 0)
		return res_refused(ret);
	len_got = leash_real.__res_nquery(state, lookup.name, class, type, answer, len);
	ret = look_up_end(&lookup);
	return ret < 0 ? res_refused(ret) : res_learn(&lookup, len_got, answer, len);
}

LEASH_EXPORT int leash_res_nsearch(res_state state, const char *name, int class, int type,
				   unsigned char *answer, int len) __asm__("__res_nsearch");
LEASH_EXPORT int leash_res_nsearch(res_state state, const char *name, int class, int type,
				   unsigned char *answer, int len)
{
	struct leash_lookup lookup;
	int len_got, ret = ask_type(name, class, type, "res_nsearch", &lookup);
	unsigned long options;

	if (ret == 0 && !leash_conn_state_servers(state))
		ret = leash_conn_refuse_servers("res_nsearch");
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	if (ret < 0)
		return res_refused(ret);
	options = search_off(state);
	len_got = leash_real.__res_nsearch(state, lookup.name, class, type, answer, len);
	search_back(state, options);
	ret = look_up_end(&lookup);
	return ret < 0 ? res_refused(ret) : res_learn(&lookup, len_got, answer, len);
}

LEASH_EXPORT int leash_res_nquerydomain(res_state state, const char *name, const char *domain,
					int class, int type, unsigned char *answer, int len)
	__asm__("__res_nquerydomain");
LEASH_EXPORT int leash_res_nquerydomain(res_state state, const char *name, const char *domain,
					int class, int type, unsigned char *answer, int len)
{
	char whole_name[LEASH_LOOKUP_NAME_MAX];
	const size_t name_len = strnlen(name, sizeof(whole_name));
	const size_t domain_len = domain ? strnlen(domain, sizeof(whole_name)) : 0;

	if (name_len + domain_len + 2 > sizeof(whole_name))
		return res_refused(-EINVAL);
	memcpy(whole_name, name, name_len);
	if (domain_len > 0) {
		whole_name[name_len] = '.';
		memcpy(whole_name + name_len + 1, domain, domain_len);
	}
	whole_name[name_len + (domain_len > 0 ? domain_len + 1 : 0)] = '\0';
	return leash_res_nquery(state, whole_name, class, type, answer, len);
}

LEASH_EXPORT int leash_res_nsend(res_state state, const unsigned char *msg, int msg_len,
				 unsigned char *answer, int len) __asm__("__res_nsend");
LEASH_EXPORT int leash_res_nsend(res_state state, const unsigned char *msg, int msg_len,
				 unsigned char *answer, int len)
{
	struct leash_lookup lookup;
	int len_got;
	int ret = msg_len < 0 ? -EINVAL
			      : leash_conn_ask_message(msg, (size_t)msg_len, "res_nsend", &lookup);

	if (ret == 0 && !leash_conn_state_servers(state))
		ret = leash_conn_refuse_servers("res_nsend");
	if (ret == 0)
		ret = leash_conn_lookup_begin(&lookup, __builtin_frame_address(0));
	if (ret < 0)
		return res_refused(ret);
	len_got = leash_real.__res_nsend(state, msg, msg_len, answer, len);
	ret = look_up_end(&lookup);
	return ret < 0 ? res_refused(ret) : res_learn(&lookup, len_got, answer, len);
}

/* The forms without a state use this thread's. */
static res_state own(void)
{
	if (!(_res.options & RES_INIT))
		res_ninit(&_res);
	return &_res;
}

LEASH_EXPORT int leash_res_query(const char *name, int class, int type, unsigned char *answer,
				 int len) __asm__("__res_query");
LEASH_EXPORT int leash_res_query(const char *name, int class, int type, unsigned char *answer,
				 int len)
{
	return leash_res_nquery(own(), name, class, type, answer, len);
}

LEASH_EXPORT int leash_res_search(const char *name, int class, int type, unsigned char *answer,
				  int len) __asm__("__res_search");
LEASH_EXPORT int leash_res_search(const char *name, int class, int type, unsigned char *answer,
				  int len)
{
	return leash_res_nsearch(own(), name, class, type, answer, len);
}

LEASH_EXPORT int leash_res_querydomain(const char *name, const char *domain, int class, int type,
				       unsigned char *answer, int len) __asm__("__res_querydomain");
LEASH_EXPORT int leash_res_querydomain(const char *name, const char *domain, int class, int type,
				       unsigned char *answer, int len)
{
	return leash_res_nquerydomain(own(), name, domain, class, type, answer, len);
}

LEASH_EXPORT int leash_res_send(const unsigned char *msg, int msg_len, unsigned char *answer,
				int len) __asm__("__res_send");
LEASH_EXPORT int leash_res_send(const unsigned char *msg, int msg_len, unsigned char *answer,
				int len)
{
	return leash_res_nsend(own(), msg, msg_len, answer, len);
}

/* What old binaries may still bind; the same questions. */
LEASH_EXPORT struct hostent *same_res_gethostbyname(const char *) __asm__("res_gethostbyname")
	__attribute__((alias("gethostbyname")));
LEASH_EXPORT struct hostent *same_res_gethostbyname2(const char *, int)
	__asm__("res_gethostbyname2") __attribute__((alias("gethostbyname2")));
LEASH_EXPORT struct hostent *same_res_gethostbyaddr(const void *, socklen_t, int)
	__asm__("res_gethostbyaddr") __attribute__((alias("gethostbyaddr")));

/* glibc 2.34 made the names without underscores real; before they were macros. */
#define SAME(plain, inner, params)                                                                 \
	LEASH_EXPORT int plain params __asm__(#inner) __attribute__((alias("__" #inner)));
SAME(same_res_query, res_query, (const char *, int, int, unsigned char *, int))
SAME(same_res_search, res_search, (const char *, int, int, unsigned char *, int))
SAME(same_res_querydomain, res_querydomain,
     (const char *, const char *, int, int, unsigned char *, int))
SAME(same_res_send, res_send, (const unsigned char *, int, unsigned char *, int))
SAME(same_res_nquery, res_nquery, (res_state, const char *, int, int, unsigned char *, int))
SAME(same_res_nsearch, res_nsearch, (res_state, const char *, int, int, unsigned char *, int))
SAME(same_res_nquerydomain, res_nquerydomain,
     (res_state, const char *, const char *, int, int, unsigned char *, int))
SAME(same_res_nsend, res_nsend, (res_state, const unsigned char *, int, unsigned char *, int))
