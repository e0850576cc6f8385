/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operations that stage one driver package. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"
#include "driver/trust.h"
#include "plan/build.h"
#include "plan/reflect.h"

/* ---- files ---- */

static int op_mkdir(struct ibb_pb *b, const char *path)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_MKDIR);

	if (!op)
		return IBB_E_NOMEM;
	op->path = path;
	op->reason =
		ibb_pb_fmt(b, "directory of %s in the driver store", b->pkg->package->inf_name);
	op->evidence = "driver store layout";
	return ibb_pb_finish(b, op);
}

static int op_put(struct ibb_pb *b, const char *path, const struct ibb_package_file *file,
		  const char *reason)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_PUT);

	if (!op)
		return IBB_E_NOMEM;
	op->path = path;
	op->file = file;
	op->reason = reason;
	op->evidence = ibb_pb_fmt(b, "%s: %s", b->pkg->package->inf_name, file->path);
	b->plan->new_file_bytes += file->bytes.len;
	return ibb_pb_finish(b, op);
}

/* Sub-directories of the package, each once, parents first. */
static int make_subdirs(struct ibb_pb *b, const char *repo, const char *rel,
			struct ibb_keyset *dirs)
{
	for (const char *s = strchr(rel, '/'); s; s = strchr(s + 1, '/')) {
		char *path = ibb_pb_fmt(b, "%s/%.*s", repo, (int)(s - rel), rel);
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

static int plan_files(struct ibb_pb *b)
{
	const struct ibb_package *p = b->pkg->package;
	struct ibb_keyset dirs = {0};
	char *repo = ibb_pb_fmt(b, "%s/%s", IBB_STORE_DIR, b->pkg->name);
	int stem = (int)(strlen(b->pkg->published) - 4), r;

	if (!repo)
		return ibb_err_nomem(b->err);
	r = op_mkdir(b, repo);
	for (size_t i = 0; i < p->n_files && !r; i++) {
		r = make_subdirs(b, repo, p->files[i].path, &dirs);
		if (!r)
			r = op_put(b, ibb_pb_fmt(b, "%s/%s", repo, p->files[i].path), &p->files[i],
				   "file of the driver package");
	}
	ibb_keyset_clear(&dirs);
	if (!r)
		r = op_put(b, ibb_pb_fmt(b, IBB_STORE_INF_DIR "/%s", b->pkg->published),
			   &p->files[0], "published INF");
	if (!r && p->signed_)
		r = op_put(b, ibb_pb_fmt(b, IBB_STORE_CAT_DIR "/%.*s.cat", stem, b->pkg->published),
			   &p->files[1], "published security catalog");
	return r;
}

/* ---- records ---- */

static const char *verdict(const struct ibb_package *p)
{
	return p->trust ? ibb_verdict_name(p->trust->judgement.verdict) : "not verified";
}

/*
 * The id under which the hardware dashboard signed it, as import writes it since 18362 for packages
 * that Microsoft signed (all OEM packages of three real hives; those of 1709 lack it).
 */
#define SUBMISSION_ID	    "Properties\\{4da162c1-5eb1-4140-a444-5064c9814e76}\\0009"
#define DEVPROP_TYPE_STRING 0xFFFF0012u
static int plan_submission(struct ibb_pb *b, const char *key)
{
	const struct ibb_package_trust *t = b->pkg->package->trust;
	const char *path;

	if (!b->fields.catalog || !t || !t->submission ||
	    (t->judgement.verdict != IBB_VERDICT_WHQL &&
	     t->judgement.verdict != IBB_VERDICT_ATTESTED))
		return IBB_OK;
	path = ibb_pb_fmt(b, "%s\\" SUBMISSION_ID, key);
	return ibb_pb_string(b, ibb_node_hive(b->pkg->node), path, "", DEVPROP_TYPE_STRING,
			     t->submission, "submission id of the driver package",
			     "security catalog: attribute Submission ID");
}

/* DriverPackages\<package>: the values of a package that was imported and not yet configured. */
static int plan_package_key(struct ibb_pb *b)
{
	const struct ibb_package *p = b->pkg->package;
	const struct ibb_inf_version *v = &p->version;
	struct ibb_version_blob blob = {.published = true,
					.arch = (uint16_t)p->target.arch,
					.class_guid = v->class_guid,
					.date = v->date};
	const char *key = ibb_pb_fmt(b, IBB_DATABASE "\\DriverPackages\\%s", b->pkg->name);
	const char *ver = ibb_pb_fmt(b, "%s:%u DriverVer", p->inf_name, v->driver_ver_line);
	const char *inf = ibb_pb_fmt(b, "%s [Version]", p->inf_name);
	const char *why = "driver package record";
	enum ibb_hive_id n = ibb_node_hive(b->pkg->node);
	uint8_t raw[IBB_VERSION_BLOB_SIZE];
	int r;

	if (!key || !ver || !inf)
		return ibb_err_nomem(b->err);
	memcpy(blob.version, v->version, sizeof(blob.version));
	ibb_version_blob_encode(&blob, raw);
	r = ibb_pb_string(b, n, key, "", IBB_REG_SZ, b->pkg->published, why, "published name");
	if (!r)
		r = ibb_pb_value(b, n, key, "Version", IBB_REG_BINARY, raw, sizeof(raw), why, ver);
	if (!r)
		r = ibb_pb_string(b, n, key, "Provider", IBB_REG_SZ, v->provider, why, inf);
	if (!r)
		r = ibb_pb_string(b, n, key, "InfName", IBB_REG_SZ, p->inf_name, why, inf);
	/* free text for Windows; fixed by the package, so that two machines write the same bytes */
	if (!r)
		r = ibb_pb_string(b, n, key, "OemPath", IBB_REG_SZ,
				  ibb_pb_fmt(b, "C:\\ibbake\\%s_%s", p->inf_name, v->version_text),
				  why, "where it came from: free text");
	if (!r && p->signed_)
		r = ibb_pb_string(
			b, n, key, "SignerName", IBB_REG_SZ, p->signer.name, why,
			ibb_pb_fmt(b, "%s: signer's certificate, %s", p->catalog_name, verdict(p)));
	if (!r)
		r = ibb_pb_dword(b, n, key, "SignerScore", b->pkg->signer_score, why,
				 ibb_pb_fmt(b, "class of the signer, %s", verdict(p)));
	if (!r && b->pkg->status_flags)
		r = ibb_pb_dword(b, n, key, "StatusFlags", b->pkg->status_flags, why, inf);
	if (!r && b->fields.catalog && p->signed_)
		r = ibb_pb_string(b, n, key, "Catalog", IBB_REG_SZ, p->catalog_name, why,
				  ibb_pb_fmt(b, "%s:%u CatalogFile", p->inf_name, v->catalog_line));
	if (!r && b->fields.import_date)
		r = ibb_pb_filetime(b, n, key, "ImportDate", why);
	return r ? r : plan_submission(b, key);
}

static int plan_inf_key(struct ibb_pb *b)
{
	const char *key = ibb_pb_fmt(b, IBB_DATABASE "\\DriverInfFiles\\%s", b->pkg->published);
	const char *why = "published name points to its package";
	enum ibb_hive_id hive = ibb_node_hive(b->pkg->node);
	int r = key ? IBB_OK : ibb_err_nomem(b->err);

	if (!r)
		r = ibb_pb_string(b, hive, key, "", IBB_REG_MULTI_SZ, b->pkg->name, why,
				  "package name");
	if (!r)
		r = ibb_pb_string(b, hive, key, "Active", IBB_REG_SZ, b->pkg->name, why,
				  "package name");
	return r;
}

static int plan_device_ids(struct ibb_pb *b)
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
		r = ibb_pb_value(b, ibb_node_hive(b->pkg->node),
				 ibb_pb_fmt(b, IBB_DATABASE "\\DeviceIds\\%s", ids[i].id),
				 b->pkg->published, IBB_REG_BINARY, ids[i].data, 4,
				 "device ID served by the package",
				 ibb_pb_fmt(b, "%s:%u", p->inf_name, ids[i].line));
	if (r)
		return r;
	ibb_guid_format(&p->version.class_guid, guid);
	return ibb_pb_value(b, ibb_node_hive(b->pkg->node),
			    ibb_pb_fmt(b, IBB_DATABASE "\\DeviceIds\\%s", guid), b->pkg->published,
			    IBB_REG_NONE, NULL, 0, "class of the package",
			    ibb_pb_fmt(b, "%s ClassGuid", p->inf_name));
}

/* ---- one package ---- */

static int choose_node(struct ibb_pb *b)
{
	const struct ibb_package *p = b->pkg->package;
	bool critical;
	int r = ibb_facts_class_is_boot_critical(b->f, &p->version.class_guid, &critical, b->err);

	if (r)
		return r;
	b->pkg->node = critical ? IBB_NODE_SYSTEM : IBB_NODE_DRIVERS;
	b->pkg->node_reason = critical ? "the class key of the image marks the class boot-critical"
				       : "the class is not boot-critical in the image";
	return ibb_pb_decide_reflect(b, critical);
}

/* The lowest number that no file, key or map bit of the image uses. */
static int choose_number(struct ibb_pb *b)
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

bool ibb_plan_is_identical(const struct ibb_fact_package *e, const struct ibb_package *p)
{
	return e->oem && e->digest_known && same_digest(&e->inf_sha256, &p->files[0].sha256) &&
	       (!p->signed_ || same_digest(&e->cat_sha256, &p->files[1].sha256));
}

/* The package of the image with the same INF and catalog, as DISM reuses it. */
static const struct ibb_fact_package *find_identical(const struct ibb_facts *f,
						     const struct ibb_package *p)
{
	for (size_t i = 0; i < f->n_packages; i++)
		if (ibb_plan_is_identical(&f->packages[i], p))
			return &f->packages[i];
	return NULL;
}

/* An identical package counts as staged only when the index leads to it. */
static int check_existing(struct ibb_pb *b)
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

static int take_existing(struct ibb_pb *b)
{
	struct ibb_plan_package *pp = b->pkg;
	const struct ibb_fact_package *e = pp->existing;
	int r;

	free(pp->name);
	pp->name = ibb_strdup(e->name);
	if (!pp->name)
		return ibb_err_nomem(b->err);
	pp->node = e->node;
	pp->node_reason = "already staged there";
	pp->oem_number = e->oem_number;
	snprintf(pp->published, sizeof(pp->published), "oem%u.inf", e->oem_number);
	r = check_existing(b);
	return r ? r : ibb_pb_decide_existing(b);
}

static int check_name_free(struct ibb_pb *b)
{
	for (size_t i = 0; i < b->f->n_packages; i++)
		if (ibb_caseeq(b->f->packages[i].name, b->pkg->name))
			return ibb_err(b->err, IBB_E_CONFLICT,
				       "the image records a driver package %s whose files are "
				       "missing or different",
				       b->pkg->name);
	/* the name comes from INF and catalog alone */
	for (const struct ibb_plan_package *o = b->plan->packages; o < b->pkg; o++)
		if (ibb_caseeq(o->name, b->pkg->name))
			return ibb_err(b->err, IBB_E_CONFLICT,
				       "%s/%s and %s/%s have the same INF and catalog, but other "
				       "files differ",
				       o->package->dir, o->package->inf_name, b->pkg->package->dir,
				       b->pkg->package->inf_name);
	return IBB_OK;
}

int ibb_pb_stage(struct ibb_pb *b)
{
	IBB_AUTO(ibb_configuration_free) struct ibb_configuration *c = NULL;
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
	if (!r && pp->reflect.done)
		r = ibb_pb_configure(b, &c);
	if (!r)
		r = plan_files(b);
	if (!r)
		r = plan_package_key(b);
	if (!r)
		r = plan_inf_key(b);
	if (!r)
		r = plan_device_ids(b);
	return r || !c ? r : ibb_pb_reflect(b, c);
}
