/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AddService: the association, the service's own key, its event log source. */
#include <string.h>

#include "base/utf16.h"
#include "driver/configure_int.h"

/* SPSVCINST_* of setupapi.h */
#define ASSOCSERVICE	       0x002u
#define NOCLOBBER_DISPLAYNAME  0x008u
#define NOCLOBBER_STARTTYPE    0x010u
#define NOCLOBBER_ERRORCONTROL 0x020u
#define NOCLOBBER_LOADORDER    0x040u
#define NOCLOBBER_DEPENDENCIES 0x080u
#define NOCLOBBER_DESCRIPTION  0x100u
#define KNOWN_FLAGS                                                                            \
	(ASSOCSERVICE | NOCLOBBER_DISPLAYNAME | NOCLOBBER_STARTTYPE | NOCLOBBER_ERRORCONTROL | \
	 NOCLOBBER_LOADORDER | NOCLOBBER_DEPENDENCIES | NOCLOBBER_DESCRIPTION)

#define SERVICE_BOOT_START    0u
#define SERVICE_KERNEL_DRIVER 1u
#define SERVICE_FS_DRIVER     2u

struct making {
	struct builder *b;
	struct ibb_inf_add_service add;
	struct ibb_inf_service svc;
	const char *key; /* Services\<name> */
	const char *evidence;
	const char *binary; /* volume path */
};

static int refuse(struct builder *b, unsigned line, const char *fmt, const char *what)
{
	return ibb_inf_err(b->step->inf, line, IBB_E_UNSUPPORTED, b->err, fmt, what);
}

static struct ibb_configure_value live(const struct making *m, const char *name, uint32_t noclobber)
{
	return (struct ibb_configure_value){
		.root = IBB_CONFIGURE_CONTROL_SET,
		.op = m->add.flags & noclobber ? IBB_CONFIGURE_SET_IF_ABSENT : IBB_CONFIGURE_SET,
		.key = m->key,
		.name = name,
		.evidence = m->evidence};
}

/* Through ibb_cfg_put(): the section's AddReg may have set the same value. */
static int put_dword(struct making *m, const char *name, uint32_t noclobber, uint32_t n)
{
	struct ibb_configure_value v = live(m, name, noclobber);
	int rc = ibb_cfg_dword(&m->b->c->arena, n, &v.data, m->b->err);

	v.type = CFG_DWORD;
	return rc ? rc : ibb_cfg_put(m->b, &m->b->c->values, &v, false);
}

static int put_text(struct making *m, const char *name, uint32_t noclobber, uint32_t type,
		    const char *s)
{
	struct ibb_configure_value v = live(m, name, noclobber);
	int rc = ibb_cfg_sz(&m->b->c->arena, s, &v.data, m->b->err);

	v.type = type;
	return rc ? rc : ibb_cfg_put(m->b, &m->b->c->values, &v, false);
}

static int put_list(struct making *m, const char *name, uint32_t noclobber,
		    enum ibb_configure_op op, struct ibb_string_list list)
{
	struct ibb_configure_value v = live(m, name, noclobber);
	int rc = ibb_cfg_multi_sz(&m->b->c->arena, &list, &v.data, m->b->err);

	v.type = CFG_MULTI_SZ;
	v.op = v.op == IBB_CONFIGURE_SET ? op : v.op;
	return rc ? rc : ibb_cfg_put(m->b, &m->b->c->values, &v, false);
}

/*
 * "%token%" becomes "@oem3.inf,%token%;text", which Windows looks up in the reader's language;
 * other text stays. A token within text: the form is not known.
 */
