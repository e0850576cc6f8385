/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX files that are sound: what they hold, where it comes from, and what is never read. */
#include "vhdx_util.h"

#include <errno.h>

#include "disk/crc32c.h"

static void test_crc32c(void **state)
{
	uint8_t b[300];

	(void)state;
	/* RFC 3720, B.4 */
	memset(b, 0, 32);
	assert_int_equal(ibb_crc32c(0, b, 32), 0x8a9136aa);
	memset(b, 0xff, 32);
	assert_int_equal(ibb_crc32c(0, b, 32), 0x62a8ab43);
	assert_int_equal(ibb_crc32c(0, "123456789", 9), 0xe3069283);
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7 + 3);
	assert_int_equal(ibb_crc32c(0, b, sizeof(b)), mkvhdx_crc32c(b, sizeof(b)));
	assert_int_equal(ibb_crc32c(ibb_crc32c(0, b, 11), b + 11, sizeof(b) - 11),
			 mkvhdx_crc32c(b, sizeof(b)));
}

static void test_info(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 5 * MIB + 512});
	struct ibb_disk *model = vhdx_model(5 * MIB + 512);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed();

	(void)state;
	vhdx_scribble(&m, model, 3 * MIB + 1024, 4096, &seed);
	vhdx_scribble(&m, model, 5 * MIB, 512, &seed);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_int_equal(o.info.disk_bytes, 5 * MIB + 512);
	assert_int_equal(o.info.block_bytes, MIB);
	assert_int_equal(o.info.logical_sector_bytes, 512);
	assert_int_equal(o.info.physical_sector_bytes, 4096);
	assert_false(o.info.fixed);
	assert_int_equal(o.info.allocated_blocks, 2);
	assert_false(o.info.log_replayed);
	assert_int_equal(o.info.log_bytes, 0);
	assert_memory_equal(o.info.disk_id.b, vhdx_disk_id.b, 16);
	assert_memory_equal(o.info.data_write_id.b, vhdx_data_id.b, 16);
	assert_false(o.link.differencing);
	assert_int_equal(o.link.n, 0);
	assert_int_equal(o.d->sector_bytes, 512);
	assert_disk_is(o.d, model);
	assert_random_reads(o.d, model, 200, &seed);
	assert_fails(ibb_disk_pwrite(o.d, "x", 1, 0, &err), IBB_E_READONLY, err, "read-only");
	assert_fails(ibb_disk_vhdx_set_parent(o.d, model, &err), IBB_E_INTERNAL, err,
		     "no differencing disk");
	vhdx_close(&o);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* Every kind and size of block, with data on both sides of each chunk's border. */
static void test_shapes(void **state)
{
	static const struct mkvhdx_opts shapes[] = {
		{.disk_bytes = 7 * MIB},
		{.disk_bytes = 9 * GIB, .block_bytes = 32 * MIB},
		{.disk_bytes = 9 * GIB, .block_bytes = 32 * MIB, .fixed = true},
		{.disk_bytes = 6 * GIB + 512, .block_bytes = 256 * MIB},
		{.disk_bytes = 40 * GIB, .block_bytes = 32 * MIB, .logical_bytes = 4096},
		{.disk_bytes = 5 * GIB, .block_bytes = MIB, .physical_bytes = 512},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(shapes); i++) {
		struct mkvhdx m = vhdx_make(&shapes[i]);
		uint64_t size = m.o.disk_bytes, chunk = (uint64_t)m.chunk_ratio * m.o.block_bytes;
		struct ibb_disk *model = vhdx_model(size);
		struct ibb_error err = {0};
		struct vhdx_opened o;
		uint64_t seed = test_seed() + i, sector = m.o.logical_bytes;

		for (uint64_t at = chunk; at < size; at += chunk) {
			vhdx_scribble(&m, model, at - 8192, 16384, &seed);
			vhdx_scribble(&m, model, at + m.o.block_bytes - 4096, 4096, &seed);
		}
		vhdx_scribble(&m, model, 0, 4096, &seed);
		vhdx_scribble(&m, model, size - sector, sector, &seed);
		assert_ok(vhdx_open(m.file, &o, &err), err);
		assert_int_equal(o.d->sector_bytes, sector);
		assert_int_equal(o.info.fixed, shapes[i].fixed);
		if (shapes[i].fixed)
			assert_int_equal(o.info.allocated_blocks, m.n_blocks);
		assert_disk_is(o.d, model);
		vhdx_close(&o);
		ibb_disk_unref(model);
		mkvhdx_clear(&m);
	}
}

