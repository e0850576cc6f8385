/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The NTFS back end over libntfs-3g; included by ntfs*.c only.
 *
 * Rules of the library that everything here keeps:
 * - Never two ntfs_inode of one MFT record. Closing a file re-opens its parents to update their
 *   indexes, so no directory that holds one of its names may be open then, except for a new file
 *   and ntfs_inode_close_in_dir().
 * - Fields of ntfs_volume after abs_mnt_point are shifted in Debian's build, and
 *   ntfs_alloc_securid() and ntfs_set_owner_mode() have other prototypes than the headers say.
 * - The inode caches (ntfs_create_lru_caches) stay off: they save nothing in a few hundred
 *   operations, a cached inode keeps its TimesSet state, and after a failed close with them nobody
 *   knows whether the inode is still there. Price: the library then leaks the name (18 bytes) it
 *   looks up when a file with a reparse point is removed.
 * - Not thread safe; its log handler is process-wide.
 */
#ifndef IBB_VOLUME_NTFS_INTERNAL_H
#define IBB_VOLUME_NTFS_INTERNAL_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* ntfstime.h defines struct timespec unless st_mtime is a macro already */
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <ntfs-3g/types.h>
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/cache.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/ntfstime.h>
#include <ntfs-3g/reparse.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/unistr.h>
#include <ntfs-3g/volume.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "volume/backend.h"
#include "volume/security.h"

#define TAG_WOF		0x80000017u
#define TAG_DEDUP	0x80000013u
#define TAG_MOUNT_POINT 0xA0000003u
#define TAG_SYMLINK	0xA000000Cu

struct ntfs_dev {
	struct ibb_disk *disk;
	uint64_t pos;
	int code; /* first error since ntfs_op_begin(), 0 when none */
	struct ibb_error first;
};

struct ntfs_be {
	struct ibb_volume base;
	struct ibb_disk *lower; /* where commit writes to */
	/* private overlay on it: the library sees only this; of a scratch volume the same disk */
	struct ibb_disk *staged;
	struct ntfs_dev dev;
	ntfs_volume *vol;
	char serial[17];
};

static inline struct ntfs_be *to_ntfs(struct ibb_volume *v)
{
	return (struct ntfs_be *)v;
}

/* ntfs_dev.c */
extern struct ntfs_device_operations ibb_ntfs_device_ops;
/* Silence the library's log (stderr by default) and keep its first line for our messages. */
void ibb_ntfs_log_install(void);
void ibb_ntfs_log_reset(void);
const char *ibb_ntfs_log_line(void); /* "" when there is none */
/* Forget old errors and log lines: at the start of every operation. */
void ibb_ntfs_begin(struct ntfs_be *n);
/*
 * The error of a failed library call: the disk's own error if there was one, else from os_errno,
 * with what the library logged.
 */
