/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors and Strings: what the models lines say of each device ID. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"
#include "driver/configure_int.h"

struct raw_line {
	unsigned line;
	const struct ibb_inf_line *l;
	const char *section;
};
struct raw_lines {
	struct raw_line *items;
	size_t n, cap;
};

static int by_line(const void *pa, const void *pb)
{
	const struct raw_line *a = pa, *b = pb;

	return (a->line > b->line) - (a->line < b->line);
}

/* The lines of the chosen models sections, to find a model's own spelling by its line. */
static int collect(struct builder *b, struct raw_lines *x)
{
	const struct ibb_inf_models *m = &b->p->models;

	for (size_t i = 0; i < m->n_sections; i++) {
		const struct ibb_inf_section *s = ibb_inf_section(b->p->inf, m->sections[i]);

		for (size_t k = 0; s && k < s->n; k++) {
			if (ibb_grow(&x->items, &x->cap, x->n, sizeof(*x->items)))
				return ibb_err_nomem(b->err);
			x->items[x->n++] =
				(struct raw_line){s->lines[k].line, &s->lines[k], s->name};
		}
	}
	if (x->n)
		qsort(x->items, x->n, sizeof(*x->items), by_line);
	return IBB_OK;
}

/* Does the models section belong to this line of [Manufacturer]? */
static bool names_section(const char *base, const char *section)
{
	size_t n = strlen(base);

	return ibb_case_prefix(section, base) && (!section[n] || section[n] == '.');
}

static const char *raw_manufacturer(const struct ibb_inf *inf, const struct ibb_inf_model *m,
				    const char *section)
{
	const struct ibb_inf_section *s = ibb_inf_section(inf, "Manufacturer");

	for (size_t i = 0; s && i < s->n; i++) {
		const struct ibb_inf_line *l = &s->lines[i];
		const char *text = l->key ? l->key : l->fields[0];
		const char *base = l->n ? l->fields[0] : "";

		if (strcmp(text, m->manufacturer) == 0 && names_section(base, section))
			return l->key ? l->raw_key : l->raw_fields[0];
	}
	return NULL;
}

/* Doubles are dropped at the end. */
static int put_string(struct builder *b, const char *token, const char *text, const char *evidence)
{
	struct ibb_config_record *rec = &b->c->record;

	if (ibb_grow(&rec->strings, &rec->cap_strings, rec->n_strings, sizeof(*rec->strings)))
		return ibb_err_nomem(b->err);
	rec->strings[rec->n_strings++] = (struct ibb_config_string){token, text, evidence};
	return IBB_OK;
}

/* Text as Windows keeps it: one %token% in lower case, its text in Strings; or no token at all. */
static int keep_text(struct builder *b, unsigned line, const char *raw, const char *evidence,
		     const char **ret)
{
	struct ibb_arena *a = &b->c->arena;
	size_t n = strlen(raw);
	const char *text;
	char *token, *kept;

	if (!strchr(raw, '%')) {
		*ret = raw;
		return IBB_OK;
	}
	token = n > 2 ? ibb_arena_strndup(a, raw + 1, n - 2) : ibb_arena_strdup(a, "");
	kept = ibb_arena_strdup(a, raw);
	if (!token || !kept)
		return ibb_err_nomem(b->err);
	text = *raw == '%' && raw[n - 1] == '%' && !strchr(token, '%')
		       ? ibb_inf_string(b->p->inf, token)
		       : NULL;
	if (!text)
		return ibb_inf_err(b->p->inf, line, IBB_E_UNSUPPORTED, b->err,
				   "the text '%.120s' is not one token of [Strings]", raw);
	ibb_ascii_lower(token);
	ibb_ascii_lower(kept);
	*ret = kept;
	return put_string(b, token, text, evidence);
}

static int put_id(struct builder *b, const char *id, struct ibb_config_descriptor d)
{
	struct ibb_config_record *rec = &b->c->record;

	if (ibb_grow(&rec->descriptors, &rec->cap_descriptors, rec->n_descriptors,
		     sizeof(*rec->descriptors)))
		return ibb_err_nomem(b->err);
	d.id = id;
	rec->descriptors[rec->n_descriptors++] = d;
	return IBB_OK;
}

