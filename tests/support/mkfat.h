/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Write a FAT volume with files, for tests and generators. Shares no code with the reader that is
 * tested with it.
 */
#ifndef IBB_MKFAT_H
#define IBB_MKFAT_H

#include "disk/disk.h"

struct mkfat_file {
	const char *path; /* '/' between names; directories on the way are made */
	const void *data; /* NULL with size 0 and a '/' at the end of path: an empty directory */
	uint32_t size;
};

struct mkfat_opts {
	unsigned bits;	       /* 12, 16, 32; 0: what suits the size */
	unsigned per_cluster;  /* sectors; 0: 1 */
	unsigned tables;       /* 0: 2 */
	unsigned root_entries; /* FAT12, FAT16; 0: 512 */
	uint64_t hidden_bytes; /* in front of the volume, for the boot sector */
	unsigned stride; /* every so many clusters is used, so that chains are scattered; 0: 1 */
	unsigned active_table; /* FAT32: the only one that is right; mirroring is off when not 0 */
	bool short_only;       /* no long names: what does not fit 8.3 becomes NAME~1 */
};

/* Fill the volume `d`, which reads as zeros before. IBB_E_INVALID, IBB_E_NOSPACE. */
int mkfat(struct ibb_disk *d, const struct mkfat_opts *o, const struct mkfat_file *files, size_t n,
	  struct ibb_error *err) IBB_MUST_CHECK;

#endif
