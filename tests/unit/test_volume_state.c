/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volumes that must not be touched, each refused with its own reason; and those that may be. */
#include "ntfs_raw.h"

static void refused(struct ibb_disk *d, int code, const char *text)
{
	struct ibb_disk *before = copy_disk(d);
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	assert_fails(ibb_volume_open_ntfs(d, true, &v, &err), code, err, text);
	assert_null(v);
	if (code == IBB_E_DIRTY)
		assert_non_null(strstr(err.hint, "shutdown /s /f /t 0"));
	/* the same refusal for a reader, and no byte written either way */
	assert_fails(ibb_volume_open_ntfs(d, false, &v, &err), code, err, text);
	assert_true(same_disks(d, before));
	ibb_disk_unref(before);
}

static void accepted(struct ibb_disk *d)
{
	struct ibb_volume *v = open_rw(d);

	put(v, "probe", "x");
	commit_close(v);
	check_ntfs(d);
}

static struct ibb_disk *boot_disk(const void *oem, size_t n, size_t at)
{
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	uint8_t b[512] = {0xeb, 0x52, 0x90};

	if (at == 3 && !memcmp(oem, "ReFS", 4))
		memset(b, 0, 3);
	memcpy(b + at, oem, n);
	b[510] = 0x55;
	b[511] = 0xaa;
	assert_ok(ibb_disk_mem_new(1u << 20, 512, &d, &err), err);
	assert_ok(ibb_disk_pwrite(d, b, sizeof(b), 0, &err), err);
	return d;
}

static void other_file_systems(void **state)
{
	static const uint8_t to_go[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
					  0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
	static const struct {
		const void *bytes;
		size_t n, at;
		int code;
		const char *text;
	} cases[] = {
		{"-FVE-FS-", 8, 3, IBB_E_UNSUPPORTED, "encrypted with BitLocker"},
		{to_go, 16, 0x1a8, IBB_E_UNSUPPORTED, "encrypted with BitLocker"},
		{"ReFS\0\0\0\0", 8, 3, IBB_E_UNSUPPORTED, "is ReFS"},
		{"EXFAT   ", 8, 3, IBB_E_UNSUPPORTED, "is exFAT"},
		{"FAT12   ", 8, 0x36, IBB_E_UNSUPPORTED, "is FAT"},
		{"FAT16   ", 8, 0x36, IBB_E_UNSUPPORTED, "is FAT"},
		{"FAT32   ", 8, 0x52, IBB_E_UNSUPPORTED, "is FAT"},
		{"HPFS    ", 8, 3, IBB_E_NOTFOUND, "no NTFS"},
	};
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		d = boot_disk(cases[i].bytes, cases[i].n, cases[i].at);
		refused(d, cases[i].code, cases[i].text);
		ibb_disk_unref(d);
	}
	assert_ok(ibb_disk_mem_new(1u << 20, 512, &d, &err), err);
	refused(d, IBB_E_NOTFOUND, "the boot sector is empty");
	ibb_disk_unref(d);
	assert_ok(ibb_disk_mem_new(256, 512, &d, &err), err);
	refused(d, IBB_E_NOTFOUND, "too few");
	ibb_disk_unref(d);
}

static void truncated(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096), *s = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_disk_slice_new(d, 0, 15u << 20, &s, &err), err);
	refused(s, IBB_E_CORRUPT, "is the image truncated?");
	ibb_disk_unref(s);
	ibb_disk_unref(d);
}

static void boot_sector_lies(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_error err = {0};
	uint8_t b[512], c[512];

	(void)state;
	assert_ok(ibb_disk_pread(d, b, 512, 0, &err), err);
	memcpy(c, b, 512);
	ibb_put_le16(c + 11, 513);
	assert_ok(ibb_disk_pwrite(d, c, 512, 0, &err), err);
	refused(d, IBB_E_CORRUPT, "513 bytes per sector");
	memcpy(c, b, 512);
	ibb_put_le64(c + 40, UINT64_MAX);
	assert_ok(ibb_disk_pwrite(d, c, 512, 0, &err), err);
	refused(d, IBB_E_CORRUPT, "do not fit");
	memcpy(c, b, 512);
	ibb_put_le64(c + 40, 0);
	assert_ok(ibb_disk_pwrite(d, c, 512, 0, &err), err);
	refused(d, IBB_E_CORRUPT, "do not fit");
	memcpy(c, b, 512);
	ibb_put_le64(c + 48, 0x7fffffff); /* $MFT somewhere else */
	assert_ok(ibb_disk_pwrite(d, c, 512, 0, &err), err);
	refused(d, IBB_E_CORRUPT, "cannot be mounted");
	ibb_disk_unref(d);
}

