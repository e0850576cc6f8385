/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libvhdi beside our readers: it agrees on what is sound, a planted contradiction is found, and
 * where it is known to be wrong it is still wrong and we are right. Should a later libvhdi be
 * mended, the last kind of test says so: then its exception in second_opinion.c can go.
 */
#include "chaintest.h"

#include <libvhdi.h>

#include "base/le.h"

#define KNOWN_VERSION "20210425"

/* Does libvhdi, asked directly, read [off, off+n) of the chain otherwise than `want`, or not? */
static bool libvhdi_differs(const struct ibb_chain *c, uint64_t off, size_t n, const uint8_t *want)
{
	libvhdi_file_t *f[8] = {NULL};
	uint8_t *b = calloc(1, n);
	bool same;

	assert_non_null(b);
	assert_true(c->n <= IBB_ARRAY_SIZE(f));
	for (size_t i = 0; i < c->n; i++) {
		assert_int_equal(libvhdi_file_initialize(&f[i], NULL), 1);
		assert_int_equal(libvhdi_file_open(f[i], c->links[i].path, LIBVHDI_OPEN_READ, NULL),
				 1);
	}
	for (size_t i = 0; i + 1 < c->n; i++)
		assert_int_equal(libvhdi_file_set_parent_file(f[i], f[i + 1], NULL), 1);
	same = libvhdi_file_read_buffer_at_offset(f[0], b, n, (off64_t)off, NULL) == (ssize_t)n &&
	       memcmp(b, want, n) == 0;
	for (size_t i = 0; i < c->n; i++)
		libvhdi_file_free(&f[i], NULL);
	free(b);
	return !same;
}

/*
 * The disk at `path` reads as `f`, libvhdi is wrong about [off, off+n), and its opinion is asked
 * all the same, without that.
 */
static void known_wrong(const char *path, const struct flat *f, uint64_t off, size_t n,
			uint64_t at_least)
{
	struct ibb_chain c = open_chain(path);
	struct ibb_error err = {0};
	uint8_t *ours = malloc(n);
	uint64_t asked = 0;

	assert_non_null(ours);
	assert_ok(ibb_disk_pread(c.disk, ours, n, off, &err), err);
	assert_true(memcmp(ours, f->bytes + off, n) == 0);
	free(ours);
	if (!libvhdi_differs(&c, off, n, f->bytes + off)) {
		print_message("libvhdi %s is mended: drop its exception\n", libvhdi_get_version());
		assert_string_not_equal(libvhdi_get_version(), KNOWN_VERSION);
	}
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= at_least);
	ibb_chain_clear(&c);
}

/* ---- a planted contradiction is found ---- */

/* A VHD and its parent, and a VHDX and its parent, with 1 MiB of data at 2 MiB. */
static struct ibb_chain vhd_pair(struct flat *f)
{
	const struct mkvhd_run one = {4096, 2048}, two = {4200, 8};
	uint64_t seed = 5;

	fresh_dir("p");
	scribble(f, &seed, 512, &one, 1);
	save_vhd((struct mkvhd){.id = an_id(1), .whole_bitmaps = true}, f, &one, 1,
		 in_dir("p/base.vhd"));
	scribble(f, &seed, 512, &two, 1);
	save_vhd((struct mkvhd){.id = an_id(2),
				.differencing = true,
				.parent_id = an_id(1),
				.parent_name = "C:\\base.vhd"},
		 f, &two, 1, in_dir("p/child.vhd"));
	return open_chain(in_dir("p/child.vhd"));
}

static struct ibb_chain vhdx_single(struct flat *f)
{
	const struct mkvhd_run one = {4096, 2048};
	uint64_t seed = 6;

	fresh_dir("p");
	scribble(f, &seed, 512, &one, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = an_id(1)}, f, &one, 1,
		  in_dir("p/one.vhdx"));
	return open_chain(in_dir("p/one.vhdx"));
}

static void contradicts(const struct ibb_chain *c, const char *text)
{
	struct ibb_error err = {0};
	uint64_t asked = 99;

	assert_fails(second_opinion(c, &asked, &err), IBB_E_CORRUPT, err, text);
	assert_int_equal(asked, 99);
	assert_string_equal(err.source, "libvhdi");
	assert_non_null(strstr(err.hint, "--second-opinion=off"));
}

static void test_agrees(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_chain c = vhd_pair(&f);
	struct ibb_error err = {0};
	uint64_t asked = 0, again = 0;
	const char *why = "x";

	(void)state;
	assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_CONTENT);
	assert_null(why);
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 20);
	assert_ok(second_opinion(&c, &again, &err), err);
	assert_int_equal(again, asked); /* the same pieces each time */
	ibb_chain_clear(&c);
	c = vhdx_single(&f);
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 20);
	ibb_chain_clear(&c);
	assert_true(strlen(ibb_chain_second_version()) == 8);
	free(f.bytes);
}

