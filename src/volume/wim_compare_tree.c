/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of an image, before and now. The tree before is walked and kept, some 200 bytes a name;
 * then the tree now is walked and every name held against it. wimlib walks in the order of names,
 * so that what is looked for is nearly always the next one. Where the list of names has the digest
 * that it had, only the content that it refers to is looked for.
 *
 * Extended attributes are not held against each other where the digests differ: struct
 * wimlib_dir_entry has no member for them (wimlib 1.13), and our own reading of the list of names
 * (wim_names.c) looks at the tagged items of one path, not at those of all names of two images.
 */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/utf16.h"

#define STOPPED	 (-1)
#define SD_CACHE 256u

struct entry {
	const char *path, *dos_name; /* NULL: no short name */
	struct timespec created, accessed, written;
	uint32_t attributes, tag, links, streams;
	uint32_t unix_data[4]; /* an extension of wimlib: uid, gid, mode, rdev */
	uint64_t bytes;
	uint8_t content[IBB_SHA1_SIZE], security[IBB_SHA1_SIZE], object_id[IBB_SHA1_SIZE];
	uint64_t named[2]; /* the named streams, in any order */
	uint64_t group, group_now;
	bool seen;
};

struct cached {
	const char *sd;
	size_t n;
	uint8_t digest[IBB_SHA1_SIZE];
};

struct walk {
	struct ibb_wim *before, *now;
	unsigned index;
	const char **changed; /* sorted */
	size_t n_changed;
	bool *met; /* of each of those: the walk has come by it */
	struct ibb_arena strings;
	struct entry *entries;
	size_t n, cap, next;
	const struct entry **by_path; /* sorted; made when it is needed */
	struct cached cache[SD_CACHE];
	size_t skip_depth; /* all below this depth is skipped; SIZE_MAX: nothing */
	int rc;
	struct ibb_error *err;
};

/* ---- what is left out ---- */

static int cmp_names(const void *a, const void *b)
{
	return ibb_casecmp(*(const char *const *)a, *(const char *const *)b);
}

static int differs(struct walk *x, const char *path, const char *what);

/*
 * The tree is walked from the top, so that what is below a directory follows it. A path stands for
 * one name only, though it is given in any case.
 */
static bool left_out(struct walk *x, const struct wimlib_dir_entry *e, const char *path)
{
	const char **at;

	if (x->skip_depth != SIZE_MAX && e->depth > x->skip_depth)
		return true;
	x->skip_depth = SIZE_MAX;
	if (!x->n_changed)
		return false;
	at = bsearch(&path, x->changed, x->n_changed, sizeof(*x->changed), cmp_names);
	if (!at)
		return false;
	if (x->met[at - x->changed])
		x->rc = differs(x, path, "differs from a name that was to be changed in case only");
	x->met[at - x->changed] = true;
	x->skip_depth = e->depth;
	return true;
}

/* ---- one entry ---- */

static int digest_of(const void *p, size_t n, uint8_t ret[IBB_SHA1_SIZE])
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	struct ibb_sha1 d;

	if (ibb_hasher_new_sha1(&h) || ibb_hasher_update(h, p, n) ||
	    ibb_hasher_final_sha1(IBB_TAKE(h), &d))
		return IBB_E_NOMEM;
	memcpy(ret, d.b, sizeof(d.b));
	return IBB_OK;
}

/* wimlib keeps one copy of equal descriptors. */
static int security_of(struct walk *x, const struct wimlib_dir_entry *e, struct entry *ret)
{
	const size_t slot = (size_t)((uintptr_t)e->security_descriptor >> 4) % SD_CACHE;
	struct cached *c = &x->cache[slot];

	if (!e->security_descriptor || !e->security_descriptor_size)
		return IBB_OK;
	if (c->sd != e->security_descriptor || c->n != e->security_descriptor_size) {
		c->sd = NULL;
		if (digest_of(e->security_descriptor, e->security_descriptor_size, c->digest))
			return IBB_E_NOMEM;
		c->sd = e->security_descriptor;
		c->n = e->security_descriptor_size;
	}
	memcpy(ret->security, c->digest, sizeof(ret->security));
	return IBB_OK;
}

static int add_stream(const struct wimlib_stream_entry *s, struct entry *ret)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	uint8_t d[IBB_SHA1_SIZE];
	uint64_t v[2];

	if (ibb_buf_append_str(&b, s->stream_name ? s->stream_name : "") ||
	    ibb_buf_append_zero(&b, 1) ||
	    ibb_buf_append(&b, &s->resource.uncompressed_size,
			   sizeof(s->resource.uncompressed_size)) ||
	    ibb_buf_append(&b, s->resource.sha1_hash, sizeof(s->resource.sha1_hash)) ||
	    digest_of(b.data, b.len, d))
		return IBB_E_NOMEM;
	memcpy(v, d, sizeof(v));
	ret->named[0] += v[0];
	ret->named[1] += v[1];
	return IBB_OK;
}

