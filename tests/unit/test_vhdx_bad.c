/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged and hostile VHDX files, one fault each: the code, and words that name the place. */
#include "vhdx_util.h"

#define META(m)	       ((m)->metadata_at)
#define ENTRY(m, i)    (META(m) + 32 + (i)*32)		   /* of the metadata table */
#define ITEM(m, i)     (META(m) + MKVHDX_TABLE + (i)*4096) /* its value */
#define BOTH(off)      (MKVHDX_REGION1 + (off))
#define LOCATOR(m, at) (ITEM(m, 5) + (at))

static void put(struct mkvhdx *m, uint64_t off, const void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(mkvhdx_put(m, p, n, off, &err), err);
}

static void put32(struct mkvhdx *m, uint64_t off, uint32_t v)
{
	struct ibb_error err = {0};

	assert_ok(mkvhdx_put32(m, v, off, &err), err);
}

static void put64(struct mkvhdx *m, uint64_t off, uint64_t v)
{
	struct ibb_error err = {0};

	assert_ok(mkvhdx_put64(m, v, off, &err), err);
}

/* In both headers, or both region tables. */
static void both32(struct mkvhdx *m, uint64_t off, uint32_t v)
{
	put32(m, off, v);
	put32(m, off + 65536, v);
}

static void both64(struct mkvhdx *m, uint64_t off, uint64_t v)
{
	put64(m, off, v);
	put64(m, off + 65536, v);
}

static struct mkvhdx sound(void)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 8 * MIB,
							  .differencing = true,
							  .linkage2 = VHDX_LINKAGE,
							  .relative = "..\\base.vhdx"});
	struct ibb_error err = {0};

	assert_ok(mkvhdx_state(&m, 0, MKVHDX_FULL, &err), err);
	assert_ok(mkvhdx_state(&m, 5, MKVHDX_PARTIAL, &err), err);
	return m;
}

static void assert_bad(struct mkvhdx *m, int code, const char *text)
{
	struct ibb_error err = {0};
	struct vhdx_opened o;

	assert_ok(mkvhdx_seal(m, &err), err);
	assert_fails(vhdx_open(m->file, &o, &err), code, err, text);
	assert_null(strchr(err.msg, '\n'));
	assert_null(o.d);
	assert_int_equal(o.link.n, 0);
	mkvhdx_clear(m);
}

/* The fault is put in by the statement `how`, which has the file as m. */
#define BAD(how, code, text)                \
	do {                                \
		struct mkvhdx m = sound();  \
		how;                        \
		assert_bad(&m, code, text); \
	} while (0)
#define CORRUPT(how, text) BAD(how, IBB_E_CORRUPT, text)

