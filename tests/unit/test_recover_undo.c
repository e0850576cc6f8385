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
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, setup, test_dir_teardown) ? 1 : 0;
}
