/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real volumes: some that Windows formatted, some damaged in a known way. Each is opened, listed,
 * read and edited in a child process, so that a crash inside the library is a failure with a name.
 */
#include "volume_image.h"

#include "base/le.h"

static struct ibb_disk *open_image(const char *path, uint64_t off, uint64_t len)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *file = NULL, *slice = NULL, *d = NULL;

	assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
	assert_ok(ibb_disk_slice_new(file, off, len ? len : file->size_bytes - off, &slice, &err),
		  err);
	assert_ok(ibb_disk_overlay_new(slice, 64u << 20, &d, &err), err);
	ibb_disk_unref(file);
	ibb_disk_unref(slice);
	return d;
}

#define VICTIMS 16 /* files that are edited, each in a copy of its own */

struct tour {
	struct ibb_volume *v;
	const char *dir;
	unsigned depth, *seen;
	char **victims; /* VICTIMS of them, or NULL */
	size_t *n_victims;
};

/* Everything that can be reached is read; what cannot be read must say so and no more. */
static int visit(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct tour *t = ctx, sub;
	struct ibb_error e = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;
	char *path;

	if (++*t->seen > 3000)
		return IBB_OK;
	path = ibb_asprintf("%s%s%s", t->dir, *t->dir ? "/" : "", name);
	if (!path)
		return ibb_err_nomem(err);
	if (t->victims && *t->n_victims < VICTIMS)
		t->victims[(*t->n_victims)++] = strdup(path);
	(void)!ibb_volume_stat(t->v, path, &st, &e);
	(void)!ibb_volume_security(t->v, path, &b, &e);
	ibb_buf_clear(&b);
	if (type == IBB_FILE_REGULAR) {
		(void)!ibb_volume_read(t->v, path, 4u << 20, &b, &e);
		ibb_buf_clear(&b);
	} else if (type == IBB_FILE_DIRECTORY && t->depth < 8) {
		sub = (struct tour){t->v, path, t->depth + 1, t->seen, t->victims, t->n_victims};
		(void)!ibb_volume_list(t->v, path, visit, &sub, &e);
	}
	free(path);
	return IBB_OK;
}

/* IBB_OK when all of the edit went through and reads back after the commit. */
static int tour_and_edit(struct ibb_disk *d, unsigned *ret_seen, struct ibb_error *err)
{
	static uint8_t data[200000];
	const struct ibb_bytes large = {data, sizeof(data)}, small = {data, 77};
	struct ibb_volume *v = NULL;
	struct ibb_buf b = {0};
	struct tour t;
	int rc = ibb_volume_open_ntfs(d, true, &v, err), again;

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 777);
	t = (struct tour){v, "", 0, ret_seen, NULL, NULL};
	rc = ibb_volume_list(v, "", visit, &t, err);
	if (!rc)
		rc = ibb_volume_mkdir(v, "ibbake test", &dir_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "ibbake test/large", large, IBB_PUT_REPLACE, &file_meta,
				    err);
	if (!rc)
		rc = ibb_volume_put(v, "ibbake test/gone", small, IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "ibbake test/gone", large, IBB_PUT_IN_PLACE, &file_meta,
				    err);
	if (!rc)
		rc = ibb_volume_remove(v, "ibbake test/gone", err);
	if (!rc)
		rc = ibb_volume_put(v, "ibbake test/large", small, IBB_PUT_REPLACE, &file_meta,
				    err);
	if (!rc)
		rc = ibb_volume_put(v, "ibbake test/large", large, IBB_PUT_REPLACE, &file_meta,
				    err);
	again = ibb_volume_commit(v, rc ? NULL : err);
	ibb_volume_close(v);
	if (rc || again)
		return rc ? rc : again;
	rc = ibb_volume_open_ntfs(d, true, &v, err);
	if (rc)
		return rc;
	rc = ibb_volume_read(v, "ibbake test/large", 1u << 20, &b, err);
	if (!rc && (b.len != sizeof(data) || memcmp(b.data, data, sizeof(data))))
		rc = ibb_err(err, IBB_E_INTERNAL, "the file does not read back");
	ibb_buf_clear(&b);
	ibb_volume_close(v);
	return rc;
}

