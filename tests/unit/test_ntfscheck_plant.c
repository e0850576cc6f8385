/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors planted one by one in a sound volume: each is found, and named right. */
#include "test_ntfscheck.h"

static uint64_t first_lcn(struct ibb_disk *d, uint64_t no)
{
	return stream_at(d, no, AT_STREAM, "", 0) / 4096;
}

static void bitmap_clear(struct ibb_disk *d)
{
	uint64_t lcn = first_lcn(d, r_big) + 2;

	flip(d, stream_at(d, REC_BITMAP, AT_STREAM, "", lcn / 8), (uint8_t)(1u << lcn % 8));
}

static void bitmap_set(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_BITMAP, AT_STREAM, "", 4000 / 8), 1); /* near the end: free */
}

static void bitmap_tail(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_BITMAP, AT_STREAM, "", 4095 / 8), 0x80);
}

static void mft_bit(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_MFT, AT_BITS, "", r_big / 8), (uint8_t)(1u << r_big % 8));
}

static void mft_bit_extra(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_MFT, AT_BITS, "", 40 / 8), 1);
}

static void mft_bit_tail(struct ibb_disk *d)
{
	struct block b = record(d, REC_MFT);

	/* the stream ends with a multiple of 8 bytes, far behind the last record */
	flip(d, stream_at(d, REC_MFT, AT_BITS, "", ibb_get_le64(attr(&b, AT_BITS) + 0x30) - 1),
	     0x80);
}

static void parent(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	ibb_put_le64(value(&b, AT_NAME), 40 | 1ull << 48);
	save(&b);
}

static void parent_sequence(struct ibb_disk *d)
{
	struct block b = record(d, r_sub);

	value(&b, AT_NAME)[6] ^= 1;
	save(&b);
}

static void parents_in_a_circle(struct ibb_disk *d)
{
	struct block b = record(d, r_dir), sub = record(d, r_sub);

	ibb_put_le64(value(&b, AT_NAME), r_sub | (uint64_t)ibb_get_le16(sub.p + 0x10) << 48);
	save(&b);
}

static void name_in_record(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	value(&b, AT_NAME)[0x42] = 'z';
	save(&b);
}

static void entry_size(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[0x40]++;
	save(&b);
}

static void entry_allocated(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[0x38] += 8;
	save(&b);
}

static void entry_attributes(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[0x48] ^= 1;
	save(&b);
}

static void entry_is_directory(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[0x4b] ^= 0x10;
	save(&b);
}

static void entry_gone(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");
	uint32_t len = ibb_get_le16(e + 8), end = 0x18 + ibb_get_le32(b.p + 0x1c);

	assert_false(e[12] & 1);
	memmove(e, e + len, end - (uint32_t)(e - b.p) - len);
	ibb_put_le32(b.p + 0x1c, end - 0x18 - len);
	save(&b);
}

static void entry_twice(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");
	uint32_t len = ibb_get_le16(e + 8);

	memcpy(e, e + len, len); /* its neighbour, as long, takes its place as well */
	save(&b);
}

static void entry_elsewhere(struct ibb_disk *d)
{
	struct block r = record(d, r_small);
	ENTRY(d, b, e, "file-33");

	ibb_put_le64(e, r_small | (uint64_t)ibb_get_le16(r.p + 0x10) << 48);
	save(&b);
}

static void entry_sequence(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[6]++;
	save(&b);
}

static void entry_parent(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[16]++;
	save(&b);
}

static void entries_swapped(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");
	uint32_t len = ibb_get_le16(e + 8);
	uint8_t t[128];

	assert_true(len <= sizeof(t) && ibb_get_le16(e + len + 8) == len && !(e[len + 12] & 2));
	memcpy(t, e, len);
	memcpy(e, e + len, len);
	memcpy(e + len, t, len);
	save(&b);
}

static void entry_length(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[8] += 4;
	save(&b);
}

static void entry_child(struct ibb_disk *d)
{
	ENTRY(d, b, e, "file-33");

	e[12] |= 1;
	save(&b);
}

static void block_fixup(struct ibb_disk *d)
{
	flip(d, stream_at(d, r_many, AT_INDEX_BLOCKS, "$I30", 1022), 1);
}

static void block_vcn(struct ibb_disk *d)
{
	flip(d, stream_at(d, r_many, AT_INDEX_BLOCKS, "$I30", 0x10), 1);
}

static void block_magic(struct ibb_disk *d)
{
	flip(d, stream_at(d, r_many, AT_INDEX_BLOCKS, "$I30", 0), 1);
}

