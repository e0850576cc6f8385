/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a differencing disk says of its parent. Every text comes from the file as it stands: it is
 * untrusted, and on Linux a Windows path only helps to guess where the parent may lie.
 */
#ifndef IBB_DISK_LINK_H
#define IBB_DISK_LINK_H

#include "disk/disk.h"

#define IBB_PARENT_LOCATORS 16 /* VHD has room for 8, VHDX knows 3 kinds of path */

enum ibb_locator_kind {
	IBB_LOCATOR_RELATIVE, /* VHD "W2ru" (and the older "Wi2r"), VHDX relative_path */
	IBB_LOCATOR_ABSOLUTE, /* VHD "W2ku" (and "Wi2k"), VHDX absolute_win32_path */
	IBB_LOCATOR_VOLUME,   /* VHDX volume_path: \\?\Volume{...}\... */
	IBB_LOCATOR_NAME,     /* VHD "Parent Unicode Name": a file name or path */
	IBB_LOCATOR_URL	      /* VHD "MacX": a file URL */
};

struct ibb_locator {
	enum ibb_locator_kind kind;
	char *path; /* UTF-8, separators as they stand; owned */
};

struct ibb_parent_link {
	bool differencing; /* false: the disk has no parent, the rest is zero */
	/* VHD: the unique ID in the parent's footer; VHDX: the parent's DataWriteGuid, as bytes of
	 * the file (for VHDX parsed from the text of parent_linkage into that order) */
	struct ibb_guid id;
	/* VHDX parent_linkage2, unless it is zeros: the second DataWriteGuid that counts as well */
	bool has_id2;
	struct ibb_guid id2;
	/* VHD: the parent's modification time, unless it is 0; hosts do not keep it exact */
	bool has_timestamp;
	uint32_t timestamp_s; /* seconds since 2000-01-01 UTC */
	size_t n;
	struct ibb_locator locators[IBB_PARENT_LOCATORS];
};
void ibb_parent_link_clear(struct ibb_parent_link *l);

#endif
