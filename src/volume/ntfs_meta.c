/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times, attributes, links and security descriptors of one inode. */
#include "volume/ntfs_internal.h"

void ibb_ntfs_get_times(const ntfs_inode *ni, struct ntfs_times *ret)
{
	*ret = (struct ntfs_times){
		.create = (uint64_t)sle64_to_cpu(ni->creation_time),
		.modify = (uint64_t)sle64_to_cpu(ni->last_data_change_time),
		.access = (uint64_t)sle64_to_cpu(ni->last_access_time),
		.change = (uint64_t)sle64_to_cpu(ni->last_mft_change_time),
	};
}

/* Also the attributes, which the library leaves as they were at creation. */
static void patch_file_names(ntfs_inode *ni, ntfs_attr_search_ctx *ctx, sle64 change)
{
	const uint32_t valid = le32_to_cpu((uint32_t)FILE_ATTR_VALID_FLAGS);

	while (!ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx)) {
		FILE_NAME_ATTR *fn = ntfs_file_name(ctx);
		uint32_t flags = le32_to_cpu((uint32_t)fn->file_attributes);

		fn->last_mft_change_time = change;
		flags = (flags & ~valid) | (ntfs_flags(ni) & valid);
		fn->file_attributes = (FILE_ATTR_FLAGS)cpu_to_le32(flags);
		ntfs_inode_mark_dirty(ctx->ntfs_ino);
	}
}

/*
 * ntfs_inode_set_times() sets three of the four and puts the present time into the fourth, the
 * change time, so that two runs would differ; that one is set by hand everywhere it is kept.
 */
int ibb_ntfs_set_times(struct ntfs_be *n, ntfs_inode *ni, const struct ntfs_times *t,
		       const char *path, struct ibb_error *err)
{
	const u64 times[4] = {t->create, t->modify, t->access, t->change};
	sle64 change = cpu_to_sle64((s64)t->change);
	ntfs_attr_search_ctx *ctx;
	STANDARD_INFORMATION *si;
	int rc = IBB_OK;

	if (ntfs_inode_set_times(ni, (const char *)times, sizeof(times), 0))
		return ibb_ntfs_fail(n, errno, err, "%s: setting times", path);
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	if (!ctx)
		return ibb_ntfs_fail(n, errno, err, "%s: setting times", path);
	if (ntfs_attr_lookup(AT_STANDARD_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0,
			     ctx)) {
		rc = ibb_ntfs_fail(n, errno, err, "%s: standard information", path);
	} else {
		si = (void *)((char *)ctx->attr + le16_to_cpu(ctx->attr->value_offset));
		si->last_mft_change_time = change;
		ni->last_mft_change_time = change;
		ntfs_inode_mark_dirty(ctx->ntfs_ino);
		ntfs_attr_reinit_search_ctx(ctx);
		patch_file_names(ni, ctx, change);
	}
	ntfs_attr_put_search_ctx(ctx);
	return rc;
}

int ibb_ntfs_set_attributes(struct ntfs_be *n, ntfs_inode *ni, uint32_t attributes,
			    const char *path, struct ibb_error *err)
{
	if (ntfs_set_ntfs_attrib(ni, (const char *)&attributes, sizeof(attributes), 0))
		return ibb_ntfs_fail(n, errno, err, "%s: setting attributes", path);
	return IBB_OK;
}

unsigned ibb_ntfs_links(ntfs_inode *ni)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	unsigned links = 0;

	if (!ctx)
		return le16_to_cpu(ni->mrec->link_count);
	while (!ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx)) {
		const FILE_NAME_ATTR *fn = ntfs_file_name(ctx);

		links += fn->file_name_type != FILE_NAME_DOS;
	}
	ntfs_attr_put_search_ctx(ctx);
	return links;
}

static int damaged(struct ibb_error *err)
{
	return ibb_err_hint(err, IBB_E_CORRUPT,
			    "attach the image to Windows and run chkdsk /f on the volume");
}