static void block_bit(struct ibb_disk *d)
{
	struct block b = record(d, r_many);

	value(&b, AT_BITS)[0] ^= 1;
	save(&b);
}

static void block_bit_tail(struct ibb_disk *d)
{
	struct block b = record(d, r_many);

	value(&b, AT_BITS)[7] ^= 0x80;
	save(&b);
}

/* The first entry of the root leads to the block of the second. */
static void block_twice(struct ibb_disk *d)
{
	struct block b = record(d, r_many);
	uint8_t *e = value(&b, AT_INDEX_ROOT) + 16 + 16, *next = e + ibb_get_le16(e + 8);

	assert_true((e[12] & 1) && (next[12] & 1));
	memcpy(next - 8, next + ibb_get_le16(next + 8) - 8, 8);
	save(&b);
}

static void block_outside(struct ibb_disk *d)
{
	struct block b = record(d, r_many);
	uint8_t *e = value(&b, AT_INDEX_ROOT) + 16 + 16;

	ibb_put_le64(e + ibb_get_le16(e + 8) - 8, 1000);
	save(&b);
}

static void collation(struct ibb_disk *d)
{
	struct block b = record(d, r_many);

	value(&b, AT_INDEX_ROOT)[4] = 0;
	save(&b);
}

static void record_fixup(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_MFT, AT_STREAM, "", r_small * 1024 + 510), 1);
}

static void record_number(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x2c]++;
	save(&b);
}

static void record_used(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x18] += 8;
	save(&b);
}

static void record_sequence(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x10]++;
	save(&b);
}

static void record_not_used(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x16] &= 0xfe;
	save(&b);
}

static void record_directory(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x16] ^= FLAG_DIR;
	save(&b);
}

static void links(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x12]++;
	save(&b);
}

static void attr_id(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	memcpy(attr(&b, AT_NAME) + 0x0e, attr(&b, AT_STANDARD) + 0x0e, 2);
	save(&b);
}

static void attr_next_id(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	b.p[0x28] = 1;
	save(&b);
}

static void attr_len(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	attr(&b, AT_NAME)[4] |= 4;
	save(&b);
}

static void attr_type(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	attr(&b, AT_STREAM)[0] = 0;
	save(&b);
}

static void attr_value(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	attr(&b, AT_STREAM)[0x11] = 1;
	save(&b);
}

static void attr_name(struct ibb_disk *d)
{
	struct block b = record(d, r_many);

	attr(&b, AT_INDEX_ROOT)[0x0b] = 4;
	save(&b);
}

static void not_indexed(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	attr(&b, AT_NAME)[0x16] = 0;
	save(&b);
}

static void data_field(struct ibb_disk *d, unsigned off, uint64_t v)
{
	struct block b = record(d, r_big);

	ibb_put_le64(attr(&b, AT_STREAM) + off, v);
	save(&b);
}

static void data_allocated(struct ibb_disk *d)
{
	data_field(d, 0x28, 45056);
}

static void data_size(struct ibb_disk *d)
{
	data_field(d, 0x30, 50000);
}

static void data_initialized(struct ibb_disk *d)
{
	data_field(d, 0x38, 40008);
}

static void data_last(struct ibb_disk *d)
{
	data_field(d, 0x18, 8);
}

static void data_first(struct ibb_disk *d)
{
	data_field(d, 0x10, 1);
}

/* The runs of "big" become those of "other": as many bytes, the clusters of two files. */
static void crossed(struct ibb_disk *d)
{
	struct block b = record(d, r_big), o = record(d, r_other);
	uint8_t *x = attr(&b, AT_STREAM), *y = attr(&o, AT_STREAM);

	x += ibb_get_le16(x + 0x20);
	y += ibb_get_le16(y + 0x20);
	assert_int_equal(x[0], y[0]);
	memcpy(x + 2, y + 2, x[0] >> 4);
	save(&b);
}

static void run_outside(struct ibb_disk *d)
{
	struct block b = record(d, r_big);
	uint8_t *x = attr(&b, AT_STREAM);

	x += ibb_get_le16(x + 0x20);
	ibb_put_le16(x + 2, 4094);
	save(&b);
}

/* By its own record $MFT begins a cluster later: record 0 is not what the boot sector found. */
static void mft_elsewhere(struct ibb_disk *d)
{
	struct block b = record(d, REC_MFT);
	uint8_t *x = attr(&b, AT_STREAM);

	x += ibb_get_le16(x + 0x20);
	x[1 + (x[0] & 15)]++;
	save(&b);
}

