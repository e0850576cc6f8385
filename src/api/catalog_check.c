/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_catalog_check(): driver catalogs, and the packages that they pin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api/catalogs.h"
#include "api/doc.h"
#include "api/packages.h"
#include "api/sources.h"
#include "api/session.h"
#include "api/trust.h"
#include "base/limits.h"
#include "catalog/check.h"
#include "driver/trust.h"
#include "volume/volume.h"

struct checking {
	const struct ibb_request *q;
	const struct ibb_catalog *c;
	struct ibb_trust_policy policy;
	struct ibb_findings *f;
	size_t packages, pinned; /* looked at; files that are as pinned */
	size_t pins;		 /* files that are pinned, of the packages looked at */
	struct ibb_error *err;
};

static void date_of(int64_t unix_time, char out[16])
{
	time_t t = (time_t)unix_time;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm))
		strcpy(out, "9999-12-31");
}

/* ---- packages ---- */

static const struct ibb_package_file *file_named(const struct ibb_package *p, const char *name)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (strcasecmp(p->files[i].path, name) == 0)
			return &p->files[i];
	return NULL;
}

/* The judgement ends at the first file that is no member: what comes behind was not looked at. */
static bool is_stranger(const struct ibb_package *p, const char *name)
{
	for (size_t i = 0; i < p->trust->n_files; i++)
		if (strcasecmp(p->trust->files[i].path, name) == 0)
			return !p->trust->files[i].member;
	return false;
}

/* "24.4.26429" pins what its INF calls 24.4.26429.0. */
static bool is_version(const struct ibb_package *p, const char *driver_version)
{
	size_t n = driver_version ? strlen(driver_version) : 0;
	const char *have = p->version.version_text;

	return n && have && strncmp(have, driver_version, n) == 0 && (!have[n] || have[n] == '.');
}

static int compare(struct checking *k, const struct ibb_package *p, const struct ibb_release *r,
		   const struct ibb_release_file *pin, const struct ibb_sha256 *have)
{
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(have, hex);
	if (strcasecmp(hex, pin->sha256) == 0) {
		k->pinned++;
		return IBB_OK;
	}
	return ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, pin->name, k->err,
				"has the SHA-256 %s, release %s pins %s", hex, r->id, pin->sha256);
}

/* What the INF does not name is no part of the package, and no security catalog speaks of it. */
static int check_beside(struct checking *k, const struct ibb_package *p, const char *host,
			const struct ibb_release *r, const struct ibb_release_file *pin)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO_BUF struct ibb_buf data = {0};
	struct ibb_error why = {0};
	struct ibb_sha256 have;
	int rc = ibb_volume_open_dir(host, &v, &why);

	if (!rc)
		rc = ibb_volume_read(v, pin->name, IBB_LIMIT_PACKAGE_BYTES, &data, &why);
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(k->err);
	if (rc == IBB_E_NOTFOUND)
		return ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, pin->name, k->err,
					"release %s pins it, but it is not there", r->id);
	if (rc)
		return ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, pin->name, k->err,
					"release %s pins it, but it cannot be read: %s", r->id,
					why.msg);
	if (ibb_sha256(data.data, data.len, &have))
		return ibb_err_nomem(k->err);
	rc = compare(k, p, r, pin, &have);
	return rc ? rc
		  : ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, pin->name, k->err,
				     "release %s pins it, but %s does not name it: no security "
				     "catalog covers it",
				     r->id, p->inf_name);
}

static int check_file(struct checking *k, const struct ibb_package *p, const char *host,
		      const struct ibb_release *r, const struct ibb_release_file *pin)
{
	const struct ibb_package_file *file = file_named(p, pin->name);
	int rc;

	k->pins++;
	if (!file)
		return check_beside(k, p, host, r, pin);
	rc = compare(k, p, r, pin, &file->sha256);
	if (!rc && is_stranger(p, pin->name))
		rc = ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, file->path, k->err,
				      "release %s pins it, but it is not a member of its own "
				      "security catalog: %s",
				      r->id, p->trust->judgement.reason);
	return rc;
}