static void test_sound(void **state)
{
	struct mkvhdx m = sound();
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	assert_ok(mkvhdx_seal(&m, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_int_equal(o.info.allocated_blocks, 2);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

static void test_headers(void **state)
{
	struct ibb_error err = {0};
	struct vhdx_opened o;
	struct mkvhdx own;

	(void)state;
	CORRUPT(put(&m, 0, "vhdxfilx", 8), "does not begin with \"vhdxfile\"");
	CORRUPT(m.file->size_bytes = MIB - 1, "at least 1 MiB");
	CORRUPT(both32(&m, MKVHDX_HEADER1, 0), "both VHDX headers");
	BAD(put(&m, MKVHDX_HEADER2 + 66, "\2", 1), IBB_E_UNSUPPORTED, "version 2 is not supported");
	BAD(put(&m, MKVHDX_HEADER2 + 66, "\0", 1), IBB_E_UNSUPPORTED, "version 0 is not supported");
	CORRUPT(put64(&m, MKVHDX_HEADER2 + 72, MIB + 4096), "not aligned to 1 MiB");
	CORRUPT(put64(&m, MKVHDX_HEADER2 + 72, 0), "not aligned to 1 MiB");
	CORRUPT(put32(&m, MKVHDX_HEADER2 + 68, 4096), "not aligned to 1 MiB");
	CORRUPT(put64(&m, MKVHDX_HEADER2 + 72, 1ull << 50), "behind the end of the file");
	CORRUPT(put64(&m, MKVHDX_HEADER2 + 72, 0 - MIB), "behind the end of the file");
	CORRUPT(put32(&m, MKVHDX_HEADER2 + 68, 0);
		put(&m, MKVHDX_HEADER2 + 48, "x", 1), "has no log, but an identifier");
	/* without any log there is nothing to be wrong */
	own = sound();
	put32(&own, MKVHDX_HEADER2 + 68, 0);
	assert_ok(mkvhdx_seal(&own, &err), err);
	assert_ok(vhdx_open(own.file, &o, &err), err);
	vhdx_close(&o);
	/* checksums that do not fit */
	put(&own, MKVHDX_HEADER1 + 100, "x", 1);
	put(&own, MKVHDX_HEADER2 + 100, "x", 1);
	assert_fails(vhdx_open(own.file, &o, &err), IBB_E_CORRUPT, err, "both VHDX headers");
	mkvhdx_clear(&own);
}

/* A third region that says to be a block allocation table, too. */
static void second_table(struct mkvhdx *m)
{
	struct ibb_error err = {0};
	uint8_t e[32];

	assert_ok(ibb_disk_pread(m->file, e, sizeof(e), BOTH(16), &err), err);
	ibb_put_le64(e + 16, m->next - MIB);
	put(m, BOTH(80), e, sizeof(e));
	put(m, BOTH(80) + 65536, e, sizeof(e));
	both32(m, BOTH(8), 3);
}

/* The block allocation table's entry of a region table comes first, the metadata's second. */
static void test_regions(void **state)
{
	(void)state;
	CORRUPT(both32(&m, BOTH(0), 0), "both VHDX region tables");
	CORRUPT(both32(&m, BOTH(8), 2048), "has 2048 entries");
	CORRUPT(both32(&m, BOTH(8), 1), "names no metadata");
	CORRUPT(both32(&m, BOTH(8), 0), "names no block allocation table");
	CORRUPT(both64(&m, BOTH(32), 3 * MIB + 512), "is not aligned to 1 MiB");
	CORRUPT(both64(&m, BOTH(32), 0), "is not aligned to 1 MiB");
	CORRUPT(both32(&m, BOTH(40), 0), "is not aligned to 1 MiB");
	CORRUPT(both32(&m, BOTH(40), MIB / 2), "is not aligned to 1 MiB");
	CORRUPT(both64(&m, BOTH(32), 1ull << 40), "behind the end of the file");
	CORRUPT(both64(&m, BOTH(32), 0 - MIB), "behind the end of the file");
	CORRUPT(both32(&m, BOTH(40), 0xfff00000), "behind the end of the file");
	CORRUPT(both64(&m, BOTH(32), m.log_at), "overlaps the headers, the log");
	CORRUPT(both64(&m, BOTH(32), m.metadata_at), "overlaps");
	CORRUPT(second_table(&m), "is there twice");
	BAD(both32(&m, BOTH(8), 3); both32(&m, BOTH(80), 7); both64(&m, BOTH(96), m.next - MIB);
	    both32(&m, BOTH(104), MIB);
	    both32(&m, BOTH(108), 1), IBB_E_UNSUPPORTED, "is required, but not known");
}

static void test_metadata(void **state)
{
	(void)state;
	CORRUPT(put(&m, META(&m), "M", 1), "metadata table at offset 2097152 is damaged");
	CORRUPT(put(&m, META(&m) + 10, "\0\x8", 2), "metadata table");
	CORRUPT(put(&m, META(&m) + 10, "\4\0", 2), "lack the item \"physical sector size\"");
	CORRUPT(put(&m, META(&m) + 10, "\5\0", 2), "lack the item \"parent locator\"");
	CORRUPT(put(&m, META(&m) + 10, "\0\0", 2), "lack the item \"file parameters\"");
	CORRUPT(put32(&m, ENTRY(&m, 0) + 16, 65535), "outside the metadata region");
	CORRUPT(put32(&m, ENTRY(&m, 0) + 16, MIB - 4), "outside the metadata region");
	CORRUPT(put32(&m, ENTRY(&m, 0) + 16, 0xfffffffc), "outside the metadata region");
	CORRUPT(put32(&m, ENTRY(&m, 5) + 20, MIB + 1), "outside the metadata region");
	CORRUPT(put32(&m, ENTRY(&m, 1) + 20, 4), "has the wrong length");
	CORRUPT(put32(&m, ENTRY(&m, 1) + 20, 0), "has the wrong length");
	BAD(put(&m, ENTRY(&m, 4), "x", 1), IBB_E_UNSUPPORTED, "is required, but not known");
	BAD(put(&m, ENTRY(&m, 4) + 24, "\5", 1), IBB_E_UNSUPPORTED, "is required, but not known");
	CORRUPT(put(&m, ENTRY(&m, 4) + 24, "\3", 1), "lack the item \"physical");
	CORRUPT(put(&m, META(&m) + 10, "\7", 1);
		put(&m, ENTRY(&m, 6),
		    "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", 16);
		put32(&m, ENTRY(&m, 6) + 16, 65536);
		put32(&m, ENTRY(&m, 6) + 20, 8), "is there twice");
}

static void test_values(void **state)
{
	(void)state;
	CORRUPT(put32(&m, ITEM(&m, 0), 0), "file parameters at offset 2162688 is 0");
	CORRUPT(put32(&m, ITEM(&m, 0), 512 << 20), "a power of two from 1 to 256 MiB");
	CORRUPT(put32(&m, ITEM(&m, 0), 3 << 20), "a power of two");
	CORRUPT(put32(&m, ITEM(&m, 0), 1 << 19), "a power of two");
	CORRUPT(put64(&m, ITEM(&m, 1), 0), "virtual disk size");
	CORRUPT(put64(&m, ITEM(&m, 1), 513), "is 513, not a number of whole sectors up to 64 TiB");
	CORRUPT(put64(&m, ITEM(&m, 1), (64ull << 40) + 512), "64 TiB");
	CORRUPT(put64(&m, ITEM(&m, 1), UINT64_MAX - 511), "64 TiB");
	CORRUPT(put32(&m, ITEM(&m, 3), 1024), "logical sector size at offset 2174976 is 1024");
	CORRUPT(put32(&m, ITEM(&m, 3), 0), "512 or 4096");
	CORRUPT(put32(&m, ITEM(&m, 4), 0), "physical sector size");
	/* the table has 1 MiB: room for 131072 entries, 1 MiB blocks of 131 GiB need more */
	CORRUPT(put64(&m, ITEM(&m, 1), 131ull << 30), "has room for 131072 entries");
	BAD(put64(&m, ITEM(&m, 1), 17ull << 40), IBB_E_LIMIT, "blocks of 1024 KiB");
}

static void test_locator(void **state)
{
	(void)state;
	CORRUPT(put32(&m, ENTRY(&m, 5) + 20, 19), "is too short");
	BAD(put(&m, LOCATOR(&m, 0), "x", 1), IBB_E_UNSUPPORTED, "of a type that is not known");
	CORRUPT(put(&m, LOCATOR(&m, 18), "\xff\xff", 2), "more entries than fit");
	CORRUPT(put(&m, LOCATOR(&m, 18), "\0\0", 2), "lacks the key parent_linkage");
	CORRUPT(put32(&m, LOCATOR(&m, 20), 19), "outside of it");
	CORRUPT(put32(&m, LOCATOR(&m, 20), 0xfffffff0), "outside of it");
	CORRUPT(put32(&m, LOCATOR(&m, 24), 4000), "outside of it");
	CORRUPT(put(&m, LOCATOR(&m, 28), "\1\0", 2), "outside of it");
	CORRUPT(put(&m, LOCATOR(&m, 30), "\xfe\xff", 2), "outside of it");
	/* the first value begins behind the first key, of 14 characters */
	CORRUPT(put(&m, LOCATOR(&m, 80 + 28), "x", 1), "a parent_linkage that is no GUID");
	CORRUPT(put(&m, LOCATOR(&m, 30), "\0\0", 2), "a parent_linkage that is no GUID");
	/* the second one (parent_linkage2): its key at 80+28+76, 15 characters */
	CORRUPT(put(&m, LOCATOR(&m, 184 + 30), "x", 1), "a parent_linkage2 that is no GUID");
	CORRUPT(put(&m, LOCATOR(&m, 32), "\x50\0\0\0", 4);
		put(&m, LOCATOR(&m, 40), "\x1c", 1), "the same key twice");
}

static void test_table(void **state)
{
	struct mkvhdx own = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 8 * MIB});
	struct ibb_error err = {0};

	(void)state;
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), 4), "a state that a block of this disk cannot");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), 5), "entry 2 of the VHDX block allocation table");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), m.next | 6), "behind the end of the file");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), 0xfffffffffff00006),
		"behind the end of the file");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), (m.next - MIB) | 0x80006), "reserved bits");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), 6), "overlaps");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), m.log_at | 6), "overlaps");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), m.metadata_at | 6), "overlaps");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), m.bat_at | 6), "overlaps");
	CORRUPT(put64(&m, mkvhdx_entry_at(&m, 2), (m.bat_at + m.bat_bytes) | 6),
		"overlaps another");
	CORRUPT(put64(&m, mkvhdx_bitmap_entry_at(&m, 0), 0), "there is no sector bitmap");
	CORRUPT(put64(&m, mkvhdx_bitmap_entry_at(&m, 0), 7), "a sector bitmap cannot have");
	CORRUPT(put64(&m, mkvhdx_bitmap_entry_at(&m, 0), m.next | 6), "entry 4096");
	CORRUPT(put64(&m, mkvhdx_bitmap_entry_at(&m, 0), (m.bat_at + m.bat_bytes) | 6), "overlaps");
	CORRUPT(m.file->size_bytes -= 1, "behind the end of the file");
	/* no parent, no partially present block */
	assert_ok(mkvhdx_state(&own, 1, MKVHDX_PARTIAL, &err), err);
	assert_bad(&own, IBB_E_CORRUPT, "a state that a block of this disk cannot have");
}