static void run_hole(struct ibb_disk *d)
{
	struct block b = record(d, r_big);
	uint8_t *x = attr(&b, AT_STREAM);

	x += ibb_get_le16(x + 0x20);
	x[0] &= 0x0f;
	x[2] = 0;
	save(&b);
}

static void security_id(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	ibb_put_le32(value(&b, AT_STANDARD) + 0x34, 0x7777);
	save(&b);
}

static void sds_copy(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_SECURE, AT_STREAM, "$SDS", 0x40000 + 30), 1);
}

static void sds_both(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_SECURE, AT_STREAM, "$SDS", 30), 1);
	sds_copy(d);
}

static void sds_header(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_SECURE, AT_STREAM, "$SDS", 4), 1);
}

static void sii_hash(struct ibb_disk *d)
{
	struct block b = record(d, REC_SECURE);
	uint8_t *a = attr(&b, AT_INDEX_ROOT); /* $SDH comes before $SII */

	a += ibb_get_le32(a + 4);
	a += ibb_get_le16(a + 0x14) + 32;
	a[ibb_get_le16(a)] ^= 1;
	save(&b);
}

static void reparse_flag(struct ibb_disk *d)
{
	struct block b = record(d, r_small);

	value(&b, AT_STANDARD)[0x21] |= 4;
	save(&b);
}

static void reparse_tag(struct ibb_disk *d)
{
	struct block b = record(d, r_point);

	value(&b, AT_REPARSE)[0] ^= 1;
	save(&b);
}

static void mirror(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_MIRROR, AT_STREAM, "", 1024 + 0x12), 1);
}

static void boot_copy(struct ibb_disk *d)
{
	flip(d, d->size_bytes - 512 + 0x30, 1);
}

static void boot_copy_gone(struct ibb_disk *d)
{
	flip(d, d->size_bytes - 512 + 3, 1);
}

static void upcase(struct ibb_disk *d)
{
	flip(d, stream_at(d, REC_UPCASE, AT_STREAM, "", 2 * 'q'), 1);
}

static struct block extension(struct ibb_disk *d)
{
	for (uint64_t i = REC_USER; i < 200; i++) {
		struct block b = record(d, i);

		if (!memcmp(b.p, "FILE", 4) && (b.p[0x16] & 1) &&
		    REF_NO(ibb_get_le64(b.p + 0x20)) == r_links)
			return b;
	}
	fail_msg("no extension record");
	return (struct block){0};
}

static void extension_base(struct ibb_disk *d)
{
	struct block b = extension(d);

	b.p[0x26]++;
	save(&b);
}

static void extension_id(struct ibb_disk *d)
{
	struct block b = extension(d);
	uint8_t *a = b.p + ibb_get_le16(b.p + 0x14);

	ibb_put_le16(a + 0x0e, 0x70);
	ibb_put_le16(b.p + 0x28, 0x71);
	save(&b);
}

static void extension_gone(struct ibb_disk *d)
{
	struct block b = extension(d);

	b.p[0x16] &= 0xfe;
	save(&b);
}

static void list_order(struct ibb_disk *d)
{
	struct block b = record(d, r_links);
	uint8_t *e;

	if (attr(&b, AT_LIST)[8]) {
		uint64_t at = stream_at(d, r_links, AT_LIST, "", 0);
		uint8_t type = 0xf0;

		set(d, at, &type, 1);
		return;
	}
	e = value(&b, AT_LIST);
	e[0] = 0xf0;
	save(&b);
}

static void dirty(struct ibb_disk *d)
{
	struct block b = record(d, REC_VOLUME);

	value(&b, AT_VOLUME_INFO)[10] |= 1;
	save(&b);
}

