/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes the seeds of the fuzz targets:
 *
 *   ibb-mkcorpus OUT
 *
 * to OUT/TARGET. Some are made from nothing; those whose names begin with "real-" are from
 * IBB_TEST_DATA, when it is there, as far as they are hives cut out of larger ones. What others
 * wrote stays out of the repository, so these are made again for every run.
 */
#include "mkcorpus.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "fuzz_hive.h"
#include "hivebuild.h"

#define T0 132000000000000000ull

static const char *out_dir;
static unsigned n_written;

void mkcorpus_write(const char *target, const char *name, const void *p, size_t n)
{
	char *dir = ibb_asprintf("%s/%s", out_dir, target);
	char *path = ibb_asprintf("%s/%s", dir, name);
	FILE *f = NULL;

	if (!mkdir(dir, 0777) || errno == EEXIST)
		f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
		perror(path);
		exit(1);
	}
	n_written++;
	free(dir);
	free(path);
}

/* ---- programs for hive_edit, see fuzz_hive_edit.c ---- */

/* Some of everything: create, like another, values small and large, own bytes, delete, reopen. */
static const uint8_t all_ops[] = {
	0,  1,	2,  80, 90, 70, 1,  2,	1,  1,	65, 4,	3,  7,	1,  66, 5,  200, 9, 2,	  67,
	7,  16, 39, 5,	1,  68, 7,  0,	63, 3,	1,  69, 8,  0,	1,  2,	72, 8,	 1, 1,	  2,
	73, 12, 2,  40, 3,  2,	12, 1,	0,  4,	1,  13, 5,  0,	10, 1,	66, 9,	 2, 0x81, 11,
	3,  13, 0,  2,	0,  1,	1,  64, 6,  30, 77, 1,	65, 11, 1,  12, 6,  33,	 0, 1};
/* The same with every kind of edit out of memory first, then whole. */
static const uint8_t short_memory[] = {
	14, 0,	0, 1,  1, 80, 90, 0, 1,	 1, 80, 90, 14, 2,  5, 200, 9, 2,  67, 5, 200, 9, 2, 67, 14,
	1,  12, 2, 40, 3, 2,  12, 2, 40, 3, 2,	14, 3,	11, 3, 11,  3, 14, 1,  2, 40,  0, 0, 1};
/* Lists that are split and emptied again. */
static const uint8_t many_keys[] = {2,	230, 0,	 0, 1, 2,  240, 3, 2,  1, 3, 250, 1,  11, 2,
				    11, 9,   13, 0, 0, 11, 30,	2, 15, 7, 5, 1,	  11, 1};

static void write_edit(const char *name, const struct ibb_buf *hive, const uint8_t *program,
		       size_t n)
{
	struct ibb_buf b = {0};
	uint8_t head[2];

	ibb_put_le16(head, (uint16_t)n);
	FUZZ_CHECK(!ibb_buf_append(&b, head, 2) && !ibb_buf_append(&b, program, n) &&
			   !ibb_buf_append(&b, hive->data, hive->len),
		   "out of memory");
	mkcorpus_write("hive_edit", name, b.data, b.len);
	ibb_buf_clear(&b);
}

/* Replace and remove the first value of every key; then anything, the same every time. */
static void write_made_edits(const char *name, const struct ibb_buf *hive)
{
	uint64_t rnd = hive->len;
	uint8_t program[200];

	for (unsigned i = 0; i < 3; i++) {
		char *full = ibb_asprintf("%s-made-%u", name, i);

		for (size_t k = 0; k < sizeof(program); k += 8) {
			const uint8_t first[8] = {
				5, 60, 9, (uint8_t)(k / 8), 0x80, 9, (uint8_t)(k / 8), 0x80};

			memcpy(program + k, first, 8);
		}
		for (size_t k = 0; i && k < sizeof(program); k++)
			program[k] = (uint8_t)fuzz_rnd(&rnd, 256);
		write_edit(full, hive, program, sizeof(program));
		free(full);
	}
}

/* One hive for the targets that take one. */
static void write_hive(const char *name, const struct ibb_buf *hive)
{
	static const struct {
		const char *name;
		const uint8_t *p;
		size_t n;
	} programs[] = {{"all", all_ops, sizeof(all_ops)},
			{"memory", short_memory, sizeof(short_memory)},
			{"many", many_keys, sizeof(many_keys)}};

	mkcorpus_write("hive_base", name, hive->data, hive->len);
	mkcorpus_write("hive_walk", name, hive->data, hive->len);
	/* thousands of keys take their time: not in every hive */
	for (size_t i = 0; i < IBB_ARRAY_SIZE(programs) - !strncmp(name, "real-", 5); i++) {
		char *full = ibb_asprintf("%s-%s", name, programs[i].name);

		write_edit(full, hive, programs[i].p, programs[i].n);
		free(full);
	}
	write_made_edits(name, hive);
}

/* ---- from nothing ---- */

