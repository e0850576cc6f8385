/* SPDX-License-Identifier: GPL-3.0-or-later */
/* $Secure and the small indexes of $Extend. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define SDS_MIRROR 0x40000u /* each 256 KiB of descriptors are followed by their copy */
#define SDS_HEADER 20u
#define SD_LIMIT   65536u

/* One entry of $SII or $SDH, or one header of $SDS: hash, id, offset, length. */
struct sd {
	uint32_t hash, id, len;
	uint64_t off;
};

struct sds {
	struct sd *items;
	size_t n, cap;
};

static struct sd parse(const uint8_t *p)
{
	return (struct sd){.hash = ibb_get_le32(p),
			   .id = ibb_get_le32(p + 4),
			   .len = ibb_get_le32(p + 16),
			   .off = ibb_get_le64(p + 8)};
}

static bool same(const struct sd *a, const struct sd *b)
{
	return a->hash == b->hash && a->id == b->id && a->len == b->len && a->off == b->off;
}

static void add(struct nc_walk *w, const uint8_t *e)
{
	struct sds *s = w->ctx;
	uint32_t key = w->name[2] == 'I' ? 4 : 8; /* $SII: id; $SDH: hash and id */
	const uint8_t *k = e + 16, *data = e + ibb_get_le16(e);
	struct sd sd;

	if (nc_key_len(e) != key || ibb_get_le16(e + 2) < SDS_HEADER) {
		nc_error(w->c, "secure-entry", w->name, "key of %u, data of %u bytes",
			 nc_key_len(e), ibb_get_le16(e + 2));
		return;
	}
	sd = parse(data);
	if (ibb_get_le32(k + key - 4) != sd.id || (key == 8 && ibb_get_le32(k) != sd.hash))
		nc_error(w->c, "secure-entry", nc_at(w->c, "%s id 0x%x", w->name, sd.id),
			 "key and data differ");
	if (ibb_grow(&s->items, &s->cap, s->n, sizeof(*s->items)))
		nc_fail(w->c, ibb_err_nomem(w->c->err));
	else
		s->items[s->n++] = sd;
}

static int by_id(const void *a, const void *b)
{
	const struct sd *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct sd *find(const struct sds *s, uint32_t id)
{
	struct sd key = {.id = id};

	return s->n ? bsearch(&key, s->items, s->n, sizeof(*s->items), by_id) : NULL;
}

static uint32_t hash(const uint8_t *p, size_t n)
{
	uint32_t h = 0;

	for (size_t i = 0; i + 4 <= n; i += 4)
		h = (h << 3 | h >> 29) + ibb_get_le32(p + i);
	return h;
}

static void descriptor(struct nc *c, const struct nc_attr *stream, const struct sd *sd,
		       uint8_t *buf)
{
	const char *at = nc_at(c, "security id 0x%x", sd->id);
	uint8_t *copy = buf + SD_LIMIT;
	struct sd head;

	if (sd->len < SDS_HEADER + 20 || sd->len > SD_LIMIT || (sd->off & 15) ||
	    (sd->off & SDS_MIRROR) || !nc_read(c, stream, sd->off, buf, sd->len)) {
		if (!c->rc)
			nc_error(c, "secure-sds-place", at, "%u bytes at 0x%llx", sd->len,
				 (unsigned long long)sd->off);
		return;
	}
	head = parse(buf);
	if (!same(&head, sd)) {
		nc_error(c, "secure-sds-header", at, "not as in the index");
		return;
	}
	if (hash(buf + SDS_HEADER, sd->len - SDS_HEADER) != sd->hash)
		nc_error(c, "secure-hash", at, "0x%08x", sd->hash);
	if (buf[SDS_HEADER] != 1)
		nc_error(c, "secure-descriptor", at, "revision %u", buf[SDS_HEADER]);
	if (!nc_read(c, stream, sd->off + SDS_MIRROR, copy, sd->len) || memcmp(buf, copy, sd->len))
		nc_error(c, "secure-sds-mirror", at, "its copy differs");
}

static void both_ways(struct nc *c, const struct sds *a, const struct sds *b, const char *code)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct sd *other = find(b, a->items[i].id);

		if (!other || !same(other, &a->items[i]))
			nc_error(c, code, nc_at(c, "security id 0x%x", a->items[i].id), "%s",
				 other ? "differs" : "missing");
	}
}

static void users(struct nc *c, const struct sds *sii)
{
	for (uint64_t i = 0; i < c->n_loaded; i++) {
		const struct nc_rec *x = &c->recs[i];

		if (x->state == NC_BASE && x->has_std && x->security_id &&
		    !find(sii, x->security_id))
			nc_error(c, "security-id-missing",
				 nc_at(c, "record %llu", (unsigned long long)i), "0x%x",
				 x->security_id);
	}
}

