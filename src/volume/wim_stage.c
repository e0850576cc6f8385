/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes of an image. What is new lies in the scratch volume; what it takes the place of, and what
 * is removed, is named in `removed`. So a path is, in this order: staged, gone, or the image's.
 */
#include "volume/wim_stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "volume/security.h"

void ibb_wim_seen_clear(struct wim_seen *s)
{
	free(s->path);
	ibb_wim_node_clear(&s->node);
	*s = (struct wim_seen){0};
}

/* One more component; what is staged, or copied, is known by its long name. */
static int longer(struct wim_be *b, struct ibb_buf *path, const char *name, size_t n,
		  struct ibb_error *err)
{
	struct wim_node node = {0};
	const char *s;
	int rc;

	if ((path->len && ibb_buf_append(path, "/", 1)) || ibb_buf_append(path, name, n))
		return ibb_err_nomem(err);
	s = ibb_buf_cstr(path);
	if (!s)
		return ibb_err_nomem(err);
	if (!memchr(name, '~', n) || ibb_wim_is_staged(b, s) || wim_paths_has(&b->copies, s))
		return IBB_OK;
	rc = ibb_wim_lookup(b->wim, b->index, s, &node, err);
	if (!rc) {
		path->len = 0;
		if (ibb_buf_append_str(path, node.path))
			rc = ibb_err_nomem(err);
	}
	ibb_wim_node_clear(&node);
	return rc == IBB_E_NOTFOUND ? IBB_OK : rc;
}

/* The path with its directories' long names. Windows makes no alias without a '~'. */
static int long_path(struct wim_be *b, const char *path, char **ret, struct ibb_error *err)
{
	const size_t dir = ibb_path_dir_len(path);
	IBB_AUTO_BUF struct ibb_buf out = {0};
	int rc = IBB_OK;

	for (size_t at = 0, n; !rc && at < dir && memchr(path, '~', dir); at += n + 1) {
		n = strcspn(path + at, "/");
		rc = longer(b, &out, path + at, n, err);
	}
	if (rc)
		return rc;
	if (out.len)
		*ret = ibb_asprintf("%.*s/%s", (int)out.len, (const char *)out.data,
				    ibb_path_base(path));
	else
		*ret = ibb_strdup(path);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

static int no_such_file(const char *path, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_NOTFOUND, "%s: no such file", path);
}

/* The image has a file of this alias, but it is gone or replaced: what is in its place? */
static int look_at_alias(struct wim_be *b, struct wim_seen *s, struct ibb_error *err)
{
	int rc = IBB_E_NOTFOUND;

	/* a file that was changed in place has kept its alias */
	s->staged = ibb_wim_is_staged(b, s->node.path);
	if (s->staged)
		rc = ibb_volume_stat(b->scratch, s->path, &s->st, err);
	else
		rc = no_such_file(s->path, err);
	if (!rc) {
		free(s->path);
		s->path = IBB_TAKE(s->node.path);
	}
	ibb_wim_node_clear(&s->node);
	return rc;
}

int ibb_wim_look(struct wim_be *b, const char *path, struct wim_seen *ret, struct ibb_error *err)
{
	int rc;

	*ret = (struct wim_seen){0};
	rc = long_path(b, path, &ret->path, err);
	if (rc)
		return rc;
	ret->staged = ibb_wim_is_staged(b, ret->path);
	if (ret->staged)
		return ibb_volume_stat(b->scratch, ret->path, &ret->st, err);
	if (ibb_wim_is_removed(b, ret->path))
		return no_such_file(path, err);
	rc = ibb_wim_lookup(b->wim, b->index, ret->path, &ret->node, err);
	if (rc)
		return rc;
	if (ibb_wim_is_removed(b, ret->node.path))
		return look_at_alias(b, ret, err);
	ret->st = ret->node.st;
	return IBB_OK;
}

/* It is new: nothing of the image shines through. */
static int note_staged(struct wim_be *b, const char *path, struct ibb_error *err)
{
	int rc = wim_paths_add(&b->staged, path, err);

	if (rc)
		b->base.changed = true;
	return rc;
}

/* ---- in place ---- */

/* Piece by piece with what is there; stops at the first difference. */
struct same {
	struct ibb_bytes content;
	bool differs;
};

static int compare_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	struct same *s = ctx;

	(void)err;
	s->differs = !ibb_in_range(off, piece.len, s->content.len) ||
		     memcmp(s->content.data + off, piece.data, piece.len) != 0;
	return s->differs ? IBB_E_DIFFERS : IBB_OK;
}

static int is_same(struct wim_be *b, const struct wim_node *node, struct ibb_bytes content,
		   bool *ret, struct ibb_error *err)
{
	struct same s = {.content = content, .differs = node->st.size_bytes != content.len};
	int rc = IBB_OK;

	/* content that is not in the WIM has no size */
	if (!s.differs && (content.len || node->data.is_missing))
		rc = ibb_wim_blob_stream(b->wim, node->path, &node->data, content.len,
					 compare_piece, &s, err);
	if (rc && !s.differs)
		return rc;
	*ret = !s.differs;
	return IBB_OK;
}

