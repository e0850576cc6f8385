/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Did the content of every file arrive? What wimlib takes over as it is stored, it copies without a
 * look at it, and the digests of the result are those that it had before. So whatever was written
 * is read: against the bytes of the source where that has the same resource, else decompressed and
 * held against its digest.
 */
#include "volume/wim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"

#define STOPPED	    (-1)
#define PIECE_BYTES (1u << 20)
/* Before each resource of a pipable WIM: magic, size, digest, flags (wimlib). */
#define PIPE_HEADER_BYTES 40u
#define PIPE_MAGIC	  0x2b9b9ba2443db9d8ull
#define FLAG_COMPRESSED	  4u

/* Where a blob lies; there may be millions. */
struct place {
	uint8_t digest[IBB_SHA1_SIZE];
	uint32_t image : 12; /* whose list of names it is; 0: content */
	uint32_t part : 16;
	uint32_t compressed : 1, solid : 1;
	uint64_t off, packed, size; /* of the resource */
	uint64_t from, bytes;	    /* of the blob in a solid one */
};

struct places {
	struct place *items;
	size_t n, cap;
	unsigned images;
};

struct content {
	struct ibb_wim *before, *now;
	struct places was, is;
	bool same_file; /* appended to: what lies where it lay was not written */
	bool same_form; /* what is compressed alike is the same to the byte */
	/* neighbours in both files are compared at once */
	uint64_t range_is, range_was, range_bytes;
	/* the solid resources that were compared last */
	const struct place *solid_is, *solid_was;
	uint8_t *a, *b;
	struct wim_checking p;
};

int ibb_wim_checking_step(struct wim_checking *p, uint64_t n, struct ibb_error *err)
{
	p->done += n;
	if (p->done > p->total)
		p->done = p->total;
	if (!p->progress || (p->done < p->total && p->done - p->said < PIECE_BYTES))
		return IBB_OK;
	p->said = p->done;
	return p->progress(p->ctx, "check", p->done, p->total)
		       ? ibb_err(err, IBB_E_CANCELLED, "%s: the check was stopped", p->name)
		       : IBB_OK;
}

/* ---- where everything lies ---- */

static int on_blob(const struct wimlib_resource_entry *e, void *ctx)
{
	struct places *l = ctx;
	struct place *x;

	if (ibb_grow(&l->items, &l->cap, l->n, sizeof(*l->items)))
		return STOPPED;
	x = &l->items[l->n++];
	*x = (struct place){.part = (uint16_t)e->part_number,
			    .compressed = e->is_compressed,
			    .solid = e->packed,
			    .bytes = e->uncompressed_size};
	memcpy(x->digest, e->sha1_hash, sizeof(x->digest));
	/* lists of names come in the order of images */
	if (e->is_metadata)
		x->image = ++l->images & 0xfffu;
	x->off = e->packed ? e->raw_resource_offset_in_wim : e->offset;
	x->packed = e->packed ? e->raw_resource_compressed_size : e->compressed_size;
	x->size = e->packed ? e->raw_resource_uncompressed_size : e->uncompressed_size;
	x->from = e->packed ? e->offset : 0;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int r = memcmp(x->digest, y->digest, sizeof(x->digest));

	return r ? r : (x->image > y->image) - (x->image < y->image);
}

static int by_offset(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

static int places_of(struct ibb_wim *w, int (*cmp)(const void *, const void *), struct places *ret,
		     struct ibb_error *err)
{
	int code = wimlib_iterate_lookup_table(w->lib, 0, on_blob, ret);

	if (code == STOPPED)
		return ibb_err_nomem(err);
	if (code)
		return ibb_wim_fail(w, code, err, "table of contents");
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), cmp);
	return IBB_OK;
}

/* ---- one blob ---- */

static int on_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	(void)off;
	return ibb_wim_checking_step(ctx, piece.len, err);
}

static void name_of(const struct place *x, char ret[64])
{
	char hex[2 * IBB_SHA1_SIZE + 1];

	ibb_hex(x->digest, sizeof(x->digest), hex);
	if (x->image)
		snprintf(ret, 64, "the names of image %u", x->image);
	else
		snprintf(ret, 64, "content %s", hex);
}

