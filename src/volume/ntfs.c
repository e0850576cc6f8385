/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/ntfs_internal.h"

#include <stdio.h>

#include "volume/ntfs_import.h"

int ibb_ntfs_open(struct ntfs_be *n, MFT_REF ref, const char *path, ntfs_inode **ret,
		  struct ibb_error *err)
{
	ntfs_inode *ni = ntfs_inode_open(n->vol, ref);

	if (!ni)
		return ibb_ntfs_fail(n, errno == ENOENT ? EIO : errno, err, "%s: MFT record %llu",
				     path, (unsigned long long)MREF(ref));
	*ret = ni;
	return IBB_OK;
}

/*
 * Close what could not be written. The library keeps an inode alive when writing it fails and has
 * no other way to release it, so it is declared clean first. (With the library's inode cache on,
 * nobody could tell whether it is still alive.) After a change the volume can no longer be
 * committed.
 */
static void abandon(ntfs_inode *ni)
{
	for (s32 i = 0; i < ni->nr_extents; i++)
		clear_nino_flag(ni->extent_nis[i], Dirty);
	clear_nino_flag(ni, Dirty);
	clear_nino_flag(ni, AttrListDirty);
	clear_nino_flag(ni, FileNameDirty);
	(void)ntfs_inode_close(ni);
}

int ibb_ntfs_close(struct ntfs_be *n, ntfs_inode **ni, const char *path, struct ibb_error *err)
{
	ntfs_inode *p = IBB_TAKE(*ni);
	int e;

	if (!ntfs_inode_close(p))
		return IBB_OK;
	e = errno;
	abandon(p);
	return ibb_ntfs_fail(n, e, err, "%s: closing", path);
}

int ibb_ntfs_close_in_dir(struct ntfs_be *n, ntfs_inode **ni, ntfs_inode *dir, const char *path,
			  struct ibb_error *err)
{
	ntfs_inode *p = IBB_TAKE(*ni);
	int e;

	if (!ntfs_inode_close_in_dir(p, dir))
		return IBB_OK;
	e = errno;
	abandon(p);
	return ibb_ntfs_fail(n, e, err, "%s: closing", path);
}

void ibb_ntfs_drop(ntfs_inode **ni)
{
	int saved = errno;

	if (*ni)
		abandon(IBB_TAKE(*ni));
	errno = saved;
}

int ibb_ntfs_settle(struct ntfs_be *n, ntfs_inode **ni, int rc, const char *path,
		    struct ibb_error *err)
{
	if (!rc)
		return ibb_ntfs_close(n, ni, path, err);
	ibb_ntfs_drop(ni);
	return rc;
}

uint32_t ibb_ntfs_reparse_tag(ntfs_inode *ni)
{
	uint8_t tag[4] = {0};
	ntfs_attr *na;

	if (!(ntfs_flags(ni) & le32_to_cpu((uint32_t)FILE_ATTR_REPARSE_POINT)))
		return 0;
	na = ntfs_attr_open(ni, AT_REPARSE_POINT, AT_UNNAMED, 0);
	if (na) {
		if (ntfs_attr_pread(na, 0, sizeof(tag), tag) != (s64)sizeof(tag))
			memset(tag, 0, sizeof(tag));
		ntfs_attr_close(na);
	}
	/* Flagged, but unreadable: some tag, so that nobody takes it for a plain file. */
	return ibb_get_le32(tag) ? ibb_get_le32(tag) : 1;
}

static const char *tag_name(uint32_t tag)
{
	switch (tag) {
	case TAG_WOF:
		return "compressed by the Windows overlay filter (WOF)";
	case TAG_DEDUP:
		return "deduplicated";
	case TAG_MOUNT_POINT:
		return "a junction";
	case TAG_SYMLINK:
		return "a symbolic link";
	default:
		return "a reparse point";
	}
}

static int refuse_reparse(uint32_t tag, const char *path, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_UNSUPPORTED, "%s: %s (reparse tag 0x%08x)", path, tag_name(tag),
		       tag);
}

int ibb_ntfs_check_plain(ntfs_inode *ni, const char *path, struct ibb_error *err)
{
	uint32_t tag = ibb_ntfs_reparse_tag(ni);

	if (tag == TAG_WOF) {
		refuse_reparse(tag, path, err);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "in Windows: compact /u /exe \"%s\"",
				    path);
	}
	if (tag)
		return refuse_reparse(tag, path, err);
	if (ntfs_flags(ni) & le32_to_cpu((uint32_t)FILE_ATTR_ENCRYPTED))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: encrypted (EFS)", path);
	return IBB_OK;
}

