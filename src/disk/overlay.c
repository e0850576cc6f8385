/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copy-on-write in memory. Changed blocks hang in a hash table (open addressing, linear probing)
 * keyed by block index; a sorted list of the indices is made when runs are asked for. Blocks past
 * the memory limit lie in a temporary file; a slot says which place of it.
 *
 * Every write compares the outcome with the lower disk and drops a block that equals it, so the
 * set of dirty blocks is exact at any time. That costs a read of the lower disk per write, which
 * the page cache serves; it saves writing what did not change (a plan that was undone, libntfs-3g
 * rewriting an MFT record as it was).
 */
#include "disk/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define BLOCK	     4096u
#define WRITE_BLOCKS 32u /* blocks compared with the lower disk at a time */

/* A table of millions of these: one word says where the content is. */
struct slot {
	uint64_t block;
	uintptr_t ref; /* 0: free; even: address of the content; odd: 2 * place in the file + 1 */
};

/* What lies in the temporary file. */
struct spill {
	char *dir;	       /* NULL: none was named */
	struct ibb_disk *file; /* NULL: not needed so far */
	uint64_t n;	       /* places used at one time or another */
	uint64_t *free;	       /* places that are free again */
	size_t n_free, cap_free;
	int broken; /* first failed read: writes have their own memory */
	struct ibb_error why;
};

struct overlay {
	struct ibb_disk d;
	struct ibb_disk *lower;
	uint64_t limit_bytes;
	uint64_t dirty_bytes;
	uint64_t memory_bytes; /* of these, in memory */
	struct spill spill;
	struct slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n_used;
	uint64_t *order; /* n_used indices, ascending; NULL: to be made */
	uint8_t *scratch;
	uint8_t *block; /* one that was read back from the file */
};

static bool is_spilled(const struct slot *s)
{
	return s->ref & 1;
}

static uint8_t *in_memory(const struct slot *s)
{
	return (uint8_t *)s->ref;
}

static uint64_t file_offset(const struct slot *s)
{
	return (uint64_t)(s->ref >> 1) * BLOCK;
}

static size_t block_len(const struct overlay *o, uint64_t block)
{
	uint64_t left = o->d.size_bytes - block * BLOCK;

	return left < BLOCK ? (size_t)left : BLOCK;
}

static size_t home_of(const struct overlay *o, uint64_t block)
{
	/* Fibonacci hashing: neighbouring blocks spread over the table */
	return (size_t)((block * 0x9e3779b97f4a7c15u) >> 32) & (o->n_slots - 1);
}

/* The slot of a block, or the free one where it belongs. The table is never full. */
static struct slot *find(const struct overlay *o, uint64_t block)
{
	size_t i = home_of(o, block);

	while (o->slots[i].ref && o->slots[i].block != block)
		i = (i + 1) & (o->n_slots - 1);
	return &o->slots[i];
}

/* NULL: the block is clean. */
static struct slot *dirty_slot(const struct overlay *o, uint64_t block)
{
	struct slot *s = o->n_used ? find(o, block) : NULL;

	return s && s->ref ? s : NULL;
}

/* ---- the temporary file ---- */

/* What was put there once and cannot be read any more is lost: no later read may pretend. */
static int spill_read(struct overlay *o, const struct slot *s, size_t in, void *buf, size_t n,
		      struct ibb_error *err)
{
	if (!o->spill.broken)
		o->spill.broken =
			ibb_disk_pread(o->spill.file, buf, n, file_offset(s) + in, &o->spill.why);
	if (o->spill.broken && err)
		*err = o->spill.why;
	return o->spill.broken;
}

static int what_to_do(const struct overlay *o, int code, struct ibb_error *err)
{
	return ibb_err_hint(err, code,
			    "changed blocks past %llu MiB lie there: make room, or name another "
			    "directory in TMPDIR",
			    (unsigned long long)(o->limit_bytes >> 20));
}

