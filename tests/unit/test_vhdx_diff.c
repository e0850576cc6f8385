/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differencing VHDX: the link to the parent, and which sector comes from where. */
#include "vhdx_util.h"

static void give_parent(struct vhdx_opened *o, struct ibb_disk *parent)
{
	struct ibb_error err = {0};

	assert_true(o->link.differencing);
	assert_ok(ibb_disk_vhdx_set_parent(o->d, parent, &err), err);
}

/* A parent full of data that no child has (scribbled bytes are odd). */
static struct ibb_disk *even_parent(uint64_t size, uint64_t *seed)
{
	struct ibb_disk *p = vhdx_model(size);
	struct ibb_error err = {0};
	uint8_t b[65536];

	for (uint64_t off = 0; off < size; off += sizeof(b)) {
		size_t n = size - off < sizeof(b) ? (size_t)(size - off) : sizeof(b);

		for (size_t i = 0; i < n; i++)
			b[i] = (uint8_t)(2 + test_rand(seed) % 126 * 2);
		assert_ok(ibb_disk_pwrite(p, b, n, off, &err), err);
	}
	return p;
}

static struct ibb_disk *copy_of(struct ibb_disk *d)
{
	struct ibb_disk *c = vhdx_model(d->size_bytes);
	struct ibb_error err = {0};
	uint8_t b[65536];

	for (uint64_t off = 0; off < d->size_bytes; off += sizeof(b)) {
		size_t n =
			d->size_bytes - off < sizeof(b) ? (size_t)(d->size_bytes - off) : sizeof(b);

		assert_ok(ibb_disk_pread(d, b, n, off, &err), err);
		assert_ok(ibb_disk_pwrite(c, b, n, off, &err), err);
	}
	return c;
}

static void test_link(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = MIB,
		.differencing = true,
		.linkage2 = "{00112233-4455-6677-8899-AABBCCDDEEFF}",
		.relative = "..\\b\xc3\xa4se.vhdx",
		.volume = "\\\\?\\Volume{0eba351e-5634-46d6-a8cf-4ddc2d6ac0b9}\\base.vhdx",
		.absolute = "C:\\base.vhdx"});
	static const uint8_t id2[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_true(o.link.differencing);
	assert_memory_equal(o.link.id.b, vhdx_data_id.b, 16);
	assert_true(o.link.has_id2);
	assert_memory_equal(o.link.id2.b, id2, 16);
	assert_false(o.link.has_timestamp);
	assert_int_equal(o.link.n, 3);
	assert_int_equal(o.link.locators[0].kind, IBB_LOCATOR_RELATIVE);
	assert_string_equal(o.link.locators[0].path, "..\\b\xc3\xa4se.vhdx");
	assert_int_equal(o.link.locators[1].kind, IBB_LOCATOR_VOLUME);
	assert_string_equal(o.link.locators[1].path,
			    "\\\\?\\Volume{0eba351e-5634-46d6-a8cf-4ddc2d6ac0b9}\\base.vhdx");
	assert_int_equal(o.link.locators[2].kind, IBB_LOCATOR_ABSOLUTE);
	assert_string_equal(o.link.locators[2].path, "C:\\base.vhdx");
	vhdx_close(&o);
	mkvhdx_clear(&m);
	m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB,
					    .differencing = true,
					    .linkage2 = "{00000000-0000-0000-0000-000000000000}",
					    .relative = ""});
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_false(o.link.has_id2);
	assert_int_equal(o.link.n, 0);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

/* They reach messages and documents. */
static void test_path_is_plain(void **state)
{
	static const char *const bad[] = {"a\nb.vhdx", "\x1b[2J.vhdx", "a\x7f.vhdx",
					  "\xe2\x80\xaexdhv.vhdx"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
			.disk_bytes = MIB, .differencing = true, .absolute = bad[i]});
		struct ibb_error err = {0};
		struct vhdx_opened o;

		assert_fails(vhdx_open(m.file, &o, &err), IBB_E_CORRUPT, err,
			     "the VHDX parent locator at offset 2183168 has a control character in "
			     "a value");
		mkvhdx_clear(&m);
	}
}

