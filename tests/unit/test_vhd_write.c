/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing dynamic VHD. */
#include "vhdsink.h"

#include <errno.h>

#include "base/le.h"

static const char *path(const char *name)
{
	static char p[1024];

	snprintf(p, sizeof(p), "%s/%s", test_dir(), name);
	return p;
}

static void write_image(struct test_sink *t, const struct ibb_write_opts *o, const struct run *runs,
			size_t n)
{
	struct ibb_writer *w = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_writer_vhd_dynamic_new(&t->s, o, &w, &err), err);
	assert_ok(write_runs(w, runs, n, &err), err);
	assert_ok(w->ops->finish(w, &err), err);
	ibb_writer_free(w);
}

/* Runs in the first block, over the border of two, and in the last one, which the disk cuts. */
static const struct run some[] = {{0, 1}, {63, 8}, {4090, 12}, {12288 + 4000, 200}, {20479, 1}};
#define SOME_SECTORS 20480u /* 10 MiB */

static void test_round_trip(void **state)
{
	const char *file = path("trip.vhd");
	struct test_sink t = open_sink(file);
	const struct ibb_write_opts o = sink_opts(SOME_SECTORS * 512ull);
	struct extents e = {0};
	struct ibb_error err = {0};
	struct opened d;

	(void)state;
	write_image(&t, &o, some, IBB_ARRAY_SIZE(some));
	close(t.fd);
	d = open_vhd(file);
	assert_int_equal(d.info.footer.type, IBB_VHD_DYNAMIC);
	assert_int_equal(d.info.block_bytes, 2 * MIB);
	assert_int_equal(d.info.allocated_blocks, 4);
	assert_int_equal(d.info.footer.current_size_bytes, 10 * MIB);
	assert_int_equal(d.info.footer.original_size_bytes, 10 * MIB);
	assert_int_equal(d.info.footer.timestamp_s, 1600000000 - 946684800);
	assert_memory_equal(&d.info.footer.unique_id, &o.id, 16);
	assert_false(d.info.footer_from_copy);
	assert_runs(d.d, some, IBB_ARRAY_SIZE(some), 0, SOME_SECTORS);
	assert_ok(ibb_disk_extents(d.d, 0, d.d->size_bytes, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 0, d.d->size_bytes);
	for (uint64_t s = 0; s < SOME_SECTORS; s++)
		if (in_runs(some, IBB_ARRAY_SIZE(some), s))
			assert_true(extents_data_at(&e, s * 512));
	/* block 2 (sectors 8192 to 12287) was given nothing */
	assert_false(extents_data_at(&e, 8192 * 512));
	assert_false(extents_data_at(&e, 12287 * 512));
	close_vhd(&d);
}

/* Runs of any length at any sector, close together and far apart. */
static void test_random(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		struct run runs[30];
		uint64_t pos = 0;
		const char *file = path("random.vhd");
		struct test_sink t = open_sink(file);
		struct ibb_write_opts o;
		struct opened d;

		for (size_t i = 0; i < IBB_ARRAY_SIZE(runs); i++) {
			pos += test_rand(&seed) % (test_rand(&seed) % 4 ? 20 : 9000);
			runs[i] = (struct run){pos, 1 + test_rand(&seed) % 5000};
			runs[i].n = test_rand(&seed) % 4 ? 1 + runs[i].n % 20 : runs[i].n;
			pos += runs[i].n;
		}
		o = sink_opts((pos + test_rand(&seed) % 5000) * 512);
		write_image(&t, &o, runs, IBB_ARRAY_SIZE(runs));
		close(t.fd);
		d = open_vhd(file);
		assert_int_equal(d.d->size_bytes, o.disk_bytes);
		assert_runs(d.d, runs, IBB_ARRAY_SIZE(runs), 0, o.disk_bytes / 512);
		close_vhd(&d);
	}
}

