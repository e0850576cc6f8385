/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pread and pwrite in pieces of 1 MiB: measured on ext4 they were at least as fast as
 * copy_file_range (1.2 GB cached: 0.3 s against 0.4 to 0.6 s), and where copy_file_range would
 * share blocks instead of copying them, FICLONE has been tried before.
 */
#include "disk/copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE (1u << 20)

struct copier {
	struct ibb_disk *file;
	int out_fd;
	const char *out_name;
	ibb_copy_progress_fn progress;
	void *ctx;
	uint64_t done, total;
	uint8_t *buf;
};

/* "No space" with the numbers, as far as the file system tells them. */
static int no_space(int fd, const char *name, uint64_t wanted, struct ibb_error *err)
{
	struct statvfs vfs;
	uint64_t left;

	if (fstatvfs(fd, &vfs))
		return IBB_E_NOSPACE;
	left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (left >= wanted) /* a quota, or somebody made room meanwhile */
		return IBB_E_NOSPACE;
	ibb_err(err, IBB_E_NOSPACE,
		"%s: no space left for the image: %llu bytes more to write, %llu free, %llu "
		"missing",
		name, (unsigned long long)wanted, (unsigned long long)left,
		(unsigned long long)(wanted - left));
	if (err)
		err->os_errno = ENOSPC;
	return ibb_err_hint(err, IBB_E_NOSPACE,
			    "free space on that file system, or write the image to another one");
}

static int put(int fd, const char *name, const void *p, size_t n, uint64_t off, uint64_t to_come,
	       struct ibb_error *err)
{
	int r = ibb_pwrite_full(fd, p, n, off, name, err);

	return r == IBB_E_NOSPACE ? no_space(fd, name, to_come, err) : r;
}

static int report(const struct copier *c, struct ibb_error *err)
{
	if (!c->progress || !c->progress(c->ctx, c->done, c->total))
		return IBB_OK;
	return ibb_err(err, IBB_E_CANCELLED, "%s: the copy was stopped", c->out_name);
}

static int add_len(void *ctx, const struct ibb_extent *e, IBB_UNUSED struct ibb_error *err)
{
	struct copier *c = ctx;

	if (e->data)
		c->total += e->len_bytes;
	return IBB_OK;
}

static int copy_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct copier *c = ctx;
	uint64_t off = e->off_bytes, end = off + e->len_bytes;

	while (e->data && off < end) {
		size_t n = end - off < PIECE ? (size_t)(end - off) : PIECE;
		int r = ibb_disk_pread(c->file, c->buf, n, off, err);

		if (r == IBB_E_CORRUPT) /* its size was sound when it was opened */
			return ibb_err(err, IBB_E_CHANGED, "%s: shrank while it was copied",
				       c->file->name);
		if (!r)
			r = put(c->out_fd, c->out_name, c->buf, n, off, c->total - c->done, err);
		if (r)
			return r;
		off += n;
		c->done += n;
		r = report(c, err);
		if (r)
			return r;
	}
	return IBB_OK;
}

static int resize(const struct copier *c, uint64_t size, struct ibb_error *err)
{
	int r;

	do
		r = ftruncate(c->out_fd, (off_t)size);
	while (r && errno == EINTR);
	return r ? ibb_err_os(err, errno, "%s: set the size to %llu", c->out_name,
			      (unsigned long long)size)
		 : IBB_OK;
}

static int copy_extents(struct copier *c, struct ibb_error *err)
{
	const uint64_t size = c->file->size_bytes;
	int r;

	c->buf = ibb_alloc(PIECE);
	if (!c->buf)
		return ibb_err_nomem(err);
	r = ibb_disk_extents(c->file, 0, size, add_len, c, err);
	if (!r)
		r = report(c, err);
	if (!r)
		r = ibb_disk_extents(c->file, 0, size, copy_extent, c, err);
	if (!r)
		r = resize(c, size, err);
	free(c->buf);
	return r;
}

