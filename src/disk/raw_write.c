/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Raw disks and fixed VHDs: every byte of the disk lies at its own offset of the file; a fixed VHD
 * has its footer behind them. Source: Microsoft, "Virtual Hard Disk Image Format Specification",
 * "Fixed Hard Disk Image"; for what Azure takes, Microsoft Learn, "Prepare a Windows VHD or VHDX to
 * upload to Azure": fixed, and a virtual size that is a multiple of 1 MiB.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "disk/vhd.h"
#include "disk/writer.h"

#define MIB (1u << 20)

struct flat {
	struct ibb_writer w;
	const uint8_t *footer; /* to keep; NULL: a new one */
};

static int flat_write(struct ibb_writer *w, const void *buf, size_t n, uint64_t off,
		      struct ibb_error *err)
{
	if (!ibb_in_range(off, n, w->o.disk_bytes) || off % w->o.sector_bytes ||
	    n % w->o.sector_bytes)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: %zu bytes at offset %llu are no sectors of the disk",
			       w->sink->name, n, (unsigned long long)off);
	return w->sink->pwrite(w->sink, buf, n, off, err);
}

static int raw_finish(struct ibb_writer *w, struct ibb_error *err)
{
	return w->sink->truncate(w->sink, w->o.disk_bytes, err);
}

static int fixed_finish(struct ibb_writer *w, struct ibb_error *err)
{
	const struct flat *flat = (const struct flat *)w;
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	struct ibb_vhd_footer f;
	int r;

	if (flat->footer) {
		memcpy(b, flat->footer, sizeof(b));
	} else {
		ibb_vhd_footer_init(&f, w->o.disk_bytes, w->o.unix_time, &w->o.id);
		ibb_vhd_footer_encode(&f, b);
	}
	/* a clone brings the footer of its source along, at another place perhaps */
	r = w->sink->truncate(w->sink, w->o.disk_bytes, err);
	return r ? r : w->sink->pwrite(w->sink, b, sizeof(b), w->o.disk_bytes, err);
}

static void flat_free(struct ibb_writer *w)
{
	free(w);
}

static const struct ibb_writer_ops raw_ops = {flat_write, raw_finish, flat_free};
static const struct ibb_writer_ops fixed_ops = {flat_write, fixed_finish, flat_free};

static int flat_new(const struct ibb_writer_ops *ops, struct ibb_sink *sink,
		    const struct ibb_write_opts *o, struct ibb_writer **ret, struct ibb_error *err)
{
	struct flat *f;

	if (o->disk_bytes % 512 || (o->sector_bytes != 512 && o->sector_bytes != 4096))
		return ibb_err(err, IBB_E_INTERNAL, "%s: %llu bytes in sectors of %u", sink->name,
			       (unsigned long long)o->disk_bytes, o->sector_bytes);
	f = ibb_zalloc(sizeof(*f));
	if (!f)
		return ibb_err_nomem(err);
	f->w = (struct ibb_writer){.ops = ops, .sink = sink, .o = *o};
	*ret = &f->w;
	return IBB_OK;
}

int ibb_writer_raw_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
		       struct ibb_writer **ret, struct ibb_error *err)
{
	return flat_new(&raw_ops, sink, o, ret, err);
}

int ibb_writer_vhd_fixed_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			     struct ibb_writer **ret, struct ibb_error *err)
{
	if (o->sector_bytes != 512) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: a disk with %u-byte logical sectors cannot be a fixed VHD: that "
			"format "
			"and Azure's disks have sectors of 512 bytes, and the partition table is "
			"written in sectors",
			sink->name, o->sector_bytes);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "keep the sector size with --format=vhdx or --format=raw, or "
				    "install Windows on a disk with 512-byte sectors");
	}
	if (o->disk_bytes > IBB_LIMIT_VHD_FIXED_BYTES)
		return ibb_err(
			err, IBB_E_UNSUPPORTED,
			"%s: a disk of %llu bytes is too large for a fixed VHD: at most %llu",
			sink->name, (unsigned long long)o->disk_bytes,
			(unsigned long long)IBB_LIMIT_VHD_FIXED_BYTES);
	if (!o->disk_bytes || o->disk_bytes % MIB)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: a fixed VHD of %llu bytes, no multiple of 1 MiB", sink->name,
			       (unsigned long long)o->disk_bytes);
	return flat_new(&fixed_ops, sink, o, ret, err);
}

void ibb_writer_vhd_fixed_keep(struct ibb_writer *w, const uint8_t *footer)
{
	IBB_ASSERT(w->ops == &fixed_ops);
	((struct flat *)w)->footer = footer;
}
