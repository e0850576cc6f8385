/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking out what the configuration of a package left outside the driver database. Owner lists
 * decide: what nobody else owns goes, a list with other names loses this one, and what names no
 * owner stays.
 */
#include <string.h>

#include "base/utf16.h"
#include "plan/reflect.h"
#include "plan/remove.h"

struct unreflect {
	struct ibb_pb *b;
	const struct ibb_removal *x;
	size_t n;
	struct ibb_keyset services; /* that the packages made, by their own record */
	enum ibb_hive_id hive;
	const char *root; /* key whose subkeys are being looked at */
	const char *control_set;
};

static bool configured(struct unreflect *u, const struct ibb_fact_package *p, ibb_key *ret, int *r)
{
	struct ibb_hive *h = ibb_pb_hive(u->b, ibb_node_hive(p->node));
	const char *key =
		ibb_pb_fmt(u->b, IBB_DATABASE "\\DriverPackages\\%s\\Configurations", p->name);

	*r = key ? ibb_hive_find(h, ibb_hive_root(h), key, ret, u->b->err)
		 : ibb_err_nomem(u->b->err);
	if (*r == IBB_E_NOTFOUND) {
		*r = IBB_OK;
		return false;
	}
	return !*r && p->node == IBB_NODE_SYSTEM;
}

static int note_service(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct unreflect *u = ctx;
	IBB_AUTO_FREE char *service = NULL;
	const char *kept;
	bool had;
	int r = ibb_hive_get_string(ibb_pb_hive(u->b, IBB_HIVE_SYSTEM), k, "", "Service", &service,
				    err);

	(void)name;
	if (r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT || (!r && !*service))
		return IBB_OK;
	if (r)
		return r;
	kept = ibb_arena_strdup(&u->b->plan->arena, service);
	return kept ? ibb_keyset_add(&u->services, kept, &had, err) : ibb_err_nomem(err);
}

static bool of_ours(const struct unreflect *u, const char *owner)
{
	for (size_t i = 0; i < u->n; i++)
		if (ibb_facts_is_owner(u->x[i].package, owner))
			return true;
	return false;
}

/* What the owners are without ours. *ret_ours: they were among them. */
static int without_ours(const struct unreflect *u, const struct ibb_pb_list *l, const char ***ret,
			size_t *ret_n, bool *ret_ours)
{
	const char **rest = ibb_arena_array(&u->b->plan->arena, l->n + 1, sizeof(*rest));
	size_t n = 0;

	if (!rest)
		return ibb_err_nomem(u->b->err);
	for (size_t i = 0; i < l->n; i++)
		if (!of_ours(u, l->items[i]))
			rest[n++] = l->items[i];
	*ret = rest;
	*ret_n = n;
	*ret_ours = n < l->n;
	return IBB_OK;
}

