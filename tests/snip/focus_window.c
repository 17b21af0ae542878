/* build: -pthread -lxcb */
// SPDX-License-Identifier: MIT
/*
 * focus_window ADDRESS PORT TITLE [pid=N | nopid] [machine=NAME] [later]: a window, and requests all the time.
 *
 * Prints "works" or an errno where that changes (a new request every 50 ms), "hangs" when a request begins that
 * is never answered, and "ended ERRNO" when that one ends; then it begins another as soon as requests work.
 * later: the process id is set only when a line comes on standard input. Ends at the end of standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xcb/xcb.h>

static struct sockaddr_in to = {.sin_family = AF_INET};

/* Return: what the last call said, 0: an answer */
static int request(const char *text, const char *begun)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), error = 0;
	char buf[4096];

	if (connect(fd, (void *)&to, sizeof(to)) < 0 || write(fd, text, strlen(text)) < 0) {
		error = errno;
	} else {
		if (begun)
			puts(begun);
		if (read(fd, buf, sizeof(buf)) < 0)
			error = errno;
	}
	close(fd);
	return error;
}

static void *hang(void *arg)
{
	for (;;) {
		int error = request("GET /hang HTTP/1.0\r\n\r\n", "hangs");

		printf("ended %s\n", error ? strerrorname_np(error) : "answered");
		while (request("GET / HTTP/1.0\r\n\r\n", NULL) != 0)
			usleep(50000);
	}
	return arg;
}

static void *requests(void *arg)
{
	int last = -1;

	for (;; usleep(50000)) {
		int error = request("GET / HTTP/1.0\r\n\r\n", NULL);

		if (error != last)
			puts(error ? strerrorname_np(error) : "works");
		last = error;
	}
	return arg;
}

static xcb_atom_t atom(xcb_connection_t *c, const char *name)
{
	xcb_intern_atom_reply_t *reply =
		xcb_intern_atom_reply(c, xcb_intern_atom(c, 0, strlen(name), name), NULL);

	return reply ? reply->atom : 0;
}

int main(int argc, char *argv[])
{
	xcb_connection_t *c = xcb_connect(NULL, NULL);
	xcb_screen_t *screen;
	uint32_t pid = getpid(), window;
	char machine[256] = "", line[16];
	int later = 0;
	pthread_t thread;

	if (argc < 4 || xcb_connection_has_error(c))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	gethostname(machine, sizeof(machine) - 1);
	for (int i = 4; i < argc; i++) {
		if (strncmp(argv[i], "pid=", 4) == 0)
			pid = atoi(argv[i] + 4);
		else if (strcmp(argv[i], "nopid") == 0)
			pid = 0;
		else if (strncmp(argv[i], "machine=", 8) == 0)
			strcpy(machine, argv[i] + 8);
		else if (strcmp(argv[i], "later") == 0)
			later = 1;
	}
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	to.sin_port = htons(atoi(argv[2]));

	screen = xcb_setup_roots_iterator(xcb_get_setup(c)).data;
	window = xcb_generate_id(c);
	xcb_create_window(c, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, 200, 100, 1,
			  XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual, 0, NULL);
	xcb_change_property(c, 0, window, XCB_ATOM_WM_NAME, XCB_ATOM_STRING, 8, strlen(argv[3]), argv[3]);
	xcb_change_property(c, 0, window, XCB_ATOM_WM_CLIENT_MACHINE, XCB_ATOM_STRING, 8, strlen(machine),
			    machine);
	if (pid && !later)
		xcb_change_property(c, 0, window, atom(c, "_NET_WM_PID"), XCB_ATOM_CARDINAL, 32, 1, &pid);
	xcb_map_window(c, window);
	xcb_flush(c);
	pthread_create(&thread, NULL, requests, NULL);
	pthread_create(&thread, NULL, hang, NULL);
	while (fgets(line, sizeof(line), stdin))
		if (later) {
			xcb_change_property(c, 0, window, atom(c, "_NET_WM_PID"), XCB_ATOM_CARDINAL, 32, 1, &pid);
			xcb_flush(c);
		}
	return 0;
}
