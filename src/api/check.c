/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_drivers_check(): packages and companion files judged alone, without an image. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/catalogs.h"
#include "api/doc.h"
#include "api/sources.h"
#include "api/trust.h"
#include "base/limits.h"
#include "base/utf16.h"

/* An INF that some Windows was asked about. */
struct seen {
	char *path;
	struct ibb_json *targets; /* NULL: it could not be loaded for any yet */
	size_t n_accepted;
	struct ibb_error why; /* the last refusal */
};

struct check {
	const struct ibb_request *q;
	struct ibb_catalog *catalog;
	struct ibb_trust_policy policy;
	struct ibb_windows *windows; /* to judge for */
	size_t n_windows;
	struct ibb_jb b;
	struct ibb_json *packages, *left_out, *companions, *warnings;
	struct seen *seen;
	size_t n_seen, cap_seen;
	struct ibb_sources sources;
	struct ibb_error refusal; /* the first */
	struct ibb_error *err;
};

static void refuse(struct check *c, const struct ibb_error *why)
{
	if (!c->refusal.code)
		c->refusal = *why;
}

/* ---- packages ---- */

static void target_json(struct check *c, const struct ibb_windows *w, const struct ibb_package *p,
			struct ibb_json *arr)
{
	struct ibb_json *o = ibb_jb_object(&c->b, arr, NULL);
	const struct ibb_judgement *g = &p->trust->judgement;
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_jb_str(&c->b, o, "windows", w->name);
	ibb_jb_fmt(&c->b, o, "version", "%u.%u.%u", w->major, w->minor, w->build);
	ibb_jb_str(&c->b, o, "kind", w->server ? "server" : "client");
	ibb_sha256_hex(&p->digest, hex);
	ibb_jb_str(&c->b, o, "sha256", hex);
	ibb_jb_str(&c->b, o, "verdict", ibb_verdict_name(g->verdict));
	ibb_jb_bool(&c->b, o, "accepted", p->trust->accepted);
	ibb_jb_bool(&c->b, o, "loads", g->loads);
	ibb_jb_str(&c->b, o, "reason", g->reason);
}

static struct ibb_inf_target target_of(const struct ibb_windows *w)
{
	return (struct ibb_inf_target){.arch = IBB_ARCH_AMD64,
				       .major = w->major,
				       .minor = w->minor,
				       .build = w->build,
				       .product_type = w->server ? 3 : 1};
}

/* What could not even be loaded; its message begins with the path. */
static void left_out_json(struct check *c, const struct seen *s)
{
	struct ibb_json *o = ibb_jb_object(&c->b, c->left_out, NULL);

	ibb_jb_str(&c->b, o, "inf", s->path);
	ibb_jb_str(&c->b, o, "reason", s->why.msg + strlen(s->path) + 2);
}

static struct ibb_json *package_json(struct check *c, const struct ibb_package *p)
{
	struct ibb_json *o = ibb_jb_object(&c->b, c->packages, NULL), *list;
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(&p->digest, hex);
	ibb_jb_str(&c->b, o, "inf", p->inf_name);
	ibb_jb_str(&c->b, o, "directory", p->dir);
	ibb_jb_str(&c->b, o, "provider", p->version.provider);
	ibb_jb_str(&c->b, o, "version", p->version.version_text);
	ibb_jb_str(&c->b, o, "catalog", p->catalog_name);
	ibb_jb_str(&c->b, o, "sha256", hex);
	list = ibb_jb_array(&c->b, o, "files");
	for (size_t i = 0; i < p->trust->n_files; i++) {
		const struct ibb_file_trust *f = &p->trust->files[i];
		struct ibb_json *x = ibb_jb_object(&c->b, list, NULL);

		ibb_jb_str(&c->b, x, "path", f->path);
		ibb_jb_bool(&c->b, x, "member", f->member);
		ibb_jb_bool(&c->b, x, "pe", f->pe);
	}
	return o;
}

static struct seen *seen_before(struct check *c, const char *path)
{
	for (size_t i = 0; i < c->n_seen; i++)
		if (strcmp(c->seen[i].path, path) == 0)
			return &c->seen[i];
	return NULL;
}

