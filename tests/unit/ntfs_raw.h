/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libntfs-3g without the rules, to prepare volumes that ibbake never would and to look behind it.
 */
#ifndef IBB_TEST_NTFS_RAW_H
#define IBB_TEST_NTFS_RAW_H

#include "volume_image.h"

#include "volume/ntfs_internal.h"

#include <ntfs-3g/index.h>
#include <ntfs-3g/logfile.h>

struct raw {
	struct ntfs_dev dev;
	ntfs_volume *vol;
};

static inline struct raw *raw_open(struct ibb_disk *d)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct ntfs_device *dev;

	assert_non_null(r);
	ntfs_log_set_handler(ntfs_log_handler_null);
	r->dev.disk = d;
	dev = ntfs_device_alloc("raw", 0, &ibb_ntfs_device_ops, &r->dev);
	assert_non_null(dev);
	r->vol = ntfs_device_mount(dev, NTFS_MNT_FORENSIC);
	assert_non_null(r->vol);
	assert_int_equal(ntfs_set_ignore_case(r->vol), 0);
	return r;
}

static inline void raw_close(struct raw *r)
{
	assert_int_equal(ntfs_umount(r->vol, FALSE), 0);
	free(r);
}

/* Open by path, '/' separated, "" is the root. */
static inline ntfs_inode *raw_inode(struct raw *r, const char *path)
{
	ntfs_inode *ni = *path ? ntfs_pathname_to_inode(r->vol, NULL, path)
			       : ntfs_inode_open(r->vol, FILE_root);

	assert_non_null(ni);
	return ni;
}

static inline void raw_done(ntfs_inode *ni)
{
	assert_int_equal(ntfs_inode_close(ni), 0);
}

static inline void raw_split(const char *path, char dir[256], ntfschar **name, int *len)
{
	const char *slash = strrchr(path, '/');

	snprintf(dir, 256, "%.*s", slash ? (int)(slash - path) : 0, path);
	*name = NULL;
	*len = ntfs_mbstoucs(slash ? slash + 1 : path, name);
	assert_true(*len > 0);
}

/* A new file or directory as the library makes it, with the id of its directory. */
static inline void raw_create(struct raw *r, const char *path, mode_t type, const void *p, size_t n)
{
	char dir[256];
	ntfschar *name;
	int len;
	ntfs_inode *d, *ni;

	raw_split(path, dir, &name, &len);
	d = raw_inode(r, dir);
	ni = ntfs_create(d, d->security_id ? d->security_id : cpu_to_le32(0x100), name, (u8)len,
			 type);
	assert_non_null(ni);
	assert_int_equal(ntfs_inode_close_in_dir(ni, d), 0);
	raw_done(d);
	if (n) {
		ntfs_attr *na;

		ni = raw_inode(r, path);
		na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
		assert_non_null(na);
		assert_int_equal(ntfs_attr_pwrite(na, 0, (s64)n, p), n);
		assert_int_equal(ntfs_attr_pclose(na), 0);
		ntfs_attr_close(na);
		raw_done(ni);
	}
	free(name);
}

static inline void raw_link(struct raw *r, const char *old, const char *new_path)
{
	char dir[256];
	ntfschar *name;
	int len;
	ntfs_inode *d, *ni;

	raw_split(new_path, dir, &name, &len);
	ni = raw_inode(r, old);
	d = raw_inode(r, dir);
	assert_int_equal(ntfs_link(ni, d, name, (u8)len), 0);
	raw_done(d);
	raw_done(ni);
	free(name);
}

static inline void raw_reparse(struct raw *r, const char *path, uint32_t tag)
{
	uint8_t buf[64] = {0};
	ntfs_inode *ni = raw_inode(r, path);

	ibb_put_le32(buf, tag);
	ibb_put_le16(buf + 4, 16);
	assert_int_equal(ntfs_set_ntfs_reparse_data(ni, (char *)buf, 24, 0), 0);
	raw_done(ni);
}

static inline void raw_set_sd(struct raw *r, const char *path, const void *sd, size_t n)
{
	struct SECURITY_CONTEXT scx = {.vol = r->vol};
	ntfs_inode *ni = raw_inode(r, path);

	assert_int_equal(ntfs_set_ntfs_acl(&scx, ni, sd, n, 0), 0);
	raw_done(ni);
}

/* The FILE_NAME that the directory's index holds for a name. */
static inline FILE_NAME_ATTR raw_index_entry(struct raw *r, const char *path)
{
	char dir[256];
	ntfschar *name;
	int len;
	ntfs_inode *d;
	ntfs_index_context *ctx;
	FILE_NAME_ATTR out, *key;

	raw_split(path, dir, &name, &len);
	key = calloc(1, sizeof(*key) + 2 * (size_t)len);
	assert_non_null(key);
	key->file_name_length = (u8)len;
	memcpy((char *)key + offsetof(FILE_NAME_ATTR, file_name), name, 2 * (size_t)len);
	d = raw_inode(r, dir);
	ctx = ntfs_index_ctx_get(d, NTFS_INDEX_I30, 4);
	assert_non_null(ctx);
	assert_int_equal(ntfs_index_lookup(key, (int)(sizeof(*key) + 2 * (size_t)len), ctx), 0);
	memcpy(&out, ctx->data, sizeof(out));
	ntfs_index_ctx_put(ctx);
	raw_done(d);
	free(key);
	free(name);
	return out;
}

#endif