/* One byte of data, one of a hole, the first and the last of the disk, one at a border. */
static void test_other_content(void **state)
{
	static const uint64_t at[] = {2 * MIB + 4096 * 50, 0, 8 * MIB - 1, 2 * MIB, 2 * MIB - 1};
	struct flat f = flat_new(8 * MIB);
	char text[100];

	(void)state;
	for (size_t i = 0; i < 2 * IBB_ARRAY_SIZE(at); i++) {
		const uint64_t off = at[i / 2];
		struct ibb_chain c = i % 2 ? vhd_pair(&f) : vhdx_single(&f);
		struct ibb_disk *true_disk = c.disk, *changed = NULL;
		struct ibb_error err = {0};
		uint8_t b;

		assert_ok(ibb_disk_overlay_new(true_disk, MIB, &changed, &err), err);
		assert_ok(ibb_disk_pread(changed, &b, 1, off, &err), err);
		b ^= 0x10;
		assert_ok(ibb_disk_pwrite(changed, &b, 1, off, &err), err);
		c.disk = changed;
		snprintf(text, sizeof(text),
			 "libvhdi says the byte at offset %llu of the disk is 0x%02x, ibbake says "
			 "0x%02x",
			 (unsigned long long)off, b ^ 0x10, b);
		contradicts(&c, text);
		c.disk = true_disk;
		ibb_disk_unref(changed);
		ibb_chain_clear(&c);
	}
	free(f.bytes);
}