static int spill_write(struct overlay *o, const struct slot *s, const void *buf, size_t n,
		       struct ibb_error *err)
{
	int r = ibb_disk_pwrite(o->spill.file, buf, n, file_offset(s), err);

	return r ? what_to_do(o, r, err) : IBB_OK;
}

static int spill_open(struct overlay *o, struct ibb_error *err)
{
	int r;

	if (o->spill.file)
		return IBB_OK;
	if (o->spill.dir) {
		r = ibb_disk_temp_new(o->spill.dir, IBB_LIMIT_SPILL_BYTES, &o->spill.file, err);
		return r ? what_to_do(o, r, err) : IBB_OK;
	}
	ibb_err(err, IBB_E_LIMIT, "%s: more than %llu MiB of changed blocks", o->d.name,
		(unsigned long long)(o->limit_bytes >> 20));
	return ibb_err_hint(err, IBB_E_LIMIT, "stage fewer or smaller driver packages in one run");
}

/* Put a block into a place of the file, one that was freed first. */
static int spill_block(struct overlay *o, const uint8_t *data, size_t len, struct slot *ret,
		       struct ibb_error *err)
{
	struct spill *x = &o->spill;
	int r = spill_open(o, err);

	if (r)
		return r;
	if (!x->n_free && (x->n + 1) * BLOCK > x->file->size_bytes) {
		ibb_err(err, IBB_E_LIMIT, "%s: more than %llu MiB of changed blocks", o->d.name,
			(unsigned long long)((o->limit_bytes + x->file->size_bytes) >> 20));
		return ibb_err_hint(err, IBB_E_LIMIT,
				    "stage fewer or smaller driver packages in one run");
	}
	ret->ref = (uintptr_t)(x->n_free ? x->free[x->n_free - 1] : x->n) << 1 | 1;
	r = spill_write(o, ret, data, len, err);
	if (r)
		return r;
	if (x->n_free)
		x->n_free--;
	else
		x->n++;
	return IBB_OK;
}

/* Without memory for the list a place is lost until the overlay goes, which only costs space. */
static void spill_release(struct overlay *o, const struct slot *s)
{
	struct spill *x = &o->spill;

	if (!ibb_grow(&x->free, &x->cap_free, x->n_free, sizeof(*x->free)))
		x->free[x->n_free++] = (uint64_t)(s->ref >> 1);
}

/* ---- blocks ---- */

static void forget_order(struct overlay *o)
{
	free(o->order);
	o->order = NULL;
}

static int grow_table(struct overlay *o, struct ibb_error *err)
{
	struct slot *old = o->slots;
	size_t n_old = o->n_slots, n = n_old ? n_old * 2 : 64;
	struct slot *slots = ibb_calloc_array(n, sizeof(*slots));

	if (!slots)
		return ibb_err_nomem(err);
	o->slots = slots;
	o->n_slots = n;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].ref)
			*find(o, old[i].block) = old[i];
	free(old);
	return IBB_OK;
}

static int add_block(struct overlay *o, uint64_t block, const uint8_t *data, struct ibb_error *err)
{
	const size_t len = block_len(o, block);
	const bool spilled = len > o->limit_bytes - o->memory_bytes;
	struct slot s = {.block = block};
	int r = IBB_OK;

	if (o->n_used >= o->n_slots / 2)
		r = grow_table(o, err);
	if (!r && spilled)
		r = spill_block(o, data, len, &s, err);
	if (!r && !spilled)
		s.ref = (uintptr_t)ibb_memdup(data, len);
	if (!r && !s.ref)
		r = ibb_err_nomem(err);
	if (r)
		return r;
	*find(o, block) = s;
	o->n_used++;
	o->dirty_bytes += len;
	o->memory_bytes += spilled ? 0 : len;
	forget_order(o);
	return IBB_OK;
}

