/* SPDX-License-Identifier: MIT */
/* The server: a process for each worker, which takes one connection after the other. */
#include "torture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct channel *channel_map(const char *directory, int worker, bool create)
{
	char path[512];
	struct channel *channel;
	int fd;

	snprintf(path, sizeof(path), "%s/channel%d", directory, worker);
	fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
	if (fd < 0 || (create && ftruncate(fd, sizeof(struct channel)) < 0))
		return NULL;
	channel = mmap(NULL, sizeof(struct channel), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return channel == MAP_FAILED ? NULL : channel;
}

int channel_bell(const char *directory, int worker)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bell%d", directory, worker);
	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		return -1;
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

struct server {
	struct channel *channel;
	int bell, fd;
	SSL *ssl;
	struct rng rng;
	uint32_t generation, next, done, scanned, pending_len;
	bool write_blocked, closed, gone;
};

/* Has the mark of the next answer come? Marks come in order, so nothing is looked at twice */
static bool come(struct server *s, const struct item *item)
{
	struct channel *ch = s->channel;
	const uint32_t len = atomic_load(&ch->in_len);
	const uint8_t *at;

	if (item->mark[0] == '\0')
		return true;
	at = memmem(ch->in + s->scanned, len - s->scanned, item->mark, MARK_SIZE);
	if (!at)
		return false;
	s->scanned = (uint32_t)(at - ch->in);
	/* the end of its line, and the empty one */
	at = memchr(at, '\n', (size_t)(ch->in + len - at));
	return at && memchr(at + 1, '\n', (size_t)(ch->in + len - at - 1));
}

static bool send_some(struct server *s)
{
	struct channel *ch = s->channel;
	const uint32_t count = atomic_load(&ch->item_count);	/* before the generation: see one_run() */

	if (atomic_load(&ch->generation) != s->generation) {
		s->generation = atomic_load(&ch->generation);
		s->next = s->done = 0;
		s->scanned = ch->run_at;
	}
	while (s->next < count && !s->closed) {
		const struct item *item = &ch->items[s->next];
		uint32_t len = item->len - s->done;
		int ret;

		if (s->done == 0 && s->pending_len == 0 &&
		    (!come(s, item) || (item->when == WHEN_ALL && atomic_load(&ch->written) <= item->request)))
			return false;
		if (len) {
			if (s->pending_len)
				len = s->pending_len;
			else if (rng_one_in(&s->rng, 2))
				len = rng_below(&s->rng, len < 5000 ? len : 5000) + 1;
			s->pending_len = len;
			ret = SSL_write(s->ssl, ch->out + item->at + s->done, (int)len);
			if (ret <= 0) {
				s->write_blocked = SSL_get_error(s->ssl, ret) == SSL_ERROR_WANT_WRITE;
				return false;
			}
			s->pending_len = 0;
			s->done += len;
			if (rng_one_in(&s->rng, 6))
				usleep(rng_below(&s->rng, 300));
		}
		if (s->done < item->len)
			return true;
		s->done = 0;
		s->next++;
		atomic_store(&ch->sent, s->next);
	}
	if (s->next == count && s->next && !s->closed && (ch->close_behind || ch->cut)) {
		const int ret = ch->close_behind ? SSL_shutdown(s->ssl) : 0;

		s->write_blocked = ret < 0 && SSL_get_error(s->ssl, ret) == SSL_ERROR_WANT_WRITE;
		if (s->write_blocked)
			return false;
		shutdown(s->fd, SHUT_WR);
		s->closed = true;
	}
	return false;
}

static bool receive_some(struct server *s)
{
	struct channel *ch = s->channel;
	const uint32_t len = atomic_load(&ch->in_len);
	uint32_t room = IN_MAX - len;
	int ret;

	if (room > 16384)
		room = 16384;
	ret = SSL_read(s->ssl, ch->in + len, (int)room);
	if (ret > 0) {
		atomic_store(&ch->in_len, len + (uint32_t)ret);
		return true;
	}
	ret = SSL_get_error(s->ssl, ret);
	if (ret != SSL_ERROR_WANT_READ && ret != SSL_ERROR_WANT_WRITE)
		s->gone = true;
	return false;
}

static void talk(struct server *s)
{
	while (!s->gone) {
		struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->bell, .events = POLLIN}};
		bool more = receive_some(s);

		s->write_blocked = false;
		more |= send_some(s);
		if (more && rng_one_in(&s->rng, 16))
			usleep(rng_below(&s->rng, 2000));
		if (more || s->gone)
			continue;
		if (s->write_blocked)
			fds[0].events |= POLLOUT;
		if (poll(fds, 2, 20000) == 0) {
			fprintf(stderr, "torture: the server waits for nothing\n");
			break;
		}
		if (fds[1].revents) {
			char bell[64];

			while (read(s->bell, bell, sizeof(bell)) > 0)
				;
		}
	}
}

static void option(int fd, int name, uint32_t value)
{
	const int number = (int)value;

	if (value)
		setsockopt(fd, SOL_SOCKET, name, &number, sizeof(number));
}

static int work(int listener, SSL_CTX *ctx, struct channel *channel, int bell)
{
	for (;;) {
		struct server s = {.channel = channel, .bell = bell, .fd = accept(listener, NULL, NULL)};
		const int on = 1;

		if (s.fd < 0)
			return 1;
		setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		option(s.fd, SO_SNDBUF, channel->server_sndbuf);
		s.rng.state = channel->seed ^ 0x5e4e4;
		s.ssl = SSL_new(ctx);
		SSL_set_fd(s.ssl, s.fd);
		if (SSL_accept(s.ssl) == 1) {
			fcntl(s.fd, F_SETFL, O_NONBLOCK);
			talk(&s);
		}
		ERR_clear_error();
		SSL_free(s.ssl);
		close(s.fd);
		/* Once, and last: from here on the channel is the next connection's. */
		atomic_store(&channel->ended, 1);
	}
}

int serve(const char *addr, uint16_t port, int workers, const char *certificate, const char *key,
	  const char *directory)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	signal(SIGPIPE, SIG_IGN);
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		return 1;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (int i = 0; i < workers; i++) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port + i))};
		struct channel *channel = channel_map(directory, i, true);
		const int bell = channel_bell(directory, i), fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		/* Before there is a connection: one whose window shrinks may stall for seconds (Linux 6.17). */
		option(fd, SO_RCVBUF, i % 2 ? 32768 : 0);
		if (!channel || bell < 0 || inet_pton(AF_INET, addr, &at.sin_addr) != 1 ||
		    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0) {
			perror("torture: listen");
			return 1;
		}
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(work(fd, ctx, channel, bell));
		}
		close(fd);
		close(bell);
	}
	printf("ready\n");
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	return 0;
}