static void test_other_properties(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_chain c = vhd_pair(&f);
	struct ibb_link *l = &c.links[0], *base = &c.links[1];

	(void)state;
	base->vhd.footer.unique_id.b[15]++;
	contradicts(&c, "p/base.vhd: second opinion: libvhdi says the identifier is "
			"{13121110-1514-1716-1819-1a1b1c1d1e1f}, ibbake says "
			"{13121110-1514-1716-1819-1a1b1c1d1e20}");
	base->vhd.footer.unique_id.b[15]--;
	l->parent.id.b[0]++;
	contradicts(&c, "p/child.vhd: second opinion: libvhdi says the parent's identifier is");
	l->parent.id.b[0]--;
	l->parent.locators[0].path[0] = 'D';
	contradicts(&c, "libvhdi says the parent's name is C:\\base.vhd, ibbake says D:\\base.vhd");
	l->parent.locators[0].path[0] = 'C';
	base->vhd.footer.original_size_bytes += 512;
	contradicts(&c, "says the size of the disk in bytes is 8388608, ibbake says 8389120");
	base->vhd.footer.original_size_bytes -= 512;
	base->disk->sector_bytes = 4096;
	contradicts(&c, "says the sector size is 512, ibbake says 4096");
	base->disk->sector_bytes = 512;
	base->kind = IBB_CONTAINER_VHD_FIXED;
	contradicts(&c, "says the disk type is 3, ibbake says 2");
	base->kind = IBB_CONTAINER_VHDX;
	contradicts(&c, "says the file type is 1, ibbake says 2");
	base->kind = IBB_CONTAINER_VHD_DYNAMIC;
	ibb_chain_clear(&c);
	c = vhdx_single(&f);
	c.links[0].vhdx.data_write_id.b[0]++;
	contradicts(&c, "says the identifier is {13121110-");
	c.links[0].vhdx.data_write_id.b[0]--;
	c.links[0].vhdx.fixed = true;
	contradicts(&c, "says the disk type is 3, ibbake says 2");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* ---- what libvhdi cannot open or read is no contradiction ---- */

/* It could not, says `text`, and went as far as `scope`. Returns the pieces that were compared. */
static uint64_t could_not(const struct ibb_chain *c, enum ibb_opinion scope, const char *text)
{
	struct ibb_opinion_result said = {0};
	struct ibb_error err = {0};
	const char *why = "x";

	assert_int_equal(ibb_chain_opinion(c, &why), IBB_OPINION_CONTENT);
	assert_ok(ibb_chain_second_opinion(c, &said, &err), err);
	if (said.scope != scope || !strstr(said.why, text))
		fail_msg("scope %d: %s; not %d: %s", said.scope, said.why, scope, text);
	assert_null(strchr(said.why, '\n'));
	return said.blocks;
}

static void test_cannot_open(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_chain c = vhd_pair(&f);

	(void)state;
	assert_int_equal(patch_file(in_dir("p/base.vhd"), 512, "C", 1), 0);
	assert_int_equal(could_not(&c, IBB_OPINION_NONE,
				   "libvhdi cannot open the container of base.vhd: libvhdi_"),
			 0);
	/* what else it can read has to agree all the same */
	c.links[0].vhd.footer.unique_id.b[15]++;
	contradicts(&c, "p/child.vhd: second opinion: libvhdi says the identifier is");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* The parent's identifier changes between our look and libvhdi's: it does not take the parent. */
static void test_cannot_stack(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_chain c = vhd_pair(&f);
	const struct mkvhd_run one = {4096, 2048};

	(void)state;
	save_vhd((struct mkvhd){.id = an_id(9), .whole_bitmaps = true}, &f, &one, 1,
		 in_dir("p/other.vhd"));
	ibb_link_clear(&c.links[1]);
	struct ibb_chain other = open_chain(in_dir("p/other.vhd"));
	c.links[1] = other.links[0];
	other.links[0] = (struct ibb_link){0};
	assert_int_equal(could_not(&c, IBB_OPINION_NONE, "libvhdi cannot use the parent of child"),
			 0);
	ibb_chain_clear(&other);
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* "VHD 1.1", as far as it is a VHD: the minor version changes nothing that we read. */
static void test_cannot_minor_version(void **state)
{
	const struct mkvhd_run one = {4096, 2048};
	struct flat f = flat_new(8 * MIB);
	uint8_t footer[512];
	uint64_t seed = 5;
	struct ibb_chain c;
	struct stat st;
	FILE *file;

	(void)state;
	fresh_dir("p");
	scribble(&f, &seed, 512, &one, 1);
	save_vhd((struct mkvhd){.id = an_id(1), .whole_bitmaps = true}, &f, &one, 1,
		 in_dir("p/d.vhd"));
	assert_int_equal(stat(in_dir("p/d.vhd"), &st), 0);
	file = fopen(in_dir("p/d.vhd"), "rb");
	assert_non_null(file);
	assert_int_equal(fread(footer, 1, 512, file), 512);
	assert_int_equal(fclose(file), 0);
	footer[15] = 1;
	mkvhd_checksum(footer, 512, 64);
	assert_int_equal(patch_file(in_dir("p/d.vhd"), 0, footer, 512), 0);
	assert_int_equal(patch_file(in_dir("p/d.vhd"), (uint64_t)st.st_size - 512, footer, 512), 0);
	c = open_chain(in_dir("p/d.vhd"));
	assert_disk_is(c.disk, &f, &seed);
	could_not(&c, IBB_OPINION_NONE, "libvhdi cannot open the container of d.vhd");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* Blocks smaller than a bitmap's unit of libvhdi. */
static void test_cannot_small_blocks(void **state)
{
	const struct mkvhd_run one = {4096, 2048};
	struct flat f = flat_new(8 * MIB);
	uint64_t seed = 5;

	(void)state;
	scribble(&f, &seed, 512, &one, 1);
	for (uint32_t block = 512; block <= 1024; block *= 2) {
		struct ibb_chain c;

		fresh_dir("p");
		save_vhd(
			(struct mkvhd){.id = an_id(1), .block_bytes = block, .whole_bitmaps = true},
			&f, &one, 1, in_dir("p/d.vhd"));
		c = open_chain(in_dir("p/d.vhd"));
		assert_disk_is(c.disk, &f, &seed);
		could_not(&c, IBB_OPINION_IDENTIFIERS, "libvhdi cannot read offset ");
		ibb_chain_clear(&c);
	}
	free(f.bytes);
}

/* A VHDX of one piece of data, to be made odd. */
static void begin_odd(struct mkvhdx *m, struct flat *f, uint64_t *seed)
{
	const struct mkvhdx_opts o = {.disk_bytes = f->size, .data_write_id = an_id(1)};
	struct ibb_error err = {0};

	fresh_dir("p");
	random_bytes(seed, f->bytes, 65536);
	assert_ok(mkvhdx_begin(m, &o, &err), err);
	assert_ok(mkvhdx_write(m, f->bytes, 65536, 0, &err), err);
}

/* One more entry of the metadata table. */
static void add_item(struct mkvhdx *m, const struct ibb_guid *id, uint32_t off, uint32_t len,
		     uint32_t flags)
{
	struct ibb_error err = {0};
	uint8_t b[2], e[32] = {0};

	assert_ok(ibb_disk_pread(m->file, b, 2, m->metadata_at + 10, &err), err);
	memcpy(e, id->b, 16);
	ibb_put_le32(e + 16, off);
	ibb_put_le32(e + 20, len);
	ibb_put_le32(e + 24, flags);
	assert_ok(mkvhdx_put(m, e, 32, m->metadata_at + 32 + ibb_get_le16(b) * 32u, &err), err);
	b[0]++;
	assert_ok(mkvhdx_put(m, b, 2, m->metadata_at + 10, &err), err);
}

/*
 * An item of a user's without content: [MS-VHDX] 2.6.1.2 allows it. libvhdi fails and loses memory
 * (24 bytes), so that it is not even tried here.
 */
static void test_cannot_user_item(void **state)
{
	const struct ibb_guid user = an_id(14);
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 5, asked = 99;
	const char *why = NULL;
	struct ibb_chain c;
	struct mkvhdx m;

	(void)state;
	begin_odd(&m, &f, &seed);
	add_item(&m, &user, 0, 0, 1);
	assert_ok(mkvhdx_save(&m, in_dir("p/d.vhdx"), &err), err);
	mkvhdx_clear(&m);
	c = open_chain(in_dir("p/d.vhdx"));
	assert_disk_is(c.disk, &f, &seed);
	assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_NONE);
	assert_string_equal(why, "libvhdi cannot read a VHDX with an empty metadata item");
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_int_equal(asked, 0);
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* A parent locator of a disk that has no parent (any more): for both readers it has none. */
static void test_stale_locator(void **state)
{
	struct ibb_guid base = an_id(7);
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 5, asked = 0;
	struct ibb_chain c;
	uint8_t entry[32];
	struct mkvhdx m;

	(void)state;
	fresh_dir("p");
	assert_ok(mkvhdx_begin(&m,
			       &(struct mkvhdx_opts){.disk_bytes = f.size,
						     .data_write_id = an_id(2),
						     .differencing = true,
						     .linkage = id_text(&base),
						     .relative = "base.vhdx"},
			       &err),
		  err);
	random_bytes(&seed, f.bytes, MIB);
	assert_ok(mkvhdx_write(&m, f.bytes, MIB, 0, &err), err);
	assert_ok(mkvhdx_state(&m, 0, MKVHDX_FULL, &err), err);
	assert_ok(mkvhdx_put64(&m, 0, mkvhdx_bitmap_entry_at(&m, 0), &err), err);
	assert_ok(ibb_disk_pread(m.file, entry, 32, m.metadata_at + 32, &err), err);
	assert_ok(mkvhdx_put32(&m, 0, m.metadata_at + ibb_get_le32(entry + 16) + 4, &err), err);
	assert_ok(mkvhdx_save(&m, in_dir("p/d.vhdx"), &err), err);
	mkvhdx_clear(&m);
	c = open_chain(in_dir("p/d.vhdx"));
	assert_false(c.links[0].parent.differencing);
	assert_disk_is(c.disk, &f, &seed);
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 10);
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* [MS-VHDX] 2.6.2.1: LeaveBlockAllocated is ignored of a disk with a parent. */
static void test_leave_blocks_of_child(void **state)
{
	struct ibb_guid base = an_id(1);
	const struct mkvhd_run all = {0, 16384};
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 5;
	struct ibb_chain c;
	uint8_t entry[32];
	struct mkvhdx m;

	(void)state;
	fresh_dir("p");
	scribble(&f, &seed, 512, &all, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = base}, &f, &all, 1, in_dir("p/base.vhdx"));
	assert_ok(mkvhdx_begin(&m,
			       &(struct mkvhdx_opts){.disk_bytes = f.size,
						     .data_write_id = an_id(2),
						     .differencing = true,
						     .linkage = id_text(&base),
						     .relative = "base.vhdx"},
			       &err),
		  err);
	random_bytes(&seed, f.bytes, 8192);
	assert_ok(mkvhdx_write(&m, f.bytes, 8192, 0, &err), err);
	assert_ok(ibb_disk_pread(m.file, entry, 32, m.metadata_at + 32, &err), err);
	assert_ok(mkvhdx_put32(&m, 3, m.metadata_at + ibb_get_le32(entry + 16) + 4, &err), err);
	assert_ok(mkvhdx_save(&m, in_dir("p/child.vhdx"), &err), err);
	mkvhdx_clear(&m);
	c = open_chain(in_dir("p/child.vhdx"));
	assert_true(c.links[0].vhdx.fixed && c.links[0].parent.differencing);
	assert_disk_is(c.disk, &f, &seed);
	could_not(&c, IBB_OPINION_NONE, "libvhdi cannot open the container of child.vhdx");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* One of two copies is torn: ours, and libvhdi is not asked. */
static void test_damaged_copies(void **state)
{
	static const uint32_t at[] = {MKVHDX_HEADER1, MKVHDX_HEADER2, MKVHDX_REGION1,
				      MKVHDX_REGION2};
	struct flat f = flat_new(8 * MIB);
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(at); i++) {
		struct ibb_chain c = vhdx_single(&f);
		struct ibb_opinion_result said = {.blocks = 7};
		struct ibb_error err = {0};
		libvhdi_file_t *file = NULL;
		const char *why = NULL;

		assert_int_equal(c.links[0].vhdx.bad_header_at, 0);
		assert_int_equal(c.links[0].vhdx.bad_region_at, 0);
		ibb_chain_clear(&c);
		assert_int_equal(patch_file(in_dir("p/one.vhdx"), at[i], "torn", 4), 0);
		c = open_chain(in_dir("p/one.vhdx"));
		assert_disk_is(c.disk, &f, &seed);
		assert_int_equal(c.links[0].vhdx.bad_header_at, i < 2 ? at[i] : 0);
		assert_int_equal(c.links[0].vhdx.bad_region_at, i < 2 ? 0 : at[i]);
		assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_NONE);
		assert_string_equal(
			why, "libvhdi needs both headers and both region tables of a VHDX to be "
			     "sound");
		assert_ok(ibb_chain_second_opinion(&c, &said, &err), err);
		assert_int_equal(said.scope, IBB_OPINION_NONE);
		assert_string_equal(said.why, why);
		assert_int_equal(said.blocks, 0);
		assert_int_equal(libvhdi_file_initialize(&file, NULL), 1);
		if (libvhdi_file_open(file, in_dir("p/one.vhdx"), LIBVHDI_OPEN_READ, NULL) == 1)
			assert_string_not_equal(libvhdi_get_version(), KNOWN_VERSION);
		libvhdi_file_free(&file, NULL);
		ibb_chain_clear(&c);
	}
	free(f.bytes);
}

/* ---- where libvhdi is known to be wrong ---- */

/* A sector behind a child's one, in the same group of eight. */
static void test_wrong_bits(void **state)
{
	const struct mkvhd_run all = {0, 16384}, some = {16, 3};
	struct flat f = flat_new(8 * MIB);
	uint64_t seed = 1;

	(void)state;
	fresh_dir("w");
	scribble(&f, &seed, 512, &all, 1);
	save_vhd((struct mkvhd){.id = an_id(1), .whole_bitmaps = true}, &f, &all, 1,
		 in_dir("w/base.vhd"));
	scribble(&f, &seed, 512, &some, 1);
	save_vhd((struct mkvhd){.id = an_id(2),
				.differencing = true,
				.parent_id = an_id(1),
				.parent_name = "base.vhd"},
		 &f, &some, 1, in_dir("w/child.vhd"));
	known_wrong(in_dir("w/child.vhd"), &f, 19 * 512, 512, 20);
	free(f.bytes);
}

/* A read from a block that the child does not have into one that begins with the parent's sectors.
 */
static void test_wrong_across_blocks(void **state)
{
	const struct mkvhd_run all = {0, 16384}, some[] = {{0, 8}, {1032, 100}};
	struct flat f = flat_new(8 * MIB);
	uint64_t seed = 2;

	(void)state;
	fresh_dir("w");
	scribble(&f, &seed, 512, &all, 1);
	save_vhd((struct mkvhd){.id = an_id(1), .whole_bitmaps = true, .block_bytes = 4 * MIB}, &f,
		 &all, 1, in_dir("w/base.vhd"));
	scribble(&f, &seed, 512, some, 2);
	save_vhd((struct mkvhd){.id = an_id(2),
				.block_bytes = 512 * KIB,
				.differencing = true,
				.parent_id = an_id(1),
				.parent_name = "base.vhd"},
		 &f, some, 2, in_dir("w/child.vhd"));
	known_wrong(in_dir("w/child.vhd"), &f, 512 * KIB - 4096, 16384, 20);
	free(f.bytes);
}

/* Behind the first chunk of a fixed VHDX. The window of the disk that is looked at is its `f`. */
static void test_wrong_fixed_vhdx(void **state)
{
	const uint64_t size = 5ull << 30, at = (4ull << 30) + 64 * MIB;
	const struct mkvhdx_opts o = {.disk_bytes = size, .block_bytes = 32 * MIB, .fixed = true};
	struct ibb_error err = {0};
	uint8_t data[4096], ours[4096];
	uint64_t seed = 3, asked = 0;
	struct ibb_chain c;
	struct mkvhdx m;

	(void)state;
	fresh_dir("w");
	random_bytes(&seed, data, sizeof(data));
	assert_ok(mkvhdx_begin(&m, &o, &err), err);
	assert_ok(mkvhdx_write(&m, data, sizeof(data), at, &err), err);
	assert_ok(mkvhdx_write(&m, data, sizeof(data), 96 * MIB, &err), err);
	assert_ok(mkvhdx_save(&m, in_dir("w/fixed.vhdx"), &err), err);
	mkvhdx_clear(&m);
	c = open_chain(in_dir("w/fixed.vhdx"));
	assert_ok(ibb_disk_pread(c.disk, ours, sizeof(ours), at, &err), err);
	assert_memory_equal(ours, data, sizeof(data));
	assert_false(libvhdi_differs(&c, 96 * MIB, sizeof(data), data));
	if (!libvhdi_differs(&c, at, sizeof(data), data))
		assert_string_not_equal(libvhdi_get_version(), KNOWN_VERSION);
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 5);
	ibb_chain_clear(&c);
}

/* A differencing VHDX over a base full of data. */
static void begin_child(struct mkvhdx *m, struct flat *f, uint64_t *seed)
{
	const struct mkvhd_run all = {0, (uint64_t)(f->size / 512)};
	struct ibb_guid base = an_id(1);
	const struct mkvhdx_opts o = {.disk_bytes = f->size,
				      .data_write_id = an_id(2),
				      .differencing = true,
				      .linkage = id_text(&base),
				      .relative = "base.vhdx"};
	struct ibb_error err = {0};

	fresh_dir("w");
	scribble(f, seed, 512, &all, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = base}, f, &all, 1, in_dir("w/base.vhdx"));
	assert_ok(mkvhdx_begin(m, &o, &err), err);
}

