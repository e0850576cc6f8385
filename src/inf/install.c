/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What installing a device would do. Microsoft, "INF DDInstall Section" and the pages of its
 * directives; the order of decorations is that of SetupDiGetActualSectionToInstall: .NT<arch>,
 * .NT, none.
 */
#include "inf/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

#define SPSVCINST_ASSOCSERVICE 2u
#define SERVICE_DEMAND_START   3u
#define SERVICE_DISABLED       4u
#define DEFAULT_FEATURE_SCORE  0xffu
#define DIRID_DRIVER_STORE     13
#define DIRID_SYSTEM	       11
#define NAME_SIZE	       300 /* a section name has at most 255 characters */

enum addreg { ADDREG_UNKNOWN, ADDREG_RELATIVE, ADDREG_ABSOLUTE };

struct eval {
	struct ibb_inf *inf;
	struct ibb_error *err;
	struct ibb_inf_install *install;
	bool in_main; /* in DDInstall itself, not in what it refers to */
	bool have_score;
	/* A section that some directive names and the file lacks; an Include may bring it. */
	const char *missing, *missing_by;
	unsigned missing_line;
	const char **includes, **copyinf;
	size_t includes_cap, n_copyinf, copyinf_cap;
	struct ibb_inf_copy *copies;
	size_t n_copies, copies_cap;
};

/* The sections being evaluated, innermost first, to see a circle. */
struct frame {
	const struct ibb_inf_section *section;
	const struct frame *up;
	unsigned depth;
};

static int run_section(struct eval *ev, const struct ibb_inf_section *s, const struct frame *up);

static int push_name(struct eval *ev, const char ***names, size_t *n, size_t *cap, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (ibb_caseeq((*names)[i], name))
			return IBB_OK;
	if (*n >= IBB_LIMIT_PACKAGE_FILES)
		return ibb_inf_err(ev->inf, 0, IBB_E_LIMIT, ev->err,
				   "an install section names more than %u INFs",
				   IBB_LIMIT_PACKAGE_FILES);
	if (ibb_grow(names, cap, *n, sizeof(**names)))
		return ibb_err_nomem(ev->err);
	(*names)[(*n)++] = name;
	return IBB_OK;
}

/* Look a section up that a directive names; remember what is not there. */
static const struct ibb_inf_section *named(struct eval *ev, const struct ibb_inf_line *l,
					   const char *name)
{
	const struct ibb_inf_section *s = ibb_inf_section(ev->inf, name);

	if (!s && !ev->missing) {
		ev->missing = name;
		ev->missing_by = l->key;
		ev->missing_line = l->line;
	}
	return s;
}

/* True the first time in this evaluation. */
static bool visit(struct eval *ev, const struct ibb_inf_section *s)
{
	uint32_t *stamp = &ev->inf->stamps[ibb_inf_index(ev->inf, s)];

	if (*stamp == ev->inf->epoch)
		return false;
	*stamp = ev->inf->epoch;
	return true;
}

/* ---- directives ---- */

static int do_include(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	int r = IBB_OK;

	(void)f;
	for (size_t i = 0; !r && i < l->n; i++)
		if (*l->fields[i])
			r = push_name(ev, &ev->includes, &ev->install->n_includes,
				      &ev->includes_cap, l->fields[i]);
	return r;
}

static int do_copyinf(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	int r = IBB_OK;

	(void)f;
	for (size_t i = 0; !r && i < l->n; i++)
		if (*l->fields[i])
			r = push_name(ev, &ev->copyinf, &ev->n_copyinf, &ev->copyinf_cap,
				      l->fields[i]);
	return r;
}

