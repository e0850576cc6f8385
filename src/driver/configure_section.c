/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One install section: each part's directives, one function each; any other is refused. */
#include <stdlib.h>
#include <string.h>

#include "base/guid.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "driver/configure_int.h"

/* DEVPKEY_Device_Characteristics and DEVPKEY_Device_DriverPropPageProvider, of devpkey.h */
#define KEY_CHARACTERISTICS "Properties\\{a45c254e-df1c-4efd-8020-67d146a850e0}\\001D"
#define KEY_PROP_PAGES	    "Properties\\{a8b865dd-2e3d-4094-ad97-e593a70c75d6}\\000A"

static int refuse(struct builder *b, unsigned line, const char *fmt, const char *what)
{
	return ibb_inf_err(b->step->inf, line, IBB_E_UNSUPPORTED, b->err, fmt, what);
}

/* ---- AddReg and DelReg ---- */

static bool same_data(const struct ibb_configure_value *a, const struct ibb_configure_value *b)
{
	return a->type == b->type && a->data.len == b->data.len &&
	       (!a->data.len || memcmp(a->data.data, b->data.data, a->data.len) == 0);
}

/* The strings of b behind those of a. Both end in an empty string, of two bytes. */
static int append_list(struct builder *b, struct ibb_configure_value *old,
		       const struct ibb_configure_value *v)
{
	size_t n = old->data.len - 2;
	uint8_t *p;

	if (n + v->data.len > IBB_LIMIT_INF_VALUE_BYTES)
		return ibb_err(b->err, IBB_E_LIMIT, "%s: a list of more than %u bytes", v->evidence,
			       IBB_LIMIT_INF_VALUE_BYTES);
	p = ibb_arena_alloc(&b->c->arena, n + v->data.len);
	if (!p)
		return ibb_err_nomem(b->err);
	memcpy(p, old->data.data, n);
	memcpy(p + n, v->data.data, v->data.len);
	old->data = (struct ibb_bytes){p, n + v->data.len};
	return IBB_OK;
}

int ibb_cfg_put(struct builder *b, struct ibb_configure_values *list,
		const struct ibb_configure_value *v, bool appends)
{
	if (list->n >= IBB_LIMIT_CONFIGURE_VALUES)
		return ibb_err(b->err, IBB_E_LIMIT, "%s: more than %u registry values", v->evidence,
			       IBB_LIMIT_CONFIGURE_VALUES);
	for (size_t i = 0; i < list->n; i++) {
		struct ibb_configure_value *old = &list->items[i];

		if (old->root != v->root || !ibb_caseeq(old->key, v->key) ||
		    !old->name != !v->name || (v->name && !ibb_caseeq(old->name, v->name)))
			continue;
		if (v->name && appends && old->type == v->type && old->op == v->op)
			return append_list(b, old, v);
		if (!v->name || (same_data(old, v) && old->op == v->op))
			return IBB_OK;
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s: sets '%.80s' of %.200s to something else than %s does",
			       v->evidence, v->name, v->key, old->evidence);
	}
	return ibb_cfg_push(list, v, b->err);
}

static uint32_t type_flags(enum ibb_inf_reg_op op)
{
	switch (op) {
	case IBB_INF_REG_SET_IF_ABSENT:
		return IBB_CONFIG_TYPE_SET_IF_ABSENT;
	case IBB_INF_REG_APPEND:
		return IBB_CONFIG_TYPE_APPEND;
	case IBB_INF_REG_DELETE_VALUE:
		return IBB_CONFIG_TYPE_DELETE_VALUE;
	case IBB_INF_REG_DELETE_KEY:
		return IBB_CONFIG_TYPE_DELETE_KEY;
	default:
		return 0;
	}
}

static const char *join(struct builder *b, const char *key, const char *sub)
{
	return *sub ? ibb_arena_printf(&b->c->arena, "%s\\%s", key, sub) : key;
}

