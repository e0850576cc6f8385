/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image as a volume: what is staged (wim_stage.c), laid over what the image has. */
#include "volume/wim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

/* The scratch volume that changes are staged in has this size, whatever its host has free. */
#define CLUSTER_BYTES 4096u
#define VOLUME_BYTES  (16ull << 30)

static bool has_changes(const struct wim_be *b)
{
	return b->scratch || b->removed.n;
}

static int wim_info(struct ibb_volume *v, struct ibb_volume_info *ret, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	const char *name = b->wim->images[b->index - 1].name;
	size_t n = name ? strlen(name) : 0;

	if (b->scratch) {
		int rc = ibb_volume_info(b->scratch, ret, err);

		if (rc)
			return rc;
		ret->serial[0] = '\0';
	} else {
		*ret = (struct ibb_volume_info){.cluster_bytes = CLUSTER_BYTES,
						.size_bytes = VOLUME_BYTES,
						.free_bytes = VOLUME_BYTES};
	}
	ret->kind = "wim";
	ret->major = ret->minor = 0;
	if (n >= sizeof(ret->label)) {
		n = sizeof(ret->label) - 1;
		/* not in the middle of a character */
		while (n && ((unsigned char)name[n] & 0xc0) == 0x80)
			n--;
	}
	snprintf(ret->label, sizeof(ret->label), "%.*s", (int)n, name ? name : "");
	return IBB_OK;
}

static int wim_stat(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		    struct ibb_error *err)
{
	struct wim_seen s;
	int rc = ibb_wim_look(to_wim(v), path, &s, err);

	if (!rc)
		*ret = s.st;
	ibb_wim_seen_clear(&s);
	return rc;
}

static int wim_spelling(struct ibb_volume *v, const char *path, char **ret, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc && s.staged)
		rc = ibb_volume_spelling(b->scratch, s.path, ret, err);
	else if (!rc)
		*ret = IBB_TAKE(s.node.path);
	ibb_wim_seen_clear(&s);
	return rc;
}

/* ---- directories ---- */

static int compare_names(const void *a, const void *b)
{
	return ibb_casecmp(((const struct ibb_dirent *)a)->name,
			   ((const struct ibb_dirent *)b)->name);
}

/* Takes the names that are staged, or removed, out of `l`. */
static int drop_changed(struct wim_be *b, const char *dir, const struct ibb_dirents *staged,
			struct ibb_dirents *l, struct ibb_error *err)
{
	size_t kept = 0;
	int rc = IBB_OK;

	for (size_t i = 0; i < l->n; i++) {
		struct ibb_dirent *e = &l->items[i];
		bool gone = staged->n &&
			    bsearch(e, staged->items, staged->n, sizeof(*e), compare_names);

		if (!rc && !gone && b->removed.n) {
			IBB_AUTO_FREE char *path =
				ibb_asprintf("%s%s%s", dir, *dir ? "/" : "", e->name);

			if (path)
				gone = ibb_wim_is_removed(b, path);
			else
				rc = ibb_err_nomem(err);
		}
		if (gone)
			free(e->name);
		else
			l->items[kept++] = *e;
	}
	l->n = kept;
	return rc;
}

static int add_staged(struct wim_be *b, const char *dir, struct ibb_dirents *out,
		      struct ibb_error *err)
{
	struct ibb_dirents staged = {0};
	int rc = b->scratch ? ibb_wim_staged_list(b, dir, &staged, err) : IBB_OK;

	if (rc == IBB_E_NOTFOUND)
		rc = IBB_OK;
	if (!rc && staged.n)
		qsort(staged.items, staged.n, sizeof(staged.items[0]), compare_names);
	if (!rc)
		rc = drop_changed(b, dir, &staged, out, err);
	for (size_t i = 0; !rc && i < staged.n; i++)
		rc = ibb_dirents_add(out, IBB_TAKE(staged.items[i].name), staged.items[i].type,
				     err);
	ibb_dirents_clear(&staged);
	return rc;
}

static int wim_list(struct ibb_volume *v, const char *dir, struct ibb_dirents *out,
		    struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, dir, &s, err);

	if (!rc && s.staged) {
		rc = ibb_wim_staged_list(b, s.path, out, err);
	} else if (!rc) {
		rc = ibb_wim_children(b->wim, b->index, s.node.path, out, err);
		if (!rc && has_changes(b))
			rc = add_staged(b, s.node.path, out, err);
	}
	ibb_wim_seen_clear(&s);
	return rc;
}

