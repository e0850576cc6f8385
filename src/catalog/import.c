/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "catalog/import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "catalog/model.h"

#define MAX_DISTROS 16
#define MAX_WINDOWS 32

/* One driver file for one NIC; the list names it once for every Windows. */
struct entry {
	const char *id, *url, *package, *comment;
	const struct cat_nic *nic;
	const struct cat_release *release; /* of the base catalog, or NULL */
	bool known;			   /* to the base's extension entries */
	const char *release_id;		   /* a new one, or NULL */
	const char *distros[MAX_DISTROS];
	size_t n_distros;
	const char *windows[MAX_WINDOWS];
	size_t n_windows;
};

struct import {
	const struct ibb_catalog *base;
	const char *name;
	char hex[IBB_SHA256_HEX_SIZE]; /* of the file: ids of two imports must differ */
	struct ibb_jb *b;
	struct ibb_json *list;
	struct ibb_import_counts *n;
	struct entry *entries;
	size_t n_entries, cap_entries;
	struct ibb_arena arena;
	struct ibb_error *err;
};

/* Where in the file an entry stands, and what stands around it. */
struct place {
	char path[192];
	const char *type, *os, *comment, *distro;
};

/* ---- the text ---- */

static void note_repair(struct ibb_jb *b, struct ibb_json *list, size_t line, size_t column,
			const char *what, struct ibb_import_counts *n)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL);

	ibb_jb_int(b, o, "line", (int64_t)line);
	ibb_jb_int(b, o, "column", (int64_t)column);
	ibb_jb_str(b, o, "what", what);
	n->repairs++;
}

static bool closes(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p < end && (*p == '}' || *p == ']');
}

/*
 * What was wrong with the three broken versions of the list: a comma behind the last member. It
 * becomes a space, so that lines and columns stay; the parser then judges the rest.
 */
static void mend(char *text, size_t n, struct ibb_jb *b, struct ibb_json *list,
		 struct ibb_import_counts *counts)
{
	size_t line = 1, start = 0;
	bool quoted = false;
	char before = '['; /* the last byte that is no space: a comma needs a value before it */

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n') {
			line++;
			start = i + 1;
		} else if (quoted && text[i] == '\\') {
			i++;
		} else if (text[i] == '"') {
			quoted = !quoted;
		} else if (!quoted && text[i] == ',' && !strchr("[{,:", before) &&
			   closes(text + i + 1, text + n)) {
			note_repair(b, list, line, i - start + 1,
				    "a comma before a closing bracket was ignored", counts);
			text[i] = ' ';
		}
		if (!strchr(" \t\r\n", text[i]))
			before = text[i];
	}
}

static int parse(const struct ibb_catalog_text *file, struct ibb_jb *b, struct ibb_json *report,
		 struct ibb_import_counts *counts, struct ibb_json **ret, struct ibb_error *err)
{
	struct ibb_json *list = ibb_jb_array(b, report, "repairs");
	const bool bom = file->n >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0;
	const size_t n = file->n - (bom ? 3 : 0);
	IBB_AUTO_FREE char *text = ibb_strndup((const char *)file->text + (bom ? 3 : 0), n);

	if (!text)
		return ibb_err_nomem(err);
	if (bom)
		note_repair(b, list, 1, 1, "a byte order mark was ignored", counts);
	mend(text, n, b, list, counts);
	return ibb_json_parse(file->name, text, n, ret, err);
}

/* ---- what its texts mean ---- */

static bool is_text(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool is_link(const char *s)
{
	const char *host = !s				    ? NULL
			   : strncmp(s, "https://", 8) == 0 ? s + 8
			   : strncmp(s, "http://", 7) == 0  ? s + 7
							    : NULL;

	return host && isalnum((unsigned char)*host) && is_text(s) && !strpbrk(s, " ?#") &&
	       strchr(host, '/') && s[strlen(s) - 1] != '/';
}

static void add_windows(struct entry *e, const char *id)
{
	for (size_t i = 0; i < e->n_windows; i++)
		if (strcmp(e->windows[i], id) == 0)
			return;
	if (e->n_windows < MAX_WINDOWS)
		e->windows[e->n_windows++] = id;
}

static const struct cat_windows *find_windows(const struct ibb_catalog *c, const char *name)
{
	const struct cat_windows *w = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows);

	for (size_t i = 0; i < c->tables[CAT_WINDOWS].n; i++) {
		if (strcasecmp(w[i].id, name) == 0 || strcasecmp(w[i].name, name) == 0)
			return &w[i];
		for (size_t k = 0; k < w[i].aliases.n; k++)
			if (strcasecmp(w[i].aliases.v[k], name) == 0)
				return &w[i];
	}
	return NULL;
}

