/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The FAT reader: generated volumes of every kind, then volumes that lie. */
#include "test.h"

#include "base/le.h"
#include "base/limits.h"
#include "base/mem.h"
#include "mkfat.h"
#include "volume/fat.h"
#include "volume_image.h"

#define MIB (1ull << 20)
#define BCD "EFI/Microsoft/Boot/BCD"

static uint8_t big[200000];
static const struct mkfat_file tree[] = {
	{"EFI/Boot/bootx64.efi", big, sizeof(big)},
	{"EFI/Microsoft/Boot/BCD", "regf-store", 10},
	{"EFI/Microsoft/Boot/a name of thirty-nine letters, or so.txt", "long", 4},
	{"EFI/Microsoft/Boot/exactly13char", "13", 2},
	{"EFI/Microsoft/Boot/empty.bin", NULL, 0},
	{"UPPER.TXT", "upper", 5},
	{"empty/", NULL, 0},
};

static struct ibb_disk *volume(uint64_t size, uint32_t sector, const struct mkfat_opts *o)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	assert_ok(ibb_disk_mem_new(size, sector, &d, &err), err);
	assert_ok(mkfat(d, o, tree, IBB_ARRAY_SIZE(tree), &err), err);
	return d;
}

static struct ibb_fat *opened(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_fat *f = NULL;

	assert_ok(ibb_fat_open(d, &f, &err), err);
	return f;
}

static void expect_file(struct ibb_fat *f, const char *path, const void *data, size_t n)
{
	struct ibb_error err = {0};
	struct ibb_fat_stat st = {true, 1};
	struct ibb_buf b = {0};

	assert_ok(ibb_fat_find(f, path, &st, &err), err);
	assert_false(st.directory);
	assert_int_equal(st.size_bytes, n);
	assert_ok(ibb_fat_read(f, path, UINT32_MAX, &b, &err), err);
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, data, n);
	ibb_buf_clear(&b);
}

static void expect_missing(struct ibb_fat *f, const char *path)
{
	struct ibb_error err = {0};
	struct ibb_fat_stat st;

	assert_fails(ibb_fat_find(f, path, &st, &err), IBB_E_NOTFOUND, err, path);
}

static void expect_tree(struct ibb_fat *f)
{
	struct ibb_error err = {0};
	struct ibb_fat_stat st = {false, 7};
	struct ibb_buf b = {0};

	for (size_t i = 0; i + 1 < IBB_ARRAY_SIZE(tree); i++)
		expect_file(f, tree[i].path, tree[i].data, tree[i].size);
	expect_file(f, "efi/MICROSOFT/boot/bcd", "regf-store", 10);
	expect_file(f, "efi/boot/BOOTX64.EFI", big, sizeof(big));
	expect_file(f, "EFI/Microsoft/Boot/A NAME OF thirty-nine LETTERS, or so.TXT", "long", 4);
	assert_ok(ibb_fat_find(f, "EFI/Microsoft", &st, &err), err);
	assert_true(st.directory);
	assert_int_equal(st.size_bytes, 0);
	assert_ok(ibb_fat_find(f, "empty", &st, &err), err);
	assert_true(st.directory);
	expect_missing(f, "empty/x");
	expect_missing(f, "EFI/Boot/bootia32.efi");
	expect_missing(f, "EFI/Microsoft/Boot/exactly13cha");
	expect_missing(f, "EFI/Microsoft/Boot/exactly13chars");
	expect_missing(f, "UPPER.TXT/x"); /* a file is no directory */
	expect_missing(f, "EFI//Boot");
	expect_missing(f, "");
	assert_ok(ibb_fat_read(f, "EFI/Boot/bootx64.efi", 3, &b, &err), err);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, big, 3);
	ibb_buf_clear(&b);
	assert_fails(ibb_fat_read(f, "EFI", 3, &b, &err), IBB_E_CONFLICT, err, "directory");
	assert_null(b.data);
}

