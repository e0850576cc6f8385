/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Operations that take a staged package out again: exactly what its staging put in. A DeviceIds key
 * goes with its last value, unless the same plan sets another value in it.
 */
#include "plan/remove.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "plan/reflect.h"

int ibb_pb_remove_file(struct ibb_pb *b, const char *path, const char *why)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_REMOVE);

	if (!op)
		return IBB_E_NOMEM;
	op->path = ibb_arena_strdup(&b->plan->arena, path);
	op->reason = why;
	op->evidence = "driver store layout";
	return op->path ? ibb_pb_finish(b, op) : ibb_err_nomem(b->err);
}

static int op_delete_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *why)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_DELETE_KEY);

	if (!op)
		return IBB_E_NOMEM;
	op->hive = hive;
	op->key = key;
	op->reason = why;
	op->evidence = "nothing is left in it";
	return ibb_pb_finish(b, op);
}

/* Keys are walked by their handles; a path is made only where something goes. */
struct walk {
	struct ibb_pb *b;
	enum ibb_hive_id hive;
	const struct ibb_removal *of; /* only values named as these are published; NULL: all */
	size_t n_of;
	const char *why;
	struct ibb_buf path; /* of the key that is being looked at */
	unsigned depth;
};

/* One key of the walk. */
struct level {
	struct walk *w;
	const char *key; /* its path, once an operation needs it */
	size_t left;	 /* subkeys and values that stay */
	bool touched;	 /* something in it goes */
};

static int take_out(struct walk *w, ibb_key k, bool is_root, bool *ret_deleted);

static int need_path(struct level *l)
{
	struct walk *w = l->w;

	if (!l->key && ibb_buf_cstr(&w->path))
		l->key = ibb_arena_strdup(&w->b->plan->arena, (const char *)w->path.data);
	return l->key ? IBB_OK : ibb_err_nomem(w->b->err);
}

static int look_at_child(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct level *l = ctx;
	struct walk *w = l->w;
	size_t len = w->path.len;
	bool gone = false;
	int r = ibb_buf_append(&w->path, "\\", 1);

	if (!r)
		r = ibb_buf_append_str(&w->path, name);
	r = r ? ibb_err_nomem(err) : take_out(w, k, false, &gone);
	w->path.len = len;
	l->touched |= gone;
	l->left += !gone;
	return r;
}

static bool goes(const struct walk *w, const char *value)
{
	bool found = !w->of;

	for (size_t i = 0; i < w->n_of && !found; i++)
		found = ibb_node_hive(w->of[i].package->node) == w->hive &&
			ibb_caseeq(w->of[i].package->published, value);
	return found;
}

static int look_at_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct level *l = ctx;
	struct walk *w = l->w;
	int r;

	(void)err;
	if (!goes(w, v->name)) {
		l->left++;
		return IBB_OK;
	}
	l->touched = true;
	r = need_path(l);
	return r ? r : ibb_pb_unset(w->b, w->hive, l->key, v, w->why);
}

/* Unset the values that go in the key and below it, and delete the keys that this empties. */
static int take_out(struct walk *w, ibb_key k, bool is_root, bool *ret_deleted)
{
	struct ibb_hive *h = ibb_pb_hive(w->b, w->hive);
	struct level l = {.w = w};
	int r;

	if (++w->depth > IBB_LIMIT_HIVE_DEPTH)
		return ibb_err(w->b->err, IBB_E_CORRUPT,
			       "%s: keys are nested deeper than %u levels", ibb_hive_name(h),
			       IBB_LIMIT_HIVE_DEPTH);
	r = ibb_hive_subkeys(h, k, look_at_child, &l, w->b->err);
	if (!r)
		r = ibb_hive_values(h, k, look_at_value, &l, w->b->err);
	w->depth--;
	if (r || is_root || l.left || !(l.touched || !w->of))
		return r;
	r = need_path(&l);
	if (r || ibb_keyset_has(&w->b->used[w->hive], l.key))
		return r;
	*ret_deleted = true;
	return op_delete_key(w->b, w->hive, l.key, w->why);
}

static int walk_from(struct walk *w, const char *key, bool is_root)
{
	struct ibb_hive *h = ibb_pb_hive(w->b, w->hive);
	bool deleted = false;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, w->b->err);

	if (r)
		return r;
	r = ibb_buf_append_str(&w->path, key) ? ibb_err_nomem(w->b->err)
					      : take_out(w, k, is_root, &deleted);
	ibb_buf_clear(&w->path);
	return r;
}

int ibb_pb_take_out_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *why)
{
	struct walk w = {.b = b, .hive = hive, .why = why};

	return key ? walk_from(&w, key, false) : ibb_err_nomem(b->err);
}