static void release_block(struct overlay *o, const struct slot *s)
{
	o->dirty_bytes -= block_len(o, s->block);
	if (is_spilled(s)) {
		spill_release(o, s);
		return;
	}
	free(in_memory(s));
	o->memory_bytes -= block_len(o, s->block);
}

/* Remove and close the gap, so that no probe sequence is cut (Knuth, 6.4, algorithm R). */
static void drop_block(struct overlay *o, uint64_t block)
{
	size_t mask = o->n_slots - 1;
	size_t gap = (size_t)(find(o, block) - o->slots);

	release_block(o, &o->slots[gap]);
	for (size_t i = (gap + 1) & mask; o->slots[i].ref; i = (i + 1) & mask) {
		size_t home = home_of(o, o->slots[i].block);

		/* the block may move to the gap unless its home lies behind it */
		if (((i - home) & mask) >= ((i - gap) & mask)) {
			o->slots[gap] = o->slots[i];
			gap = i;
		}
	}
	o->slots[gap] = (struct slot){0};
	o->n_used--;
	forget_order(o);
}

/* How many bytes of [off, off+n) lie in blocks that are clean (or dirty) like the one at off. */
static size_t same_run(const struct overlay *o, uint64_t off, size_t n)
{
	uint64_t block = off / BLOCK;
	size_t len = BLOCK - (size_t)(off % BLOCK);

	while (len < n && !dirty_slot(o, ++block))
		len += BLOCK;
	return len < n ? len : n;
}

static int overlay_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off,
			 struct ibb_error *err)
{
	struct overlay *o = (struct overlay *)d;
	uint8_t *out = buf;

	if (!o->n_used)
		return ibb_disk_pread(o->lower, buf, n, off, err);
	while (n) {
		const struct slot *s = dirty_slot(o, off / BLOCK);
		size_t in = (size_t)(off % BLOCK);
		size_t k = BLOCK - in < n ? BLOCK - in : n;
		int r = IBB_OK;

		if (!s) {
			k = same_run(o, off, n);
			r = ibb_disk_pread(o->lower, out, k, off, err);
		} else if (is_spilled(s)) {
			r = spill_read(o, s, in, out, k, err);
		} else {
			memcpy(out, in_memory(s) + in, k);
		}
		if (r)
			return r;
		out += k;
		off += k;
		n -= k;
	}
	return IBB_OK;
}

/*
 * Lay n bytes at `in` into one block whose lower content is `lower` (scratch: it may be changed).
 */
static int write_block(struct overlay *o, uint64_t block, size_t in, size_t n, const uint8_t *bytes,
		       uint8_t *lower, struct ibb_error *err)
{
	const struct slot *s = dirty_slot(o, block);
	const size_t len = block_len(o, block);

	if (s) {
		uint8_t *data = is_spilled(s) ? o->block : in_memory(s);
		int r = is_spilled(s) ? spill_read(o, s, 0, data, len, err) : IBB_OK;

		if (r)
			return r;
		memcpy(data + in, bytes, n);
		if (memcmp(data, lower, len) == 0)
			drop_block(o, block);
		else if (is_spilled(s))
			r = spill_write(o, s, data, len, err);
		return r;
	}
	if (memcmp(lower + in, bytes, n) == 0)
		return IBB_OK;
	memcpy(lower + in, bytes, n);
	return add_block(o, block, lower, err);
}

static int overlay_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
			  struct ibb_error *err)
{
	struct overlay *o = (struct overlay *)d;
	const uint8_t *bytes = buf;