static const struct kind {
	uint64_t size;
	uint32_t sector;
	struct mkfat_opts o;
	unsigned bits;
} kinds[] = {
	{2 * MIB, 512, {.bits = 12}, 12},
	{2 * MIB, 512, {.bits = 12, .stride = 3}, 12},
	{2 * MIB, 512, {.bits = 12, .stride = 2, .tables = 1, .root_entries = 16}, 12},
	{4 * MIB, 512, {.bits = 16}, 16},
	{64 * MIB, 512, {.bits = 16, .per_cluster = 4, .stride = 5}, 16},
	{100 * MIB, 512, {.bits = 0}, 32},
	{100 * MIB, 512, {.bits = 32, .stride = 7}, 32},
	{64 * MIB, 512, {.bits = 32, .active_table = 1}, 32},
	{4 * MIB, 512, {.bits = 32, .stride = 2}, 32}, /* smaller than the document wants */
	{300 * MIB, 4096, {.bits = 32}, 32},
	{100 * MIB, 4096, {.bits = 0}, 16},
	{4 * MIB, 4096, {.bits = 0}, 12},
};

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kinds); i++) {
		struct ibb_disk *d = volume(kinds[i].size, kinds[i].sector, &kinds[i].o);
		struct ibb_fat *f = opened(d);

		ibb_disk_unref(d); /* the volume holds it */
		assert_int_equal(ibb_fat_bits(f), kinds[i].bits);
		expect_tree(f);
		ibb_fat_close(f);
	}
}

/* Without long names the alias is what the file is called. */
static void test_short_names(void **state)
{
	const struct mkfat_opts o = {.bits = 12, .short_only = true};
	struct ibb_disk *d = volume(2 * MIB, 512, &o);
	struct ibb_fat *f = opened(d);

	(void)state;
	expect_file(f, "EFI/BOOT/BOOTX64.EFI", big, sizeof(big));
	expect_file(f, "efi/boot/bootx64.efi", big, sizeof(big));
	expect_missing(f, "EFI/Microsoft/Boot/BCD");
	expect_file(f, "EFI/MICROS~4/Boot/BCD", "regf-store", 10);
	ibb_fat_close(f);
	ibb_disk_unref(d);
}

/* ---- volumes that lie ---- */

static void poke(struct ibb_disk *d, uint64_t at, uint32_t v, size_t n)
{
	struct ibb_error err = {0};
	uint8_t b[4];

	ibb_put_le32(b, v);
	assert_ok(ibb_disk_pwrite(d, b, n, at, &err), err);
}

struct lie {
	unsigned bits;
	uint64_t at;
	uint32_t v;
	size_t n;
	int want;
	const char *text;
};