/* ntfs_volume_write_flags() masks what it does not know, so the record is written itself. */
static void set_volume_information(struct ibb_disk *d, uint8_t major, uint8_t minor, uint16_t flags)
{
	struct raw *r = raw_open(d);
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(r->vol->vol_ni, NULL);
	uint8_t *vi;

	assert_non_null(ctx);
	assert_int_equal(ntfs_attr_lookup(AT_VOLUME_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0,
					  NULL, 0, ctx),
			 0);
	/* reserved 8, major, minor, flags */
	vi = (uint8_t *)ctx->attr + le16_to_cpu(ctx->attr->value_offset);
	vi[8] = major;
	vi[9] = minor;
	ibb_put_le16(vi + 10, flags);
	ntfs_inode_mark_dirty(r->vol->vol_ni);
	ntfs_attr_put_search_ctx(ctx);
	assert_int_equal(ntfs_inode_sync(r->vol->vol_ni), 0);
	raw_close(r);
}

static void dirty_flag(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);

	(void)state;
	set_volume_information(d, 3, 1, 0x0001);
	refused(d, IBB_E_DIRTY, "marked dirty");
	/* real Windows 10 volumes carry 0x80, which says nothing about being clean */
	set_volume_information(d, 3, 1, 0x0080);
	accepted(d);
	set_volume_information(d, 3, 1, 0x0081);
	refused(d, IBB_E_DIRTY, "marked dirty");
	ibb_disk_unref(d);
}

static void hibernation(void **state)
{
	static const struct {
		const char *name, *head;
		size_t size;
		const char *refusal;
	} cases[] = {
		{"hiberfil.sys", "HIBR", 8192, "Windows is hibernated"},
		{"hiberfil.sys", "hibr", 8192, "Windows is hibernated"},
		{"Hiberfil.sys", "HIBR", 8192, "Windows is hibernated"},
		{"HIBERFIL.SYS", "hibr", 8192, "Windows is hibernated"},
		{"hiberfil.sys", "", 4095, "too short"},
		{"Hiberfil.sys", "", 100, "too short"},
		{"HiberFil.Sys", "", 0, "too short"},
		{"hiberfil.sys", "", 8192, NULL},
		{"Hiberfil.sys", "wake", 8192, NULL},
		{"hiberfil.sys", "WAKE", 8192, NULL},
		{"HIBERFIL.SYS", "RSTR", 4096, NULL},
		{"hiberfil.sys.bak", "HIBR", 8192, NULL},
	};
	struct ibb_disk *clean = make_ntfs(16, 512, 4096);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_disk *d = copy_disk(clean);
		uint8_t *p = calloc(1, cases[i].size + 4);
		struct raw *r = raw_open(d);

		assert_non_null(p);
		memcpy(p, cases[i].head, strlen(cases[i].head));
		raw_create(r, cases[i].name, S_IFREG, p, cases[i].size);
		raw_close(r);
		if (cases[i].refusal)
			refused(d, IBB_E_DIRTY, cases[i].refusal);
		else
			accepted(d);
		free(p);
		ibb_disk_unref(d);
	}
	ibb_disk_unref(clean);
}

/*
 * Both restart pages of $LogFile, valid to the last check of the library: version, and in use
 * (client 0 active) with or without the clean flag.
 */
