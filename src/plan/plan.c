/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf16.h"
#include "plan/keysec.h"
#include "plan/keyset.h"

#define DATABASE "DriverDatabase"

struct build {
	const struct ibb_facts *f;
	struct ibb_plan *plan;
	struct ibb_plan_package *pkg;
	struct ibb_store_fields fields;
	struct ibb_keyset made[IBB_N_NODES]; /* keys that earlier operations create */
	struct {
		const char *key; /* its parent is `at`: that of the next key most often, too */
		ibb_key at;
	} last[IBB_N_NODES];
	struct ibb_buf oem_map; /* as the plan will leave it */
	bool oem_taken[IBB_LIMIT_OEM_NUMBER + 1];
	struct ibb_error *err;
};

static struct ibb_hive *hive_of(const struct build *b, enum ibb_node node)
{
	return b->f->hives[node == IBB_NODE_SYSTEM ? IBB_HIVE_SYSTEM : IBB_HIVE_DRIVERS].hive;
}

static char *fmt(struct build *b, const char *format, ...) IBB_PRINTF(2, 3);
static char *fmt(struct build *b, const char *format, ...)
{
	char text[2 * IBB_LIMIT_PATH_CHARS];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return n < 0 ? NULL : ibb_arena_strndup(&b->plan->arena, text, strlen(text));
}

static struct ibb_op *add_op(struct build *b, enum ibb_op_kind kind)
{
	struct ibb_plan *p = b->plan;
	struct ibb_op *op;

	if (ibb_grow(&p->ops, &p->cap_ops, p->n_ops, sizeof(*p->ops))) {
		(void)ibb_err_nomem(b->err);
		return NULL;
	}
	op = &p->ops[p->n_ops++];
	*op = (struct ibb_op){.kind = kind};
	return op;
}

static int finish_op(struct build *b, const struct ibb_op *op)
{
	if (!op->reason || !op->evidence || (op->kind <= IBB_OP_PUT && !op->path) ||
	    ((op->kind == IBB_OP_KEY || op->kind == IBB_OP_VALUE) && !op->key) ||
	    (op->kind == IBB_OP_VALUE && (!op->value || (op->data.len && !op->data.data))))
		return ibb_err_nomem(b->err);
	return IBB_OK;
}

/* ---- files ---- */

static int op_mkdir(struct build *b, const char *path)
{
	struct ibb_op *op = add_op(b, IBB_OP_MKDIR);

	if (!op)
		return IBB_E_NOMEM;
	op->path = path;
	op->reason = fmt(b, "directory of %s in the driver store", b->pkg->package->inf_name);
	op->evidence = "driver store layout";
	return finish_op(b, op);
}

static int op_put(struct build *b, const char *path, const struct ibb_package_file *file,
		  const char *reason)
{
	struct ibb_op *op = add_op(b, IBB_OP_PUT);

	if (!op)
		return IBB_E_NOMEM;
	op->path = path;
	op->file = file;
	op->reason = reason;
	op->evidence = fmt(b, "%s: %s", b->pkg->package->inf_name, file->path);
	b->plan->new_file_bytes += file->bytes.len;
	return finish_op(b, op);
}

/* Sub-directories of the package, each once, parents first. */
static int make_subdirs(struct build *b, const char *repo, const char *rel, struct ibb_keyset *dirs)
{
	for (const char *s = strchr(rel, '/'); s; s = strchr(s + 1, '/')) {
		char *path = fmt(b, "%s/%.*s", repo, (int)(s - rel), rel);
		bool had;
		int r;

		if (!path)
			return ibb_err_nomem(b->err);
		r = ibb_keyset_add(dirs, path, &had, b->err);
		if (!r && !had)
			r = op_mkdir(b, path);
		if (r)
			return r;
	}
	return IBB_OK;
}

