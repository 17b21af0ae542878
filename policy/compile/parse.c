/* SPDX-License-Identifier: MIT */
/*
 * Policy text -> values that know their FILE:LINE.
 *
 * The text goes to libconfig, but not as it is. A scan before that
 *
 * - reads @include itself: relative to the file it stands in (libconfig takes one
 *   directory for all), only regular files of a bounded size, each one a source
 *   of the image. libconfig's scanner ends the process where a file cannot be
 *   read, a directory for one;
 * - notes where each string begins. libconfig gives an element of an array the
 *   line of the token *behind* it, one too far for the last of every list;
 * - bounds what libconfig does with quadratic time (looking up names in a group)
 *   or with its stack (nesting);
 * - says what is wrong with brackets, quotes and commas, where libconfig says
 *   "syntax error" about the end of the file.
 *
 * What comes out is one text without comments, and for each of its lines the
 * file and line it came from.
 */
#include <libconfig.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "work.h"

#define NEST_MAX          32   /* groups and lists in each other; the schema needs four */
#define INCLUDE_DEPTH_MAX 10   /* libconfig's own limit */
#define INCLUDE_MAX       256  /* files, so that a tree of includes ends */
#define ASSIGN_MAX        4096 /* "name =" in all; the schema has some sixty keys */

/* From .line of the scanned text on, lines are those of .place and what follows it. */
struct segment {
	uint32_t line;
	struct leash_place place;
};

struct bracket {
	char opened;
	struct leash_place place;
};

struct scan {
	struct leash_work *work;
	char *out;
	size_t out_len, out_size;
	uint32_t out_line;
	struct leash_vec segments; /* struct segment */
	struct leash_vec strings;  /* struct leash_place of each string value, in order */
	struct bracket open[NEST_MAX];
	unsigned int depth;
	unsigned int assigns, includes;
	size_t total; /* bytes read, all files */
	char last;    /* last character that means something, '"' for a string */
	bool bad;
};

/* One file of it, and those that include it. */
struct source {
	const struct source *parent;
	uint32_t file;
	uint32_t line;
	const char *path;
	const char *at, *end;
	bool line_start; /* nothing but blanks on this line so far */
};

static struct leash_place here(const struct source *src)
{
	return (struct leash_place){src->file, src->line};
}

static void put(struct scan *scan, char c)
{
	if (scan->out_len == scan->out_size) {
		size_t size = scan->out_size ? scan->out_size * 2 : 4096;
		char *out = realloc(scan->out, size);

		if (!out) {
			scan->work->oom = scan->bad = true;
			return;
		}
		scan->out = out;
		scan->out_size = size;
	}
	scan->out[scan->out_len++] = c;
	if (c == '\n')
		scan->out_line++;
}

/* What is put next came from here. */
static void mark(struct scan *scan, const struct source *src)
{
	struct segment *segment = leash_vec_add(scan->work, &scan->segments, sizeof(*segment));

	if (segment)
		*segment = (struct segment){scan->out_line, here(src)};
}

static struct leash_place place_of(const struct scan *scan, uint32_t line)
{
	const struct segment *segment = scan->segments.items;
	size_t low = 0, high = scan->segments.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (segment[middle].line <= line)
			low = middle;
		else
			high = middle;
	}
	if (scan->segments.count == 0)
		return (struct leash_place){0, line};
	return (struct leash_place){segment[low].place.file,
				    segment[low].place.line + (line - segment[low].line)};
}

static void newline(struct scan *scan, struct source *src)
{
	put(scan, '\n');
	src->line++;
	src->line_start = true;
}

static bool looking_at(const struct source *src, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(src->end - src->at) >= len && memcmp(src->at, text, len) == 0;
}

/* @src->at is behind the opening quote; afterwards behind the closing one. */
static bool skip_string(struct scan *scan, struct source *src)
{
	const char *start = src->at;

	while (src->at < src->end && *src->at != '\n') {
		if (*src->at == '"') {
			src->at++;
			return true;
		}
		if (looking_at(src, "\\x00")) {
			leash_error(scan->work, here(src),
				    "a string holds a NUL (\\x00); accepted is text");
			scan->bad = true;
			return false;
		}
		src->at += *src->at == '\\' && src->at + 1 < src->end && src->at[1] != '\n' ? 2 : 1;
	}
	leash_error(scan->work, here(src),
		    "the string that begins with %s has no closing '\"' on its line",
		    leash_work_quote(scan->work, start, (size_t)(src->at - start)));
	scan->bad = true;
	return false;
}