static int read_blob(struct content *c, const struct place *x, struct ibb_error *err)
{
	struct wimlib_resource_entry e = {.uncompressed_size = x->bytes,
					  .compressed_size = x->packed,
					  .offset = x->solid ? x->from : x->off,
					  .part_number = x->part,
					  .is_compressed = x->compressed,
					  .packed = x->solid,
					  .raw_resource_offset_in_wim = x->off,
					  .raw_resource_compressed_size = x->packed,
					  .raw_resource_uncompressed_size = x->size};
	char name[64];

	memcpy(e.sha1_hash, x->digest, sizeof(e.sha1_hash));
	name_of(x, name);
	return ibb_wim_blob_stream(c->now, name, &e, UINT64_MAX, on_piece, &c->p, err);
}

/* For whoever reads the WIM from a pipe, and never sees the table of contents. */
static int check_pipe_header(struct content *c, const struct place *x, struct ibb_error *err)
{
	uint8_t p[PIPE_HEADER_BYTES];
	char name[64];
	int r;

	name_of(x, name);
	if (x->off < WIM_HEADER_BYTES + sizeof(p))
		return ibb_err(err, IBB_E_CORRUPT, "%s: %s at offset %llu: no room for its header",
			       c->now->name, name, (unsigned long long)x->off);
	r = ibb_disk_pread(c->now->file, p, sizeof(p), x->off - sizeof(p), err);
	if (r)
		return r;
	if (ibb_get_le64(p) != PIPE_MAGIC || ibb_get_le64(p + 8) != x->bytes ||
	    memcmp(p + 16, x->digest, sizeof(x->digest)) != 0 ||
	    !(ibb_get_le32(p + 36) & FLAG_COMPRESSED) != !x->compressed)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %s: its header at offset %llu is damaged",
			       c->now->name, name, (unsigned long long)(x->off - sizeof(p)));
	return IBB_OK;
}

/* ---- the bytes of both files ---- */

/* IBB_E_DIFFERS, while *err says what else it is: the file was not written as it was meant. */
static int compare_bytes(struct content *c, uint64_t is, uint64_t was, uint64_t bytes,
			 struct ibb_error *err)
{
	int r = IBB_OK;

	for (uint64_t done = 0, n; !r && done < bytes; done += n) {
		n = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
		r = ibb_disk_pread(c->now->file, c->a, (size_t)n, is + done, err);
		if (!r)
			r = ibb_disk_pread(c->before->file, c->b, (size_t)n, was + done, err);
		if (r)
			return r;
		if (memcmp(c->a, c->b, (size_t)n) != 0) {
			(void)ibb_disk_differs(c->now->name, is + done, c->a, c->b, err);
			return IBB_E_DIFFERS;
		}
		r = ibb_wim_checking_step(&c->p, n, err);
	}
	return r;
}

static int compare_range(struct content *c, struct ibb_error *err)
{
	const uint64_t n = c->range_bytes;

	c->range_bytes = 0;
	return compare_bytes(c, c->range_is, c->range_was, n, err);
}

static int add_range(struct content *c, const struct place *is, const struct place *was,
		     struct ibb_error *err)
{
	int r = IBB_OK;

	if (is->off != c->range_is + c->range_bytes || was->off != c->range_was + c->range_bytes) {
		r = compare_range(c, err);
		c->range_is = is->off;
		c->range_was = was->off;
	}
	c->range_bytes += is->packed;
	return r;
}

/* wimlib may compress a list of names once more, with another result of the same length. */
static int compare_names(struct content *c, const struct place *is, const struct place *was,
			 struct ibb_error *err)
{
	struct ibb_error differs = {0};
	int r = compare_bytes(c, is->off, was->off, is->packed, &differs);

	if (r == IBB_E_DIFFERS)
		return read_blob(c, is, err);
	if (r && err)
		*err = differs;
	return r;
}

/* ---- all blobs ---- */