static int plan_files(struct build *b)
{
	const struct ibb_package *p = b->pkg->package;
	struct ibb_keyset dirs = {0};
	char *repo = fmt(b, "%s/%s", IBB_STORE_DIR, b->pkg->name);
	int stem = (int)(strlen(b->pkg->published) - 4), r;

	if (!repo)
		return ibb_err_nomem(b->err);
	r = op_mkdir(b, repo);
	for (size_t i = 0; i < p->n_files && !r; i++) {
		r = make_subdirs(b, repo, p->files[i].path, &dirs);
		if (!r)
			r = op_put(b, fmt(b, "%s/%s", repo, p->files[i].path), &p->files[i],
				   "file of the driver package");
	}
	ibb_keyset_clear(&dirs);
	if (!r)
		r = op_put(b, fmt(b, IBB_STORE_INF_DIR "/%s", b->pkg->published), &p->files[0],
			   "published INF");
	if (!r && p->signed_)
		r = op_put(b, fmt(b, IBB_STORE_CAT_DIR "/%.*s.cat", stem, b->pkg->published),
			   &p->files[1], "published security catalog");
	return r;
}

/* ---- registry ---- */

/* Bytes of the parent's path and its backslash, 0 for a key of one component. */
static size_t parent_len(const char *key)
{
	const char *end = strrchr(key, '\\');

	return end ? (size_t)(end - key) + 1 : 0;
}

static int add_key(struct build *b, enum ibb_node node, const char *key, size_t len,
		   const char *reason, const char *evidence)
{
	const char *prefix = ibb_arena_strndup(&b->plan->arena, key, len);
	struct ibb_op *op;
	bool had;
	int r;

	if (!prefix)
		return ibb_err_nomem(b->err);
	r = ibb_keyset_add(&b->made[node], prefix, &had, b->err);
	if (r || had)
		return r;
	op = add_op(b, IBB_OP_KEY);
	if (!op)
		return IBB_E_NOMEM;
	op->node = node;
	op->key = prefix;
	op->reason = reason;
	op->evidence = evidence;
	b->plan->security[node].needed = true;
	b->plan->registry_bytes += 128 + 2 * (len - parent_len(prefix));
	return IBB_OK;
}

/*
 * A KEY operation for every key on the way that neither the hive nor the plan has. *ret is the key
 * in the hive, 0 when it is not there. `key` lives as long as the plan.
 */
static int need_key(struct build *b, enum ibb_node node, const char *key, const char *reason,
		    const char *evidence, ibb_key *ret)
{
	struct ibb_hive *h = hive_of(b, node);
	const char *last = b->last[node].key, *s = key;
	size_t parent = parent_len(key);
	ibb_key at = ibb_hive_root(h);

	if (last && parent && parent == parent_len(last) && memcmp(last, key, parent) == 0) {
		at = b->last[node].at;
		s += parent;
	}
	while (*s) {
		size_t n = strcspn(s, "\\");
		int r = IBB_OK;

		if (at && (size_t)(s - key) == parent) {
			b->last[node].key = key;
			b->last[node].at = at;
		}
		if (at) {
			IBB_AUTO_FREE char *name = ibb_strndup(s, n);

			if (!name)
				return ibb_err_nomem(b->err);
			r = ibb_hive_find(h, at, name, &at, b->err);
			if (r && r != IBB_E_NOTFOUND)
				return r;
			at = r ? 0 : at;
		}
		r = at ? IBB_OK : add_key(b, node, key, (size_t)(s - key) + n, reason, evidence);
		if (r)
			return r;
		s += n + (s[n] == '\\');
	}
	*ret = at;
	return IBB_OK;
}

static int read_before(struct build *b, struct ibb_op *op, ibb_key k)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint8_t *copy;
	int r;

	if (!k)
		return IBB_OK;
	r = ibb_hive_get(hive_of(b, op->node), k, op->value, &op->before_type, &data, b->err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	copy = ibb_arena_alloc(&b->plan->arena, data.len);
	if (!copy)
		return ibb_err_nomem(b->err);
	if (data.len)
		memcpy(copy, data.data, data.len);
	op->had_before = true;
	op->before = (struct ibb_bytes){copy, data.len};
	return IBB_OK;
}