static void save_child(struct mkvhdx *m)
{
	struct ibb_error err = {0};

	assert_ok(mkvhdx_save(m, in_dir("w/child.vhdx"), &err), err);
	mkvhdx_clear(m);
}

static void child_write(struct mkvhdx *m, struct flat *f, uint64_t *seed, uint64_t off, size_t n)
{
	struct ibb_error err = {0};

	random_bytes(seed, f->bytes + off, n);
	assert_ok(mkvhdx_write(m, f->bytes + off, n, off, &err), err);
}

/* No bitmap block: what stands at offset 0 of the file is taken for one. */
static void test_wrong_without_bitmap(void **state)
{
	struct flat f = flat_new(8 * MIB);
	uint64_t seed = 4;
	struct mkvhdx m;

	(void)state;
	begin_child(&m, &f, &seed);
	save_child(&m);
	known_wrong(in_dir("w/child.vhdx"), &f, 0, 8 * MIB, 0);
	free(f.bytes);
}

/* A block of zeros hides the parent's. */
static void test_wrong_zero_block(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 5;
	struct mkvhdx m;

	(void)state;
	begin_child(&m, &f, &seed);
	child_write(&m, &f, &seed, 0, 8192); /* brings the bitmap block */
	assert_ok(mkvhdx_state(&m, 3, MKVHDX_ZERO, &err), err);
	memset(f.bytes + 3 * MIB, 0, MIB);
	save_child(&m);
	known_wrong(in_dir("w/child.vhdx"), &f, 3 * MIB + 4096, 4096, 20);
	free(f.bytes);
}