static const struct cat_windows *client_of_build(const struct ibb_catalog *c, unsigned build)
{
	const struct cat_windows *w = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows);

	for (size_t i = 0; i < c->tables[CAT_WINDOWS].n; i++)
		if (w[i].build == build && strcmp(w[i].product, "client") == 0)
			return &w[i];
	return NULL;
}

/* "2016/10": a Server, and the Windows 10 of its build. False: not all of it was understood. */
static bool read_distro(struct import *m, const char *distro, struct entry *e)
{
	const struct cat_windows *server = NULL;
	char copy[128], *save = NULL;
	bool ten = false;

	if (strlen(distro) >= sizeof(copy))
		return false;
	memcpy(copy, distro, strlen(distro) + 1);
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		const struct cat_windows *w = find_windows(m->base, part);

		if (strcmp(part, "10") == 0) {
			ten = true;
			continue;
		}
		if (!w)
			return false;
		server = w;
		add_windows(e, w->id);
	}
	if (ten && server && client_of_build(m->base, server->build))
		add_windows(e, client_of_build(m->base, server->build)->id);
	return server != NULL;
}

static const struct cat_release *release_of(const struct ibb_catalog *c, const char *url)
{
	const struct cat_release *r = CAT_ITEMS(c, CAT_RELEASE, struct cat_release);

	for (size_t i = 0; i < c->tables[CAT_RELEASE].n; i++)
		for (size_t k = 0; k < r[i].pub.n_urls; k++)
			if (strcmp(r[i].pub.urls[k].url, url) == 0)
				return &r[i];
	return NULL;
}

static bool is_known_entry(const struct ibb_catalog *c, const char *url)
{
	const struct cat_ext_entry *e = CAT_ITEMS(c, CAT_EXT_ENTRY, struct cat_ext_entry);

	for (size_t i = 0; i < c->tables[CAT_EXT_ENTRY].n; i++)
		if (strcmp(e[i].url, url) == 0)
			return true;
	return false;
}

/* ---- entries ---- */

static struct entry *find_entry(struct import *m, const struct cat_nic *nic, const char *url)
{
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].nic == nic && strcmp(m->entries[i].url, url) == 0)
			return &m->entries[i];
	return NULL;
}

/* A new release is one file, whichever NICs it is for. */
static const char *release_id(struct import *m, const char *url)
{
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].release_id && strcmp(m->entries[i].url, url) == 0)
			return m->entries[i].release_id;
	return ibb_arena_printf(&m->arena, "import-%.8s-%zu-%s", m->hex, m->n_entries + 1,
				strrchr(url, '/') + 1);
}

static struct entry *add_entry(struct import *m, const struct cat_nic *nic, const char *url)
{
	struct entry *e = find_entry(m, nic, url);

	if (e)
		return e;
	if (ibb_grow(&m->entries, &m->cap_entries, m->n_entries, sizeof(*m->entries)))
		return NULL;
	e = &m->entries[m->n_entries];
	*e = (struct entry){.url = url,
			    .package = strrchr(url, '/') + 1,
			    .nic = nic,
			    .release = release_of(m->base, url),
			    .known = is_known_entry(m->base, url)};
	e->id = ibb_arena_printf(&m->arena, "import-%.8s-%zu-%s", m->hex, m->n_entries + 1,
				 nic->id);
	if (!e->release && !e->known)
		e->release_id = release_id(m, url);
	if (!e->id || (!e->release && !e->known && !e->release_id))
		return NULL;
	m->n_entries++;
	return e;
}

static const char *add_distro(struct entry *e, const char *distro)
{
	for (size_t i = 0; i < e->n_distros; i++)
		if (strcmp(e->distros[i], distro) == 0)
			return NULL;
	if (e->n_distros == MAX_DISTROS)
		return "more Windows for one file than a list can mean";
	e->distros[e->n_distros++] = distro;
	return NULL;
}