static void scan_string(struct scan *scan, struct source *src)
{
	const char *start = src->at++;
	struct leash_place *place;
	bool in_list = scan->depth && scan->open[scan->depth - 1].opened != '{';

	if (!skip_string(scan, src))
		return;
	if (scan->last == '"' && in_list) {
		/* libconfig would join the two into one name that nobody wrote. */
		leash_error(scan->work, here(src), "there is no comma before %.*s",
			    (int)(src->at - start < 100 ? src->at - start : 100), start);
		scan->bad = true;
		return;
	}
	if (scan->last != '"') {
		place = leash_vec_add(scan->work, &scan->strings, sizeof(*place));
		if (place)
			*place = here(src);
	}
	while (start < src->at)
		put(scan, *start++);
	scan->last = '"';
}

static void scan_comment(struct scan *scan, struct source *src)
{
	struct leash_place start = here(src);

	if (*src->at == '#' || src->at[1] == '/') {
		while (src->at < src->end && *src->at != '\n')
			src->at++;
		return;
	}
	put(scan, ' ');
	for (src->at += 2; src->at < src->end; src->at++) {
		if (looking_at(src, "*/")) {
			src->at += 2;
			return;
		}
		if (*src->at == '\n')
			newline(scan, src);
	}
	leash_error(scan->work, start, "the comment that begins here is never closed with \"*/\"");
	scan->bad = true;
}

static char closing(char opened)
{
	return opened == '{' ? '}' : opened == '[' ? ']' : ')';
}

static void scan_open(struct scan *scan, const struct source *src, char c)
{
	if (scan->depth == NEST_MAX) {
		leash_error(scan->work, here(src),
			    "groups and lists are nested deeper than %d; accepted is %s", NEST_MAX,
			    "what netleash.cfg(5) lists, four deep at most");
		scan->bad = true;
		return;
	}
	scan->open[scan->depth++] = (struct bracket){c, here(src)};
}

static void scan_close(struct scan *scan, const struct source *src, char c)
{
	const struct bracket *last = &scan->open[scan->depth ? scan->depth - 1 : 0];

	scan->bad = true;
	if (scan->depth == 0)
		leash_error(scan->work, here(src), "'%c' closes nothing", c);
	else if (closing(last->opened) != c)
		leash_error(scan->work, here(src),
			    "'%c' cannot close the '%c' of line %u; accepted is '%c'", c,
			    last->opened, last->place.line, closing(last->opened));
	else if (scan->last == ',')
		leash_error(
			scan->work, here(src),
			"there is a ',' before '%c'; accepted is no comma behind the last element",
			c);
	else {
		scan->bad = false;
		scan->depth--;
	}
}

static void scan_text(struct scan *scan, struct source *src);

/* Does one of the files that are being read include itself? The same path twice is what happens;
 * a cycle by way of links ends at INCLUDE_DEPTH_MAX. */
static bool includes_itself(const struct source *src, const char *path)
{
	for (; src; src = src->parent)
		if (strcmp(src->path, path) == 0)
			return true;
	return false;
}

static unsigned int include_depth(const struct source *src)
{
	unsigned int depth = 0;

	for (; src->parent; src = src->parent)
		depth++;
	return depth;
}

static void include(struct scan *scan, const struct source *src, const char *name)
{
	struct leash_work *work = scan->work;
	const char *path = leash_work_beside(work, src->file, name);
	struct source inner = {.parent = src, .line = 1, .path = path, .line_start = true};
	const char *text;
	size_t len;

	scan->bad = true;
	if (includes_itself(src, path)) {
		leash_error(work, here(src), "%s includes itself",
			    leash_work_quote(work, path, strlen(path)));
		return;
	}
	if (include_depth(src) == INCLUDE_DEPTH_MAX || scan->includes++ == INCLUDE_MAX) {
		leash_error(work, here(src),
			    "too many files are included; accepted are %d, %d deep", INCLUDE_MAX,
			    INCLUDE_DEPTH_MAX);
		return;
	}
	if (leash_work_read(work, here(src), path, 0, &inner.file, &text, &len) < 0)
		return;
	scan->total += len;
	if (scan->total > LEASH_TEXT_MAX) {
		leash_error(work, here(src),
			    "the policy has over %u bytes with this file; accepted is less",
			    LEASH_TEXT_MAX);
		return;
	}
	scan->bad = false;
	inner.at = text;
	inner.end = text + len;
	scan_text(scan, &inner);
}

