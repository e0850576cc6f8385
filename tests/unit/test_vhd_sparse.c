/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading VHD with a table, dynamic mostly: spans, runs, footers, failures. */
#include "vhdtest.h"

#define ALL(o) 0, (o).d->size_bytes

/* ---- dynamic ---- */

static void test_dynamic(void **state)
{
	static const uint32_t blocks[] = {512, 4 * KIB, 64 * KIB, 512 * KIB, 2 * MIB, 16 * MIB};
	/* the last sector of a block, the first of the next one; the last one of the disk */
	const struct mkvhd_run runs[] = {{4, 3}, {4095, 2}, {10239, 1}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(blocks); i++) {
		for (unsigned backwards = 0; backwards < 2; backwards++) {
			const struct mkvhd v = {
				.disk_bytes = 5 * MIB, /* no multiple of 2 and of 16 MiB */
				.block_bytes = blocks[i],
				.whole_bitmaps = true,
				.backwards = backwards,
				.id = {{9}},
				.runs = runs,
				.n_runs = 3,
			};
			struct opened o = make_vhd(&v);

			assert_int_equal(o.d->size_bytes, 5 * MIB);
			assert_int_equal(o.d->sector_bytes, 512);
			assert_string_equal(o.d->name, "made.vhd");
			assert_int_equal(o.info.block_bytes, blocks[i]);
			assert_int_equal(o.info.footer.unique_id.b[0], 9);
			assert_false(o.link.differencing);
			assert_sectors(o.d, 0, 4, false);
			assert_sectors(o.d, 4, 3, true);
			assert_sectors(o.d, 7, 4095 - 7, false);
			assert_sectors(o.d, 4095, 2, true);
			assert_sectors(o.d, 4097, 10239 - 4097, false);
			assert_sectors(o.d, 10239, 1, true);
			close_vhd(&o);
		}
	}
}

/* Reads of any place and length are what the sectors are, and go to the file once a run. */
static void test_pieces(void **state)
{
	const struct mkvhd_run runs[] = {{0, 128}, {200, 500}};
	const struct mkvhd v = {.disk_bytes = 4 * MIB,
				.block_bytes = 64 * KIB,
				.whole_bitmaps = true,
				.runs = runs,
				.n_runs = 2};
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1};
	struct ibb_disk *file = NULL, *counted = NULL;
	uint8_t *flat = malloc(4 * MIB), *part = malloc(4 * MIB);
	uint64_t seed = test_seed();
	struct ibb_error err = {0};
	struct opened o;

	(void)state;
	assert_ok(mkvhd_disk(&v, "p.vhd", &file, &err), err);
	assert_ok(ibb_disk_fault_new(file, &plan, &counted, &err), err);
	o = open_vhd_disk(counted);
	assert_ok(ibb_disk_pread(o.d, flat, 4 * MIB, 0, &err), err);
	for (unsigned i = 0; i < 500; i++) {
		const size_t at = (size_t)(test_rand(&seed) % (4 * MIB));
		const size_t n = (size_t)(test_rand(&seed) % (4 * MIB - at + 1));

		memset(part, 0x5a, n);
		assert_ok(ibb_disk_pread(o.d, part, n, at, &err), err);
		assert_memory_equal(part, flat + at, n);
	}
	plan.count[IBB_FAULT_READ] = 0;
	/* its bitmap is known by now: one read of the file */
	assert_ok(ibb_disk_pread(o.d, part, 64 * KIB, 128 * KIB, &err), err);
	assert_int_equal(plan.count[IBB_FAULT_READ], 1);
	/* a hole: none */
	assert_ok(ibb_disk_pread(o.d, part, 2 * MIB, 2 * MIB, &err), err);
	assert_int_equal(plan.count[IBB_FAULT_READ], 1);
	assert_fails(ibb_disk_pread(o.d, part, 1, 4 * MIB, &err), IBB_E_CORRUPT, err, "outside");
	close_vhd(&o);
	ibb_disk_unref(counted);
	ibb_disk_unref(file);
	free(flat);
	free(part);
}