/* Where everything lies, byte by byte. */
static void test_layout(void **state)
{
	const struct run two[] = {{5000, 1}, {9000, 1}};
	const char *file = path("layout.vhd");
	struct test_sink t = open_sink(file);
	const struct ibb_write_opts o = sink_opts(10 * MIB);
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	uint8_t want[512];

	(void)state;
	write_image(&t, &o, two, 2);
	close(t.fd);
	assert_ok(ibb_read_file(file, 64 * MIB, &b, &err), err);
	/* data of the second block ends at 4096 + 2 MiB + 4096 + 2 MiB */
	assert_int_equal(b.len, 8192 + 4 * MIB + 512);
	assert_memory_equal(b.data, b.data + b.len - 512, 512);
	assert_memory_equal(b.data, "conectix\0\0\0\2\0\1\0\0\0\0\0\0\0\0\2\0", 24);
	assert_memory_equal(b.data + 60, "\0\0\0\3", 4);
	assert_memory_equal(b.data + 512, "cxsparse\377\377\377\377\377\377\377\377", 16);
	assert_memory_equal(b.data + 528, "\0\0\0\0\0\0\6\0\0\1\0\0\0\0\0\5\0\40\0\0", 20);
	for (unsigned i = 552; i < 1536; i++)
		assert_int_equal(b.data[i], 0);
	/* blocks 1 and 2, in order of their first data; the rest of the sector is ones */
	assert_memory_equal(b.data + 1536, "\377\377\377\377\0\0\0\7\0\0\20\17\377\377\377\377",
			    16);
	for (unsigned i = 1552; i < 2048; i++)
		assert_int_equal(b.data[i], 0xff);
	for (unsigned i = 0; i < 512; i++) {
		assert_int_equal(b.data[7 * 512 + i], 0xff);
		assert_int_equal(b.data[0x100f * 512 + i], 0xff);
	}
	fill_sector(want, 5000);
	assert_memory_equal(b.data + 4096 + (5000 - 4096) * 512, want, 512);
	fill_sector(want, 9000);
	assert_memory_equal(b.data + 0x1010 * 512 + (9000 - 8192) * 512, want, 512);
	ibb_buf_clear(&b);
}

static void test_holes(void **state)
{
	const struct run two[] = {{8, 8}, {2048, 8}};
	const char *file = path("holes.vhd");
	struct test_sink t = open_sink(file);
	const struct ibb_write_opts o = sink_opts(64ull << 30);
	struct stat st;

	(void)state;
	write_image(&t, &o, two, 2);
	assert_int_equal(fstat(t.fd, &st), 0);
	/* a table of 128 KiB, and few pages of a block */
	assert_true((uint64_t)st.st_blocks * 512 <= 256 * KIB);
	assert_int_equal((uint64_t)st.st_size, t.size);
	close(t.fd);
}

/* No data at all, one sector, a whole block, just more than one. */
static void test_sizes(void **state)
{
	static const uint64_t sectors[] = {1, 7, 4095, 4096, 4097, 524288 + 1, 0xff000000};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sectors); i++) {
		const struct run last = {sectors[i] - 1, 1};
		const char *file = path("size.vhd");
		struct test_sink t = open_sink(file);
		const struct ibb_write_opts o = sink_opts(sectors[i] * 512);
		struct opened d;

		write_image(&t, &o, NULL, 0);
		d = open_vhd(file);
		assert_int_equal(d.d->size_bytes, sectors[i] * 512);
		assert_int_equal(d.info.allocated_blocks, 0);
		assert_byte(d.d, sectors[i] * 512 - 1, 0);
		close_vhd(&d);
		close(t.fd);
		t = open_sink(file);
		write_image(&t, &o, &last, 1);
		d = open_vhd(file);
		assert_int_equal(d.info.allocated_blocks, 1);
		assert_runs(d.d, &last, 1, sectors[i] - 1, sectors[i]);
		close_vhd(&d);
		close(t.fd);
	}
}

