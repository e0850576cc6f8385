/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/disk.h"

#include <stdlib.h>
#include <string.h>

struct grown {
	struct ibb_disk d;
	struct ibb_disk *lower;
};

/* How much of [off, off+n) the lower disk has. */
static uint64_t in_lower(const struct grown *g, uint64_t off, uint64_t n)
{
	const uint64_t end = g->lower->size_bytes;

	if (off >= end)
		return 0;
	return n < end - off ? n : end - off;
}

static int grow_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	struct grown *g = (struct grown *)d;
	const size_t k = (size_t)in_lower(g, off, n);

	memset((uint8_t *)buf + k, 0, n - k);
	return k ? ibb_disk_pread(g->lower, buf, k, off, err) : IBB_OK;
}

static int grow_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			struct ibb_error *err)
{
	struct grown *g = (struct grown *)d;
	const uint64_t k = in_lower(g, off, n);
	int r = k ? ibb_disk_extents(g->lower, off, k, fn, ctx, err) : IBB_OK;

	if (r || k == n)
		return r;
	return fn(ctx, &(struct ibb_extent){off + k, n - k, false}, err);
}

static void grow_close(struct ibb_disk *d)
{
	ibb_disk_unref(((struct grown *)d)->lower);
}

static const struct ibb_disk_ops grow_ops = {
	.name = "grow",
	.pread = grow_pread,
	.extents = grow_extents,
	.close = grow_close,
};

int ibb_disk_grow_new(struct ibb_disk *lower, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err)
{
	IBB_AUTO_FREE struct grown *g = ibb_zalloc(sizeof(*g));
	int r;

	if (!g)
		return ibb_err_nomem(err);
	if (size_bytes < lower->size_bytes)
		return ibb_err(err, IBB_E_INTERNAL, "%s: cannot grow %llu bytes to %llu",
			       lower->name, (unsigned long long)lower->size_bytes,
			       (unsigned long long)size_bytes);
	r = ibb_disk_init(&g->d, &grow_ops, lower->name, size_bytes, lower->sector_bytes, err);
	if (r)
		return r;
	g->lower = ibb_disk_ref(lower);
	*ret = &IBB_TAKE(g)->d;
	return IBB_OK;
}

int ibb_disk_at_least(struct ibb_disk *d, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err)
{
	if (d->size_bytes < size_bytes)
		return ibb_disk_grow_new(d, size_bytes, ret, err);
	*ret = ibb_disk_ref(d);
	return IBB_OK;
}