/* Behind the end of a smaller parent. */
static void test_wrong_behind_parent(void **state)
{
	struct flat f = flat_new(8 * MIB), small = {f.bytes, 3 * MIB};
	const struct mkvhd_run one = {0, 6144}, two[] = {{10, 1}, {16000, 8}};
	struct ibb_guid base = an_id(1);
	uint64_t seed = 9;

	(void)state;
	fresh_dir("w");
	scribble(&small, &seed, 512, &one, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = base}, &small, &one, 1,
		  in_dir("w/base.vhdx"));
	scribble(&f, &seed, 512, two, 2);
	save_vhdx((struct mkvhdx_opts){.data_write_id = an_id(2),
				       .differencing = true,
				       .linkage = id_text(&base),
				       .relative = "base.vhdx"},
		  &f, two, 2, in_dir("w/child.vhdx"));
	known_wrong(in_dir("w/child.vhdx"), &f, 6 * MIB, 4096, 10);
	free(f.bytes);
}

/* A fixed VHD of the flat disk that once had another size. */
static void save_fixed(const struct flat *f, uint64_t original, const char *path)
{
	const struct ibb_guid id = an_id(1);
	uint8_t *b = malloc(f->size + IBB_VHD_FOOTER_BYTES);
	struct ibb_vhd_footer footer;

	assert_non_null(b);
	memcpy(b, f->bytes, f->size);
	ibb_vhd_footer_init(&footer, f->size, 1600000000, &id);
	footer.original_size_bytes = original;
	ibb_vhd_footer_encode(&footer, b + f->size);
	make_file(path, b, f->size + IBB_VHD_FOOTER_BYTES);
	free(b);
}

