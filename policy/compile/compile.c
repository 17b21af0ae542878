/* SPDX-License-Identifier: MIT */
/*
 * One compilation: read, check, build, and hand out the faults.
 *
 * Order of what counts, policy 11: command line > policy file > project >
 * profile. It is applied from the weakest to the strongest, so the profile is
 * looked up in the policy file before anything else is taken from it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "work.h"

/* ---------------------------------------------------------------- memory */

#define CHUNK_SIZE (64u << 10)

struct leash_chunk {
	struct leash_chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

void *leash_work_alloc(struct leash_work *work, size_t size)
{
	struct leash_chunk *chunk = work->chunks;
	unsigned char *at;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk) {
			work->oom = true;
			return NULL;
		}
		chunk->used = 0;
		chunk->size = room;
		chunk->next = work->chunks;
		work->chunks = chunk;
	}
	at = chunk->bytes + chunk->used;
	chunk->used += size;
	return at;
}

const char *leash_work_keep(struct leash_work *work, const char *text, size_t len)
{
	char *copy = leash_work_alloc(work, len + 1);

	if (!copy)
		return "";
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static const char *format_kept(struct leash_work *work, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static const char *format_kept(struct leash_work *work, const char *format, va_list args)
{
	char *text;
	const char *kept;
	int len = vasprintf(&text, format, args);

	if (len < 0) {
		work->oom = true;
		return "";
	}
	kept = leash_work_keep(work, text, (size_t)len);
	free(text);
	return kept;
}

const char *leash_work_format(struct leash_work *work, const char *format, ...)
{
	const char *kept;
	va_list args;

	va_start(args, format);
	kept = format_kept(work, format, args);
	va_end(args);
	return kept;
}

void *leash_vec_add(struct leash_work *work, struct leash_vec *vec, size_t item_size)
{
	if (vec->count == vec->room) {
		size_t room = vec->room ? vec->room * 2 : 16;
		void *items = reallocarray(vec->items, room, item_size);

		if (!items) {
			work->oom = true;
			return NULL;
		}
		vec->items = items;
		vec->room = room;
	}
	return (char *)vec->items + vec->count++ * item_size;
}

static void free_work(struct leash_work *work)
{
	while (work->chunks) {
		struct leash_chunk *next = work->chunks->next;

		free(work->chunks);
		work->chunks = next;
	}
	free(work->entries.items);
	free(work->entry_places.items);
	free(work->sources.items);
	free(work->distrust.items);
	free(work->extra_ca.items);
	free(work->loopback_ports.items);
	free(work->faults.items);
	free(work->files.items);
}

/* ---------------------------------------------------------------- faults */

/* Bytes of the UTF-8 character at @text that a terminal may be shown, 0 if it may not: control
 * characters, C1 included, marks that turn the direction of the line round, and no UTF-8 at all. */
static size_t printable(const unsigned char *text, size_t len)
{
	uint32_t code;
	size_t need;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		need = 2;
	else if ((text[0] & 0xf0) == 0xe0)
		need = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (len < need)
		return 0;
	code = text[0] & (0xffu >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if ((need == 3 && code < 0x800) || (need == 4 && code < 0x10000) || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	if (code < 0xa0 || (code >= 0x200b && code <= 0x200f) ||
	    (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	    code == 0xfeff)
		return 0;
	return need;
}

/* One line that can be shown: whatever stood in the file becomes \xNN where it is no text. */
static const char *clean(struct leash_work *work, const char *text)
{
	size_t len = strlen(text);
	char *out = leash_work_alloc(work, len * 4 + 1), *at = out;

	if (!out)
		return "";
	for (size_t i = 0; i < len;) {
		size_t n = printable((const unsigned char *)text + i, len - i);

		if (n) {
			memcpy(at, text + i, n);
			at += n;
			i += n;
		} else {
			at += sprintf(at, "\\x%02x", (unsigned char)text[i++]);
		}
	}
	*at = '\0';
	return out;
}

void leash_work_fault(struct leash_work *work, enum leash_fault_kind kind, struct leash_place place,
		      const char *format, ...)
{
	uint32_t order = (uint32_t)work->faults.count;
	struct leash_work_fault *fault;
	const char *message;
	va_list args;

	if (kind == LEASH_FAULT_ERROR)
		work->error_count++;
	va_start(args, format);
	message = clean(work, format_kept(work, format, args));
	va_end(args);
	fault = leash_vec_add(work, &work->faults, sizeof(*fault));
	if (fault)
		*fault = (struct leash_work_fault){place, order, kind, message};
}

#define QUOTE_MAX 100 /* bytes shown of what a file says */

const char *leash_work_quote(struct leash_work *work, const char *text, size_t len)
{
	size_t shown = len;

	if (len > QUOTE_MAX) {
		shown = QUOTE_MAX;
		while (shown > QUOTE_MAX - 4 && ((unsigned char)text[shown] & 0xc0) == 0x80)
			shown--; /* not through the middle of a character */
	}
	return leash_work_format(work, "\"%.*s%s\"", (int)shown, text, shown < len ? "…" : "");
}

static int fault_order(const void *left, const void *right)
{
	const struct leash_work_fault *a = left, *b = right;

	if (a->place.file != b->place.file)
		return a->place.file < b->place.file ? -1 : 1;
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* Everything in one block: the array first, the strings behind it. */
static int pack_faults(struct leash_work *work, struct leash_compiled *ret)
{
	struct leash_work_fault *from = work->faults.items;
	size_t count = work->faults.count, size = count * sizeof(*ret->faults);
	struct leash_fault *faults;
	char *at;

	if (count == 0)
		return 0;
	qsort(from, count, sizeof(*from), fault_order);
	for (size_t i = 0; i < count; i++)
		size += strlen(leash_work_file_at(work, from[i].place.file).shown) +
			strlen(from[i].message) + 2;
	faults = malloc(size);
	if (!faults)
		return -ENOMEM;
	at = (char *)(faults + count);
	for (size_t i = 0; i < count; i++) {
		faults[i] = (struct leash_fault){
			.kind = from[i].kind,
			.line = from[i].place.line,
			.file = at,
		};
		at = stpcpy(at, leash_work_file_at(work, from[i].place.file).shown) + 1;
		faults[i].message = at;
		at = stpcpy(at, from[i].message) + 1;
	}
	ret->faults = faults;
	ret->fault_count = count;
	return 0;
}

/* ----------------------------------------------------------------- files */

static const char *dir_of(struct leash_work *work, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? leash_work_keep(work, path, (size_t)(slash - path) + 1) : "";
}

uint32_t leash_work_file(struct leash_work *work, const char *shown)
{
	const char *kept = leash_work_keep(work, shown, strlen(shown));
	const char *dir = dir_of(work, kept);
	struct leash_work_file *file = leash_vec_add(work, &work->files, sizeof(*file));

	if (!file)
		return LEASH_NO_FILE;
	*file = (struct leash_work_file){kept, dir};
	return (uint32_t)work->files.count - 1;
}

struct leash_work_file leash_work_file_at(const struct leash_work *work, uint32_t file)
{
	const struct leash_work_file *files = work->files.items;

	if (file >= work->files.count)
		return (struct leash_work_file){"", ""};
	return files[file];
}

const char *leash_work_beside(struct leash_work *work, uint32_t file, const char *name)
{
	if (name[0] == '/')
		return name;
	return leash_work_format(work, "%s%s", leash_work_file_at(work, file).dir, name);
}

/* The last name is not resolved: a policy that is a symbolic link to one of several policies is
 * the link, whatever it points to today. */
const char *leash_work_absolute(struct leash_work *work, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *dir = slash == path ? "/" : slash ? dir_of(work, path) : ".";
	char *real = realpath(dir, NULL);
	const char *kept;

	if (!real)
		return path;
	kept = leash_work_format(work, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
	free(real);
	return kept;
}

void leash_work_source(struct leash_work *work, const char *path, int fd)
{
	const char *absolute = leash_work_absolute(work, path);
	struct leash_draft_source *source;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	source = leash_vec_add(work, &work->sources, sizeof(*source));
	if (source)
		*source = (struct leash_draft_source){
			.path = absolute,
			.dev = (uint64_t)st.st_dev,
			.ino = (uint64_t)st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		};
}

/* Bytes of an open file up to its end. Return: length, or negative errno */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Return: what is wrong with the file, NULL if nothing is */
static const char *read_open(struct leash_work *work, const char *path, int fd, unsigned int flags,
			     const char **ret_text, size_t *ret_len)
{
	const char *nul;
	struct stat st;
	ssize_t len;
	char *text;

	if (fstat(fd, &st) < 0)
		return leash_work_format(work, "cannot be looked at: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return "is a directory; accepted is a regular file";
	if (!S_ISREG(st.st_mode))
		return "is no regular file; accepted is a regular file";
	if (st.st_mode & S_IWOTH)
		return leash_work_format(
			work,
			"is writable by everybody (mode %04o), who could change the policy; "
			"accepted is a file without that right (chmod o-w)",
			(unsigned int)st.st_mode & 07777);
	if (st.st_size > (off_t)LEASH_TEXT_MAX)
		return leash_work_format(work, "has %lld bytes; accepted are at most %u (16 MiB)",
					 (long long)st.st_size, LEASH_TEXT_MAX);
	if (!(flags & LEASH_READ_NO_SOURCE))
		leash_work_source(work, path, fd);
	text = leash_work_alloc(work, (size_t)st.st_size + 1);
	if (!text)
		return "needs more memory than there is";
	len = read_all(fd, text, (size_t)st.st_size);
	if (len < 0)
		return leash_work_format(work, "cannot be read: %s", strerror((int)-len));
	text[len] = '\0';
	*ret_text = text;
	*ret_len = (size_t)len;
	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return "is UTF-16; accepted is UTF-8";
	nul = memchr(text, '\0', (size_t)len);
	if (nul)
		return leash_work_format(work, "is no text: there is a NUL byte at offset %zu",
					 (size_t)(nul - text));
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		*ret_text += 3;
		*ret_len -= 3;
	}
	return NULL;
}

int leash_work_read(struct leash_work *work, struct leash_place from, const char *path,
		    unsigned int flags, uint32_t *ret_file, const char **ret_text, size_t *ret_len)
{
	const char *wrong;
	uint32_t file;
	int fd;

	/* O_NONBLOCK: a FIFO without a writer must not hold us up before we see what it is. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (flags & LEASH_READ_OPTIONAL) && errno == ENOENT)
		return -ENOENT;
	if (fd < 0) {
		wrong = leash_work_format(work, "cannot be opened: %s", strerror(errno));
	} else {
		wrong = read_open(work, path, fd, flags, ret_text, ret_len);
		close(fd);
	}
	file = from.file == LEASH_NO_FILE || !wrong ? leash_work_file(work, path) : LEASH_NO_FILE;
	if (!wrong) {
		*ret_file = file;
		return 0;
	}
	if (from.file == LEASH_NO_FILE)
		leash_error(work, (struct leash_place){file, 0}, "%s", wrong);
	else
		leash_error(work, from, "%s %s", leash_work_quote(work, path, strlen(path)), wrong);
	return -EINVAL;
}

/* ------------------------------------------------------------- the order */

static const struct leash_value *member(const struct leash_value *group, const char *name)
{
	for (size_t i = 0; group && i < group->count; i++)
		if (strcmp(group->items[i].name, name) == 0)
			return &group->items[i];
	return NULL;
}

static bool find_word(const struct leash_word *words, const char *text, uint8_t *ret_value)
{
	for (; words->text; words++) {
		if (strcmp(words->text, text) == 0) {
			*ret_value = words->value;
			return true;
		}
	}
	return false;
}

/* A wrong profile is a fault where it is taken (check.c); here it counts as none. */
static enum leash_profile pick_profile(const struct leash_work *work,
				       const struct leash_value *root)
{
	const struct leash_value *value = member(root, "profile");
	const char *text = work->options->profile;
	uint8_t profile = LEASH_PROFILE_TCSAS;

	if (!text && value && value->type == LEASH_VALUE_STRING)
		text = value->text;
	if (text)
		find_word(leash_profile_words, text, &profile);
	return (enum leash_profile)profile;
}

/* An option of the command line, which wins over the file and is checked like it. */
static void apply_option(struct leash_work *work, const char *option, const char *key,
			 const char *text)
{
	struct leash_value value = {.type = LEASH_VALUE_STRING, .name = "", .text = text};

	if (!text)
		return;
	value.place.file = leash_work_file(work, option);
	leash_check_apply(work, key, &value);
}

static void finish_draft(struct leash_work *work)
{
	struct leash_draft *draft = &work->draft;
	struct leash_draft_entry *entry = work->entries.items;
	const struct leash_place *place = work->entry_places.items;

	for (size_t i = 0; i < work->entries.count; i++)
		entry[i].file = leash_work_file_at(work, place[i].file).shown;
	draft->path = work->options->policy ? leash_work_absolute(work, work->options->policy) : "";
	draft->entries = work->entries.items;
	draft->entry_count = work->entries.count;
	draft->sources = work->sources.items;
	draft->source_count = work->sources.count;
	draft->distrust = (const uint8_t(*)[32])work->distrust.items;
	draft->distrust_count = work->distrust.count;
	draft->extra_ca = work->extra_ca.items;
	draft->extra_ca_count = work->extra_ca.count;
	draft->loopback_ports = work->loopback_ports.items;
	draft->loopback_port_count = work->loopback_ports.count;
}

static void build(struct leash_work *work, struct leash_compiled *ret)
{
	struct leash_place whole = {0, 0};
	int rc;

	finish_draft(work);
	if (work->oom)
		return;
	rc = leash_build(&work->draft, &ret->image, &ret->image_len);
	if (rc == 0)
		return;
	ret->image = NULL;
	ret->image_len = 0;
	if (rc == -ENOMEM)
		work->oom = true;
	else if (rc == -E2BIG)
		leash_error(work, whole,
			    "makes an image that is too large; accepted are at most %u MiB",
			    LEASH_IMAGE_MAX >> 20);
	else
		leash_error(work, whole, "cannot be made into an image: %s", strerror(-rc));
}

int leash_compile(const struct leash_compile_options *options, struct leash_compiled *ret)
{
	struct leash_work work = {.options = options};
	const struct leash_value *root = NULL;
	int rc;

	*ret = (struct leash_compiled){0};
	for (size_t i = 0; i < LEASH_KEYS_MAX; i++)
		work.given[i].file = LEASH_NO_FILE;
	work.policy_shown = options->policy    ? options->policy
			    : options->project ? options->project
					       : "(no policy)";

	if (options->policy)
		root = leash_parse_policy(&work, options->policy);
	else
		leash_work_file(&work, work.policy_shown);
	leash_profile_apply(&work, pick_profile(&work, root));
	if (options->project)
		leash_project_read(&work, options->project);
	if (root)
		leash_check_policy(&work, root);
	apply_option(&work, "--profile", "profile", options->profile);
	apply_option(&work, "--platform", "platform", options->platform);
	if (options->audit >= 0)
		work.draft.settings.audit = options->audit > 0;
	leash_check_whole(&work);

	if (work.error_count == 0)
		build(&work, ret);
	ret->error_count = work.error_count;
	rc = work.oom ? -ENOMEM : pack_faults(&work, ret);
	free_work(&work);
	if (rc == 0 && ret->error_count > 0)
		rc = -EINVAL;
	if (rc < 0) {
		free(ret->image);
		ret->image = NULL;
		ret->image_len = 0;
	}
	return rc;
}

void leash_compiled_free(struct leash_compiled *compiled)
{
	free(compiled->image);
	free(compiled->faults);
	*compiled = (struct leash_compiled){0};
}

/* ------------------------------------------------------ not enforced yet */

static bool has_seal(const struct leash_settings *settings)
{
	return settings->seal_level != 0;
}

/* Whoever builds one of these strikes out its row. */
static const struct {
	const char *phrase;
	bool (*asked)(const struct leash_settings *settings);
} unenforced[] = {
	{"seal", has_seal},
};

const char *leash_compile_unenforced(const struct leash_image *image, size_t i)
{
	const struct leash_settings *settings = leash_image_settings(image);
	size_t seen = 0;

	for (size_t row = 0; row < sizeof(unenforced) / sizeof(unenforced[0]); row++) {
		if (unenforced[row].asked(settings) && seen++ == i)
			return unenforced[row].phrase;
	}
	return NULL;
}