static const struct plant {
	void (*fn)(struct ibb_disk *d);
	const char *code, *place;
} plants[] = {
	{bitmap_clear, "bitmap-cluster-free", "$Bitmap"},
	{bitmap_set, "bitmap-cluster-lost", "$Bitmap"},
	{bitmap_tail, "bitmap-trailing", "$Bitmap"},
	{mft_bit, "bitmap-record-free", "$MFT bitmap"},
	{mft_bit_extra, "bitmap-record-lost", "$MFT bitmap"},
	{mft_bit_tail, "bitmap-record-trailing", "$MFT bitmap"},
	{parent, "name-parent", "'small'"},
	{parent, "index-entry-extra", "directory 5 name 'small'"},
	{parent_sequence, "name-parent", "'sub'"},
	{parents_in_a_circle, "directory-stray", NULL},
	{name_in_record, "index-entry-extra", "directory 5 name 'small'"},
	{name_in_record, "index-entry-missing", "directory 5 name 'zmall'"},
	{entry_size, "index-size", "'file-33'"},
	{entry_allocated, "index-allocated", "'file-33'"},
	{entry_attributes, "index-attributes", "'file-33'"},
	{entry_is_directory, "index-directory-flag", "'file-33'"},
	{entry_gone, "index-entry-missing", "'file-33'"},
	{entry_twice, "index-entry-twice", "'file-34'"},
	{entry_twice, "index-entry-missing", "'file-33'"},
	{entry_elsewhere, "index-entry-extra", "'file-33'"},
	{entry_sequence, "index-entry-target", "'file-33'"},
	{entry_parent, "index-entry-parent", "'file-33'"},
	{entries_swapped, "index-order", "$I30"},
	{entry_length, "index-entry-size", "$I30"},
	{entry_child, "index-node-flags", "$I30"},
	{block_fixup, "index-block-fixup", "$I30 block 0"},
	{block_vcn, "index-block-vcn", "$I30 block 0"},
	{block_magic, "index-block-signature", "$I30 block 0"},
	{block_bit, "index-bitmap-free", "$I30"},
	{block_bit_tail, "index-bitmap-trailing", "$I30"},
	{block_twice, "index-block-twice", "$I30"},
	{block_twice, "index-block-lost", "$I30"},
	{block_outside, "index-block-outside", "$I30"},
	{collation, "index-collation", "$I30"},
	{record_fixup, "mft-record-fixup", NULL},
	{record_number, "mft-record-number", NULL},
	{record_used, "mft-record-size", NULL},
	{record_sequence, "index-entry-target", "'small'"},
	{record_not_used, "bitmap-record-lost", "$MFT bitmap"},
	{record_not_used, "index-entry-target", "'small'"},
	{record_directory, "directory-flag", NULL},
	{links, "link-count", NULL},
	{attr_id, "attr-id-twice", NULL},
	{attr_next_id, "attr-id-next", NULL},
	{attr_len, "attr-length", NULL},
	{attr_type, "attr-type", NULL},
	{attr_type, "attr-order", NULL},
	{attr_type, "attr-missing", "0x80"},
	{attr_value, "attr-resident-bounds", "0x80"},
	{attr_name, "attr-name-bounds", "0x90"},
	{not_indexed, "name-indexed-flag", NULL},
	{data_allocated, "attr-allocated-size", "0x80"},
	{data_size, "attr-data-size", "0x80"},
	{data_initialized, "attr-initialized-size", "0x80"},
	{data_last, "attr-vcn-range", "0x80"},
	{data_first, "attr-vcn-gap", "0x80"},
	{crossed, "cluster-shared", "0x80"},
	{crossed, "bitmap-cluster-lost", "$Bitmap"},
	{mft_elsewhere, "mft-cluster", "record 0"},
	{run_outside, "attr-runs", "0x80"},
	{run_hole, "attr-hole", "0x80"},
	{security_id, "security-id-missing", NULL},
	{sds_copy, "secure-sds-mirror", "security id 0x100"},
	{sds_both, "secure-hash", "security id 0x100"},
	{sds_header, "secure-sds-header", "security id 0x100"},
	{sii_hash, "secure-sdh", "security id 0x100"},
	{sii_hash, "secure-sii", "security id 0x100"},
	{reparse_flag, "reparse-flag", NULL},
	{reparse_tag, "reparse-index-missing", NULL},
	{reparse_tag, "reparse-index-extra", NULL},
	{mirror, "mirror-differs", "record 1"},
	{boot_copy, "boot-copy-differs", "cluster of $MFT"},
	{boot_copy_gone, "boot-copy-missing", NULL},
	{upcase, "upcase-content", "$UpCase"},
	{extension_base, "extension-base", NULL},
	{extension_base, "attrlist-record", NULL},
	{extension_id, "attrlist-attr-missing", NULL},
	{extension_id, "attrlist-not-listed", NULL},
	{extension_gone, "attrlist-record", NULL},
	{list_order, "attrlist-order", NULL},
};

static void print(const struct ntfscheck *r)
{
	struct ibb_buf b = {0};

	for (size_t i = 0; i < r->n; i++)
		if (!r->items[i].note) {
			assert_int_equal(ntfscheck_line(&r->items[i], &b), 0);
			assert_int_equal(ibb_buf_append_str(&b, "\n"), 0);
		}
	print_message("%s", ibb_buf_cstr(&b) ? ibb_buf_cstr(&b) : "");
	ibb_buf_clear(&b);
}