static int streams_of(const struct wimlib_dir_entry *e, struct entry *ret)
{
	ret->streams = e->num_named_streams;
	ret->bytes = e->streams[0].resource.uncompressed_size;
	memcpy(ret->content, e->streams[0].resource.sha1_hash, sizeof(ret->content));
	for (uint32_t i = 1; i <= e->num_named_streams; i++)
		if (add_stream(&e->streams[i], ret))
			return IBB_E_NOMEM;
	return IBB_OK;
}

static int object_id_of(const struct wimlib_dir_entry *e, struct entry *ret)
{
	static const struct wimlib_object_id none;

	/* without an ID of its own the rest means nothing */
	if (memcmp(e->object_id.object_id, none.object_id, sizeof(none.object_id)) == 0)
		return IBB_OK;
	return digest_of(&e->object_id, sizeof(e->object_id), ret->object_id);
}

static int fill(struct walk *x, const struct wimlib_dir_entry *e, struct entry *ret)
{
	*ret = (struct entry){
		.created = e->creation_time,
		.accessed = e->last_access_time,
		.written = e->last_write_time,
		.attributes = e->attributes,
		.tag = e->reparse_tag,
		.links = e->num_links,
		.group = e->num_links > 1 ? e->hard_link_group_id : 0,
	};
	if (e->unix_mode) {
		const uint32_t v[4] = {e->unix_uid, e->unix_gid, e->unix_mode, e->unix_rdev};

		memcpy(ret->unix_data, v, sizeof(v));
	}
	if (security_of(x, e, ret) || streams_of(e, ret) || object_id_of(e, ret))
		return ibb_err_nomem(x->err);
	return IBB_OK;
}

static const char *path_of(const struct wimlib_dir_entry *e)
{
	return e->full_path + strspn(e->full_path, "/");
}

/* ---- before ---- */

static int keep(struct walk *x, const struct wimlib_dir_entry *e, const char *path)
{
	struct entry *n;

	if (x->n >= IBB_LIMIT_DIRENTS)
		return ibb_err(x->err, IBB_E_LIMIT, "%s: image %u has more than %u names",
			       x->before->name, x->index, IBB_LIMIT_DIRENTS);
	if (ibb_grow(&x->entries, &x->cap, x->n, sizeof(*x->entries)))
		return ibb_err_nomem(x->err);
	n = &x->entries[x->n];
	if (fill(x, e, n))
		return IBB_E_NOMEM;
	n->path = ibb_arena_strdup(&x->strings, path);
	n->dos_name = e->dos_name ? ibb_arena_strdup(&x->strings, e->dos_name) : NULL;
	if (!n->path || (e->dos_name && !n->dos_name))
		return ibb_err_nomem(x->err);
	x->n++;
	return IBB_OK;
}

static int on_before(const struct wimlib_dir_entry *e, void *ctx)
{
	struct walk *x = ctx;
	const char *path = path_of(e);

	if (left_out(x, e, path))
		return x->rc ? STOPPED : 0;
	x->rc = keep(x, e, path);
	return x->rc ? STOPPED : 0;
}

/* ---- now ---- */

static const char *plain(const char *path)
{
	return !*path ? "(the root)" : ibb_utf8_is_plain(path, strlen(path)) ? path : "(?)";
}

static int differs(struct walk *x, const char *path, const char *what)
{
	return ibb_err(x->err, IBB_E_DIFFERS, "%s: image %u: '%s': %s", x->now->name, x->index,
		       plain(path), what);
}

static int numbers_differ(struct walk *x, const char *path, const char *what, uint64_t was,
			  uint64_t is)
{
	return ibb_err(x->err, IBB_E_DIFFERS,
		       "%s: image %u: '%s': its %s was 0x%llx, and is 0x%llx now", x->now->name,
		       x->index, plain(path), what, (unsigned long long)was,
		       (unsigned long long)is);
}

static int cmp_paths(const void *a, const void *b)
{
	return strcmp((*(const struct entry *const *)a)->path,
		      (*(const struct entry *const *)b)->path);
}

static int sort_entries(struct walk *x)
{
	if (x->by_path)
		return IBB_OK;
	x->by_path = ibb_calloc_array(x->n, sizeof(*x->by_path));
	if (!x->by_path)
		return ibb_err_nomem(x->err);
	for (size_t i = 0; i < x->n; i++)
		x->by_path[i] = &x->entries[i];
	if (x->n)
		qsort(x->by_path, x->n, sizeof(*x->by_path), cmp_paths);
	return IBB_OK;
}