/* A clone has the size that the source has now. */
static int check_clone(const struct copier *c, struct ibb_error *err)
{
	struct ibb_file_id id;
	int r = ibb_file_id_fd(c->out_fd, c->out_name, &id, err);

	if (r)
		return r;
	if (id.size_bytes != c->file->size_bytes)
		return ibb_err(
			err, IBB_E_CHANGED,
			"%s: %s while it was copied: %llu bytes before, %llu now", c->file->name,
			id.size_bytes < c->file->size_bytes ? "shrank" : "grew",
			(unsigned long long)c->file->size_bytes, (unsigned long long)id.size_bytes);
	return report(c, err);
}

int ibb_copy_file(struct ibb_disk *file, int out_fd, const char *out_name,
		  ibb_copy_progress_fn progress, void *ctx, struct ibb_copy_stats *ret,
		  struct ibb_error *err)
{
	struct copier c = {file, out_fd, out_name, progress, ctx, 0, 0, NULL};
	/* emptied first, so that holes are holes whatever it held */
	int r = resize(&c, 0, err);
	bool reflink;

	if (r)
		return r;
	/* whatever it fails with, the copy below works or says why not */
	reflink = ioctl(out_fd, FICLONE, ibb_disk_file_fd(file)) == 0;
	r = reflink ? check_clone(&c, err) : copy_extents(&c, err);
	if (r)
		return r;
	*ret = (struct ibb_copy_stats){.copied_bytes = c.done, .reflink = reflink};
	return IBB_OK;
}

/* --- the overlay's blocks --- */

/* Neighbouring blocks become one write. */
struct layer {
	struct copier c;
	uint64_t base, off;
	size_t len;
	int (*emit)(struct layer *l, struct ibb_error *err);
	uint8_t *back; /* what was read back */
};

static int write_run(struct layer *l, struct ibb_error *err)
{
	int r = put(l->c.out_fd, l->c.out_name, l->c.buf, l->len, l->base + l->off,
		    l->c.total - l->c.done, err);

	if (!r)
		l->c.done += l->len;
	return r;
}

static int compare_run(struct layer *l, struct ibb_error *err)
{
	uint64_t at = l->base + l->off;
	size_t i = 0;
	int r = ibb_pread_full(l->c.out_fd, l->back, l->len, at, l->c.out_name, err);

	if (r || memcmp(l->back, l->c.buf, l->len) == 0)
		return r;
	while (l->back[i] == l->c.buf[i])
		i++;
	return ibb_err(err, IBB_E_IO,
		       "%s: what was written at offset %llu reads back differently: 0x%02x instead "
		       "of 0x%02x",
		       l->c.out_name, (unsigned long long)(at + i), l->back[i], l->c.buf[i]);
}

static int flush_run(struct layer *l, struct ibb_error *err)
{
	int r = l->len ? l->emit(l, err) : IBB_OK;

	l->len = 0;
	return r;
}

static int add_block(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	struct layer *l = ctx;

	IBB_ASSERT(n <= PIECE);
	if (off != l->off + l->len || n > PIECE - l->len) {
		int r = flush_run(l, err);

		if (r)
			return r;
		l->off = off;
	}
	memcpy(l->c.buf + l->len, data, n);
	l->len += n;
	return IBB_OK;
}

static int each_run(struct ibb_disk *overlay, struct layer *l,
		    int (*emit)(struct layer *l, struct ibb_error *err), struct ibb_error *err)
{
	int r;

	l->emit = emit;
	r = ibb_disk_overlay_dirty(overlay, add_block, l, err);
	return r ? r : flush_run(l, err);
}

int ibb_copy_overlay(struct ibb_disk *overlay, int out_fd, const char *out_name, uint64_t base_off,
		     struct ibb_copy_stats *stats, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(PIECE);
	IBB_AUTO_FREE uint8_t *back = ibb_alloc(PIECE);
	struct layer l = {
		.c = {.out_fd = out_fd, .out_name = out_name, .buf = buf},
		.base = base_off,
		.back = back,
	};
	int r;

	if (!buf || !back)
		return ibb_err_nomem(err);
	l.c.total = ibb_disk_overlay_dirty_bytes(overlay);
	r = each_run(overlay, &l, write_run, err);
	if (!r)
		r = each_run(overlay, &l, compare_run, err);
	if (!r)
		stats->overlay_bytes += l.c.done;
	return r;
}