static void write_log(struct ibb_disk *d, int major, int minor, bool in_use, bool clean)
{
	struct raw *r = raw_open(d);
	ntfs_inode *ni = ntfs_inode_open(r->vol, FILE_LogFile);
	ntfs_attr *na = ni ? ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0) : NULL;
	uint8_t page[4096] = "RSTR";
	uint8_t *ra = page + 0x30, *ca = ra + 0x30;
	unsigned bits = 0;

	assert_non_null(na);
	ibb_put_le16(page + 4, 0x1e); /* update sequence array */
	ibb_put_le16(page + 6, 9);
	ibb_put_le32(page + 16, 4096); /* system page */
	ibb_put_le32(page + 20, 4096); /* log page */
	ibb_put_le16(page + 24, 0x30); /* restart area */
	ibb_put_le16(page + 26, (uint16_t)minor);
	ibb_put_le16(page + 28, (uint16_t)major);
	ibb_put_le64(ra, 0x100000); /* current LSN */
	ibb_put_le16(ra + 8, 1);    /* log clients */
	ibb_put_le16(ra + 10, in_use ? 0xffff : 0);
	ibb_put_le16(ra + 12, in_use ? 0 : 0xffff);
	ibb_put_le16(ra + 14, clean ? 2 : 0);
	for (s64 n = na->data_size; n; n >>= 1)
		bits++;
	ibb_put_le32(ra + 16, 67 - bits);
	ibb_put_le16(ra + 20, 0x30 + 160);
	ibb_put_le16(ra + 22, 0x30);
	ibb_put_le64(ra + 24, (uint64_t)na->data_size);
	ibb_put_le16(ra + 36, 0x30);   /* record header */
	ibb_put_le16(ra + 38, 0x40);   /* page data */
	ibb_put_le16(ca + 16, 0xffff); /* prev, next client */
	ibb_put_le16(ca + 18, 0xffff);
	for (s64 pos = 0; pos <= 4096; pos += 4096) {
		uint8_t copy[4096];

		memcpy(copy, page, sizeof(copy));
		assert_int_equal(ntfs_attr_mst_pwrite(na, pos, 1, 4096, copy), 1);
	}
	ntfs_attr_close(na);
	raw_done(ni);
	raw_close(r);
}

static void log_file(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);

	(void)state;
	accepted(d); /* mkntfs leaves the log empty */
	write_log(d, 1, 1, true, true);
	accepted(d);
	write_log(d, 1, 1, false, false);
	accepted(d);
	write_log(d, 1, 1, true, false);
	refused(d, IBB_E_DIRTY, "unclean $LogFile");
	write_log(d, 2, 0, true, false);
	refused(d, IBB_E_DIRTY, "$LogFile of version 2.0");
	write_log(d, 2, 0, false, true);
	refused(d, IBB_E_DIRTY, "$LogFile of version 2.0");
	write_log(d, 3, 7, true, true);
	refused(d, IBB_E_DIRTY, "unclean $LogFile");
	ibb_disk_unref(d);
}

/* Both at once: the reason that the user knows of comes first. */
static void hibernated_with_log(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	uint8_t p[8192] = "HIBR";
	struct raw *r = raw_open(d);

	(void)state;
	raw_create(r, "hiberfil.sys", S_IFREG, p, sizeof(p));
	raw_close(r);
	write_log(d, 2, 0, true, false);
	refused(d, IBB_E_DIRTY, "Windows is hibernated");
	ibb_disk_unref(d);
}

static void deduplicated(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);

	(void)state;
	make_dir(v, "System Volume Information");
	make_dir(v, "System Volume Information/Dedup");
	commit_close(v);
	accepted(d);
	v = open_rw(d);
	make_dir(v, "System Volume Information/Dedup/ChunkStore");
	commit_close(v);
	refused(d, IBB_E_UNSUPPORTED, "Data Deduplication");
	ibb_disk_unref(d);
}

static void old_version(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);

	(void)state;
	set_volume_information(d, 1, 2, 0);
	refused(d, IBB_E_UNSUPPORTED, "version 1.2");
	ibb_disk_unref(d);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(other_file_systems),  cmocka_unit_test(truncated),
	cmocka_unit_test(boot_sector_lies),    cmocka_unit_test(dirty_flag),
	cmocka_unit_test(hibernation),	       cmocka_unit_test(log_file),
	cmocka_unit_test(hibernated_with_log), cmocka_unit_test(deduplicated),
	cmocka_unit_test(old_version),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
