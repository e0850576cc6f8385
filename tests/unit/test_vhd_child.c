/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading differencing VHD: whose sector it is, and what the file says of its parent. */
#include "vhdtest.h"

#define ALL(o) 0, (o).d->size_bytes

static struct opened make_child(uint64_t size, const struct mkvhd_run *runs, size_t n,
				struct ibb_disk *parent)
{
	const struct mkvhd v = {.disk_bytes = size,
				.block_bytes = 64 * KIB,
				.differencing = true,
				.runs = runs,
				.n_runs = n};
	struct opened o = make_vhd(&v);
	struct ibb_error err = {0};

	assert_true(o.link.differencing);
	if (parent)
		assert_ok(ibb_disk_vhd_set_parent(o.d, parent, &err), err);
	return o;
}

/*
 * Writes of 512 bytes and of 1 KiB set a bit before a clear one in the same byte: libvhdi 20210425
 * returns what stands in the child for the sectors behind.
 */
static void test_bit_order(void **state)
{
	const struct mkvhd_run runs[] = {{0, 1}, {3, 2}, {15, 1}, {17, 1}};
	const uint8_t bitmap[4] = {0x98, 0x01, 0x40, 0x00};
	const struct mkvhd v = {.disk_bytes = 256 * KIB,
				.block_bytes = 64 * KIB,
				.differencing = true,
				.runs = runs,
				.n_runs = 4};
	struct ibb_disk *parent = NULL, *file = NULL;
	struct ibb_error err = {0};
	struct mkvhd_places p;
	uint8_t b[512], ones[512];
	uint64_t block;
	struct opened o;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_ok(ibb_disk_mem_new(256 * KIB, 512, &parent, &err), err);
	for (unsigned i = 0; i < 512; i++)
		assert_ok(ibb_disk_pwrite(parent, ones, 512, i * 512, &err), err);
	assert_ok(mkvhd_disk(&v, "made.vhd", &file, &err), err);
	mkvhd_plan(&v, &p);
	assert_ok(mkvhd_block(file, &p, 0, &block, &err), err);
	assert_ok(ibb_disk_pread(file, b, 512, block, &err), err);
	assert_memory_equal(b, bitmap, 4); /* as the specification has it: the first bit is 0x80 */
	/* rubbish under the clear bits, which is nobody's business here */
	assert_ok(ibb_disk_pwrite(file, "rubbish", 7, block + 512 + 1 * 512, &err), err);
	assert_ok(ibb_disk_pwrite(file, "rubbish", 7, block + 512 + 16 * 512, &err), err);
	o = open_vhd_disk(file);
	assert_ok(ibb_disk_vhd_set_parent(o.d, parent, &err), err);
	for (unsigned i = 0; i < 512; i++) {
		const bool own = i == 0 || i == 3 || i == 4 || i == 15 || i == 17;

		assert_ok(ibb_disk_pread(o.d, b, 512, i * 512, &err), err);
		if (!own)
			assert_memory_equal(b, ones, 512);
		else
			assert_sectors(o.d, i, 1, true);
	}
	close_vhd(&o);
	ibb_disk_unref(file);
	ibb_disk_unref(parent);
}

/* Runs: the child's, the parent's where the child has none, zeros behind a shorter parent. */
static void test_child_runs(void **state)
{
	const struct mkvhd_run runs[] = {{130, 2}, {520, 8}};
	struct ibb_disk *parent = NULL;
	struct ibb_error err = {0};
	struct extents e = {0};
	struct opened o;

	(void)state;
	/* chunks of 64 KiB: data in the first one, the second one is a hole */
	assert_ok(ibb_disk_mem_new(256 * KIB, 512, &parent, &err), err);
	assert_ok(ibb_disk_pwrite(parent, "x", 1, 5, &err), err);
	assert_ok(ibb_disk_pwrite(parent, "y", 1, 256 * KIB - 1, &err), err);
	o = make_child(512 * KIB, runs, 2, parent);
	assert_ok(ibb_disk_extents(o.d, ALL(o), collect_extent, &e, &err), err);
	assert_extents_cover(&e, ALL(o));
	assert_int_equal(e.n, 8);
	assert_extent(&e, 0, 0, 64 * KIB, true);	  /* parent */
	assert_extent(&e, 1, 64 * KIB, KIB, false);	  /* parent's hole */
	assert_extent(&e, 2, 65 * KIB, KIB, true);	  /* sectors 130, 131 of the child */
	assert_extent(&e, 3, 66 * KIB, 126 * KIB, false); /* parent's hole */
	assert_extent(&e, 4, 192 * KIB, 64 * KIB, true);  /* parent */
	assert_extent(&e, 5, 256 * KIB, 4 * KIB, false);  /* the parent has ended */
	assert_extent(&e, 6, 260 * KIB, 4 * KIB, true);	  /* sectors 520 to 527 */
	assert_extent(&e, 7, 264 * KIB, 248 * KIB, false);
	close_vhd(&o);
	ibb_disk_unref(parent);
}

