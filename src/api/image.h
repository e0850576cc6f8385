/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image opened down to its Windows volume. The source file is only ever read. */
#ifndef IBB_API_IMAGE_H
#define IBB_API_IMAGE_H

#include "disk/chain.h"
#include "disk/partition.h"
#include "inspect/facts.h"
#include "manifest/manifest.h"

#define IBB_SYSTEM_HIVE "Windows/System32/config/SYSTEM"

/* What lies in one partition. */
struct ibb_found {
	bool ntfs, windows;
	struct ibb_error problem; /* why it could not be looked into; code 0 when it could */
};

struct ibb_image {
	char *path;
	struct ibb_chain chain; /* the file, and the parents of a differencing disk */
	bool second_opinion_off;
	struct ibb_opinion_result opinion; /* libvhdi's, unless it is off */
	struct ibb_disk *overlay;	   /* copy-on-write over the chain's disk */
	struct ibb_disk *slice;		   /* the Windows partition of the overlay */
	struct ibb_ptable table;
	struct ibb_found *found; /* one per partition */
	size_t windows;		 /* index of the Windows partition, when `volume` is set */
	struct ibb_volume *volume;
	struct ibb_volume_info info;
};

/* The image file itself, and the disk in it (with what its parents hold). */
static inline struct ibb_disk *ibb_image_file(const struct ibb_image *im)
{
	return im->chain.links[0].file;
}
static inline struct ibb_disk *ibb_image_disk(const struct ibb_image *im)
{
	return im->chain.disk;
}
static inline enum ibb_container ibb_image_kind(const struct ibb_image *im)
{
	return im->chain.links[0].kind;
}

struct ibb_image_opts {
	bool second_opinion_off;    /* do not ask libvhdi */
	bool accept_changed_parent; /* see ibb_chain_parents_kept() */
};
/*
 * The disk of an image: containers off, parents under it and as the image knows them, and libvhdi
 * sees the same (*ret_said is all zero when it is not asked).
 */
int ibb_image_open_chain(const char *path, const struct ibb_image_opts *opts, struct ibb_chain *ret,
			 struct ibb_opinion_result *ret_said, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * As above, and the partition table; looks into every NTFS partition.
 * `opts` may be NULL: defaults. IBB_E_CORRUPT, ...
 */
int ibb_image_open(const char *path, const struct ibb_image_opts *opts, struct ibb_image **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Open the Windows volume: partition `number`, or the one that holds Windows when 0. None or
 * several: IBB_E_UNSUPPORTED (with the reason why a partition could not be looked into).
 */
int ibb_image_open_windows(struct ibb_image *im, unsigned number, bool writable,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* The volume of a partition by its index, whatever is in it; closed by the caller. */
int ibb_image_open_partition(struct ibb_image *im, size_t i, bool writable, struct ibb_volume **ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* Close the volume and open it again on the overlay, read-only. */
int ibb_image_reopen(struct ibb_image *im, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_image_close(struct ibb_image *im);
IBB_DEFINE_CLEANUP(struct ibb_image *, ibb_image_close)

/* For documents: what libvhdi said of a chain, or that it was off (`said` is not looked at then).
 */
void ibb_image_opinion(const struct ibb_chain *c, bool off, const struct ibb_opinion_result *said,
		       struct ibb_identity_opinion *ret);
/* Identity of the image as it lies in the file `path` of file_bytes. */
int ibb_image_identity(const struct ibb_image *im, const char *path, struct ibb_identity *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
