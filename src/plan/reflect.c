/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operations that configure a boot-critical package: registry values of three hives, files. */
#include "plan/reflect.h"

#include <string.h>
#include <strings.h>

#include "base/le.h"
#include "base/path.h"
#include "base/utf16.h"

/* ---- lists ---- */

int ibb_pb_parse_list(struct ibb_pb *b, struct ibb_bytes data, struct ibb_pb_list *ret)
{
	struct ibb_arena *a = &b->plan->arena;
	size_t n = 0, most = data.len / 2 + 1;
	const char **items = ibb_arena_array(a, most, sizeof(*items));

	if (!items)
		return ibb_err_nomem(b->err);
	for (size_t off = 0, end; off + 1 < data.len; off = end + 2) {
		IBB_AUTO_FREE char *one = NULL;

		for (end = off; end + 1 < data.len && ibb_get_le16(data.data + end);)
			end += 2;
		if (end == off)
			break;
		one = ibb_utf8_from_utf16le(data.data + off, end - off);
		items[n] = one ? ibb_arena_strdup(a, one) : NULL;
		if (!items[n++])
			return ibb_err_nomem(b->err);
	}
	*ret = (struct ibb_pb_list){IBB_LIST_THERE, n, items};
	return IBB_OK;
}

int ibb_pb_read_list(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		     struct ibb_pb_list *ret)
{
	struct ibb_hive *h = ibb_pb_hive(b, hive);
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type = IBB_REG_NONE;
	ibb_key k;
	int r = key ? ibb_hive_find(h, ibb_hive_root(h), key, &k, b->err) : ibb_err_nomem(b->err);

	*ret = (struct ibb_pb_list){.state = IBB_LIST_NO_KEY};
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	ret->state = IBB_LIST_NO_VALUE;
	r = ibb_hive_get(h, k, value, &type, &data, b->err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	ret->state = IBB_LIST_OTHER_TYPE;
	return type == IBB_REG_MULTI_SZ ? ibb_pb_parse_list(b, ibb_buf_bytes(&data), ret) : IBB_OK;
}

int ibb_pb_write_list(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		      const char *const *items, size_t n, const char *reason, const char *evidence)
{
	IBB_AUTO_BUF struct ibb_buf u = {0};
	int r = IBB_OK;

	for (size_t i = 0; i < n && !r; i++) {
		r = ibb_utf16le_append(&u, items[i]);
		if (!r)
			r = ibb_buf_append_zero(&u, 2);
	}
	if (!r)
		r = ibb_buf_append_zero(&u, n ? 2 : 4);
	if (r)
		return ibb_err(b->err, r, "value %s of %s cannot be written as UTF-16", value, key);
	return ibb_pb_value(b, hive, key, value, IBB_REG_MULTI_SZ, u.data, u.len, reason, evidence);
}

bool ibb_pb_goes(const struct ibb_pb *b, const char *owner)
{
	for (size_t i = 0; i < b->n_removals; i++)
		if (ibb_facts_is_owner(b->removals[i].package, owner))
			return true;
	return false;
}

/* ---- the rule ---- */

int ibb_pb_decide_reflect(struct ibb_pb *b, bool class_is_critical)
{
	struct ibb_plan_package *pp = b->pkg;
	const struct ibb_package *p = pp->package;

	if (!class_is_critical) {
		pp->reflect.rule = "the class is not boot-critical in the image";
		return IBB_OK;
	}
	if (!p->boot_start_service) {
		pp->reflect.rule = "no associated service starts at boot";
		return IBB_OK;
	}
	if (!b->opts->never_reflect) {
		pp->reflect.done = true;
		pp->reflect.rule =
			"the class is boot-critical and an associated service starts at boot";
		return IBB_OK;
	}
	pp->reflect.rule = "configuring it was ruled out";
	return ibb_pb_warn(b,
			   "%s is staged and not configured, though its class %s is boot-critical "
			   "and its service starts at boot: Windows cannot start from a device "
			   "that needs it",
			   p->inf_name, p->version.class_name);
}

int ibb_pb_decide_existing(struct ibb_pb *b)
{
	const struct ibb_plan_package *pp = b->pkg;
	struct ibb_hive *h = ibb_pb_hive(b, IBB_HIVE_SYSTEM);
	const char *key =
		ibb_pb_fmt(b, IBB_DATABASE "\\DriverPackages\\%s\\Configurations", pp->name);
	ibb_key k;
	int r;

	b->pkg->reflect.rule = "already staged: left as it is";
	if (pp->node != IBB_NODE_SYSTEM || !pp->existing->boot_critical ||
	    !pp->package->boot_start_service)
		return IBB_OK;
	r = key ? ibb_hive_find(h, ibb_hive_root(h), key, &k, b->err) : ibb_err_nomem(b->err);
	if (r != IBB_E_NOTFOUND)
		return r;
	return ibb_pb_warn(b,
			   "%s is already staged as %s, but not configured, though its service "
			   "starts at boot: remove it and add it again",
			   pp->package->inf_name, pp->published);
}

/* ---- whose is what stands there? ---- */

/* Positive when the staged package is the newer one. */
static int compare_version(const struct ibb_version_blob *e, const struct ibb_inf_version *v)
{
	if (e->date != v->date)
		return e->date > v->date ? 1 : -1;
	for (int i = 0; i < 4; i++)
		if (e->version[i] != v->version[i])
			return e->version[i] > v->version[i] ? 1 : -1;
	return 0;
}

static int check_owner(struct ibb_pb *b, const char *what, const char *owner)
{
	const struct ibb_package *p = b->pkg->package;

	if (ibb_pb_goes(b, owner))
		return IBB_OK;
	for (size_t i = 0; i < b->f->n_packages; i++) {
		const struct ibb_fact_package *e = &b->f->packages[i];

		if (!ibb_facts_is_owner(e, owner))
			continue;
		if (!e->oem)
			return ibb_err(b->err, IBB_E_UNSUPPORTED,
				       "%s belongs to %s, which came with Windows", what, owner);
		if (!e->inf_name || !ibb_caseeq(e->inf_name, p->inf_name))
			return ibb_err(b->err, IBB_E_UNSUPPORTED,
				       "%s belongs to another package, %s (%s)", what, owner,
				       e->inf_name ? e->inf_name : e->name);
		if (e->has_version && compare_version(&e->version, &p->version) > 0)
			return ibb_err(b->err, IBB_E_UNSUPPORTED,
				       "%s belongs to %s, a newer version of %s", what, owner,
				       p->inf_name);
	}
	/* an owner that no package has any more left it behind */
	return IBB_OK;
}

/* *ret_there: it exists, and may be written over. */
static int check_owners(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *what,
			bool *ret_there)
{
	struct ibb_pb_list owners;
	int r = what ? ibb_pb_read_list(b, hive, key, "Owners", &owners) : ibb_err_nomem(b->err);

	if (r || owners.state == IBB_LIST_NO_KEY)
		return r;
	if (owners.state != IBB_LIST_THERE || !owners.n)
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s is in the image and names no owner: whose it is cannot be told",
			       what);
	for (size_t i = 0; i < owners.n && !r; i++)
		r = check_owner(b, what, owners.items[i]);
	*ret_there |= !r;
	return r;
}