static void test_parent_sizes(void **state)
{
	const struct mkvhd_run runs[] = {{10, 1}, {250, 1}};
	static const uint64_t sizes[] = {512, 5120, 70 * KIB + 512, 128 * KIB, MIB};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		struct ibb_disk *parent = NULL;
		struct ibb_error err = {0};
		uint8_t b[512], want[512];
		static uint8_t all[128 * KIB];
		struct opened o;

		assert_ok(ibb_disk_mem_new(sizes[i], 512, &parent, &err), err);
		memset(want, 0x77, sizeof(want));
		for (uint64_t at = 0; at < sizes[i]; at += 512)
			assert_ok(ibb_disk_pwrite(parent, want, 512, at, &err), err);
		o = make_child(128 * KIB, runs, 2, parent);
		ibb_disk_unref(parent); /* the child has a reference of its own */
		for (uint64_t s = 0; s < 256; s++) {
			memset(want, s * 512 < sizes[i] ? 0x77 : 0, sizeof(want));
			if (s == 10 || s == 250)
				mkvhd_fill(s, want);
			assert_ok(ibb_disk_pread(o.d, b, 512, s * 512, &err), err);
			assert_memory_equal(b, want, 512);
			/* in one read over the end of the parent */
			assert_ok(ibb_disk_pread(o.d, all, sizeof(all), 0, &err), err);
			assert_memory_equal(all + s * 512, want, 512);
		}
		close_vhd(&o);
	}
}

/* Random writes into a chain of three, of any length at any sector, against a flat disk. */
struct layer {
	uint8_t *flat;
	struct mkvhd_run runs[40];
};

static void fill_layer(void *ctx, uint64_t sector, uint8_t out[512])
{
	memcpy(out, (uint8_t *)ctx + sector * 512, 512);
}

static void write_layer(struct layer *l, uint64_t sectors, uint64_t *seed)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(l->runs); i++) {
		const uint64_t at = test_rand(seed) % sectors, left = sectors - at;
		const uint64_t most = test_rand(seed) % 4 ? 3 : 300;
		uint64_t n = 1 + test_rand(seed) % most;

		n = n < left ? n : left;
		l->runs[i] = (struct mkvhd_run){at, n};
		for (uint64_t b = at * 512; b < (at + n) * 512; b++)
			l->flat[b] = (uint8_t)test_rand(seed);
	}
}