int ibb_ntfs_fail(struct ntfs_be *n, int os_errno, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(4, 5);
/*
 * Every operation ends here: the library was seen to swallow an I/O error, so an operation during
 * which the disk failed has failed, whatever the library says.
 */
int ibb_ntfs_end(struct ntfs_be *n, int rc, const char *path, struct ibb_error *err);

/* ntfs_state.c */
/* What else a boot sector says it is; IBB_OK for NTFS. */
int ibb_ntfs_probe(struct ibb_disk *d, char ret_serial[17], struct ibb_error *err);
/* The refusals that the library does not make: dirty flag, hibernation in any spelling, ... */
int ibb_ntfs_mount(struct ntfs_be *n, struct ibb_error *err);

/* ntfs.c */
/* Where a path leads. `self` is meaningful when exists; name is the last component as asked. */
struct ntfs_loc {
	MFT_REF parent, self;
	bool exists;
	struct ibb_buf name; /* UTF-16LE */
};
int ibb_ntfs_walk(struct ntfs_be *n, const char *path, struct ntfs_loc *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* As above, and IBB_E_NOTFOUND when the last component is missing. */
int ibb_ntfs_find(struct ntfs_be *n, const char *path, struct ntfs_loc *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_ntfs_open(struct ntfs_be *n, MFT_REF ref, const char *path, ntfs_inode **ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_ntfs_close(struct ntfs_be *n, ntfs_inode **ni, const char *path,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* A new inode, while its only directory is open. */
int ibb_ntfs_close_in_dir(struct ntfs_be *n, ntfs_inode **ni, ntfs_inode *dir, const char *path,
			  struct ibb_error *err) IBB_MUST_CHECK;
/* Close what was only read, or what failed: nothing is written. */
void ibb_ntfs_drop(ntfs_inode **ni);
/* Close what was written to, or drop it when `rc` says that this failed; *ni may be NULL then. */
int ibb_ntfs_settle(struct ntfs_be *n, ntfs_inode **ni, int rc, const char *path,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* The long name of an inode in a directory, for a name that was looked up; UTF-16LE. */
int ibb_ntfs_long_name(struct ntfs_be *n, ntfs_inode *ni, const struct ntfs_loc *loc,
		       struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;
uint32_t ibb_ntfs_reparse_tag(ntfs_inode *ni);
/* IBB_E_UNSUPPORTED when the content is not what its data stream holds. */
int ibb_ntfs_check_plain(ntfs_inode *ni, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

static inline bool ntfs_is_dir(const ntfs_inode *ni)
{
	return (le16_to_cpu(ni->mrec->flags) & le16_to_cpu(MFT_RECORD_IS_DIRECTORY)) != 0;
}
static inline uint32_t ntfs_flags(const ntfs_inode *ni)
{
	return le32_to_cpu((uint32_t)ni->flags);
}

/* The FILE_NAME that a search stands on, and its name, which is not aligned. */
static inline FILE_NAME_ATTR *ntfs_file_name(const ntfs_attr_search_ctx *ctx)
{
	return (void *)((char *)ctx->attr + le16_to_cpu(ctx->attr->value_offset));
}
static inline const ntfschar *ntfs_file_name_chars(const FILE_NAME_ATTR *fn)
{
	return (const void *)((const char *)fn + offsetof(FILE_NAME_ATTR, file_name));
}

/* ntfs_read.c */
int ibb_ntfs_read_data(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
		       struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_ntfs_stream_data(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
			 ibb_piece_fn fn, void *ctx, struct ibb_error *err) IBB_MUST_CHECK;

/* ntfs_meta.c */
struct ntfs_times {
	uint64_t create, modify, access, change;
};
void ibb_ntfs_get_times(const ntfs_inode *ni, struct ntfs_times *ret);
/* Into the inode, STANDARD_INFORMATION and every FILE_NAME; last step before closing. */
int ibb_ntfs_set_times(struct ntfs_be *n, ntfs_inode *ni, const struct ntfs_times *t,
		       const char *path, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_ntfs_set_attributes(struct ntfs_be *n, ntfs_inode *ni, uint32_t attributes,
			    const char *path, struct ibb_error *err) IBB_MUST_CHECK;
/* Names of the file without 8.3 aliases. */
unsigned ibb_ntfs_links(ntfs_inode *ni);
/*
 * Before a name is taken away: IBB_E_CORRUPT for a file whose removal would damage more.
 * The library frees the record when its count of names, 8.3 aliases included, comes down to 0: from
 * a wrong count it goes past it and leaves a record that nobody can reach, or frees one that still
 * has names. And it frees clusters behind the end of the volume, whose bits must stay set.
 */
int ibb_ntfs_check_removable(struct ntfs_be *n, ntfs_inode *ni, const char *path,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* Self-relative descriptor; empty when the inode has none. */
int ibb_ntfs_get_sd(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_buf *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* A shared $Secure id, read back and compared. */
int ibb_ntfs_set_sd(struct ntfs_be *n, ntfs_inode *ni, struct ibb_bytes sd, const char *path,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* ntfs_write.c */
/*
 * A new inode below a directory that is closed, closed again; the directory's times become `time`.
 * `sd` NULL: what it inherits.
 */
int ibb_ntfs_create(struct ntfs_be *n, const char *path, MFT_REF parent, const struct ibb_buf *name,
		    bool is_dir, const struct ibb_bytes *sd, uint64_t time, MFT_REF *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* The data of a file that has none. */
int ibb_ntfs_fill_new(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_bytes content,
		      struct ibb_error *err) IBB_MUST_CHECK;
int ibb_ntfs_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		 enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err);
int ibb_ntfs_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		   struct ibb_error *err);
int ibb_ntfs_remove(struct ibb_volume *v, const char *path, struct ibb_error *err);
int ibb_ntfs_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		   struct ibb_error *err);
int ibb_ntfs_commit(struct ibb_volume *v, struct ibb_error *err);

#endif