/* States without a place read as zeros, whatever offset still stands in the entry. */
static void test_states(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 6 * MIB});
	struct ibb_disk *model = vhdx_model(6 * MIB);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	struct extents e = {0};
	uint64_t seed = test_seed();
	uint8_t zeros[4096] = {0};

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		vhdx_scribble(&m, model, i * MIB, 4096, &seed);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t low;

		assert_ok(ibb_disk_pread(m.file, &low, 1, mkvhdx_entry_at(&m, i), &err), err);
		assert_int_equal(low, MKVHDX_FULL);
		low = (uint8_t)i; /* the offset stays */
		assert_ok(mkvhdx_put(&m, &low, 1, mkvhdx_entry_at(&m, i), &err), err);
		assert_ok(ibb_disk_pwrite(model, zeros, 4096, i * MIB, &err), err);
	}
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_int_equal(o.info.allocated_blocks, 2);
	assert_disk_is(o.d, model);
	assert_ok(ibb_disk_extents(o.d, 0, 6 * MIB, collect_extent, &e, &err), err);
	/* the file's own holes (chunks of 64 KiB in memory) are the disk's, too */
	assert_int_equal(e.n, 5);
	assert_extent(&e, 0, 0, 4 * MIB, false);
	assert_extent(&e, 1, 4 * MIB, 65536, true);
	assert_extent(&e, 2, 4 * MIB + 65536, MIB - 65536, false);
	assert_extent(&e, 3, 5 * MIB, 65536, true);
	vhdx_close(&o);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* qemu-img before 8.0.1 left a copy of an entry where a sector bitmap's stands. */