static void test_boot_sector(void **state)
{
	static const struct lie lies[] = {
		{12, 510, 0, 2, IBB_E_NOTFOUND, "no FAT volume"},
		{12, 0, 0, 1, IBB_E_NOTFOUND, "no FAT volume"},
		{12, 3, 0x5346544e, 4, IBB_OK, ""}, /* "NTFS", but not the whole name */
		{12, 16, 0, 1, IBB_E_NOTFOUND, "no FAT volume"},
		{12, 11, 513, 2, IBB_E_CORRUPT, "bytes per sector (513)"},
		{12, 11, 256, 2, IBB_E_CORRUPT, "bytes per sector (256)"},
		{12, 11, 8192, 2, IBB_E_CORRUPT, "bytes per sector (8192)"},
		{12, 11, 4096, 2, IBB_E_CORRUPT, "do not fit the partition"},
		{12, 13, 0, 1, IBB_E_CORRUPT, "sectors per cluster (0)"},
		{12, 13, 3, 1, IBB_E_CORRUPT, "sectors per cluster (3)"},
		{12, 14, 0, 2, IBB_E_CORRUPT, "reserved sectors (0)"},
		{12, 14, 0xffff, 2, IBB_E_CORRUPT, "begins past the end"},
		{12, 17, 0, 2, IBB_E_CORRUPT, "entries of the root directory (0)"},
		{12, 17, 0xffff, 2, IBB_E_CORRUPT, "begins past the end"},
		{12, 19, 0xffff, 2, IBB_E_CORRUPT, "do not fit the partition (65535)"},
		{12, 19, 0, 2, IBB_E_CORRUPT, "do not fit the partition (0)"},
		{12, 22, 0xffff, 2, IBB_E_CORRUPT, "begins past the end"},
		{12, 22, 0, 2, IBB_E_CORRUPT, "begins past the end"},
		{32, 36, 0, 4, IBB_E_CORRUPT, "sectors of an allocation table (0)"},
		{32, 36, 0xffffffff, 4, IBB_E_CORRUPT, "begins past the end"},
		{32, 32, 0xffffffff, 4, IBB_E_CORRUPT, "do not fit the partition (4294967295)"},
		{32, 44, 0, 4, IBB_E_CORRUPT, "root directory leads to cluster 0"},
		{32, 44, 1, 4, IBB_E_CORRUPT, "root directory leads to cluster 1"},
		{32, 44, 0x0ffffff0, 4, IBB_E_CORRUPT, "and the volume has 2 to"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(lies); i++) {
		const struct mkfat_opts o = {.bits = lies[i].bits};
		struct ibb_disk *d = volume((lies[i].bits == 12 ? 1 : 64) * MIB, 512, &o);
		struct ibb_error err = {0};
		struct ibb_fat *f = NULL;

		poke(d, lies[i].at, lies[i].v, lies[i].n);
		assert_fails(ibb_fat_open(d, &f, &err), lies[i].want, err, lies[i].text);
		if (lies[i].want)
			assert_null(f);
		ibb_fat_close(f);
		ibb_disk_unref(d);
	}
}

static void test_no_volume(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d;
	struct ibb_fat *f = NULL;

	(void)state;
	assert_ok(ibb_disk_mem_new(MIB, 512, &d, &err), err);
	assert_fails(ibb_fat_open(d, &f, &err), IBB_E_NOTFOUND, err, "no FAT volume");
	ibb_disk_unref(d);
}

/* Where the entry of a name lies: searched for from outside. */
static uint64_t find_bytes(struct ibb_disk *d, const char *bytes, size_t n)
{
	struct ibb_error err = {0};
	uint8_t b[512];

	for (uint64_t at = 512; at < d->size_bytes; at += sizeof(b)) {
		assert_ok(ibb_disk_pread(d, b, sizeof(b), at, &err), err);
		for (size_t i = 0; i < sizeof(b); i += 32)
			if (memcmp(b + i, bytes, n) == 0)
				return at + i;
	}
	fail_msg("%.*s is not in the volume", (int)n, bytes);
	return 0;
}

static uint32_t first_cluster(struct ibb_disk *d, uint64_t entry)
{
	struct ibb_error err = {0};
	uint8_t b[32];

	assert_ok(ibb_disk_pread(d, b, sizeof(b), entry, &err), err);
	return ibb_get_le16(b + 26) | (uint32_t)ibb_get_le16(b + 20) << 16;
}

static void expect_corrupt(struct ibb_disk *d, const char *path, const char *text)
{
	struct ibb_error err = {0};
	struct ibb_fat *f = opened(d);
	struct ibb_buf b = {0};

	assert_fails(ibb_fat_read(f, path, UINT32_MAX, &b, &err), IBB_E_CORRUPT, err, text);
	ibb_buf_clear(&b);
	ibb_fat_close(f);
}

static void test_chains(void **state)
{
	const struct mkfat_opts o = {.bits = 16};
	struct ibb_disk *d = volume(4 * MIB, 512, &o);
	uint64_t file = find_bytes(d, "BOOTX64 EFI", 11), dir = find_bytes(d, "EFI        ", 11);
	uint32_t c = first_cluster(d, file), root = first_cluster(d, dir);

	(void)state;
	poke(d, 512 + 2 * c, 0xffff, 2); /* the chain ends too early */
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "ends before its 200000 bytes");
	poke(d, 512 + 2 * c, 0, 2); /* a free cluster follows */
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "allocation table leads to cluster 0");
	poke(d, 512 + 2 * c, 0xfff7, 2); /* a bad one */
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "allocation table leads to cluster 65527");
	poke(d, file + 26, 0, 2);
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "leads to cluster 0");
	poke(d, dir + 26, 0xfff0, 2);
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "leads to cluster 65520");
	poke(d, dir + 26, root, 2);
	expect_corrupt(d, "EFI/Boot/bootx64.efi", "leads to cluster 0");
	ibb_disk_unref(d);
}

