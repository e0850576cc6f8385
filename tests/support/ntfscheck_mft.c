/* SPDX-License-Identifier: GPL-3.0-or-later */
/* $MFT: its records one by one, and the mirror of the first ones. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define MFT_LIMIT (1ull << 30)

const uint8_t *nc_next(const struct nc *c, uint64_t no, const uint8_t *a)
{
	const uint8_t *r = nc_record(c, no);

	a = a ? a + ibb_get_le32(a + 4) : r + ibb_get_le16(r + 0x14);
	return ibb_get_le32(a) == AT_END ? NULL : a;
}

bool nc_ref_ok(const struct nc *c, uint64_t ref)
{
	uint64_t no = REF_NO(ref);

	return no < c->n_loaded && c->recs[no].state == NC_BASE && c->recs[no].seq == REF_SEQ(ref);
}

static bool header(struct nc *c, uint64_t no, const uint8_t *r)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)no);
	uint32_t first = ibb_get_le16(r + 0x14), used = ibb_get_le32(r + 0x18);
	uint32_t usa = ibb_get_le16(r + 4), usa_end = usa + 2u * ibb_get_le16(r + 6);

	if (ibb_get_le32(r + 0x1c) != c->rec_size) {
		nc_error(c, "mft-record-size", at, "allocated %u", ibb_get_le32(r + 0x1c));
		return false;
	}
	if (used > c->rec_size || (used & 7) || used < 0x38) {
		nc_error(c, "mft-record-size", at, "used %u", used);
		return false;
	}
	if (usa < 0x2a || (first & 7) || first < usa_end || first > used - 8) {
		nc_error(c, "mft-record-header", at, "attributes at 0x%x", first);
		return false;
	}
	if (usa >= 0x30 && ibb_get_le32(r + 0x2c) != (uint32_t)no)
		nc_error(c, "mft-record-number", at, "%u", ibb_get_le32(r + 0x2c));
	if (!ibb_get_le16(r + 0x10) || (no && no < 16 && ibb_get_le16(r + 0x10) != no))
		nc_error(c, "mft-record-sequence", at, "%u", ibb_get_le16(r + 0x10));
	return true;
}

static bool resident_ok(struct nc *c, const char *at, const uint8_t *a, uint32_t len)
{
	uint32_t off = ibb_get_le16(a + 0x14), n = ibb_get_le32(a + 0x10);

	if (len < 0x18 || (off & 7) || off < 0x18 || !ibb_in_range(off, n, len)) {
		nc_error(c, "attr-resident-bounds", at, "%u bytes at 0x%x of %u", n, off, len);
		return false;
	}
	return true;
}

static bool mapped_ok(struct nc *c, const char *at, const uint8_t *a, uint32_t len)
{
	bool first = len >= 0x40 && !ibb_get_le64(a + 0x10);
	uint32_t head =
		first && (ibb_get_le16(a + 0x0c) & (ATTR_SPARSE | ATTR_COMPRESSED)) ? 0x48 : 0x40;

	if (len < head || ibb_get_le16(a + 0x20) < head || ibb_get_le16(a + 0x20) >= len) {
		nc_error(c, "attr-mapping-bounds", at, "runs at 0x%x of %u",
			 len < 0x40 ? 0 : ibb_get_le16(a + 0x20), len);
		return false;
	}
	return true;
}

static bool attr_ok(struct nc *c, uint64_t no, const uint8_t *a, uint32_t len)
{
	uint32_t type = ibb_get_le32(a);
	unsigned name_off = ibb_get_le16(a + 0x0a), name_len = a[9];
	const char *at = nc_at_attr(c, no, type, NULL, 0);

	if (type < 0x10 || type > 0x1000 || (type & 0xf)) {
		nc_error(c, "attr-type", at, "unknown"); /* its length may be right still */
	}
	if (a[8] > 1) {
		nc_error(c, "attr-form", at, "%u", a[8]);
		return false;
	}
	if (name_len && (name_off < 0x18 || !ibb_in_range(name_off, 2ull * name_len, len))) {
		nc_error(c, "attr-name-bounds", at, "%u characters at 0x%x", name_len, name_off);
		return false;
	}
	at = nc_at_attr(c, no, type, a + name_off, name_len);
	return a[8] ? mapped_ok(c, at, a, len) : resident_ok(c, at, a, len);
}

static int compare_names(const uint8_t *a, const uint8_t *b)
{
	const uint8_t *x = a + ibb_get_le16(a + 0x0a), *y = b + ibb_get_le16(b + 0x0a);

	for (unsigned i = 0; i < a[9] && i < b[9]; i++) {
		uint16_t p = ibb_upcase(ibb_get_le16(x + 2 * (size_t)i));
		uint16_t q = ibb_upcase(ibb_get_le16(y + 2 * (size_t)i));

		if (p != q)
			return p < q ? -1 : 1;
	}
	return a[9] < b[9] ? -1 : a[9] > b[9];
}

