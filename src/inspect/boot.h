/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a disk starts from: the boot files of an EFI system partition or of an active partition, and
 * which partitions are encrypted. Reads, never writes.
 * Sources: UEFI Specification 2.10, 3.5.1.1 (removable media boot behaviour) and 13.3; Microsoft,
 * "BCDBoot Command-Line Options" and "BIOS/MBR-based hard drive partitions".
 */
#ifndef IBB_INSPECT_BOOT_H
#define IBB_INSPECT_BOOT_H

#include "disk/partition.h"

struct ibb_boot {
	enum ibb_ptable_kind table;
	bool mbr_code;	       /* the first sector holds boot code */
	unsigned n_candidates; /* EFI system partitions (GPT), active partitions (MBR) */
	/* the first candidate that has everything, else the first one: */
	unsigned number;
	const char *file_system;     /* "FAT32", "NTFS", ...; NULL when it holds neither */
	bool boot_sector;	     /* MBR: its first sector holds boot code */
	const char *manager, *store; /* paths of what was found, else NULL */
	const char *damaged;	  /* path of a file that is there, but is not what it should be */
	struct ibb_error problem; /* why it could not be looked into; code 0 when it could */
	/* BitLocker */
	unsigned *encrypted; /* numbers of partitions */
	size_t n_encrypted;
	unsigned n_unread; /* partitions whose first sector could not be read */
};

/* What is in the way of reading one partition is a fact about it. IBB_E_NOMEM, and what reading
 * the first sector of the disk says. */
int ibb_boot_read(struct ibb_disk *d, const struct ibb_ptable *t, struct ibb_boot *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_boot_clear(struct ibb_boot *b);
/* "V1" or "V2", as Azure calls the Hyper-V generation that can start it; NULL when neither can, or
 * when it is not known. */
const char *ibb_boot_generation(const struct ibb_boot *b);

#endif