static void test_stray_bitmap_entries(void **state)
{
	struct mkvhdx m =
		vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 9 * GIB, .block_bytes = 32 * MIB});
	struct ibb_disk *model = vhdx_model(9 * GIB);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed(), place = 0;

	(void)state;
	vhdx_scribble(&m, model, 4 * GIB - 4096, 8192, &seed);
	assert_ok(mkvhdx_place(&m, 127, &place, &err), err);
	assert_ok(mkvhdx_put64(&m, place | MKVHDX_FULL, mkvhdx_bitmap_entry_at(&m, 0), &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_int_equal(o.info.allocated_blocks, 2);
	assert_disk_is(o.d, model);
	vhdx_close(&o);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* The last block may end with the disk, as in fixed files of qemu-img. */
static void test_short_last_block(void **state)
{
	struct mkvhdx m = vhdx_make(
		&(struct mkvhdx_opts){.disk_bytes = 35 * MIB + 1024, .block_bytes = 32 * MIB});
	struct ibb_disk *model = vhdx_model(35 * MIB + 1024);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed();

	(void)state;
	vhdx_scribble(&m, model, 32 * MIB, 3 * MIB + 1024, &seed);
	m.file->size_bytes -= 29 * MIB - 1024;
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_disk_is(o.d, model);
	vhdx_close(&o);
	m.file->size_bytes -= 512;
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_CORRUPT, err, "behind the end of the file");
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

static void test_current_header(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB});
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	/* the first one is older: its identifier differs, to tell them apart */
	assert_ok(mkvhdx_put(&m, "older", 5, MKVHDX_HEADER1 + 32, &err), err);
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_memory_equal(o.info.data_write_id.b, vhdx_data_id.b, 16);
	vhdx_close(&o);
	/* the second one is damaged in its last byte */
	assert_ok(mkvhdx_put(&m, "x", 1, MKVHDX_HEADER2 + 4095, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_memory_equal(o.info.data_write_id.b, "older", 5);
	vhdx_close(&o);
	/* sound, and of a lower number */
	assert_ok(mkvhdx_put64(&m, 6, MKVHDX_HEADER2 + 8, &err), err);
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_memory_equal(o.info.data_write_id.b, "older", 5);
	vhdx_close(&o);
	/* the same number in both: none is current, unless there is no difference */
	assert_ok(mkvhdx_put64(&m, 7, MKVHDX_HEADER2 + 8, &err), err);
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_CORRUPT, err, "neither VHDX header");
	assert_ok(mkvhdx_put(&m, vhdx_data_id.b, 16, MKVHDX_HEADER1 + 32, &err), err);
	assert_ok(mkvhdx_put(&m, "\0", 1, MKVHDX_HEADER2 + 4095, &err), err);
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

static void test_second_region_table(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB});
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	assert_ok(mkvhdx_put(&m, "x", 1, MKVHDX_REGION1 + 65535, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	vhdx_close(&o);
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_CORRUPT, err, "region tables");
	assert_non_null(strstr(err.msg, "differ"));
	assert_ok(mkvhdx_put(&m, "X", 1, MKVHDX_REGION1, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	vhdx_close(&o);
	assert_ok(mkvhdx_put(&m, "X", 1, MKVHDX_REGION2, &err), err);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_CORRUPT, err, "both VHDX region tables");
	mkvhdx_clear(&m);
}

/* Regions and items that nobody has to know are passed over. */
static void test_unknown_optional(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB});
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t e[32] = {0xee, 0xee};

	(void)state;
	m.file->size_bytes += 2 * MIB;
	ibb_put_le64(e + 16, m.next);
	ibb_put_le32(e + 24, 2 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = i ? MKVHDX_REGION2 : MKVHDX_REGION1;

		assert_ok(mkvhdx_put(&m, e, 32, at + 16 + 64, &err), err);
		assert_ok(mkvhdx_put32(&m, 3, at + 8, &err), err);
	}
	assert_ok(mkvhdx_seal(&m, &err), err);
	memset(e + 16, 0, 16);
	assert_ok(mkvhdx_put(&m, e, 32, m.metadata_at + 32 + 5 * 32, &err), err);
	assert_ok(mkvhdx_put(&m, "\6", 1, m.metadata_at + 10, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	vhdx_close(&o);
	/* an item of the system's identifier, but the user's, is none of the system's */
	assert_ok(ibb_disk_pread(m.file, e, 16, m.metadata_at + 32, &err), err);
	ibb_put_le32(e + 24, 1);
	assert_ok(mkvhdx_put(&m, e, 32, m.metadata_at + 32 + 5 * 32, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

/* ---- how it is read ---- */

/* Neighbours in the file are one read; holes are none. */
static void test_reads(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 64 * MIB});
	struct ibb_disk *model = vhdx_model(64 * MIB), *counted = NULL;
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed();
	uint8_t *b = malloc(16 * MIB);

	(void)state;
	assert_non_null(b);
	for (unsigned i = 0; i < 8; i++)
		vhdx_scribble(&m, model, (8 + i) * MIB, MIB, &seed);
	vhdx_scribble(&m, model, 40 * MIB, MIB, &seed);
	assert_ok(ibb_disk_fault_new(m.file, &plan, &counted, &err), err);
	assert_ok(vhdx_open(counted, &o, &err), err);
	plan.count[IBB_FAULT_READ] = 0;
	assert_ok(ibb_disk_pread(o.d, b, 16 * MIB, 16 * MIB, &err), err);
	assert_false(vhdx_any_data(o.d, 16 * MIB, 24 * MIB));
	assert_int_equal(plan.count[IBB_FAULT_READ], 0);
	assert_ok(ibb_disk_pread(o.d, b, 16 * MIB, 2 * MIB, &err), err);
	assert_int_equal(plan.count[IBB_FAULT_READ], 1);
	assert_disk_is(o.d, model);
	/* a failing read is no zeros */
	plan.fail_at[IBB_FAULT_READ] = 0;
	plan.count[IBB_FAULT_READ] = 0;
	assert_fails(ibb_disk_pread(o.d, b, 4096, 8 * MIB, &err), IBB_E_IO, err, "");
	vhdx_close(&o);
	ibb_disk_unref(counted);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
	free(b);
}

/* Each failing read while opening is told, and nothing is left behind. */
static void test_read_errors(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = 8 * MIB, .differencing = true, .relative = "a"});
	struct ibb_disk *file = NULL;
	struct ibb_error err = {0};
	struct vhdx_opened o;
	long n;

	(void)state;
	assert_ok(mkvhdx_state(&m, 2, MKVHDX_PARTIAL, &err), err);
	for (n = 0;; n++) {
		struct ibb_fault plan = {.fail_at = {n, -1, -1}, .cut_after = -1, .os_errno = EIO};
		int r;

		assert_ok(ibb_disk_fault_new(m.file, &plan, &file, &err), err);
		r = vhdx_open(file, &o, &err);
		ibb_disk_unref(file);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_IO);
	}
	assert_true(n >= 10);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

/* Memory that runs short at any point is an error, and nothing leaks (the sanitizer's business). */
static void test_short_memory(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 8 * MIB,
							  .differencing = true,
							  .linkage2 = VHDX_LINKAGE,
							  .relative = "a",
							  .volume = "b",
							  .absolute = "c"});
	struct mkvhdx_ring ring;
	uint8_t data[4096] = {1};
	struct mkvhdx_change c[] = {{m.bat_at + 4096, data, 0}, {m.bat_at + 8192, NULL, 4096}};
	struct ibb_error err = {0};
	struct vhdx_opened o;
	long n;
	int r;

	(void)state;
	assert_ok(mkvhdx_put(&m, data, 1, m.bat_at + 8192, &err), err);
	mkvhdx_ring_init(&ring, &m, &vhdx_log_id, 0, 1);
	ring.last += MIB;
	assert_ok(mkvhdx_ring_add(&ring, c, 2, NULL, &err), err);
	assert_ok(mkvhdx_set_log(&m, &vhdx_log_id, &err), err);
	for (n = 0;; n++) {
		ibb_mem_fail_at(n, false);
		r = vhdx_open(m.file, &o, &err);
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_null(o.d);
		assert_int_equal(o.link.n, 0);
	}
	assert_true(n >= 20);
	assert_true(o.info.log_replayed);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