/* ---- content ---- */

/* What is at the path, when it can be read; ibb_wim_seen_clear() in any case. */
static int readable(struct wim_be *b, const char *path, struct wim_seen *ret, struct ibb_error *err)
{
	int rc = ibb_wim_look(b, path, ret, err);

	if (rc || ret->staged)
		return rc;
	if (ret->st.type == IBB_FILE_DIRECTORY)
		return ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", path);
	return ibb_wim_check_plain(&ret->node, err);
}

static int wim_read(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		    struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = readable(b, path, &s, err);

	if (!rc && s.staged)
		rc = ibb_volume_read(b->scratch, s.path, limit, ret, err);
	else if (!rc)
		rc = ibb_wim_blob_read(b->wim, path, &s.node.data, limit, ret, err);
	ibb_wim_seen_clear(&s);
	return rc;
}

static int wim_stream(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
		      void *ctx, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = readable(b, path, &s, err);

	if (!rc && s.staged)
		rc = ibb_volume_stream(b->scratch, s.path, limit, fn, ctx, err);
	else if (!rc)
		rc = ibb_wim_blob_stream(b->wim, path, &s.node.data, limit, fn, ctx, err);
	ibb_wim_seen_clear(&s);
	return rc;
}

static int wim_security(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_seen s;
	int rc = ibb_wim_look(b, path, &s, err);

	if (!rc && s.staged) {
		rc = ibb_volume_security(b->scratch, s.path, ret, err);
	} else if (!rc && !s.node.security.len) {
		rc = ibb_err(err, IBB_E_UNSUPPORTED, "%s: has no security descriptor", path);
	} else if (!rc) {
		ibb_buf_clear(ret);
		*ret = s.node.security;
		s.node.security = (struct ibb_buf){0};
	}
	ibb_wim_seen_clear(&s);
	return rc;
}

/* ---- open and close ---- */

static void wim_close(struct ibb_volume *v)
{
	struct wim_be *b = to_wim(v);

	if (b->base.writable)
		ibb_wim_stage_clear(b);
	free(b->temp_dir);
	free(b);
}

static const struct ibb_volume_ops wim_ops = {
	.info = wim_info,
	.stat = wim_stat,
	.spelling = wim_spelling,
	.list = wim_list,
	.read = wim_read,
	.stream = wim_stream,
	.put = ibb_wim_put,
	.mkdir = ibb_wim_mkdir,
	.remove = ibb_wim_remove,
	.security = wim_security,
	.touch = ibb_wim_touch,
	.commit = ibb_wim_commit,
	.close = wim_close,
};

/* The root, so that an image whose metadata is damaged does not open. */
static int check_root(struct ibb_wim *w, unsigned index, struct ibb_error *err)
{
	struct wim_node n = {0};
	int rc = ibb_wim_lookup(w, index, "", &n, err);

	if (!rc && n.st.type != IBB_FILE_DIRECTORY)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: image %u: its root is no directory", w->name,
			     index);
	ibb_wim_node_clear(&n);
	return rc;
}

static int check_image(const struct ibb_wim *w, unsigned index, bool writable,
		       struct ibb_error *err)
{
	if (index < 1 || index > w->info.images)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no image %u; it has %u", w->name, index,
			       w->info.images);
	if (w->changed[index - 1])
		return ibb_err(err, IBB_E_INVALID, "%s: image %u was already changed", w->name,
			       index);
	return writable ? ibb_wim_check_writable(w, false, err) : IBB_OK;
}

int ibb_volume_open_wim(struct ibb_wim *w, unsigned index, bool writable, const char *temp_dir,
			struct ibb_volume **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct wim_be *b = NULL;
	int rc = check_image(w, index, writable, err);

	if (!rc)
		rc = check_root(w, index, err);
	if (!rc)
		rc = ibb_wim_check_names(w, index, err);
	if (rc)
		return rc;
	b = ibb_zalloc(sizeof(*b));
	if (!b)
		return ibb_err_nomem(err);
	b->base = (struct ibb_volume){.ops = &wim_ops, .writable = writable};
	b->wim = w;
	b->index = index;
	if (temp_dir && !(b->temp_dir = ibb_strdup(temp_dir)))
		return ibb_err_nomem(err);
	*ret = &IBB_TAKE(b)->base;
	return IBB_OK;
}
