/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by fat.c and fat_dir.c. */
#ifndef IBB_VOLUME_FAT_INT_H
#define IBB_VOLUME_FAT_INT_H

#include "volume/fat.h"

struct ibb_fat {
	struct ibb_disk *disk;
	unsigned bits;	     /* 12, 16, 32 */
	uint32_t n_clusters; /* their numbers are 2 to n_clusters + 1 */
	uint32_t cluster_bytes;
	uint64_t table_off;	       /* of the table in use */
	uint64_t root_off, root_bytes; /* FAT12, FAT16: the root directory has a place of its own */
	uint32_t root_cluster;	       /* FAT32 */
	uint64_t data_off;
};

struct ibb_fat_entry {
	bool directory;
	uint32_t cluster, size_bytes;
};

/* Is c one of the volume's clusters? IBB_E_CORRUPT says what led there. */
int ibb_fat_check_cluster(const struct ibb_fat *f, uint32_t c, const char *what,
			  struct ibb_error *err) IBB_MUST_CHECK;
/* Where a checked cluster lies on the disk. */
uint64_t ibb_fat_cluster_off(const struct ibb_fat *f, uint32_t c);
/* The cluster that follows the checked cluster c, checked; 0 at the end of the chain. */
int ibb_fat_next(const struct ibb_fat *f, uint32_t c, uint32_t *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_NOTFOUND, IBB_E_CORRUPT. */
int ibb_fat_lookup(struct ibb_fat *f, const char *path, struct ibb_fat_entry *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
