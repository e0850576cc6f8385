/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Microsoft, "INF Manufacturer Section" and "INF Models Section". */
#include "inf/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

/* One decoration of a [Manufacturer] line that applies. */
struct candidate {
	const char *text; /* "" for the undecorated section */
	struct ibb_inf_decoration d;
	uint64_t rank;
};

struct pick {
	struct candidate best, second;
	size_t n_apply, n_all;
};

struct chooser {
	struct ibb_inf *inf;
	const struct ibb_inf_target *t;
	struct ibb_error *err;
	struct ibb_inf_models *m;
	const char **sections, **reasons, **manufacturers;
	unsigned *lines;
	size_t *indices;       /* into inf->sections */
	uint8_t *chosen;       /* one a section of the file */
	struct ibb_buf text;   /* scratch for sentences */
	struct ibb_buf offers; /* what does not apply */
	const char *absent;    /* chosen section that the file does not have */
};

static const char *product_name(unsigned type)
{
	switch (type) {
	case 1:
		return " workstation";
	case 2:
		return " domain controller";
	case 3:
		return " server";
	}
	return "";
}

static void describe_target(const struct ibb_inf_target *t, char out[80])
{
	snprintf(out, 80, "%u.%u build %u %s%s", t->major, t->minor, t->build,
		 ibb_arch_name(t->arch), product_name(t->product_type));
}

static int offer(struct chooser *c, const char *decoration)
{
	return ibb_buf_printf(&c->offers, "%s%.60s", c->offers.len ? ", " : "",
			      *decoration ? decoration : "an undecorated section");
}

/* What decided between the chosen decoration and the best of the others that apply. */
static void deciding(const struct candidate *best, const struct candidate *second, char out[96])
{
	const struct ibb_inf_decoration *a = &best->d, *b = &second->d;

	if (a->major != b->major || a->minor != b->minor)
		snprintf(out, 96, "the highest version (%u.%u) not above the target's", a->major,
			 a->minor);
	else if (a->build != b->build)
		snprintf(out, 96, "the highest build (%u) not above the target's", a->build);
	else if (a->has_product != b->has_product)
		snprintf(out, 96, "the target's product type (%u)", a->product_type);
	else if (a->has_suite != b->has_suite || a->suite_mask != b->suite_mask)
		snprintf(out, 96, "the target's product suite (0x%x)", a->suite_mask);
	else if (best->rank == second->rank)
		snprintf(out, 96, "the same decoration and stands first");
	else
		snprintf(out, 96, "the target's architecture");
}

static int explain(struct chooser *c, const struct pick *p, const char **ret)
{
	const struct candidate *best = &p->best, *second = &p->second;
	char target[80], why[96];

	describe_target(c->t, target);
	c->text.len = 0;
	if (ibb_buf_printf(&c->text, "%s: ", *best->text ? best->text : "undecorated section"))
		return ibb_err_nomem(c->err);
	if (p->n_all == 1) {
		if (ibb_buf_printf(&c->text, "the only section offered; applies to %s", target))
			return ibb_err_nomem(c->err);
	} else if (p->n_apply == 1) {
		if (ibb_buf_printf(&c->text, "the only one of %zu that applies to %s", p->n_all,
				   target))
			return ibb_err_nomem(c->err);
	} else {
		deciding(best, second, why);
		if (ibb_buf_printf(&c->text, "of %zu that apply to %s it has %s; next is %s",
				   p->n_apply, target, why,
				   *second->text ? second->text : "the undecorated section"))
			return ibb_err_nomem(c->err);
	}
	*ret = ibb_arena_strndup(&c->inf->arena, (const char *)c->text.data, c->text.len);
	return *ret ? IBB_OK : ibb_err_nomem(c->err);
}

static int take(struct chooser *c, const struct ibb_inf_line *l, const struct candidate *best,
		const char *reason)
{
	const char *base = ibb_inf_field(l, 0), *section = base;
	const struct ibb_inf_section *s;
	size_t n = c->m->n_sections;

	if (*best->text)
		section = ibb_arena_printf(&c->inf->arena, "%s.%s", base, best->text);
	if (!section)
		return ibb_err_nomem(c->err);
	s = ibb_inf_section(c->inf, section);
	if (!s) {
		c->absent = section;
		return IBB_OK;
	}
	if (c->chosen[ibb_inf_index(c->inf, s)])
		return IBB_OK;
	c->chosen[ibb_inf_index(c->inf, s)] = 1;
	c->sections[n] = s->name;
	c->lines[n] = s->line;
	c->reasons[n] = reason;
	c->manufacturers[n] = l->key ? l->key : base;
	c->indices[n] = ibb_inf_index(c->inf, s);
	c->m->n_sections++;
	return IBB_OK;
}

