/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/time.h"
#include "disk/chain_find.h"

#define COARSE_S 2 /* FAT counts in steps of two seconds */

const char *ibb_found_by_name(enum ibb_found_by by)
{
	static const char *const names[] = {
		[IBB_FOUND_GIVEN] = "given",
		[IBB_FOUND_RELATIVE] = "relative-path",
		[IBB_FOUND_ABSOLUTE] = "absolute-path",
		[IBB_FOUND_NAME] = "name",
		[IBB_FOUND_ID] = "identifier",
	};

	return names[by];
}

static bool is_vhd(enum ibb_container kind)
{
	return kind == IBB_CONTAINER_VHD_FIXED || kind == IBB_CONTAINER_VHD_DYNAMIC ||
	       kind == IBB_CONTAINER_VHD_DIFFERENCING;
}

const char *ibb_link_kind_name(const struct ibb_link *l)
{
	if (l->kind != IBB_CONTAINER_VHDX)
		return ibb_container_name(l->kind);
	if (l->parent.differencing)
		return "differencing VHDX";
	return l->vhdx.fixed ? "fixed VHDX" : "dynamic VHDX";
}

static void id_text(enum ibb_container kind, const struct ibb_guid *id, char out[IBB_LINK_ID_SIZE])
{
	if (kind == IBB_CONTAINER_VHDX)
		ibb_guid_format(id, out);
	else
		ibb_hex(id->b, sizeof(id->b), out);
}

static const struct ibb_guid *id_of(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX ? &l->vhdx.data_write_id : &l->vhd.footer.unique_id;
}

void ibb_link_id_text(const struct ibb_link *l, char out[IBB_LINK_ID_SIZE])
{
	out[0] = '\0';
	if (l->kind == IBB_CONTAINER_VHDX || is_vhd(l->kind))
		id_text(l->kind, id_of(l), out);
}

bool ibb_link_time_agrees(const struct ibb_link *child, const struct ibb_link *parent)
{
	return child->parent.has_timestamp &&
	       parent->id.mtime_s == (int64_t)child->parent.timestamp_s + IBB_VHD_EPOCH_S;
}

bool ibb_link_time_later(const struct ibb_link *child, const struct ibb_link *parent)
{
	return child->parent.has_timestamp &&
	       parent->id.mtime_s > (int64_t)child->parent.timestamp_s + IBB_VHD_EPOCH_S + COARSE_S;
}

static int written_since(const struct ibb_link *child, const struct ibb_link *parent,
			 struct ibb_error *err)
{
	char was[IBB_ISO8601_SIZE], is[IBB_ISO8601_SIZE];

	ibb_unix_format((int64_t)child->parent.timestamp_s + IBB_VHD_EPOCH_S, was);
	ibb_unix_format(parent->id.mtime_s, is);
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: its parent %s was changed after the child was made: it is of %s, the child "
		"was made on it as of %s",
		child->path, parent->path, is, was);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "what the child holds may not fit it any more; if the file was only "
			    "copied, give it its time back (touch -d %s) or go on with "
			    "--accept-changed-parent",
			    was);
}

int ibb_chain_parents_kept(const struct ibb_chain *c, struct ibb_error *err)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (ibb_link_time_later(&c->links[i], &c->links[i + 1]))
			return written_since(&c->links[i], &c->links[i + 1], err);
	return IBB_OK;
}

void ibb_link_clear(struct ibb_link *l)
{
	ibb_disk_unref(l->disk);
	ibb_disk_unref(l->file);
	ibb_parent_link_clear(&l->parent);
	free(l->path);
	*l = (struct ibb_link){0};
}

/* Take the container off. A parent is named, not yet looked for. */
static int take_off(struct ibb_link *l, struct ibb_error *err)
{
	int r = ibb_container_detect(l->file, &l->kind, err);

	if (r)
		return r;
	if (l->kind == IBB_CONTAINER_RAW) {
		l->disk = ibb_disk_ref(l->file);
		return IBB_OK;
	}
	if (is_vhd(l->kind))
		return ibb_disk_vhd_open(l->file, &l->vhd, &l->parent, &l->disk, err);
	if (l->kind == IBB_CONTAINER_VHDX)
		return ibb_disk_vhdx_open(l->file, &l->vhdx, &l->parent, &l->disk, err);
	return ibb_container_refuse(l->file, l->kind, err);
}