/* Into the configuration. A key to delete is a value of its parent, named like it. */
static int put_recorded(struct builder *b, const struct ibb_inf_reg *reg, const char *key,
			const char *evidence)
{
	struct ibb_configure_value v = {.op = IBB_CONFIGURE_SET,
					.key = join(b, key, reg->subkey),
					.name = reg->name,
					.type = reg->type | type_flags(reg->op),
					.data = reg->data,
					.evidence = evidence};

	if (reg->op == IBB_INF_REG_KEY)
		v.name = NULL;
	if (reg->op == IBB_INF_REG_DELETE_KEY) {
		if (strchr(reg->subkey, '\\'))
			return refuse(b, reg->line, "DelReg of '%.120s', a key below another",
				      reg->subkey);
		v.key = key;
		v.name = reg->subkey;
	}
	if (!v.key)
		return ibb_err_nomem(b->err);
	return ibb_cfg_put(b, &b->section->values, &v, reg->op == IBB_INF_REG_APPEND);
}

/* And at once in the control set, as the service does when it is made. */
static int put_live(struct builder *b, const struct ibb_inf_reg *reg, const char *key,
		    const char *evidence)
{
	static const enum ibb_configure_op ops[] = {
		[IBB_INF_REG_SET] = IBB_CONFIGURE_SET,
		[IBB_INF_REG_SET_IF_ABSENT] = IBB_CONFIGURE_SET_IF_ABSENT,
		[IBB_INF_REG_APPEND] = IBB_CONFIGURE_APPEND,
		[IBB_INF_REG_KEY] = IBB_CONFIGURE_KEY,
		[IBB_INF_REG_DELETE_VALUE] = IBB_CONFIGURE_DELETE_VALUE,
		[IBB_INF_REG_DELETE_KEY] = IBB_CONFIGURE_DELETE_KEY,
	};
	struct ibb_configure_value v = {.root = IBB_CONFIGURE_CONTROL_SET,
					.op = ops[reg->op],
					.key = join(b, key, reg->subkey),
					.name = reg->name,
					.type = reg->type,
					.data = reg->data,
					.evidence = evidence};

	if (!v.key)
		return ibb_err_nomem(b->err);
	if (v.op == IBB_CONFIGURE_KEY || v.op == IBB_CONFIGURE_DELETE_KEY)
		v.name = NULL;
	return ibb_cfg_put(b, &b->c->values, &v, v.op == IBB_CONFIGURE_APPEND);
}

static int one_registry(struct builder *b, const struct ibb_inf_reg *reg,
			const struct ibb_cfg_target *t, const char *what)
{
	const char *evidence;
	bool taken = false;
	int rc = IBB_OK;

	if (reg->root != IBB_INF_HKR)
		return refuse(b, reg->line,
			      "%s to a root other than HKR: whether Windows writes it into an "
			      "offline image is not known",
			      what);
	evidence = ibb_cfg_evidence(&b->c->arena, b->step->inf, reg->line, what);
	if (!evidence)
		return ibb_err_nomem(b->err);
	if (t->special)
		rc = t->special(b, reg, evidence, &taken);
	if (rc || taken)
		return rc;
	if (t->key)
		rc = put_recorded(b, reg, t->key, evidence);
	if (!rc && t->live)
		rc = put_live(b, reg, t->live, evidence);
	return rc;
}

int ibb_cfg_registry(struct builder *b, const struct ibb_inf_line *l, bool delete,
		     const struct ibb_cfg_target *t)
{
	struct ibb_inf *inf = b->step->inf;

	for (size_t i = 0; i < l->n; i++) {
		const struct ibb_inf_section *s;
		struct ibb_inf_regs regs;
		int rc;

		if (!*l->fields[i])
			continue;
		s = ibb_inf_section(inf, l->fields[i]);
		if (!s)
			return refuse(b, l->line, "names the section [%.120s], which it lacks",
				      l->fields[i]);
		rc = delete ? ibb_inf_delreg(inf, s, &regs, b->err)
			    : ibb_inf_addreg(inf, s, &regs, b->err);
		for (size_t k = 0; !rc && k < regs.n; k++)
			rc = one_registry(b, &regs.items[k], t, delete ? "DelReg" : "AddReg");
		if (rc)
			return rc;
	}
	return IBB_OK;
}

