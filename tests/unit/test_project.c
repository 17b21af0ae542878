/* SPDX-License-Identifier: MIT */
/* The JSON files: mini-game projects, and the platform's lists of domains. */
#include "tests/unit/compile_case.h"

struct row {
	const char *label;
	const char *game, *config, *private; /* NULL: no such file */
	const char *expected;
};

#define NO_DOMAINS                                                                                 \
	"proj: warning: no domain is listed, so every name is refused; list them in domains: "     \
	"{ request = [ … ]; }; or in a domains_file\n"

static void put(const char *path, const char *text)
{
	unlink(path);
	if (text)
		case_text(path, text);
}

static void put_project(const char *game, const char *config, const char *private)
{
	mkdir("proj", 0755);
	put("proj/game.json", game);
	put("proj/project.config.json", config);
	put("proj/project.private.config.json", private);
}

static void test_project_faults(void **state)
{
	static const struct row rows[] = {
		{"game.json alone", "{}", NULL, NULL, NO_DOMAINS},
		{"project.config.json alone", NULL, "{\"appid\":\"wx1\"}", NULL, NO_DOMAINS},
		{"none of them", NULL, NULL, NULL,
		 "proj: error: holds neither game.json nor project.config.json; accepted is the "
		 "directory of a mini "
		 "game\n"},
		{"the private one alone", NULL, NULL, "{}",
		 "proj: error: holds neither game.json nor project.config.json; accepted is the "
		 "directory of a mini "
		 "game\n"},
		{"no JSON", "{\n\"networkTimeout\": {\n\"request\": 5,\n}}", NULL, NULL,
		 "proj/game.json:4: error: is no JSON: string or '}' expected near '}' (column "
		 "1)\n"},
		{"cut off", "{\n\"a\": [1,", NULL, NULL,
		 "proj/game.json:2: error: is no JSON: ']' expected near end of file (column 8)\n"},
		{"empty", "", NULL, NULL,
		 "proj/game.json:1: error: is no JSON: '[' or '{' expected near end of file "
		 "(column 0)\n"},
		{"an array", "[]", NULL, NULL,
		 "proj/game.json:1: error: holds an array; accepted is an object, { … }\n"},
		{"wrong in all three",
		 "{ \"deviceOrientation\": \"portrait\",\n\n\"networkTimeout\": {\n\"request\": "
		 "0,\n\"uploadFile\": \"5\",\n"
		 "\"downloadFile\": {\"request\": 1},\n\"connectSocket\": 70000 } }",
		 "{ \"setting\": {\n\"urlCheck\": \"no\" },\n\"appid\": \"wx 1\" }",
		 "{\n\"setting\": 5 }",
		 "proj/game.json:4: error: networkTimeout.request is the number 0; accepted is a "
		 "whole number of milliseconds "
		 "from 1 to 60000\n"
		 "proj/game.json:5: error: networkTimeout.uploadFile is \"5\"; accepted is a whole "
		 "number of milliseconds from "
		 "1 to 60000\n"
		 "proj/game.json:6: error: networkTimeout.downloadFile is a group; accepted is a "
		 "whole number of milliseconds "
		 "from 1 to 60000\n"
		 "proj/game.json:7: warning: networkTimeout.connectSocket is the number 70000, "
		 "which works as 60000, the "
		 "maximum\n"
		 "proj/project.config.json:2: error: setting.urlCheck is a string; accepted is "
		 "true or false\n"
		 "proj/project.config.json:3: error: appid is \"wx 1\"; accepted is a string of "
		 "letters, digits, '-', '_' and "
		 "'.', such as \"wx0123456789abcdef\"\n"
		 "proj/project.private.config.json:2: error: setting is a number; accepted is an "
		 "object\n"},
		{"networkTimeout of another type", "{\n\"networkTimeout\": 5000 }", NULL, NULL,
		 "proj/game.json:2: error: networkTimeout is a number; accepted is an object such "
		 "as { \"request\": 60000 }\n"},
		{"a key in a string, a key of another object",
		 "{ \"a\": \"\\\"networkTimeout\\\": {\\\"request\\\": 0}\",\n\"b\": { "
		 "\"request\": 0 },\n\"networkTimeout\": {\n"
		 "\"c\": [ {\"request\": 5} ],\n\"request\": 0 } }",
		 NULL, NULL,
		 "proj/game.json:5: error: networkTimeout.request is the number 0; accepted is a "
		 "whole number of milliseconds "
		 "from 1 to 60000\n"},
		{"what is the platform's", "{\"networkTimeout\":{\"other\":-1},\"x\":{}}",
		 "{\"setting\":{\"es6\":1},\"y\":[]}", "{\"z\":null}", NO_DOMAINS},
	};
	struct leash_compile_options options = {.project = "proj", .audit = -1};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_project(rows[i].game, rows[i].config, rows[i].private);
		case_expect(rows[i].label, &options, rows[i].expected);
	}
	put_project("{}", NULL, NULL);
	assert_int_equal(chmod("proj/game.json", 0666), 0);
	case_expect("writable by everybody", &options,
		    "proj/game.json: error: is writable by everybody (mode 0666), who could change "
		    "the policy; accepted is a file "
		    "without that right (chmod o-w)\n");
	options.project = "gone";
	case_expect("no directory", &options,
		    "gone: error: cannot be opened: No such file or directory; accepted is the "
		    "directory of a mini game\n");
	case_text("file", "");
	options.project = "file";
	case_expect("a file", &options,
		    "file: error: cannot be opened: Not a directory; accepted is the directory of "
		    "a mini game\n");
}