static int see(struct check *c, const char *path, struct seen **ret)
{
	struct seen *s;

	if (ibb_grow(&c->seen, &c->cap_seen, c->n_seen, sizeof(*c->seen)))
		return ibb_err_nomem(c->err);
	s = &c->seen[c->n_seen];
	*s = (struct seen){.path = ibb_strdup(path)};
	if (!s->path)
		return ibb_err_nomem(c->err);
	c->n_seen++;
	*ret = s;
	return IBB_OK;
}

/* What the first Windows that it has models for makes of it is told in full. */
static int judge(struct check *c, const struct ibb_windows *w, struct ibb_package *p)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", p->dir, p->inf_name);
	struct seen *s;
	int r;

	if (!path)
		return ibb_err_nomem(c->err);
	r = ibb_package_judge(p, &c->policy, c->err);
	s = r ? NULL : seen_before(c, path);
	if (!r && !s)
		r = see(c, path, &s);
	if (r)
		return r;
	if (!s->targets) {
		struct ibb_json *o = package_json(c, p);

		ibb_package_trust_json(p, &c->b, o, "signature");
		s->targets = ibb_jb_array(&c->b, o, "targets");
	}
	target_json(c, w, p, s->targets);
	s->n_accepted += !ibb_package_trust_check(p, &s->why);
	return IBB_OK;
}

/* An INF that is for another Windows is none of this one's. */
static int note_failures(struct check *c, const struct ibb_package_set *set)
{
	for (size_t i = 0; i < set->n_passed; i++) {
		const struct ibb_passed_over *f = &set->passed[i];
		struct seen *s = seen_before(c, f->path);
		int r = !f->bad || s ? IBB_OK : see(c, f->path, &s);

		if (r)
			return r;
		if (f->bad && !s->targets)
			ibb_err(&s->why, f->code == IBB_E_CORRUPT ? f->code : IBB_E_UNTRUSTED,
				"%s: %s", f->path, f->reason);
	}
	return IBB_OK;
}

/* Models, files and even the catalog depend on the Windows: each is asked anew. */
static int judge_dir(struct check *c, const char *dir, const char *name)
{
	struct ibb_package_search how = {.dirs = &dir,
					 .names = &name,
					 .n_dirs = 1,
					 .recurse = c->q->recurse,
					 .keep_going = true};
	size_t before = c->n_seen, found = 0;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n_windows && !r; i++) {
		struct ibb_inf_target t = target_of(&c->windows[i]);
		struct ibb_package_set set = {0};

		r = ibb_packages_find(&how, &t, &set, c->err);
		for (size_t k = 0; k < set.n && !r; k++)
			r = judge(c, &c->windows[i], set.packages[k]);
		if (!r)
			r = note_failures(c, &set);
		found += set.n;
		ibb_package_set_clear(&set);
	}
	if (!r && !found && c->n_seen == before)
		r = ibb_err(c->err, IBB_E_UNSUPPORTED, "%s: no driver package", name ? name : dir);
	/* few are for every Windows: refused is what none of them takes */
	for (size_t i = before; i < c->n_seen && !r; i++) {
		if (!c->seen[i].n_accepted)
			refuse(c, &c->seen[i].why);
		if (!c->seen[i].targets)
			left_out_json(c, &c->seen[i]);
	}
	return r;
}

/* ---- companions ---- */

static int judge_file(struct check *c, const char *path)
{
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_companion companion;
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_sha256 digest;
	struct ibb_json *o;
	int r = ibb_read_file(path, IBB_LIMIT_PACKAGE_BYTES, &bytes, c->err);

	if (!r)
		r = ibb_companion_judge(path, ibb_buf_bytes(&bytes), NULL, &c->policy, &companion,
					c->err);
	if (!r && ibb_sha256(bytes.data, bytes.len, &digest))
		r = ibb_err_nomem(c->err);
	if (r)
		return r;
	ibb_sha256_hex(&digest, hex);
	o = ibb_jb_object(&c->b, c->companions, NULL);
	ibb_jb_str(&c->b, o, "path", path);
	ibb_jb_str(&c->b, o, "sha256", hex);
	ibb_jb_str(&c->b, o, "verdict", companion.accepted ? "companion" : "refused");
	ibb_jb_str(&c->b, o, "reason", companion.reason);
	ibb_jb_str(&c->b, o, "signer",
		   companion.has_signature ? companion.signature.signer.name : NULL);
	if (!companion.accepted) {
		struct ibb_error why = {0};

		ibb_err(&why, IBB_E_UNTRUSTED, "%s: %s", path, companion.reason);
		refuse(c, &why);
	}
	return IBB_OK;
}

