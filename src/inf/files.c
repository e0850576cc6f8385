/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the package. Microsoft, "INF SourceDisksFiles Section", "INF SourceDisksNames
 * Section", "INF CopyFiles Directive".
 */
#include "inf/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

#define DISK_IS_CABINET 0x10u /* flags of a SourceDisksNames entry */

/* [name.<arch>] goes before [name], entry by entry. */
struct table {
	const struct ibb_inf_section *of_arch, *plain;
	struct ibb_inf_map map; /* -> line index, those of plain behind those of of_arch */
};

struct collector {
	struct ibb_inf *inf;
	const struct ibb_inf_target *t;
	struct ibb_error *err;
	struct table disks;
	struct ibb_inf_map by_source; /* -> index into files */
	struct ibb_inf_file *files;
	size_t n, cap;
	uint8_t *done; /* one a section: this CopyFiles list was read */
};

static void table_clear(struct table *t)
{
	ibb_inf_map_clear(&t->map);
}

static int table_load(struct collector *c, struct table *t, const char *name)
{
	char decorated[64];
	size_t at = 0;

	snprintf(decorated, sizeof(decorated), "%s.%s", name, ibb_arch_name(c->t->arch));
	t->of_arch = ibb_inf_section(c->inf, decorated);
	t->plain = ibb_inf_section(c->inf, name);
	for (int pass = 0; pass < 2; pass++) {
		const struct ibb_inf_section *s = pass ? t->plain : t->of_arch;

		for (size_t i = 0; s && i < s->n; i++, at++) {
			if (!s->lines[i].key || !*s->lines[i].key)
				return ibb_inf_err(c->inf, s->lines[i].line, IBB_E_CORRUPT, c->err,
						   "[%.80s] line is not 'name=values'", s->name);
			if (ibb_inf_map_put(&t->map, s->lines[i].key, at))
				return ibb_err_nomem(c->err);
		}
	}
	return IBB_OK;
}

static const struct ibb_inf_line *table_at(const struct table *t, size_t i)
{
	size_t n = t->of_arch ? t->of_arch->n : 0;

	return i < n ? &t->of_arch->lines[i] : &t->plain->lines[i - n];
}

static int check_name(struct collector *c, unsigned line, const char *what, const char *name)
{
	const char *why = ibb_name_problem(name, strlen(name));

	if (!why)
		return IBB_OK;
	return ibb_inf_err(c->inf, line, IBB_E_CORRUPT, c->err, "%s '%.200s': %s", what, name, why);
}

/*
 * Append a directory of the INF to *out: '\' between components, none around them, "." dropped.
 * One leading '\' is the documented form; two would be another machine.
 */
static int add_dir(struct collector *c, unsigned line, const char *what, const char *dir,
		   struct ibb_buf *out)
{
	const char *p = dir;

	if (strspn(dir, "\\/") > 1)
		return ibb_inf_err(c->inf, line, IBB_E_CORRUPT, c->err,
				   "%s '%.200s' leaves the package", what, dir);
	while (*p) {
		size_t n = strcspn(p, "\\/");
		const char *why = NULL;

		if (n && !(n == 1 && *p == '.')) {
			why = ibb_name_problem(p, n);
			if (why)
				return ibb_inf_err(c->inf, line, IBB_E_CORRUPT, c->err,
						   "%s '%.200s': %s", what, dir, why);
			if (ibb_buf_printf(out, "%s%.*s", out->len ? "\\" : "", (int)n, p))
				return ibb_err_nomem(c->err);
		}
		p += n;
		p += *p != '\0';
	}
	if (out->len > IBB_LIMIT_PATH_CHARS)
		return ibb_inf_err(c->inf, line, IBB_E_LIMIT, c->err,
				   "%s of more than %u characters", what, IBB_LIMIT_PATH_CHARS);
	return IBB_OK;
}

static int keep_dir(struct collector *c, struct ibb_buf *b, const char **ret)
{
	*ret = ibb_arena_strndup(&c->inf->arena, b->len ? (const char *)b->data : "", b->len);
	return *ret ? IBB_OK : ibb_err_nomem(c->err);
}

static int add_file(struct collector *c, struct ibb_inf_file f)
{
	if (c->n >= IBB_LIMIT_PACKAGE_FILES)
		return ibb_inf_err(c->inf, f.line, IBB_E_LIMIT, c->err,
				   "the package has more than %u files", IBB_LIMIT_PACKAGE_FILES);
	if (ibb_grow(&c->files, &c->cap, c->n, sizeof(*c->files)) ||
	    ibb_inf_map_put(&c->by_source, f.source, c->n))
		return ibb_err_nomem(c->err);
	c->files[c->n++] = f;
	return IBB_OK;
}