/* A value; nothing when the hive holds just that already. */
static int op_value(struct build *b, enum ibb_node node, const char *key, const char *value,
		    uint32_t type, const void *data, size_t n, const char *reason,
		    const char *evidence)
{
	uint8_t *copy = ibb_arena_alloc(&b->plan->arena, n);
	struct ibb_op *op;
	ibb_key k = 0;
	int r;

	if (!copy || !key)
		return ibb_err_nomem(b->err);
	if (n)
		memcpy(copy, data, n);
	r = need_key(b, node, key, reason, evidence, &k);
	if (r)
		return r;
	op = add_op(b, IBB_OP_VALUE);
	if (!op)
		return IBB_E_NOMEM;
	op->node = node;
	op->key = key;
	op->value = value;
	op->type = type;
	op->data = (struct ibb_bytes){copy, n};
	op->reason = reason;
	op->evidence = evidence;
	b->plan->registry_bytes += 64 + n;
	r = finish_op(b, op);
	if (!r)
		r = read_before(b, op, k);
	if (!r && op->had_before && op->before_type == type && op->before.len == n &&
	    (!n || memcmp(op->before.data, data, n) == 0))
		b->plan->n_ops--;
	return r;
}

static int op_string(struct build *b, enum ibb_node node, const char *key, const char *value,
		     uint32_t type, const char *text, const char *reason, const char *evidence)
{
	IBB_AUTO_BUF struct ibb_buf u = {0};
	int r = text ? ibb_utf16le_append(&u, text) : IBB_E_NOMEM;

	/* REG_SZ ends with one NUL, REG_MULTI_SZ with two */
	if (!r)
		r = ibb_buf_append_zero(&u, type == IBB_REG_MULTI_SZ ? 4 : 2);
	if (r)
		return ibb_err(b->err, r, "value %s of %s cannot be written as UTF-16", value, key);
	return op_value(b, node, key, value, type, u.data, u.len, reason, evidence);
}

static int op_dword(struct build *b, enum ibb_node node, const char *key, const char *value,
		    uint32_t v, const char *reason, const char *evidence)
{
	uint8_t d[4];

	ibb_put_le32(d, v);
	return op_value(b, node, key, value, IBB_REG_DWORD, d, 4, reason, evidence);
}

static int op_filetime(struct build *b, enum ibb_node node, const char *key, const char *value,
		       const char *reason)
{
	uint8_t d[8];

	ibb_put_le64(d, b->plan->time);
	return op_value(b, node, key, value, IBB_REG_BINARY, d, 8, reason, "time of this run");
}

/* DriverPackages\<package>: the values of a package that was imported and not yet configured. */
static int plan_package_key(struct build *b)
{
	const struct ibb_package *p = b->pkg->package;
	const struct ibb_inf_version *v = &p->version;
	struct ibb_version_blob blob = {.published = true,
					.arch = (uint16_t)p->target.arch,
					.class_guid = v->class_guid,
					.date = v->date};
	const char *key = fmt(b, DATABASE "\\DriverPackages\\%s", b->pkg->name);
	const char *ver = fmt(b, "%s:%u DriverVer", p->inf_name, v->driver_ver_line);
	const char *inf = fmt(b, "%s [Version]", p->inf_name);
	const char *why = "driver package record";
	enum ibb_node n = b->pkg->node;
	uint8_t raw[IBB_VERSION_BLOB_SIZE];
	int r;

	if (!key || !ver || !inf)
		return ibb_err_nomem(b->err);
	memcpy(blob.version, v->version, sizeof(blob.version));
	ibb_version_blob_encode(&blob, raw);
	r = op_string(b, n, key, "", IBB_REG_SZ, b->pkg->published, why, "published name");
	if (!r)
		r = op_value(b, n, key, "Version", IBB_REG_BINARY, raw, sizeof(raw), why, ver);
	if (!r)
		r = op_string(b, n, key, "Provider", IBB_REG_SZ, v->provider, why, inf);
	if (!r)
		r = op_string(b, n, key, "InfName", IBB_REG_SZ, p->inf_name, why, inf);
	/* free text for Windows; fixed by the package, so that two machines write the same bytes */
	if (!r)
		r = op_string(b, n, key, "OemPath", IBB_REG_SZ,
			      fmt(b, "C:\\ibbake\\%s_%s", p->inf_name, v->version_text), why,
			      "where it came from: free text");
	if (!r && p->signed_)
		r = op_string(b, n, key, "SignerName", IBB_REG_SZ, p->signer.name, why,
			      fmt(b, "%s: signer's certificate, not verified", p->catalog_name));
	if (!r)
		r = op_dword(b, n, key, "SignerScore", b->pkg->signer_score, why,
			     "class of the signer, not verified");
	if (!r && b->pkg->status_flags)
		r = op_dword(b, n, key, "StatusFlags", b->pkg->status_flags, why, inf);
	if (!r && b->fields.catalog && p->signed_)
		r = op_string(b, n, key, "Catalog", IBB_REG_SZ, p->catalog_name, why,
			      fmt(b, "%s:%u CatalogFile", p->inf_name, v->catalog_line));
	if (!r && b->fields.import_date)
		r = op_filetime(b, n, key, "ImportDate", why);
	return r;
}

