/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configurations, Descriptors and Strings of a DriverPackages key, as values and understood. */
#include <stdlib.h>
#include <string.h>

#include "base/guid.h"
#include "base/utf16.h"
#include "driver/configure_int.h"

void ibb_config_record_clear(struct ibb_config_record *rec)
{
	for (size_t i = 0; i < rec->n_sections; i++)
		free(rec->sections[i].values.items);
	free(rec->sections);
	free(rec->descriptors);
	free(rec->strings);
	*rec = (struct ibb_config_record){0};
}

/* ---- encoding ---- */

struct encoder {
	struct ibb_arena *a;
	struct ibb_configure_values *out;
	struct ibb_error *err;
	const char *key;
	const char *evidence;
};

static struct ibb_configure_value at(const struct encoder *e, const char *name)
{
	return (struct ibb_configure_value){.root = IBB_CONFIGURE_PACKAGE,
					    .op = IBB_CONFIGURE_SET,
					    .key = e->key,
					    .name = name,
					    .evidence = e->evidence};
}

static int put_sz(struct encoder *e, const char *name, const char *s)
{
	return ibb_cfg_push_sz(e->out, e->a, at(e, name), s, e->err);
}

static int put_dword(struct encoder *e, bool there, const char *name, uint32_t v)
{
	return there ? ibb_cfg_push_dword(e->out, e->a, at(e, name), v, e->err) : IBB_OK;
}

static int put_list(struct encoder *e, const char *name, const struct ibb_string_list *l)
{
	return l->n ? ibb_cfg_push_multi(e->out, e->a, at(e, name), l, e->err) : IBB_OK;
}

static int put_key(struct encoder *e, const char *key)
{
	struct ibb_configure_value v = at(e, NULL);

	v.key = key;
	v.op = IBB_CONFIGURE_KEY;
	return ibb_cfg_push(e->out, &v, e->err);
}

static int encode_values(struct encoder *e, const struct ibb_config_section *s)
{
	for (size_t i = 0; i < s->values.n; i++) {
		struct ibb_configure_value v = s->values.items[i];
		int rc;

		v.root = IBB_CONFIGURE_PACKAGE;
		v.op = v.name ? IBB_CONFIGURE_SET : IBB_CONFIGURE_KEY;
		v.key = ibb_arena_printf(e->a, "%s\\%s", e->key, v.key);
		if (!v.key)
			return ibb_err_nomem(e->err);
		rc = ibb_cfg_push(e->out, &v, e->err);
		if (rc)
			return rc;
	}
	return IBB_OK;
}

static int encode_section(struct encoder *e, const struct ibb_config_section *s)
{
	int rc = IBB_OK;

	e->key = ibb_arena_printf(e->a, "Configurations\\%s", s->name);
	if (!e->key)
		return ibb_err_nomem(e->err);
	e->evidence = s->evidence;
	if (s->service)
		rc = put_sz(e, "Service", s->service);
	if (!rc)
		rc = put_list(e, "ExcludeIds", &s->exclude_ids);
	if (!rc)
		rc = put_list(e, "LowerFilters", &s->lower_filters);
	if (!rc)
		rc = put_list(e, "UpperFilters", &s->upper_filters);
	if (!rc)
		rc = put_dword(e, s->has_scope, "ConfigScope", s->scope);
	if (!rc)
		rc = put_list(e, "IncludedInfs", &s->included);
	if (!rc)
		rc = put_dword(e, s->has_flags, "ConfigFlags", s->flags);
	if (!rc)
		rc = put_dword(e, s->reboot, "Reboot", 1);
	return rc ? rc : encode_values(e, s);
}

static int encode_descriptor(struct encoder *e, const struct ibb_config_descriptor *d)
{
	int rc;

	e->key = ibb_arena_printf(e->a, "Descriptors\\%s", d->id);
	if (!e->key)
		return ibb_err_nomem(e->err);
	e->evidence = d->evidence;
	rc = put_sz(e, "Configuration", d->configuration);
	if (!rc)
		rc = put_sz(e, "Manufacturer", d->manufacturer);
	return rc ? rc : put_sz(e, "Description", d->description);
}

