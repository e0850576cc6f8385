/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories: names match records both ways, and every chain of parents ends in the root. */
#include "ntfscheck_internal.h"

#include <stdlib.h>

#define UPCASE_BYTES 131072u

#define WALK_NEW   0
#define WALK_NOW   1
#define WALK_ROOT  2
#define WALK_STRAY 3

/* Without a table of its own the volume is judged by the usual one. */
void nc_upcase_load(struct nc *c)
{
	struct nc_inode in = {0};
	struct nc_attr *a = NULL;
	uint8_t *raw = ibb_alloc(UPCASE_BYTES);

	c->upcase = ibb_calloc_array(65536, sizeof(*c->upcase));
	if (!raw || !c->upcase)
		nc_fail(c, ibb_err_nomem(c->err));
	for (unsigned i = 0; i < 65536 && !c->rc; i++)
		c->upcase[i] = ibb_upcase((uint16_t)i);
	if (!c->rc && c->n_loaded > REC_UPCASE && c->recs[REC_UPCASE].state == NC_BASE) {
		c->quiet = true;
		nc_assemble(c, REC_UPCASE, &in);
		c->quiet = false;
		a = nc_attr(&in, AT_STREAM, "");
	}
	if (a && a->size == UPCASE_BYTES && nc_read(c, a, 0, raw, UPCASE_BYTES))
		for (unsigned i = 0; i < 65536; i++)
			c->upcase[i] = ibb_get_le16(raw + 2 * (size_t)i);
	else if (!c->rc)
		nc_error(c, "upcase-size", "$UpCase", "not the table of 65536 characters");
	for (unsigned i = 'a'; i <= 'z' && !c->rc; i++)
		if (c->upcase[i] != i - 32)
			nc_error(c, "upcase-content", "$UpCase", "character %u", i);
	nc_inode_clear(&in);
	free(raw);
}

static const char *at_name(struct nc *c, uint64_t dir, const uint8_t *fn)
{
	IBB_AUTO_FREE char *text = ibb_utf8_from_utf16le(fn + 0x42, 2 * (size_t)fn[0x40]);

	return nc_at(c, "directory %llu name '%s'", (unsigned long long)dir, text ? text : "");
}

static struct nc_name *find_name(const struct nc *c, const struct nc_rec *x, const uint8_t *fn)
{
	for (size_t i = 0; i < x->n_names; i++) {
		struct nc_name *n = &c->names[x->first_name + i];

		if (!memcmp(n->fn, fn, 8) && n->fn[0x40] == fn[0x40] && n->fn[0x41] == fn[0x41] &&
		    !memcmp(n->fn + 0x42, fn + 0x42, 2 * (size_t)fn[0x40]))
			return n;
	}
	return NULL;
}

static uint64_t parent_of(const struct nc *c, uint64_t no)
{
	const struct nc_rec *x = &c->recs[no];
	uint64_t ref = x->n_names ? ibb_get_le64(c->names[x->first_name].fn) : 0;

	return x->n_names && nc_ref_ok(c, ref) ? REF_NO(ref) : no;
}

/*
 * Windows writes the copies of size and flags when a file is closed, and only under the name by
 * which it was opened; it does not care for those of its own files (reserved records, and what
 * lies below $Extend: the transaction logs). There a difference is stale, elsewhere an error.
 */
static bool may_be_stale(const struct nc *c, uint64_t no)
{
	if (no < REC_USER || c->recs[no].plain_names > 1)
		return true;
	for (unsigned depth = 0; depth < 4 && no != REC_ROOT; depth++) {
		no = parent_of(c, no);
		if (no == REC_EXTEND)
			return true;
	}
	return false;
}

static void differs(struct nc *c, bool stale, const char *code, const char *old, const char *at,
		    uint64_t is, uint64_t want)
{
	if (stale)
		nc_note(c, old, at, "%llu, record %llu", (unsigned long long)is,
			(unsigned long long)want);
	else
		nc_error(c, code, at, "%llu, record %llu", (unsigned long long)is,
			 (unsigned long long)want);
}