/* May this file of the image be written anew without anything of it getting lost? */
static int check_in_place(const struct wim_node *node, struct ibb_error *err)
{
	const uint32_t odd = node->attributes & ~NTFS_IMPORT_ATTRIBUTES;
	const char *why = NULL;

	if (node->st.reparse_tag)
		return ibb_wim_check_plain(node, err);
	if (node->st.encrypted)
		why = "encrypted (EFS)";
	else if (node->st.links > 1)
		why = "has several names (hard links)";
	else if (node->named_streams)
		why = "has alternate data streams";
	if (why)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: %s, so that it cannot be changed in place in a WIM", node->path,
			       why);
	if (odd)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: has attributes 0x%x, which cannot be kept in a WIM", node->path,
			       odd);
	return IBB_OK;
}

static bool all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n && !b[n - 1])
		n--;
	return !n;
}

/* Its own descriptor; a file that has none gets what it would inherit. */
static int security_of(struct wim_be *b, const struct wim_node *node, struct ibb_buf *made,
		       struct ibb_bytes *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf parent = {0};
	IBB_AUTO_FREE char *dir = NULL;
	int rc;

	*ret = ibb_buf_bytes(&node->security);
	if (ret->len)
		return IBB_OK;
	dir = ibb_strndup(node->path, ibb_path_dir_len(node->path));
	if (!dir)
		return ibb_err_nomem(err);
	rc = ibb_volume_security(b->scratch, dir, &parent, err);
	if (!rc)
		rc = ibb_security_inherit(ibb_buf_bytes(&parent), false, made, err);
	*ret = ibb_buf_bytes(made);
	return rc;
}

/* A file of the image, with new content and all else as it was. */
static int import_changed(struct wim_be *b, const struct wim_node *node, struct ibb_bytes content,
			  uint64_t time, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf made = {0};
	struct ibb_ntfs_import m = {
		.created = node->created,
		.accessed = node->accessed,
		.modified = time,
		.changed = time,
		.attributes = node->attributes,
		.dos_name = node->dos_name && *node->dos_name ? node->dos_name : NULL,
	};
	int rc = wim_scratch_prepare(b, node->path, content.len, err);

	if (!all_zero(&node->object_id, sizeof(node->object_id)))
		m.object_id = (const uint8_t *)&node->object_id;
	if (!rc)
		rc = wim_scratch_check_unique(b, node->path, err);
	if (!rc)
		rc = security_of(b, node, &made, &m.security, err);
	if (!rc)
		rc = wim_paths_add(&b->removed, node->path, err);
	if (rc)
		return rc;
	rc = wim_scratch_changed(b, ibb_ntfs_import_file(b->scratch, node->path, content, &m, err));
	if (rc && !b->base.changed)
		wim_paths_drop(&b->removed, node->path);
	if (rc == IBB_E_CORRUPT)
		return wim_bad_security(b, node, err);
	return rc ? rc : note_staged(b, node->path, err);
}

static int put_in_place(struct wim_be *b, const struct wim_node *node, struct ibb_bytes content,
			const struct ibb_meta *meta, struct ibb_error *err)
{
	bool same = false;
	int rc = check_in_place(node, err);

	if (!rc)
		rc = is_same(b, node, content, &same, err);
	if (!rc && !same)
		rc = ibb_wim_check_extras(b->wim, b->index, node->path, err);
	return rc || same ? rc : import_changed(b, node, content, meta->time, err);
}

/* ---- the operations ---- */

/* A new file, at a path where nothing is, or in the place of a file of the image. */
static int put_new(struct wim_be *b, const char *path, bool hides, struct ibb_bytes content,
		   const struct ibb_meta *meta, struct ibb_error *err)
{
	int rc = wim_scratch_prepare(b, path, content.len, err);

	if (!rc)
		rc = wim_scratch_check_unique(b, path, err);
	if (!rc && hides)
		rc = wim_paths_add(&b->removed, path, err);
	if (rc)
		return rc;
	rc = wim_scratch_changed(
		b, ibb_volume_put(b->scratch, path, content, IBB_PUT_REPLACE, meta, err));
	if (rc && hides && !b->base.changed)
		wim_paths_drop(&b->removed, path);
	return rc ? rc : note_staged(b, path, err);
}

static int put_over(struct wim_be *b, const char *path, const struct wim_seen *s,
		    struct ibb_bytes content, enum ibb_put_mode mode, const struct ibb_meta *meta,
		    struct ibb_error *err)
{
	const struct ibb_stat *st = &s->st;
	int rc;

	if (st->type == IBB_FILE_DIRECTORY)
		return ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", path);
	if (s->staged) {
		rc = wim_scratch_prepare(b, s->path, content.len, err);
		if (!rc)
			rc = wim_scratch_changed(
				b, ibb_volume_put(b->scratch, s->path, content, mode, meta, err));
		return rc;
	}
	if (mode == IBB_PUT_IN_PLACE)
		return put_in_place(b, &s->node, content, meta, err);
	if (st->reparse_tag && st->reparse_tag != WIMLIB_REPARSE_TAG_WOF)
		return ibb_wim_check_plain(&s->node, err);
	return put_new(b, s->node.path, true, content, meta, err);
}