/* Why an entry cannot be used; NULL: so far nothing. */
static const char *refusal(const struct import *m, const struct place *p, const char *url,
			   const struct cat_nic **ret)
{
	if (!is_text(p->os) || strcmp(p->os, "Windows") != 0)
		return p->os && strcmp(p->os, "Linux") == 0 ? "for Linux" : "not for Windows";
	*ret = p->type ? cat_lookup(m->base, CAT_NIC, p->type) : NULL;
	if (!*ret)
		return "its type is no NIC of the driver catalog";
	if (!url)
		return "it has no link (FwLink or DirLink)";
	if (!is_link(url))
		return "its link is no http or https address of a file";
	if (!is_text(p->distro))
		return "it names no Windows";
	return NULL;
}

static void read_more(struct import *m, const struct ibb_json *j, const struct place *p,
		      struct entry *e)
{
	ibb_json_foreach (it, ibb_json_get(j, "SupportedOSVersions")) {
		const char *s = ibb_json_value_str(it);
		const struct cat_windows *w = s ? find_windows(m->base, s) : NULL;

		if (w)
			add_windows(e, w->id);
	}
	if (!e->comment && is_text(p->comment))
		e->comment = p->comment;
}

/* Nothing that a terminal would obey gets into the report. */
static const char *shown(const char *s)
{
	return is_text(s) ? s : NULL;
}

static int take(struct import *m, const struct ibb_json *j, const struct place *p)
{
	const char *direct = ibb_json_str(j, "DirLink"), *url = ibb_json_str(j, "FwLink");
	struct ibb_json *o = ibb_jb_object(m->b, m->list, NULL);
	const struct cat_nic *nic = NULL;
	const char *why, *note = NULL;
	struct entry *e = NULL;

	/* newer lists: FwLink is a short name of DirLink; what their DriverFileSize counts in is
	 * not known */
	url = direct ? direct : url;
	why = refusal(m, p, url, &nic);
	if (!why) {
		e = add_entry(m, nic, url);
		if (!e)
			return ibb_err_nomem(m->err);
		why = add_distro(e, p->distro);
	}
	if (!why) {
		if (!read_distro(m, p->distro, e))
			note = "its Windows is not wholly known to the driver catalog";
		read_more(m, j, p, e);
		m->n->used++;
	}
	m->n->entries++;
	ibb_jb_str(m->b, o, "path", p->path);
	ibb_jb_str(m->b, o, "type", shown(p->type));
	ibb_jb_str(m->b, o, "os", shown(p->os));
	ibb_jb_str(m->b, o, "distro", shown(p->distro));
	ibb_jb_str(m->b, o, "url", shown(url));
	ibb_jb_bool(m->b, o, "used", !why);
	ibb_jb_str(m->b, o, "entry", why ? NULL : e->id);
	ibb_jb_str(m->b, o, "reason", why ? why : note);
	return IBB_OK;
}

/* ---- the tree: Driver > Version (NIC) > OS > Distro > Version ---- */

static void descend(struct place *p, const struct place *up, const char *key, size_t i)
{
	*p = *up;
	snprintf(p->path, sizeof(p->path), "%.150s%s%s[%zu]", up->path, *up->path ? "." : "", key,
		 i);
}

static int walk_distro(struct import *m, const struct ibb_json *distro, const struct place *up)
{
	size_t i = 0;
	int rc = IBB_OK;

	ibb_json_foreach (it, ibb_json_get(distro, "Version")) {
		struct place p;

		descend(&p, up, "Version", i++);
		if (m->n->entries >= IBB_LIMIT_CATALOG_ENTRIES)
			return ibb_err(m->err, IBB_E_LIMIT, "%s: %s: more than %u entries", m->name,
				       p.path, IBB_LIMIT_CATALOG_ENTRIES);
		rc = take(m, it, &p);
		if (rc)
			break;
	}
	return rc;
}

static int walk_os(struct import *m, const struct ibb_json *os, const struct place *up)
{
	size_t i = 0;
	int rc = IBB_OK;

	ibb_json_foreach (it, ibb_json_get(os, "Distro")) {
		struct place p;

		descend(&p, up, "Distro", i++);
		p.distro = ibb_json_str(it, "Name");
		rc = walk_distro(m, it, &p);
		if (rc)
			break;
	}
	return rc;
}

static int walk_type(struct import *m, const struct ibb_json *type, const struct place *up)
{
	size_t i = 0;
	int rc = IBB_OK;

	ibb_json_foreach (it, ibb_json_get(type, "OS")) {
		struct place p;

		descend(&p, up, "OS", i++);
		p.os = ibb_json_str(it, "Name");
		p.comment = ibb_json_str(it, "Comment");
		rc = walk_os(m, it, &p);
		if (rc)
			break;
	}
	return rc;
}