static int put_indirect(struct making *m, const char *name, uint32_t noclobber,
			const struct ibb_inf_line *l)
{
	const char *raw = l && l->n ? l->raw_fields[0] : "", *text = raw;
	size_t n = strlen(raw);

	if (!n)
		return IBB_OK;
	if (strchr(raw, '%')) {
		if (n < 3 || *raw != '%' || strchr(raw + 1, '%') != raw + n - 1)
			return refuse(m->b, l->line, "text with a token in it: '%.120s'", raw);
		if (strcmp(raw, l->fields[0]) == 0)
			return refuse(m->b, l->line, "%.120s, which [Strings] lacks", raw);
		text = ibb_arena_printf(&m->b->c->arena, "@%s,%s;%s", m->b->opts->published, raw,
					l->fields[0]);
		if (!text)
			return ibb_err_nomem(m->b->err);
	}
	return put_text(m, name, noclobber, CFG_SZ, text);
}

/*
 * Relative to the system root when the boot loader loads it, else with \SystemRoot in front.
 * Directory 13, the driver store, is not what a boot driver has been seen in.
 */
static int put_image_path(struct making *m)
{
	const char *dir = ibb_cfg_directory(m->svc.binary_dirid);
	struct ibb_arena *a = &m->b->c->arena;
	char *path;
	int rc;

	if (!dir || m->svc.type > SERVICE_FS_DRIVER)
		return refuse(m->b, m->svc.line,
			      "the service '%.80s' is no kernel driver in the system directories",
			      m->add.name);
	path = ibb_arena_printf(a, "%s/%s", dir, m->svc.binary);
	if (!path)
		return ibb_err_nomem(m->b->err);
	for (char *p = path; *p; p++)
		*p = *p == '\\' ? '/' : *p;
	m->binary = path;
	path = ibb_arena_printf(a, "%s%s",
				m->svc.start == SERVICE_BOOT_START ? "" : "\\SystemRoot\\",
				m->binary + strlen("Windows/"));
	if (!path)
		return ibb_err_nomem(m->b->err);
	for (char *p = path; *p; p++)
		*p = *p == '/' ? '\\' : *p;
	rc = put_text(m, "ImagePath", 0, CFG_EXPAND_SZ, path);
	return rc;
}

static int put_lists(struct making *m)
{
	int rc = put_list(m, "Owners", 0, IBB_CONFIGURE_APPEND,
			  (struct ibb_string_list){1, &m->b->opts->published});

	if (rc || !m->svc.n_depends)
		return rc;
	return put_list(m, "DependOnService", NOCLOBBER_DEPENDENCIES, IBB_CONFIGURE_SET,
			(struct ibb_string_list){m->svc.n_depends, m->svc.depends});
}

static int put_service(struct making *m)
{
	int rc = put_dword(m, "Type", 0, m->svc.type);

	if (!rc)
		rc = put_dword(m, "Start", NOCLOBBER_STARTTYPE, m->svc.start);
	if (!rc)
		rc = put_dword(m, "ErrorControl", NOCLOBBER_ERRORCONTROL, m->svc.error_control);
	if (!rc)
		rc = put_image_path(m);
	if (!rc)
		rc = put_indirect(m, "DisplayName", NOCLOBBER_DISPLAYNAME, m->svc.display_name);
	if (!rc)
		rc = put_indirect(m, "Description", NOCLOBBER_DESCRIPTION, m->svc.description);
	if (!rc && m->svc.group && *m->svc.group)
		rc = put_text(m, "Group", NOCLOBBER_LOADORDER, CFG_SZ, m->svc.group);
	if (!rc && m->svc.has_boot_flags)
		rc = put_dword(m, "BootFlags", 0, m->svc.boot_flags);
	return rc ? rc : put_lists(m);
}

static int run_registry(struct builder *b, const struct ibb_inf_section *s,
			const struct ibb_cfg_target *t)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < s->n; i++) {
		const struct ibb_inf_line *l = &s->lines[i];

		if (l->key && ibb_caseeq(l->key, "AddReg"))
			rc = ibb_cfg_registry(b, l, false, t);
		else if (l->key && ibb_caseeq(l->key, "DelReg"))
			rc = ibb_cfg_registry(b, l, true, t);
	}
	return rc;
}