int ibb_wim_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc)
		rc = put_over(b, path, &s, content, mode, meta, err);
	else if (rc == IBB_E_NOTFOUND && mode == IBB_PUT_REPLACE)
		rc = put_new(b, s.path, false, content, meta, err);
	ibb_wim_seen_clear(&s);
	return rc;
}

static int make_dir(struct wim_be *b, const char *path, const struct ibb_meta *meta,
		    struct ibb_error *err)
{
	int rc = wim_scratch_prepare(b, path, 0, err);

	if (!rc)
		rc = wim_scratch_check_unique(b, path, err);
	if (!rc)
		rc = wim_scratch_changed(b, ibb_volume_mkdir(b->scratch, path, meta, err));
	return rc ? rc : note_staged(b, path, err);
}

int ibb_wim_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		  struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc)
		rc = ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
	else if (rc == IBB_E_NOTFOUND)
		rc = make_dir(b, s.path, meta, err);
	ibb_wim_seen_clear(&s);
	return rc;
}

/* Is nothing left of what the image has in this directory? */
static int check_empty(struct wim_be *b, const char *dir, struct ibb_error *err)
{
	struct ibb_dirents l = {0};
	int rc = ibb_wim_children(b->wim, b->index, dir, &l, err);

	for (size_t i = 0; !rc && i < l.n; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, l.items[i].name);

		if (!path)
			rc = ibb_err_nomem(err);
		else if (!wim_paths_has(&b->removed, path))
			rc = ibb_err(err, IBB_E_CONFLICT, "%s: the directory is not empty", dir);
	}
	ibb_dirents_clear(&l);
	if (!rc && wim_paths_below(&b->staged, dir))
		rc = ibb_err(err, IBB_E_CONFLICT, "%s: the directory is not empty", dir);
	return rc;
}

static int remove_staged(struct wim_be *b, const char *path, struct ibb_error *err)
{
	int rc = wim_scratch_changed(b, ibb_volume_remove(b->scratch, path, err));

	if (!rc)
		wim_paths_drop(&b->staged, path);
	return rc;
}

static int remove_old(struct wim_be *b, const struct wim_node *node, struct ibb_error *err)
{
	const struct ibb_stat *st = &node->st;
	const char *path = node->path;
	int rc = IBB_OK;

	if (st->reparse_tag && st->reparse_tag != WIMLIB_REPARSE_TAG_WOF)
		return ibb_wim_check_plain(node, err);
	if (st->type == IBB_FILE_DIRECTORY)
		rc = check_empty(b, path, err);
	if (!rc)
		rc = wim_scratch_check_unique(b, path, err);
	if (!rc)
		rc = wim_paths_add(&b->removed, path, err);
	if (rc || !wim_paths_has(&b->copies, path))
		return rc;
	rc = wim_scratch_changed(b, ibb_volume_remove(b->scratch, path, err));
	if (rc) {
		/* gone and yet there */
		b->base.changed = true;
		return rc;
	}
	wim_paths_drop(&b->copies, path);
	return IBB_OK;
}

int ibb_wim_remove(struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc)
		rc = s.staged ? remove_staged(b, s.path, err) : remove_old(b, &s.node, err);
	ibb_wim_seen_clear(&s);
	return rc;
}

int ibb_wim_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		  struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc && s.staged)
		rc = wim_scratch_changed(b, ibb_volume_touch(b->scratch, s.path, meta, err));
	else if (!rc && s.st.type != IBB_FILE_DIRECTORY)
		rc = ibb_err(err, IBB_E_UNSUPPORTED,
			     "%s: the times of a file that stays as it is cannot be set in a WIM",
			     path);
	ibb_wim_seen_clear(&s);
	return rc;
}

/* ---- what is staged, for the reading side ---- */

struct staged_names {
	struct wim_be *b;
	const char *dir;
	struct ibb_dirents *out;
};

static int staged_name(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct staged_names *l = ctx;
	IBB_AUTO_FREE char *path = ibb_asprintf("%s%s%s", l->dir, *l->dir ? "/" : "", name);

	if (!path)
		return ibb_err_nomem(err);
	if (!wim_paths_has(&l->b->staged, path))
		return IBB_OK;
	return ibb_dirents_add(l->out, ibb_strdup(name), type, err);
}

int ibb_wim_staged_list(struct wim_be *b, const char *dir, struct ibb_dirents *out,
			struct ibb_error *err)
{
	struct staged_names l = {b, dir, out};

	if (!wim_paths_has(&b->staged, dir) && !wim_paths_has(&b->copies, dir))
		return ibb_err(err, IBB_E_NOTFOUND, "%s: not found", dir);
	return ibb_volume_list(b->scratch, dir, staged_name, &l, err);
}

void ibb_wim_stage_clear(struct wim_be *b)
{
	wim_scratch_clear(b);
	wim_paths_clear(&b->removed);
}
