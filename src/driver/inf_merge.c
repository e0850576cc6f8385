/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/inf_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

#define NAME_SIZE 512

static const char *const part_suffix[IBB_N_PARTS] = {
	[IBB_PART_MAIN] = "",
	[IBB_PART_HW] = ".HW",
	[IBB_PART_SERVICES] = ".Services",
	[IBB_PART_INTERFACES] = ".Interfaces",
	[IBB_PART_WDF] = ".Wdf",
};

/* Parts whose effect on what Windows records is not known. */
static const char *const refused_suffix[] = {
	".CoInstallers", ".LogConfigOverride", ".FactDef", ".Components", ".Software",
	".Events",	 ".Filters",	       ".WMI",	   ".Hardware",
};

struct merger {
	struct ibb_inf *main;
	const struct ibb_inf_provider *included;
	struct ibb_arena *arena;
	struct ibb_error *err;
	struct ibb_merge_step *steps;
	size_t n_steps, cap_steps;
	const char **names; /* of the included INFs, and the INFs themselves */
	struct ibb_inf **infs;
	size_t n_infs, cap_names, cap_infs;
	enum ibb_install_part part;
};

struct frame {
	const struct ibb_inf_section *section;
	const struct frame *up;
	unsigned depth;
};

static int merge_section(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_section *s,
			 const struct frame *up);

/* ---- Include ---- */

static int fetch(struct merger *m, struct ibb_inf *from, unsigned line, const char *name,
		 struct ibb_inf **ret)
{
	int rc = ibb_name_problem(name, strlen(name)) ? IBB_E_CORRUPT : IBB_E_NOTFOUND;

	if (rc == IBB_E_CORRUPT)
		return ibb_inf_err(from, line, rc, m->err, "Include of '%.80s', no file name",
				   name);
	if (m->included && m->included->get)
		rc = m->included->get(m->included->ctx, name, ret, m->err);
	if (rc == IBB_E_NOTFOUND)
		return ibb_inf_err(from, line, IBB_E_UNSUPPORTED, m->err,
				   "includes %.80s, which the target's INF directory lacks", name);
	return rc ? ibb_err_prefix(m->err, rc, "%s:%u includes %.80s", ibb_inf_name(from), line,
				   name)
		  : IBB_OK;
}

static int include(struct merger *m, struct ibb_inf *from, unsigned line, const char *name)
{
	struct ibb_inf *inf = NULL;
	int rc;

	for (size_t i = 0; i < m->n_infs; i++)
		if (ibb_caseeq(m->names[i], name))
			return IBB_OK;
	if (m->n_infs >= IBB_LIMIT_INF_INCLUDES)
		return ibb_inf_err(from, line, IBB_E_LIMIT, m->err, "more than %u included INFs",
				   IBB_LIMIT_INF_INCLUDES);
	rc = fetch(m, from, line, name, &inf);
	if (rc)
		return rc;
	if (ibb_grow(&m->names, &m->cap_names, m->n_infs, sizeof(*m->names)) ||
	    ibb_grow(&m->infs, &m->cap_infs, m->n_infs, sizeof(*m->infs)))
		return ibb_err_nomem(m->err);
	m->names[m->n_infs] = ibb_arena_strdup(m->arena, name);
	if (!m->names[m->n_infs])
		return ibb_err_nomem(m->err);
	m->infs[m->n_infs++] = inf;
	return IBB_OK;
}

static int includes_of(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_section *s)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < s->n; i++) {
		const struct ibb_inf_line *l = &s->lines[i];

		for (size_t k = 0; !rc && l->key && ibb_caseeq(l->key, "Include") && k < l->n; k++)
			if (*l->fields[k])
				rc = include(m, inf, l->line, l->fields[k]);
	}
	return rc;
}

/* Is `name` in an Include line of s? */
static bool says_include(const struct ibb_inf_section *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0;
		     s->lines[i].key && ibb_caseeq(s->lines[i].key, "Include") && k < s->lines[i].n;
		     k++)
			if (ibb_caseeq(s->lines[i].fields[k], name))
				return true;
	return false;
}

/* ---- Needs ---- */

static bool is_other_part(enum ibb_install_part part, const char *name)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(refused_suffix); i++)
		if (ibb_case_suffix(name, refused_suffix[i]))
			return true;
	for (int i = IBB_PART_HW; i < IBB_N_PARTS; i++)
		if (i != (int)part && ibb_case_suffix(name, part_suffix[i]))
			return true;
	return false;
}

struct candidate {
	struct ibb_inf *inf;
	const struct ibb_inf_section *section;
	unsigned n;
};

static void consider(struct candidate *c, struct ibb_inf *inf, const char *name,
		     const struct frame *f)
{
	const struct ibb_inf_section *s = ibb_inf_section(inf, name);

	if (!s || s == f->section || (c->n && s == c->section))
		return;
	c->inf = inf;
	c->section = s;
	c->n++;
}

/*
 * The section that Needs means: in the INFs that the same section includes (machine.inf includes
 * pci.inf and needs a section of its own section's name from it), else in the file itself, else in
 * any INF included so far, as all of them are open by then.
 */
