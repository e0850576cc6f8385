/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which packages the image makes use of, and which files a package consists of. */
#include "inspect/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/le.h"
#include "base/path.h"
#include "base/utf16.h"

/* ---- in use ---- */

struct usage {
	struct ibb_facts *f;
	const struct ibb_hive *h;
	bool service; /* Windows comes with services of its own packages, used or not */
};

static bool counts(const struct usage *u, const struct ibb_fact_package *p)
{
	return p->oem || !u->service;
}

static void mark(const struct usage *u, const char *inf, bool bound)
{
	for (size_t i = 0; i < u->f->n_packages; i++) {
		struct ibb_fact_package *p = &u->f->packages[i];

		if (p->published && ibb_caseeq(p->published, inf) && counts(u, p)) {
			p->in_use = true;
			p->bound |= bound;
		}
	}
}

static void mark_package(const struct usage *u, const char *name, size_t n)
{
	for (size_t i = 0; i < u->f->n_packages; i++) {
		struct ibb_fact_package *p = &u->f->packages[i];

		if (ibb_ncasecmp(p->name, strlen(p->name), name, n) == 0 && counts(u, p))
			p->in_use = true;
	}
}

/* A path that leads into a package's own directory: nothing there may go. */
static void mark_path(const struct usage *u, const char *path)
{
	static const char dir[] = "FileRepository";

	for (const char *s = path; *s; s++) {
		const char *name = s + sizeof(dir); /* behind the separator */

		if (!ibb_case_prefix(s, dir) || (name[-1] != '\\' && name[-1] != '/'))
			continue;
		mark_package(u, name, strcspn(name, "\\/"));
		return;
	}
}

/* A string that is not there, or is none, says nothing. */
static int get_string(const struct usage *u, ibb_key k, const char *value, char **ret,
		      struct ibb_error *err)
{
	int r = ibb_hive_get_string(u->h, k, "", value, ret, err);

	return r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT ? IBB_OK : r;
}

/*
 * "oem3.inf", "!<package>" (both in Owners of a service) or "oem3.inf:<device ID>,<section>" (a
 * device's configurations), one after the other, each with a NUL behind it.
 */