static int walk(struct import *m, const struct ibb_json *doc)
{
	size_t d = 0;
	int rc = IBB_OK;

	ibb_json_foreach (driver, ibb_json_get(doc, "Driver")) {
		struct place root = {.path = ""}, at;
		size_t i = 0;

		descend(&at, &root, "Driver", d++);
		ibb_json_foreach (it, ibb_json_get(driver, "Version")) {
			struct place p;

			descend(&p, &at, "Version", i++);
			p.type = ibb_json_str(it, "Type");
			rc = walk_type(m, it, &p);
			if (rc)
				return rc;
		}
	}
	return rc;
}

/* ---- the overlay ---- */

static void strings(struct ibb_jb *b, struct ibb_json *o, const char *key, const char *const *v,
		    size_t n)
{
	struct ibb_json *list = ibb_jb_array(b, o, key);

	for (size_t i = 0; i < n; i++)
		ibb_jb_str(b, list, NULL, v[i]);
}

/* "MLNX_WinOF2-2_22_50000_All_x64.exe": "2.22.50000"; else the whole name. */
static void version_of(const char *package, char out[64])
{
	unsigned a, b, c;
	const char *p = strchr(package, '-');

	if (p && sscanf(p, "-%5u_%5u_%7u_", &a, &b, &c) == 3)
		snprintf(out, 64, "%u.%u.%u", a, b, c);
	else
		snprintf(out, 64, "%.63s", package);
}

static void write_entry(struct import *m, struct ibb_jb *b, struct ibb_json *list,
			const struct entry *e, const char *source)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL);
	char version[64];

	version_of(e->package, version);
	ibb_jb_str(b, o, "id", e->id);
	ibb_jb_str(b, o, "nic", e->nic->id);
	strings(b, o, "distros", e->distros, e->n_distros);
	ibb_jb_str(b, o, "version", version);
	ibb_jb_str(b, o, "package", e->package);
	ibb_jb_str(b, o, "url", e->url);
	ibb_jb_str(b, o, "release", e->release ? e->release->pub.id : e->release_id);
	ibb_jb_null(b, o, "first_commit");
	ibb_jb_null(b, o, "first_date");
	ibb_jb_null(b, o, "last_commit");
	ibb_jb_null(b, o, "last_date");
	if (e->comment)
		ibb_jb_str(b, o, "note", e->comment);
	ibb_jb_str(b, o, "source", source);
	ibb_jb_str(b, o, "confidence", "B");
	m->n->new_entries++;
}

static void write_release(struct import *m, struct ibb_jb *b, struct ibb_json *list,
			  const struct entry *e, const char *source)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL), *url;
	char version[64];

	version_of(e->package, version);
	ibb_jb_str(b, o, "id", e->release_id);
	ibb_jb_str(b, o, "driver_set", e->nic->driver_set->id);
	ibb_jb_str(b, o, "version", version);
	ibb_jb_null(b, o, "driver_version");
	ibb_jb_null(b, o, "date");
	ibb_jb_bool(b, o, "lts", false);
	ibb_jb_str(b, o, "package", e->package);
	ibb_jb_str(b, o, "package_name", "seen");
	url = ibb_jb_object(b, ibb_jb_array(b, o, "urls"), NULL);
	ibb_jb_str(b, url, "url", e->url);
	ibb_jb_str(b, url, "basis", "seen");
	ibb_jb_str(b, url, "confidence", "B");
	ibb_jb_null(b, o, "sha256");
	if (e->n_windows)
		strings(b, o, "windows", e->windows, e->n_windows);
	else
		ibb_jb_null(b, o, "windows");
	ibb_jb_str(b, o, "windows_basis", "entries of the imported list");
	ibb_jb_str(b, o, "source", source);
	ibb_jb_str(b, o, "confidence", "B");
	m->n->new_releases++;
}

static bool is_first_of_release(const struct import *m, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (m->entries[k].release_id &&
		    strcmp(m->entries[k].release_id, m->entries[i].release_id) == 0)
			return false;
	return true;
}

/* Another file of the list for the same Windows and driver set: which one is meant, nobody says. */
static bool is_rivalled(const struct import *m, const struct entry *e, const char *windows)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct entry *o = &m->entries[i];

		if (o->nic->driver_set != e->nic->driver_set || strcmp(o->url, e->url) == 0)
			continue;
		for (size_t k = 0; k < o->n_windows; k++)
			if (strcmp(o->windows[k], windows) == 0)
				return true;
	}
	return false;
}