static void consider(struct pick *p, struct candidate x)
{
	p->n_apply++;
	if (x.rank > p->best.rank) {
		p->second = p->best;
		p->best = x;
	} else if (x.rank > p->second.rank) {
		p->second = x;
	}
}

/* The section without decoration needs no mention on the [Manufacturer] line. */
static int consider_plain(struct chooser *c, struct pick *p, const char *section)
{
	struct candidate x = {.text = ""};

	x.rank = ibb_inf_decoration_rank(&x.d, c->t);
	if (!ibb_inf_section(c->inf, section))
		return IBB_OK;
	p->n_all++;
	if (!x.rank)
		return offer(c, x.text);
	consider(p, x);
	return IBB_OK;
}

/* One [Manufacturer] line: choose among its decorations; an unreadable one is never valid. */
static int choose(struct chooser *c, const struct ibb_inf_line *l)
{
	struct pick p = {0};
	const char *reason;
	int r;

	if (!*ibb_inf_field(l, 0))
		return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
				   "[Manufacturer] line without the name of a models section");
	for (size_t i = 1; i < l->n; i++) {
		struct candidate x = {.text = l->fields[i]};

		if (!*x.text)
			continue;
		p.n_all++;
		if (ibb_inf_decoration_parse(x.text, &x.d))
			x.rank = ibb_inf_decoration_rank(&x.d, c->t);
		if (x.rank)
			consider(&p, x);
		else if (offer(c, x.text))
			return ibb_err_nomem(c->err);
	}
	if (consider_plain(c, &p, ibb_inf_field(l, 0)))
		return ibb_err_nomem(c->err);
	if (!p.n_apply)
		return IBB_OK;
	r = explain(c, &p, &reason);
	return r ? r : take(c, l, &p.best, reason);
}

static int check_id(struct chooser *c, const struct ibb_inf_line *l, const char *id)
{
	size_t units = 0, len = strlen(id);

	/* each part becomes the name of a registry key */
	if (len && (id[0] == '\\' || id[len - 1] == '\\' || strstr(id, "\\\\")))
		return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
				   "device ID with nothing before or behind a backslash: '%.80s'",
				   id);
	for (const unsigned char *p = (const unsigned char *)id; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
					   "device ID with a control character: '%.80s'", id);
		units += (*p & 0xc0) != 0x80;
		units += *p >= 0xf0;
	}
	if (units > IBB_LIMIT_DEVICE_ID_CHARS)
		return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
				   "device ID of %zu characters, Windows allows %u: '%.40s...'",
				   units, IBB_LIMIT_DEVICE_ID_CHARS, id);
	return IBB_OK;
}

/* The IDs behind the hardware ID; empty fields are no IDs. */
static int compatibles(struct chooser *c, const struct ibb_inf_line *l, struct ibb_inf_model *m)
{
	size_t n = 0;
	const char **ids;

	for (size_t i = 2; i < l->n; i++)
		n += *l->fields[i] != '\0';
	if (!n)
		return IBB_OK;
	m->n_compatible = n;
	if (n == l->n - 2) {
		m->compatible_ids = l->fields + 2;
		return IBB_OK;
	}
	ids = ibb_arena_array(&c->inf->arena, n, sizeof(*ids));
	if (!ids)
		return ibb_err_nomem(c->err);
	m->compatible_ids = ids;
	for (size_t i = 2; i < l->n; i++)
		if (*l->fields[i])
			*ids++ = l->fields[i];
	return IBB_OK;
}

static int read_model(struct chooser *c, const struct ibb_inf_line *l, const char *manufacturer,
		      struct ibb_inf_model *m)
{
	int r = IBB_OK;

	if (!l->key || !*ibb_inf_field(l, 0))
		return ibb_inf_err(c->inf, l->line, IBB_E_CORRUPT, c->err,
				   "models line is not 'description=install-section,ID...'");
	for (size_t i = 1; !r && i < l->n; i++)
		r = check_id(c, l, l->fields[i]);
	if (r)
		return r;
	*m = (struct ibb_inf_model){.line = l->line,
				    .description = l->key,
				    .install_section = l->fields[0],
				    .manufacturer = manufacturer,
				    .hardware_id = ibb_inf_field(l, 1)};
	return compatibles(c, l, m);
}