static void test_project_values(void **state)
{
	struct leash_compile_options options = {.project = "proj", .audit = -1};
	struct leash_compiled compiled;
	const struct leash_settings *s;

	(void)state;
	put_project("\xef\xbb\xbf{\"networkTimeout\":{\"request\":5000,\"uploadFile\":7e3,"
		    "\"connectSocket\":99999}}",
		    "{\"appid\":\"wx0\",\"setting\":{\"urlCheck\":true}}",
		    "{\"appid\":\"wx1\",\"setting\":{\"urlCheck\":false}}");
	assert_int_equal(case_compile(&options, &compiled), 0);
	s = leash_image_settings(case_image(&compiled));
	assert_int_equal(s->timeout_ms[LEASH_LIST_REQUEST], 5000);
	assert_int_equal(s->timeout_ms[LEASH_LIST_UPLOAD], 7000);
	assert_int_equal(s->timeout_ms[LEASH_LIST_SOCKET], 60000);
	assert_int_equal(s->timeout_ms[LEASH_LIST_DOWNLOAD], 60000);
	assert_true(s->skip_domain_check); /* the private file counts more */
	assert_string_equal(leash_image_string(case_image(&compiled), s->appid), "wx1");
	assert_string_equal(leash_image_path(case_image(&compiled)), "");
	assert_int_equal(leash_image_source_count(case_image(&compiled)), 3);
	leash_compiled_free(&compiled);

	/* The policy file counts more than both, a profile less. */
	case_text(
		"p.cfg",
		"profile = \"wechat\"; appid = \"wx2\"; skip_domain_check = false;\n"
		"networkTimeout: { request = 1000; };\ndomains: { tcp = [ \"a.example.com\" ]; };");
	options.policy = "p.cfg";
	assert_int_equal(case_compile(&options, &compiled), 0);
	s = leash_image_settings(case_image(&compiled));
	assert_int_equal(s->timeout_ms[LEASH_LIST_REQUEST], 1000);
	assert_int_equal(s->timeout_ms[LEASH_LIST_UPLOAD], 7000);
	assert_false(s->skip_domain_check);
	assert_true(s->ports_exact);
	assert_string_equal(leash_image_string(case_image(&compiled), s->referer),
			    "https://servicewechat.com/wx2/0/page-frame.html");
	leash_compiled_free(&compiled);

	/* The developer tools' switch is no contradiction to a file that audits. */
	case_text("p.cfg", "mode = \"audit\"; domains: { tcp = [ \"a.example.com\" ]; };");
	case_expect("audit over urlCheck", &options,
		    "proj/game.json:1: warning: networkTimeout.connectSocket is the number 99999, "
		    "which works as 60000, the "
		    "maximum\n");
}

/* What makes a kept image stale: also a file of the project that was not there. */
static void test_project_sources(void **state)
{
	struct leash_compile_options options = {.project = "proj/", .audit = -1};
	struct leash_compiled compiled;
	const struct leash_image *image;
	struct stat st;
	bool dir = false;

	(void)state;
	put_project("{}", NULL, NULL);
	assert_int_equal(case_compile(&options, &compiled), 0);
	image = case_image(&compiled);
	assert_int_equal(leash_image_source_count(image), 2);
	assert_int_equal(stat("proj", &st), 0);
	for (uint32_t i = 0; i < 2; i++)
		dir = dir || leash_image_source(image, i)->ino == st.st_ino;
	assert_true(dir);
	leash_compiled_free(&compiled);
}

