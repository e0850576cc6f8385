/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/package.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "driver/index.h"
#include "driver/loader.h"
#include "driver/trust.h"

static void loader_clear(struct ibb_loader *l)
{
	for (size_t i = 0; i < l->n_wanted; i++) {
		free(l->wanted[i].path);
		free(l->wanted[i].cabinet_dir);
		ibb_buf_clear(&l->wanted[i].bytes);
	}
	free(l->wanted);
}

void ibb_package_free(struct ibb_package *p)
{
	if (!p)
		return;
	ibb_package_index_free(p->index);
	ibb_package_trust_free(p->trust);
	for (size_t i = 0; i < p->n_services; i++)
		free(p->services[i]);
	free(p->services);
	for (size_t i = 0; i < p->n_files; i++) {
		free(p->files[i].path);
		ibb_buf_clear(&p->files[i].bytes);
	}
	free(p->files);
	for (size_t i = 0; i < p->n_other_catalogs; i++) {
		free(p->other_catalogs[i].path);
		ibb_buf_clear(&p->other_catalogs[i].bytes);
	}
	free(p->other_catalogs);
	free(p->catalog_file);
	ibb_inf_free(p->inf);
	free(p->catalog_name);
	free(p->inf_name);
	free(p->dir);
	free(p);
}

int ibb_loader_add(struct ibb_loader *l, const char *path, struct ibb_buf *bytes)
{
	struct ibb_package *p = l->p;
	struct ibb_package_file *f;

	if (p->n_files >= IBB_LIMIT_PACKAGE_FILES)
		return ibb_err(l->err, IBB_E_LIMIT, "%s: %s asks for more than %u files",
			       l->src->dir, p->inf_name, IBB_LIMIT_PACKAGE_FILES);
	if (bytes->len > l->room)
		return ibb_err(l->err, IBB_E_LIMIT, "%s: the files of %s are more than %u bytes",
			       l->src->dir, p->inf_name, IBB_LIMIT_PACKAGE_BYTES);
	if (ibb_grow(&p->files, &p->cap_files, p->n_files, sizeof(*p->files)))
		return ibb_err_nomem(l->err);
	f = &p->files[p->n_files];
	*f = (struct ibb_package_file){.path = ibb_strdup(path)};
	if (!f->path || ibb_sha256(bytes->data, bytes->len, &f->sha256)) {
		free(f->path);
		return ibb_err_nomem(l->err);
	}
	f->bytes = *bytes;
	*bytes = (struct ibb_buf){0};
	p->n_files++;
	l->room -= f->bytes.len;
	return IBB_OK;
}

/* Read `path` and append it to the package's files. *ret_spelling may be NULL. */
static int add_file(struct ibb_loader *l, const char *path, uint64_t limit, char **ret_spelling)
{
	IBB_AUTO_FREE char *spelling = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	int rc = l->src->read(l->src->ctx, path, limit < l->room ? limit : l->room, &bytes,
			      &spelling, l->err);

	if (!rc)
		rc = ibb_loader_add(l, path, &bytes);
	if (!rc && ret_spelling)
		*ret_spelling = IBB_TAKE(spelling);
	return rc;
}

static int load_inf(struct ibb_loader *l, const char *inf_name)
{
	struct ibb_package *p = l->p;
	const char *why = ibb_name_problem(inf_name, strlen(inf_name));
	char *spelling = NULL;
	int rc;

	if (why || !ibb_case_suffix(inf_name, ".inf"))
		return ibb_err(l->err, IBB_E_INVALID, "'%s' is no INF file name%s%s", inf_name,
			       why ? ": " : "", why ? why : "");
	p->inf_name = ibb_strdup(inf_name);
	if (!p->inf_name)
		return ibb_err_nomem(l->err);
	rc = add_file(l, inf_name, IBB_LIMIT_INF_BYTES, &spelling);
	if (rc)
		return rc;
	free(p->inf_name);
	p->inf_name = spelling;
	free(p->files[0].path);
	p->files[0].path = ibb_strdup(spelling);
	if (!p->files[0].path)
		return ibb_err_nomem(l->err);
	rc = ibb_inf_parse(p->inf_name, ibb_buf_bytes(&p->files[0].bytes), &p->inf, l->err);
	if (!rc)
		rc = ibb_inf_models(p->inf, &p->target, &p->models, l->err);
	if (!rc && l->src->accept && !l->src->accept(l->src->ctx, &p->models))
		rc = ibb_err(l->err, IBB_E_UNSUPPORTED,
			     "%s serves none of the device IDs asked for", p->inf_name);
	if (!rc)
		rc = ibb_inf_version(p->inf, &p->target, &p->version, l->err);
	return rc ? ibb_err_prefix(l->err, rc, "%s", l->src->dir) : IBB_OK;
}

