/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An image file opened with everything it rests on: the container is taken off, and the parents of
 * a differencing disk are found, checked and put under it.
 */
#ifndef IBB_DISK_CHAIN_H
#define IBB_DISK_CHAIN_H

#include "disk/vhd.h"
#include "disk/vhdx.h"

/* One file of a chain. */
struct ibb_link {
	char *path;	       /* as it was opened; owned */
	struct ibb_file_id id; /* state at open time */
	struct ibb_disk *file; /* read-only; held */
	enum ibb_container kind;
	struct ibb_vhd_info vhd;   /* the VHD kinds */
	struct ibb_vhdx_info vhdx; /* VHDX */
};

struct ibb_chain {
	size_t n; /* at least 1: the image itself comes first, its base last */
	struct ibb_link *links;
	struct ibb_disk *disk; /* the virtual disk; held */
};

/*
 * Open `path` and, for a differencing disk, its parents: by the locators in the order of
 * [MS-VHDX] 2.2.5.2.. and the VHD specification (relative path first), then by name and identifier
 * in the image's directory. Each link's identifier is checked. A parent that is missing, is another
 * disk or was changed: IBB_E_UNSUPPORTED, with every path that was looked for. A chain that loops
 * or is deeper than IBB_LIMIT_CHAIN_LINKS: IBB_E_CORRUPT, IBB_E_LIMIT. Kinds that are no disk image
 * (WIM, ISO, ...): IBB_E_UNSUPPORTED with what to do.
 */
int ibb_chain_open(const char *path, struct ibb_chain *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_CHANGED when any file of the chain is not what it was when it was opened. */
int ibb_chain_unchanged(const struct ibb_chain *c, struct ibb_error *err) IBB_MUST_CHECK;
/* Is the file `id` one of the chain's? */
bool ibb_chain_has(const struct ibb_chain *c, const struct ibb_file_id *id);
void ibb_chain_clear(struct ibb_chain *c);

/*
 * libvhdi's view of the same chain must agree with ours: size, type, identifiers, parents, and a
 * sample of blocks. IBB_E_CORRUPT with what differed. Where libvhdi is known to be wrong (see
 * second_opinion.c) it is not asked. Raw disks have no second opinion. *ret_asked: blocks compared.
 */
int ibb_chain_second_opinion(const struct ibb_chain *c, uint64_t *ret_asked,
			     struct ibb_error *err) IBB_MUST_CHECK;

#endif
