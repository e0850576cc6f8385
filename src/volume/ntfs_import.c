/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects that come with their metadata. The rules of ntfs_internal.h hold here as well. */
#include "volume/ntfs_import.h"

#include "volume/ntfs_internal.h"

#include <ntfs-3g/object_id.h>

/* The descriptor of something that exists; its own name is the only one that may be open. */
static int set_security(struct ntfs_be *n, MFT_REF self, const char *path, struct ibb_bytes sd,
			struct ibb_error *err)
{
	ntfs_inode *ni = NULL;
	int rc = ibb_ntfs_open(n, self, path, &ni, err);

	if (rc)
		return rc;
	rc = ntfs_is_dir(ni) ? IBB_OK : ibb_err(err, IBB_E_CONFLICT, "%s: is no directory", path);
	if (!rc) {
		n->base.changed = true;
		rc = ibb_ntfs_set_sd(n, ni, sd, path, err);
	}
	return ibb_ntfs_settle(n, &ni, rc, path, err);
}

int ibb_ntfs_import_dir(struct ibb_volume *v, const char *path, struct ibb_bytes security,
			struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	MFT_REF self = 0;
	int rc;

	ibb_ntfs_begin(n);
	v->changed = false;
	rc = ibb_ntfs_walk(n, path, &loc, err);
	if (!rc && loc.exists)
		rc = set_security(n, loc.self, *path ? path : "root directory", security, err);
	else if (!rc)
		rc = ibb_ntfs_create(n, path, loc.parent, &loc.name, true, &security, 0, &self,
				     err);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

/*
 * As ntfs_set_ntfs_attrib(), but also what that function leaves to the library's own judgement: a
 * file that was compressed on the disk the image was taken from says so, and is not compressed
 * here.
 */
static void set_flags(ntfs_inode *ni, uint32_t attributes)
{
	const uint32_t mask = NTFS_IMPORT_ATTRIBUTES & ~le32_to_cpu((uint32_t)FILE_ATTR_NORMAL);
	uint32_t flags = (ntfs_flags(ni) & ~mask) | (attributes & mask);

	ni->flags = (FILE_ATTR_FLAGS)cpu_to_le32(flags);
	NInoFileNameSetDirty(ni);
	ntfs_inode_mark_dirty(ni);
}

/* Before the times are set: it dates the change with the present time. */
static int set_dos_name(struct ntfs_be *n, const char *path, const struct ntfs_loc *loc,
			MFT_REF self, const char *dos_name, struct ibb_error *err)
{
	ntfs_inode *ni = NULL, *dir = NULL;
	int rc = ibb_ntfs_open(n, self, path, &ni, err);

	if (!rc)
		rc = ibb_ntfs_open(n, loc->parent, path, &dir, err);
	if (rc) {
		ibb_ntfs_drop(&ni);
		return rc;
	}
	/* closes both, also on failure */
	if (ntfs_set_ntfs_dos_name(ni, dir, dos_name, strlen(dos_name), 0))
		return ibb_ntfs_fail(n, errno, err, "%s: short name '%s'", path, dos_name);
	return IBB_OK;
}

static int fill(struct ntfs_be *n, const char *path, MFT_REF self, struct ibb_bytes content,
		const struct ibb_ntfs_import *m, struct ibb_error *err)
{
	const struct ntfs_times t = {m->created, m->modified, m->accessed, m->changed};
	ntfs_inode *ni = NULL;
	int rc = ibb_ntfs_open(n, self, path, &ni, err);

	if (!rc)
		rc = ibb_ntfs_fill_new(n, ni, path, content, err);
	if (!rc && m->object_id &&
	    ntfs_set_ntfs_object_id(ni, (const char *)m->object_id, NTFS_OBJECT_ID_BYTES, 0))
		rc = ibb_ntfs_fail(n, errno, err, "%s: object ID", path);
	if (!rc) {
		set_flags(ni, m->attributes);
		rc = ibb_ntfs_set_times(n, ni, &t, path, err);
	}
	return ibb_ntfs_settle(n, &ni, rc, path, err);
}

int ibb_ntfs_import_file(struct ibb_volume *v, const char *path, struct ibb_bytes content,
			 const struct ibb_ntfs_import *m, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	MFT_REF self = 0;
	int rc;

	ibb_ntfs_begin(n);
	v->changed = false;
	rc = ibb_ntfs_walk(n, path, &loc, err);
	if (!rc && loc.exists)
		rc = ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
	if (!rc)
		rc = ibb_ntfs_create(n, path, loc.parent, &loc.name, false, &m->security,
				     m->changed, &self, err);
	if (!rc && m->dos_name)
		rc = set_dos_name(n, path, &loc, self, m->dos_name, err);
	if (!rc)
		rc = fill(n, path, self, content, m, err);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

int ibb_ntfs_meta(struct ibb_volume *v, const char *path, struct ibb_ntfs_meta *ret,
		  struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ibb_ntfs_meta m = {0};
	struct ntfs_loc loc = {0};
	struct ntfs_times t = {0};
	ntfs_inode *ni = NULL;
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_find(n, path, &loc, err);
	ibb_buf_clear(&loc.name);
	if (!rc)
		rc = ibb_ntfs_open(n, loc.self, path, &ni, err);
	if (!rc)
		rc = ibb_ntfs_get_sd(n, ni, path, &m.security, err);
	if (!rc) {
		ibb_ntfs_get_times(ni, &t);
		m.created = t.create;
		m.accessed = t.access;
		m.modified = t.modify;
		m.attributes = ntfs_flags(ni) & le32_to_cpu((uint32_t)FILE_ATTR_VALID_FLAGS);
		m.directory = ntfs_is_dir(ni);
		m.size_bytes = m.directory ? 0 : (uint64_t)ni->data_size;
	}
	ibb_ntfs_drop(&ni);
	rc = ibb_ntfs_end(n, rc, path, err);
	if (rc) {
		ibb_buf_clear(&m.security);
		return rc;
	}
	*ret = m;
	return IBB_OK;
}
