/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes: runs, the pieces that an attribute list names, reading. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define LIST_LIMIT   (1u << 20)	  /* the format allows 256 KiB */
#define MAX_CLUSTERS (1ull << 40) /* of one stream, holes counted: times 2 MiB fits 64 bits */

bool nc_same_attr(const struct nc_attr *x, uint32_t type, const uint8_t *name, unsigned n)
{
	return x->type == type && x->name_len == n && (!n || !memcmp(x->name, name, 2 * (size_t)n));
}

static bool add_run(struct nc *c, struct nc_attr *x, uint64_t len, bool hole, uint64_t lcn)
{
	if (ibb_grow(&x->runs, &x->cap_runs, x->n_runs, sizeof(*x->runs))) {
		nc_fail(c, ibb_err_nomem(c->err));
		return false;
	}
	x->runs[x->n_runs++] = (struct nc_run){x->next_vcn, len, lcn, hole};
	x->next_vcn += len;
	if (!hole)
		x->real_clusters += len;
	return true;
}

/* A little-endian number of n bytes, with its sign. */
static int64_t number(const uint8_t *p, unsigned n)
{
	uint64_t v = n && (p[n - 1] & 0x80) ? ~0ull : 0;

	while (n--)
		v = v << 8 | p[n];
	return (int64_t)v;
}

/* NULL, or what is wrong. The list ends with a zero byte inside the attribute. */
static const char *decode(struct nc *c, struct nc_attr *x, const uint8_t *p, const uint8_t *end)
{
	uint64_t lcn = 0;

	for (; p < end && *p; p += 1 + (*p & 15) + (*p >> 4)) {
		unsigned len_n = *p & 15, off_n = *p >> 4;
		int64_t len;

		if (!len_n || len_n > 8 || off_n > 8 || (size_t)(end - p) < 2 + len_n + off_n)
			return "a run has a bad header";
		len = number(p + 1, len_n);
		if (len <= 0 || (uint64_t)len > MAX_CLUSTERS)
			return "a run has a bad length";
		lcn += (uint64_t)number(p + 1 + len_n, off_n);
		if (off_n && !ibb_in_range(lcn, (uint64_t)len, c->n_clusters))
			return "a run leads out of the volume";
		if (x->next_vcn > MAX_CLUSTERS || !add_run(c, x, (uint64_t)len, !off_n, lcn))
			return "too many clusters";
	}
	return p < end ? NULL : "the runs have no end";
}

static void start(struct nc_attr *x, const uint8_t *a)
{
	*x = (struct nc_attr){.type = ibb_get_le32(a),
			      .name_len = a[9],
			      .name = a + ibb_get_le16(a + 0x0a),
			      .flags = ibb_get_le16(a + 0x0c),
			      .resident = !a[8]};
	if (x->resident) {
		x->value = a + ibb_get_le16(a + 0x14);
		x->size = x->init = ibb_get_le32(a + 0x10);
		x->alloc = (x->size + 7) & ~7ull;
		x->packed = x->alloc;
		return;
	}
	x->unit = ibb_get_le16(a + 0x22);
	x->alloc = ibb_get_le64(a + 0x28);
	x->size = ibb_get_le64(a + 0x30);
	x->init = ibb_get_le64(a + 0x38);
	x->packed = x->flags & (ATTR_SPARSE | ATTR_COMPRESSED) ? ibb_get_le64(a + 0x40) : x->alloc;
}

static struct nc_attr *find(struct nc_inode *in, const uint8_t *a)
{
	for (size_t i = in->n; i--;)
		if (nc_same_attr(&in->attrs[i], ibb_get_le32(a), a + ibb_get_le16(a + 0x0a), a[9]))
			return &in->attrs[i];
	return NULL;
}

static void add_runs(struct nc *c, struct nc_attr *x, const char *at, const uint8_t *a)
{
	uint64_t lowest = ibb_get_le64(a + 0x10), highest = ibb_get_le64(a + 0x18);
	const char *wrong;

	if (lowest != x->next_vcn) {
		nc_error(c, "attr-vcn-gap", at, "piece from %llu, wanted %llu",
			 (unsigned long long)lowest, (unsigned long long)x->next_vcn);
		x->broken = true;
		return;
	}
	wrong = decode(c, x, a + ibb_get_le16(a + 0x20), a + ibb_get_le32(a + 4));
	if (wrong) {
		nc_error(c, "attr-runs", at, "%s", wrong);
		x->broken = true;
	} else if (x->next_vcn != highest + 1) {
		nc_error(c, "attr-vcn-range", at, "%llu clusters, last %llu",
			 (unsigned long long)x->next_vcn, (unsigned long long)highest);
	}
}