static int open_link(const char *path, enum ibb_found_by by, struct ibb_link *ret,
		     struct ibb_error *err)
{
	struct ibb_link l = {.path = ibb_strdup(path), .found_by = by};
	int r;

	if (!l.path)
		return ibb_err_nomem(err);
	r = ibb_disk_file_open(path, &l.id, &l.file, err);
	if (!r)
		r = take_off(&l, err);
	if (r)
		ibb_link_clear(&l);
	else
		*ret = l;
	return r;
}

/* ---- the parent of one link ---- */

struct search {
	const struct ibb_chain *c;
	const struct ibb_link *child;
	struct ibb_buf looked;	  /* where, for the message */
	struct ibb_error problem; /* of the first file that had its name and was not it */
	struct ibb_link found;
	bool has;
};

/* Is a file of this kind and identifier the child's parent? */
static bool is_wanted(const struct ibb_link *child, enum ibb_container kind,
		      const struct ibb_guid *id)
{
	const struct ibb_parent_link *want = &child->parent;

	if (child->kind == IBB_CONTAINER_VHDX)
		return kind == IBB_CONTAINER_VHDX &&
		       (ibb_guid_equal(&want->id, id) ||
			(want->has_id2 && ibb_guid_equal(&want->id2, id)));
	return is_vhd(kind) && ibb_guid_equal(&want->id, id);
}

static bool is_parent(const struct ibb_link *child, const struct ibb_link *p)
{
	return is_wanted(child, p->kind, id_of(p));
}

/* The identifiers that count, as text. */
static void wanted_text(const struct ibb_link *child, char out[2 * IBB_LINK_ID_SIZE + 8])
{
	id_text(child->kind, &child->parent.id, out);
	if (child->parent.has_id2) {
		strcat(out, " or ");
		id_text(child->kind, &child->parent.id2, out + strlen(out));
	}
}

static void keep_stranger(struct search *s, const struct ibb_link *p)
{
	char want[2 * IBB_LINK_ID_SIZE + 8], have[IBB_LINK_ID_SIZE];

	ibb_link_id_text(p, have);
	wanted_text(s->child, want);
	ibb_err(&s->problem, IBB_E_UNSUPPORTED,
		"%s: its parent %s was changed or is another disk: it is a %s%s%s, the child was "
		"made on the %s with the identifier %s",
		s->child->path, p->path, ibb_link_kind_name(p),
		*have ? " with the identifier " : "", have,
		s->child->kind == IBB_CONTAINER_VHDX ? "VHDX" : "VHD", want);
	ibb_err_hint(&s->problem, IBB_E_UNSUPPORTED,
		     "put the parent as it was when the child was made beside the child; a parent "
		     "that was written to since is lost for it");
}

static int note_place(struct search *s, const char *path, struct ibb_error *err)
{
	return ibb_buf_printf(&s->looked, "%s%s", s->looked.len ? ", " : "", path)
		       ? ibb_err_nomem(err)
		       : IBB_OK;
}

/* What is wrong with the parent, or what has its name. */
static void keep_problem(struct search *s, const struct ibb_error *why)
{
	if (s->problem.code)
		return;
	s->problem = *why;
	ibb_err_prefix(&s->problem, why->code, "%s: its parent", s->child->path);
}

static int try_named(struct search *s, const struct ibb_candidate *cand, struct ibb_error *err)
{
	struct ibb_error sub = {0};
	struct ibb_link l;
	int r = note_place(s, cand->path, err);

	if (r)
		return r;
	r = open_link(cand->path, cand->by, &l, &sub);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r) {
		const bool absent = sub.os_errno == ENOENT || sub.os_errno == ENOTDIR;

		if (!absent)
			keep_problem(s, &sub);
		return IBB_OK;
	}
	if (is_parent(s->child, &l)) {
		s->found = l;
		s->has = true;
		return IBB_OK;
	}
	if (!s->problem.code)
		keep_stranger(s, &l);
	ibb_link_clear(&l);
	return IBB_OK;
}