/*
 * What each must get, and what our checker says of it before anything is done to it. "Edited" is
 * right where the damage lies in a file that nobody touches, which the library does not notice;
 * nothing here may crash, hang or end in an internal error, and no error may be added.
 *
 * In three images of a damaged record 0 the attribute is not taken out, its type is made 0. In the
 * two of attribute lists most lists are there; record 159 has lost its own, so that nobody names
 * the extension record 167 with its third name any more, and record 106 counts a name too many.
 */
static const struct {
	const char *name;
	int code;
	const char *finding, *place;
} expected[] = {
	{"bs_bytes_per_sector", IBB_E_CORRUPT, "boot-bytes-per-sector", "boot sector"},
	{"bs_filesystem_siganture", IBB_E_NOTFOUND, "boot-file-system-id", "boot sector"},
	{"bs_index_record_size", IBB_E_CORRUPT, "boot-index-record-size", "boot sector"},
	{"bs_mft_cluster_number", IBB_E_CORRUPT, "boot-mft-cluster", "boot sector"},
	{"bs_mft_record_size", IBB_E_CORRUPT, "boot-mft-record-size", "boot sector"},
	{"bs_mftmirror_cluster_number", IBB_E_CORRUPT, "boot-mirror-cluster", "boot sector"},
	{"bs_sector_per_cluster", IBB_E_CORRUPT, "boot-sectors-per-cluster", "boot sector"},
	{"bs_sector_signature", IBB_OK, "boot-signature", "boot sector"},
	{"bs_total_sectors", IBB_E_CORRUPT, "boot-copy-differs", "total sectors"},
	{"mft_attr_bad_fields", IBB_E_DIRTY, "attr-type", "record 65"},
	{"mft_bitmap_unset_mft_in_use", IBB_OK, "bitmap-record-free", "$MFT bitmap"},
	{"mft_bitmap_unset_mft_in_use_2", IBB_OK, "bitmap-record-free", "$MFT bitmap"},
	{"mft_file_bad_base_mft_record", IBB_E_CORRUPT, "mft-record-base", "record 0"},
	{"mft_file_bad_fixup_value_count", IBB_E_CORRUPT, "mft-record-fixup", "record 0"},
	{"mft_file_bad_fixup_value_offset", IBB_E_CORRUPT, "mft-record-fixup", "record 0"},
	{"mft_file_bad_link_count", IBB_OK, "link-count", "record 0"},
	{"mft_file_bad_sequence_number", IBB_OK, "mft-record-sequence", "record 0"},
	{"mft_file_corrupt_attrlist", IBB_E_NOSPACE, "extension-not-listed", "record 167"},
	{"mft_file_missing_attrlist", IBB_E_NOSPACE, "extension-not-listed", "record 167"},
	{"mft_file_missing_bitmap_attr", IBB_E_CORRUPT, "attr-missing", "record 0 attribute 0xb0"},
	{"mft_file_missing_data_attr", IBB_E_CORRUPT, "attr-missing", "record 0 attribute 0x80"},
	{"mft_file_missing_filename_attr", IBB_E_CORRUPT, "name-none", "record 0"},
	{"mft_non_attr_bad_fields", IBB_E_DIRTY, "attr-initialized-size", "record 69"},
	{"mft_record_bad_fields", IBB_OK, "mft-record-size", "record 73"},
};

/*
 * Two of the images are marked dirty, and nothing more would come of them. Taken away in the record
 * of $Volume (number 3) and its mirror: the flags lie in front of the first fixup.
 */
static void take_dirty_away(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	uint8_t boot[512], r[1024];
	uint64_t cluster, at[2];

	assert_ok(ibb_disk_pread(d, boot, sizeof(boot), 0, &err), err);
	cluster = (uint64_t)ibb_get_le16(boot + 11) * boot[13];
	at[0] = ibb_get_le64(boot + 0x30) * cluster + 3072;
	at[1] = ibb_get_le64(boot + 0x38) * cluster + 3072;
	for (size_t i = 0; i < 2; i++) {
		size_t pos;

		assert_ok(ibb_disk_pread(d, r, sizeof(r), at[i], &err), err);
		pos = ibb_get_le16(r + 0x14);
		while (pos < 480 && ibb_get_le32(r + pos) != 0x70)
			pos += ibb_get_le32(r + pos + 4);
		pos += ibb_get_le16(r + pos + 0x14) + 10;
		assert_true(pos < 510);
		r[pos] &= 0xfe;
		assert_ok(ibb_disk_pwrite(d, r, sizeof(r), at[i], &err), err);
	}
}