void nc_add_piece(struct nc *c, struct nc_inode *in, uint64_t no, const uint8_t *a)
{
	const char *at = nc_at_attr(c, in->no, ibb_get_le32(a), a + ibb_get_le16(a + 0x0a), a[9]);
	struct nc_attr *x = ibb_get_le32(a) == AT_NAME ? NULL : find(in, a);

	(void)no;
	if (x && !x->resident && a[8] && ibb_get_le64(a + 0x10)) {
		if (!x->broken)
			add_runs(c, x, at, a);
		return;
	}
	if (x) {
		nc_error(c, "attr-twice", at, "the same type and name");
		return;
	}
	if (ibb_grow(&in->attrs, &in->cap, in->n, sizeof(*in->attrs))) {
		nc_fail(c, ibb_err_nomem(c->err));
		return;
	}
	x = &in->attrs[in->n++];
	if (a[8] && ibb_get_le64(a + 0x10)) {
		nc_error(c, "attr-vcn-gap", at, "the first piece starts at %llu",
			 (unsigned long long)ibb_get_le64(a + 0x10));
		*x = (struct nc_attr){.type = ibb_get_le32(a), .broken = true};
		return;
	}
	start(x, a);
	if (!x->resident)
		add_runs(c, x, at, a);
}

/* The attribute that an entry of a list stands for; NULL when there is none. */
static const uint8_t *listed(const struct nc *c, uint64_t no, const uint8_t *e, uint32_t len)
{
	for (const uint8_t *a = nc_next(c, no, NULL); a; a = nc_next(c, no, a)) {
		uint64_t lowest = a[8] ? ibb_get_le64(a + 0x10) : 0;

		if (ibb_get_le32(a) == ibb_get_le32(e) &&
		    ibb_get_le16(a + 0x0e) == ibb_get_le16(e + 0x18) &&
		    lowest == ibb_get_le64(e + 8) && a[9] == e[6] &&
		    ibb_in_range(e[7], 2ull * e[6], len) &&
		    (!e[6] || !memcmp(a + ibb_get_le16(a + 0x0a), e + e[7], 2u * e[6])))
			return a;
	}
	return NULL;
}

static void list_entry(struct nc *c, struct nc_inode *in, const uint8_t *e, uint32_t len)
{
	uint64_t ref = ibb_get_le64(e + 0x10), no = REF_NO(ref);
	const char *at = nc_at_attr(c, in->no, ibb_get_le32(e), NULL, 0);
	const struct nc_rec *x = no < c->n_loaded ? &c->recs[no] : NULL;
	uint64_t base = in->no | (uint64_t)c->recs[in->no].seq << 48;
	const uint8_t *a;

	if (!x || x->seq != REF_SEQ(ref) ||
	    !(no == in->no ||
	      (x->state == NC_EXTENSION && ibb_get_le64(nc_record(c, no) + 0x20) == base))) {
		nc_error(c, "attrlist-record", at, "record %llu is no part of this one",
			 (unsigned long long)no);
		return;
	}
	a = listed(c, no, e, len);
	if (!a) {
		nc_error(c, "attrlist-attr-missing", at, "not in record %llu",
			 (unsigned long long)no);
		return;
	}
	nc_add_piece(c, in, no, a);
}

/* Is an attribute of one of the records named by the list? */
static bool in_list(const uint8_t *list, size_t n, uint64_t no, const uint8_t *a)
{
	for (size_t pos = 0; pos + 0x1a <= n;) {
		const uint8_t *e = list + pos;

		if (ibb_get_le32(e) == ibb_get_le32(a) && REF_NO(ibb_get_le64(e + 0x10)) == no &&
		    ibb_get_le16(e + 0x18) == ibb_get_le16(a + 0x0e))
			return true;
		if (ibb_get_le16(e + 4) < 0x1a)
			break;
		pos += ibb_get_le16(e + 4);
	}
	return false;
}

static void all_listed(struct nc *c, uint64_t no, const uint8_t *list, size_t n)
{
	for (const uint8_t *a = nc_next(c, no, NULL); a; a = nc_next(c, no, a))
		if (ibb_get_le32(a) != AT_LIST && !in_list(list, n, no, a))
			nc_error(c, "attrlist-not-listed",
				 nc_at_attr(c, no, ibb_get_le32(a), NULL, 0), "id %u",
				 ibb_get_le16(a + 0x0e));
	if (!c->quiet)
		c->recs[no].listed = true;
}