static int resolve(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_line *l,
		   const char *name, const struct frame *f, struct candidate *ret)
{
	struct candidate c = {0};

	for (size_t i = 0; i < m->n_infs; i++)
		if (says_include(f->section, m->names[i]))
			consider(&c, m->infs[i], name, f);
	consider(&c, inf, name, f);
	for (size_t i = 0; !c.n && i < m->n_infs; i++)
		consider(&c, m->infs[i], name, f);
	if (c.n > 1)
		return ibb_inf_err(inf, l->line, IBB_E_UNSUPPORTED, m->err,
				   "Needs=%.120s: more than one file has that section", name);
	if (c.n)
		*ret = c;
	else if (ibb_inf_section(inf, name) == f->section)
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, m->err,
				   "Needs goes round in a circle through [%.120s]", name);
	else
		return ibb_inf_err(inf, l->line, IBB_E_UNSUPPORTED, m->err,
				   "Needs=%.120s: neither the file nor what it includes has that "
				   "section",
				   name);
	return IBB_OK;
}

static int need(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_line *l,
		const char *name, const struct frame *f)
{
	struct candidate c = {0};
	int rc;

	if (is_other_part(m->part, name))
		return ibb_inf_err(inf, l->line, IBB_E_UNSUPPORTED, m->err,
				   "Needs=%.120s in [%.120s]: a section of another part", name,
				   f->section->name);
	rc = resolve(m, inf, l, name, f, &c);
	if (rc)
		return rc;
	for (const struct frame *up = f; up; up = up->up)
		if (up->section == c.section)
			return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, m->err,
					   "Needs goes round in a circle through [%.120s]", name);
	if (f->depth >= IBB_LIMIT_INF_NEEDS_DEPTH)
		return ibb_inf_err(inf, l->line, IBB_E_LIMIT, m->err,
				   "Needs nested more than %u deep", IBB_LIMIT_INF_NEEDS_DEPTH);
	return merge_section(m, c.inf, c.section, f);
}

/* ---- the walk ---- */

static int add_step(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_section *s)
{
	if (m->n_steps >= IBB_LIMIT_INF_STEPS)
		return ibb_inf_err(inf, s->line, IBB_E_LIMIT, m->err,
				   "more than %u sections take part in one install",
				   IBB_LIMIT_INF_STEPS);
	if (ibb_grow(&m->steps, &m->cap_steps, m->n_steps, sizeof(*m->steps)))
		return ibb_err_nomem(m->err);
	m->steps[m->n_steps++] = (struct ibb_merge_step){inf, s, m->part, inf == m->main};
	return IBB_OK;
}

static int merge_section(struct merger *m, struct ibb_inf *inf, const struct ibb_inf_section *s,
			 const struct frame *up)
{
	struct frame f = {s, up, up ? up->depth + 1 : 0};
	int rc;

	for (size_t i = 0; i < m->n_steps; i++)
		if (m->steps[i].section == s && m->steps[i].part == m->part)
			return IBB_OK;
	rc = add_step(m, inf, s);
	if (!rc)
		rc = includes_of(m, inf, s);
	for (size_t i = 0; !rc && i < s->n; i++) {
		const struct ibb_inf_line *l = &s->lines[i];

		for (size_t k = 0; !rc && l->key && ibb_caseeq(l->key, "Needs") && k < l->n; k++)
			if (*l->fields[k])
				rc = need(m, inf, l, l->fields[k], &f);
	}
	return rc;
}

static const struct ibb_inf_section *with_suffix(const struct ibb_inf *inf, const char *name,
						 const char *suffix)
{
	char full[NAME_SIZE];
	int n = snprintf(full, sizeof(full), "%s%s", name, suffix);

	return n > 0 && (size_t)n < sizeof(full) ? ibb_inf_section(inf, full) : NULL;
}

static int merge_parts(struct merger *m, const char *section, uint32_t *parts)
{
	int rc = IBB_OK;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(refused_suffix); i++) {
		const struct ibb_inf_section *s = with_suffix(m->main, section, refused_suffix[i]);

		if (s)
			return ibb_inf_err(m->main, s->line, IBB_E_UNSUPPORTED, m->err,
					   "what Windows records for [%.120s] is not known",
					   s->name);
	}
	for (int i = 0; !rc && i < IBB_N_PARTS; i++) {
		const struct ibb_inf_section *s = with_suffix(m->main, section, part_suffix[i]);

		m->part = (enum ibb_install_part)i;
		if (s)
			*parts |= 1u << i;
		if (s)
			rc = merge_section(m, m->main, s, NULL);
	}
	return rc;
}

static int keep(struct merger *m, uint32_t parts, struct ibb_merge *ret)
{
	struct ibb_merge_step *steps = ibb_arena_array(m->arena, m->n_steps, sizeof(*steps));
	const char **names = ibb_arena_array(m->arena, m->n_infs, sizeof(*names));

	if (!steps || !names)
		return ibb_err_nomem(m->err);
	for (size_t i = 0; i < m->n_steps; i++)
		steps[i] = m->steps[i];
	for (size_t i = 0; i < m->n_infs; i++)
		names[i] = m->names[i];
	*ret = (struct ibb_merge){m->n_steps, steps, m->n_infs, names, parts};
	return IBB_OK;
}

int ibb_inf_merge(struct ibb_inf *inf, const char *section, const struct ibb_inf_provider *included,
		  struct ibb_arena *arena, struct ibb_merge *ret, struct ibb_error *err)
{
	struct merger m = {.main = inf, .included = included, .arena = arena, .err = err};
	uint32_t parts = 0;
	int rc = merge_parts(&m, section, &parts);

	if (!rc)
		rc = keep(&m, parts, ret);
	free(m.steps);
	free(m.names);
	free(m.infs);
	return rc;
}