static void test_refused(void **state)
{
	struct test_sink t = open_sink(path("refused.vhd"));
	struct ibb_write_opts o = sink_opts(MIB);
	struct ibb_writer *w = NULL;
	struct ibb_error err = {0};

	(void)state;
	o.sector_bytes = 4096;
	assert_fails(
		ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), IBB_E_UNSUPPORTED, err,
		"refused.vhd: the disk has sectors of 4096 bytes; VHD has only sectors of 512");
	o = sink_opts((2040ull << 30) + 512);
	assert_fails(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), IBB_E_UNSUPPORTED, err,
		     "a disk of 2190433321472 bytes; VHD goes up to 2190433320960");
	assert_non_null(strstr(err.hint, "VHDX"));
	o = sink_opts(0);
	assert_fails(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), IBB_E_UNSUPPORTED, err,
		     "a disk of 0 bytes is no whole number of 512-byte sectors");
	o = sink_opts(MIB + 1);
	assert_fails(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), IBB_E_UNSUPPORTED, err,
		     "1048577 bytes is no whole number");
	assert_null(w);
	assert_int_equal(t.n, 0); /* nothing was written */
	close(t.fd);
}

/* What the interface forbids is caught, and nothing is written for it. */
static void test_order(void **state)
{
	static const struct {
		uint64_t off;
		size_t n;
	} bad[] = {{512, 512}, {1023, 512}, {1024, 511}, {MIB, 512}, {MIB - 512, 1024}};
	struct test_sink t = open_sink(path("order.vhd"));
	const struct ibb_write_opts o = sink_opts(MIB);
	struct ibb_writer *w = NULL;
	struct ibb_error err = {0};
	uint8_t b[1024] = {1};
	long n;

	(void)state;
	assert_ok(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), err);
	assert_ok(w->ops->write(w, b, 512, 512, &err), err);
	n = t.n;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++)
		assert_fails(w->ops->write(w, b, bad[i].n, bad[i].off, &err), IBB_E_INTERNAL, err,
			     "do not go on from 1024");
	assert_int_equal(t.n, n);
	assert_ok(w->ops->write(w, b, 512, 1024, &err), err);
	ibb_writer_free(w); /* without finish */
	close(t.fd);
}

/* Each write fails once: an error each time. */
static void test_write_errors(void **state)
{
	const struct ibb_write_opts o = sink_opts(SOME_SECTORS * 512ull);
	long n = -1;

	(void)state;
	for (long i = 0; i != n; i++) {
		struct test_sink t = open_sink(path("enospc.vhd"));
		struct ibb_writer *w = NULL;
		struct ibb_error err = {0};
		int r;

		t.fail_at = i;
		assert_ok(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), err);
		r = write_runs(w, some, IBB_ARRAY_SIZE(some), &err);
		if (!r)
			r = w->ops->finish(w, &err);
		if (r)
			assert_fails(r, IBB_E_NOSPACE, err, "enospc.vhd: write at offset");
		else
			n = i + 1;
		ibb_writer_free(w);
		close(t.fd);
	}
	/* four bitmaps; five runs, two of them in two pieces; table, head, footer */
	assert_int_equal(n - 1, 4 + 7 + 3);
}

static void test_no_memory(void **state)
{
	struct test_sink t = open_sink(path("nomem.vhd"));
	const struct ibb_write_opts o = sink_opts(MIB);
	struct ibb_writer *w = NULL;
	struct ibb_error err = {0};

	(void)state;
	for (long i = 0; i < 2; i++) {
		ibb_mem_fail_at(i, false);
		assert_fails(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), IBB_E_NOMEM, err,
			     "out of memory");
		assert_null(w);
	}
	ibb_mem_fail_at(2, false);
	assert_ok(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), err);
	ibb_mem_fail_at(-1, false);
	ibb_writer_free(w);
	close(t.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_random),
		cmocka_unit_test(test_layout),	   cmocka_unit_test(test_holes),
		cmocka_unit_test(test_sizes),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_order),	   cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