static void copies(struct nc *c, uint64_t no, const uint8_t *fn, const char *at)
{
	const struct nc_rec *x = &c->recs[no];
	uint64_t alloc = ibb_get_le64(fn + 0x28), size = ibb_get_le64(fn + 0x30);
	uint32_t flags = ibb_get_le32(fn + 0x38);
	bool stale = may_be_stale(c, no), dir = x->flags & FLAG_DIR;
	uint64_t want_size = dir ? 0 : x->size;

	if (size != want_size)
		differs(c, stale, "index-size", "index-size-stale", at, size, want_size);
	if (!dir && alloc != x->alloc && alloc != x->packed)
		differs(c, stale, "index-allocated", "index-allocated-stale", at, alloc, x->alloc);
	if (((flags & FILE_DUP_DIR) != 0) != dir)
		differs(c, stale, "index-directory-flag", "index-directory-flag-stale", at, flags,
			x->flags);
	if (x->has_std && (flags & 0xffff) != (x->attributes & 0xffff))
		differs(c, stale, "index-attributes", "index-attributes-stale", at, flags & 0xffff,
			x->attributes & 0xffff);
	if ((flags & FILE_REPARSE) && x->has_reparse && ibb_get_le32(fn + 0x3c) != x->tag)
		differs(c, stale, "index-reparse-tag", "index-reparse-tag-stale", at,
			ibb_get_le32(fn + 0x3c), x->tag);
}

static void dir_entry(struct nc_walk *w, const uint8_t *e)
{
	struct nc *c = w->c;
	uint64_t ref = ibb_get_le64(e), no = REF_NO(ref);
	const uint8_t *fn = e + 16;
	const char *at = at_name(c, w->in->no, fn);
	struct nc_name *n;

	if (REF_NO(ibb_get_le64(fn)) != w->in->no)
		nc_error(c, "index-entry-parent", at, "record %llu",
			 (unsigned long long)REF_NO(ibb_get_le64(fn)));
	if (!nc_ref_ok(c, ref)) {
		nc_error(c, "index-entry-target", at, "no record %llu with sequence number %u",
			 (unsigned long long)no, REF_SEQ(ref));
		return;
	}
	n = find_name(c, &c->recs[no], fn);
	if (!n) {
		nc_error(c, "index-entry-extra", at, "record %llu has no such name",
			 (unsigned long long)no);
		return;
	}
	if (n->seen)
		nc_error(c, "index-entry-twice", at, "record %llu", (unsigned long long)no);
	n->seen = true;
	copies(c, no, fn, at);
}

static void directory(struct nc *c, uint64_t no)
{
	struct nc_inode in;
	struct nc_walk w = {.c = c, .in = &in, .name = "$I30", .entry = dir_entry};

	c->quiet = true; /* its attributes were judged */
	nc_assemble(c, no, &in);
	c->quiet = false;
	nc_index(&w);
	nc_inode_clear(&in);
}

/* Every name of a record stands in its directory. */
static void names(struct nc *c)
{
	for (size_t i = 0; i < c->n_names && !c->rc; i++) {
		uint64_t ref = ibb_get_le64(c->names[i].fn), dir = REF_NO(ref);
		const char *at = at_name(c, dir, c->names[i].fn);

		if (!nc_ref_ok(c, ref) || !c->recs[dir].has_i30)
			nc_error(c, "name-parent", at, "no such directory, of record %llu",
				 (unsigned long long)c->names[i].no);
		else if (!c->names[i].seen)
			nc_error(c, "index-entry-missing", at, "record %llu",
				 (unsigned long long)c->names[i].no);
	}
}

/* Follow the chain, then mark it with what it led to. */
static void chain(struct nc *c, uint64_t no)
{
	uint64_t i = no;
	uint8_t end;

	while (i != REC_ROOT && c->recs[i].walk == WALK_NEW) {
		c->recs[i].walk = WALK_NOW;
		i = parent_of(c, i);
	}
	end = i == REC_ROOT || c->recs[i].walk == WALK_ROOT ? WALK_ROOT : WALK_STRAY;
	for (i = no; i != REC_ROOT && c->recs[i].walk == WALK_NOW; i = parent_of(c, i))
		c->recs[i].walk = end;
	if (end == WALK_STRAY)
		nc_error(c, "directory-stray", nc_at(c, "record %llu", (unsigned long long)no),
			 "its parents do not lead to the root");
}

/* A directory has one place, under one name or a pair of them. */
static void one_parent(struct nc *c, uint64_t no)
{
	const struct nc_rec *x = &c->recs[no];

	if (x->plain_names > 1)
		nc_error(c, "directory-links", nc_at(c, "record %llu", (unsigned long long)no),
			 "%u names", x->plain_names);
}

void nc_dirs(struct nc *c)
{
	for (uint64_t i = 0; i < c->n_loaded && !c->rc; i++)
		if (c->recs[i].state == NC_BASE && c->recs[i].has_i30)
			directory(c, i);
	names(c);
	for (uint64_t i = 0; i < c->n_loaded && !c->rc; i++)
		if (c->recs[i].state == NC_BASE && c->recs[i].has_i30) {
			chain(c, i);
			one_parent(c, i);
		}
}
