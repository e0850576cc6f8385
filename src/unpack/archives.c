/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libarchive reads, into the tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/archive.h"
#include "base/limits.h"
#include "unpack/tree.h"

struct into_tree {
	struct unpack_tree *t;
	const char *name; /* of the archive */
	unpack_rename_fn rename;
	void *rename_ctx;
	char *first; /* of the names that were no UTF-8 */
	unsigned n_foreign;
};

static int named(const struct into_tree *to, int rc, struct ibb_error *err)
{
	return rc ? ibb_err_prefix(err, rc, "%s", to->name) : IBB_OK;
}

static int begin(void *ctx, const struct ibb_archive_entry *e, bool *want, struct ibb_error *err)
{
	struct into_tree *to = ctx;
	const char *name = e->name;

	if (e->cp437 && !to->n_foreign++) {
		to->first = ibb_strdup(name);
		if (!to->first)
			return ibb_err_nomem(err);
	}
	if (e->kind == IBB_ARCHIVE_LINK)
		return named(to, unpack_tree_refuse(to->t, name, "a link", err), err);
	if (e->kind == IBB_ARCHIVE_SPECIAL)
		return named(to, unpack_tree_refuse(to->t, name, "a device or the like", err), err);
	if (to->rename)
		name = to->rename(to->rename_ctx, name);
	if (!name)
		return IBB_OK;
	if (e->kind == IBB_ARCHIVE_DIRECTORY)
		return named(to, unpack_tree_mkdir(to->t, name, err), err);
	*want = true;
	return named(to, unpack_tree_begin(to->t, name, e->has_size ? &e->size_bytes : NULL, err),
		     err);
}

static int data(void *ctx, const void *p, size_t n, struct ibb_error *err)
{
	const struct into_tree *to = ctx;

	return named(to, unpack_tree_write(to->t, p, n, err), err);
}

static int end(void *ctx, struct ibb_error *err)
{
	const struct into_tree *to = ctx;

	return named(to, unpack_tree_end(to->t, err), err);
}

static int warn_foreign(const struct into_tree *to, struct ibb_error *err)
{
	char text[96];

	snprintf(text, sizeof(text), "its name is not UTF-8, read as code page 437%s",
		 to->n_foreign > 1 ? ", like others here" : "");
	return unpack_tree_warn(to->t, to->first, text, err);
}

static int walk(const struct unpack_source *s, enum ibb_archive_format format, struct into_tree *to,
		struct ibb_error *err)
{
	struct ibb_archive_visitor v = {.begin = begin, .data = data, .end = end, .ctx = to};
	struct ibb_archive_limits limits = {.bytes = unpack_tree_room(to->t),
					    .members = IBB_LIMIT_UNPACK_FILES};
	struct ibb_archive_stretch stretch = {
		.fd = s->fd, .offset = s->offset, .size_bytes = s->size_bytes, .name = s->name};
	int rc = ibb_archive_walk(&stretch, format, &limits, &v, err);

	if (!rc && to->first)
		rc = warn_foreign(to, err);
	free(to->first);
	return rc;
}

int unpack_libarchive(const struct unpack_source *s, enum ibb_unpack_kind kind,
		      struct unpack_tree *t, struct ibb_error *err)
{
	struct into_tree to = {.t = t, .name = s->name};
	uint8_t magic[2];
	enum ibb_archive_format f = kind == IBB_UNPACK_ZIP   ? IBB_ARCHIVE_ZIP
				    : kind == IBB_UNPACK_CAB ? IBB_ARCHIVE_CAB
				    : kind == IBB_UNPACK_7Z  ? IBB_ARCHIVE_7Z
							     : IBB_ARCHIVE_TAR;

	if (f == IBB_ARCHIVE_TAR && s->size_bytes > sizeof(magic)) {
		int rc = unpack_read(s, 0, magic, sizeof(magic), err);

		if (!rc && magic[0] == 0x1f && magic[1] == 0x8b)
			rc = unpack_check_gzip(s, t, err);
		if (rc)
			return rc;
	}
	return walk(s, f, &to, err);
}

int unpack_cab_members(const struct unpack_source *s, unpack_rename_fn rename, void *ctx,
		       struct unpack_tree *t, struct ibb_error *err)
{
	struct into_tree to = {.t = t, .name = s->name, .rename = rename, .rename_ctx = ctx};

	return walk(s, IBB_ARCHIVE_CAB, &to, err);
}