/* Whatever byte of the structures is changed: refused with one line, or read to its end. */
static void test_any_byte(void **state)
{
	struct ibb_error err = {0};
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct mkvhdx m = sound();
		const uint64_t at[] = {0,
				       MKVHDX_HEADER2,
				       MKVHDX_REGION1,
				       META(&m),
				       ITEM(&m, test_rand(&seed) % 6),
				       m.bat_at};
		uint64_t off = at[i % 6] + test_rand(&seed) % (i % 6 == 3 ? 224 : 80);
		uint8_t byte = (uint8_t)test_rand(&seed), *b = malloc(65536);
		struct extents e = {0};
		struct vhdx_opened o;
		int r;

		assert_non_null(b);
		put(&m, off, &byte, 1);
		if (i % 6 == 2)
			put(&m, off + 65536, &byte, 1);
		assert_ok(mkvhdx_seal(&m, &err), err);
		r = vhdx_open(m.file, &o, &err);
		if (r) {
			assert_true(r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED ||
				    r == IBB_E_LIMIT);
			assert_true(err.msg[0] && !strchr(err.msg, '\n'));
		} else {
			struct ibb_disk *parent = vhdx_model(o.d->size_bytes);

			parent->sector_bytes = o.d->sector_bytes;
			if (o.link.differencing)
				assert_ok(ibb_disk_vhdx_set_parent(o.d, parent, &err), err);
			assert_ok(
				ibb_disk_extents(o.d, 0, o.d->size_bytes, collect_extent, &e, &err),
				err);
			assert_extents_cover(&e, 0, o.d->size_bytes);
			if (o.d->size_bytes >= 65536)
				assert_ok(ibb_disk_pread(o.d, b, 65536, o.d->size_bytes - 65536,
							 &err),
					  err);
			ibb_disk_unref(parent);
		}
		vhdx_close(&o);
		mkvhdx_clear(&m);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),	cmocka_unit_test(test_headers),
		cmocka_unit_test(test_regions), cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_values),	cmocka_unit_test(test_locator),
		cmocka_unit_test(test_table),	cmocka_unit_test(test_any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