/* A file whose chain is a circle is as long as its entry says, and no longer. */
static void test_loops(void **state)
{
	const struct mkfat_opts o = {.bits = 16};
	struct ibb_disk *d = volume(4 * MIB, 512, &o);
	uint64_t file = find_bytes(d, "BOOTX64 EFI", 11), dir = find_bytes(d, "EFI        ", 11);
	uint32_t c = first_cluster(d, file), sub = first_cluster(d, dir);
	struct ibb_error err = {0};
	struct ibb_fat *f = opened(d);
	struct ibb_buf b = {0};
	struct ibb_fat_stat st;
	uint8_t entries[512];

	(void)state;
	poke(d, 512 + 2 * c, c, 2);
	assert_ok(ibb_fat_read(f, "EFI/Boot/bootx64.efi", UINT32_MAX, &b, &err), err);
	assert_int_equal(b.len, sizeof(big));
	assert_memory_equal(b.data + 512, big, 512);
	ibb_buf_clear(&b);
	/* a directory without an end that comes back to itself */
	memset(entries, 0xe5, sizeof(entries));
	assert_ok(ibb_disk_pwrite(d, entries, sizeof(entries),
				  512 * (1 + 2 * 32 + 32 + (uint64_t)(sub - 2)), &err),
		  err);
	poke(d, 512 + 2 * sub, sub, 2);
	assert_fails(ibb_fat_find(f, "EFI/Boot", &st, &err), IBB_E_CORRUPT, err,
		     "more than 65536 entries: a loop?");
	ibb_fat_close(f);
	ibb_disk_unref(d);
}

/* A long name that does not belong to the entry behind it counts for nothing. */
static void test_broken_long_names(void **state)
{
	static const struct {
		int piece; /* entries in front of the short one */
		unsigned at;
		uint8_t v;
	} lies[] = {
		{1, 13, 0x77}, /* checksum */
		{1, 0, 0x02},  /* number */
		{1, 0, 0x42},  /* the last of two, and one is missing */
		{1, 0, 0x40},  /* number 0 */
		{1, 0, 0x7f},  /* more pieces than a name may have */
		{1, 0, 0xe5},  /* deleted */
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(lies); i++) {
		const struct mkfat_opts o = {.bits = 12};
		struct ibb_disk *d = volume(2 * MIB, 512, &o);
		uint64_t entry = find_bytes(d, "MICROS", 6);
		struct ibb_fat *f;

		poke(d, entry - 32 * (uint64_t)lies[i].piece + lies[i].at, lies[i].v, 1);
		f = opened(d);
		expect_missing(f, BCD);
		expect_file(f, "EFI/MICROS~4/Boot/BCD", "regf-store", 10);
		expect_file(f, "EFI/Boot/bootx64.efi", big, sizeof(big));
		ibb_fat_close(f);
		ibb_disk_unref(d);
	}
}

/* What is deleted, or a volume label, is no file. */
static void test_no_files(void **state)
{
	const struct mkfat_opts o = {.bits = 12};
	struct ibb_disk *d = volume(2 * MIB, 512, &o);
	uint64_t entry = find_bytes(d, "UPPER   TXT", 11);
	struct ibb_fat *f = opened(d);

	(void)state;
	expect_file(f, "upper.txt", "upper", 5);
	poke(d, entry + 11, 0x08, 1);
	expect_missing(f, "UPPER.TXT");
	poke(d, entry + 11, 0x20, 1);
	poke(d, entry, 0xe5, 1);
	expect_missing(f, "UPPER.TXT");
	ibb_fat_close(f);
	ibb_disk_unref(d);
}

/* A read that fails, and memory that is short: an error each, nothing lost. */
static void test_faults(void **state)
{
	const struct mkfat_opts o = {.bits = 12};
	struct ibb_disk *d = volume(2 * MIB, 512, &o), *faulty;
	struct ibb_error err = {0};

	(void)state;
	for (long i = 0;; i++) {
		struct ibb_fault plan = {.fail_at = {i, -1, -1}, .cut_after = -1, .os_errno = 5};
		struct ibb_fat *f = NULL;
		struct ibb_fat_stat st;
		int r;

		assert_ok(ibb_disk_fault_new(d, &plan, &faulty, &err), err);
		r = ibb_fat_open(faulty, &f, &err);
		if (!r)
			r = ibb_fat_find(f, BCD, &st, &err);
		ibb_fat_close(f);
		ibb_disk_unref(faulty);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_IO);
		assert_in_range(i, 0, 200);
	}
	for (long i = 0;; i++) {
		struct ibb_fat *f = NULL;
		struct ibb_buf b = {0};
		int r;

		ibb_mem_fail_at(i, false);
		r = ibb_fat_open(d, &f, &err);
		if (!r)
			r = ibb_fat_read(f, BCD, 100, &b, &err);
		ibb_mem_fail_at(-1, false);
		ibb_fat_close(f);
		ibb_buf_clear(&b);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_in_range(i, 0, 50);
	}
	ibb_disk_unref(d);
}

