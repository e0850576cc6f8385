/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A FAT volume: the number of its sectors (4 bytes), then its beginning; the rest reads as zeros.
 * What is found can be read as far as it goes, or the volume is corrupt; nothing else happens.
 */
#include "fuzz.h"

#include "base/le.h"
#include "disk/disk.h"
#include "volume/fat.h"

#define MAX_SECTORS 262144u /* 128 MiB, of which what is written costs memory */
#define READ_BYTES  70000u

static const char *const paths[] = {
	"EFI/Microsoft/Boot/bootmgfw.efi",
	"EFI/Microsoft/Boot/BCD",
	"EFI/Boot/bootx64.efi",
	"bootmgr",
	"EFI",
	"EFI/A name that needs three entries.text",
	"EFI/MICROS~1/Boot",
};

static void check_error(int r, const struct ibb_error *err)
{
	FUZZ_CHECK(r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT, "%d %s", r, err->msg);
	FUZZ_CHECK(err->msg[0] && !strchr(err->msg, '\n'), "%s", err->msg);
}

static void look_for(struct ibb_fat *f, const char *path)
{
	struct ibb_error err = {0};
	struct ibb_fat_stat st = {true, 4711}, again;
	struct ibb_buf b = {0};
	int r = ibb_fat_find(f, path, &st, &err);

	if (r) {
		check_error(r, &err);
		FUZZ_CHECK(st.directory && st.size_bytes == 4711, "a failure left something");
		return;
	}
	FUZZ_CHECK(!st.directory || !st.size_bytes, "a directory of %u bytes", st.size_bytes);
	FUZZ_CHECK(!ibb_fat_find(f, path, &again, &err) && again.size_bytes == st.size_bytes &&
			   again.directory == st.directory,
		   "another answer");
	r = ibb_fat_read(f, path, READ_BYTES, &b, &err);
	if (st.directory)
		FUZZ_CHECK(r == IBB_E_CONFLICT && !b.data, "a directory is read: %d", r);
	else if (r)
		check_error(r, &err);
	else
		FUZZ_CHECK(b.len == (st.size_bytes < READ_BYTES ? st.size_bytes : READ_BYTES),
			   "%zu of %u bytes", b.len, st.size_bytes);
	ibb_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_fat *f = NULL;
	uint64_t bytes;
	int r;

	if (size < 4)
		return 0;
	bytes = 512ull * (1 + ibb_get_le32(data) % MAX_SECTORS);
	data += 4;
	size -= 4;
	FUZZ_CHECK(!ibb_disk_mem_new(bytes, 512, &d, &err), "%s", err.msg);
	FUZZ_CHECK(!ibb_disk_pwrite(d, data, size < bytes ? size : (size_t)bytes, 0, &err), "%s",
		   err.msg);
	r = ibb_fat_open(d, &f, &err);
	ibb_disk_unref(d);
	if (r) {
		FUZZ_CHECK(!f, "a failure left something");
		check_error(r, &err);
		return 0;
	}
	FUZZ_CHECK(ibb_fat_bits(f) == 12 || ibb_fat_bits(f) == 16 || ibb_fat_bits(f) == 32, "%u",
		   ibb_fat_bits(f));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(paths); i++)
		look_for(f, paths[i]);
	ibb_fat_close(f);
	return 0;
}

/* ---- damage: fields of the boot sector, of directory entries, of the table ---- */

static void spoil_boot(uint8_t *boot, uint64_t *rnd)
{
	static const struct {
		uint8_t at, n;
	} fields[] = {{11, 2}, {13, 1}, {14, 2}, {16, 1}, {17, 2}, {19, 2},
		      {22, 2}, {32, 4}, {36, 4}, {40, 2}, {44, 4}};
	const uint32_t values[] = {0,	   1,	   2,	       0x7fff,	   0x8000,
				   0xffff, 0x1000, 0x0ffffff7, 0xffffffff, fuzz_rnd(rnd, 256)};
	unsigned i = fuzz_rnd(rnd, IBB_ARRAY_SIZE(fields));
	uint32_t v = values[fuzz_rnd(rnd, IBB_ARRAY_SIZE(values))];
	uint8_t b[4];

	ibb_put_le32(b, v);
	memcpy(boot + fields[i].at, b, fields[i].n);
}

/* Anywhere behind the boot sector: where something is, an entry's field or a number of the table.
 */
static void spoil_rest(uint8_t *p, size_t size, uint64_t *rnd)
{
	static const uint8_t entry[] = {0, 0, 11, 13, 20, 26, 27, 28, 31};
	size_t at = 512 + fuzz_rnd(rnd, (uint32_t)(size - 512));

	for (unsigned i = 0; i < 512 && at + 1 < size && !p[at]; i++)
		at++;
	if (fuzz_rnd(rnd, 2))
		at = at / 32 * 32 + entry[fuzz_rnd(rnd, IBB_ARRAY_SIZE(entry))];
	if (at >= size)
		return;
	p[at] = fuzz_rnd(rnd, 2) ? (uint8_t)(p[at] + fuzz_rnd(rnd, 5) - 2)
				 : (uint8_t[]){0, 0xe5, 0x0f, 0x10, 0x41, 0xff}[fuzz_rnd(rnd, 6)];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	if (size < 4 + 1024 || !fuzz_rnd(&state, 6))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = 1 + fuzz_rnd(&state, 4); k--;) {
		if (!fuzz_rnd(&state, 4))
			spoil_boot(data + 4, &state);
		else
			spoil_rest(data + 4, size - 4, &state);
	}
	return size;
}
