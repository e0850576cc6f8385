/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes. The order of opening and closing follows the rules in ntfs_internal.h. */
#include "volume/ntfs_internal.h"

#include <sys/stat.h>

#define PAGE  4096u
#define PIECE (32 * PAGE) /* read or written at a time */
/*
 * What a new file may need beside its data: index blocks, an MFT extension of 64 records and its
 * bitmap, a new piece of $Secure, each at least a cluster. A put that would not leave that much is
 * refused before anything changes.
 */
#define SPARE_BYTES    (160u << 10)
#define SPARE_CLUSTERS 6u
/* The first id that mkntfs and Windows' format assign; stands in until the real one is set. */
#define FIRST_SECURITY_ID 0x100

static const ntfschar *utf16_of(const struct ibb_buf *name)
{
	return (const ntfschar *)(const void *)name->data;
}

static uint64_t spare(const struct ntfs_be *n)
{
	uint64_t clusters = (uint64_t)SPARE_CLUSTERS * n->vol->cluster_size;

	return clusters > SPARE_BYTES ? clusters : SPARE_BYTES;
}

static int check_space(struct ntfs_be *n, const char *path, uint64_t need, uint64_t have,
		       struct ibb_error *err)
{
	uint64_t free_bytes = n->vol->free_clusters > 0
				      ? (uint64_t)n->vol->free_clusters * n->vol->cluster_size
				      : 0;

	if (need <= have || need - have <= free_bytes)
		return IBB_OK;
	ibb_err(err, IBB_E_NOSPACE,
		"NTFS of %s: %s needs %llu bytes, but only %llu are free in the volume",
		n->lower->name, path, (unsigned long long)(need - have),
		(unsigned long long)free_bytes);
	return ibb_err_hint(err, IBB_E_NOSPACE, "free space in the volume or make it larger");
}

static int write_range(struct ntfs_be *n, ntfs_attr *na, const char *path, const uint8_t *p,
		       uint64_t off, uint64_t len, struct ibb_error *err)
{
	while (len) {
		s64 put = ntfs_attr_pwrite(na, (s64)off, (s64)len, p);

		if (put <= 0)
			return ibb_ntfs_fail(n, put ? errno : EIO, err, "%s: writing at %llu", path,
					     (unsigned long long)off);
		off += (uint64_t)put;
		p += put;
		len -= (uint64_t)put;
	}
	return IBB_OK;
}

int ibb_ntfs_fill_new(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_bytes content,
		      struct ibb_error *err)
{
	ntfs_attr *na;
	int rc = IBB_OK;

	if (!content.len)
		return IBB_OK;
	na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: data", path);
	/* All clusters at once: few runs, and no space is found out before the first write. */
	if (ntfs_attr_truncate_solid(na, (s64)content.len))
		rc = ibb_ntfs_fail(n, errno, err, "%s: allocating %zu bytes", path, content.len);
	if (!rc)
		rc = write_range(n, na, path, content.data, 0, content.len, err);
	ntfs_attr_close(na);
	return rc;
}

/* Entries came or went: as Windows does, that is when the directory was modified. */
static int stamp_dir(struct ntfs_be *n, ntfs_inode *dir, uint64_t time, const char *path,
		     struct ibb_error *err)
{
	struct ntfs_times t;

	ibb_ntfs_get_times(dir, &t);
	t.modify = t.change = time;
	return ibb_ntfs_set_times(n, dir, &t, path, err);
}

/* What the new object inherits. */
static int inherit(struct ntfs_be *n, ntfs_inode *dir, const char *path, bool is_dir,
		   struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf parent = {0};
	int rc = ibb_ntfs_get_sd(n, dir, path, &parent, err);

	if (!rc)
		rc = ibb_security_inherit(ibb_buf_bytes(&parent), is_dir, ret, err);
	return rc ? ibb_err_prefix(err, rc, "%s: security of its directory", path) : IBB_OK;
}

/*
 * A new inode below an open directory, with its descriptor, closed again while the directory is
 * open. ntfs_create() with security id 0 would attach "Everyone: full control", so an id that
 * exists goes in, and the real one replaces it.
 */