static int find(struct walk *x, const char *path, struct entry **ret)
{
	const struct entry key = {.path = path}, *k = &key;
	const struct entry **found;
	int r;

	*ret = NULL;
	if (x->next < x->n && strcmp(x->entries[x->next].path, path) == 0) {
		*ret = &x->entries[x->next++];
		return IBB_OK;
	}
	r = sort_entries(x);
	if (r || !x->n)
		return r;
	found = bsearch(&k, x->by_path, x->n, sizeof(*x->by_path), cmp_paths);
	if (!found)
		return IBB_OK;
	x->next = (size_t)(*found - x->entries) + 1;
	*ret = &x->entries[x->next - 1];
	return IBB_OK;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int hold_metadata(struct walk *x, const struct entry *a, const struct entry *b)
{
	if (a->attributes != b->attributes)
		return numbers_differ(x, a->path, "attributes", a->attributes, b->attributes);
	if (a->tag != b->tag)
		return numbers_differ(x, a->path, "reparse tag", a->tag, b->tag);
	if (!same_time(&a->created, &b->created))
		return differs(x, a->path, "its creation time is another one");
	if (!same_time(&a->written, &b->written))
		return differs(x, a->path, "its modification time is another one");
	if (!same_time(&a->accessed, &b->accessed))
		return differs(x, a->path, "its access time is another one");
	if (memcmp(a->security, b->security, sizeof(a->security)) != 0)
		return differs(x, a->path, "its security descriptor is another one");
	if (memcmp(a->object_id, b->object_id, sizeof(a->object_id)) != 0)
		return differs(x, a->path, "its object ID is another one");
	if (memcmp(a->unix_data, b->unix_data, sizeof(a->unix_data)) != 0)
		return differs(x, a->path, "its UNIX owner or mode is another one");
	return IBB_OK;
}

static int hold_content(struct walk *x, const struct entry *a, const struct entry *b)
{
	if (a->bytes != b->bytes)
		return numbers_differ(x, a->path, "size", a->bytes, b->bytes);
	if (memcmp(a->content, b->content, sizeof(a->content)) != 0)
		return differs(x, a->path, "its content is another one");
	if (a->streams != b->streams || memcmp(a->named, b->named, sizeof(a->named)) != 0)
		return differs(x, a->path, "its named streams are other ones");
	return IBB_OK;
}

static int hold(struct walk *x, const struct wimlib_dir_entry *e, const char *path)
{
	struct entry b, *a;
	const char *dos = e->dos_name ? e->dos_name : "";
	int r = find(x, path, &a);

	if (r)
		return r;
	if (!a)
		return differs(x, path, "is new, and nobody asked for it");
	if (a->seen)
		return differs(x, path, "is there twice");
	a->seen = true;
	r = fill(x, e, &b);
	if (!r)
		r = hold_metadata(x, a, &b);
	if (!r && strcmp(a->dos_name ? a->dos_name : "", dos) != 0)
		r = differs(x, path, "its short name is another one");
	if (!r)
		r = hold_content(x, a, &b);
	/* fewer: another name of it was among what is changed */
	if (!r && b.links > a->links)
		r = differs(x, path, "has more names (hard links) than before");
	a->group_now = b.group;
	return r;
}

static int on_now(const struct wimlib_dir_entry *e, void *ctx)
{
	struct walk *x = ctx;
	const char *path = path_of(e);

	if (left_out(x, e, path))
		return x->rc ? STOPPED : 0;
	x->rc = hold(x, e, path);
	return x->rc ? STOPPED : 0;
}

/* ---- hard links ---- */

struct member {
	uint64_t group;
	uint32_t at;
};

static int cmp_members(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Of each entry the first one of its group, by the numbers of before, or of now. */
static void first_of_group(const struct walk *x, bool now, struct member *m, uint32_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		const struct entry *e = &x->entries[i];
		const uint64_t group = now ? e->group_now : e->group;

		ret[i] = (uint32_t)i;
		if (group)
			m[n++] = (struct member){group, (uint32_t)i};
	}
	if (n)
		qsort(m, n, sizeof(*m), cmp_members);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (m[i].group != m[first].group)
			first = i;
		ret[m[i].at] = m[first].at;
	}
}