static int check_links(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_error *err)
{
	unsigned names = 0, counted = le16_to_cpu(ni->mrec->link_count);
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);

	if (!ctx)
		return ibb_err_nomem(err);
	while (!ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx))
		names++;
	ntfs_attr_put_search_ctx(ctx);
	if (names == counted)
		return IBB_OK;
	ibb_err(err, IBB_E_CORRUPT, "NTFS of %s: %s: its record counts %u names, but has %u",
		n->lower->name, path, counted, names);
	return damaged(err);
}

/* The runs of one piece of an attribute. */
static int check_runs(struct ntfs_be *n, const ATTR_RECORD *a, const char *path,
		      struct ibb_error *err)
{
	runlist *rl = ntfs_mapping_pairs_decompress(n->vol, a, NULL);
	bool inside = true;

	if (!rl)
		return ibb_ntfs_fail(n, errno, err, "%s: runs", path);
	for (const runlist *r = rl; r->length && inside; r++)
		inside = r->lcn < 0 || ibb_in_range((uint64_t)r->lcn, (uint64_t)r->length,
						    (uint64_t)n->vol->nr_clusters);
	free(rl);
	if (inside)
		return IBB_OK;
	ibb_err(err, IBB_E_CORRUPT, "NTFS of %s: %s: its clusters lie outside the volume",
		n->lower->name, path);
	return damaged(err);
}

int ibb_ntfs_check_removable(struct ntfs_be *n, ntfs_inode *ni, const char *path,
			     struct ibb_error *err)
{
	ntfs_attr_search_ctx *ctx;
	int rc = check_links(n, ni, path, err);

	if (rc)
		return rc;
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	if (!ctx)
		return ibb_err_nomem(err);
	while (!rc && !ntfs_attrs_walk(ctx))
		if (ctx->attr->non_resident)
			rc = check_runs(n, ctx->attr, path, err);
	ntfs_attr_put_search_ctx(ctx);
	return rc;
}

/*
 * For an inode without a descriptor, and for one whose $Secure id leads nowhere, the library makes
 * one up and only logs that; the first is recognised beforehand, the second by the log.
 */
int ibb_ntfs_get_sd(struct ntfs_be *n, ntfs_inode *ni, const char *path, struct ibb_buf *ret,
		    struct ibb_error *err)
{
	struct SECURITY_CONTEXT scx = {.vol = n->vol};
	int size, got;

	ibb_buf_clear(ret);
	if (!(test_nino_flag(ni, v3_Extensions) && ni->security_id) &&
	    !ntfs_attr_exist(ni, AT_SECURITY_DESCRIPTOR, AT_UNNAMED, 0))
		return IBB_OK;
	ibb_ntfs_log_reset();
	size = ntfs_get_ntfs_acl(&scx, ni, NULL, 0);
	if (size <= 0 || *ibb_ntfs_log_line())
		return ibb_ntfs_fail(n, size < 0 ? -size : EIO, err, "%s: security descriptor",
				     path);
	if (ibb_buf_append_zero(ret, (size_t)size))
		return ibb_err_nomem(err);
	got = ntfs_get_ntfs_acl(&scx, ni, (char *)ret->data, (size_t)size);
	if (got != size || *ibb_ntfs_log_line())
		return ibb_ntfs_fail(n, got < 0 ? -got : EIO, err, "%s: security descriptor", path);
	return IBB_OK;
}

int ibb_ntfs_set_sd(struct ntfs_be *n, ntfs_inode *ni, struct ibb_bytes sd, const char *path,
		    struct ibb_error *err)
{
	struct SECURITY_CONTEXT scx = {.vol = n->vol};
	IBB_AUTO_BUF struct ibb_buf back = {0};
	int rc;

	if (ntfs_set_ntfs_acl(&scx, ni, (const char *)sd.data, sd.len, 0))
		return ibb_ntfs_fail(n, errno, err, "%s: setting the security descriptor", path);
	rc = ibb_ntfs_get_sd(n, ni, path, &back, err);
	if (rc)
		return rc;
	if (!ni->security_id || back.len != sd.len || memcmp(back.data, sd.data, sd.len))
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: the security descriptor does not read back as written", path);
	return IBB_OK;
}