static struct ibb_disk *open_mounting(const char *image, int code)
{
	struct ibb_disk *d = open_image(image, 0, 0);

	if (code == IBB_E_DIRTY)
		take_dirty_away(d);
	return d;
}

enum deed { DEED_REPLACE, DEED_IN_PLACE, DEED_REMOVE, DEED_BESIDE, DEEDS };

static int do_deed(struct ibb_volume *v, const char *path, enum deed deed, struct ibb_error *err)
{
	static const uint8_t data[5000] = {1, 2, 3};
	const struct ibb_bytes large = {data, sizeof(data)}, small = {data, 77};
	char beside[600];

	switch (deed) {
	case DEED_REPLACE:
		return ibb_volume_put(v, path, large, IBB_PUT_REPLACE, &file_meta, err);
	case DEED_IN_PLACE:
		return ibb_volume_put(v, path, small, IBB_PUT_IN_PLACE, &file_meta, err);
	case DEED_REMOVE:
		return ibb_volume_remove(v, path, err);
	default:
		snprintf(beside, sizeof(beside), "%.500s-beside", path);
		return ibb_volume_put(v, beside, small, IBB_PUT_REPLACE, &file_meta, err);
	}
}

/* One edit in a fresh copy. What the back end does not refuse must not add an error. */
static bool harm(const char *image, int code, const char *path, enum deed deed,
		 const struct ntfscheck *before, bool *ret_harm)
{
	static const char *const deeds[] = {"replacing", "change", "removal", "a file beside"};
	struct ibb_disk *d = open_mounting(image, code);
	struct ibb_volume *v = NULL;
	struct ibb_error err = {0};
	int rc = ibb_volume_open_ntfs(d, true, &v, &err);

	if (!rc)
		rc = do_deed(v, path, deed, &err);
	if (!rc)
		rc = ibb_volume_commit(v, &err);
	ibb_volume_close(v);
	if (!rc) {
		struct ntfscheck after = findings(d);

		const struct ntfscheck_finding *f = ntfscheck_worse(before, &after);

		if (f)
			print_message("  %s of %s: %s %s\n", deeds[deed], path, f->code, f->place);
		*ret_harm |= f != NULL;
		ntfscheck_clear(&after);
	}
	ibb_disk_unref(d);
	return !rc;
}

static void harm_all(const char *image, int code, const struct ntfscheck *before)
{
	char *victims[VICTIMS];
	struct ibb_disk *d = open_mounting(image, code);
	struct ibb_volume *v = NULL;
	struct ibb_error err = {0};
	unsigned seen = 0, done = 0;
	size_t n = 0;
	bool bad = false;
	struct tour t;

	if (!ibb_volume_open_ntfs(d, true, &v, &err)) {
		t = (struct tour){v, "", 0, &seen, victims, &n};
		(void)!ibb_volume_list(v, "", visit, &t, &err);
	}
	ibb_volume_close(v);
	ibb_disk_unref(d);
	for (size_t i = 0; i < n; i++) {
		for (enum deed k = 0; k < DEEDS; k++)
			done += harm(image, code, victims[i], k, before, &bad);
		free(victims[i]);
	}
	assert_false(bad);
	if (n)
		print_message("  %-32s %zu files, %u of %zu edits done, none did harm\n",
			      strrchr(image, '/') + 1, n, done, n * DEEDS);
}

/* In a child: its exit status is the code, without its sign. */
static void child(const char *path, size_t i)
{
	struct ntfscheck before, after;
	struct ibb_error err = {0};
	struct ibb_disk *d;
	unsigned seen = 0;
	int rc;

	alarm(60);
	d = open_image(path, 0, 0);
	before = findings(d);
	if (!ntfscheck_find(&before, expected[i].finding, expected[i].place)) {
		print_message("  %s: no finding %s\n", expected[i].name, expected[i].finding);
		_exit(254);
	}
	rc = tour_and_edit(d, &seen, &err);
	after = findings(d);
	expect_not_worse(&before, &after);
	print_message("  %-32s %3zu -> %3zu errors, %s %s\n", strrchr(path, '/') + 1,
		      before.n_errors, after.n_errors, rc ? ibb_code_name(rc) : "edited",
		      rc ? err.msg : "");
	harm_all(path, expected[i].code, &before);
	ntfscheck_clear(&before);
	ntfscheck_clear(&after);
	ibb_disk_unref(d);
	_exit(rc && !*err.msg ? 255 : -rc);
}

