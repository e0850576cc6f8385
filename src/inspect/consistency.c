/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does the driver database agree with itself and with the files? What Windows writes keeps these
 * rules; an image that breaks them is reported and left alone.
 */
#include "inspect/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

/* Of each kind the first are told, then their number: one broken package may have 4 000 IDs. */
#define TOLD_OF_A_KIND 3

enum kind { NO_INF_KEY, NO_PACKAGE, NOT_ACTIVE, ORPHAN_ID, ODD_ID, NO_FILES, NO_BIT, N_KINDS };

static const char *const kinds[N_KINDS] = {
	"packages whose published name DriverInfFiles lacks",
	"published names that point to a package DriverPackages lacks",
	"published names whose active package is not in their list",
	"device IDs that name an INF DriverInfFiles lacks",
	"device IDs with a value of another form",
	"third-party packages whose files are missing",
	"third-party packages whose number OemInfMap calls free",
};

struct check {
	struct ibb_facts *f;
	struct ibb_volume *v;
	enum ibb_node node;
	const struct ibb_hive *h;
	ibb_key infs; /* DriverInfFiles */
	size_t found[N_KINDS];
	struct ibb_buf path; /* of the DeviceIds key being looked at */
	unsigned depth;
};

static int report(struct check *c, struct ibb_error *err, enum kind kind, const char *fmt, ...)
	IBB_PRINTF(4, 5);
static int report(struct check *c, struct ibb_error *err, enum kind kind, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (c->found[kind]++ >= TOLD_OF_A_KIND)
		return IBB_OK;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ibb_facts_warn(c->f, err, "driver database, %s node: %s",
			      c->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS", text);
}

static int has_inf(struct check *c, const char *name, bool *ret, struct ibb_error *err)
{
	ibb_key k;
	int r = *name && !strchr(name, '\\') ? ibb_hive_find(c->h, c->infs, name, &k, err)
					     : IBB_E_NOTFOUND;

	*ret = !r;
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

static bool has_package(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->f->n_packages; i++)
		if (c->f->packages[i].node == c->node && ibb_caseeq(c->f->packages[i].name, name))
			return true;
	return false;
}

/* ---- packages ---- */

static int check_files(struct check *c, const struct ibb_fact_package *p, struct ibb_error *err)
{
	const char *const paths[] = {IBB_STORE_DIR, p->name, IBB_STORE_INF_DIR, p->published};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(paths); i += 2) {
		IBB_AUTO_FREE char *path = NULL;
		struct ibb_stat st;
		int r;

		if (ibb_name_problem(paths[i + 1], strlen(paths[i + 1])))
			continue;
		path = ibb_asprintf("%s/%s", paths[i], paths[i + 1]);
		if (!path)
			return ibb_err_nomem(err);
		r = ibb_volume_stat(c->v, path, &st, err);
		if (r == IBB_E_NOTFOUND)
			return report(c, err, NO_FILES, "%s (%s) lacks %s", p->published, p->name,
				      path);
		if (r)
			return r;
	}
	return IBB_OK;
}

static int check_package(struct check *c, const struct ibb_fact_package *p, struct ibb_error *err)
{
	bool known = false;
	int r = p->published ? has_inf(c, p->published, &known, err) : IBB_OK;

	if (r)
		return r;
	if (!known)
		return report(c, err, NO_INF_KEY,
			      "package %s is published as %s, which "
			      "DriverInfFiles lacks",
			      p->name, p->published ? p->published : "nothing");
	if (!p->oem)
		return IBB_OK;
	if (c->f->oem_map_present &&
	    !ibb_oem_map_get(ibb_buf_bytes(&c->f->oem_map), p->oem_number)) {
		r = report(c, err, NO_BIT, "OemInfMap calls %s free, but package %s has it",
			   p->published, p->name);
		if (r)
			return r;
	}
	return check_files(c, p, err);
}

/* ---- DriverInfFiles ---- */

/* Is the name one of the strings of a REG_MULTI_SZ? Every string is checked on the way. */
static int check_list(struct check *c, const char *inf, const struct ibb_buf *list,
		      const char *active, bool *ret_listed, struct ibb_error *err)
{
	*ret_listed = false;
	for (size_t off = 0; off + 1 < list->len && ibb_get_le16(list->data + off);) {
		IBB_AUTO_FREE char *s = ibb_utf8_from_utf16le(list->data + off, list->len - off);
		int r = IBB_OK;

		if (!s)
			return ibb_err_nomem(err);
		*ret_listed |= active && ibb_caseeq(s, active);
		if (!has_package(c, s))
			r = report(c, err, NO_PACKAGE,
				   "%s points to package %s, which "
				   "DriverPackages lacks",
				   inf, s);
		if (r)
			return r;
		while (off + 1 < list->len && ibb_get_le16(list->data + off))
			off += 2;
		off += 2;
	}
	return IBB_OK;
}