static int take_out_event_source(struct unreflect *u, const char *service)
{
	const char *key =
		ibb_pb_fmt(u->b, "%s\\Services\\EventLog\\System\\%s", u->control_set, service);
	int r = key ? IBB_OK : ibb_err_nomem(u->b->err);

	if (!r && ibb_keyset_has(&u->b->used[IBB_HIVE_SYSTEM], key))
		return IBB_OK;
	if (!r)
		r = ibb_pb_take_out_key(u->b, IBB_HIVE_SYSTEM, key, "event source of the service");
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* The file of a PnpLockdownFiles entry, when it is there. */
static int take_out_copy(struct unreflect *u, const char *name)
{
	IBB_AUTO_FREE char *path = NULL;
	int r = ibb_facts_lockdown_path(name, &path, u->b->err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	for (size_t i = 0; i < u->n; i++)
		for (size_t k = 0; k < u->x[i].copied.n; k++)
			if (ibb_caseeq(u->x[i].copied.entries[k].path, path))
				return ibb_pb_remove_file(u->b, u->x[i].copied.entries[k].path,
							  "driver file that nobody else owns");
	return IBB_OK;
}

/* One service or lockdown entry that lists one of the packages as its owner. */
static int give_up(struct unreflect *u, const char *name, const char *key,
		   const struct ibb_pb_list *owners)
{
	bool is_service = u->hive == IBB_HIVE_SYSTEM, ours = false;
	const char **rest = NULL;
	size_t n = 0;
	int r = without_ours(u, owners, &rest, &n, &ours);

	/* what an addition of the plan sets has its owners already */
	if (r || !ours || ibb_keyset_has(&u->b->used[u->hive], key))
		return r;
	if (!n) {
		r = ibb_pb_take_out_key(u->b, u->hive, key,
					is_service ? "service of the package"
						   : "the driver file goes");
		if (r)
			return r;
		return is_service ? take_out_event_source(u, name) : take_out_copy(u, name);
	}
	r = ibb_pb_write_list(u->b, u->hive, key, "Owners", rest, n, "the package owns it no more",
			      "recorded for the package");
	if (r)
		return r;
	return ibb_pb_warn(u->b, "%s %s belongs to %s as well: it stays as the package left it",
			   is_service ? "the service" : "the file", name, rest[0]);
}

static int look_at(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct unreflect *u = ctx;
	struct ibb_hive *h = ibb_pb_hive(u->b, u->hive);
	IBB_AUTO_BUF struct ibb_buf data = {0};
	struct ibb_pb_list owners = {0};
	uint32_t type = IBB_REG_NONE;
	const char *key;
	int r = ibb_hive_get(h, k, "Owners", &type, &data, err);

	if (r && r != IBB_E_NOTFOUND)
		return r;
	if (r || type != IBB_REG_MULTI_SZ) {
		if (u->hive != IBB_HIVE_SYSTEM || !ibb_keyset_has(&u->services, name))
			return IBB_OK;
		return ibb_pb_warn(u->b,
				   "%s\\%s names no owner: whether other drivers need the service "
				   "cannot be told, and it is left alone",
				   u->root, name);
	}
	key = ibb_pb_fmt(u->b, "%s\\%s", u->root, name);
	if (!key)
		return ibb_err_nomem(err);
	r = ibb_pb_parse_list(u->b, ibb_buf_bytes(&data), &owners);
	return r ? r : give_up(u, name, key, &owners);
}

static int look_below(struct unreflect *u, enum ibb_hive_id hive, const char *root)
{
	struct ibb_hive *h = ibb_pb_hive(u->b, hive);
	ibb_key k;
	int r = root ? ibb_hive_find(h, ibb_hive_root(h), root, &k, u->b->err)
		     : ibb_err_nomem(u->b->err);

	u->hive = hive;
	u->root = root;
	if (!r)
		r = ibb_hive_subkeys(h, k, look_at, u, u->b->err);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

int ibb_pb_unreflect(struct ibb_pb *b, const struct ibb_removal *x, size_t n)
{
	struct ibb_removal *ours = ibb_arena_array(&b->plan->arena, n, sizeof(*ours));
	struct unreflect u = {.b = b, .x = ours};
	ibb_key k;
	int r = ours ? IBB_OK : ibb_err_nomem(b->err);

	for (size_t i = 0; i < n && !r; i++) {
		if (!configured(&u, x[i].package, &k, &r))
			continue;
		ours[u.n++] = x[i];
		r = ibb_hive_subkeys(ibb_pb_hive(b, IBB_HIVE_SYSTEM), k, note_service, &u, b->err);
	}
	for (size_t i = 0; i < b->f->n_control_sets && !r && u.n; i++) {
		u.control_set = b->f->control_sets[i];
		r = look_below(&u, IBB_HIVE_SYSTEM,
			       ibb_pb_fmt(b, "%s\\Services", b->f->control_sets[i]));
	}
	if (!r && u.n)
		r = look_below(&u, IBB_HIVE_SOFTWARE, IBB_LOCKDOWN_KEY);
	ibb_keyset_clear(&u.services);
	return r;
}