static void planted(void **state)
{
	const struct ntfscheck none = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plants); i++) {
		struct ibb_disk *d = NULL;
		struct ibb_error err = {0};
		const struct ntfscheck_finding *f;
		struct ntfscheck r;

		assert_ok(ibb_disk_overlay_new(sound, 1u << 20, &d, &err), err);
		plants[i].fn(d);
		r = findings(d);
		f = ntfscheck_find(&r, plants[i].code, plants[i].place);
		if (!f || f->note) {
			print(&r);
			fail_msg("plant %zu: no %s", i, plants[i].code);
		}
		assert_non_null(ntfscheck_worse(&none, &r));
		assert_null(ntfscheck_worse(&r, &r));
		ntfscheck_clear(&r);
		ibb_disk_unref(d);
	}
}

enum deed { NEW, NEW_IN_MANY, NEW_DIR, REPLACE, CHANGE, CHANGE_SMALL, REMOVE, REMOVE_SMALL, DEEDS };

static int do_deed(struct ibb_volume *v, enum deed deed, struct ibb_error *err)
{
	static const uint8_t data[20000] = {1, 2, 3};
	const struct ibb_bytes b = {data, sizeof(data)};

	switch (deed) {
	case NEW:
		return ibb_volume_put(v, "new", b, IBB_PUT_REPLACE, &file_meta, err);
	case NEW_IN_MANY:
		return ibb_volume_put(v, "many/file-33b", b, IBB_PUT_REPLACE, &file_meta, err);
	case NEW_DIR:
		return ibb_volume_mkdir(v, "new directory", &dir_meta, err);
	case REPLACE:
		return ibb_volume_put(v, "big", b, IBB_PUT_REPLACE, &file_meta, err);
	case CHANGE:
		return ibb_volume_put(v, "big", b, IBB_PUT_IN_PLACE, &file_meta, err);
	case CHANGE_SMALL:
		return ibb_volume_put(v, "small", b, IBB_PUT_IN_PLACE, &file_meta, err);
	case REMOVE:
		return ibb_volume_remove(v, "many/file-33", err);
	default:
		return ibb_volume_remove(v, "small", err);
	}
}

/* True when the back end refused. */
static bool edit(size_t i, enum deed deed)
{
	struct ibb_disk *d = NULL;
	struct ibb_volume *v = NULL;
	struct ibb_error err = {0};
	struct ntfscheck before, after;
	int rc;

	assert_ok(ibb_disk_overlay_new(sound, 16u << 20, &d, &err), err);
	plants[i].fn(d);
	before = findings(d);
	rc = ibb_volume_open_ntfs(d, true, &v, &err);
	if (!rc)
		rc = do_deed(v, deed, &err);
	if (!rc)
		rc = ibb_volume_commit(v, &err);
	ibb_volume_close(v);
	after = findings(d);
	if (ntfscheck_worse(&before, &after))
		print_message("plant %zu (%s), edit %d\n", i, plants[i].code, (int)deed);
	expect_not_worse(&before, &after);
	ntfscheck_clear(&before);
	ntfscheck_clear(&after);
	ibb_disk_unref(d);
	return rc != 0;
}

/*
 * What is damaged is refused or not touched, and gets no worse. Two kinds are left out, which only
 * a look at the whole volume shows: clusters that two files claim (removing one frees those of the
 * other), and a name that leads to another file (removing that one, the name leads nowhere).
 */
static void edits_of_damaged_volumes(void **state)
{
	unsigned refused = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plants); i++) {
		if (plants[i].fn == crossed || plants[i].fn == entry_elsewhere ||
		    (i && plants[i].fn == plants[i - 1].fn))
			continue;
		for (enum deed k = 0; k < DEEDS; k++, n++)
			refused += edit(i, k);
	}
	print_message("%u edits, %u refused\n", n, refused);
	assert_true(refused > n / 20 && refused < n / 2);
}

static void dirty_is_a_note(void **state)
{
	struct ibb_disk *d = copy_disk(sound);
	struct ntfscheck r;

	(void)state;
	dirty(d);
	r = findings(d);
	/* the mirror has that record too */
	assert_int_equal(r.n_errors, 1);
	assert_non_null(ntfscheck_find(&r, "mirror-differs", "record 3"));
	assert_true(ntfscheck_find(&r, "volume-dirty", NULL)->note);
	ntfscheck_clear(&r);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(planted),
		cmocka_unit_test(dirty_is_a_note),
		cmocka_unit_test(edits_of_damaged_volumes),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