/* A clear bit over zeros: nobody minds. Over data: whoever reads it is told. */
static void test_clear_bit(void **state)
{
	const struct mkvhd_run run = {0, 16};
	const struct mkvhd v = {
		.disk_bytes = MIB, .block_bytes = 64 * KIB, .runs = &run, .n_runs = 1};
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL;
	struct mkvhd_places p;
	struct extents e = {0};
	struct opened o;
	uint8_t b[16 * 512];
	uint64_t block;
	char want[256];

	(void)state;
	assert_ok(mkvhd_disk(&v, "made.vhd", &file, &err), err);
	mkvhd_plan(&v, &p);
	assert_ok(mkvhd_block(file, &p, 0, &block, &err), err);
	o = open_vhd_disk(file);
	assert_sectors(o.d, 0, 16, true);
	assert_sectors(o.d, 16, 2048 - 16, false);
	close_vhd(&o);
	/* sector 20 gets one byte of data, without a bit */
	assert_ok(ibb_disk_pwrite(file, "\1", 1, block + 512 + 20 * 512 + 7, &err), err);
	o = open_vhd_disk(file);
	assert_sectors(o.d, 0, 16, true);
	assert_sectors(o.d, 16, 4, false);
	assert_sectors(o.d, 21, 100, false);
	snprintf(
		want, sizeof(want),
		"made.vhd: block 0, sector 20 (offset 10247 of the disk, %llu of the file): marked "
		"as never written, but there is data",
		(unsigned long long)(block + 512 + 10247));
	assert_fails(ibb_disk_pread(o.d, b, 512, 20 * 512, &err), IBB_E_CORRUPT, err, want);
	assert_non_null(strstr(err.hint, "convert it with the program"));
	assert_fails(ibb_disk_pread(o.d, b, sizeof(b), 10 * 512, &err), IBB_E_CORRUPT, err, want);
	/* and who copies the runs reads it */
	assert_ok(ibb_disk_extents(o.d, ALL(o), collect_extent, &e, &err), err);
	assert_true(extents_data_at(&e, 20 * 512));
	close_vhd(&o);
	ibb_disk_unref(file);
}

