/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a disk starts from: disks in memory, with partitions of every kind. */
#include "inspect/boot.h"

#include "test.h"

#include "base/le.h"
#include "base/mem.h"
#include "mkdisk.h"
#include "mkfat.h"

#define MIB	      (1ull << 20)
#define DISK	      (64 * MIB)
#define PART_BYTES    (8 * MIB)
#define PART(i)	      (MIB + (i)*PART_BYTES)
#define EFI_MANAGER   "EFI/Microsoft/Boot/bootmgfw.efi"
#define EFI_FALLBACK  "EFI/Boot/bootx64.efi"
#define EFI_STORE     "EFI/Microsoft/Boot/BCD"
#define CODE_OFF      440u /* of the MBR's code: where it ends */
#define BOOT_CODE_OFF 0x5au

static struct ibb_disk *disk(enum ibb_ptable_kind kind, size_t n, size_t n_active)
{
	static const struct ibb_guid id = {{1, 2, 3}};
	struct mkdisk_part parts[4] = {{.len_bytes = 0}};
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_mem_new(DISK, 512, &d, &err), err);
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct mkdisk_part){.off_bytes = PART(i),
						.len_bytes = PART_BYTES,
						.type = i < n_active ? mkdisk_esp : mkdisk_data,
						.id = {{(uint8_t)(i + 1)}},
						.mbr_type = 0x07,
						.active = i < n_active};
	if (kind == IBB_PTABLE_GPT)
		assert_ok(mkdisk_gpt(d, parts, n, &id, &err), err);
	else
		assert_ok(mkdisk_mbr(d, parts, n, 0x12345678, &err), err);
	return d;
}

static void write_at(struct ibb_disk *d, uint64_t at, const void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pwrite(d, p, n, at, &err), err);
}

static void format(struct ibb_disk *d, size_t part, const struct mkfat_file *files, size_t n)
{
	const struct mkfat_opts o = {0};
	struct ibb_error err = {0};
	struct ibb_disk *slice = NULL;

	assert_ok(ibb_disk_slice_new(d, PART(part), PART_BYTES, &slice, &err), err);
	assert_ok(mkfat(slice, &o, files, n, &err), err);
	ibb_disk_unref(slice);
}

static struct ibb_boot look(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_ptable t = {0};
	struct ibb_boot b = {.number = 99};

	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_ok(ibb_boot_read(d, &t, &b, &err), err);
	ibb_ptable_clear(&t);
	return b;
}

/* Look, and forget the disk. */
static struct ibb_boot look_once(struct ibb_disk *d)
{
	struct ibb_boot b = look(d);

	ibb_disk_unref(d);
	return b;
}

static const struct mkfat_file efi[] = {
	{EFI_MANAGER, "MZ12", 4}, {EFI_STORE, "regf1", 5}, {EFI_FALLBACK, "MZ", 2}};

