/* build: */
/* SPDX-License-Identifier: MIT */
/*
 * A vfork() child shares the tables but not the descriptors (hooks.md F3): whatever it closes and
 * opens, the parent's connections stay what they are, and its own work on them.
 *
 *	life_vfork ADDRESS	a listed host's: TLS is required there
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netdb.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "run_from.h"

extern char **environ;

static int listed(const char *name)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (getaddrinfo(name, "443", &hints, &list) != 0 ||
	    connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		exit(3);
	freeaddrinfo(list);
	return fd;
}

static void say(const char *what, int fd)
{
	char text[] = "GET / HTTP/1.0\r\n\r\n";
	ssize_t ret = write(fd, text, strlen(text));

	printf("%s: %s\n", what, ret >= 0 ? "written" : strerrorname_np(errno));
}

static void vforked(void (*what)(int), int fd)
{
	pid_t pid = vfork();

	if (pid == 0) {
		what(fd);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void closes(int fd) { close(fd); }
static void closes_all(int fd) { close_range(3, ~0u, 0); }
static void closes_from(int fd) { closefrom(3); }

static void reuses(int fd)
{
	close(fd);
	open("/dev/null", O_WRONLY);
	dup2(1, fd);
}

/* What the child has at that number is its own: it works, and changes nothing. */
static int file_written;
static void writes(int fd)
{
	int file = open("/dev/null", O_WRONLY);

	dup2(file, fd);
	file_written = write(fd, "x", 1) == 1;
}

/* Another socket of an admitted peer at the number of one that must speak TLS */
static void connects(int fd)
{
	struct sockaddr_in peer = run_from_addr(0, 9000);
	int own;

	close(fd);
	own = socket(AF_INET, SOCK_STREAM, 0);
	if (own != fd)
		dup2(own, fd);
	connect(fd, (struct sockaddr *)&peer, sizeof(peer));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "api.example.com";
	posix_spawn_file_actions_t actions;
	char *args[] = {"true", NULL};
	pid_t pid;
	int fd;

	say("plain", listed(name));
	vforked(closes, fd = listed(name));
	say("close", fd);
	vforked(closes_all, fd = listed(name));
	say("close_range", fd);
	vforked(closes_from, fd = listed(name));
	say("closefrom", fd);
	vforked(reuses, fd = listed(name));
	say("dup2", fd);
	vforked(writes, fd = listed(name));
	say("write", fd);
	printf("child's own file: %s\n", file_written ? "written" : "not written");
	vforked(connects, fd = listed(name));
	say("connect", fd);

	fd = listed(name);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (posix_spawn(&pid, "/bin/true", &actions, NULL, args, environ) == 0)
		waitpid(pid, NULL, 0);
	say("posix_spawn", fd);
	return 0;
}