static void compare_flat(struct ibb_disk *d, const uint8_t *flat, uint64_t *seed)
{
	uint8_t *b = malloc((size_t)d->size_bytes);
	struct ibb_error err = {0};
	struct extents e = {0};

	assert_non_null(b);
	assert_ok(ibb_disk_pread(d, b, (size_t)d->size_bytes, 0, &err), err);
	assert_memory_equal(b, flat, (size_t)d->size_bytes);
	for (unsigned i = 0; i < 200; i++) {
		const size_t at = (size_t)(test_rand(seed) % d->size_bytes);
		const size_t left = (size_t)d->size_bytes - at;
		const size_t n = 1 + (size_t)(test_rand(seed) % (left < 5000 ? left : 5000));

		assert_ok(ibb_disk_pread(d, b, n, at, &err), err);
		assert_memory_equal(b, flat + at, n);
	}
	assert_ok(ibb_disk_extents(d, 0, d->size_bytes, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 0, d->size_bytes);
	for (size_t i = 0; i < e.n; i++)
		for (uint64_t k = 0; !e.e[i].data && k < e.e[i].len_bytes; k++)
			assert_int_equal(flat[e.e[i].off_bytes + k], 0);
	free(b);
}

static void test_three_deep(void **state)
{
	static const uint32_t blocks[3] = {64 * KIB, 16 * KIB, 512 * KIB};
	const uint64_t size = MIB + 7 * 512;
	struct layer l = {.flat = calloc(1, size)};
	uint64_t seed = test_seed();
	struct opened o[3];

	(void)state;
	assert_non_null(l.flat);
	for (unsigned i = 0; i < 3; i++) {
		struct ibb_error err = {0};
		struct mkvhd v = {.disk_bytes = size,
				  .block_bytes = blocks[i],
				  .differencing = i > 0,
				  .whole_bitmaps = i == 0,
				  .backwards = i == 1,
				  .fill = fill_layer,
				  .ctx = l.flat,
				  .runs = l.runs,
				  .n_runs = IBB_ARRAY_SIZE(l.runs)};

		write_layer(&l, size / 512, &seed);
		o[i] = make_vhd(&v);
		if (i)
			assert_ok(ibb_disk_vhd_set_parent(o[i].d, o[i - 1].d, &err), err);
		compare_flat(o[i].d, l.flat, &seed);
	}
	for (unsigned i = 0; i < 3; i++)
		close_vhd(&o[i]);
	free(l.flat);
}

static void test_set_parent(void **state)
{
	const struct mkvhd_run run = {0, 1};
	const struct mkvhd v = {.disk_bytes = MIB, .runs = &run, .n_runs = 1};
	struct opened child = make_child(MIB, &run, 1, NULL), dynamic = make_vhd(&v);
	struct ibb_disk *big = NULL, *small = NULL;
	struct ibb_error err = {0};
	struct extents e = {0};
	uint8_t b[512];

	(void)state;
	assert_ok(ibb_disk_mem_new(MIB, 4096, &big, &err), err);
	assert_ok(ibb_disk_mem_new(MIB, 512, &small, &err), err);
	assert_fails(ibb_disk_pread(child.d, b, 512, 0, &err), IBB_E_INTERNAL, err,
		     "made.vhd: a differencing disk without its parent");
	assert_fails(ibb_disk_extents(child.d, 0, 512, collect_extent, &e, &err), IBB_E_INTERNAL,
		     err, "without its parent");
	assert_fails(ibb_disk_vhd_set_parent(child.d, big, &err), IBB_E_UNSUPPORTED, err,
		     "memory: has sectors of 4096 bytes");
	assert_fails(ibb_disk_vhd_set_parent(child.d, child.d, &err), IBB_E_INTERNAL, err,
		     "cannot be given a parent");
	assert_fails(ibb_disk_vhd_set_parent(dynamic.d, small, &err), IBB_E_INTERNAL, err,
		     "cannot be given a parent");
	assert_fails(ibb_disk_vhd_set_parent(small, dynamic.d, &err), IBB_E_INTERNAL, err,
		     "cannot be given a parent");
	assert_ok(ibb_disk_vhd_set_parent(child.d, small, &err), err);
	assert_fails(ibb_disk_vhd_set_parent(child.d, small, &err), IBB_E_INTERNAL, err,
		     "cannot be given a parent");
	assert_fails(ibb_disk_pwrite(child.d, b, 512, 0, &err), IBB_E_READONLY, err, "read-only");
	close_vhd(&child);
	close_vhd(&dynamic);
	ibb_disk_unref(big);
	ibb_disk_unref(small);
}

static void test_link(void **state)
{
	static const struct mkvhd_locator all[] = {
		{"W2ru", "..\\base disk\\\xc3\xa4\xf0\x9f\x98\x80.vhd"},
		{"W2ku", "C:\\vm\\base.vhd"},
		{"Wi2r", "..\\OLD.VHD"},
		{"Wi2k", "C:\\OLD.VHD"},
		{"MacX", "file://localhost/vm/base%20disk.vhd"},
		{"Mac ", "an alias, which nobody reads"},
		{"W2ku", ""},
	};
	static const enum ibb_locator_kind kinds[] = {IBB_LOCATOR_RELATIVE, IBB_LOCATOR_ABSOLUTE,
						      IBB_LOCATOR_RELATIVE, IBB_LOCATOR_ABSOLUTE,
						      IBB_LOCATOR_URL};
	struct mkvhd v = {.disk_bytes = MIB,
			  .differencing = true,
			  .parent_id = {{0xaa, 0xbb}},
			  .parent_time_s = 77,
			  .parent_name = "b\xc3\xa4se.vhd"};
	struct opened o;

	(void)state;
	memcpy(v.locators, all, sizeof(all));
	o = make_vhd(&v);
	assert_true(o.link.differencing);
	assert_int_equal(o.link.id.b[0], 0xaa);
	assert_int_equal(o.link.id.b[1], 0xbb);
	assert_true(o.link.has_timestamp);
	assert_int_equal(o.link.timestamp_s, 77);
	assert_int_equal(o.link.n, 6);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(o.link.locators[i].kind, kinds[i]);
		assert_string_equal(o.link.locators[i].path, all[i].path);
	}
	assert_int_equal(o.link.locators[5].kind, IBB_LOCATOR_NAME);
	assert_string_equal(o.link.locators[5].path, "b\xc3\xa4se.vhd");
	close_vhd(&o);
	/* no locator, no name: still a child */
	memset(v.locators, 0, sizeof(v.locators));
	v.parent_name = NULL;
	v.parent_time_s = 0; /* nor a time */
	o = make_vhd(&v);
	assert_true(o.link.differencing);
	assert_int_equal(o.link.n, 0);
	assert_false(o.link.has_timestamp);
	close_vhd(&o);
}