static bool extract(const char *archive, const char *to)
{
	return run("rm -rf '%s' && mkdir '%s' && tar -C '%s' -S -xf '%s'", to, to, to, archive) ==
	       0;
}

static void corrupted(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(expected); i++) {
		const char *archive, *image = img_path(expected[i].name);
		char rel[200];
		int st = 0;
		pid_t pid;

		snprintf(rel, sizeof(rel), "ntfs/corrupted/%s.img.tar.xz", expected[i].name);
		archive = test_data(rel);
		if (!archive) {
			print_message("SKIPPED: no test data (%s)\n", rel);
			skip();
		}
		assert_true(extract(archive, img_path("x")));
		assert_int_equal(rename(img_path("x/ntfs.img"), image), 0);
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			child(image, i);
		assert_int_equal(waitpid(pid, &st, 0), pid);
		unlink(image);
		if (!WIFEXITED(st) || WEXITSTATUS(st) != -expected[i].code)
			fail_msg("%s: status 0x%x, wanted %d", expected[i].name, st,
				 expected[i].code);
	}
}

static void formatted_on_windows(void **state)
{
	const char *archive = test_data("ntfs/formatted-on-windows.img.tar.xz");
	struct ibb_error err = {0};
	struct ibb_volume_info info;
	struct ibb_volume *v;
	struct stat before, after;
	struct ibb_disk *d;
	unsigned seen = 0;

	(void)state;
	if (!archive) {
		print_message("SKIPPED: no test data (ntfs/formatted-on-windows)\n");
		skip();
	}
	assert_true(extract(archive, img_path("x")));
	assert_int_equal(stat(img_path("x/ntfs.img"), &before), 0);
	d = open_image(img_path("x/ntfs.img"), 0, 0);
	expect_sound(d);
	assert_ok(tour_and_edit(d, &seen, &err), err);
	expect_sound(d);
	assert_true(seen > 0);
	v = open_rw(d);
	assert_ok(ibb_volume_info(v, &info, &err), err);
	assert_int_equal(info.major, 3);
	/* what the root of a volume formatted by Windows hands down */
	assert_true(stat_of(v, "ibbake test/large").security_id >= 0x100);
	ibb_volume_close(v);
	ibb_disk_unref(d);
	/* nothing of this reached the file */
	assert_int_equal(stat(img_path("x/ntfs.img"), &after), 0);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(after.st_blocks, before.st_blocks);
}

/* A disk of 256 MiB with one partition. */
static void windows_10(void **state)
{
	const char *gz = test_data("ntfs/windows-10-ntfs.raw.gz");
	struct ibb_error err = {0};
	struct ibb_disk *d;
	unsigned seen = 0;
	uint8_t entry[16];
	int fd;

	(void)state;
	if (!gz) {
		print_message("SKIPPED: no test data (ntfs/windows-10-ntfs)\n");
		skip();
	}
	assert_int_equal(run("gzip -dc '%s' | dd of='%s' bs=64k conv=sparse iflag=fullblock", gz,
			     img_path("w10.raw")),
			 0);
	fd = open(img_path("w10.raw"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, entry, sizeof(entry), 446), sizeof(entry));
	close(fd);
	d = open_image(img_path("w10.raw"), ibb_get_le32(entry + 8) * 512ull,
		       ibb_get_le32(entry + 12) * 512ull);
	expect_sound(d);
	assert_ok(tour_and_edit(d, &seen, &err), err);
	assert_true(seen > 0);
	check_ntfs(d);
	ibb_disk_unref(d);
	unlink(img_path("w10.raw"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corrupted),
		cmocka_unit_test(formatted_on_windows),
		cmocka_unit_test(windows_10),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