static int find_named(struct search *s, struct ibb_error *err)
{
	struct ibb_candidates all = {0};
	int r = ibb_candidates_named(s->child->path, &s->child->parent, &all, err);

	for (size_t i = 0; i < all.n && !r && !s->has; i++)
		r = try_named(s, &all.list[i], err);
	ibb_candidates_clear(&all);
	return r;
}

static bool in_chain(const struct ibb_chain *c, const char *path)
{
	for (size_t i = 0; i < c->n; i++)
		if (ibb_path_is(path, &c->links[i].id))
			return true;
	return false;
}

/* Two different files with the identifier: a copy that may have been written to since. */
static int twice(struct search *s, const struct ibb_link *other, struct ibb_error *err)
{
	char want[2 * IBB_LINK_ID_SIZE + 8];

	wanted_text(s->child, want);
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: its parent has the identifier %s, which both %s and %s have: they may differ",
		s->child->path, want, s->found.path, other->path);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "move the one that is not its parent to another directory");
}

/*
 * Is the file of that directory the parent, by its identifier alone? Only then it is opened as a
 * whole, which takes its time. One that cannot be read, or is anything else, is none of our
 * business; but one that somebody writes to just now, or that waits to be recovered, may be it.
 */
static int peek(struct search *s, const struct ibb_candidate *cand, bool *ret,
		struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	struct ibb_error sub = {0};
	enum ibb_container kind;
	struct ibb_file_id id;
	struct ibb_guid guid;
	int r = ibb_disk_file_open(cand->path, &id, &file, &sub);

	if (r == IBB_E_CONFLICT && !s->problem.code) {
		s->problem = sub;
		ibb_err_prefix(&s->problem, r, "%s: its parent is missing, unless it is this",
			       s->child->path);
	}
	if (!r)
		r = ibb_container_detect_id(file, &kind, &guid, &sub);
	*ret = !r && is_wanted(s->child, kind, &guid);
	return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
}

static int try_neighbour(struct search *s, const struct ibb_candidate *cand, struct ibb_error *err)
{
	struct ibb_error sub = {0};
	struct ibb_link l;
	bool likely;
	int r;

	if (in_chain(s->c, cand->path) || (s->has && ibb_path_is(cand->path, &s->found.id)))
		return IBB_OK;
	r = peek(s, cand, &likely, err);
	if (r || !likely)
		return r;
	r = open_link(cand->path, cand->by, &l, &sub);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r) {
		keep_problem(s, &sub);
		return IBB_OK;
	}
	if (is_parent(s->child, &l) && !s->has) {
		s->found = l;
		s->has = true;
		return IBB_OK;
	}
	r = is_parent(s->child, &l) ? twice(s, &l, err) : IBB_OK;
	ibb_link_clear(&l);
	return r;
}

static int find_by_id(struct search *s, struct ibb_error *err)
{
	struct ibb_candidates all = {0};
	bool too_many = false;
	int r = ibb_candidates_beside(s->child->path, &all, &too_many, err);

	for (size_t i = 0; i < all.n && !r; i++)
		r = try_neighbour(s, &all.list[i], err);
	if (!r && !s->has && too_many)
		r = note_place(s, "(too many images in its directory to ask each)", err);
	else if (!r && !s->has)
		r = note_place(s, "every *.vhd, *.vhdx, *.avhd and *.avhdx beside it", err);
	ibb_candidates_clear(&all);
	return r;
}

/* The path that says most to whoever made the disk. */
static const char *windows_path(const struct ibb_parent_link *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->locators[i].kind == IBB_LOCATOR_ABSOLUTE)
			return l->locators[i].path;
	return l->n ? l->locators[0].path : "without a name";
}

static int missing(struct search *s, struct ibb_error *err)
{
	char want[2 * IBB_LINK_ID_SIZE + 8];
	const char *looked = ibb_buf_cstr(&s->looked);

	if (!looked)
		return ibb_err_nomem(err);
	if (s->problem.code) {
		if (err)
			*err = s->problem;
		return s->problem.code;
	}
	wanted_text(s->child, want);
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: is a %s, and its parent (%s) is missing; looked for %s, with the identifier "
		"%s",
		s->child->path, ibb_link_kind_name(s->child), windows_path(&s->child->parent),
		looked, want);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "put its parent beside it, or merge it into its parent where it was "
			    "made (Merge-VHD) and give that image");
}

