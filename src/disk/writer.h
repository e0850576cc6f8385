/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing a disk in one of the formats. A writer is given the disk's data in ascending order and
 * puts it where the format wants it; what it is not given reads as zeros and stays a hole.
 */
#ifndef IBB_DISK_WRITER_H
#define IBB_DISK_WRITER_H

#include "disk/disk.h"

enum ibb_format { IBB_FORMAT_VHD_FIXED, IBB_FORMAT_VHD_DYNAMIC, IBB_FORMAT_VHDX, IBB_FORMAT_RAW };

/* Where a writer's bytes go: a new, empty file; in tests one that fails on purpose. */
struct ibb_sink {
	const char *name; /* for messages */
	int (*pwrite)(struct ibb_sink *s, const void *buf, size_t n, uint64_t off,
		      struct ibb_error *err);
	/* set the file's size; what is new reads as zeros */
	int (*truncate)(struct ibb_sink *s, uint64_t size_bytes, struct ibb_error *err);
};

struct ibb_write_opts {
	uint64_t disk_bytes;
	uint32_t sector_bytes; /* logical: 512, or 4096 (VHDX and raw only) */
	struct ibb_guid id;    /* the new disk's identity (VHD unique ID, VHDX disk ID) */
	int64_t unix_time;     /* stamped on the footer */
};

struct ibb_writer;
struct ibb_writer_ops {
	/* n bytes of the disk at off: ascending, not overlapping, a multiple of the sector size at
	 * a multiple of it, inside the disk */
	int (*write)(struct ibb_writer *w, const void *buf, size_t n, uint64_t off,
		     struct ibb_error *err);
	/* tables, headers, footer: after it the sink holds the whole image */
	int (*finish)(struct ibb_writer *w, struct ibb_error *err);
	void (*free)(struct ibb_writer *w);
};
/* First member of each kind. */
struct ibb_writer {
	const struct ibb_writer_ops *ops;
	struct ibb_sink *sink; /* borrowed */
	struct ibb_write_opts o;
};
/* Accepts NULL. */
void ibb_writer_free(struct ibb_writer *w);
IBB_DEFINE_CLEANUP(struct ibb_writer *, ibb_writer_free)

/* IBB_E_UNSUPPORTED when the format cannot hold such a disk (size, sector size). A fixed VHD has to
 * be whole MiB: the caller grows the disk first. */
int ibb_writer_new(enum ibb_format format, struct ibb_sink *sink, const struct ibb_write_opts *o,
		   struct ibb_writer **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* One constructor a format, behind ibb_writer_new(). Dynamic VHD: blocks of 2 MiB. VHDX: dynamic,
 * blocks of 32 MiB as Windows makes them; its identifiers besides o->id are derived from o->id. */
int ibb_writer_raw_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
		       struct ibb_writer **ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_writer_vhd_fixed_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			     struct ibb_writer **ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Let the fixed VHD end with the 512 bytes of this footer (borrowed), which says the disk's size,
 * instead of a new one. */
void ibb_writer_vhd_fixed_keep(struct ibb_writer *w, const uint8_t *footer);
int ibb_writer_vhd_dynamic_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			       struct ibb_writer **ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_writer_vhdx_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			struct ibb_writer **ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
