/* SPDX-License-Identifier: MIT */
/*
 * The trust store: which certificates lie there, not yet whether they help (chain.c).
 *
 * The system's hashed directory is asked for one subject at a time, 0.01 ms where a bundle of all
 * roots costs 25. What was found is kept, what was not is not: names come from the network.
 */
#include "inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#define FILE_MAX    (16u << 20) /* bytes of a file with certificates */
#define GROUP_MAX   64          /* certificates of one subject hash */
#define HASH_ANY    UINT64_MAX
#define LOCAL_DEPTH 4    /* directories below a place of local additions */
#define LOCAL_MAX   4096 /* certificates there; a root past them counts as preinstalled */

static const char *const hashed_dirs[] = {
	"/etc/ssl/certs",
	"/etc/pki/ca-trust/extracted/pem/directory-hash",
	"/etc/pki/tls/certs",
};
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};
static const char *const local_dirs[] = {
	"/usr/local/share/ca-certificates",
	"/etc/pki/ca-trust/source/anchors",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------------- files */

/* A whole regular file, or NULL with errno. O_CLOEXEC: another thread may be in exec. */
static char *read_file(const char *path, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	char *text;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX) {
		close(fd);
		errno = EINVAL;
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	while (text && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	*ret_len = len;
	return text;
}

/* An encrypted block must not make OpenSSL ask on the program's terminal. */
static int no_password(char *buf, int size, int writing, void *user)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)user;
	return -1;
}

/* The next certificate of a PEM text, with its trust settings if it has any. */
static X509 *next_cert(BIO *bio)
{
	X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);

	if (!cert) {
		ERR_clear_error();
		return NULL;
	}
	X509_check_purpose(cert, -1, 0); /* decodes the extensions now, not under contention */
	return cert;
}

/* Append the certificates of a file. Return: how many, -errno if it cannot be read */
static int read_certs(const char *path, STACK_OF(X509) * to, int max)
{
	size_t len;
	char *text = read_file(path, &len);
	BIO *bio;
	X509 *cert;
	int count = 0;

	if (!text)
		return errno ? -errno : -ENOMEM;
	bio = BIO_new_mem_buf(text, (int)len);
	while (bio && sk_X509_num(to) < max && (cert = next_cert(bio)) != NULL) {
		if (!sk_X509_push(to, cert)) {
			X509_free(cert);
			break;
		}
		count++;
	}
	BIO_free(bio);
	free(text);
	return count;
}

/* --------------------------------------------------------------------- groups */

static void free_groups(struct leash_root_group *group)
{
	while (group) {
		struct leash_root_group *next = group->next;

		for (size_t i = 0; i < group->count; i++)
			X509_free(group->certs[i]);
		free(group);
		group = next;
	}
}

/* Takes the certificates out of @certs. */
static struct leash_root_group *make_group(uint64_t hash, STACK_OF(X509) * certs)
{
	size_t count = (size_t)sk_X509_num(certs);
	struct leash_root_group *group = calloc(1, sizeof(*group) + count * sizeof(X509 *));

	if (!group)
		return NULL;
	group->hash = hash;
	for (size_t i = count; i > 0; i--)
		group->certs[i - 1] = sk_X509_pop(certs);
	group->count = count;
	return group;
}

/* Two threads may have read the same: both groups stay, that does no harm. */
static void publish(struct leash_roots *roots, struct leash_root_group *group)
{
	group->next = atomic_load_explicit(&roots->found, memory_order_acquire);
	while (!atomic_compare_exchange_weak_explicit(&roots->found, &group->next, group,
						      memory_order_acq_rel, memory_order_acquire)) {
	}
}

static const struct leash_root_group *known(struct leash_roots *roots, uint64_t hash)
{
	const struct leash_root_group *at =
		atomic_load_explicit(&roots->found, memory_order_acquire);

	while (at && at->hash != hash)
		at = at->next;
	return at;
}

static const struct leash_root_group *load(struct leash_roots *roots, uint64_t hash)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	struct leash_root_group *group = NULL;
	size_t size = roots->dir ? strlen(roots->dir) + 32 : 0;
	char *path = size ? malloc(size) : NULL;

	if (certs && path) {
		for (unsigned int i = 0; i < GROUP_MAX; i++) {
			snprintf(path, size, "%s/%08lx.%u", roots->dir, (unsigned long)hash, i);
			if (read_certs(path, certs, GROUP_MAX) < 0)
				break;
		}
	} else if (certs && !roots->dir) {
		read_certs(roots->bundle, certs, INT_MAX);
	}
	/* An empty bundle is known too, or it would be read at every question. */
	if (certs && (sk_X509_num(certs) > 0 || !roots->dir))
		group = make_group(hash, certs);
	if (group)
		publish(roots, group);
	sk_X509_pop_free(certs, X509_free);
	free(path);
	return group;
}

