/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base records: what each must have, its sizes, its names, its clusters. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define UNIT_CLUSTERS(shift) (1ull << (shift))

static const char *at_attr(struct nc *c, const struct nc_inode *in, const struct nc_attr *a)
{
	return nc_at_attr(c, in->no, a->type, a->name, a->name_len);
}

/* Of a compressed stream every unit has clusters, then a hole, or only one of both. */
static void units(struct nc *c, const char *at, const struct nc_attr *a)
{
	uint64_t unit = UNIT_CLUSTERS(a->unit);

	for (size_t i = 0; i + 1 < a->n_runs; i++) {
		uint64_t end = a->runs[i].vcn + a->runs[i].len;

		if (a->runs[i].hole && !a->runs[i + 1].hole && end % unit)
			nc_error(c, "attr-compression-unit", at, "clusters follow a hole at %llu",
				 (unsigned long long)end);
	}
}

static void sizes(struct nc *c, const struct nc_inode *in, const struct nc_attr *a)
{
	const char *at = at_attr(c, in, a);
	bool packs = a->flags & (ATTR_SPARSE | ATTR_COMPRESSED);
	bool holes = a->real_clusters != a->next_vcn;

	if (a->broken)
		return;
	if (a->alloc != a->next_vcn * c->cluster)
		nc_error(c, "attr-allocated-size", at, "%llu, the runs hold %llu",
			 (unsigned long long)a->alloc,
			 (unsigned long long)(a->next_vcn * c->cluster));
	if (a->size > a->alloc)
		nc_error(c, "attr-data-size", at, "%llu of %llu", (unsigned long long)a->size,
			 (unsigned long long)a->alloc);
	if (a->init > a->size)
		nc_error(c, "attr-initialized-size", at, "%llu of %llu",
			 (unsigned long long)a->init, (unsigned long long)a->size);
	if (packs && a->packed != a->real_clusters * c->cluster)
		nc_error(c, "attr-packed-size", at, "%llu, the runs hold %llu",
			 (unsigned long long)a->packed,
			 (unsigned long long)(a->real_clusters * c->cluster));
	/* $BadClus:$Bad is one hole of the size of the volume */
	if (!packs && holes && in->no != REC_BADCLUS)
		nc_error(c, "attr-hole", at, "in a stream that is not sparse");
	if (a->unit > 8 || ((a->flags & ATTR_COMPRESSED) && !a->unit))
		nc_error(c, "attr-compression-unit", at, "2^%u clusters", a->unit);
	else if (a->flags & ATTR_COMPRESSED)
		units(c, at, a);
}

static void standard(struct nc *c, const struct nc_attr *a, struct nc_rec *x, const char *at)
{
	if (!a->resident || a->size < 48 || (a->size > 48 && a->size < 72)) {
		nc_error(c, "standard-information", at, "%llu bytes", (unsigned long long)a->size);
		return;
	}
	x->has_std = true;
	x->attributes = ibb_get_le32(a->value + 0x20);
	x->security_id = a->size >= 72 ? ibb_get_le32(a->value + 0x34) : 0;
}

static void name(struct nc *c, struct nc_inode *in, const struct nc_attr *a, struct nc_rec *x)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)in->no);
	const uint8_t *fn = a->value;

	if (!a->resident || a->size < 0x44 || !fn[0x40] || fn[0x41] > 3 ||
	    a->size != 0x42 + 2u * fn[0x40]) {
		nc_error(c, "name-malformed", at, "%llu bytes", (unsigned long long)a->size);
		return;
	}
	/* behind "value offset" in the header of the attribute; the value follows it at once */
	if (fn[-2] != 1)
		nc_error(c, "name-indexed-flag", at, "%u", fn[-2]);
	if (ibb_grow(&c->names, &c->cap_names, c->n_names, sizeof(*c->names))) {
		nc_fail(c, ibb_err_nomem(c->err));
		return;
	}
	c->names[c->n_names++] = (struct nc_name){.no = in->no, .fn = fn};
	x->n_names++;
	x->plain_names += fn[0x41] != 2;
}

static void one_attr(struct nc *c, struct nc_inode *in, const struct nc_attr *a, struct nc_rec *x)
{
	const char *at = at_attr(c, in, a);

	if (!a->resident) {
		sizes(c, in, a);
		nc_own(c, at, a);
	}
	if (a->broken)
		return;
	if (a->type == AT_STANDARD)
		standard(c, a, x, at);
	else if (a->type == AT_NAME)
		name(c, in, a, x);
	else if (a->type == AT_REPARSE && a->size >= 8) {
		uint8_t head[8] = {0};

		x->has_reparse = true;
		if (nc_read(c, a, 0, head, 8))
			x->tag = ibb_get_le32(head);
		if (ibb_get_le16(head + 4) + 8u != a->size &&
		    ibb_get_le16(head + 4) + 24u != a->size)
			nc_error(c, "reparse-size", at, "%u of %llu", ibb_get_le16(head + 4),
				 (unsigned long long)a->size);
	} else if (a->type == AT_OBJECT_ID) {
		x->has_object = true;
	} else if (a->type == AT_STREAM && !a->name_len) {
		x->size = a->size;
		x->alloc = a->alloc;
		x->packed = a->packed;
	}
}

