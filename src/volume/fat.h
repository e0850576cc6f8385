/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading FAT12, FAT16 and FAT32: enough to see which files an EFI system partition holds.
 * Read-only, and nothing is trusted: every cluster number is held against the volume, chains and
 * directories are bounded.
 * Sources: Microsoft, "FAT: General Overview of On-Disk Format" 1.03; UEFI Specification 2.10,
 * 13.3 (File System Format).
 */
#ifndef IBB_VOLUME_FAT_H
#define IBB_VOLUME_FAT_H

#include "base/buf.h"
#include "disk/disk.h"

struct ibb_fat;

struct ibb_fat_stat {
	bool directory;
	uint32_t size_bytes; /* 0 of a directory */
};

/*
 * Open the FAT volume that fills `d`, which is referenced. IBB_E_NOTFOUND when there is none,
 * IBB_E_CORRUPT when its boot sector contradicts itself or the disk.
 */
int ibb_fat_open(struct ibb_disk *d, struct ibb_fat **ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_fat_close(struct ibb_fat *f);
IBB_DEFINE_CLEANUP(struct ibb_fat *, ibb_fat_close)
/* 12, 16 or 32. */
unsigned ibb_fat_bits(const struct ibb_fat *f);

/*
 * Look a file or directory up by long or short names, '/' between them, upper and lower case
 * alike. IBB_E_NOTFOUND when a component is missing (or is no directory), IBB_E_CORRUPT.
 */
int ibb_fat_find(struct ibb_fat *f, const char *path, struct ibb_fat_stat *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The first `limit` bytes of a file, or all of it when it is shorter, appended to *ret. The chain
 * of clusters is followed as far as they need it. IBB_E_CONFLICT for a directory.
 */
int ibb_fat_read(struct ibb_fat *f, const char *path, uint32_t limit, struct ibb_buf *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;

#endif