/* A package of a pinned release: its files, or why nobody vouches for any of them. */
static int check_pins(struct checking *k, const struct ibb_package *p, const char *host,
		      const struct ibb_release *r)
{
	int rc = IBB_OK;

	if (!p->trust->n_files)
		rc = ibb_findings_add(k->f, IBB_SEV_ERROR, p->dir, p->inf_name, k->err,
				      "release %s pins its files, but no security catalog vouches "
				      "for them: %s",
				      r->id, p->trust->judgement.reason);
	for (size_t i = 0; i < r->n_files && !rc; i++)
		rc = check_file(k, p, host, r, &r->files[i]);
	return rc;
}

static int check_package(struct checking *k, struct ibb_package *p, const char *host)
{
	int rc = ibb_package_judge(p, &k->policy, k->err);

	for (size_t i = 0; i < ibb_catalog_n_releases(k->c) && !rc; i++) {
		const struct ibb_release *r = ibb_catalog_release_at(k->c, i);
		bool named = false;

		for (size_t m = 0; m < r->n_files; m++)
			named |= strcasecmp(r->files[m].name, p->inf_name) == 0;
		if (!named || !is_version(p, r->driver_version))
			continue;
		rc = check_pins(k, p, host, r);
	}
	return rc;
}

static struct ibb_inf_target target_of(const struct ibb_windows *w)
{
	return (struct ibb_inf_target){.arch = IBB_ARCH_AMD64,
				       .major = w->major,
				       .minor = w->minor,
				       .build = w->build,
				       .product_type = w->server ? 3 : 1};
}

/* An INF: judged as a package, or why not. */
struct seen_inf {
	char *path, *reason; /* reason: NULL, or what was wrong with it first */
	int code;
	bool judged;
};
struct seen_infs {
	struct seen_inf *v;
	size_t n, cap;
};

static void free_seen(struct seen_infs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].path);
		free(s->v[i].reason);
	}
	free(s->v);
}

/* The record of an INF, a new one when there is none; takes path, which NULL makes IBB_E_NOMEM. */
static int seen_inf(struct checking *k, struct seen_infs *s, char *path, struct seen_inf **ret)
{
	IBB_AUTO_FREE char *own = path;

	for (size_t i = 0; own && i < s->n; i++)
		if (strcmp(s->v[i].path, own) == 0) {
			*ret = &s->v[i];
			return IBB_OK;
		}
	if (!own || ibb_grow(&s->v, &s->cap, s->n, sizeof(*s->v)))
		return ibb_err_nomem(k->err);
	*ret = &s->v[s->n++];
	**ret = (struct seen_inf){.path = IBB_TAKE(own)};
	return IBB_OK;
}

static int note_package(struct checking *k, const struct ibb_package_set *set,
			struct ibb_package *p, struct seen_infs *seen)
{
	struct seen_inf *inf;
	int rc = seen_inf(k, seen, ibb_asprintf("%s/%s", p->dir, p->inf_name), &inf);

	if (rc || inf->judged)
		return rc;
	inf->judged = true;
	k->packages++;
	return check_package(k, p, ibb_package_set_host(set, p->dir));
}

/* A fault outweighs that there is nothing for a Windows in it. */
static int note_passed(struct checking *k, const struct ibb_passed_over *x, struct seen_infs *seen)
{
	struct seen_inf *inf;
	int rc;

	if (!x->bad)
		return IBB_OK;
	rc = seen_inf(k, seen, ibb_strdup(x->path), &inf);
	if (rc || (inf->reason && (inf->code != IBB_E_UNSUPPORTED || x->code == IBB_E_UNSUPPORTED)))
		return rc;
	free(inf->reason);
	inf->code = x->code;
	inf->reason = ibb_strdup(x->reason);
	return inf->reason ? IBB_OK : ibb_err_nomem(k->err);
}