/* ---- values that mean a property, not a value of Device or Driver ---- */

static int put_property(struct builder *b, const char *key, uint32_t type,
			const struct ibb_inf_reg *reg, const char *evidence)
{
	struct ibb_configure_value v = {.op = IBB_CONFIGURE_SET,
					.key = key,
					.name = "",
					.type = type,
					.data = reg->data,
					.evidence = evidence};

	return ibb_cfg_put(b, &b->section->values, &v, false);
}

static int set_filters(struct builder *b, const struct ibb_inf_reg *reg,
		       struct ibb_string_list *list)
{
	if (reg->op != IBB_INF_REG_SET || reg->type != CFG_MULTI_SZ || list->n)
		return refuse(b, reg->line, "%s in another way than by one list of strings",
			      reg->name);
	return ibb_cfg_read_multi_sz(&b->c->arena, reg->data, list) ? ibb_err_nomem(b->err)
								    : IBB_OK;
}

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ibb_caseeq(name, list[i]))
			return true;
	return false;
}

/* .HW: properties of the device. None of these is ever a value of a Device key. */
static int special_hw(struct builder *b, const struct ibb_inf_reg *reg, const char *evidence,
		      bool *taken)
{
	static const char *const others[] = {
		"Security",	 "DeviceType",	  "Exclusive",
		"FriendlyName",	 "RemovalPolicy", "UINumberDescFormat",
		"Capabilities",	 "ConfigFlags",	  "DeviceDesc",
		"Mfg",		 "Class",	  "ClassGUID",
		"HardwareID",	 "CompatibleIDs", "Driver",
		"Service",	 "ContainerID",	  "LocationInformation",
		"LegacyBusType", "BusNumber",
	};

	*taken = true;
	if (*reg->subkey || reg->op == IBB_INF_REG_KEY)
		*taken = false;
	else if (ibb_caseeq(reg->name, "UpperFilters"))
		return set_filters(b, reg, &b->section->upper_filters);
	else if (ibb_caseeq(reg->name, "LowerFilters"))
		return set_filters(b, reg, &b->section->lower_filters);
	else if (ibb_caseeq(reg->name, "DeviceCharacteristics") && reg->type == CFG_DWORD &&
		 reg->op == IBB_INF_REG_SET)
		return put_property(b, KEY_CHARACTERISTICS, CFG_DEVPROP_UINT32, reg, evidence);
	else if (ibb_caseeq(reg->name, "DeviceCharacteristics") ||
		 in_list(reg->name, others, IBB_ARRAY_SIZE(others)))
		return refuse(b, reg->line,
			      "the device property '%.80s': how Windows records it is not known",
			      reg->name);
	else
		*taken = false;
	return IBB_OK;
}

/* DDInstall: properties of the driver. None of these is ever a value of a Driver key. */
static int special_main(struct builder *b, const struct ibb_inf_reg *reg, const char *evidence,
			bool *taken)
{
	static const char *const others[] = {
		"CoInstallers32",
		"ResourcePickerTags",
		"ResourcePickerExceptions",
		"NoConnectSound",
		"NoInstallClass",
		"NoDisplayClass",
		"NoUseClass",
		"SilentInstall",
		"GenericDriverInstalled",
		"AdditionalSoftwareRequested",
	};

	*taken = true;
	if (*reg->subkey || reg->op == IBB_INF_REG_KEY)
		*taken = false;
	else if (ibb_caseeq(reg->name, "EnumPropPages32") && reg->type == CFG_SZ &&
		 reg->op == IBB_INF_REG_SET)
		return put_property(b, KEY_PROP_PAGES, CFG_DEVPROP_STRING, reg, evidence);
	else if (ibb_caseeq(reg->name, "EnumPropPages32") ||
		 in_list(reg->name, others, IBB_ARRAY_SIZE(others)))
		return refuse(b, reg->line,
			      "the driver property '%.80s': how Windows records it is not known",
			      reg->name);
	else
		*taken = false;
	return IBB_OK;
}