static void walk_list(struct nc *c, struct nc_inode *in, const uint8_t *list, size_t n)
{
	uint32_t len, type = 0;

	for (size_t pos = 0; pos < n && !c->rc; pos += len) {
		const uint8_t *e = list + pos;
		const char *at;

		at = nc_at(c, "record %llu attribute list", (unsigned long long)in->no);
		len = n - pos >= 0x1a ? ibb_get_le16(e + 4) : 0;
		if (len < 0x1a || (len & 7) || len > n - pos) {
			nc_error(c, "attrlist-entry", at, "%u bytes at 0x%zx", len, pos);
			break;
		}
		if (ibb_get_le32(e) < type)
			nc_error(c, "attrlist-order", at, "at 0x%zx", pos);
		type = ibb_get_le32(e);
		list_entry(c, in, e, len);
	}
	all_listed(c, in->no, list, n);
	for (size_t pos = 0; pos + 0x1a <= n && ibb_get_le16(list + pos + 4) >= 0x1a;
	     pos += ibb_get_le16(list + pos + 4)) {
		uint64_t no = REF_NO(ibb_get_le64(list + pos + 0x10));

		if (no < c->n_loaded && c->recs[no].state == NC_EXTENSION && !c->recs[no].listed &&
		    REF_NO(ibb_get_le64(nc_record(c, no) + 0x20)) == in->no)
			all_listed(c, no, list, n);
	}
}

static void by_list(struct nc *c, struct nc_inode *in, const uint8_t *a)
{
	struct nc_attr *x;
	uint8_t *list;
	size_t n;

	nc_add_piece(c, in, in->no, a);
	x = nc_attr(in, AT_LIST, "");
	if (!x || x->broken || x->size > LIST_LIMIT) {
		nc_error(c, "attrlist-unreadable",
			 nc_at(c, "record %llu", (unsigned long long)in->no), "not followed");
		return;
	}
	n = (size_t)x->size;
	list = ibb_alloc(n);
	if (!list)
		nc_fail(c, ibb_err_nomem(c->err));
	else if (nc_read(c, x, 0, list, n))
		walk_list(c, in, list, n);
	free(list);
}

void nc_assemble(struct nc *c, uint64_t no, struct nc_inode *in)
{
	*in = (struct nc_inode){.no = no};
	if (c->recs[no].state != NC_BASE)
		return;
	for (const uint8_t *a = nc_next(c, no, NULL); a; a = nc_next(c, no, a))
		if (ibb_get_le32(a) == AT_LIST) {
			by_list(c, in, a);
			return;
		}
	for (const uint8_t *a = nc_next(c, no, NULL); a && !c->rc; a = nc_next(c, no, a))
		nc_add_piece(c, in, no, a);
}

void nc_inode_clear(struct nc_inode *in)
{
	for (size_t i = 0; i < in->n; i++)
		free(in->attrs[i].runs);
	free(in->attrs);
	*in = (struct nc_inode){0};
}

struct nc_attr *nc_attr(struct nc_inode *in, uint32_t type, const char *name)
{
	uint8_t wide[64] = {0};
	unsigned n = 0;

	for (; name[n] && n < 32; n++)
		wide[2 * n] = (uint8_t)name[n];
	for (size_t i = 0; i < in->n; i++)
		if (nc_same_attr(&in->attrs[i], type, wide, n))
			return &in->attrs[i];
	return NULL;
}

static bool read_run(struct nc *c, const struct nc_run *r, uint64_t off, uint8_t *p, size_t n)
{
	uint64_t at = r->lcn * c->cluster + off;

	if (r->hole)
		return true;
	nc_fail(c, ibb_disk_pread(c->d, p, n, at, c->err));
	return !c->rc;
}

bool nc_read(struct nc *c, const struct nc_attr *a, uint64_t off, void *buf, size_t n)
{
	uint8_t *p = buf;

	if (a->broken || !ibb_in_range(off, n, a->resident ? a->size : a->next_vcn * c->cluster))
		return false;
	if (a->resident) {
		memcpy(p, a->value + off, n);
		return true;
	}
	memset(p, 0, n);
	if (off >= a->init)
		return true;
	if (n > a->init - off)
		n = (size_t)(a->init - off);
	for (size_t i = 0; i < a->n_runs && n; i++) {
		const struct nc_run *r = &a->runs[i];
		uint64_t from = r->vcn * c->cluster, end = (r->vcn + r->len) * c->cluster;
		size_t k = off < end && n > end - off ? (size_t)(end - off) : n;

		if (off < from || off >= end)
			continue;
		if (!read_run(c, r, off - from, p, k))
			return false;
		p += k;
		off += k;
		n -= k;
	}
	return true;
}
