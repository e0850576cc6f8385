/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A clone with the overlay's blocks laid over it, and checks of a finished copy. */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "disk/copy.h"
#include "disk/sink.h"

#define PIECE (1u << 20)

/* A clone has the size that the source has now. */
static int check_clone(const struct ibb_disk *file, int out_fd, const char *out_name,
		       struct ibb_error *err)
{
	struct ibb_file_id id;
	int r = ibb_file_id_fd(out_fd, out_name, &id, err);

	if (r || id.size_bytes == file->size_bytes)
		return r;
	return ibb_err(err, IBB_E_CHANGED,
		       "%s: %s while it was copied: %llu bytes before, %llu now", file->name,
		       id.size_bytes < file->size_bytes ? "shrank" : "grew",
		       (unsigned long long)file->size_bytes, (unsigned long long)id.size_bytes);
}

int ibb_copy_clone(struct ibb_disk *file, int out_fd, const char *out_name, bool *ret_cloned,
		   struct ibb_error *err)
{
	struct ibb_sink_fd s;
	bool cloned;
	int r;

	ibb_sink_fd_init(&s, out_fd, out_name);
	/* emptied first, so that holes are holes whatever it held */
	r = s.s.truncate(&s.s, 0, err);
	if (r)
		return r;
	/* whatever it fails with, the copy that follows works or says why not */
	cloned = ioctl(out_fd, FICLONE, ibb_disk_file_fd(file)) == 0;
	r = cloned ? check_clone(file, out_fd, out_name, err) : IBB_OK;
	if (!r)
		*ret_cloned = cloned;
	return r;
}

/* --- the overlay's blocks --- */

struct layer {
	int fd;
	const char *name;
	uint64_t done, total;
	struct ibb_disk *want, *out;
	uint8_t *a, *b; /* what was read, PIECE bytes each */
};

static int write_run(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	struct layer *l = ctx;
	int r = ibb_pwrite_full(l->fd, data, n, off, l->name, err);

	if (r == IBB_E_NOSPACE)
		return ibb_fd_no_space(l->fd, l->name, l->total - l->done, err);
	if (!r)
		l->done += n;
	return r;
}

static int compare_run(void *ctx, uint64_t off, const uint8_t *data, size_t n,
		       struct ibb_error *err)
{
	struct layer *l = ctx;
	int r = ibb_pread_full(l->fd, l->a, n, off, l->name, err);

	if (r || memcmp(l->a, data, n) == 0)
		return r;
	return ibb_disk_differs(l->name, off, l->a, data, err);
}

static int compare_disk_run(void *ctx, uint64_t off, IBB_UNUSED const uint8_t *data, size_t n,
			    struct ibb_error *err)
{
	struct layer *l = ctx;
	int r = ibb_disk_pread(l->want, l->b, n, off, err);

	if (!r)
		r = ibb_disk_pread(l->out, l->a, n, off, err);
	if (r || memcmp(l->a, l->b, n) == 0)
		return r;
	return ibb_disk_differs(l->out->name, off, l->a, l->b, err);
}

int ibb_copy_overlay(struct ibb_disk *overlay, int out_fd, const char *out_name,
		     struct ibb_copy_stats *stats, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *back = ibb_alloc(PIECE);
	struct layer l = {.fd = out_fd, .name = out_name, .a = back};
	int r;

	if (!back)
		return ibb_err_nomem(err);
	l.total = ibb_disk_overlay_dirty_bytes(overlay);
	r = ibb_disk_overlay_runs(overlay, PIECE, write_run, &l, err);
	if (!r)
		r = ibb_disk_overlay_runs(overlay, PIECE, compare_run, &l, err);
	if (!r)
		stats->overlay_bytes += l.done;
	return r;
}

int ibb_copy_check_overlay(struct ibb_disk *overlay, struct ibb_disk *want, struct ibb_disk *out,
			   struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *a = ibb_alloc(PIECE);
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(PIECE);
	struct layer l = {.want = want, .out = out, .a = a, .b = b};

	if (!a || !b)
		return ibb_err_nomem(err);
	return ibb_disk_overlay_runs(overlay, PIECE, compare_disk_run, &l, err);
}

/* --- a sample of the whole --- */

#define SAMPLE 4096u
#define STRIDE (2u << 20)

struct sample {
	struct ibb_disk *source, *out;
	uint64_t bytes;
	uint8_t a[SAMPLE], b[SAMPLE];
};

static int compare_at(struct sample *s, uint64_t off, size_t n, struct ibb_error *err)
{
	int r = ibb_disk_pread(s->source, s->a, n, off, err);

	if (!r)
		r = ibb_disk_pread(s->out, s->b, n, off, err);
	if (r)
		return r;
	s->bytes += n;
	return memcmp(s->a, s->b, n) == 0 ? IBB_OK
					  : ibb_disk_differs(s->out->name, off, s->b, s->a, err);
}

static int sample_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct sample *s = ctx;
	uint64_t off = e->off_bytes, end = off + e->len_bytes;
	int r = IBB_OK;

	while (e->data && off < end && !r) {
		const uint64_t border = (off / STRIDE + 1) * STRIDE;
		const uint64_t n = (border < end ? border : end) - off;
		const size_t k = n < SAMPLE ? (size_t)n : SAMPLE;

		r = compare_at(s, off, k, err);
		if (!r && n > k)
			r = compare_at(s, off + n - k, k, err);
		off += n;
	}
	return r;
}

/* In a hole of the source, look at what the output has there. */
static int sample_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct sample *s = ctx;

	return e->data ? sample_run(s, e, err)
		       : ibb_disk_extents(s->out, e->off_bytes, e->len_bytes, sample_run, s, err);
}

int ibb_copy_check_sample(struct ibb_disk *source, struct ibb_disk *out, uint64_t *ret_bytes,
			  struct ibb_error *err)
{
	IBB_AUTO_FREE struct sample *s = ibb_zalloc(sizeof(*s));
	int r;

	if (!s)
		return ibb_err_nomem(err);
	if (source->size_bytes != out->size_bytes)
		return ibb_err(err, IBB_E_IO, "%s: the disk written has %llu bytes instead of %llu",
			       out->name, (unsigned long long)out->size_bytes,
			       (unsigned long long)source->size_bytes);
	s->source = source;
	s->out = out;
	r = ibb_disk_extents(source, 0, source->size_bytes, sample_extent, s, err);
	if (!r)
		*ret_bytes = s->bytes;
	return r;
}