static int check_service(struct ibb_pb *b, const struct ibb_configure_service *s, bool *ret_there)
{
	int r = IBB_OK;

	for (size_t i = 0; i < b->f->n_control_sets && !r; i++)
		r = check_owners(b, IBB_HIVE_SYSTEM,
				 ibb_pb_fmt(b, "%s\\Services\\%s", b->f->control_sets[i], s->name),
				 ibb_pb_fmt(b, "the service %s", s->name), ret_there);
	return r;
}

/* Was the file that may stand at the destination made by an older version of the package? */
static int check_file(struct ibb_pb *b, const struct ibb_configuration *c,
		      const struct ibb_configure_file *f, bool *ret_there)
{
	const char *key =
		ibb_pb_fmt(b, IBB_LOCKDOWN_KEY "\\%%SystemRoot%%%s", f->dest + strlen("Windows"));
	int r = check_owners(b, IBB_HIVE_SOFTWARE, key, ibb_pb_fmt(b, "the file %s", f->dest),
			     ret_there);

	for (size_t i = 0; i < c->n_services && !r; i++)
		if (ibb_caseeq(c->services[i].binary, f->dest))
			r = check_service(b, &c->services[i], ret_there);
	return r;
}

static bool lies_in(const char *path, const char *dir)
{
	size_t n = ibb_path_dir_len(path);

	return n == strlen(dir) && strncasecmp(path, dir, n) == 0;
}