static int check_inf(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct check *c = ctx;
	IBB_AUTO_BUF struct ibb_buf list = {0};
	IBB_AUTO_FREE char *active = NULL;
	uint32_t type;
	bool listed;
	unsigned n;
	int r = ibb_hive_get(c->h, k, "", &type, &list, err);

	if (r && r != IBB_E_NOTFOUND)
		return r;
	r = ibb_hive_get_string(c->h, k, "", "Active", &active, err);
	if (r && r != IBB_E_NOTFOUND && r != IBB_E_CORRUPT)
		return r;
	r = check_list(c, name, &list, active, &listed, err);
	if (!r && !listed && ibb_oem_number(name, ".inf", &n))
		r = report(c, err, NOT_ACTIVE,
			   "%s has %s as its active package, which is not in "
			   "its list",
			   name, active ? active : "nothing");
	return r;
}

/* ---- DeviceIds ---- */

static int check_id_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct check *c = ctx;
	/* a class entry is an empty REG_NONE; a key named by a GUID may be class and hardware ID */
	bool is_class = v->type == IBB_REG_NONE && !v->size;
	bool is_id =
		v->type == IBB_REG_BINARY && v->size == 4 && v->data[0] >= 1 && v->data[0] <= 3;
	const char *id = ibb_buf_cstr(&c->path);
	bool known;
	int r = has_inf(c, v->name, &known, err);

	if (r)
		return r;
	if (!id)
		return ibb_err_nomem(err);
	if (!known)
		return report(c, err, ORPHAN_ID, "DeviceIds%s names %s, which DriverInfFiles lacks",
			      id, v->name);
	if (!is_class && !is_id)
		return report(c, err, ODD_ID, "DeviceIds%s has a value of an unknown form for %s",
			      id, v->name);
	return IBB_OK;
}

static int check_ids(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct check *c = ctx;
	size_t len = c->path.len;
	int r = ibb_buf_printf(&c->path, "\\%s", name);

	if (r)
		return ibb_err_nomem(err);
	/* a damaged hive may hold a key that is its own grandchild */
	if (c->depth == IBB_LIMIT_HIVE_DEPTH)
		return ibb_err(err, IBB_E_CORRUPT, "%s: DeviceIds is nested too deeply",
			       ibb_hive_name(c->h));
	c->depth++;
	r = ibb_hive_values(c->h, k, check_id_value, c, err);
	if (!r)
		r = ibb_hive_subkeys(c->h, k, check_ids, c, err);
	c->path.len = len;
	c->depth--;
	return r;
}

/* ---- a node ---- */

static int check_below(struct check *c, const char *key, ibb_subkey_fn fn, struct ibb_error *err)
{
	ibb_key k;
	int r = ibb_hive_find(c->h, ibb_hive_root(c->h), key, &k, err);

	if (!r)
		r = ibb_hive_subkeys(c->h, k, fn, c, err);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

static int check_node(struct check *c, struct ibb_error *err)
{
	int r = ibb_hive_find(c->h, ibb_hive_root(c->h), "DriverDatabase\\DriverInfFiles", &c->infs,
			      err);

	if (r == IBB_E_NOTFOUND)
		return ibb_facts_warn(c->f, err, "driver database, %s node: no DriverInfFiles key",
				      c->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS");
	for (size_t i = 0; i < c->f->n_packages && !r; i++)
		if (c->f->packages[i].node == c->node)
			r = check_package(c, &c->f->packages[i], err);
	if (!r)
		r = check_below(c, "DriverDatabase\\DriverInfFiles", check_inf, err);
	if (!r)
		r = check_below(c, "DriverDatabase\\DeviceIds", check_ids, err);
	for (int i = 0; i < N_KINDS && !r; i++)
		if (c->found[i] > TOLD_OF_A_KIND)
			r = ibb_facts_warn(c->f, err, "driver database, %s node: %zu in all: %s",
					   c->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS",
					   c->found[i], kinds[i]);
	return r;
}

int ibb_facts_check_database(struct ibb_facts *f, struct ibb_volume *v, struct ibb_error *err)
{
	int r = IBB_OK;

	for (int n = 0; n < IBB_N_NODES && !r; n++) {
		struct check c = {.f = f, .v = v, .node = n};

		c.h = f->hives[n == IBB_NODE_SYSTEM ? IBB_HIVE_SYSTEM : IBB_HIVE_DRIVERS].hive;
		if (c.h && f->node_present[n])
			r = check_node(&c, err);
		ibb_buf_clear(&c.path);
	}
	return r;
}