static size_t take(const struct leash_root_group *group, const X509_NAME *subject, X509 **ret_certs,
		   size_t count, size_t max)
{
	for (size_t i = 0; group && i < group->count && count < max; i++) {
		if (X509_NAME_cmp(X509_get_subject_name(group->certs[i]), subject) == 0)
			ret_certs[count++] = group->certs[i];
	}
	return count;
}

/* The system's part of the store. */
static const struct leash_root_group *system_group(struct leash_roots *roots,
						   const X509_NAME *subject)
{
	const struct leash_root_group *group;
	uint64_t hash = HASH_ANY;
	int ok = 1;

	if (!roots->dir && !roots->bundle)
		return NULL;
	if (roots->dir) {
		hash = X509_NAME_hash_ex(subject, NULL, NULL, &ok);
		if (!ok)
			return NULL;
	}
	group = known(roots, hash);
	return group ? group : load(roots, hash);
}

size_t leash_roots_find(struct leash_roots *roots, const X509_NAME *subject, X509 **ret_certs,
			size_t max)
{
	size_t count = take(roots->extra, subject, ret_certs, 0, max);

	return take(system_group(roots, subject), subject, ret_certs, count, max);
}

/* -------------------------------------------------------------------- digests */

static bool digest_of(X509 *cert, uint8_t ret[static LEASH_DIGEST_SIZE])
{
	unsigned int len = LEASH_DIGEST_SIZE;

	return X509_digest(cert, EVP_sha256(), ret, &len) == 1 && len == LEASH_DIGEST_SIZE;
}

static bool holds(const struct leash_digests *digests, const uint8_t digest[static 32])
{
	for (size_t i = 0; digests && i < digests->count; i++) {
		if (memcmp(digests->bytes[i], digest, LEASH_DIGEST_SIZE) == 0)
			return true;
	}
	return false;
}

bool leash_roots_distrusts(const struct leash_roots *roots, X509 *cert)
{
	uint8_t digest[LEASH_DIGEST_SIZE];

	if (!roots->distrust)
		return false;
	return !digest_of(cert, digest) || holds(roots->distrust, digest);
}

static void read_local(const char *dir, STACK_OF(X509) * certs, int depth)
{
	const struct dirent *entry;
	DIR *list = opendir(dir);
	char path[4096];

	if (!list)
		return;
	while (sk_X509_num(certs) < LOCAL_MAX && (entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.' || (size_t)snprintf(path, sizeof(path), "%s/%s", dir,
								entry->d_name) >= sizeof(path))
			continue;
		if (entry->d_type == DT_DIR && depth > 0)
			read_local(path, certs, depth - 1);
		else
			read_certs(path, certs, LOCAL_MAX);
	}
	closedir(list);
}

/* Needed only where a leaf is valid for long, and then once. */
static const struct leash_digests *local_additions(struct leash_roots *roots)
{
	struct leash_digests *digests = atomic_load_explicit(&roots->local, memory_order_acquire);
	struct leash_digests *none = NULL;
	STACK_OF(X509) * certs;

	if (digests)
		return digests;
	certs = sk_X509_new_null();
	for (size_t i = 0; certs && i < COUNT(local_dirs); i++)
		read_local(local_dirs[i], certs, LOCAL_DEPTH);
	digests =
		certs ? calloc(1, sizeof(*digests) + (size_t)sk_X509_num(certs) * LEASH_DIGEST_SIZE)
		      : NULL;
	for (int i = 0; digests && i < sk_X509_num(certs); i++) {
		if (digest_of(sk_X509_value(certs, i), digests->bytes[digests->count]))
			digests->count++;
	}
	sk_X509_pop_free(certs, X509_free);
	if (digests &&
	    !atomic_compare_exchange_strong_explicit(&roots->local, &none, digests,
						     memory_order_acq_rel, memory_order_acquire)) {
		free(digests);
		digests = none; /* another thread was first */
	}
	return digests;
}

bool leash_roots_preinstalled(struct leash_roots *roots, X509 *root)
{
	const X509_NAME *subject = X509_get_subject_name(root);
	uint8_t digest[LEASH_DIGEST_SIZE];
	X509 *certs[GROUP_MAX];
	size_t count, i;

	count = take(roots->extra, subject, certs, 0, GROUP_MAX);
	for (i = 0; i < count; i++) {
		if (X509_cmp(certs[i], root) == 0)
			return false;
	}
	count = take(system_group(roots, subject), subject, certs, 0, GROUP_MAX);
	for (i = 0; i < count && X509_cmp(certs[i], root) != 0; i++) {
	}
	/* What cannot be told counts as preinstalled: that is the stricter side. */
	return i < count && (!digest_of(root, digest) || !holds(local_additions(roots), digest));
}

/* ----------------------------------------------------------------------- open */

static bool is_hashed_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] != '\0' &&
	       strspn(name + 9, "0123456789") == strlen(name + 9);
}

