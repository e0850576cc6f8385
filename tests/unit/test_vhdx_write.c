/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our VHDX files: laid out as said, read back as written, whole or none. */
#include "vhdx_util.h"

#include <errno.h>

#include "disk/writer.h"

/* A sink in memory: a file that was never written to where it is a hole. */
struct memory {
	struct ibb_sink s;
	struct ibb_disk *d;
	uint64_t size;	  /* as truncated, or as far as was written */
	long left;	  /* operations until one fails; -1: never */
	uint64_t written; /* bytes */
};

static int fails(struct memory *m, struct ibb_error *err)
{
	if (m->left < 0 || m->left--)
		return IBB_OK;
	return ibb_err_os(err, ENOSPC, "writing");
}

static int memory_pwrite(struct ibb_sink *s, const void *b, size_t n, uint64_t off,
			 struct ibb_error *err)
{
	struct memory *m = (struct memory *)s;
	int r = fails(m, err);

	if (r)
		return r;
	m->size = off + n > m->size ? off + n : m->size;
	m->written += n;
	return ibb_disk_pwrite(m->d, b, n, off, err);
}

static int memory_truncate(struct ibb_sink *s, uint64_t size, struct ibb_error *err)
{
	struct memory *m = (struct memory *)s;
	int r = fails(m, err);

	if (!r)
		m->size = size;
	return r;
}

static struct memory new_memory(uint64_t room)
{
	return (struct memory){.s = {"out.vhdx", memory_pwrite, memory_truncate},
			       .d = vhdx_model(room),
			       .left = -1};
}

static struct ibb_writer *new_writer(struct memory *m, uint64_t size, uint32_t sector)
{
	struct ibb_write_opts o = {size, sector, vhdx_disk_id, 1600000000};
	struct ibb_error err = {0};
	struct ibb_writer *w = NULL;

	assert_ok(ibb_writer_vhdx_new(&m->s, &o, &w, &err), err);
	return w;
}

static void write_both(struct ibb_writer *w, struct ibb_disk *model, uint64_t off, size_t n,
		       uint64_t *seed)
{
	struct ibb_error err = {0};
	uint8_t *b = malloc(n);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(test_rand(seed) | 1);
	assert_ok(w->ops->write(w, b, n, off, &err), err);
	assert_ok(ibb_disk_pwrite(model, b, n, off, &err), err);
	free(b);
}

static void test_layout(void **state)
{
	struct memory m = new_memory(200 * MIB);
	struct ibb_writer *w = new_writer(&m, 100 * MIB, 512);
	struct ibb_disk *model = vhdx_model(100 * MIB);
	struct ibb_error err = {0};
	struct extents e = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed();
	uint8_t b[64];

	(void)state;
	write_both(w, model, 65536, 65536, &seed);
	write_both(w, model, 70 * MIB, 65536, &seed); /* the third block is the second one there */
	assert_ok(w->ops->finish(w, &err), err);
	assert_int_equal(m.size, 4 * MIB + 64 * MIB);
	m.d->size_bytes = m.size;
	assert_ok(ibb_disk_pread(m.d, b, 24, 0, &err), err);
	assert_memory_equal(b, "vhdxfilei\0b\0b\0a\0k\0e\0 \0", 22);
	assert_ok(ibb_disk_pread(m.d, b, 24, 3 * MIB, &err), err);
	assert_memory_equal(b, "\x06\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\x40\2\0\0\0\0", 24);
	assert_ok(vhdx_open(m.d, &o, &err), err);
	assert_int_equal(o.info.block_bytes, 32 * MIB);
	assert_int_equal(o.info.physical_sector_bytes, 4096);
	assert_int_equal(o.info.allocated_blocks, 2);
	assert_false(o.info.log_replayed);
	assert_memory_equal(o.info.disk_id.b, vhdx_disk_id.b, 16);
	assert_false(ibb_guid_is_zero(&o.info.data_write_id));
	assert_disk_is(o.d, model);
	assert_ok(ibb_disk_extents(o.d, 0, 100 * MIB, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 5); /* what was not written is a hole */
	assert_extent(&e, 1, 65536, 65536, true);
	assert_extent(&e, 3, 70 * MIB, 65536, true);
	vhdx_close(&o);
	ibb_writer_free(w);
	ibb_disk_unref(model);
	ibb_disk_unref(m.d);
}

/* Sizes of every kind, data at the borders of blocks and chunks. */
static void test_round_trip(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t sector;
	} disks[] = {{512, 512},
		     {4096, 4096},
		     {32 * MIB, 512},
		     {9 * GIB + 512, 512},
		     {36 * GIB + 4096, 4096},
		     {33 * MIB + 1536, 512}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(disks); i++) {
		uint64_t size = disks[i].size, seed = test_seed() + i, sector = disks[i].sector;
		struct memory m = new_memory(40 * GIB);
		struct ibb_writer *w = new_writer(&m, size, disks[i].sector);
		struct ibb_disk *model = vhdx_model(size);
		struct ibb_error err = {0};
		struct vhdx_opened o;

		for (uint64_t at = 32 * MIB; at + 32 * MIB < size; at += 480 * MIB) {
			write_both(w, model, at - 2 * sector, 5 * sector, &seed);
			write_both(w, model, at + 4 * MIB, sector, &seed);
		}
		write_both(w, model, size - sector, sector, &seed);
		assert_ok(w->ops->finish(w, &err), err);
		m.d->size_bytes = m.size;
		assert_ok(vhdx_open(m.d, &o, &err), err);
		assert_int_equal(o.d->sector_bytes, sector);
		assert_disk_is(o.d, model);
		vhdx_close(&o);
		ibb_writer_free(w);
		ibb_disk_unref(model);
		ibb_disk_unref(m.d);
	}
}