static void test_limits(void **state)
{
	/* 64 TiB in blocks of 4 MiB are as many as there may be */
	struct mkvhdx_opts opts = {
		.disk_bytes = 64ull << 40, .block_bytes = 4 * MIB, .room_bytes = 2 * GIB};
	struct mkvhdx m = vhdx_make(&opts);
	struct ibb_disk *model = vhdx_model(4 * GIB), *part = NULL;
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed(), last = (64ull << 40) - 4 * GIB;
	uint8_t b[4096], want[4096];

	(void)state;
	memset(want, 0x5a, sizeof(want));
	assert_ok(mkvhdx_write(&m, want, 4096, (64ull << 40) - 4096, &err), err);
	assert_ok(ibb_disk_pwrite(model, want, 4096, 4 * GIB - 4096, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_ok(ibb_disk_slice_new(o.d, last, 4 * GIB, &part, &err), err);
	assert_random_reads(part, model, 20, &seed);
	assert_ok(ibb_disk_pread(o.d, b, 4096, (64ull << 40) - 4096, &err), err);
	assert_memory_equal(b, want, 4096);
	ibb_disk_unref(part);
	vhdx_close(&o);
	mkvhdx_clear(&m);
	ibb_disk_unref(model);
	opts.block_bytes = 2 * MIB;
	m = vhdx_make(&opts);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_LIMIT, err, "33554432 blocks");
	assert_non_null(strstr(err.hint, "larger blocks"));
	mkvhdx_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_stray_bitmap_entries),
		cmocka_unit_test(test_short_last_block),
		cmocka_unit_test(test_current_header),
		cmocka_unit_test(test_second_region_table),
		cmocka_unit_test(test_unknown_optional),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_short_memory),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
