/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/disk.h"

#include <stdlib.h>

int ibb_disk_init(struct ibb_disk *d, const struct ibb_disk_ops *ops, const char *name,
		  uint64_t size_bytes, uint32_t sector_bytes, struct ibb_error *err)
{
	char *copy = ibb_strdup(name);

	if (!copy)
		return ibb_err_nomem(err);
	d->ops = ops;
	d->size_bytes = size_bytes;
	d->sector_bytes = sector_bytes;
	d->name = copy;
	d->refs = 1;
	d->sticky_code = IBB_OK;
	return IBB_OK;
}

struct ibb_disk *ibb_disk_ref(struct ibb_disk *d)
{
	d->refs++;
	return d;
}

void ibb_disk_unref(struct ibb_disk *d)
{
	if (!d)
		return;
	IBB_ASSERT(d->refs > 0);
	if (--d->refs)
		return;
	if (d->ops->close)
		d->ops->close(d);
	free(d->name);
	free(d);
}

static int check_range(const struct ibb_disk *d, const char *what, uint64_t n, uint64_t off,
		       struct ibb_error *err)
{
	if (ibb_in_range(off, n, d->size_bytes))
		return IBB_OK;
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: %s of %llu bytes at offset %llu lies outside its %llu bytes", d->name,
		       what, (unsigned long long)n, (unsigned long long)off,
		       (unsigned long long)d->size_bytes);
}

/* Remember the first lost write: whoever swallows its error meets it again at flush. */
static int keep(struct ibb_disk *d, int r, struct ibb_error *own, struct ibb_error *err)
{
	if (r && !d->sticky_code) {
		own->code = r;
		d->sticky_code = r;
		d->sticky = *own;
	}
	if (r && err)
		*err = *own;
	return r;
}

static int sticky(const struct ibb_disk *d, struct ibb_error *err)
{
	if (d->sticky_code && err)
		*err = d->sticky;
	return d->sticky_code;
}

int ibb_disk_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	int r = check_range(d, "a read", n, off, err);

	if (r || !n)
		return r;
	return d->ops->pread(d, buf, n, off, err);
}

int ibb_disk_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		    struct ibb_error *err)
{
	struct ibb_error own = {0};
	int r = sticky(d, err);

	if (r)
		return r;
	if (!d->ops->pwrite)
		r = ibb_err(&own, IBB_E_READONLY, "%s: opened read-only, not written", d->name);
	if (!r)
		r = check_range(d, "a write", n, off, &own);
	if (!r && n)
		r = d->ops->pwrite(d, buf, n, off, &own);
	return keep(d, r, &own, err);
}

int ibb_disk_flush(struct ibb_disk *d, struct ibb_error *err)
{
	struct ibb_error own = {0};
	int r = sticky(d, err);

	if (r)
		return r;
	if (d->ops->flush)
		r = d->ops->flush(d, &own);
	return keep(d, r, &own, err);
}

int ibb_disk_differs(const char *name, uint64_t at, const uint8_t *got, const uint8_t *want,
		     struct ibb_error *err)
{
	size_t i = 0;

	while (got[i] == want[i])
		i++;
	return ibb_err(err, IBB_E_IO,
		       "%s: what was written at offset %llu reads back differently: 0x%02x instead "
		       "of 0x%02x",
		       name, (unsigned long long)(at + i), got[i], want[i]);
}

/* Joins neighbouring runs of the same kind and checks that the layer left no gap. */
struct joiner {
	struct ibb_disk *d;
	struct ibb_extent run;
	ibb_extent_fn fn;
	void *ctx;
};

static int joiner_add(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct joiner *j = ctx;
	int r = IBB_OK;

	if (!e->len_bytes)
		return IBB_OK;
	if (e->off_bytes != j->run.off_bytes + j->run.len_bytes)
		return ibb_err(err, IBB_E_INTERNAL, "%s: layer %s leaves a gap in its runs at %llu",
			       j->d->name, j->d->ops->name, (unsigned long long)e->off_bytes);
	if (j->run.len_bytes && j->run.data == e->data) {
		j->run.len_bytes += e->len_bytes;
		return IBB_OK;
	}
	if (j->run.len_bytes)
		r = j->fn(j->ctx, &j->run, err);
	j->run = *e;
	return r;
}

int ibb_disk_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		     struct ibb_error *err)
{
	struct joiner j = {.d = d, .run = {.off_bytes = off}, .fn = fn, .ctx = ctx};
	int r = check_range(d, "a run", n, off, err);

	if (r || !n)
		return r;
	if (!d->ops->extents)
		return fn(ctx, &(struct ibb_extent){off, n, true}, err);
	r = d->ops->extents(d, off, n, joiner_add, &j, err);
	if (r)
		return r;
	if (j.run.off_bytes + j.run.len_bytes != off + n)
		return ibb_err(err, IBB_E_INTERNAL, "%s: layer %s leaves out its last runs",
			       d->name, d->ops->name);
	return fn(ctx, &j.run, err);
}

struct shift {
	uint64_t from, to;
	ibb_extent_fn fn;
	void *ctx;
};

static int shift_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const struct shift *s = ctx;
	struct ibb_extent there = *e;

	there.off_bytes = e->off_bytes - s->from + s->to;
	return s->fn(s->ctx, &there, err);
}

int ibb_disk_extents_as(struct ibb_disk *d, uint64_t off, uint64_t n, uint64_t as, ibb_extent_fn fn,
			void *ctx, struct ibb_error *err)
{
	struct shift s = {off, as, fn, ctx};

	return ibb_disk_extents(d, off, n, shift_extent, &s, err);
}

const char *ibb_disk_spill_dir(const struct ibb_disk *d)
{
	return d->ops->spill_dir ? d->ops->spill_dir(d) : NULL;
}