static struct ibb_buf model_hive(void)
{
	struct hivebuild b;
	struct ibb_error err = {0};
	struct ibb_buf hive = {0};

	hivebuild_begin(&b, T0);
	hivebuild_key(&b, "Select");
	hivebuild_dword(&b, "Current", 1);
	hivebuild_dword(&b, "Default", 1);
	hivebuild_key(&b, "ControlSet001\\Services\\mlx5");
	hivebuild_expand(&b, "ImagePath", "\\SystemRoot\\System32\\drivers\\mlx5.sys");
	hivebuild_multi(&b, "Owners", "oem0.inf|mlx5.inf");
	hivebuild_dword(&b, "Start", 0);
	hivebuild_raw(&b, "", IBB_REG_BINARY, "default value", 13);
	hivebuild_security(&b, "O:SYG:SYD:(A;;KA;;;SY)");
	hivebuild_key(&b, "DriverDatabase\\DeviceIds\\pci\\VEN_15B3&DEV_1017");
	hivebuild_raw(&b, "oem0.inf", 0xffff0003, "\1\xff\0\0", 4);
	hivebuild_qword(&b, "Q", 0x0102030405060708);
	for (unsigned i = 0; i < 9; i++)
		hivebuild_key(&b, "list\\k%u", i);
	hivebuild_key(&b, "list\\k4\\\xc3\xa4\xce\xa9");
	hivebuild_sz(&b, "\xce\xa9", "\xe2\x82\xac");
	FUZZ_CHECK(!hivebuild_done(&b, &hive, &err), "%s", err.msg);
	return hive;
}

static const struct {
	const char *name;
	struct cut_how how;
} shapes[] = {
	{"li", {.budget = 40000, .list = "li", .minor = 3}},
	{"lf", {.budget = 40000, .list = "lf", .minor = 4, .classes = true}},
	{"lh-ri", {.budget = 40000, .leaf = 3, .leak = true}},
	{"li-ri", {.budget = 40000, .list = "li", .leaf = 2, .minor = 6, .classes = true}},
	{"big", {.budget = 40000, .big = true}},
	{"big-in-1.3", {.budget = 40000, .big = true, .minor = 3}},
	{"leaks", {.budget = 40000, .leak = true, .classes = true, .max_subkeys = 3}},
};

/* A generated seed is sound, or the generator is at fault. */
static void must_be_sound(const char *name, const struct ibb_buf *hive)
{
	struct ibb_error err = {0};
	struct ibb_hive_check sum;
	struct ibb_hive *h = fuzz_open(hive->data, hive->len, false, &err);

	FUZZ_CHECK(h && !ibb_hive_check(h, &sum, &err), "%s: %s", name, err.msg);
	ibb_hive_close(h);
}

static void from_nothing(void)
{
	struct ibb_buf hive = model_hive(), cut = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h = NULL;

	write_hive("model", &hive);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(shapes); i++) {
		FUZZ_CHECK(!cut_hive(ibb_buf_bytes(&hive), ibb_get_le32(hive.data + 36),
				     &shapes[i].how, &cut),
			   "%s", shapes[i].name);
		/* before 1.4 there is no big data: a cell too small for it, which is to be found */
		if (strcmp(shapes[i].name, "big-in-1.3") != 0)
			must_be_sound(shapes[i].name, &cut);
		write_hive(shapes[i].name, &cut);
		ibb_buf_clear(&cut);
	}
	mkcorpus_write("hive_base", "base-block-only", hive.data, 4096);
	mkcorpus_write("hive_base", "short", hive.data, 4095);
	mkcorpus_write("hive_base", "empty", "", 0);
	ibb_buf_clear(&hive);
	FUZZ_CHECK(!ibb_hive_new("R", T0, &h, &err), "%s", err.msg);
	hive = fuzz_serialize(h);
	write_hive("minimal", &hive);
	ibb_hive_close(h);
	ibb_buf_clear(&hive);
}

/* ---- from real hives ---- */

