/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The content of a file: its unnamed stream, or what WOF made of it. */
#include "volume/ntfs_internal.h"

#include "volume/wof.h"

#define U(c) const_cpu_to_le16(c)
static ntfschar wof_stream[] = {U('W'), U('o'), U('f'), U('C'), U('o'), U('m'),
				U('p'), U('r'), U('e'), U('s'), U('s'), U('e'),
				U('d'), U('D'), U('a'), U('t'), U('a')};
#undef U

/* A whole attribute, appended. */
static int read_all(struct ntfs_be *n, ntfs_attr *na, const char *path, struct ibb_buf *ret,
		    struct ibb_error *err)
{
	s64 size = na->data_size, done = 0;
	size_t start = ret->len;

	if (ibb_buf_append_zero(ret, (size_t)size))
		return ibb_err_nomem(err);
	while (done < size) {
		s64 got = ntfs_attr_pread(na, done, size - done, ret->data + start + done);

		if (got <= 0)
			return ibb_ntfs_fail(n, got ? errno : EIO, err, "%s: reading at %lld", path,
					     (long long)done);
		done += got;
	}
	return IBB_OK;
}

static int check_limit(const ntfs_attr *na, uint64_t limit, const char *path, struct ibb_error *err)
{
	if (na->data_size < 0 || (uint64_t)na->data_size > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %lld bytes, the limit is %llu", path,
			       (long long)na->data_size, (unsigned long long)limit);
	return IBB_OK;
}

static int read_unnamed(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
			struct ibb_buf *ret, struct ibb_error *err)
{
	ntfs_attr *na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	int rc;

	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: data", path);
	rc = check_limit(na, limit, path, err);
	if (!rc)
		rc = read_all(n, na, path, ret, err);
	ntfs_attr_close(na);
	return rc;
}

static int wof_algorithm(struct ntfs_be *n, ntfs_inode *ni, const char *path,
			 enum ibb_wof_algorithm *ret, struct ibb_error *err)
{
	uint8_t point[64];
	ntfs_attr *na = ntfs_attr_open(ni, AT_REPARSE_POINT, AT_UNNAMED, 0);
	s64 got;
	int rc;

	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: reparse point", path);
	got = ntfs_attr_pread(na, 0, sizeof(point), point);
	if (got < 0)
		rc = ibb_ntfs_fail(n, errno, err, "%s: reparse point", path);
	else
		rc = ibb_wof_parse((struct ibb_bytes){point, (size_t)got}, path, ret, err);
	ntfs_attr_close(na);
	return rc;
}

/* The unnamed stream's size: all that it says about a file whose content is elsewhere. */
static int wof_size(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
		    uint64_t *ret, struct ibb_error *err)
{
	ntfs_attr *na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	int rc;

	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: data", path);
	rc = check_limit(na, limit, path, err);
	if (!rc)
		*ret = (uint64_t)na->data_size;
	ntfs_attr_close(na);
	return rc;
}

static int wof_compressed(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t max,
			  struct ibb_buf *ret, struct ibb_error *err)
{
	ntfs_attr *na = ntfs_attr_open(ni, AT_DATA, wof_stream, IBB_ARRAY_SIZE(wof_stream));
	int rc;

	if (!na && errno == ENOENT)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: compressed by WOF, but has no stream WofCompressedData", path);
	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: WofCompressedData", path);
	if (na->data_size < 0 || (uint64_t)na->data_size > max)
		rc = ibb_err(err, IBB_E_CORRUPT,
			     "%s: WofCompressedData of %lld bytes, at most %llu fit the file", path,
			     (long long)na->data_size, (unsigned long long)max);
	else
		rc = read_all(n, na, path, ret, err);
	ntfs_attr_close(na);
	return rc;
}

static int read_wof(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
		    struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf stream = {0};
	enum ibb_wof_algorithm algorithm = IBB_WOF_LZX;
	uint64_t size = 0;
	int rc = wof_algorithm(n, ni, path, &algorithm, err);

	if (!rc)
		rc = wof_size(n, ni, path, limit, &size, err);
	if (!rc)
		rc = wof_compressed(n, ni, path, ibb_wof_max_stream(algorithm, size), &stream, err);
	if (!rc)
		rc = ibb_wof_decompress(ibb_buf_bytes(&stream), algorithm, size, path, ret, err);
	return rc;
}

/* What kind of file it is: WOF-compressed, or plain; others are refused. */
static int check_kind(ntfs_inode *ni, const char *path, bool *ret_wof, struct ibb_error *err)
{
	bool encrypted = (ntfs_flags(ni) & le32_to_cpu((uint32_t)FILE_ATTR_ENCRYPTED)) != 0;

	if (ntfs_is_dir(ni))
		return ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", path);
	*ret_wof = ibb_ntfs_reparse_tag(ni) == TAG_WOF && !encrypted;
	return *ret_wof ? IBB_OK : ibb_ntfs_check_plain(ni, path, err);
}

int ibb_ntfs_read_data(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
		       struct ibb_buf *ret, struct ibb_error *err)
{
	bool wof = false;
	int rc = check_kind(ni, path, &wof, err);

	if (rc)
		return rc;
	return wof ? read_wof(n, ni, path, limit, ret, err)
		   : read_unnamed(n, ni, path, limit, ret, err);
}

/* ---- in pieces ---- */

#define PIECE_BYTES (256u << 10)

static int stream_attr(struct ntfs_be *n, ntfs_attr *na, const char *path, ibb_piece_fn fn,
		       void *ctx, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(PIECE_BYTES);
	s64 done = 0;

	if (!buf)
		return ibb_err_nomem(err);
	while (done < na->data_size) {
		s64 got = ntfs_attr_pread(na, done, PIECE_BYTES, buf);
		int rc;

		if (got <= 0)
			return ibb_ntfs_fail(n, got ? errno : EIO, err, "%s: reading at %lld", path,
					     (long long)done);
		rc = fn(ctx, (uint64_t)done, (struct ibb_bytes){buf, (size_t)got}, err);
		if (rc)
			return rc;
		done += got;
	}
	return IBB_OK;
}

int ibb_ntfs_stream_data(struct ntfs_be *n, ntfs_inode *ni, const char *path, uint64_t limit,
			 ibb_piece_fn fn, void *ctx, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf whole = {0};
	ntfs_attr *na;
	bool wof = false;
	int rc = check_kind(ni, path, &wof, err);

	if (!rc && wof) {
		rc = read_wof(n, ni, path, limit, &whole, err);
		return rc || !whole.len ? rc : fn(ctx, 0, ibb_buf_bytes(&whole), err);
	}
	if (rc)
		return rc;
	na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	if (!na)
		return ibb_ntfs_fail(n, errno, err, "%s: data", path);
	rc = check_limit(na, limit, path, err);
	if (!rc)
		rc = stream_attr(n, na, path, fn, ctx, err);
	ntfs_attr_close(na);
	return rc;
}