/* Is there a hashed name, is there anything? Return: -errno if it cannot be read */
static int look_at(const char *dir, bool *ret_hashed, bool *ret_empty)
{
	const struct dirent *entry;
	DIR *list = opendir(dir);

	if (!list)
		return -errno;
	*ret_hashed = false;
	*ret_empty = true;
	while (!*ret_hashed && (entry = readdir(list)) != NULL) {
		*ret_hashed = is_hashed_name(entry->d_name);
		if (entry->d_name[0] != '.')
			*ret_empty = false;
	}
	closedir(list);
	return 0;
}

static bool open_dir(struct leash_roots *roots, const char *dir, char *err, size_t err_size)
{
	bool hashed, empty;
	int error = look_at(dir, &hashed, &empty);

	if (error < 0) {
		snprintf(err, err_size, "cert.trust_dir %s: %s", dir, strerror(-error));
		return false;
	}
	if (!hashed && !empty) {
		snprintf(err, err_size,
			 "cert.trust_dir %s: no certificate under its hashed name "
			 "(run `openssl rehash %s`)",
			 dir, dir);
		return false;
	}
	/* An empty one is meant: then nothing but cert.extra_ca is trusted. */
	roots->dir = strdup(dir);
	if (!roots->dir)
		snprintf(err, err_size, "%s", strerror(ENOMEM));
	return roots->dir != NULL;
}

static bool open_system(struct leash_roots *roots, char *err, size_t err_size)
{
	bool hashed, empty;

	for (size_t i = 0; i < COUNT(hashed_dirs) && !roots->dir; i++) {
		if (look_at(hashed_dirs[i], &hashed, &empty) == 0 && hashed)
			roots->dir = strdup(hashed_dirs[i]);
	}
	for (size_t i = 0; i < COUNT(bundles) && !roots->dir && !roots->bundle; i++) {
		if (access(bundles[i], R_OK) == 0)
			roots->bundle = strdup(bundles[i]);
	}
	if (roots->dir || roots->bundle || roots->extra)
		return true;
	snprintf(err, err_size,
		 "no trust store of the system found (install ca-certificates, or name one in "
		 "cert.trust_dir)");
	return false;
}

static bool open_extra(struct leash_roots *roots, const struct leash_verify_roots *from, char *err,
		       size_t err_size)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	bool good = certs != NULL;

	for (size_t i = 0; good && i < from->extra_ca_count; i++) {
		int first = sk_X509_num(certs), got = read_certs(from->extra_ca[i], certs, INT_MAX);
		bool root = false;

		for (int k = first; k < sk_X509_num(certs); k++)
			root = root || X509_self_signed(sk_X509_value(certs, k), 0) == 1;
		good = root;
		if (got < 0)
			snprintf(err, err_size, "cert.extra_ca %s: %s", from->extra_ca[i],
				 strerror(-got));
		else if (!root)
			snprintf(err, err_size, "cert.extra_ca %s: %s", from->extra_ca[i],
				 got ? "no root in it, only certificates that others signed"
				     : "no certificate in it");
	}
	if (good && sk_X509_num(certs) > 0) {
		roots->extra = make_group(HASH_ANY, certs);
		good = roots->extra != NULL;
	}
	sk_X509_pop_free(certs, X509_free);
	return good;
}

static bool open_distrust(struct leash_roots *roots, const struct leash_verify_roots *from)
{
	if (!from->distrust_count)
		return true;
	roots->distrust =
		calloc(1, sizeof(*roots->distrust) + from->distrust_count * LEASH_DIGEST_SIZE);
	if (!roots->distrust)
		return false;
	memcpy(roots->distrust->bytes, from->distrust, from->distrust_count * LEASH_DIGEST_SIZE);
	roots->distrust->count = from->distrust_count;
	return true;
}

void leash_roots_close(struct leash_roots *roots)
{
	if (!roots)
		return;
	free_groups(atomic_load(&roots->found));
	free_groups(roots->extra);
	free(atomic_load(&roots->local));
	free(roots->distrust);
	free(roots->dir);
	free(roots->bundle);
	X509_STORE_free(roots->store);
	leash_cache_free(roots);
	EVP_MD_free(roots->sha256);
	free(roots);
}

struct leash_roots *leash_roots_open(const struct leash_verify_roots *from, char *err,
				     size_t err_size)
{
	struct leash_roots *roots = calloc(1, sizeof(*roots));
	bool good;

	snprintf(err, err_size, "%s", strerror(ENOMEM));
	if (!roots)
		return NULL;
	good = open_extra(roots, from, err, err_size) && open_distrust(roots, from) &&
	       (from->trust_dir && from->trust_dir[0]
			? open_dir(roots, from->trust_dir, err, err_size)
			: open_system(roots, err, err_size));
	roots->store = leash_chain_store();
	roots->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); /* without: nothing is kept */
	ERR_clear_error();
	if (good && roots->store)
		return roots;
	leash_roots_close(roots);
	return NULL;
}