/* The opinion of a resized disk agrees, as far as libvhdi can see it; `seen` bytes of it. */
static void resized(const char *path, const struct flat *f, uint64_t seen)
{
	struct ibb_chain c = open_chain(path);
	struct ibb_disk *true_disk = c.disk, *changed = NULL;
	struct ibb_error err = {0};
	uint64_t seed = 1, asked = 0;
	char text[100];

	assert_disk_is(c.disk, f, &seed);
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 10);
	/* a byte that differs is found: what both see is compared */
	assert_ok(ibb_disk_overlay_new(true_disk, 16 * MIB, &changed, &err), err);
	for (uint64_t off = 0; off < seen; off += 4096) {
		const uint8_t b = f->bytes[off] ^ 1;

		assert_ok(ibb_disk_pwrite(changed, &b, 1, off, &err), err);
	}
	c.disk = changed;
	snprintf(text, sizeof(text), "ibbake says 0x%02x", f->bytes[0] ^ 1);
	assert_fails(second_opinion(&c, &asked, &err), IBB_E_CORRUPT, err, text);
	c.disk = true_disk;
	ibb_disk_unref(changed);
	c.links[0].vhd.footer.original_size_bytes += 512;
	assert_fails(second_opinion(&c, &asked, &err), IBB_E_CORRUPT, err,
		     "libvhdi says the size of the disk in bytes is ");
	ibb_chain_clear(&c);
}