/* By type, then by name, then the pieces of one stream by their first cluster. */
static void order(struct nc *c, uint64_t no, const uint8_t *prev, const uint8_t *a)
{
	uint32_t was = prev ? ibb_get_le32(prev) : 0, is = ibb_get_le32(a);
	int names = prev && was == is ? compare_names(prev, a) : 0;
	bool wrong = was > is || names > 0;

	if (prev && was == is && !names && prev[8] && a[8])
		wrong = ibb_get_le64(prev + 0x10) >= ibb_get_le64(a + 0x10);
	if (wrong)
		nc_error(c, "attr-order", nc_at_attr(c, no, is, NULL, 0), "behind 0x%x", was);
}

static void ids(struct nc *c, uint64_t no)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)no);
	unsigned next = ibb_get_le16(nc_record(c, no) + 0x28);

	for (const uint8_t *a = nc_next(c, no, NULL); a; a = nc_next(c, no, a)) {
		unsigned id = ibb_get_le16(a + 0x0e);

		if (id >= next)
			nc_error(c, "attr-id-next", at, "id %u, next %u", id, next);
		for (const uint8_t *b = nc_next(c, no, a); b; b = nc_next(c, no, b))
			if (ibb_get_le16(b + 0x0e) == id)
				nc_error(c, "attr-id-twice", at, "%u", id);
	}
}

/* False when the chain cannot be followed. */
static bool chain(struct nc *c, uint64_t no, const uint8_t *r)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)no);
	uint32_t pos = ibb_get_le16(r + 0x14), used = ibb_get_le32(r + 0x18), len;
	const uint8_t *prev = NULL;

	while (pos + 4 <= used && ibb_get_le32(r + pos) != AT_END) {
		len = pos + 16 <= used ? ibb_get_le32(r + pos + 4) : 0;
		if (len < 0x18 || (len & 7) || len > used - pos) {
			nc_error(c, "attr-length", at, "%u bytes at 0x%x", len, pos);
			return false;
		}
		if (!attr_ok(c, no, r + pos, len))
			return false;
		order(c, no, prev, r + pos);
		prev = r + pos;
		pos += len;
	}
	if (pos + 4 > used) {
		nc_error(c, "attr-end-missing", at, "at 0x%x", pos);
		return false;
	}
	if (pos + 8 != used)
		nc_error(c, "mft-record-size", at, "used %u, attributes end at 0x%x", used, pos);
	return true;
}

static void record(struct nc *c, uint64_t no)
{
	const char *at = nc_at(c, "record %llu", (unsigned long long)no);
	uint8_t *r = nc_record(c, no);
	struct nc_rec *x = &c->recs[no];

	if (memcmp(r, "FILE", 4)) {
		x->state = NC_EMPTY;
		if (!memcmp(r, "BAAD", 4))
			nc_error(c, "mft-record-baad", at, "marked damaged by a driver");
		return;
	}
	x->flags = ibb_get_le16(r + 0x16);
	x->in_use = x->flags & FLAG_IN_USE;
	x->seq = ibb_get_le16(r + 0x10);
	x->links = ibb_get_le16(r + 0x12);
	x->state = NC_BAD;
	if (!nc_fixup(c, r, c->rec_size, "mft-record-fixup", at))
		return;
	if (!x->in_use) {
		x->state = NC_FREE;
		return;
	}
	if (!header(c, no, r) || !chain(c, no, r))
		return;
	ids(c, no);
	x->state = ibb_get_le64(r + 0x20) ? NC_EXTENSION : NC_BASE;
	if (x->state == NC_EXTENSION && no <= REC_EXTEND) {
		nc_error(c, "mft-record-base", nc_at(c, "record %llu", (unsigned long long)no),
			 "0x%llx of a file of the file system",
			 (unsigned long long)ibb_get_le64(r + 0x20));
		x->state = NC_BASE;
	}
}

/* Read and judge the records up to what the runs of $MFT found so far hold. */
static void load(struct nc *c, const struct nc_attr *data)
{
	uint64_t n = data->next_vcn * c->cluster / c->rec_size;

	if (n > c->n_recs)
		n = c->n_recs;
	if (n <= c->n_loaded ||
	    !nc_read(c, data, c->n_loaded * c->rec_size, nc_record(c, c->n_loaded),
		     (size_t)((n - c->n_loaded) * c->rec_size)))
		return;
	for (uint64_t i = c->n_loaded; i < n && !c->rc; i++)
		record(c, i);
	c->n_loaded = n;
}

static bool table(struct nc *c, const struct nc_attr *data)
{
	uint8_t *first = c->mft;

	if (data->init > data->size || data->size > c->n_clusters * c->cluster) {
		nc_error(c, "mft-size", "record 0", "%llu", (unsigned long long)data->size);
		return false;
	}
	if (data->init > MFT_LIMIT) {
		nc_fail(c, ibb_err(c->err, IBB_E_LIMIT, "%s: $MFT has %llu bytes", c->d->name,
				   (unsigned long long)data->init));
		return false;
	}
	c->n_recs = data->init / c->rec_size;
	if (c->n_recs < REC_EXTEND + 1) {
		nc_error(c, "mft-size", "record 0", "%llu records", (unsigned long long)c->n_recs);
		return false;
	}
	c->mft = ibb_alloc((size_t)(c->n_recs * c->rec_size));
	if (c->mft)
		memcpy(c->mft, first, c->rec_size);
	free(first);
	free(c->recs);
	c->recs = ibb_calloc_array((size_t)c->n_recs, sizeof(*c->recs));
	if (!c->mft || !c->recs)
		nc_fail(c, ibb_err_nomem(c->err));
	return !c->rc;
}