/* ---- directives ---- */

static int do_main_addreg(struct builder *b, const struct ibb_inf_line *l)
{
	return ibb_cfg_registry(b, l, false,
				&(struct ibb_cfg_target){.key = "Driver", .special = special_main});
}

static int do_main_delreg(struct builder *b, const struct ibb_inf_line *l)
{
	return ibb_cfg_registry(b, l, true,
				&(struct ibb_cfg_target){.key = "Driver", .special = special_main});
}

static int do_hw_addreg(struct builder *b, const struct ibb_inf_line *l)
{
	return ibb_cfg_registry(b, l, false,
				&(struct ibb_cfg_target){.key = "Device", .special = special_hw});
}

static int do_hw_delreg(struct builder *b, const struct ibb_inf_line *l)
{
	return ibb_cfg_registry(b, l, true,
				&(struct ibb_cfg_target){.key = "Device", .special = special_hw});
}

/* Done elsewhere: merged, or recorded in DeviceIds. */
static int do_nothing(struct builder *b, const struct ibb_inf_line *l)
{
	(void)b;
	(void)l;
	return IBB_OK;
}

/* The class alone leaves an empty key; what a reference string or a section would leave is not
 * known. */
static int do_interface(struct builder *b, const struct ibb_inf_line *l)
{
	struct ibb_configure_value v = {.op = IBB_CONFIGURE_KEY};
	char text[IBB_GUID_STR_SIZE];
	struct ibb_guid g;

	for (size_t i = 1; i < l->n; i++)
		if (*l->fields[i])
			return refuse(b, l->line, "AddInterface with '%.80s' behind its class",
				      l->fields[i]);
	if (!l->n || !ibb_guid_parse(l->fields[0], &g))
		return ibb_inf_err(b->step->inf, l->line, IBB_E_CORRUPT, b->err,
				   "AddInterface of no class");
	ibb_guid_format(&g, text);
	v.key = ibb_arena_printf(&b->c->arena, "Interfaces\\%s", text);
	v.evidence = ibb_cfg_evidence(&b->c->arena, b->step->inf, l->line, "AddInterface");
	if (!v.key || !v.evidence)
		return ibb_err_nomem(b->err);
	return ibb_cfg_put(b, &b->section->values, &v, false);
}

/* Which version of the framework the driver wants: the loader reads that from the driver. */
static int do_kmdf(struct builder *b, const struct ibb_inf_line *l)
{
	const char *name = l->n > 1 ? l->fields[1] : "";
	const struct ibb_inf_section *s = ibb_inf_section(b->step->inf, name);

	if (!s)
		return refuse(b, l->line, "KmdfService without its section [%.120s]", name);
	for (size_t i = 0; i < s->n; i++)
		if (!s->lines[i].key || !ibb_caseeq(s->lines[i].key, "KmdfLibraryVersion"))
			return refuse(b, s->lines[i].line,
				      "the directive '%.80s' of a framework section is not "
				      "understood",
				      s->lines[i].key ? s->lines[i].key : "");
	return IBB_OK;
}

