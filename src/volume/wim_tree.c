/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and metadata of an image; wimlib hands out one entry, or those of one directory. */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

/* Returned by our callbacks to wimlib; its own codes are positive. */
#define STOPPED (-1)

#define DOS_NAME_CHARS 12

#define SECONDS_1601_TO_1970 11644473600u

/* wimlib made it from a FILETIME by division; unsigned arithmetic brings every value back. */
static uint64_t filetime_of(const struct timespec *t)
{
	return ((uint64_t)t->tv_sec + SECONDS_1601_TO_1970) * 10000000u +
	       (uint64_t)t->tv_nsec / 100;
}

/* One without a tag gets some tag, so that nobody takes it for a plain file. */
static uint32_t tag_of(const struct wimlib_dir_entry *e)
{
	if (!(e->attributes & WIMLIB_FILE_ATTRIBUTE_REPARSE_POINT))
		return 0;
	return e->reparse_tag ? e->reparse_tag : 1;
}

static enum ibb_file_type type_of(const struct wimlib_dir_entry *e)
{
	uint32_t tag = tag_of(e);

	if (tag && tag != WIMLIB_REPARSE_TAG_WOF)
		return IBB_FILE_OTHER;
	return e->attributes & WIMLIB_FILE_ATTRIBUTE_DIRECTORY ? IBB_FILE_DIRECTORY
							       : IBB_FILE_REGULAR;
}

static void stat_of(const struct wimlib_dir_entry *e, struct ibb_stat *st)
{
	uint32_t tag = tag_of(e);

	*st = (struct ibb_stat){
		.type = type_of(e),
		/* the first stream of a reparse point is what it points to */
		.size_bytes = !tag && type_of(e) == IBB_FILE_REGULAR
				      ? e->streams[0].resource.uncompressed_size
				      : 0,
		.id = e->hard_link_group_id,
		.attributes = e->attributes,
		.reparse_tag = tag,
		.wof_compressed = tag == WIMLIB_REPARSE_TAG_WOF,
		.encrypted = e->attributes & WIMLIB_FILE_ATTRIBUTE_ENCRYPTED,
		.links = e->num_links,
		.mtime = filetime_of(&e->last_write_time),
	};
}

struct lookup {
	struct wim_node *node;
	bool found;
	int rc;
	struct ibb_error *err;
};

static int fill_node(const struct wimlib_dir_entry *e, struct wim_node *n, struct ibb_error *err)
{
	const char *path = e->full_path;

	if (!ibb_utf8_valid(path, strlen(path)))
		return ibb_err(err, IBB_E_CORRUPT, "a name in the image is no Unicode");
	n->path = ibb_strdup(path + strspn(path, "/"));
	if (!n->path)
		return ibb_err_nomem(err);
	/* wimlib has an empty one for none */
	if (e->dos_name && *e->dos_name && !(n->dos_name = ibb_strdup(e->dos_name)))
		return ibb_err_nomem(err);
	if (e->security_descriptor_size &&
	    ibb_buf_append(&n->security, e->security_descriptor, e->security_descriptor_size))
		return ibb_err_nomem(err);
	stat_of(e, &n->st);
	n->created = filetime_of(&e->creation_time);
	n->accessed = filetime_of(&e->last_access_time);
	n->modified = filetime_of(&e->last_write_time);
	n->attributes = e->attributes;
	n->named_streams = e->num_named_streams;
	n->object_id = e->object_id;
	n->data = e->streams[0].resource;
	return IBB_OK;
}

static int on_entry(const struct wimlib_dir_entry *e, void *ctx)
{
	struct lookup *l = ctx;

	l->found = true;
	l->rc = fill_node(e, l->node, l->err);
	return l->rc ? STOPPED : 0;
}

void ibb_wim_node_clear(struct wim_node *n)
{
	free(n->path);
	free(n->dos_name);
	ibb_buf_clear(&n->security);
	*n = (struct wim_node){0};
}

/*
 * An alias of 8.3 characters, which Windows finds a file by, too; wimlib looks for long names only.
 * The name in the directory that has it, or NULL.
 */
struct alias {
	const char *dos;
	char *name;
	bool nomem;
};

