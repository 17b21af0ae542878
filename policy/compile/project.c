/* SPDX-License-Identifier: MIT */
/*
 * JSON: the files of a mini-game project, and the answer of the platform's
 * get-domain-info call. They belong to the platform: keys that mean nothing here
 * are passed over.
 *
 * jansson says where a text stops being JSON, but not where a value stands. A
 * second walk over the text, which is known to be JSON by then, counts lines.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "work.h"

/* One file. */
struct json_file {
	struct leash_work *work;
	uint32_t file;
	const char *text;
	size_t len;
	json_t *root;
};

/* ------------------------------------------------------- lines of values */

#define PATH_DEPTH 2 /* what is asked for is at most "key.key" or "key[index]" */

struct step {
	bool object;
	bool key_next;
	const char *key; /* raw: one with escapes is none that we look for */
	size_t key_len;
	size_t index;
};

struct walk {
	const char *at, *end;
	unsigned int line, depth; /* containers around .at */
	unsigned int steps;       /* to the value that was found */
	struct step step[PATH_DEPTH];
};

static void skip_string(struct walk *walk)
{
	for (walk->at++; walk->at < walk->end && *walk->at != '"'; walk->at++)
		if (*walk->at == '\\' && walk->at + 1 < walk->end)
			walk->at++;
	if (walk->at < walk->end)
		walk->at++;
}

static bool is_scalar(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '+' || c == '.';
}

/**
 * next_value() - Go on to the next value that lies at most PATH_DEPTH deep
 *
 * Return: true with .line and the .steps to it, false at the end
 */
static bool next_value(struct walk *walk)
{
	while (walk->at < walk->end) {
		struct step *in = walk->depth > 0 && walk->depth <= PATH_DEPTH
					  ? &walk->step[walk->depth - 1]
					  : NULL;
		char c = *walk->at;

		if (c == '"' && in && in->object && in->key_next) {
			in->key = walk->at + 1;
			skip_string(walk);
			in->key_len = (size_t)(walk->at - in->key) - 1;
			in->key_next = false;
		} else if (c == '"') {
			skip_string(walk);
			walk->steps = walk->depth;
			if (in)
				return true;
		} else if (c == '{' || c == '[') {
			walk->at++;
			if (walk->depth++ < PATH_DEPTH)
				walk->step[walk->depth - 1] =
					(struct step){.object = c == '{', .key_next = c == '{'};
			walk->steps = walk->depth - 1;
			if (in)
				return true;
		} else if (c == '}' || c == ']') {
			walk->at++;
			walk->depth -= walk->depth > 0;
		} else if (is_scalar(c)) {
			while (walk->at < walk->end && is_scalar(*walk->at))
				walk->at++;
			walk->steps = walk->depth;
			if (in)
				return true;
		} else {
			if (c == '\n')
				walk->line++;
			if (c == ',' && in) {
				in->key_next = in->object;
				in->index++;
			}
			walk->at++;
		}
	}
	return false;
}

static bool step_is(const struct step *step, const char *key)
{
	return step->object && step->key && step->key_len == strlen(key) &&
	       memcmp(step->key, key, step->key_len) == 0;
}

/* Line of the value of @key, or of @member in it; the file as a whole if it cannot be told. */
static struct leash_place place_of(const struct json_file *json, const char *key,
				   const char *member)
{
	struct walk walk = {.at = json->text, .end = json->text + json->len, .line = 1};

	while (next_value(&walk)) {
		if (step_is(&walk.step[0], key) &&
		    (member ? walk.steps == 2 && step_is(&walk.step[1], member) : walk.steps == 1))
			return (struct leash_place){json->file, walk.line};
	}
	return (struct leash_place){json->file, member ? place_of(json, key, NULL).line : 0};
}

/* ------------------------------------------------------------------ files */

static const char *type_text(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "nothing known";
}

/* Return: true with .root, an object; otherwise there is a fault */
static bool load(struct json_file *json, size_t flags)
{
	json_error_t error;

	json->root = json_loadb(json->text, json->len, flags, &error);
	if (!json->root) {
		leash_error(
			json->work,
			(struct leash_place){json->file, error.line > 0 ? (uint32_t)error.line : 1},
			"is no JSON: %s (column %d)", error.text, error.column);
		return false;
	}
	if (json_is_object(json->root))
		return true;
	leash_error(json->work, (struct leash_place){json->file, 1},
		    "holds %s; accepted is an object, { … }", type_text(json->root));
	json_decref(json->root);
	json->root = NULL;
	return false;
}

