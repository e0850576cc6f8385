/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/disk.h"

#include <stdlib.h>

struct slice {
	struct ibb_disk d;
	struct ibb_disk *lower;
	uint64_t base;
};

static int slice_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	struct slice *s = (struct slice *)d;

	return ibb_disk_pread(s->lower, buf, n, s->base + off, err);
}

static int slice_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
			struct ibb_error *err)
{
	struct slice *s = (struct slice *)d;

	return ibb_disk_pwrite(s->lower, buf, n, s->base + off, err);
}

static int slice_flush(struct ibb_disk *d, struct ibb_error *err)
{
	return ibb_disk_flush(((struct slice *)d)->lower, err);
}

static int slice_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			 struct ibb_error *err)
{
	struct slice *s = (struct slice *)d;

	return ibb_disk_extents_as(s->lower, s->base + off, n, off, fn, ctx, err);
}

static void slice_close(struct ibb_disk *d)
{
	ibb_disk_unref(((struct slice *)d)->lower);
}

static const char *slice_spill_dir(const struct ibb_disk *d)
{
	return ibb_disk_spill_dir(((const struct slice *)d)->lower);
}

/* Read-only when the lower disk is, so that writes fail here, with the same sticky code. */
static const struct ibb_disk_ops slice_ops = {
	.name = "slice",
	.pread = slice_pread,
	.pwrite = slice_pwrite,
	.flush = slice_flush,
	.extents = slice_extents,
	.close = slice_close,
	.spill_dir = slice_spill_dir,
};

static const struct ibb_disk_ops slice_ro_ops = {
	.name = "slice",
	.pread = slice_pread,
	.extents = slice_extents,
	.close = slice_close,
	.spill_dir = slice_spill_dir,
};

int ibb_disk_slice_new(struct ibb_disk *lower, uint64_t off, uint64_t len, struct ibb_disk **ret,
		       struct ibb_error *err)
{
	IBB_AUTO_FREE struct slice *s = ibb_zalloc(sizeof(*s));
	int r;

	if (!s)
		return ibb_err_nomem(err);
	if (!ibb_in_range(off, len, lower->size_bytes))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a window of %llu bytes at offset %llu lies outside its %llu "
			       "bytes",
			       lower->name, (unsigned long long)len, (unsigned long long)off,
			       (unsigned long long)lower->size_bytes);
	r = ibb_disk_init(&s->d, lower->ops->pwrite ? &slice_ops : &slice_ro_ops, lower->name, len,
			  lower->sector_bytes, err);
	if (r)
		return r;
	s->lower = ibb_disk_ref(lower);
	s->base = off;
	*ret = &IBB_TAKE(s)->d;
	return IBB_OK;
}