static int load_catalog(struct ibb_loader *l)
{
	struct ibb_package *p = l->p;
	const char *name = p->version.catalog;
	const char *why;
	int rc;

	if (!name)
		return IBB_OK;
	why = ibb_name_problem(name, strlen(name));
	if (why)
		return ibb_err(l->err, IBB_E_CORRUPT, "%s/%s:%u: catalog '%s': %s", l->src->dir,
			       p->inf_name, p->version.catalog_line, name, why);
	p->catalog_name = ibb_strdup(name);
	if (!p->catalog_name)
		return ibb_err_nomem(l->err);
	rc = add_file(l, name, IBB_LIMIT_CAT_BYTES, &p->catalog_file);
	if (rc == IBB_E_NOTFOUND)
		return ibb_err(l->err, rc, "%s:%u names the catalog %s, which %s lacks",
			       p->inf_name, p->version.catalog_line, name, l->src->dir);
	if (rc)
		return rc;
	rc = ibb_cat_signer(name, ibb_buf_bytes(&p->files[1].bytes), &p->signer, l->err);
	if (rc)
		return ibb_err_prefix(l->err, rc, "%s", l->src->dir);
	p->signed_ = true;
	return ibb_loader_other_catalogs(l);
}

/* A path of the INF, '\\' separators, "" for none, in normal form. */
static int normalize(struct ibb_loader *l, unsigned line, const char *inf_path, char **ret)
{
	int rc;

	if (!*inf_path) {
		*ret = ibb_strdup("");
		return *ret ? IBB_OK : ibb_err_nomem(l->err);
	}
	rc = ibb_path_normalize(inf_path, ret, l->err);
	if (rc == IBB_E_INVALID)
		rc = IBB_E_CORRUPT; /* the INF says so, not the caller */
	return rc ? ibb_err_prefix(l->err, rc, "%s/%s:%u", l->src->dir, l->p->inf_name, line) : rc;
}

static int want(struct ibb_loader *l, const struct ibb_inf_file *f)
{
	IBB_AUTO_FREE char *joined = NULL, *path = NULL, *cabinet_dir = NULL;
	int rc;

	joined = ibb_asprintf("%s%s%s", f->source_dir, *f->source_dir ? "/" : "", f->source);
	if (!joined || ibb_grow(&l->wanted, &l->cap_wanted, l->n_wanted, sizeof(*l->wanted)))
		return ibb_err_nomem(l->err);
	rc = normalize(l, f->line, joined, &path);
	if (!rc)
		rc = normalize(l, f->line, f->cabinet_dir, &cabinet_dir);
	if (rc)
		return rc;
	l->wanted[l->n_wanted++] = (struct ibb_wanted){.path = IBB_TAKE(path),
						       .cabinet = f->cabinet,
						       .cabinet_dir = IBB_TAKE(cabinet_dir),
						       .cabinet_first = f->cabinet_first,
						       .line = f->line};
	return IBB_OK;
}

static int compare_wanted(const void *pa, const void *pb)
{
	const struct ibb_wanted *a = pa, *b = pb;
	int r = ibb_casecmp(a->path, b->path);

	return r ? r : (a->line > b->line) - (a->line < b->line);
}

static int collect_wanted(struct ibb_loader *l)
{
	struct ibb_inf_files files;
	int rc = ibb_inf_files(l->p->inf, &l->p->target, &files, l->err);

	if (rc)
		return ibb_err_prefix(l->err, rc, "%s", l->src->dir);
	for (size_t i = 0; i < files.n; i++) {
		rc = want(l, &files.files[i]);
		if (rc)
			return rc;
	}
	if (l->n_wanted)
		qsort(l->wanted, l->n_wanted, sizeof(*l->wanted), compare_wanted);
	return IBB_OK;
}

/* By its name, then compressed beside the INF; what is in a cabinet is only marked. */
static int load_one(struct ibb_loader *l, struct ibb_wanted *w)
{
	int rc = IBB_E_NOTFOUND;

	if (!w->cabinet_first)
		rc = add_file(l, w->path, IBB_LIMIT_PACKAGE_BYTES, NULL);
	if (rc == IBB_E_NOTFOUND && !w->cabinet_first)
		rc = ibb_loader_expand(l, w);
	if (rc != IBB_E_NOTFOUND)
		return rc;
	w->packed = ibb_wanted_has_cabinet(w);
	if (w->packed)
		return IBB_OK;
	return ibb_err(l->err, IBB_E_NOTFOUND, "%s:%u asks for %s, which %s lacks", l->p->inf_name,
		       w->line, w->path, l->src->dir);
}

static int by_path(const void *a, const void *b)
{
	const struct ibb_package_file *x = a, *y = b;

	return ibb_casecmp(x->path, y->path);
}

static int load_wanted(struct ibb_loader *l)
{
	struct ibb_package *p = l->p;
	size_t fixed = p->n_files;
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < l->n_wanted; i++) {
		struct ibb_wanted *w = &l->wanted[i];
		bool have = i && ibb_caseeq(w->path, w[-1].path);

		for (size_t k = 0; k < fixed; k++) /* the INF or the catalog itself */
			have |= ibb_caseeq(w->path, p->files[k].path);
		if (!have)
			rc = load_one(l, w);
	}
	if (!rc)
		rc = ibb_loader_unpack(l);
	if (!rc && p->n_files > fixed)
		qsort(p->files + fixed, p->n_files - fixed, sizeof(*p->files), by_path);
	return rc;
}

