/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our reader against libfdisk (sfdisk, fdisk) and GPT fdisk (sgdisk), on tables they wrote and on
 * tables the test helper wrote. Skipped as a whole (77) where sfdisk is not installed.
 */
#include "disktest.h"

#include "disk/partition.h"
#include "mkdisk.h"

#define MIB 1048576ull

static const struct ibb_guid disk_guid = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static bool have(const char *tool)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", tool);
	return system(cmd) == 0;
}

static void image_path(char path[4096], const char *name, uint64_t size)
{
	snprintf(path, 4096, "%s/%s", test_dir(), name);
	make_sparse(path, size);
}

static struct ibb_ptable read_image(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_file_id id;
	struct ibb_ptable t;

	assert_ok(ibb_disk_file_open(path, &id, &d, &err), err);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	ibb_disk_unref(d);
	return t;
}

/* Copy a disk of memory over a sparse file. */
static void store(struct ibb_disk *d, const char *path)
{
	struct ibb_error err = {0};
	struct extents e = {0};
	static uint8_t b[65536];

	assert_ok(ibb_disk_extents(d, 0, d->size_bytes, collect_extent, &e, &err), err);
	for (size_t i = 0; i < e.n; i++) {
		uint64_t end = e.e[i].off_bytes + e.e[i].len_bytes;

		for (uint64_t o = e.e[i].off_bytes; e.e[i].data && o < end; o += sizeof(b)) {
			size_t n = end - o < sizeof(b) ? (size_t)(end - o) : sizeof(b);

			assert_ok(ibb_disk_pread(d, b, n, o, &err), err);
			assert_int_equal(patch_file(path, o, b, n), 0);
		}
	}
}

static const char *after(const char *line, const char *key)
{
	const char *p = strstr(line, key);

	return p ? p + strlen(key) : "";
}

/* "sfdisk -d" line by line: number, start, size, type, flags; extended partitions left out. */
static void compare_sfdisk(const char *path, const struct ibb_ptable *t)
{
	char cmd[4200], line[512];
	size_t n = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "sfdisk -d '%s'", path);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *type = after(line, "type=");
		const struct ibb_partition *p = &t->parts[n];

		if (strncmp(line, path, strlen(path)) != 0)
			continue;
		if (t->kind == IBB_PTABLE_MBR &&
		    (strtoul(type, NULL, 16) == 0xf || strtoul(type, NULL, 16) == 5))
			continue;
		assert_true(n < t->n);
		assert_int_equal(strtoul(line + strlen(path), NULL, 10), p->number);
		assert_int_equal(strtoull(after(line, "start="), NULL, 10), p->off_bytes / 512);
		assert_int_equal(strtoull(after(line, "size="), NULL, 10), p->len_bytes / 512);
		if (t->kind == IBB_PTABLE_MBR) {
			assert_int_equal(strtoul(type, NULL, 16), p->mbr_type);
			assert_int_equal(strstr(line, "bootable") != NULL, p->active);
		} else {
			char guid[IBB_GUID_STR_SIZE];

			ibb_guid_format(&p->type, guid);
			assert_int_equal(strncasecmp(type, guid + 1, 36), 0);
			ibb_guid_format(&p->id, guid);
			assert_int_equal(strncasecmp(after(line, "uuid="), guid + 1, 36), 0);
			if (p->name[0])
				assert_int_equal(
					strncmp(after(line, "name=\""), p->name, strlen(p->name)),
					0);
		}
		n++;
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, t->n);
}

static void run_sfdisk(const char *path, const char *script)
{
	char cmd[8192];

	snprintf(cmd, sizeof(cmd), "printf '%s' | sfdisk -q '%s' >/dev/null 2>&1", script, path);
	assert_int_equal(system(cmd), 0);
}

static void test_written_by_sfdisk(void **state)
{
	static const struct {
		enum ibb_ptable_kind kind;
		const char *script;
		size_t n;
	} tables[] = {
		{IBB_PTABLE_GPT,
		 "label: gpt\\nlabel-id: 01020304-0506-0708-090A-0B0C0D0E0F10\\n"
		 "size=64M,type=uefi,name=\"EFI\"\\nsize=16M,type=E3C9E316-0B5C-4DB8-817D-"
		 "F92DF00215AE\\nsize=40M,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,"
		 "name=\"Basic data partition\"\\n",
		 3},
		{IBB_PTABLE_GPT, "label: gpt\\ntable-length: 4\\n2048,4096\\n,+\\n", 2},
		{IBB_PTABLE_GPT, "label: gpt\\ntable-length: 256\\n4096,8\\n2048,8\\n", 2},
		{IBB_PTABLE_MBR,
		 "label: dos\\nlabel-id: 0x12345678\\n,20M,7,*\\n,10M,27\\n,,f\\n,10M,7\\n,"
		 "20M,c\\n,,7\\n",
		 5},
		{IBB_PTABLE_MBR, "label: dos\\n,,5\\n,5M,7\\n,5M,7\\n,5M,7\\n,5M,7\\n,5M,7\\n", 5},
		{IBB_PTABLE_MBR, "label: dos\\n,10M,7\\n,10M,7\\n,10M,7\\n,10M,7\\n", 4},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(tables); i++) {
		struct ibb_ptable t;
		char path[4096];

		image_path(path, "sfdisk.img", 128 * MIB);
		run_sfdisk(path, tables[i].script);
		t = read_image(path);
		assert_int_equal(t.kind, tables[i].kind);
		assert_int_equal(t.n, tables[i].n);
		assert_false(t.primary_damaged);
		assert_false(t.backup_damaged);
		compare_sfdisk(path, &t);
		ibb_ptable_clear(&t);
	}
}

