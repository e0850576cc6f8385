/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_drivers_list(): what is staged in an image. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/doc.h"
#include "api/parts.h"
#include "api/wims.h"
#include "base/time.h"

/* One package as it is shown and filtered. */
struct shown {
	const struct ibb_fact_package *p;
	char class_guid[IBB_GUID_STR_SIZE], date[16], version[32];
	char *class_name; /* owned; NULL when the image has no such class */
};

static void describe(struct shown *s)
{
	const uint16_t *v = s->p->version.version;
	int y, m, d;

	if (!s->p->has_version)
		return;
	ibb_guid_format(&s->p->version.class_guid, s->class_guid);
	ibb_filetime_to_date(s->p->version.date, &y, &m, &d);
	snprintf(s->date, sizeof(s->date), "%04d-%02d-%02d", y, m, d);
	snprintf(s->version, sizeof(s->version), "%u.%u.%u.%u", v[0], v[1], v[2], v[3]);
}

/* The class's own name stands in its key; packages record only the GUID. */
static int name_class(const struct ibb_facts *f, struct shown *s, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	IBB_AUTO_FREE char *path = NULL;
	int r;

	if (!*s->class_guid)
		return IBB_OK;
	path = ibb_asprintf("%s\\Control\\Class\\%s", f->control_set, s->class_guid);
	if (!path)
		return ibb_err_nomem(err);
	r = ibb_hive_get_string(h, ibb_hive_root(h), path, "Class", &s->class_name, err);
	return r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT ? IBB_OK : r;
}

/* ---- filters ---- */

static const char *yes_no(bool v)
{
	return v ? "yes" : "no";
}

static const char *node_name(const struct ibb_fact_package *p)
{
	return p->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS";
}

static const char *inf_name(const struct ibb_fact_package *p)
{
	return p->inf_name ? p->inf_name : p->published;
}

/* Does the package match "KEY=PATTERN"? */
static int matches(const struct shown *s, const char *filter, bool *ret, struct ibb_error *err)
{
	const struct ibb_fact_package *p = s->p;
	const struct {
		const char *key, *value, *also;
	} keys[] = {
		{"published", p->published, NULL},
		{"inf", inf_name(p), NULL},
		{"package", p->name, NULL},
		{"provider", p->provider, NULL},
		{"class", s->class_name, s->class_guid},
		{"version", s->version, NULL},
		{"date", s->date, NULL},
		{"node", node_name(p), NULL},
		{"signer", p->signer, NULL},
		{"inbox", yes_no(!p->oem), NULL},
		{"in-use", yes_no(p->in_use), NULL},
		{"boot-critical", yes_no(p->boot_critical), NULL},
	};
	size_t n = strcspn(filter, "=");

	for (size_t i = 0; i < IBB_ARRAY_SIZE(keys) && filter[n]; i++) {
		const char *pattern = filter + n + 1;

		if (strlen(keys[i].key) != n || strncmp(keys[i].key, filter, n) != 0)
			continue;
		*ret = (keys[i].value && fnmatch(pattern, keys[i].value, FNM_CASEFOLD) == 0) ||
		       (keys[i].also && fnmatch(pattern, keys[i].also, FNM_CASEFOLD) == 0);
		return IBB_OK;
	}
	ibb_err(err, IBB_E_INVALID, "'%s' is no filter", filter);
	return ibb_err_hint(err, IBB_E_INVALID,
			    "KEY=PATTERN with * and ?; keys: published inf package provider class "
			    "version date node signer inbox in-use boot-critical");
}

static int wanted(const struct ibb_request *q, const struct shown *s, bool *ret,
		  struct ibb_error *err)
{
	int r = IBB_OK;

	*ret = true;
	for (size_t i = 0; i < q->n_filters && !r; i++) {
		bool match = false;

		r = matches(s, q->filters[i], &match, err);
		*ret &= match;
	}
	return r;
}

/* ---- the document ---- */

static int files_json(const struct ibb_session *s, const struct ibb_fact_package *p,
		      struct ibb_jb *b, struct ibb_json *obj, struct ibb_error *err)
{
	struct ibb_json *list;
	struct ibb_store_files files = {0};
	struct ibb_error sub = {0};
	int r = IBB_OK;

	/* of what came with Windows, INF and catalog lie elsewhere under names of their own */
	if (p->oem)
		r = ibb_facts_store_files(p, s->volume, &files, &sub);
	if (r == IBB_E_NOMEM || r == IBB_E_IO) {
		*err = sub;
		return r;
	}
	if (r) { /* a record that names no directory: unknown is not none */
		ibb_jb_null(b, obj, "files");
		return IBB_OK;
	}
	list = ibb_jb_array(b, obj, "files");
	for (size_t i = 0; i < files.n; i++)
		if (!files.entries[i].is_dir)
			ibb_jb_str(b, list, NULL, files.entries[i].path);
	ibb_store_files_clear(&files);
	return IBB_OK;
}

static int package_json(const struct ibb_session *s, const struct shown *x, struct ibb_jb *b,
			struct ibb_json *arr, struct ibb_error *err)
{
	const struct ibb_fact_package *p = x->p;
	struct ibb_json *o = ibb_jb_object(b, arr, NULL);

	ibb_jb_str(b, o, "published", p->published);
	ibb_jb_str(b, o, "inf", inf_name(p));
	ibb_jb_str(b, o, "package_name", p->name);
	ibb_jb_str(b, o, "provider", p->provider);
	ibb_jb_bool(b, o, "inbox", !p->oem);
	ibb_jb_str(b, o, "node", node_name(p));
	ibb_jb_bool(b, o, "boot_critical_class", p->boot_critical);
	ibb_jb_bool(b, o, "in_use", p->in_use);
	ibb_jb_str(b, o, "signer", p->signer);
	if (p->has_version) {
		ibb_jb_str(b, o, "class", x->class_name);
		ibb_jb_str(b, o, "class_guid", x->class_guid);
		ibb_jb_str(b, o, "date", x->date);
		ibb_jb_str(b, o, "version", x->version);
	}
	return files_json(s, p, b, o, err);
}

int ibb_drivers_list_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
			  struct ibb_error *err)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "packages");
	int r = IBB_OK;

	for (size_t i = 0; i < s->facts->n_packages && !r; i++) {
		struct shown x = {.p = &s->facts->packages[i]};
		bool show = false;

		describe(&x);
		r = name_class(s->facts, &x, err);
		if (!r)
			r = wanted(s->q, &x, &show, err);
		if (!r && show)
			r = package_json(s, &x, b, list, err);
		free(x.class_name);
	}
	return r;
}

static int list_doc(const struct ibb_session *s, char **ret_json, struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_doc_begin(&b, "ibbake-drivers/1");
	int r = ibb_drivers_list_json(s, &b, root, err);

	ibb_session_source_json(s, &b, root);
	if (r) {
		ibb_jb_clear(&b);
		return r;
	}
	return ibb_doc_print(&b, ret_json, err);
}

int ibb_do_drivers_list(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	bool wim = false;
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r)
		r = ibb_wims_asked(q, false, &wim, err);
	if (r)
		return r;
	if (wim)
		return ibb_wims_drivers_list(q, ret_json, err);
	r = ibb_session_open(&s, false, err);
	if (!r) {
		r = ibb_facts_check(s.facts, true, err);
		if (r)
			r = ibb_err_prefix(err, r, "%s", q->image);
	}
	if (!r)
		r = list_doc(&s, ret_json, err);
	ibb_session_clear(&s);
	return r;
}
