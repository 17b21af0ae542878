/* SPDX-License-Identifier: MIT */
/*
 * The end of a run: hosts, connections, bytes, refusals with what to do about
 * them. Read from the session page, which the program could write to: every
 * number is checked before it is used as an index, every text is cleaned.
 */
#include "shim/launch/launch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/abi.h"

/* Lines of the table; the rest is in the events. Refusals are what a reader looks for. */
#define ROWS_MAX         30
#define ROWS_REFUSED_MAX 60
#define HOST_WIDTH_MAX   48
#define NEAR_SCAN        100000 /* entries looked at for a similar spelling */

struct row {
	char host[LEASH_SESSION_HOST_SIZE];
	uint32_t port;
	uint64_t connections, requests, sent, received, refused_total, would_total;
	uint64_t refused[LEASH_WHY_COUNT], would[LEASH_WHY_COUNT];
	uint32_t last_reason, last_rule, last_entry, last_near;
};

struct table {
	struct row *rows;
	size_t count;
	uint64_t connections, sent, received, refused, would;
	uint64_t requests[4];	/* by list */
	uint64_t over;		/* of .would: over a limit */
	uint64_t lost, programs;
	bool others;
};

static_assert(LEASH_WHY_COUNT <= 32, "the session page has room for 32 reasons");

static bool read_at(int fd, void *buf, size_t len, size_t offset)
{
	return pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

/* One host of the page, if it was ever used. */
static void take_host(struct table *table, const struct leash_session_host *host, size_t index)
{
	struct row *row = &table->rows[table->count];

	memset(row, 0, sizeof(*row));
	if (index > 0 && host->state != 2)
		return;
	row->connections = host->connections;
	for (size_t i = 0; i < 4; i++)
		row->requests += host->requests[i];
	row->sent = host->bytes_sent;
	row->received = host->bytes_received;
	for (size_t i = 1; i < LEASH_WHY_COUNT; i++) {
		row->refused[i] = host->refused[i];
		row->refused_total += row->refused[i];
		row->would[i] = host->would[i];
		row->would_total += row->would[i];
	}
	if (!row->connections && !row->requests && !row->sent && !row->received && !row->refused_total &&
	    !row->would_total)
		return;
	memcpy(row->host, host->host, sizeof(row->host) - 1);
	if (index == 0)
		strcpy(row->host, "(others)");
	leash_clean(row->host);
	row->port = host->port;
	row->last_reason = host->last_reason;
	row->last_rule = host->last_rule;
	row->last_entry = host->last_entry;
	row->last_near = host->last_near;
	table->count++;
	table->connections += row->connections;
	for (size_t i = 0; i < 4; i++)
		table->requests[i] += host->requests[i];
	table->sent += row->sent;
	table->received += row->received;
	table->refused += row->refused_total;
	table->would += row->would_total;
	table->over += row->would[LEASH_WHY_TOO_MANY];
}

/* The page is sparse: what was never written is not read, and costs no memory. */
static void take_hosts(struct table *table, int fd)
{
	const size_t start = offsetof(struct leash_session, host);
	const size_t end = start + sizeof(((struct leash_session *)NULL)->host);
	static struct leash_session_host host;
	size_t next = 0, at = start;

	while (at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return;
		if (data < 0)
			data = (off_t)at; /* a file system that does not know */
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data || (size_t)hole > end)
			hole = (off_t)end;
		if ((size_t)data < start)
			data = (off_t)start;
		for (size_t i = ((size_t)data - start) / sizeof(host); i < LEASH_SESSION_HOSTS;
		     i++) {
			if (start + i * sizeof(host) >= (size_t)hole)
				break;
			if (i < next)
				continue; /* it began in front of the last hole */
			next = i + 1;
			if (read_at(fd, &host, sizeof(host), start + i * sizeof(host)))
				take_host(table, &host, i);
		}
		at = (size_t)hole;
	}
}

static int by_importance(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (!x->refused_total != !y->refused_total)
		return x->refused_total ? 1 : -1; /* refusals last: nearest to the prompt */
	if (x->connections != y->connections)
		return x->connections > y->connections ? -1 : 1;
	if (strcmp(x->host, y->host) != 0)
		return strcmp(x->host, y->host);
	return x->port < y->port ? -1 : x->port > y->port;
}