/* Up to 12 partitions in ascending order with gaps, the last four logical when for an MBR. */
static size_t random_parts(struct mkdisk_part parts[12], bool mbr, uint64_t *rng)
{
	size_t n = 1 + (size_t)(test_rand(rng) % (mbr ? 7 : 12));
	uint64_t at = 2 * MIB;

	for (size_t i = 0; i < n; i++) {
		at += test_rand(rng) % 4 * MIB;
		parts[i] = (struct mkdisk_part){
			.off_bytes = at + (i >= 3 ? MIB : 0),
			.len_bytes = (1 + test_rand(rng) % 9 * 64) * 4096,
			.type = mkdisk_data,
			.name = i % 2 ? "Basic data partition" : "x",
			.mbr_type = 0x07,
			.active = i == 0,
			.logical = i >= 3,
		};
		for (unsigned k = 0; k < 16; k++)
			parts[i].id.b[k] = (uint8_t)test_rand(rng);
		at = (parts[i].off_bytes + parts[i].len_bytes + MIB - 1) / MIB * MIB;
	}
	return n;
}

static void test_written_by_us(void **state)
{
	uint64_t seed = test_seed(), rng = seed;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 16; i++) {
		struct mkdisk_part parts[12];
		size_t n = random_parts(parts, i % 2, &rng);
		struct ibb_error err = {0};
		struct ibb_disk *d = NULL;
		struct ibb_ptable t;
		uint64_t size = 128 * MIB + (test_rand(&rng) % 100) * 512;
		char path[4096], cmd[4300];

		image_path(path, "ours.img", size);
		assert_ok(ibb_disk_mem_new(size, 512, &d, &err), err);
		if (i % 2)
			assert_ok(mkdisk_mbr(d, parts, n, 0xcafe0000 + (uint32_t)i, &err), err);
		else
			assert_ok(mkdisk_gpt(d, parts, n, &disk_guid, &err), err);
		store(d, path);
		ibb_disk_unref(d);
		t = read_image(path);
		assert_int_equal(t.n, n);
		compare_sfdisk(path, &t);
		ibb_ptable_clear(&t);
		if (i % 2 || !have("sgdisk"))
			continue;
		snprintf(cmd, sizeof(cmd), "sgdisk -v '%s' | grep -q '^No problems found'", path);
		assert_int_equal(system(cmd), 0);
	}
}

/* 4096-byte sectors: fdisk is the one that can be told. */
static void test_4k(void **state)
{
	const struct mkdisk_part parts[] = {
		{.off_bytes = 1 * MIB, .len_bytes = 64 * MIB, .type = mkdisk_esp, .name = "a"},
		{.off_bytes = 65 * MIB, .len_bytes = 50 * MIB, .type = mkdisk_data, .name = "b"},
	};
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_ptable t;
	char path[4096], cmd[4300], line[256];
	size_t n = 0;
	FILE *f;

	(void)state;
	if (!have("fdisk")) {
		print_message("SKIPPED: no fdisk\n");
		skip();
	}
	image_path(path, "4k.img", 128 * MIB);
	assert_ok(ibb_disk_mem_new(128 * MIB, 4096, &d, &err), err);
	assert_ok(mkdisk_gpt(d, parts, 2, &disk_guid, &err), err);
	store(d, path);
	ibb_disk_unref(d);
	t = read_image(path);
	assert_int_equal(t.sector_bytes, 4096);
	assert_int_equal(t.n, 2);
	snprintf(cmd, sizeof(cmd), "fdisk -b 4096 -l -o Start,Sectors '%s' 2>&1", path);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *end;
		unsigned long long start = strtoull(line, &end, 10);

		assert_null(strstr(line, "corrupt"));
		if (end == line)
			continue;
		assert_true(n < t.n);
		assert_int_equal(start * 4096, t.parts[n].off_bytes);
		assert_int_equal(strtoull(end, NULL, 10) * 4096, t.parts[n].len_bytes);
		n++;
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, 2);
	ibb_ptable_clear(&t);
}

/* The MBR that Windows wrote into a real fixed VHD; sfdisk reads from the start as well. */
static void test_real_mbr(void **state)
{
	const char *gz = test_data("vhds/fixed.vhd.gz");
	struct ibb_ptable t;
	char path[4096], cmd[8500];

	(void)state;
	if (!gz) {
		print_message("SKIPPED: no test data (vhds/fixed.vhd.gz)\n");
		skip();
	}
	image_path(path, "real.img", 0);
	snprintf(cmd, sizeof(cmd), "gzip -dc '%s' | head -c 10485760 > '%s'", gz, path);
	assert_int_equal(system(cmd), 0);
	t = read_image(path);
	assert_int_equal(t.kind, IBB_PTABLE_MBR);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.parts[0].mbr_type, 0x07);
	assert_int_equal(t.parts[0].off_bytes, 65536);
	assert_int_equal(t.parts[0].len_bytes, 14336 * 512);
	compare_sfdisk(path, &t);
	ibb_ptable_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_by_sfdisk),
		cmocka_unit_test(test_written_by_us),
		cmocka_unit_test(test_4k),
		cmocka_unit_test(test_real_mbr),
	};
	char path[4096];

	/* an ordinary user's PATH often lacks the directory of these tools */
	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin",
		 getenv("PATH") ? getenv("PATH") : "/bin");
	setenv("PATH", path, 1);
	if (!have("sfdisk")) {
		puts("SKIPPED: no sfdisk");
		return 77;
	}
	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