static int mark_strings(const struct usage *u, ibb_key k, const char *value, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	int r = ibb_hive_get(u->h, k, value, &type, &data, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	for (size_t off = 0, end; off + 1 < data.len; off = end + 2) {
		IBB_AUTO_FREE char *s = NULL;

		for (end = off; end + 1 < data.len && ibb_get_le16(data.data + end);)
			end += 2;
		s = ibb_utf8_from_utf16le(data.data + off, end - off);
		if (!s)
			return ibb_err_nomem(err);
		s[strcspn(s, ":")] = '\0';
		if (*s == '!')
			mark_package(u, s + 1, strlen(s + 1));
		else
			mark(u, s, false);
	}
	return IBB_OK;
}

/* InfPath: a published INF; of a printer driver the INF in the package's directory. */
static int mark_inf_path(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct usage *u = ctx;
	IBB_AUTO_FREE char *inf = NULL;
	int r = get_string(u, k, "InfPath", &inf, err);

	(void)name;
	if (r || !inf)
		return r;
	mark(u, inf, true);
	mark_path(u, inf);
	return IBB_OK;
}

/* The INFs that installed a service, and where its binary lies. */
static int mark_service(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct usage *u = ctx;
	IBB_AUTO_FREE char *image = NULL;
	int r = mark_strings(u, k, "Owners", err);

	(void)name;
	if (!r)
		r = get_string(u, k, "ImagePath", &image, err);
	if (!r && image)
		mark_path(u, image);
	return r;
}

/* DEVPKEY_Device_ExtendedConfigurationIds of devpkey.h: the Extension INFs a device is set up with,
 * which its software key does not name. */
#define EXTENDED_CONFIGURATIONS "Properties\\{540b947e-8b40-45bc-a8a2-6a0b894cbda2}\\000F"

static int mark_extensions(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct usage *u = ctx;
	ibb_key p;
	int r = ibb_hive_find(u->h, k, EXTENDED_CONFIGURATIONS, &p, err);

	(void)name;
	if (!r)
		r = mark_strings(u, p, "", err);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* The keys so many levels below `path` are looked at with fn. */
struct below {
	struct usage *u;
	unsigned levels;
	ibb_subkey_fn fn;
};

static int go_down(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	const struct below *b = ctx;
	struct below next = {b->u, b->levels - 1, b->fn};

	return b->levels ? ibb_hive_subkeys(b->u->h, k, go_down, &next, err)
			 : b->fn(b->u, k, name, err);
}

/*
 * Control\Class\{class}\NNNN is the software key of one device that has a driver.
 * Control\Network\{class}\{component} is a protocol, filter or client, which has no device.
 */
static int look_everywhere(struct usage *u, const char *control_set, struct ibb_error *err)
{
	const struct {
		const char *key;
		unsigned levels;
		ibb_subkey_fn fn;
	} places[] = {
		{"Control\\Class", 1, mark_inf_path},
		{"Control\\Network", 1, mark_inf_path},
		{"Control\\Print\\Environments", 3,
		 mark_inf_path}, /* <one>\Drivers\<version>\<driver> */
		{"Services", 0, mark_service},
		{"Enum", 2, mark_extensions},
	};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(places); i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s\\%s", control_set, places[i].key);
		struct below b = {u, places[i].levels, places[i].fn};
		ibb_key k;
		int r;

		if (!path)
			return ibb_err_nomem(err);
		r = ibb_hive_find(u->h, ibb_hive_root(u->h), path, &k, err);
		u->service = places[i].fn == mark_service;
		if (!r)
			r = ibb_hive_subkeys(u->h, k, go_down, &b, err);
		if (r && r != IBB_E_NOTFOUND)
			return r;
	}
	return IBB_OK;
}

int ibb_facts_read_usage(struct ibb_facts *f, struct ibb_error *err)
{
	struct usage u = {.f = f, .h = f->hives[IBB_HIVE_SYSTEM].hive};
	int r = IBB_OK;

	for (size_t i = 0; u.h && i < f->n_control_sets && !r; i++)
		r = look_everywhere(&u, f->control_sets[i], err);
	return r;
}

/* ---- files ---- */

struct listing {
	struct ibb_volume *v;
	const char *dir;
	struct ibb_store_files *out;
};

static int add_entry(struct ibb_store_files *s, const char *dir, const char *name, bool is_dir,
		     struct ibb_error *err)
{
	if (ibb_grow(&s->entries, &s->cap, s->n, sizeof(*s->entries)))
		return ibb_err_nomem(err);
	s->entries[s->n].path = ibb_asprintf("%s%s%s", dir, *name ? "/" : "", name);
	s->entries[s->n].is_dir = is_dir;
	return s->entries[s->n].path ? (s->n++, IBB_OK) : ibb_err_nomem(err);
}

static int list_entry(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct listing *l = ctx;

	if (type == IBB_FILE_OTHER)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s/%s is neither file nor directory",
			       l->dir, name);
	return add_entry(l->out, l->dir, name, type == IBB_FILE_DIRECTORY, err);
}

/* Breadth first: what is found behind the directory that is being listed is listed in its turn. */
static int list_tree(struct ibb_volume *v, const char *dir, struct ibb_store_files *s,
		     struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, dir, &st, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	r = add_entry(s, dir, "", st.type == IBB_FILE_DIRECTORY, err);
	for (size_t i = s->n - 1; !r && i < s->n; i++) {
		struct listing l = {v, s->entries[i].path, s};

		if (s->entries[i].is_dir)
			r = ibb_volume_list(v, l.dir, list_entry, &l, err);
	}
	return r;
}

int ibb_facts_store_files(const struct ibb_fact_package *p, struct ibb_volume *v,
			  struct ibb_store_files *ret, struct ibb_error *err)
{
	static const struct {
		const char *dir, *suffix;
	} published[] = {{IBB_STORE_INF_DIR, ".inf"},
			 {IBB_STORE_INF_DIR, ".PNF"},
			 {IBB_STORE_CAT_DIR, ".cat"}};
	struct ibb_store_files s = {0};
	IBB_AUTO_FREE char *dir = NULL;
	int stem = (int)(strlen(p->published) - 4), r;

	if (ibb_name_problem(p->name, strlen(p->name)))
		return ibb_err(err, IBB_E_CORRUPT, "driver package key '%s' is no directory name",
			       p->name);
	dir = ibb_asprintf("%s/%s", IBB_STORE_DIR, p->name);
	r = dir ? list_tree(v, dir, &s, err) : ibb_err_nomem(err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(published) && !r; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s/%.*s%s", published[i].dir, stem,
							p->published, published[i].suffix);