static int create_in(struct ntfs_be *n, ntfs_inode *dir, const char *path,
		     const struct ibb_buf *name, bool is_dir, struct ibb_bytes sd, MFT_REF *ret,
		     struct ibb_error *err)
{
	le32 id = dir->security_id ? dir->security_id : const_cpu_to_le32(FIRST_SECURITY_ID);
	ntfs_inode *ni;
	int rc;

	n->base.changed = true;
	ni = ntfs_create(dir, id, utf16_of(name), (u8)(name->len / 2), is_dir ? S_IFDIR : S_IFREG);
	if (!ni)
		return ibb_ntfs_fail(n, errno, err, "%s: creating", path);
	*ret = MK_MREF(ni->mft_no, le16_to_cpu(ni->mrec->sequence_number));
	rc = ibb_ntfs_set_sd(n, ni, sd, path, err);
	if (!rc)
		return ibb_ntfs_close_in_dir(n, &ni, dir, path, err);
	(void)!ibb_ntfs_close_in_dir(n, &ni, dir, path, NULL);
	return rc;
}

int ibb_ntfs_create(struct ntfs_be *n, const char *path, MFT_REF parent, const struct ibb_buf *name,
		    bool is_dir, const struct ibb_bytes *sd, uint64_t time, MFT_REF *ret,
		    struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf inherited = {0};
	ntfs_inode *dir = NULL;
	int rc;

	if (ntfs_forbidden_names(n->vol, utf16_of(name), (int)(name->len / 2), TRUE))
		return ibb_err(err, IBB_E_INVALID, "%s: a name that Windows does not allow", path);
	rc = ibb_ntfs_open(n, parent, path, &dir, err);
	if (rc)
		return rc;
	if (!sd)
		rc = inherit(n, dir, path, is_dir, &inherited, err);
	if (!rc)
		rc = create_in(n, dir, path, name, is_dir, sd ? *sd : ibb_buf_bytes(&inherited),
			       ret, err);
	if (!rc)
		rc = stamp_dir(n, dir, time, path, err);
	return ibb_ntfs_settle(n, &dir, rc, path, err);
}

/* Give the fresh inode its content, attributes and times. The directory is closed by now. */
static int finish(struct ntfs_be *n, const char *path, MFT_REF self, struct ibb_bytes content,
		  const struct ibb_meta *meta, struct ibb_error *err)
{
	const struct ntfs_times t = {meta->time, meta->time, meta->time, meta->time};
	ntfs_inode *ni = NULL;
	int rc = ibb_ntfs_open(n, self, path, &ni, err);

	if (!rc)
		rc = ibb_ntfs_fill_new(n, ni, path, content, err);
	if (!rc)
		rc = ibb_ntfs_set_attributes(n, ni, meta->attributes, path, err);
	if (!rc)
		rc = ibb_ntfs_set_times(n, ni, &t, path, err);
	return ibb_ntfs_settle(n, &ni, rc, path, err);
}

/* A file that lost one of several names: the library dated that change with the present time. */
static int restore_change_time(struct ntfs_be *n, MFT_REF self, uint64_t change, const char *path,
			       struct ibb_error *err)
{
	struct ntfs_times t;
	ntfs_inode *ni = NULL;
	int rc = ibb_ntfs_open(n, self, path, &ni, err);

	if (rc)
		return rc;
	ibb_ntfs_get_times(ni, &t);
	t.change = change;
	rc = ibb_ntfs_set_times(n, ni, &t, path, err);
	return ibb_ntfs_settle(n, &ni, rc, path, err);
}

/*
 * Take one name (and its 8.3 alias) away. The directory keeps its times: the caller stamps it.
 * `name` is the long name.
 */