static int on_alias(const struct wimlib_dir_entry *e, void *ctx)
{
	struct alias *a = ctx;

	if (!e->dos_name || !e->filename || !ibb_caseeq(e->dos_name, a->dos))
		return 0;
	a->name = ibb_strdup(e->filename);
	a->nomem = !a->name;
	return STOPPED;
}

static int at(struct ibb_wim *w, unsigned index, const char *dir, int flags,
	      wimlib_iterate_dir_tree_callback_t cb, void *ctx, int *ret_code)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("/%s", dir);

	if (!path)
		return IBB_E_NOMEM;
	*ret_code = wimlib_iterate_dir_tree(w->lib, (int)index, path, flags, cb, ctx);
	return IBB_OK;
}

/* One entry by its path, as spelt in the image but for case. IBB_E_NOTFOUND without words. */
static int entry_at(struct ibb_wim *w, unsigned index, const char *path, struct wim_node *ret,
		    struct ibb_error *err)
{
	struct lookup l = {.node = ret, .err = err};
	int code = 0;

	if (at(w, index, path, 0, on_entry, &l, &code))
		return ibb_err_nomem(err);
	if (code == STOPPED)
		return l.rc;
	if (code == WIMLIB_ERR_PATH_DOES_NOT_EXIST || (!code && !l.found))
		return IBB_E_NOTFOUND;
	return code ? ibb_wim_fail(w, code, err, "image %u", index) : IBB_OK;
}

static char *join(const char *dir, const char *name, size_t n)
{
	return ibb_asprintf("%s%s%.*s", dir, *dir ? "/" : "", (int)n, name);
}

static int by_alias(struct ibb_wim *w, unsigned index, const char *dir, const char *dos,
		    struct wim_node *ret, struct ibb_error *err)
{
	struct alias a = {.dos = dos};
	IBB_AUTO_FREE char *path = NULL;
	int code = 0;

	if (at(w, index, dir, WIMLIB_ITERATE_DIR_TREE_FLAG_CHILDREN, on_alias, &a, &code) ||
	    a.nomem)
		return ibb_err_nomem(err);
	if (code && code != STOPPED)
		return ibb_wim_fail(w, code, err, "image %u", index);
	if (!a.name)
		return IBB_E_NOTFOUND;
	path = join(dir, a.name, strlen(a.name));
	free(a.name);
	return path ? entry_at(w, index, path, ret, err) : ibb_err_nomem(err);
}

/* The entry `name` of the directory `dir`, whose spelling is the image's. */
static int step(struct ibb_wim *w, unsigned index, const char *dir, const char *name, size_t n,
		struct wim_node *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = join(dir, name, n), *dos = NULL;
	int rc;

	if (!path)
		return ibb_err_nomem(err);
	/* to wimlib, another '/' */
	if (memchr(name, '\\', n))
		return IBB_E_NOTFOUND;
	rc = entry_at(w, index, path, ret, err);
	if (rc != IBB_E_NOTFOUND || n > DOS_NAME_CHARS || !memchr(name, '~', n))
		return rc;
	dos = ibb_strndup(name, n);
	return dos ? by_alias(w, index, dir, dos, ret, err) : ibb_err_nomem(err);
}

static const char *tag_name(uint32_t tag)
{
	switch (tag) {
	case WIMLIB_REPARSE_TAG_WOF:
		return "compressed by the Windows overlay filter (WOF)";
	case WIMLIB_REPARSE_TAG_MOUNT_POINT:
		return "a junction";
	case WIMLIB_REPARSE_TAG_SYMLINK:
		return "a symbolic link";
	default:
		return "a reparse point";
	}
}

int ibb_wim_check_plain(const struct wim_node *n, struct ibb_error *err)
{
	if (n->st.reparse_tag)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: %s (reparse tag 0x%08x)", n->path,
			       tag_name(n->st.reparse_tag), n->st.reparse_tag);
	if (n->st.encrypted)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: encrypted (EFS)", n->path);
	return IBB_OK;
}

/* Does the way go on here? EFS on a directory only says what new files in it become. */
static int check_directory(const struct wim_node *n, const char *path, struct ibb_error *err)
{
	if (n->st.reparse_tag)
		return ibb_wim_check_plain(n, err);
	if (n->st.type != IBB_FILE_DIRECTORY)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: %s is no directory", path, n->path);
	return IBB_OK;
}