static int plan_inf_key(struct build *b)
{
	const char *key = fmt(b, DATABASE "\\DriverInfFiles\\%s", b->pkg->published);
	const char *why = "published name points to its package";
	int r = key ? IBB_OK : ibb_err_nomem(b->err);

	if (!r)
		r = op_string(b, b->pkg->node, key, "", IBB_REG_MULTI_SZ, b->pkg->name, why,
			      "package name");
	if (!r)
		r = op_string(b, b->pkg->node, key, "Active", IBB_REG_SZ, b->pkg->name, why,
			      "package name");
	return r;
}

static int plan_device_ids(struct build *b)
{
	struct ibb_package *p = b->pkg->package;
	IBB_AUTO_FREE struct ibb_device_id *ids = NULL;
	char guid[IBB_GUID_STR_SIZE];
	size_t n;
	int r = ibb_store_device_ids(p, &ids, &n, b->err);

	if (r)
		return r;
	b->pkg->n_device_ids = n;
	for (size_t i = 0; i < n && !r; i++)
		r = op_value(b, b->pkg->node, fmt(b, DATABASE "\\DeviceIds\\%s", ids[i].id),
			     b->pkg->published, IBB_REG_BINARY, ids[i].data, 4,
			     "device ID served by the package",
			     fmt(b, "%s:%u", p->inf_name, ids[i].line));
	if (r)
		return r;
	ibb_guid_format(&p->version.class_guid, guid);
	return op_value(b, b->pkg->node, fmt(b, DATABASE "\\DeviceIds\\%s", guid),
			b->pkg->published, IBB_REG_NONE, NULL, 0, "class of the package",
			fmt(b, "%s ClassGuid", p->inf_name));
}

/* ---- one package ---- */

static int choose_node(struct build *b)
{
	const struct ibb_package *p = b->pkg->package;
	bool critical;
	int r = ibb_facts_class_is_boot_critical(b->f, &p->version.class_guid, &critical, b->err);

	if (r)
		return r;
	b->pkg->node = critical ? IBB_NODE_SYSTEM : IBB_NODE_DRIVERS;
	b->pkg->node_reason = critical ? "the class key of the image marks the class boot-critical"
				       : "the class is not boot-critical in the image";
	if (critical && p->boot_start_service)
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s/%s: class %s is boot-critical and its service starts at boot; "
			       "such a package has to be configured offline as well, which this "
			       "version of ibbake does not do",
			       p->dir, p->inf_name, p->version.class_name);
	return IBB_OK;
}

/* The lowest number that no file, key or map bit of the image uses. */
static int choose_number(struct build *b)
{
	unsigned n = 0;

	while (n <= IBB_LIMIT_OEM_NUMBER &&
	       (b->oem_taken[n] || (n < b->f->n_oem_in_use && b->f->oem_in_use[n])))
		n++;
	if (n > IBB_LIMIT_OEM_NUMBER)
		return ibb_err(b->err, IBB_E_LIMIT, "no oemN.inf number is free in the image");
	b->oem_taken[n] = true;
	b->pkg->oem_number = n;
	snprintf(b->pkg->published, sizeof(b->pkg->published), "oem%u.inf", n);
	return ibb_oem_map_set(&b->oem_map, n) ? ibb_err_nomem(b->err) : IBB_OK;
}