/* Return: 0, -ENOENT without a fault, -EINVAL with one */
static int open_json(struct json_file *json, const char *dir, const char *name)
{
	struct leash_work *work = json->work;
	const char *slash = *dir && dir[strlen(dir) - 1] == '/' ? "" : "/";
	const char *path = leash_work_format(work, "%s%s%s", dir, slash, name);
	int rc = leash_work_read(work, (struct leash_place){LEASH_NO_FILE, 0}, path,
				 LEASH_READ_OPTIONAL, &json->file, &json->text, &json->len);

	if (rc < 0)
		return rc;
	return load(json, 0) ? 0 : -EINVAL;
}

/* A scalar of JSON as the schema takes it. */
static struct leash_value value_of(struct leash_work *work, json_t *json, struct leash_place place)
{
	struct leash_value value = {
		.type = LEASH_VALUE_NULL, .place = place, .name = "", .text = ""};
	double real;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
		value.type = LEASH_VALUE_GROUP;
		break;
	case JSON_ARRAY:
		value.type = LEASH_VALUE_ARRAY;
		break;
	case JSON_STRING:
		value.type = LEASH_VALUE_STRING;
		value.text =
			leash_work_keep(work, json_string_value(json), json_string_length(json));
		break;
	case JSON_INTEGER:
		value.type = LEASH_VALUE_INT;
		value.number = json_integer_value(json);
		break;
	case JSON_REAL: /* JSON knows one kind of number: 5e3 and 5000.0 are whole */
		real = json_real_value(json);
		value.type = LEASH_VALUE_FLOAT;
		value.text = leash_work_format(work, "%g", real);
		if (real >= -1e15 && real <= 1e15 && real == (double)(int64_t)real) {
			value.type = LEASH_VALUE_INT;
			value.number = (int64_t)real;
		}
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		value.type = LEASH_VALUE_BOOL;
		value.number = json_is_true(json);
		break;
	case JSON_NULL:
		break;
	}
	return value;
}

static void wrong_type(struct leash_work *work, struct leash_place place, const char *what,
		       const json_t *found, const char *accepted)
{
	leash_error(work, place, "%s is %s; accepted is %s", what, type_text(found), accepted);
}

/* ---------------------------------------------------------------- project */

static void take_game(struct json_file *json)
{
	static const char *const keys[][2] = {
		{"request", "networkTimeout.request"},
		{"connectSocket", "networkTimeout.connectSocket"},
		{"uploadFile", "networkTimeout.uploadFile"},
		{"downloadFile", "networkTimeout.downloadFile"},
	};
	json_t *timeouts = json_object_get(json->root, "networkTimeout");

	if (!timeouts)
		return;
	if (!json_is_object(timeouts)) {
		wrong_type(json->work, place_of(json, "networkTimeout", NULL), "networkTimeout",
			   timeouts, "an object such as { \"request\": 60000 }");
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *member = json_object_get(timeouts, keys[i][0]);
		struct leash_value value;

		if (!member)
			continue;
		value = value_of(json->work, member, place_of(json, "networkTimeout", keys[i][0]));
		leash_check_apply(json->work, keys[i][1], &value);
	}
}

static void take_config(struct json_file *json)
{
	json_t *appid = json_object_get(json->root, "appid");
	json_t *setting = json_object_get(json->root, "setting"), *check;
	struct leash_value value;

	if (appid) {
		value = value_of(json->work, appid, place_of(json, "appid", NULL));
		leash_check_apply(json->work, "appid", &value);
	}
	if (setting && !json_is_object(setting)) {
		wrong_type(json->work, place_of(json, "setting", NULL), "setting", setting,
			   "an object");
		return;
	}
	check = json_object_get(setting, "urlCheck");
	if (check && !json_is_boolean(check))
		wrong_type(json->work, place_of(json, "setting", "urlCheck"), "setting.urlCheck",
			   check, "true or false");
	else if (check)
		json->work->draft.settings.skip_domain_check = json_is_false(check);
}