enum how { NOT_WRITTEN, AS_BYTES, AS_BLOB };

static enum how how_of(const struct content *c, const struct place *is, const struct place *was)
{
	bool alike = was && was->part == is->part && was->packed == is->packed &&
		     was->size == is->size && was->from == is->from && was->bytes == is->bytes &&
		     was->compressed == is->compressed && was->solid == is->solid;

	if (!is->bytes)
		return NOT_WRITTEN;
	if (alike && c->same_file && was->off == is->off)
		return NOT_WRITTEN;
	return alike && !c->same_file && (c->same_form || (!is->compressed && !is->solid))
		       ? AS_BYTES
		       : AS_BLOB;
}

/* Is it in the solid resource that the one before it was in, and so compared already? */
static bool is_compared(struct content *c, const struct place *is, const struct place *was)
{
	const bool again = is->solid && c->solid_is && c->solid_is->off == is->off &&
			   c->solid_was->off == was->off;

	if (is->solid) {
		c->solid_is = is;
		c->solid_was = was;
	}
	return again;
}

static int check_blob(struct content *c, const struct place *is, bool count, struct ibb_error *err)
{
	const struct place *was =
		c->was.n ? bsearch(is, c->was.items, c->was.n, sizeof(*is), by_digest) : NULL;
	const enum how how = how_of(c, is, was);
	int r = IBB_OK;

	if (how == NOT_WRITTEN || (how == AS_BYTES && is_compared(c, is, was)))
		return IBB_OK;
	if (count) {
		c->p.total += how == AS_BYTES ? is->packed : is->bytes;
		return IBB_OK;
	}
	if (c->now->info.pipable)
		r = check_pipe_header(c, is, err);
	if (r)
		return r;
	if (how == AS_BLOB)
		return read_blob(c, is, err);
	return is->image ? compare_names(c, is, was, err) : add_range(c, is, was, err);
}

static int check_blobs(struct content *c, bool count, struct ibb_error *err)
{
	int r = IBB_OK;

	c->solid_is = NULL;
	c->solid_was = NULL;
	for (size_t i = 0; !r && i < c->is.n; i++)
		r = check_blob(c, &c->is.items[i], count, err);
	return r ? r : compare_range(c, err);
}

static int check(struct content *c, struct ibb_error *err)
{
	struct ibb_wim *const old = c->same_file ? c->before : NULL;
	int r = places_of(c->before, by_digest, &c->was, err);

	/* what was read before says nothing */
	c->now->chunk.data.len = 0;
	if (!r)
		r = places_of(c->now, by_offset, &c->is, err);
	if (!r)
		r = check_blobs(c, true, err);
	c->p.total += ibb_wim_integrity_bytes(old, c->now);
	if (!r)
		r = check_blobs(c, false, err);
	return r ? r : ibb_wim_check_integrity(old, c->now, &c->p, err);
}

/* Both have been opened a while ago. */
static int why(struct content *c, struct ibb_error *err)
{
	struct ibb_error changed = {0};

	if (!ibb_wim_unchanged(c->before, &changed))
		return IBB_E_IO;
	if (err)
		*err = changed;
	return changed.code;
}

int ibb_wim_check_content(struct ibb_wim *before, struct ibb_wim *now, ibb_wim_progress_fn progress,
			  void *ctx, struct ibb_error *err)
{
	struct content c = {
		.before = before,
		.now = now,
		.same_file = ibb_same_file(&before->id, &now->id),
		.same_form = before->compression == now->compression &&
			     before->info.chunk_bytes == now->info.chunk_bytes &&
			     before->info.pipable == now->info.pipable,
		.a = ibb_alloc(PIECE_BYTES),
		.b = ibb_alloc(PIECE_BYTES),
		.p = {.progress = progress, .ctx = ctx, .name = now->name},
	};
	int r = c.a && c.b ? check(&c, err) : ibb_err_nomem(err);

	free(c.was.items);
	free(c.is.items);
	free(c.a);
	free(c.b);
	return r == IBB_E_DIFFERS ? why(&c, err) : r;
}