static int unlink_name(struct ntfs_be *n, const char *path, const struct ntfs_loc *loc,
		       const struct ibb_buf *name, struct ibb_error *err)
{
	ntfs_inode *ni = NULL, *dir = NULL;
	struct ntfs_times t, dir_t;
	bool survives;
	int rc = ibb_ntfs_open(n, loc->self, path, &ni, err);

	if (rc)
		return rc;
	rc = ibb_ntfs_check_removable(n, ni, path, err);
	if (!rc)
		rc = ibb_ntfs_open(n, loc->parent, path, &dir, err);
	if (rc) {
		ibb_ntfs_drop(&ni);
		return rc;
	}
	ibb_ntfs_get_times(ni, &t);
	ibb_ntfs_get_times(dir, &dir_t);
	survives = ibb_ntfs_links(ni) > 1;
	n->base.changed = true;
	/* closes both, also on failure */
	if (ntfs_delete(n->vol, NULL, ni, dir, utf16_of(name), (u8)(name->len / 2))) {
		if (errno == ENOTEMPTY && !n->dev.code) {
			n->base.changed = false;
			return ibb_err(err, IBB_E_CONFLICT, "%s: the directory is not empty", path);
		}
		return ibb_ntfs_fail(n, errno, err, "%s: removing", path);
	}
	if (survives)
		rc = restore_change_time(n, loc->self, t.change, path, err);
	if (!rc) {
		rc = ibb_ntfs_open(n, loc->parent, path, &dir, err);
		if (rc)
			return rc;
		rc = ibb_ntfs_set_times(n, dir, &dir_t, path, err);
		rc = ibb_ntfs_settle(n, &dir, rc, path, err);
	}
	return rc;
}

/* May the existing file be replaced, what is its name, how much space does it give back? */
static int look_at_old(struct ntfs_be *n, const char *path, const struct ntfs_loc *loc,
		       struct ibb_buf *ret_name, uint64_t *ret_bytes, struct ibb_error *err)
{
	ntfs_inode *ni = NULL;
	uint32_t tag;
	int rc = ibb_ntfs_open(n, loc->self, path, &ni, err);

	if (rc)
		return rc;
	tag = ibb_ntfs_reparse_tag(ni);
	if (tag && tag != TAG_WOF)
		rc = ibb_ntfs_check_plain(ni, path, err);
	else if (ntfs_is_dir(ni))
		rc = ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", path);
	else if (ni->mft_no < FILE_first_user)
		rc = ibb_err(err, IBB_E_INVALID, "%s: a system file of NTFS", path);
	else
		rc = ibb_ntfs_long_name(n, ni, loc, ret_name, err);
	*ret_bytes = ibb_ntfs_links(ni) > 1 ? 0 : (uint64_t)ni->allocated_size;
	ibb_ntfs_drop(&ni);
	return rc;
}

static int put_replace(struct ntfs_be *n, const char *path, struct ntfs_loc *loc,
		       struct ibb_bytes content, const struct ibb_meta *meta, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf old_name = {0};
	uint64_t freed = 0, cluster = n->vol->cluster_size;
	uint64_t need = (content.len + cluster - 1) / cluster * cluster + spare(n);
	MFT_REF self = 0;
	int rc = IBB_OK;

	if (loc->exists)
		rc = look_at_old(n, path, loc, &old_name, &freed, err);
	if (!rc)
		rc = check_space(n, path, need, freed, err);
	if (!rc && loc->exists)
		rc = unlink_name(n, path, loc, &old_name, err);
	if (!rc)
		rc = ibb_ntfs_create(n, path, loc->parent, loc->exists ? &old_name : &loc->name,
				     false, NULL, meta->time, &self, err);
	if (!rc)
		rc = finish(n, path, self, content, meta, err);
	return rc;
}

/* Write those pages of one piece that differ from `old`, of which n_old bytes are known. */
static int write_pages(struct ntfs_be *n, ntfs_attr *na, const char *path, uint64_t off,
		       struct ibb_bytes piece, const uint8_t *old, size_t n_old, bool *ret_changed,
		       struct ibb_error *err)
{
	size_t from = 0; /* what differs and is not written yet begins here */