/* Holes of the file inside a block are holes of the disk, at the right place. */
static void test_file_holes(void **state)
{
	const struct mkvhd_run runs[] = {{0, 128}, {1024, 512}};
	const struct mkvhd v = {.disk_bytes = 5 * MIB,
				.block_bytes = 2 * MIB,
				.whole_bitmaps = true,
				.runs = runs,
				.n_runs = 2};
	char path[1024];
	struct ibb_error err = {0};
	struct extents e = {0};
	uint64_t data = 0;
	struct opened o;

	(void)state;
	snprintf(path, sizeof(path), "%s/holes.vhd", test_dir());
	assert_ok(mkvhd_file(&v, path, &err), err);
	o = open_vhd(path);
	assert_ok(ibb_disk_extents(o.d, ALL(o), collect_extent, &e, &err), err);
	assert_extents_cover(&e, ALL(o));
	for (size_t i = 0; i < e.n; i++)
		data += e.e[i].data ? e.e[i].len_bytes : 0;
	/* the file system rounds to its blocks, on both sides of two runs */
	assert_in_range(data, (128 + 512) * 512, (128 + 512) * 512 + 4 * 64 * KIB);
	assert_true(extents_data_at(&e, 0));
	assert_true(extents_data_at(&e, 1024 * 512));
	assert_true(extents_data_at(&e, 1536 * 512 - 1));
	assert_false(extents_data_at(&e, 400 * 512));
	assert_false(extents_data_at(&e, 2 * MIB));
	/* a part, off every border */
	e.n = 0;
	assert_ok(ibb_disk_extents(o.d, 1536 * 512 - 100, 3 * MIB, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 1536 * 512 - 100, 3 * MIB);
	assert_true(e.e[0].data);
	assert_false(e.e[e.n - 1].data);
	close_vhd(&o);
}

/* ---- footers ---- */

static void test_footer_copy(void **state)
{
	const struct mkvhd_run run = {2000, 48};
	const struct mkvhd v = {
		.disk_bytes = MIB, .block_bytes = 64 * KIB, .runs = &run, .n_runs = 1};
	struct ibb_disk *file = NULL, *cut = NULL;
	struct ibb_error err = {0};
	struct mkvhd_places p;
	struct opened o;

	(void)state;
	mkvhd_plan(&v, &p);
	assert_ok(mkvhd_disk(&v, "made.vhd", &file, &err), err);
	/* cut off, or one byte of it flipped */
	assert_ok(ibb_disk_slice_new(file, 0, p.footer, &cut, &err), err);
	o = open_vhd_disk(cut);
	assert_true(o.info.footer_from_copy);
	assert_int_equal(o.info.footer.current_size_bytes, MIB);
	assert_sectors(o.d, 2000, 48, true);
	close_vhd(&o);
	ibb_disk_unref(cut);
	assert_ok(ibb_disk_pwrite(file, "\377", 1, p.footer + 100, &err), err);
	o = open_vhd_disk(file);
	assert_true(o.info.footer_from_copy);
	close_vhd(&o);
	assert_ok(ibb_disk_pwrite(file, "\0", 1, p.footer + 100, &err), err);
	/* the other way round: the copy is gone, the footer is sound */
	assert_ok(ibb_disk_pwrite(file, "C", 1, 0, &err), err);
	o = open_vhd_disk(file);
	assert_false(o.info.footer_from_copy);
	assert_sectors(o.d, 2000, 48, true);
	close_vhd(&o);
	ibb_disk_unref(file);
}

static void test_fixed(void **state)
{
	const struct ibb_guid id = {{5}};
	struct ibb_disk *file = NULL;
	struct ibb_error err = {0};
	struct ibb_vhd_footer f;
	struct opened o;
	uint8_t b[512];

	(void)state;
	ibb_vhd_footer_init(&f, MIB, 1600000000, &id);
	ibb_vhd_footer_encode(&f, b);
	assert_ok(ibb_disk_mem_new(MIB + 512, 512, &file, &err), err);
	assert_ok(ibb_disk_pwrite(file, b, 512, MIB, &err), err);
	o = open_vhd_disk(file);
	assert_int_equal(o.info.footer.type, IBB_VHD_FIXED);
	assert_int_equal(o.info.block_bytes, 0);
	assert_int_equal(o.info.allocated_blocks, 0);
	assert_false(o.info.footer_from_copy);
	assert_false(o.link.differencing);
	assert_int_equal(o.d->size_bytes, MIB);
	assert_fails(ibb_disk_vhd_set_parent(o.d, file, &err), IBB_E_INTERNAL, err,
		     "cannot be given a parent");
	close_vhd(&o);
	ibb_disk_unref(file);
}

/* ---- failures ---- */

static const struct mkvhd_run two[] = {{1, 2}, {300, 1}};
static const struct mkvhd child = {.disk_bytes = MIB,
				   .block_bytes = 64 * KIB,
				   .differencing = true,
				   .locators = {{"W2ru", "a.vhd"}, {"MacX", "file:///a"}},
				   .parent_name = "a.vhd",
				   .runs = two,
				   .n_runs = 2};

static void test_no_memory(void **state)
{
	struct ibb_parent_link link = {0};
	struct ibb_disk *file = NULL, *d = NULL;
	struct ibb_error err = {0};
	struct ibb_vhd_info info;
	long n = 0;
	int r;

	(void)state;
	assert_ok(mkvhd_disk(&child, "made.vhd", &file, &err), err);
	do {
		ibb_mem_fail_at(n, false);
		r = ibb_disk_vhd_open(file, &info, &link, &d, &err);
		ibb_mem_fail_at(-1, false);
		if (r) {
			assert_fails(r, IBB_E_NOMEM, err, "out of memory");
			assert_null(d);
			assert_int_equal(link.n, 0);
			assert_int_equal(file->refs, 1);
			n++;
		}
	} while (r);
	/* a buffer and a path each for two locators, the name, table, sorted table, disk and name
	 */
	assert_true(n >= 10);
	ibb_disk_unref(d);
	ibb_parent_link_clear(&link);
	ibb_disk_unref(file);
}

static void test_read_errors(void **state)
{
	struct ibb_fault plan = {.fail_at = {0, -1, -1}, .cut_after = -1, .os_errno = 5};
	struct ibb_disk *file = NULL, *bad = NULL, *parent = NULL;
	struct ibb_error err = {0};
	static uint8_t b[MIB];
	long n = 0;

	(void)state;
	assert_ok(mkvhd_disk(&child, "made.vhd", &file, &err), err);
	assert_ok(ibb_disk_fault_new(file, &plan, &bad, &err), err);
	assert_ok(ibb_disk_mem_new(MIB, 512, &parent, &err), err);
	memset(b, 0x33, sizeof(b));
	assert_ok(ibb_disk_pwrite(parent, b, sizeof(b), 0, &err), err);
	for (bool done = false; !done; n++) {
		struct ibb_parent_link link = {0};
		struct ibb_disk *d = NULL;
		struct ibb_vhd_info info;
		int r;

		plan.fail_at[IBB_FAULT_READ] = n;
		plan.count[IBB_FAULT_READ] = 0;
		r = ibb_disk_vhd_open(bad, &info, &link, &d, &err);
		if (!r)
			r = ibb_disk_vhd_set_parent(d, parent, &err);
		if (!r)
			r = ibb_disk_pread(d, b, MIB, 0, &err);
		if (r)
			assert_fails(r, IBB_E_IO, err, "injected failure of read");
		done = !r;
		/* once more, the block that failed first: nothing of the failed read was kept */
		if (d && r) {
			assert_sectors(d, n < 8 ? 1 : 300, 1, true);
			assert_sectors(d, 1, 2, true);
			assert_sectors(d, 300, 1, true);
			assert_byte(d, 0, 0x33);
			assert_byte(d, 3 * 512, 0x33);
			assert_byte(d, MIB - 1, 0x33);
		}
		ibb_disk_unref(d);
		ibb_parent_link_clear(&link);
	}
	/* two footers, header, two locators, table; two bitmaps and two runs */
	assert_int_equal(n - 1, 10);
	ibb_disk_unref(bad);
	ibb_disk_unref(file);
	ibb_disk_unref(parent);
}

/* ---- real files, written by Windows ---- */

static void test_real_dynamic(void **state)
{
	const char *path = unpack_vhd("dynamic.vhd");
	struct opened o = open_vhd(path);
	struct extents e = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(o.d->size_bytes, 10 * MIB);
	assert_int_equal(o.info.footer.type, IBB_VHD_DYNAMIC);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_int_equal(o.info.allocated_blocks, 3);
	assert_false(o.info.footer_from_copy);
	assert_false(o.link.differencing);
	assert_int_equal(o.link.n, 0);
	/* blocks 2 and 4 have no place in the file */
	assert_ok(ibb_disk_extents(o.d, ALL(o), collect_extent, &e, &err), err);
	assert_extents_cover(&e, ALL(o));
	assert_false(extents_data_at(&e, 4 * MIB));
	assert_false(extents_data_at(&e, 6 * MIB - 1));
	assert_false(extents_data_at(&e, 8 * MIB));
	assert_false(extents_data_at(&e, 10 * MIB - 1));
	/* a partition table */
	assert_byte(o.d, 510, 0x55);
	assert_byte(o.d, 511, 0xaa);
	close_vhd(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),	     cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_clear_bit),    cmocka_unit_test(test_file_holes),
		cmocka_unit_test(test_footer_copy),  cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_real_dynamic),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