static int check_all(struct ibb_pb *b, const struct ibb_configuration *c)
{
	bool there = false;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n_services && !r; i++)
		r = check_service(b, &c->services[i], &there);
	for (size_t i = 0; i < c->n_files && !r; i++) {
		const char *dest = c->files[i].dest;

		/* whether a directory below them exists is not known here */
		if (!lies_in(dest, "Windows/System32") &&
		    !lies_in(dest, "Windows/System32/drivers"))
			r = ibb_err(b->err, IBB_E_UNSUPPORTED,
				    "%s: copies to %s, a directory of its own",
				    c->files[i].evidence, dest);
		if (!r)
			r = check_file(b, c, &c->files[i], &there);
	}
	return r;
}

int ibb_pb_configure(struct ibb_pb *b, struct ibb_configuration **ret)
{
	struct ibb_plan_package *pp = b->pkg;
	struct ibb_package *p = pp->package;
	struct ibb_configure_opts o = {.published = pp->published,
				       .package_name = pp->name,
				       .included = b->opts->included};
	struct ibb_configuration *c = NULL;
	int r = ibb_configure_build(p, &o, &c, b->err);

	if (!r)
		r = check_all(b, c);
	if (!r) {
		*ret = c;
		return IBB_OK;
	}
	ibb_configuration_free(c);
	if (r == IBB_E_NOMEM)
		return r;
	(void)ibb_err_prefix(b->err, r,
			     "%s/%s: class %s is boot-critical and its service starts at boot, but "
			     "it cannot be configured offline",
			     p->dir, p->inf_name, p->version.class_name);
	return ibb_err_hint(b->err, r,
			    "drivers add --reflect=never stages it without; Windows will not start "
			    "from its device then");
}

/* ---- operations ---- */

/* Two packages that set the same value would each plan for what is there now. */
static int claim(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *name)
{
	const char *text = ibb_pb_fmt(b, "%s\\%s\n%s", ibb_hive_id_name(hive), key, name);
	bool had = false;
	int r = text ? ibb_keyset_add(&b->claimed, text, &had, b->err) : ibb_err_nomem(b->err);

	if (r || !had)
		return r;
	ibb_err(b->err, IBB_E_CONFLICT,
		"%s/%s and another package of this run both set value '%s' of %s",
		b->pkg->package->dir, b->pkg->package->inf_name, name, key);
	return ibb_err_hint(b->err, IBB_E_CONFLICT, "add them one after the other");
}

struct target {
	enum ibb_hive_id hive;
	const char *key, *reason, *evidence, *name;
};

/* Ours at the end of the list; who is taken out owns nothing any more. */
static int append(struct ibb_pb *b, const struct target *t, const struct ibb_configure_value *v)
{
	struct ibb_pb_list old, new;
	const char **all;
	size_t n = 0;
	int r = ibb_pb_read_list(b, t->hive, t->key, t->name, &old);

	if (!r)
		r = ibb_pb_parse_list(b, v->data, &new);
	if (r)
		return r;
	if (old.state == IBB_LIST_OTHER_TYPE || v->type != IBB_REG_MULTI_SZ)
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s: value '%s' of %s is no list that can be added to", t->evidence,
			       t->name, t->key);
	all = ibb_arena_array(&b->plan->arena, old.n + new.n, sizeof(*all));
	if (!all)
		return ibb_err_nomem(b->err);
	for (size_t i = 0; i < old.n; i++)
		if (!ibb_caseeq(t->name, "Owners") || !ibb_pb_goes(b, old.items[i]))
			all[n++] = old.items[i];
	for (size_t i = 0; i < new.n; i++) {
		bool there = false;

		for (size_t k = 0; k < n && !there; k++)
			there = ibb_caseeq(all[k], new.items[i]);
		if (!there)
			all[n++] = new.items[i];
	}
	return ibb_pb_write_list(b, t->hive, t->key, t->name, all, n, t->reason, t->evidence);
}

static int delete_value(struct ibb_pb *b, const struct target *t)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	struct ibb_value v = {.name = t->name};
	int r = ibb_pb_get(b, t->hive, t->key, t->name, &v.type, &data);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	v.data = data.data;
	v.size = (uint32_t)data.len;
	return ibb_pb_unset(b, t->hive, t->key, &v, t->reason);
}