static int check_found(struct checking *k, struct ibb_package_set *set, struct seen_infs *seen)
{
	int rc = IBB_OK;

	for (size_t i = 0; i < set->n && !rc; i++)
		rc = note_package(k, set, set->packages[i], seen);
	for (size_t i = 0; i < set->n_passed && !rc; i++)
		rc = note_passed(k, &set->passed[i], seen);
	return rc;
}

/* A package that was judged for one Windows need not be for every other one. */
static int tell_unjudged(struct checking *k, const struct seen_infs *seen)
{
	int rc = IBB_OK;

	for (size_t i = 0; i < seen->n && !rc; i++) {
		const struct seen_inf *inf = &seen->v[i];

		if (inf->reason && !(inf->judged && inf->code == IBB_E_UNSUPPORTED))
			rc = ibb_findings_add(k->f, IBB_SEV_ERROR, inf->path, "", k->err, "%s",
					      inf->reason);
	}
	if (!rc && !seen->n)
		rc = ibb_findings_add(k->f, IBB_SEV_WARNING, k->q->driver_dirs[0], "", k->err,
				      "no driver package in it");
	return rc;
}

/* Every Windows reads its own models of an INF; the first that has some will do. */
static int check_dirs(struct checking *k, const struct ibb_sources *from)
{
	struct ibb_package_search how = {.dirs = (const char *const *)from->dirs,
					 .names = (const char *const *)from->names,
					 .n_dirs = from->n_dirs,
					 .recurse = true,
					 .keep_going = true};
	struct seen_infs seen = {0};
	int rc = IBB_OK;

	for (size_t i = ibb_catalog_n_windows(k->c); i-- > 0 && !rc;) {
		struct ibb_package_set set = {0};
		struct ibb_inf_target t;
		struct ibb_windows w;

		ibb_catalog_windows_at(k->c, i, &w);
		if (w.major < 6 || (w.major == 6 && w.minor < 2))
			continue;
		t = target_of(&w);
		rc = ibb_packages_find(&how, &t, &set, k->err);
		if (!rc)
			rc = check_found(k, &set, &seen);
		ibb_package_set_clear(&set);
	}
	if (!rc)
		rc = tell_unjudged(k, &seen);
	free_seen(&seen);
	return rc;
}

/* An archive is no directory, but it has packages. */
static int warn_source(void *ctx, const char *text, struct ibb_error *err)
{
	struct checking *k = ctx;

	return ibb_findings_add(k->f, IBB_SEV_WARNING, k->q->driver_dirs[0], "", err, "%s", text);
}

static int check_sources(struct checking *k)
{
	struct ibb_sources from = {0};
	int rc = ibb_sources_open(k->q, &from, k->err);

	if (rc)
		return rc;
	rc = check_dirs(k, &from);
	if (!rc)
		rc = ibb_sources_warnings(&from, warn_source, k, k->err);
	ibb_sources_close(&from);
	return rc;
}

static int check_packages(struct checking *k)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	IBB_AUTO_FREE struct ibb_trust_file *files = NULL;
	int rc;

	if (!k->q->n_driver_dirs)
		return IBB_OK;
	rc = ibb_trust_open(k->q, &store, &files, k->err);
	if (rc)
		return rc;
	k->policy = (struct ibb_trust_policy){.store = store,
					      .now = k->q->now ? k->q->now : k->q->unix_time};
	return check_sources(k);
}

/* ---- the document ---- */

static void findings_json(const struct ibb_findings *f, struct ibb_jb *b, struct ibb_json *root,
			  size_t count[3])
{
	struct ibb_json *list = ibb_jb_array(b, root, "findings");

	for (unsigned s = IBB_SEV_ERROR; s <= IBB_SEV_NOTE; s++)
		for (size_t i = 0; i < f->n; i++) {
			struct ibb_json *o;

			if (f->v[i].severity != (enum ibb_severity)s)
				continue;
			count[s]++;
			o = ibb_jb_object(b, list, NULL);
			ibb_jb_str(b, o, "severity", ibb_severity_name(f->v[i].severity));
			ibb_jb_str(b, o, "file", f->v[i].file);
			ibb_jb_str(b, o, "path", f->v[i].path);
			ibb_jb_str(b, o, "text", f->v[i].text);
		}
	ibb_jb_int(b, root, "errors", (int64_t)count[IBB_SEV_ERROR]);
	ibb_jb_int(b, root, "warnings", (int64_t)count[IBB_SEV_WARNING]);
	ibb_jb_int(b, root, "notes", (int64_t)count[IBB_SEV_NOTE]);
}