/* One step down; *ret_ref is (MFT_REF)-1 when there is no such name. */
static int lookup(struct ntfs_be *n, MFT_REF dir, const char *path, size_t dir_len,
		  const struct ibb_buf *name, MFT_REF *ret_ref, struct ibb_error *err)
{
	char shown[IBB_LIMIT_PATH_CHARS + 1];
	ntfs_inode *ni = NULL;
	uint32_t tag;
	int rc;

	snprintf(shown, sizeof(shown), "%.*s", (int)dir_len, path);
	rc = ibb_ntfs_open(n, dir, *shown ? shown : "root directory", &ni, err);
	if (rc)
		return rc;
	tag = ibb_ntfs_reparse_tag(ni);
	if (tag)
		rc = refuse_reparse(tag, shown, err);
	else if (!ntfs_is_dir(ni))
		rc = ibb_err(err, IBB_E_NOTFOUND, "%s: %s is no directory", path, shown);
	if (rc) {
		ibb_ntfs_drop(&ni);
		return rc;
	}
	errno = 0;
	*ret_ref = ntfs_inode_lookup_by_name(ni, (const ntfschar *)(const void *)name->data,
					     (int)(name->len / 2));
	if (*ret_ref == (MFT_REF)-1 && errno != ENOENT)
		rc = ibb_ntfs_fail(n, errno, err, "%s: looking it up", path);
	ibb_ntfs_drop(&ni);
	return rc;
}

static int name_to_utf16(const char *path, const char *p, size_t n, struct ibb_buf *out,
			 struct ibb_error *err)
{
	char *s = ibb_strndup(p, n);
	int rc = s ? IBB_OK : IBB_E_NOMEM;

	ibb_buf_clear(out);
	if (!rc)
		rc = ibb_utf16le_append(out, s);
	free(s);
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc || out->len / 2 > 255)
		return ibb_err(err, IBB_E_INVALID, "%s: name '%.*s': more than 255 characters",
			       path, (int)n, p);
	return IBB_OK;
}

int ibb_ntfs_walk(struct ntfs_be *n, const char *path, struct ntfs_loc *ret, struct ibb_error *err)
{
	struct ntfs_loc l = {FILE_root, FILE_root, true, {0}};
	size_t off = 0;
	int rc = IBB_OK;

	while (!rc && path[off]) {
		size_t len = strcspn(path + off, "/");
		bool last = !path[off + len];

		l.parent = l.self;
		rc = name_to_utf16(path, path + off, len, &l.name, err);
		if (!rc)
			rc = lookup(n, l.parent, path, off ? off - 1 : 0, &l.name, &l.self, err);
		if (!rc && l.self == (MFT_REF)-1) {
			l.exists = false;
			if (last)
				break;
			rc = ibb_err(err, IBB_E_NOTFOUND, "%s: no directory '%.*s'", path,
				     (int)(off + len), path);
		}
		off += len + !last;
	}
	if (rc) {
		ibb_buf_clear(&l.name);
		return rc;
	}
	*ret = l;
	return IBB_OK;
}

int ibb_ntfs_find(struct ntfs_be *n, const char *path, struct ntfs_loc *ret, struct ibb_error *err)
{
	int rc = ibb_ntfs_walk(n, path, ret, err);

	if (!rc && !ret->exists) {
		ibb_buf_clear(&ret->name);
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no such file", path);
	}
	return rc;
}

/* Walk to a path that must exist and open what it leads to. */
static int find_open(struct ntfs_be *n, const char *path, struct ntfs_loc *loc, ntfs_inode **ret,
		     struct ibb_error *err)
{
	int rc;

	ibb_ntfs_begin(n);
	rc = ibb_ntfs_find(n, path, loc, err);
	if (rc)
		return rc;
	rc = ibb_ntfs_open(n, loc->self, path, ret, err);
	if (rc)
		ibb_buf_clear(&loc->name);
	return rc;
}

static enum ibb_file_type type_of(const ntfs_inode *ni, uint32_t tag)
{
	if (tag && tag != TAG_WOF)
		return IBB_FILE_OTHER;
	return ntfs_is_dir(ni) ? IBB_FILE_DIRECTORY : IBB_FILE_REGULAR;
}

