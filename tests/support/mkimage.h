/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole disk image: container, partition table, volumes. */
#ifndef IBB_TEST_MKIMAGE_H
#define IBB_TEST_MKIMAGE_H

#include "base/guid.h"
#include "mkwindows.h"

enum mkimage_role {
	MKIMAGE_ESP,
	MKIMAGE_MSR,
	MKIMAGE_WINDOWS,
	MKIMAGE_WINDOWS2,
	MKIMAGE_SYSTEM, /* "System Reserved" of an MBR disk: NTFS without Windows */
	MKIMAGE_RECOVERY
};
const char *mkimage_role_name(enum mkimage_role role);

struct mkimage_part {
	enum mkimage_role role;
	unsigned number; /* 0: the whole disk, no table */
	uint64_t off, len;
};
#define MKIMAGE_MAX_PARTS 8

enum mkimage_table { MKIMAGE_GPT, MKIMAGE_MBR, MKIMAGE_NONE };

struct mkimage {
	bool vhd;
	uint64_t size; /* of the disk, without the footer */
	uint32_t sector;
	enum mkimage_table table;
	bool second_windows, recovery;
	bool no_boot_files;	    /* neither boot code nor boot manager: nothing starts from it */
	const char *recovery_winre; /* a host file: Winre.wim of the recovery partition */
	struct mkwindows windows;
	int64_t unix_time;
	uint64_t seed;
};
struct mkimage_layout {
	size_t n;
	struct mkimage_part parts[MKIMAGE_MAX_PARTS];
};

/* IBB_E_EXISTS when `path` is there. On failure the file is removed. */
int mkimage(const char *path, const struct mkimage *m, struct mkimage_layout *ret,
	    struct ibb_error *err) IBB_MUST_CHECK;

#endif