/* The first piece of $MFT leads to the record that holds its next piece, and so on. */
static void rest(struct nc *c)
{
	uint64_t before = 0;

	while (c->n_loaded < c->n_recs && c->n_loaded > before && !c->rc) {
		struct nc_inode in = {.no = REC_MFT};
		struct nc_attr *data;

		before = c->n_loaded;
		c->quiet = true;
		nc_assemble(c, REC_MFT, &in);
		c->quiet = false;
		data = nc_attr(&in, AT_STREAM, "");
		if (data)
			load(c, data);
		nc_inode_clear(&in);
	}
	if (c->n_loaded < c->n_recs && !c->rc)
		nc_error(c, "mft-incomplete", "record 0", "%llu of %llu records",
			 (unsigned long long)c->n_loaded, (unsigned long long)c->n_recs);
}

/* Record 0 alone, to learn where the others are. */
static bool first_record(struct nc *c)
{
	c->mft = ibb_zalloc(c->rec_size);
	c->recs = ibb_calloc_array(1, sizeof(*c->recs));
	if (!c->mft || !c->recs) {
		nc_fail(c, ibb_err_nomem(c->err));
		return false;
	}
	if (!ibb_in_range(c->mft_lcn * c->cluster, c->rec_size, c->d->size_bytes))
		return false;
	c->n_recs = 1;
	for (unsigned loud = 0; loud < 2 && !c->rc; loud++) {
		nc_fail(c,
			ibb_disk_pread(c->d, c->mft, c->rec_size, c->mft_lcn * c->cluster, c->err));
		c->quiet = !loud; /* when it is sound it is judged again, with the others */
		if (!c->rc)
			record(c, 0);
		c->quiet = false;
		if (c->recs[0].state == NC_BASE)
			return !c->rc;
	}
	nc_error(c, "mft-unreadable", "record 0", "nothing else can be checked");
	return false;
}

bool nc_mft_load(struct nc *c)
{
	struct nc_inode in = {.no = REC_MFT};
	struct nc_attr *data = NULL;
	bool ok = first_record(c);

	if (ok) {
		c->quiet = true; /* its attributes are judged with all others */
		for (const uint8_t *a = nc_next(c, 0, NULL); a; a = nc_next(c, 0, a))
			if (ibb_get_le32(a) == AT_STREAM)
				nc_add_piece(c, &in, 0, a);
		c->quiet = false;
		data = nc_attr(&in, AT_STREAM, "");
		ok = data && !data->broken && !data->resident;
		if (!data)
			nc_error(c, "attr-missing", "record 0 attribute 0x80", "$MFT without data");
		if (!ok)
			nc_error(c, "mft-unreadable", "record 0", "nothing else can be checked");
	}
	if (ok)
		ok = table(c, data);
	if (ok && (!data->n_runs || data->runs[0].hole || data->runs[0].lcn != c->mft_lcn))
		nc_error(c, "mft-cluster", "record 0", "$DATA begins elsewhere than at %llu",
			 (unsigned long long)c->mft_lcn);
	if (ok) {
		load(c, data);
		rest(c);
	}
	nc_inode_clear(&in);
	return ok && !c->rc;
}

/* Equal but for the fixup numbers, which the one that writes may count apart. */
void nc_mft_mirror(struct nc *c)
{
	uint8_t *m = ibb_alloc(c->rec_size);

	if (!m)
		nc_fail(c, ibb_err_nomem(c->err));
	for (uint32_t i = 0; i < c->mirror_n && i < c->n_loaded && !c->rc; i++) {
		const char *at = nc_at(c, "mirror of record %u", i);
		uint64_t off = c->mirror_lcn * c->cluster + (uint64_t)i * c->rec_size;
		uint32_t usa, usa_end;

		if (!ibb_in_range(off, c->rec_size, c->d->size_bytes))
			break;
		nc_fail(c, ibb_disk_pread(c->d, m, c->rec_size, off, c->err));
		if (c->rc)
			break;
		if (memcmp(m, "FILE", 4) && c->recs[i].state == NC_EMPTY)
			continue;
		if (memcmp(m, "FILE", 4)) {
			nc_error(c, "mirror-signature", at, "no record");
			continue;
		}
		if (c->recs[i].state == NC_BAD || !nc_fixup(c, m, c->rec_size, "mirror-fixup", at))
			continue;
		usa = ibb_get_le16(m + 4);
		usa_end = usa + 2u * ibb_get_le16(m + 6);
		memcpy(m + usa, nc_record(c, i) + usa, usa_end - usa);
		if (memcmp(m, nc_record(c, i), c->rec_size))
			nc_error(c, "mirror-differs", at, "from the record");
	}
	free(m);
}