static int read_models(struct chooser *c)
{
	struct ibb_inf_model *models;
	size_t n = 0;
	int r = IBB_OK;

	for (size_t i = 0; i < c->m->n_sections; i++)
		n += c->inf->sections[c->indices[i]].n;
	models = ibb_arena_array(&c->inf->arena, n, sizeof(*models));
	if (!models)
		return ibb_err_nomem(c->err);
	n = 0;
	for (size_t i = 0; i < c->m->n_sections; i++) {
		const struct ibb_inf_section *s = &c->inf->sections[c->indices[i]];

		for (size_t k = 0; !r && k < s->n; k++)
			r = read_model(c, &s->lines[k], c->manufacturers[i], &models[n++]);
	}
	c->m->n = n;
	c->m->models = models;
	return r;
}

static int nothing_applies(struct chooser *c, unsigned line)
{
	char target[80];

	describe_target(c->t, target);
	if (c->absent)
		return ibb_inf_err(c->inf, line, IBB_E_UNSUPPORTED, c->err,
				   "for Windows %s [Manufacturer] chooses the models section "
				   "[%.200s], which the file does not have",
				   target, c->absent);
	if (c->m->n_sections)
		return ibb_inf_err(c->inf, c->lines[0], IBB_E_UNSUPPORTED, c->err,
				   "models section [%.200s] is empty: the INF excludes Windows %s",
				   c->sections[0], target);
	return ibb_inf_err(c->inf, line, IBB_E_UNSUPPORTED, c->err,
			   "no models section for Windows %s; [Manufacturer] offers %.500s", target,
			   c->offers.len ? ibb_buf_cstr(&c->offers) : "nothing");
}

static int prepare(struct chooser *c, size_t n)
{
	struct ibb_arena *a = &c->inf->arena;

	c->sections = ibb_arena_array(a, n, sizeof(*c->sections));
	c->reasons = ibb_arena_array(a, n, sizeof(*c->reasons));
	c->manufacturers = ibb_arena_array(a, n, sizeof(*c->manufacturers));
	c->lines = ibb_arena_array(a, n, sizeof(*c->lines));
	c->indices = ibb_arena_array(a, n, sizeof(*c->indices));
	c->chosen = ibb_arena_array(a, c->inf->n_sections, 1);
	if (!c->sections || !c->reasons || !c->manufacturers || !c->lines || !c->indices ||
	    !c->chosen)
		return ibb_err_nomem(c->err);
	c->m->sections = c->sections;
	c->m->reasons = c->reasons;
	c->m->section_lines = c->lines;
	return IBB_OK;
}

static int choose_all(struct chooser *c)
{
	const struct ibb_inf_section *s = ibb_inf_section(c->inf, "Manufacturer");
	int r;

	if (!s)
		return ibb_inf_err(c->inf, 0, IBB_E_UNSUPPORTED, c->err,
				   "no [Manufacturer] section: the INF installs no devices");
	r = prepare(c, s->n);
	for (size_t i = 0; !r && i < s->n; i++)
		r = choose(c, &s->lines[i]);
	if (!r)
		r = read_models(c);
	if (!r && !c->m->n)
		r = nothing_applies(c, s->line);
	return r;
}

static bool same_target(const struct ibb_inf_target *a, const struct ibb_inf_target *b)
{
	return a->arch == b->arch && a->major == b->major && a->minor == b->minor &&
	       a->build == b->build && a->product_type == b->product_type &&
	       a->suite_mask == b->suite_mask;
}

int ibb_inf_models(struct ibb_inf *inf, const struct ibb_inf_target *t, struct ibb_inf_models *ret,
		   struct ibb_error *err)
{
	struct ibb_inf_models m = {0};
	struct chooser c = {.inf = inf, .t = t, .err = err, .m = &m};
	struct ibb_inf_models_entry *e;
	int r;

	for (e = inf->models; e; e = e->next) {
		if (same_target(&e->target, t)) {
			*ret = e->pub;
			return IBB_OK;
		}
	}
	r = choose_all(&c);
	ibb_buf_clear(&c.text);
	ibb_buf_clear(&c.offers);
	if (r)
		return r;
	e = ibb_arena_alloc(&inf->arena, sizeof(*e));
	if (!e)
		return ibb_err_nomem(err);
	*e = (struct ibb_inf_models_entry){inf->models, *t, m};
	inf->models = e;
	*ret = m;
	return IBB_OK;
}