static int not_found(const char *path, const char *upto, struct ibb_error *err)
{
	if (!*upto)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no such file", path);
	return ibb_err(err, IBB_E_NOTFOUND, "%s: no directory '%.*s'", path, (int)(upto - path),
		       path);
}

int ibb_wim_lookup(struct ibb_wim *w, unsigned index, const char *path, struct wim_node *ret,
		   struct ibb_error *err)
{
	struct wim_node n = {0};
	int rc = entry_at(w, index, "", &n, err);

	if (rc == IBB_E_NOTFOUND)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: image %u has no root directory", w->name,
			     index);
	for (const char *p = path; !rc && *p;) {
		size_t len = strcspn(p, "/");
		struct wim_node next = {0};

		rc = check_directory(&n, path, err);
		if (!rc) {
			rc = step(w, index, n.path, p, len, &next, err);
			if (rc == IBB_E_NOTFOUND)
				rc = not_found(path, p + len, err);
		}
		ibb_wim_node_clear(&n);
		n = next;
		p += len + (p[len] == '/');
	}
	if (rc) {
		ibb_wim_node_clear(&n);
		return rc;
	}
	*ret = n;
	return IBB_OK;
}

struct listing {
	const char *dir;
	struct ibb_dirents *out;
	int rc;
	struct ibb_error *err;
};

static bool name_is_possible(const char *s)
{
	return s && *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !strpbrk(s, "/\\") &&
	       ibb_utf8_valid(s, strlen(s));
}

static int on_child(const struct wimlib_dir_entry *e, void *ctx)
{
	struct listing *l = ctx;

	if (!name_is_possible(e->filename))
		l->rc = ibb_err(l->err, IBB_E_CORRUPT,
				"directory '%s': holds a name that cannot be one", l->dir);
	else
		l->rc = ibb_dirents_add(l->out, ibb_strdup(e->filename), type_of(e), l->err);
	return l->rc ? STOPPED : 0;
}

int ibb_wim_children(struct ibb_wim *w, unsigned index, const char *dir, struct ibb_dirents *out,
		     struct ibb_error *err)
{
	struct listing l = {.dir = dir, .out = out, .err = err};
	struct wim_node n = {0};
	int code = 0, rc = ibb_wim_lookup(w, index, dir, &n, err);

	if (!rc)
		rc = check_directory(&n, dir, err);
	if (!rc && at(w, index, n.path, WIMLIB_ITERATE_DIR_TREE_FLAG_CHILDREN, on_child, &l, &code))
		rc = ibb_err_nomem(err);
	ibb_wim_node_clear(&n);
	if (rc)
		return rc;
	if (code == STOPPED)
		return l.rc;
	return code ? ibb_wim_fail(w, code, err, "image %u: %s", index, dir) : IBB_OK;
}

/* ---- names that differ in case only ---- */

struct twins {
	const char *name;
	char *first;
	int rc;
	const char *path;
	struct ibb_error *err;
};

static int on_twin(const struct wimlib_dir_entry *e, void *ctx)
{
	struct twins *t = ctx;

	if (!e->filename || !ibb_caseeq(e->filename, t->name))
		return 0;
	if (!t->first) {
		t->first = ibb_strdup(e->filename);
		t->rc = t->first ? IBB_OK : ibb_err_nomem(t->err);
	} else {
		t->rc = ibb_err(t->err, IBB_E_UNSUPPORTED,
				"%s: the image has both '%s' and '%s' there, names that differ in "
				"case only: which of the two is meant cannot be told",
				t->path, t->first, e->filename);
	}
	return t->rc ? STOPPED : 0;
}

int ibb_wim_check_unique(struct ibb_wim *w, unsigned index, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_strndup(path, ibb_path_dir_len(path));
	struct twins t = {.name = ibb_path_base(path), .path = path, .err = err};
	int code = 0, rc = IBB_E_NOMEM;

	if (dir)
		rc = at(w, index, dir, WIMLIB_ITERATE_DIR_TREE_FLAG_CHILDREN, on_twin, &t, &code);
	free(t.first);
	if (rc)
		return ibb_err_nomem(err);
	if (code == STOPPED)
		return t.rc;
	if (!code || code == WIMLIB_ERR_PATH_DOES_NOT_EXIST || code == WIMLIB_ERR_NOTDIR)
		return IBB_OK;
	return ibb_wim_fail(w, code, err, "image %u: %s", index, dir);
}