/* @include "FILE", on a line of its own as in libconfig. */
static void scan_include(struct scan *scan, struct source *src)
{
	const char *start;
	char name[PATH_MAX];
	size_t len = 0;

	if (src->line_start && looking_at(src, "@include")) {
		src->at += strlen("@include");
		while (src->at < src->end && (*src->at == ' ' || *src->at == '\t'))
			src->at++;
		if (src->at < src->end && *src->at == '"') {
			start = ++src->at;
			if (!skip_string(scan, src))
				return;
			for (; start < src->at - 1 && len < sizeof(name) - 1; start++) {
				if (*start == '\\')
					start++;
				name[len++] = *start;
			}
			name[len] = '\0';
			include(scan, src, name);
			/* The rest of this line is ours again. */
			put(scan, '\n');
			mark(scan, src);
			src->line_start = false;
			return;
		}
	}
	leash_error(scan->work, here(src),
		    "'@' has no meaning here; accepted is @include \"FILE\" on a line of its own");
	scan->bad = true;
}

static void scan_odd(struct scan *scan, const struct source *src)
{
	size_t len = 1;

	while (len < 4 && src->at + len < src->end && ((unsigned char)src->at[len] & 0xc0) == 0x80)
		len++;
	if ((unsigned char)*src->at < 0x20 || *src->at == 0x7f)
		leash_error(scan->work, here(src),
			    "there is a control character (byte 0x%02x); accepted is text",
			    (unsigned char)*src->at);
	else
		leash_error(scan->work, here(src),
			    "'%.*s' has no meaning outside of a string; strings stand in plain "
			    "double quotes, "
			    "comments begin with '#'",
			    (int)len, src->at);
	scan->bad = true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '+' || c == '.' || c == '*';
}

static void scan_char(struct scan *scan, struct source *src)
{
	char c = *src->at;

	switch (c) {
	case '{':
	case '[':
	case '(':
		scan_open(scan, src, c);
		break;
	case '}':
	case ']':
	case ')':
		scan_close(scan, src, c);
		break;
	case '=':
	case ':':
		if (++scan->assigns > ASSIGN_MAX) {
			leash_error(scan->work, here(src),
				    "there are more than %d settings; accepted are the keys of "
				    "netleash.cfg(5)",
				    ASSIGN_MAX);
			scan->bad = true;
		}
		break;
	case ',':
	case ';':
		break;
	default:
		if (!is_word(c)) {
			scan_odd(scan, src);
			return;
		}
		break;
	}
	put(scan, c);
	scan->last = c;
	src->line_start = false;
	src->at++;
}

static void scan_text(struct scan *scan, struct source *src)
{
	put(scan, '\n'); /* so that a line of the result belongs to one file */
	mark(scan, src);
	while (!scan->bad && src->at < src->end) {
		char c = *src->at;

		if (c == '\n') {
			newline(scan, src);
			src->at++;
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
			put(scan, ' ');
			src->at++;
		} else if (c == '#' || looking_at(src, "//") || looking_at(src, "/*")) {
			scan_comment(scan, src);
		} else if (c == '"') {
			scan_string(scan, src);
			src->line_start = false;
		} else if (c == '@') {
			scan_include(scan, src);
		} else {
			scan_char(scan, src);
		}
	}
}

/* ---------------------------------------------------- libconfig -> values */

