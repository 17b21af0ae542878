/* SPDX-License-Identifier: MIT */
/*
 * The policy alone, without a process around it: what a verdict costs, and what a process pays to have
 * one.
 *
 *	judge warm IMAGE	ns a verdict, sixteen names in turn
 *	judge cold IMAGE	ns a verdict, nothing of the image in a cache (median)
 *	judge map IMAGE		us from open() to the first verdict (median)
 *	judge count IMAGE N	N verdicts between two marks
 *
 * A verdict is leash_policy_peer() on a public address that was resolved from a listed name: what
 * connect() asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"
#include "policy/policy.h"

#define ROUNDS 301
#define NAMES 16

static struct leash_net net;

static void die(const char *what)
{
	fprintf(stderr, "judge: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const struct leash_image *map(const char *path, size_t *ret_size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct leash_image *image;
	struct stat st;
	void *base;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (base == MAP_FAILED)
		die("mmap");
	if (leash_image_open(base, (size_t)st.st_size, &image) < 0) {
		fprintf(stderr, "judge: %s: not an image\n", path);
		exit(1);
	}
	*ret_size = (size_t)st.st_size;
	return image;
}

/* Spread over the image */
static struct leash_nameref name_of(const struct leash_image *image, uint32_t i)
{
	const uint32_t count = leash_image_entry_count(image);
	const uint32_t at = (uint32_t)((uint64_t)i * 2654435761u % count);
	const char *name = leash_image_string(image, leash_image_entry(image, at)->name);

	return (struct leash_nameref){name, strlen(name)};
}

static void ask(const struct leash_image *image, const struct leash_nameref *name)
{
	struct leash_peer peer = {
		.transport = LEASH_TCP,
		.addr = {.family = LEASH_INET, .bytes = {203, 0, 113, 200}},
		.port = 443,
		.name_count = 1,
		.names = name,
		.net = &net,
	};

	if (leash_policy_peer(image, &peer).action == LEASH_DENY) {
		fprintf(stderr, "judge: %s is refused\n", name->name);
		exit(1);
	}
}

static void flush(const void *base, size_t size)
{
	for (const char *at = base; at < (const char *)base + size; at += 64) {
#if defined(__x86_64__)
		__asm__ volatile("clflush (%0)" : : "r"(at) : "memory");
#else
		__asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
#endif
	}
#if defined(__x86_64__)
	__asm__ volatile("mfence" : : : "memory");
#else
	__asm__ volatile("dsb ish" : : : "memory");
#endif
}

static int by_size(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(int64_t *all)
{
	qsort(all, ROUNDS, sizeof(*all), by_size);
	return all[ROUNDS / 2];
}

static void run_cold(const struct leash_image *image, size_t size)
{
	static int64_t took[ROUNDS], clock[ROUNDS];
	char text[NAMES * 16 + 254];

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct leash_nameref name = name_of(image, i * 7919);

		/* The question comes from elsewhere, and is warm. */
		memcpy(text, name.name, name.len + 1);
		name.name = text;
		flush(image, size);
		clock[i] = now_ns();
		clock[i] = now_ns() - clock[i];
		took[i] = now_ns();
		ask(image, &name);
		took[i] = now_ns() - took[i];
	}
	printf("%lld\n", (long long)(median(took) - median(clock)));
}

static void run_map(const char *path)
{
	static int64_t took[ROUNDS];
	struct leash_nameref name;
	char text[254];
	size_t size;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		const struct leash_image *image = map(path, &size);

		name = name_of(image, i);
		memcpy(text, name.name, name.len + 1);
		name.name = text;
		munmap((void *)(uintptr_t)image, size);
		took[i] = now_ns();
		image = map(path, &size);
		ask(image, &name);
		took[i] = now_ns() - took[i];
		munmap((void *)(uintptr_t)image, size);
	}
	printf("%.2f\n", (double)median(took) / 1000);
}

int main(int argc, char **argv)
{
	static char texts[NAMES][254];
	const struct leash_image *image;
	struct leash_nameref names[NAMES];
	static int64_t took[ROUNDS * 5];
	size_t size;

	if (argc < 3) {
		fprintf(stderr, "usage: judge warm|cold|map|count IMAGE [N]\n");
		return 100;
	}
	net.count = 2;
	leash_addr_parse("127.0.0.1", 9, &net.subnet[0].addr);
	net.subnet[0].prefix_len = 8;
	leash_addr_parse("192.0.2.10", 10, &net.subnet[1].addr);
	net.subnet[1].prefix_len = 24;
	image = map(argv[2], &size);
	for (uint32_t i = 0; i < NAMES; i++) {
		names[i] = name_of(image, i);
		strcpy(texts[i], names[i].name);
		names[i].name = texts[i];
		ask(image, &names[i]);
	}
	if (strcmp(argv[1], "warm") == 0) {
		/* The first quartile of chunks of 0.1 ms, as client.c does it and says why */
		for (int n = 0; n < ROUNDS * 5; n++) {
			took[n] = now_ns();
			for (int i = 0; i < 1600; i++)
				ask(image, &names[i % NAMES]);
			took[n] = now_ns() - took[n];
		}
		qsort(took, ROUNDS * 5, sizeof(*took), by_size);
		printf("%.2f\n", (double)took[ROUNDS * 5 / 4] / 1600);
	} else if (strcmp(argv[1], "cold") == 0) {
		run_cold(image, size);
	} else if (strcmp(argv[1], "map") == 0) {
		run_map(argv[2]);
	} else if (strcmp(argv[1], "count") == 0 && argc > 3) {
		bench_mark(BENCH_MARK_BEGIN);
		for (int i = 0; i < atoi(argv[3]); i++)
			ask(image, &names[i % NAMES]);
		bench_mark(BENCH_MARK_END);
	} else {
		return 100;
	}
	return 0;
}