static void print_size(char buf[static 32], uint64_t bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t whole = bytes, rest = 0;
	size_t i = 0;

	while (whole >= 1024 && i < 6) {
		rest = whole % 1024;
		whole /= 1024;
		i++;
	}
	if (i == 0 || whole >= 100)
		snprintf(buf, 32, "%" PRIu64 " %s", whole, unit[i]);
	else
		snprintf(buf, 32, "%" PRIu64 ".%" PRIu64 " %s", whole, rest * 10 / 1024, unit[i]);
}

static void print_reasons(FILE *out, const uint64_t counts[static LEASH_WHY_COUNT])
{
	const char *between = "";

	for (size_t i = 1; i < LEASH_WHY_COUNT; i++) {
		if (counts[i])
			fprintf(out, "%s%" PRIu64 " %s", between, counts[i],
				leash_reason_code((enum leash_reason)i));
		if (counts[i])
			between = ", ";
	}
}

static bool is_address(const char *host)
{
	struct leash_addr addr;

	return leash_addr_parse(host, strlen(host), &addr);
}

static void print_hint(FILE *out, const struct leash_image *image, const struct row *row)
{
	const uint32_t entries = leash_image_entry_count(image);
	struct leash_verdict verdict = {
		.action = LEASH_DENY, .entry = LEASH_ENTRY_NONE, .near = LEASH_ENTRY_NONE};
	struct leash_subject subject = {.api = "request", .host = row->host, .addr = ""};
	char normal[LEASH_NAME_SIZE], hint[1024];
	int len;

	if (row->last_reason == LEASH_WHY_NONE || row->last_reason >= LEASH_WHY_COUNT ||
	    row->last_rule >= LEASH_RULE_COUNT)
		return;
	verdict.reason = (enum leash_reason)row->last_reason;
	verdict.rule = (enum leash_rule)row->last_rule;
	if (row->last_entry < entries)
		verdict.entry = row->last_entry;
	if (row->last_near < entries)
		verdict.near = row->last_near;
	if (is_address(row->host))
		subject.addr = row->host;
	if (row->port <= UINT16_MAX)
		subject.port = (uint16_t)row->port;
	len = leash_name_normal(row->host, strlen(row->host), normal);
	if (verdict.near == LEASH_ENTRY_NONE && verdict.reason == LEASH_WHY_NOT_IN_LIST &&
	    len > 0 && !is_address(row->host))
		verdict.near = leash_policy_near(image, normal, (size_t)len, NEAR_SCAN);
	if (leash_explain_hint(image, &verdict, &subject, verdict.near, hint, sizeof(hint)) == 0)
		return;
	leash_clean(hint);
	fprintf(out, "      %s\n", hint);
}