/* Sections of this file are merged; the others belong to the included INFs. */
static int do_needs(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	bool in_main = ev->in_main;
	int r = IBB_OK;

	ev->in_main = false;
	for (size_t i = 0; !r && i < l->n; i++) {
		const struct ibb_inf_section *s = ibb_inf_section(ev->inf, l->fields[i]);

		for (const struct frame *up = f; s && up; up = up->up)
			if (up->section == s)
				return ibb_inf_err(ev->inf, l->line, IBB_E_CORRUPT, ev->err,
						   "Needs goes round in a circle through [%.200s]",
						   s->name);
		if (s && f->depth >= IBB_LIMIT_INF_NEEDS_DEPTH)
			return ibb_inf_err(ev->inf, l->line, IBB_E_LIMIT, ev->err,
					   "Needs nested more than %u deep",
					   IBB_LIMIT_INF_NEEDS_DEPTH);
		if (s)
			r = run_section(ev, s, f);
	}
	ev->in_main = in_main;
	return r;
}

static int do_feature_score(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	const char *s = ibb_inf_field(l, 0);
	char *end;
	unsigned long v;

	(void)f;
	/* "only processed when specified directly in DDInstall"; "only the first entry" */
	if (!ev->in_main || ev->have_score)
		return IBB_OK;
	v = strtoul(s, &end, 16); /* hexadecimal with and without 0x */
	if (*s == '-' || *s == '+' || end == s || *end || v > 0xff)
		return ibb_inf_err(ev->inf, l->line, IBB_E_CORRUPT, ev->err,
				   "FeatureScore is not a hexadecimal byte: '%.80s'", s);
	ev->have_score = true;
	ev->install->feature_score = (unsigned)v;
	return IBB_OK;
}

static bool root_is_absolute(const char *root)
{
	static const char *const roots[] = {"HKLM", "HKCR", "HKU", "HKCU"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(roots); i++)
		if (ibb_caseeq(root, roots[i]))
			return true;
	return false;
}

static bool addreg_is_absolute(struct ibb_inf *inf, const struct ibb_inf_section *s)
{
	uint8_t *state = &inf->addreg[ibb_inf_index(inf, s)];

	if (*state == ADDREG_UNKNOWN) {
		*state = ADDREG_RELATIVE;
		for (size_t i = 0; i < s->n; i++)
			if (root_is_absolute(ibb_inf_field(&s->lines[i], 0)))
				*state = ADDREG_ABSOLUTE;
	}
	return *state == ADDREG_ABSOLUTE;
}

static int do_addreg(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	(void)f;
	for (size_t i = 0; i < l->n; i++) {
		const struct ibb_inf_section *s = ibb_inf_section(ev->inf, l->fields[i]);

		if (s && addreg_is_absolute(ev->inf, s))
			ev->install->absolute_addreg = true;
	}
	return IBB_OK;
}

static int load_dest_dirs(struct ibb_inf *inf)
{
	const struct ibb_inf_section *s = ibb_inf_section(inf, "DestinationDirs");

	for (size_t i = 0; s && !inf->dest_dirs_ready && i < s->n; i++)
		if (s->lines[i].key && ibb_inf_map_put(&inf->dest_dirs, s->lines[i].key, i))
			return IBB_E_NOMEM;
	inf->dest_dirs_ready = true;
	return IBB_OK;
}

/*
 * Where a file list goes: its own entry, DefaultDestDir, and without either the system directory,
 * which is what setupapi falls back to. list is NULL for @file.
 */
static int destination(struct eval *ev, const char *list, struct ibb_inf_copy *c)
{
	const struct ibb_inf *inf = ev->inf;
	const struct ibb_inf_line *l;
	const char *s;
	uint64_t v;
	size_t i;

	c->dirid = DIRID_SYSTEM;
	c->subdir = "";
	if (!(list && ibb_inf_map_get(&inf->dest_dirs, list, strlen(list), &i)) &&
	    !ibb_inf_map_get(&inf->dest_dirs, "DefaultDestDir", strlen("DefaultDestDir"), &i))
		return IBB_OK;
	l = &ibb_inf_section(inf, "DestinationDirs")->lines[i];
	s = ibb_inf_field(l, 0);
	if (!ibb_inf_number(*s == '-' ? s + 1 : s, INT32_MAX, &v))
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, ev->err,
				   "DestinationDirs: '%.80s' is not a directory number", s);
	c->dirid = *s == '-' ? -(int)v : (int)v; /* -1 is DIRID_ABSOLUTE */
	c->subdir = ibb_inf_field(l, 1);
	return IBB_OK;
}