/* filename = diskid[,[subdir][,size]]; diskid = description[,[tag],[unused],[path],[flags]...] */
static int add_source(struct collector *c, const struct ibb_inf_line *l)
{
	struct ibb_inf_file f = {
		.source = l->key, .line = l->line, .dest_subdir = "", .dest_name = l->key};
	uint64_t flags = 0;
	const char *diskid = ibb_inf_field(l, 0);
	const struct ibb_inf_line *disk;
	IBB_AUTO_BUF struct ibb_buf dir = {0};
	size_t i;
	int r = check_name(c, l->line, "file", l->key);

	if (r)
		return r;
	if (!ibb_inf_map_get(&c->disks.map, diskid, strlen(diskid), &i))
		return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
				   "disk '%.80s' of '%.80s' is not in [SourceDisksNames]", diskid,
				   l->key);
	disk = table_at(&c->disks, i);
	if (*ibb_inf_field(disk, 1))
		f.cabinet = disk->fields[1];
	f.cabinet_first = f.cabinet && ibb_inf_number(ibb_inf_field(disk, 4), UINT32_MAX, &flags) &&
			  (flags & DISK_IS_CABINET);
	r = add_dir(c, disk->line, "path", ibb_inf_field(disk, 3), &dir);
	if (!r)
		r = keep_dir(c, &dir, &f.cabinet_dir);
	if (!r)
		r = add_dir(c, l->line, "subdirectory", ibb_inf_field(l, 1), &dir);
	if (!r)
		r = keep_dir(c, &dir, &f.source_dir);
	return r ? r : add_file(c, f);
}

static int add_sources(struct collector *c)
{
	struct table sources __attribute__((cleanup(table_clear))) = {0};
	size_t total, seen;
	int r = table_load(c, &sources, "SourceDisksFiles");

	if (r)
		return r;
	total = (sources.of_arch ? sources.of_arch->n : 0) + (sources.plain ? sources.plain->n : 0);
	for (size_t i = 0; !r && i < total; i++) {
		const struct ibb_inf_line *l = table_at(&sources, i);

		/* only the entry that a look-up of the name finds */
		if (ibb_inf_map_get(&sources.map, l->key, strlen(l->key), &seen) && seen == i)
			r = add_source(c, l);
	}
	return r;
}

/* A file that CopyFiles names. Without a SourceDisksFiles entry it lies beside the INF. */
static int add_copy(struct collector *c, const struct ibb_inf_copy *copy, unsigned line,
		    const char *source, const char *dest)
{
	struct ibb_inf_file *f;
	IBB_AUTO_BUF struct ibb_buf subdir = {0};
	size_t i;
	int r = check_name(c, line, "file", source);

	if (!r)
		r = check_name(c, line, "destination", dest);
	if (r)
		return r;
	if (!ibb_inf_map_get(&c->by_source, source, strlen(source), &i)) {
		i = c->n;
		r = add_file(c, (struct ibb_inf_file){.source = source,
						      .source_dir = "",
						      .cabinet_dir = "",
						      .line = line,
						      .dest_subdir = "",
						      .dest_name = dest});
		if (r)
			return r;
	}
	f = &c->files[i];
	if (f->dirid)
		return IBB_OK; /* copied to several places: the first is told */
	r = add_dir(c, line, "destination directory", copy->subdir, &subdir);
	if (!r)
		r = keep_dir(c, &subdir, &f->dest_subdir);
	if (r)
		return r;
	f->dirid = copy->dirid;
	f->dest_name = dest;
	return IBB_OK;
}

static int add_list(struct collector *c, const struct ibb_inf_copy *copy)
{
	uint8_t *done = &c->done[ibb_inf_index(c->inf, copy->list)];
	int r = IBB_OK;

	/* destination-file-name[,[source-file-name][,[unused][,flag]]] */
	for (size_t i = 0; !r && !*done && i < copy->list->n; i++) {
		const struct ibb_inf_line *l = &copy->list->lines[i];
		const char *dest = ibb_inf_field(l, 0), *source = ibb_inf_field(l, 1);

		r = add_copy(c, copy, l->line, *source ? source : dest, dest);
	}
	*done = 1;
	return r;
}

