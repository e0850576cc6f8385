/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of fat: small volumes of every kind. */
#include "mkcorpus.h"

#include "base/le.h"
#include "fuzz.h"
#include "mkfat.h"

#define KIB 1024ull

static void one(const char *name, uint64_t bytes, uint32_t sector, const struct mkfat_opts *o)
{
	static uint8_t program[3000];
	const struct mkfat_file files[] = {
		{"EFI/Microsoft/Boot/bootmgfw.efi", program, sizeof(program)},
		{"EFI/Microsoft/Boot/BCD", "regf", 4},
		{"EFI/Boot/bootx64.efi", "MZ", 2},
		{"EFI/A name that needs three entries.text", "long", 4},
		{"bootmgr", program, 1},
	};
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	uint8_t *b = malloc(4 + bytes);
	size_t n = 4 + bytes;

	memset(program, 0x5a, sizeof(program));
	FUZZ_CHECK(b, "out of memory");
	FUZZ_CHECK(!ibb_disk_mem_new(bytes, sector, &d, &err) &&
			   !mkfat(d, o, files, IBB_ARRAY_SIZE(files), &err) &&
			   !ibb_disk_pread(d, b + 4, bytes, 0, &err),
		   "%s", err.msg);
	ibb_disk_unref(d);
	ibb_put_le32(b, (uint32_t)(bytes / 512 - 1));
	while (n > 4 && !b[n - 1])
		n--;
	mkcorpus_write("fat", name, b, n);
	free(b);
}

void mkcorpus_fat(void)
{
	one("fat12", 64 * KIB, 512, &(struct mkfat_opts){.bits = 12, .root_entries = 16});
	one("fat12-scattered", 128 * KIB, 512,
	    &(struct mkfat_opts){.bits = 12, .root_entries = 32, .stride = 5, .tables = 1});
	one("fat16", 2560 * KIB, 512,
	    &(struct mkfat_opts){.bits = 16, .root_entries = 16, .tables = 1});
	one("fat32", 96 * KIB, 512, &(struct mkfat_opts){.bits = 32, .stride = 2});
	one("fat32-second-table", 96 * KIB, 512,
	    &(struct mkfat_opts){.bits = 32, .active_table = 1});
	one("fat32-clusters", 512 * KIB, 512,
	    &(struct mkfat_opts){.bits = 32, .per_cluster = 4, .tables = 1});
	one("fat12-4096", 512 * KIB, 4096, &(struct mkfat_opts){.bits = 12, .tables = 1});
}