static int do_copyfiles(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	(void)f;
	for (size_t i = 0; i < l->n; i++) {
		const char *name = l->fields[i];
		struct ibb_inf_copy c = {.line = l->line};
		int r;

		if (!*name)
			continue;
		if (*name == '@')
			c.file = name + 1;
		else
			c.list = named(ev, l, name);
		if (*name != '@' && (!c.list || !c.list->n || !visit(ev, c.list)))
			continue;
		r = destination(ev, c.list ? name : NULL, &c);
		if (r)
			return r;
		if (ibb_grow(&ev->copies, &ev->copies_cap, ev->n_copies, sizeof(*ev->copies)))
			return ibb_err_nomem(ev->err);
		ev->copies[ev->n_copies++] = c;
		ev->install->copies_files = true;
		if (c.dirid != DIRID_DRIVER_STORE)
			ev->install->outside_store = true;
	}
	return IBB_OK;
}

/* A section that field i of a directive names: its own AddReg and CopyFiles count. */
static int refer(struct eval *ev, const struct ibb_inf_line *l, size_t i, const struct frame *f)
{
	const struct ibb_inf_section *s;
	const char *name = ibb_inf_field(l, i);
	bool in_main = ev->in_main;
	int r = IBB_OK;

	s = *name ? named(ev, l, name) : NULL;
	if (s && f->depth < IBB_LIMIT_INF_NEEDS_DEPTH) {
		ev->in_main = false;
		r = run_section(ev, s, f);
		ev->in_main = in_main;
	}
	return r;
}

static int refer_1(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	return refer(ev, l, 1, f);
}

static int refer_2(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	return refer(ev, l, 2, f);
}

static int start_type(struct eval *ev, const char *section)
{
	const struct ibb_inf_line *l = ibb_inf_find(ev->inf, section, "StartType");
	uint64_t v;

	ev->install->service_start = SERVICE_DEMAND_START;
	if (!l)
		return IBB_OK;
	if (!ibb_inf_number(ibb_inf_field(l, 0), SERVICE_DISABLED, &v))
		return ibb_inf_err(ev->inf, l->line, IBB_E_CORRUPT, ev->err,
				   "StartType '%.80s' is none of 0 to 4", ibb_inf_field(l, 0));
	ev->install->service_start = (unsigned)v;
	return IBB_OK;
}

/* AddService = name, [flags], service-install-section [, event-log-install-section ...] */
static int do_addservice(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	const char *name = ibb_inf_field(l, 0), *flags = ibb_inf_field(l, 1);
	uint64_t v = 0;
	int r;

	if (*flags && !ibb_inf_number(flags, UINT32_MAX, &v))
		return ibb_inf_err(ev->inf, l->line, IBB_E_CORRUPT, ev->err,
				   "AddService flags are not a number: '%.80s'", flags);
	if (v & SPSVCINST_ASSOCSERVICE) {
		ev->install->service = *name ? name : NULL; /* none: the NULL driver */
		r = start_type(ev, ibb_inf_field(l, 2));
		if (r)
			return r;
	}
	r = refer(ev, l, 2, f);
	return r ? r : refer(ev, l, 3, f);
}

static const struct {
	const char *key;
	int (*run)(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f);
} directives[] = {
	{"CopyFiles", do_copyfiles},
	{"AddReg", do_addreg},
	{"Include", do_include},
	{"Needs", do_needs},
	{"CopyINF", do_copyinf},
	{"FeatureScore", do_feature_score},
	{"AddService", do_addservice},
	{"AddInterface", refer_2},     /* {class}, [reference], [add-interface-section] */
	{"AddComponent", refer_2},     /* name, [flags], component-install-section */
	{"AddSoftware", refer_2},      /* name, [flags], software-install-section */
	{"AddFilter", refer_2},	       /* name, [flags], filter-install-section */
	{"AddEventProvider", refer_1}, /* {GUID}, event-provider-install-section */
};