static int put_event_log(struct making *m)
{
	struct builder *b = m->b;
	const struct ibb_inf_section *s;
	struct ibb_cfg_target t = {0};

	if (!*m->add.event_section)
		return IBB_OK;
	s = ibb_inf_section(b->step->inf, m->add.event_section);
	if (!s)
		return refuse(b, m->add.line, "names the section [%.120s], which it lacks",
			      m->add.event_section);
	for (size_t i = 0; i < s->n; i++)
		if (!s->lines[i].key || (!ibb_caseeq(s->lines[i].key, "AddReg") &&
					 !ibb_caseeq(s->lines[i].key, "DelReg")))
			return refuse(b, s->lines[i].line,
				      "the directive '%.80s' of an event log section is not "
				      "understood",
				      s->lines[i].key ? s->lines[i].key : "");
	t.live = ibb_arena_printf(&b->c->arena, "Services\\EventLog\\%s\\%s", m->add.event_log,
				  m->add.event_name);
	return t.live ? run_registry(b, s, &t) : ibb_err_nomem(b->err);
}

static const struct ibb_configure_service *made_already(const struct builder *b, const char *name)
{
	for (size_t i = 0; i < b->c->n_services; i++)
		if (ibb_caseeq(b->c->services[i].name, name))
			return &b->c->services[i];
	return NULL;
}

static int make_live(struct making *m)
{
	struct ibb_configuration *c = m->b->c;
	int rc = put_service(m);

	if (!rc)
		rc = put_event_log(m);
	if (rc)
		return rc;
	if (ibb_grow(&c->services, &c->cap_services, c->n_services, sizeof(*c->services)))
		return ibb_err_nomem(m->b->err);
	c->services[c->n_services++] =
		(struct ibb_configure_service){m->add.name,    m->svc.start,	     m->binary,
					       m->add.section, m->add.event_section, m->evidence};
	return IBB_OK;
}

/* Several install sections of a package may make the same service, in the same way. */
static int make_service(struct making *m, const struct ibb_inf_section *s)
{
	const struct ibb_configure_service *old = made_already(m->b, m->add.name);
	struct ibb_cfg_target t = {.key = m->key, .live = old ? NULL : m->key};
	int rc;

	if (old && (!ibb_caseeq(old->section, m->add.section) ||
		    !ibb_caseeq(old->event_section, m->add.event_section)))
		return refuse(m->b, m->add.line, "another definition of the service '%.80s'",
			      m->add.name);
	rc = ibb_inf_service(m->b->step->inf, s, &m->svc, m->b->err);
	if (!rc)
		rc = run_registry(m->b, s, &t);
	return rc || old ? rc : make_live(m);
}

int ibb_cfg_add_service(struct builder *b, const struct ibb_inf_line *l)
{
	struct making m = {.b = b};
	const struct ibb_inf_section *s;
	int rc = ibb_inf_add_service(b->step->inf, l, &m.add, b->err);

	if (rc)
		return rc;
	if (!b->step->own)
		return refuse(b, l->line, "AddService of '%.80s' in an INF that is only included",
			      m.add.name);
	if (m.add.flags & ~KNOWN_FLAGS)
		return refuse(b, l->line, "the flags of AddService = %.80s are not understood",
			      m.add.name);
	if (m.add.flags & ASSOCSERVICE) {
		if (b->have_service)
			return refuse(b, l->line, "a second associated service, '%.80s'",
				      m.add.name);
		b->have_service = true;
		b->section->service = m.add.name;
	}
	if (!*m.add.name && !*m.add.section && (m.add.flags & ASSOCSERVICE))
		return IBB_OK; /* the NULL driver */
	s = ibb_inf_section(b->step->inf, m.add.section);
	if (!*m.add.name || !s)
		return refuse(b, l->line, "AddService without a name or its section [%.120s]",
			      m.add.section);
	m.key = ibb_arena_printf(&b->c->arena, "Services\\%s", m.add.name);
	m.evidence = ibb_cfg_evidence(&b->c->arena, b->step->inf, l->line, "AddService");
	if (!m.key || !m.evidence)
		return ibb_err_nomem(b->err);
	return make_service(&m, s);
}