static void test_domains_file(void **state)
{
	static const struct {
		const char *label, *json, *expected;
	} rows[] = {
		{"right", "{\"errcode\":0,\"requestdomain\":[\"https://a.example.com\"],\"x\":[5]}",
		 ""},
		{"every fault on its line",
		 "{\"errcode\":0, "
		 "\"errmsg\":\"]\",\n\"requestdomain\":[\"https://a.example.com\",\n\n\"https://"
		 "10.0.0.1\", [\"https://b\"],\n"
		 "5\n], \"tcpdomain\": "
		 "\"x\",\n\"wsrequestdomain\":[\"https://u.example.com\"],\n\"udpdomain\":[],\n"
		 "\"x\":[\n\"https://10.0.0.1\"]}",
		 "sub/d.json:4: error: requestdomain[1]: \"https://10.0.0.1\" is an IP address; "
		 "accepted is a host name such as "
		 "\"https://api.example.com\"\n"
		 "sub/d.json:4: error: requestdomain[2] is an array; accepted is a host name as a "
		 "string\n"
		 "sub/d.json:5: error: requestdomain[3] is a number; accepted is a host name as a "
		 "string\n"
		 "sub/d.json:6: error: tcpdomain is a string; accepted is an array of host names\n"
		 "sub/d.json:7: error: wsrequestdomain[0]: \"https://u.example.com\" has a scheme "
		 "that does not fit the list; "
		 "accepted is wss:// (https:// belongs into domains.request)\n"},
		{"an error instead", "{\n\"errcode\":40001,\"errmsg\":\"invalid credential\"}",
		 "sub/d.json:2: error: is an answer that says errcode 40001, not a list of "
		 "domains\n"},
		{"something else", "{\"request\":[]}",
		 "sub/d.json: error: holds none of requestdomain, wsrequestdomain, uploaddomain, "
		 "downloaddomain, udpdomain and "
		 "tcpdomain; accepted is the answer of get-domain-info\n"},
		{"a list twice", "{\"requestdomain\":[],\n\"requestdomain\":[]}",
		 "sub/d.json:2: error: is no JSON: duplicate object key near '\"requestdomain\"' "
		 "(column 15)\n"},
		{"no JSON", "domains = 1;",
		 "sub/d.json:1: error: is no JSON: '[' or '{' expected near 'domains' (column "
		 "7)\n"},
		{"twice, here and there", "{\"requestdomain\":[\n\"https://ok.example.com\"]}",
		 "sub/p.cfg:2: warning: domains.request: \"https://ok.example.com\" stands in this "
		 "list already (sub/d.json:2)\n"},
	};
	struct leash_compile_options options = {.policy = "sub/p.cfg", .audit = -1};
	struct leash_compiled compiled;
	const struct leash_image *image;
	uint32_t lists;

	(void)state;
	mkdir("sub", 0755);
	case_text("sub/p.cfg", "domains_file = \"d.json\";\ndomains: { request = [ "
			       "\"https://ok.example.com\" ]; };");
	case_expect(
		"not there", &options,
		"sub/p.cfg:1: error: \"sub/d.json\" cannot be opened: No such file or directory\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_text("sub/d.json", rows[i].json);
		case_expect(rows[i].label, &options, rows[i].expected);
	}

	case_text(
		"sub/d.json",
		"{\"requestdomain\":[\"https://r.example.com\"],\"wsrequestdomain\":[\"wss://"
		"s.example.com\"],\n"
		"\"uploaddomain\":[\"https://u.example.com\"],\"downloaddomain\":[\"https://"
		"d.example.com\"],\n"
		"\"udpdomain\":[\"udp://g.example.com\"],\"tcpdomain\":[\"tcp://t.example.com\"]}");
	assert_int_equal(case_compile(&options, &compiled), 0);
	image = case_image(&compiled);
	for (size_t i = 0; i < 6; i++) {
		static const char letter[] = {'r', 's', 'u',
					      'd', 't', 'g'}; /* by enum leash_list */
		char name[] = "?.example.com";
		uint32_t entry;

		name[0] = letter[i];
		entry = leash_image_find(image, name, strlen(name), &lists);
		assert_int_not_equal(entry, LEASH_ENTRY_NONE);
		assert_int_equal(lists, LEASH_LIST_BIT(i));
		assert_string_equal(
			leash_image_string(image, leash_image_entry(image, entry)->file),
			"sub/d.json");
		assert_int_equal(leash_image_entry(image, entry)->line, i < 2 ? 1 : i < 4 ? 2 : 3);
	}
	assert_int_equal(leash_image_source_count(image), 2);
	leash_compiled_free(&compiled);
}

/* Cut off at every byte, and nested deeper than anybody means it. */
static void test_damaged_json(void **state)
{
	static const char text[] =
		"{\"requestdomain\":[\"https://"
		"r.ex\\u00e4mple.com\",[{\"a\":null}],1.5e3],\"networkTimeout\":{\"request\":-0.0},"
		"\"setting\":{\"urlCheck\":false},\"appid\":\"x\"}";
	struct leash_compile_options options = {.policy = "p.cfg", .project = "proj", .audit = -1};
	struct leash_compiled compiled;
	char *deep = calloc(1, 200001);

	(void)state;
	assert_non_null(deep);
	case_text("p.cfg", "domains_file = \"proj/game.json\";");
	put_project("{}", "{}", NULL);
	for (size_t n = 0; n < sizeof(text); n++) {
		case_write("proj/game.json", text, n);
		case_write("proj/project.config.json", text, n);
		case_compile(&options, &compiled);
		leash_compiled_free(&compiled);
	}
	for (size_t i = 0; i < 200000; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	case_text("proj/game.json", deep);
	case_compile(&options, &compiled);
	assert_non_null(strstr(
		case_lines, "proj/game.json:1: error: is no JSON: maximum parsing depth reached"));
	leash_compiled_free(&compiled);
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_project_faults),  cmocka_unit_test(test_project_values),
		cmocka_unit_test(test_project_sources), cmocka_unit_test(test_domains_file),
		cmocka_unit_test(test_damaged_json),
	};
	int failed;

	case_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	case_leave();
	return failed;
}
