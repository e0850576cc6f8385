/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/disk.h"

#include <stdlib.h>

struct fault {
	struct ibb_disk d;
	struct ibb_disk *lower;
	struct ibb_fault *plan;
};

static const char *const kind_names[] = {"read", "write", "flush"};

/* Count the operation; fail it when the plan says so. *ret_nth is its number, from 0. */
static int inject(struct fault *f, enum ibb_fault_kind kind, long *ret_nth, struct ibb_error *err)
{
	struct ibb_fault *p = f->plan;
	long nth = p->count[kind]++, at = p->fail_at[kind];

	*ret_nth = nth;
	if (at < 0 || nth < at || (nth > at && !p->persistent))
		return IBB_OK;
	return ibb_err_os(err, p->os_errno, "%s: injected failure of %s %ld", f->d.name,
			  kind_names[kind], nth);
}

static int fault_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	struct fault *f = (struct fault *)d;
	long nth;
	int r = inject(f, IBB_FAULT_READ, &nth, err);

	return r ? r : ibb_disk_pread(f->lower, buf, n, off, err);
}

static bool power_is_cut(const struct fault *f, long nth_write)
{
	return f->plan->cut_after >= 0 && nth_write >= f->plan->cut_after;
}

static int fault_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
			struct ibb_error *err)
{
	struct fault *f = (struct fault *)d;
	long nth;
	int r = inject(f, IBB_FAULT_WRITE, &nth, err);

	if (r || power_is_cut(f, nth))
		return r;
	return ibb_disk_pwrite(f->lower, buf, n, off, err);
}

static int fault_flush(struct ibb_disk *d, struct ibb_error *err)
{
	struct fault *f = (struct fault *)d;
	long nth;
	int r = inject(f, IBB_FAULT_FLUSH, &nth, err);

	if (r || power_is_cut(f, f->plan->count[IBB_FAULT_WRITE]))
		return r;
	return ibb_disk_flush(f->lower, err);
}

static int fault_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			 struct ibb_error *err)
{
	return ibb_disk_extents(((struct fault *)d)->lower, off, n, fn, ctx, err);
}

static void fault_close(struct ibb_disk *d)
{
	ibb_disk_unref(((struct fault *)d)->lower);
}

static const char *fault_spill_dir(const struct ibb_disk *d)
{
	return ibb_disk_spill_dir(((const struct fault *)d)->lower);
}

static const struct ibb_disk_ops fault_ops = {
	.name = "fault",
	.pread = fault_pread,
	.pwrite = fault_pwrite,
	.flush = fault_flush,
	.extents = fault_extents,
	.close = fault_close,
	.spill_dir = fault_spill_dir,
};

int ibb_disk_fault_new(struct ibb_disk *lower, struct ibb_fault *plan, struct ibb_disk **ret,
		       struct ibb_error *err)
{
	IBB_AUTO_FREE struct fault *f = ibb_zalloc(sizeof(*f));
	int r;

	if (!f)
		return ibb_err_nomem(err);
	r = ibb_disk_init(&f->d, &fault_ops, lower->name, lower->size_bytes, lower->sector_bytes,
			  err);
	if (r)
		return r;
	f->lower = ibb_disk_ref(lower);
	f->plan = plan;
	*ret = &IBB_TAKE(f)->d;
	return IBB_OK;
}