/* ---- volumes made by others ---- */

static struct ibb_disk *from_file(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_file_open(path, &id, &d, &err), err);
	return d;
}

static void test_mtools(void **state)
{
	static const struct {
		const char *options;
		unsigned mib, bits;
	} made[] = {{"-F 12 -s 4", 4, 12},
		    {"-F 16", 16, 16},
		    {"-F 32", 64, 32},
		    {"-F 32 -s 1 -f 1", 40, 32},
		    {"-S 4096", 64, 16}};
	char path[400];

	(void)state;
	if (!have_tool("mkfs.fat") || !have_tool("mcopy") || !have_tool("mmd")) {
		print_message("SKIPPED: mkfs.fat and mtools are not installed\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/fat.img", img_dir());
	for (size_t i = 0; i < IBB_ARRAY_SIZE(made); i++) {
		struct ibb_disk *d;
		struct ibb_fat *f;

		assert_int_equal(run("rm -f '%s' && truncate -s %uM '%s' && "
				     "PATH=\"$PATH:/sbin:/usr/sbin\" mkfs.fat %s '%s'",
				     path, made[i].mib, path, made[i].options, path),
				 0);
		assert_int_equal(run("cd '%s' && head -c 100000 /dev/zero >bootx64.efi && "
				     "printf regf >BCD && export MTOOLS_SKIP_CHECK=1 && "
				     "mmd -i '%s' ::/EFI ::/EFI/Boot ::/EFI/Microsoft "
				     "::/EFI/Microsoft/Boot && "
				     "mcopy -i '%s' bootx64.efi ::/EFI/Boot/ && "
				     "mcopy -i '%s' BCD ::/EFI/Microsoft/Boot/ && "
				     "mcopy -i '%s' BCD '::/EFI/A much longer name than that.data'",
				     img_dir(), path, path, path, path),
				 0);
		d = from_file(path);
		f = opened(d);
		assert_int_equal(ibb_fat_bits(f), made[i].bits);
		memset(big, 0, 100000);
		expect_file(f, "efi/boot/bootx64.efi", big, 100000);
		expect_file(f, "EFI/Microsoft/Boot/BCD", "regf", 4);
		expect_file(f, "EFI/A MUCH LONGER NAME THAN THAT.DATA", "regf", 4);
		expect_missing(f, "EFI/Microsoft/Boot/bootmgfw.efi");
		ibb_fat_close(f);
		ibb_disk_unref(d);
	}
}

static void to_file(struct ibb_disk *d, const char *path)
{
	static const uint8_t zeros[65536];
	static uint8_t b[65536];
	struct ibb_error err = {0};
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)d->size_bytes), 0);
	for (uint64_t at = 0; at < d->size_bytes; at += sizeof(b)) {
		assert_ok(ibb_disk_pread(d, b, sizeof(b), at, &err), err);
		if (memcmp(b, zeros, sizeof(b)) == 0)
			continue;
		assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
		assert_int_equal(fwrite(b, 1, sizeof(b), file), sizeof(b));
	}
	assert_int_equal(fclose(file), 0);
}

/* And our own generator's volumes please the checker of dosfstools. */
static void test_fsck(void **state)
{
	char path[400];

	(void)state;
	if (!have_tool("fsck.fat")) {
		print_message("SKIPPED: fsck.fat is not installed\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/ours.img", img_dir());
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kinds); i++) {
		struct ibb_disk *d = volume(kinds[i].size, kinds[i].sector, &kinds[i].o);
		to_file(d, path);
		ibb_disk_unref(d);
		if (kinds[i].size == 4 * MIB && kinds[i].bits == 32)
			continue; /* too few clusters, says the document */
		if (kinds[i].o.active_table)
			continue; /* fsck.fat knows the first two tables only as copies */
		assert_int_equal(run("PATH=\"$PATH:/sbin:/usr/sbin\" fsck.fat -n '%s'", path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_short_names),
		cmocka_unit_test(test_boot_sector),
		cmocka_unit_test(test_no_volume),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_broken_long_names),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_mtools),
		cmocka_unit_test(test_fsck),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
