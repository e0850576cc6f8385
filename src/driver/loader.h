/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the driver layer: what package.c and unpack.c share while a package is loaded. */
#ifndef IBB_DRIVER_LOADER_H
#define IBB_DRIVER_LOADER_H

#include "driver/package.h"

/* A file the INF asks for, before it is read. */
struct ibb_wanted {
	char *path;	     /* relative, '/' separators */
	const char *cabinet; /* tag or cabinet file of its disk, or NULL */
	char *cabinet_dir;   /* the disk's path, '/' separators, "" for none */
	bool cabinet_first;  /* it is a cabinet, and the file is in it */
	bool packed;	     /* to be taken out of the cabinet */
	bool in_this;	     /* out of the one being read */
	unsigned line;
	struct ibb_buf bytes; /* found in the cabinet */
	int rank;	      /* how well that member's name fits, 0: nothing found yet */
};

struct ibb_loader {
	const struct ibb_package_source *src;
	struct ibb_package *p;
	uint64_t room; /* bytes of IBB_LIMIT_PACKAGE_BYTES still unused */
	struct ibb_wanted *wanted;
	size_t n_wanted, cap_wanted;
	struct ibb_error *err;
};

/* What stands beside the catalog that was read. */
int ibb_loader_other_catalogs(struct ibb_loader *l) IBB_MUST_CHECK;
/* Identity of the package as its files are now. */
int ibb_package_make_digest(const struct ibb_package *p, struct ibb_sha256 *ret,
			    struct ibb_error *err) IBB_MUST_CHECK;
/* Append a file to the package; takes the bytes, also on failure. */
int ibb_loader_add(struct ibb_loader *l, const char *path, struct ibb_buf *bytes) IBB_MUST_CHECK;
/* Does the INF name a cabinet for it? Other names of disks are tag files, which nobody needs. */
bool ibb_wanted_has_cabinet(const struct ibb_wanted *w);
/*
 * The file from its compressed form beside the INF (a.sy_ for a.sys), added to the package.
 * IBB_E_NOTFOUND when there is none; IBB_E_UNSUPPORTED with the remedy when it is no cabinet.
 */
int ibb_loader_expand(struct ibb_loader *l, const struct ibb_wanted *w) IBB_MUST_CHECK;
/* All files marked `packed` out of their cabinets, each cabinet read once. */
int ibb_loader_unpack(struct ibb_loader *l) IBB_MUST_CHECK;

#endif