/* ---- the document ---- */

static int choose_windows(struct check *c)
{
	size_t n = ibb_catalog_n_windows(c->catalog);
	int r = IBB_OK;

	c->windows = ibb_calloc_array(n + 1, sizeof(*c->windows));
	if (!c->windows)
		return ibb_err_nomem(c->err);
	if (c->q->os) {
		r = ibb_catalog_find_windows(c->catalog, c->q->os, &c->windows[0], c->err);
		c->n_windows = 1;
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		struct ibb_windows w;

		ibb_catalog_windows_at(c->catalog, i, &w);
		/* older ones have no driver database to stage into */
		if (w.major > 6 || (w.major == 6 && w.minor >= 2))
			c->windows[c->n_windows++] = w;
	}
	return c->n_windows ? IBB_OK
			    : ibb_err(c->err, IBB_E_UNSUPPORTED, "the catalog knows no Windows");
}

/* A file that is no archive is a companion. */
static int check_one(struct check *c, const char *path)
{
	struct ibb_sources *s = &c->sources;
	enum ibb_unpack_kind kind = IBB_UNPACK_NONE;
	struct stat st;
	bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	int r = IBB_OK;

	if (file && !ibb_case_suffix(path, ".inf"))
		r = ibb_unpack_detect(path, &kind, c->err);
	if (!r && file && !ibb_case_suffix(path, ".inf") && kind == IBB_UNPACK_NONE)
		return judge_file(c, path);
	if (!r)
		r = ibb_sources_add(s, path, NULL, c->err);
	return r ? r : judge_dir(c, s->dirs[s->n_dirs - 1], s->names[s->n_dirs - 1]);
}

static int warn(void *ctx, const char *text, struct ibb_error *err)
{
	(void)err;
	ibb_jb_str(&((struct check *)ctx)->b, ((struct check *)ctx)->warnings, NULL, text);
	return IBB_OK;
}

static int check_all(struct check *c)
{
	int r = choose_windows(c);

	for (size_t i = 0; i < c->q->n_driver_dirs && !r; i++)
		r = check_one(c, c->q->driver_dirs[i]);
	return r ? r : ibb_sources_warnings(&c->sources, warn, c, c->err);
}

int ibb_do_drivers_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	IBB_AUTO_FREE struct ibb_trust_file *files = NULL;
	struct check c = {.q = q,
			  .policy = {.now = q->now ? q->now : q->unix_time, .allow = q->allow},
			  .err = err};
	struct ibb_json *root;
	int r = ibb_doc_check_request(q, false, false, err);

	if (!r && !q->n_driver_dirs)
		r = ibb_err(err, IBB_E_INVALID, "no directory with driver packages was named");
	if (!r)
		r = ibb_session_catalog(q, &c.catalog, err);
	if (!r)
		r = ibb_trust_open(q, &store, &files, err);
	if (r) {
		ibb_catalog_free(c.catalog);
		return r;
	}
	c.policy.store = store;
	root = ibb_doc_begin(&c.b, "ibbake-check/1");
	c.packages = ibb_jb_array(&c.b, root, "packages");
	c.left_out = ibb_jb_array(&c.b, root, "left_out");
	c.companions = ibb_jb_array(&c.b, root, "companions");
	c.warnings = ibb_jb_array(&c.b, root, "warnings");
	ibb_catalog_conflicts_json(c.catalog, &c.b, c.warnings);
	ibb_sources_init(&c.sources, q);
	r = check_all(&c);
	ibb_sources_json(&c.sources, &c.b, root);
	ibb_sources_close(&c.sources);
	if (r)
		ibb_jb_clear(&c.b);
	else
		r = ibb_doc_print(&c.b, ret_json, err);
	for (size_t i = 0; i < c.n_seen; i++)
		free(c.seen[i].path);
	free(c.seen);
	free(c.windows);
	ibb_catalog_free(c.catalog);
	if (!r && c.refusal.code) {
		*err = c.refusal;
		r = c.refusal.code;
	}
	return r;
}