static void test_without_parent(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB, .differencing = true});
	struct ibb_disk *other = NULL;
	struct ibb_error err = {0};
	struct extents e = {0};
	struct vhdx_opened o;
	uint8_t b[512];

	(void)state;
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_fails(ibb_disk_pread(o.d, b, 512, 0, &err), IBB_E_INTERNAL, err, "parent");
	assert_fails(ibb_disk_extents(o.d, 0, 512, collect_extent, &e, &err), IBB_E_INTERNAL, err,
		     "parent");
	assert_ok(ibb_disk_mem_new(MIB, 4096, &other, &err), err);
	assert_fails(ibb_disk_vhdx_set_parent(o.d, other, &err), IBB_E_UNSUPPORTED, err,
		     "logical sectors of 512 bytes");
	ibb_disk_unref(other);
	vhdx_close(&o);
	mkvhdx_clear(&m);
}

/*
 * Any pattern of sectors inside one byte of the bitmap, least significant bit first. (libvhdi
 * 20210425 takes a clear bit behind a set one for set.)
 */
static void test_bitmap_patterns(void **state)
{
	const uint32_t sizes[] = {512, 4096};

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		uint64_t seed = test_seed(), sector = sizes[s], size = 256 * 8 * sector;
		struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = size,
								  .logical_bytes = sizes[s],
								  .block_bytes = 2 * MIB,
								  .differencing = true});
		struct ibb_disk *parent = even_parent(size, &seed), *model = copy_of(parent);
		struct ibb_error err = {0};
		struct vhdx_opened o;

		parent->sector_bytes = sizes[s];
		for (unsigned i = 0; i < 256 * 8; i++)
			if (i / 8 >> i % 8 & 1)
				vhdx_scribble(&m, model, i * sector, sector, &seed);
		assert_ok(vhdx_open(m.file, &o, &err), err);
		give_parent(&o, parent);
		assert_disk_is(o.d, model);
		assert_random_reads(o.d, model, 100, &seed);
		vhdx_close(&o);
		ibb_disk_unref(parent);
		ibb_disk_unref(model);
		mkvhdx_clear(&m);
	}
}

/*
 * An untouched child, and one whose blocks are all whole, need no sector bitmap. (libvhdi 20210425
 * takes the file's first bytes for it.)
 */
static void test_no_bitmap_block(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = 64 * MIB, .block_bytes = 2 * MIB, .differencing = true});
	uint64_t seed = test_seed();
	struct ibb_disk *parent = even_parent(64 * MIB, &seed), *model = copy_of(parent);
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	assert_ok(vhdx_open(m.file, &o, &err), err);
	give_parent(&o, parent);
	assert_disk_is(o.d, parent);
	vhdx_close(&o);
	assert_ok(mkvhdx_state(&m, 3, MKVHDX_FULL, &err), err);
	vhdx_scribble(&m, model, 6 * MIB, 2 * MIB, &seed);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	give_parent(&o, parent);
	assert_int_equal(o.info.allocated_blocks, 1);
	assert_disk_is(o.d, model);
	vhdx_close(&o);
	ibb_disk_unref(parent);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* 2.5.1.1: a block that is zero, unmapped or undefined hides the parent; one not present shows it.
 */