/* VHD of each kind, made larger or smaller: libvhdi knows the size they once had. */
static void test_resized_vhd(void **state)
{
	static const uint64_t originals[] = {3 * MIB + 4096, 13 * MIB};
	const struct mkvhd_run all = {0, 16384}, some[] = {{16, 8}, {8192, 100}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(originals); i++) {
		const uint64_t was = originals[i], seen = was < 8 * MIB ? was : 8 * MIB;
		struct flat f = flat_new(8 * MIB);
		uint64_t seed = 11;

		fresh_dir("w");
		scribble(&f, &seed, 512, &all, 1);
		save_fixed(&f, was, in_dir("w/fixed.vhd"));
		resized(in_dir("w/fixed.vhd"), &f, seen);
		save_vhd((struct mkvhd){.id = an_id(2),
					.original_bytes = was,
					.whole_bitmaps = true},
			 &f, &all, 1, in_dir("w/dynamic.vhd"));
		resized(in_dir("w/dynamic.vhd"), &f, seen);
		scribble(&f, &seed, 512, some, 2);
		save_vhd((struct mkvhd){.id = an_id(3),
					.original_bytes = was,
					.differencing = true,
					.parent_id = an_id(2),
					.parent_name = "dynamic.vhd"},
			 &f, some, 2, in_dir("w/child.vhd"));
		resized(in_dir("w/child.vhd"), &f, seen);
		/* only the parent was resized */
		save_vhd((struct mkvhd){.id = an_id(3),
					.differencing = true,
					.parent_id = an_id(2),
					.parent_name = "dynamic.vhd"},
			 &f, some, 2, in_dir("w/child.vhd"));
		resized(in_dir("w/child.vhd"), &f, seen);
		free(f.bytes);
	}
}