	while (n) {
		uint64_t start = off / BLOCK * BLOCK;
		uint64_t span = WRITE_BLOCKS * BLOCK;
		int r;

		if (span > d->size_bytes - start)
			span = d->size_bytes - start;
		if (span > off + n - start)
			span = block_len(o, (off + n - 1) / BLOCK) +
			       ((off + n - 1) / BLOCK * BLOCK - start);
		r = ibb_disk_pread(o->lower, o->scratch, (size_t)span, start, err);
		if (r)
			return r;
		for (uint64_t at = start; at < start + span && n; at += BLOCK) {
			size_t in = (size_t)(off - at);
			size_t k = BLOCK - in < n ? BLOCK - in : n;

			r = write_block(o, at / BLOCK, in, k, bytes, o->scratch + (at - start),
					err);
			if (r)
				return r;
			bytes += k;
			off += k;
			n -= k;
		}
	}
	return IBB_OK;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int make_order(struct overlay *o, struct ibb_error *err)
{
	size_t n = 0;

	if (o->order)
		return IBB_OK;
	o->order = ibb_calloc_array(o->n_used, sizeof(*o->order));
	if (!o->order)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < o->n_slots; i++)
		if (o->slots[i].ref)
			o->order[n++] = o->slots[i].block;
	qsort(o->order, n, sizeof(*o->order), cmp_u64);
	return IBB_OK;
}

/* The first position in the order whose block is not below `block`. */
static size_t lower_bound(const struct overlay *o, uint64_t block)
{
	size_t lo = 0, hi = o->n_used;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (o->order[mid] < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct merge {
	struct overlay *o;
	ibb_extent_fn fn;
	void *ctx;
};

/* A run of the lower disk: data stays data; in a hole the dirty blocks are data. */
static int merge_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const struct merge *m = ctx;
	struct overlay *o = m->o;
	uint64_t pos = e->off_bytes, end = pos + e->len_bytes;
	int r = IBB_OK;

	if (e->data)
		return m->fn(m->ctx, e, err);
	for (size_t i = lower_bound(o, pos / BLOCK); !r && pos < end; i++) {
		uint64_t at = i < o->n_used ? ibb_min_u64(o->order[i] * BLOCK, end) : end;

		if (at > pos)
			r = m->fn(m->ctx, &(struct ibb_extent){pos, at - pos, false}, err);
		else
			at = pos;
		if (!r && at < end) {
			pos = ibb_min_u64(o->order[i] * BLOCK + BLOCK, end);
			r = m->fn(m->ctx, &(struct ibb_extent){at, pos - at, true}, err);
		} else {
			pos = at;
		}
	}
	return r;
}

static int overlay_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn,
			   void *ctx, struct ibb_error *err)
{
	struct overlay *o = (struct overlay *)d;
	struct merge m = {o, fn, ctx};
	int r = make_order(o, err);

	return r ? r : ibb_disk_extents(o->lower, off, n, merge_extent, &m, err);
}

static void overlay_close(struct ibb_disk *d)
{
	struct overlay *o = (struct overlay *)d;

	for (size_t i = 0; i < o->n_slots; i++)
		if (!is_spilled(&o->slots[i]))
			free(in_memory(&o->slots[i]));
	free(o->slots);
	free(o->order);
	free(o->scratch);
	free(o->spill.dir);
	free(o->spill.free);
	ibb_disk_unref(o->spill.file);
	ibb_disk_unref(o->lower);
}

static const char *overlay_spill_dir(const struct ibb_disk *d)
{
	return ((const struct overlay *)d)->spill.dir;
}

static const struct ibb_disk_ops overlay_ops = {
	.name = "overlay",
	.pread = overlay_pread,
	.pwrite = overlay_pwrite,
	.extents = overlay_extents,
	.close = overlay_close,
	.spill_dir = overlay_spill_dir,
};

int ibb_disk_overlay_new(struct ibb_disk *lower, uint64_t limit_bytes, struct ibb_disk **ret,
			 struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *scratch = ibb_alloc((WRITE_BLOCKS + 1) * BLOCK);
	IBB_AUTO_FREE struct overlay *o = ibb_zalloc(sizeof(*o));
	int r;

	if (!scratch || !o)
		return ibb_err_nomem(err);
	r = ibb_disk_init(&o->d, &overlay_ops, lower->name, lower->size_bytes, lower->sector_bytes,
			  err);
	if (r)
		return r;
	o->limit_bytes = limit_bytes;
	o->scratch = IBB_TAKE(scratch);
	o->block = o->scratch + WRITE_BLOCKS * BLOCK;
	o->lower = ibb_disk_ref(lower);
	*ret = &IBB_TAKE(o)->d;
	return IBB_OK;
}