static const struct {
	const char *file, *key;
	struct cut_how how;
} cuts[] = {
	{"odd/BadListHive", NULL, {0}},
	{"odd/BadSubkeyHive", NULL, {0}},
	{"odd/DupNameHive", NULL, {0}},
	{"odd/EmptyHive", NULL, {0}},
	{"odd/TruncatedHive", NULL, {0}},
	{"odd/UnicodeHive", NULL, {0}},
	{"odd/WrongOrderHive", NULL, {0}},
	{"replay/NewDirtyHive1/NewDirtyHive", NULL, {0}},
	{"replay/NewDirtyHive1/RecoveredHive_Windows10", NULL, {0}},
	{"win10mobile/DRIVERS", NULL, {0}},
	{"odd/BigDataHive", "", {.budget = 60000}},
	{"odd/ManySubkeysHive", "", {.budget = 24000}},
	{"odd/ManySubkeysHive", "", {.budget = 30000, .leaf = 40}},
	{"win10-19041/SYSTEM", "", {.budget = 16000, .max_subkeys = 3}},
	{"win10-19041/SYSTEM", "Select", {.budget = 8000}},
	{"win10-19041/SYSTEM", "ControlSet001\\Services\\mlx4_bus", {.budget = 16000}},
	{"win10-19041/SYSTEM", "ControlSet001\\Services", {.budget = 20000, .max_subkeys = 12}},
	{"win10-19041/SYSTEM",
	 "ControlSet001\\Control\\Class",
	 {.budget = 20000, .max_subkeys = 5}},
	{"win10-19041/SYSTEM", "ControlSet001\\Control\\Lsa", {.budget = 16000}},
	{"win10-19041/SYSTEM", "ControlSet001\\Enum", {.budget = 24000, .max_subkeys = 4}},
	{"win10-19041/SYSTEM", "DriverDatabase", {.budget = 30000, .max_subkeys = 8}},
	{"win10-19041/SYSTEM", "DriverDatabase\\DeviceIds", {.budget = 12000, .max_subkeys = 9}},
	{"win10-1903-dirty-no-logs/SYSTEM", "Setup", {.budget = 16000, .max_subkeys = 6}},
	{"win10-1903-dirty-no-logs/SYSTEM", "DriverDatabase\\DriverPackages", {.budget = 20000}},
	{"win7/SYSTEM", "", {.budget = 16000, .max_subkeys = 4}},
	{"win7/SYSTEM", "ControlSet001\\Control", {.budget = 24000, .max_subkeys = 6}},
};

static const char *data_dir(void)
{
	const char *dir = getenv("IBB_TEST_DATA");

	return dir && *dir ? dir : IBB_TEST_DATA_DEFAULT;
}

bool mkcorpus_read_from(const char *area, const char *rel, struct ibb_buf *ret)
{
	char *path = ibb_asprintf("%s/%s/%s", data_dir(), area, rel);
	struct ibb_error err = {0};
	bool ok = !access(path, R_OK);

	if (ok && ibb_read_file(path, 64u << 20, ret, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	if (!ok && getenv("IBB_REQUIRE_DATA") && !strcmp(getenv("IBB_REQUIRE_DATA"), "1")) {
		fprintf(stderr, "IBB_REQUIRE_DATA=1, but %s is missing\n", path);
		exit(1);
	}
	free(path);
	return ok;
}

bool mkcorpus_read(const char *rel, struct ibb_buf *ret)
{
	return mkcorpus_read_from("hives", rel, ret);
}

void mkcorpus_trim(struct ibb_buf *b)
{
	uint64_t n = b->len < 4096 ? b->len : 4096ull + ibb_get_le32(b->data + 40);

	if (n < b->len)
		b->len = (size_t)n;
}

static void cut_real(const struct ibb_buf *whole, unsigned i, struct ibb_buf *ret)
{
	struct ibb_error err = {0};
	struct ibb_hive *h = fuzz_open(whole->data, whole->len, true, &err);
	struct ibb_bytes bytes = {whole->data, whole->len / 4096 * 4096};
	ibb_key k = 0;

	FUZZ_CHECK(h && !ibb_hive_find(h, ibb_hive_root(h), cuts[i].key, &k, &err), "%s: %s",
		   cuts[i].file, err.msg);
	FUZZ_CHECK(!cut_hive(bytes, k, &cuts[i].how, ret), "%s: %s", cuts[i].file, cuts[i].key);
	ibb_hive_close(h);
}

static void from_real(void)
{
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(cuts); i++) {
		struct ibb_buf whole = {0}, cut = {0};
		char *name = ibb_asprintf("real-%02u", i);

		if (!mkcorpus_read(cuts[i].file, &whole)) {
			printf("SKIPPED: no test data (hives/%s)\n", cuts[i].file);
		} else if (cuts[i].key) {
			cut_real(&whole, i, &cut);
			write_hive(name, &cut);
			if (!strncmp(cuts[i].file, "win", 3))
				must_be_sound(name, &cut);
		} else {
			mkcorpus_trim(&whole);
			write_hive(name, &whole);
		}
		free(name);
		ibb_buf_clear(&whole);
		ibb_buf_clear(&cut);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: ibb-mkcorpus OUT\n");
		return 2;
	}
	out_dir = argv[1];
	if (mkdir(out_dir, 0777) && errno != EEXIST) {
		perror(out_dir);
		return 1;
	}
	from_nothing();
	from_real();
	mkcorpus_vhds();
	mkcorpus_journals();
#ifdef IBB_FUZZ_LOG
	mkcorpus_logs();
#endif
#ifdef IBB_FUZZ_CAT
	mkcorpus_catalogs();
#endif
	mkcorpus_fat();
	mkcorpus_wim();
	mkcorpus_msi();
	mkcorpus_unpack();
	mkcorpus_vhdx();
	printf("%u seeds in %s\n", n_written, out_dir);
	return 0;
}