/* Nothing is left in *s but on success its `found`. */
static int find_parent(struct search *s, struct ibb_error *err)
{
	int r = find_named(s, err);

	if (!r && !s->has)
		r = find_by_id(s, err);
	if (!r && !s->has)
		r = missing(s, err);
	if (r && s->has)
		ibb_link_clear(&s->found);
	ibb_buf_clear(&s->looked);
	return r;
}

/* ---- the chain ---- */

bool ibb_chain_has(const struct ibb_chain *c, const struct ibb_file_id *id)
{
	for (size_t i = 0; i < c->n; i++)
		if (ibb_same_file(&c->links[i].id, id))
			return true;
	return false;
}

void ibb_chain_clear(struct ibb_chain *c)
{
	ibb_disk_unref(c->disk);
	for (size_t i = 0; i < c->n; i++)
		ibb_link_clear(&c->links[i]);
	free(c->links);
	*c = (struct ibb_chain){0};
}

/* Takes the link over, also on failure. */
static int push(struct ibb_chain *c, struct ibb_link *l, struct ibb_error *err)
{
	if (ibb_grow(&c->links, &c->cap, c->n, sizeof(*c->links))) {
		ibb_link_clear(l);
		return ibb_err_nomem(err);
	}
	c->links[c->n++] = *l;
	return IBB_OK;
}

static int check_pair(const struct ibb_chain *c, const struct ibb_link *child,
		      const struct ibb_link *p, struct ibb_error *err)
{
	if (ibb_chain_has(c, &p->id))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: its chain of parents loops: %s, the parent of %s, is in it "
			       "already",
			       c->links[0].path, p->path, child->path);
	if (child->disk->sector_bytes != p->disk->sector_bytes)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: has logical sectors of %u bytes, its parent %s of %u",
			       child->path, child->disk->sector_bytes, p->path,
			       p->disk->sector_bytes);
	return IBB_OK;
}

static int add_parent(struct ibb_chain *c, struct ibb_error *err)
{
	struct search s = {.c = c, .child = &c->links[c->n - 1]};
	int r;

	if (c->n == IBB_LIMIT_CHAIN_LINKS)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: more than %u differencing disks on top of each other (up to "
			       "%s)",
			       c->links[0].path, IBB_LIMIT_CHAIN_LINKS, s.child->path);
	r = find_parent(&s, err);
	if (r)
		return r;
	r = check_pair(c, s.child, &s.found, err);
	if (r) {
		ibb_link_clear(&s.found);
		return r;
	}
	return push(c, &s.found, err);
}

/* From the base up: each disk is complete before it is put under its child. */
static int stack(struct ibb_chain *c, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = c->n - 1; i-- > 0 && !r;) {
		struct ibb_disk *child = c->links[i].disk, *parent = c->links[i + 1].disk;

		r = c->links[i].kind == IBB_CONTAINER_VHDX
			    ? ibb_disk_vhdx_set_parent(child, parent, err)
			    : ibb_disk_vhd_set_parent(child, parent, err);
	}
	if (!r)
		c->disk = ibb_disk_ref(c->links[0].disk);
	return r;
}

int ibb_chain_open(const char *path, struct ibb_chain *ret, struct ibb_error *err)
{
	struct ibb_chain c = {0};
	struct ibb_link l;
	int r = open_link(path, IBB_FOUND_GIVEN, &l, err);

	if (!r)
		r = push(&c, &l, err);
	while (!r && c.links[c.n - 1].parent.differencing)
		r = add_parent(&c, err);
	if (!r)
		r = stack(&c, err);
	if (r)
		ibb_chain_clear(&c);
	else
		*ret = c;
	return r;
}

int ibb_chain_unchanged(const struct ibb_chain *c, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && !r; i++)
		r = ibb_disk_file_unchanged(c->links[i].file, &c->links[i].id, err);
	return r;
}