static int ntfs_info(struct ibb_volume *v, struct ibb_volume_info *ret, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	ntfs_volume *vol = n->vol;

	ibb_ntfs_begin(n);
	if (ntfs_volume_get_free_space(vol))
		return ibb_ntfs_fail(n, errno, err, "$Bitmap");
	*ret = (struct ibb_volume_info){
		.kind = "ntfs",
		.cluster_bytes = vol->cluster_size,
		.size_bytes = (uint64_t)vol->nr_clusters * vol->cluster_size,
		.free_bytes = vol->free_clusters > 0
				      ? (uint64_t)vol->free_clusters * vol->cluster_size
				      : 0,
		.major = vol->major_ver,
		.minor = vol->minor_ver,
	};
	snprintf(ret->serial, sizeof(ret->serial), "%s", n->serial);
	snprintf(ret->label, sizeof(ret->label), "%s", vol->vol_name ? vol->vol_name : "");
	return IBB_OK;
}

static int fill_stat(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_stat *st,
		     struct ibb_error *err)
{
	ntfs_attr *na;

	st->reparse_tag = ibb_ntfs_reparse_tag(ni);
	st->type = type_of(ni, st->reparse_tag);
	st->wof_compressed = st->reparse_tag == TAG_WOF;
	st->id = ni->mft_no;
	st->attributes = ntfs_flags(ni);
	st->encrypted = (st->attributes & le32_to_cpu((uint32_t)FILE_ATTR_ENCRYPTED)) != 0;
	st->links = ibb_ntfs_links(ni);
	st->mtime = (uint64_t)sle64_to_cpu(ni->last_data_change_time);
	st->security_id = le32_to_cpu(ni->security_id);
	if (ntfs_is_dir(ni))
		return IBB_OK;
	na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	if (!na) {
		/* $Secure and $Repair have only named streams; and so has a symbolic link. */
		if (errno == ENOENT)
			return IBB_OK;
		return ibb_ntfs_fail(n, errno, err, "%s: data", path);
	}
	st->size_bytes = (uint64_t)na->data_size;
	ntfs_attr_close(na);
	return IBB_OK;
}

static int ntfs_stat(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		     struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = find_open(n, path, &loc, &ni, err);

	if (rc)
		return ibb_ntfs_end(n, rc, path, err);
	rc = fill_stat(n, ni, path, ret, err);
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

/* The best FILE_NAME for a name in one directory: the long one of the file it belongs to. */
int ibb_ntfs_long_name(struct ntfs_be *n, ntfs_inode *ni, const struct ntfs_loc *loc,
		       struct ibb_buf *ret, struct ibb_error *err)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	bool exact = false;
	int rc = IBB_OK;

	if (!ctx)
		return ibb_ntfs_fail(n, errno, err, "file names");
	while (!rc && !exact &&
	       !ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx)) {
		const FILE_NAME_ATTR *fn = ntfs_file_name(ctx);

		if (MREF_LE(fn->parent_directory) != MREF(loc->parent) ||
		    fn->file_name_type == FILE_NAME_DOS)
			continue;
		exact = ntfs_names_are_equal(ntfs_file_name_chars(fn), fn->file_name_length,
					     (const ntfschar *)(const void *)loc->name.data,
					     loc->name.len / 2, IGNORE_CASE, n->vol->upcase,
					     n->vol->upcase_len);
		/* Not equal: the path may have used the 8.3 alias of this name. */
		if (!exact && ret->len)
			continue;
		ret->len = 0;
		if (ibb_buf_append(ret, ntfs_file_name_chars(fn), fn->file_name_length * 2u))
			rc = ibb_err_nomem(err);
	}
	ntfs_attr_put_search_ctx(ctx);
	if (!rc && !ret->len)
		return ibb_ntfs_fail(n, EIO, err, "MFT record %llu: no name in directory %llu",
				     (unsigned long long)ni->mft_no,
				     (unsigned long long)MREF(loc->parent));
	return rc;
}