static int add_install(struct collector *c, const char *section)
{
	const struct ibb_inf_install_entry *e;
	int r = ibb_inf_install_get(c->inf, c->t, section, &e, c->err);

	if (r == IBB_E_NOTFOUND)
		return IBB_OK; /* it copies nothing; ibb_inf_install() is who complains */
	for (size_t i = 0; !r && i < e->n_copies; i++) {
		const struct ibb_inf_copy *copy = &e->copies[i];

		r = copy->list ? add_list(c, copy)
			       : add_copy(c, copy, copy->line, copy->file, copy->file);
	}
	return r;
}

static int by_line(const void *a, const void *b)
{
	const struct ibb_inf_file *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return ibb_casecmp(x->source, y->source);
}

static int collect(struct collector *c, const struct ibb_inf_models *m)
{
	int r = table_load(c, &c->disks, "SourceDisksNames");

	c->done = ibb_arena_array(&c->inf->arena, c->inf->n_sections, 1);
	if (!r && !c->done)
		return ibb_err_nomem(c->err);
	if (!r)
		r = add_sources(c);
	for (size_t i = 0; !r && i < m->n; i++)
		if (!i || strcmp(m->models[i].install_section, m->models[i - 1].install_section))
			r = add_install(c, m->models[i].install_section);
	return r;
}

int ibb_inf_files(struct ibb_inf *inf, const struct ibb_inf_target *t, struct ibb_inf_files *ret,
		  struct ibb_error *err)
{
	struct collector c = {.inf = inf, .t = t, .err = err};
	struct ibb_inf_file *files = NULL;
	struct ibb_inf_models m;
	int r = ibb_inf_models(inf, t, &m, err);

	if (r)
		return r;
	r = collect(&c, &m);
	if (!r) {
		files = ibb_arena_array(&inf->arena, c.n, sizeof(*files));
		if (!files)
			r = ibb_err_nomem(err);
		else if (c.n)
			memcpy(files, c.files, c.n * sizeof(*files));
	}
	if (!r) {
		qsort(files, c.n, sizeof(*files), by_line);
		*ret = (struct ibb_inf_files){c.n, files};
	}
	ibb_inf_map_clear(&c.disks.map);
	ibb_inf_map_clear(&c.by_source);
	free(c.files);
	return r;
}

struct companions {
	const char **names;
	size_t n, cap;
	struct ibb_inf_map seen;
};

static int add_companions(struct ibb_inf *inf, struct companions *c,
			  const struct ibb_inf_install_entry *e, struct ibb_error *err)
{
	for (size_t i = 0; i < e->n_copyinf; i++) {
		const char *name = e->copyinf[i], *why = ibb_name_problem(name, strlen(name));
		size_t at;

		if (why)
			return ibb_inf_err(inf, e->pub.line, IBB_E_CORRUPT, err,
					   "CopyINF '%.200s': %s", name, why);
		if (ibb_inf_map_get(&c->seen, name, strlen(name), &at))
			continue;
		if (ibb_grow(&c->names, &c->cap, c->n, sizeof(*c->names)) ||
		    ibb_inf_map_put(&c->seen, name, c->n))
			return ibb_err_nomem(err);
		c->names[c->n++] = name;
	}
	return IBB_OK;
}

int ibb_inf_copyinf(struct ibb_inf *inf, const struct ibb_inf_target *t, size_t *ret_n,
		    const char *const **ret, struct ibb_error *err)
{
	const struct ibb_inf_install_entry *e;
	struct companions c = {0};
	const char **names = NULL;
	struct ibb_inf_models m;
	int r = ibb_inf_models(inf, t, &m, err);

	for (size_t i = 0; !r && i < m.n; i++) {
		if (i && !strcmp(m.models[i].install_section, m.models[i - 1].install_section))
			continue;
		r = ibb_inf_install_get(inf, t, m.models[i].install_section, &e, err);
		r = r == IBB_E_NOTFOUND ? IBB_OK : r ? r : add_companions(inf, &c, e, err);
	}
	if (!r) {
		names = ibb_arena_array(&inf->arena, c.n, sizeof(*names));
		if (!names)
			r = ibb_err_nomem(err);
		else if (c.n)
			memcpy(names, c.names, c.n * sizeof(*names));
	}
	ibb_inf_map_clear(&c.seen);
	free(c.names);
	if (r)
		return r;
	*ret_n = c.n;
	*ret = names;
	return IBB_OK;
}