static int add_service(struct ibb_loader *l, const char *name)
{
	struct ibb_package *p = l->p;

	for (size_t i = 0; i < p->n_services; i++)
		if (ibb_caseeq(p->services[i], name))
			return IBB_OK;
	if (ibb_grow(&p->services, &p->cap_services, p->n_services, sizeof(*p->services)))
		return ibb_err_nomem(l->err);
	p->services[p->n_services] = ibb_strdup(name);
	if (!p->services[p->n_services])
		return ibb_err_nomem(l->err);
	p->n_services++;
	return IBB_OK;
}

/* What any of the chosen models' install sections does, the package does. */
static int unite_installs(struct ibb_loader *l)
{
	struct ibb_package *p = l->p;
	const struct ibb_inf_install *last = NULL;

	for (size_t i = 0; i < p->models.n; i++) {
		const struct ibb_inf_install *inst = NULL;
		int rc = ibb_inf_install(p->inf, &p->target, p->models.models[i].install_section,
					 &inst, l->err);

		if (rc)
			return ibb_err_prefix(l->err, rc, "%s", l->src->dir);
		if (inst == last)
			continue;
		last = inst;
		p->copies_files |= inst->copies_files;
		p->outside_store |= inst->outside_store;
		p->absolute_addreg |= inst->absolute_addreg;
		p->coinstallers |= inst->coinstallers;
		p->has_includes |= inst->n_includes > 0;
		if (!inst->service || !*inst->service)
			continue;
		p->boot_start_service |= inst->service_start == 0;
		rc = add_service(l, inst->service);
		if (rc)
			return rc;
	}
	return IBB_OK;
}

static int compare_files(const void *pa, const void *pb)
{
	const struct ibb_package_file *const *a = pa, *const *b = pb;

	return ibb_casecmp((*a)->path, (*b)->path);
}

static int hash_files(const struct ibb_package_file *const *order, size_t n, struct ibb_hasher *h)
{
	for (size_t i = 0; i < n; i++) {
		IBB_AUTO_FREE char *path = ibb_strdup(order[i]->path);

		if (!path)
			return IBB_E_NOMEM;
		ibb_ascii_lower(path);
		if (ibb_hasher_update(h, path, strlen(path) + 1) ||
		    ibb_hasher_update(h, order[i]->sha256.b, IBB_SHA256_SIZE))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}

int ibb_package_make_digest(const struct ibb_package *p, struct ibb_sha256 *ret,
			    struct ibb_error *err)
{
	IBB_AUTO_FREE const struct ibb_package_file **order = NULL;
	struct ibb_hasher *h = NULL;

	order = ibb_calloc_array(p->n_files, sizeof(*order));
	if (!order)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < p->n_files; i++)
		order[i] = &p->files[i];
	qsort(order, p->n_files, sizeof(*order), compare_files);
	if (ibb_hasher_new(&h))
		return ibb_err_nomem(err);
	if (hash_files(order, p->n_files, h)) {
		ibb_hasher_free(h);
		return ibb_err_nomem(err);
	}
	return ibb_hasher_final(h, ret) ? ibb_err_nomem(err) : IBB_OK;
}

static int name_companions(struct ibb_loader *l)
{
	struct ibb_package *p = l->p;
	int rc = ibb_inf_copyinf(p->inf, &p->target, &p->n_companions, &p->companions, l->err);

	return rc ? ibb_err_prefix(l->err, rc, "%s", l->src->dir) : IBB_OK;
}

static int load(struct ibb_loader *l, const char *inf_name)
{
	int rc = load_inf(l, inf_name);

	if (!rc)
		rc = load_catalog(l);
	if (!rc)
		rc = unite_installs(l);
	if (!rc)
		rc = collect_wanted(l);
	if (!rc)
		rc = load_wanted(l);
	if (!rc)
		rc = name_companions(l);
	if (!rc)
		rc = ibb_package_make_digest(l->p, &l->p->digest, l->err);
	return rc;
}

int ibb_package_load(const struct ibb_package_source *src, const char *inf_name,
		     const struct ibb_inf_target *target, struct ibb_package **ret,
		     struct ibb_error *err)
{
	IBB_AUTO(ibb_package_free) struct ibb_package *p = ibb_zalloc(sizeof(*p));
	struct ibb_loader l = {.src = src, .p = p, .room = IBB_LIMIT_PACKAGE_BYTES, .err = err};
	int rc;

	if (!p)
		return ibb_err_nomem(err);
	p->target = *target;
	p->dir = ibb_strdup(src->dir);
	if (!p->dir)
		return ibb_err_nomem(err);
	rc = load(&l, inf_name);
	loader_clear(&l);
	if (rc)
		return rc;
	*ret = IBB_TAKE(p);
	return IBB_OK;
}
