/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_recover() on a file that grew in place. */
#include "ibbake/ibbake.h"

#include "disktest.h"

#include "base/json.h"
#include "disk/undo.h"

#define OLD 9000u
#define NEW 12000u

static uint8_t before[OLD], after[NEW];
static char image[600], record[700];

static int setup(void **state)
{
	uint64_t rng = test_seed();

	for (size_t i = 0; i < NEW; i++)
		after[i] = (uint8_t)test_rand(&rng);
	memcpy(before, after, OLD);
	after[100] ^= 1; /* in the header */
	if (test_dir_setup(state))
		return -1;
	snprintf(image, sizeof(image), "%s/a.wim", test_dir());
	snprintf(record, sizeof(record), "%s" IBB_JOURNAL_SUFFIX, image);
	return 0;
}

static void interrupt(void)
{
	struct ibb_undo u = {0};
	struct ibb_error err = {0};
	int fd;

	make_file(image, before, OLD);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ibb_undo_begin(&u, image, fd, 208, &err), err);
	ibb_undo_clear(&u);
	close(fd);
	make_file(image, after, NEW);
}

static void assert_says(const char *json, const char *state, const char *bytes)
{
	struct ibb_json *doc = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_json_parse("recover", json, strlen(json), &doc, &err), err);
	assert_string_equal(ibb_json_str(doc, "record"), "undo");
	assert_string_equal(ibb_json_str(doc, "state"), state);
	assert_string_equal(ibb_json_str(doc, "action"), "dropped");
	assert_string_equal(ibb_json_str(doc, "changed_bytes"), bytes);
	assert_string_equal(ibb_json_str(doc, "sectors_written_now"), "0");
	assert_string_equal(ibb_json_str(doc, "journal"), record);
	assert_null(ibb_json_str(doc, "manifest"));
	ibb_json_free(doc);
}

static void taken_back(void **state)
{
	struct ibb_error err = {0};
	char *json = NULL;

	(void)state;
	for (int drop = 0; drop < 2; drop++) { /* it can only be dropped: both are the same */
		struct ibb_request q = {.struct_bytes = sizeof(q), .image = image, .drop = drop};

		interrupt();
		assert_ok(ibb_recover(&q, &json, &err), err);
		assert_says(json, "complete", "3000");
		ibb_free(json);
		json = NULL;
		assert_file_is(image, before, OLD);
		assert_int_equal(access(record, F_OK), -1);
	}
}

static void torn_record(void **state)
{
	struct ibb_request q = {.struct_bytes = sizeof(q), .image = image};
	struct ibb_error err = {0};
	char *json = NULL;

	(void)state;
	interrupt();
	make_file(image, before, OLD); /* the trailer was not yet written: not touched */
	assert_int_equal(truncate(record, 1024), 0);
	assert_ok(ibb_recover(&q, &json, &err), err);
	assert_says(json, "incomplete", "0");
	ibb_free(json);
	assert_file_is(image, before, OLD);
	assert_int_equal(access(record, F_OK), -1);
}

#define OURS "{\"schema\":\"ibbake-wim-manifest/1\",\"output\":{\"file_bytes\":\"%u\"}}"

static void aside(unsigned pid, unsigned bytes)
{
	char path[700], text[200];

	snprintf(path, sizeof(path), "%s/.a.wim.manifest.json.ibbake-%u-0.old", test_dir(), pid);
	make_file(path, text, (size_t)snprintf(text, sizeof(text), OURS, bytes));
}

/* What was put aside for the manifest of a change that is taken back. */
static void old_manifest(void **state)
{
	static const struct {
		unsigned bytes[2]; /* of what lies aside; 0: nothing */
		bool taken;	   /* there is a manifest */
		bool restored;
		size_t others;
	} t[] = {{{OLD, 0}, false, true, 0},	{{OLD, 7}, false, true, 1},
		 {{7, 0}, false, false, 1},	{{OLD, 0}, true, false, 1},
		 {{OLD, OLD}, false, false, 2}, {{0, 0}, false, false, 0}};
	struct ibb_request q = {.struct_bytes = sizeof(q), .image = image};
	char manifest[700], hidden[700];

	(void)state;
	snprintf(manifest, sizeof(manifest), "%s.manifest.json", image);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_json *doc = NULL;
		struct ibb_error err = {0};
		char *json = NULL, text[200];
		int n = snprintf(text, sizeof(text), OURS, OLD);

		interrupt();
		for (unsigned k = 0; k < 2; k++)
			if (t[i].bytes[k])
				aside(k + 1, t[i].bytes[k]);
		if (t[i].taken)
			make_file(manifest, "x", 1);
		assert_ok(ibb_recover(&q, &json, &err), err);
		assert_ok(ibb_json_parse("recover", json, strlen(json), &doc, &err), err);
		ibb_free(json);
		assert_int_equal(ibb_json_count(ibb_json_get(doc, "manifests_aside")), t[i].others);
		assert_int_equal(ibb_json_str(doc, "manifest_restored") != NULL, t[i].restored);
		if (t[i].restored) {
			assert_string_equal(ibb_json_str(doc, "manifest_restored"), manifest);
			assert_file_is(manifest, text, (size_t)n);
		}
		if (t[i].taken)
			assert_file_is(manifest, "x", 1);
		ibb_json_free(doc);
		unlink(manifest);
		for (unsigned k = 1; k < 3; k++) {
			snprintf(hidden, sizeof(hidden), "%s/.a.wim.manifest.json.ibbake-%u-0.old",
				 test_dir(), k);
			assert_int_equal(unlink(hidden) == 0,
					 t[i].bytes[k - 1] && !(k == 1 && t[i].restored));
		}
	}
}

static void refused(void **state)
{
	struct ibb_request q = {.struct_bytes = sizeof(q), .image = image, .no_manifest = true};
	struct ibb_error err = {0};
	char *json = NULL;

	(void)state;
	interrupt();
	assert_fails(ibb_recover(&q, &json, &err), IBB_E_UNSUPPORTED, err,
		     "can only be taken back");
	assert_non_null(strstr(err.hint, "ibbake recover '"));
	q.no_manifest = false;
	after[OLD - 1] ^= 1;
	make_file(image, after, NEW);
	assert_fails(ibb_recover(&q, &json, &err), IBB_E_CONFLICT, err, "belongs to another file");
	assert_null(json);
	assert_file_is(image, after, NEW);
	assert_int_equal(access(record, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_back),
		cmocka_unit_test(torn_record),
		cmocka_unit_test(old_manifest),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, setup, test_dir_teardown) ? 1 : 0;
}