static void test_states(void **state)
{
	struct mkvhdx m =
		vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 6 * MIB, .differencing = true});
	static const enum mkvhdx_state states[] = {MKVHDX_NOT_PRESENT, MKVHDX_UNDEFINED,
						   MKVHDX_ZERO,	       MKVHDX_UNMAPPED,
						   MKVHDX_FULL,	       MKVHDX_PARTIAL};
	uint64_t seed = test_seed();
	struct ibb_disk *parent = even_parent(6 * MIB, &seed), *model = copy_of(parent);
	uint8_t *zeros = calloc(1, MIB);
	struct ibb_error err = {0};
	struct extents e = {0};
	struct vhdx_opened o;

	(void)state;
	assert_non_null(zeros);
	for (unsigned i = 0; i < 6; i++) {
		assert_ok(mkvhdx_state(&m, i, states[i], &err), err);
		if (i > 0 && i < 5) /* a full block nobody wrote to is zeros, too */
			assert_ok(ibb_disk_pwrite(model, zeros, MIB, i * MIB, &err), err);
	}
	assert_ok(vhdx_open(m.file, &o, &err), err);
	give_parent(&o, parent);
	assert_disk_is(o.d, model);
	assert_ok(ibb_disk_extents(o.d, 0, 6 * MIB, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 3);
	assert_extent(&e, 0, 0, MIB, true);
	assert_extent(&e, 1, MIB, 4 * MIB, false);
	assert_extent(&e, 2, 5 * MIB, MIB, true);
	vhdx_close(&o);
	ibb_disk_unref(parent);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
	free(zeros);
}

/* A child was grown or shrunk: what the parent does not have is zeros. */
static void test_parent_size(void **state)
{
	struct mkvhdx m =
		vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 4 * MIB, .differencing = true});
	uint64_t seed = test_seed();
	struct ibb_disk *small = even_parent(MIB + 1536, &seed), *big = even_parent(9 * MIB, &seed);
	struct ibb_disk *model = vhdx_model(4 * MIB), *cut = NULL;
	struct ibb_error err = {0};
	struct extents e = {0};
	struct vhdx_opened o;
	uint8_t *b = malloc(MIB + 1536);

	(void)state;
	assert_non_null(b);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	give_parent(&o, small);
	assert_ok(ibb_disk_pread(small, b, MIB + 1536, 0, &err), err);
	assert_ok(ibb_disk_pwrite(model, b, MIB + 1536, 0, &err), err);
	assert_disk_is(o.d, model);
	assert_random_reads(o.d, model, 50, &seed);
	assert_ok(ibb_disk_extents(o.d, 0, 4 * MIB, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 2);
	/* what the parent has goes up to its end */
	assert_extent(&e, 1, MIB + 1536, 3 * MIB - 1536, false);
	give_parent(&o, big); /* takes the place of the other */
	assert_ok(ibb_disk_slice_new(big, 0, 4 * MIB, &cut, &err), err);
	assert_disk_is(o.d, cut);
	vhdx_close(&o);
	ibb_disk_unref(cut);
	ibb_disk_unref(small);
	ibb_disk_unref(big);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
	free(b);
}