void leash_project_read(struct leash_work *work, const char *dir)
{
	/* In this order: what stands in the private file counts more. */
	static const struct {
		const char *name;
		void (*take)(struct json_file *json);
		bool private;
	} files[] = {
		{"game.json", take_game, false},
		{"project.config.json", take_config, false},
		{"project.private.config.json", take_config, true},
	};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int found = 0, missing = 0;

	if (fd < 0) {
		leash_error(work, (struct leash_place){leash_work_file(work, dir), 0},
			    "cannot be opened: %s; accepted is the directory of a mini game",
			    strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct json_file json = {.work = work};
		int rc = open_json(&json, dir, files[i].name);

		if (rc == 0)
			files[i].take(&json);
		if (rc == -ENOENT)
			missing++;
		else if (!files[i].private)
			found++;
		json_decref(json.root);
	}
	if (!found)
		leash_error(work, (struct leash_place){leash_work_file(work, dir), 0},
			    "holds neither game.json nor project.config.json; accepted is the "
			    "directory of a mini game");
	/* A file that comes into being later changes the time of the directory, and a kept image
	 * is stale then. */
	if (missing)
		leash_work_source(work, dir, fd);
	close(fd);
}

/* ----------------------------------------------------------- domain lists */

static const struct {
	const char *key;
	enum leash_list list;
} domain_keys[] = {
	{"requestdomain", LEASH_LIST_REQUEST}, {"wsrequestdomain", LEASH_LIST_SOCKET},
	{"uploaddomain", LEASH_LIST_UPLOAD},   {"downloaddomain", LEASH_LIST_DOWNLOAD},
	{"udpdomain", LEASH_LIST_UDP},         {"tcpdomain", LEASH_LIST_TCP},
};
#define DOMAIN_KEYS (sizeof(domain_keys) / sizeof(domain_keys[0]))

/* Lines of all elements, in one walk: there may be a hundred thousand. */
static void find_lines(const struct json_file *json, uint32_t *lines[DOMAIN_KEYS],
		       const size_t count[DOMAIN_KEYS])
{
	struct walk walk = {.at = json->text, .end = json->text + json->len, .line = 1};

	while (next_value(&walk)) {
		if (walk.steps != 2 || walk.step[1].object)
			continue;
		for (size_t k = 0; k < DOMAIN_KEYS; k++)
			if (lines[k] && step_is(&walk.step[0], domain_keys[k].key) &&
			    walk.step[1].index < count[k])
				lines[k][walk.step[1].index] = walk.line;
	}
}

static void take_domains(struct json_file *json, json_t *const arrays[DOMAIN_KEYS])
{
	struct leash_work *work = json->work;
	uint32_t *lines[DOMAIN_KEYS] = {0};
	size_t count[DOMAIN_KEYS] = {0};

	for (size_t k = 0; k < DOMAIN_KEYS; k++) {
		count[k] = json_array_size(arrays[k]);
		lines[k] = leash_work_alloc(work, (count[k] + 1) * sizeof(*lines[k]));
		if (!lines[k])
			return;
		memset(lines[k], 0, (count[k] + 1) * sizeof(*lines[k]));
	}
	find_lines(json, lines, count);
	for (size_t k = 0; k < DOMAIN_KEYS; k++) {
		for (size_t i = 0; i < count[k]; i++) {
			json_t *item = json_array_get(arrays[k], i);
			struct leash_place place = {json->file, lines[k][i]};

			if (json_is_string(item))
				leash_check_entry(work, domain_keys[k].list, place,
						  domain_keys[k].key, i, json_string_value(item));
			else
				leash_error(work, place,
					    "%s[%zu] is %s; accepted is a host name as a string",
					    domain_keys[k].key, i, type_text(item));
		}
	}
}

static void check_domains(struct json_file *json)
{
	json_t *arrays[DOMAIN_KEYS] = {0}, *code = json_object_get(json->root, "errcode");
	bool any = false;

	if (json_is_integer(code) && json_integer_value(code) != 0) {
		leash_error(json->work, place_of(json, "errcode", NULL),
			    "is an answer that says errcode %lld, not a list of domains",
			    (long long)json_integer_value(code));
		return;
	}
	for (size_t k = 0; k < DOMAIN_KEYS; k++) {
		arrays[k] = json_object_get(json->root, domain_keys[k].key);
		any = any || arrays[k];
		if (!arrays[k] || json_is_array(arrays[k]))
			continue;
		wrong_type(json->work, place_of(json, domain_keys[k].key, NULL), domain_keys[k].key,
			   arrays[k], "an array of host names");
		arrays[k] = NULL;
	}
	if (any)
		take_domains(json, arrays);
	else
		leash_error(json->work, (struct leash_place){json->file, 0},
			    "holds none of requestdomain, wsrequestdomain, uploaddomain, "
			    "downloaddomain, "
			    "udpdomain and tcpdomain; accepted is the answer of get-domain-info");
}

void leash_project_domains(struct leash_work *work, struct leash_place from, const char *path)
{
	struct json_file json = {.work = work};

	if (leash_work_read(work, from, path, 0, &json.file, &json.text, &json.len) < 0)
		return;
	/* Of two lists of one name jansson would keep one and say nothing. */
	if (load(&json, JSON_REJECT_DUPLICATES))
		check_domains(&json);
	json_decref(json.root);
}