static void test_esp(void **state)
{
	static const struct {
		struct mkfat_file files[3];
		size_t n;
		const char *generation, *manager, *store, *damaged;
	} rows[] = {
		{{{EFI_MANAGER, "MZ", 2}, {EFI_STORE, "regf", 4}},
		 2,
		 "V2",
		 EFI_MANAGER,
		 EFI_STORE,
		 NULL},
		{{{EFI_FALLBACK, "MZ", 2}, {EFI_STORE, "regf", 4}},
		 2,
		 "V2",
		 EFI_FALLBACK,
		 EFI_STORE,
		 NULL},
		{{{"efi/microsoft/boot/BOOTMGFW.EFI", "MZ", 2},
		  {"efi/microsoft/boot/bcd", "regf", 4}},
		 2,
		 "V2",
		 EFI_MANAGER,
		 EFI_STORE,
		 NULL},
		{{{EFI_MANAGER, "MZ", 2}}, 1, NULL, EFI_MANAGER, NULL, NULL},
		{{{EFI_STORE, "regf", 4}}, 1, NULL, NULL, EFI_STORE, NULL},
		{{{"EFI/", NULL, 0}}, 1, NULL, NULL, NULL, NULL},
		{{{EFI_MANAGER, "MZ", 2}, {EFI_STORE, "refg", 4}},
		 2,
		 NULL,
		 EFI_MANAGER,
		 NULL,
		 EFI_STORE},
		{{{EFI_MANAGER, "", 0}, {EFI_STORE, "regf", 4}},
		 2,
		 NULL,
		 NULL,
		 EFI_STORE,
		 EFI_MANAGER},
		{{{EFI_MANAGER, "\0\0", 2}, {EFI_STORE, "regf", 4}, {EFI_FALLBACK, "MZ", 2}},
		 3,
		 "V2",
		 EFI_FALLBACK,
		 EFI_STORE,
		 EFI_MANAGER},
		{{{EFI_MANAGER "/", NULL, 0}, {EFI_STORE, "regf", 4}},
		 2,
		 NULL,
		 NULL,
		 EFI_STORE,
		 EFI_MANAGER},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_disk *d = disk(IBB_PTABLE_GPT, 2, 1);
		struct ibb_boot b;

		format(d, 0, rows[i].files, rows[i].n);
		b = look_once(d);
		assert_int_equal(b.table, IBB_PTABLE_GPT);
		assert_int_equal(b.n_candidates, 1);
		assert_int_equal(b.number, 1);
		assert_int_equal(b.problem.code, 0);
		assert_string_equal(b.file_system, "FAT16");
		assert_false(b.mbr_code);
		if (rows[i].generation)
			assert_string_equal(ibb_boot_generation(&b), rows[i].generation);
		else
			assert_null(ibb_boot_generation(&b));
		if ((rows[i].manager && (!b.manager || strcmp(b.manager, rows[i].manager))) ||
		    (!rows[i].manager && b.manager))
			fail_msg("row %zu: boot manager %s", i, b.manager ? b.manager : "missing");
		assert_int_equal(b.store != NULL, rows[i].store != NULL);
		if (rows[i].damaged)
			assert_string_equal(b.damaged, rows[i].damaged);
		else
			assert_null(b.damaged);
		ibb_boot_clear(&b);
	}
}

static void test_which_esp(void **state)
{
	struct ibb_disk *d = disk(IBB_PTABLE_GPT, 3, 0);
	struct ibb_boot b;

	(void)state;
	format(d, 0, efi, IBB_ARRAY_SIZE(efi)); /* of another type: firmware passes it by */
	b = look_once(d);
	assert_int_equal(b.n_candidates, 0);
	assert_null(ibb_boot_generation(&b));
	d = disk(IBB_PTABLE_GPT, 3, 2);
	b = look(d);
	assert_int_equal(b.n_candidates, 2);
	assert_int_equal(b.number, 1);
	assert_null(b.file_system);
	assert_null(ibb_boot_generation(&b));
	format(d, 1, efi, IBB_ARRAY_SIZE(efi));
	b = look(d);
	assert_int_equal(b.number, 2);
	assert_string_equal(ibb_boot_generation(&b), "V2");
	format(d, 0, efi, IBB_ARRAY_SIZE(efi));
	b = look_once(d);
	assert_int_equal(b.number, 1);
}

static void test_damaged_esp(void **state)
{
	struct ibb_disk *d = disk(IBB_PTABLE_GPT, 1, 1);
	struct ibb_boot b;

	(void)state;
	format(d, 0, efi, IBB_ARRAY_SIZE(efi));
	write_at(d, PART(0) + 13, "\3", 1);
	b = look_once(d);
	assert_int_equal(b.problem.code, IBB_E_CORRUPT);
	assert_string_equal(b.problem.msg, "partition 1: FAT boot sector: sectors per cluster (3)");
	assert_null(b.file_system);
	assert_null(ibb_boot_generation(&b));
}