static int put_model(struct builder *b, const struct raw_lines *x, const struct ibb_inf_model *m)
{
	const struct raw_line want = {.line = m->line};
	const struct raw_line *raw =
		x->n ? bsearch(&want, x->items, x->n, sizeof(want), by_line) : NULL;
	const struct ibb_inf_install *inst = NULL;
	const char *manufacturer = raw ? raw_manufacturer(b->p->inf, m, raw->section) : NULL;
	struct ibb_config_descriptor d = {0};
	int rc;

	if (!manufacturer || !raw->l->raw_key)
		return ibb_inf_err(b->p->inf, m->line, IBB_E_UNSUPPORTED, b->err,
				   "a models line whose manufacturer or text is not found");
	rc = ibb_inf_install(b->p->inf, &b->p->target, m->install_section, &inst, b->err);
	if (rc)
		return rc;
	d.configuration = inst->section;
	d.evidence = ibb_cfg_evidence(&b->c->arena, b->p->inf, m->line, "models line");
	if (!d.evidence)
		return ibb_err_nomem(b->err);
	rc = keep_text(b, m->line, manufacturer, d.evidence, &d.manufacturer);
	if (!rc)
		rc = keep_text(b, m->line, raw->l->raw_key, d.evidence, &d.description);
	if (!rc)
		rc = put_id(b, m->hardware_id, d);
	for (size_t i = 0; !rc && i < m->n_compatible; i++)
		rc = put_id(b, m->compatible_ids[i], d);
	return rc;
}

static int by_id(const void *pa, const void *pb)
{
	const struct ibb_config_descriptor *const *a = pa, *const *b = pb;
	int r = ibb_casecmp((*a)->id, (*b)->id);

	return r ? r : (*a > *b) - (*a < *b);
}

static bool same(const struct ibb_config_descriptor *a, const struct ibb_config_descriptor *b)
{
	return ibb_caseeq(a->configuration, b->configuration) &&
	       strcmp(a->manufacturer, b->manufacturer) == 0 &&
	       strcmp(a->description, b->description) == 0;
}

/* The same ID on two lines: the first stays if they agree; which one Windows keeps if not is not
 * known. A dropped one is marked by an ID of NULL. */
static int drop_doubles(struct builder *b)
{
	struct ibb_config_record *rec = &b->c->record;
	IBB_AUTO_FREE struct ibb_config_descriptor **order = NULL;
	size_t n = 0, first = 0;

	order = ibb_calloc_array(rec->n_descriptors, sizeof(*order));
	if (!order)
		return ibb_err_nomem(b->err);
	for (size_t i = 0; i < rec->n_descriptors; i++)
		order[i] = &rec->descriptors[i];
	if (rec->n_descriptors)
		qsort(order, rec->n_descriptors, sizeof(*order), by_id);
	for (size_t i = 1; i < rec->n_descriptors; i++) {
		if (!ibb_caseeq(order[i]->id, order[first]->id)) {
			first = i;
			continue;
		}
		if (!same(order[i], order[first]))
			return ibb_err(b->err, IBB_E_UNSUPPORTED,
				       "%s: the device ID %.200s stands on another line too (%s), "
				       "with another text or section",
				       order[i]->evidence, order[i]->id, order[first]->evidence);
		order[i]->id = NULL;
	}
	for (size_t i = 0; i < rec->n_descriptors; i++)
		if (rec->descriptors[i].id)
			rec->descriptors[n++] = rec->descriptors[i];
	rec->n_descriptors = n;
	return IBB_OK;
}

static int by_token(const void *pa, const void *pb)
{
	const struct ibb_config_string *const *a = pa, *const *b = pb;
	int r = strcmp((*a)->token, (*b)->token);

	return r ? r : (*a > *b) - (*a < *b);
}

/* The same token has the same text. The order is that of first use. */
static int drop_double_strings(struct builder *b)
{
	struct ibb_config_record *rec = &b->c->record;
	IBB_AUTO_FREE struct ibb_config_string **order = NULL;
	size_t n = 0, first = 0;

	order = ibb_calloc_array(rec->n_strings, sizeof(*order));
	if (!order)
		return ibb_err_nomem(b->err);
	for (size_t i = 0; i < rec->n_strings; i++)
		order[i] = &rec->strings[i];
	if (rec->n_strings)
		qsort(order, rec->n_strings, sizeof(*order), by_token);
	for (size_t i = 1; i < rec->n_strings; i++) {
		if (strcmp(order[i]->token, order[first]->token) != 0)
			first = i;
		else
			order[i]->text = NULL;
	}
	for (size_t i = 0; i < rec->n_strings; i++)
		if (rec->strings[i].text)
			rec->strings[n++] = rec->strings[i];
	rec->n_strings = n;
	return IBB_OK;
}

int ibb_cfg_descriptors(struct builder *b)
{
	struct raw_lines x = {0};
	int rc = collect(b, &x);

	for (size_t i = 0; !rc && i < b->p->models.n; i++)
		rc = put_model(b, &x, &b->p->models.models[i]);
	free(x.items);
	if (!rc)
		rc = drop_doubles(b);
	return rc ? rc : drop_double_strings(b);
}
