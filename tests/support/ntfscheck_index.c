/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The B+ trees of indexes: blocks, order, bitmap. What an entry means is for the caller. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define DEPTH_LIMIT 16

#define COLLATE_BINARY 0x00u
#define COLLATE_NAME   0x01u
#define COLLATE_U32    0x10u
#define COLLATE_SID    0x11u
#define COLLATE_HASH   0x12u
#define COLLATE_U32S   0x13u

static const char *at_index(struct nc_walk *w)
{
	return nc_at(w->c, "record %llu index %s", (unsigned long long)w->in->no, w->name);
}

static const char *at_block(struct nc_walk *w, uint64_t i)
{
	return nc_at(w->c, "record %llu index %s block %llu", (unsigned long long)w->in->no,
		     w->name, (unsigned long long)i);
}

static int compare_u32s(const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
	size_t n = na < nb ? na : nb;

	for (size_t i = 0; i + 4 <= n; i += 4) {
		uint32_t x = ibb_get_le32(a + i), y = ibb_get_le32(b + i);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return na < nb ? -1 : na > nb;
}

/* Folded by the volume's own table; names that are equal then, by their case. */
static int compare_names(const struct nc *c, const uint8_t *a, const uint8_t *b)
{
	unsigned na = a[0x40], nb = b[0x40], n = na < nb ? na : nb;
	int tie = 0;

	for (unsigned i = 0; i < n; i++) {
		uint16_t x = ibb_get_le16(a + 0x42 + 2 * (size_t)i);
		uint16_t y = ibb_get_le16(b + 0x42 + 2 * (size_t)i);

		if (!tie && x != y)
			tie = x < y ? -1 : 1;
		if (c->upcase[x] != c->upcase[y])
			return c->upcase[x] < c->upcase[y] ? -1 : 1;
	}
	return na != nb ? (na < nb ? -1 : 1) : tie;
}

static int compare(struct nc_walk *w, const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
	size_t n = na < nb ? na : nb;
	int r;

	switch (w->collation) {
	case COLLATE_NAME:
		return compare_names(w->c, a, b);
	case COLLATE_U32:
	case COLLATE_HASH:
	case COLLATE_U32S:
		return compare_u32s(a, na, b, nb);
	default:
		r = memcmp(a, b, n);
		return r ? r : (na < nb ? -1 : na > nb);
	}
}

static bool key_ok(struct nc_walk *w, const uint8_t *e, uint32_t len, const char *at)
{
	uint32_t n = nc_key_len(e);
	const uint8_t *k = e + 16;

	if (!n || n > len - 16 || n > sizeof(w->prev)) {
		nc_error(w->c, "index-entry-size", at, "a key of %u bytes", n);
		return false;
	}
	if (w->collation == COLLATE_NAME && (n < 0x44 || !k[0x40] || n < 0x42 + 2u * k[0x40])) {
		nc_error(w->c, "index-entry-name", at, "malformed");
		return false;
	}
	if (w->collation != COLLATE_NAME &&
	    !ibb_in_range(ibb_get_le16(e), ibb_get_le16(e + 2), len)) {
		nc_error(w->c, "index-entry-size", at, "its data lie outside");
		return false;
	}
	return true;
}

static void entry(struct nc_walk *w, const uint8_t *e, uint32_t len, const char *at)
{
	uint32_t n = nc_key_len(e);

	if (!key_ok(w, e, len, at))
		return;
	if (w->prev_len && compare(w, w->prev, w->prev_len, e + 16, n) >= 0)
		nc_error(w->c, "index-order", at, "an entry is not behind the one before");
	memcpy(w->prev, e + 16, n);
	w->prev_len = n;
	if (w->entry)
		w->entry(w, e);
}

static void block(struct nc_walk *w, uint64_t vcn, int depth);

/* One node: `h` is the index header, with `room` bytes from there to the end of the node. */
static void node(struct nc_walk *w, const uint8_t *h, uint32_t room, int depth, const char *at)
{
	uint32_t pos = ibb_get_le32(h), end = ibb_get_le32(h + 4), len;
	bool inner = h[12] & 1;

	if (pos < 16 || (pos & 7) || end > room || ibb_get_le32(h + 8) > room ||
	    end > ibb_get_le32(h + 8)) {
		nc_error(w->c, "index-node-size", at, "entries from %u to %u of %u", pos, end,
			 room);
		return;
	}
	for (;; pos += len) {
		const uint8_t *e = h + pos;
		unsigned flags;

		len = pos + 16 <= end ? ibb_get_le16(e + 8) : 0;
		flags = len ? ibb_get_le16(e + 12) : 0;
		if (len < 16 + 8 * (flags & 1) || (len & 7) || len > end - pos) {
			nc_error(w->c, "index-entry-size", at, "%u bytes at %u", len, pos);
			return;
		}
		if ((flags & 1) != inner)
			nc_error(w->c, "index-node-flags", at, "entry at %u", pos);
		if (flags & 1)
			block(w, ibb_get_le64(e + len - 8), depth + 1);
		if (w->c->rc)
			return;
		if (flags & 2)
			break;
		entry(w, e, len - 8 * (flags & 1), at);
	}
	if (pos + len != end)
		nc_error(w->c, "index-node-size", at, "%u bytes behind the last entry",
			 end - pos - len);
	if (inner)
		return;
	if (w->leaf_depth >= 0 && w->leaf_depth != depth)
		nc_error(w->c, "index-depth", at_index(w), "leaves at %d and %d", w->leaf_depth,
			 depth);
	w->leaf_depth = depth;
}

static bool block_ok(struct nc_walk *w, uint8_t *p, uint64_t vcn, const char *at)
{
	if (memcmp(p, "INDX", 4)) {
		nc_error(w->c, "index-block-signature", at, "none");
		return false;
	}
	if (!nc_fixup(w->c, p, w->block, "index-block-fixup", at))
		return false;
	if (ibb_get_le64(p + 0x10) != vcn)
		nc_error(w->c, "index-block-vcn", at, "%llu",
			 (unsigned long long)ibb_get_le64(p + 0x10));
	return true;
}

static void block(struct nc_walk *w, uint64_t vcn, int depth)
{
	uint64_t i = vcn < UINT64_MAX / w->unit ? vcn * w->unit / w->block : UINT64_MAX;
	const char *at = at_index(w);
	uint8_t *p;

	if (!w->blocks || i >= w->n_blocks || vcn * w->unit % w->block) {
		nc_error(w->c, "index-block-outside", at, "%llu", (unsigned long long)vcn);
		return;
	}
	if (w->seen[i / 8] >> (i % 8) & 1) {
		nc_error(w->c, "index-block-twice", at, "%llu", (unsigned long long)i);
		return;
	}
	w->seen[i / 8] |= (uint8_t)(1u << (i % 8));
	if (depth > DEPTH_LIMIT) {
		nc_error(w->c, "index-depth", at, "more than %d levels", DEPTH_LIMIT);
		return;
	}
	p = ibb_alloc(w->block);
	if (!p) {
		nc_fail(w->c, ibb_err_nomem(w->c->err));
		return;
	}
	/* a place of its own: nodes below would take the slot */
	char here[200];

	strcpy(here, at_block(w, i));
	if (nc_read(w->c, w->blocks, i * w->block, p, w->block) && block_ok(w, p, vcn, here))
		node(w, p + 0x18, w->block - 0x18, depth, here);
	free(p);
}

static bool collation_ok(const struct nc_walk *w, uint32_t type)
{
	switch (w->collation) {
	case COLLATE_NAME:
		return type == AT_NAME;
	case COLLATE_BINARY:
	case COLLATE_U32:
	case COLLATE_SID:
	case COLLATE_HASH:
	case COLLATE_U32S:
		return !type;
	default:
		return false;
	}
}

static void bits(struct nc_walk *w)
{
	struct nc_attr *a = nc_attr(w->in, AT_BITS, w->name);
	const char *at = at_index(w);
	const struct nc_bits b = {.place = at,
				  .clear = "index-bitmap-free",
				  .set = "index-block-lost",
				  .trail = "index-bitmap-trailing",
				  .want = w->seen,
				  .n = w->n_blocks};

	if (a)
		nc_bits_compare(w->c, a, &b);
	else if (w->blocks)
		nc_error(w->c, "attr-missing",
			 nc_at(w->c, "record %llu attribute 0xb0 %s", (unsigned long long)w->in->no,
			       w->name),
			 "the index has blocks");
}

static void tree(struct nc_walk *w, const struct nc_attr *root)
{
	const char *at = at_index(w);
	const uint8_t *v = root->value;
	char here[200];

	w->block = ibb_get_le32(v + 8);
	w->collation = ibb_get_le32(v + 4);
	w->leaf_depth = -1;
	if (w->block < 512 || w->block > 65536 || (w->block & (w->block - 1)) ||
	    (w->in->no == REC_ROOT && w->block != w->c->index_size)) {
		nc_error(w->c, "index-block-size", at, "%u", w->block);
		return;
	}
	if (!collation_ok(w, ibb_get_le32(v))) {
		nc_error(w->c, "index-collation", at, "0x%x of 0x%x", w->collation,
			 ibb_get_le32(v));
		return;
	}
	w->unit = w->block >= w->c->cluster ? w->c->cluster : 512;
	w->blocks = nc_attr(w->in, AT_INDEX_BLOCKS, w->name);
	if (w->blocks && (w->blocks->broken || w->blocks->resident || w->blocks->size % w->block ||
			  w->blocks->init != w->blocks->size)) {
		nc_error(w->c, "index-blocks-size", at, "%llu bytes",
			 (unsigned long long)w->blocks->size);
		return;
	}
	w->n_blocks = w->blocks ? w->blocks->size / w->block : 0;
	if (w->n_blocks > w->c->n_clusters * w->c->cluster / 512) {
		nc_error(w->c, "index-blocks-size", at, "more than the volume");
		return;
	}
	w->seen = ibb_zalloc((size_t)(w->n_blocks / 8 + 1));
	if (!w->seen) {
		nc_fail(w->c, ibb_err_nomem(w->c->err));
		return;
	}
	strcpy(here, at);
	node(w, v + 16, (uint32_t)root->size - 16, 0, here);
	bits(w);
	free(w->seen);
	w->seen = NULL;
}

void nc_index(struct nc_walk *w)
{
	const struct nc_attr *root = nc_attr(w->in, AT_INDEX_ROOT, w->name);

	if (!root || !root->resident || root->size < 0x30) {
		nc_error(w->c, "index-root", at_index(w), "missing or too small");
		return;
	}
	tree(w, root);
}