int ibb_config_record_encode(const struct ibb_config_record *rec, struct ibb_arena *arena,
			     struct ibb_configure_values *ret, struct ibb_error *err)
{
	struct encoder e = {.a = arena, .out = ret, .err = err};
	size_t before = ret->n;
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < rec->n_sections; i++)
		rc = encode_section(&e, &rec->sections[i]);
	for (size_t i = 0; !rc && i < rec->n_descriptors; i++)
		rc = encode_descriptor(&e, &rec->descriptors[i]);
	/* A package configured for no ID has the keys all the same. */
	if (!rc && !rec->n_descriptors)
		rc = put_key(&e, "Descriptors");
	if (!rc && !rec->n_strings)
		rc = put_key(&e, "Strings");
	e.key = "Strings";
	for (size_t i = 0; !rc && i < rec->n_strings; i++) {
		e.evidence = rec->strings[i].evidence;
		rc = put_sz(&e, rec->strings[i].token, rec->strings[i].text);
	}
	if (rc)
		ret->n = before;
	return rc;
}

/* ---- decoding ---- */

struct decoder {
	struct ibb_arena *a;
	struct ibb_config_record *rec;
	struct ibb_error *err;
};

static int bad(struct decoder *d, const struct ibb_configure_value *v, int code, const char *what)
{
	return ibb_err(d->err, code, "%.300s: value '%.80s': %s", v->key, v->name ? v->name : "",
		       what);
}

static int checked(struct decoder *d, const struct ibb_configure_value *v, int rc)
{
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(d->err);
	return rc ? bad(d, v, IBB_E_CORRUPT, "data do not fit the type") : IBB_OK;
}

/* The part of key behind "<prefix>\", or NULL. */
static const char *below(const char *key, const char *prefix)
{
	size_t n = strlen(prefix);

	return ibb_case_prefix(key, prefix) && key[n] == '\\' ? key + n + 1 : NULL;
}

static int get_sz(struct decoder *d, const struct ibb_configure_value *v, const char **ret)
{
	if (v->type != CFG_SZ)
		return bad(d, v, IBB_E_UNSUPPORTED, "not a string");
	if (*ret)
		return bad(d, v, IBB_E_CORRUPT, "there twice");
	return checked(d, v, ibb_cfg_read_sz(d->a, v->data, ret));
}

static int get_dword(struct decoder *d, const struct ibb_configure_value *v, bool *there,
		     uint32_t *ret)
{
	if (v->type != CFG_DWORD)
		return bad(d, v, IBB_E_UNSUPPORTED, "not a DWORD");
	if (*there)
		return bad(d, v, IBB_E_CORRUPT, "there twice");
	*there = true;
	return checked(d, v, ibb_cfg_read_dword(v->data, ret));
}

static int get_list(struct decoder *d, const struct ibb_configure_value *v,
		    struct ibb_string_list *ret)
{
	int rc;

	if (v->type != CFG_MULTI_SZ)
		return bad(d, v, IBB_E_UNSUPPORTED, "not a list of strings");
	if (ret->n)
		return bad(d, v, IBB_E_CORRUPT, "there twice");
	rc = checked(d, v, ibb_cfg_read_multi_sz(d->a, v->data, ret));
	if (!rc && !ret->n)
		rc = bad(d, v, IBB_E_CORRUPT, "an empty list");
	return rc;
}

static int section_value(struct decoder *d, struct ibb_config_section *s,
			 const struct ibb_configure_value *v)
{
	uint32_t reboot = 0;
	int rc;

	if (ibb_caseeq(v->name, "Service"))
		return get_sz(d, v, &s->service);
	if (ibb_caseeq(v->name, "ConfigScope"))
		return get_dword(d, v, &s->has_scope, &s->scope);
	if (ibb_caseeq(v->name, "ConfigFlags"))
		return get_dword(d, v, &s->has_flags, &s->flags);
	if (ibb_caseeq(v->name, "IncludedInfs"))
		return get_list(d, v, &s->included);
	if (ibb_caseeq(v->name, "UpperFilters"))
		return get_list(d, v, &s->upper_filters);
	if (ibb_caseeq(v->name, "LowerFilters"))
		return get_list(d, v, &s->lower_filters);
	if (ibb_caseeq(v->name, "ExcludeIds"))
		return get_list(d, v, &s->exclude_ids);
	if (!ibb_caseeq(v->name, "Reboot"))
		return bad(d, v, IBB_E_UNSUPPORTED, "not known in a configuration");
	rc = get_dword(d, v, &s->reboot, &reboot);
	return !rc && reboot != 1 ? bad(d, v, IBB_E_UNSUPPORTED, "not 1") : rc;
}