uint64_t ibb_disk_overlay_dirty_bytes(const struct ibb_disk *overlay)
{
	IBB_ASSERT(overlay->ops == &overlay_ops);
	return ((const struct overlay *)overlay)->dirty_bytes;
}

int ibb_disk_overlay_spill(struct ibb_disk *overlay, const char *dir, struct ibb_error *err)
{
	struct overlay *o = (struct overlay *)overlay;
	char *copy = ibb_strdup(dir);

	IBB_ASSERT(overlay->ops == &overlay_ops);
	if (!copy)
		return ibb_err_nomem(err);
	free(o->spill.dir);
	o->spill.dir = copy;
	return IBB_OK;
}

void ibb_disk_overlay_spill_to(struct ibb_disk *overlay, struct ibb_disk *d)
{
	struct overlay *o = (struct overlay *)overlay;

	IBB_ASSERT(overlay->ops == &overlay_ops && !o->spill.file);
	o->spill.file = ibb_disk_ref(d);
}

void ibb_disk_overlay_usage(const struct ibb_disk *overlay, uint64_t *ret_memory_bytes,
			    uint64_t *ret_file_bytes)
{
	const struct overlay *o = (const struct overlay *)overlay;

	IBB_ASSERT(overlay->ops == &overlay_ops);
	*ret_memory_bytes = o->memory_bytes;
	*ret_file_bytes = o->spill.n * BLOCK;
}

int ibb_disk_overlay_dirty(struct ibb_disk *overlay, ibb_dirty_fn fn, void *ctx,
			   struct ibb_error *err)
{
	struct overlay *o = (struct overlay *)overlay;
	int r;

	IBB_ASSERT(overlay->ops == &overlay_ops);
	r = make_order(o, err);
	for (size_t i = 0; !r && i < o->n_used; i++) {
		const struct slot *s = find(o, o->order[i]);
		const size_t len = block_len(o, s->block);

		if (is_spilled(s))
			r = spill_read(o, s, 0, o->block, len, err);
		if (!r)
			r = fn(ctx, s->block * BLOCK, is_spilled(s) ? o->block : in_memory(s), len,
			       err);
	}
	return r;
}

/* A run that grows as long as the next block is its neighbour. */
struct gather {
	ibb_dirty_fn fn;
	void *ctx;
	uint64_t off;
	size_t len, max;
	uint8_t *buf;
};

static int gather_flush(struct gather *g, struct ibb_error *err)
{
	const size_t n = g->len;

	g->len = 0;
	return n ? g->fn(g->ctx, g->off, g->buf, n, err) : IBB_OK;
}

static int gather_add(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	struct gather *g = ctx;

	IBB_ASSERT(n <= g->max);
	if (off != g->off + g->len || n > g->max - g->len) {
		int r = gather_flush(g, err);

		if (r)
			return r;
		g->off = off;
	}
	memcpy(g->buf + g->len, data, n);
	g->len += n;
	return IBB_OK;
}

int ibb_disk_overlay_runs(struct ibb_disk *overlay, size_t max_bytes, ibb_dirty_fn fn, void *ctx,
			  struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(max_bytes);
	struct gather g = {.fn = fn, .ctx = ctx, .max = max_bytes, .buf = buf};
	int r;

	if (!buf)
		return ibb_err_nomem(err);
	r = ibb_disk_overlay_dirty(overlay, gather_add, &g, err);
	return r ? r : gather_flush(&g, err);
}