/* Append the true spelling of one component to *out. */
static int append_spelling(struct ntfs_be *n, const char *prefix, struct ibb_buf *out,
			   struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf name = {0};
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = ibb_ntfs_find(n, prefix, &loc, err);

	if (!rc)
		rc = ibb_ntfs_open(n, loc.self, prefix, &ni, err);
	if (!rc)
		rc = ibb_ntfs_long_name(n, ni, &loc, &name, err);
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	if (rc)
		return rc;
	if ((out->len && ibb_buf_append(out, "/", 1)) || ibb_utf8_append(out, name.data, name.len))
		return ibb_err_nomem(err);
	return IBB_OK;
}

static int ntfs_spelling(struct ibb_volume *v, const char *path, char **ret, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	IBB_AUTO_BUF struct ibb_buf out = {0};
	size_t off = 0;
	char *s;
	int rc = IBB_OK;

	ibb_ntfs_begin(n);
	while (!rc && path[off]) {
		size_t len = strcspn(path + off, "/");
		IBB_AUTO_FREE char *prefix = ibb_strndup(path, off + len);

		rc = prefix ? append_spelling(n, prefix, &out, err) : ibb_err_nomem(err);
		off += len + (path[off + len] == '/');
	}
	rc = ibb_ntfs_end(n, rc, path, err);
	if (rc)
		return rc;
	s = ibb_buf_take_str(&out);
	if (!s)
		return ibb_err_nomem(err);
	*ret = s;
	return IBB_OK;
}

struct dir_scan {
	struct ibb_dirents *out;
	struct ibb_error *err;
	int rc;
	bool root;
	/* entries whose type only the inode tells, by index into *out */
	struct scan_odd {
		size_t index;
		MFT_REF ref;
	} * odd;
	size_t n_odd, cap_odd;
};

static bool is_dots(const ntfschar *name, int len)
{
	return (len == 1 || len == 2) && le16_to_cpu(name[0]) == '.' &&
	       le16_to_cpu(name[len - 1]) == '.';
}

static int scan_entry(void *ctx, const ntfschar *name, const int len, const int name_type,
		      const s64 pos, const MFT_REF ref, const unsigned dt_type)
{
	struct dir_scan *s = ctx;
	IBB_AUTO_BUF struct ibb_buf utf8 = {0};
	enum ibb_file_type type = dt_type == NTFS_DT_DIR   ? IBB_FILE_DIRECTORY
				  : dt_type == NTFS_DT_REG ? IBB_FILE_REGULAR
							   : IBB_FILE_OTHER;

	(void)pos;
	if (name_type == FILE_NAME_DOS || is_dots(name, len))
		return 0;
	if (s->root && MREF(ref) < FILE_first_user)
		return 0;
	if (type == IBB_FILE_OTHER) {
		if (ibb_grow(&s->odd, &s->cap_odd, s->n_odd, sizeof(s->odd[0]))) {
			s->rc = ibb_err_nomem(s->err);
			return -1;
		}
		s->odd[s->n_odd++] = (struct scan_odd){s->out->n, ref};
	}
	if (ibb_utf8_append(&utf8, (const uint8_t *)name, (size_t)len * 2))
		s->rc = ibb_err_nomem(s->err);
	else
		s->rc = ibb_dirents_add(s->out, ibb_buf_take_str(&utf8), type, s->err);
	return s->rc ? -1 : 0;
}

static int resolve_odd(struct ntfs_be *n, struct dir_scan *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_odd; i++) {
		struct ibb_dirent *e = &s->out->items[s->odd[i].index];
		ntfs_inode *ni = NULL;
		int rc = ibb_ntfs_open(n, s->odd[i].ref, e->name, &ni, err);

		if (rc)
			return rc;
		e->type = type_of(ni, ibb_ntfs_reparse_tag(ni));
		ibb_ntfs_drop(&ni);
	}
	return IBB_OK;
}

static int scan_dir(struct ntfs_be *n, ntfs_inode *ni, const char *dir, struct dir_scan *s,
		    struct ibb_error *err)
{
	uint32_t tag = ibb_ntfs_reparse_tag(ni);
	s64 pos = 0;
	int failed;

	if (tag)
		return refuse_reparse(tag, dir, err);
	if (!ntfs_is_dir(ni))
		return ibb_err(err, IBB_E_NOTFOUND, "%s: is no directory", dir);
	/* While case is ignored, ntfs_readdir() gives all names in lower case. */
	NVolSetCaseSensitive(n->vol);
	failed = ntfs_readdir(ni, &pos, s, scan_entry);
	NVolClearCaseSensitive(n->vol);
	if (s->rc)
		return s->rc;
	if (failed)
		return ibb_ntfs_fail(n, errno, err, "%s: reading the directory", dir);
	return IBB_OK;
}