/* The numbers may be others; who shares one with whom may not. */
static int hold_links(struct walk *x)
{
	IBB_AUTO_FREE struct member *m = ibb_calloc_array(x->n, sizeof(*m));
	IBB_AUTO_FREE uint32_t *was = ibb_calloc_array(x->n, sizeof(*was));
	IBB_AUTO_FREE uint32_t *is = ibb_calloc_array(x->n, sizeof(*is));

	if (!m || !was || !is)
		return ibb_err_nomem(x->err);
	first_of_group(x, false, m, was);
	first_of_group(x, true, m, is);
	for (size_t i = 0; i < x->n; i++)
		if (was[i] != is[i])
			return differs(x, x->entries[i].path,
				       "is a hard link of other files than before");
	return IBB_OK;
}

/* ---- the tree ---- */

static int walk(struct walk *x, struct ibb_wim *w, wimlib_iterate_dir_tree_callback_t fn)
{
	int code;

	x->skip_depth = SIZE_MAX;
	memset(x->cache, 0, sizeof(x->cache));
	if (x->n_changed)
		memset(x->met, 0, x->n_changed * sizeof(*x->met));
	code = wimlib_iterate_dir_tree(w->lib, (int)x->index, "/",
				       WIMLIB_ITERATE_DIR_TREE_FLAG_RECURSIVE, fn, x);
	if (code == STOPPED)
		return x->rc;
	/* an image without even a root */
	if (!code || code == WIMLIB_ERR_PATH_DOES_NOT_EXIST)
		return IBB_OK;
	return ibb_wim_fail(w, code, x->err, "image %u", x->index);
}

struct list {
	unsigned wanted, seen;
	struct wimlib_resource_entry e; /* offset 0: it is not in the file */
};

/* wimlib hands out the lists of names in the order of images. */
static int on_list(const struct wimlib_resource_entry *e, void *ctx)
{
	struct list *l = ctx;

	if (e->is_metadata && ++l->seen == l->wanted)
		l->e = *e;
	return 0;
}

static int list_of(struct walk *x, struct ibb_wim *w, struct list *ret)
{
	int code;

	*ret = (struct list){.wanted = x->index};
	code = wimlib_iterate_lookup_table(w->lib, 0, on_list, ret);
	return code ? ibb_wim_fail(w, code, x->err, "table of contents") : IBB_OK;
}

static int same_list(struct walk *x, bool *ret)
{
	struct list a, b;
	int r = list_of(x, x->before, &a);

	if (!r)
		r = list_of(x, x->now, &b);
	if (!r)
		*ret = a.e.offset && b.e.offset && a.seen == x->before->info.images &&
		       b.seen == a.seen && a.e.uncompressed_size == b.e.uncompressed_size &&
		       memcmp(a.e.sha1_hash, b.e.sha1_hash, sizeof(a.e.sha1_hash)) == 0;
	return r;
}

static int on_same(const struct wimlib_dir_entry *e, void *ctx)
{
	struct walk *x = ctx;

	for (uint32_t i = 0; !x->rc && i <= e->num_named_streams; i++)
		if (e->streams[i].resource.is_missing)
			x->rc = differs(x, path_of(e), "its content is missing");
	return x->rc ? STOPPED : 0;
}

static int compare_trees(struct walk *x)
{
	bool same = false;
	int r = same_list(x, &same);

	if (!r && same)
		return walk(x, x->now, on_same);
	if (!r)
		r = walk(x, x->before, on_before);
	if (!r)
		r = walk(x, x->now, on_now);
	for (size_t i = 0; !r && i < x->n; i++)
		if (!x->entries[i].seen)
			r = differs(x, x->entries[i].path, "is gone, and nobody asked for that");
	return r ? r : hold_links(x);
}

static int prepare(struct walk *x, const struct ibb_wim_changed *changed)
{
	x->n_changed = changed ? changed->n : 0;
	if (!x->n_changed)
		return IBB_OK;
	x->changed = ibb_calloc_array(x->n_changed, sizeof(*x->changed));
	x->met = ibb_calloc_array(x->n_changed, sizeof(*x->met));
	if (!x->changed || !x->met)
		return ibb_err_nomem(x->err);
	memcpy(x->changed, changed->paths, x->n_changed * sizeof(*x->changed));
	qsort(x->changed, x->n_changed, sizeof(*x->changed), cmp_names);
	return IBB_OK;
}

int ibb_wim_compare_trees(struct ibb_wim *before, struct ibb_wim *now, unsigned index,
			  const struct ibb_wim_changed *changed, struct ibb_error *err)
{
	IBB_AUTO_FREE struct walk *x = ibb_zalloc(sizeof(*x));
	int r;

	if (!x)
		return ibb_err_nomem(err);
	x->before = before;
	x->now = now;
	x->index = index;
	x->err = err;
	r = prepare(x, changed);
	if (!r)
		r = compare_trees(x);
	ibb_arena_clear(&x->strings);
	free(x->entries);
	free(x->by_path);
	free(x->changed);
	free(x->met);
	return r;
}