static bool same_digest(const struct ibb_sha256 *a, const struct ibb_sha256 *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The package of the image with the same INF and catalog, as DISM reuses it. */
static const struct ibb_fact_package *find_identical(const struct ibb_facts *f,
						     const struct ibb_package *p)
{
	for (size_t i = 0; i < f->n_packages; i++) {
		const struct ibb_fact_package *e = &f->packages[i];

		if (e->oem && e->digest_known && same_digest(&e->inf_sha256, &p->files[0].sha256) &&
		    (!p->signed_ || same_digest(&e->cat_sha256, &p->files[1].sha256)))
			return e;
	}
	return NULL;
}

/* An identical package counts as staged only when the index leads to it. */
static int check_existing(struct build *b)
{
	struct ibb_plan_package *pp = b->pkg;
	IBB_AUTO_FREE struct ibb_device_id *ids = NULL;
	size_t n;
	int r = ibb_store_device_ids(pp->package, &ids, &n, b->err);

	for (size_t i = 0; i < n && !r; i++) {
		IBB_AUTO_FREE struct ibb_fact_match *m = NULL;
		bool found = false;
		size_t k, nm;

		r = ibb_facts_matches(b->f, ids[i].id, &m, &nm, b->err);
		for (k = 0; !r && k < nm; k++)
			found |= m[k].package == pp->existing;
		if (!r && !found)
			r = ibb_err(b->err, IBB_E_CONFLICT,
				    "%s is staged in the image as %s, but DeviceIds\\%s does not "
				    "name it: the driver database is damaged",
				    pp->package->inf_name, pp->existing->published, ids[i].id);
	}
	pp->n_device_ids = n;
	return r;
}

static int take_existing(struct build *b)
{
	struct ibb_plan_package *pp = b->pkg;
	const struct ibb_fact_package *e = pp->existing;

	free(pp->name);
	pp->name = ibb_strdup(e->name);
	if (!pp->name)
		return ibb_err_nomem(b->err);
	pp->node = e->node;
	pp->node_reason = "already staged there";
	pp->oem_number = e->oem_number;
	snprintf(pp->published, sizeof(pp->published), "oem%u.inf", e->oem_number);
	return check_existing(b);
}

static int check_name_free(struct build *b)
{
	for (size_t i = 0; i < b->f->n_packages; i++)
		if (ibb_caseeq(b->f->packages[i].name, b->pkg->name))
			return ibb_err(b->err, IBB_E_CONFLICT,
				       "the image records a driver package %s whose files are "
				       "missing or different",
				       b->pkg->name);
	return IBB_OK;
}

static int plan_package(struct build *b)
{
	struct ibb_plan_package *pp = b->pkg;
	int r = ibb_store_package_name(pp->package, &pp->name, b->err);

	if (r)
		return r;
	pp->status_flags = ibb_store_status_flags(pp->package, &b->fields);
	pp->signer_score = ibb_store_signer_score(pp->package);
	pp->existing = find_identical(b->f, pp->package);
	if (pp->existing)
		return take_existing(b);
	r = check_name_free(b);
	if (!r)
		r = choose_node(b);
	if (!r)
		r = choose_number(b);
	if (!r)
		r = plan_files(b);
	if (!r)
		r = plan_package_key(b);
	if (!r)
		r = plan_inf_key(b);
	return r ? r : plan_device_ids(b);
}

/* ---- what concerns the whole database ---- */

static int plan_update_date(struct build *b, enum ibb_node node)
{
	struct ibb_hive *h = hive_of(b, node);
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), DATABASE, &k, b->err);

	if (!r)
		r = ibb_hive_get(h, k, "UpdateDate", &type, &data, b->err);
	if (r == IBB_E_NOTFOUND)
		return IBB_OK; /* only newer builds have it */
	return r ? r : op_filetime(b, node, DATABASE, "UpdateDate", "time of the last import");
}

static int plan_logs(struct build *b, enum ibb_hive_id id)
{
	const struct ibb_fact_hive *fh = &b->f->hives[id];

	for (size_t i = 0; i < fh->n_logs; i++) {
		struct ibb_op *op;

		if (!fh->logs[i].size_bytes)
			continue;
		op = add_op(b, IBB_OP_CLEAR_LOG);
		if (!op)
			return IBB_E_NOMEM;
		op->path = ibb_arena_strdup(&b->plan->arena, fh->logs[i].path);
		op->reason = fmt(b, "old transactions of %s must not be replayed over the edit",
				 ibb_hive_id_name(id));
		op->evidence = "regf: a log without a valid base block is ignored";
		if (!op->path || finish_op(b, op))
			return ibb_err_nomem(b->err);
	}
	return IBB_OK;
}

