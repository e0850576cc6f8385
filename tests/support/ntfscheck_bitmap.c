/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who owns which cluster, and the bitmaps that say so. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define PIECE 65536u

static inline bool bit(const uint8_t *p, uint64_t i)
{
	return p[i / 8] >> (i % 8) & 1;
}

/* Hostile runs may name the same clusters again and again: that is worth one finding. */
static void own_run(struct nc *c, const char *place, uint64_t lcn, uint64_t len)
{
	uint64_t shared = 0, from = 0;

	if (c->owned_steps > 4 * c->n_clusters)
		return;
	c->owned_steps += len;
	for (uint64_t i = lcn; i <= lcn + len; i++) {
		if (i < lcn + len && bit(c->owned, i)) {
			if (!shared++)
				from = i;
			continue;
		}
		if (shared)
			nc_error_range(c, "cluster-shared", place, from, shared);
		shared = 0;
		if (i < lcn + len)
			c->owned[i / 8] |= (uint8_t)(1u << (i % 8));
	}
}

void nc_own(struct nc *c, const char *place, const struct nc_attr *a)
{
	for (size_t i = 0; i < a->n_runs; i++)
		if (!a->runs[i].hole)
			own_run(c, place, a->runs[i].lcn, a->runs[i].len);
}

struct range {
	struct nc *c;
	const struct nc_bits *b;
	const char *code;
	uint64_t first, n;
};

static void range_end(struct range *r)
{
	if (r->n)
		nc_error_range(r->c, r->code, r->b->place, r->first, r->n);
	r->n = 0;
}

static void range_bit(struct range *r, uint64_t i, bool is)
{
	bool last = i >= r->b->n;
	bool want = last ? r->b->trailing : bit(r->b->want, i);
	const char *code = last ? r->b->trail : want ? r->b->clear : r->b->set;

	if (is == want) {
		range_end(r);
		return;
	}
	if (r->n && (r->code != code || r->first + r->n != i))
		range_end(r);
	if (!r->n)
		r->first = i;
	r->code = code;
	r->n++;
}

/* Bits behind the last up to the end of the attribute are judged as well. */
void nc_bits_compare(struct nc *c, const struct nc_attr *a, const struct nc_bits *b)
{
	struct range r = {.c = c, .b = b};
	uint8_t *buf;

	if (a->broken || a->size < (b->n + 7) / 8 ||
	    (!a->resident && a->size > a->next_vcn * c->cluster) || a->size > b->n / 8 + 65536) {
		nc_error(c, "bitmap-size", b->place, "%llu bytes for %llu bits",
			 (unsigned long long)a->size, (unsigned long long)b->n);
		return;
	}
	buf = ibb_alloc(PIECE);
	if (!buf)
		nc_fail(c, ibb_err_nomem(c->err));
	for (uint64_t off = 0; off < a->size && !c->rc; off += PIECE) {
		size_t n = a->size - off < PIECE ? (size_t)(a->size - off) : PIECE;

		if (!nc_read(c, a, off, buf, n))
			break;
		for (size_t i = 0; i < n; i++) {
			uint64_t first = (off + i) * 8;

			if (first + 8 <= b->n && buf[i] == b->want[off + i]) {
				range_end(&r);
				continue;
			}
			for (unsigned k = 0; k < 8; k++)
				range_bit(&r, first + k, buf[i] >> k & 1);
		}
	}
	range_end(&r);
	free(buf);
}

static void clusters(struct nc *c)
{
	const struct nc_bits b = {.place = "$Bitmap",
				  .clear = "bitmap-cluster-free",
				  .set = "bitmap-cluster-lost",
				  .trail = "bitmap-trailing",
				  .want = c->owned,
				  .n = c->n_clusters,
				  .trailing = true};
	struct nc_inode in = {0};
	struct nc_attr *a;

	if (c->recs[REC_BITMAP].state != NC_BASE)
		return;
	nc_assemble(c, REC_BITMAP, &in);
	a = nc_attr(&in, AT_STREAM, "");
	if (a)
		nc_bits_compare(c, a, &b);
	nc_inode_clear(&in);
}

static void records(struct nc *c)
{
	struct nc_bits b = {.place = "$MFT bitmap",
			    .clear = "bitmap-record-free",
			    .set = "bitmap-record-lost",
			    .trail = "bitmap-record-trailing",
			    .n = c->n_loaded};
	uint8_t *want = ibb_zalloc((size_t)(c->n_loaded / 8 + 1));
	struct nc_inode in = {0};
	struct nc_attr *a;

	if (!want) {
		nc_fail(c, ibb_err_nomem(c->err));
		return;
	}
	for (uint64_t i = 0; i < c->n_loaded; i++)
		if (c->recs[i].in_use)
			want[i / 8] |= (uint8_t)(1u << (i % 8));
	b.want = want;
	nc_assemble(c, REC_MFT, &in);
	a = nc_attr(&in, AT_BITS, "");
	if (a)
		nc_bits_compare(c, a, &b);
	nc_inode_clear(&in);
	free(want);
}

void nc_bitmaps(struct nc *c)
{
	if (c->rc)
		return;
	records(c);
	clusters(c);
	for (uint64_t i = 0; i < c->n_clusters / 8; i++)
		c->out->n_clusters += (unsigned)__builtin_popcount(c->owned[i]);
}
