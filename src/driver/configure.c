/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/configure.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"
#include "driver/configure_int.h"

#define FIRST_UNSETTLED_BUILD 22000u /* Windows 11; the servers of that line come after it */

void ibb_configuration_free(struct ibb_configuration *c)
{
	if (!c)
		return;
	ibb_config_record_clear(&c->record);
	free(c->values.items);
	free(c->files);
	free(c->services);
	ibb_arena_clear(&c->arena);
	free(c);
}

int ibb_configure_target(const struct ibb_inf_target *t, struct ibb_error *err)
{
	if (t->major < 6 || (t->major == 6 && t->minor < 2))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "Windows %u.%u has no driver database to configure a package in",
			       t->major, t->minor);
	if (t->major > 10 || t->build >= FIRST_UNSETTLED_BUILD)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "a boot-critical package cannot be configured offline in Windows "
			       "build %u: what Windows 11 and its servers keep in PnpResources is "
			       "not known",
			       t->build);
	return IBB_OK;
}

/* The configuration of this name; *fresh when it was just made. */
static int section_for(struct builder *b, const struct ibb_inf_install *inst, bool *fresh)
{
	struct ibb_config_record *rec = &b->c->record;

	for (size_t i = 0; i < rec->n_sections; i++)
		if (rec->sections[i].name == inst->section) {
			*fresh = false;
			return IBB_OK;
		}
	if (rec->n_sections >= IBB_LIMIT_INF_STEPS)
		return ibb_err(b->err, IBB_E_LIMIT, "%s: more than %u install sections",
			       ibb_inf_name(b->p->inf), IBB_LIMIT_INF_STEPS);
	if (ibb_grow(&rec->sections, &rec->cap_sections, rec->n_sections, sizeof(*rec->sections)))
		return ibb_err_nomem(b->err);
	b->section = &rec->sections[rec->n_sections];
	*b->section = (struct ibb_config_section){
		.name = inst->section,
		.evidence =
			ibb_cfg_evidence(&b->c->arena, b->p->inf, inst->line, "install section"),
	};
	rec->n_sections++;
	*fresh = true;
	return b->section->evidence ? IBB_OK : ibb_err_nomem(b->err);
}

static int build_sections(struct builder *b)
{
	struct ibb_package *p = b->p;

	for (size_t i = 0; i < p->models.n; i++) {
		const struct ibb_inf_install *inst = NULL;
		struct ibb_merge merge;
		bool fresh = false;
		int rc = ibb_inf_install(p->inf, &p->target, p->models.models[i].install_section,
					 &inst, b->err);

		if (!rc)
			rc = section_for(b, inst, &fresh);
		if (!rc && !fresh)
			continue;
		if (!rc)
			rc = ibb_inf_merge(p->inf, inst->section, &b->opts->included, &b->c->arena,
					   &merge, b->err);
		if (!rc)
			rc = ibb_cfg_section(b, &merge);
		if (rc)
			return rc;
	}
	return IBB_OK;
}

/* A service whose driver is not copied would stop the boot. */
static int check_services(struct builder *b)
{
	const struct ibb_configuration *c = b->c;

	for (size_t i = 0; i < c->n_services; i++) {
		bool found = false;

		for (size_t k = 0; k < c->n_files; k++)
			found |= ibb_caseeq(c->files[k].dest, c->services[i].binary);
		if (!found)
			return ibb_err(b->err, IBB_E_UNSUPPORTED,
				       "%s: the service %.80s runs %.200s, which the package does "
				       "not copy",
				       c->services[i].evidence, c->services[i].name,
				       c->services[i].binary);
	}
	return IBB_OK;
}

/* DriverInfFiles\<published>: the sections, in the order of the models. */
static int put_configurations(struct builder *b)
{
	struct ibb_config_record *rec = &b->c->record;
	const char **names = ibb_arena_array(&b->c->arena, rec->n_sections, sizeof(*names));
	struct ibb_configure_value v = {.root = IBB_CONFIGURE_INF_FILE,
					.key = "",
					.name = "Configurations",
					.evidence = rec->sections[0].evidence};

	if (!names)
		return ibb_err_nomem(b->err);
	for (size_t i = 0; i < rec->n_sections; i++)
		names[i] = rec->sections[i].name;
	return ibb_cfg_push_multi(&b->c->values, &b->c->arena, v,
				  &(struct ibb_string_list){rec->n_sections, names}, b->err);
}

static int build(struct builder *b)
{
	int rc = ibb_configure_target(&b->p->target, b->err);

	if (!rc && b->p->version.extension_id)
		rc = ibb_err(b->err, IBB_E_UNSUPPORTED,
			     "an Extension INF is not configured by itself");
	if (!rc)
		rc = ibb_inf_files(b->p->inf, &b->p->target, &b->files, b->err);
	if (!rc)
		rc = build_sections(b);
	if (!rc)
		rc = ibb_cfg_descriptors(b);
	if (!rc)
		rc = check_services(b);
	if (!rc)
		rc = ibb_cfg_lockdown(b);
	if (!rc)
		rc = put_configurations(b);
	if (!rc)
		rc = ibb_config_record_encode(&b->c->record, &b->c->arena, &b->c->values, b->err);
	return rc;
}

int ibb_configure_build(struct ibb_package *p, const struct ibb_configure_opts *opts,
			struct ibb_configuration **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_configuration_free) struct ibb_configuration *c = ibb_zalloc(sizeof(*c));
	struct builder b = {.p = p, .opts = opts, .c = c, .err = err};
	int rc;

	if (!c)
		return ibb_err_nomem(err);
	rc = build(&b);
	if (rc)
		return rc;
	*ret = IBB_TAKE(c);
	return IBB_OK;
}