static void write_recommendations(struct import *m, struct ibb_jb *b, struct ibb_json *list,
				  const struct entry *e, const char *source)
{
	for (size_t i = 0; i < e->n_windows; i++) {
		const struct cat_windows *w = find_windows(m->base, e->windows[i]);
		struct ibb_windows target = {.build = w->build,
					     .server = strcmp(w->product, "server") == 0,
					     .arch = "x64"};
		struct ibb_json *o, *range;

		if (is_rivalled(m, e, w->id) ||
		    cat_recommendation_for(m->base, e->nic->driver_set, &target))
			continue;
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_fmt(b, o, "id", "import-%s-%s", e->nic->driver_set->id, w->id);
		ibb_jb_str(b, o, "driver_set", e->nic->driver_set->id);
		range = ibb_jb_object(b, o, "windows");
		ibb_jb_str(b, range, "product", w->product);
		ibb_jb_str(b, range, "only", w->id);
		ibb_jb_str(b, o, "release", e->release_id);
		ibb_jb_str(b, o, "reason",
			   "The imported list gives this Windows this package, and the driver "
			   "catalog has none for it.");
		ibb_jb_str(b, o, "source", source);
		ibb_jb_str(b, o, "confidence", "C");
		m->n->recommendations++;
	}
}

static int write_overlay(struct import *m, const struct ibb_catalog_text *file,
			 struct ibb_json **ret)
{
	const char *slash = strrchr(file->name, '/');
	const char *base = slash ? slash + 1 : file->name;
	struct ibb_json *root, *o, *list;
	struct ibb_jb b = {0};
	char source[32];

	snprintf(source, sizeof(source), "import-%.8s", m->hex);
	root = ibb_jb_object(&b, NULL, NULL);
	ibb_jb_int(&b, root, "format", 1);
	ibb_jb_bool(&b, root, "overlay", true);
	ibb_jb_fmt(&b, root, "title", "Imported from %s", is_text(base) ? base : "a list");
	ibb_jb_str(&b, root, "as_of", ibb_catalog_version(m->base));
	o = ibb_jb_object(&b, ibb_jb_array(&b, root, "sources"), NULL);
	ibb_jb_str(&b, o, "id", source);
	ibb_jb_str(&b, o, "title", "A driver list of the VM extension, imported");
	ibb_jb_fmt(&b, o, "locator", "%s, SHA-256 %s", is_text(base) ? base : "a list", m->hex);
	ibb_jb_null(&b, o, "date");
	list = ibb_jb_array(&b, root, "releases");
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].release_id && is_first_of_release(m, i))
			write_release(m, &b, list, &m->entries[i], source);
	list = ibb_jb_array(&b, root, "recommendations");
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].release_id && is_first_of_release(m, i))
			write_recommendations(m, &b, list, &m->entries[i], source);
	list = ibb_jb_array(&b, root, "extension_entries");
	for (size_t i = 0; i < m->n_entries; i++)
		write_entry(m, &b, list, &m->entries[i], source);
	return ibb_jb_done(&b, ret, m->err);
}

int ibb_catalog_import_text(const struct ibb_catalog *base, const struct ibb_catalog_text *file,
			    struct ibb_jb *b, struct ibb_json *report,
			    struct ibb_import_counts *ret, struct ibb_json **ret_overlay,
			    struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	struct ibb_import_counts n = {0};
	struct import m = {.base = base, .name = file->name, .b = b, .n = &n, .err = err};
	struct ibb_json *overlay = NULL;
	struct ibb_sha256 digest;
	int rc = parse(file, b, report, &n, &doc, err);

	if (rc)
		return rc;
	if (ibb_sha256(file->text, file->n, &digest))
		return ibb_err_nomem(err);
	ibb_sha256_hex(&digest, m.hex);
	if (!ibb_json_is_array(ibb_json_get(doc, "Driver")))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: not the VM extension's driver list: it has no list \"Driver\"",
			       file->name);
	m.list = ibb_jb_array(b, report, "entries");
	rc = walk(&m, doc);
	if (!rc && m.n_entries)
		rc = write_overlay(&m, file, &overlay);
	free(m.entries);
	ibb_arena_clear(&m.arena);
	if (rc)
		return rc;
	*ret = n;
	*ret_overlay = overlay;
	return IBB_OK;
}