/* What cannot be read at all is a finding like any other; its message begins with the name. */
static int unreadable(const struct ibb_catalog_files *files, const char *msg,
		      struct ibb_findings *f, struct ibb_error *err)
{
	for (size_t i = 0; i < files->n; i++) {
		const char *name = files->texts[i].name;
		size_t n = strlen(name);

		if (strncmp(msg, name, n) == 0 && msg[n] == ':')
			return ibb_findings_add(f, IBB_SEV_ERROR, name, "", err, "%s",
						msg + n + 1 + (msg[n + 1] == ' '));
	}
	return ibb_findings_add(f, IBB_SEV_ERROR, files->texts[0].name, "", err, "%s", msg);
}

static int load(const struct ibb_catalog_files *files, struct ibb_findings *f,
		struct ibb_catalog **ret, struct ibb_error *err)
{
	struct ibb_error why = {0};
	int rc = ibb_catalog_load_checked(files->texts, files->n, f, ret, &why);

	if (rc == IBB_E_CORRUPT)
		return unreadable(files, why.msg, f, err);
	if (rc)
		*err = why;
	return rc;
}

static int judge(const struct ibb_request *q, const struct ibb_catalog *c, struct ibb_findings *f,
		 struct checking *k, struct ibb_error *err)
{
	char today[16];
	int rc;

	date_of(q->reproducible || !q->now ? q->unix_time : q->now, today);
	rc = ibb_catalog_judge(c, today, f, err);
	*k = (struct checking){.q = q, .c = c, .f = f, .err = err};
	return rc ? rc : check_packages(k);
}

static int print(const struct ibb_catalog_files *files, const struct ibb_catalog *c,
		 const struct ibb_findings *f, const struct checking *k, char **ret_json,
		 struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_doc_begin(&b, "ibbake-catalog-check/1"), *list;
	size_t count[3] = {0};
	int rc;

	list = ibb_jb_array(&b, root, "files");
	for (size_t i = 0; i < files->n; i++)
		ibb_jb_str(&b, list, NULL, files->texts[i].name);
	/* overlaps, gaps and dates are judged in a catalog without faults only */
	ibb_jb_bool(&b, root, "judged", c != NULL);
	findings_json(f, &b, root, count);
	ibb_jb_int(&b, root, "packages", (int64_t)k->packages);
	ibb_jb_int(&b, root, "pins", (int64_t)k->pins);
	ibb_jb_int(&b, root, "pinned_files", (int64_t)k->pinned);
	rc = ibb_doc_print(&b, ret_json, err);
	if (rc || !count[IBB_SEV_ERROR])
		return rc;
	return ibb_err(err, IBB_E_CORRUPT, "%zu error%s in the driver catalog", count[0],
		       count[0] == 1 ? "" : "s");
}

int ibb_do_catalog_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	struct ibb_catalog_files files = {0};
	struct ibb_findings f = {0};
	struct checking k = {.q = q};
	int rc = ibb_doc_check_request(q, false, false, err);

	if (!rc)
		rc = ibb_catalog_files_read(q, &files, err);
	if (!rc)
		rc = load(&files, &f, &c, err);
	if (!rc && c)
		rc = judge(q, c, &f, &k, err);
	if (!rc)
		rc = print(&files, c, &f, &k, ret_json, err);
	ibb_findings_clear(&f);
	ibb_catalog_files_clear(&files);
	return rc;
}