static int delete_key(struct ibb_pb *b, const struct target *t)
{
	struct ibb_hive *h = ibb_pb_hive(b, t->hive);
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), t->key, &k, b->err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	return ibb_err(b->err, IBB_E_UNSUPPORTED, "%s: would delete %s, which is in the image",
		       t->evidence, t->key);
}

static int plan_value(struct ibb_pb *b, const struct target *t, const struct ibb_configure_value *v)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	int r;

	switch (v->op) {
	case IBB_CONFIGURE_KEY:
		return ibb_pb_key(b, t->hive, t->key, t->reason, t->evidence);
	case IBB_CONFIGURE_DELETE_KEY:
		return delete_key(b, t);
	case IBB_CONFIGURE_DELETE_VALUE:
		return delete_value(b, t);
	case IBB_CONFIGURE_APPEND:
		return append(b, t, v);
	case IBB_CONFIGURE_SET_IF_ABSENT:
		r = ibb_pb_get(b, t->hive, t->key, t->name, &type, &data);
		if (r != IBB_E_NOTFOUND)
			return r;
		break;
	case IBB_CONFIGURE_SET:
		break;
	}
	return ibb_pb_value(b, t->hive, t->key, t->name, v->type, v->data.data, v->data.len,
			    t->reason, t->evidence);
}

static int plan_at(struct ibb_pb *b, enum ibb_hive_id hive, const char *root, const char *reason,
		   const struct ibb_configure_value *v)
{
	bool shared = v->root == IBB_CONFIGURE_CONTROL_SET || v->root == IBB_CONFIGURE_SOFTWARE;
	struct ibb_arena *a = &b->plan->arena;
	struct target t = {hive, NULL, reason, ibb_arena_strdup(a, v->evidence),
			   v->name ? ibb_arena_strdup(a, v->name) : NULL};
	int r = IBB_OK;

	t.key = root ? ibb_pb_fmt(b, "%s%s%s", root, *root && *v->key ? "\\" : "", v->key) : NULL;
	if (!t.key || !t.evidence || (v->name && !t.name))
		return ibb_err_nomem(b->err);
	if (shared && t.name)
		r = claim(b, hive, t.key, t.name);
	return r ? r : plan_value(b, &t, v);
}

static int plan_one(struct ibb_pb *b, const struct ibb_configure_value *v)
{
	int r = IBB_OK;

	switch (v->root) {
	case IBB_CONFIGURE_PACKAGE:
		return plan_at(b, IBB_HIVE_SYSTEM,
			       ibb_pb_fmt(b, IBB_DATABASE "\\DriverPackages\\%s", b->pkg->name),
			       "configuration of the boot-critical package", v);
	case IBB_CONFIGURE_INF_FILE:
		return plan_at(
			b, IBB_HIVE_SYSTEM,
			ibb_pb_fmt(b, IBB_DATABASE "\\DriverInfFiles\\%s", b->pkg->published),
			"configuration of the boot-critical package", v);
	case IBB_CONFIGURE_SOFTWARE:
		return plan_at(b, IBB_HIVE_SOFTWARE, "", "who owns the driver file", v);
	case IBB_CONFIGURE_CONTROL_SET:
		for (size_t i = 0; i < b->f->n_control_sets && !r; i++)
			r = plan_at(b, IBB_HIVE_SYSTEM, b->f->control_sets[i],
				    "service of the boot-critical package", v);
	}
	return r;
}

static int plan_copy(struct ibb_pb *b, const struct ibb_configuration *c,
		     const struct ibb_configure_file *f)
{
	bool there = false;
	struct ibb_op *op;
	int r = check_file(b, c, f, &there);

	if (r)
		return r;
	op = ibb_pb_op(b, IBB_OP_PUT);
	if (!op)
		return IBB_E_NOMEM;
	op->path = ibb_arena_strdup(&b->plan->arena, f->dest);
	op->file = f->file;
	op->may_replace = there;
	op->reason = "driver file that the service starts";
	op->evidence = ibb_arena_strdup(&b->plan->arena, f->evidence);
	b->plan->new_file_bytes += f->file->bytes.len;
	return ibb_pb_finish(b, op);
}

int ibb_pb_reflect(struct ibb_pb *b, const struct ibb_configuration *c)
{
	int r = IBB_OK;

	for (size_t i = 0; i < c->n_files && !r; i++)
		r = plan_copy(b, c, &c->files[i]);
	for (size_t i = 0; i < c->values.n && !r; i++)
		r = plan_one(b, &c->values.items[i]);
	return r;
}