static void need(struct nc *c, struct nc_inode *in, uint32_t type, const char *name)
{
	if (!nc_attr(in, type, name))
		nc_error(c, "attr-missing",
			 nc_at(c, "record %llu attribute 0x%x%s%s", (unsigned long long)in->no,
			       type, *name ? " " : "", name),
			 "every such record has it");
}

/* In $Extend lie streams with names only. */
static bool in_extend(const struct nc *c, const struct nc_rec *x)
{
	for (size_t i = 0; i < x->n_names; i++)
		if (REF_NO(ibb_get_le64(c->names[x->first_name + i].fn)) == REC_EXTEND)
			return true;
	return false;
}

static void needed(struct nc *c, struct nc_inode *in, const struct nc_rec *x)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)in->no);
	bool view = x->flags & FLAG_VIEW;

	need(c, in, AT_STANDARD, "");
	/* records 12 to 23 are reserved and have no names */
	if (!x->n_names && (in->no <= REC_EXTEND || in->no >= REC_USER))
		nc_error(c, "name-none", at, "a file that nobody can open");
	/* Linux' ntfs3 did not count 8.3 names until 6.9, and chkdsk does not mind */
	if (x->links == x->plain_names && x->links != x->n_names)
		nc_note(c, "link-count-without-dos", at, "%u, %zu names", x->links, x->n_names);
	else if (x->links != x->n_names)
		nc_error(c, "link-count", at, "%u, %zu names", x->links, x->n_names);
	if (((x->flags & FLAG_DIR) != 0) != x->has_i30)
		nc_error(c, "directory-flag", at, "flags 0x%x", x->flags);
	if (x->flags & FLAG_DIR || x->has_i30) {
		need(c, in, AT_INDEX_ROOT, "$I30");
		if (nc_attr(in, AT_INDEX_BLOCKS, "$I30"))
			need(c, in, AT_BITS, "$I30");
	} else if (in->no != REC_SECURE && !view && !in_extend(c, x)) {
		need(c, in, AT_STREAM, "");
	}
	if (in->no == REC_MFT)
		need(c, in, AT_BITS, "");
	if (in->no == REC_VOLUME)
		need(c, in, AT_VOLUME_INFO, "");
	if (in->no == REC_SECURE && c->major >= 3)
		need(c, in, AT_STREAM, "$SDS");
}

/* A reparse point shows in the attributes, and the other way round. */
static void flags(struct nc *c, struct nc_inode *in, const struct nc_rec *x)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)in->no);

	if (x->has_std && ((x->attributes & FILE_REPARSE) != 0) != x->has_reparse)
		nc_error(c, "reparse-flag", at, "attributes 0x%x, %s reparse point", x->attributes,
			 x->has_reparse ? "a" : "no");
}

static void volume(struct nc *c, struct nc_inode *in)
{
	const struct nc_attr *a = nc_attr(in, AT_VOLUME_INFO, "");

	if (!a || !a->resident || a->size < 12)
		return;
	c->major = a->value[8];
	if (ibb_get_le16(a->value + 10) & 1)
		nc_note(c, "volume-dirty", "$Volume", "flags 0x%x", ibb_get_le16(a->value + 10));
}

static void inode(struct nc *c, uint64_t no)
{
	struct nc_rec *x = &c->recs[no];
	struct nc_inode in;

	nc_assemble(c, no, &in);
	x->first_name = c->n_names;
	x->has_i30 = nc_attr(&in, AT_INDEX_ROOT, "$I30") != NULL;
	for (size_t i = 0; i < in.n && !c->rc; i++)
		one_attr(c, &in, &in.attrs[i], x);
	if (no == REC_VOLUME)
		volume(c, &in);
	needed(c, &in, x);
	flags(c, &in, x);
	c->out->n_records++;
	c->out->n_names += x->n_names;
	nc_inode_clear(&in);
}

void nc_inodes(struct nc *c)
{
	for (uint64_t i = 0; i < c->n_loaded && !c->rc; i++) {
		if (c->recs[i].state == NC_BASE)
			inode(c, i);
		else if (i <= REC_EXTEND)
			nc_error(c, "system-file", nc_at(c, "record %llu", (unsigned long long)i),
				 "not there");
	}
}

/* Each belongs to a base record whose attribute list names it. */
void nc_extensions(struct nc *c)
{
	for (uint64_t i = 0; i < c->n_loaded && !c->rc; i++) {
		const char *at = nc_at(c, "record %llu", (unsigned long long)i);

		if (c->recs[i].state != NC_EXTENSION)
			continue;
		c->out->n_records++;
		if (!nc_ref_ok(c, ibb_get_le64(nc_record(c, i) + 0x20)))
			nc_error(c, "extension-base", at, "its base record is not there");
		else if (!c->recs[i].listed)
			nc_error(c, "extension-not-listed", at, "no attribute list names it");
	}
}