/* All packages in one walk: a key that two of them leave is empty only then. */
static int take_out_ids(struct ibb_pb *b, enum ibb_hive_id hive, const struct ibb_removal *x,
			size_t n)
{
	struct walk w = {
		.b = b, .hive = hive, .of = x, .n_of = n, .why = "the package no longer serves it"};
	bool any = false;
	int r;

	for (size_t i = 0; i < n; i++)
		any |= ibb_node_hive(x[i].package->node) == hive;
	if (!any)
		return IBB_OK;
	r = walk_from(&w, IBB_DATABASE "\\DeviceIds", true);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* ---- may it go? ---- */

/* Does the list of package names hold this one and no other? */
static int names_only(struct ibb_pb *b, const struct ibb_buf *list, const char *name, bool *ret,
		      size_t *ret_n)
{
	size_t n = 0;
	bool found = false;

	for (size_t off = 0, end; off + 1 < list->len; off = end + 2) {
		IBB_AUTO_FREE char *one = NULL;

		for (end = off; end + 1 < list->len && ibb_get_le16(list->data + end);)
			end += 2;
		if (end == off)
			break;
		one = ibb_utf8_from_utf16le(list->data + off, end - off);
		if (!one)
			return ibb_err_nomem(b->err);
		found |= ibb_caseeq(one, name);
		n++;
	}
	*ret = found && n == 1;
	*ret_n = n;
	return IBB_OK;
}

/* What DriverInfFiles says of the published name. */
static int check_published(struct ibb_pb *b, const struct ibb_fact_package *p)
{
	const char *key = ibb_pb_fmt(b, IBB_DATABASE "\\DriverInfFiles\\%s", p->published);
	struct ibb_hive *h = ibb_pb_hive(b, ibb_node_hive(p->node));
	IBB_AUTO_BUF struct ibb_buf list = {0};
	uint32_t type = IBB_REG_NONE;
	bool only = false;
	size_t n = 0;
	ibb_key k;
	int r;

	if (!key)
		return ibb_err_nomem(b->err);
	r = ibb_hive_find(h, ibb_hive_root(h), key, &k, b->err);
	if (!r)
		r = ibb_hive_get(h, k, "", &type, &list, b->err);
	if (!r && type == IBB_REG_MULTI_SZ)
		r = names_only(b, &list, p->name, &only, &n);
	if (r && r != IBB_E_NOTFOUND)
		return r;
	if (only)
		return IBB_OK;
	if (n > 1)
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s stands for %zu driver packages; ibbake takes out only a package "
			       "that has its published name for itself",
			       p->published, n);
	return ibb_err(b->err, IBB_E_CONFLICT,
		       "DriverInfFiles\\%s does not name %s: the driver database is damaged and is "
		       "left alone",
		       p->published, p->name);
}

/* Another record that shares the published name or the directory would lose its own. */
static int check_alone(struct ibb_pb *b, const struct ibb_fact_package *p)
{
	for (size_t i = 0; i < b->f->n_packages; i++) {
		const struct ibb_fact_package *e = &b->f->packages[i];

		if (e == p)
			continue;
		if (ibb_caseeq(e->name, p->name))
			return ibb_err(b->err, IBB_E_CONFLICT,
				       "both nodes of the driver database record a package %s: the "
				       "database is damaged and is left alone",
				       p->name);
		if (e->published && ibb_caseeq(e->published, p->published))
			return ibb_err(b->err, IBB_E_CONFLICT,
				       "%s is the published name of %s and of %s: the driver "
				       "database is damaged and is left alone",
				       p->published, p->name, e->name);
	}
	return IBB_OK;
}

/* Every key that the plan so far sets a value in, or makes, stays. */
static int note_used(struct ibb_pb *b)
{
	for (size_t i = 0; i < b->plan->n_ops; i++) {
		const struct ibb_op *op = &b->plan->ops[i];
		bool had;

		if (op->kind != IBB_OP_KEY && op->kind != IBB_OP_VALUE)
			continue;
		for (const char *end = strrchr(op->key, '\\'), *key = op->key; key;) {
			int r = ibb_keyset_add(&b->used[op->hive], key, &had, b->err);

			if (r)
				return r;
			if (had || !end)
				break;
			key = ibb_arena_strndup(&b->plan->arena, key, (size_t)(end - key));
			if (!key)
				return ibb_err_nomem(b->err);
			end = strrchr(key, '\\');
		}
	}
	return IBB_OK;
}

static int take_out_files(struct ibb_pb *b, const struct ibb_removal *x)
{
	const char *why = ibb_pb_fmt(b, "file of %s", x->package->published);
	int r = why ? IBB_OK : ibb_err_nomem(b->err);

	/* a directory is listed before what lies in it */
	for (size_t i = x->files.n; i-- > 0 && !r;)
		r = ibb_pb_remove_file(b, x->files.entries[i].path, why);
	return r;
}

static int take_out_record(struct ibb_pb *b, const struct ibb_fact_package *p)
{
	enum ibb_hive_id hive = ibb_node_hive(p->node);
	int r = ibb_pb_take_out_key(
		b, hive, ibb_pb_fmt(b, IBB_DATABASE "\\DriverInfFiles\\%s", p->published),
		"the published name is given up");

	return r ? r
		 : ibb_pb_take_out_key(b, hive,
				       ibb_pb_fmt(b, IBB_DATABASE "\\DriverPackages\\%s", p->name),
				       "driver package record");
}

int ibb_pb_remove(struct ibb_pb *b, const struct ibb_removal *x, size_t n)
{
	int r = n ? note_used(b) : IBB_OK;

	for (size_t i = 0; i < n && !r; i++) {
		r = check_alone(b, x[i].package);
		if (!r)
			r = check_published(b, x[i].package);
	}
	for (size_t i = 0; i < n && !r; i++)
		r = take_out_files(b, &x[i]);
	for (int node = 0; node < IBB_N_NODES && !r; node++)
		r = take_out_ids(b, ibb_node_hive((enum ibb_node)node), x, n);
	if (!r)
		r = ibb_pb_unreflect(b, x, n);
	for (size_t i = 0; i < n && !r; i++) {
		r = take_out_record(b, x[i].package);
		/* a device that still names oemN.inf would be taken to run the next oemN */
		if (!x[i].package->bound)
			ibb_oem_map_clear(&b->oem_map, x[i].package->oem_number);
	}
	return r;
}

void ibb_removal_clear(struct ibb_removal *x)
{
	ibb_store_files_clear(&x->files);
	ibb_store_files_clear(&x->copied);
}