static const struct {
	enum ibb_install_part part;
	const char *key;
	int (*run)(struct builder *b, const struct ibb_inf_line *l);
} directives[] = {
	{IBB_PART_MAIN, "CopyFiles", ibb_cfg_copy_files},
	{IBB_PART_MAIN, "AddReg", do_main_addreg},
	{IBB_PART_MAIN, "DelReg", do_main_delreg},
	{IBB_PART_MAIN, "FeatureScore", do_nothing},
	{IBB_PART_MAIN, "Include", do_nothing},
	{IBB_PART_MAIN, "Needs", do_nothing},
	{IBB_PART_HW, "AddReg", do_hw_addreg},
	{IBB_PART_HW, "DelReg", do_hw_delreg},
	{IBB_PART_HW, "Include", do_nothing},
	{IBB_PART_HW, "Needs", do_nothing},
	{IBB_PART_SERVICES, "AddService", ibb_cfg_add_service},
	{IBB_PART_SERVICES, "Include", do_nothing},
	{IBB_PART_SERVICES, "Needs", do_nothing},
	{IBB_PART_INTERFACES, "AddInterface", do_interface},
	{IBB_PART_WDF, "KmdfService", do_kmdf},
};

static int run_line(struct builder *b, const struct ibb_inf_line *l)
{
	const char *what = l->key ? l->key : l->n ? l->fields[0] : "";

	for (size_t i = 0; l->key && i < IBB_ARRAY_SIZE(directives); i++)
		if (directives[i].part == b->step->part && ibb_caseeq(l->key, directives[i].key))
			return directives[i].run(b, l);
	return ibb_inf_err(b->step->inf, l->line, IBB_E_UNSUPPORTED, b->err,
			   "the directive '%.80s' in [%.120s] is not understood", what,
			   b->step->section->name);
}

static uint32_t scope_of(uint32_t parts)
{
	static const uint32_t bits[IBB_N_PARTS] = {
		[IBB_PART_MAIN] = IBB_CONFIG_SCOPE_MAIN,
		[IBB_PART_HW] = IBB_CONFIG_SCOPE_HW,
		[IBB_PART_SERVICES] = IBB_CONFIG_SCOPE_SERVICES,
		[IBB_PART_INTERFACES] = IBB_CONFIG_SCOPE_INTERFACES,
		[IBB_PART_WDF] = IBB_CONFIG_SCOPE_WDF,
	};
	uint32_t scope = 0;

	for (int i = 0; i < IBB_N_PARTS; i++)
		scope |= parts & 1u << i ? bits[i] : 0;
	return scope;
}

/* Is there anything in this key or below it? */
static bool key_is_implied(const struct ibb_configure_values *list, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < list->n; i++) {
		const struct ibb_configure_value *v = &list->items[i];

		if (ibb_case_prefix(v->key, key) && (v->key[n] == '\\' || (!v->key[n] && v->name)))
			return true;
	}
	return false;
}

/* A key with something in it needs no entry of its own. */
static void drop_implied_keys(struct ibb_configure_values *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].name || !key_is_implied(list, list->items[i].key))
			list->items[n++] = list->items[i];
	list->n = n;
}

int ibb_cfg_section(struct builder *b, const struct ibb_merge *m)
{
	struct ibb_config_section *s = b->section;
	int rc = IBB_OK;

	if (b->p->target.major < 10 && m->n_included)
		return ibb_err(b->err, IBB_E_UNSUPPORTED,
			       "%s: includes %.80s; what Windows before 10 records for that is not "
			       "known",
			       s->evidence, m->included[0]);
	b->have_service = false;
	s->has_flags = true;
	s->has_scope = b->p->target.major >= 10; /* 8.1 has none */
	s->scope = scope_of(m->parts);
	s->included = (struct ibb_string_list){m->n_included, m->included};
	for (size_t i = 0; !rc && i < m->n_steps; i++) {
		b->step = &m->steps[i];
		for (size_t k = 0; !rc && k < b->step->section->n; k++)
			rc = run_line(b, &b->step->section->lines[k]);
	}
	b->step = NULL;
	if (!rc)
		drop_implied_keys(&s->values);
	return rc;
}
