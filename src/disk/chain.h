/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An image file opened with everything it rests on: the container is taken off, and the parents of
 * a differencing disk are found, checked and put under it.
 */
#ifndef IBB_DISK_CHAIN_H
#define IBB_DISK_CHAIN_H

#include "disk/vhd.h"
#include "disk/vhdx.h"

/* What led to a file of a chain. */
enum ibb_found_by {
	IBB_FOUND_GIVEN,    /* the image itself */
	IBB_FOUND_RELATIVE, /* the relative path of a locator */
	IBB_FOUND_ABSOLUTE, /* the file name of an absolute Windows path, in the child's directory
			     */
	IBB_FOUND_NAME,	    /* a name the child gives its parent, in the child's directory */
	IBB_FOUND_ID	    /* the only image of that directory with the wanted identifier */
};
const char *ibb_found_by_name(enum ibb_found_by by); /* "given", "relative-path", ... */

/* One file of a chain. */
struct ibb_link {
	char *path;	       /* as it was opened; owned */
	struct ibb_file_id id; /* state at open time */
	struct ibb_disk *file; /* read-only; held */
	enum ibb_container kind;
	struct ibb_vhd_info vhd;       /* the VHD kinds */
	struct ibb_vhdx_info vhdx;     /* VHDX */
	struct ibb_parent_link parent; /* what it says of its parent; owned */
	enum ibb_found_by found_by;
	struct ibb_disk *disk; /* what it holds, with its parents under it; held */
};
/* "differencing VHD", "fixed VHDX", "raw disk", ... */
const char *ibb_link_kind_name(const struct ibb_link *l);

/*
 * The identifier that a child of this file names: a VHD's unique ID as 32 hexadecimal digits, a
 * VHDX's DataWriteGuid as a GUID; "" for raw disks.
 */
#define IBB_LINK_ID_SIZE 40
void ibb_link_id_text(const struct ibb_link *l, char out[IBB_LINK_ID_SIZE]);
/*
 * Is the file's modification time the one its child remembers (VHD only)? Copying a file may change
 * it: that it is older than that is recorded, never refused.
 */
bool ibb_link_time_agrees(const struct ibb_link *child, const struct ibb_link *parent);
/* Was it written to since, then? (By more than two seconds, as coarse as some file systems are.) */
bool ibb_link_time_later(const struct ibb_link *child, const struct ibb_link *parent);
/* Releases what the link holds and empties it. */
void ibb_link_clear(struct ibb_link *l);

struct ibb_chain {
	size_t n, cap; /* n is at least 1: the image itself comes first, its base last */
	struct ibb_link *links;
	struct ibb_disk *disk; /* the virtual disk; held */
};

/*
 * Open `path` and, for a differencing disk, its parents: by the relative path of a locator, then by
 * the file name of an absolute path and the name of the parent, in the child's directory, letters
 * of either case as on Windows; last by the identifier, among the images of that directory. Each
 * link's identifier is checked. A parent that is missing, is another disk or was changed:
 * IBB_E_UNSUPPORTED, with every path that was looked for. A chain that loops or mixes sector sizes:
 * IBB_E_CORRUPT; deeper than IBB_LIMIT_CHAIN_LINKS: IBB_E_LIMIT. Kinds that are no disk image (WIM,
 * ISO, ...): IBB_E_UNSUPPORTED with what to do.
 */
int ibb_chain_open(const char *path, struct ibb_chain *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_CHANGED when any file of the chain is not what it was when it was opened. */
int ibb_chain_unchanged(const struct ibb_chain *c, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * A VHD's unique ID stays when the file is written to, so that only the time can tell: a parent
 * that was written to after its child was made (ibb_link_time_later()) is IBB_E_UNSUPPORTED, with
 * both times. A VHDX needs no such guess: its DataWriteGuid is checked when the chain is opened.
 */
int ibb_chain_parents_kept(const struct ibb_chain *c, struct ibb_error *err) IBB_MUST_CHECK;
/* Is the file `id` one of the chain's? */
bool ibb_chain_has(const struct ibb_chain *c, const struct ibb_file_id *id);
void ibb_chain_clear(struct ibb_chain *c);

/* How far the second opinion goes for this chain. */
enum ibb_opinion { IBB_OPINION_NONE, IBB_OPINION_IDENTIFIERS, IBB_OPINION_CONTENT };
/* How far it can go, by what is known of libvhdi. *ret_why: why not as far as the content (static),
 * else NULL. */
enum ibb_opinion ibb_chain_opinion(const struct ibb_chain *c, const char **ret_why);
/* How far it went. */
struct ibb_opinion_result {
	enum ibb_opinion scope;
	uint64_t blocks; /* pieces of the disk that were compared */
	char why[400];	 /* why not as far as the content; "" when it did */
};
/*
 * libvhdi's view of the same chain must agree with ours: size, type, identifiers, parents, and a
 * sample of blocks. IBB_E_CORRUPT with what differed. Where libvhdi is known to be wrong (see
 * opinion_sample.c) it is not asked; that it cannot open or read what we can is no contradiction,
 * but makes the scope smaller. Raw disks have no second opinion.
 */
int ibb_chain_second_opinion(const struct ibb_chain *c, struct ibb_opinion_result *ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* The version of libvhdi, "20210425"; static storage. */
const char *ibb_chain_second_version(void);

#endif
