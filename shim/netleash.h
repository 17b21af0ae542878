/* SPDX-License-Identifier: MIT */
/*
 * For programs that know they may run under netleash: two functions of libnetleash.so. Declare them weak, or
 * look them up with dlsym(RTLD_DEFAULT, …), and ask whether they are there:
 *
 *	#pragma weak netleash_set_timeout
 *	if (netleash_set_timeout)
 *		netleash_set_timeout(fd, 5000);
 */
#ifndef NETLEASH_H
#define NETLEASH_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * netleash_set_timeout() - How long may requests on this socket take?
 * @fd:		A TCP or UDP socket, connected or not
 * @timeout_ms:	Instead of networkTimeout and of SO_RCVTIMEO, SO_SNDTIMEO and TCP_USER_TIMEOUT; 60000 at the
 *		most; 0 takes it back. What is pending has it from its start on.
 *
 * Return: 0; or -1 and errno: EBADF, ENOTSOCK (no INET socket), EINVAL (negative)
 */
int netleash_set_timeout(int fd, int timeout_ms);

/**
 * netleash_set_background() - Go to the background, or come back, as `netleash background` does it
 * All processes of the session. Async-signal-safe.
 *
 * Return: 0; or -1 and errno: EACCES (no usable policy)
 */
int netleash_set_background(bool background);

#ifdef __cplusplus
}
#endif

#endif