		r = path ? list_tree(v, path, &s, err) : ibb_err_nomem(err);
	}
	if (r) {
		ibb_store_files_clear(&s);
		return r;
	}
	*ret = s;
	return IBB_OK;
}

/* ---- files that a configuration copied ---- */

int ibb_facts_lockdown_path(const char *name, char **ret, struct ibb_error *err)
{
	static const char root[] = "%SystemRoot%", dir[] = "Windows/System32",
			  drivers[] = "Windows/System32/drivers";
	IBB_AUTO_FREE char *joined = NULL, *path = NULL, *parent = NULL;
	size_t n = strlen(root);
	int r;

	if (strncasecmp(name, root, n) != 0 || (name[n] != '/' && name[n] != '\\'))
		return IBB_E_NOTFOUND;
	joined = ibb_asprintf("Windows%s", name + n);
	if (!joined)
		return ibb_err_nomem(err);
	r = ibb_path_normalize(joined, &path, err);
	if (r)
		return r == IBB_E_NOMEM ? r : IBB_E_NOTFOUND;
	parent = ibb_strndup(path, ibb_path_dir_len(path));
	if (!parent)
		return ibb_err_nomem(err);
	/* the directories that packages copy to: nothing else is taken for a copied file */
	if (!ibb_caseeq(parent, dir) && !ibb_caseeq(parent, drivers))
		return IBB_E_NOTFOUND;
	*ret = IBB_TAKE(path);
	return IBB_OK;
}

bool ibb_facts_is_owner(const struct ibb_fact_package *p, const char *owner)
{
	if (*owner == '!')
		return ibb_caseeq(p->name, owner + 1);
	return p->published && ibb_caseeq(p->published, owner);
}

static int list_names(uint32_t type, const struct ibb_buf *list, const struct ibb_fact_package *p,
		      bool *ret, struct ibb_error *err)
{
	*ret = false;
	for (size_t off = 0, end; type == IBB_REG_MULTI_SZ && off + 1 < list->len; off = end + 2) {
		IBB_AUTO_FREE char *one = NULL;

		for (end = off; end + 1 < list->len && ibb_get_le16(list->data + end);)
			end += 2;
		if (end == off)
			break;
		one = ibb_utf8_from_utf16le(list->data + off, end - off);
		if (!one)
			return ibb_err_nomem(err);
		*ret |= ibb_facts_is_owner(p, one);
	}
	return IBB_OK;
}

struct copied {
	const struct ibb_hive *h;
	const struct ibb_fact_package *p;
	struct ibb_volume *v;
	struct ibb_store_files out;
};

static int look_at_lockdown(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct copied *c = ctx;
	IBB_AUTO_BUF struct ibb_buf owners = {0};
	IBB_AUTO_FREE char *path = NULL;
	struct ibb_stat st = {0};
	uint32_t type;
	bool ours = false;
	int r = ibb_hive_get(c->h, k, "Owners", &type, &owners, err);

	if (!r)
		r = list_names(type, &owners, c->p, &ours, err);
	if (!r && ours)
		r = ibb_facts_lockdown_path(name, &path, err);
	if (!r && ours)
		r = ibb_volume_stat(c->v, path, &st, err);
	if (!r && ours && st.type == IBB_FILE_REGULAR)
		r = add_entry(&c->out, path, "", false, err);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

int ibb_facts_copied_files(const struct ibb_facts *f, const struct ibb_fact_package *p,
			   struct ibb_volume *v, struct ibb_store_files *ret, struct ibb_error *err)
{
	struct copied c = {.h = f->hives[IBB_HIVE_SOFTWARE].hive, .p = p, .v = v};
	ibb_key k;
	int r = IBB_OK;

	if (c.h)
		r = ibb_hive_find(c.h, ibb_hive_root(c.h), IBB_LOCKDOWN_KEY, &k, err);
	if (!r && c.h)
		r = ibb_hive_subkeys(c.h, k, look_at_lockdown, &c, err);
	if (r && r != IBB_E_NOTFOUND) {
		ibb_store_files_clear(&c.out);
		return r;
	}
	*ret = c.out;
	return IBB_OK;
}

void ibb_store_files_clear(struct ibb_store_files *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->entries[i].path);
	free(s->entries);
	*s = (struct ibb_store_files){0};
}