/* The deprecated locators in UTF-16, and in a code page that cannot be known. */
static void test_old_locators(void **state)
{
	const struct mkvhd v = {.disk_bytes = MIB,
				.differencing = true,
				.locators = {{"Wi2r", "xxxxxxxx"}, {"Wi2k", "xxxx"}}};
	struct ibb_disk *file = NULL;
	struct ibb_error err = {0};
	struct mkvhd_places p;
	struct opened o;

	(void)state;
	mkvhd_plan(&v, &p);
	assert_ok(mkvhd_disk(&v, "made.vhd", &file, &err), err);
	assert_ok(ibb_disk_pwrite(file, "b\0.\0v\0\0", 8, p.locators[0], &err), err);
	assert_ok(ibb_disk_pwrite(file, "b\xe4s\0", 4, p.locators[1], &err), err);
	o = open_vhd_disk(file);
	assert_int_equal(o.link.n, 1);
	assert_string_equal(o.link.locators[0].path, "b.v");
	close_vhd(&o);
	ibb_disk_unref(file);
}

/* ---- a real file, written by Windows, whose parent is lost ---- */

/* The sectors of the only block (at sector 0x9f) whose bits Windows set; half of them are zeros. */
static const unsigned orphans[] = {134, 143, 152, 153, 154, 155, 156, 157, 158,
				   159, 184, 185, 188, 190, 191, 192, 194, 196};

/* Over a parent that is 0x11 all over. */
static void check_orphan(struct ibb_disk *d, const char *path)
{
	struct ibb_disk *parent = NULL;
	struct ibb_error err = {0};
	struct ibb_buf file = {0};
	uint8_t *want = malloc(4 * MIB), *got = malloc(4 * MIB);

	assert_non_null(want);
	assert_non_null(got);
	memset(want, 0x11, 4 * MIB);
	assert_ok(ibb_disk_mem_new(4 * MIB, 512, &parent, &err), err);
	assert_ok(ibb_disk_pwrite(parent, want, 4 * MIB, 0, &err), err);
	assert_ok(ibb_disk_vhd_set_parent(d, parent, &err), err);
	assert_ok(ibb_read_file(path, 64 * MIB, &file, &err), err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(orphans); i++)
		memcpy(want + orphans[i] * 512, file.data + (0xa0 + orphans[i]) * 512, 512);
	assert_ok(ibb_disk_pread(d, got, 4 * MIB, 0, &err), err);
	assert_memory_equal(got, want, 4 * MIB);
	ibb_disk_unref(parent);
	ibb_buf_clear(&file);
	free(want);
	free(got);
}

static void test_real_orphan(void **state)
{
	static const struct ibb_guid parent = {{0x5f, 0xa2, 0x1a, 0x55, 0xf3, 0x94, 0xaa, 0x4d,
						0x99, 0x58, 0x19, 0x51, 0xa6, 0x7d, 0x55, 0x40}};
	const char *path = unpack_vhd("differencing-parent-absent.vhd");
	struct opened o = open_vhd(path);
	struct ibb_error err = {0};
	uint8_t b[512];

	(void)state;
	assert_int_equal(o.d->size_bytes, 4 * MIB);
	assert_int_equal(o.info.footer.type, IBB_VHD_DIFFERENCING);
	assert_int_equal(o.info.allocated_blocks, 1);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_true(o.link.differencing);
	assert_memory_equal(&o.link.id, &parent, 16);
	assert_false(o.link.has_id2);
	assert_false(o.link.has_timestamp); /* it is 0 */
	assert_int_equal(o.link.timestamp_s, 0);
	assert_int_equal(o.link.n, 3);
	assert_int_equal(o.link.locators[0].kind, IBB_LOCATOR_ABSOLUTE);
	assert_string_equal(o.link.locators[0].path,
			    "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd");
	assert_int_equal(o.link.locators[1].kind, IBB_LOCATOR_RELATIVE);
	assert_string_equal(o.link.locators[1].path, ".\\fat-parent.vhd");
	assert_int_equal(o.link.locators[2].kind, IBB_LOCATOR_NAME);
	assert_string_equal(o.link.locators[2].path,
			    "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd");
	assert_fails(ibb_disk_pread(o.d, b, 512, 0, &err), IBB_E_INTERNAL, err,
		     "a differencing disk without its parent");
	check_orphan(o.d, path);
	close_vhd(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bit_order),    cmocka_unit_test(test_child_runs),
		cmocka_unit_test(test_parent_sizes), cmocka_unit_test(test_three_deep),
		cmocka_unit_test(test_set_parent),   cmocka_unit_test(test_link),
		cmocka_unit_test(test_old_locators), cmocka_unit_test(test_real_orphan),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