static void index_of(struct nc *c, struct nc_inode *in, const char *name, struct sds *ret)
{
	struct nc_walk w = {.c = c, .in = in, .name = name, .entry = add, .ctx = ret};

	nc_index(&w);
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_id);
}

void nc_secure(struct nc *c)
{
	struct nc_inode in = {0};
	struct sds sii = {0}, sdh = {0};
	struct nc_attr *stream;
	uint8_t *buf;

	if (c->rc || c->major < 3 || c->recs[REC_SECURE].state != NC_BASE)
		return;
	buf = ibb_alloc(2 * (size_t)SD_LIMIT);
	if (!buf) {
		nc_fail(c, ibb_err_nomem(c->err));
		return;
	}
	c->quiet = true;
	nc_assemble(c, REC_SECURE, &in);
	c->quiet = false;
	index_of(c, &in, "$SII", &sii);
	index_of(c, &in, "$SDH", &sdh);
	both_ways(c, &sii, &sdh, "secure-sdh");
	both_ways(c, &sdh, &sii, "secure-sii");
	stream = nc_attr(&in, AT_STREAM, "$SDS");
	for (size_t i = 0; stream && i < sii.n && !c->rc; i++)
		descriptor(c, stream, &sii.items[i], buf);
	users(c, &sii);
	free(sii.items);
	free(sdh.items);
	free(buf);
	nc_inode_clear(&in);
}

/* $Reparse:$R: the key holds tag and record. $ObjId:$O: the data begin with the record. */
static void view_entry(struct nc_walk *w, const uint8_t *e)
{
	bool reparse = w->name[1] == 'R';
	const uint8_t *p = reparse ? e + 20 : e + ibb_get_le16(e);
	struct nc *c = w->c;
	uint64_t ref;
	bool has;

	if (reparse ? nc_key_len(e) != 12 : nc_key_len(e) != 16 || ibb_get_le16(e + 2) < 8) {
		nc_error(c, "view-entry", w->name, "key of %u bytes", nc_key_len(e));
		return;
	}
	ref = ibb_get_le64(p);
	has = nc_ref_ok(c, ref) &&
	      (reparse ? c->recs[REF_NO(ref)].has_reparse &&
				 c->recs[REF_NO(ref)].tag == ibb_get_le32(e + 16)
		       : c->recs[REF_NO(ref)].has_object);
	if (has)
		c->recs[REF_NO(ref)].walk |= reparse ? 0x40 : 0x80;
	else
		nc_error(c, reparse ? "reparse-index-extra" : "objid-index-extra",
			 nc_at(c, "record %llu", (unsigned long long)REF_NO(ref)),
			 "the record does not have it");
}

static bool named(const struct nc_rec *x, const struct nc *c, const char *name)
{
	const uint8_t *fn = x->n_names ? c->names[x->first_name].fn : NULL;
	size_t n = strlen(name);

	if (!fn || REF_NO(ibb_get_le64(fn)) != REC_EXTEND || fn[0x40] != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ibb_get_le16(fn + 0x42 + 2 * i) != (unsigned char)name[i])
			return false;
	return true;
}

/* The index of this name in a file of $Extend; false when there is none. */
static bool view(struct nc *c, const char *file, const char *index,
		 void (*fn)(struct nc_walk *w, const uint8_t *e))
{
	for (uint64_t i = REC_EXTEND + 1; i < c->n_loaded; i++) {
		struct nc_inode in;
		struct nc_walk w = {.c = c, .in = &in, .name = index, .entry = fn};

		if (c->recs[i].state != NC_BASE || !named(&c->recs[i], c, file))
			continue;
		c->quiet = true;
		nc_assemble(c, i, &in);
		c->quiet = false;
		nc_index(&w);
		nc_inode_clear(&in);
		return true;
	}
	return false;
}

void nc_views(struct nc *c)
{
	bool reparse, object;

	if (c->rc || c->major < 3)
		return;
	reparse = view(c, "$Reparse", "$R", view_entry);
	object = view(c, "$ObjId", "$O", view_entry);
	(void)view(c, "$Quota", "$O", NULL);
	(void)view(c, "$Quota", "$Q", NULL);
	for (uint64_t i = 0; i < c->n_loaded && !c->rc; i++) {
		const struct nc_rec *x = &c->recs[i];
		const char *at = nc_at(c, "record %llu", (unsigned long long)i);

		if (x->state != NC_BASE)
			continue;
		if (x->has_reparse && (!reparse || !(x->walk & 0x40)))
			nc_error(c, "reparse-index-missing", at, "tag 0x%x", x->tag);
		if (x->has_object && (!object || !(x->walk & 0x80)))
			nc_error(c, "objid-index-missing", at, "not in $ObjId");
	}
}