static void test_active(void **state)
{
	static const struct mkfat_file files[] = {{"bootmgr", "\xeb\xfe", 2},
						  {"Boot/BCD", "regf", 4}};
	struct ibb_disk *d = disk(IBB_PTABLE_MBR, 2, 1);
	struct ibb_boot b;

	(void)state;
	b = look(d);
	assert_int_equal(b.n_candidates, 1);
	assert_null(b.file_system);
	assert_int_equal(b.problem.code, 0);
	format(d, 0, files, 1);
	b = look(d);
	assert_string_equal(b.file_system, "FAT16");
	assert_string_equal(b.manager, "bootmgr");
	assert_null(b.store);
	format(d, 0, files, 2);
	b = look(d);
	assert_string_equal(b.store, "Boot/BCD");
	assert_false(b.mbr_code || b.boot_sector);
	assert_null(ibb_boot_generation(&b));
	write_at(d, CODE_OFF - 1, "\xcc", 1);
	b = look(d);
	assert_true(b.mbr_code);
	assert_false(b.boot_sector);
	assert_null(ibb_boot_generation(&b));
	write_at(d, PART(0) + BOOT_CODE_OFF, "\xcc", 1);
	b = look(d);
	assert_true(b.boot_sector);
	assert_string_equal(ibb_boot_generation(&b), "V1");
	write_at(d, CODE_OFF - 1, "\0", 1);
	b = look(d);
	assert_null(ibb_boot_generation(&b));
	write_at(d, CODE_OFF, "\xcc", 1); /* the disk's signature is no code */
	b = look(d);
	assert_false(b.mbr_code);
	write_at(d, 0, "\xcc", 1);
	write_at(d, 446, "\0", 1); /* no longer active */
	b = look(d);
	assert_int_equal(b.n_candidates, 0);
	assert_null(ibb_boot_generation(&b));
	write_at(d, 446, "\x80", 1);
	write_at(d, 446 + 16, "\x80", 1); /* and a second one */
	b = look_once(d);
	assert_int_equal(b.n_candidates, 2);
	assert_null(ibb_boot_generation(&b));
}

static void test_no_table(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_boot b;

	(void)state;
	assert_ok(ibb_disk_mem_new(DISK, 512, &d, &err), err);
	b = look_once(d);
	assert_int_equal(b.table, IBB_PTABLE_NONE);
	assert_int_equal(b.n_candidates, 0);
	assert_null(ibb_boot_generation(&b));
}

static void test_bitlocker(void **state)
{
	static const uint8_t to_go[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
					  0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
	struct ibb_disk *d = disk(IBB_PTABLE_GPT, 4, 1);
	struct ibb_boot b;

	(void)state;
	format(d, 0, efi, IBB_ARRAY_SIZE(efi));
	b = look(d);
	assert_int_equal(b.n_encrypted, 0);
	ibb_boot_clear(&b);
	write_at(d, PART(1) + 3, "-FVE-FS-", 8);
	write_at(d, PART(3) + 0x1a8, to_go, sizeof(to_go));
	b = look_once(d);
	assert_int_equal(b.n_encrypted, 2);
	assert_int_equal(b.encrypted[0], 2);
	assert_int_equal(b.encrypted[1], 4);
	assert_int_equal(b.n_unread, 0);
	assert_string_equal(ibb_boot_generation(&b), "V2");
	ibb_boot_clear(&b);
	assert_null(b.encrypted);
}

/* Reads that fail are facts about a partition, but for the first sector; memory is an error. */
static void test_faults(void **state)
{
	struct ibb_disk *d = disk(IBB_PTABLE_GPT, 2, 1);
	struct ibb_error err = {0};
	struct ibb_ptable t = {0};
	unsigned unread = 0, problems = 0;

	(void)state;
	format(d, 0, efi, IBB_ARRAY_SIZE(efi));
	write_at(d, PART(1) + 3, "-FVE-FS-", 8);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	for (long i = 0;; i++) {
		struct ibb_fault plan = {.fail_at = {i, -1, -1}, .cut_after = -1, .os_errno = 5};
		struct ibb_disk *faulty = NULL;
		struct ibb_boot b = {0};
		int r;

		assert_ok(ibb_disk_fault_new(d, &plan, &faulty, &err), err);
		r = ibb_boot_read(faulty, &t, &b, &err);
		ibb_disk_unref(faulty);
		assert_int_equal(r, i ? IBB_OK : IBB_E_IO);
		unread += b.n_unread;
		problems += b.problem.code == IBB_E_IO;
		if (!r)
			assert_int_equal(ibb_boot_generation(&b) != NULL, !b.problem.code);
		ibb_boot_clear(&b);
		if (plan.count[IBB_FAULT_READ] <= i)
			break;
		assert_in_range(i, 0, 200);
	}
	assert_int_equal(unread, 2);
	assert_in_range(problems, 5, 200);
	for (long i = 0;; i++) {
		struct ibb_boot b = {0};
		int r;

		ibb_mem_fail_at(i, false);
		r = ibb_boot_read(d, &t, &b, &err);
		ibb_mem_fail_at(-1, false);
		ibb_boot_clear(&b);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_in_range(i, 0, 200);
	}
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_esp),	    cmocka_unit_test(test_which_esp),
		cmocka_unit_test(test_damaged_esp), cmocka_unit_test(test_active),
		cmocka_unit_test(test_no_table),    cmocka_unit_test(test_bitlocker),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