static int ntfs_list(struct ibb_volume *v, const char *dir, struct ibb_dirents *out,
		     struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct dir_scan s = {.out = out, .err = err};
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = find_open(n, dir, &loc, &ni, err);

	if (!rc) {
		s.root = ni->mft_no == FILE_root;
		rc = scan_dir(n, ni, dir, &s, err);
	}
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	if (!rc)
		rc = resolve_odd(n, &s, err);
	free(s.odd);
	return ibb_ntfs_end(n, rc, dir, err);
}

static int ntfs_read(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		     struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = find_open(n, path, &loc, &ni, err);

	if (!rc)
		rc = ibb_ntfs_read_data(n, ni, path, limit, ret, err);
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

static int ntfs_stream(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
		       void *ctx, struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = find_open(n, path, &loc, &ni, err);

	if (!rc)
		rc = ibb_ntfs_stream_data(n, ni, path, limit, fn, ctx, err);
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	return ibb_ntfs_end(n, rc, path, err);
}

static int ntfs_security(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			 struct ibb_error *err)
{
	struct ntfs_be *n = to_ntfs(v);
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	int rc = find_open(n, path, &loc, &ni, err);

	if (!rc)
		rc = ibb_ntfs_get_sd(n, ni, path, ret, err);
	ibb_ntfs_drop(&ni);
	ibb_buf_clear(&loc.name);
	if (!rc && !ret->len)
		rc = ibb_err(err, IBB_E_UNSUPPORTED, "%s: has no security descriptor", path);
	return ibb_ntfs_end(n, rc, path, err);
}

static void ntfs_close(struct ibb_volume *v)
{
	struct ntfs_be *n = to_ntfs(v);

	/* Writes what the library still holds to the staged layer, which then goes away. */
	if (n->vol)
		(void)ntfs_umount(n->vol, FALSE);
	ibb_disk_unref(n->staged);
	ibb_disk_unref(n->lower);
	free(n);
}

static const struct ibb_volume_ops ntfs_ops = {
	.info = ntfs_info,
	.stat = ntfs_stat,
	.spelling = ntfs_spelling,
	.list = ntfs_list,
	.read = ntfs_read,
	.stream = ntfs_stream,
	.put = ibb_ntfs_put,
	.mkdir = ibb_ntfs_mkdir,
	.remove = ibb_ntfs_remove,
	.security = ntfs_security,
	.touch = ibb_ntfs_touch,
	.commit = ibb_ntfs_commit,
	.close = ntfs_close,
};

/* `overlay` false: the library writes to the disk itself. */
static int open_volume(struct ibb_disk *d, bool writable, bool overlay, struct ibb_volume **ret,
		       struct ibb_error *err)
{
	struct ntfs_be *n = ibb_zalloc(sizeof(*n));
	int rc;

	if (!n)
		return ibb_err_nomem(err);
	n->base.ops = &ntfs_ops;
	n->base.writable = writable;
	n->lower = ibb_disk_ref(d);
	ibb_ntfs_log_install();
	rc = ibb_ntfs_probe(d, n->serial, err);
	if (!rc && !overlay)
		n->staged = ibb_disk_ref(d);
	if (!rc && overlay)
		rc = ibb_disk_overlay_new(d, IBB_LIMIT_OVERLAY_BYTES, &n->staged, err);
	if (!rc && overlay && ibb_disk_spill_dir(d))
		rc = ibb_disk_overlay_spill(n->staged, ibb_disk_spill_dir(d), err);
	n->dev.disk = n->staged;
	if (!rc)
		rc = ibb_ntfs_mount(n, err);
	if (rc) {
		ntfs_close(&n->base);
		return rc;
	}
	*ret = &n->base;
	return IBB_OK;
}

int ibb_volume_open_ntfs(struct ibb_disk *d, bool writable, struct ibb_volume **ret,
			 struct ibb_error *err)
{
	return open_volume(d, writable, true, ret, err);
}

int ibb_volume_open_ntfs_scratch(struct ibb_disk *d, struct ibb_volume **ret, struct ibb_error *err)
{
	return open_volume(d, true, false, ret, err);
}