/* The largest there is, of which little is written. */
static void test_largest(void **state)
{
	struct memory m = new_memory(GIB);
	struct ibb_writer *w = new_writer(&m, 64ull << 40, 512);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t b[512] = {1, 2, 3}, got[512];

	(void)state;
	assert_ok(w->ops->write(w, b, 512, (64ull << 40) - 512, &err), err);
	assert_ok(w->ops->finish(w, &err), err);
	assert_int_equal(m.size, (3 + 17 + 32) * MIB);
	assert_true(m.written < 400000); /* not the table's holes */
	m.d->size_bytes = m.size;
	assert_ok(vhdx_open(m.d, &o, &err), err);
	assert_ok(ibb_disk_pread(o.d, got, 512, (64ull << 40) - 512, &err), err);
	assert_memory_equal(got, b, 512);
	vhdx_close(&o);
	ibb_writer_free(w);
	ibb_disk_unref(m.d);
}

static void test_refused(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t sector;
		const char *text;
	} bad[] = {
		{0, 512, "whole sectors"},
		{513, 512, "whole sectors of 512 bytes"},
		{4096 * 3 + 512, 4096, "whole sectors of 4096 bytes"},
		{MIB, 1024, "512 or 4096 bytes, not 1024"},
		{(64ull << 40) + 512, 512, "at most 64 TiB"},
	};
	struct memory m = new_memory(MIB);
	struct ibb_error err = {0};
	struct ibb_writer *w = NULL;
	uint8_t b[1024];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct ibb_write_opts o = {bad[i].size, bad[i].sector, vhdx_disk_id, 0};

		assert_fails(ibb_writer_vhdx_new(&m.s, &o, &w, &err), IBB_E_UNSUPPORTED, err,
			     bad[i].text);
		assert_null(w);
	}
	w = new_writer(&m, MIB, 512);
	assert_fails(w->ops->write(w, b, 1024, MIB - 512, &err), IBB_E_INTERNAL, err, "sectors");
	assert_fails(w->ops->write(w, b, 512, 256, &err), IBB_E_INTERNAL, err, "sectors");
	assert_fails(w->ops->write(w, b, 100, 0, &err), IBB_E_INTERNAL, err, "sectors");
	assert_int_equal(m.written, 0);
	ibb_writer_free(w);
	ibb_disk_unref(m.d);
}

/* Out of space at every write: told, and what is there by then is no VHDX. */
static void test_full(void **state)
{
	struct ibb_error err = {0};
	uint8_t b[4096] = {7};
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct memory m = new_memory(80 * MIB);
		struct ibb_writer *w = new_writer(&m, 40 * MIB, 512);
		struct vhdx_opened o;
		int r;

		m.left = n;
		r = w->ops->write(w, b, sizeof(b), 8192, &err);
		if (!r)
			r = w->ops->finish(w, &err);
		ibb_writer_free(w);
		if (r) {
			assert_int_equal(r, IBB_E_NOSPACE);
			assert_int_equal(vhdx_open(m.d, &o, &err), IBB_E_CORRUPT);
		}
		ibb_disk_unref(m.d);
		if (!r)
			break;
	}
	assert_int_equal(n, 10);
}

static void test_short_memory(void **state)
{
	struct ibb_write_opts o = {MIB, 512, vhdx_disk_id, 0};
	struct ibb_error err = {0};
	long n;
	int r = IBB_E_NOMEM;

	(void)state;
	for (n = 0; r && n < 100; n++) {
		struct memory m = new_memory(80 * MIB);
		struct ibb_writer *w = NULL;

		ibb_mem_fail_at(n, false);
		r = ibb_writer_vhdx_new(&m.s, &o, &w, &err);
		if (!r)
			r = w->ops->finish(w, &err);
		ibb_mem_fail_at(-1, false);
		ibb_writer_free(w);
		ibb_disk_unref(m.d);
		if (r)
			assert_int_equal(r, IBB_E_NOMEM);
	}
	assert_int_equal(r, IBB_OK);
	assert_true(n >= 4);
}

/* The same disk makes the same file; another identity another one, but for the data. */
static void test_deterministic(void **state)
{
	struct memory m[3];
	struct vhdx_opened o[3];
	struct ibb_error err = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct ibb_write_opts w = {MIB, 512, vhdx_disk_id, i};
		struct ibb_writer *p = NULL;

		w.id.b[3] = (uint8_t)(i == 2);
		m[i] = new_memory(80 * MIB);
		assert_ok(ibb_writer_vhdx_new(&m[i].s, &w, &p, &err), err);
		assert_ok(p->ops->write(p, "0123456789abcdef", 0, 0, &err), err);
		assert_ok(p->ops->finish(p, &err), err);
		ibb_writer_free(p);
		m[i].d->size_bytes = m[i].size;
		assert_ok(vhdx_open(m[i].d, &o[i], &err), err);
	}
	assert_disk_is(m[0].d, m[1].d);
	assert_false(ibb_guid_equal(&o[0].info.data_write_id, &o[2].info.data_write_id));
	for (unsigned i = 0; i < 3; i++) {
		vhdx_close(&o[i]);
		ibb_disk_unref(m[i].d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	      cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_largest),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_full),	      cmocka_unit_test(test_short_memory),
		cmocka_unit_test(test_deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