/* Right where it might be wrong: bits count only in partially present blocks. */
static void test_right_full_block(void **state)
{
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 6, asked = 0;
	struct ibb_chain c;
	struct mkvhdx m;

	(void)state;
	begin_child(&m, &f, &seed);
	child_write(&m, &f, &seed, 0, 8192 - 512);
	child_write(&m, &f, &seed, 2 * MIB, 4096);
	assert_ok(mkvhdx_state(&m, 2, MKVHDX_FULL, &err), err);
	memset(f.bytes + 2 * MIB + 4096, 0, MIB - 4096);
	save_child(&m);
	c = open_chain(in_dir("w/child.vhdx"));
	assert_disk_is(c.disk, &f, &seed);
	assert_false(libvhdi_differs(&c, 0, 8 * MIB, f.bytes));
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_true(asked >= 20);
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* A log that was not replayed: the old content. */
static void test_wrong_log(void **state)
{
	const struct ibb_guid log = an_id(7);
	struct flat f = flat_new(8 * MIB);
	struct ibb_chain c;
	struct ibb_error err = {0};
	uint64_t seed = 7, place, asked = 99;
	struct mkvhdx_ring ring;
	struct mkvhdx m;
	const char *why = NULL;

	(void)state;
	fresh_dir("w");
	assert_ok(
		mkvhdx_begin(&m,
			     &(struct mkvhdx_opts){.disk_bytes = f.size, .data_write_id = an_id(2)},
			     &err),
		err);
	child_write(&m, &f, &seed, 0, 8192);
	assert_ok(mkvhdx_place(&m, 0, &place, &err), err);
	mkvhdx_ring_init(&ring, &m, &log, 0, 1);
	random_bytes(&seed, f.bytes, 4096);
	assert_ok(mkvhdx_ring_add(&ring, &(struct mkvhdx_change){place, f.bytes, 0}, 1, NULL, &err),
		  err);
	assert_ok(mkvhdx_set_log(&m, &log, &err), err);
	save_child(&m);
	known_wrong(in_dir("w/child.vhdx"), &f, 0, 4096, 0);
	c = open_chain(in_dir("w/child.vhdx"));
	assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_IDENTIFIERS);
	assert_string_equal(why, "libvhdi does not replay the log of a VHDX");
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_int_equal(asked, 0);
	/* what no log can change is asked */
	c.links[0].vhdx.data_write_id.b[3]++;
	contradicts(&c, "says the identifier is");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* A parent that the second linkage names. */
static void test_linkage2(void **state)
{
	struct ibb_guid base = an_id(1), old = an_id(9);
	const struct mkvhd_run all = {0, 16384}, some = {16, 8};
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 7, asked = 99;
	struct ibb_chain c;
	const char *why = NULL;

	(void)state;
	fresh_dir("w");
	scribble(&f, &seed, 512, &all, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = base}, &f, &all, 1, in_dir("w/base.vhdx"));
	scribble(&f, &seed, 512, &some, 1);
	save_vhdx((struct mkvhdx_opts){.data_write_id = an_id(2),
				       .differencing = true,
				       .linkage = id_text(&old),
				       .linkage2 = id_text(&base),
				       .relative = "base.vhdx"},
		  &f, &some, 1, in_dir("w/child.vhdx"));
	c = open_chain(in_dir("w/child.vhdx"));
	assert_disk_is(c.disk, &f, &seed);
	assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_IDENTIFIERS);
	assert_string_equal(why, "libvhdi does not know parents by parent_linkage2");
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_int_equal(asked, 0);
	c.links[1].vhdx.data_write_id.b[3]++;
	contradicts(&c, "w/base.vhdx: second opinion: libvhdi says the identifier is");
	ibb_chain_clear(&c);
	free(f.bytes);
}

/* The copy of the footer is enough for us. */
static void test_damaged_footer(void **state)
{
	const struct mkvhd_run one = {4096, 2048};
	struct flat f = flat_new(8 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = 8, asked = 99;
	libvhdi_file_t *file = NULL;
	struct ibb_chain c;
	const char *why = NULL;
	struct stat st;

	(void)state;
	fresh_dir("w");
	scribble(&f, &seed, 512, &one, 1);
	save_vhd((struct mkvhd){.id = an_id(1), .whole_bitmaps = true}, &f, &one, 1,
		 in_dir("w/d.vhd"));
	assert_int_equal(stat(in_dir("w/d.vhd"), &st), 0);
	assert_int_equal(patch_file(in_dir("w/d.vhd"), (uint64_t)st.st_size - 512, "xonectix", 8),
			 0);
	c = open_chain(in_dir("w/d.vhd"));
	assert_disk_is(c.disk, &f, &seed);
	assert_int_equal(ibb_chain_opinion(&c, &why), IBB_OPINION_NONE);
	assert_non_null(strstr(why, "last footer is damaged"));
	assert_ok(second_opinion(&c, &asked, &err), err);
	assert_int_equal(asked, 0);
	assert_int_equal(libvhdi_file_initialize(&file, NULL), 1);
	if (libvhdi_file_open(file, in_dir("w/d.vhd"), LIBVHDI_OPEN_READ, NULL) == 1)
		assert_string_not_equal(libvhdi_get_version(), KNOWN_VERSION);
	libvhdi_file_free(&file, NULL);
	ibb_chain_clear(&c);
	free(f.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees),
		cmocka_unit_test(test_other_content),
		cmocka_unit_test(test_other_properties),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_cannot_stack),
		cmocka_unit_test(test_cannot_minor_version),
		cmocka_unit_test(test_cannot_small_blocks),
		cmocka_unit_test(test_cannot_user_item),
		cmocka_unit_test(test_stale_locator),
		cmocka_unit_test(test_leave_blocks_of_child),
		cmocka_unit_test(test_damaged_copies),
		cmocka_unit_test(test_wrong_bits),
		cmocka_unit_test(test_wrong_across_blocks),
		cmocka_unit_test(test_wrong_fixed_vhdx),
		cmocka_unit_test(test_wrong_without_bitmap),
		cmocka_unit_test(test_wrong_zero_block),
		cmocka_unit_test(test_wrong_behind_parent),
		cmocka_unit_test(test_resized_vhd),
		cmocka_unit_test(test_right_full_block),
		cmocka_unit_test(test_wrong_log),
		cmocka_unit_test(test_linkage2),
		cmocka_unit_test(test_damaged_footer),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
