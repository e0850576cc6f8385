/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Operations that take a staged package out again: exactly what its staging put in. A DeviceIds key
 * goes with its last value, unless the same plan sets another value in it.
 */
#include "plan/remove.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

static int op_remove(struct ibb_pb *b, const char *path, const char *why)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_REMOVE);

	if (!op)
		return IBB_E_NOMEM;
	op->path = ibb_arena_strdup(&b->plan->arena, path);
	op->reason = why;
	op->evidence = "driver store layout";
	return op->path ? ibb_pb_finish(b, op) : ibb_err_nomem(b->err);
}

static int op_delete_key(struct ibb_pb *b, enum ibb_node node, const char *key, const char *why)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_DELETE_KEY);

	if (!op)
		return IBB_E_NOMEM;
	op->node = node;
	op->key = key;
	op->reason = why;
	op->evidence = "nothing is left in it";
	return ibb_pb_finish(b, op);
}

static int op_unset(struct ibb_pb *b, enum ibb_node node, const char *key,
		    const struct ibb_value *v, const char *why)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_UNSET);
	uint8_t *copy = ibb_arena_alloc(&b->plan->arena, v->size);

	if (!op || !copy)
		return ibb_err_nomem(b->err);
	if (v->size)
		memcpy(copy, v->data, v->size);
	op->node = node;
	op->key = key;
	op->value = ibb_arena_strdup(&b->plan->arena, v->name);
	op->had_before = true;
	op->before_type = v->type;
	op->before = (struct ibb_bytes){copy, v->size};
	op->reason = why;
	op->evidence = "recorded for the package";
	return op->value ? ibb_pb_finish(b, op) : ibb_err_nomem(b->err);
}

/* Subkeys are listed before anything is planned for them. */
struct children {
	struct ibb_pb *b;
	const char **names;
	size_t n, cap;
};

static int add_child(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct children *c = ctx;

	(void)k;
	if (ibb_grow(&c->names, &c->cap, c->n, sizeof(*c->names)))
		return ibb_err_nomem(err);
	c->names[c->n] = ibb_arena_strdup(&c->b->plan->arena, name);
	return c->names[c->n] ? (c->n++, IBB_OK) : ibb_err_nomem(err);
}

struct walk {
	struct ibb_pb *b;
	enum ibb_node node;
	const char *key;       /* the key whose values are looked at */
	const char *published; /* only the value of this name; NULL: all */
	const char *why;
	size_t n_unset;
};

static int unset_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct walk *w = ctx;

	(void)err;
	if (w->published && !ibb_caseeq(v->name, w->published))
		return IBB_OK;
	w->n_unset++;
	return op_unset(w->b, w->node, w->key, v, w->why);
}

/*
 * Unset the values that `w` names in the key and below it, and delete the keys that this empties.
 * Depth is limited by the hive's own limit.
 */
static int take_out(struct walk *w, const char *key, bool is_root, bool *ret_deleted)
{
	struct ibb_hive *h = ibb_pb_hive(w->b, w->node);
	struct children c = {.b = w->b};
	struct ibb_key_info info;
	size_t left = 0;
	bool touched = false, planned = false;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, w->b->err);

	if (!r)
		r = ibb_hive_key_info(h, k, &info, w->b->err);
	if (!r)
		r = ibb_hive_subkeys(h, k, add_child, &c, w->b->err);
	for (size_t i = 0; i < c.n && !r; i++) {
		const char *child = ibb_pb_fmt(w->b, "%s\\%s", key, c.names[i]);
		bool gone = false;

		r = child ? take_out(w, child, false, &gone) : ibb_err_nomem(w->b->err);
		touched |= gone;
		left += !gone;
	}
	free(c.names);
	if (r)
		return r;
	w->key = key;
	w->n_unset = 0;
	r = ibb_hive_values(h, k, unset_value, w, w->b->err);
	if (r)
		return r;
	touched |= w->n_unset > 0 || !w->published;
	left += info.n_values - w->n_unset;
	planned = ibb_keyset_has(&w->b->used[w->node], key);
	*ret_deleted = touched && !left && !planned && !is_root;
	return *ret_deleted ? op_delete_key(w->b, w->node, key, w->why) : IBB_OK;
}

/* A whole key of the database, with everything in it. */
static int take_out_key(struct ibb_pb *b, const struct ibb_fact_package *p, const char *key,
			const char *why)
{
	struct walk w = {.b = b, .node = p->node, .why = why};
	bool deleted;

	return key ? take_out(&w, key, false, &deleted) : ibb_err_nomem(b->err);
}

static int take_out_ids(struct ibb_pb *b, const struct ibb_fact_package *p)
{
	struct walk w = {.b = b,
			 .node = p->node,
			 .published = p->published,
			 .why = "the package no longer serves it"};
	bool deleted;
	int r = take_out(&w, IBB_DATABASE "\\DeviceIds", true, &deleted);

	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* Every key that the plan so far sets a value in, or makes, stays. */
int ibb_pb_note_used(struct ibb_pb *b)
{
	for (size_t i = 0; i < b->plan->n_ops; i++) {
		const struct ibb_op *op = &b->plan->ops[i];
		bool had;

		if (op->kind != IBB_OP_KEY && op->kind != IBB_OP_VALUE)
			continue;
		for (const char *end = strrchr(op->key, '\\'), *key = op->key; key;) {
			int r = ibb_keyset_add(&b->used[op->node], key, &had, b->err);

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

int ibb_pb_remove(struct ibb_pb *b, const struct ibb_removal *x)
{
	const struct ibb_fact_package *p = x->package;
	const char *why = ibb_pb_fmt(b, "file of %s", p->published);
	int r = IBB_OK;

	if (!why)
		return ibb_err_nomem(b->err);
	/* a directory is listed before what lies in it */
	for (size_t i = x->files.n; i-- > 0 && !r;)
		r = op_remove(b, x->files.entries[i].path, why);
	if (!r)
		r = take_out_ids(b, p);
	if (!r)
		r = take_out_key(b, p,
				 ibb_pb_fmt(b, IBB_DATABASE "\\DriverInfFiles\\%s", p->published),
				 "the published name is given up");
	if (!r)
		r = take_out_key(b, p, ibb_pb_fmt(b, IBB_DATABASE "\\DriverPackages\\%s", p->name),
				 "driver package record");
	if (r)
		return r;
	ibb_oem_map_clear(&b->oem_map, p->oem_number);
	return IBB_OK;
}

void ibb_removal_clear(struct ibb_removal *x)
{
	ibb_store_files_clear(&x->files);
}