/* Device, Driver and Services: what AddReg and DelReg say, in types that carry their flags. */
static int check_registry(struct decoder *d, const struct ibb_configure_value *v)
{
	uint32_t flags = v->type & ~0xffffu, type = v->type & 0xffffu;
	struct ibb_string_list list;
	const char *s;
	uint32_t n;

	if (v->type == IBB_CONFIG_TYPE_DELETE_KEY || v->type == IBB_CONFIG_TYPE_DELETE_VALUE)
		return v->data.len ? bad(d, v, IBB_E_CORRUPT, "a deletion with data") : IBB_OK;
	if (flags && flags != IBB_CONFIG_TYPE_SET_IF_ABSENT &&
	    (flags != IBB_CONFIG_TYPE_APPEND || type != CFG_MULTI_SZ))
		return bad(d, v, IBB_E_UNSUPPORTED, "flags that are not known");
	switch (type) {
	case CFG_SZ:
	case CFG_EXPAND_SZ:
		return checked(d, v, ibb_cfg_read_sz(d->a, v->data, &s));
	case CFG_MULTI_SZ:
		return checked(d, v, ibb_cfg_read_multi_sz(d->a, v->data, &list));
	case CFG_DWORD:
		return checked(d, v, ibb_cfg_read_dword(v->data, &n));
	case CFG_QWORD:
		return checked(d, v, v->data.len == 8 ? IBB_OK : IBB_E_CORRUPT);
	case CFG_NONE:
	case CFG_BINARY:
		return IBB_OK;
	default:
		return bad(d, v, IBB_E_UNSUPPORTED, "a type that is not known");
	}
}

static bool four_hex_digits(const char *s)
{
	return strlen(s) == 4 && strspn(s, "0123456789ABCDEFabcdef") == 4;
}

/* "{set}\pid", the default value of a property type. */
static int check_property(struct decoder *d, const struct ibb_configure_value *v, const char *path)
{
	char guid[IBB_GUID_STR_SIZE] = "";
	struct ibb_guid g;

	if (strlen(path) == IBB_GUID_STR_SIZE + 4)
		memcpy(guid, path, IBB_GUID_STR_SIZE - 1);
	if (!ibb_guid_parse(guid, &g) || path[IBB_GUID_STR_SIZE - 1] != '\\' ||
	    !four_hex_digits(path + IBB_GUID_STR_SIZE))
		return bad(d, v, IBB_E_UNSUPPORTED, "not the key of a property");
	if (!v->name || *v->name || !CFG_IS_DEVPROP(v->type))
		return bad(d, v, IBB_E_UNSUPPORTED, "not the value of a property");
	return IBB_OK;
}

/* A device interface class, of which only the key is known. */
static int check_interface(struct decoder *d, const struct ibb_configure_value *v, const char *path)
{
	struct ibb_guid g;

	if (v->name || !ibb_guid_parse(path, &g))
		return bad(d, v, IBB_E_UNSUPPORTED, "not just the key of an interface class");
	return IBB_OK;
}

static int check_below(struct decoder *d, const struct ibb_configure_value *v, const char *rest)
{
	const char *path;

	path = below(rest, "Properties");
	if (path)
		return check_property(d, v, path);
	path = below(rest, "Interfaces");
	if (path)
		return check_interface(d, v, path);
	if (!ibb_caseeq(rest, "Device") && !below(rest, "Device") && !ibb_caseeq(rest, "Driver") &&
	    !below(rest, "Driver") && !below(rest, "Services"))
		return bad(d, v, IBB_E_UNSUPPORTED, "in a key that is not known");
	return v->name ? check_registry(d, v) : IBB_OK;
}

static int find_section(struct decoder *d, const char *name, size_t n,
			struct ibb_config_section **ret)
{
	struct ibb_config_record *rec = d->rec;
	struct ibb_config_section s = {0};

	for (size_t i = rec->n_sections; i-- > 0;) {
		*ret = &rec->sections[i];
		if (ibb_ncasecmp((*ret)->name, strlen((*ret)->name), name, n) == 0)
			return IBB_OK;
	}
	s.name = ibb_arena_strndup(d->a, name, n);
	if (!s.name ||
	    ibb_grow(&rec->sections, &rec->cap_sections, rec->n_sections, sizeof(*rec->sections)))
		return ibb_err_nomem(d->err);
	rec->sections[rec->n_sections++] = s;
	*ret = &rec->sections[rec->n_sections - 1];
	return IBB_OK;
}