static int run_line(struct eval *ev, const struct ibb_inf_line *l, const struct frame *f)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(directives); i++) {
		if (((unsigned char)directives[i].key[0] ^ (unsigned char)l->key[0]) & 0x1f)
			continue; /* not even the first letter */
		if (ibb_caseeq(l->key, directives[i].key))
			return directives[i].run(ev, l, f);
	}
	return IBB_OK;
}

static int run_section(struct eval *ev, const struct ibb_inf_section *s, const struct frame *up)
{
	struct frame f = {s, up, up ? up->depth + 1 : 0};
	int r = IBB_OK;

	if (!visit(ev, s))
		return IBB_OK;
	for (size_t i = 0; !r && i < s->n; i++)
		if (s->lines[i].key)
			r = run_line(ev, &s->lines[i], &f);
	return r;
}

/* ---- one install ---- */

static const struct ibb_inf_section *with_suffix(const struct ibb_inf *inf, const char *name,
						 const char *suffix)
{
	char full[NAME_SIZE];
	int n = snprintf(full, sizeof(full), "%s%s", name, suffix);

	return n > 0 && (size_t)n < sizeof(full) ? ibb_inf_section(inf, full) : NULL;
}

static const struct ibb_inf_section *actual_section(const struct ibb_inf *inf, enum ibb_arch arch,
						    const char *name)
{
	const struct ibb_inf_section *s;
	char suffix[32];

	snprintf(suffix, sizeof(suffix), ".NT%s", ibb_arch_name(arch));
	s = with_suffix(inf, name, suffix);
	if (!s)
		s = with_suffix(inf, name, ".NT");
	return s ? s : ibb_inf_section(inf, name);
}

static int begin(struct ibb_inf *inf, struct ibb_error *err)
{
	if (!inf->stamps)
		inf->stamps = ibb_calloc_array(inf->n_sections, sizeof(*inf->stamps));
	if (!inf->addreg)
		inf->addreg = ibb_calloc_array(inf->n_sections, sizeof(*inf->addreg));
	if (!inf->stamps || !inf->addreg || load_dest_dirs(inf))
		return ibb_err_nomem(err);
	inf->epoch++;
	return IBB_OK;
}

static int evaluate(struct eval *ev, const struct ibb_inf_section *main)
{
	static const char *const parts[] = {
		".Services",   ".HW",	  ".CoInstallers", ".Interfaces", ".Software",
		".Components", ".Events", ".Wdf",	   ".Filters",	  ".WMI",
	};
	int r;

	ev->in_main = true;
	r = run_section(ev, main, NULL);
	ev->in_main = false;
	for (size_t i = 0; !r && i < IBB_ARRAY_SIZE(parts); i++) {
		const struct ibb_inf_section *s = with_suffix(ev->inf, main->name, parts[i]);

		if (s && ibb_caseeq(parts[i], ".CoInstallers"))
			ev->install->coinstallers = true;
		if (s)
			r = run_section(ev, s, NULL);
	}
	if (!r && ev->missing && !ev->install->n_includes)
		return ibb_inf_err(ev->inf, ev->missing_line, IBB_E_CORRUPT, ev->err,
				   "%s names the section [%.200s], which the file does not have",
				   ev->missing_by, ev->missing);
	return r;
}

static int keep(struct eval *ev, struct ibb_inf_install_entry *e)
{
	struct ibb_arena *a = &ev->inf->arena;
	const char **includes = ibb_arena_array(a, e->pub.n_includes, sizeof(*includes));
	const char **copyinf = ibb_arena_array(a, ev->n_copyinf, sizeof(*copyinf));
	struct ibb_inf_copy *copies = ibb_arena_array(a, ev->n_copies, sizeof(*copies));

	if (!includes || !copyinf || !copies)
		return ibb_err_nomem(ev->err);
	for (size_t i = 0; i < e->pub.n_includes; i++)
		includes[i] = ev->includes[i];
	for (size_t i = 0; i < ev->n_copyinf; i++)
		copyinf[i] = ev->copyinf[i];
	for (size_t i = 0; i < ev->n_copies; i++)
		copies[i] = ev->copies[i];
	e->pub.includes = includes;
	e->copyinf = copyinf;
	e->n_copyinf = ev->n_copyinf;
	e->copies = copies;
	e->n_copies = ev->n_copies;
	return IBB_OK;
}