static void print_row(FILE *out, const struct leash_image *image, const struct row *row, int width)
{
	char sent[32], received[32], port[16] = "-";

	print_size(sent, row->sent);
	print_size(received, row->received);
	if (row->port)
		snprintf(port, sizeof(port), "%" PRIu32, row->port);
	fprintf(out, "  %-*s %5s %11" PRIu64 " %8" PRIu64 " %10s %10s  ", width, row->host, port,
		row->connections, row->requests, sent, received);
	if (row->refused_total)
		print_reasons(out, row->refused);
	else
		fputc('-', out);
	fputc('\n', out);
	if (row->refused_total && row->host[0] != '(')
		print_hint(out, image, row);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* @limits: tasks over a limit that is only warned of; or everything else */
static void print_would(FILE *out, const struct leash_image *image, const struct table *table,
			bool limits)
{
	const bool audit = leash_image_settings(image)->audit;
	size_t shown = 0;

	fprintf(out, "netleash: works only because %s:\n",
		audit	 ? "nothing is refused (audit)"
		: limits ? "limits.over is \"warn\""
			 : "validation is skipped");
	for (size_t i = 0; i < table->count; i++) {
		const struct row *row = &table->rows[i];
		uint64_t counts[LEASH_WHY_COUNT] = {0};
		bool any = false;

		for (size_t k = 1; k < LEASH_WHY_COUNT; k++)
			if (audit || (k == LEASH_WHY_TOO_MANY) == limits)
				any |= (counts[k] = row->would[k]) != 0;
		if (!any)
			continue;
		if (shown++ == ROWS_REFUSED_MAX) {
			fputs("  … and more; --events FILE has them all\n", out);
			return;
		}
		fprintf(out, "  %s", row->host);
		if (row->port)
			fprintf(out, " port %" PRIu32, row->port);
		fputs(": ", out);
		print_reasons(out, counts);
		fputc('\n', out);
	}
}

static size_t count_names(const struct table *table)
{
	size_t names = 0;

	/* One host on several ports is one host; the table is small. */
	for (size_t i = 0; i < table->count; i++) {
		bool seen = table->rows[i].connections == 0;

		for (size_t k = 0; k < i && !seen; k++)
			seen = table->rows[k].connections &&
			       strcmp(table->rows[k].host, table->rows[i].host) == 0;
		names += !seen;
	}
	return names;
}

/* Those that were read: what passed in unreadable TLS is in no count. */
static void print_requests(FILE *out, const struct table *table)
{
	const char *between = "  requests: ";

	for (size_t i = 0; i < 4; i++) {
		if (!table->requests[i])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", between, table->requests[i], leash_list_api[i]);
		between = ", ";
	}
	if (between[0] == ',')
		fputc('\n', out);
}

static void print_table(FILE *out, const struct leash_image *image, const struct table *table)
{
	const uint64_t names = count_names(table);
	char sent[32], received[32];
	size_t width = 4, shown_rows[2] = {0, 0};

	print_size(sent, table->sent);
	print_size(received, table->received);
	fprintf(out,
		"netleash: %" PRIu64 " connection%s to %" PRIu64
		" host%s, %s sent, %s received, %" PRIu64 " refused\n",
		table->connections, plural(table->connections), names, plural(names), sent,
		received, table->refused);
	for (size_t i = 0; i < table->count; i++) {
		if (strlen(table->rows[i].host) > width)
			width = strlen(table->rows[i].host);
	}
	if (width > HOST_WIDTH_MAX)
		width = HOST_WIDTH_MAX;
	print_requests(out, table);
	fprintf(out, "  %-*s %5s %11s %8s %10s %10s  %s\n", (int)width, "HOST", "PORT", "CONNECTIONS",
		"REQUESTS", "SENT", "RECEIVED", "REFUSED");
	for (size_t i = 0; i < table->count; i++) {
		size_t *shown = &shown_rows[table->rows[i].refused_total != 0];

		if ((*shown)++ < (table->rows[i].refused_total ? ROWS_REFUSED_MAX : ROWS_MAX))
			print_row(out, image, &table->rows[i], (int)width);
	}
	if (shown_rows[0] > ROWS_MAX || shown_rows[1] > ROWS_REFUSED_MAX)
		fprintf(out, "  … and %zu more; --events FILE has them all\n",
			(shown_rows[0] > ROWS_MAX ? shown_rows[0] - ROWS_MAX : 0) +
				(shown_rows[1] > ROWS_REFUSED_MAX ? shown_rows[1] - ROWS_REFUSED_MAX
								  : 0));
	if (table->others)
		fprintf(out,
			"  (others): hosts beyond the first %d of a run are counted together\n",
			LEASH_SESSION_HOSTS - 1);
	if (table->would > table->over || (table->would && leash_image_settings(image)->audit))
		print_would(out, image, table, false);
	if (table->over && !leash_image_settings(image)->audit)
		print_would(out, image, table, true);
	if (table->programs)
		fprintf(out, "netleash: %" PRIu64 " program%s refused: cannot carry the policy\n",
			table->programs, plural(table->programs));
	if (table->lost)
		fprintf(out, "netleash: %" PRIu64 " event%s could not be written\n", table->lost,
			plural(table->lost));
}

static void write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

void leash_summary(int page_fd, const struct leash_image *image, bool print,
		   unsigned long long *ret_refused)
{
	static struct leash_session page; /* only its head is read */
	struct table table = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	*ret_refused = 0;
	if (!read_at(page_fd, &page, offsetof(struct leash_session, host), 0))
		return;
	*ret_refused = page.refused_total;
	table.rows = print ? calloc(LEASH_SESSION_HOSTS + 1, sizeof(*table.rows)) : NULL;
	if (!table.rows)
		return;
	table.lost = page.events_lost;
	table.programs = page.programs_refused;
	table.refused += table.programs;
	table.others = page.hosts_full != 0;
	take_hosts(&table, page_fd);
	/* The totals may know more than the hosts: a process killed between two counters. */
	if (table.refused < page.refused_total)
		table.refused = page.refused_total;
	if (table.count || table.refused || table.lost) {
		qsort(table.rows, table.count, sizeof(*table.rows), by_importance);
		out = open_memstream(&text, &len);
		if (out) {
			print_table(out, image, &table);
			if (fclose(out) == 0)
				write_all(text, len);
			free(text);
		}
	}
	free(table.rows);
}
