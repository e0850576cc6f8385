/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the WIM back end needs of an NTFS volume of its own, in which it stages: objects with the
 * very metadata that they have in an image. Private to this layer.
 */
#ifndef IBB_VOLUME_NTFS_IMPORT_H
#define IBB_VOLUME_NTFS_IMPORT_H

#include "volume/volume.h"

#define NTFS_OBJECT_ID_BYTES 64u

/* What a FILE_NAME and STANDARD_INFORMATION keep, and what can be set on a plain file. */
#define NTFS_IMPORT_ATTRIBUTES 0x3ba7u

struct ibb_ntfs_import {
	uint64_t created, accessed, modified, changed; /* FILETIME */
	uint32_t attributes;			       /* of NTFS_IMPORT_ATTRIBUTES */
	struct ibb_bytes security;		       /* self-relative */
	const char *dos_name;			       /* NULL: none */
	/* object ID, birth volume ID, birth object ID, domain ID; NULL: none */
	const uint8_t *object_id;
};

/*
 * A volume that nobody else needs: libntfs-3g writes to the disk itself, without a private overlay,
 * so that its content is held once. A change that failed leaves the disk as it is.
 */
int ibb_volume_open_ntfs_scratch(struct ibb_disk *d, struct ibb_volume **ret,
				 struct ibb_error *err) IBB_MUST_CHECK;
/*
 * A directory with this descriptor; of one that exists ("" is the root) only the descriptor
 * changes. The parent has to exist.
 */
int ibb_ntfs_import_dir(struct ibb_volume *v, const char *path, struct ibb_bytes security,
			struct ibb_error *err) IBB_MUST_CHECK;
/* A file that is not there yet, below a directory that is. */
int ibb_ntfs_import_file(struct ibb_volume *v, const char *path, struct ibb_bytes content,
			 const struct ibb_ntfs_import *m, struct ibb_error *err) IBB_MUST_CHECK;

/* How an object came out, to hold it against what became of it in the WIM. */
struct ibb_ntfs_meta {
	uint64_t created, accessed, modified;
	uint32_t attributes;
	uint64_t size_bytes;
	bool directory;
	struct ibb_buf security;
};
int ibb_ntfs_meta(struct ibb_volume *v, const char *path, struct ibb_ntfs_meta *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

#endif