static int decode_section(struct decoder *d, const struct ibb_configure_value *v, const char *path)
{
	size_t n = strcspn(path, "\\");
	struct ibb_configure_value copy = *v;
	struct ibb_config_section *s = NULL;
	int rc = find_section(d, path, n, &s);

	if (rc)
		return rc;
	if (!path[n])
		return v->name ? section_value(d, s, v)
			       : bad(d, v, IBB_E_UNSUPPORTED, "an empty configuration");
	copy.key = path + n + 1;
	rc = check_below(d, v, copy.key);
	return rc ? rc : ibb_cfg_push(&s->values, &copy, d->err);
}

static int find_descriptor(struct decoder *d, const char *id, struct ibb_config_descriptor **ret)
{
	struct ibb_config_record *rec = d->rec;

	/* The values of one key stand together. */
	if (rec->n_descriptors && strcmp(rec->descriptors[rec->n_descriptors - 1].id, id) == 0) {
		*ret = &rec->descriptors[rec->n_descriptors - 1];
		return IBB_OK;
	}
	if (ibb_grow(&rec->descriptors, &rec->cap_descriptors, rec->n_descriptors,
		     sizeof(*rec->descriptors)))
		return ibb_err_nomem(d->err);
	*ret = &rec->descriptors[rec->n_descriptors++];
	**ret = (struct ibb_config_descriptor){.id = id};
	return IBB_OK;
}

static int decode_descriptor(struct decoder *d, const struct ibb_configure_value *v, const char *id)
{
	struct ibb_config_descriptor *x = NULL;
	int rc;

	if (!v->name)
		return bad(d, v, IBB_E_UNSUPPORTED, "a descriptor without values");
	rc = find_descriptor(d, id, &x);
	if (rc)
		return rc;
	if (ibb_caseeq(v->name, "Configuration"))
		return get_sz(d, v, &x->configuration);
	if (ibb_caseeq(v->name, "Manufacturer"))
		return get_sz(d, v, &x->manufacturer);
	if (ibb_caseeq(v->name, "Description"))
		return get_sz(d, v, &x->description);
	return bad(d, v, IBB_E_UNSUPPORTED, "not known in a descriptor");
}

static int decode_string(struct decoder *d, const struct ibb_configure_value *v)
{
	struct ibb_config_record *rec = d->rec;
	struct ibb_config_string s = {.token = v->name};
	int rc;

	rc = get_sz(d, v, &s.text);
	if (rc)
		return rc;
	if (ibb_grow(&rec->strings, &rec->cap_strings, rec->n_strings, sizeof(*rec->strings)))
		return ibb_err_nomem(d->err);
	rec->strings[rec->n_strings++] = s;
	return IBB_OK;
}

static int decode_value(struct decoder *d, const struct ibb_configure_value *v)
{
	const char *path;

	path = below(v->key, "Configurations");
	if (path)
		return decode_section(d, v, path);
	path = below(v->key, "Descriptors");
	if (path)
		return decode_descriptor(d, v, path);
	if (!v->name && (ibb_caseeq(v->key, "Descriptors") || ibb_caseeq(v->key, "Strings")))
		return IBB_OK;
	if (ibb_caseeq(v->key, "Strings"))
		return decode_string(d, v);
	return bad(d, v, IBB_E_UNSUPPORTED, "not in Configurations, Descriptors or Strings");
}

static int check_complete(struct decoder *d)
{
	const struct ibb_config_record *rec = d->rec;

	for (size_t i = 0; i < rec->n_descriptors; i++) {
		const struct ibb_config_descriptor *x = &rec->descriptors[i];

		if (!x->configuration || !x->manufacturer || !x->description)
			return ibb_err(d->err, IBB_E_CORRUPT,
				       "Descriptors\\%.200s lacks one of its three values", x->id);
	}
	return IBB_OK;
}

int ibb_config_record_decode(const struct ibb_configure_value *values, size_t n,
			     struct ibb_arena *arena, struct ibb_config_record *ret,
			     struct ibb_error *err)
{
	struct ibb_config_record rec = {0};
	struct decoder d = {.a = arena, .rec = &rec, .err = err};
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < n; i++)
		rc = decode_value(&d, &values[i]);
	if (!rc)
		rc = check_complete(&d);
	if (rc) {
		ibb_config_record_clear(&rec);
		return rc;
	}
	*ret = rec;
	return IBB_OK;
}