/* Put e into the cache under the name that was asked for. */
static int cache(struct ibb_inf *inf, struct ibb_inf_install_entry *e, const char *name,
		 struct ibb_error *err)
{
	const char *key;
	size_t i;

	if (ibb_inf_map_get(&inf->install_map, name, strlen(name), &i)) {
		e->next = inf->installs[i];
		inf->installs[i] = e;
		return IBB_OK;
	}
	key = ibb_arena_strdup(&inf->arena, name);
	if (!key ||
	    ibb_grow(&inf->installs, &inf->installs_cap, inf->n_installs, sizeof(*inf->installs)) ||
	    ibb_inf_map_put(&inf->install_map, key, inf->n_installs))
		return ibb_err_nomem(err);
	inf->installs[inf->n_installs++] = e;
	return IBB_OK;
}

static int make(struct ibb_inf *inf, enum ibb_arch arch, const char *name,
		const struct ibb_inf_section *s, struct ibb_inf_install_entry **ret,
		struct ibb_error *err)
{
	struct ibb_inf_install_entry *e = ibb_arena_array(&inf->arena, 1, sizeof(*e));
	struct eval ev = {.inf = inf, .err = err};
	int r;

	if (!e)
		return ibb_err_nomem(err);
	e->arch = arch;
	e->pub.section = s->name;
	e->pub.line = s->line;
	e->pub.feature_score = DEFAULT_FEATURE_SCORE;
	e->pub.service_start = SERVICE_DEMAND_START;
	ev.install = &e->pub;
	r = begin(inf, err);
	if (!r)
		r = evaluate(&ev, s);
	if (!r)
		r = keep(&ev, e);
	if (!r)
		r = cache(inf, e, name, err);
	free(ev.includes);
	free(ev.copyinf);
	free(ev.copies);
	if (!r)
		*ret = e;
	return r;
}

int ibb_inf_install_get(struct ibb_inf *inf, const struct ibb_inf_target *t, const char *section,
			const struct ibb_inf_install_entry **ret, struct ibb_error *err)
{
	const struct ibb_inf_section *s;
	struct ibb_inf_install_entry *e = NULL;
	size_t i;
	int r;

	if (ibb_inf_map_get(&inf->install_map, section, strlen(section), &i))
		for (e = inf->installs[i]; e && e->arch != t->arch;)
			e = e->next;
	if (!e) {
		s = actual_section(inf, t->arch, section);
		if (!s)
			return IBB_E_NOTFOUND;
		r = make(inf, t->arch, section, s, &e, err);
		if (r)
			return r;
	}
	*ret = e;
	return IBB_OK;
}

/* The first models line that names the install section, of all that were asked for so far. */
static unsigned models_line(const struct ibb_inf *inf, const char *section)
{
	for (const struct ibb_inf_models_entry *e = inf->models; e; e = e->next)
		for (size_t i = 0; i < e->pub.n; i++)
			if (ibb_caseeq(e->pub.models[i].install_section, section))
				return e->pub.models[i].line;
	return 0;
}

int ibb_inf_install(struct ibb_inf *inf, const struct ibb_inf_target *t, const char *section,
		    const struct ibb_inf_install **ret, struct ibb_error *err)
{
	const struct ibb_inf_install_entry *e;
	int r = ibb_inf_install_get(inf, t, section, &e, err);

	if (r == IBB_E_NOTFOUND)
		return ibb_inf_err(inf, models_line(inf, section), IBB_E_CORRUPT, err,
				   "no install section [%.200s.NT%s], .NT or undecorated", section,
				   ibb_arch_name(t->arch));
	if (r)
		return r;
	*ret = &e->pub;
	return IBB_OK;
}