	for (size_t at = 0, len; at < piece.len; at += len) {
		bool differs;

		len = piece.len - at < PAGE ? piece.len - at : PAGE;
		differs = at + len > n_old || memcmp(old + at, piece.data + at, len);
		if (differs && at + len < piece.len)
			continue;
		if (differs)
			at += len; /* the last page */
		if (from < at) {
			int rc;

			n->base.changed = *ret_changed = true;
			rc = write_range(n, na, path, piece.data + from, off + from, at - from,
					 err);
			if (rc)
				return rc;
		}
		if (differs)
			break;
		from = at + len;
	}
	return IBB_OK;
}

/* Write what differs. *ret_changed tells whether anything did. */
static int write_changes(struct ntfs_be *n, ntfs_attr *na, const char *path,
			 struct ibb_bytes content, bool *ret_changed, struct ibb_error *err)
{
	uint64_t old_size = (uint64_t)na->data_size;
	IBB_AUTO_FREE uint8_t *old = ibb_alloc(PIECE);
	int rc = old ? IBB_OK : ibb_err_nomem(err);

	if (!rc && content.len != old_size) {
		n->base.changed = *ret_changed = true;
		if (ntfs_attr_truncate_solid(na, (s64)content.len))
			return ibb_ntfs_fail(n, errno, err, "%s: resizing to %zu bytes", path,
					     content.len);
	}
	for (uint64_t off = 0; !rc && off < content.len; off += PIECE) {
		size_t len = content.len - off < PIECE ? (size_t)(content.len - off) : PIECE;
		uint64_t left = off < old_size ? old_size - off : 0;
		size_t n_old = left < len ? (size_t)left : len;
		s64 got = n_old ? ntfs_attr_pread(na, (s64)off, (s64)n_old, old) : 0;

		if (got != (s64)n_old)
			return ibb_ntfs_fail(n, got < 0 ? errno : EIO, err, "%s: reading at %llu",
					     path, (unsigned long long)off);
		rc = write_pages(n, na, path, off, (struct ibb_bytes){content.data + off, len}, old,
				 n_old, ret_changed, err);
	}
	return rc;
}

static int check_in_place(struct ntfs_be *n, ntfs_inode *ni, const char *path,
			  struct ibb_bytes content, struct ibb_error *err)
{
	uint64_t have = ni->allocated_size > 0 ? (uint64_t)ni->allocated_size : 0;
	int rc;

	if (ntfs_is_dir(ni))
		return ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", path);
	if (ni->mft_no < FILE_first_user)
		return ibb_err(err, IBB_E_INVALID, "%s: a system file of NTFS", path);
	rc = ibb_ntfs_check_plain(ni, path, err);
	if (rc)
		return rc;
	if (ntfs_flags(ni) & le32_to_cpu((uint32_t)FILE_ATTR_COMPRESSED))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: is NTFS-compressed, which must not be changed in place", path);
	if (content.len > have)
		rc = check_space(n, path, content.len + n->vol->cluster_size, have, err);
	return rc;
}

/* The directory stays closed: a file with several names must update all of its directories. */
static int put_in_place(struct ntfs_be *n, const char *path, const struct ntfs_loc *loc,
			struct ibb_bytes content, const struct ibb_meta *meta,
			struct ibb_error *err)
{
	ntfs_inode *ni = NULL;
	ntfs_attr *na = NULL;
	struct ntfs_times t;
	bool changed = false;
	int rc;

	if (!loc->exists)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no such file", path);
	rc = ibb_ntfs_open(n, loc->self, path, &ni, err);
	if (rc)
		return rc;
	ibb_ntfs_get_times(ni, &t);
	rc = check_in_place(n, ni, path, content, err);
	if (!rc) {
		na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
		if (!na)
			rc = ibb_ntfs_fail(n, errno, err, "%s: data", path);
	}
	if (na) {
		rc = write_changes(n, na, path, content, &changed, err);
		ntfs_attr_close(na);
	}
	t.modify = t.change = meta->time;
	if (!rc && changed)
		rc = ibb_ntfs_set_times(n, ni, &t, path, err);
	return ibb_ntfs_settle(n, &ni, rc, path, err);
}

