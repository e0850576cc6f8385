/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading dynamic and differencing VHD. */
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

/* ---- differencing ---- */

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
	o = make_vhd(&v);
	assert_true(o.link.differencing);
	assert_int_equal(o.link.n, 0);
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

static void test_real_orphan(void **state)
{
	static const struct ibb_guid parent = {{0x5f, 0xa2, 0x1a, 0x55, 0xf3, 0x94, 0xaa, 0x4d,
						0x99, 0x58, 0x19, 0x51, 0xa6, 0x7d, 0x55, 0x40}};
	struct opened o = open_vhd(unpack_vhd("differencing-parent-absent.vhd"));
	struct ibb_error err = {0};
	uint8_t b[512];

	(void)state;
	assert_int_equal(o.d->size_bytes, 4 * MIB);
	assert_int_equal(o.info.footer.type, IBB_VHD_DIFFERENCING);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_true(o.link.differencing);
	assert_memory_equal(&o.link.id, &parent, 16);
	assert_false(o.link.has_id2);
	assert_true(o.link.has_timestamp);
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
	close_vhd(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),	     cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_clear_bit),    cmocka_unit_test(test_file_holes),
		cmocka_unit_test(test_bit_order),    cmocka_unit_test(test_child_runs),
		cmocka_unit_test(test_parent_sizes), cmocka_unit_test(test_three_deep),
		cmocka_unit_test(test_set_parent),   cmocka_unit_test(test_link),
		cmocka_unit_test(test_old_locators), cmocka_unit_test(test_footer_copy),
		cmocka_unit_test(test_fixed),	     cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_read_errors),  cmocka_unit_test(test_real_dynamic),
		cmocka_unit_test(test_real_orphan),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