/* Runs of a partially present block follow the bitmap, and the parent's holes are the child's. */
static void test_extents(void **state)
{
	struct mkvhdx m =
		vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 3 * MIB, .differencing = true});
	struct ibb_disk *parent = vhdx_model(3 * MIB), *model = vhdx_model(3 * MIB);
	struct ibb_error err = {0};
	struct extents e = {0};
	struct vhdx_opened o;
	uint64_t seed = test_seed();

	(void)state;
	vhdx_scribble(&m, model, MIB + 65536, 1024, &seed);
	vhdx_scribble(&m, model, MIB + 67072, 512, &seed);
	assert_ok(ibb_disk_pwrite(parent, "p", 1, 2 * MIB, &err), err);
	assert_ok(ibb_disk_pwrite(model, "p", 1, 2 * MIB, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	give_parent(&o, parent);
	assert_ok(ibb_disk_extents(o.d, 0, 3 * MIB, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 0, 3 * MIB);
	assert_int_equal(e.n, 7);
	assert_extent(&e, 1, MIB + 65536, 1024, true);
	assert_extent(&e, 2, MIB + 66560, 512, false);
	assert_extent(&e, 3, MIB + 67072, 512, true);
	assert_extent(&e, 5, 2 * MIB, 65536, true);
	assert_disk_is(o.d, model);
	vhdx_close(&o);
	ibb_disk_unref(parent);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* Three deep, writes of any number of sectors anywhere, chunk borders among them. */
static void chain(uint32_t sector, uint32_t block, uint64_t size, unsigned writes)
{
	const struct mkvhdx_opts base = {
		.disk_bytes = size, .logical_bytes = sector, .block_bytes = block};
	struct mkvhdx_opts child = base;
	struct ibb_disk *model = vhdx_model(size);
	struct vhdx_opened o[3];
	struct mkvhdx m[3];
	struct ibb_error err = {0};
	uint64_t seed = test_seed() + sector, border;

	child.differencing = true;
	for (unsigned i = 0; i < 3; i++) {
		m[i] = vhdx_make(i ? &child : &base);
		border = (uint64_t)m[i].chunk_ratio * block;
		border = border < size ? border : block;
		for (unsigned k = 0; k < writes; k++) {
			uint64_t n = 1 + test_rand(&seed) % (k % 8 ? 40 : 3000);
			/* most of them close to each other, a few at the borders */
			uint64_t at = k % 5 ? test_rand(&seed) % (16 * MIB)
					    : border * (1 + test_rand(&seed) % (size / border)) -
						      n / 2 * sector;

			at = at / sector * sector % size;
			n = n * sector < size - at ? n : (size - at) / sector;
			vhdx_scribble(&m[i], model, at, (size_t)(n * sector), &seed);
			if (k % 16 == 15 && i)
				assert_ok(mkvhdx_state(&m[i], (at + 16 * MIB) / block % 8,
						       MKVHDX_PARTIAL, &err),
					  err);
		}
		assert_ok(vhdx_open(m[i].file, &o[i], &err), err);
		if (i)
			give_parent(&o[i], o[i - 1].d);
		assert_disk_is(o[i].d, model);
		assert_random_reads(o[i].d, model, 100, &seed);
	}
	for (unsigned i = 0; i < 3; i++) {
		vhdx_close(&o[i]); /* any order: the child holds its parent */
		mkvhdx_clear(&m[i]);
	}
	ibb_disk_unref(model);
}

static void test_chain(void **state)
{
	(void)state;
	chain(512, MIB, 24 * MIB, 60);
	chain(512, 32 * MIB, 9 * GIB, 40);
	chain(4096, 2 * MIB, 33 * GIB, 40);
}

/* The disk of a checkpoint as Hyper-V made it; its parent is not at hand. */
static void test_real_link(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL;
	struct vhdx_opened o;
	struct ibb_file_id id;
	char text[IBB_GUID_STR_SIZE];

	(void)state;
	assert_ok(ibb_disk_file_open(unpack_vhd("differencing.avhdx"), &id, &file, &err), err);
	assert_ok(vhdx_open(file, &o, &err), err);
	assert_int_equal(o.info.disk_bytes, 8 * GIB);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_int_equal(o.info.allocated_blocks, 32);
	assert_int_equal(o.info.physical_sector_bytes, 4096);
	assert_true(o.link.differencing);
	ibb_guid_format(&o.link.id, text);
	assert_string_equal(text, "{ff34003b-11ed-4cf8-a166-b2be05e20b80}");
	assert_false(o.link.has_id2); /* it is zeros */
	assert_int_equal(o.link.n, 3);
	assert_string_equal(o.link.locators[0].path,
			    ".\\Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx");
	assert_string_equal(o.link.locators[2].path,
			    "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual hard disks\\Generation "
			    "1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx");
	vhdx_close(&o);
	ibb_disk_unref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_path_is_plain),
		cmocka_unit_test(test_without_parent),
		cmocka_unit_test(test_bitmap_patterns),
		cmocka_unit_test(test_no_bitmap_block),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_parent_size),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_real_link),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