static const char *line_text(struct leash_work *work, const struct scan *scan, uint32_t line)
{
	const char *at = scan->out, *end;

	while (at && --line > 0) {
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	if (!at)
		return "\"\"";
	while (*at == ' ')
		at++;
	end = strchrnul(at, '\n');
	while (end > at && end[-1] == ' ')
		end--;
	return leash_work_quote(work, at, (size_t)(end - at));
}

static void syntax_fault(struct leash_work *work, const struct scan *scan, const config_t *config)
{
	uint32_t line = config_error_line(config) > 0 ? (uint32_t)config_error_line(config) : 1;
	const char *text = config_error_text(config) ? config_error_text(config) : "syntax error";
	const char *shown = line_text(work, scan, line);
	struct leash_place place = place_of(scan, line);

	if (strcmp(text, "duplicate setting name") == 0)
		leash_error(work, place, "a key stands for the second time in its group, in %s",
			    shown);
	else if (strcmp(text, "mismatched element type in array") == 0)
		leash_error(work, place,
			    "an array holds values of different types, in %s; accepted is one type",
			    shown);
	else if (strcmp(shown, "\"\"") == 0)
		leash_error(work, place,
			    "%s before this line, which is empty or the end of the file; accepted is "
			    "NAME = VALUE; or GROUP: { … };",
			    text);
	else
		leash_error(work, place,
			    "%s at or before %s; accepted is NAME = VALUE; or GROUP: { … };", text,
			    shown);
}

struct convert {
	struct leash_work *work;
	const struct scan *scan;
	size_t string; /* the next one of scan->strings */
};

static void convert(struct convert *conv, config_setting_t *setting, struct leash_value *ret);

static void convert_items(struct convert *conv, config_setting_t *setting, struct leash_value *ret)
{
	size_t count = (size_t)config_setting_length(setting);
	struct leash_value *items = leash_work_alloc(conv->work, count * sizeof(*items));

	if (!items)
		return;
	for (size_t i = 0; i < count; i++)
		convert(conv, config_setting_get_elem(setting, (unsigned int)i), &items[i]);
	ret->items = items;
	ret->count = count;
}

/* Depth is bounded: the scan refuses text that is nested deeper than NEST_MAX. */
static void convert(struct convert *conv, config_setting_t *setting, struct leash_value *ret)
{
	const char *name = config_setting_name(setting), *text;

	*ret = (struct leash_value){
		.type = LEASH_VALUE_NULL,
		.place = place_of(conv->scan, config_setting_source_line(setting)),
		.name = name ? leash_work_keep(conv->work, name, strlen(name)) : "",
		.text = "",
	};
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_BOOL:
		ret->type = LEASH_VALUE_BOOL;
		ret->number = config_setting_get_bool(setting);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		ret->type = LEASH_VALUE_INT;
		ret->number = config_setting_get_int64(setting);
		break;
	case CONFIG_TYPE_FLOAT:
		ret->type = LEASH_VALUE_FLOAT;
		ret->text = leash_work_format(conv->work, "%g", config_setting_get_float(setting));
		break;
	case CONFIG_TYPE_STRING:
		ret->type = LEASH_VALUE_STRING;
		text = config_setting_get_string(setting);
		if (text)
			ret->text = leash_work_keep(conv->work, text, strlen(text));
		if (!name && conv->string < conv->scan->strings.count)
			ret->place =
				((struct leash_place *)conv->scan->strings.items)[conv->string];
		conv->string++;
		break;
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		ret->type = LEASH_VALUE_ARRAY;
		convert_items(conv, setting, ret);
		break;
	case CONFIG_TYPE_GROUP:
		ret->type = LEASH_VALUE_GROUP;
		convert_items(conv, setting, ret);
		break;
	}
}

static const struct leash_value *read_config(struct leash_work *work, struct scan *scan)
{
	struct leash_value *root = leash_work_alloc(work, sizeof(*root));
	struct convert conv = {.work = work, .scan = scan};
	config_t config;

	if (!root)
		return NULL;
	config_init(&config);
	if (config_read_string(&config, scan->out)) {
		convert(&conv, config_root_setting(&config), root);
	} else {
		syntax_fault(work, scan, &config);
		root = NULL;
	}
	config_destroy(&config);
	return root;
}

static const struct leash_value *parse(struct scan *scan, struct source *src)
{
	struct leash_work *work = scan->work;
	const struct leash_value *root;

	scan_text(scan, src);
	if (!scan->bad && scan->depth > 0) {
		const struct bracket *last = &scan->open[scan->depth - 1];

		leash_error(work, last->place,
			    "the '%c' that begins here is never closed with '%c'", last->opened,
			    closing(last->opened));
		scan->bad = true;
	}
	put(scan, '\0');
	if (scan->bad)
		return NULL;
	root = read_config(work, scan);
	if (root && root->count == 0) {
		leash_error(work, (struct leash_place){src->file, 0},
			    "the file is empty: nothing is listed; accepted is a policy such as "
			    "domains: { request = [ \"https://api.example.com\" ]; };");
		root = NULL;
	}
	return root;
}

const struct leash_value *leash_parse_policy(struct leash_work *work, const char *path)
{
	struct scan scan = {.work = work, .out_line = 1};
	struct source src = {.line = 1, .path = path, .line_start = true};
	const struct leash_value *root = NULL;
	size_t len;

	if (leash_work_read(work, (struct leash_place){LEASH_NO_FILE, 0}, path, 0, &src.file,
			    &src.at, &len) == 0) {
		src.end = src.at + len;
		scan.total = len;
		root = parse(&scan, &src);
	}
	free(scan.out);
	free(scan.segments.items);
	free(scan.strings.items);
	work->parsed = root != NULL;
	return root;
}