int ibb_ntfs_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		 enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_walk(n, path, &loc, err);
	if (!rc)
		rc = mode == IBB_PUT_IN_PLACE ? put_in_place(n, path, &loc, content, meta, err)
					      : put_replace(n, path, &loc, content, meta, err);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

int ibb_ntfs_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		   struct ibb_error *err)
{
	const struct ibb_bytes nothing = {0};
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	MFT_REF self = 0;
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_walk(n, path, &loc, err);
	if (!rc && loc.exists)
		rc = ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
	if (!rc)
		rc = check_space(n, path, spare(n), 0, err);
	if (!rc)
		rc = ibb_ntfs_create(n, path, loc.parent, &loc.name, true, NULL, meta->time, &self,
				     err);
	if (!rc)
		rc = finish(n, path, self, nothing, meta, err);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

int ibb_ntfs_remove(struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf name = {0};
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	uint32_t tag;
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_find(n, path, &loc, err);
	if (!rc)
		rc = ibb_ntfs_open(n, loc.self, path, &ni, err);
	if (!rc) {
		tag = ibb_ntfs_reparse_tag(ni);
		if (tag && tag != TAG_WOF)
			rc = ibb_ntfs_check_plain(ni, path, err);
		else if (ni->mft_no < FILE_first_user)
			rc = ibb_err(err, IBB_E_INVALID, "%s: a system file of NTFS", path);
	}
	if (!rc)
		rc = ibb_ntfs_long_name(n, ni, &loc, &name, err);
	ibb_ntfs_drop(&ni);
	if (!rc)
		rc = unlink_name(n, path, &loc, &name, err);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

int ibb_ntfs_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		   struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	struct ntfs_times t;
	ntfs_inode *ni = NULL;
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_find(n, path, &loc, err);
	ibb_buf_clear(&loc.name);
	if (!rc)
		rc = ibb_ntfs_open(n, loc.self, path, &ni, err);
	if (rc)
		return ibb_ntfs_end(n, rc, path, err);
	ibb_ntfs_get_times(ni, &t);
	t.modify = t.access = t.change = meta->time;
	v->changed = true;
	rc = ibb_ntfs_set_times(n, ni, &t, path, err);
	rc = ibb_ntfs_settle(n, &ni, rc, path, err);
	return ibb_ntfs_end(n, rc, path, err);
}

/* Neighbouring blocks go down together. */
struct down {
	struct ibb_disk *lower;
	uint8_t *piece;
	uint64_t off;
	size_t len;
};

static int flush_down(struct down *d, struct ibb_error *err)
{
	size_t len = d->len;

	d->len = 0;
	return len ? ibb_disk_pwrite(d->lower, d->piece, len, d->off, err) : IBB_OK;
}

static int copy_down(void *ctx, uint64_t off, const uint8_t *data, size_t len,
		     struct ibb_error *err)
{
	struct down *d = ctx;

	if (off != d->off + d->len || len > PIECE - d->len) {
		int rc = flush_down(d, err);

		if (rc)
			return rc;
		d->off = off;
	}
	memcpy(d->piece + d->len, data, len);
	d->len += len;
	return IBB_OK;
}

int ibb_ntfs_commit(struct ibb_volume *v, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	IBB_AUTO_FREE uint8_t *piece = ibb_alloc(PIECE);
	struct down down = {.lower = n->lower, .piece = piece};
	int rc = IBB_OK;

	if (!piece)
		return ibb_err_nomem(err);
	ibb_ntfs_begin(n);
	errno = 0;
	if (ntfs_umount(IBB_TAKE(n->vol), FALSE))
		rc = ibb_ntfs_fail(n, errno, err, "unmounting");
	rc = ibb_ntfs_end(n, rc, "unmounting", err);
	if (rc || !v->writable || n->staged == n->lower)
		return rc;
	rc = ibb_disk_overlay_dirty(n->staged, copy_down, &down, err);
	if (!rc)
		rc = flush_down(&down, err);
	return rc ? rc : ibb_disk_flush(n->lower, err);
}