static int plan_database(struct build *b)
{
	bool touched[IBB_N_NODES] = {false};
	bool staged = false;
	int r = IBB_OK;

	for (size_t i = 0; i < b->plan->n_packages; i++)
		if (!b->plan->packages[i].existing) {
			touched[b->plan->packages[i].node] = true;
			staged = true;
		}
	if (!staged)
		return IBB_OK;
	/* the map lives in SYSTEM and covers both nodes */
	r = op_value(b, IBB_NODE_SYSTEM, DATABASE, "OemInfMap", IBB_REG_BINARY, b->oem_map.data,
		     b->oem_map.len, "published name taken", "lowest free number");
	for (int n = 0; n < IBB_N_NODES && !r; n++)
		if (touched[n])
			r = plan_update_date(b, n);
	if (!r)
		r = plan_logs(b, IBB_HIVE_SYSTEM);
	if (!r && touched[IBB_NODE_DRIVERS])
		r = plan_logs(b, IBB_HIVE_DRIVERS);
	for (int n = 0; n < IBB_N_NODES && !r; n++)
		if (b->plan->security[n].needed)
			r = ibb_keysec_plan(hive_of(b, n), b->f, n, &b->plan->security[n], b->err);
	return r;
}

int ibb_plan_build(const struct ibb_facts *f, struct ibb_package *const *packages, size_t n,
		   int64_t unix_time, struct ibb_plan **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_plan_free) struct ibb_plan *plan = ibb_zalloc(sizeof(*plan));
	IBB_AUTO_FREE struct build *b = ibb_zalloc(sizeof(*b));
	int r = IBB_OK;

	if (!plan || !b)
		return ibb_err_nomem(err);
	plan->time = ibb_filetime_from_unix(unix_time);
	plan->packages = ibb_calloc_array(n, sizeof(*plan->packages));
	*b = (struct build){
		.f = f, .plan = plan, .fields = ibb_store_fields_for(&f->target), .err = err};
	if (!plan->packages || ibb_buf_append(&b->oem_map, f->oem_map.data, f->oem_map.len))
		r = ibb_err_nomem(err);
	for (size_t i = 0; i < n && !r; i++) {
		b->pkg = &plan->packages[plan->n_packages++];
		b->pkg->package = packages[i];
		r = plan_package(b);
	}
	if (!r)
		r = plan_database(b);
	for (int i = 0; i < IBB_N_NODES; i++)
		ibb_keyset_clear(&b->made[i]);
	ibb_buf_clear(&b->oem_map);
	if (!r)
		*ret = IBB_TAKE(plan);
	return r;
}

void ibb_plan_free(struct ibb_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_packages; i++)
		free(p->packages[i].name);
	for (int n = 0; n < IBB_N_NODES; n++) {
		free(p->security[n].like);
		ibb_buf_clear(&p->security[n].sd);
	}
	free(p->packages);
	free(p->ops);
	ibb_arena_clear(&p->arena);
	free(p);
}

int ibb_plan_check_space(const struct ibb_plan *p, const struct ibb_volume_info *info,
			 struct ibb_error *err)
{
	uint64_t cluster = info->cluster_bytes ? info->cluster_bytes : 4096, need = 0;

	for (size_t i = 0; i < p->n_ops; i++) {
		if (p->ops[i].kind == IBB_OP_PUT)
			need += (p->ops[i].file->bytes.len + cluster - 1) / cluster * cluster +
				1024;
		else if (p->ops[i].kind == IBB_OP_MKDIR)
			need += cluster + 1024;
	}
	if (need)
		need += p->registry_bytes + 1024 * 1024; /* hives grow by bins, indexes by blocks */
	if (need > info->free_bytes)
		return ibb_err(
			err, IBB_E_UNSUPPORTED,
			"the Windows volume has %llu KiB free, the plan needs about %llu KiB",
			(unsigned long long)(info->free_bytes / 1024),
			(unsigned long long)(need / 1024));
	return IBB_OK;
}
